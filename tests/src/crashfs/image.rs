//! A whole file system at one instant, and what a crash can leave of it.

use crate::world::Dice;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use vm_ledger::fs::parent;

/// Unit in which a disk takes bytes.
pub const BLOCK: usize = 512;

/// From this length on a file counts as the same in [`Image::digest`] only if it is the same memory.
const LARGE_BYTES: usize = 64 * 1024;

/// A fast hash for telling images apart; nobody attacks it here.
#[derive(Clone, Copy)]
struct Mix(u64);

impl Mix {
    fn number(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.number(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.number(u64::from(*byte)));
    }
}

/// One file.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// What readers see.
    cache: Arc<Vec<u8>>,
    /// What the disk holds.
    disk: Arc<Vec<u8>>,
    /// Blocks of `cache` that the next sync writes.
    pub(super) dirty: BTreeSet<usize>,
    /// Whether the length waits for a sync.
    resized: bool,
    /// Shortest length since the last sync.
    low: usize,
}

impl File {
    fn settled(bytes: Arc<Vec<u8>>) -> Self {
        let low = bytes.len();
        Self { cache: bytes.clone(), disk: bytes, dirty: BTreeSet::new(), resized: false, low }
    }

    fn is_clean(&self) -> bool {
        self.dirty.is_empty() && !self.resized
    }

    fn mark(&mut self, from: usize, to: usize) {
        if to > from {
            self.dirty.extend(from / BLOCK..=(to - 1) / BLOCK);
        }
        self.resized = true;
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        let from = self.cache.len();
        Arc::make_mut(&mut self.cache).extend_from_slice(bytes);
        self.mark(from, from + bytes.len());
    }

    /// What readers see.
    pub(super) fn seen(&self) -> &Arc<Vec<u8>> {
        &self.cache
    }

    /// Writes over what is there; what lies between is zeros.
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        let (before, end) = (self.cache.len(), at + bytes.len());
        let cache = Arc::make_mut(&mut self.cache);
        cache.resize(before.max(end), 0);
        cache[at..end].copy_from_slice(bytes);
        let resized = self.resized || end > before;
        self.mark(at, end);
        self.resized = resized;
    }

    /// Adds zeros up to this length.
    pub(super) fn lengthen(&mut self, len: usize) {
        Arc::make_mut(&mut self.cache).resize(len, 0);
        self.resized = true;
    }

    pub(super) fn truncate(&mut self, len: usize) {
        Arc::make_mut(&mut self.cache).truncate(len);
        self.low = self.low.min(len);
        self.dirty.retain(|block| block * BLOCK < len);
        self.resized = true;
    }

    /// Moves these blocks to the disk, and the length too if asked.
    fn take(&mut self, blocks: &[usize], length: bool) {
        let disk = Arc::make_mut(&mut self.disk);
        if length {
            disk.truncate(self.low);
            disk.resize(self.cache.len(), 0);
        }
        for block in blocks {
            let from = block * BLOCK;
            let to = (from + BLOCK).min(self.cache.len());
            if from < to {
                if disk.len() < to {
                    disk.resize(to, 0);
                }
                disk[from..to].copy_from_slice(&self.cache[from..to]);
            }
        }
    }

    /// Moves these blocks to the disk before anybody asked for it; a cut that waited goes first.
    pub(super) fn take_early(&mut self, blocks: &[usize]) {
        if !blocks.is_empty() {
            Arc::make_mut(&mut self.disk).truncate(self.low);
            self.low = self.cache.len();
            self.take(blocks, false);
            blocks.iter().for_each(|block| {
                self.dirty.remove(block);
            });
        }
    }

    fn clean(&mut self) {
        self.dirty.clear();
        self.resized = false;
        self.low = self.cache.len();
    }

    pub(super) fn sync(&mut self) {
        let blocks: Vec<usize> = self.dirty.iter().copied().collect();
        self.take(&blocks, self.resized);
        self.clean();
        if self.disk == self.cache {
            self.disk = self.cache.clone();
        }
    }

    /// A sync that fails: some blocks arrive, all are marked clean.
    pub(super) fn fail_sync(&mut self, dice: &mut Dice) {
        let nothing = dice.below(2) == 0;
        let blocks: Vec<usize> =
            self.dirty.iter().copied().filter(|_| !nothing && dice.below(2) == 0).collect();
        let length = self.resized && !nothing && dice.below(2) == 0;
        self.take(&blocks, length);
        self.clean();
    }

    /// What the disk holds after a crash.
    fn crashed(&self, pick: &mut dyn FnMut(usize) -> usize) -> Arc<Vec<u8>> {
        if self.is_clean() {
            return self.disk.clone();
        }
        let lengths = self.lengths();
        let len = lengths[pick(lengths.len())];
        let mut bytes = self.disk[..self.disk.len().min(len)].to_vec();
        bytes.resize(len, 0);
        for block in &self.dirty {
            let (from, to) = (block * BLOCK, ((block + 1) * BLOCK).min(len).min(self.cache.len()));
            if from >= to || bytes[from..to] == self.cache[from..to] {
                continue;
            }
            if pick(2) == 1 {
                bytes[from..to].copy_from_slice(&self.cache[from..to]);
            }
        }
        Arc::new(bytes)
    }

    /// Lengths the file can have after a crash: the old one first, the new one last.
    fn lengths(&self) -> Vec<usize> {
        let (old, new) = (self.disk.len(), self.cache.len());
        let mut all = vec![old];
        if self.resized {
            let borders = (old / BLOCK + 1..).map(|b| b * BLOCK).take_while(|b| *b < new);
            all.extend(borders);
            all.extend([self.low, new]);
            let mut seen = BTreeSet::new();
            all.retain(|len| seen.insert(*len));
            all.retain(|len| *len != new || old == new);
            if old != new {
                all.push(new);
            }
        }
        all
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    File(u64),
    Directory,
}

