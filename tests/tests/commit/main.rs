//! The commit loop against its neighbours: a second writer, sixteen callers, a clock that somebody sets, damaged lines.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod clock;
mod damage;
mod group;
mod race;
mod size;
