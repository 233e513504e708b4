//! `PROOF.json`: one receipt line with everything an outsider needs to check it offline.
//!
//! The file has one spelling (RFC 8785 and a line feed), so any changed byte shows. Beside line, inclusion
//! and checkpoint it may name the files of the case and open private values. Anchors belong to a later
//! version and are refused here, not skipped.

use std::fmt;

use serde_json::{Map, Value, json};
use vm_receipts::case::{self, PrivateOutput};
use vm_receipts::json;
use vm_receipts::private::Disclosure;

use crate::base64;
use crate::tree::Hash;

mod case_files;
mod check;
mod entry;
mod opened;

pub use check::{verify, verify_bytes};
pub use entry::{Branch, Entry};

/// Name of the file in a case folder.
pub const FILE_NAME: &str = "PROOF.json";
/// Format version.
pub const VERSION: u64 = 1;
/// Longest file that is read, in bytes: a note and a line with every byte escaped are two million, the rest
/// is for the files of a case and disclosures.
pub const PROOF_BYTES_MAX: usize = 8 << 20;
/// Most inclusion hashes, from the largest tree.
pub const HASHES_MAX: usize = 63;
/// Most files of a case in one proof.
pub const BUNDLE_MAX: usize = 16_384;
/// Most disclosures in one proof.
pub const DISCLOSURES_MAX: usize = 4_096;

/// Why a proof file was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofFileError {
    /// Longer than [`PROOF_BYTES_MAX`].
    TooLong,
    /// Not strict JSON.
    Json {
        /// Offset of the fault.
        byte: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Strict JSON, but not in the one spelling.
    NotCanonical {
        /// Offset of the first byte that differs.
        byte: u64,
    },
    /// A member is missing, unknown or of the wrong form.
    Member {
        /// JSON pointer to the member.
        pointer: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A version or part that this program does not read.
    Unsupported {
        /// JSON pointer to the member.
        pointer: String,
    },
}

impl ProofFileError {
    /// Stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "proof_file_too_long",
            Self::Json { .. } => "proof_file_json",
            Self::NotCanonical { .. } => "proof_file_not_canonical",
            Self::Member { .. } => "proof_file_member",
            Self::Unsupported { .. } => "proof_file_unsupported",
        }
    }

    /// Byte offset in the file, where there is one.
    #[must_use]
    pub fn byte(&self) -> Option<u64> {
        match self {
            Self::Json { byte, .. } | Self::NotCanonical { byte } => Some(*byte),
            _ => None,
        }
    }

    /// What the reader can do.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotCanonical { .. } => {
                Some("the file was reformatted; take the original, or write it again as RFC 8785")
            }
            Self::Unsupported { .. } => Some("a newer program may read it"),
            _ => None,
        }
    }
}

impl fmt::Display for ProofFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the proof is longer than {PROOF_BYTES_MAX} bytes"),
            Self::Json { byte, reason } => {
                write!(f, "the proof is not strict JSON (byte {byte}): {reason}")
            }
            Self::NotCanonical { byte } => {
                write!(f, "the proof is not in its canonical form (byte {byte})")
            }
            Self::Member { pointer, expected } => {
                write!(f, "the proof's member {pointer:?} must be {expected}")
            }
            Self::Unsupported { pointer } => {
                write!(f, "the proof's member {pointer:?} has content this version does not read")
            }
        }
    }
}

impl std::error::Error for ProofFileError {}

/// Inclusion of the line in its scroll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// Leaf index.
    pub index: u64,
    /// Hashes from the leaf's sibling to the root's child.
    pub hashes: Vec<Hash>,
}

/// A proof of one receipt, version 1. `anchors` is empty in this version.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// The exact text of the receipt line, without its line feed.
    pub line: String,
    /// Its place in the scroll.
    pub inclusion: Inclusion,
    /// The signed checkpoint, a whole note.
    pub checkpoint: String,
    /// Files of the case: all of them, or some with their paths in the bundle's tree. Empty for a record.
    pub bundle: Vec<Entry>,
    /// Openings of private values, each the string that is hashed.
    pub disclosures: Vec<String>,
}

/// Disclosures hold what somebody kept private; `Debug` says how many there are.
impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof")
            .field("line", &self.line)
            .field("inclusion", &self.inclusion)
            .field("checkpoint", &self.checkpoint)
            .field("bundle", &self.bundle)
            .field("disclosures", &self.disclosures.len())
            .finish()
    }
}

impl Proof {
    /// A proof from its parts, without files and disclosures.
    #[must_use]
    pub fn new(line: String, index: u64, hashes: Vec<Hash>, checkpoint: String) -> Self {
        let inclusion = Inclusion { index, hashes };
        Self { line, inclusion, checkpoint, bundle: Vec::new(), disclosures: Vec::new() }
    }

    /// The proof with these files of the case, brought into the order of their paths.
    ///
    /// All of them without a branch, or some of them each with its branch.
    #[must_use]
    pub fn with_bundle(mut self, mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        self.bundle = entries;
        self
    }

    /// The proof with these disclosures, in this order.
    #[must_use]
    pub fn with_disclosures(mut self, disclosures: Vec<String>) -> Self {
        self.disclosures = disclosures;
        self
    }

    /// What the proof says of the file at this path of the case, so that a local copy can be compared with it.
    #[must_use]
    pub fn artifact(&self, path: &str) -> Option<&Entry> {
        self.bundle.iter().find(|entry| entry.path == path)
    }

