//! What must hold for any bytes, one function for each parser of outside bytes.
//!
//! An oracle never only says "no panic": what is accepted prints back to the same bytes, what is accepted twice is
//! equal, and whatever differs from a sealed original does not verify. The fuzz targets in `tests/fuzz` and the plain
//! test `corpus` call the same functions.

use crate::memfs::{Files, MemoryFs};
use crate::sample::{self, Sample};
use std::sync::{Arc, OnceLock};
use vm_ledger::audit;
use vm_ledger::guard::Guard;
use vm_receipts::json;
use vm_receipts::key::SecretKey;
use vm_receipts::line::{self, Line};
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::{Note, Vkey};
use vm_scrolls::proof::{self, Proof};
use vm_scrolls::query::{Query, QueryField, QueryKind, Schema};
use vm_scrolls::tile::{EntriesPath, TilePath};
use vm_scrolls::tlog_proof::TlogProof;
use vm_scrolls::tree::leaf_hash;
use vm_scrolls::trust::Trust;
use vm_scrolls::verdict::Outcome;

mod console;
mod hidden;
mod runs;

pub use console::{command_line, hook_event, otlp, trajectory, transcript, transcript_document};
pub use hidden::{case_list, disclosure, proof_case};
pub use runs::{contract, run_home, runbook, seeds as run_seeds};

/// Says of some bytes what must hold, and panics when it does not.
pub type Oracle = fn(&[u8]);

/// Every oracle, by the name of its fuzz target.
pub const TARGETS: &[(&str, Oracle)] = &[
    ("beancount", beancount),
    ("case_list", case_list),
    ("checkpoint", checkpoint),
    ("command_line", command_line),
    ("contract", contract),
    ("disclosure", disclosure),
    ("hook_event", hook_event),
    ("journal", journal),
    ("line", line),
    ("note", note),
    ("open_home", open_home),
    ("otlp", otlp),
    ("proof_case", proof_case),
    ("proof_file", proof_file),
    ("query", query),
    ("run_home", run_home),
    ("runbook", runbook),
    ("signed_state", signed_state),
    ("strict_json", strict_json),
    ("tile_path", tile_path),
    ("tlog_proof", tlog_proof),
    ("trajectory", trajectory),
    ("transcript", transcript),
    ("transcript_document", transcript_document),
    ("trust", trust),
];

/// The oracle of this name.
pub fn target(name: &str) -> Option<Oracle> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, oracle)| *oracle)
}

/// The home whose originals the oracles compare with, built once.
fn original() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(Sample::small)
}

/// A receipt line: canonical, sealed again to the same meaning, and never verified unless it is an original.
pub fn line(data: &[u8]) {
    let Ok(line) = Line::parse(data) else { return };
    assert_eq!(Line::parse(data).as_ref(), Ok(&line), "the same bytes read in two ways");
    assert_eq!(json::check_canonical(data), Ok(()), "a line that is not canonical was read");
    let value = json::parse(data).expect("a line that reads is strict JSON");
    assert_eq!(json::canonical(&value).as_deref(), Ok(data));
    let key = SecretKey::from_seed([9; 32]);
    let own = Line { issuer: key.did().to_owned(), ..line.clone() };
    if let Ok(sealed) = own.seal(&key) {
        if let Ok(prepared) = own.prepare() {
            assert_eq!(prepared.seal(&key).as_ref(), Ok(&sealed), "sealed in two ways");
        }
        assert_eq!(Line::parse(&sealed.bytes).as_ref(), Ok(&sealed.line));
        assert_eq!(line::verify_proof(&sealed.bytes, &key.public()), Ok(()));
        let same = Line { issuer: line.issuer.clone(), proof: line.proof.clone(), ..sealed.line };
        assert_eq!(same, line, "sealing changed more than issuer and proof");
    }
    let known = original();
    let verified = line::verify_proof(data, &sample::issuer().public()).is_ok();
    let stored = line::Stored::read(data).expect("it was just read");
    let issuer = line::Issuer::new(sample::issuer().public());
    assert_eq!(stored.verify(&issuer).is_ok(), verified, "one seal judged in two ways");
    assert_eq!(verified, known.lines.iter().any(|l| l == data), "a line nobody sealed verifies");
}

