//! A drill: planned from a runbook, carried out by people, sealed as a case that anybody checks.

use super::desk::{Desk, copy, flip, hand_over, text, title};
use crate::step::{self, answers, root};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Id of the run, and of the case.
const ID: &str = "invoice-drill";
const RUNBOOK: &str = "tests/data/runbooks/changed-account.yaml";

/// What became of each stage: its id and the rest of the command.
const STAGES: [(&str, &[&str]); 3] = [
    (
        "01-send",
        &[
            "--outcome",
            "logged",
            "--started-at",
            "2025-11-14T09:00:00Z",
            "--outputs",
            "invoice.txt",
        ],
    ),
    (
        "02-compare",
        &[
            "--outcome",
            "missed",
            "--started-at",
            "2025-11-14T09:00:00Z",
            "--note",
            "nobody opened the books",
        ],
    ),
    (
        "03-pay",
        &[
            "--outcome",
            "blocked",
            "--started-at",
            "2025-11-14T10:00:00Z",
            "--detected-at",
            "2025-11-14T10:12:00Z",
            "--private-outputs",
            "who-asked.txt",
        ],
    ),
];

/// From the plan to the case.
pub fn carry_out(desk: &Desk) -> Result<(), String> {
    title(
        "A drill: a runbook becomes a contract, people complete its stages, sealing makes a case",
    );
    let prompt = "is a changed account number noticed before anything is paid";
    let runbook = text(&root().join(RUNBOOK));
    let plan = ["drills", "plan", "--runbook", &runbook, "--prompt", prompt, "--id", ID];
    let contract = desk.ask(&plan)?;
    println!("(its output is kept as contract.json)");
    desk.paper("contract.json", &contract)?;
    desk.vm(&["drills", "run", "contract.json"])?;
    desk.paper("invoice.txt", "Invoice 2025-88, Boat Yard, 310.00 EUR, to another account\n")?;
    desk.paper("who-asked.txt", "Grace Hopper\n")?;
    for (stage, words) in STAGES {
        desk.ask(&[&["drills", "complete-stage", ID, stage], words].concat())?;
    }
    desk.vm(&["drills", "seal", ID])?;
    desk.vm(&["drills", "list"])?;

    title(
        "Its case: plain files under a list that other programs check; a private file left only a stub",
    );
    if answers("sha256sum", &["--version"]) {
        println!("(in the folder of the case)");
        let mut sums = Command::new("sha256sum");
        step::run(sums.args(["-c", "ARTIFACTS.sha256"]).current_dir(case(desk)))
    } else {
        println!("skipped: sha256sum -c ARTIFACTS.sha256, because sha256sum is not installed");
        Ok(())
    }
}

/// Flips one bit of a file in a copy of the case and shows which file is named.
pub fn forge(desk: &Desk) -> Result<(), String> {
    title("One bit of one file changed, in a copy of the case");
    let forged = desk.forged.join("case");
    copy(&case(desk), &forged)?;
    let at = flip(&forged.join("outputs/invoice.txt"))?;
    println!("(byte {at} of outputs/invoice.txt)");
    desk.catch(&forged)
}

/// The proof in the case, verified by two programs that share no code.
pub fn prove(desk: &Desk) -> Result<(), String> {
    title(
        "The proof of the drill, verified in an empty directory with nothing but a file of public keys",
    );
    let home = &desk.home;
    fs::remove_dir_all(&desk.auditor)
        .and_then(|()| fs::create_dir_all(&desk.auditor))
        .map_err(|e| format!("cannot empty {}: {e}", desk.auditor.display()))?;
    hand_over(&case(desk).join("PROOF.json"), &desk.auditor.join("PROOF.json"))?;
    hand_over(&home.join("keys/trust.txt"), &desk.auditor.join("trust.txt"))?;
    desk.audit("PROOF.json")?;
    if answers("python3", &["--version"]) {
        title(
            "The same by a second program, written from the specification in standard-library Python",
        );
        let script = text(&root().join("tests/verify.py"));
        let words = [script.as_str(), "PROOF.json", "--trust", "trust.txt"];
        step::run(&mut desk.auditor(Path::new("python3"), &words))
    } else {
        println!("skipped: tests/verify.py, because python3 is not installed");
        Ok(())
    }
}

fn case(desk: &Desk) -> PathBuf {
    desk.home.join("cases/drills").join(ID)
}
