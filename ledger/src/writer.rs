//! The one writer of a home: what it holds, and what it does outside the commit loop.

use crate::clock::{Clock, Entropy, Reading, uuid_v7};
use crate::commit::{Appended, Unsealed};
use crate::fs::{Fs, replace};
use crate::guard::{Guard, SIGNED_STATE, Signed};
use crate::hashes::Tiles;
use crate::home::KEYS;
use crate::keys::{ISSUER, Keys, LOG};
use crate::openings::Openings;
use crate::recover::{Damage, is_full, sealed_here};
use crate::scroll::Scroll;
use crate::segments::Segments;
use crate::shelf::Shelving;
use crate::store::Store;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use vm_contracts::{
    AnyEngine, Authority, Corrupt, Failure, Fault, Gate, Lost, Map, PortSource, Refusal,
    RefusalKind, Value,
};
use vm_receipts::digest::Blake3;
use vm_receipts::intent::{self, ActorProof};
use vm_receipts::key::{PublicKey, SecretKey};
use vm_receipts::line::{Line, Part, Prev};
use vm_receipts::moment::Moment;
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Vkey;
use vm_scrolls::tree::{Hash, leaf_hash};

/// How far behind the lines signed-state and ROOT may be while work goes on.
const PUBLISH_MS: u64 = 1_000;
/// File that keeps space for the way out of a full disk.
pub const RESERVE: &str = "reserve";
/// Size of that file.
pub const RESERVE_BYTES: usize = 1 << 20;
/// File with the clock's last reading, for the jump check across processes.
pub const CLOCK: &str = "clock";

/// Who this ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Ledger id, drawn at init.
    pub ledger: String,
    /// First part of every origin.
    pub domain: String,
    /// Second part of every origin, and `context.node` of every line.
    pub node: String,
    /// Whether this home is a demonstration; stands in every line.
    pub demo: bool,
}

impl Settings {
    /// Origin of a scroll's checkpoints.
    pub fn origin(&self, scroll: &str) -> String {
        format!("{}/{}/{scroll}", self.domain, self.node)
    }
}

/// What a ledger needs from outside.
#[derive(Clone)]
pub struct Outside {
    /// The disk.
    pub fs: Arc<dyn Fs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Who may do what.
    pub gate: Arc<dyn Gate>,
    /// The engines.
    pub engines: &'static [&'static dyn AnyEngine],
    /// What stands behind the ports of operations.
    pub ports: Arc<dyn PortSource>,
    /// Where index and tiles are kept; without it everything stays in memory.
    pub shelving: Option<Shelving>,
}

/// What a committed call is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The scroll.
    pub scroll: String,
    /// Sequence number of the first line.
    pub first: u64,
    /// The lines, byte for byte, without line ends.
    pub lines: Vec<Vec<u8>>,
    /// An inclusion proof for each, against `checkpoint`.
    pub proofs: Vec<Vec<Hash>>,
    /// Signed checkpoint that covers them.
    pub checkpoint: String,
    /// The call had been committed before; nothing was appended now.
    pub existing: bool,
}

