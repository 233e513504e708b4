//! `costs`: tokens and what they cost.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Report, Spec, Value};

use super::time_ms;
use crate::ops::COUNT;
use crate::state::{Session, State, Usage};

/// Adds costs up.
pub struct Costs;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    by: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// What costs can be told by.
const BY: &[&str] = &["model", "agent", "project", "session"];
/// Where nobody told the model or the project.
const UNKNOWN: &str = "unknown";

static SPEC: Spec = Spec {
    verb: "costs",
    about: "Add up tokens and costs by model, agent, project or session",
    needs: "console.read",
    types: &[],
    fields: &[
        Field::new("by", Kind::Choice(BY), "what to add up by; model if it is not given")
            .optional(),
        Field::new("from", Kind::Time, "only sessions that started since").optional(),
        Field::new("to", Kind::Time, "only sessions that started before").optional(),
        Field::new("name", Kind::Text(128), "the model, agent, project or session").computed(),
        Field::new("sessions", COUNT, "how many sessions").computed(),
        Field::new("tokens_input", COUNT, "tokens read").computed(),
        Field::new("tokens_output", COUNT, "tokens written").computed(),
        Field::new("tokens_cache_write", COUNT, "tokens put into caches").computed(),
        Field::new("tokens_cache_read", COUNT, "tokens read from caches").computed(),
        Field::new("cost_micros", COUNT, "cost in millionths of a US dollar").computed(),
    ],
    example: r#"{"by":"agent"}"#,
};

impl Report for Costs {
    type State = State;
    type Question = Question;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn answer(
        &self,
        state: &State,
        _history: &mut dyn History,
        question: Question,
    ) -> Result<Value, Failure> {
        let (from, to) = (time_ms(question.from.as_deref()), time_ms(question.to.as_deref()));
        let by = question.by.as_deref().unwrap_or(BY[0]);
        let mut sums: BTreeMap<String, (u64, Usage)> = BTreeMap::new();
        for (id, session) in state.sessions.iter() {
            let early = from.is_some_and(|from| session.started_ms < from);
            let late = to.is_some_and(|to| session.started_ms >= to);
            if early || late {
                continue;
            }
            for (name, usage) in parts(by, id, session) {
                let sum = sums.entry(name).or_default();
                *sum = (sum.0.saturating_add(1), sum.1.plus(usage));
            }
        }
        let row = |(name, (sessions, usage)): (String, (u64, Usage))| {
            json!({
                "name": name,
                "sessions": sessions,
                "tokens_input": usage.input,
                "tokens_output": usage.output,
                "tokens_cache_write": usage.cache_write,
                "tokens_cache_read": usage.cache_read,
                "cost_micros": usage.cost_micros,
            })
        };
        Ok(sums.into_iter().map(row).collect())
    }
}

/// What a session adds to which names.
fn parts(by: &str, id: String, session: Session) -> Vec<(String, Usage)> {
    let unknown = || UNKNOWN.to_owned();
    match by {
        "agent" => vec![(session.agent_type, session.usage)],
        "project" => vec![(session.project_id.unwrap_or_else(unknown), session.usage)],
        "session" => vec![(id, session.usage)],
        _ if session.models.is_empty() => {
            vec![(session.model_id.unwrap_or_else(unknown), session.usage)]
        }
        _ => {
            // A model that is told twice is still one session.
            let mut models: BTreeMap<String, Usage> = BTreeMap::new();
            for (model, usage) in session.models {
                let sum = models.entry(model).or_default();
                *sum = sum.plus(usage);
            }
            models.into_iter().collect()
        }
    }
}
