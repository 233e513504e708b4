//! A disk that fails or is full at every single call: nothing acknowledged is lost then either.

use crate::bent::Bug;
use crate::campaign::Count;
use crate::flow::{Fate, Life, Promises, Script, live};
use std::sync::atomic::{AtomicBool, Ordering};
use vm_tests::crashfs::{Image, Trouble, crash_states};
use vm_tests::world::Dice;

/// Calls of the trait that a life without trouble makes.
fn calls(script: &Script, image: &Image, promises: &Promises, age: u64) -> u64 {
    let fate = Fate {
        trouble: Trouble { full_from: Some(u64::MAX), ..Trouble::default() },
        age,
        ..Fate::default()
    };
    live(script, image.clone(), promises.clone(), fate).calls
}

/// Whether a point is tried where one in `of` is.
fn tried(of: usize, dice: &mut Dice) -> bool {
    of == 1 || dice.below(of) == 0
}

/// How many points of a script there are for each one that is tried: histories of runs are long.
fn one_in(script: &Script) -> usize {
    if script.has_runs() { 8 } else { 1 }
}

/// Runs one script with a failing disk, in its first life and in the one after a crash.
pub fn failing(script: &Script, bug: Option<Bug>, seed: u64, stop: &AtomicBool) -> Count {
    let mut count = Count::default();
    let some = one_in(script);
    let eio = |at| Trouble { eio_at: Some(at), ..Trouble::default() };
    let none = Promises::default();
    for at in 0..calls(script, &script.base, &none, 0) {
        let mut dice = Dice::of(seed, &[1, at]);
        if !tried(some.div_ceil(2), &mut dice) {
            continue;
        }
        let fate = Fate { bug, trouble: eio(at), seed: dice.next(), age: 0 };
        let life = live(script, script.base.clone(), none.clone(), fate);
        judge(&mut count, script, &life, &format!("EIO at call {at}"));
        after(&mut count, script, &life, bug, &format!("EIO at call {at}"), &mut dice);
        if stop.load(Ordering::Relaxed) || (bug.is_some() && count.bad > 0) {
            return count;
        }
    }
    let healthy = live(script, script.base.clone(), none, Fate { seed, ..Fate::default() });
    for (changes, image) in healthy.trail.iter().enumerate() {
        // A torn home, recovered on a disk that fails.
        let mut dice = Dice::of(seed, &[2, changes as u64]);
        if !tried(some, &mut dice) {
            continue;
        }
        let states = crash_states(image, 8, &mut dice);
        let state = &states[dice.below(states.len())];
        let promised = healthy.promises.by(changes);
        let many = calls(script, state, &promised, 1);
        for at in (0..many).filter(|_| dice.below(4 * some) == 0).collect::<Vec<_>>() {
            let fate = Fate { bug, trouble: eio(at), seed: dice.next(), age: 1 };
            let life = live(script, state.clone(), promised.clone(), fate);
            let place = format!("EIO at call {at} after a crash at {changes}");
            judge(&mut count, script, &life, &place);
            after(&mut count, script, &life, bug, &place, &mut dice);
            if stop.load(Ordering::Relaxed) || (bug.is_some() && count.bad > 0) {
                return count;
            }
        }
    }
    count
}

/// Runs one script with a disk that is full from each call on, with different room left.
pub fn full(script: &Script, bug: Option<Bug>, seed: u64, stop: &AtomicBool) -> Count {
    let mut count = Count::default();
    let some = one_in(script);
    let none = Promises::default();
    for at in 0..calls(script, &script.base, &none, 0) {
        for room in [0, 700, 2_500] {
            let mut dice = Dice::of(seed, &[3, at, room as u64]);
            if !tried(some, &mut dice) {
                continue;
            }
            let trouble = Trouble { eio_at: None, full_from: Some(at), room };
            let fate = Fate { bug, trouble, seed: dice.next(), age: 0 };
            let life = live(script, script.base.clone(), none.clone(), fate);
            let place = format!("no space from call {at}, room for {room}");
            judge(&mut count, script, &life, &place);
            after(&mut count, script, &life, bug, &place, &mut dice);
            // Opened again while the disk is still full, then with space.
            let trouble = Trouble { eio_at: None, full_from: Some(0), room };
            let fate = Fate { bug, trouble, seed: dice.next(), age: 1 };
            let still = live(script, end(&life).clone(), life.promises.by(usize::MAX), fate);
            judge(&mut count, script, &still, &format!("{place}, opened while full"));
            after(&mut count, script, &still, bug, &place, &mut dice);
            if stop.load(Ordering::Relaxed) || (bug.is_some() && count.bad > 0) {
                return count;
            }
        }
    }
    count
}

fn end(life: &Life) -> &Image {
    life.trail.last().expect("every life ends in an image")
}

/// What comes after trouble: the home as readers see it, and as a crash leaves it, on a sound disk; then power fails.
fn after(
    count: &mut Count,
    script: &Script,
    life: &Life,
    bug: Option<Bug>,
    place: &str,
    dice: &mut Dice,
) {
    let promised = life.promises.by(usize::MAX);
    let mut states = vec![end(life).clone()];
    states.extend(crash_states(end(life), 4, dice));
    for (n, state) in states.into_iter().enumerate() {
        let fate = Fate { bug, seed: dice.next(), age: 2, ..Fate::default() };
        let next = live(script, state, promised.clone(), fate);
        judge(count, script, &next, &format!("{place}, state {n}"));
        if n > 0 || next.wrong.is_some() {
            continue;
        }
        for (changes, image) in next.trail.iter().enumerate() {
            if !tried(one_in(script), dice) {
                continue;
            }
            let fate = Fate { bug, seed: dice.next(), age: 3, ..Fate::default() };
            let last = live(script, image.all_lost(), next.promises.by(changes), fate);
            judge(
                count,
                script,
                &last,
                &format!("{place}, opened, then power lost at change {changes}"),
            );
        }
    }
}

fn judge(count: &mut Count, script: &Script, life: &Life, place: &str) {
    count.states += 1;
    if let Some(wrong) = &life.wrong {
        count.bad += 1;
        count.first_bad.get_or_insert(format!("{}: {place}: {wrong}", script.name));
    }
}
