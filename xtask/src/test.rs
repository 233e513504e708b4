//! `cargo xtask test`: everything that must hold before a change is handed over.

use crate::step::{self, answers, cargo, root};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Runs every check in turn and stops at the first that fails.
pub fn run(words: &[String]) -> Result<(), String> {
    if let Some(word) = words.first() {
        return Err(format!("test takes no words, not {word:?}"));
    }
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], &[])?;
    docs()?;
    tests()?;
    if !answers("python3", &["--version"]) {
        println!("skipped: tests/verify.py, because python3 is not installed");
    }
    if answers("cargo", &["deny", "--version"]) {
        dependency_rules()?;
    } else {
        println!(
            "skipped: dependency rules, because cargo-deny is not installed (cargo install cargo-deny)"
        );
    }
    println!("all checks passed");
    Ok(())
}

/// Advisories need a database from outside; licences, bans and sources need only the packages themselves, those of other
/// systems too, which building does not fetch.
fn dependency_rules() -> Result<(), String> {
    if cargo(&["fetch", "--locked"], &[]).is_err() {
        println!("skipped: dependency rules, because not all packages can be fetched");
        return Ok(());
    }
    cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"], &[])
}

/// All tests; lines that say what was skipped are passed on and counted.
fn tests() -> Result<(), String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(["test", "--workspace", "--locked"]).stderr(Stdio::piped());
    println!("$ {}", step::shown(&command));
    let mut child = command.spawn().map_err(|e| format!("cannot start cargo: {e}"))?;
    let mut skipped = 0;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line.map_err(|e| format!("cannot read what cargo says: {e}"))?;
            let line = String::from_utf8_lossy(&line).into_owned();
            skipped += u32::from(line.starts_with("skipped: "));
            eprintln!("{line}");
        }
    }
    let status = child.wait().map_err(|e| format!("cannot wait for cargo: {e}"))?;
    println!("{skipped} suites were skipped");
    match status.success() {
        true => Ok(()),
        false => Err(format!("cargo test ended with {status}")),
    }
}

fn docs() -> Result<(), String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).env("RUSTDOCFLAGS", "-D warnings");
    command.args(["doc", "--workspace", "--no-deps", "--locked"]);
    step::run(&mut command)
}
