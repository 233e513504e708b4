//! Trees over tiles on a real disk, beside the same tree in memory.

use super::*;
use crate::fs::{Disk, Fs};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use vm_scrolls::tile::{TilePath, tiles_for};
use vm_scrolls::tree::{MemoryTree, leaf_hash};

const SCROLL: &str = "toy";

fn line(seq: u64) -> Vec<u8> {
    format!("line {seq}").into_bytes()
}

fn leaf(seq: u64) -> Hash {
    leaf_hash(&line(seq))
}

#[allow(clippy::unnecessary_wraps, reason = "it stands for a reader that can fail")]
fn lines(first: u64, count: usize) -> Result<Vec<Vec<u8>>, Failure> {
    Ok((first..first + count as u64).map(line).collect())
}

struct Room {
    _dir: tempfile::TempDir,
    home: PathBuf,
    disk: Arc<dyn Fs>,
}

impl Room {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_owned();
        let disk: Arc<dyn Fs> = Arc::new(Disk::new(&home, home.join("guard")));
        Self { _dir: dir, home, disk }
    }

    fn tiles(&self) -> Arc<Tiles> {
        Arc::new(Tiles::with_room(self.disk.clone(), SCROLL, 8))
    }

    fn path(&self, tile: &str) -> PathBuf {
        self.home.join("tiles").join(SCROLL).join(tile)
    }
}

/// A tree of `size` leaves with all of it in tiles.
fn stored(room: &Room, size: u64) -> Hashes {
    let mut hashes = Hashes::over(room.tiles(), 0, vec![]).unwrap();
    (0..size).for_each(|seq| hashes.push(leaf(seq)));
    store(&mut hashes);
    hashes
}

fn store(hashes: &mut Hashes) -> Stored {
    let done = hashes.tiles().unwrap().store(&hashes.pending()).unwrap();
    hashes.stored(done.size);
    done
}

/// The same tree as a new process sees it: peaks alone in memory.
fn reopened(room: &Room, memory: &MemoryTree) -> Hashes {
    let peaks = memory.frontier().peaks().to_vec();
    Hashes::over(room.tiles(), memory.size(), peaks).unwrap()
}

fn memory(size: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    tree.extend((0..size).map(leaf));
    tree
}

