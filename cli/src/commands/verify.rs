//! `vm verify`: a home, a case, a proof, or a tlog-proof with its line. Needs no home of its own, no network and no
//! secret.

mod beside;

use crate::answer::verdict;
use crate::commands::prove::line_path;
use crate::commands::text;
use crate::config;
use crate::exit::{self, Stop};
use crate::screen::{Progress, Screen};
use crate::session::Session;
use clap::ArgMatches;
use std::path::Path;
use vm_contracts::{Refusal, Value};
use vm_ledger::audit::{self_asserted_trust, verify_home};
use vm_ledger::fs::Disk;
use vm_receipts::private::Disclosure;
use vm_scrolls::proof::{FILE_NAME, Proof, verify, verify_bytes};
use vm_scrolls::tlog_proof::{HEADER, TlogProof};
use vm_scrolls::trust::Trust;
use vm_scrolls::verdict::{Findings, Outcome, Place, Verdict};

/// Prints the verdict; its exit code is the command's.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let target = match text(given, "target") {
        Some(target) => target.to_owned(),
        None => config::home(&session.flags)?.0.display().to_string(),
    };
    let Judged { verdict, private } = judge(&mut session.screen, &target, given)?;
    let whole = Path::new(&target).is_dir() && !is_case(Path::new(&target));
    let keyless = text(given, "trust").is_none() && !whole;
    if keyless && !session.screen.json && verdict.outcome == Outcome::CannotEvaluate {
        session.screen.note("no keys were given; --trust FILE names the public keys to believe");
    }
    verdict::print(&mut session.screen, &verdict, &private)?;
    Ok(verdict.exit_code())
}

/// A verdict, and the private values that a proof opens, by name.
struct Judged {
    verdict: Verdict,
    private: Vec<(String, Value)>,
}

impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, private: Vec::new() }
    }
}

/// Whether the directory is the folder of one case, and not a home.
fn is_case(dir: &Path) -> bool {
    dir.join(FILE_NAME).is_file() && !dir.join("receipts").is_dir()
}

fn judge(screen: &mut Screen<'_>, target: &str, given: &ArgMatches) -> Result<Judged, Stop> {
    let path = Path::new(target);
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => {
            return Ok(ended(Outcome::Absent, target, &format!("there is no {target}")).into());
        }
        // Something may be there that this user may not see.
        Err(e) => {
            let why = format!("{target} cannot be looked at: {e}");
            return Ok(ended(Outcome::CannotEvaluate, target, &why).into());
        }
    }
    if path.join("contract.json").is_file() && path.join("state.json").is_file() && !is_case(path) {
        let why = match path.join("ARTIFACTS.sha256").is_file() {
            true => format!(
                "{target} is a case, and its PROOF.json is missing; ask for it, or verify the home it is from"
            ),
            false => format!(
                "{target} is an open run: it has no receipt yet, so nothing says what its files must be"
            ),
        };
        return Ok(ended(Outcome::CannotEvaluate, target, &why).into());
    }
    let trust = match text(given, "trust") {
        Some(file) if !Path::new(file).exists() => {
            return Ok(ended(
                Outcome::CannotEvaluate,
                target,
                &format!("the trust file {file} is not there"),
            )
            .into());
        }
        Some(file) => Some(trust(screen, file)?),
        None => None,
    };
    let artifacts: Vec<&String> = given.get_many("artifact").unwrap_or_default().collect();
    let proof_file = path.join(FILE_NAME).display().to_string();
    let target = match path.is_dir() {
        true if is_case(path) => &proof_file,
        true if artifacts.is_empty() => return Ok(home(screen, path, trust).into()),
        true => {
            let what = "--artifact goes with a proof or a case, not with a home";
            return Err(Refusal::malformed("bad_usage", what).field("artifact").into());
        }
        false => target,
    };
    let bytes = screen.take_in(target)?;
    let trust = trust.unwrap_or_default();
    if !bytes.starts_with(HEADER.as_bytes()) {
        return Ok(proof(&bytes, &trust, target, &artifacts));
    }
    let line = text(given, "line").map_or_else(|| line_path(target), str::to_owned);
    let mut verdict = tlog(screen, target, &bytes, &line, &trust)?;
    for artifact in artifacts {
        beside::unknown(&mut verdict, format!("{artifact}: a tlog-proof names no files"));
    }
    Ok(verdict.into())
}

/// A PROOF.json, the files of its case beside it, and those that the command line names.
fn proof(bytes: &[u8], trust: &Trust, target: &str, artifacts: &[&String]) -> Judged {
    let Ok(proof) = Proof::parse(bytes) else {
        return named(verify_bytes(bytes, trust), target).into();
    };
    let mut verdict = named(verify(&proof, trust), target);
    let private = opened(&verdict, &proof);
    let dir = Path::new(target).parent().unwrap_or(Path::new(""));
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    beside::compare(&mut verdict, &proof, dir);
    artifacts.iter().for_each(|word| beside::compare_one(&mut verdict, &proof, word));
    Judged { verdict, private }
}

