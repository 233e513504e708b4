//! What must hold of runs, cases and private values after any crash.

use crate::flow::{Promises, SCROLL, Script, Step};
use crate::runs::{Deed, is_completed};
use serde_json::Value;
use std::collections::BTreeMap;
use vm_contracts::{Call, Map, Status};
use vm_ledger::Ledger;
use vm_receipts::case::{Artifact, Folder, check_case};
use vm_receipts::line::{End, Line};
use vm_scrolls::proof;
use vm_tests::crashfs::Image;
use vm_tests::sample;
use vm_tests::toy::TOY;

/// Lines of the scroll that begin a call, by id.
fn firsts(ledger: &Ledger) -> Result<BTreeMap<String, Line>, String> {
    let mut found = BTreeMap::new();
    let walked = ledger.lines(SCROLL, 0, &mut |_, line| {
        found.entry(line.id.clone()).or_insert_with(|| line.clone());
        true
    });
    match walked {
        Err(e) if e.code() != "unknown_scroll" => Err(format!("the lines do not read: {e}")),
        _ => Ok(found),
    }
}

/// Right after opening, and at the end: promises on runs are kept, cases are whole, nothing lies about.
pub fn stand(
    ledger: &Ledger,
    image: &Image,
    promises: &Promises,
    script: &Script,
) -> Result<(), String> {
    if !script.has_runs() {
        return Ok(());
    }
    let lines = firsts(ledger)?;
    for (id, line) in lines.iter().filter(|(_, line)| line.artifacts.is_some()) {
        whole(image, id, line)?;
    }
    for path in image.paths().filter(|p| p.starts_with("runs/")) {
        let dir = path.split('/').take(3).collect::<Vec<_>>().join("/");
        if image.read(&format!("{dir}/contract.json")).is_none() {
            return Err(format!("{path} lies about, and no run is open there"));
        }
    }
    for id in promises.runs.sealed.keys() {
        if lines.get(id).is_none_or(|line| line.artifacts.is_none()) {
            return Err(format!("{id} was sealed and has no receipt with a case"));
        }
    }
    opened_runs(ledger, promises, &lines)?;
    for (id, _) in &promises.runs.effects {
        let ended = || ledger.open_run("toy", id).is_ok_and(|run| run.state.status.is_end());
        if !lines.contains_key(id) && !ended() {
            return Err(format!("{id} had its effect, and neither receipt nor outcome says so"));
        }
    }
    heard(ledger, promises, script)
}

fn opened_runs(
    ledger: &Ledger,
    promises: &Promises,
    lines: &BTreeMap<String, Line>,
) -> Result<(), String> {
    for id in promises.runs.opened.keys().filter(|id| !lines.contains_key(*id)) {
        let run = ledger
            .open_run("toy", id)
            .map_err(|e| format!("{id} was opened and is not open any more: {e}"))?;
        let aborted = run.state.status == Status::Aborted;
        if promises.runs.aborted.contains_key(id) && !aborted {
            return Err(format!("{id} was given up and goes on"));
        }
        let own = promises.runs.stages.iter().filter(|((theirs, _), _)| theirs == id);
        for ((_, stage), (_, files)) in own {
            let kept = run.state.stage(&format!("stage-{stage}")).map_or(0, |s| s.outputs.len());
            if !is_completed(&run, *stage) || kept != *files {
                return Err(format!("stage {stage} of {id} was completed and is not any more"));
            }
        }
    }
    Ok(())
}

