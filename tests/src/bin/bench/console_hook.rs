//! What an agent waits for a hook: the whole process, from its start to its end, one after the other.

use crate::row::Row;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Events for each figure.
const EVENTS: usize = 300;
/// Most milliseconds with an owner, 95 of 100 times.
const OWNED_MS: f64 = 20.0;
/// The same where the hook has to become the owner.
const ALONE_MS: f64 = 40.0;

/// Both figures, each beside what starting the same program takes.
pub fn rows(scratch: &Path) -> Result<Vec<Row>, String> {
    let vm = program()?;
    std::fs::create_dir_all(scratch).map_err(|e| e.to_string())?;
    let home = std::path::absolute(scratch.join("home")).map_err(|e| e.to_string())?;
    let guard = std::path::absolute(scratch.join("guard")).map_err(|e| e.to_string())?;
    let guard = guard.display().to_string();
    said(command(&vm, &home).args(["init", "--node", "n1", "--guard", &guard]))?;
    let started = percentiles(EVENTS, |_| said(command(&vm, &home).arg("--version")))?;
    let alone = percentiles(EVENTS, |n| hook(&vm, &home, n))?;
    let mut owner = serve(&vm, &home)?;
    let owned = percentiles(EVENTS, |n| hook(&vm, &home, EVENTS + n));
    // The figures count, not how the owner ends.
    let _ = owner.kill().and_then(|()| owner.wait());
    let owned = owned?;
    let row = |name: &str, value: f64| {
        Row::plain(format!("console hook {name}"), value, "ms").beside(started.1)
    };
    Ok(vec![
        Row::plain("console start of the program p95", started.1, "ms"),
        row("with an owner p50", owned.0),
        row("with an owner p95", owned.1).at_most(OWNED_MS),
        row("without an owner p50", alone.0),
        row("without an owner p95", alone.1).at_most(ALONE_MS),
    ])
}

/// The program stands beside this one, or one directory further up.
fn program() -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|e| e.to_string())?;
    let found = here.ancestors().skip(1).take(2).map(|dir| dir.join("vm")).find(|p| p.is_file());
    found.ok_or_else(|| "build the program first: cargo build --release --bin vm".into())
}

fn command(vm: &Path, home: &Path) -> Command {
    let mut command = Command::new(vm);
    command.env("VM_HOME", home).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn said(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// One event, before a call and after it by turns.
fn hook(vm: &Path, home: &Path, n: usize) -> Result<(), String> {
    let name = if n.is_multiple_of(2) { "PreToolUse" } else { "PostToolUse" };
    let event = json!({
        "session_id": "bench", "hook_event_name": name, "tool_name": "Bash",
        "tool_use_id": format!("call-{}", n / 2), "tool_input": {"command": format!("echo {n}")},
        "tool_response": {"stdout": "done", "stderr": ""},
    });
    let mut command = command(vm, home);
    let mut child = command
        .args(["console", "hook", "--mode", "guard"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let fed = child.stdin.take().map(|mut input| input.write_all(event.to_string().as_bytes()));
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    match (fed, output.status.success()) {
        (Some(Ok(())), true) => Ok(()),
        _ => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn serve(vm: &Path, home: &Path) -> Result<Child, String> {
    let mut command = command(vm, home);
    let mut child = command
        .arg("serve")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| e.to_string())?;
    // Its first line comes when it listens.
    let mut line = String::new();
    let out = child.stdout.as_mut().ok_or("the owner has no output")?;
    BufReader::new(out).read_line(&mut line).map_err(|e| e.to_string())?;
    Ok(child)
}

/// Milliseconds at 50 and at 95 of 100.
fn percentiles(
    count: usize,
    mut act: impl FnMut(usize) -> Result<(), String>,
) -> Result<(f64, f64), String> {
    let mut took = Vec::with_capacity(count);
    for n in 0..count {
        let began = Instant::now();
        act(n)?;
        took.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    took.sort_by(f64::total_cmp);
    Ok((took[count / 2], took[count * 95 / 100]))
}
