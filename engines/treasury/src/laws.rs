//! Laws of the whole engine over random work: whatever is asked for, debits and credits agree, the
//! lines alone give the state, and what is exported imports again.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use vm_contracts::{AnyEngine, Field, Hosted, Kind, Line};
use vm_receipts::digest::{Blake3, Sha256};
use vm_receipts::line::End;
use vm_receipts::private::SD;

use crate::Treasury;
use crate::money::Quantity;
use crate::story::STORY;
use crate::testing::Bench;

/// One random step. Numbers pick among few accounts, assets and ids, so that steps meet.
#[derive(Clone, Debug)]
enum Step {
    Open(u8, u8, u8),
    Transfer {
        debit: u8,
        credit: u8,
        asset: u8,
        amount: i64,
        pending: bool,
        timeout_s: Option<i64>,
    },
    Post(u8, Option<i64>),
    Void(u8),
    Reverse(u8),
    Link(Vec<(u8, u8, i64)>),
    Settle(u8, Vec<(u8, u8, i64)>),
    Close(u8, u8),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let legs = || proptest::collection::vec((0u8..4, 0u8..4, 1i64..500), 1..5);
    prop_oneof![
        2 => (0u8..5, 0u8..2, 0u8..3).prop_map(|(a, b, c)| Step::Open(a, b, c)),
        8 => (0u8..4, 0u8..4, 0u8..2, -1i64..500, any::<bool>(), proptest::option::of(1i64..100)).prop_map(
            |(debit, credit, asset, amount, pending, timeout_s)| Step::Transfer { debit, credit, asset, amount, pending, timeout_s }
        ),
        3 => (any::<u8>(), proptest::option::of(1i64..500)).prop_map(|(a, b)| Step::Post(a, b)),
        2 => any::<u8>().prop_map(Step::Void),
        2 => any::<u8>().prop_map(Step::Reverse),
        2 => legs().prop_map(Step::Link),
        2 => (0u8..3, legs()).prop_map(|(a, b)| Step::Settle(a, b)),
        1 => (0u8..5, 0u8..2).prop_map(|(a, b)| Step::Close(a, b)),
        2 => (1i64..60).prop_map(Step::Wait),
    ]
}

const ASSETS: [&str; 2] = ["EUR", "HOURS"];

fn cents(amount: i64) -> String {
    Quantity::new(amount.into(), 2).unwrap().to_string()
}

/// Does one step; what is refused changes nothing.
fn take(bench: &mut Bench, ids: &mut Vec<String>, step: Step) {
    let name = |n: u8| format!("assets:p{n}");
    let id = |ids: &[String], n: u8| {
        ids.get(usize::from(n) % ids.len().max(1)).cloned().unwrap_or_default()
    };
    let list = |legs: &[(u8, u8, i64)]| -> Vec<Value> {
        legs.iter().map(|(d, c, n)| json!({"debit": name(*d), "credit": name(*c), "asset": "EUR", "amount": cents(*n)})).collect()
    };
    let texts = |mut list: Vec<Value>| -> Vec<Value> {
        for (n, one) in list.iter_mut().enumerate() {
            one["memo"] = [json!("one"), json!("two"), Value::Null][n % 3].clone();
        }
        list
    };
    let (verb, intent) = match step {
        Step::Wait(seconds) => return bench.wait_s(seconds),
        Step::Open(account, asset, limit) => {
            let limit = crate::state::Limit::WORDS[usize::from(limit)];
            (
                "account-open",
                json!({"account": name(account), "asset": ASSETS[usize::from(asset)], "scale": 2, "limit": limit}),
            )
        }
        Step::Transfer { debit, credit, asset, amount, pending, timeout_s } => (
            "transfer",
            json!({"debit": name(debit), "credit": name(credit), "asset": ASSETS[usize::from(asset)],
                "amount": cents(amount), "memo": "one", "pending": pending, "timeout_s": timeout_s.filter(|_| pending)}),
        ),
        Step::Post(n, amount) => {
            ("post", json!({"pending_id": id(ids, n), "amount": amount.map(cents)}))
        }
        Step::Void(n) => ("void", json!({"pending_id": id(ids, n)})),
        Step::Reverse(n) => ("reverse", json!({"reverses": id(ids, n), "reason": "other"})),
        Step::Link(legs) => ("link", json!({"transfers": texts(list(&legs)), "memo": "all"})),
        Step::Settle(netting, legs) => {
            let netting = ["gross", "bilateral", "multilateral"][usize::from(netting)];
            ("settle", json!({"netting": netting, "legs": list(&legs)}))
        }
        Step::Close(account, asset) => (
            "account-close",
            json!({"account": name(account), "asset": ASSETS[usize::from(asset)]}),
        ),
    };
    let before = bench.dump();
    match bench.call(verb, intent) {
        Ok(lines) => {
            ids.extend(
                lines.iter().filter_map(|l| Some(l.body.get("transfer_id")?.as_str()?.to_owned())),
            );
        }
        Err(_) => assert_eq!(bench.dump(), before, "a refused {verb} changed the state"),
    }
}

