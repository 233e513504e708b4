//! The bytes of an index in checked blocks: a bit that turned over in the file is an error when its block is read,
//! never another answer.
//!
//! The store above writes its pages of 4,096 bytes where nothing committed lies, and one header in place, which says
//! which pages are committed. Here each page becomes a block with a check of eight bytes behind it. The header shares
//! its first sector with our own check, so a disk that writes sectors whole never leaves a torn one.
//!
//! Nothing reaches the file before the first write transaction has called [`Blocks::arm`]: opening an index and
//! reading it costs no write and no sync.

use super::trouble::Trouble;
use crate::fs::Paged;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Bytes of the store in one block.
pub(super) const BLOCK: usize = 4096;
/// Bytes of a block in the file.
const STRIDE: usize = BLOCK + CHECK;
const CHECK: usize = 8;
/// Where the first block begins; only the first sector before it is used.
const FIRST: u64 = 4096;
/// One sector, which a disk writes whole.
const HEAD: usize = 512;
/// What the store keeps in its block 0.
const HEADER: usize = 320;
const HEADER_AT: usize = 24;
const MAGIC: &[u8; 8] = b"vmindex\x01";

/// Blocks that wait for a sync; more are written to the file early.
const WAITING_MAX: usize = 512;
/// Blocks written at once.
const RUN_MAX: usize = 64;

/// One index file in checked blocks.
pub(super) struct Blocks {
    file: Arc<dyn Paged>,
    inside: RwLock<Inside>,
    trouble: Arc<Trouble>,
}

struct Inside {
    /// Length as the store sees it.
    len: u64,
    header: [u8; HEADER],
    /// Length or header differ from what the file was told.
    changed: bool,
    /// Blocks as they will stand in the file, by number.
    waiting: BTreeMap<u64, Vec<u8>>,
    /// Whether the file may be written.
    armed: bool,
    /// Whether the store is being left: what it still wants to write is not needed.
    left: bool,
}

/// What a file holds.
pub(super) enum Opened {
    /// Blocks of a store.
    Old(Arc<Blocks>),
    /// Nothing.
    New(Arc<Blocks>),
    /// Something else, and why.
    Damaged(String),
}

impl Blocks {
    /// Looks at a file.
    pub(super) fn open(file: Arc<dyn Paged>, trouble: Arc<Trouble>) -> io::Result<Opened> {
        let header = [0; HEADER];
        let (waiting, changed) = (BTreeMap::new(), false);
        let mut inside = Inside { len: 0, header, changed, waiting, armed: false, left: false };
        let len = file.len()?;
        let new = len == 0;
        if !new {
            if len < FIRST {
                return Ok(Opened::Damaged("it is cut off".to_owned()));
            }
            let mut head = [0; HEAD];
            file.read_at(0, &mut head)?;
            match read_head(&head) {
                Ok((len, header)) => (inside.len, inside.header) = (len, header),
                Err(why) => return Ok(Opened::Damaged(why.to_owned())),
            }
        }
        let blocks = Arc::new(Self { file, inside: RwLock::new(inside), trouble });
        Ok(if new { Opened::New(blocks) } else { Opened::Old(blocks) })
    }

    /// Lets the file be written. What the store changed in its header while it was opened is made durable first: a
    /// header that an earlier process could not sync must not stay behind blocks that are about to be written.
    pub(super) fn arm(&self) -> io::Result<()> {
        let mut inside = self.write_inside();
        if !std::mem::replace(&mut inside.armed, true) {
            inside.changed = true;
            self.settle(inside)?;
        }
        Ok(())
    }

    /// Refuses all writes from now on.
    pub(super) fn leave(&self) {
        self.write_inside().left = true;
    }

    fn inside(&self) -> RwLockReadGuard<'_, Inside> {
        self.inside.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_inside(&self) -> RwLockWriteGuard<'_, Inside> {
        self.inside.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error of this file, kept as the reason of all that follow.
    fn failed(&self, what: String) -> io::Error {
        self.trouble.note(&what);
        io::Error::new(io::ErrorKind::InvalidData, what)
    }

