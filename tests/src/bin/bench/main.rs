//! `cargo xtask bench [THEME] [--json FILE] [--docs]`: what this machine can do, and what the ledger does on it.
//!
//! Each figure stands beside the machine's own limit measured in the same run; only their ratio travels between
//! machines. Homes are made under `target/`, because the disk under it is part of the measure.

#![allow(clippy::float_arithmetic, reason = "measured times and ratios are not evidence")]

mod child;
mod console;
mod console_explain;
mod console_hook;
mod flow;
mod growth;
mod home;
mod machine;
mod reading;
mod row;
mod scale;

use crate::machine::Machine;
use crate::row::Row;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
bench [THEME] [--json FILE] [--docs] [--receipts N] [--keep DIR]

  ledger    committing, reading back and verifying (the default)
  scale     a home of 1,000,000 receipts: opening, one process, queries, proofs, disk; --receipts for another size,
            --keep for a home that stays and is used again
  growth    cost of an append at 100,000 and at 1,000,000 receipts, interleaved
  console   importing a transcript, and how long an agent waits for a hook
  all       all of them
";

/// What the command line asks for.
struct Asked {
    theme: String,
    json: Option<PathBuf>,
    docs: bool,
    receipts: u64,
    keep: Option<PathBuf>,
}

fn asked(words: &[String]) -> Result<Asked, String> {
    let mut asked =
        Asked { theme: "ledger".into(), json: None, docs: false, receipts: 1_000_000, keep: None };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{word} needs a value\n\n{USAGE}"));
        match word.as_str() {
            "--json" => asked.json = Some(value()?.into()),
            "--docs" => asked.docs = true,
            "--receipts" => {
                asked.receipts = value()?.parse().map_err(|_| "--receipts takes a number")?;
            }
            "--keep" => asked.keep = Some(value()?.into()),
            theme if ["ledger", "scale", "growth", "console", "all"].contains(&theme) => {
                asked.theme = theme.into();
            }
            other => return Err(format!("there is no {other:?}\n\n{USAGE}")),
        }
    }
    Ok(asked)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|w| w == "--child") {
        return child::run(&words[1..]);
    }
    match asked(&words).and_then(|asked| measure(&asked)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("bench: {what}");
            ExitCode::FAILURE
        }
    }
}

fn measure(asked: &Asked) -> Result<(), String> {
    let scratch = PathBuf::from(format!("target/bench-{}", std::process::id()));
    fs::create_dir_all(&scratch).map_err(|e| format!("cannot make {}: {e}", scratch.display()))?;
    let result = themes(asked, &scratch);
    // What was measured matters more than a leftover directory.
    let _ = fs::remove_dir_all(&scratch);
    let rows = result?;
    asked.json.iter().try_for_each(|file| row::write_json(&rows, file))
}

fn themes(asked: &Asked, scratch: &Path) -> Result<Vec<Row>, String> {
    let machine = Machine::measure(scratch)?;
    let mut all = Vec::new();
    for theme in ["ledger", "scale", "growth", "console"] {
        if asked.theme != theme && asked.theme != "all" {
            continue;
        }
        let mut rows = machine.rows();
        rows.extend(match theme {
            "ledger" => flow::rows(&machine, &scratch.join(theme))?,
            "scale" => {
                let dir = asked.keep.clone().unwrap_or_else(|| scratch.join(theme));
                scale::rows(&machine, &dir, asked.receipts)?
            }
            "console" => {
                let mut rows = console::rows(&scratch.join(theme))?;
                rows.extend(console_hook::rows(&scratch.join("console-hook"))?);
                rows
            }
            _ => growth::rows(&scratch.join(theme))?,
        });
        println!("\n{theme}");
        row::print(&rows);
        if asked.docs {
            for page in ["docs/performance.md", "docs/capacity.md"] {
                let mark = match asked.receipts {
                    1_000_000 => theme.to_owned(),
                    receipts => format!("{theme} {receipts}"),
                };
                if row::write_page(&rows, &mark, Path::new(page))? {
                    println!("written to {page}");
                }
            }
        }
        all.extend(rows);
    }
    Ok(all)
}