/// The only thing that appends.
pub struct Writer {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) store: Arc<dyn Store>,
    /// The store again, where it is files of this home.
    pub(crate) segments: Option<Arc<Segments>>,
    /// Where index and tiles are kept, if anywhere.
    pub(crate) shelving: Option<Shelving>,
    /// Jobs for the index that are under way.
    pub(crate) shelved_in_flight: usize,
    /// How many scrolls were opened in this process.
    pub(crate) lives: u64,
    /// Tiles of every scroll that has any.
    pub(crate) tiles: BTreeMap<String, Arc<Tiles>>,
    /// How often the index of a scroll had to be made again in this process.
    pub(crate) healed: BTreeMap<String, u32>,
    /// signed-state was written since the index was last looked after.
    pub(crate) just_published: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) engines: &'static [&'static dyn AnyEngine],
    pub(crate) ports: Arc<dyn PortSource>,
    /// Openings of private values; shared with executors, which leave private files while nobody holds the writer.
    pub(crate) openings: Arc<Mutex<Openings>>,
    /// Scroll and id of every run that is open: no other call may take its id.
    pub(crate) open_runs: BTreeSet<(String, String)>,
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    pub(crate) issuer_did: String,
    /// Keys of actors who are at this ledger in person, by their DID: their calls carry an `actor_proof`.
    pub(crate) signers: BTreeMap<String, SecretKey>,
    pub(crate) scrolls: BTreeMap<String, Scroll>,
    /// Highest size and root signed; ahead of its files by at most what is in `unpublished`.
    pub(crate) guard: Guard,
    /// Last signed checkpoint of each scroll.
    pub(crate) notes: BTreeMap<String, String>,
    /// Scrolls whose ROOT is behind.
    pub(crate) unpublished: BTreeSet<String>,
    /// A copy of signed-state is behind or missing.
    pub(crate) guard_behind: bool,
    pub(crate) published_ms: u64,
    /// Lines that do not read above signed-state, by scroll.
    pub(crate) damage: BTreeMap<String, Damage>,
    /// Why nothing may be done any more.
    pub(crate) stopped: Option<String>,
    /// There was no space; only what frees space or says so goes on.
    pub(crate) full: bool,
    /// There was no space to make what opening found safe; only the next opening can.
    pub(crate) full_since_open: bool,
    /// A wall clock that jumped ahead: what it showed, and by how much too late.
    pub(crate) clock_jump: Option<i64>,
    /// What the clock showed at the last batch, here or in the process before.
    pub(crate) last_reading: Option<Reading>,
    /// What opening found and did, for people.
    pub(crate) messages: Vec<String>,
    /// The same, said while reading.
    pub(crate) asides: Mutex<Vec<String>>,
}

impl Writer {
    /// A scroll that is known to be there.
    pub(crate) fn scroll(&self, name: &str) -> &Scroll {
        self.scrolls.get(name).expect("BUG: the scroll was ensured before")
    }

    /// A scroll that is known to be there.
    pub(crate) fn scroll_mut(&mut self, name: &str) -> &mut Scroll {
        self.scrolls.get_mut(name).expect("BUG: the scroll was ensured before")
    }

    /// Whether anything may still be done.
    pub(crate) fn usable(&self) -> Result<(), Failure> {
        self.usable_for_reading()?;
        match self.full {
            true => Err(self.no_space().into()),
            false => Ok(()),
        }
    }

    /// Stops for good: what memory holds may differ from what the disk holds, so nothing is answered from it.
    pub(crate) fn stop(&mut self, why: String) -> Failure {
        self.stopped.get_or_insert_with(|| why.clone());
        Failure::Lost(Lost { message: why })
    }

