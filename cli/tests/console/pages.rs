//! What the pages about the recorder tell to type runs, in their order, and says what they say.

use crate::desk::Desk;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

/// Where the agent of the transcript worked.
const ITS_DIRECTORY: &str = "/home/ann/demo";

fn page(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).unwrap()
}

/// The fenced blocks of a language below a heading.
fn blocks(text: &str, heading: &str, language: &str) -> Vec<String> {
    let (_, text) =
        text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let text = text.split("\n## ").next().unwrap();
    let fenced = text.split("\n```").skip(1).step_by(2);
    let blocks = fenced.filter_map(|block| block.strip_prefix(&format!("{language}\n")));
    blocks.map(|block| format!("{block}\n")).collect()
}

/// Types the lines; the first one that fails ends it.
fn types(desk: &Desk, lines: &str, env: &[(&str, &str)]) -> Output {
    let programs = Path::new(env!("CARGO_BIN_EXE_vm")).parent().unwrap();
    let mut shell = desk.command("sh");
    shell.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()));
    let output = shell.envs(env.iter().copied()).args(["-e", "-c", lines]).output().unwrap();
    assert!(output.status.success(), "{lines}\n{output:?}");
    output
}

#[test]
fn the_three_minutes_of_the_recorder_end_with_an_explained_commit() {
    let began = Instant::now();
    let Some(desk) = Desk::with_git() else { return };
    let transcript = page("tests/data/console/session.jsonl");
    let here = desk.work("").canonicalize().unwrap();
    let transcript = transcript.replace(ITS_DIRECTORY, here.to_str().unwrap());
    fs::write(desk.work("session.jsonl"), transcript).unwrap();
    let told = page("docs/agent-recorder.md");
    let lines = blocks(&told, "## Three minutes", "sh");
    assert!(lines.len() >= 6, "{lines:?}");
    let said: Vec<String> = lines
        .iter()
        .map(|block| String::from_utf8(types(&desk, block, &[]).stdout).unwrap())
        .collect();
    // The page promises three minutes of a person; that is far more than the machine may need.
    let took = began.elapsed();
    eprintln!(
        "from the install to the explained commit and the page's end: {} ms",
        took.as_millis()
    );
    assert!(took < Duration::from_secs(180), "{took:?}");
    let promised = blocks(&told, "## Three minutes", "text").concat();
    assert_eq!(said[2].lines().next(), promised.lines().next());
    assert!(said[3].contains("console_git_commit"), "the hook has recorded it: {}", said[3]);
    assert!(
        said[4].contains("hello.py  as it is now by") && said[4].contains("python3 hello.py"),
        "{}",
        said[4]
    );
}

#[test]
fn edits_of_another_machine_explain_a_commit_under_the_path_that_they_had_there() {
    let Some(desk) = Desk::with_git() else { return };
    fs::write(desk.path("session.jsonl"), page("tests/data/console/session.jsonl")).unwrap();
    desk.ok(&["console", "import", "../session.jsonl"]);
    desk.write("hello.py", "def hello():\n    return \"Hello\"\n");
    desk.write("README.md", "# Hello\n");
    desk.commit("Say hello");
    assert_eq!(desk.explained()["files_explained"], 0);
    let there = desk.json(&["explain", "--recorded-as", ITS_DIRECTORY]);
    assert_eq!(there["files_explained"], 2, "{there}");
    assert_eq!(desk.refused(&["explain", "--recorded-as", "demo"]).1, "wrong_type");
}

#[test]
fn the_job_of_the_page_about_pipelines_runs_and_its_proofs_verify_elsewhere() {
    let desk = Desk::new();
    let told = page("docs/ci.md");
    let job = blocks(&told, "## The job", "sh");
    let there = blocks(&told, "## On another machine", "sh");
    assert_eq!((job.len(), there.len()), (1, 2));
    let temp = desk.path("runner");
    fs::create_dir(&temp).unwrap();
    let env = [("RUNNER_TEMP", temp.to_str().unwrap()), ("RUN_NUMBER", "7")];
    types(&desk, &job[0], &env);
    let home = temp.join("vaultmesh");
    types(&desk, &there[1], &[&env[..], &[("VM_HOME", home.to_str().unwrap())]].concat());
    // The job and its home are gone.
    let kept = desk.path("kept");
    fs::rename(desk.work("artifacts"), &kept).unwrap();
    fs::remove_dir_all(&temp).unwrap();
    let verdicts = types(&desk, &format!("cd {}\n{}", kept.display(), there[0]), &[]);
    let said = String::from_utf8(verdicts.stdout).unwrap();
    assert!(said.matches("verified").count() >= 2, "{said}");
    let open = types(
        &desk,
        &format!("cd {}\nvm verify report-open.json --trust trust.txt", kept.display()),
        &[],
    );
    let said = String::from_utf8(open.stdout).unwrap();
    let digest = format!("blake3:{}", blake3::hash(b"12 passed\n").to_hex());
    assert!(said.contains("report.txt") && said.contains(&digest), "{said}");
}
