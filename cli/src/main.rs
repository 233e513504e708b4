//! The binary `vm`.

use std::process::ExitCode;

fn main() -> ExitCode {
    vaultmesh::start(None)
}
