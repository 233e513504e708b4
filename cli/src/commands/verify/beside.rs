//! Files of a case held against its proof: those that stand beside it, and those named on the command line.

use std::path::{Path, PathBuf};
use vm_contracts::{Failure, Output};
use vm_ledger::fs::{Disk, Fs};
use vm_ledger::run::RunFolder;
use vm_receipts::case::{
    Artifact, CONTRACT, CaseFault, Folder, MANIFEST, PrivateOutput, check_case,
};
use vm_receipts::line::Line;
use vm_scrolls::proof::{Entry, Proof};
use vm_scrolls::verdict::{Claim, Outcome, Place, Verdict};

const FILE: &str = "case_file";
const FILES: &str = "case_files";
/// How the proof's own check says that it saw digests alone.
const BY_DIGEST: &str = "named by digest only";

/// Compares the files in the folder of the proof with it. Nothing is said where none of them is there.
pub fn compare(verdict: &mut Verdict, proof: &Proof, dir: &Path) {
    let Ok(line) = Line::parse(proof.line.as_bytes()) else { return };
    if line.artifacts.is_none() || proof.bundle.is_empty() {
        return;
    }
    let disk = Disk::new(dir, dir.join("no-guard"));
    let case = Here { dir, folder: RunFolder::new(&disk, "."), disk: &disk };
    let done = match disk.read(MANIFEST) {
        Ok(manifest) => case.whole(verdict, &line, &manifest),
        Err(_) => case.some(verdict, proof),
    };
    if let Err(failure) = done {
        open(verdict, FILES, format!("the files beside the proof cannot be read: {failure}"));
    }
}

struct Here<'a> {
    dir: &'a Path,
    folder: RunFolder<'a>,
    disk: &'a Disk,
}

