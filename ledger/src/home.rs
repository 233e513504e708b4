//! A home on the real disk: making one, and owning one.

use crate::clock::{Entropy, SystemClock, SystemEntropy};
use crate::fs::Disk;
use crate::guard::SIGNED_STATE;
use crate::keys::{Keys, check_private};
use crate::ledger::Ledger;
use crate::lock::Lock;
use crate::open::lay_out;
use crate::openings::OPENINGS_KEY;
use crate::shelf::{INDEX_AFTER, Shelving};
use crate::writer::{Outside, Settings, Writer};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use vm_contracts::{AnyEngine, Failure, Fault, Gate, NoPorts, PortSource, Refusal, RefusalKind};

/// Directory of keys and trust files.
pub const KEYS: &str = "keys";

/// A home that this process owns.
pub struct Owned {
    /// The open ledger.
    pub ledger: Ledger,
    _locks: [Lock; 2],
}

impl Owned {
    /// Makes signed-state and ROOT current, then lets the home go.
    pub fn close(self) -> Result<(), Failure> {
        self.ledger.flush()
    }
}

/// Makes a home: directories 0700, keys 0600, both copies of signed-state. The directory must be empty or absent.
pub fn init(
    home: &Path,
    guard: &Path,
    settings: &Settings,
    scrolls: &[&str],
    entropy: &dyn Entropy,
) -> Result<(), Failure> {
    refuse_inhabited(home)?;
    if guard == home || guard.starts_with(home) {
        let what = format!(
            "{} is inside the home, and would be put back together with it",
            guard.display()
        );
        return Err(Refusal::malformed("guard_in_home", what)
            .field("guard")
            .hint("Name a directory outside the home with --guard.")
            .into());
    }
    if guard.join(SIGNED_STATE).exists() {
        let what = format!("{} holds the signed-state of another ledger", guard.display());
        return Err(Refusal::conflict("guard_taken", what)
            .hint(
                "Name another directory with --guard. What a ledger has signed is never forgotten.",
            )
            .into());
    }
    make_private(home).map_err(|e| io_fault("make", home, &e))?;
    fs::set_permissions(home, fs::Permissions::from_mode(0o700))
        .map_err(|e| io_fault("close to others", home, &e))?;
    probe(home)?;
    make_private(guard).map_err(|e| io_fault("make", guard, &e))?;
    let write = || -> io::Result<()> {
        write_new(&home.join(".gitignore"), b"*\n")?;
        make_private(&home.join(KEYS))?;
        let keys = Keys::generate(entropy);
        keys.save(&home.join(KEYS))?;
        write_public_keys(home, &keys, settings, scrolls)?;
        lay_out(&Disk::new(home, guard), &settings.ledger)?;
        File::open(home)?.sync_all()
    };
    write().map_err(|e| io_fault("write in", home, &e))
}

/// Writes what auditors need: issuer.did, log.vkey (one line per scroll), and trust.txt with both.
pub fn write_public_keys(
    home: &Path,
    keys: &Keys,
    settings: &Settings,
    scrolls: &[&str],
) -> io::Result<()> {
    let did = keys.issuer.public().did();
    let vkeys: String = scrolls.iter().map(|s| keys.vkey(&settings.origin(s)) + "\n").collect();
    let dir = home.join(KEYS);
    let trust = format!(
        "# Keys of the VaultMesh ledger {}. Give this file to whoever verifies, over a way they trust.\n\
         # issuer: seals receipts. The others: sign checkpoints, one line for each scroll's origin.\n\
         issuer {did}\n{vkeys}",
        settings.ledger
    );
    for (name, text) in
        [("issuer.did", format!("{did}\n")), ("log.vkey", vkeys.clone()), ("trust.txt", trust)]
    {
        write_whole(&dir.join(name), text.as_bytes())?;
    }
    File::open(dir)?.sync_all()
}

/// Owns and opens a home; waits at most `wait` for another owner to leave.
pub fn open(
    home: &Path,
    guard: &Path,
    settings: Settings,
    engines: &'static [&'static dyn AnyEngine],
    gate: Arc<dyn Gate>,
    wait: Duration,
) -> Result<Owned, Failure> {
    open_with_ports(home, guard, settings, engines, (gate, Arc::new(NoPorts)), wait)
}

/// Like [`open`], for engines whose operations have effects: `ports` says what stands behind them.
pub fn open_with_ports(
    home: &Path,
    guard: &Path,
    settings: Settings,
    engines: &'static [&'static dyn AnyEngine],
    doors: (Arc<dyn Gate>, Arc<dyn PortSource>),
    wait: Duration,
) -> Result<Owned, Failure> {
    let owned = open_unless(home, guard, settings, engines, doors, wait, &mut || false)?;
    Ok(owned.expect("nothing else was waited for"))
}

