//! Reader of beancount files.
//!
//! The reading is our own; lots, tolerances, padding and balances follow beancount 3, so that a
//! file that bean-check accepts gives the same balances here. Plugins are not run, documents are
//! not looked for, other files are never opened.

mod booking;
mod directive;
mod grammar;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::civil::Date;

pub use booking::{Inventory, Position};

use crate::book::{AccountDeclared, Amount, Book, Class, Kind, Posting, Status, Transaction};
use crate::lines::split;
use crate::money::Quantity;
use crate::place::{Cause, ImportError, Place};
use directive::{Dated, Directive, Method, Options};

/// Most lots that one account may hold; every sale looks through them.
const LOTS_MAX: usize = 10_000;

/// A beancount file, read and checked.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// What holds; transactions that could not be booked are left out.
    pub book: Book,
    /// What does not hold, in the order of the file. A file with faults is not imported.
    pub faults: Vec<ImportError>,
    /// What each account holds at the end, by lot.
    pub inventories: BTreeMap<String, Inventory>,
}

/// Reads a beancount file. A line outside the grammar refuses the whole file; what the books
/// themselves get wrong is collected in `faults`.
pub fn read(bytes: &[u8]) -> Result<Checked, ImportError> {
    let lines = split(bytes)?;
    let text = std::str::from_utf8(bytes).expect("split has checked the encoding");
    let parts = directive::read(text, &lines)?;
    let mut order: Vec<usize> = (0..parts.directives.len()).collect();
    order.sort_by_key(|at| {
        let entry = &parts.directives[*at];
        (entry.date, rank(&entry.what), entry.place.line)
    });
    let mut books = Books {
        options: &parts.options,
        accounts: BTreeMap::new(),
        pads: BTreeMap::new(),
        faults: Vec::new(),
        inventories: BTreeMap::new(),
        transactions: Vec::new(),
        full: false,
    };
    books.open_all(&parts.directives);
    for at in order {
        if !books.full {
            books.take(&parts.directives[at]);
        }
    }
    Ok(books.finish(parts.prices, parts.notices))
}

/// Order of directives within a day, as beancount has it.
fn rank(what: &Directive) -> i8 {
    match what {
        Directive::Open { .. } => -2,
        Directive::Balance { .. } => -1,
        Directive::Remark { document: true, .. } => 1,
        Directive::Close { .. } => 2,
        _ => 0,
    }
}

/// What is known of one account.
struct Account {
    opened: Date,
    closed: Option<Date>,
    currencies: Vec<String>,
    method: Option<Method>,
}

/// A pad that waits for a balance.
struct Pad {
    place: Place,
    date: Date,
    source: String,
    served: Vec<String>,
}

/// The books while directives are taken in order.
struct Books<'a> {
    options: &'a Options,
    accounts: BTreeMap<String, Account>,
    pads: BTreeMap<String, Pad>,
    faults: Vec<ImportError>,
    inventories: BTreeMap<String, Inventory>,
    transactions: Vec<Transaction>,
    /// A limit was passed; the rest is not looked at.
    full: bool,
}

