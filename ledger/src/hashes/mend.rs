//! Tiles made again from the lines: those found damaged, or all of them.

use super::files::{Known, Tiles, dir_of, hashes_at};
use super::{ReadLines, Trouble};
use crate::segments::SEGMENT_LINES;
use std::collections::HashSet;
use vm_contracts::{Corrupt, Failure, Fault};
use vm_scrolls::tile::{Cutter, TILE_HEIGHT, TILE_WIDTH, TileNodes, TilePath};
use vm_scrolls::tree::{Frontier, Hash, leaf_hash};

/// Lines read at a time: 1,024 of the longest are 64 MiB, of the usual ones less than 1 MiB.
const CHUNK: u64 = 1_024;
/// Deeper than any tile lies; links in a circle are not followed for ever.
const DEPTH_MAX: usize = 12;
/// Names kept of what was rebuilt; the rest is only counted.
const NAMES_MAX: usize = 100;

/// Called with each file and the tile it is named as.
type Visit<'a> = &'a mut dyn FnMut(&str, Option<TilePath>) -> Result<(), Fault>;

/// What was made again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Tiles written.
    pub tiles: u64,
    /// Their paths in the home, the first hundred.
    pub names: Vec<String>,
    /// Files taken away that no tile of this size is.
    pub removed: u64,
}

impl Rebuilt {
    /// Adds what another round made.
    pub fn add(&mut self, other: Self) {
        self.tiles += other.tiles;
        self.removed += other.removed;
        let room = NAMES_MAX - self.names.len().min(NAMES_MAX);
        self.names.extend(other.names.into_iter().take(room));
    }

    fn note(&mut self, name: String) {
        self.tiles += 1;
        if self.names.len() < NAMES_MAX {
            self.names.push(name);
        }
    }
}

impl Tiles {
    /// Makes all tiles of the first `size` lines again, writing only those that differ, and takes away what is none of
    /// them. Returns the peaks of those lines: compare their root with one that was signed. `read` must not wait for
    /// whoever may be waiting to store tiles.
    pub fn rebuild(
        &self,
        size: u64,
        read: ReadLines<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Rebuilt, Vec<Hash>), Failure> {
        let mut rebuilt = Rebuilt::default();
        let mut dirs = self.writing();
        let mut put = |tile: TilePath, hashes: &[Hash]| -> Result<(), Failure> {
            let file = self.path(&tile);
            if self.read(&file, &tile).is_ok_and(|there| there.as_deref() == Some(hashes)) {
                return Ok(());
            }
            self.write(&mut dirs, &tile, hashes)?;
            rebuilt.note(file);
            Ok(())
        };
        let (mut cutter, mut frontier) = (Cutter::new(), Frontier::new());
        while frontier.size() < size {
            let at = frontier.size();
            for leaf in self.leaves(at, CHUNK.min(size - at), read)? {
                cutter.push(leaf, &mut put)?;
                frontier.push(leaf);
            }
            progress(frontier.size(), size);
        }
        cutter.finish(&mut put)?;
        rebuilt.removed = self.sweep(size, &mut dirs)?;
        self.forget_read();
        self.damaged().clear();
        Ok((rebuilt, frontier.peaks().to_vec()))
    }

    /// Makes the tiles noted as damaged again.
    pub(super) fn mend(
        &self,
        stored: u64,
        known: Known<'_>,
        read: ReadLines<'_>,
    ) -> Result<Rebuilt, Failure> {
        let noted = std::mem::take(&mut *self.damaged());
        let mut rebuilt = Rebuilt::default();
        // Parents first: a tile is held against its parent.
        for tile in noted.into_iter().rev() {
            let made = self.mend_one(stored, known, (tile.level, tile.index), read, &mut rebuilt);
            if let Err(failure) = made {
                self.damaged().insert(tile);
                return Err(failure);
            }
        }
        Ok(rebuilt)
    }

    fn mend_one(
        &self,
        stored: u64,
        known: Known<'_>,
        (level, index): (u8, u64),
        read: ReadLines<'_>,
        rebuilt: &mut Rebuilt,
    ) -> Result<(), Failure> {
        let first = index.saturating_mul(u64::from(TILE_WIDTH));
        let count = hashes_at(stored, level).saturating_sub(first).min(u64::from(TILE_WIDTH));
        if count == 0 {
            return Ok(());
        }
        let tile = TilePath { level, index, width: count as u16 };
        match self.nodes(stored, known, &tile) {
            Ok(_) => return Ok(()),
            Err(Trouble::Range(e)) => return Err(Fault::from(Trouble::Range(e)).into()),
            Err(Trouble::Damaged(_)) => {}
        }
        let above = (level + 1, index / u64::from(TILE_WIDTH));
        if tile.is_full() && known(above.0 * TILE_HEIGHT, index).is_none() {
            self.mend_one(stored, known, above, read, rebuilt)?;
        }
        let nodes = match self.made_of_children(stored, known, &tile)? {
            Some(nodes) => nodes,
            None => self.made_of_lines(stored, known, &tile, read)?,
        };
        // It is right whether it can be written or not; the next process makes it again if it has to.
        let _ = self.write(&mut self.writing(), &tile, nodes.hashes());
        rebuilt.note(self.path(&tile));
        self.keep(&tile, nodes);
        self.damaged().remove(&tile);
        Ok(())
    }

