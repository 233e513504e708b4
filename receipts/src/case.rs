//! The evidence folder of one run: which files belong to it, the list that names them, and whether a folder still is
//! what its line says.
//!
//! A case has contract.json, state.json and everything under `outputs/`. ARTIFACTS.sha256 lists them for foreign tools
//! (`sha256sum -c`) and is committed to by the line's `artifacts`; `root_hash` commits to the same files as a tree. A
//! private output stands in the case as a small stub that carries its salted digest, so that both lists hold ordinary
//! files only and no unsalted digest of anything private.

mod check;
mod stub;

pub use check::{CaseFault, CaseReport, Folder, check_case};
pub use stub::{PrivateOutput, STUB_SUFFIX, is_stub_path, parse_stub, stub};

use std::fmt;

use crate::bundle::{self, BundleError, Leaf, path_is_plain};
use crate::digest::{Blake3, Sha256};
use crate::hex;

/// What was to be done.
pub const CONTRACT: &str = "contract.json";
/// How it went.
pub const STATE: &str = "state.json";
/// The folder of what the run produced, with the slash.
pub const OUTPUTS: &str = "outputs/";
/// The list of the files; not itself part of the bundle.
pub const MANIFEST: &str = "ARTIFACTS.sha256";
/// How long the list may be, in bytes: as many lines as a bundle has files, of usual length.
pub const MANIFEST_BYTES_MAX: usize = 16 << 20;

/// One file of a case with both digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Path in the case folder, with `/` between its parts.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// What the bundle's tree is over.
    pub blake3: Blake3,
    /// What ARTIFACTS.sha256 says.
    pub sha256: Sha256,
}

impl Artifact {
    /// The file with these bytes.
    pub fn of(path: &str, bytes: &[u8]) -> Artifact {
        let (blake3, sha256) = (Blake3::of(bytes), Sha256::of(bytes));
        Artifact { path: path.to_owned(), size: bytes.len() as u64, blake3, sha256 }
    }

    /// The file as a leaf of the bundle's tree.
    pub fn leaf(&self) -> Leaf {
        Leaf { path: self.path.clone(), size: self.size, digest: self.blake3 }
    }
}

/// Why a list of files or a stub was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseError {
    /// The list is longer than [`MANIFEST_BYTES_MAX`] or has more lines than a bundle has files.
    TooLong,
    /// The line (from 1) is not 64 lower-case hexadecimal digits, two spaces, a path and a line feed.
    Line(u64),
    /// The line's path cannot belong to a case.
    Path(u64),
    /// The line's path repeats or precedes the one above it, by bytes.
    Order(u64),
    /// There are no lines.
    Empty,
    /// The bytes are not the stub of a private output.
    Stub,
    /// The disclosure does not describe a private output.
    Output,
}

impl CaseError {
    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            CaseError::TooLong => "case_list_too_long",
            CaseError::Line(_) => "case_list_line",
            CaseError::Path(_) => "case_list_path",
            CaseError::Order(_) => "case_list_order",
            CaseError::Empty => "case_list_empty",
            CaseError::Stub => "case_stub",
            CaseError::Output => "case_output",
        }
    }

    /// The line of the list it is about, from 1.
    pub fn line(&self) -> Option<u64> {
        match self {
            CaseError::Line(n) | CaseError::Path(n) | CaseError::Order(n) => Some(*n),
            _ => None,
        }
    }
}

impl fmt::Display for CaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaseError::TooLong => {
                write!(f, "the list has more than {MANIFEST_BYTES_MAX} bytes or too many lines")
            }
            CaseError::Line(n) => {
                write!(f, "line {n} of the list is not a SHA-256 digest, two spaces and a path")
            }
            CaseError::Path(n) => {
                write!(f, "line {n} of the list names a path that cannot belong to a case")
            }
            CaseError::Order(n) => {
                write!(f, "line {n} of the list repeats or precedes the one above it")
            }
            CaseError::Empty => f.write_str("the list names no file"),
            CaseError::Stub => f.write_str("these bytes are not the stub of a private output"),
            CaseError::Output => {
                f.write_str("the disclosure is not a private output with name, sha256 and size")
            }
        }
    }
}

impl std::error::Error for CaseError {}

/// Whether a file of this name belongs to the bundle: contract.json, state.json, or a plain path under `outputs/`.
pub fn is_case_path(path: &str) -> bool {
    matches!(path, CONTRACT | STATE) || (path.starts_with(OUTPUTS) && path_is_plain(path))
}

/// ARTIFACTS.sha256 of these files: what `sha256sum` prints and `sha256sum -c` reads, by the bytes of the paths.
///
/// Paths of a case need no escapes; [`root`] refuses others.
pub fn manifest(files: &[Artifact]) -> String {
    let mut text = String::with_capacity(files.len() * 96);
    for file in in_order(files) {
        text.push_str(&hex::encode_32(&file.sha256.0));
        text.push_str("  ");
        text.push_str(&file.path);
        text.push('\n');
    }
    text
}

/// What a line's `artifacts` says of these files: SHA-256 of [`manifest`].
pub fn manifest_digest(files: &[Artifact]) -> Sha256 {
    Sha256::of(manifest(files).as_bytes())
}

/// What a line's `root_hash` says of these files, in whatever order they are handed over.
///
/// # Errors
/// Whatever [`bundle::root`] refuses. An index in an error is the place by the bytes of the paths.
pub fn root(files: &[Artifact]) -> Result<Blake3, BundleError> {
    let leaves: Vec<Leaf> = in_order(files).into_iter().map(Artifact::leaf).collect();
    bundle::root(&leaves)
}

fn in_order(files: &[Artifact]) -> Vec<&Artifact> {
    let mut files: Vec<&Artifact> = files.iter().collect();
    files.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
    files
}

/// Reads an ARTIFACTS.sha256 strictly: its one spelling, paths of a case in ascending order of their bytes.
///
/// # Errors
/// Any other text, with its line.
pub fn parse_manifest(bytes: &[u8]) -> Result<Vec<(String, Sha256)>, CaseError> {
    if bytes.len() > MANIFEST_BYTES_MAX {
        return Err(CaseError::TooLong);
    }
    let mut files: Vec<(String, Sha256)> = Vec::new();
    for (line, number) in bytes.split_inclusive(|byte| *byte == b'\n').zip(1..) {
        if files.len() == bundle::LEAVES_MAX {
            return Err(CaseError::TooLong);
        }
        let (path, digest) = manifest_line(line).ok_or(CaseError::Line(number))?;
        if !is_case_path(path) {
            return Err(CaseError::Path(number));
        }
        if files.last().is_some_and(|(last, _)| last.as_bytes() >= path.as_bytes()) {
            return Err(CaseError::Order(number));
        }
        files.push((path.to_owned(), digest));
    }
    if files.is_empty() { Err(CaseError::Empty) } else { Ok(files) }
}

fn manifest_line(line: &[u8]) -> Option<(&str, Sha256)> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (digest, path) = text.split_once("  ")?;
    Some((path, Sha256(hex::decode_32(digest)?)))
}

#[cfg(test)]
mod tests;
