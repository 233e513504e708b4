//! Opening: what stands on disk becomes a writer, or a named reason why not.

use crate::acts::DAMAGED_TAIL;
use crate::clock::Reading;
use crate::fs::Fs;
use crate::guard::{Guard, Signed};
use crate::index::Index;
use crate::keys::Keys;
use crate::openings::Openings;
use crate::recover::{Known, Recovered, recover};
use crate::scroll::Scroll;
use crate::segments::{SEGMENT_LINES, Segments};
use crate::shelf::Fitting;
use crate::store::Store;
use crate::writer::{CLOCK, Outside, RESERVE, RESERVE_BYTES, Settings, Writer, root_path};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex};
use vm_contracts::{AnyEngine, Corrupt, Failure, Fault, Refusal, RefusalKind};
use vm_receipts::key::PublicKey;
use vm_receipts::moment::Moment;
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::{NOTE_BYTES_MAX, Vkey};

/// Receipts that an index lacks at open before that is worth a word.
const SAID_FROM: u64 = 1_000;

impl Writer {
    /// Opens the home behind `outside.fs`: recovers every scroll, takes its lines in, compares them with what was
    /// signed, and signs what was not.
    pub fn open(outside: Outside, settings: Settings, keys: Keys) -> Result<Self, Failure> {
        Self::open_with_files_of(SEGMENT_LINES, outside, settings, keys)
    }

    /// Opens a home whose receipt files hold `per_file` lines each, so that a campaign can cross their borders often.
    /// Every released home has [`SEGMENT_LINES`].
    #[doc(hidden)]
    pub fn open_with_files_of(
        per_file: u64,
        outside: Outside,
        settings: Settings,
        keys: Keys,
    ) -> Result<Self, Failure> {
        let mut messages = Vec::new();
        let guard = Guard::load(&*outside.fs, &settings.ledger, &mut messages)?;
        let prefix = settings.origin("");
        let mut names: BTreeSet<String> =
            guard.scrolls(&prefix).map(|(name, _)| name.to_owned()).collect();
        names.extend(scrolls_with_files(&*outside.fs).map_err(|e| fault("list", "receipts", &e))?);
        let fs = outside.fs.clone();
        let segments = Arc::new(Segments::with_files_of(per_file, fs, HashMap::new()));
        let shelving = outside.shelving.clone();
        let mut writer = Self::over(outside, settings, keys, segments.clone(), guard);
        writer.segments = Some(segments);
        writer.shelving = shelving;
        writer.messages = messages;
        for name in &names {
            writer.bring_in(name)?;
        }
        for name in names {
            writer.sign_opened(&name)?;
        }
        writer.check_clock();
        if !writer.guard.is_saved(&*writer.fs) {
            writer.guard_behind = true;
        }
        writer.publish_or_go_on_reading()?;
        writer.finish_accepted_cuts()?;
        writer.keep_reserve();
        writer.keep_openings_key()?;
        writer.recover_runs()?;
        Ok(writer)
    }

    /// A writer over any store, with nothing taken in yet.
    pub fn over(
        outside: Outside,
        settings: Settings,
        keys: Keys,
        store: Arc<dyn Store>,
        guard: Guard,
    ) -> Self {
        let issuer_did = keys.issuer.public().did();
        let openings = Openings::new(outside.fs.clone(), outside.entropy.clone(), &settings.ledger);
        Self {
            ports: outside.ports,
            openings: Arc::new(Mutex::new(openings)),
            open_runs: BTreeSet::new(),
            fs: outside.fs,
            store,
            segments: None,
            shelving: None,
            shelved_in_flight: 0,
            lives: 0,
            tiles: BTreeMap::new(),
            healed: BTreeMap::new(),
            just_published: false,
            published_ms: outside.clock.read().uptime_ms,
            clock: outside.clock,
            entropy: outside.entropy,
            gate: outside.gate,
            engines: outside.engines,
            settings,
            keys,
            issuer_did,
            signers: BTreeMap::new(),
            scrolls: BTreeMap::new(),
            guard,
            notes: BTreeMap::new(),
            unpublished: BTreeSet::new(),
            guard_behind: false,
            damage: BTreeMap::new(),
            stopped: None,
            full: false,
            full_since_open: false,
            clock_jump: None,
            last_reading: None,
            messages: Vec::new(),
            asides: Mutex::default(),
        }
    }

