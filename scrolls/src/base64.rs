//! Strict base64: RFC 4648 section 4, padded, canonical trailing bits, nothing else.
//!
//! Checkpoints, notes and proofs are compared byte for byte, so a value must have one spelling only.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::tree::Hash;

/// The one engine: standard alphabet, padding required, trailing bits zero.
const STRICT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(false),
);

/// Why a text is not strict base64.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Base64Error {
    /// Not RFC 4648 section 4 with padding and canonical trailing bits; `byte` is the offset where it shows.
    Malformed {
        /// Offset in the text at which the fault was noticed.
        byte: usize,
    },
    /// Valid base64 of another length than the 32 bytes of a hash.
    NotAHash {
        /// Number of bytes the text decodes to.
        length: usize,
    },
}

impl Base64Error {
    /// Stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "base64_malformed",
            Self::NotAHash { .. } => "base64_not_a_hash",
        }
    }
}

impl fmt::Display for Base64Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { byte } => write!(f, "not strict base64 (byte {byte})"),
            Self::NotAHash { length } => {
                write!(f, "a hash is 32 bytes of base64, this is {length} bytes")
            }
        }
    }
}

impl std::error::Error for Base64Error {}

/// Encodes bytes in the standard alphabet with padding.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    STRICT.encode(bytes)
}

/// Decodes strictly; every text it accepts is the one `encode` would print.
pub fn decode(text: &str) -> Result<Vec<u8>, Base64Error> {
    STRICT.decode(text).map_err(|e| Base64Error::Malformed {
        byte: match e {
            base64::DecodeError::InvalidByte(at, _) => at,
            _ => text.len(),
        },
    })
}

/// Decodes the 44 characters of one 32-byte hash.
pub fn decode_hash(text: &str) -> Result<Hash, Base64Error> {
    let bytes = decode(text)?;
    let length = bytes.len();
    Hash::try_from(bytes).map_err(|_| Base64Error::NotAHash { length })
}
