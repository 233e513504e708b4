//! Commits beside recorded edits: what is explained, and above all what is not.

use crate::desk::{Desk, file, verdicts};
use serde_json::json;
use std::fs;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn a_file_is_explained_by_an_edit_that_left_its_very_content() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("src/main.rs", "fn main() {}\n");
    desk.write("src/auth.rs", "secret door\n");
    desk.commit("first");
    desk.session("s-1");
    desk.edited(&desk.file_id("src/main.rs"), b"fn main() {}\n");
    let explained = desk.explained();
    assert_eq!(verdicts(&explained), pairs(&[("src/auth.rs", "no_edit"), ("src/main.rs", "yes")]));
    let row = file(&explained, "src/main.rs");
    assert_eq!((&row["session_id"], &row["receipt"]), (&json!("s-1"), &json!("console/2")));
    let said = desk.ok(&["explain"]);
    let first = said.lines().next().unwrap();
    assert_eq!(first, "1 of 2 changed files explained · 1 unexplained: src/auth.rs");
    assert_eq!(desk.ok(&["console", "explain", "HEAD"]), said);
    let code = |words: &[&str]| desk.vm(words).status.code().unwrap();
    assert_eq!((code(&["explain"]), code(&["explain", "--check"])), (0, 3));
    desk.edited(&desk.file_id("src/auth.rs"), b"secret door\n");
    assert_eq!(code(&["explain", "--check"]), 0);
}

#[test]
fn neither_other_content_nor_the_same_content_elsewhere_explains_a_file() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("good", "the same\n");
    desk.write("bad", "the same\n");
    desk.write("evil", "what is committed\n");
    desk.commit("first");
    desk.session("s-1");
    desk.edited(&desk.file_id("good"), b"the same\n");
    desk.edited(&desk.file_id("evil"), b"what was edited\n");
    let want = [("bad", "no_edit"), ("evil", "other_content"), ("good", "yes")];
    assert_eq!(verdicts(&desk.explained()), pairs(&want));
}

#[test]
fn a_secret_in_a_file_is_matched_by_its_keyed_digest_too() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write(".env", "TOKEN=x\n");
    desk.commit("first");
    desk.session("s-1");
    let id = desk.file_id(".env");
    // Content that is written down under the other form does not explain: only this home can make it.
    let forged = format!("keyed:{}", blake3::hash(b"TOKEN=x\n").to_hex());
    desk.edit(json!({"file_id": id, "edit_type": "modify", "new_hash": forged}));
    assert_eq!(verdicts(&desk.explained()), pairs(&[(".env", "other_content")]));
}

#[test]
fn a_rename_is_explained_where_somebody_recorded_it() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("old", "content\n");
    desk.commit("first");
    let old = desk.file_id("old");
    desk.session("s-1");
    desk.edited(&old, b"content\n");
    desk.git(&["mv", "old", "new"]);
    desk.commit("second");
    let explained = desk.explained();
    assert_eq!(verdicts(&explained), pairs(&[("new", "moved")]));
    assert_eq!(file(&explained, "new")["previous_path"], "old");
    let new = desk.file_id("new");
    desk.edit(json!({"file_id": new, "edit_type": "rename", "previous_file_id": old}));
    assert_eq!(verdicts(&desk.explained()), pairs(&[("new", "yes")]));
}

#[test]
fn a_deletion_is_explained_by_a_last_edit_that_removed_the_file() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("a", "1\n");
    desk.commit("first");
    let id = desk.file_id("a");
    desk.session("s-1");
    desk.edited(&id, b"1\n");
    fs::remove_file(desk.work("a")).unwrap();
    desk.commit("second");
    assert_eq!(verdicts(&desk.explained()), pairs(&[("a", "deleted")]));
    desk.edit(json!({"file_id": id, "edit_type": "delete"}));
    assert_eq!(verdicts(&desk.explained()), pairs(&[("a", "yes")]));
}

#[test]
fn what_is_no_content_of_a_file_is_never_explained() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("run.sh", "echo\n");
    desk.commit("first");
    desk.session("s-1");
    desk.edited(&desk.file_id("run.sh"), b"echo\n");
    desk.git(&["update-index", "--chmod=+x", "run.sh"]);
    std::os::unix::fs::symlink("run.sh", desk.work("link")).unwrap();
    desk.git(&["add", "link"]);
    desk.git(&["commit", "-q", "-m", "second"]);
    desk.edited(&desk.file_id("link"), b"run.sh");
    let explained = desk.explained();
    assert_eq!(verdicts(&explained), pairs(&[("link", "symlink"), ("run.sh", "mode_only")]));
    assert_eq!(file(&explained, "run.sh")["modes"], json!(["100644", "100755"]));
    assert_eq!(
        (&explained["files_explained"], &explained["files_not_examined"]),
        (&json!(0), &json!(2))
    );
    assert_eq!(desk.vm(&["explain", "--check"]).status.code(), Some(3));
}

#[test]
fn a_commit_without_changes_and_a_first_commit_are_commits_like_others() {
    let Some(desk) = Desk::with_git() else { return };
    let (code, why) = desk.refused(&["explain"]);
    assert_eq!((code, why.as_str()), (1, "unknown_revision"), "a branch without commits");
    desk.write("a", "1\n");
    desk.commit("first");
    assert_eq!(verdicts(&desk.explained()), pairs(&[("a", "no_edit")]));
    desk.commit("nothing");
    assert_eq!(desk.ok(&["explain", "--check"]).lines().next(), Some("no file changed"));
    let receipt = desk.json(&["console", "commit"]);
    assert_eq!(receipt["receipts"][0]["line"]["body"]["files_changed"], 0);
    for bad in ["nope", "HEAD~7", "HEAD^2", "HEAD@{1}", "", "HEAD:a", "main..main"] {
        assert_eq!(desk.refused(&["explain", bad]).1, "unknown_revision", "{bad}");
    }
    for good in ["HEAD~1", "main", "@", "HEAD^"] {
        assert!(desk.vm(&["explain", good]).status.success(), "{good}");
    }
}

