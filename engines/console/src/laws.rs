//! Laws of the whole engine over random and hostile work: the lines alone give the state, the numbers add up, and no
//! stream of edits explains a file that no edit explains.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use vm_contracts::{AnyEngine, Hosted, Line, Moment};
use vm_receipts::line::End;

use crate::Console;
use crate::explain::{Changed, LATER_MS_MAX, Status, Why, explain};
use crate::keyed::{file_id, is_plain_id, path_text, relative, session_id};
use crate::state::State;
use crate::testing::{Bench, KEY, edit, file, folded, hash, project};

/// One random act: what it is, in which session, about which call or file, and how.
type Act = (usize, usize, usize, usize);

const SESSIONS: [&str; 3] = ["s0", "s1", "s2"];
const PATHS: [&str; 4] = ["a", "b", "dir/a", "c"];
const CONTENTS: [&str; 3] = ["x", "y", "z"];

fn acts(most: usize) -> impl Strategy<Value = Vec<Act>> {
    proptest::collection::vec((0usize..9, 0usize..3, 0usize..4, 0usize..12), 0..most)
}

/// Asks for an act; whether it is accepted is for the engine to say.
fn ask(bench: &mut Bench, (what, session, which, how): Act) -> bool {
    let session = SESSIONS[session];
    let call = format!("c{which}");
    let phase = crate::ops::PHASES[how % 3];
    let verdict = [None, Some("ask"), Some("deny"), Some("allow")][how / 3];
    let observed_by = ["hook", "transcript"][how % 2];
    let mut intent = json!({"session_id": session, "observed_by": observed_by});
    let body = intent.as_object_mut().unwrap();
    let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
    let verb = match what {
        0 => {
            set("agent_type", json!("agent"));
            set("mode", json!("record"));
            set("resumed", json!(how % 3 == 1));
            "session-start"
        }
        1 if how == 0 => {
            set("exit_reason", json!("done"));
            "session-end"
        }
        1 | 2 => {
            for (name, value) in [
                ("call_id", json!(call)),
                ("phase", json!(phase)),
                ("verdict", json!(verdict)),
                ("denied", json!(how == 11)),
            ] {
                set(name, value);
            }
            "command"
        }
        3 => {
            for (name, value) in
                [("call_id", json!(call)), ("phase", json!(phase)), ("tool_name", json!("t"))]
            {
                set(name, value);
            }
            "tool-call"
        }
        4 => {
            set("approval_id", json!(format!("a{which}")));
            set("call_id", json!(call));
            let phase = if how.is_multiple_of(2) { "requested" } else { "decided" };
            set("phase", json!(phase));
            if how % 2 == 1 {
                set("approved", json!(how % 3 == 0));
            }
            // Another person decides, or the one who asks, which is refused.
            let user = if how % 2 == 1 && how > 2 { 9 } else { 1 };
            return bench.call_as(user, "approval", intent).is_ok();
        }
        5 => {
            let child = SESSIONS[how % 3];
            intent = json!({"parent_session_id": session, "child_session_id": child, "agent_type": "agent", "observed_by": "hook"});
            "agent-spawn"
        }
        _ => {
            intent = random_edit(session, which, how);
            "file-edit"
        }
    };
    bench.call(verb, intent).is_ok()
}

/// An edit of one of few files: contents known and unknown, removed, renamed from any other.
fn random_edit(session: &str, which: usize, how: usize) -> Value {
    let mut intent = edit(session, PATHS[which], CONTENTS[how % 3]);
    let body = intent.as_object_mut().unwrap();
    match how {
        3 | 4 => drop(body.remove("new_hash")),
        5 => {
            body.remove("new_hash");
            body.insert("edit_type".to_owned(), json!("delete"));
        }
        6..=9 => {
            body.insert("edit_type".to_owned(), json!("rename"));
            body.insert("previous_file_id".to_owned(), json!(file(PATHS[how - 6])));
            if how.is_multiple_of(2) {
                body.remove("new_hash");
            }
        }
        _ => drop(body.insert("call_id".to_owned(), json!(format!("c{how}")))),
    }
    intent
}

