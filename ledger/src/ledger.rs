//! The ledger as surfaces use it: many callers, one writer, group commit.
//!
//! Whoever calls puts its call into the queue and then waits for the writer. The one that gets it commits everything
//! that has gathered meanwhile as one batch; the others find their answers ready. No thread of its own is needed.

use crate::scroll::Scroll;
use crate::search::{self, Receipt};
use crate::shelf::Job;
use crate::writer::{Answer, Writer};
use serde_json::Map;
use std::collections::HashMap;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use vm_contracts::{
    AnyEngine, AnyState, Call, Export, Failure, Fault, History, Import, Lost, Refusal, Source,
    Term, Value, edge,
};
use vm_receipts::key::SecretKey;
use vm_receipts::line::Line;
use vm_receipts::moment::Moment;
use vm_scrolls::query::{Page, Query};
use vm_scrolls::tree::Hash;

/// Most calls that one holder of the writer takes from the queue at once.
const TAKE_MAX: usize = 8_192;
/// Lines read at a time when history is walked.
const CHUNK: usize = 2_048;

type Slot = Arc<Mutex<Option<Result<Answer, Failure>>>>;

/// A home that is open for work.
pub struct Ledger {
    shared: Arc<Shared>,
    queue: Mutex<Vec<(Call, Slot)>>,
    /// Writes index and tiles while the writer goes on; without it that is done by whoever commits.
    worker: Option<Worker>,
    /// How many commands sign with each key that was lent for a while, by its DID.
    lent_keys: Mutex<HashMap<String, u32>>,
}

/// A signing key that the ledger has for as long as this stands, see [`Ledger::sign_as_while`].
pub struct Signing<'a> {
    ledger: &'a Ledger,
    did: String,
}

impl Drop for Signing<'_> {
    fn drop(&mut self) {
        let mut lent = self.ledger.lent_keys.lock().expect("counting cannot panic");
        let left = lent.get(&self.did).map_or(0, |count| count.saturating_sub(1));
        if left > 0 {
            lent.insert(self.did.clone(), left);
            return;
        }
        lent.remove(&self.did);
        // After a panic inside the writer nothing is signed any more, so there is nothing to take away.
        if let Ok(mut writer) = self.ledger.shared.writer.lock() {
            writer.signers.remove(&self.did);
        }
    }
}

struct Shared {
    writer: Mutex<Writer>,
    /// Something was handed over to the index.
    settled: Condvar,
}

impl Shared {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().expect("a panic inside the writer ends the process")
    }
}

/// The thread that writes index and tiles.
struct Worker {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(shared: Arc<Shared>) -> Self {
        let (jobs, due) = mpsc::channel::<Job>();
        let work = move || {
            for job in due {
                let done = job.run_guarded();
                shared.writer().end_shelving(job, done);
                shared.settled.notify_all();
            }
        };
        Self { jobs: Some(jobs), thread: Some(std::thread::spawn(work)) }
    }

    fn send(&self, job: Job) {
        // The thread lives as long as this does.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job).is_ok());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        // A thread that panicked has nothing left to say.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A point in a scroll's history that a question is asked of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AsOf {
    /// All that is committed.
    #[default]
    Now,
    /// The first lines, this many.
    Size(u64),
    /// Lines whose `at` is not after this.
    Time(Moment),
}

impl Ledger {
    /// A ledger over an open writer. Whoever commits writes index and tiles as well, where they are due.
    pub fn new(writer: Writer) -> Self {
        let shared = Arc::new(Shared { writer: Mutex::new(writer), settled: Condvar::new() });
        let (queue, lent_keys) = (Mutex::new(Vec::new()), Mutex::new(HashMap::new()));
        Self { shared, queue, worker: None, lent_keys }
    }

    /// The same with a thread that writes index and tiles, so that nobody who commits waits for them.
    pub fn with_worker(writer: Writer) -> Self {
        let mut ledger = Self::new(writer);
        ledger.worker = Some(Worker::start(ledger.shared.clone()));
        ledger
    }

    /// The writer, for one thing at a time.
    pub fn writer(&self) -> MutexGuard<'_, Writer> {
        self.shared.writer()
    }

