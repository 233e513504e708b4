//! Fills in missing amounts of a transaction and checks that it adds up within beancount's
//! inferred tolerances.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::booking::{Inventory, book, take_in};
use super::directive::{Draft, DraftPosting, Method, Options};
use crate::book::{Amount, Kind, Posting, Price, add};
use crate::money::{MoneyError, Quantity};
use crate::place::{Cause, ImportError, Place};

/// What the accounts say that a transaction needs to know.
pub struct Around<'a> {
    pub inventories: &'a BTreeMap<String, Inventory>,
    pub options: &'a Options,
    pub method_of: &'a dyn Fn(&str) -> Method,
    /// The only commodity an account was opened for.
    pub only_commodity: &'a dyn Fn(&str) -> Option<String>,
}

fn refuse(place: Place, error: MoneyError) -> ImportError {
    ImportError::new(place, Cause::Amount, error.to_string())
}

/// A transaction's postings with amounts and lots. Nothing around it is changed.
pub fn settle(
    draft: &Draft,
    place: Place,
    date: Date,
    around: &Around<'_>,
) -> Result<Vec<Posting>, ImportError> {
    let currencies = named_currencies(&draft.postings);
    let nothing = Inventory::new();
    let mut local: BTreeMap<String, Inventory> = BTreeMap::new();
    let mut known: Vec<Vec<Posting>> = Vec::new();
    let mut missing: Option<usize> = None;
    for (at, posting) in draft.postings.iter().enumerate() {
        let Some(number) = posting.units.number else {
            if posting.cost.is_some() || posting.price.is_some() {
                let message = "a posting with a cost or price but without a number";
                return Err(ImportError::new(posting.place, Cause::Unsupported, message));
            }
            if missing.replace(at).is_some() {
                let message = "a second posting without an amount";
                return Err(ImportError::new(posting.place, Cause::TwoElided, message));
            }
            known.push(Vec::new());
            continue;
        };
        let commodity = commodity(posting, &currencies, around)?;
        let units = Amount { quantity: number, commodity };
        let price = price(posting)?;
        // What is held matters to lots alone, and is copied only where the transaction itself
        // changes it before it asks again: accounts hold thousands of lots.
        let copied = posting.cost.is_some() && with_lots(draft, &posting.account) > 1;
        if copied && !local.contains_key(&posting.account) {
            let held = around.inventories.get(&posting.account).cloned().unwrap_or_default();
            local.insert(posting.account.clone(), held);
        }
        let held = local.get(&posting.account).or(around.inventories.get(&posting.account));
        let method = (around.method_of)(&posting.account);
        // A reduction is refused at the line of its transaction, as bean-check does.
        let booked = book(posting, units, price, method, held.unwrap_or(&nothing), date).map_err(
            |error| match error.cause {
                Cause::NotEnoughLots | Cause::AmbiguousLot => ImportError { place, ..error },
                _ => error,
            },
        )?;
        for part in booked.iter().filter(|_| copied) {
            let Some(held) = local.get_mut(&posting.account) else { continue };
            take_in(held, part).map_err(|error| refuse(part.place, error))?;
        }
        known.push(booked);
    }
    let tolerances = tolerances(&draft.postings, &known, around.options);
    let tolerances = tolerances.map_err(|error| refuse(place, error))?;
    let mut sums: BTreeMap<String, Quantity> = BTreeMap::new();
    for posting in known.iter().flatten() {
        let weight = posting.weight().map_err(|error| refuse(posting.place, error))?;
        add(&mut sums, weight.commodity, weight.quantity).map_err(|error| refuse(place, error))?;
    }
    if let Some(at) = missing {
        known[at] = fill(&draft.postings[at], &sums, &tolerances)?;
        return Ok(known.into_iter().flatten().collect());
    }
    must_balance(&sums, &tolerances, place)?;
    Ok(known.into_iter().flatten().collect())
}

/// Refuses sums beyond their tolerance.
fn must_balance(
    sums: &BTreeMap<String, Quantity>,
    tolerances: &Tolerances,
    place: Place,
) -> Result<(), ImportError> {
    let mut over: Vec<String> = Vec::new();
    for (commodity, sum) in sums {
        let size = sum.checked_abs().map_err(|error| refuse(place, error))?;
        if size > tolerances.of(commodity) {
            over.push(format!("{sum} {commodity}"));
        }
    }
    if over.is_empty() {
        return Ok(());
    }
    let message = format!("the postings add up to {}, not to zero", over.join(" and "));
    Err(ImportError::new(place, Cause::Unbalanced, message))
}

/// How many postings of an account name a lot.
fn with_lots(draft: &Draft, account: &str) -> usize {
    draft.postings.iter().filter(|p| p.cost.is_some() && p.account == account).count()
}

/// Commodities in which the postings weigh, for one that names none.
fn named_currencies(postings: &[DraftPosting]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for posting in postings {
        let cost = posting.cost.as_ref().and_then(|c| c.currency.clone());
        let price = posting.price.as_ref().and_then(|p| p.amount.currency.clone());
        if let Some(name) = cost.or(price).or_else(|| posting.units.currency.clone())
            && !out.contains(&name)
        {
            out.push(name);
        }
    }
    out
}

