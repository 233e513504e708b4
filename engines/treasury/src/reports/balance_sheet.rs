//! `balance-sheet`: what is owned, owed and left, and how it came about, by class and asset.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Report, Spec, Value};

use super::overflow;
use crate::book::{Class, add};
use crate::money::{MoneyError, Quantity};
use crate::ops::{AMOUNT, ASSET};
use crate::state::State;

/// The balance sheet.
pub struct BalanceSheet;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    asset: Option<String>,
}

static SPEC: Spec = Spec {
    verb: "balance-sheet",
    about: "Show assets, liabilities, equity, income and expenses",
    needs: "treasury.read",
    types: &[],
    fields: &[
        Field::new("asset", ASSET, "only this asset").optional(),
        Field::new("assets", AMOUNT, "what is owned").computed(),
        Field::new("liabilities", AMOUNT, "what is owed").computed(),
        Field::new("net_worth", AMOUNT, "assets less liabilities").computed(),
        Field::new("equity", AMOUNT, "what was put in, and earlier results").computed(),
        Field::new("income", AMOUNT, "what came in").computed(),
        Field::new("expenses", AMOUNT, "what was spent").computed(),
        Field::new("result", AMOUNT, "income less expenses").computed(),
        Field::new("unclassed", AMOUNT, "balances of accounts without a class").computed(),
        Field::new(
            "balanced",
            Kind::Bool,
            "whether net worth and unclassed equal equity and result",
        )
        .computed(),
    ],
    example: r"{}",
};

/// Sums of one asset by class, each on its natural side: what is owned or spent counts as debit,
/// the rest as credit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    by_class: BTreeMap<Option<Class>, Quantity>,
}

impl Sheet {
    /// Adds an account's balance, debits less credits.
    pub fn add(&mut self, class: Option<Class>, balance: Quantity) -> Result<(), MoneyError> {
        add(&mut self.by_class, class, balance)
    }

    /// The sum of a class on its natural side.
    pub fn of(&self, class: Option<Class>) -> Result<Quantity, MoneyError> {
        let sum = self.by_class.get(&class).copied().unwrap_or(Quantity::ZERO);
        match class {
            Some(Class::Liability | Class::Equity | Class::Income) => sum.checked_neg(),
            _ => Ok(sum),
        }
    }

    /// Income less expenses.
    pub fn result(&self) -> Result<Quantity, MoneyError> {
        self.of(Some(Class::Income))?.checked_sub(self.of(Some(Class::Expense))?)
    }

    /// Assets less liabilities.
    pub fn net_worth(&self) -> Result<Quantity, MoneyError> {
        self.of(Some(Class::Asset))?.checked_sub(self.of(Some(Class::Liability))?)
    }

    /// Assets = liabilities + equity + result, when every account has a class.
    pub fn is_balanced(&self) -> bool {
        let sides = || {
            let equity = self.of(Some(Class::Equity))?.checked_add(self.result()?)?;
            let unclassed = self.of(None)?;
            Ok::<bool, MoneyError>(self.net_worth()?.checked_add(unclassed)? == equity)
        };
        sides() == Ok(true)
    }
}

impl Report for BalanceSheet {
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
        let mut sheets: BTreeMap<String, Sheet> = BTreeMap::new();
        for ((account, asset), held) in state.accounts.iter() {
            if question.asset.as_ref().is_some_and(|wanted| *wanted != asset) {
                continue;
            }
            let class = held.class().or_else(|| Class::of_account(&account));
            let balance = held.balance().map_err(overflow)?;
            sheets.entry(asset).or_default().add(class, balance).map_err(overflow)?;
        }
        let mut rows = Vec::new();
        for (asset, sheet) in sheets {
            let scale = state.assets.get(&asset).map_or(0, |a| a.scale);
            let shown = |q: Result<Quantity, MoneyError>| {
                q.map(|q| q.rescale(scale).unwrap_or(q).to_string()).map_err(overflow)
            };
            rows.push(json!({
                "asset": asset,
                "assets": shown(sheet.of(Some(Class::Asset)))?,
                "liabilities": shown(sheet.of(Some(Class::Liability)))?,
                "equity": shown(sheet.of(Some(Class::Equity)))?,
                "income": shown(sheet.of(Some(Class::Income)))?,
                "expenses": shown(sheet.of(Some(Class::Expense)))?,
                "result": shown(sheet.result())?,
                "net_worth": shown(sheet.net_worth())?,
                "unclassed": shown(sheet.of(None))?,
                "balanced": sheet.is_balanced(),
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
    fn assets_equal_liabilities_equity_and_result() {
        let mut bench = Bench::new();
        for name in
            ["assets:bank", "liabilities:loan", "equity:opening", "income:dues", "expenses:rent"]
        {
            bench.open(name, "EUR", 2);
        }
        for (debit, credit, amount) in [
            ("assets:bank", "equity:opening", "100"),
            ("assets:bank", "liabilities:loan", "50"),
            ("assets:bank", "income:dues", "30"),
            ("expenses:rent", "assets:bank", "45"),
        ] {
            bench.ok(
                "transfer",
                json!({"debit": debit, "credit": credit, "asset": "EUR", "amount": amount}),
            );
        }
        let row = &bench.report("balance-sheet", json!({}))[0];
        assert_eq!(
            (&row["assets"], &row["result"], &row["net_worth"]),
            (&json!("135.00"), &json!("-15.00"), &json!("85.00"))
        );
        assert_eq!(row["balanced"], true);
    }
}
