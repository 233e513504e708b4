//! `transfer`: an amount from the credit side to the debit side, now or held until it is posted.

use serde::Deserialize;
use vm_contracts::{Asked, Draft, Field, Kind, Map, Record, Refusal, Spec};

use super::{
    ACCOUNT_OUT, AMOUNT_FIELD, ASSET_FIELD, CODE_FIELD, COUNTERPARTY_OUT, CREDIT, DEBIT,
    EFFECTIVE_AT, EXPIRES_OUT, LOT_OUT, MEMO_FIELD, NODE_OUT, NOTE_BYTES_MAX, OUTCOME_OUT,
    PHASE_OUT, PRICE_OUT, TIMEOUT_S_MAX, TRANSFER_ID_FIELD, put_all,
};
use crate::decide::{Deciding, Notes, Wanted};
use crate::state::State;

/// Transfers an amount.
pub struct Transfer;

/// The intent.
#[derive(Deserialize)]
pub struct Fact {
    transfer_id: Option<String>,
    debit: String,
    credit: String,
    asset: String,
    amount: String,
    #[serde(default)]
    pending: bool,
    timeout_s: Option<i64>,
    effective_at: Option<String>,
    code: Option<String>,
    debit_lot: Option<String>,
    credit_lot: Option<String>,
    debit_price: Option<String>,
    credit_price: Option<String>,
}

/// Lot and price of the debit and the credit side, as intents name them.
pub(super) const NOTES: [Field; 4] = [
    Field::new(
        "debit_lot",
        Kind::Text(NOTE_BYTES_MAX),
        "lot of the debit side, such as 80.00 USD 2019-01-01",
    )
    .optional()
    .steering(),
    Field::new("credit_lot", Kind::Text(NOTE_BYTES_MAX), "lot of the credit side")
        .optional()
        .steering(),
    Field::new(
        "debit_price",
        Kind::Text(NOTE_BYTES_MAX),
        "price of the debit side, such as @ 93.77 USD",
    )
    .optional()
    .steering(),
    Field::new("credit_price", Kind::Text(NOTE_BYTES_MAX), "price of the credit side")
        .optional()
        .steering(),
];

/// Holding instead of moving.
pub(super) const PENDING: Field =
    Field::new("pending", Kind::Bool, "hold the amount until it is posted or voided")
        .optional()
        .steering();
/// How long to hold.
pub(super) const TIMEOUT_S: Field = Field::new(
    "timeout_s",
    Kind::Integer(1, TIMEOUT_S_MAX),
    "seconds until the pending transfer expires by itself",
)
.optional()
.steering();

static SPEC: Spec = Spec {
    verb: "transfer",
    about: "Move an amount between two accounts",
    needs: "treasury.transfer",
    types: &["treasury_debit", "treasury_credit", "treasury_pending_resolve"],
    fields: &[
        DEBIT,
        CREDIT,
        ASSET_FIELD,
        AMOUNT_FIELD,
        TRANSFER_ID_FIELD,
        EFFECTIVE_AT,
        CODE_FIELD,
        MEMO_FIELD,
        PENDING,
        TIMEOUT_S,
        NOTES[0],
        NOTES[1],
        NOTES[2],
        NOTES[3],
        ACCOUNT_OUT,
        COUNTERPARTY_OUT,
        NODE_OUT,
        PHASE_OUT,
        EXPIRES_OUT,
        LOT_OUT,
        PRICE_OUT,
        OUTCOME_OUT,
    ],
    example: r#"{"debit":"assets:bank","credit":"income:dues","asset":"EUR","amount":"60.00","memo":"dues"}"#,
};

