//! Lines of a source of any size, each with its number; what is too long for a line is passed over.

use std::io::{self, BufRead};

/// Longest line that is read: an image in a message has a few MiB. Memory is a small multiple of it.
pub const LINE_BYTES_MAX: usize = 24 << 20;

/// Reads lines one after another.
pub struct Lines<'a> {
    input: &'a mut dyn BufRead,
    buffer: Vec<u8>,
    number: u64,
}

/// One line of a source.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes, without the line end.
    Read(&'a [u8]),
    /// It was longer than lines may be.
    TooLong,
}

impl<'a> Lines<'a> {
    /// From where the input stands.
    pub fn new(input: &'a mut dyn BufRead) -> Self {
        Self { input, buffer: Vec::new(), number: 0 }
    }

    /// The next line and its number, from 1 on.
    pub fn read(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.buffer.clear();
        if self.buffer.capacity() > LINE_BYTES_MAX / 4 {
            self.buffer.shrink_to(1 << 16);
        }
        let (mut any, mut long) = (false, false);
        loop {
            let chunk = match self.input.fill_buf() {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() {
                break;
            }
            any = true;
            let end = chunk.iter().position(|b| *b == b'\n');
            let piece = &chunk[..end.unwrap_or(chunk.len())];
            long |= self.buffer.len() + piece.len() > LINE_BYTES_MAX;
            if long {
                self.buffer.clear();
            } else {
                self.buffer.extend_from_slice(piece);
            }
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        if long {
            return Ok(Some((self.number, Line::TooLong)));
        }
        let line = self.buffer.strip_suffix(b"\r").unwrap_or(&self.buffer);
        let mark: &[u8] = b"\xef\xbb\xbf";
        let line = if self.number == 1 { line.strip_prefix(mark).unwrap_or(line) } else { line };
        Ok(Some((self.number, Line::Read(line))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    #[test]
    fn every_line_comes_once_whatever_the_buffer_and_a_long_one_is_passed_over() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let source = [b"\xef\xbb\xbfa\r\n\nb\n".as_slice(), &long, b"\nc"].concat();
        for capacity in [1 << 16, 7] {
            let mut input = BufReader::with_capacity(capacity, &source[..]);
            let mut lines = Lines::new(&mut input);
            let mut all = Vec::new();
            while let Some((number, line)) = lines.read().unwrap() {
                let text = match line {
                    Line::Read(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                    Line::TooLong => "long".into(),
                };
                all.push((number, text));
            }
            let want = [(1, "a"), (2, ""), (3, "b"), (4, "long"), (5, "c")];
            assert_eq!(all, want.map(|(n, t)| (n, t.to_owned())));
        }
    }
}
