//! What an engine promises, in types.
//!
//! An engine turns intents into receipts. This crate holds the declaration of its operations ([`Spec`]),
//! the shape of its code ([`Record`], [`Report`], [`Engine`]), the state it folds ([`Projection`], [`Table`]),
//! who may act ([`Gate`]), and the four kinds of error ([`Failure`]).
//!
//! It does no IO: time, chance, disk and keys are arguments, so every promise can be tested as a plain function.

pub mod call;
pub mod contract;
pub mod edge;
pub mod engine;
pub mod error;
pub mod exchange;
pub mod gate;
pub mod port;
pub mod spec;
pub mod state;
pub mod veil;
pub mod work;

pub use call::{Actor, Call};
pub use contract::{
    Contract, Output, Plan, RunState, RunView, Stage, StageDone, StageState, Status,
};
pub use engine::{
    AnyEngine, AnyRecord, AnyReport, AnyState, Asked, Draft, Engine, History, Hosted, Operations,
    Record, Report, Term,
};
pub use error::{Corrupt, Failure, Fault, Lost, Refusal, RefusalKind};
pub use exchange::{
    Export, Exporter, Feed, Import, Importer, NoPlaces, Place, Places, Planned, Sink, Source,
    Streaming,
};
pub use gate::{Authority, Gate, OwnerGate};
pub use port::{NoPorts, Outputs, Port, PortSource, Ports};
pub use spec::{Field, Kind, Presence, Spec};
pub use state::{Base, Change, Entries, Key, Part, Projection, Slot, Table};
pub use work::{AnyOperation, AnyStaged, Operation, Shape, Staged};

pub use vm_receipts::line::Line;
pub use vm_receipts::moment::Moment;
pub use vm_receipts::{Map, Value};