    /// Recovers a scroll's files, takes its lines in from where its index has come to, and compares them with what was
    /// signed. Nothing is signed yet.
    pub(crate) fn bring_in(&mut self, name: &str) -> Result<(), Failure> {
        let why = match self.fitting(name) {
            Ok(fitting) => {
                let done = self.take_scroll(name, Some(fitting));
                match self.scrolls.get(name).and_then(Scroll::trouble) {
                    Some(what) => Some(format!("does not read: {what}")),
                    None => return done,
                }
            }
            Err(why) => why,
        };
        self.bring_in_without_index(name)?;
        let size = self.scroll(name).size();
        match why {
            Some(why) => self.messages.push(crate::shelf::rebuilt(name, &why, size)),
            None if self.is_indexing(name) && size >= SAID_FROM => {
                let what = format!("{name} had no index; it is built from {size} receipts");
                self.messages.push(what);
            }
            None => {}
        }
        Ok(())
    }

    /// The same from the lines alone; an index that is there is taken away.
    pub(crate) fn bring_in_without_index(&mut self, name: &str) -> Result<(), Failure> {
        self.scrolls.remove(name);
        if let Some(shelving) = &self.shelving {
            // If it cannot be removed now, it does not fit at the next open either.
            let _ = Index::discard(&*shelving.fs, name);
        }
        self.take_scroll(name, None)
    }

    fn take_scroll(&mut self, name: &str, fitting: Option<Fitting>) -> Result<(), Failure> {
        let (shelf, known) = match fitting {
            Some(fitting) => (Some(fitting.shelf), fitting.known),
            None => (None, Known::default()),
        };
        let signed = self.signed(name).map_or(0, |s| s.size);
        let per_file = self.segments.as_ref().map_or(SEGMENT_LINES, |s| s.per_file());
        let issuer = self.keys.issuer.public();
        let recovered = recover_with_room(&*self.fs, name, (signed, known), per_file, &issuer)?;
        self.full |= recovered.full;
        self.full_since_open |= recovered.full;
        self.messages.extend(recovered.notes);
        self.damage.remove(name);
        self.damage.extend(recovered.damage.map(|d| (name.to_owned(), d)));
        self.begin_scroll(name);
        self.stand(name, shelf);
        self.take_files(name, recovered.base)?;
        if let Some(segments) = self.segments.clone() {
            segments.change(name, |layout| layout.extend(recovered.lengths.into_iter()));
        }
        self.own_genesis(name)?;
        self.catch_up(name)?;
        self.reach_tiles(name)?;
        self.mark_damage(name);
        self.compare_with_signed(name)?;
        self.compare_with_root(name)
    }

    /// A scroll with nothing in it yet.
    pub(crate) fn begin_scroll(&mut self, name: &str) {
        let engine = self.engines.iter().find(|e| e.scroll() == name).copied();
        let mut scroll = Scroll::new(name, engine);
        self.lives += 1;
        scroll.life = self.lives;
        scroll.unshelvable = self.does_without_index(name);
        if engine.is_none() {
            let what = format!("no engine of this version writes the scroll {name}");
            scroll.read_only =
                Some(Refusal::new("scroll_without_engine", RefusalKind::Unavailable, what));
        }
        self.scrolls.insert(name.to_owned(), scroll);
    }

