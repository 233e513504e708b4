//! Tiles: the tree and its entries cut into files that never change once full (C2SP tlog-tiles).
//!
//! Paths, widths and bytes only; who stores or serves them is the caller's matter. Hashes above tile
//! height are never taken from partial tiles.

mod nodes;

use std::fmt;
use std::str::FromStr;

use crate::tree::{Hash, MAX_SIZE, ProofError, node_hash};

pub use nodes::{Cutter, TileNodes};

/// Hashes or entries in a full tile.
pub const TILE_WIDTH: u16 = 256;
/// Levels of the tree that one tile spans.
pub const TILE_HEIGHT: u8 = 8;
/// Highest tile level a path may name (C2SP tlog-tiles).
pub const LEVEL_MAX: u8 = 63;
/// Largest tile number, from the largest tree.
const TILE_INDEX_MAX: u64 = MAX_SIZE >> TILE_HEIGHT;
/// Longest entry a bundle can hold, from its 16-bit length.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Why a path or the bytes of a tile were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TileError {
    /// The path is not in the one spelling; `byte` is where it shows.
    Path {
        /// Offset in the path.
        byte: usize,
        /// What was expected there.
        expected: &'static str,
    },
    /// A tile has another number of bytes than 32 for every hash.
    TileLength {
        /// Bytes the tile must have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// A bundle ends inside an entry or its length.
    BundleCut {
        /// Offset at which the entry begins.
        byte: usize,
    },
    /// A bundle holds another number of entries than its width.
    BundleCount {
        /// Entries its path promises.
        expected: usize,
        /// Entries it holds.
        found: usize,
    },
    /// An entry is longer than 65,535 bytes.
    EntryTooLong {
        /// Position in the bundle.
        entry: usize,
        /// Its length.
        length: usize,
    },
}

impl TileError {
    /// Stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Path { .. } => "tile_path_malformed",
            Self::TileLength { .. } => "tile_wrong_length",
            Self::BundleCut { .. } => "bundle_cut",
            Self::BundleCount { .. } => "bundle_wrong_count",
            Self::EntryTooLong { .. } => "entry_too_long",
        }
    }
}

impl fmt::Display for TileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { byte, expected } => {
                write!(f, "not a tile path (byte {byte}): expected {expected}")
            }
            Self::TileLength { expected, found } => {
                write!(f, "the tile must have {expected} bytes, it has {found}")
            }
            Self::BundleCut { byte } => write!(f, "the bundle ends inside an entry (byte {byte})"),
            Self::BundleCount { expected, found } => {
                write!(f, "the bundle must have {expected} entries, it has {found}")
            }
            Self::EntryTooLong { entry, length } => {
                write!(f, "entry {entry} has {length} bytes, {ENTRY_BYTES_MAX} are allowed")
            }
        }
    }
}

impl std::error::Error for TileError {}

/// Place of a hash tile: `tile/<L>/<N>[.p/<W>]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TilePath {
    /// Tile level, 0..=63; its hashes stand at tree level `8 * level`.
    pub level: u8,
    /// Number of the tile in its level.
    pub index: u64,
    /// Hashes in it, 1..=256; 256 is a full tile.
    pub width: u16,
}

/// Place of an entry bundle: `tile/entries/<N>[.p/<W>]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntriesPath {
    /// Number of the bundle.
    pub index: u64,
    /// Entries in it, 1..=256.
    pub width: u16,
}

impl TilePath {
    /// Whether the tile is full and will never change.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Parses a path; only the spelling that `to_string` prints is accepted.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let rest = strip(path, 0, "tile/")?;
        let at = path.len() - rest.len();
        let Some((level, rest)) = rest.split_once('/') else {
            return Err(TileError::Path { byte: at, expected: "a level and a slash" });
        };
        let level = number(level, at, u64::from(LEVEL_MAX), "a level, 0 to 63")?;
        let (index, width) = index_and_width(rest, path.len() - rest.len())?;
        Ok(Self { level: level as u8, index, width })
    }
}

impl EntriesPath {
    /// Whether the bundle is full and will never change.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Parses a path; only the spelling that `to_string` prints is accepted.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let rest = strip(path, 0, "tile/entries/")?;
        let (index, width) = index_and_width(rest, path.len() - rest.len())?;
        Ok(Self { index, width })
    }
}

