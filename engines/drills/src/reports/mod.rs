//! The reports, one file each.

pub mod compare;
pub mod coverage;
pub mod findings;
pub mod list;

use vm_contracts::Moment;

/// A moment of the state as text.
pub(crate) fn moment_text(unix_ms: i64) -> Option<String> {
    Moment::from_unix_ms(unix_ms).map(|moment| moment.to_string())
}
