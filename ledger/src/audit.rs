//! `vm verify` of a whole home: every line from its bytes, every signature, every root. Nothing is believed because
//! it stands in an index or was checked before, and nothing is written.

use crate::fs::Fs;
use crate::segments::{SEGMENT_LINES, scroll_dir, segment_path};
use crate::writer::root_path;
use rayon::prelude::*;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use vm_contracts::{Failure, Fault};
use vm_receipts::key::PublicKey;
use vm_receipts::line::{self, Line, Prev};
use vm_receipts::moment::Moment;
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::tree::{self, Frontier, Hash};
use vm_scrolls::trust::Trust;
use vm_scrolls::verdict::{Findings, Outcome, Place, Verdict};

/// Lines whose signatures are checked together.
const CHUNK: usize = 4_096;

/// Called with scroll, lines done, lines in all (as far as known).
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// What one scroll's lines came to.
struct Walked {
    size: u64,
    /// Root at the size that ROOT names, if the lines reach it.
    root_at: Option<Hash>,
    unknown_issuers: BTreeSet<String>,
    without_actor_proof: u64,
    ledger: Option<String>,
}

/// Verifies every scroll of a home against keys from outside it.
pub fn verify_home(fs: &dyn Fs, trust: &Trust, progress: Progress<'_>) -> Verdict {
    let mut findings = Findings::new();
    let scrolls = match scrolls(fs) {
        Ok(scrolls) => scrolls,
        Err(e) => {
            findings.undecided("home", format!("the home cannot be read: {e}"));
            return findings.verdict("home", trust.self_asserted);
        }
    };
    if scrolls.is_empty() {
        let mut verdict = findings.verdict("there are no receipts here", trust.self_asserted);
        verdict.outcome = Outcome::Absent;
        verdict.summary = "absent: there are no receipts here".into();
        return verdict;
    }
    let mut totals = Vec::new();
    let mut ledgers = BTreeSet::new();
    for scroll in &scrolls {
        let audit = Audit { fs, trust, scroll };
        if let Some(total) = audit.run(&mut findings, &mut ledgers, progress) {
            totals.push(total);
        }
    }
    if ledgers.len() > 1 {
        let place = at_file("receipts", "one_ledger");
        findings.contradicted(
            place,
            format!("the scrolls belong to {} different ledgers", ledgers.len()),
        );
    }
    findings.not_checked("anchors: none are known, so nothing outside vouches for the end of a scroll; an older copy of this home, whole in itself, looks the same");
    findings.not_checked("the rules of the engines: that the receipts were rightly decided");
    findings.verdict(&totals.join("; "), trust.self_asserted)
}

/// Keys as the home itself states them. A verdict under them is called self-asserted.
pub fn self_asserted_trust(fs: &dyn Fs) -> Result<Trust, Failure> {
    let read = |path: &str| {
        let bytes = fs.read(path).map_err(|e| {
            Failure::Fault(
                Fault::new("no_keys", format!("cannot read {path}: {e}"))
                    .hint("Give the keys with --trust FILE."),
            )
        })?;
        Ok::<_, Failure>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = format!("{}\n{}", read("keys/issuer.did")?.trim_end(), read("keys/log.vkey")?);
    let mut trust = Trust::parse(&text).map_err(|e| {
        Failure::Fault(Fault::new("no_keys", format!("the keys in this home do not read: {e}")))
    })?;
    trust.self_asserted = true;
    Ok(trust)
}

/// Names of all scrolls that have lines or a ROOT.
pub fn scrolls(fs: &dyn Fs) -> io::Result<BTreeSet<String>> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for name in fs.list("receipts")? {
        if !fs.list(&scroll_dir(&name))?.is_empty() {
            names.insert(name);
        }
    }
    for name in fs.list("")? {
        let scroll = name.strip_prefix("ROOT.").and_then(|n| n.strip_suffix(".txt"));
        names.extend(scroll.map(str::to_owned));
    }
    Ok(names)
}

