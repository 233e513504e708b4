//! The two keys of a home: the issuer seals receipts, the log signs checkpoints. C2SP forbids one key for both.

use crate::clock::Entropy;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use vm_contracts::{Failure, Fault, Refusal, RefusalKind};
use vm_receipts::key::SecretKey;
use vm_scrolls::note::Vkey;

/// File of the issuer key, PKCS#8 PEM.
pub const ISSUER: &str = "issuer.pem";
/// File of the log key, PKCS#8 PEM.
pub const LOG: &str = "log.pem";

/// Both signing keys. Neither is ever shown.
pub struct Keys {
    /// Seals receipts.
    pub issuer: Arc<SecretKey>,
    /// Signs checkpoints.
    pub log: SecretKey,
}

impl Keys {
    /// Two fresh keys.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let draw = || {
            let mut seed = [0u8; 32];
            entropy.fill(&mut seed);
            SecretKey::from_seed(seed)
        };
        Self { issuer: Arc::new(draw()), log: draw() }
    }

    /// Writes both files (0600), synced; refuses to replace one.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        for (name, key) in [(ISSUER, &*self.issuer), (LOG, &self.log)] {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(dir.join(name))?;
            file.write_all(key.to_pem().as_bytes())?;
            file.sync_all()?;
        }
        fs::File::open(dir)?.sync_all()
    }

    /// Reads both files; refuses keys that others on this machine could read.
    pub fn load(dir: &Path) -> Result<Self, Failure> {
        Ok(Self { issuer: Arc::new(load(&dir.join(ISSUER))?), log: load(&dir.join(LOG))? })
    }

    /// The log key as a C2SP vkey line for an origin.
    pub fn vkey(&self, origin: &str) -> String {
        Vkey::new(origin, self.log.public()).map(|v| v.to_string()).unwrap_or_default()
    }
}

/// Reads the key of a person who acts at this ledger; refuses one that others on this machine could read.
pub fn load_actor_key(path: &Path) -> Result<SecretKey, Failure> {
    load(path)
}

/// Makes such a key in a new file (0600), synced; gives its DID.
pub fn new_actor_key(path: &Path, entropy: &dyn Entropy) -> io::Result<String> {
    let mut seed = [0u8; 32];
    entropy.fill(&mut seed);
    let key = SecretKey::from_seed(seed);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key.to_pem().as_bytes())?;
    file.sync_all()?;
    Ok(key.did().to_owned())
}

/// Refuses a key file that others on this machine could read. A file that is not there is no key.
pub(crate) fn check_private(path: &Path) -> Result<(), Failure> {
    match fs::metadata(path) {
        Ok(meta) => Ok(for_owner_only(path, &meta)?),
        Err(_) => Ok(()),
    }
}

fn for_owner_only(path: &Path, meta: &fs::Metadata) -> Result<(), Refusal> {
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let shown = path.display();
    let what = format!("the key {shown} may be read by others (mode {mode:o})");
    Err(Refusal::new("key_permissions", RefusalKind::NotAllowed, what)
        .hint(format!("Run: chmod 600 {shown}")))
}

fn load(path: &Path) -> Result<SecretKey, Failure> {
    let shown = path.display();
    let meta = fs::metadata(path).map_err(|e| {
        Fault::new("key_unreadable", format!("cannot read the key {shown}: {e}"))
            .hint("Put the key file back, or restore the home from a backup that holds its keys.")
    })?;
    for_owner_only(path, &meta)?;
    let text = fs::read_to_string(path)
        .map_err(|e| Fault::new("key_unreadable", format!("cannot read the key {shown}: {e}")))?;
    SecretKey::from_pem(&text).map_err(|_| {
        Fault::new("key_unreadable", format!("{shown} is not an Ed25519 key in PKCS#8 PEM")).into()
    })
}
