//! Every step of a recorded flow, crashed in many ways, opened by the real code and checked.

use super::flow::Flow;
use super::place::{HOME, Place, Said, words};
use super::record::Recorded;
use super::replay::Replay;
use super::trace::Op;
use crate::crashfs::{Image, crash_states};
use crate::history::{self, Group};
use crate::scratch::Scratch;
use crate::world::Dice;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How far a campaign goes.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// States tried for each operation.
    pub states: usize,
    /// Of those, one in so many is given the same command again.
    pub again: usize,
    /// Whether the first bad state is enough.
    pub until_bad: bool,
    /// Seed.
    pub seed: u64,
}

/// What a campaign found.
#[derive(Clone, Debug, Default)]
pub struct Count {
    /// Operations at which the home crashed.
    pub points: usize,
    /// States that were opened and checked; no two of a flow are alike.
    pub states: usize,
    /// States in which the command was given again.
    pub again: usize,
    /// Bad ones.
    pub bad: usize,
    /// The first bad one.
    pub first_bad: Option<String>,
}

impl Count {
    /// Adds another count.
    pub fn add(&mut self, other: Count) {
        self.points += other.points;
        self.states += other.states;
        self.again += other.again;
        self.bad += other.bad;
        self.first_bad = self.first_bad.take().or(other.first_bad);
    }
}

/// A home in the middle of a command.
struct Point {
    step: usize,
    at: usize,
    acknowledged: bool,
    image: Image,
}

struct Campaign<'a> {
    flow: &'a Flow,
    recorded: &'a Recorded,
    /// Answers to the probes before the first command and after each.
    answers: Vec<Vec<Said>>,
    points: Vec<Point>,
    reach: Reach,
    next: AtomicUsize,
    stop: AtomicBool,
    seen: Mutex<HashSet<(usize, bool, u64)>>,
}

/// Crashes a recorded flow, with the operations of each command as they are given.
///
/// # Errors
/// The campaign itself cannot go on; a bad state is none.
pub fn run(
    flow: &Flow,
    recorded: &Recorded,
    ops: &[Vec<Op>],
    reach: Reach,
) -> Result<Count, String> {
    let campaign = Campaign {
        flow,
        recorded,
        answers: answers(flow, recorded)?,
        points: points(recorded, ops, reach.seed)?,
        reach,
        next: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        seen: Mutex::default(),
    };
    let hands = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..hands).map(|_| scope.spawn(|| campaign.work())).collect();
        let mut total = Count { points: campaign.points.len(), ..Count::default() };
        for hand in all {
            total.add(hand.join().map_err(|_| "a hand of the campaign panicked")??);
        }
        Ok(total)
    })
}

/// What the probes say where everything was kept.
fn answers(flow: &Flow, recorded: &Recorded) -> Result<Vec<Vec<Said>>, String> {
    let scratch = Scratch::new().map_err(|e| e.to_string())?;
    let place = Place::new(&scratch.path().join("p"));
    let ask = |image: &Image| {
        place.lay_down(image, &recorded.root).map_err(|e| e.to_string())?;
        Ok(probe(flow, &place))
    };
    recorded.after.iter().map(ask).collect()
}

/// Answers to the probes; the place itself is not part of an answer, and neither is what opening told on the way.
fn probe(flow: &Flow, place: &Place) -> Vec<Said> {
    let root = place.root.display().to_string();
    let ask = |words: &Vec<String>| {
        let said = place.here(words);
        let told = |line: &&str| said.code != 0 && !line.starts_with("note: ");
        let err: Vec<&str> = said.err.lines().filter(told).collect();
        Said { out: said.out.replace(&root, ""), err: err.join("\n").replace(&root, ""), ..said }
    };
    flow.probes.iter().map(ask).collect()
}

fn points(recorded: &Recorded, ops: &[Vec<Op>], seed: u64) -> Result<Vec<Point>, String> {
    let replay = Replay::new(recorded.base.clone(), seed);
    let mut points = Vec::new();
    for (step, (take, ops)) in recorded.takes.iter().zip(ops).enumerate() {
        let mut acknowledged = false;
        for (at, op) in ops.iter().enumerate() {
            points.push(Point { step, at, acknowledged, image: replay.image() });
            replay.apply(op)?;
            acknowledged |= take.acknowledges(op);
        }
        points.push(Point { step, at: ops.len(), acknowledged, image: replay.image() });
    }
    Ok(points)
}

