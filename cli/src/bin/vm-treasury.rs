//! `vm-treasury …` is `vm treasury …`.

use std::process::ExitCode;

fn main() -> ExitCode {
    vaultmesh::start(Some("treasury"))
}
