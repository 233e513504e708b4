//! The ledger as a beancount file that bean-check accepts and that imports to the same balances.
//!
//! Beancount knows five roots and plain names; others are changed, and two names that would become
//! one are refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vm_contracts::{Export, Exporter, Failure, History, Refusal};

use super::{Entry, Written, entries, lot, price, without_trading};
use crate::book::Class;
use crate::money::Quantity;
use crate::place::Cause;
use crate::state::State;

/// Writes beancount files.
pub struct Beancount;

/// Writing to a String cannot fail.
const INFALLIBLE: &str = "writing to a String cannot fail";
/// Longest commodity that beancount reads.
const COMMODITY_CHARS_MAX: usize = 24;

impl Exporter<State> for Beancount {
    fn format(&self) -> &'static str {
        "beancount"
    }

    fn about(&self) -> &'static str {
        "Plain text file for beancount"
    }

    fn write(&self, state: &State, history: &mut dyn History) -> Result<Export, Failure> {
        let mut names = Names::default();
        let mut firsts: BTreeMap<String, String> = BTreeMap::new();
        for ((name, asset), account) in state.accounts.iter() {
            names.account(&name, account.class())?;
            names.asset(&asset)?;
        }
        let mut body = String::new();
        let mut notices = Vec::new();
        entries(history, |entry| {
            let date = entry.at.to_string()[..10].to_owned();
            for posting in &entry.postings {
                let first = firsts.entry(posting.account.clone()).or_insert_with(|| date.clone());
                if date < *first {
                    first.clone_from(&date);
                }
            }
            transaction(&mut body, &entry, &mut names, &mut notices)
        })?;
        let mut out = String::new();
        for (name, date) in &firsts {
            let written = names.account(name, None)?;
            // Lots are named in full, so no method has to choose among them.
            writeln!(out, "{date} open {written}").expect(INFALLIBLE);
            if written != *name {
                writeln!(out, "  account: {}", quoted(name)).expect(INFALLIBLE);
            }
        }
        out.push_str(&body);
        let changed = names.accounts.iter().filter(|(from, to)| from != to).count();
        if changed > 0 {
            notices.push(format!("{changed} accounts have names in beancount's form; the metadata of their open says the original"));
        }
        let assets = names.assets.iter().filter(|(from, to)| from != to);
        notices.extend(assets.map(|(from, to)| format!("asset {from} is written as {to}")));
        Ok(Export { text: out, notices })
    }
}

/// Names as beancount writes them, each kept to one original.
#[derive(Default)]
struct Names {
    accounts: BTreeMap<String, String>,
    assets: BTreeMap<String, String>,
    taken: BTreeMap<String, String>,
}

impl Names {
    fn account(&mut self, name: &str, class: Option<Class>) -> Result<String, Refusal> {
        if let Some(written) = self.accounts.get(name) {
            return Ok(written.clone());
        }
        let written = account_name(name, class);
        self.keep(name, &written)?;
        self.accounts.insert(name.to_owned(), written.clone());
        Ok(written)
    }

    fn asset(&mut self, name: &str) -> Result<String, Refusal> {
        if let Some(written) = self.assets.get(name) {
            return Ok(written.clone());
        }
        let written = asset_name(name);
        self.keep(name, &written)?;
        self.assets.insert(name.to_owned(), written.clone());
        Ok(written)
    }

    fn keep(&mut self, name: &str, written: &str) -> Result<(), Refusal> {
        match self.taken.insert(written.to_owned(), name.to_owned()) {
            Some(other) if other != name => {
                let what = format!("{name} and {other} would both be written as {written}");
                Err(Refusal::conflict(Cause::NameCollision.code(), what)
                    .hint("Export as hledger, which keeps all names."))
            }
            _ => Ok(()),
        }
    }
}

