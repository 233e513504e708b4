//! Long tokens that look random, in whole numbers.

/// Shorter tokens say too little about where they come from.
const LEAST: usize = 32;
/// Longer ones are content (an image, an archive), no secret anybody types.
const MOST: usize = 200;
/// Bits of entropy in each character, in 1/1024, that a token must have at least.
const BITS_MIN: u64 = 4 * 1024;

/// Visits each such token until `visit` returns false.
pub(super) fn each(bytes: &[u8], visit: &mut dyn FnMut(usize, usize) -> bool) {
    let mut at = 0;
    while at < bytes.len() {
        if !TOKEN[bytes[at] as usize] {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && TOKEN[bytes[at] as usize] {
            at += 1;
        }
        if (LEAST..=MOST).contains(&(at - start))
            && is_random(bytes, start, at)
            && !visit(start, at)
        {
            return;
        }
    }
}

/// Characters of base64, of both alphabets.
const TOKEN: [bool; 256] = {
    let mut set = [false; 256];
    let mut b = 0;
    while b < 256 {
        let c = b as u8;
        set[b] = c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'_' | b'-' | b'=');
        b += 1;
    }
    set
};

fn is_random(bytes: &[u8], start: usize, end: usize) -> bool {
    let token = &bytes[start..end];
    !is_public(bytes, start, end) && is_mixed(token) && entropy(token) >= BITS_MIN
}

/// Whether what stands around or first says that it is a digest, a public key or wrapped content.
fn is_public(bytes: &[u8], start: usize, end: usize) -> bool {
    let token = &bytes[start..end];
    let before = &bytes[start.saturating_sub(8)..start];
    let starts: [&[u8]; 10] = [
        b"sha1-",
        b"sha256-",
        b"sha384-",
        b"sha512-",
        b"z6Mk",
        b"AAAAB3Nza",
        b"AAAAC3Nza",
        b"AAAAE2Vj",
        b"MII",
        b"keyed-",
    ];
    let leads: [&[u8]; 6] = [b"SHA256:", b"h1:", b"did:key:", b"sha256:", b"blake3:", b"base64,"];
    let wrapped = [60, 64, 70, 76].contains(&token.len())
        && (start == 0 || matches!(bytes[start - 1], b'\n' | b' '))
        && bytes.get(end).is_none_or(|b| matches!(b, b'\n' | b'\r' | b'\\'));
    wrapped
        || starts.iter().any(|s| token.starts_with(s))
        || leads.iter().any(|lead| before.ends_with(lead))
}

/// Whether one unbroken part has capitals, small letters and digits, the digits scattered. Hexadecimal has one case,
/// names and paths have few digits or have them together.
fn is_mixed(token: &[u8]) -> bool {
    const PART_MIN: usize = 16;
    token.split(|b| !b.is_ascii_alphanumeric()).filter(|part| part.len() >= PART_MIN).any(|part| {
        let count = |is: fn(&u8) -> bool| part.iter().filter(|b| is(b)).count();
        let edges =
            part.windows(2).filter(|w| w[0].is_ascii_digit() != w[1].is_ascii_digit()).count();
        let (capitals, small) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
        capitals >= 3 && small >= 3 && edges * 8 >= part.len()
    })
}

/// Shannon entropy of its characters, in 1/1024 bit a character.
fn entropy(token: &[u8]) -> u64 {
    let mut counts = [0_u64; 256];
    token.iter().for_each(|b| counts[*b as usize] += 1);
    let total = token.len() as u64;
    let used: u64 = counts.iter().filter(|c| **c > 0).map(|c| c * log2(*c)).sum();
    log2(total).saturating_sub(used.div_ceil(total))
}

/// log2 of a number from 1 on, in 1/1024.
fn log2(n: u64) -> u64 {
    const ONE: u64 = 1 << 16;
    let whole = u64::from(n.ilog2());
    // The mantissa in 1/65536, squared ten times: each time it passes two, one more bit of the fraction is one.
    let mut mantissa = (n << 16) >> whole;
    let mut fraction = 0;
    for _ in 0..10 {
        mantissa = (mantissa * mantissa) >> 16;
        fraction <<= 1;
        if mantissa >= 2 * ONE {
            mantissa >>= 1;
            fraction |= 1;
        }
    }
    (whole << 10) | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithm_in_whole_numbers_is_right_to_a_thousandth() {
        assert_eq!([1, 2, 4, 1024].map(log2), [0, 1024, 2048, 10_240]);
        // log2(3) = 1.58496…, log2(200) = 7.64385…
        assert_eq!([3, 200].map(log2), [1623, 7827]);
    }
}
