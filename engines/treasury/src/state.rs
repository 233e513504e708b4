//! State of the treasury: what its receipts add up to.
//!
//! The fold is total. A receipt that breaks a rule, which the operations never write, is counted
//! in `broken` and changes nothing else, so that a forged or damaged history shows.

use serde::{Deserialize, Serialize};
use vm_contracts::{Line, Map, Moment, Part, Projection, Slot, Table, Value};
use vm_receipts::line::End;

use crate::book::Class;
use crate::money::{MoneyError, Quantity};

/// Key of an account: its name and its asset. The same name may be opened in several assets.
pub type AccountKey = (String, String);

/// What an account must never do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Anything goes.
    #[default]
    None,
    /// Debits, posted and pending, stay at or below posted credits.
    DebitsLeCredits,
    /// Credits, posted and pending, stay at or below posted debits.
    CreditsLeDebits,
}

impl Limit {
    /// The words of the intent, in the order of declaration.
    pub const WORDS: &'static [&'static str] = &["none", "debits_le_credits", "credits_le_debits"];

    fn from_word(word: &str) -> Self {
        match word {
            "debits_le_credits" => Limit::DebitsLeCredits,
            "credits_le_debits" => Limit::CreditsLeDebits,
            _ => Limit::None,
        }
    }
}

/// One account in one asset. The four sums never shrink below zero; pending ones shrink when a
/// pending transfer is resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What kind of account it is, where that is known.
    pub class: Option<String>,
    /// The node it belongs to.
    pub node: Option<String>,
    /// Its limit.
    pub limit: Limit,
    /// How far the limit may be passed.
    pub overdraft: Quantity,
    /// Is it closed?
    pub closed: bool,
    /// Sum of posted debits.
    pub debits_posted: Quantity,
    /// Sum of posted credits.
    pub credits_posted: Quantity,
    /// Sum of debits that wait.
    pub debits_pending: Quantity,
    /// Sum of credits that wait.
    pub credits_pending: Quantity,
}

impl Account {
    /// Posted debits less posted credits.
    pub fn balance(&self) -> Result<Quantity, MoneyError> {
        self.debits_posted.checked_sub(self.credits_posted)
    }

    /// Whether anything of it waits.
    pub fn holds_pending(&self) -> bool {
        !self.debits_pending.is_zero() || !self.credits_pending.is_zero()
    }

    /// The class as a word of the books.
    pub fn class(&self) -> Option<Class> {
        self.class.as_deref().and_then(Class::from_word)
    }
}

/// One asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Decimal places; grows when an account is opened with more, never shrinks.
    pub scale: u8,
    /// Sum of posted debits over all accounts.
    pub debits: Quantity,
    /// Sum of posted credits over all accounts.
    pub credits: Quantity,
}

/// What became of a pending transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Posted, in whole or in part.
    Posted,
    /// Voided.
    Voided,
    /// Its time ran out.
    Expired,
}

impl Outcome {
    /// The word in receipts.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Posted => "posted",
            Outcome::Voided => "voided",
            Outcome::Expired => "expired",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "posted" => Outcome::Posted,
            "voided" => Outcome::Voided,
            "expired" => Outcome::Expired,
            _ => return None,
        })
    }
}

/// One transfer, as much of it as later calls ask about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Account that is debited.
    pub debit: String,
    /// Account that is credited.
    pub credit: String,
    /// Asset.
    pub asset: String,
    /// How much.
    pub amount: Quantity,
    /// Was it opened as pending?
    pub pending: bool,
    /// Unix time in milliseconds from which it counts as expired.
    pub expires_ms: Option<i64>,
    /// What became of it, if it was pending.
    pub outcome: Option<Outcome>,
    /// The transfer that reversed it.
    pub reversed_by: Option<String>,
    /// The pending transfer that this one posts.
    pub posts: Option<String>,
}

/// One settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// `gross`, `bilateral` or `multilateral`.
    pub netting: String,
    /// How many obligations went in.
    pub legs: u64,
    /// How many transfers came out.
    pub transfers: u64,
}

