//! `cargo xtask fuzz`: the parsers of outside bytes under libFuzzer.

use crate::step::{self, answers, root};
use std::fs;
use std::process::Command;

const SECONDS: &str = "10";

/// Fuzzes one target, or all of them one after another.
pub fn run(words: &[String]) -> Result<(), String> {
    if !answers("cargo", &["+nightly", "fuzz", "--version"]) {
        return Err("cargo-fuzz on a nightly toolchain is needed: rustup toolchain install nightly && cargo install cargo-fuzz. \
                    `cargo test --package vm-tests --test corpus` runs the same checks on stable, over committed seeds."
            .into());
    }
    let seconds = words.iter().position(|w| w == "--seconds").and_then(|at| words.get(at + 1));
    let seconds = seconds.map_or(SECONDS, String::as_str);
    let named = words.first().filter(|w| !w.starts_with("--"));
    let targets = match named {
        Some(target) => vec![target.clone()],
        None => targets()?,
    };
    for target in targets {
        let seeds = root().join("tests/fuzz/seeds").join(&target);
        let corpus = root().join("tests/fuzz/corpus").join(&target);
        fs::create_dir_all(&corpus)
            .map_err(|e| format!("cannot make {}: {e}", corpus.display()))?;
        let mut command = Command::new("cargo");
        command.current_dir(root().join("tests")).args(["+nightly", "fuzz", "run", &target]);
        command.arg(&corpus);
        if seeds.is_dir() {
            command.arg(&seeds);
        }
        command.args(["--", &format!("-max_total_time={seconds}")]);
        step::run(&mut command)?;
    }
    Ok(())
}

fn targets() -> Result<Vec<String>, String> {
    let dir = root().join("tests/fuzz/fuzz_targets");
    let entries = fs::read_dir(&dir).map_err(|e| format!("cannot list {}: {e}", dir.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|e| e.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort_unstable();
    Ok(names)
}
