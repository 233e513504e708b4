//! Homes of released formats must verify and fold for ever. Until the first release tag the format is a draft and its
//! archive, `v1-draft`, is made anew with `BLESS=1 cargo test -p vm-tests --test laws archive`.

use crate::bench::{Bench, engines, folded};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use vm_contracts::Line;
use vm_ledger::audit;
use vm_scrolls::note::Vkey;
use vm_scrolls::trust::Trust;
use vm_scrolls::verdict::Outcome;
use vm_tests::memfs::{Files, MemoryFs};
use vm_tests::world;

/// What the archive's lines fold to.
const FOLDED: &str = "folded.json";

fn archives() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("archives")
}

/// A home in which every story was told, with public keys only.
fn draft() -> Files {
    let bench = Bench::told();
    let mut files = bench.fs.home();
    let kept = ["receipts/", "cases/", "ROOT."];
    files.retain(|path, _| kept.iter().any(|start| path.starts_with(start)));
    let keys = world::keys();
    let did = keys.issuer.did().to_owned();
    let vkey = |scroll: &str| {
        let origin = world::settings().origin(scroll);
        Vkey::new(&origin, keys.log.public()).expect("a fixed, valid origin").to_string()
    };
    let vkeys: String = engines().iter().map(|e| vkey(e.scroll()) + "\n").collect();
    files.insert("keys/issuer.did".into(), format!("{did}\n").into_bytes());
    files.insert("keys/log.vkey".into(), vkeys.clone().into_bytes());
    files.insert("keys/trust.txt".into(), format!("issuer {did}\n{vkeys}").into_bytes());
    let states = vm_ledger::dump(&mut bench.ledger.writer()).unwrap();
    let states: BTreeMap<_, _> = states.into_iter().collect();
    let text = serde_json::to_string_pretty(&states).expect("states are JSON") + "\n";
    files.insert(FOLDED.into(), text.into_bytes());
    files
}

fn read(dir: &Path, below: &str, files: &mut Files) {
    for entry in fs::read_dir(dir.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        match entry.file_type().unwrap().is_dir() {
            true => read(dir, &path, files),
            false => drop(files.insert(path.clone(), fs::read(dir.join(&path)).unwrap())),
        }
    }
}

fn all() -> Vec<(String, Files)> {
    let names = fs::read_dir(archives()).expect("tests/archives is there");
    let names: Vec<String> = names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.contains(&"v1-draft".to_owned()), "{names:?}");
    names
        .into_iter()
        .map(|name| {
            let mut files = Files::new();
            read(&archives().join(&name), "", &mut files);
            (name, files)
        })
        .collect()
}

#[test]
fn the_archive_of_the_draft_is_what_this_version_writes() {
    let dir = archives().join("v1-draft");
    let made = draft();
    if vm_tests::golden::blessing() {
        let _ = fs::remove_dir_all(&dir);
        for (path, bytes) in &made {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let mut kept = Files::new();
    read(&dir, "", &mut kept);
    for (path, bytes) in &made {
        let same = kept.get(path) == Some(bytes);
        assert!(
            same,
            "{path} is written otherwise now; if the draft was meant to change, BLESS=1 keeps it"
        );
    }
    assert_eq!(kept.len(), made.len(), "the archive holds files that nobody writes");
}

#[test]
fn every_archive_verifies_and_folds() {
    for (name, files) in all() {
        let trust = String::from_utf8(files["keys/trust.txt"].clone()).expect("a text");
        let trust = Trust::parse(&trust).unwrap_or_else(|e| panic!("{name}: {e}"));
        let fs = MemoryFs::with(files.clone());
        let verdict = audit::verify_home(&fs, &trust, &mut |_, _, _| {});
        assert_eq!(verdict.outcome, Outcome::Verified, "{name}: {}", verdict.summary);
        let expected: serde_json::Value = serde_json::from_slice(&files[FOLDED]).expect("JSON");
        for scroll in audit::scrolls(&fs).unwrap() {
            let engine = engines().iter().find(|e| e.scroll() == scroll).expect("an engine for it");
            let prefix = format!("receipts/{scroll}/");
            let segments = files.iter().filter(|(path, _)| path.starts_with(&prefix));
            let lines: Vec<Line> = segments
                .flat_map(|(_, bytes)| bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()))
                .map(|bytes| Line::parse(bytes).expect("verified above"))
                .collect();
            assert_eq!(folded(*engine, &lines).dump(), expected[&scroll], "{name}: {scroll}");
        }
    }
}

#[test]
fn no_archive_holds_a_secret_key() {
    for (name, files) in all() {
        for (path, bytes) in files {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("PRIVATE KEY") && !path.ends_with(".pem"), "{name}: {path}");
        }
    }
}
