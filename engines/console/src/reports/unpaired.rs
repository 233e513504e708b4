//! `unpaired`: calls whose result nobody saw, and results whose call nobody saw.

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Report, Spec, Value};

use super::{ROWS, moment_text, term};
use crate::ops::{ACTS, COUNT, ID, OBSERVERS};
use crate::state::State;

/// Lists calls without a partner.
pub struct Unpaired;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    session_id: Option<String>,
    limit: Option<usize>,
}

/// What is missing.
const MISSING: &[&str] = &["result", "call"];

static SPEC: Spec = Spec {
    verb: "unpaired",
    about: "List calls without a result, and results without a call",
    needs: "console.read",
    types: &[],
    fields: &[
        Field::new("session_id", ID, "only those of this session").optional(),
        Field::new("limit", Kind::Integer(1, 100_000), "most rows; 1,000 if it is not given")
            .optional(),
        Field::new("missing", Kind::Choice(MISSING), "what nobody saw").computed(),
        Field::new("call_id", ID, "the call").computed(),
        Field::new("what", Kind::Choice(ACTS), "what was called").computed(),
        Field::new("events", COUNT, "how many").computed(),
        Field::new("at", Kind::Time, "when it began").computed(),
        Field::new("observed_by", Kind::Choice(OBSERVERS), "who saw the other half").computed(),
        Field::new("seq", Kind::Integer(0, i64::MAX), "leaf index of the receipt").computed(),
    ],
    example: r#"{}"#,
};

impl Report for Unpaired {
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
        let mut rows = Vec::new();
        let wanted = |id: &str| question.session_id.as_deref().is_none_or(|wanted| wanted == id);
        for (session, known) in state.sessions.iter().filter(|(id, _)| wanted(id)) {
            // Most sessions have none, and their calls need not be read.
            if known.counts.open == 0 {
                continue;
            }
            for (id, call) in state.calls_of(&session) {
                if call.result_seq.is_none() && !call.denied {
                    let row = json!({
                        "missing": MISSING[0],
                        "session_id": session,
                        "call_id": id,
                        "what": call.what,
                        "events": 1,
                        "at": moment_text(call.at_ms),
                        "observed_by": call.observed_by,
                        "seq": call.seq,
                    });
                    rows.push((call.seq, row));
                }
            }
        }
        // A result whose call is not known leaves a gap, because nothing could be checked about it.
        let terms = [term("type", "console_gap"), term("reason", "unpaired")];
        history.scan(&terms, &mut |line| {
            let text = |name: &str| line.body.get(name).and_then(Value::as_str);
            if question.session_id.is_none() || question.session_id.as_deref() == text("session_id")
            {
                let row = json!({
                    "missing": MISSING[1],
                    "session_id": text("session_id"),
                    "events": line.body.get("events"),
                    "at": text("effective_at").map_or_else(|| line.at.to_string(), str::to_owned),
                    "observed_by": text("observed_by"),
                    "seq": line.seq,
                });
                rows.push((line.seq, row));
            }
            true
        })?;
        rows.sort_by_key(|(seq, _)| *seq);
        rows.truncate(question.limit.unwrap_or(ROWS));
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }
}
