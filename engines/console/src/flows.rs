//! The rules of the console, one law each.

use serde_json::{Value, json};

use crate::state::State;
use crate::testing::{Bench, KEY, edit, file, hash, project, refused};

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.start("s");
    bench
}

fn command(call: &str, phase: &str) -> Value {
    json!({"session_id": "s", "call_id": call, "phase": phase, "command": "ls", "observed_by": "hook"})
}

fn with(mut intent: Value, changes: Value) -> Value {
    let changes = changes.as_object().unwrap().clone();
    intent.as_object_mut().unwrap().extend(changes);
    intent
}

fn end(session: &str) -> Value {
    json!({"session_id": session, "exit_reason": "done", "observed_by": "hook"})
}

fn counts(state: &State) -> crate::state::Counts {
    state.sessions.get(&"s".to_owned()).unwrap().counts
}

#[test]
fn nothing_happens_in_a_session_that_nobody_started_or_that_has_ended() {
    let mut bench = bench();
    let other = |intent: Value| with(intent, json!({"session_id": "x"}));
    let approval =
        json!({"session_id": "s", "approval_id": "a", "phase": "requested", "observed_by": "hook"});
    let acts = [
        ("command", command("c", "whole")),
        ("tool-call", with(command("t", "whole"), json!({"tool_name": "t", "command": null}))),
        ("file-edit", edit("s", "a", "1")),
        ("approval", approval),
        ("session-end", end("s")),
    ];
    for (verb, mut intent) in acts.clone() {
        intent.as_object_mut().unwrap().retain(|_, v| !v.is_null());
        refused(bench.call(verb, other(intent)), "unknown_session");
    }
    bench.ok("session-end", end("s"));
    for (verb, mut intent) in acts {
        intent.as_object_mut().unwrap().retain(|_, v| !v.is_null());
        refused(bench.call(verb, intent), "session_ended");
    }
    // What is told about the record itself is never too late.
    bench.ok(
        "gap",
        json!({"session_id": "s", "reason": "deadline", "events": 1, "observed_by": "spool"}),
    );
    bench.ok(
        "gap",
        json!({"session_id": "nobody", "reason": "disk", "events": 1, "observed_by": "spool"}),
    );
    assert_eq!(counts(bench.state()).gaps, 1);
}

#[test]
fn a_session_starts_once_and_goes_on_when_it_is_said() {
    let mut bench = bench();
    let start =
        json!({"session_id": "s", "agent_type": "agent", "mode": "record", "observed_by": "hook"});
    refused(bench.call("session-start", start.clone()), "session_exists");
    bench.ok("session-end", end("s"));
    refused(bench.call("session-start", start.clone()), "session_exists");
    bench.ok("session-start", with(start.clone(), json!({"resumed": true, "caller": "local:9"})));
    bench.ok("command", command("c", "whole"));
    let s = bench.state().sessions.get(&"s".to_owned()).unwrap();
    assert_eq!((s.starts, s.ended_ms, s.caller.as_str()), (2, None, "local:1"));
    let unknown = with(start, json!({"session_id": "t", "resumed": true}));
    refused(bench.call("session-start", unknown), "unknown_session");
}

#[test]
fn a_result_answers_one_call_once() {
    let mut bench = bench();
    refused(bench.call("command", command("c", "result")), "unknown_call");
    bench.ok("command", command("c", "call"));
    refused(bench.call("command", command("c", "call")), "call_exists");
    refused(bench.call("command", command("c", "whole")), "call_exists");
    let as_tool = json!({"session_id": "s", "call_id": "c", "phase": "result", "tool_name": "t", "observed_by": "hook"});
    refused(bench.call("tool-call", as_tool), "unknown_call");
    assert_eq!((counts(bench.state()).open, counts(bench.state()).commands), (1, 0));
    bench.ok("command", command("c", "result"));
    refused(bench.call("command", command("c", "result")), "call_answered");
    let now = counts(bench.state());
    assert_eq!((now.open, now.commands, now.calls, now.observed), (0, 1, 1, 1));
    // The same id in another session is another call.
    bench.start("t");
    bench.ok("command", with(command("c", "call"), json!({"session_id": "t"})));
}

