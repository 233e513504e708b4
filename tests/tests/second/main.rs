//! `verify.py`, the second implementation, and `vm verify` say the same of a home and of every way to spoil it.
//!
//! Needs python3; without it the tests say so and pass, except where CI=true.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod cases;
mod script;

use script::{lay_down, python, run, second_opinion};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use vm_ledger::audit;
use vm_receipts::key::SecretKey;
use vm_receipts::line::{self, Line};
use vm_scrolls::proof;
use vm_scrolls::verdict::Verdict;
use vm_tests::change::changed;
use vm_tests::memfs::{Files, MemoryFs};
use vm_tests::oracles::edit;
use vm_tests::sample::{self, Sample};
use vm_tests::world::{Dice, seed};

/// Random edits of the home, besides the chosen ones.
const EDITS: usize = 160;

fn first_opinion(files: &Files, sample: &Sample) -> Verdict {
    let fs = MemoryFs::with(files.clone());
    audit::verify_home(&fs, &sample.trust, &mut |_, _, _| {})
}

fn lines(files: &Files) -> Vec<Vec<u8>> {
    let bytes = &files[SEGMENT];
    bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

const SEGMENT: &str = "receipts/toy/00000000000000000000.jsonl";
const ROOT: &str = "ROOT.toy.txt";

/// Spoils that a clever hand could make: whole lines moved, lines sealed again by the very issuer, roots of others.
fn chosen(sample: &Sample) -> Vec<(String, Files)> {
    [spoiled_lines(sample), spoiled_roots(sample), spoiled_names(sample)].concat()
}

fn spoiled_lines(sample: &Sample) -> Vec<(String, Files)> {
    let mut all = Vec::new();
    let mut with = |what: &str, change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut files = sample.files.clone();
        let mut lines = lines(&files);
        change(&mut lines);
        files.insert(SEGMENT.into(), lines.concat());
        all.push((what.to_owned(), files));
    };
    with("nothing", &|_| {});
    with("two lines swapped", &|lines| lines.swap(3, 4));
    with("a line doubled", &|lines| lines.insert(5, lines[5].clone()));
    with("a line removed", &|lines| drop(lines.remove(2)));
    with("the last line removed", &|lines| drop(lines.pop()));
    with("a line cut", &|lines| lines[8].truncate(100));
    with("an empty line", &|lines| lines.insert(4, b"\n".to_vec()));
    with("no last line end", &|lines| {
        lines.last_mut().unwrap().pop();
    });
    with("an unfinished write above ROOT", &|lines| lines.push(b"{\"actor\":".to_vec()));
    with("a torn write above ROOT", &|lines| lines.push(b"{\"actor\":\0\0\0\n".to_vec()));
    with("a line that does not read above ROOT", &|lines| lines.push(b"{}\n".to_vec()));
    with("no lines", &|lines| lines.clear());
    with("a foreign seal", &|lines| reseal(lines, 6, &SecretKey::from_seed([7; 32]), |_| {}));
    let own = sample::issuer();
    type Change = fn(&mut Line);
    let changes: [(&str, Change); 9] = [
        ("another body", |l| drop(l.body.insert("text".into(), json!("changed")))),
        ("another type", |l| l.kind = "toy_note".into()),
        ("another actor", |l| l.actor = "local:0".into()),
        ("another seq", |l| l.seq += 1),
        ("an earlier time", |l| {
            l.at = vm_receipts::Moment::parse("2020-01-01T00:00:00.000Z").unwrap()
        }),
        ("another prev", |l| l.prev.root = [0; 32]),
        ("another id", |l| l.id = "n-1".into()),
        ("another part", |l| l.part.n = l.part.of + 1 - l.part.n),
        ("an actor proof of nobody", |l| {
            let key = SecretKey::from_seed([8; 32]);
            l.actor_proof =
                Some(vm_receipts::intent::ActorProof::sign(&key, "other", &l.id, &l.intent));
        }),
    ];
    for place in [3, 8] {
        for (what, change) in changes {
            with(&format!("line {place}: {what}, sealed again"), &|lines| {
                reseal(lines, place, &own, change)
            });
        }
    }
    all
}

