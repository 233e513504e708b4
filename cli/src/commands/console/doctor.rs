//! `vm console doctor`: whether the hooks that are installed do what they are there for.
//!
//! Each line is run as the agent would run it, with a canary: a session of its own whose receipts are looked for in the
//! scroll afterwards. A hook that guards is given an act as well that must not happen.

use super::deliver;
use super::envelope::Envelope;
use super::hook::{self, STOPS};
use super::install::{Line, installed_at};
use super::observe::{self, Isolation};
use super::spool;
use crate::answer::finding;
use crate::args::console::PROMISE;
use crate::commands::text;
use crate::exit::{OK, Stop};
use crate::session::Session;
use clap::ArgMatches;
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use vm_contracts::Failure;
use vm_ledger::fsck::{Finding, Level};

/// A hook that takes longer than this is felt.
const SLOW: Duration = Duration::from_millis(100);
/// Name of the rule that denies the canary of a guard; no rule of people may begin so.
pub const CANARY_RULE: &str = "vm-canary";
/// The command that this rule denies.
pub const CANARY: &str = "vm-canary-that-no-agent-runs";

/// Prints findings; exit 1 where something must be done.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let loaded = session.loaded()?;
    let line = Line::here(session)?;
    let only = text(given, "target");
    let mut findings = vec![isolation(&loaded.home), program(&line.program)];
    findings.push(waiting(&loaded.home));
    let hooks: Vec<_> = installed_at(&line)
        .into_iter()
        .filter(|(agent, ..)| only.is_none_or(|o| o == *agent))
        .collect();
    if hooks.is_empty() {
        findings.push(
            Finding::new(Level::Note, "hooks", "none is installed for this home".to_owned())
                .hint("`vm console install claude` puts them in."),
        );
    }
    for (agent, path, command) in &hooks {
        let place = format!("hook {agent}");
        findings.push(Finding::new(Level::Ok, &place, format!("in {}", path.display())));
        match line.writes(agent, command)? {
            true => findings.extend(canary(session, agent, command, &place)?),
            // Whoever wrote it, it is not ours to run.
            false => findings.push(not_ours(&place, path)),
        }
    }
    let problem = finding::any_problem(&findings);
    match session.screen.json {
        true => session.screen.document(&json!({
            "fit": !problem, "findings": finding::to_json(&findings), "promise": PROMISE,
        }))?,
        false => {
            finding::print(&mut session.screen, &findings)?;
            PROMISE.lines().try_for_each(|line| session.screen.line(line))?;
        }
    }
    Ok(if problem { 1 } else { OK })
}

/// A line that holds our words, and is none that we would write.
fn not_ours(place: &str, path: &Path) -> Finding {
    let what = format!(
        "a line in {} calls this recorder otherwise than `install` writes it; it was not tried",
        path.display()
    );
    Finding::new(Level::Problem, place, what)
        .hint("Install it again, or look at the line: of one written by hand nothing is said here.")
}

fn isolation(home: &Path) -> Finding {
    let (level, what) = match observe::isolation(home) {
        Isolation::SameUser => (
            Level::Note,
            "the ledger belongs to the user who works here: an agent under this user can bypass hooks, and delete what they recorded",
        ),
        Isolation::OtherUser => {
            (Level::Ok, "the ledger belongs to another user than the one who works here")
        }
        Isolation::Unknown => {
            (Level::Note, "the system does not say under which user agents run here")
        }
    };
    let finding = Finding::new(level, "isolation", what.to_owned());
    match level {
        Level::Ok => finding,
        _ => finding.hint(
            "`vm console install` sets up no other user; docs/agent-recorder.md says what can be done by hand.",
        ),
    }
}

fn program(path: &Path) -> Finding {
    let shown = path.display();
    let found = std::fs::metadata(path);
    let runs = found.as_ref().is_ok_and(|m| m.permissions().mode() & 0o111 != 0);
    let open = found.as_ref().is_ok_and(|m| m.permissions().mode() & 0o022 != 0);
    match (runs, open) {
        (false, _) => Finding::new(Level::Problem, "program", format!("{shown} cannot be run")),
        (true, true) => {
            Finding::new(Level::Problem, "program", format!("others may write {shown}"))
                .hint("Take the right to write away from group and others.")
        }
        (true, false) => Finding::new(
            Level::Ok,
            "program",
            format!("{shown}, version {}", env!("CARGO_PKG_VERSION")),
        ),
    }
}

fn waiting(home: &Path) -> Finding {
    match spool::files(home).map(|files| files.len()) {
        Ok(0) => Finding::new(Level::Ok, "spool", "nothing waits".to_owned()),
        Ok(count) => Finding::new(Level::Note, "spool", format!("{count} files wait"))
            .hint("`vm console spool` takes them in; so does the next hook."),
        Err(e) => Finding::new(Level::Problem, "spool", format!("cannot be read: {e}")),
    }
}

