//! Public vectors, read from outside the repository. Each test counts what it ran and prints it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use vm_scrolls::base64;
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::{self, AnyVkey, Note, NoteError, Vkey};
use vm_scrolls::subtree::*;
use vm_scrolls::tile::*;
use vm_scrolls::tlog_proof::TlogProof;
use vm_scrolls::tree::*;

use crate::common::{json_file, suite};

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(json_files(&path));
        } else if path.extension().is_some_and(|e| e == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap()
}

fn hash(case: &Value, name: &str) -> Option<Hash> {
    base64::decode_hash(text(case, name)).ok()
}

fn hashes(case: &Value) -> Option<Vec<Hash>> {
    let list = case["proof"].as_array().cloned().unwrap_or_default();
    list.iter().map(|hash| base64::decode_hash(hash.as_str()?).ok()).collect()
}

/// Whether a case verifies; `None` when a hash in it has no 32 bytes.
fn merkle_case(kind: &str, case: &Value) -> Option<bool> {
    let number = |name: &str| case[name].as_u64().unwrap();
    let path = hashes(case)?;
    let verdict = match kind {
        "inclusion" => {
            let (leaf, root) = (hash(case, "leafHash")?, hash(case, "root")?);
            verify_inclusion(&leaf, number("leafIdx"), number("treeSize"), &path, &root)
        }
        "consistency" => {
            let (old, new) = (hash(case, "root1")?, hash(case, "root2")?);
            verify_consistency(number("size1"), &old, number("size2"), &new, &path)
        }
        "subtreeinclusion" => {
            let (leaf, root) = (hash(case, "leafHash")?, hash(case, "root")?);
            let (start, end) = (number("start"), number("end"));
            verify_subtree_inclusion(&leaf, number("leafIdx"), start, end, &path, &root)
        }
        _ => {
            let (part, whole) = (hash(case, "root1")?, hash(case, "root2")?);
            let (start, end, size) = (number("start"), number("end"), number("size"));
            // An empty part says nothing about the whole, so its root may be no hash at all.
            verify_subtree_consistency(start, end, &part, size, &whole, &path)
        }
    };
    Some(verdict.is_ok())
}

#[test]
fn transparency_dev_proofs_are_judged_as_published() {
    let Some(folder) = suite("tlog/transparency-dev-merkle/testdata") else { return };
    let (mut total, mut good, mut undecodable, mut wrong) = (0, 0, 0, Vec::<String>::new());
    for kind in ["inclusion", "consistency", "subtreeinclusion", "subtreeconsistency"] {
        let files = json_files(&folder.join(kind));
        println!("transparency-dev {kind}: {}", files.len());
        for path in files {
            let case = json_file(&path);
            total += 1;
            let expected = !case["wantErr"].as_bool().unwrap();
            let found = merkle_case(kind, &case);
            undecodable += usize::from(found.is_none());
            good += usize::from(found == Some(true));
            if found.unwrap_or(false) != expected {
                wrong.push(path.strip_prefix(&folder).unwrap().display().to_string());
            }
        }
    }
    println!("transparency-dev: {total} cases, {good} good, {undecodable} without 32-byte hashes");
    assert_eq!(total, 518);
    // Strictness costs exactly these.
    assert_eq!(wrong, HASHES_THAT_ARE_NONE);
}

/// Good cases whose hashes are words: a type of 32 bytes refuses them before any check.
const HASHES_THAT_ARE_NONE: [&str; 4] = [
    "consistency/additional/sizes-are-equal-one-and-proof-is-empty.json",
    "subtreeconsistency/additional/sizes-are-equal-one-and-proof-is-empty.json",
    "subtreeconsistency/additional/subtree-is-empty-sizes-are-equal-one-subtree-root-valid-tree-root-random-proof-is-empty.json",
    "subtreeconsistency/additional/subtree-is-empty-sizes-are-equal-zero-subtree-root-valid-tree-root-random-proof-is-empty.json",
];

#[test]
fn signed_note_cases_end_as_published() {
    let Some(folder) = suite("tlog/derived") else { return };
    let cases = json_file(&folder.join("signed-note-cases.json"));
    let cases = cases.as_array().unwrap();
    for case in cases {
        let desc = text(case, "desc");
        let keys = case["vkeys"].as_array().unwrap().iter();
        let keys: Vec<Vkey> = keys.map(|key| Vkey::parse(key.as_str().unwrap()).unwrap()).collect();
        let parsed = Note::parse(text(case, "note").as_bytes());
        let ended = match &parsed {
            Err(_) => "malformed",
            Ok(parsed) => match note::verify(parsed, &keys) {
                Ok(_) => "ok",
                Err(NoteError::Unverified { .. }) => "unverified",
                Err(_) => "error",
            },
        };
        assert_eq!(ended, text(case, "result"), "{desc}");
        if let (Ok(parsed), Some(expected)) = (parsed, case["verified"].as_u64()) {
            let verified = note::verify(&parsed, &keys).unwrap_or_default();
            assert_eq!(verified.len() as u64, expected, "{desc}");
            let known = |s: &note::Signature| keys.iter().any(|k| k.name == s.name && k.id == s.id);
            let mut others: Vec<String> =
                parsed.signatures.iter().filter(|s| !known(s)).map(ToString::to_string).collect();
            others.sort();
            others.dedup();
            assert_eq!(others.len() as u64, case["unverified"].as_u64().unwrap(), "{desc}");
            assert_eq!(parsed.to_string(), text(case, "note"), "{desc}");
        }
    }
    println!("signed-note cases: {}", cases.len());
    assert!(cases.len() >= 16);
}

