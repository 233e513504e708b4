//! A fold is total and deterministic: any lines, however hostile, in any order, give a state, and always the same.

use crate::bench::{engines, example};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use vm_contracts::{AnyEngine, Field, Kind, Line, Map, Moment, Value};
use vm_receipts::digest::Blake3;
use vm_receipts::line::{Context, End, Part, Prev};

/// Lines of one history.
const LINES: usize = 24;

fn hostile() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-9_007_199_254_740_991i64..9_007_199_254_740_991).prop_map(Value::from),
        prop_oneof![
            Just(""),
            Just("0"),
            Just("-0"),
            Just("-1"),
            Just("0.00"),
            Just("."),
            Just("-"),
            Just("1e9"),
            Just("99999999999999999999999999999999999999999999"),
            Just("0.000000000000000000000000000001"),
            Just("170141183460469231731687303715884105727"),
            Just("-170141183460469231731687303715884105728"),
            Just("2026-13-45T99:99:99.999Z"),
            Just("9999-12-31T23:59:59.999Z"),
            Just("0000-01-01T00:00:00.000Z"),
            Just("a\u{0}b"),
            Just("EUR"),
            Just("assets:bank"),
            Just("order-17"),
            Just("posted"),
            Just("pending"),
        ]
        .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A value as the field would have it, so that hostile histories also get past the first check.
fn likely(field: &'static Field, example: Option<&Value>) -> BoxedStrategy<Value> {
    let example = example.cloned();
    let likely = match field.kind {
        Kind::Choice(words) => prop::sample::select(words).prop_map(Value::from).boxed(),
        Kind::Integer(min, max) => (min..=max).prop_map(Value::from).boxed(),
        Kind::Decimal(_) => prop_oneof![Just("1"), Just("0.01"), Just("100"), Just("-5")]
            .prop_map(Value::from)
            .boxed(),
        Kind::Bool => any::<bool>().prop_map(Value::from).boxed(),
        _ => prop_oneof![Just("a"), Just("b"), Just("EUR"), Just("call-1")]
            .prop_map(Value::from)
            .boxed(),
    };
    match example {
        Some(value) => prop_oneof![likely, Just(value)].boxed(),
        None => likely,
    }
}

/// A body of an engine's operation: each declared field absent, as it would be, or hostile.
fn body(engine: &'static dyn AnyEngine) -> BoxedStrategy<Map<String, Value>> {
    let operations = engine.operations();
    let mut seen = BTreeSet::new();
    let mut fields: Vec<BoxedStrategy<Option<(String, Value)>>> = Vec::new();
    for spec in &operations {
        let example = example(spec);
        for field in spec.fields.iter().filter(|f| seen.insert(f.name)) {
            let name = field.name.to_owned();
            let value = prop_oneof![3 => likely(field, example.get(field.name)), 1 => hostile()];
            let member = value.prop_map(move |v| (name.clone(), v));
            fields.push(prop_oneof![1 => Just(None), 4 => member.prop_map(Some)].boxed());
        }
    }
    fields.prop_map(|members| members.into_iter().flatten().collect()).boxed()
}

fn history(engine: &'static dyn AnyEngine) -> impl Strategy<Value = Vec<Line>> {
    let mut kinds: Vec<String> = engine.types().iter().map(|k| (*k).to_owned()).collect();
    kinds.push("unknown_type".into());
    let line = (
        prop::sample::select(kinds),
        body(engine),
        prop_oneof![Just("call-1".to_owned()), "[a-z]{1,3}"],
        any::<bool>(),
        prop_oneof![
            0i64..2_000_000_000_000,
            Just(Moment::MAX.unix_ms()),
            Just(Moment::MIN.unix_ms())
        ],
        (1u32..4, 1u32..4, any::<u64>()),
    );
    prop::collection::vec(line, 0..LINES).prop_map(move |lines| {
        let of_parts = |(n, (kind, body, id, completed, at, (part, of, seq)))| {
            let seq = if seq % 8 == 0 { seq } else { n as u64 };
            line_of(engine, kind, body, id, completed, at, (part, of, seq))
        };
        lines.into_iter().enumerate().map(of_parts).collect()
    })
}

fn line_of(
    engine: &dyn AnyEngine,
    kind: String,
    body: Map<String, Value>,
    id: String,
    completed: bool,
    at: i64,
    (part, of, seq): (u32, u32, u64),
) -> Line {
    let zero = Blake3([0; 32]);
    Line {
        kind,
        op: format!("{}.any", engine.name()),
        scroll: engine.scroll().to_owned(),
        seq,
        id,
        part: Part { n: part, of },
        intent: zero,
        issuer: String::new(),
        actor: "local:1000".into(),
        context: Context { surface: "cli".into(), node: "n1".into(), demo: false },
        actor_proof: None,
        authority: Map::new(),
        at: Moment::from_unix_ms(at).expect("within the years"),
        end: if completed { End::Completed } else { End::Aborted },
        contract: zero,
        state: zero,
        root_hash: zero,
        artifacts: None,
        prev: Prev { size: 0, root: [0; 32] },
        tags: Vec::new(),
        body,
        proof: None,
    }
}

fn fold_is_total_and_deterministic(engine: &'static dyn AnyEngine) {
    let config =
        ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let strategy = (history(engine), any::<prop::sample::Index>());
    runner
        .run(&strategy, |(lines, cut)| {
            let mut whole = engine.blank();
            lines.iter().for_each(|line| engine.fold(&mut *whole, line));
            let tentative = whole.dump();
            whole.promote();
            prop_assert_eq!(whole.dump(), tentative.clone(), "promotion changed the state");

            // In two batches, with a batch between them that is dropped.
            let mut parts = engine.blank();
            let cut = cut.index(lines.len() + 1);
            lines[..cut].iter().for_each(|line| engine.fold(&mut *parts, line));
            parts.promote();
            let promoted = parts.dump();
            lines.iter().rev().for_each(|line| engine.fold(&mut *parts, line));
            parts.discard();
            prop_assert_eq!(parts.dump(), promoted, "a dropped batch left a trace");
            lines[cut..].iter().for_each(|line| engine.fold(&mut *parts, line));
            parts.promote();
            prop_assert_eq!(parts.dump(), tentative, "the same lines gave another state");
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{}: {e}", engine.name()));
}

#[test]
fn any_lines_fold_and_always_to_the_same_state() {
    engines().iter().for_each(|engine| fold_is_total_and_deterministic(*engine));
}

/// A receipt type that the engine does not list must not reach its state.
#[test]
fn lines_of_unknown_types_do_not_touch_the_state_of_a_house_engine() {
    for engine in engines().iter().filter(|e| e.name() != "toy") {
        let mut state = engine.blank();
        let before = state.dump();
        let body = Map::from_iter([("amount".to_owned(), json!("1"))]);
        let line = line_of(*engine, "unknown_type".into(), body, "x".into(), true, 0, (1, 1, 0));
        engine.fold(&mut *state, &line);
        assert_eq!(state.dump(), before, "{}", engine.name());
    }
}
