//! The lines of a transaction: header, posting, comment and tags.

use jiff::civil::Date;
use winnow::Parser;
use winnow::combinator::{alt, cut_err, delimited, opt, preceded};
use winnow::error::{ContextError, ErrMode};
use winnow::token::{one_of, rest, take_while};

use super::amount::{RawAmount, amount};
use crate::book::{Kind, Status, Tag};
use crate::lines::{Parsed, blanks, date, want};

/// First line of a transaction.
pub struct Header<'a> {
    pub date: Date,
    pub date_secondary: Option<Date>,
    pub status: Status,
    pub code: Option<&'a str>,
    pub payee: &'a str,
    pub comment: Option<&'a str>,
}

/// A lot note beside an amount.
#[derive(Default)]
pub struct RawLot<'a> {
    /// Total instead of per unit, and how much.
    pub cost: Option<(bool, RawAmount<'a>)>,
    pub date: Option<Date>,
    pub label: Option<&'a str>,
}

/// `= amount` after a posting.
pub struct RawAssertion<'a> {
    /// `==`: no other commodity may be there.
    pub sole: bool,
    /// `=*`: the accounts below count too.
    pub below: bool,
    pub amount: RawAmount<'a>,
    /// Is a lot or a price named behind the amount?
    pub priced: bool,
}

/// A posting as written.
pub struct PostingLine<'a> {
    pub account: &'a str,
    pub kind: Kind,
    /// Is the number after `*` a factor? Only in automated rules.
    pub factor: bool,
    pub amount: Option<RawAmount<'a>>,
    pub lot: Option<RawLot<'a>>,
    /// Total instead of per unit, and how much.
    pub price: Option<(bool, RawAmount<'a>)>,
    pub assertion: Option<RawAssertion<'a>>,
    pub comment: Option<&'a str>,
}

/// `*`, `!` or nothing.
fn status(input: &mut &str) -> Parsed<Status> {
    let mark = opt((one_of(['*', '!']), blanks)).parse_next(input)?;
    Ok(match mark {
        Some(('*', _)) => Status::Cleared,
        Some(_) => Status::Pending,
        None => Status::Unmarked,
    })
}

/// Splits free text from a `;` comment behind it.
fn text_and_comment(text: &str) -> (&str, Option<&str>) {
    let at = text
        .char_indices()
        .find(|(at, c)| *c == ';' && (*at == 0 || text[..*at].ends_with([' ', '\t'])));
    match at {
        Some((at, _)) => (text[..at].trim(), Some(text[at + 1..].trim())),
        None => (text.trim(), None),
    }
}

/// `DATE[=DATE2] [*|!] [(code)] payee [; comment]`
pub fn header<'a>(year: Option<i16>) -> impl Parser<&'a str, Header<'a>, ErrMode<ContextError>> {
    move |input: &mut &'a str| {
        let first = day(year).parse_next(input)?;
        let second_year = year.or(Some(first.year()));
        let second = match opt('=').parse_next(input)? {
            Some(_) => Some(day(second_year).parse_next(input)?),
            None => None,
        };
        if !input.is_empty() && !input.starts_with([' ', '\t']) {
            return cut_err(winnow::combinator::fail.context(want("a space after the date")))
                .parse_next(input);
        }
        blanks(input)?;
        let status = status(input)?;
        let code = opt(delimited('(', take_while(0.., |c| c != ')'), ')')).parse_next(input)?;
        let (payee, comment) = text_and_comment(rest.parse_next(input)?);
        Ok(Header {
            date: first,
            date_secondary: second,
            status,
            code: code.map(str::trim).filter(|code| !code.is_empty()),
            payee,
            comment,
        })
    }
}

