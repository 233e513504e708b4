//! The receipt line: one sealed act as one line of canonical JSON.
//!
//! A line is written once, sealed, and from then on exists as bytes: it is read back strictly and its signature is
//! verified over the stored bytes, never over something built again. A line proves nothing without inclusion under a
//! checkpoint; that is the work of scrolls.

mod one_pass;
mod proof;
mod read;
mod record;
mod rules;
mod write;

use std::fmt;

use serde_json::{Map, Value};

use crate::digest::{Blake3, Sha256};
use crate::intent::ActorProof;
use crate::json::JsonError;
use crate::key::SecretKey;
use crate::moment::Moment;

pub use proof::{Issuer, Prepared, Stored, verify_proof};
pub use record::{record_digests, record_documents};
pub use rules::{PARTS_MAX, TAGS_MAX, is_field_name, is_id, is_op, is_scroll, is_type};

/// Receipt format version.
pub const VERSION: i64 = 1;

/// The longest line in bytes, without its LF: what a C2SP entry bundle can hold (u16 length).
pub const LINE_MAX: usize = 65_535;

/// Which line of its call this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Place in the call, from 1.
    pub n: u32,
    /// Number of lines of the call.
    pub of: u32,
}

/// Where a call came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The surface it came through: `cli`, `http`, `mcp` …
    pub surface: String,
    /// Name of the node that sealed.
    pub node: String,
    /// Whether the home is a demonstration. Written only when true.
    pub demo: bool,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It did what was planned.
    Completed,
    /// It failed part way; `body.fault` says how.
    Aborted,
}

impl End {
    /// The word in the line.
    pub fn word(self) -> &'static str {
        match self {
            End::Completed => "completed",
            End::Aborted => "aborted",
        }
    }
}

/// The scroll's size and root at the start of this line's batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prev {
    /// Number of lines before the batch.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: [u8; 32],
}

/// The W3C Data Integrity proof of a sealed line, without its constant members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// `at` cut to whole seconds.
    pub created: String,
    /// `did:key:z…#z…` of the issuer.
    pub method: String,
    /// `z` and the base58btc of the signature.
    pub value: String,
}

/// One receipt. Version 1 is implied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Receipt type, JSON member `type`.
    pub kind: String,
    /// The operation that made it.
    pub op: String,
    /// The scroll it stands in.
    pub scroll: String,
    /// Its leaf index in the scroll.
    pub seq: u64,
    /// Id of the call, the run and the case.
    pub id: String,
    /// Which line of the call this is.
    pub part: Part,
    /// Digest of what was asked for.
    pub intent: Blake3,
    /// `did:key` of the node that sealed.
    pub issuer: String,
    /// Who asked: a DID or `local:<uid>`.
    pub actor: String,
    /// Where the call came in.
    pub context: Context,
    /// The actor's own signature over the intent.
    pub actor_proof: Option<ActorProof>,
    /// Under what authority the call was let through; has at least `mode`.
    pub authority: Map<String, Value>,
    /// When it was sealed.
    pub at: Moment,
    /// How it ended.
    pub end: End,
    /// Digest of contract.json.
    pub contract: Blake3,
    /// Digest of state.json.
    pub state: Blake3,
    /// Root over the case bundle.
    pub root_hash: Blake3,
    /// Digest of ARTIFACTS.sha256, when there is a case.
    pub artifacts: Option<Sha256>,
    /// The history this line commits to.
    pub prev: Prev,
    /// Short public strings.
    pub tags: Vec<String>,
    /// The domain's public fields, and `_sd`.
    pub body: Map<String, Value>,
    /// The proof; `None` before sealing.
    pub proof: Option<Proof>,
}

/// A sealed line with the bytes that are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The line, its proof in place.
    pub line: Line,
    /// Its canonical JSON, without LF.
    pub bytes: Vec<u8>,
}

/// A refused line: where, a stable name, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Offset of the offence in the line's bytes; 0 for a line that was never written.
    pub at: usize,
    /// Stable name of this error.
    pub code: &'static str,
    /// What is wrong, in words.
    pub message: String,
}

impl LineError {
    pub(crate) fn new(at: usize, code: &'static str, message: impl Into<String>) -> LineError {
        LineError { at, code, message: message.into() }
    }

    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.message, self.at)
    }
}

impl std::error::Error for LineError {}

impl From<JsonError> for LineError {
    fn from(error: JsonError) -> LineError {
        LineError::new(error.at, error.code(), error.kind.says())
    }
}

impl Line {
    /// Seals the line: checks it, writes it once, signs it and puts the proof in its sorted place.
    ///
    /// A proof the line may carry already is replaced. The same line and key give the same bytes.
    ///
    /// # Errors
    /// Whatever [`Line::parse`] would refuse, and an `issuer` that is not the key's.
    pub fn seal(&self, key: &SecretKey) -> Result<Sealed, LineError> {
        Prepared::of_any_length(self.clone())?.seal(key)
    }

    /// Whether the line can be sealed, found out without signing: its rules and its size with the longest proof.
    ///
    /// # Errors
    /// Whatever [`Line::seal`] would refuse, except a foreign `issuer`.
    pub fn sealable(&self) -> Result<(), LineError> {
        self.clone().prepare().map(drop)
    }

    /// Checks the line and writes it, so that sealing it is one signature and cannot fail but for a foreign key.
    ///
    /// # Errors
    /// Whatever [`Line::sealable`] would refuse.
    pub fn prepare(self) -> Result<Prepared, LineError> {
        Prepared::new(self)
    }

    /// Reads one line without its LF, strictly: canonical bytes, exactly the known fields, their types and limits.
    ///
    /// The signature is not verified; see [`verify_proof`].
    pub fn parse(bytes: &[u8]) -> Result<Line, LineError> {
        Stored::read(bytes).map(Stored::into_line)
    }
}

#[cfg(test)]
pub(crate) mod tests;
