//! The text form of a query: reading and printing.

use std::fmt;

use super::{
    Cursor, FILTERS_MAX, Filter, LIMIT_DEFAULT, LIMIT_MAX, Op, Order, QUERY_BYTES_MAX, Query,
    QueryError, QueryErrorKind, Schema,
};

/// Reads a text from the front and keeps the place.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// One `name<op>value` and where its parts stand.
struct Term<'a> {
    name: &'a str,
    name_at: usize,
    op: Op,
    op_at: usize,
    value: String,
    value_at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fault(&self, kind: QueryErrorKind) -> QueryError {
        QueryError::new(self.at, kind)
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn term(&mut self) -> Result<Option<Term<'a>>, QueryError> {
        self.skip_space();
        if self.rest().is_empty() {
            return Ok(None);
        }
        let name_at = self.at;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let length = self.rest().find(|c| !is_name(c)).unwrap_or(self.rest().len());
        if length == 0 {
            return Err(self.fault(QueryErrorKind::ExpectedName));
        }
        let name = &self.rest()[..length];
        self.at += length;

        let op_at = self.at;
        let op = Op::ALL.into_iter().find(|op| self.rest().starts_with(op.as_str()));
        let op = op.ok_or_else(|| self.fault(QueryErrorKind::ExpectedOp))?;
        self.at += op.as_str().len();

        let value_at = self.at;
        let value = if self.rest().starts_with('"') { self.quoted()? } else { self.bare()? };
        Ok(Some(Term { name, name_at, op, op_at, value, value_at }))
    }

    fn bare(&mut self) -> Result<String, QueryError> {
        let rest = self.rest();
        let value = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
        if value.is_empty() {
            return Err(self.fault(QueryErrorKind::ExpectedValue));
        }
        if let Some(quote) = value.find('"') {
            return Err(QueryError::new(self.at + quote, QueryErrorKind::Quote));
        }
        self.at += value.len();
        Ok(value.to_owned())
    }

    fn quoted(&mut self) -> Result<String, QueryError> {
        let start = self.at;
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((place, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + place + 1;
                    let ended = self.rest().chars().next().is_none_or(char::is_whitespace);
                    return if ended { Ok(value) } else { Err(self.fault(QueryErrorKind::Quote)) };
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                    _ => return Err(QueryError::new(start + place, QueryErrorKind::Escape)),
                },
                c => value.push(c),
            }
        }
        Err(QueryError::new(start, QueryErrorKind::Quote))
    }
}

/// Words that set something instead of filtering.
#[derive(Default)]
struct Settings {
    order: Option<Order>,
    limit: Option<usize>,
    cursor: Option<Cursor>,
}

impl Settings {
    /// Takes a setting in; `false` when the term is a filter.
    fn take(&mut self, term: &Term<'_>) -> Result<bool, QueryError> {
        let name = match term.name {
            "order" => "order",
            "limit" => "limit",
            "cursor" => "cursor",
            _ => return Ok(false),
        };
        if term.op != Op::Eq {
            let (name, allowed) = (name.to_owned(), vec![Op::Eq]);
            let kind = QueryErrorKind::OpNotAllowed { name, op: term.op, allowed };
            return Err(QueryError::new(term.op_at, kind));
        }
        let bad = |kind| QueryError::new(term.value_at, kind);
        let twice = match name {
            "order" => self.order.replace(parse_order(&term.value).map_err(bad)?).is_some(),
            "limit" => self.limit.replace(parse_limit(&term.value).map_err(bad)?).is_some(),
            _ => {
                let cursor = Cursor::parse(&term.value).map_err(|e| e.at(term.value_at))?;
                self.cursor.replace(cursor).is_some()
            }
        };
        if twice {
            return Err(QueryError::new(term.name_at, QueryErrorKind::Repeated(name)));
        }
        Ok(true)
    }
}

fn parse_order(word: &str) -> Result<Order, QueryErrorKind> {
    match word {
        "asc" => Ok(Order::Asc),
        "desc" => Ok(Order::Desc),
        _ => Err(QueryErrorKind::BadWord { name: "order", words: "asc or desc" }),
    }
}

fn parse_limit(text: &str) -> Result<usize, QueryErrorKind> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let limit = if plain { text.parse().ok() } else { None };
    limit.filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or(QueryErrorKind::BadLimit)
}

/// Parses query text.
pub(super) fn parse(schema: &Schema, text: &str) -> Result<Query, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(QueryError::new(QUERY_BYTES_MAX, QueryErrorKind::TooLong));
    }
    let mut scanner = Scanner { text, at: 0 };
    let mut settings = Settings::default();
    let mut filters = Vec::new();
    while let Some(term) = scanner.term()? {
        if settings.take(&term)? {
            continue;
        }
        if filters.len() == FILTERS_MAX {
            return Err(QueryError::new(term.name_at, QueryErrorKind::TooManyFilters));
        }
        let filter = Filter::new(schema, term.name, term.op, &term.value);
        filters.push(filter.map_err(|e| {
            let place = match e.kind {
                QueryErrorKind::UnknownField { .. } => term.name_at,
                QueryErrorKind::OpNotAllowed { .. } => term.op_at,
                _ => term.value_at,
            };
            e.at(place)
        })?);
    }
    let Settings { order, limit, cursor } = settings;
    let order = order.unwrap_or_default();
    Ok(Query { filters, order, limit: limit.unwrap_or(LIMIT_DEFAULT), cursor })
}

/// Writes a value so that it reads back: bare where that is unambiguous, else in quotes.
pub(super) fn write_value(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    if !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '"') {
        return f.write_str(value);
    }
    f.write_str("\"")?;
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    f.write_str("\"")
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for filter in &self.filters {
            write!(f, "{filter} ")?;
        }
        write!(f, "order={} limit={}", self.order.as_str(), self.limit)?;
        self.cursor.iter().try_for_each(|cursor| write!(f, " cursor={cursor}"))
    }
}
