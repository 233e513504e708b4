//! Openings of private values: what a digest in a receipt stands for, encrypted, outside the log, and erasable.
//!
//! A private value never stands in a receipt, only its salted digest (RFC 9901). Salt, name and value are kept here as
//! a record {seq, digest, disclosure}, in pages of 4,096 receipts. A page is a file of encrypted frames under a key of
//! its own; the page keys lie wrapped in one keyring; the home key that wraps them lies with the other keys. Files that
//! are private lie beside, each under a key of its own that stands in the page of its receipt.
//!
//! ```text
//! keys/openings.key                            the home key
//! openings/keyring                             the page keys, wrapped
//! openings/<scroll>/<first, 20 digits>.page    frames: u32 BE length ‖ nonce 24 ‖ ciphertext ‖ tag 16
//! openings/<scroll>/files/<id>/<name>          private files, in chunks
//! runs/<scroll>/<id>/openings                  those of a run that has no receipt yet: one box
//! ```
//!
//! All boxes are XChaCha20-Poly1305 and bound to their place: a frame by `vm/openings/v1`, ledger id, scroll, first
//! sequence number (20 digits) and byte offset (decimal), with 0x00 between them; see `openings/keys.rs` and
//! `openings/files.rs` for the others. The content of a frame is a canonical JSON list of
//! `{"digest","disclosure","file"?:{"id","key","name"},"seq"}`. All records of one call carry the sequence number of
//! the call's first line, so they stand in that line's page, in one frame.
//!
//! **Order.** Openings are durable before the lines that need them. A crash between the two leaves *orphans*: records
//! of a call that was never committed, whose sequence number another call gets later. They do no harm:
//! [`of`](Openings::of) gives the records of the last append for a number. A crash within an append leaves a tear, which the
//! next append sets aside in `quarantine/`.
//!
//! **Decoys are derived, not recorded.** In place of an absent private value stands the digest of a keyed hash of its
//! place: base64url(SHA-256(base64url(BLAKE3-keyed(decoy key, scroll 0x00 id 0x00 name)))). Without the key nobody can
//! tell it from the digest of a value, because both are SHA-256 of a text with 256 unknown bits; with the key it is
//! computed again. So a call without any private value writes nothing here and pays no second sync.
//!
//! **Erasure** comes later; the form allows it. A page is rewritten without a record under a new key: the keyring first
//! gains the new key under `<page>.next`, then the page is replaced, then the keyring's entry; both are replaced whole,
//! so at each moment one of the two keys opens the page. Names in the keyring that are not known are kept. What a tear
//! left in quarantine is under the old key and unreadable with it.
//!
//! What this does not do: hide how many private values a page holds and how long they are, or notice that the newest
//! frames of a page were taken away whole. The digest in the receipt tells that something is missing.

mod append;
mod aside;
mod check;
mod crypt;
mod files;
mod keys;
mod page;
mod runs;
#[cfg(test)]
mod tests;

use crate::clock::Entropy;
use crate::fs::{Fs, make_dir};
use crate::recover::{NO_SPACE, is_full};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keys::{Keyring, Keys};
use page::{Binding, Damage, Frame};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;
use vm_contracts::{Corrupt, Failure, Fault, Lost, Refusal};
use vm_receipts::private::disclosure_digest;
use vm_receipts::{Blake3, Sha256};
use zeroize::Zeroize;

pub use aside::Aside;
pub use check::Flaw;
pub use keys::{KEYRING, OPENINGS_KEY};

/// Receipts of one page.
pub const PAGE_RECEIPTS: u64 = 4_096;
/// Pages whose frames are remembered; where they lie, not what they hold.
const PAGES_MAX: usize = 16;
/// Longest name of a scroll, call or file in a path here.
const NAME_MAX: usize = 128;

/// What opens one digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    /// Sequence number of the first line of the call.
    pub seq: u64,
    /// The digest in the line.
    pub digest: String,
    /// The RFC 9901 disclosure: salt, name and value.
    pub disclosure: String,
    /// The private file the value speaks of.
    pub file: Option<FileKey>,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({}, {}, …)", self.seq, self.digest)
    }
}

