//! One sealed act, byte for byte.
//!
//! This crate holds what a single receipt is made of: strict JSON and its canonical form (RFC 8785), digests, moments,
//! Ed25519 keys, the receipt line with its W3C Data Integrity proof, the digest of an intent, the Merkle tree of a case
//! bundle and the reserved form of private fields. `SPEC.md` beside it is the same in prose.
//!
//! It is pure: no clock, disk, network, randomness or threads. It does not know what a scroll is, so it cannot say that
//! a line is part of one: a line proves nothing without inclusion under a checkpoint.

mod base58;
pub mod bundle;
pub mod case;
pub mod digest;
mod hex;
pub mod integrity;
pub mod intent;
pub mod json;
pub mod key;
pub mod line;
pub mod moment;
pub mod private;

pub use serde_json::{Map, Value};

pub use digest::{Blake3, Sha256};
pub use json::{JsonError, JsonErrorKind};
pub use key::{PublicKey, SecretKey};
pub use line::{Context, End, Line, LineError, Part, Prev, Proof, Sealed};
pub use moment::Moment;
