//! The fold, one function for each type of receipt.

use vm_contracts::{Line, Map, Moment, Value};
use vm_receipts::line::End;

use super::{Approval, Call, Commit, Counts, Grant, Parent, Session, State, Usage};
use crate::ops::agent_spawn::Ancestry;
use crate::ops::{MODELS_MAX, VIOLATION};

/// Observers that stood between the agent and what it did.
const BETWEEN: &[&str] = &["hook", "proxy", "wrapper"];

/// A receipt's body, read by the names of its fields.
pub(crate) struct Read<'a> {
    pub(crate) body: &'a Map<String, Value>,
    pub(crate) seq: u64,
    at_ms: i64,
}

impl<'a> Read<'a> {
    pub(crate) fn of(line: &'a Line) -> Self {
        Self { body: &line.body, seq: line.seq, at_ms: line.at.unix_ms() }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.body.get(name)?.as_str()
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.body.get(name).and_then(Value::as_bool) == Some(true)
    }

    fn time_ms(&self, name: &str) -> Option<i64> {
        Some(Moment::parse(self.text(name)?).ok()?.unix_ms())
    }

    /// When it happened: what was told, or the ledger's clock.
    pub(crate) fn happened_ms(&self) -> i64 {
        self.time_ms("effective_at").unwrap_or(self.at_ms)
    }

    /// The earliest that it can have happened. What is read afterwards and tells no time can have happened at any.
    pub(super) fn since_ms(&self) -> i64 {
        let is_live = self.text("observed_by").is_some_and(|by| BETWEEN.contains(&by));
        self.time_ms("effective_at").unwrap_or(if is_live { self.at_ms } else { i64::MIN })
    }
}

fn add(count: &mut u64, by: u64) {
    *count = count.saturating_add(by);
}

impl State {
    /// Takes one receipt in.
    pub fn fold(&mut self, line: &Line) {
        if line.end == End::Aborted {
            return;
        }
        let read = Read::of(line);
        self.last_at_ms.set(line.at.unix_ms());
        let taken = match line.kind.as_str() {
            "console_session_start" => self.fold_start(&read, line),
            "console_session_end" => self.fold_end(&read),
            "console_command" => self.fold_call(&read, "command"),
            "console_tool_call" => self.fold_call(&read, "tool_call"),
            "console_file_edit" => self.fold_edit(&read),
            VIOLATION => self.in_session(&read, |counts| add(&mut counts.violations, 1)),
            "console_approval" => self.fold_approval(&read, &line.actor),
            "console_git_commit" => self.fold_commit(&read),
            "console_agent_spawn" => self.fold_spawn(&read),
            "console_gap" => {
                // A gap of a session that nobody knows is kept as a receipt and counts nowhere.
                let _unknown = self.in_session(&read, |counts| add(&mut counts.gaps, 1));
                Some(())
            }
            "console_evidence" | "console_install" => Some(()),
            other if other.starts_with("console_") => None,
            // `ledger_*` receipts belong to the ledger and change nothing here.
            _ => Some(()),
        };
        if taken.is_none() {
            let mut broken = self.broken.get().clone();
            add(&mut broken.count, 1);
            broken.first_seq = broken.first_seq.or(Some(line.seq));
            self.broken.set(broken);
        }
    }

    /// Counts something in a session, ended or not.
    fn in_session(&mut self, read: &Read<'_>, count: impl FnOnce(&mut Counts)) -> Option<()> {
        let id = read.owned("session_id")?;
        let mut session = self.sessions.get(&id)?;
        count(&mut session.counts);
        self.sessions.insert(id, session);
        Some(())
    }

    /// The session of an act, which has not ended; it is put back with [`State::put`].
    pub(super) fn at_work(&self, read: &Read<'_>) -> Option<(String, Session)> {
        let id = read.owned("session_id")?;
        let session = self.sessions.get(&id).filter(|session| session.ended_ms.is_none())?;
        Some((id, session))
    }

    pub(super) fn put(&mut self, id: String, mut session: Session, read: &Read<'_>) {
        session.last_ms = session.last_ms.max(read.happened_ms());
        self.sessions.insert(id, session);
    }

