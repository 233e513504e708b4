use super::files::CHUNK;
use super::*;
use crate::clock::SystemEntropy;
use crate::fs::Disk;
use crate::recover::QUARANTINE;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

const SENTINEL: &str = "sentinel-Ada-Lovelace";
const PAGE: &str = "openings/toy/00000000000000000000.page";

/// A disk that fails where it is told to.
struct Bent {
    disk: Disk,
    /// Path whose sync fails.
    sync: Mutex<Option<String>>,
    /// Path whose append finds space for half of its bytes.
    space: Mutex<Option<String>>,
    written: AtomicU64,
}

impl Bent {
    fn hits(rule: &Mutex<Option<String>>, path: &str) -> bool {
        rule.lock().unwrap().as_deref() == Some(path)
    }
}

impl Fs for Bent {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }
    fn read_at(&self, path: &str, from: u64, len: usize) -> io::Result<Vec<u8>> {
        self.disk.read_at(path, from, len)
    }
    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        self.disk.len(path)
    }
    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }
    fn paged(&self, path: &str) -> io::Result<std::sync::Arc<dyn crate::fs::Paged>> {
        self.disk.paged(path)
    }
    fn create_dir(&self, dir: &str) -> io::Result<bool> {
        self.disk.create_dir(dir)
    }
    fn append(&self, path: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.written.fetch_add(1, Ordering::Relaxed);
        if Self::hits(&self.space, path) {
            self.disk.append(path, at, &bytes[..bytes.len() / 2])?;
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.disk.append(path, at, bytes)
    }
    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.disk.write(path, bytes)
    }
    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.disk.truncate(path, len)
    }
    fn sync(&self, path: &str) -> io::Result<()> {
        match Self::hits(&self.sync, path) {
            true => Err(io::Error::other("the disk is gone")),
            false => self.disk.sync(path),
        }
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        self.disk.remove_dir(dir)
    }
    fn regular(&self, path: &str) -> io::Result<Option<u64>> {
        self.disk.regular(path)
    }
    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        match Self::hits(&self.sync, &format!("{dir}/")) {
            true => Err(io::Error::other("the disk is gone")),
            false => self.disk.sync_dir(dir),
        }
    }
}

/// A home of its own, and its files.
struct Home {
    dir: TempDir,
    fs: Arc<Bent>,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(dir.path(), dir.path().join("g"));
        let (sync, space, written) = Default::default();
        Self { fs: Arc::new(Bent { disk, sync, space, written }), dir }
    }

    /// What another process would see.
    fn openings(&self) -> Openings {
        self.of_ledger("l")
    }

    fn of_ledger(&self, ledger: &str) -> Openings {
        Openings::new(self.fs.clone(), Arc::new(SystemEntropy), ledger)
    }

    fn bytes(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.dir.path().join(path)).unwrap()
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        std::fs::write(self.dir.path().join(path), bytes).unwrap();
    }

    fn files(&self) -> Vec<PathBuf> {
        fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, out),
                    false => out.push(path),
                }
            }
        }
        let mut out = Vec::new();
        walk(self.dir.path(), &mut out);
        out
    }
}

fn opening(seq: u64, value: &str) -> Opening {
    let disclosure = URL_SAFE_NO_PAD.encode(format!("[\"salt\",\"note\",\"{value}\"]"));
    Opening { seq, digest: disclosure_digest(&disclosure), disclosure, file: None }
}

fn code(failure: Result<Vec<Opening>, Failure>) -> String {
    failure.unwrap_err().code().to_owned()
}

