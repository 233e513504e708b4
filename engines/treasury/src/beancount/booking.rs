//! Lots: what an account holds of each, and which of them a posting adds to or takes from.

use jiff::civil::Date;

use super::directive::{DraftPosting, Method};
use crate::book::{Amount, Kind, Lot, Posting, Price};
use crate::money::{MoneyError, Quantity};
use crate::place::{Cause, ImportError, Place};

/// Units of one commodity, bought at one cost on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// How much.
    pub units: Amount,
    /// At what cost; `None` for money.
    pub lot: Option<Lot>,
}

/// What an account holds.
pub type Inventory = Vec<Position>;

/// Adds units to the position of the same lot; empty positions go away.
pub fn take_in(inventory: &mut Inventory, posting: &Posting) -> Result<(), MoneyError> {
    let same = |position: &Position| {
        position.units.commodity == posting.amount.commodity && position.lot == posting.lot
    };
    match inventory.iter().position(same) {
        Some(at) => {
            let units = &mut inventory[at].units;
            units.quantity = units.quantity.checked_add(posting.amount.quantity)?;
            if units.quantity.is_zero() {
                inventory.remove(at);
            }
        }
        None if posting.amount.quantity.is_zero() => {}
        None => {
            inventory.push(Position { units: posting.amount.clone(), lot: posting.lot.clone() });
        }
    }
    Ok(())
}

/// Turns a posting that names a cost into postings with whole lots; `held` is what its account
/// holds at this point.
pub fn book(
    draft: &DraftPosting,
    units: Amount,
    price: Option<Price>,
    method: Method,
    held: &Inventory,
    date: Date,
) -> Result<Vec<Posting>, ImportError> {
    let place = draft.place;
    let Some(spec) = &draft.cost else {
        return Ok(vec![posting(draft, units, None, price)]);
    };
    if spec.merge {
        let message = "average cost (`*`) in a lot";
        return Err(ImportError::new(place, Cause::CostBasis, message));
    }
    let each = cost_each(draft, &units).map_err(|error| amount(place, error))?;
    let reducible: Vec<&Position> = held
        .iter()
        .filter(|p| p.lot.is_some() && p.units.commodity == units.commodity)
        .filter(|p| p.units.quantity.is_negative() != units.quantity.is_negative())
        .collect();
    if method == Method::None || reducible.is_empty() {
        let (Some(number), Some(currency)) = (each, spec.currency.clone()) else {
            let message = format!("a lot of {} without a cost per unit", units.commodity);
            return Err(ImportError::new(place, Cause::CostBasis, message));
        };
        let lot = Lot {
            cost: Price::Each(Amount { quantity: number, commodity: currency }),
            date: spec.date.or(Some(date)),
            label: spec.label.clone(),
        };
        return Ok(vec![posting(draft, units, Some(lot), price)]);
    }
    let fits = |position: &&Position| {
        let Some(Lot { cost: Price::Each(cost), date, label }) = &position.lot else {
            return false;
        };
        each.is_none_or(|number| cost.quantity == number)
            && spec.currency.as_ref().is_none_or(|c| *c == cost.commodity)
            && spec.date.is_none_or(|d| *date == Some(d))
            && spec.label.as_ref().is_none_or(|l| label.as_ref() == Some(l))
    };
    let matched: Vec<&Position> = reducible.into_iter().filter(fits).collect();
    let taken = choose(&matched, &units, method, place)?;
    Ok(taken
        .into_iter()
        .map(|(lot, quantity)| {
            let part = Amount { quantity, commodity: units.commodity.clone() };
            posting(draft, part, Some(lot), price.clone())
        })
        .collect())
}

/// The cost per unit that a cost names, `{{}}` and `#` divided exactly.
fn cost_each(draft: &DraftPosting, units: &Amount) -> Result<Option<Quantity>, MoneyError> {
    let Some(spec) = &draft.cost else { return Ok(None) };
    let count = units.quantity.checked_abs()?;
    Ok(match (spec.number, spec.plus_total) {
        (Some(number), None) if spec.total => Some(number.divided_exactly(count)?),
        (Some(number), None) => Some(number),
        (number, Some(plus)) => {
            let own = number.unwrap_or(Quantity::ZERO).times(count)?;
            Some(own.checked_add(plus)?.divided_exactly(count)?)
        }
        (None, None) => None,
    })
}

/// Chooses lots for a reduction; the parts have the sign of `units`.
fn choose(
    matched: &[&Position],
    units: &Amount,
    method: Method,
    place: Place,
) -> Result<Vec<(Lot, Quantity)>, ImportError> {
    let refused = |error| amount(place, error);
    let wanted = units.quantity.checked_abs().map_err(refused)?;
    let mut total = Quantity::ZERO;
    for position in matched {
        let count = position.units.quantity.checked_abs().map_err(refused)?;
        total = total.checked_add(count).map_err(refused)?;
    }
    if matched.is_empty() || total < wanted {
        let message = format!(
            "not enough lots to reduce {} {}: {total} held at that cost",
            units.quantity, units.commodity
        );
        return Err(ImportError::new(place, Cause::NotEnoughLots, message));
    }
    let mut order: Vec<&Position> = matched.to_vec();
    let day = |p: &Position| p.lot.as_ref().and_then(|lot| lot.date);
    let cost = |p: &Position| p.lot.as_ref().map(|lot| lot.cost.amount().quantity);
    match method {
        Method::Fifo => order.sort_by_key(|p| day(p)),
        Method::Lifo => order.sort_by_key(|p| std::cmp::Reverse(day(p))),
        Method::Hifo => order.sort_by_key(|p| std::cmp::Reverse(cost(p))),
        Method::StrictWithSize if order.len() > 1 && total != wanted => {
            let same = |p: &&Position| p.units.quantity.checked_abs() == Ok(wanted);
            order = order.into_iter().filter(same).collect();
            order.sort_by_key(|p| day(p));
            order.truncate(1);
            if order.is_empty() {
                return Err(ambiguous(matched.len(), units, place));
            }
        }
        _ if order.len() > 1 && total != wanted => {
            return Err(ambiguous(matched.len(), units, place));
        }
        _ => {}
    }
    let mut left = wanted;
    let mut out = Vec::new();
    for position in order {
        let part = position.units.quantity.checked_abs().map_err(refused)?.min(left);
        if part.is_zero() {
            break;
        }
        left = left.checked_sub(part).map_err(refused)?;
        let signed = if units.quantity.is_negative() { part.checked_neg() } else { Ok(part) };
        let lot = position.lot.clone().expect("only positions with a lot are matched");
        out.push((lot, signed.map_err(refused)?));
    }
    Ok(out)
}

/// A refusal for a reduction that several lots would serve.
fn ambiguous(count: usize, units: &Amount, place: Place) -> ImportError {
    let message =
        format!("{count} lots fit the reduction of {} {}", units.quantity, units.commodity);
    ImportError::new(place, Cause::AmbiguousLot, message)
}

/// A refusal for a number that cannot be computed.
fn amount(place: Place, error: MoneyError) -> ImportError {
    let cause = if error == MoneyError::NotExact { Cause::CostBasis } else { Cause::Amount };
    ImportError::new(place, cause, error.to_string())
}

/// A settled posting.
fn posting(
    draft: &DraftPosting,
    amount: Amount,
    lot: Option<Lot>,
    price: Option<Price>,
) -> Posting {
    Posting {
        place: draft.place,
        account: draft.account.clone(),
        amount,
        lot,
        price,
        kind: Kind::Real,
    }
}
