//! Where the demonstration works: a home, a desk with papers, and an auditor's empty directory.

use crate::step::{self, shown, target};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Exit code of `vm verify` where something was changed.
const TAMPERED: i32 = 6;

/// The directories of one demonstration; all of them are made anew.
pub struct Desk {
    vm: PathBuf,
    guard: PathBuf,
    /// The ledger home.
    pub home: PathBuf,
    /// Papers of whoever works at it.
    pub papers: PathBuf,
    /// The auditor's directory: only what was handed over.
    pub auditor: PathBuf,
    /// Copies that are forged.
    pub forged: PathBuf,
}

impl Desk {
    /// Empty directories below the build directory.
    pub fn new(vm: PathBuf) -> Result<Self, String> {
        let at = |name: &str| target().join(name);
        let desk = Self {
            vm,
            guard: at("demo-guard"),
            home: at("demo-home"),
            papers: at("demo-papers"),
            auditor: at("demo-auditor"),
            forged: at("demo-forged"),
        };
        for dir in [&desk.guard, &desk.home, &desk.papers, &desk.auditor, &desk.forged] {
            remove(dir)?;
        }
        for dir in [&desk.papers, &desk.auditor, &desk.forged] {
            fs::create_dir_all(dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        }
        Ok(desk)
    }

    /// `vm` in this home, at the desk.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.vm);
        command.args(words).env("VM_HOME", &self.home).env("VM_GUARD", &self.guard);
        command.current_dir(&self.papers).stdin(Stdio::null());
        command
    }

    /// Runs `vm` and shows what it says.
    pub fn vm(&self, words: &[&str]) -> Result<(), String> {
        step::run(&mut self.command(words))
    }

    /// Runs `vm` and gives back what it says; only the command is shown.
    pub fn ask(&self, words: &[&str]) -> Result<String, String> {
        step::ask(&mut self.command(words))
    }

    /// A program in the auditor's directory, which has no home.
    pub fn auditor(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).current_dir(&self.auditor).stdin(Stdio::null());
        command.env("VM_HOME", self.auditor.join("no-home-here"));
        command
    }

    /// `vm verify` of a file that the auditor has.
    pub fn audit(&self, file: &str) -> Result<(), String> {
        step::run(&mut self.auditor(&self.vm, &["verify", file, "--trust", "trust.txt"]))
    }

    /// Verifies a forged copy; anything but *tampered* is an error.
    pub fn catch(&self, copy: &Path) -> Result<(), String> {
        let trust = text(&self.home.join("keys/trust.txt"));
        let mut verify = self.command(&["verify", &text(copy), "--trust", &trust]);
        println!("$ {}", shown(&verify));
        let status = verify.status().map_err(|e| format!("cannot start vm: {e}"))?;
        match status.code() {
            Some(TAMPERED) => {
                println!("\nvm ended with 6, which says: tampered.");
                Ok(())
            }
            other => Err(format!("the forgery was not noticed: vm ended with {other:?}")),
        }
    }

    /// Writes a paper.
    pub fn paper(&self, name: &str, content: &str) -> Result<(), String> {
        let path = self.papers.join(name);
        fs::write(&path, content).map_err(|e| format!("cannot write {}: {e}", path.display()))
    }
}

/// A heading of the story.
pub fn title(text: &str) {
    println!("\n== {text}");
    // Keeps the order on screen when both outputs go to one pipe; a closed pipe ends the next command anyway.
    let _ = io::stdout().flush();
}

/// A path as a word of a command.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Flips one bit of the byte in the middle of a file; returns where it stands.
pub fn flip(file: &Path) -> Result<usize, String> {
    let failed = |e: io::Error| format!("cannot change {}: {e}", file.display());
    let mut bytes = fs::read(file).map_err(failed)?;
    let at = bytes.len() / 2;
    let byte = bytes.get_mut(at).ok_or_else(|| format!("{} is empty", file.display()))?;
    *byte ^= 1;
    fs::write(file, bytes).map_err(failed)?;
    Ok(at)
}

/// Copies a folder with all below it.
pub fn copy(from: &Path, to: &Path) -> Result<(), String> {
    copy_below(from, to).map_err(|e| format!("cannot copy {}: {e}", from.display()))
}

fn copy_below(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type()?.is_dir() {
            true => copy_below(&from, &to)?,
            false => fs::copy(from, to).map(|_| ())?,
        }
    }
    Ok(())
}

/// Hands one file over.
pub fn hand_over(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(|_| ()).map_err(|e| format!("cannot copy {}: {e}", from.display()))
}

fn remove(dir: &Path) -> Result<(), String> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {e}", dir.display()))
        }
        _ => Ok(()),
    }
}
