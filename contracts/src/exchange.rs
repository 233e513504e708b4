//! Foreign formats in and out: an importer reads bytes into calls, an exporter writes state and lines as text.

use crate::engine::History;
use crate::error::{Failure, Refusal};
use serde_json::{Map, Value};
use std::io::BufRead;
use vm_receipts::moment::Moment;

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
    /// The form for sources of any size, if this format has one.
    fn streaming(&self) -> Option<&dyn Streaming<S>> {
        None
    }
}

/// An importer that reads its source piece by piece, so that memory does not grow with it.
pub trait Streaming<S> {
    /// Reads to the end, and gives calls to the sink on the way. What is wrong with a part of the source is a notice;
    /// a failure ends the import.
    fn stream(
        &self,
        feed: Feed<'_>,
        input: &mut dyn BufRead,
        sink: &mut dyn Sink<S>,
    ) -> Result<(), Failure>;
}

/// What a streaming import knows besides the bytes.
#[derive(Clone, Copy)]
pub struct Feed<'a> {
    /// File name, for messages.
    pub name: &'a str,
    /// As [`Source::key`].
    pub key: &'a [u8; 32],
    /// The ledger's clock at the beginning: what a source says of times after it cannot be so.
    pub now: Moment,
    /// Where directories that a source names are on this machine.
    pub places: &'a dyn Places,
}

/// Where calls of a streaming import go.
pub trait Sink<S: ?Sized> {
    /// Shows the state, with every call taken before in it.
    fn look(&mut self, ask: &mut dyn FnMut(&S)) -> Result<(), Failure>;
    /// Takes a call. Whether it was refused is told at the end; a failure means that no more calls are taken.
    fn take(&mut self, planned: Planned) -> Result<(), Failure>;
    /// So many calls of the source are in the ledger already, by another observer.
    fn known(&mut self, calls: u64);
    /// Something was read that has no receipt of its own; shown to the user.
    fn notice(&mut self, notice: String);
}

/// Finds the directories that a source names.
pub trait Places {
    /// Where an absolute directory is, if it is on this machine and in a project.
    fn find(&self, directory: &str) -> Option<Place>;
}

/// A directory of a project on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What names the project: the top of its main work tree.
    pub project: String,
    /// The top of the work tree that the directory is in.
    pub top: String,
    /// The directory itself, symbolic links followed.
    pub directory: String,
}

/// A machine on which nothing is found.
pub struct NoPlaces;

impl Places for NoPlaces {
    fn find(&self, _directory: &str) -> Option<Place> {
        None
    }
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
