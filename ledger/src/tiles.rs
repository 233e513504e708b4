//! `vm export --tiles`: a scroll as a C2SP tlog-tiles directory that any static web server can publish.
//!
//! An export goes on from the one that is there: only tiles and entry bundles above its checkpoint are written, then,
//! once all of them are durable, the new checkpoint by one rename, and last the partial tiles that full ones replace are
//! taken away. Until that rename the earlier export is whole, so a crash at any point leaves a log that verifies.
//! Bundles are made here and not kept in the home: they hold the receipts a second time.

mod directory;

use crate::audit::Progress;
use crate::ledger::{Ledger, known_scroll};
use crate::writer::Writer;
use directory::{Directory, NewFiles};
use std::path::Path;
use vm_contracts::{Failure, Fault, Refusal};
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::{NOTE_BYTES_MAX, Vkey};
use vm_scrolls::tile::{self, EntriesPath, TILE_HEIGHT, TILE_WIDTH, TilePath};
use vm_scrolls::tree::Hash;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Leaves of the published tree.
    pub size: u64,
    /// Leaves of the export that was there before.
    pub from: u64,
    /// Tiles and entry bundles written now.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Tiles and entry bundles of this tree that were there already.
    pub kept: u64,
    /// Partial tiles and entry bundles taken away because full ones are there.
    pub removed: u64,
}

/// An export that was checked against what its directory holds, and not begun.
pub struct Export {
    scroll: String,
    to: Directory,
    from: u64,
    checkpoint: Checkpoint,
    note: String,
}

impl Export {
    /// Compares the directory for a scroll below `to` with this ledger: what is there must be an earlier export of the
    /// same log. Writes nothing.
    pub fn prepare(ledger: &Ledger, scroll: &str, to: &Path) -> Result<Self, Failure> {
        let mut writer = ledger.writer();
        writer.publish()?;
        known_scroll(&writer, scroll)?;
        let vkey = Vkey::parse(&writer.vkey(scroll)).map_err(|e| failed(e.to_string()))?;
        let note = writer.notes.get(scroll).cloned().unwrap_or_default();
        let known = std::slice::from_ref(&vkey);
        let (checkpoint, _) = Checkpoint::open(note.as_bytes(), known)
            .map_err(|e| failed(format!("the checkpoint of {scroll}: {e}")))?;
        let to = Directory::new(to.join(scroll));
        let from = match to.checkpoint(NOTE_BYTES_MAX as u64)? {
            Some(bytes) => earlier(&writer, scroll, &to, &bytes, known, &checkpoint)?,
            None => 0,
        };
        Ok(Self { scroll: scroll.to_owned(), to, from, checkpoint, note })
    }

    /// Writes what is missing, then the checkpoint. The writer is held for one file at a time only.
    pub fn write(self, ledger: &Ledger, progress: Progress<'_>) -> Result<Exported, Failure> {
        let (from, size) = (self.from, self.checkpoint.size);
        let mut new = NewFiles::new(&self.to);
        let total = (tile::tiles_between(from, size).count()
            + tile::entries_between(from, size).count()) as u64;
        let mut done = 0;
        let mut step = || {
            done += 1;
            progress(&self.scroll, done, total);
        };
        for path in tile::entries_between(from, size) {
            let bytes = bundle(&ledger.writer(), &self.scroll, &path)?;
            new.keep_or_write(&path.to_string(), &bytes)?;
            step();
        }
        for path in tile::tiles_between(from, size) {
            let bytes = hash_tile(&ledger.writer(), &self.scroll, &path)?;
            new.keep_or_write(&path.to_string(), &bytes)?;
            step();
        }
        let (files, bytes) = new.finish()?;
        self.to.publish(self.note.as_bytes())?;
        let all = tile::tiles_for(size).count() + tile::entries_for(size).count();
        let removed = self.remove_partials()?;
        Ok(Exported { size, from, files, bytes, kept: all as u64 - files, removed })
    }

    /// Takes away partial files beside which the full one stands under the new checkpoint. Narrower ones beside a wider
    /// one stay: somebody may still hold the checkpoint that names them.
    fn remove_partials(&self) -> Result<u64, Failure> {
        let width = u64::from(TILE_WIDTH);
        let mut removed = 0;
        for level in 0..8_u8 {
            let shift = u32::from(level * TILE_HEIGHT);
            let (edge, full) =
                ((self.from >> shift) / width, (self.checkpoint.size >> shift) / width);
            let tile = TilePath { level, index: edge, width: TILE_WIDTH };
            removed += self.to.remove_partials(&tile.to_string(), edge, full)?;
            if level == 0 {
                let bundle = EntriesPath { index: edge, width: TILE_WIDTH };
                removed += self.to.remove_partials(&bundle.to_string(), edge, full)?;
            }
        }
        Ok(removed)
    }
}

/// Size of the export that is there, which this ledger must extend.
fn earlier(
    writer: &Writer,
    scroll: &str,
    to: &Directory,
    bytes: &[u8],
    known: &[Vkey],
    ours: &Checkpoint,
) -> Result<u64, Failure> {
    let file = to.path("checkpoint");
    let file = file.display();
    let refuse = |code: &str, what: String| -> Failure {
        Refusal::conflict(code, what)
            .hint("Nothing was written. Name another directory, or look at which of the two is the older copy.")
            .into()
    };
    let (there, _) = Checkpoint::open(bytes, known).map_err(|e| {
        let what = format!("{file} is no checkpoint of {} by this ledger's key: {e}", ours.origin);
        refuse("export_of_other_log", what)
    })?;
    if there.origin != ours.origin {
        let what = format!("{file} is a checkpoint of {}, not of {}", there.origin, ours.origin);
        return Err(refuse("export_of_other_log", what));
    }
    if there.size > ours.size {
        let what = format!(
            "{file} covers {} receipts of {scroll}, but this ledger has {}",
            there.size, ours.size
        );
        return Err(refuse("export_ahead", what));
    }
    if root_at(writer, scroll, there.size)? != Some(there.root) {
        let what = format!(
            "{file} covers other first {} receipts of {} than this ledger has: one name signed two histories",
            there.size, ours.origin
        );
        return Err(refuse("export_forked", what));
    }
    Ok(there.size)
}

fn failed(what: String) -> Failure {
    Failure::Fault(Fault::new("tile_failed", what))
}

fn root_at(writer: &Writer, scroll: &str, size: u64) -> Result<Option<Hash>, Failure> {
    writer.with_tiles(scroll, |hashes| hashes.root_at(size))
}

fn hash_tile(writer: &Writer, scroll: &str, path: &TilePath) -> Result<Vec<u8>, Failure> {
    writer.with_tiles(scroll, |hashes| {
        tile::tile_bytes(path, &mut |level, index| hashes.fetch(level, index))
    })
}

fn bundle(writer: &Writer, scroll: &str, path: &EntriesPath) -> Result<Vec<u8>, Failure> {
    let first = path.index * u64::from(TILE_WIDTH);
    let lines = writer.read_checked(scroll, first, usize::from(path.width))?;
    tile::encode_bundle(&lines).map_err(|e| failed(e.to_string()))
}