#[test]
fn a_denied_call_waits_for_no_result_but_one_that_comes_is_kept_and_told() {
    let mut bench = bench();
    let denied = json!({"denied": true, "verdict": "deny", "rule": "r1"});
    bench.ok("command", with(command("c", "call"), denied));
    let now = counts(bench.state());
    assert_eq!((now.open, now.denied, now.commands), (0, 1, 0));
    let lines = bench.ok("command", command("c", "result"));
    assert_eq!(lines[1].kind, "console_policy_violation");
    assert_eq!((&lines[1].body["rule"], &lines[1].body["what"]), (&json!("r1"), &json!("command")));
    assert_eq!(counts(bench.state()).violations, 1);
}

#[test]
fn what_was_asked_for_needs_leave_that_still_stands() {
    let mut bench = bench();
    let ask = json!({"verdict": "ask", "rule": "r"});
    let run = |bench: &mut Bench, call: &str| {
        bench.ok("command", with(command(call, "result"), json!({}))).len() - 1
    };
    for call in ["a", "b", "c", "d"] {
        bench.ok("command", with(command(call, "call"), ask.clone()));
    }
    let decided = |call: &str, approved: bool, expires: Option<String>| json!({"session_id": "s", "approval_id": format!("for-{call}"), "call_id": call, "phase": "decided", "approved": approved, "approver": "local:2", "expires_at": expires, "observed_by": "person"});
    let decide = |bench: &mut Bench, intent| drop(bench.call_as(2, "approval", intent).unwrap());
    decide(&mut bench, decided("b", true, None));
    decide(&mut bench, decided("c", false, None));
    let soon = bench.at(10);
    decide(&mut bench, decided("d", true, Some(soon)));
    bench.wait_s(11);
    let violations = ["a", "b", "c", "d"].map(|call| run(&mut bench, call));
    assert_eq!(violations, [1, 0, 1, 1], "nobody asked, leave, denied, leave that is over");
    // Leave holds by the ledger's clock: a time that is told could be any.
    bench.ok("command", with(command("e", "call"), ask.clone()));
    let until = bench.at(5);
    decide(&mut bench, decided("e", true, Some(until)));
    bench.wait_s(60);
    let late = with(command("e", "result"), json!({"effective_at": bench.at(-58)}));
    assert_eq!(bench.ok("command", late).len(), 2);
    // Another decision about the call takes leave back; a result takes no verdict back.
    bench.ok("command", with(command("f", "call"), ask.clone()));
    decide(&mut bench, decided("f", true, None));
    decide(&mut bench, with(decided("f", false, None), json!({"approval_id": "second"})));
    bench.ok("command", with(command("g", "call"), json!({"verdict": "deny", "rule": "no"})));
    assert_eq!(run(&mut bench, "f"), 1);
    let allowed = with(command("g", "result"), json!({"verdict": "allow", "rule": "yes"}));
    let lines = bench.ok("command", allowed);
    assert_eq!((&lines[1].body["verdict"], &lines[1].body["rule"]), (&json!("deny"), &json!("no")));
    // That somebody else is said to have approved is kept, and is no leave.
    bench.ok("command", with(command("h", "call"), ask.clone()));
    decide(&mut bench, with(decided("h", true, None), json!({"approver": "did:web:boss"})));
    assert_eq!(run(&mut bench, "h"), 1);
    assert_eq!(
        bench.report("approvals", json!({"status": "claimed"})).as_array().unwrap().len(),
        1
    );
    // An edit that a policy denied is one too, and leave does not help against that.
    let lines = bench.ok("file-edit", with(edit("s", "x", "1"), json!({"verdict": "deny"})));
    assert_eq!(
        (&lines[1].body["what"], &lines[1].body["reason"]),
        (&json!("file_edit"), &json!("denied"))
    );
    let asked: Vec<_> = bench
        .lines
        .iter()
        .filter(|l| l.body.get("reason") == Some(&json!("no_approval")))
        .collect();
    assert_eq!(asked.len(), 6);
}

