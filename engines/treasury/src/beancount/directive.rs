//! Reads the lines of a beancount file into directives, in the order of the file.

use std::collections::BTreeMap;

use jiff::civil::Date;
use winnow::Parser;
use winnow::combinator::{opt, preceded, repeat};
use winnow::token::{one_of, rest, take_while};

use super::grammar::{
    CostSpec, Incomplete, PriceSpec, account, amount, currency, day, end, mark, number, posting,
    string, ws,
};
use crate::book::{
    ACCOUNT_BYTES_MAX, Amount, LINE_BYTES_MAX, Notice, POSTINGS_MAX, PricePoint, Status,
    TRANSACTIONS_MAX, Tag,
};
use crate::lines::{Line, Parsed, want};
use crate::money::Quantity;
use crate::place::{Cause, ImportError, Place};

/// How reductions choose their lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    #[default]
    Strict,
    StrictWithSize,
    None,
    Fifo,
    Lifo,
    Hifo,
}

/// One directive with its day.
#[derive(Debug)]
pub struct Dated {
    pub place: Place,
    pub date: Date,
    pub what: Directive,
}

/// What a directive says; those that move nothing and name no account are not kept.
#[derive(Debug)]
pub enum Directive {
    Open {
        account: String,
        currencies: Vec<String>,
        method: Option<Method>,
    },
    Close {
        account: String,
    },
    Balance {
        account: String,
        amount: Amount,
        tolerance: Option<Quantity>,
    },
    Pad {
        account: String,
        source: String,
    },
    /// `note` and `document`: the account must exist.
    Remark {
        account: String,
        document: bool,
    },
    Transaction(Draft),
}

/// A transaction as written.
#[derive(Debug)]
pub struct Draft {
    pub status: Status,
    pub payee: String,
    pub tags: Vec<Tag>,
    pub postings: Vec<DraftPosting>,
}

/// A posting as written.
#[derive(Clone, Debug)]
pub struct DraftPosting {
    pub place: Place,
    pub account: String,
    pub units: Incomplete,
    pub cost: Option<CostSpec>,
    pub price: Option<PriceSpec>,
}

/// What the options of a file change.
#[derive(Debug)]
pub struct Options {
    pub roots: [String; 5],
    pub method: Method,
    pub tolerance_default: BTreeMap<String, Quantity>,
    pub tolerance_from_cost: bool,
    pub auto_accounts: bool,
}

/// A file as a list of directives.
#[derive(Debug)]
pub struct Parts {
    pub directives: Vec<Dated>,
    pub options: Options,
    pub prices: Vec<PricePoint>,
    pub notices: Vec<Notice>,
}

/// Joins the lines of a text in quotation marks that is not closed on its own line.
fn logical<'a>(
    text: &'a str,
    lines: &[Line<'a>],
    at: usize,
) -> Result<(Line<'a>, usize), ImportError> {
    let first = lines[at];
    let start = (first.text.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    let mut open = false;
    for (index, line) in lines.iter().enumerate().skip(at) {
        open = quote_open(line.text, open);
        let stop =
            (line.text.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize) + line.text.len();
        if stop - start > LINE_BYTES_MAX {
            break;
        }
        if !open {
            return Ok((Line { number: first.number, text: &text[start..stop] }, index + 1));
        }
    }
    let quote = first.text.find('"').unwrap_or(0);
    let message = "a quotation mark that is not closed within 64 KiB";
    Err(ImportError::new(first.place(quote), Cause::NotClosed, message))
}

/// Is a quoted text open behind `text`?
fn quote_open(text: &str, mut open: bool) -> bool {
    let mut escaped = false;
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if open => escaped = true,
            '"' => open = !open,
            ';' if !open => return false,
            _ => {}
        }
    }
    open
}

