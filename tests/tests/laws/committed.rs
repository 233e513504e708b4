//! What an accepted call leaves, and what it never does.

use crate::bench::{Bench, call, engines, example, folded, operations};
use crate::stories;
use std::collections::BTreeSet;
use std::sync::Arc;
use vm_contracts::engine::Asked;
use vm_contracts::{
    Actor, AnyEngine, Failure, Map, Moment, OwnerGate, RefusalKind, Shape, Value, edge,
};
use vm_ledger::dump;
use vm_receipts::line::End;
use vm_tests::world::DenyGate;

fn dumped(bench: &Bench) -> std::collections::HashMap<String, vm_contracts::Value> {
    dump(&mut bench.ledger.writer()).unwrap()
}

/// Whether an item of a list stands there as its digest alone.
fn is_digest(item: &Value) -> bool {
    item.as_object().is_some_and(|o| o.len() == 1 && o.contains_key(vm_receipts::private::ITEM))
}

#[test]
fn every_operation_is_accepted_once() {
    let bench = Bench::told();
    for engine in engines() {
        let lines = bench.lines(*engine);
        let reached: BTreeSet<&str> = lines.iter().map(|l| l.op.as_str()).collect();
        for spec in engine.operations() {
            let op = format!("{}.{}", engine.name(), spec.verb.replace('-', "_"));
            assert!(reached.contains(op.as_str()), "no call of {op} was accepted: see stories.rs");
        }
    }
}

#[test]
fn a_receipt_holds_only_what_its_operation_declares() {
    let bench = Bench::told();
    for engine in engines() {
        for line in bench.lines(*engine).iter().filter(|l| !l.kind.starts_with("ledger_")) {
            let verb = line.op.split_once('.').expect("engine and verb").1.replace('_', "-");
            let spec = engine.operation(&verb).expect("a line of a declared operation");
            assert!(spec.types.contains(&line.kind.as_str()), "{verb} left a {}", line.kind);
            let aborted = line.end == End::Aborted;
            let own = |name: &str| name == "_sd" || (aborted && name == vm_ledger::run::FAULT);
            for name in line.body.keys().filter(|name| !own(name)) {
                let digests = |v: &Value| v.as_array().is_some_and(|l| l.iter().all(is_digest));
                let kept = spec
                    .field(name)
                    .is_some_and(|f| f.is_kept() || (f.private_items && digests(&line.body[name])));
                assert!(kept, "{verb} left {name}, which it does not declare as kept");
            }
            // As many as are declared, whether they were given or not: their number says nothing.
            let private = spec.private_in_body().count();
            let hidden = line.body.get("_sd").and_then(|sd| sd.as_array()).map_or(0, Vec::len);
            assert_eq!(hidden, private, "{verb} hides {hidden} fields and declares {private}");
        }
    }
}

#[test]
fn a_plan_is_deterministic_and_changes_nothing() {
    for engine in engines() {
        let bench = Bench::new();
        for told in stories::calls(*engine) {
            let spec = engine.operation(&told.verb).expect("stories use declared operations");
            let intent = edge::admit(spec, &told.intent).expect("stories are well-formed");
            let actor = Actor::local(1000);
            let at = Moment::parse("2026-05-01T00:00:00.000Z").unwrap();
            let asked = Asked { at, id: told.id.as_deref().unwrap(), actor: &actor };
            let mut state = folded(*engine, &bench.lines(*engine));
            let before = state.dump();
            let plan = |verb: &str| engine.plan(&*state, verb, &intent, asked);
            assert_eq!(plan(&told.verb), plan(&told.verb), "{} {}", engine.name(), told.verb);
            let is_record = matches!(engine.shape(&told.verb), Some(Shape::Record));
            let first = engine.decide(&*state, &told.verb, &intent, asked);
            let again = engine.decide(&*state, &told.verb, &intent, asked);
            assert_eq!(first, again, "{} {}", engine.name(), told.verb);
            assert_eq!(state.dump(), before, "{} {} changed the state", engine.name(), told.verb);
            let answer = bench.submit(told).expect("stories are accepted");
            match is_record {
                true => assert_eq!(first.expect("it was accepted").len(), answer.lines.len()),
                false => assert!(first.is_err(), "work that takes steps is no fact"),
            }
        }
    }
}

#[test]
fn the_replay_of_the_log_is_the_live_state() {
    let bench = Bench::told();
    let live = dumped(&bench);
    for engine in engines() {
        let own = folded(*engine, &bench.lines(*engine)).dump();
        assert_eq!(live.get(engine.scroll()), Some(&own), "{}", engine.name());
    }
    let again = Bench::over(bench.fs.clone(), Arc::new(OwnerGate));
    assert_eq!(dumped(&again), live, "a home opened again folds to another state");
}