#[test]
fn nobody_approves_what_he_asks_for() {
    let mut bench = bench();
    let decision = json!({"session_id": "s", "approval_id": "a", "phase": "decided", "approved": true, "observed_by": "person"});
    refused(bench.call_as(2, "approval", decision.clone()), "unknown_approval");
    let request = json!({"session_id": "s", "approval_id": "a", "phase": "requested", "call_id": "c", "observed_by": "hook"});
    refused(
        bench.call("approval", with(request.clone(), json!({"approved": true}))),
        "not_decided",
    );
    bench.ok("approval", request.clone());
    refused(bench.call("approval", request), "exists");
    // Its own actor by default, a name that is told, the agent itself.
    refused(bench.call_as(1, "approval", decision.clone()), "approver_is_caller");
    for me in ["local:1", "agent", "s"] {
        let told = with(decision.clone(), json!({"approver": me}));
        refused(bench.call_as(2, "approval", told), "approver_is_caller");
    }
    // A name changes nothing about who it is that decides.
    let named = with(decision.clone(), json!({"approver": "local:2"}));
    refused(bench.call_as(1, "approval", named), "approver_is_caller");
    let other = with(decision.clone(), json!({"call_id": "other"}));
    refused(bench.call_as(2, "approval", other), "other_call");
    let unsaid =
        json!({"session_id": "s", "approval_id": "a", "phase": "decided", "observed_by": "person"});
    refused(bench.call_as(2, "approval", unsaid), "decision_needed");
    let line = &bench.call_as(2, "approval", decision.clone()).unwrap()[0];
    assert_eq!((&line.body["approver"], &line.body["call_id"]), (&json!("local:2"), &json!("c")));
    refused(bench.call_as(2, "approval", decision), "approval_decided");
}

#[test]
fn nobody_approves_in_a_session_that_he_recorded_or_asked_in() {
    let mut bench = Bench::new();
    // The agent acts for 7; 3 recorded its start, 4 and 5 that it goes on, for 8; 6 asked.
    let start = |caller: &str, resumed: bool| json!({"session_id": "s", "agent_type": "agent", "caller": caller, "resumed": resumed, "mode": "record", "observed_by": "hook"});
    bench.call_as(3, "session-start", start("local:7", false)).unwrap();
    bench.call_as(4, "session-start", start("local:7", true)).unwrap();
    bench.call_as(5, "session-start", start("local:8", true)).unwrap();
    let request =
        json!({"session_id": "s", "approval_id": "a", "phase": "requested", "observed_by": "hook"});
    bench.call_as(6, "approval", request).unwrap();
    let decision = json!({"session_id": "s", "approval_id": "a", "phase": "decided", "approved": true, "approver": "did:web:boss", "observed_by": "person"});
    for user in [3, 5, 6, 7, 8] {
        refused(bench.call_as(user, "approval", decision.clone()), "approver_is_caller");
    }
    bench.call_as(9, "approval", decision).unwrap();
    // Both are told: the name, and the actor whose word it is.
    let row = &bench.report("approvals", json!({}))[0];
    assert_eq!((&row["approver"], &row["decided_by"]), (&json!("did:web:boss"), &json!("local:9")));
    let told = bench.report("search", json!({"approver": "local:9"}));
    assert_eq!(told[0]["event"], "a approved by did:web:boss, as local:9 says");
    assert_eq!(bench.report("search", json!({"approver": "did:web:boss"})), told);
    assert_eq!(bench.report("search", json!({"approver": "local:6"})), json!([]));
}

#[test]
fn a_session_that_nobody_ended_is_orphaned_after_a_day() {
    let mut bench = bench();
    let status =
        |bench: &Bench| bench.report("sessions", json!({"session_id": "s"}))[0]["status"].clone();
    let day_s = crate::reports::sessions::ORPHANED_AFTER_MS / 1000;
    bench.wait_s(day_s);
    bench.start("t");
    assert_eq!(status(&bench), "open");
    bench.wait_s(1);
    bench.start("u");
    assert_eq!(status(&bench), "orphaned");
    let rows = bench.report("sessions", json!({"status": "orphaned"}));
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["session_id"]), (1, &json!("s")));
    assert_eq!(bench.report("sessions", json!({"status": "open"})).as_array().unwrap().len(), 2);
    // It goes on as soon as something happens in it.
    bench.ok("command", command("c", "whole"));
    assert_eq!(status(&bench), "open");
    bench.ok("session-end", end("s"));
    bench.wait_s(2 * day_s);
    bench.start("v");
    assert_eq!(status(&bench), "ended");
}

/// Leaf indexes that a search finds.
fn found(bench: &Bench, question: Value) -> Vec<u64> {
    let rows = bench.report("search", question);
    rows.as_array().unwrap().iter().map(|row| row["seq"].as_u64().unwrap()).collect()
}

