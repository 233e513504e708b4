//! Tile files of one scroll: found, read, held against what is known, kept for the next question, written.

use super::{TILES_DAMAGED, Trouble};
use crate::fs::{Fs, parent};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use vm_contracts::Fault;
use vm_scrolls::tile::{self, TILE_HEIGHT, TILE_WIDTH, TileNodes, TilePath};
use vm_scrolls::tree::Hash;

/// Tiles kept in memory once read: with all their nodes 16 KiB each, so 4 MiB.
pub const TILES_KEPT: usize = 256;
/// A partial tile that is looked for may be replaced by a wider one at that moment; then it is looked for again.
const LOOKS_MAX: usize = 4;

/// What is known of the tree from a trusted place: level and index of a complete subtree.
pub(super) type Known<'a> = &'a dyn Fn(u8, u64) -> Option<Hash>;

/// A tile that is missing or is not what the root covers.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    /// Path in the home of what was read.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

impl Damage {
    pub(super) fn fault(self) -> Fault {
        Fault::new(TILES_DAMAGED, format!("{}: {}", self.file, self.what))
            .hint("Tiles can be made again from the receipts; `vm reindex` does it.")
    }
}

/// The tiles of one scroll on disk.
pub struct Tiles {
    pub(super) fs: Arc<dyn Fs>,
    scroll: String,
    kept: Mutex<Kept>,
    /// Directories that are there. Whoever holds this is the one who writes.
    writing: Mutex<HashSet<String>>,
    /// Tiles found damaged and not made again yet.
    damaged: Mutex<BTreeSet<TilePath>>,
}

/// Tiles read lately.
struct Kept {
    room: usize,
    clock: u64,
    tiles: HashMap<(u8, u64), (u64, Arc<TileNodes>)>,
}

impl Tiles {
    /// The tiles of a scroll of this home; reads nothing.
    pub fn open(fs: Arc<dyn Fs>, scroll: &str) -> Self {
        Self::with_room(fs, scroll, TILES_KEPT)
    }

    /// The same, keeping this many tiles in memory.
    pub fn with_room(fs: Arc<dyn Fs>, scroll: &str, room: usize) -> Self {
        let kept = Kept { room: room.max(1), clock: 0, tiles: HashMap::new() };
        Self {
            fs,
            scroll: scroll.to_owned(),
            kept: Mutex::new(kept),
            writing: Mutex::default(),
            damaged: Mutex::default(),
        }
    }

    /// The scroll.
    pub fn scroll(&self) -> &str {
        &self.scroll
    }

    /// Path of a tile in the home.
    pub fn path(&self, tile: &TilePath) -> String {
        format!("{}/{tile}", dir_of(&self.scroll))
    }