#[test]
fn what_was_kept_is_read_by_the_next_process_in_order() {
    let home = Home::new();
    let mut first = home.openings();
    assert!(!first.has_key());
    let records = [opening(3, "b"), opening(3, "a"), opening(4, "c")];
    assert_eq!(first.append("toy", &records), Kept::Yes);
    assert_eq!(first.append("toy", &[opening(9, "d")]), Kept::Yes);
    for mut openings in [first, home.openings()] {
        assert!(openings.has_key());
        assert_eq!(openings.of("toy", 3).unwrap(), records[..2]);
        assert_eq!(openings.of("toy", 4).unwrap(), records[2..]);
        assert_eq!(openings.of("toy", 9).unwrap(), [opening(9, "d")]);
        assert_eq!(openings.of("toy", 5).unwrap(), []);
        assert_eq!(openings.of("other", 5).unwrap(), []);
        assert_eq!(openings.check("toy", 10), []);
    }
}

#[test]
fn only_the_last_append_for_a_number_counts_and_each_digest_once() {
    let home = Home::new();
    let mut openings = home.openings();
    assert_eq!(openings.append("toy", &[opening(3, "a"), opening(3, "orphan")]), Kept::Yes);
    let last = [opening(3, "b"), opening(3, "a"), opening(3, "b")];
    assert_eq!(openings.append("toy", &last), Kept::Yes);
    assert_eq!(openings.of("toy", 3).unwrap(), last[..2]);
}

#[test]
fn each_page_of_4096_receipts_has_a_file_and_a_key() {
    let home = Home::new();
    let mut openings = home.openings();
    let records = [opening(4_095, "last"), opening(4_096, "first")];
    assert_eq!(openings.append("toy", &records), Kept::Yes);
    let names = home.fs.list("openings/toy").unwrap();
    assert_eq!(names, ["00000000000000000000.page", "00000000000000004096.page"]);
    let mut later = home.openings();
    assert_eq!(later.of("toy", 4_095).unwrap(), records[..1]);
    assert_eq!(later.of("toy", 4_096).unwrap(), records[1..]);
    let keyring = String::from_utf8(home.bytes(KEYRING)).unwrap();
    assert_eq!(keyring.matches("toy/0000").count(), 2);
    // The page of one border under the name of the other opens nothing.
    home.put("openings/toy/00000000000000004096.page", &home.bytes(PAGE));
    assert_eq!(code(home.openings().of("toy", 4_096)), "corrupt");
}

#[test]
fn a_page_opens_only_in_its_own_ledger_and_scroll() {
    let home = Home::new();
    for scroll in ["toy", "other"] {
        assert_eq!(home.openings().append(scroll, &[opening(1, scroll)]), Kept::Yes);
    }
    assert_eq!(code(home.of_ledger("m").of("toy", 1)), "corrupt");
    // Even with the page's own key: each frame is bound to its place.
    let frames = |ledger: &str, scroll: &str, first| {
        let key = home.openings().binding("toy", 0).unwrap().key;
        let binding = Binding { ledger: ledger.into(), scroll: scroll.into(), first, key };
        page::walk(&*home.fs, PAGE, &binding).unwrap().frames.len()
    };
    assert_eq!(frames("l", "toy", 0), 1);
    assert_eq!(frames("m", "toy", 0) + frames("l", "other", 0) + frames("l", "toy", 4_096), 0);
}

#[test]
fn a_moved_frame_does_not_open() {
    let home = Home::new();
    let mut openings = home.openings();
    for (seq, value) in [(1, "a"), (2, "b")] {
        assert_eq!(openings.append("toy", &[opening(seq, value)]), Kept::Yes);
    }
    let bytes = home.bytes(PAGE);
    let (a, b) = bytes.split_at(bytes.len() / 2);
    home.put(PAGE, &[b, a].concat());
    assert_eq!(code(home.openings().of("toy", 1)), "corrupt");
}

