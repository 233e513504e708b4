//! Published journals of other tools give the reference balances of those tools, or fail where
//! and as those tools fail. The files are read from VM_SHARED and never copied here.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use vm_treasury::beancount;
use vm_treasury::book::{Balances, Kind};
use vm_treasury::journal;
use vm_treasury::money::Quantity;

const ALL: [Kind; 3] = [Kind::Real, Kind::Balanced, Kind::Unbalanced];

/// A sample, or `None` with a printed line when the folder is not here.
fn sample(name: &str) -> Option<Vec<u8>> {
    let shared = std::env::var_os("VM_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let path = shared.join("samples/treasury").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let required = std::env::var_os("VM_SHARED_REQUIRED").is_some_and(|v| v == "1");
            assert!(!required, "{}: {error}", path.display());
            write_past_capture(format_args!("skipped: samples/treasury/{name}\n"));
            None
        }
    }
}

fn text(name: &str) -> Option<String> {
    sample(name).map(|bytes| String::from_utf8(bytes).unwrap())
}

/// What `ledger bal --flat` prints: amount, two blanks, account; further commodities of an
/// account stand on the lines before it.
fn ledger_balances(text: &str) -> Balances {
    let mut out = Balances::new();
    let mut waiting: Vec<(String, Quantity)> = Vec::new();
    for line in text.lines().take_while(|line| !line.starts_with("---")) {
        let (amount, account) = match line.trim_start().split_once("  ") {
            Some((amount, account)) => (amount, Some(account.trim())),
            None => (line.trim(), None),
        };
        let number: String =
            amount.chars().filter(|c| c.is_ascii_digit() || ".-".contains(*c)).collect();
        let commodity: String =
            amount.chars().filter(|c| !c.is_ascii_digit() && !" .,-".contains(*c)).collect();
        waiting.push((commodity, Quantity::parse(&number).unwrap()));
        if let Some(account) = account {
            for (commodity, quantity) in waiting.drain(..).filter(|(_, q)| !q.is_zero()) {
                out.insert((account.to_owned(), commodity), quantity);
            }
        }
    }
    out
}

fn journal_agrees(name: &str, golden: &str) {
    let (Some(bytes), Some(golden)) = (sample(name), text(golden)) else { return };
    let book = journal::read(&bytes).unwrap();
    let own = book.balances(&ALL).unwrap();
    // Ledger shows an account with everything below it.
    let mut shown = Balances::new();
    for (account, _) in own.keys() {
        for ((below, commodity), quantity) in &own {
            if below == account || below.starts_with(&format!("{account}:")) {
                let sum =
                    shown.entry((account.clone(), commodity.clone())).or_insert(Quantity::ZERO);
                *sum = sum.checked_add(*quantity).unwrap();
            }
        }
    }
    for key in own.keys() {
        // An account with several commodities was visited once for each of them.
        let times = own.keys().filter(|(account, _)| *account == key.0).count();
        let times = Quantity::new(times as i128, 0).unwrap();
        let sum = shown[key].divided_exactly(times).unwrap();
        shown.insert(key.clone(), sum);
    }
    assert_eq!(shown, ledger_balances(&golden), "{name}");
}

#[test]
fn drewr3_gives_ledgers_balances() {
    journal_agrees("drewr3.dat", "golden/drewr3.dat.ledger-bal.txt");
}

#[test]
fn drewr3_balances_without_its_virtual_postings() {
    let Some(bytes) = sample("drewr3.dat") else { return };
    let book = journal::read(&bytes).unwrap();
    let total = |kinds: &[Kind]| {
        let sums = book.balances(kinds).unwrap();
        sums.values().fold(Quantity::ZERO, |a, b| a.checked_add(*b).unwrap())
    };
    assert_eq!(total(&[Kind::Real]), Quantity::ZERO);
    assert_eq!(total(&ALL), Quantity::parse("-243.60").unwrap());
}

#[test]
fn sample_gives_ledgers_balances() {
    journal_agrees("sample.dat", "golden/sample.dat.ledger-bal.txt");
}

