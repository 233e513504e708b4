//! `vm doctor`: whether this machine is fit for this home.

use crate::answer::finding;
use crate::config::Loaded;
use crate::exit::{OK, Stop};
use crate::session::Session;
use vm_ledger::doctor::doctor;

/// Prints findings; exit 1 where something must be done.
pub fn run(session: &mut Session<'_>) -> Result<u8, Stop> {
    let loaded = Loaded::of_home(&session.flags)?;
    let findings = doctor(&loaded.home, &loaded.guard()?, Some(&loaded.settings()));
    let problem = finding::any_problem(&findings);
    match session.screen.json {
        true => session.screen.document(
            &serde_json::json!({"fit": !problem, "findings": finding::to_json(&findings)}),
        )?,
        false => finding::print(&mut session.screen, &findings)?,
    }
    Ok(if problem { 1 } else { OK })
}
