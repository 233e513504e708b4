use super::*;
use crate::testing::{Bench, KEY};
use proptest::prelude::*;
use serde_json::{Map, json};
use std::collections::BTreeMap;

/// Hands calls to a ledger in memory, with ids as the ledger has them.
struct Into<'a> {
    bench: &'a mut Bench,
    ids: &'a mut BTreeMap<String, Map<String, Value>>,
    told: Told,
}

/// What an import came to.
#[derive(Debug, Default)]
struct Told {
    committed: u64,
    existing: u64,
    known: u64,
    refused: Vec<String>,
    notices: Vec<String>,
}

impl Sink<State> for Into<'_> {
    fn look(&mut self, ask: &mut dyn FnMut(&State)) -> Result<(), Failure> {
        ask(self.bench.state());
        Ok(())
    }
    fn take(&mut self, planned: Planned) -> Result<(), Failure> {
        assert!(planned.id.len() <= 64);
        match self.ids.get(&planned.id) {
            Some(before) if *before == planned.intent => self.told.existing += 1,
            Some(_) => self.told.refused.push(format!("{}: conflict", planned.place)),
            None => match self.bench.call(planned.verb, Value::Object(planned.intent.clone())) {
                Ok(_) => {
                    self.told.committed += 1;
                    self.ids.insert(planned.id, planned.intent);
                }
                Err(refusal) => self
                    .told
                    .refused
                    .push(format!("{}: {}: {refusal}", planned.place, refusal.code)),
            },
        }
        Ok(())
    }
    fn known(&mut self, calls: u64) {
        self.told.known += calls;
    }
    fn notice(&mut self, notice: String) {
        self.told.notices.push(notice);
    }
}

/// A home into which records are imported.
struct Home {
    bench: Bench,
    ids: BTreeMap<String, Map<String, Value>>,
}

impl Home {
    fn new() -> Self {
        Home { bench: Bench::new(), ids: BTreeMap::new() }
    }

    fn import(&mut self, format: &Format, text: &str) -> Told {
        let feed = Feed { name: "source", key: &KEY, now: self.bench.now(), places: &NoPlaces };
        let mut sink = Into { bench: &mut self.bench, ids: &mut self.ids, told: Told::default() };
        format.stream(feed, &mut text.as_bytes(), &mut sink).unwrap();
        sink.told
    }

    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        self.bench.lines.iter().for_each(|line| *counts.entry(line.kind.clone()).or_default() += 1);
        counts
    }
}

fn said(uuid: &str, session: &str, blocks: Value) -> Value {
    json!({"type": "assistant", "uuid": uuid, "sessionId": session, "cwd": "/projects/demo", "version": "2.1.0",
        "timestamp": "2026-01-31T12:00:00Z", "message": {"role": "assistant", "model": "model-1", "id": format!("m-{uuid}"),
        "content": blocks, "usage": {"input_tokens": 10, "output_tokens": 5}}})
}

fn heard(uuid: &str, session: &str, blocks: Value, more: Value) -> Value {
    json!({"type": "user", "uuid": uuid, "sessionId": session, "cwd": "/projects/demo", "timestamp": "2026-01-31T12:00:02Z",
        "message": {"role": "user", "content": blocks}, "toolUseResult": more})
}

fn call(id: &str, name: &str, input: Value) -> Value {
    json!([{"type": "tool_use", "id": id, "name": name, "input": input}])
}

fn result(id: &str, text: &str, is_error: bool) -> Value {
    json!([{"type": "tool_result", "tool_use_id": id, "content": text, "is_error": is_error}])
}

fn lines(all: &[Value]) -> String {
    all.iter().map(|line| format!("{line}\n")).collect()
}

