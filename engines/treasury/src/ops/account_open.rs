//! `account-open`: an account begins in one asset.

use serde::Deserialize;
use vm_contracts::{Asked, Draft, Field, Kind, Map, Record, Refusal, Spec, Value};

use super::{
    ACCOUNT, AMOUNT, ASSET, EFFECTIVE_AT, NODE_BYTES_MAX, check_account_name, check_asset_name,
    put_all,
};
use crate::decide::Deciding;
use crate::money::{MoneyError, Quantity, SCALE_MAX, iso_4217_scale};
use crate::state::{Limit, State};

/// Opens an account.
pub struct AccountOpen;

/// The intent.
#[derive(Deserialize)]
pub struct Fact {
    account: String,
    asset: String,
    scale: Option<i64>,
    class: Option<String>,
    limit: Option<String>,
    overdraft: Option<String>,
    node: Option<String>,
    effective_at: Option<String>,
}

static SPEC: Spec = Spec {
    verb: "account-open",
    about: "Open an account in one asset",
    needs: "treasury.account-open",
    types: &["treasury_account_open"],
    fields: &[
        Field::new("account", ACCOUNT, "name, parts joined by colons: assets:bank").filter(),
        Field::new("asset", ASSET, "ISO 4217 code or a name of your own").filter(),
        Field::new(
            "scale",
            Kind::Integer(0, SCALE_MAX as i64),
            "decimal places of the asset; known for ISO 4217 codes and for assets in use",
        )
        .optional(),
        Field::new(
            "class",
            Kind::Choice(&["asset", "liability", "equity", "income", "expense"]),
            "what kind of account it is",
        )
        .optional()
        .filter(),
        Field::new(
            "limit",
            Kind::Choice(Limit::WORDS),
            "which side may never pass the other, pending amounts included",
        )
        .optional(),
        Field::new("overdraft", AMOUNT, "how far the limit may be passed, as a decimal string")
            .optional(),
        Field::new("node", Kind::Name(NODE_BYTES_MAX), "DID or name of the node it belongs to")
            .optional()
            .filter(),
        EFFECTIVE_AT,
    ],
    example: r#"{"account":"assets:bank","asset":"EUR","class":"asset"}"#,
};

impl Record for AccountOpen {
    type State = State;
    type Fact = Fact;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, fact: Fact, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        check_account_name(&fact.account)?;
        check_asset_name(&fact.asset)?;
        Deciding::new(state, asked, fact.effective_at.as_deref())?;
        if let Some(found) = state.accounts.get(&(fact.account.clone(), fact.asset.clone())) {
            let differs = fact.class.is_some() && fact.class != found.class;
            let code = if differs { "exists_with_different_class" } else { "exists" };
            let what = format!("account {} is open in {} already", fact.account, fact.asset);
            return Err(Refusal::conflict(code, what).field("account"));
        }
        let scale = scale(state, &fact)?;
        let overdraft = match &fact.overdraft {
            None => None,
            Some(text) => Some(overdraft(&fact, text, scale)?.to_string()),
        };
        let mut body = Map::new();
        body.insert("scale".to_owned(), Value::from(scale));
        put_all(
            &mut body,
            &[
                ("account", Some(&fact.account)),
                ("asset", Some(&fact.asset)),
                ("class", fact.class.as_deref()),
                ("limit", fact.limit.as_deref()),
                ("overdraft", overdraft.as_deref()),
                ("node", fact.node.as_deref()),
                ("effective_at", fact.effective_at.as_deref()),
            ],
        );
        Ok(vec![Draft::new("treasury_account_open", body)])
    }
}

/// The decimal places: as asked, as the asset has, or as ISO 4217 says; never fewer than in use.
fn scale(state: &State, fact: &Fact) -> Result<u8, Refusal> {
    let known = state.assets.get(&fact.asset);
    let asked = fact.scale.and_then(|s| u8::try_from(s).ok());
    let used = known.as_ref().map(|asset| asset.scale);
    let scale = match asked.or(used).or_else(|| iso_4217_scale(&fact.asset)) {
        Some(scale) => scale.max(used.unwrap_or(0)),
        None => {
            let what = format!("nothing says how many decimals {} has", fact.asset);
            return Err(Refusal::malformed("scale_unknown", what)
                .field("scale")
                .hint("Give --scale, 0 for things that are only counted whole."));
        }
    };
    let fits =
        known.is_none_or(|a| a.debits.rescale(scale).is_ok() && a.credits.rescale(scale).is_ok());
    if !fits {
        let what = format!("the turnover of {} does not fit with {scale} decimals", fact.asset);
        return Err(Refusal::invariant("overflows_scale", what).field("scale"));
    }
    Ok(scale)
}

