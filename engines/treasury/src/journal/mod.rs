//! Reader of ledger and hledger journals.
//!
//! What changes no balance is left out with a notice; what would change one and is not computed
//! here is refused with its line. Nothing is guessed: a number that can be read in two ways is
//! refused. Other files are never opened.

mod amount;
mod directive;
mod draft;
mod grammar;
mod pattern;
mod settle;
#[cfg(test)]
mod tests;

use crate::book::{ACCOUNT_BYTES_MAX, Book, Notice, POSTINGS_MAX, TRANSACTIONS_MAX, Tag};
use crate::lines::{Line, split};
use crate::place::{Cause, ImportError, Place};
use amount::Styles;
use draft::{Draft, Rule};

/// Most automated rules of one file; each is tried on every posting below it.
const RULES_MAX: usize = 200;
/// Most open `apply` blocks and aliases.
const APPLIED_MAX: usize = 100;

/// Reads a journal in ledger or hledger syntax.
pub fn read(bytes: &[u8]) -> Result<Book, ImportError> {
    let lines = split(bytes)?;
    let mut reader = Reader::default();
    let mut at = 0;
    while at < lines.len() {
        at = reader.block(&lines, at)?;
    }
    if let Some((place, _)) = reader.applied.last() {
        let message = "`apply` without its `end`; it ends with the file";
        reader.notice(*place, "apply_left_open", message);
    }
    reader.book.transactions = settle::settle(reader.drafts, &reader.rules)?;
    Ok(reader.book)
}

/// What an open `apply` adds.
enum Applied {
    Tag(Tag),
    Account(String),
    Year(Option<i16>),
}

/// State while a file is read from top to bottom.
#[derive(Default)]
struct Reader {
    book: Book,
    styles: Styles,
    year: Option<i16>,
    applied: Vec<(Place, Applied)>,
    aliases: Vec<(String, String)>,
    drafts: Vec<Draft>,
    rules: Vec<Rule>,
}

impl Reader {
    fn notice(&mut self, place: Place, code: &'static str, message: impl Into<String>) {
        self.book.notices.push(Notice { place, code, message: message.into() });
    }