/// Receipts that break a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// How many.
    pub count: u64,
    /// Leaf index of the first one.
    pub first_seq: Option<u64>,
}

/// The treasury's state.
#[derive(Debug, Default)]
pub struct State {
    /// Accounts by name and asset.
    pub accounts: Table<AccountKey, Account>,
    /// Assets by name.
    pub assets: Table<String, Asset>,
    /// Transfers by id.
    pub transfers: Table<String, Transfer>,
    /// Open pending transfers that expire: account key as text, then expiry and transfer id.
    pub expiries: Table<(String, String), String>,
    /// Number of open pending transfers by account key as text.
    pub waiting: Table<String, u64>,
    /// Settlements by id.
    pub settlements: Table<String, Settlement>,
    /// Latest `at` seen, Unix milliseconds.
    pub clock_ms: Slot<i64>,
    /// Receipts that break a rule.
    pub broken: Slot<Broken>,
}

impl Projection for State {
    const FOLD_VERSION: u32 = 1;

    fn parts(&mut self, visit: &mut dyn FnMut(&'static str, &mut dyn Part)) {
        visit("accounts", &mut self.accounts);
        visit("assets", &mut self.assets);
        visit("transfers", &mut self.transfers);
        visit("expiries", &mut self.expiries);
        visit("waiting", &mut self.waiting);
        visit("settlements", &mut self.settlements);
        visit("clock_ms", &mut self.clock_ms);
        visit("broken", &mut self.broken);
    }
}

/// One account key as text; names hold no control characters, so U+001F keeps keys apart.
pub fn key_text(key: &AccountKey) -> String {
    format!("{}\u{1f}{}", key.0, key.1)
}

/// Text of a moment that sorts as the moment does.
fn expiry_text(expires_ms: i64, transfer_id: &str) -> String {
    // Moments reach from the year 0 to 9999; the offset keeps the number positive.
    format!("{:016}\u{1f}{transfer_id}", i128::from(expires_ms) + 100_000_000_000_000)
}

/// Which side of an account a transfer touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Left.
    Debit,
    /// Right.
    Credit,
}

impl Account {
    /// Adds to a posted sum.
    pub fn post(&mut self, side: Side, amount: Quantity) -> Result<(), MoneyError> {
        let sum = match side {
            Side::Debit => &mut self.debits_posted,
            Side::Credit => &mut self.credits_posted,
        };
        *sum = sum.checked_add(amount)?;
        Ok(())
    }

    /// Adds to a pending sum; a negative amount takes away.
    pub fn wait(&mut self, side: Side, amount: Quantity) -> Result<(), MoneyError> {
        let sum = match side {
            Side::Debit => &mut self.debits_pending,
            Side::Credit => &mut self.credits_pending,
        };
        let next = sum.checked_add(amount)?;
        if next.is_negative() {
            return Err(MoneyError::Overflow);
        }
        *sum = next;
        Ok(())
    }
}

impl State {
    /// Ids of open pending transfers of this account whose time is over at `now`.
    pub fn expired(&self, key: &AccountKey, now: Moment) -> Vec<String> {
        use std::ops::Bound::{Excluded, Included};
        let name = key_text(key);
        let from = (name.clone(), String::new());
        let to = (name, expiry_text(now.unix_ms() + 1, ""));
        self.expiries.range(Included(&from), Excluded(&to)).map(|(_, id)| id).collect()
    }

    /// Number of open pending transfers of this account.
    pub fn waiting(&self, key: &AccountKey) -> u64 {
        self.waiting.get(&key_text(key)).unwrap_or(0)
    }