#[test]
fn each_changed_byte_of_a_page_is_named_and_costs_one_frame_at_most() {
    let home = Home::new();
    let mut openings = home.openings();
    let mut borders = Vec::new();
    for seq in 1..=3 {
        assert_eq!(openings.append("toy", &[opening(seq, "same length")]), Kept::Yes);
        borders.push(home.bytes(PAGE).len() as u64);
    }
    let bytes = home.bytes(PAGE);
    for at in 0..bytes.len() {
        for bit in [0, 7] {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            home.put(PAGE, &changed);
            let frame = borders.iter().position(|b| at < *b as usize).unwrap();
            let start = if frame == 0 { 0 } else { borders[frame - 1] };
            let mut openings = home.openings();
            let flaws = openings.check("toy", 9);
            assert!(
                flaws.len() == 1 && flaws[0].file == PAGE && flaws[0].byte == Some(start),
                "byte {at}: {flaws:?}"
            );
            // Where only the length was changed, even the frame itself still reads.
            let lost = (at as u64 >= start + 4).then_some(frame as u64 + 1);
            for seq in (1..=3).filter(|seq| Some(*seq) != lost) {
                assert_eq!(openings.of("toy", seq).unwrap().len(), 1, "byte {at}, {seq}");
            }
        }
    }
}

#[test]
fn after_damage_the_page_goes_on_at_its_end() {
    let home = Home::new();
    let mut openings = home.openings();
    for seq in 1..=2 {
        assert_eq!(openings.append("toy", &[opening(seq, "v")]), Kept::Yes);
    }
    for damaged in [60, 2] {
        let mut bytes = home.bytes(PAGE);
        bytes[damaged] ^= 1;
        home.put(PAGE, &bytes);
        let mut openings = home.openings();
        assert_eq!(openings.append("toy", &[opening(3 + damaged as u64, "w")]), Kept::Yes);
        assert!(home.bytes(PAGE).starts_with(&bytes));
        assert_eq!(home.openings().of("toy", 2).unwrap().len(), 1);
        assert_eq!(home.openings().of("toy", 3 + damaged as u64).unwrap().len(), 1);
    }
    assert!(!home.dir.path().join(QUARANTINE).exists());
}

#[test]
fn a_torn_end_is_set_aside_by_the_next_append_and_nothing_else() {
    let home = Home::new();
    assert_eq!(home.openings().append("toy", &[opening(1, "kept")]), Kept::Yes);
    let whole = home.bytes(PAGE);
    assert_eq!(home.openings().append("toy", &[opening(2, "torn")]), Kept::Yes);
    let longer = home.bytes(PAGE);
    for cut in whole.len() + 1..longer.len() {
        // Bytes that are missing, and bytes that the file system shows as NULs.
        for fill in [cut, longer.len()] {
            let mut torn = longer[..cut].to_vec();
            torn.resize(fill, 0);
            if fill > cut && fill - cut < 16 {
                continue;
            }
            home.put(PAGE, &torn);
            let mut openings = home.openings();
            let flaws = openings.check("toy", 9);
            assert!(flaws.len() == 1 && flaws[0].harmless, "cut {cut}: {flaws:?}");
            assert_eq!(openings.of("toy", 1).unwrap(), [opening(1, "kept")]);
            assert_eq!(openings.of("toy", 2).unwrap(), []);
            assert_eq!(home.bytes(PAGE), torn, "reading changes nothing");
        }
    }
    home.put(PAGE, &longer[..longer.len() - 1]);
    assert_eq!(home.openings().append("toy", &[opening(3, "next")]), Kept::Yes);
    let mut after = home.openings();
    assert_eq!(after.check("toy", 9), []);
    assert_eq!(after.of("toy", 3).unwrap(), [opening(3, "next")]);
    assert_eq!(
        home.bytes("quarantine/openings.toy.00000000000000000000.0.cut"),
        longer[whole.len()..longer.len() - 1]
    );
}

#[test]
fn hostile_pages_are_refused_in_bounded_time() {
    let home = Home::new();
    assert_eq!(home.openings().append("toy", &[opening(1, "v")]), Kept::Yes);
    let huge = [0xff; 64].to_vec();
    // Each fourth byte begins a frame that would fit: the worst for a search.
    let slow = [0, 1, 0, 0].repeat(1 << 20);
    for bytes in [huge, slow, vec![0; 3], vec![0; 1 << 20], b"[[[[[[[[".repeat(99)] {
        home.put(PAGE, &bytes);
        let mut openings = home.openings();
        assert!(openings.check("toy", 9).len() == 1);
        let _ = openings.of("toy", 1);
    }
}

