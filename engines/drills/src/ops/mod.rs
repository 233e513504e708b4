//! The operations, one file each, and the fields they share.

pub mod action_item;
pub mod approve;
pub mod drill;
pub mod resolve_item;
mod seal;

use vm_contracts::{Field, Kind, Moment, Refusal};

/// Most approvals of one drill.
pub const APPROVALS_MAX: usize = 64;
/// Longest id of a drill, a stage or an item, in bytes: that of calls and stages.
pub const ID_BYTES_MAX: usize = 64;
/// Longest text of people, in bytes.
pub const NOTE_BYTES_MAX: usize = 2_000;
/// How far a time that is told may lie after the ledger's clock: two clocks never agree.
pub const AHEAD_MS_MAX: i64 = 5 * 60 * 1000;
/// Words for how serious a subject is, as they stand in receipts.
pub const SEVERITY: Kind = Kind::Choice(&["unknown", "info", "low", "medium", "high", "critical"]);
/// Ids.
pub const ID: Kind = Kind::Name(ID_BYTES_MAX);
/// Where a drill is named.
pub const DRILL_ID: Field = Field::new("drill_id", ID, "id of the drill").filter();

/// Refuses a time that lies after the ledger's clock.
pub(crate) fn not_ahead(name: &str, told: Moment, at: Moment) -> Result<(), Refusal> {
    if told.unix_ms() - at.unix_ms() <= AHEAD_MS_MAX {
        return Ok(());
    }
    let what = format!("{name} {told} lies after the ledger's clock, {at}");
    Err(Refusal::invariant("from_future", what).field(name).hint("Record it when it has happened."))
}

/// A time of a checked intent.
pub(crate) fn moment(name: &str, text: &str) -> Result<Moment, Refusal> {
    Moment::parse(text)
        .map_err(|_| Refusal::malformed("wrong_type", format!("{name} must be a time")).field(name))
}
