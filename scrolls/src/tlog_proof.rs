//! `.tlog-proof` files (C2SP tlog-proof@v1): index, inclusion hashes and checkpoint of one leaf, as text.

use std::fmt;

use crate::base64;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::note::{NOTE_BYTES_MAX, Vkey};
use crate::tree::{Hash, ProofError, verify_inclusion};

/// First line of every file.
pub const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Most inclusion hashes, from the largest tree.
pub const HASHES_MAX: usize = 63;
/// Longest file that is read, in bytes: a note and as much again for the rest.
pub const BYTES_MAX: usize = 2 * NOTE_BYTES_MAX;

/// Why a proof file was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlogProofError {
    /// Not in the format; line from 1, byte from 0.
    Malformed {
        /// Line with the fault.
        line: u64,
        /// Offset of that line.
        byte: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// Its checkpoint was refused.
    Checkpoint(CheckpointError),
    /// Its hashes do not lead from the leaf to the checkpoint's root.
    Inclusion(ProofError),
}

impl TlogProofError {
    /// Stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "tlog_proof_malformed",
            Self::Checkpoint(e) => e.code(),
            Self::Inclusion(e) => e.code(),
        }
    }
}

impl fmt::Display for TlogProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line, byte, reason } => {
                write!(f, "not a tlog-proof (line {line}, byte {byte}): {reason}")
            }
            Self::Checkpoint(e) => e.fmt(f),
            Self::Inclusion(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for TlogProofError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed { .. } => None,
            Self::Checkpoint(e) => Some(e),
            Self::Inclusion(e) => Some(e),
        }
    }
}

/// A parsed proof file; nothing about it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Opaque bytes that nothing vouches for.
    pub extra: Option<Vec<u8>>,
    /// Leaf index.
    pub index: u64,
    /// Inclusion hashes, the leaf's sibling first.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64::encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", base64::encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Takes lines off the front of a text and keeps the place.
struct Lines<'a> {
    text: &'a str,
    rest: &'a str,
    line: u64,
}

impl<'a> Lines<'a> {
    fn fault(&self, reason: &'static str) -> TlogProofError {
        let byte = (self.text.len() - self.rest.len()) as u64;
        TlogProofError::Malformed { line: self.line, byte, reason }
    }

    fn peek(&self) -> Result<(&'a str, &'a str), TlogProofError> {
        self.rest.split_once('\n').ok_or_else(|| self.fault("the line does not end"))
    }

    fn accept(&mut self, rest: &'a str) {
        self.rest = rest;
        self.line += 1;
    }
}

impl TlogProof {
    /// Parses a file; every file it accepts prints back to the same bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        let mut lines = Lines { text: "", rest: "", line: 1 };
        if bytes.len() > BYTES_MAX {
            return Err(lines.fault("the file is longer than 2,000,000 bytes"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| lines.fault("not UTF-8"))?;
        (lines.text, lines.rest) = (text, text);

        let (header, rest) = lines.peek()?;
        if header != HEADER {
            return Err(lines.fault("the first line is not c2sp.org/tlog-proof@v1"));
        }
        lines.accept(rest);

        let (line, rest) = lines.peek()?;
        let extra = match line.strip_prefix("extra ") {
            None => None,
            Some(encoded) => {
                let extra = base64::decode(encoded);
                let extra = extra.map_err(|_| lines.fault("the extra data is not base64"))?;
                lines.accept(rest);
                Some(extra)
            }
        };

        let (line, rest) = lines.peek()?;
        let index = line.strip_prefix("index ").and_then(parse_index);
        let index = index.ok_or_else(|| lines.fault("expected \"index \" and a decimal"))?;
        lines.accept(rest);

        let hashes = parse_hashes(&mut lines)?;
        if lines.rest.is_empty() {
            return Err(lines.fault("the checkpoint is missing"));
        }
        Ok(Self { extra, index, hashes, checkpoint: lines.rest.to_owned() })
    }

    /// Verifies that the leaf with this hash stands at `index` under a checkpoint that one of the known
    /// keys signed as its own origin. Returns the checkpoint; whether it is the log that was meant is the
    /// caller's question.
    pub fn verify(&self, leaf: &Hash, known: &[Vkey]) -> Result<Checkpoint, TlogProofError> {
        let (checkpoint, _) = Checkpoint::open(self.checkpoint.as_bytes(), known)
            .map_err(TlogProofError::Checkpoint)?;
        verify_inclusion(leaf, self.index, checkpoint.size, &self.hashes, &checkpoint.root)
            .map_err(TlogProofError::Inclusion)?;
        Ok(checkpoint)
    }
}

fn parse_hashes(lines: &mut Lines<'_>) -> Result<Vec<Hash>, TlogProofError> {
    let mut hashes = Vec::new();
    loop {
        let (line, rest) = lines.peek()?;
        if line.is_empty() {
            lines.accept(rest);
            return Ok(hashes);
        }
        if hashes.len() == HASHES_MAX {
            return Err(lines.fault("more than 63 inclusion hashes"));
        }
        let hash = base64::decode_hash(line);
        hashes.push(hash.map_err(|_| lines.fault("not the base64 of a 32-byte hash"))?);
        lines.accept(rest);
    }
}

fn parse_index(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}
