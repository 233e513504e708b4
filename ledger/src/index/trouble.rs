//! The first thing that went wrong with an index, for everybody who reads it.

use std::sync::OnceLock;

/// Set once and never cleared: an index that failed once is made again.
#[derive(Default)]
pub(super) struct Trouble(OnceLock<String>);

impl Trouble {
    /// Keeps what happened, if it is the first.
    pub(super) fn note(&self, what: &str) {
        let _ = self.0.set(what.to_owned());
    }

    /// What happened first.
    pub(super) fn first(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// In words: what happened first, else this.
    pub(super) fn or(&self, what: impl std::fmt::Display) -> String {
        self.first().map_or_else(|| what.to_string(), str::to_owned)
    }
}