/// Names of all files below the tiles of the scroll, with their bytes.
fn on_disk(room: &Room) -> BTreeMap<String, Vec<u8>> {
    fn walk(top: &Path, dir: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(top, &path, into);
            } else {
                let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
                into.insert(name, fs::read(path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    let top = room.home.join("tiles").join(SCROLL);
    if top.is_dir() {
        walk(&top, &top, &mut files);
    }
    files
}

fn expected_files(memory: &MemoryTree) -> BTreeMap<String, Vec<u8>> {
    let bytes =
        |t: &TilePath| vm_scrolls::tile::tile_bytes(t, &mut |l, i| memory.fetch(l, i)).unwrap();
    tiles_for(memory.size()).map(|t| (t.to_string(), bytes(&t))).collect()
}

/// Compares proofs of some leaves, and between some sizes, with those of the whole tree.
fn compare(hashes: &Hashes, memory: &MemoryTree, step: usize) {
    let size = memory.size();
    assert_eq!((hashes.size(), hashes.root()), (size, memory.root()));
    for seq in (0..size).step_by(step).chain(size.checked_sub(1)) {
        assert_eq!(hashes.leaf(seq).unwrap(), memory.subtree(0, seq).unwrap());
        let proof = hashes.inclusion_proof(size, seq).unwrap();
        assert_eq!(proof, memory.inclusion_proof(size, seq).unwrap(), "{seq} in {size}");
        let older = seq + 1;
        assert_eq!(hashes.root_at(older).unwrap(), memory.root_at(older));
        let proof = hashes.inclusion_proof(older, seq / 2).unwrap();
        assert_eq!(proof, memory.inclusion_proof(older, seq / 2).unwrap());
        let proof = hashes.consistency_proof(older, size).unwrap();
        assert_eq!(proof, memory.consistency_proof(older, size).unwrap());
    }
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

#[test]
fn proofs_from_tiles_are_those_of_the_whole_tree_at_every_small_size() {
    for size in (1..40).chain([255, 256, 257, 300, 511, 512, 513]) {
        let room = Room::new();
        let memory = memory(size);
        compare(&stored(&room, size), &memory, 1 + size as usize / 7);
        compare(&reopened(&room, &memory), &memory, 1 + size as usize / 7);
        assert_eq!(on_disk(&room), expected_files(&memory));
    }
}

#[test]
fn storing_and_forgetting_at_any_point_changes_no_proof() {
    for seed in 0..24 {
        let mut dice = Dice(seed);
        let room = Room::new();
        let mut memory = MemoryTree::new();
        let mut hashes = Hashes::over(room.tiles(), 0, vec![]).unwrap();
        for _ in 0..12 {
            for _ in 0..dice.below(700) {
                memory.push(leaf(memory.size()));
                hashes.push(leaf(hashes.size()));
            }
            match dice.below(4) {
                0 => {}
                1 => {
                    store(&mut hashes);
                    hashes = reopened(&room, &memory);
                }
                2 => {
                    // The writer goes on while tiles are written.
                    let pending = hashes.pending();
                    for _ in 0..dice.below(300) {
                        memory.push(leaf(memory.size()));
                        hashes.push(leaf(hashes.size()));
                    }
                    hashes.tiles().unwrap().store(&pending.clone()).unwrap();
                    compare(&hashes, &memory, 301);
                    hashes.stored(pending.size());
                }
                _ => assert_eq!(store(&mut hashes).size, memory.size()),
            }
            compare(&hashes, &memory, 97);
        }
        store(&mut hashes);
        assert_eq!(on_disk(&room), expected_files(&memory), "seed {seed}");
    }
}

#[test]
fn a_tree_across_65536_leaves_is_proved_from_tiles() {
    let room = Room::new();
    let mut memory = memory(65_500);
    let mut hashes = stored(&room, 65_500);
    for target in [65_535, 65_536, 65_537, 65_900] {
        while hashes.size() < target {
            memory.push(leaf(hashes.size()));
            hashes.push(leaf(hashes.size()));
        }
        let done = store(&mut hashes);
        assert!(done.files <= 6 && done.bytes <= 5 * 8_192, "{done:?}");
        compare(&hashes, &memory, 9_001);
        compare(&reopened(&room, &memory), &memory, 9_001);
    }
    assert_eq!(on_disk(&room), expected_files(&memory));
}

#[test]
fn a_process_that_opens_behind_its_tiles_finds_the_wider_ones() {
    let room = Room::new();
    drop(stored(&room, 1_000));
    for size in [900, 999, 700, 300, 256] {
        let behind = memory(size);
        let mut hashes = reopened(&room, &behind);
        compare(&hashes, &behind, 41);
        (size..1_000).for_each(|seq| hashes.push(leaf(seq)));
        store(&mut hashes);
        compare(&hashes, &memory(1_000), 41);
    }
}

/// One way to spoil a tile.
type Spoil = fn(&Path, &Path);

const SPOILS: [(&str, Spoil); 7] = [
    ("deleted", |tile, _| fs::remove_file(tile).unwrap()),
    ("short", |tile, _| {
        let bytes = fs::read(tile).unwrap();
        fs::write(tile, &bytes[..bytes.len() - 1]).unwrap();
    }),
    ("empty", |tile, _| fs::write(tile, b"").unwrap()),
    ("zeroed", |tile, _| fs::write(tile, vec![0; fs::read(tile).unwrap().len()]).unwrap()),
    ("one bit", |tile, _| {
        let mut bytes = fs::read(tile).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 0x10;
        fs::write(tile, bytes).unwrap();
    }),
    ("of a neighbour", |tile, other| {
        let mut bytes = fs::read(other).unwrap();
        bytes.resize(fs::read(tile).unwrap().len(), 7);
        fs::write(tile, bytes).unwrap();
    }),
    ("of another scroll", |tile, _| {
        let bytes = fs::read(tile).unwrap();
        let foreign: Vec<u8> =
            (0..bytes.len() as u64 / 32).flat_map(|n| leaf_hash(&n.to_be_bytes())).collect();
        fs::write(tile, foreign).unwrap();
    }),
];

/// Spoils one tile and says that every answer is right or names that tile; after mending all is right.
fn spoil(room: &Room, memory: &MemoryTree, tile: &str, neighbour: &str, below: u64) {
    let whole = on_disk(room);
    for (how, spoil) in SPOILS {
        spoil(&room.path(tile), &room.path(neighbour));
        assert_ne!(on_disk(room), whole, "{tile} {how}: the damage is none");
        let hashes = reopened(room, memory);
        let size = memory.size();
        let mut named = 0;
        for seq in (0..size).step_by(size as usize / 30).chain([below]) {
            match hashes.inclusion_proof(size, seq) {
                Ok(proof) => assert_eq!(proof, memory.inclusion_proof(size, seq).unwrap()),
                Err(fault) => {
                    assert_eq!(fault.code, TILES_DAMAGED);
                    assert!(
                        fault.message.starts_with(&format!("tiles/{SCROLL}/{tile}")),
                        "{how}: {}",
                        fault.message
                    );
                    named += 1;
                }
            }
        }
        assert!(named > 0, "{tile} {how} was not noticed");
        if ["short", "one bit"].contains(&how) {
            let mut wrong = Vec::new();
            let mut leaves = (0..size).map(|seq| Ok(memory.subtree(0, seq).unwrap()));
            check(&room.disk, SCROLL, &mut leaves, &mut |w| wrong.push(w.file)).unwrap();
            assert_eq!(wrong, [format!("tiles/{SCROLL}/{tile}")], "{how}");
        }
        let rebuilt = hashes.mend(&mut lines).unwrap();
        assert_eq!(rebuilt.names, [format!("tiles/{SCROLL}/{tile}")], "{how}");
        compare(&hashes, memory, size as usize / 9);
        assert_eq!(on_disk(room), whole, "{tile} {how}: mended to the same bytes");
    }
}

#[test]
fn a_damaged_tile_is_named_and_made_again() {
    let room = Room::new();
    drop(stored(&room, 70_000));
    let memory = memory(70_000);
    spoil(&room, &memory, "tile/0/003", "tile/0/004", 800);
    spoil(&room, &memory, "tile/0/272", "tile/0/271", 69700);
    spoil(&room, &memory, "tile/0/273.p/112", "tile/0/272", 69900);
    spoil(&room, &memory, "tile/1/000", "tile/0/000", 3);
    spoil(&room, &memory, "tile/1/001.p/17", "tile/0/000", 65600);
}

#[test]
fn a_question_is_answered_over_tiles_that_are_all_gone() {
    let room = Room::new();
    drop(stored(&room, 66_000));
    let memory = memory(66_000);
    fs::remove_dir_all(room.home.join("tiles")).unwrap();
    let hashes = reopened(&room, &memory);
    let (proof, rebuilt) = hashes.mended(&mut lines, |h| h.inclusion_proof(66_000, 5)).unwrap();
    assert_eq!(proof, memory.inclusion_proof(66_000, 5).unwrap());
    assert!(rebuilt.names.contains(&"tiles/toy/tile/0/000".to_owned()), "{rebuilt:?}");
    let (mut steps, tiles) = (0, hashes.tiles().unwrap());
    let (made, peaks) = tiles.rebuild(66_000, &mut lines, &mut |_, _| steps += 1).unwrap();
    assert_eq!(peaks, hashes.peaks());
    assert!(made.tiles > 200 && steps > 10, "{made:?}");
    assert_eq!(on_disk(&room), expected_files(&memory));
    let again = tiles.rebuild(66_000, &mut lines, &mut |_, _| {}).unwrap().0;
    assert_eq!(again, Rebuilt::default(), "what is right is not written again");
}

#[test]
fn a_damaged_partial_tile_spoils_no_full_one() {
    let room = Room::new();
    drop(stored(&room, 300));
    let memory = memory(300);
    for tile in ["tile/0/001.p/44", "tile/1/000.p/1"] {
        let path = room.path(tile);
        let mut bytes = fs::read(&path).unwrap();
        bytes[9] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let mut hashes = reopened(&room, &memory);
    (300..600).for_each(|seq| hashes.push(leaf(seq)));
    let before = on_disk(&room);
    let refused = hashes.tiles().unwrap().store(&hashes.pending()).unwrap_err();
    assert_eq!(refused.code, TILES_DAMAGED);
    assert_eq!(on_disk(&room), before, "nothing was made of it");
    hashes.mend(&mut lines).unwrap();
    // The second one shows when the first is whole again.
    while hashes.tiles().unwrap().store(&hashes.pending()).is_err() {
        assert!(hashes.mend(&mut lines).unwrap().tiles > 0);
    }
    hashes.stored(600);
    assert_eq!(on_disk(&room), expected_files(&super::tests::memory(600)));
}

#[test]
fn lines_that_the_root_does_not_cover_make_no_tile() {
    let room = Room::new();
    drop(stored(&room, 600));
    fs::remove_file(room.path("tile/0/001")).unwrap();
    let hashes = reopened(&room, &memory(600));
    hashes.leaf(300).unwrap_err();
    let before = on_disk(&room);
    let mut other = |first, count| {
        let mut read = lines(first, count)?;
        read[0] = b"another line".to_vec();
        Ok(read)
    };
    let failure = hashes.mend(&mut other).unwrap_err();
    assert!(matches!(failure, Failure::Corrupt(_)), "{failure:?}");
    assert!(failure.to_string().contains("toy/256 to toy/511"), "{failure}");
    assert_eq!(on_disk(&room), before);
    assert_eq!(hashes.mend(&mut lines).unwrap().tiles, 1, "it is still noted");
}

#[test]
fn what_is_no_tile_is_named_and_swept() {
    let room = Room::new();
    let hashes = stored(&room, 600);
    fs::write(room.path("tile.tmp"), b"x").unwrap();
    fs::create_dir_all(room.path("tile/0/001.p")).unwrap();
    fs::write(room.path("tile/0/001.p/7"), [0; 224]).unwrap();
    let mut strays = Vec::new();
    let mut leaves = (0..600).map(|seq| Ok(leaf(seq)));
    let size = check(&room.disk, SCROLL, &mut leaves, &mut |w| strays.push((w.file, w.stray)));
    strays.sort();
    assert_eq!(size.unwrap(), 600);
    assert_eq!(
        strays,
        [("tiles/toy/tile.tmp".to_owned(), true), ("tiles/toy/tile/0/001.p/7".to_owned(), true)]
    );
    let tiles = hashes.tiles().unwrap();
    assert_eq!(tiles.rebuild(600, &mut lines, &mut |_, _| {}).unwrap().0.removed, 2);
    assert_eq!(on_disk(&room), expected_files(&memory(600)));
    assert!(!room.path("tile/0/001.p").exists());
}

#[test]
fn tiles_of_more_receipts_than_there_are_show() {
    let room = Room::new();
    drop(stored(&room, 300));
    let mut wrong = Vec::new();
    let mut leaves = (0..290).map(|seq| Ok(leaf(seq)));
    check(&room.disk, SCROLL, &mut leaves, &mut |w| wrong.push(w.what)).unwrap();
    assert!(wrong.iter().any(|what| what.contains("300 receipts where 290 are")), "{wrong:?}");
}

#[test]
fn a_question_beyond_the_tree_is_refused() {
    let room = Room::new();
    for hashes in [stored(&room, 10), Hashes::in_memory()] {
        let size = hashes.size();
        assert_eq!(hashes.root_at(size + 1), Ok(None));
        assert!(hashes.leaf(size).is_err());
        assert_eq!(
            hashes.inclusion_proof(size + 1, 0).unwrap_err().code,
            "proof_size_out_of_range"
        );
        assert_eq!(
            hashes.inclusion_proof(size, size).unwrap_err().code,
            "proof_index_out_of_range"
        );
        assert_eq!(
            hashes.consistency_proof(3, size + 9).unwrap_err().code,
            "proof_size_out_of_range"
        );
    }
}

#[test]
fn a_look_says_whether_tiles_reach_a_size() {
    let room = Room::new();
    let hashes = stored(&room, 600);
    let tiles = hashes.tiles().unwrap();
    assert!(tiles.reach(600).unwrap() && tiles.reach(0).unwrap() && tiles.reach(512).is_ok());
    assert!(!tiles.reach(601).unwrap());
    fs::write(room.path("tile/1/000.p/2"), b"").unwrap();
    assert!(!tiles.reach(600).unwrap());
}

#[test]
fn proofs_are_right_while_tiles_are_written() {
    let room = Room::new();
    let mut writer = stored(&room, 700);
    let tiles = writer.tiles().unwrap().clone();
    let older = memory(700);
    let reader = Hashes::over(tiles.clone(), 700, older.frontier().peaks().to_vec()).unwrap();
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            for size in (737..3_000).step_by(37) {
                (writer.size()..size).for_each(|seq| writer.push(leaf(seq)));
                store(&mut writer);
            }
        });
        while !writing.is_finished() {
            tiles.forget_read();
            compare(&reader, &older, 53);
        }
        writing.join().unwrap();
    });
    compare(&reader, &older, 53);
}