/// Opens one private file.
#[derive(Clone, PartialEq, Eq)]
pub struct FileKey {
    /// The call the file belongs to.
    pub id: String,
    /// Its name under `openings/<scroll>/files/<id>/`; it says nothing about the content.
    pub name: String,
    /// The key it is encrypted under.
    pub key: [u8; 32],
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileKey({}/{}, …)", self.id, self.name)
    }
}

impl Drop for FileKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// A private file that was written. Size and digests are of the plain bytes; without a salt they are as private.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedFile {
    /// Where it is and what opens it; belongs into the opening of the file's digest.
    pub key: FileKey,
    /// Plain bytes.
    pub size: u64,
    /// SHA-256 of the plain bytes.
    pub sha256: Sha256,
    /// BLAKE3 of the plain bytes.
    pub blake3: Blake3,
}

impl fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedFile({:?})", self.key)
    }
}

/// What became of an append.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All records are on the disk.
    Yes,
    /// Nothing was written, and the same would fail again as it is.
    Failed(Failure),
    /// There was no space; nothing of these records is there.
    Full(String),
    /// A write or sync was not confirmed. It is not tried again: nothing here works from now on, and the caller stops.
    Unknown(String),
}

/// A page that has been walked through.
struct Page {
    path: String,
    binding: Binding,
    frames: Vec<Frame>,
    damage: Vec<Damage>,
    end: u64,
    len: u64,
}

/// All openings of a home. It has one owner, like the lines.
pub struct Openings {
    fs: Arc<dyn Fs>,
    entropy: Arc<dyn Entropy>,
    ledger: String,
    keys: Option<Keys>,
    keyring: Option<Keyring>,
    /// Most recently used last.
    pages: Vec<Page>,
    /// Pages this process may append to: their bytes are known to be on the disk.
    settled: BTreeSet<String>,
    /// Directories whose names are known to be on the disk.
    made: BTreeSet<String>,
    /// Why nothing may be done any more.
    stopped: Option<String>,
}

impl Openings {
    /// The openings of this ledger's home. Reads nothing yet.
    pub fn new(fs: Arc<dyn Fs>, entropy: Arc<dyn Entropy>, ledger: &str) -> Self {
        Self {
            fs,
            entropy,
            ledger: ledger.to_owned(),
            keys: None,
            keyring: None,
            pages: Vec::new(),
            settled: BTreeSet::new(),
            made: BTreeSet::new(),
            stopped: None,
        }
    }

    /// Whether the home has a key for openings; one without private values has none.
    pub fn has_key(&self) -> bool {
        self.keys.is_some() || self.fs.len(OPENINGS_KEY).is_ok_and(|len| len.is_some())
    }

    /// Reads the home key, or makes it where it was never needed before; durable when `Ok`.
    ///
    /// # Errors
    /// `openings_key_missing` where values were kept under a key that is gone; `openings_key_unreadable`; `no_space`;
    /// `Lost` where a write was not confirmed.
    pub fn ensure_key(&mut self) -> Result<(), Failure> {
        self.usable()?;
        if self.keys.is_some() && self.keyring.is_some() {
            return Ok(());
        }
        let fs = self.fs.clone();
        let (keys, keyring) = (Keys::load(&*fs)?, Keyring::load(&*fs)?);
        let (keys, keyring) = match (keys, keyring) {
            (Some(keys), Some(keyring)) => (keys, keyring),
            (None, Some(_)) => return Err(keys::missing()),
            (keys, None) => {
                // Without any trace of values there is nothing a fresh key could lock out.
                let traces = fs.list("openings").map_err(|e| read_failed("openings", &e))?;
                let keys = match keys {
                    // The keyring is written before anything that needs it.
                    Some(_) if traces.iter().any(|name| !name.starts_with("keyring")) => {
                        return Err(no_page_key("openings"));
                    }
                    Some(keys) => keys,
                    None if !traces.is_empty() => return Err(keys::missing()),
                    None => Keys::generate(&*self.entropy),
                };
                let keyring = Keyring::default();
                self.write_keys(&keys, &keyring).map_err(|e| self.no_key(&e))?;
                (keys, keyring)
            }
        };
        (self.keys, self.keyring) = (Some(keys), Some(keyring));
        Ok(())
    }