    fn mark_damage(&mut self, name: &str) {
        let Some(found) = self.damage.get(name) else { return };
        let what = format!(
            "{name} is read-only: {}, line {}, byte {}: {}",
            found.file, found.line, found.byte, found.claim
        );
        let hint = format!(
            "Lines from {} on may have been acknowledged. `vm accept-cut {name}` sets them aside and leaves a receipt.",
            found.from
        );
        let damaged = Refusal::new(DAMAGED_TAIL, RefusalKind::Unavailable, what).hint(hint);
        self.scroll_mut(name).read_only.get_or_insert(damaged);
    }

    pub(crate) fn open_scroll(&mut self, name: &str) -> Result<(), Failure> {
        self.bring_in(name)?;
        self.sign_opened(name)
    }

    /// Signs what stands in a scroll, once it has been compared with what was signed before.
    fn sign_opened(&mut self, name: &str) -> Result<(), Failure> {
        let size = self.scroll(name).size();
        let signed = self.signed(name).map_or(0, |s| s.size);
        if size > signed {
            self.messages.push(format!(
                "{name}: {} lines were durable but not signed yet; they are signed now",
                size - signed
            ));
        }
        match size {
            0 => Ok(()),
            _ => {
                self.sign(name)?;
                if size == signed && self.root_is_current(name) {
                    self.unpublished.remove(name);
                }
                Ok(())
            }
        }
    }

    /// The lines must reach as far as signed-state says, with the root it says.
    fn compare_with_signed(&self, name: &str) -> Result<(), Failure> {
        let Some(Signed { size, root }) = self.signed(name) else { return Ok(()) };
        let scroll = self.scroll(name);
        match self.with_tiles(name, |hashes| hashes.root_at(size))? {
            None => Err(Failure::Corrupt(Corrupt {
                file: crate::segments::scroll_dir(name),
                line: Some(scroll.size()),
                byte: None,
                claim: format!(
                    "{name} was signed up to {size} lines, but only {} are there: lines were removed, or an older copy of the home was put back",
                    scroll.size()
                ),
                hint: Some("Put the newest copy back. If there is none, `vm restore` opens the older one under a new node name and leaves a receipt.".into()),
            })),
            Some(found) if found != root => Err(Failure::Corrupt(Corrupt {
                file: crate::segments::scroll_dir(name),
                line: None,
                byte: None,
                claim: format!("the first {size} lines of {name} do not have the root that was signed for them: one of them was changed"),
                hint: Some("`vm verify` names the line and what is still provable.".into()),
            })),
            Some(_) => Ok(()),
        }
    }

