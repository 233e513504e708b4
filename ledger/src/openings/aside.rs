//! Boxes for what waits in a home outside the log: events that nobody could write yet, files as they stood before.
//!
//! They are closed under a key of the home by a process that does not own it, and reads nothing but that key. A box is
//! bound by `vm/openings/aside/v1`, ledger id and a word that says what it is for, with 0x00 between them.

use super::crypt;
use super::keys::{self, Keys};
use crate::clock::Entropy;
use crate::fs::Disk;
use std::path::Path;
use vm_contracts::Failure;
use zeroize::Zeroizing;

const PLACE: &str = "vm/openings/aside/v1";

/// Closes and opens boxes of one home.
pub struct Aside {
    keys: Keys,
    ledger: String,
}

impl Aside {
    /// Reads the key of a home; `None` where it has none, because it never kept a private value.
    ///
    /// # Errors
    /// `openings_key_unreadable`.
    pub fn load(home: &Path, ledger: &str) -> Result<Option<Self>, Failure> {
        // Nothing of the guard is read here.
        let disk = Disk::new(home, home.join("no-guard"));
        let keys = Keys::load(&disk)?;
        Ok(keys.map(|keys| Self { keys, ledger: ledger.to_owned() }))
    }

    /// The key under which names from elsewhere become ids of calls; the caller wipes it.
    pub fn import_key(&self) -> [u8; 32] {
        keys::bare(&self.keys.imports)
    }

    /// Closes a box for `what`, a word without 0x00.
    pub fn seal(&self, what: &str, content: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        crypt::close(&self.keys.aside, &self.place(what), content, entropy)
    }

    /// Opens a box; `None` where it is damaged, of another home, or for something else.
    pub fn open(&self, what: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        crypt::open(&self.keys.aside, &self.place(what), sealed)
    }

    fn place(&self, what: &str) -> Vec<u8> {
        crypt::place(&[PLACE, &self.ledger, what])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    fn aside(ledger: &str) -> Aside {
        Aside { keys: Keys::generate(&SystemEntropy), ledger: ledger.to_owned() }
    }

    #[test]
    fn a_box_opens_in_its_home_for_its_purpose_and_nowhere_else() {
        let mut mine = aside("one");
        let sealed = mine.seal("spool", b"rm -rf /tmp/x", &SystemEntropy);
        assert!(!sealed.windows(4).any(|w| w == b"/tmp"));
        assert_eq!(mine.open("spool", &sealed).unwrap().as_slice(), b"rm -rf /tmp/x");
        assert!(mine.open("hooks", &sealed).is_none());
        assert!(aside("one").open("spool", &sealed).is_none());
        let mut torn = sealed.clone();
        torn.pop();
        assert!(mine.open("spool", &torn).is_none());
        mine.ledger = "two".into();
        assert!(mine.open("spool", &sealed).is_none());
    }

    #[test]
    fn a_home_that_kept_nothing_has_no_key_and_none_is_made() {
        let home = tempfile::tempdir().unwrap();
        assert!(Aside::load(home.path(), "l").unwrap().is_none());
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
