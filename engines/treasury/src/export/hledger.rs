//! The ledger as a journal that hledger and ledger read, and that imports to the same balances.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vm_contracts::{Export, Exporter, Failure, History};

use super::{Entry, Written, entries, lot, price, without_trading};
use crate::book::Class;
use crate::convert::{NO_CURRENCY, UNBALANCED};
use crate::money::Quantity;
use crate::state::State;

/// Writes journals.
pub struct Hledger;

/// Writing to a String cannot fail.
const INFALLIBLE: &str = "writing to a String cannot fail";

impl Exporter<State> for Hledger {
    fn format(&self) -> &'static str {
        "hledger"
    }

    fn about(&self) -> &'static str {
        "Plain text journal for hledger and ledger"
    }

    fn write(&self, state: &State, history: &mut dyn History) -> Result<Export, Failure> {
        let mut out = String::from("decimal-mark .\n\n");
        let mut classes: BTreeMap<String, Class> = BTreeMap::new();
        for ((name, _), account) in state.accounts.iter() {
            if let Some(class) = account.class() {
                classes.insert(name, class);
            }
        }
        for (name, class) in &classes {
            let letter = match class {
                Class::Asset => 'A',
                Class::Liability => 'L',
                Class::Equity => 'E',
                Class::Income => 'R',
                Class::Expense => 'X',
            };
            writeln!(out, "account {name}  ; type:{letter}").expect(INFALLIBLE);
        }
        let mut notices = Vec::new();
        entries(history, |entry| {
            transaction(&mut out, &entry, &mut notices);
            Ok(())
        })?;
        Ok(Export { text: out, notices })
    }
}

/// Text that does not end a line, start a comment, or look like a reference.
fn free(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.replace(" ;", " ,").trim_start_matches(';').trim().to_owned()
}

fn transaction(out: &mut String, entry: &Entry, notices: &mut Vec<String>) {
    let date = &entry.at.to_string()[..10];
    let code = entry.code.as_deref().map(|c| free(c).replace(')', "]")).unwrap_or_default();
    let memo = entry.memo.as_deref().map(free).unwrap_or_default();
    let head = match (code.is_empty(), memo.starts_with('(')) {
        (true, false) => memo,
        // An empty reference keeps a text in brackets from being read as one.
        _ => format!("({code}) {memo}"),
    };
    writeln!(out, "\n{}", format!("{date} * {head}").trim_end()).expect(INFALLIBLE);
    for tag in &entry.tags {
        match tag.split_once(':') {
            Some((name, value)) => writeln!(out, "    ; {name}: {value}").expect(INFALLIBLE),
            None => writeln!(out, "    ; :{tag}:").expect(INFALLIBLE),
        }
    }
    let native = without_trading(&entry.postings);
    if native.is_none() && entry.postings.iter().any(|p| p.lot.is_some()) {
        notices.push(format!(
            "{}: lots are written as comments beside their trading accounts",
            entry.id
        ));
    }
    let postings = native.as_ref().unwrap_or(&entry.postings);
    for posting in postings {
        if entry.is_virtual && posting.account == UNBALANCED {
            continue;
        }
        let account = match (entry.is_virtual, posting.unbalanced) {
            (true, true) => format!("({})", posting.account),
            (true, false) => format!("[{}]", posting.account),
            _ => posting.account.clone(),
        };
        let amount = amount(posting.quantity, &posting.asset);
        write!(out, "    {account:<40}  {amount:>16}").expect(INFALLIBLE);
        out.push_str(&notes(posting, native.is_some()));
        out.push('\n');
    }
}

