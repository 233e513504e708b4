//! The check of a `PROOF.json` against a trust file: claim by claim, each with its place.

use vm_receipts::key::PublicKey;
use vm_receipts::line::{self, Line};

use super::{Entry, FILE_NAME, Proof, ProofFileError, case_files, opened};
use crate::checkpoint::Checkpoint;
use crate::tree::{self, Hash};
use crate::trust::Trust;
use crate::verdict::{Findings, Place, Verdict};

/// Checks a proof file. Bytes that are no proof are tampered; a newer version cannot be evaluated.
#[must_use]
pub fn verify_bytes(bytes: &[u8], trust: &Trust) -> Verdict {
    match Proof::parse(bytes) {
        Ok(proof) => verify(&proof, trust),
        Err(e) => {
            let mut findings = Findings::new();
            if matches!(e, ProofFileError::Unsupported { .. }) {
                findings.undecided("proof_readable", e.to_string());
            } else {
                let mut place = place("", "proof_readable", e.byte());
                place.file = FILE_NAME.to_owned();
                findings.contradicted(place, e.to_string());
            }
            findings.verdict("a proof file", trust.self_asserted)
        }
    }
}

/// Checks a proof against what the verifier trusts; needs no home, no network and no secret.
#[must_use]
pub fn verify(proof: &Proof, trust: &Trust) -> Verdict {
    let mut findings = Findings::new();
    let line = check_line(proof, &mut findings);
    if let Some(line) = &line {
        check_issuer(proof, line, trust, &mut findings);
        let read = check_digests(proof, line, &mut findings);
        opened::check(proof, line, &read, &mut findings);
    } else if !proof.bundle.is_empty() || !proof.disclosures.is_empty() {
        findings.not_checked("case files and disclosures: the line they belong to does not read");
    }
    let checkpoint = check_checkpoint(proof, trust, &mut findings);
    if let Some(checkpoint) = &checkpoint {
        check_inclusion(proof, checkpoint, &mut findings);
    }
    if let Some(line) = &line {
        check_place(proof, line, checkpoint.as_ref(), &mut findings);
        check_prev(proof, line, checkpoint.as_ref(), &mut findings);
    }
    if let Some(quorum) = trust.unevaluated_quorum() {
        findings.undecided("witness_quorum", quorum);
    }
    not_checked(line.as_ref(), trust, &mut findings);
    let about = match &line {
        Some(line) => format!("receipt {} of scroll {:?}", line.seq, line.scroll),
        None => "one receipt".to_owned(),
    };
    findings.verdict(&about, trust.self_asserted)
}

pub(super) fn place(member: &str, claim: &str, byte: Option<u64>) -> Place {
    Place { file: format!("{FILE_NAME}#{member}"), line: None, byte, claim: claim.to_owned() }
}

fn check_line(proof: &Proof, findings: &mut Findings) -> Option<Line> {
    match Line::parse(proof.line.as_bytes()) {
        Ok(line) => {
            findings.holds("line_canonical", "the line is canonical and has the form of a receipt");
            Some(line)
        }
        Err(e) => {
            let place = place("/line", "line_canonical", Some(e.at as u64));
            findings.contradicted(place, e.to_string());
            None
        }
    }
}

fn check_issuer(proof: &Proof, line: &Line, trust: &Trust, findings: &mut Findings) {
    let name = "issuer_signature";
    let issuer = &line.issuer;
    let key = match PublicKey::from_did(issuer) {
        Ok(key) => key,
        Err(e) => {
            return findings.contradicted(place("/line", name, None), format!("{issuer}: {e}"));
        }
    };
    if let Err(e) = line::verify_proof(proof.line.as_bytes(), &key) {
        return findings.contradicted(place("/line", name, Some(e.at as u64)), e.to_string());
    }
    findings.provable(format!("the line was signed by {issuer}"));
    if trust.has_issuer(&key) {
        findings.holds(name, format!("signed by {issuer}"));
    } else {
        findings.undecided(name, format!("issuer key not in trust: {issuer}"));
    }
}

/// What the line's digests commit to. Gives the files whose text was found to be what was sealed.
fn check_digests<'a>(
    proof: &'a Proof,
    line: &Line,
    findings: &mut Findings,
) -> Vec<(usize, &'a Entry)> {
    if line.artifacts.is_some() {
        return case_files::check(proof, line, findings);
    }
    check_record(line, findings);
    case_files::check_none(proof, findings);
    Vec::new()
}

fn check_record(line: &Line, findings: &mut Findings) {
    let name = "record_digests";
    let (contract, state, root) = line::record_digests(line);
    let wrong = if contract != line.contract {
        "contract"
    } else if state != line.state {
        "state"
    } else if root != line.root_hash {
        "root_hash"
    } else {
        return findings.holds(name, "contract, state and bundle hash follow from the line");
    };
    findings
        .contradicted(place("/line", name, None), format!("{wrong} does not follow from the line"));
}

