//! `cargo xtask demo`: the main job on real input, ending in a verified proof and in a caught forgery.

use crate::step::{self, root, shown, target};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const JOURNAL: &str = "tests/data/journal/association-2025.journal";

/// Builds `vm` and walks through init, import, balances, proof, verification and a flipped byte.
pub fn run(words: &[String]) -> Result<(), String> {
    let journal = match words {
        [] => root().join(JOURNAL),
        [flag, file] if flag == "--journal" => {
            fs::canonicalize(file).map_err(|e| format!("cannot read the journal {file}: {e}"))?
        }
        _ => return Err("demo takes only --journal FILE".into()),
    };
    step::cargo(&["build", "--quiet", "--release", "--locked", "--package", "vaultmesh"], &[])?;
    let demo = Demo {
        vm: target().join("release/vm"),
        home: target().join("demo-home"),
        guard: target().join("demo-guard"),
    };
    let empty = target().join("demo-empty");
    for dir in [&demo.home, &demo.guard, &empty, &target().join("demo-forged")] {
        remove(dir)?;
    }
    fs::create_dir_all(&empty).map_err(|e| format!("cannot make {}: {e}", empty.display()))?;
    demo.tell(&journal, &empty)?;
    demo.forge()
}

struct Demo {
    vm: PathBuf,
    home: PathBuf,
    guard: PathBuf,
}

impl Demo {
    fn tell(&self, journal: &Path, empty: &Path) -> Result<(), String> {
        title("A new ledger home, marked as a demonstration");
        self.vm(&["init", "--demo", "--domain", "demo.example", "--node", "desk"])?;

        title("A year of bookkeeping, each posting a pair of signed receipts");
        self.vm(&["treasury", "import", &text(journal)])?;
        self.vm(&["treasury", "trial-balance"])?;

        title("One receipt");
        let receipt = self.newest_transfer()?;
        self.vm(&["receipt", "show", &receipt])?;

        title("Its proof, verified in an empty directory with nothing but a file of public keys");
        self.vm(&["prove", &receipt, "--output", &text(&empty.join("PROOF.json"))])?;
        let trust = empty.join("trust.txt");
        fs::copy(self.home.join("keys/trust.txt"), &trust)
            .map_err(|e| format!("cannot copy the keys: {e}"))?;
        let mut verify = Command::new(&self.vm);
        verify.current_dir(empty).args(["verify", "PROOF.json", "--trust", "trust.txt"]);
        verify.env("VM_HOME", empty.join("no-home-here"));
        step::run(&mut verify)?;

        title("The whole home, verified from its bytes");
        let trust = text(&self.home.join("keys/trust.txt"));
        self.vm(&["verify", &text(&self.home), "--trust", &trust])
    }

    /// Flips one bit in the middle of a copy of the home and shows what an auditor is told.
    fn forge(&self) -> Result<(), String> {
        title("One bit of one byte changed, in a copy of the home");
        let forged = target().join("demo-forged");
        let io = |what: &str, e: std::io::Error| format!("cannot {what}: {e}");
        copy(&self.home, &forged).map_err(|e| io("copy the home", e))?;
        let file = forged.join("receipts/treasury/00000000000000000000.jsonl");
        let mut bytes = fs::read(&file).map_err(|e| io("read the copy", e))?;
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(&file, bytes).map_err(|e| io("write the copy", e))?;
        println!("(byte {at} of receipts/treasury/00000000000000000000.jsonl)");
        let mut verify = Command::new(&self.vm);
        let trust = self.home.join("keys/trust.txt");
        verify.args(["verify", &text(&forged), "--trust", &text(&trust)]);
        println!("$ {}", shown(&verify));
        let status = verify.status().map_err(|e| io("start vm", e))?;
        match status.code() {
            Some(6) => {
                println!("\nvm ended with 6, which says: tampered. The demonstration is complete.");
                Ok(())
            }
            other => Err(format!("the forgery was not noticed: vm ended with {other:?}")),
        }
    }

    /// The last debit of the journal, found by a query.
    fn newest_transfer(&self) -> Result<String, String> {
        let mut command = self.command(&["query", "treasury", "type=treasury_debit"]);
        command.args(["--order", "desc", "--limit", "1", "--json"]);
        println!("$ {}", shown(&command));
        let output = command.output().map_err(|e| format!("cannot start vm: {e}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let after = text.split("\"seq\":").nth(1).unwrap_or_default();
        let seq: String = after.trim_start().chars().take_while(char::is_ascii_digit).collect();
        match seq.is_empty() {
            true => Err(format!("the query found no transfer: {text}")),
            false => Ok(format!("treasury/{seq}")),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.vm);
        command.args(words).env("VM_HOME", &self.home).env("VM_GUARD", &self.guard);
        command.stdin(Stdio::null());
        command
    }

    fn vm(&self, words: &[&str]) -> Result<(), String> {
        step::run(&mut self.command(words))
    }
}

fn title(text: &str) {
    println!("\n== {text}");
    // Keeps the order on screen when both outputs go to one pipe; a closed pipe ends the next command anyway.
    let _ = std::io::stdout().flush();
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn remove(dir: &Path) -> Result<(), String> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {e}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type()?.is_dir() {
            true => copy(&from, &to)?,
            false => fs::copy(from, to).map(|_| ())?,
        }
    }
    Ok(())
}