impl Here<'_> {
    /// A folder with its list of files says that it is the whole case, so what is gone is missed too.
    fn whole(&self, verdict: &mut Verdict, line: &Line, manifest: &[u8]) -> Result<(), Failure> {
        let files = self.outputs();
        let folder = Folder { manifest: Some(manifest), files: &files, finished: true };
        let mut odd = Vec::new();
        let report = check_case(line, folder, &mut |path| self.measure(path, &mut odd))?;
        for CaseFault { file, line, claim, detail } in &report.faults {
            let detail = odd.iter().find(|(path, _)| path == file).map_or(detail, |(_, why)| why);
            let place = self.place(file, claim, *line);
            break_claim(verdict, place, format!("{file}: {detail}"));
        }
        verdict.not_checked.retain(|what| !what.ends_with(BY_DIGEST));
        if report.faults.is_empty() {
            let count = report.files.len();
            hold(
                verdict,
                FILES,
                format!("all files of the case, {count}, are those that were sealed"),
            );
        }
        Ok(())
    }

    /// Some files of a case: those that are there are compared.
    fn some(&self, verdict: &mut Verdict, proof: &Proof) -> Result<(), Failure> {
        let (mut same, mut absent, mut odd) = (0, Vec::new(), Vec::new());
        let before = verdict.claims.len();
        for entry in &proof.bundle {
            let path = entry.path.as_str();
            match self.measure(path, &mut odd)? {
                Some(file) if file == entry.artifact() => same += 1,
                Some(_) if path == CONTRACT && self.is_handed_out(entry) => same += 1,
                Some(_) if path == CONTRACT && self.is_of_another(proof) => absent.push(path),
                Some(_) => {
                    let what = format!("{path}: the content is not what was sealed");
                    break_claim(verdict, self.place(path, FILE, None), what);
                }
                None if entry.content.is_none() => absent.push(path),
                None => {}
            }
        }
        for (path, why) in odd {
            break_claim(verdict, self.place(&path, FILE, None), format!("{path}: {why}"));
        }
        let is_any = same > 0 || verdict.claims.len() > before;
        if !is_any {
            return Ok(());
        }
        verdict.not_checked.retain(|what| !what.ends_with(BY_DIGEST));
        if !absent.is_empty() {
            verdict
                .not_checked
                .push(format!("case files that are not here: {}", absent.join(", ")));
        }
        let named = |path: &String| proof.artifact(path).is_some();
        for path in self.outputs().into_iter().filter(|path| !named(path)) {
            verdict.not_checked.push(format!("{path}: the proof names no such file"));
        }
        if same > 0 {
            hold(
                verdict,
                FILES,
                format!("compared with the files beside the proof: {same} as sealed"),
            );
        }
        Ok(())
    }

    /// Whether contract.json is the contract of the case in the form that `plan` printed: the same contract in other
    /// bytes, which lies beside the proof where both were written to one place.
    fn is_handed_out(&self, entry: &Entry) -> bool {
        let bytes = self.disk.read(CONTRACT).unwrap_or_default();
        let handed = vm_ledger::Handed::parse(&bytes).ok();
        let kept = handed.and_then(|handed| handed.contract.to_bytes().ok());
        kept.is_some_and(|bytes| entry.is(&bytes))
    }

    /// Whether contract.json is the contract of another run, which only lies in the same folder.
    fn is_of_another(&self, proof: &Proof) -> bool {
        let bytes = self.disk.read(CONTRACT).unwrap_or_default();
        let line = Line::parse(proof.line.as_bytes());
        match (vm_ledger::Handed::parse(&bytes), line) {
            (Ok(handed), Ok(line)) => handed.contract.id != line.id,
            _ => false,
        }
    }

    fn outputs(&self) -> Vec<String> {
        let names = self.disk.list("outputs").unwrap_or_default();
        names.into_iter().map(|name| format!("outputs/{name}")).collect()
    }

    /// Size and digests; what is no plain file is kept aside with why.
    fn measure(
        &self,
        path: &str,
        odd: &mut Vec<(String, String)>,
    ) -> Result<Option<Artifact>, Failure> {
        match self.folder.measure(path) {
            Ok(found) => Ok(found.as_ref().and_then(artifact)),
            Err(Failure::Refusal(_)) => {
                odd.push((path.to_owned(), "it is a link, pipe or folder, and no file".to_owned()));
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    fn place(&self, file: &str, claim: &str, line: Option<u64>) -> Place {
        let file = self.dir.join(file).display().to_string();
        Place { file, line, byte: None, claim: claim.to_owned() }
    }
}

/// Compares one file of the caller: `FILE=PATH` with the file of that path, `FILE` with that of its own name.
pub fn compare_one(verdict: &mut Verdict, proof: &Proof, word: &str) {
    let (file, path) = match word.rsplit_once('=') {
        Some((file, path)) if !Path::new(word).exists() => (file, Some(path)),
        _ => (word, None),
    };
    let measured = match measure(Path::new(file)) {
        Ok(measured) => measured,
        Err(why) => return open(verdict, FILE, why),
    };
    let own = Path::new(file).file_name().and_then(|n| n.to_str()).unwrap_or(file);
    let wanted = path.unwrap_or(own);
    let is_named = |at: &str| at == wanted || at.strip_prefix("outputs/") == Some(wanted);
    let place = Place { file: file.to_owned(), line: None, byte: None, claim: FILE.to_owned() };
    let differs = |shown: &str| format!("{file} is not the {shown} that was sealed");
    if let Some(entry) = proof.bundle.iter().find(|entry| is_named(&entry.path)) {
        let same = Artifact { path: entry.path.clone(), ..measured } == entry.artifact();
        return match same {
            true => hold(verdict, FILE, format!("{file} is {}, as it was sealed", entry.path)),
            false => break_claim(verdict, place, differs(&entry.path)),
        };
    }
    let outputs = proof.private_outputs();
    let same = |o: &PrivateOutput| o.sha256 == measured.sha256 && o.size == measured.size;
    let by_name = outputs.iter().find(|(stub, o)| o.name == wanted || is_named(stub));
    let by_digest = outputs.iter().find(|(_, o)| path.is_none() && same(o));
    match by_name.or(by_digest) {
        Some((_, o)) if same(o) => hold(
            verdict,
            FILE,
            format!("{file} is the private output {}, as it was sealed", o.name),
        ),
        Some((_, o)) => break_claim(verdict, place, differs(&o.name)),
        None => {
            let twin = proof.bundle.iter().find(|e| path.is_none() && e.sha256 == measured.sha256);
            match twin {
                Some(e) => hold(verdict, FILE, format!("{file} is {}, as it was sealed", e.path)),
                None => open(
                    verdict,
                    FILE,
                    format!("the proof names no file {wanted}; write FILE=PATH"),
                ),
            }
        }
    }
}

fn measure(file: &Path) -> Result<Artifact, String> {
    let unread = |e: &dyn std::fmt::Display| format!("{} cannot be read: {e}", file.display());
    // Links of the caller's own are followed: it is the content that is asked about.
    let whole: PathBuf = std::fs::canonicalize(file).map_err(|e| unread(&e))?;
    let (Some(dir), Some(name)) = (whole.parent(), whole.file_name().and_then(|n| n.to_str()))
    else {
        return Err(unread(&"it is no file"));
    };
    let disk = Disk::new(dir, dir.join("no-guard"));
    let found = RunFolder::new(&disk, ".").measure(name).map_err(|e| unread(&e))?;
    found.as_ref().and_then(artifact).ok_or_else(|| unread(&"it is no file"))
}

fn artifact(output: &Output) -> Option<Artifact> {
    Some(Artifact {
        path: output.path.clone(),
        size: output.size,
        blake3: output.digest.parse().ok()?,
        sha256: output.sha256.parse().ok()?,
    })
}

/// A file was to be compared with something that names none.
pub fn unknown(verdict: &mut Verdict, why: String) {
    open(verdict, FILE, why);
}

fn hold(verdict: &mut Verdict, name: &str, detail: String) {
    verdict.claims.push(Claim { name: name.to_owned(), ok: true, detail });
}

/// Something that would be needed is not there; it never softens a contradiction.
fn open(verdict: &mut Verdict, name: &str, missing: String) {
    let detail = format!("cannot evaluate: {missing}");
    verdict.claims.push(Claim { name: name.to_owned(), ok: false, detail });
    if verdict.outcome == Outcome::Verified {
        verdict.outcome = Outcome::CannotEvaluate;
        verdict.summary = format!("{}: {missing}", verdict.outcome.as_str());
    }
    verdict.missing.push(missing);
}

/// The first contradiction gives the verdict its place; what the proof itself shows stays provable.
fn break_claim(verdict: &mut Verdict, place: Place, detail: String) {
    if verdict.outcome != Outcome::Tampered {
        if verdict.outcome == Outcome::Verified {
            verdict.still_provable.push("the receipt and its proof hold".to_owned());
        }
        verdict.outcome = Outcome::Tampered;
        verdict.summary = format!("{}: {}: {detail}", verdict.outcome.as_str(), place.claim);
    }
    verdict.claims.push(Claim { name: place.claim.clone(), ok: false, detail });
    verdict.first_bad.get_or_insert(place);
}
