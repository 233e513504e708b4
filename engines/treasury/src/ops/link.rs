//! `link`: several transfers in one call; all of them happen, or none.

use serde::Deserialize;
use vm_contracts::{Asked, Draft, Field, Kind, Map, Record, Refusal, Spec};

use super::transfer::{NOTES, PENDING, TIMEOUT_S};
use super::{
    ACCOUNT_OUT, AMOUNT_FIELD, AMOUNT_OUT, ASSET_FIELD, ASSET_OUT, CODE_FIELD, COUNTERPARTY_OUT,
    CREDIT, DEBIT, EFFECTIVE_AT, EXPIRES_OUT, LINK_OUT, LOT_OUT, MEMO_FIELD, NODE_OUT, OUTCOME_OUT,
    PHASE_OUT, PRICE_OUT, TRANSFER_ID_FIELD, TRANSFER_ID_OUT, put_all,
};
use crate::decide::{Deciding, Notes, Wanted};
use crate::state::State;

/// Most transfers of one group: with their receipts they fit into one batch of the ledger.
pub const TRANSFERS_MAX: usize = 1_000;

/// Transfers that stand or fall together.
pub struct Link;

/// The intent.
#[derive(Deserialize)]
pub struct Fact {
    transfers: Vec<One>,
    effective_at: Option<String>,
    code: Option<String>,
}

/// One transfer of the group.
#[derive(Deserialize)]
pub struct One {
    transfer_id: Option<String>,
    debit: String,
    credit: String,
    asset: String,
    amount: String,
    #[serde(default)]
    pending: bool,
    timeout_s: Option<i64>,
    code: Option<String>,
    memo: Option<String>,
    debit_lot: Option<String>,
    credit_lot: Option<String>,
    debit_price: Option<String>,
    credit_price: Option<String>,
}

const ONE: &[Field] = &[
    DEBIT,
    CREDIT,
    ASSET_FIELD,
    AMOUNT_FIELD,
    TRANSFER_ID_FIELD,
    CODE_FIELD,
    MEMO_FIELD,
    PENDING,
    TIMEOUT_S,
    NOTES[0],
    NOTES[1],
    NOTES[2],
    NOTES[3],
];

static SPEC: Spec = Spec {
    verb: "link",
    about: "Make several transfers, all of them or none",
    needs: "treasury.transfer",
    types: &["treasury_debit", "treasury_credit", "treasury_pending_resolve"],
    fields: &[
        Field::new("transfers", Kind::List(TRANSFERS_MAX, ONE), "the transfers, in order")
            .steering(),
        EFFECTIVE_AT,
        CODE_FIELD,
        MEMO_FIELD,
        TRANSFER_ID_OUT,
        ACCOUNT_OUT,
        COUNTERPARTY_OUT,
        ASSET_OUT,
        AMOUNT_OUT,
        NODE_OUT,
        PHASE_OUT,
        LINK_OUT,
        EXPIRES_OUT,
        LOT_OUT,
        PRICE_OUT,
        OUTCOME_OUT,
    ],
    example: r#"{"transfers":[{"debit":"expenses:rent","credit":"assets:bank","asset":"EUR","amount":"450.00"},{"debit":"expenses:fees","credit":"assets:bank","asset":"EUR","amount":"1.50"}]}"#,
};

impl Record for Link {
    type State = State;
    type Fact = Fact;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, fact: Fact, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        if fact.transfers.is_empty() {
            return Err(
                Refusal::malformed("link_empty", "a group without transfers").field("transfers")
            );
        }
        let mut deciding = Deciding::new(state, asked, fact.effective_at.as_deref())?;
        for (index, one) in fact.transfers.into_iter().enumerate() {
            let mut both = Map::new();
            put_all(
                &mut both,
                &[
                    ("effective_at", fact.effective_at.as_deref()),
                    ("code", one.code.as_deref().or(fact.code.as_deref())),
                    ("link", Some(asked.id)),
                ],
            );
            let wanted = Wanted {
                transfer_id: one
                    .transfer_id
                    .unwrap_or_else(|| format!("{}.{}", asked.id, index + 1)),
                debit: one.debit,
                credit: one.credit,
                asset: one.asset,
                amount: one.amount,
                pending: one.pending,
                timeout_s: one.timeout_s,
                reverses: None,
                debit_notes: Notes { lot: one.debit_lot, price: one.debit_price },
                credit_notes: Notes { lot: one.credit_lot, price: one.credit_price },
                own_memo: one.memo,
                leg: u32::try_from(index).ok(),
                both,
            };
            deciding.move_amount(wanted).map_err(|refusal| at(refusal, index))?;
        }
        Ok(deciding.finish())
    }
}

