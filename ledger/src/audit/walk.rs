//! One scroll, line by line: what each says alone, and what it says after the ones before it.

use super::{Audit, Progress, at_file};
use crate::segments::{SEGMENT_LINES, scroll_dir, segment_path};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use vm_receipts::key::PublicKey;
use vm_receipts::line::{self, Line, Prev};
use vm_receipts::moment::Moment;
use vm_scrolls::tree::{self, Frontier, Hash};
use vm_scrolls::verdict::Place;

/// Lines whose signatures are checked together.
const CHUNK: usize = 4_096;
/// Longest file: a full one of the longest lines.
const FILE_BYTES_MAX: u64 = SEGMENT_LINES * (line::LINE_MAX as u64 + 1);
/// Claim that a file can be read at all.
pub(super) const READABLE: &str = "readable";

/// What one scroll's lines came to.
pub(super) struct Walked {
    pub(super) size: u64,
    /// Roots at the sizes that ROOT and signed-state name, if the lines reach them.
    pub(super) roots: BTreeMap<u64, Option<Hash>>,
    /// The origin that the lines themselves name: the genesis' domain, the last line's node.
    pub(super) origin: Option<String>,
    /// What stands after the last whole call, above what ROOT covers.
    pub(super) unfinished: Option<String>,
    pub(super) unknown_issuers: BTreeSet<String>,
    pub(super) without_actor_proof: u64,
    pub(super) ledger: Option<String>,
    /// The first line of each call that has a case.
    pub(super) cases: Vec<Line>,
}

/// A contradiction met while walking the lines.
pub(super) struct Stop {
    pub(super) place: Place,
    pub(super) detail: String,
}

/// Goes through a scroll's lines in order.
pub(super) struct Walk<'a> {
    audit: &'a Audit<'a>,
    issuers: HashMap<String, PublicKey>,
    frontier: Frontier,
    /// Size that ROOT covers.
    covered: Option<u64>,
    roots: BTreeMap<u64, Option<Hash>>,
    domain: String,
    node: Option<String>,
    unfinished: Option<String>,
    last_at: Option<Moment>,
    batch: Option<Prev>,
    group: Option<Line>,
    ids: HashSet<String>,
    unknown_issuers: BTreeSet<String>,
    without_actor_proof: u64,
    ledger: Option<String>,
    cases: Vec<Line>,
    file: String,
    number: u64,
    byte: u64,
}

impl<'a> Walk<'a> {
    /// `covered` is the size of ROOT; roots are kept at all of `sizes`.
    pub(super) fn new(
        audit: &'a Audit<'a>,
        covered: Option<u64>,
        sizes: impl Iterator<Item = u64>,
    ) -> Self {
        let issuers = audit.trust.issuers.iter().map(|key| (key.did(), *key)).collect();
        let mut walk = Self {
            audit,
            issuers,
            frontier: Frontier::new(),
            covered,
            roots: sizes.map(|size| (size, None)).collect(),
            domain: String::new(),
            node: None,
            unfinished: None,
            last_at: None,
            batch: None,
            group: None,
            ids: HashSet::new(),
            unknown_issuers: BTreeSet::new(),
            without_actor_proof: 0,
            ledger: None,
            cases: Vec::new(),
            file: String::new(),
            number: 0,
            byte: 0,
        };
        walk.note_root();
        walk
    }

    fn note_root(&mut self) {
        if let Some(root) = self.roots.get_mut(&self.frontier.size()) {
            *root = Some(self.frontier.root());
        }
    }

    pub(super) fn done(self) -> Walked {
        Walked {
            size: self.frontier.size(),
            roots: self.roots,
            origin: self.node.map(|node| format!("{}/{node}/{}", self.domain, self.audit.scroll)),
            unfinished: self.unfinished,
            unknown_issuers: self.unknown_issuers,
            without_actor_proof: self.without_actor_proof,
            ledger: self.ledger,
            cases: self.cases,
        }
    }

    fn stop(&self, at: u64, claim: &str, detail: impl Into<String>) -> Stop {
        let place = Place {
            file: self.file.clone(),
            line: Some(self.number),
            byte: Some(self.byte + at),
            claim: claim.to_owned(),
        };
        Stop { place, detail: detail.into() }
    }

