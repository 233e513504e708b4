//! `file-edit`: a file that was made, changed, removed or renamed.

use serde_json::Value;
use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, Spec};

use super::act::{Said, violation};
use super::{
    CALL, COUNT, DIGEST, EFFECTIVE_AT, Given, KEY, OBSERVED_BY, PROJECT, REASON, RULE, SESSION,
    TEXT_BYTES_MAX, VERDICT, VIOLATION, WHAT, open_session,
};
use crate::state::{File, State};

/// Records an edit.
pub struct FileEdit;

/// What can happen to a file.
pub const EDIT_TYPES: &[&str] = &["create", "modify", "delete", "rename"];

static SPEC: Spec = Spec {
    verb: "file-edit",
    about: "Record that a file was made, changed, removed or renamed",
    needs: "console.file-edit",
    types: &["console_file_edit", VIOLATION],
    fields: &[
        SESSION,
        CALL.optional(),
        Field::new("file_path", Kind::Text(TEXT_BYTES_MAX), "path of the file").private(),
        Field::new("file_id", KEY, "keyed id of the file").filter(),
        PROJECT,
        Field::new("old_hash", DIGEST, "digest of the content before").optional(),
        Field::new("new_hash", DIGEST, "digest of the content after; absent where nobody knows it")
            .optional()
            .filter(),
        Field::new("edit_type", Kind::Choice(EDIT_TYPES), "what happened to it").filter(),
        Field::new("previous_file_id", KEY, "keyed id of the file before it was renamed")
            .optional(),
        Field::new("lines_added", COUNT, "lines added").optional(),
        Field::new("lines_removed", COUNT, "lines removed").optional(),
        VERDICT,
        RULE,
        OBSERVED_BY,
        EFFECTIVE_AT,
        Field::new(
            "external_change",
            Kind::Bool,
            "whether somebody else changed it since the edit that is known before",
        )
        .computed()
        .filter(),
        WHAT,
        REASON,
    ],
    example: r#"{"session_id":"session-1","call_id":"call-3","file_path":"src/main.rs","file_id":"k:0123456789abcdef0123456789abcdef","edit_type":"modify","new_hash":"blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262","observed_by":"hook"}"#,
};

impl Record for FileEdit {
    type State = State;
    type Fact = Given;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, given: Given, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        given.sound(asked)?;
        open_session(state, given.must("session_id"))?;
        fits_together(&given)?;
        let mut body = given.kept(&SPEC);
        // A renamed file goes on where it was.
        let before = given.text("previous_file_id").unwrap_or(given.must("file_id"));
        let known = state.files.get(&before.to_owned());
        // What is told late is not held against what happened later.
        let known = known.filter(|file| file.seen.at_ms <= given.happened_ms(asked));
        let external = known.is_some_and(|file| is_external(&file, given.text("old_hash")));
        body.insert("external_change".to_owned(), Value::from(external));
        let said = Said { verdict: given.text("verdict"), rule: given.text("rule") };
        let mut drafts = vec![Draft::new("console_file_edit", body)];
        drafts.extend(violation(state, &given, &said, "file_edit", asked));
        Ok(drafts)
    }
}

fn fits_together(given: &Given) -> Result<(), Refusal> {
    let edit = given.must("edit_type");
    let (field, what) = match (edit, given.text("previous_file_id"), given.text("new_hash")) {
        ("delete", _, Some(_)) => ("new_hash", "a removed file has no content"),
        ("rename", None, _) => ("previous_file_id", "a renamed file was another before"),
        ("rename", Some(before), _) if before == given.must("file_id") => {
            ("previous_file_id", "a renamed file was another before")
        }
        ("create" | "modify" | "delete", Some(_), _) => {
            ("previous_file_id", "only a renamed file was another before")
        }
        _ => return Ok(()),
    };
    Err(Refusal::malformed("bad_edit", format!("an edit of the type {edit}: {what}"))
        .field(field)
        .hint("Correct --edit-type or the fields that go with it."))
}

/// Whether what was there before is other than what the last known edit left. Digests of two forms say nothing about
/// each other.
fn is_external(file: &File, old_hash: Option<&str>) -> bool {
    let form = |hash: &str| hash.split_once(':').map(|(form, _)| form.to_owned());
    match (old_hash, file.content.as_deref()) {
        (Some(_), _) if file.deleted => true,
        (Some(old), Some(known)) => old != known && form(old) == form(known),
        _ => false,
    }
}