#[test]
fn the_same_id_and_intent_give_the_same_receipts() {
    let bench = Bench::told();
    let files = bench.fs.files();
    for engine in engines() {
        for told in stories::calls(*engine) {
            let shown = format!("{} {}", engine.name(), told.verb);
            let first = bench.submit(told.clone()).unwrap_or_else(|e| panic!("{shown}: {e}"));
            assert!(first.existing, "{shown} was committed twice");
            let spec = engine.operation(&told.verb).expect("declared");
            let mut elsewhere = told;
            elsewhere.surface = "http".into();
            let mut other = elsewhere.clone();
            other.actor = Actor::local(7);
            if spec.hides_anything() {
                // Another actor must not learn whether a guess at a private value is right.
                let refused = bench.submit(other).map_err(|e| e.code().to_owned());
                assert_eq!(refused.err().as_deref(), Some("id_used_for_other_intent"), "{shown}");
            } else {
                elsewhere = other;
            }
            let second = bench.submit(elsewhere).unwrap_or_else(|e| panic!("{shown}: {e}"));
            assert_eq!((first.first, &first.lines), (second.first, &second.lines), "{shown}");
        }
    }
    let lines = |files: &vm_tests::memfs::Files| {
        files
            .iter()
            .filter(|(p, _)| p.starts_with("receipts"))
            .map(|(_, b)| b.clone())
            .collect::<Vec<_>>()
    };
    assert!(lines(&bench.fs.files()) == lines(&files), "asking again appended");
}

#[test]
fn the_same_id_with_another_intent_is_a_conflict() {
    let bench = Bench::told();
    for engine in engines() {
        for mut told in stories::calls(*engine) {
            let shown = format!("{} {}", engine.name(), told.verb);
            let files = bench.fs.files();
            told.tags.push("another".into());
            match bench.submit(told) {
                Err(Failure::Refusal(r)) => assert_eq!(
                    (r.kind, r.code.as_str()),
                    (RefusalKind::Conflict, "id_used_for_other_intent"),
                    "{shown}"
                ),
                other => panic!("{shown} gave {other:?}"),
            }
            assert!(bench.fs.files() == files, "{shown}: a conflict wrote");
        }
    }
}

#[test]
fn whoever_the_gate_denies_writes_nothing_and_reads_nothing() {
    let told = Bench::told();
    let denied = Bench::over(told.fs.clone(), Arc::new(DenyGate));
    for (engine, spec) in operations() {
        for intent in [example(spec), Map::from_iter([("no_such_field".to_owned(), 1.into())])] {
            let (files, touches) = (denied.fs.files(), denied.fs.touches());
            match denied.submit(call(engine, spec.verb, "denied", intent)) {
                Err(Failure::Refusal(r)) => assert_eq!(r.kind, RefusalKind::NotAllowed, "{r:?}"),
                other => panic!("{} {} gave {other:?}", engine.name(), spec.verb),
            }
            assert_eq!(
                denied.fs.touches(),
                touches,
                "{} {} touched the disk",
                engine.name(),
                spec.verb
            );
            assert!(denied.fs.files() == files);
        }
    }
}

#[test]
fn a_report_writes_nothing() {
    let bench = Bench::told();
    for engine in engines() {
        for spec in engine.reports() {
            let files = bench.fs.files();
            let answer =
                bench.ledger.report(engine.name(), spec.verb, &example(spec), Default::default());
            let again =
                bench.ledger.report(engine.name(), spec.verb, &example(spec), Default::default());
            assert_eq!(answer, again, "{} {}", engine.name(), spec.verb);
            assert!(matches!(answer, Ok(_) | Err(Failure::Refusal(_))), "{answer:?}");
            assert!(bench.fs.files() == files, "{} {} wrote", engine.name(), spec.verb);
        }
    }
}

#[test]
fn what_was_exported_reads_as_text_and_the_same_twice() {
    let bench = Bench::told();
    for engine in engines() {
        for (format, _) in engine.exports() {
            let shown = format!("{} {format}", engine.name());
            let first = bench
                .ledger
                .export(engine.name(), format)
                .unwrap_or_else(|e| panic!("{shown}: {e}"));
            let again = bench.ledger.export(engine.name(), format).expect("it was exported before");
            assert_eq!(first.text, again.text, "{shown}");
        }
    }
}

/// The engine must not keep anything between calls outside its state.
#[test]
fn two_ledgers_in_one_process_do_not_see_each_other() {
    let told = Bench::told();
    let fresh = Bench::new();
    let operations: Vec<(&dyn AnyEngine, _)> = operations();
    for (engine, _) in operations {
        assert!(fresh.lines(engine).is_empty());
    }
    let again = Bench::told();
    assert_eq!(dumped(&told), dumped(&again));
}
