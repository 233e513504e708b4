//! `vm export --tiles`: a scroll as a C2SP tlog-tiles directory that any static web server can publish.

use crate::home::io_fault;
use crate::ledger::Ledger;
use crate::writer::Writer;
use std::fs;
use std::io;
use std::path::Path;
use vm_contracts::{Failure, Fault, Refusal};
use vm_scrolls::tile::{self, EntriesPath};
use vm_scrolls::tree::ProofError;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tiles {
    /// Leaves of the published tree.
    pub size: u64,
    /// Files written now.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there already.
    pub kept: u64,
}

/// Writes tiles, entry bundles and, last, the checkpoint that covers them. What is there already is kept.
pub fn export_tiles(ledger: &Ledger, scroll: &str, to: &Path) -> Result<Tiles, Failure> {
    let mut writer = ledger.writer();
    writer.publish()?;
    let Some(found) = writer.scrolls.get(scroll) else {
        return Err(Refusal::not_found(
            "unknown_scroll",
            format!("this ledger has no scroll {scroll:?}"),
        )
        .into());
    };
    let mut out = Tiles { size: found.size(), ..Tiles::default() };
    let dir = to.join(scroll);
    let corrupt = |e: ProofError| Failure::Fault(Fault::new("tile_failed", e.to_string()));
    for path in tile::tiles_for(out.size) {
        let bytes = tile::tile_bytes(&path, &mut |level, index| found.tree.fetch(level, index))
            .map_err(corrupt)?;
        keep_or_write(&dir.join(path.to_string()), &bytes, &mut out)?;
    }
    for path in tile::entries_for(out.size) {
        let bytes = bundle(&writer, scroll, &path)?;
        keep_or_write(&dir.join(path.to_string()), &bytes, &mut out)?;
    }
    let note = writer.notes.get(scroll).cloned().unwrap_or_default();
    let checkpoint = dir.join("checkpoint");
    write(&checkpoint, note.as_bytes()).map_err(|e| io_fault("write", &checkpoint, &e))?;
    Ok(out)
}

fn bundle(writer: &Writer, scroll: &str, path: &EntriesPath) -> Result<Vec<u8>, Failure> {
    let first = path.index * u64::from(tile::TILE_WIDTH);
    let lines = writer.read_checked(scroll, first, usize::from(path.width))?;
    tile::encode_bundle(&lines)
        .map_err(|e| Failure::Fault(Fault::new("tile_failed", e.to_string())))
}

/// Keeps a file that already holds these bytes; anything else under its name is replaced.
fn keep_or_write(path: &Path, bytes: &[u8], out: &mut Tiles) -> Result<(), Failure> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        out.kept += 1;
        return Ok(());
    }
    write(path, bytes).map_err(|e| io_fault("write", path, &e))?;
    out.files += 1;
    out.bytes += bytes.len() as u64;
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, bytes)?;
    fs::File::open(&temporary)?.sync_all()?;
    fs::rename(&temporary, path)
}
