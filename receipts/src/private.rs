//! Private fields (RFC 9901): what may stand in a line in place of a value, and what opens it.
//!
//! A [`Disclosure`] is the salted value outside the line; its digest stands inside. [`reveal`] puts values back into a
//! document and refuses whatever does not belong there. Where openings are kept, and decoys and erasure, are not here.

mod disclosure;
mod reveal;

pub use disclosure::{DISCLOSURE_BYTES_MAX, Disclosure, SALT_BYTES_MIN};
pub use reveal::{RevealError, Revealed, digests, reveal};

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::Digest;

use crate::json::JsonError;

/// Name of the member that holds the digests of private fields, at the top of a body only.
pub const SD: &str = "_sd";
/// Name RFC 9901 reserves for the hash algorithm. Never written: version 1 means SHA-256.
pub const SD_ALG: &str = "_sd_alg";
/// Name of the single member of an array item that stands for a private item.
pub const ITEM: &str = "...";

/// How many digests one `_sd` may hold: more than any type declares private fields, far below the line limit.
pub const SD_MAX: usize = 256;

/// What is wrong with the reserved form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdError {
    /// `_sd` is not a non-empty array of at most 256 strings.
    NotAnArray,
    /// An entry is not the 43 base64url characters of a SHA-256 digest.
    NotADigest,
    /// The digests are not strictly ascending.
    Order,
    /// A reserved name is used as a field name.
    Reserved(&'static str),
    /// A disclosure is longer than [`DISCLOSURE_BYTES_MAX`].
    DisclosureTooLong,
    /// A disclosure is not base64url without padding in its one spelling.
    DisclosureEncoding,
    /// A disclosure does not hold strict JSON, or its value lies outside it.
    DisclosureJson(JsonError),
    /// A disclosure is neither `[salt, name, value]` nor `[salt, value]`.
    DisclosureShape,
    /// The salt is not base64url of at least 16 bytes.
    DisclosureSalt,
    /// The name of a field is not snake_case of at most 64 bytes.
    DisclosureName,
}

impl SdError {
    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            SdError::NotAnArray => "sd_not_an_array",
            SdError::NotADigest => "sd_not_a_digest",
            SdError::Order => "sd_order",
            SdError::Reserved(_) => "sd_reserved_name",
            SdError::DisclosureTooLong => "sd_disclosure_too_long",
            SdError::DisclosureEncoding => "sd_disclosure_encoding",
            SdError::DisclosureJson(_) => "sd_disclosure_json",
            SdError::DisclosureShape => "sd_disclosure_shape",
            SdError::DisclosureSalt => "sd_disclosure_salt",
            SdError::DisclosureName => "sd_disclosure_name",
        }
    }
}

impl fmt::Display for SdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SdError::NotAnArray => write!(f, "_sd is an array of 1 to {SD_MAX} digests"),
            SdError::NotADigest => {
                f.write_str("a private field's digest is 43 base64url characters")
            }
            SdError::Order => f.write_str("the digests in _sd are strictly ascending"),
            SdError::Reserved(name) => write!(f, "the field name {name} is reserved"),
            SdError::DisclosureTooLong => {
                write!(f, "a disclosure has at most {DISCLOSURE_BYTES_MAX} bytes")
            }
            SdError::DisclosureEncoding => {
                f.write_str("a disclosure is base64url without padding, in its one spelling")
            }
            SdError::DisclosureJson(error) => write!(f, "the disclosure's JSON: {error}"),
            SdError::DisclosureShape => {
                f.write_str("a disclosure holds [salt, name, value] or [salt, value]")
            }
            SdError::DisclosureSalt => {
                write!(f, "a salt is base64url of at least {SALT_BYTES_MIN} bytes")
            }
            SdError::DisclosureName => {
                f.write_str("a private field's name is snake_case of at most 64 bytes")
            }
        }
    }
}

impl std::error::Error for SdError {}

/// The digest of a disclosure string: base64url(SHA-256(ASCII(disclosure))) (RFC 9901 s4.2.3).
pub fn disclosure_digest(disclosure: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(disclosure.as_bytes()))
}

/// Checks the value of `_sd`: strictly ascending digests, at least one.
pub fn check_sd(value: &Value) -> Result<(), SdError> {
    let items = value.as_array().ok_or(SdError::NotAnArray)?;
    if items.is_empty() || items.len() > SD_MAX {
        return Err(SdError::NotAnArray);
    }
    let mut previous = "";
    for item in items {
        let digest = item.as_str().ok_or(SdError::NotAnArray)?;
        check_digest(digest)?;
        if digest <= previous {
            return Err(SdError::Order);
        }
        previous = digest;
    }
    Ok(())
}

/// Checks a whole body: `_sd` at its top if at all, reserved names nowhere else, `{"...": digest}` only as an array
/// item.
pub fn check_body(body: &Map<String, Value>) -> Result<(), SdError> {
    if let Some(digests) = body.get(SD) {
        check_sd(digests)?;
    }
    body.iter().filter(|(name, _)| *name != SD).try_for_each(|(name, value)| {
        check_name(name)?;
        check_value(value, Items::MayBePrivate)
    })
}

/// Checks an object in which nothing may be private: no reserved name at any depth.
pub fn check_public(map: &Map<String, Value>) -> Result<(), SdError> {
    check_members(map, Items::Public)
}

/// Whether an array item may stand as `{"...": digest}`.
#[derive(Clone, Copy, PartialEq)]
enum Items {
    Public,
    MayBePrivate,
}

fn check_members(map: &Map<String, Value>, items: Items) -> Result<(), SdError> {
    map.iter().try_for_each(|(name, value)| {
        check_name(name)?;
        check_value(value, items)
    })
}

fn check_value(value: &Value, items: Items) -> Result<(), SdError> {
    match value {
        Value::Object(map) => check_members(map, items),
        Value::Array(list) => list.iter().try_for_each(|item| check_item(item, items)),
        _ => Ok(()),
    }
}

fn check_item(item: &Value, items: Items) -> Result<(), SdError> {
    match item.as_object() {
        Some(map) if items == Items::MayBePrivate && map.len() == 1 && map.contains_key(ITEM) => {
            let digest = map.get(ITEM).and_then(Value::as_str).ok_or(SdError::NotADigest)?;
            check_digest(digest)
        }
        _ => check_value(item, items),
    }
}

fn check_name(name: &str) -> Result<(), SdError> {
    match [SD, SD_ALG, ITEM].into_iter().find(|reserved| *reserved == name) {
        Some(reserved) => Err(SdError::Reserved(reserved)),
        None => Ok(()),
    }
}

fn check_digest(text: &str) -> Result<(), SdError> {
    let mut bytes = [0; 33];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(32) => Ok(()),
        _ => Err(SdError::NotADigest),
    }
}

#[cfg(test)]
mod opening_tests;
#[cfg(test)]
mod tests;
