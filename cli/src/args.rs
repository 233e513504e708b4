//! The command line, built at run time: everything about engines comes out of their Spec tables.

pub mod console;
pub mod door;
pub mod example;
pub mod fields;
pub mod listing;
pub mod query;
pub mod tree;
pub mod work;

pub use tree::build;
