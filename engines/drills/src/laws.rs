//! Laws of the whole engine over random work: whatever is asked for, the numbers add up, the lines alone give the
//! state, and no text makes a reader panic.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use vm_contracts::{AnyEngine, Hosted, Line};
use vm_receipts::line::End;

use crate::Drills;
use crate::catalogue::BUILT_IN;
use crate::outcome::Outcome;
use crate::runbook::fuzz_runbook;
use crate::testing::Bench;

fn words() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0usize..5, 1..6)
}

/// Folds the lines of a bench and forged ones; gives the dump before and after the forged ones.
fn folded_with(bench: &Bench, forged: &[&Line]) -> (Value, Value) {
    let engine = Hosted::<Drills>::new();
    let mut state = engine.blank();
    for line in &bench.lines {
        engine.fold(state.as_mut(), line);
    }
    let before = state.dump();
    for line in forged {
        engine.fold(state.as_mut(), line);
    }
    (before, state.dump())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_numbers_of_any_drills_add_up(drills in proptest::collection::vec(words(), 1..6)) {
        let mut bench = Bench::new();
        for (n, outcomes) in drills.iter().enumerate() {
            let outcomes: Vec<&str> = outcomes.iter().map(|o| Outcome::WORDS[*o]).collect();
            let body = bench.drilled(&format!("d{n}"), &outcomes).body;
            let number = |name: &str| body[name].as_u64().unwrap();
            let sum: u64 = Outcome::WORDS.iter().map(|w| number(w)).sum();
            prop_assert_eq!(sum, number("stages_total"));
            prop_assert!(number("stages_completed") <= number("stages_total"));
            let run = sum - number("not_run");
            prop_assert_eq!(body.contains_key("detection_rate_bp"), run > 0);
            let noticed = number("blocked") + number("detected");
            if let Some(rate) = (noticed * 10_000).checked_div(run) {
                prop_assert_eq!(number("detection_rate_bp"), rate);
            }
            prop_assert_eq!(body["stage_outcomes"].as_array().unwrap().len() as u64, sum);
        }
        let live = bench.dump();
        prop_assert_eq!(bench.refold(), live);
        let last = drills.len() - 1;
        let compared = bench.report("compare", json!({"a": "d0", "b": format!("d{last}")}));
        let techniques = compared["techniques"].as_array().unwrap();
        prop_assert_eq!(techniques.len(), drills[0].len().max(drills[last].len()));
    }

    #[test]
    fn folding_any_line_never_panics(
        kind in prop_oneof![
            Just("security_drill_run"), Just("drill_approval"), Just("drill_action_item"),
            Just("drill_action_item_resolve"), Just("drill_later"), Just("ledger_open")
        ],
        changes in proptest::collection::btree_map(
            prop_oneof![
                Just("drill_id"), Just("stages_total"), Just("missed"), Just("technique_outcomes"), Just("stage_outcomes"),
                Just("timestamp_completed"), Just("item_id"), Just("resolution"), Just("contract"), Just("from"), Just("until"),
                Just("stages"), Just("stage"), Just("severity")
            ],
            prop_oneof![
                Just(json!("d")), Just(json!("T1:missed")), Just(json!(["T1000:missed", "x", 1])), Just(json!(-1)),
                Just(json!(9_007_199_254_740_991u64)), Just(json!(null)), Just(json!([{"stage": 1}])),
                Just(json!("2026-01-01T00:00:00.000Z")), Just(json!("9999-12-31T23:59:59.999Z"))
            ],
            0..8,
        ),
        whole in any::<bool>(),
        aborted in any::<bool>(),
    ) {
        let mut bench = Bench::new();
        bench.drilled("d", &["missed", "blocked"]);
        let mut forged = bench.lines[0].clone();
        forged.kind = kind.to_owned();
        if !whole {
            forged.body = Map::new();
        }
        forged.body.extend(changes.into_iter().map(|(name, value)| (name.to_owned(), value)));
        forged.end = if aborted { End::Aborted } else { End::Completed };
        let (_, once) = folded_with(&bench, &[&forged, &forged]);
        let (_, again) = folded_with(&bench, &[&forged, &forged]);
        prop_assert_eq!(once, again);
    }

    #[test]
    fn a_runbook_with_any_line_changed_reads_or_names_the_place(
        which in 0..BUILT_IN.len(),
        line in any::<prop::sample::Index>(),
        with in prop_oneof![
            Just(""), Just("- "), Just("  - x"), Just("x: ["), Just("\t"), Just("stages: []"), Just("    after: [send]"),
            Just("    actions: {a: b}"), Just("? a"), Just("--- "), Just("  &a *a"), Just("\"")
        ],
        bytes in proptest::collection::vec(any::<u8>(), 0..8),
    ) {
        let lines: Vec<&str> = BUILT_IN[which].lines().collect();
        let at = line.index(lines.len());
        let mut changed: Vec<&[u8]> = lines.iter().map(|l| l.as_bytes()).collect();
        changed[at] = with.as_bytes();
        fuzz_runbook(&changed.join(&b'\n'));
        changed[at] = &bytes;
        fuzz_runbook(&changed.join(&b'\n'));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz_runbook(&bytes);
    }
}

