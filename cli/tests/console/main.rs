//! The built program beside agents, repositories and other programs, with real processes: what hooks and the proxy
//! record, what is installed, what explains a commit, what is run and what is recorded.

#![allow(clippy::unwrap_used, reason = "a test may stop there")]

mod desk;
mod exec;
mod git;
mod git_odd;
mod hook;
mod hook_guard;
mod hook_install;
mod hook_place;
mod hook_proxy;
mod pages;
mod record;
