//! `replay`: a session event by event, with the private values that this home can open.

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Line, Map, Report, Spec, Value};

use super::{moment_text, term, time_ms, told};
use crate::ops::{ID, unknown_session};
use crate::state::State;

/// Replays a session.
pub struct Replay;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    session_id: String,
    limit: Option<usize>,
}

/// Most events if the question does not say.
const EVENTS: usize = 100_000;

static SPEC: Spec = Spec {
    verb: "replay",
    about: "Show a session event by event",
    needs: "console.read",
    types: &[],
    fields: &[
        Field::new("session_id", ID, "id of the session"),
        Field::new("limit", Kind::Integer(1, 1_000_000), "most events; 100,000 if not given")
            .optional(),
        Field::new("seq", Kind::Integer(0, i64::MAX), "leaf index of the receipt").computed(),
        Field::new("at", Kind::Time, "when it happened").computed(),
        Field::new("observed_by", Kind::Text(16), "who saw it").computed(),
        Field::new("call_id", ID, "the call").computed(),
        Field::new("event", Kind::Text(16_384), "what happened").computed(),
    ],
    example: r#"{"session_id":"session-1"}"#,
};

impl Report for Replay {
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
        let id = &question.session_id;
        if !state.sessions.contains(id) {
            return Err(unknown_session("session_id", id).into());
        }
        let most = question.limit.unwrap_or(EVENTS);
        let mut events: Vec<(i64, u64, Value)> = Vec::new();
        for field in ["session_id", "parent_session_id", "child_session_id"] {
            history.scan_opened(&[term(field, id)], &mut |line, opened| {
                // The start of a child names its parent too, and is an event of the child.
                if field == "session_id" || line.kind == "console_agent_spawn" {
                    let (at_ms, row) = event(line, opened);
                    events.push((at_ms, line.seq, row));
                }
                true
            })?;
        }
        // What was recorded late stands where it happened.
        events.sort_by_key(|(at_ms, seq, _)| (*at_ms, *seq));
        events.truncate(most);
        Ok(events.into_iter().map(|(_, _, row)| row).collect())
    }
}

fn event(line: &Line, opened: &Map<String, Value>) -> (i64, Value) {
    let text = |name: &str| line.body.get(name).and_then(Value::as_str);
    let at_ms = time_ms(text("effective_at")).unwrap_or_else(|| line.at.unix_ms());
    let row = json!({
        "seq": line.seq,
        "at": moment_text(at_ms),
        "observed_by": text("observed_by"),
        "call_id": text("call_id"),
        "event": told(line, opened),
    });
    (at_ms, row)
}
