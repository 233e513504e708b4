//! A home, a repository and a person at a desk.

use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// An empty home and an empty directory to work in; nothing else of this machine.
pub struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    pub fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(desk.path("work")).unwrap();
        fs::create_dir(desk.path("user")).unwrap();
        assert!(desk.vm(&["init", "--demo"]).status.success());
        desk
    }

    /// The same with a repository in `work`; `None` where there is no git.
    pub fn with_git() -> Option<Self> {
        if !Command::new("git").arg("--version").output().is_ok_and(|o| o.status.success()) {
            eprintln!("skipped: there is no git here");
            return None;
        }
        let desk = Self::new();
        desk.git(&["init", "-q", "-b", "main", "."]);
        Some(desk)
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub fn work(&self, below: &str) -> PathBuf {
        self.path("work").join(below)
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("user"))
            .env("VM_HOME", self.home())
            .env("XDG_STATE_HOME", self.path("state"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Ann")
            .env("GIT_AUTHOR_EMAIL", "ann@example.org")
            .env("GIT_COMMITTER_NAME", "Ann")
            .env("GIT_COMMITTER_EMAIL", "ann@example.org")
            .current_dir(self.path("work"));
        command
    }

    pub fn program(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_vm"))
    }

    pub fn vm(&self, words: &[&str]) -> Output {
        self.program().args(words).output().unwrap()
    }

    pub fn vm_with(&self, words: &[&str], input: &[u8]) -> Output {
        let mut command = self.program();
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // What does not read its input to the end closes it.
            scope.spawn(move || stdin.write_all(input).is_ok());
            child.wait_with_output().unwrap()
        })
    }

    /// What a command prints that goes well.
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.vm(words);
        assert!(output.status.success(), "{words:?} {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same as JSON.
    pub fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[words, &["--json"]].concat())).unwrap()
    }

    /// Exit code and code of a refused command.
    pub fn refused(&self, words: &[&str]) -> (i32, String) {
        let output = self.vm(&[words, &["--json"]].concat());
        let error: Value = serde_json::from_slice(&output.stderr)
            .unwrap_or_else(|_| panic!("{words:?} {output:?}"));
        (output.status.code().unwrap(), error["code"].as_str().unwrap().to_owned())
    }

    pub fn git(&self, words: &[&str]) -> String {
        self.git_in("work", words)
    }

    pub fn git_in(&self, directory: &str, words: &[&str]) -> String {
        let mut command = self.command("git");
        command.current_dir(self.path(directory));
        let output =
            command.args(["-c", "protocol.file.allow=always"]).args(words).output().unwrap();
        assert!(output.status.success(), "git {words:?} {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.work(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Commits all that is in the work tree.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn explained(&self) -> Value {
        self.json(&["explain"])
    }

    /// The id of a file of HEAD's changes.
    pub fn file_id(&self, path: &str) -> String {
        file(&self.explained(), path)["file_id"].as_str().unwrap().to_owned()
    }

    /// Starts the session that edits belong to, once.
    pub fn session(&self, id: &str) {
        let intent =
            json!({"session_id": id, "agent_type": "toy", "mode": "record", "observed_by": "hook"});
        let start = self
            .vm_with(&["console", "session-start", "--intent", "-"], intent.to_string().as_bytes());
        assert!(start.status.success(), "{start:?}");
    }

    /// Records that an edit of a file left this content.
    pub fn edited(&self, file_id: &str, content: &[u8]) {
        let hash = format!("blake3:{}", blake3::hash(content).to_hex());
        self.edit(json!({"file_id": file_id, "edit_type": "modify", "new_hash": hash}));
    }

    /// Records an edit as it is given.
    pub fn edit(&self, mut intent: Value) {
        let given = [("session_id", "s-1"), ("file_path", "a file"), ("observed_by", "hook")];
        given.iter().for_each(|(name, value)| intent[*name] = json!(value));
        let words = ["console", "file-edit", "--intent", "-"];
        let said = self.vm_with(&words, intent.to_string().as_bytes());
        assert!(said.status.success(), "{said:?}");
    }

    /// The process that owns the home, once it listens.
    pub fn serve(&self) -> Served {
        let mut command = self.program();
        let mut child =
            command.arg("serve").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        // Its first line comes when it listens.
        let mut line = String::new();
        std::io::BufRead::read_line(
            &mut std::io::BufReader::new(child.stdout.as_mut().unwrap()),
            &mut line,
        )
        .unwrap();
        assert!(!line.is_empty());
        Served { child }
    }

    /// Whether these bytes stand anywhere in the home.
    pub fn holds(&self, needle: &[u8]) -> bool {
        holds(&self.home(), needle)
    }
}

/// A process that owns the home until it is let go.
pub struct Served {
    child: Child,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn holds(path: &Path, needle: &[u8]) -> bool {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path(), needle));
    }
    path.is_file() && fs::read(path).unwrap().windows(needle.len()).any(|window| window == needle)
}

/// The row of a file.
pub fn file<'a>(explained: &'a Value, path: &str) -> &'a Value {
    let files = explained["files"].as_array().unwrap();
    files.iter().find(|f| f["path"] == path).unwrap_or_else(|| panic!("no {path} in {explained}"))
}

/// Path and reason of each file, `yes` for one that is explained.
pub fn verdicts(explained: &Value) -> Vec<(String, String)> {
    let word = |v: &Value| v.as_str().unwrap_or("yes").to_owned();
    let files = explained["files"].as_array().unwrap();
    files.iter().map(|f| (word(&f["path"]), word(&f["reason"]))).collect()
}
