//! The binary `vm` as the tests of this crate build it: the same single line.

use std::process::ExitCode;

fn main() -> ExitCode {
    vaultmesh::start(None)
}
