//! Repositories that are not as one expects: large, bare, linked, foreign, cut short, with odd names, lied about.

use crate::desk::{Desk, file, verdicts};
use serde_json::json;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

fn one(path: &str, why: &str) -> Vec<(String, String)> {
    vec![(path.to_owned(), why.to_owned())]
}

#[test]
fn binary_content_and_names_outside_utf8_are_files_like_others() {
    let Some(desk) = Desk::with_git() else { return };
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    fs::write(desk.work("").join(OsStr::from_bytes(b"n\xffm\n")), &bytes).unwrap();
    desk.commit("first");
    let shown = "n\\xffm\\u{a}";
    assert_eq!(verdicts(&desk.explained()), one(shown, "no_edit"));
    desk.session("s-1");
    desk.edited(&desk.file_id(shown), &bytes);
    assert_eq!(verdicts(&desk.explained()), one(shown, "yes"));
}

#[test]
fn a_commit_or_tree_without_a_sensible_end_is_not_read() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("a", "1\n");
    desk.commit("first");
    let tree = desk.git(&["rev-parse", "HEAD^{tree}"]);
    let store = |kind: &str, bytes: &[u8]| {
        fs::write(desk.path("object"), bytes).unwrap();
        let words = ["hash-object", "--literally", "-w", "-t", kind, "../object"];
        desk.git(&words)
    };
    let head = format!("tree {tree}\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\n");
    let commit = store("commit", &[head.as_bytes(), &vec![b'x'; 17 << 20]].concat());
    let words = ["explain", &commit];
    assert_eq!(desk.refused(&words).1, "repository_unreadable");
    let entry = [b"100644 ".as_slice(), &vec![b'x'; 65 << 20], b"\0", &[1; 20]].concat();
    let tree = store("tree", &entry);
    let commit =
        store("commit", head.replace(head.split_whitespace().nth(1).unwrap(), &tree).as_bytes());
    let words = ["explain", &commit];
    assert_eq!(desk.refused(&words).1, "repository_unreadable");
}

#[test]
fn a_linked_work_tree_and_a_directory_below_are_the_same_project() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("a", "1\n");
    desk.commit("first");
    desk.session("s-1");
    let id = desk.file_id("a");
    let project = desk.explained()["project_id"].clone();
    desk.git(&["worktree", "add", "-q", "-b", "other", "../linked"]);
    fs::write(desk.path("linked/a"), "2\n").unwrap();
    desk.git_in("linked", &["commit", "-q", "-a", "-m", "second"]);
    desk.edited(&id, b"2\n");
    let linked = desk.path("linked");
    let explained = desk.json(&["explain", "--repository", linked.to_str().unwrap()]);
    assert_eq!(verdicts(&explained), one("a", "yes"));
    assert_eq!(explained["project_id"], project);
    assert_eq!(
        verdicts(&desk.json(&["explain", "other"])),
        one("a", "yes"),
        "from the main work tree"
    );
}

#[test]
fn a_submodule_is_not_compared_and_has_a_project_of_its_own() {
    let Some(desk) = Desk::with_git() else { return };
    fs::create_dir(desk.path("lib")).unwrap();
    desk.git_in("lib", &["init", "-q", "-b", "main", "."]);
    fs::write(desk.path("lib/code"), "1\n").unwrap();
    desk.git_in("lib", &["add", "-A"]);
    desk.git_in("lib", &["commit", "-q", "-m", "lib"]);
    desk.write("a", "1\n");
    desk.commit("first");
    desk.git(&["submodule", "add", "-q", "../lib", "lib"]);
    desk.git(&["commit", "-q", "-m", "second"]);
    let explained = desk.explained();
    assert_eq!(file(&explained, "lib")["reason"], "submodule");
    let inside = desk.json(&["explain", "--repository", "lib"]);
    assert_eq!(verdicts(&inside), one("code", "no_edit"));
    assert_ne!(inside["project_id"], explained["project_id"]);
    let receipt = desk.json(&["console", "commit"]);
    assert_eq!(receipt["receipts"][0]["line"]["body"]["submodules"], 1);
}

#[test]
fn a_bare_repository_and_one_with_sha_256_are_read() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("a", "1\n");
    desk.commit("first");
    desk.git(&["clone", "-q", "--bare", ".", "../bare.git"]);
    let bare = desk.path("bare.git");
    let explained = desk.json(&["explain", "--repository", bare.to_str().unwrap()]);
    assert_eq!(verdicts(&explained), one("a", "no_edit"));
    fs::create_dir(desk.path("long")).unwrap();
    desk.git_in("long", &["init", "-q", "-b", "main", "--object-format=sha256", "."]);
    fs::write(desk.path("long/a"), "1\n").unwrap();
    desk.git_in("long", &["add", "-A"]);
    desk.git_in("long", &["commit", "-q", "-m", "first"]);
    let long = desk.path("long");
    let words = ["console", "commit", "--repository", long.to_str().unwrap()];
    let receipt = desk.json(&words);
    let hash = receipt["receipts"][0]["line"]["body"]["commit_hash"].as_str().unwrap().to_owned();
    assert_eq!(hash.len(), 64);
    assert!(
        desk.vm(&["explain", &hash[..10], "--repository", long.to_str().unwrap()]).status.success()
    );
}

