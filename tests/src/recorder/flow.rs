//! Flows of the built program that are recorded: each is a home, and commands that change it.

use super::place::words;

/// A command that is run and recorded.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its words.
    pub words: Vec<String>,
    /// Code of the refusal that says it was done before, where the same words again are refused.
    pub done: &'static str,
    /// It commits in several parts, such as the beginning of a scroll before the first call, so that a crash may leave
    /// some of them.
    pub in_parts: bool,
}

/// A command before the recording.
#[derive(Clone, Debug)]
pub struct Before {
    /// Its words.
    pub words: Vec<String>,
    /// File that takes what it prints.
    pub into: Option<&'static str>,
}

/// A home and what happens to it.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// Its name.
    pub name: &'static str,
    /// Files of the user beside the home.
    pub files: Vec<(&'static str, String)>,
    /// Commands before the recording.
    pub before: Vec<Before>,
    /// Commands that are recorded.
    pub steps: Vec<Step>,
    /// Questions whose answers must be, after any crash, what they were before or after the command that was cut off.
    pub probes: Vec<Vec<String>>,
    /// The home itself comes to be, so that a crash may leave something that is no home yet.
    pub birth: bool,
}

fn step(line: &str) -> Step {
    Step { words: words(line), done: "", in_parts: false }
}

fn in_parts(line: &str) -> Step {
    Step { in_parts: true, ..step(line) }
}

fn before(line: &str) -> Before {
    Before { words: words(line), into: None }
}

const INIT: &str = "init --guard @root/guard --domain test --node crash";
const BANK: &str =
    "treasury account-open --account assets:bank --asset EUR --class asset --id id-bank --json";
const DUES: &str =
    "treasury account-open --account income:dues --asset EUR --class income --id id-dues --json";

fn transfer(id: &str, amount: &str, rest: &str) -> String {
    format!(
        "treasury transfer --debit assets:bank --credit income:dues --asset EUR --amount {amount} --id {id} --json{rest}"
    )
}

/// A home comes to be, and is used for the first time.
pub fn birth() -> Flow {
    let mut init = step(INIT);
    init.done = "home_exists";
    Flow {
        name: "init",
        steps: vec![init],
        probes: vec![words("status --json")],
        birth: true,
        ..Flow::default()
    }
}

/// Books from the first account on: records, with and without a private value.
pub fn books() -> Flow {
    let memo = transfer("id-memo", "5.00", " --memo for_the_boat");
    let plain = transfer("id-plain", "60.00", "");
    Flow {
        name: "books",
        before: vec![before(INIT)],
        steps: vec![in_parts(BANK), step(DUES), step(&plain), step(&memo)],
        probes: vec![
            words("treasury statement --account assets:bank --json"),
            words("treasury balance --json"),
        ],
        ..Flow::default()
    }
}

/// One more transfer with a private value in books that are under way.
pub fn one_transfer() -> Flow {
    let memo = transfer("id-second", "7.00", " --memo for_the_shed");
    let first = transfer("id-first", "60.00", " --memo dues");
    Flow {
        name: "one transfer",
        before: vec![before(INIT), before(BANK), before(DUES), before(&first)],
        steps: vec![step(&memo)],
        probes: vec![
            words("treasury statement --account assets:bank --json"),
            words("treasury balance --json"),
        ],
        ..Flow::default()
    }
}

/// A drill through all its steps: work of people, with public and private files.
pub fn drill() -> Flow {
    let (run, next) =
        ("drills run @root/contract.json --json", words("drills next id-drill --json"));
    let stage = |rest: &str| Step {
        done: "stage_completed",
        ..step(&format!("drills complete-stage id-drill {rest} --outcome detected --json"))
    };
    Flow {
        name: "drill",
        files: vec![
            ("runbook.yaml", RUNBOOK.to_owned()),
            ("note.md", "seen\n".repeat(300)),
            ("mail.eml", "From: ann\n".to_owned()),
        ],
        before: vec![
            before(INIT),
            Before {
                words: words(
                    "drills plan --runbook @root/runbook.yaml --prompt whatever --id id-drill",
                ),
                into: Some("contract.json"),
            },
        ],
        steps: vec![
            in_parts(run),
            stage(
                "01-one --note ann_saw_it --outputs @root/note.md --private-outputs @root/mail.eml",
            ),
            stage("02-two"),
            Step { done: "already_sealed", ..in_parts("drills seal id-drill --json") },
        ],
        probes: vec![next, words("drills list --json"), words("drills output id-drill mail.eml")],
        ..Flow::default()
    }
}

/// Many calls in one command.
pub fn import() -> Flow {
    let mut journal = String::from("decimal-mark .\n");
    for n in 0..12 {
        let day = n + 1;
        journal.push_str(&format!(
            "2025-02-{day:02} * Member {n} pays\n    assets:bank  {day}.00 EUR\n    income:dues\n\n"
        ));
    }
    Flow {
        name: "import",
        files: vec![("books.journal", journal)],
        before: vec![before(INIT)],
        steps: vec![in_parts("treasury import @root/books.journal --json")],
        probes: vec![words("treasury balance --json")],
        ..Flow::default()
    }
}

/// All of them.
pub fn all() -> Vec<Flow> {
    vec![birth(), books(), one_transfer(), drill(), import()]
}

const RUNBOOK: &str = "runbook: 1
name: crash-test
title: Two steps
about: Two steps that nobody minds.
keywords: [steps]
stages:
  - id: one
    skill: testing
    workflow: First
    role: primary
    actions: [do it]
    expected_outputs: [a note]
  - id: two
    skill: testing
    workflow: Second
    role: primary
    actions: [do it again]
    expected_outputs: [nothing]
";
