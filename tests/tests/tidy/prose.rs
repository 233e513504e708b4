//! Words: what is never claimed, one word for each idea, no path that leads nowhere.

use crate::repo::{File, files, none, root};
use std::collections::BTreeSet;

/// What nobody may claim: it cannot be proved here.
const CLAIMS: [&str; 8] = [
    "qualified",
    "compliant",
    "tamper-proof",
    "immutable",
    "court-proof",
    "anonymous",
    "quantum-safe",
    "military-grade",
];
/// A line that says that something is not claimed may use the word.
const DENIALS: [&str; 8] =
    ["not ", "never", "no ", "nothing", "neither", "without", "n't ", "banned"];
/// Words that would be second names of an idea in the glossary.
const SYNONYMS: [(&str, &str); 12] = [
    ("audit trail", "scroll"),
    ("audit log", "scroll"),
    ("event log", "scroll"),
    ("log entry", "receipt"),
    ("tree head", "checkpoint"),
    ("root of trust", "Root, or the keys by name"),
    ("case folder root", "bundle hash"),
    ("bundle root", "bundle hash"),
    ("vault root", "vault key"),
    ("ledger dir", "home"),
    ("cosigner witness", "witness"),
    ("blockchain", "nothing: we have none"),
];
/// Traces of machines and of people at work.
const TRACES: [&str; 14] = [
    "/work/",
    "/root/",
    "/Users/",
    "/home/runner",
    "/tmp/target",
    "artifactory",
    "jfrog",
    "goproxy.",
    "proxy.golang",
    "pypi.org/simple",
    "registry.npmjs.org",
    "index.crates.io",
    "static.crates.io",
    "localhost:",
];

/// Prose, code and configuration, without this file's folder, which must name the words.
fn texts() -> Vec<File> {
    let endings = [".md", ".rs", ".toml", ".py", ".txt", ".yml", ".yaml", "run"];
    let all = endings.iter().flat_map(|ending| files(ending));
    all.filter(|f| !f.path.starts_with("tests/tests/tidy/") && !f.path.ends_with("Cargo.lock"))
        .collect()
}

fn hits<'a>(file: &'a File, word: &str) -> Vec<(usize, &'a str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let found = |line: &str| {
        let lower = line.to_lowercase();
        lower.match_indices(word).any(|(at, _)| {
            let before = lower[..at].chars().next_back().is_some_and(is_word);
            let after = lower[at + word.len()..].chars().next().is_some_and(is_word);
            !before && !after
        })
    };
    file.text.lines().enumerate().filter(|(_, line)| found(line)).map(|(n, l)| (n + 1, l)).collect()
}

#[test]
fn nothing_is_claimed_that_cannot_be_shown() {
    let mut wrong = Vec::new();
    for file in texts() {
        for word in CLAIMS {
            for (n, line) in hits(&file, word) {
                let lower = line.to_lowercase();
                if !DENIALS.iter().any(|denial| lower.contains(denial)) {
                    wrong.push(format!("{}:{n}: {}", file.path, line.trim()));
                }
            }
        }
    }
    none("claims that nobody can prove", &wrong);
}

#[test]
fn one_idea_has_one_word() {
    let mut wrong = Vec::new();
    for file in texts() {
        for (word, ours) in SYNONYMS {
            for (n, line) in hits(&file, word) {
                wrong.push(format!("{}:{n}: say {ours}: {}", file.path, line.trim()));
            }
        }
    }
    none("second words for one idea", &wrong);
}

#[test]
fn the_glossary_is_in_order_and_has_each_word_once() {
    let Ok(text) = std::fs::read_to_string(root().join("docs/glossary.md")) else {
        println!("skipped: there is no docs/glossary.md yet");
        return;
    };
    let words: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" |").map(|(word, _)| word))
        .skip_while(|word| *word != "word")
        .skip(1)
        .collect();
    assert!(words.len() > 20, "the glossary is a table of words");
    for pair in words.windows(2) {
        assert!(
            pair[0].to_lowercase() < pair[1].to_lowercase(),
            "{:?} stands before {:?}",
            pair[0],
            pair[1]
        );
    }
    for (synonym, _) in SYNONYMS {
        assert!(!words.contains(&synonym), "{synonym} is both a word of ours and banned");
    }
}

#[test]
fn no_trace_of_a_machine() {
    let mut wrong = Vec::new();
    for file in texts() {
        for trace in TRACES {
            for (n, line) in file.text.lines().enumerate().filter(|(_, line)| line.contains(trace))
            {
                wrong.push(format!("{}:{}: {}", file.path, n + 1, line.trim()));
            }
        }
    }
    none("paths and hosts of machines", &wrong);
}

/// Paths in backticks and in links of a page.
fn named_paths(page: &File) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let tops = [
        "receipts/",
        "contracts/",
        "scrolls/",
        "ledger/",
        "engines/",
        "cli/",
        "tests/",
        "xtask/",
        "docs/",
        "deploy/",
        "guardian/",
        ".ci/",
        ".cargo/",
    ];
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    for (n, part) in page.text.split('`').enumerate() {
        let of_repository = tops.iter().any(|top| part.starts_with(top) && part.len() > top.len());
        // `receipts/<scroll>/….jsonl` and the like lie in a home, not here.
        if n % 2 == 1 && of_repository && plain(part) && !part.ends_with(".jsonl") {
            found.insert(part.trim_end_matches('/').to_owned());
        }
    }
    for part in page.text.split("](").skip(1) {
        let target = part.split([')', '#', ' ']).next().unwrap_or_default();
        if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
            let dir = page.path.rsplit_once('/').map_or("", |(dir, _)| dir);
            found.insert(if dir.is_empty() {
                target.to_owned()
            } else {
                format!("{dir}/{target}")
            });
        }
    }
    found
}

#[test]
fn every_path_named_in_a_page_exists() {
    let mut wrong = Vec::new();
    for page in files(".md") {
        for path in named_paths(&page) {
            if !root().join(&path).exists() {
                wrong.push(format!("{}: {path}", page.path));
            }
        }
    }
    none("paths that lead nowhere", &wrong);
}

#[test]
fn every_command_named_in_a_page_exists() {
    let mut tree = vaultmesh::args::build(vaultmesh::house::HOUSE);
    tree.build();
    let commands: BTreeSet<String> =
        tree.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let mut wrong = Vec::new();
    for page in files(".md").iter().filter(|f| !f.path.starts_with("tests/")) {
        for line in page.text.lines().map(str::trim) {
            let starts = line.match_indices("`vm ").map(|(at, _)| &line[at + 4..]);
            let bare = line.strip_prefix("vm ");
            for rest in starts.chain(bare) {
                let word: String =
                    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                let placeholder = word.chars().all(|c| c.is_ascii_uppercase());
                if !placeholder && !word.starts_with('-') && !commands.contains(&word) {
                    wrong.push(format!("{}: vm {word}", page.path));
                }
            }
        }
    }
    none("commands that do not exist", &wrong);
}
