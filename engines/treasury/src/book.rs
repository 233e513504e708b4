//! What a journal says once it is read: transactions with every amount filled in.
//!
//! Both readers (journal and beancount) end here, and conversion to moves starts here.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::money::{MoneyError, Quantity};
use crate::place::Place;

/// Largest file that is read.
pub const FILE_BYTES_MAX: usize = 64 << 20;
/// Longest line that is read.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// Most postings of one transaction; its moves fit into one linked group.
pub const POSTINGS_MAX: usize = 1_000;
/// Most transactions of one file.
pub const TRANSACTIONS_MAX: usize = 1_000_000;
/// Longest account name in bytes.
pub const ACCOUNT_BYTES_MAX: usize = 256;
/// Longest commodity name in bytes.
pub const COMMODITY_BYTES_MAX: usize = 64;
/// Most commodities of one transaction.
pub const COMMODITIES_MAX: usize = 64;

/// A quantity of one commodity. The commodity is empty where the journal names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    /// How much.
    pub quantity: Quantity,
    /// Of what.
    pub commodity: String,
}

/// A price or cost, per unit or for the whole posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Price {
    /// `@`: for each unit.
    Each(Amount),
    /// `@@`: for all units together, without sign.
    Total(Amount),
}

impl Price {
    /// The amount as written.
    pub fn amount(&self) -> &Amount {
        match self {
            Price::Each(amount) | Price::Total(amount) => amount,
        }
    }

    /// What `quantity` units are worth at this price; the sign is that of `quantity`.
    pub fn weight(&self, quantity: Quantity) -> Result<Amount, MoneyError> {
        let (quantity, commodity) = match self {
            Price::Each(amount) => (quantity.times(amount.quantity)?, &amount.commodity),
            Price::Total(amount) => {
                let total = amount.quantity.checked_abs()?;
                let total = if quantity.is_negative() { total.checked_neg()? } else { total };
                (total, &amount.commodity)
            }
        };
        Ok(Amount { quantity, commodity: commodity.clone() })
    }
}

/// The lot that a posting adds to or takes from: kept as metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lot {
    /// What it cost.
    pub cost: Price,
    /// When it was acquired.
    pub date: Option<Date>,
    /// Its name.
    pub label: Option<String>,
}

/// Is a posting part of the real books?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An ordinary posting.
    Real,
    /// `[account]`: virtual, balanced among its like.
    Balanced,
    /// `(account)`: virtual, without another side.
    Unbalanced,
}

/// One line of a transaction, with its amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Where it was written; generated postings name the line that caused them.
    pub place: Place,
    /// Full account name.
    pub account: String,
    /// How much of what; positive is a debit.
    pub amount: Amount,
    /// The lot, if one was named.
    pub lot: Option<Lot>,
    /// The price, if one was named.
    pub price: Option<Price>,
    /// Real or virtual.
    pub kind: Kind,
}

impl Posting {
    /// What this posting counts for when the transaction is balanced: cost, else price, else itself.
    pub fn weight(&self) -> Result<Amount, MoneyError> {
        match (&self.lot, &self.price) {
            (Some(lot), _) => lot.cost.weight(self.amount.quantity),
            (None, Some(price)) => price.weight(self.amount.quantity),
            (None, None) => Ok(self.amount.clone()),
        }
    }
}

/// Whether the writer has checked an entry against the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Status {
    /// No mark.
    #[default]
    Unmarked,
    /// `!`
    Pending,
    /// `*`
    Cleared,
}

/// A tag with an optional value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// Its value, if it has one.
    pub value: Option<String>,
}

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Where its first line stands.
    pub place: Place,
    /// When it happened.
    pub date: Date,
    /// Secondary date (when it took effect).
    pub date_secondary: Option<Date>,
    /// Mark of the writer.
    pub status: Status,
    /// Reference such as a cheque or invoice number.
    pub code: Option<String>,
    /// Who, and what for: free text.
    pub payee: String,
    /// Tags of the transaction and its postings, in order, each once.
    pub tags: Vec<Tag>,
    /// Its lines.
    pub postings: Vec<Posting>,
}

