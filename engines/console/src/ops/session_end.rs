//! `session-end`: a session ends, and what it came to.

use vm_contracts::{Asked, Draft, Field, Kind, Record, Refusal, Spec, Value};

use super::{
    COUNT, EFFECTIVE_AT, EXIT, Given, MODELS_MAX, NAME_BYTES_MAX, OBSERVED_BY, SESSION,
    open_session,
};
use crate::state::State;

/// Ends a session.
pub struct SessionEnd;

/// What an end can add to a session that has ended.
const TOKENS: &[&str] =
    &["tokens_input", "tokens_output", "tokens_cache_write", "tokens_cache_read", "cost_micros"];

const USAGE: &[Field] = &[
    Field::new("model_id", Kind::Name(NAME_BYTES_MAX), "the model"),
    Field::new("tokens_input", COUNT, "tokens that it read").optional(),
    Field::new("tokens_output", COUNT, "tokens that it wrote").optional(),
    Field::new("tokens_cache_write", COUNT, "tokens put into its cache").optional(),
    Field::new("tokens_cache_read", COUNT, "tokens read from its cache").optional(),
    Field::new("cost_micros", COUNT, "cost in millionths of a US dollar").optional(),
];

static SPEC: Spec = Spec {
    verb: "session-end",
    about: "Record that a session has ended, and the tokens it has used in all; tokens also afterwards",
    needs: "console.session-end",
    types: &["console_session_end"],
    fields: &[
        SESSION,
        Field::new("exit_reason", Kind::Name(64), "why it ended").filter(),
        Field::new("exit_code", EXIT, "how the agent's program ended").optional(),
        Field::new("tokens_input", COUNT, "tokens read, all models and all starts").optional(),
        Field::new("tokens_output", COUNT, "tokens written").optional(),
        Field::new("tokens_cache_write", COUNT, "tokens put into caches").optional(),
        Field::new("tokens_cache_read", COUNT, "tokens read from caches").optional(),
        Field::new("cost_micros", COUNT, "cost in millionths of a US dollar").optional(),
        Field::new("usage", Kind::List(MODELS_MAX, USAGE), "the same by model").optional(),
        Field::new("malformed_lines", COUNT, "lines of the transcript that did not read")
            .optional(),
        OBSERVED_BY,
        EFFECTIVE_AT,
        Field::new("duration_ms", COUNT, "from its first start").computed(),
        Field::new("commands_executed", COUNT, "commands that were run").computed(),
        Field::new("files_modified", COUNT, "files that were edited").computed(),
        Field::new("tool_calls", COUNT, "other tools that were called").computed(),
        Field::new("calls_unpaired", COUNT, "calls without a result").computed(),
        Field::new("calls_observed", COUNT, "calls that a hook, a proxy or a wrapper saw")
            .computed(),
        Field::new("calls_total", COUNT, "all calls").computed(),
    ],
    example: r#"{"session_id":"session-2","exit_reason":"done","tokens_input":1200,"tokens_output":300,"observed_by":"hook"}"#,
};

impl Record for SessionEnd {
    type State = State;
    type Fact = Given;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, given: Given, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        given.sound(asked)?;
        let id = given.must("session_id");
        // Who saw the end need not know the tokens: a transcript that is read afterwards adds them, and no more.
        let tells = TOKENS.iter().any(|name| given.0.contains_key(*name));
        let ended = state.sessions.get(&id.to_owned()).filter(|s| tells && s.ended_ms.is_some());
        let session = ended.map_or_else(|| open_session(state, id), Ok)?;
        let mut body = given.kept(&SPEC);
        // An end before the start is a clock that jumped; it took no time that anybody can tell.
        let duration_ms = given.happened_ms(asked).saturating_sub(session.started_ms).max(0);
        body.insert("duration_ms".to_owned(), Value::from(duration_ms));
        let counts = &session.counts;
        for (name, count) in [
            ("commands_executed", counts.commands),
            ("files_modified", counts.files),
            ("tool_calls", counts.tool_calls),
            ("calls_unpaired", counts.open),
            ("calls_observed", counts.observed),
            ("calls_total", counts.calls),
        ] {
            body.insert(name.to_owned(), Value::from(count));
        }
        Ok(vec![Draft::new("console_session_end", body)])
    }
}
