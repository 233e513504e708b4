//! `cargo xtask demo`: the main jobs on real input. A year of books, a drill with its case, two forgeries that are
//! caught, a private text that is shown, a proof that two programs verify, and a commit held against what an agent edited.

mod agent;
mod books;
mod desk;
mod drill;

use crate::step;
use desk::Desk;
use std::fs;
use std::path::PathBuf;

const JOURNAL: &str = "tests/data/journal/association-2025.journal";

/// Builds `vm` and tells the story; the first step that fails ends it.
pub fn run(words: &[String]) -> Result<(), String> {
    let journal = match words {
        [] => step::root().join(JOURNAL),
        [flag, file] if flag == "--journal" => {
            fs::canonicalize(file).map_err(|e| format!("cannot read the journal {file}: {e}"))?
        }
        _ => return Err("demo takes only --journal FILE".into()),
    };
    step::cargo(&["build", "--quiet", "--release", "--locked", "--package", "vaultmesh"], &[])?;
    let desk = Desk::new(vm())?;
    books::keep(&desk, &journal)?;
    books::forge(&desk)?;
    drill::carry_out(&desk)?;
    drill::forge(&desk)?;
    books::disclose(&desk)?;
    drill::prove(&desk)?;
    agent::explain(&desk)?;
    println!("\nThe demonstration is complete. Its home is in {}.", desk::text(&desk.home));
    Ok(())
}

fn vm() -> PathBuf {
    step::target().join("release/vm")
}
