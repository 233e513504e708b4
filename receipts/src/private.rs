//! The reserved form of private fields (RFC 9901): what may stand in a line in place of a value.
//!
//! Openings, decoys and erasure are not here. This module knows the digests and refuses what would make the reading of
//! a line under RFC 9901 ambiguous.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::Digest;

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
}

impl SdError {
    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            SdError::NotAnArray => "sd_not_an_array",
            SdError::NotADigest => "sd_not_a_digest",
            SdError::Order => "sd_order",
            SdError::Reserved(_) => "sd_reserved_name",
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
mod tests {
    use super::*;
    use serde_json::json;

    const DIGEST: &str = "UQZkM7JcrihuL46DORYWQ5JLkD7SkHfBSmrvkZRXC0A";
    const LATER: &str = "w66X6RjW7FS4b8gsgpg68TUrTHIEvvCRoq2fNnOkbWk";

    fn body(value: Value) -> Result<(), SdError> {
        check_body(value.as_object().expect("an object"))
    }

    #[test]
    fn the_worked_example_is_met() {
        let array = r#"["8g-ppak1NMCjOCl0Zgu6QPCVLhsdEFcLbZpYIUyTMh0","full_name","Ada Lovelace"]"#;
        let disclosure = URL_SAFE_NO_PAD.encode(array);
        assert_eq!(
            disclosure,
            "WyI4Zy1wcGFrMU5NQ2pPQ2wwWmd1NlFQQ1ZMaHNkRUZjTGJacFlJVXlUTWgwIiwiZnVsbF9uYW1lIiwiQWRhIExvdmVsYWNlIl0"
        );
        assert_eq!(disclosure_digest(&disclosure), DIGEST);
    }

    #[test]
    fn the_example_of_rfc_9901_is_met() {
        // RFC 9901 s4.2.3: the disclosure of family_name.
        let disclosure = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0";
        assert_eq!(disclosure_digest(disclosure), "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0");
    }

    #[test]
    fn digests_stand_strictly_ascending() {
        assert_eq!(check_sd(&json!([DIGEST, LATER])), Ok(()));
        assert_eq!(check_sd(&json!([LATER, DIGEST])), Err(SdError::Order));
        assert_eq!(check_sd(&json!([DIGEST, DIGEST])), Err(SdError::Order));
        for wrong in [json!([]), json!(DIGEST), json!([1]), json!({}), json!(null)] {
            assert_eq!(check_sd(&wrong), Err(SdError::NotAnArray), "{wrong}");
        }
        assert_eq!(check_sd(&json!(vec![DIGEST; SD_MAX + 1])), Err(SdError::NotAnArray));
    }

    #[test]
    fn a_digest_has_one_spelling() {
        for wrong in [
            "",
            &DIGEST[1..],
            &format!("{DIGEST}="),
            &format!("{DIGEST}A"),
            &DIGEST.replace('Q', "+"),
            // The last character carries two bits that must be zero.
            &format!("{}B", &DIGEST[..42]),
            &"é".repeat(22),
        ] {
            assert_eq!(check_sd(&json!([wrong])), Err(SdError::NotADigest), "{wrong}");
        }
    }

    #[test]
    fn reserved_names_stand_only_where_they_belong() {
        assert_eq!(body(json!({"_sd": [DIGEST], "n": 1, "list": [{"...": DIGEST}, 2]})), Ok(()));
        assert_eq!(body(json!({"a": {"b": [[{"...": DIGEST}]]}})), Ok(()));
        for (wrong, error) in [
            (json!({"a": {"_sd": [DIGEST]}}), SdError::Reserved(SD)),
            (json!({"a": [{"_sd": [DIGEST]}]}), SdError::Reserved(SD)),
            (json!({"_sd_alg": "sha-256"}), SdError::Reserved(SD_ALG)),
            (json!({"a": [{"_sd_alg": "sha-256"}]}), SdError::Reserved(SD_ALG)),
            (json!({"...": DIGEST}), SdError::Reserved(ITEM)),
            (json!({"a": {"...": DIGEST}}), SdError::Reserved(ITEM)),
            (json!({"a": [{"...": DIGEST, "b": 1}]}), SdError::Reserved(ITEM)),
            (json!({"a": [{"...": 1}]}), SdError::NotADigest),
            (json!({"a": [{"...": "short"}]}), SdError::NotADigest),
        ] {
            assert_eq!(body(wrong.clone()), Err(error), "{wrong}");
        }
        let public = json!({"a": [{"...": DIGEST}]});
        let verdict = check_public(public.as_object().expect("an object"));
        assert_eq!(verdict, Err(SdError::Reserved(ITEM)));
    }
}