/// Reads all lines.
pub fn read(text: &str, lines: &[Line<'_>]) -> Result<Parts, ImportError> {
    let mut reader = Reader {
        parts: Parts {
            directives: Vec::new(),
            options: Options {
                roots: ["Assets", "Liabilities", "Equity", "Income", "Expenses"].map(str::to_owned),
                method: Method::Strict,
                tolerance_default: BTreeMap::new(),
                tolerance_from_cost: false,
                auto_accounts: false,
            },
            prices: Vec::new(),
            notices: Vec::new(),
        },
        pushed: Vec::new(),
    };
    let mut at = 0;
    while at < lines.len() {
        let first = lines[at].text.chars().next();
        match first {
            None | Some(';' | '*' | ':' | '#' | '!' | '&' | '?' | '%') => at += 1,
            Some(' ' | '\t') => {
                let (line, next) = logical(text, lines, at)?;
                let inside = line.text.trim_start();
                if !inside.is_empty() && !inside.starts_with([';', '*', ':', '#']) {
                    let message = "expected a directive at the start of the line, found an indented line that belongs to none";
                    return Err(line.refuse(inside, Cause::Syntax, message));
                }
                at = next;
            }
            Some('0'..='9') => at = reader.dated(text, lines, at)?,
            Some(_) => at = reader.undated(text, lines, at)?,
        }
    }
    Ok(reader.parts)
}

struct Reader {
    parts: Parts,
    pushed: Vec<String>,
}

impl Reader {
    fn notice(&mut self, place: Place, code: &'static str, message: impl Into<String>) {
        self.parts.notices.push(Notice { place, code, message: message.into() });
    }

    /// option, plugin, include, pushtag, poptag, pushmeta, popmeta.
    fn undated(&mut self, text: &str, lines: &[Line<'_>], at: usize) -> Result<usize, ImportError> {
        let (line, next) = logical(text, lines, at)?;
        let word = line.text.split([' ', '\t']).next().unwrap_or_default();
        let from = word.len();
        match word {
            "option" => {
                let (_, name, _, value, ()) = line.read(from, (ws, string, ws, string, end))?;
                self.option(&line, &name, &value)?;
            }
            "plugin" => {
                let argument = opt(preceded(ws, string));
                let (_, name, _, ()) = line.read(from, (ws, string, argument, end))?;
                if name == "beancount.plugins.auto_accounts" || name == "beancount.plugins.auto" {
                    self.parts.options.auto_accounts = true;
                } else {
                    let message = format!("plugin `{name}` is not run");
                    self.notice(line.place(0), "plugin_not_run", message);
                }
            }
            "include" => {
                let message =
                    "`include` asks for another file; files are never opened from within one";
                return Err(line.refuse(line.text, Cause::Include, message));
            }
            "pushtag" | "poptag" => {
                let name = line.read(from, (ws, mark('#'), end))?.1.to_owned();
                if word == "pushtag" {
                    self.pushed.push(name);
                } else if let Some(at) = self.pushed.iter().rposition(|tag| *tag == name) {
                    self.pushed.remove(at);
                } else {
                    let message =
                        format!("`poptag #{name}` takes away a tag that was never pushed");
                    return Err(line.refuse(line.text, Cause::Syntax, message));
                }
            }
            "pushmeta" | "popmeta" => {
                let message = "metadata pushed onto directives is left out";
                self.notice(line.place(0), "metadata_skipped", message);
            }
            _ => {
                let shown: String = word.chars().take(40).collect();
                let message =
                    format!("expected a date, option, plugin or a comment, found `{shown}`");
                return Err(line.refuse(line.text, Cause::UnknownDirective, message));
            }
        }
        Ok(next)
    }

    fn option(&mut self, line: &Line<'_>, name: &str, value: &str) -> Result<(), ImportError> {
        let options = &mut self.parts.options;
        let roots =
            ["name_assets", "name_liabilities", "name_equity", "name_income", "name_expenses"];
        if let Some(at) = roots.iter().position(|root| *root == name) {
            value.clone_into(&mut options.roots[at]);
            return Ok(());
        }
        match name {
            "booking_method" => options.method = method(line, value)?,
            "infer_tolerance_from_cost" => {
                options.tolerance_from_cost = value.eq_ignore_ascii_case("true");
            }
            "inferred_tolerance_default" => {
                let parts = value.split_once(':');
                let parsed = parts.and_then(|(c, n)| Some((c, Quantity::parse(n).ok()?)));
                let Some((currency, tolerance)) = parsed else {
                    let message = "expected a tolerance such as \"USD:0.005\"";
                    return Err(line.refuse(line.text, Cause::Syntax, message));
                };
                options.tolerance_default.insert(currency.to_owned(), tolerance);
            }
            "inferred_tolerance_multiplier"
            | "tolerance_multiplier"
            | "account_rounding"
            | "allow_deprecated_none_for_tags_and_links" => {
                let message = format!("option `{name}` changes results and is not computed here");
                return Err(line.refuse(line.text, Cause::Unsupported, message));
            }
            _ => {}
        }
        Ok(())
    }

    /// A directive that starts with a date.
    fn dated(&mut self, text: &str, lines: &[Line<'_>], at: usize) -> Result<usize, ImportError> {
        let (line, mut next) = logical(text, lines, at)?;
        let word = |input: &mut &str| -> Parsed<(Date, String)> {
            let date = day(input)?;
            ws(input)?;
            let sign = one_of(['*', '!', '&', '#', '?', '%']).map(|c: char| c.to_string());
            let name = take_while(1.., |c: char| c.is_ascii_alphabetic()).map(str::to_owned);
            let what = winnow::combinator::alt((sign, name));
            let what =
                what.context(want("a directive such as open, balance or *")).parse_next(input)?;
            rest.parse_next(input)?;
            Ok((date, what))
        };
        let (date, what) = line.read(0, word)?;
        let from = line.text.find([' ', '\t']).unwrap_or(line.text.len());
        let from = from + line.text[from..].find(what.as_str()).unwrap_or(0) + what.len();
        let known = matches!(what.as_str(), "txn" | "P" | "S" | "T" | "C" | "U" | "R" | "M");
        if known || !what.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return self.transaction(text, lines, next, &line, from, date, &what);
        }
        let directive = self.other(&line, from, date, &what)?;
        if let Some(what) = directive {
            self.parts.directives.push(Dated { place: line.place(0), date, what });
        }
        // Metadata of the directive.
        while next < lines.len() && indented(&lines[next]) {
            let (line, after) = logical(text, lines, next)?;
            if !is_metadata(line.text.trim_start()) {
                let message = "expected metadata such as `name: \"value\"`";
                return Err(line.refuse(line.text.trim_start(), Cause::Syntax, message));
            }
            next = after;
        }
        Ok(next)
    }

    /// A dated directive that is no transaction.
    fn other(
        &mut self,
        line: &Line<'_>,
        from: usize,
        date: Date,
        what: &str,
    ) -> Result<Option<Directive>, ImportError> {
        Ok(match what {
            "open" => {
                let list =
                    winnow::combinator::separated(0.., currency.map(str::to_owned), (ws, ',', ws));
                let grammar = (ws, account, ws, list, ws, opt(string), end);
                let parts: (_, &str, _, Vec<String>, _, Option<String>, ()) =
                    line.read(from, grammar)?;
                let method = parts.5.map(|name| method(line, &name)).transpose()?;
                let account = self.account(line, parts.1)?;
                Some(Directive::Open { account, currencies: parts.3, method })
            }
            "close" => {
                let name = line.read(from, (ws, account, end))?.1;
                Some(Directive::Close { account: self.account(line, name)? })
            }
            "balance" => {
                let tolerance = opt(preceded(('~', ws), number));
                let grammar = (ws, account, ws, number, ws, tolerance, ws, currency, end);
                let parts = line.read(from, grammar)?;
                let amount = Amount { quantity: parts.3, commodity: parts.7.to_owned() };
                let account = self.account(line, parts.1)?;
                Some(Directive::Balance { account, amount, tolerance: parts.5 })
            }
            "pad" => {
                let parts = line.read(from, (ws, account, ws, account, end))?;
                let source = self.account(line, parts.3)?;
                Some(Directive::Pad { account: self.account(line, parts.1)?, source })
            }
            "note" | "document" => Some(self.remark(line, from, what)?),
            "price" => {
                self.price(line, from, date)?;
                None
            }
            "commodity" => {
                line.read(from, (ws, currency, end))?;
                None
            }
            "event" | "query" => {
                line.read(from, (ws, string, ws, string, end))?;
                None
            }
            "custom" => {
                line.read(from, (ws, string, rest))?;
                None
            }
            _ => {
                let message = format!("`{what}` is no directive");
                return Err(line.refuse(
                    &line.text[from.saturating_sub(what.len())..],
                    Cause::UnknownDirective,
                    message,
                ));
            }
        })
    }

    /// `note` and `document`.
    fn remark(
        &mut self,
        line: &Line<'_>,
        from: usize,
        what: &str,
    ) -> Result<Directive, ImportError> {
        let name = line.read(from, (ws, account, ws, string, marks, end))?.1;
        let account = self.account(line, name)?;
        if what == "document" {
            self.notice(line.place(0), "document_not_checked", "documents are not looked for");
        }
        Ok(Directive::Remark { account, document: what == "document" })
    }

    fn price(&mut self, line: &Line<'_>, from: usize, date: Date) -> Result<(), ImportError> {
        let grammar = (ws, currency, ws, amount, end);
        let (_, commodity, _, (quantity, of), ()) = line.read(from, grammar)?;
        let price = Amount { quantity, commodity: of };
        let (place, commodity) = (line.place(0), commodity.to_owned());
        self.parts.prices.push(PricePoint { place, date, commodity, price });
        Ok(())
    }

    /// An account whose root is one of the five.
    fn account(&self, line: &Line<'_>, name: &str) -> Result<String, ImportError> {
        let root = name.split(':').next().unwrap_or_default();
        if !self.parts.options.roots.iter().any(|known| known == root) {
            let roots = self.parts.options.roots.join(", ");
            let message = format!("expected an account under one of {roots}, found `{name}`");
            return Err(line.refuse(name, Cause::Syntax, message));
        }
        if name.len() > ACCOUNT_BYTES_MAX {
            let message = format!("an account name over {ACCOUNT_BYTES_MAX} bytes");
            return Err(line.refuse(name, Cause::TooMany, message));
        }
        Ok(name.to_owned())
    }

    /// A transaction: header read up to `from`, body from line `next`.
    #[expect(clippy::too_many_arguments, reason = "the parts of one line, all of them needed")]
    fn transaction(
        &mut self,
        text: &str,
        lines: &[Line<'_>],
        mut next: usize,
        line: &Line<'_>,
        from: usize,
        date: Date,
        flag: &str,
    ) -> Result<usize, ImportError> {
        if self.parts.directives.len() >= TRANSACTIONS_MAX {
            let message = format!("more than {TRANSACTIONS_MAX} directives");
            return Err(ImportError::new(line.place(0), Cause::TooMany, message));
        }
        let texts = repeat(0..=2, preceded((ws, opt(('|', ws))), string));
        let (texts, marked, ()): (Vec<String>, Vec<Tag>, ()) =
            line.read(from, (texts, marks, end))?;
        let mut tags: Vec<Tag> =
            self.pushed.iter().map(|name| Tag { name: name.clone(), value: None }).collect();
        tags.extend(marked);
        let mut postings = Vec::new();
        while next < lines.len() && indented(&lines[next]) {
            let (line, after) = logical(text, lines, next)?;
            let inside = line.text.trim_start();
            next = after;
            if inside.starts_with([';']) || is_metadata(inside) {
                continue;
            }
            if inside.starts_with(['#', '^']) && !inside[1..].starts_with([' ', '\t']) {
                tags.extend(line.read(0, (marks, end))?.0);
                continue;
            }
            let raw = line.read(0, posting)?;
            postings.push(DraftPosting {
                place: line.place_of(raw.account),
                account: self.account(&line, raw.account)?,
                units: raw.units,
                cost: raw.cost,
                price: raw.price,
            });
            if postings.len() > POSTINGS_MAX {
                let message = format!("more than {POSTINGS_MAX} postings");
                return Err(line.refuse(inside, Cause::TooMany, message));
            }
        }
        tags.dedup();
        let status = match flag {
            "*" | "txn" => Status::Cleared,
            "!" => Status::Pending,
            _ => Status::Unmarked,
        };
        let payee = texts.into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(" | ");
        let what = Directive::Transaction(Draft { status, payee, tags, postings });
        self.parts.directives.push(Dated { place: line.place(0), date, what });
        Ok(next)
    }
}

/// Tags and links; links keep their `^`.
fn marks(input: &mut &str) -> Parsed<Vec<Tag>> {
    let tag = mark('#').map(|name: &str| Tag { name: name.to_owned(), value: None });
    let link = mark('^').map(|name: &str| Tag { name: format!("^{name}"), value: None });
    repeat(0.., preceded(ws, winnow::combinator::alt((tag, link)))).parse_next(input)
}

/// Is the line part of the directive above it?
fn indented(line: &Line<'_>) -> bool {
    line.text.starts_with([' ', '\t']) && !line.text.trim().is_empty()
}

/// `name: value` with a name in lower case.
fn is_metadata(text: &str) -> bool {
    let name = text.split(':').next().unwrap_or_default();
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() > name.len()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// A booking method by its name.
fn method(line: &Line<'_>, name: &str) -> Result<Method, ImportError> {
    Ok(match name.to_ascii_uppercase().as_str() {
        "STRICT" => Method::Strict,
        "STRICT_WITH_SIZE" => Method::StrictWithSize,
        "NONE" => Method::None,
        "FIFO" => Method::Fifo,
        "LIFO" => Method::Lifo,
        "HIFO" => Method::Hifo,
        _ => {
            let message = format!("booking method `{name}`");
            return Err(line.refuse(line.text, Cause::CostBasis, message));
        }
    })
}
