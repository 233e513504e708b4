//! Whether the tiles on disk are those of the lines, for `vm fsck`. Reads only.

use super::files::Tiles;
use super::mend::belongs;
use crate::fs::Fs;
use std::sync::Arc;
use vm_contracts::{Failure, Fault};
use vm_scrolls::tile::{Cutter, TILE_WIDTH, TilePath};
use vm_scrolls::tree::Hash;

/// A file that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Path in the home.
    pub file: String,
    /// What is wrong.
    pub what: String,
    /// It is merely in the way; the tiles do without it.
    pub stray: bool,
    /// It is not there, as a crash may leave it.
    pub missing: bool,
}

/// Compares the tiles of a scroll with its leaf hashes, given in order; returns how many leaves the tiles hold.
pub fn check(
    fs: &Arc<dyn Fs>,
    scroll: &str,
    leaves: &mut dyn Iterator<Item = Result<Hash, Failure>>,
    wrong: &mut dyn FnMut(Wrong),
) -> Result<u64, Failure> {
    let tiles = Tiles::open(fs.clone(), scroll);
    let (size, strays) = tiles.stored_on_disk()?;
    for file in strays {
        let what = "it is no tile of the stored tree".to_owned();
        wrong(Wrong { file, what, stray: true, missing: false });
    }
    let mut compare = |tile: TilePath, hashes: &[Hash]| -> Result<(), Failure> {
        let file = tiles.path(&tile);
        let (what, missing) = match tiles.read(&file, &tile) {
            Ok(Some(there)) if there == hashes => return Ok(()),
            Ok(Some(_)) => ("it does not hold the hashes of the receipts".to_owned(), false),
            Ok(None) => ("it is missing".to_owned(), true),
            Err((_, what)) => (what, false),
        };
        wrong(Wrong { file, what, stray: false, missing });
        Ok(())
    };
    let mut cutter = Cutter::new();
    let mut seen = 0;
    while seen < size {
        let Some(leaf) = leaves.next() else { break };
        cutter.push(leaf?, &mut compare)?;
        seen += 1;
    }
    cutter.finish(&mut compare)?;
    if seen < size {
        let what = format!("it holds hashes of {size} receipts where {seen} are");
        let file = super::files::dir_of(scroll);
        wrong(Wrong { file, what, stray: false, missing: false });
    }
    Ok(size)
}

impl Tiles {
    /// How many leaves the tiles are named for, and the files that are none of theirs.
    fn stored_on_disk(&self) -> Result<(u64, Vec<String>), Fault> {
        let mut files = Vec::new();
        let mut size = 0;
        self.walk(&mut |file, tile| {
            if let Some(tile) = tile.filter(|tile| tile.level == 0) {
                size = size.max(tile.index * u64::from(TILE_WIDTH) + u64::from(tile.width));
            }
            files.push((file.to_owned(), tile));
            Ok(())
        })?;
        let stray = |(file, tile): (String, Option<TilePath>)| match tile {
            // A narrower partial tile of a tree that has grown since is left from a crash.
            Some(tile) if belongs(&tile, size) => None,
            _ => Some(file),
        };
        Ok((size, files.into_iter().filter_map(stray).collect()))
    }
}
