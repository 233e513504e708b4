//! Laws of the index: never another answer, whatever happened to its file, and queries that find what a scan finds.
#![allow(clippy::unwrap_used)]

mod book;
mod damage;
mod power;
mod queries;
