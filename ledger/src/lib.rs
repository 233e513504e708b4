//! The only writer of a VaultMesh home.
//!
//! A call goes straight down through [`commit`]: gate, once, plan, seal, append, take in, sign, publish. The commit
//! point is one fdatasync; an answer leaves only after it, with a signed checkpoint. [`open`](writer::Writer::open)
//! recovers what a crash left, by the same function that takes committed lines in.
//!
//! Synchronous on purpose: one writer for each scroll, a pool that signs, no runtime.

mod acts;
pub mod audit;
pub mod backup;
pub mod clock;
pub mod commit;
pub mod disclose;
pub mod doctor;
pub mod fs;
pub mod fsck;
pub mod guard;
pub mod hashes;
pub mod heads;
mod hidden;
pub mod home;
pub mod index;
pub mod keys;
pub mod ledger;
pub mod lock;
mod open;
pub mod openings;
pub mod recover;
pub mod run;
pub mod scroll;
pub mod search;
pub mod segments;
pub mod shelf;
pub mod store;
pub mod tiles;
pub mod writer;

pub use disclose::{Reveal, Show};
pub use ledger::{AsOf, Ledger, Proven, Signing, dump, find_engine};
pub use open::lay_out;
pub use run::{Attach, Handed, Opened, Run, Sealing};
pub use writer::{Answer, Outside, Settings, Writer, root_path};
