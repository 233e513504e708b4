//! `vm-console …` is `vm console …`.

use std::process::ExitCode;

fn main() -> ExitCode {
    vaultmesh::start(Some("console"))
}
