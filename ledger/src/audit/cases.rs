//! Cases of a home held against the lines that were sealed over them. The rules are those of
//! [`vm_receipts::case::check_case`]; here is only where the files are.

use crate::fs::Fs;
use crate::run::{RunFolder, case_dir, run_dir};
use std::io;
use vm_receipts::case::{self, Artifact, CaseReport, Folder};
use vm_receipts::line::Line;
use vm_scrolls::verdict::{Findings, Place};

/// Most folders below `outputs/`, one in another, that are looked into.
const DEPTH_MAX: usize = 16;

/// Says that so many cases are whole.
pub(crate) fn hold(whole: u64, findings: &mut Findings) {
    if whole > 0 {
        findings.holds(
            "cases",
            match whole {
                1 => "1 case is the files it was sealed over".to_owned(),
                _ => format!("{whole} cases are the files they were sealed over"),
            },
        );
    }
}

/// Checks the case of a call by the first of its lines; `true` when it is whole.
pub(super) fn check(fs: &dyn Fs, line: &Line, findings: &mut Findings) -> bool {
    let case = case_dir(&line.scroll, &line.id);
    let run = run_dir(&line.scroll, &line.id);
    // A crash between the receipt and the move leaves the folder where the run worked.
    let there = |dir: &str| fs.list(dir).is_ok_and(|names| !names.is_empty());
    let (dir, finished) = match (there(&case), there(&run)) {
        (false, true) => (run, false),
        (true, _) => (case, true),
        (false, false) => {
            findings.undecided("case_present", format!("{case} is not there"));
            return false;
        }
    };
    match report(fs, line, &dir, finished) {
        Ok(report) => {
            for fault in &report.faults {
                let place = Place {
                    file: format!("{dir}/{}", fault.file),
                    line: fault.line,
                    byte: None,
                    claim: fault.claim.to_owned(),
                };
                findings.contradicted(place, fault.detail.clone());
            }
            report.faults.is_empty()
        }
        Err((path, e)) => {
            findings.undecided("case_readable", format!("{path}: {e}"));
            false
        }
    }
}

type Unread = (String, io::Error);

fn report(fs: &dyn Fs, line: &Line, dir: &str, finished: bool) -> Result<CaseReport, Unread> {
    let list = format!("{dir}/{}", case::MANIFEST);
    let too_long =
        fs.len(&list).is_ok_and(|len| len.is_some_and(|len| len > case::MANIFEST_BYTES_MAX as u64));
    let manifest = match fs.read(&list) {
        // Its digest is another anyway, and a longer one is not read whole.
        _ if too_long => Some(Vec::new()),
        Ok(bytes) => Some(bytes),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err((list, e)),
    };
    let mut files = Vec::new();
    below(fs, dir, "outputs", DEPTH_MAX, &mut files).map_err(|e| (format!("{dir}/outputs"), e))?;
    let folder = Folder { manifest: manifest.as_deref(), files: &files, finished };
    let files_of = RunFolder::new(fs, dir);
    case::check_case(line, folder, &mut |path| {
        let path_in_home = format!("{dir}/{path}");
        let found = files_of.measure_io(path).map_err(|e| (path_in_home, e))?;
        Ok(found
            .and_then(|output| crate::run::artifact(&output))
            .map(|a| Artifact { path: path.to_owned(), ..a }))
    })
}

/// Paths of all files under a folder of the case.
fn below(
    fs: &dyn Fs,
    dir: &str,
    inside: &str,
    depth: usize,
    files: &mut Vec<String>,
) -> io::Result<()> {
    for name in fs.list(&format!("{dir}/{inside}"))? {
        let path = format!("{inside}/{name}");
        match fs.regular(&format!("{dir}/{path}")) {
            Ok(_) => files.push(path),
            Err(e) if e.kind() != io::ErrorKind::InvalidInput || depth == 0 => return Err(e),
            // A folder is looked into; a link or a pipe is a file that cannot be read.
            Err(_) => match below(fs, dir, &path, depth - 1, files) {
                Err(e) if e.kind() == io::ErrorKind::NotADirectory => files.push(path),
                other => other?,
            },
        }
    }
    Ok(())
}
