//! What an export writes, keeps, takes away and refuses.

use crate::{Log, tree};
use std::fs;
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Vkey;
use vm_scrolls::tile::{EntriesPath, TilePath, entries_for, read_tile, tiles_for};
use vm_scrolls::tree::{Frontier, leaf_hash};

/// Names of the files that a tree of this size has.
fn names(size: u64) -> Vec<String> {
    let tiles = tiles_for(size).map(|t| format!("toy/{t}"));
    let mut names: Vec<String> =
        tiles.chain(entries_for(size).map(|t| format!("toy/{t}"))).collect();
    names.push("toy/checkpoint".into());
    names.sort();
    names
}

/// Checks an export as an outsider would: signature, entries, level-0 tiles, root.
fn whole(dir: &std::path::Path, vkey: &str) -> u64 {
    let read = |name: String| fs::read(dir.join("toy").join(name)).unwrap();
    let vkey = Vkey::parse(vkey).unwrap();
    let (checkpoint, _) = Checkpoint::open(&read("checkpoint".into()), &[vkey]).unwrap();
    let mut frontier = Frontier::new();
    for path in entries_for(checkpoint.size) {
        let bytes = read(path.to_string());
        let EntriesPath { index, width } = path;
        let entries = vm_scrolls::tile::decode_bundle(width, &bytes).unwrap();
        let tile = TilePath { level: 0, index, width };
        let hashes = read_tile(&tile, &read(tile.to_string())).unwrap();
        for (entry, hash) in entries.iter().zip(hashes) {
            assert_eq!(leaf_hash(entry), hash);
            frontier.push(hash);
        }
    }
    assert_eq!((frontier.size(), frontier.root()), (checkpoint.size, checkpoint.root));
    checkpoint.size
}

#[test]
fn an_export_goes_on_from_the_one_before() {
    let (room, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut log = Log::new("going on");
    let mut before = 0;
    for size in [3, 200, 255, 256, 257, 700, 1_030] {
        log.grow(size);
        let kept = tree(room.path());
        let made = log.export(room.path());
        assert_eq!((made.from, made.size), (before, size));
        assert_eq!(whole(room.path(), &log.vkey()), size);
        let now = tree(room.path());
        let changed =
            now.iter().filter(|(name, bytes)| kept.get(*name) != Some(bytes)).count() as u64;
        assert_eq!(changed, made.files + 1, "only the new files and the checkpoint are written");
        assert_eq!(made.files + made.kept, names(size).len() as u64 - 1);
        // Beside those of this size only partial ones of tiles that are not full yet may stand.
        for name in now.keys().filter(|name| !names(size).contains(name)) {
            let full = name.split_once(".p/").unwrap().0;
            assert!(!now.contains_key(full), "{name} at {size}");
        }
        before = size;
    }
    let again = log.export(room.path());
    assert_eq!((again.files, again.removed), (0, 0));
    log.export(fresh.path());
    let fresh = tree(fresh.path());
    assert_eq!(fresh.keys().cloned().collect::<Vec<_>>(), names(1_030));
    let grown = tree(room.path());
    assert!(fresh.iter().all(|(name, bytes)| grown.get(name) == Some(bytes)));
}

#[test]
fn an_export_that_is_cut_off_leaves_the_earlier_one_whole() {
    let room = tempfile::tempdir().unwrap();
    let mut log = Log::new("cut off");
    log.grow(300);
    log.export(room.path());
    let before = tree(room.path());
    log.grow(900);
    // In turn each new file cannot be written: a folder stands where it belongs.
    let new = names(900).into_iter().filter(|name| !before.contains_key(name));
    for name in new.collect::<Vec<_>>() {
        let path = room.path().join(&name);
        if path.is_file() {
            fs::remove_file(&path).unwrap();
        }
        fs::create_dir_all(path.join("in the way")).unwrap();
        let export = vm_ledger::tiles::Export::prepare(&log.ledger, "toy", room.path()).unwrap();
        let failure = export.write(&log.ledger, &mut |_, _, _| {}).unwrap_err();
        assert_eq!(failure.code(), "io", "{name}");
        let now = tree(room.path());
        assert!(before.iter().all(|(name, bytes)| now.get(name) == Some(bytes)), "{name}");
        assert_eq!(whole(room.path(), &log.vkey()), 300, "{name}");
        fs::remove_dir_all(&path).unwrap();
    }
    assert!(log.export(room.path()).removed > 0);
    assert_eq!(whole(room.path(), &log.vkey()), 900);
    let now = tree(room.path());
    let left: Vec<_> = now.keys().filter(|name| !names(900).contains(name)).collect();
    assert!(
        left.iter().all(|name| name.ends_with(".tmp") || name.contains("/1/000.p/")),
        "{left:?}"
    );
}

#[test]
fn partial_files_that_an_export_could_not_take_away_go_with_the_next() {
    let room = tempfile::tempdir().unwrap();
    let mut log = Log::new("taken away");
    log.grow(300);
    log.export(room.path());
    let partial = room.path().join("toy/tile/entries/001.p");
    let kept = fs::read(partial.join("44")).unwrap();
    log.grow(600);
    log.export(room.path());
    assert!(!partial.exists());
    // As after a crash between the checkpoint and the removal.
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("44"), kept).unwrap();
    log.grow(610);
    assert_eq!(log.export(room.path()).removed, 1);
    assert!(!partial.exists());
}

#[test]
fn a_directory_of_another_log_is_refused_by_name() {
    let room = tempfile::tempdir().unwrap();
    let mut log = Log::new("mine");
    log.grow(300);
    let earlier = log.fs.files();
    log.grow(600);
    log.export(room.path());

    let older = Log::with(earlier);
    let (code, text) = older.refused(room.path());
    assert_eq!(code, "export_ahead");
    assert!(text.contains("600") && text.contains("300"), "{text}");

    let mut forked = Log::new("another history");
    forked.grow(700);
    let (code, text) = forked.refused(room.path());
    assert_eq!(code, "export_forked");
    assert!(text.contains("600") && text.contains("ledger.example/n1/toy"), "{text}");

    let fs = std::sync::Arc::new(vm_tests::memfs::MemoryFs::default());
    vm_tests::world::lay_out(&*fs);
    let mut other = Log::over(fs, "mine", "n2");
    other.grow(700);
    let (code, text) = other.refused(room.path());
    assert_eq!(code, "export_of_other_log");
    assert!(text.contains("ledger.example/n2/toy"), "{text}");

    for bad in [&b""[..], b"not a note", &[0xff; 2_000_000]] {
        let room = tempfile::tempdir().unwrap();
        fs::create_dir(room.path().join("toy")).unwrap();
        fs::write(room.path().join("toy/checkpoint"), bad).unwrap();
        assert_eq!(log.refused(room.path()).0, "export_of_other_log");
    }
}
