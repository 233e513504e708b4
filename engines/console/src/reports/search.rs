//! `search`: receipts of all sessions, by what was done. Paths and commands are private, so they are looked for in what
//! this home can open; what was erased or withheld is not found by its text.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Line, Map, Report, Spec, Value};

use super::{ROWS, moment_text, term, time_ms, told};
use crate::ops::{ACTOR_BYTES_MAX, ID, NAME_BYTES_MAX, TEXT_BYTES_MAX, VIOLATION};
use crate::policy::TextPattern;
use crate::state::{Session, State};

/// Searches receipts.
pub struct Search;

/// The question. All that it says must hold.
#[derive(Default, Deserialize)]
pub struct Question {
    path: Option<String>,
    command_regex: Option<String>,
    program: Option<String>,
    session_id: Option<String>,
    agent: Option<String>,
    model: Option<String>,
    approver: Option<String>,
    commit: Option<String>,
    denied: Option<bool>,
    unapproved: Option<bool>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
}

static SPEC: Spec = Spec {
    verb: "search",
    about: "Find receipts by path, command, approver and more, the latest first",
    needs: "console.read",
    types: &[],
    fields: &[
        Field::new(
            "path",
            Kind::Text(TEXT_BYTES_MAX),
            "edits of this file or below this directory, and commands and tool calls that name it; `*`, `**` and `?` fit",
        )
        .optional(),
        Field::new("command_regex", Kind::Text(1_024), "commands that fit a regular expression")
            .optional(),
        Field::new("program", Kind::Name(NAME_BYTES_MAX), "commands of this program").optional(),
        Field::new("session_id", ID, "only this session").optional(),
        Field::new("agent", Kind::Name(64), "only sessions of this agent").optional(),
        Field::new("model", Kind::Name(NAME_BYTES_MAX), "only sessions with this model")
            .optional(),
        Field::new(
            "approver",
            Kind::Name(ACTOR_BYTES_MAX),
            "decisions of this one: the name that was told, or the actor",
        )
        .optional(),
        Field::new("commit", Kind::Name(64), "commits whose id begins so").optional(),
        Field::new("denied", Kind::Bool, "calls that were kept from happening, or that were not")
            .optional(),
        Field::new(
            "unapproved",
            Kind::Bool,
            "acts that a rule denied or asked for and that were carried out without approval, or all others",
        )
        .optional(),
        Field::new("from", Kind::Time, "only what happened since").optional(),
        Field::new("to", Kind::Time, "only what happened before").optional(),
        Field::new("limit", Kind::Integer(1, 100_000), "most rows; 1,000 if it is not given")
            .optional(),
        Field::new("seq", Kind::Integer(0, i64::MAX), "leaf index of the receipt").computed(),
        Field::new("at", Kind::Time, "when it happened").computed(),
        Field::new("what", Kind::Text(64), "type of the receipt").computed(),
        Field::new("call_id", ID, "the call").computed(),
        Field::new("observed_by", Kind::Text(16), "who saw it").computed(),
        Field::new("event", Kind::Text(16_384), "what happened").computed(),
    ],
    example: r#"{"command_regex":"git +push"}"#,
};

impl Report for Search {
    type State = State;
    type Question = Question;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn answer(
        &self,
        state: &State,
        history: &mut dyn History,
        question: Question,
    ) -> Result<Value, Failure> {
        let most = question.limit.unwrap_or(ROWS);
        let wanted = Wanted::of(state, history, question)?;
        // The latest, and never more lines in memory than rows.
        let mut found: BTreeMap<u64, Line> = BTreeMap::new();
        let mut keep = |line: &Line| {
            found.insert(line.seq, line.clone());
            if found.len() > most {
                found.pop_first();
            }
        };
        for terms in wanted.terms() {
            if wanted.reads_texts() {
                history.scan_opened(&terms, &mut |line, opened| {
                    if wanted.fits(line) && wanted.fits_texts(opened) {
                        keep(line);
                    }
                    true
                })?;
            } else {
                history.scan(&terms, &mut |line| {
                    if wanted.fits(line) {
                        keep(line);
                    }
                    true
                })?;
            }
        }
        let rows = found.values().rev().map(|line| Ok(row(line, &history.opened(line)?)));
        rows.collect::<Result<_, Failure>>().map(Value::Array)
    }
}

fn row(line: &Line, opened: &Map<String, Value>) -> Value {
    json!({
        "seq": line.seq,
        "at": moment_text(happened_ms(line)),
        "session_id": text(line, "session_id"),
        "what": line.kind.strip_prefix("console_").unwrap_or(&line.kind),
        "call_id": text(line, "call_id"),
        "observed_by": text(line, "observed_by"),
        "event": told(line, opened),
    })
}

fn text<'a>(line: &'a Line, name: &str) -> Option<&'a str> {
    line.body.get(name)?.as_str()
}

fn happened_ms(line: &Line) -> i64 {
    time_ms(text(line, "effective_at")).unwrap_or_else(|| line.at.unix_ms())
}

const COMMAND: &str = "console_command";
const TOOL: &str = "console_tool_call";
const EDIT: &str = "console_file_edit";
const APPROVAL: &str = "console_approval";
const COMMIT: &str = "console_git_commit";

/// A question, ready to be held against lines.
struct Wanted<'a> {
    state: &'a State,
    question: Question,
    path: Option<TextPattern>,
    command: Option<TextPattern>,
    /// Types of receipts that can fit; all where none is said.
    kinds: Option<Vec<&'static str>>,
    /// Acts against the policy: by their call, and by the call of the ledger that left them.
    against: Against,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
}

#[derive(Default)]
struct Against {
    calls: BTreeSet<(String, String)>,
    ids: BTreeSet<String>,
}