    /// The key first: a keyring says that the key is on the disk.
    fn write_keys(&mut self, keys: &Keys, keyring: &Keyring) -> io::Result<()> {
        self.make_dir_once("keys")?;
        keys.save(&*self.fs)?;
        self.make_dir_once("openings")?;
        keyring.save(&*self.fs)
    }

    fn no_key(&mut self, e: &io::Error) -> Failure {
        let what = format!("cannot write {OPENINGS_KEY} and {KEYRING}: {e}");
        match is_full(e) {
            true => Fault::new(NO_SPACE, what).into(),
            false => self.stop(what),
        }
    }

    fn stop(&mut self, why: String) -> Failure {
        let message = self.stopped.get_or_insert(why).clone();
        Failure::Lost(Lost { message })
    }

    fn usable(&self) -> Result<(), Failure> {
        match &self.stopped {
            Some(why) => {
                Err(Failure::Lost(Lost { message: format!("private values stopped: {why}") }))
            }
            None => Ok(()),
        }
    }

    fn make_dir_once(&mut self, dir: &str) -> io::Result<()> {
        if !self.made.contains(dir) {
            make_dir(&*self.fs, dir)?;
            self.made.insert(dir.to_owned());
        }
        Ok(())
    }

    fn derived(&mut self) -> Result<&Keys, Failure> {
        self.ensure_key()?;
        Ok(self.keys.as_ref().expect("ensured above"))
    }

    /// A fresh salt: 32 random bytes.
    pub fn salt(&self) -> [u8; 32] {
        let mut salt = [0; 32];
        self.entropy.fill(&mut salt);
        salt
    }

    /// The digest that stands for an absent private value; always the same for one place.
    pub fn decoy(&mut self, scroll: &str, id: &str, name: &str) -> Result<String, Failure> {
        [scroll, id].into_iter().try_for_each(check_name)?;
        let key = &self.derived()?.decoys;
        let place = [scroll, id, name].join("\0");
        let hidden = blake3::keyed_hash(key, place.as_bytes());
        Ok(disclosure_digest(&URL_SAFE_NO_PAD.encode(hidden.as_bytes())))
    }

    /// The key under which names from elsewhere become ids of calls.
    pub fn import_key(&mut self) -> Result<[u8; 32], Failure> {
        Ok(keys::bare(&self.derived()?.imports))
    }

    /// Reads home key and keyring without making them.
    fn read_keys(&mut self) -> Result<(), Failure> {
        self.usable()?;
        if self.keys.is_none() {
            self.keys = Some(Keys::load(&*self.fs)?.ok_or_else(keys::missing)?);
        }
        if self.keyring.is_none() {
            self.keyring = Keyring::load(&*self.fs)?;
        }
        Ok(())
    }

    /// Index of a page among those remembered; walks through it where it is not.
    fn load(&mut self, scroll: &str, first: u64) -> Result<usize, Failure> {
        let path = page::path(scroll, first);
        if let Some(at) = self.pages.iter().position(|page| page.path == path) {
            let page = self.pages.remove(at);
            self.pages.push(page);
            return Ok(self.pages.len() - 1);
        }
        let binding = self.binding(scroll, first)?;
        let walked = page::walk(&*self.fs, &path, &binding).map_err(|e| read_failed(&path, &e))?;
        if self.pages.len() >= PAGES_MAX {
            self.pages.remove(0);
        }
        let page::Walked { frames, damage, end, len, .. } = walked;
        self.pages.push(Page { path, binding, frames, damage, end, len });
        Ok(self.pages.len() - 1)
    }

