//! The built program, killed (SIGKILL) before each of its system calls that reach the disk, at every step of a drill.
//!
//! Each kill starts from a copy of the same home. The same command is then run again, as a person would, and everything
//! must end where it would have ended without the kill. `strace` injects the signal; where it is missing or may not
//! trace, the test says what it skipped.

#![allow(clippy::unwrap_used, reason = "a test may stop there")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const VM: &str = env!("CARGO_BIN_EXE_vm");

/// Calls that change the disk or wait for it.
const CALLS: [&str; 7] = ["fdatasync", "fsync", "rename", "mkdir", "unlink", "rmdir", "ftruncate"];
/// More kills of one call than any command makes.
const KILLS_MAX: u32 = 64;

const RUNBOOK: &str = "runbook: 1
name: kill-test
title: Two steps
about: Two steps that nobody minds.
keywords: [steps]
stages:
  - id: one
    skill: testing
    workflow: First
    role: primary
    actions: [do it]
    expected_outputs: [a note]
  - id: two
    skill: testing
    workflow: Second
    role: primary
    actions: [do it again]
    expected_outputs: [nothing]
";

struct Place {
    dir: PathBuf,
}

impl Place {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("VM_HOME", self.dir.join("home"))
            .env("XDG_STATE_HOME", self.dir.join("state"))
            .current_dir(&self.dir);
        command
    }

    fn vm(&self, words: &[&str]) -> Output {
        self.command(VM).args(words).output().unwrap()
    }

    fn ok(&self, words: &[&str]) -> String {
        let output = self.vm(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that dies at the `nth` call of this kind; `false` when it made fewer and came to its end.
    fn killed(&self, call: &str, nth: u32, words: &[&str]) -> bool {
        let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
        let output = self
            .command("/usr/bin/strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e"])
            .args([&format!("trace={call}"), "-e", &inject, VM])
            .args(words)
            .output()
            .unwrap();
        !output.status.success() && output.stdout.is_empty() && output.stderr.is_empty()
            || output.status.code().is_none_or(|code| code == 137)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
    let mode = fs::metadata(from).unwrap().permissions();
    fs::set_permissions(to, mode).unwrap();
}

fn can_trace() -> bool {
    let probe = Command::new("/usr/bin/strace")
        .args([
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=mkdir",
            "-e",
            "inject=mkdir:signal=SIGKILL:when=1",
            "true",
        ])
        .output();
    probe.is_ok_and(|output| output.status.success())
}

/// One step: what is run, how it may end when it is run again after a kill, and what must be true then.
struct Step<'a> {
    words: Vec<&'a str>,
    /// Code of the refusal that says the step was done before the kill.
    done_before: &'a str,
    check: &'a dyn Fn(&Place),
}

fn survive(base: &Place, step: &Step<'_>) -> u32 {
    let mut kills = 0;
    for call in CALLS {
        for nth in 1..=KILLS_MAX {
            assert!(nth < KILLS_MAX, "{call}: it never came to its end");
            let scratch = tempfile::tempdir().unwrap();
            let place = Place { dir: scratch.path().join("p") };
            copy(&base.dir, &place.dir);
            if !place.killed(call, nth, &step.words) {
                break;
            }
            kills += 1;
            let again = place.vm(&step.words);
            let said = String::from_utf8_lossy(&again.stderr).into_owned();
            let fine = again.status.success() || said.contains(&format!("[{}]", step.done_before));
            assert!(fine, "{:?} after a kill at {call} {nth}: {said}", step.words);
            (step.check)(&place);
            let fsck = place.vm(&["fsck"]);
            assert!(fsck.status.success(), "{:?} after {call} {nth}: {fsck:?}", step.words);
            let verify = place.vm(&["verify", "--home", "home"]);
            assert!(verify.status.success(), "{:?} after {call} {nth}: {verify:?}", step.words);
        }
    }
    kills
}

fn id_of(contract: &str) -> String {
    let at = contract.find("\"id\": \"").unwrap() + 7;
    contract[at..].split('"').next().unwrap().to_owned()
}

#[test]
fn a_kill_at_any_call_of_any_step_loses_and_doubles_nothing() {
    if !can_trace() {
        eprintln!("skipped: kills at each system call (no strace that may trace)");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let base = Place { dir: scratch.path().to_owned() };
    fs::write(base.dir.join("runbook.yaml"), RUNBOOK).unwrap();
    fs::write(base.dir.join("note.md"), "seen\n").unwrap();
    fs::write(base.dir.join("mail.eml"), "From: ann\n").unwrap();
    base.ok(&["init"]);
    let contract =
        base.ok(&["drills", "plan", "--runbook", "runbook.yaml", "--prompt", "whatever"]);
    let id = id_of(&contract);
    fs::write(base.dir.join("contract.json"), &contract).unwrap();

    let mut kills = 0;
    let mut step = |words: Vec<&str>, done_before: &str, check: &dyn Fn(&Place)| {
        kills += survive(&base, &Step { words: words.clone(), done_before, check });
        base.ok(&words);
    };
    step(vec!["drills", "run", "contract.json"], "none", &|place| {
        let next = place.ok(&["drills", "next", &id]);
        assert!(next.contains("01-one"), "{next}");
    });
    let complete = |stage| vec!["drills", "complete-stage", &id, stage, "--outcome", "detected"];
    let mut with_files = complete("01-one");
    with_files.extend([
        "--note",
        "ann saw it",
        "--outputs",
        "note.md",
        "--private-outputs",
        "mail.eml",
    ]);
    step(with_files, "stage_completed", &|place| {
        let next = place.ok(&["drills", "next", &id]);
        assert!(next.contains("02-two") && next.contains("1 of 2"), "{next}");
    });
    step(complete("02-two"), "stage_completed", &|place| {
        let next = place.ok(&["drills", "next", &id]);
        assert!(next.contains("2 of 2"), "{next}");
    });
    step(vec!["drills", "seal", &id], "already_sealed", &|place| {
        let case = format!("home/cases/drills/{id}");
        place.ok(&["verify", &case, "--trust", "home/keys/trust.txt"]);
        let mail = place.ok(&["drills", "output", &id, "mail.eml"]);
        assert_eq!(mail, "From: ann\n");
        let receipts = place.ok(&["drills", "list"]);
        assert_eq!(receipts.matches(id.as_str()).count(), 1, "{receipts}");
        assert!(!place.dir.join(format!("home/runs/drills/{id}")).exists());
    });
    eprintln!("{kills} kills");
    assert!(kills > 40, "only {kills} kills: the injection does not reach the program");
}
