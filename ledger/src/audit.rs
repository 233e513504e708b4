//! `vm verify` of a whole home: every line from its bytes, every signature, every root. Nothing is believed because
//! it stands in an index or was checked before, and nothing is written.

mod alone;
mod blocks;
mod cases;
mod once;
mod walk;

use crate::fs::Fs;
use crate::guard::{Guard, SIGNED_STATE};
use crate::segments::scroll_dir;
use crate::writer::root_path;
use std::collections::BTreeSet;
use std::io;
use vm_contracts::{Failure, Fault};
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Note;
use vm_scrolls::trust::Trust;
use vm_scrolls::verdict::{Findings, Outcome, Place, Verdict};
use walk::{Stop, Walk, Walked};

/// Longest ROOT file that is read.
const ROOT_BYTES_MAX: u64 = vm_scrolls::note::NOTE_BYTES_MAX as u64;

/// Called with scroll, lines done, lines in all (as far as known).
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// Verifies every scroll of a home against keys from outside it.
pub fn verify_home(fs: &dyn Fs, trust: &Trust, progress: Progress<'_>) -> Verdict {
    verify_signed(fs, trust, said_signed(fs).as_ref(), progress)
}

/// The same, where the caller knows how far the ledger had signed.
pub(crate) fn verify_signed(
    fs: &dyn Fs,
    trust: &Trust,
    signed: Option<&Guard>,
    progress: Progress<'_>,
) -> Verdict {
    let mut findings = Findings::new();
    if let Some(quorum) = trust.unevaluated_quorum() {
        findings.undecided("witness_quorum", quorum);
    }
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
    let mut found = Found::default();
    for scroll in &scrolls {
        let audit = Audit { fs, trust, scroll, signed };
        if let Some(total) = audit.run(&mut findings, &mut found, progress) {
            totals.push(total);
        }
    }
    let Found { ledgers, cases, whole_cases, case_findings } = found;
    missing_scrolls(&mut findings, &scrolls, signed, trust);
    if ledgers.len() > 1 {
        let place = at_file("receipts", "one_ledger");
        findings.contradicted(
            place,
            format!("the scrolls belong to {} different ledgers", ledgers.len()),
        );
    }
    findings.extend(case_findings);
    cases::hold(whole_cases, &mut findings);
    if cases > 0 {
        let word = if cases == 1 { "case" } else { "cases" };
        totals.push(format!("{cases} {word}"));
    }
    findings.not_checked("anchors: none are known, so nothing outside vouches for the end of a scroll; an older copy of this home, whole in itself, looks the same");
    findings.not_checked("the rules of the engines: that the receipts were rightly decided");
    let about = if totals.is_empty() { "the home".to_owned() } else { totals.join("; ") };
    findings.verdict(&about, trust.self_asserted)
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

/// signed-state as it stands in the home. It is nobody's evidence, but it must not say more than the lines show.
fn said_signed(fs: &dyn Fs) -> Option<Guard> {
    fs.read(SIGNED_STATE).ok().and_then(|bytes| Guard::parse(&bytes).ok())
}

/// Scrolls that something here speaks of, and that are not here.
fn missing_scrolls(
    findings: &mut Findings,
    found: &BTreeSet<String>,
    signed: Option<&Guard>,
    trust: &Trust,
) {
    let scroll_of = |origin: &str| origin.rsplit('/').next().unwrap_or(origin).to_owned();
    for (origin, signed) in signed.into_iter().flat_map(Guard::origins) {
        if !found.contains(&scroll_of(origin)) {
            let place = at_file(SIGNED_STATE, "scroll_present");
            findings.contradicted(
                place,
                format!(
                    "{origin} was signed up to {} lines, and nothing of it is here",
                    signed.size
                ),
            );
        }
    }
    for log in trust.logs.iter().filter(|log| !found.contains(&scroll_of(&log.name))) {
        findings.not_checked(format!(
            "{}: the trust file names it, and there is nothing of it here",
            log.name
        ));
    }
}

/// Names of all scrolls that have lines or a ROOT.
pub fn scrolls(fs: &dyn Fs) -> io::Result<BTreeSet<String>> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for name in fs.list("receipts")? {
        match fs.list(&scroll_dir(&name)) {
            Ok(files) if files.is_empty() => {}
            Ok(_) => {
                names.insert(name);
            }
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {}
            Err(e) => return Err(e),
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

/// A ROOT of a log that the trust file does not know; the lines decide what that means.
struct Stranger {
    origin: String,
    place: Place,
    detail: String,
}

/// What the scrolls speak of beyond their own lines.
#[derive(Default)]
struct Found {
    ledgers: BTreeSet<String>,
    /// Calls that have a case, those whose files are what they were sealed over, and what was found there.
    cases: u64,
    whole_cases: u64,
    case_findings: Findings,
}

struct Audit<'a> {
    fs: &'a dyn Fs,
    trust: &'a Trust,
    scroll: &'a str,
    signed: Option<&'a Guard>,
}

impl Audit<'_> {
    /// Checks one scroll; says in a few words how far it was verified.
    fn run(
        &self,
        findings: &mut Findings,
        found: &mut Found,
        progress: Progress<'_>,
    ) -> Option<String> {
        let scroll = self.scroll;
        let (root, stranger) = match self.root(findings) {
            Ok(root) => (root, None),
            Err(stranger) => (None, Some(stranger)),
        };
        let suffix = format!("/{scroll}");
        let said = self.signed.into_iter().flat_map(Guard::origins);
        let said = said.filter(|(origin, _)| origin.ends_with(&suffix)).map(|(_, s)| s.size);
        let covered = root.as_ref().map(|c| c.size);
        let sizes: Vec<u64> = said.chain(covered).collect();
        let (mut walked, stop) = self.walk(covered, &sizes, progress);
        found.ledgers.extend(walked.ledger.clone());
        found.cases += walked.cases;
        found.whole_cases += walked.whole_cases;
        found.case_findings.extend(std::mem::take(&mut walked.case_findings));
        // The lines name another log than the trust file does: that is a missing key, not a changed file.
        match stranger {
            Some(stranger) if walked.origin.as_ref() == Some(&stranger.origin) => findings
                .undecided(
                    "root_signed",
                    format!("the trust file holds no log key for {}", stranger.origin),
                ),
            Some(stranger) => findings.contradicted(stranger.place, stranger.detail),
            None => {}
        }
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
            // What cannot be read contradicts nothing; it only cannot be judged.
            match stop.place.claim == walk::READABLE {
                true => findings
                    .undecided(walk::READABLE, format!("{}: {}", stop.place.file, stop.detail)),
                false => findings.contradicted(stop.place, stop.detail),
            }
            return None;
        }
        findings.holds(
            "lines",
            format!("{scroll}: {intact} lines are canonical, in order, chained and sealed"),
        );
        if let Some(unfinished) = &walked.unfinished {
            findings.not_checked(format!("{scroll}: {unfinished}; it is above what is signed, as a write in progress or a crash leaves it"));
        }
        self.compare_signed(findings, &walked, root.as_ref());
        self.compare(findings, &walked, root?)
    }

    /// Goes through the lines; once more, to stop at it, where an id turns out to have been used before.
    fn walk(
        &self,
        covered: Option<u64>,
        sizes: &[u64],
        progress: Progress<'_>,
    ) -> (Walked, Option<Stop>) {
        let mut walk = Walk::new(self, covered, sizes, None);
        let mut ended = walk.all(progress);
        match walk.repeated_id() {
            Ok(None) => {}
            Ok(repeated) => {
                walk = Walk::new(self, covered, sizes, repeated);
                ended = walk.all(progress);
            }
            Err(stop) => ended = ended.and(Err(stop)),
        }
        (walk.done(), ended.err())
    }

    /// The home's own signed-state must not reach further than the lines.
    fn compare_signed(&self, findings: &mut Findings, walked: &Walked, root: Option<&Checkpoint>) {
        // Without a ROOT only the lines say which log they are of.
        let Some(origin) = root.map(|r| &r.origin).or(walked.origin.as_ref()) else { return };
        let covered = root.map_or(0, |r| r.size);
        let signed = self.signed.and_then(|guard| guard.get(origin));
        let Some(signed) = signed.filter(|s| s.size > covered) else { return };
        if walked.roots.get(&signed.size) != Some(&Some(signed.root)) {
            let detail = format!(
                "{origin} was signed up to {} lines; those here do not reach that far, or not with that root",
                signed.size
            );
            findings.contradicted(at_file(SIGNED_STATE, "lines_reach_signed_state"), detail);
        }
    }

    /// Reads ROOT and checks who signed it; `None` when that leaves nothing to compare with.
    fn root(&self, findings: &mut Findings) -> Result<Option<Checkpoint>, Box<Stranger>> {
        let path = root_path(self.scroll);
        let suffix = format!("/{}", self.scroll);
        if !self.trust.logs.iter().any(|log| log.name.ends_with(&suffix)) {
            findings.undecided(
                "root_signed",
                format!("the trust file holds no log key for an origin that ends in {suffix}"),
            );
            return Ok(None);
        }
        if self.fs.len(&path).is_ok_and(|len| len.is_some_and(|len| len > ROOT_BYTES_MAX)) {
            findings.contradicted(
                at_file(&path, "root_signed"),
                format!("it has more than {ROOT_BYTES_MAX} bytes"),
            );
            return Ok(None);
        }
        let bytes = match self.fs.read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                findings.undecided(
                    "root_present",
                    format!("{path} is not there, so no signed root covers {}", self.scroll),
                );
                return Ok(None);
            }
            Err(e) => {
                findings.undecided("root_present", format!("{path} cannot be read: {e}"));
                return Ok(None);
            }
        };
        match Checkpoint::open(&bytes, &self.trust.logs) {
            Ok((checkpoint, _)) if !checkpoint.origin.ends_with(&suffix) => {
                let place = Place { line: Some(1), byte: Some(0), ..at_file(&path, "root_origin") };
                findings.contradicted(
                    place,
                    format!("it is signed for {:?}, not for {}", checkpoint.origin, self.scroll),
                );
                Ok(None)
            }
            Ok((checkpoint, _)) => {
                findings.holds(
                    "root_signed",
                    format!(
                        "{path}: signed by {} for {} lines",
                        checkpoint.origin, checkpoint.size
                    ),
                );
                Ok(Some(checkpoint))
            }
            Err(e) => {
                let place =
                    Place { line: e.line(), byte: e.byte(), ..at_file(&path, "root_signed") };
                let said = Note::parse(&bytes).ok();
                let said = said.and_then(|note| Checkpoint::parse_body(&note.text).ok());
                let known = |origin: &String| self.trust.logs.iter().any(|log| log.name == *origin);
                match said.map(|c| c.origin).filter(|origin| !known(origin)) {
                    Some(origin) => {
                        Err(Box::new(Stranger { origin, place, detail: e.to_string() }))
                    }
                    // There is a key for this log, so a ROOT it did not sign is not this log's.
                    None => {
                        findings.contradicted(place, e.to_string());
                        Ok(None)
                    }
                }
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
            if let Some(last) = walked.size.checked_sub(1) {
                findings.provable(format!(
                    "{scroll}/0 to {scroll}/{last}: each line is sealed and chained"
                ));
            }
            let place = Place { line: Some(2), ..place("root_covers_lines") };
            findings.contradicted(place, format!("it is signed for {} lines, but only {} are there: {} were removed from the end", root.size, walked.size, root.size - walked.size));
            return None;
        }
        if walked.roots.get(&root.size) != Some(&Some(root.root)) {
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

#[cfg(test)]
mod tests;
