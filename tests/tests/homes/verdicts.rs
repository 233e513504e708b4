//! What `vm verify` and `vm fsck` say of homes that were cut, thinned out or written by hand.

use crate::place::{Desk, ENGINES, Edited, LINES, ROOT, twin};
use std::fs;
use vm_ledger::fsck::{Level, fsck};
use vm_ledger::guard::{Guard, SIGNED_STATE};
use vm_receipts::digest::Sha256;
use vm_receipts::intent::ActorProof;
use vm_receipts::key::SecretKey;
use vm_receipts::line::Line;
use vm_scrolls::note::AnyVkey;
use vm_scrolls::verdict::Outcome;
use vm_tests::world::{keys, note, settings};

/// A C2SP cosigner's key line.
fn witness(name: &str) -> AnyVkey {
    let key = SecretKey::from_seed([9; 32]).public().bytes();
    let typed = [name.as_bytes(), b"\n\x04", &key].concat();
    let id = Sha256::of(&typed).to_string();
    let id = u32::from_str_radix(&id["sha256:".len()..][..8], 16).unwrap();
    AnyVkey { name: name.into(), id, kind: 4, bytes: key.to_vec() }
}

#[test]
fn a_quorum_that_is_not_evaluated_is_never_called_verified() {
    let home = Edited::with(&["a"]);
    let line = witness("witness.example/w");
    let trust = home.trust(&format!("witness w {line}\nquorum w\n"));
    let verdict = home.verify_with(&trust);
    assert_eq!(verdict.outcome, Outcome::CannotEvaluate, "{}", verdict.summary);
    assert!(verdict.missing.iter().any(|m| m.contains("quorum")), "{:?}", verdict.missing);
    let trust = home.trust(&format!("witness w {line}\nquorum none\n"));
    assert_eq!(home.verify_with(&trust).outcome, Outcome::Verified);
}

fn two_scrolls() -> Edited {
    let home = Edited::with(&["a"]);
    let ledger = home.open();
    ledger.submit(twin("t", "t")).unwrap();
    ledger.flush().unwrap();
    home
}

#[test]
fn a_deleted_scroll_is_missed_as_long_as_signed_state_names_it() {
    let home = two_scrolls();
    let trust = home.trust("");
    assert_eq!(home.verify_with(&trust).outcome, Outcome::Verified);
    fs::remove_dir_all(home.path("receipts/twin")).unwrap();
    fs::remove_file(home.path("ROOT.twin.txt")).unwrap();
    let verdict = home.verify_with(&trust);
    assert_eq!(verdict.outcome, Outcome::Tampered, "{}", verdict.summary);
    let bad = verdict.first_bad.unwrap();
    assert_eq!((bad.file.as_str(), bad.claim.as_str()), (SIGNED_STATE, "scroll_present"));
    assert!(verdict.summary.contains("ledger.example/n1/twin was signed up to 2"));
}

#[test]
fn a_scroll_that_only_the_trust_file_names_is_said_not_to_be_checked() {
    let home = Edited::with(&["a"]);
    let verdict = home.verify_with(&home.trust(""));
    assert_eq!(verdict.outcome, Outcome::Verified, "{}", verdict.summary);
    let named = |n: &&String| n.starts_with("ledger.example/n1/twin: the trust file names it");
    assert_eq!(verdict.not_checked.iter().filter(named).count(), 1, "{:?}", verdict.not_checked);
}

#[test]
fn a_scroll_that_the_trust_file_does_not_name_is_never_called_verified() {
    let home = two_scrolls();
    let verdict = home.verify();
    assert_eq!(verdict.outcome, Outcome::CannotEvaluate, "{}", verdict.summary);
    assert!(verdict.missing.iter().any(|m| m.contains("/twin")), "{:?}", verdict.missing);
}

