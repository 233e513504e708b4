//! The reports, one file each.

pub mod approvals;
pub mod blame;
pub mod costs;
pub mod explain;
pub mod replay;
pub mod search;
pub mod sessions;
pub mod unpaired;

mod told;

use vm_contracts::{Moment, Term};

pub(crate) use told::told;

/// Most rows if a question does not say.
pub(crate) const ROWS: usize = 1_000;

/// A moment of the state as text.
pub(crate) fn moment_text(unix_ms: i64) -> Option<String> {
    Moment::from_unix_ms(unix_ms).map(|moment| moment.to_string())
}

/// An equality that lines must satisfy.
pub(crate) fn term(field: &str, value: &str) -> Term {
    Term { field: field.to_owned(), value: value.to_owned() }
}

/// A time of a checked question.
pub(crate) fn time_ms(text: Option<&str>) -> Option<i64> {
    Some(Moment::parse(text?).ok()?.unix_ms())
}
