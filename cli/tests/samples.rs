//! Published journals of other tools, through the built program: the balances those tools print, or the refusal.
//!
//! The files are read from VM_SHARED and never copied here.

#![allow(clippy::unwrap_used, reason = "a test may stop there")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A sample's path, or `None` with a printed line when the folder is not here.
fn sample(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("VM_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let path = shared.join("samples/treasury").join(name);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("VM_SHARED_REQUIRED").is_some_and(|v| v == "1");
    assert!(!required, "there is no {}", path.display());
    write_past_capture(format_args!("skipped: samples/treasury/{name}\n"));
    None
}

fn vm(dir: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vm"))
        .env_clear()
        .env("VM_HOME", dir.join("home"))
        .env("XDG_STATE_HOME", dir.join("state"))
        .args(words)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn balances(dir: &Path) -> BTreeMap<String, String> {
    let said = vm(dir, &["treasury", "balance", "--json"]);
    let document: Value = serde_json::from_slice(&said.stdout).unwrap();
    let rows = document["answer"].as_array().unwrap().iter();
    let word = |v: &Value| v.as_str().unwrap().to_owned();
    rows.map(|r| (word(&r["account"]), word(&r["balance"]))).collect()
}

/// What `ledger bal --flat` prints, each account with all below it.
fn golden(text: &str) -> BTreeMap<String, String> {
    let rows = text.lines().take_while(|line| !line.starts_with("---"));
    let rows = rows.filter_map(|line| line.trim_start().split_once("  "));
    let number = |t: &str| t.chars().filter(|c| c.is_ascii_digit() || ".-".contains(*c)).collect();
    rows.map(|(amount, account)| (account.trim().to_owned(), number(amount))).collect()
}

fn cents(amount: &str) -> i64 {
    amount.replace('.', "").parse().unwrap()
}

#[test]
fn a_journal_gives_ledgers_balances_and_the_second_time_nothing() {
    let (Some(file), Some(want)) =
        (sample("drewr3.dat"), sample("golden/drewr3.dat.ledger-bal.txt"))
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    assert!(vm(dir.path(), &["init"]).status.success());
    let import = ["treasury", "import", file.to_str().unwrap()];
    let said = vm(dir.path(), &import);
    assert_eq!(said.status.code(), Some(0), "{said:?}");
    assert!(text(&said.stdout).contains("committed  28 calls"), "{said:?}");

    let own = balances(dir.path());
    let want = golden(&std::fs::read_to_string(want).unwrap());
    assert!(want.len() > 10, "{want:?}");
    for (account, amount) in &want {
        let below = format!("{account}:");
        let sum: i64 = own
            .iter()
            .filter(|(name, _)| *name == account || name.starts_with(&below))
            .map(|(_, amount)| cents(amount))
            .sum();
        assert_eq!(sum, cents(amount), "{account}");
    }

    let again = vm(dir.path(), &import);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    let said = text(&again.stdout);
    assert!(said.starts_with("nothing new  all 13 calls of "), "{said}");
    assert!(text(&again.stderr).contains("15 accounts of the file are open already"), "{again:?}");
    assert_eq!(balances(dir.path()), own);
}

#[test]
fn faulty_books_are_refused_with_every_place_and_leave_nothing() {
    let Some(file) = sample("errors.beancount") else { return };
    let dir = tempfile::tempdir().unwrap();
    assert!(vm(dir.path(), &["init"]).status.success());
    let said = vm(dir.path(), &["treasury", "import", file.to_str().unwrap(), "--json"]);
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    let error: Value = serde_json::from_slice(&said.stderr).unwrap();
    assert_eq!(error["code"], "lots_not_enough");
    let message = error["message"].as_str().unwrap();
    for place in ["errors.beancount, line 11, column 1", "line 16, column 1"] {
        assert!(message.contains(place), "{place} in {message}");
    }
    assert!(!error["hint"].is_null());
    let status = vm(dir.path(), &["status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["scrolls"], serde_json::json!([]));
}

/// Past the test harness, which keeps what a passing test prints to itself: what was skipped must be seen.
fn write_past_capture(text: std::fmt::Arguments<'_>) {
    std::io::Write::write_fmt(&mut std::io::stderr(), text).expect("standard error takes a line");
}