/// Lot and price behind an amount, or as a comment where they must not weigh.
fn notes(posting: &Written, native: bool) -> String {
    let mut out = String::new();
    if !native {
        for (name, text) in [("lot", &posting.lot), ("price", &posting.price)] {
            if let Some(text) = text {
                let sign = if out.is_empty() { "  ;" } else { "," };
                write!(out, "{sign} {name}: {text}").expect(INFALLIBLE);
            }
        }
        return out;
    }
    if let Some(lot) = posting.lot.as_deref().and_then(lot) {
        write!(out, " {{{}}}", amount(lot.number, lot.asset)).expect(INFALLIBLE);
        if let Some(date) = lot.date {
            write!(out, " [{date}]").expect(INFALLIBLE);
        }
        if let Some(label) = lot.label.filter(|l| !l.contains(['(', ')'])) {
            write!(out, " ({label})").expect(INFALLIBLE);
        }
        // hledger weighs by the price, ledger by the lot; both see the same number.
        write!(out, " @ {}", amount(lot.number, lot.asset)).expect(INFALLIBLE);
        if let Some(price) = &posting.price {
            write!(out, "  ; price: {price}").expect(INFALLIBLE);
        }
    } else if let Some((total, number, asset)) = posting.price.as_deref().and_then(price) {
        let sign = if total { "@@" } else { "@" };
        write!(out, " {sign} {}", amount(number, asset)).expect(INFALLIBLE);
    }
    out
}

