//! `PROOF.json`: what it proves, and that no byte of it can change unnoticed.

use proptest::prelude::*;
use serde_json::json;
use vm_receipts::key::SecretKey;
use vm_receipts::line::Prev;
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Vkey;
use vm_scrolls::proof::*;
use vm_scrolls::tree::{MemoryTree, leaf_hash};
use vm_scrolls::trust::{Quorum, Trust};
use vm_scrolls::verdict::{Outcome, Verdict};

use crate::common::*;

fn claims(verdict: &Verdict) -> Vec<(&str, bool)> {
    verdict.claims.iter().map(|claim| (claim.name.as_str(), claim.ok)).collect()
}

#[test]
fn a_proof_of_every_line_verifies() {
    let (lines, tree) = scroll(9);
    for index in 0..9 {
        let proof = proof(&lines, &tree, index);
        let verdict = verify(&proof, &trust());
        assert_eq!(verdict.outcome, Outcome::Verified, "{verdict:?}");
        assert_eq!(verify_bytes(&proof.to_bytes(), &trust()), verdict);
        assert_eq!(
            claims(&verdict),
            [
                ("line_canonical", true),
                ("issuer_signature", true),
                ("record_digests", true),
                ("checkpoint_signature", true),
                ("inclusion", true),
                ("seq_is_index", true),
                ("origin_is_scroll", true),
                ("prev", true),
            ]
        );
        assert!(verdict.not_checked.iter().any(|s| s.contains("end of the scroll")));
        assert!(verdict.not_checked.iter().any(|s| s.contains("no actor_proof")));
    }
}

#[test]
fn the_file_has_one_spelling() {
    let (lines, tree) = scroll(3);
    let proof = proof(&lines, &tree, 1);
    let bytes = proof.to_bytes();
    assert_eq!(Proof::parse(&bytes), Ok(proof.clone()));
    assert!(bytes.starts_with(b"{\"anchors\":[],\"bundle\":[],\"checkpoint\":\""));
    assert!(bytes.ends_with(b",\"v\":1}\n"));
    let text = String::from_utf8(bytes).unwrap();
    let code = |text: String| Proof::parse(text.as_bytes()).map_err(|e| e.code());
    assert_eq!(code(text.trim_end().to_owned()), Err("proof_file_not_canonical"));
    assert_eq!(code(text.replace("\"v\":1", "\"v\": 1")), Err("proof_file_not_canonical"));
    assert_eq!(code(format!("{text}\n")), Err("proof_file_not_canonical"));
    assert_eq!(code(text.replace("\"v\":1", "\"v\":2")), Err("proof_file_unsupported"));
    assert_eq!(
        code(text.replace("\"anchors\":[]", "\"anchors\":[1]")),
        Err("proof_file_unsupported")
    );
    assert_eq!(code(text.replace("\"bundle\":[]", "\"bundle\":[1]")), Err("proof_file_member"));
    assert_eq!(code(text.replace("\"bundle\":[]", "\"bundle\":{}")), Err("proof_file_member"));
    assert_eq!(code(text.replace("\"v\":1", "\"v\":1,\"w\":1")), Err("proof_file_member"));
    assert_eq!(code(text.replace(",\"v\":1", "")), Err("proof_file_member"));
    assert_eq!(code(text.replace("\"v\":1", "\"v\":1,\"v\":1")), Err("proof_file_json"));
    assert_eq!(code(String::new()), Err("proof_file_json"));
    assert_eq!(code(" ".repeat(PROOF_BYTES_MAX + 1)), Err("proof_file_too_long"));
    let newer = verify_bytes(text.replace("\"v\":1", "\"v\":2").as_bytes(), &trust());
    assert_eq!(newer.outcome, Outcome::CannotEvaluate);
}

#[test]
fn every_changed_byte_of_a_proof_file_is_noticed() {
    let (lines, tree) = scroll(6);
    let bytes = proof(&lines, &tree, 4).to_bytes();
    let trust = trust();
    let mut mutants = 0;
    let mut refuse = |changed: &[u8], what: &str, place: usize| {
        mutants += 1;
        let verdict = verify_bytes(changed, &trust);
        assert!(!verdict.is_verified(), "{what} at {place}: {verdict:?}");
        if verdict.outcome == Outcome::Tampered {
            assert!(verdict.first_bad.is_some());
        }
    };
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << bit;
            refuse(&flipped, "flip", place);
        }
        refuse(&[&bytes[..place], &bytes[place + 1..]].concat(), "cut", place);
        refuse(&[&bytes[..place], b"0", &bytes[place..]].concat(), "insert", place);
    }
    println!("PROOF.json: {mutants} mutants, none verified");
}

#[test]
fn a_missing_key_cannot_be_evaluated() {
    let (lines, tree) = scroll(3);
    let proof = proof(&lines, &tree, 1);
    let stranger = SecretKey::from_seed([1; 32]).public();
    let no_issuer = Trust { issuers: vec![stranger], ..trust() };
    let verdict = verify(&proof, &no_issuer);
    assert_eq!(verdict.exit_code(), 7);
    assert!(verdict.missing[0].starts_with("issuer key not in trust: did:key:"), "{verdict:?}");
    let no_log = Trust { logs: vec![Vkey::new(ORIGIN, stranger).unwrap()], ..trust() };
    let verdict = verify(&proof, &no_log);
    assert_eq!(verdict.exit_code(), 7);
    assert!(verdict.missing[0].starts_with("log key not in trust"), "{verdict:?}");
    let quorum = Trust { quorum: Quorum::Of("w".into()), ..trust() };
    let verdict = verify(&proof, &quorum);
    assert_eq!(
        (verdict.exit_code(), claims(&verdict).last()),
        (7, Some(&("witness_quorum", false)))
    );
    let own = Trust { self_asserted: true, ..trust() };
    assert!(verify(&proof, &own).summary.starts_with("verified (self-asserted"));
}

