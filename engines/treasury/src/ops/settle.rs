//! `settle`: obligations between accounts are cleared, one by one or netted.
//!
//! A leg says that its credit account owes an amount to its debit account. Gross clears every leg
//! by a transfer of its own; bilateral clears the difference between each two accounts;
//! multilateral clears what each account owes or is owed over all legs. A leg with a rate pays out
//! in another asset: two transfers through a liquidity account, so that each asset is conserved.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vm_contracts::{Asked, Draft, Field, Kind, Map, Record, Refusal, Spec, Value};

use super::{
    ACCOUNT, ACCOUNT_OUT, AMOUNT, AMOUNT_OUT, ASSET, ASSET_OUT, CODE_FIELD, COUNTERPARTY_OUT,
    EFFECTIVE_AT, LINK_OUT, MEMO_FIELD, NODE_OUT, OUTCOME_OUT, PHASE_OUT, TRANSFER_ID_OUT, put_all,
};
use crate::book::add;
use crate::decide::{Deciding, Wanted};
use crate::money::{MoneyError, Quantity};
use crate::state::State;

/// Most legs: their list stands in one receipt.
pub const LEGS_MAX: usize = 100;
/// Most bytes of a settlement's body, well below the limit of a receipt line.
const BODY_BYTES_MAX: usize = 56_000;
/// Largest part of a rate: what JSON numbers hold exactly.
const RATE_MAX: i64 = 9_007_199_254_740_991;

/// Settles obligations.
pub struct Settle;

/// The intent.
#[derive(Deserialize)]
pub struct Fact {
    legs: Vec<Leg>,
    netting: String,
    settlement_id: Option<String>,
    effective_at: Option<String>,
    code: Option<String>,
}

/// One obligation: the credit account owes the debit account.
#[derive(Clone, Serialize, Deserialize)]
pub struct Leg {
    debit: String,
    credit: String,
    asset: String,
    amount: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_asset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_numerator: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_denominator: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    liquidity: Option<String>,
}

const LEG: &[Field] = &[
    Field::new("debit", ACCOUNT, "account that is owed"),
    Field::new("credit", ACCOUNT, "account that owes"),
    Field::new("asset", ASSET, "asset that is owed"),
    Field::new("amount", AMOUNT, "how much, above zero"),
    Field::new("to_asset", ASSET, "asset that is paid out, if it is another").optional(),
    Field::new("rate_numerator", Kind::Integer(1, RATE_MAX), "units of the asset paid out")
        .optional(),
    Field::new(
        "rate_denominator",
        Kind::Integer(1, RATE_MAX),
        "for so many units of the asset owed",
    )
    .optional(),
    Field::new("liquidity", ACCOUNT, "account that takes one asset and gives the other").optional(),
];

const NET: &[Field] = &[
    Field::new("account", ACCOUNT, "account"),
    Field::new("asset", ASSET, "asset"),
    Field::new("net", AMOUNT, "debits less credits over all legs"),
];

static SPEC: Spec = Spec {
    verb: "settle",
    about: "Clear obligations between accounts, gross or netted",
    needs: "treasury.settle",
    types: &[
        "treasury_settlement",
        "treasury_debit",
        "treasury_credit",
        "treasury_pending_resolve",
    ],
    fields: &[
        Field::new("legs", Kind::List(LEGS_MAX, LEG), "the obligations"),
        Field::new(
            "netting",
            Kind::Choice(&["gross", "bilateral", "multilateral"]),
            "what is set off: nothing, each pair of accounts, or all together",
        )
        .filter(),
        Field::new(
            "settlement_id",
            Kind::Name(64),
            "id of the settlement; the call's id if none is given",
        )
        .optional()
        .filter(),
        EFFECTIVE_AT,
        CODE_FIELD,
        MEMO_FIELD,
        Field::new("net", Kind::List(4 * LEGS_MAX, NET), "what each account owes or is owed")
            .computed(),
        Field::new("transfers", Kind::Integer(0, 2_000), "how many transfers clear it").computed(),
        TRANSFER_ID_OUT,
        ACCOUNT_OUT,
        COUNTERPARTY_OUT,
        ASSET_OUT,
        AMOUNT_OUT,
        NODE_OUT,
        PHASE_OUT,
        LINK_OUT,
        OUTCOME_OUT,
    ],
    example: r#"{"netting":"bilateral","legs":[{"debit":"clearing:a","credit":"clearing:b","asset":"EUR","amount":"120.00"},{"debit":"clearing:b","credit":"clearing:a","asset":"EUR","amount":"75.00"}]}"#,
};

