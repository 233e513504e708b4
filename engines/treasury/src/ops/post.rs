//! `post`: a pending transfer happens, in whole or in part; what is not posted is freed.

use serde::Deserialize;
use vm_contracts::{Asked, Draft, Field, Map, Record, Refusal, Spec};

use super::{
    ACCOUNT_OUT, AMOUNT, ASSET_OUT, CODE_FIELD, COUNTERPARTY_OUT, EFFECTIVE_AT, MEMO_FIELD,
    NODE_OUT, OUTCOME_OUT, PHASE_OUT, TRANSFER_ID, TRANSFER_ID_FIELD, put_all,
};
use crate::decide::{Deciding, Wanted};
use crate::money::Quantity;
use crate::state::{Outcome, State, Transfer};

/// Posts a pending transfer.
pub struct Post;

/// The intent.
#[derive(Deserialize)]
pub struct Fact {
    pending_id: String,
    amount: Option<String>,
    transfer_id: Option<String>,
    effective_at: Option<String>,
    code: Option<String>,
}

static SPEC: Spec = Spec {
    verb: "post",
    about: "Post a pending transfer, in whole or in part",
    needs: "treasury.transfer",
    types: &["treasury_debit", "treasury_credit", "treasury_pending_resolve"],
    fields: &[
        Field::new("pending_id", TRANSFER_ID, "id of the pending transfer").filter(),
        Field::new("amount", AMOUNT, "how much of it; all of it if none is given")
            .optional()
            .filter(),
        TRANSFER_ID_FIELD,
        EFFECTIVE_AT,
        CODE_FIELD,
        MEMO_FIELD,
        ACCOUNT_OUT,
        COUNTERPARTY_OUT,
        ASSET_OUT,
        NODE_OUT,
        PHASE_OUT,
        OUTCOME_OUT,
    ],
    example: r#"{"pending_id":"order-17"}"#,
};

/// A pending transfer that is still open at this moment.
pub(super) fn open_pending(
    deciding: &mut Deciding<'_>,
    id: &str,
    asked: Asked<'_>,
) -> Result<Transfer, Refusal> {
    let Some(found) = deciding.transfer(id) else {
        let what = format!("no transfer {id}");
        return Err(Refusal::not_found("pending_transfer_not_found", what).field("pending_id"));
    };
    if !found.pending {
        let what = format!("transfer {id} was never pending");
        return Err(Refusal::conflict("pending_transfer_not_pending", what).field("pending_id"));
    }
    let over = found.expires_ms.is_some_and(|ms| ms <= asked.at.unix_ms());
    let (code, what) = match found.outcome {
        Some(Outcome::Posted) => ("pending_transfer_already_posted", "is posted already"),
        Some(Outcome::Voided) => ("pending_transfer_already_voided", "is voided already"),
        Some(Outcome::Expired) => ("pending_transfer_expired", "has expired"),
        None if over => ("pending_transfer_expired", "has expired"),
        None => return Ok(found),
    };
    Err(Refusal::conflict(code, format!("pending transfer {id} {what}")).field("pending_id"))
}

impl Record for Post {
    type State = State;
    type Fact = Fact;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, fact: Fact, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let mut deciding = Deciding::new(state, asked, fact.effective_at.as_deref())?;
        let pending = open_pending(&mut deciding, &fact.pending_id, asked)?;
        let amount = match &fact.amount {
            Some(text) => deciding.amount(&pending.asset, text)?,
            None => pending.amount,
        };
        if amount > pending.amount {
            let what = format!("{amount} of a pending {} {}", pending.amount, pending.asset);
            return Err(Refusal::invariant("exceeds_pending_transfer_amount", what).field("amount"));
        }
        deciding.resolve(&fact.pending_id, Outcome::Posted);
        let mut both = Map::new();
        put_all(
            &mut both,
            &[
                ("pending_id", Some(&fact.pending_id)),
                ("effective_at", fact.effective_at.as_deref()),
                ("code", fact.code.as_deref()),
            ],
        );
        let exact: Quantity = amount;
        deciding.move_amount(Wanted {
            transfer_id: fact.transfer_id.unwrap_or_else(|| asked.id.to_owned()),
            debit: pending.debit,
            credit: pending.credit,
            asset: pending.asset,
            amount: exact.to_string(),
            both,
            ..Wanted::default()
        })?;
        Ok(deciding.finish())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, refused};
    use serde_json::json;

    fn bench() -> Bench {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.ok("transfer", json!({"transfer_id": "p", "debit": "a", "credit": "b", "asset": "EUR", "amount": "7", "pending": true, "timeout_s": 60}));
        bench
    }

    #[test]
    fn a_partial_post_restores_the_remainder() {
        let mut bench = bench();
        let lines = bench.ok("post", json!({"pending_id": "p", "amount": "5"}));
        let kinds: Vec<_> = lines.iter().map(|l| l.kind.as_str()).collect();
        assert_eq!(kinds, ["treasury_pending_resolve", "treasury_debit", "treasury_credit"]);
        assert_eq!(bench.balance("a", "EUR"), "5.00");
        assert_eq!(bench.account("a", "EUR").debits_pending.to_string(), "0.00");
    }

    #[test]
    fn a_pending_transfer_resolves_at_most_once() {
        let mut bench = bench();
        bench.ok("post", json!({"pending_id": "p"}));
        refused(bench.call("post", json!({"pending_id": "p"})), "pending_transfer_already_posted");
        refused(bench.call("void", json!({"pending_id": "p"})), "pending_transfer_already_posted");
    }

    #[test]
    fn what_cannot_be_posted_is_refused_by_name() {
        let mut bench = bench();
        refused(bench.call("post", json!({"pending_id": "q"})), "pending_transfer_not_found");
        refused(
            bench.call("post", json!({"pending_id": "p", "amount": "7.01"})),
            "exceeds_pending_transfer_amount",
        );
        bench.ok(
            "transfer",
            json!({"transfer_id": "t", "debit": "a", "credit": "b", "asset": "EUR", "amount": "1"}),
        );
        refused(bench.call("post", json!({"pending_id": "t"})), "pending_transfer_not_pending");
        bench.wait_s(60);
        refused(bench.call("post", json!({"pending_id": "p"})), "pending_transfer_expired");
    }

    #[test]
    fn a_full_limit_still_lets_its_own_pending_be_posted() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.ok(
            "account-open",
            json!({"account": "w", "asset": "EUR", "limit": "debits_le_credits", "overdraft": "5"}),
        );
        bench.ok("transfer", json!({"transfer_id": "p", "debit": "w", "credit": "b", "asset": "EUR", "amount": "5", "pending": true}));
        bench.ok("post", json!({"pending_id": "p"}));
        assert_eq!(bench.balance("w", "EUR"), "5.00");
    }
}
