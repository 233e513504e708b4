//! What a backup holds, and what comes back from it, under which name.

use crate::place::{Desk, ENGINES, code, named, tree, twin};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use vm_contracts::{Failure, OwnerGate};
use vm_ledger::Settings;
use vm_ledger::backup::{MANIFEST, Restore, Restored, backup, restore};
use vm_receipts::line::Line;
use vm_scrolls::verdict::Outcome;
use vm_tests::world::{note, settings};

fn back_up(desk: &Desk, home: &str, settings: &Settings, to: &str) {
    let owned = desk.try_open(home, settings).unwrap();
    backup(&owned.ledger, &desk.path(home), &desk.path(to), true).unwrap();
    owned.close().unwrap();
}

fn restore_as(
    desk: &Desk,
    from: &str,
    home: &str,
    node: &str,
    renamed: bool,
) -> Result<Restored, Failure> {
    let (from, home, guard) = (desk.path(from), desk.path(home), desk.path("guard"));
    let plan = Restore {
        from: &from,
        home: &home,
        guard: &guard,
        settings: named(node),
        config: "# none\n",
        renamed,
    };
    restore(plan, &ENGINES, Arc::new(OwnerGate))
}

fn add(desk: &Desk, home: &str, settings: &Settings, ids: &[&str]) {
    let owned = desk.try_open(home, settings).unwrap();
    ids.iter().for_each(|id| drop(owned.ledger.submit(note(id, id)).unwrap()));
    owned.close().unwrap();
}

/// A home `one` with four receipts, of which `backup` holds two.
fn older_backup() -> Desk {
    let desk = Desk::with_home();
    add(&desk, "one", &settings(), &["a"]);
    back_up(&desk, "one", &settings(), "backup");
    add(&desk, "one", &settings(), &["lost-1", "lost-2"]);
    desk
}

fn lines(desk: &Desk, home: &str) -> Vec<Line> {
    let text = fs::read(desk.path(home).join(crate::place::LINES)).unwrap();
    text[..text.len() - 1].split(|b| *b == b'\n').map(|l| Line::parse(l).unwrap()).collect()
}

#[test]
fn an_older_backup_is_refused_under_the_old_name() {
    let desk = older_backup();
    let refused = restore_as(&desk, "backup", "two", "n1", false).unwrap_err();
    assert_eq!(refused.code(), "older_than_signed");
    assert!(refused.to_string().contains("toy up to 4"), "{refused}");
    assert!(refused.hint().unwrap().contains("--node"), "{refused}");
    assert!(!desk.path("two").join("keys").exists(), "something was restored");
    add(&desk, "one", &settings(), &["on"]);
}

#[test]
fn an_older_backup_goes_on_under_a_new_name_and_says_what_was_lost() {
    let desk = older_backup();
    let made = restore_as(&desk, "backup", "two", "n2", true).unwrap();
    assert_eq!(made.scrolls, [("toy".to_owned(), 2)]);
    assert_eq!(made.lost_up_to["toy"], 4);
    add(&desk, "two", &named("n2"), &["on"]);
    let lines = lines(&desk, "two");
    let kinds: Vec<&str> = lines.iter().map(|l| l.kind.as_str()).collect();
    assert_eq!(kinds, ["ledger_open", "toy_note", "ledger_restored", "toy_note"]);
    let restored = &lines[2].body;
    assert_eq!((&restored["lost_up_to"], &restored["restored_size"]), (&4.into(), &2.into()));
    assert_eq!(restored["origin"], "ledger.example/n2/toy");
    assert_eq!(lines[3].context.node, "n2");
    let verdict = desk.verify("two");
    assert_eq!(verdict.outcome, Outcome::Verified, "{}", verdict.summary);
    let trust = fs::read_to_string(desk.path("two").join("keys/trust.txt")).unwrap();
    assert!(trust.contains("ledger.example/n2/toy") && !trust.contains("/n1/"), "{trust}");
}

#[test]
fn a_node_name_that_was_used_before_never_comes_back() {
    // n1 signed four receipts; were it used again after two of them, size 3 would get a second root.
    let desk = older_backup();
    restore_as(&desk, "backup", "two", "n2", true).unwrap();
    back_up(&desk, "two", &named("n2"), "second");
    for node in ["n1", "n2"] {
        assert_eq!(
            code(restore_as(&desk, "second", "three", node, true)),
            "node_name_used",
            "{node}"
        );
    }
    assert_eq!(code(restore_as(&desk, "backup", "three", "n2", true)), "node_name_used");
    // Even where the guard directory is gone, the lines still say who wrote them.
    fs::remove_dir_all(desk.path("guard")).unwrap();
    assert_eq!(code(restore_as(&desk, "second", "three", "n1", true)), "node_name_used");
    assert!(!desk.path("three").join("keys").exists(), "something was restored");
    restore_as(&desk, "second", "three", "n3", true).unwrap();
    assert_eq!(desk.verify("three").outcome, Outcome::Verified);
}

