//! Tile paths, widths and bytes, and proofs served from tiles alone.

use std::collections::BTreeMap;

use proptest::prelude::*;
use vm_scrolls::tile::*;
use vm_scrolls::tree::*;

use crate::tree::{leaves, tree};

#[test]
fn widths_of_a_tree_of_70000_are_as_the_spec_says() {
    let count = |level: u8, full: bool| {
        let tiles = tiles_for(70_000).filter(|t| t.level == level && t.is_full() == full);
        tiles.map(|t| t.width).collect::<Vec<_>>()
    };
    assert_eq!((count(0, true).len(), count(0, false)), (273, vec![112]));
    assert_eq!((count(1, true).len(), count(1, false)), (1, vec![17]));
    assert_eq!((count(2, true).len(), count(2, false)), (0, vec![1]));
    assert_eq!(count(3, true).len() + count(3, false).len(), 0);
    let names: Vec<String> = tiles_for(256).map(|t| t.to_string()).collect();
    assert_eq!(names, ["tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(tiles_for(0).count(), 0);
    let bundles: Vec<String> = entries_for(257).map(|t| t.to_string()).collect();
    assert_eq!(bundles, ["tile/entries/000", "tile/entries/001.p/1"]);
}

#[test]
fn tiles_between_two_sizes_are_those_the_new_one_adds() {
    for old in (0..1_400).step_by(7) {
        for new in [old, old + 1, old + 255, old + 256, old + 900, 66_000] {
            let before: Vec<TilePath> = tiles_for(old).collect();
            let added: Vec<TilePath> = tiles_for(new).filter(|t| !before.contains(t)).collect();
            assert_eq!(tiles_between(old, new).collect::<Vec<_>>(), added, "{old} {new}");
        }
    }
    assert_eq!(tiles_between(9, 5).count(), 0);
}

#[test]
fn a_path_has_one_spelling() {
    for (path, level, index, width) in [
        ("tile/0/000", 0, 0, 256),
        ("tile/1/x001/x234/067", 1, 1_234_067, 256),
        ("tile/63/999.p/1", 63, 999, 1),
        ("tile/2/x001/000.p/255", 2, 1_000, 255),
    ] {
        let parsed = TilePath::parse(path).unwrap();
        assert_eq!(parsed, TilePath { level, index, width });
        assert_eq!(parsed.to_string(), path);
    }
    let refused = [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000",
        "tile/0/x000/000",
        "tile/0/x01/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/000/",
        "tile/0//000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000.p/1/",
        "/tile/0/000",
        "tile/0/000 ",
        "tile/0/٠٠٠",
        "Tile/0/000",
        "tile/8/0/000",
        "tile/data/000",
        "tile/entries/000",
        "tile/0/x018/x446/x744/x073/x709/x551/615",
    ];
    for path in refused {
        assert_eq!(
            TilePath::parse(path).map_err(|e| e.code()),
            Err("tile_path_malformed"),
            "{path}"
        );
    }
    let bundle = EntriesPath::parse("tile/entries/x123/456.p/7").unwrap();
    assert_eq!(bundle, EntriesPath { index: 123_456, width: 7 });
    assert!(EntriesPath::parse("tile/0/000").is_err());
}

#[test]
fn proofs_served_from_tiles_equal_those_from_memory() {
    let memory = tree(1_000);
    let mut stored: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for path in tiles_for(1_000) {
        let bytes = tile_bytes(&path, &mut |l, i| memory.fetch(l, i)).unwrap();
        assert_eq!(bytes.len(), usize::from(path.width) * 32);
        stored.insert(path.to_string(), bytes);
    }
    let mut fetch = |level, index| -> Result<Hash, ProofError> {
        let path = tile_of_subtree(1_000, level, index)?;
        let hashes = read_tile(&path, &stored[&path.to_string()]).unwrap();
        Ok(subtree_in_tile(level, index, &hashes).unwrap())
    };
    for level in 0..10_u8 {
        for index in 0..1_000_u64 >> level {
            assert_eq!(Some(fetch(level, index).unwrap()), memory.subtree(level, index));
        }
    }
    for index in (0..1_000).step_by(13) {
        let served = inclusion_proof(1_000, index, &mut fetch).unwrap();
        assert_eq!(served, memory.inclusion_proof(1_000, index).unwrap());
        let served = consistency_proof(index + 1, 1_000, &mut fetch).unwrap();
        assert_eq!(served, memory.consistency_proof(index + 1, 1_000).unwrap());
    }
    assert_eq!(peaks_from(1_000, &mut fetch).unwrap(), memory.frontier().peaks());
    assert!(tile_of_subtree(1_000, 0, 1_000).is_err());
    assert!(tile_of_subtree(1_000, 10, 0).is_err());
    let path = TilePath { level: 0, index: 0, width: 256 };
    let wrong = read_tile(&path, &[0; 8_191]);
    assert_eq!(wrong, Err(TileError::TileLength { expected: 8_192, found: 8_191 }));
}

#[test]
fn a_bundle_is_read_exactly_or_not_at_all() {
    let long = vec![b'x'; ENTRY_BYTES_MAX];
    let entries: [&[u8]; 4] = [b"one", b"", b"three", &long];
    let bytes = encode_bundle(entries).unwrap();
    assert_eq!(decode_bundle(4, &bytes).unwrap(), entries);
    assert_eq!(&bytes[..5], b"\x00\x03one");
    for width in [0, 3, 5, 256] {
        assert_eq!(decode_bundle(width, &bytes).map_err(|e| e.code()), Err("bundle_wrong_count"));
    }
    for cut in 1..bytes.len().min(600) {
        assert!(decode_bundle(4, &bytes[..bytes.len() - cut]).is_err());
        assert!(decode_bundle(4, &bytes[cut..]).is_err());
    }
    assert!(decode_bundle(4, &[&bytes[..], b"\x00"].concat()).is_err());
    let too_long = vec![0; ENTRY_BYTES_MAX + 1];
    assert_eq!(encode_bundle([&too_long]).map_err(|e| e.code()), Err("entry_too_long"));
    assert!(encode_bundle(vec![b""; 256]).is_ok());
    assert_eq!(encode_bundle(vec![b""; 257]).map_err(|e| e.code()), Err("bundle_wrong_count"));
}

#[test]
fn a_hash_in_a_level_one_tile_is_the_root_of_its_level_zero_tile() {
    let memory = tree(600);
    let upper = TilePath { level: 1, index: 0, width: 2 };
    let bytes = tile_bytes(&upper, &mut |l, i| memory.fetch(l, i)).unwrap();
    for (tile, hash) in read_tile(&upper, &bytes).unwrap().iter().enumerate() {
        let mut frontier = Frontier::new();
        leaves(600)[tile * 256..(tile + 1) * 256].iter().for_each(|leaf| frontier.push(*leaf));
        assert_eq!(frontier.root(), *hash);
    }
}

proptest! {
    #[test]
    fn every_path_reads_back(level in 0_u8..=63, index in 0_u64..1 << 55, width in 1_u16..=256) {
        let tile = TilePath { level, index, width };
        prop_assert_eq!(TilePath::parse(&tile.to_string()), Ok(tile));
        let bundle = EntriesPath { index, width };
        prop_assert_eq!(EntriesPath::parse(&bundle.to_string()), Ok(bundle));
    }

    #[test]
    fn a_path_that_is_accepted_prints_back(path in "tile/(entries|[0-9]{1,2})/(x[0-9]{3}/){0,3}[0-9]{2,4}(\\.p/[0-9]{1,3})?") {
        if let Ok(tile) = TilePath::parse(&path) {
            prop_assert_eq!(tile.to_string(), path.clone());
        }
        if let Ok(bundle) = EntriesPath::parse(&path) {
            prop_assert_eq!(bundle.to_string(), path);
        }
    }

    #[test]
    fn no_bytes_panic(text in "\\PC{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..600), width: u16, level: u8, index: u64) {
        let _ = TilePath::parse(&text);
        let _ = EntriesPath::parse(&text);
        if let Ok(entries) = decode_bundle(width, &bytes) {
            prop_assert_eq!(encode_bundle(entries).unwrap_or_default(), bytes);
        }
        let _ = tile_of_subtree(index, level, index / 2);
        let _ = subtree_in_tile(level, index, &[[0; 32]; 3]);
        let tile = TilePath { level, index, width: width.min(4) };
        let _ = tile_bytes(&tile, &mut |_, _| Err::<Hash, ()>(()));
    }
}

/// What `Cutter` makes of the first leaves, by path.
fn cut(size: u64) -> Vec<(TilePath, Vec<u8>)> {
    let mut made = Vec::new();
    let mut put = |tile: TilePath, hashes: &[Hash]| -> Result<(), ()> {
        made.push((tile, hashes.as_flattened().to_vec()));
        Ok(())
    };
    let mut cutter = Cutter::new();
    leaves(size).into_iter().for_each(|leaf| cutter.push(leaf, &mut put).unwrap());
    cutter.finish(&mut put).unwrap();
    made.sort();
    made
}

#[test]
fn a_tree_cut_leaf_by_leaf_has_the_tiles_of_its_size() {
    for size in [0, 1, 255, 256, 257, 511, 512, 1_000, 65_535, 65_536, 65_537, 66_000] {
        let memory = tree(size);
        let bytes = |t: &TilePath| tile_bytes(t, &mut |l, i| memory.fetch(l, i)).unwrap();
        let mut expected: Vec<_> = tiles_for(size).map(|t| (t, bytes(&t))).collect();
        expected.sort();
        assert_eq!(cut(size), expected, "{size}");
    }
}

#[test]
fn the_nodes_of_a_tile_are_subtrees_of_the_tree() {
    let memory = tree(1_000);
    for (index, width) in [(0_u64, 256_u16), (2, 256), (3, 232), (3, 1), (3, 0)] {
        let tile = TilePath { level: 0, index, width };
        let bytes = tile_bytes(&tile, &mut |l, i| memory.fetch(l, i)).unwrap();
        let nodes = TileNodes::new(index, read_tile(&tile, &bytes).unwrap());
        let (first, end) = (index * 256, index * 256 + u64::from(width));
        for height in 0..8_u8 {
            for at in 0..1_100_u64 >> height {
                let inside = at << height >= first && (at + 1) << height <= end;
                let found = nodes.subtree(height, at);
                assert_eq!(found, memory.subtree(height, at).filter(|_| inside), "{height} {at}");
            }
        }
        assert_eq!(nodes.root().is_some(), width == 256);
        let peaks: Vec<Hash> =
            nodes.peaks(width).map(|(h, i)| nodes.subtree(h, i).unwrap()).collect();
        assert_eq!(peaks.len() as u32, u32::from(width % 256).count_ones());
    }
}
