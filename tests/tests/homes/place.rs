//! Where the laws of this theme live: a home with fixed keys that somebody edits, and homes as people make them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use vm_contracts::{AnyEngine, Call, Engine, Failure, Hosted, Operations, OwnerGate};
use vm_ledger::audit::verify_home;
use vm_ledger::fs::{Disk, Fs};
use vm_ledger::guard::Signed;
use vm_ledger::{Answer, Ledger, Outside, Settings, Writer, home};
use vm_receipts::key::SecretKey;
use vm_receipts::line::{Line, Part, record_digests};
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::tree::{MemoryTree, leaf_hash};
use vm_scrolls::trust::Trust;
use vm_scrolls::verdict::{Outcome, Verdict};
use vm_tests::toy::{Drawer, Note, TOY, Tills, Toy, ToyState};
use vm_tests::world::{HandClock, SeededEntropy, keys, note, settings};

/// Receipts of the toy's scroll.
pub const LINES: &str = "receipts/toy/00000000000000000000.jsonl";
/// Its signed checkpoint.
pub const ROOT: &str = "ROOT.toy.txt";

/// A second engine, so that a ledger has two scrolls.
pub struct Twin;

impl Engine for Twin {
    const NAME: &'static str = "twin";
    const SCROLL: &'static str = "twin";
    const PREFIX: &'static str = "toy_";
    const ABOUT: &'static str = "The toy's note, in a scroll of its own";
    type State = ToyState;
    const OPERATIONS: &'static [Operations<ToyState>] = &[Operations::Record(&Note)];

    fn fold(state: &mut ToyState, line: &Line) {
        Toy::fold(state, line);
    }
}

static TWIN: Hosted<Twin> = Hosted::new();

/// Engines of these homes.
pub static ENGINES: [&'static dyn AnyEngine; 2] = [&TOY, &TWIN];

/// `twin note`.
pub fn twin(id: &str, text: &str) -> Call {
    Call { engine: "twin".into(), ..note(id, text) }
}

/// A home with fixed keys and a clock that stands still, open to whoever edits files.
pub struct Edited {
    dir: TempDir,
    pub clock: Arc<HandClock>,
    pub till: Arc<Drawer>,
}

impl Edited {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let edited = Self { dir, clock: Arc::default(), till: Arc::default() };
        for name in ["", "keys", "../guard"] {
            fs::create_dir_all(edited.path(name)).unwrap();
        }
        vm_ledger::lay_out(&*edited.disk(), &settings().ledger).unwrap();
        home::write_public_keys(&edited.path(""), &keys(), &settings(), &["toy", "twin"]).unwrap();
        edited
    }

    /// A home in which these notes were committed and published.
    pub fn with(ids: &[&str]) -> Self {
        let edited = Self::new();
        let ledger = edited.open();
        ids.iter().for_each(|id| drop(ledger.submit(note(id, id)).unwrap()));
        ledger.flush().unwrap();
        edited
    }

    /// The same, and then these, by a process that died before it published them.
    pub fn with_unpublished(ids: &[&str], more: &[&str]) -> Self {
        let edited = Self::with(ids);
        let ledger = edited.open();
        more.iter().for_each(|id| drop(ledger.submit(note(id, id)).unwrap()));
        edited
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("home").join(name)
    }

    /// A file of the guard directory.
    pub fn away(&self, name: &str) -> PathBuf {
        self.dir.path().join("guard").join(name)
    }

    pub fn disk(&self) -> Arc<dyn Fs> {
        Arc::new(Disk::new(self.path(""), self.away("")))
    }

    pub fn try_open(&self) -> Result<Ledger, Failure> {
        self.open_on(self.disk())
    }

    pub fn open_on(&self, fs: Arc<dyn Fs>) -> Result<Ledger, Failure> {
        let outside = Outside {
            fs,
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(7)),
            gate: Arc::new(OwnerGate),
            engines: &ENGINES,
            ports: Arc::new(Tills(self.till.clone())),
            shelving: None,
        };
        Writer::open(outside, settings(), keys()).map(Ledger::new)
    }

    pub fn open(&self) -> Ledger {
        self.try_open().unwrap()
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Replaces the first `from` in a file; it must be there.
    pub fn replace(&self, name: &str, from: &str, to: &str) {
        let text = String::from_utf8(self.read(name)).unwrap();
        assert!(text.contains(from), "{name} holds no {from}");
        self.write(name, text.replacen(from, to, 1));
    }

    /// The lines of the toy's scroll, without their ends.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        let bytes = self.read(LINES);
        let whole = bytes.split_inclusive(|b| *b == b'\n').filter(|l| l.ends_with(b"\n"));
        whole.map(|l| l[..l.len() - 1].to_vec()).collect()
    }

    pub fn parsed(&self) -> Vec<Line> {
        self.lines().iter().map(|l| Line::parse(l).unwrap()).collect()
    }

    pub fn kinds(&self) -> Vec<String> {
        self.parsed().into_iter().map(|l| l.kind).collect()
    }

    /// Appends a line that follows from those above it, changed by `change`, sealed with `key`.
    pub fn forge(&self, key: &SecretKey, change: impl FnOnce(&mut Line)) {
        let lines = self.lines();
        let mut line = Line::parse(lines.last().unwrap()).unwrap();
        let mut tree = MemoryTree::new();
        tree.extend(lines.iter().map(|l| leaf_hash(l)));
        line.seq = tree.size();
        line.prev.size = tree.size();
        line.prev.root = tree.root();
        line.part = Part { n: 1, of: 1 };
        line.issuer = key.did().to_owned();
        change(&mut line);
        (line.contract, line.state, line.root_hash) = record_digests(&line);
        let mut bytes = self.read(LINES);
        bytes.extend(line.seal(key).unwrap().bytes);
        bytes.push(b'\n');
        self.write(LINES, bytes);
    }

    /// Signs ROOT anew over whatever lines there are, as only the holder of the log key can.
    pub fn sign_root(&self) {
        let mut tree = MemoryTree::new();
        tree.extend(self.lines().iter().map(|l| leaf_hash(l)));
        let signed = Signed { size: tree.size(), root: tree.root() };
        let origin = settings().origin("toy");
        let checkpoint = Checkpoint { origin, size: signed.size, root: signed.root };
        self.write(ROOT, checkpoint.sign(&keys().log));
    }

    /// Keys for an auditor, from a text beside the home's trust file.
    pub fn trust(&self, more: &str) -> Trust {
        let text = String::from_utf8(self.read("keys/trust.txt")).unwrap();
        Trust::parse(&format!("{text}{more}")).unwrap()
    }

    /// Keys for an auditor who knows the toy's scroll only.
    pub fn trust_in_toy(&self) -> Trust {
        let vkey = keys().vkey(&settings().origin("toy"));
        Trust::parse(&format!("issuer {}\n{vkey}\n", keys().issuer.did())).unwrap()
    }

    pub fn verify_with(&self, trust: &Trust) -> Verdict {
        verify_home(&*self.disk(), trust, &mut |_, _, _| {})
    }

    pub fn verify(&self) -> Verdict {
        self.verify_with(&self.trust_in_toy())
    }

    /// Asserts that the home verifies.
    pub fn is_verified(&self) -> Verdict {
        let verdict = self.verify();
        assert_eq!(verdict.outcome, Outcome::Verified, "{}", verdict.summary);
        verdict
    }

    /// Asserts that verifying it contradicts this claim.
    pub fn is_tampered(&self, claim: &str) -> Verdict {
        let verdict = self.verify();
        assert_eq!(verdict.outcome, Outcome::Tampered, "{}", verdict.summary);
        assert_eq!(verdict.first_bad.as_ref().unwrap().claim, claim, "{}", verdict.summary);
        verdict
    }

    /// Every file of the home and of the guard directory.
    pub fn all(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        tree(self.dir.path())
    }
}