#[test]
fn a_search_finds_what_fits_all_that_is_asked_the_latest_first() {
    let mut bench = bench();
    bench.wait_s(100);
    let run = |call: &str, phase: &str, line: &str| {
        with(command(call, phase), json!({"command": line, "program": line.split(' ').next()}))
    };
    bench.ok("command", run("a", "whole", "git push --force")); // 1
    bench.ok(
        "command",
        with(run("b", "call", "rm -r build"), json!({"verdict": "ask", "rule": "r"})),
    ); // 2
    let result =
        json!({"session_id": "s", "call_id": "b", "phase": "result", "observed_by": "hook"});
    bench.ok("command", result); // 3 and the violation 4
    bench.ok(
        "command",
        with(run("c", "whole", "/bin/rm -rf /"), json!({"denied": true, "verdict": "deny"})),
    ); // 5
    bench.ok("file-edit", edit("s", "src/main.rs", "1")); // 6
    bench.ok("file-edit", with(edit("s", ".env", "1"), json!({"verdict": "deny"}))); // 7 and 8
    bench.ok("tool-call", json!({"session_id": "s", "call_id": "t", "phase": "whole", "tool_name": "Read", "params": "{\"file_path\":\"/w/src/main.rs\"}", "observed_by": "hook"})); // 9
    bench.ok("session-start", json!({"session_id": "t", "agent_type": "other", "model_id": "m", "mode": "record", "observed_by": "hook"})); // 10
    bench.ok(
        "command",
        with(
            run("a", "whole", "cat src/main.rs"),
            json!({"session_id": "t", "effective_at": bench.at(-50)}),
        ),
    ); // 11
    bench.ok("git-commit", json!({"commit_hash": "a".repeat(40), "tree_hash": "b".repeat(40), "project_id": project(), "observed_by": "git"})); // 12
    let (before, after) = (bench.at(-80), bench.at(-20));
    for (question, wanted) in [
        (json!({"command_regex": "git +push"}), &[1][..]),
        (json!({"command_regex": "rm -r"}), &[5, 2]),
        (json!({"program": "rm"}), &[5, 2]),
        (json!({"program": "rm", "denied": true}), &[5]),
        (json!({"denied": false, "program": "rm"}), &[2]),
        (json!({"unapproved": true}), &[7, 3, 2]),
        (json!({"unapproved": true, "command_regex": "."}), &[2]),
        (json!({"path": "src/main.rs"}), &[11, 9, 6]),
        (json!({"path": "main.rs", "agent": "other"}), &[11]),
        (json!({"path": "ain.rs"}), &[]),
        (json!({"path": "src"}), &[11, 9, 6]),
        (json!({"path": "**/*.rs"}), &[11, 9, 6]),
        (json!({"path": ".env", "unapproved": true}), &[7]),
        (json!({"model": "m"}), &[11, 10]),
        (json!({"session_id": "t"}), &[11, 10]),
        (json!({"session_id": "s", "limit": 2}), &[9, 8]),
        (json!({"commit": "aaaa"}), &[12]),
        (json!({"commit": "aaaa", "denied": true}), &[]),
        (json!({"from": before, "to": after}), &[11]),
        (json!({"to": before}), &[0]),
    ] {
        assert_eq!(found(&bench, question.clone()), wanted, "{question}");
    }
    let row = &bench.report("search", json!({"program": "git"}))[0];
    assert_eq!((&row["event"], &row["what"]), (&json!("$ git push --force"), &json!("command")));
    let refusal = bench.try_report("search", json!({"command_regex": "("})).unwrap_err();
    assert_eq!(refusal.code(), "bad_pattern");
    let huge = bench.try_report("search", json!({"command_regex": "(a{1000}){1000}"})).unwrap_err();
    assert_eq!(huge.code(), "bad_pattern");
    bench.forget();
    assert_eq!(found(&bench, json!({"command_regex": "."})), [0u64; 0]);
}

