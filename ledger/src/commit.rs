//! One batch of calls, once through: the numbered steps of ARCHITECTURE.md, straight down.
//!
//! ```text
//! 1 may      the Gate, before anything is read
//! 2 once     same id and intent: the receipts we already have; same id, other intent: conflict
//! 3 plan     decide each call on the state the one before it left, tentatively
//! 6 seal     lines, digests, signatures (a pool signs)
//!            openings of private values, synced, where the batch has any
//! 7 append   one write, one fdatasync                          <- THE COMMIT POINT
//! 8 take in  promote the fold, leaf hashes
//! 9 root     sign the checkpoint; only now may an answer leave
//! 10 publish signed-state, then ROOT; coalesced
//! ```
//! Steps 4 and 5 belong to runs ([`crate::run`]), which come here to be sealed. A lost race at step 7 drops the tentative state, takes in what the other
//! writer put there, and goes back to step 2; that is the only way back up.

mod decide;
mod sealer;

use crate::guard::Signed;
use crate::hashes::Hashes;
use crate::openings::{self, Opening, Openings};
use crate::run::Case;
use crate::scroll::Group;
use crate::store::{BATCH_BYTES_MAX, Created};
use crate::writer::{Answer, Writer};
use rayon::prelude::*;
use std::collections::HashMap;
use std::sync::MutexGuard;
use vm_contracts::{
    AnyEngine, Authority, Call, Corrupt, Failure, Fault, Map, Refusal, Spec, Value,
};
use vm_receipts::digest::Blake3;
use vm_receipts::line;
use vm_receipts::line::{Context, End, Line, Part, Prev};
use vm_receipts::moment::Moment;
use vm_scrolls::tree::{Hash, leaf_hash};

/// Lines that one thread deals with faster than a pool would be asked.
const FEW: usize = 32;
/// Most lost races of one batch before the caller is asked to come again.
const RACES_MAX: u32 = 64;
/// A line's share of the batch limit before it is sealed: the longest line.
const LINE_RESERVE: usize = line::LINE_MAX + 1;

/// A call that passed the Gate and the edge, with its id drawn.
pub(crate) struct Admitted {
    pub id: String,
    pub op: String,
    pub spec: &'static Spec,
    pub call: Call,
    pub intent: Map<String, Value>,
    /// Digest of the intent, where nothing of it is private; otherwise it needs salts, and those the call's history.
    pub digest: Option<Blake3>,
    pub authority: Authority,
    pub work: Work,
}

/// What is to be committed.
pub(crate) enum Work {
    /// A fact, decided here.
    Record {
        /// Openings that a contract brought along; empty for a call that came in one go.
        openings: Vec<Opening>,
        /// It waited as a run, whose id it therefore may have.
        of_run: bool,
    },
    /// A run that came to its end.
    Case(Box<Case>),
}

pub(crate) use decide::plain_public;
pub(crate) use sealer::{Ready, Sealer, Unsealable, Unsealed};

impl Work {
    /// A fact that came in one go.
    pub fn record() -> Self {
        Work::Record { openings: Vec::new(), of_run: false }
    }
}

/// What step 2 and 3 made of a call.
enum Decided {
    /// Nothing will be written.
    Refused(Failure),
    /// It was answered before: these lines.
    Known(Group),
    /// Its lines stand in the batch from this index on.
    New { first: usize, of: usize },
    /// The batch is full; it is decided in the next one.
    Later,
}

/// A batch being decided.
struct Batch {
    /// Lines of the batch so far.
    count: usize,
    /// What seals them, while the next calls are decided.
    sealer: Sealer,
    /// Who asked, for calls whose id comes a second time within the batch.
    actors: HashMap<String, String>,
    ids: HashMap<String, Group>,
    /// Openings of the batch's calls, by id; and those of them that are not on disk yet.
    pools: HashMap<String, Vec<Opening>>,
    openings: Vec<Opening>,
    bytes: usize,
    prev: Prev,
    /// Time of the batch, or why nothing new may be sealed now.
    at: Result<Moment, Failure>,
    /// A call did not fit; the ones after it must not overtake it.
    closed: bool,
    /// Each line is written as it is decided, because one of them does not fit a receipt, or all of them not a batch.
    is_careful: bool,
}

