//! Whether the hash tiles of a scroll are those of its receipts. They can be made again, so damage to them loses nothing;
//! but a disk that spoils them may spoil more.

use super::{Finding, Level};
use crate::audit::Progress;
use crate::fs::Fs;
use crate::hashes::{self, Wrong};
use crate::segments::{SEGMENT_LINES, scroll_dir, segment_path};
use rayon::prelude::*;
use std::sync::Arc;
use std::vec;
use vm_contracts::{Failure, Fault};
use vm_scrolls::tree::{Hash, leaf_hash};

/// Tiles named one by one; the rest of them is counted.
const NAMED_MAX: u64 = 20;
const AGAIN: &str = "`vm reindex` makes it again from the receipts.";

/// Compares the tiles of one scroll with its lines.
pub(super) fn check(
    disk: &Arc<dyn Fs>,
    scroll: &str,
    findings: &mut Vec<Finding>,
    progress: Progress<'_>,
) {
    let dir = format!("tiles/{scroll}");
    if disk.list(&dir).is_ok_and(|names| names.is_empty()) {
        return;
    }
    let mut count = 0;
    let mut wrong = |wrong: Wrong| {
        count += 1;
        if count <= NAMED_MAX {
            findings.push(finding(wrong));
        }
    };
    let mut leaves = Leaves { disk, scroll, next: 0, file: Vec::new().into_iter(), progress };
    let size = hashes::check(disk, scroll, &mut leaves, &mut wrong);
    if count > NAMED_MAX {
        let what = format!("{} more tiles are not as they should be", count - NAMED_MAX);
        findings.push(Finding::new(Level::Problem, dir.as_str(), what).hint(AGAIN));
    }
    match size {
        Ok(size) if count == 0 => {
            let what = format!("the hashes of {size} receipts agree with them");
            findings.push(Finding::new(Level::Ok, dir, what));
        }
        Ok(_) => {}
        Err(failure) => findings.push(Finding::new(Level::Problem, dir, failure.to_string())),
    }
}

/// A missing tile is what a crash may leave; one that says something else is not.
fn finding(wrong: Wrong) -> Finding {
    let level = if wrong.stray || wrong.missing { Level::Note } else { Level::Problem };
    let hint =
        if wrong.stray { "The ledger never reads it; `vm reindex` takes it away." } else { AGAIN };
    Finding::new(level, wrong.file, wrong.what).hint(hint)
}

/// Leaf hashes of a scroll's lines, one file in memory at a time.
struct Leaves<'a> {
    disk: &'a Arc<dyn Fs>,
    scroll: &'a str,
    next: u64,
    file: vec::IntoIter<Hash>,
    progress: Progress<'a>,
}

impl Leaves<'_> {
    /// The hashes of the next file; none where there is no such file.
    fn load(&mut self) -> Result<Vec<Hash>, Failure> {
        let path = segment_path(self.scroll, self.next);
        let failed = |e: std::io::Error| {
            Failure::from(Fault::new("read_failed", format!("cannot read {path}: {e}")))
        };
        let dir = scroll_dir(self.scroll);
        let name = path.strip_prefix(&format!("{dir}/")).unwrap_or(&path);
        if !self.disk.list(&dir).map_err(failed)?.iter().any(|there| there == name) {
            return Ok(Vec::new());
        }
        let bytes = self.disk.read(&path).map_err(failed)?;
        // What stands after the last line feed is no line yet.
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(&[][..], |end| &bytes[..end]);
        let lines: Vec<&[u8]> = whole.split(|b| *b == b'\n').collect();
        self.next += SEGMENT_LINES;
        (self.progress)(self.scroll, self.next - SEGMENT_LINES + lines.len() as u64, self.next);
        Ok(lines.into_par_iter().map(leaf_hash).collect())
    }
}

impl Iterator for Leaves<'_> {
    type Item = Result<Hash, Failure>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.file.len() == 0 {
            match self.load() {
                Ok(hashes) => self.file = hashes.into_iter(),
                Err(failure) => return Some(Err(failure)),
            }
        }
        self.file.next().map(Ok)
    }
}