    /// Hands over to the index what is due, after a commit or a tick; waits only where memory would grow too far.
    fn shelve_due(&self, mut writer: MutexGuard<'_, Writer>) {
        let jobs = writer.due_jobs();
        match &self.worker {
            None => {
                for job in jobs {
                    let done = job.run_guarded();
                    writer.end_shelving(job, done);
                }
            }
            Some(worker) => {
                jobs.into_iter().for_each(|job| worker.send(job));
                let settled = &self.shared.settled;
                drop(settled.wait_while(writer, |writer| writer.is_far_behind()));
            }
        }
    }

    /// Commits one call. Many threads may call this; their calls share syncs.
    pub fn submit(&self, call: Call) -> Result<Answer, Failure> {
        let slot: Slot = Arc::default();
        self.queue.lock().expect("pushing cannot panic").push((call, slot.clone()));
        let mut writer = self.writer();
        if let Some(answer) = slot.lock().expect("setting cannot panic").take() {
            return answer;
        }
        // Not answered yet, so it still stands in the queue: only a holder of the writer takes from there.
        loop {
            let taken: Vec<(Call, Slot)> = {
                let mut queue = self.queue.lock().expect("pushing cannot panic");
                let count = queue.len().min(TAKE_MAX);
                queue.drain(..count).collect()
            };
            commit_taken(&mut writer, taken);
            if let Some(answer) = slot.lock().expect("setting cannot panic").take() {
                self.shelve_due(writer);
                return answer;
            }
        }
    }

    /// Commits many calls of one caller, in order, in as few batches as they fit.
    pub fn submit_all(&self, calls: Vec<Call>) -> Vec<Result<Answer, Failure>> {
        let slots: Vec<Slot> = calls.iter().map(|_| Slot::default()).collect();
        let taken = calls.into_iter().zip(slots.iter().cloned()).collect();
        let mut writer = self.writer();
        commit_taken(&mut writer, taken);
        self.shelve_due(writer);
        let answer = |s: Slot| {
            s.lock().expect("setting cannot panic").take().expect("each call was answered")
        };
        slots.into_iter().map(answer).collect()
    }

