//! Directives: what the file says about itself, not about money moved.

use winnow::Parser;
use winnow::combinator::preceded;
use winnow::token::rest;

use super::amount::amount;
use super::grammar::tags;
use super::{APPLIED_MAX, Applied, Reader};
use crate::book::{Class, PricePoint, Tag};
use crate::lines::{Line, Parsed, blanks, date, want};
use crate::place::{Cause, ImportError};

/// First word of a line and what follows it.
fn words(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once([' ', '\t']) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

/// Text before a comment.
fn uncommented(text: &str) -> &str {
    let at = text.find(" ;").or_else(|| text.find("\t;")).unwrap_or(text.len());
    text[..at].trim()
}

impl Reader {
    /// Reads a directive; `body` is where its indented lines end.
    pub(super) fn directive(
        &mut self,
        lines: &[Line<'_>],
        at: usize,
        body: usize,
    ) -> Result<usize, ImportError> {
        let line = lines[at];
        let (word, argument) = words(line.text);
        let word = word.strip_prefix(['!', '@']).unwrap_or(word);
        match word {
            "comment" | "test" => return skip_to_end(lines, at, word),
            "account" => self.account(&line, argument, &lines[at + 1..body])?,
            "commodity" => self.commodity(&line, argument, &lines[at + 1..body])?,
            "decimal-mark" => self.decimal_mark(&line, argument)?,
            "D" => {
                let raw = line.read(offset(&line, argument), amount)?;
                if let Some(name) = raw.commodity {
                    self.styles.commodity = Some(name.to_owned());
                }
                self.learn(&line, &raw)?;
            }
            "N" => {
                self.notice(line.place(0), "no_market_skipped", "`N` concerns market prices only")
            }
            "P" => self.price(&line, argument)?,
            "Y" | "year" => self.year = Some(year(&line, argument)?),
            // Ledger also writes the year without a blank.
            _ if word.len() == 5 && word.starts_with('Y') && argument.is_empty() => {
                self.year = Some(year(&line, &word[1..])?);
            }
            "apply" => self.apply(&line, argument)?,
            "end" => self.end(&line, argument)?,
            "alias" => self.alias(&line, argument)?,
            "include" => {
                let message = format!(
                    "`include {argument}` asks for another file; files are never opened from within one"
                );
                return Err(line.refuse(line.text, Cause::Include, message));
            }
            "tag" | "payee" | "check" | "C" => {
                let message = format!("`{word}` changes no balance and is left out");
                self.notice(line.place(0), "directive_skipped", message);
            }
            _ => return Err(unknown(&line, word)),
        }
        Ok(body)
    }

    fn account(
        &mut self,
        line: &Line<'_>,
        argument: &str,
        below: &[Line<'_>],
    ) -> Result<(), ImportError> {
        let cut = ["  ", "\t", " ;"].iter().filter_map(|s| argument.find(s)).min();
        let (written, comment) = argument.split_at(cut.unwrap_or(argument.len()));
        if written.is_empty() {
            return Err(line.refuse(argument, Cause::Syntax, "expected an account name"));
        }
        let name = self.name(line, written.trim())?;
        super::check_name(line, &name)?;
        let mut found = tags(comment.trim_start().trim_start_matches(';'));
        for line in below {
            let text = line.text.trim();
            let (word, rest) = words(text);
            match word {
                "alias" if self.aliases.len() < APPLIED_MAX => {
                    self.aliases.push((rest.to_owned(), name.clone()));
                }
                "alias" => {
                    let message = format!("more than {APPLIED_MAX} aliases");
                    return Err(line.refuse(text, Cause::TooMany, message));
                }
                "default" => {
                    let message = "a default account for postings that name none";
                    return Err(line.refuse(text, Cause::Unsupported, message));
                }
                _ => found.extend(tags(text.trim_start_matches(';'))),
            }
        }
        let declared = self.book.accounts.entry(name).or_default();
        let class = found.iter().find(|t| t.name == "type").and_then(|t| t.value.clone());
        let class = class.and_then(|c| match c.to_lowercase().as_str() {
            "a" | "asset" | "c" | "cash" => Some(Class::Asset),
            "l" | "liability" => Some(Class::Liability),
            "e" | "equity" | "v" | "conversion" => Some(Class::Equity),
            "r" | "revenue" | "income" => Some(Class::Income),
            "x" | "expense" => Some(Class::Expense),
            _ => None,
        });
        declared.class = class.or(declared.class);
        Ok(())
    }

    fn commodity(
        &mut self,
        line: &Line<'_>,
        argument: &str,
        below: &[Line<'_>],
    ) -> Result<(), ImportError> {
        let argument = uncommented(argument);
        // Digits within quotation marks belong to the name.
        let bare = argument.split('"').step_by(2);
        if bare.flat_map(str::chars).any(|c| c.is_ascii_digit()) {
            let raw = line.read(offset(line, argument), preceded(blanks, (amount, rest)))?.0;
            self.learn(line, &raw)?;
        }
        for line in below {
            let (word, rest) = words(line.text);
            if word == "format" {
                let rest = uncommented(rest);
                let grammar = (amount, winnow::token::rest);
                let raw = line.read(offset(line, rest), grammar)?.0;
                self.learn(line, &raw)?;
            } else if word == "default" {
                self.styles.commodity = Some(argument.trim_matches('"').to_owned());
            } else if word == "alias" {
                let message = "a second name for a commodity";
                return Err(line.refuse(line.text.trim(), Cause::Unsupported, message));
            }
        }
        Ok(())
    }

    /// Keeps the decimal mark and the decimal places that a sample amount shows.
    fn learn(
        &mut self,
        line: &Line<'_>,
        raw: &super::amount::RawAmount<'_>,
    ) -> Result<(), ImportError> {
        let name = raw.commodity.unwrap_or_default().to_owned();
        let known = self.styles.mark_of.get(&name).copied().or(self.styles.mark);
        raw.quantity(line, known)?;
        let (mark, places) = raw.style(known);
        if let Some(mark) = mark {
            self.styles.mark_of.insert(name.clone(), mark);
        }
        self.book.scales.insert(name, places);
        Ok(())
    }

    fn decimal_mark(&mut self, line: &Line<'_>, argument: &str) -> Result<(), ImportError> {
        self.styles.mark = match uncommented(argument) {
            "." => Some('.'),
            "," => Some(','),
            _ => {
                let message = "expected `decimal-mark .` or `decimal-mark ,`";
                return Err(line.refuse(argument, Cause::Syntax, message));
            }
        };
        Ok(())
    }

    /// `P DATE [TIME] COMMODITY PRICE`
    fn price(&mut self, line: &Line<'_>, argument: &str) -> Result<(), ImportError> {
        let year = self.year;
        let day = |input: &mut &str| date(input, year);
        let day = day.context(want("a date that exists, such as 2025-01-31"));
        let symbol = |input: &mut &str| -> Parsed<String> {
            blanks(input)?;
            if input.starts_with(|c: char| c.is_ascii_digit()) && input.contains(':') {
                winnow::token::take_while(1.., |c: char| !c.is_whitespace()).parse_next(input)?;
                blanks(input)?;
            }
            let quoted = winnow::combinator::delimited(
                '"',
                winnow::token::take_while(1.., |c: char| c != '"'),
                '"',
            );
            let bare = winnow::token::take_while(1.., |c: char| !c.is_whitespace());
            winnow::combinator::alt((quoted, bare)).map(str::to_owned).parse_next(input)
        };
        let price = preceded(blanks, amount).context(want("a price such as 1.10 USD"));
        let (date, commodity, raw, _) =
            line.read(offset(line, argument), (day, symbol, price, rest))?;
        let price = raw.resolve(line, &self.styles)?;
        self.book.prices.push(PricePoint { place: line.place(0), date, commodity, price });
        Ok(())
    }

    fn apply(&mut self, line: &Line<'_>, argument: &str) -> Result<(), ImportError> {
        let (word, rest) = words(argument);
        if self.applied.len() >= APPLIED_MAX {
            let message = format!("more than {APPLIED_MAX} open `apply` blocks");
            return Err(line.refuse(argument, Cause::TooMany, message));
        }
        let applied = match (word, rest) {
            ("tag", tag) if !tag.is_empty() => {
                let tag = match tag.split_once(':') {
                    Some((name, value)) => (name.trim(), value.trim()),
                    None => (tag, ""),
                };
                let value = (!tag.1.is_empty()).then(|| tag.1.to_owned());
                Applied::Tag(Tag { name: tag.0.to_owned(), value })
            }
            ("account", name) if !name.is_empty() => Applied::Account(name.to_owned()),
            ("year", text) => {
                let before = self.year.replace(year(line, text)?);
                Applied::Year(before)
            }
            _ => return Err(unknown(line, &format!("apply {word}"))),
        };
        self.applied.push((line.place(0), applied));
        Ok(())
    }

    /// `end`, `end tag`, `end apply tag`, `end aliases`: closes the innermost block of that kind.
    fn end(&mut self, line: &Line<'_>, argument: &str) -> Result<(), ImportError> {
        if argument == "aliases" {
            self.aliases.clear();
            return Ok(());
        }
        let (word, rest) = words(argument);
        let kind = if word == "apply" { words(rest).0 } else { word };
        let found = self.applied.last().is_some_and(|(_, applied)| {
            matches!(
                (kind, applied),
                ("", _)
                    | ("tag", Applied::Tag(_))
                    | ("account", Applied::Account(_))
                    | ("year", Applied::Year(_))
            )
        });
        if !found {
            let message = format!("`end {argument}` closes nothing that is open here");
            return Err(line.refuse(line.text, Cause::Syntax, message));
        }
        if let Some((_, Applied::Year(before))) = self.applied.pop() {
            self.year = before;
        }
        Ok(())
    }

    fn alias(&mut self, line: &Line<'_>, argument: &str) -> Result<(), ImportError> {
        let Some((old, new)) = argument.split_once('=') else {
            return Err(line.refuse(argument, Cause::Syntax, "expected `alias OLD = NEW`"));
        };
        let (old, new) = (old.trim(), uncommented(new));
        if old.starts_with('/') {
            let message = "an alias by regular expression";
            return Err(line.refuse(argument, Cause::Unsupported, message));
        }
        if old.is_empty() || new.is_empty() || self.aliases.len() >= APPLIED_MAX {
            let message = "expected two account names, and at most 100 aliases";
            return Err(line.refuse(argument, Cause::Syntax, message));
        }
        self.aliases.push((old.to_owned(), new.to_owned()));
        Ok(())
    }
}

/// Byte offset of `part` in the line.
fn offset(line: &Line<'_>, part: &str) -> usize {
    let offset = (part.as_ptr() as usize).wrapping_sub(line.text.as_ptr() as usize);
    if offset <= line.text.len() { offset } else { line.text.len() }
}

/// A year with four digits.
fn year(line: &Line<'_>, text: &str) -> Result<i16, ImportError> {
    let text = uncommented(text);
    let year = if text.len() == 4 { text.parse::<i16>().ok().filter(|y| *y > 0) } else { None };
    year.ok_or_else(|| line.refuse(text, Cause::Date, "expected a year with four digits"))
}

/// Skips to the `end` line of a comment or test block.
fn skip_to_end(lines: &[Line<'_>], at: usize, word: &str) -> Result<usize, ImportError> {
    for (index, line) in lines.iter().enumerate().skip(at + 1) {
        let (first, rest) = words(line.text);
        if first == "end" && (rest == word || rest.is_empty()) {
            return Ok(index + 1);
        }
    }
    let line = lines[at];
    let message = format!("`{word}` is never closed by `end {word}`");
    Err(line.refuse(line.text, Cause::NotClosed, message))
}

/// Directives that change results are named apart from words that are no directive at all.
fn unknown(line: &Line<'_>, word: &str) -> ImportError {
    let known = [
        "A",
        "assert",
        "b",
        "bucket",
        "capture",
        "def",
        "define",
        "eval",
        "expr",
        "fixed",
        "h",
        "i",
        "I",
        "import",
        "o",
        "O",
        "python",
        "unalias",
        "value",
        "--command-line",
        "apply fixed",
        "apply rate",
    ];
    let shown: String = word.chars().take(40).collect();
    if known.contains(&word) {
        let message = format!("`{shown}` changes results and is not computed here");
        return line.refuse(line.text, Cause::Unsupported, message);
    }
    let message = format!("expected a date, a directive or a comment, found `{shown}`");
    line.refuse(line.text, Cause::UnknownDirective, message)
}
