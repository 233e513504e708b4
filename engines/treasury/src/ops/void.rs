//! `void`: a pending transfer never happens; both accounts are freed.

use serde::Deserialize;
use vm_contracts::{Asked, Draft, Field, Record, Refusal, Spec};

use super::post::open_pending;
use super::{
    ACCOUNT_OUT, AMOUNT_OUT, ASSET_OUT, COUNTERPARTY_OUT, OUTCOME_OUT, PHASE_OUT, TRANSFER_ID,
    TRANSFER_ID_OUT,
};
use crate::decide::Deciding;
use crate::state::{Outcome, State};

/// Voids a pending transfer.
pub struct Void;

/// The intent.
#[derive(Deserialize)]
pub struct Fact {
    pending_id: String,
}

static SPEC: Spec = Spec {
    verb: "void",
    about: "Void a pending transfer",
    needs: "treasury.transfer",
    types: &["treasury_pending_resolve"],
    fields: &[
        Field::new("pending_id", TRANSFER_ID, "id of the pending transfer").steering(),
        TRANSFER_ID_OUT,
        ACCOUNT_OUT,
        COUNTERPARTY_OUT,
        ASSET_OUT,
        AMOUNT_OUT,
        PHASE_OUT,
        OUTCOME_OUT,
    ],
    example: r#"{"pending_id":"order-18"}"#,
};

impl Record for Void {
    type State = State;
    type Fact = Fact;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, fact: Fact, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let mut deciding = Deciding::new(state, asked, None)?;
        open_pending(&mut deciding, &fact.pending_id, asked)?;
        deciding.resolve(&fact.pending_id, Outcome::Voided);
        Ok(deciding.finish())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, refused};
    use serde_json::json;

    #[test]
    fn a_voided_transfer_frees_both_accounts_for_good() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.ok("transfer", json!({"transfer_id": "p", "debit": "a", "credit": "b", "asset": "EUR", "amount": "7", "pending": true}));
        let lines = bench.ok("void", json!({"pending_id": "p"}));
        assert_eq!((lines.len(), lines[0].kind.as_str()), (1, "treasury_pending_resolve"));
        assert_eq!(lines[0].body["outcome"], "voided");
        assert_eq!(bench.account("b", "EUR").credits_pending.to_string(), "0.00");
        assert_eq!(bench.balance("a", "EUR"), "0.00");
        refused(bench.call("void", json!({"pending_id": "p"})), "pending_transfer_already_voided");
        refused(bench.call("post", json!({"pending_id": "p"})), "pending_transfer_already_voided");
    }
}