fn spoiled_roots(sample: &Sample) -> Vec<(String, Files)> {
    let mut all = Vec::new();
    let mut root = |what: &str, change: &dyn Fn(&str) -> Option<String>| {
        let mut files = sample.files.clone();
        match change(&sample.checkpoint) {
            Some(note) => files.insert(ROOT.into(), note.into_bytes()),
            None => files.remove(ROOT),
        };
        all.push((what.to_owned(), files));
    };
    let log = vm_tests::world::keys().log;
    let tree = |size: usize| {
        let mut tree = vm_scrolls::tree::Frontier::new();
        sample.lines[..size].iter().for_each(|l| tree.push(vm_scrolls::tree::leaf_hash(l)));
        tree.root()
    };
    let signed = |size: u64, root: [u8; 32], origin: &str, key: &SecretKey| {
        let checkpoint = vm_scrolls::checkpoint::Checkpoint { origin: origin.into(), size, root };
        Some(checkpoint.sign(key))
    };
    root("no ROOT", &|_| None);
    root("an empty ROOT", &|_| Some(String::new()));
    root("a ROOT behind", &|_| signed(5, tree(5), "ledger.example/n1/toy", &log));
    root("a ROOT of no lines", &|_| signed(0, tree(0), "ledger.example/n1/toy", &log));
    root("a ROOT ahead", &|_| signed(12, tree(9), "ledger.example/n1/toy", &log));
    root("another root, rightly signed", &|_| signed(9, [5; 32], "ledger.example/n1/toy", &log));
    root("a ROOT of another scroll", &|_| signed(9, tree(9), "ledger.example/n1/other", &log));
    root("a ROOT by another key", &|_| {
        signed(9, tree(9), "ledger.example/n1/toy", &SecretKey::from_seed([3; 32]))
    });
    root("a ROOT with one more signature", &|note| {
        let key = SecretKey::from_seed([4; 32]);
        vm_scrolls::note::add_signature(note.as_bytes(), "witness.example/w", &key).ok()
    });
    root("a ROOT without line end", &|note| Some(note.trim_end().to_owned()));
    all
}

fn spoiled_names(sample: &Sample) -> Vec<(String, Files)> {
    let mut all: Vec<(String, Files)> = Vec::new();
    let mut files = sample.files.clone();
    let bytes = files.remove(SEGMENT).unwrap();
    files.insert("receipts/toy/00000000000000000001.jsonl".into(), bytes);
    all.push(("a file under another name".into(), files));
    let mut files = sample.files.clone();
    files.retain(|path, _| !path.starts_with("receipts") && !path.starts_with("ROOT"));
    all.push(("neither receipts nor roots".into(), files));
    let mut files = sample.files.clone();
    files.remove(SEGMENT);
    all.push(("no receipts".into(), files));
    all
}

/// Changes a line and seals it again: what a thief of the issuer's key could do.
fn reseal(lines: &mut [Vec<u8>], place: usize, key: &SecretKey, change: fn(&mut Line)) {
    let text = lines[place].strip_suffix(b"\n").unwrap();
    let mut line = Line::parse(text).unwrap();
    change(&mut line);
    line.issuer = key.did().to_owned();
    let (contract, state, root_hash) = line::record_digests(&line);
    (line.contract, line.state, line.root_hash) = (contract, state, root_hash);
    lines[place] = line.seal(key).unwrap().bytes;
    lines[place].push(b'\n');
}

