//! What callers are told: in order, of what is really there, and never a secret.

use crate::place::{Edited, LINES, code, twin};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vm_contracts::{Call, Field, Kind, Spec, edge};
use vm_ledger::fs::{Disk, Fs};
use vm_ledger::guard::Guard;
use vm_ledger::store::Memory;
use vm_ledger::{Answer, Writer};
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Vkey;
use vm_scrolls::tree::{leaf_hash, verify_inclusion};
use vm_tests::toy::TOY;
use vm_tests::world::{call, keys, many, note, outside, settings};

#[test]
fn calls_keep_their_order_over_the_border_of_a_batch() {
    let home = Edited::new();
    let ledger = home.open();
    let mut calls: Vec<Call> = (0..20).map(|n| many(&format!("m{n}"), "t", 400)).collect();
    calls.push(note("small", "t"));
    calls.push(call("first", "guarded", json!({"name": "alpha"})));
    calls.push(call("second", "guarded", json!({"name": "alpha"})));
    let mut answers = ledger.submit_all(calls);
    assert_eq!(code(answers.pop().unwrap()), "name_taken", "the second taker came second");
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let firsts: Vec<u64> = answers.iter().map(|a| a.first).collect();
    let expected: Vec<u64> = (0..20).map(|n| 1 + n * 400).chain([8_001, 8_002]).collect();
    assert_eq!(firsts, expected);
    let batches: std::collections::BTreeSet<u64> =
        answers.iter().map(|a| crate::place::line(a).prev.size).collect();
    assert!(batches.len() > 1, "all of it fitted one batch, so no border was crossed");
}

/// A disk that takes no more bytes once it is told so.
struct FullDisk(Disk, AtomicBool);

impl FullDisk {
    fn room(&self) -> io::Result<()> {
        match self.1.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl Fs for FullDisk {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.0.read(path)
    }
    fn read_at(&self, path: &str, from: u64, len: usize) -> io::Result<Vec<u8>> {
        self.0.read_at(path, from, len)
    }
    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        self.0.len(path)
    }
    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }
    fn paged(&self, path: &str) -> io::Result<std::sync::Arc<dyn vm_ledger::fs::Paged>> {
        self.0.paged(path)
    }
    fn create_dir(&self, dir: &str) -> io::Result<bool> {
        self.0.create_dir(dir)
    }
    fn append(&self, path: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.room()?;
        self.0.append(path, at, bytes)
    }
    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.room()?;
        self.0.write(path, bytes)
    }
    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.0.truncate(path, len)
    }
    fn sync(&self, path: &str) -> io::Result<()> {
        self.0.sync(path)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        self.0.remove(path)
    }
    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.0.sync_dir(dir)
    }
    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        self.0.remove_dir(dir)
    }
    fn regular(&self, path: &str) -> io::Result<Option<u64>> {
        self.0.regular(path)
    }
}

#[test]
fn a_known_id_is_answered_while_there_is_no_space() {
    let home = Edited::with(&["a"]);
    let disk = Arc::new(FullDisk(Disk::new(home.path(""), home.away("")), AtomicBool::new(false)));
    let ledger = home.open_on(disk.clone()).unwrap();
    disk.1.store(true, Ordering::SeqCst);
    let answers = ledger.submit_all(vec![note("b", "b"), note("a", "a"), note("c", "c")]);
    let codes: Vec<String> = answers.into_iter().map(code).collect();
    // The first call that found no space fails its batch; the known one may be asked for again.
    assert_eq!((codes[0].as_str(), codes[2].as_str()), ("no_space", "no_space"));
    for _ in 0..2 {
        assert!(ledger.submit(note("a", "a")).unwrap().existing);
        assert_eq!(code(ledger.submit(note("b", "b"))), "no_space");
        assert_eq!(code(ledger.submit(note("a", "other"))), "id_used_for_other_intent");
    }
    assert_eq!(ledger.prove("toy", 1).unwrap().seq, 1);
}

