//! What is installed, and that it goes again without a trace.

use crate::hook_place::{Place, body};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::Duration;
use vm_ledger::lock::Lock;

const LIVED: &str = "{\n\t// mine\n\t\"env\": {\"TOKEN\": \"the-services-key\"},\n\t\"hooks\": {\n\t\t\"PreToolUse\": [{\"matcher\": \"Bash\", \"hooks\": [{\"type\": \"command\", \"command\": \"./mine.sh\"}]}]\n\t},\n}\n";

#[test]
fn what_is_installed_goes_again_byte_for_byte() {
    for (agent, file) in [
        ("claude", ".claude/settings.json"),
        ("codex", ".codex/hooks.json"),
        ("gemini", ".gemini/settings.json"),
        ("cursor", ".cursor/hooks.json"),
    ] {
        for before in [None, Some(LIVED)] {
            let place = Place::new();
            let path = place.path("user").join(file);
            if let Some(text) = before {
                place.write(&format!("user/{file}"), text);
                fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            }
            let said = place.ok(&["console", "install", agent]);
            assert!(said.contains("+") && said.contains("console hook --agent"), "{said}");
            let once = fs::read(&path).unwrap();
            assert!(place.ok(&["console", "install", agent]).contains("nothing to change"));
            place.ok(&["console", "install", agent, "--guard", "--dry-run"]);
            assert_eq!(fs::read(&path).unwrap(), once, "{agent}");
            assert!(!place.holds("the-services-key"), "what is kept of settings is closed");
            place.ok(&["console", "uninstall", agent]);
            match before {
                None => assert!(!path.exists(), "{agent}"),
                Some(text) => {
                    assert_eq!(fs::read_to_string(&path).unwrap(), text, "{agent}");
                    let mode = fs::metadata(&path).unwrap().permissions().mode();
                    assert_eq!(mode & 0o777, 0o640, "{agent}");
                }
            }
            let receipts = place.receipts("console_install");
            let actions: Vec<&Value> = receipts.iter().map(|r| &body(r)["action"]).collect();
            assert_eq!(actions, ["installed", "removed"], "{agent}");
        }
    }
}

#[test]
fn what_others_wrote_since_stays() {
    let place = Place::new();
    let path = place.write("user/.claude/settings.json", LIVED);
    place.ok(&["console", "install", "claude"]);
    let edited = fs::read_to_string(&path).unwrap().replace("// mine", "// mine, newer");
    fs::write(&path, &edited).unwrap();
    place.ok(&["console", "uninstall", "claude"]);
    let left = fs::read_to_string(&path).unwrap();
    assert!(left.contains("// mine, newer") && left.contains("./mine.sh"), "{left}");
    assert!(!left.contains("console hook"), "{left}");
}

#[test]
fn whatever_was_edited_between_two_installs_nothing_of_ours_stays_and_all_of_theirs() {
    let mark = "\"./theirs.sh\"";
    for (agent, file, event) in [
        ("claude", ".claude/settings.json", "PostToolUse"),
        ("codex", ".codex/hooks.json", "PostToolUse"),
        ("gemini", ".gemini/settings.json", "AfterTool"),
        ("cursor", ".cursor/hooks.json", "postToolUse"),
    ] {
        for (before, first) in
            [(None, true), (Some(LIVED), true), (None, false), (Some(LIVED), false)]
        {
            let place = Place::new();
            let path = place.path("user").join(file);
            if let Some(text) = before {
                place.write(&format!("user/{file}"), text);
            }
            let words = |guard: bool| {
                let mut words = vec!["console", "install", agent];
                words.extend(guard.then_some("--guard"));
                words
            };
            place.ok(&words(first));
            let theirs = match agent {
                "cursor" => format!("{{\"command\": {mark}}},"),
                _ => format!("{{\"hooks\": [{{\"type\": \"command\", \"command\": {mark}}}]}},"),
            };
            let text = fs::read_to_string(&path).unwrap();
            let at = text.find(&format!("\"{event}\"")).unwrap();
            let at = at + text[at..].find('[').unwrap() + 1;
            fs::write(&path, format!("{}{theirs}{}", &text[..at], &text[at..])).unwrap();
            place.ok(&words(!first));
            place.ok(&["console", "uninstall", agent]);
            let left = fs::read_to_string(&path).unwrap();
            assert!(left.contains(mark) && !left.contains("console hook"), "{agent} {left}");
            assert_eq!(left.contains("// mine"), before.is_some(), "{agent} {left}");
        }
    }
}

