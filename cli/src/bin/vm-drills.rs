//! `vm-drills …` is `vm drills …`.

use std::process::ExitCode;

fn main() -> ExitCode {
    vaultmesh::start(Some("drills"))
}