    /// The hosted engine of this name.
    pub fn engine(&self, name: &str) -> Result<&'static dyn AnyEngine, Refusal> {
        find_engine(self.writer().engines(), name)
    }

    /// Makes signed-state and ROOT current, and the index where that is worth it. Call it before the process ends.
    pub fn flush(&self) -> Result<(), Failure> {
        let mut writer = self.writer();
        writer.publish()?;
        if self.worker.is_some() {
            let settled = self.shared.settled.wait_while(writer, |w| w.is_shelving());
            writer = settled.expect("a panic inside the writer ends the process");
        }
        writer.shelve();
        Ok(())
    }

    /// Makes signed-state and ROOT current where they are behind, and hands over to the index what is worth it: for a
    /// process that goes on, about once a second.
    pub fn tick(&self) -> Result<(), Failure> {
        let mut writer = self.writer();
        writer.look_for_space();
        writer.publish()?;
        self.shelve_due(writer);
        Ok(())
    }

    /// Answers a report of an engine, as of a point in its history.
    pub fn report(
        &self,
        engine: &str,
        verb: &str,
        question: &Map<String, Value>,
        as_of: AsOf,
    ) -> Result<(u64, Value), Failure> {
        self.reading(|writer| report(writer, engine, verb, question, as_of))
    }

    /// Reads with the writer at rest; once more where an index did not read and had to be made again.
    pub(crate) fn reading<T>(
        &self,
        read: impl Fn(&Writer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut writer = self.writer();
        loop {
            let found = read(&writer);
            // A scroll is healed once; after that it does without an index, so this ends.
            if !writer.healed()? {
                return found;
            }
        }
    }

    /// Writes an engine's state and history in a foreign format.
    pub fn export(&self, engine: &str, format: &str) -> Result<Export, Failure> {
        self.reading(|writer| {
            let engine = find_engine(writer.engines(), engine)?;
            let view = View::at(writer, engine, AsOf::Now)?;
            let mut history = view.history();
            engine.export(view.state(), &mut history, format)
        })
    }

    /// Reads a source into calls, without committing any.
    pub fn import(
        &self,
        engine: &str,
        format: Option<&str>,
        source: Source<'_>,
    ) -> Result<Import, Failure> {
        self.reading(|writer| {
            let engine = find_engine(writer.engines(), engine)?;
            let view = View::at(writer, engine, AsOf::Now)?;
            Ok(engine.import(view.state(), format, source)?)
        })
    }

    /// Shows the state of an engine as it is now, to an import that has to know what is there. `ask` may be asked twice.
    pub fn look(&self, engine: &str, ask: &mut dyn FnMut(&dyn AnyState)) -> Result<(), Failure> {
        let ask = std::cell::RefCell::new(ask);
        self.reading(|writer| {
            let engine = find_engine(writer.engines(), engine)?;
            let view = View::at(writer, engine, AsOf::Now)?;
            (ask.borrow_mut())(view.state());
            Ok(())
        })
    }

    /// From now on, receipts of calls by this key's owner carry their own signature. The key is never kept.
    pub fn sign_as(&self, key: SecretKey) {
        self.writer().sign_as(key);
    }

    /// The same for as long as the answer stands: in a process that lives on, the key goes with the last command that
    /// brought it.
    pub fn sign_as_while(&self, key: SecretKey) -> Signing<'_> {
        let did = key.did().to_owned();
        let mut lent = self.lent_keys.lock().expect("counting cannot panic");
        *lent.entry(did.clone()).or_default() += 1;
        self.writer().sign_as(key);
        Signing { ledger: self, did }
    }

    /// Why this ledger answers nothing any more, if so.
    pub fn health(&self) -> Result<(), Failure> {
        match self.shared.writer.lock() {
            Ok(writer) => writer.usable_for_reading(),
            Err(_) => Err(Lost { message: "the writer of this ledger broke".into() }.into()),
        }
    }

    /// The key for ids of imported calls, see [`Source`].
    pub fn import_key(&self) -> Result<[u8; 32], Failure> {
        self.writer().openings().import_key()
    }

    /// Visits the lines of a scroll from `from` on, bytes and parsed, until `visit` returns false.
    pub fn lines(
        &self,
        scroll: &str,
        from: u64,
        visit: &mut dyn FnMut(&[u8], &Line) -> bool,
    ) -> Result<(), Failure> {
        let writer = self.writer();
        known_scroll(&writer, scroll)?;
        walk(&writer, scroll, from, u64::MAX, visit)
    }

    /// The receipts of a scroll that satisfy every filter, one page of them, and the size they were looked for in.
    pub fn query(&self, scroll: &str, query: &Query) -> Result<(u64, Page<Receipt>), Failure> {
        self.reading(|writer| search::page(writer, scroll, query))
    }

    /// One line and its inclusion proof in the current tree, with the signed checkpoint.
    pub fn prove(&self, scroll: &str, seq: u64) -> Result<Proven, Failure> {
        self.reading(|writer| {
            let size = known_scroll(writer, scroll)?.size();
            if seq >= size {
                let what = format!("{scroll} has {size} receipts; there is no {scroll}/{seq}");
                return Err(Refusal::not_found("no_such_receipt", what).into());
            }
            let line = writer.read_checked(scroll, seq, 1)?.pop().expect("it is below the size");
            let path = writer.inclusion_path(scroll, seq)?;
            let checkpoint = writer.notes.get(scroll).cloned().unwrap_or_default();
            Ok(Proven { line, seq, path, checkpoint })
        })
    }

    /// Sequence numbers of the lines that a call left.
    pub fn find(&self, scroll: &str, id: &str) -> Result<Option<(u64, u32)>, Failure> {
        self.reading(|writer| Ok(known_scroll(writer, scroll)?.group(id).map(|g| (g.first, g.of))))
    }
}

