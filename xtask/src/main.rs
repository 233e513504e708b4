//! Developer commands: `cargo xtask demo | test | fuzz | bench`.
//!
//! They only start other programs and say what they start, so that each step can be run by hand.

mod demo;
mod fuzz;
mod step;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
Developer commands of VaultMesh.

  cargo xtask demo [--journal FILE]   keep books and carry out a drill, prove and verify both
  cargo xtask test                    format, lints, documentation, all tests, dependency rules
  cargo xtask fuzz [TARGET] [--seconds N]
                                      fuzz the parsers of outside bytes (needs cargo-fuzz and nightly)
  cargo xtask bench [--json FILE]     measure this machine and the ledger on it
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let rest = words.get(1..).unwrap_or_default();
    let result = match words.first().map(String::as_str) {
        Some("demo") => demo::run(rest),
        Some("test") => test::run(rest),
        Some("fuzz") => fuzz::run(rest),
        Some("bench") => step::cargo(
            &["run", "--quiet", "--release", "--package", "vm-tests", "--bin", "bench", "--"],
            rest,
        ),
        Some("help" | "--help" | "-h") | None => {
            print!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(format!("there is no command {other:?}\n\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("xtask: {what}");
            ExitCode::FAILURE
        }
    }
}