#[test]
fn an_approval_is_given_while_the_request_holds() {
    let mut bench = bench();
    let request = json!({"session_id": "s", "approval_id": "a", "phase": "requested", "expires_at": bench.at(10), "observed_by": "hook"});
    bench.ok("approval", request);
    assert_eq!(bench.report("approvals", json!({}))[0]["status"], "pending");
    bench.wait_s(11);
    let decision = json!({"session_id": "s", "approval_id": "a", "phase": "decided", "approved": true, "observed_by": "person"});
    refused(bench.call_as(2, "approval", decision), "approval_expired");
    let at = bench.at(0);
    assert_eq!(
        bench.report("approvals", json!({"at": at, "status": "expired"})).as_array().unwrap().len(),
        1
    );
}

#[test]
fn sessions_are_a_tree() {
    let mut bench = bench();
    for id in ["t", "u"] {
        bench.start(id);
    }
    let spawn = |parent: &str, child: &str| json!({"parent_session_id": parent, "child_session_id": child, "agent_type": "agent", "observed_by": "hook"});
    refused(bench.call("agent-spawn", spawn("s", "x")), "unknown_session");
    refused(bench.call("agent-spawn", spawn("x", "s")), "unknown_session");
    refused(bench.call("agent-spawn", spawn("s", "s")), "spawn_cycle");
    bench.ok("agent-spawn", spawn("s", "t"));
    refused(bench.call("agent-spawn", spawn("u", "t")), "child_has_parent");
    bench.ok("agent-spawn", spawn("t", "u"));
    refused(bench.call("agent-spawn", spawn("u", "s")), "spawn_cycle");
    // A child may be known only after its parent has ended.
    bench.start("v");
    bench.ok("session-end", end("s"));
    bench.ok("agent-spawn", spawn("s", "v"));
    let mut last = "u".to_owned();
    for n in 0.. {
        let next = format!("d{n}");
        bench.start(&next);
        match bench.call("agent-spawn", spawn(&last, &next)) {
            Ok(_) => last = next,
            Err(refusal) => {
                assert_eq!(refusal.code, "spawn_too_deep");
                // The first of them is the fourth session in its line.
                assert_eq!(n + 4, crate::ops::DEPTH_MAX + 1);
                break;
            }
        }
    }
}

#[test]
fn a_change_by_somebody_else_is_flagged_and_never_refused() {
    let mut bench = bench();
    let flagged = |lines: Vec<vm_contracts::Line>| lines[0].body["external_change"] == json!(true);
    let on = |old: &str, new: &str| with(edit("s", "a", new), json!({"old_hash": hash(old)}));
    assert!(!flagged(bench.ok("file-edit", on("0", "1"))), "nothing was known");
    assert!(!flagged(bench.ok("file-edit", on("1", "2"))));
    assert!(flagged(bench.ok("file-edit", on("1", "3"))));
    // A digest of the other form cannot be compared.
    let other = format!("keyed:{}", "0".repeat(64));
    assert!(!flagged(bench.ok("file-edit", with(edit("s", "a", "4"), json!({"old_hash": other})))));
    let gone = json!({"session_id": "s", "file_path": "a", "file_id": file("a"), "edit_type": "delete", "observed_by": "hook"});
    assert!(!flagged(bench.ok("file-edit", with(gone, json!({"old_hash": hash("4")})))));
    assert!(flagged(bench.ok("file-edit", on("4", "5"))), "it was gone");
    let renamed = json!({"session_id": "s", "file_path": "b", "file_id": file("b"), "previous_file_id": file("a"), "edit_type": "rename", "old_hash": hash("other"), "observed_by": "hook"});
    assert!(flagged(bench.ok("file-edit", renamed)));
    assert_eq!((counts(bench.state()).external, counts(bench.state()).files), (3, 2));
}

#[test]
fn an_edit_says_what_fits_its_type() {
    let mut bench = bench();
    for (changes, field) in [
        (json!({"edit_type": "delete"}), "new_hash"),
        (json!({"edit_type": "rename"}), "previous_file_id"),
        (json!({"edit_type": "rename", "previous_file_id": file("a")}), "previous_file_id"),
        (json!({"edit_type": "create", "previous_file_id": file("b")}), "previous_file_id"),
    ] {
        let refusal =
            refused(bench.call("file-edit", with(edit("s", "a", "1"), changes)), "bad_edit");
        assert_eq!(refusal.field.as_deref(), Some(field));
    }
}

