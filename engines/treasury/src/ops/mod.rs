//! The operations, one file each, and the fields they share.

pub mod account_close;
pub mod account_open;
pub mod link;
pub mod post;
pub mod reverse;
pub mod settle;
pub mod transfer;
pub mod void;

use vm_contracts::{Field, Kind, Map, Refusal, Value};

use crate::decide::TRANSFER_ID_BYTES_MAX;
use crate::money::SCALE_MAX;

/// Longest account name in bytes.
pub const ACCOUNT_BYTES_MAX: usize = crate::book::ACCOUNT_BYTES_MAX;
/// Longest asset name in bytes.
pub const ASSET_BYTES_MAX: usize = crate::book::COMMODITY_BYTES_MAX;
/// Longest memo in bytes.
pub const MEMO_BYTES_MAX: usize = 500;
/// Longest code in bytes.
pub const CODE_BYTES_MAX: usize = 64;
/// Longest node name in bytes.
pub const NODE_BYTES_MAX: usize = 128;
/// Longest text of a lot or price in bytes.
pub const NOTE_BYTES_MAX: usize = 200;
/// Longest time a pending transfer may wait: ten years.
pub const TIMEOUT_S_MAX: i64 = 315_360_000;

/// Account names.
pub const ACCOUNT: Kind = Kind::Name(ACCOUNT_BYTES_MAX);
/// Asset names.
pub const ASSET: Kind = Kind::Name(ASSET_BYTES_MAX);
/// Amounts, in the asset's own decimals.
pub const AMOUNT: Kind = Kind::Decimal(SCALE_MAX);
/// Transfer ids.
pub const TRANSFER_ID: Kind = Kind::Name(TRANSFER_ID_BYTES_MAX);
/// Codes.
pub const CODE: Kind = Kind::Name(CODE_BYTES_MAX);
/// Free text of people.
pub const MEMO: Kind = Kind::Text(MEMO_BYTES_MAX);
/// Phases of the receipts of a transfer.
pub const PHASE: Kind = Kind::Choice(&["posted", "pending", "post", "void", "expire"]);

/// The debit side of a transfer.
pub const DEBIT: Field =
    Field::new("debit", ACCOUNT, "account that is debited (assets and expenses grow)").steering();
/// The credit side of a transfer.
pub const CREDIT: Field =
    Field::new("credit", ACCOUNT, "account that is credited (liabilities, equity and income grow)")
        .steering();
/// The asset of a transfer.
pub const ASSET_FIELD: Field =
    Field::new("asset", ASSET, "asset, such as an ISO 4217 code; both accounts are open in it")
        .filter();
/// The amount of a transfer.
pub const AMOUNT_FIELD: Field =
    Field::new("amount", AMOUNT, "how much; above zero, as a decimal string").filter();
/// When it happened.
pub const EFFECTIVE_AT: Field =
    Field::new("effective_at", Kind::Time, "when it happened; now if it is not given")
        .optional()
        .filter();
/// Free text. Private: it never stands in a body, and the ledger puts its digest into every receipt of the call.
pub const MEMO_FIELD: Field = Field::new("memo", MEMO, "who and what for").optional().private();
/// Reference.
pub const CODE_FIELD: Field =
    Field::new("code", CODE, "reference, such as an invoice number").optional().filter();
/// An id of the caller's own.
pub const TRANSFER_ID_FIELD: Field =
    Field::new("transfer_id", TRANSFER_ID, "id of the transfer; the call's id if none is given")
        .optional()
        .filter();

/// The account of a receipt.
pub const ACCOUNT_OUT: Field =
    Field::new("account", ACCOUNT, "account of this receipt").computed().filter();
/// The other account.
pub const COUNTERPARTY_OUT: Field =
    Field::new("counterparty", ACCOUNT, "account on the other side").computed().filter();
/// The node of the account.
pub const NODE_OUT: Field =
    Field::new("node", Kind::Name(NODE_BYTES_MAX), "node of the account").computed().filter();
/// The phase.
pub const PHASE_OUT: Field =
    Field::new("phase", PHASE, "what the receipt does").computed().filter();
/// The transfer that is taken back.
pub const REVERSES_OUT: Field =
    Field::new("reverses", TRANSFER_ID, "transfer that this one takes back").computed().filter();
/// The group.
pub const LINK_OUT: Field =
    Field::new("link", Kind::Name(64), "call whose transfers stand or fall together")
        .computed()
        .filter();
/// When a pending transfer ends.
pub const EXPIRES_OUT: Field =
    Field::new("expires_at", Kind::Time, "when the pending transfer expires").computed();
/// The pending transfer that is posted.
pub const PENDING_OUT: Field =
    Field::new("pending_id", TRANSFER_ID, "pending transfer that is resolved").computed().filter();
/// What became of a pending transfer.
pub const OUTCOME_OUT: Field = Field::new(
    "outcome",
    Kind::Choice(&["posted", "voided", "expired"]),
    "what became of the pending transfer",
)
.computed()
.filter();
/// The lot of this side.
pub const LOT_OUT: Field =
    Field::new("lot", Kind::Text(NOTE_BYTES_MAX), "lot of this side: cost, date, label").computed();
/// The price of this side.
pub const PRICE_OUT: Field =
    Field::new("price", Kind::Text(NOTE_BYTES_MAX), "price of this side").computed();
/// The asset of a receipt whose intent does not name it.
pub const ASSET_OUT: Field = Field::new("asset", ASSET, "asset").computed().filter();
/// The amount of a receipt whose intent does not name it.
pub const AMOUNT_OUT: Field = Field::new("amount", AMOUNT, "how much").computed().filter();
/// The transfer id of a receipt whose intent does not name it.
pub const TRANSFER_ID_OUT: Field =
    Field::new("transfer_id", TRANSFER_ID, "id of the transfer").computed().filter();

/// Puts what is there into a body.
pub fn put_all(body: &mut Map<String, Value>, fields: &[(&str, Option<&str>)]) {
    for (name, value) in fields {
        if let Some(value) = value {
            body.insert((*name).to_owned(), Value::from(*value));
        }
    }
}

/// Two blanks of any kind beside each other end an account name in journals.
pub(crate) fn has_wide_gap(name: &str) -> bool {
    let blanks = name.chars().map(char::is_whitespace);
    blanks.clone().zip(blanks.skip(1)).any(|(one, next)| one && next)
}

/// Names that cannot be written into a journal and read back as the same name are refused when an
/// account is opened, so that every ledger can be exported.
pub fn check_account_name(name: &str) -> Result<(), Refusal> {
    let bad = has_wide_gap(name)
        || name.contains(" ;")
        || name.starts_with(['(', '[', '{', '*', '!', ';', '=', '~', '#', '@', '%', '|', '"', ':'])
        || name.ends_with([':', ')', ']'])
        || name.contains("::");
    if bad {
        let what = format!("account name {name:?}");
        return Err(Refusal::malformed("account_name_malformed", what)
            .field("account")
            .hint("Use names such as assets:bank:checking: no double blanks, no blank before a semicolon, no brackets or signs at the ends."));
    }
    Ok(())
}

/// Asset names stand in quotation marks in journals.
pub fn check_asset_name(name: &str) -> Result<(), Refusal> {
    if name.contains('"') {
        let what = format!("asset name {name:?}");
        return Err(Refusal::malformed("asset_name_malformed", what)
            .field("asset")
            .hint("Use names such as EUR, AAPL or HOURS, without quotation marks."));
    }
    Ok(())
}