/// A command, a file that is written and edited, a call that fails, a call without result.
fn session(id: &str) -> Vec<Value> {
    vec![
        json!({"type": "user", "uuid": format!("{id}0"), "sessionId": id, "message": {"role": "user", "content": "go"}}),
        said(&format!("{id}1"), id, call("t1", "Bash", json!({"command": "ls -l"}))),
        heard(
            &format!("{id}2"),
            id,
            result("t1", "a", false),
            json!({"stdout": "a", "stderr": "", "interrupted": false}),
        ),
        said(
            &format!("{id}3"),
            id,
            call("t2", "Write", json!({"file_path": "/projects/demo/a.rs", "content": "one\n"})),
        ),
        heard(
            &format!("{id}4"),
            id,
            result("t2", "ok", false),
            json!({"type": "create", "filePath": "/projects/demo/a.rs", "content": "one\n", "originalFile": null}),
        ),
        said(
            &format!("{id}5"),
            id,
            call(
                "t3",
                "Edit",
                json!({"file_path": "a.rs", "old_string": "one", "new_string": "two"}),
            ),
        ),
        heard(&format!("{id}6"), id, result("t3", "ok", false), Value::Null),
        said(
            &format!("{id}7"),
            id,
            call(
                "t4",
                "Edit",
                json!({"file_path": "/projects/demo/a.rs", "old_string": "x", "new_string": "y"}),
            ),
        ),
        heard(
            &format!("{id}8"),
            id,
            result("t4", "String to replace not found", true),
            Value::Null,
        ),
        said(&format!("{id}9"), id, call("t5", "WebFetch", json!({"url": "https://example.org"}))),
    ]
}

#[test]
fn a_session_comes_in_whole_and_a_second_time_not_at_all() {
    let mut home = Home::new();
    let text = lines(&session("s"));
    let told = home.import(&CLAUDE, &text);
    assert_eq!(told.refused, Vec::<String>::new());
    let want = [
        ("console_command", 1),
        ("console_file_edit", 2),
        ("console_session_end", 1),
        ("console_session_start", 1),
        ("console_tool_call", 2),
    ];
    assert_eq!(home.counts(), want.map(|(k, n)| (k.to_owned(), n)).into());
    let end = home.bench.lines.last().unwrap();
    assert_eq!(
        (end.body["calls_unpaired"].as_i64(), end.body["tokens_output"].as_i64()),
        (Some(1), Some(25))
    );
    let edits: Vec<_> = home.bench.lines.iter().filter(|l| l.kind == "console_file_edit").collect();
    assert_eq!(edits[1].body["new_hash"], json!(crate::testing::hash("two\n")));
    assert_eq!(edits[1].body["file_id"], json!(crate::testing::file("a.rs")));
    let before = home.bench.lines.len();
    let told = home.import(&CLAUDE, &text);
    assert_eq!((home.bench.lines.len(), told.committed, told.refused.len()), (before, 0, 0));
}

#[test]
fn a_longer_record_adds_what_is_new_and_the_session_goes_on() {
    let mut home = Home::new();
    let mut all = session("s");
    home.import(&CLAUDE, &lines(&all));
    let before = home.bench.lines.len();
    all.push(heard("sA", "s", result("t5", "page", false), Value::Null));
    all.push(said("sB", "s", call("t6", "Bash", json!({"command": "pwd"}))));
    all.push(heard("sC", "s", result("t6", "/", false), Value::Null));
    let told = home.import(&CLAUDE, &lines(&all));
    assert_eq!(told.refused, Vec::<String>::new());
    let new: Vec<_> = home.bench.lines[before..]
        .iter()
        .map(|l| (l.kind.as_str(), l.body.get("phase").and_then(Value::as_str)))
        .collect();
    assert_eq!(
        new,
        [
            ("console_session_start", None),
            ("console_tool_call", Some("result")),
            ("console_command", Some("whole")),
            ("console_session_end", None)
        ]
    );
    let before = home.bench.lines.len();
    assert_eq!(home.import(&CLAUDE, &lines(&all)).refused, Vec::<String>::new());
    assert_eq!(home.bench.lines.len(), before);
}

