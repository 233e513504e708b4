//! Power loss at every step: nothing that was acknowledged is lost, and no crash reads as corruption.
//!
//! Each script of calls runs on a file system that remembers every change. At every change the home crashes in every
//! way POSIX allows, is opened, checked, given all calls again, and crashes once more at every change of that.
//! `VM_SEED=<n> cargo test -p vm-tests --test crash` replays a run; `VM_TELL=1` prints every call of the file system.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod bent;
mod campaign;
mod cases;
mod check;
mod flow;
mod histories;
mod runs;
mod stop;
mod trouble;

use bent::{BUGS, Bug, RUN_BUGS};
use campaign::{Count, Reach};
use flow::{Script, Step};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use vm_contracts::Call;
use vm_tests::campaign::{Came, Row};
use vm_tests::world::{Dice, call, many, note, seed};

fn text(dice: &mut Dice) -> String {
    let length = 1 + dice.below(300);
    (0..length)
        .map(|_| char::from(b'a' + u8::try_from(dice.below(26)).expect("below 26")))
        .collect()
}

fn any_call(id: &str, dice: &mut Dice) -> Call {
    match dice.below(6) {
        0 => many(id, &text(dice), 2 + u32::try_from(dice.below(2)).expect("small")),
        1 => call(id, "guarded", serde_json::json!({"name": format!("n{}", dice.below(4))})),
        2 => call(
            id,
            "hide",
            serde_json::json!({"code": "a long secret", "name": format!("h-{id}")}),
        ),
        3 => call(id, "note", serde_json::json!({"n": 7, "text": text(dice)})),
        _ => note(id, &text(dice)),
    }
}

fn any_steps(count: usize, dice: &mut Dice) -> Vec<Step> {
    let mut steps = Vec::new();
    for batch in 0..count {
        let size = [1, 1, 2, 2, 3, 6][dice.below(6)];
        let one = |n: usize, dice: &mut Dice| any_call(&format!("c{batch}-{n}"), dice);
        match dice.below(4) {
            0 => steps.push(Step::Publish),
            1 => steps.push(Step::Pass(2_000)),
            _ => {}
        }
        steps.push(Step::Batch((0..size).map(|n| one(n, dice)).collect()));
    }
    steps.push(Step::Publish);
    steps
}

fn first() -> Vec<Step> {
    vec![Step::Batch(vec![note("b0", "before"), many("b1", "before", 2)]), Step::Publish]
}

/// Scripts that each look at one thing, and some by chance.
fn scripts(seed: u64, by_chance: u64) -> Vec<Script> {
    let plain = 1 << 16;
    let group = || vec![note("a", "one"), many("b", "two", 3), note("c", "three")];
    let mut all = vec![
        Script::new(
            "an empty home",
            plain,
            &[],
            vec![Step::Batch(vec![note("x", "x")]), Step::Batch(group()), Step::Publish],
        ),
        Script::new(
            "publishing between batches",
            plain,
            &first(),
            vec![
                Step::Batch(vec![note("x", "x")]),
                Step::Publish,
                Step::Batch(group()),
                Step::Pass(2_000),
                Step::Batch(vec![note("y", "y")]),
            ],
        ),
        Script::new(
            "a call across a file border",
            6,
            &first(),
            vec![Step::Batch(group()), Step::Publish, Step::Batch(vec![many("d", "over", 5)])],
        ),
        Script::new(
            "a batch that ends at a file border",
            6,
            &first(),
            vec![
                Step::Batch(vec![note("x", "x"), note("y", "y")]),
                Step::Publish,
                Step::Batch(group()),
            ],
        ),
    ];
    for n in 0..by_chance {
        let mut dice = Dice::of(seed, &[9, n]);
        let before = if n % 4 == 3 { Vec::new() } else { first() };
        let per_file = [plain, 32][dice.below(2)];
        let count = 1 + dice.below(3);
        all.push(Script::new(
            &format!("by chance {n}"),
            per_file,
            &before,
            any_steps(count, &mut dice),
        ));
    }
    all
}

/// Runs scripts on two threads and adds up; `until_bad` stops all of them at the first bad state of a script.
fn on_all(
    scripts: &[Script],
    until_bad: bool,
    run: impl Fn(&Script, &AtomicBool) -> Count + Sync,
) -> Count {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        let mut total = Count::default();
        while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let count = run(script, &stop);
            if let Some(first) = count.first_bad.as_ref().filter(|_| !until_bad) {
                println!("{}: {} bad of {}; first: {first}", script.name, count.bad, count.states);
            }
            stop.fetch_or(until_bad && count.bad > 0, Ordering::Relaxed);
            total.add(count);
        }
        total
    };
    std::thread::scope(|scope| {
        let hands = [scope.spawn(work), scope.spawn(work)];
        let mut total = Count::default();
        hands.into_iter().for_each(|hand| total.add(hand.join().expect("no check panics")));
        total
    })
}