#[test]
fn a_lost_key_is_never_drawn_anew() {
    let home = Home::new();
    assert_eq!(home.openings().append("toy", &[opening(1, "v")]), Kept::Yes);
    let (key, ring) = (home.bytes(OPENINGS_KEY), home.bytes(KEYRING));
    std::fs::remove_file(home.dir.path().join(OPENINGS_KEY)).unwrap();
    let missing = |home: &Home| {
        assert_eq!(code(home.openings().of("toy", 1)), "openings_key_missing");
        assert_eq!(home.openings().ensure_key().unwrap_err().code(), "openings_key_missing");
        assert!(!home.openings().has_key());
        let kept = home.openings().append("toy", &[opening(2, "v")]);
        assert!(matches!(kept, Kept::Failed(f) if f.code() == "openings_key_missing"));
    };
    missing(&home);
    std::fs::remove_file(home.dir.path().join(KEYRING)).unwrap();
    missing(&home);
    // Without the keyring nothing is kept: a new one would lock out what the old one opens, or the other way round.
    home.put(OPENINGS_KEY, &key);
    assert_eq!(code(home.openings().of("toy", 1)), "openings_page_key_missing");
    let kept = home.openings().append("toy", &[opening(2, "v")]);
    assert!(matches!(kept, Kept::Failed(f) if f.code() == "openings_page_key_missing"));
    let kept = home.openings().append("toy", &[opening(5_000, "v")]);
    assert!(matches!(kept, Kept::Failed(f) if f.code() == "openings_page_key_missing"));
    home.put(KEYRING, &ring);
    assert_eq!(home.openings().append("toy", &[opening(5_000, "v")]), Kept::Yes);
    assert_eq!(home.openings().of("toy", 1).unwrap(), [opening(1, "v")]);
}

#[test]
fn a_page_that_was_moved_away_and_put_back_still_opens() {
    let home = Home::new();
    assert_eq!(home.openings().append("toy", &[opening(1, "old")]), Kept::Yes);
    let old = home.bytes(PAGE);
    home.fs.remove(PAGE).unwrap();
    assert_eq!(home.openings().append("toy", &[opening(1, "new")]), Kept::Yes);
    assert_eq!(home.openings().of("toy", 1).unwrap(), [opening(1, "new")]);
    home.put(PAGE, &old);
    assert_eq!(home.openings().of("toy", 1).unwrap(), [opening(1, "old")]);
}

#[test]
fn a_changed_key_or_keyring_is_noticed() {
    let home = Home::new();
    assert_eq!(home.openings().append("toy", &[opening(1, "v")]), Kept::Yes);
    for path in [OPENINGS_KEY, KEYRING] {
        let whole = home.bytes(path);
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            home.put(path, &changed);
            assert!(home.openings().of("toy", 1).is_err(), "{path}, byte {at}");
        }
        home.put(path, &whole);
    }
    assert_eq!(home.openings().of("toy", 1).unwrap().len(), 1);
}

#[test]
fn decoys_are_stable_differ_everywhere_and_write_no_page() {
    let home = Home::new();
    let mut openings = home.openings();
    let mut decoy = |scroll, id, name| openings.decoy(scroll, id, name).unwrap();
    let places =
        [("toy", "a", "note"), ("toy", "a", "memo"), ("toy", "b", "note"), ("toys", "a", "note")];
    let all: BTreeSet<String> = places.iter().map(|(s, i, n)| decoy(s, i, n)).collect();
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|d| d.len() == 43));
    assert_eq!(home.openings().decoy("toy", "a", "note").unwrap(), decoy("toy", "a", "note"));
    assert_eq!(home.openings().import_key(), openings.import_key());
    assert_ne!(Home::new().openings().decoy("toy", "a", "note").unwrap(), *all.first().unwrap());
    assert_eq!(home.files().len(), 2, "key and keyring");
    let before = home.fs.written.load(Ordering::Relaxed);
    openings.decoy("toy", "c", "note").unwrap();
    assert_eq!(home.fs.written.load(Ordering::Relaxed), before);
}