/// A date; `year` serves where it is left out.
fn day<'a>(year: Option<i16>) -> impl Parser<&'a str, Date, ErrMode<ContextError>> {
    (move |input: &mut &'a str| date(input, year))
        .context(want("a date that exists, such as 2025-01-31"))
}

/// An account: everything up to two blanks, a tab, or a comment.
fn account<'a>(input: &mut &'a str) -> Parsed<(Kind, &'a str)> {
    let text = *input;
    let mut end = text.len();
    for stop in ["  ", "\t", " ;"] {
        end = end.min(text.find(stop).unwrap_or(end));
    }
    let name = text[..end].trim_end();
    let (kind, name) = match (name.strip_prefix('('), name.strip_prefix('[')) {
        (Some(inner), _) if inner.ends_with(')') => (Kind::Unbalanced, &inner[..inner.len() - 1]),
        (_, Some(inner)) if inner.ends_with(']') => (Kind::Balanced, &inner[..inner.len() - 1]),
        _ => (Kind::Real, name),
    };
    if name.trim().is_empty() || name.starts_with(';') {
        return winnow::combinator::fail.context(want("an account name")).parse_next(input);
    }
    *input = &text[end..];
    Ok((kind, name.trim()))
}

/// `{cost}`, `{{cost}}`, `[date]`, `(note)` in any order.
fn lot<'a>(year: Option<i16>) -> impl FnMut(&mut &'a str) -> Parsed<Option<RawLot<'a>>> {
    move |input| {
        let mut lot = RawLot::default();
        let mut found = false;
        loop {
            blanks(input)?;
            if input.starts_with('{') {
                let total = input.starts_with("{{");
                let (open, close) = if total { ("{{", "}}") } else { ("{", "}") };
                let inside = (blanks, opt(('=', blanks)), amount, blanks).map(|parts| parts.2);
                let cost = delimited(open, inside, close);
                let cost = cut_err(cost.context(want("a lot cost such as {80.00 USD}")))
                    .parse_next(input)?;
                lot.cost = Some((total, cost));
            } else if input.starts_with('[') {
                let day = delimited('[', day(year), ']');
                lot.date = Some(
                    cut_err(day.context(want("a lot date such as [2025-01-31]")))
                        .parse_next(input)?,
                );
            } else if input.starts_with('(') && !input.starts_with("(@") {
                let note = delimited('(', take_while(1.., |c| c != ')' && c != '('), ')');
                lot.label = Some(
                    cut_err(note.context(want("a lot note such as (spring)"))).parse_next(input)?,
                );
            } else {
                return Ok(found.then_some(lot));
            }
            found = true;
        }
    }
}

/// `@ price` or `@@ price`.
fn price<'a>(input: &mut &'a str) -> Parsed<(bool, RawAmount<'a>)> {
    let mark = alt(("(@@)", "(@)", "@@", "@")).parse_next(input)?;
    let amount = preceded((blanks, opt('='), blanks), amount);
    let amount = cut_err(amount.context(want("a price such as 1.10 USD"))).parse_next(input)?;
    Ok((mark.contains("@@"), amount))
}

/// `= amount`, `== amount`, `=* amount`, `==* amount`.
fn assertion<'a>(year: Option<i16>) -> impl FnMut(&mut &'a str) -> Parsed<RawAssertion<'a>> {
    move |input| {
        let mark = alt(("==*", "==", "=*", "=")).parse_next(input)?;
        let amount = preceded(blanks, amount);
        let amount =
            cut_err(amount.context(want("a balance such as = 100.00 EUR"))).parse_next(input)?;
        // hledger allows a cost behind the asserted amount; the quantity alone is asserted.
        let lot = lot(year)(input)?;
        let price = preceded(blanks, opt(price)).parse_next(input)?;
        let (sole, below) = (mark.starts_with("=="), mark.ends_with('*'));
        Ok(RawAssertion { sole, below, amount, priced: lot.is_some() || price.is_some() })
    }
}

