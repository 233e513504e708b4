//! What agents tell a program that they start for each event: one JSON document on standard input.
//!
//! Claude Code and Codex name the events alike, Gemini and Cursor otherwise. Whoever reads an event here has seen it
//! happen; what the files hold is theirs to look at, nothing of that is told.

use super::event::{Call, Facts, Outcome, Spawned};
use super::json::{self, any_text, count, text};
use serde_json::{Value, json};
use vm_contracts::Refusal;

/// Longest event that is read.
pub const EVENT_BYTES_MAX: usize = 16 << 20;

/// What kind of event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A session begins or goes on.
    SessionStart,
    /// A person said something.
    Prompt,
    /// A tool is about to run, and may be kept from it.
    BeforeTool,
    /// The agent is about to ask a person whether a tool may run.
    Permission,
    /// A tool came back.
    AfterTool,
    /// A tool failed.
    ToolFailed,
    /// Another agent begins to work for this one.
    SubagentStart,
    /// It is done.
    SubagentStop,
    /// The session ends.
    SessionEnd,
    /// Something else, which leaves nothing.
    Other,
}

/// An event as it was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Hooked {
    /// What kind of event it is.
    pub kind: Kind,
    /// Its name, as the agent calls it.
    pub name: String,
    /// The session, as the agent calls it.
    pub session: String,
    /// What is told of the session.
    pub facts: Facts,
    /// The call it is about.
    pub call: Option<Call>,
    /// Whether the agent itself gives the call an id. If not, the id is made of the call's name and parameters, and the
    /// same call twice in a session has the same id.
    pub named: bool,
    /// How the call came back.
    pub outcome: Option<Outcome>,
    /// What a person said.
    pub prompt: Option<String>,
    /// The session that is spawned, as the agent calls it, and how.
    pub child: Option<(String, Spawned)>,
    /// Why the session ends.
    pub reason: Option<String>,
    /// Where the agent writes its own transcript.
    pub transcript: Option<String>,
    /// What the agent may do without asking: its own word.
    pub permission_mode: Option<String>,
}

/// Reads an event. `agent` is what the session is said to be of where the event does not say it.
pub fn event(bytes: &[u8], agent: &str) -> Result<Hooked, Refusal> {
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(malformed(&format!("it has more than {EVENT_BYTES_MAX} bytes")));
    }
    let value = json::document(bytes).map_err(|why| malformed(&why))?;
    let Some(name) = any_text(&value, &["hook_event_name", "hookEventName", "event"]) else {
        return Err(malformed("it does not say which event it is (hook_event_name)"));
    };
    let session = any_text(&value, &["session_id", "conversation_id", "sessionId", "thread_id"]);
    let Some(session) = session.filter(|s| !s.is_empty()) else {
        return Err(malformed("it names no session (session_id)"));
    };
    let kind = kind(name);
    // What another agent does that works for this one is of that one's session, as in its transcripts.
    let session = match any_text(&value, &["agent_id"]) {
        Some(agent)
            if matches!(
                kind,
                Kind::BeforeTool | Kind::Permission | Kind::AfterTool | Kind::ToolFailed
            ) =>
        {
            format!("{session}.{agent}")
        }
        _ => session.to_owned(),
    };
    let call = call(&value, name);
    let id = any_text(&value, ID);
    let outcome = call.as_ref().and_then(|call| outcome(&value, kind, call));
    let of = |names: &[&str]| any_text(&value, names).map(str::to_owned);
    Ok(Hooked {
        kind,
        name: name.to_owned(),
        child: child(&value, &session, kind),
        session,
        facts: Facts {
            agent_type: Some(agent.to_owned()),
            agent_version: of(&["version", "cursor_version", "agent_version"]),
            model: of(&["model", "model_id"]),
            cwd: of(&["cwd"]).or_else(|| first_root(&value)),
            git_head: None,
            resumed: matches!(text(&value, "source"), Some("resume")),
        },
        named: call.is_some() && id.is_some(),
        call,
        outcome,
        prompt: of(&["prompt"]).filter(|_| kind == Kind::Prompt),
        reason: of(&["reason"]).filter(|_| kind == Kind::SessionEnd),
        transcript: of(&["transcript_path"]),
        permission_mode: of(&["permission_mode"]),
    })
}

