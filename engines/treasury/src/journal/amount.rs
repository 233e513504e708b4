//! Numbers and amounts as people write them: `$ 1,396.00`, `500.00€`, `50 AAPL`, `10 "Frog Cards"`.

use std::cell::Cell;
use std::collections::BTreeMap;

use winnow::Parser;
use winnow::combinator::{alt, delimited, fail, opt};
use winnow::token::{one_of, take_while};

use crate::book::{Amount, COMMODITY_BYTES_MAX};
use crate::lines::{Line, Parsed, blanks, want};
use crate::money::{MoneyError, Quantity};
use crate::place::{Cause, ImportError};

/// An amount as written; the decimal mark is decided later, when the commodity's style is known.
#[derive(Clone, Debug)]
pub struct RawAmount<'a> {
    /// Has it an odd number of minus signs?
    pub negative: bool,
    /// Digits with their separators.
    pub number: &'a str,
    /// The commodity, if one is written.
    pub commodity: Option<&'a str>,
}

/// How numbers are written in this file.
#[derive(Clone, Debug, Default)]
pub struct Styles {
    /// `decimal-mark` of the file.
    pub mark: Option<char>,
    /// Mark per commodity, from `commodity` and `D`.
    pub mark_of: BTreeMap<String, char>,
    /// Commodity of bare numbers, from `D`.
    pub commodity: Option<String>,
    /// Was a number read that has a decimal comma, or points between its groups?
    comma_shown: Cell<bool>,
    /// Was a number such as 1.000 read, which means a thousand beside a decimal comma?
    thousand_shown: Cell<bool>,
}

impl Styles {
    /// Two numbers of one file that follow different customs leave a doubt about 1.000.
    fn agree(&self, number: &str) -> bool {
        let (dots, commas) = (number.matches('.').count(), number.matches(',').count());
        let comma_last = number.rfind(',') > number.rfind('.');
        if dots == 0 && commas == 1 || dots > 1 && commas == 0 || dots > 0 && comma_last {
            self.comma_shown.set(true);
        }
        if let (0, Some((before, after))) = (commas, number.split_once('.')) {
            let whole = (1..=3).contains(&before.len()) && !before.starts_with('0');
            if whole && after.len() == 3 {
                self.thousand_shown.set(true);
            }
        }
        !(self.comma_shown.get() && self.thousand_shown.get())
    }
}

/// Minus signs and dashes beyond ASCII: other tools read some of them as signs.
fn is_dash(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}')
}

/// Characters that end an unquoted commodity.
fn in_symbol(c: char) -> bool {
    !c.is_whitespace()
        && !is_dash(c)
        && !c.is_ascii_digit()
        && !".,;:?!-+*/^&|=<>{}[]()@\"'\\`~%#".contains(c)
        || c == '%'
}

/// A commodity, bare or quoted.
fn symbol<'a>(input: &mut &'a str) -> Parsed<&'a str> {
    let quoted = delimited('"', take_while(1.., |c: char| c != '"'), '"');
    alt((quoted, take_while(1.., in_symbol)))
        .verify(|name: &str| name.len() <= COMMODITY_BYTES_MAX)
        .context(want("a commodity such as EUR, $ or \"Frog Cards\""))
        .parse_next(input)
}

/// Group separators beside comma and point.
fn is_space_separator(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\'' | '\u{2019}')
}

/// Digits with separators; a space belongs to the number only before exactly three digits.
fn number<'a>(input: &mut &'a str) -> Parsed<&'a str> {
    let text = *input;
    let digit_at = |at: usize| text[at..].chars().next().is_some_and(|c| c.is_ascii_digit());
    let mut end = 0;
    let mut digits = 0usize;
    while let Some(c) = text[end..].chars().next() {
        let after = end + c.len_utf8();
        let three =
            || text.get(after..after + 3).is_some_and(|g| g.bytes().all(|b| b.is_ascii_digit()));
        if c.is_ascii_digit() {
            digits += 1;
        } else if is_space_separator(c) {
            if digits == 0 || !three() || digit_at(after + 3) {
                break;
            }
        } else if c != '.' && c != ',' {
            break;
        }
        end = after;
    }
    if digits == 0 {
        return fail.context(want("a number")).parse_next(input);
    }
    *input = &text[end..];
    Ok(&text[..end])
}