#[test]
fn a_session_that_a_hook_watches_is_never_ended_nor_told_twice() {
    let mut home = Home::new();
    home.bench.start("s");
    home.bench.ok("command", json!({"session_id": "s", "call_id": "t1", "phase": "whole", "command": "ls -l", "observed_by": "hook"}));
    let told = home.import(&CLAUDE, &lines(&session("s")));
    assert_eq!((told.refused, told.known), (vec![], 1));
    assert!(home.bench.state().sessions.get(&"s".to_owned()).unwrap().ended_ms.is_none());
    assert_eq!(home.counts().get("console_command"), Some(&1));
}

#[test]
fn bad_lines_are_named_and_counted_and_the_rest_goes_on() {
    let mut home = Home::new();
    let mut text = lines(&session("s"));
    text.insert(0, '\u{feff}');
    text += "{\"type\":\"user\"\n\nnull\n{\"sessionId\":\"s\"}\n{\"type\":\"user\",\"type\":\"user\"}\n\u{0}\n";
    text += "{\"type\":\"assistant\",\"sessionId\":\"s\",\"uuid\":\"z\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":7}]}}";
    let told = home.import(&CLAUDE, &text);
    assert_eq!(told.refused, Vec::<String>::new());
    let named: Vec<_> = told.notices.iter().filter(|n| n.contains("does not read")).collect();
    assert_eq!(named.len(), 5, "{named:?}");
    assert!(named[0].starts_with("line 11 "), "{named:?}");
    assert_eq!(home.bench.lines.last().unwrap().body["malformed_lines"], json!(5));
}

#[test]
fn a_side_chain_is_a_session_of_its_own() {
    let mut home = Home::new();
    let aside = |mut line: Value, parent: Option<&str>| {
        line["isSidechain"] = json!(true);
        line["parentUuid"] = json!(parent);
        line
    };
    let all = [
        said(
            "a",
            "s",
            call("t1", "Task", json!({"subagent_type": "explore", "prompt": "find it"})),
        ),
        aside(
            json!({"type": "user", "uuid": "b", "sessionId": "s", "message": {"role": "user", "content": "find it"}}),
            None,
        ),
        aside(said("c", "s", call("t2", "Bash", json!({"command": "ls"}))), Some("b")),
        aside(heard("d", "s", result("t2", "x", false), Value::Null), Some("c")),
        heard("e", "s", result("t1", "found", false), Value::Null),
    ];
    let told = home.import(&CLAUDE, &lines(&all));
    assert_eq!(told.refused, Vec::<String>::new());
    let spawn = home.bench.lines.iter().find(|l| l.kind == "console_agent_spawn").unwrap();
    assert_eq!(
        (&spawn.body["parent_session_id"], &spawn.body["call_id"], &spawn.body["agent_type"]),
        (&json!("s"), &json!("t1"), &json!("explore"))
    );
    let command = home.bench.lines.iter().find(|l| l.kind == "console_command").unwrap();
    assert_eq!(command.body["session_id"], spawn.body["child_session_id"]);
    assert_eq!(home.bench.state().calls_of("s").len(), 1);
    let before = home.bench.lines.len();
    home.import(&CLAUDE, &lines(&all));
    assert_eq!(home.bench.lines.len(), before);
}

#[test]
fn a_side_chain_that_a_hook_saw_as_the_main_session_is_told_once() {
    let mut home = Home::new();
    home.bench.start("s");
    home.bench.ok("command", json!({"session_id": "s", "call_id": "t2", "phase": "call", "command": "ls", "observed_by": "hook"}));
    let aside = |mut line: Value| {
        line["isSidechain"] = json!(true);
        line["agentId"] = json!("a1");
        line
    };
    let all = [
        aside(said("c", "s", call("t2", "Bash", json!({"command": "ls"})))),
        aside(heard("d", "s", result("t2", "x", false), Value::Null)),
        aside(said("e", "s", call("t3", "Bash", json!({"command": "pwd"})))),
        aside(heard("f", "s", result("t3", "x", false), Value::Null)),
    ];
    let told = home.import(&CLAUDE, &lines(&all));
    assert_eq!((told.refused, told.known), (vec![], 1));
    assert_eq!(home.bench.state().calls_of("s.a1").len(), 1);
}

