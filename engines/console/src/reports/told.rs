//! One receipt as one line for people.

use vm_contracts::{Line, Map, Value};
use vm_receipts::line::End;

/// What stands for a private text that this home cannot open.
const CLOSED: &str = "(not readable here)";

struct Read<'a> {
    body: &'a Map<String, Value>,
    opened: &'a Map<String, Value>,
}

impl<'a> Read<'a> {
    /// A public or an opened text.
    fn text(&self, name: &str) -> Option<&'a str> {
        self.body.get(name).or_else(|| self.opened.get(name))?.as_str()
    }

    fn private(&self, name: &str) -> &'a str {
        self.opened.get(name).and_then(Value::as_str).unwrap_or(CLOSED)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.body.get(name)?.as_i64()
    }

    fn is(&self, name: &str) -> Option<bool> {
        self.body.get(name)?.as_bool()
    }
}

/// The receipt as one line, without its place and time.
pub(crate) fn told(line: &Line, opened: &Map<String, Value>) -> String {
    let read = Read { body: &line.body, opened };
    if line.end == End::Aborted {
        let code = line.body.get("fault").and_then(|fault| fault.get("code"));
        let code = code.and_then(Value::as_str).unwrap_or("unknown");
        return format!("NOT DONE ({code}): {}", line.op);
    }
    let word = |name: &str| read.text(name).unwrap_or("?");
    match line.kind.as_str() {
        "console_session_start" => {
            let how = if read.is("resumed") == Some(true) { "goes on" } else { "starts" };
            format!("{} {how} ({})", word("agent_type"), word("mode"))
        }
        "console_session_end" => format!("ends: {}", word("exit_reason")),
        "console_command" => call(&read, &format!("$ {}", read.private("command"))),
        "console_tool_call" => {
            let params = read.text("params").unwrap_or_default();
            call(&read, format!("{} {params}", word("tool_name")).trim_end())
        }
        "console_file_edit" => {
            let lines = match (read.number("lines_added"), read.number("lines_removed")) {
                (None, None) => String::new(),
                (more, less) => format!(" (+{} -{})", more.unwrap_or(0), less.unwrap_or(0)),
            };
            let external = match read.is("external_change") {
                Some(true) => ", changed by somebody else before",
                _ => "",
            };
            format!("{} {}{lines}{external}", word("edit_type"), read.private("file_path"))
        }
        "console_policy_violation" => {
            let rule = read.text("rule").map(|rule| format!(" by {rule}")).unwrap_or_default();
            format!("AGAINST THE POLICY: {} was {}{rule}", word("what"), judged(word("verdict")))
        }
        "console_approval" => approval(&read, &line.actor),
        "console_agent_spawn" => {
            let task = read.text("task").map(|task| format!(": {task}")).unwrap_or_default();
            format!("{} spawns {}{task}", word("parent_session_id"), word("child_session_id"))
        }
        "console_gap" => {
            format!("GAP: {} events, {}", read.number("events").unwrap_or(0), word("reason"))
        }
        "console_evidence" => {
            let name = read.text("name").or(read.text("source")).unwrap_or(CLOSED);
            format!("evidence {}: {name}", word("evidence_type"))
        }
        "console_git_commit" => format!(
            "commit {}: {} of {} files explained",
            word("commit_hash"),
            read.number("files_explained").unwrap_or(0),
            read.number("files_changed").unwrap_or(0)
        ),
        other => other.to_owned(),
    }
}

fn judged(verdict: &str) -> &str {
    match verdict {
        "deny" => "denied",
        "ask" => "asked for and not approved",
        other => other,
    }
}

fn call(read: &Read<'_>, what: &str) -> String {
    let mut ends = Vec::new();
    if read.is("denied") == Some(true) {
        ends.push("denied".to_owned());
    }
    ends.extend(read.number("exit_code").map(|code| format!("exit {code}")));
    if read.is("is_error") == Some(true) {
        ends.push("failed".to_owned());
    }
    if read.is("interrupted") == Some(true) {
        ends.push("interrupted".to_owned());
    }
    ends.extend(read.number("duration_ms").map(|ms| format!("{}.{:03} s", ms / 1000, ms % 1000)));
    // The result need not repeat what the call said.
    let what = match (read.text("phase"), what) {
        (Some("result"), what) if what.ends_with(CLOSED) => "result",
        (_, what) => what,
    };
    match ends.is_empty() {
        true => what.to_owned(),
        false => format!("{what} -> {}", ends.join(", ")),
    }
}

fn approval(read: &Read<'_>, actor: &str) -> String {
    let id = read.text("approval_id").unwrap_or("?");
    let what = read.text("action").or(read.text("action_type"));
    let what = what.map(|what| format!(": {what}")).unwrap_or_default();
    match (read.text("phase"), read.is("approved")) {
        (Some("decided"), Some(yes)) => {
            let how = if yes { "approved" } else { "denied" };
            let reason = read.text("reason").map(|r| format!(" ({r})")).unwrap_or_default();
            let who = read.text("approver").unwrap_or("?");
            // A name that somebody else gives is his word.
            let by = if who == actor { String::new() } else { format!(", as {actor} says") };
            format!("{id} {how} by {who}{by}{what}{reason}")
        }
        _ => format!("{id} asked for{what}"),
    }
}