#[test]
fn a_contradiction_is_found_even_without_the_keys() {
    let (lines, tree) = scroll(3);
    let mut bad = proof(&lines, &tree, 1);
    bad.inclusion.index = 2;
    let verdict = verify(&bad, &Trust { logs: vec![], ..trust() });
    assert_eq!(verdict.outcome, Outcome::Tampered);
    assert_eq!(verdict.first_bad.unwrap().claim, "inclusion");
}

/// A proof of a line that the house's own keys sealed and signed, wrong in one way only.
fn forged(seq: u64, prev: Prev, origin: &str) -> Proof {
    let sealed = line(seq, prev, "treasury_debit", json!({})).seal(&issuer()).unwrap();
    let (_, mut tree) = scroll(2);
    tree.push(leaf_hash(&sealed.bytes));
    let (size, root) = (tree.size(), tree.root());
    let note = Checkpoint { origin: origin.to_owned(), size, root }.sign(&log_key());
    let hashes = tree.inclusion_proof(3, 2).unwrap();
    Proof::new(String::from_utf8(sealed.bytes).unwrap(), 2, hashes, note)
}

#[test]
fn signed_lies_are_contradicted_claim_by_claim() {
    let (_, tree) = scroll(2);
    let prev = Prev { size: 2, root: tree.root() };
    let first_bad = |proof: &Proof| {
        let other = Vkey::new("example.org/n1/vault", log_key().public()).unwrap();
        let mut trust = trust();
        trust.logs.push(other);
        verify(proof, &trust).first_bad.map(|place| place.claim)
    };
    assert_eq!(first_bad(&forged(2, prev, ORIGIN)), None);
    let wrong_root = Prev { size: 2, root: [1; 32] };
    assert_eq!(first_bad(&forged(2, wrong_root, ORIGIN)).as_deref(), Some("prev"));
    let not_empty = Prev { size: 0, root: [1; 32] };
    assert_eq!(first_bad(&forged(2, not_empty, ORIGIN)).as_deref(), Some("prev"));
    assert_eq!(
        first_bad(&forged(1, Prev { size: 1, ..prev }, ORIGIN)).as_deref(),
        Some("seq_is_index")
    );
    let vault = forged(2, prev, "example.org/n1/vault");
    assert_eq!(first_bad(&vault).as_deref(), Some("origin_is_scroll"));
    let inside_batch = forged(2, Prev { size: 1, root: [1; 32] }, ORIGIN);
    let verdict = verify(&inside_batch, &trust());
    assert!(verdict.is_verified() && verdict.not_checked[0].starts_with("prev:"), "{verdict:?}");
}

#[test]
fn digests_that_do_not_follow_from_the_line_are_noticed() {
    let mut lying = line(0, Prev { size: 0, root: MemoryTree::new().root() }, "t", json!({}));
    lying.state = lying.contract;
    let sealed = lying.seal(&issuer()).unwrap();
    let mut tree = MemoryTree::new();
    tree.push(leaf_hash(&sealed.bytes));
    let verdict = verify(&proof(&[sealed], &tree, 0), &trust());
    assert_eq!(verdict.outcome, Outcome::Tampered);
    assert!(verdict.summary.contains("state does not follow"), "{}", verdict.summary);
    assert!(verdict.still_provable.iter().any(|s| s.starts_with("the line was signed")));
}

#[test]
fn a_line_changed_after_sealing_names_the_signature() {
    let (lines, tree) = scroll(3);
    let good = proof(&lines, &tree, 1);
    let line = good.line.replace("10.00", "10.01");
    let verdict = verify(&Proof { line, ..good }, &trust());
    let place = verdict.first_bad.unwrap();
    assert_eq!(
        (place.file.as_str(), place.claim.as_str()),
        ("PROOF.json#/line", "issuer_signature")
    );
    assert!(place.byte.is_some());
    assert!(verdict.still_provable.iter().any(|s| s.contains("checkpoint")));
}

proptest! {
    #[test]
    fn every_proof_reads_back(line in "\\PC{0,60}", checkpoint in "(\\PC|\n){0,60}", index in 0_u64..1 << 53, hashes in prop::collection::vec(prop::array::uniform32(any::<u8>()), 0..=63)) {
        let proof = Proof::new(line, index, hashes, checkpoint);
        prop_assert_eq!(Proof::parse(&proof.to_bytes()), Ok(proof));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), line in "\\PC{0,60}", checkpoint in "(\\PC|\n){0,60}", index in 0_u64..1 << 53) {
        prop_assert!(!verify_bytes(&bytes, &trust()).is_verified());
        let proof = Proof::new(line, index, vec![[0; 32]; 3], checkpoint);
        prop_assert!(!verify(&proof, &trust()).is_verified());
    }
}