#[test]
fn vkey_cases_end_as_published() {
    let Some(folder) = suite("tlog/derived") else { return };
    let cases = json_file(&folder.join("vkey-cases.json"));
    let cases = cases.as_array().unwrap();
    for case in cases {
        let vkey = text(case, "vkey");
        let any = AnyVkey::parse(vkey);
        assert_eq!(any.is_ok(), case["ok"].as_bool().unwrap(), "{vkey}: {any:?}");
        let Ok(any) = any else { continue };
        assert_eq!(any.to_string(), vkey);
        match Vkey::parse(vkey) {
            Ok(key) => assert_eq!((key.to_string().as_str(), any.kind), (vkey, 1)),
            Err(e) => assert_eq!(e, NoteError::Unsupported { name: any.name, kind: 4 }),
        }
    }
    println!("vkey cases: {}", cases.len());
    assert!(cases.len() >= 8);
}

#[test]
fn checkpoint_body_cases_end_as_published() {
    let Some(folder) = suite("tlog/derived") else { return };
    let cases = json_file(&folder.join("checkpoint-body-cases.json"));
    let cases = cases.as_array().unwrap();
    for case in cases {
        let (desc, body) = (text(case, "desc"), text(case, "text"));
        let parsed = Checkpoint::parse_body_with_extensions(body);
        assert_eq!(parsed.is_ok(), case["ok"].as_bool().unwrap(), "{desc}: {parsed:?}");
        let Ok((checkpoint, extensions)) = parsed else { continue };
        assert_eq!(Checkpoint::parse_body(body).is_ok(), extensions.is_empty(), "{desc}");
        assert!(body.starts_with(&checkpoint.body()), "{desc}");
    }
    println!("checkpoint body cases: {}", cases.len());
    assert!(cases.len() >= 14);
}

#[test]
fn tlog_proof_cases_end_as_published() {
    let Some(folder) = suite("tlog/derived") else { return };
    let cases = json_file(&folder.join("tlog-proof-cases.json"));
    let cases = cases.as_array().unwrap();
    for case in cases {
        let (desc, file) = (text(case, "desc"), text(case, "text"));
        let parsed = TlogProof::parse(file.as_bytes());
        assert_eq!(parsed.is_ok(), case["ok"].as_bool().unwrap(), "{desc}: {parsed:?}");
        let Ok(parsed) = parsed else { continue };
        assert_eq!(parsed.to_string(), file, "{desc}");
        assert_eq!(Some(parsed.index), case["index"].as_u64(), "{desc}");
        assert_eq!(Some(parsed.hashes.len() as u64), case["hashes"].as_u64(), "{desc}");
    }
    println!("tlog-proof cases: {}", cases.len());
    assert!(cases.len() >= 11);
}

#[test]
fn the_tiles_of_a_mirrored_log_lead_to_its_cosigned_root() {
    let Some(folder) = suite("tlog/sunlight/cmd/skylight/testdata/witness/mirror") else { return };
    // The folder is named after the SHA-256 of the log's origin, as C2SP tlog-mirror says.
    let log = folder.join("000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706");
    let note = Note::parse(&std::fs::read(log.join("checkpoint")).unwrap()).unwrap();
    let checkpoint = Checkpoint::parse_body(&note.text).unwrap();
    assert_eq!(checkpoint.size, 300);
    let mut tiles = std::collections::BTreeMap::new();
    for path in tiles_for(300) {
        let bytes = std::fs::read(log.join(path.to_string())).unwrap();
        tiles.insert(path, read_tile(&path, &bytes).unwrap());
    }
    let mut fetch = |level, index| {
        let path = tile_of_subtree(300, level, index)?;
        Ok::<Hash, ProofError>(subtree_in_tile(level, index, &tiles[&path]).unwrap())
    };
    let root = root_from(300, &mut fetch).unwrap();
    assert_eq!(root, checkpoint.root);
    for index in 0..300 {
        let path = inclusion_proof(300, index, &mut fetch).unwrap();
        let leaf = fetch(0, index).unwrap();
        assert_eq!(verify_inclusion(&leaf, index, 300, &path, &root), Ok(()));
        let old_root = root_from(index + 1, &mut fetch).unwrap();
        let path = consistency_proof(index + 1, 300, &mut fetch).unwrap();
        assert_eq!(verify_consistency(index + 1, &old_root, 300, &root, &path), Ok(()));
    }
    println!("mirrored log: {} tiles, 300 inclusion and 300 consistency proofs", tiles.len());
}

#[test]
fn a_production_partial_tile_is_the_start_of_its_full_tile() {
    let Some(folder) = suite("tlog/sunlight/testdata/navigli2025h2") else { return };
    let read = |width| {
        let path = TilePath { level: 0, index: 3, width };
        read_tile(&path, &std::fs::read(folder.join(path.to_string())).unwrap()).unwrap()
    };
    let (partial, full) = (read(10), read(256));
    assert_eq!(partial, full[..10]);
    let mut frontier = Frontier::new();
    full.iter().for_each(|hash| frontier.push(*hash));
    let halves = [6, 7].map(|half| subtree_in_tile(7, half, &full).unwrap());
    assert_eq!(frontier.root(), node_hash(&halves[0], &halves[1]));
    assert_eq!(subtree_in_tile(7, 7, &partial), None);
}