/// `assets:bank:my account` as `Assets:Bank:My-account`.
fn account_name(name: &str, class: Option<Class>) -> String {
    let root = |class| match class {
        Class::Asset => "Assets",
        Class::Liability => "Liabilities",
        Class::Equity => "Equity",
        Class::Income => "Income",
        Class::Expense => "Expenses",
    };
    let parts: Vec<String> = name.split(':').map(part_name).collect();
    let own = Class::of_account(name).filter(|_| !name.to_lowercase().starts_with("virtual"));
    match (class, own) {
        (Some(class), Some(own)) if class == own && parts.len() > 1 => {
            format!("{}:{}", root(class), parts[1..].join(":"))
        }
        (None, Some(own)) if parts.len() > 1 => format!("{}:{}", root(own), parts[1..].join(":")),
        (class, _) => format!("{}:{}", root(class.unwrap_or(Class::Equity)), parts.join(":")),
    }
}

/// One part of an account name: letters, digits and dashes, with a capital or digit in front.
fn part_name(part: &str) -> String {
    let keep = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let clean: String = part.chars().map(keep).collect();
    let mut chars = clean.chars();
    match chars.next() {
        Some(first) if first.is_ascii_lowercase() => {
            format!("{}{}", first.to_ascii_uppercase(), chars.as_str())
        }
        Some('-') | None => format!("X{clean}"),
        Some(_) => clean,
    }
}

/// A commodity of capital letters.
fn asset_name(name: &str) -> String {
    match name {
        "$" => return "USD".to_owned(),
        "€" => return "EUR".to_owned(),
        "£" => return "GBP".to_owned(),
        _ => {}
    }
    let good = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || ".-_'".contains(c);
    let mut out = String::new();
    for c in name.chars() {
        let c = c.to_ascii_uppercase();
        if good(c) {
            out.push(c);
        } else {
            write!(out, "-{:X}", u32::from(c)).expect(INFALLIBLE);
        }
    }
    if !out.starts_with(|c: char| c.is_ascii_uppercase()) {
        out.insert(0, 'X');
    }
    if !out.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        out.push('X');
    }
    out.chars().take(COMMODITY_CHARS_MAX).collect()
}

