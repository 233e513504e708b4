//! `vm doctor`: whether this machine is fit for this home.

use crate::answer::finding;
use crate::config::Loaded;
use crate::exit::{OK, Stop};
use crate::session::Session;
use std::path::Path;
use vm_ledger::doctor::doctor;
use vm_ledger::fs::{Disk, Fs};
use vm_ledger::fsck::{Finding, Level};
use vm_ledger::run::run_dir;

/// Prints findings; exit 1 where something must be done.
pub fn run(session: &mut Session<'_>) -> Result<u8, Stop> {
    let loaded = Loaded::of_home(&session.flags)?;
    let mut findings = doctor(&loaded.home, &loaded.guard()?, Some(&loaded.settings()));
    findings.extend(open_runs(&loaded.home));
    let problem = finding::any_problem(&findings);
    match session.screen.json {
        true => session.screen.document(
            &serde_json::json!({"fit": !problem, "findings": finding::to_json(&findings)}),
        )?,
        false => finding::print(&mut session.screen, &findings)?,
    }
    Ok(if problem { 1 } else { OK })
}

/// Open runs as their folders stand there; nothing is opened for it, so one that was cut off is only said.
fn open_runs(home: &Path) -> Option<Finding> {
    // Nothing of the guard is read here.
    let disk = Disk::new(home, home.join("no-guard"));
    let there = |path: &str| disk.regular(path).is_ok_and(|found| found.is_some());
    let (mut open, mut claimed) = (0_u64, Vec::new());
    for scroll in disk.list("runs").unwrap_or_default() {
        for id in disk.list(&format!("runs/{scroll}")).unwrap_or_default() {
            let dir = run_dir(&scroll, &id);
            open += u64::from(there(&format!("{dir}/contract.json")));
            if there(&format!("{dir}/claim.1")) {
                claimed.push(format!("{scroll} {id}"));
            }
        }
    }
    if open == 0 {
        return None;
    }
    let finding = Finding::new(Level::Note, "runs", format!("{open} open"));
    Some(match claimed.is_empty() {
        true => finding.hint("`vm ENGINE runs` lists them; `vm ENGINE next ID` says what each waits for."),
        false => finding.hint(format!(
            "{} is being carried out, or its executor is gone: then the next command that opens the home seals it as aborted.",
            claimed.join(", ")
        )),
    })
}