fn worked(steps: Vec<Step>) -> Bench {
    let mut bench = Bench::new();
    for account in 0..4 {
        for asset in ASSETS {
            bench.open(&format!("assets:p{account}"), asset, 2);
        }
    }
    let mut ids = Vec::new();
    for step in steps {
        take(&mut bench, &mut ids, step);
    }
    bench
}

/// Debits and credits agree in every asset, and pending sums are those of the open pendings.
fn check_sums(bench: &Bench) {
    let state = bench.state();
    let mut sums: BTreeMap<String, [Quantity; 4]> = BTreeMap::new();
    for ((_, asset), account) in state.accounts.iter() {
        let sum = sums.entry(asset).or_insert([Quantity::ZERO; 4]);
        let parts = [
            account.debits_posted,
            account.credits_posted,
            account.debits_pending,
            account.credits_pending,
        ];
        for (sum, part) in sum.iter_mut().zip(parts) {
            assert!(!part.is_negative());
            *sum = sum.checked_add(part).unwrap();
        }
    }
    for (asset, [debits, credits, debits_pending, credits_pending]) in sums {
        assert_eq!(debits, credits, "{asset}");
        assert_eq!(debits_pending, credits_pending, "{asset}");
        let open = state
            .transfers
            .iter()
            .filter(|(_, t)| t.asset == asset && t.pending && t.outcome.is_none());
        let open = open.fold(Quantity::ZERO, |sum, (_, t)| sum.checked_add(t.amount).unwrap());
        assert_eq!(debits_pending, open, "{asset}");
        let known = state.assets.get(&asset).unwrap();
        assert_eq!((known.debits, known.credits), (debits, credits));
    }
}

/// No account passes its limit, whatever was posted, reversed or expired.
fn check_limits(bench: &Bench) {
    for (key, account) in bench.state().accounts.iter() {
        let add = |a: Quantity, b: Quantity| a.checked_add(b).unwrap();
        match account.limit {
            crate::state::Limit::DebitsLeCredits => {
                assert!(
                    account.debits_posted <= add(account.credits_posted, account.overdraft),
                    "{key:?}"
                );
            }
            crate::state::Limit::CreditsLeDebits => {
                assert!(
                    account.credits_posted <= add(account.debits_posted, account.overdraft),
                    "{key:?}"
                );
            }
            crate::state::Limit::None => {}
        }
    }
}

fn balances(bench: &Bench) -> Vec<String> {
    let rows = bench.report("balance", json!({}));
    let mut all: Vec<String> = Vec::new();
    for row in rows.as_array().unwrap() {
        let number = Quantity::parse(row["balance"].as_str().unwrap()).unwrap();
        if !number.is_zero() {
            all.push(
                format!("{} {} {}", row["account"], row["asset"], number.trimmed(0)).to_lowercase(),
            );
        }
    }
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn debits_equal_credits_after_any_work(steps in proptest::collection::vec(step(), 0..60)) {
        let mut bench = worked(steps);
        check_sums(&bench);
        check_limits(&bench);
        // The lines alone give the same state.
        let live = bench.dump();
        prop_assert_eq!(bench.refold(), live);
        // Every call is one group: its parts stand together and are complete.
        for line in &bench.lines {
            let mine: Vec<&Line> = bench.lines.iter().filter(|l| l.id == line.id).collect();
            prop_assert_eq!(mine.len() as u32, line.part.of);
        }
    }

    #[test]
    fn what_is_exported_imports_to_the_same_balances(
        steps in proptest::collection::vec(step(), 0..40),
        erased in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
    ) {
        let mut bench = worked(steps);
        // Whatever texts are gone, on one side of a transfer or both.
        bench.erase(|line| erased >> (line.seq % 64) & 1 == 1);
        for (format, name) in [("hledger", "x.journal"), ("beancount", "x.beancount")] {
            let text = bench.export(format).text;
            let mut again = Bench::new();
            if let Err(refusal) = again.import(name, &text) {
                panic!("{refusal}\n{text}");
            }
            prop_assert_eq!(balances(&bench), balances(&again), "{}", text);
        }
    }

    #[test]
    fn folding_any_line_never_panics(
        kind in prop_oneof![
            Just("treasury_debit"), Just("treasury_credit"), Just("treasury_account_open"), Just("treasury_account_close"),
            Just("treasury_pending_resolve"), Just("treasury_settlement"), Just("ledger_open"), Just("treasury_later")
        ],
        fields in proptest::collection::btree_map(
            prop_oneof![
                Just("account"), Just("asset"), Just("amount"), Just("phase"), Just("transfer_id"), Just("counterparty"), Just("outcome"),
                Just("scale"), Just("expires_at"), Just("overdraft"), Just("legs"), Just("transfers"), Just("netting"), Just("settlement_id")
            ],
            prop_oneof![
                Just(json!("assets:p0")), Just(json!("EUR")), Just(json!("1.00")), Just(json!("-5")), Just(json!("posted")), Just(json!("pending")),
                Just(json!("170141183460469231731687303715884105727")), Just(json!("0.000000000000000001")), Just(json!(18)), Just(json!(-1)),
                Just(json!([])), Just(json!(null)), Just(json!("9999-12-31T23:59:59.999Z")), Just(json!("expired"))
            ],
            0..14,
        ),
        aborted in any::<bool>(),
    ) {
        let mut bench = Bench::new();
        bench.two("assets:p0", "assets:p1");
        let mut forged = bench.lines[0].clone();
        forged.kind = kind.to_owned();
        forged.body = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        forged.end = if aborted { End::Aborted } else { End::Completed };
        let engine = Hosted::<Treasury>::new();
        let mut state = engine.blank();
        for line in bench.lines.iter().chain([&forged, &forged]) {
            engine.fold(state.as_mut(), line);
        }
        state.dump();
    }
}

