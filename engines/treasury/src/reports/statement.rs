//! `statement`: the movements of one account with its running balance.

use serde::Deserialize;
use serde_json::json;
use vm_contracts::{Failure, Field, History, Kind, Moment, Refusal, Report, Spec, Term, Value};

use super::overflow;
use crate::money::{MoneyError, Quantity};
use crate::ops::{ACCOUNT, AMOUNT, ASSET, CODE, MEMO, PHASE, TRANSFER_ID};
use crate::state::{State, text};

/// Most rows of one statement.
const ROWS_MAX: i64 = 10_000;

/// The statement of an account.
pub struct Statement;

/// The question.
#[derive(Deserialize)]
pub struct Question {
    account: String,
    asset: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<i64>,
}

static SPEC: Spec = Spec {
    verb: "statement",
    about: "Show the movements of one account",
    needs: "treasury.read",
    types: &[],
    fields: &[
        Field::new("date", Kind::Time, "when it happened").computed(),
        Field::new("account", ACCOUNT, "the account"),
        Field::new("asset", ASSET, "the asset; needed when the account has several").optional(),
        Field::new("from", Kind::Time, "first moment, by when it happened").optional(),
        Field::new("to", Kind::Time, "moment before which it ends, by when it happened").optional(),
        Field::new(
            "limit",
            Kind::Integer(1, ROWS_MAX),
            "at most so many rows; 10,000 if not given",
        )
        .optional(),
        Field::new("counterparty", ACCOUNT, "account on the other side").computed(),
        Field::new("debit", AMOUNT, "what the account was debited").computed(),
        Field::new("credit", AMOUNT, "what the account was credited").computed(),
        Field::new("balance", AMOUNT, "debits less credits so far, posted ones only").computed(),
        Field::new("phase", PHASE, "what the receipt did").computed(),
        Field::new("memo", MEMO, "who and what for").computed(),
        Field::new("code", CODE, "reference, such as an invoice number").computed(),
        Field::new("seq", Kind::Integer(0, i64::MAX), "the receipt's place in the scroll")
            .computed(),
        Field::new("transfer_id", TRANSFER_ID, "id of the transfer").computed(),
    ],
    example: r#"{"account":"assets:bank","asset":"EUR"}"#,
};

impl Report for Statement {
    type State = State;
    type Question = Question;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn answer(
        &self,
        state: &State,
        history: &mut dyn History,
        question: Question,
    ) -> Result<Value, Failure> {
        let asset = the_asset(state, &question)?;
        let scale = state.assets.get(&asset).map_or(0, |a| a.scale);
        let term =
            |field: &str, value: &str| Term { field: field.to_owned(), value: value.to_owned() };
        let terms = [term("account", &question.account), term("asset", &asset)];
        let bound = |text: &Option<String>| text.as_deref().and_then(|t| Moment::parse(t).ok());
        let (from, to) = (bound(&question.from), bound(&question.to));
        let limit = usize::try_from(question.limit.unwrap_or(ROWS_MAX)).unwrap_or(usize::MAX);
        let mut rows = Vec::new();
        let mut shown_lines = Vec::new();
        let mut balance = Quantity::ZERO;
        let mut failed: Option<MoneyError> = None;
        history.scan(&terms, &mut |line| {
            let credit = match line.kind.as_str() {
                "treasury_debit" => false,
                "treasury_credit" => true,
                _ => return true,
            };
            let Some(amount) = text(&line.body, "amount").and_then(|a| Quantity::parse(a).ok())
            else {
                return true;
            };
            let phase = text(&line.body, "phase").unwrap_or_default();
            let signed = if credit { amount.checked_neg() } else { Ok(amount) };
            let moved = matches!(phase, "posted" | "post");
            let next =
                signed.and_then(|s| if moved { balance.checked_add(s) } else { Ok(balance) });
            match next {
                Ok(next) => balance = next,
                Err(error) => {
                    failed = Some(error);
                    return false;
                }
            }
            let happened = text(&line.body, "effective_at").and_then(|t| Moment::parse(t).ok());
            let happened = happened.unwrap_or(line.at);
            if from.is_some_and(|from| happened < from) || to.is_some_and(|to| happened >= to) {
                return true;
            }
            let shown = |q: Quantity| q.rescale(scale).unwrap_or(q).to_string();
            rows.push(json!({
                "seq": line.seq,
                "date": happened.to_string(),
                "counterparty": text(&line.body, "counterparty"),
                "debit": (!credit).then(|| shown(amount)),
                "credit": credit.then(|| shown(amount)),
                "balance": shown(balance),
                "phase": phase,
                "code": text(&line.body, "code"),
                "transfer_id": text(&line.body, "transfer_id"),
            }));
            shown_lines.push(line.clone());
            rows.len() < limit
        })?;
        if let Some(error) = failed {
            return Err(overflow(error));
        }
        // Only what is shown is opened.
        for (row, line) in rows.iter_mut().zip(&shown_lines) {
            row["memo"] = history.opened(line)?.remove("memo").unwrap_or(Value::Null);
        }
        Ok(Value::Array(rows))
    }
}