/// An overdraft belongs to a limit and is not negative.
fn overdraft(fact: &Fact, text: &str, scale: u8) -> Result<Quantity, Refusal> {
    if fact.limit.as_deref().unwrap_or("none") == "none" {
        let what = "an overdraft without a limit that it could pass";
        return Err(Refusal::malformed("overdraft_needs_limit", what).field("overdraft"));
    }
    let amount = Quantity::parse(text).and_then(|q| q.rescale(scale));
    match amount {
        Ok(amount) if !amount.is_negative() => Ok(amount),
        Ok(_) => {
            Err(Refusal::malformed("overdraft_negative", "a negative overdraft").field("overdraft"))
        }
        Err(error) => {
            let error: MoneyError = error;
            let what = format!("overdraft {text}: {error}");
            Err(Refusal::malformed(error.code(), what).field("overdraft"))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, refused};
    use serde_json::json;

    #[test]
    fn the_scale_is_known_declared_or_asked_for() {
        let mut bench = Bench::new();
        let lines = bench.ok("account-open", json!({"account": "a", "asset": "JPY"}));
        assert_eq!(lines[0].body["scale"], 0);
        refused(
            bench.call("account-open", json!({"account": "a", "asset": "HOURS"})),
            "scale_unknown",
        );
        bench.ok("account-open", json!({"account": "a", "asset": "HOURS", "scale": 2}));
        let lines = bench.ok("account-open", json!({"account": "b", "asset": "HOURS"}));
        assert_eq!(lines[0].body["scale"], 2);
    }

    #[test]
    fn an_assets_scale_grows_and_never_shrinks() {
        let mut bench = Bench::new();
        bench.open("a", "X", 0);
        bench.open("b", "X", 0);
        bench.ok("transfer", json!({"debit": "a", "credit": "b", "asset": "X", "amount": "3"}));
        let give = json!({"debit": "a", "credit": "b", "asset": "X", "amount": "0.25"});
        refused(bench.call("transfer", give.clone()), "amount_too_fine");
        bench.open("c", "X", 2);
        bench.ok("transfer", give);
        let lines = bench.ok("account-open", json!({"account": "d", "asset": "X", "scale": 1}));
        assert_eq!(lines[0].body["scale"], 2);
        assert_eq!(bench.balance("a", "X"), "3.25");
    }

    #[test]
    fn the_same_name_opens_in_several_assets_but_once_in_each() {
        let mut bench = Bench::new();
        bench.open("a", "EUR", 2);
        bench.open("a", "USD", 2);
        refused(bench.call("account-open", json!({"account": "a", "asset": "EUR"})), "exists");
        let other = json!({"account": "a", "asset": "EUR", "class": "income"});
        refused(bench.call("account-open", other), "exists_with_different_class");
    }

    #[test]
    fn names_that_no_journal_can_hold_are_refused() {
        let mut bench = Bench::new();
        for name in ["a  b", "a\u{a0}\u{a0}b", "(a)", "a ;b", ":a", "a:", "*a", "a::b"] {
            let intent = json!({"account": name, "asset": "EUR"});
            refused(bench.call("account-open", intent), "account_name_malformed");
        }
        let intent = json!({"account": "a", "asset": "E\"R", "scale": 0});
        refused(bench.call("account-open", intent), "asset_name_malformed");
    }

    #[test]
    fn an_overdraft_needs_a_limit() {
        let mut bench = Bench::new();
        let intent = json!({"account": "a", "asset": "EUR", "overdraft": "5"});
        refused(bench.call("account-open", intent), "overdraft_needs_limit");
        let intent = json!({"account": "a", "asset": "EUR", "limit": "debits_le_credits", "overdraft": "0.001"});
        refused(bench.call("account-open", intent), "amount_too_fine");
    }
}