#[test]
fn a_merge_changes_what_no_parent_has() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("shared", "1\n2\n3\n");
    desk.commit("first");
    desk.git(&["checkout", "-q", "-b", "side"]);
    desk.write("theirs", "t\n");
    desk.write("shared", "one\n2\n3\n");
    desk.commit("side");
    desk.git(&["checkout", "-q", "main"]);
    desk.write("ours", "o\n");
    desk.write("shared", "1\n2\nthree\n");
    desk.commit("main");
    desk.git(&["merge", "-q", "--no-edit", "side"]);
    desk.write("evil", "slipped in\n");
    desk.git(&["add", "-A"]);
    desk.git(&["commit", "-q", "--amend", "--no-edit"]);
    let want = [("evil", "no_edit"), ("shared", "no_edit")];
    assert_eq!(verdicts(&desk.explained()), pairs(&want));
}

#[test]
fn line_ends_count_as_the_same_only_where_git_changes_them() {
    let Some(desk) = Desk::with_git() else { return };
    desk.session("s-1");
    desk.write("a.txt", "one\ntwo\n");
    desk.commit("as it is");
    desk.edited(&desk.file_id("a.txt"), b"one\r\ntwo\r\n");
    assert_eq!(verdicts(&desk.explained()), pairs(&[("a.txt", "other_content")]));
    desk.write(".gitattributes", "*.txt text eol=crlf\n");
    desk.write("b.txt", "three\r\n");
    desk.commit("as git has it");
    desk.edited(&desk.file_id("b.txt"), b"three\r\n");
    let explained = desk.explained();
    assert_eq!(verdicts(&explained), pairs(&[(".gitattributes", "no_edit"), ("b.txt", "yes")]));
    assert_eq!(file(&explained, "b.txt")["line_ends"], "crlf");
    assert!(desk.ok(&["explain"]).contains("edited with CRLF line ends"));
}

#[test]
fn each_commit_has_one_receipt_and_an_amended_one_is_another_commit() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("a", "1\n");
    desk.commit("first");
    desk.session("s-1");
    desk.edited(&desk.file_id("a"), b"1\n");
    let first = desk.json(&["console", "commit"]);
    let body = &first["receipts"][0]["line"]["body"];
    assert_eq!((&body["files_explained"], &body["files_changed"]), (&json!(1), &json!(1)));
    assert_eq!(
        (&body["explained_ratio_bp"], &body["session_ids"]),
        (&json!(10_000), &json!(["s-1"]))
    );
    // The same again, and even after more is known, is the same receipt.
    desk.edited(&desk.file_id("a"), b"2\n");
    let again = desk.json(&["console", "commit"]);
    assert_eq!((&again["existing"], &again["receipt"]), (&json!(true), &json!("console/3")));
    assert_eq!(desk.ok(&["console", "commit", "--quiet"]), "");
    desk.write("a", "evil\n");
    desk.git(&["add", "-A"]);
    desk.git(&["commit", "-q", "--amend", "-m", "first"]);
    let amended = desk.json(&["console", "commit"]);
    let body = &amended["receipts"][0]["line"]["body"];
    assert_eq!((&body["files_explained"], &body["files_unexplained"]), (&json!(0), &json!(1)));
    assert_ne!(body["commit_hash"], first["receipts"][0]["line"]["body"]["commit_hash"]);
    let list = desk.json(&["console", "query", "type=console_git_commit"]);
    assert_eq!(list["receipts"].as_array().map(Vec::len), Some(2), "{list}");
}

#[test]
fn blame_says_who_left_what_is_there_now() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("src/a", "2\n");
    desk.commit("first");
    desk.session("s-1");
    let id = desk.file_id("src/a");
    desk.edited(&id, b"1\n");
    desk.edited(&id, b"2\n");
    desk.edited(&id, b"3\n");
    let blamed = desk.json(&["console", "blame", "src/a"]);
    assert_eq!(
        (&blamed["current"]["seq"], blamed["edits"].as_array().unwrap().len()),
        (&json!(3), 3)
    );
    assert_eq!(blamed["edits"][0]["seq"], 4);
    let said = desk.ok(&["console", "blame", "src/a"]);
    assert!(said.starts_with("src/a  as it is now by toy in s-1, console/3"), "{said}");
    desk.write("src/a", "nobody's\n");
    assert!(desk.ok(&["console", "blame", "src/a"]).contains("nobody who is recorded"));
    fs::remove_dir_all(desk.work("src")).unwrap();
    assert!(desk.ok(&["console", "blame", "src/a"]).contains("is not there"));
    assert_eq!(desk.refused(&["console", "blame", "../user/x"]).1, "no_repository");
}

#[test]
fn the_owner_of_the_home_sees_what_the_client_sees() {
    let Some(desk) = Desk::with_git() else { return };
    desk.write("sub/a", "1\n");
    desk.commit("first");
    desk.session("s-1");
    desk.edited(&desk.file_id("sub/a"), b"1\n");
    let alone = desk.ok(&["explain", "--check"]);
    let served = desk.serve();
    let mut elsewhere = desk.program();
    let output = elsewhere
        .current_dir(desk.work("sub"))
        .env("GIT_DIR", "/nowhere")
        .args(["explain"])
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), alone, "{output:?}");
    assert!(desk.ok(&["console", "commit"]).starts_with("committed"));
    assert!(desk.ok(&["console", "blame", "sub/a"]).contains("as it is now by toy"));
    drop(served);
}
