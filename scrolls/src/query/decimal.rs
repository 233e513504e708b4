//! Decimal strings compared by value: any number of digits, any scale, no floats.

use std::cmp::Ordering;

/// A decimal without needless zeros.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

fn parts(text: &str) -> Option<Parts<'_>> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(pair) => pair,
        None => (digits, ""),
    };
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    // Minus zero is zero.
    let negative = negative && !(whole.is_empty() && fraction.is_empty());
    Some(Parts { negative, whole, fraction })
}

/// Whether a text is a decimal: an optional minus, digits, and optionally a point and more digits.
#[must_use]
pub fn is_decimal(text: &str) -> bool {
    parts(text).is_some()
}

/// The one spelling that all decimals of a value share; `None` for what is no decimal.
pub(super) fn plain_decimal(text: &str) -> Option<String> {
    let Parts { negative, whole, fraction } = parts(text)?;
    let sign = if negative { "-" } else { "" };
    Some(format!("{sign}{whole}.{fraction}"))
}

/// Compares two decimals by value; `None` when one of them is no decimal.
#[must_use]
pub fn compare_decimals(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (parts(left)?, parts(right)?);
    // Without needless zeros, more digits before the point is more, and digits after it compare as text.
    let magnitude = left
        .whole
        .len()
        .cmp(&right.whole.len())
        .then_with(|| left.whole.cmp(right.whole))
        .then_with(|| left.fraction.cmp(right.fraction));
    Some(match (left.negative, right.negative) {
        (false, false) => magnitude,
        (true, true) => magnitude.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scale_and_needless_zeros_do_not_matter() {
        for (left, right) in [("10", "10.00"), ("0", "-0.0"), ("007.10", "7.1"), ("-1.50", "-1.5")]
        {
            assert_eq!(compare_decimals(left, right), Some(Ordering::Equal), "{left} {right}");
        }
        for (less, more) in [("9.99", "10"), ("-10", "-9.99"), ("-0.01", "0"), ("0.09", "0.1")] {
            assert_eq!(compare_decimals(less, more), Some(Ordering::Less), "{less} {more}");
            assert_eq!(compare_decimals(more, less), Some(Ordering::Greater), "{more} {less}");
        }
    }

    #[test]
    fn only_plain_digits_are_a_decimal() {
        for text in ["", "-", ".", "1.", ".5", "+1", "1e3", "1,0", "--1", "1.2.3", " 1", "0x1", "١"]
        {
            assert!(!is_decimal(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn comparing_is_comparing_scaled_integers(
            a in -1_000_000_000_i128..1_000_000_000, b in -1_000_000_000_i128..1_000_000_000,
            scale_a in 0_usize..6, scale_b in 0_usize..6,
        ) {
            let print = |value: i128, scale: usize| {
                let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                let sign = if value < 0 { "-" } else { "" };
                if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
            };
            let up = |value: i128, scale: usize| value * 10_i128.pow(6 - scale as u32);
            let found = compare_decimals(&print(a, scale_a), &print(b, scale_b));
            prop_assert_eq!(found, Some(up(a, scale_a).cmp(&up(b, scale_b))));
        }

        #[test]
        fn no_text_panics(left in "\\PC{0,12}", right in "[-0-9.]{0,12}") {
            let _ = compare_decimals(&left, &right);
        }
    }
}
