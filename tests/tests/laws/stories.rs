//! For each engine, calls that are accepted one after another and use every operation at least once.

use crate::bench::call;
use serde_json::{Value, json};
use vm_contracts::{AnyEngine, Call};

/// The story of an engine. One that has none here is told its own, and then its examples in the order of its list.
pub fn calls(engine: &dyn AnyEngine) -> Vec<Call> {
    let told: Vec<(&str, Value)> = match engine.name() {
        "treasury" => treasury(),
        name => {
            let text = |text: &str| serde_json::from_str(text).expect("an intent");
            let before = vaultmesh::house::story(name).iter().map(|(verb, t)| (*verb, text(t)));
            let examples = engine.operations().into_iter().map(|s| (s.verb, text(s.example)));
            before.chain(examples).collect()
        }
    };
    let steps = told.into_iter().enumerate();
    steps
        .map(|(n, (verb, intent))| {
            let Value::Object(intent) = intent else { panic!("an intent is an object") };
            let mut call = call(engine, verb, &format!("{}-{n}", engine.name()), intent);
            call.tags = if n % 3 == 0 { vec![format!("tag-{}", n % 2)] } else { Vec::new() };
            call
        })
        .collect()
}

fn treasury() -> Vec<(&'static str, Value)> {
    let open = |account: &str, class: &str| {
        ("account-open", json!({"account": account, "asset": "EUR", "class": class}))
    };
    let transfer = |id: &str, pending: bool, amount: &str| {
        let intent = json!({
            "transfer_id": id, "debit": "assets:bank", "credit": "income:dues", "asset": "EUR",
            "amount": amount, "pending": pending,
        });
        ("transfer", intent)
    };
    let legs = json!([
        {"debit": "clearing:a", "credit": "clearing:b", "asset": "EUR", "amount": "120.00"},
        {"debit": "clearing:b", "credit": "clearing:a", "asset": "EUR", "amount": "75.00"},
    ]);
    let rent = json!([
        {"debit": "expenses:rent", "credit": "assets:bank", "asset": "EUR", "amount": "450.00"},
        {"debit": "expenses:fees", "credit": "assets:bank", "asset": "EUR", "amount": "1.50"},
    ]);
    vec![
        open("assets:bank", "asset"),
        open("income:dues", "income"),
        open("expenses:rent", "expense"),
        open("expenses:fees", "expense"),
        open("clearing:a", "liability"),
        open("clearing:b", "liability"),
        open("assets:old", "asset"),
        transfer("dues-2025-17", false, "60.00"),
        transfer("order-17", true, "1000.00"),
        transfer("order-18", true, "0.99"),
        ("post", json!({"pending_id": "order-17"})),
        ("void", json!({"pending_id": "order-18"})),
        ("link", json!({"transfers": rent})),
        ("settle", json!({"netting": "bilateral", "legs": legs})),
        ("reverse", json!({"reverses": "dues-2025-17", "reason": "mistake"})),
        ("account-close", json!({"account": "assets:old", "asset": "EUR"})),
    ]
}