/// What a person would say who reads all edits in the order in which they happened.
fn by_hand(lines: &[Line], wanted: &Changed, until_ms: i64) -> Result<u64, Why> {
    let text =
        |line: &Line, name: &str| line.body.get(name).and_then(Value::as_str).map(str::to_owned);
    let at_ms = |line: &Line| {
        let told = text(line, "effective_at").map(|told| Moment::parse(&told).unwrap());
        told.unwrap_or(line.at).unix_ms()
    };
    let mut edits: Vec<&Line> = lines.iter().filter(|l| l.kind == "console_file_edit").collect();
    edits.sort_by_key(|line| (at_ms(line), line.seq));
    let in_time = |line: &&&Line| at_ms(line) <= until_ms;
    let of = |line: &Line, id: &str| text(line, "file_id").as_deref() == Some(id);
    let from = |line: &Line, id: &str| text(line, "previous_file_id").as_deref() == Some(id);
    let digests: Vec<&String> = wanted.content.iter().chain(&wanted.contents).collect();
    let left = |line: &Line| {
        let hash = text(line, "new_hash");
        hash != text(line, "old_hash") && hash.is_some_and(|hash| digests.contains(&&hash))
    };
    let id = wanted.file_id.as_str();
    let touched = |id: &str| edits.iter().rfind(|l| of(l, id) || from(l, id));
    let gone = |id: &str| {
        let went = |l: &&&Line| from(l, id) || text(l, "edit_type").as_deref() == Some("delete");
        touched(id).filter(went).filter(in_time)
    };
    if wanted.status == Status::Submodule {
        return Err(Why::Submodule);
    }
    if wanted.status == Status::Deleted {
        return match (gone(id), touched(id)) {
            (Some(last), _) => Ok(last.seq),
            (None, Some(_)) => Err(Why::Deleted),
            (None, None) => Err(Why::NoEdit),
        };
    }
    if digests.is_empty() {
        return Err(Why::NotExamined);
    }
    let before = wanted.previous_file_id.as_deref();
    let moves = wanted.status == Status::Renamed;
    let vanished = before.is_some_and(|before| gone(before).is_some());
    // Of each content the last edit is named, or the first where that came too late.
    let named = digests.iter().filter_map(|digest| {
        let its =
            |l: &&&Line| of(l, id) && left(l) && text(l, "new_hash").as_ref() == Some(*digest);
        let (mut all, mut again) = (edits.iter().filter(its), edits.iter().filter(its));
        all.next_back().filter(in_time).or_else(|| again.next().filter(in_time))
    });
    if let Some(own) = named.max_by_key(|line| (at_ms(line), line.seq)) {
        return if moves && !vanished { Err(Why::Moved) } else { Ok(own.seq) };
    }
    if let Some(before) = before.filter(|_| moves) {
        let mut ever = edits.iter();
        let renamed = edits.iter().rfind(|l| of(l, id) && from(l, before));
        if ever.any(|l| of(l, before) && left(l)) {
            let last = renamed.filter(in_time).filter(|_| vanished);
            let stood = |last: &&&Line| {
                let ends = (at_ms(last), last.seq);
                edits.iter().any(|l| of(l, before) && left(l) && (at_ms(l), l.seq) < ends)
            };
            return last.filter(stood).map(|l| l.seq).ok_or(Why::Moved);
        }
    }
    Err(if touched(id).is_some() { Why::OtherContent } else { Why::NoEdit })
}

