//! What opening a home does with runs that a process left behind.
//!
//! - a run whose receipt is committed: its folder is moved to cases/;
//! - a run that was claimed by an executor that is gone: sealed as aborted, never carried out again;
//! - a run that waits for people: stays open;
//! - a folder without contract.json: nothing was ever opened there, it is taken away.

use crate::run::files::{CLAIM, RunFolder, fault, run_dir};
use crate::run::{INTERRUPTED, Run, operation};
use crate::writer::Writer;
use std::io::ErrorKind;
use vm_contracts::contract::OUTPUTS;
use vm_contracts::work::Shape;
use vm_contracts::{Failure, Map};
use vm_receipts::digest::Blake3;
use vm_receipts::{intent, line};

impl Writer {
    /// Looks at every folder in runs/. What cannot be done now is said, and tried again at the next open.
    pub(crate) fn recover_runs(&mut self) -> Result<(), Failure> {
        for scroll in self.fs.list("runs").unwrap_or_default() {
            if !line::is_scroll(&scroll) || !self.scrolls.contains_key(&scroll) {
                continue;
            }
            self.settle_names(&scroll)?;
            for id in self.fs.list(&format!("runs/{scroll}")).unwrap_or_default() {
                if !line::is_id(&id) {
                    continue;
                }
                self.open_runs.insert((scroll.clone(), id.clone()));
                match self.recover_run(&scroll, &id) {
                    Ok(()) => {}
                    Err(lost @ Failure::Lost(_)) => return Err(lost),
                    Err(failure) => {
                        self.messages.push(format!("{}: {failure}", run_dir(&scroll, &id)))
                    }
                }
            }
        }
        Ok(())
    }

    /// A process that died before it synced a directory left names that only the page cache knows. Whoever asks for
    /// such a run is told that it is open, so its names must be on the disk first.
    fn settle_names(&self, scroll: &str) -> Result<(), Failure> {
        let above = format!("runs/{scroll}");
        let mut dirs = vec![String::new(), "runs".to_owned(), above.clone()];
        for id in self.fs.list(&above).unwrap_or_default() {
            dirs.extend([format!("{above}/{id}/{OUTPUTS}"), format!("{above}/{id}")]);
        }
        for dir in dirs {
            match self.fs.sync_dir(&dir) {
                Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Err(fault("sync", &dir, &e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn recover_run(&mut self, scroll: &str, id: &str) -> Result<(), Failure> {
        let dir = run_dir(scroll, id);
        let fs = self.fs.clone();
        let folder = RunFolder::new(&*fs, &dir);
        if let Some(group) = self.scroll(scroll).group(id) {
            let bytes = self.read_checked(scroll, group.first, 1)?.pop().unwrap_or_default();
            let has_case = line::Line::parse(&bytes).is_ok_and(|line| line.artifacts.is_some());
            return match has_case {
                true => self.finish_case(scroll, id),
                // contract.json goes first when a folder is taken away.
                false if !folder.is_open()? || stands_for(&folder, &group.intent) => {
                    self.drop_run(scroll, id)
                }
                false => {
                    self.messages.push(format!(
                        "{dir}: {scroll}/{} has its id and is of another request; the folder stays as it is",
                        group.first
                    ));
                    Ok(())
                }
            };
        }
        if !folder.is_open()? && !folder.is_untouched()? {
            self.messages.push(format!(
                "{dir}: contract.json is gone; `run` with the contract it was opened with puts it back"
            ));
            return Ok(());
        }
        if !folder.is_open()? {
            self.messages.push(format!("{dir}: a run that was never opened is taken away"));
            return self.drop_run(scroll, id);
        }
        let engine = self.scroll(scroll).engine;
        let Some(engine) = engine else { return Ok(()) };
        let run = self.load_run(engine, id)?;
        let (_, _, shape) = operation(self.engines, &run.contract.op)?;
        let is_claimed = folder.regular(CLAIM)?.is_some();
        match (shape, is_claimed && !run.state.status.is_end()) {
            (Shape::Operation(_), true) => self.interrupt(run),
            _ => Ok(()),
        }
    }

    fn interrupt(&mut self, run: Run) -> Result<(), Failure> {
        let id = run.contract.id.clone();
        let at = self.now(self.scroll(run.scroll).last_at)?;
        let by = self.issuer_did.clone();
        let run = self.give_up(run, INTERRUPTED, &by, &Map::new(), at)?;
        let sealing = self.seal_run(run)?;
        self.messages.push(format!(
            "run {id} was interrupted; it is sealed as aborted: {}/{}",
            sealing.answer.scroll, sealing.answer.first
        ));
        Ok(())
    }
}

/// Whether a run's contract is the request that a receipt is of.
fn stands_for(folder: &RunFolder<'_>, asked: &Blake3) -> bool {
    folder.contract().is_ok_and(|(contract, _)| {
        intent::intent_digest(&contract.op, &contract.intent).is_ok_and(|digest| digest == *asked)
    })
}