/// The commodity of a posting, named or clear from the others.
fn commodity(
    posting: &DraftPosting,
    named: &[String],
    around: &Around<'_>,
) -> Result<String, ImportError> {
    if let Some(name) = &posting.units.currency {
        return Ok(name.clone());
    }
    if let ([one], None) = (named, &posting.cost) {
        return Ok(one.clone());
    }
    (around.only_commodity)(&posting.account).ok_or_else(|| {
        let message = "a number without a commodity, and nothing that says which";
        ImportError::new(posting.place, Cause::Syntax, message)
    })
}

/// The price as written; a price without number or commodity would have to be guessed.
fn price(posting: &DraftPosting) -> Result<Option<Price>, ImportError> {
    let Some(spec) = &posting.price else { return Ok(None) };
    let (Some(number), Some(commodity)) = (spec.amount.number, spec.amount.currency.clone()) else {
        let message = "a price without a number or a commodity";
        return Err(ImportError::new(posting.place, Cause::Unsupported, message));
    };
    if number.is_negative() {
        let message = "a price cannot be negative";
        return Err(ImportError::new(posting.place, Cause::Syntax, message));
    }
    let amount = Amount { quantity: number, commodity };
    Ok(Some(if spec.total { Price::Total(amount) } else { Price::Each(amount) }))
}

/// The posting without a number takes what is left, rounded as finely as the others are written.
fn fill(
    draft: &DraftPosting,
    sums: &BTreeMap<String, Quantity>,
    tolerances: &Tolerances,
) -> Result<Vec<Posting>, ImportError> {
    let mut out = Vec::new();
    for (commodity, sum) in sums {
        if draft.units.currency.as_ref().is_some_and(|wanted| wanted != commodity) {
            if sum.checked_abs().is_ok_and(|size| size > tolerances.of(commodity)) {
                let message = format!("{sum} {commodity} are left over, which no posting takes");
                return Err(ImportError::new(draft.place, Cause::Unbalanced, message));
            }
            continue;
        }
        let quantity = sum.checked_neg().map_err(|error| refuse(draft.place, error))?;
        let tolerance = tolerances.of(commodity);
        let quantity = if tolerance.is_zero() {
            quantity
        } else {
            let twice = tolerance.checked_add(tolerance).map_err(|e| refuse(draft.place, e))?;
            quantity.rounded_half_even(twice.trimmed(0).scale())
        };
        if quantity.is_zero() {
            continue;
        }
        out.push(Posting {
            place: draft.place,
            account: draft.account.clone(),
            amount: Amount { quantity, commodity: commodity.clone() },
            lot: None,
            price: None,
            kind: Kind::Real,
        });
    }
    Ok(out)
}

/// How far each commodity may be from zero: half of the last digit written.
struct Tolerances {
    by: BTreeMap<String, Quantity>,
    default: BTreeMap<String, Quantity>,
}

impl Tolerances {
    fn of(&self, commodity: &str) -> Quantity {
        let found = self.by.get(commodity).or_else(|| self.default.get(commodity));
        found.or_else(|| self.default.get("*")).copied().unwrap_or(Quantity::ZERO)
    }
}

/// Half a unit of the last written digit.
fn half_digit(number: Quantity) -> Result<Option<Quantity>, MoneyError> {
    if number.scale() == 0 {
        return Ok(None);
    }
    // 5 × 10^-(scale + 1); at 18 places half a digit cannot be written, so a whole one stands.
    let scale = number.scale() + 1;
    let (units, scale) = if scale > crate::money::SCALE_MAX { (1, scale - 1) } else { (5, scale) };
    Quantity::new(units, scale).map(Some)
}

/// Tolerances of one transaction, from the numbers that were written.
fn tolerances(
    drafts: &[DraftPosting],
    known: &[Vec<Posting>],
    options: &Options,
) -> Result<Tolerances, MoneyError> {
    let mut by: BTreeMap<String, Quantity> = BTreeMap::new();
    let mut from_cost: BTreeMap<String, Quantity> = BTreeMap::new();
    let largest = Quantity::new(5, 1)?;
    for (draft, booked) in drafts.iter().zip(known) {
        let (Some(number), Some(first)) = (draft.units.number, booked.first()) else { continue };
        let Some(tolerance) = half_digit(number)? else { continue };
        let entry = by.entry(first.amount.commodity.clone()).or_insert(tolerance);
        *entry = (*entry).max(tolerance);
        if !options.tolerance_from_cost {
            continue;
        }
        let lots = booked.iter().filter_map(|p| p.lot.as_ref()).map(|lot| &lot.cost);
        for cost in lots.chain(first.price.as_ref()) {
            let amount = cost.amount();
            let size = match cost {
                Price::Each(each) => tolerance.times(each.quantity)?,
                Price::Total(_) => tolerance,
            };
            add(&mut from_cost, amount.commodity.clone(), size.min(largest))?;
        }
    }
    for (commodity, tolerance) in from_cost {
        let entry = by.entry(commodity).or_insert(tolerance);
        *entry = (*entry).max(tolerance);
    }
    Ok(Tolerances { by, default: options.tolerance_default.clone() })
}