impl Writer {
    /// Decides, seals and commits calls to one engine's scroll. One answer for each call, in order.
    pub fn commit(
        &mut self,
        engine: &'static dyn AnyEngine,
        calls: Vec<Call>,
    ) -> Vec<Result<Answer, Failure>> {
        // 1 may
        let record = Work::record;
        let admitted = calls.into_iter().map(|call| self.admit(engine, call, record())).collect();
        self.commit_admitted(engine, admitted)
    }

    /// Steps 2 to 10 for calls that passed step 1.
    pub(crate) fn commit_admitted(
        &mut self,
        engine: &'static dyn AnyEngine,
        calls: Vec<Result<Admitted, Refusal>>,
    ) -> Vec<Result<Answer, Failure>> {
        let mut answers: Vec<Option<Result<Answer, Failure>>> = Vec::new();
        let mut waiting = Vec::new();
        for (n, call) in calls.into_iter().enumerate() {
            answers.push(call.as_ref().err().map(|refusal| Err(refusal.clone().into())));
            waiting.extend(call.ok().map(|admitted| (n, admitted)));
        }
        let (mut races, mut is_careful) = (0, false);
        while !waiting.is_empty() {
            match self.commit_some(engine, &mut waiting, &mut answers, is_careful) {
                Ok(Progress::Committed) => (races, is_careful) = (0, false),
                Ok(Progress::Unsealable) => is_careful = true,
                Ok(Progress::LostRace) if races < RACES_MAX => races += 1,
                Ok(Progress::LostRace) => {
                    let what =
                        format!("{} other writers were faster at {}", races, engine.scroll());
                    let fault = Failure::Fault(Fault::new("contended", what));
                    waiting.drain(..).for_each(|(n, _)| answers[n] = Some(Err(fault.clone())));
                }
                Err(failure) => {
                    waiting.drain(..).for_each(|(n, _)| answers[n] = Some(Err(failure.clone())));
                }
            }
        }
        answers.into_iter().map(|a| a.expect("every call was answered or failed")).collect()
    }

    /// Steps 2 to 9 for as many waiting calls as fit one batch.
    fn commit_some(
        &mut self,
        engine: &'static dyn AnyEngine,
        waiting: &mut Vec<(usize, Admitted)>,
        answers: &mut [Option<Result<Answer, Failure>>],
        is_careful: bool,
    ) -> Result<Progress, Failure> {
        self.usable_for_reading()?;
        let name = engine.scroll();
        self.ensure_scroll(engine)?;
        let mut batch = self.begin(name, is_careful);
        // 2 once, 3 plan
        let decided: Vec<Decided> =
            waiting.iter().map(|(_, call)| self.decide(engine, &mut batch, call)).collect();
        if self.scroll(name).trouble().is_some() {
            // What was decided may rest on values that did not read: nothing of it counts.
            self.healed()?;
            return Ok(Progress::LostRace);
        }
        let mut lines = Vec::new();
        if batch.count > 0 {
            // 6 seal
            let ready = match batch.sealer.finish().and_then(|ready| fits(ready, is_careful)) {
                Ok(ready) => ready,
                Err(why) => {
                    self.scroll_mut(name).state.discard();
                    return match why {
                        Unsealable::Line(_) if !is_careful => Ok(Progress::Unsealable),
                        why => Err(why.into()),
                    };
                }
            };
            self.keep_openings(name, &batch.openings)?;
            let (appended, ready) = self.append(name, &batch.prev, ready)?;
            if appended == Appended::LostRace {
                return Ok(Progress::LostRace);
            }
            // 8 take in
            lines = self.promote(name, ready);
        }
        // 9 root; also over lines of another writer, which an answer may be about
        if self.signed(name).map_or(0, |s| s.size) < self.scroll(name).size() {
            self.sign(name)?;
        }
        self.answer(name, (&batch, lines), waiting, answers, decided)?;
        // 10 publish
        self.publish_when_due()?;
        Ok(Progress::Committed)
    }

