//! Hooks that guard: what is denied, or cannot be recorded, does not happen.

use crate::hook_place::{Place, body, event};
use serde_json::json;
use std::time::Duration;
use vm_ledger::lock::Lock;

const GUARD: [&str; 4] = ["console", "hook", "--mode", "guard"];
const CANARY: &str = "vm-canary-that-no-agent-runs";

#[test]
fn a_denied_act_is_stopped_for_every_agent_and_recorded_first() {
    for agent in ["claude", "codex", "gemini", "cursor"] {
        let place = Place::new();
        let name = if agent == "gemini" { "BeforeTool" } else { "PreToolUse" };
        let denied = event(name, "c-1", "Bash", json!({"command": CANARY})).to_string();
        let words = [&GUARD[..], &["--agent", agent]].concat();
        let said = place.fed(&words, denied.as_bytes());
        assert_eq!(said.status.code(), Some(2), "{agent} {said:?}");
        let told = String::from_utf8(said.stderr).unwrap();
        assert_eq!(told.lines().count(), 1, "{agent} {told}");
        let commands = place.receipts("console_command");
        let kept = body(&commands[0]);
        assert_eq!((&kept["denied"], &kept["verdict"]), (&true.into(), &"deny".into()), "{agent}");
        let free = event(name, "c-2", "Bash", json!({"command": "ls"})).to_string();
        assert_eq!(place.fed(&words, free.as_bytes()).status.code(), Some(0), "{agent}");
    }
}

#[test]
fn what_cannot_be_read_or_recorded_is_stopped_with_one_line() {
    let place = Place::new();
    for bad in [&b""[..], b"{", b"{}"] {
        let said = place.fed(&GUARD, bad);
        assert_eq!(said.status.code(), Some(2), "{said:?}");
        assert_eq!(String::from_utf8(said.stderr).unwrap().lines().count(), 1);
    }
    let words = ["--home", "/no/such/home", "console", "hook", "--mode", "guard"];
    assert_eq!(place.fed(&words, b"{}").status.code(), Some(2));
    let words = [&GUARD[..], &["--no-such-flag"]].concat();
    assert_eq!(place.fed(&words, b"{}").status.code(), Some(2));
}

#[test]
fn an_act_that_nobody_can_record_does_not_happen() {
    let place = Place::new();
    let _lock = Lock::acquire(&place.home(), Duration::ZERO).unwrap();
    let free = event("PreToolUse", "c-1", "Bash", json!({"command": "ls"})).to_string();
    let said = place.fed(&GUARD, free.as_bytes());
    assert_eq!(said.status.code(), Some(2), "{said:?}");
    assert!(!place.home().join("spool").exists(), "a guard does not put off");
}

#[test]
fn an_act_that_does_not_say_what_it_is_does_not_happen() {
    let place = Place::new();
    let no_tool = json!({"session_id": "s-1", "hook_event_name": "PreToolUse", "tool_use_id": "c"});
    for unsaid in [
        no_tool,
        event("PreToolUse", "c", "Bash", json!({"command": 7})),
        event("PreToolUse", "c", "Bash", json!({"cmdline": "rm -rf /"})),
        event("PreToolUse", "c", "shell", json!({"command": ["sh", {"x": 1}]})),
        event("PreToolUse", "c", "Write", json!({"content": "x"})),
        event("PreToolUse", "c", "apply_patch", json!({"input": "no patch"})),
    ] {
        let said = place.fed(&GUARD, unsaid.to_string().as_bytes());
        assert_eq!(said.status.code(), Some(2), "{unsaid} {said:?}");
        assert_eq!(String::from_utf8(said.stderr).unwrap().lines().count(), 1);
    }
    for said in [
        event("PreToolUse", "c-1", "mcp__x__y", json!({})),
        event("PreToolUse", "c-2", "str_replace_based_edit_tool", json!({"command": "view"})),
    ] {
        assert_eq!(place.fed(&GUARD, said.to_string().as_bytes()).status.code(), Some(0), "{said}");
    }
}

#[test]
fn what_a_rule_asks_for_goes_ahead_once_another_person_approved_that_very_act() {
    let place = Place::new();
    let act = |name: &str, call: &str, command: &str| {
        let event = event(name, call, "Bash", json!({"command": command}));
        place.fed(&GUARD, event.to_string().as_bytes())
    };
    let is_asked = |said: &std::process::Output| {
        let told: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap_or_default();
        told["hookSpecificOutput"]["permissionDecision"] == "ask"
    };
    assert!(is_asked(&act("PreToolUse", "c-1", "terraform apply")));
    let asked = place.receipts("console_approval");
    assert_eq!(body(&asked[0])["rule"], "infrastructure");
    let approval = body(&asked[0])["approval_id"].as_str().unwrap();
    let key = place.path("ann.pem").display().to_string();
    place.ok(&["actor", "new", &key]);
    let words = ["console", "approval", "--session-id", "s-1", "--approval-id", approval];
    let rest = ["--phase", "decided", "--approved", "--observed-by", "person", "--actor-key", &key];
    place.ok(&[&words[..], &rest].concat());
    let said = act("PreToolUse", "c-2", "terraform apply");
    assert!(said.status.success() && said.stdout.is_empty(), "{said:?}");
    act("PostToolUse", "c-2", "terraform apply");
    // Leave for one act is none for another one by the same rule, and the engine sees it for itself.
    assert!(is_asked(&act("PreToolUse", "c-3", "terraform destroy")));
    assert_eq!(place.receipts("console_policy_violation").len(), 0);
    act("PostToolUse", "c-3", "terraform destroy");
    assert_eq!(place.receipts("console_policy_violation").len(), 1);
    let commands = place.receipts("console_command");
    let verdicts: Vec<_> = commands.iter().filter_map(|c| body(c)["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["ask", "ask", "ask"]);
    let said = act("PreToolUse", "c-4", "git push --force");
    assert_eq!(said.status.code(), Some(2));
}