impl FromStr for TilePath {
    type Err = TileError;
    fn from_str(path: &str) -> Result<Self, TileError> {
        Self::parse(path)
    }
}

impl FromStr for EntriesPath {
    type Err = TileError;
    fn from_str(path: &str) -> Result<Self, TileError> {
        Self::parse(path)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_index(f, self.index, self.width)
    }
}

impl fmt::Display for EntriesPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        write_index(f, self.index, self.width)
    }
}

fn write_index(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let mut groups = vec![index % 1000];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(rest % 1000);
        rest /= 1000;
    }
    for (place, group) in groups.iter().enumerate().rev() {
        if place > 0 {
            write!(f, "x{group:03}/")?;
        } else {
            write!(f, "{group:03}")?;
        }
    }
    if width < TILE_WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
}

fn strip<'a>(text: &'a str, at: usize, prefix: &'static str) -> Result<&'a str, TileError> {
    text.strip_prefix(prefix).ok_or(TileError::Path { byte: at, expected: prefix })
}

/// A decimal without sign or leading zeros, at most `max`.
fn number(text: &str, byte: usize, max: u64, expected: &'static str) -> Result<u64, TileError> {
    let canonical =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let value = if canonical { text.parse().ok() } else { None };
    value.filter(|v| *v <= max).ok_or(TileError::Path { byte, expected })
}

fn index_and_width(text: &str, at: usize) -> Result<(u64, u16), TileError> {
    let (groups, width) = match text.split_once(".p/") {
        None => (text, TILE_WIDTH),
        Some((groups, width)) => {
            let byte = at + groups.len() + 3;
            let value = number(width, byte, 255, "a width, 1 to 255")?;
            if value == 0 {
                return Err(TileError::Path { byte, expected: "a width, 1 to 255" });
            }
            (groups, value as u16)
        }
    };
    Ok((index_of(groups, at)?, width))
}

fn index_of(text: &str, at: usize) -> Result<u64, TileError> {
    let expected = "groups of three digits, all but the last after an x";
    let mut index: u64 = 0;
    let mut byte = at;
    let mut groups = text.split('/').peekable();
    let mut first = true;
    while let Some(group) = groups.next() {
        let fault = TileError::Path { byte, expected };
        let more = groups.peek().is_some();
        let digits = if more { group.strip_prefix('x') } else { Some(group) };
        let digits = digits.filter(|d| d.len() == 3 && d.bytes().all(|b| b.is_ascii_digit()));
        let value: u64 = digits.and_then(|d| d.parse().ok()).ok_or(fault.clone())?;
        // A leading x000 would be a second spelling of the same number.
        if first && more && value == 0 {
            return Err(fault);
        }
        // The bound also keeps the arithmetic inside 64 bits.
        index = index * 1000 + value;
        if index > TILE_INDEX_MAX {
            return Err(fault);
        }
        byte += group.len() + 1;
        first = false;
    }
    Ok(index)
}

/// All hash tiles of a tree of `size` leaves, level by level, partial ones included.
pub fn tiles_for(size: u64) -> impl Iterator<Item = TilePath> {
    tiles_between(0, size)
}

/// The hash tiles that a tree of `new` leaves has and the tree of `old` leaves did not have.
pub fn tiles_between(old: u64, new: u64) -> impl Iterator<Item = TilePath> {
    (0..8u8)
        .map(move |level| (level, hashes_at(old, level), hashes_at(new, level)))
        .take_while(|(_, _, new)| *new > 0)
        .flat_map(|(level, old, new)| {
            pieces(old, new).map(move |(index, width)| TilePath { level, index, width })
        })
}

/// All entry bundles of a tree of `size` leaves.
pub fn entries_for(size: u64) -> impl Iterator<Item = EntriesPath> {
    entries_between(0, size)
}

/// The entry bundles that a tree of `new` leaves has and the tree of `old` leaves did not have.
pub fn entries_between(old: u64, new: u64) -> impl Iterator<Item = EntriesPath> {
    pieces(old, new).map(|(index, width)| EntriesPath { index, width })
}

/// Number of complete subtrees of height `8 * level` in a tree of `size` leaves.
fn hashes_at(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0)
}