    /// The batch's common fields: the history it commits to, and its time, which never goes back.
    fn begin(&mut self, name: &str, is_careful: bool) -> Batch {
        let scroll = self.scroll(name);
        let (prev, last) = (Prev { size: scroll.size(), root: scroll.root() }, scroll.last_at);
        let at = self.usable().and_then(|()| self.now(last));
        Batch {
            count: 0,
            sealer: self.sealer(name),
            actors: HashMap::new(),
            ids: HashMap::new(),
            pools: HashMap::new(),
            openings: Vec::new(),
            bytes: 0,
            prev,
            at,
            closed: false,
            is_careful,
        }
    }

    /// Openings are durable before the receipts that need them; a batch without private values pays nothing.
    fn keep_openings(&mut self, name: &str, openings: &[Opening]) -> Result<(), Failure> {
        if openings.is_empty() {
            return Ok(());
        }
        let kept = self.openings().append(name, openings);
        match kept {
            openings::Kept::Yes => Ok(()),
            openings::Kept::Full(what) => {
                self.scroll_mut(name).state.discard();
                self.out_of_space(&what);
                Err(Failure::Refusal(self.no_space()))
            }
            openings::Kept::Unknown(what) => {
                self.scroll_mut(name).state.discard();
                Err(self.stop(format!("openings of private values were not confirmed: {what}")))
            }
            openings::Kept::Failed(failure) => {
                self.scroll_mut(name).state.discard();
                Err(failure)
            }
        }
    }

