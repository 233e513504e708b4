//! Sessions as OTLP traces in JSON, for whoever collects them: a trace for each session, a span for each call.
//!
//! Names follow the GenAI semantic conventions 1.37.0, which are in development: another version is another format.
//! Private texts stay out; a collector is no place for them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vm_contracts::{Export, Exporter, Failure, History, Line};

use crate::reports::time_ms;
use crate::state::{Session, State};

/// Writes OTLP JSON.
pub struct Otlp;

/// The conventions that the names are from.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";
/// What a span's status is where something failed.
const ERROR: u8 = 2;
/// A span of work inside one process.
const INTERNAL: u8 = 1;

/// A call as its receipts tell it.
struct Span {
    name: String,
    start_ms: i64,
    end_ms: i64,
    failed: bool,
    attributes: Vec<Value>,
    answered: bool,
}

impl Exporter<State> for Otlp {
    fn format(&self) -> &'static str {
        "otlp"
    }

    fn about(&self) -> &'static str {
        "OpenTelemetry traces in JSON, one for each session (GenAI conventions 1.37.0)"
    }

    fn write(&self, state: &State, history: &mut dyn History) -> Result<Export, Failure> {
        let mut calls: BTreeMap<(String, String), Span> = BTreeMap::new();
        history.scan(&[], &mut |line| {
            if matches!(
                line.kind.as_str(),
                "console_command" | "console_tool_call" | "console_file_edit"
            ) {
                take(&mut calls, line);
            }
            true
        })?;
        let mut spans: Vec<Value> =
            state.sessions.iter().map(|(id, s)| session_span(state, &id, &s)).collect();
        for ((session, call), span) in calls {
            spans.push(call_span(&session, &call, span));
        }
        let service = attribute("service.name", "vaultmesh-console");
        let document = json!({"resourceSpans": [{
            "resource": {"attributes": [service]},
            "scopeSpans": [{
                "scope": {"name": "vaultmesh.console"},
                "spans": spans,
                "schemaUrl": SCHEMA,
            }],
        }]});
        let notices = vec!["commands, paths and parameters are private and left out".to_owned()];
        Ok(Export { text: format!("{document}\n"), notices })
    }
}

/// A call's receipts become one span: the result closes what the call opened.
fn take(calls: &mut BTreeMap<(String, String), Span>, line: &Line) {
    let text = |name: &str| line.body.get(name).and_then(Value::as_str);
    let (Some(session), Some(call)) = (text("session_id"), text("call_id")) else { return };
    let at_ms = time_ms(text("effective_at")).unwrap_or_else(|| line.at.unix_ms());
    let took_ms = line.body.get("duration_ms").and_then(Value::as_i64);
    let failed = [
        line.body.get("is_error").and_then(Value::as_bool) == Some(true),
        line.body.get("exit_code").and_then(Value::as_i64).is_some_and(|code| code != 0),
        line.body.get("denied").and_then(Value::as_bool) == Some(true),
    ];
    let failed = failed.contains(&true);
    let key = (session.to_owned(), call.to_owned());
    if let Some(span) = calls.get_mut(&key) {
        if text("phase") == Some("result") {
            span.end_ms = span.start_ms.saturating_add(took_ms.unwrap_or(at_ms - span.start_ms));
            span.end_ms = span.end_ms.max(span.start_ms);
            span.failed |= failed;
            span.answered = true;
        }
        return;
    }
    let tool = match line.kind.as_str() {
        "console_command" => "command",
        "console_file_edit" => text("edit_type").unwrap_or("edit"),
        _ => text("tool_name").unwrap_or("tool"),
    };
    let attributes = vec![
        attribute("gen_ai.operation.name", "execute_tool"),
        attribute("gen_ai.tool.name", tool),
        attribute("gen_ai.tool.call.id", call),
        attribute("gen_ai.conversation.id", session),
        attribute("vaultmesh.observed_by", text("observed_by").unwrap_or("unknown")),
        number("vaultmesh.seq", line.seq),
    ];
    let span = Span {
        name: format!("execute_tool {tool}"),
        start_ms: at_ms,
        end_ms: at_ms.saturating_add(took_ms.unwrap_or(0)),
        failed,
        attributes,
        answered: text("phase") != Some("call"),
    };
    calls.insert(key, span);
}