    /// ROOT may be behind or gone, and is then written again; it may never be ahead, different or foreign.
    fn compare_with_root(&mut self, name: &str) -> Result<(), Failure> {
        let path = root_path(name);
        let bytes = match self.fs.read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if self.signed(name).is_some() {
                    self.messages.push(format!("{path} was missing and is written again"));
                }
                return Ok(());
            }
            Err(e) => return Err(fault("read", &path, &e)),
        };
        let corrupt = |claim: String, hint: &str| {
            Failure::Corrupt(Corrupt {
                file: path.clone(),
                line: None,
                byte: None,
                claim,
                hint: Some(hint.to_owned()),
            })
        };
        let again = "Nothing was changed. If domain and node in vaultmesh.toml were edited, put them back: they name the log. If the lines are right and the names too, remove this file: it is signed again.";
        let vkey =
            Vkey::new(&self.settings.origin(name), self.keys.log.public()).map_err(|e| Fault {
                retryable: false,
                ..Fault::new("bad_origin", format!("{}: {e}", self.settings.origin(name)))
            })?;
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(corrupt(format!("it has more than {NOTE_BYTES_MAX} bytes"), again));
        }
        let (checkpoint, _) =
            Checkpoint::open(&bytes, &[vkey]).map_err(|e| corrupt(e.to_string(), again))?;
        let scroll = self.scroll(name);
        match self.with_tiles(name, |hashes| hashes.root_at(checkpoint.size))? {
            None => Err(corrupt(
                format!(
                    "it is signed for {} lines, but only {} are there",
                    checkpoint.size,
                    scroll.size()
                ),
                "Lines were removed after they were signed. Put the newest copy back.",
            )),
            Some(root) if root != checkpoint.root => Err(corrupt(
                format!("its root is not the root over the first {} lines", checkpoint.size),
                "`vm verify` names the line and what is still provable.",
            )),
            Some(_) => Ok(()),
        }
    }

    fn root_is_current(&self, name: &str) -> bool {
        let note = self.notes.get(name).map(String::as_bytes);
        self.fs.read(&root_path(name)).ok().as_deref() == note
    }

    /// Compares the wall clock's way since the last process with the monotonic clock's.
    fn check_clock(&mut self) {
        let Some(before) = self.last_process() else { return };
        self.clock_jump = self.clock.read().jump_since(&before);
        self.last_reading = Some(before);
    }

    /// What the clock showed when the last process published.
    fn last_process(&self) -> Option<Reading> {
        let bytes = self.fs.read(CLOCK).ok()?;
        let before = serde_json::from_slice::<Value>(&bytes).ok()?;
        let wall = before["wall"].as_str().and_then(|t| Moment::parse(t).ok())?;
        let (uptime_ms, boot) =
            (before["uptime_ms"].as_u64()?, before["boot"].as_str()?.to_owned());
        Some(Reading { wall, uptime_ms, boot })
    }

    /// The key of private values is there before the first of them, so that planning writes nothing. A key that is gone
    /// stops nobody who does not need it.
    fn keep_openings_key(&mut self) -> Result<(), Failure> {
        let hides = |e: &&'static dyn AnyEngine| e.operations().iter().any(|s| s.hides_anything());
        if !self.engines.iter().any(hides) {
            return Ok(());
        }
        let made = self.openings().ensure_key();
        match made {
            Err(lost @ Failure::Lost(_)) => Err(lost),
            Err(failure) => {
                self.messages.push(failure.to_string());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Keeps space for the way out of a full disk; without room for it there is nothing to keep.
    fn keep_reserve(&mut self) {
        let there = self.fs.len(RESERVE).is_ok_and(|len| len == Some(RESERVE_BYTES as u64));
        if !there {
            let _ = self
                .fs
                .write(RESERVE, &vec![0u8; RESERVE_BYTES])
                .and_then(|()| self.fs.sync(RESERVE));
        }
    }

    /// Engines this ledger hosts.
    pub fn engines(&self) -> &'static [&'static dyn AnyEngine] {
        self.engines
    }
}

/// Recovers a scroll; where there is no space for it, once more with the reserve freed.
fn recover_with_room(
    fs: &dyn Fs,
    name: &str,
    (signed, known): (u64, Known),
    per_file: u64,
    issuer: &PublicKey,
) -> Result<Recovered, Failure> {
    let first = recover(fs, name, signed, per_file, issuer, known)?;
    if !first.full || !matches!(fs.len(RESERVE), Ok(Some(_))) {
        return Ok(first);
    }
    fs.remove(RESERVE).and_then(|()| fs.sync_dir("")).map_err(|e| fault("remove", RESERVE, &e))?;
    recover(fs, name, signed, per_file, issuer, known)
}

/// Scrolls that have a receipts file.
fn scrolls_with_files(fs: &dyn Fs) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for name in fs.list("receipts")?.into_iter().filter(|n| vm_receipts::line::is_scroll(n)) {
        let files = match fs.list(&crate::segments::scroll_dir(&name)) {
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => continue,
            files => files?,
        };
        if files.iter().any(|f| f.ends_with(".jsonl")) {
            names.push(name);
        }
    }
    Ok(names)
}

fn fault(what: &str, path: &str, e: &io::Error) -> Failure {
    Fault::new("open_failed", format!("cannot {what} {path}: {e}")).into()
}

/// Lays out an empty home's ledger files: both copies of signed-state.
pub fn lay_out(fs: &dyn Fs, ledger: &str) -> io::Result<()> {
    crate::fs::make_dir(fs, "receipts")?;
    Guard::new(ledger).save(fs)
}
