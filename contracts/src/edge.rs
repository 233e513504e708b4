//! The edge between JSON and typed facts: every intent passes [`admit`] once, and is trusted after that.

use crate::error::{Refusal, RefusalKind};
use crate::spec::{Field, Kind, Presence, Spec};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use vm_receipts::moment::Moment;

/// Most tags on one call.
pub const TAGS_MAX: usize = 16;
/// Longest tag in bytes.
pub const TAG_BYTES_MAX: usize = 64;
/// Names that no field may have: the envelope of the intent digest and RFC 9901 use them.
pub const RESERVED_FIELDS: [&str; 5] = ["op", "tags", "_sd", "_sd_alg", "..."];

/// Checks an intent against the declaration and normalises its values: times to UTC, decimals to plain strings.
///
/// Unknown, computed, missing, mistyped and oversize fields are refused by name; `null` means absent. A secret's
/// value never stands in the message.
pub fn admit(spec: &Spec, intent: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    fields(spec.fields, intent, spec.verb, "", Secrets::AsDeclared)
}

/// The same for the part of an intent that a contract can hold: a secret may be absent although it is required.
pub fn admit_kept(spec: &Spec, intent: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    fields(spec.fields, intent, spec.verb, "", Secrets::Apart)
}

/// Whether a required secret has to stand in the intent that is looked at.
#[derive(Clone, Copy, PartialEq)]
enum Secrets {
    AsDeclared,
    Apart,
}

fn fields(
    declared: &'static [Field],
    given: &Map<String, Value>,
    verb: &str,
    path: &str,
    secrets: Secrets,
) -> Result<Map<String, Value>, Refusal> {
    for name in given.keys() {
        let known = declared.iter().any(|f| f.name == *name && f.is_input());
        if !known {
            return Err(unknown(declared, verb, path, name));
        }
    }
    let mut out = Map::new();
    for field in declared.iter().filter(|f| f.is_input()) {
        let place = format!("{path}{}", field.name);
        match given.get(field.name) {
            None | Some(Value::Null) if field.presence == Presence::Optional => {}
            None if field.secret && secrets == Secrets::Apart => {}
            None | Some(Value::Null) => {
                let what = format!("{verb} needs {place} ({})", field.about);
                return Err(Refusal::malformed("missing_field", what).field(&place).hint(format!(
                    "Give --{} or \"{}\".",
                    field.flag(),
                    field.name
                )));
            }
            Some(value) => {
                out.insert(field.name.to_owned(), one(field, value, verb, &place)?);
            }
        }
    }
    Ok(out)
}

fn unknown(declared: &[Field], verb: &str, path: &str, name: &str) -> Refusal {
    let computed = declared.iter().any(|f| f.name == name);
    let inputs: Vec<_> = declared.iter().filter(|f| f.is_input()).map(|f| f.name).collect();
    let shown: String = name.chars().take(64).collect();
    let what = if computed {
        format!("{verb} works out {path}{shown} itself")
    } else {
        format!("{verb} has no field {:?}", format!("{path}{shown}"))
    };
    Refusal::malformed("unknown_field", what)
        .field(format!("{path}{shown}"))
        .hint(format!("Its fields are {}.", inputs.join(", ")))
}

fn one(field: &'static Field, value: &Value, verb: &str, place: &str) -> Result<Value, Refusal> {
    check(&field.kind, value, verb, place).map_err(|wrong| match wrong {
        Wrong::Nested(refusal) => refusal,
        Wrong::Value(code, what) => {
            let kind =
                if code == "too_large" { RefusalKind::TooLarge } else { RefusalKind::Malformed };
            Refusal::new(code, kind, format!("{verb}: {place} {what}")).field(place)
        }
    })
}

enum Wrong {
    Value(&'static str, String),
    Nested(Refusal),
}

fn wrong<T>(what: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong::Value("wrong_type", what.into()))
}