#[test]
fn a_forged_receipt_shows_as_broken() {
    let mut bench = Bench::new();
    bench.two("a", "b");
    let lines =
        bench.ok("transfer", json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "1"}));
    let engine = Hosted::<Treasury>::new();
    let mut state = engine.blank();
    let mut forged = lines[0].clone();
    forged.body.insert("account".into(), "nowhere".into());
    forged.seq = 77;
    for line in bench.lines.iter().chain([&forged]) {
        engine.fold(state.as_mut(), line);
    }
    assert_eq!(state.dump()["broken"], json!({"count": 1, "first_seq": 77}));
}

/// Folds the lines of a bench and forged ones; gives the dump before and after the forged ones.
fn folded_with(bench: &Bench, forged: &[Line]) -> (Value, Value) {
    let engine = Hosted::<Treasury>::new();
    let mut state = engine.blank();
    for line in &bench.lines {
        engine.fold(state.as_mut(), line);
    }
    let before = state.dump();
    for line in forged {
        engine.fold(state.as_mut(), line);
    }
    (before, state.dump())
}

#[test]
fn what_an_operation_would_refuse_changes_nothing_when_forged() {
    let mut bench = Bench::new();
    bench.two("a", "b");
    bench.two("closed", "c");
    bench.ok("account-close", json!({"account": "closed", "asset": "EUR"}));
    bench.ok("account-open", json!({"account": "w", "asset": "EUR", "limit": "debits_le_credits"}));
    let give = |id: &str, pending: bool| json!({"transfer_id": id, "debit": "a", "credit": "b", "asset": "EUR", "amount": "7", "pending": pending});
    let posted = bench.ok("transfer", give("t", false));
    bench.ok("transfer", give("p", true));
    bench.ok("transfer", give("q", true));
    bench.ok("post", json!({"pending_id": "q", "amount": "5"}));
    bench.ok("reverse", json!({"reverses": "t", "reason": "mistake"}));
    bench.ok("transfer", give("u", false));
    let forge = |at: usize, changes: Value| {
        let mut line = posted[at].clone();
        line.body.insert("transfer_id".into(), "new".into());
        line.body.extend(changes.as_object().unwrap().clone());
        line
    };
    for (what, line) in [
        ("the credit of a transfer a second time", posted[1].clone()),
        ("a debit of a taken id", posted[0].clone()),
        ("a credit without its debit", forge(1, json!({}))),
        ("a closed account", forge(0, json!({"account": "closed"}))),
        ("an account against itself", forge(0, json!({"counterparty": "a"}))),
        ("an amount too fine", forge(0, json!({"amount": "0.001"}))),
        ("more than a limit allows", forge(0, json!({"account": "w", "counterparty": "b"}))),
        ("a second reversal", forge(0, json!({"reverses": "t"}))),
        ("a reversal of more", forge(0, json!({"reverses": "u", "amount": "8.00"}))),
        ("a reversal of a pending", forge(0, json!({"reverses": "p"}))),
        ("a post of what waits", forge(0, json!({"phase": "post", "pending_id": "p"}))),
        ("a post of more", forge(0, json!({"phase": "post", "pending_id": "q", "amount": "7.01"}))),
    ] {
        let (mut before, mut after) = folded_with(&bench, &[line]);
        assert_eq!(after["broken"]["count"], 1, "{what}");
        for dump in [&mut before, &mut after] {
            dump.as_object_mut().unwrap().remove("broken");
        }
        assert_eq!(before, after, "{what}");
    }
    for account in ["a", "c"] {
        let mut close =
            bench.lines.iter().find(|l| l.kind == "treasury_account_close").unwrap().clone();
        close.body.insert("account".into(), account.into());
        let (_, after) = folded_with(&bench, &[close]);
        assert_eq!(after["broken"]["count"], u64::from(account == "a"), "{account}");
    }
}