fn at_file(file: &str, claim: &str) -> Place {
    Place { file: file.to_owned(), line: None, byte: None, claim: claim.to_owned() }
}

/// A contradiction met while walking the lines.
struct Stop {
    place: Place,
    detail: String,
}

struct Audit<'a> {
    fs: &'a dyn Fs,
    trust: &'a Trust,
    scroll: &'a str,
}

impl Audit<'_> {
    /// Checks one scroll; says in a few words how far it was verified.
    fn run(
        &self,
        findings: &mut Findings,
        ledgers: &mut BTreeSet<String>,
        progress: Progress<'_>,
    ) -> Option<String> {
        let scroll = self.scroll;
        let root = self.root(findings);
        let mut walk = Walk::new(self, root.as_ref().map(|c| c.size));
        let walked = walk.all(progress);
        let (walked, stop) = match walked {
            Ok(()) => (walk.done(), None),
            Err(stop) => (walk.done(), Some(stop)),
        };
        ledgers.extend(walked.ledger.clone());
        for issuer in &walked.unknown_issuers {
            findings.undecided("issuer_trusted", format!("the key of {issuer}, which sealed receipts of {scroll}, is not in the trust file"));
        }
        if walked.without_actor_proof > 0 {
            findings.not_checked(format!(
                "{scroll}: who acted is the node's word in {} receipts (no actor_proof)",
                walked.without_actor_proof
            ));
        }
        let intact = walked.size;
        if let Some(stop) = stop {
            if intact > 0 {
                findings.provable(format!("{scroll}/0 to {scroll}/{}: each line is sealed by its issuer and follows from the one before", intact - 1));
            }
            if let Some(root) = &root {
                findings.provable(format!("proofs made earlier against a checkpoint of {scroll} still hold; ROOT.{scroll}.txt is signed for {} lines", root.size));
            }
            findings.contradicted(stop.place, stop.detail);
            return None;
        }
        findings.holds(
            "lines",
            format!("{scroll}: {intact} lines are canonical, in order, chained and sealed"),
        );
        self.compare(findings, &walked, root?)
    }

    /// Reads ROOT and checks who signed it; `None` when that leaves nothing to compare with.
    fn root(&self, findings: &mut Findings) -> Option<Checkpoint> {
        let path = root_path(self.scroll);
        let bytes = match self.fs.read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                findings.undecided(
                    "root_present",
                    format!("{path} is not there, so no signed root covers {}", self.scroll),
                );
                return None;
            }
            Err(e) => {
                findings.undecided("root_present", format!("{path} cannot be read: {e}"));
                return None;
            }
        };
        match Checkpoint::open(&bytes, &self.trust.logs) {
            Ok((checkpoint, _)) if !checkpoint.origin.ends_with(&format!("/{}", self.scroll)) => {
                let place = Place { line: Some(1), byte: Some(0), ..at_file(&path, "root_origin") };
                findings.contradicted(
                    place,
                    format!("it is signed for {:?}, not for {}", checkpoint.origin, self.scroll),
                );
                None
            }
            Ok((checkpoint, _)) => {
                findings.holds(
                    "root_signed",
                    format!(
                        "{path}: signed by {} for {} lines",
                        checkpoint.origin, checkpoint.size
                    ),
                );
                Some(checkpoint)
            }
            // Without any log key nothing can be said; with one, a ROOT it did not sign is not this log's.
            Err(e) if e.is_missing_key() && self.trust.logs.is_empty() => {
                findings.undecided("root_signed", "the trust file holds no log key".to_owned());
                None
            }
            Err(e) => {
                let place =
                    Place { line: e.line(), byte: e.byte(), ..at_file(&path, "root_signed") };
                findings.contradicted(place, e.to_string());
                None
            }
        }
    }

    fn compare(
        &self,
        findings: &mut Findings,
        walked: &Walked,
        root: Checkpoint,
    ) -> Option<String> {
        let (scroll, path) = (self.scroll, root_path(self.scroll));
        let place = |claim: &str| at_file(&path, claim);
        if root.size > walked.size {
            findings.provable(format!(
                "{scroll}/0 to {scroll}/{}: each line is sealed and chained",
                walked.size.saturating_sub(1)
            ));
            let place = Place { line: Some(2), ..place("root_covers_lines") };
            findings.contradicted(place, format!("it is signed for {} lines, but only {} are there: {} were removed from the end", root.size, walked.size, root.size - walked.size));
            return None;
        }
        if walked.root_at != Some(root.root) {
            let place = Place { line: Some(3), ..place("root_matches_lines") };
            findings.contradicted(
                place,
                format!("its root is not the root over the first {} lines", root.size),
            );
            return None;
        }
        findings.holds(
            "root_matches_lines",
            format!("{path}: its root is the root over the first {} lines", root.size),
        );
        let over = walked.size - root.size;
        if over > 0 {
            findings.not_checked(format!(
                "{scroll}: {over} lines after {} are sealed but not covered by a signed root yet",
                root.size
            ));
            return Some(format!("{scroll} verified to {}, {over} lines not covered", root.size));
        }
        Some(format!("{scroll} {} receipts", walked.size))
    }
}