#[test]
fn the_doctor_runs_no_line_that_install_would_not_write() {
    let place = Place::new();
    place.ok(&["console", "install", "claude"]);
    let path = place.path("user/.claude/settings.json");
    let text = fs::read_to_string(&path).unwrap();
    let program = env!("CARGO_BIN_EXE_vm");
    let mark = place.path("ran");
    let lines = text.replace(program, &format!("touch {}; {program}", mark.display()));
    fs::write(&path, &lines).unwrap();
    let said = place.vm(&["console", "doctor"]);
    let told = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.status.code(), Some(1), "{told}");
    assert!(told.contains("not tried") && !mark.exists(), "{told}");
    let said = place.vm(&["console", "uninstall", "claude"]);
    assert!(String::from_utf8(said.stderr).unwrap().contains("left as it is"));
    assert_eq!(fs::read_to_string(&path).unwrap(), lines);
}

#[test]
fn settings_behind_a_link_are_changed_where_they_are() {
    let place = Place::new();
    let real = place.write("dotfiles/claude.json", "{}\n");
    fs::create_dir(place.path("user/.claude")).unwrap();
    let link = place.path("user/.claude/settings.json");
    symlink(&real, &link).unwrap();
    place.ok(&["console", "install", "claude"]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("console hook"));
    place.ok(&["console", "uninstall", "claude"]);
    assert_eq!(fs::read_to_string(&real).unwrap(), "{}\n");
}

#[test]
fn settings_that_do_not_read_are_left_alone() {
    let place = Place::new();
    let path = place.write("user/.claude/settings.json", "{ not json");
    let said = place.vm(&["console", "install", "claude", "--json"]);
    let error: Value = serde_json::from_slice(&said.stderr).unwrap();
    assert_eq!(error["code"], "settings_unreadable");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{ not json");
}

#[test]
fn the_installed_line_works_and_the_doctor_says_so() {
    let place = Place::new();
    place.ok(&["console", "install", "claude", "--guard"]);
    let said = place.vm(&["console", "doctor"]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.success(), "{text}");
    assert!(text.contains("a denial stops the act") && text.contains("isolation"), "{text}");
    let path = place.path("user/.claude/settings.json");
    let broken =
        fs::read_to_string(&path).unwrap().replace(env!("CARGO_BIN_EXE_vm"), "/no/such/vm");
    fs::write(&path, broken).unwrap();
    assert_eq!(place.vm(&["console", "doctor"]).status.code(), Some(1));
}

#[test]
fn the_hook_of_a_repository_keeps_the_one_that_was_there() {
    let Some(place) = with_git() else { return };
    let hooks = place.path("work/.git/hooks");
    let hook = hooks.join("post-commit");
    let own = "#!/bin/sh\necho ran >> ran\n";
    place.write("work/.git/hooks/post-commit", own);
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o750)).unwrap();
    place.ok(&["console", "install", "git"]);
    assert!(place.ok(&["console", "install", "git"]).contains("nothing to change"));
    git(&place, &["commit", "-q", "--allow-empty", "-m", "one"]);
    assert_eq!(fs::read_to_string(place.path("work/ran")).unwrap(), "ran\n");
    place.ok(&["console", "uninstall", "git"]);
    assert_eq!(fs::read_to_string(&hook).unwrap(), own);
    assert_eq!(fs::metadata(&hook).unwrap().permissions().mode() & 0o777, 0o750);
    assert!(!hooks.join("vaultmesh.d").exists());
}

#[test]
fn what_people_add_to_our_hook_survives_another_install() {
    let Some(place) = with_git() else { return };
    place.ok(&["console", "install", "git"]);
    let hook = place.path("work/.git/hooks/post-commit");
    let ours = fs::read_to_string(&hook).unwrap();
    let added = format!("{ours}echo mine >> ran\n");
    fs::write(&hook, added.replace("--within 10", "--within 9")).unwrap();
    place.ok(&["console", "install", "git"]);
    assert_eq!(fs::read_to_string(&hook).unwrap(), added);
    git(&place, &["commit", "-q", "--allow-empty", "-m", "one"]);
    assert_eq!(fs::read_to_string(place.path("work/ran")).unwrap(), "mine\n");
    place.ok(&["console", "uninstall", "git"]);
    assert_eq!(fs::read_to_string(&hook).unwrap(), "#!/bin/sh\necho mine >> ran\n");
}

