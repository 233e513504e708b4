//! The documentation keeps its word: the reference is what the program prints, and what a page tells to type runs.
//!
//! `BLESS=1 cargo test -p vaultmesh --test docs` writes docs/reference.md anew.

#![allow(clippy::unwrap_used, reason = "a test may stop there")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The fenced blocks between two headings.
fn blocks(text: &str, from: &str, to: &str) -> Vec<String> {
    let (_, text) = text.split_once(&format!("\n{from}\n")).unwrap_or_else(|| panic!("no {from}"));
    let text = text.split(&format!("\n{to}")).next().unwrap();
    let fenced = text.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap().1.to_owned() + "\n").collect()
}

/// A reader with an empty directory, the program on the path and nothing else of this machine.
struct Reader {
    dir: tempfile::TempDir,
}

impl Reader {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Types the lines; the first one that fails ends it.
    fn types(&self, lines: &str) -> Output {
        let programs = Path::new(env!("CARGO_BIN_EXE_vm")).parent().unwrap();
        let desk = self.path("desk");
        fs::create_dir_all(&desk).unwrap();
        let output = Command::new("sh")
            .args(["-e", "-c", lines])
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()))
            .env("VM_HOME", self.path("home"))
            .env("XDG_STATE_HOME", self.path("state"))
            .current_dir(desk)
            .output()
            .unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{lines}\n{out}\n{err}");
        output
    }
}

fn has_python() -> bool {
    Command::new("python3").arg("--version").output().is_ok_and(|o| o.status.success())
}

#[test]
fn the_reference_is_what_the_program_prints() {
    let path = root().join("docs/reference.md");
    let now = vaultmesh::commands::reference::page(vaultmesh::house::HOUSE);
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, &now).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let differs = kept.lines().zip(now.lines()).find(|(a, b)| a != b);
    assert!(
        kept == now,
        "docs/reference.md differs at {differs:?}; if that is meant: BLESS=1 cargo test -p vaultmesh --test docs"
    );
}

#[test]
fn the_examples_of_the_reference_run_in_their_order() {
    let reference = vaultmesh::commands::reference::page(vaultmesh::house::HOUSE);
    let examples = blocks(&reference, "## treasury", "## ");
    assert!(examples.len() > 12, "{examples:?}");
    let reader = Reader::new();
    reader.types("vm init");
    examples.iter().for_each(|example| drop(reader.types(example)));
}

#[test]
fn the_five_minutes_of_the_readme_run_word_for_word() {
    let told = blocks(&page("README.md"), "## Five minutes", "## ");
    assert!(told.len() >= 2, "{told:?}");
    let reader = Reader::new();
    for (n, block) in told.iter().enumerate() {
        if n == 1 {
            // What the text between the blocks says: the auditor was given the public keys.
            fs::copy(reader.path("home/keys/trust.txt"), reader.path("desk/trust.txt")).unwrap();
            fs::create_dir_all(reader.path("desk/tests")).unwrap();
            fs::copy(root().join("tests/verify.py"), reader.path("desk/tests/verify.py")).unwrap();
        }
        let lines = block.lines().filter(|l| !l.starts_with("cargo "));
        let lines = lines.filter(|l| !l.starts_with("python3 ") || has_python());
        let lines: Vec<&str> = lines.collect();
        reader.types(&lines.join("\n"));
    }
}

#[test]
fn the_five_minutes_of_the_treasury_run_word_for_word() {
    let told = blocks(&page("docs/treasury.md"), "## Five minutes", "## ");
    let reader = Reader::new();
    reader.types("vm init");
    let said = reader.types(&told.concat());
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("60.00"), "{said}");
}
