//! `balance`: what each account holds.

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Moment, Report, Spec, Value};

use super::{below, overflow};
use crate::ops::{ACCOUNT, AMOUNT, ASSET, NODE_BYTES_MAX};
use crate::state::{Account, AccountKey, State};

/// Balances of accounts.
pub struct Balance;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    account: Option<String>,
    asset: Option<String>,
    node: Option<String>,
    class: Option<String>,
    #[serde(default)]
    zero: bool,
}

static SPEC: Spec = Spec {
    verb: "balance",
    about: "Show what accounts hold",
    needs: "treasury.read",
    types: &[],
    fields: &[
        Field::new("account", ACCOUNT, "this account and those below it").optional(),
        Field::new("asset", ASSET, "only this asset").optional(),
        Field::new("balance", AMOUNT, "debits less credits, posted").computed(),
        Field::new("debits", AMOUNT, "posted debits").computed(),
        Field::new("credits", AMOUNT, "posted credits").computed(),
        Field::new("debits_pending", AMOUNT, "debits that wait to be posted").computed(),
        Field::new("credits_pending", AMOUNT, "credits that wait to be posted").computed(),
        Field::new("node", Kind::Name(NODE_BYTES_MAX), "only accounts of this node").optional(),
        Field::new(
            "class",
            Kind::Choice(&["asset", "liability", "equity", "income", "expense"]),
            "only accounts of this class",
        )
        .optional(),
        Field::new("zero", Kind::Bool, "show accounts without balance too").optional(),
        Field::new("closed", Kind::Bool, "whether the account is closed").computed(),
    ],
    example: r#"{"account":"assets","asset":"EUR"}"#,
};

/// What waits, without what has expired at the latest moment the ledger has seen.
fn pending(
    state: &State,
    key: &AccountKey,
    account: &Account,
) -> Option<(crate::money::Quantity, crate::money::Quantity)> {
    let now = Moment::from_unix_ms(*state.clock_ms.get())?;
    let (mut debits, mut credits) = (account.debits_pending, account.credits_pending);
    for id in state.expired(key, now) {
        let transfer = state.transfers.get(&id)?;
        let side = if transfer.debit == key.0 { &mut debits } else { &mut credits };
        *side = side.checked_sub(transfer.amount).ok()?;
    }
    Some((debits, credits))
}

impl Report for Balance {
    type State = State;
    type Question = Question;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn answer(
        &self,
        state: &State,
        _history: &mut dyn History,
        question: Question,
    ) -> Result<Value, Failure> {
        let mut rows = Vec::new();
        for (key, account) in state.accounts.iter() {
            let wanted = question.account.as_deref().is_none_or(|name| below(&key.0, name))
                && question.asset.as_ref().is_none_or(|asset| key.1 == *asset)
                && (question.node.is_none() || question.node == account.node)
                && (question.class.is_none() || question.class == account.class);
            if !wanted {
                continue;
            }
            let scale = state.assets.get(&key.1).map_or(0, |asset| asset.scale);
            let shown = |q: crate::money::Quantity| q.rescale(scale).unwrap_or(q).to_string();
            let balance = account.balance().map_err(overflow)?;
            let (debits_pending, credits_pending) = pending(state, &key, &account)
                .unwrap_or((account.debits_pending, account.credits_pending));
            let idle = balance.is_zero() && debits_pending.is_zero() && credits_pending.is_zero();
            if idle && !question.zero {
                continue;
            }
            rows.push(json!({
                "account": key.0,
                "asset": key.1,
                "balance": shown(balance),
                "debits": shown(account.debits_posted),
                "credits": shown(account.credits_posted),
                "debits_pending": shown(debits_pending),
                "credits_pending": shown(credits_pending),
                "class": account.class,
                "node": account.node,
                "closed": account.closed,
            }));
        }
        Ok(Value::Array(rows))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use serde_json::json;

    #[test]
    fn filters_narrow_and_zero_widens() {
        let mut bench = Bench::new();
        for (name, node) in
            [("assets:bank", "n1"), ("assets:cash", "n2"), ("assetsx", "n1"), ("income", "n1")]
        {
            bench.ok(
                "account-open",
                json!({"account": name, "asset": "EUR", "class": "asset", "node": node}),
            );
        }
        bench.ok(
            "transfer",
            json!({"debit": "assets:bank", "credit": "income", "asset": "EUR", "amount": "5"}),
        );
        let names = |question| {
            let rows = bench.report("balance", question);
            rows.as_array()
                .unwrap()
                .iter()
                .map(|r| r["account"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(json!({})), ["assets:bank", "income"]);
        assert_eq!(
            names(json!({"account": "assets", "zero": true})),
            ["assets:bank", "assets:cash"]
        );
        assert_eq!(names(json!({"node": "n2", "zero": true})), ["assets:cash"]);
        assert_eq!(names(json!({"asset": "USD"})), Vec::<String>::new());
        assert_eq!(bench.report("balance", json!({}))[1]["balance"], "-5.00");
    }

    #[test]
    fn an_expired_pending_no_longer_shows() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.two("c", "d");
        bench.ok("transfer", json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "5", "pending": true, "timeout_s": 1}));
        assert_eq!(bench.report("balance", json!({}))[0]["debits_pending"], "5.00");
        bench.wait_s(1);
        bench.ok("transfer", json!({"debit": "c", "credit": "d", "asset": "EUR", "amount": "1"}));
        assert_eq!(
            bench.report("balance", json!({"account": "a", "zero": true}))[0]["debits_pending"],
            "0.00"
        );
    }
}
