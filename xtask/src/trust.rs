//! `cargo xtask trust`: the campaigns that try to break the ledger, and the report of what they came to.

use crate::step;

/// Builds the program that is tried, then runs the campaigns.
pub fn run(words: &[String]) -> Result<(), String> {
    step::cargo(&["build", "--quiet", "--locked", "--package", "vaultmesh"], &[])?;
    step::cargo(
        &["run", "--quiet", "--locked", "--package", "vm-tests", "--bin", "trust", "--"],
        words,
    )
}