    pub(super) fn all(&mut self, progress: Progress<'_>) -> Result<(), Stop> {
        let (fs, scroll) = (self.audit.fs, self.audit.scroll);
        let dir = scroll_dir(scroll);
        let names = fs.list(&dir).map_err(|e| self.unreadable(&dir, &e))?;
        let files: Vec<&String> = names.iter().filter(|n| !n.ends_with(".new")).collect();
        let total = files.len() as u64 * SEGMENT_LINES;
        for (i, name) in files.iter().enumerate() {
            let path = segment_path(scroll, i as u64 * SEGMENT_LINES);
            self.file = format!("{dir}/{name}");
            (self.number, self.byte) = (0, 0);
            if self.file != path {
                return Err(self.stop(
                    0,
                    "file_name",
                    format!("the next file of {scroll} must be {path}; one is missing or misnamed"),
                ));
            }
            if fs.len(&path).is_ok_and(|len| len.is_some_and(|len| len > FILE_BYTES_MAX)) {
                let detail =
                    format!("the file has more than {FILE_BYTES_MAX} bytes, which no lines need");
                return Err(self.stop(0, "file_lines", detail));
            }
            let bytes = fs.read(&path).map_err(|e| self.unreadable(&path, &e))?;
            self.file_lines(&bytes, i + 1 == files.len(), progress, total)?;
        }
        match &self.group {
            Some(open) if self.above_root(open.seq + 1 - u64::from(open.part.n)) => {
                let (n, of) = (open.part.n, open.part.of);
                self.unfinished =
                    Some(format!("call {} has {n} of its {of} receipts so far", open.id));
                Ok(())
            }
            Some(open) => {
                let detail = format!(
                    "call {} has {} receipts, but the scroll ends after {}",
                    open.id, open.part.of, open.part.n
                );
                Err(self.stop(0, "call_complete", detail))
            }
            None => Ok(()),
        }
    }

    /// Whether a sequence number is above what ROOT covers, so that nobody was shown it under a root yet.
    fn above_root(&self, seq: u64) -> bool {
        self.covered.is_some_and(|size| seq >= size)
    }

    fn unreadable(&self, path: &str, e: &io::Error) -> Stop {
        Stop { place: at_file(path, READABLE), detail: format!("it cannot be read: {e}") }
    }

