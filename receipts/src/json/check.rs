//! One pass over bytes that says whether they are canonical: reading evidence back without building it twice.

use std::cmp::Ordering;
use std::ops::Range;

use super::read::utf8;
use super::scan::{hex4, plain_end};
use super::{DEPTH_MAX, JsonError, JsonErrorKind, number};

/// Checks one whole document.
pub(super) fn document(bytes: &[u8]) -> Result<(), JsonError> {
    utf8(bytes)?;
    let mut checker = Checker { bytes, at: 0 };
    checker.value(0)?;
    checker.finish()
}

/// Checks one whole document that is an object, and shows each member of its top level: the raw name (escaped as it
/// stands), where the member starts (its opening quote) and where its value stands.
pub(crate) fn members<'a>(
    bytes: &'a [u8],
    mut visit: impl FnMut(&'a [u8], usize, Range<usize>),
) -> Result<(), JsonError> {
    utf8(bytes)?;
    let mut checker = Checker { bytes, at: 0 };
    match bytes.first() {
        Some(b'{') => checker.object(1, &mut visit)?,
        Some(_) => return Err(JsonError::new(0, JsonErrorKind::NotAnObject)),
        None => return Err(JsonError::new(0, JsonErrorKind::Truncated)),
    }
    checker.finish()
}

struct Checker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Checker<'a> {
    fn finish(&self) -> Result<(), JsonError> {
        if self.at < self.bytes.len() {
            return Err(JsonError::new(self.at, JsonErrorKind::Trailing));
        }
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<(), JsonError> {
        match self.bytes.get(self.at) {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{') => self.object(depth + 1, &mut |_, _, _| {}),
            Some(b'[') => self.array(depth + 1),
            Some(b'-' | b'0'..=b'9') => {
                self.at = number::strict(self.bytes, self.at)?.1;
                Ok(())
            }
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(self.unexpected()),
        }
    }

    fn object(
        &mut self,
        depth: usize,
        visit: &mut impl FnMut(&'a [u8], usize, Range<usize>),
    ) -> Result<(), JsonError> {
        self.enter(depth)?;
        if self.take(b'}') {
            return Ok(());
        }
        let mut previous: Option<&[u8]> = None;
        loop {
            let start = self.at;
            if self.bytes.get(start) != Some(&b'"') {
                return Err(self.unexpected());
            }
            let key = self.string()?;
            match previous.map_or(Ordering::Less, |previous| compare(previous, key)) {
                Ordering::Less => {}
                Ordering::Equal => return Err(JsonError::new(start, JsonErrorKind::DuplicateKey)),
                Ordering::Greater => return Err(JsonError::new(start, JsonErrorKind::KeyOrder)),
            }
            previous = Some(key);
            if !self.take(b':') {
                return Err(self.unexpected());
            }
            let value = self.at;
            self.value(depth)?;
            visit(key, start, value..self.at);
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.unexpected());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), JsonError> {
        self.enter(depth)?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value(depth)?;
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.unexpected());
            }
        }
    }

    fn enter(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > DEPTH_MAX {
            return Err(JsonError::new(self.at, JsonErrorKind::TooDeep));
        }
        self.at += 1;
        Ok(())
    }

    /// Steps over a string and gives what stands between its quotes.
    fn string(&mut self) -> Result<&'a [u8], JsonError> {
        let start = self.at + 1;
        self.at = start;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.bytes[start..self.at - 1]);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(JsonError::new(self.at, JsonErrorKind::ControlCharacter)),
                None => return Err(JsonError::new(self.at, JsonErrorKind::Truncated)),
            }
        }
    }

    /// Steps over an escape, when it is the one RFC 8785 s3.2.2.2 prescribes.
    fn escape(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        match self.bytes.get(start + 1) {
            Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => self.at = start + 2,
            Some(b'u') => {
                let unit = hex4(self.bytes, start + 2)
                    .ok_or(JsonError::new(start, JsonErrorKind::BadEscape))?;
                let short = matches!(unit, 0x08 | 0x09 | 0x0a | 0x0c | 0x0d);
                let upper = self.bytes[start + 5].is_ascii_uppercase();
                if unit >= 0x20 || short || upper {
                    return Err(JsonError::new(start, JsonErrorKind::LongEscape));
                }
                self.at = start + 6;
            }
            Some(b'/') => return Err(JsonError::new(start, JsonErrorKind::LongEscape)),
            Some(_) => return Err(JsonError::new(start, JsonErrorKind::BadEscape)),
            None => return Err(JsonError::new(self.bytes.len(), JsonErrorKind::Truncated)),
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.unexpected());
        }
        self.at += word.len();
        Ok(())
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn unexpected(&self) -> JsonError {
        let kind = match self.bytes.get(self.at) {
            None => JsonErrorKind::Truncated,
            Some(b' ' | b'\t' | b'\n' | b'\r') => JsonErrorKind::Whitespace,
            Some(_) => JsonErrorKind::Unexpected,
        };
        JsonError::new(self.at, kind)
    }
}

/// Order of two raw names by the UTF-16 code units of what they mean. Both are canonical strings.
fn compare(left: &[u8], right: &[u8]) -> Ordering {
    let shared = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (Some(&a), Some(&b)) = (left.get(shared), right.get(shared)) else {
        return left.len().cmp(&right.len());
    };
    // Bytes and code units agree, except between U+E000..U+FFFF (0xEE, 0xEF) and beyond (0xF0..), and in escapes.
    let plain = a < 0xee && b < 0xee && a != b'\\' && b != b'\\';
    if plain && !left[..shared].contains(&b'\\') {
        return a.cmp(&b);
    }
    units(left).cmp(units(right))
}

/// The UTF-16 code units a canonical raw string means.
fn units(raw: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let text = std::str::from_utf8(raw).unwrap_or_default();
    let mut letters = text.chars();
    std::iter::from_fn(move || {
        let letter = letters.next()?;
        if letter != '\\' {
            return Some(letter);
        }
        Some(match letters.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let code = letters
                    .by_ref()
                    .take(4)
                    .fold(0, |sum, digit| sum << 4 | digit.to_digit(16).unwrap_or_default());
                char::from_u32(code).unwrap_or_default()
            }
            other => other,
        })
    })
    .flat_map(|letter| {
        let mut buffer = [0; 2];
        let used = letter.encode_utf16(&mut buffer).len();
        buffer.into_iter().take(used)
    })
}
