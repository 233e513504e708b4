//! One pass over bytes that says whether they are canonical, and on the same pass makes a value of them where one is
//! wanted: reading evidence back without building it twice.

use std::cmp::Ordering;
use std::ops::Range;

use serde_json::{Map, Value};

use super::read::utf8;
use super::scan::{hex4, plain_end};
use super::{DEPTH_MAX, JsonError, JsonErrorKind, number};

/// Checks one whole document.
pub(super) fn document(bytes: &[u8]) -> Result<(), JsonError> {
    let mut cursor = Cursor::new(utf8(bytes)?);
    cursor.value::<()>(0)?;
    cursor.finish()
}

/// Checks one whole document that is an object, and shows each member of its top level: the raw name (escaped as it
/// stands), where the member starts (its opening quote) and where its value stands.
pub(crate) fn members<'a>(
    bytes: &'a [u8],
    mut visit: impl FnMut(&'a [u8], usize, Range<usize>),
) -> Result<(), JsonError> {
    let mut cursor = Cursor::new(utf8(bytes)?);
    match bytes.first() {
        Some(b'{') => {
            cursor.each(1, &mut |key, start, place, ()| visit(key.as_bytes(), start, place))?;
        }
        Some(_) => return Err(JsonError::new(0, JsonErrorKind::NotAnObject)),
        None => return Err(JsonError::new(0, JsonErrorKind::Truncated)),
    }
    cursor.finish()
}

/// What reading makes of a value: a [`Value`], or nothing where only the bytes are judged.
pub(crate) trait Made: Sized {
    /// Members of an object on their way.
    type Members: Default;
    fn null() -> Self;
    fn flag(flag: bool) -> Self;
    fn number(number: i64) -> Self;
    /// From what stands between the quotes.
    fn text(raw: &str) -> Self;
    fn list(items: Vec<Self>) -> Self;
    fn put(members: &mut Self::Members, raw_key: &str, value: Self);
    fn object(members: Self::Members) -> Self;
}

impl Made for () {
    type Members = ();
    fn null() {}
    fn flag(_: bool) {}
    fn number(_: i64) {}
    fn text(_: &str) {}
    fn list(_: Vec<()>) {}
    fn put((): &mut (), _: &str, (): ()) {}
    fn object((): ()) {}
}

impl Made for Value {
    type Members = Map<String, Value>;
    fn null() -> Value {
        Value::Null
    }
    fn flag(flag: bool) -> Value {
        Value::Bool(flag)
    }
    fn number(number: i64) -> Value {
        Value::from(number)
    }
    fn text(raw: &str) -> Value {
        Value::String(meaning(raw))
    }
    fn list(items: Vec<Value>) -> Value {
        Value::Array(items)
    }
    fn put(members: &mut Map<String, Value>, raw_key: &str, value: Value) {
        members.insert(meaning(raw_key), value);
    }
    fn object(members: Map<String, Value>) -> Value {
        Value::Object(members)
    }
}

/// A place in canonical text.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The beginning of a text.
    pub(crate) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, bytes: text.as_bytes(), at: 0 }
    }

    /// Offset of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Nothing may follow.
    pub(crate) fn finish(&self) -> Result<(), JsonError> {
        if self.at < self.bytes.len() {
            return Err(JsonError::new(self.at, JsonErrorKind::Trailing));
        }
        Ok(())
    }

    /// Steps over exactly these bytes, if they stand here.
    pub(crate) fn literal(&mut self, literal: &[u8]) -> bool {
        let there = self.bytes[self.at..].starts_with(literal);
        self.at += if there { literal.len() } else { 0 };
        there
    }

    /// Steps over so many bytes and gives them; `None` where the text ends before.
    pub(crate) fn take_bytes<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let taken = self.bytes[self.at..].first_chunk()?;
        self.at += N;
        Some(taken)
    }

    /// Whether a string begins here.
    pub(crate) fn is_quote(&self) -> bool {
        self.bytes.get(self.at) == Some(&b'"')
    }

    /// Steps over a number from 0 on.
    pub(crate) fn natural(&mut self) -> Option<u64> {
        let (number, end) = number::strict(self.bytes, self.at).ok()?;
        self.at = end;
        u64::try_from(number).ok()
    }

    /// Steps over an object that stands inside `depth` containers, and gives its members.
    pub(crate) fn members<T: Made>(&mut self, depth: usize) -> Result<T::Members, JsonError> {
        if self.bytes.get(self.at) != Some(&b'{') {
            return Err(self.unexpected());
        }
        let mut members = T::Members::default();
        self.each(depth + 1, &mut |key, _, _, value: T| T::put(&mut members, key, value))?;
        Ok(members)
    }

    fn value<T: Made>(&mut self, depth: usize) -> Result<T, JsonError> {
        match self.bytes.get(self.at) {
            Some(b'"') => self.string().map(T::text),
            Some(b'{') => self.members::<T>(depth).map(T::object),
            Some(b'[') => self.array(depth + 1),
            Some(b'-' | b'0'..=b'9') => {
                let (number, end) = number::strict(self.bytes, self.at)?;
                self.at = end;
                Ok(T::number(number))
            }
            Some(b't') => self.word(b"true").map(|()| T::flag(true)),
            Some(b'f') => self.word(b"false").map(|()| T::flag(false)),
            Some(b'n') => self.word(b"null").map(|()| T::null()),
            _ => Err(self.unexpected()),
        }
    }

    /// Steps over an object at this depth and shows each member.
    fn each<T: Made>(
        &mut self,
        depth: usize,
        visit: &mut impl FnMut(&'a str, usize, Range<usize>, T),
    ) -> Result<(), JsonError> {
        self.enter(depth)?;
        if self.take(b'}') {
            return Ok(());
        }
        let mut previous: Option<&str> = None;
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
            let place = self.at;
            let value = self.value(depth)?;
            visit(key, start, place..self.at, value);
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.unexpected());
            }
        }
    }

    fn array<T: Made>(&mut self, depth: usize) -> Result<T, JsonError> {
        self.enter(depth)?;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(T::list(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.take(b']') {
                return Ok(T::list(items));
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

    /// Steps over a string, its opening quote first, and gives what stands between its quotes.
    pub(crate) fn string(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at + 1;
        self.at = start;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at - 1]);
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
fn compare(left: &str, right: &str) -> Ordering {
    let (raw_left, raw_right) = (left, right);
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let shared = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (Some(&a), Some(&b)) = (left.get(shared), right.get(shared)) else {
        return left.len().cmp(&right.len());
    };
    // Bytes and code units agree, except between U+E000..U+FFFF (0xEE, 0xEF) and beyond (0xF0..), and in escapes.
    let plain = a < 0xee && b < 0xee && a != b'\\' && b != b'\\';
    if plain && !left[..shared].contains(&b'\\') {
        return a.cmp(&b);
    }
    letters(raw_left).flat_map(units).cmp(letters(raw_right).flat_map(units))
}

/// What a canonical raw string means.
pub(crate) fn meaning(raw: &str) -> String {
    match raw.contains('\\') {
        true => letters(raw).collect(),
        false => raw.to_owned(),
    }
}

/// The characters a canonical raw string means.
fn letters(raw: &str) -> impl Iterator<Item = char> + '_ {
    let mut letters = raw.chars();
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
}

/// A character as UTF-16 code units.
fn units(letter: char) -> impl Iterator<Item = u16> {
    let mut buffer = [0; 2];
    let used = letter.encode_utf16(&mut buffer).len();
    buffer.into_iter().take(used)
}
