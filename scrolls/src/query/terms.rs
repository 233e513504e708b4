//! What an index keeps of a line, and which filters it can answer.
//!
//! A term is a field and one value of it. An index that knows the places of each term finds the lines of a filter
//! without reading all of them. It may find too many, because whoever asks looks at each line again; it never finds
//! too few: a line that [matches](Filter::matches) a filter has the filter's term among its own.

use serde_json::Value;
use vm_receipts::line::Line;
use vm_receipts::moment::Moment;

use super::decimal::plain_decimal;
use super::filter::Operand;
use super::{Filter, Op, QueryKind, Schema, Target};

/// A field and one value of it, in the one spelling that equal values share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// Number of the field in its [`TermFields`].
    pub field: u8,
    /// The value.
    pub value: Vec<u8>,
}

/// Envelope fields with terms; their numbers are their places here. `id` is not among them: calls are found by id in
/// a table of their own.
const ENVELOPE: [&str; 5] = ["type", "op", "actor", "tag", "end"];
/// Number of the first body field; those between are free.
const BODY_FIRST: u8 = 16;

/// The fields of a scroll that have terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermFields {
    /// Body fields by name and kind; the number of one is its place after [`BODY_FIRST`].
    body: Vec<(String, QueryKind)>,
}

impl TermFields {
    /// The fields of a schema. Those beyond the 239th have no terms, and filters on them read every line.
    #[must_use]
    pub fn new(schema: &Schema) -> Self {
        let mut body: Vec<(String, QueryKind)> = Vec::new();
        // The language knows it without a declaration.
        let effective_at = ("effective_at".to_owned(), QueryKind::Time);
        let declared = schema.fields.iter().map(|field| (field.name.clone(), field.kind));
        for field in declared.chain([effective_at]) {
            if !body.contains(&field) {
                body.push(field);
            }
        }
        body.truncate(usize::from(u8::MAX - BODY_FIRST));
        Self { body }
    }

    /// Numbers, names and kinds as one text: an index made with another text must not be asked with this one.
    #[must_use]
    pub fn text(&self) -> String {
        let envelope =
            (0..).zip(ENVELOPE).map(|(number, name): (u8, _)| format!("{number} {name}"));
        let body = (BODY_FIRST..)
            .zip(&self.body)
            .map(|(number, (name, kind))| format!("{number} body.{name} {}", kind.as_str()));
        envelope.chain(body).collect::<Vec<_>>().join("\n")
    }

    /// The terms of a line. A field that the line does not have, or has in another form, gives none; a list gives one
    /// for each element.
    #[must_use]
    pub fn of_line(&self, line: &Line) -> Vec<Term> {
        let mut terms = Vec::with_capacity(ENVELOPE.len() + self.body.len() / 2);
        let envelope = [&line.kind, &line.op, &line.actor].map(|text| text.as_bytes().to_vec());
        for (field, value) in (0..).zip(envelope) {
            terms.push(Term { field, value });
        }
        let tags = line.tags.iter().map(|tag| Term { field: 3, value: tag.as_bytes().to_vec() });
        terms.extend(tags);
        terms.push(Term { field: 4, value: line.end.word().as_bytes().to_vec() });
        for (field, (name, kind)) in (BODY_FIRST..).zip(&self.body) {
            match line.body.get(name) {
                Some(Value::Array(list)) if *kind == QueryKind::TextList => {
                    let texts = list.iter().filter_map(Value::as_str);
                    terms.extend(texts.map(|t| Term { field, value: t.as_bytes().to_vec() }));
                }
                Some(found) => {
                    terms.extend(value(*kind, found).map(|value| Term { field, value }));
                }
                None => {}
            }
        }
        terms
    }

