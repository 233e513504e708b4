//! A moment: milliseconds since the Unix epoch, written in exactly one way.

use std::fmt;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

/// A point in time between the years 0000 and 9999, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

/// Why a text is not a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMoment;

impl BadMoment {
    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        "moment_malformed"
    }
}

impl fmt::Display for BadMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a moment is written like 2026-10-01T09:30:03.125Z")
    }
}

impl std::error::Error for BadMoment {}

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
const FIRST_MS: i64 = -62_167_219_200_000;
const LAST_MS: i64 = 253_402_300_799_999;

impl Moment {
    /// 0000-01-01T00:00:00.000Z.
    pub const MIN: Moment = Moment(FIRST_MS);
    /// 9999-12-31T23:59:59.999Z.
    pub const MAX: Moment = Moment(LAST_MS);

    /// The moment this many milliseconds after the Unix epoch; `None` outside the years 0000 to 9999.
    pub fn from_unix_ms(unix_ms: i64) -> Option<Moment> {
        (FIRST_MS..=LAST_MS).contains(&unix_ms).then_some(Moment(unix_ms))
    }

    /// Milliseconds since the Unix epoch.
    pub fn unix_ms(self) -> i64 {
        self.0
    }

    /// Reads `YYYY-MM-DDTHH:MM:SS.mmmZ` and nothing else.
    pub fn parse(text: &str) -> Result<Moment, BadMoment> {
        let letters: &[u8; 24] = text.as_bytes().try_into().map_err(|_| BadMoment)?;
        Moment::from_letters(letters).ok_or(BadMoment)
    }

    /// As [`Moment::parse`], of the letters as they stand in a text.
    pub(crate) fn from_letters(bytes: &[u8; 24]) -> Option<Moment> {
        for (byte, shape) in bytes.iter().zip(b"0000-00-00T00:00:00.000Z") {
            let fits = if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
            if !fits {
                return None;
            }
        }
        let number = |from: usize, to: usize| {
            bytes[from..to].iter().fold(0_i16, |sum, digit| sum * 10 + i16::from(digit - b'0'))
        };
        let small = |from: usize| number(from, from + 2) as i8;
        let millis = i32::from(number(20, 23));
        let civil = DateTime::new(
            number(0, 4),
            small(5),
            small(8),
            small(11),
            small(14),
            small(17),
            millis * 1_000_000,
        );
        civil.ok().map(Moment::from_civil)
    }

    /// Reads what a person writes: RFC 3339 with any offset, `YYYY-MM-DD` (start of that day in UTC) or
    /// `YYYY-MM-DDTHH:MM[:SS]Z`. Digits beyond milliseconds are cut off.
    pub fn parse_human(text: &str) -> Result<Moment, BadMoment> {
        let text = text.trim();
        if let Ok(exact) = Moment::parse(text) {
            return Ok(exact);
        }
        let four_digits = text.bytes().take(4).filter(u8::is_ascii_digit).count() == 4;
        if !four_digits || text.contains(['[', ' ', ',']) {
            return Err(BadMoment);
        }
        if text.len() == 10 {
            return Moment::parse(&format!("{text}T00:00:00.000Z"));
        }
        let stamp: Timestamp = text.parse().map_err(|_| BadMoment)?;
        let unix_ms = stamp.as_nanosecond().div_euclid(1_000_000);
        i64::try_from(unix_ms).ok().and_then(Moment::from_unix_ms).ok_or(BadMoment)
    }

    /// The same moment cut to whole seconds, `YYYY-MM-DDTHH:MM:SSZ`: the form of `proof.created`.
    pub fn whole_seconds(self) -> String {
        let mut text = String::with_capacity(20);
        text.extend(self.letters()[..19].iter().map(|letter| char::from(*letter)));
        text.push('Z');
        text
    }