    /// Takes one receipt in.
    pub fn fold(&mut self, line: &Line) {
        if line.end == End::Aborted {
            return;
        }
        let at = line.at.unix_ms();
        if *self.clock_ms.get() < at {
            self.clock_ms.set(at);
        }
        let taken = match line.kind.as_str() {
            "treasury_account_open" => self.fold_open(&line.body),
            "treasury_account_close" => self.fold_close(&line.body),
            "treasury_debit" => self.fold_side(&line.body, Side::Debit),
            "treasury_credit" => self.fold_side(&line.body, Side::Credit),
            "treasury_pending_resolve" => self.fold_resolve(&line.body),
            "treasury_settlement" => self.fold_settlement(&line.body),
            other if other.starts_with("treasury_") => None,
            // `ledger_*` receipts belong to the ledger and change nothing here.
            _ => Some(()),
        };
        if taken.is_none() {
            let mut broken = self.broken.get().clone();
            broken.count = broken.count.saturating_add(1);
            broken.first_seq = broken.first_seq.or(Some(line.seq));
            self.broken.set(broken);
        }
    }

    fn fold_open(&mut self, body: &Map<String, Value>) -> Option<()> {
        let key = key(body)?;
        let scale = u8::try_from(body.get("scale")?.as_u64()?).ok().filter(|s| *s <= 18)?;
        if self.accounts.contains(&key) {
            return None;
        }
        let zero = Quantity::new(0, scale).ok()?;
        let asset = self.assets.get(&key.1);
        let mut asset = asset.unwrap_or(Asset { scale, debits: zero, credits: zero });
        asset.scale = asset.scale.max(scale);
        asset.debits = asset.debits.rescale(asset.scale).ok()?;
        asset.credits = asset.credits.rescale(asset.scale).ok()?;
        let overdraft = match text(body, "overdraft") {
            Some(text) => Quantity::parse(text).ok()?,
            None => zero,
        };
        self.assets.insert(key.1.clone(), asset);
        let account = Account {
            class: text(body, "class").map(str::to_owned),
            node: text(body, "node").map(str::to_owned),
            limit: Limit::from_word(text(body, "limit").unwrap_or("none")),
            overdraft,
            closed: false,
            debits_posted: zero,
            credits_posted: zero,
            debits_pending: zero,
            credits_pending: zero,
        };
        self.accounts.insert(key, account);
        Some(())
    }

    fn fold_close(&mut self, body: &Map<String, Value>) -> Option<()> {
        let key = key(body)?;
        let mut account = self.accounts.get(&key)?;
        let idle = self.waiting(&key) == 0 && account.debits_posted == account.credits_posted;
        if account.closed || !idle {
            return None;
        }
        account.closed = true;
        self.accounts.insert(key, account);
        Some(())
    }

    /// One side of a transfer. The debit side also keeps the transfer as a whole.
    fn fold_side(&mut self, body: &Map<String, Value>, side: Side) -> Option<()> {
        let key = key(body)?;
        let counterparty = text(body, "counterparty")?;
        let amount = Quantity::parse(text(body, "amount")?).ok().filter(|a| a.is_positive())?;
        let mut account = self.accounts.get(&key).filter(|account| !account.closed)?;
        let mut asset = self.assets.get(&key.1)?;
        amount.rescale(asset.scale).ok().filter(|_| counterparty != key.0)?;
        let pending = match text(body, "phase")? {
            "posted" | "post" => false,
            "pending" => true,
            _ => return None,
        };
        if pending {
            account.wait(side, amount).ok()?;
        } else {
            account.post(side, amount).ok()?;
            let sum = match side {
                Side::Debit => &mut asset.debits,
                Side::Credit => &mut asset.credits,
            };
            *sum = sum.checked_add(amount).ok()?;
        }
        crate::decide::check_limit(&key.0, &key.1, &account, side).ok()?;
        if side == Side::Credit {
            // The debit of the same transfer stands before it, and each debit has one credit.
            let of = self.transfers.get(&text(body, "transfer_id")?.to_owned())?;
            let same = (&of.debit[..], &of.credit, &of.asset, of.amount, of.pending)
                == (counterparty, &key.0, &key.1, amount, pending);
            if !same || asset.credits > asset.debits {
                return None;
            }
        }
        if side == Side::Debit {
            let expires_ms = match text(body, "expires_at") {
                Some(text) => Some(Moment::parse(text).ok()?.unix_ms()),
                None => None,
            };
            let transfer = Transfer {
                debit: key.0.clone(),
                credit: counterparty.to_owned(),
                asset: key.1.clone(),
                amount,
                pending,
                expires_ms,
                outcome: None,
                reversed_by: None,
                posts: text(body, "pending_id").map(str::to_owned),
            };
            self.keep(text(body, "transfer_id")?, transfer, text(body, "reverses"))?;
        }
        self.assets.insert(key.1.clone(), asset);
        self.accounts.insert(key, account);
        Some(())
    }