    /// Whether the last tiles of a tree of this size are there: a quick look that reads none of them.
    pub fn reach(&self, size: u64) -> Result<bool, Fault> {
        for level in 0..=7 {
            let count = hashes_at(size, level);
            let Some(last) = count.checked_sub(1) else { break };
            let index = last / u64::from(TILE_WIDTH);
            let width = (count - index * u64::from(TILE_WIDTH)) as u16;
            let tile = TilePath { level, index, width };
            // A store whose index was not written after it has left a wider one.
            let mut there = false;
            for candidate in self.candidates(&tile) {
                let found = self.fs.regular(&self.path(&candidate));
                let found =
                    found.map_err(|e| self.io_fault("look at", &self.path(&candidate), &e))?;
                there |= found == Some(u64::from(candidate.width) * 32);
            }
            if !there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hash of a complete subtree of the tree of `stored` leaves.
    pub(super) fn subtree(
        &self,
        stored: u64,
        known: Known<'_>,
        level: u8,
        index: u64,
    ) -> Result<Hash, Trouble> {
        let tile = tile::tile_of_subtree(stored, level, index)?;
        let nodes = self.nodes(stored, known, &tile)?;
        nodes.subtree(level, index).ok_or_else(|| {
            let what = "it does not hold what its width says".to_owned();
            self.damage(&tile, self.path(&tile), what)
        })
    }

    /// A tile of the tree of `stored` leaves, held against its parent or, at the right edge, against the peaks.
    pub(super) fn nodes(
        &self,
        stored: u64,
        known: Known<'_>,
        tile: &TilePath,
    ) -> Result<Arc<TileNodes>, Trouble> {
        if let Some(nodes) = self.recall(tile) {
            return Ok(nodes);
        }
        let (file, hashes) =
            self.look_for(tile).map_err(|(file, what)| self.damage(tile, file, what))?;
        let nodes = TileNodes::new(tile.index, hashes);
        if !self.fits(stored, known, tile, &nodes)? {
            return Err(self.damage(tile, file, "it is not what the root covers".to_owned()));
        }
        Ok(self.keep(tile, nodes))
    }

    /// Whether these are the hashes that the peaks cover. An error when the parent itself cannot be had.
    pub(super) fn fits(
        &self,
        stored: u64,
        known: Known<'_>,
        tile: &TilePath,
        nodes: &TileNodes,
    ) -> Result<bool, Trouble> {
        if nodes.hashes().len() != usize::from(tile.width) {
            return Ok(false);
        }
        let base = tile.level * TILE_HEIGHT;
        if tile.is_full() {
            let level = base + TILE_HEIGHT;
            let expected = match known(level, tile.index) {
                Some(hash) => hash,
                None => self.subtree(stored, known, level, tile.index)?,
            };
            return Ok(nodes.root() == Some(expected));
        }
        // The largest subtrees of a partial tile are peaks of the whole tree, and those are in memory.
        Ok(nodes.peaks(tile.width).all(|(height, index)| {
            let expected = known(base + height, index);
            expected.is_some() && nodes.subtree(height, index) == expected
        }))
    }

    /// The hashes of a tile, as many as asked for, and the file they stand in. A partial tile may meanwhile have been
    /// replaced by a wider one.
    pub(super) fn look_for(
        &self,
        tile: &TilePath,
    ) -> Result<(String, Vec<Hash>), (String, String)> {
        for _ in 0..LOOKS_MAX {
            for candidate in self.candidates(tile) {
                let file = self.path(&candidate);
                if let Some(mut hashes) = self.read(&file, &candidate)? {
                    hashes.truncate(usize::from(tile.width));
                    return Ok((file, hashes));
                }
            }
            if tile.is_full() {
                break;
            }
        }
        Err((self.path(tile), "it is missing".to_owned()))
    }

    /// The tile itself, then those that hold it and more.
    fn candidates(&self, tile: &TilePath) -> impl Iterator<Item = TilePath> {
        let (tile, full) = (*tile, TilePath { width: TILE_WIDTH, ..*tile });
        let wider = std::iter::once_with(move || {
            let names = self.fs.list(&format!("{}.p", self.path(&full))).unwrap_or_default();
            let widths = names.iter().filter_map(|name| name.parse::<u16>().ok());
            let mut wider: Vec<u16> =
                widths.filter(|w| *w > tile.width && *w < TILE_WIDTH).collect();
            wider.sort_unstable();
            wider
        });
        let wider = wider.flatten().map(move |width| TilePath { width, ..tile });
        let others = (!tile.is_full()).then(|| std::iter::once(full).chain(wider));
        std::iter::once(tile).chain(others.into_iter().flatten())
    }

    /// What a tile file holds; `None` where there is none.
    pub(super) fn read(
        &self,
        file: &str,
        tile: &TilePath,
    ) -> Result<Option<Vec<Hash>>, (String, String)> {
        let wrong = |what: String| (file.to_owned(), what);
        let unreadable = |e: io::Error| wrong(format!("it cannot be read: {e}"));
        let expected = u64::from(tile.width) * 32;
        match self.fs.regular(file).map_err(unreadable)? {
            None => return Ok(None),
            Some(length) if length != expected => {
                return Err(wrong(format!("it has {length} bytes where {expected} must be")));
            }
            Some(_) => {}
        }
        match self.fs.read(file) {
            Ok(bytes) => tile::read_tile(tile, &bytes).map(Some).map_err(|e| wrong(e.to_string())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unreadable(e)),
        }
    }

    pub(super) fn damage(&self, tile: &TilePath, file: String, what: String) -> Trouble {
        self.damaged().insert(*tile);
        Trouble::Damaged(Damage { file, what })
    }

    pub(super) fn damaged(&self) -> MutexGuard<'_, BTreeSet<TilePath>> {
        self.damaged.lock().expect("no holder of this lock panics")
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no holder of this lock panics")
    }

    fn recall(&self, tile: &TilePath) -> Option<Arc<TileNodes>> {
        let mut kept = self.kept();
        kept.clock += 1;
        let now = kept.clock;
        let (used, nodes) = kept.tiles.get_mut(&(tile.level, tile.index))?;
        *used = now;
        (nodes.hashes().len() >= usize::from(tile.width)).then(|| nodes.clone())
    }

    pub(super) fn keep(&self, tile: &TilePath, nodes: TileNodes) -> Arc<TileNodes> {
        let nodes = Arc::new(nodes);
        let mut kept = self.kept();
        kept.clock += 1;
        let now = kept.clock;
        kept.tiles.insert((tile.level, tile.index), (now, nodes.clone()));
        if kept.tiles.len() > kept.room {
            let oldest = kept.tiles.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            oldest.and_then(|key| kept.tiles.remove(&key));
        }
        nodes
    }

    /// Forgets what was read, so that the next question looks at the disk.
    pub fn forget_read(&self) {
        self.kept().tiles.clear();
    }

    /// The right to write; holds the directories that are known to be there.
    pub(super) fn writing(&self) -> MutexGuard<'_, HashSet<String>> {
        self.writing.lock().expect("no holder of this lock panics")
    }

