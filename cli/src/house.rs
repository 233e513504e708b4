//! The composition root: which engines this program hosts, one line each.

use vm_contracts::{AnyEngine, Hosted};

/// Calls after which the example of every operation of an engine is accepted: verb and intent, in their order.
pub fn story(engine: &str) -> &'static [(&'static str, &'static str)] {
    match engine {
        "treasury" => vm_treasury::story::STORY,
        _ => &[],
    }
}

/// Every engine. What one of them needs from another is handed over here too, as ports.
pub static HOUSE: &[&dyn AnyEngine] = &[&Hosted::<vm_treasury::Treasury>::new()];
