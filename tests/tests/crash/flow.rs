//! What a campaign does to a home, and what a life of it leaves: images to crash in, and promises to keep.

use crate::bent::{Bent, Bug};
use crate::runs::{Deed, RunPromises, Witness};
use crate::{cases, check};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use vm_contracts::{Call, Failure};
use vm_ledger::fs::Fs;
use vm_ledger::shelf::Shelving;
use vm_ledger::{Answer, Ledger, Outside, Writer, root_path};
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Note;
use vm_scrolls::tree::Hash;
use vm_tests::crashfs::{CrashFs, Image, Trouble};
use vm_tests::toy::Tills;
use vm_tests::world::{self, Dice, HandClock};

/// The scroll everything happens in.
pub const SCROLL: &str = "toy";

/// One thing that happens to a home.
pub enum Step {
    /// Calls that arrive together and are committed as one batch.
    Batch(Vec<Call>),
    /// signed-state and ROOT are made current.
    Publish,
    /// Time passes, so that the next batch publishes by itself.
    Pass(u64),
    /// Somebody does something to a run.
    Run(Deed),
}

/// A home to begin with and what happens to it.
pub struct Script {
    pub name: String,
    pub per_file: u64,
    pub base: Image,
    pub steps: Vec<Step>,
}

impl Script {
    pub fn new(name: &str, per_file: u64, before: &[Step], steps: Vec<Step>) -> Self {
        Self { name: name.to_owned(), per_file, base: base(per_file, before), steps }
    }
}

/// A laid-out home in which some steps have happened; all of it durable.
fn base(per_file: u64, before: &[Step]) -> Image {
    let fs = Arc::new(CrashFs::new(Image::default(), 0));
    world::lay_out(&*fs);
    let ledger =
        Ledger::new(open(fs.clone(), per_file, Arc::default()).expect("an empty home opens"));
    for step in before {
        match step {
            Step::Batch(calls) => ledger.submit_all(calls.clone()).into_iter().for_each(|answer| {
                answer.expect("the first calls are taken");
            }),
            Step::Publish => ledger.flush().expect("nothing fails here"),
            Step::Pass(_) | Step::Run(_) => {}
        }
    }
    ledger.flush().expect("nothing fails here");
    fs.image().all_kept()
}

pub fn open(fs: Arc<dyn Fs>, per_file: u64, clock: Arc<HandClock>) -> Result<Writer, Failure> {
    open_with(world::outside(fs, clock, 7), per_file)
}

fn open_with(outside: Outside, per_file: u64) -> Result<Writer, Failure> {
    Writer::open_with_files_of(per_file, outside, world::settings(), world::keys())
}

/// An answer that left, after so many changes of the file system.
#[derive(Clone)]
pub struct Promise {
    pub at: usize,
    pub answer: Arc<Answer>,
}

/// What was promised to somebody outside.
#[derive(Clone, Default)]
pub struct Promises {
    pub answers: BTreeMap<String, Promise>,
    /// Every signed root that somebody could have seen, by size.
    pub roots: BTreeMap<u64, (usize, Hash)>,
    /// Calls that were told that there was no space and nothing was written.
    pub refused: BTreeSet<String>,
    /// What people were told of runs, and what happened in the world.
    pub runs: RunPromises,
}

impl Promises {
    /// Those that had left when so many changes were done. They count from the beginning in the next life.
    pub fn by(&self, changes: usize) -> Self {
        let answers = self.answers.iter().filter(|(_, p)| p.at <= changes);
        let roots = self.roots.iter().filter(|(_, (at, _))| *at <= changes);
        Self {
            answers: answers
                .map(|(id, p)| (id.clone(), Promise { at: 0, answer: p.answer.clone() }))
                .collect(),
            roots: roots.map(|(size, (_, root))| (*size, (0, *root))).collect(),
            refused: self.refused.clone(),
            runs: self.runs.by(changes),
        }
    }

    pub fn answer(&mut self, id: &str, at: usize, answer: Answer) -> Result<(), String> {
        self.note(at, answer.checkpoint.as_bytes())?;
        self.answers
            .entry(id.to_owned())
            .or_insert_with(|| Promise { at, answer: Arc::new(answer) });
        Ok(())
    }

    fn note(&mut self, at: usize, note: &[u8]) -> Result<(), String> {
        let (size, root) = size_and_root(note)?;
        let first = self.roots.entry(size).or_insert((at, root));
        match first.1 == root {
            true => Ok(()),
            false => Err(format!("a second root was signed for size {size}")),
        }
    }

    /// A number that differs where promises differ.
    pub fn digest(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        for (id, promise) in &self.answers {
            (id, promise.answer.first, &promise.answer.lines).hash(&mut hasher);
        }
        self.roots.iter().for_each(|(size, (_, root))| (size, root).hash(&mut hasher));
        self.refused.hash(&mut hasher);
        self.runs.hash(&mut hasher);
        hasher.finish()
    }
}

pub fn size_and_root(note: &[u8]) -> Result<(u64, Hash), String> {
    let text = Note::parse(note).map_err(|e| format!("a checkpoint does not read: {e}"))?.text;
    let checkpoint =
        Checkpoint::parse_body(&text).map_err(|e| format!("a checkpoint does not read: {e}"))?;
    Ok((checkpoint.size, checkpoint.root))
}

