//! `command`: a program that was run, or is about to be.

use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, Spec};

use super::act::act;
use super::{
    CALL, COMMAND_BYTES_MAX, COUNT, DENIED, DIGEST, EFFECTIVE_AT, EXIT, Given, KEY, NAME_BYTES_MAX,
    OBSERVED_BY, PHASE, REASON, RULE, SESSION, TEXT_BYTES_MAX, VERDICT, VIOLATION, WHAT,
};
use crate::state::State;

/// Records a command.
pub struct Command;

static SPEC: Spec = Spec {
    verb: "command",
    about: "Record a command of a session, before it runs, when it ended, or both at once",
    needs: "console.command",
    types: &["console_command", VIOLATION],
    fields: &[
        SESSION,
        CALL,
        PHASE,
        Field::new("command", Kind::Text(COMMAND_BYTES_MAX), "the command line, without secrets")
            .optional()
            .private(),
        Field::new("args_hash", KEY, "keyed digest of the arguments").optional().filter(),
        Field::new("program", Kind::Name(NAME_BYTES_MAX), "the program").optional().private(),
        Field::new("cwd", Kind::Text(TEXT_BYTES_MAX), "where it ran").optional().private(),
        Field::new("exit_code", EXIT, "how it ended").optional().filter(),
        Field::new("is_error", Kind::Bool, "whether it failed").optional().filter(),
        Field::new("duration_ms", COUNT, "how long it ran").optional(),
        Field::new("stdout_bytes", COUNT, "bytes of its output").optional(),
        Field::new("stderr_bytes", COUNT, "bytes of its errors").optional(),
        Field::new("stdout_hash", DIGEST, "digest of its output").optional().private(),
        Field::new("stderr_hash", DIGEST, "digest of its errors").optional().private(),
        Field::new("interrupted", Kind::Bool, "whether it was stopped").optional(),
        DENIED,
        VERDICT,
        RULE,
        OBSERVED_BY,
        EFFECTIVE_AT,
        WHAT,
        REASON,
    ],
    example: r#"{"session_id":"session-1","call_id":"call-1","phase":"whole","command":"cargo test","exit_code":0,"duration_ms":1200,"observed_by":"hook"}"#,
};

impl Record for Command {
    type State = State;
    type Fact = Given;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, given: Given, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        act(state, &SPEC, "command", &given, asked)
    }
}
