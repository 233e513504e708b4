//! Signed notes (C2SP signed-note): a text, and lines that say who signed it.
//!
//! Only Ed25519 signatures (type 0x01) are made and checked. Signature lines by keys that are not known
//! are carried along and ignored; one bad line by a known key condemns the whole note.

mod vkey;

use std::fmt;

use sha2::{Digest, Sha256};
use vm_receipts::key::{PublicKey, SecretKey};

use crate::base64;

pub use vkey::{AnyVkey, Vkey};

/// Longest note that is read, in bytes.
pub const NOTE_BYTES_MAX: usize = 1_000_000;
/// Most signature lines that are read.
pub const SIGNATURES_MAX: usize = 100;
/// Signature type of plain Ed25519 over the text.
pub const TYPE_ED25519: u8 = 0x01;
/// Signature type of timestamped Ed25519 cosignatures by witnesses.
pub const TYPE_COSIGNATURE: u8 = 0x04;
/// Signature type of ML-DSA-44 cosignatures.
pub const TYPE_ML_DSA_44: u8 = 0x06;

/// What a signature line starts with: EM DASH and a space.
const DASH: &str = "\u{2014} ";

/// Why a note or a key was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoteError {
    /// The bytes are not a note; line counted from 1, byte from 0.
    Malformed {
        /// Line with the fault.
        line: u64,
        /// Offset of the fault in the note.
        byte: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// The text is not a verifier key.
    Vkey {
        /// Offset of the fault in the key text.
        byte: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A well-formed key of a signature type that is not checked here.
    Unsupported {
        /// Key name.
        name: String,
        /// Its signature type.
        kind: u8,
    },
    /// A known key's signature does not verify.
    BadSignature {
        /// Key name.
        name: String,
        /// Key id.
        id: u32,
        /// Line of the signature.
        line: u64,
    },
    /// Two known keys share the name and id of a signature.
    AmbiguousKey {
        /// Key name.
        name: String,
        /// Key id.
        id: u32,
    },
    /// No signature is by a known key.
    Unverified {
        /// Names of the keys that signed.
        signers: Vec<String>,
    },
}

impl NoteError {
    /// Stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "note_malformed",
            Self::Vkey { .. } => "vkey_malformed",
            Self::Unsupported { .. } => "vkey_unsupported_type",
            Self::BadSignature { .. } => "note_bad_signature",
            Self::AmbiguousKey { .. } => "note_ambiguous_key",
            Self::Unverified { .. } => "note_unverified",
        }
    }

    /// Whether the note contradicts a known key, rather than lacking one.
    #[must_use]
    pub fn is_forgery(&self) -> bool {
        matches!(self, Self::BadSignature { .. })
    }

    /// Line in the note, from 1, where there is one.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::Malformed { line, .. } | Self::BadSignature { line, .. } => Some(*line),
            _ => None,
        }
    }

    /// Byte offset in the note or key, where there is one.
    #[must_use]
    pub fn byte(&self) -> Option<u64> {
        match self {
            Self::Malformed { byte, .. } | Self::Vkey { byte, .. } => Some(*byte),
            _ => None,
        }
    }
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line, byte, reason } => {
                write!(f, "not a signed note (line {line}, byte {byte}): {reason}")
            }
            Self::Vkey { byte, reason } => write!(f, "not a verifier key (byte {byte}): {reason}"),
            Self::Unsupported { name, kind } => {
                write!(f, "key {name:?} has signature type 0x{kind:02x}, only 0x01 is checked here")
            }
            Self::BadSignature { name, id, line } => {
                write!(f, "the signature by {name:?} ({id:08x}) on line {line} is not valid")
            }
            Self::AmbiguousKey { name, id } => {
                write!(f, "two trusted keys are called {name:?} ({id:08x})")
            }
            Self::Unverified { signers } => {
                write!(f, "no signature by a trusted key; signed by {}", signers.join(", "))
            }
        }
    }
}

impl std::error::Error for NoteError {}

/// Key id: the first four bytes of SHA-256(name ‖ LF ‖ 0x01 ‖ public key), big-endian.
#[must_use]
pub fn key_id(name: &str, key: &PublicKey) -> u32 {
    raw_key_id(name, TYPE_ED25519, key.bytes().as_ref())
}

fn raw_key_id(name: &str, kind: u8, key: &[u8]) -> u32 {
    let digest = Sha256::new()
        .chain_update(name.as_bytes())
        .chain_update([b'\n', kind])
        .chain_update(key)
        .finalize();
    let first = digest.first_chunk::<4>().expect("a SHA-256 digest has 32 bytes");
    u32::from_be_bytes(*first)
}

/// Whether a key name is usable: not empty, no space of any script, no plus sign, no control character.
#[must_use]
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// Whether a text can be signed as a note: it ends in LF and holds no other control character below 0x20.
#[must_use]
pub fn is_note_text(text: &str) -> bool {
    text.ends_with('\n') && !text.bytes().any(|b| b < 0x20 && b != b'\n')
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Name of the key that signed.
    pub name: String,
    /// Its id.
    pub id: u32,
    /// The signature without the id, in the form of the key's type.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<u8> =
            self.id.to_be_bytes().into_iter().chain(self.bytes.iter().copied()).collect();
        write!(f, "{DASH}{} {}", self.name, base64::encode(bytes))
    }
}

/// A parsed note; nothing about it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The signed text, ending in LF.
    pub text: String,
    /// Its signature lines, in order; at least one.
    pub signatures: Vec<Signature>,
}

