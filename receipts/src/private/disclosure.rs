//! What opens one digest: the salted value, in the one string that is hashed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{Items, SdError, check_name, check_value, disclosure_digest};
use crate::json;
use crate::line::is_field_name;

/// How long a disclosure string may be, in bytes.
pub const DISCLOSURE_BYTES_MAX: usize = 262_144;

/// How many bytes a salt has at least (RFC 9901 s9.3: 128 bits). Ours have 32.
pub const SALT_BYTES_MIN: usize = 16;

/// An opening of one private field or item. It has exactly one digest.
///
/// It holds what somebody kept private, so it is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Disclosure {
    text: String,
    digest: String,
    salt: String,
    name: Option<String>,
    value: Value,
}

impl fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disclosure").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Disclosure {
    /// The disclosure of a field: base64url(JCS([salt, name, value])).
    ///
    /// # Errors
    /// A name that no field may have, a reserved name inside the value, a value outside the strict profile, or one that
    /// is too long.
    pub fn field(salt: &[u8; 32], name: &str, value: &Value) -> Result<Disclosure, SdError> {
        check_name(name)?;
        if !is_field_name(name) {
            return Err(SdError::DisclosureName);
        }
        Disclosure::write(salt, Some(name), value)
    }

    /// The disclosure of an item of a list: base64url(JCS([salt, value])).
    ///
    /// # Errors
    /// As [`Disclosure::field`].
    pub fn item(salt: &[u8; 32], value: &Value) -> Result<Disclosure, SdError> {
        Disclosure::write(salt, None, value)
    }

    fn write(salt: &[u8; 32], name: Option<&str>, value: &Value) -> Result<Disclosure, SdError> {
        check_value(value, Items::Public)?;
        let salt = URL_SAFE_NO_PAD.encode(salt);
        let mut parts = vec![Value::from(salt.as_str())];
        parts.extend(name.map(Value::from));
        parts.push(value.clone());
        let array = json::canonical(&Value::Array(parts)).map_err(SdError::DisclosureJson)?;
        let text = URL_SAFE_NO_PAD.encode(array);
        if text.len() > DISCLOSURE_BYTES_MAX {
            return Err(SdError::DisclosureTooLong);
        }
        let (digest, name) = (disclosure_digest(&text), name.map(str::to_owned));
        Ok(Disclosure { text, digest, salt, name, value: value.clone() })
    }

    /// Reads a disclosure as receipts have them: nothing inside its value is private again, a name is snake_case.
    ///
    /// # Errors
    /// As [`Disclosure::parse_general`], and a reserved or foreign name.
    pub fn parse(text: &str) -> Result<Disclosure, SdError> {
        let disclosure = Disclosure::parse_general(text)?;
        check_value(&disclosure.value, Items::Public)?;
        match &disclosure.name {
            Some(name) if !is_field_name(name) => Err(SdError::DisclosureName),
            _ => Ok(disclosure),
        }
    }

    /// Reads any disclosure of RFC 9901 within the strict profile of JSON: its value may hold digests again.
    ///
    /// The text need not be canonical JSON: the encoded string is what is hashed.
    ///
    /// # Errors
    /// Text that is too long, not base64url in its one spelling, not strict JSON, not an array of two or three with a
    /// salt in front, or that names a reserved field.
    pub fn parse_general(text: &str) -> Result<Disclosure, SdError> {
        if text.len() > DISCLOSURE_BYTES_MAX {
            return Err(SdError::DisclosureTooLong);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SdError::DisclosureEncoding)?;
        let parsed = json::parse(&bytes).map_err(SdError::DisclosureJson)?;
        let Value::Array(parts) = parsed else { return Err(SdError::DisclosureShape) };
        let mut parts = parts.into_iter();
        let (salt, name, value) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Value::String(salt)), Some(Value::String(name)), Some(value), None) => {
                (salt, Some(name), value)
            }
            (Some(Value::String(salt)), Some(value), None, None) => (salt, None, value),
            _ => return Err(SdError::DisclosureShape),
        };
        let salted = URL_SAFE_NO_PAD.decode(&salt).is_ok_and(|salt| salt.len() >= SALT_BYTES_MIN);
        if !salted {
            return Err(SdError::DisclosureSalt);
        }
        name.as_deref().map_or(Ok(()), check_name)?;
        let digest = disclosure_digest(text);
        Ok(Disclosure { text: text.to_owned(), digest, salt, name, value })
    }

    /// The string that is handed over and hashed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The 43 characters that stand in a document in its place.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The name of the field; `None` for an item of a list.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The private value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The salt's bytes: 32 where this house wrote it, at least 16 elsewhere.
    pub fn salt(&self) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(&self.salt).unwrap_or_default()
    }
}
