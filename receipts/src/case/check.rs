//! Whether a folder still is the case that its line was sealed over: one function for every program that asks.

use std::collections::BTreeSet;

use super::{
    Artifact, CONTRACT, MANIFEST, OUTPUTS, STATE, is_case_path, manifest_digest, parse_manifest,
    root,
};
use crate::digest::Sha256;
use crate::line::Line;

/// The folder of one case as its reader found it.
#[derive(Clone, Copy, Debug)]
pub struct Folder<'a> {
    /// The bytes of ARTIFACTS.sha256; `None` where it is not there.
    pub manifest: Option<&'a [u8]>,
    /// Paths of all files below the folder, with `/` between their parts. Others than those of a case are passed over.
    pub files: &'a [String],
    /// Whether it is the finished case (`cases/`), which has its list, or what a crash left in `runs/`, where the list
    /// may not have been written yet.
    pub finished: bool,
}

/// Something about a case that contradicts its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFault {
    /// The file in the case folder.
    pub file: String,
    /// Line of the list, from 1, where the list itself is at fault.
    pub line: Option<u64>,
    /// Stable name of the claim that fails: `case_list`, `case_file`, `case_extra` or `case_root`.
    pub claim: &'static str,
    /// What is wrong, in words.
    pub detail: String,
}

/// What was found of one case. Without faults it is what its line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaseReport {
    /// Contradictions: the list first, then files by the bytes of their paths, then the bundle's root.
    pub faults: Vec<CaseFault>,
    /// The files that were read.
    pub files: Vec<Artifact>,
}

impl CaseReport {
    fn fault(&mut self, file: &str, claim: &'static str, detail: impl Into<String>) {
        let (file, detail) = (file.to_owned(), detail.into());
        self.faults.push(CaseFault { file, line: None, claim, detail });
    }
}

/// Checks the folder of a case against its line. A line without `artifacts` has no case and nothing is read.
///
/// `measure` gives size and digests of one file of the folder, or `None` where it is not there; it is asked once for
/// each file, in ascending order of the bytes of their paths, and may stream. The rules:
///
/// - ARTIFACTS.sha256 has the digest that the line's `artifacts` says and reads strictly. A finished case has one;
/// - every file it names is there with that SHA-256; contract.json and state.json also have the BLAKE3 of the line;
/// - no file under `outputs/` stands beside those it names;
/// - the tree over the files gives the line's `root_hash`.
///
/// # Errors
/// Whatever `measure` fails with: then nothing can be said about the case.
pub fn check_case<E>(
    line: &Line,
    folder: Folder<'_>,
    measure: &mut dyn FnMut(&str) -> Result<Option<Artifact>, E>,
) -> Result<CaseReport, E> {
    let mut report = CaseReport::default();
    let Some(artifacts) = line.artifacts else { return Ok(report) };
    let sealed = sealed_list(artifacts, folder, &mut report);
    for path in paths(&sealed, folder) {
        let file = measure(&path)?;
        let said = sealed.as_ref().and_then(|list| digest_of(list, &path));
        check_file(line, &path, file.as_ref(), said, sealed.is_some(), &mut report);
        report.files.extend(file);
    }
    if report.faults.iter().all(|fault| fault.file == MANIFEST) {
        check_whole(line, artifacts, &mut report);
    }
    Ok(report)
}

type List = Vec<(String, Sha256)>;

fn digest_of(list: &List, path: &str) -> Option<Sha256> {
    let at = list.binary_search_by(|(known, _)| known.as_bytes().cmp(path.as_bytes())).ok()?;
    Some(list[at].1)
}

/// The list that the line committed to, where the stored one is it.
fn sealed_list(artifacts: Sha256, folder: Folder<'_>, report: &mut CaseReport) -> Option<List> {
    let Some(bytes) = folder.manifest else {
        if folder.finished {
            report.fault(MANIFEST, "case_list", "the list is not there");
        }
        return None;
    };
    if Sha256::of(bytes) != artifacts {
        report.fault(MANIFEST, "case_list", format!("the list is not the sealed one, {artifacts}"));
        return None;
    }
    match parse_manifest(bytes) {
        Ok(list) => Some(list),
        Err(error) => {
            report.fault(MANIFEST, "case_list", error.to_string());
            if let Some(fault) = report.faults.last_mut() {
                fault.line = error.line();
            }
            None
        }
    }
}

/// Every file to look at: what the list names, both documents, and what stands under `outputs/`.
fn paths(sealed: &Option<List>, folder: Folder<'_>) -> BTreeSet<String> {
    let named = sealed.iter().flatten().map(|(path, _)| path.clone());
    let outputs = folder.files.iter().filter(|path| path.starts_with(OUTPUTS)).cloned();
    named.chain(outputs).chain([CONTRACT.to_owned(), STATE.to_owned()]).collect()
}

fn check_file(
    line: &Line,
    path: &str,
    file: Option<&Artifact>,
    said: Option<Sha256>,
    sealed: bool,
    report: &mut CaseReport,
) {
    let Some(file) = file else {
        return report.fault(path, "case_file", "the file is not there");
    };
    if !is_case_path(path) || (sealed && said.is_none()) {
        return report.fault(path, "case_extra", "the sealed case has no such file");
    }
    if said.is_some_and(|said| said != file.sha256) {
        return report.fault(path, "case_file", "the content is not what was sealed");
    }
    let document = match path {
        CONTRACT => Some(line.contract),
        STATE => Some(line.state),
        _ => None,
    };
    if document.is_some_and(|digest| digest != file.blake3) {
        report.fault(path, "case_file", "the content is not what the receipt names");
    }
}

/// Both commitments over all files, each of which was found to be as it should.
fn check_whole(line: &Line, artifacts: Sha256, report: &mut CaseReport) {
    if manifest_digest(&report.files) != artifacts {
        // No list says which file it is: there is none, or it is not the sealed one.
        let detail = "the files together are not those that were sealed";
        return report.fault(OUTPUTS.trim_end_matches('/'), "case_file", detail);
    }
    match root(&report.files) {
        Ok(root) if root == line.root_hash => {}
        Ok(_) => report.fault(MANIFEST, "case_root", "the files do not lead to root_hash"),
        Err(error) => report.fault(MANIFEST, "case_root", error.to_string()),
    }
}
