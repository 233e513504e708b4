//! What hooks record, with an owner and without one, and when nobody can write.

use crate::hook_place::{Place, body, event};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use vm_ledger::lock::Lock;

fn bash(name: &str, call: &str, command: &str) -> Value {
    event(name, call, "Bash", json!({"command": command}))
}

fn calls(place: &Place) -> Vec<String> {
    let receipts = place.receipts("console_command");
    receipts.iter().map(|r| body(r)["call_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_call_and_its_result_are_two_receipts_after_a_start_that_nobody_told() {
    let place = Place::new();
    place.hook(&bash("PreToolUse", "c-1", "ls -l"));
    place.hook(&bash("PostToolUse", "c-1", "ls -l"));
    let starts = place.receipts("console_session_start");
    assert_eq!(starts.len(), 1);
    assert_eq!(body(&starts[0])["mode"], "record");
    assert_eq!(body(&starts[0])["isolation"], "same_user");
    assert_eq!(body(&starts[0])["agent_type"], "claude-code");
    let commands = place.receipts("console_command");
    let phases: Vec<&Value> = commands.iter().map(|c| &body(c)["phase"]).collect();
    assert_eq!(phases, ["call", "result"]);
    assert!(!place.holds("ls -l"), "a command is private");
}

#[test]
fn an_edit_is_known_by_what_is_in_the_file_before_and_after() {
    let place = Place::new();
    let path = place.write("work/src/a.rs", "fn a() {}\n");
    fs::create_dir(place.path("work/.git")).unwrap();
    let input = json!({"file_path": path, "content": "a lie"});
    place.hook(&event("PreToolUse", "c-1", "Write", input.clone()));
    fs::write(&path, "fn b() {}\n").unwrap();
    place.hook(&event("PostToolUse", "c-1", "Write", input));
    let edits = place.receipts("console_file_edit");
    assert_eq!(edits.len(), 1);
    let hash = |text: &str| format!("blake3:{}", blake3(text));
    let edit = body(&edits[0]);
    assert_eq!(edit["old_hash"], hash("fn a() {}\n"));
    assert_eq!(edit["new_hash"], hash("fn b() {}\n"));
    assert_eq!((&edit["edit_type"], &edit["external_change"]), (&"modify".into(), &false.into()));
    let input = json!({"file_path": place.path("work/new.rs"), "content": "x"});
    place.hook(&event("PreToolUse", "c-2", "Write", input.clone()));
    place.write("work/new.rs", "x");
    place.hook(&event("PostToolUse", "c-2", "Write", input.clone()));
    place.hook(&event("PreToolUse", "c-3", "Write", input.clone()));
    place.hook(&event("PostToolUse", "c-3", "Write", input));
    let edits = place.receipts("console_file_edit");
    assert_eq!(edits.len(), 2, "a file that stayed as it was is no edit");
    assert_eq!(body(&edits[1])["edit_type"], "create");
    assert_eq!(fs::read_dir(place.home().join("before")).unwrap().count(), 0);
}

#[test]
fn what_is_in_a_file_after_an_edit_that_failed_is_nobodys_edit() {
    let place = Place::new();
    let path = place.write("work/a", "one");
    let input = json!({"file_path": path, "old_string": "x", "new_string": "y"});
    let failed = |call: &str, name: &str, response: Value| {
        place.hook(&event("PreToolUse", call, "Edit", input.clone()));
        // Somebody else is faster.
        place.write("work/a", &format!("not the agent's {call}"));
        let mut event = event(name, call, "Edit", input.clone());
        event["tool_response"] = response;
        place.hook(&event);
    };
    failed("c-1", "PostToolUse", json!({"is_error": true}));
    failed("c-2", "PostToolUseFailure", json!({"error": "no such text"}));
    place.hook(&event("PreToolUse", "c-3", "Edit", input.clone()));
    fs::remove_file(&path).unwrap();
    let mut gone = event("PostToolUse", "c-3", "Edit", input.clone());
    gone["tool_response"] = json!({"success": false});
    place.hook(&gone);
    assert_eq!(place.receipts("console_file_edit").len(), 0);
    assert_eq!(place.receipts("console_tool_call").len(), 6);
}

#[test]
fn an_event_that_never_ends_lets_pass_and_leaves_a_gap() {
    let place = Place::new();
    place.ok(&["console", "spool"]);
    let mut command = place.command(env!("CARGO_BIN_EXE_vm"));
    command.args(["console", "hook"]).stdin(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _open = child.stdin.take();
    assert!(child.wait().unwrap().success());
    place.ok(&["console", "spool"]);
    let gaps = place.receipts("console_gap");
    assert_eq!((gaps.len(), &body(&gaps[0])["reason"]), (1, &"deadline".into()));
}

#[test]
fn a_hook_takes_in_a_part_of_a_long_spool_and_whoever_asks_the_rest() {
    let place = Place::new();
    place.hook(&bash("PreToolUse", "c-1", "one"));
    let lock = Lock::acquire(&place.home(), Duration::ZERO).unwrap();
    place.hook(&bash("PostToolUse", "c-1", "one"));
    drop(lock);
    let spool = place.home().join("spool/s-1.jsonl");
    let line = fs::read(&spool).unwrap();
    fs::write(&spool, line.repeat(400)).unwrap();
    place.hook(&bash("PreToolUse", "c-2", "two"));
    assert_eq!(calls(&place), ["c-1", "c-1", "c-2"]);
    let left = |text: String| text.lines().filter(|line| !line.is_empty()).count();
    let waiting = left(fs::read_to_string(&spool).unwrap());
    assert!((144..400).contains(&waiting), "{waiting}");
    place.ok(&["console", "spool"]);
    assert!(!spool.exists());
    assert_eq!(calls(&place), ["c-1", "c-1", "c-2"]);
}

fn blake3(text: &str) -> String {
    let digest = vm_receipts::Blake3::of(text.as_bytes()).to_string();
    digest.rsplit(':').next().unwrap().to_owned()
}

fn fifty(place: &Place) {
    // A home that never kept anything has no key to close the spool with; whatever is installed makes one.
    place.ok(&["console", "spool"]);
    let started: Vec<_> = (0..50)
        .map(|n| bash("PreToolUse", &format!("c-{n}"), &format!("echo {n}")).to_string())
        .map(|event| place.start(&["console", "hook"], event.as_bytes()))
        .collect();
    for child in started {
        let said = child.wait_with_output().unwrap();
        assert!(said.status.success() && said.stdout.is_empty(), "{said:?}");
    }
    // Those that found nobody to write wait in the spool.
    place.ok(&["console", "spool"]);
    let calls = calls(place);
    let each: BTreeSet<&String> = calls.iter().collect();
    assert_eq!((calls.len(), each.len()), (50, 50));
    assert_eq!(place.receipts("console_session_start").len(), 1);
}

#[test]
fn fifty_hooks_at_once_are_recorded_once_each_by_an_owner() {
    let place = Place::new();
    let _served = place.serve();
    fifty(&place);
}

#[test]
fn fifty_hooks_at_once_are_recorded_once_each_without_an_owner() {
    let place = Place::new();
    fifty(&place);
}

#[test]
fn a_session_goes_on_when_its_owner_is_killed() {
    let place = Place::new();
    let served = place.serve();
    place.hook(&bash("PreToolUse", "c-1", "one"));
    drop(served);
    place.hook(&bash("PostToolUse", "c-1", "one"));
    let _served = place.serve();
    place.hook(&bash("PreToolUse", "c-2", "two"));
    assert_eq!(calls(&place), ["c-1", "c-1", "c-2"]);
    place.ok(&["fsck"]);
}

#[test]
fn what_nobody_could_write_is_taken_in_later_and_leaves_a_gap() {
    let place = Place::new();
    place.hook(&bash("PreToolUse", "c-1", "before"));
    let lock = Lock::acquire(&place.home(), Duration::ZERO).unwrap();
    place.hook(&bash("PostToolUse", "c-1", "before"));
    place.hook(&bash("PreToolUse", "c-2", "cat the-secret-plan"));
    let spool = place.home().join("spool");
    assert_eq!(fs::metadata(&spool).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!place.holds("the-secret-plan"), "what waits is closed");
    // A crash in the middle of a write.
    let file = fs::read_dir(&spool).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend_from_slice(b"{\"v\":1,\"box\":\"00");
    fs::write(&file, bytes).unwrap();
    drop(lock);
    place.hook(&bash("PostToolUse", "c-2", "cat the-secret-plan"));
    assert_eq!(calls(&place), ["c-1", "c-1", "c-2", "c-2"]);
    let commands = place.receipts("console_command");
    let by: Vec<&Value> = commands.iter().map(|c| &body(c)["observed_by"]).collect();
    assert_eq!(by, ["hook", "spool", "spool", "hook"]);
    let gaps = place.receipts("console_gap");
    let told: Vec<(&Value, &Value)> =
        gaps.iter().map(|g| (&body(g)["reason"], &body(g)["events"])).collect();
    assert_eq!(told, [(&"no_owner".into(), &2.into()), (&"malformed".into(), &1.into())]);
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 0);
}

#[test]
fn whoever_serves_the_home_takes_the_spool_in_first() {
    let place = Place::new();
    place.ok(&["console", "spool"]);
    let lock = Lock::acquire(&place.home(), Duration::ZERO).unwrap();
    place.hook(&bash("PreToolUse", "c-1", "one"));
    drop(lock);
    let _served = place.serve();
    assert_eq!(calls(&place), ["c-1"]);
    assert_eq!(place.receipts("console_gap").len(), 1);
}

#[test]
fn an_event_that_does_not_read_lets_pass_and_leaves_a_gap() {
    let place = Place::new();
    place.ok(&["console", "spool"]);
    for bad in [&b""[..], b"{", b"\xff\xfe", b"[]", b"{\"session_id\": 7}"] {
        let said = place.fed(&["console", "hook"], bad);
        assert!(said.status.success() && said.stdout.is_empty(), "{said:?}");
    }
    place.ok(&["console", "spool"]);
    let gaps = place.receipts("console_gap");
    let events: u64 = gaps.iter().map(|g| body(g)["events"].as_u64().unwrap()).sum();
    assert_eq!(events, 5);
    assert!(gaps.iter().all(|g| body(g)["reason"] == "malformed"));
}

#[test]
fn a_hook_that_finds_no_home_or_has_odd_words_lets_pass() {
    let place = Place::new();
    for words in [
        &["--home", "/no/such/home", "console", "hook"][..],
        &["console", "hook", "--agent", "unheard-of"],
        &["console", "hook", "--no-such-flag"],
    ] {
        let said = place.fed(words, bash("PreToolUse", "c", "x").to_string().as_bytes());
        assert!(said.status.success() && said.stdout.is_empty(), "{words:?} {said:?}");
    }
}

#[test]
fn an_ended_session_that_goes_on_is_started_again() {
    let place = Place::new();
    place.hook(&bash("PreToolUse", "c-1", "one"));
    place.hook(&json!({"session_id": "s-1", "hook_event_name": "SessionEnd", "reason": "clear"}));
    place.hook(&bash("PreToolUse", "c-2", "two"));
    let starts = place.receipts("console_session_start");
    let resumed: Vec<&Value> = starts.iter().map(|s| &body(s)["resumed"]).collect();
    assert_eq!(resumed, [&Value::Null, &true.into()]);
    assert_eq!(calls(&place), ["c-1", "c-2"]);
}

#[test]
fn a_result_without_a_beginning_is_recorded_whole() {
    let place = Place::new();
    place.hook(&bash("PostToolUse", "c-1", "one"));
    let commands = place.receipts("console_command");
    assert_eq!(body(&commands[0])["phase"], "whole");
    // What comes late after all changes nothing.
    place.hook(&bash("PreToolUse", "c-1", "one"));
    assert_eq!(calls(&place), ["c-1"]);
}

#[test]
fn the_same_call_of_an_agent_that_gives_no_ids_is_recorded_each_time() {
    let place = Place::new();
    for name in ["BeforeTool", "AfterTool", "BeforeTool", "AfterTool"] {
        let event = json!({
            "session_id": "s-1", "hook_event_name": name, "tool_name": "run_shell_command",
            "tool_input": {"command": "ls"}, "tool_response": {"stdout": ""},
        });
        place.hook(&event);
    }
    let ids = calls(&place);
    assert_eq!(ids.len(), 4);
    assert!(ids[0] == ids[1] && ids[2] == ids[3] && ids[0] != ids[2], "{ids:?}");
}

#[test]
fn an_agent_that_another_one_starts_is_a_session_below_it() {
    let place = Place::new();
    place.hook(&bash("PreToolUse", "c-1", "one"));
    for name in ["SubagentStart", "SubagentStop"] {
        place.hook(&json!({
            "session_id": "s-1", "hook_event_name": name, "agent_id": "a7", "agent_type": "explore",
        }));
    }
    let spawns = place.receipts("console_agent_spawn");
    assert_eq!(spawns.len(), 1);
    assert_eq!(body(&spawns[0])["parent_session_id"], "s-1");
    assert_eq!(place.receipts("console_session_end").len(), 1);
}

#[test]
fn a_secret_in_an_event_is_in_no_receipt_opened_or_not_and_in_no_spool() {
    let place = Place::new();
    let secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let command = format!("curl -H 'Authorization: token {secret}' https://example.org");
    place.hook(&bash("PreToolUse", "c-1", &command));
    let lock = Lock::acquire(&place.home(), Duration::ZERO).unwrap();
    place.hook(&bash("PostToolUse", "c-1", &command));
    drop(lock);
    place.hook(&bash("PreToolUse", secret, "ls"));
    let opened = place.ok(&["console", "query", "--private", "--json"]);
    assert!(opened.contains("[redacted:"), "{opened}");
    assert!(!opened.contains(secret) && !place.holds(secret), "{opened}");
    assert_eq!(calls(&place).len(), 3);
}
