//! The public face of an intent or a body: private values replaced by their salted digests (RFC 9901).
//!
//! What a digest is made of (salt, opening, decoy) is the ledger's business and comes in as a function; this module
//! only says where the private places are, in one order that never changes: declared order, list items in turn.

use crate::spec::{Field, Kind, Spec};
use serde_json::{Map, Value};
use vm_receipts::private::{ITEM, SD};

/// One place at which a private value stands, or could stand.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Where it is, unique within the intent: `memo`, `transfers[3].memo`, `names[0]`.
    pub path: &'a str,
    /// Name of the field; `None` for an item of a list.
    pub name: Option<&'static str>,
    /// The value; `None` where an optional field was left out, which a decoy hides.
    pub value: Option<&'a Value>,
}

/// The part of a checked intent that its digest is made of and that contract.json shows: without secrets, private
/// values as digests, tags beside.
///
/// # Errors
/// What `digest` says; nothing of its own.
pub fn veil<E>(
    spec: &Spec,
    intent: &Map<String, Value>,
    tags: &[String],
    digest: &mut dyn FnMut(Place<'_>) -> Result<String, E>,
) -> Result<Map<String, Value>, E> {
    let mut out = object(spec.fields, intent, "", digest)?;
    if !tags.is_empty() {
        out.insert("tags".into(), Value::from(tags.to_vec()));
    }
    Ok(out)
}

/// Private values of a checked intent by field name: what an engine's effects may need and no file may show.
pub fn hidden(spec: &Spec, intent: &Map<String, Value>) -> Map<String, Value> {
    let is_hidden = |name: &String| spec.field(name).is_some_and(|f| f.hides() || f.secret);
    intent.iter().filter(|(k, _)| is_hidden(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn object<E>(
    declared: &'static [Field],
    given: &Map<String, Value>,
    path: &str,
    digest: &mut dyn FnMut(Place<'_>) -> Result<String, E>,
) -> Result<Map<String, Value>, E> {
    let mut out = Map::new();
    let mut digests = Vec::new();
    for field in declared.iter().filter(|f| f.is_input() && !f.secret) {
        let here = format!("{path}{}", field.name);
        let value = given.get(field.name);
        if field.private {
            digests.push(digest(Place { path: &here, name: Some(field.name), value })?);
        } else if let Some(value) = value {
            out.insert(field.name.to_owned(), one(field, value, &here, digest)?);
        }
    }
    put_digests(&mut out, digests);
    Ok(out)
}

fn one<E>(
    field: &'static Field,
    value: &Value,
    path: &str,
    digest: &mut dyn FnMut(Place<'_>) -> Result<String, E>,
) -> Result<Value, E> {
    match (field.kind, value) {
        (Kind::List(_, inner), Value::Array(items)) => {
            let mut out = Vec::with_capacity(items.len());
            for (n, item) in items.iter().enumerate() {
                let place = format!("{path}[{n}].");
                out.push(match item {
                    Value::Object(item) => Value::Object(object(inner, item, &place, digest)?),
                    other => other.clone(),
                });
            }
            Ok(Value::Array(out))
        }
        (_, Value::Array(list)) if field.private_items => items(list, path, digest),
        _ => Ok(value.clone()),
    }
}

/// A list of private texts, each as `{"...": digest}`.
pub fn items<E>(
    list: &[Value],
    path: &str,
    digest: &mut dyn FnMut(Place<'_>) -> Result<String, E>,
) -> Result<Value, E> {
    let mut out = Vec::with_capacity(list.len());
    for (n, value) in list.iter().enumerate() {
        let path = format!("{path}[{n}]");
        let found = digest(Place { path: &path, name: None, value: Some(value) })?;
        out.push(Value::Object(Map::from_iter([(ITEM.to_owned(), Value::from(found))])));
    }
    Ok(Value::Array(out))
}

/// Puts digests into an object, in the one order that says nothing about the fields.
pub fn put_digests(object: &mut Map<String, Value>, mut digests: Vec<String>) {
    if !digests.is_empty() {
        digests.sort_unstable();
        object.insert(SD.to_owned(), Value::from(digests));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::convert::Infallible;

    const LEG: &[Field] = &[
        Field::new("to", Kind::Name(8), "payee"),
        Field::new("note", Kind::Text(8), "what for").optional().private(),
    ];
    const SPEC: Spec = Spec {
        verb: "pay",
        about: "Pay",
        needs: "toy.pay",
        types: &["toy_paid"],
        fields: &[
            Field::new("amount", Kind::Decimal(2), "how much"),
            Field::new("memo", Kind::Text(9), "what for").optional().private(),
            Field::new("pin", Kind::Text(4), "the pin").optional().secret(),
            Field::new("legs", Kind::List(2, LEG), "legs").optional(),
            Field::new("names", Kind::TextList(2, 9), "who").optional().private_items(),
        ],
        example: r#"{"amount":"1.00"}"#,
    };

    fn veiled(intent: Value) -> (Value, Vec<String>) {
        let mut seen = Vec::new();
        let mut digest = |place: Place<'_>| {
            let shown = place.value.map_or("decoy".into(), Value::to_string);
            seen.push(format!("{}={shown}", place.path));
            Ok::<_, Infallible>(format!("d{}", seen.len()))
        };
        let out = veil(&SPEC, intent.as_object().expect("an object"), &[], &mut digest);
        (Value::Object(out.expect("infallible")), seen)
    }

    #[test]
    fn private_values_and_secrets_leave_the_intent_in_declared_order() {
        let given = json!({"amount": "1", "memo": "rent", "pin": "1234", "names": ["a", "b"],
            "legs": [{"to": "x", "note": "n"}, {"to": "y"}]});
        let (out, seen) = veiled(given);
        assert_eq!(
            seen,
            [
                "memo=\"rent\"",
                "legs[0].note=\"n\"",
                "legs[1].note=decoy",
                "names[0]=\"a\"",
                "names[1]=\"b\""
            ]
        );
        let want = json!({"_sd": ["d1"], "amount": "1",
            "legs": [{"_sd": ["d2"], "to": "x"}, {"_sd": ["d3"], "to": "y"}],
            "names": [{"...": "d4"}, {"...": "d5"}]});
        assert_eq!(out, want);
    }

    #[test]
    fn an_absent_private_field_looks_like_a_given_one() {
        let (with, _) = veiled(json!({"amount": "1", "memo": "rent"}));
        let (without, _) = veiled(json!({"amount": "1"}));
        assert_eq!(with, without);
    }
}