/// A sign; spaces may follow it.
fn sign(input: &mut &str) -> Parsed<bool> {
    let mark = opt((one_of(['-', '+']), blanks)).parse_next(input)?;
    Ok(mark.is_some_and(|(c, _)| c == '-'))
}

/// An amount: sign and commodity on either side of the number.
pub fn amount<'a>(input: &mut &'a str) -> Parsed<RawAmount<'a>> {
    let outer = sign(input)?;
    let left = opt((symbol, blanks)).parse_next(input)?.map(|(name, _)| name);
    let inner = if left.is_some() { sign(input)? } else { false };
    let number = number.context(want("an amount such as 12.50 EUR")).parse_next(input)?;
    let right = match left {
        Some(_) => None,
        None => opt((blanks, symbol)).parse_next(input)?.map(|(_, name)| name),
    };
    Ok(RawAmount { negative: outer != inner, number, commodity: left.or(right) })
}

impl RawAmount<'_> {
    /// The exact amount, by the styles known so far.
    pub fn resolve(&self, line: &Line<'_>, styles: &Styles) -> Result<Amount, ImportError> {
        let commodity = match self.commodity {
            Some(name) => name.to_owned(),
            None => styles.commodity.clone().unwrap_or_default(),
        };
        let mark = styles.mark_of.get(&commodity).copied().or(styles.mark);
        let quantity = self.quantity(line, mark)?;
        if mark.is_none() && !styles.agree(self.number) {
            let message = format!(
                "`{}` stands in a file with decimal commas and with numbers such as 1.000",
                self.number
            );
            return Err(line.refuse(self.number, Cause::AmbiguousNumber, message));
        }
        Ok(Amount { quantity, commodity })
    }

    /// The exact number, with `mark` as decimal mark if it is known.
    pub fn quantity(&self, line: &Line<'_>, mark: Option<char>) -> Result<Quantity, ImportError> {
        let shape = Shape::of(self.number, mark);
        let (whole, fraction) = shape.map_err(|fault| match fault {
            None => line.refuse(
                self.number,
                Cause::AmbiguousNumber,
                format!("`{}` may mean thousands or a fraction", self.number),
            ),
            Some(text) => {
                line.refuse(self.number, Cause::Syntax, format!("`{}` {text}", self.number))
            }
        })?;
        Quantity::from_digits(self.negative, &whole, &fraction)
            .map_err(|error| amount_refused(line, self.number, error))
    }

    /// The mark this number shows without doubt, and its decimal places; `known` is the mark that
    /// was declared before.
    pub fn style(&self, known: Option<char>) -> (Option<char>, u8) {
        if let Some(mark) = known {
            let places = self.number.split_once(mark).map_or(0, |(_, fraction)| fraction.len());
            return (known, u8::try_from(places).unwrap_or(u8::MAX));
        }
        let last = self.number.rfind(['.', ',']);
        match last {
            Some(at) if Shape::of(self.number, None).is_ok_and(|(_, f)| !f.is_empty()) => {
                let places = u8::try_from(self.number.len() - at - 1).unwrap_or(u8::MAX);
                (self.number[at..].chars().next(), places)
            }
            Some(at) if at + 1 == self.number.len() => (self.number[at..].chars().next(), 0),
            _ => (None, 0),
        }
    }
}

/// A refusal for a number that cannot be counted.
pub fn amount_refused(line: &Line<'_>, part: &str, error: MoneyError) -> ImportError {
    let shown: String = part.chars().take(60).collect();
    line.refuse(part, Cause::Amount, format!("`{shown}`: {error}"))
}