#[test]
fn fsck_finds_a_home_that_was_cut_to_older_lines_and_their_root() {
    let home = Edited::with(&["a"]);
    let older = [LINES, ROOT, SIGNED_STATE].map(|name| (name, home.read(name)));
    let ledger = home.open();
    ledger.submit(note("b", "b")).unwrap();
    ledger.flush().unwrap();
    drop(ledger);
    // First the lines and ROOT only, then all three: then only the copy outside the home knows better.
    for count in [2, 3] {
        older[..count].iter().for_each(|(name, bytes)| home.write(name, bytes));
        let (verdict, findings) = fsck(&home.disk(), &settings(), &ENGINES, &mut |_, _, _| {});
        let problem = findings.iter().any(|f| f.level == Level::Problem);
        assert!(problem || verdict.outcome == Outcome::Tampered, "{count}: {}", verdict.summary);
        let refused = home.try_open().map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("lines were removed"), "{refused}");
    }
}

#[test]
fn fsck_has_nothing_to_say_of_a_home_in_order() {
    let home = Edited::with_unpublished(&["a"], &["b"]);
    drop(home.open());
    let (verdict, findings) = fsck(&home.disk(), &settings(), &ENGINES, &mut |_, _, _| {});
    assert_eq!(verdict.outcome, Outcome::Verified, "{}", verdict.summary);
    assert!(findings.iter().all(|f| f.level == Level::Ok), "{findings:?}");
}

/// A home whose last line carries the actor's own signature, changed by `change`.
fn with_actor_proof(change: impl FnOnce(&mut Line)) -> Edited {
    let home = Edited::with(&["a"]);
    let actor = SecretKey::from_seed([5; 32]);
    home.forge(&keys().issuer, |line| {
        line.id = "signed-by-its-actor".into();
        line.actor = actor.did().to_owned();
        line.actor_proof =
            Some(ActorProof::sign(&actor, &settings().ledger, &line.id, &line.intent));
        change(line);
    });
    home.sign_root();
    home
}

#[test]
fn an_actor_proof_is_checked_against_the_actor_the_id_the_intent_and_the_ledger() {
    let verdict = with_actor_proof(|_| ()).is_verified();
    let word = |n: &&String| n.contains("the node's word in 2 receipts");
    assert_eq!(verdict.not_checked.iter().filter(word).count(), 1, "{:?}", verdict.not_checked);
    let actor = SecretKey::from_seed([5; 32]);
    let sign = |ledger: &str, line: &Line| ActorProof::sign(&actor, ledger, &line.id, &line.intent);
    with_actor_proof(|l| l.actor = "local:1000".into()).is_tampered("actor_proof");
    with_actor_proof(|l| l.actor = keys().issuer.did().into()).is_tampered("actor_proof");
    with_actor_proof(|l| l.id = "another".into()).is_tampered("actor_proof");
    with_actor_proof(|l| l.intent.0[0] ^= 1).is_tampered("actor_proof");
    with_actor_proof(|l| l.actor_proof = Some(sign("another", l))).is_tampered("actor_proof");
    let flipped = with_actor_proof(|l| {
        let proof = l.actor_proof.as_mut().unwrap();
        let first = if proof.sig.starts_with('A') { "B" } else { "A" };
        proof.sig.replace_range(..1, first);
    });
    let place = flipped.is_tampered("actor_proof").first_bad.unwrap();
    assert_eq!((place.file.as_str(), place.line), (LINES, Some(3)));
}

#[test]
fn a_second_ledger_open_is_no_receipt_of_this_ledger() {
    let home = Edited::with(&["a"]);
    let first = home.parsed().remove(0);
    home.forge(&keys().issuer, |line| {
        *line = Line {
            seq: line.seq,
            prev: line.prev,
            at: line.at,
            id: "again".into(),
            ..first.clone()
        };
    });
    home.sign_root();
    let place = home.is_tampered("genesis").first_bad.unwrap();
    assert_eq!((place.file.as_str(), place.line), (LINES, Some(3)));
}

