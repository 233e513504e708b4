//! Words of the beancount language.

use jiff::civil::Date;
use winnow::Parser;
use winnow::combinator::{alt, cut_err, delimited, opt, preceded, repeat};
use winnow::error::{ContextError, ErrMode};
use winnow::token::{none_of, one_of, take_while};

use crate::lines::{Parsed, date, want};
use crate::money::Quantity;

/// Deepest nesting of parentheses in a number.
const DEPTH_MAX: u32 = 32;

/// An amount whose parts may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incomplete {
    pub number: Option<Quantity>,
    pub currency: Option<String>,
}

/// `{...}`
#[derive(Clone, Debug, Default)]
pub struct CostSpec {
    /// `{{...}}`: the number is for all units.
    pub total: bool,
    pub number: Option<Quantity>,
    /// The number behind `#`, for all units.
    pub plus_total: Option<Quantity>,
    pub currency: Option<String>,
    pub date: Option<Date>,
    pub label: Option<String>,
    /// `*`: average cost.
    pub merge: bool,
}

/// `@ ...` or `@@ ...`
#[derive(Clone, Debug)]
pub struct PriceSpec {
    pub total: bool,
    pub amount: Incomplete,
}

/// A posting as written.
#[derive(Clone, Debug)]
pub struct RawPosting<'a> {
    pub account: &'a str,
    pub units: Incomplete,
    pub cost: Option<CostSpec>,
    pub price: Option<PriceSpec>,
}

/// Blanks, and newlines where a quoted text ran over lines.
pub fn ws<'a>(input: &mut &'a str) -> Parsed<&'a str> {
    take_while(0.., [' ', '\t', '\r', '\n']).parse_next(input)
}

/// Blanks and a comment up to the end.
pub fn end(input: &mut &str) -> Parsed<()> {
    let comment = preceded(';', winnow::token::rest);
    (ws, opt(comment), winnow::combinator::eof.context(want("the end of the line")))
        .void()
        .parse_next(input)
}

/// A date; beancount knows `-` and `/`.
pub fn day(input: &mut &str) -> Parsed<Date> {
    let rule = |input: &mut &str| date(input, None);
    rule.context(want("a date that exists, such as 2025-01-31")).parse_next(input)
}

/// A quoted text with `\"`, `\\`, `\n` and `\t`.
pub fn string(input: &mut &str) -> Parsed<String> {
    let escape = preceded('\\', one_of(['"', '\\', 'n', 't', 'r'])).map(|c| match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        other => other,
    });
    let character = alt((escape, none_of(['"'])));
    let inside = repeat(0.., character).fold(String::new, |mut text, c| {
        text.push(c);
        text
    });
    let open = '"'.context(want("a quoted text"));
    let close = cut_err('"').context(want("a closing quotation mark"));
    delimited(open, inside, close).parse_next(input)
}

/// `Assets:Bank:Checking`; roots are checked by the reader, which knows the options.
pub fn account<'a>(input: &mut &'a str) -> Parsed<&'a str> {
    let inside = |c: char| {
        c.is_alphanumeric() || !c.is_ascii() && !c.is_whitespace() || c == '-' || c == ':'
    };
    let good_part = |part: &str, root: bool| {
        part.chars()
            .next()
            .is_some_and(|c| c.is_uppercase() || !c.is_ascii() || !root && c.is_ascii_digit())
    };
    take_while(1.., inside)
        .verify(move |name: &str| {
            let mut parts = name.split(':');
            parts.next().is_some_and(|part| good_part(part, true))
                && name.contains(':')
                && parts.all(|part| good_part(part, false))
        })
        .context(want("an account such as Assets:Bank:Checking"))
        .parse_next(input)
}

/// `USD`, `ACME.B`, 1 to 24 characters.
pub fn currency<'a>(input: &mut &'a str) -> Parsed<&'a str> {
    let inside = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "'._-/".contains(c);
    take_while(1..=24, inside)
        .verify(|name: &str| {
            let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_uppercase());
            let last = name.chars().next_back();
            (ends(name.chars().next())
                || name.starts_with('/') && name.contains(|c: char| c.is_ascii_uppercase()))
                && (ends(last) || last.is_some_and(|c| c.is_ascii_digit()))
        })
        .context(want("a commodity such as USD"))
        .parse_next(input)
}