impl Note {
    /// Parses a note of at most 1,000,000 bytes and 100 signatures. Every note it accepts prints back
    /// to the same bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let fault = |byte: usize, reason| malformed(bytes, byte, reason);
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(fault(NOTE_BYTES_MAX, "the note is longer than 1,000,000 bytes"));
        }
        if let Some(at) = bytes.iter().position(|b| *b < 0x20 && *b != b'\n') {
            return Err(fault(at, "a control character"));
        }
        let note = std::str::from_utf8(bytes).map_err(|e| fault(e.valid_up_to(), "not UTF-8"))?;
        let Some(cut) = note.rfind("\n\n") else {
            return Err(fault(bytes.len(), "no empty line between text and signatures"));
        };
        let (text, lines) = (&note[..=cut], &note[cut + 2..]);
        if lines.is_empty() {
            return Err(fault(bytes.len(), "no signatures"));
        }
        let mut at = cut + 2;
        let mut signatures = Vec::new();
        for line in lines.split_inclusive('\n') {
            if signatures.len() == SIGNATURES_MAX {
                return Err(fault(at, "more than 100 signatures"));
            }
            signatures.push(parse_signature(line).map_err(|reason| fault(at, reason))?);
            at += line.len();
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Line of signature `index` in the printed note, from 1.
    fn signature_line(&self, index: usize) -> u64 {
        (self.text.matches('\n').count() + 2 + index) as u64
    }

    /// The same note with one more signature over its text.
    #[must_use]
    pub fn with_signature(mut self, name: &str, key: &SecretKey) -> Self {
        self.signatures.push(signature_over(&self.text, name, key));
        self
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

/// A fault with its line counted out of the bytes before it.
fn malformed(bytes: &[u8], byte: usize, reason: &'static str) -> NoteError {
    let before = bytes.get(..byte).unwrap_or(bytes);
    let line = 1 + before.iter().filter(|b| **b == b'\n').count() as u64;
    NoteError::Malformed { line, byte: byte as u64, reason }
}

fn parse_signature(line: &str) -> Result<Signature, &'static str> {
    let line = line.strip_suffix('\n').ok_or("the last line has no line feed")?;
    let line =
        line.strip_prefix(DASH).ok_or("a signature line starts with an em dash and a space")?;
    let (name, encoded) =
        line.split_once(' ').ok_or("a signature line needs a name and a signature")?;
    if !is_key_name(name) {
        return Err("the key name is empty or holds a space or a plus sign");
    }
    let bytes = base64::decode(encoded).map_err(|_| "the signature is not base64")?;
    let (id, rest) = bytes.split_first_chunk::<4>().ok_or("the signature is too short")?;
    if rest.is_empty() {
        return Err("the signature is empty");
    }
    Ok(Signature { name: name.to_owned(), id: u32::from_be_bytes(*id), bytes: rest.to_vec() })
}

fn signature_over(text: &str, name: &str, key: &SecretKey) -> Signature {
    let id = key_id(name, &key.public());
    Signature { name: name.to_owned(), id, bytes: key.sign(text.as_bytes()).to_vec() }
}

/// Signs a text and returns the whole note.
///
/// # Panics
/// When text or name could never be read back (`is_note_text`, `is_key_name`): check them where they
/// come in.
#[must_use]
pub fn sign(text: &str, name: &str, key: &SecretKey) -> String {
    assert!(is_note_text(text), "a note text ends in a line feed and holds no control characters");
    assert!(is_key_name(name), "a key name holds no space, control character or plus sign");
    Note { text: text.to_owned(), signatures: vec![signature_over(text, name, key)] }.to_string()
}

/// Adds a signature to the note in `bytes` and returns the whole new note.
pub fn add_signature(bytes: &[u8], name: &str, key: &SecretKey) -> Result<String, NoteError> {
    if !is_key_name(name) {
        return Err(NoteError::Vkey { byte: 0, reason: "the key name is not usable" });
    }
    let note = Note::parse(bytes)?;
    if note.signatures.len() == SIGNATURES_MAX {
        return Err(malformed(bytes, bytes.len(), "more than 100 signatures"));
    }
    Ok(note.with_signature(name, key).to_string())
}

/// Checks a note against known keys and returns the places of the signatures that verified.
///
/// Signatures by unknown (name, id) are ignored; a known key that fails rejects the whole note, and so
/// does the absence of any known key. A line repeated by the same key counts once.
pub fn verify(note: &Note, known: &[Vkey]) -> Result<Vec<usize>, NoteError> {
    let mut verified: Vec<usize> = Vec::new();
    for (index, signature) in note.signatures.iter().enumerate() {
        let Signature { name, id, bytes } = signature;
        let mut keys = known.iter().filter(|k| k.name == *name && k.id == *id);
        let Some(vkey) = keys.next() else { continue };
        if keys.next().is_some() {
            return Err(NoteError::AmbiguousKey { name: name.clone(), id: *id });
        }
        let good = bytes.first_chunk::<64>().is_some_and(|signature| {
            bytes.len() == 64 && vkey.key.verify(note.text.as_bytes(), signature).is_ok()
        });
        if !good {
            let line = note.signature_line(index);
            return Err(NoteError::BadSignature { name: name.clone(), id: *id, line });
        }
        let again = verified.iter().any(|earlier| {
            let earlier = &note.signatures[*earlier];
            earlier.name == *name && earlier.id == *id
        });
        if !again {
            verified.push(index);
        }
    }
    if verified.is_empty() {
        let signers = note.signatures.iter().map(|s| s.name.clone()).collect();
        return Err(NoteError::Unverified { signers });
    }
    Ok(verified)
}
