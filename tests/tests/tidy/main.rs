//! House rules that a compiler does not keep, as a plain test.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod layers;
mod lexer;
mod prose;
mod repo;
mod sources;
mod specs;