fn check_checkpoint(proof: &Proof, trust: &Trust, findings: &mut Findings) -> Option<Checkpoint> {
    let name = "checkpoint_signature";
    match Checkpoint::open(proof.checkpoint.as_bytes(), &trust.logs) {
        Ok((checkpoint, _)) => {
            let Checkpoint { origin, size, .. } = &checkpoint;
            findings.holds(name, format!("{origin}, size {size}, signed by its trusted log key"));
            findings.provable(format!("the checkpoint of {origin:?} at size {size} is signed"));
            Some(checkpoint)
        }
        Err(e) if e.is_missing_key() => {
            findings.undecided(name, format!("log key not in trust: {e}"));
            // What the note says is still compared, so that a contradiction inside the proof shows.
            let note = crate::note::Note::parse(proof.checkpoint.as_bytes()).ok()?;
            Checkpoint::parse_body(&note.text).ok()
        }
        Err(e) => {
            let place = Place { line: e.line(), ..place("/checkpoint", name, e.byte()) };
            findings.contradicted(place, e.to_string());
            None
        }
    }
}

fn check_inclusion(proof: &Proof, checkpoint: &Checkpoint, findings: &mut Findings) {
    let name = "inclusion";
    let leaf = tree::leaf_hash(proof.line.as_bytes());
    let index = proof.inclusion.index;
    let Checkpoint { size, root, .. } = checkpoint;
    match tree::verify_inclusion(&leaf, index, *size, &proof.inclusion.hashes, root) {
        Ok(()) => {
            findings.holds(name, format!("leaf {index} of {size} under the checkpoint's root"))
        }
        Err(e) => findings.contradicted(place("/inclusion", name, None), e.to_string()),
    }
}

fn check_place(
    proof: &Proof,
    line: &Line,
    checkpoint: Option<&Checkpoint>,
    findings: &mut Findings,
) {
    let index = proof.inclusion.index;
    if line.seq == index {
        findings.holds("seq_is_index", format!("seq {index} is the leaf index"));
    } else {
        let detail = format!("seq is {}, the leaf index is {index}", line.seq);
        findings.contradicted(place("/line", "seq_is_index", None), detail);
    }
    let Some(checkpoint) = checkpoint else { return };
    let (origin, scroll) = (&checkpoint.origin, &line.scroll);
    if origin.rsplit_once('/').is_some_and(|(_, last)| last == scroll) {
        findings.holds("origin_is_scroll", format!("{origin:?} is scroll {scroll:?}"));
    } else {
        let detail = format!("the line is of scroll {scroll:?}, the checkpoint of {origin:?}");
        findings.contradicted(place("/checkpoint", "origin_is_scroll", None), detail);
    }
}

/// The left siblings of an inclusion path are the peaks of everything before the leaf, so the root that
/// the line's `prev` names can be recomputed when its batch begins with this line.
fn check_prev(
    proof: &Proof,
    line: &Line,
    checkpoint: Option<&Checkpoint>,
    findings: &mut Findings,
) {
    let name = "prev";
    let prev = &line.prev;
    let bad = |detail: String, findings: &mut Findings| {
        findings.contradicted(place("/line", name, None), detail);
    };
    if prev.size > line.seq {
        return bad(format!("prev.size {} is after seq {}", prev.size, line.seq), findings);
    }
    let first_of_batch = prev.size == line.seq && line.seq == proof.inclusion.index;
    let size = checkpoint.filter(|_| first_of_batch).map(|checkpoint| checkpoint.size);
    let expected: Option<Hash> = match size {
        _ if prev.size == 0 => Some(tree::empty_root()),
        Some(size) => Some(tree::root_before(line.seq, size, &proof.inclusion.hashes)),
        None => None,
    };
    match expected {
        Some(root) if root == prev.root => {
            findings.holds(name, format!("the line commits to the {} before it", prev.size));
        }
        Some(_) => {
            bad(format!("prev.root is not the root of the first {} lines", prev.size), findings)
        }
        None => findings.not_checked(format!(
            "prev: the root at size {} is the issuer's word here; the scroll's lines would show it",
            prev.size
        )),
    }
}

fn not_checked(line: Option<&Line>, trust: &Trust, findings: &mut Findings) {
    match line.map(|line| line.actor_proof.is_some()) {
        Some(true) => findings
            .not_checked("actor: its actor_proof needs the ledger id, which is not in this proof"),
        _ => findings.not_checked("actor: the node's word (no actor_proof)"),
    }
    findings.not_checked("time: the node's word (its clock)");
    findings.not_checked("anchors: none");
    findings.not_checked("nothing outside vouches for the end of the scroll");
    if !trust.witnesses.is_empty() {
        findings.not_checked("witness cosignatures on the checkpoint");
    }
    if trust.self_asserted {
        findings.not_checked("whose keys these are: they come from the home itself");
    }
}
