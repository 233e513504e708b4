//! The composition root: which engines this program hosts, one line each.

use vm_contracts::{AnyEngine, Hosted};

/// Calls after which the example of every operation of an engine is accepted: verb and intent, in their order. Work of
/// people is carried through before the next call.
pub fn story(engine: &str) -> &'static [(&'static str, &'static str)] {
    match engine {
        "treasury" => vm_treasury::story::STORY,
        "drills" => vm_drills::story::STORY,
        _ => &[],
    }
}

/// What is said of each stage where the story or an example is carried through.
pub fn story_stage(engine: &str) -> Option<&'static str> {
    match engine {
        "drills" => Some(vm_drills::story::STAGE),
        _ => None,
    }
}

/// Every engine. What one of them needs from another is handed over here too, as ports.
pub static HOUSE: &[&dyn AnyEngine] =
    &[&Hosted::<vm_treasury::Treasury>::new(), &Hosted::<vm_drills::Drills>::new()];
