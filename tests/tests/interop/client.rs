//! An export behind a static web server, read by a client over `golang.org/x/mod/sumdb`.

use crate::Log;
use crate::server::serve;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The client, built; `None` without Go or where its one module cannot be had.
fn built(into: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/go");
    let go = |words: &[&str]| {
        Command::new("go").args(words).current_dir(&source).env("GOTOOLCHAIN", "local").output()
    };
    if !go(&["version"]).is_ok_and(|output| output.status.success()) {
        vm_tests::skipped("the Go client of an export, because there is no go");
        return None;
    }
    if !go(&["mod", "download"]).is_ok_and(|output| output.status.success()) {
        vm_tests::skipped("the Go client of an export, because golang.org/x/mod cannot be had");
        return None;
    }
    let client = into.join("tlogclient");
    let built = go(&["build", "-o", client.to_str().unwrap(), "."]).unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(client)
}

#[test]
fn a_go_client_accepts_an_export_and_refuses_a_changed_one() {
    let (room, www) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(client) = built(room.path()) else { return };
    let mut log = Log::new("read elsewhere");
    let url = format!("{}/toy", serve(www.path()));
    let ask = |log: &Log, older: &[PathBuf]| -> Output {
        Command::new(&client).arg(&url).arg(log.vkey()).args(older).output().unwrap()
    };
    let mut older = Vec::new();
    for size in [2, 256, 700, 1_500] {
        log.grow(size);
        log.export(www.path());
        let said = ask(&log, &older);
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success(), "{size}: {said:?}");
        assert!(text.contains(&format!("verified {size} records ")), "{text}");
        assert_eq!(text.matches("consistent ").count(), older.len());
        let copy = room.path().join(format!("checkpoint-{size}"));
        fs::copy(www.path().join("toy/checkpoint"), &copy).unwrap();
        older.push(copy);
    }
    for name in ["tile/0/003", "tile/1/000.p/5", "tile/entries/002", "checkpoint"] {
        let path = www.path().join("toy").join(name);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        changed[40] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(!ask(&log, &older).status.success(), "{name} was changed");
        fs::write(&path, whole).unwrap();
    }
    let mut other = Log::new("another history");
    other.grow(600);
    let forked = tempfile::tempdir().unwrap();
    other.export(forked.path());
    let said = ask(&log, &[forked.path().join("toy/checkpoint")]);
    assert!(!said.status.success(), "an older checkpoint of another history");
}
