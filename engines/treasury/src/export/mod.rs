//! The ledger as text of other tools. Each call becomes one transaction (one for each text, where
//! transfers of a group have their own); what is pending, voided or
//! expired has moved nothing and is left out.
//!
//! Texts are private: one that is withheld or erased is missing here, which may join transactions
//! of a call and never parts the two sides of a transfer.

pub mod beancount;
pub mod csv;
pub mod hledger;

use std::collections::BTreeMap;

use vm_contracts::{Failure, Fault, History, Line, Map, Moment, Value};

use crate::book::{Amount, Balances, Kind, Lot, Posting, Price};
use crate::convert::{self, TRADING, UNBALANCED};
use crate::import::VIRTUAL_TAG;
use crate::money::{MoneyError, Quantity, iso_4217_scale};
use crate::place::Place;
use crate::state::text;

/// One posting of a transaction that is written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Account.
    pub account: String,
    /// Asset.
    pub asset: String,
    /// How much; positive is a debit.
    pub quantity: Quantity,
    /// Lot, as in the receipt.
    pub lot: Option<String>,
    /// Price, as in the receipt.
    pub price: Option<String>,
    /// Is it against `virtual:unbalanced`?
    pub unbalanced: bool,
}

/// One call as a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Call id.
    pub id: String,
    /// The first of its transfers.
    transfer_id: Option<String>,
    /// When it happened.
    pub at: Moment,
    /// Free text, where this home can open it.
    pub memo: Option<String>,
    /// Reference.
    pub code: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Did it come from virtual postings?
    pub is_virtual: bool,
    /// Postings, neighbours of one account joined.
    pub postings: Vec<Written>,
}

/// Reads all transactions in order and hands each to `write`.
pub fn entries(
    history: &mut dyn History,
    write: impl FnMut(Entry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut joining = Joining { pair: None, open: None, write };
    let mut failed: Option<Failure> = None;
    history.scan_opened(&[], &mut |line, opened| {
        failed = joining.take(line, opened).err();
        failed.is_none()
    })?;
    match failed {
        Some(failure) => Err(failure),
        None => joining.finish(),
    }
}

/// Lines on their way to entries: the sides of one transfer first, then the transfers of one call.
struct Joining<W> {
    pair: Option<Entry>,
    open: Option<Entry>,
    write: W,
}

impl<W: FnMut(Entry) -> Result<(), Failure>> Joining<W> {
    /// Takes one line in: a side of the transfer at hand, or the beginning of the next.
    fn take(&mut self, line: &Line, opened: &Map<String, Value>) -> Result<(), Failure> {
        let Some(posting) = posting(line) else { return Ok(()) };
        let side = entry(line, opened, posting);
        match &mut self.pair {
            Some(pair) if pair.id == side.id && pair.transfer_id == side.transfer_id => {
                pair.join(side)
            }
            _ => {
                let done = self.pair.replace(side);
                self.put(done)
            }
        }
    }

    /// Joins a transfer to the open entry, or writes that and opens the next.
    fn put(&mut self, pair: Option<Entry>) -> Result<(), Failure> {
        let Some(pair) = pair else { return Ok(()) };
        match &mut self.open {
            Some(open) if open.goes_on_with(&pair) => open.join(pair),
            _ => match self.open.replace(pair) {
                Some(done) => (self.write)(done),
                None => Ok(()),
            },
        }
    }

    fn finish(mut self) -> Result<(), Failure> {
        let last = self.pair.take();
        self.put(last)?;
        match self.open.take() {
            Some(done) => (self.write)(done),
            None => Ok(()),
        }
    }
}

/// One side of a transfer as an entry of its own.
fn entry(line: &Line, opened: &Map<String, Value>, posting: Written) -> Entry {
    let owned = |body: &Map<String, Value>, name| text(body, name).map(str::to_owned);
    Entry {
        id: line.id.clone(),
        transfer_id: owned(&line.body, "transfer_id"),
        at: text(&line.body, "effective_at").and_then(|t| Moment::parse(t).ok()).unwrap_or(line.at),
        memo: owned(opened, "memo"),
        code: owned(&line.body, "code"),
        tags: line.tags.iter().filter(|tag| *tag != VIRTUAL_TAG).cloned().collect(),
        is_virtual: line.tags.iter().any(|tag| tag == VIRTUAL_TAG),
        postings: vec![posting],
    }
}

impl Entry {
    /// Does a transfer belong to this entry? Transfers of one group may each have a text of their own, and each balances
    /// by itself. A text that is not there parts nothing: it may be withheld here and open on the next.
    fn goes_on_with(&self, pair: &Entry) -> bool {
        let same_text = self.memo.is_none() || pair.memo.is_none() || self.memo == pair.memo;
        self.id == pair.id && self.code == pair.code && same_text
    }

    /// Adds the postings of another, those alike joined.
    fn join(&mut self, other: Entry) -> Result<(), Failure> {
        self.memo = self.memo.take().or(other.memo);
        for posting in other.postings {
            let same = |p: &&mut Written| {
                p.account == posting.account
                    && p.asset == posting.asset
                    && p.lot == posting.lot
                    && p.price == posting.price
                    && p.unbalanced == posting.unbalanced
                    && p.quantity.is_negative() == posting.quantity.is_negative()
            };
            match self.postings.iter_mut().find(same) {
                Some(before) => {
                    before.quantity =
                        before.quantity.checked_add(posting.quantity).map_err(overflow)?;
                }
                None => self.postings.push(posting),
            }
        }
        Ok(())
    }
}

fn overflow(error: MoneyError) -> Failure {
    let mut fault = Fault::new(error.code(), format!("joining postings: {error}"));
    fault.retryable = false;
    Failure::Fault(fault)
}

/// The posting that a line stands for, if it moved something.
fn posting(line: &Line) -> Option<Written> {
    let credit = match line.kind.as_str() {
        "treasury_debit" => false,
        "treasury_credit" => true,
        _ => return None,
    };
    if !matches!(text(&line.body, "phase")?, "posted" | "post") {
        return None;
    }
    let amount = Quantity::parse(text(&line.body, "amount")?).ok()?;
    let asset = text(&line.body, "asset")?;
    let amount = amount.trimmed(iso_4217_scale(asset).unwrap_or(0));
    Some(Written {
        account: text(&line.body, "account")?.to_owned(),
        asset: asset.to_owned(),
        quantity: if credit { amount.checked_neg().ok()? } else { amount },
        lot: text(&line.body, "lot").map(str::to_owned),
        price: text(&line.body, "price").map(str::to_owned),
        unbalanced: text(&line.body, "counterparty")? == UNBALANCED,
    })
}

/// A lot as it stands in a receipt: `80.00 USD 2019-01-01 "label"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotText<'a> {
    /// Cost per unit.
    pub number: Quantity,
    /// Asset of the cost.
    pub asset: &'a str,
    /// When it was acquired.
    pub date: Option<&'a str>,
    /// Its name.
    pub label: Option<&'a str>,
}

