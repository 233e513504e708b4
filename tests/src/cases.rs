//! Sealed cases as a ledger leaves them, made by hand: what proofs, verifiers and fuzz targets compare with.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use vm_receipts::case::{Artifact, PrivateOutput, manifest, manifest_digest, root, stub};
use vm_receipts::intent::intent_digest;
use vm_receipts::key::SecretKey;
use vm_receipts::line::{Context, End, Line, Part, Prev, record_digests};
use vm_receipts::private::Disclosure;
use vm_receipts::{Blake3, Moment, Sha256};
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Vkey;
use vm_scrolls::proof::{Entry, Proof};
use vm_scrolls::tree::{MemoryTree, leaf_hash};
use vm_scrolls::trust::Trust;

/// The key that seals.
pub fn issuer() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

/// The key that signs checkpoints.
pub fn log() -> SecretKey {
    SecretKey::from_seed([2; 32])
}

/// The scroll's origin.
pub const ORIGIN: &str = "ledger.example/n1/toy";

/// Path and content of every file below some folder.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// One sealed run.
pub struct Case {
    /// The files of its folder, ARTIFACTS.sha256 among them.
    pub files: Tree,
    /// Its line, as stored.
    pub line: Vec<u8>,
    /// Openings of its private values: a field of the body and contract, one of state.json, an output.
    pub openings: Vec<Disclosure>,
}

/// A scroll with cases: lines, their checkpoint, and the folders.
pub struct Cases {
    /// All lines of the scroll.
    pub lines: Vec<Vec<u8>>,
    /// The signed checkpoint over them.
    pub checkpoint: String,
    /// A completed run and an aborted one.
    pub cases: Vec<Case>,
    /// Where the first case stands.
    pub first: u64,
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn tree_of(lines: &[Vec<u8>]) -> MemoryTree {
    let mut tree = MemoryTree::new();
    tree.extend(lines.iter().map(|line| leaf_hash(line)));
    tree
}

fn field(salt: u8, name: &str, value: Value) -> Disclosure {
    Disclosure::field(&[salt; 32], name, &value).expect("a plain field")
}

/// The files of a case and the openings of what is private in them.
fn files(salt: u8, end: End) -> (Tree, Vec<Disclosure>) {
    let email = field(salt, "email", json!("ada@example.org"));
    let note = field(salt + 1, "note", json!({"seen": ["by", "two"]}));
    let photo = PrivateOutput { name: "photo.jpg".into(), sha256: Sha256::of(b"jpg"), size: 3 };
    let output = photo.disclosure(&[salt + 2; 32]).expect("a plain output");
    let contract = json!({"intent": {"_sd": [email.digest()], "count": 1}, "v": 1});
    let stage = json!({"_sd": [note.digest()], "id": "one", "status": "completed"});
    let state = json!({"stages": [stage], "status": end.word(), "v": 1});
    let report = "# Report\n\nGr\u{fc}\u{df}e\n";
    let texts: [(&str, Vec<u8>); 5] = [
        ("contract.json", contract.to_string().into_bytes()),
        ("outputs/1.private", stub(output.digest())),
        ("outputs/empty", Vec::new()),
        ("outputs/report.md", report.as_bytes().to_vec()),
        ("state.json", state.to_string().into_bytes()),
    ];
    let mut files: Tree = texts.map(|(path, bytes)| (path.to_owned(), bytes)).into();
    let list = manifest(&artifacts(&files));
    files.insert("ARTIFACTS.sha256".into(), list.into_bytes());
    (files, vec![email, note, output])
}

/// The files of a case that belong to its bundle, in order.
pub fn artifacts(files: &Tree) -> Vec<Artifact> {
    let inside = files.iter().filter(|(path, _)| vm_receipts::case::is_case_path(path));
    inside.map(|(path, bytes)| Artifact::of(path, bytes)).collect()
}

/// The first line of a scroll of its own.
pub fn genesis() -> Vec<u8> {
    let mut line = plain_line(&[]);
    line.kind = "ledger_open".into();
    line.op = "ledger.open".into();
    line.id = "genesis".into();
    line.body = map(json!({"domain": "ledger.example", "ledger": "small"}));
    (line.contract, line.state, line.root_hash) = record_digests(&line);
    line.seal(&issuer()).expect("a line that keeps the rules").bytes
}

/// A line after those, without anything to say.
fn plain_line(lines: &[Vec<u8>]) -> Line {
    let tree = tree_of(lines);
    let last = lines.last().map(|line| Line::parse(line).expect("a sealed line").at);
    Line {
        kind: "toy_run".into(),
        op: "toy.run".into(),
        scroll: "toy".into(),
        seq: tree.size(),
        id: "run".into(),
        part: Part { n: 1, of: 1 },
        intent: intent_digest("toy.run", &map(json!({"count": 1}))).expect("a plain intent"),
        issuer: issuer().did().to_owned(),
        actor: "local:1000".into(),
        context: Context { surface: "cli".into(), node: "n1".into(), demo: false },
        actor_proof: None,
        authority: map(json!({"mode": "owner"})),
        at: last.unwrap_or_else(|| Moment::parse("2026-10-01T09:30:03.125Z").expect("well-formed")),
        end: End::Completed,
        contract: Blake3([0; 32]),
        state: Blake3([0; 32]),
        root_hash: Blake3([0; 32]),
        artifacts: None,
        prev: Prev { size: tree.size(), root: tree.root() },
        tags: Vec::new(),
        body: Map::new(),
        proof: None,
    }
}

fn case(id: &str, salt: u8, end: End, lines: &[Vec<u8>]) -> Case {
    let (files, openings) = files(salt, end);
    let all = artifacts(&files);
    let decoy = field(salt + 3, "phone", Value::Null);
    let mut digests = vec![openings[0].digest(), decoy.digest()];
    digests.sort_unstable();
    let mut body = map(json!({"_sd": digests, "count": 1}));
    if end == End::Aborted {
        body.insert("fault".into(), json!({"code": "port_failed"}));
    }
    let line = Line {
        id: id.into(),
        end,
        contract: all[0].blake3,
        state: all[all.len() - 1].blake3,
        root_hash: root(&all).expect("plain paths"),
        artifacts: Some(manifest_digest(&all)),
        body,
        ..plain_line(lines)
    };
    Case { files, line: line.seal(&issuer()).expect("a line that keeps the rules").bytes, openings }
}

impl Cases {
    /// Two cases sealed after these lines of the toy scroll.
    pub fn after(lines: &[Vec<u8>]) -> Self {
        let mut lines = lines.to_vec();
        let first = lines.len() as u64;
        let mut cases = Vec::new();
        for (id, salt, end) in [("run-1", 10, End::Completed), ("run-2", 20, End::Aborted)] {
            let case = case(id, salt, end, &lines);
            lines.push(case.line.clone());
            cases.push(case);
        }
        let tree = tree_of(&lines);
        let checkpoint =
            Checkpoint { origin: ORIGIN.into(), size: tree.size(), root: tree.root() }.sign(&log());
        Self { lines, checkpoint, cases, first }
    }

