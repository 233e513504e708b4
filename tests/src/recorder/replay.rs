//! The crashing file system, asked for what a trace asked for.

use super::trace::Op;
use crate::crashfs::{CrashFs, Image};
use std::io;
use vm_ledger::fs::Fs;

/// A file system that begins with an image and does what recorded operations say.
pub struct Replay {
    fs: CrashFs,
}

impl Replay {
    /// Begins here. `seed` decides what a sync that fails leaves on the disk.
    pub fn new(image: Image, seed: u64) -> Self {
        Self { fs: CrashFs::new(image, seed) }
    }

    /// The file system now.
    pub fn image(&self) -> Image {
        self.fs.image()
    }

    /// Does one operation.
    ///
    /// # Errors
    /// It cannot be done, so the trace and the model have come apart.
    pub fn apply(&self, op: &Op) -> Result<(), String> {
        self.done(op).map_err(|e| format!("{op:.200?} cannot be replayed: {e}"))
    }

    fn done(&self, op: &Op) -> io::Result<()> {
        let (fs, image) = (&self.fs, self.fs.image());
        let len = |path: &str| image.read(path).map(|bytes| bytes.len());
        match op {
            Op::Open { path, emptied } => match len(path) {
                None => fs.write(path, b""),
                Some(old) if *emptied && old > 0 => fs.write(path, b""),
                Some(_) => Ok(()),
            },
            Op::Write { path, at, bytes } => {
                let end = len(path).unwrap_or(0);
                match at {
                    Some(at) if *at != end => fs.write_at(path, *at, bytes),
                    _ => fs.append(path, end as u64, bytes),
                }
            }
            Op::SetLen { path, len } => fs.set_len(path, *len),
            Op::Sync(path) if is_dir(&image, path) => fs.sync_dir(path),
            Op::Sync(path) if len(path).is_some() => fs.sync(path),
            Op::FailedSync(path) if len(path).is_some() => fs.fail_sync(path),
            // A directory whose sync failed is not durable, and neither is a file that has no name.
            Op::Sync(_) | Op::FailedSync(_) | Op::Say(_) => Ok(()),
            Op::Rename(from, to) => fs.rename(from, to),
            Op::Remove(path) => fs.remove(path),
            Op::MakeDir(path) => fs.create_dir(path).map(drop),
            Op::RemoveDir(path) => fs.remove_dir(path),
        }
    }
}

/// Whether a directory stands there; the root has the empty path.
pub fn is_dir(image: &Image, path: &str) -> bool {
    path.is_empty() || image.directories().any(|dir| dir == path)
}
