//! `reverse`: a posted transfer is taken back by a new one; history stays as it is.

use serde::Deserialize;
use vm_contracts::{Asked, Draft, Field, Kind, Map, Record, Refusal, Spec};

use super::{
    ACCOUNT_OUT, AMOUNT_OUT, ASSET_OUT, CODE_FIELD, COUNTERPARTY_OUT, EFFECTIVE_AT, MEMO_FIELD,
    NODE_OUT, OUTCOME_OUT, PHASE_OUT, TRANSFER_ID, TRANSFER_ID_FIELD, put_all,
};
use crate::decide::{Deciding, Wanted};
use crate::state::State;

/// Reverses a transfer.
pub struct Reverse;

/// The intent.
#[derive(Deserialize)]
pub struct Fact {
    reverses: String,
    reason: String,
    transfer_id: Option<String>,
    effective_at: Option<String>,
    code: Option<String>,
}

static SPEC: Spec = Spec {
    verb: "reverse",
    about: "Take a posted transfer back with a new one",
    needs: "treasury.reverse",
    types: &["treasury_debit", "treasury_credit", "treasury_pending_resolve"],
    fields: &[
        Field::new("reverses", TRANSFER_ID, "id of the transfer to take back").filter(),
        Field::new(
            "reason",
            Kind::Choice(&["mistake", "duplicate", "refund", "cancelled", "other"]),
            "why",
        )
        .filter(),
        TRANSFER_ID_FIELD,
        EFFECTIVE_AT,
        CODE_FIELD,
        MEMO_FIELD,
        ACCOUNT_OUT,
        COUNTERPARTY_OUT,
        ASSET_OUT,
        AMOUNT_OUT,
        NODE_OUT,
        PHASE_OUT,
        OUTCOME_OUT,
    ],
    example: r#"{"reverses":"dues-2025-17","reason":"mistake"}"#,
};

impl Record for Reverse {
    type State = State;
    type Fact = Fact;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, fact: Fact, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let mut deciding = Deciding::new(state, asked, fact.effective_at.as_deref())?;
        let Some(found) = deciding.transfer(&fact.reverses) else {
            let what = format!("no transfer {}", fact.reverses);
            return Err(Refusal::not_found("transfer_not_found", what).field("reverses"));
        };
        if found.pending {
            let what = format!("transfer {} is pending and has moved nothing", fact.reverses);
            return Err(Refusal::conflict("transfer_not_posted", what)
                .field("reverses")
                .hint("Void it, or reverse the transfer that posted it."));
        }
        if let Some(by) = &found.reversed_by {
            let what = format!("transfer {} is reversed already, by {by}", fact.reverses);
            return Err(Refusal::conflict("transfer_already_reversed", what).field("reverses"));
        }
        let mut both = Map::new();
        put_all(
            &mut both,
            &[
                ("reason", Some(&fact.reason)),
                ("effective_at", fact.effective_at.as_deref()),
                ("code", fact.code.as_deref()),
            ],
        );
        deciding.move_amount(Wanted {
            transfer_id: fact.transfer_id.unwrap_or_else(|| asked.id.to_owned()),
            debit: found.credit,
            credit: found.debit,
            asset: found.asset,
            amount: found.amount.to_string(),
            reverses: Some(fact.reverses),
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

    #[test]
    fn a_reversal_is_a_new_pair_that_names_the_old_one() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.ok(
            "transfer",
            json!({"transfer_id": "t", "debit": "a", "credit": "b", "asset": "EUR", "amount": "7"}),
        );
        let lines = bench.ok("reverse", json!({"reverses": "t", "reason": "mistake"}));
        assert_eq!(lines[0].body["reverses"], "t");
        assert_eq!(lines[0].body["account"], "b");
        assert_eq!(bench.balance("a", "EUR"), "0.00");
        assert_eq!(bench.account("a", "EUR").debits_posted.to_string(), "7.00");
        refused(
            bench.call("reverse", json!({"reverses": "t", "reason": "mistake"})),
            "transfer_already_reversed",
        );
    }

    #[test]
    fn only_posted_transfers_are_reversed() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        refused(
            bench.call("reverse", json!({"reverses": "t", "reason": "other"})),
            "transfer_not_found",
        );
        bench.ok("transfer", json!({"transfer_id": "p", "debit": "a", "credit": "b", "asset": "EUR", "amount": "7", "pending": true}));
        refused(
            bench.call("reverse", json!({"reverses": "p", "reason": "other"})),
            "transfer_not_posted",
        );
    }
}
