//! Follows the events of a record: pairs calls with their results, works out what edits left, and hands the calls of
//! the ledger to a sink. Memory is bounded whatever the record holds.

use super::contents::{self, Contents};
use super::event::{Call, Event, Facts, Outcome, Spawned, Tokens, What};
use super::files::{File, Files};
use super::planner::{Act, Edited, Phase, Planner, Seen};
use super::tool::{Change, How, Tool};
use crate::keyed;
use crate::ops::AHEAD_MS_MAX;
use crate::state::State;
use std::collections::BTreeMap;
use vm_contracts::{Failure, Feed, Moment, Planned, Sink};

mod settle;

/// Sessions that are followed at a time; the one that was quiet longest is closed first.
const SESSIONS_MAX: usize = 2_048;
/// Calls without a result that are waited for, and bytes of what they are given.
const OPEN_MAX: usize = 16_384;
const OPEN_BYTES_MAX: usize = 32 << 20;
/// Calls whose ids are remembered, to tell a repetition from an id that is used twice.
const IDS_MAX: usize = 131_072;
/// Tasks whose agents have not been seen.
const TASKS_MAX: usize = 4_096;
/// Calls that are handed over together.
const TOGETHER: usize = 256;
/// Models of one session whose tokens are counted apart.
const MODELS_MAX: usize = 16;

/// What is known of a session in the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Status {
    /// Nobody looked yet.
    #[default]
    Unknown,
    /// It is not there.
    Absent,
    /// It goes on, and somebody watches it.
    Live,
    /// It goes on because an import started it.
    Ours,
    /// It has ended.
    Ended,
}

/// A session that is followed.
#[derive(Default)]
struct Followed {
    id: String,
    facts: Facts,
    spawned: Option<Spawned>,
    first: Seen,
    last: Seen,
    open: BTreeMap<String, Open>,
    tokens: Vec<Tokens>,
    answer: Option<Tokens>,
    orphans: u64,
    malformed: u64,
    status: Status,
    fresh: bool,
    reason: Option<String>,
    last_call: String,
    used: u64,
}

/// A call whose result is waited for.
struct Open {
    call: Call,
    id: String,
    tool: Tool,
    seen: Seen,
    bytes: usize,
    number: u64,
}

/// Something to hand over, once it is known what is in the ledger already.
enum Item {
    Act {
        session: String,
        call: String,
        planned: Planned,
        answered: bool,
    },
    /// The answer is that of its call, should the call be there without one.
    Edit {
        session: String,
        call: String,
        planned: Planned,
        answer: Option<Planned>,
    },
    Spawn {
        parent: String,
        child: String,
        planned: Planned,
    },
}

/// What was odd about a record, told at its end.
#[derive(Default)]
struct Odd {
    ahead: u64,
    orphans: u64,
    unplaced: u64,
    evicted: u64,
    reused: u64,
}

/// Follows one record.
pub struct Follow<'a> {
    planner: Planner<'a>,
    files: Files<'a>,
    contents: Contents,
    sessions: BTreeMap<String, Followed>,
    quiet: BTreeMap<u64, String>,
    waiting: BTreeMap<u64, (String, String)>,
    waiting_bytes: usize,
    ids: BTreeMap<[u8; 16], [u8; 16]>,
    tasks: BTreeMap<[u8; 16], (String, String, Option<String>)>,
    items: Vec<Item>,
    tick: u64,
    odd: Odd,
}

impl<'a> Follow<'a> {
    /// Follows a record of this format.
    pub fn new(feed: Feed<'a>, observed_by: &'static str, format: &'static str) -> Self {
        let planner = Planner {
            key: feed.key,
            observed_by,
            mode: "import",
            source_format: Some(format),
            now: feed.now,
        };
        Self {
            planner,
            files: Files::new(feed.key, feed.places),
            contents: Contents::default(),
            sessions: BTreeMap::new(),
            quiet: BTreeMap::new(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            ids: BTreeMap::new(),
            tasks: BTreeMap::new(),
            items: Vec::new(),
            tick: 0,
            odd: Odd::default(),
        }
    }

    /// Counts a line that did not read to the session that was told of last.
    pub fn malformed(&mut self) {
        let last = self.quiet.last_key_value().map(|(_, raw)| raw.clone());
        if let Some(session) = last.and_then(|raw| self.sessions.get_mut(&raw)) {
            session.malformed += 1;
        }
    }

    /// The session and call of a task that was given in these words, with the kind of agent.
    pub fn task(&self, session: &str, prompt: &str) -> Option<(String, Option<String>)> {
        let (parent, call, agent) = self.tasks.get(&self.short(&["task", session, prompt]))?;
        (parent == session).then(|| (call.clone(), agent.clone()))
    }

    /// How many sessions and open calls are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.sessions.len(), self.waiting.len())
    }

