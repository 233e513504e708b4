//! `blame`: who edited a file, the latest first.

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Line, Report, Spec, Value};

use super::{ROWS, term, time_ms};
use crate::ops::file_edit::EDIT_TYPES;
use crate::ops::{DIGEST, ID, KEY, OBSERVERS};
use crate::state::State;

/// Shows edits of a file.
pub struct Blame;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    file_id: String,
    project_id: Option<String>,
    limit: Option<usize>,
}

static SPEC: Spec = Spec {
    verb: "blame",
    about: "Show who edited a file, the latest first",
    needs: "console.read",
    types: &[],
    fields: &[
        Field::new("file_id", KEY, "keyed id of the file"),
        Field::new("project_id", KEY, "only edits in this project").optional(),
        Field::new("limit", Kind::Integer(1, 100_000), "most rows; 1,000 if it is not given")
            .optional(),
        Field::new("seq", Kind::Integer(0, i64::MAX), "leaf index of the receipt").computed(),
        Field::new("at", Kind::Time, "when it happened").computed(),
        Field::new("session_id", ID, "the session").computed(),
        Field::new("agent_type", Kind::Text(64), "its agent").computed(),
        Field::new("caller", Kind::Text(256), "who it acts for").computed(),
        Field::new("call_id", ID, "the call").computed(),
        Field::new("edit_type", Kind::Choice(EDIT_TYPES), "what happened to the file").computed(),
        Field::new("new_hash", DIGEST, "digest of the content that it left").computed(),
        Field::new("observed_by", Kind::Choice(OBSERVERS), "who saw it").computed(),
        Field::new("external_change", Kind::Bool, "whether somebody else changed it before")
            .computed(),
        Field::new("file_path", Kind::Text(4_096), "path, where this home can open it").computed(),
    ],
    example: r#"{"file_id":"k:0123456789abcdef0123456789abcdef"}"#,
};

impl Report for Blame {
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
        let terms = [term("type", "console_file_edit"), term("file_id", &question.file_id)];
        history.scan_opened(&terms, &mut |line, opened| {
            let text = |name: &str| line.body.get(name).and_then(Value::as_str);
            let project = question.project_id.as_deref();
            if project.is_none() || project == text("project_id") {
                let at_ms = time_ms(text("effective_at")).unwrap_or_else(|| line.at.unix_ms());
                rows.push(((at_ms, line.seq), row(state, line, opened.get("file_path"))));
            }
            true
        })?;
        // What was recorded late stands where it happened.
        rows.sort_by_key(|(when, _)| std::cmp::Reverse(*when));
        rows.truncate(question.limit.unwrap_or(ROWS));
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }
}

fn row(state: &State, line: &Line, path: Option<&Value>) -> Value {
    let text = |name: &str| line.body.get(name).and_then(Value::as_str);
    let session = text("session_id").and_then(|id| state.sessions.get(&id.to_owned()));
    json!({
        "seq": line.seq,
        "at": text("effective_at").map_or_else(|| line.at.to_string(), str::to_owned),
        "session_id": text("session_id"),
        "agent_type": session.as_ref().map(|s| &s.agent_type),
        "caller": session.as_ref().map(|s| &s.caller),
        "call_id": text("call_id"),
        "edit_type": text("edit_type"),
        "new_hash": text("new_hash"),
        "observed_by": text("observed_by"),
        "external_change": line.body.get("external_change"),
        "file_path": path,
    })
}