/// A posting, from its first non-blank character.
pub fn posting<'a>(
    year: Option<i16>,
) -> impl Parser<&'a str, PostingLine<'a>, ErrMode<ContextError>> {
    move |input: &mut &'a str| {
        blanks(input)?;
        status(input)?;
        let (kind, account) = account(input)?;
        blanks(input)?;
        let factor = opt(('*', blanks)).parse_next(input)?.is_some();
        let starts = |c: char| ";=".contains(c);
        let written = !input.is_empty() && !input.starts_with(starts);
        let amount = if written { Some(amount.parse_next(input)?) } else { None };
        let (mut lot_found, mut price_found) = (None, None);
        if amount.is_some() {
            lot_found = lot(year)(input)?;
            price_found = opt(price).parse_next(input)?;
            blanks(input)?;
        }
        let assertion = match input.starts_with('=') {
            true => Some(assertion(year).parse_next(input)?),
            false => None,
        };
        blanks(input)?;
        let comment = opt(preceded(';', rest)).parse_next(input)?;
        if !input.is_empty() {
            return winnow::combinator::fail
                .context(want(
                    "a lot, a price, a balance assertion, a comment or the end of the line",
                ))
                .parse_next(input);
        }
        let price = price_found;
        let comment = comment.map(str::trim);
        Ok(PostingLine { account, kind, factor, amount, lot: lot_found, price, assertion, comment })
    }
}

/// Tags in a comment: `:one:two:` and `name: value`, several separated by commas.
pub fn tags(comment: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    for word in comment.split_whitespace() {
        if word.len() > 2 && word.starts_with(':') && word.ends_with(':') {
            let names = word.split(':').filter(|name| !name.is_empty());
            found.extend(names.map(|name| Tag { name: name.to_owned(), value: None }));
        }
    }
    if !found.is_empty() {
        return found;
    }
    for part in comment.split(',') {
        let Some((before, value)) = part.split_once(':') else { continue };
        let name = before.split_whitespace().next_back().unwrap_or_default();
        let joined = before.ends_with(|c: char| !c.is_whitespace());
        if joined && !name.is_empty() && !name.contains(['"', '(', '[']) && !value.starts_with("//")
        {
            let value = value.trim_start_matches(':').trim();
            let value = (!value.is_empty()).then(|| value.to_owned());
            found.push(Tag { name: name.to_owned(), value });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Line;

    fn line(text: &str) -> Line<'_> {
        Line { number: 1, text }
    }

    #[test]
    fn a_header_has_date_status_code_payee_and_comment() {
        let header = line("2010/12/28=2011/01/01 * (100) Acme; Mortgage  ; sent")
            .read(0, header(None))
            .unwrap();
        assert_eq!(header.date_secondary.unwrap().to_string(), "2011-01-01");
        assert_eq!((header.status, header.code), (Status::Cleared, Some("100")));
        assert_eq!((header.payee, header.comment), ("Acme; Mortgage", Some("sent")));
    }

    #[test]
    fn a_posting_has_all_its_parts() {
        let text =
            "  ! Assets:Bank of X  -5 AAPL {$30.00} [2004-05-01] (note) @ $50 = 2 AAPL ; a: b";
        let posting = line(text).read(0, posting(None)).unwrap();
        assert_eq!(posting.account, "Assets:Bank of X");
        let lot = posting.lot.unwrap();
        assert!(lot.cost.is_some() && lot.date.is_some() && lot.label == Some("note"));
        assert!(posting.price.is_some() && posting.assertion.is_some());
        assert_eq!(posting.comment, Some("a: b"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_column() {
        for (text, column, expected) in [
            ("  A  12.50 EUR {", 17, "a lot cost"),
            ("  A  12.50 EUR @", 17, "a price"),
            ("  A  12.50 EUR ??", 16, "the end of the line"),
            ("  A  EUR", 9, "an amount"),
        ] {
            let Err(error) = line(text).read(0, posting(None)) else { panic!("{text} was read") };
            assert_eq!(error.place.column, column, "{text}: {error}");
            assert!(error.message.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn tags_are_found_in_both_styles() {
        let names =
            |text| tags(text).iter().map(|t| (t.name.clone(), t.value.clone())).collect::<Vec<_>>();
        assert_eq!(names(":a:b:"), [("a".into(), None), ("b".into(), None)]);
        assert_eq!(
            names("x: one two, y:"),
            [("x".into(), Some("one two".into())), ("y".into(), None)]
        );
        assert_eq!(names("see https://example.org and 12"), []);
    }
}