/// Strict JSON: one spelling, the same value as another reader, and a checker that accepts exactly the canonical form.
pub fn strict_json(data: &[u8]) {
    let canonical = json::check_canonical(data);
    let Ok(value) = json::parse(data) else {
        assert!(canonical.is_err(), "canonical bytes that are no strict JSON");
        return;
    };
    let printed = json::canonical(&value).expect("what was read in the profile prints");
    assert_eq!(canonical.is_ok(), printed == data, "the checker and the printer disagree");
    assert_eq!(json::check_canonical(&printed), Ok(()));
    assert_eq!(json::parse(&printed).as_ref(), Ok(&value));
    assert_eq!(json::parse_lenient_numbers(data).as_ref(), Ok(&value));
    let other: serde_json::Value =
        serde_json::from_slice(data).expect("another reader accepts it too");
    assert_eq!(other, value, "another reader sees another value");
}

/// A signed note: prints back to the same bytes; whatever a known key vouches for is the original text.
pub fn note(data: &[u8]) {
    let Ok(note) = Note::parse(data) else { return };
    assert_eq!(note.to_string().as_bytes(), data);
    assert_eq!(Note::parse(data).as_ref(), Ok(&note));
    let known = original();
    if vm_scrolls::note::verify(&note, &known.trust.logs).is_ok() {
        assert_eq!(note.text, known.note().text, "a text nobody signed verifies");
    }
}

/// A checkpoint: its body prints back, and it opens only over the original body.
pub fn checkpoint(data: &[u8]) {
    let known = original();
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(body) = Checkpoint::parse_body(text)
    {
        assert_eq!(body.body(), text);
    }
    let Ok((checkpoint, note)) = Checkpoint::open(data, &known.trust.logs) else { return };
    assert_eq!(checkpoint.body(), note.text);
    assert_eq!(note.text, known.note().text, "a checkpoint nobody signed opens");
    assert_eq!(note.to_string().as_bytes(), data);
}

/// Tile paths: one spelling each, and no path that is both a tile and a bundle.
pub fn tile_path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let tile = TilePath::parse(text);
    let entries = EntriesPath::parse(text);
    assert!(tile.is_err() || entries.is_err());
    if let Ok(path) = tile {
        assert_eq!(path.to_string(), text);
        assert!((1..=256).contains(&path.width) && path.level <= 63);
    }
    if let Ok(path) = entries {
        assert_eq!(path.to_string(), text);
        assert!((1..=256).contains(&path.width));
    }
}

/// A `.tlog-proof`: prints back to the same bytes, and proves an original line only at its own place.
pub fn tlog_proof(data: &[u8]) {
    let Ok(proof) = TlogProof::parse(data) else { return };
    assert_eq!(proof.to_string().as_bytes(), data);
    let known = original();
    for (seq, line) in known.lines.iter().enumerate() {
        if let Ok(checkpoint) = proof.verify(&leaf_hash(line), &known.trust.logs) {
            assert_eq!((proof.index, checkpoint.body()), (seq as u64, known.note().text));
        }
    }
}

/// A PROOF.json: prints back to the same bytes, and verifies only with an original line at its own place.
pub fn proof_file(data: &[u8]) {
    let known = original();
    let verdict = proof::verify_bytes(data, &known.trust);
    assert_eq!(verdict, proof::verify_bytes(data, &known.trust));
    let parsed = Proof::parse(data);
    if let Ok(parsed) = &parsed {
        assert_eq!(parsed.to_bytes(), data);
    }
    if verdict.outcome != Outcome::Verified {
        return;
    }
    let proof = parsed.expect("what verifies also reads");
    let place = usize::try_from(proof.inclusion.index).expect("an index of a small scroll");
    assert_eq!(proof.line.as_bytes(), known.lines[place], "a line nobody sealed is proved");
    let note = Note::parse(proof.checkpoint.as_bytes()).expect("what verifies also reads");
    assert_eq!(note.text, known.note().text, "a checkpoint nobody signed proves");
}

/// A trust file: prints to a file that means the same.
pub fn trust(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(trust) = Trust::parse(text) else { return };
    assert_eq!(Trust::parse(&trust.to_string()).as_ref(), Ok(&trust));
    for vkey in &trust.logs {
        assert_eq!(Vkey::parse(&vkey.to_string()).as_ref(), Ok(vkey));
    }
}

/// An accounting journal: read twice, it is the same; a refusal names a line of the file.
pub fn journal(data: &[u8]) {
    let book = vm_treasury::journal::read(data);
    assert_eq!(book, vm_treasury::journal::read(data));
    if let Err(refused) = book {
        in_file(refused.place.line, data);
    }
}

/// A beancount file: read twice, it is the same; a refusal names a line of the file.
pub fn beancount(data: &[u8]) {
    let checked = vm_treasury::beancount::read(data);
    assert_eq!(format!("{checked:?}"), format!("{:?}", vm_treasury::beancount::read(data)));
    if let Err(refused) = checked {
        in_file(refused.place.line, data);
    }
}

