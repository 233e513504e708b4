//! Crash at every change of a life, in every way; and again at every change of the life after it.

use crate::bent::Bug;
use crate::flow::{Fate, Promises, Script, live};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use vm_tests::crashfs::{Image, crash_states};
use vm_tests::world::Dice;

/// How far a campaign goes.
#[derive(Clone, Copy)]
pub struct Reach {
    /// States tried for each change of the first life.
    pub states: usize,
    /// Of those states, one in so many is crashed again.
    pub again: usize,
    /// Of the homes in which only the process died in the first life, one in so many is crashed again.
    pub alive: usize,
    /// States tried for each change of the second life.
    pub states_again: usize,
    /// Where the process only died in the second life, one in so many homes is crashed in its third life as well.
    pub thrice: usize,
}

/// What a campaign found.
#[derive(Default, Debug)]
pub struct Count {
    /// States that were opened and checked. In a power-loss campaign no two of a script are alike.
    pub states: usize,
    /// States met again, which were not opened a second time.
    pub repeated: usize,
    /// Points at which the home crashed.
    pub points: usize,
    pub bad: usize,
    /// The first bad one.
    pub first_bad: Option<String>,
}

impl Count {
    pub fn add(&mut self, other: Count) {
        self.states += other.states;
        self.repeated += other.repeated;
        self.points += other.points;
        self.bad += other.bad;
        self.first_bad = self.first_bad.take().or(other.first_bad);
    }
}

struct Campaign<'a> {
    script: &'a Script,
    reach: Reach,
    /// Stops where it is set.
    stop: &'a AtomicBool,
    bug: Option<Bug>,
    seed: u64,
    /// What was opened: the state, the promises, and whether it is crashed again after that.
    seen: HashSet<(u64, u64, bool)>,
    count: Count,
}

/// Runs one script until it is through or told to stop.
pub fn run(script: &Script, reach: Reach, bug: Option<Bug>, seed: u64, stop: &AtomicBool) -> Count {
    let (seen, count) = (HashSet::new(), Count::default());
    let mut campaign = Campaign { script, reach, stop, bug, seed, seen, count };
    let fate = Fate { bug, seed, ..Fate::default() };
    let first = live(script, script.base.clone(), Promises::default(), fate);
    campaign.judge(first.wrong.as_deref(), &[]);
    campaign.crash(&first.trail, &first.promises, &mut Vec::new());
    campaign.count
}

impl Campaign<'_> {
    fn judge(&mut self, wrong: Option<&str>, path: &[u64]) {
        self.count.states += 1;
        if let Some(wrong) = wrong {
            self.count.bad += 1;
            let told =
                format!("{} at {path:?} with VM_SEED={}: {wrong}", self.script.name, self.seed);
            self.count.first_bad.get_or_insert(told);
        }
    }

    fn crash(&mut self, trail: &[Image], promises: &Promises, path: &mut Vec<u64>) {
        let depth = path.len() / 2;
        let limit = [self.reach.states, self.reach.states_again, 2][depth];
        for (changes, image) in trail.iter().enumerate() {
            self.count.points += 1;
            let promised = promises.by(changes);
            let mut dice = Dice::of(self.seed, &[path, &[changes as u64][..]].concat());
            // The process may die and the machine live on: readers see all, the disk holds what it holds.
            let mut states = vec![image.clone()];
            states.extend(crash_states(image, limit, &mut dice));
            for (n, state) in states.into_iter().enumerate() {
                if self.stop.load(Ordering::Relaxed) || (self.bug.is_some() && self.count.bad > 0) {
                    return;
                }
                let chosen = match depth {
                    0 if n == 0 => self.reach.alive == 1 || dice.below(self.reach.alive) == 0,
                    0 => dice.below(self.reach.again) == 0,
                    1 => n == 0 && dice.below(self.reach.thrice) == 0,
                    _ => false,
                };
                if !self.seen.insert((state.digest(), promised.digest(), chosen)) {
                    self.count.repeated += 1;
                    continue;
                }
                path.extend([changes as u64, n as u64]);
                let age = path.len() as u64 / 2;
                let fate = Fate { bug: self.bug, seed: dice.next(), age, ..Fate::default() };
                let next = live(self.script, state, promised.clone(), fate);
                self.judge(next.wrong.as_deref(), path);
                if chosen && next.wrong.is_none() {
                    self.crash(&next.trail, &next.promises, path);
                }
                path.truncate(path.len() - 2);
            }
        }
    }
}