/// Is it the name of a piece of metadata?
fn is_key(name: &str) -> bool {
    name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// A quoted text.
fn quoted(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("\"{}\"", clean.replace('\\', "\\\\").replace('"', "\\\""))
}

fn transaction(
    out: &mut String,
    entry: &Entry,
    names: &mut Names,
    notices: &mut Vec<String>,
) -> Result<(), Failure> {
    let date = &entry.at.to_string()[..10];
    write!(out, "\n{date} * {}", quoted(entry.memo.as_deref().unwrap_or(""))).expect(INFALLIBLE);
    let word = |c: char| c.is_ascii_alphanumeric() || "-_/.".contains(c);
    let mut valued: Vec<(&str, &str)> = Vec::new();
    for tag in &entry.tags {
        let (sign, name) = tag.strip_prefix('^').map_or(("#", tag.as_str()), |link| ("^", link));
        if !name.is_empty() && name.chars().all(word) {
            write!(out, " {sign}{name}").expect(INFALLIBLE);
        } else if let Some((name, value)) = tag.split_once(':').filter(|(name, _)| is_key(name)) {
            valued.push((name, value));
        } else {
            notices.push(format!("{}: tag {tag} is left out", entry.id));
        }
    }
    out.push('\n');
    for (name, value) in entry.code.iter().map(|code| ("code", code.as_str())).chain(valued) {
        writeln!(out, "  {name}: {}", quoted(value)).expect(INFALLIBLE);
    }
    let native = without_trading(&entry.postings);
    if native.is_none() && entry.postings.iter().any(|p| p.lot.is_some()) {
        notices.push(format!(
            "{}: lots are written as metadata beside their trading accounts",
            entry.id
        ));
    }
    for posting in native.as_ref().unwrap_or(&entry.postings) {
        let account = names.account(&posting.account, None)?;
        let amount = amount(posting.quantity, &posting.asset, names)?;
        write!(out, "  {account:<40}  {amount:>16}").expect(INFALLIBLE);
        if native.is_some() {
            out.push_str(&notes(posting, names)?);
        }
        out.push('\n');
        if native.is_none() {
            for (name, text) in [("lot", &posting.lot), ("price", &posting.price)] {
                if let Some(text) = text {
                    writeln!(out, "    {name}: {}", quoted(text)).expect(INFALLIBLE);
                }
            }
        }
    }
    Ok(())
}

/// Lot and price behind an amount.
fn notes(posting: &Written, names: &mut Names) -> Result<String, Refusal> {
    let mut out = String::new();
    if let Some(lot) = posting.lot.as_deref().and_then(lot) {
        write!(out, " {{{}", amount(lot.number, lot.asset, names)?).expect(INFALLIBLE);
        if let Some(date) = lot.date {
            write!(out, ", {date}").expect(INFALLIBLE);
        }
        if let Some(label) = lot.label {
            write!(out, ", {}", quoted(label)).expect(INFALLIBLE);
        }
        out.push('}');
    }
    if let Some((total, number, asset)) = posting.price.as_deref().and_then(price) {
        let sign = if total { "@@" } else { "@" };
        write!(out, " {sign} {}", amount(number, asset, names)?).expect(INFALLIBLE);
    }
    Ok(out)
}

fn amount(quantity: Quantity, asset: &str, names: &mut Names) -> Result<String, Refusal> {
    Ok(format!("{quantity} {}", names.asset(asset)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::text as text_of;
    use crate::testing::Bench;
    use serde_json::json;

    #[test]
    fn names_become_beancounts_and_stay_apart() {
        assert_eq!(
            account_name("assets:bank:my account", Some(Class::Asset)),
            "Assets:Bank:My-account"
        );
        assert_eq!(account_name("Assets", Some(Class::Asset)), "Assets:Assets");
        assert_eq!(account_name("kasse", Some(Class::Asset)), "Assets:Kasse");
        assert_eq!(account_name("Русский язык:Активы", None), "Equity:Русский-язык:Активы");
        assert_eq!(
            account_name("equity:trading:AAPL|USD", Some(Class::Equity)),
            "Equity:Trading:AAPL-USD"
        );
        assert_eq!(
            (asset_name("$"), asset_name("bytes"), asset_name("a b")),
            ("USD".into(), "BYTES".into(), "A-20B".into())
        );
        let mut names = Names::default();
        names.account("assets:a b", None).unwrap();
        assert_eq!(names.account("assets:a-b", None).unwrap_err().code, "name_collision");
    }

    #[test]
    fn what_is_exported_imports_to_the_same_balances() {
        let text = "\
2025-01-01 open Assets:Cash USD
2025-01-01 open Assets:Stock
2025-01-01 open Income:Gains USD
2025-01-01 open Equity:Opening
2025-01-01 open Assets:Euro EUR

2025-01-02 * \"Opening \\\"x\\\"\" #start ^link-1
  Assets:Cash   1000.00 USD
  Equity:Opening

2025-01-03 * \"Buy\"
  Assets:Stock  1.613 ACME {80.19 USD, \"first\"}
  Assets:Cash  -129.35 USD

2025-01-04 * \"Sell\"
  Assets:Stock  -1 ACME {} @ 90 USD
  Assets:Cash   90.00 USD
  Income:Gains

2025-01-05 * \"Change\"
  Assets:Euro   100.00 EUR @ 1.10 USD
  Assets:Cash
";
        let mut first = Bench::new();
        first.import("x.beancount", text).unwrap();
        let out = first.export("beancount").text;
        assert!(out.contains("-1 ACME {80.19 USD, 2025-01-03, \"first\"} @ 90 USD"), "{out}");
        let mut second = Bench::new();
        second.import("y.beancount", &out).unwrap_or_else(|e| panic!("{e}\n{out}"));
        let rows = |bench: &Bench| {
            let rows = bench.report("balance", json!({}));
            let mut all: Vec<String> = rows
                .as_array()
                .unwrap()
                .iter()
                .map(|r| {
                    format!(
                        "{} {} {}",
                        account_name(r["account"].as_str().unwrap(), None),
                        r["asset"],
                        r["balance"]
                    )
                })
                .collect();
            all.sort();
            all
        };
        assert_eq!(rows(&first), rows(&second), "{out}");
        // Erasing the text of one transfer takes no transaction apart, so its lots are found as before.
        let text_of_the_first = |line: &vm_contracts::Line| {
            text_of(&line.body, "transfer_id").is_some_and(|id| id.ends_with(".1"))
        };
        assert!(first.lines.iter().filter(|line| text_of_the_first(line)).count() > 2);
        first.erase(text_of_the_first);
        assert_eq!(first.export("beancount").text, out);
    }
}