/// debit, credit, asset, amount
type Clear = (String, String, String, Quantity);
/// Debits less credits by account and asset.
type Nets = BTreeMap<(String, String), Quantity>;

fn refuse(error: MoneyError) -> Refusal {
    Refusal::invariant(error.code(), error.to_string()).field("legs")
}

impl Record for Settle {
    type State = State;
    type Fact = Fact;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn check(&self, state: &State, fact: Fact, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        if fact.legs.is_empty() {
            return Err(
                Refusal::malformed("settlement_empty", "a settlement without legs").field("legs")
            );
        }
        let id = fact.settlement_id.clone().unwrap_or_else(|| asked.id.to_owned());
        if state.settlements.contains(&id) {
            let what = format!("settlement {id} is there already");
            return Err(Refusal::conflict("exists", what).field("settlement_id"));
        }
        let mut deciding = Deciding::new(state, asked, fact.effective_at.as_deref())?;
        let mut plain = Vec::new();
        let mut exchanged = Vec::new();
        for (index, leg) in fact.legs.iter().enumerate() {
            let cleared = clear(&mut deciding, state, leg).map_err(|refusal| at(refusal, index))?;
            if leg.to_asset.is_some() { exchanged.extend(cleared) } else { plain.extend(cleared) }
        }
        let nets = nets(plain.iter().chain(&exchanged)).map_err(refuse)?;
        let mut clears = match fact.netting.as_str() {
            "bilateral" => bilateral(&plain).map_err(refuse)?,
            "multilateral" => multilateral(&plain).map_err(refuse)?,
            _ => plain,
        };
        clears.extend(exchanged);
        let count = clears.len();
        for (index, (debit, credit, asset, amount)) in clears.into_iter().enumerate() {
            let both = both(&fact, &id, asked.id);
            deciding.move_amount(Wanted {
                transfer_id: format!("{}.{}", asked.id, index + 1),
                debit,
                credit,
                asset,
                amount: amount.to_string(),
                both,
                ..Wanted::default()
            })?;
        }
        let body = body(&fact, &id, &nets, count)?;
        deciding.push(Draft::new("treasury_settlement", body));
        Ok(deciding.finish())
    }
}

/// Fields of every receipt of the settlement.
fn both(fact: &Fact, id: &str, link: &str) -> Map<String, Value> {
    let mut both = Map::new();
    put_all(
        &mut both,
        &[
            ("settlement_id", Some(id)),
            ("link", Some(link)),
            ("effective_at", fact.effective_at.as_deref()),
            ("code", fact.code.as_deref()),
        ],
    );
    both
}

/// The receipt of the settlement itself.
fn body(
    fact: &Fact,
    id: &str,
    nets: &Nets,
    transfers: usize,
) -> Result<Map<String, Value>, Refusal> {
    let mut body = both(fact, id, "");
    body.remove("link");
    let legs = serde_json::to_value(&fact.legs).expect("legs are plain texts and integers");
    let net = nets.iter().map(|((account, asset), net)| {
        serde_json::json!({"account": account, "asset": asset, "net": net.to_string()})
    });
    body.insert("netting".to_owned(), Value::from(fact.netting.as_str()));
    body.insert("legs".to_owned(), legs);
    body.insert("net".to_owned(), Value::Array(net.collect()));
    body.insert("transfers".to_owned(), Value::from(transfers as u64));
    let size = Value::Object(body.clone()).to_string().len();
    if size > BODY_BYTES_MAX {
        let what =
            format!("the legs take {size} bytes in one receipt, the limit is {BODY_BYTES_MAX}");
        return Err(Refusal::new("too_large", vm_contracts::RefusalKind::TooLarge, what)
            .field("legs")
            .hint("Split the settlement."));
    }
    Ok(body)
}