/// Answers a report of an engine, as of a point in its history.
fn report(
    writer: &Writer,
    engine: &str,
    verb: &str,
    question: &Map<String, Value>,
    as_of: AsOf,
) -> Result<(u64, Value), Failure> {
    let engine = find_engine(writer.engines(), engine)?;
    let spec = engine.reports().into_iter().find(|s| s.verb == verb).ok_or_else(|| {
        Refusal::not_found("unknown_report", format!("{} has no report {verb:?}", engine.name()))
    })?;
    let question = edge::admit(spec, question)?;
    let view = View::at(writer, engine, as_of)?;
    let mut history = view.history();
    let answer = engine.report(view.state(), &mut history, verb, &question)?;
    Ok((view.size, answer))
}

/// A line with what shows that it is in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The line's bytes.
    pub line: Vec<u8>,
    /// Its leaf index.
    pub seq: u64,
    /// Inclusion proof, leaf to root.
    pub path: Vec<Hash>,
    /// Signed checkpoint it leads to.
    pub checkpoint: String,
}

pub(crate) fn known_scroll<'a>(writer: &'a Writer, scroll: &str) -> Result<&'a Scroll, Refusal> {
    writer.scrolls.get(scroll).ok_or_else(|| {
        let known: Vec<_> = writer.scrolls.keys().cloned().collect();
        Refusal::not_found("unknown_scroll", format!("this ledger has no scroll {scroll:?}")).hint(
            format!(
                "It has {}.",
                if known.is_empty() { "none yet".into() } else { known.join(", ") }
            ),
        )
    })
}

/// The engine of this name, or a refusal that lists the known ones.
pub fn find_engine(
    engines: &'static [&'static dyn AnyEngine],
    name: &str,
) -> Result<&'static dyn AnyEngine, Refusal> {
    engines.iter().find(|e| e.name() == name).copied().ok_or_else(|| {
        let known: Vec<_> = engines.iter().map(|e| e.name()).collect();
        Refusal::not_found("unknown_engine", format!("there is no engine {name:?}"))
            .hint(format!("There is {}.", known.join(", ")))
    })
}

/// Commits what was taken from the queue, engine by engine, and fills the slots.
fn commit_taken(writer: &mut Writer, taken: Vec<(Call, Slot)>) {
    let set = |slot: &Slot, answer| *slot.lock().expect("setting cannot panic") = Some(answer);
    let mut by_engine: Vec<(&'static dyn AnyEngine, Vec<Call>, Vec<Slot>)> = Vec::new();
    for (call, slot) in taken {
        match find_engine(writer.engines(), &call.engine) {
            Err(refusal) => set(&slot, Err(refusal.into())),
            Ok(engine) => {
                let at = by_engine.iter().position(|g| g.0.name() == engine.name());
                let at = at.unwrap_or_else(|| {
                    by_engine.push((engine, Vec::new(), Vec::new()));
                    by_engine.len() - 1
                });
                by_engine[at].1.push(call);
                by_engine[at].2.push(slot);
            }
        }
    }
    for (engine, calls, slots) in by_engine {
        for (answer, slot) in writer.commit(engine, calls).into_iter().zip(&slots) {
            set(slot, answer);
        }
    }
}

/// Visits lines `[from, to)` of a scroll, as they were taken in.
pub(crate) fn walk(
    writer: &Writer,
    scroll: &str,
    from: u64,
    to: u64,
    visit: &mut dyn FnMut(&[u8], &Line) -> bool,
) -> Result<(), Failure> {
    let mut at = from;
    while at < to {
        let most = usize::try_from(to - at).unwrap_or(usize::MAX).min(CHUNK);
        let lines = writer.read_checked(scroll, at, most)?;
        if lines.is_empty() {
            break;
        }
        for bytes in &lines {
            let line = search::parsed(scroll, at, bytes)?;
            if !visit(bytes, &line) {
                return Ok(());
            }
            at += 1;
        }
    }
    Ok(())
}

/// An engine's state at one point of its history.
struct View<'a> {
    writer: &'a Writer,
    scroll: &'static str,
    size: u64,
    /// The state, where it is not the one the writer holds.
    own: Option<Box<dyn AnyState>>,
}

