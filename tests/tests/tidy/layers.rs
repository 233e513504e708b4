//! Who may import whom, and that every dependency has one version and one reason.

use crate::lexer::code;
use crate::repo::{File, files, none};
use std::collections::BTreeSet;

/// What a crate of ours may import of ours.
fn allowed(folder: &str) -> Option<&'static [&'static str]> {
    Some(match folder {
        "receipts" => &[],
        "contracts" | "scrolls" => &["vm-receipts"],
        "ledger" | "guardian" => &["vm-contracts", "vm-receipts", "vm-scrolls"],
        "xtask" => &[],
        _ if folder.starts_with("engines/") => &["vm-contracts", "vm-receipts", "vm-scrolls"],
        // These see everything; nothing but tests sees cli, and nothing at all sees tests.
        "cli" | "tests" | "tests/fuzz" => return None,
        other => panic!("{other} is a crate that the map of the house does not know"),
    })
}

/// Names in a section of a manifest.
fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == format!("[{section}]");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            names.push(name.to_owned());
        }
    }
    names
}

fn manifests() -> Vec<(String, File)> {
    let manifests = files("Cargo.toml").into_iter().filter(|f| f.path != "Cargo.toml");
    manifests.map(|f| (f.path.trim_end_matches("/Cargo.toml").to_owned(), f)).collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("vm-") || name == "vaultmesh"
}

#[test]
fn every_crate_imports_only_what_the_map_allows() {
    let mut wrong = Vec::new();
    for (folder, manifest) in manifests() {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for name in dependencies(&manifest.text, section).iter().filter(|n| is_ours(n)) {
                let may = allowed(&folder).is_none_or(|names| names.contains(&name.as_str()));
                let of_tests = name == "vm-tests" && folder != "tests/fuzz";
                let of_cli = name == "vaultmesh" && folder != "tests";
                if !may || of_tests || of_cli {
                    wrong.push(format!("{folder} imports {name} ({section})"));
                }
            }
        }
    }
    none("imports that the map of the house forbids", &wrong);
}

#[test]
fn the_runtime_lives_in_cli_only() {
    let wrong: Vec<String> = manifests()
        .into_iter()
        .filter(|(folder, _)| !matches!(folder.as_str(), "cli" | "tests"))
        .flat_map(|(folder, f)| {
            let names = dependencies(&f.text, "dependencies");
            names
                .into_iter()
                .filter(|n| n == "tokio" || n == "clap")
                .map(move |n| format!("{folder} uses {n}"))
        })
        .collect();
    none("surfaces outside cli", &wrong);
}

#[test]
fn pure_crates_have_no_clock_disk_network_or_threads() {
    let banned = [
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "std::process",
        "SystemTime",
        "Instant::now",
        "File::open",
        "println!",
        "eprintln!",
        "print!",
        "getrandom",
        "use rand",
    ];
    none(
        "effects in pure crates",
        &uses(
            &["receipts/src", "contracts/src", "scrolls/src", "engines/", "guardian/src"],
            &banned,
        ),
    );
}

#[test]
fn only_cli_prints_and_reads_the_environment() {
    let banned = ["println!", "eprintln!", "print!(", "dbg!", "env::var"];
    none("surfaces outside cli", &uses(&["ledger/src"], &banned));
}

fn uses(folders: &[&str], banned: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files(".rs") {
        let inside =
            folders.iter().any(|f| file.path.starts_with(f)) && file.path.contains("/src/");
        if !inside || crate::sources::is_test_file(&file.path) {
            continue;
        }
        let code = code(&file.text);
        let test = crate::lexer::test_lines(&code);
        for (n, line) in code.lines().enumerate().filter(|(n, _)| !test[*n]) {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: {word}", file.path, n + 1));
            }
        }
    }
    wrong
}

#[test]
fn every_dependency_says_why() {
    let root = files("Cargo.toml")
        .into_iter()
        .find(|f| f.path == "Cargo.toml")
        .expect("the root manifest");
    let section = root.text.split("[workspace.dependencies]").nth(1).expect("the section is there");
    let section = section.split("\n[").next().unwrap_or_default();
    let silent: Vec<String> = section
        .lines()
        .filter(|line| line.contains('=') && !line.starts_with('#') && !line.contains("path ="))
        .filter(|line| line.split_once(" # ").is_none_or(|(_, why)| why.trim().len() < 10))
        .map(str::to_owned)
        .collect();
    none("dependencies without a reason", &silent);
}

#[test]
fn versions_are_set_once_and_every_listed_dependency_is_used() {
    let root = files("Cargo.toml")
        .into_iter()
        .find(|f| f.path == "Cargo.toml")
        .expect("the root manifest");
    let listed: BTreeSet<String> =
        dependencies(&root.text, "workspace.dependencies").into_iter().collect();
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    for (folder, manifest) in manifests().into_iter().filter(|(folder, _)| folder != "tests/fuzz") {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            used.extend(dependencies(&manifest.text, section));
        }
        for line in manifest.text.lines().filter(|l| l.contains("version = \"") && l.contains('{'))
        {
            wrong.push(format!("{folder} sets a version of its own: {line}"));
        }
    }
    wrong.extend(
        listed.difference(&used).map(|name| format!("{name} is listed and nobody uses it")),
    );
    none("the list of dependencies", &wrong);
}

#[test]
fn there_is_one_version_of_the_signature_scheme() {
    let lock = files("Cargo.lock")
        .into_iter()
        .find(|f| f.path == "Cargo.lock")
        .expect("Cargo.lock is kept");
    for name in ["ed25519-dalek", "curve25519-dalek", "blake3"] {
        let count = lock.text.lines().filter(|l| **l == format!("name = \"{name}\"")).count();
        assert_eq!(count, 1, "versions of {name} in Cargo.lock");
    }
}
