//! Decides transfers one after another against the state and what the same call has decided so
//! far, so that a group is checked as a whole and leaves all of its receipts or none.
//!
//! The names of refusals are TigerBeetle's where it has one.

use std::collections::{BTreeMap, BTreeSet};

use vm_contracts::{Asked, Draft, Map, Moment, Refusal, Value};

use crate::money::{MoneyError, Quantity};
use crate::state::{Account, AccountKey, Limit, Outcome, Side, State, Transfer, key_text};

/// How far an event may lie ahead of the ledger's clock: clocks differ a little.
const AHEAD_MS_MAX: i64 = 5 * 60 * 1000;
/// A bare day may be today in the first time zone of the Earth (UTC+14) and tomorrow in UTC.
const DAY_AHEAD_MS_MAX: i64 = 14 * 60 * 60 * 1000 + AHEAD_MS_MAX;
/// Most expired pending transfers that one call clears away; more are left to the next one.
const EXPIRED_MAX: usize = 1_000;
/// Longest transfer id: a call id with a number behind it.
pub const TRANSFER_ID_BYTES_MAX: usize = 80;

/// A transfer that is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Id of the transfer.
    pub transfer_id: String,
    /// Account to debit.
    pub debit: String,
    /// Account to credit.
    pub credit: String,
    /// Asset.
    pub asset: String,
    /// How much.
    pub amount: String,
    /// Holds the amount instead of moving it, for so long if a time is given.
    pub pending: bool,
    /// Seconds until a pending transfer expires.
    pub timeout_s: Option<i64>,
    /// The transfer that this one takes back.
    pub reverses: Option<String>,
    /// Lot and price of the debit side.
    pub debit_notes: Notes,
    /// Lot and price of the credit side.
    pub credit_notes: Notes,
    /// Private text of this transfer alone, where it has one besides the call's.
    pub own_memo: Option<String>,
    /// Which of several transfers of one call it is.
    pub leg: Option<u32>,
    /// Fields that stand on both receipts as they are.
    pub both: Map<String, Value>,
}

/// Lot and price of one side.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Lot.
    pub lot: Option<String>,
    /// Price.
    pub price: Option<String>,
}

/// What one call decides.
pub struct Deciding<'a> {
    state: &'a State,
    now: Moment,
    accounts: BTreeMap<AccountKey, Account>,
    /// Transfers made or changed by this call.
    transfers: BTreeMap<String, Transfer>,
    /// Open pendings opened less closed by this call, by account.
    waiting: BTreeMap<String, i64>,
    /// Accounts whose expired pendings were looked for.
    swept: BTreeSet<AccountKey>,
    /// Posted and pending debits of each asset with what this call adds.
    turnover: BTreeMap<String, Quantity>,
    /// Expired pendings cleared away by this call.
    expired: usize,
    drafts: Vec<Draft>,
}

impl<'a> Deciding<'a> {
    /// Starts a call; an event from the future is refused.
    pub fn new(
        state: &'a State,
        asked: Asked<'_>,
        effective_at: Option<&str>,
    ) -> Result<Self, Refusal> {
        if let Some(text) = effective_at {
            let ahead = Moment::parse(text).ok().map(|m| m.unix_ms() - asked.at.unix_ms());
            let bare_day = text.ends_with("T00:00:00.000Z");
            let most = if bare_day { DAY_AHEAD_MS_MAX } else { AHEAD_MS_MAX };
            if ahead.is_none_or(|ms| ms > most) {
                let what =
                    format!("effective_at {text} lies after the ledger's clock, {}", asked.at);
                return Err(Refusal::invariant("from_future", what)
                    .field("effective_at")
                    .hint("Record it when it has happened."));
            }
        }
        Ok(Deciding {
            state,
            now: asked.at,
            accounts: BTreeMap::new(),
            transfers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            swept: BTreeSet::new(),
            turnover: BTreeMap::new(),
            expired: 0,
            drafts: Vec::new(),
        })
    }

    /// The receipts decided so far.
    pub fn finish(self) -> Vec<Draft> {
        self.drafts
    }

    /// Adds a receipt of the operation's own.
    pub fn push(&mut self, draft: Draft) {
        self.drafts.push(draft);
    }

    /// Number of receipts decided so far.
    pub fn count(&self) -> usize {
        self.drafts.len()
    }

