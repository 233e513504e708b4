//! Whole files through the engine: our own year of an association, and published journals of other
//! tools when they are here.

use std::path::PathBuf;

use serde_json::json;

use crate::book::Kind;
use crate::convert;
use crate::money::Quantity;
use crate::testing::Bench;
use crate::{beancount, journal};

/// The demo journal, our own writing.
const DEMO: &str = include_str!("../../../tests/data/journal/association-2025.journal");

/// Balances; without the account names where a format has to change them.
fn balances(bench: &Bench, named: bool) -> Vec<String> {
    let rows = bench.report("balance", json!({}));
    let mut all: Vec<String> = Vec::new();
    for row in rows.as_array().unwrap() {
        let number = Quantity::parse(row["balance"].as_str().unwrap()).unwrap();
        let asset = match row["asset"].as_str().unwrap() {
            "$" => "USD".to_owned(),
            "€" => "EUR".to_owned(),
            other => other.to_uppercase(),
        };
        let account = if named { row["account"].as_str().unwrap() } else { "" };
        all.push(format!("{account} {asset} {}", number.trimmed(0)));
    }
    all.sort();
    all
}

fn imported(name: &str, text: &str) -> Bench {
    let mut bench = Bench::new();
    bench.import(name, text).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    bench
}

/// Import twice, refold, trial balance, export and import again in each format.
fn check(name: &str, text: &str, formats: &[&str]) {
    let mut bench = imported(name, text);
    assert_eq!(
        bench.import(name, text).unwrap().0,
        0,
        "{name}: a second import appended something"
    );
    let live = bench.dump();
    assert_eq!(bench.refold(), live, "{name}");
    let rows = bench.report("trial-balance", json!({}));
    for row in rows.as_array().unwrap().iter().filter(|r| r["account"] == "(total)") {
        let difference = Quantity::parse(row["difference"].as_str().unwrap()).unwrap();
        assert!(difference.is_zero(), "{name}: {row}");
    }
    for (format, texts) in formats.iter().flat_map(|format| [(format, true), (format, false)]) {
        if !texts {
            // The texts of every third receipt are gone, most often those of one side only.
            bench.erase(|line| line.seq % 3 == 0);
        }
        let out = bench.export(format).text;
        let again_name = if *format == "beancount" { "again.beancount" } else { "again.journal" };
        let mut again = imported(again_name, &out);
        let named = *format != "beancount";
        assert_eq!(balances(&bench, named), balances(&again, named), "{name} as {format}");
        assert_eq!(again.import(again_name, &out).unwrap().0, 0);
    }
}

#[test]
fn the_demo_year_imports_holds_its_assertions_and_comes_back() {
    check("association-2025.journal", DEMO, &["hledger", "beancount"]);
}

#[test]
fn the_demo_year_is_a_year_of_a_small_association() {
    let book = journal::read(DEMO.as_bytes()).unwrap();
    assert!((250..=350).contains(&book.transactions.len()), "{}", book.transactions.len());
    assert!(book.notices.is_empty(), "{:?}", book.notices);
    let bench = imported("association-2025.journal", DEMO);
    assert_eq!(bench.balance("assets:bank:giro", "EUR"), "8677.75");
    assert_eq!(bench.balance("assets:hours:owed by members", "HOURS"), "0.00");
    let assets: Vec<String> = bench.state().assets.iter().map(|(name, _)| name).collect();
    assert_eq!(assets, ["CHF", "EUR", "HOURS", "USD"]);
    let assertions = DEMO.lines().filter(|line| line.contains(" = ")).count();
    assert!(assertions >= 60);
}

#[test]
fn each_assertion_of_the_demo_year_bites() {
    let lines: Vec<&str> = DEMO.lines().collect();
    let places: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains(" = ")).collect();
    for at in places {
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        // One more of whatever is asserted.
        changed[at] = changed[at].replacen(" = ", " = 1", 1).replacen("1-", "-1", 1);
        let error = journal::read(changed.join("\n").as_bytes()).unwrap_err();
        assert_eq!((error.code(), error.place.line as usize), ("balance_assertion_failed", at + 1));
    }
}

fn sample(name: &str) -> Option<String> {
    let shared = std::env::var_os("VM_SHARED").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = shared.unwrap_or(beside).join("samples/treasury").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            let required = std::env::var_os("VM_SHARED_REQUIRED").is_some_and(|v| v == "1");
            assert!(!required, "{}: {error}", path.display());
            write_past_capture(format_args!("skipped: samples/treasury/{name}\n"));
            None
        }
    }
}

#[test]
fn published_journals_go_in_and_come_back() {
    for name in ["drewr3.dat", "transfer.dat", "sample.dat"] {
        if let Some(text) = sample(name) {
            check(name, &text, &["hledger", "beancount"]);
        }
    }
    if let Some(text) = sample("cmd-balance.test") {
        check("cmd-balance.journal", &text, &["hledger"]);
    }
    if let Some(text) = sample("budgets-example.beancount") {
        check("budgets-example.beancount", &text, &["hledger", "beancount"]);
    }
}

#[test]
fn a_file_with_faults_is_refused_whole_with_the_line_of_each() {
    for (name, lines) in [("errors.beancount", vec![11, 16, 16]), ("example.beancount", vec![70])] {
        let Some(text) = sample(name) else { continue };
        let mut bench = Bench::new();
        let refusal = bench.import(name, &text).unwrap_err();
        for line in lines {
            assert!(refusal.message.contains(&format!("line {line}, ")), "{refusal}");
        }
        assert!(bench.lines.is_empty());
    }
}

#[test]
fn moves_keep_every_balance_of_published_files() {
    let mut books = vec![journal::read(DEMO.as_bytes()).unwrap()];
    for name in ["drewr3.dat", "sample.dat", "transfer.dat"] {
        books.extend(sample(name).map(|text| journal::read(text.as_bytes()).unwrap()));
    }
    for name in ["budgets-example.beancount", "example.beancount", "errors.beancount"] {
        books.extend(sample(name).map(|text| beancount::read(text.as_bytes()).unwrap().book));
    }
    for book in books {
        let groups = convert::convert(&book, &[0; 32]).unwrap();
        let moved = convert::balances(&groups).unwrap();
        let mut sums = std::collections::BTreeMap::new();
        for ((_, asset), quantity) in &moved {
            crate::book::add(&mut sums, asset.clone(), *quantity).unwrap();
        }
        assert!(sums.values().all(|sum| sum.is_zero()));
        let made = |account: &str| {
            [convert::TRADING, convert::ROUNDING, convert::UNBALANCED]
                .iter()
                .any(|own| account.starts_with(own))
        };
        let written = book.balances(&[Kind::Real, Kind::Balanced, Kind::Unbalanced]).unwrap();
        let written: crate::book::Balances = written
            .into_iter()
            .map(|((account, c), q)| ((account, convert::asset_of(&c)), q))
            .collect();
        let moved: crate::book::Balances =
            moved.into_iter().filter(|((account, _), _)| !made(account)).collect();
        assert_eq!(moved, written);
    }
}

/// Past the test harness, which keeps what a passing test prints to itself: what was skipped must be seen.
fn write_past_capture(text: std::fmt::Arguments<'_>) {
    std::io::Write::write_fmt(&mut std::io::stderr(), text).expect("standard error takes a line");
}
