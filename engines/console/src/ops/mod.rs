//! The operations, one file each, and the fields they share.

pub mod agent_spawn;
pub mod approval;
pub mod command;
pub mod evidence;
pub mod file_edit;
pub mod gap;
pub mod git_commit;
pub mod install;
pub mod session_end;
pub mod session_start;
pub mod tool_call;

mod act;
mod given;

pub use given::Given;

use vm_contracts::{Field, Kind, Refusal};

use crate::keyed::ID_BYTES_MAX;
use crate::state::{Session, State};

/// How far a time that is told may lie after the ledger's clock: two clocks never agree.
pub const AHEAD_MS_MAX: i64 = 5 * 60 * 1000;
/// Longest path, note or reason, in bytes.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Longest command line, in bytes.
pub const COMMAND_BYTES_MAX: usize = 16_384;
/// Longest parameters of a tool, in bytes.
pub const PARAMS_BYTES_MAX: usize = 8_192;
/// Longest name of a tool, a model or a program, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest name of whom an agent acts for or of who approves, in bytes: a DID.
pub const ACTOR_BYTES_MAX: usize = 256;
/// Most models of one session.
pub const MODELS_MAX: usize = 16;
/// Deepest tree of sessions.
pub const DEPTH_MAX: usize = 64;

/// Ids.
pub const ID: Kind = Kind::Name(ID_BYTES_MAX);
/// Keyed names: `k:` and 32 hex digits.
pub const KEY: Kind = Kind::Name(34);
/// Digests of content.
pub const DIGEST: Kind = Kind::Name(80);
/// How many.
pub const COUNT: Kind = Kind::Integer(0, 9_007_199_254_740_991);
/// How a program ended; some systems count without a sign.
pub const EXIT: Kind = Kind::Integer(-2_147_483_648, 4_294_967_295);
/// Who saw it: what a transcript or an agent says of itself is worth less than what stood between.
pub const OBSERVERS: &[&str] =
    &["hook", "proxy", "transcript", "wrapper", "spool", "otlp", "git", "person"];
/// What part of a call a receipt is about.
pub const PHASES: &[&str] = &["call", "result", "whole"];
/// What a policy says, the stricter later.
pub const VERDICTS: &[&str] = &["allow", "ask", "deny"];
/// What was carried out against a policy.
pub const ACTS: &[&str] = &["command", "file_edit", "tool_call"];

/// Receipt of what was carried out against a policy.
pub const VIOLATION: &str = "console_policy_violation";

/// The session it belongs to.
pub const SESSION: Field = Field::new("session_id", ID, "id of the session").filter();
/// The call it belongs to.
pub const CALL: Field = Field::new("call_id", ID, "id of the call, unique in its session").filter();
/// Who saw it.
pub const OBSERVED_BY: Field =
    Field::new("observed_by", Kind::Choice(OBSERVERS), "who saw it").filter();
/// When it happened.
pub const EFFECTIVE_AT: Field =
    Field::new("effective_at", Kind::Time, "when it happened, if not now").optional().filter();
/// The part of a call.
pub const PHASE: Field = Field::new(
    "phase",
    Kind::Choice(PHASES),
    "call before it begins, result when it ended, whole for both",
)
.filter();
/// Whether it was kept from happening.
pub const DENIED: Field =
    Field::new("denied", Kind::Bool, "whether it was kept from happening").optional().filter();
/// What the policy said.
pub const VERDICT: Field =
    Field::new("verdict", Kind::Choice(VERDICTS), "what the policy said").optional().filter();
/// Which rule said so.
pub const RULE: Field =
    Field::new("rule", Kind::Name(64), "the rule that said so").optional().filter();
/// What was carried out against the policy.
pub const WHAT: Field =
    Field::new("what", Kind::Choice(ACTS), "what was carried out against the policy")
        .computed()
        .filter();
/// Why it is against the policy. Leave that a person gave in the agent's own window reaches no ledger, so what was
/// asked for there is told as `no_approval`.
pub const REASON: Field = Field::new(
    "reason",
    Kind::Choice(&["denied", "no_approval"]),
    "denied: the policy forbids it; no_approval: it asks, and no approval is recorded (a yes in the agent's own window is none)",
)
.computed()
.filter();
/// The project.
pub const PROJECT: Field =
    Field::new("project_id", KEY, "keyed id of the project").optional().filter();

/// The session of an act: known, and not at its end.
pub(crate) fn open_session(state: &State, id: &str) -> Result<Session, Refusal> {
    let session =
        state.sessions.get(&id.to_owned()).ok_or_else(|| unknown_session("session_id", id))?;
    match session.ended_ms {
        None => Ok(session),
        Some(_) => Err(Refusal::conflict("session_ended", format!("the session {id} has ended"))
            .field("session_id")
            .hint("Start it again with --resumed if it goes on.")),
    }
}

/// No session has this id.
pub(crate) fn unknown_session(field: &str, id: &str) -> Refusal {
    Refusal::not_found("unknown_session", format!("no session has the id {id:?}"))
        .field(field)
        .hint("Record its start first; `vm console sessions` lists those that are known.")
}