    /// An account as this call has left it so far, expired pendings cleared away.
    pub fn account(&mut self, key: &AccountKey) -> Option<Account> {
        let account = self.peek(key)?;
        if !account.holds_pending() || !self.swept.insert(key.clone()) {
            return Some(account);
        }
        for id in self.state.expired(key, self.now) {
            if self.expired >= EXPIRED_MAX {
                break;
            }
            self.expired += 1;
            self.resolve(&id, Outcome::Expired);
        }
        self.peek(key)
    }

    /// An account as this call has left it so far.
    fn peek(&self, key: &AccountKey) -> Option<Account> {
        self.accounts.get(key).cloned().or_else(|| self.state.accounts.get(key))
    }

    /// A transfer as this call has left it so far.
    pub fn transfer(&self, id: &str) -> Option<Transfer> {
        self.transfers.get(id).cloned().or_else(|| self.state.transfers.get(&id.to_owned()))
    }

    /// Number of open pendings of an account.
    pub fn waiting(&self, key: &AccountKey) -> i64 {
        let before = i64::try_from(self.state.waiting(key)).unwrap_or(i64::MAX);
        before.saturating_add(self.waiting.get(&key_text(key)).copied().unwrap_or(0))
    }

    /// Closes a pending transfer: its receipt, and both accounts freed. Does nothing to one that
    /// is closed already.
    pub fn resolve(&mut self, id: &str, outcome: Outcome) {
        let Some(mut transfer) = self.transfer(id) else { return };
        if !transfer.pending || transfer.outcome.is_some() {
            return;
        }
        let Ok(back) = transfer.amount.checked_neg() else { return };
        for (name, side) in [(&transfer.debit, Side::Debit), (&transfer.credit, Side::Credit)] {
            let key = (name.clone(), transfer.asset.clone());
            if let Some(mut account) = self.peek(&key) {
                // The fold kept this amount in the sum, so taking it out cannot fail.
                let _ = account.wait(side, back);
                *self.waiting.entry(key_text(&key)).or_default() -= 1;
                self.accounts.insert(key, account);
            }
        }
        let phase = match outcome {
            Outcome::Posted => "post",
            Outcome::Voided => "void",
            Outcome::Expired => "expire",
        };
        let mut body = Map::new();
        for (name, value) in [
            ("transfer_id", id),
            ("account", &transfer.debit),
            ("counterparty", &transfer.credit),
            ("asset", &transfer.asset),
            ("amount", &transfer.amount.to_string()),
            ("outcome", outcome.word()),
            ("phase", phase),
        ] {
            body.insert(name.to_owned(), Value::from(value));
        }
        transfer.outcome = Some(outcome);
        self.transfers.insert(id.to_owned(), transfer);
        self.drafts.push(Draft::new("treasury_pending_resolve", body));
    }

    /// The amount at the asset's own scale, above zero.
    pub fn amount(&self, asset: &str, text: &str) -> Result<Quantity, Refusal> {
        let known = self.state.assets.get(&asset.to_owned());
        let Some(known) = known else {
            let what = format!("no account is open in {asset}");
            return Err(Refusal::not_found("asset_not_found", what)
                .field("asset")
                .hint("Open both accounts in this asset first."));
        };
        let quantity = Quantity::parse(text).and_then(|q| q.rescale(known.scale));
        let quantity = quantity.map_err(|error| {
            let what = format!("{text} {asset}: {error}; {asset} has {} decimals", known.scale);
            Refusal::invariant(error.code(), what).field("amount")
        })?;
        if quantity.is_zero() {
            let what = format!("a transfer of {text} {asset} would move nothing");
            return Err(Refusal::invariant("amount_must_not_be_zero", what).field("amount"));
        }
        if quantity.is_negative() {
            let what = format!("a transfer of {text} {asset}");
            return Err(Refusal::invariant("amount_must_not_be_negative", what)
                .field("amount")
                .hint("Exchange debit and credit instead."));
        }
        Ok(quantity)
    }