#[test]
fn a_process_that_goes_on_finds_space_that_was_made() {
    let home = Edited::with(&["a"]);
    let disk = Arc::new(FullDisk(Disk::new(home.path(""), home.away("")), AtomicBool::new(false)));
    let ledger = home.open_on(disk.clone()).unwrap();
    disk.1.store(true, Ordering::SeqCst);
    assert_eq!(code(ledger.submit(note("b", "b"))), "no_space");
    // Nothing to publish, so nothing fails; it is as full as before.
    ledger.tick().unwrap();
    assert_eq!(code(ledger.submit(note("b", "b"))), "no_space");
    disk.1.store(false, Ordering::SeqCst);
    ledger.tick().unwrap();
    assert!(!ledger.submit(note("b", "b")).unwrap().existing);
    assert!(home.path("reserve").exists());
}

#[test]
fn a_known_id_is_answered_while_the_clock_has_jumped() {
    let home = Edited::with(&["a"]);
    home.clock.set_by(5 * 3_600_000);
    let ledger = home.open();
    let answers = ledger.submit_all(vec![note("b", "b"), note("a", "a"), twin("t", "t")]);
    let codes: Vec<String> = answers.into_iter().map(code).collect();
    assert_eq!(codes, ["clock_jumped", "none", "clock_jumped"]);
}

#[test]
fn a_line_changed_under_a_running_writer_is_not_handed_out() {
    let home = Edited::with(&["a", "b"]);
    let ledger = home.open();
    let changed = |why: &str| {
        let refused = ledger.submit(note("a", "a")).unwrap_err();
        assert_eq!(refused.code(), "corrupt", "{why}: retry");
        assert!(refused.to_string().contains(&format!("{LINES}, line 2")), "{why}: {refused}");
        assert_eq!(code(ledger.prove("toy", 1)), "corrupt", "{why}: proof");
        let mut seen = Vec::new();
        let walked = ledger.lines("toy", 0, &mut |_, line| {
            seen.push(line.seq);
            true
        });
        assert_eq!((code(walked).as_str(), seen), ("corrupt", Vec::new()), "{why}: query");
        let question = json!({"kind": "toy_note"});
        let report =
            ledger.report("toy", "total", question.as_object().unwrap(), Default::default());
        assert!(report.is_err(), "{why}: report");
    };
    home.replace(LINES, "\"text\":\"a\"", "\"text\":\"e\"");
    changed("another letter");
    home.replace(LINES, "\"text\":\"e\"", "\"text\":\"a\"");
    assert!(ledger.submit(note("a", "a")).unwrap().existing, "the ledger itself is as it was");
    ledger.submit(note("c", "c")).unwrap();
}

/// Asserts that an answer's lines are under its own checkpoint.
fn is_proven(answer: &Answer) {
    let vkey = Vkey::new(&settings().origin("toy"), keys().log.public()).unwrap();
    let (root, _) = Checkpoint::open(answer.checkpoint.as_bytes(), &[vkey]).unwrap();
    for ((seq, line), path) in (answer.first..).zip(&answer.lines).zip(&answer.proofs) {
        verify_inclusion(&leaf_hash(line), seq, root.size, path, &root.root).unwrap();
    }
}

#[test]
fn every_answer_is_under_its_own_checkpoint() {
    let home = Edited::new();
    let ledger = home.open();
    for calls in [vec![note("a", "a")], vec![many("m", "x", 5), note("a", "a"), note("b", "b")]] {
        ledger.submit_all(calls).into_iter().for_each(|answer| is_proven(&answer.unwrap()));
    }
    drop(ledger);
    is_proven(&home.open().submit(many("m", "x", 5)).unwrap());
}

#[test]
fn an_answer_with_another_writer_s_line_is_under_a_checkpoint_that_covers_it() {
    let store = Arc::new(Memory::new());
    let writer = || {
        let home = Edited::new();
        let outside = outside(home.disk(), Arc::default(), 7);
        Writer::over(outside, settings(), keys(), store.clone(), Guard::new(&settings().ledger))
    };
    let (mut ours, mut theirs) = (writer(), writer());
    let commit = |writer: &mut Writer, id| {
        let answer = writer.commit(&TOY, vec![note(id, id)]).remove(0).unwrap();
        is_proven(&answer);
        answer
    };
    commit(&mut ours, "a");
    assert!(commit(&mut theirs, "a").existing);
    commit(&mut theirs, "b");
    // Decided as new, lost the race, and then known.
    assert!(commit(&mut ours, "b").existing);
}

