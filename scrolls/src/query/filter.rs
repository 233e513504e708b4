//! One filter: a field, a comparison and a value of the field's kind.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use vm_receipts::line::{End, Line};
use vm_receipts::moment::Moment;

use super::{
    QueryError, QueryErrorKind, QueryKind, Schema, VALUE_BYTES_MAX, compare_decimals, is_decimal,
    text,
};

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `>=`
    Ge,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `<`
    Lt,
    /// `^=`: begins with.
    Prefix,
}

impl Op {
    /// All comparisons, longer spellings first, so that the first match is the right one.
    pub const ALL: [Self; 7] =
        [Self::Ne, Self::Ge, Self::Le, Self::Prefix, Self::Eq, Self::Gt, Self::Lt];

    /// The sign for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Ge => ">=",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Lt => "<",
            Self::Prefix => "^=",
        }
    }

    fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Ge => order.is_ge(),
            Self::Le => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Lt => order.is_lt(),
            // Only texts begin with something, and they are not ordered.
            Self::Prefix => false,
        }
    }
}

impl FromStr for Op {
    type Err = QueryError;

    fn from_str(sign: &str) -> Result<Self, QueryError> {
        let found = Self::ALL.into_iter().find(|op| op.as_str() == sign);
        found.ok_or(QueryError { byte: None, kind: QueryErrorKind::ExpectedOp })
    }
}

/// Names of the envelope and the kinds of their values; `from` and its like are moments with a fixed
/// comparison, and `effective_at` is read from the body.
pub(super) const ENVELOPE: &[(&str, QueryKind)] = &[
    ("type", QueryKind::Text),
    ("op", QueryKind::Text),
    ("id", QueryKind::Text),
    ("actor", QueryKind::Text),
    ("seq", QueryKind::Integer),
    ("at", QueryKind::Time),
    ("from", QueryKind::Time),
    ("to", QueryKind::Time),
    ("effective_at", QueryKind::Time),
    ("effective_from", QueryKind::Time),
    ("effective_to", QueryKind::Time),
    ("tag", QueryKind::TextList),
    ("end", QueryKind::Text),
];

/// What a filter looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A member of the envelope, by its name in the language.
    Envelope(&'static str),
    /// A member of the body.
    Body(String),
}

impl Target {
    fn effective_at() -> Self {
        Self::Body("effective_at".to_owned())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    Text(String),
    Integer(i64),
    Decimal(String),
    Time(Moment),
    Bool(bool),
    TextInList(String),
}

/// One filter; made from a schema, so its comparison and value fit its field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    target: Target,
    op: Op,
    operand: Operand,
}

/// Where a name leads: the field, its kind and, for `from` and its like, the one comparison it means.
struct Resolved {
    target: Target,
    kind: QueryKind,
    means: Option<Op>,
}

fn resolve(schema: &Schema, written: &str) -> Result<Resolved, QueryErrorKind> {
    let name = written.replace('-', "_");
    let body = name.strip_prefix("body.");
    if body.is_none()
        && let Some((name, kind)) = ENVELOPE.iter().find(|(known, _)| *known == name)
    {
        let (target, means) = match *name {
            "from" => (Target::Envelope("at"), Some(Op::Ge)),
            "to" => (Target::Envelope("at"), Some(Op::Lt)),
            "effective_at" => (Target::effective_at(), None),
            "effective_from" => (Target::effective_at(), Some(Op::Ge)),
            "effective_to" => (Target::effective_at(), Some(Op::Lt)),
            name => (Target::Envelope(name), None),
        };
        return Ok(Resolved { target, kind: *kind, means });
    }
    let wanted = body.unwrap_or(&name);
    let declared = schema.fields.iter().find(|field| field.name == wanted);
    match declared {
        Some(field) => {
            let target = Target::Body(field.name.clone());
            Ok(Resolved { target, kind: field.kind, means: None })
        }
        None => {
            Err(QueryErrorKind::UnknownField { name: written.to_owned(), known: schema.known() })
        }
    }
}

impl Filter {
    /// A filter from its parts; errors have no byte place, because there is no text.
    pub fn new(schema: &Schema, name: &str, op: Op, value: &str) -> Result<Self, QueryError> {
        Self::checked(schema, name, op, value).map_err(|kind| QueryError { byte: None, kind })
    }

