//! Histories of runs: each looks at one thing, and some are by chance.

use crate::flow::{Script, Step};
use crate::runs::Deed;
use serde_json::json;
use vm_contracts::Call;
use vm_tests::people::failing_pay;
use vm_tests::world::{Dice, call, note, pay, whisper, work};

const PLAIN: u64 = 1 << 16;

fn with_slip(id: &str) -> Call {
    call(id, "pay", json!({"amount": 3, "to": "somebody", "slip": true}))
}

fn complete(id: &str, stage: usize, file: Option<(&'static str, bool)>) -> Step {
    Step::Run(Deed::Complete { id: id.into(), stage, file })
}

fn open(call: Call) -> Step {
    Step::Run(Deed::Open(call))
}

fn seal(id: &str) -> Step {
    Step::Run(Deed::Seal(id.into()))
}

fn abort(id: &str) -> Step {
    Step::Run(Deed::Abort(id.into()))
}

fn perform(call: Call) -> Step {
    Step::Run(Deed::Perform(call))
}

fn batch(calls: Vec<Call>) -> Step {
    Step::Batch(calls)
}

/// One run from its beginning to an end or a stop.
fn any_run(id: &str, dice: &mut Dice) -> Vec<Step> {
    match dice.below(8) {
        0 => vec![perform(pay(id, 2, "somebody"))],
        1 => vec![perform(failing_pay(id, ["before", "after"][dice.below(2)]))],
        2 => vec![open(with_slip(id)), seal(id)],
        3 => vec![open(whisper(id, "step by step")), seal(id)],
        4 => vec![open(work(id, 2)), complete(id, 1, Some(("a.txt", true))), abort(id), seal(id)],
        5 => vec![open(work(id, 2)), complete(id, 1, None)],
        _ => {
            let file = [None, Some(("a.txt", false)), Some(("b.txt", true))][dice.below(3)];
            vec![open(work(id, 1)), complete(id, 1, file), seal(id)]
        }
    }
}

/// Two runs and some facts, their steps mixed.
fn any_steps(dice: &mut Dice) -> Vec<Step> {
    let facts = || batch(vec![note("n", "a fact"), whisper("v", "a whisper")]);
    let mut lanes = [any_run("x", dice), any_run("y", dice), vec![facts(), Step::Publish]];
    lanes.iter_mut().for_each(|lane| lane.reverse());
    let mut steps = Vec::new();
    while lanes.iter().any(|lane| !lane.is_empty()) {
        steps.extend(lanes[dice.below(3)].pop());
    }
    steps
}

/// Scripts that each look at one thing, and some by chance.
pub fn scripts(seed: u64, by_chance: u64) -> Vec<Script> {
    let first = || vec![batch(vec![note("b0", "before"), whisper("b1", "before")]), Step::Publish];
    let mut all = vec![
        Script::new(
            "private values in facts",
            PLAIN,
            &[],
            vec![
                batch(vec![whisper("w1", "one"), note("n", "plain")]),
                Step::Publish,
                batch(vec![whisper("w2", "two"), whisper("w3", "three")]),
            ],
        ),
        Script::new(
            "an effect in an empty home",
            PLAIN,
            &[],
            vec![perform(pay("p", 7, "somebody")), Step::Publish],
        ),
        Script::new(
            "an effect with private outputs, step by step",
            PLAIN,
            &first(),
            vec![open(with_slip("p")), seal("p"), batch(vec![note("n", "after")])],
        ),
        Script::new(
            "effects that fail",
            PLAIN,
            &first(),
            vec![perform(failing_pay("f1", "before")), perform(failing_pay("f2", "after"))],
        ),
        Script::new(
            "work of two stages",
            PLAIN,
            &first(),
            vec![
                open(work("w", 2)),
                complete("w", 1, Some(("a.txt", false))),
                complete("w", 2, Some(("b.txt", true))),
                seal("w"),
            ],
        ),
        Script::new(
            "work that is given up, and work that waits",
            PLAIN,
            &first(),
            vec![
                open(work("w", 2)),
                complete("w", 1, Some(("a.txt", true))),
                open(work("x", 1)),
                abort("w"),
                seal("w"),
                complete("x", 1, None),
            ],
        ),
        Script::new(
            "a fact step by step",
            PLAIN,
            &first(),
            vec![open(whisper("r", "step by step")), Step::Publish, seal("r")],
        ),
    ];
    // The first script has no run of its own, so that its checks need one that was there.
    all[0].steps.push(open(work("waiting", 1)));
    for n in 0..by_chance {
        let mut dice = Dice::of(seed, &[19, n]);
        let before = if n % 3 == 2 { Vec::new() } else { first() };
        all.push(Script::new(&format!("runs by chance {n}"), PLAIN, &before, any_steps(&mut dice)));
    }
    all
}
