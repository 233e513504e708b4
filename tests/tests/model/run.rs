//! A run with an effect: two executors, a person who gives it up, one who seals, and a process that dies at any step.
//!
//! Steps carry the names of `ledger/src/run/`: open, claim, effect, keep, abort, seal, move; opening a home recovers.
//! What the file system does below one step is the crash campaign's part: here a step is done or not.

use stateright::{Model, Property};

/// A rule of runs, to be broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunRule {
    /// The claim is durable before the effect.
    ClaimFirst,
    /// Whoever finds a claim does not begin.
    ClaimOnce,
    /// A claim survives the process: opening does not take it away.
    ClaimStays,
    /// Opening seals what was claimed and has no outcome.
    SealInterrupted,
    /// A run that an executor is at cannot be given up.
    NoAbortWhileClaimed,
    /// Only a run that came to its end is sealed.
    SealEndedOnly,
    /// A second receipt for an id is never written.
    Once,
    /// Opening moves a case whose receipt is there.
    MoveAtOpen,
    /// The folder moves after the receipt is committed.
    MoveAfterReceipt,
}

/// What must be reachable.
pub const HOPES: [&str; 3] =
    ["a run is completed and its case stands", "a run is interrupted", "a run is given up"];

/// What state.json says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Folder {
    Absent,
    Open,
    Completed,
    Aborted,
}

/// Where an executor is; it is gone with its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Executor {
    Idle,
    Claimed,
    Paid,
}

/// A whole world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    is_open: bool,
    executors: [Executor; 2],
    folder: Folder,
    claimed: bool,
    /// Ends of the receipts with this id: whether each says completed.
    receipts: Vec<bool>,
    has_case: bool,
    effects: u8,
    /// Somebody was told that the run is given up, or sealed.
    told_aborted: bool,
    told_sealed: bool,
    deaths: u8,
    /// The home was opened when the receipt was there already.
    was_left: bool,
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Open,
    Claim(usize),
    Effect(usize),
    Keep(usize),
    Abort,
    Seal,
    Move,
    Die,
    Recover,
}

/// The model.
pub struct Runs {
    pub broken: Option<RunRule>,
}

impl Runs {
    fn keeps(&self, rule: RunRule) -> bool {
        self.broken != Some(rule)
    }

    fn claim(&self, world: &mut World, n: usize) -> Option<()> {
        let taken = world.claimed && self.keeps(RunRule::ClaimOnce);
        if world.folder != Folder::Open || taken || world.executors[n] != Executor::Idle {
            return None;
        }
        world.executors[n] = Executor::Claimed;
        world.claimed |= self.keeps(RunRule::ClaimFirst);
        Some(())
    }

    fn keep(&self, world: &mut World, n: usize) -> Option<()> {
        if world.executors[n] != Executor::Paid {
            return None;
        }
        world.executors[n] = Executor::Idle;
        world.claimed = true;
        world.folder = Folder::Completed;
        Some(())
    }

    fn abort(&self, world: &mut World) -> Option<()> {
        let busy = world.claimed && self.keeps(RunRule::NoAbortWhileClaimed);
        if world.folder != Folder::Open || busy {
            return None;
        }
        world.folder = Folder::Aborted;
        world.told_aborted = true;
        Some(())
    }

    fn append(&self, world: &mut World) {
        if world.receipts.is_empty() || !self.keeps(RunRule::Once) {
            world.receipts.push(world.folder != Folder::Aborted);
        }
        world.told_sealed = true;
    }

    fn seal(&self, world: &mut World) -> Option<()> {
        let ended = matches!(world.folder, Folder::Completed | Folder::Aborted);
        let may = ended || (world.folder == Folder::Open && !self.keeps(RunRule::SealEndedOnly));
        if !may || world.receipts.len() > 1 {
            return None;
        }
        match self.keeps(RunRule::MoveAfterReceipt) {
            true => self.append(world),
            // The folder is gone before the receipt is there; whoever dies between has neither.
            false if !world.has_case => {
                world.folder = Folder::Absent;
                world.has_case = true;
            }
            false => return None,
        }
        Some(())
    }

