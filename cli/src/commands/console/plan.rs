//! From an event of an agent to calls of the engine: read by the engine's reader, looked up on this machine, judged.
//!
//! What is in a file is read from the file, before the agent is let at it and after: what the agent says of it is not
//! asked.

use super::before::{Act, Before};
use super::deliver::Wish;
use super::envelope::{Envelope, Mode};
use super::glance::{self, ABSENT, Glance, Look, changes, numbered};
use super::observe::Project;
use super::proxy;
use super::rules::Rules;
use super::spool::{self, Reason};
use crate::commands::import::places::Disk;
use serde_json::{Map, Value, json};
use std::path::Path;
use vm_console::keyed;
use vm_console::ops::TEXT_BYTES_MAX;
use vm_console::read::event::{Call, Facts, Outcome, Spawned};
use vm_console::read::files::{File, Files};
use vm_console::read::hook::{self, Hooked, Kind};
use vm_console::read::planner::{self, Ending, Phase, Planner, Root};
use vm_console::read::text;
use vm_console::read::tool::{Change, Tool};
use vm_contracts::{Moment, Planned, Refusal};
use vm_ledger::clock::{Clock, SystemClock};
use vm_ledger::openings::Aside;

pub use vm_console::ops::PARAMS_BYTES_MAX;

/// Verbs that events become.
pub const VERBS: [&str; 8] = [
    "session-start",
    "session-end",
    "command",
    "file-edit",
    "tool-call",
    "approval",
    "agent-spawn",
    "gap",
];

/// What was judged of an act before it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// `allow`, `ask` or `deny`.
    pub word: String,
    /// The rule that says so.
    pub rule: Option<String>,
    /// Session and approval, for whoever is to approve the act.
    pub act: (String, String),
}

/// What one event asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The session.
    pub session: Option<String>,
    /// Its start, for a ledger that does not know it.
    pub start: Option<Wish>,
    /// What is to be recorded.
    pub wishes: Vec<Wish>,
    /// The verdict, where the event asks for one.
    pub judged: Option<Judged>,
    /// Calls that came to their end.
    pub settled: Vec<Act>,
}

/// With what events are planned.
pub struct Plans<'a> {
    /// The key of the home.
    pub key: &'a [u8; 32],
    /// What came, and around what.
    pub envelope: &'a Envelope,
    /// What agents may do.
    pub rules: &'a Rules,
    /// What was in files before.
    pub before: &'a Before,
    /// Whether leave stands in a session under the id of an approval.
    pub approved: &'a dyn Fn(&str, &str) -> bool,
}

/// The time of this machine, as receipts say it.
pub fn now() -> String {
    SystemClock.wall().to_string()
}

/// Text that is kept privately: without secrets, and not too long.
pub fn private(text: &str, max: usize) -> String {
    text::kept(text, max)
}

/// A name of a foreign record, as a receipt can hold it.
pub fn name(text: &str) -> String {
    text::name(text, vm_console::ops::NAME_BYTES_MAX).unwrap_or_else(|| "unnamed".into())
}

/// The same for the spool, with the key of the home alone. What does not read is a loss.
pub fn aside(
    home: &Path,
    aside: Option<&Aside>,
    rules: &Rules,
    envelope: &Envelope,
    reason: Reason,
) -> Vec<spool::Event> {
    let at = envelope.seen_at.clone();
    let lost = |reason| spool::Event { reason, at: at.clone(), session: None, calls: Vec::new() };
    let Some(aside) = aside else {
        return envelope.events.iter().map(|_| lost(reason)).collect();
    };
    let (key, before) = (aside.import_key(), Before::of(home));
    let plans = Plans { key: &key, envelope, rules, before: &before, approved: &|_, _| false };
    let planned = envelope.events.iter().map(|event| match plans.event(event) {
        Ok(seen) => {
            before.settle(&seen.settled);
            let calls = seen.start.into_iter().chain(seen.wishes).collect();
            spool::Event { reason, at: at.clone(), session: seen.session, calls }
        }
        Err(_) => lost(Reason::Malformed),
    });
    planned.collect()
}

/// Where the session works.
struct Ground {
    cwd: Option<String>,
    project: Option<Project>,
}

