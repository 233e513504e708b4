//! The home key, what is derived from it, and the keyring that holds the wrapped page keys.
//!
//! `keys/openings.key` is one line: `vaultmesh-openings-key-1 <base64 of 32 bytes>`. Five keys are derived from it, each
//! with `blake3::derive_key` and a context of its own; the home key itself encrypts nothing.
//!
//! `openings/keyring` is canonical JSON and a line end: `{"keys":{"<scroll>/<first, 20 digits>":"<base64 of a box>"},"v":1}`.
//! Each box holds one 32-byte page key, bound to ledger and page. Taking an entry away shreds the page.
//!
//! The keyring is written, empty, right after the key: a home with a keyring has had a key. So a missing key is told
//! from one that was never needed, and never drawn anew over values that only the lost one opens. A key without a
//! keyring is one whose writing may not have come to its end; it is written again before it is used.

use super::crypt::{self, Key};
use super::{corrupt, read_failed};
use crate::clock::Entropy;
use crate::fs::{Fs, replace};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::collections::BTreeMap;
use std::io;
use vm_contracts::{Failure, Fault, Value};
use vm_receipts::json;
use zeroize::{Zeroize, Zeroizing};

/// File of the home key.
pub const OPENINGS_KEY: &str = "keys/openings.key";
/// File of the wrapped page keys.
pub const KEYRING: &str = "openings/keyring";

const HEADER: &str = "vaultmesh-openings-key-1 ";
const KEYRING_PLACE: &str = "vm/openings/keyring/v1";

/// Keys derived from the home key.
pub(super) struct Keys {
    home: Key,
    /// Wraps page keys.
    pub wrap: Key,
    /// Makes decoys.
    pub decoys: Key,
    /// Keys the ids of imports.
    pub imports: Key,
    /// Closes the openings of open runs.
    pub runs: Key,
    /// Closes what waits in the home outside the log.
    pub aside: Key,
}

impl Keys {
    fn new(home: Key) -> Self {
        let derive = |context| Zeroizing::new(blake3::derive_key(context, &*home));
        Self {
            wrap: derive("vaultmesh openings v1 wrap page keys"),
            decoys: derive("vaultmesh openings v1 decoys"),
            imports: derive("vaultmesh openings v1 import ids"),
            runs: derive("vaultmesh openings v1 open runs"),
            aside: derive("vaultmesh openings v1 aside"),
            home,
        }
    }

    /// A fresh home key, not yet written.
    pub(super) fn generate(entropy: &dyn Entropy) -> Self {
        Self::new(crypt::draw(entropy))
    }

    /// Reads the home key; `None` where there is no such file.
    pub(super) fn load(fs: &dyn Fs) -> Result<Option<Self>, Failure> {
        let bytes = match fs.read(OPENINGS_KEY) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(unreadable(format!("cannot read {OPENINGS_KEY}: {e}"))),
        };
        let home = parse(&bytes).ok_or_else(|| {
            unreadable(format!("{OPENINGS_KEY} is not a key of this kind, or was edited"))
        })?;
        Ok(Some(Self::new(home)))
    }

    /// Writes the home key so that it is there after a crash.
    pub(super) fn save(&self, fs: &dyn Fs) -> io::Result<()> {
        let mut text = Zeroizing::new(String::with_capacity(96));
        text.push_str(HEADER);
        STANDARD.encode_string(*self.home, &mut text);
        text.push('\n');
        replace(fs, OPENINGS_KEY, text.as_bytes())
    }
}

fn parse(bytes: &[u8]) -> Option<Key> {
    let text = bytes.strip_prefix(HEADER.as_bytes())?.strip_suffix(b"\n")?;
    key_of(&Zeroizing::new(STANDARD.decode(text).ok()?))
}

fn key_of(bytes: &[u8]) -> Option<Key> {
    let mut key = Zeroizing::new([0; 32]);
    (bytes.len() == 32).then(|| key.copy_from_slice(bytes))?;
    Some(key)
}

fn unreadable(what: String) -> Failure {
    Failure::Fault(Fault {
        retryable: false,
        ..Fault::new("openings_key_unreadable", what).hint(format!(
            "Put {OPENINGS_KEY} back from a backup that holds the keys; nothing else opens the private values."
        ))
    })
}

