//! Runs of every engine: planning writes nothing, ports are only the declared ones, and the gate stands before each step.

use crate::bench::{Bench, call, engines, example, operations, stage_of};
use crate::stories;
use std::sync::Arc;
use vm_contracts::{
    Actor, Failure, NoPorts, Outputs, OwnerGate, Ports, RefusalKind, Shape, Status,
};
use vm_ledger::openings::{KEYRING, OPENINGS_KEY};
use vm_tests::memfs::Files;
use vm_tests::world::DenyGate;

/// Without what a home makes once, when it first hides a value.
fn without_keys(mut files: Files) -> Files {
    files.retain(|path, _| path != OPENINGS_KEY && path != KEYRING);
    files
}

#[test]
fn planning_writes_nothing() {
    let bench = Bench::told();
    let fresh = Bench::new();
    for engine in engines() {
        for told in stories::calls(*engine) {
            let mut told = told;
            told.id = None;
            told.intent.retain(|name, _| {
                let spec = engine.operation(&told.verb).expect("declared");
                spec.field(name).is_none_or(|f| !f.secret)
            });
            for bench in [&bench, &fresh] {
                let before = without_keys(bench.fs.files());
                let planned = bench.ledger.plan(told.clone());
                assert!(matches!(planned, Ok(_) | Err(Failure::Refusal(_))), "{}", told.verb);
                assert!(without_keys(bench.fs.files()) == before, "planning {} wrote", told.verb);
            }
        }
    }
}

struct Nowhere;

impl Outputs for Nowhere {
    fn keep(
        &mut self,
        _: &str,
        _: bool,
        _: &mut dyn std::io::Read,
    ) -> Result<(), vm_contracts::Fault> {
        Ok(())
    }
}

#[test]
fn an_operation_has_no_port_that_it_did_not_declare() {
    for (engine, spec) in operations() {
        let ports: &'static [vm_contracts::Port] = match engine.shape(spec.verb) {
            Some(Shape::Operation(ports)) => ports,
            _ => &[],
        };
        let mut nowhere = Nowhere;
        let mut granted = Ports::new(engine.name(), ports, &NoPorts, &mut nowhere, "r1");
        for port in ports {
            assert_eq!(granted.get::<u8>(port.name).unwrap_err().code, "port_not_granted");
        }
        assert_eq!(granted.get::<u8>("no_such_port").unwrap_err().code, "port_not_declared");
    }
}

#[test]
fn the_gate_stands_before_every_step_of_a_run() {
    let told = Bench::told();
    let mut open = Vec::new();
    for (engine, spec) in operations() {
        let steps = !matches!(engine.shape(spec.verb), Some(Shape::Record));
        if !steps {
            continue;
        }
        let id = format!("open-{}", spec.verb);
        let Ok(handed) = told.ledger.plan(call(engine, spec.verb, &id, example(spec))) else {
            continue;
        };
        let text = handed.to_text();
        if matches!(engine.shape(spec.verb), Some(Shape::Staged(_))) {
            told.ledger.run(text.as_bytes(), &Actor::local(1000)).expect("an example runs");
        }
        open.push((engine, spec, id, text));
    }
    assert!(open.len() >= 2);
    let denied = Bench::over(told.fs.clone(), Arc::new(DenyGate));
    let before = denied.fs.files();
    let by = Actor::local(1000);
    for (engine, spec, id, contract) in &open {
        let name = engine.name();
        let stage = stage_of(name);
        let first = "no matter";
        let steps: [(&str, Option<Failure>); 5] = [
            ("plan", denied.ledger.plan(call(*engine, spec.verb, "x", example(spec))).err()),
            ("perform", denied.ledger.perform(call(*engine, spec.verb, "x", example(spec))).err()),
            ("run", denied.ledger.run(contract.as_bytes(), &by).err()),
            ("complete", denied.ledger.complete_stage(name, id, first, &stage, vec![], &by).err()),
            ("abort", denied.ledger.abort_run(name, id, None, &by).err()),
        ];
        let seal = ("seal", denied.ledger.seal_run(name, id, &by).err());
        for (step, failure) in steps.into_iter().chain([seal]) {
            match failure {
                Some(Failure::Refusal(r)) => assert!(
                    r.kind == RefusalKind::NotAllowed || r.code == "no_such_run",
                    "{} {step}: {r:?}",
                    spec.verb
                ),
                other => panic!("{} {step} gave {other:?}", spec.verb),
            }
        }
    }
    assert!(denied.fs.files() == before, "a denied step wrote");
}

#[test]
fn a_run_goes_on_in_another_process_and_leaves_what_it_leaves_in_one() {
    for (engine, spec) in operations() {
        if !matches!(engine.shape(spec.verb), Some(Shape::Staged(_))) {
            continue;
        }
        let bench = Bench::told();
        let by = Actor::local(1000);
        let contract =
            bench.ledger.plan(call(engine, spec.verb, "on", example(spec))).expect("planned");
        bench.ledger.run(contract.to_text().as_bytes(), &by).expect("opened");
        let next = Bench::over(bench.fs.clone(), Arc::new(OwnerGate));
        let run = next.ledger.open_run(engine.name(), "on").expect("it waits");
        assert_eq!(run.state.status, Status::InProgress);
        let answer = next.carry_through(&run).expect("it is carried through");
        assert!(!answer.existing);
        assert!(next.ledger.open_run(engine.name(), "on").is_err());
    }
}

#[test]
fn asking_again_repeats_no_effect() {
    let bench = Bench::told();
    let once = bench.till.counts();
    assert!(!once.is_empty() && once.values().all(|times| *times == 1), "{once:?}");
    for engine in engines() {
        for told in stories::calls(*engine) {
            let effects = matches!(engine.shape(&told.verb), Some(Shape::Operation(_)));
            let again = bench.submit(told).expect("it was accepted before");
            assert!(again.existing || !effects);
        }
    }
    assert_eq!(bench.till.counts(), once);
}
