//! The theme `console`: what `vm explain` takes in a repository and a ledger that are in use.

use crate::row::Row;
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Files of the repository.
const FILES: usize = 10_000;
/// Sessions of the ledger, with an edit for each ten files.
const SESSIONS: usize = 1_000;
/// Files that the commit changes.
const CHANGED: usize = 50;
/// How often it is asked; the slowest is told.
const TIMES: usize = 20;
/// Most milliseconds of the whole process.
const MOST_MS: f64 = 200.0;

/// The program in a directory of its own; nothing where there is no git.
pub fn rows(vm: &Path, scratch: &Path) -> Result<Vec<Row>, String> {
    let there = Command::new("git").arg("--version").stdout(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!("skipped: console explain, because there is no git");
        return Ok(Vec::new());
    }
    let place = |name: &str| std::path::absolute(scratch.join(name)).map_err(|e| e.to_string());
    let desk =
        Desk { vm: vm.to_owned(), home: place("explain")?, repository: place("repository")? };
    let guard = place("explain-guard")?;
    desk.vm(&["init", "--node", "n1", "--guard", &guard.display().to_string()], b"")?;
    desk.fill()?;
    let first = desk.ask()?;
    let mut slowest = 0.0f64;
    for _ in 0..TIMES {
        let began = Instant::now();
        desk.ask()?;
        slowest = began.elapsed().as_secs_f64().max(slowest);
    }
    if !first.contains(&format!("{CHANGED} of {CHANGED} changed files explained")) {
        return Err(format!("the commit is not explained: {first}"));
    }
    let name = format!("console explain ({FILES} files, {SESSIONS} sessions)");
    Ok(vec![Row::plain(name, slowest * 1e3, "ms").at_most(MOST_MS)])
}

struct Desk {
    vm: PathBuf,
    home: PathBuf,
    repository: PathBuf,
}

impl Desk {
    fn ask(&self) -> Result<String, String> {
        self.vm(&["explain"], b"")
    }

    /// A first commit of all files, a second one of some of them, and sessions that edited those.
    fn fill(&self) -> Result<(), String> {
        let failed = |e: std::io::Error| e.to_string();
        fs::create_dir_all(&self.repository).map_err(failed)?;
        self.git(&["init", "-q", "-b", "main", "."])?;
        let path = |n: usize| format!("d{}/e{}/file{n}.rs", n % 40, n % 7);
        for n in 0..FILES {
            let file = self.repository.join(path(n));
            fs::create_dir_all(file.parent().expect("it is below")).map_err(failed)?;
            fs::write(file, format!("// file {n}\n").repeat(40)).map_err(failed)?;
        }
        self.commit("all")?;
        for n in 0..CHANGED {
            fs::write(self.repository.join(path(n)), changed(n)).map_err(failed)?;
        }
        self.commit("some")?;
        let told: serde_json::Value = serde_json::from_str(&self.vm(&["explain", "--json"], b"")?)
            .map_err(|e| e.to_string())?;
        let start = |n: usize| json!({"id": format!("start-{n}"), "intent": {"session_id": format!("s-{n}"), "agent_type": "bench", "mode": "import", "observed_by": "transcript"}});
        self.batch("session-start", (0..SESSIONS).map(start))?;
        let row = |n: usize| {
            let rows = told["files"].as_array().into_iter().flatten();
            rows.into_iter().find(|f| f["path"] == path(n).as_str()).map(|f| f["file_id"].clone())
        };
        let edit = |n: usize, id: serde_json::Value, hash: String| {
            json!({"id": format!("edit-{n}"), "intent": {"session_id": format!("s-{}", n % SESSIONS), "file_path": path(n), "file_id": id,
                "edit_type": "modify", "new_hash": hash, "observed_by": "transcript"}})
        };
        let edits = (0..FILES).map(|n| {
            let id = if n < CHANGED { row(n) } else { None };
            let hash = if n < CHANGED { digest(&changed(n)) } else { digest(&n.to_string()) };
            edit(n, id.unwrap_or_else(|| json!(format!("k:{n:032x}"))), hash)
        });
        self.batch("file-edit", edits)
    }

    fn batch(
        &self,
        verb: &str,
        calls: impl Iterator<Item = serde_json::Value>,
    ) -> Result<(), String> {
        let lines: Vec<String> = calls.map(|call| call.to_string()).collect();
        self.vm(&["console", verb, "--batch", "-"], lines.join("\n").as_bytes()).map(drop)
    }

    fn commit(&self, message: &str) -> Result<(), String> {
        self.git(&["add", "-A"])?;
        self.git(&[
            "-c",
            "user.name=bench",
            "-c",
            "user.email=b@example.org",
            "commit",
            "-q",
            "-m",
            message,
        ])
    }

    fn git(&self, words: &[&str]) -> Result<(), String> {
        run(Command::new("git").args(words).current_dir(&self.repository), b"").map(drop)
    }

    fn vm(&self, words: &[&str], input: &[u8]) -> Result<String, String> {
        let directory =
            if self.repository.is_dir() { self.repository.as_path() } else { Path::new(".") };
        run(
            Command::new(&self.vm).env("VM_HOME", &self.home).args(words).current_dir(directory),
            input,
        )
    }
}

fn changed(n: usize) -> String {
    format!("// file {n}, changed\n").repeat(40)
}

fn digest(text: &str) -> String {
    format!("blake3:{}", blake3::hash(text.as_bytes()).to_hex())
}

/// What it prints; its input is written while it runs.
fn run(command: &mut Command, input: &[u8]) -> Result<String, String> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|e| e.to_string())?;
    let mut stdin = child.stdin.take().expect("it is piped");
    let output = std::thread::scope(|scope| {
        // Whoever does not read to the end closes it.
        scope.spawn(move || stdin.write_all(input).is_ok());
        child.wait_with_output()
    });
    let output = output.map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{command:?}: {}", output.status)),
    }
}
