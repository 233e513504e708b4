//! The canonical writer (RFC 8785) of the strict profile.

use std::cmp::Ordering;
use std::io::Write;

use serde_json::{Map, Value};

use super::{DEPTH_MAX, INTEGER_MAX, JsonError, JsonErrorKind};

/// Appends the canonical form of a value that stands inside `depth` containers.
pub(crate) fn write_value(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), JsonError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_integer(out, number)?,
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            enter(out, depth)?;
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_value(out, item, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Object(map) => write_map(out, map, depth)?,
    }
    Ok(())
}

/// Appends the canonical form of an object that stands inside `depth` containers.
pub(crate) fn write_map(
    out: &mut Vec<u8>,
    map: &Map<String, Value>,
    depth: usize,
) -> Result<(), JsonError> {
    enter(out, depth)?;
    out.push(b'{');
    let ordered = map.keys().is_sorted_by(|a, b| compare(a, b) == Ordering::Less);
    if ordered {
        for (place, (key, value)) in map.iter().enumerate() {
            write_member(out, place, key, value, depth)?;
        }
    } else {
        let mut members: Vec<_> = map.iter().collect();
        members.sort_by(|(a, _), (b, _)| compare(a, b));
        for (place, (key, value)) in members.into_iter().enumerate() {
            write_member(out, place, key, value, depth)?;
        }
    }
    out.push(b'}');
    Ok(())
}

fn write_member(
    out: &mut Vec<u8>,
    place: usize,
    key: &str,
    value: &Value,
    depth: usize,
) -> Result<(), JsonError> {
    if place > 0 {
        out.push(b',');
    }
    write_string(out, key);
    out.push(b':');
    write_value(out, value, depth + 1)
}

fn enter(out: &[u8], depth: usize) -> Result<(), JsonError> {
    if depth >= DEPTH_MAX {
        return Err(JsonError::new(out.len(), JsonErrorKind::TooDeep));
    }
    Ok(())
}

fn write_integer(out: &mut Vec<u8>, number: &serde_json::Number) -> Result<(), JsonError> {
    let kind = match number.as_i64() {
        Some(value) if (-INTEGER_MAX..=INTEGER_MAX).contains(&value) => {
            if value < 0 {
                out.push(b'-');
            }
            write_natural(out, value.unsigned_abs());
            return Ok(());
        }
        Some(_) => JsonErrorKind::IntegerRange,
        None if number.is_u64() => JsonErrorKind::IntegerRange,
        None => JsonErrorKind::Float,
    };
    Err(JsonError::new(out.len(), kind))
}

/// Appends a number from 0 on.
pub(crate) fn write_natural(out: &mut Vec<u8>, mut value: u64) {
    // 2^64 has twenty digits.
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// Appends a string with the escapes of RFC 8785 s3.2.2.2 and no others.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    loop {
        let end = super::scan::plain_end(bytes, start);
        out.extend_from_slice(&bytes[start..end]);
        let Some(&byte) = bytes.get(end) else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            control => {
                write!(out, "\\u{control:04x}").expect("writing to memory cannot fail");
            }
        }
        start = end + 1;
    }
    out.push(b'"');
}

/// Order of names by UTF-16 code units (RFC 8785 s3.2.3).
fn compare(left: &str, right: &str) -> Ordering {
    let beyond = |text: &str| text.bytes().any(|byte| byte >= 0xee);
    if beyond(left) && beyond(right) {
        return left.encode_utf16().cmp(right.encode_utf16());
    }
    left.cmp(right)
}
