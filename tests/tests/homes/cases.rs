//! A sealed run as its folder: foreign tools accept it, an outsider verifies it, and a changed byte is named.

use crate::place::{Edited, code, tree};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use vm_ledger::Ledger;
use vm_scrolls::proof;
use vm_scrolls::verdict::Outcome;
use vm_tests::people::{abort, complete, file, in_place, open, seal};
use vm_tests::world::{pay, work};

const CASE: &str = "cases/toy/w";

/// Work of two stages with three files, one of them private, ready to be sealed.
fn worked(home: &Edited) -> Ledger {
    let ledger = home.open();
    open(&ledger, work("w", 2)).unwrap();
    let files =
        vec![file("report.md", false, b"# all well\n"), file("names.txt", true, b"8675309 ann\n")];
    complete(&ledger, "w", 1, Some("8675309 said so"), files).unwrap();
    home.write("runs/toy/w/outputs/grown here.log", "line 1\n");
    complete(&ledger, "w", 2, None, vec![in_place("grown here.log")]).unwrap();
    ledger
}

fn sealed() -> Edited {
    let home = Edited::new();
    let ledger = worked(&home);
    assert_eq!(seal(&ledger, "w").unwrap().case.as_deref(), Some(CASE));
    ledger.flush().unwrap();
    home
}

fn names(home: &Edited) -> Vec<String> {
    let dir = home.path(CASE);
    let inside = tree(&dir);
    inside.keys().map(|p| p.strip_prefix(&dir).unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_real_sha256sum_accepts_a_case() {
    let home = sealed();
    assert_eq!(
        names(&home),
        [
            "ARTIFACTS.sha256",
            "PROOF.json",
            "contract.json",
            "outputs/0001.private",
            "outputs/grown here.log",
            "outputs/report.md",
            "state.json"
        ]
    );
    let check = || {
        let done = Command::new("sha256sum")
            .args(["--strict", "-c", "ARTIFACTS.sha256"])
            .current_dir(home.path(CASE))
            .output();
        done.expect("sha256sum is part of every Debian")
    };
    let done = check();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stdout).lines().count(), 5);
    home.write("cases/toy/w/outputs/report.md", "# not so well\n");
    let done = check();
    assert!(!done.status.success());
    assert!(String::from_utf8_lossy(&done.stdout).contains("report.md: FAILED"));
    assert!(!home.path("runs/toy/w").exists());
}

#[test]
fn a_proof_verifies_in_another_place_with_the_keys_alone() {
    let home = sealed();
    ledger_with_effect(&home);
    for case in [CASE, "cases/toy/p"] {
        let elsewhere = tempfile::tempdir().unwrap();
        fs::copy(home.path(case).join("PROOF.json"), elsewhere.path().join("PROOF.json")).unwrap();
        let bytes = fs::read(elsewhere.path().join("PROOF.json")).unwrap();
        let verdict = proof::verify_bytes(&bytes, &home.trust_in_toy());
        assert_eq!(verdict.outcome, Outcome::Verified, "{case}: {}", verdict.summary);
        let parsed = proof::Proof::parse(&bytes).unwrap();
        for entry in &parsed.bundle {
            let there = home.read(&format!("{case}/{}", entry.path));
            assert!(entry.is(&there), "{}", entry.path);
        }
        assert_eq!(parsed.bundle.len() + 2, tree(&home.path(case)).len());
        let mut wrong = bytes.clone();
        for at in (0..bytes.len()).step_by(41) {
            wrong[at] ^= 1;
            let verdict = proof::verify_bytes(&wrong, &home.trust_in_toy());
            assert_ne!(verdict.outcome, Outcome::Verified, "byte {at}");
            wrong[at] ^= 1;
        }
    }
    home.is_verified();
}

fn ledger_with_effect(home: &Edited) {
    let ledger = home.open();
    let mut call = pay("p", 3, "8675309 ann");
    call.intent.insert("slip".into(), true.into());
    ledger.perform(call).unwrap();
    ledger.flush().unwrap();
    assert!(home.path("cases/toy/p/outputs/0001.private").exists());
}