/// Whole digits and fraction digits of a written number.
struct Shape;

impl Shape {
    /// Splits a number; `Err(None)` if it can be read in two ways, `Err(Some(why))` if in none.
    fn of(number: &str, mark: Option<char>) -> Result<(String, String), Option<&'static str>> {
        let count = |c: char| number.chars().filter(|x| *x == c).count();
        let spaced = number.chars().any(is_space_separator);
        let mark = match (mark, count('.'), count(',')) {
            (Some(mark), ..) => Some(mark),
            (None, 0, 0) => None,
            (None, 1, 0) => Some('.'),
            (None, 0, 1) => {
                let (before, after) = number.split_once(',').expect("the comma was counted above");
                let thousands =
                    after.len() == 3 && (1..=3).contains(&before.len()) && !before.starts_with('0');
                if thousands && !spaced {
                    return Err(None);
                }
                Some(',')
            }
            (None, _, 0) | (None, 0, _) => None,
            (None, ..) => number.rfind(['.', ',']).and_then(|at| number[at..].chars().next()),
        };
        let (whole, fraction) = match mark.and_then(|mark| number.split_once(mark)) {
            Some(parts) => parts,
            None => (number, ""),
        };
        if !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Some("has separators after its decimal mark"));
        }
        let separator = |c: char| !c.is_ascii_digit();
        let kinds: std::collections::BTreeSet<char> =
            whole.chars().filter(|c| separator(*c)).collect();
        if kinds.len() > 1 {
            return Err(Some("mixes group separators"));
        }
        let groups: Vec<&str> = whole.split(separator).collect();
        let last = groups.len() - 1;
        let grouped = last == 0
            || (1..=3).contains(&groups[0].len())
                && groups[1..].iter().all(|g| (2..=3).contains(&g.len()))
                && groups[last].len() == 3;
        if !grouped {
            return Err(Some("has digit groups that are not thousands"));
        }
        Ok((groups.concat(), fraction.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        let line = Line { number: 7, text };
        let got = match line.read(0, amount) {
            Ok(raw) => match raw.resolve(&line, &Styles::default()) {
                Ok(a) => format!("{}|{}", a.quantity, a.commodity),
                Err(error) => error.code().to_owned(),
            },
            Err(error) => error.code().to_owned(),
        };
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        check("$ 1,396.00", "1396.00|$");
        check("$ -225.00", "-225.00|$");
        check("-$225.00", "-225.00|$");
        check("-$-225", "225|$");
        check("500.00€", "500.00|€");
        check("50 AAPL", "50|AAPL");
        check("EUR 1.234,50", "1234.50|EUR");
        check("1 000 000,5 CHF", "1000000.5|CHF");
        check("1'000.50 CHF", "1000.50|CHF");
        check("10 \"Frog Cards 2\"", "10|Frog Cards 2");
        check("12,34,567.8 INR", "1234567.8|INR");
        check("0,125 l", "0.125|l");
        check(".5", "0.5|");
        check("1,50", "1.50|");
    }

    #[test]
    fn a_number_that_can_mean_two_things_is_refused() {
        check("1,000 EUR", "number_ambiguous");
        check("1,000,000 EUR", "1000000|EUR");
    }

    #[test]
    fn malformed_numbers_are_refused() {
        for text in ["", "EUR", "1,2,3", "1.2.3,4.5", "12,3456.00", "1..2", "--5", "$1$"] {
            check(text, "syntax");
        }
        check("0.1234567890123456789 X", "amount_invalid");
    }

    #[test]
    fn a_declared_mark_settles_the_doubt() {
        let text = "1,000 EUR";
        let line = Line { number: 1, text };
        let raw = line.read(0, amount).unwrap();
        for (mark, want) in [('.', "1000"), (',', "1.000")] {
            let styles = Styles { mark: Some(mark), ..Styles::default() };
            assert_eq!(raw.resolve(&line, &styles).unwrap().quantity.to_string(), want);
        }
    }
}
