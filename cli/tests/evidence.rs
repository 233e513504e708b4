//! Proofs, verdicts, copies: what holds, what does not, and that a changed byte is found where it stands.

#![allow(clippy::unwrap_used, reason = "a test may stop there")]

mod toy;

use std::fs;
use std::path::{Path, PathBuf};
use toy::{Said, home, vm};

fn filled() -> (tempfile::TempDir, PathBuf) {
    let (dir, home) = home();
    for count in ["1", "2", "3"] {
        let said = vm(&home, &["toy", "put", "--shelf", "a", "--count", count]);
        assert_eq!(said.code, 0, "{said:?}");
    }
    (dir, home)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Verifies from a place where there is no home.
fn verify(dir: &tempfile::TempDir, words: &[&str]) -> Said {
    vm(&dir.path().join("no-home"), &[&["verify"], words].concat())
}

#[test]
fn a_proof_verifies_anywhere_under_given_keys_and_nowhere_without() {
    let (dir, home) = filled();
    let (proof, trust) = (dir.path().join("PROOF.json"), dir.path().join("trust.txt"));
    fs::copy(home.join("keys/trust.txt"), &trust).unwrap();
    let made = vm(&home, &["prove", "toy/2", "--output", text(&proof)]);
    assert_eq!(made.code, 0, "{made:?}");
    fs::remove_dir_all(&home).unwrap();
    let good = verify(&dir, &[text(&proof), "--trust", text(&trust)]);
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.out.starts_with("verified: "), "{}", good.out);
    assert!(good.out.contains("not checked\n"), "{}", good.out);
    let without = verify(&dir, &[text(&proof), "--json"]);
    assert_eq!((without.code, &without.json()["outcome"]), (7, &"cannot-evaluate".into()));
    assert!(verify(&dir, &[text(&proof)]).err.contains("--trust FILE"));
    let standing = |name: &str| {
        let claims = without.json()["claims"].as_array().unwrap().clone();
        claims.into_iter().find(|c| c["name"] == name).unwrap()["standing"].clone()
    };
    assert_eq!(
        (standing("issuer_signature"), standing("inclusion")),
        ("open".into(), "holds".into())
    );
    let nowhere = verify(&dir, &[text(&proof), "--trust", "/no/such/trust"]);
    assert_eq!(nowhere.code, 7, "{nowhere:?}");
    assert_eq!(verify(&dir, &["/no/such/proof"]).code, 8);

    let mut bytes = fs::read(&proof).unwrap();
    let at = bytes.windows(9).position(|w| w == b"\\\"count\\\"").unwrap() + 10;
    bytes[at] = b'9';
    fs::write(&proof, bytes).unwrap();
    let bad = verify(&dir, &[text(&proof), "--trust", text(&trust), "--json"]);
    assert_eq!((bad.code, &bad.json()["outcome"]), (6, &"tampered".into()));
    let broken = bad.json()["claims"].as_array().unwrap().iter().any(|c| c["standing"] == "broken");
    assert!(broken, "{}", bad.out);
    let file = bad.json()["first_bad"]["file"].as_str().unwrap().to_owned();
    assert!(file.starts_with(text(&proof)), "{file}");
}

#[test]
fn a_malformed_trust_file_is_refused_with_its_line() {
    let (dir, home) = filled();
    let trust = dir.path().join("trust.txt");
    fs::write(&trust, "# keys\nnonsense\n").unwrap();
    let said = vm(&home, &["verify", text(&home), "--trust", text(&trust)]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("line 2") && said.err.contains("trust_malformed"), "{}", said.err);
}

#[test]
fn a_tlog_proof_verifies_with_its_line_beside_it() {
    let (dir, home) = filled();
    let (proof, trust) = (dir.path().join("p.tlog-proof"), home.join("keys/trust.txt"));
    let made = vm(&home, &["prove", "toy/1", "--tlog-proof", "--output", text(&proof)]);
    assert_eq!(made.code, 0, "{made:?}");
    let good = verify(&dir, &[text(&proof), "--trust", text(&trust)]);
    assert_eq!(good.code, 0, "{good:?}");
    let file = ["--trust", text(&trust), "--artifact", text(&trust)];
    assert_eq!(verify(&dir, &[&[text(&proof)][..], &file].concat()).code, 7, "it names no file");
    let both = vm(&home, &["prove", "toy/1", "--tlog-proof", "--json"]).json();
    assert_eq!(both["tlog_proof"], fs::read_to_string(&proof).unwrap());
    let line = dir.path().join("p.line");
    assert_eq!(both["line"], fs::read_to_string(&line).unwrap());
    let other = dir.path().join("elsewhere");
    fs::rename(&line, &other).unwrap();
    assert_eq!(verify(&dir, &[text(&proof), "--trust", text(&trust)]).code, 7);
    let named = verify(&dir, &[text(&proof), "--trust", text(&trust), "--line", text(&other)]);
    assert_eq!(named.code, 0, "{named:?}");
    let changed = fs::read_to_string(&other).unwrap().replace("\"count\":1", "\"count\":2");
    fs::write(&other, changed).unwrap();
    let bad =
        verify(&dir, &[text(&proof), "--trust", text(&trust), "--line", text(&other), "--json"]);
    assert_eq!((bad.code, &bad.json()["first_bad"]["file"]), (6, &text(&other).into()));
}

