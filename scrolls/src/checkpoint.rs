//! Checkpoints (C2SP tlog-checkpoint): origin, size and root of a scroll, as the text of a signed note.
//!
//! Our own have exactly three lines. Extension lines are read only where the caller asks for them,
//! because monitors cannot audit what they mean.

use std::fmt;

use vm_receipts::key::SecretKey;

use crate::base64;
use crate::note::{self, Note, NoteError, Vkey};
use crate::tree::{Hash, MAX_SIZE, empty_root};

/// Longest origin, in bytes: the limit of the subtree cosignature message.
pub const ORIGIN_BYTES_MAX: usize = 255;

/// Why a checkpoint was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The body is not a checkpoint; line from 1, byte from 0, both in the body.
    Body {
        /// Line with the fault.
        line: u64,
        /// Offset of that line.
        byte: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// The note around it was refused.
    Note(NoteError),
    /// The keys that verified are not the origin's own.
    ForeignSigner {
        /// Origin in the body.
        origin: String,
        /// Names of the keys that verified.
        signers: Vec<String>,
    },
}

impl CheckpointError {
    /// Stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Body { .. } => "checkpoint_malformed",
            Self::Note(e) => e.code(),
            Self::ForeignSigner { .. } => "checkpoint_foreign_signer",
        }
    }

    /// Whether a trusted key is missing, so that nothing can be said either way.
    #[must_use]
    pub fn is_missing_key(&self) -> bool {
        matches!(
            self,
            Self::ForeignSigner { .. }
                | Self::Note(NoteError::Unverified { .. } | NoteError::AmbiguousKey { .. })
        )
    }

    /// Line in the note, from 1, where there is one.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::Body { line, .. } => Some(*line),
            Self::Note(e) => e.line(),
            Self::ForeignSigner { .. } => None,
        }
    }

    /// Byte offset in the note, where there is one.
    #[must_use]
    pub fn byte(&self) -> Option<u64> {
        match self {
            Self::Body { byte, .. } => Some(*byte),
            Self::Note(e) => e.byte(),
            Self::ForeignSigner { .. } => None,
        }
    }
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body { line, byte, reason } => {
                write!(f, "not a checkpoint (line {line}, byte {byte}): {reason}")
            }
            Self::Note(e) => e.fmt(f),
            Self::ForeignSigner { origin, signers } => {
                let signers = signers.join(", ");
                write!(f, "checkpoint of {origin:?} is signed by {signers}, not by its own key")
            }
        }
    }
}

impl std::error::Error for CheckpointError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Note(e) = self { Some(e) } else { None }
    }
}

impl From<NoteError> for CheckpointError {
    fn from(e: NoteError) -> Self {
        Self::Note(e)
    }
}

/// The state of a scroll that a log key signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// `<domain>/<node>/<scroll>`; also the name of the key that signs it.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Merkle root over them.
    pub root: Hash,
}

/// Whether an origin can be signed: a usable key name of at most 255 bytes.
#[must_use]
pub fn is_origin(origin: &str) -> bool {
    origin.len() <= ORIGIN_BYTES_MAX && note::is_key_name(origin)
}

impl Checkpoint {
    /// Parses a body of exactly three lines.
    pub fn parse_body(body: &str) -> Result<Self, CheckpointError> {
        let (checkpoint, extensions) = Self::parse_body_with_extensions(body)?;
        if !extensions.is_empty() {
            let first = line_start(body, 3);
            return Err(fault(4, first, "extension lines are not accepted here"));
        }
        Ok(checkpoint)
    }

    /// Parses a body and returns its extension lines too; their meaning is the caller's matter.
    pub fn parse_body_with_extensions(body: &str) -> Result<(Self, Vec<String>), CheckpointError> {
        let Some(lines) = body.strip_suffix('\n') else {
            let line = 1 + body.matches('\n').count() as u64;
            return Err(fault(line, body.len(), "the last line has no line feed"));
        };
        let lines: Vec<&str> = lines.split('\n').collect();
        let [origin, size, root, extensions @ ..] = lines.as_slice() else {
            return Err(fault(lines.len() as u64, body.len(), "fewer than three lines"));
        };
        if origin.is_empty() || origin.len() > ORIGIN_BYTES_MAX {
            return Err(fault(1, 0, "the origin is empty or longer than 255 bytes"));
        }
        if let Some(at) = body.bytes().position(|b| b < 0x20 && b != b'\n') {
            let line = 1 + body.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() as u64;
            return Err(fault(line, at, "a control character"));
        }
        let size = parse_size(size).map_err(|reason| fault(2, line_start(body, 1), reason))?;
        let at = line_start(body, 2);
        let root = base64::decode_hash(root)
            .map_err(|_| fault(3, at, "the root is not 32 bytes of base64"))?;
        if size == 0 && root != empty_root() {
            return Err(fault(3, at, "the root of an empty tree is the SHA-256 of nothing"));
        }
        if let Some(empty) = extensions.iter().position(|line| line.is_empty()) {
            let at = line_start(body, 3 + empty);
            return Err(fault(4 + empty as u64, at, "an empty extension line"));
        }
        let extensions = extensions.iter().map(|line| (*line).to_owned()).collect();
        Ok((Self { origin: (*origin).to_owned(), size, root }, extensions))
    }

    /// The three lines that are signed.
    #[must_use]
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64::encode(self.root))
    }

    /// Signs with the scroll's log key; the key's name is the origin. Returns the whole note.
    ///
    /// # Panics
    /// When the origin could never be read back (`is_origin`): check it where it comes in.
    #[must_use]
    pub fn sign(&self, key: &SecretKey) -> String {
        assert!(is_origin(&self.origin), "an origin is a key name of at most 255 bytes");
        note::sign(&self.body(), &self.origin, key)
    }

    /// Opens a signed checkpoint of three lines: a known key whose name is the origin must have signed
    /// it, and no known key may contradict it.
    pub fn open(bytes: &[u8], known: &[Vkey]) -> Result<(Self, Note), CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Self::parse_body(&note.text)?;
        let verified = note::verify(&note, known)?;
        let names = verified.iter().map(|index| &note.signatures[*index].name);
        if !names.clone().any(|name| *name == checkpoint.origin) {
            let signers = names.cloned().collect();
            return Err(CheckpointError::ForeignSigner { origin: checkpoint.origin, signers });
        }
        Ok((checkpoint, note))
    }
}

fn fault(line: u64, byte: usize, reason: &'static str) -> CheckpointError {
    CheckpointError::Body { line, byte: byte as u64, reason }
}

/// Offset of line `line` (from 0) in a body that has it.
fn line_start(body: &str, line: usize) -> usize {
    body.split_inclusive('\n').take(line).map(str::len).sum()
}

/// A decimal without sign or leading zeros, at most `MAX_SIZE`.
fn parse_size(text: &str) -> Result<u64, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err("the size is not a decimal without leading zeros");
    }
    let size = text.parse().ok().filter(|size| *size <= MAX_SIZE);
    size.ok_or("the size is too large")
}