    /// Whether reads may be answered from memory.
    pub(crate) fn usable_for_reading(&self) -> Result<(), Failure> {
        match &self.stopped {
            Some(why) => {
                Err(Failure::Lost(Lost { message: format!("this ledger stopped: {why}") }))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn no_space(&self) -> Refusal {
        Refusal::new(
            "no_space",
            RefusalKind::Unavailable,
            "there is no space left for receipts; nothing was written, and the ledger is read-only now",
        )
        .hint("Free some space, then run the command again.")
    }

    /// Read-only from now on, with the reserve freed so that signed-state and ROOT can still be written.
    pub(crate) fn out_of_space(&mut self, what: &str) {
        self.full = true;
        self.messages.push(format!("no space: {what}"));
        // Losing the reserve is the point; failing to free it only leaves less room for the way out.
        let _ = self.fs.remove(RESERVE).and_then(|()| self.fs.sync_dir(""));
    }

    /// Whether there is space again: where the reserve can be put back, work goes on.
    pub(crate) fn look_for_space(&mut self) {
        if !self.full || self.full_since_open || self.stopped.is_some() {
            return;
        }
        let reserve = self
            .fs
            .write(RESERVE, &vec![0u8; RESERVE_BYTES])
            .and_then(|()| self.fs.sync(RESERVE))
            .and_then(|()| self.fs.sync_dir(""));
        match reserve {
            Ok(()) => {
                self.full = false;
                self.messages.push("there is space again".into());
            }
            // Half a reserve would take the space that is looked for.
            Err(_) => drop(self.fs.remove(RESERVE)),
        }
    }

    pub(crate) fn fresh_id(&self) -> String {
        uuid_v7(self.clock.wall(), &*self.entropy)
    }

    /// Time of the next batch: the clock's, never before the last line's.
    pub(crate) fn now(&mut self, last: Option<Moment>) -> Result<Moment, Failure> {
        let reading = self.clock.read();
        match self.last_reading.as_ref().and_then(|before| reading.jump_since(before)) {
            Some(ahead) => self.clock_jump = Some(ahead),
            None => {
                // The clock may have been set right again.
                self.clock_jump = None;
                self.last_reading = Some(reading.clone());
            }
        }
        if let Some(ahead_ms) = self.clock_jump {
            let what = format!(
                "the wall clock is {} minutes further than the time that has passed since this ledger was last used",
                ahead_ms / 60_000
            );
            return Err(Refusal::new("clock_jumped", RefusalKind::Unavailable, what)
                .hint("Set the clock right, or run `vm clock accept`; it leaves a receipt.")
                .into());
        }
        Ok(last.map_or(reading.wall, |last| reading.wall.max(last)))
    }

    /// What was signed for a scroll under this node's origin.
    pub(crate) fn signed(&self, name: &str) -> Option<Signed> {
        self.guard.get(&self.settings.origin(name))
    }

    pub(crate) fn checkpoint(&self, name: &str, signed: Signed) -> Checkpoint {
        Checkpoint { origin: self.settings.origin(name), size: signed.size, root: signed.root }
    }

    /// Makes sure an engine's scroll is there, beginning with its `ledger_open`.
    pub(crate) fn ensure_scroll(&mut self, engine: &'static dyn AnyEngine) -> Result<(), Failure> {
        let name = engine.scroll();
        if !self.scrolls.contains_key(name) {
            self.begin_scroll(name);
            self.stand(name, None);
            self.catch_up(name)?;
        }
        // Damage at the first line leaves nothing in memory, but the scroll is not new.
        if self.scroll(name).size() > 0 || self.scroll(name).read_only.is_some() {
            return Ok(());
        }
        self.append_genesis(name)
    }

    fn append_genesis(&mut self, name: &str) -> Result<(), Failure> {
        let body = self.genesis(name);
        self.append_own(name, "ledger_open", "ledger.open", "genesis", body)
    }

    /// What `ledger_open` says: which ledger, which keys, which rules.
    fn genesis(&self, name: &str) -> Map<String, Value> {
        let body = json!({
            "domain": self.settings.domain,
            "format": 1,
            "issuer": self.issuer_did,
            "leaf_rule": "jcs-line",
            "ledger": self.settings.ledger,
            "log_vkey": self.vkey(name),
            "node": self.settings.node,
        });
        body.as_object().cloned().expect("an object was written above")
    }

    /// From now on, calls of this key's owner are signed with it. The key is never kept.
    pub(crate) fn sign_as(&mut self, key: SecretKey) {
        self.signers.insert(key.did().to_owned(), key);
    }

    /// The actor's own signature over an intent, where the actor's key is at hand.
    pub(crate) fn actor_proof(&self, actor: &str, id: &str, intent: &Blake3) -> Option<ActorProof> {
        let key = self.signers.get(actor)?;
        Some(ActorProof::sign(key, &self.settings.ledger, id, intent))
    }

    /// The line of log.vkey for a scroll.
    pub fn vkey(&self, scroll: &str) -> String {
        self.keys.vkey(&self.settings.origin(scroll))
    }

    /// Appends a receipt of the ledger itself. Lost races are run again until the receipt stands or another has its id.
    pub(crate) fn append_own(
        &mut self,
        name: &str,
        kind: &str,
        op: &str,
        id: &str,
        body: Map<String, Value>,
    ) -> Result<(), Failure> {
        if kind != "ledger_open" && self.scroll(name).size() == 0 {
            self.append_genesis(name)?;
        }
        loop {
            self.usable()?;
            let stands = self.scroll(name).group(id).is_some();
            if self.healed()? {
                continue;
            }
            if stands {
                return Ok(());
            }
            let scroll = self.scroll(name);
            let (prev, last) = (Prev { size: scroll.size(), root: scroll.root() }, scroll.last_at);
            let at = self.now(last)?;
            let line = self.own_line(name, prev, at, kind, op, id, &body)?;
            self.scroll_mut(name).fold(&line);
            let mut sealer = self.sealer(name);
            sealer.give([Unsealed { line, is_record: true }]);
            let ready = sealer.finish().inspect_err(|_| self.scroll_mut(name).state.discard())?;
            match self.append(name, &prev, ready)? {
                (Appended::LostRace, _) => continue,
                (Appended::Yes, ready) => {
                    self.promote(name, ready);
                    return self.sign(name);
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a line, named at the one call")]
    fn own_line(
        &self,
        name: &str,
        prev: Prev,
        at: Moment,
        kind: &str,
        op: &str,
        id: &str,
        body: &Map<String, Value>,
    ) -> Result<Line, Failure> {
        let digest = intent::intent_digest(op, body).map_err(|e| Fault {
            retryable: false,
            ..Fault::new("seal_failed", format!("{op}: {e}"))
        })?;
        let mut line = self.blank_line(name, prev.size, Part { n: 1, of: 1 }, prev, at);
        line.kind = kind.to_owned();
        line.op = op.to_owned();
        line.id = id.to_owned();
        line.intent = digest;
        line.actor = self.issuer_did.clone();
        line.context.surface = "ledger".to_owned();
        line.authority = Authority::owner().0;
        line.body = body.clone();
        Ok(line)
    }

    /// Takes in lines that stand in the store beyond what this writer knows.
    pub(crate) fn catch_up(&mut self, name: &str) -> Result<(), Failure> {
        const CHUNK: usize = 4_096;
        loop {
            let from = self.scroll(name).size();
            let lines = self.store.read(name, from, CHUNK)?;
            if lines.is_empty() {
                break;
            }
            for bytes in &lines {
                self.take_in_bytes(name, bytes)?;
            }
        }
        self.scroll_mut(name).promote();
        Ok(())
    }

    pub(crate) fn take_in_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let seq = self.scroll(name).size();
        let segments = self.segments.clone();
        let corrupt = |at: u64, claim: String| {
            let (first, byte) = segments.as_ref().map_or((0, 0), |s| s.layout_place(name, seq));
            let file = crate::segments::segment_path(name, first);
            Failure::Corrupt(scroll_corrupt(&file, seq - first + 1, byte + at, claim))
        };
        // Files were checked by recovery; in a shared store another writer may have put the line there.
        let foreign = self.segments.is_none().then(|| self.keys.issuer.public());
        let indexing = self.is_indexing(name);
        let scroll = self.scroll_mut(name);
        let line = Line::parse(bytes).map_err(|e| corrupt(e.at as u64, e.message))?;
        scroll.check(&line).map_err(|claim| corrupt(0, claim))?;
        if let Some(issuer) = foreign {
            sealed_here(bytes, &line, &issuer).map_err(|claim| corrupt(0, claim))?;
        }
        if seq == 0 {
            self.is_own_genesis(&line).map_err(|e| e.unwrap_or_else(|claim| corrupt(0, claim)))?;
        }
        let scroll = self.scroll_mut(name);
        let terms = indexing.then(|| scroll.fields.of_line(&line));
        scroll.take_in(&line, leaf_hash(bytes), terms, false);
        Ok(())
    }

    /// Whether lines of this scroll go into an index.
    pub(crate) fn is_indexing(&self, name: &str) -> bool {
        let wanted = |s: &Scroll| s.engine.is_some() && !s.unshelvable;
        self.shelving.is_some() && self.scrolls.get(name).is_some_and(wanted)
    }

    /// The first line of a scroll that was not taken in, because an index holds it, is compared all the same.
    pub(crate) fn own_genesis(&self, name: &str) -> Result<(), Failure> {
        if self.scroll(name).size() == 0 || self.scroll(name).indexed() == 0 {
            return Ok(());
        }
        let bytes = self.store.read(name, 0, 1)?.pop().unwrap_or_default();
        let corrupt = |claim: String| {
            let file = crate::segments::segment_path(name, 0);
            Failure::Corrupt(scroll_corrupt(&file, 1, 0, claim))
        };
        let line = Line::parse(&bytes).map_err(|e| corrupt(e.message))?;
        self.is_own_genesis(&line).map_err(|e| e.unwrap_or_else(corrupt))
    }

    /// Whether a line is the first of a scroll of this ledger under these keys.
    fn is_own_genesis(&self, line: &Line) -> Result<(), Result<Failure, String>> {
        own_keys(line, &(self.issuer_did.clone(), self.keys.log.public())).map_err(Ok)?;
        let ours = self.settings.ledger.as_str();
        let ledger = line.body.get("ledger").and_then(Value::as_str);
        match line.kind == "ledger_open" && ledger == Some(ours) {
            true => Ok(()),
            false => {
                Err(Err(format!("the first receipt must be the ledger_open of ledger {ours}")))
            }
        }
    }

    /// Step 10 when the last time is long enough ago; a crash before it costs nothing but work at the next open.
    pub(crate) fn publish_when_due(&mut self) -> Result<(), Failure> {
        // The batch has just asked the clock; asking it again would cost more than the signature.
        let now =
            self.last_reading.as_ref().map_or_else(|| self.clock.read().uptime_ms, |r| r.uptime_ms);
        match now.saturating_sub(self.published_ms) >= PUBLISH_MS {
            true => self.publish(),
            false => Ok(()),
        }
    }

    /// Step 10: signed-state first, in both places, then each ROOT that is behind.
    ///
    /// What is published was acknowledged on the strength of its lines, so a full disk here loses nothing: the ledger
    /// turns read-only and publishes when there is room again. Any other failed write stops it.
    pub fn publish(&mut self) -> Result<(), Failure> {
        if (self.unpublished.is_empty() && !self.guard_behind) || self.stopped.is_some() {
            return Ok(());
        }
        match self.write_published() {
            Ok(()) => {}
            Err((path, e)) if is_full(&e) => {
                self.out_of_space(&format!("{path}: {e}"));
                if let Err((path, e)) = self.write_published() {
                    let what = format!(
                        "signed-state and ROOT are behind until there is space: {path}: {e}"
                    );
                    return Err(Failure::Refusal(Refusal { message: what, ..self.no_space() }));
                }
            }
            Err((path, e)) => return Err(self.stop(format!("{path} could not be written: {e}"))),
        }
        self.published_ms = self.clock.read().uptime_ms;
        self.just_published = true;
        self.save_clock();
        Ok(())
    }

    fn write_published(&mut self) -> Result<(), (String, io::Error)> {
        self.guard.save(&*self.fs).map_err(|e| (SIGNED_STATE.to_owned(), e))?;
        self.guard_behind = false;
        while let Some(name) = self.unpublished.first().cloned() {
            let note = self.notes.get(&name).cloned().unwrap_or_default();
            let path = root_path(&name);
            replace(&*self.fs, &path, note.as_bytes()).map_err(|e| (path, e))?;
            self.unpublished.remove(&name);
        }
        Ok(())
    }

    /// At open: what cannot be published for want of space is not answered from either, but the rest can be read.
    pub(crate) fn publish_or_go_on_reading(&mut self) -> Result<(), Failure> {
        match self.publish() {
            Err(Failure::Refusal(refusal)) => {
                self.messages.push(refusal.message);
                Ok(())
            }
            other => other,
        }
    }

    /// Keeps the clock's reading for the jump check of the next process. Losing it only skips that check once.
    /// A jump that nobody has accepted, or even noticed yet, is not kept: the next process must see it too.
    pub(crate) fn save_clock(&self) {
        let reading = self.clock.read();
        if self.last_reading.as_ref().is_some_and(|before| reading.jump_since(before).is_some()) {
            return;
        }
        let text = json!({"boot": reading.boot, "uptime_ms": reading.uptime_ms, "wall": reading.wall.to_string()});
        let _ = self.fs.write(CLOCK, format!("{text}\n").as_bytes());
    }
}

/// The keys in this home must be those its scroll began with: under others nobody could verify what comes next.
fn own_keys(genesis: &Line, (issuer, log): &(String, PublicKey)) -> Result<(), Failure> {
    let said = |name: &str| genesis.body.get(name).and_then(Value::as_str).unwrap_or_default();
    let other = |file: &str, what: &str| {
        Failure::Corrupt(Corrupt {
            file: format!("{KEYS}/{file}"),
            line: None,
            byte: None,
            claim: format!("it is not the {what} key that {} began with", genesis.scroll),
            hint: Some("Nothing was changed. Put the right key file back, or restore the home from a backup that holds its keys.".into()),
        })
    };
    if said("issuer") != issuer {
        return Err(other(ISSUER, "issuer"));
    }
    match Vkey::parse(said("log_vkey")).is_ok_and(|vkey| vkey.key == *log) {
        true => Ok(()),
        false => Err(other(LOG, "log")),
    }
}

fn scroll_corrupt(file: &str, line: u64, byte: u64, claim: String) -> Corrupt {
    Corrupt {
        file: file.to_owned(),
        line: Some(line),
        byte: Some(byte),
        claim,
        hint: Some("Nothing was changed. `vm verify` says what is still provable.".into()),
    }
}

/// Path of a scroll's signed checkpoint.
pub fn root_path(scroll: &str) -> String {
    format!("ROOT.{scroll}.txt")
}