#[test]
fn names_that_must_be_keyed_and_digests_are_nothing_else_and_are_not_repeated() {
    let mut bench = bench();
    for (field, code) in [
        ("file_id", "not_keyed"),
        ("project_id", "not_keyed"),
        ("new_hash", "digest_malformed"),
        ("old_hash", "digest_malformed"),
        ("session_id", "bad_id"),
    ] {
        let intent = with(edit("s", "a", "1"), json!({field: "src/a b"}));
        let refusal = refused(bench.call("file-edit", intent), code);
        assert_eq!(refusal.field.as_deref(), Some(field));
        assert!(!refusal.message.contains("src/a b"));
    }
}

#[test]
fn a_text_with_a_secret_is_refused_whatever_its_field() {
    let mut bench = bench();
    let secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    for (field, code) in [
        ("command", "secret_in_text"),
        ("program", "secret_in_text"),
        ("rule", "secret_in_text"),
        ("call_id", "bad_id"),
    ] {
        let refusal = refused(
            bench.call("command", with(command("c", "whole"), json!({field: secret}))),
            code,
        );
        assert_eq!(refusal.field.as_deref(), Some(field));
        assert!(!format!("{refusal:?}").contains(secret));
    }
    let usage = json!([{"model_id": secret}]);
    let refusal = refused(
        bench.call("session-end", with(end("s"), json!({"usage": usage}))),
        "secret_in_text",
    );
    assert_eq!(refusal.field.as_deref(), Some("usage[0].model_id"));
}

#[test]
fn nothing_comes_from_the_future() {
    let mut bench = bench();
    let at = |bench: &Bench, s: i64| json!({"effective_at": bench.at(s)});
    let told = at(&bench, 301);
    refused(bench.call("command", with(command("c", "whole"), told)), "from_future");
    let told = at(&bench, 300);
    bench.ok("command", with(command("c", "whole"), told));
    // A clock that jumped gives no negative duration.
    let told = at(&bench, -3600);
    let line = bench.ok("session-end", with(end("s"), told)).remove(0);
    assert_eq!(line.body["duration_ms"], 0);
}

#[test]
fn an_end_counts_what_happened() {
    let mut bench = bench();
    bench.ok("command", command("a", "whole"));
    bench.ok("command", command("b", "call"));
    let seen_later = json!({"session_id": "s", "call_id": "t", "phase": "whole", "tool_name": "t", "observed_by": "transcript"});
    bench.ok("tool-call", seen_later);
    // Two files of one call, one of them twice, and an edit that no call tells of.
    for path in ["x", "y", "x"] {
        bench.ok("file-edit", with(edit("s", path, "1"), json!({"call_id": "e"})));
    }
    bench.ok("file-edit", edit("s", "z", "1"));
    bench.wait_s(90);
    let usage = json!([{"model_id": "m", "tokens_input": 3, "cost_micros": 5}, {"model_id": "n", "tokens_input": 4}]);
    let body = bench.ok("session-end", with(end("s"), json!({"usage": usage}))).remove(0).body;
    for (name, value) in [
        ("duration_ms", 90_000),
        ("commands_executed", 1),
        ("files_modified", 3),
        ("tool_calls", 1),
        ("calls_unpaired", 1),
        ("calls_observed", 3),
        ("calls_total", 4),
    ] {
        assert_eq!(body[name], json!(value), "{name}");
    }
    let row = &bench.report("sessions", json!({"status": "ended", "model_id": "n"}))[0];
    assert_eq!((&row["observed"], &row["tokens_input"]), (&json!("3 of 4"), &json!(7)));
    assert_eq!(bench.report("sessions", json!({"status": "open"})), json!([]));
    let costs = bench.report("costs", json!({}));
    assert_eq!((&costs[0]["name"], &costs[0]["cost_micros"]), (&json!("m"), &json!(5)));
    let unpaired = bench.report("unpaired", json!({}));
    assert_eq!((&unpaired[0]["call_id"], &unpaired[0]["missing"]), (&json!("b"), &json!("result")));
    assert_eq!(bench.report("costs", json!({"by": "agent"}))[0]["tokens_input"], 7);
    // Tokens that are told after the end change nothing else.
    let before = bench.report("sessions", json!({}))[0].clone();
    bench.wait_s(5);
    refused(bench.call("session-end", end("s")), "session_ended");
    let late =
        json!({"exit_reason": "transcript_end", "tokens_input": 9, "observed_by": "transcript"});
    bench.ok("session-end", with(end("s"), late));
    let after = bench.report("sessions", json!({}))[0].clone();
    assert_eq!(
        (&after["tokens_input"], &after["exit_reason"]),
        (&json!(9), &before["exit_reason"])
    );
    assert_eq!(after["ended_at"], before["ended_at"]);
}

