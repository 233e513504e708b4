//! What the beancount reader takes, books and refuses.

use proptest::prelude::*;

use super::{Checked, read};

/// Accounts that the tests use.
const OPEN: &str = "\
2020-01-01 open Assets:Stock
2020-01-01 open Assets:Cash
2020-01-01 open Income:Gains
2020-01-01 open Equity:Open
";

fn checked(text: &str) -> Checked {
    let text = format!("{OPEN}{text}");
    read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Code and line (of the text without the opens) of each fault.
fn faults(text: &str) -> Vec<(&'static str, u32)> {
    checked(text).faults.iter().map(|f| (f.code(), f.place.line - 4)).collect()
}

fn held(text: &str) -> Vec<String> {
    let checked = checked(text);
    assert_eq!(checked.faults, []);
    let mut out = Vec::new();
    for (account, inventory) in &checked.inventories {
        for position in inventory {
            let lot = position.lot.as_ref().map(crate::convert::lot_text).unwrap_or_default();
            let units = &position.units;
            out.push(
                format!("{account} {} {} {lot}", units.quantity, units.commodity).trim().to_owned(),
            );
        }
    }
    out
}

fn refused(text: &str, code: &str, line: u32) {
    match read(text.as_bytes()) {
        Err(error) => assert_eq!((error.code(), error.place.line), (code, line), "{error}\n{text}"),
        Ok(_) => panic!("read: {text}"),
    }
}

const TWO_LOTS: &str = "\
2020-01-02 * \"buy\"
  Assets:Stock  10 ACME {5.00 USD}
  Assets:Cash  -50.00 USD
2020-01-03 * \"buy\"
  Assets:Stock  10 ACME {6.00 USD, \"b\"}
  Assets:Cash  -60.00 USD
";

#[test]
fn a_reduction_takes_the_lot_it_names() {
    for spec in ["{5.00 USD}", "{2020-01-02}", "{5.00 USD, 2020-01-02}"] {
        let text = format!(
            "{TWO_LOTS}2020-02-01 * \"sell\"\n  Assets:Stock  -4 ACME {spec}\n  Assets:Cash  24.00 USD\n  Income:Gains\n"
        );
        let held = held(&text);
        assert_eq!(
            held[1..3],
            [
                "Assets:Stock 6 ACME 5.00 USD 2020-01-02",
                "Assets:Stock 10 ACME 6.00 USD 2020-01-03 \"b\""
            ],
            "{spec}"
        );
        assert_eq!(held[3], "Income:Gains -4.00 USD");
    }
}

#[test]
fn a_strict_reduction_that_fits_two_lots_is_a_fault_unless_it_takes_both() {
    let sell = |n: &str| {
        format!(
            "{TWO_LOTS}2020-02-01 * \"sell\"\n  Assets:Stock  {n} ACME {{}}\n  Assets:Cash  1.00 USD\n  Income:Gains\n"
        )
    };
    assert_eq!(faults(&sell("-4")), [("lots_ambiguous", 7)]);
    assert_eq!(faults(&sell("-21")), [("lots_not_enough", 7)]);
    assert!(!held(&sell("-20")).iter().any(|line| line.contains("ACME")));
}

#[test]
fn other_methods_choose_their_lots() {
    for (method, left) in [
        ("FIFO", "Assets:Stock 8 ACME 6.00 USD 2020-01-03 \"b\""),
        ("LIFO", "Assets:Stock 8 ACME 5.00 USD 2020-01-02"),
        ("HIFO", "Assets:Stock 8 ACME 5.00 USD 2020-01-02"),
    ] {
        let text = format!(
            "option \"booking_method\" \"{method}\"\n{TWO_LOTS}2020-02-01 * \"sell\"\n  Assets:Stock  -12 ACME {{}}\n  Assets:Cash  1.00 USD\n  Income:Gains\n"
        );
        assert_eq!(held(&text)[1], left, "{method}");
    }
    let none = "2020-01-01 open Assets:Other \"NONE\"\n2020-01-02 * \"x\"\n  Assets:Other  -1 ACME {5.00 USD}\n  Assets:Cash  5.00 USD\n";
    assert_eq!(held(none)[1], "Assets:Other -1 ACME 5.00 USD 2020-01-02");
    refused("option \"booking_method\" \"AVERAGE\"\n", "cost_basis_unsupported", 1);
}

#[test]
fn amounts_are_filled_in_and_rounded_as_the_others_are_written() {
    assert_eq!(
        held(
            "2020-02-01 * \"x\"\n  Assets:Stock  1.613 ACME {80.19 USD}\n  Income:Gains  0.00 USD\n  Assets:Cash\n"
        )[0],
        "Assets:Cash -129.35 USD"
    );
    assert_eq!(
        held("2020-02-01 * \"x\"\n  Assets:Cash  3 USD\n  Income:Gains -1\n  Equity:Open\n")[1],
        "Equity:Open -2 USD"
    );
    assert_eq!(
        faults("2020-02-01 * \"x\"\n  Assets:Cash  3 USD\n  Income:Gains\n  Equity:Open\n"),
        [("amounts_elided", 4)]
    );
}

#[test]
fn postings_add_up_within_half_of_the_last_digit() {
    let cash = |n: &str| {
        format!(
            "2020-02-01 * \"x\"\n  Assets:Stock  1.613 ACME {{80.19 USD}}\n  Assets:Cash  {n} USD\n"
        )
    };
    assert_eq!(faults(&cash("-129.35")), []);
    assert_eq!(faults(&cash("-129.34")), [("transaction_unbalanced", 1)]);
    // A tolerance given for the file counts where no digit says otherwise.
    assert_eq!(
        faults(&format!("option \"inferred_tolerance_default\" \"USD:1\"\n{}", cash("-130"))),
        []
    );
}

#[test]
fn balances_and_pads_agree() {
    let pad = "2020-01-02 pad Assets:Cash Equity:Open\n2020-02-01 balance Assets:Cash  10.00 USD\n";
    assert_eq!(held(pad), ["Assets:Cash 10.00 USD", "Equity:Open -10.00 USD"]);
    assert_eq!(faults("2020-01-02 pad Assets:Cash Equity:Open\n"), [("pad_unused", 1)]);
    let cash = "2020-01-05 * \"x\"\n  Assets:Cash  10.00 USD\n  Equity:Open\n";
    assert_eq!(
        faults(&format!("{cash}2020-01-05 balance Assets:Cash  10.00 USD\n")),
        [("balance_assertion_failed", 4)]
    );
    assert_eq!(faults(&format!("{cash}2020-01-06 balance Assets:Cash  10.01 USD\n")), []);
    assert_eq!(
        faults(&format!("{cash}2020-01-06 balance Assets:Cash  10.02 USD\n")),
        [("balance_assertion_failed", 4)]
    );
    assert_eq!(faults(&format!("{cash}2020-01-06 balance Assets:Cash  10.02 ~ 0.05 USD\n")), []);
    // A balance counts the accounts below.
    let below = "2020-01-01 open Assets:Cash:Box
2020-01-05 * \"x\"
  Assets:Cash:Box  5.00 USD
  Equity:Open
";
    assert_eq!(
        faults(&format!(
            "{cash}{below}2020-01-06 balance Assets:Cash  15.00 USD
"
        )),
        []
    );
}

#[test]
fn accounts_are_used_while_they_are_open() {
    let txn =
        |date: &str, account: &str| format!("{date} * \"x\"\n  {account}  1 USD\n  Equity:Open\n");
    assert_eq!(faults(&txn("2020-01-05", "Assets:None")), [("account_unknown", 1)]);
    assert_eq!(
        faults(&txn("2019-12-31", "Assets:Cash")),
        [("account_inactive", 1), ("account_inactive", 1)]
    );
    let closed = "2020-03-01 close Assets:Cash\n";
    assert_eq!(
        faults(&format!("{closed}{}", txn("2020-03-02", "Assets:Cash"))),
        [("account_inactive", 2)]
    );
    assert_eq!(faults(&format!("{closed}{}", txn("2020-03-01", "Assets:Cash"))), []);
    assert_eq!(faults("2020-01-02 open Assets:Cash\n"), [("account_opened_twice", 1)]);
    let only = "2020-01-01 open Assets:Euro EUR, CHF\n";
    assert_eq!(
        faults(&format!("{only}{}", txn("2020-01-05", "Assets:Euro"))),
        [("commodity_not_allowed", 2)]
    );
    let auto = "plugin \"beancount.plugins.auto_accounts\"\n";
    assert_eq!(faults(&format!("{auto}{}", txn("2019-01-05", "Assets:None"))), []);
}

#[test]
fn the_other_directives_are_read() {
    let text = "\
option \"title\" \"x\"
option \"name_assets\" \"Vermoegen\"
pushtag #t
2020-01-02 txn \"Payee\" | \"Text over
two lines\" #a ^b
  note: \"x\"
  ; c
  Equity:Open  1 USD
    meta: 3
  #late
  Equity:Open  -1 USD
poptag #t
2020-01-02 price ACME 3.00 USD
2020-01-02 commodity ACME
  name: \"x\"
2020-01-02 event \"a\" \"b\"
2020-01-02 query \"a\" \"select
  1\"
2020-01-02 custom \"a\" TRUE 1 USD
2020-01-02 note Equity:Open \"x\" #t
2020-01-02 document Equity:Open \"x.pdf\"
* heading
";
    let opens = OPEN.replace("Assets", "Vermoegen");
    let checked = read(format!("{text}{opens}").as_bytes()).unwrap();
    assert_eq!(checked.faults, []);
    let transaction = &checked.book.transactions[0];
    assert_eq!(transaction.payee, "Payee | Text over\ntwo lines");
    let tags: Vec<_> = transaction.tags.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(tags, ["t", "a", "^b", "late"]);
    assert_eq!(checked.book.prices.len(), 1);
    assert_eq!(checked.book.notices[0].code, "document_not_checked");
}

#[test]
fn what_is_wrong_is_refused_with_its_line() {
    refused("\n2020-13-01 open Assets:A\n", "syntax", 2);
    refused("2020-01-01 opne Assets:A\n", "directive_unknown", 1);
    refused("2020-01-01 open Aktiva:A\n", "syntax", 1);
    refused("2020-01-01 open Assets\n", "syntax", 1);
    refused("include \"x\"\n", "include_refused", 1);
    refused("Hello\n", "directive_unknown", 1);
    refused("2020-01-01 * \"x\n", "block_not_closed", 1);
    refused("2020-01-01 * \"x\"\n  Assets:A  1 / 3 USD\n", "syntax", 2);
    refused("2020-01-01 * \"x\"\n  Assets:A  1 usd\n", "syntax", 2);
    refused("  Assets:A  1 USD\n", "syntax", 1);
    refused("poptag #x\n", "syntax", 1);
    refused("option \"account_rounding\" \"x\"\n", "construct_unsupported", 1);
    assert_eq!(
        faults("2020-01-02 * \"x\"\n  Assets:Stock  1 ACME {*}\n  Assets:Cash\n"),
        [("cost_basis_unsupported", 2)]
    );
    assert_eq!(
        faults("2020-01-02 * \"x\"\n  Assets:Stock  1 ACME {}\n  Assets:Cash\n"),
        [("cost_basis_unsupported", 2)]
    );
    assert_eq!(
        faults("2020-01-02 * \"x\"\n  Assets:Stock  3 ACME {{10 USD}}\n  Assets:Cash\n"),
        [("cost_basis_unsupported", 2)]
    );
}

const SEED: &str = "\
option \"title\" \"x\"
plugin \"a\"
2020-01-01 open Assets:Stock ACME, USD \"FIFO\"
2020-01-01 open Assets:Cash
2020-01-02 pad Assets:Cash Assets:Stock
2020-01-03 * \"a\" \"b\" #c ^d
  note: \"x\"
  ! Assets:Stock  (1 + 2.5) * 2 ACME {80.00 # 1 USD, 2020-01-01, \"l\"} @@ 93 USD
  Assets:Stock  -1 ACME {}
  Assets:Cash  USD
2020-02-01 balance Assets:Cash  1,000.00 ~ 0.5 USD
2020-02-01 custom \"x\" TRUE
2021-01-01 close Assets:Cash
";

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_change_to_a_file_makes_the_reader_panic(
        changes in proptest::collection::vec((0usize..SEED.len(), 0usize..6, "\\PC|[ \t\n\";=@(){}\\[\\]*!:.,0-9A-Z-]"), 1..12)
    ) {
        let mut text: Vec<char> = SEED.chars().collect();
        for (at, how_many, with) in changes {
            let at = at.min(text.len());
            let end = (at + how_many).min(text.len());
            text.splice(at..end, with.chars());
        }
        let text: String = text.into_iter().collect();
        if let Ok(checked) = read(text.as_bytes()) {
            // What is read can also be converted, or is refused with a place.
            if let Err(error) = crate::convert::convert(&checked.book, &[0; 32]) {
                prop_assert!(error.place.line >= 1);
            }
        }
    }
}