/// The home key is gone although private values were kept under it.
pub(super) fn missing() -> Failure {
    Failure::Fault(Fault {
        retryable: false,
        ..Fault::new(
            "openings_key_missing",
            format!("{OPENINGS_KEY} is missing, and private values were kept under it"),
        )
        .hint(format!(
            "Put {OPENINGS_KEY} back from a backup that holds the keys. To go on without the values already kept, move the folder openings away."
        ))
    })
}

/// Wrapped page keys by the name of their page.
#[derive(Default)]
pub(super) struct Keyring {
    /// As they stand in the file. Names this version does not know are kept as they are.
    boxes: BTreeMap<String, String>,
}

impl Keyring {
    /// Reads the keyring; `None` where there is none.
    pub(super) fn load(fs: &dyn Fs) -> Result<Option<Self>, Failure> {
        let bytes = match fs.read(KEYRING) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(read_failed(KEYRING, &e)),
        };
        Self::parse(&bytes).map(Some).map_err(|(at, what)| {
            corrupt(KEYRING, at, format!("the keyring of private values does not read: {what}"))
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, (u64, String)> {
        let text = bytes
            .strip_suffix(b"\n")
            .ok_or((bytes.len() as u64, "it does not end in a line end".to_owned()))?;
        let told = |e: vm_receipts::JsonError| (e.at as u64, e.to_string());
        json::check_canonical(text).map_err(told)?;
        let mut value = json::parse(text).map_err(told)?;
        let known = value.as_object().is_some_and(|o| o.len() == 2) && value["v"] == 1;
        let Some(keys) = value["keys"].as_object_mut().filter(|_| known) else {
            return Err((0, "it is not a keyring of version 1".into()));
        };
        let mut boxes = BTreeMap::new();
        for (page, sealed) in std::mem::take(keys) {
            let Value::String(sealed) = sealed else {
                return Err((0, format!("the entry {page} is no text")));
            };
            boxes.insert(page, sealed);
        }
        Ok(Self { boxes })
    }

    /// Replaces the file.
    pub(super) fn save(&self, fs: &dyn Fs) -> io::Result<()> {
        let all = json!({"keys": self.boxes, "v": 1});
        let mut bytes = json::canonical(&all).expect("only texts and the number 1");
        bytes.push(b'\n');
        replace(fs, KEYRING, &bytes)
    }

    /// Adds a fresh key for a page, in memory, and returns it.
    pub(super) fn add(&mut self, keys: &Keys, page: &Page<'_>, entropy: &dyn Entropy) -> Key {
        let key = crypt::draw(entropy);
        let sealed = crypt::close(&keys.wrap, &page.place(), &*key, entropy);
        self.boxes.insert(page.name(), STANDARD.encode(sealed));
        key
    }

    /// The key of a page; `None` where the keyring has none.
    pub(super) fn get(&self, keys: &Keys, page: &Page<'_>) -> Result<Option<Key>, Failure> {
        let Some(sealed) = self.boxes.get(&page.name()) else { return Ok(None) };
        let key = STANDARD
            .decode(sealed)
            .ok()
            .and_then(|sealed| crypt::open(&keys.wrap, &page.place(), &sealed))
            .and_then(|key| key_of(&key));
        match key {
            Some(key) => Ok(Some(key)),
            None => Err(corrupt(
                KEYRING,
                0,
                format!(
                    "the key of page {} does not open: the entry is damaged, or {OPENINGS_KEY} is that of another home",
                    page.name()
                ),
            )),
        }
    }
}

/// Names a page, for the keyring.
pub(super) struct Page<'a> {
    pub ledger: &'a str,
    pub scroll: &'a str,
    pub first: u64,
}

impl Page<'_> {
    fn name(&self) -> String {
        format!("{}/{:020}", self.scroll, self.first)
    }

    fn place(&self) -> Vec<u8> {
        let first = format!("{:020}", self.first);
        crypt::place(&[KEYRING_PLACE, self.ledger, self.scroll, &first])
    }
}

/// A copy of a key for a caller outside; the caller wipes it.
pub(super) fn bare(key: &Key) -> [u8; 32] {
    **key
}

/// A key from a caller outside; the caller's copy is wiped.
pub(super) fn taken(mut bytes: [u8; 32]) -> Key {
    let key = Zeroizing::new(bytes);
    bytes.zeroize();
    key
}
