//! The steps.

use stateright::{Model, Property};
use std::collections::BTreeSet;

/// A place in a receipt file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cell {
    /// Line `part` of `of` of a call, sealed after so many crashes and failures.
    Line { call: u8, part: u8, of: u8, opening: u8 },
    /// Bytes that do not read.
    Torn,
}

/// A rule of the flow, to be broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Step 7 syncs the lines.
    SyncLines,
    /// The answer leaves after the sync.
    AnswerAfterSync,
    /// signed-state is written after the lines are synced.
    SignedStateAfterSync,
    /// A root is signed and shown after the lines are synced.
    RootAfterSync,
    /// After a failed sync, what stands above signed-state is copied before it is believed.
    CopyAfterEio,
    /// A failed sync is never tried again.
    NeverRetrySync,
    /// What recovery keeps is synced before it is believed.
    SyncAfterRecovery,
    /// Opening compares the lines with signed-state.
    CompareWithSignedState,
    /// signed-state has a copy outside the home.
    SecondCopyOutside,
    /// Step 2 looks the call's id up.
    Once,
    /// Recovery cuts back to a whole call.
    WholeCalls,
    /// Any line above signed-state may be torn, not only the last one.
    TornAnywhereAboveSigned,
}

/// Invariants that say what may be reached, not what must hold.
pub const HOPES: [&str; 2] = ["both calls are answered", "a restore is noticed"];

/// Where the writer is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum At {
    Down,
    /// Lines kept by recovery; whether they were copied, and whether the copy is synced.
    Recover {
        kept: Vec<Cell>,
    },
    RecoverCopied,
    /// Ready for calls.
    Idle,
    /// Steps of a batch: which calls, and the sealed lines.
    Seal {
        calls: u8,
    },
    Append {
        calls: u8,
        lines: Vec<Cell>,
    },
    Sync {
        calls: u8,
        lines: Vec<Cell>,
    },
    TakeIn {
        calls: u8,
        lines: Vec<Cell>,
    },
    Root {
        calls: u8,
    },
    Answer {
        calls: u8,
    },
    /// signed-state is written outside, then in the home, then ROOT.
    PublishInside,
    PublishRoot,
    /// The process stopped: its write was not confirmed.
    Lost,
    /// Opening said that evidence is bad.
    Corrupt,
}

/// A whole world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    at: At,
    /// What the disk holds.
    disk: Vec<Cell>,
    /// What readers see.
    cache: Vec<Cell>,
    /// Cells of `cache` from here on are written by the next sync.
    dirty_from: Option<u8>,
    /// The lines the writer has taken in.
    memory: Vec<Cell>,
    /// signed-state, outside and in the home, and ROOT: the lines they cover.
    outside: Vec<Cell>,
    inside: Vec<Cell>,
    root: Vec<Cell>,
    /// What callers were told: a call and the line it begins with.
    answered: BTreeSet<(u8, u8, Cell)>,
    /// Every root somebody could see.
    seen: BTreeSet<Vec<Cell>>,
    /// An older copy of the home: lines, signed-state, ROOT.
    copy: Option<(Vec<Cell>, Vec<Cell>, Vec<Cell>)>,
    restored: bool,
    crashes: u8,
    failures: u8,
    opening: u8,
}

/// What can happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Calls come in, by bit; steps 2 and 3 decide them.
    Once(u8),
    Seal,
    Append,
    Sync,
    /// The sync fails; the disk takes these cells.
    SyncFails(Vec<Cell>),
    TakeIn,
    Root,
    Answer,
    PublishOutside,
    PublishInside,
    PublishRoot,
    /// The machine stops; the disk holds these cells after it.
    Crash(Vec<Cell>),
    /// The process stops; the page cache lives.
    Kill,
    Recover,
    RecoverCopy,
    RecoverSync,
    /// Somebody copies the home.
    Copy,
    /// Somebody puts the copy back.
    Restore,
}

/// The model.
pub struct Flow {
    pub broken: Option<Rule>,
}

const CALLS: [u8; 2] = [2, 1];

fn lines_of(call: u8, opening: u8) -> impl Iterator<Item = Cell> {
    let of = CALLS[usize::from(call)];
    (1..=of).map(move |part| Cell::Line { call, part, of, opening })
}