    /// Takes the next event.
    pub fn event(&mut self, event: Event, sink: &mut dyn Sink<State>) -> Result<(), Failure> {
        let seen = Seen { at: event.at, place: event.place };
        let raw = event.session;
        self.touch(&raw, &seen, sink)?;
        match event.what {
            What::Facts(facts) => self.session(&raw).facts.learn(*facts),
            What::Prompt(_) | What::Asked(_) => {}
            What::Call(call) => self.call(&raw, *call, seen),
            What::Result(outcome) => self.result(&raw, *outcome, seen),
            What::Tokens(tokens) => self.session(&raw).tokens(tokens),
            What::Spawned(spawned) => self.spawned(&raw, *spawned, &seen, sink)?,
            What::End { reason } => self.session(&raw).reason = Some(reason),
        }
        self.within_limits();
        match self.items.len() >= TOGETHER {
            true => self.hand_over(sink),
            false => Ok(()),
        }
    }

    /// Closes every session and says what was odd.
    pub fn finish(mut self, sink: &mut dyn Sink<State>) -> Result<(), Failure> {
        while let Some((_, raw)) = self.quiet.first_key_value() {
            let raw = raw.clone();
            self.close(&raw, sink)?;
        }
        self.hand_over(sink)?;
        let odd = &self.odd;
        for (count, what) in [
            (
                odd.ahead,
                "times lie after the ledger's clock; those receipts say only when they were recorded",
            ),
            (odd.orphans, "results answer no call that was read; a gap says so"),
            (odd.unplaced, "edits name no file that a path can name; they are kept as tool calls"),
            (
                odd.evicted,
                "calls waited for a result longer than is remembered; they are kept without one",
            ),
            (
                odd.reused,
                "calls have an id that another call of the session had; they got ids of their own",
            ),
        ] {
            if count > 0 {
                sink.notice(format!("{count} {what}"));
            }
        }
        Ok(())
    }

    fn session(&mut self, raw: &str) -> &mut Followed {
        self.sessions.entry(raw.to_owned()).or_default()
    }

    /// Makes the session the one that was heard of last; closes the quietest where there are too many.
    fn touch(&mut self, raw: &str, seen: &Seen, sink: &mut dyn Sink<State>) -> Result<(), Failure> {
        let ahead =
            |at: Moment| at.unix_ms().saturating_sub(self.planner.now.unix_ms()) > AHEAD_MS_MAX;
        let at = seen.at.filter(|at| !ahead(*at));
        self.odd.ahead += u64::from(seen.at.is_some() && at.is_none());
        if !self.sessions.contains_key(raw)
            && self.sessions.len() >= SESSIONS_MAX
            && let Some((_, quietest)) = self.quiet.first_key_value()
        {
            let quietest = quietest.clone();
            self.close(&quietest, sink)?;
        }
        self.tick += 1;
        let tick = self.tick;
        let key = self.planner.key;
        let session = self.session(raw);
        if session.id.is_empty() {
            session.id = keyed::session_id(key, raw);
            session.first = Seen { at, place: seen.place.clone() };
        }
        session.first.at = session.first.at.or(at);
        session.last = Seen { at: at.or(session.last.at), place: seen.place.clone() };
        let before = std::mem::replace(&mut session.used, tick);
        self.quiet.remove(&before);
        self.quiet.insert(tick, raw.to_owned());
        Ok(())
    }