    /// Decides one transfer: a debit and a credit, or a refusal.
    pub fn move_amount(&mut self, wanted: Wanted) -> Result<Quantity, Refusal> {
        self.check_id(&wanted)?;
        let amount = self.amount(&wanted.asset, &wanted.amount)?;
        if let Some(transfer) = self.transfer(&wanted.transfer_id) {
            return Err(exists(&wanted, amount, &transfer));
        }
        if wanted.timeout_s.is_some() && !wanted.pending {
            let what = format!("transfer {} is not pending", wanted.transfer_id);
            return Err(Refusal::malformed("timeout_reserved_for_pending_transfer", what)
                .field("timeout_s"));
        }
        let (mut debit, mut credit) = self.two_accounts(&wanted)?;
        let posted_id = wanted.both.get("pending_id").and_then(Value::as_str).map(str::to_owned);
        let overflow = |sum: &str, _: MoneyError| {
            let what = format!("{amount} {} more would overflow {sum}", wanted.asset);
            Refusal::invariant(format!("overflows_{sum}"), what).field("amount")
        };
        if wanted.pending {
            debit.wait(Side::Debit, amount).map_err(|e| overflow("debits_pending", e))?;
            credit.wait(Side::Credit, amount).map_err(|e| overflow("credits_pending", e))?;
        } else {
            debit.post(Side::Debit, amount).map_err(|e| overflow("debits_posted", e))?;
            credit.post(Side::Credit, amount).map_err(|e| overflow("credits_posted", e))?;
        }
        self.check_turnover(&wanted, amount)?;
        check_limit(&wanted.debit, &wanted.asset, &debit, Side::Debit)?;
        check_limit(&wanted.credit, &wanted.asset, &credit, Side::Credit)?;
        let expires = wanted.timeout_s.map(|seconds| self.expiry(seconds)).transpose()?;
        let (debit_key, credit_key) = (
            (wanted.debit.clone(), wanted.asset.clone()),
            (wanted.credit.clone(), wanted.asset.clone()),
        );
        if wanted.pending {
            for key in [&debit_key, &credit_key] {
                *self.waiting.entry(key_text(key)).or_default() += 1;
            }
        }
        self.draft_pair(&wanted, amount, expires, &debit, &credit);
        let transfer = Transfer {
            debit: wanted.debit,
            credit: wanted.credit,
            asset: wanted.asset,
            amount,
            pending: wanted.pending,
            expires_ms: expires.map(Moment::unix_ms),
            outcome: None,
            reversed_by: None,
            posts: posted_id,
        };
        self.accounts.insert(debit_key, debit);
        self.accounts.insert(credit_key, credit);
        self.transfers.insert(wanted.transfer_id, transfer);
        Ok(amount)
    }

    /// When a pending transfer of this call expires.
    fn expiry(&self, seconds: i64) -> Result<Moment, Refusal> {
        let ms = seconds.checked_mul(1000).and_then(|ms| ms.checked_add(self.now.unix_ms()));
        ms.and_then(Moment::from_unix_ms).ok_or_else(|| {
            let what = format!("a timeout of {seconds} s ends after the year 9999");
            Refusal::malformed("overflows_timeout", what).field("timeout_s")
        })
    }

    fn check_id(&self, wanted: &Wanted) -> Result<(), Refusal> {
        let id = &wanted.transfer_id;
        let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if id.is_empty() || id.len() > TRANSFER_ID_BYTES_MAX || !id.bytes().all(good) {
            let what = format!("transfer id {id:?}");
            return Err(Refusal::malformed("transfer_id_malformed", what)
                .field("transfer_id")
                .hint("Use 1 to 80 letters, digits, dots, dashes and underscores."));
        }
        Ok(())
    }

    /// Both accounts, open and different.
    fn two_accounts(&mut self, wanted: &Wanted) -> Result<(Account, Account), Refusal> {
        let Wanted { debit, credit, asset, .. } = wanted;
        if debit == credit {
            let what = format!("a transfer from {debit} to itself");
            return Err(Refusal::invariant("accounts_must_be_different", what).field("credit"));
        }
        let mut find = |name: &String, side: &str| {
            let account = self.account(&(name.clone(), asset.clone())).ok_or_else(|| {
                let what = format!("no account {name} is open in {asset}");
                Refusal::not_found(format!("{side}_account_not_found"), what).field(side).hint(
                    format!(
                        "Open it: vm treasury account-open --account {name:?} --asset {asset:?}"
                    ),
                )
            })?;
            if account.closed {
                let what = format!("account {name} in {asset} is closed");
                return Err(
                    Refusal::conflict(format!("{side}_account_already_closed"), what).field(side)
                );
            }
            Ok(account)
        };
        let first = find(debit, "debit")?;
        let second = find(credit, "credit")?;
        // Looking at the second account may have freed an expired pending of the first.
        let first = self.peek(&(debit.clone(), asset.clone())).unwrap_or(first);
        Ok((first, second))
    }

