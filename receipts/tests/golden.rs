//! The golden line: one published line, byte for byte. `SPEC.md` shows the same bytes.
//!
//! The file holds facts about format version 1. Until the first release the format is a draft and the file follows it;
//! afterwards it never changes.

use serde_json::{Map, Value, json};
use vm_receipts::intent::intent_digest;
use vm_receipts::line::{record_digests, record_documents, verify_proof};
use vm_receipts::{Blake3, Context, End, Line, Moment, Part, Prev, PublicKey, SecretKey, Sha256};

const SPEC: &str = include_str!("../SPEC.md");

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/receipts/line.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the golden file")).expect("JSON")
}

fn seed(hex: &str) -> [u8; 32] {
    let pairs = hex.as_bytes().chunks(2);
    let bytes: Vec<u8> = pairs
        .map(|pair| {
            let digits = std::str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(digits, 16).expect("hex")
        })
        .collect();
    bytes.try_into().expect("32 bytes")
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

/// The line of the specification, made from its parts.
fn line(key: &SecretKey) -> Line {
    let fields = map(json!({"account": "acct:ops", "amount_cents": 150_000, "currency": "EUR"}));
    let mut line = Line {
        kind: "treasury_credit".to_owned(),
        op: "treasury.credit".to_owned(),
        scroll: "treasury".to_owned(),
        seq: 1,
        id: "0199a0c5-7d2d-7000-8000-000000000001".to_owned(),
        part: Part { n: 1, of: 1 },
        intent: intent_digest("treasury.credit", &fields).expect("in profile"),
        issuer: key.did().to_owned(),
        actor: "local:1000".to_owned(),
        context: Context { surface: "cli".to_owned(), node: "n1".to_owned(), demo: true },
        actor_proof: None,
        authority: map(json!({"mode": "owner"})),
        at: Moment::parse("2026-10-01T09:30:03.125Z").expect("well-formed"),
        end: End::Completed,
        contract: Blake3([0; 32]),
        state: Blake3([0; 32]),
        root_hash: Blake3([0; 32]),
        artifacts: None,
        // RFC 6962 s2.1: a tree of one leaf; here SHA-256(0x00 ‖ "{}"), standing in for a first line.
        prev: Prev { size: 1, root: Sha256::of(b"\x00{}").0 },
        tags: vec!["opening".to_owned()],
        body: fields,
        proof: None,
    };
    (line.contract, line.state, line.root_hash) = record_digests(&line);
    line
}

#[test]
fn the_golden_line_is_sealed_byte_for_byte() {
    let golden = golden();
    let text = |name: &str| golden[name].as_str().unwrap_or_default().to_owned();
    let key = SecretKey::from_seed(seed(&text("seed")));
    assert_eq!(key.did(), text("did"));
    let sealed = line(&key).seal(&key).expect("seals");
    assert_eq!(String::from_utf8_lossy(&sealed.bytes), text("line"));
    let leaf = [&[0], &sealed.bytes[..]].concat();
    assert_eq!(Sha256::of(&leaf).to_string(), format!("sha256:{}", text("leaf")));
    let (contract, state) = record_documents(&sealed.line);
    assert_eq!(String::from_utf8_lossy(&contract), text("contract.json"));
    assert_eq!(String::from_utf8_lossy(&state), text("state.json"));
}

#[test]
fn the_golden_line_reads_back_and_verifies() {
    let golden = golden();
    let bytes = golden["line"].as_str().expect("a line").as_bytes();
    let line = Line::parse(bytes).expect("reads");
    let key = PublicKey::from_did(&line.issuer).expect("a key");
    assert_eq!(verify_proof(bytes, &key), Ok(()));
    let digests = (line.contract, line.state, line.root_hash);
    assert_eq!(record_digests(&line), digests, "a record's documents follow from its line");
}

#[test]
fn the_specification_shows_the_golden_bytes() {
    let golden = golden();
    for name in ["seed", "did", "line", "leaf", "contract.json", "state.json", "signed"] {
        let value = golden[name].as_str().expect(name);
        assert!(SPEC.contains(value), "{name} is not in SPEC.md");
    }
}

#[test]
fn the_specification_lists_every_error_code_of_a_line() {
    // Codes in the sources: a string literal of the listed families.
    let sources = [
        include_str!("../src/json.rs"),
        include_str!("../src/line/proof.rs"),
        include_str!("../src/line/read.rs"),
        include_str!("../src/line/rules.rs"),
        include_str!("../src/private.rs"),
        include_str!("../src/intent.rs"),
        include_str!("../src/key.rs"),
        include_str!("../src/bundle.rs"),
    ];
    let families = ["json_", "line_", "proof_", "sd_", "actor_proof_", "bundle_", "key_"];
    let mut found = 0;
    for source in sources {
        let shipped = source.split("#[cfg(test)]").next().expect("a first part");
        for literal in shipped.split('"').skip(1).step_by(2) {
            let code = literal.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if code && families.iter().any(|family| literal.starts_with(family)) {
                assert!(SPEC.contains(&format!("`{literal}`")), "{literal} is not in SPEC.md");
                found += 1;
            }
        }
    }
    assert!(found > 40, "only {found} codes found: the search no longer fits the sources");
}