#[test]
fn a_failed_sync_stops_everything_and_is_not_retried() {
    for path in [PAGE, "openings/toy/", "openings/keyring.tmp", "keys/openings.key.tmp"] {
        let home = Home::new();
        let mut openings = home.openings();
        *home.fs.sync.lock().unwrap() = Some(path.to_owned());
        assert!(matches!(openings.append("toy", &[opening(1, "v")]), Kept::Unknown(_)), "{path}");
        *home.fs.sync.lock().unwrap() = None;
        assert!(matches!(openings.append("toy", &[opening(1, "v")]), Kept::Unknown(_)), "{path}");
        assert_eq!(code(openings.of("toy", 1)), "write_unconfirmed");
        // The next process makes its own files of what it finds, and goes on.
        let mut next = home.openings();
        assert_eq!(next.append("toy", &[opening(1, "w")]), Kept::Yes, "{path}");
        assert!(home.openings().of("toy", 1).unwrap().contains(&opening(1, "w")));
    }
}

#[test]
fn the_first_append_of_a_process_goes_to_a_fresh_copy_of_the_page() {
    use std::os::unix::fs::MetadataExt;
    let home = Home::new();
    let inode = || std::fs::metadata(home.dir.path().join(PAGE)).unwrap().ino();
    let mut first = home.openings();
    assert_eq!(first.append("toy", &[opening(1, "v")]), Kept::Yes);
    // A link keeps the old file, so that its number is not given out again.
    std::fs::hard_link(home.dir.path().join(PAGE), home.dir.path().join("old")).unwrap();
    let old = inode();
    assert_eq!(first.append("toy", &[opening(2, "v")]), Kept::Yes);
    assert_eq!(inode(), old);
    assert_eq!(home.openings().append("toy", &[opening(3, "v")]), Kept::Yes);
    assert_ne!(inode(), old);
}

#[test]
fn without_space_nothing_of_an_append_stays() {
    let home = Home::new();
    let mut openings = home.openings();
    assert_eq!(openings.append("toy", &[opening(4_095, "kept")]), Kept::Yes);
    let before = home.bytes(PAGE);
    let second = "openings/toy/00000000000000004096.page";
    for path in [PAGE, second] {
        *home.fs.space.lock().unwrap() = Some(path.to_owned());
        let batch = [opening(4_095, "more"), opening(4_096, "next")];
        assert!(matches!(openings.append("toy", &batch), Kept::Full(_)), "{path}");
        assert_eq!(home.bytes(PAGE), before, "{path}");
        assert!(!home.dir.path().join(second).exists());
        *home.fs.space.lock().unwrap() = None;
    }
    assert_eq!(openings.append("toy", &[opening(4_096, "next")]), Kept::Yes);
    let mut next = home.openings();
    assert_eq!(next.of("toy", 4_095).unwrap(), [opening(4_095, "kept")]);
    assert_eq!(next.of("toy", 4_096).unwrap(), [opening(4_096, "next")]);
    assert_eq!(next.check("toy", 9_999), []);
}

#[test]
fn a_page_that_could_not_be_copied_for_want_of_space_is_copied_later() {
    let home = Home::new();
    assert_eq!(home.openings().append("toy", &[opening(1, "kept")]), Kept::Yes);
    let torn = [home.bytes(PAGE), vec![0; 40]].concat();
    home.put(PAGE, &torn);
    let mut openings = home.openings();
    for full in [format!("{QUARANTINE}/openings.toy.{:020}.0.cut", 0), format!("{PAGE}.new")] {
        *home.fs.space.lock().unwrap() = Some(full);
        assert!(matches!(openings.append("toy", &[opening(2, "v")]), Kept::Full(_)));
        assert_eq!(home.bytes(PAGE), torn);
        assert_eq!(home.fs.list("openings/toy").unwrap().len(), 1, "no half copy");
    }
    *home.fs.space.lock().unwrap() = None;
    assert_eq!(openings.append("toy", &[opening(2, "v")]), Kept::Yes);
    assert_eq!(home.openings().of("toy", 1).unwrap(), [opening(1, "kept")]);
    assert_eq!(home.openings().of("toy", 2).unwrap(), [opening(2, "v")]);
}

