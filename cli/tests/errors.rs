//! The catalogue of errors and the code agree: every code that is given out stands in docs/errors.md.

#![allow(clippy::unwrap_used, reason = "a test may stop there")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands directly before a code that is given out.
const MARKS: [&str; 9] = [
    "Refusal::new(",
    "Refusal::malformed(",
    "Refusal::invariant(",
    "Refusal::not_found(",
    "Refusal::conflict(",
    "Fault::new(",
    "LineError::new(at, ",
    "Flaw::new(",
    "let code = ",
];

fn sources(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, all),
            false if path.extension().is_some_and(|e| e == "rs") => all.push(path),
            false => {}
        }
    }
}

/// The literal that a text begins with, white space aside, if it looks like a code.
fn literal(text: &str) -> Option<&str> {
    let (word, _) = text.trim_start().strip_prefix('"')?.split_once('"')?;
    let lower = word.len() > 1
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    lower.then_some(word)
}

fn codes(text: &str, found: &mut BTreeSet<String>) {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    for mark in MARKS {
        found.extend(text.split(mark).skip(1).filter_map(literal).map(str::to_owned));
    }
    // Bodies of `fn code`, which list one literal for each kind of error.
    for body in text.split("fn code(").skip(1) {
        let body = body.split("\n    }\n").next().unwrap_or_default();
        found.extend(
            body.split("=>")
                .skip(1)
                .filter_map(|t| literal(t.trim_start().trim_start_matches('{')))
                .map(str::to_owned),
        );
    }
    // Rules of the line name their codes in calls of several shapes; their prefix is enough to find them.
    for prefix in ["\"line_", "\"proof_", "\"actor_proof_"] {
        for (at, _) in text.match_indices(prefix) {
            found.extend(literal(&text[at..]).map(str::to_owned));
        }
    }
}

/// Sources of every crate that gives out codes, its tests left out.
fn texts() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    let engines = ["engines/treasury", "engines/drills", "engines/console"];
    for part in ["receipts", "contracts", "scrolls", "ledger", "cli"].into_iter().chain(engines) {
        sources(&root.join(part).join("src"), &mut files);
    }
    let own = files.iter().filter(|f| f.file_name().is_some_and(|n| n != "tests.rs"));
    own.map(|f| fs::read_to_string(f).unwrap()).collect()
}

fn catalogue() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join("docs/errors.md")).unwrap()
}

/// Codes that are put together, such as `{side}_account_not_found`: what stands before the hole and after it.
fn holes(texts: &str) -> Vec<(&str, &str)> {
    let plain = |t: &str| t.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let quoted = texts.split("format!(\"").skip(1).filter_map(|t| t.split_once('"'));
    let parts = quoted.filter_map(|(word, _)| {
        let (before, rest) = word.split_once('{')?;
        let (_, after) = rest.split_once('}')?;
        Some((before, after))
    });
    parts.filter(|(b, a)| b.len() + a.len() > 5 && plain(b) && plain(a)).collect()
}

#[test]
fn every_code_stands_in_the_catalogue() {
    let catalogue = catalogue();
    let mut found = BTreeSet::new();
    texts().iter().for_each(|text| codes(text, &mut found));
    // Names of claims and fields that look like codes.
    let others = ["line_canonical", "line_ends", "line_reads", "proof_path", "proof_readable"];
    let missing: Vec<_> = found
        .iter()
        .filter(|code| {
            !others.contains(&code.as_str()) && !catalogue.contains(&format!("`{code}`"))
        })
        .collect();
    assert!(missing.is_empty(), "not in docs/errors.md: {missing:?}");
    assert!(found.len() > 80, "the scan finds the codes at all: {}", found.len());
}

#[test]
fn the_catalogue_has_no_code_that_is_never_given_out() {
    let texts = texts().concat();
    let catalogue = catalogue();
    let rows = catalogue.lines().filter_map(|l| l.strip_prefix("| `"));
    let first = rows.filter_map(|row| row.split(" | ").next());
    let words = first.flat_map(|cell| cell.split(", ")).map(|w| w.trim_matches('`'));
    let kinds = ["refusal", "fault", "lost"];
    let holes = holes(&texts);
    let given_out = |w: &&str| {
        texts.contains(&format!("\"{w}\""))
            || holes.iter().any(|(before, after)| {
                w.len() > before.len() + after.len() && w.starts_with(before) && w.ends_with(after)
            })
    };
    let dead: Vec<&str> = words.filter(|w| !kinds.contains(w) && !given_out(w)).collect();
    assert!(dead.is_empty(), "only in docs/errors.md: {dead:?}");
}