impl Books<'_> {
    fn fault(&mut self, place: Place, cause: Cause, message: impl Into<String>) {
        self.faults.push(ImportError::new(place, cause, message));
    }

    /// Opens and closes first: whether an account is in use on a day does not depend on the order.
    fn open_all(&mut self, directives: &[Dated]) {
        for entry in directives {
            if let Directive::Open { account, currencies, method } = &entry.what {
                if self.accounts.contains_key(account) {
                    let message = format!("`{account}` is opened a second time");
                    self.fault(entry.place, Cause::DuplicateOpen, message);
                    continue;
                }
                let (currencies, method) = (currencies.clone(), *method);
                let opened = entry.date;
                let made = Account { opened, closed: None, currencies, method };
                self.accounts.insert(account.clone(), made);
            }
        }
        if self.options.auto_accounts {
            for entry in directives {
                for account in names(&entry.what) {
                    let made = Account {
                        opened: entry.date,
                        closed: None,
                        currencies: Vec::new(),
                        method: None,
                    };
                    let account = self.accounts.entry(account.clone()).or_insert(made);
                    account.opened = account.opened.min(entry.date);
                }
            }
        }
        for entry in directives {
            if let Directive::Close { account } = &entry.what
                && let Some(known) = self.accounts.get_mut(account)
            {
                known.closed = Some(known.closed.map_or(entry.date, |d| d.min(entry.date)));
            }
        }
    }

    /// Refuses names of accounts that are not in use on the day, each once.
    fn check_names(&mut self, entry: &Dated) {
        let after_close = matches!(entry.what, Directive::Remark { .. });
        let mut seen: Vec<&String> = Vec::new();
        for account in names(&entry.what) {
            if seen.contains(&account) {
                continue;
            }
            seen.push(account);
            let (cause, message) = match self.accounts.get(account) {
                None => (Cause::UnknownAccount, format!("`{account}` was never opened")),
                Some(known) if entry.date < known.opened => {
                    let message = format!("`{account}` is not open before {}", known.opened);
                    (Cause::InactiveAccount, message)
                }
                Some(known) => match known.closed {
                    // Closing happens at the end of its day.
                    Some(closed) if entry.date > closed && !after_close => {
                        let message = format!("`{account}` is closed since {closed}");
                        (Cause::InactiveAccount, message)
                    }
                    _ => continue,
                },
            };
            self.fault(entry.place, cause, message);
        }
    }

    fn take(&mut self, entry: &Dated) {
        if !matches!(entry.what, Directive::Open { .. }) {
            self.check_names(entry);
        }
        match &entry.what {
            Directive::Transaction(draft) => self.transaction(entry, draft),
            Directive::Balance { account, amount, tolerance } => {
                self.balance(entry.place, account, amount, *tolerance);
            }
            Directive::Pad { account, source } => {
                let (place, date, source) = (entry.place, entry.date, source.clone());
                let pad = Pad { place, date, source, served: Vec::new() };
                if let Some(before) = self.pads.insert(account.clone(), pad) {
                    self.unused(account, &before);
                }
            }
            Directive::Open { .. } | Directive::Close { .. } | Directive::Remark { .. } => {}
        }
    }

    fn unused(&mut self, account: &str, pad: &Pad) {
        if pad.served.is_empty() {
            let message = format!("no balance of `{account}` needs this pad");
            self.fault(pad.place, Cause::UnusedPad, message);
        }
    }

    fn transaction(&mut self, entry: &Dated, draft: &directive::Draft) {
        let around = settle::Around {
            inventories: &self.inventories,
            options: self.options,
            method_of: &|account| {
                let own = self.accounts.get(account).and_then(|known| known.method);
                own.unwrap_or(self.options.method)
            },
            only_commodity: &|account| match self.accounts.get(account)?.currencies.as_slice() {
                [one] => Some(one.clone()),
                _ => None,
            },
        };
        match settle::settle(draft, entry.place, entry.date, &around) {
            Err(error) => self.faults.push(error),
            Ok(postings) => {
                let (status, payee) = (draft.status, draft.payee.clone());
                let transaction = Transaction {
                    place: entry.place,
                    date: entry.date,
                    date_secondary: None,
                    status,
                    code: None,
                    payee,
                    tags: draft.tags.clone(),
                    postings,
                };
                self.add(transaction);
            }
        }
    }

    /// Takes a settled transaction into the inventories.
    fn add(&mut self, transaction: Transaction) {
        for posting in &transaction.postings {
            if let Some(known) = self.accounts.get(&posting.account)
                && !known.currencies.is_empty()
                && !known.currencies.contains(&posting.amount.commodity)
            {
                let message = format!(
                    "`{}` was not opened for {}",
                    posting.account, posting.amount.commodity
                );
                self.fault(transaction.place, Cause::CommodityNotAllowed, message);
            }
            let inventory = self.inventories.entry(posting.account.clone()).or_default();
            if inventory.len() > LOTS_MAX {
                let message = format!("`{}` holds more than {LOTS_MAX} lots", posting.account);
                self.full = true;
                return self.fault(transaction.place, Cause::TooMany, message);
            }
            if let Err(error) = booking::take_in(inventory, posting) {
                self.fault(posting.place, Cause::Amount, error.to_string());
            }
        }
        self.transactions.push(transaction);
    }

    /// What an account and those below it hold of one commodity, and whether any of it has lots.
    fn held(&self, account: &str, commodity: &str) -> Option<(Quantity, bool)> {
        let prefix = format!("{account}:");
        let mut total = Quantity::ZERO;
        let mut lots = false;
        for (name, inventory) in self.inventories.range(account.to_owned()..) {
            if name != account && !name.starts_with(&prefix) {
                if name.starts_with(account) {
                    continue;
                }
                break;
            }
            for position in inventory.iter().filter(|p| p.units.commodity == commodity) {
                total = total.checked_add(position.units.quantity).ok()?;
                lots |= position.lot.is_some();
            }
        }
        Some((total, lots))
    }

    fn balance(&mut self, place: Place, account: &str, amount: &Amount, given: Option<Quantity>) {
        let scale = amount.quantity.scale();
        let inferred = Quantity::new(i128::from(scale > 0), scale).unwrap_or(Quantity::ZERO);
        let tolerance = given.unwrap_or(inferred);
        let found = self.held(account, &amount.commodity);
        let missing =
            found.and_then(|(held, lots)| Some((amount.quantity.checked_sub(held).ok()?, lots)));
        let Some((mut missing, lots)) = missing else {
            return self.fault(place, Cause::Amount, "the balance does not fit");
        };
        let within = |missing: Quantity| missing.checked_abs().is_ok_and(|size| size <= tolerance);
        if let Some(mut pad) = self.pads.remove(account) {
            if !pad.served.contains(&amount.commodity) {
                if !within(missing) {
                    if lots {
                        let message = format!("`{account}` holds lots and cannot be padded");
                        self.fault(pad.place, Cause::CostBasis, message);
                    } else {
                        self.pad(account, &pad, missing, &amount.commodity);
                        missing = Quantity::ZERO;
                        pad.served.push(amount.commodity.clone());
                    }
                } else if pad.served.is_empty() {
                    // A balance that holds already uses the pad up for its commodity.
                    pad.served.push(amount.commodity.clone());
                    let message = format!("no balance of `{account}` needs this pad");
                    self.fault(pad.place, Cause::UnusedPad, message);
                }
            }
            self.pads.insert(account.to_owned(), pad);
        }
        if !within(missing) {
            let Amount { quantity, commodity } = amount;
            let held = quantity.checked_sub(missing).unwrap_or(Quantity::ZERO);
            let message = format!(
                "`{account}` should hold {quantity} {commodity}, but holds {held} {commodity}"
            );
            self.fault(place, Cause::AssertionFailed, message);
        }
    }

    /// Books the transaction that a pad stands for, at the pad's own day.
    fn pad(&mut self, account: &str, pad: &Pad, missing: Quantity, commodity: &str) {
        let Ok(opposite) = missing.checked_neg() else {
            return self.fault(pad.place, Cause::Amount, "the padding does not fit");
        };
        let posting = |account: &str, quantity| Posting {
            place: pad.place,
            account: account.to_owned(),
            amount: Amount { quantity, commodity: commodity.to_owned() },
            lot: None,
            price: None,
            kind: Kind::Real,
        };
        self.add(Transaction {
            place: pad.place,
            date: pad.date,
            date_secondary: None,
            status: Status::Unmarked,
            code: None,
            payee: format!("Padding of {account} from {}", pad.source),
            tags: Vec::new(),
            postings: vec![posting(account, missing), posting(&pad.source, opposite)],
        });
    }

    fn finish(
        mut self,
        prices: Vec<crate::book::PricePoint>,
        notices: Vec<crate::book::Notice>,
    ) -> Checked {
        for (account, pad) in std::mem::take(&mut self.pads) {
            self.unused(&account, &pad);
        }
        self.faults.sort_by_key(|fault| fault.place);
        self.transactions.sort_by_key(|t| (t.date, t.place.line));
        let class = |account: &str| {
            let root = account.split(':').next().unwrap_or_default();
            let classes =
                [Class::Asset, Class::Liability, Class::Equity, Class::Income, Class::Expense];
            let at = self.options.roots.iter().position(|name| name == root);
            at.map(|at| classes[at])
        };
        let accounts = self.accounts.iter().map(|(name, account)| {
            let (opened, closed) = (Some(account.opened), account.closed);
            (name.clone(), AccountDeclared { opened, closed, class: class(name) })
        });
        let accounts = accounts.collect();
        self.inventories.retain(|_, inventory| !inventory.is_empty());
        let scales = BTreeMap::new();
        let book = Book { transactions: self.transactions, accounts, scales, prices, notices };
        Checked { book, faults: self.faults, inventories: self.inventories }
    }
}

/// Accounts that a directive names.
fn names(what: &Directive) -> Vec<&String> {
    match what {
        Directive::Open { account, .. }
        | Directive::Close { account }
        | Directive::Balance { account, .. }
        | Directive::Remark { account, .. } => vec![account],
        Directive::Pad { account, source } => vec![account, source],
        Directive::Transaction(draft) => draft.postings.iter().map(|p| &p.account).collect(),
    }
}
