//! The laws of the house, over every operation of every engine and of the toy.
//!
//! A new engine comes under them by standing in `vaultmesh::house::HOUSE`; what it needs besides its examples so that
//! each of its operations is accepted once stands in `stories.rs`.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod archive;
mod bench;
mod committed;
mod declared;
mod filters;
mod folding;
mod intents;
mod privates;
mod runs;
mod secrets;
mod stories;
