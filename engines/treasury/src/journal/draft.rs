//! A transaction as written: amounts may still be missing, and assertions wait to be checked.

use jiff::civil::Date;

use super::amount::{RawAmount, Styles, amount_refused};
use super::grammar::{PostingLine, RawLot, tags};
use super::pattern::Pattern;
use crate::book::{Amount, Kind, Lot, Price, Status, Tag};
use crate::lines::Line;
use crate::money::Quantity;
use crate::place::{Cause, ImportError, Place};

/// A transaction before its amounts are settled.
#[derive(Debug)]
pub struct Draft {
    pub place: Place,
    pub date: Date,
    pub date_secondary: Option<Date>,
    pub status: Status,
    pub code: Option<String>,
    pub payee: String,
    pub tags: Vec<Tag>,
    pub postings: Vec<DraftPosting>,
    /// How many automated rules stood above it.
    pub rules_above: usize,
}

/// A posting before its amount is settled.
#[derive(Debug)]
pub struct DraftPosting {
    pub place: Place,
    pub account: String,
    pub kind: Kind,
    pub amount: Option<Amount>,
    pub lot: Option<Lot>,
    pub price: Option<Price>,
    pub assertion: Option<Assertion>,
}

/// A balance that the file says an account has after a posting.
#[derive(Debug)]
pub struct Assertion {
    pub place: Place,
    pub amount: Amount,
    pub sole: bool,
    pub below: bool,
    /// `= 0` without a commodity: nothing of anything.
    pub nothing_at_all: bool,
}

/// `= /pattern/` with its postings.
#[derive(Debug)]
pub struct Rule {
    pub pattern: Pattern,
    pub postings: Vec<RulePosting>,
}

/// One posting that a rule adds.
#[derive(Debug)]
pub struct RulePosting {
    pub place: Place,
    pub account: String,
    pub kind: Kind,
    pub amount: RuleAmount,
}

/// What a rule posts: a part of the amount that matched, or a fixed amount.
#[derive(Debug)]
pub enum RuleAmount {
    Factor(Quantity),
    Fixed(Amount),
}

/// Turns written parts into exact ones; `name` maps account names as `alias` and `apply` say.
pub fn posting(
    line: &Line<'_>,
    raw: PostingLine<'_>,
    styles: &Styles,
    name: impl Fn(&str) -> Result<String, ImportError>,
) -> Result<(DraftPosting, Vec<Tag>), ImportError> {
    let place = line.place_of(raw.account);
    if raw.factor {
        let message = "`*` before an amount has a meaning only in automated rules";
        return Err(ImportError::new(place, Cause::Syntax, message));
    }
    let amount = raw.amount.as_ref().map(|a| a.resolve(line, styles)).transpose()?;
    let lot = match raw.lot {
        None => None,
        Some(lot) => Some(lot_of(line, lot, amount.as_ref(), styles)?),
    };
    let price = match &raw.price {
        None => None,
        Some((total, price)) => Some(price_of(line, *total, price, styles)?),
    };
    let assertion = match &raw.assertion {
        None => None,
        Some(wanted) => {
            if wanted.priced && raw.amount.is_none() {
                let message = "a balance assignment with a lot or a price";
                return Err(line.refuse(wanted.amount.number, Cause::Unsupported, message));
            }
            let amount = wanted.amount.resolve(line, styles)?;
            Some(Assertion {
                place: line.place_of(wanted.amount.number),
                nothing_at_all: amount.commodity.is_empty() && amount.quantity.is_zero(),
                amount,
                sole: wanted.sole,
                below: wanted.below,
            })
        }
    };
    let account = name(raw.account)?;
    let posting = DraftPosting { place, account, kind: raw.kind, amount, lot, price, assertion };
    Ok((posting, raw.comment.map(tags).unwrap_or_default()))
}

/// A price in its own commodity; it must name one, and have no sign of its own for totals.
fn price_of(
    line: &Line<'_>,
    total: bool,
    raw: &RawAmount<'_>,
    styles: &Styles,
) -> Result<Price, ImportError> {
    let amount = raw.resolve(line, styles)?;
    if amount.quantity.is_negative() {
        return Err(line.refuse(raw.number, Cause::Syntax, "a price cannot be negative"));
    }
    Ok(if total { Price::Total(amount) } else { Price::Each(amount) })
}

/// A lot with its cost per unit. A lot without a cost says nothing that could be balanced.
fn lot_of(
    line: &Line<'_>,
    raw: RawLot<'_>,
    amount: Option<&Amount>,
    styles: &Styles,
) -> Result<Lot, ImportError> {
    let (Some((total, cost)), Some(of)) = (raw.cost, amount) else {
        let message = "a lot date or note without a lot cost";
        return Err(ImportError::new(line.place(0), Cause::CostBasis, message));
    };
    let cost_place = cost.number;
    let mut cost = price_of(line, total, &cost, styles)?;
    if let Price::Total(whole) = &cost {
        let units = of.quantity.checked_abs().map_err(|e| amount_refused(line, cost_place, e))?;
        let Ok(each) = whole.quantity.divided_exactly(units) else {
            let message = "the total lot cost has no exact cost per unit";
            return Err(line.refuse(cost_place, Cause::CostBasis, message));
        };
        cost = Price::Each(Amount { quantity: each, commodity: whole.commodity.clone() });
    }
    if cost.amount().commodity == of.commodity {
        let message = "a lot cost in the lot's own commodity";
        return Err(line.refuse(cost_place, Cause::CostBasis, message));
    }
    Ok(Lot { cost, date: raw.date, label: raw.label.map(str::to_owned) })
}

/// A posting of an automated rule.
pub fn rule_posting(
    line: &Line<'_>,
    raw: PostingLine<'_>,
    styles: &Styles,
    name: impl Fn(&str) -> Result<String, ImportError>,
) -> Result<RulePosting, ImportError> {
    let place = line.place_of(raw.account);
    if raw.lot.is_some() || raw.price.is_some() || raw.assertion.is_some() {
        let message = "lots, prices and assertions in an automated rule";
        return Err(ImportError::new(place, Cause::Unsupported, message));
    }
    let Some(written) = raw.amount else {
        let message = "an automated rule posting without an amount";
        return Err(ImportError::new(place, Cause::Unsupported, message));
    };
    if let (true, Some(commodity)) = (raw.factor, written.commodity) {
        let message = format!("a factor that changes the commodity to {commodity}");
        return Err(ImportError::new(place, Cause::Unsupported, message));
    }
    let amount = if raw.factor || written.commodity.is_none() {
        RuleAmount::Factor(written.quantity(line, styles.mark)?)
    } else {
        RuleAmount::Fixed(written.resolve(line, styles)?)
    };
    Ok(RulePosting { place, account: name(raw.account)?, kind: raw.kind, amount })
}