fn changed() -> impl Strategy<Value = Changed> {
    let status = prop_oneof![
        Just(Status::Added),
        Just(Status::Modified),
        Just(Status::Deleted),
        Just(Status::Renamed),
        Just(Status::Submodule)
    ];
    let content = proptest::option::of(0..CONTENTS.len() + 1);
    (
        0..PATHS.len(),
        status,
        content,
        proptest::collection::vec(0..CONTENTS.len(), 0..2),
        proptest::option::of(0..PATHS.len()),
    )
        .prop_map(|(path, status, content, others, before)| {
            let digest = |n: usize| hash(CONTENTS.get(n).copied().unwrap_or("nobody wrote this"));
            Changed {
                file_id: file(PATHS[path]),
                status,
                content: content.map(digest),
                contents: others.into_iter().map(digest).collect(),
                previous_file_id: before.map(|n| file(PATHS[n])),
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_work_folds_to_the_live_state_and_its_numbers_add_up(acts in acts(60)) {
        let mut bench = Bench::new();
        bench.start("s0");
        for act in acts {
            let before = bench.lines.len();
            let accepted = ask(&mut bench, act);
            prop_assert_eq!(accepted, bench.lines.len() > before);
        }
        let live = bench.dump();
        prop_assert_eq!(bench.refold(), live);
        for (id, session) in bench.state().sessions.iter() {
            let calls = bench.state().calls_of(&id);
            let counts = session.counts;
            let open = calls.iter().filter(|(_, c)| c.result_seq.is_none() && !c.denied).count() as u64;
            prop_assert_eq!((counts.calls, counts.open), (calls.len() as u64, open));
            prop_assert!(counts.observed <= counts.calls);
            prop_assert!(counts.files <= counts.edits);
            let lines = |kind: &str| bench.lines.iter().filter(|l| l.kind == kind && l.body["session_id"] == json!(id)).count() as u64;
            prop_assert_eq!(counts.violations, lines("console_policy_violation"));
            prop_assert_eq!(counts.edits, lines("console_file_edit"));
        }
        for (child, _) in bench.state().parents.iter() {
            let mut above = child.clone();
            for _ in 0..SESSIONS.len() {
                above = bench.state().parents.get(&above).map_or(above, |p| p.parent);
                prop_assert!(above != child || !bench.state().parents.contains(&above));
            }
        }
    }

    #[test]
    fn a_file_is_explained_exactly_if_reading_all_edits_explains_it(
        edits in proptest::collection::vec((0usize..4, 0usize..12, 0i64..6, 0usize..4), 0..24),
        until_s in -3600i64..0,
        wanted in proptest::collection::vec(changed(), 1..24),
    ) {
        let mut bench = Bench::new();
        bench.start("s0");
        for (which, how, minutes, old) in edits {
            let mut intent = random_edit("s0", which, how);
            intent["effective_at"] = json!(bench.at(-600 * minutes));
            if let Some(old) = CONTENTS.get(old) {
                intent["old_hash"] = json!(hash(old));
            }
            // A rename of a file to itself is refused.
            let _refused = bench.call("file-edit", intent);
        }
        let committed_ms = bench.now().unix_ms() + until_s * 1000;
        for one in wanted {
            for (committed, until) in [(None, i64::MAX), (Some(committed_ms), committed_ms + LATER_MS_MAX)] {
                let got = explain(bench.state(), &one, committed).map(|by| by.seq);
                prop_assert_eq!(got, by_hand(&bench.lines, &one, until), "{:?}", one);
            }
        }
    }

    #[test]
    fn folding_any_line_never_panics(
        kind in prop_oneof![
            Just("console_session_start"), Just("console_session_end"), Just("console_command"), Just("console_tool_call"),
            Just("console_file_edit"), Just("console_approval"), Just("console_git_commit"), Just("console_agent_spawn"),
            Just("console_gap"), Just("console_evidence"), Just("console_policy_violation"), Just("console_later"), Just("ledger_open")
        ],
        changes in proptest::collection::btree_map(
            prop_oneof![
                Just("session_id"), Just("call_id"), Just("phase"), Just("file_id"), Just("edit_type"), Just("new_hash"),
                Just("previous_file_id"), Just("observed_by"), Just("files_changed"), Just("files_explained"), Just("files_unexplained"),
                Just("files_not_examined"), Just("parent_session_id"), Just("child_session_id"), Just("approval_id"), Just("approved"),
                Just("effective_at"), Just("expires_at"), Just("usage"), Just("tokens_input"), Just("agent_type"), Just("mode"), Just("resumed")
            ],
            prop_oneof![
                Just(json!("s0")), Just(json!("c")), Just(json!("rename")), Just(json!("result")), Just(json!("decided")), Just(json!(-1)),
                Just(json!(9_007_199_254_740_991u64)), Just(json!(u64::MAX)), Just(json!(null)), Just(json!(true)), Just(json!([{"model_id": 1}])),
                Just(json!([{"model_id": "m", "tokens_input": u64::MAX}])), Just(json!("9999-12-31T23:59:59.999Z")), Just(json!("0001-01-01T00:00:00.000Z"))
            ],
            0..10,
        ),
        aborted in any::<bool>(),
    ) {
        let mut bench = Bench::new();
        bench.start("s0");
        bench.ok("file-edit", edit("s0", "a", "x"));
        let mut forged = bench.lines[1].clone();
        forged.kind = kind.to_owned();
        forged.body.extend(changes.into_iter().map(|(name, value)| (name.to_owned(), value)));
        forged.end = if aborted { End::Aborted } else { End::Completed };
        let lines = [&bench.lines[..], &[forged.clone(), forged]].concat();
        prop_assert_eq!(folded(&lines).dump(), folded(&lines).dump());
    }

    #[test]
    fn two_paths_have_one_name_only_if_they_are_one_place(
        one in proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just(".."), Just("."), Just(""), Just("projects"), Just("demo"), Just("a\\..\\b")], 1..7),
        other in proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just(".."), Just("."), Just(""), Just("projects"), Just("demo")], 1..7),
        absolute in any::<(bool, bool)>(),
    ) {
        let path = |parts: &[&str], absolute: bool| format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"));
        let (one, other) = (path(&one, absolute.0), path(&other, absolute.1));
        let place = |path: &str| {
            let mut parts: Vec<&str> = if path.starts_with('/') { vec![] } else { vec!["projects", "demo"] };
            for part in path.split('/') {
                match part {
                    "" | "." => {}
                    ".." => drop(parts.pop()),
                    part => parts.push(part),
                }
            }
            parts.join("/")
        };
        let name = |path: &str| relative(b"/projects/demo", b"/projects/demo", path.as_bytes());
        match (name(&one), name(&other)) {
            (Some(a), Some(b)) => {
                prop_assert_eq!(a == b, place(&one) == place(&other), "{} {}", one, other);
                let id = |path: &[u8]| file_id(&KEY, &project(), path);
                prop_assert_eq!(id(&a) == id(&b), a == b);
                prop_assert!(!a.split(|b| *b == b'/').any(|part| part == b"..".as_slice()));
            }
            (a, b) => {
                // No file is named by the root itself, by the top, or by nothing.
                for (path, name) in [(&one, a), (&other, b)] {
                    let none = path.is_empty() || ["", "projects/demo"].contains(&place(path).as_str());
                    prop_assert_eq!(name.is_none(), none, "{}", path);
                }
            }
        }
    }

    #[test]
    fn any_foreign_id_becomes_a_plain_one_and_any_path_a_text(raw in any::<String>(), bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        prop_assert!(is_plain_id(&session_id(&KEY, &raw)));
        let text = path_text(&bytes);
        prop_assert!(!text.chars().any(char::is_control));
        let _total = relative(&bytes, &bytes, raw.as_bytes());
    }
}

