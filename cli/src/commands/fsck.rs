//! `vm fsck`: whether everything in the home agrees. Changes nothing.

use crate::answer::{finding, verdict};
use crate::config::Loaded;
use crate::exit::Stop;
use crate::screen::Progress;
use crate::session::Session;
use std::sync::Arc;
use std::time::Duration;
use vm_ledger::fs::{Disk, Fs};
use vm_ledger::fsck::fsck;
use vm_ledger::lock::Lock;

/// Prints the verdict over the lines, then what else was found.
pub fn run(session: &mut Session<'_>) -> Result<u8, Stop> {
    let loaded = Loaded::of_home(&session.flags)?;
    // Under the lock, so that nothing moves while it is compared.
    let wait = Duration::from_secs(loaded.config.lock.wait_seconds);
    let _lock = Lock::acquire(&loaded.home, wait)?;
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
