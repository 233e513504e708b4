//! What the journal reader takes, leaves out with a notice, and refuses with its place.

use proptest::prelude::*;

use super::read;
use crate::book::{Book, Kind};

const ALL: [Kind; 3] = [Kind::Real, Kind::Balanced, Kind::Unbalanced];

fn book(text: &str) -> Book {
    read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn balances(text: &str) -> Vec<String> {
    book(text).balances(&ALL).unwrap().iter().map(|((a, c), q)| format!("{a} {q} {c}")).collect()
}

/// Code, line and column of the refusal.
fn refused(text: &str, code: &str, line: u32, column: u32) {
    match read(text.as_bytes()) {
        Err(error) => {
            let got = (error.code(), error.place.line, error.place.column);
            assert_eq!(got, (code, line, column), "{error}\n{text}");
        }
        Ok(book) => panic!("read: {text}\n{book:?}"),
    }
}

#[test]
fn an_empty_file_is_an_empty_book() {
    for text in ["", "\n", "; nothing\n\n# here\n* or here\n", "   \n"] {
        assert!(book(text).transactions.is_empty());
    }
}

#[test]
fn one_amount_may_be_left_out_and_takes_every_commodity() {
    assert_eq!(
        balances("2025-01-01 x\n a  1 EUR\n b  2 CHF\n c\n"),
        ["a 1 EUR", "b 2 CHF", "c -2 CHF", "c -1 EUR"]
    );
    refused("2025-01-01 x\n a  1 EUR\n b\n c\n", "amounts_elided", 4, 2);
}

#[test]
fn postings_must_add_up() {
    refused("\n2025-01-01 x\n a  1 EUR\n b  -1.01 EUR\n", "transaction_unbalanced", 2, 1);
    refused("2025-01-01 x\n a  1 EUR\n", "transaction_unbalanced", 1, 1);
    refused("2025-01-01 x\n a  1 EUR\n b  -1 CHF\n c  1 USD\n", "transaction_unbalanced", 1, 1);
    // Two commodities with equal signs are no exchange.
    refused("2025-01-01 x\n a  1 EUR\n b  1 CHF\n", "transaction_unbalanced", 1, 1);
    refused("2025-01-01 x\n [a]  1 EUR\n b  1 EUR\n c\n", "transaction_unbalanced", 1, 1);
}

#[test]
fn prices_and_costs_weigh() {
    for text in [
        "2025-01-01 x\n a  10 X @ 3 EUR\n b  -30 EUR\n",
        "2025-01-01 x\n a  10 X @@ 30 EUR\n b  -30 EUR\n",
        "2025-01-01 x\n a  10 X {3 EUR}\n b  -30 EUR\n",
        "2025-01-01 x\n a  10 X {{30 EUR}}\n b  -30 EUR\n",
        "2025-01-01 x\n a  -10 X {3 EUR} @ 5 EUR\n b  50 EUR\n c  -20 EUR\n",
        "2025-01-01 x\n a  -10 X {3 EUR} @ 5 EUR\n b  50 EUR\n",
        "2025-01-01 x\n a  3 X @ 3.333 EUR\n b  -10.00 EUR\n",
    ] {
        book(text);
    }
    refused("2025-01-01 x\n a  10 X @ 3 EUR\n b  -31 EUR\n", "transaction_unbalanced", 1, 1);
    refused("2025-01-01 x\n a  10 X {3 EUR}\n b  31 EUR\n", "transaction_unbalanced", 1, 1);
    refused("2025-01-01 x\n a  3 X {{10 EUR}}\n b\n", "cost_basis_unsupported", 2, 11);
    refused("2025-01-01 x\n a  3 X [2025-01-01]\n b\n", "cost_basis_unsupported", 2, 1);
}

#[test]
fn an_assertion_names_what_it_found() {
    let start = "2025-01-01 x\n a  10 EUR\n b\n";
    book(&format!("{start}2025-01-02 y\n a  1 EUR = 11 EUR\n b\n"));
    refused(
        &format!("{start}2025-01-02 y\n a  1 EUR = 12 EUR\n b\n"),
        "balance_assertion_failed",
        5,
        13,
    );
    let error =
        read(format!("{start}2025-01-02 y\n a  1 EUR = 12 EUR\n b\n").as_bytes()).unwrap_err();
    assert_eq!(error.message, "`a` should hold 12 EUR, but holds 11 EUR");
}

#[test]
fn assertions_count_by_date_and_know_their_variants() {
    // The later date stands first in the file.
    book("2025-02-01 y\n a  1 EUR = 11 EUR\n b\n2025-01-01 x\n a  10 EUR = 10 EUR\n b\n");
    book("2025-01-01 x\n a  1 EUR\n a:b  2 EUR\n c\n2025-01-02 y\n a  0 EUR =* 3 EUR\n");
    refused(
        "2025-01-01 x\n a  1 EUR\n a  2 CHF\n c\n2025-01-02 y\n a  0 EUR == 1 EUR\n",
        "balance_assertion_failed",
        6,
        14,
    );
    refused(
        "2025-01-01 x\n a  1 EUR\n c\n2025-01-02 y\n a  0 EUR = 0\n",
        "balance_assertion_failed",
        5,
        13,
    );
    book("2025-01-01 x\n a  1 EUR\n a  -1 EUR\n2025-01-02 y\n a  0 EUR = 0\n");
}

#[test]
fn an_assertion_may_assign_the_amount() {
    assert_eq!(
        balances("2025-01-01 x\n a  10 EUR\n b\n2025-01-02 y\n a  = 4 EUR\n c\n"),
        ["a 4 EUR", "b -10 EUR", "c 6 EUR"]
    );
}

#[test]
fn rules_apply_to_what_follows_them() {
    let text = "2025-01-01 x\n Income:A  -10 EUR\n b\n\n= /^income/\n (tithe)  -0.1\n (count)  1 N\n\n2025-01-02 y\n Income:A  -20 EUR\n b\n";
    assert_eq!(balances(text), ["Income:A -30 EUR", "b 30 EUR", "count 1 N", "tithe 2 EUR"]);
    refused("= /a/\n x  1\n\n2025-01-01 x\n a  1 EUR\n b\n", "transaction_unbalanced", 4, 1);
    book("= a\n x  *1\n y  *-1\n\n2025-01-01 x\n a  1 EUR\n b\n");
    refused("= /a/ and /b/\n x  1\n", "construct_unsupported", 1, 3);
    refused("= expr true\n x  1\n", "construct_unsupported", 1, 3);
    refused("= /(a|b)/\n x  1\n", "construct_unsupported", 1, 3);
    refused("= /a/\n x\n", "construct_unsupported", 2, 2);
}

#[test]
fn directives_shape_what_follows() {
    let text = "\
Y 2024
alias bank = assets:bank
decimal-mark ,
D 1.000,00 EUR
commodity 1.000,000 KG
apply account verein
apply tag jahr: 2024
03/04 x ; :eins:
  assets:bank  1.234,50
  food  2,500 KG
  other  -1.234,50
  farm  -2,500 KG
end tag
end apply account
03/05 y
  bank:a  1
  till  -1
P 2024-01-01 KG 3,50 EUR
account assets:x  ; type: L
comment
2024-01-01 no
end comment
test x
 2024-01-01 no
end test
~ monthly
  a  1
  b
N x
tag y
";
    let book = book(text);
    assert_eq!(
        balances(text),
        [
            "assets:bank:a 1 EUR",
            "till -1 EUR",
            "verein:assets:bank 1234.50 EUR",
            "verein:farm -2.500 KG",
            "verein:food 2.500 KG",
            "verein:other -1234.50 EUR"
        ]
    );
    let transaction = &book.transactions[0];
    assert_eq!(transaction.date.to_string(), "2024-03-04");
    let tags: Vec<_> = transaction.tags.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(tags, ["jahr", "eins"]);
    assert_eq!((book.scales["EUR"], book.scales["KG"]), (2, 3));
    assert_eq!(book.prices[0].price.quantity.to_string(), "3.50");
    assert_eq!(book.accounts["assets:x"].class, Some(crate::book::Class::Liability));
    let codes: Vec<_> = book.notices.iter().map(|n| n.code).collect();
    assert_eq!(codes, ["periodic_skipped", "no_market_skipped", "directive_skipped"]);
}

#[test]
fn what_would_change_results_is_refused_and_not_skipped() {
    for text in [
        "assert x",
        "define x=1",
        "A assets",
        "bucket x",
        "i 2025-01-01 10:00",
        "python",
        "apply rate x",
        "eval x",
    ] {
        refused(&format!("; x\n{text}\n"), "construct_unsupported", 2, 1);
    }
    refused("include other.journal\n", "include_refused", 1, 1);
    refused("!include other.journal\n", "include_refused", 1, 1);
    refused("Hello\n", "directive_unknown", 1, 1);
    refused(" a  1\n", "syntax", 1, 2);
    refused("2025-01-01 x\n a  (1 + 2)\n b\n", "construct_unsupported", 2, 5);
    refused("Yabcd\n", "date_invalid", 1, 2);
    assert_eq!(book("Y2011\n1/2 x\n a  1\n b\n").transactions[0].date.to_string(), "2011-01-02");
    refused("alias /a/ = b\n", "construct_unsupported", 1, 7);
    refused("comment\n", "block_not_closed", 1, 1);
    refused("end tag\n", "syntax", 1, 1);
    refused("2025-02-30 x\n a  1\n b\n", "syntax", 1, 1);
    refused("2025-01-01 x\n a  1,000 EUR\n b\n", "number_ambiguous", 2, 5);
    refused("2025-01-01 x\n a  1 EUR @ -2 CHF\n b\n", "syntax", 2, 14);
}

#[test]
fn a_sign_beyond_ascii_is_refused_and_not_taken_for_a_commodity() {
    refused("2025-01-01 x\n a  €\u{2212}5\n b\n", "syntax", 2, 6);
    refused("2025-01-01 x\n a  \u{2013}5\n b\n", "syntax", 2, 5);
    assert_eq!(
        balances("2025-01-01 x\n a  1 \"\u{2212}\"\n b\n"),
        ["a 1 \u{2212}", "b -1 \u{2212}"]
    );
}

#[test]
fn a_declared_mark_decides_what_later_samples_mean() {
    for sample in ["commodity 1.000 EUR", "D 1.000 EUR", "commodity EUR\n  format 1.000 EUR"] {
        let text = format!("decimal-mark ,\n{sample}\n2025-01-01 x\n a  2.000 EUR\n b\n");
        assert_eq!(balances(&text), ["a 2000 EUR", "b -2000 EUR"], "{sample}");
    }
    let text = "commodity \"X 2\" 1.000,00\n2025-01-01 x\n a  \"X 2\" 1.000\n b\n";
    assert_eq!(balances(text), ["a 1000 X 2", "b -1000 X 2"]);
}

#[test]
fn a_thousand_beside_decimal_commas_is_refused_as_ambiguous() {
    let entry = |amount: &str| format!("2025-01-01 x\n a  {amount}\n b\n");
    for other in ["12,50 EUR", "1.234,50 CHF", "1.000.000 EUR"] {
        let (before, after) =
            (entry(other) + &entry("1.000 EUR"), entry("1.000 EUR") + &entry(other));
        refused(&before, "number_ambiguous", 5, 5);
        refused(&after, "number_ambiguous", 5, 5);
        book(&format!("decimal-mark ,\n{before}"));
    }
    book(&(entry("12,50 EUR") + &entry("0.125 KG") + &entry("1.5 KG")));
    book(&(entry("1,234.50 EUR") + &entry("1.000 KG")));
}

#[test]
fn an_amount_behind_other_blanks_is_no_part_of_the_name() {
    refused("2025-01-01 x\n a\u{a0}\u{a0}5 EUR\n b  -5 EUR\n", "syntax", 2, 1);
    refused("2025-01-01 x\n a \u{3000}5 EUR\n b  -5 EUR\n", "syntax", 2, 1);
    assert_eq!(balances("2025-01-01 x\n a\u{a0}b  5\n c\n"), ["a\u{a0}b 5 ", "c -5 "]);
}

#[test]
fn where_ledger_and_hledger_name_another_account_the_name_is_refused() {
    let text = "alias bank = assets:bank\napply account v\n2025-01-01 x\n bank  5\n b\n";
    refused(text, "construct_unsupported", 4, 2);
    let text = "alias v:bank = assets:bank\napply account v\n2025-01-01 x\n b\n bank  5\n";
    refused(text, "construct_unsupported", 5, 2);
}

#[test]
fn a_rule_that_asks_for_more_than_an_account_is_refused() {
    for query in ["@shop", "%tag", "#17", "!food", "=note"] {
        refused(&format!("= {query}\n (t)  1\n"), "construct_unsupported", 1, 3);
    }
    refused("= a\n (t)  *2 USD\n", "construct_unsupported", 2, 3);
    assert_eq!(book("= a\n (t)  2\n= b\n (t)  3\n").notices[0].code, "rules_applied");
    assert_eq!(book("= a\n (t)  2\n= b\n (t)  3\n").notices.len(), 1);
}

#[test]
fn a_balance_that_tools_assign_differently_is_refused() {
    let (late, early) = ("2025-02-01 y\n a  = 10 EUR\n b\n", "2025-01-01 x\n a  4 EUR\n c\n");
    refused(&format!("{late}{early}"), "construct_unsupported", 5, 2);
    let early_assigned = "2025-01-01 x\n a  = 10 EUR\n b\n";
    refused(
        &format!("2025-02-01 y\n a  4 EUR\n c\n{early_assigned}"),
        "construct_unsupported",
        5,
        2,
    );
    assert_eq!(balances(&format!("{early}{late}")), ["a 10 EUR", "b -6 EUR", "c -4 EUR"]);
    // Other accounts may stand in any order.
    book(&format!("2025-03-01 z\n p  4 EUR\n q\n{early}{late}"));
    refused(
        "2025-01-01 x\n (a)  5 EUR\n2025-01-02 y\n a  = 10 EUR\n b\n",
        "construct_unsupported",
        4,
        7,
    );
    refused("2025-01-01 x\n a  = 10 X @ 5 EUR\n b\n", "construct_unsupported", 2, 7);
    book("2025-01-01 x\n a  10 X @ 5 EUR = 10 X @ 5 EUR\n b\n");
}

#[test]
fn a_comment_within_an_entry_starts_with_a_semicolon() {
    refused("2025-01-01 x\n # a  5 EUR\n b  3 EUR\n c\n", "syntax", 2, 2);
    refused("= a\n % x\n (t)  2\n", "syntax", 2, 2);
    book("# x\n% y\n| z\n* w\n2025-01-01 x\n ; a\n b  3 EUR\n c\n");
}

#[test]
fn limits_hold() {
    let many = |n: usize| {
        let mut text = "2025-01-01 x\n".to_owned();
        text.push_str(&" a  1 EUR\n".repeat(n - 1));
        text.push_str(" b\n");
        text
    };
    assert_eq!(book(&many(1_000)).transactions[0].postings.len(), 1_000);
    refused(&many(1_001), "too_many", 1_002, 2);
    let long = "x".repeat(257);
    refused(&format!("2025-01-01 x\n {long}  1\n b\n"), "too_many", 2, 1);
    let rules = "= /a/\n (x)  1\n".repeat(201);
    refused(&rules, "too_many", 401, 3);
}

const SEED: &str = "\
= /^Income/
  (Liabilities:Tithe)                    0.12
D $1,000.00
2010/12/28=2011/01/01 * (c) Acme Mortgage ; a: b
  Liabilities:Mortgage:Principal    $  200.00
  [x]  1 \"a b\" {3 EUR} [2011/01/01] (n) @@ 4 EUR
  [y]
  Assets:Checking  = $ -1000.00 ; :x:y:
  Income:Sales
apply tag hastag: true
P 2011/01/01 X 3 EUR
alias a=b
end tag
comment
end comment
";

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_change_to_a_journal_makes_the_reader_panic(
        changes in proptest::collection::vec((0usize..SEED.len(), 0usize..6, "\\PC|[ \t\n\";=@(){}\\[\\]*!:.,0-9-]"), 1..12)
    ) {
        let mut text: Vec<char> = SEED.chars().collect();
        for (at, how_many, with) in changes {
            let at = at.min(text.len());
            let end = (at + how_many).min(text.len());
            text.splice(at..end, with.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(error) = read(text.as_bytes()) {
            prop_assert!(error.place.line >= 1 && error.place.column >= 1);
            prop_assert!(!error.message.is_empty());
        }
    }
}