    fn checked(schema: &Schema, name: &str, op: Op, value: &str) -> Result<Self, QueryErrorKind> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(QueryErrorKind::ValueTooLong);
        }
        let Resolved { target, kind, means } = resolve(schema, name)?;
        let allowed = if means.is_some() { &[Op::Eq] } else { kind.ops() };
        if !allowed.contains(&op) {
            let (name, allowed) = (name.to_owned(), allowed.to_vec());
            return Err(QueryErrorKind::OpNotAllowed { name, op, allowed });
        }
        let bad = QueryErrorKind::BadValue { name: name.to_owned(), kind };
        let operand = operand(kind, value).ok_or(bad)?;
        let is_end = |word: &str| word == End::Completed.word() || word == End::Aborted.word();
        if target == Target::Envelope("end") && op != Op::Prefix && !is_end(value) {
            return Err(QueryErrorKind::BadWord { name: "end", words: "completed or aborted" });
        }
        Ok(Self { target, op: means.unwrap_or(op), operand })
    }

    /// What it looks at.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its comparison.
    #[must_use]
    pub fn op(&self) -> Op {
        self.op
    }

    /// Its value as text.
    #[must_use]
    pub fn value(&self) -> String {
        match &self.operand {
            Operand::Text(text) | Operand::Decimal(text) | Operand::TextInList(text) => {
                text.clone()
            }
            Operand::Integer(number) => number.to_string(),
            Operand::Time(moment) => moment.to_string(),
            Operand::Bool(yes) => yes.to_string(),
        }
    }

    /// The moment it compares with, if it looks at a time.
    #[must_use]
    pub fn moment(&self) -> Option<Moment> {
        if let Operand::Time(moment) = self.operand { Some(moment) } else { None }
    }

    /// The number it compares with, if it looks at an integer.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        if let Operand::Integer(number) = self.operand { Some(number) } else { None }
    }

    pub(super) fn operand(&self) -> &Operand {
        &self.operand
    }

    /// Whether a line passes.
    #[must_use]
    pub fn matches(&self, line: &Line) -> bool {
        match &self.target {
            Target::Envelope(name) => self.matches_envelope(name, line),
            Target::Body(name) => {
                line.body.get(name).is_some_and(|value| self.matches_value(value))
            }
        }
    }

    fn matches_envelope(&self, name: &str, line: &Line) -> bool {
        match (name, &self.operand) {
            ("type", Operand::Text(text)) => self.matches_text(&line.kind, text),
            ("op", Operand::Text(text)) => self.matches_text(&line.op, text),
            ("id", Operand::Text(text)) => self.matches_text(&line.id, text),
            ("actor", Operand::Text(text)) => self.matches_text(&line.actor, text),
            ("end", Operand::Text(text)) => self.matches_text(line.end.word(), text),
            ("seq", Operand::Integer(number)) => {
                let order = u64::try_from(*number).map_or(Ordering::Greater, |n| line.seq.cmp(&n));
                self.op.accepts(order)
            }
            ("at", Operand::Time(moment)) => self.op.accepts(line.at.cmp(moment)),
            ("tag", Operand::TextInList(text)) => {
                self.matches_list(line.tags.iter().map(String::as_str), text)
            }
            _ => false,
        }
    }

    fn matches_value(&self, value: &Value) -> bool {
        match (&self.operand, value) {
            (Operand::Text(wanted), Value::String(found)) => self.matches_text(found, wanted),
            (Operand::Integer(wanted), Value::Number(found)) => {
                found.as_i64().is_some_and(|found| self.op.accepts(found.cmp(wanted)))
            }
            (Operand::Decimal(wanted), Value::String(found)) => self.matches_decimal(found, wanted),
            (Operand::Decimal(wanted), Value::Number(found)) => {
                self.matches_decimal(&found.to_string(), wanted)
            }
            (Operand::Time(wanted), Value::String(found)) => {
                Moment::parse_human(found).is_ok_and(|found| self.op.accepts(found.cmp(wanted)))
            }
            (Operand::Bool(wanted), Value::Bool(found)) => self.op.accepts(found.cmp(wanted)),
            (Operand::TextInList(wanted), Value::Array(list)) => {
                self.matches_list(list.iter().filter_map(Value::as_str), wanted)
            }
            _ => false,
        }
    }

    fn matches_text(&self, found: &str, wanted: &str) -> bool {
        match self.op {
            Op::Prefix => found.starts_with(wanted),
            op => op.accepts(found.cmp(wanted)),
        }
    }

    fn matches_decimal(&self, found: &str, wanted: &str) -> bool {
        compare_decimals(found, wanted).is_some_and(|order| self.op.accepts(order))
    }

    fn matches_list<'a>(&self, mut found: impl Iterator<Item = &'a str>, wanted: &str) -> bool {
        match self.op {
            Op::Ne => found.all(|text| text != wanted),
            Op::Prefix => found.any(|text| text.starts_with(wanted)),
            _ => found.any(|text| text == wanted),
        }
    }
}

fn operand(kind: QueryKind, value: &str) -> Option<Operand> {
    Some(match kind {
        QueryKind::Text => Operand::Text(value.to_owned()),
        QueryKind::TextList => Operand::TextInList(value.to_owned()),
        QueryKind::Integer => Operand::Integer(integer(value)?),
        QueryKind::Decimal => Operand::Decimal(Some(value).filter(|v| is_decimal(v))?.to_owned()),
        QueryKind::Time => Operand::Time(Moment::parse_human(value).ok()?),
        QueryKind::Bool => Operand::Bool(value.parse().ok()?),
    })
}

fn integer(value: &str) -> Option<i64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { value.parse().ok() } else { None }
}

/// Prints `name<op>value` so that it parses back to the same filter.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.target, &self.operand) {
            (Target::Envelope(name), _) => f.write_str(name)?,
            // As a moment it needs no declaration; `body.` would lead to a declared field of its name.
            (Target::Body(name), Operand::Time(_)) if name == "effective_at" => {
                f.write_str(name)?
            }
            (Target::Body(name), _) => write!(f, "body.{name}")?,
        }
        f.write_str(self.op.as_str())?;
        text::write_value(f, &self.value())
    }
}
