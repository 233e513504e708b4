//! A coding agent: its transcript becomes receipts, and a commit is held against what it edited.

use super::desk::{Desk, hand_over, text, title};
use crate::step::{self, answers, root};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const TRANSCRIPT: &str = "tests/data/console/session.jsonl";
/// Where the agent of the transcript worked.
const RECORDED: &str = "/home/ann/demo";
/// What stands in the repository when the commit is made: two files as the agent left them, and one of somebody else.
const FILES: [(&str, &str); 3] = [
    ("hello.py", "def hello():\n    return \"Hello\"\n"),
    ("README.md", "# Hello\n"),
    ("auth.py", "import os\n"),
];

/// From the transcript to the explained commit and its proof.
pub fn explain(desk: &Desk) -> Result<(), String> {
    title(
        "A coding agent wrote two files; a third was slipped into the commit. What does the record explain?",
    );
    if !answers("git", &["--version"]) {
        println!("skipped: git is not installed");
        return Ok(());
    }
    let repository = desk.papers.join("agent");
    fs::create_dir_all(&repository)
        .map_err(|e| format!("cannot make {}: {e}", repository.display()))?;
    let repository = fs::canonicalize(&repository).map_err(|e| e.to_string())?;
    let recorded = fs::read_to_string(root().join(TRANSCRIPT))
        .map_err(|e| format!("cannot read {TRANSCRIPT}: {e}"))?;
    desk.paper("session.jsonl", &recorded.replace(RECORDED, &text(&repository)))?;
    desk.vm(&["console", "import", "session.jsonl"])?;
    for (name, content) in FILES {
        fs::write(repository.join(name), content)
            .map_err(|e| format!("cannot write {name}: {e}"))?;
    }
    git(&repository, &["init", "--quiet"])?;
    git(&repository, &["add", "."])?;
    git(&repository, &["commit", "--quiet", "--message", "Say hello"])?;
    step::run(desk.command(&["explain", "HEAD"]).current_dir(&repository))?;
    step::run(desk.command(&["console", "commit"]).current_dir(&repository))?;
    prove(desk)
}

/// The receipt of the commit is the last of its scroll; an auditor verifies it.
fn prove(desk: &Desk) -> Result<(), String> {
    title("The receipt that says so, verified with nothing but a file of public keys");
    let found = desk.ask(&["console", "query", "type=console_git_commit", "--json"])?;
    let seq = found
        .split("\"seq\":")
        .nth(1)
        .and_then(|rest| rest.trim_start().split(|c: char| !c.is_ascii_digit()).next())
        .ok_or("the receipt of the commit is not there")?;
    let paper = text(&desk.papers.join("COMMIT.json"));
    desk.ask(&["prove", &format!("console/{seq}"), "--output", &paper])?;
    hand_over(Path::new(&paper), &desk.auditor.join("COMMIT.json"))?;
    desk.audit("COMMIT.json")
}

fn git(repository: &Path, words: &[&str]) -> Result<(), String> {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]);
    git.args([
        "-c",
        "commit.gpgSign=false",
        "-c",
        "init.defaultBranch=main",
        "-c",
        "core.hooksPath=",
    ]);
    step::run(git.args(words).current_dir(repository).stdin(Stdio::null()))
}
