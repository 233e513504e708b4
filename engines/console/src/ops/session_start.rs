//! `session-start`: a conversation with an agent begins, or goes on.

use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, Spec};

use super::{
    ACTOR_BYTES_MAX, DIGEST, EFFECTIVE_AT, Given, ID, NAME_BYTES_MAX, OBSERVED_BY, PROJECT,
    SESSION, TEXT_BYTES_MAX, unknown_session,
};
use crate::state::State;

/// Starts a session.
pub struct SessionStart;

/// How a session is recorded.
pub const MODES: &[&str] = &["record", "guard", "import", "wrapper", "proxy"];
/// Whether the ledger runs under a user that the agent is not.
pub const ISOLATIONS: &[&str] = &["same_user", "other_user", "unknown"];

static SPEC: Spec = Spec {
    verb: "session-start",
    about: "Record that a session of an agent begins or goes on",
    needs: "console.session-start",
    types: &["console_session_start"],
    fields: &[
        SESSION,
        Field::new("agent_type", Kind::Name(64), "the agent, such as claude-code").filter(),
        Field::new("agent_version", Kind::Name(64), "its version").optional().filter(),
        Field::new("model_id", Kind::Name(NAME_BYTES_MAX), "the model").optional().filter(),
        Field::new("caller", Kind::Name(ACTOR_BYTES_MAX), "who it acts for: a DID or local:<uid>")
            .optional()
            .filter(),
        PROJECT,
        Field::new("project_path", Kind::Text(TEXT_BYTES_MAX), "path of the project")
            .optional()
            .private(),
        Field::new("git_head", Kind::Name(64), "commit that was checked out").optional().filter(),
        Field::new("mode", Kind::Choice(MODES), "how it is recorded; guard can deny").filter(),
        Field::new(
            "isolation",
            Kind::Choice(ISOLATIONS),
            "whether the ledger runs under a user that the agent is not",
        )
        .optional(),
        Field::new("parent_session_id", ID, "session that spawned it").optional().filter(),
        Field::new("resumed", Kind::Bool, "whether a known session goes on").optional().filter(),
        Field::new("source_format", Kind::Name(32), "format it was imported from")
            .optional()
            .filter(),
        Field::new("source_digest", DIGEST, "digest of what it was imported from")
            .optional()
            .private(),
        OBSERVED_BY,
        EFFECTIVE_AT,
    ],
    example: r#"{"session_id":"session-3","agent_type":"claude-code","model_id":"model-1","mode":"record","isolation":"same_user","observed_by":"hook"}"#,
};

impl Record for SessionStart {
    type State = State;
    type Fact = Given;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, given: Given, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        given.sound(asked)?;
        let id = given.must("session_id");
        match (state.sessions.contains(&id.to_owned()), given.is("resumed")) {
            (true, false) => {
                let what = format!("the session {id} was started already");
                return Err(Refusal::conflict("session_exists", what)
                    .field("session_id")
                    .hint("Say --resumed if it goes on."));
            }
            (false, true) => return Err(unknown_session("session_id", id)),
            _ => {}
        }
        Ok(vec![Draft::new("console_session_start", given.kept(&SPEC))])
    }
}