impl<'a> Wanted<'a> {
    fn of(
        state: &'a State,
        history: &mut dyn History,
        question: Question,
    ) -> Result<Self, Failure> {
        let (mut against, mut kinds) = (Against::default(), None);
        if question.unapproved.is_some() {
            history.scan(&[term("type", VIOLATION)], &mut |line| {
                against.ids.insert(line.id.clone());
                if let (Some(session), Some(call)) =
                    (text(line, "session_id"), text(line, "call_id"))
                {
                    against.calls.insert((session.to_owned(), call.to_owned()));
                }
                true
            })?;
        }
        for (is_asked, can) in [
            (question.path.is_some(), &[COMMAND, TOOL, EDIT][..]),
            (question.command_regex.is_some(), &[COMMAND]),
            (question.program.is_some(), &[COMMAND]),
            (question.denied.is_some(), &[COMMAND, TOOL]),
            (question.unapproved.is_some(), &[COMMAND, TOOL, EDIT]),
            (question.approver.is_some(), &[APPROVAL]),
            (question.commit.is_some(), &[COMMIT]),
        ] {
            if is_asked {
                let before = kinds.unwrap_or_else(|| can.to_vec());
                kinds = Some(before.into_iter().filter(|kind| can.contains(kind)).collect());
            }
        }
        let path = question.path.as_deref().map(TextPattern::path);
        let command = question.command_regex.as_deref();
        let command = command.map(|p| TextPattern::regex("command_regex", p)).transpose()?;
        let (from_ms, to_ms) = (time_ms(question.from.as_deref()), time_ms(question.to.as_deref()));
        Ok(Self { state, question, path, command, kinds, against, from_ms, to_ms })
    }

    /// What to look through: a session, or the types that can fit.
    fn terms(&self) -> Vec<Vec<vm_contracts::Term>> {
        match (&self.kinds, &self.question.session_id) {
            (Some(kinds), _) => kinds.iter().map(|kind| vec![term("type", kind)]).collect(),
            (None, Some(session)) => vec![vec![term("session_id", session)]],
            (None, None) => vec![Vec::new()],
        }
    }

    fn reads_texts(&self) -> bool {
        self.path.is_some() || self.command.is_some() || self.question.program.is_some()
    }

    /// Whether all that is public fits.
    fn fits(&self, line: &Line) -> bool {
        let asked = &self.question;
        let at_ms = happened_ms(line);
        line.kind.starts_with("console_")
            && self.from_ms.is_none_or(|from| at_ms >= from)
            && self.to_ms.is_none_or(|to| at_ms < to)
            && self.fits_sessions(line)
            && asked.denied.is_none_or(|wanted| self.is_denied(line) == wanted)
            && asked.unapproved.is_none_or(|wanted| self.is_against(line) == wanted)
            && asked.commit.as_deref().is_none_or(|wanted| {
                text(line, "commit_hash").is_some_and(|hash| hash.starts_with(wanted))
            })
            && asked.approver.as_deref().is_none_or(|wanted| {
                text(line, "phase") == Some("decided")
                    && (text(line, "approver") == Some(wanted) || line.actor == wanted)
            })
    }

    fn fits_sessions(&self, line: &Line) -> bool {
        let asked = &self.question;
        if asked.session_id.is_none() && asked.agent.is_none() && asked.model.is_none() {
            return true;
        }
        let one = ["session_id", "parent_session_id", "child_session_id"];
        let many = line.body.get("session_ids").and_then(Value::as_array).into_iter().flatten();
        let mut named = one
            .into_iter()
            .filter_map(|name| text(line, name))
            .chain(many.filter_map(Value::as_str));
        named.any(|id| {
            asked.session_id.as_deref().is_none_or(|wanted| wanted == id)
                && ((asked.agent.is_none() && asked.model.is_none())
                    || self.state.sessions.get(&id.to_owned()).is_some_and(|s| self.by(&s)))
        })
    }

    fn by(&self, session: &Session) -> bool {
        self.question.agent.as_ref().is_none_or(|agent| *agent == session.agent_type)
            && self.question.model.as_ref().is_none_or(|model| {
                session.model_id.as_ref() == Some(model)
                    || session.models.iter().any(|(name, _)| name == model)
            })
    }

    fn call(line: &Line) -> Option<(String, String)> {
        Some((text(line, "session_id")?.to_owned(), text(line, "call_id")?.to_owned()))
    }

    /// A call is denied if its receipt says so, or the receipt of its end.
    fn is_denied(&self, line: &Line) -> bool {
        let says = line.body.get("denied").and_then(Value::as_bool) == Some(true);
        let call = || self.state.calls.get(&Self::call(line)?);
        says || (text(line, "phase") == Some("call") && call().is_some_and(|call| call.denied))
    }

    fn is_against(&self, line: &Line) -> bool {
        self.against.ids.contains(&line.id)
            || Self::call(line).is_some_and(|call| self.against.calls.contains(&call))
    }

    /// Whether the texts fit. A result tells no command again; its call is found.
    fn fits_texts(&self, opened: &Map<String, Value>) -> bool {
        let private = |name: &str| opened.get(name).and_then(Value::as_str);
        self.command
            .as_ref()
            .is_none_or(|pattern| private("command").is_some_and(|c| pattern.fits(c)))
            && self.question.program.as_deref().is_none_or(|wanted| {
                let last = |path: &str| path.rsplit('/').next() == Some(wanted);
                private("program").is_some_and(|program| program == wanted || last(program))
            })
            && self.path.as_ref().is_none_or(|pattern| {
                private("file_path").is_some_and(|path| pattern.fits(path))
                    || ["command", "params"]
                        .iter()
                        .any(|name| private(name).is_some_and(|said| pattern.is_named_in(said)))
            })
    }
}
