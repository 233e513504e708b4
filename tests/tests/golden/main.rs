//! The public face of the program as golden files: help, and the shape of every JSON answer.
//! The reference page is held in docs/ by a test of the command line.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::Path;
use vaultmesh::house::HOUSE;
use vaultmesh::screen::Screen;
use vm_tests::golden;

/// Columns that help is wrapped to.
const WIDTH: usize = 100;

#[test]
fn help_of_every_command() {
    let mut root = vaultmesh::args::build(HOUSE).term_width(WIDTH);
    root.build();
    let mut pages: std::collections::BTreeMap<String, String> = Default::default();
    let mut waiting = vec![(String::new(), root)];
    while let Some((path, mut command)) = waiting.pop() {
        let page = path.split(' ').next().filter(|p| !p.is_empty()).unwrap_or("vm").to_owned();
        let text = format!("$ vm {path} --help\n{}\n", command.render_long_help())
            .replace("vm  --", "vm --");
        pages.entry(page).or_default().push_str(&text);
        let mut below: Vec<_> =
            command.get_subcommands().filter(|c| c.get_name() != "help").cloned().collect();
        below.reverse();
        waiting.extend(
            below.into_iter().map(|c| {
                (format!("{path} {}", c.get_name()).trim().to_owned(), c.term_width(WIDTH))
            }),
        );
    }
    let names: BTreeSet<String> = pages.keys().map(|name| format!("{name}.txt")).collect();
    pages.iter().for_each(|(name, text)| golden::check(&format!("help/{name}.txt"), text));
    golden::only("help", &names);
}

/// One command line in this process: exit code, standard output, standard error.
fn vm(home: &Path, words: &[&str]) -> (u8, String, String) {
    let mut all: Vec<std::ffi::OsString> = vec!["vm".into()];
    all.extend(words.iter().map(Into::into));
    all.extend(["--json".into(), "--home".into(), home.into()]);
    let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), std::io::empty());
    let screen = Screen {
        out: &mut out,
        err: &mut err,
        input: &mut input,
        colour: false,
        live: false,
        json: true,
        paths: Default::default(),
    };
    let code = vaultmesh::run(HOUSE, all, screen);
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    (code, text(out), text(err))
}

/// Members whose values are words of the program and part of its face.
const WORDS: [&str; 12] = [
    "code",
    "kind",
    "outcome",
    "level",
    "field",
    "claim",
    "name",
    "type",
    "op",
    "end",
    "mode",
    "retryable",
];

/// The shape of an answer: names and kinds of values, with words of the program kept as they are.
fn shape(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().map(|(k, v)| (k.clone(), shape(k, v))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => {
            let mut shapes: Vec<Value> = Vec::new();
            for item in items.iter().map(|item| shape(name, item)) {
                if !shapes.contains(&item) {
                    shapes.push(item);
                }
            }
            shapes.into()
        }
        Value::String(word) if WORDS.contains(&name) && !word.contains(' ') => value.clone(),
        Value::Bool(_) if WORDS.contains(&name) => value.clone(),
        Value::String(text) if text.is_empty() => "(empty text)".into(),
        Value::String(_) => "(text)".into(),
        Value::Number(_) => "(integer)".into(),
        Value::Bool(_) => "(bool)".into(),
        Value::Null => Value::Null,
    }
}

fn told(words: &[&str], (code, out, err): (u8, String, String)) -> String {
    let mut text = format!("$ vm {} --json\nexit {code}\n", words.join(" "));
    let (notes, err): (Vec<&str>, Vec<&str>) =
        err.lines().partition(|line| line.starts_with("note: "));
    notes.iter().for_each(|note| text.push_str(&format!("stderr {note}\n")));
    for (stream, said) in [("stdout", out), ("stderr", err.join("\n"))] {
        let documents: Vec<Value> = serde_json::Deserializer::from_str(&said)
            .into_iter::<Value>()
            .collect::<Result<_, _>>()
            .unwrap_or_else(|e| panic!("{words:?} {stream}: {e}: {said}"));
        for document in documents {
            let pretty = serde_json::to_string_pretty(&shape("", &document)).expect("it is JSON");
            text.push_str(&format!("{stream} {pretty}\n"));
        }
    }
    text + "\n"
}