    fn fold_start(&mut self, read: &Read<'_>, line: &Line) -> Option<()> {
        let id = read.owned("session_id")?;
        let known = self.sessions.get(&id);
        if known.is_some() != read.is("resumed") {
            return None;
        }
        let agent_type = read.owned("agent_type")?;
        let mode = read.owned("mode")?;
        let at_ms = read.happened_ms();
        let fresh = || Session {
            seq: line.seq,
            actor: line.actor.clone(),
            // Another word later must not let somebody approve what he asked for.
            caller: read.owned("caller").unwrap_or_else(|| line.actor.clone()),
            askers: askers(Vec::new(), &read.owned("caller"), &line.actor),
            started_ms: at_ms,
            last_ms: at_ms,
            ..Session::default()
        };
        let mut session = known.unwrap_or_else(fresh);
        if session.starts > 0 {
            // The first start stays; of the later ones the last counts.
            let first = askers(Vec::new(), &Some(session.caller.clone()), &session.actor);
            session.askers = askers(first, &read.owned("caller"), &line.actor);
        }
        add(&mut session.starts, 1);
        session.ended_ms = None;
        session.exit_reason = None;
        (session.agent_type, session.mode) = (agent_type, mode);
        for (name, slot) in [
            ("model_id", &mut session.model_id),
            ("project_id", &mut session.project_id),
            ("isolation", &mut session.isolation),
        ] {
            *slot = read.owned(name).or(slot.take());
        }
        self.put(id, session, read);
        Some(())
    }

    fn fold_end(&mut self, read: &Read<'_>) -> Option<()> {
        let id = read.owned("session_id")?;
        let mut session = self.sessions.get(&id)?;
        let (told, total) = usage(read.body);
        if session.ended_ms.is_none() {
            session.ended_ms = Some(read.happened_ms());
            session.exit_reason = read.owned("exit_reason");
        } else if !told {
            return None;
        }
        let models = read.body.get("usage").and_then(Value::as_array);
        let by_model: Vec<(String, Usage)> = models
            .into_iter()
            .flatten()
            .take(MODELS_MAX)
            .filter_map(|item| {
                let item = item.as_object()?;
                Some((item.get("model_id")?.as_str()?.to_owned(), usage(item).1))
            })
            .collect();
        if told {
            session.usage = total;
        } else if !by_model.is_empty() {
            session.usage = by_model.iter().fold(Usage::default(), |sum, (_, u)| sum.plus(*u));
        }
        if !by_model.is_empty() {
            session.models = by_model;
        }
        self.put(id, session, read);
        Some(())
    }

    fn fold_call(&mut self, read: &Read<'_>, what: &str) -> Option<()> {
        let (session_id, mut session) = self.at_work(read)?;
        let key = (session_id.clone(), read.owned("call_id")?);
        let phase = read.text("phase")?;
        let denied = read.is("denied");
        let counts = &mut session.counts;
        let known = self.calls.get(&key);
        let call = match (phase, known) {
            ("result", Some(call)) if call.what == what && call.result_seq.is_none() => {
                if !call.denied {
                    counts.open = counts.open.saturating_sub(1);
                }
                Call { result_seq: Some(read.seq), denied, ..call }
            }
            ("call" | "whole", None) => {
                let call = Call {
                    what: what.to_owned(),
                    seq: read.seq,
                    result_seq: (phase == "whole").then_some(read.seq),
                    at_ms: read.happened_ms(),
                    observed_by: read.owned("observed_by")?,
                    denied,
                    verdict: read.owned("verdict"),
                    rule: read.owned("rule"),
                };
                count_call(counts, &call);
                if phase == "call" && !denied {
                    add(&mut counts.open, 1);
                }
                call
            }
            _ => return None,
        };
        if denied {
            add(&mut counts.denied, 1);
        } else if phase != "call" {
            let done =
                if what == "command" { &mut counts.commands } else { &mut counts.tool_calls };
            add(done, 1);
        }
        self.calls.insert(key, call);
        self.put(session_id, session, read);
        Some(())
    }