/// A market price that a file states. Kept for whoever asks; not part of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricePoint {
    /// Where it stands.
    pub place: Place,
    /// When it held.
    pub date: Date,
    /// Of what.
    pub commodity: String,
    /// The price of one unit.
    pub price: Amount,
}

/// Something in the file that is left out without changing any balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Where it stands.
    pub place: Place,
    /// Stable code.
    pub code: &'static str,
    /// What was left out.
    pub message: String,
}

/// What kind of account it is, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// What is owned.
    Asset,
    /// What is owed.
    Liability,
    /// Own funds.
    Equity,
    /// What comes in.
    Income,
    /// What goes out.
    Expense,
}

impl Class {
    /// The word used in receipts.
    pub fn word(self) -> &'static str {
        match self {
            Class::Asset => "asset",
            Class::Liability => "liability",
            Class::Equity => "equity",
            Class::Income => "income",
            Class::Expense => "expense",
        }
    }

    /// Reads the word used in receipts.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "asset" => Class::Asset,
            "liability" => Class::Liability,
            "equity" => Class::Equity,
            "income" => Class::Income,
            "expense" => Class::Expense,
            _ => return None,
        })
    }

    /// The class that the first part of an account name says, in the words that ledger, hledger
    /// and beancount know; `None` for others.
    pub fn of_account(account: &str) -> Option<Self> {
        let root = account.split(':').next().unwrap_or_default().to_lowercase();
        Some(match root.as_str() {
            "asset" | "assets" => Class::Asset,
            "liability" | "liabilities" | "debt" | "debts" => Class::Liability,
            "equity" | "virtual" => Class::Equity,
            "income" | "incomes" | "revenue" | "revenues" => Class::Income,
            "expense" | "expenses" => Class::Expense,
            _ => return None,
        })
    }
}

/// What the file declares about one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountDeclared {
    /// First day of use, if declared.
    pub opened: Option<Date>,
    /// Day from which it is closed.
    pub closed: Option<Date>,
    /// Class, if declared.
    pub class: Option<Class>,
}

/// A whole file, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Transactions in the order in which they count.
    pub transactions: Vec<Transaction>,
    /// Accounts that the file declares.
    pub accounts: BTreeMap<String, AccountDeclared>,
    /// Decimal places that the file declares per commodity.
    pub scales: BTreeMap<String, u8>,
    /// Market prices.
    pub prices: Vec<PricePoint>,
    /// What was left out.
    pub notices: Vec<Notice>,
}

/// Balance per account and commodity.
pub type Balances = BTreeMap<(String, String), Quantity>;

impl Book {
    /// Sums of all postings, zero sums left out; `kinds` says which postings count.
    pub fn balances(&self, kinds: &[Kind]) -> Result<Balances, MoneyError> {
        let mut out = Balances::new();
        let all = self.transactions.iter().flat_map(|t| &t.postings);
        for posting in all.filter(|p| kinds.contains(&p.kind)) {
            let key = (posting.account.clone(), posting.amount.commodity.clone());
            add(&mut out, key, posting.amount.quantity)?;
        }
        out.retain(|_, q| !q.is_zero());
        Ok(out)
    }

    /// Decimal places each commodity needs: the finest posted or declared, at least ISO 4217's.
    /// Zeros behind the places of an ISO currency come from multiplication and do not count.
    pub fn scales_needed(&self) -> BTreeMap<String, u8> {
        let mut out = self.scales.clone();
        for posting in self.transactions.iter().flat_map(|t| &t.postings) {
            let name = &posting.amount.commodity;
            let quantity = posting.amount.quantity;
            let scale = match crate::money::iso_4217_scale(name) {
                Some(least) => quantity.trimmed(least).scale().max(least),
                None => quantity.scale(),
            };
            let known = out.entry(name.clone()).or_insert(scale);
            *known = (*known).max(scale);
        }
        out
    }
}

/// Adds `quantity` to the entry of `key`.
pub fn add<K: Ord>(
    sums: &mut BTreeMap<K, Quantity>,
    key: K,
    quantity: Quantity,
) -> Result<(), MoneyError> {
    let entry = sums.entry(key).or_insert(Quantity::ZERO);
    *entry = entry.checked_add(quantity)?;
    Ok(())
}