impl Campaign<'_> {
    fn work(&self) -> Result<Count, String> {
        let scratch = Scratch::new().map_err(|e| e.to_string())?;
        let place = Place::new(&scratch.path().join("p"));
        let mut count = Count::default();
        while let Some(point) = self.points.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let mut dice = Dice::of(self.reach.seed, &[point.step as u64, point.at as u64]);
            // The process may die and the machine live on: readers see all.
            let mut states = vec![point.image.clone()];
            states.extend(crash_states(&point.image, self.reach.states, &mut dice));
            for (n, state) in states.iter().enumerate() {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(count);
                }
                let new = (point.step, point.acknowledged, state.digest());
                if !self.seen.lock().map_err(|_| "a hand panicked")?.insert(new) {
                    continue;
                }
                let again = dice.below(self.reach.again) == 0;
                count.states += 1;
                count.again += usize::from(again);
                place.lay_down(state, &self.recorded.root).map_err(|e| e.to_string())?;
                let judged = catch_unwind(AssertUnwindSafe(|| self.judge(point, &place, again)));
                let wrong = match judged {
                    Ok(Ok(())) => continue,
                    Ok(Err(wrong)) => wrong,
                    Err(_) => "the program panicked".to_owned(),
                };
                count.bad += 1;
                let told = format!(
                    "{}, command {}, before operation {}, state {n}, VM_SEED={}: {wrong}",
                    self.flow.name,
                    point.step + 1,
                    point.at,
                    self.reach.seed
                );
                count.first_bad.get_or_insert(told);
                self.stop.fetch_or(self.reach.until_bad, Ordering::Relaxed);
            }
        }
        Ok(count)
    }

    /// Everything that was promised by then.
    fn promised(&self, point: &Point) -> Vec<&Group> {
        let takes = point.step + usize::from(point.acknowledged);
        self.recorded.takes[..takes].iter().flat_map(|take| &take.promised).collect()
    }

    fn judge(&self, point: &Point, place: &Place, again: bool) -> Result<(), String> {
        self.opens(point, place)?;
        if self.unborn(point) {
            // Whether it is made again or refused is the next command's to say; it must say it in peace.
            place.here(&self.recorded.takes[point.step].words);
            return Ok(());
        }
        self.keeps(point, place, "verify --json")?;
        if !again {
            return Ok(());
        }
        let done = self.flow.steps.get(point.step).map_or("", |step| step.done);
        let said = place.here(&self.recorded.takes[point.step].words);
        if said.code != 0 && (done.is_empty() || !said.names(done)) {
            return Err(format!("the same command again came to {said:?}"));
        }
        self.keeps(point, place, "fsck --json")
    }

    /// Before `init` has answered there may be no home yet.
    fn unborn(&self, point: &Point) -> bool {
        self.flow.birth && !point.acknowledged
    }

    /// Opens it, by asking what a user would ask.
    fn opens(&self, point: &Point, place: &Place) -> Result<(), String> {
        let said = probe(self.flow, place);
        let (before, after) = (&self.answers[point.step], &self.answers[point.step + 1]);
        if said == *after || self.unborn(point) {
            return Ok(());
        }
        let parts = self.flow.steps.get(point.step).is_some_and(|s| s.in_parts);
        let fine = |n: &usize| {
            said[*n] == before[*n] || said[*n] == after[*n] || (parts && said[*n].code == 0)
        };
        match (0..said.len()).find(|n| point.acknowledged || !fine(n)) {
            Some(n) => Err(format!("it answers neither as before nor as after: {:.900?}", said[n])),
            None => Ok(()),
        }
    }

    /// What was promised is there, once, and everything verifies.
    fn keeps(&self, point: &Point, place: &Place, check: &str) -> Result<(), String> {
        let lines = history::read(&place.root.join(HOME))?;
        let groups = history::groups(&lines)?;
        history::kept(&groups, self.promised(point))?;
        let verdict = place.here(&words(check));
        match verdict.code {
            0 => Ok(()),
            // Nothing was promised by a home without receipts, or it would have been missed above.
            7 | 8 if groups.is_empty() => Ok(()),
            _ => Err(format!("{check} came to {}: {:.900}", verdict.code, verdict.out)),
        }
    }
}