/// `#tag` or `^link` behind its mark.
pub fn mark<'a>(sign: char) -> impl Parser<&'a str, &'a str, ErrMode<ContextError>> {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_/.".contains(c);
    preceded(sign, take_while(1.., inside))
}

/// A refusal for numbers that cannot be held.
fn not_exact<T>() -> Parsed<T> {
    let mut error = ContextError::new();
    error.push(want("a number this ledger holds exactly (18 decimal places, 38 digits)"));
    Err(ErrMode::Cut(error))
}

/// A plain number with `,` between thousands.
fn plain(input: &mut &str) -> Parsed<Quantity> {
    let digits = take_while(1.., |c: char| c.is_ascii_digit() || c == ',').verify(|text: &str| {
        text.starts_with(|c: char| c.is_ascii_digit()) && !text.ends_with(',')
    });
    let fraction = opt(preceded('.', take_while(0.., |c: char| c.is_ascii_digit())));
    let (whole, fraction): (&str, Option<&str>) =
        (digits, fraction).context(want("a number")).parse_next(input)?;
    let whole = whole.replace(',', "");
    match Quantity::from_digits(false, &whole, fraction.unwrap_or_default()) {
        Ok(quantity) => Ok(quantity),
        Err(_) => not_exact(),
    }
}

/// A number or a small calculation: `+ - * /` and parentheses, exact or refused.
pub fn number(input: &mut &str) -> Parsed<Quantity> {
    sum(input, 0)
}

fn sum(input: &mut &str, depth: u32) -> Parsed<Quantity> {
    let mut total = product(input, depth)?;
    while let Some(sign) = opt(preceded(ws, one_of(['+', '-']))).parse_next(input)? {
        ws(input)?;
        let next = product(input, depth)?;
        let made = if sign == '+' { total.checked_add(next) } else { total.checked_sub(next) };
        total = match made {
            Ok(total) => total,
            Err(_) => return not_exact(),
        };
    }
    Ok(total)
}

fn product(input: &mut &str, depth: u32) -> Parsed<Quantity> {
    let mut total = factor(input, depth)?;
    while let Some(sign) = opt(preceded(ws, one_of(['*', '/']))).parse_next(input)? {
        ws(input)?;
        let next = factor(input, depth)?;
        let fits = u32::from(total.scale()) + u32::from(next.scale()) <= 18;
        let made = match sign {
            '*' if fits => total.times(next).ok(),
            '/' => total.divided_exactly(next).ok(),
            _ => None,
        };
        total = match made {
            Some(total) => total,
            None => return not_exact(),
        };
    }
    Ok(total)
}

fn factor(input: &mut &str, depth: u32) -> Parsed<Quantity> {
    let signs: &str = take_while(0.., ['-', '+', ' ']).parse_next(input)?;
    let value = if input.starts_with('(') {
        if depth >= DEPTH_MAX {
            return not_exact();
        }
        let inside = |input: &mut &str| sum(input, depth + 1);
        delimited(('(', ws), inside, (ws, cut_err(')').context(want("a closing parenthesis"))))
            .parse_next(input)?
    } else {
        plain(input)?
    };
    let negative = signs.bytes().filter(|b| *b == b'-').count() % 2 == 1;
    match if negative { value.checked_neg() } else { Ok(value) } {
        Ok(value) => Ok(value),
        Err(_) => not_exact(),
    }
}

/// Number and currency, each optional.
fn incomplete(input: &mut &str) -> Parsed<Incomplete> {
    let starts = |input: &str| input.starts_with(|c: char| c.is_ascii_digit() || "-+(".contains(c));
    let number = if starts(input) { Some(number(input)?) } else { None };
    ws(input)?;
    let currency = opt(currency).parse_next(input)?.map(str::to_owned);
    Ok(Incomplete { number, currency })
}

/// A whole amount.
pub fn amount(input: &mut &str) -> Parsed<(Quantity, String)> {
    let parts = (number.context(want("a number")), ws, currency).parse_next(input)?;
    Ok((parts.0, parts.2.to_owned()))
}