impl Plans<'_> {
    /// Plans one event.
    pub fn event(&self, event: &str) -> Result<Seen, Refusal> {
        let unread = |what: String| Refusal::malformed("event_malformed", what);
        if self.envelope.observed_by == "proxy" {
            let value: Value = serde_json::from_str(event)
                .map_err(|e| unread(format!("the event does not read: {e}")))?;
            return self.of_proxy(&value).ok_or_else(|| unread("it is no event of a proxy".into()));
        }
        let mut told = hook::event(event.as_bytes(), self.agent())?;
        let session = keyed::session_id(self.key, &told.session);
        let cwd = told.facts.cwd.clone().or_else(|| self.envelope.cwd.clone());
        let project = cwd.as_deref().and_then(|cwd| Project::around(Path::new(cwd)));
        let ground = Ground { cwd, project };
        told.facts.git_head = ground.project.as_ref().and_then(Project::head);
        let start = self.start(&session, &told.facts, &ground, None);
        let mut seen = Seen { session: Some(session.clone()), ..Seen::default() };
        self.is_readable(&told)?;
        let looked = match &self.envelope.glance {
            Some(glance) => glance.clone(),
            None => Glance::of(self.key, self.before, self.envelope, event),
        };
        self.what(&session, &told, &looked, &ground, &mut seen);
        if told.facts.resumed && told.kind == Kind::SessionStart {
            let at = self.envelope.seen_at.as_str();
            seen.wishes.insert(0, self.start(&session, &told.facts, &ground, Some(at)));
        } else if seen.wishes.is_empty() {
            // Even an event that says nothing else says that the session is there.
            seen.wishes.push(start.clone());
        }
        seen.start = Some(start);
        Ok(seen)
    }

    fn of_proxy(&self, event: &Value) -> Option<Seen> {
        let (session, wishes) = proxy::wishes(self.key, event)?;
        let facts = Facts { agent_type: Some(self.agent().to_owned()), ..Facts::default() };
        let cwd = self.envelope.cwd.clone();
        let project = cwd.as_deref().and_then(|cwd| Project::around(Path::new(cwd)));
        let start = self.start(&session, &facts, &Ground { cwd, project }, None);
        Some(Seen { session: Some(session), start: Some(start), wishes, ..Seen::default() })
    }

    /// An act that is to be judged must say what it is. One of a tool that runs commands or changes files, and does
    /// not say which ones, is recorded where nothing is guarded, and stopped where it is.
    fn is_readable(&self, told: &Hooked) -> Result<(), Refusal> {
        if told.kind != Kind::BeforeTool {
            return Ok(());
        }
        let why = match &told.call {
            None => "names no tool (tool_name)",
            Some(call) if self.envelope.mode == Mode::Guard && !is_said(call) => {
                "does not say what its tool is to do (tool_input)"
            }
            Some(_) => return Ok(()),
        };
        Err(Refusal::malformed("event_malformed", format!("the event {} {why}", told.name)))
    }

    fn what(
        &self,
        session: &str,
        told: &Hooked,
        looked: &Glance,
        ground: &Ground,
        seen: &mut Seen,
    ) {
        let id = |call: &Call| {
            let fresh = || glance::fresh(self.key, self.envelope, told, call);
            looked.call.clone().unwrap_or_else(fresh)
        };
        match (told.kind, &told.call, &told.outcome) {
            (Kind::BeforeTool, Some(call), _) => {
                self.before_act(session, &id(call), call, ground, seen);
            }
            (Kind::AfterTool | Kind::ToolFailed, Some(call), Some(outcome)) => {
                if !told.named {
                    seen.settled.push(glance::open(self.key, told, call));
                }
                self.after_act((session, &id(call)), call, outcome, (looked, ground), seen);
            }
            (Kind::Permission, Some(call), _) => {
                let id = keyed::call_id(self.key, &call.id);
                seen.wishes.push(self.asked(session, (&id, &id), call, None));
            }
            _ => {}
        }
        if let Some((child, spawned)) = &told.child {
            self.spawned(session, child, spawned, told, ground, seen);
        }
        if told.kind == Kind::SessionEnd {
            let reason = told.reason.as_deref().unwrap_or("ended");
            seen.wishes.push(self.end(session, reason));
        }
    }

    /// Another agent begins to work for this one, or is done.
    fn spawned(
        &self,
        parent: &str,
        child: &str,
        spawned: &Spawned,
        told: &Hooked,
        ground: &Ground,
        seen: &mut Seen,
    ) {
        let child = keyed::session_id(self.key, child);
        let call = spawned.call.as_deref().map(|call| keyed::call_id(self.key, call));
        let agent = spawned.agent_type.clone().or_else(|| told.facts.agent_type.clone());
        let facts = Facts { agent_type: agent, resumed: false, ..told.facts.clone() };
        seen.wishes.push(self.start(&child, &facts, ground, None));
        let at = self.seen();
        seen.wishes.push(wish(self.planner().spawn(parent, &child, call.as_deref(), spawned, &at)));
        if told.kind == Kind::SubagentStop {
            seen.wishes.push(self.end(&child, "done"));
        }
    }

    fn end(&self, session: &str, reason: &str) -> Wish {
        let ending = Ending { reason, ..Ending::default() };
        wish(self.planner().end(session, &ending, &self.envelope.seen_at, &self.seen()))
    }

    /// The agent as receipts name it.
    fn agent(&self) -> &str {
        match self.envelope.agent.as_str() {
            "claude" => "claude-code",
            "gemini" => "gemini-cli",
            "q" => "amazon-q",
            other => other,
        }
    }

    fn planner(&self) -> Planner<'_> {
        let proxy = self.envelope.observed_by == "proxy";
        Planner {
            key: self.key,
            observed_by: if proxy { "proxy" } else { "hook" },
            mode: if proxy { "proxy" } else { self.envelope.mode.word() },
            source_format: None,
            now: SystemClock.wall(),
        }
    }

    fn seen(&self) -> planner::Seen {
        let at = Moment::parse(&self.envelope.seen_at).ok();
        planner::Seen { at, place: String::new() }
    }

    fn start(&self, session: &str, facts: &Facts, ground: &Ground, resumed: Option<&str>) -> Wish {
        let mut files = Files::new(self.key, &Disk);
        let cwd = ground.cwd.as_deref();
        let project_id = cwd.and_then(|cwd| files.project(cwd));
        let main = ground.project.as_ref().and_then(|p| p.main.to_str());
        let root = Root {
            project_id: project_id.as_deref(),
            path: main.or(cwd),
            isolation: Some(self.envelope.isolation.as_str()),
            ..Root::default()
        };
        wish(self.planner().start(session, facts, root, resumed, &self.seen()))
    }

    /// An act that is about to happen: what the rules say. Leave that was given for the same act in this session
    /// lets it pass; the receipt keeps what the rule says, and the engine looks for the leave itself.
    fn before_act(&self, session: &str, id: &str, call: &Call, ground: &Ground, seen: &mut Seen) {
        let tool = Tool::of(&call.name, &call.input);
        let cwd = call.cwd.as_deref().or(ground.cwd.as_deref());
        let (word, rule) = self.rules.judge(&call.name, &tool, &call.input);
        let act = planner::Act {
            session,
            call: id,
            name: &call.name,
            tool: &tool,
            input: &call.input,
            cwd,
            outcome: None,
            verdict: rule.as_deref().map(|rule| (word, Some(rule))),
        };
        let mut planned = self.planner().act(&act, Phase::Call, &self.seen());
        if word == "deny" && self.envelope.mode == Mode::Guard {
            planned.intent.insert("denied".into(), true.into());
        }
        let approval = approval(session, rule.as_deref(), &planned.intent);
        let approval = approval.unwrap_or_else(|| id.to_owned());
        seen.wishes.push(wish(planned));
        let mut told = word;
        if word == "ask" && (self.approved)(session, &approval) {
            told = "allow";
        } else if word == "ask" {
            seen.wishes.push(self.asked(session, (&approval, id), call, rule.as_deref()));
        }
        let act = (session.to_owned(), approval);
        seen.judged = Some(Judged { word: told.to_owned(), rule, act });
    }

    /// An act that came to its end: its result, and what it left in files.
    fn after_act(
        &self,
        (session, id): (&str, &str),
        call: &Call,
        outcome: &Outcome,
        (looked, ground): (&Glance, &Ground),
        seen: &mut Seen,
    ) {
        let tool = Tool::of(&call.name, &call.input);
        let cwd = call.cwd.as_deref().or(ground.cwd.as_deref());
        let act = planner::Act {
            session,
            call: id,
            name: &call.name,
            tool: &tool,
            input: &call.input,
            cwd,
            outcome: Some(outcome),
            verdict: None,
        };
        seen.wishes.push(wish(self.planner().act(&act, Phase::Result, &self.seen())));
        let act: Act = (session.to_owned(), id.to_owned());
        // What is in a file after a call that failed is not what the call left: somebody else may have written it.
        let failed = outcome.denied || outcome.interrupted || outcome.is_error == Some(true);
        for (number, change) in changes(&tool).iter().enumerate() {
            let look = looked.files.get(number).cloned().unwrap_or_default();
            if let Some((file, from)) = self.files(change, cwd, ground).filter(|_| !failed) {
                let edit = self.edit((&act, number), change, outcome, look, (&file, from.as_ref()));
                seen.wishes.extend(edit);
            }
            seen.settled.push(numbered(&act, number));
        }
    }

    /// The edit that a change came to; none where the file is as it was.
    fn edit(
        &self,
        (act, number): (&Act, usize),
        change: &Change,
        outcome: &Outcome,
        look: Look,
        (file, from): (&File, Option<&File>),
    ) -> Option<Wish> {
        let told = outcome.before.as_ref().map(|before| match before {
            None => ABSENT.to_owned(),
            Some(text) => keyed::content(self.key, &change.path, text.as_bytes()),
        });
        let (old, new) = (look.old.or(told), look.now);
        if old.is_some() && old == new && from.is_none() {
            return None;
        }
        let absent = |digest: &Option<String>| digest.as_deref() == Some(ABSENT);
        let edit_type = if absent(&new) {
            "delete"
        } else if from.is_some() {
            "rename"
        } else if absent(&old) || outcome.created == Some(true) {
            "create"
        } else {
            "modify"
        };
        let edited = planner::Edited {
            session: &act.0,
            call: &act.1,
            number,
            file,
            from: from.filter(|_| edit_type == "rename"),
            old_hash: old.filter(|digest| digest != ABSENT),
            new_hash: new.filter(|digest| digest != ABSENT),
            edit_type,
            lines: outcome.lines,
        };
        Some(wish(self.planner().edit(&edited, &self.seen())))
    }

    fn files(
        &self,
        change: &Change,
        cwd: Option<&str>,
        ground: &Ground,
    ) -> Option<(File, Option<File>)> {
        let mut files = Files::new(self.key, &Disk);
        let root = ground.cwd.as_deref();
        let file = files.find(cwd, root, &change.path)?;
        let from = change.from.as_deref().and_then(|from| files.find(cwd, root, from));
        Some((file, from))
    }

    /// Somebody is asked: by a rule, or by the agent in its own window.
    fn asked(
        &self,
        session: &str,
        (approval, id): (&str, &str),
        call: &Call,
        rule: Option<&str>,
    ) -> Wish {
        let action = text::kept(&call.input.to_string(), TEXT_BYTES_MAX);
        let mut intent = Map::new();
        let mut put = |name: &str, value: Value| intent.insert(name.to_owned(), value);
        put("session_id", session.into());
        put("approval_id", approval.into());
        put("call_id", id.into());
        put("phase", "requested".into());
        put("action", action.into());
        put("observed_by", "hook".into());
        put("effective_at", json!(self.envelope.seen_at));
        if let Some(kind) = text::name(&call.name, 64) {
            put("action_type", kind.into());
        }
        if let Some(rule) = rule {
            put("rule", rule.into());
        }
        let id = keyed::receipt_id(self.key, session, approval, "hook/requested");
        Wish { verb: "approval", id, intent, tags: Vec::new() }
    }
}

