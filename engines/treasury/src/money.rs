//! Exact decimal quantities: an integer count of minor units and a scale.
//!
//! There is no float anywhere. What does not fit is refused, never rounded; the one rounding
//! function is for checks against a tolerance and for trading accounts, and says so in its name.

use std::cmp::Ordering;
use std::fmt;

/// Most decimal places an asset may have.
pub const SCALE_MAX: u8 = 18;

/// Longest decimal text that is read: 39 digits of an i128, a sign and a point.
const TEXT_BYTES_MAX: usize = 41;

/// An exact decimal: `units` × 10^-`scale`. Equality and order are by value, so 1.0 equals 1.00.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    units: i128,
    scale: u8,
}

/// Why a quantity could not be read or computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    /// The text is not a plain decimal number.
    Malformed,
    /// More decimal places than the asset or this ledger has.
    TooFine,
    /// The value does not fit into 127 bits of minor units.
    Overflow,
    /// A division that has no finite decimal result within 18 places.
    NotExact,
}

impl MoneyError {
    /// Stable code of this error.
    pub fn code(self) -> &'static str {
        match self {
            MoneyError::Malformed => "amount_malformed",
            MoneyError::TooFine => "amount_too_fine",
            MoneyError::Overflow => "amount_overflow",
            MoneyError::NotExact => "amount_not_exact",
        }
    }
}

impl fmt::Display for MoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MoneyError::Malformed => "not a plain decimal number such as 12.50",
            MoneyError::TooFine => "more decimal places than the asset has",
            MoneyError::Overflow => "too large to be counted in minor units",
            MoneyError::NotExact => "the result has no exact decimal form",
        })
    }
}

impl std::error::Error for MoneyError {}

/// 10^`exponent`, for exponents up to 38.
fn power(exponent: u8) -> Result<i128, MoneyError> {
    10i128.checked_pow(u32::from(exponent)).ok_or(MoneyError::Overflow)
}

impl Quantity {
    /// Nothing, without decimal places.
    pub const ZERO: Quantity = Quantity { units: 0, scale: 0 };

    /// `units` minor units at `scale` decimal places (0..=18).
    pub fn new(units: i128, scale: u8) -> Result<Self, MoneyError> {
        if scale > SCALE_MAX {
            return Err(MoneyError::TooFine);
        }
        Ok(Quantity { units, scale })
    }

