//! The proxy between a client and a small server that speaks as MCP servers do.

use crate::hook_place::{Place, body};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use vm_ledger::lock::Lock;

/// Answers each line with one of its own, and ends with code 7 at the end of its input.
const SERVER: &str = r#"
import json, sys
for line in sys.stdin:
    try:
        asked = json.loads(line)
    except ValueError:
        print("not json:", line.strip(), flush=True)
        continue
    if "id" not in asked:
        continue
    bad = asked.get("params", {}).get("name") == "fail"
    result = {"content": [{"type": "text", "text": "ok"}], "isError": bad}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
sys.exit(7)
"#;

fn has_python() -> bool {
    let found = Command::new("/usr/bin/env").args(["python3", "-c", ""]).output();
    let found = found.is_ok_and(|o| o.status.success());
    if !found {
        eprintln!("skipped: there is no python3 here");
    }
    found
}

fn command(place: &Place, words: &[&str]) -> Command {
    let mut command = place.command(env!("CARGO_BIN_EXE_vm"));
    command.env("PATH", std::env::var("PATH").unwrap_or_default());
    // Version managers of Python look for themselves below the person's directory.
    command.env("HOME", std::env::var("HOME").unwrap_or_default());
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn call(id: u64, tool: &str) -> String {
    let params = json!({"name": tool, "arguments": {"path": "the-secret-plan"}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

#[test]
fn calls_pass_as_they_are_and_leave_receipts() {
    if !has_python() {
        return;
    }
    let place = Place::new();
    let mut child =
        command(&place, &["console", "proxy", "--", "python3", "-c", SERVER]).spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let mut from = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    for (id, tool) in [(1, "read"), (2, "fail")] {
        writeln!(to, "{}", call(id, tool)).unwrap();
        line.clear();
        from.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], id);
    }
    writeln!(to, "what is this?").unwrap();
    line.clear();
    from.read_line(&mut line).unwrap();
    assert_eq!(line, "not json: what is this?\n");
    drop(to);
    assert_eq!(child.wait().unwrap().code(), Some(7));
    let receipts = place.receipts("console_tool_call");
    let told: Vec<(&Value, &Value, &Value)> = receipts
        .iter()
        .map(|r| (&body(r)["tool_name"], &body(r)["phase"], &body(r)["is_error"]))
        .collect();
    let (none, no, yes) = (Value::Null, Value::from(false), Value::from(true));
    let (read, fail) = (Value::from("read"), Value::from("fail"));
    let (begin, end) = (Value::from("call"), Value::from("result"));
    assert_eq!(
        told,
        [(&read, &begin, &none), (&read, &end, &no), (&fail, &begin, &none), (&fail, &end, &yes)]
    );
    assert!(receipts.iter().all(|r| body(r)["observed_by"] == "proxy"));
    assert_eq!(place.receipts("console_session_end").len(), 1);
    assert!(!place.holds("the-secret-plan"));
}

#[test]
fn a_home_that_nobody_can_write_does_not_stop_the_traffic() {
    if !has_python() {
        return;
    }
    let place = Place::new();
    place.ok(&["console", "spool"]);
    let lock = Lock::acquire(&place.home(), Duration::ZERO).unwrap();
    let mut child =
        command(&place, &["console", "proxy", "--", "python3", "-c", SERVER]).spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let mut from = BufReader::new(child.stdout.take().unwrap());
    for id in 0..20 {
        writeln!(to, "{}", call(id, "read")).unwrap();
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        assert!(line.contains("\"result\""), "{line}");
    }
    drop((to, from));
    assert_eq!(child.wait().unwrap().code(), Some(7));
    drop(lock);
    place.ok(&["console", "spool"]);
    assert_eq!(place.receipts("console_tool_call").len(), 40);
    assert!(!place.receipts("console_gap").is_empty());
}

#[test]
fn a_home_that_is_not_there_does_not_stop_the_server() {
    if !has_python() {
        return;
    }
    let place = Place::new();
    let words = ["--home", "/no/such/home", "console", "proxy", "--", "python3", "-c", SERVER];
    let mut child = command(&place, &words).spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    writeln!(to, "{}", call(1, "read")).unwrap();
    drop(to);
    let said = child.wait_with_output().unwrap();
    assert_eq!(said.status.code(), Some(7), "{said:?}");
    assert!(String::from_utf8(said.stdout).unwrap().contains("\"result\""));
    let told = String::from_utf8(said.stderr).unwrap();
    assert!(told.lines().count() == 1 && told.contains("nothing of it is recorded"), "{told}");
}

#[test]
fn a_signal_is_for_the_server_and_its_end_is_recorded() {
    if !has_python() {
        return;
    }
    const DEAF: &str = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\nprint('ready', flush=True)\nwhile True: time.sleep(1)";
    let place = Place::new();
    let words = ["console", "proxy", "--", "python3", "-c", DEAF];
    let mut child = command(&place, &words).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let kill = format!("kill -TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(9));
    let ends = place.receipts("console_session_end");
    assert_eq!(ends.len(), 1);
}

#[test]
fn a_server_that_cannot_be_started_is_named() {
    let place = Place::new();
    let said = place.vm(&["console", "proxy", "--json", "--", "/no/such/server"]);
    let error: Value = serde_json::from_slice(&said.stderr).unwrap();
    assert_eq!(error["code"], "no_such_program");
}