    /// The asset's own turnover must not overflow either; it bounds every balance.
    fn check_turnover(&mut self, wanted: &Wanted, amount: Quantity) -> Result<(), Refusal> {
        let before = self.state.assets.get(&wanted.asset).map_or(Quantity::ZERO, |a| a.debits);
        let turnover = self.turnover.entry(wanted.asset.clone()).or_insert(before);
        *turnover = turnover.checked_add(amount).map_err(|_| {
            let what =
                format!("{amount} {} more would overflow the asset's turnover", wanted.asset);
            Refusal::invariant("overflows_debits", what).field("amount")
        })?;
        Ok(())
    }

    /// The two receipts of a transfer.
    fn draft_pair(
        &mut self,
        wanted: &Wanted,
        amount: Quantity,
        expires: Option<Moment>,
        debit: &Account,
        credit: &Account,
    ) {
        let phase = match (wanted.pending, wanted.both.contains_key("pending_id")) {
            (true, _) => "pending",
            (false, true) => "post",
            (false, false) => "posted",
        };
        let sides = [
            ("treasury_debit", &wanted.debit, &wanted.credit, &wanted.debit_notes, &debit.node),
            ("treasury_credit", &wanted.credit, &wanted.debit, &wanted.credit_notes, &credit.node),
        ];
        for (kind, account, counterparty, notes, node) in sides {
            let mut body = wanted.both.clone();
            let mut put =
                |name: &str, value: &str| body.insert(name.to_owned(), Value::from(value));
            put("transfer_id", &wanted.transfer_id);
            put("account", account);
            put("counterparty", counterparty);
            put("asset", &wanted.asset);
            put("amount", &amount.to_string());
            put("phase", phase);
            let optional = [
                ("node", node.as_deref()),
                ("reverses", wanted.reverses.as_deref()),
                ("lot", notes.lot.as_deref()),
                ("price", notes.price.as_deref()),
            ];
            for (name, value) in optional {
                if let Some(value) = value {
                    put(name, value);
                }
            }
            if let Some(expires) = expires {
                put("expires_at", &expires.to_string());
            }
            let draft = Draft { leg: wanted.leg, ..Draft::new(kind, body) };
            self.drafts.push(match &wanted.own_memo {
                Some(memo) => draft.private("memo", memo.as_str()),
                None => draft,
            });
        }
    }
}

/// The limit of an account counts posted and pending amounts against what is posted on the other
/// side.
pub(crate) fn check_limit(
    name: &str,
    asset: &str,
    account: &Account,
    side: Side,
) -> Result<(), Refusal> {
    let (used, against, code) = match (account.limit, side) {
        (Limit::DebitsLeCredits, Side::Debit) => (
            [account.debits_posted, account.debits_pending],
            account.credits_posted,
            "exceeds_credits",
        ),
        (Limit::CreditsLeDebits, Side::Credit) => (
            [account.credits_posted, account.credits_pending],
            account.debits_posted,
            "exceeds_debits",
        ),
        _ => return Ok(()),
    };
    let within = used[0]
        .checked_add(used[1])
        .and_then(|used| Ok(used <= against.checked_add(account.overdraft)?));
    if within == Ok(true) {
        return Ok(());
    }
    let what = format!(
        "account {name} in {asset}: {} posted and {} pending would pass {against} and the overdraft of {}",
        used[0], used[1], account.overdraft
    );
    Err(Refusal::invariant(code, what).field("amount"))
}

/// The refusal for a transfer id that is taken.
fn exists(wanted: &Wanted, amount: Quantity, found: &Transfer) -> Refusal {
    let code = if wanted.pending != found.pending {
        "exists_with_different_flags"
    } else if wanted.debit != found.debit {
        "exists_with_different_debit_account_id"
    } else if wanted.credit != found.credit {
        "exists_with_different_credit_account_id"
    } else if wanted.asset != found.asset {
        "exists_with_different_asset"
    } else if amount != found.amount {
        "exists_with_different_amount"
    } else {
        "exists"
    };
    let what = format!(
        "transfer {} is there already: {} {} from {} to {}",
        wanted.transfer_id, found.amount, found.asset, found.credit, found.debit
    );
    Refusal::conflict(code, what)
        .field("transfer_id")
        .hint("Repeat a call with the same call id to get its receipts again.")
}