#[test]
fn the_newest_backup_comes_back_under_its_own_name() {
    let desk = Desk::with_home();
    add(&desk, "one", &settings(), &["a"]);
    let owned = desk.open("one");
    owned.ledger.submit(twin("t", "t")).unwrap();
    owned.close().unwrap();
    back_up(&desk, "one", &settings(), "backup");
    fs::create_dir(desk.path("two")).unwrap();
    fs::set_permissions(desk.path("two"), fs::Permissions::from_mode(0o755)).unwrap();
    let made = restore_as(&desk, "backup", "two", "n1", false).unwrap();
    assert_eq!(made.scrolls, [("toy".to_owned(), 2), ("twin".to_owned(), 2)]);
    assert!(made.lost_up_to.is_empty());
    add(&desk, "two", &settings(), &["on"]);
    assert_eq!(lines(&desk, "two")[2].kind, "ledger_restored");
    assert!(!lines(&desk, "two")[2].body.contains_key("lost_up_to"));
    assert_eq!(desk.verify("two").outcome, Outcome::Verified);
    let mode = fs::metadata(desk.path("two")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "a home is closed to others");
    assert_eq!(code(desk.try_open("one", &settings())), "corrupt", "the first one is older now");
}

#[test]
fn a_backup_of_an_empty_home_comes_back() {
    let desk = Desk::with_home();
    back_up(&desk, "one", &settings(), "backup");
    let made = restore_as(&desk, "backup", "two", "n1", false).unwrap();
    assert!(made.scrolls.is_empty());
    add(&desk, "two", &settings(), &["a"]);
    assert_eq!(desk.verify("two").outcome, Outcome::Verified);
}

#[test]
fn a_backup_without_keys_is_refused_before_anything_is_written() {
    let desk = Desk::with_home();
    let owned = desk.open("one");
    owned.ledger.submit(note("a", "a")).unwrap();
    backup(&owned.ledger, &desk.path("one"), &desk.path("backup"), false).unwrap();
    owned.close().unwrap();
    let held = tree(&desk.path("backup"));
    assert!(held.keys().all(|p| p.extension().is_none_or(|e| e != "pem")), "a key came along");
    let refused = restore_as(&desk, "backup", "two", "n1", false).unwrap_err();
    assert_eq!(refused.code(), "key_unreadable");
    assert!(refused.to_string().contains("issuer.pem"), "{refused}");
    assert!(!desk.path("two").exists());
}

#[test]
fn a_backup_of_a_damaged_home_is_refused() {
    let desk = Desk::with_home();
    let owned = desk.open("one");
    owned.ledger.submit(note("a", "a")).unwrap();
    owned.ledger.flush().unwrap();
    // Dropped, not closed: what is appended now stands above signed-state.
    drop(owned);
    let path = desk.path("one").join(crate::place::LINES);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"what\":\"is this\"}\n");
    fs::write(&path, bytes).unwrap();
    let owned = desk.open("one");
    let refused = backup(&owned.ledger, &desk.path("one"), &desk.path("backup"), true).unwrap_err();
    assert_eq!(refused.code(), "damaged_tail");
    assert!(refused.hint().unwrap().contains("vm accept-cut toy"), "{refused}");
    assert!(!desk.path("backup").exists());
}

#[test]
fn a_flipped_byte_anywhere_in_a_backup_is_refused_by_the_file_s_name() {
    let desk = Desk::with_home();
    add(&desk, "one", &settings(), &["a"]);
    back_up(&desk, "one", &settings(), "backup");
    let from = desk.path("backup");
    for (path, bytes) in tree(&from) {
        let name = path.strip_prefix(&from).unwrap().to_str().unwrap().to_owned();
        if name == MANIFEST {
            continue;
        }
        let mut other = bytes.clone();
        other[bytes.len() / 2] ^= 1;
        fs::write(&path, other).unwrap();
        let refused = restore_as(&desk, "backup", "two", "n1", false).unwrap_err();
        assert_eq!(refused.code(), "corrupt", "{name}");
        assert!(refused.to_string().contains(&name), "{name}: {refused}");
        assert!(!desk.path("two").exists(), "{name}: something was restored");
        fs::write(&path, bytes).unwrap();
    }
    let manifest = fs::read_to_string(from.join(MANIFEST)).unwrap();
    for wrong in [manifest.replacen("  ", "  ../", 1), manifest.replacen("  ", " ", 1)] {
        fs::write(from.join(MANIFEST), wrong).unwrap();
        assert_eq!(code(restore_as(&desk, "backup", "two", "n1", false)), "corrupt");
    }
    fs::remove_file(from.join(MANIFEST)).unwrap();
    assert_eq!(code(restore_as(&desk, "backup", "two", "n1", false)), "not_a_backup");
    assert!(!desk.path("two").exists());
}

#[test]
fn neither_a_backup_nor_a_restore_writes_over_anything() {
    let desk = Desk::with_home();
    add(&desk, "one", &settings(), &["a"]);
    back_up(&desk, "one", &settings(), "backup");
    let owned = desk.open("one");
    let again = backup(&owned.ledger, &desk.path("one"), &desk.path("backup"), true);
    assert_eq!(code(again), "directory_exists");
    owned.close().unwrap();
    let before = tree(&desk.path("one"));
    assert_eq!(code(restore_as(&desk, "backup", "one", "n1", false)), "directory_exists");
    assert!(tree(&desk.path("one")) == before, "the home was changed");
}
