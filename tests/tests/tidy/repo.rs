//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold what was built or downloaded.
const NOT_OURS: [&str; 7] =
    ["target", ".git", "corpus", "artifacts", "coverage", "__pycache__", "node_modules"];

/// Root of the repository.
pub fn root() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests stands in the repository").to_owned()
}

/// A file by its path from the root, with `/`.
pub struct File {
    pub path: String,
    pub text: String,
}

/// All text files whose name ends so, in order of their paths.
pub fn files(ending: &str) -> Vec<File> {
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.sort();
    let base = root();
    found
        .into_iter()
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .filter_map(|path| {
            let text = fs::read_to_string(&path).ok()?;
            let path = path
                .strip_prefix(&base)
                .expect("it was found below")
                .to_string_lossy()
                .into_owned();
            Some(File { path, text })
        })
        .collect()
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder of the repository lists") {
        let entry = entry.expect("it lists");
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().expect("it has a type");
        // The oracle corpus test is a folder of ours with the name of a fuzzer's.
        let ours = dir.ends_with("tests/tests") || !NOT_OURS.contains(&name.as_str());
        if kind.is_dir() && ours {
            walk(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// Fails with a list, if there is anything in it.
pub fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}