/// Goes through a scroll's lines in order.
struct Walk<'a> {
    audit: &'a Audit<'a>,
    issuers: HashMap<String, PublicKey>,
    frontier: Frontier,
    want: Option<u64>,
    root_at: Option<Hash>,
    last_at: Option<Moment>,
    batch: Option<Prev>,
    group: Option<Line>,
    ids: HashSet<String>,
    unknown_issuers: BTreeSet<String>,
    without_actor_proof: u64,
    ledger: Option<String>,
    file: String,
    number: u64,
    byte: u64,
}

impl<'a> Walk<'a> {
    fn new(audit: &'a Audit<'a>, want: Option<u64>) -> Self {
        let issuers = audit.trust.issuers.iter().map(|key| (key.did(), *key)).collect();
        let mut walk = Self {
            audit,
            issuers,
            frontier: Frontier::new(),
            want,
            root_at: None,
            last_at: None,
            batch: None,
            group: None,
            ids: HashSet::new(),
            unknown_issuers: BTreeSet::new(),
            without_actor_proof: 0,
            ledger: None,
            file: String::new(),
            number: 0,
            byte: 0,
        };
        walk.note_root();
        walk
    }

    fn note_root(&mut self) {
        if self.want == Some(self.frontier.size()) {
            self.root_at = Some(self.frontier.root());
        }
    }

    fn done(self) -> Walked {
        Walked {
            size: self.frontier.size(),
            root_at: self.root_at,
            unknown_issuers: self.unknown_issuers,
            without_actor_proof: self.without_actor_proof,
            ledger: self.ledger,
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

    fn all(&mut self, progress: Progress<'_>) -> Result<(), Stop> {
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
            let bytes = fs.read(&path).map_err(|e| self.unreadable(&path, &e))?;
            self.file_lines(&bytes, i + 1 == files.len(), progress, total)?;
        }
        match &self.group {
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

    fn unreadable(&self, path: &str, e: &io::Error) -> Stop {
        Stop { place: at_file(path, "readable"), detail: format!("it cannot be read: {e}") }
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
            self.chunk(&chunk)?;
            progress(self.audit.scroll, self.frontier.size(), total.max(self.frontier.size()));
            if chunk.len() < CHUNK && !rest.is_empty() {
                self.number += 1;
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
    fn chunk(&mut self, chunk: &[&[u8]]) -> Result<(), Stop> {
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
        if line.actor_proof.is_none() {
            self.without_actor_proof += 1;
        }
        if line.kind == "ledger_open" {
            self.ledger = line.body.get("ledger").and_then(|l| l.as_str()).map(str::to_owned);
        }
        self.call(line)
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
        && open.intent == line.intent
        && open.op == line.op
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