impl<'a> View<'a> {
    fn at(
        writer: &'a Writer,
        engine: &'static dyn AnyEngine,
        as_of: AsOf,
    ) -> Result<Self, Failure> {
        writer.usable_for_reading()?;
        let scroll = engine.scroll();
        let now = writer.scrolls.get(scroll).map_or(0, Scroll::size);
        let mut view = Self { writer, scroll, size: now, own: None };
        match as_of {
            _ if !writer.scrolls.contains_key(scroll) => view.own = Some(engine.blank()),
            AsOf::Now => {}
            AsOf::Size(size) if size >= now => {}
            _ => {
                let mut state = engine.blank();
                let types = engine.types();
                let mut size = 0;
                walk(writer, scroll, 0, now, &mut |_, line| {
                    let inside = match as_of {
                        AsOf::Now => true,
                        AsOf::Size(limit) => size < limit,
                        AsOf::Time(time) => line.at <= time,
                    };
                    if inside {
                        // The ledger's own receipts are no business of the engine, here as in the live fold.
                        if types.contains(&line.kind.as_str()) {
                            engine.fold(&mut *state, line);
                        }
                        size += 1;
                    }
                    inside
                })?;
                state.promote();
                view.size = size;
                view.own = Some(state);
            }
        }
        Ok(view)
    }

    fn state(&self) -> &dyn AnyState {
        match &self.own {
            Some(own) => &**own,
            None => &*self.writer.scroll(self.scroll).state,
        }
    }

    fn history(&self) -> Walk<'_> {
        Walk { writer: self.writer, scroll: self.scroll, size: self.size }
    }
}

/// History read line by line from the store.
struct Walk<'a> {
    writer: &'a Writer,
    scroll: &'static str,
    size: u64,
}

impl History for Walk<'_> {
    fn scan(&mut self, terms: &[Term], visit: &mut dyn FnMut(&Line) -> bool) -> Result<(), Fault> {
        search::scan(self.writer, self.scroll, self.size, terms, &mut |line| {
            let fits = terms.iter().all(|t| satisfies(line, t));
            Ok(!fits || visit(line))
        })
        .map_err(unreadable)
    }

    fn scan_opened(
        &mut self,
        terms: &[Term],
        visit: &mut dyn FnMut(&Line, &Map<String, Value>) -> bool,
    ) -> Result<(), Fault> {
        search::scan(self.writer, self.scroll, self.size, terms, &mut |line| {
            if !terms.iter().all(|t| satisfies(line, t)) {
                return Ok(true);
            }
            Ok(visit(line, &opened_or_none(self.writer.opened(line))?))
        })
        .map_err(unreadable)
    }

    fn opened(&mut self, line: &Line) -> Result<Map<String, Value>, Fault> {
        opened_or_none(self.writer.opened(line)).map_err(unreadable)
    }
}

/// Without its keys a home has no private values to show; what is public goes on being answered.
fn opened_or_none(
    opened: Result<Map<String, Value>, Failure>,
) -> Result<Map<String, Value>, Failure> {
    match opened {
        Err(failure) if is_keyless(failure.code()) => Ok(Map::new()),
        other => other,
    }
}

fn is_keyless(code: &str) -> bool {
    matches!(code, "openings_key_missing" | "openings_page_key_missing")
}

fn unreadable(failure: Failure) -> Fault {
    match failure {
        Failure::Fault(fault) => fault,
        other => Fault { retryable: false, ..Fault::new("line_unreadable", other.to_string()) },
    }
}

fn satisfies(line: &Line, term: &Term) -> bool {
    match term.field.as_str() {
        "type" => line.kind == term.value,
        "op" => line.op == term.value,
        "id" => line.id == term.value,
        "actor" => line.actor == term.value,
        field => match line.body.get(field) {
            Some(Value::String(text)) => *text == term.value,
            Some(other) => other.to_string().as_str() == term.value,
            None => false,
        },
    }
}

/// State of every scroll as JSON, for laws and conformance; once more where an index did not read and was made again.
pub fn dump(writer: &mut Writer) -> Result<HashMap<String, Value>, Failure> {
    loop {
        let scrolls = writer.scrolls.iter_mut();
        let dumped = scrolls.map(|(name, scroll)| (name.clone(), scroll.state.dump())).collect();
        if !writer.healed()? {
            return Ok(dumped);
        }
    }
}