#[test]
fn a_commit_of_thousands_of_files_is_compared_up_to_the_limit_and_says_so() {
    let Some(desk) = Desk::with_git() else { return };
    for n in 0..4_200 {
        desk.write(&format!("d{}/f{n}", n % 20), format!("{n}\n"));
    }
    desk.commit("many");
    desk.session("s-1");
    let explained = desk.explained();
    assert_eq!(explained["files_unexplained"], 4_200);
    let first = file(&explained, "d0/f0")["file_id"].as_str().unwrap().to_owned();
    let last = file(&explained, "d9/f4189")["file_id"].as_str().unwrap().to_owned();
    desk.edited(&first, b"0\n");
    desk.edited(&last, b"4189\n");
    assert_eq!(desk.explained()["files_explained"], 2);
    let said = desk.ok(&["explain"]);
    assert!(said.contains("and 4100 more; --all lists them"), "{}", said.lines().last().unwrap());
    let receipt = desk.json(&["console", "commit"]);
    let body = &receipt["receipts"][0]["line"]["body"];
    assert_eq!((&body["files_changed"], &body["files_not_examined"]), (&json!(4_200), &json!(104)));
}

#[test]
fn a_parent_that_is_not_there_is_said_and_not_taken_for_an_empty_one() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("a", "1\n");
    desk.commit("first");
    desk.write("b", "2\n");
    desk.commit("second");
    let from = format!("file://{}", desk.work("").display());
    desk.git(&["clone", "-q", "--depth", "1", &from, "../shallow"]);
    let shallow = desk.path("shallow");
    let words = ["explain", "--repository", shallow.to_str().unwrap()];
    assert_eq!(desk.refused(&words), (1, "parent_missing".into()));
}

#[test]
fn a_replacement_of_a_commit_shows_nothing_else_than_the_commit() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("a", "good\n");
    let good = desk.commit("good");
    desk.session("s-1");
    desk.edited(&desk.file_id("a"), b"good\n");
    desk.write("a", "evil\n");
    desk.git(&["add", "-A"]);
    desk.git(&["commit", "-q", "--amend", "-m", "evil"]);
    let evil = desk.git(&["rev-parse", "HEAD"]);
    desk.git(&["replace", &evil, &good]);
    assert_eq!(desk.git(&["show", "HEAD:a"]), "good", "git itself is taken in");
    assert_eq!(verdicts(&desk.explained()), one("a", "other_content"));
}

#[test]
fn an_object_that_is_not_what_its_name_says_is_refused() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("a", "good\n");
    desk.write("b", "evil\n");
    desk.commit("first");
    let loose = |content: &str| {
        let id = desk.git(&["rev-parse", &format!("HEAD:{content}")]);
        desk.work(".git/objects").join(&id[..2]).join(&id[2..])
    };
    // The blob of b, which is what the commit names, now reads as the content of a.
    fs::remove_file(loose("b")).unwrap();
    fs::copy(loose("a"), loose("b")).unwrap();
    assert_eq!(desk.refused(&["explain"]), (4, "repository_unreadable".into()));
}

#[test]
fn a_repository_of_another_user_is_read_only_where_it_was_declared_safe() {
    use std::os::unix::fs::MetadataExt;
    let Some(desk) = Desk::with_git() else { return };
    desk.write("a", "1\n");
    desk.commit("first");
    let own = fs::metadata(desk.work("")).unwrap().uid();
    if own != 0 {
        eprintln!("skipped: only the superuser can give a repository to somebody else");
        return;
    }
    for path in [desk.work(""), desk.work(".git")] {
        std::os::unix::fs::chown(path, Some(12_345), None).unwrap();
    }
    assert_eq!(desk.refused(&["explain"]), (1, "foreign_repository".into()));
    let top = desk.work("").canonicalize().unwrap();
    let safe = format!("[safe]\n\tdirectory = {}\n", top.display());
    fs::write(desk.path("user/.gitconfig"), safe).unwrap();
    assert_eq!(verdicts(&desk.explained()), one("a", "no_edit"));
    assert_eq!(desk.refused(&["explain", "--repository", "../user"]).1, "no_repository");
}