    /// Reads the block that starts at `at`; returns where the next one starts.
    fn block(&mut self, lines: &[Line<'_>], at: usize) -> Result<usize, ImportError> {
        let line = lines[at];
        let body = || body_end(lines, at + 1);
        let Some(first) = line.text.chars().next() else { return Ok(at + 1) };
        match first {
            ';' | '#' | '*' | '%' | '|' => Ok(at + 1),
            ' ' | '\t' => {
                let text = line.text.trim_start();
                if text.is_empty() || text.starts_with([';', '#']) {
                    return Ok(at + 1);
                }
                let message = "expected an entry or a directive at the start of the line, found an indented line that belongs to none";
                Err(line.refuse(text, Cause::Syntax, message))
            }
            '0'..='9' => self.transaction(lines, at, body()),
            '=' => self.rule(lines, at, body()),
            '~' => {
                let message = "a periodic transaction is a forecast and is not imported";
                self.notice(line.place(0), "periodic_skipped", message);
                Ok(body())
            }
            _ => self.directive(lines, at, body()),
        }
    }

    /// Account name with aliases and `apply account`. ledger takes the alias first, hledger the
    /// parent; where that makes a difference the name is refused.
    fn name(&self, line: &Line<'_>, written: &str) -> Result<String, ImportError> {
        let alias = |mut name: String| {
            for (old, new) in self.aliases.iter().rev() {
                match name.strip_prefix(old.as_str()) {
                    Some("") => name = new.clone(),
                    Some(rest) if rest.starts_with(':') => name = format!("{new}{rest}"),
                    _ => {}
                }
            }
            name
        };
        let below = |mut name: String| {
            for (_, applied) in self.applied.iter().rev() {
                if let Applied::Account(parent) = applied {
                    name = format!("{parent}:{name}");
                }
            }
            name
        };
        let name = below(alias(written.to_owned()));
        if name != alias(below(written.to_owned())) {
            let message = format!(
                "`{written}` under both `alias` and `apply account`, which tools read differently"
            );
            return Err(line.refuse(written, Cause::Unsupported, message));
        }
        Ok(name)
    }

    /// Reads a transaction: header, postings and comments.
    fn transaction(
        &mut self,
        lines: &[Line<'_>],
        at: usize,
        end: usize,
    ) -> Result<usize, ImportError> {
        let line = lines[at];
        let header = line.read(0, grammar::header(self.year))?;
        if self.drafts.len() >= TRANSACTIONS_MAX {
            let message = format!("more than {TRANSACTIONS_MAX} transactions");
            return Err(ImportError::new(line.place(0), Cause::TooMany, message));
        }
        let mut tags: Vec<Tag> = Vec::new();
        for (_, applied) in &self.applied {
            if let Applied::Tag(tag) = applied {
                tags.push(tag.clone());
            }
        }
        tags.extend(header.comment.map(grammar::tags).unwrap_or_default());
        let year = Some(header.date.year());
        let mut postings = Vec::new();
        for line in &lines[at + 1..end] {
            let text = line.text.trim_start();
            if text.is_empty() {
                continue;
            }
            if let Some(comment) = text.strip_prefix(';') {
                tags.extend(grammar::tags(comment));
                continue;
            }
            refuse_comment(line, text)?;
            refuse_expression(line, text)?;
            let raw = line.read(0, grammar::posting(year))?;
            let (posting, found) =
                draft::posting(line, raw, &self.styles, |name| self.name(line, name))?;
            check_name(line, &posting.account)?;
            tags.extend(found);
            postings.push(posting);
            if postings.len() > POSTINGS_MAX {
                let message = format!("more than {POSTINGS_MAX} postings");
                return Err(line.refuse(text, Cause::TooMany, message));
            }
        }
        let mut seen: Vec<Tag> = Vec::new();
        for tag in tags {
            if !seen.contains(&tag) && seen.len() < POSTINGS_MAX {
                seen.push(tag);
            }
        }
        self.drafts.push(Draft {
            place: line.place(0),
            date: header.date,
            date_secondary: header.date_secondary,
            status: header.status,
            code: header.code.map(str::to_owned),
            payee: header.payee.to_owned(),
            tags: seen,
            postings,
            rules_above: self.rules.len(),
        });
        Ok(end)
    }

    /// Reads `= /pattern/` and its postings.
    fn rule(&mut self, lines: &[Line<'_>], at: usize, end: usize) -> Result<usize, ImportError> {
        let line = lines[at];
        let text = line.text[1..].split(" ;").next().unwrap_or_default().trim();
        let inner = text.strip_prefix("acct:").unwrap_or(text);
        let slashed = inner.strip_prefix('/').and_then(|t| t.strip_suffix('/'));
        let quoted = inner.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        let bare = slashed.or(quoted).unwrap_or(inner);
        let query = bare.contains(char::is_whitespace)
            || bare.contains(':') && bare.starts_with(|c: char| c.is_lowercase());
        let several = match slashed {
            Some(inside) => inside.contains('/'),
            None => quoted.is_none() && query,
        };
        // ledger's signs for payee, code, tag, note and the joining of terms.
        let signed = bare.starts_with(['@', '#', '%', '=', '!', '&', '-', '~']);
        let pattern = if slashed.or(quoted).is_none() && signed {
            Err("it does not ask for an account")
        } else if several {
            Err("more than one term")
        } else {
            pattern::Pattern::new(bare)
        };
        let pattern = pattern.map_err(|why| {
            let message = format!("an automated rule whose query is not computed here: {why}");
            line.refuse(text, Cause::Unsupported, message)
        })?;
        if self.rules.is_empty() {
            let message =
                "automated rules are applied, as ledger does; hledger needs --auto for it";
            self.notice(line.place(0), "rules_applied", message);
        }
        if self.rules.len() >= RULES_MAX {
            let message = format!("more than {RULES_MAX} automated rules");
            return Err(line.refuse(text, Cause::TooMany, message));
        }
        let mut postings = Vec::new();
        for line in &lines[at + 1..end] {
            let text = line.text.trim_start();
            if text.is_empty() || text.starts_with(';') {
                continue;
            }
            refuse_comment(line, text)?;
            refuse_expression(line, text)?;
            let raw = line.read(0, grammar::posting(self.year))?;
            let posting =
                draft::rule_posting(line, raw, &self.styles, |name| self.name(line, name))?;
            check_name(line, &posting.account)?;
            postings.push(posting);
        }
        self.rules.push(Rule { pattern, postings });
        Ok(end)
    }
}

/// Where the indented lines behind a block's first line end.
fn body_end(lines: &[Line<'_>], from: usize) -> usize {
    let indented =
        |line: &Line<'_>| line.text.starts_with([' ', '\t']) && !line.text.trim_start().is_empty();
    from + lines[from..].iter().take_while(|line| indented(line)).count()
}

/// Within an entry both tools know `;` alone; what other signs start would be a posting to them.
fn refuse_comment(line: &Line<'_>, text: &str) -> Result<(), ImportError> {
    match text.starts_with(['#', '%', '|']) {
        true => Err(line.refuse(text, Cause::Syntax, "a comment within an entry starts with `;`")),
        false => Ok(()),
    }
}

/// Value expressions such as `(2 * $5)` are programs; they are named rather than misread.
fn refuse_expression(line: &Line<'_>, text: &str) -> Result<(), ImportError> {
    let written = text.split(';').next().unwrap_or_default();
    for gap in ["  ", "\t"] {
        if let Some(at) = written.find(gap) {
            let amount = written[at..].trim_start();
            if amount.starts_with('(') {
                return Err(line.refuse(
                    amount,
                    Cause::Unsupported,
                    "a value expression as amount",
                ));
            }
        }
    }
    Ok(())
}

/// Account names have a limit and no control characters.
fn check_name(line: &Line<'_>, name: &str) -> Result<(), ImportError> {
    if name.len() > ACCOUNT_BYTES_MAX {
        let message =
            format!("an account name of {} bytes, the limit is {ACCOUNT_BYTES_MAX}", name.len());
        return Err(ImportError::new(line.place(0), Cause::TooMany, message));
    }
    if name.contains(char::is_control) {
        let message = "an account name with a control character";
        return Err(ImportError::new(line.place(0), Cause::Syntax, message));
    }
    // hledger ends a name at any two blanks, ledger at two ASCII ones.
    if crate::ops::has_wide_gap(name) {
        let message =
            format!("an account name with two blanks, one of them no ASCII space: {name:?}");
        return Err(ImportError::new(line.place(0), Cause::Syntax, message));
    }
    Ok(())
}
