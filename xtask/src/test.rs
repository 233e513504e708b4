//! `cargo xtask test`: everything that must hold before a change is handed over.

use crate::step::{self, answers, cargo, root};
use std::process::Command;

/// Runs every check in turn and stops at the first that fails.
pub fn run(words: &[String]) -> Result<(), String> {
    if let Some(word) = words.first() {
        return Err(format!("test takes no words, not {word:?}"));
    }
    cargo(&["fmt", "--all", "--check"], &[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], &[])?;
    docs()?;
    cargo(&["test", "--workspace", "--locked"], &[])?;
    if !answers("python3", &["--version"]) {
        println!("skipped: tests/verify.py, because python3 is not installed");
    }
    if answers("cargo", &["deny", "--version"]) {
        // Advisories need a database from outside; licences, bans and sources need nothing.
        cargo(&["deny", "--offline", "check", "licenses", "bans", "sources"], &[])?;
    } else {
        println!(
            "skipped: dependency rules, because cargo-deny is not installed (cargo install cargo-deny)"
        );
    }
    println!("all checks passed");
    Ok(())
}

fn docs() -> Result<(), String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).env("RUSTDOCFLAGS", "-D warnings");
    command.args(["doc", "--workspace", "--no-deps", "--locked"]);
    step::run(&mut command)
}