#[test]
fn a_proof_is_of_one_receipt() {
    let (_dir, home) = filled();
    let said = vm(&home, &["prove", "toy/9"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("no_such_receipt"), "{}", said.err);
    let id = vm(&home, &["receipt", "show", "toy/1", "--json"]).json();
    let id = id["receipts"][0]["line"]["id"].as_str().unwrap().to_owned();
    let by_id = vm(&home, &["prove", &id]);
    assert_eq!(by_id.out, vm(&home, &["prove", "toy/1"]).out);
}

#[test]
fn keys_from_the_home_itself_are_called_self_asserted() {
    let (_dir, home) = filled();
    let own = vm(&home, &["verify"]);
    assert_eq!(own.code, 0, "{own:?}");
    assert!(own.out.lines().next().unwrap().contains("self-asserted"), "{}", own.out);
    let trust = home.join("keys/trust.txt");
    let given = vm(&home, &["verify", text(&home), "--trust", text(&trust), "--json"]).json();
    assert_eq!((&given["outcome"], &given["self_asserted"]), (&"verified".into(), &false.into()));
}

#[test]
fn a_flipped_byte_in_the_home_is_found_with_file_line_and_byte() {
    let (_dir, home) = filled();
    let file = home.join("receipts/toy/00000000000000000000.jsonl");
    let good = fs::read(&file).unwrap();
    let third = good.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(1).unwrap().0 + 1;
    let mut bad = good.clone();
    let at = third + good[third..].windows(8).position(|w| w == b"\"count\":").unwrap() + 8;
    bad[at] ^= 1;
    fs::write(&file, &bad).unwrap();
    let said = vm(&home, &["verify", "--json"]);
    assert_eq!(said.code, 6, "{said:?}");
    let place = &said.json()["first_bad"];
    assert_eq!((&place["line"], place["byte"].is_u64()), (&3.into(), true), "{place}");
    assert!(place["file"].as_str().unwrap().ends_with("receipts/toy/00000000000000000000.jsonl"));
    assert!(!said.json()["still_provable"].as_array().unwrap().is_empty());
    let words = vm(&home, &["verify"]);
    assert!(
        words.out.contains("\n  line   3\n") && words.out.contains("still provable"),
        "{}",
        words.out
    );
    // Opening it for work is refused as well, and nothing is repaired in place.
    let work = vm(&home, &["toy", "put", "--shelf", "a", "--count", "1", "--json"]);
    assert_eq!(work.code, 6, "{work:?}");
    assert_eq!(fs::read(&file).unwrap(), bad);
    fs::write(&file, &good).unwrap();
    assert_eq!(vm(&home, &["fsck"]).code, 0);
}

#[test]
fn each_kind_of_damage_is_told_with_its_place_and_what_still_stands() {
    let (_dir, home) = filled();
    let file = home.join("receipts/toy/00000000000000000000.jsonl");
    let good = fs::read(&file).unwrap();
    let lines: Vec<&[u8]> = good.split_inclusive(|b| *b == b'\n').collect();
    let name = "  file   receipts/toy/00000000000000000000.jsonl\n";
    let removed = [&lines[..2], &lines[3..]].concat().concat();
    let swapped = [&lines[..2], &[lines[3], lines[2]], &lines[4..]].concat().concat();
    let cut = good[..good.len() - 5].to_vec();
    let last = format!("  line   {}\n", lines.len());
    for (bytes, line) in
        [(removed, "  line   3\n"), (swapped, "  line   3\n"), (cut, last.as_str())]
    {
        fs::write(&file, bytes).unwrap();
        let said = vm(&home, &["verify"]);
        assert_eq!(said.code, 6, "{said:?}");
        let (place, rest) = said.out.split_once("still provable\n").unwrap();
        assert!(place.starts_with("tampered") && place.contains(name), "{}", said.out);
        for part in [line, "  byte   ", "  claim  "] {
            assert!(place.contains(part), "{part} in\n{place}");
        }
        assert!(rest.contains("claims\n  ") && rest.contains("\n  broken  "), "{}", said.out);
        assert!(!said.out.contains('\u{1b}'), "no colour without a terminal");
    }
    fs::write(&file, &good).unwrap();
    fs::remove_file(home.join("ROOT.toy.txt")).unwrap();
    let said = vm(&home, &["verify"]);
    assert_eq!(said.code, 7, "{said:?}");
    assert!(said.out.contains("\n  open    root_present: ROOT.toy.txt"), "{}", said.out);
    assert!(said.out.contains("\nmissing\n  ROOT.toy.txt"), "{}", said.out);
}

#[test]
fn fsck_and_doctor_answer_for_a_script() {
    let (_dir, home) = filled();
    let fsck = vm(&home, &["fsck", "--json"]);
    assert_eq!(
        (fsck.code, &fsck.json()["verdict"]["outcome"]),
        (0, &"verified".into()),
        "{fsck:?}"
    );
    let doctor = vm(&home, &["doctor", "--json"]);
    assert_eq!((doctor.code, &doctor.json()["fit"]), (0, &true.into()), "{doctor:?}");
}

#[test]
fn a_restored_backup_goes_on_and_says_so() {
    let (dir, home) = filled();
    let (copy, again) = (dir.path().join("copy"), dir.path().join("again"));
    let made = vm(&home, &["backup", text(&copy)]);
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(vm(&home, &["backup", text(&copy)]).code, 1, "a backup is never written over");
    let restored = vm(&again, &["restore", text(&copy), "--json"]);
    assert_eq!(restored.code, 0, "{restored:?}");
    let shown = vm(&again, &["receipt", "show", "toy/4", "--json"]).json();
    assert_eq!(shown["receipts"][0]["line"]["type"], "ledger_restored");
    assert_eq!(vm(&again, &["verify"]).code, 0);
    assert_eq!(vm(&home, &["restore", text(&copy)]).code, 1, "a home is never written over");
}

#[test]
fn an_older_backup_needs_a_new_node_name() {
    let (dir, home) = filled();
    let (copy, again) = (dir.path().join("copy"), dir.path().join("again"));
    assert_eq!(vm(&home, &["backup", text(&copy)]).code, 0);
    assert_eq!(vm(&home, &["toy", "put", "--shelf", "a", "--count", "9"]).code, 0);
    let refused = vm(&again, &["restore", text(&copy)]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.err.contains("older_than_signed") && refused.err.contains("--node"),
        "{}",
        refused.err
    );
    let renamed = vm(&again, &["restore", text(&copy), "--node", "n2"]);
    assert_eq!(renamed.code, 0, "{renamed:?}");
    let status = vm(&again, &["status", "--json"]).json();
    assert_eq!(status["scrolls"][0]["origin"], "example.org/n2/toy");
}

#[test]
fn tiles_are_written_once_and_kept() {
    let (dir, home) = filled();
    let to = dir.path().join("www");
    let first = vm(&home, &["export", "--tiles", text(&to), "--json"]).json();
    assert_eq!(first["scrolls"][0]["size"], 4);
    assert!(to.join("toy/checkpoint").is_file());
    let second = vm(&home, &["export", "--tiles", text(&to), "toy", "--json"]).json();
    assert_eq!(second["scrolls"][0]["files"], 0);
    assert_eq!(
        (&first["scrolls"][0]["from"], &second["scrolls"][0]["from"]),
        (&0.into(), &4.into())
    );
    fs::write(to.join("toy/checkpoint"), "of another log\n").unwrap();
    let refused = vm(&home, &["export", "--tiles", text(&to), "--json"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("export_of_other_log"), "{}", refused.err);
    assert_eq!(vm(&home, &["export", "--tiles", text(&to), "nope"]).code, 1);
}

#[test]
fn there_is_nothing_to_accept_in_a_healthy_home() {
    let (_dir, home) = filled();
    for words in [&["accept-cut", "toy"][..], &["clock", "accept"]] {
        let said = vm(&home, words);
        assert_eq!(said.code, 1, "{said:?}");
    }
}

#[test]
fn a_torn_tail_is_cut_and_said() {
    let (_dir, home) = filled();
    let file = home.join("receipts/toy/00000000000000000000.jsonl");
    let whole = fs::read(&file).unwrap();
    // Bytes after the last complete line were never acknowledged.
    fs::write(&file, [whole.as_slice(), b"{\"actor\":"].concat()).unwrap();
    let said = vm(&home, &["status", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.starts_with("note: "), "what recovery did is said: {said:?}");
    assert_eq!(said.json()["scrolls"][0]["size"], 4);
    assert_eq!(fs::read(&file).unwrap(), whole);
    assert!(home.join("quarantine").is_dir());
}

#[test]
fn what_was_signed_and_is_gone_stops_everything() {
    let (_dir, home) = filled();
    let file = home.join("receipts/toy/00000000000000000000.jsonl");
    let whole = fs::read(&file).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    fs::write(&file, &whole[..last]).unwrap();
    let work = vm(&home, &["status", "--json"]);
    assert_eq!(work.code, 6, "{work:?}");
    let error: serde_json::Value = serde_json::from_str(&work.err).unwrap();
    assert_eq!((&error["kind"], &error["code"]), (&"corrupt".into(), &"corrupt".into()));
    assert!(error["hint"].is_string() && error["place"]["file"].is_string(), "{error}");
    assert_eq!(vm(&home, &["verify"]).code, 6, "ROOT is signed for more lines than are there");
    assert_eq!(fs::read(&file).unwrap(), whole[..last], "nothing is repaired in place");
}
