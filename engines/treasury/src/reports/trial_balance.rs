//! `trial-balance`: every balance on its side; both sides must be equal in every asset.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Report, Spec, Value};

use super::overflow;
use crate::book::add;
use crate::money::Quantity;
use crate::ops::{ACCOUNT, AMOUNT, ASSET};
use crate::state::State;

/// The trial balance.
pub struct TrialBalance;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    asset: Option<String>,
}

static SPEC: Spec = Spec {
    verb: "trial-balance",
    about: "Show that debits and credits agree in every asset",
    needs: "treasury.read",
    types: &[],
    fields: &[
        Field::new("account", ACCOUNT, "the account, or (total) for the sums of an asset")
            .computed(),
        Field::new("asset", ASSET, "only this asset").optional(),
        Field::new("debit", AMOUNT, "balance, where debits are more").computed(),
        Field::new("credit", AMOUNT, "balance, where credits are more").computed(),
        Field::new("difference", AMOUNT, "of the sums: debits less credits, which is 0").computed(),
    ],
    example: r"{}",
};

/// Name of the rows with the sums of an asset.
pub const TOTAL: &str = "(total)";

impl Report for TrialBalance {
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
        let mut totals: BTreeMap<String, (Quantity, Quantity)> = BTreeMap::new();
        let mut sums: BTreeMap<String, Quantity> = BTreeMap::new();
        let wanted = |asset: &String| question.asset.as_ref().is_none_or(|a| a == asset);
        let scale = |asset: &String| state.assets.get(asset).map_or(0, |a| a.scale);
        for ((account, asset), held) in state.accounts.iter().filter(|(key, _)| wanted(&key.1)) {
            let balance = held.balance().map_err(overflow)?;
            add(&mut sums, asset.clone(), balance).map_err(overflow)?;
            let total = totals.entry(asset.clone()).or_insert((Quantity::ZERO, Quantity::ZERO));
            if balance.is_zero() {
                continue;
            }
            let size =
                balance.checked_abs().and_then(|q| q.rescale(scale(&asset))).map_err(overflow)?;
            let side = if balance.is_positive() { &mut total.0 } else { &mut total.1 };
            *side = side.checked_add(size).map_err(overflow)?;
            let (debit, credit) = match balance.is_positive() {
                true => (Value::from(size.to_string()), Value::Null),
                false => (Value::Null, Value::from(size.to_string())),
            };
            rows.push(
                json!({"account": account, "asset": asset, "debit": debit, "credit": credit}),
            );
        }
        for (asset, (debits, credits)) in totals {
            let shown = |q: Quantity| q.rescale(scale(&asset)).unwrap_or(q).to_string();
            let difference = sums.get(&asset).copied().unwrap_or(Quantity::ZERO);
            rows.push(json!({
                "account": TOTAL,
                "asset": asset,
                "debit": shown(debits),
                "credit": shown(credits),
                "difference": shown(difference),
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
    fn both_sides_are_equal_in_every_asset() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        bench.open("a", "USD", 2);
        bench.open("b", "USD", 2);
        bench.ok("transfer", json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "5"}));
        bench.ok("transfer", json!({"debit": "b", "credit": "a", "asset": "USD", "amount": "7"}));
        let rows = bench.report("trial-balance", json!({}));
        let totals: Vec<_> =
            rows.as_array().unwrap().iter().filter(|r| r["account"] == super::TOTAL).collect();
        assert_eq!(totals.len(), 2);
        for total in totals {
            assert_eq!(total["debit"], total["credit"]);
            assert_eq!(total["difference"], "0.00");
        }
    }
}
