//! One scroll, line by line: what each says alone, and what it says after the ones before it.

use super::alone::{Alone, Bad, Checks};
use super::blocks::{Block, Blocks, Then};
use super::once::{Once, Print};
use super::{Audit, Progress, cases};
use crate::segments::SEGMENT_LINES;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use vm_receipts::line::{LINE_MAX, Line, Prev};
use vm_receipts::moment::Moment;
use vm_scrolls::tree::{Frontier, Hash};
use vm_scrolls::verdict::{Findings, Place};

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
    /// Calls that have a case, those of them whose files are what they were sealed over, and what was found there.
    pub(super) cases: u64,
    pub(super) whole_cases: u64,
    pub(super) case_findings: Findings,
}

/// A contradiction met while walking the lines.
pub(super) struct Stop {
    pub(super) place: Place,
    pub(super) detail: String,
}

/// Goes through a scroll's lines in order.
pub(super) struct Walk<'a> {
    audit: &'a Audit<'a>,
    frontier: Frontier,
    /// Size that ROOT covers.
    covered: Option<u64>,
    roots: BTreeMap<u64, Option<Hash>>,
    domain: String,
    node: Option<String>,
    unfinished: Option<String>,
    last_at: Option<Moment>,
    batch: Option<Prev>,
    group: Option<Box<Line>>,
    ids: Once,
    /// Sequence number of a call whose id an earlier call had, when a walk before this one has found it.
    repeated: Option<u64>,
    /// The same, when this walk found it.
    found: Option<u64>,
    unknown_issuers: BTreeSet<String>,
    without_actor_proof: u64,
    ledger: Option<String>,
    cases: u64,
    whole_cases: u64,
    case_findings: Findings,
    file: Arc<str>,
    number: u64,
    byte: u64,
}

impl<'a> Walk<'a> {
    /// `covered` is the size of ROOT; roots are kept at all of `sizes`.
    pub(super) fn new(
        audit: &'a Audit<'a>,
        covered: Option<u64>,
        sizes: &[u64],
        repeated: Option<u64>,
    ) -> Self {
        let mut walk = Self {
            audit,
            frontier: Frontier::new(),
            covered,
            roots: sizes.iter().map(|size| (*size, None)).collect(),
            domain: String::new(),
            node: None,
            unfinished: None,
            last_at: None,
            batch: None,
            group: None,
            ids: Once::new(0),
            repeated,
            found: None,
            unknown_issuers: BTreeSet::new(),
            without_actor_proof: 0,
            ledger: None,
            cases: 0,
            whole_cases: 0,
            case_findings: Findings::new(),
            file: Arc::from(""),
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
            whole_cases: self.whole_cases,
            case_findings: self.case_findings,
        }
    }

    fn stop(&self, at: u64, claim: &str, detail: impl Into<String>) -> Stop {
        let place = Place {
            file: self.file.to_string(),
            line: Some(self.number),
            byte: Some(self.byte + at),
            claim: claim.to_owned(),
        };
        Stop { place, detail: detail.into() }
    }

    /// Goes through all lines. While one block is taken in, in order, the next is checked and the one after it read.
    pub(super) fn all(&mut self, progress: Progress<'_>) -> Result<(), Stop> {
        let (fs, scroll) = (self.audit.fs, self.audit.scroll);
        let mut blocks = Blocks::new(fs, scroll)?;
        let total = blocks.lines_max();
        self.ids = Once::new(total);
        let mut ahead = blocks.next();
        let first = ahead.as_ref().and_then(|block| block.lines().first().copied());
        let checks = Checks::new(self.audit.trust, first);
        let mut done = None;
        while ahead.is_some() || done.is_some() {
            let begun = done.is_some();
            let ((taken, next), checked) = rayon::join(
                || (done.map_or(Ok(()), |done| self.take_in(done)), blocks.next()),
                || ahead.map(|block| Checked::new(block, &checks)),
            );
            taken?;
            if self.unfinished.is_some() {
                break;
            }
            if begun {
                progress(scroll, self.frontier.size(), total.max(self.frontier.size()));
            }
            (ahead, done) = (next, checked);
        }
        self.last_call_ends()
    }

