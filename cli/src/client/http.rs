//! As much of HTTP/1.1 as a client of `vm serve` needs, on a blocking socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

/// Longest line of an answer's head, and most of them.
const LINE_MAX: u64 = 8_192;
const LINES_MAX: usize = 64;

/// How the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// After so many bytes.
    Bytes(u64),
    /// With an empty chunk.
    Chunked,
}

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// How the body ends.
    pub length: Length,
    /// Whether the owner closes the connection after it.
    pub closes: bool,
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Sends a request with a whole body.
pub fn send(to: &mut UnixStream, method: &str, path: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let mut bytes =
        format!("{method} {path} HTTP/1.1\r\nhost: vm\r\ncontent-length: {length}\r\n\r\n")
            .into_bytes();
    bytes.extend_from_slice(body);
    to.write_all(&bytes)
}

/// Sends the head of a request whose body goes in chunks.
pub fn begin(to: &mut UnixStream, path: &str) -> io::Result<()> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: vm\r\ntransfer-encoding: chunked\r\n\r\n");
    to.write_all(head.as_bytes())
}

/// Sends a chunk; nothing for no bytes, because an empty chunk ends the body.
pub fn chunk(to: &mut UnixStream, bytes: &[u8]) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    to.write_all(&framed)
}

/// Ends a body of chunks.
pub fn end(to: &mut UnixStream) -> io::Result<()> {
    to.write_all(b"0\r\n\r\n")
}

fn line(from: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.by_ref().take(LINE_MAX).read_until(b'\n', &mut bytes)?;
    match bytes.strip_suffix(b"\r\n") {
        Some(line) => String::from_utf8(line.to_vec()).map_err(|_| bad("the head is not text")),
        None if bytes.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        None => Err(bad("a line of the head is cut off or too long")),
    }
}

/// Reads the head of an answer.
pub fn head(from: &mut BufReader<UnixStream>) -> io::Result<Head> {
    let first = line(from)?;
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| bad("the answer is not HTTP/1.1"))?;
    let mut head = Head { status, length: Length::Bytes(0), closes: false };
    for _ in 0..LINES_MAX {
        let text = line(from)?;
        if text.is_empty() {
            return Ok(head);
        }
        let Some((name, value)) = text.split_once(':') else {
            return Err(bad("a field has no name"));
        };
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("content-length", value) => {
                let length = value.parse().map_err(|_| bad("the length is no number"))?;
                head.length = Length::Bytes(length);
            }
            ("transfer-encoding", _) => head.length = Length::Chunked,
            ("connection", "close") => head.closes = true,
            _ => {}
        }
    }
    Err(bad("the head has too many lines"))
}

/// The body of an answer, up to its end and no further.
pub struct Body<'a> {
    from: &'a mut BufReader<UnixStream>,
    length: Length,
    /// Bytes of the current chunk, or of the body, still to come.
    left: u64,
    ended: bool,
}

impl<'a> Body<'a> {
    /// The body that follows this head.
    pub fn new(from: &'a mut BufReader<UnixStream>, head: Head) -> Self {
        let left = match head.length {
            Length::Bytes(count) => count,
            Length::Chunked => 0,
        };
        Self { from, length: head.length, left, ended: head.length == Length::Bytes(0) }
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let size = line(self.from)?;
        let digits = size.split(';').next().unwrap_or_default();
        self.left = u64::from_str_radix(digits, 16).map_err(|_| bad("a chunk has no length"))?;
        if self.left == 0 {
            while !line(self.from)?.is_empty() {}
            self.ended = true;
        }
        Ok(())
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            self.next_chunk()?;
            if self.ended {
                return Ok(0);
            }
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.from.read(&mut buffer[..most])?;
        if count == 0 {
            // A body that just stops is no whole body.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        if self.left == 0 {
            match self.length {
                Length::Bytes(_) => self.ended = true,
                Length::Chunked if line(self.from)?.is_empty() => {}
                Length::Chunked => return Err(bad("a chunk is longer than it says")),
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> io::Result<(u16, Vec<u8>)> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(text.as_bytes()).unwrap();
        drop(theirs);
        let mut from = BufReader::new(ours);
        let head = head(&mut from)?;
        let mut bytes = Vec::new();
        Body::new(&mut from, head).read_to_end(&mut bytes)?;
        Ok((head.status, bytes))
    }

    #[test]
    fn both_kinds_of_body_are_read_to_their_end() {
        let whole = answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef").unwrap();
        assert_eq!(whole, (200, b"abc".to_vec()));
        let chunks = "HTTP/1.1 404 N\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\nA\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(answer(chunks).unwrap(), (404, b"ab0123456789".to_vec()));
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error_and_never_a_short_answer() {
        let whole = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for cut in 0..whole.len() {
            assert!(answer(&whole[..cut]).is_err(), "{cut}");
        }
        assert!(answer("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab").is_err());
        assert!(answer("SSH-2.0-x\r\n\r\n").is_err());
    }
}
