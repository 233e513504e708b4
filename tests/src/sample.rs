//! A small home with fixed keys, time and calls: the original that laws, oracles and archives compare with.

use crate::memfs::{Files, MemoryFs};
use crate::world::{self, HandClock, call, many, note};
use serde_json::json;
use std::sync::Arc;
use vm_contracts::{Call, Failure};
use vm_ledger::{Ledger, Writer};
use vm_receipts::key::SecretKey;
use vm_scrolls::note::{Note, Vkey};
use vm_scrolls::proof::Proof;
use vm_scrolls::tlog_proof::TlogProof;
use vm_scrolls::tree::{MemoryTree, leaf_hash};
use vm_scrolls::trust::Trust;

/// A home at rest, with what an outsider needs to check it.
pub struct Sample {
    /// All files, the guard directory's under `@guard`.
    pub files: Files,
    /// The toy scroll's lines.
    pub lines: Vec<Vec<u8>>,
    /// Its signed checkpoint.
    pub checkpoint: String,
    /// The keys, as handed over from outside.
    pub trust: Trust,
}

/// The key that seals in the small world.
pub fn issuer() -> SecretKey {
    (*world::keys().issuer).clone()
}

/// The keys of the small world, as an outsider would be given them.
pub fn trust() -> Trust {
    let keys = world::keys();
    let origin = world::settings().origin("toy");
    let vkey = Vkey::new(&origin, keys.log.public()).expect("a fixed, valid origin");
    Trust { issuers: vec![keys.issuer.public()], logs: vec![vkey], ..Trust::default() }
}

/// Opens a home of the small world.
pub fn open(fs: Arc<MemoryFs>) -> Result<Writer, Failure> {
    Writer::open(
        world::outside(fs, Arc::new(HandClock::default()), 7),
        world::settings(),
        world::keys(),
    )
}

/// The calls of the sample: one of each shape, one batch of several.
pub fn calls() -> Vec<Call> {
    vec![
        note("n-1", "hello"),
        many("m-1", "thrice", 3),
        call("g-1", "guarded", json!({"name": "alpha"})),
        call("h-1", "hide", json!({"name": "beta", "code": "correct horse"})),
        Call {
            tags: vec!["tag-a".into(), "tag-b".into()],
            ..note("n-2", "grüße \u{1f980} \"quoted\"\\")
        },
        call("n-3", "note", json!({"text": "", "n": -7})),
    ]
}

impl Sample {
    /// A home of nine lines: genesis, and the calls above in three batches.
    pub fn small() -> Self {
        let clock = Arc::new(HandClock::default());
        let fs = Arc::new(MemoryFs::default());
        world::lay_out(&*fs);
        let writer = Writer::open(
            world::outside(fs.clone(), clock.clone(), 7),
            world::settings(),
            world::keys(),
        );
        let ledger = Ledger::new(writer.expect("an empty home opens"));
        let all = calls();
        for batch in [&all[..1], &all[1..4], &all[4..]] {
            clock.pass(1_500);
            for answer in ledger.submit_all(batch.to_vec()) {
                answer.expect("the sample's calls are accepted");
            }
        }
        ledger.flush().expect("memory takes every write");
        let mut lines = Vec::new();
        ledger
            .lines("toy", 0, &mut |bytes, _| {
                lines.push(bytes.to_vec());
                true
            })
            .expect("the lines were just written");
        let checkpoint = ledger.prove("toy", 0).expect("there is a genesis").checkpoint;
        let mut files = fs.files();
        let keys = world::keys();
        files.insert("keys/issuer.did".into(), format!("{}\n", keys.issuer.did()).into_bytes());
        files.insert(
            "keys/log.vkey".into(),
            format!("{}\n", keys.vkey(&world::settings().origin("toy"))).into_bytes(),
        );
        Self { files, lines, checkpoint, trust: trust() }
    }

    /// PROOF.json and `.tlog-proof` of one line.
    pub fn proofs(&self, seq: u64) -> (Vec<u8>, Vec<u8>) {
        let mut tree = MemoryTree::new();
        tree.extend(self.lines.iter().map(|line| leaf_hash(line)));
        let hashes = tree.inclusion_proof(tree.size(), seq).expect("a line of the sample");
        let place = usize::try_from(seq).expect("a small scroll");
        let line = String::from_utf8(self.lines[place].clone()).expect("lines are UTF-8");
        let proof = Proof::new(line, seq, hashes.clone(), self.checkpoint.clone());
        let tlog =
            TlogProof { extra: None, index: seq, hashes, checkpoint: self.checkpoint.clone() };
        (proof.to_bytes(), tlog.to_string().into_bytes())
    }

    /// The checkpoint as a note.
    pub fn note(&self) -> Note {
        Note::parse(self.checkpoint.as_bytes()).expect("the ledger signed it")
    }
}