#[test]
fn a_replay_tells_events_where_they_happened() {
    let mut bench = bench();
    bench.start("t");
    bench.wait_s(60);
    bench.ok("command", with(command("a", "call"), json!({"command": "make"})));
    bench.ok("file-edit", with(edit("s", "src/a.rs", "1"), json!({"effective_at": bench.at(-30)})));
    bench.ok("agent-spawn", json!({"parent_session_id": "s", "child_session_id": "t", "agent_type": "agent", "observed_by": "hook"}));
    bench.ok("command", with(command("a", "result"), json!({"exit_code": 2, "command": null})));
    let rows = bench.report("replay", json!({"session_id": "s"}));
    let events: Vec<&str> =
        rows.as_array().unwrap().iter().map(|r| r["event"].as_str().unwrap()).collect();
    assert_eq!(
        events,
        ["agent starts (record)", "modify src/a.rs", "$ make", "s spawns t", "result -> exit 2"]
    );
    let child = bench.report("replay", json!({"session_id": "t"}));
    assert_eq!(child.as_array().unwrap().len(), 2);
    bench.forget();
    assert_eq!(
        bench.report("replay", json!({"session_id": "s"}))[1]["event"],
        "modify (not readable here)"
    );
    assert_eq!(
        bench.try_report("replay", json!({"session_id": "x"})).unwrap_err().code(),
        "unknown_session"
    );
}

#[test]
fn a_blame_has_the_edits_of_one_file_the_latest_first() {
    let mut bench = bench();
    for (path, content) in [("a", "1"), ("b", "1"), ("a", "2")] {
        bench.ok("file-edit", edit("s", path, content));
    }
    let rows = bench.report("blame", json!({"file_id": file("a"), "project_id": project()}));
    let hashes: Vec<&Value> = rows.as_array().unwrap().iter().map(|r| &r["new_hash"]).collect();
    assert_eq!(hashes, [&json!(hash("2")), &json!(hash("1"))]);
    assert_eq!(rows[0]["file_path"], "a");
    let elsewhere = crate::keyed::project_id(&KEY, b"/other");
    assert_eq!(
        bench.report("blame", json!({"file_id": file("a"), "project_id": elsewhere})),
        json!([])
    );
}

#[test]
fn evidence_is_counted_hashed_and_kept_privately() {
    let bench = bench();
    let intent = |changes: Value| {
        with(
            json!({"evidence_type": "note", "source": "the words", "observed_by": "person"}),
            changes,
        )
    };
    let (size, shelf) = bench.take_in(intent(json!({}))).unwrap();
    assert_eq!((size, shelf.0.len()), (9, 1));
    assert_eq!((shelf.0[0].1, shelf.0[0].2.as_slice()), (true, &b"the words"[..]));
    let told = format!("blake3:{}", blake3::hash(b"the words").to_hex());
    let (size, shelf) =
        bench.take_in(intent(json!({"keep": false, "content_hash": told}))).unwrap();
    assert_eq!((size, shelf.0.len()), (9, 0));
    let fault = bench.take_in(intent(json!({"content_hash": hash("other")}))).err().unwrap();
    assert_eq!(fault.code, "content_changed");
    let mut bench = bench;
    refused(bench.call("evidence", intent(json!({"keep": false}))), "nothing_kept");
    refused(bench.call("evidence", intent(json!({"session_id": "x"}))), "unknown_session");
}

#[test]
fn an_effect_that_failed_is_told_as_such() {
    let mut bench = bench();
    let intent =
        json!({"evidence_type": "note", "source": "x", "session_id": "s", "observed_by": "person"});
    bench.ok("evidence", intent);
    bench.lines[1].end = vm_receipts::line::End::Aborted;
    bench.lines[1].body.insert("fault".to_owned(), json!({"code": "source_unreadable"}));
    let told = bench.report("replay", json!({"session_id": "s"}));
    assert_eq!(told[1]["event"], "NOT DONE (source_unreadable): console.evidence");
}