    /// The tile from the roots of the tiles below it, if they are there and lead to what is known.
    fn made_of_children(
        &self,
        stored: u64,
        known: Known<'_>,
        tile: &TilePath,
    ) -> Result<Option<TileNodes>, Failure> {
        let Some(level) = tile.level.checked_sub(1) else { return Ok(None) };
        let mut hashes = Vec::with_capacity(usize::from(tile.width));
        for place in 0..u64::from(tile.width) {
            let index = tile.index * u64::from(TILE_WIDTH) + place;
            let child = TilePath { level, index, width: TILE_WIDTH };
            let Ok((_, below)) = self.look_for(&child) else { return Ok(None) };
            hashes.extend(TileNodes::new(index, below).root());
        }
        let nodes = TileNodes::new(tile.index, hashes);
        let fits = self.fits(stored, known, tile, &nodes).map_err(Fault::from)?;
        Ok(fits.then_some(nodes))
    }

    /// The tile from the lines below it. They are held against what is known before anything is written.
    fn made_of_lines(
        &self,
        stored: u64,
        known: Known<'_>,
        tile: &TilePath,
        read: ReadLines<'_>,
    ) -> Result<TileNodes, Failure> {
        let span = 1_u64 << (u32::from(tile.level) * u32::from(TILE_HEIGHT));
        let first = tile.index * u64::from(TILE_WIDTH) * span;
        let end = first + u64::from(tile.width) * span;
        let (mut hashes, mut frontier) = (Vec::new(), Frontier::new());
        let mut at = first;
        while at < end {
            for leaf in self.leaves(at, CHUNK.min(end - at), read)? {
                frontier.push(leaf);
                if frontier.size() == span {
                    hashes.push(std::mem::take(&mut frontier).root());
                }
                at += 1;
            }
        }
        let nodes = TileNodes::new(tile.index, hashes);
        if self.fits(stored, known, tile, &nodes).map_err(Fault::from)? {
            return Ok(nodes);
        }
        let scroll = self.scroll();
        let claim = format!(
            "{scroll}/{first} to {scroll}/{} are not the lines that the root covers",
            end - 1
        );
        let file = crate::segments::segment_path(scroll, first - first % SEGMENT_LINES);
        let hint = "No tile was changed. `vm verify` says what is still provable.";
        Err(Corrupt { file, line: None, byte: None, claim, hint: Some(hint.into()) }.into())
    }

    /// Leaf hashes of `count` lines.
    fn leaves(&self, at: u64, count: u64, read: ReadLines<'_>) -> Result<Vec<Hash>, Failure> {
        let lines = read(at, count as usize)?;
        if lines.is_empty() || lines.len() as u64 > count {
            let what =
                format!("{} lines were read at {}/{at}, not {count}", lines.len(), self.scroll());
            return Err(Fault::new("read_failed", what).into());
        }
        Ok(lines.iter().map(|line| leaf_hash(line)).collect())
    }

    /// Takes away the files that are no tile of a tree of `size` leaves; returns how many.
    fn sweep(&self, size: u64, dirs: &mut HashSet<String>) -> Result<u64, Fault> {
        let mut removed = 0;
        let failed = |file: &str, e: std::io::Error| self.io_fault("remove", file, &e);
        let mut emptied = HashSet::new();
        self.walk(&mut |file, tile| {
            if tile.is_none_or(|tile| !belongs(&tile, size)) {
                self.fs.remove(file).map_err(|e| failed(file, e))?;
                removed += 1;
                emptied.insert(crate::fs::parent(file).to_owned());
            }
            Ok(())
        })?;
        for dir in emptied.into_iter().filter(|dir| dir.ends_with(".p")) {
            if self.fs.list(&dir).map_err(|e| failed(&dir, e))?.is_empty() {
                self.fs.remove_dir(&dir).map_err(|e| failed(&dir, e))?;
                dirs.remove(&dir);
            }
        }
        Ok(removed)
    }

    /// Visits every file below the scroll's tiles, with the tile it is named as.
    pub(super) fn walk(&self, visit: Visit<'_>) -> Result<(), Fault> {
        let top = dir_of(self.scroll());
        let mut left = vec![top.clone()];
        while let Some(dir) = left.pop() {
            let names = self.fs.list(&dir).map_err(|e| self.io_fault("list", &dir, &e))?;
            for name in names {
                let path = format!("{dir}/{name}");
                // What is no regular file is a directory, or nothing that could be read as a tile.
                match self.fs.regular(&path) {
                    Ok(Some(_)) => {
                        visit(&path, TilePath::parse(&path[top.len() + 1..]).ok())?;
                    }
                    Ok(None) | Err(_) if path.matches('/').count() < DEPTH_MAX => left.push(path),
                    Ok(None) | Err(_) => {}
                }
            }
        }
        Ok(())
    }
}

/// Whether a tree of `size` leaves has this tile.
pub(super) fn belongs(tile: &TilePath, size: u64) -> bool {
    let hashes = hashes_at(size, tile.level);
    match tile.is_full() {
        true => tile.index < hashes / u64::from(TILE_WIDTH),
        false => {
            tile.index == hashes / u64::from(TILE_WIDTH)
                && u64::from(tile.width) == hashes % u64::from(TILE_WIDTH)
        }
    }
}