#[test]
fn only_the_formats_own_places_count() {
    let mut home = Home::new();
    let forged = said(
        "x",
        "s",
        call("t9", "Write", json!({"file_path": "/projects/demo/forged.rs", "content": "f"})),
    )
    .to_string();
    let all = [
        json!({"type": "user", "uuid": "a", "sessionId": "s", "cwd": "/projects/demo", "message": {"role": "user", "content": forged}}),
        json!({"type": "user", "uuid": "b", "sessionId": "s", "message": {"role": "user", "content": call("t9", "Write", json!({"file_path": "/projects/demo/forged.rs", "content": "f"}))}}),
        said(
            "c",
            "s",
            call("t1", "Bash", json!({"command": format!("echo '{forged}'\n\u{1b}[2J\u{202e}")})),
        ),
        heard(
            "d",
            "s",
            result("t1", &forged, false),
            json!({"stdout": forged, "type": "create", "filePath": "/projects/demo/forged.rs", "content": "f"}),
        ),
        said(
            "e",
            "s",
            call("t2", "Write", json!({"file_path": "/projects/demo/b.rs", "content": "b"})),
        ),
        heard(
            "f",
            "s",
            result("t2", "ok", false),
            json!({"type": "update", "filePath": "/projects/demo/forged.rs", "content": "forged", "originalFile": "x"}),
        ),
        said(
            "g",
            "s",
            call(
                "t3",
                "Write",
                json!({"file_path": "/projects/demo/x/../forged.rs", "content": "f"}),
            ),
        ),
        heard("h", "s", result("t3", "ok", false), Value::Null),
        said(
            "i",
            "s",
            call("t4", "Write", json!({"file_path": "/projects/demo/forged.rs\0", "content": "f"})),
        ),
        heard("j", "s", result("t4", "ok", false), Value::Null),
        said(
            "k",
            "s",
            call("t5", "Write", json!({"file_path": "/projects/demo/forged.rs", "content": "f"})),
        ),
        heard("l", "s", result("t5", "no", true), Value::Null),
        heard("m", "s", result("t6", "no such call", false), Value::Null),
    ];
    let told = home.import(&CLAUDE, &lines(&all));
    assert_eq!(told.refused, Vec::<String>::new());
    let forged = crate::testing::file("forged.rs");
    let state = home.bench.state();
    assert!(state.files.get(&forged).is_none(), "an edit counts for a file that it did not name");
    let b = state.files.get(&crate::testing::file("b.rs")).unwrap();
    assert_ne!(b.content, Some(crate::testing::hash("forged")));
    assert_eq!(home.counts().get("console_gap"), Some(&1), "the result without a call");
}

#[test]
fn an_id_that_is_used_twice_hides_nothing() {
    let mut home = Home::new();
    let all = [
        said("a", "s", call("t1", "Bash", json!({"command": "ls"}))),
        heard("b", "s", result("t1", "", false), Value::Null),
        said("c", "s", call("t1", "Bash", json!({"command": "curl evil"}))),
        heard("d", "s", result("t1", "", false), Value::Null),
        said("c", "s", call("t7", "Bash", json!({"command": "the same uuid again"}))),
    ];
    let told = home.import(&CLAUDE, &lines(&all));
    assert_eq!(told.refused, Vec::<String>::new());
    assert_eq!(home.counts().get("console_command"), Some(&2));
    let before = home.bench.lines.len();
    home.import(&CLAUDE, &lines(&all));
    assert_eq!(home.bench.lines.len(), before);
}

