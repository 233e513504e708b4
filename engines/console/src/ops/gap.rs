//! `gap`: something was not recorded, and that it was not is evidence.

use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, Spec};

use super::{COUNT, EFFECTIVE_AT, Given, OBSERVED_BY, SESSION, TEXT_BYTES_MAX};
use crate::state::State;

/// Records a gap. It is never refused for the session it names: what was lost may be its very start.
pub struct Gap;

/// Why nothing was recorded.
pub const REASONS: &[&str] =
    &["no_owner", "deadline", "spool_full", "malformed", "unpaired", "disk"];

static SPEC: Spec = Spec {
    verb: "gap",
    about: "Record that something was not recorded",
    needs: "console.gap",
    types: &["console_gap"],
    fields: &[
        SESSION.optional(),
        Field::new("reason", Kind::Choice(REASONS), "why").filter(),
        Field::new("events", COUNT, "how many events were lost or came late"),
        Field::new("from_at", Kind::Time, "since when").optional(),
        Field::new("until_at", Kind::Time, "until when").optional(),
        Field::new("detail", Kind::Text(TEXT_BYTES_MAX), "what is known about it")
            .optional()
            .private(),
        OBSERVED_BY,
        EFFECTIVE_AT,
    ],
    example: r#"{"session_id":"session-1","reason":"no_owner","events":3,"observed_by":"spool"}"#,
};

impl Record for Gap {
    type State = State;
    type Fact = Given;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, _state: &State, given: Given, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        given.sound(asked)?;
        Ok(vec![Draft::new("console_gap", given.kept(&SPEC))])
    }
}
