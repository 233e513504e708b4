//! Strict JSON: one document, one value, one spelling.
//!
//! Receipts use a profile of JSON in which a text can mean only one thing: no duplicate names, no floats, integers
//! within ±(2^53−1), bounded depth, well-formed Unicode. In that profile the canonical form (RFC 8785) is simple enough
//! to check in one pass over the bytes, which is how stored evidence is read back.
//!
//! This module deliberately does not read numbers with fractions: amounts are integers with the unit in the name, or
//! decimal strings.

mod check;
mod number;
mod read;
mod scan;
mod write;

use std::fmt;

use serde_json::Value;

pub(crate) use check::{Cursor, meaning, members};
pub(crate) use write::{write_map, write_natural, write_string, write_value};

/// The largest integer a receipt may hold, 2^53−1 (RFC 7493 s2.2: what every JSON reader keeps exactly).
pub const INTEGER_MAX: i64 = 9_007_199_254_740_991;

/// How deep containers may nest; the outermost is depth 1. Bounds the stack of every reader.
pub const DEPTH_MAX: usize = 32;

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// The text ends inside a value.
    Truncated,
    /// A byte that cannot stand here.
    Unexpected,
    /// Bytes follow the value.
    Trailing,
    /// The text starts with a byte order mark.
    ByteOrderMark,
    /// The text is not UTF-8.
    InvalidUtf8,
    /// A control character stands unescaped in a string.
    ControlCharacter,
    /// An unknown or malformed escape.
    BadEscape,
    /// An escaped surrogate without its other half.
    LoneSurrogate,
    /// A name stands twice in one object.
    DuplicateKey,
    /// A number starts with a needless zero.
    LeadingZero,
    /// Minus zero.
    NegativeZero,
    /// A number with a fraction or an exponent.
    Float,
    /// A number that is no whole number, where whole numbers may be spelled freely.
    Fraction,
    /// An integer beyond ±(2^53−1).
    IntegerRange,
    /// Containers nest deeper than 32.
    TooDeep,
    /// White space outside a string, where canonical bytes are required.
    Whitespace,
    /// Names are not in ascending order of UTF-16 code units, where canonical bytes are required.
    KeyOrder,
    /// A character is escaped otherwise than RFC 8785 says, where canonical bytes are required.
    LongEscape,
    /// The document is not an object.
    NotAnObject,
    /// A field has a name that is reserved.
    ReservedName,
}

/// A refused JSON text: what is wrong and at which byte (from 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Offset of the first byte of the offence. For a value in memory: the length of the canonical text before it.
    pub at: usize,
    /// What is wrong.
    pub kind: JsonErrorKind,
}

impl JsonError {
    pub(crate) fn new(at: usize, kind: JsonErrorKind) -> JsonError {
        JsonError { at, kind }
    }

    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// What the writer of the text can do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind {
            JsonErrorKind::Float | JsonErrorKind::Fraction => {
                Some("Write amounts as decimal strings, such as \"12.50\".")
            }
            JsonErrorKind::IntegerRange => {
                Some("Write integers beyond ±9007199254740991 as decimal strings.")
            }
            JsonErrorKind::Whitespace | JsonErrorKind::KeyOrder | JsonErrorKind::LongEscape => {
                Some("Stored evidence is canonical JSON (RFC 8785); it was rewritten by some tool.")
            }
            _ => None,
        }
    }
}

