//! Golden files: the public face, kept as text in `tests/golden` and reviewed like an interface.
//!
//! `BLESS=1 cargo test -p vm-tests` writes what is printed now; a plain run compares.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Whether what is printed now is to be kept. (No `VM_` variable: the program takes those for settings.)
pub fn blessing() -> bool {
    std::env::var_os("BLESS").is_some_and(|value| value == "1")
}

/// Compares a text with the golden file of this name, or keeps it when blessing.
///
/// # Panics
/// When they differ; the first line that differs is shown.
pub fn check(name: &str, text: &str) {
    let path = folder().join(name);
    if blessing() {
        fs::create_dir_all(path.parent().expect("a file has a folder"))
            .expect("the folder can be made");
        fs::write(&path, text).expect("the golden file can be written");
        return;
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    if kept == text {
        return;
    }
    let differs = kept.lines().zip(text.lines()).position(|(a, b)| a != b);
    let at = differs.unwrap_or_else(|| kept.lines().count().min(text.lines().count()));
    let line = |text: &str| text.lines().nth(at).unwrap_or("(nothing)").to_owned();
    panic!(
        "golden/{name}, line {}:\n  kept: {}\n  now:  {}\nIf the change is meant, run: BLESS=1 cargo test -p vm-tests --test golden",
        at + 1,
        line(&kept),
        line(text)
    );
}

/// Checks that a folder of golden files holds exactly these.
///
/// # Panics
/// When there are others.
pub fn only(dir: &str, names: &BTreeSet<String>) {
    let entries = fs::read_dir(folder().join(dir)).expect("the folder is there");
    let found: BTreeSet<String> =
        entries.map(|e| e.expect("it lists").file_name().to_string_lossy().into_owned()).collect();
    let stray: Vec<_> = found.difference(names).collect();
    assert!(stray.is_empty(), "golden/{dir} holds files that nothing prints: {stray:?}");
}