#[test]
fn a_tag_may_be_given_once() {
    let home = Edited::new();
    let ledger = home.open();
    let twice = Call { tags: vec!["t".into(), "u".into(), "t".into()], ..note("a", "a") };
    let refused = ledger.submit(twice).unwrap_err();
    assert_eq!(refused.code(), "wrong_type");
    assert!(refused.to_string().contains("once"), "{refused}");
    ledger.submit(Call { tags: vec!["t".into(), "u".into()], ..note("a", "a") }).unwrap();
}

const INNER: &[Field] = &[Field::new("pin", Kind::Integer(1, 9), "the pin").secret()];

const fn secret(kind: Kind) -> Field {
    Field::new("value", kind, "what nobody may see").secret()
}

const fn takes(fields: &'static [Field]) -> Spec {
    Spec { verb: "take", about: "Take it", needs: "toy.take", types: &[], fields, example: "" }
}

/// One operation for each kind of secret.
static SECRETS: [Spec; 9] = [
    takes(&[secret(Kind::Text(4))]),
    takes(&[secret(Kind::Name(4))]),
    takes(&[secret(Kind::Integer(1, 9))]),
    takes(&[secret(Kind::Decimal(1))]),
    takes(&[secret(Kind::Time)]),
    takes(&[secret(Kind::Bool)]),
    takes(&[secret(Kind::Choice(&["yes", "no"]))]),
    takes(&[secret(Kind::TextList(1, 4))]),
    takes(&[secret(Kind::List(1, INNER))]),
];

#[test]
fn no_secret_value_stands_in_a_refusal() {
    let (number, text) = (8_675_309, "8675309-sentinel");
    let values = [
        json!(number),
        json!(text),
        json!(format!("{text}\n")),
        json!(format!(" {number}")),
        json!(format!("{number}.55555")),
        json!([text, text]),
        json!([text]),
        json!([{"pin": number}]),
        json!([{"pin": text}]),
        json!({"value": text}),
        json!(86.75309),
    ];
    let mut refused = 0;
    for spec in &SECRETS {
        for value in &values {
            let intent = json!({"value": value});
            let said = match edge::admit(spec, intent.as_object().unwrap()) {
                Err(refusal) => format!("{refusal:?} {refusal}"),
                // Whoever reads a secret into another type than its kind promises must not tell it either.
                Ok(intent) => {
                    match edge::typed::<std::collections::BTreeMap<String, [u8; 3]>>(spec, &intent)
                    {
                        Err(refusal) => format!("{refusal:?} {refusal}"),
                        Ok(_) => continue,
                    }
                }
            };
            refused += 1;
            for sentinel in ["8675309", "86.75309"] {
                assert!(!said.contains(sentinel), "{:?} {value}: {said}", spec.fields[0].kind);
            }
        }
    }
    assert!(refused > 80, "only {refused} of the cases were refused");
}

#[test]
fn no_secret_value_stands_in_a_refusal_of_the_ledger_or_in_its_home() {
    let home = Edited::new();
    let ledger = home.open();
    let hide =
        |id: &str, name: &str, code: Value| call(id, "hide", json!({"name": name, "code": code}));
    ledger.submit(hide("a", "alpha", json!("8675309-kept-nowhere"))).unwrap();
    let wrong = [
        hide("b", "alpha", json!("8675309-name-taken")),
        hide("b", "beta", json!("8675309")),
        hide("b", "beta", json!(8_675_309)),
        hide("b", "beta", json!("8675309".repeat(30))),
        hide("a", "gamma", json!("8675309-other-intent")),
        Call { tags: vec!["t".into(), "t".into()], ..hide("b", "beta", json!("8675309-tags")) },
        Call { id: Some("no id".into()), ..hide("b", "beta", json!("8675309-bad-id")) },
    ];
    for call in wrong {
        let refused = ledger.submit(call).unwrap_err();
        let said = format!("{refused:?} {refused} {:?}", refused.hint());
        assert!(!said.contains("8675309"), "{said}");
    }
    ledger.flush().unwrap();
    drop(ledger);
    for (path, bytes) in home.all() {
        let found = bytes.windows(7).any(|w| w == b"8675309");
        assert!(!found, "{} holds a secret", path.display());
    }
}
