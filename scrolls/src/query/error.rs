//! Why a query was refused.

use std::fmt;

use super::{FILTERS_MAX, LIMIT_MAX, Op, QUERY_BYTES_MAX, QueryKind, VALUE_BYTES_MAX};

/// A refused query: what is wrong and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// Offset in the query text; `None` when the filter did not come from text.
    pub byte: Option<usize>,
    /// What is wrong.
    pub kind: QueryErrorKind,
}

/// The kinds of fault in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryErrorKind {
    /// The text is longer than 65,536 bytes.
    TooLong,
    /// More than 64 filters.
    TooManyFilters,
    /// A value longer than 4,096 bytes.
    ValueTooLong,
    /// A name was expected.
    ExpectedName,
    /// A comparison was expected after the name.
    ExpectedOp,
    /// A value was expected; an empty one is written `""`.
    ExpectedValue,
    /// A quoted value does not end, or white space does not follow it.
    Quote,
    /// A backslash before something other than a quote or a backslash.
    Escape,
    /// The name is not declared.
    UnknownField {
        /// The name as written.
        name: String,
        /// All names that may be used.
        known: Vec<String>,
    },
    /// The field does not allow this comparison.
    OpNotAllowed {
        /// Name of the field.
        name: String,
        /// The comparison asked for.
        op: Op,
        /// Those it allows.
        allowed: Vec<Op>,
    },
    /// The value is not of the field's kind.
    BadValue {
        /// Name of the field.
        name: String,
        /// The kind expected.
        kind: QueryKind,
    },
    /// The value is none of the words the field can have.
    BadWord {
        /// Name of the field or setting.
        name: &'static str,
        /// The words it can have.
        words: &'static str,
    },
    /// The limit is not 1 to 10,000.
    BadLimit,
    /// A setting stands twice.
    Repeated(&'static str),
    /// The cursor is not one of ours.
    BadCursor,
    /// The cursor belongs to another query, order or scroll.
    ForeignCursor,
    /// The lines did not come in the query's order, or from one scroll.
    Disorder,
}

impl QueryError {
    pub(super) fn new(byte: usize, kind: QueryErrorKind) -> Self {
        Self { byte: Some(byte), kind }
    }

    pub(super) fn at(self, byte: usize) -> Self {
        Self { byte: Some(self.byte.unwrap_or(byte)), ..self }
    }

    /// Stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            QueryErrorKind::TooLong
            | QueryErrorKind::TooManyFilters
            | QueryErrorKind::ValueTooLong => "query_too_large",
            QueryErrorKind::ExpectedName
            | QueryErrorKind::ExpectedOp
            | QueryErrorKind::ExpectedValue
            | QueryErrorKind::Quote
            | QueryErrorKind::Escape
            | QueryErrorKind::Repeated(_) => "query_malformed",
            QueryErrorKind::UnknownField { .. } => "query_unknown_field",
            QueryErrorKind::OpNotAllowed { .. } => "query_op_not_allowed",
            QueryErrorKind::BadValue { .. } | QueryErrorKind::BadWord { .. } => "query_bad_value",
            QueryErrorKind::BadLimit => "query_bad_limit",
            QueryErrorKind::BadCursor => "query_bad_cursor",
            QueryErrorKind::ForeignCursor => "query_foreign_cursor",
            QueryErrorKind::Disorder => "query_disorder",
        }
    }

    /// What the reader can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match &self.kind {
            QueryErrorKind::UnknownField { known, .. } => {
                Some(format!("known fields: {}", known.join(", ")))
            }
            QueryErrorKind::OpNotAllowed { allowed, .. } => {
                let allowed: Vec<&str> = allowed.iter().map(|op| op.as_str()).collect();
                Some(format!("allowed: {}", allowed.join(" ")))
            }
            QueryErrorKind::ExpectedValue => Some("an empty value is written \"\"".to_owned()),
            QueryErrorKind::ForeignCursor => {
                Some("a cursor continues the query it came from; start without it".to_owned())
            }
            _ => None,
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.byte {
            Some(byte) => write!(f, "query (byte {byte}): {}", self.kind),
            None => write!(f, "query: {}", self.kind),
        }
    }
}

impl fmt::Display for QueryErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {QUERY_BYTES_MAX} bytes"),
            Self::TooManyFilters => write!(f, "more than {FILTERS_MAX} filters"),
            Self::ValueTooLong => write!(f, "a value is longer than {VALUE_BYTES_MAX} bytes"),
            Self::ExpectedName => write!(f, "expected a field name"),
            Self::ExpectedOp => write!(f, "expected one of = != >= <= > < ^="),
            Self::ExpectedValue => write!(f, "expected a value"),
            Self::Quote => write!(f, "a quoted value must end in a quote, with a space after it"),
            Self::Escape => write!(f, "a backslash may only stand before a quote or a backslash"),
            Self::UnknownField { name, .. } => write!(f, "{name:?} is not a field of this scroll"),
            Self::OpNotAllowed { name, op, .. } => {
                write!(f, "{name:?} cannot be compared with {}", op.as_str())
            }
            Self::BadValue { name, kind } => {
                write!(f, "the value of {name:?} must be of kind {}", kind.as_str())
            }
            Self::BadWord { name, words } => write!(f, "{name} must be {words}"),
            Self::BadLimit => write!(f, "limit must be 1 to {LIMIT_MAX}"),
            Self::Repeated(name) => write!(f, "{name} stands twice"),
            Self::BadCursor => write!(f, "not a cursor"),
            Self::ForeignCursor => write!(f, "the cursor belongs to another query or scroll"),
            Self::Disorder => write!(f, "lines of another scroll or out of order were scanned"),
        }
    }
}

impl std::error::Error for QueryError {}