/// A change of names that waits for the directory's sync.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Put(String, Node),
    /// Waits for both directories, which are one where a name stays in its directory.
    Move {
        from: String,
        to: String,
        node: Node,
        /// The directory that was synced already.
        synced: Option<String>,
    },
    Drop(String),
}

impl Change {
    /// Takes note that a directory was synced; whether the change is durable now.
    pub(super) fn settles(&mut self, dir: &str) -> bool {
        match self {
            Change::Put(path, _) | Change::Drop(path) => parent(path) == dir,
            Change::Move { from, to, synced, .. } => {
                if parent(from) != dir && parent(to) != dir {
                    return false;
                }
                let other = synced.as_deref().is_some_and(|before| before != dir);
                let whole = parent(from) == parent(to) || other;
                synced.get_or_insert_with(|| dir.to_owned());
                whole
            }
        }
    }

    pub(super) fn apply(&self, names: &mut BTreeMap<String, Node>) {
        match self {
            Change::Put(path, node) => {
                names.insert(path.clone(), *node);
            }
            Change::Move { from, to, node, .. } => {
                names.remove(from);
                let content: Vec<String> = below(names, from).cloned().collect();
                for path in content {
                    if let Some(node) = names.remove(&path) {
                        names.insert(format!("{to}{}", &path[from.len()..]), node);
                    }
                }
                names.insert(to.clone(), *node);
            }
            Change::Drop(path) => {
                names.remove(path);
                // A directory was empty for readers; what the disk still holds of it goes with it.
                let content: Vec<String> = below(names, path).cloned().collect();
                for path in content {
                    names.remove(&path);
                }
            }
        }
    }
}

fn is_below(path: &str, under: &str) -> bool {
    path.strip_prefix(under).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Paths below a directory; none below a file.
pub(super) fn below<'a>(
    names: &'a BTreeMap<String, Node>,
    dir: &str,
) -> impl Iterator<Item = &'a String> {
    let start = format!("{dir}/");
    let end = format!("{dir}0");
    names.range(start..end).map(|(path, _)| path)
}

/// A whole file system at one instant: what readers see, and what the disk holds.
#[derive(Clone, Debug, Default)]
pub struct Image {
    files: Arc<BTreeMap<u64, Arc<File>>>,
    pub(super) names: Arc<BTreeMap<String, Node>>,
    pub(super) held: Arc<BTreeMap<String, Node>>,
    pub(super) waiting: Vec<Change>,
    next: u64,
}

