//! Two homes that would sign as one: each signature over a size must be the only one.

use crate::place::{Desk, Edited, code, copy, named};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use vm_contracts::OwnerGate;
use vm_ledger::backup::{Restore, backup, restore};
use vm_ledger::fs::Disk;
use vm_ledger::guard::{Guard, SIGNED_STATE};
use vm_ledger::home::Owned;
use vm_scrolls::verdict::Outcome;
use vm_tests::world::{note, settings};

/// Asserts that a home is refused because this process owns it or its guard directory.
fn is_busy(desk: &Desk, home: &str) {
    let refused = desk.try_open(home, &settings()).map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), "home_busy");
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
}

fn goes_on(owned: &Owned) {
    owned.ledger.submit(note("on", "x")).unwrap();
    owned.ledger.flush().unwrap();
}

#[test]
fn a_restore_beside_the_running_home_is_refused() {
    let desk = Desk::with_home();
    let running = desk.open("one");
    running.ledger.submit(note("a", "x")).unwrap();
    backup(&running.ledger, &desk.path("one"), &desk.path("backup"), true).unwrap();
    let (from, home, guard) = (desk.path("backup"), desk.path("two"), desk.path("guard"));
    for (settings, renamed) in [(settings(), false), (named("n2"), true)] {
        let plan =
            Restore { from: &from, home: &home, guard: &guard, settings, config: "", renamed };
        assert_eq!(code(restore(plan, &crate::place::ENGINES, Arc::new(OwnerGate))), "home_busy");
        assert!(!home.join("keys").exists(), "something was restored");
    }
    goes_on(&running);
    running.close().unwrap();
    assert_eq!(desk.verify("one").outcome, Outcome::Verified);
}

#[test]
fn a_copy_beside_the_running_home_is_refused() {
    let desk = Desk::with_home();
    let running = desk.open("one");
    running.ledger.submit(note("a", "x")).unwrap();
    running.ledger.flush().unwrap();
    copy(&desk.path("one"), &desk.path("two"));
    is_busy(&desk, "two");
    goes_on(&running);
}

#[test]
fn a_copy_that_was_left_behind_is_refused_as_older() {
    let desk = Desk::with_home();
    let owned = desk.open("one");
    goes_on(&owned);
    owned.close().unwrap();
    copy(&desk.path("one"), &desk.path("two"));
    let owned = desk.open("one");
    owned.ledger.submit(note("later", "x")).unwrap();
    owned.close().unwrap();
    let refused = desk.try_open("two", &settings()).map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), "corrupt");
    assert!(refused.to_string().contains("older copy"), "{refused}");
}

#[test]
fn a_second_home_that_signs_as_the_first_is_stopped_by_name() {
    // Nobody holds a lock here, as on a file system whose locks do not reach the other machine.
    let home = Edited::with(&["a"]);
    let copied = tempfile::tempdir().unwrap();
    copy(&home.path(""), copied.path());
    let first = home.open();
    let second = home.open_on(Arc::new(Disk::new(copied.path(), home.away("")))).unwrap();
    first.submit(note("b", "first")).unwrap();
    second.submit(note("b", "second")).unwrap();
    first.flush().unwrap();
    let signed = fs::read(home.away(SIGNED_STATE)).unwrap();
    let stopped = second.flush().unwrap_err();
    assert_eq!(stopped.code(), "write_unconfirmed");
    let says = stopped.to_string();
    assert!(says.contains("another home has signed ledger.example/n1/toy up to 3"), "{says}");
    assert_eq!(
        code(second.submit(note("c", "x"))),
        "write_unconfirmed",
        "it answers nothing any more"
    );
    assert_eq!(fs::read(home.away(SIGNED_STATE)).unwrap(), signed);
    first.submit(note("c", "x")).unwrap();
    first.flush().unwrap();
}

#[test]
fn removing_the_lock_file_gives_no_second_owner() {
    let desk = Desk::with_home();
    let running = desk.open("one");
    for dir in ["one", "guard"] {
        fs::remove_file(desk.path(dir).join("lock")).unwrap();
        let refused = desk.try_open("one", &settings()).map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), "home_busy", "after {dir}/lock was removed");
    }
    goes_on(&running);
    running.close().unwrap();
    goes_on(&desk.open("one"));
}

#[test]
fn both_copies_of_signed_state_are_written_again_at_open() {
    let home = Edited::with(&["a"]);
    let (here, away) = (home.path(SIGNED_STATE), home.away(SIGNED_STATE));
    let older = fs::read(&away).unwrap();
    let ledger = home.open();
    ledger.submit(note("b", "b")).unwrap();
    ledger.flush().unwrap();
    drop(ledger);
    let newest = fs::read(&away).unwrap();
    assert_ne!(older, newest);
    for copy in [&here, &away] {
        fs::remove_file(copy).unwrap();
        let said = home.open().writer().take_messages().join("\n");
        assert!(said.contains("signed-state"), "nobody was told: {said:?}");
        assert_eq!(fs::read(copy).unwrap(), newest, "the missing one");
        fs::write(copy, &older).unwrap();
        home.open();
        assert_eq!(fs::read(copy).unwrap(), newest, "the lagging one");
    }
    for copy in [&here, &away] {
        fs::remove_file(copy).unwrap();
    }
    assert_eq!(code(home.try_open()), "corrupt", "without both nothing says how far it had signed");
}

#[test]
fn init_refuses_a_guard_directory_that_remembers_another_ledger() {
    let desk = Desk::with_home();
    goes_on(&desk.open("one"));
    let before = fs::read(desk.path("guard").join(SIGNED_STATE)).unwrap();
    let other = vm_ledger::Settings { ledger: "another".into(), ..settings() };
    assert_eq!(code(desk.init("two", "guard", &other)), "guard_taken");
    assert_eq!(code(desk.init("two", "guard", &settings())), "guard_taken", "nor its own twin");
    assert!(!desk.path("two").exists());
    assert_eq!(fs::read(desk.path("guard").join(SIGNED_STATE)).unwrap(), before);
    goes_on(&desk.open("one"));
}

#[test]
fn a_guard_directory_of_another_ledger_is_never_written_over() {
    let desk = Desk::with_home();
    let other = Guard::new("another").to_bytes();
    fs::write(desk.path("guard").join(SIGNED_STATE), &other).unwrap();
    let refused = desk.try_open("one", &settings()).map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), "corrupt");
    assert!(refused.to_string().contains("another"), "{refused}");
    assert_eq!(fs::read(desk.path("guard").join(SIGNED_STATE)).unwrap(), other);
}

#[test]
fn a_home_made_in_an_open_directory_is_closed_to_others() {
    let desk = Desk::new();
    fs::create_dir(desk.path("one")).unwrap();
    fs::set_permissions(desk.path("one"), fs::Permissions::from_mode(0o755)).unwrap();
    desk.init("one", "guard", &settings()).unwrap();
    let mode = |name: &str| fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("one"), mode("one/keys"), mode("guard")), (0o700, 0o700, 0o700));
    assert_eq!((mode("one/keys/issuer.pem"), mode("one/signed-state")), (0o600, 0o600));
}

#[test]
fn a_guard_directory_inside_the_home_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for guard in ["one", "one/guard"] {
        let refused = vm_ledger::home::init(
            &dir.path().join("one"),
            &dir.path().join(guard),
            &vm_tests::world::settings(),
            &["toy"],
            &vm_ledger::clock::SystemEntropy,
        )
        .unwrap_err();
        assert_eq!(refused.code(), "guard_in_home");
        assert!(!dir.path().join("one").exists());
    }
}
