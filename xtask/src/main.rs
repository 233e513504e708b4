//! Developer commands: `cargo xtask demo | test | fuzz | bench | trust`.
//!
//! They only start other programs and say what they start, so that each step can be run by hand.

mod demo;
mod fuzz;
mod step;
mod test;
mod trust;

use std::process::ExitCode;

const USAGE: &str = "\
Developer commands of VaultMesh.

  cargo xtask demo [--journal FILE]   keep books and carry out a drill, prove and verify both
  cargo xtask test                    format, lints, documentation, all tests, dependency rules
  cargo xtask fuzz [TARGET] [--seconds N]
                                      fuzz the parsers of outside bytes (needs cargo-fuzz and nightly)
  cargo xtask bench [ledger|scale|growth|console|all] [--json FILE] [--docs] [--receipts N] [--keep DIR]
                                      measure this machine and the ledger on it; --docs writes the pages again
  cargo xtask trust [--quick | --seconds N] [--only real|rounds|crash|model|tamper|corpus|fuzz]
                    [--json FILE]     try to break the ledger; write docs/trust.md and trust.json beside it
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let rest = words.get(1..).unwrap_or_default();
    let result = match words.first().map(String::as_str) {
        Some("demo") => demo::run(rest),
        Some("test") => test::run(rest),
        Some("fuzz") => fuzz::run(rest),
        Some("trust") => trust::run(rest),
        Some("bench") => bench(rest),
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

/// Measures with release builds; one of the figures is of the program itself.
fn bench(rest: &[String]) -> Result<(), String> {
    step::cargo(&["build", "--quiet", "--release", "--package", "vaultmesh", "--bin", "vm"], &[])?;
    step::cargo(
        &["run", "--quiet", "--release", "--package", "vm-tests", "--bin", "bench", "--"],
        rest,
    )
}
