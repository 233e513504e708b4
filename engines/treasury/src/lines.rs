//! Cuts a file into lines within limits. Both readers start here.

use winnow::Parser;
use winnow::error::{ContextError, ErrMode, StrContext, StrContextValue};

use crate::book::{FILE_BYTES_MAX, LINE_BYTES_MAX};
use crate::place::{Cause, ImportError, Place};

/// One line without its ending.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its number, from 1.
    pub number: u32,
    /// Its text.
    pub text: &'a str,
}

/// Result of a grammar rule.
pub type Parsed<T> = Result<T, ErrMode<ContextError>>;

/// Cuts `bytes` into lines. A byte order mark at the start and CR before LF are dropped; CR
/// elsewhere is refused, since a file with nothing else would be one line, perhaps a comment.
pub fn split(bytes: &[u8]) -> Result<Vec<Line<'_>>, ImportError> {
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes, the limit is {FILE_BYTES_MAX}", bytes.len());
        return Err(ImportError::new(Place::line(1), Cause::FileTooLarge, message));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let line = 1 + good.iter().filter(|b| **b == b'\n').count();
        let start = good.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let column = 1 + String::from_utf8_lossy(&good[start..]).chars().count();
        let place = Place { line: small(line), column: small(column) };
        ImportError::new(place, Cause::NotUtf8, "bytes that are not UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        let number = small(index + 1);
        if line.len() > LINE_BYTES_MAX {
            let message =
                format!("the line has {} bytes, the limit is {LINE_BYTES_MAX}", line.len());
            return Err(ImportError::new(Place::line(number), Cause::LineTooLong, message));
        }
        let text = line.strip_suffix('\r').unwrap_or(line);
        if let Some(at) = text.find('\r') {
            let message = "a carriage return within a line; lines end with a line feed";
            let place = Line { number, text }.place(at);
            return Err(ImportError::new(place, Cause::Syntax, message));
        }
        lines.push(Line { number, text });
    }
    Ok(lines)
}

/// A count within the file limit as u32.
fn small(count: usize) -> u32 {
    u32::try_from(count).expect("a file within the limit has fewer lines and columns than 2^32")
}

impl<'a> Line<'a> {
    /// The place of byte `offset` of this line.
    pub fn place(&self, offset: usize) -> Place {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        // A quoted text may run over several lines; then the line is counted from its start.
        let before = &self.text[..end];
        let line = self.number + small(before.matches('\n').count());
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        Place { line, column: small(1 + before[start..].chars().count()) }
    }

    /// The place of `part`, which must be a slice of this line; another text means its start.
    pub fn place_of(&self, part: &str) -> Place {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        self.place(if offset <= self.text.len() { offset } else { 0 })
    }

    /// Refuses this line at `part`.
    pub fn refuse(&self, part: &str, cause: Cause, message: impl Into<String>) -> ImportError {
        ImportError::new(self.place_of(part), cause, message)
    }

    /// Reads the whole line from byte `from` with `grammar`; what is left over is a syntax error.
    pub fn read<T>(
        &self,
        from: usize,
        mut grammar: impl Parser<&'a str, T, ErrMode<ContextError>>,
    ) -> Result<T, ImportError> {
        let text = self.text.get(from..).unwrap_or_default();
        grammar.parse(text).map_err(|error| {
            let offset = from + error.offset();
            let rest = self.text.get(offset..).unwrap_or_default();
            let found = match rest.split_whitespace().next() {
                Some(word) => format!("`{}`", word.chars().take(40).collect::<String>()),
                None => "the end of the line".to_owned(),
            };
            let expected = expected(error.inner());
            let message = format!("expected {expected}, found {found}");
            ImportError::new(self.place(offset), Cause::Syntax, message)
        })
    }
}

/// What the grammar wanted: the outermost description, which names the whole part.
fn expected(error: &ContextError) -> String {
    let wanted = error.context().filter_map(|context| match context {
        StrContext::Expected(StrContextValue::Description(text)) => Some((*text).to_owned()),
        StrContext::Expected(other) => Some(other.to_string()),
        _ => None,
    });
    wanted.last().unwrap_or_else(|| "the end of the line".to_owned())
}

/// Names what a rule expects, for the refusal.
pub fn want(text: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(text))
}

/// Spaces and tabs, possibly none.
pub fn blanks<'a>(input: &mut &'a str) -> Parsed<&'a str> {
    winnow::token::take_while(0.., [' ', '\t']).parse_next(input)
}

/// A calendar date `Y-M-D` with `-`, `/` or `.`; without a year if `year` says which.
pub fn date(input: &mut &str, year: Option<i16>) -> Parsed<jiff::civil::Date> {
    use winnow::ascii::digit1;
    use winnow::combinator::opt;
    use winnow::token::one_of;
    let start = *input;
    let bad = || {
        let mut error = ContextError::new();
        error.push(want("a date that exists, such as 2025-01-31"));
        ErrMode::Cut(error)
    };
    let first = digit1.parse_next(input)?;
    let mark = one_of(['-', '/', '.']).parse_next(input)?;
    let second = digit1.parse_next(input)?;
    let third = opt((mark, digit1)).parse_next(input)?;
    let (year, month, day) = match third {
        Some((_, day)) if first.len() == 4 => (first.parse().ok(), second, day),
        None => (year, first, second),
        Some(_) => (None, second, first),
    };
    let small = |text: &str| if text.len() <= 2 { text.parse::<i8>().ok() } else { None };
    let parts = year.zip(small(month)).zip(small(day));
    let made = parts.and_then(|((y, m), d)| jiff::civil::Date::new(y, m, d).ok());
    made.ok_or_else(|| {
        *input = start;
        bad()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_at_the_limit_and_one_above() {
        let line = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(split(line.as_bytes()).unwrap().len(), 1);
        let error = split(format!("a\n{line}x").as_bytes()).unwrap_err();
        assert_eq!((error.code(), error.place.line), ("line_too_long", 2));
        let error = split(&vec![b'\n'; FILE_BYTES_MAX + 1]).unwrap_err();
        assert_eq!(error.code(), "file_too_large");
    }

    #[test]
    fn bad_utf8_is_named_with_line_and_column() {
        let error = split(b"one\nt\xc3\xa9\xff").unwrap_err();
        assert_eq!((error.code(), error.place), ("not_utf8", Place { line: 2, column: 3 }));
    }

    #[test]
    fn line_endings_and_a_mark_at_the_start_do_not_matter() {
        let texts: Vec<_> =
            split(b"\xef\xbb\xbfa\r\nb\n").unwrap().iter().map(|l| l.text).collect();
        assert_eq!(texts, ["a", "b", ""]);
    }

    #[test]
    fn a_file_whose_lines_end_with_cr_alone_is_no_comment() {
        let error = split(b"a\n; b\rc\r").unwrap_err();
        assert_eq!((error.code(), error.place), ("syntax", Place { line: 2, column: 4 }));
    }

    #[test]
    fn dates_are_read_in_three_spellings_and_checked() {
        for text in ["2011/01/02", "2011-1-2", "2011.01.02"] {
            assert_eq!(date(&mut &*text, None).unwrap().to_string(), "2011-01-02");
        }
        assert_eq!(date(&mut "3/4", Some(2020)).unwrap().to_string(), "2020-03-04");
        for text in ["2011/02/29", "2011/13/01", "2011-01/02", "11-01-02", "3/4", "2011-001-02"] {
            assert!(date(&mut &*text, None).is_err(), "{text}");
        }
    }
}