    fn put_away(&self, world: &mut World) -> Option<()> {
        if world.receipts.is_empty() || world.folder == Folder::Absent {
            return None;
        }
        world.folder = Folder::Absent;
        world.has_case = true;
        Some(())
    }

    fn recover(&self, world: &mut World) {
        world.is_open = true;
        if !world.receipts.is_empty() {
            world.was_left = true;
            if self.keeps(RunRule::MoveAtOpen) {
                self.put_away(world);
            }
            return;
        }
        if !self.keeps(RunRule::ClaimStays) {
            world.claimed = false;
        }
        let interrupted = world.claimed && world.folder == Folder::Open;
        if interrupted && self.keeps(RunRule::SealInterrupted) {
            world.folder = Folder::Aborted;
            world.receipts.push(false);
            self.put_away(world);
        }
    }
}

impl Model for Runs {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            is_open: true,
            executors: [Executor::Idle; 2],
            folder: Folder::Absent,
            claimed: false,
            receipts: Vec::new(),
            has_case: false,
            effects: 0,
            told_aborted: false,
            told_sealed: false,
            deaths: 0,
            was_left: false,
        }]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        if !world.is_open {
            acts.push(Act::Recover);
            return;
        }
        acts.extend([Act::Open, Act::Abort, Act::Seal, Act::Move]);
        acts.extend((0..2).flat_map(|n| [Act::Claim(n), Act::Effect(n), Act::Keep(n)]));
        if world.deaths < 2 {
            acts.push(Act::Die);
        }
    }

    fn next_state(&self, before: &World, act: Act) -> Option<World> {
        let mut world = before.clone();
        match act {
            Act::Open => {
                let fresh = world.folder == Folder::Absent && world.receipts.is_empty();
                if !fresh || world.has_case {
                    return None;
                }
                world.folder = Folder::Open;
            }
            Act::Claim(n) => self.claim(&mut world, n)?,
            Act::Effect(n) => {
                if world.executors[n] != Executor::Claimed {
                    return None;
                }
                world.executors[n] = Executor::Paid;
                world.effects += 1;
            }
            Act::Keep(n) => self.keep(&mut world, n)?,
            Act::Abort => self.abort(&mut world)?,
            Act::Seal => self.seal(&mut world)?,
            Act::Move => self.put_away(&mut world)?,
            Act::Die => {
                world.deaths += 1;
                world.is_open = false;
                world.executors = [Executor::Idle; 2];
            }
            Act::Recover => self.recover(&mut world),
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("an effect happens once", |_, world: &World| world.effects <= 1),
            Property::always("one id, one receipt", |_, world: &World| world.receipts.len() <= 1),
            Property::always("an effect has its receipt or its outcome", |_, world: &World| {
                let at_it = world.executors.contains(&Executor::Paid);
                let said = !world.receipts.is_empty() || world.folder == Folder::Completed;
                world.effects == 0 || !world.is_open || at_it || said
            }),
            Property::always("a receipt says what happened", |_, world: &World| {
                !world.receipts.contains(&true) || world.effects == 1
            }),
            Property::always("what was sealed stays sealed", |_, world: &World| {
                !world.told_sealed || !world.receipts.is_empty()
            }),
            Property::always("what was given up is not completed", |_, world: &World| {
                let completed = world.receipts.contains(&true) || world.folder == Folder::Completed;
                !world.told_aborted || !completed
            }),
            Property::always("a case has its receipt", |_, world: &World| {
                !world.has_case || !world.receipts.is_empty()
            }),
            Property::always("opening leaves no sealed run behind", |_, world: &World| {
                !world.was_left || world.has_case
            }),
            Property::sometimes("a run is completed and its case stands", |_, world: &World| {
                world.has_case && world.receipts == [true]
            }),
            Property::sometimes("a run is interrupted", |_, world: &World| {
                world.receipts == [false] && !world.told_aborted
            }),
            Property::sometimes("a run is given up", |_, world: &World| {
                world.receipts == [false] && world.told_aborted
            }),
        ]
    }
}