/// Folds the lines of a bench and a forged one; gives the dump before and after it.
fn folded_with(bench: &Bench, forged: &Line) -> (Value, Value) {
    let after = [&bench.lines[..], std::slice::from_ref(forged)].concat();
    (folded(&bench.lines).dump(), folded(&after).dump())
}

#[test]
fn what_an_operation_would_refuse_changes_nothing_when_forged() {
    let mut bench = Bench::new();
    bench.start("s0");
    bench.start("s1");
    let start = bench.lines[0].clone();
    let command = bench
        .ok(
            "command",
            json!({"session_id": "s0", "call_id": "c", "phase": "whole", "observed_by": "hook"}),
        )
        .remove(0);
    let edited = bench.ok("file-edit", edit("s0", "a", "x")).remove(0);
    let spawn = json!({"parent_session_id": "s0", "child_session_id": "s1", "agent_type": "agent", "observed_by": "hook"});
    let spawn = bench.ok("agent-spawn", spawn).remove(0);
    let decided = json!({"session_id": "s0", "approval_id": "p", "call_id": "c", "phase": "decided", "approved": false, "approver": "local:9", "observed_by": "person"});
    let decided = bench.call_as(9, "approval", decided).unwrap().remove(0);
    let commit = json!({"commit_hash": "0".repeat(40), "tree_hash": "1".repeat(40), "project_id": project(), "observed_by": "git"});
    let commit = bench.ok("git-commit", commit).remove(0);
    let ended = bench
        .ok(
            "session-end",
            json!({"session_id": "s1", "exit_reason": "done", "observed_by": "hook"}),
        )
        .remove(0);
    let forge = |line: &Line, changes: Value| {
        let mut line = line.clone();
        line.body.extend(changes.as_object().unwrap().clone());
        line
    };
    for (what, line) in [
        ("a session a second time", start.clone()),
        (
            "a session that goes on and never began",
            forge(&start, json!({"session_id": "s9", "resumed": true})),
        ),
        ("a call a second time", command.clone()),
        ("a result without a call", forge(&command, json!({"call_id": "d", "phase": "result"}))),
        ("a command of no session", forge(&command, json!({"session_id": "s9"}))),
        ("a command after the end", forge(&command, json!({"session_id": "s1", "call_id": "d"}))),
        ("an edit after the end", forge(&edited, json!({"session_id": "s1"}))),
        ("a removed file with a content", forge(&edited, json!({"edit_type": "delete"}))),
        ("a rename from nothing", forge(&edited, json!({"edit_type": "rename"}))),
        ("a child of two", spawn.clone()),
        ("a circle", forge(&spawn, json!({"parent_session_id": "s1", "child_session_id": "s0"}))),
        ("a decision that is taken back", forge(&decided, json!({"approved": true}))),
        ("a commit that does not add up", forge(&commit, json!({"files_explained": 1}))),
        ("an end after the end", ended.clone()),
    ] {
        let (mut before, mut after) = folded_with(&bench, &line);
        assert_eq!(after["broken"]["count"], 1, "{what}");
        for dump in [&mut before, &mut after] {
            dump.as_object_mut().unwrap().remove("broken");
        }
        assert_eq!(before, after, "{what}");
    }
}

