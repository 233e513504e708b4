//! A scratch directory with a home, and a process that serves it.

use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use vaultmesh::client::Client;

/// Longer than anything takes that comes to an end at all.
const PATIENCE: Duration = Duration::from_secs(120);

/// A transfer between the accounts of the home.
pub const TRANSFER: [&str; 10] = [
    "treasury",
    "transfer",
    "--debit",
    "assets:bank",
    "--credit",
    "income:dues",
    "--asset",
    "EUR",
    "--amount",
    "60.00",
];

/// A directory with a home in it.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub home: PathBuf,
}

impl Place {
    /// A home with two accounts.
    pub fn new() -> Self {
        Self::below("home")
    }

    /// The same at a path below the directory.
    pub fn below(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join(name);
        let place = Self { dir, home };
        place.ok(&["init", "--node", "n1"]);
        for (account, class) in [("assets:bank", "asset"), ("income:dues", "income")] {
            place.ok(&[
                "treasury",
                "account-open",
                "--account",
                account,
                "--asset",
                "EUR",
                "--class",
                class,
            ]);
        }
        place
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vm"));
        command
            .env_clear()
            .env("VM_HOME", &self.home)
            .env("XDG_STATE_HOME", self.dir.path().join("state"))
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .current_dir(self.dir.path());
        command
    }

    pub fn vm(&self, words: &[&str]) -> Output {
        self.command().args(words).stdin(Stdio::null()).output().unwrap()
    }

    /// Standard output of a command that must succeed.
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.vm(words);
        assert!(output.status.success(), "{words:?}\n{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same with something on standard input.
    pub fn fed(&self, words: &[&str], input: &str) -> Output {
        let mut command = self.command();
        let command = command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // A command that reads nothing may be gone before all is written.
        let feeder = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        output
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts an owner, and waits until it answers.
    pub fn serve(&self) -> Owner {
        let mut command = self.command();
        let child = command.arg("serve").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut owner = Owner { child: child.unwrap() };
        until(|| {
            assert!(owner.child.try_wait().unwrap().is_none(), "the owner ended");
            Client::connect(&self.home).unwrap().is_some()
        });
        owner
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.home).unwrap().unwrap()
    }

    /// Whether everything in the home agrees.
    pub fn check(&self) {
        let output = self.vm(&["fsck"]);
        assert!(output.status.success(), "{}", said(&output));
    }
}

/// A process that serves a home; it is killed when this is dropped.
pub struct Owner {
    child: Child,
}

impl Owner {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    pub fn ends(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to stop, and waits for its end.
    pub fn stop(mut self) {
        self.signal("-TERM");
        assert_eq!(self.ends(), Some(0));
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.ends();
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
pub fn until(mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{:?}\n{}{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub fn intent(amount: &str) -> Value {
    json!({"debit": "assets:bank", "credit": "income:dues", "asset": "EUR", "amount": amount})
}

/// A line of a batch.
pub fn line(id: Option<&str>) -> String {
    match id {
        Some(id) => format!("{}\n", json!({"intent": intent("1.00"), "id": id})),
        None => format!("{}\n", json!({"intent": intent("1.00")})),
    }
}

pub fn call(id: &str) -> Value {
    json!({"engine": "treasury", "verb": "transfer", "intent": intent("1.00"), "id": id})
}

/// Lines of NDJSON.
pub fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn exists(program: &str) -> bool {
    let paths = ["/bin", "/usr/bin", "/usr/local/bin"];
    paths.iter().any(|dir| Path::new(dir).join(program).exists())
}
