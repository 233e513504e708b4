//! Laws of the tree, notes, proofs and queries, and the public vectors they must agree with.
#![allow(clippy::unwrap_used)]

mod common;
mod consistency;
mod notes;
mod proof_case;
mod proof_file;
mod query;
mod spec;
mod texts;
mod tiles;
mod tree;
mod trust;
mod vectors;
mod window;