    fn file_lines(
        &mut self,
        bytes: &[u8],
        last: bool,
        progress: Progress<'_>,
        total: u64,
    ) -> Result<(), Stop> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut chunk: Vec<&[u8]> = Vec::new();
            while !rest.is_empty() && chunk.len() < CHUNK {
                let Some(end) = rest.iter().position(|b| *b == b'\n') else { break };
                chunk.push(&rest[..end]);
                rest = &rest[end + 1..];
            }
            self.chunk(&chunk, last)?;
            if self.unfinished.is_some() {
                return Ok(());
            }
            progress(self.audit.scroll, self.frontier.size(), total.max(self.frontier.size()));
            if chunk.len() < CHUNK && !rest.is_empty() {
                self.number += 1;
                if last && self.above_root(self.frontier.size()) {
                    self.unfinished =
                        Some(format!("line {} of {} does not end", self.number, self.file));
                    return Ok(());
                }
                return Err(self.stop(
                    rest.len() as u64,
                    "line_ends",
                    "the last line does not end",
                ));
            }
        }
        if self.number > SEGMENT_LINES || (!last && self.number < SEGMENT_LINES) {
            let detail = format!(
                "the file has {} lines; every file but the last has {SEGMENT_LINES}",
                self.number
            );
            return Err(self.stop(0, "file_lines", detail));
        }
        Ok(())
    }

    /// Signatures of a chunk are checked side by side; everything that depends on order, one after another.
    fn chunk(&mut self, chunk: &[&[u8]], last: bool) -> Result<(), Stop> {
        let issuers = &self.issuers;
        let checked: Vec<_> = chunk.par_iter().map(|bytes| check_alone(bytes, issuers)).collect();
        for (bytes, checked) in chunk.iter().zip(checked) {
            self.number += 1;
            let line = match checked {
                Ok((line, true)) => line,
                Ok((line, false)) => {
                    self.unknown_issuers.insert(line.issuer.clone());
                    line
                }
                // A crash leaves NULs where blocks of the last write did not reach the disk.
                Err(_) if last && bytes.contains(&0) && self.above_root(self.frontier.size()) => {
                    self.unfinished =
                        Some(format!("line {} of {} is torn", self.number, self.file));
                    return Ok(());
                }
                Err(bad) => return Err(self.stop(bad.at, bad.claim, bad.detail)),
            };
            self.in_order(&line)?;
            self.frontier.push(tree::leaf_hash(bytes));
            self.note_root();
            self.byte += bytes.len() as u64 + 1;
        }
        Ok(())
    }

    fn in_order(&mut self, line: &Line) -> Result<(), Stop> {
        let (here, scroll) = (self.frontier.size(), self.audit.scroll);
        if line.seq != here || line.scroll != scroll {
            let detail =
                format!("it is {}/{}, where {scroll}/{here} must stand", line.scroll, line.seq);
            return Err(self.stop(0, "sequence", detail));
        }
        if here == 0 && line.kind != "ledger_open" {
            return Err(self.stop(
                0,
                "genesis",
                "the first receipt of a scroll must be a ledger_open",
            ));
        }
        if self.batch != Some(line.prev) {
            if line.prev.size != here || line.prev.root != self.frontier.root() {
                return Err(self.stop(
                    0,
                    "chain",
                    format!("its prev is not the size and root of the {here} lines before it"),
                ));
            }
            self.batch = Some(line.prev);
        }
        if let Some(before) = self.last_at.filter(|before| line.at < *before) {
            return Err(self.stop(
                0,
                "time",
                format!("its time {} is before {before} of the line above it", line.at),
            ));
        }
        self.last_at = Some(line.at);
        if line.kind == "ledger_open" {
            if here > 0 {
                return Err(self.stop(0, "genesis", "a ledger_open can only be the first receipt"));
            }
            let said = |name: &str| line.body.get(name).and_then(|v| v.as_str()).map(str::to_owned);
            self.ledger = said("ledger");
            self.domain = said("domain").unwrap_or_default();
        }
        self.node = Some(line.context.node.clone());
        self.actor(line)?;
        self.call(line)
    }

    /// The actor's own signature over the intent, where there is one.
    fn actor(&mut self, line: &Line) -> Result<(), Stop> {
        let Some(proof) = &line.actor_proof else {
            self.without_actor_proof += 1;
            return Ok(());
        };
        let ledger = self.ledger.as_deref().unwrap_or_default();
        match proof.verify(ledger, &line.id, &line.intent) {
            Ok(key) if key.did() == line.actor => Ok(()),
            Ok(key) => Err(self.stop(
                0,
                "actor_proof",
                format!("it is signed by {}, not by {}", key.did(), line.actor),
            )),
            Err(e) => Err(self.stop(0, "actor_proof", e.to_string())),
        }
    }

    /// The lines of a call stand together, are numbered without gaps and agree; an id is used once.
    fn call(&mut self, line: &Line) -> Result<(), Stop> {
        match self.group.take() {
            None if line.part.n != 1 => Err(self.stop(
                0,
                "call_complete",
                format!(
                    "it is part {} of call {}, whose first part is not above it",
                    line.part.n, line.id
                ),
            )),
            None if !self.ids.insert(line.id.clone()) => Err(self.stop(
                0,
                "id_once",
                format!("the id {} was used by an earlier call", line.id),
            )),
            Some(open) if !continues(&open, line) => {
                let detail = format!(
                    "call {} has {} receipts, but part {} is not here",
                    open.id,
                    open.part.of,
                    open.part.n + 1
                );
                Err(self.stop(0, "call_complete", detail))
            }
            _ => {
                if line.part.n == 1 && line.artifacts.is_some() {
                    self.cases.push(line.clone());
                }
                self.group = (line.part.n < line.part.of).then(|| line.clone());
                Ok(())
            }
        }
    }
}

fn continues(open: &Line, line: &Line) -> bool {
    open.id == line.id
        && open.part.of == line.part.of
        && open.part.n + 1 == line.part.n
        && open.op == line.op
        && open.intent == line.intent
        && open.contract == line.contract
        && open.state == line.state
        && open.root_hash == line.root_hash
        && open.artifacts == line.artifacts
        && open.prev == line.prev
}

struct Bad {
    at: u64,
    claim: &'static str,
    detail: String,
}

/// What can be said of a line without its neighbours; `true` when its issuer is known.
fn check_alone(bytes: &[u8], issuers: &HashMap<String, PublicKey>) -> Result<(Line, bool), Bad> {
    let bad = |claim| move |e: line::LineError| Bad { at: e.at as u64, claim, detail: e.message };
    let line = Line::parse(bytes).map_err(bad("line_reads"))?;
    if line.artifacts.is_none() {
        let (contract, state, root_hash) = line::record_digests(&line);
        if (contract, state, root_hash) != (line.contract, line.state, line.root_hash) {
            let detail = "contract, state or root_hash do not follow from the line".to_owned();
            return Err(Bad { at: 0, claim: "record_digests", detail });
        }
    }
    let key = match issuers.get(&line.issuer) {
        Some(key) => *key,
        // A key that is not trusted can still show that the line was not changed after it was sealed.
        None => PublicKey::from_did(&line.issuer).map_err(|e| Bad {
            at: 0,
            claim: "issuer_key",
            detail: e.to_string(),
        })?,
    };
    line::verify_proof(bytes, &key).map_err(bad("sealed"))?;
    let known = issuers.contains_key(&line.issuer);
    Ok((line, known))
}
