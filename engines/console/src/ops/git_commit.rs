//! `git-commit`: a commit, and which of its files the recorded edits explain.

use std::collections::BTreeSet;

use serde::Deserialize;
use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, Spec, Value};

use super::{COUNT, DIGEST, EFFECTIVE_AT, Given, KEY, OBSERVED_BY};
use crate::explain::{Changed, Status, Why, explain};
use crate::keyed::ID_BYTES_MAX;
use crate::state::State;

/// Records a commit.
pub struct GitCommit;

/// Most files that one call compares.
pub const FILES_MAX: usize = 4_096;
/// Most ids of sessions that a receipt names.
const SESSIONS_MAX: usize = 16;
/// Most ids of files without an explanation that a receipt names.
const UNEXPLAINED_MAX: usize = 64;
/// The whole, in basis points.
const WHOLE_BP: u64 = 10_000;

/// A changed file of a commit.
pub const CHANGED: &[Field] = &[
    Field::new("file_id", KEY, "keyed id of the file"),
    Field::new("status", Kind::Choice(Status::WORDS), "what the commit did to it"),
    Field::new("content", DIGEST, "digest of its content in the commit").optional(),
    Field::new(
        "contents",
        Kind::TextList(8, 80),
        "other digests that the same content could have been recorded under",
    )
    .optional(),
    Field::new("previous_file_id", KEY, "keyed id before it was renamed").optional(),
];

static SPEC: Spec = Spec {
    verb: "git-commit",
    about: "Record a commit, and which of its files the recorded edits explain",
    needs: "console.git-commit",
    types: &["console_git_commit"],
    fields: &[
        Field::new("commit_hash", Kind::Name(64), "id of the commit").filter(),
        Field::new("tree_hash", Kind::Name(64), "id of its tree"),
        Field::new("parents", Kind::TextList(16, 64), "ids of its parents").optional(),
        Field::new("project_id", KEY, "keyed id of the project").filter(),
        Field::new("files", Kind::List(FILES_MAX, CHANGED), "the files that it changes")
            .optional()
            .steering(),
        Field::new("files_changed", COUNT, "how many it changes, if more than are listed")
            .optional(),
        Field::new("committed_at", Kind::Time, "when it was made; later edits explain nothing")
            .optional(),
        Field::new("message_hash", DIGEST, "digest of its message").optional().private(),
        Field::new("author", Kind::Text(512), "who wrote it").optional().private(),
        Field::new("signed", Kind::Bool, "whether it carries a signature").optional(),
        Field::new("submodules", COUNT, "how many of them are submodules").optional(),
        OBSERVED_BY,
        EFFECTIVE_AT,
        Field::new("files_explained", COUNT, "files that a recorded edit left as they are")
            .computed(),
        Field::new("files_unexplained", COUNT, "files that none left so").computed(),
        Field::new("files_not_examined", COUNT, "files that were not compared").computed(),
        Field::new(
            "explained_ratio_bp",
            Kind::Integer(0, 10_000),
            "explained of all that changed, in basis points, rounded down",
        )
        .computed(),
        Field::new(
            "session_ids",
            Kind::TextList(SESSIONS_MAX, ID_BYTES_MAX),
            "the first 16 sessions that explain files",
        )
        .computed()
        .filter(),
        Field::new(
            "unexplained_ids",
            Kind::TextList(UNEXPLAINED_MAX, 64),
            "the first 64 files without an explanation",
        )
        .computed(),
    ],
    example: r#"{"commit_hash":"1f7a7a472abf3dd9643fd615f6da379c4acb3e3a","tree_hash":"4b825dc642cb6eb9a060e54bf8d69288fbee4904","project_id":"k:fedcba9876543210fedcba9876543210","files":[{"file_id":"k:0123456789abcdef0123456789abcdef","status":"modified","content":"blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"}],"observed_by":"git"}"#,
};

#[derive(Default, Deserialize)]
struct Files {
    #[serde(default)]
    files: Vec<Changed>,
}

impl Record for GitCommit {
    type State = State;
    type Fact = Given;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, given: Given, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        given.sound(asked)?;
        let mut body = given.kept(&SPEC);
        let files = files_of(&given)?;
        let listed = files.len() as u64;
        let all = given.integer("files_changed").map_or(Some(listed), |n| u64::try_from(n).ok());
        let Some(all) = all.filter(|all| *all >= listed) else {
            let what = format!("{listed} files are listed, which is more than files_changed");
            return Err(Refusal::malformed("bad_count", what).field("files_changed"));
        };
        let (mut explained, mut unexplained) = (0u64, Vec::new());
        let mut sessions = BTreeSet::new();
        let mut not_examined = all - listed;
        for file in files {
            match explain(state, &file, given.time_ms("committed_at")) {
                Ok(edit) => {
                    explained += 1;
                    sessions.insert(edit.session);
                }
                Err(Why::Submodule | Why::NotExamined) => not_examined += 1,
                Err(_) => unexplained.push(file.file_id),
            }
        }
        let missing = unexplained.len();
        unexplained.truncate(UNEXPLAINED_MAX);
        let sessions: Vec<String> = sessions.into_iter().take(SESSIONS_MAX).collect();
        for (name, value) in [
            ("files_changed", Value::from(all)),
            ("files_explained", Value::from(explained)),
            ("files_unexplained", Value::from(missing)),
            ("files_not_examined", Value::from(not_examined)),
            ("session_ids", Value::from(sessions)),
            ("unexplained_ids", Value::from(unexplained)),
        ] {
            body.insert(name.to_owned(), value);
        }
        if let Some(ratio) = explained.saturating_mul(WHOLE_BP).checked_div(all) {
            body.insert("explained_ratio_bp".to_owned(), Value::from(ratio));
        }
        Ok(vec![Draft::new("console_git_commit", body)])
    }
}

fn files_of(given: &Given) -> Result<Vec<Changed>, Refusal> {
    let Some(files) = given.0.get("files") else { return Ok(Vec::new()) };
    let only = vm_contracts::Map::from_iter([("files".to_owned(), files.clone())]);
    let files: Files = vm_contracts::edge::typed(&SPEC, &only)?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = files.files.iter().find(|f| !seen.insert(&f.file_id)) {
        let what = format!("the file {} is listed twice", twice.file_id);
        return Err(Refusal::malformed("file_twice", what).field("files"));
    }
    Ok(files.files)
}
