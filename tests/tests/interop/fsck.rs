//! What `vm fsck` says of the tiles in a home.

use crate::Log;
use std::sync::Arc;
use vm_ledger::fs::Fs;
use vm_ledger::fsck::{Finding, Level, fsck};
use vm_ledger::hashes::{Hashes, Tiles};
use vm_scrolls::tree::leaf_hash;
use vm_tests::memfs::MemoryFs;
use vm_tests::world::{ENGINES, keys, settings};

/// A home of this many receipts, closed, with their tiles.
fn with_tiles(size: u64) -> Arc<MemoryFs> {
    let mut log = Log::new("kept in tiles");
    log.grow(size);
    log.ledger.flush().unwrap();
    let did = format!("{}\n", keys().issuer.public().did());
    log.fs.write("keys/issuer.did", did.as_bytes()).unwrap();
    log.fs.write("keys/log.vkey", format!("{}\n", log.vkey()).as_bytes()).unwrap();
    let tiles = Arc::new(Tiles::open(log.fs.clone(), "toy"));
    let mut hashes = Hashes::over(tiles.clone(), 0, Vec::new()).unwrap();
    let mut push = |bytes: &[u8], _: &_| {
        hashes.push(leaf_hash(bytes));
        true
    };
    log.ledger.lines("toy", 0, &mut push).unwrap();
    tiles.store(&hashes.pending()).unwrap();
    log.fs
}

/// What is said of tiles: level and place.
fn said(fs: &Arc<MemoryFs>) -> Vec<(Level, String)> {
    let disk: Arc<dyn Fs> = fs.clone();
    let (verdict, findings) = fsck(&disk, &settings(), &ENGINES, &mut |_, _, _| {});
    assert_eq!(verdict.exit_code(), 0, "{verdict:?}");
    let of_tiles = |f: Finding| f.subject.starts_with("tiles/").then_some((f.level, f.subject));
    findings.into_iter().filter_map(of_tiles).collect()
}

#[test]
fn fsck_names_every_tile_that_is_not_as_the_receipts() {
    let fs = with_tiles(700);
    assert_eq!(said(&fs), [(Level::Ok, "tiles/toy".to_owned())]);
    let whole = fs.files();
    let full = "tiles/toy/tile/0/001".to_owned();
    let mut bytes = whole[&full].clone();
    bytes[77] ^= 4;
    fs.write(&full, &bytes).unwrap();
    assert_eq!(said(&fs), [(Level::Problem, full.clone())]);
    fs.remove(&full).unwrap();
    assert_eq!(said(&fs), [(Level::Note, full.clone())]);
    fs.write(&full, &whole[&full]).unwrap();
    let partial = "tiles/toy/tile/0/002.p/188".to_owned();
    fs.write(&partial, &whole[&partial][..32]).unwrap();
    assert_eq!(said(&fs), [(Level::Problem, partial.clone())]);
    fs.write(&partial, &whole[&partial]).unwrap();
    fs.write("tiles/toy/tile.tmp", b"cut off").unwrap();
    assert_eq!(said(&fs), [(Level::Note, "tiles/toy/tile.tmp".to_owned())]);
}