fn check(kind: &Kind, value: &Value, verb: &str, place: &str) -> Result<Value, Wrong> {
    match *kind {
        Kind::Text(max) => text(value, max).map(Value::from),
        Kind::Name(max) => name(value, max).map(Value::from),
        Kind::Integer(min, max) => integer(value, min, max),
        Kind::Decimal(scale) => decimal(value, scale).map(Value::from),
        Kind::Time => time(value),
        Kind::Bool => match value {
            Value::Bool(_) => Ok(value.clone()),
            _ => wrong("must be true or false"),
        },
        Kind::Choice(words) => match value.as_str() {
            Some(word) if words.contains(&word) => Ok(value.clone()),
            _ => wrong(format!("must be one of {}", words.join(", "))),
        },
        Kind::TextList(most, max) => {
            let items = list(value, most)?;
            items
                .iter()
                .map(|v| text(v, max).map(Value::from))
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        Kind::List(most, declared) => {
            let mut out = Vec::new();
            for (i, item) in list(value, most)?.iter().enumerate() {
                let Value::Object(item) = item else {
                    return wrong(format!("must be a list of objects; item {i} is not one"));
                };
                let inner =
                    fields(declared, item, verb, &format!("{place}[{i}]."), Secrets::AsDeclared);
                out.push(Value::Object(inner.map_err(Wrong::Nested)?));
            }
            Ok(Value::Array(out))
        }
        Kind::Document(max) => document(value, max).map(Value::from),
        Kind::Documents(most, max) => {
            let items = list(value, most)?;
            let texts = items.iter().map(|v| document(v, max).map(Value::from));
            texts.collect::<Result<_, _>>().map(Value::Array)
        }
    }
}

/// A whole file as text. Line ends and tabs are part of it; other control characters are nothing that people write.
fn document(value: &Value, max: usize) -> Result<String, Wrong> {
    let Value::String(text) = value else { return wrong("must be the text of a file") };
    if text.len() > max {
        return Err(Wrong::Value(
            "too_large",
            format!("may have at most {max} bytes, not {}", text.len()),
        ));
    }
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    match text.lines().position(|line| line.contains(odd)) {
        Some(line) => wrong(format!("holds a control character in line {}", line + 1)),
        None => Ok(text.clone()),
    }
}

fn list(value: &Value, most: usize) -> Result<&Vec<Value>, Wrong> {
    let Value::Array(items) = value else { return wrong("must be a list") };
    if items.len() > most {
        return Err(Wrong::Value(
            "too_large",
            format!("may have at most {most} items, not {}", items.len()),
        ));
    }
    Ok(items)
}

fn text(value: &Value, max: usize) -> Result<String, Wrong> {
    let Value::String(text) = value else { return wrong("must be text") };
    if text.len() > max {
        return Err(Wrong::Value(
            "too_large",
            format!("may have at most {max} bytes, not {}", text.len()),
        ));
    }
    match text.chars().any(|c| c.is_control()) {
        true => wrong("must not hold control characters"),
        false => Ok(text.clone()),
    }
}

fn name(value: &Value, max: usize) -> Result<String, Wrong> {
    let name = text(value, max)?;
    if name.is_empty() {
        return wrong("must not be empty");
    }
    match name.trim() == name {
        true => Ok(name),
        false => wrong("must not begin or end with white space"),
    }
}

fn integer(value: &Value, min: i64, max: i64) -> Result<Value, Wrong> {
    match value.as_i64() {
        Some(n) if (min..=max).contains(&n) => Ok(Value::from(n)),
        Some(_) => wrong(format!("must be from {min} to {max}")),
        None => wrong("must be an integer"),
    }
}

fn decimal(value: &Value, scale: u8) -> Result<String, Wrong> {
    const DIGITS_MAX: usize = 40;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(n) if n.is_i64() => n.to_string(),
        _ => return wrong("must be a decimal number as a string, such as \"12.50\""),
    };
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let whole_ok = all_digits(whole) && (whole == "0" || !whole.starts_with('0'));
    let part_ok = if digits.contains('.') { all_digits(part) } else { true };
    if !whole_ok || !part_ok || whole.len() > DIGITS_MAX {
        return wrong("must be a decimal number such as \"12.50\"");
    }
    match part.len() <= usize::from(scale) {
        true => Ok(text),
        false => wrong(format!("may have at most {scale} decimals")),
    }
}

fn time(value: &Value) -> Result<Value, Wrong> {
    match value.as_str().map(Moment::parse_human) {
        Some(Ok(moment)) => Ok(Value::from(moment.to_string())),
        _ => wrong("must be a time such as 2026-01-31 or 2026-01-31T12:00:00Z"),
    }
}

/// Checks the tags of a call.
pub fn tags(tags: &[String]) -> Result<(), Refusal> {
    let fits = |t: &String| {
        !t.is_empty() && t.len() <= TAG_BYTES_MAX && !t.chars().any(|c| c.is_control() || c == ' ')
    };
    if tags.len() > TAGS_MAX {
        let what = format!("a call may have at most {TAGS_MAX} tags, not {}", tags.len());
        return Err(Refusal::new("too_large", RefusalKind::TooLarge, what).field("tags"));
    }
    if tags.iter().enumerate().any(|(n, t)| tags[..n].contains(t)) {
        return Err(Refusal::malformed("wrong_type", "a tag may be given once").field("tags"));
    }
    match tags.iter().find(|t| !fits(t)) {
        Some(_) => {
            let what =
                format!("a tag has 1 to {TAG_BYTES_MAX} bytes, no spaces, no control characters");
            Err(Refusal::malformed("wrong_type", what).field("tags"))
        }
        None => Ok(()),
    }
}