/// Says which leg is at fault.
fn at(mut refusal: Refusal, index: usize) -> Refusal {
    let field = refusal.field.take().unwrap_or_default();
    refusal.message = format!("leg {}: {}", index + 1, refusal.message);
    refusal.field(format!("legs[{index}].{field}"))
}

/// The transfers that one leg stands for: one, or two through the liquidity account.
fn clear(deciding: &mut Deciding<'_>, state: &State, leg: &Leg) -> Result<Vec<Clear>, Refusal> {
    let amount = deciding.amount(&leg.asset, &leg.amount)?;
    if leg.debit == leg.credit {
        let what = format!("{} owes itself", leg.debit);
        return Err(Refusal::invariant("accounts_must_be_different", what).field("credit"));
    }
    let mut must_exist = |account: &str, asset: &str, side: &str| match deciding
        .account(&(account.to_owned(), asset.to_owned()))
    {
        Some(_) => Ok(()),
        None => {
            let what = format!("no account {account} is open in {asset}");
            Err(Refusal::not_found(format!("{side}_account_not_found"), what).field(side))
        }
    };
    must_exist(&leg.credit, &leg.asset, "credit")?;
    let rate = (&leg.to_asset, &leg.liquidity, leg.rate_numerator, leg.rate_denominator);
    let (to, liquidity, numerator, denominator) = match rate {
        (None, None, None, None) => {
            must_exist(&leg.debit, &leg.asset, "debit")?;
            return Ok(vec![(leg.debit.clone(), leg.credit.clone(), leg.asset.clone(), amount)]);
        }
        (Some(to), Some(liquidity), Some(n), Some(d)) if *to != leg.asset => (to, liquidity, n, d),
        _ => {
            let what =
                "an exchange needs another asset, both parts of the rate and a liquidity account";
            return Err(Refusal::malformed("exchange_incomplete", what).field("to_asset"));
        }
    };
    must_exist(&leg.debit, to, "debit")?;
    must_exist(liquidity, &leg.asset, "liquidity")?;
    must_exist(liquidity, to, "liquidity")?;
    let scale = state.assets.get(to).map_or(0, |asset| asset.scale);
    let paid = exchange(amount, numerator, denominator, scale).map_err(refuse)?;
    Ok(vec![
        (liquidity.clone(), leg.credit.clone(), leg.asset.clone(), amount),
        (leg.debit.clone(), liquidity.clone(), to.clone(), paid),
    ])
}

/// `amount` × numerator ÷ denominator, rounded half to even at `scale`.
fn exchange(
    amount: Quantity,
    numerator: i64,
    denominator: i64,
    scale: u8,
) -> Result<Quantity, MoneyError> {
    let ten = |n: u8| 10i128.checked_pow(u32::from(n)).ok_or(MoneyError::Overflow);
    let over = amount
        .units()
        .checked_mul(i128::from(numerator))
        .and_then(|n| n.checked_mul(ten(scale).ok()?))
        .ok_or(MoneyError::Overflow)?;
    let under =
        i128::from(denominator).checked_mul(ten(amount.scale())?).ok_or(MoneyError::Overflow)?;
    let (whole, rest) = (over.div_euclid(under), over.rem_euclid(under));
    let up = match (rest, under - rest) {
        (rest, gap) if rest > gap => true,
        (rest, gap) if rest == gap => whole % 2 != 0,
        _ => false,
    };
    Quantity::new(whole + i128::from(up), scale)
}