impl Record for Transfer {
    type State = State;
    type Fact = Fact;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, fact: Fact, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let mut deciding = Deciding::new(state, asked, fact.effective_at.as_deref())?;
        let mut both = Map::new();
        put_all(
            &mut both,
            &[("effective_at", fact.effective_at.as_deref()), ("code", fact.code.as_deref())],
        );
        deciding.move_amount(Wanted {
            transfer_id: fact.transfer_id.unwrap_or_else(|| asked.id.to_owned()),
            debit: fact.debit,
            credit: fact.credit,
            asset: fact.asset,
            amount: fact.amount,
            pending: fact.pending,
            timeout_s: fact.timeout_s,
            reverses: None,
            debit_notes: Notes { lot: fact.debit_lot, price: fact.debit_price },
            credit_notes: Notes { lot: fact.credit_lot, price: fact.credit_price },
            own_memo: None,
            leg: None,
            both,
        })?;
        Ok(deciding.finish())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, refused};
    use serde_json::json;

    fn give(amount: &str) -> serde_json::Value {
        json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": amount})
    }

    #[test]
    fn a_transfer_is_one_debit_and_one_credit_with_one_id() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        let lines = bench.ok("transfer", give("12.5"));
        let kinds: Vec<_> = lines.iter().map(|l| l.kind.as_str()).collect();
        assert_eq!(kinds, ["treasury_debit", "treasury_credit"]);
        for line in &lines {
            assert_eq!(line.body["transfer_id"], line.id.as_str());
            assert_eq!(line.body["amount"], "12.50");
            assert_eq!(line.body["phase"], "posted");
        }
        assert_eq!(
            (lines[0].body["account"].as_str(), lines[0].body["counterparty"].as_str()),
            (Some("a"), Some("b"))
        );
        assert_eq!(
            (bench.balance("a", "EUR"), bench.balance("b", "EUR")),
            ("12.50".into(), "-12.50".into())
        );
    }

    #[test]
    fn what_cannot_be_transferred_is_refused_by_name() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.open("u", "USD", 2);
        for (intent, code) in [
            (
                json!({"debit": "a", "credit": "a", "asset": "EUR", "amount": "1"}),
                "accounts_must_be_different",
            ),
            (
                json!({"debit": "z", "credit": "b", "asset": "EUR", "amount": "1"}),
                "debit_account_not_found",
            ),
            (
                json!({"debit": "a", "credit": "z", "asset": "EUR", "amount": "1"}),
                "credit_account_not_found",
            ),
            (
                json!({"debit": "a", "credit": "u", "asset": "EUR", "amount": "1"}),
                "credit_account_not_found",
            ),
            (
                json!({"debit": "a", "credit": "b", "asset": "CHF", "amount": "1"}),
                "asset_not_found",
            ),
            (give("0.00"), "amount_must_not_be_zero"),
            (give("-1"), "amount_must_not_be_negative"),
            (give("0.001"), "amount_too_fine"),
            (
                json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "1", "timeout_s": 5}),
                "timeout_reserved_for_pending_transfer",
            ),
            (
                json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "1", "transfer_id": "a b"}),
                "transfer_id_malformed",
            ),
            (
                json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "1", "effective_at": "2099-01-01"}),
                "from_future",
            ),
        ] {
            refused(bench.call("transfer", intent), code);
        }
    }

    #[test]
    fn a_taken_transfer_id_names_what_differs() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.open("c", "EUR", 2);
        let first =
            json!({"transfer_id": "t", "debit": "a", "credit": "b", "asset": "EUR", "amount": "1"});
        bench.ok("transfer", first.clone());
        for (change, code) in [
            (json!({}), "exists"),
            (json!({"amount": "2"}), "exists_with_different_amount"),
            (json!({"debit": "c"}), "exists_with_different_debit_account_id"),
            (json!({"credit": "c"}), "exists_with_different_credit_account_id"),
            (json!({"pending": true}), "exists_with_different_flags"),
        ] {
            let mut intent = first.clone();
            intent.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            refused(bench.call("transfer", intent), code);
        }
    }

    #[test]
    fn sums_that_do_not_fit_are_refused_before_they_happen() {
        let mut bench = Bench::new();
        bench.open("a", "X", 0);
        bench.open("b", "X", 0);
        let most = i128::MAX.to_string();
        bench.ok("transfer", json!({"debit": "a", "credit": "b", "asset": "X", "amount": most}));
        let one = json!({"debit": "a", "credit": "b", "asset": "X", "amount": "1"});
        refused(bench.call("transfer", one), "overflows_debits_posted");
        let back = json!({"debit": "b", "credit": "a", "asset": "X", "amount": "1"});
        refused(bench.call("transfer", back), "overflows_debits");
        let beyond =
            json!({"debit": "b", "credit": "a", "asset": "X", "amount": format!("{most}0")});
        refused(bench.call("transfer", beyond), "amount_overflow");
    }

    #[test]
    fn limits_count_posted_and_pending_and_respect_the_overdraft() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.ok(
            "account-open",
            json!({"account": "w", "asset": "EUR", "limit": "debits_le_credits", "overdraft": "1"}),
        );
        bench.ok(
            "account-open",
            json!({"account": "x", "asset": "EUR", "limit": "credits_le_debits"}),
        );
        let spend = |amount: &str, pending: bool| json!({"debit": "w", "credit": "b", "asset": "EUR", "amount": amount, "pending": pending});
        bench.ok("transfer", json!({"debit": "b", "credit": "w", "asset": "EUR", "amount": "10"}));
        bench.ok("transfer", spend("6", true));
        refused(bench.call("transfer", spend("5.01", false)), "exceeds_credits");
        bench.ok("transfer", spend("5", false));
        refused(bench.call("transfer", spend("0.01", true)), "exceeds_credits");
        let out = json!({"debit": "b", "credit": "x", "asset": "EUR", "amount": "0.01"});
        refused(bench.call("transfer", out), "exceeds_debits");
    }

    #[test]
    fn a_pending_transfer_moves_nothing_until_it_is_posted() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        let lines = bench.ok("transfer", json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "7", "pending": true, "timeout_s": 60}));
        assert_eq!(lines[0].body["phase"], "pending");
        assert!(lines[0].body["expires_at"].is_string());
        assert_eq!(bench.balance("a", "EUR"), "0.00");
        assert_eq!(bench.account("a", "EUR").debits_pending.to_string(), "7.00");
        assert_eq!(bench.account("b", "EUR").credits_pending.to_string(), "7.00");
    }

    #[test]
    fn the_next_call_that_touches_an_expired_pending_writes_that_down() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.ok(
            "account-open",
            json!({"account": "w", "asset": "EUR", "limit": "debits_le_credits", "overdraft": "5"}),
        );
        bench.ok("transfer", json!({"transfer_id": "p", "debit": "w", "credit": "b", "asset": "EUR", "amount": "5", "pending": true, "timeout_s": 60}));
        let spend = json!({"debit": "w", "credit": "a", "asset": "EUR", "amount": "5"});
        bench.wait_s(59);
        refused(bench.call("transfer", spend.clone()), "exceeds_credits");
        bench.wait_s(1);
        let lines = bench.ok("transfer", spend);
        let kinds: Vec<_> = lines.iter().map(|l| l.kind.as_str()).collect();
        assert_eq!(kinds, ["treasury_pending_resolve", "treasury_debit", "treasury_credit"]);
        assert_eq!(bench.account("b", "EUR").credits_pending.to_string(), "0.00");
        refused(bench.call("post", json!({"pending_id": "p"})), "pending_transfer_expired");
    }

    #[test]
    fn a_bare_day_may_be_today_somewhere_else() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        // The bench stands at 2026-09-21T14:13:20Z.
        let on = |at: &str| json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "1", "effective_at": at});
        bench.ok("transfer", on("2026-09-22"));
        refused(bench.call("transfer", on("2026-09-23")), "from_future");
        bench.ok("transfer", on("2026-09-21T14:18:00Z"));
        refused(bench.call("transfer", on("2026-09-21T14:19:00Z")), "from_future");
    }
}