    /// Writes one tile under a temporary name and renames it, so that a reader sees it whole or not at all.
    pub(super) fn write(
        &self,
        dirs: &mut HashSet<String>,
        tile: &TilePath,
        hashes: &[Hash],
    ) -> Result<(), Fault> {
        let file = self.path(tile);
        let tried = self.try_write(dirs, &file, hashes);
        let written = match tried {
            // Somebody took the directories away: they are made again, once.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                dirs.clear();
                self.try_write(dirs, &file, hashes)
            }
            other => other,
        };
        written.map_err(|e| self.io_fault("write", &file, &e))
    }

    fn try_write(&self, dirs: &mut HashSet<String>, file: &str, hashes: &[Hash]) -> io::Result<()> {
        self.make_dirs(dirs, parent(file))?;
        let temporary = format!("{}/tile.tmp", dir_of(&self.scroll));
        self.fs.write(&temporary, hashes.as_flattened())?;
        self.fs.rename(&temporary, file)
    }

    fn make_dirs(&self, dirs: &mut HashSet<String>, dir: &str) -> io::Result<()> {
        if dir.is_empty() || dirs.contains(dir) {
            return Ok(());
        }
        self.make_dirs(dirs, parent(dir))?;
        self.fs.create_dir(dir)?;
        dirs.insert(dir.to_owned());
        Ok(())
    }

    /// Removes the partial tiles beside a tile that is full now; returns how many.
    pub(super) fn remove_partials(
        &self,
        dirs: &mut HashSet<String>,
        level: u8,
        index: u64,
    ) -> Result<u64, Fault> {
        let full = self.path(&TilePath { level, index, width: TILE_WIDTH });
        let dir = format!("{full}.p");
        let failed = |e: io::Error| self.io_fault("remove", &dir, &e);
        let mut removed = 0;
        for name in self.fs.list(&dir).map_err(failed)? {
            self.fs.remove(&format!("{dir}/{name}")).map_err(failed)?;
            removed += 1;
        }
        self.fs.remove_dir(&dir).map_err(failed)?;
        dirs.remove(&dir);
        Ok(removed)
    }

    pub(super) fn io_fault(&self, verb: &str, file: &str, e: &io::Error) -> Fault {
        Fault::new("tile_failed", format!("cannot {verb} {file}: {e}"))
            .hint("No receipt depends on it. Look at the disk; `vm reindex` makes tiles again.")
    }
}

/// Directory of a scroll's tiles in the home.
pub(super) fn dir_of(scroll: &str) -> String {
    format!("tiles/{scroll}")
}

/// Number of complete subtrees at tile level `level` of a tree of `size` leaves.
pub(super) fn hashes_at(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0)
}
