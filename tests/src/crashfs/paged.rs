//! A file of the crashing file system that is written in place.

use super::{Shared, full};
use crate::memfs::span;
use std::io;
use std::sync::{Arc, MutexGuard};
use vm_ledger::fs::Paged;

/// An open file. It stays the same file when its name goes to another or away.
pub(super) struct CrashPaged {
    shared: Arc<Shared>,
    number: u64,
    path: String,
}

impl CrashPaged {
    pub(super) fn new(shared: Arc<Shared>, number: u64, path: &str) -> Self {
        Self { shared, number, path: path.to_owned() }
    }

    fn bytes(&self, what: &str) -> io::Result<Arc<Vec<u8>>> {
        let inside = self.shared.read_call(what, &self.path)?;
        Ok(inside.image.open_file(self.number).expect("files are never forgotten"))
    }

    fn change(&self, what: &str) -> io::Result<MutexGuard<'_, super::Inside>> {
        let mut inside = self.shared.change_call();
        inside.count(what, &self.path)?;
        Ok(inside)
    }
}

impl Paged for CrashPaged {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes("paged len")?.len() as u64)
    }

    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes("paged read_at")?;
        buf.copy_from_slice(bytes.get(span(at, buf.len())?).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let span = span(at, bytes.len())?;
        let mut inside = self.change("paged write_at")?;
        let file = inside.image.numbered(self.number).expect("files are never forgotten");
        let more = span.end.saturating_sub(file.seen().len());
        let short = more - inside.fits(more);
        let taken = &bytes[..bytes.len().saturating_sub(short)];
        let file = inside.image.numbered(self.number).expect("files are never forgotten");
        file.put(span.start, taken);
        inside.write_back_numbered(self.number);
        match short {
            0 => Ok(()),
            _ => Err(full(&self.path)),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = span(len, 0)?.start;
        let mut inside = self.change("paged set_len")?;
        let file = inside.image.numbered(self.number).expect("files are never forgotten");
        let before = file.seen().len();
        match len < before {
            true => file.truncate(len),
            false => file.lengthen(len),
        }
        inside.freed(before.saturating_sub(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inside = self.shared.change_call();
        let counted = inside.count("paged sync", &self.path);
        let mut dice = inside.dice.clone();
        let file = inside.image.numbered(self.number).expect("files are never forgotten");
        match &counted {
            Ok(()) => file.sync(),
            Err(_) => file.fail_sync(&mut dice),
        }
        inside.dice = dice;
        counted
    }
}
