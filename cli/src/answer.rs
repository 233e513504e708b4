//! How answers look, for a person and for a program.

pub mod call;
pub mod finding;
pub mod receipt;
pub mod report;
pub mod run;
pub mod verdict;
