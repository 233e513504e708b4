//! Exports as C2SP logs: what is written, what is refused, and that a client in another language accepts them.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod client;
mod export;
mod fsck;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use vm_ledger::tiles::{Export, Exported};
use vm_ledger::{Ledger, Writer};
use vm_tests::memfs::{Files, MemoryFs};
use vm_tests::world::{keys, lay_out, many, outside, settings};

/// A ledger in memory.
struct Log {
    fs: Arc<MemoryFs>,
    ledger: Ledger,
    calls: u32,
    text: &'static str,
}

impl Log {
    /// An empty one, whose receipts will say this.
    fn new(text: &'static str) -> Self {
        let fs = Arc::new(MemoryFs::default());
        lay_out(&*fs);
        Self::over(fs, text, "n1")
    }

    fn over(fs: Arc<MemoryFs>, text: &'static str, node: &str) -> Self {
        let mut settings = settings();
        settings.node = node.to_owned();
        let writer = Writer::open(outside(fs.clone(), Arc::default(), 7), settings, keys());
        Self { fs, ledger: Ledger::new(writer.unwrap()), calls: 0, text }
    }

    /// The same home as it was with these files.
    fn with(files: Files) -> Self {
        Self::over(Arc::new(MemoryFs::with(files)), "again", "n1")
    }

    /// Appends until the scroll has this many receipts.
    fn grow(&mut self, size: u64) {
        while self.size() < size {
            self.calls += 1;
            let count = u32::try_from((size - self.size()).min(400)).unwrap();
            let id = format!("call-{}", self.calls);
            // The first call finds a scroll without its genesis.
            let count = if self.size() == 0 { count.saturating_sub(1).max(1) } else { count };
            self.ledger.submit(many(&id, self.text, count)).unwrap();
        }
    }

    fn size(&self) -> u64 {
        let heads = self.ledger.writer().heads();
        heads.iter().find(|h| h.scroll == "toy").map_or(0, |h| h.size)
    }

    fn export(&self, to: &Path) -> Exported {
        Export::prepare(&self.ledger, "toy", to)
            .unwrap()
            .write(&self.ledger, &mut |_, _, _| {})
            .unwrap()
    }

    /// The code and text of the refusal of an export.
    fn refused(&self, to: &Path) -> (String, String) {
        let before = tree(to);
        let failure = Export::prepare(&self.ledger, "toy", to).err().unwrap();
        assert_eq!(tree(to), before, "a refused export writes nothing");
        (failure.code().to_owned(), failure.to_string())
    }

    fn vkey(&self) -> String {
        self.ledger.writer().vkey("toy")
    }
}

/// All files below a directory.
fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(top: &Path, dir: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(top, &path, into);
            } else {
                let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
                into.insert(name, fs::read(path).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(dir, dir, &mut files);
    files
}
