//! Foreign formats in and out: an importer reads bytes into calls, an exporter writes state and lines as text.

use crate::engine::History;
use crate::error::{Failure, Refusal};
use serde_json::{Map, Value};

/// Bytes to import and the name they came under.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// File name, for messages and for choosing a format by its ending.
    pub name: &'a str,
    /// Whole content.
    pub bytes: &'a [u8],
    /// A key of this home for the ids of imported calls. An id made of private values must be keyed: without the key
    /// nobody can test a guess against it.
    pub key: &'a [u8; 32],
}

/// One call that an import asks for.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Verb of the operation.
    pub verb: &'static str,
    /// Deterministic id: the same source gives the same ids, so a second import appends nothing.
    pub id: String,
    /// The intent.
    pub intent: Map<String, Value>,
    /// Tags of the receipts.
    pub tags: Vec<String>,
    /// Where in the source it came from: `line 12`.
    pub place: String,
}

/// What an import would do.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The calls, in order.
    pub calls: Vec<Planned>,
    /// What was read but has no receipt of its own, and why; shown to the user.
    pub notices: Vec<String>,
}

/// Reads one foreign format.
pub trait Importer<S>: Sync {
    /// Short name: `hledger`, `beancount`.
    fn format(&self) -> &'static str;
    /// One line for help.
    fn about(&self) -> &'static str;
    /// File name endings without the dot.
    fn endings(&self) -> &'static [&'static str];
    /// Turns the source into calls. Pure; a refusal names the line.
    fn read(&self, state: &S, source: Source<'_>) -> Result<Import, Refusal>;
}

/// What an exporter gives.
#[derive(Clone, Debug)]
pub struct Export {
    /// The text.
    pub text: String,
    /// What could not be said in this format.
    pub notices: Vec<String>,
}

/// Writes one foreign format.
pub trait Exporter<S>: Sync {
    /// Short name: `hledger`, `csv`.
    fn format(&self) -> &'static str;
    /// One line for help.
    fn about(&self) -> &'static str;
    /// Writes state and history as text.
    fn write(&self, state: &S, history: &mut dyn History) -> Result<Export, Failure>;
}