/// One life of a home: from its opening to the last step, or to where it failed.
pub struct Life {
    /// The image before each change, and the last one.
    pub trail: Vec<Image>,
    pub promises: Promises,
    /// Calls of the file system.
    pub calls: u64,
    /// What it did wrong, if it did.
    pub wrong: Option<String>,
}

/// How a life goes.
#[derive(Clone, Copy, Default)]
pub struct Fate {
    pub bug: Option<Bug>,
    pub trouble: Trouble,
    pub seed: u64,
    /// How many lives there were before.
    pub age: u64,
}

/// Opens a home, checks that it keeps what was promised, does every step of the script (again), and checks once more.
pub fn live(script: &Script, image: Image, promised: Promises, fate: Fate) -> Life {
    let mut dice = Dice::of(fate.seed, &[fate.age, 1]);
    let fs = Arc::new(CrashFs::new(image.clone(), dice.next()).recording().writing_back());
    fs.trouble(fate.trouble);
    let seam: Arc<dyn Fs> = match fate.bug {
        Some(bug) => Arc::new(Bent::new(bug, fs.clone())),
        None => fs.clone(),
    };
    let clock = Arc::new(HandClock::default());
    clock.pass(fate.age * 10_000);
    (0..fate.age).for_each(|_| clock.reboot());
    let mut promises = promised;
    let troubled = fate.trouble != Trouble::default();
    let witness = Arc::new(Witness::new(fs.clone(), &promises.runs));
    // Salts of one life are never those of another.
    let outside = Outside {
        ports: Arc::new(Tills(witness.clone())),
        // Every write of an index is one more place to crash at: a few lives meet thousands of them.
        shelving: fate.seed.is_multiple_of(40).then(|| Shelving { fs: seam.clone(), after: 4 }),
        ..world::outside(seam, clock.clone(), 7 + fate.age)
    };
    let wrong = go(script, &image, (&fs, &witness), outside, &clock, &mut promises, troubled).err();
    promises.runs.effects = witness.effects();
    let mut trail = fs.take_trail();
    let mut wrong = wrong.or(promises.runs.twice());
    if let Err(e) = see_roots(&trail, &mut promises) {
        wrong.get_or_insert(e);
    }
    if troubled {
        // Only the end matters after trouble; crashes in between are those of a life without it.
        trail.drain(..trail.len() - 1);
    }
    Life { trail, promises, calls: fs.calls(), wrong }
}

fn go(
    script: &Script,
    image: &Image,
    (fs, witness): (&Arc<CrashFs>, &Witness),
    outside: Outside,
    clock: &Arc<HandClock>,
    promises: &mut Promises,
    troubled: bool,
) -> Result<(), String> {
    let before = promises.clone();
    let writer = match open_with(outside, script.per_file) {
        Ok(writer) => writer,
        Err(Failure::Corrupt(e)) => return Err(format!("it reads as corrupt: {e}")),
        Err(_) if troubled => return Ok(()),
        Err(e) => return Err(format!("it does not open: {e}")),
    };
    let ledger = Ledger::new(writer);
    if !troubled {
        check::stands(&fs.image(), &before)?;
        cases::stand(&ledger, &fs.image(), &before, script)?;
    }
    check::quarantined(image, &fs.image())?;
    let mut stopped = false;
    for step in &script.steps {
        match step {
            Step::Pass(ms) => clock.pass(*ms),
            Step::Publish => match ledger.flush() {
                Err(e) if !troubled => return Err(format!("it does not publish: {e}")),
                _ => {}
            },
            Step::Run(deed) => {
                let done = deed.act(&ledger, promises, fs, troubled)?;
                if stopped && done {
                    return Err(format!("{} was done after the ledger had stopped", deed.id()));
                }
            }
            Step::Batch(calls) => {
                let answers = ledger.submit_all(calls.clone());
                for (call, answer) in calls.iter().zip(answers) {
                    let id = call.id.as_deref().expect("scripts name their calls");
                    check::answered(id, &answer, &before, troubled)?;
                    if stopped && answer.is_ok() {
                        return Err(format!("{id} was answered after the ledger had stopped"));
                    }
                    stopped |= matches!(answer, Err(Failure::Lost(_)));
                    if answer.as_ref().is_err_and(|e| e.code() == "no_space") {
                        promises.refused.insert(id.to_owned());
                    }
                    if let Ok(answer) = answer {
                        promises.refused.remove(id);
                        let changes = usize::try_from(fs.changes()).expect("few changes");
                        promises.answer(id, changes, answer)?;
                    }
                }
            }
        }
    }
    if !troubled {
        check::whole(&ledger, script, promises)?;
        check::kept(&ledger, &fs.image(), promises)?;
        promises.runs.effects = witness.effects();
        cases::stand(&ledger, &fs.image(), promises, script)?;
        cases::ended(&ledger, promises, script)?;
    }
    Ok(())
}

/// Somebody may read ROOT as soon as it stands there, durable or not.
fn see_roots(trail: &[Image], promises: &mut Promises) -> Result<(), String> {
    let path = root_path(SCROLL);
    let mut last = None;
    for (at, image) in trail.iter().enumerate() {
        let now = image.read(&path);
        if let Some(bytes) = &now
            && last.as_ref() != Some(bytes)
            && !bytes.is_empty()
        {
            promises.note(at, bytes)?;
        }
        last = now;
    }
    Ok(())
}