#[test]
fn one_changed_byte_is_named_with_its_file() {
    let home = sealed();
    home.is_verified();
    for name in names(&home).iter().filter(|name| *name != "PROOF.json") {
        let path = format!("{CASE}/{name}");
        let right = home.read(&path);
        for at in [0, right.len() / 2, right.len() - 1] {
            let mut wrong = right.clone();
            wrong[at] ^= 1;
            home.write(&path, wrong);
            let verdict = home.verify();
            assert_eq!(verdict.outcome, Outcome::Tampered, "{name} byte {at}: {}", verdict.summary);
            let place = verdict.first_bad.unwrap();
            assert_eq!(place.file, path, "byte {at}");
        }
        fs::remove_file(home.path(&path)).unwrap();
        let verdict = home.verify();
        assert_ne!(verdict.outcome, Outcome::Verified, "{name} is gone");
        home.write(&path, right);
    }
    home.write("cases/toy/w/outputs/more.txt", "more");
    let place = home.verify().first_bad.unwrap();
    assert_eq!(place.file, "cases/toy/w/outputs/more.txt");
}

#[test]
fn an_output_that_is_not_what_it_was_is_not_sealed() {
    let home = Edited::new();
    let ledger = worked(&home);
    let out = |name: &str| home.path(&format!("runs/toy/w/outputs/{name}"));
    let refused = |expected: &str, name: &str| {
        let failure = seal(&ledger, "w").unwrap_err();
        assert_eq!(failure.code(), expected, "{failure}");
        assert!(failure.to_string().contains(&format!("runs/toy/w/outputs/{name}")), "{failure}");
        assert!(failure.hint().is_some());
    };
    for name in ["report.md", "grown here.log", "0001.private"] {
        let right = fs::read(out(name)).unwrap();
        fs::write(out(name), [&right[..], b"x"].concat()).unwrap();
        refused("output_changed", name);
        let mut same_size = right.clone();
        same_size[0] ^= 1;
        fs::write(out(name), same_size).unwrap();
        refused("output_changed", name);
        fs::remove_file(out(name)).unwrap();
        refused("output_changed", name);
        let elsewhere = home.away("elsewhere");
        fs::write(&elsewhere, &right).unwrap();
        symlink(&elsewhere, out(name)).unwrap();
        refused("not_a_plain_file", name);
        fs::remove_file(out(name)).unwrap();
        fs::write(out(name), &right).unwrap();
    }
    fs::write(out("more.txt"), "more").unwrap();
    refused("output_not_attached", "more.txt");
    fs::remove_file(out("more.txt")).unwrap();
    fs::create_dir(out("folder")).unwrap();
    refused("output_not_attached", "folder");
    fs::remove_dir(out("folder")).unwrap();
    assert_eq!(home.kinds(), ["ledger_open"], "nothing was sealed meanwhile");
    seal(&ledger, "w").unwrap();
    ledger.flush().unwrap();
    home.is_verified();
}

#[test]
fn a_link_or_folder_cannot_be_attached() {
    let home = Edited::new();
    let ledger = home.open();
    open(&ledger, work("w", 1)).unwrap();
    let out = |name: &str| home.path(&format!("runs/toy/w/outputs/{name}"));
    fs::write(home.away("elsewhere"), "x").unwrap();
    symlink(home.away("elsewhere"), out("link")).unwrap();
    fs::create_dir(out("folder")).unwrap();
    for name in ["link", "folder"] {
        assert_eq!(code(complete(&ledger, "w", 1, None, vec![in_place(name)])), "not_a_plain_file");
    }
    // The whole folder behind a link is no folder of this home.
    fs::remove_file(out("link")).unwrap();
    fs::remove_dir(out("folder")).unwrap();
    fs::remove_dir(out("")).unwrap();
    symlink(home.away(""), out("").parent().unwrap().join("outputs")).unwrap();
    let through = complete(&ledger, "w", 1, None, vec![in_place("elsewhere")]);
    assert_eq!(code(through), "not_a_plain_file");
}

#[test]
fn what_is_private_stands_nowhere_in_plain() {
    let home = sealed();
    ledger_with_effect(&home);
    let ledger = home.open();
    open(&ledger, work("x", 1)).unwrap();
    abort(&ledger, "x", Some("8675309 left")).unwrap();
    seal(&ledger, "x").unwrap();
    ledger.flush().unwrap();
    for (path, bytes) in home.all() {
        assert!(!bytes.windows(7).any(|w| w == b"8675309"), "{} shows it", path.display());
    }
}
