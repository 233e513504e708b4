//! Where the plain part of a string ends, eight bytes at a time.

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES * 128;

/// Index of the first `"`, `\` or control byte at or after `from`, or the length when there is none.
pub(super) fn plain_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("the slice is eight bytes long"));
        // Each term flags bytes in their high bit; a borrow can only falsely flag bytes after a true hit.
        let quotes = zero_bytes(word ^ (ONES * 0x22));
        let escapes = zero_bytes(word ^ (ONES * 0x5c));
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let hits = quotes | escapes | controls;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            return at;
        }
        at += 1;
    }
    at
}

fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// The four hexadecimal digits at `at`, either case.
pub(super) fn hex4(bytes: &[u8], at: usize) -> Option<u16> {
    let mut unit = 0;
    for &digit in bytes.get(at..at + 4)? {
        unit = unit << 4 | char::from(digit).to_digit(16)? as u16;
    }
    Some(unit)
}