    /// The term that every line passing this filter has; `None` when the filter is not for an index of terms.
    #[must_use]
    pub fn of_filter(&self, filter: &Filter) -> Option<Term> {
        if filter.op() != Op::Eq {
            return None;
        }
        let (kind, value) = match filter.operand() {
            Operand::Text(text) => (QueryKind::Text, text.as_bytes().to_vec()),
            Operand::TextInList(text) => (QueryKind::TextList, text.as_bytes().to_vec()),
            Operand::Integer(number) => (QueryKind::Integer, ordered(*number)),
            Operand::Decimal(text) => (QueryKind::Decimal, plain_decimal(text)?.into_bytes()),
            Operand::Time(moment) => (QueryKind::Time, ordered(moment.unix_ms())),
            Operand::Bool(yes) => (QueryKind::Bool, vec![u8::from(*yes)]),
        };
        Some(Term { field: self.number(filter.target(), kind)?, value })
    }

    /// The beginning of a term that every line passing this `^=` filter has; `None` for other filters.
    #[must_use]
    pub fn of_prefix(&self, filter: &Filter) -> Option<Term> {
        if filter.op() != Op::Prefix {
            return None;
        }
        let (kind, text) = match filter.operand() {
            Operand::Text(text) => (QueryKind::Text, text),
            Operand::TextInList(text) => (QueryKind::TextList, text),
            _ => return None,
        };
        let value = text.as_bytes().to_vec();
        Some(Term { field: self.number(filter.target(), kind)?, value })
    }

    fn number(&self, target: &Target, kind: QueryKind) -> Option<u8> {
        let (place, first) = match target {
            Target::Envelope(name) => (ENVELOPE.iter().position(|known| known == name)?, 0),
            Target::Body(name) => {
                let same = |(known, its): &(String, QueryKind)| known == name && *its == kind;
                (self.body.iter().position(same)?, BODY_FIRST)
            }
        };
        u8::try_from(place).ok()?.checked_add(first)
    }
}

/// A value as the filters of this kind read it.
fn value(kind: QueryKind, found: &Value) -> Option<Vec<u8>> {
    match (kind, found) {
        (QueryKind::Text, Value::String(text)) => Some(text.as_bytes().to_vec()),
        (QueryKind::Integer, Value::Number(number)) => Some(ordered(number.as_i64()?)),
        (QueryKind::Decimal, Value::String(text)) => Some(plain_decimal(text)?.into_bytes()),
        (QueryKind::Decimal, Value::Number(number)) => {
            Some(plain_decimal(&number.to_string())?.into_bytes())
        }
        (QueryKind::Time, Value::String(text)) => {
            Some(ordered(Moment::parse_human(text).ok()?.unix_ms()))
        }
        (QueryKind::Bool, Value::Bool(yes)) => Some(vec![u8::from(*yes)]),
        _ => None,
    }
}

/// Eight bytes that sort as the numbers do.
fn ordered(number: i64) -> Vec<u8> {
    (number.cast_unsigned() ^ (1 << 63)).to_be_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::QueryField;
    use super::*;

    #[test]
    fn each_field_has_one_number_for_each_kind() {
        let field = |name: &str, kind| QueryField::new(name, kind);
        let schema = Schema::new(vec![
            field("amount", QueryKind::Decimal),
            field("amount", QueryKind::Decimal),
            field("amount", QueryKind::Text),
        ]);
        let text = TermFields::new(&schema).text();
        assert!(text.ends_with(
            "4 end\n16 body.amount decimal\n17 body.amount text\n18 body.effective_at time"
        ));
        let many = (0..300).map(|n| field(&format!("f{n}"), QueryKind::Bool)).collect();
        let many = TermFields::new(&Schema::new(many));
        assert_eq!(many.body.len(), 239);
        let last =
            Filter::new(&Schema::new(vec![field("f299", QueryKind::Bool)]), "f299", Op::Eq, "true");
        assert_eq!(many.of_filter(&last.unwrap()), None);
    }

    #[test]
    fn equal_values_have_one_term() {
        let one = |text| plain_decimal(text).unwrap();
        for same in ["10", "10.00", "010.0"] {
            assert_eq!(one(same), one("10"));
        }
        assert_eq!(one("-0.0"), one("0"));
        assert_ne!(one("-1"), one("1"));
        assert_ne!(one("1.1"), one("11"));
        assert!(ordered(-1) < ordered(0) && ordered(i64::MIN) < ordered(i64::MAX));
    }
}