impl Image {
    /// The state after a crash in which `pick` decides what had reached the disk; 0 is always "had not".
    pub fn crashed(&self, pick: &mut dyn FnMut(usize) -> usize) -> Image {
        let mut names = self.held.clone();
        for change in &self.waiting {
            if pick(2) == 1 {
                change.apply(Arc::make_mut(&mut names));
            }
        }
        // A name under a directory that is not there cannot be reached any more.
        let reached = |path: &str| parent(path).is_empty() || names.contains_key(parent(path));
        let lost: Vec<String> = names.keys().filter(|path| !reached(path)).cloned().collect();
        for path in lost {
            let below = format!("{path}/");
            Arc::make_mut(&mut names).retain(|name, _| *name != path && !name.starts_with(&below));
        }
        let mut files = self.files.clone();
        for node in names.values() {
            if let Node::File(number) = node {
                let file = &self.files[number];
                if !(file.is_clean() && Arc::ptr_eq(&file.cache, &file.disk)) {
                    let after = Arc::new(File::settled(file.crashed(pick)));
                    Arc::make_mut(&mut files).insert(*number, after);
                }
            }
        }
        Image { files, held: names.clone(), names, waiting: Vec::new(), next: self.next }
    }

    /// The same with everything that waits lost.
    pub fn all_lost(&self) -> Image {
        self.crashed(&mut |_| 0)
    }

    /// The same with everything that waits kept. What a failed sync lied about is gone all the same.
    pub fn all_kept(&self) -> Image {
        self.crashed(&mut |limit| limit - 1)
    }

    /// Whether anything waits for a sync, or readers see bytes that the disk does not hold.
    pub fn is_settled(&self) -> bool {
        let clean = |f: &Arc<File>| f.is_clean() && f.cache == f.disk;
        let reached = self.names.values().filter_map(|node| match node {
            Node::File(number) => Some(&self.files[number]),
            Node::Directory => None,
        });
        self.waiting.is_empty() && reached.into_iter().all(clean)
    }

    /// A file under this path with bytes that wait for a sync.
    pub fn unsynced(&self, under: &str) -> Option<&str> {
        let dirty = |node: &Node| match node {
            Node::File(number) => !self.files[number].is_clean(),
            Node::Directory => false,
        };
        let file = self.names.iter().find(|(path, node)| is_below(path, under) && dirty(node));
        file.map(|(path, _)| path.as_str())
    }

    /// A name under this path that waits for the sync of its directory.
    pub fn unnamed(&self, under: &str) -> Option<&str> {
        self.waiting.iter().find_map(|change| match change {
            Change::Put(path, _) | Change::Drop(path) => {
                is_below(path, under).then_some(path.as_str())
            }
            Change::Move { from, to, .. } => {
                (is_below(from, under) || is_below(to, under)).then_some(to.as_str())
            }
        })
    }