    /// The call whose lines the scroll ends with must be whole, or above what ROOT covers.
    fn last_call_ends(&mut self) -> Result<(), Stop> {
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

    /// The first call below where this walk ended whose id an earlier call had.
    pub(super) fn repeated_id(&mut self) -> Result<Option<u64>, Stop> {
        match (self.repeated, self.found) {
            (Some(_), _) => Ok(None),
            (None, Some(seq)) => Ok(Some(seq)),
            (None, None) => self.ids.repeated(self.audit.fs, self.audit.scroll),
        }
    }

    /// Whether a sequence number is above what ROOT covers, so that nobody was shown it under a root yet.
    fn above_root(&self, seq: u64) -> bool {
        self.covered.is_some_and(|size| seq >= size)
    }

    /// Takes in the lines of a block one after another, and then what follows them.
    fn take_in(&mut self, checked: Checked) -> Result<(), Stop> {
        let Checked { file, last, first, lines, then } = checked;
        if first {
            (self.file, self.number, self.byte) = (file, 0, 0);
        }
        for (line, length) in lines {
            self.number += 1;
            match line {
                Ok(alone) => self.take_in_line(alone)?,
                Err(bad) if bad.nul && last && self.above_root(self.frontier.size()) => {
                    self.torn();
                    return Ok(());
                }
                Err(bad) => return Err(self.stop(bad.at, bad.claim, bad.detail)),
            }
            self.byte += length + 1;
        }
        match then {
            Then::More => Ok(()),
            Then::Stop(stop) => Err(stop),
            Then::TooLong(length, nul) => {
                self.number += 1;
                if last && nul && self.above_root(self.frontier.size()) {
                    self.torn();
                    return Ok(());
                }
                let detail = format!("the line has {length} bytes, {LINE_MAX} is the limit");
                Err(self.stop(LINE_MAX as u64, "line_reads", detail))
            }
            Then::Unended(length) => {
                self.number += 1;
                if last && self.above_root(self.frontier.size()) {
                    self.unfinished =
                        Some(format!("line {} of {} does not end", self.number, self.file));
                    return Ok(());
                }
                Err(self.stop(length, "line_ends", "the last line does not end"))
            }
            Then::End if self.number > SEGMENT_LINES || (!last && self.number < SEGMENT_LINES) => {
                let detail = format!(
                    "the file has {} lines; every file but the last has {SEGMENT_LINES}",
                    self.number
                );
                Err(self.stop(0, "file_lines", detail))
            }
            Then::End => Ok(()),
        }
    }

    fn torn(&mut self) {
        self.unfinished = Some(format!("line {} of {} is torn", self.number, self.file));
    }

    fn take_in_line(&mut self, alone: Alone) -> Result<(), Stop> {
        if !alone.known {
            self.unknown_issuers.insert(alone.line.issuer.clone());
        }
        let leaf = alone.leaf;
        self.in_order(alone)?;
        self.frontier.push(leaf);
        self.note_root();
        Ok(())
    }

    fn in_order(&mut self, alone: Alone) -> Result<(), Stop> {
        let Alone { line, print, actor, .. } = alone;
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
        if self.node.as_ref() != Some(&line.context.node) {
            self.node = Some(line.context.node.clone());
        }
        match actor {
            None => self.without_actor_proof += 1,
            Some(Ok(())) => {}
            Some(Err(detail)) => return Err(self.stop(0, "actor_proof", detail)),
        }
        self.call(line, print)
    }

    /// The lines of a call stand together, are numbered without gaps and agree; an id is used once.
    fn call(&mut self, line: Box<Line>, print: Print) -> Result<(), Stop> {
        match self.group.take() {
            None if line.part.n != 1 => Err(self.stop(
                0,
                "call_complete",
                format!(
                    "it is part {} of call {}, whose first part is not above it",
                    line.part.n, line.id
                ),
            )),
            None if self.is_repeated(&line, print)? => Err(self.stop(
                0,
                "id_once",
                format!("the id {} was used by an earlier call", line.id),
            )),
            Some(open) if !continues(&open, &line) => {
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
                    let whole = cases::check(self.audit.fs, &line, &mut self.case_findings);
                    self.cases += 1;
                    self.whole_cases += u64::from(whole);
                }
                self.group = (line.part.n < line.part.of).then_some(line);
                Ok(())
            }
        }
    }

    /// Whether an earlier call had the id of the call that begins with this line. Where that takes a second look, it is
    /// taken later, and a walk after this one stops here.
    fn is_repeated(&mut self, line: &Line, print: Print) -> Result<bool, Stop> {
        if self.repeated == Some(line.seq) {
            return Ok(true);
        }
        if self.ids.insert(&line.id, print, line.seq) {
            self.found = self.ids.repeated(self.audit.fs, self.audit.scroll)?;
        }
        Ok(self.found.is_some())
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

/// A block whose lines were checked alone.
struct Checked {
    file: Arc<str>,
    last: bool,
    first: bool,
    /// Each line with its length.
    lines: Vec<(Result<Alone, Bad>, u64)>,
    then: Then,
}

impl Checked {
    fn new(block: Block, checks: &Checks) -> Checked {
        let texts = block.lines();
        let checked = checks.all(&texts);
        let lengths = texts.iter().map(|bytes| bytes.len() as u64);
        let lines = checked.into_iter().zip(lengths).collect();
        Checked { file: block.file, last: block.last, first: block.first, lines, then: block.then }
    }
}