    fn keep(&mut self, id: &str, transfer: Transfer, reverses: Option<&str>) -> Option<()> {
        if self.transfers.contains(&id.to_owned()) {
            return None;
        }
        if let Some(posted) = &transfer.posts {
            // What is posted was resolved before, and not for less.
            let of = self.transfers.get(posted).filter(|of| transfer.amount <= of.amount)?;
            of.outcome.filter(|outcome| *outcome == Outcome::Posted)?;
        }
        if let Some(reversed) = reverses {
            let mut first = self.transfers.get(&reversed.to_owned())?;
            if first.pending || first.reversed_by.is_some() || first.amount != transfer.amount {
                return None;
            }
            first.reversed_by = Some(id.to_owned());
            self.transfers.insert(reversed.to_owned(), first);
        }
        if transfer.pending {
            for account in [&transfer.debit, &transfer.credit] {
                let name = key_text(&(account.clone(), transfer.asset.clone()));
                let waiting = self.waiting.get(&name).unwrap_or(0);
                self.waiting.insert(name.clone(), waiting.saturating_add(1));
                if let Some(expires_ms) = transfer.expires_ms {
                    self.expiries.insert((name, expiry_text(expires_ms, id)), id.to_owned());
                }
            }
        }
        self.transfers.insert(id.to_owned(), transfer);
        Some(())
    }

    /// Frees what a pending transfer held on both accounts.
    fn fold_resolve(&mut self, body: &Map<String, Value>) -> Option<()> {
        let id = text(body, "transfer_id")?.to_owned();
        let outcome = Outcome::from_word(text(body, "outcome")?)?;
        let mut transfer = self.transfers.get(&id)?;
        if !transfer.pending || transfer.outcome.is_some() {
            return None;
        }
        let back = transfer.amount.checked_neg().ok()?;
        let sides = [(&transfer.debit, Side::Debit), (&transfer.credit, Side::Credit)];
        for (name, side) in sides {
            let key = (name.clone(), transfer.asset.clone());
            let mut account = self.accounts.get(&key)?;
            account.wait(side, back).ok()?;
            let name = key_text(&key);
            self.accounts.insert(key, account);
            let waiting = self.waiting.get(&name).unwrap_or(0).saturating_sub(1);
            match waiting {
                0 => self.waiting.remove(&name),
                more => self.waiting.insert(name.clone(), more),
            }
            if let Some(expires_ms) = transfer.expires_ms {
                self.expiries.remove(&(name, expiry_text(expires_ms, &id)));
            }
        }
        transfer.outcome = Some(outcome);
        self.transfers.insert(id, transfer);
        Some(())
    }

    fn fold_settlement(&mut self, body: &Map<String, Value>) -> Option<()> {
        let id = text(body, "settlement_id")?.to_owned();
        let count = |name: &str| body.get(name).and_then(Value::as_u64);
        let settlement = Settlement {
            netting: text(body, "netting")?.to_owned(),
            legs: body.get("legs").and_then(Value::as_array)?.len() as u64,
            transfers: count("transfers")?,
        };
        if self.settlements.contains(&id) {
            return None;
        }
        self.settlements.insert(id, settlement);
        Some(())
    }
}

/// A text field of a body.
pub fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name)?.as_str()
}

/// The account key of a body.
pub fn key(body: &Map<String, Value>) -> Option<AccountKey> {
    Some((text(body, "account")?.to_owned(), text(body, "asset")?.to_owned()))
}
