//! Every wrong intent is refused, the field at fault is named, and nothing is written.

use crate::bench::{Bench, call, example, operations};
use serde_json::json;
use vm_contracts::{AnyEngine, Failure, Field, Kind, Map, Presence, RefusalKind, Spec, Value};

/// Submits an intent that must be refused for this field; neither file nor scroll may change.
fn refused(
    bench: &Bench,
    engine: &dyn AnyEngine,
    spec: &Spec,
    intent: Map<String, Value>,
    field: &str,
) {
    let shown = format!("{} {} {intent:?}", engine.name(), spec.verb);
    let before = bench.fs.files();
    match bench.submit(call(engine, spec.verb, "wrong", intent)) {
        Err(Failure::Refusal(refusal)) => {
            assert_eq!(refusal.field.as_deref(), Some(field), "{shown}: {refusal:?}");
            assert!(
                matches!(refusal.kind, RefusalKind::Malformed | RefusalKind::TooLarge),
                "{refusal:?}"
            );
            assert!(refusal.message.contains(field), "{shown}: {refusal}");
        }
        other => panic!("{shown} gave {other:?}"),
    }
    assert!(bench.fs.files() == before, "{shown}: a refusal wrote");
}

fn with(intent: &Map<String, Value>, name: &str, value: Value) -> Map<String, Value> {
    let mut intent = intent.clone();
    intent.insert(name.to_owned(), value);
    intent
}

/// Values that are no value of this kind.
fn wrong(kind: &Kind) -> Vec<Value> {
    let mut values = vec![json!({}), json!({"a": 1})];
    values.extend(match kind {
        Kind::Text(_) | Kind::Name(_) => {
            vec![json!(1), json!(["a"]), json!(true), json!("a\u{0}b"), json!("a\nb")]
        }
        Kind::Integer(..) => vec![json!("1"), json!(1.5), json!([1]), json!(true)],
        Kind::Decimal(_) => {
            vec![json!("x"), json!("1e3"), json!("1,0"), json!(1.5), json!("+1"), json!("")]
        }
        Kind::Time => vec![json!("noon"), json!(1), json!("2026-02-30")],
        Kind::Bool => vec![json!("true"), json!(1)],
        Kind::Choice(_) => vec![json!("no such word"), json!(1)],
        Kind::TextList(..) => vec![json!("a"), json!([1])],
        Kind::List(..) => vec![json!("a"), json!([1]), json!([[]])],
        Kind::Document(_) => vec![json!(1), json!(["a"]), json!("a\u{0}b"), json!("a\u{1b}b")],
        Kind::Documents(..) => vec![json!("a"), json!([1]), json!(["a\u{0}b"])],
    });
    if let Kind::Name(_) = kind {
        values.extend([json!(""), json!(" a"), json!("a ")]);
    }
    values
}

/// Values one beyond the limit of this kind.
fn oversize(kind: &Kind) -> Vec<Value> {
    match *kind {
        Kind::Text(max) | Kind::Name(max) => {
            vec![json!("x".repeat(max + 1)), json!("é".repeat(max / 2 + 1))]
        }
        Kind::Integer(min, max) => {
            let beyond = [min.checked_sub(1), max.checked_add(1)];
            beyond.into_iter().flatten().map(Value::from).chain([json!(u64::MAX)]).collect()
        }
        Kind::Decimal(scale) => {
            let fraction = format!("0.{}1", "0".repeat(usize::from(scale)));
            vec![json!(fraction), json!("9".repeat(41))]
        }
        Kind::Document(max) => vec![json!("x".repeat(max + 1))],
        Kind::Documents(most, max) => {
            vec![json!(vec!["a"; most + 1]), json!(["x".repeat(max + 1)])]
        }
        Kind::TextList(most, max) => vec![json!(vec!["a"; most + 1]), json!(["x".repeat(max + 1)])],
        Kind::List(most, _) => vec![json!(vec![json!({}); most + 1])],
        Kind::Time | Kind::Bool | Kind::Choice(_) => Vec::new(),
    }
}

fn inputs(spec: &'static Spec) -> impl Iterator<Item = &'static Field> {
    spec.fields.iter().filter(|f| f.is_input())
}

#[test]
fn a_missing_field_is_named() {
    let bench = Bench::told();
    for (engine, spec) in operations() {
        for field in inputs(spec).filter(|f| f.presence == Presence::Required) {
            let mut without = example(spec);
            without.remove(field.name);
            refused(&bench, engine, spec, without, field.name);
            refused(
                &bench,
                engine,
                spec,
                with(&example(spec), field.name, Value::Null),
                field.name,
            );
        }
    }
}

#[test]
fn an_unknown_or_computed_field_is_named() {
    let bench = Bench::told();
    for (engine, spec) in operations() {
        let example = example(spec);
        for name in ["no_such_field", "op", "_sd", "...", "id", "Text"] {
            if spec.field(name).is_none() {
                refused(&bench, engine, spec, with(&example, name, json!("x")), name);
            }
        }
        for field in spec.fields.iter().filter(|f| f.presence == Presence::Computed) {
            refused(&bench, engine, spec, with(&example, field.name, json!("x")), field.name);
        }
    }
}

#[test]
fn a_wrong_type_is_named() {
    let bench = Bench::told();
    for (engine, spec) in operations() {
        for field in inputs(spec) {
            for value in wrong(&field.kind) {
                let intent = with(&example(spec), field.name, value);
                if let (Kind::List(..), Some(Value::Array(_))) =
                    (field.kind, intent.get(field.name))
                {
                    list_refused(&bench, engine, spec, intent, field.name);
                } else {
                    refused(&bench, engine, spec, intent, field.name);
                }
            }
        }
    }
}

/// In a list the place may be named more closely than by the field alone.
fn list_refused(
    bench: &Bench,
    engine: &dyn AnyEngine,
    spec: &Spec,
    intent: Map<String, Value>,
    name: &str,
) {
    match bench.submit(call(engine, spec.verb, "wrong", intent)) {
        Err(Failure::Refusal(refusal)) => {
            assert!(
                refusal.field.is_some_and(|field| field.starts_with(name)),
                "{} {name}",
                spec.verb
            );
        }
        other => panic!("{} {name} gave {other:?}", spec.verb),
    }
}

#[test]
fn oversize_is_refused() {
    let bench = Bench::told();
    for (engine, spec) in operations() {
        for field in inputs(spec) {
            for value in oversize(&field.kind) {
                refused(&bench, engine, spec, with(&example(spec), field.name, value), field.name);
            }
        }
        let many = (0..17).map(|n| format!("t{n}")).collect();
        for tags in [many, vec!["x".repeat(65)], vec![String::new()], vec!["a b".into()]] {
            let mut call = call(engine, spec.verb, "tags", example(spec));
            call.tags = tags;
            let refusal = bench.submit(call).expect_err("tags beyond the limit");
            assert!(matches!(refusal, Failure::Refusal(r) if r.field.as_deref() == Some("tags")));
        }
    }
}

#[test]
fn a_bad_id_is_refused_by_every_operation() {
    let bench = Bench::told();
    for (engine, spec) in operations() {
        for id in ["", ".", "..", "../x", "a/b", "-a", "a b", "é", &"x".repeat(65)] {
            let before = bench.fs.files();
            let refusal = bench.submit(call(engine, spec.verb, id, example(spec))).expect_err(id);
            assert_eq!(refusal.code(), "bad_id", "{id:?}: {refusal}");
            assert!(bench.fs.files() == before);
        }
    }
}