    /// Openings of this home's private values.
    pub(crate) fn openings(&self) -> MutexGuard<'_, Openings> {
        self.openings.lock().expect("no holder of this lock panics")
    }

    /// A line of this node with everything that does not depend on the call.
    pub(crate) fn blank_line(
        &self,
        scroll: &str,
        seq: u64,
        part: Part,
        prev: Prev,
        at: Moment,
    ) -> Line {
        let zero = Blake3([0; 32]);
        Line {
            kind: String::new(),
            op: String::new(),
            scroll: scroll.to_owned(),
            seq,
            id: String::new(),
            part,
            intent: zero,
            issuer: self.issuer_did.clone(),
            actor: String::new(),
            context: Context {
                surface: String::new(),
                node: self.settings.node.clone(),
                demo: self.settings.demo,
            },
            actor_proof: None,
            authority: Map::new(),
            at,
            end: End::Completed,
            contract: zero,
            state: zero,
            root_hash: zero,
            artifacts: None,
            prev,
            tags: Vec::new(),
            body: Map::new(),
            proof: None,
        }
    }

    /// What seals lines of a scroll.
    pub(crate) fn sealer(&self, name: &str) -> Sealer {
        let fields = self.is_indexing(name).then(|| self.scroll(name).fields.clone());
        Sealer::new(self.keys.issuer.clone(), fields)
    }

    /// Step 7. After `Created` the calls have happened, whatever comes next.
    pub(crate) fn append(
        &mut self,
        name: &str,
        prev: &Prev,
        mut ready: Vec<Ready>,
    ) -> Result<(Appended, Vec<Ready>), Failure> {
        let bytes: Vec<Vec<u8>> = ready.iter_mut().map(|r| std::mem::take(&mut r.bytes)).collect();
        match self.store.create(name, prev.size, &bytes) {
            Created::Created => {
                ready.iter_mut().zip(bytes).for_each(|(ready, bytes)| ready.bytes = bytes);
                Ok((Appended::Yes, ready))
            }
            Created::Taken => {
                self.scroll_mut(name).state.discard();
                self.catch_up(name)?;
                Ok((Appended::LostRace, Vec::new()))
            }
            Created::Unknown(what) => {
                self.scroll_mut(name).state.discard();
                Err(self.stop(format!(
                    "the write of {} receipts was not confirmed: {what}",
                    ready.len()
                )))
            }
            Created::Full(what) => {
                self.scroll_mut(name).state.discard();
                self.out_of_space(&what);
                Err(Failure::Refusal(self.no_space()))
            }
        }
    }

    /// Takes committed lines in; gives their bytes.
    pub(crate) fn promote(&mut self, name: &str, mut ready: Vec<Ready>) -> Vec<Vec<u8>> {
        let scroll = self.scroll_mut(name);
        let mut lines = Vec::with_capacity(ready.len());
        for ready in &mut ready {
            scroll.take_in(&ready.line, ready.leaf, ready.terms.take(), true);
            lines.push(std::mem::take(&mut ready.bytes));
        }
        scroll.promote();
        if ready.len() > FEW {
            // Letting go of many lines takes longer than taking them in, and nobody waits for it.
            rayon::spawn(move || drop(ready));
        }
        lines
    }

    /// Step 9: the guard first, so that no second root is ever signed for a size, not even in memory.
    pub(crate) fn sign(&mut self, name: &str) -> Result<(), Failure> {
        let scroll = self.scroll(name);
        let signed = Signed { size: scroll.size(), root: scroll.root() };
        if let Err(corrupt) = self.guard.advance(&self.settings.origin(name), signed) {
            self.stop(corrupt.to_string());
            return Err(corrupt.into());
        }
        let note = self.checkpoint(name, signed).sign(&self.keys.log);
        self.notes.insert(name.to_owned(), note);
        self.unpublished.insert(name.to_owned());
        Ok(())
    }

    fn answer(
        &mut self,
        name: &str,
        (batch, mut lines): (&Batch, Vec<Vec<u8>>),
        waiting: &mut Vec<(usize, Admitted)>,
        answers: &mut [Option<Result<Answer, Failure>>],
        decided: Vec<Decided>,
    ) -> Result<(), Failure> {
        let mut proofs = self.proofs_of(name, batch.prev.size, lines.len())?;
        let mut later = Vec::new();
        for ((n, call), decided) in std::mem::take(waiting).into_iter().zip(decided) {
            let answer = match decided {
                Decided::Refused(failure) => Err(failure),
                Decided::Known(group) => self.known(name, &group),
                Decided::New { first, of } => Ok(Answer {
                    scroll: name.to_owned(),
                    first: batch.prev.size + first as u64,
                    lines: lines[first..first + of].iter_mut().map(std::mem::take).collect(),
                    proofs: proofs[first..first + of].iter_mut().map(std::mem::take).collect(),
                    checkpoint: self.notes.get(name).cloned().unwrap_or_default(),
                    existing: false,
                }),
                Decided::Later => {
                    later.push((n, call));
                    continue;
                }
            };
            answers[n] = Some(answer);
        }
        *waiting = later;
        Ok(())
    }

    /// Inclusion proofs of lines that were just taken in; a pool makes them, because a batch has many.
    fn proofs_of(&self, name: &str, first: u64, count: usize) -> Result<Vec<Vec<Hash>>, Failure> {
        if count <= FEW {
            return (first..first + count as u64)
                .map(|seq| self.inclusion_path(name, seq))
                .collect();
        }
        let hashes = &self.scroll(name).hashes;
        let made: Result<Vec<Vec<Hash>>, Fault> = (0..count)
            .into_par_iter()
            .with_min_len(FEW)
            .map(|n| hashes.inclusion_proof(hashes.size(), first + n as u64))
            .collect();
        match made {
            Ok(proofs) => Ok(proofs),
            // Tiles that do not read are made again by one.
            Err(_) => (first..first + count as u64).map(|s| self.inclusion_path(name, s)).collect(),
        }
    }

    /// The answer for a call that was committed before, from the stored bytes.
    fn known(&self, name: &str, group: &Group) -> Result<Answer, Failure> {
        let lines = self.read_checked(name, group.first, group.of as usize)?;
        self.proven(name, group.first, lines, true)
    }

    /// Stored lines, compared with the leaf hashes they had when they were taken in: an answer never carries bytes that
    /// changed on disk meanwhile.
    pub(crate) fn read_checked(
        &self,
        name: &str,
        first: u64,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let lines = self.store.read(name, first, count)?;
        for (seq, line) in (first..).zip(&lines) {
            if self.with_tiles(name, |hashes| hashes.leaf(seq))? != leaf_hash(line) {
                let (first, byte) =
                    self.segments.as_ref().map_or((0, 0), |s| s.layout_place(name, seq));
                return Err(Failure::Corrupt(Corrupt {
                    file: crate::segments::segment_path(name, first),
                    line: Some(seq - first + 1),
                    byte: Some(byte),
                    claim: format!("{name}/{seq} is not what it was when this process took it in"),
                    hint: Some("The file was changed under a running ledger. `vm verify` says what is still provable.".into()),
                }));
            }
        }
        Ok(lines)
    }

    /// Receipts, inclusion proofs and the checkpoint they lead to.
    fn proven(
        &self,
        name: &str,
        first: u64,
        lines: Vec<Vec<u8>>,
        existing: bool,
    ) -> Result<Answer, Failure> {
        let proof = |seq: u64| self.inclusion_path(name, seq);
        let proofs: Result<_, _> = (first..first + lines.len() as u64).map(proof).collect();
        let checkpoint = self.notes.get(name).cloned().unwrap_or_default();
        Ok(Answer { scroll: name.to_owned(), first, lines, proofs: proofs?, checkpoint, existing })
    }

    /// Inclusion proof of a line in the tree of now.
    pub(crate) fn inclusion_path(&self, name: &str, seq: u64) -> Result<Vec<Hash>, Failure> {
        self.with_tiles(name, |hashes| hashes.inclusion_proof(hashes.size(), seq))
    }

    /// Asks a scroll's tree; tiles that do not lead to its root are made again from the lines, and that is said.
    pub(crate) fn with_tiles<T>(
        &self,
        name: &str,
        ask: impl FnMut(&Hashes) -> Result<T, Fault>,
    ) -> Result<T, Failure> {
        let mut read = |at: u64, count: usize| Ok(self.store.read(name, at, count)?);
        let (answer, rebuilt) = self.scroll(name).hashes.mended(&mut read, ask)?;
        if rebuilt.tiles > 0 {
            let names = rebuilt.names.join(", ");
            let what = format!("{} tiles did not read and were made again: {names}", rebuilt.tiles);
            self.asides.lock().expect("no holder of this lock panics").push(what);
        }
        Ok(answer)
    }
}

/// How far `commit_some` came.
enum Progress {
    Committed,
    LostRace,
    /// A line does not fit a receipt, or all of them no batch. Nothing happened; who asked for it is found out by deciding
    /// once more, carefully.
    Unsealable,
}

/// What became of step 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    Yes,
    LostRace,
}

/// Sealed lines that one batch can hold; their size was only guessed while they were decided.
fn fits(ready: Vec<Ready>, is_careful: bool) -> Result<Vec<Ready>, Unsealable> {
    let bytes: usize = ready.iter().map(|r| r.bytes.len() + 1).sum();
    match is_careful || bytes <= BATCH_BYTES_MAX {
        true => Ok(ready),
        false => Err(Unsealable::Line(format!("{bytes} bytes are more than one batch holds"))),
    }
}
