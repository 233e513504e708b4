//! The strict reader. It refuses what other readers silently repair.

use serde_json::{Map, Value};

use super::number::Read;
use super::scan::{hex4, plain_end};
use super::{DEPTH_MAX, JsonError, JsonErrorKind};

/// Reads one whole document; `number` reads the numbers in it.
pub(super) fn document(bytes: &[u8], number: fn(&[u8], usize) -> Read) -> Result<Value, JsonError> {
    let text = utf8(bytes)?;
    let mut reader = Reader { text, bytes, at: 0, number };
    reader.skip_space();
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < bytes.len() {
        return Err(JsonError::new(reader.at, JsonErrorKind::Trailing));
    }
    Ok(value)
}

/// The bytes as text, without a byte order mark.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, JsonError> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(JsonError::new(0, JsonErrorKind::ByteOrderMark));
    }
    std::str::from_utf8(bytes)
        .map_err(|error| JsonError::new(error.valid_up_to(), JsonErrorKind::InvalidUtf8))
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    number: fn(&[u8], usize) -> Read,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        match self.bytes.get(self.at) {
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => {
                let (value, end) = (self.number)(self.bytes, self.at)?;
                self.at = end;
                Ok(Value::from(value))
            }
            Some(b't') => self.word(b"true", Value::Bool(true)),
            Some(b'f') => self.word(b"false", Value::Bool(false)),
            Some(b'n') => self.word(b"null", Value::Null),
            _ => Err(self.unexpected()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.enter(depth)?;
        let mut map = Map::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Value::Object(map));
        }
        loop {
            let key_at = self.at;
            if self.bytes.get(self.at) != Some(&b'"') {
                return Err(self.unexpected());
            }
            let key = self.string()?;
            if map.contains_key(&key) {
                return Err(JsonError::new(key_at, JsonErrorKind::DuplicateKey));
            }
            self.skip_space();
            if !self.take(b':') {
                return Err(self.unexpected());
            }
            self.skip_space();
            let value = self.value(depth)?;
            map.insert(key, value);
            self.skip_space();
            if self.take(b'}') {
                return Ok(Value::Object(map));
            }
            if !self.take(b',') {
                return Err(self.unexpected());
            }
            self.skip_space();
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.enter(depth)?;
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return Err(self.unexpected());
            }
            self.skip_space();
        }
    }

    /// Steps over the opening bracket of a container at this depth.
    fn enter(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > DEPTH_MAX {
            return Err(JsonError::new(self.at, JsonErrorKind::TooDeep));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let start = self.at;
            self.at = plain_end(self.bytes, start);
            // Both ends stand at an ASCII byte or an end of the text, so they are character boundaries.
            let plain = &self.text[start..self.at];
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    text.push_str(plain);
                    return Ok(text);
                }
                Some(b'\\') => {
                    text.push_str(plain);
                    text.push(self.escape()?);
                }
                Some(_) => return Err(JsonError::new(self.at, JsonErrorKind::ControlCharacter)),
                None => return Err(JsonError::new(self.at, JsonErrorKind::Truncated)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        let letter = match self.bytes.get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            Some(_) => return Err(JsonError::new(start, JsonErrorKind::BadEscape)),
            None => return Err(JsonError::new(self.bytes.len(), JsonErrorKind::Truncated)),
        };
        self.at = start + 2;
        Ok(letter)
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        let bad = |kind| JsonError::new(start, kind);
        let unit = hex4(self.bytes, start + 2).ok_or(bad(JsonErrorKind::BadEscape))?;
        self.at = start + 6;
        if let Some(letter) = char::from_u32(u32::from(unit)) {
            return Ok(letter);
        }
        let pair = self.bytes.get(self.at..self.at + 2) == Some(b"\\u");
        let low = if pair { hex4(self.bytes, self.at + 2) } else { None };
        let low = low.ok_or(bad(JsonErrorKind::LoneSurrogate))?;
        self.at += 6;
        match char::decode_utf16([unit, low]).next() {
            Some(Ok(letter)) => Ok(letter),
            _ => Err(bad(JsonErrorKind::LoneSurrogate)),
        }
    }

    fn word(&mut self, word: &[u8], value: Value) -> Result<Value, JsonError> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.unexpected());
        }
        self.at += word.len();
        Ok(value)
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected(&self) -> JsonError {
        let ended = self.at >= self.bytes.len();
        let kind = if ended { JsonErrorKind::Truncated } else { JsonErrorKind::Unexpected };
        JsonError::new(self.at, kind)
    }
}
