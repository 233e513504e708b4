//! The two keys of a home: the issuer seals receipts, the log signs checkpoints. C2SP forbids one key for both.

use crate::clock::Entropy;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
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
    pub issuer: SecretKey,
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
        Self { issuer: draw(), log: draw() }
    }

    /// Writes both files (0600), synced; refuses to replace one.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        for (name, key) in [(ISSUER, &self.issuer), (LOG, &self.log)] {
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
        Ok(Self { issuer: load(&dir.join(ISSUER))?, log: load(&dir.join(LOG))? })
    }

    /// The log key as a C2SP vkey line for an origin.
    pub fn vkey(&self, origin: &str) -> String {
        Vkey::new(origin, self.log.public()).map(|v| v.to_string()).unwrap_or_default()
    }
}

fn load(path: &Path) -> Result<SecretKey, Failure> {
    let shown = path.display();
    let meta = fs::metadata(path).map_err(|e| {
        Fault::new("key_unreadable", format!("cannot read the key {shown}: {e}"))
            .hint("Put the key file back, or restore the home from a backup that holds its keys.")
    })?;
    if meta.permissions().mode() & 0o077 != 0 {
        let what = format!(
            "the key {shown} may be read by others (mode {:o})",
            meta.permissions().mode() & 0o777
        );
        return Err(Refusal::new("key_permissions", RefusalKind::NotAllowed, what)
            .hint(format!("Run: chmod 600 {shown}"))
            .into());
    }
    let text = fs::read_to_string(path)
        .map_err(|e| Fault::new("key_unreadable", format!("cannot read the key {shown}: {e}")))?;
    SecretKey::from_pem(&text).map_err(|_| {
        Fault::new("key_unreadable", format!("{shown} is not an Ed25519 key in PKCS#8 PEM")).into()
    })
}