/// Names of a call's id.
const ID: &[&str] = &["tool_use_id", "tool_call_id", "call_id"];

fn malformed(why: &str) -> Refusal {
    Refusal::malformed(
        "event_malformed",
        format!("the event on standard input does not read: {why}"),
    )
    .hint("The agent must be one that `vm console install` knows; see its hook settings.")
}

fn kind(name: &str) -> Kind {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    match plain.as_str() {
        "sessionstart" | "agentspawn" => Kind::SessionStart,
        "userpromptsubmit" | "beforesubmitprompt" | "beforeagent" => Kind::Prompt,
        "pretooluse"
        | "beforetool"
        | "beforeshellexecution"
        | "beforemcpexecution"
        | "beforereadfile" => Kind::BeforeTool,
        "permissionrequest" => Kind::Permission,
        "posttooluse"
        | "aftertool"
        | "aftershellexecution"
        | "aftermcpexecution"
        | "afterfileedit" => Kind::AfterTool,
        "posttoolusefailure" => Kind::ToolFailed,
        "subagentstart" => Kind::SubagentStart,
        "subagentstop" => Kind::SubagentStop,
        "sessionend" => Kind::SessionEnd,
        _ => Kind::Other,
    }
}

/// The directory that an editor has open.
fn first_root(value: &Value) -> Option<String> {
    value.get("workspace_roots")?.as_array()?.first()?.as_str().map(str::to_owned)
}

/// The call an event is about. Events of one kind of tool name no tool.
fn call(value: &Value, event: &str) -> Option<Call> {
    let plain = event.to_ascii_lowercase();
    let (name, input) = match text(value, "tool_name") {
        Some(name) => {
            let input = value
                .get("tool_input")
                .or_else(|| value.get("arguments"))
                .cloned()
                .unwrap_or_default();
            // Some give the parameters as the text of a document.
            let input = match &input {
                Value::String(inner) => {
                    json::document(inner.as_bytes()).ok().filter(Value::is_object).unwrap_or(input)
                }
                _ => input,
            };
            (name.to_owned(), input)
        }
        None if plain.contains("shellexecution") => {
            ("Shell".to_owned(), json!({"command": text(value, "command")?}))
        }
        None if plain.contains("readfile") => {
            ("Read".to_owned(), json!({"file_path": text(value, "file_path")?}))
        }
        None if plain.contains("fileedit") => {
            let input =
                json!({"file_path": text(value, "file_path")?, "edits": value.get("edits")?});
            ("MultiEdit".to_owned(), input)
        }
        None => return None,
    };
    let id = match any_text(value, ID) {
        Some(id) => id.to_owned(),
        // Keyed before it is kept: what is no plain id never stands in a receipt.
        None => format!(
            "{name}/{input}/{}",
            any_text(value, &["generation_id", "turn_id"]).unwrap_or_default()
        ),
    };
    let cwd = text(value, "cwd").filter(|cwd| !cwd.is_empty()).map(str::to_owned);
    Some(Call { id, name, input, cwd })
}

fn outcome(value: &Value, kind: Kind, call: &Call) -> Option<Outcome> {
    if !matches!(kind, Kind::AfterTool | Kind::ToolFailed) {
        return None;
    }
    let names = ["tool_response", "tool_output", "tool_result", "result_json", "output", "error"];
    let response = names.iter().find_map(|name| value.get(*name));
    let failed = |v: &Value| {
        ["is_error", "isError"].iter().any(|n| v.get(*n).and_then(Value::as_bool) == Some(true))
            || v.get("success").and_then(Value::as_bool) == Some(false)
            || v.get("error").is_some_and(|e| !e.is_null())
    };
    let is_error = kind == Kind::ToolFailed || response.is_some_and(failed);
    let stream = |name: &str| response.and_then(|r| text(r, name)).map(str::to_owned);
    let whole = response.map(|r| r.as_str().map_or_else(|| r.to_string(), str::to_owned));
    let exit = ["exit_code", "exitCode"].iter().find_map(|n| response?.get(*n)?.as_i64());
    let interrupted = |v: &Value, name: &str| v.get(name).and_then(Value::as_bool) == Some(true);
    Some(Outcome {
        call: call.id.clone(),
        is_error: Some(is_error || exit.is_some_and(|code| code != 0)),
        interrupted: interrupted(value, "is_interrupt")
            || response.is_some_and(|r| interrupted(r, "interrupted")),
        exit_code: exit,
        duration_ms: count(value, "duration_ms").or_else(|| count(value, "duration")),
        output: stream("stdout").or(whole),
        errors: stream("stderr").filter(|e| !e.is_empty()),
        ..Outcome::default()
    })
}