fn explained(
    bench: &Bench,
    path: &str,
    status: Status,
    content: &str,
    before: Option<&str>,
) -> Result<u64, Why> {
    let wanted = Changed {
        file_id: file(path),
        status,
        content: Some(hash(content)),
        contents: Vec::new(),
        previous_file_id: before.map(file),
    };
    explain(bench.state(), &wanted, None).map(|by| by.seq)
}

#[test]
fn the_same_content_at_another_path_explains_nothing() {
    let mut bench = Bench::new();
    bench.start("s0");
    bench.ok("file-edit", edit("s0", "a", "x"));
    assert_eq!(explained(&bench, "a", Status::Modified, "x", None), Ok(1));
    assert_eq!(explained(&bench, "b", Status::Added, "x", None), Err(Why::NoEdit));
    assert_eq!(explained(&bench, "b", Status::Renamed, "x", Some("a")), Err(Why::Moved));
    assert_eq!(explained(&bench, "a", Status::Modified, "y", None), Err(Why::OtherContent));
    assert_eq!(explained(&bench, "a", Status::Deleted, "x", None), Err(Why::Deleted));
    let rename = json!({"session_id": "s0", "file_path": "b", "file_id": file("b"), "previous_file_id": file("a"), "edit_type": "rename", "observed_by": "hook"});
    bench.ok("file-edit", rename);
    assert_eq!(explained(&bench, "b", Status::Renamed, "x", Some("a")), Ok(2));
    assert_eq!(explained(&bench, "a", Status::Deleted, "x", None), Ok(2));
    // Where git says "added", nobody has seen that the old one is gone.
    assert_eq!(explained(&bench, "b", Status::Added, "x", None), Err(Why::OtherContent));
    // What was written at the old path after the rename did not go along.
    bench.ok("file-edit", edit("s0", "a", "later"));
    assert_eq!(explained(&bench, "b", Status::Renamed, "later", Some("a")), Err(Why::Moved));
}

#[test]
fn another_project_explains_nothing_although_paths_and_contents_are_the_same() {
    let mut bench = Bench::new();
    bench.start("s0");
    bench.ok("file-edit", edit("s0", "a", "x"));
    let elsewhere = crate::keyed::project_id(&KEY, b"/projects/demo2");
    let wanted = Changed {
        file_id: file_id(&KEY, &elsewhere, b"a"),
        status: Status::Modified,
        content: Some(hash("x")),
        contents: Vec::new(),
        previous_file_id: None,
    };
    assert_eq!(explain(bench.state(), &wanted, None), Err(Why::NoEdit));
}

#[test]
fn a_file_with_a_secret_is_explained_by_the_keyed_form_alone() {
    let mut bench = Bench::new();
    bench.start("s0");
    let secret = b"AWS_KEY=AKIAIOSFODNN7EXAMPLE";
    let kept = crate::keyed::content(&KEY, "src/config.rs", secret);
    let [open, keyed] = crate::keyed::forms(&KEY, secret);
    assert!(kept == keyed && kept != open && !kept.contains(&open[7..20]));
    assert_eq!(crate::keyed::content(&KEY, ".env", b"A=1"), crate::keyed::forms(&KEY, b"A=1")[1]);
    let mut intent = edit("s0", "src/config.rs", "");
    intent["new_hash"] = json!(kept);
    bench.ok("file-edit", intent);
    let wanted = Changed {
        file_id: file("src/config.rs"),
        status: Status::Modified,
        content: Some(open),
        contents: vec![keyed],
        previous_file_id: None,
    };
    assert!(explain(bench.state(), &wanted, None).is_ok());
}

