//! Homes on a real disk: what stands beside them, what somebody did to their files, and what comes back from a backup.
//!
//! Each law here was once broken, or nearly: a test says what would have been lost.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod acts;
mod answers;
mod beside;
mod cases;
mod clock;
mod damage;
mod files;
mod place;
mod restored;
mod runs;
mod unfinished;
mod verdicts;