/// The asset asked for, or the only one the account is open in.
fn the_asset(state: &State, question: &Question) -> Result<String, Refusal> {
    let from = (question.account.clone(), String::new());
    let accounts =
        state.accounts.range(std::ops::Bound::Included(&from), std::ops::Bound::Unbounded);
    let mine: Vec<String> =
        accounts.take_while(|(key, _)| key.0 == question.account).map(|(key, _)| key.1).collect();
    match (&question.asset, mine.as_slice()) {
        (Some(asset), all) if all.contains(asset) => Ok(asset.clone()),
        (None, [one]) => Ok(one.clone()),
        (None, all) if all.len() > 1 => {
            let what = format!("account {} is open in {}", question.account, all.join(", "));
            Err(Refusal::malformed("asset_needed", what).field("asset").hint("Give --asset."))
        }
        _ => {
            let what = format!("no account {} is open", question.account);
            Err(Refusal::not_found("account_not_found", what).field("account"))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use serde_json::json;

    #[test]
    fn a_statement_runs_to_the_balance() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        for (debit, credit, amount, date) in [
            ("a", "b", "5", "2025-01-01"),
            ("b", "a", "2", "2025-02-01"),
            ("a", "b", "1", "2025-03-01"),
        ] {
            bench.ok("transfer", json!({"debit": debit, "credit": credit, "asset": "EUR", "amount": amount, "effective_at": date}));
        }
        bench.ok(
            "transfer",
            json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "9", "pending": true}),
        );
        let rows = bench.report("statement", json!({"account": "a"}));
        let column = |name: &str| {
            rows.as_array().unwrap().iter().map(|r| r[name].clone()).collect::<Vec<_>>()
        };
        assert_eq!(column("balance"), ["5.00", "3.00", "4.00", "4.00"]);
        assert_eq!(column("phase")[3], "pending");
        let rows = bench
            .report("statement", json!({"account": "a", "from": "2025-02-01", "to": "2025-03-01"}));
        assert_eq!((rows.as_array().unwrap().len(), &rows[0]["balance"]), (1, &json!("3.00")));
    }

    #[test]
    fn a_text_is_shown_while_it_can_be_opened() {
        let mut bench = Bench::new();
        bench.two("a", "b");
        for memo in [json!("rent"), json!("fees"), json!(null)] {
            bench.ok(
                "transfer",
                json!({"debit": "a", "credit": "b", "asset": "EUR", "amount": "1", "memo": memo}),
            );
        }
        let memos = |bench: &Bench| {
            let rows = bench.report("statement", json!({"account": "a"}));
            rows.as_array().unwrap().iter().map(|r| r["memo"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(memos(&bench), [json!("rent"), json!("fees"), json!(null)]);
        bench.erase(|line| line.id == "call-3");
        assert_eq!(memos(&bench), [json!(null), json!("fees"), json!(null)]);
    }
}