    fn binding(&mut self, scroll: &str, first: u64) -> Result<Binding, Failure> {
        self.read_keys()?;
        let ledger = self.ledger.clone();
        let page = keys::Page { ledger: &ledger, scroll, first };
        let keys = self.keys.as_ref().expect("read above");
        let key = match &self.keyring {
            Some(keyring) => keyring.get(keys, &page)?,
            None => None,
        };
        match key {
            Some(key) => Ok(Binding { ledger, scroll: scroll.to_owned(), first, key }),
            None => Err(no_page_key(&page::path(scroll, first))),
        }
    }

    /// The records of the call whose first line has this number, in the order they were appended, each digest once.
    ///
    /// They are those of the last append for this number, which is the call that was committed, if one was. None at all
    /// is no error; whether any must be there, the line says.
    ///
    /// # Errors
    /// `openings_key_missing` and `openings_page_key_missing`; `Corrupt` where nothing was found and a frame of the page
    /// does not open, so that it may have been there.
    pub fn of(&mut self, scroll: &str, first_seq: u64) -> Result<Vec<Opening>, Failure> {
        self.usable()?;
        check_name(scroll)?;
        let first = page::first_of(first_seq);
        let path = page::path(scroll, first);
        if self.fs.regular(&path).map_err(|e| read_failed(&path, &e))?.unwrap_or(0) == 0 {
            return Ok(Vec::new());
        }
        let at = self.load(scroll, first)?;
        let page = &self.pages[at];
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        // One frame holds all records of a call. Earlier ones of this number belong to calls that were never committed,
        // and an equal value in them would be taken for that of the receipt.
        if let Some(frame) = page.frames.iter().rfind(|f| f.seqs.contains(&first_seq)) {
            let records = page::read(&*self.fs, &path, &page.binding, frame)
                .map_err(|e| read_failed(&path, &e))?
                .ok_or_else(|| {
                    corrupt(&path, frame.at, "a frame changed while it was in use".into())
                })?;
            let ours = records.into_iter().filter(|r| r.seq == first_seq);
            found.extend(ours.filter(|r| seen.insert(r.digest.clone())));
        }
        match page.damage.first() {
            Some(damage) if found.is_empty() => {
                Err(corrupt(&path, damage.at, damage.what.to_owned()))
            }
            _ => Ok(found),
        }
    }
}

/// Names that become parts of paths: letters, digits, dot, underscore and dash, and a letter or digit first.
fn check_name(name: &str) -> Result<(), Failure> {
    let fits = !name.is_empty() && name.len() <= NAME_MAX;
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    match fits && plain && name.as_bytes()[0].is_ascii_alphanumeric() && name != "keyring" {
        true => Ok(()),
        false => Err(Refusal::malformed(
            "bad_name",
            format!("{name:?} cannot be part of a path of private values"),
        )
        .into()),
    }
}

fn corrupt(file: &str, byte: u64, claim: String) -> Failure {
    Failure::Corrupt(Corrupt {
        file: file.to_owned(),
        line: None,
        byte: Some(byte),
        claim,
        hint: Some(
            "Nothing was changed. Put the file back from a backup; the receipts are not touched by this."
                .into(),
        ),
    })
}

fn read_failed(path: &str, e: &io::Error) -> Failure {
    Fault::new("read_failed", format!("cannot read {path}: {e}")).into()
}

fn write_failed(path: &str, e: &io::Error) -> Failure {
    let code = if is_full(e) { NO_SPACE } else { "write_failed" };
    Fault::new(code, format!("cannot write {path}: {e}")).into()
}

fn no_page_key(path: &str) -> Failure {
    Failure::Fault(Fault {
        retryable: false,
        ..Fault::new(
            "openings_page_key_missing",
            format!("{KEYRING} holds no key for {path}, so its values cannot be read"),
        )
        .hint(format!(
            "Put {KEYRING} back, if there is a copy. To go on without the values of this page, move its file away."
        ))
    })
}
