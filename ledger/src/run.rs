//! Runs: work that takes steps, effects or people, from plan to case.
//!
//! ```text
//! plan            contract.json, handed to whoever asked; nothing is written
//! run             the contract is planned again and compared, then runs/<scroll>/<id>/ is made: contract.json,
//!                 state.json, outputs/; an operation with effects is claimed and carried out, once
//! complete-stage  a person says what came of a stage and which files it left; state.json moves on
//! abort           the run is given up; it is sealed all the same
//! seal            files are read back and compared, the receipt is committed, the folder moves to cases/
//! ```
//! While a run is open its folder is its truth; after the commit point the receipt is, and the folder's move is
//! finished by the next [`open`](crate::writer::Writer::open) if this process does not come to it. An effect therefore
//! always has its receipt: the claim is durable before the effect, and a claim whose executor is gone is sealed as
//! aborted, never carried out again.

mod case;
mod contract;
mod execute;
mod files;
mod open;
mod recover;
mod seal;
mod stage;

pub(crate) use case::Case;
pub use contract::Handed;
pub(crate) use files::fault as unreadable;
pub use files::{RunFolder, case_dir, run_dir};
pub use open::Opened;
pub use seal::Sealing;
pub(crate) use seal::artifact;
pub use stage::Attach;

use crate::writer::Writer;
use vm_contracts::{AnyEngine, Contract, Refusal, RunState, Shape, Spec};
use vm_receipts::digest::Blake3;

/// Member of an aborted receipt's body that says why.
pub const FAULT: &str = "fault";
/// Code of a run that a person gave up.
pub const BY_ACTOR: &str = "aborted_by_actor";
/// Code of a run whose executor went away.
pub const INTERRUPTED: &str = "interrupted";

/// A run as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Engine that planned it.
    pub engine: &'static str,
    /// Verb of the operation.
    pub verb: &'static str,
    /// The scroll it will be sealed in.
    pub scroll: &'static str,
    /// What was planned.
    pub contract: Contract,
    /// Digest of contract.json.
    pub digest: Blake3,
    /// How far it has come.
    pub state: RunState,
}

impl Run {
    /// Folder of the open run, relative to the home.
    pub fn dir(&self) -> String {
        run_dir(self.scroll, &self.contract.id)
    }
}

/// The engine, declaration and shape of an operation named as in a receipt: `drills.drill`.
pub(crate) fn operation(
    engines: &[&'static dyn AnyEngine],
    op: &str,
) -> Result<(&'static dyn AnyEngine, &'static Spec, Shape), Refusal> {
    let unknown = || {
        Refusal::not_found("unknown_operation", format!("no engine has the operation {op:?}"))
            .field("op")
    };
    let (name, verb) = op.split_once('.').ok_or_else(unknown)?;
    let engine = engines.iter().find(|e| e.name() == name).ok_or_else(unknown)?;
    let named = |s: &&'static Spec| s.verb.replace('-', "_") == verb;
    let spec = engine.operations().into_iter().find(named).ok_or_else(unknown)?;
    let shape = engine.shape(spec.verb).ok_or_else(unknown)?;
    Ok((*engine, spec, shape))
}

impl Writer {
    /// A run whose receipt is committed takes nothing more, wherever its folder stands.
    pub(crate) fn not_sealed(&self, run: &Run) -> Result<(), Refusal> {
        match self.scroll(run.scroll).group(&run.contract.id) {
            None => Ok(()),
            Some(_) => {
                let what = format!("run {} is sealed already", run.contract.id);
                Err(Refusal::conflict("already_sealed", what))
            }
        }
    }

    /// An engine by name, from this ledger's.
    pub(crate) fn engine(&self, name: &str) -> Result<&'static dyn AnyEngine, Refusal> {
        crate::ledger::find_engine(self.engines, name)
    }
}