fn pieces(old: u64, new: u64) -> impl Iterator<Item = (u64, u16)> {
    let width = u64::from(TILE_WIDTH);
    let full = (old / width..new / width).map(|index| (index, TILE_WIDTH));
    let partial = (new % width) as u16;
    full.chain((new > old && partial > 0).then_some((new / width, partial)))
}

/// Bytes of a hash tile, from complete subtrees as in `tree::inclusion_proof`.
pub fn tile_bytes<E>(
    path: &TilePath,
    fetch: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<u8>, E> {
    let mut bytes = Vec::with_capacity(usize::from(path.width) * 32);
    for place in 0..u64::from(path.width) {
        let index = path.index.saturating_mul(u64::from(TILE_WIDTH)).saturating_add(place);
        bytes.extend_from_slice(&fetch(path.level.saturating_mul(TILE_HEIGHT), index)?);
    }
    Ok(bytes)
}

/// Reads the bytes of a hash tile; its length must be exactly 32 for every hash of its width.
pub fn read_tile(path: &TilePath, bytes: &[u8]) -> Result<Vec<Hash>, TileError> {
    let expected = usize::from(path.width) * 32;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if bytes.len() != expected || !rest.is_empty() {
        return Err(TileError::TileLength { expected, found: bytes.len() });
    }
    Ok(hashes.to_vec())
}

/// The tile of the tree of `size` leaves that holds what the complete subtree (`level`, `index`) needs.
/// Refused when that subtree is not complete in the tree.
pub fn tile_of_subtree(size: u64, level: u8, index: u64) -> Result<TilePath, ProofError> {
    let complete = size.checked_shr(u32::from(level)).unwrap_or(0);
    if index >= complete {
        return Err(ProofError::IndexOutOfRange { index, size: complete });
    }
    let tile_level = level / TILE_HEIGHT;
    let first = index << (level % TILE_HEIGHT);
    let tile_index = first / u64::from(TILE_WIDTH);
    let in_level = hashes_at(size, tile_level) - tile_index * u64::from(TILE_WIDTH);
    let width = in_level.min(u64::from(TILE_WIDTH)) as u16;
    Ok(TilePath { level: tile_level, index: tile_index, width })
}

/// Hash of the complete subtree (`level`, `index`) from the hashes of the tile `tile_of_subtree` named;
/// `None` when the tile does not reach that far.
#[must_use]
pub fn subtree_in_tile(level: u8, index: u64, hashes: &[Hash]) -> Option<Hash> {
    let height = level % TILE_HEIGHT;
    let first = (index << height) % u64::from(TILE_WIDTH);
    let mut row = hashes.get(first as usize..)?.get(..1 << height)?.to_vec();
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied()
}

/// Encodes entries as a bundle: 16-bit big-endian length, then the bytes, for each; at most 256 entries.
pub fn encode_bundle<B: AsRef<[u8]>>(
    entries: impl IntoIterator<Item = B>,
) -> Result<Vec<u8>, TileError> {
    let mut bytes = Vec::new();
    let mut count = 0;
    for (entry, body) in entries.into_iter().enumerate() {
        let body = body.as_ref();
        let length = u16::try_from(body.len())
            .map_err(|_| TileError::EntryTooLong { entry, length: body.len() })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(body);
        count = entry + 1;
    }
    check_count(usize::from(TILE_WIDTH), count, count <= usize::from(TILE_WIDTH))?;
    Ok(bytes)
}

fn check_count(expected: usize, found: usize, ok: bool) -> Result<(), TileError> {
    if ok { Ok(()) } else { Err(TileError::BundleCount { expected, found }) }
}

/// Decodes a bundle of exactly `width` entries, without bytes left over.
pub fn decode_bundle(width: u16, bytes: &[u8]) -> Result<Vec<&[u8]>, TileError> {
    let expected = usize::from(width);
    let mut entries = Vec::with_capacity(expected.min(usize::from(TILE_WIDTH)));
    let mut rest = bytes;
    while !rest.is_empty() {
        check_count(expected, entries.len() + 1, entries.len() < expected)?;
        let cut = TileError::BundleCut { byte: bytes.len() - rest.len() };
        let (length, body) = rest.split_first_chunk::<2>().ok_or(cut.clone())?;
        let (entry, more) =
            body.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(cut)?;
        entries.push(entry);
        rest = more;
    }
    check_count(expected, entries.len(), entries.len() == expected)?;
    Ok(entries)
}
