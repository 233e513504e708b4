//! Homes to measure: the real engines on the real disk.

use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use vaultmesh::house::HOUSE;
use vm_contracts::{Actor, Call, OwnerGate};
use vm_ledger::clock::SystemEntropy;
use vm_ledger::{Settings, home};

/// Accounts that transfers go between.
const ACCOUNTS: u64 = 1_000;
/// Calls that are sent together while a home is filled.
const TOGETHER: u64 = 2_048;

/// Who the measured ledger is; `vm` reads the same from the home's configuration.
pub fn settings() -> Settings {
    Settings {
        ledger: "0198c0de-0000-7000-8000-00000000beef".into(),
        domain: "bench.example".into(),
        node: "n1".into(),
        demo: true,
    }
}

/// Opens the home in `dir`; makes it, with its accounts, where there is none.
pub fn open(dir: &Path) -> Result<home::Owned, String> {
    let (home, guard) = (dir.join("home"), dir.join("guard"));
    let fresh = !home.exists();
    if fresh {
        let scrolls: Vec<&str> = HOUSE.iter().map(|e| e.scroll()).collect();
        home::init(&home, &guard, &settings(), &scrolls, &SystemEntropy)
            .map_err(|e| e.to_string())?;
        let guard = std::path::absolute(&guard).map_err(|e| e.to_string())?;
        let (ledger, demo) = (settings().ledger, settings().demo);
        let config = format!(
            "guard = {guard:?}\n[ledger]\nid = {ledger:?}\ndomain = {:?}\nnode = {:?}\ndemo = {demo}\n",
            settings().domain,
            settings().node,
        );
        std::fs::write(home.join("vaultmesh.toml"), config).map_err(|e| e.to_string())?;
    }
    let owned = home::open(&home, &guard, settings(), HOUSE, Arc::new(OwnerGate), Duration::ZERO)
        .map_err(|e| e.to_string())?;
    if fresh {
        let open = (0..ACCOUNTS).map(|n| {
            call("account-open", json!({"account": account(n), "asset": "EUR", "scale": 2}))
        });
        answered(owned.ledger.submit_all(open.collect()))?;
    }
    Ok(owned)
}

fn account(n: u64) -> String {
    format!("assets:desk:{n:04}")
}

/// The `n`th account that no transfer goes to: one receipt.
pub fn account_open(n: u64) -> Call {
    let account = format!("assets:shelf:{n:06}");
    call("account-open", json!({"account": account, "asset": "EUR", "scale": 2}))
}

/// The `n`th transfer: two receipts.
pub fn transfer(n: u64) -> Call {
    // Two different accounts, spread over all of them.
    let (from, to) = (n.wrapping_mul(7_919) % ACCOUNTS, (n.wrapping_mul(7_919) + 1) % ACCOUNTS);
    let amount = format!("{}.{:02}", n % 900 + 1, n % 100);
    let intent =
        json!({"amount": amount, "asset": "EUR", "credit": account(to), "debit": account(from)});
    call("transfer", intent)
}

fn call(verb: &str, intent: serde_json::Value) -> Call {
    Call {
        id: None,
        actor: Actor::local(0),
        surface: "bench".into(),
        engine: "treasury".into(),
        verb: verb.into(),
        intent: intent.as_object().cloned().expect("an object was written above"),
        tags: Vec::new(),
    }
}

/// Whether all were committed.
pub fn answered<T>(answers: Vec<Result<T, vm_contracts::Failure>>) -> Result<(), String> {
    answers.into_iter().try_for_each(|a| a.map(drop).map_err(|e| e.to_string()))
}

/// Receipts in the treasury's scroll.
pub fn size(owned: &home::Owned) -> u64 {
    let heads = owned.ledger.writer().heads();
    heads.iter().find(|h| h.scroll == "treasury").map_or(0, |h| h.size)
}

/// Adds transfers until there are so many receipts; says how far it is.
pub fn fill(owned: &home::Owned, receipts: u64) -> Result<(), String> {
    let mut said = 0;
    loop {
        let there = size(owned);
        if there >= receipts {
            return Ok(());
        }
        if there / 100_000 > said {
            said = there / 100_000;
            eprintln!("  {there} of {receipts} receipts");
        }
        let calls = (receipts - there).div_ceil(2).min(TOGETHER);
        let from = there / 2;
        answered(owned.ledger.submit_all((from..from + calls).map(transfer).collect()))?;
    }
}