#[test]
fn a_commit_adds_up_and_names_its_sessions() {
    let mut bench = Bench::new();
    bench.start("s0");
    bench.ok("file-edit", edit("s0", "a", "x"));
    let listed = |path: &str, status: &str, content: Option<&str>| {
        let mut one = json!({"file_id": file(path), "status": status});
        if let Some(content) = content {
            one["content"] = json!(hash(content));
        }
        one
    };
    let files = json!([
        listed("a", "modified", Some("x")),
        listed("b", "added", Some("x")),
        listed("big", "modified", None),
        listed("lib", "submodule", None),
    ]);
    let commit = |files: &Value, changed: Option<i64>| json!({"commit_hash": "a".repeat(40), "tree_hash": "b".repeat(40), "project_id": project(), "files": files, "files_changed": changed, "observed_by": "git"});
    let body = bench.ok("git-commit", commit(&files, Some(6))).remove(0).body;
    for (name, value) in [
        ("files_changed", json!(6)),
        ("files_explained", json!(1)),
        ("files_unexplained", json!(1)),
        ("files_not_examined", json!(4)),
        ("explained_ratio_bp", json!(1666)),
        ("session_ids", json!(["s0"])),
        ("unexplained_ids", json!([file("b")])),
    ] {
        assert_eq!(body[name], value, "{name}");
    }
    assert!(!body.contains_key("files"));
    let empty = bench.ok("git-commit", commit(&json!([]), None)).remove(0).body;
    assert!(!empty.contains_key("explained_ratio_bp"));
    crate::testing::refused(bench.call("git-commit", commit(&files, Some(3))), "bad_count");
    let twice = json!([listed("a", "modified", Some("x")), listed("a", "added", Some("y"))]);
    crate::testing::refused(bench.call("git-commit", commit(&twice, None)), "file_twice");
    let report = bench.report("explain", json!({"files": files}));
    assert_eq!((&report["explained"], &report["not_examined"]), (&json!(1), &json!(2)));
    let reasons: Vec<&Value> =
        report["answers"].as_array().unwrap().iter().map(|a| &a["reason"]).collect();
    assert_eq!(
        reasons,
        [&Value::Null, &json!("no_edit"), &json!("not_examined"), &json!("submodule")]
    );
}

#[test]
fn every_declaration_keeps_the_rules_of_specs() {
    let engine = Hosted::<Console>::new();
    for spec in engine.operations().into_iter().chain(engine.reports()) {
        let example: Value = serde_json::from_str(spec.example).unwrap();
        let admitted = vm_contracts::edge::admit(spec, example.as_object().unwrap());
        assert_eq!(admitted.as_ref(), Ok(example.as_object().unwrap()), "{}", spec.verb);
        let mut names: Vec<_> = spec.fields.iter().map(|f| f.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{} declares a field twice", spec.verb);
        assert!(names.iter().all(|name| vm_receipts::line::is_field_name(name)));
        assert!(spec.types.iter().all(|kind| kind.starts_with("console_")));
        assert!(!spec.fields.iter().any(|f| f.filter && f.private), "{}", spec.verb);
    }
}

/// The fold sees no private value: erased or not, the state is the same. A body that holds one would be a leak.
#[test]
fn no_private_field_stands_in_a_body() {
    let engine = Hosted::<Console>::new();
    let private: Vec<&str> = engine
        .operations()
        .iter()
        .flat_map(|s| s.fields)
        .filter(|f| f.private)
        .map(|f| f.name)
        .collect();
    for name in [
        "command",
        "file_path",
        "params",
        "reason",
        "task",
        "project_path",
        "author",
        "detail",
        "note",
        "source",
    ] {
        assert!(private.contains(&name), "{name}");
    }
    let mut bench = Bench::new();
    bench.start("s0");
    bench.ok("file-edit", edit("s0", "very/private/name", "x"));
    let body: &Map<String, Value> = &bench.lines[1].body;
    assert!(!serde_json::to_string(body).unwrap().contains("private/name"));
    let _state: &State = bench.state();
}
