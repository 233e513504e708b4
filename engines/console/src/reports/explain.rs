//! `explain`: which of these files a recorded edit explains. What a commit is made of is for the caller to say.

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Report, Spec, Value};

use super::{moment_text, time_ms};
use crate::explain::{Changed, Why, explain};
use crate::ops::git_commit::{CHANGED, FILES_MAX};
use crate::ops::{COUNT, ID, KEY, OBSERVERS};
use crate::state::State;

/// Explains files.
pub struct Explain;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    project_id: Option<String>,
    files: Vec<Changed>,
    committed_at: Option<String>,
}

/// Words for reasons, in the order of [`Why::ALL`].
const REASONS: &[&str] =
    &["no_edit", "other_content", "deleted", "moved", "submodule", "not_examined"];

const ANSWER: &[Field] = &[
    Field::new("file_id", KEY, "keyed id of the file"),
    Field::new("explained", Kind::Bool, "whether an edit left it as it is"),
    Field::new("reason", Kind::Choice(REASONS), "why none did").optional(),
    Field::new("session_id", ID, "session of the edit").optional(),
    Field::new("agent_type", Kind::Name(64), "agent of the session").optional(),
    Field::new("observed_by", Kind::Choice(OBSERVERS), "who saw the edit").optional(),
    Field::new("seq", COUNT, "leaf index of the edit's receipt").optional(),
    Field::new("at", Kind::Time, "when the edit was made").optional(),
];

static SPEC: Spec = Spec {
    verb: "explain",
    about: "Tell which of these files a recorded edit explains",
    needs: "console.read",
    types: &[],
    fields: &[
        Field::new("project_id", KEY, "their project, only for the answer: ids of files hold it")
            .optional(),
        Field::new("files", Kind::List(FILES_MAX, CHANGED), "the changed files"),
        Field::new(
            "committed_at",
            Kind::Time,
            "when they were committed; later edits explain nothing",
        )
        .optional(),
        Field::new("explained", COUNT, "files that a recorded edit left as they are").computed(),
        Field::new("unexplained", COUNT, "files that none left so").computed(),
        Field::new("not_examined", COUNT, "files that were not compared").computed(),
        Field::new("answers", Kind::List(FILES_MAX, ANSWER), "each file, in the order given")
            .computed(),
    ],
    example: r#"{"files":[{"file_id":"k:0123456789abcdef0123456789abcdef","status":"modified","content":"blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"}]}"#,
};

impl Report for Explain {
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
        let mut counts = [0u64; 3];
        let mut answers = Vec::with_capacity(question.files.len());
        let committed_ms = time_ms(question.committed_at.as_deref());
        for file in &question.files {
            answers.push(match explain(state, file, committed_ms) {
                Ok(by) => {
                    counts[0] += 1;
                    let session = state.sessions.get(&by.session);
                    json!({
                        "file_id": file.file_id,
                        "explained": true,
                        "session_id": by.session,
                        "agent_type": session.map(|s| s.agent_type),
                        "observed_by": by.observed_by,
                        "seq": by.seq,
                        "at": moment_text(by.at_ms),
                    })
                }
                Err(why) => {
                    let examined = !matches!(why, Why::Submodule | Why::NotExamined);
                    counts[if examined { 1 } else { 2 }] += 1;
                    json!({"file_id": file.file_id, "explained": false, "reason": why.word()})
                }
            });
        }
        Ok(json!({
            "project_id": question.project_id,
            "explained": counts[0],
            "unexplained": counts[1],
            "not_examined": counts[2],
            "answers": answers,
        }))
    }
}
