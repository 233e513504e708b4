//! Openings of runs that have no receipt yet: `runs/<scroll>/<id>/openings`, one box, replaced whole.
//!
//! The box is under a key of the home, not one that is thrown away: what a removed file leaves on the medium stays
//! readable to the holder of the home key.

use super::{Opening, Openings, check_name, corrupt, crypt, page, read_failed};
use crate::fs::{make_dir, replace};
use std::io;
use vm_contracts::Failure;

const RUN_PLACE: &str = "vm/openings/run/v1";

impl Openings {
    /// Keeps the openings of an open run, in place of those kept before; their sequence numbers do not count.
    pub fn save_run(&mut self, scroll: &str, id: &str, records: &[Opening]) -> io::Result<()> {
        let refused = |e: Failure| io::Error::other(e.to_string());
        [scroll, id].into_iter().try_for_each(check_name).map_err(refused)?;
        self.ensure_key().map_err(refused)?;
        for dir in ["runs".to_owned(), format!("runs/{scroll}")] {
            self.make_dir_once(&dir)?;
        }
        // Not remembered as the others: it goes away with its run, and may come again.
        make_dir(&*self.fs, &format!("runs/{scroll}/{id}"))?;
        let text = page::encode_all(records);
        if text.len() + crypt::OVERHEAD > page::FRAME_MAX {
            let what = "the private values of a run have at most 16 MiB";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let keys = self.keys.as_ref().expect("ensured above");
        let place = self.run_place(scroll, id);
        let sealed = crypt::close(&keys.runs, &place, &text, &*self.entropy);
        replace(&*self.fs, &run_path(scroll, id), &sealed)
    }

    /// The openings of an open run; none where none were kept.
    pub fn load_run(&mut self, scroll: &str, id: &str) -> Result<Vec<Opening>, Failure> {
        [scroll, id].into_iter().try_for_each(check_name)?;
        let path = run_path(scroll, id);
        let len = self.fs.regular(&path).map_err(|e| read_failed(&path, &e))?;
        let Some(len) = len else { return Ok(Vec::new()) };
        let damaged = |claim: &str| corrupt(&path, 0, claim.to_owned());
        if len > page::FRAME_MAX as u64 {
            return Err(damaged("it is longer than the openings of a run can be"));
        }
        self.read_keys()?;
        let sealed = self.fs.read(&path).map_err(|e| read_failed(&path, &e))?;
        let keys = self.keys.as_ref().expect("read above");
        crypt::open(&keys.runs, &self.run_place(scroll, id), &sealed)
            .and_then(|text| page::decode(&text))
            .ok_or_else(|| damaged("the openings of the run do not open: the file was changed or moved, or the key is another one"))
    }

    /// Forgets the openings of a run that is sealed or given up; absent is fine.
    pub fn remove_run(&mut self, scroll: &str, id: &str) -> io::Result<()> {
        let path = run_path(scroll, id);
        [scroll, id]
            .into_iter()
            .try_for_each(check_name)
            .map_err(|e| io::Error::other(e.to_string()))?;
        // A process that died while it replaced the box left the new one under its temporary name.
        let mut was_there = false;
        for path in [format!("{path}.tmp"), path.clone()] {
            was_there |= self.fs.regular(&path)?.is_some();
            self.fs.remove(&path)?;
        }
        match was_there {
            true => self.fs.sync_dir(crate::fs::parent(&path)),
            false => Ok(()),
        }
    }

    fn run_place(&self, scroll: &str, id: &str) -> Vec<u8> {
        crypt::place(&[RUN_PLACE, &self.ledger, scroll, id])
    }
}

fn run_path(scroll: &str, id: &str) -> String {
    format!("runs/{scroll}/{id}/openings")
}
