//! A model of one call's way through the ledger, checked in every order of steps, crashes and failures.
//!
//! Steps carry the names of `ledger/src/commit.rs`: once, plan, seal, append, sync, take in, root, answer, publish;
//! opening recovers, compares with signed-state, and signs. Two calls (one leaves two lines), two crashes, one failed
//! sync, one restore of an older copy. A root is modelled as the lines it covers, so two roots for one size are two
//! lists of one length. What the file system does below one step (blocks, names, renames) is the crash campaign's part.
//!
//! Each rule of the flow is broken once on purpose, and the model must notice: a model that cannot fail proves nothing.

mod flow;
mod run;

use flow::{Flow, Rule};
use run::{RunRule, Runs};
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;
use std::time::Instant;
use vm_tests::campaign::{Came, Row};

/// A part of this campaign's row in the report.
fn row() -> Row {
    Row::new(
        "models of the commit flow and of runs (stateright)",
        "cargo test -p vm-tests --test model",
    )
}

/// Explores until an invariant breaks; gives the number of states, the broken invariants, and the way there.
fn explore(broken: Rule, expected: &'static str) -> (usize, BTreeSet<&'static str>, String) {
    let until = HasDiscoveries::AnyOf(BTreeSet::from([expected]));
    let flow = Flow { broken: Some(broken) };
    let checker = flow.checker().threads(1).finish_when(until).spawn_bfs().join();
    let found = checker.discoveries();
    let bad = |name: &&'static str| !flow::HOPES.contains(name);
    let names: BTreeSet<&'static str> = found.keys().copied().filter(bad).collect();
    let shortest = names.iter().map(|name| {
        let path = found[name].clone();
        format!("{name}: {:?}", path.into_actions())
    });
    (
        checker.unique_state_count(),
        names.clone(),
        shortest.min_by_key(String::len).unwrap_or_default(),
    )
}

#[test]
fn the_flow_keeps_every_invariant() {
    let began = Instant::now();
    let checker = Flow { broken: None }.checker().threads(1).spawn_bfs().join();
    println!("model: {} states, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
    row().counted(checker.unique_state_count() as u64, "states").since(began).tell();
    assert!(checker.unique_state_count() > 1_000, "the model does something");
}

#[test]
fn every_rule_broken_on_purpose_is_noticed() {
    const LOST: &str = "what was acknowledged is there";
    const CORRUPT: &str = "a crash never reads as corrupt";
    const TWICE: &str = "one call, one group of receipts";
    const HALF: &str = "no call is halved";
    const FORK: &str = "one root for a size";
    let table = [
        (Rule::SyncLines, LOST),
        (Rule::AnswerAfterSync, LOST),
        (Rule::SignedStateAfterSync, CORRUPT),
        (Rule::CopyAfterEio, LOST),
        (Rule::NeverRetrySync, LOST),
        (Rule::SyncAfterRecovery, LOST),
        (Rule::CompareWithSignedState, FORK),
        (Rule::SecondCopyOutside, FORK),
        (Rule::Once, TWICE),
        (Rule::WholeCalls, HALF),
        (Rule::TornAnywhereAboveSigned, CORRUPT),
        (Rule::RootAfterSync, FORK),
    ];
    for (rule, expected) in table {
        let (states, found, path) = explore(rule, expected);
        println!("without {rule:?}: {states} states; {path}");
        row().bugs(u64::from(found.contains(expected)), 1).came(Came::Passed).tell();
        assert!(
            found.contains(expected),
            "{rule:?} broken: expected {expected:?}, found {found:?}"
        );
    }
}

#[test]
fn a_run_keeps_every_invariant() {
    let began = Instant::now();
    let checker = Runs { broken: None }.checker().threads(1).spawn_bfs().join();
    println!("runs: {} states, depth {}", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
    row().counted(checker.unique_state_count() as u64, "states").since(began).tell();
    assert!(checker.unique_state_count() > 50, "the model does something");
}

#[test]
fn every_rule_of_runs_broken_on_purpose_is_noticed() {
    const TWICE: &str = "an effect happens once";
    const UNSAID: &str = "an effect has its receipt or its outcome";
    const GIVEN_UP: &str = "what was given up is not completed";
    let table = [
        (RunRule::ClaimFirst, TWICE),
        (RunRule::ClaimOnce, TWICE),
        (RunRule::ClaimStays, TWICE),
        (RunRule::SealInterrupted, UNSAID),
        (RunRule::NoAbortWhileClaimed, GIVEN_UP),
        (RunRule::SealEndedOnly, "a receipt says what happened"),
        (RunRule::Once, "one id, one receipt"),
        (RunRule::MoveAtOpen, "opening leaves no sealed run behind"),
        (RunRule::MoveAfterReceipt, "a case has its receipt"),
    ];
    for (rule, expected) in table {
        let until = HasDiscoveries::AnyOf(BTreeSet::from([expected]));
        let runs = Runs { broken: Some(rule) };
        let checker = runs.checker().threads(1).finish_when(until).spawn_bfs().join();
        let found = checker.discoveries();
        let bad = found.keys().copied().filter(|name| !run::HOPES.contains(name));
        let bad: BTreeSet<&str> = bad.collect();
        println!("without {rule:?}: {} states; {bad:?}", checker.unique_state_count());
        row().bugs(u64::from(bad.contains(expected)), 1).came(Came::Passed).tell();
        assert!(bad.contains(expected), "{rule:?} broken: expected {expected:?}, found {bad:?}");
    }
}
