//! `vm fsck`: whether everything in the home agrees. Changes nothing.

use crate::answer::{finding, verdict};
use crate::config::Loaded;
use crate::exit::Stop;
use crate::screen::Progress;
use crate::session::{Session, Way};
use std::sync::Arc;
use vm_ledger::fs::{Disk, Fs};
use vm_ledger::fsck::fsck;
use vm_ledger::lock::Lock;

/// Prints the verdict over the lines, then what else was found.
pub fn run(session: &mut Session<'_>) -> Result<u8, Stop> {
    let loaded = session.loaded()?;
    // Nothing may move while it is compared: under the lock, or with the writer in hand where this process owns the home.
    if let Way::Lent { ledger, .. } = session.way {
        let mut writer = ledger.writer();
        writer.publish()?;
        return compare(session, &loaded);
    }
    let _lock = session
        .hold(&loaded, &mut |wait, instead| Lock::acquire_unless(&loaded.home, wait, instead))?;
    compare(session, &loaded)
}

fn compare(session: &mut Session<'_>, loaded: &Loaded) -> Result<u8, Stop> {
    let disk: Arc<dyn Fs> = Arc::new(Disk::new(&loaded.home, loaded.guard()?));
    let screen = &mut session.screen;
    let mut progress = Progress::new(screen.live);
    let err = &mut *screen.err;
    let mut step = |scroll: &str, done, total| progress.step(err, scroll, done, total);
    let (said, findings) = fsck(&disk, &loaded.settings(), session.house, &mut step);
    progress.end(screen.err);
    match screen.json {
        true => screen.document(
            &serde_json::json!({"verdict": verdict::to_json(&said), "findings": finding::to_json(&findings)}),
        )?,
        false => {
            verdict::text(screen, &said)?;
            finding::print(screen, &findings)?;
        }
    }
    // A verdict that is bad already says more than a finding beside it.
    let problem = u8::from(finding::any_problem(&findings));
    Ok(said.exit_code().max(problem))
}