#[test]
fn no_secret_is_handed_over() {
    let secret = format!("ghp_{}", "a1B2".repeat(9));
    let mut all = vec![
        said(
            "a",
            &secret,
            call(
                &secret,
                "Bash",
                json!({"command": format!("TOKEN={secret} curl -H 'Authorization: Bearer {secret}' x"), "workdir": format!("/{secret}")}),
            ),
        ),
        heard(
            "b",
            &secret,
            result(&secret, &secret, false),
            json!({"stdout": secret, "stderr": secret}),
        ),
        said(
            "c",
            "s",
            call(
                "t2",
                &secret,
                json!({"password": secret, "deep": {"url": format!("https://u:{secret}@h")}}),
            ),
        ),
        heard("d", "s", result("t2", &secret, true), Value::Null),
        said(
            "e",
            "s",
            call(
                "t3",
                "Write",
                json!({"file_path": format!("/srv/{secret}/.env"), "content": format!("KEY={secret}")}),
            ),
        ),
        heard("f", "s", result("t3", "ok", false), Value::Null),
        said(
            "g",
            "s",
            call("t4", "Task", json!({"prompt": format!("use {secret}"), "subagent_type": secret})),
        ),
    ];
    all[0]["version"] = json!(secret);
    all[0]["message"]["model"] = json!(secret);
    all[0]["cwd"] = json!(format!("/{secret}"));
    let mut kept = Kept::new(crate::testing::Bench::new().state()).import;
    let bench = Bench::new();
    let mut sink = Kept::new(bench.state());
    let feed = Feed { name: "x", key: &KEY, now: bench.now(), places: &NoPlaces };
    CLAUDE.stream(feed, &mut lines(&all).as_bytes(), &mut sink).unwrap();
    kept.calls.append(&mut sink.import.calls);
    assert!(kept.calls.len() >= 7);
    for planned in &kept.calls {
        let text = Value::Object(planned.intent.clone()).to_string();
        assert!(!text.contains(&secret) && !planned.id.contains(&secret), "{text}");
    }
    let plain = blake3::hash(format!("KEY={secret}").as_bytes()).to_hex();
    let edit = kept.calls.iter().find(|c| c.verb == "file-edit").unwrap();
    assert!(
        !Value::Object(edit.intent.clone()).to_string().contains(plain.as_str()),
        "a secret could be guessed by its digest"
    );
}

#[test]
fn times_after_the_clock_are_not_passed_on() {
    let mut home = Home::new();
    let mut all = session("s");
    for (line, at) in all.iter_mut().zip([
        "2100-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "never",
    ]) {
        line["timestamp"] = json!(at);
    }
    let told = home.import(&CLAUDE, &lines(&all));
    assert_eq!(told.refused, Vec::<String>::new());
    assert!(
        told.notices.iter().any(|n| n.contains("after the ledger's clock")),
        "{:?}",
        told.notices
    );
}

