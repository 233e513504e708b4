//! Fills in missing amounts, applies automated rules, checks that every transaction adds up and
//! that every balance assertion holds.
//!
//! Transactions count in the order of their dates, those of one day in the order of the file.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::draft::{Assertion, Draft, DraftPosting, Rule, RuleAmount};
use crate::book::{Amount, COMMODITIES_MAX, Kind, POSTINGS_MAX, Posting, Price, Transaction, add};
use crate::money::{MoneyError, Quantity, iso_4217_scale};
use crate::place::{Cause, ImportError, Place};

/// Sums per commodity.
type Sums = BTreeMap<String, Quantity>;

/// Running balances: real postings, and all postings with the virtual ones.
#[derive(Default)]
struct Running {
    real: BTreeMap<String, Sums>,
    all: BTreeMap<String, Sums>,
}

impl Running {
    fn take(&mut self, posting: &Posting) -> Result<(), ImportError> {
        let refused = |error| overflow(posting.place, error);
        let into = |sums: &mut BTreeMap<String, Sums>| {
            let sums = sums.entry(posting.account.clone()).or_default();
            add(sums, posting.amount.commodity.clone(), posting.amount.quantity).map_err(refused)
        };
        into(&mut self.all)?;
        if posting.kind == Kind::Real { into(&mut self.real) } else { Ok(()) }
    }
}

/// A refusal for sums that do not fit.
fn overflow(place: Place, error: MoneyError) -> ImportError {
    ImportError::new(place, Cause::Amount, error.to_string())
}

/// Settles all drafts.
pub fn settle(mut drafts: Vec<Draft>, rules: &[Rule]) -> Result<Vec<Transaction>, ImportError> {
    assigned_in_order(&drafts)?;
    drafts.sort_by_key(|draft| draft.date);
    let mut running = Running::default();
    let mut out = Vec::with_capacity(drafts.len());
    for mut draft in drafts {
        assign(&mut draft, &running)?;
        let mut assertions = Vec::new();
        let mut postings = infer(&mut draft, &mut assertions)?;
        let written = postings.len();
        apply_rules(&rules[..draft.rules_above], &mut postings, draft.place)?;
        if postings.len() > POSTINGS_MAX {
            let message = format!("{} postings, the limit is {POSTINGS_MAX}", postings.len());
            return Err(ImportError::new(draft.place, Cause::TooMany, message));
        }
        if postings.len() > written {
            for kind in [Kind::Real, Kind::Balanced] {
                must_balance(&postings, kind, draft.place)?;
            }
        }
        check_assertions(&postings, &assertions, &mut running)?;
        out.push(Transaction {
            place: draft.place,
            date: draft.date,
            date_secondary: draft.date_secondary,
            status: draft.status,
            code: draft.code,
            payee: draft.payee,
            tags: draft.tags,
            postings,
        });
    }
    Ok(out)
}

/// A posting whose amount is what its assertion lacks.
fn is_assigned(posting: &DraftPosting) -> bool {
    posting.amount.is_none() && posting.assertion.is_some()
}

/// hledger assigns balances in the order of dates, ledger in that of the file. Where entries of an
/// account stand in another order around an assignment, the two give different balances.
fn assigned_in_order(drafts: &[Draft]) -> Result<(), ImportError> {
    let all = || drafts.iter().flat_map(|d| d.postings.iter().map(move |p| (d.date, p)));
    // Latest date of each assigned account so far, in the order of the file.
    let mut latest: BTreeMap<&str, Date> = all()
        .filter(|(_, p)| is_assigned(p))
        .map(|(_, p)| (p.account.as_str(), Date::MIN))
        .collect();
    // Latest date of an assignment to it so far.
    let mut assigned = latest.clone();
    for (date, posting) in all() {
        let Some(last) = latest.get_mut(posting.account.as_str()) else { continue };
        let at = assigned.get_mut(posting.account.as_str()).expect("both have the same accounts");
        if date < *at || is_assigned(posting) && date < *last {
            let message = "a balance assignment among entries that are not in the order of their dates, which tools compute differently";
            return Err(ImportError::new(posting.place, Cause::Unsupported, message));
        }
        *last = date.max(*last);
        if is_assigned(posting) {
            *at = date;
        }
    }
    Ok(())
}