/// What each account owes or is owed.
fn nets<'a>(clears: impl Iterator<Item = &'a Clear>) -> Result<Nets, MoneyError> {
    let mut out = Nets::new();
    for (debit, credit, asset, amount) in clears {
        add(&mut out, (debit.clone(), asset.clone()), *amount)?;
        add(&mut out, (credit.clone(), asset.clone()), amount.checked_neg()?)?;
    }
    Ok(out)
}

/// One transfer for each two accounts and asset that do not set each other off.
fn bilateral(clears: &[Clear]) -> Result<Vec<Clear>, MoneyError> {
    let mut sums: BTreeMap<(String, String, String), Quantity> = BTreeMap::new();
    for (debit, credit, asset, amount) in clears {
        let ordered = debit < credit;
        let (first, second) = if ordered { (debit, credit) } else { (credit, debit) };
        let signed = if ordered { *amount } else { amount.checked_neg()? };
        add(&mut sums, (asset.clone(), first.clone(), second.clone()), signed)?;
    }
    let mut out = Vec::new();
    for ((asset, first, second), sum) in sums.into_iter().filter(|(_, sum)| !sum.is_zero()) {
        let (debit, credit) = if sum.is_positive() { (first, second) } else { (second, first) };
        out.push((debit, credit, asset, sum.checked_abs()?));
    }
    Ok(out)
}

