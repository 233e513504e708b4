//! The built program as the owner of a home, with real processes at a real socket.
//!
//! Nothing here waits for a time to pass: what is waited for is a socket, a line or an end.

#![allow(clippy::unwrap_used, reason = "a test may stop there")]

mod calls;
mod commands;
mod ends;
mod place;
mod socket;