/// Every file below a directory with its bytes.
pub fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(tree(&entry.path())),
            false => drop(found.insert(entry.path(), fs::read(entry.path()).unwrap())),
        }
    }
    found
}

/// What `cp -a` does.
pub fn copy(from: &Path, to: &Path) {
    for (path, bytes) in tree(from) {
        let copied = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(copied.parent().unwrap()).unwrap();
        fs::write(&copied, bytes).unwrap();
        fs::set_permissions(&copied, fs::metadata(&path).unwrap().permissions()).unwrap();
    }
}

/// A directory in which people make homes; one guard directory for all of them.
pub struct Desk(TempDir);

impl Desk {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a home `one` that was just made.
    pub fn with_home() -> Self {
        let desk = Self::new();
        desk.init("one", "guard", &settings()).unwrap();
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn init(&self, home: &str, guard: &str, settings: &Settings) -> Result<(), Failure> {
        let entropy = SeededEntropy::new(4);
        home::init(&self.path(home), &self.path(guard), settings, &["toy", "twin"], &entropy)
    }

    pub fn try_open(&self, home: &str, settings: &Settings) -> Result<home::Owned, Failure> {
        let (home, guard) = (self.path(home), self.path("guard"));
        let gate = Arc::new(OwnerGate);
        home::open(&home, &guard, settings.clone(), &ENGINES, gate, Duration::ZERO)
    }

    pub fn open(&self, home: &str) -> home::Owned {
        self.try_open(home, &settings()).unwrap()
    }

    /// Verifies a home with the keys that it gives to auditors.
    pub fn verify(&self, home: &str) -> Verdict {
        let text = fs::read_to_string(self.path(home).join("keys/trust.txt")).unwrap();
        let disk = Disk::new(self.path(home), self.path("guard"));
        verify_home(&disk, &Trust::parse(&text).unwrap(), &mut |_, _, _| {})
    }
}

/// The code of what was refused.
pub fn code<T>(result: Result<T, Failure>) -> String {
    match result {
        Ok(_) => "none".into(),
        Err(failure) => failure.code().to_owned(),
    }
}

/// The line an answer carries.
pub fn line(answer: &Answer) -> Line {
    Line::parse(&answer.lines[0]).unwrap()
}

/// A settings with another node name.
pub fn named(node: &str) -> Settings {
    Settings { node: node.into(), ..settings() }
}
