//! The query language: filters over declared fields, an order, a limit and a stable cursor.
//!
//! `type=treasury_debit amount>=10.00 from=2026-01-01 account^=assets:` means the same on every surface.
//! All filters must hold. A filter on a field that a line does not have, or has in another form, does
//! not match that line, also with `!=`.

mod cursor;
mod decimal;
mod error;
mod filter;
mod page;
pub mod terms;
mod text;

pub use cursor::Cursor;
pub use decimal::{compare_decimals, is_decimal};
pub use error::{QueryError, QueryErrorKind};
pub use filter::{Filter, Op, Target};
pub use page::{Page, matches, run, try_run};

/// Matches returned when the query does not say.
pub const LIMIT_DEFAULT: usize = 100;
/// Most matches one page can have.
pub const LIMIT_MAX: usize = 10_000;
/// Most filters of one query.
pub const FILTERS_MAX: usize = 64;
/// Longest query text, in bytes.
pub const QUERY_BYTES_MAX: usize = 65_536;
/// Longest value of a filter, in bytes.
pub const VALUE_BYTES_MAX: usize = 4_096;

/// What kind of value a field has, and with it which comparisons it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKind {
    /// Text: `=`, `!=`, `^=`.
    Text,
    /// Integer: `=`, `!=`, `<`, `<=`, `>`, `>=`.
    Integer,
    /// Decimal string of any scale, compared by value: as integers.
    Decimal,
    /// Moment (RFC 3339 or a date): as integers.
    Time,
    /// `true` or `false`: `=`, `!=`.
    Bool,
    /// List of texts: `=` one of them is, `!=` none of them is, `^=` one of them begins so.
    TextList,
}

impl QueryKind {
    /// The comparisons a field of this kind allows.
    #[must_use]
    pub fn ops(self) -> &'static [Op] {
        match self {
            Self::Text | Self::TextList => &[Op::Eq, Op::Ne, Op::Prefix],
            Self::Integer | Self::Decimal | Self::Time => {
                &[Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge]
            }
            Self::Bool => &[Op::Eq, Op::Ne],
        }
    }

    /// Name of the kind in messages and generated pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Time => "time",
            Self::Bool => "bool",
            Self::TextList => "list of texts",
        }
    }
}

/// A body field that may be filtered on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryField {
    /// Name of the body member, `snake_case`.
    pub name: String,
    /// Kind of its value.
    pub kind: QueryKind,
}

impl QueryField {
    /// A field from its name and kind.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: QueryKind) -> Self {
        Self { name: name.into(), kind }
    }
}

/// The body fields of a scroll that may be filtered on; the envelope's fields always can be.
///
/// An envelope field and a body field may share a name: the bare name is the envelope's, `body.name`
/// always the body's. Dashes and underscores in names mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// The declared body fields.
    pub fields: Vec<QueryField>,
}

impl Schema {
    /// A schema from its fields.
    #[must_use]
    pub fn new(fields: Vec<QueryField>) -> Self {
        Self { fields }
    }

    /// Every name a query may use, for messages and help.
    #[must_use]
    pub fn known(&self) -> Vec<String> {
        let envelope = filter::ENVELOPE.iter().map(|(name, _)| (*name).to_owned());
        let declared = self.fields.iter().map(|field| field.name.clone());
        let mut names: Vec<String> = Vec::new();
        for name in envelope.chain(declared) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// Direction of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Oldest first.
    #[default]
    Asc,
    /// Newest first.
    Desc,
}

impl Order {
    /// The word for it in query text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }
}

/// What is asked for. Printing a query and parsing the text gives the same query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// All of them must hold.
    pub filters: Vec<Filter>,
    /// Direction.
    pub order: Order,
    /// Most matches in one page, 1 to 10,000.
    pub limit: usize,
    /// Where an earlier page ended.
    pub cursor: Option<Cursor>,
}

impl Default for Query {
    fn default() -> Self {
        Self { filters: Vec::new(), order: Order::Asc, limit: LIMIT_DEFAULT, cursor: None }
    }
}

impl Query {
    /// Parses query text: filters `name<op>value` and the words `order=`, `limit=` and `cursor=`,
    /// separated by white space. Errors carry the byte offset and, for an unknown name, all known ones.
    pub fn parse(schema: &Schema, text: &str) -> Result<Self, QueryError> {
        text::parse(schema, text)
    }
}
