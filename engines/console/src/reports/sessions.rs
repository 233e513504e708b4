//! `sessions`: what agents did, session by session.

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Report, Spec, Value};

use super::{ROWS, moment_text, time_ms};
use crate::ops::{COUNT, ID, KEY, NAME_BYTES_MAX};
use crate::state::{Session, State};

/// Lists sessions.
pub struct Sessions;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    session_id: Option<String>,
    agent_type: Option<String>,
    model_id: Option<String>,
    project_id: Option<String>,
    status: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
}

/// Words for whether a session goes on.
const STATUS: &[&str] = &["open", "ended", "orphaned"];
/// A session without an end in which nothing happened for so long, by the ledger's clock at the last receipt, is left
/// by its agent: 24 hours.
pub const ORPHANED_AFTER_MS: i64 = 24 * 60 * 60 * 1000;

const STATUS_ABOUT: &str =
    "only these; orphaned: no end, and nothing for 24 hours before the ledger's last receipt";

static SPEC: Spec = Spec {
    verb: "sessions",
    about: "List sessions of agents, the latest first",
    needs: "console.read",
    types: &[],
    fields: &[
        Field::new("session_id", ID, "only this session").optional(),
        Field::new("agent_type", Kind::Name(64), "only sessions of this agent").optional(),
        Field::new("model_id", Kind::Name(NAME_BYTES_MAX), "only sessions with this model")
            .optional(),
        Field::new("project_id", KEY, "only sessions in this project").optional(),
        Field::new("status", Kind::Choice(STATUS), STATUS_ABOUT).optional(),
        Field::new("from", Kind::Time, "only sessions in which something happened since")
            .optional(),
        Field::new("to", Kind::Time, "only sessions that started before").optional(),
        Field::new("limit", Kind::Integer(1, 100_000), "most rows; 1,000 if it is not given")
            .optional(),
        Field::new("started_at", Kind::Time, "when it started first").computed(),
        Field::new("ended_at", Kind::Time, "when it ended").computed(),
        Field::new("duration_ms", COUNT, "from start to end").computed(),
        Field::new("mode", Kind::Text(16), "how it is recorded").computed(),
        Field::new("isolation", Kind::Text(16), "whether the ledger has a user of its own")
            .computed(),
        Field::new("caller", Kind::Text(256), "who it acts for").computed(),
        Field::new("parent_session_id", ID, "session that spawned it").computed(),
        Field::new("observed", Kind::Text(64), "calls that were seen as they happened, of all")
            .computed(),
        Field::new("commands", COUNT, "commands that were run").computed(),
        Field::new("files", COUNT, "files that were edited").computed(),
        Field::new("tool_calls", COUNT, "other tools that were called").computed(),
        Field::new("unpaired", COUNT, "calls without a result").computed(),
        Field::new("denied", COUNT, "calls that were kept from happening").computed(),
        Field::new("violations", COUNT, "acts against the policy").computed(),
        Field::new("external_changes", COUNT, "edits of files that others had changed").computed(),
        Field::new("gaps", COUNT, "gaps in the record").computed(),
        Field::new("tokens_input", COUNT, "tokens read").computed(),
        Field::new("tokens_output", COUNT, "tokens written").computed(),
        Field::new("cost_micros", COUNT, "cost in millionths of a US dollar").computed(),
        Field::new("exit_reason", Kind::Text(64), "why it ended").computed(),
    ],
    example: r#"{"status":"open"}"#,
};

impl Report for Sessions {
    type State = State;
    type Question = Question;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn answer(
        &self,
        state: &State,
        _history: &mut dyn History,
        question: Question,
    ) -> Result<Value, Failure> {
        let (from, to) = (time_ms(question.from.as_deref()), time_ms(question.to.as_deref()));
        let same = |wanted: &Option<String>, has: Option<&String>| {
            wanted.is_none() || wanted.as_ref() == has
        };
        let wanted = |id: &String, s: &Session| {
            let status = status(state, s);
            same(&question.session_id, Some(id))
                && same(&question.agent_type, Some(&s.agent_type))
                && (same(&question.model_id, s.model_id.as_ref())
                    || s.models.iter().any(|(model, _)| same(&question.model_id, Some(model))))
                && same(&question.project_id, s.project_id.as_ref())
                && question.status.as_ref().is_none_or(|wanted| wanted == status)
                && from.is_none_or(|from| s.last_ms >= from)
                && to.is_none_or(|to| s.started_ms < to)
        };
        let mut found: Vec<_> = state.sessions.iter().filter(|(id, s)| wanted(id, s)).collect();
        found.sort_by_key(|(_, s)| std::cmp::Reverse((s.started_ms, s.seq)));
        found.truncate(question.limit.unwrap_or(ROWS));
        Ok(found.into_iter().map(|(id, s)| row(state, &id, &s)).collect())
    }
}

fn status(state: &State, session: &Session) -> &'static str {
    let still_ms = state.last_at_ms.get().saturating_sub(session.last_ms);
    match session.ended_ms {
        Some(_) => STATUS[1],
        None if still_ms > ORPHANED_AFTER_MS => STATUS[2],
        None => STATUS[0],
    }
}

fn row(state: &State, id: &String, s: &Session) -> Value {
    let counts = &s.counts;
    json!({
        "session_id": id,
        "status": status(state, s),
        "agent_type": s.agent_type,
        "model_id": s.model_id,
        "project_id": s.project_id,
        "started_at": moment_text(s.started_ms),
        "ended_at": s.ended_ms.and_then(moment_text),
        "duration_ms": s.ended_ms.map(|end| end.saturating_sub(s.started_ms).max(0)),
        "mode": s.mode,
        "isolation": s.isolation,
        "caller": s.caller,
        "parent_session_id": state.parents.get(id).map(|p| p.parent),
        "observed": observed(s),
        "commands": counts.commands,
        "files": counts.files,
        "tool_calls": counts.tool_calls,
        "unpaired": counts.open,
        "denied": counts.denied,
        "violations": counts.violations,
        "external_changes": counts.external,
        "gaps": counts.gaps,
        "tokens_input": s.usage.input,
        "tokens_output": s.usage.output,
        "cost_micros": s.usage.cost_micros,
        "exit_reason": s.exit_reason,
    })
}

/// How many calls were seen as they happened, by something that stood between.
pub(crate) fn observed(session: &Session) -> String {
    format!("{} of {}", session.counts.observed, session.counts.calls)
}