/// Says which transfer of the list is at fault.
pub(super) fn at(mut refusal: Refusal, index: usize) -> Refusal {
    let field = refusal.field.take().unwrap_or_default();
    refusal.message = format!("transfer {} of the list: {}", index + 1, refusal.message);
    refusal.field(format!("transfers[{index}].{field}"))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, refused};
    use serde_json::{Value, json};

    fn one(debit: &str, credit: &str, amount: &str) -> Value {
        json!({"debit": debit, "credit": credit, "asset": "EUR", "amount": amount})
    }

    #[test]
    fn a_group_leaves_two_receipts_for_each_transfer_under_one_link() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        let lines =
            bench.ok("link", json!({"transfers": [one("a", "b", "1"), one("a", "b", "2")]}));
        assert_eq!(lines.len(), 4);
        for line in &lines {
            assert_eq!(line.body["link"], line.id.as_str());
        }
        assert_eq!(lines[2].body["transfer_id"], format!("{}.2", lines[2].id).as_str());
    }

    #[test]
    fn a_transfer_has_its_own_text_or_that_of_the_group() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        let mut own = one("a", "b", "2");
        own["memo"] = "own".into();
        let texts = |bench: &Bench, lines: &[vm_contracts::Line]| {
            let memo = |line| bench.opened(line, "memo").unwrap_or("-").to_owned();
            lines.iter().map(memo).collect::<Vec<_>>()
        };
        let list = json!([one("a", "b", "1"), own]);
        let lines = bench.ok("link", json!({"transfers": list, "memo": "group"}));
        assert_eq!(texts(&bench, &lines), ["group", "group", "own", "own"]);
        let lines = bench.ok("link", json!({"transfers": list}));
        assert_eq!(texts(&bench, &lines), ["-", "-", "own", "own"]);
    }

    #[test]
    fn one_bad_transfer_stops_the_whole_group() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        let before = bench.dump();
        let refusal = bench
            .call("link", json!({"transfers": [one("a", "b", "1"), one("a", "z", "2")]}))
            .unwrap_err();
        assert_eq!(refusal.code, "credit_account_not_found");
        assert_eq!(refusal.field.as_deref(), Some("transfers[1].credit"));
        assert_eq!(bench.dump(), before);
    }

    #[test]
    fn a_group_sees_its_own_earlier_transfers() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.ok(
            "account-open",
            json!({"account": "w", "asset": "EUR", "limit": "debits_le_credits"}),
        );
        let fill_then_spend = [one("a", "w", "5"), one("w", "b", "5")];
        bench.ok("link", json!({"transfers": fill_then_spend}));
        let spend_then_fill = [one("w", "b", "5"), one("a", "w", "5")];
        refused(bench.call("link", json!({"transfers": spend_then_fill})), "exceeds_credits");
        let twice = json!({"transfers": [
            {"transfer_id": "t", "debit": "a", "credit": "b", "asset": "EUR", "amount": "1"},
            {"transfer_id": "t", "debit": "a", "credit": "b", "asset": "EUR", "amount": "1"}]});
        refused(bench.call("link", twice), "exists");
    }

    #[test]
    fn a_long_group_still_sees_what_has_expired() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.ok(
            "account-open",
            json!({"account": "w", "asset": "EUR", "limit": "debits_le_credits", "overdraft": "5"}),
        );
        bench.open("c", "EUR", 2);
        bench.ok("transfer", json!({"debit": "w", "credit": "c", "asset": "EUR", "amount": "5", "pending": true, "timeout_s": 5}));
        bench.wait_s(5);
        let mut list = vec![one("a", "b", "1"); 600];
        list.push(one("w", "c", "5"));
        assert_eq!(bench.ok("link", json!({"transfers": list})).len(), 601 * 2 + 1);
    }

    #[test]
    fn a_group_has_one_to_a_thousand_transfers() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        refused(bench.call("link", json!({"transfers": []})), "link_empty");
        let many = |n: usize| json!({"transfers": vec![one("a", "b", "0.01"); n]});
        assert_eq!(bench.ok("link", many(1_000)).len(), 2_000);
        refused(bench.call("link", many(1_001)), "too_large");
        assert_eq!(bench.balance("a", "EUR"), "10.00");
    }
}
