//! Many receipts: the RFC 6962 tree, tiles, checkpoint notes, proofs and the query language.
//!
//! This crate is pure: it reads no clock, disk or network; time, keys and bytes come in as arguments.
//! It does not know who appends or stores; it says what the bytes must be and checks them. The formats
//! are in `SPEC.md` beside it.

pub mod base64;
pub mod checkpoint;
pub mod note;
pub mod proof;
pub mod query;
pub mod subtree;
pub mod tile;
pub mod tlog_proof;
pub mod tree;
pub mod trust;
pub mod verdict;