#[test]
fn a_line_changed_below_root_is_named_by_file_line_and_byte() {
    let home = Edited::with(&["a", "b"]);
    home.replace(LINES, "\"text\":\"a\"", "\"text\":\"e\"");
    let verdict = home.is_tampered("sealed");
    let place = verdict.first_bad.unwrap();
    assert_eq!((place.file.as_str(), place.line), (LINES, Some(2)));
    let (begin, end) = (home.lines()[0].len() as u64 + 1, home.lines()[1].len() as u64);
    assert!(place.byte.is_some_and(|b| (begin..begin + end).contains(&b)), "{place:?}");
    assert!(!verdict.still_provable.is_empty());
}

#[test]
fn keys_of_a_new_scroll_are_given_to_auditors_at_the_next_open() {
    let desk = Desk::new();
    let entropy = vm_tests::world::SeededEntropy::new(4);
    vm_ledger::home::init(&desk.path("one"), &desk.path("guard"), &settings(), &["toy"], &entropy)
        .unwrap();
    let vkeys = || fs::read_to_string(desk.path("one").join("keys/log.vkey")).unwrap();
    assert!(vkeys().contains("/toy+") && !vkeys().contains("/twin+"), "{}", vkeys());
    let owned = desk.open("one");
    owned.ledger.submit(twin("t", "t")).unwrap();
    owned.close().unwrap();
    assert!(vkeys().contains("/toy+") && vkeys().contains("/twin+"), "{}", vkeys());
    assert_eq!(desk.verify("one").outcome, Outcome::Verified);
    let path = desk.path("one").join("keys/trust.txt");
    let noted = fs::read_to_string(&path).unwrap() + "# a note of ours\n";
    fs::write(&path, &noted).unwrap();
    drop(desk.open("one"));
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        noted,
        "nothing was missing, so nothing is written"
    );
}

#[test]
fn signed_state_that_says_more_than_the_lines_show_is_named() {
    let home = Edited::with(&["a"]);
    let mut guard = Guard::parse(&home.read(SIGNED_STATE)).unwrap();
    let origin = settings().origin("toy");
    guard.advance(&origin, vm_ledger::guard::Signed { size: 9, root: [3; 32] }).unwrap();
    home.write(SIGNED_STATE, guard.to_bytes());
    let place = home.is_tampered("lines_reach_signed_state").first_bad.unwrap();
    assert_eq!(place.file, SIGNED_STATE);
}

#[test]
fn lines_cut_below_signed_state_are_noticed_without_a_root_too() {
    let home = Edited::with(&["a", "b", "c"]);
    let lines = home.lines();
    let kept: Vec<u8> = lines[..2].iter().flat_map(|l| [l, &b"\n"[..]].concat()).collect();
    home.write(LINES, kept);
    std::fs::remove_file(home.path(ROOT)).unwrap();
    let verdict = home.is_tampered("lines_reach_signed_state");
    assert!(verdict.first_bad.unwrap().file == "signed-state");
}

#[test]
fn a_home_whose_log_the_trust_file_does_not_know_cannot_be_evaluated() {
    let home = Edited::with(&["a"]);
    let other = vm_receipts::key::SecretKey::from_seed([5; 32]).public();
    let foreign = vm_scrolls::note::Vkey::new("other.example/n9/toy", other).unwrap();
    let trust = vm_scrolls::trust::Trust::parse(&format!(
        "issuer {}\n{foreign}\n",
        keys().issuer.public().did()
    ));
    let trust = trust.unwrap();
    let verdict = home.verify_with(&trust);
    assert_eq!(verdict.outcome, Outcome::CannotEvaluate, "{}", verdict.summary);
    assert!(verdict.summary.contains(&settings().origin("toy")), "{}", verdict.summary);
    // A ROOT that names a log the lines do not name is a changed file all the same.
    home.replace(ROOT, "/n1/toy", "/n2/toy");
    assert_eq!(home.verify_with(&trust).outcome, Outcome::Tampered);
}
