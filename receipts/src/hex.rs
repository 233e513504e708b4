//! Lower-case hexadecimal of fixed width, the only form digests are written in.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The value of each digit; 255 for every other byte.
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        values[DIGITS[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

/// The 64 lower-case digits of 32 bytes, as they stand in a text.
pub(crate) fn digits_32(bytes: &[u8; 32]) -> [u8; 64] {
    let mut digits = [0; 64];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    digits
}

/// The 64 lower-case digits of 32 bytes.
pub(crate) fn encode_32(bytes: &[u8; 32]) -> String {
    digits_32(bytes).iter().map(|digit| char::from(*digit)).collect()
}

/// Reads exactly 64 lower-case digits; anything else is `None`.
pub(crate) fn decode_32(text: &str) -> Option<[u8; 32]> {
    read_32(text.as_bytes().try_into().ok()?)
}

/// Reads 64 lower-case digits; any other digit is `None`.
pub(crate) fn read_32(digits: &[u8; 64]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    // A digit's value is below 16; that of any other byte is not.
    (seen < 16).then_some(bytes)
}