/// A sealed run has one folder, in cases/, with every file that its line says and none beside them.
fn whole(image: &Image, id: &str, line: &Line) -> Result<(), String> {
    let dir = format!("cases/{SCROLL}/{id}/");
    if let Some(path) = image.paths().find(|p| p.starts_with(&format!("runs/{SCROLL}/{id}/"))) {
        return Err(format!("{id} is sealed, and {path} is there"));
    }
    let files: Vec<String> =
        image.paths().filter_map(|p| p.strip_prefix(&dir)).map(str::to_owned).collect();
    let read = |name: &str| image.read(&format!("{dir}{name}"));
    let manifest = read("ARTIFACTS.sha256");
    let folder =
        Folder { manifest: manifest.as_deref().map(Vec::as_slice), files: &files, finished: true };
    let report = check_case(line, folder, &mut |path| {
        Ok::<_, String>(read(path).map(|bytes| Artifact::of(path, &bytes)))
    })?;
    if let Some(fault) = report.faults.first() {
        return Err(format!("the case of {id}: {}: {}", fault.file, fault.detail));
    }
    let stray = files.len() != report.files.len() + 2;
    if stray || report.files.is_empty() {
        return Err(format!("the case of {id} holds {files:?}"));
    }
    let proof = read("PROOF.json").unwrap_or_default();
    let verdict = proof::verify_bytes(&proof, &sample::trust());
    match verdict.is_verified() {
        true => Ok(()),
        false => Err(format!("PROOF.json of {id}: {}", verdict.summary)),
    }
}

/// After all steps: whoever had an effect has a receipt, and a receipt of an effect means that there was one.
pub fn ended(ledger: &Ledger, promises: &Promises, script: &Script) -> Result<(), String> {
    let lines = firsts(ledger)?;
    for deed in script.deeds() {
        let sealed = lines.get(deed.id());
        if matches!(deed, Deed::Perform(_) | Deed::Seal(_)) && sealed.is_none() {
            return Err(format!("{} was sealed by the script and has no receipt", deed.id()));
        }
    }
    for (id, line) in lines.iter().filter(|(_, line)| line.kind == "toy_paid") {
        let effects = promises.runs.effects_of(id);
        if line.end == End::Completed && (effects != 1 || line.body["effects"] != 1) {
            return Err(format!(
                "{id} was paid {effects} times, and its receipt says {:?}",
                line.body
            ));
        }
    }
    Ok(())
}

/// Private values of acknowledged receipts can be opened, and are what was given.
fn heard(ledger: &Ledger, promises: &Promises, script: &Script) -> Result<(), String> {
    let asked = ledger.report("toy", "heard", &Map::new(), Default::default());
    let (_, heard) = asked.map_err(|e| format!("private values do not open: {e}"))?;
    let heard = heard.as_array().cloned().unwrap_or_default();
    let opened: BTreeMap<u64, &Value> =
        heard.iter().map(|one| (one["seq"].as_u64().unwrap_or(0), &one["opened"])).collect();
    for call in script.calls() {
        let id = call.id.as_deref().expect("scripts name their calls");
        let Some(promise) = promises.answers.get(id) else { continue };
        let spec = vm_contracts::AnyEngine::operation(&TOY, &call.verb).expect("a verb of the toy");
        for seq in promise.answer.first..promise.answer.first + promise.answer.lines.len() as u64 {
            for field in spec.fields.iter().filter(|f| f.hides()) {
                let given = call.intent.get(field.name);
                let found = opened.get(&seq).and_then(|values| values.get(field.name));
                if given.is_some() && given != found {
                    return Err(format!(
                        "{} of {id} (toy/{seq}) does not open any more",
                        field.name
                    ));
                }
            }
        }
    }
    Ok(())
}

impl Script {
    /// What is done to runs.
    pub fn deeds(&self) -> impl Iterator<Item = &Deed> {
        self.steps.iter().filter_map(|step| match step {
            Step::Run(deed) => Some(deed),
            _ => None,
        })
    }

    pub fn has_runs(&self) -> bool {
        self.deeds().next().is_some()
    }

    /// Every call of the script.
    fn calls(&self) -> impl Iterator<Item = &Call> {
        self.steps.iter().flat_map(|step| match step {
            Step::Batch(calls) => calls.iter().collect(),
            Step::Run(Deed::Perform(call) | Deed::Open(call)) => vec![call],
            _ => Vec::new(),
        })
    }
}
