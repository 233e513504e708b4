//! The two digests of a receipt, each with its name in front so that neither can be taken for the other.
//!
//! BLAKE3 addresses content (contract, state, outputs, intents); SHA-256 stands where foreign tools look
//! (ARTIFACTS, in-toto, the tree of a scroll).

use std::fmt;
use std::str::FromStr;

use sha2::Digest;

use crate::hex;

/// Why a text is not a digest: it is not the prefix followed by 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadDigest {
    prefix: &'static str,
}

impl BadDigest {
    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        "digest_malformed"
    }
}

impl fmt::Display for BadDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a digest here is {}: and 64 lower-case hexadecimal digits", self.prefix)
    }
}

impl std::error::Error for BadDigest {}

/// A BLAKE3 digest, written `blake3:<64 lower-case hex>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blake3(pub [u8; 32]);

/// A SHA-256 digest, written `sha256:<64 lower-case hex>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Blake3 {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Blake3 {
        Blake3(*blake3::hash(bytes).as_bytes())
    }
}

impl Sha256 {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Sha256 {
        Sha256(sha2::Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Blake3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blake3:{}", hex::encode_32(&self.0))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode_32(&self.0))
    }
}

impl fmt::Debug for Blake3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Blake3 {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Blake3, BadDigest> {
        let digits = text.strip_prefix("blake3:").and_then(hex::decode_32);
        digits.map(Blake3).ok_or(BadDigest { prefix: "blake3" })
    }
}

impl FromStr for Sha256 {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Sha256, BadDigest> {
        let digits = text.strip_prefix("sha256:").and_then(hex::decode_32);
        digits.map(Sha256).ok_or(BadDigest { prefix: "sha256" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_digests_of_nothing_are_met() {
        // BLAKE3 test_vectors.json, input_len 0; FIPS 180-4 example of the empty message.
        let blake = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        let sha = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Blake3::of(b"").to_string(), blake);
        assert_eq!(Sha256::of(b"").to_string(), sha);
        assert_eq!(blake.parse(), Ok(Blake3::of(b"")));
        assert_eq!(sha.parse(), Ok(Sha256::of(b"")));
    }

    #[test]
    fn only_one_spelling_of_a_digest_is_read() {
        let good = Blake3::of(b"x").to_string();
        for bad in [
            good.to_uppercase(),
            good.replace("blake3:", "sha256:"),
            good.replace("blake3:", ""),
            format!("{good}0"),
            good[..good.len() - 1].to_owned(),
            format!(" {good}"),
            String::new(),
            format!("blake3:{}", "é".repeat(32)),
        ] {
            assert!(bad.parse::<Blake3>().is_err(), "{bad}");
        }
    }
}