    /// Reads the strict form used in intents and receipts: `-?digits[.digits]`, no leading zero,
    /// no plus sign, no separators.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(MoneyError::Overflow);
        }
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = match rest.split_once('.') {
            Some((_, "")) => return Err(MoneyError::Malformed),
            Some((whole, fraction)) => (whole, fraction),
            None => (rest, ""),
        };
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
            return Err(MoneyError::Malformed);
        }
        Self::from_digits(negative, whole, fraction)
    }

    /// Builds a quantity from bare digits before and after the decimal mark; either may be empty,
    /// not both.
    pub fn from_digits(negative: bool, whole: &str, fraction: &str) -> Result<Self, MoneyError> {
        if whole.is_empty() && fraction.is_empty() {
            return Err(MoneyError::Malformed);
        }
        if fraction.len() > usize::from(SCALE_MAX) {
            return Err(MoneyError::TooFine);
        }
        let mut units = 0i128;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return Err(MoneyError::Malformed);
            }
            units = units
                .checked_mul(10)
                .and_then(|u| u.checked_add(i128::from(byte - b'0')))
                .ok_or(MoneyError::Overflow)?;
        }
        let scale = u8::try_from(fraction.len()).map_err(|_| MoneyError::TooFine)?;
        Ok(Quantity { units: if negative { -units } else { units }, scale })
    }

    /// Count of minor units at this quantity's own scale.
    pub fn units(self) -> i128 {
        self.units
    }

    /// Decimal places.
    pub fn scale(self) -> u8 {
        self.scale
    }

    /// Is the value zero?
    pub fn is_zero(self) -> bool {
        self.units == 0
    }

    /// Is the value below zero?
    pub fn is_negative(self) -> bool {
        self.units < 0
    }

    /// Is the value above zero?
    pub fn is_positive(self) -> bool {
        self.units > 0
    }

    /// The same value at exactly `scale` places, or `TooFine` if digits would be lost.
    pub fn rescale(self, scale: u8) -> Result<Self, MoneyError> {
        if scale > SCALE_MAX {
            return Err(MoneyError::TooFine);
        }
        if scale >= self.scale {
            let units =
                self.units.checked_mul(power(scale - self.scale)?).ok_or(MoneyError::Overflow)?;
            return Ok(Quantity { units, scale });
        }
        let divisor = power(self.scale - scale)?;
        if self.units % divisor != 0 {
            return Err(MoneyError::TooFine);
        }
        Ok(Quantity { units: self.units / divisor, scale })
    }

    /// The value rounded half to even at `scale` places. Only for tolerances and trading accounts.
    pub fn rounded_half_even(self, scale: u8) -> Self {
        if scale >= self.scale {
            return self;
        }
        let divisor = 10i128.pow(u32::from(self.scale - scale));
        let (floor, rest) = (self.units.div_euclid(divisor), self.units.rem_euclid(divisor));
        let up = match rest.cmp(&(divisor / 2)) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => floor % 2 != 0,
        };
        Quantity { units: floor + i128::from(up), scale }
    }

    /// The same value without trailing zeros, but never below `scale_min` places.
    pub fn trimmed(self, scale_min: u8) -> Self {
        let mut out = self;
        while out.scale > scale_min && out.units % 10 == 0 {
            out = Quantity { units: out.units / 10, scale: out.scale - 1 };
        }
        out
    }

    /// The sum, at the finer of both scales.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.rescale(scale)?, other.rescale(scale)?);
        let units = a.units.checked_add(b.units).ok_or(MoneyError::Overflow)?;
        Ok(Quantity { units, scale })
    }

    /// The difference, at the finer of both scales.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.checked_add(other.checked_neg()?)
    }

    /// The value with the opposite sign.
    pub fn checked_neg(self) -> Result<Self, MoneyError> {
        let units = self.units.checked_neg().ok_or(MoneyError::Overflow)?;
        Ok(Quantity { units, scale: self.scale })
    }

    /// The value without its sign.
    pub fn checked_abs(self) -> Result<Self, MoneyError> {
        if self.units < 0 { self.checked_neg() } else { Ok(self) }
    }

    /// The exact product; a product finer than 18 places is rounded half to even there, which is
    /// thirteen orders of magnitude below any tolerance that is checked with it.
    pub fn times(self, other: Self) -> Result<Self, MoneyError> {
        let units = self.units.checked_mul(other.units).ok_or(MoneyError::Overflow)?;
        let full = Quantity { units, scale: self.scale + other.scale };
        Ok(full.rounded_half_even(SCALE_MAX))
    }

    /// The exact quotient, or `NotExact`.
    pub fn divided_exactly(self, by: Self) -> Result<Self, MoneyError> {
        if by.units == 0 {
            return Err(MoneyError::NotExact);
        }
        // a/10^s ÷ b/10^t = (a × 10^(t + 18 − s)) / (b × 10^18); find the smallest scale that is exact.
        for scale in 0..=SCALE_MAX {
            let up = i32::from(scale) + i32::from(by.scale) - i32::from(self.scale);
            let (mut over, mut under) = (self.units, by.units);
            let factor = power(u8::try_from(up.unsigned_abs()).map_err(|_| MoneyError::Overflow)?)?;
            if up >= 0 {
                over = over.checked_mul(factor).ok_or(MoneyError::NotExact)?;
            } else {
                under = under.checked_mul(factor).ok_or(MoneyError::NotExact)?;
            }
            // The least i128 has no positive counterpart, so a division by -1 may overflow.
            if over.checked_rem(under).ok_or(MoneyError::Overflow)? == 0 {
                let units = over.checked_div(under).ok_or(MoneyError::Overflow)?;
                return Ok(Quantity { units, scale });
            }
        }
        Err(MoneyError::NotExact)
    }

    /// Whole part and remainder in 10^-18, both exact for every value, with the remainder ≥ 0.
    fn parts(self) -> (i128, i128) {
        let divisor = 10i128.pow(u32::from(self.scale));
        let lift = 10i128.pow(u32::from(SCALE_MAX - self.scale));
        (self.units.div_euclid(divisor), self.units.rem_euclid(divisor) * lift)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.units.cmp(&other.units);
        }
        self.parts().cmp(&other.parts())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::from(self.scale);
        let digits = format!("{:0>width$}", self.units.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.units < 0 { "-" } else { "" };
        if fraction.is_empty() {
            f.pad(&format!("{sign}{whole}"))
        } else {
            f.pad(&format!("{sign}{whole}.{fraction}"))
        }
    }
}