#[test]
fn shape_of_every_json_answer() {
    let room = tempfile::tempdir().unwrap();
    let home = room.path().join("home");
    let guard = room.path().join("guard").display().to_string();
    let copy = room.path().join("copy").display().to_string();
    let restored = room.path().join("restored");
    let tiles = room.path().join("tiles").display().to_string();
    let proof = room.path().join("PROOF.json").display().to_string();
    let mut text = String::new();
    let mut say = |home: &Path, shown: &[&str], words: &[&str]| {
        text.push_str(&told(shown, vm(home, words)));
    };
    let mut same = |words: &[&str]| say(&home, words, words);
    let bank = ["--account", "assets:bank", "--asset", "EUR", "--class", "asset"];
    let dues = ["--account", "income:dues", "--asset", "EUR", "--class", "income"];
    same(&["status"]);
    let init = ["init", "--guard", &guard, "--node", "n1", "--demo"];
    say(&home, &["init", "--guard", "DIR", "--node", "n1", "--demo"], &init);
    let mut same = |words: &[&str]| say(&home, words, words);
    same(&["init"]);
    same(&[&["treasury", "account-open"][..], &bank, &["--id", "open-1"]].concat());
    same(&[&["treasury", "account-open"][..], &bank, &["--id", "open-1"]].concat());
    same(&[&["treasury", "account-open"][..], &dues, &["--id", "open-1"]].concat());
    same(&[&["treasury", "account-open"][..], &dues].concat());
    let transfer =
        ["--debit", "assets:bank", "--credit", "income:dues", "--asset", "EUR", "--amount"];
    same(&[&["treasury", "transfer"][..], &transfer, &["60.00", "--id", "dues-1"]].concat());
    same(&[&["treasury", "transfer"][..], &transfer, &["sixty"]].concat());
    same(&[&["treasury", "transfer"][..], &transfer, &["1.00", "--nosuch", "x"]].concat());
    same(&["nosuch"]);
    same(&["treasury", "trial-balance"]);
    same(&["treasury", "balance"]);
    same(&["treasury", "query", "--limit", "2"]);
    same(&["query", "treasury", "nosuch=1"]);
    same(&["receipt", "show", "treasury/1"]);
    same(&["receipt", "show", "treasury/99"]);
    same(&["verify"]);
    same(&["status"]);
    same(&["fsck"]);
    same(&["config", "explain"]);
    same(&["conform", "treasury"]);
    say(
        &home,
        &["prove", "treasury/3", "--output", "FILE"],
        &["prove", "treasury/3", "--output", &proof],
    );
    say(&home, &["verify", "PROOF.json"], &["verify", &proof]);
    let trust = home.join("keys/trust.txt").display().to_string();
    say(
        &home,
        &["verify", "PROOF.json", "--trust", "FILE"],
        &["verify", &proof, "--trust", &trust],
    );
    say(&home, &["export", "--tiles", "DIR"], &["export", "--tiles", &tiles]);
    say(&home, &["backup", "DIR"], &["backup", &copy]);
    say(&restored, &["restore", "DIR"], &["restore", &copy]);
    let mut say = |home: &Path, shown: &[&str], words: &[&str]| {
        text.push_str(&told(shown, vm(home, words)));
    };
    let file = home.join("receipts/treasury/00000000000000000000.jsonl");
    let lines = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, lines.replacen("ledger_open", "ledger_opem", 1)).unwrap();
    say(&home, &["verify"], &["verify"]);
    say(&home, &["status"], &["status"]);
    golden::check("json.txt", &text);
}