/// Whether a call of a tool that runs commands or changes files says which ones.
fn is_said(call: &Call) -> bool {
    let Call { name, input, .. } = call;
    match Tool::of(name, input) {
        // Words that are none would be judged as if they were empty.
        Tool::Shell { .. } => {
            let words = ["command", "cmd", "script"].iter().find_map(|name| input.get(*name));
            words.and_then(Value::as_array).is_none_or(|words| words.iter().all(Value::is_string))
        }
        Tool::Other => {
            let runs = matches!(Tool::of(name, &json!({"command": ""})), Tool::Shell { .. });
            // One that only shows a file has a name in common with those that change it.
            !runs && (!Tool::edits(name) || input["command"] == "view")
        }
        Tool::Edit(_) | Tool::Task { .. } => true,
    }
}

/// The id of the approval that an act needs: the same for the same act by the same rule in a session.
fn approval(session: &str, rule: Option<&str>, intent: &Map<String, Value>) -> Option<String> {
    let args = intent.get("args_hash").or_else(|| intent.get("params_hash"))?;
    Some(keyed::approval_id(session, rule?, args.as_str()?))
}

fn wish(planned: Planned) -> Wish {
    let Planned { verb, id, intent, tags, .. } = planned;
    Wish { verb, id, intent, tags }
}