/// `Account  = 100 EUR` without an amount: posts what is missing to that balance.
fn assign(draft: &mut Draft, running: &Running) -> Result<(), ImportError> {
    for at in 0..draft.postings.len() {
        let posting = &draft.postings[at];
        let (None, Some(wanted)) = (&posting.amount, &posting.assertion) else { continue };
        if wanted.below {
            let message = "a balance assignment that counts the accounts below";
            return Err(ImportError::new(wanted.place, Cause::Unsupported, message));
        }
        let commodity = &wanted.amount.commodity;
        let before = |sums: &BTreeMap<String, Sums>| {
            let sums = sums.get(&posting.account);
            sums.and_then(|sums| sums.get(commodity)).copied().unwrap_or(Quantity::ZERO)
        };
        let (mut real, mut held) = (before(&running.real), before(&running.all));
        for earlier in &draft.postings[..at] {
            if let (true, Some(amount)) = (earlier.account == posting.account, &earlier.amount)
                && amount.commodity == *commodity
            {
                let sum = |sum: Quantity| {
                    sum.checked_add(amount.quantity).map_err(|e| overflow(posting.place, e))
                };
                held = sum(held)?;
                real = if earlier.kind == Kind::Real { sum(real)? } else { real };
            }
        }
        if posting.kind == Kind::Real && real != held {
            let message = "a balance assignment to an account with virtual postings, which ledger leaves out and hledger counts";
            return Err(ImportError::new(wanted.place, Cause::Unsupported, message));
        }
        let missing = wanted.amount.quantity.checked_sub(held);
        let quantity = missing.map_err(|error| overflow(posting.place, error))?;
        let amount = Amount { quantity, commodity: commodity.clone() };
        draft.postings[at].amount = Some(amount);
    }
    Ok(())
}

/// Gives every posting its amount and checks the sum of each balanced group. `assertions` takes
/// the assertions with the index of their posting.
fn infer(
    draft: &mut Draft,
    assertions: &mut Vec<(usize, Assertion)>,
) -> Result<Vec<Posting>, ImportError> {
    let mut elided: BTreeMap<Kind, Place> = BTreeMap::new();
    for posting in draft.postings.iter().filter(|p| p.amount.is_none()) {
        let message = match posting.kind {
            Kind::Unbalanced => "a virtual posting without an amount",
            _ => match elided.insert(posting.kind, posting.place) {
                Some(_) => "a second posting without an amount",
                None => continue,
            },
        };
        return Err(ImportError::new(posting.place, Cause::TwoElided, message));
    }
    let mut residuals: BTreeMap<Kind, Sums> = BTreeMap::new();
    for kind in elided.keys() {
        let known: Vec<Posting> =
            draft.postings.iter().filter(|p| p.kind == *kind).filter_map(settled).collect();
        let weights = Weights::of(&known).map_err(|error| overflow(draft.place, error))?;
        residuals.insert(*kind, weights.sums);
    }
    let mut out = Vec::with_capacity(draft.postings.len());
    for posting in std::mem::take(&mut draft.postings) {
        let first = out.len();
        match settled(&posting) {
            Some(known) => out.push(known),
            None => {
                let sums = residuals.remove(&posting.kind).unwrap_or_default();
                fill(&posting, sums, &mut out)?;
            }
        }
        if let Some(assertion) = posting.assertion {
            // An elided posting may turn into none or several; the assertion holds behind the last.
            assertions.push((out.len().max(first + 1) - 1, assertion));
        }
    }
    for kind in [Kind::Real, Kind::Balanced] {
        must_balance(&out, kind, draft.place)?;
    }
    Ok(out)
}