    /// `YYYY-MM-DDTHH:MM:SS.mmmZ` as it stands in a text.
    pub(crate) fn letters(self) -> [u8; 24] {
        let civil = self.civil();
        let mut letters = *b"0000-00-00T00:00:00.000Z";
        let mut put = |from: usize, to: usize, mut number: u64| {
            for letter in letters[from..to].iter_mut().rev() {
                *letter = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        let small = |number: i8| u64::from(number.unsigned_abs());
        put(0, 4, u64::from(civil.year().unsigned_abs()));
        put(5, 7, small(civil.month()));
        put(8, 10, small(civil.day()));
        put(11, 13, small(civil.hour()));
        put(14, 16, small(civil.minute()));
        put(17, 19, small(civil.second()));
        put(20, 23, self.0.rem_euclid(1000).unsigned_abs());
        letters
    }

    fn from_civil(civil: DateTime) -> Moment {
        let since = civil.duration_since(EPOCH);
        Moment(since.as_secs() * 1000 + i64::from(since.subsec_millis()))
    }

    fn civil(self) -> DateTime {
        EPOCH
            .checked_add(SignedDuration::from_millis(self.0))
            .expect("a moment lies within the years 0000 to 9999")
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.letters()).expect("digits and signs are ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_time_are_what_they_say() {
        assert_eq!(Moment::MIN.to_string(), "0000-01-01T00:00:00.000Z");
        assert_eq!(Moment::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Moment::from_unix_ms(FIRST_MS - 1), None);
        assert_eq!(Moment::from_unix_ms(LAST_MS + 1), None);
        assert_eq!(
            Moment::from_unix_ms(0).map(Moment::whole_seconds).as_deref(),
            Some("1970-01-01T00:00:00Z")
        );
    }

    #[test]
    fn seconds_are_cut_and_never_rounded() {
        let late = Moment::parse("2026-10-01T09:30:03.999Z").expect("well-formed");
        assert_eq!(late.whole_seconds(), "2026-10-01T09:30:03Z");
        let before_epoch = Moment::from_unix_ms(-1).expect("in range");
        assert_eq!(before_epoch.to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(before_epoch.whole_seconds(), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn the_strict_reader_knows_one_form() {
        for bad in [
            "",
            "2026-10-01T09:30:03Z",
            "2026-10-01T09:30:03.12Z",
            "2026-10-01T09:30:03.1255Z",
            "2026-10-01t09:30:03.125Z",
            "2026-10-01T09:30:03.125z",
            "2026-10-01T09:30:03.125+00:00",
            "2026-10-01 09:30:03.125Z",
            "2026-10-01T09:30:60.125Z",
            "2026-10-01T24:00:00.000Z",
            "2026-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "+026-10-01T09:30:03.125Z",
            "-026-10-01T09:30:03.125Z",
            "2026-10-01T09:30:03,125Z",
            "２026-10-01T09:30:03.12Z",
        ] {
            assert_eq!(Moment::parse(bad), Err(BadMoment), "{bad}");
        }
        assert!(Moment::parse("2028-02-29T00:00:00.000Z").is_ok());
    }

    #[test]
    fn a_person_may_write_offsets_days_and_minutes() {
        let read = |text: &str| Moment::parse_human(text).map(|moment| moment.to_string());
        let expect = |text: &str| Ok(text.to_owned());
        assert_eq!(read("2026-10-01"), expect("2026-10-01T00:00:00.000Z"));
        assert_eq!(read("2026-10-01T09:30Z"), expect("2026-10-01T09:30:00.000Z"));
        assert_eq!(read("2026-10-01T09:30:05Z"), expect("2026-10-01T09:30:05.000Z"));
        assert_eq!(read("2026-10-01T09:30:05.1259+02:00"), expect("2026-10-01T07:30:05.125Z"));
        assert_eq!(read(" 9999-12-31T23:59:59.999Z\n"), expect("9999-12-31T23:59:59.999Z"));
        for bad in [
            "",
            "2026",
            "2026-10",
            "01.10.2026",
            "2026-10-01T09:30",
            "yesterday",
            "2026-02-30",
            "2026-10-01T09:30:05",
            "-000001-01-01T00:00:00Z",
            "2026-10-01T09:30:05Z[Europe/Berlin]",
        ] {
            assert_eq!(Moment::parse_human(bad), Err(BadMoment), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_reads_back(unix_ms in FIRST_MS..=LAST_MS) {
            let moment = Moment::from_unix_ms(unix_ms).expect("in range");
            prop_assert_eq!(Moment::parse(&moment.to_string()), Ok(moment));
            prop_assert_eq!(Moment::parse_human(&moment.to_string()), Ok(moment));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in "\\PC{0,30}") {
            let _ = Moment::parse(&text);
            let _ = Moment::parse_human(&text);
        }
    }
}