fn in_file(line: u32, data: &[u8]) {
    let lines = data.iter().filter(|b| **b == b'\n').count() + 1;
    assert!((1..=lines).contains(&(line as usize)), "line {line} of a file of {lines} lines");
}

/// A query: prints to a text that parses to the same query and matches the same lines.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let schema = Schema::new(vec![
        QueryField::new("text", QueryKind::Text),
        QueryField::new("n", QueryKind::Integer),
        QueryField::new("amount", QueryKind::Decimal),
        QueryField::new("effective_at", QueryKind::Time),
        QueryField::new("open", QueryKind::Bool),
        QueryField::new("list", QueryKind::TextList),
        QueryField::new("type", QueryKind::Text),
    ]);
    match Query::parse(&schema, text) {
        Err(e) => assert!(e.byte.is_none_or(|at| at <= text.len()), "{e}"),
        Ok(query) => {
            let again = Query::parse(&schema, &query.to_string());
            assert_eq!(again.as_ref(), Ok(&query), "{query}");
        }
    }
}

/// signed-state: prints back to the same bytes.
pub fn signed_state(data: &[u8]) {
    let Ok(guard) = Guard::parse(data) else { return };
    assert_eq!(guard.to_bytes(), data, "two spellings of one signed-state");
}

/// A home with changed bytes: it opens or says why not, nothing changed verifies, and opening twice changes nothing.
///
/// The data are edits: file, place, kind and value, four to eight bytes each (see [`edit`]).
pub fn open_home(data: &[u8]) {
    let known = original();
    let files = edit(&known.files, data);
    let evidence = |files: &Files| -> Files {
        let is = |path: &str| path.starts_with("receipts/") || path.starts_with("ROOT.");
        files.iter().filter(|(path, _)| is(path)).map(|(p, b)| (p.clone(), b.clone())).collect()
    };
    let fs = Arc::new(MemoryFs::with(files.clone()));
    let verdict = audit::verify_home(&*fs, &known.trust, &mut |_, _, _| {});
    assert_eq!(fs.files(), files, "verify wrote");
    let unchanged = evidence(&files) == evidence(&known.files);
    if verdict.outcome == Outcome::Verified {
        // Above the signed root an unfinished write may stand; below it not one byte may differ.
        let whole = evidence(&known.files)
            .into_iter()
            .all(|(path, bytes)| files.get(&path).is_some_and(|now| now.starts_with(&bytes)));
        assert!(whole, "changed evidence verifies: {}", verdict.summary);
    } else {
        let same_signed = files.get("signed-state") == known.files.get("signed-state");
        assert!(
            !unchanged || !same_signed,
            "an untouched home does not verify: {}",
            verdict.summary
        );
    }
    if verdict.outcome == Outcome::Tampered {
        let place = verdict.first_bad.expect("tampered evidence has a first place");
        let named = ["receipts", "ROOT.", "signed-state"].iter().any(|p| place.file.starts_with(p));
        assert!(named, "{place:?}");
    }
    let Ok(first) = sample::open(fs.clone()) else { return };
    drop(first);
    let after = fs.files();
    let again = sample::open(fs.clone()).map(drop);
    assert!(again.is_ok(), "a home that opened does not open again: {:?}", again.err());
    assert_eq!(evidence(&fs.files()), evidence(&after), "opening again changed evidence");
}

/// Applies edits to a copy of some files: change, insert, cut out, truncate or remove; never a second reading of the
/// same data, so that a fuzzer's small changes stay small.
pub fn edit(files: &Files, data: &[u8]) -> Files {
    let mut files = files.clone();
    for step in data.chunks(6).take(8) {
        let mut step = step.to_vec();
        step.resize(6, 0);
        let paths: Vec<String> = files.keys().cloned().collect();
        let Some(path) = paths.get(usize::from(step[0]) % paths.len().max(1)) else { break };
        let bytes = files.get_mut(path).expect("its name was just listed");
        let place = usize::from(u16::from_le_bytes([step[1], step[2]])) % (bytes.len() + 1);
        let len = usize::from(step[5]);
        match step[3] % 6 {
            0 if place < bytes.len() => bytes[place] ^= step[4],
            0 | 1 => bytes.insert(place, step[4]),
            2 => drop(bytes.drain(place..(place + len).min(bytes.len()))),
            3 => bytes.truncate(place),
            4 => bytes.extend_from_within(place..(place + len).min(bytes.len())),
            _ => drop(files.remove(path)),
        }
    }
    files
}