#[test]
fn both_say_the_same_of_a_home_and_of_every_spoiled_copy() {
    let Some(script) = python() else { return };
    let sample = Sample::small();
    let mut cases = chosen(&sample);
    let mut dice = Dice::of(seed(), &[1]);
    while cases.len() < EDITS + 40 {
        let data: Vec<u8> = (0..6 * (1 + dice.below(2))).map(|_| dice.next() as u8).collect();
        let (evidence, rest): (Files, Files) = sample
            .files
            .clone()
            .into_iter()
            .partition(|(path, _)| [SEGMENT, ROOT, "signed-state"].contains(&path.as_str()));
        let mut files = edit(&evidence, &data);
        files.extend(rest);
        cases.push((format!("edit {data:?}"), files));
    }
    let room = tempfile::tempdir().unwrap();
    let trust = room.path().join("trust.txt");
    fs::write(&trust, sample.trust.to_string()).unwrap();
    let paths: Vec<PathBuf> = (0..cases.len()).map(|n| room.path().join(n.to_string())).collect();
    cases.iter().zip(&paths).for_each(|((_, files), path)| lay_down(files, path));

    let second = second_opinion(&script, &trust, &paths);
    let mut outcomes = std::collections::BTreeMap::new();
    let mut differences = Vec::new();
    for ((what, files), second) in cases.iter().zip(&second) {
        let first = first_opinion(files, &sample);
        *outcomes.entry(first.outcome.as_str()).or_insert(0) += 1;
        differences.extend(difference(what, &first, second));
    }
    println!("{} cases: {outcomes:?}", cases.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let reached: Vec<_> = outcomes.keys().copied().collect();
    assert_eq!(reached, ["absent", "cannot-evaluate", "tampered", "verified"]);
}

/// How the two verdicts on one home differ: in outcome, or in the file and line of the first contradiction.
fn difference(what: &str, first: &Verdict, second: &Value) -> Option<String> {
    // Where in a malformed note the fault begins can be seen in two ways; in receipts the line is plain.
    let shown =
        |file: Value, line: Value| if file == ROOT { json!([file]) } else { json!([file, line]) };
    let place = first.first_bad.as_ref().map(|place| shown(json!(place.file), json!(place.line)));
    let other =
        second["first_bad"].as_object().map(|p| shown(p["file"].clone(), p["line"].clone()));
    let same = first.outcome.as_str() == second["outcome"] && place == other;
    (!same).then(|| {
        format!("{what}\n  vm verify: {}\n  verify.py: {}", first.summary, second["summary"])
    })
}

#[test]
fn both_say_the_same_of_a_proof_and_of_every_spoiled_copy() {
    let Some(script) = python() else { return };
    let sample = Sample::small();
    let room = tempfile::tempdir().unwrap();
    let trust = room.path().join("trust.txt");
    fs::write(&trust, sample.trust.to_string()).unwrap();
    let mut dice = Dice::of(seed(), &[2]);
    let mut cases = Vec::new();
    for seq in 0..sample.lines.len() as u64 {
        let (proof, _) = sample.proofs(seq);
        for _ in 0..6 {
            let mut changed = proof.clone();
            let place = dice.below(changed.len());
            changed[place] ^= 1 << dice.below(7);
            cases.push(changed);
        }
        let text = String::from_utf8(proof.clone()).unwrap();
        cases.push(text.replace("\"v\":1}", "\"v\":2}").into_bytes());
        cases.push(text.replace("\"bundle\":[]", "\"bundle\":[1]").into_bytes());
        cases.push(text.replace("\"index\":", "\"index\":1").into_bytes());
        cases.push(text.replace("\\n\\n\u{2014}", "\\nmore\\n\\n\u{2014}").into_bytes());
        cases.push(text.trim_end().as_bytes().to_vec());
        cases.push(proof);
    }
    let paths: Vec<PathBuf> =
        (0..cases.len()).map(|n| room.path().join(format!("{n}.json"))).collect();
    cases.iter().zip(&paths).for_each(|(bytes, path)| fs::write(path, bytes).unwrap());
    let second = second_opinion(&script, &trust, &paths);
    for (bytes, second) in cases.iter().zip(&second) {
        let first = proof::verify_bytes(bytes, &sample.trust);
        assert_eq!(
            first.outcome.as_str(),
            second["outcome"],
            "{}\n  vm verify: {}\n  verify.py: {}",
            bytes.escape_ascii(),
            first.summary,
            second["summary"]
        );
    }
}

#[test]
fn exit_codes_and_own_keys_are_said() {
    let Some(script) = python() else { return };
    let sample = Sample::small();
    let room = tempfile::tempdir().unwrap();
    let home = room.path().join("home");
    lay_down(&sample.files, &home);
    let check = |arguments: &[&str], code: i32, says: &str| {
        let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        let output = run(&script, &arguments);
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(says), "{said}");
    };
    let home_text = home.to_str().unwrap();
    check(&[home_text], 0, "self-asserted");
    let strangers = room.path().join("strangers.txt");
    let stranger = SecretKey::from_seed([5; 32]);
    fs::write(&strangers, format!("issuer {}\n", stranger.did())).unwrap();
    check(&[home_text, "--trust", strangers.to_str().unwrap()], 7, "not trusted");
    fs::write(&strangers, "not a key\n").unwrap();
    check(&[home_text, "--trust", strangers.to_str().unwrap()], 2, "line 1");
    check(&[room.path().join("nowhere").to_str().unwrap()], 8, "absent");
    check(&[], 2, "verify.py");
    let quorum = "quorum none\n";
    let trust = room.path().join("trust.txt");
    fs::write(&trust, format!("{}{quorum}", sample.trust)).unwrap();
    check(&[home_text, "--trust", trust.to_str().unwrap()], 0, "verified");
    let file = home.join(SEGMENT);
    let mut bytes = fs::read(&file).unwrap();
    bytes[300] ^= 1;
    fs::write(&file, bytes).unwrap();
    check(&[home_text, "--trust", trust.to_str().unwrap()], 6, "line 1");
    let verdict =
        audit::self_asserted_trust(&*Arc::new(MemoryFs::with(sample.files.clone()))).unwrap();
    assert!(verdict.self_asserted);
}

