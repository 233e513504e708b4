//! What several laws need: vectors from outside the repository, keys, lines and small scrolls.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use vm_receipts::key::SecretKey;
use vm_receipts::line::{Context, End, Line, Part, Prev, record_digests};
use vm_receipts::moment::Moment;
use vm_receipts::{Blake3, Sealed};
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Vkey;
use vm_scrolls::proof::Proof;
use vm_scrolls::tree::{MemoryTree, leaf_hash};
use vm_scrolls::trust::Trust;

/// The folder of a suite of foreign vectors; `None` after saying so when it is not there.
pub fn suite(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared =
        std::env::var_os("VM_SHARED").filter(|v| !v.is_empty()).map_or(beside, PathBuf::from);
    let folder = shared.join("vectors").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var_os("VM_SHARED_REQUIRED").is_some_and(|v| v == "1");
    assert!(!required, "VM_SHARED_REQUIRED=1 and {name} is not there");
    write_past_capture(format_args!("skipped: {name}\n"));
    None
}

/// A JSON file of a suite.
pub fn json_file(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub const ORIGIN: &str = "example.org/n1/treasury";

pub fn issuer() -> SecretKey {
    SecretKey::from_seed([7; 32])
}

pub fn log_key() -> SecretKey {
    SecretKey::from_seed([9; 32])
}

pub fn trust() -> Trust {
    Trust {
        issuers: vec![issuer().public()],
        logs: vec![Vkey::new(ORIGIN, log_key().public()).unwrap()],
        ..Trust::default()
    }
}

/// An unsealed record line with digests that follow from it.
pub fn line(seq: u64, prev: Prev, kind: &str, body: Value) -> Line {
    let body: Map<String, Value> = body.as_object().unwrap().clone();
    let mut line = Line {
        kind: kind.to_owned(),
        op: "treasury.transfer".to_owned(),
        scroll: "treasury".to_owned(),
        seq,
        id: format!("id-{seq}"),
        part: Part { n: 1, of: 1 },
        intent: Blake3::of(b"intent"),
        issuer: issuer().did().to_owned(),
        actor: "local:1000".to_owned(),
        context: Context { surface: "cli".to_owned(), node: "n1".to_owned(), demo: false },
        actor_proof: None,
        authority: json!({"mode": "owner"}).as_object().unwrap().clone(),
        at: Moment::from_unix_ms(1_790_000_000_000 + seq as i64).unwrap(),
        end: End::Completed,
        contract: Blake3([0; 32]),
        state: Blake3([0; 32]),
        root_hash: Blake3([0; 32]),
        artifacts: None,
        prev,
        tags: vec![],
        body,
        proof: None,
    };
    (line.contract, line.state, line.root_hash) = record_digests(&line);
    line
}

/// A scroll of sealed lines, each in a batch of its own.
pub fn scroll(size: u64) -> (Vec<Sealed>, MemoryTree) {
    let mut tree = MemoryTree::new();
    let mut lines = Vec::new();
    for seq in 0..size {
        let prev = Prev { size: seq, root: tree.root() };
        let body = json!({"account": "assets:bank", "amount": "10.00"});
        let sealed = line(seq, prev, "treasury_debit", body).seal(&issuer()).unwrap();
        tree.push(leaf_hash(&sealed.bytes));
        lines.push(sealed);
    }
    (lines, tree)
}

pub fn checkpoint(tree: &MemoryTree) -> String {
    let (size, root) = (tree.size(), tree.root());
    Checkpoint { origin: ORIGIN.to_owned(), size, root }.sign(&log_key())
}

pub fn proof(lines: &[Sealed], tree: &MemoryTree, index: u64) -> Proof {
    let line = String::from_utf8(lines[index as usize].bytes.clone()).unwrap();
    let hashes = tree.inclusion_proof(tree.size(), index).unwrap();
    Proof::new(line, index, hashes, checkpoint(tree))
}

/// Past the test harness, which keeps what a passing test prints to itself: what was skipped must be seen.
fn write_past_capture(text: std::fmt::Arguments<'_>) {
    std::io::Write::write_fmt(&mut std::io::stderr(), text).expect("standard error takes a line");
}