/// Every text that people write, in every place where one may stand.
fn with_texts(spec: &vm_contracts::Spec, intent: &mut Value, text: &str) {
    let fill = |fields: &[Field], object: &mut Value| {
        for field in fields.iter().filter(|f| f.is_input() && f.private) {
            object[field.name] = text.into();
        }
    };
    fill(spec.fields, intent);
    for field in spec.fields {
        let Kind::List(_, inner) = field.kind else { continue };
        for item in intent.get_mut(field.name).and_then(Value::as_array_mut).into_iter().flatten() {
            fill(inner, item);
        }
    }
}

#[test]
fn no_private_text_stands_in_a_receipt_an_id_or_the_state() {
    const TEXT: &str = "rent of Ines Sentinel";
    let mut bench = Bench::new();
    for (verb, intent) in STORY {
        bench.ok(verb, serde_json::from_str(intent).unwrap());
    }
    let mut hidden = 0;
    for spec in Hosted::<Treasury>::new().operations() {
        let mut intent = serde_json::from_str(spec.example).unwrap();
        with_texts(spec, &mut intent, TEXT);
        let count = spec.private_in_body().count();
        for line in bench.ok(spec.verb, intent) {
            // One digest for each declared field, given or not.
            let digests = line.body.get(SD).and_then(Value::as_array).map_or(0, Vec::len);
            assert_eq!(digests, count, "{} {}", spec.verb, line.kind);
            assert_eq!(bench.opened(&line, "memo"), (count > 0).then_some(TEXT), "{}", spec.verb);
            hidden += digests;
        }
    }
    assert!(hidden > 10);
    bench.import("x.journal", &format!("2025-01-01 {TEXT}\n a  1 EUR\n b\n")).unwrap();
    let lines: Vec<String> = bench.lines.iter().map(|l| format!("{l:?}")).collect();
    let kept = format!("{}{}", lines.concat(), bench.dump());
    let plain = [Blake3::of(TEXT.as_bytes()).to_string(), Sha256::of(TEXT.as_bytes()).to_string()];
    for trace in ["Sentinel", &plain[0][7..47], &plain[1][7..47]] {
        assert!(!kept.contains(trace), "{trace}");
    }
    assert!(bench.export("csv").text.contains(TEXT));
}

#[test]
fn free_text_is_private_and_the_terms_of_bookkeeping_are_not() {
    // A lot is cost, date and label, a price a number and an asset: amounts, and what later lots are found by.
    const TERMS: [&str; 6] =
        ["debit_lot", "credit_lot", "debit_price", "credit_price", "lot", "price"];
    fn check(fields: &[Field]) {
        for field in fields {
            let free = matches!(
                field.kind,
                Kind::Text(_) | Kind::TextList(..) | Kind::Document(_) | Kind::Documents(..)
            );
            assert_eq!(free && !TERMS.contains(&field.name), field.hides(), "{}", field.name);
            if let Kind::List(_, inner) = field.kind {
                check(inner);
            }
        }
    }
    for spec in Hosted::<Treasury>::new().operations() {
        check(spec.fields);
    }
}

#[test]
fn every_declaration_keeps_the_rules_of_specs() {
    let engine = Hosted::<Treasury>::new();
    for spec in engine.operations().into_iter().chain(engine.reports()) {
        let example: Value = serde_json::from_str(spec.example).unwrap();
        let admitted = vm_contracts::edge::admit(spec, example.as_object().unwrap());
        assert!(admitted.is_ok(), "{}: {admitted:?}", spec.verb);
        let mut names: Vec<_> = spec.fields.iter().map(|f| f.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{} declares a field twice", spec.verb);
        assert!(names.iter().all(|name| vm_receipts::line::is_field_name(name)));
        assert!(spec.types.iter().all(|kind| kind.starts_with("treasury_")));
    }
}