/// Everything that `new` can be on a disk that holds `old` of it: each new cell there or torn, cut anywhere.
fn outcomes(old: &[Cell], new: &[Cell]) -> BTreeSet<Vec<Cell>> {
    let mut all = BTreeSet::from([old.to_vec()]);
    let mut begun = vec![old.to_vec()];
    for cell in &new[old.len().min(new.len())..] {
        let mut longer = Vec::new();
        for start in &begun {
            for end in [*cell, Cell::Torn] {
                let mut cells = start.clone();
                cells.push(end);
                all.insert(cells.clone());
                longer.push(cells);
            }
        }
        begun = longer;
    }
    all
}

/// The length up to which no call is cut in two.
fn whole_calls(cells: &[Cell]) -> usize {
    let ends = cells.iter().enumerate().rev();
    let last = |(n, cell): (usize, &Cell)| match cell {
        Cell::Line { part, of, .. } if part == of => Some(n + 1),
        _ => None,
    };
    ends.filter_map(last).next().unwrap_or(0)
}

impl Flow {
    fn keeps(&self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }

    /// What stands in the home when it is opened, or why it cannot be.
    fn recover(&self, world: &World) -> Option<Vec<Cell>> {
        let signed = match self.keeps(Rule::SecondCopyOutside)
            && world.outside.len() >= world.inside.len()
        {
            true => &world.outside,
            false => &world.inside,
        };
        let sound = world.cache.iter().position(|c| *c == Cell::Torn).unwrap_or(world.cache.len());
        let compares = self.keeps(Rule::CompareWithSignedState);
        if compares && sound < signed.len() {
            return None;
        }
        let middle = sound + 1 < world.cache.len();
        if middle && !self.keeps(Rule::TornAnywhereAboveSigned) {
            return None;
        }
        let keep = match self.keeps(Rule::WholeCalls) {
            true => whole_calls(&world.cache[..sound]).max(if compares { signed.len() } else { 0 }),
            false => sound,
        };
        let kept = world.cache[..keep].to_vec();
        (!compares || kept.starts_with(signed)).then_some(kept)
    }

    fn next_of_batch(&self, at: At) -> At {
        // The broken orders leave the sync for later or for never.
        match at {
            At::Append { calls, lines } if self.keeps(Rule::SyncLines) => At::Sync { calls, lines },
            At::Append { calls, lines } => At::TakeIn { calls, lines },
            other => other,
        }
    }

    /// A step of a batch.
    fn work(&self, before: &World, world: &mut World, step: Step) -> Option<()> {
        match (step, before.at.clone()) {
            (Step::Once(calls), _) => {
                let known = |call: &u8| self.keeps(Rule::Once) && world.position(*call).is_some();
                let wanted = (0..2).filter(|call| calls & (1 << call) != 0);
                let fresh: u8 = wanted.clone().filter(|c| !known(c)).map(|c| 1 << c).sum();
                if fresh == 0 {
                    world.answer(calls);
                    return (world != before).then_some(());
                }
                world.at = At::Seal { calls: fresh };
            }
            (Step::Seal, At::Seal { calls }) => {
                let opening = world.opening;
                let wanted = (0..2u8).filter(|call| calls & (1 << call) != 0);
                let lines = wanted.flat_map(|call| lines_of(call, opening)).collect();
                world.at = At::Append { calls, lines };
            }
            (Step::Append, At::Append { calls, lines }) => self.append(world, calls, lines),
            (Step::Sync, At::Sync { calls, lines }) => {
                world.sync();
                world.at = At::TakeIn { calls, lines };
            }
            (Step::SyncFails(taken), At::Sync { calls, lines }) => {
                world.failures += 1;
                world.disk = taken;
                world.dirty_from = None;
                world.at = match self.keeps(Rule::NeverRetrySync) {
                    true => At::Lost,
                    // The second sync finds nothing dirty and answers Ok.
                    false => At::TakeIn { calls, lines },
                };
            }
            (Step::TakeIn, At::TakeIn { calls, lines }) => {
                world.memory.extend_from_slice(&lines);
                world.at = At::Root { calls };
            }
            (Step::Root, At::Root { calls }) => world.at = At::Answer { calls },
            (Step::Answer, At::Answer { calls }) => {
                world.answer(calls);
                world.at = At::Idle;
            }
            _ => return None,
        }
        Some(())
    }