/// The posting with its amount, if it has one.
fn settled(posting: &DraftPosting) -> Option<Posting> {
    let amount = posting.amount.clone()?;
    Some(Posting {
        place: posting.place,
        account: posting.account.clone(),
        amount,
        lot: posting.lot.clone(),
        price: posting.price.clone(),
        kind: posting.kind,
    })
}

/// The amounts that an elided posting takes: the residual of each commodity.
fn fill(posting: &DraftPosting, sums: Sums, out: &mut Vec<Posting>) -> Result<(), ImportError> {
    for (commodity, sum) in sums {
        if sum.is_zero() {
            continue;
        }
        let quantity = sum.checked_neg().map_err(|error| overflow(posting.place, error))?;
        out.push(Posting {
            place: posting.place,
            account: posting.account.clone(),
            amount: Amount { quantity, commodity },
            lot: None,
            price: None,
            kind: posting.kind,
        });
    }
    Ok(())
}

/// What a group of postings weighs, and how finely each commodity was written.
struct Weights {
    sums: Sums,
    scales: BTreeMap<String, u8>,
}

impl Weights {
    fn of(postings: &[Posting]) -> Result<Self, MoneyError> {
        Self::by(postings, Posting::weight)
    }

    fn by(
        postings: &[Posting],
        weigh: impl Fn(&Posting) -> Result<Amount, MoneyError>,
    ) -> Result<Self, MoneyError> {
        let mut sums = Sums::new();
        let mut scales: BTreeMap<String, u8> = BTreeMap::new();
        for posting in postings {
            let weight = weigh(posting)?;
            add(&mut sums, weight.commodity, weight.quantity)?;
            let scale = scales.entry(posting.amount.commodity.clone()).or_default();
            *scale = (*scale).max(posting.amount.quantity.scale());
        }
        // A sum is written no finer than the postings beside it, unless nothing else says how fine.
        for (commodity, sum) in &mut sums {
            if let Some(scale) = scales.get(commodity) {
                let least = iso_4217_scale(commodity).unwrap_or(0);
                *sum = sum.rounded_half_even((*scale).max(least));
            }
        }
        Ok(Weights { sums, scales })
    }

    /// Sums that are not zero.
    fn residual(&self) -> Vec<(&String, &Quantity)> {
        self.sums.iter().filter(|(_, sum)| !sum.is_zero()).collect()
    }
}

/// Refuses a group that does not add up. Two commodities without any price are an exchange.
fn must_balance(postings: &[Posting], kind: Kind, place: Place) -> Result<(), ImportError> {
    let group: Vec<Posting> = postings.iter().filter(|p| p.kind == kind).cloned().collect();
    let refused = |error| overflow(place, error);
    let weights = Weights::of(&group).map_err(refused)?;
    if weights.scales.len() > COMMODITIES_MAX {
        let message = format!("more than {COMMODITIES_MAX} commodities");
        return Err(ImportError::new(place, Cause::TooMany, message));
    }
    let residual = weights.residual();
    if residual.is_empty() {
        return Ok(());
    }
    let priced = group.iter().any(|p| p.lot.is_some() || p.price.is_some());
    let exchange =
        residual.len() == 2 && residual[0].1.is_positive() != residual[1].1.is_positive();
    if exchange && !priced {
        return Ok(());
    }
    // hledger balances by the price where a lot is named beside it.
    let by_price = Weights::by(&group, |posting| match &posting.price {
        Some(price) => price.weight(posting.amount.quantity),
        None => posting.weight(),
    });
    if by_price.map_err(refused)?.residual().is_empty() {
        return Ok(());
    }
    let shown: Vec<String> =
        residual.iter().map(|(c, q)| format!("{q} {c}").trim().to_owned()).collect();
    let message = format!("the postings add up to {}, not to zero", shown.join(" and "));
    Err(ImportError::new(place, Cause::Unbalanced, message))
}

