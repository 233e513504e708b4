//! Numbers are integers: read exactly, never through a float.

use super::{INTEGER_MAX, JsonError, JsonErrorKind};

/// A number read at some offset: its value and the offset after it.
pub(super) type Read = Result<(i64, usize), JsonError>;

/// Reads a minimal integer: the only spelling receipts know.
pub(super) fn strict(bytes: &[u8], at: usize) -> Read {
    let negative = bytes.get(at) == Some(&b'-');
    let first = at + usize::from(negative);
    let end = digits_end(bytes, first)?;
    if matches!(bytes.get(end), Some(b'.' | b'e' | b'E')) {
        return Err(JsonError::new(at, JsonErrorKind::Float));
    }
    let digits = &bytes[first..end];
    if negative && digits == b"0" {
        return Err(JsonError::new(at, JsonErrorKind::NegativeZero));
    }
    let magnitude = magnitude(digits, 0).ok_or(JsonError::new(at, JsonErrorKind::IntegerRange))?;
    Ok((if negative { -magnitude } else { magnitude }, end))
}

/// Reads a whole number in any JSON spelling (`15.0`, `1e2`, `150e-1`).
pub(super) fn lenient(bytes: &[u8], at: usize) -> Read {
    let negative = bytes.get(at) == Some(&b'-');
    let first = at + usize::from(negative);
    let mut end = digits_end(bytes, first)?;
    let mut digits = bytes[first..end].to_vec();
    let mut exponent = 0_i64;
    if bytes.get(end) == Some(&b'.') {
        let fraction_end = run_end(bytes, end + 1)?;
        digits.extend_from_slice(&bytes[end + 1..fraction_end]);
        exponent -= (fraction_end - end - 1) as i64;
        end = fraction_end;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        let start = end + 1 + usize::from(signed);
        let exponent_end = run_end(bytes, start)?;
        let size = bytes[start..exponent_end].iter().fold(0_i64, |sum, digit| {
            sum.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
        });
        let size = if bytes[end + 1] == b'-' { -size } else { size };
        exponent = exponent.saturating_add(size);
        end = exponent_end;
    }
    whole(&digits, exponent)
        .map(|magnitude| (if negative { -magnitude } else { magnitude }, end))
        .map_err(|kind| JsonError::new(at, kind))
}

/// The value of `digits` × 10^`exponent`, when that is a whole number in range.
fn whole(digits: &[u8], exponent: i64) -> Result<i64, JsonErrorKind> {
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    let digits = &digits[leading..];
    if digits.is_empty() {
        return Ok(0);
    }
    let trailing = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    let digits = &digits[..digits.len() - trailing];
    let exponent = exponent.saturating_add(trailing as i64);
    if exponent < 0 {
        return Err(JsonErrorKind::Fraction);
    }
    magnitude(digits, exponent).ok_or(JsonErrorKind::IntegerRange)
}

fn magnitude(digits: &[u8], zeros: i64) -> Option<i64> {
    // 2^53−1 has sixteen digits, so nothing below can overflow.
    if digits.len() as i64 > 16 || zeros > 16 - digits.len() as i64 {
        return None;
    }
    let value = digits.iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let value = (0..zeros).fold(value, |sum, _| sum * 10);
    (value <= INTEGER_MAX).then_some(value)
}

/// End of an integer part: `0`, or digits that do not start with it.
fn digits_end(bytes: &[u8], first: usize) -> Result<usize, JsonError> {
    let end = run_end(bytes, first)?;
    if bytes[first] == b'0' && end > first + 1 {
        return Err(JsonError::new(first, JsonErrorKind::LeadingZero));
    }
    Ok(end)
}

/// End of a run of at least one digit.
fn run_end(bytes: &[u8], first: usize) -> Result<usize, JsonError> {
    let mut end = first;
    while bytes.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    if end > first {
        return Ok(end);
    }
    let ended = end >= bytes.len();
    let kind = if ended { JsonErrorKind::Truncated } else { JsonErrorKind::Unexpected };
    Err(JsonError::new(end.min(bytes.len()), kind))
}
