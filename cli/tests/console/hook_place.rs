//! A home, a project and a person, with nothing else of this machine.

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A scratch directory with a home, a work tree and a user's directory.
pub struct Place {
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["work", "user"] {
            fs::create_dir(place.path(name)).unwrap();
        }
        place.ok(&["init", "--node", "n1"]);
        place
    }

    pub fn path(&self, below: &str) -> PathBuf {
        // A temporary directory may stand behind a link.
        fs::canonicalize(self.dir.path()).unwrap().join(below)
    }

    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("user"))
            .env("VM_HOME", self.home())
            .env("XDG_STATE_HOME", self.path("state"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(self.path("work"));
        command
    }

    pub fn vm(&self, words: &[&str]) -> Output {
        let mut command = self.command(env!("CARGO_BIN_EXE_vm"));
        command.args(words).stdin(Stdio::null()).output().unwrap()
    }

    /// Standard output of a command that must succeed.
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.vm(words);
        assert!(output.status.success(), "{words:?}\n{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[words, &["--json"]].concat())).unwrap()
    }

    pub fn start(&self, words: &[&str], input: &[u8]) -> Child {
        let mut command = self.command(env!("CARGO_BIN_EXE_vm"));
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may be gone before all is written.
        let _ = child.stdin.take().unwrap().write_all(input);
        child
    }

    pub fn fed(&self, words: &[&str], input: &[u8]) -> Output {
        self.start(words, input).wait_with_output().unwrap()
    }

    /// An event of an agent in record mode; nothing may be said to the agent.
    pub fn hook(&self, event: &Value) {
        let said = self.fed(&["console", "hook"], event.to_string().as_bytes());
        assert!(said.status.success() && said.stdout.is_empty(), "{event}\n{said:?}");
    }

    /// Receipts of a type, oldest first, with their private values opened.
    pub fn receipts(&self, kind: &str) -> Vec<Value> {
        let words =
            ["console", "query", "--private", "--limit", "1000", "--order", "asc", "--type", kind];
        let page = self.json(&words);
        page["receipts"].as_array().unwrap().clone()
    }

    pub fn serve(&self) -> Served {
        let mut command = self.command(env!("CARGO_BIN_EXE_vm"));
        let command = command.arg("serve").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // Its first line comes when it listens.
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        Served { child }
    }

    /// Whether these bytes stand anywhere in the home.
    pub fn holds(&self, needle: &str) -> bool {
        holds(&self.home(), needle.as_bytes())
    }

    pub fn write(&self, below: &str, content: &str) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

fn holds(path: &Path, needle: &[u8]) -> bool {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path(), needle));
    }
    path.is_file() && fs::read(path).unwrap().windows(needle.len()).any(|w| w == needle)
}

/// A process that owns the home until it is let go.
pub struct Served {
    pub child: Child,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An event of Claude Code around a call of a tool.
pub fn event(name: &str, call: &str, tool: &str, input: Value) -> Value {
    let mut event = json!({
        "session_id": "s-1", "hook_event_name": name, "tool_name": tool, "tool_use_id": call,
        "tool_input": input,
    });
    if name == "PostToolUse" {
        event["tool_response"] = json!({"stdout": "done", "stderr": ""});
    }
    event
}

/// The body of a receipt.
pub fn body(receipt: &Value) -> &Value {
    &receipt["line"]["body"]
}
