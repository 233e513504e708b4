//! The files of the case in a proof, held against what the line committed to.

use vm_receipts::bundle;
use vm_receipts::case::{self, Artifact, CONTRACT, STATE};
use vm_receipts::line::Line;

use super::check::place;
use super::{Entry, Proof};
use crate::verdict::Findings;

const BUNDLE: &str = "case_bundle";
const LIST: &str = "case_artifacts";
const DOCUMENTS: &str = "case_documents";
const CONTENT: &str = "case_content";

/// Checks the files of a line that has a case. Gives the entries whose text is what was sealed.
pub(super) fn check<'a>(
    proof: &'a Proof,
    line: &Line,
    findings: &mut Findings,
) -> Vec<(usize, &'a Entry)> {
    if proof.bundle.is_empty() {
        findings.not_checked("case files: contract, state and outputs are not in this proof");
        return Vec::new();
    }
    let whole = proof.bundle.iter().all(|entry| entry.branch.is_none());
    let led = match whole {
        true => check_whole(proof, line, findings),
        false => check_some(proof, line, findings),
    };
    check_documents(proof, line, whole, findings);
    let read = check_contents(proof, findings);
    if led { read } else { Vec::new() }
}

/// A line without a case has no files to name.
pub(super) fn check_none(proof: &Proof, findings: &mut Findings) {
    if !proof.bundle.is_empty() {
        let detail = "the line is a record and has no case, yet the proof names files";
        findings.contradicted(place("/bundle", BUNDLE, None), detail);
    }
}

fn check_whole(proof: &Proof, line: &Line, findings: &mut Findings) -> bool {
    let files: Vec<Artifact> = proof.bundle.iter().map(Entry::artifact).collect();
    let count = files.len();
    let root = match case::root(&files) {
        Ok(root) if root == line.root_hash => true,
        Ok(_) => {
            let detail = "the files do not lead to the line's root_hash";
            findings.contradicted(place("/bundle", BUNDLE, None), detail);
            false
        }
        Err(error) => {
            findings.contradicted(place("/bundle", BUNDLE, None), error.to_string());
            false
        }
    };
    if root {
        findings.holds(BUNDLE, format!("{count} files, all of the case, lead to root_hash"));
    }
    if line.artifacts == Some(case::manifest_digest(&files)) {
        findings.holds(LIST, "their SHA-256 list is the line's artifacts");
    } else {
        let detail = "the list of the files is not the line's artifacts";
        findings.contradicted(place("/bundle", LIST, None), detail);
    }
    root
}

fn check_some(proof: &Proof, line: &Line, findings: &mut Findings) -> bool {
    let mut of = 0;
    for (n, entry) in proof.bundle.iter().enumerate() {
        let led = match &entry.branch {
            None => Err("it has no branch".to_owned()),
            Some(branch) => {
                of = branch.of;
                let (leaf, root) = (entry.leaf(), &line.root_hash);
                bundle::verify_path(&leaf, branch.index, branch.of, &branch.hashes, root)
                    .map_err(|error| error.to_string())
            }
        };
        if let Err(detail) = led {
            let place = place(&format!("/bundle/{n}"), BUNDLE, None);
            findings.contradicted(place, format!("{}: {detail}", entry.path));
            return false;
        }
    }
    let count = proof.bundle.len();
    findings.holds(BUNDLE, format!("{count} of {of} files lead to root_hash"));
    // The tree is over BLAKE3; nothing here binds the SHA-256 of a file but its own text.
    findings.not_checked("artifacts: the SHA-256 list needs all files of the case");
    true
}

/// contract.json and state.json are named twice: in the bundle and in the line.
fn check_documents(proof: &Proof, line: &Line, whole: bool, findings: &mut Findings) {
    let mut held = Vec::new();
    for (path, digest) in [(CONTRACT, line.contract), (STATE, line.state)] {
        let at = proof.bundle.iter().position(|entry| entry.path == path);
        let wrong = match at.map(|at| proof.bundle[at].digest == digest) {
            Some(true) => {
                held.push(path);
                continue;
            }
            None if !whole => continue,
            None => "is not among the files",
            Some(false) => "is not what the line names",
        };
        let member = at.map_or("/bundle".to_owned(), |at| format!("/bundle/{at}"));
        findings.contradicted(place(&member, DOCUMENTS, None), format!("{path} {wrong}"));
        return;
    }
    if !held.is_empty() {
        let detail = format!("{} as the line names them", held.join(", "));
        findings.holds(DOCUMENTS, detail);
    }
}

fn check_contents<'a>(proof: &'a Proof, findings: &mut Findings) -> Vec<(usize, &'a Entry)> {
    let (mut read, mut wrong, mut named) = (Vec::new(), false, 0_usize);
    for (n, entry) in proof.bundle.iter().enumerate() {
        match &entry.content {
            None => named += 1,
            Some(content) if entry.is(content.as_bytes()) => read.push((n, entry)),
            Some(_) => {
                wrong = true;
                let place = place(&format!("/bundle/{n}/content"), CONTENT, None);
                let detail = format!("{}: the text has another size or digest", entry.path);
                findings.contradicted(place, detail);
            }
        }
    }
    if !wrong && !read.is_empty() {
        findings.holds(
            CONTENT,
            match read.len() {
                1 => "the text of 1 file is what was sealed".to_owned(),
                n => format!("the text of {n} files is what was sealed"),
            },
        );
    }
    if named > 0 {
        let files = if named == 1 { "1 file is" } else { &format!("{named} files are") };
        findings.not_checked(format!("case files: {files} named by digest only"));
    }
    read
}