/// Reads a checked intent into the operation's own type.
pub fn typed<T: DeserializeOwned>(spec: &Spec, intent: &Map<String, Value>) -> Result<T, Refusal> {
    // The reader's own message may carry a value, and a value may be secret; the declaration should have refused it.
    serde_json::from_value(Value::Object(intent.clone())).map_err(|_| {
        let what =
            format!("{} does not take this intent, although every field fits its kind", spec.verb);
        Refusal::malformed("wrong_type", what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::veil::{Place, veil};
    use serde_json::json;

    const LEG: &[Field] = &[Field::new("to", Kind::Name(8), "payee")];
    const SPEC: Spec = Spec {
        verb: "pay",
        about: "Pay",
        needs: "toy.pay",
        types: &["toy_paid"],
        fields: &[
            Field::new("amount", Kind::Decimal(2), "how much"),
            Field::new("when", Kind::Time, "when").optional(),
            Field::new("legs", Kind::List(2, LEG), "legs").optional(),
            Field::new("pin", Kind::Text(4), "the pin").optional().secret(),
            Field::new("net", Kind::Decimal(2), "net").computed(),
            Field::new("n", Kind::Integer(1, 9), "n").optional(),
        ],
        example: r#"{"amount":"1.00"}"#,
    };

    fn check(given: Value, expect: Result<Value, (&str, &str)>) {
        let Value::Object(given) = given else { panic!("not an object") };
        match (admit(&SPEC, &given), expect) {
            (Ok(got), Ok(want)) => assert_eq!(Value::Object(got), want),
            (Err(got), Err((code, field))) => {
                assert_eq!((got.code.as_str(), got.field.as_deref()), (code, Some(field)), "{got}");
            }
            (got, want) => panic!("{got:?} is not {want:?}"),
        }
    }

    #[test]
    fn each_wrong_field_is_refused_by_name() {
        check(json!({}), Err(("missing_field", "amount")));
        check(json!({"amount": null}), Err(("missing_field", "amount")));
        check(json!({"amount": "1", "x": 1}), Err(("unknown_field", "x")));
        check(json!({"amount": "1", "net": "1"}), Err(("unknown_field", "net")));
        check(json!({"amount": 1.5}), Err(("wrong_type", "amount")));
        check(json!({"amount": "1.005"}), Err(("wrong_type", "amount")));
        check(json!({"amount": "01"}), Err(("wrong_type", "amount")));
        check(json!({"amount": "1."}), Err(("wrong_type", "amount")));
        check(json!({"amount": "1", "when": "noon"}), Err(("wrong_type", "when")));
        check(json!({"amount": "1", "n": 10}), Err(("wrong_type", "n")));
        check(
            json!({"amount": "1", "legs": [{"to": "a"}, {}]}),
            Err(("missing_field", "legs[1].to")),
        );
        check(json!({"amount": "1", "legs": [{}, {}, {}]}), Err(("too_large", "legs")));
        check(json!({"amount": "1", "legs": [{"to": " a"}]}), Err(("wrong_type", "legs[0].to")));
        check(json!({"amount": "1", "pin": "12345"}), Err(("too_large", "pin")));
        assert_eq!(tags(&["a".into(), "a".into()]).unwrap_err().field.as_deref(), Some("tags"));
    }

    #[test]
    fn values_are_normalised_once() {
        check(json!({"amount": 7}), Ok(json!({"amount": "7"})));
        check(
            json!({"amount": "7.10", "when": "2026-01-31", "n": null}),
            Ok(json!({"amount": "7.10", "when": "2026-01-31T00:00:00.000Z"})),
        );
    }

    #[test]
    fn a_secret_stays_out_of_the_public_intent_and_out_of_errors() {
        let given = json!({"amount": "1", "pin": "s3cr"});
        let admitted = admit(&SPEC, given.as_object().unwrap()).unwrap();
        assert_eq!(admitted.get("pin"), Some(&json!("s3cr")));
        let mut none = |_: Place<'_>| Err(());
        assert_eq!(
            veil(&SPEC, &admitted, &[], &mut none).map(Value::Object),
            Ok(json!({"amount": "1"}))
        );
        let given = json!({"amount": "1", "pin": "s3cr3t-too-long"});
        let refusal = admit(&SPEC, given.as_object().unwrap()).unwrap_err();
        assert!(!format!("{refusal:?}").contains("s3cr3t"));
    }
}