    /// All paths of directories, in order.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        let dirs = self.names.iter().filter(|(_, node)| matches!(node, Node::Directory));
        dirs.map(|(path, _)| path.as_str())
    }

    /// Puts a directory there, durably.
    pub fn plant_dir(&mut self, path: &str) {
        Arc::make_mut(&mut self.names).insert(path.to_owned(), Node::Directory);
        Arc::make_mut(&mut self.held).insert(path.to_owned(), Node::Directory);
    }

    /// A digest of what readers see and of what the disk holds.
    pub fn digest(&self) -> u64 {
        let mut mix = Mix(0);
        let settled = self.is_settled();
        mix.number(u64::from(settled));
        for (path, node) in self.names.iter() {
            mix.bytes(path.as_bytes());
            if let Node::File(number) = node {
                let bytes = &self.files[number].cache;
                match bytes.len() < LARGE_BYTES {
                    true => mix.bytes(bytes),
                    false => mix.number(Arc::as_ptr(bytes).addr() as u64),
                }
            }
        }
        if !settled {
            mix.bytes(format!("{:?} {:?}", self.held, self.waiting).as_bytes());
            for (number, file) in
                self.files.iter().filter(|(_, f)| !f.is_clean() || f.cache != f.disk)
            {
                mix.number(*number);
                mix.bytes(&file.disk);
                mix.bytes(format!("{:?} {} {}", file.dirty, file.resized, file.low).as_bytes());
            }
        }
        mix.0
    }

    /// What readers see of a file.
    pub fn read(&self, path: &str) -> Option<Arc<Vec<u8>>> {
        match self.names.get(path)? {
            Node::File(number) => Some(self.files[number].cache.clone()),
            Node::Directory => None,
        }
    }

    /// All paths of files, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let files = self.names.iter().filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path.as_str())
    }

    /// Puts a file there, durably, as somebody else would do it.
    pub fn plant(&mut self, path: &str, bytes: Vec<u8>) {
        let number = self.next;
        self.next += 1;
        Arc::make_mut(&mut self.files).insert(number, Arc::new(File::settled(Arc::new(bytes))));
        Arc::make_mut(&mut self.names).insert(path.to_owned(), Node::File(number));
        Arc::make_mut(&mut self.held).insert(path.to_owned(), Node::File(number));
    }

    /// Takes a file away, durably.
    pub fn unplant(&mut self, path: &str) {
        Arc::make_mut(&mut self.names).remove(path);
        Arc::make_mut(&mut self.held).remove(path);
    }

    pub(super) fn file(&mut self, path: &str) -> io::Result<&mut File> {
        let number = self.number(path).ok_or_else(|| missing(path))?;
        Ok(self.numbered(number).expect("each name has its file"))
    }

    /// Number of the file under a name.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        match self.names.get(path) {
            Some(Node::File(number)) => Some(*number),
            _ => None,
        }
    }

    /// A file by its number, whether it has a name or not.
    pub(super) fn numbered(&mut self, number: u64) -> Option<&mut File> {
        Arc::make_mut(&mut self.files).get_mut(&number).map(Arc::make_mut)
    }

    /// What readers of a file see that they have open.
    pub(super) fn open_file(&self, number: u64) -> Option<Arc<Vec<u8>>> {
        self.files.get(&number).map(|file| file.seen().clone())
    }

    pub(super) fn create(&mut self, path: &str) -> io::Result<()> {
        let above = parent(path);
        if !above.is_empty() && self.names.get(above) != Some(&Node::Directory) {
            return Err(missing(above));
        }
        let node = Node::File(self.next);
        Arc::make_mut(&mut self.files).insert(self.next, Arc::default());
        self.next += 1;
        self.change(Change::Put(path.to_owned(), node));
        Ok(())
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(Arc::make_mut(&mut self.names));
        self.waiting.push(change);
    }
}

pub(super) fn missing(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{path} is not there"))
}

/// What a crash can leave of an image: every combination if there are at most `limit`, else the two extremes and
/// samples by `dice`. Without repetitions.
pub fn crash_states(image: &Image, limit: usize, dice: &mut Dice) -> Vec<Image> {
    let mut seen = BTreeSet::new();
    let mut states = Vec::new();
    let mut keep = |state: Image, states: &mut Vec<Image>| {
        if seen.insert(state.digest()) {
            states.push(state);
        }
    };
    let mut path: Vec<(usize, usize)> = Vec::new();
    for _ in 0..=limit {
        let mut at = 0;
        let state = image.crashed(&mut |choices| {
            if at == path.len() {
                path.push((0, choices));
            }
            at += 1;
            path[at - 1].0
        });
        keep(state, &mut states);
        while path.last().is_some_and(|(choice, choices)| choice + 1 == *choices) {
            path.pop();
        }
        match path.last_mut() {
            Some((choice, _)) => *choice += 1,
            None => return states,
        }
    }
    // Too many: what the walk found lies in one corner, so it is dropped for an even sample.
    let (mut seen, mut states) = (BTreeSet::new(), Vec::new());
    for n in 0..limit {
        let state = match n {
            0 => image.all_lost(),
            1 => image.all_kept(),
            _ => image.crashed(&mut |choices| dice.below(choices)),
        };
        if seen.insert(state.digest()) {
            states.push(state);
        }
    }
    states
}
