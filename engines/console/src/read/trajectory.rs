//! Trajectories of SWE-agent: one document with the steps of one session.

use super::event::{Call, Event, Facts, Outcome, Tokens, What};
use super::json::{any_text, count, text};
use super::text::{clip, directory};
use serde_json::{Value, json};

/// Tools of the agent's own shell that no program stands behind.
const OWN: &[&str] = &[
    "submit",
    "exit_cost",
    "exit_context",
    "exit_format",
    "exit_error",
    "exit_api",
    "skip",
    "open",
    "goto",
    "scroll_down",
    "scroll_up",
    "search_dir",
    "search_file",
    "find_file",
    "edit",
    "create",
    "insert",
    "undo_edit",
    "str_replace_editor",
    "view_image",
    "think",
    "review_on_submit",
    "disassemble",
    "decompile",
];
/// What the agent's editor says when it did not take an edit.
const NOT_TAKEN: &str = "Your proposed edit has introduced new syntax error";

/// The events of a document; none where it is no trajectory.
pub fn events(document: &Value, session: &str) -> Option<Vec<Event>> {
    let steps = document.get("trajectory")?.as_array()?;
    let mut events = Vec::new();
    let event = |place: String, what| Event { session: session.to_owned(), at: None, place, what };
    let start = "trajectory".to_owned();
    events.push(event(start.clone(), What::Facts(Box::new(facts(document, steps)))));
    for (number, step) in steps.iter().enumerate() {
        let Some(action) = text(step, "action") else { continue };
        let place = format!("step {}", number + 1);
        let id = format!("step-{}", number + 1);
        let call = call(&id, action, step);
        events.push(event(place.clone(), What::Call(Box::new(call))));
        if let Some(observation) = text(step, "observation") {
            let outcome = Outcome {
                call: id,
                is_error: observation.contains(NOT_TAKEN).then_some(true),
                output: Some(observation.to_owned()),
                duration_ms: step.get("execution_time").and_then(milliseconds),
                ..Outcome::default()
            };
            events.push(event(place, What::Result(Box::new(outcome))));
        }
    }
    let info = document.get("info").cloned().unwrap_or_default();
    if let Some(stats) = info.get("model_stats") {
        let tokens = Tokens {
            model: model(document),
            input: count(stats, "tokens_sent").unwrap_or(0),
            output: count(stats, "tokens_received").unwrap_or(0),
            cost_micros: stats.get("instance_cost").and_then(micros).unwrap_or(0),
            ..Tokens::default()
        };
        events.push(event("model_stats".to_owned(), What::Tokens(tokens)));
    }
    let reason = text(&info, "exit_status").unwrap_or("trajectory_end").to_owned();
    events.push(event("info".to_owned(), What::End { reason }));
    Some(events)
}

fn facts(document: &Value, steps: &[Value]) -> Facts {
    Facts {
        agent_type: Some("swe-agent".to_owned()),
        agent_version: document
            .get("info")
            .and_then(|i| any_text(i, &["swe_agent_version"]))
            .map(clip),
        model: model(document),
        cwd: steps.first().and_then(|step| directory(&state(step, "working_dir")?)),
        ..Facts::default()
    }
}

fn model(document: &Value) -> Option<String> {
    let config = document.get("replay_config").or_else(|| document.get("config"))?;
    let config = match config {
        Value::String(inner) => super::json::document(inner.as_bytes()).ok()?,
        other => other.clone(),
    };
    let model = config.get("agent")?.get("model")?;
    any_text(model, &["name", "model_name"]).map(clip)
}

/// What the agent's shell said of itself after the step: text that is JSON, or an object.
fn state(step: &Value, name: &str) -> Option<String> {
    let found = match step.get("state")? {
        Value::String(inner) => {
            text(&super::json::document(inner.as_bytes()).ok()?, name)?.to_owned()
        }
        other => text(other, name)?.to_owned(),
    };
    (found != "n/a").then_some(found)
}

fn call(id: &str, action: &str, step: &Value) -> Call {
    let command = action.trim_end_matches('\n');
    let word = command.split_whitespace().next().unwrap_or_default();
    let cwd = state(step, "working_dir").and_then(|cwd| directory(&cwd));
    let call = |name: String, input| Call { id: id.to_owned(), name, input, cwd };
    if let Some(file) = edited(command, word, step) {
        // The content that such an edit leaves is not told.
        let name = if word == "create" { "create_file" } else { "edit" };
        return call(name.to_owned(), json!({"file_path": file, "action": command}));
    }
    match OWN.contains(&word) {
        true => call(format!("swe-agent:{word}"), json!({"action": command})),
        false => call("bash".to_owned(), json!({"command": command})),
    }
}

/// The file that an action of the agent's editor changes.
fn edited(command: &str, word: &str, step: &Value) -> Option<String> {
    let mut words = command.split_whitespace().skip(1);
    match word {
        "edit" | "insert" => state(step, "open_file"),
        "create" => words.next().map(str::to_owned),
        "str_replace_editor" => match words.next() {
            Some("create" | "str_replace" | "insert" | "undo_edit") => {
                words.next().map(str::to_owned)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Seconds, with a fraction, as milliseconds: digit by digit, because evidence has no floating point.
fn milliseconds(value: &Value) -> Option<u64> {
    scaled(value, 3)
}

/// Dollars as millionths.
fn micros(value: &Value) -> Option<u64> {
    scaled(value, 6)
}

fn scaled(value: &Value, digits: usize) -> Option<u64> {
    let number = value.as_number()?.to_string();
    let (whole, part) = number.split_once('.').unwrap_or((&number, ""));
    // A very small number is written with an exponent; it is nothing.
    if part.contains(['e', 'E']) || whole.contains(['e', 'E']) {
        return number.contains("e-").then_some(0);
    }
    let part: String = part.chars().chain(std::iter::repeat('0')).take(digits).collect();
    format!("{whole}{part}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_read_digit_by_digit() {
        let of = |text: &str| scaled(&serde_json::from_str(text).unwrap(), 3);
        assert_eq!(
            ["1.5", "0", "2.00049", "1e-9", "-1", "1e30"].map(of),
            [Some(1500), Some(0), Some(2000), Some(0), None, None]
        );
    }
}
