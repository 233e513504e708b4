//! `.tlog-proof` files.

use proptest::prelude::*;
use vm_scrolls::tlog_proof::*;
use vm_scrolls::tree::leaf_hash;

use crate::common::{checkpoint, scroll, trust};

#[test]
fn a_tlog_proof_verifies_and_no_flipped_bit_does() {
    let (lines, tree) = scroll(5);
    let leaf = leaf_hash(&lines[3].bytes);
    let hashes = tree.inclusion_proof(5, 3).unwrap();
    let proof = TlogProof { extra: None, index: 3, hashes, checkpoint: checkpoint(&tree) };
    let text = proof.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 3\n"));
    assert_eq!(TlogProof::parse(text.as_bytes()), Ok(proof.clone()));
    assert_eq!(proof.verify(&leaf, &trust().logs).unwrap().size, 5);
    assert!(proof.verify(&leaf_hash(&lines[2].bytes), &trust().logs).is_err());
    assert_eq!(proof.verify(&leaf, &[]).map_err(|e| e.code()), Err("note_unverified"));
    for place in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            let accepted = TlogProof::parse(&bytes).and_then(|p| p.verify(&leaf, &trust().logs));
            assert!(accepted.is_err(), "byte {place} bit {bit}");
        }
    }
}

#[test]
fn faults_have_their_line() {
    let line = |text: &str| match TlogProof::parse(text.as_bytes()) {
        Err(TlogProofError::Malformed { line, .. }) => line,
        other => panic!("{text:?}: {other:?}"),
    };
    assert_eq!(line(""), 1);
    assert_eq!(line("c2sp.org/tlog-proof@v2\nindex 0\n\nx"), 1);
    assert_eq!(line("c2sp.org/tlog-proof@v1\nindex 00\n\nx"), 2);
    assert_eq!(line("c2sp.org/tlog-proof@v1\nindex +1\n\nx"), 2);
    assert_eq!(line("c2sp.org/tlog-proof@v1\nindex 18446744073709551616\n\nx"), 2);
    assert_eq!(line("c2sp.org/tlog-proof@v1\nextra AA\nindex 0\n\nx"), 2);
    assert_eq!(line("c2sp.org/tlog-proof@v1\nextra AA==\nextra AA==\nindex 0\n\nx"), 3);
    assert_eq!(line("c2sp.org/tlog-proof@v1\nindex 0\nAA==\n\nx"), 3);
    assert_eq!(line("c2sp.org/tlog-proof@v1\nindex 0\r\n\r\nx"), 2);
    assert_eq!(line("c2sp.org/tlog-proof@v1\nindex 0\n"), 3);
    assert_eq!(line("c2sp.org/tlog-proof@v1\nindex 0\n\n"), 4);
    let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let many = |n: usize| format!("c2sp.org/tlog-proof@v1\nindex 0\n{}\nx", hash.repeat(n));
    assert!(TlogProof::parse(many(HASHES_MAX).as_bytes()).is_ok());
    assert_eq!(line(&many(HASHES_MAX + 1)), 3 + HASHES_MAX as u64);
}

proptest! {
    #[test]
    fn every_tlog_proof_reads_back(
        extra in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), index: u64,
        hashes in prop::collection::vec(prop::array::uniform32(any::<u8>()), 0..=63),
        checkpoint in "\\PC{1,20}\n",
    ) {
        let proof = TlogProof { extra, index, hashes, checkpoint };
        prop_assert_eq!(TlogProof::parse(proof.to_string().as_bytes()), Ok(proof));
    }

    #[test]
    fn an_accepted_tlog_proof_prints_back(bytes in prop::collection::vec(any::<u8>(), 0..100), text in "c2sp.org/tlog-proof@v1\n(extra [A-D=]{0,4}\n)?index [0-9]{1,3}\n(\n|[a-z]\n){0,2}[a-z\n]{0,5}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            if let Ok(proof) = TlogProof::parse(bytes) {
                let printed = proof.to_string();
                prop_assert_eq!(printed.as_bytes(), bytes);
            }
        }
    }
}