/// Adds what the automated rules above this transaction say.
fn apply_rules(
    rules: &[Rule],
    postings: &mut Vec<Posting>,
    place: Place,
) -> Result<(), ImportError> {
    let written = postings.len();
    for rule in rules {
        for at in 0..written {
            if !rule.pattern.matches(&postings[at].account) {
                continue;
            }
            for add in &rule.postings {
                let of = &postings[at].amount;
                let (amount, price) = match &add.amount {
                    RuleAmount::Fixed(amount) => (amount.clone(), None),
                    RuleAmount::Factor(factor) => {
                        let product = of.quantity.times(*factor).map_err(|e| overflow(place, e))?;
                        let quantity = product.trimmed(of.quantity.scale());
                        let amount = Amount { quantity, commodity: of.commodity.clone() };
                        let each =
                            postings[at].price.clone().filter(|p| matches!(p, Price::Each(_)));
                        (amount, each)
                    }
                };
                postings.push(Posting {
                    place: add.place,
                    account: add.account.clone(),
                    amount,
                    lot: None,
                    price,
                    kind: add.kind,
                });
                if postings.len() > POSTINGS_MAX {
                    return Ok(()); // The caller refuses, with the count.
                }
            }
        }
    }
    Ok(())
}

/// Takes the postings in and checks each assertion right behind its posting.
fn check_assertions(
    postings: &[Posting],
    assertions: &[(usize, Assertion)],
    running: &mut Running,
) -> Result<(), ImportError> {
    let mut waiting = assertions.iter().peekable();
    for (at, posting) in postings.iter().enumerate() {
        running.take(posting)?;
        while let Some((_, assertion)) = waiting.next_if(|(index, _)| *index == at) {
            check_assertion(posting, assertion, running)?;
        }
    }
    Ok(())
}

/// ledger counts real postings, hledger all of them: an assertion holds if either sum is right.
fn check_assertion(
    posting: &Posting,
    wanted: &Assertion,
    running: &Running,
) -> Result<(), ImportError> {
    let account = &posting.account;
    let mut seen = String::new();
    for sums in [&running.real, &running.all] {
        let held = held(sums, account, wanted.below).map_err(|e| overflow(wanted.place, e))?;
        let zero = Quantity::ZERO;
        let of = |commodity: &String| held.get(commodity).copied().unwrap_or(zero);
        let right = of(&wanted.amount.commodity) == wanted.amount.quantity;
        let others = held.iter().any(|(c, q)| *c != wanted.amount.commodity && !q.is_zero());
        if right && !(others && (wanted.sole || wanted.nothing_at_all)) {
            return Ok(());
        }
        if seen.is_empty() {
            let shown = held.iter().filter(|(c, q)| **c == wanted.amount.commodity || !q.is_zero());
            let shown: Vec<String> =
                shown.map(|(c, q)| format!("{q} {c}").trim().to_owned()).collect();
            seen = if shown.is_empty() { "nothing".to_owned() } else { shown.join(", ") };
        }
    }
    let Amount { quantity, commodity } = &wanted.amount;
    let wanted_text = format!("{quantity} {commodity}");
    let message = format!("`{account}` should hold {}, but holds {seen}", wanted_text.trim());
    Err(ImportError::new(wanted.place, Cause::AssertionFailed, message))
}

/// What an account holds, with those below it if asked for.
fn held(sums: &BTreeMap<String, Sums>, account: &str, below: bool) -> Result<Sums, MoneyError> {
    let mut out = sums.get(account).cloned().unwrap_or_default();
    if below {
        let prefix = format!("{account}:");
        let range = sums.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
        for (commodity, quantity) in range.flat_map(|(_, sums)| sums) {
            add(&mut out, commodity.clone(), *quantity)?;
        }
    }
    Ok(out)
}
