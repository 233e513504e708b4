//! What the console writes for other programs and for people, one file each.

pub mod csv;
pub mod markdown;
pub mod otlp;

/// Said with every export that holds private texts.
pub(crate) const PRIVATE: &str =
    "the export holds private texts that this home can open: commands, paths, reasons";
