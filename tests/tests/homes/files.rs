//! Names under which something else stands than a file of ours: named, and nobody waits for it.

use crate::place::{Desk, Edited, LINES, ROOT, code, tree};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;
use vm_ledger::guard::SIGNED_STATE;
use vm_scrolls::verdict::{Outcome, Verdict};
use vm_tests::world::{note, settings};

/// A wait that no healthy run comes near; a pipe would make it endless.
const HANG: Duration = Duration::from_secs(20);

/// What verifying and opening say, or a panic if they wait.
fn both(home: Edited, what: &str) -> (Edited, Verdict, String) {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let verdict = home.verify();
        let opened = home.try_open().map_or_else(|e| e.to_string(), |_| "opened".into());
        let _ = send.send((home, verdict, opened));
    });
    receive.recv_timeout(HANG).unwrap_or_else(|e| panic!("{what}: {e}"))
}

/// The verdict with the place of its first contradiction.
fn said(verdict: &Verdict) -> String {
    format!("{} {:?}", verdict.summary, verdict.first_bad)
}

fn pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_pipe_under_a_name_of_ours_is_named_and_not_read() {
    for name in [LINES, ROOT] {
        let home = Edited::with(&["a"]);
        pipe(&home.path(name));
        let (_, verdict, opened) = both(home, name);
        assert!(verdict.outcome != Outcome::Verified, "{name}: {}", verdict.summary);
        assert!(said(&verdict).contains(name), "{name}: {}", said(&verdict));
        assert!(opened.contains(name) && opened.contains("regular file"), "{name}: {opened}");
    }
}

#[test]
fn a_pipe_under_a_name_that_is_written_is_not_waited_for() {
    for name in [SIGNED_STATE, "clock", "reserve", "ROOT.toy.txt.tmp", "signed-state.tmp"] {
        let home = Edited::with_unpublished(&["a"], &["b"]);
        fs::write(home.path(name), "").unwrap();
        pipe(&home.path(name));
        let (home, _, opened) = both(home, name);
        let kept = fs::symlink_metadata(home.path(LINES)).unwrap().is_file();
        assert!(
            kept && (opened == "opened" || opened.contains(name.trim_end_matches(".tmp"))),
            "{name}: {opened}"
        );
    }
}

#[test]
fn a_link_under_a_name_of_ours_is_named_and_not_followed() {
    for name in [LINES, ROOT] {
        let home = Edited::with(&["a"]);
        let elsewhere = home.away("elsewhere");
        fs::rename(home.path(name), &elsewhere).unwrap();
        symlink(&elsewhere, home.path(name)).unwrap();
        let (_, verdict, opened) = both(home, name);
        assert!(verdict.outcome != Outcome::Verified, "{name}: {}", verdict.summary);
        assert!(said(&verdict).contains(name), "{name}: {}", said(&verdict));
        assert!(opened.contains(name), "{name}: {opened}");
    }
}

#[test]
fn a_huge_file_under_a_name_of_ours_is_named_and_not_read() {
    for name in [ROOT, LINES, SIGNED_STATE] {
        let home = Edited::with(&["a"]);
        // Sparse: it takes no room, but reading it would take a terabyte of memory.
        let file = fs::OpenOptions::new().write(true).open(home.path(name)).unwrap();
        file.set_len(1 << 40).unwrap();
        let (_, verdict, opened) = both(home, name);
        assert!(opened.contains(name), "{name}: {opened}");
        if name != SIGNED_STATE {
            assert_eq!(verdict.outcome, Outcome::Tampered, "{name}: {}", verdict.summary);
            assert!(verdict.summary.contains("more than"), "{name}: {}", verdict.summary);
        }
    }
}

#[test]
fn a_root_longer_than_any_note_is_named_by_its_length() {
    let home = Edited::with(&["a"]);
    let mut long = home.read(ROOT);
    long.resize(vm_scrolls::note::NOTE_BYTES_MAX + 1, b'\n');
    home.write(ROOT, long);
    let place = home.is_tampered("root_signed").first_bad.unwrap();
    assert_eq!(place.file, ROOT);
    let refused = home.try_open().map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), "corrupt");
    assert!(refused.to_string().contains(ROOT), "{refused}");
}

#[test]
fn a_home_that_cannot_be_written_is_refused_with_what_to_do() {
    let desk = Desk::with_home();
    let home = desk.path("one");
    let owned = desk.open("one");
    owned.ledger.submit(note("a", "a")).unwrap();
    owned.close().unwrap();
    fs::remove_file(home.join("lock")).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o500)).unwrap();
    let everywhere = fs::write(home.join("probe"), "").is_ok();
    let refused = code(desk.try_open("one", &settings()));
    let verdict = desk.verify("one");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(verdict.outcome, Outcome::Verified, "reading needs no right to write");
    match everywhere {
        true => vm_tests::skipped("a home that cannot be written, because root writes everywhere"),
        false => assert_eq!(refused, "lock_failed"),
    }
    // A file where the directory should be fails for everybody, root too.
    fs::write(desk.path("file"), "").unwrap();
    let refused = desk.try_open("file", &settings()).map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), "lock_failed");
    assert!(refused.to_string().contains("file/lock"), "{refused}");
    assert!(refused.hint().unwrap().contains("writable"), "{refused}");
}

#[test]
fn a_key_that_the_scroll_did_not_begin_with_signs_nothing() {
    let desk = Desk::with_home();
    let owned = desk.open("one");
    owned.ledger.submit(note("a", "a")).unwrap();
    owned.close().unwrap();
    let before = tree(&desk.path("one"));
    for name in ["issuer.pem", "log.pem"] {
        let path = desk.path("one").join("keys").join(name);
        let right = fs::read(&path).unwrap();
        let foreign = vm_receipts::key::SecretKey::from_seed([9; 32]).to_pem();
        fs::write(&path, foreign.as_bytes()).unwrap();
        // Even where ROOT is gone, which would let the home be signed again.
        let root = desk.path("one").join("ROOT.toy.txt");
        let note = fs::read(&root).unwrap();
        fs::remove_file(&root).unwrap();
        let refused = desk.try_open("one", &settings()).err().unwrap();
        assert!(refused.code() == "corrupt" && refused.to_string().contains(name), "{refused}");
        fs::write(&path, right).unwrap();
        fs::write(&root, note).unwrap();
    }
    assert_eq!(tree(&desk.path("one")), before, "something was written under a foreign key");
    assert!(desk.verify("one").is_verified());
}