/// An amount; assets that are no plain words stand in quotation marks.
fn amount(quantity: Quantity, asset: &str) -> String {
    let word = |c: char| c.is_alphabetic() || "$€£¥₹".contains(c);
    match asset {
        NO_CURRENCY => quantity.to_string(),
        _ if asset.chars().all(word) => format!("{quantity} {asset}"),
        _ => format!("{quantity} \"{asset}\""),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use serde_json::{Value, json};

    /// Balances of a bench, trading accounts included.
    fn balances(bench: &Bench) -> Value {
        let rows = bench.report("balance", json!({}));
        let short = rows.as_array().unwrap().iter().map(|r| {
            let number = crate::money::Quantity::parse(r["balance"].as_str().unwrap()).unwrap();
            json!([r["account"], r["asset"], number.trimmed(0).to_string(), r["class"]])
        });
        Value::Array(short.collect())
    }

    fn check(text: &str) -> String {
        let mut first = Bench::new();
        first.import("x.journal", text).unwrap();
        let out = first.export("hledger").text;
        let mut second = Bench::new();
        second.import("y.journal", &out).unwrap_or_else(|e| panic!("{e}\n{out}"));
        assert_eq!(balances(&first), balances(&second), "{out}");
        out
    }

    #[test]
    fn what_is_exported_imports_to_the_same_balances() {
        let out = check(
            "account liabs:x  ; type: L
2025-01-01 * (a) Shop ; :t1: k
    e:x            1.50 EUR
    e:y              3 \"a b 2\" @ 0.5 EUR
    assets:bank    -3.00 EUR
2025-01-02 (x
    assets:s      10 AAPL {30.00 USD} [2025-01-02] (lot 1)
    assets:cash  -300.00 USD
2025-01-03 sell
    assets:s      -5 AAPL {30.00 USD} [2025-01-02] (lot 1) @ 50 USD
    assets:cash   250.00 USD
    income:gains
2025-01-04 change
    assets:f     100.00 CHF @@ 104.50 EUR
    assets:bank
2025-01-05 virtual
    liabs:x       1
    assets:bank  -1
    (v:a)         3 EUR
    [v:b]         4 EUR
    [v:c]        -4 EUR
",
        );
        assert!(out.contains("10 AAPL {30.00 USD} [2025-01-02] (lot 1) @ 30.00 USD"), "{out}");
        assert!(out.contains("@@ 104.50 EUR") && !out.contains("    equity:trading:CHF"), "{out}");
        assert!(out.contains("(v:a)") && out.contains("[v:b]"), "{out}");
        assert!(out.contains("2025-01-02 * () (x"), "{out}");
    }

    #[test]
    fn an_exchange_without_a_price_keeps_its_trading_account() {
        let out = check("2025-01-01 x\n    a  10 CHF\n    b  -9 EUR\n");
        assert!(out.contains("equity:trading:CHF|EUR"), "{out}");
    }

    /// Every balance, trading accounts included, after a way through both formats.
    fn comes_back(bench: &Bench) {
        let out = bench.export("hledger").text;
        let mut again = Bench::new();
        again.import("x.journal", &out).unwrap_or_else(|e| panic!("{e}\n{out}"));
        let rows = |bench: &Bench| {
            let rows = balances(bench);
            let rows = rows.as_array().unwrap().iter().map(|r| (r[0].clone(), r[2].clone()));
            rows.collect::<Vec<_>>()
        };
        assert_eq!(rows(bench), rows(&again), "{out}");
        let out = bench.export("beancount").text;
        let mut again = Bench::new();
        again.import("x.beancount", &out).unwrap_or_else(|e| panic!("{e}\n{out}"));
        assert_eq!(rows(bench).len(), rows(&again).len(), "{out}");
    }

    #[test]
    fn what_no_price_explains_on_a_trading_account_is_written_out() {
        let mut bench = Bench::new();
        bench.two("assets:a", "assets:b");
        bench.two("equity:trading:CHF|EUR", "equity:trading:EUR|USD");
        let one = |debit: &str, credit: &str| json!({"debit": debit, "credit": credit, "asset": "EUR", "amount": "5"});
        bench.ok("transfer", one("equity:trading:CHF|EUR", "equity:trading:EUR|USD"));
        comes_back(&bench);
        let across =
            [one("equity:trading:CHF|EUR", "assets:a"), one("assets:b", "equity:trading:EUR|USD")];
        bench.ok("link", json!({"transfers": across}));
        comes_back(&bench);
    }

    #[test]
    fn virtual_postings_of_both_kinds_keep_theirs() {
        let out = check("2025-01-01 x\n    [a]  7 ZZZ {1.5 USD}\n    (d)  -2 ZZZ\n    [d]\n");
        assert!(out.contains("(d)") && out.contains("[d]"), "{out}");
    }

    #[test]
    fn whole_numbers_that_do_not_quite_add_up_come_back() {
        let mut bench = Bench::new();
        let text = "2025-01-01 x\n    s  -3017 ACME {4.0571 AAA}\n    b  12240 AAA\n";
        bench.import("x.journal", text).unwrap();
        comes_back(&bench);
    }

    #[test]
    fn a_virtual_posting_that_was_reversed_comes_back() {
        let mut bench = Bench::new();
        bench
            .import("x.journal", "2025-01-01 x\n (v)  3 EUR\n (w)  2 EUR\n a  5 EUR\n b\n")
            .unwrap();
        let held = |l: &&vm_contracts::Line| l.body.get("account").is_some_and(|a| a == "v");
        let id = bench.lines.iter().rfind(held).unwrap().body["transfer_id"].clone();
        bench.ok("reverse", json!({"reverses": id, "reason": "mistake"}));
        assert_eq!(bench.balance("v", "EUR"), "0.00");
        comes_back(&bench);
    }

    #[test]
    fn what_has_moved_nothing_is_left_out() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.ok("transfer", json!({"transfer_id": "p", "debit": "a", "credit": "b", "asset": "EUR", "amount": "7", "pending": true}));
        assert!(!bench.export("hledger").text.contains('7'));
        bench.ok("post", json!({"pending_id": "p", "amount": "5"}));
        assert!(bench.export("hledger").text.contains("5.00 EUR"));
    }

    #[test]
    fn transfers_of_a_group_keep_their_own_texts() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        let one = |memo: &str| json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "1", "memo": memo});
        bench.ok("link", json!({"transfers": [one("first"), one("second")]}));
        let out = bench.export("hledger").text;
        assert!(out.contains("* first") && out.contains("* second"), "{out}");
        comes_back(&bench);
        // A text that is gone parts nothing, least of all the two sides of one transfer.
        bench.erase(|line| line.kind == "treasury_debit");
        assert_eq!(bench.export("hledger").text, out);
        bench.erase(|_| true);
        let transactions = |out: &str| out.matches(" *").count();
        assert_eq!((transactions(&out), transactions(&bench.export("hledger").text)), (2, 1));
        comes_back(&bench);
    }
}