#[test]
fn values_too_large_for_a_frame_are_refused_and_large_ones_kept() {
    let home = Home::new();
    let mut openings = home.openings();
    let large = |len: usize| Opening { disclosure: "x".repeat(len), ..opening(1, "") };
    let kept = openings.append("toy", &[large(16 << 20)]);
    assert!(matches!(kept, Kept::Failed(f) if f.code() == "openings_too_large"));
    assert!(home.files().is_empty(), "nothing was written");
    let batch = [large((16 << 20) - 200), Opening { seq: 2, ..large(100_000) }, opening(3, "v")];
    assert_eq!(openings.append("toy", &batch), Kept::Yes);
    for (seq, record) in (1..).zip(batch) {
        assert!(home.openings().of("toy", seq).unwrap() == [record]);
    }
}

#[test]
fn orphans_are_noted_and_do_no_harm() {
    let home = Home::new();
    let mut openings = home.openings();
    assert_eq!(openings.append("toy", &[opening(7, "never committed")]), Kept::Yes);
    let flaws = openings.check("toy", 7);
    assert!(flaws.len() == 1 && flaws[0].harmless && flaws[0].byte == Some(0), "{flaws:?}");
    assert_eq!(openings.append("toy", &[opening(7, "committed")]), Kept::Yes);
    assert!(openings.of("toy", 7).unwrap().contains(&opening(7, "committed")));
    assert_eq!(openings.check("toy", 8), []);
}

#[test]
fn an_open_run_keeps_its_openings_until_it_is_gone() {
    let home = Home::new();
    let mut openings = home.openings();
    assert_eq!(openings.load_run("toy", "r1").unwrap(), []);
    openings.save_run("toy", "r1", &[opening(0, "a")]).unwrap();
    openings.save_run("toy", "r1", &[opening(0, "a"), opening(0, "b")]).unwrap();
    openings.save_run("toy", "r2", &[]).unwrap();
    let mut next = home.openings();
    assert_eq!(next.load_run("toy", "r1").unwrap(), [opening(0, "a"), opening(0, "b")]);
    assert_eq!(next.load_run("toy", "r2").unwrap(), []);
    let path = "runs/toy/r1/openings";
    let whole = home.bytes(path);
    home.put("runs/toy/r2/openings", &whole);
    assert_eq!(code(next.load_run("toy", "r2")), "corrupt");
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        home.put(path, &changed);
        assert_eq!(code(next.load_run("toy", "r1")), "corrupt");
    }
    next.remove_run("toy", "r1").unwrap();
    next.remove_run("toy", "r1").unwrap();
    assert_eq!(next.load_run("toy", "r1").unwrap(), []);
    home.fs.remove_dir("runs/toy/r1").unwrap();
    next.save_run("toy", "r1", &[opening(0, "c")]).unwrap();
}

#[test]
fn a_link_is_not_followed_out_of_the_home() {
    let home = Home::new();
    let mut openings = home.openings();
    assert_eq!(openings.append("toy", &[opening(1, "v")]), Kept::Yes);
    let key = openings.seal_file("toy", "r1", "f", &mut io::empty()).unwrap().key;
    for path in [PAGE, "openings/toy/files/r1/f"] {
        let there = home.dir.path().join(path);
        std::fs::rename(&there, home.dir.path().join("away")).unwrap();
        std::os::unix::fs::symlink(home.dir.path().join("away"), &there).unwrap();
    }
    assert_eq!(code(home.openings().of("toy", 1)), "read_failed");
    let opened = home.openings().open_file("toy", &key, &mut io::sink());
    assert_eq!(opened.unwrap_err().code(), "read_failed");
}