/// Like [`open_with_ports`], and gives up without an error once `instead` finds another way to the home: it is asked
/// again and again while another process owns it.
pub fn open_unless(
    home: &Path,
    guard: &Path,
    settings: Settings,
    engines: &'static [&'static dyn AnyEngine],
    doors: (Arc<dyn Gate>, Arc<dyn PortSource>),
    wait: Duration,
    instead: &mut dyn FnMut() -> bool,
) -> Result<Option<Owned>, Failure> {
    let Some(lock) = Lock::acquire_unless(home, wait, instead)? else { return Ok(None) };
    make_private(guard).map_err(|e| io_fault("make", guard, &e))?;
    let guard_lock = Lock::acquire(guard, wait)?;
    open_holding([lock, guard_lock], home, guard, settings, engines, doors).map(Some)
}

/// Opens a home whose locks are held: its own, and that of the guard directory, which a copy of the home would share.
pub(crate) fn open_holding(
    locks: [Lock; 2],
    home: &Path,
    guard: &Path,
    settings: Settings,
    engines: &'static [&'static dyn AnyEngine],
    (gate, ports): (Arc<dyn Gate>, Arc<dyn PortSource>),
) -> Result<Owned, Failure> {
    let keys = Keys::load(&home.join(KEYS))?;
    check_private(&home.join(OPENINGS_KEY))?;
    let outside = Outside {
        fs: Arc::new(Disk::new(home, guard)),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        gate,
        engines,
        ports,
        shelving: Some(Shelving { fs: Arc::new(Disk::new(home, guard)), after: INDEX_AFTER }),
    };
    let writer = Writer::open(outside, settings, keys)?;
    keep_public_keys(home, &writer)?;
    Ok(Owned { ledger: Ledger::with_worker(writer), _locks: locks })
}

/// Writes the public keys again when a scroll is not among them yet.
fn keep_public_keys(home: &Path, writer: &Writer) -> Result<(), Failure> {
    let mut names: Vec<&str> = writer.scrolls.keys().map(String::as_str).collect();
    names.extend(writer.engines.iter().map(|e| e.scroll()));
    names.sort_unstable();
    names.dedup();
    let there = fs::read_to_string(home.join(KEYS).join("log.vkey")).unwrap_or_default();
    if names.iter().all(|n| there.lines().any(|l| l == writer.vkey(n))) {
        return Ok(());
    }
    write_public_keys(home, &writer.keys, &writer.settings, &names)
        .map_err(|e| io_fault("write keys in", home, &e))
}

/// Tries what the ledger relies on: locks, fsync of files and directories, rename over a name.
pub fn probe(dir: &Path) -> Result<(), Refusal> {
    let refuse = |what: &str, e: &dyn std::fmt::Display| {
        let message = format!("the file system of {} has no working {what}: {e}", dir.display());
        Refusal::new("unfit_file_system", RefusalKind::Unavailable, message)
            .hint("Keep the home on a local file system such as ext4, xfs or btrfs.")
    };
    let (one, two) = (dir.join(".probe"), dir.join(".probe-2"));
    let result = (|| {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&one)
            .map_err(|e| refuse("file creation", &e))?;
        file.try_lock().map_err(|e| refuse("locks", &e))?;
        let second = File::open(&one).map_err(|e| refuse("file opening", &e))?;
        if second.try_lock().is_ok() {
            return Err(refuse("locks", &"a second lock on a locked file was granted"));
        }
        file.write_all(b"probe").map_err(|e| refuse("writes", &e))?;
        file.sync_data().map_err(|e| refuse("fdatasync", &e))?;
        fs::rename(&one, &two).map_err(|e| refuse("rename", &e))?;
        File::open(dir).and_then(|d| d.sync_all()).map_err(|e| refuse("directory fsync", &e))
    })();
    // Both names are ours; what cannot be removed was not made.
    let _ = fs::remove_file(&one);
    let _ = fs::remove_file(&two);
    result
}

fn refuse_inhabited(home: &Path) -> Result<(), Failure> {
    let inhabited = match fs::read_dir(home) {
        Ok(mut entries) => entries.next().is_some(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => false,
        Err(e) => return Err(io_fault("look into", home, &e)),
    };
    match inhabited {
        true => Err(Refusal::conflict("home_exists", format!("{} is not empty", home.display()))
            .hint("Name an empty or new directory with --home. A ledger is never overwritten.")
            .into()),
        false => Ok(()),
    }
}

/// Makes a directory and its parents; the last one is for its owner only.
pub(crate) fn make_private(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let fresh: Vec<&Path> =
        dir.ancestors().take_while(|d| !d.as_os_str().is_empty() && !d.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    // A name is durable once the directory it stands in is synced; each new one needs it.
    for made in fresh {
        let above = made.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(above)?.sync_all()?;
    }
    Ok(())
}

/// Writes a new file (0600), synced; refuses an existing name.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

pub(crate) fn io_fault(what: &str, path: &Path, e: &io::Error) -> Failure {
    Fault::new("io", format!("cannot {what} {}: {e}", path.display())).into()
}