/// Transfers from those who owe over all legs to those who are owed, in the order of their names.
fn multilateral(clears: &[Clear]) -> Result<Vec<Clear>, MoneyError> {
    let mut owed: BTreeMap<String, Vec<(String, Quantity)>> = BTreeMap::new();
    let mut owing: BTreeMap<String, Vec<(String, Quantity)>> = BTreeMap::new();
    for ((account, asset), net) in nets(clears.iter())? {
        let side = if net.is_positive() { &mut owed } else { &mut owing };
        if !net.is_zero() {
            side.entry(asset).or_default().push((account, net.checked_abs()?));
        }
    }
    let mut out = Vec::new();
    for (asset, debits) in owed {
        let mut credits = owing.remove(&asset).unwrap_or_default().into_iter().peekable();
        for (debit, mut open) in debits {
            while !open.is_zero() {
                let Some((credit, rest)) = credits.peek_mut() else { break };
                let part = open.min(*rest);
                out.push((debit.clone(), credit.clone(), asset.clone(), part));
                open = open.checked_sub(part)?;
                *rest = rest.checked_sub(part)?;
                if rest.is_zero() {
                    credits.next();
                }
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, refused};
    use proptest::prelude::*;
    use serde_json::json;

    fn leg(debit: &str, credit: &str, amount: &str) -> Value {
        json!({"debit": debit, "credit": credit, "asset": "EUR", "amount": amount})
    }

    fn bench() -> Bench {
        let mut bench = Bench::new();
        for name in ["a", "b", "c"] {
            bench.open(name, "EUR", 2);
        }
        bench
    }

    fn transfers(netting: &str, legs: Value) -> Vec<String> {
        let lines = bench().ok("settle", json!({"netting": netting, "legs": legs}));
        let debits = lines.iter().filter(|l| l.kind == "treasury_debit");
        debits
            .map(|l| {
                format!("{} <- {} {}", l.body["account"], l.body["counterparty"], l.body["amount"])
                    .replace('"', "")
            })
            .collect()
    }

    #[test]
    fn each_netting_clears_what_it_says() {
        let legs = json!([
            leg("a", "b", "100"),
            leg("b", "a", "30"),
            leg("b", "c", "50"),
            leg("c", "a", "20")
        ]);
        assert_eq!(transfers("gross", legs.clone()).len(), 4);
        assert_eq!(
            transfers("bilateral", legs.clone()),
            ["a <- b 70.00", "c <- a 20.00", "b <- c 50.00"]
        );
        assert_eq!(transfers("multilateral", legs), ["a <- b 20.00", "a <- c 30.00"]);
    }

    #[test]
    fn obligations_that_set_each_other_off_leave_a_settlement_and_no_transfer() {
        let lines = bench().ok(
            "settle",
            json!({"netting": "bilateral", "legs": [leg("a", "b", "5"), leg("b", "a", "5")]}),
        );
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].kind, "treasury_settlement");
        assert_eq!(lines[0].body["transfers"], 0);
    }

    #[test]
    fn an_exchange_conserves_each_asset_through_the_liquidity_account() {
        let mut bench = bench();
        for (name, asset) in [("b", "JPY"), ("desk", "JPY"), ("desk", "EUR")] {
            bench.open(name, asset, if asset == "JPY" { 0 } else { 2 });
        }
        let legs = json!([{"debit": "b", "credit": "a", "asset": "EUR", "amount": "10.01", "to_asset": "JPY",
            "rate_numerator": 16_251, "rate_denominator": 100, "liquidity": "desk"}]);
        bench.ok("settle", json!({"netting": "gross", "legs": legs}));
        // 10.01 × 162.51 = 1626.7251
        assert_eq!(bench.balance("b", "JPY"), "1627");
        assert_eq!(bench.balance("desk", "JPY"), "-1627");
        assert_eq!(bench.balance("desk", "EUR"), "10.01");
        let half = json!([{"debit": "b", "credit": "a", "asset": "EUR", "amount": "1", "to_asset": "JPY", "liquidity": "desk"}]);
        refused(
            bench.call("settle", json!({"netting": "gross", "legs": half})),
            "exchange_incomplete",
        );
    }

    #[test]
    fn what_cannot_be_settled_is_refused_by_leg() {
        let mut bench = bench();
        let legs = json!([leg("a", "b", "1"), leg("a", "z", "1")]);
        let refusal = bench.call("settle", json!({"netting": "gross", "legs": legs})).unwrap_err();
        assert_eq!(
            (refusal.code.as_str(), refusal.field.as_deref()),
            ("credit_account_not_found", Some("legs[1].credit"))
        );
        refused(bench.call("settle", json!({"netting": "gross", "legs": []})), "settlement_empty");
        refused(
            bench.call("settle", json!({"netting": "gross", "legs": [leg("a", "a", "1")]})),
            "accounts_must_be_different",
        );
        let once = json!({"netting": "gross", "settlement_id": "s", "legs": [leg("a", "b", "1")]});
        bench.ok("settle", once.clone());
        refused(bench.call("settle", once), "exists");
    }

    #[test]
    fn rates_round_half_to_even() {
        let q = |text| Quantity::parse(text).unwrap();
        for (amount, n, d, scale, want) in [
            ("0.05", 1, 2, 2, "0.02"),
            ("0.15", 1, 2, 2, "0.08"),
            ("1", 1, 3, 2, "0.33"),
            ("2", 1, 3, 0, "1"),
        ] {
            assert_eq!(exchange(q(amount), n, d, scale).unwrap().to_string(), want);
        }
    }

    proptest! {
        #[test]
        fn every_netting_moves_the_sum_of_the_legs(
            legs in proptest::collection::vec((0usize..4, 0usize..4, 1i128..1000), 1..30)
        ) {
            let clears: Vec<Clear> = legs
                .iter()
                .filter(|(a, b, _)| a != b)
                .map(|(a, b, n)| (format!("p{a}"), format!("p{b}"), "X".to_owned(), Quantity::new(*n, 0).unwrap()))
                .collect();
            let mut want = nets(clears.iter()).unwrap();
            want.retain(|_, net| !net.is_zero());
            for netted in [bilateral(&clears).unwrap(), multilateral(&clears).unwrap()] {
                let mut got = nets(netted.iter()).unwrap();
                got.retain(|_, net| !net.is_zero());
                prop_assert_eq!(&got, &want);
            }
        }
    }
}
