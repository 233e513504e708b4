//! A checked intent, read by the names of its fields. What a name promises (a keyed name, a digest, an id) is checked
//! here, in one place for all operations, and so is that no text holds a secret.

use serde::Deserialize;
use vm_contracts::{Asked, Map, Moment, Refusal, Spec, Value};

use super::AHEAD_MS_MAX;
use crate::keyed::{is_content, is_digest, is_hex, is_keyed, is_plain_id};
use crate::secrets::holds_secret;

/// The fields of an intent whose kinds were checked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Given(pub Map<String, Value>);

/// What a text of this name has to look like.
enum Form {
    /// An id of letters, digits, dots, dashes.
    Id,
    /// `k:` and 32 hex digits.
    Keyed,
    /// The digest of content, in either form.
    Content,
    /// An open digest.
    Digest,
    /// A git object id.
    Hex,
    /// A time or a word of a list, which the declaration has checked.
    Checked,
    /// Anything but a secret.
    Free,
}

fn form(name: &str) -> Form {
    match name {
        "session_id" | "call_id" | "approval_id" | "parent_session_id" | "child_session_id" => {
            Form::Id
        }
        "project_id" | "file_id" | "previous_file_id" | "args_hash" | "params_hash" => Form::Keyed,
        "old_hash" | "new_hash" | "before_hash" | "after_hash" | "content" | "contents" => {
            Form::Content
        }
        "stdout_hash" | "stderr_hash" | "result_hash" | "message_hash" | "task_hash"
        | "source_digest" | "content_hash" => Form::Digest,
        "commit_hash" | "tree_hash" | "parents" | "git_head" => Form::Hex,
        "observed_by" | "phase" | "verdict" | "edit_type" | "status" | "mode" | "isolation"
        | "committed_at" | "effective_at" | "expires_at" | "from_at" | "until_at" => Form::Checked,
        _ => Form::Free,
    }
}

impl Given {
    /// A text, if it was given.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A text that the declaration requires.
    pub(crate) fn must(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// An integer, if it was given.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    /// Whether it was said to be so.
    pub fn is(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool) == Some(true)
    }

    /// A time in Unix milliseconds, if it was given.
    pub fn time_ms(&self, name: &str) -> Option<i64> {
        Some(Moment::parse(self.text(name)?).ok()?.unix_ms())
    }

    /// When it happened: what was told, or the ledger's clock.
    pub(crate) fn happened_ms(&self, asked: Asked<'_>) -> i64 {
        self.time_ms("effective_at").unwrap_or_else(|| asked.at.unix_ms())
    }

    /// The checks that every operation begins with.
    pub(crate) fn sound(&self, asked: Asked<'_>) -> Result<(), Refusal> {
        let ahead = |ms: i64| ms.saturating_sub(asked.at.unix_ms()) > AHEAD_MS_MAX;
        if let Some(told) = self.text("effective_at")
            && self.time_ms("effective_at").is_some_and(ahead)
        {
            let what = format!("effective_at {told} lies after the ledger's clock, {}", asked.at);
            return Err(Refusal::invariant("from_future", what)
                .field("effective_at")
                .hint("Record it when it has happened."));
        }
        sound_map(&self.0, "")
    }

    /// The fields that a receipt keeps, as they were given.
    pub(crate) fn kept(&self, spec: &Spec) -> Map<String, Value> {
        let is_kept = |name: &str| spec.field(name).is_some_and(|f| f.is_kept());
        let kept = self.0.iter().filter(|(name, _)| is_kept(name));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

fn sound_map(map: &Map<String, Value>, path: &str) -> Result<(), Refusal> {
    for (name, value) in map {
        match value {
            Value::String(text) => sound_text(name, text, path)?,
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    match item {
                        Value::Object(item) => sound_map(item, &format!("{path}{name}[{n}]."))?,
                        Value::String(text) => sound_text(name, text, path)?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn sound_text(name: &str, text: &str, path: &str) -> Result<(), Refusal> {
    let (holds, code, wanted) = match form(name) {
        Form::Checked => return Ok(()),
        Form::Id => (
            is_plain_id(text) && !holds_secret(text.as_bytes()),
            "bad_id",
            "at most 64 letters, digits, dots, dashes and underscores",
        ),
        Form::Keyed => (is_keyed(text), "not_keyed", "k: and 32 hex digits"),
        Form::Content => {
            (is_content(text), "digest_malformed", "blake3: or keyed: and 64 hex digits")
        }
        Form::Digest => (is_digest(text), "digest_malformed", "blake3: and 64 hex digits"),
        Form::Hex => {
            (is_hex(text, 40) || is_hex(text, 64), "digest_malformed", "40 or 64 hex digits")
        }
        Form::Free if holds_secret(text.as_bytes()) => {
            let place = format!("{path}{name}");
            return Err(Refusal::malformed(
                "secret_in_text",
                format!("{place} holds what looks like a secret"),
            )
            .field(place)
            .hint("Leave it out or write [redacted] in its place; a secret is never kept."));
        }
        Form::Free => return Ok(()),
    };
    if holds {
        return Ok(());
    }
    // What was given is not repeated: it may be the very thing that must not be shown.
    let place = format!("{path}{name}");
    Err(Refusal::malformed(code, format!("{place} must be {wanted}")).field(place))
}
