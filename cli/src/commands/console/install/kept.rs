//! The file as it was before a hook came into it, kept in the home, encrypted: settings often hold keys of services.

use super::files::{Change, replace};
use crate::commands::console::deliver;
use crate::exit::unwritable;
use crate::session::Session;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use vm_contracts::Failure;
use vm_ledger::clock::SystemEntropy;
use vm_ledger::openings::Aside;

/// Directory in the home.
const KEPT: &str = "hooks";
/// Bound into each box.
const WHAT: &str = "hooks";

/// What is kept of changed files.
pub struct Kept {
    home: PathBuf,
    aside: Aside,
}

impl Kept {
    /// What is kept so far; `None` where the home has no key yet, and so has kept nothing.
    pub fn load(session: &Session<'_>) -> Result<Option<Self>, Failure> {
        let loaded = session.loaded()?;
        let aside = Aside::load(&loaded.home, &loaded.settings().ledger)?;
        Ok(aside.map(|aside| Self { home: loaded.home, aside }))
    }

    /// The same, with a key made where the home has none.
    pub fn ready(session: &mut Session<'_>) -> Result<Self, Failure> {
        let loaded = session.loaded()?;
        let aside = deliver::aside(session)?;
        Ok(Self { home: loaded.home, aside })
    }

    /// Digest of a settings file that says nothing about keys in it.
    pub fn hash(&self, path: &Path, bytes: &[u8]) -> String {
        let path = path.display().to_string();
        vm_console::keyed::content(&self.aside.import_key(), &path, bytes)
    }

    /// Keeps what stood there before the first change. A second change keeps the first one's, unless somebody edited the
    /// file in between: then it is the edited file without what is ours in it, as `stood` has it.
    pub fn keep(&mut self, change: &Change, stood: Option<&[u8]>) -> Result<(), Failure> {
        let first = match (&change.before, self.read(&change.path)) {
            (Some(before), Some(kept)) if kept["after"] == after(before) => kept["before"].clone(),
            _ => stood.map_or(Value::Null, text),
        };
        let after = change.after.as_deref().map(after);
        let all = json!({"after": after, "before": first}).to_string();
        let sealed = self.aside.seal(WHAT, all.as_bytes(), &SystemEntropy);
        let file = self.file(&change.path);
        replace(&file, &sealed, Some(0o600))
            .map_err(|e| unwritable(&file.display().to_string(), &e))
    }

    /// What stood in the file before, if it is now as we left it. The inner `None` is: there was no file.
    pub fn before(&self, path: &Path, now: &[u8]) -> Option<Option<Vec<u8>>> {
        let kept = self.read(path)?;
        if kept["after"] != after(now) {
            return None;
        }
        match &kept["before"] {
            Value::Null => Some(None),
            value => bytes(value).map(Some),
        }
    }

    /// Nothing is to be restored any more.
    pub fn forget(&self, change: &Change) -> Result<(), Failure> {
        // One that stays is found to be of another state of the file, and not used.
        let _ = std::fs::remove_file(self.file(&change.path));
        Ok(())
    }

    fn read(&self, path: &Path) -> Option<Value> {
        let sealed = std::fs::read(self.file(path)).ok()?;
        let all = self.aside.open(WHAT, &sealed)?;
        serde_json::from_slice(&all).ok()
    }

    /// Named by a keyed digest of the path: a listing of the home says nothing about it.
    fn file(&self, path: &Path) -> PathBuf {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let key = self.aside.import_key();
        let name = vm_console::keyed::project_id(&key, whole.as_os_str().as_encoded_bytes());
        self.home.join(KEPT).join(name.replace(':', "-"))
    }
}

/// Digest of the bytes as they were left.
fn after(bytes: &[u8]) -> Value {
    vm_receipts::Blake3::of(bytes).to_string().into()
}

/// Settings are text; what is not stands as a list of its bytes.
fn text(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or_else(|_| json!(bytes), Value::from)
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        value => serde_json::from_value(value.clone()).ok(),
    }
}