    /// The private outputs that this proof opens: the path of the stub and what it stands for.
    ///
    /// Worth something only when the proof verifies.
    #[must_use]
    pub fn private_outputs(&self) -> Vec<(&str, PrivateOutput)> {
        let opened: Vec<Disclosure> =
            self.disclosures.iter().filter_map(|text| Disclosure::parse(text).ok()).collect();
        let stubs = self.bundle.iter().filter(|entry| case::is_stub_path(&entry.path));
        stubs
            .filter_map(|entry| {
                let digest = case::parse_stub(entry.content.as_deref()?.as_bytes()).ok()?;
                let opening = opened.iter().find(|opening| opening.digest() == digest)?;
                Some((entry.path.as_str(), PrivateOutput::of(opening).ok()?))
            })
            .collect()
    }

    /// The file: canonical JSON and a line feed. The same proof gives the same bytes.
    ///
    /// It does not check what [`Proof::parse`] checks; a writer of bundles and disclosures parses what it
    /// wrote.
    ///
    /// # Panics
    /// When `index` or a size in the bundle is above 2^53−1, which no receipt's `seq` or case can have.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let hashes: Vec<String> = self.inclusion.hashes.iter().map(base64::encode).collect();
        let bundle: Vec<Value> = self.bundle.iter().map(Entry::to_value).collect();
        let value = json!({
            "v": VERSION,
            "line": self.line,
            "bundle": bundle,
            "inclusion": {"index": self.inclusion.index, "hashes": hashes},
            "checkpoint": self.checkpoint,
            "anchors": [],
            "disclosures": self.disclosures,
        });
        let mut bytes =
            json::canonical(&value).expect("strings and numbers below 2^53 always encode");
        bytes.push(b'\n');
        bytes
    }

    /// Parses a file; every file it accepts prints back to the same bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(ProofFileError::TooLong);
        }
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let value = json::parse(text)
            .map_err(|e| ProofFileError::Json { byte: e.at as u64, reason: e.to_string() })?;
        let mut members = Members::of(value, "")?;
        if members.take("v")? != json!(VERSION) {
            return Err(ProofFileError::Unsupported { pointer: "/v".to_owned() });
        }
        members.empty("anchors")?;
        let line = members.text("line")?;
        let checkpoint = members.text("checkpoint")?;
        let inclusion = Inclusion::from_value(members.take("inclusion")?)?;
        let bundle = members.list("bundle", BUNDLE_MAX, "at most 16384 files")?;
        let bundle = entry::from_values(bundle)?;
        let disclosures = members.list("disclosures", DISCLOSURES_MAX, "at most 4096 strings")?;
        let disclosures = texts(disclosures)?;
        members.end()?;
        let proof = Self { line, inclusion, checkpoint, bundle, disclosures };
        let canonical = proof.to_bytes();
        if canonical != bytes {
            let same = canonical.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            return Err(ProofFileError::NotCanonical { byte: same as u64 });
        }
        Ok(proof)
    }
}

fn texts(values: Vec<Value>) -> Result<Vec<String>, ProofFileError> {
    let text = |(n, value)| match value {
        Value::String(text) => Ok(text),
        _ => {
            let pointer = format!("/disclosures/{n}");
            Err(ProofFileError::Member { pointer, expected: "a string" })
        }
    };
    values.into_iter().enumerate().map(text).collect()
}

impl Inclusion {
    fn from_value(value: Value) -> Result<Self, ProofFileError> {
        let mut members = Members::of(value, "/inclusion")?;
        let index = members.take("index")?;
        let index = index.as_u64().ok_or(members.fault("index", "an index from 0"))?;
        let expected = "at most 63 hashes in base64";
        let fault = members.fault("hashes", expected);
        let Value::Array(list) = members.take("hashes")? else { return Err(fault) };
        if list.len() > HASHES_MAX {
            return Err(fault);
        }
        let hashes = list.iter().map(|hash| base64::decode_hash(hash.as_str()?).ok());
        let hashes = hashes.collect::<Option<Vec<Hash>>>().ok_or(fault)?;
        members.end()?;
        Ok(Self { index, hashes })
    }
}

/// The members of one object, taken out one by one, so that none is overlooked.
struct Members {
    map: Map<String, Value>,
    pointer: String,
}

impl Members {
    fn of(value: Value, pointer: impl Into<String>) -> Result<Self, ProofFileError> {
        let pointer = pointer.into();
        match value {
            Value::Object(map) => Ok(Self { map, pointer }),
            _ => Err(ProofFileError::Member { pointer, expected: "an object" }),
        }
    }

    fn fault(&self, name: &str, expected: &'static str) -> ProofFileError {
        ProofFileError::Member { pointer: format!("{}/{name}", self.pointer), expected }
    }

    fn take(&mut self, name: &str) -> Result<Value, ProofFileError> {
        self.map.remove(name).ok_or_else(|| self.fault(name, "there"))
    }

    fn text(&mut self, name: &str) -> Result<String, ProofFileError> {
        match self.take(name)? {
            Value::String(text) => Ok(text),
            _ => Err(self.fault(name, "a string")),
        }
    }

    fn list(
        &mut self,
        name: &str,
        most: usize,
        expected: &'static str,
    ) -> Result<Vec<Value>, ProofFileError> {
        match self.take(name)? {
            Value::Array(list) if list.len() <= most => Ok(list),
            _ => Err(self.fault(name, expected)),
        }
    }

    fn empty(&mut self, name: &str) -> Result<(), ProofFileError> {
        match self.take(name)? {
            Value::Array(list) if list.is_empty() => Ok(()),
            Value::Array(_) => {
                Err(ProofFileError::Unsupported { pointer: format!("{}/{name}", self.pointer) })
            }
            _ => Err(self.fault(name, "a list")),
        }
    }

    fn end(&self) -> Result<(), ProofFileError> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.fault(name, "absent: it is not a member of version 1")),
        }
    }
}