#[test]
fn names_never_lead_out_of_the_folder() {
    let home = Home::new();
    let mut openings = home.openings();
    for name in ["", "..", ".a", "a/b", "a\0b", "keyring", "é", &"x".repeat(129)] {
        assert!(openings.of(name, 1).is_err(), "{name:?}");
        assert!(openings.save_run("toy", name, &[]).is_err());
        assert!(openings.seal_file("toy", "r", name, &mut io::empty()).is_err());
        assert!(openings.remove_files("toy", name).is_err());
        assert!(matches!(openings.append(name, &[opening(1, "v")]), Kept::Failed(_)));
    }
    assert!(home.files().is_empty());
}

fn plain(len: usize) -> Vec<u8> {
    (0..len).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect()
}

#[test]
fn a_private_file_comes_back_whatever_its_length() {
    let home = Home::new();
    let mut openings = home.openings();
    for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7] {
        let bytes = plain(len);
        let sealed =
            openings.seal_file("toy", "r1", "1.private", &mut Cursor::new(&bytes)).unwrap();
        assert_eq!(sealed.size, len as u64);
        assert_eq!(sealed.sha256, Sha256::of(&bytes));
        assert_eq!(sealed.blake3, Blake3::of(&bytes));
        let mut out = Vec::new();
        let mut next = home.openings();
        assert_eq!(next.open_file("toy", &sealed.key, &mut out).unwrap(), len as u64);
        assert!(out == bytes, "{len}");
        let mut elsewhere = sealed.key.clone();
        elsewhere.id = "r2".into();
        std::fs::create_dir_all(home.dir.path().join("openings/toy/files/r2")).unwrap();
        home.put("openings/toy/files/r2/1.private", &home.bytes("openings/toy/files/r1/1.private"));
        assert!(next.open_file("toy", &elsewhere, &mut out).is_err());
    }
    assert_eq!(home.fs.list("openings/toy/files/r1").unwrap(), ["1.private"]);
    openings.remove_files("toy", "r1").unwrap();
    assert_eq!(home.fs.list("openings/toy/files").unwrap(), ["r2"]);
    openings.seal_file("toy", "r1", "1.private", &mut io::empty()).unwrap();
}

#[test]
fn a_file_that_was_cut_reordered_or_changed_is_refused() {
    let home = Home::new();
    let mut openings = home.openings();
    let bytes = plain(3 * CHUNK + 5);
    let key = openings.seal_file("toy", "r1", "f", &mut Cursor::new(&bytes)).unwrap().key;
    let path = "openings/toy/files/r1/f";
    let whole = home.bytes(path);
    let (head, body) = whole.split_at(19);
    let chunks: Vec<&[u8]> = body.chunks(CHUNK + 16).collect();
    let with = |order: &[usize]| {
        [head.to_vec(), order.iter().flat_map(|c| chunks[*c].to_vec()).collect()].concat()
    };
    assert_eq!(with(&[0, 1, 2, 3]), whole);
    let orders: [&[usize]; 7] =
        [&[], &[0], &[0, 1, 2], &[1, 0, 2, 3], &[0, 2, 3], &[0, 1, 2, 3, 3], &[0, 0, 1, 2, 3]];
    let mut wrong: Vec<Vec<u8>> = orders.iter().map(|order| with(order)).collect();
    wrong.extend(
        [0, 18, 19, 34, 35, CHUNK + 34, CHUNK + 35, whole.len() - 1]
            .map(|len| whole[..len].to_vec()),
    );
    for at in [0, 18, 19, CHUNK, CHUNK + 40, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        wrong.push(changed);
    }
    for bytes in wrong {
        home.put(path, &bytes);
        let refused = openings.open_file("toy", &key, &mut io::sink());
        assert_eq!(refused.unwrap_err().code(), "corrupt", "{} bytes", bytes.len());
    }
    home.put(path, &whole);
    assert!(openings.open_file("toy", &key, &mut io::sink()).is_ok());
    std::fs::remove_file(home.dir.path().join(path)).unwrap();
    assert!(openings.open_file("toy", &key, &mut io::sink()).is_err());
}