#[test]
fn shape_of_every_answer_about_runs() {
    let room = tempfile::tempdir().unwrap();
    let home = room.path().join("home");
    let file = |name: &str| room.path().join(name).display().to_string();
    let (guard, contract, proof) = (file("guard"), file("contract.json"), file("PROOF.json"));
    let (note, secret) = (file("note.md"), file("names.txt"));
    std::fs::write(&note, "nobody answered the telephone\n").unwrap();
    std::fs::write(&secret, "Mallory\n").unwrap();
    assert_eq!(vm(&home, &["init", "--guard", &guard, "--node", "n1"]).0, 0);
    let mut text = String::new();
    let mut say = |shown: &[&str], words: &[&str]| {
        let said = vm(&home, words);
        text.push_str(&told(shown, said.clone()));
        said.1
    };
    let plan = ["drills", "plan", "--prompt", "ransomware around a table", "--id", "r-1"];
    std::fs::write(&contract, say(&plan, &plan)).unwrap();
    say(&["drills", "run", "FILE"], &["drills", "run", &contract]);
    say(&["drills", "runs"], &["drills", "runs"]);
    let next = say(&["drills", "next", "r-1"], &["drills", "next", "r-1"]);
    let first = ready(&next).unwrap();
    let files = ["--outputs", &note, "--private-outputs", &secret];
    let words = ["drills", "complete-stage", "r-1", &first, "--outcome", "missed", "--note", "n"];
    let shown = ["drills", "complete-stage", "r-1", "STAGE", "--outcome", "missed", "--note", "n"];
    let mut last = say(&shown, &[&words[..], &files].concat());
    say(&shown, &[&words[..], &files].concat());
    say(&["drills", "seal", "r-1"], &["drills", "seal", "r-1"]);
    while let Some(stage) = ready(&last) {
        last = vm(&home, &["drills", "complete-stage", "r-1", &stage, "--outcome", "detected"]).1;
    }
    say(&["drills", "seal", "r-1"], &["drills", "seal", "r-1"]);
    say(
        &["drills", "output", "r-1", "names.txt", "-o", "FILE"],
        &["drills", "output", "r-1", "names.txt", "-o", &file("out")],
    );
    let by_id = ["receipt", "show", "r-1", "--private"];
    say(&by_id, &by_id);
    let disclose = ["prove", "r-1", "--disclose", "prompt"];
    say(
        &[&disclose[..], &["--output", "FILE"]].concat(),
        &[&disclose[..], &["--output", &proof]].concat(),
    );
    let trust = home.join("keys/trust.txt").display().to_string();
    let verify = ["verify", "PROOF.json", "--trust", "FILE"];
    say(&verify, &["verify", &proof, "--trust", &trust]);
    let case = home.join("cases/drills/r-1").display().to_string();
    let verify = ["verify", "CASE", "--trust", "FILE"];
    say(&verify, &["verify", &case, "--trust", &trust]);
    std::fs::write(home.join("cases/drills/r-1/outputs/note.md"), "everybody did\n").unwrap();
    say(&verify, &["verify", &case, "--trust", &trust]);
    let words = ["drills", "drill", "--prompt", "phishing", "--id", "r-2"];
    say(&words, &words);
    say(&["drills", "abort", "r-2"], &["drills", "abort", "r-2", "--reason", "rain"]);
    say(&["drills", "seal", "r-2"], &["drills", "seal", "r-2"]);
    golden::check("runs.txt", &text);
}

/// The first stage that can be completed.
fn ready(run: &str) -> Option<String> {
    let run: Value = serde_json::from_str(run).unwrap();
    Some(run["ready"][0]["id"].as_str()?.to_owned())
}

#[test]
fn shape_of_every_failure() {
    let mut text = String::new();
    for failure in vaultmesh::exit::samples() {
        let json = vaultmesh::exit::to_json(&failure);
        text.push_str(&format!(
            "exit {}\n{}{}\n\n",
            vaultmesh::exit::surface(&failure).exit,
            vaultmesh::exit::to_text(&failure),
            serde_json::to_string_pretty(&json).expect("it is JSON")
        ));
    }
    golden::check("failures.txt", &text);
}