/// `{...}` or `{{...}}`
fn cost(input: &mut &str) -> Parsed<CostSpec> {
    let total = input.starts_with("{{");
    let (open, close) = if total { ("{{", "}}") } else { ("{", "}") };
    let mut open = open;
    open.parse_next(input)?;
    let mut spec = CostSpec { total, ..CostSpec::default() };
    loop {
        ws(input)?;
        if input.starts_with('}') {
            break;
        }
        let dated = input.len() > 4
            && input.as_bytes()[..4].iter().all(u8::is_ascii_digit)
            && input[4..].starts_with(['-', '/']);
        if input.starts_with('"') {
            spec.label = Some(string(input)?);
        } else if dated {
            spec.date = Some(day(input)?);
        } else if input.starts_with('*') {
            '*'.parse_next(input)?;
            spec.merge = true;
        } else {
            let part = incomplete(input)?;
            spec.number = part.number.or(spec.number);
            ws(input)?;
            if opt('#').parse_next(input)?.is_some() {
                ws(input)?;
                let plus = incomplete(input)?;
                spec.plus_total = plus.number;
                spec.currency = plus.currency.or(spec.currency);
            }
            spec.currency = part.currency.or(spec.currency);
        }
        ws(input)?;
        if opt(',').parse_next(input)?.is_none() {
            break;
        }
    }
    cut_err(close.context(want("a closing brace"))).parse_next(input)?;
    Ok(spec)
}

/// A posting from its first non-blank character.
pub fn posting<'a>(input: &mut &'a str) -> Parsed<RawPosting<'a>> {
    ws(input)?;
    let flag = one_of(['*', '!', '&', '#', '?', '%', 'P', 'S', 'T', 'C', 'U', 'R', 'M']);
    opt((flag, one_of([' ', '\t']), ws)).parse_next(input)?;
    let account = account(input)?;
    ws(input)?;
    let units = incomplete(input)?;
    ws(input)?;
    let cost = if input.starts_with('{') {
        Some(cut_err(cost.context(want("a cost such as {80.00 USD}"))).parse_next(input)?)
    } else {
        None
    };
    ws(input)?;
    let mark = opt(alt(("@@", "@"))).parse_next(input)?;
    ws(input)?;
    let price = match mark {
        Some(mark) => Some(PriceSpec { total: mark == "@@", amount: incomplete(input)? }),
        None => None,
    };
    end(input)?;
    Ok(RawPosting { account, units, cost, price })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Line;

    fn read<T>(
        text: &'static str,
        rule: impl FnMut(&mut &'static str) -> Parsed<T>,
    ) -> Result<T, String> {
        Line { number: 1, text }.read(0, rule).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_are_calculated_exactly_or_refused() {
        for (text, want) in
            [("1,234.50", "1234.50"), ("-(2 + 3) * 4", "-20"), ("10.00 / 4", "2.5"), ("- -1", "1")]
        {
            assert_eq!(read(text, number).unwrap().to_string(), want);
        }
        for text in [
            "10 / 3",
            "1 / 0",
            "0.1234567890123456789",
            "(1",
            "",
            "1,",
            "(((((((((((((((((((((((((((((((((((((1",
        ] {
            assert!(read(text, number).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cost_may_name_number_date_and_label_in_any_order() {
        let posting =
            read("  Assets:S  -1 ACME {\"x\", 2019-01-01, 80.00 # 9.95 USD} @ 90 USD ; c", posting)
                .unwrap();
        let cost = posting.cost.unwrap();
        assert_eq!(cost.label.as_deref(), Some("x"));
        assert_eq!(cost.number.unwrap().to_string(), "80.00");
        assert_eq!(cost.plus_total.unwrap().to_string(), "9.95");
        assert_eq!(cost.currency.as_deref(), Some("USD"));
        assert!(cost.date.is_some() && posting.price.is_some());
    }

    #[test]
    fn texts_keep_their_escapes() {
        assert_eq!(read("\"a \\\"b\\\" \\\\\"", string).unwrap(), "a \"b\" \\");
        assert!(read("\"a", string).unwrap_err().contains("closing quotation mark"));
    }
}