    /// The keys, as handed over from outside.
    pub fn trust() -> Trust {
        let vkey = Vkey::new(ORIGIN, log().public()).expect("a fixed, valid origin");
        Trust { issuers: vec![issuer().public()], logs: vec![vkey], ..Trust::default() }
    }

    /// The files of a home with these lines and cases. Nothing says how far it was ever signed.
    pub fn home(&self) -> Tree {
        let mut lines = self.lines.join(&b'\n');
        lines.push(b'\n');
        let mut files = Tree::from([
            ("receipts/toy/00000000000000000000.jsonl".to_owned(), lines),
            ("ROOT.toy.txt".to_owned(), self.checkpoint.clone().into_bytes()),
        ]);
        for (id, case) in ["run-1", "run-2"].iter().zip(&self.cases) {
            let below = |path: &String| format!("cases/toy/{id}/{path}");
            files.extend(case.files.iter().map(|(path, bytes)| (below(path), bytes.clone())));
        }
        files
    }

    /// The proof of a case without its files.
    pub fn bare(&self, n: usize) -> Proof {
        let tree = tree_of(&self.lines);
        let index = self.first + n as u64;
        let hashes = tree.inclusion_proof(tree.size(), index).expect("a line of the scroll");
        let line = String::from_utf8(self.cases[n].line.clone()).expect("lines are UTF-8");
        Proof::new(line, index, hashes, self.checkpoint.clone())
    }

    /// The proof of a case with all its files and openings; the text of the documents and stubs is carried.
    pub fn whole(&self, n: usize) -> Proof {
        let case = &self.cases[n];
        let entries =
            artifacts(&case.files).iter().map(|file| text(Entry::of(file), case)).collect();
        let openings = case.openings.iter().map(|one| one.text().to_owned()).collect();
        self.bare(n).with_bundle(entries).with_disclosures(openings)
    }

    /// The proof of a case with some of its files, by their place.
    pub fn some(&self, n: usize, indices: &[usize]) -> Proof {
        let case = &self.cases[n];
        let all = artifacts(&case.files);
        let entry = |at: &usize| Entry::partial(&all, *at).expect("a file of the case");
        self.bare(n).with_bundle(indices.iter().map(|at| text(entry(at), case)).collect())
    }
}

fn text(entry: Entry, case: &Case) -> Entry {
    if entry.path.starts_with("outputs/") && !entry.path.ends_with(".private") {
        return entry;
    }
    let bytes = case.files[&entry.path].clone();
    entry.with_content(String::from_utf8(bytes).expect("documents are UTF-8"))
}
