//! What goes between a forwarded command and the owner of the home: short frames, both ways.
//!
//! A frame is one byte that says what it is, four bytes of length (big endian), and so many bytes.

/// From the owner: bytes for standard output.
pub const OUT: u8 = b'o';
/// From the owner: bytes for standard error.
pub const ERR: u8 = b'e';
/// From the owner: the command wants to read standard input; four bytes say how much at most.
pub const WANT: u8 = b'w';
/// From the owner: the command ended with this exit code (one byte).
pub const EXIT: u8 = b'x';
/// From the client: the command, as JSON.
pub const COMMAND: u8 = b'c';
/// From the client: begin. Before this nothing has happened.
pub const GO: u8 = b'g';
/// From the client: bytes of standard input, none at its end.
pub const INPUT: u8 = b'i';
/// From the client: standard input could not be read, and why.
pub const BROKEN: u8 = b'b';

/// Bytes before the payload.
pub const HEAD: usize = 5;
/// Longest payload.
pub const PAYLOAD_MAX: usize = 4 << 20;

/// A frame as bytes.
pub fn encode(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("payloads are cut to PAYLOAD_MAX");
    let mut bytes = Vec::with_capacity(HEAD + payload.len());
    bytes.push(kind);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Kind and length that a head states; `None` where the length is beyond the limit.
pub fn head(bytes: [u8; HEAD]) -> Option<(u8, usize)> {
    let [kind, a, b, c, d] = bytes;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    (length <= PAYLOAD_MAX).then_some((kind, length))
}

/// Frames out of bytes that come in pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
}

/// A frame longer than frames may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Decoder {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// The next whole frame, if it is there.
    pub fn pop(&mut self) -> Result<Option<(u8, Vec<u8>)>, TooLong> {
        let Some(first) = self.bytes.first_chunk::<HEAD>() else { return Ok(None) };
        let (kind, length) = head(*first).ok_or(TooLong)?;
        if self.bytes.len() < HEAD + length {
            return Ok(None);
        }
        let rest = self.bytes.split_off(HEAD + length);
        let mut whole = std::mem::replace(&mut self.bytes, rest);
        Ok(Some((kind, whole.split_off(HEAD))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let all = [encode(GO, b""), encode(INPUT, b"some bytes"), encode(EXIT, &[5])].concat();
        for piece in 1..=all.len() {
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for bytes in all.chunks(piece) {
                decoder.push(bytes);
                while let Some(frame) = decoder.pop().unwrap() {
                    found.push(frame);
                }
            }
            let want = [(GO, vec![]), (INPUT, b"some bytes".to_vec()), (EXIT, vec![5])];
            assert_eq!(found, want);
        }
    }

    #[test]
    fn a_frame_that_claims_too_much_is_refused_before_it_is_kept() {
        let mut decoder = Decoder::default();
        decoder.push(&[INPUT, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(decoder.pop(), Err(TooLong));
    }
}
