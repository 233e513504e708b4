//! `account-close`: an account ends; its balance is zero and nothing waits.

use serde::Deserialize;
use vm_contracts::{Asked, Draft, Field, Map, Record, Refusal, Spec};

use super::{
    ACCOUNT, AMOUNT_OUT, ASSET, COUNTERPARTY_OUT, EFFECTIVE_AT, MEMO_FIELD, OUTCOME_OUT, PHASE_OUT,
    TRANSFER_ID_OUT, put_all,
};
use crate::decide::Deciding;
use crate::state::State;

/// Closes an account.
pub struct AccountClose;

/// The intent.
#[derive(Deserialize)]
pub struct Fact {
    account: String,
    asset: String,
    effective_at: Option<String>,
}

static SPEC: Spec = Spec {
    verb: "account-close",
    about: "Close an account whose balance is zero",
    needs: "treasury.account-close",
    types: &["treasury_account_close", "treasury_pending_resolve"],
    fields: &[
        Field::new("account", ACCOUNT, "name of the account").filter(),
        Field::new("asset", ASSET, "asset in which it ends").filter(),
        MEMO_FIELD,
        EFFECTIVE_AT,
        TRANSFER_ID_OUT,
        COUNTERPARTY_OUT,
        AMOUNT_OUT,
        PHASE_OUT,
        OUTCOME_OUT,
    ],
    example: r#"{"account":"assets:old","asset":"EUR"}"#,
};

impl Record for AccountClose {
    type State = State;
    type Fact = Fact;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, fact: Fact, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let mut deciding = Deciding::new(state, asked, fact.effective_at.as_deref())?;
        let key = (fact.account.clone(), fact.asset.clone());
        let name = format!("account {} in {}", fact.account, fact.asset);
        let Some(account) = deciding.account(&key) else {
            return Err(
                Refusal::not_found("account_not_found", format!("no {name}")).field("account")
            );
        };
        if account.closed {
            let what = format!("{name} is closed already");
            return Err(Refusal::conflict("account_already_closed", what).field("account"));
        }
        let waiting = deciding.waiting(&key);
        if waiting > 0 {
            let what = format!("{name} has {waiting} pending transfers");
            return Err(Refusal::conflict("account_has_pending_transfers", what)
                .field("account")
                .hint("Post or void them first. Those that have expired are cleared away by the next transfers of the account, up to 1,000 by each."));
        }
        if account.debits_posted != account.credits_posted {
            let what = format!(
                "{name} holds {} debits and {} credits",
                account.debits_posted, account.credits_posted
            );
            return Err(Refusal::invariant("account_balance_not_zero", what)
                .field("account")
                .hint("Transfer its balance to another account first."));
        }
        let mut body = Map::new();
        put_all(
            &mut body,
            &[
                ("account", Some(&fact.account)),
                ("asset", Some(&fact.asset)),
                ("effective_at", fact.effective_at.as_deref()),
            ],
        );
        deciding.push(Draft::new("treasury_account_close", body));
        Ok(deciding.finish())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, refused};
    use serde_json::json;

    #[test]
    fn only_an_empty_account_without_pendings_closes_and_only_once() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        let close = json!({"account": "a", "asset": "EUR"});
        bench
            .ok("transfer", json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "1.00"}));
        refused(bench.call("account-close", close.clone()), "account_balance_not_zero");
        bench
            .ok("transfer", json!({"debit": "b", "credit": "a", "asset": "EUR", "amount": "1.00"}));
        bench.ok("transfer", json!({"transfer_id": "p", "debit": "b", "credit": "a", "asset": "EUR", "amount": "1.00", "pending": true}));
        refused(bench.call("account-close", close.clone()), "account_has_pending_transfers");
        bench.ok("void", json!({"pending_id": "p"}));
        bench.ok("account-close", close.clone());
        refused(bench.call("account-close", close), "account_already_closed");
        let missing = json!({"account": "z", "asset": "EUR"});
        refused(bench.call("account-close", missing), "account_not_found");
    }

    #[test]
    fn a_closed_account_refuses_both_sides() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.ok("account-close", json!({"account": "a", "asset": "EUR"}));
        let debit = json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "1"});
        refused(bench.call("transfer", debit), "debit_account_already_closed");
        let credit = json!({"debit": "b", "credit": "a", "asset": "EUR", "amount": "1"});
        refused(bench.call("transfer", credit), "credit_account_already_closed");
    }

    #[test]
    fn an_expired_pending_does_not_hold_an_account_open() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.ok("transfer", json!({"transfer_id": "p", "debit": "a", "credit": "b", "asset": "EUR", "amount": "1", "pending": true, "timeout_s": 60}));
        bench.wait_s(60);
        let lines = bench.ok("account-close", json!({"account": "a", "asset": "EUR"}));
        let kinds: Vec<_> = lines.iter().map(|l| l.kind.as_str()).collect();
        assert_eq!(kinds, ["treasury_pending_resolve", "treasury_account_close"]);
        assert_eq!(lines[0].body["outcome"], "expired");
    }
}