/// The verdict over the folder of a case, as `vm verify` of it gives.
pub fn case_verdict(dir: &Path, trust: &Trust) -> Result<Verdict, Stop> {
    let target = dir.join(FILE_NAME).display().to_string();
    let bytes = std::fs::read(&target).map_err(|e| exit::unreadable(&target, &e))?;
    Ok(proof(&bytes, trust, &target, &[]).verdict)
}

/// What the proof opens, under the names the check gave it; nothing where the proof itself is contradicted.
fn opened(verdict: &Verdict, proof: &Proof) -> Vec<(String, Value)> {
    if verdict.outcome == Outcome::Tampered {
        return Vec::new();
    }
    let values = proof.disclosures.iter().filter_map(|text| Disclosure::parse(text).ok());
    let values = values.map(|disclosure| disclosure.value().clone());
    verdict.disclosed.iter().cloned().zip(values).collect()
}

/// A verdict before anything could be looked at.
fn ended(outcome: Outcome, target: &str, why: &str) -> Verdict {
    let mut findings = Findings::new();
    findings.undecided("target", why);
    findings.not_checked(format!("{target}: nothing of it was looked at"));
    let mut verdict = findings.verdict(target, false);
    verdict.outcome = outcome;
    verdict.summary = format!("{}: {why}", outcome.as_str());
    verdict
}

/// Reads the keys to believe.
pub fn trust(screen: &mut Screen<'_>, file: &str) -> Result<Trust, Stop> {
    let bytes = screen.take_in(file)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Refusal::malformed("trust_malformed", format!("{file} is not UTF-8 text")))?;
    Ok(Trust::parse(&text).map_err(|e| exit::trust(&e, file))?)
}

fn home(screen: &mut Screen<'_>, path: &Path, trust: Option<Trust>) -> Verdict {
    // Verifying reads nothing of the guard; a path that is not there says so if that ever changes.
    let disk = Disk::new(path, path.join("no-guard"));
    let trust = match trust.map_or_else(|| self_asserted_trust(&disk), Ok) {
        Ok(trust) => trust,
        Err(e) => {
            let target = path.display().to_string();
            return ended(Outcome::CannotEvaluate, &target, &e.to_string());
        }
    };
    let mut progress = Progress::new(screen.live);
    let err = &mut *screen.err;
    let verdict = verify_home(&disk, &trust, &mut |scroll, done, total| {
        progress.step(err, scroll, done, total)
    });
    progress.end(screen.err);
    verdict
}

/// A tlog-proof and its line are the parts of a PROOF.json; they are judged as one.
fn tlog(
    screen: &mut Screen<'_>,
    target: &str,
    bytes: &[u8],
    line: &str,
    trust: &Trust,
) -> Result<Verdict, Stop> {
    let proof = match TlogProof::parse(bytes) {
        Ok(proof) => proof,
        Err(e) => {
            let mut findings = Findings::new();
            let (line, byte) = match &e {
                vm_scrolls::tlog_proof::TlogProofError::Malformed { line, byte, .. } => {
                    (Some(*line), Some(*byte))
                }
                _ => (None, None),
            };
            let place =
                Place { file: target.to_owned(), line, byte, claim: "proof_readable".into() };
            findings.contradicted(place, e.to_string());
            return Ok(findings.verdict("a tlog-proof", trust.self_asserted));
        }
    };
    if !Path::new(line).exists() {
        return Ok(ended(
            Outcome::CannotEvaluate,
            target,
            &format!("the receipt line {line} is not there"),
        ));
    }
    let text = screen.take_in(line)?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let text = match std::str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(e) => {
            let mut findings = Findings::new();
            let place = Place {
                file: line.to_owned(),
                line: Some(1),
                byte: Some(e.valid_up_to() as u64),
                claim: "line_canonical".into(),
            };
            findings.contradicted(place, "the line is not UTF-8");
            return Ok(findings.verdict("one receipt", trust.self_asserted));
        }
    };
    let mut verdict = verify(&Proof::new(text, proof.index, proof.hashes, proof.checkpoint), trust);
    if let Some(place) = &mut verdict.first_bad {
        let member = place.file.strip_prefix(FILE_NAME).unwrap_or_default();
        place.file = if member == "#/line" { line.to_owned() } else { target.to_owned() };
    }
    if proof.extra.is_some() {
        verdict.not_checked.push("the extra data of the tlog-proof: nothing vouches for it".into());
    }
    Ok(verdict)
}

/// Puts the name the caller used into the place.
fn named(mut verdict: Verdict, target: &str) -> Verdict {
    if let Some(place) = &mut verdict.first_bad {
        let member = place.file.strip_prefix(FILE_NAME).map(str::to_owned).unwrap_or_default();
        place.file = format!("{target}{member}");
    }
    verdict
}