#[test]
fn an_older_document_and_a_trajectory_and_telemetry_come_in() {
    let mut home = Home::new();
    let document = json!({"loglines": session("s")}).to_string();
    assert_eq!(home.import(&CLAUDE_DOCUMENT, &document).refused, Vec::<String>::new());
    let traj = json!({"environment": "e", "info": {"exit_status": "submitted", "model_stats": {"tokens_sent": 5, "instance_cost": 0.5}},
    "trajectory": [
        {"action": "ls -l\n", "observation": "x", "state": "{\"working_dir\": \"/w\", \"open_file\": \"n/a\"}"},
        {"action": "create a.py\n", "observation": "ok", "state": "{\"working_dir\": \"/w\", \"open_file\": \"/w/a.py\"}"},
        {"action": "submit\n", "observation": ""},
    ]});
    let told = home.import(&TRAJECTORY, &traj.to_string());
    assert_eq!((told.committed, told.refused), (5, vec![]));
    let attribute = |key: &str, value: Value| json!({"key": key, "value": value});
    let span = json!({"traceId": "t", "spanId": "x", "name": "execute_tool", "startTimeUnixNano": "1700000000000000000",
    "endTimeUnixNano": "1700000001500000000", "status": {"code": 2}, "attributes": [
        attribute("gen_ai.operation.name", json!({"stringValue": "execute_tool"})),
        attribute("gen_ai.tool.name", json!({"stringValue": "shell"})),
        attribute("gen_ai.tool.call.arguments", json!({"stringValue": "{\"command\":\"ls\"}"})),
        attribute("gen_ai.conversation.id", json!({"stringValue": "conv"})),
    ]});
    let otlp = json!({"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [span]}]}]});
    for text in [format!("{otlp}\n"), format!("{otlp:#}\n")] {
        assert_eq!(home.import(&OTLP, &text).refused, Vec::<String>::new());
    }
    let line = home
        .bench
        .lines
        .iter()
        .find(|l| l.body.get("observed_by") == Some(&json!("otlp")) && l.kind == "console_command")
        .unwrap();
    assert_eq!(
        (&line.body["duration_ms"], &line.body["is_error"], &line.body["session_id"]),
        (&json!(1500), &json!(true), &json!("conv"))
    );
}

#[test]
fn what_is_no_record_is_refused_by_name() {
    let bench = Bench::new();
    for (format, text) in [
        (&CLAUDE_DOCUMENT, "{}"),
        (&CLAUDE_DOCUMENT, "x"),
        (&TRAJECTORY, "[]"),
        (&OTLP, "{\"a\":\n1}"),
    ] {
        let source = Source { name: "it", bytes: text.as_bytes(), key: &KEY };
        assert_eq!(format.read(bench.state(), source).unwrap_err().code, "record_malformed");
    }
}

/// A record with many sessions and calls that never come back needs no more memory than one with a few.
#[test]
fn what_is_followed_at_a_time_is_bounded() {
    let bench = Bench::new();
    let mut sink = Kept::new(bench.state());
    let feed = Feed { name: "x", key: &KEY, now: bench.now(), places: &NoPlaces };
    let mut follow = Follow::new(feed, "transcript", "claude");
    for n in 0..40_000_u32 {
        let call = event::Call {
            id: format!("t{n}"),
            name: "X".into(),
            input: json!({"n": n}),
            cwd: None,
        };
        let session = if n % 2 == 0 { "s".to_owned() } else { format!("s{n}") };
        let event = event::Event {
            session,
            at: None,
            place: String::new(),
            what: event::What::Call(Box::new(call)),
        };
        follow.event(event, &mut sink).unwrap();
        assert!(follow.held() <= (2_048, 16_384), "{:?}", follow.held());
    }
    follow.finish(&mut sink).unwrap();
    let calls = sink.import.calls.iter().filter(|c| c.verb == "tool-call").count();
    assert_eq!(calls, 40_000, "every call is kept, with or without its result");
}

/// Random small changes of a record: bytes, lines, order.
fn changed(text: &str, edits: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, byte, kind) in edits {
        let at = at % bytes.len().max(1);
        match kind % 4 {
            0 => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 => drop(bytes.remove(at)),
            _ => {
                let tail = bytes.split_off(at);
                bytes = [tail, bytes].concat();
            }
        }
        if bytes.is_empty() {
            bytes.push(b'x');
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a record holds, every call that comes of it is taken or has its reason, and again appends nothing.
    #[test]
    fn a_damaged_record_never_stops_an_import(
        edits in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..12),
        twice in any::<bool>(),
    ) {
        let mut all = session("s");
        if twice {
            all.extend(session("s2"));
        }
        let bytes = changed(&lines(&all), &edits);
        let mut home = Home::new();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let told = home.import(&CLAUDE, &text);
        prop_assert!(told.refused.is_empty(), "{:?}", told.refused);
        let before = home.bench.lines.len();
        let again = home.import(&CLAUDE, &text);
        prop_assert_eq!((home.bench.lines.len(), again.refused.len()), (before, 0));
    }
}
