//! `installation`: hooks came into the settings of an agent or of git, or were taken out again.

use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, Spec};

use super::{DIGEST, EFFECTIVE_AT, Given, OBSERVED_BY, TEXT_BYTES_MAX};
use crate::state::State;

/// Records a change of settings.
pub struct Installation;

static SPEC: Spec = Spec {
    verb: "installation",
    about: "Record that hooks were put into settings, or taken out",
    needs: "console.installation",
    types: &["console_install"],
    fields: &[
        Field::new("agent", Kind::Name(64), "whose settings, such as claude or git").filter(),
        Field::new("action", Kind::Choice(&["installed", "removed"]), "put in or taken out")
            .filter(),
        Field::new("scope", Kind::Choice(&["user", "project"]), "whom the settings are for"),
        Field::new("mode", Kind::Choice(&["record", "guard"]), "what the hooks do where they fail")
            .optional()
            .filter(),
        Field::new("file", Kind::Text(TEXT_BYTES_MAX), "the file that was changed").private(),
        Field::new("before_hash", DIGEST, "digest of the file before; absent where there was none")
            .optional(),
        Field::new("after_hash", DIGEST, "digest of the file after; absent where there is none")
            .optional(),
        OBSERVED_BY,
        EFFECTIVE_AT,
    ],
    example: r#"{"agent":"claude","action":"installed","scope":"user","mode":"record","file":"/home/ann/.claude/settings.json","after_hash":"blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262","observed_by":"person"}"#,
};

impl Record for Installation {
    type State = State;
    type Fact = Given;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, _state: &State, given: Given, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        given.sound(asked)?;
        Ok(vec![Draft::new("console_install", given.kept(&SPEC))])
    }
}
