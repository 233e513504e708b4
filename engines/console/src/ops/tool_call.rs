//! `tool-call`: a tool that an agent called, or is about to.

use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, Spec};

use super::act::act;
use super::{
    CALL, COUNT, DENIED, DIGEST, EFFECTIVE_AT, Given, KEY, NAME_BYTES_MAX, OBSERVED_BY,
    PARAMS_BYTES_MAX, PHASE, REASON, RULE, SESSION, VERDICT, VIOLATION, WHAT,
};
use crate::state::State;

/// Records a tool call.
pub struct ToolCall;

static SPEC: Spec = Spec {
    verb: "tool-call",
    about: "Record a tool call of a session, before it begins, when it ended, or both at once",
    needs: "console.tool-call",
    types: &["console_tool_call", VIOLATION],
    fields: &[
        SESSION,
        CALL,
        PHASE,
        Field::new("tool_name", Kind::Name(NAME_BYTES_MAX), "name of the tool").filter(),
        Field::new("params_hash", KEY, "keyed digest of the parameters").optional().filter(),
        Field::new("params", Kind::Text(PARAMS_BYTES_MAX), "the parameters, without secrets")
            .optional()
            .private(),
        Field::new("result_hash", DIGEST, "digest of the result").optional().private(),
        Field::new("result_bytes", COUNT, "bytes of the result").optional(),
        Field::new("is_error", Kind::Bool, "whether it failed").optional().filter(),
        Field::new("duration_ms", COUNT, "how long it took").optional(),
        Field::new("capability_used", Kind::Name(NAME_BYTES_MAX), "the capability it needed")
            .optional()
            .filter(),
        DENIED,
        VERDICT,
        RULE,
        OBSERVED_BY,
        EFFECTIVE_AT,
        WHAT,
        REASON,
    ],
    example: r#"{"session_id":"session-1","call_id":"call-2","phase":"call","tool_name":"WebFetch","params":"{\"url\":\"https://example.org\"}","observed_by":"hook"}"#,
};

impl Record for ToolCall {
    type State = State;
    type Fact = Given;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, given: Given, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        act(state, &SPEC, "tool_call", &given, asked)
    }
}
