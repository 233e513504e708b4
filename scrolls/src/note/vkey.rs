//! Verifier keys: `name+id+base64(type ‖ key)`.

use std::fmt;

use vm_receipts::key::PublicKey;

use super::{
    NoteError, TYPE_COSIGNATURE, TYPE_ED25519, TYPE_ML_DSA_44, is_key_name, key_id, raw_key_id,
};
use crate::base64;

/// Any well-formed verifier key, whatever its signature type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyVkey {
    /// Key name.
    pub name: String,
    /// Key id, recomputed and equal to the one in the text.
    pub id: u32,
    /// Signature type.
    pub kind: u8,
    /// Public key bytes, of the length its type has.
    pub bytes: Vec<u8>,
}

impl AnyVkey {
    /// Parses `name+8 lowercase hex+base64(type ‖ key)`; unknown types and wrong key lengths are refused.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let fault = |byte: usize, reason| NoteError::Vkey { byte: byte as u64, reason };
        let (name, rest) =
            text.split_once('+').ok_or(fault(text.len(), "a plus sign is missing"))?;
        if !is_key_name(name) {
            return Err(fault(0, "the key name is empty or holds a space or control character"));
        }
        let id_at = name.len() + 1;
        let (hex, key) =
            rest.split_once('+').ok_or(fault(text.len(), "the second plus sign is missing"))?;
        let id = parse_hex(hex).ok_or(fault(id_at, "the key id is not 8 lowercase hex digits"))?;
        let key_at = id_at + 9;
        let bytes = base64::decode(key).map_err(|_| fault(key_at, "the key is not base64"))?;
        let Some((&kind, bytes)) = bytes.split_first() else {
            return Err(fault(key_at, "the key is empty"));
        };
        let length = match kind {
            TYPE_ED25519 | TYPE_COSIGNATURE => 32,
            TYPE_ML_DSA_44 => 1312,
            _ => return Err(fault(key_at, "the signature type is not known")),
        };
        if bytes.len() != length {
            return Err(fault(key_at, "the key has the wrong length for its type"));
        }
        if raw_key_id(name, kind, bytes) != id {
            return Err(fault(id_at, "the key id does not belong to this name and key"));
        }
        Ok(Self { name: name.to_owned(), id, kind, bytes: bytes.to_vec() })
    }
}

impl fmt::Display for AnyVkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed: Vec<u8> = std::iter::once(self.kind).chain(self.bytes.iter().copied()).collect();
        write!(f, "{}+{:08x}+{}", self.name, self.id, base64::encode(typed))
    }
}

fn parse_hex(hex: &str) -> Option<u32> {
    let strict = hex.len() == 8 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if strict { u32::from_str_radix(hex, 16).ok() } else { None }
}

/// A verifier key of type 0x01: whose signatures on notes are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vkey {
    /// Key name; for a log's key, the origin of its checkpoints.
    pub name: String,
    /// Key id.
    pub id: u32,
    /// The Ed25519 key.
    pub key: PublicKey,
}

impl Vkey {
    /// The verifier key of this name and public key; the name must satisfy `is_key_name`.
    pub fn new(name: &str, key: PublicKey) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::Vkey {
                byte: 0,
                reason: "the key name holds a space, a control character or a plus sign, or is empty",
            });
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, &key), key })
    }

    /// Parses a verifier key; types other than 0x01 give `NoteError::Unsupported`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let any = AnyVkey::parse(text)?;
        if any.kind != TYPE_ED25519 {
            return Err(NoteError::Unsupported { name: any.name, kind: any.kind });
        }
        let weak = NoteError::Vkey {
            byte: (any.name.len() + 10) as u64,
            reason: "the key is not a usable Ed25519 point",
        };
        let bytes = any.bytes.first_chunk::<32>().ok_or(weak.clone())?;
        let key = PublicKey::from_bytes(*bytes).map_err(|_| weak)?;
        Ok(Self { name: any.name, id: any.id, key })
    }
}

impl fmt::Display for Vkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = vec![TYPE_ED25519];
        typed.extend_from_slice(self.key.bytes().as_ref());
        write!(f, "{}+{:08x}+{}", self.name, self.id, base64::encode(typed))
    }
}