impl serde::Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Quantity::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Decimal places of common ISO 4217 currencies; `None` for every other commodity, whose scale is
/// declared when its first account is opened.
pub fn iso_4217_scale(code: &str) -> Option<u8> {
    Some(match code {
        "AED" | "ARS" | "AUD" | "BAM" | "BGN" | "BRL" | "CAD" | "CHF" | "CNY" | "COP" | "CZK"
        | "DKK" | "EGP" | "EUR" | "GBP" | "GEL" | "HKD" | "HUF" | "IDR" | "ILS" | "INR" | "KES"
        | "KZT" | "MAD" | "MDL" | "MKD" | "MXN" | "MYR" | "NGN" | "NOK" | "NZD" | "PEN" | "PHP"
        | "PKR" | "PLN" | "QAR" | "RON" | "RSD" | "RUB" | "SAR" | "SEK" | "SGD" | "THB" | "TRY"
        | "TWD" | "UAH" | "USD" | "UYU" | "ZAR" => 2,
        "CLP" | "ISK" | "JPY" | "KRW" | "PYG" | "UGX" | "VND" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" => 4,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn q(text: &str) -> Quantity {
        Quantity::parse(text).unwrap()
    }

    #[test]
    fn the_least_number_divided_by_minus_one_does_not_fit() {
        let least = q("-170141183460469231731687303715884105727").checked_sub(q("1")).unwrap();
        assert_eq!(least.divided_exactly(q("-1")), Err(MoneyError::Overflow));
    }

    #[test]
    fn text_and_value_agree_digit_for_digit() {
        for text in
            ["0", "0.00", "12.5", "-0.01", "-1234.50", "170141183460469231731687303715884105727"]
        {
            assert_eq!(q(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        for text in ["", "-", ".5", "5.", "+1", "1,0", "1e3", " 1", "01", "--1", "1.2.3", "٣"] {
            assert_eq!(Quantity::parse(text).unwrap_err(), MoneyError::Malformed, "{text}");
        }
        assert_eq!(Quantity::parse("0.1234567890123456789").unwrap_err(), MoneyError::TooFine);
        let too_large = "170141183460469231731687303715884105728";
        assert_eq!(Quantity::parse(too_large).unwrap_err(), MoneyError::Overflow);
    }

    #[test]
    fn rescaling_never_loses_a_digit() {
        assert_eq!(q("1.50").rescale(1).unwrap().to_string(), "1.5");
        assert_eq!(q("1.5").rescale(3).unwrap().to_string(), "1.500");
        assert_eq!(q("1.55").rescale(1).unwrap_err(), MoneyError::TooFine);
        assert_eq!(q("1").rescale(19).unwrap_err(), MoneyError::TooFine);
    }

    #[test]
    fn halves_round_to_even() {
        for (text, scale, want) in
            [("0.125", 2, "0.12"), ("0.135", 2, "0.14"), ("-0.125", 2, "-0.12"), ("2.5", 0, "2")]
        {
            assert_eq!(q(text).rounded_half_even(scale).to_string(), want);
        }
    }

    #[test]
    fn a_quotient_is_exact_or_refused() {
        assert_eq!(q("10.00").divided_exactly(q("4")).unwrap().to_string(), "2.5");
        assert_eq!(q("1").divided_exactly(q("3")).unwrap_err(), MoneyError::NotExact);
        assert_eq!(q("1").divided_exactly(q("0")).unwrap_err(), MoneyError::NotExact);
    }

    #[test]
    fn equality_and_order_are_by_value_at_every_magnitude() {
        assert_eq!(q("1.0"), q("1.00"));
        assert!(q("-1.5") < q("-1.49"));
        assert!(q("170141183460469231731687303715884105727") > q("0.000000000000000001"));
    }

    proptest! {
        #[test]
        fn print_then_parse_is_identity(units in any::<i128>(), scale in 0u8..=18) {
            let quantity = Quantity::new(units, scale).unwrap();
            let back = Quantity::parse(&quantity.to_string());
            prop_assume!(units != i128::MIN);
            let back = back.unwrap();
            prop_assert_eq!((back.units, back.scale), (units, scale));
        }

        #[test]
        fn adding_then_subtracting_is_identity(a in -1i64.., b in any::<i64>(), s in 0u8..=18, t in 0u8..=18) {
            let (a, b) = (Quantity::new(a.into(), s).unwrap(), Quantity::new(b.into(), t).unwrap());
            prop_assert_eq!(a.checked_add(b).unwrap().checked_sub(b).unwrap(), a);
        }
    }
}
