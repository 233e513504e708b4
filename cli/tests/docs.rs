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

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success())
}

fn has_python() -> bool {
    has("python3")
}

/// The lines of a block, without those that need a program which this machine has not.
fn typable(block: &str, programs: &[&str]) -> String {
    let missing: Vec<&&str> = programs.iter().filter(|program| !has(program)).collect();
    let (left_out, lines): (Vec<&str>, Vec<&str>) =
        block.lines().partition(|line| missing.iter().any(|program| line.contains(**program)));
    left_out.iter().for_each(|line| println!("skipped, because {missing:?} is not here: {line}"));
    lines.join("\n")
}

fn printed(output: Output) -> String {
    String::from_utf8(output.stdout).unwrap()
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
    for engine in vaultmesh::house::HOUSE {
        let examples = blocks(&reference, &format!("## {}", engine.name()), "## ");
        let specs = engine.operations().len() + engine.reports().len();
        assert!(examples.len() > specs, "{examples:?}");
        let reader = Reader::new();
        // The file that an example takes in.
        reader.types("vm init; echo '{}' > report.json");
        examples.iter().for_each(|example| drop(reader.types(example)));
    }
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

#[test]
fn the_five_minutes_of_the_drills_run_word_for_word() {
    let told = blocks(&page("docs/drills.md"), "## Five minutes", "## ");
    assert_eq!(told.len(), 6, "{told:?}");
    // One shell for all blocks of a person, as what one sets the next uses; the auditor has another directory.
    let owner = Reader::new();
    owner.types("vm init");
    let said = printed(owner.types(&typable(&told[..4].concat(), &["sha256sum"])));
    assert!(!has("sha256sum") || said.contains("outputs/mail.eml: OK"), "{said}");
    // The third receipt is the approval, with the signature of the one who gave it.
    assert!(said.contains("who acted is the node's word in 2 receipts"), "{said}");
    let auditor = Reader::new();
    auditor.types("true");
    for file in ["PROOF.json", "NOTE.json", "trust.txt"] {
        fs::copy(owner.path("desk").join(file), auditor.path("desk").join(file)).unwrap();
    }
    let verdicts: Vec<String> = told[4].lines().map(|l| printed(auditor.types(l))).collect();
    assert!(verdicts.iter().all(|v| v.starts_with("verified")), "{verdicts:?}");
    let shown: Vec<bool> = verdicts.iter().map(|v| v.contains("nobody knew whom")).collect();
    assert_eq!(shown, [false, true]);
    assert!(!auditor.path("home").exists());
    let said = printed(owner.types(&told[5]));
    assert!(said.contains("T1566.002") && said.contains("better"), "{said}");
    assert!(said.contains("## A phishing mail and the gate"), "{said}");
    let layer = fs::read_to_string(owner.path("desk/layer.json")).unwrap();
    assert!(layer.contains("\"techniqueID\": \"T1204.001\""), "{layer}");
}

#[test]
fn the_second_verifier_says_the_same_of_a_case_folder() {
    if !has_python() {
        println!("skipped: tests/verify.py, because there is no python3");
        return;
    }
    let told = blocks(&page("docs/drills.md"), "## Five minutes", "## ");
    let owner = Reader::new();
    owner.types("vm init");
    owner.types(&typable(&told[..4].concat(), &["sha256sum"]));
    fs::copy(root().join("tests/verify.py"), owner.path("desk/verify.py")).unwrap();
    owner.types("cp -r \"$VM_HOME/cases/drills/gate-1\" case");
    let both = "vm verify case --trust trust.txt; echo exit $?; \
                python3 -B verify.py case --trust trust.txt; echo exit $?";
    let both = format!("set +e; {both}");
    let said = printed(owner.types(&both));
    assert_eq!(said.matches("exit 0").count(), 2, "{said}");
    assert!(said.contains("all files of its case are those that were sealed"), "{said}");
    for spoil in
        ["echo >> case/outputs/mail.eml", "rm case/outputs/mail.eml", "echo > case/outputs/x"]
    {
        let said = printed(owner.types(&format!(
            "rm -rf case; cp -r \"$VM_HOME/cases/drills/gate-1\" case; {spoil}; {both}"
        )));
        assert_eq!(said.matches("exit 6").count(), 2, "{spoil}\n{said}");
    }
    let said = printed(owner.types("python3 -B verify.py NOTE.json --trust trust.txt"));
    let shown = said.split_once("private values shown\n").map(|(_, values)| values);
    assert!(shown.is_some_and(|v| v.contains("note: nobody knew whom to tell")), "{said}");
}