#[test]
fn the_check_reads_private_files_too() {
    let home = Home::new();
    let mut openings = home.openings();
    let mut source = Cursor::new(plain(100));
    let key = openings.seal_file("toy", "r1", "f", &mut source).unwrap().key;
    let flaws = openings.check("toy", 5);
    assert!(flaws.len() == 1 && flaws[0].harmless, "no key yet: {flaws:?}");
    let record = Opening { file: Some(key), ..opening(2, "file") };
    assert_eq!(openings.append("toy", std::slice::from_ref(&record)), Kept::Yes);
    assert_eq!(openings.of("toy", 2).unwrap(), [record]);
    assert_eq!(openings.check("toy", 5), []);
    let path = "openings/toy/files/r1/f";
    let mut bytes = home.bytes(path);
    bytes[40] ^= 1;
    home.put(path, &bytes);
    let flaws = openings.check("toy", 5);
    assert!(flaws.len() == 1 && flaws[0].file == path && !flaws[0].harmless, "{flaws:?}");
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_one_before() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the source is gone"))
        }
    }
    let home = Home::new();
    let mut openings = home.openings();
    let key = openings.seal_file("toy", "r1", "f", &mut Cursor::new(plain(9))).unwrap().key;
    let failed = openings.seal_file("toy", "r1", "f", &mut Broken).unwrap_err();
    assert_eq!(failed.code(), "output_unreadable");
    *home.fs.space.lock().unwrap() = Some("openings/toy/files/r1/.f.new".into());
    let failed = openings.seal_file("toy", "r1", "f", &mut Cursor::new(plain(9))).unwrap_err();
    assert_eq!(failed.code(), NO_SPACE);
    assert_eq!(home.fs.list("openings/toy/files/r1").unwrap(), ["f"]);
    assert_eq!(openings.open_file("toy", &key, &mut io::sink()).unwrap(), 9);
}

#[test]
fn nothing_private_stands_in_any_file_or_debug_text() {
    let home = Home::new();
    let mut openings = home.openings();
    let mut source = Cursor::new(SENTINEL.repeat(9_000));
    let sealed = openings.seal_file("toy", "r1", "f", &mut source).unwrap();
    let record = Opening { file: Some(sealed.key.clone()), ..opening(1, SENTINEL) };
    assert_eq!(openings.append("toy", std::slice::from_ref(&record)), Kept::Yes);
    openings.save_run("toy", "r1", std::slice::from_ref(&record)).unwrap();
    // And what a tear leaves in quarantine.
    let page = home.bytes(PAGE);
    home.put(PAGE, &page[..page.len() - 1]);
    assert_eq!(home.openings().append("toy", std::slice::from_ref(&record)), Kept::Yes);
    let secret = sealed.key.key;
    let hidden = [
        SENTINEL.as_bytes().to_vec(),
        record.disclosure.as_bytes().to_vec(),
        URL_SAFE_NO_PAD.encode(SENTINEL).into_bytes(),
        secret.to_vec(),
        sealed.sha256.0.to_vec(),
        sealed.blake3.0.to_vec(),
        record.digest.as_bytes().to_vec(),
    ];
    let files = home.files();
    assert_eq!(files.len(), 6, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        for secret in &hidden {
            let found = bytes.windows(secret.len()).any(|w| w == secret);
            assert!(!found, "{}", file.display());
        }
    }
    let shown = format!("{record:?} {sealed:?} {:?}", sealed.key);
    assert!(!shown.contains(&record.disclosure) && !shown.contains(&format!("{secret:?}")));
    assert!(!shown.contains(&sealed.sha256.to_string()));
}
