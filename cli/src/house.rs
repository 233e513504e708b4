//! The composition root: which engines this program hosts, one line each.

use vm_contracts::{AnyEngine, Hosted};

/// Every engine. What one of them needs from another is handed over here too, as ports.
pub static HOUSE: &[&dyn AnyEngine] = &[&Hosted::<vm_treasury::Treasury>::new()];