    fn fold_approval(&mut self, read: &Read<'_>, actor: &str) -> Option<()> {
        let (session_id, session) = self.at_work(read)?;
        let key = (session_id.clone(), read.owned("approval_id")?);
        let known = self.approvals.get(&key);
        let at_ms = read.happened_ms();
        let fresh = Approval {
            seq: read.seq,
            call_id: read.owned("call_id"),
            action_type: read.owned("action_type"),
            rule: read.owned("rule"),
            at_ms,
            asked_by: actor.to_owned(),
            approved: None,
            approver: None,
            decided_by: None,
            decided_ms: None,
            expires_ms: read.time_ms("expires_at"),
        };
        let approval = match (read.text("phase")?, known) {
            ("requested", None) => fresh,
            ("decided", known) if known.as_ref().is_none_or(|k| k.approved.is_none()) => {
                let mut approval = known.unwrap_or(fresh);
                let told = read.time_ms("expires_at");
                // Both limits hold: the earlier one ends it.
                approval.expires_ms = [approval.expires_ms, told].into_iter().flatten().min();
                approval.call_id = approval.call_id.or_else(|| read.owned("call_id"));
                approval.approved = Some(read.body.get("approved")?.as_bool()?);
                approval.approver = Some(read.owned("approver")?);
                approval.decided_by = Some(actor.to_owned());
                approval.decided_ms = Some(at_ms);
                approval
            }
            _ => return None,
        };
        if let (Some(approved), Some(call)) = (approval.approved, &approval.call_id) {
            let call = (session_id.clone(), call.clone());
            if !approved {
                // Who says no later takes back what was given for the call.
                self.granted.remove(&call);
            } else if approval.is_own() {
                let grant = Grant { approval_id: key.1.clone(), expires_ms: approval.expires_ms };
                self.granted.insert(call, grant);
            }
        }
        self.approvals.insert(key, approval);
        self.put(session_id, session, read);
        Some(())
    }

    fn fold_commit(&mut self, read: &Read<'_>) -> Option<()> {
        let count = |name: &str| read.body.get(name)?.as_u64();
        let commit = Commit {
            seq: read.seq,
            at_ms: read.happened_ms(),
            changed: count("files_changed")?,
            explained: count("files_explained")?,
            unexplained: count("files_unexplained")?,
        };
        let parts = [commit.explained, commit.unexplained, count("files_not_examined")?];
        if parts.iter().try_fold(0u64, |sum, n| sum.checked_add(*n)) != Some(commit.changed) {
            return None;
        }
        self.commits.insert((read.owned("project_id")?, read.owned("commit_hash")?), commit);
        Some(())
    }

    fn fold_spawn(&mut self, read: &Read<'_>) -> Option<()> {
        let (parent, child) = (read.owned("parent_session_id")?, read.owned("child_session_id")?);
        let known = |id: &String| self.sessions.contains(id);
        let is_free =
            !self.parents.contains(&child) && self.ancestry(&parent, &child) == Ancestry::Free;
        if !known(&parent) || !known(&child) || !is_free {
            return None;
        }
        self.parents.insert(child, Parent { parent, seq: read.seq });
        Some(())
    }
}

/// Those known before, and whom a start names: who recorded it and whom the agent acts for.
fn askers(mut known: Vec<String>, caller: &Option<String>, actor: &str) -> Vec<String> {
    for who in caller.as_deref().into_iter().chain([actor]) {
        if !known.iter().any(|one| one == who) {
            known.push(who.to_owned());
        }
    }
    known
}

/// Counts a call that was not known before.
pub(super) fn count_call(counts: &mut Counts, call: &Call) {
    add(&mut counts.calls, 1);
    if BETWEEN.contains(&call.observed_by.as_str()) {
        add(&mut counts.observed, 1);
    }
}

/// Tokens that an object tells, and whether it tells any.
fn usage(object: &Map<String, Value>) -> (bool, Usage) {
    let count = |name: &str| object.get(name).and_then(Value::as_u64);
    let fields = [
        count("tokens_input"),
        count("tokens_output"),
        count("tokens_cache_write"),
        count("tokens_cache_read"),
        count("cost_micros"),
    ];
    let [input, output, cache_write, cache_read, cost_micros] =
        fields.map(|field| field.unwrap_or_default());
    let told = fields.iter().any(Option::is_some);
    (told, Usage { input, output, cache_write, cache_read, cost_micros })
}

impl Usage {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            cache_write: self.cache_write.saturating_add(other.cache_write),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cost_micros: self.cost_micros.saturating_add(other.cost_micros),
        }
    }
}