/// Reads a lot back from its text; `None` if it was not written by an import.
pub fn lot(text: &str) -> Option<LotText<'_>> {
    let (text, label) = match text.strip_suffix('"').and_then(|t| t.split_once(" \"")) {
        Some((text, label)) => (text, Some(label)),
        None => (text, None),
    };
    let (number, rest) = text.split_once(' ')?;
    let is_date = |t: &str| {
        t.len() == 10
            && t.bytes().enumerate().all(|(at, b)| match at {
                4 | 7 => b == b'-',
                _ => b.is_ascii_digit(),
            })
    };
    let (asset, date) = match rest.rsplit_once(' ') {
        Some((asset, date)) if is_date(date) => (asset, Some(date)),
        _ => (rest, None),
    };
    Some(LotText { number: Quantity::parse(number).ok()?, asset, date, label })
}

/// Reads a price back from its text: total or not, number, asset.
pub fn price(text: &str) -> Option<(bool, Quantity, &str)> {
    let (sign, rest) = text.split_once(' ')?;
    let (number, asset) = rest.split_once(' ')?;
    let total = match sign {
        "@@" => true,
        "@" => false,
        _ => return None,
    };
    Some((total, Quantity::parse(number).ok()?, asset))
}

/// The postings without their trading accounts, if lots and prices alone balance them and a reader
/// makes the same trading postings again. Otherwise `None`, and all postings are written.
pub fn without_trading(postings: &[Written]) -> Option<Vec<Written>> {
    let kept: Vec<Written> =
        postings.iter().filter(|p| !p.account.starts_with(TRADING)).cloned().collect();
    if kept.len() == postings.len() {
        return None;
    }
    let mut sums: BTreeMap<&str, Quantity> = BTreeMap::new();
    let mut scales: BTreeMap<&str, u8> = BTreeMap::new();
    for posting in &kept {
        let scale = scales.entry(&posting.asset).or_default();
        *scale = (*scale).max(posting.quantity.scale());
        let (weight, asset) = match (&posting.lot, &posting.price) {
            (Some(text), _) => {
                let lot = lot(text)?;
                (posting.quantity.times(lot.number).ok()?, lot.asset)
            }
            (None, Some(text)) => {
                let (total, number, asset) = price(text)?;
                let weight = match (total, posting.quantity.is_negative()) {
                    (false, _) => posting.quantity.times(number).ok()?,
                    (true, false) => number,
                    (true, true) => number.checked_neg().ok()?,
                };
                (weight, asset)
            }
            (None, None) => (posting.quantity, posting.asset.as_str()),
        };
        crate::book::add(&mut sums, asset, weight).ok()?;
    }
    let balanced = sums.iter().all(|(asset, sum)| {
        let scale = scales.get(asset).copied().unwrap_or(crate::money::SCALE_MAX);
        // Beancount has no tolerance for what is written in whole numbers.
        sum.is_zero() || scale > 0 && sum.rounded_half_even(scale).is_zero()
    });
    (balanced && made_again(postings, &kept)?).then_some(kept)
}

/// Would a reader of `kept` post to the trading accounts what stands there in `postings`?
fn made_again(postings: &[Written], kept: &[Written]) -> Option<bool> {
    let mut there = Balances::new();
    for posting in postings.iter().filter(|p| p.account.starts_with(TRADING)) {
        let key = (posting.account.clone(), posting.asset.clone());
        crate::book::add(&mut there, key, posting.quantity).ok()?;
    }
    there.retain(|_, quantity| !quantity.is_zero());
    let read: Vec<Posting> = kept.iter().map(as_read).collect();
    Some(convert::made_for(&read).ok()? == there)
}

/// The posting as a reader gets it from the text.
fn as_read(written: &Written) -> Posting {
    let amount = |quantity, commodity: &str| Amount { quantity, commodity: commodity.to_owned() };
    let lot = written.lot.as_deref().and_then(lot).map(|lot| Lot {
        cost: Price::Each(amount(lot.number, lot.asset)),
        date: None,
        label: None,
    });
    let price = written.price.as_deref().and_then(price);
    let price = price.map(|(total, number, asset)| match total {
        true => Price::Total(amount(number, asset)),
        false => Price::Each(amount(number, asset)),
    });
    Posting {
        place: Place::line(1),
        account: written.account.clone(),
        amount: amount(written.quantity, &written.asset),
        lot,
        price,
        kind: Kind::Real,
    }
}