    fn append(&self, world: &mut World, calls: u8, lines: Vec<Cell>) {
        world.dirty_from.get_or_insert(world.cache.len() as u8);
        world.cache.extend_from_slice(&lines);
        let would_be = [&world.memory[..], &lines[..]].concat();
        if !self.keeps(Rule::SignedStateAfterSync) {
            world.outside = would_be.clone();
            world.inside = would_be.clone();
        }
        if !self.keeps(Rule::RootAfterSync) {
            world.seen.insert(would_be.clone());
        }
        if !self.keeps(Rule::AnswerAfterSync) {
            let mut told = world.clone();
            told.memory = would_be;
            told.answer(calls);
            world.answered = told.answered;
        }
        world.at = self.next_of_batch(At::Append { calls, lines });
    }

    /// A step of opening.
    fn open(&self, before: &World, world: &mut World, step: Step) -> Option<()> {
        match (step, before.at.clone()) {
            (Step::Recover, _) => {
                world.memory.clear();
                world.opening = world.crashes + world.failures;
                world.at = match self.recover(before) {
                    Some(kept) => At::Recover { kept },
                    None => At::Corrupt,
                };
            }
            (Step::RecoverCopy, At::Recover { kept }) => {
                let signed = world.inside.len().max(world.outside.len()).min(kept.len());
                world.memory = kept.clone();
                if self.keeps(Rule::CopyAfterEio) {
                    // A new file: everything above signed-state is dirty, whatever the old file's pages say.
                    world.dirty_from = Some(signed as u8);
                } else if kept.len() < world.cache.len() {
                    // Cut in place: the length is dirty, the pages below it are as clean as before.
                    world.dirty_from = world.dirty_from.map(|from| from.min(kept.len() as u8));
                }
                world.cache = kept;
                world.at = At::RecoverCopied;
            }
            (Step::RecoverSync, At::RecoverCopied) => {
                if self.keeps(Rule::SyncAfterRecovery) {
                    world.sync();
                }
                world.at = At::Idle;
            }
            _ => return None,
        }
        Some(())
    }
}

impl World {
    fn begin() -> Self {
        Self {
            at: At::Down,
            disk: Vec::new(),
            cache: Vec::new(),
            dirty_from: None,
            memory: Vec::new(),
            outside: Vec::new(),
            inside: Vec::new(),
            root: Vec::new(),
            answered: BTreeSet::new(),
            seen: BTreeSet::new(),
            copy: None,
            restored: false,
            crashes: 0,
            failures: 0,
            opening: 0,
        }
    }

    fn position(&self, call: u8) -> Option<usize> {
        self.memory
            .iter()
            .position(|c| matches!(c, Cell::Line { call: theirs, part: 1, .. } if *theirs == call))
    }

    fn answer(&mut self, calls: u8) {
        for call in (0..2).filter(|call| calls & (1 << call) != 0) {
            if let Some(at) = self.position(call) {
                self.answered.insert((call, at as u8, self.memory[at]));
            }
        }
        self.seen.insert(self.memory.clone());
    }

    /// A sync that answers `Ok`: only what is dirty reaches the disk.
    fn sync(&mut self) {
        if let Some(from) = self.dirty_from.take() {
            let from = usize::from(from);
            self.disk.resize(from.max(self.disk.len()).min(self.cache.len()), Cell::Torn);
            self.disk.truncate(from);
            self.disk.extend_from_slice(&self.cache[from..]);
        }
    }

    fn crash_outcomes(&self) -> BTreeSet<Vec<Cell>> {
        match self.dirty_from {
            None => BTreeSet::from([self.disk.clone()]),
            Some(from) => {
                let mut full = self.disk[..self.disk.len().min(usize::from(from))].to_vec();
                full.resize(usize::from(from), Cell::Torn);
                full.extend_from_slice(&self.cache[usize::from(from)..]);
                outcomes(&self.disk, &full)
            }
        }
    }

    fn is_open(&self) -> bool {
        !matches!(
            self.at,
            At::Down | At::Lost | At::Corrupt | At::Recover { .. } | At::RecoverCopied
        )
    }