#[test]
fn transfer_gives_ledgers_balances() {
    journal_agrees("transfer.dat", "golden/transfer.dat.ledger-bal.txt");
}

#[test]
fn test_blocks_are_no_transactions() {
    let Some(bytes) = sample("cmd-balance.test") else { return };
    let book = journal::read(&bytes).unwrap();
    let shown: Vec<String> =
        book.balances(&ALL).unwrap().iter().map(|((a, _), q)| format!("{a} {q}")).collect();
    // What the file's own `test bal --flat` block prints.
    assert_eq!(shown, ["Assets:B 5.00", "Assets:C 5.00", "Equity:Opening balances -10.00"]);
}

/// account, number, currency, cost_number, cost_currency
type Row = (String, String, Option<(Quantity, String)>);

fn beancount_rows(text: &str) -> BTreeMap<Row, Quantity> {
    let mut out = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let cost = (!fields[3].is_empty())
            .then(|| (Quantity::parse(fields[3]).unwrap(), fields[4].to_owned()));
        let key = (fields[0].to_owned(), fields[2].to_owned(), cost);
        let sum: &mut Quantity = out.entry(key).or_insert(Quantity::ZERO);
        *sum = sum.checked_add(Quantity::parse(fields[1]).unwrap()).unwrap();
    }
    out
}

fn held_rows(checked: &beancount::Checked) -> BTreeMap<Row, Quantity> {
    let mut out = BTreeMap::new();
    for (account, inventory) in &checked.inventories {
        for position in inventory {
            let cost = position.lot.as_ref().map(|lot| {
                let amount = lot.cost.amount();
                (amount.quantity, amount.commodity.clone())
            });
            let key = (account.clone(), position.units.commodity.clone(), cost);
            let sum: &mut Quantity = out.entry(key).or_insert(Quantity::ZERO);
            *sum = sum.checked_add(position.units.quantity).unwrap();
        }
    }
    out
}

/// Line and kind of each error that bean-check prints; files that do not exist are not looked for.
fn bean_check_errors(text: &str) -> BTreeSet<(u32, &'static str)> {
    let mut out = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with('/')) {
        let number = line.split(':').nth(1).unwrap().parse().unwrap();
        let code = if line.contains("Not enough lots") {
            "lots_not_enough"
        } else if line.contains("inactive account") {
            "account_inactive"
        } else if line.contains("Balance failed") {
            "balance_assertion_failed"
        } else if line.contains("File does not exist") {
            continue;
        } else {
            panic!("an error of bean-check that this test does not know: {line}")
        };
        out.insert((number, code));
    }
    out
}

fn beancount_agrees(name: &str, with_errors: bool) {
    let Some(bytes) = sample(name) else { return };
    let Some(golden) = text(&format!("golden/{name}.balances.csv")) else { return };
    let checked = beancount::read(&bytes).unwrap();
    assert_eq!(held_rows(&checked), beancount_rows(&golden), "{name}");
    let faults: BTreeSet<_> = checked.faults.iter().map(|f| (f.place.line, f.code())).collect();
    let expected = match with_errors {
        true => bean_check_errors(&text(&format!("golden/{name}.bean-check.txt")).unwrap()),
        false => BTreeSet::new(),
    };
    assert_eq!(faults, expected, "{name}: {:#?}", checked.faults);
}

#[test]
fn example_gives_beancounts_balances_and_errors() {
    beancount_agrees("example.beancount", true);
}

#[test]
fn errors_gives_beancounts_balances_and_errors() {
    beancount_agrees("errors.beancount", true);
}

#[test]
fn budgets_gives_beancounts_balances() {
    beancount_agrees("budgets-example.beancount", false);
}

/// Past the test harness, which keeps what a passing test prints to itself: what was skipped must be seen.
fn write_past_capture(text: std::fmt::Arguments<'_>) {
    std::io::Write::write_fmt(&mut std::io::stderr(), text).expect("standard error takes a line");
}
