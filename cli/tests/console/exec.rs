//! `vm exec` between two receipts.

use crate::desk::Desk;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// Bodies of the commands in the console, in their order.
fn commands(desk: &Desk) -> Vec<Value> {
    let list = desk.json(&["console", "query", "type=console_command", "--private"]);
    list["receipts"].as_array().unwrap().clone()
}

#[test]
fn what_a_program_writes_passes_through_and_its_end_is_that_of_the_command() {
    let desk = Desk::new();
    let bytes: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    let output = desk.vm_with(&["exec", "--quiet", "--", "cat"], &bytes);
    assert!(output.status.success() && output.stdout == bytes && output.stderr.is_empty());
    let output = desk.vm(&["exec", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, b"out\n");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("err\n") && said.contains("note: recorded as console/"), "{said}");
    let told = commands(&desk);
    let phases: Vec<&str> =
        told.iter().map(|r| r["line"]["body"]["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["call", "result", "call", "result"]);
    let body = &told[1]["line"]["body"];
    assert_eq!((&body["stdout_bytes"], &body["exit_code"]), (&1_000_000.into(), &0.into()));
    assert_eq!(
        told[1]["private"]["stdout_hash"],
        format!("blake3:{}", blake3::hash(&bytes).to_hex())
    );
    assert_eq!(told[3]["line"]["body"]["exit_code"], 7);
    assert_eq!(told[2]["private"]["program"], "sh");
}

#[test]
fn a_signal_reaches_the_program_and_its_number_the_caller() {
    let desk = Desk::new();
    let script = "trap 'echo caught; exit 3' TERM; echo ready; while :; do read -r _ || :; done";
    let mut command = desk.program();
    command
        .args(["exec", "--quiet", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let signal = format!("kill -TERM {}", child.id());
    assert!(desk.command("sh").args(["-c", &signal]).status().unwrap().success());
    // The program notices when what it is doing ends.
    drop(child.stdin.take());
    assert_eq!(lines.next().unwrap().unwrap(), "caught");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let output = desk.vm(&["exec", "--quiet", "--", "sh", "-c", "kill -KILL $$"]);
    assert_eq!(output.status.code(), Some(137));
    assert_eq!(commands(&desk)[3]["line"]["body"]["interrupted"], true);
}

#[test]
fn without_a_receipt_of_the_call_nothing_is_run_unless_that_was_asked_for() {
    let desk = Desk::new();
    let mark = desk.path("ran");
    let nowhere = desk.path("nowhere");
    let run = |flags: &[&str]| {
        let words = [
            &["exec", "--home", nowhere.to_str().unwrap()],
            flags,
            &["--", "touch", mark.to_str().unwrap()],
        ];
        desk.vm(&words.concat())
    };
    let refused = run(&[]);
    assert_eq!((refused.status.code(), mark.exists()), (Some(1), false));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("[no_home]"), "{refused:?}");
    let ran = run(&["--fail-open"]);
    assert!(ran.status.success() && mark.exists(), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stderr).contains("nothing was recorded"));
}

#[test]
fn a_program_that_cannot_be_started_has_an_end_too() {
    let desk = Desk::new();
    fs::write(desk.work("no-program"), "x").unwrap();
    let codes =
        ["/no/such/program", "./no-program"].map(|p| desk.vm(&["exec", "--", p]).status.code());
    assert_eq!(codes, [Some(127), Some(126)]);
    let told = commands(&desk);
    assert_eq!((told.len(), &told[1]["line"]["body"]["exit_code"]), (4, &127.into()));
}

#[test]
fn no_secret_of_a_command_line_comes_to_the_home() {
    let desk = Desk::new();
    let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let output = desk.vm(&["exec", "--keep", "--", "echo", token]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, format!("{token}\n").as_bytes());
    assert!(!desk.holds(token.as_bytes()));
    let command = commands(&desk)[0]["private"]["command"].as_str().unwrap().to_owned();
    assert!(command.starts_with("echo ") && !command.contains(token), "{command}");
}

#[test]
fn a_session_whose_name_begins_with_a_dash_keeps_too() {
    let desk = Desk::new();
    let mut command = desk.program();
    let words = ["exec", "--keep", "--tag=-t", "--", "echo", "hello"];
    let output = command.env("VM_SESSION", "-x").args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let kept = desk.json(&["console", "query", "type=console_evidence"]);
    assert_eq!(kept["receipts"].as_array().map(Vec::len), Some(1), "{output:?}");
}

#[test]
fn what_is_kept_is_encrypted_and_belongs_to_the_call() {
    let desk = Desk::new();
    let words = [
        "exec",
        "--json",
        "--keep",
        "--id",
        "deploy-1",
        "--tag",
        "prod",
        "--",
        "sh",
        "-c",
        "printf 'a known line'; echo x >&2",
    ];
    let output = desk.vm(&words);
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(output.stderr.strip_prefix(b"x\n").unwrap()).unwrap();
    let types: Vec<&str> =
        told["receipts"].as_array().unwrap().iter().map(|r| r["type"].as_str().unwrap()).collect();
    let want = ["session_start", "command", "evidence", "evidence", "command", "session_end"];
    assert_eq!(types, want.map(|w| format!("console_{w}")));
    assert!(!desk.holds(b"a known line"));
    let shown = desk.json(&["receipt", "show", "deploy-1"]);
    assert_eq!(shown["receipts"][0]["line"]["body"]["phase"], "result", "{shown}");
    let kept = desk.json(&["console", "query", "type=console_evidence"]);
    let body = &kept["receipts"][0]["line"]["body"];
    assert_eq!((&body["call_id"], &body["size_bytes"]), (&"deploy-1".into(), &12.into()));
    assert_eq!(kept["receipts"][0]["line"]["tags"][0], "prod");
    // An id is for one run.
    let mark = desk.work("mark");
    let again = desk.vm(&["exec", "--id", "deploy-1", "--", "touch", mark.to_str().unwrap()]);
    assert_eq!((again.status.code(), mark.exists()), (Some(1), false));
}

#[test]
fn commands_inside_of_others_share_a_session() {
    let desk = Desk::new();
    let vm = env!("CARGO_BIN_EXE_vm");
    let output = desk.vm(&["exec", "--session", "job-7", "--", vm, "exec", "--", "true"]);
    assert!(output.status.success(), "{output:?}");
    assert!(desk.vm(&["exec", "--session", "job-7", "--", "true"]).status.success());
    let sessions: Vec<Value> =
        commands(&desk).iter().map(|r| r["line"]["body"]["session_id"].clone()).collect();
    assert_eq!(sessions, ["job-7"; 6]);
}

#[test]
fn the_owner_of_the_home_writes_the_receipts_of_what_runs_elsewhere() {
    let desk = Desk::new();
    let served = desk.serve();
    let output = desk.vm(&["exec", "--keep", "--", "echo", "hello"]);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(0), b"hello\n".as_slice()),
        "{output:?}"
    );
    assert_eq!(commands(&desk).len(), 2);
    drop(served);
}