    /// A step that publishes, or that happens to the home from outside.
    fn pass(&mut self, step: Step) -> Option<()> {
        match step {
            Step::PublishOutside => {
                self.outside = self.memory.clone();
                self.at = At::PublishInside;
            }
            Step::PublishInside => {
                self.inside = self.memory.clone();
                self.at = At::PublishRoot;
            }
            Step::PublishRoot => {
                self.at = At::Idle;
                self.root = self.memory.clone();
                self.seen.insert(self.root.clone());
            }
            Step::Crash(held) => {
                self.crashes += 1;
                self.disk = held.clone();
                self.cache = held;
                self.dirty_from = None;
                self.memory.clear();
                self.at = At::Down;
            }
            Step::Kill => {
                self.crashes += 1;
                self.memory.clear();
                self.at = At::Down;
            }
            Step::Copy => {
                self.copy = Some((self.disk.clone(), self.inside.clone(), self.root.clone()));
            }
            Step::Restore => {
                let (lines, inside, root) = self.copy.clone()?;
                self.disk = lines.clone();
                self.cache = lines;
                self.dirty_from = None;
                self.inside = inside;
                self.root = root;
                self.restored = true;
            }
            _ => return None,
        }
        Some(())
    }
}

impl Model for Flow {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::begin()]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        match &world.at {
            At::Down | At::Lost => steps.push(Step::Recover),
            At::Recover { .. } => steps.push(Step::RecoverCopy),
            At::RecoverCopied => steps.push(Step::RecoverSync),
            At::Idle => {
                steps.extend([1, 2].map(Step::Once));
                if world.outside != world.memory
                    || world.inside != world.memory
                    || world.root != world.memory
                {
                    steps.push(Step::PublishOutside);
                }
            }
            At::PublishInside => steps.push(Step::PublishInside),
            At::PublishRoot => steps.push(Step::PublishRoot),
            At::Seal { .. } => steps.push(Step::Seal),
            At::Append { .. } => steps.push(Step::Append),
            At::Sync { .. } => {
                steps.push(Step::Sync);
                if world.failures == 0 {
                    steps.extend(world.crash_outcomes().into_iter().map(Step::SyncFails));
                }
            }
            At::TakeIn { .. } => steps.push(Step::TakeIn),
            At::Root { .. } => steps.push(Step::Root),
            At::Answer { .. } => steps.push(Step::Answer),
            At::Corrupt => {}
        }
        if world.at != At::Corrupt && world.crashes < 2 {
            steps.extend(world.crash_outcomes().into_iter().map(Step::Crash));
            if !matches!(world.at, At::Down | At::Lost) {
                steps.push(Step::Kill);
            }
        }
        if world.copy.is_none() && world.at == At::Idle && world.root == world.memory {
            steps.push(Step::Copy);
        }
        // signed-state may be a second behind; a restore inside that second is not noticed, and nobody claims it is.
        let current = world.seen.iter().all(|seen| seen.len() <= world.outside.len());
        if world.copy.is_some() && !world.restored && world.at == At::Down && current {
            steps.push(Step::Restore);
        }
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        match step {
            Step::Recover | Step::RecoverCopy | Step::RecoverSync => {
                self.open(before, &mut world, step)?
            }
            Step::PublishOutside
            | Step::PublishInside
            | Step::PublishRoot
            | Step::Crash(_)
            | Step::Kill
            | Step::Copy
            | Step::Restore => world.pass(step)?,
            _ => self.work(before, &mut world, step)?,
        }
        Some(world)
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.cache.len() <= 6
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what was acknowledged is there", |_, world: &World| {
                let there = |(_, at, line): &(u8, u8, Cell)| {
                    world.memory.get(usize::from(*at)) == Some(line)
                };
                world.restored
                    || !world.is_open()
                    || world.answered.iter().all(there)
                    || matches!(world.at, At::TakeIn { .. } | At::Sync { .. })
            }),
            Property::always("one call, one group of receipts", |_, world: &World| {
                let firsts = |call: u8| {
                    let first = |c: &&Cell| matches!(c, Cell::Line { call: theirs, part: 1, .. } if *theirs == call);
                    world.memory.iter().filter(first).count()
                };
                (0..2).all(|call| firsts(call) <= 1)
            }),
            Property::always("no call is halved", |_, world: &World| {
                !world.is_open() || whole_calls(&world.memory) == world.memory.len()
            }),
            Property::always("a crash never reads as corrupt", |_, world: &World| {
                world.at != At::Corrupt || world.restored
            }),
            Property::always("one root for a size", |_, world: &World| {
                let sizes: BTreeSet<usize> = world.seen.iter().map(Vec::len).collect();
                sizes.len() == world.seen.len()
            }),
            Property::sometimes("both calls are answered", |_, world: &World| {
                world.answered.len() == 2
            }),
            Property::sometimes("a restore is noticed", |_, world: &World| {
                world.restored && world.at == At::Corrupt
            }),
        ]
    }
}