#[test]
fn a_linked_hook_stays_a_link_and_its_script_is_not_written() {
    let Some(place) = with_git() else { return };
    let script = "#!/bin/sh\nbasename \"$0\" >> ran\n";
    let tracked = place.write("work/scripts/dispatch.sh", script);
    fs::set_permissions(&tracked, fs::Permissions::from_mode(0o755)).unwrap();
    let hooks = place.path("work/.git/hooks");
    fs::create_dir_all(&hooks).unwrap();
    for target in ["../../scripts/dispatch.sh", tracked.to_str().unwrap()] {
        let ran = place.path("work/ran");
        let _ = fs::remove_file(&ran);
        symlink(target, hooks.join("post-commit")).unwrap();
        place.ok(&["console", "install", "git"]);
        assert!(place.ok(&["console", "install", "git"]).contains("nothing to change"));
        git(&place, &["commit", "-q", "--allow-empty", "-m", "one"]);
        assert_eq!(fs::read_to_string(&ran).unwrap(), "post-commit\n");
        assert_eq!(place.receipts("console_git_commit").len(), 1, "{target}");
        place.ok(&["console", "uninstall", "git"]);
        assert_eq!(fs::read_link(hooks.join("post-commit")).unwrap().to_str(), Some(target));
        assert_eq!(fs::read_to_string(&tracked).unwrap(), script);
        assert!(!hooks.join("vaultmesh.d").exists());
        fs::remove_file(hooks.join("post-commit")).unwrap();
        git(&place, &["update-ref", "-d", "HEAD"]);
        fs::remove_dir_all(place.home()).unwrap();
        place.ok(&["init", "--node", "n1"]);
    }
}

#[test]
fn a_script_that_looks_beside_itself_finds_what_stood_there() {
    let Some(place) = with_git() else { return };
    let hook = place
        .write("work/.git/hooks/post-commit", "#!/usr/bin/env sh\n. \"$(dirname \"$0\")/h\"\n");
    place.write("work/.git/hooks/h", "basename \"$0\" >> ran\nexit 3\n");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    place.ok(&["console", "install", "git"]);
    git(&place, &["commit", "-q", "--allow-empty", "-m", "one"]);
    assert_eq!(fs::read_to_string(place.path("work/ran")).unwrap(), "post-commit\n");
    assert_eq!(place.receipts("console_git_commit").len(), 1);
}

#[test]
fn a_commit_does_not_wait_for_its_record_without_end() {
    let Some(place) = with_git() else { return };
    git(&place, &["commit", "-q", "--allow-empty", "-m", "one"]);
    let lock = Lock::acquire(&place.home(), Duration::ZERO).unwrap();
    let said = place.vm(&["--wait", "600", "console", "commit", "--quiet", "--within", "1"]);
    assert_eq!(said.status.code(), Some(5), "{said:?}");
    drop(lock);
    place.ok(&["console", "commit", "--quiet", "--within", "600"]);
    assert_eq!(place.receipts("console_git_commit").len(), 1);
}

#[test]
fn a_commit_succeeds_whatever_becomes_of_its_hook() {
    let Some(place) = with_git() else { return };
    place.ok(&["console", "install", "git"]);
    fs::remove_dir_all(place.home()).unwrap();
    git(&place, &["commit", "-q", "--allow-empty", "-m", "one"]);
}

#[test]
fn hooks_that_other_repositories_share_are_not_changed_unasked() {
    let Some(place) = with_git() else { return };
    let shared = place.path("shared");
    git(&place, &["config", "core.hooksPath", shared.to_str().unwrap()]);
    let said = place.vm(&["console", "install", "git", "--json"]);
    let error: Value = serde_json::from_slice(&said.stderr).unwrap();
    assert_eq!(error["code"], "hooks_shared");
    place.ok(&["console", "install", "git", "--user"]);
    assert!(shared.join("post-commit").exists());
    place.ok(&["console", "uninstall", "git", "--user"]);
    assert!(!shared.join("post-commit").exists());
}

fn with_git() -> Option<Place> {
    if !Command::new("git").arg("--version").output().is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: there is no git here");
        return None;
    }
    let place = Place::new();
    git(&place, &["init", "-q", "."]);
    Some(place)
}

fn git(place: &Place, words: &[&str]) {
    let mut command = place.command("git");
    command.args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]);
    let said = command.args(words).output().unwrap();
    assert!(said.status.success(), "{words:?} {said:?}");
}
