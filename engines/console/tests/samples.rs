//! Published sessions of agents read as they are. The files are read from VM_SHARED and never copied here.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use vm_console::keyed;
use vm_console::read::{CLAUDE, Format, Kept, TRAJECTORY};
use vm_console::secrets;
use vm_console::state::State;
use vm_contracts::{Feed, Import, Moment, NoPlaces, Streaming};

const KEY: [u8; 32] = [7; 32];

fn shared() -> PathBuf {
    std::env::var_os("VM_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"))
}

/// A sample, or `None` with a printed line when the folder is not here.
fn sample(name: &str) -> Option<Vec<u8>> {
    let path = shared().join("samples/console").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let required = std::env::var_os("VM_SHARED_REQUIRED").is_some_and(|v| v == "1");
            assert!(!required, "{}: {error}", path.display());
            let _ = writeln!(std::io::stderr(), "skipped: samples/console/{name}");
            None
        }
    }
}

fn read(format: &Format, bytes: &[u8]) -> Import {
    let state = State::default();
    let mut sink = Kept::new(&state);
    let now = Moment::parse_human("2026-06-01").unwrap();
    let feed = Feed { name: "sample", key: &KEY, now, places: &NoPlaces };
    format.stream(feed, &mut &bytes[..], &mut sink).unwrap();
    sink.import
}

fn verbs(import: &Import) -> BTreeMap<&str, usize> {
    let mut verbs = BTreeMap::new();
    import.calls.iter().for_each(|call| *verbs.entry(call.verb).or_default() += 1);
    verbs
}

fn edit(import: &Import) -> (&str, &str, &str) {
    let edit = &import.calls.iter().find(|c| c.verb == "file-edit").unwrap().intent;
    let text = |name: &str| edit[name].as_str().unwrap();
    (text("file_id"), text("new_hash"), text("edit_type"))
}

#[test]
fn a_session_with_a_file_and_a_commit_reads_whole() {
    let Some(bytes) = sample("sample_session.jsonl") else { return };
    let import = read(&CLAUDE, &bytes);
    let want = [("command", 1), ("file-edit", 1), ("session-end", 1), ("session-start", 1)];
    assert_eq!(verbs(&import), want.into());
    let project = keyed::project_id(&KEY, b"/project");
    let file = keyed::file_id(&KEY, &project, b"hello.py");
    let text = b"def hello():\n    return 'Hello, World!'\n";
    let content = keyed::content(&KEY, "hello.py", text);
    let (id, hash, _) = edit(&import);
    assert_eq!((id, hash), (file.as_str(), content.as_str()));
    assert_eq!(import.notices, ["1 summaries have no receipt of their own"]);
}

#[test]
fn messages_of_every_kind_read() {
    let Some(bytes) = sample("representative_messages.jsonl") else { return };
    let import = read(&CLAUDE, &bytes);
    let want = [("command", 1), ("file-edit", 1), ("session-end", 1), ("session-start", 1)];
    assert_eq!(verbs(&import), want.into());
    assert_eq!(edit(&import).2, "create", "an edit of nothing makes the file");
    let end = &import.calls.last().unwrap().intent;
    let tokens = (end["tokens_input"].as_i64(), end["tokens_output"].as_i64());
    assert_eq!(tokens, (Some(218), Some(445)));
    let command = &import.calls.iter().find(|c| c.verb == "command").unwrap().intent;
    let how = (command["duration_ms"].as_i64(), command["is_error"].as_bool());
    assert_eq!(how, (Some(1000), Some(false)));
}

#[test]
fn two_sessions_in_one_file_stay_two() {
    let (one, two) = (sample("sample_session.jsonl"), sample("session_b.jsonl"));
    let (Some(one), Some(two)) = (one, two) else { return };
    let import = read(&CLAUDE, &[one, two].concat());
    assert_eq!(verbs(&import).get("session-start"), Some(&2));
    assert_eq!(verbs(&import).get("session-end"), Some(&2));
}

#[test]
fn a_trajectory_reads_step_by_step() {
    let Some(bytes) = sample("warmup.traj") else { return };
    let import = read(&TRAJECTORY, &bytes);
    let verbs = verbs(&import);
    let ends = (verbs["session-start"], verbs["session-end"], verbs["command"]);
    assert_eq!(ends, (1, 1, 1), "{verbs:?}");
    assert_eq!(verbs["file-edit"], 3, "one create and two edits");
    let hashes = import.calls.iter().filter(|c| c.intent.contains_key("new_hash")).count();
    assert_eq!(hashes, 0, "what such an edit leaves is not told, so nothing is claimed");
}

#[test]
fn texts_and_sources_hold_few_things_that_look_like_secrets() {
    let (mut found, mut bytes) = (Vec::new(), 0);
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut roots: Vec<_> =
        ["ledger/src", "cli/src", "receipts/src", "docs"].map(|dir| sources.join(dir)).into();
    roots.extend([shared().join("design"), shared().join("corpora/codec")]);
    for root in roots {
        walk(&root, &mut |path, text| {
            bytes += text.len();
            for hit in secrets::scan(text) {
                let what = &text[hit.start..hit.end];
                found.push(format!("{}: {} {what:?}", path.display(), hit.kind));
            }
        });
    }
    // Examples of tokens and passwords are among them.
    assert!(found.len() * 100_000 <= bytes, "{} in {bytes} bytes: {found:#?}", found.len());
}

fn walk(path: &Path, visit: &mut dyn FnMut(&Path, &str)) {
    if path.is_dir() {
        let entries = std::fs::read_dir(path).unwrap();
        let mut entries: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| walk(entry, visit));
    } else if let Ok(text) = std::fs::read_to_string(path) {
        visit(path, &text);
    }
}