    fn read_block(&self, inside: &Inside, number: u64, out: &mut [u8]) -> io::Result<()> {
        if let Some(block) = inside.waiting.get(&number) {
            out.copy_from_slice(&block[..BLOCK]);
            return Ok(());
        }
        let mut block = [0; STRIDE];
        self.file.read_at(place(number), &mut block).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => self.failed(format!("block {number} is not there")),
            _ => self.failed(format!("block {number} cannot be read: {e}")),
        })?;
        let (bytes, check) = block.split_at(BLOCK);
        if check != check_of(number, bytes) {
            return Err(self.failed(format!("block {number} does not read")));
        }
        out.copy_from_slice(bytes);
        Ok(())
    }

    /// Writes what waits, in runs of neighbours.
    fn spill(&self, inside: &mut Inside) -> io::Result<()> {
        let mut run = Vec::with_capacity(RUN_MAX.min(inside.waiting.len()) * STRIDE);
        let (mut first, mut next) = (0, 0);
        for (number, block) in &inside.waiting {
            if *number != next || run.len() == RUN_MAX * STRIDE {
                if !run.is_empty() {
                    self.file.write_at(place(first), &run)?;
                    run.clear();
                }
                first = *number;
            }
            run.extend_from_slice(block);
            next = number + 1;
        }
        if !run.is_empty() {
            self.file.write_at(place(first), &run)?;
        }
        inside.waiting.clear();
        Ok(())
    }

    /// Makes everything durable.
    fn settle(&self, mut inside: RwLockWriteGuard<'_, Inside>) -> io::Result<()> {
        self.spill(&mut inside)?;
        if std::mem::take(&mut inside.changed) {
            let head = head_of(inside.len, &inside.header);
            // The space up to the first block belongs to the head, so that a file without blocks is a whole one.
            match self.file.len()? < FIRST {
                true => {
                    let mut space = head.to_vec();
                    space.resize(usize::try_from(FIRST).unwrap_or(BLOCK), 0);
                    self.file.write_at(0, &space)?;
                }
                false => self.file.write_at(0, &head)?,
            }
        }
        // Whoever reads meanwhile must not wait for the disk.
        drop(inside);
        self.file.sync()
    }

    fn check_writable(inside: &Inside) -> io::Result<()> {
        match inside.left {
            true => Err(io::Error::other("the index is closed")),
            false => Ok(()),
        }
    }
}

/// Where a block stands in the file; block 0 is the header's.
fn place(number: u64) -> u64 {
    FIRST + (number - 1) * STRIDE as u64
}

/// The check of a block binds its bytes to its number, so that blocks cannot change places.
fn check_of(number: u64, bytes: &[u8]) -> [u8; CHECK] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes()).update(bytes);
    *hasher.finalize().as_bytes().first_chunk().expect("a digest has 32 bytes")
}

fn head_of(len: u64, header: &[u8; HEADER]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(MAGIC);
    head[8..16].copy_from_slice(&len.to_le_bytes());
    head[HEADER_AT..HEADER_AT + HEADER].copy_from_slice(header);
    let check = check_of(0, &head[..HEAD - CHECK]);
    head[HEAD - CHECK..].copy_from_slice(&check);
    head
}

fn read_head(head: &[u8; HEAD]) -> Result<(u64, [u8; HEADER]), &'static str> {
    let (said, check) = head.split_at(HEAD - CHECK);
    if check != check_of(0, said) {
        return Err("its first sector does not read");
    }
    if !said.starts_with(MAGIC) {
        return Err("it is of another format");
    }
    let len = u64::from_le_bytes(*said[8..].first_chunk().expect("the sector is longer"));
    Ok((len, *said[HEADER_AT..].first_chunk().expect("the sector is longer")))
}

/// First block and number of blocks of an access; the store only moves whole pages, besides its header.
fn whole_blocks(offset: u64, bytes: usize) -> io::Result<u64> {
    let block = BLOCK as u64;
    match offset > 0 && offset.is_multiple_of(block) && bytes.is_multiple_of(BLOCK) {
        true => Ok(offset / block),
        false => Err(io::Error::other(format!("{bytes} bytes at {offset} are no whole blocks"))),
    }
}

/// The blocks as redb sees them.
pub(super) struct Backend(pub(super) Arc<Blocks>);

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Backend")
    }
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.inside().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inside = self.0.inside();
        let end = offset.checked_add(out.len() as u64).filter(|end| *end <= inside.len);
        if end.is_none() {
            return Err(self.0.failed(format!("byte {offset} lies beyond its end")));
        }
        if let Some(end) = end.and_then(|end| usize::try_from(end).ok()).filter(|e| *e <= HEADER) {
            out.copy_from_slice(&inside.header[end - out.len()..end]);
            return Ok(());
        }
        let first = whole_blocks(offset, out.len())?;
        for (number, block) in (first..).zip(out.chunks_exact_mut(BLOCK)) {
            self.0.read_block(&inside, number, block)?;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inside = self.0.write_inside();
        Blocks::check_writable(&inside)?;
        let blocks = len / BLOCK as u64;
        if len < inside.len {
            inside.waiting.split_off(&blocks);
            let end = place(blocks.max(1));
            if inside.armed && self.0.file.len()? > end {
                self.0.file.set_len(end)?;
            }
        }
        // The file itself grows by what is written: an index of a few lines is a few blocks.
        (inside.len, inside.changed) = (len, true);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let inside = self.0.write_inside();
        Blocks::check_writable(&inside)?;
        match inside.armed {
            true => self.0.settle(inside),
            false => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inside = self.0.write_inside();
        Blocks::check_writable(&inside)?;
        if offset == 0 && data.len() == HEADER {
            inside.header.copy_from_slice(data);
            inside.changed = true;
            return Ok(());
        }
        let first = whole_blocks(offset, data.len())?;
        for (number, bytes) in (first..).zip(data.chunks_exact(BLOCK)) {
            let mut block = Vec::with_capacity(STRIDE);
            block.extend_from_slice(bytes);
            block.extend_from_slice(&check_of(number, bytes));
            inside.waiting.insert(number, block);
        }
        match inside.armed && inside.waiting.len() > WAITING_MAX {
            true => self.0.spill(&mut inside),
            false => Ok(()),
        }
    }
}
