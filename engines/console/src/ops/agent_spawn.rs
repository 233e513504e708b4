//! `agent-spawn`: a session let another agent work for it.

use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, RefusalKind, Spec};

use super::{
    CALL, DEPTH_MAX, DIGEST, EFFECTIVE_AT, Given, ID, OBSERVED_BY, TEXT_BYTES_MAX, unknown_session,
};
use crate::state::State;

/// Records that a session spawned another.
pub struct AgentSpawn;

static SPEC: Spec = Spec {
    verb: "agent-spawn",
    about: "Record that a session let another agent work for it",
    needs: "console.agent-spawn",
    types: &["console_agent_spawn"],
    fields: &[
        Field::new("parent_session_id", ID, "session that spawned").filter(),
        Field::new("child_session_id", ID, "session that was spawned").filter(),
        Field::new("agent_type", Kind::Name(64), "the agent of the child").filter(),
        CALL.optional(),
        Field::new("task_hash", DIGEST, "digest of the task").optional().private(),
        Field::new("task", Kind::Text(TEXT_BYTES_MAX), "what it was told to do")
            .optional()
            .private(),
        OBSERVED_BY,
        EFFECTIVE_AT,
    ],
    example: r#"{"parent_session_id":"session-1","child_session_id":"session-2","agent_type":"explore","task":"Find where errors are listed","observed_by":"transcript"}"#,
};

impl Record for AgentSpawn {
    type State = State;
    type Fact = Given;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, given: Given, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        given.sound(asked)?;
        let (parent, child) = (given.must("parent_session_id"), given.must("child_session_id"));
        for (field, id) in [("parent_session_id", parent), ("child_session_id", child)] {
            if !state.sessions.contains(&id.to_owned()) {
                return Err(unknown_session(field, id));
            }
        }
        if let Some(before) = state.parents.get(&child.to_owned()) {
            let what = format!("the session {child} was spawned by {} already", before.parent);
            return Err(Refusal::conflict("child_has_parent", what).field("child_session_id"));
        }
        match state.ancestry(parent, child) {
            Ancestry::Free => Ok(vec![Draft::new("console_agent_spawn", given.kept(&SPEC))]),
            Ancestry::Cycle => {
                let what = format!("{child} would be a session below itself");
                Err(Refusal::invariant("spawn_cycle", what).field("child_session_id"))
            }
            Ancestry::TooDeep => {
                let what = format!("{child} would be more than {DEPTH_MAX} sessions deep");
                Err(Refusal::new("spawn_too_deep", RefusalKind::TooLarge, what)
                    .field("child_session_id"))
            }
        }
    }
}

/// What stands above a session that is about to get a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ancestry {
    /// Nothing against it.
    Free,
    /// The child itself.
    Cycle,
    /// More than may be.
    TooDeep,
}