fn child(value: &Value, session: &str, kind: Kind) -> Option<(String, Spawned)> {
    if !matches!(kind, Kind::SubagentStart | Kind::SubagentStop) {
        return None;
    }
    let id = any_text(value, &["agent_id", "subagent_id"])?;
    let spawned = Spawned {
        parent: session.to_owned(),
        agent_type: any_text(value, &["agent_type", "subagent_type"]).map(str::to_owned),
        call: any_text(value, ID).map(str::to_owned),
        task: any_text(value, &["prompt", "task"]).map(str::to_owned),
    };
    // As the agent's transcripts are read, so that both speak of one session.
    Some((format!("{session}.{id}"), spawned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::tool::Tool;

    fn read(value: Value) -> Hooked {
        event(value.to_string().as_bytes(), "claude-code").unwrap()
    }

    #[test]
    fn events_of_several_agents_come_to_the_same() {
        let claude = read(
            json!({"hook_event_name": "PreToolUse", "session_id": "s", "cwd": "/w", "tool_name": "Bash",
            "tool_input": {"command": "ls"}, "tool_use_id": "t1", "transcript_path": "/t", "permission_mode": "default"}),
        );
        let cursor = read(
            json!({"hook_event_name": "beforeShellExecution", "conversation_id": "s", "command": "ls",
            "cwd": "/w", "generation_id": "g"}),
        );
        let gemini = read(json!({"hook_event_name": "BeforeTool", "session_id": "s", "cwd": "/w",
            "tool_name": "run_shell_command", "tool_input": {"command": "ls"}}));
        for hooked in [&claude, &cursor, &gemini] {
            let call = hooked.call.as_ref().unwrap();
            assert_eq!((hooked.kind, hooked.session.as_str()), (Kind::BeforeTool, "s"));
            assert_eq!(
                Tool::of(&call.name, &call.input),
                Tool::Shell { command: "ls".into(), cwd: None }
            );
            assert_eq!(call.cwd.as_deref(), Some("/w"));
        }
        assert_eq!([claude.named, cursor.named, gemini.named], [true, false, false]);
    }

    #[test]
    fn a_result_says_whether_it_failed() {
        let of = |name: &str, response: Value| {
            let told = json!({"hook_event_name": name, "session_id": "s", "tool_name": "Bash", "tool_use_id": "t",
                "tool_input": {"command": "x"}, "tool_response": response});
            read(told).outcome.unwrap()
        };
        assert_eq!(
            of("PostToolUse", json!({"stdout": "a", "stderr": "", "interrupted": false})).is_error,
            Some(false)
        );
        assert_eq!(of("PostToolUse", json!({"stdout": "a", "exit_code": 2})).is_error, Some(true));
        assert_eq!(of("PostToolUseFailure", json!("no")).is_error, Some(true));
        assert!(of("PostToolUse", json!({"interrupted": true})).interrupted);
    }

    #[test]
    fn what_is_no_event_is_refused_without_being_repeated() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"hook_event_name":"Stop"}"#,
            r#"{"session_id":"hunter2"}"#,
            "hunter2",
            "{\"a\":1,\"a\":2}",
        ] {
            let refusal = event(bad.as_bytes(), "claude-code").unwrap_err();
            assert_eq!(refusal.code, "event_malformed");
            assert!(!refusal.to_string().contains("hunter2"));
        }
    }
}