/// Prints what a campaign did and holds it to nothing bad.
fn nothing_bad(name: &str, count: &Count, seed: u64, began: Instant) {
    let (opened, all, bad) = (count.states, count.states + count.repeated, count.bad);
    let ms = began.elapsed().as_millis();
    println!(
        "{name}: {all} crash states, {opened} of them opened and the others equal to one of those, {bad} bad, seed {seed}, {ms} ms"
    );
    let came = count.first_bad.clone().map_or(Came::Passed, Came::Failed);
    row(seed).counted(opened as u64, "states").since(began).came(came).tell();
    assert_eq!(count.bad, 0, "{:?}", count.first_bad);
}

/// A part of this campaign's row in the report.
fn row(seed: u64) -> Row {
    let what = "power loss, EIO and no space at every call of the storage trait (CrashFs)";
    Row::new(what, "cargo test -p vm-tests --test crash").seeded(seed)
}

/// Scripts by chance: a few in every run, more where `VM_CRASH_SCRIPTS` asks for them.
fn scripts_by_chance() -> u64 {
    let asked = std::env::var("VM_CRASH_SCRIPTS").ok();
    asked.map_or(18, |text| text.trim().parse().expect("VM_CRASH_SCRIPTS is a number"))
}

#[test]
fn nothing_acknowledged_is_lost_in_a_hundred_thousand_crashes() {
    let (seed, began) = (seed(), Instant::now());
    let reach = Reach { states: 24, again: 6, alive: 1, states_again: 3, thrice: 16 };
    let scripts = scripts(seed, scripts_by_chance());
    let count =
        on_all(&scripts, false, |script, stop| campaign::run(script, reach, None, seed, stop));
    nothing_bad("power loss", &count, seed, began);
    assert!(count.states + count.repeated >= 100_000, "{count:?}");
}

#[test]
fn nothing_acknowledged_is_lost_by_a_disk_that_fails_at_any_call() {
    let (seed, began) = (seed(), Instant::now());
    let count =
        on_all(&scripts(seed, 0), false, |script, stop| trouble::failing(script, None, seed, stop));
    nothing_bad("EIO", &count, seed, began);
}

#[test]
fn nothing_acknowledged_is_lost_by_a_disk_that_is_full_from_any_call() {
    let (seed, began) = (seed(), Instant::now());
    let count =
        on_all(&scripts(seed, 0), false, |script, stop| trouble::full(script, None, seed, stop));
    nothing_bad("no space", &count, seed, began);
}

#[test]
fn every_planted_bug_is_caught() {
    let (seed, scripts) = (seed(), scripts(seed(), 0));
    for bug in BUGS {
        // Only one of them needs a third life to show.
        let thrice = if bug == Bug::DeadNameTrusted { 2 } else { usize::MAX };
        let reach = Reach { states: 24, again: 4, alive: 1, states_again: 4, thrice };
        let count = on_all(&scripts, true, |script, stop| match bug {
            Bug::SyncRetried => trouble::failing(script, Some(bug), seed, stop),
            Bug::NotCutBack => trouble::full(script, Some(bug), seed, stop),
            _ => campaign::run(script, reach, Some(bug), seed, stop),
        });
        let first = count.first_bad.as_deref().unwrap_or("nothing");
        println!("{bug:?}: caught in {} of {} states; first: {first}", count.bad, count.states);
        row(seed).bugs(u64::from(count.bad > 0), 1).came(Came::Passed).tell();
        assert!(count.bad > 0, "{bug:?} was not caught in {} states", count.states);
    }
}

#[test]
fn runs_keep_their_promises_in_every_crash() {
    let (seed, began) = (seed(), Instant::now());
    let reach = Reach { states: 5, again: 400, alive: 80, states_again: 1, thrice: usize::MAX };
    let scripts = histories::scripts(seed, scripts_by_chance() / 3);
    let count =
        on_all(&scripts, false, |script, stop| campaign::run(script, reach, None, seed, stop));
    nothing_bad("runs, power loss", &count, seed, began);
}

#[test]
fn runs_keep_their_promises_on_a_disk_that_fails_at_any_call() {
    let (seed, began) = (seed(), Instant::now());
    let scripts = histories::scripts(seed, 0);
    let count = on_all(&scripts, false, |script, stop| trouble::failing(script, None, seed, stop));
    nothing_bad("runs, EIO", &count, seed, began);
}

#[test]
fn runs_keep_their_promises_on_a_disk_that_is_full_from_any_call() {
    let (seed, began) = (seed(), Instant::now());
    let scripts = histories::scripts(seed, 0);
    let count = on_all(&scripts, false, |script, stop| trouble::full(script, None, seed, stop));
    nothing_bad("runs, no space", &count, seed, began);
}

#[test]
fn every_planted_bug_of_runs_is_caught() {
    let (seed, scripts) = (seed(), histories::scripts(seed(), 0));
    for bug in RUN_BUGS {
        let reach = Reach { states: 8, again: 16, alive: 8, states_again: 2, thrice: usize::MAX };
        let count = on_all(&scripts, true, |script, stop| {
            campaign::run(script, reach, Some(bug), seed, stop)
        });
        let first = count.first_bad.as_deref().unwrap_or("nothing");
        println!("{bug:?}: caught in {} of {} states; first: {first}", count.bad, count.states);
        row(seed).bugs(u64::from(count.bad > 0), 1).came(Came::Passed).tell();
        assert!(count.bad > 0, "{bug:?} was not caught in {} states", count.states);
    }
}
