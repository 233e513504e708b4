//! OpenTelemetry in JSON: spans and logs that follow the GenAI conventions, and those of agents that have their own.
//!
//! The conventions are still called development; these names are those of semantic-conventions-genai 1.37.

use super::event::{Call, Event, Facts, Outcome, Tokens, What};
use super::json::text;
use super::text::{clip, directory};
use crate::keyed::short_raw;
use serde_json::{Map, Value};
use vm_contracts::{Failure, Moment};

/// Whether a document is one of OpenTelemetry.
pub fn is_one(document: &Value) -> bool {
    ["resourceSpans", "resourceLogs"]
        .iter()
        .any(|name| document.get(*name).is_some_and(Value::is_array))
}

/// Visits the events of a document, in its order and one by one: what a resource says is said of each of its records,
/// and all of them together would hold it as often.
pub fn each(
    document: &Value,
    place: &str,
    visit: &mut dyn FnMut(Event) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for (resources, scopes, records) in
        [("resourceSpans", "scopeSpans", "spans"), ("resourceLogs", "scopeLogs", "logRecords")]
    {
        for resource in list(document, resources) {
            let about = resource.get("resource").map(attributes).unwrap_or_default();
            let all = list(resource, scopes).iter().flat_map(|scope| list(scope, records));
            for (number, record) in all.enumerate() {
                let place = format!("{place}, {records} {}", number + 1);
                let record = Record { about: &about, own: attributes(record), record, place };
                record.events().into_iter().try_for_each(&mut *visit)?;
            }
        }
    }
    Ok(())
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The attributes of a thing as plain values, by name; the first of a name counts.
fn attributes(thing: &Value) -> Map<String, Value> {
    let mut all = Map::new();
    for attribute in list(thing, "attributes") {
        if let (Some(key), Some(value)) = (text(attribute, "key"), attribute.get("value")) {
            all.entry(key.to_owned()).or_insert_with(|| plain(value));
        }
    }
    all
}

/// A value without the word for its type.
fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|v| v.iter().next()) else {
        return Value::Null;
    };
    match kind.as_str() {
        // Whole numbers of 64 bits are texts.
        "intValue" => match inner.as_str().and_then(|n| n.parse::<i64>().ok()) {
            Some(n) => Value::from(n),
            None => inner.clone(),
        },
        "arrayValue" => Value::Array(list(inner, "values").iter().map(plain).collect()),
        "kvlistValue" => {
            let pairs = list(inner, "values").iter();
            let pairs =
                pairs.filter_map(|p| Some((text(p, "key")?.to_owned(), plain(p.get("value")?))));
            Value::Object(pairs.collect())
        }
        _ => inner.clone(),
    }
}

/// A span or a log record.
struct Record<'v> {
    about: &'v Map<String, Value>,
    own: Map<String, Value>,
    record: &'v Value,
    place: String,
}

