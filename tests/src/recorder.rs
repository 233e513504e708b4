//! What the built program asks of the disk, recorded with strace, replayed, and crashed at every step.
//!
//! The campaigns over `vm_tests::crashfs` see what goes through the ledger's own trait. This one sees the system calls,
//! so also what the standard library, the command line and a store on disk do. The trace becomes a list of [`Op`]s;
//! [`record`] keeps them with the home they began from; [`crash`] replays them on the crashing file system, writes
//! what a crash may leave into a scratch directory and opens it with the real code.

pub mod bugs;
pub mod campaign;
pub mod crash;
pub mod faults;
pub mod flow;
pub mod full;
pub mod loops;
pub mod order;
pub mod place;
pub mod record;
pub mod replay;
pub mod trace;

pub use flow::{Flow, Step};
pub use place::{Place, Said};
pub use record::{Recorded, Take, can_trace};
pub use trace::Op;