    fn short(&self, parts: &[&str]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(self.planner.key);
        for part in parts {
            hasher.update(part.as_bytes()).update(&[0xff]);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        short
    }

    fn call(&mut self, raw: &str, call: Call, seen: Seen) {
        let given = call.input.to_string();
        let (which, what) =
            (self.short(&["call", raw, &call.id]), self.short(&[&call.name, &given]));
        let mut id = keyed::call_id(self.planner.key, &call.id);
        match self.ids.get(&which) {
            // The same call again, as when a record was copied into itself.
            Some(before) if *before == what => return,
            Some(_) => {
                self.odd.reused += 1;
                let other = blake3::Hash::from_bytes(twice(what)).to_hex();
                id = keyed::call_id(self.planner.key, &format!("{}#{other}", call.id));
            }
            None => {}
        }
        if self.ids.len() >= IDS_MAX {
            self.ids.clear();
        }
        self.ids.insert(which, what);
        let tool = Tool::of(&call.name, &call.input);
        self.tick += 1;
        let open = Open { bytes: given.len() * 2 + 256, number: self.tick, call, id, tool, seen };
        if let Tool::Task { agent_type, prompt } = &open.tool {
            if self.tasks.len() >= TASKS_MAX {
                self.tasks.clear();
            }
            let task = self.short(&["task", raw, prompt]);
            self.tasks.insert(task, (raw.to_owned(), open.id.clone(), agent_type.clone()));
            // The agent's own session comes before the task's result, so the call has to be there first.
            self.act(raw, &open, None);
        }
        self.waiting.insert(open.number, (raw.to_owned(), open.call.id.clone()));
        self.waiting_bytes += open.bytes;
        let name = open.call.id.clone();
        if let Some(before) = self.session(raw).open.insert(name, open) {
            self.unpaired(raw, before);
        }
    }

    fn result(&mut self, raw: &str, mut outcome: Outcome, seen: Seen) {
        let Some(open) = self.session(raw).open.remove(&outcome.call) else {
            self.odd.orphans += 1;
            self.session(raw).orphans += 1;
            return;
        };
        self.waiting.remove(&open.number);
        self.waiting_bytes -= open.bytes;
        if outcome.duration_ms.is_none()
            && let (Some(from), Some(to)) = (open.seen.at, seen.at)
        {
            outcome.duration_ms = u64::try_from(to.unix_ms().saturating_sub(from.unix_ms())).ok();
        }
        let happened = outcome.is_error != Some(true) && !outcome.denied && !outcome.interrupted;
        if let Some((path, content)) = outcome.read.take().filter(|_| happened)
            && let Some(file) = self.file(raw, &open, &path)
            && self.contents.get(&file.file_id).is_none()
        {
            self.contents.set(&file.file_id, Some(content));
        }
        match &open.tool {
            Tool::Edit(changes) if happened && !changes.is_empty() => {
                self.edits(raw, &open, changes, &outcome)
            }
            _ => self.act(raw, &open, Some(&outcome)),
        }
    }

    fn file(&mut self, raw: &str, open: &Open, path: &str) -> Option<File> {
        let root = self.sessions.get(raw).and_then(|s| s.facts.cwd.clone());
        self.files.find(open.call.cwd.as_deref(), root.as_deref(), path)
    }

    /// Queues the call of a tool, with its result where there is one.
    fn act(&mut self, raw: &str, open: &Open, outcome: Option<&Outcome>) {
        let planned = self.planned(raw, open, outcome);
        let answered = outcome.is_some();
        self.items.push(Item::Act {
            session: raw.to_owned(),
            call: open.id.clone(),
            planned,
            answered,
        });
    }

    fn planned(&mut self, raw: &str, open: &Open, outcome: Option<&Outcome>) -> Planned {
        let planner = self.planner;
        let session = self.session(raw);
        session.last_call.clone_from(&open.id);
        let act = Act {
            session: &session.id,
            call: &open.id,
            name: &open.call.name,
            tool: &open.tool,
            input: &open.call.input,
            cwd: open.call.cwd.as_deref().or(session.facts.cwd.as_deref()),
            outcome,
            verdict: None,
        };
        let phase = if outcome.is_some() { Phase::Whole } else { Phase::Call };
        planner.act(&act, phase, &open.seen)
    }

    /// Queues the changes of an edit that happened.
    fn edits(&mut self, raw: &str, open: &Open, changes: &[Change], outcome: &Outcome) {
        // What the source says of the content before and after is about the one file of the call.
        let told = if changes.len() == 1 { outcome.clone() } else { Outcome::default() };
        let mut any = false;
        for (number, change) in changes.iter().enumerate() {
            any |= self.edit(raw, open, (number, change), &told).is_some();
        }
        if !any {
            self.odd.unplaced += 1;
            self.act(raw, open, Some(outcome));
        }
    }

    fn edit(
        &mut self,
        raw: &str,
        open: &Open,
        (number, change): (usize, &Change),
        told: &Outcome,
    ) -> Option<()> {
        let file = self.file(raw, open, &change.path)?;
        let from = match &change.from {
            Some(from) => self.file(raw, open, from).filter(|from| from.file_id != file.file_id),
            None => None,
        };
        let source = from.as_ref().unwrap_or(&file);
        // What is told of another file than the call names says nothing about this one.
        let other = told.path.as_ref().is_some_and(|path| {
            self.file(raw, open, path).is_none_or(|told| told.file_id != file.file_id)
        });
        let told = if other { &Outcome { unsure: true, ..Outcome::default() } } else { told };
        let before = match &told.before {
            Some(told) => told.clone(),
            None => self.contents.get(&source.file_id).map(str::to_owned),
        };
        let after = match told.unsure {
            true => told.after.clone(),
            false => told.after.clone().or_else(|| contents::after(&change.how, before.as_deref())),
        };
        let made = told.created.unwrap_or_else(|| {
            matches!(told.before, Some(None)) || before.is_none() && makes_a_file(&change.how)
        });
        let edit_type = match (&change.how, &from) {
            (How::Delete, _) => "delete",
            (_, Some(_)) => "rename",
            _ if made => "create",
            _ => "modify",
        };
        let planner = self.planner;
        let digest =
            |file: &File, text: &String| keyed::content(planner.key, &file.named, text.as_bytes());
        let session = self.session(raw);
        session.last_call.clone_from(&open.id);
        let edited = Edited {
            session: &session.id,
            call: &open.id,
            number,
            old_hash: before.as_ref().map(|text| digest(source, text)),
            new_hash: after.as_ref().map(|text| digest(&file, text)),
            edit_type,
            lines: told.lines.or_else(|| contents::lines(&change.how, before.as_deref())),
            file: &file,
            from: from.as_ref(),
        };
        let planned = planner.edit(&edited, &open.seen);
        let answer = (number == 0).then(|| self.planned(raw, open, Some(told)));
        self.items.push(Item::Edit {
            session: raw.to_owned(),
            call: open.id.clone(),
            planned,
            answer,
        });
        if let Some(from) = &from {
            self.contents.set(&from.file_id, None);
        }
        self.contents.set(&file.file_id, after);
        Some(())
    }

    fn spawned(
        &mut self,
        raw: &str,
        spawned: Spawned,
        seen: &Seen,
        sink: &mut dyn Sink<State>,
    ) -> Result<(), Failure> {
        if spawned.parent == raw || self.session(raw).spawned.is_some() {
            return Ok(());
        }
        let parent = spawned.parent.clone();
        self.touch(&parent, seen, sink)?;
        // The parent was heard of through its child; it keeps what it knows itself.
        let facts = Facts { cwd: self.session(raw).facts.cwd.clone(), ..Facts::default() };
        self.session(&parent).facts.learn(facts);
        let (parent_id, child_id) =
            (self.session(&parent).id.clone(), self.session(raw).id.clone());
        let call = spawned.call.as_ref().map(|call| keyed::call_id(self.planner.key, call));
        let planned = self.planner.spawn(&parent_id, &child_id, call.as_deref(), &spawned, seen);
        self.session(raw).spawned = Some(spawned);
        self.items.push(Item::Spawn { parent, child: raw.to_owned(), planned });
        Ok(())
    }

    /// Lets go of what waited longest, where too much waits.
    fn within_limits(&mut self) {
        while self.waiting.len() > OPEN_MAX || self.waiting_bytes > OPEN_BYTES_MAX {
            let Some((_, (raw, call))) = self.waiting.pop_first() else { return };
            let Some(open) = self.sessions.get_mut(&raw).and_then(|s| s.open.remove(&call)) else {
                continue;
            };
            self.waiting_bytes -= open.bytes;
            self.odd.evicted += 1;
            self.queue_unpaired(&raw, &open);
        }
    }

    /// A call that another one with its id took the place of.
    fn unpaired(&mut self, raw: &str, open: Open) {
        if self.waiting.remove(&open.number).is_some() {
            self.waiting_bytes -= open.bytes;
        }
        self.queue_unpaired(raw, &open);
    }

    fn queue_unpaired(&mut self, raw: &str, open: &Open) {
        // That of a task was told when it began.
        if !matches!(open.tool, Tool::Task { .. }) {
            self.act(raw, open, None);
        }
    }
}

impl Facts {
    /// Takes what was not known.
    pub fn learn(&mut self, other: Facts) {
        for (known, new) in [
            (&mut self.agent_type, other.agent_type),
            (&mut self.agent_version, other.agent_version),
            (&mut self.model, other.model),
            (&mut self.cwd, other.cwd),
            (&mut self.git_head, other.git_head),
        ] {
            if known.is_none() {
                *known = new;
            }
        }
        self.resumed |= other.resumed;
    }
}

impl Followed {
    /// An answer is told piece by piece, each time with all of its tokens so far; the last time counts.
    fn tokens(&mut self, tokens: Tokens) {
        if tokens.answer.is_some()
            && self.answer.as_ref().is_some_and(|a| a.answer == tokens.answer)
        {
            self.answer = Some(tokens);
            return;
        }
        self.settle_tokens();
        self.answer = Some(tokens);
    }

    fn settle_tokens(&mut self) {
        let Some(tokens) = self.answer.take() else { return };
        let full = self.tokens.len() >= MODELS_MAX;
        let place = self.tokens.iter().position(|t| t.model == tokens.model);
        match place.or(full.then_some(MODELS_MAX - 1)) {
            Some(place) => self.tokens[place].add(&tokens),
            None => self.tokens.push(Tokens { answer: None, ..tokens }),
        }
    }
}

fn makes_a_file(how: &How) -> bool {
    match how {
        How::Replace(swaps) => swaps.first().is_some_and(|s| s.old.is_empty()),
        How::Whole(_) | How::Delete | How::Unknown => false,
    }
}

fn twice(half: [u8; 16]) -> [u8; 32] {
    let mut whole = [0; 32];
    whole[..16].copy_from_slice(&half);
    whole
}