#[test]
fn what_an_operation_would_refuse_changes_nothing_when_forged() {
    let mut bench = Bench::new();
    let run = bench.drilled("d", &["missed", "blocked"]);
    let item =
        bench.ok("action-item", json!({"stage": "01-one", "title": "x", "item_id": "i"})).remove(0);
    let resolved =
        bench.ok("resolve-item", json!({"item_id": "i", "resolution": "changed"})).remove(0);
    let digest = vm_receipts::digest::Blake3::of(b"").to_string();
    let approval =
        json!({"drill_id": "e", "contract": digest, "from": bench.at(0), "until": bench.at(60)});
    let approval = bench.ok("approve", approval).remove(0);
    let forge = |line: &Line, changes: Value| {
        let mut line = line.clone();
        if let Some(id) = changes.get("drill_id").and_then(Value::as_str) {
            line.id = id.to_owned();
        }
        line.body.extend(changes.as_object().unwrap().clone());
        line
    };
    for (what, line) in [
        ("a drill a second time", run.clone()),
        ("counts that do not add up", forge(&run, json!({"drill_id": "f", "missed": 2}))),
        (
            "an outcome nobody knows",
            forge(&run, json!({"drill_id": "f", "technique_outcomes": ["T1000:seen"]})),
        ),
        ("a finding a second time", item.clone()),
        ("a finding of no drill", forge(&item, json!({"item_id": "j", "drill_id": "nowhere"}))),
        ("a finding resolved twice", resolved.clone()),
        ("a window that ends before it begins", forge(&approval, json!({"until": bench.at(-60)}))),
    ] {
        let (mut before, mut after) = folded_with(&bench, &[&line]);
        assert_eq!(after["broken"]["count"], 1, "{what}");
        for dump in [&mut before, &mut after] {
            dump.as_object_mut().unwrap().remove("broken");
        }
        assert_eq!(before, after, "{what}");
    }
    let mut other_id = run.clone();
    other_id.body.insert("drill_id".into(), "f".into());
    assert_eq!(
        folded_with(&bench, &[&other_id]).1["broken"]["count"],
        1,
        "an id that is not the call's"
    );
}

#[test]
fn every_declaration_keeps_the_rules_of_specs() {
    let engine = Hosted::<Drills>::new();
    for spec in engine.operations().into_iter().chain(engine.reports()) {
        let example: Value = serde_json::from_str(spec.example).unwrap();
        let admitted = vm_contracts::edge::admit(spec, example.as_object().unwrap());
        assert_eq!(admitted.as_ref(), Ok(example.as_object().unwrap()), "{}", spec.verb);
        let mut names: Vec<_> = spec.fields.iter().map(|f| f.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{} declares a field twice", spec.verb);
        assert!(names.iter().all(|name| vm_receipts::line::is_field_name(name)));
        let named = |kind: &&str| kind.starts_with("drill_") || *kind == "security_drill_run";
        assert!(spec.types.iter().all(named));
        assert!(!spec.fields.iter().any(|f| f.filter && f.private), "{}", spec.verb);
    }
}