impl Record<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.own.get(name).or_else(|| self.about.get(name))?.as_str()
    }

    fn any(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.text(name))
    }

    fn name(&self, names: &[&str]) -> Option<String> {
        self.any(names).map(clip)
    }

    fn id(&self, names: &[&str]) -> Option<String> {
        self.any(names).map(|id| short_raw(id).into_owned())
    }

    /// A count, which some senders write as text.
    fn count(&self, name: &str) -> u64 {
        match self.own.get(name) {
            Some(Value::String(digits)) => digits.parse().unwrap_or(0),
            Some(value) => value.as_u64().unwrap_or(0),
            None => 0,
        }
    }

    fn session(&self) -> Option<String> {
        let named = self.id(&["gen_ai.conversation.id", "session.id", "conversation.id"]);
        named.or_else(|| {
            let trace = text(self.record, "traceId").filter(|t| !t.is_empty())?;
            Some(short_raw(&format!("trace-{trace}")).into_owned())
        })
    }

    fn at(&self, name: &str) -> Option<Moment> {
        let nanos = match self.record.get(name)? {
            Value::String(digits) => digits.parse::<u64>().ok()?,
            value => value.as_u64()?,
        };
        Moment::from_unix_ms(i64::try_from(nanos / 1_000_000).ok()?)
    }

    fn events(&self) -> Vec<Event> {
        let Some(session) = self.session() else { return Vec::new() };
        let is_span = self.record.get("startTimeUnixNano").is_some();
        let begin = if is_span { self.at("startTimeUnixNano") } else { self.at("timeUnixNano") };
        let event =
            |at, what| Event { session: session.clone(), at, place: self.place.clone(), what };
        let name =
            text(self.record, "eventName").or_else(|| self.text("event.name")).unwrap_or_default();
        let operation = self.text("gen_ai.operation.name").unwrap_or_default();
        let mut events = vec![event(begin, What::Facts(Box::new(self.facts())))];
        let is_tool = operation == "execute_tool" || name.ends_with("tool_result");
        if is_tool && let Some(tool) = self.name(&["gen_ai.tool.name", "tool_name"]) {
            let call = self.call(&tool);
            let outcome = self.outcome(&call, begin);
            events.push(event(begin, What::Call(Box::new(call))));
            events
                .push(event(self.at("endTimeUnixNano").or(begin), What::Result(Box::new(outcome))));
        }
        if let Some(tokens) = self.tokens(name) {
            events.push(event(begin, What::Tokens(tokens)));
        }
        // A record that says nothing of these leaves no session behind.
        if events.len() == 1 && !matches!(operation, "invoke_agent" | "create_agent") {
            Vec::new()
        } else {
            events
        }
    }

    fn facts(&self) -> Facts {
        Facts {
            agent_type: self.name(&["gen_ai.agent.name", "service.name"]),
            agent_version: self.name(&["gen_ai.agent.version", "service.version", "app.version"]),
            model: self.name(&["gen_ai.response.model", "gen_ai.request.model", "model"]),
            cwd: self.any(&["process.working_directory", "cwd"]).and_then(directory),
            ..Facts::default()
        }
    }

    fn call(&self, tool: &str) -> Call {
        let given = ["gen_ai.tool.call.arguments", "tool_parameters", "tool_input"];
        let input = given.iter().find_map(|name| self.own.get(*name)).cloned().unwrap_or_default();
        // Arguments are an object, or the text of one.
        let input = match &input {
            Value::String(inner) => super::json::document(inner.as_bytes())
                .ok()
                .filter(Value::is_object)
                .unwrap_or(input),
            _ => input,
        };
        let id = self.id(&["gen_ai.tool.call.id", "tool_use_id", "call_id"]);
        let span = text(self.record, "spanId").filter(|s| !s.is_empty());
        let span = span.map(|s| short_raw(&format!("span-{s}")).into_owned());
        // The record's digest would let a guess of what it holds be tested: as no plain id it is keyed before it is kept.
        let id = id.or(span).unwrap_or_else(|| {
            format!("record/{}", blake3::hash(self.record.to_string().as_bytes()).to_hex())
        });
        Call { id, name: tool.to_owned(), input, cwd: None }
    }

    fn outcome(&self, call: &Call, begin: Option<Moment>) -> Outcome {
        let failed = match self.record.get("status").and_then(|s| s.get("code")) {
            Some(Value::String(code)) => code == "STATUS_CODE_ERROR",
            Some(code) => code.as_u64() == Some(2),
            None => false,
        };
        let success = match self.own.get("success") {
            Some(Value::Bool(yes)) => Some(*yes),
            Some(Value::String(word)) => Some(word == "true"),
            _ => None,
        };
        let result = self.own.get("gen_ai.tool.call.result");
        let span_ms =
            self.at("endTimeUnixNano").zip(begin).map(|(to, from)| to.unix_ms() - from.unix_ms());
        Outcome {
            call: call.id.clone(),
            is_error: Some(failed || self.text("error.type").is_some() || success == Some(false)),
            denied: self.text("decision") == Some("reject"),
            duration_ms: span_ms.and_then(|ms| u64::try_from(ms).ok()).or_else(|| {
                self.own.contains_key("duration_ms").then(|| self.count("duration_ms"))
            }),
            output: result.map(|r| r.as_str().map_or_else(|| r.to_string(), str::to_owned)),
            ..Outcome::default()
        }
    }

    fn tokens(&self, name: &str) -> Option<Tokens> {
        let genai = self.own.contains_key("gen_ai.usage.input_tokens")
            || self.own.contains_key("gen_ai.usage.output_tokens");
        let own = name.ends_with("api_request");
        // A span over several calls of the model repeats what its inner spans say.
        if !own && (!genai || self.text("gen_ai.operation.name") == Some("invoke_agent")) {
            return None;
        }
        let count = |one: &str, other: &str| self.count(one).max(self.count(other));
        Some(Tokens {
            answer: self.id(&["gen_ai.response.id", "request_id"]),
            model: self.facts().model,
            input: count("gen_ai.usage.input_tokens", "input_tokens"),
            output: count("gen_ai.usage.output_tokens", "output_tokens"),
            cache_write: count("gen_ai.usage.cache_creation.input_tokens", "cache_creation_tokens"),
            cache_read: count("gen_ai.usage.cache_read.input_tokens", "cache_read_tokens"),
            cost_micros: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyed::is_plain_id;
    use serde_json::json;

    #[test]
    fn what_a_resource_says_is_short_and_a_call_without_an_id_gets_none_that_can_be_guessed() {
        let long = "x".repeat(1 << 20);
        let said = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let keys = ["session.id", "service.name", "service.version", "model", "cwd"];
        let about: Vec<_> = keys.iter().map(|key| said(key, &long)).collect();
        let own = json!([said("event.name", "tool_result"), said("tool_name", "Bash")]);
        let record = json!({"attributes": own, "timeUnixNano": "1"});
        let document = json!({"resourceLogs": [{"resource": {"attributes": about},
            "scopeLogs": [{"logRecords": [record, record]}]}]});
        let mut events = Vec::new();
        let all = each(&document, "document", &mut |event| {
            events.push(event);
            Ok(())
        });
        assert!(all.is_ok() && events.len() == 6);
        assert!(format!("{events:?}").len() < 16 << 10, "a resource is not repeated in full");
        let ids = events.iter().filter_map(|event| match &event.what {
            What::Call(call) => Some(call.id.as_str()),
            _ => None,
        });
        let ids: Vec<_> = ids.collect();
        assert!(ids.len() == 2 && ids.iter().all(|id| !is_plain_id(id)));
        assert!(events.iter().all(|event| !is_plain_id(&event.session)));
    }
}
