//! What a person lets the ledger do, and the receipt that says so: accepting a clock jump, accepting a cut, a restore.

use crate::recover::{Damage, Known, QUARANTINE, cut};
use crate::scroll::Scroll;
use crate::segments::Layout;
use crate::writer::Writer;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io;
use vm_contracts::{Failure, Fault, Refusal};
use vm_receipts::line::is_scroll;

/// Code of the refusal to write above damaged lines.
pub(crate) const DAMAGED_TAIL: &str = "damaged_tail";
/// What a marker's name ends in.
const ACCEPTED: &str = ".accepted";

impl Writer {
    /// Scrolls in which a receipt of the ledger can stand now: begun, and not read-only.
    fn open_scrolls(&self) -> Vec<String> {
        let open = |(name, scroll): (&String, &Scroll)| {
            (scroll.read_only.is_none() && scroll.size() > 0).then(|| name.clone())
        };
        self.scrolls.iter().filter_map(open).collect()
    }

    /// `vm clock accept`: the jump is real. A receipt in every scroll says so.
    pub fn accept_clock(&mut self) -> Result<u64, Failure> {
        self.usable()?;
        // It may have jumped since the last batch, or been set right; what `now` answers is kept in `clock_jump`.
        let _ = self.now(None);
        let Some(ahead_ms) = self.clock_jump else {
            return Err(
                Refusal::not_found("no_clock_jump", "there is no clock jump to accept").into()
            );
        };
        self.clock_jump = None;
        let before = self.last_reading.replace(self.clock.read());
        let names = self.open_scrolls();
        for name in &names {
            let body = Map::from_iter([("ahead_ms".to_owned(), Value::from(ahead_ms))]);
            let id = self.fresh_id();
            let kept =
                self.append_own(name, "ledger_clock_accepted", "ledger.clock_accept", &id, body);
            if let Err(failure) = kept {
                // Not accepted everywhere: the next look at the clock must find the jump again.
                self.clock_jump = Some(ahead_ms);
                self.last_reading = before;
                return Err(failure);
            }
        }
        self.publish()?;
        self.save_clock();
        Ok(names.len() as u64)
    }

    /// `vm accept-cut`: sets lines aside that do not read, and leaves a receipt that says so.
    ///
    /// A marker is durable before the cut, so that a crash in between still leaves the receipt at the next open.
    pub fn accept_cut(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        let Some(found) = self.damage.get(name).cloned() else {
            let what = format!("{name} has no damaged lines to set aside");
            return Err(Refusal::not_found("nothing_to_cut", what).into());
        };
        self.usable()?;
        self.now(None)?;
        self.write_marker(name, &found).map_err(|e| marker_fault(name, &e))?;
        let segments = self.segments.clone().expect("damage is found in files only");
        let signed = self.signed(name).map_or(0, |s| s.size);
        let issuer = self.keys.issuer.public();
        let known = Known { size: self.scroll(name).size(), end: segments.ask(name, Layout::end) };
        let known = if known.size <= signed.min(found.from) { known } else { Known::default() };
        let sizes = (found.from, signed);
        let notes = cut(&*self.fs, name, sizes, segments.per_file(), &issuer, known)?;
        self.damage.remove(name);
        let scroll = self.scroll_mut(name);
        // What else kept it read-only, such as an unknown receipt type, still does.
        scroll.read_only.take_if(|why| why.code == DAMAGED_TAIL);
        self.leave_cut_receipt(name)?;
        self.publish()?;
        Ok(notes)
    }

    fn write_marker(&self, name: &str, found: &Damage) -> io::Result<()> {
        let body = json!({"claim": found.claim, "cut_from": found.from, "file": found.file, "id": self.fresh_id()});
        crate::fs::make_dir(&*self.fs, QUARANTINE)?;
        crate::fs::replace(&*self.fs, &marker(name), format!("{body}\n").as_bytes())
    }

    /// The receipt of an accepted cut, from its marker; then the marker goes. Its id makes a second time harmless.
    fn leave_cut_receipt(&mut self, name: &str) -> Result<(), Failure> {
        let bytes = self.fs.read(&marker(name)).map_err(|e| marker_fault(name, &e))?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|e| {
            Fault::new("marker_unreadable", format!("{} does not read: {e}", marker(name)))
        })?;
        let mut body = value.as_object().cloned().unwrap_or_default();
        let id = body.remove("id").and_then(|id| id.as_str().map(str::to_owned));
        let id = id.unwrap_or_else(|| self.fresh_id());
        self.append_own(name, "ledger_cut_accepted", "ledger.accept_cut", &id, body)?;
        self.fs
            .remove(&marker(name))
            .and_then(|()| self.fs.sync_dir(QUARANTINE))
            .map_err(|e| marker_fault(name, &e))
    }

    /// Finishes cuts that were accepted before a crash: what was to go is gone, the receipt is missing.
    pub(crate) fn finish_accepted_cuts(&mut self) -> Result<(), Failure> {
        let there = self.fs.list(QUARANTINE).map_err(|e| {
            Fault::new("marker_failed", format!("cannot look into {QUARANTINE}: {e}"))
        })?;
        let names = there.iter().filter_map(|file| file.strip_suffix(ACCEPTED));
        for name in names.filter(|name| is_scroll(name)) {
            if self.full || self.clock_jump.is_some() || self.damage.contains_key(name) {
                continue;
            }
            // Where everything was cut, no file was left that would have made the scroll known.
            if !self.scrolls.contains_key(name) {
                self.open_scroll(name)?;
            }
            match self.leave_cut_receipt(name).and_then(|()| self.publish()) {
                // No space: the marker waits, and what is there can be read.
                Err(Failure::Refusal(refusal)) => self.messages.push(refusal.message),
                other => other?,
            }
        }
        Ok(())
    }

    /// `vm restore`: the first receipt after a home was put back from a backup.
    pub fn mark_restored(&mut self, lost_up_to: &BTreeMap<String, u64>) -> Result<(), Failure> {
        for name in self.open_scrolls() {
            let size = self.scroll(&name).size();
            let mut body = Map::from_iter([
                ("restored_size".to_owned(), Value::from(size)),
                ("origin".to_owned(), Value::from(self.settings.origin(&name))),
            ]);
            if let Some(lost) = lost_up_to.get(&name).filter(|lost| **lost > size) {
                body.insert("lost_up_to".to_owned(), Value::from(*lost));
            }
            let id = self.fresh_id();
            self.append_own(&name, "ledger_restored", "ledger.restore", &id, body)?;
        }
        self.publish()
    }
}

fn marker(name: &str) -> String {
    format!("{QUARANTINE}/{name}{ACCEPTED}")
}

fn marker_fault(name: &str, e: &io::Error) -> Failure {
    Fault::new("marker_failed", format!("cannot keep {}: {e}", marker(name))).into()
}