fn session_span(state: &State, id: &String, session: &Session) -> Value {
    let mut attributes = vec![
        attribute("gen_ai.operation.name", "invoke_agent"),
        attribute("gen_ai.agent.name", &session.agent_type),
        attribute("gen_ai.conversation.id", id),
        attribute("vaultmesh.mode", &session.mode),
        number("vaultmesh.calls_observed", session.counts.observed),
        number("vaultmesh.calls_total", session.counts.calls),
        number("vaultmesh.policy_violations", session.counts.violations),
    ];
    attributes.extend(session.model_id.as_ref().map(|m| attribute("gen_ai.request.model", m)));
    if let Some(parent) = state.parents.get(id) {
        attributes.push(attribute("vaultmesh.parent_session_id", &parent.parent));
    }
    for (name, count) in [
        ("gen_ai.usage.input_tokens", session.usage.input),
        ("gen_ai.usage.output_tokens", session.usage.output),
    ] {
        if count > 0 {
            attributes.push(number(name, count));
        }
    }
    json!({
        "traceId": trace_id(id),
        "spanId": span_id(id, ""),
        "name": format!("invoke_agent {}", session.agent_type),
        "kind": INTERNAL,
        "startTimeUnixNano": nanos(session.started_ms),
        "endTimeUnixNano": nanos(session.ended_ms.unwrap_or(session.last_ms).max(session.started_ms)),
        "attributes": attributes,
    })
}

fn call_span(session: &str, call: &str, span: Span) -> Value {
    let mut attributes = span.attributes;
    if !span.answered {
        attributes.push(json!({"key": "vaultmesh.unpaired", "value": {"boolValue": true}}));
    }
    let mut value = json!({
        "traceId": trace_id(session),
        "spanId": span_id(session, call),
        "parentSpanId": span_id(session, ""),
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": nanos(span.start_ms),
        "endTimeUnixNano": nanos(span.end_ms),
        "attributes": attributes,
    });
    if span.failed {
        value["status"] = json!({"code": ERROR});
    }
    value
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// 64-bit integers are texts in the JSON form of protobuf.
fn number(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn nanos(ms: i64) -> String {
    (i128::from(ms.max(0)) * 1_000_000).to_string()
}

fn trace_id(session: &str) -> String {
    blake3::hash(session.as_bytes()).to_hex()[..32].to_owned()
}

fn span_id(session: &str, call: &str) -> String {
    blake3::hash(format!("{session}\0{call}").as_bytes()).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use serde_json::{Value, json};

    #[test]
    fn each_call_is_a_span_of_its_sessions_trace_and_says_nothing_private() {
        let mut bench = Bench::new();
        bench.start("s");
        let call = |phase: &str| json!({"session_id": "s", "call_id": "c", "phase": phase, "command": "private words", "observed_by": "hook"});
        bench.ok("command", call("call"));
        bench.wait_s(2);
        let mut result = call("result");
        result["exit_code"] = json!(1);
        bench.ok("command", result);
        let text = bench.export("otlp").text;
        assert!(!text.contains("private words"));
        let read: Value = serde_json::from_str(&text).unwrap();
        let spans = read["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
        assert_eq!(spans[1]["traceId"], spans[0]["traceId"]);
        assert_eq!(spans[1]["status"]["code"], 2);
        let nanos = |name: &str| spans[1][name].as_str().unwrap().parse::<i128>().unwrap();
        assert_eq!(nanos("endTimeUnixNano") - nanos("startTimeUnixNano"), 2_000_000_000);
        assert_eq!(spans[0]["traceId"].as_str().unwrap().len(), 32);
    }
}
