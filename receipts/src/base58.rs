//! Base58 (the Bitcoin alphabet) of 64 bytes: signatures are read and written so often that a general codec, whose
//! time grows with the square of the digits, would cost a good part of what checking a line costs.

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// No 64 bytes take more digits.
const DIGITS_MAX: usize = 88;

/// The value of each digit; 255 for every other byte.
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut digit = 0;
    while digit < 58 {
        values[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

/// Reads exactly 64 bytes; any other length and any other digit is `None`.
pub(crate) fn decode_64(text: &str) -> Option<[u8; 64]> {
    let digits = text.as_bytes();
    if digits.len() > DIGITS_MAX {
        return None;
    }
    // Eight limbs of 64 bits, the lowest first; ten digits are taken in at once, because 58^10 < 2^64.
    let mut limbs = [0_u64; 8];
    for chunk in digits.chunks(10) {
        let (mut value, mut scale) = (0_u64, 1_u64);
        for digit in chunk {
            let one = VALUES[usize::from(*digit)];
            if one == 255 {
                return None;
            }
            value = value * 58 + u64::from(one);
            scale *= 58;
        }
        for limb in &mut limbs {
            let sum = u128::from(*limb) * u128::from(scale) + u128::from(value);
            *limb = sum as u64;
            value = (sum >> 64) as u64;
        }
        if value > 0 {
            return None;
        }
    }
    let mut bytes = [0; 64];
    for (place, limb) in bytes.chunks_exact_mut(8).zip(limbs.iter().rev()) {
        place.copy_from_slice(&limb.to_be_bytes());
    }
    // Each leading zero byte is one leading `1`, no more and no fewer.
    let ones = digits.iter().take_while(|digit| **digit == b'1').count();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    (ones == zeros).then_some(bytes)
}

/// Appends the digits of 64 bytes.
pub(crate) fn encode_64(bytes: &[u8; 64], out: &mut String) {
    // Sixteen limbs of 32 bits, the highest first; each division gives five digits, because 58^5 < 2^32.
    const FIVE: u64 = 58 * 58 * 58 * 58 * 58;
    let mut limbs = [0_u32; 16];
    for (limb, four) in limbs.iter_mut().zip(bytes.chunks_exact(4)) {
        *limb = four.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    }
    let mut digits = [b'1'; 90];
    for group in (0..18).rev() {
        let mut rest = 0;
        for limb in &mut limbs {
            let whole = rest << 32 | u64::from(*limb);
            *limb = (whole / FIVE) as u32;
            rest = whole % FIVE;
        }
        for place in (0..5).rev() {
            digits[group * 5 + place] = ALPHABET[(rest % 58) as usize];
            rest /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let first = digits.iter().take_while(|digit| **digit == b'1').count();
    out.extend(digits[first - zeros..].iter().map(|digit| char::from(*digit)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(bytes: &[u8; 64]) -> String {
        let mut out = String::new();
        encode_64(bytes, &mut out);
        out
    }

    fn plain(text: &str) -> Option<[u8; 64]> {
        let mut bytes = [0; 64];
        (bs58::decode(text).onto(&mut bytes) == Ok(64)).then_some(bytes)
    }

    #[test]
    fn the_ends_of_the_range_are_met() {
        for bytes in [[0; 64], [255; 64], std::array::from_fn(|at| u8::from(at == 63))] {
            assert_eq!(encoded(&bytes), bs58::encode(bytes).into_string());
            assert_eq!(decode_64(&encoded(&bytes)), Some(bytes));
        }
        // One more than the largest, and one digit too many in front.
        let largest = encoded(&[255; 64]);
        assert_eq!(decode_64(&largest.replace("2i", "2j")), plain(&largest.replace("2i", "2j")));
        assert_eq!(decode_64(&"z".repeat(88)), None);
        assert_eq!(decode_64(&format!("1{}", encoded(&[1; 64]))), None);
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_general_codec(
            zeros in 0_usize..65,
            mut bytes in proptest::collection::vec(any::<u8>(), 64..65),
            text in "[1-9A-HJ-NP-Za-km-z0OIl]{80,90}|1{0,30}[1-9A-HJ-NP-Za-km-z]{30,88}",
            place in any::<prop::sample::Index>(),
            patch in "[1-9A-Za-z]{0,2}",
        ) {
            bytes[..zeros].fill(0);
            let bytes: [u8; 64] = bytes.try_into().expect("64 bytes");
            let written = encoded(&bytes);
            prop_assert_eq!(&written, &bs58::encode(bytes).into_string());
            prop_assert_eq!(decode_64(&written), Some(bytes));
            prop_assert_eq!(decode_64(&text), plain(&text));
            let mut changed = written.clone();
            changed.insert_str(place.index(written.len() + 1), &patch);
            prop_assert_eq!(decode_64(&changed), plain(&changed));
            let cut = &written[place.index(written.len())..];
            prop_assert_eq!(decode_64(cut), plain(cut));
        }
    }
}
