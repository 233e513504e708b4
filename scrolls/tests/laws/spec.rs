//! The examples in SPEC.md are what the code writes, byte for byte.

use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Vkey;
use vm_scrolls::proof::{Proof, verify_bytes};
use vm_scrolls::query::{Query, QueryField, QueryKind, Schema};
use vm_scrolls::tile::{encode_bundle, tile_bytes, tiles_for};
use vm_scrolls::tlog_proof::TlogProof;
use vm_scrolls::tree::{MemoryTree, leaf_hash};
use vm_scrolls::trust::Trust;

use crate::common::{ORIGIN, issuer, log_key, proof, scroll, trust};

const SPEC: &str = include_str!("../../SPEC.md");

/// The fenced block after the marker `<!-- name -->`.
fn block(name: &str) -> &'static str {
    let marker = format!("<!-- {name} -->\n```\n");
    let (_, rest) = SPEC.split_once(&marker).unwrap_or_else(|| panic!("{name} is not in SPEC.md"));
    rest.split_once("```\n").unwrap().0
}

fn small_tree() -> MemoryTree {
    let mut tree = MemoryTree::new();
    tree.extend(["one", "two", "three"].map(|leaf| leaf_hash(leaf.as_bytes())));
    tree
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_root_example_is_what_is_written() {
    let tree = small_tree();
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: 3, root: tree.root() };
    let note = checkpoint.sign(&log_key());
    assert_eq!(block("root"), note);
    let vkey = Vkey::new(ORIGIN, log_key().public()).unwrap();
    assert_eq!(block("vkey").trim_end(), vkey.to_string());
    assert_eq!(Checkpoint::open(note.as_bytes(), &[vkey]).unwrap().0, checkpoint);
}

#[test]
fn the_tile_examples_are_what_is_written() {
    let tree = small_tree();
    let path = tiles_for(3).next().unwrap();
    let bytes = tile_bytes(&path, &mut |l, i| tree.fetch(l, i)).unwrap();
    let rows: Vec<String> = bytes.chunks(32).map(hex).collect();
    assert_eq!(block("tile"), format!("{path}\n{}\n", rows.join("\n")));
    let bundle = encode_bundle(["one", "two", "three"]).unwrap();
    assert_eq!(block("bundle"), format!("tile/entries/000.p/3\n{}\n", hex(&bundle)));
}

#[test]
fn the_tlog_proof_example_is_what_is_written() {
    let tree = small_tree();
    let hashes = tree.inclusion_proof(3, 1).unwrap();
    let checkpoint = block("root").to_owned();
    let proof = TlogProof { extra: None, index: 1, hashes, checkpoint };
    assert_eq!(block("tlog-proof"), proof.to_string());
    assert!(proof.verify(&leaf_hash(b"two"), &trust().logs).is_ok());
}

#[test]
fn the_proof_file_example_is_what_is_written() {
    let (lines, tree) = scroll(3);
    let written = String::from_utf8(proof(&lines, &tree, 1).to_bytes()).unwrap();
    assert_eq!(block("proof"), written, "put this into SPEC.md:\n{written}");
    assert!(Proof::parse(written.as_bytes()).is_ok());
    let trust = Trust::parse(block("trust")).unwrap();
    assert_eq!(trust.issuers, [issuer().public()]);
    assert!(verify_bytes(written.as_bytes(), &trust).is_verified());
}

#[test]
fn the_proof_of_a_case_is_what_is_written() {
    let written = String::from_utf8(crate::proof_case::example().to_bytes()).unwrap();
    assert_eq!(block("proof-case"), written, "put this into SPEC.md:\n{written}");
    let trust = Trust::parse(block("trust")).unwrap();
    let verdict = verify_bytes(written.as_bytes(), &trust);
    assert!(verdict.is_verified() && verdict.disclosed.len() == 3, "{verdict:?}");
}

#[test]
fn the_query_examples_parse() {
    let schema = Schema::new(vec![
        QueryField::new("account", QueryKind::Text),
        QueryField::new("amount", QueryKind::Decimal),
        QueryField::new("memo", QueryKind::Text),
    ]);
    for line in block("queries").lines() {
        Query::parse(&schema, line).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
}