impl JsonErrorKind {
    /// Stable name of this kind.
    pub fn code(self) -> &'static str {
        match self {
            JsonErrorKind::Truncated => "json_truncated",
            JsonErrorKind::Unexpected => "json_unexpected",
            JsonErrorKind::Trailing => "json_trailing",
            JsonErrorKind::ByteOrderMark => "json_byte_order_mark",
            JsonErrorKind::InvalidUtf8 => "json_invalid_utf8",
            JsonErrorKind::ControlCharacter => "json_control_character",
            JsonErrorKind::BadEscape => "json_bad_escape",
            JsonErrorKind::LoneSurrogate => "json_lone_surrogate",
            JsonErrorKind::DuplicateKey => "json_duplicate_key",
            JsonErrorKind::LeadingZero => "json_leading_zero",
            JsonErrorKind::NegativeZero => "json_negative_zero",
            JsonErrorKind::Float => "json_float",
            JsonErrorKind::Fraction => "json_fraction",
            JsonErrorKind::IntegerRange => "json_integer_range",
            JsonErrorKind::TooDeep => "json_too_deep",
            JsonErrorKind::Whitespace => "json_whitespace",
            JsonErrorKind::KeyOrder => "json_key_order",
            JsonErrorKind::LongEscape => "json_long_escape",
            JsonErrorKind::NotAnObject => "json_not_an_object",
            JsonErrorKind::ReservedName => "json_reserved_name",
        }
    }

    /// What is wrong, in words.
    pub fn says(self) -> &'static str {
        match self {
            JsonErrorKind::Truncated => "the text ends inside a value",
            JsonErrorKind::Unexpected => "this byte cannot stand here",
            JsonErrorKind::Trailing => "bytes follow the value",
            JsonErrorKind::ByteOrderMark => "the text starts with a byte order mark",
            JsonErrorKind::InvalidUtf8 => "the text is not UTF-8",
            JsonErrorKind::ControlCharacter => "a control character stands unescaped in a string",
            JsonErrorKind::BadEscape => "unknown or malformed escape",
            JsonErrorKind::LoneSurrogate => "an escaped surrogate lacks its other half",
            JsonErrorKind::DuplicateKey => "this name stands twice in one object",
            JsonErrorKind::LeadingZero => "a number starts with a needless zero",
            JsonErrorKind::NegativeZero => "minus zero is not an integer of its own",
            JsonErrorKind::Float => "a number with a fraction or an exponent",
            JsonErrorKind::Fraction => "this number is not a whole number",
            JsonErrorKind::IntegerRange => "an integer beyond ±9007199254740991",
            JsonErrorKind::TooDeep => "containers nest deeper than 32",
            JsonErrorKind::Whitespace => "white space in canonical JSON",
            JsonErrorKind::KeyOrder => "names are not in canonical order",
            JsonErrorKind::LongEscape => "a character is not escaped canonically",
            JsonErrorKind::NotAnObject => "the document is not an object",
            JsonErrorKind::ReservedName => "this field name is reserved",
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind.says(), self.at)
    }
}

impl std::error::Error for JsonError {}

/// Reads one document under the strict profile. White space and any order of names are accepted.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    read::document(bytes, number::strict)
}

/// Reads one document from a caller at the edge: as [`parse`], but a whole number may be spelled with a zero fraction
/// or an exponent (`15.0`, `1e2`) and becomes an integer before any digest is taken.
pub fn parse_lenient_numbers(bytes: &[u8]) -> Result<Value, JsonError> {
    read::document(bytes, number::lenient)
}

/// Says whether these bytes are exactly the canonical form of one document of the strict profile.
///
/// One pass, no allocation. It accepts `bytes` if and only if `canonical(parse(bytes)) == bytes`.
pub fn check_canonical(bytes: &[u8]) -> Result<(), JsonError> {
    check::document(bytes)
}

/// Writes the canonical form (RFC 8785) of a value of the strict profile.
///
/// # Errors
/// `Float`, `IntegerRange` or `TooDeep`, when the value lies outside the profile.
pub fn canonical(value: &Value) -> Result<Vec<u8>, JsonError> {
    let mut text = Vec::with_capacity(256);
    write_value(&mut text, value, 0)?;
    Ok(text)
}

/// Writes the canonical form (RFC 8785) of any document, floats included. Not for receipts: beyond 2^53 different
/// integers share one form.
pub fn canonical_general(value: &Value) -> Result<Vec<u8>, serde_json::Error> {
    serde_json_canonicalizer::to_vec(value)
}

#[cfg(test)]
pub(crate) mod tests;