/// How a run of the line ended.
struct Ran {
    code: Option<i32>,
    took: Duration,
    out: String,
    err: String,
}

fn run_line(command: &str, event: &Value) -> std::io::Result<Ran> {
    let began = Instant::now();
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A hook that ends without reading says so by its exit code.
        let _ = input.write_all(event.to_string().as_bytes());
    }
    let said = child.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (out, err) = (text(&said.stdout), text(&said.stderr));
    Ok(Ran { code: said.status.code(), took: began.elapsed(), out, err })
}

/// An event as this agent would send it.
fn event(agent: &str, name: &str, session: &str, command: &str) -> Value {
    let cwd = std::env::current_dir().map(|d| d.display().to_string()).unwrap_or_default();
    let (event, tool) = match (agent, name) {
        ("gemini", "pre") => ("BeforeTool", "run_shell_command"),
        ("gemini", "post") => ("AfterTool", "run_shell_command"),
        ("cursor", "pre") => ("preToolUse", "Shell"),
        ("cursor", "post") => ("postToolUse", "Shell"),
        (_, "end") => ("SessionEnd", ""),
        (_, "pre") => ("PreToolUse", "Bash"),
        _ => ("PostToolUse", "Bash"),
    };
    let mut event = json!({
        "session_id": session, "conversation_id": session, "cwd": cwd, "hook_event_name": event,
        "tool_name": tool, "tool_use_id": format!("{session}-{command}").chars().take(60).collect::<String>(),
        "tool_input": {"command": command},
    });
    if name == "post" {
        event["tool_response"] = json!({"stdout": "", "stderr": "", "exit_code": 0});
    }
    event
}

fn canary(
    session: &mut Session<'_>,
    agent: &str,
    command: &str,
    place: &str,
) -> Result<Vec<Finding>, Failure> {
    let id = format!("canary-{}", crate::session::fresh_id());
    let mut findings = Vec::new();
    let broken = |e: &std::io::Error| {
        Finding::new(Level::Problem, place, format!("its line cannot be run: {e}"))
    };
    for (name, act) in [("pre", "true"), ("post", "true")] {
        let ran = match run_line(command, &event(agent, name, &id, act)) {
            Ok(ran) => ran,
            Err(e) => return Ok(vec![broken(&e)]),
        };
        if ran.code != Some(0) {
            let told = ran.err.lines().next().unwrap_or("it said nothing").to_owned();
            let code = ran.code.map_or("a signal".to_owned(), |c| format!("exit code {c}"));
            findings.push(Finding::new(Level::Problem, place, format!("{name}: {code}: {told}")));
        } else if name == "pre" {
            let slow = if ran.took > SLOW { Level::Note } else { Level::Ok };
            findings.push(Finding::new(
                slow,
                place,
                format!("answers in {} ms", ran.took.as_millis()),
            ));
        }
    }
    findings.push(recorded(session, &id, place)?);
    if command.contains("--mode guard") {
        findings.push(match run_line(command, &event(agent, "pre", &id, CANARY)) {
            Ok(ran) => denied(&ran, place),
            Err(e) => broken(&e),
        });
    }
    // The canary leaves no session that seems to go on; whether its end is recorded is seen in the scroll.
    let _ = run_line(command, &event(agent, "end", &id, ""));
    Ok(findings)
}

fn denied(ran: &Ran, place: &str) -> Finding {
    match ran.code == Some(i32::from(STOPS)) && ran.err.contains(CANARY_RULE) {
        true => Finding::new(Level::Ok, place, "a denial stops the act".to_owned()),
        false => {
            let what = format!(
                "a denial does not stop the act: it ended with {:?} and said {:?}",
                ran.code, ran.out
            );
            Finding::new(Level::Problem, place, what).hint("Install it again with --guard.")
        }
    }
}

/// Whether the canary's receipts stand in the scroll.
fn recorded(session: &mut Session<'_>, id: &str, place: &str) -> Result<Finding, Failure> {
    let loaded = session.loaded()?;
    let wait = deliver::patience(session)?;
    // What the canary left in the spool is evidence of the hook too, once it is taken in.
    hook::carry(session, &loaded, &Envelope::empty(), wait)?;
    let words = ["vm", "console", "query", "--json", "--session-id", id];
    let page = deliver::command(session, &words, wait)?.document()?;
    let count = page["receipts"].as_array().map_or(0, Vec::len);
    Ok(match count {
        0 => Finding::new(Level::Problem, place, "its canary left no receipt".to_owned())
            .hint("See what the hook says: run its line with an event on standard input."),
        count => Finding::new(Level::Ok, place, format!("its canary left {count} receipts")),
    })
}