/// The parts of verify.py that are not in the standard library, against values that others published.
const PUBLISHED: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
import verify as v

def pattern(length):
    return bytes(n % 251 for n in range(length))

# BLAKE3-team/BLAKE3, test_vectors.json.
for length, digest in [
    (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
    (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
    (1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"),
    (1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"),
    (3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2"),
]:
    assert v.blake3(pattern(length)).hex() == digest, length

# RFC 8032 section 7.1, tests 1 and 2.
for key, message, signature in [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
]:
    key, message, signature = map(bytes.fromhex, (key, message, signature))
    s = int.from_bytes(signature[32:], "little")
    for _ in range(12):  # beyond eight uses a table takes over
        assert v.verify_signature(key, message, signature)
        assert not v.verify_signature(key, message + b"x", signature)
    assert not v.verify_signature(key, message, signature[:32] + (s + v.L).to_bytes(32, "little")), "S >= L"
    assert not v.verify_signature(key, message, (1).to_bytes(32, "little") + signature[32:]), "R of small order"
assert len(v.SMALL_ORDER) == 8
assert not any(v.usable_key(key) for key in v.SMALL_ORDER)
assert not v.usable_key(bytes.fromhex("f0" + "ff" * 30 + "7f")), "not canonical"

for text in [b'{"a":1,"a":2}', b"[1.0]", b"[-0]", b'["\\ud800"]', b"\xef\xbb\xbf[]", b'{"b":1,"a":2}', b"[ ]", b"[NaN]",
             b"[" * 33 + b"]" * 33, b'["\\u00e9"]', b"[9007199254740992]", b"[1]\n", b"", b"[01]", b"[" * 9999]:
    try:
        v.read_canonical(text, "json")
    except v.Bad:
        continue
    raise AssertionError(text[:40])
assert v.read_canonical('{"\U0001f980":[-9007199254740991,"\\u0007"],"\ue000":null}'.encode(), "json")
"#;

#[test]
fn the_parts_of_verify_py_meet_published_values() {
    let Some(script) = python() else { return };
    let folder = script.parent().expect("it stands in a folder");
    let output = Command::new("python3").arg("-B").args(["-c", PUBLISHED]).arg(folder).output();
    let output = output.expect("python3 was found before");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn archives_verify_with_both() {
    let Some(script) = python() else { return };
    let archives = script.with_file_name("archives");
    for entry in fs::read_dir(archives).expect("tests/archives is there") {
        let home = entry.unwrap().path();
        let trust = home.join("keys/trust.txt");
        let said = second_opinion(&script, &trust, std::slice::from_ref(&home));
        assert_eq!(said[0]["outcome"], "verified", "{}: {}", home.display(), said[0]["summary"]);
    }
}

/// A policy that asks for witnesses must not pass in silence while nobody evaluates cosignatures.
#[test]
fn a_quorum_that_is_not_evaluated_is_said_by_both() {
    let Some(script) = python() else { return };
    let sample = Sample::small();
    let typed = [&[4][..], &[7; 32]].concat();
    let id = vm_receipts::digest::Sha256::of(&[b"w.example/w\n", &typed[..]].concat()).0;
    let id: String = id[..4].iter().map(|b| format!("{b:02x}")).collect();
    let vkey = format!("w.example/w+{id}+{}", vm_scrolls::base64::encode(&typed));
    let text = format!("{}witness w {vkey}\nquorum w\n", sample.trust);
    let trust = vm_scrolls::trust::Trust::parse(&text).expect("a well-formed policy");
    let room = tempfile::tempdir().unwrap();
    let (home, file, proof) =
        (room.path().join("home"), room.path().join("t"), room.path().join("P.json"));
    lay_down(&sample.files, &home);
    fs::write(&file, text).unwrap();
    let (bytes, _) = sample.proofs(3);
    fs::write(&proof, &bytes).unwrap();
    let said = second_opinion(&script, &file, &[home, proof]);
    assert_eq!(proof::verify_bytes(&bytes, &trust).outcome.as_str(), "cannot-evaluate");
    assert!(said.iter().all(|s| s["outcome"] == "cannot-evaluate"), "{said:?}");
    let fs = MemoryFs::with(sample.files.clone());
    let verdict = audit::verify_home(&fs, &trust, &mut |_, _, _| {});
    assert_eq!(
        verdict.outcome.as_str(),
        "cannot-evaluate",
        "vm verify of a home: {}",
        verdict.summary
    );
}

/// Reads "kind hex" lines and says for each whether it accepts the bytes.
const ACCEPTS: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
import verify as v

def checkpoint(data):
    text, _ = v.read_note(data)
    v.read_checkpoint(text)

readers = {
    "json": lambda data: v.read_canonical(data, "json"),
    "line": v.read_line,
    "note": v.read_note,
    "checkpoint": checkpoint,
    "trust": lambda data: v.Trust(data.decode()),
}
for line in sys.stdin:
    kind, data = line.rstrip("\n").split(" ")
    try:
        readers[kind](bytes.fromhex(data))
        print("accepts")
    except (v.Bad, ValueError) as e:
        print("refuses: " + " ".join(str(e).split()))
"#;

/// Whether this program's reader of that kind accepts the bytes.
fn accepts(kind: &str, data: &[u8]) -> Result<(), String> {
    let text = || std::str::from_utf8(data).map_err(|e| e.to_string());
    match kind {
        "json" => vm_receipts::json::check_canonical(data).map_err(|e| e.to_string()),
        "line" => Line::parse(data).map(drop).map_err(|e| e.to_string()),
        "note" => vm_scrolls::note::Note::parse(data).map(drop).map_err(|e| e.to_string()),
        "checkpoint" => vm_scrolls::note::Note::parse(data)
            .map_err(|e| e.to_string())
            .and_then(|n| {
                vm_scrolls::checkpoint::Checkpoint::parse_body(&n.text).map_err(|e| e.to_string())
            })
            .map(drop),
        _ => vm_scrolls::trust::Trust::parse(text()?).map(drop).map_err(|e| e.to_string()),
    }
}

/// Values that often sit at the edge of a rule.
fn odd_values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(2),
        json!(-1),
        json!(16_385),
        json!(9_007_199_254_740_991_i64),
        json!(""),
        json!("a"),
        json!("A"),
        json!("a_b"),
        json!("a__b"),
        json!("a.b"),
        json!("a-b"),
        json!("did:key:z"),
        json!("did:x"),
        json!("local:"),
        json!("local:1"),
        json!("2026-02-29T00:00:00.000Z"),
        json!("2028-02-29T00:00:00.000Z"),
        json!("x".repeat(64)),
        json!("x".repeat(65)),
        json!("é"),
        json!("a b"),
        json!([]),
        json!([1]),
        json!(["a", "a"]),
        json!(["a\u{85}"]),
        json!({}),
        json!({"...": "x"}),
        json!({"_sd": []}),
        json!({"a": [{"...": "UQZkM7JcrihuL46DORYWQ5JLkD7SkHfBSmrvkZRXC0A"}]}),
        json!({"_sd_alg": "sha-256"}),
        json!({"_sd": ["UQZkM7JcrihuL46DORYWQ5JLkD7SkHfBSmrvkZRXC0A"]}),
        json!({"mode": "owner"}),
        json!({"fault": {"code": "x"}}),
        json!("aborted"),
        json!("completed"),
        json!("blake3:0"),
        json!("A".repeat(43) + "="),
    ]
}

/// A line with a member set, removed or added, at the top or one level down, in canonical form.
fn odd_line(line: &[u8], dice: &mut Dice) -> Vec<u8> {
    let Ok(Value::Object(mut whole)) = serde_json::from_slice(line) else {
        panic!("a line of the sample")
    };
    let odd = odd_values();
    for _ in 0..=dice.below(2) {
        let names: Vec<String> = whole.keys().cloned().collect();
        let name = names[dice.below(names.len())].clone();
        let value = odd[dice.below(odd.len())].clone();
        match (dice.below(4), whole.get_mut(&name)) {
            (0, _) => drop(whole.remove(&name)),
            (1, _) => {
                drop(whole.insert(
                    ["extra", "_sd", "actor_proof", "artifacts"][dice.below(4)].into(),
                    value,
                ))
            }
            (2, Some(Value::Object(inner))) => {
                let mut keys: Vec<String> = inner.keys().cloned().collect();
                keys.push("extra".into());
                drop(inner.insert(keys[dice.below(keys.len())].clone(), value));
            }
            _ => drop(whole.insert(name, value)),
        }
    }
    vm_receipts::json::canonical(&Value::Object(whole)).expect("odd values stand in the profile")
}

#[test]
fn both_accept_and_refuse_the_same_bytes() {
    let Some(script) = python() else { return };
    let sample = Sample::small();
    let mut dice = Dice::of(seed(), &[5]);
    let json =
        br#"{"a":[1,-2,true,null,"\u0007\n\\"],"b":{"":0,"\u00e9":"x"},"z":9007199254740991}"#
            .to_vec();
    let json = vm_receipts::json::canonical(&vm_receipts::json::parse(&json).unwrap()).unwrap();
    let trust = format!("# keys\n{}quorum none\n", sample.trust).into_bytes();
    let note = sample.checkpoint.clone().into_bytes();
    let mut cases: Vec<(&str, Vec<u8>)> = Vec::new();
    for n in 0..2_500 {
        let line = &sample.lines[n % sample.lines.len()];
        cases.push(("json", changed(&json, line, &mut dice)));
        cases.push(("line", odd_line(line, &mut dice)));
        if n % 3 == 0 {
            cases.push(("line", changed(line, &json, &mut dice)));
            cases.push(("trust", changed(&trust, &note, &mut dice)));
            cases.push(("note", changed(&note, &trust, &mut dice)));
            cases.push(("checkpoint", changed(&note, &note, &mut dice)));
        }
    }
    let hex = |data: &[u8]| data.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let input: String =
        cases.iter().map(|(kind, data)| format!("{kind} {}\n", hex(data))).collect();
    let room = tempfile::tempdir().unwrap();
    fs::write(room.path().join("cases"), input).unwrap();
    let output = Command::new("python3")
        .arg("-B")
        .args(["-c", ACCEPTS])
        .arg(script.parent().expect("it stands in a folder"))
        .stdin(fs::File::open(room.path().join("cases")).unwrap())
        .output()
        .expect("python3 was found before");
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), cases.len(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut wrong = Vec::new();
    let mut accepted = std::collections::BTreeMap::new();
    for ((kind, data), second) in cases.iter().zip(said.lines()) {
        let first = accepts(kind, data);
        *accepted.entry(*kind).or_insert(0) += usize::from(first.is_ok());
        if first.is_ok() != (second == "accepts") {
            wrong.push(format!(
                "{kind} {}\n  vm: {first:?}\n  verify.py: {second}",
                data.escape_ascii()
            ));
        }
    }
    println!("{} cases, accepted: {accepted:?}", cases.len());
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong[..wrong.len().min(12)].join("\n")
    );
    assert!(accepted.values().all(|count| *count > 10), "{accepted:?}");
}
