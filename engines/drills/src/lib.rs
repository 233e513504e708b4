//! Drills engine: security exercises from runbooks, stage by stage, and what was seen or missed.
//!
//! A drill begins with a runbook, given or found by a prompt, and becomes a contract of stages. People carry the stages
//! out and say what became of each; sealing works out what that comes to. Stages that need rights or could do harm wait
//! for another person's approval, in a window.
//!
//! The engine never executes anything: commands of a runbook are text in the contract.

pub mod approval;
pub mod attack;
pub mod catalogue;
pub mod export;
pub mod ops;
pub mod outcome;
pub mod reports;
pub mod runbook;
pub mod state;
pub mod story;
pub mod yaml;

#[cfg(test)]
mod flows;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;

use vm_contracts::{AnyReport, Engine, Exporter, Line, Operations};

use state::State;

/// The drills.
pub struct Drills;

impl Engine for Drills {
    const NAME: &'static str = "drills";
    const SCROLL: &'static str = "drills";
    const PREFIX: &'static str = "drill_";
    const ABOUT: &'static str = "Security exercises from runbooks, and what was seen or missed";
    type State = State;
    const OPERATIONS: &'static [Operations<State>] = &[
        Operations::Staged(&ops::drill::Drill),
        Operations::Record(&ops::approve::Approve),
        Operations::Record(&ops::action_item::ActionItem),
        Operations::Record(&ops::resolve_item::ResolveItem),
    ];
    const REPORTS: &'static [&'static dyn AnyReport<State>] = &[
        &reports::list::List,
        &reports::compare::Compare,
        &reports::coverage::Coverage,
        &reports::findings::Findings,
    ];
    const EXPORTERS: &'static [&'static dyn Exporter<State>] = &[
        &export::navigator::Navigator { format: "navigator", domain: "enterprise-attack" },
        &export::navigator::Navigator { format: "navigator-ics", domain: "ics-attack" },
        &export::markdown::Markdown,
    ];

    fn fold(state: &mut State, line: &Line) {
        state.fold(line);
    }
}
