//! The drills as text of other tools.

pub mod markdown;
pub mod navigator;
