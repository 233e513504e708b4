//! Console engine: what a coding agent ran and changed, who approved it, and whether a commit matches.
//!
//! A session is a conversation with an agent. What it ran, edited and called is recorded by whoever saw it: a hook, a
//! proxy, a wrapper, or a transcript that is read afterwards; each receipt says which. A commit is compared file by file
//! with the edits of all sessions: a file is explained by an edit that left this very content at this very path.
//!
//! The engine reads no file and runs nothing. Paths, commands and texts are private; what state needs of them is keyed
//! ([`keyed`]).

pub mod explain;
pub mod export;
pub mod keyed;
pub mod ops;
pub mod policy;
pub mod read;
pub mod reports;
pub mod secrets;
pub mod state;
pub mod story;

#[cfg(test)]
mod flows;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;

use vm_contracts::{AnyReport, Engine, Exporter, Importer, Line, Operations};

use state::State;

/// The console.
pub struct Console;

impl Engine for Console {
    const NAME: &'static str = "console";
    const SCROLL: &'static str = "console";
    const PREFIX: &'static str = "console_";
    const ABOUT: &'static str = "What coding agents ran and changed, and whether a commit matches";
    type State = State;
    const OPERATIONS: &'static [Operations<State>] = &[
        Operations::Record(&ops::session_start::SessionStart),
        Operations::Record(&ops::session_end::SessionEnd),
        Operations::Record(&ops::command::Command),
        Operations::Record(&ops::file_edit::FileEdit),
        Operations::Record(&ops::tool_call::ToolCall),
        Operations::Record(&ops::approval::ApprovalStep),
        Operations::Record(&ops::git_commit::GitCommit),
        Operations::Record(&ops::agent_spawn::AgentSpawn),
        Operations::Record(&ops::gap::Gap),
        Operations::Record(&ops::install::Installation),
        Operations::Operation(&ops::evidence::Evidence),
    ];
    const REPORTS: &'static [&'static dyn AnyReport<State>] = &[
        &reports::sessions::Sessions,
        &reports::replay::Replay,
        &reports::blame::Blame,
        &reports::approvals::Approvals,
        &reports::explain::Explain,
        &reports::costs::Costs,
        &reports::unpaired::Unpaired,
        &reports::search::Search,
    ];
    const EXPORTERS: &'static [&'static dyn Exporter<State>] =
        &[&export::csv::Csv, &export::markdown::Markdown, &export::otlp::Otlp];
    const IMPORTERS: &'static [&'static dyn Importer<State>] = read::IMPORTERS;

    fn fold(state: &mut State, line: &Line) {
        state.fold(line);
    }
}
