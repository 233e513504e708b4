//! Sizes of files and functions, and what must not stand in code.

use crate::lexer::{code, item_end, modules, test_lines};
use crate::repo::{files, none};
use std::collections::BTreeSet;

const FILE_LINES_MAX: usize = 800;
const FILE_LINES_ASK: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Files that only tests compile: declared under `#[cfg(test)]`, or outside `src`.
pub fn is_test_file(path: &str) -> bool {
    let below_src = path.contains("/src/") || path.starts_with("xtask/");
    if !below_src || path.starts_with("tests/") {
        return true;
    }
    test_files().contains(path)
}

fn test_files() -> &'static BTreeSet<String> {
    static FOUND: std::sync::OnceLock<BTreeSet<String>> = std::sync::OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found = BTreeSet::new();
        for file in files(".rs").iter().filter(|f| f.path.contains("/src/")) {
            for (name, _) in modules(&code(&file.text)).into_iter().filter(|(_, test)| *test) {
                found.extend(places_of(&file.path, &name));
            }
        }
        found
    })
}

/// Where `mod name;` in this file may lead.
fn places_of(path: &str, name: &str) -> [String; 2] {
    let (dir, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.trim_end_matches(".rs");
    let is_root =
        matches!(stem, "lib" | "main" | "mod") || dir.ends_with("/tests") || dir.ends_with("/bin");
    let inside = if is_root { dir.to_owned() } else { format!("{dir}/{stem}") };
    [format!("{inside}/{name}.rs"), format!("{inside}/{name}/mod.rs")]
}

#[test]
fn no_file_is_too_long() {
    let mut long = Vec::new();
    for file in files(".rs") {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            long.push(format!("{}: {lines} lines", file.path));
        } else if lines > FILE_LINES_ASK {
            println!("asks why: {}: {lines} lines", file.path);
        }
    }
    none("files over 800 lines", &long);
}

#[test]
fn no_function_is_too_long() {
    let mut long = Vec::new();
    for file in files(".rs") {
        let code = code(&file.text);
        let lines: Vec<&str> = code.split('\n').collect();
        for (n, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let length = item_end(&lines, n) - n + 1;
            let in_tests = is_test_file(&file.path);
            if in_tests && length > FUNCTION_LINES_MAX {
                println!("asks why: {}:{}: {name} has {length} lines", file.path, n + 1);
            } else if length > FUNCTION_LINES_MAX {
                long.push(format!("{}:{}: {name} has {length} lines", file.path, n + 1));
            }
        }
    }
    // A table of cases in a test may be longer; it is told, not refused.
    none("functions over 70 lines", &long);
}

fn function_name(line: &str) -> Option<&str> {
    let at = line.find("fn ")?;
    let before = line[..at].trim();
    let words = before
        .split(' ')
        .all(|w| w.is_empty() || matches!(w, "const" | "async" | "pub") || w.starts_with("pub("));
    let name = line[at + 3..].split(['(', '<']).next()?.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (words && is_name).then_some(name)
}

#[test]
fn no_unwrap_no_todo_and_no_unsafe_outside_tests() {
    let banned = [
        ".unwrap()",
        "todo!",
        "unimplemented!",
        "unsafe ",
        "dbg!(",
        ".expect(\"\")",
        "macro_rules!",
    ];
    let mut wrong = Vec::new();
    for file in files(".rs").iter().filter(|f| !is_test_file(&f.path)) {
        let code = code(&file.text);
        let test = test_lines(&code);
        for (n, line) in code.lines().enumerate().filter(|(n, _)| !test[*n]) {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: {word}", file.path, n + 1));
            }
        }
    }
    none("not outside tests", &wrong);
}

#[test]
fn no_file_is_forgotten() {
    let all = files(".rs");
    let paths: BTreeSet<&str> = all.iter().map(|f| f.path.as_str()).collect();
    let mut declared: BTreeSet<String> = BTreeSet::new();
    for file in &all {
        for (name, _) in modules(&code(&file.text)) {
            declared.extend(places_of(&file.path, &name));
        }
    }
    let is_root = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        let direct =
            |folder: &str| path.rsplit_once('/').is_some_and(|(dir, _)| dir.ends_with(folder));
        matches!(name, "lib.rs" | "main.rs" | "build.rs")
            || direct("/src/bin")
            || direct("/examples")
            || direct("/benches")
            || direct("fuzz_targets")
            || direct("/tests")
    };
    let forgotten: Vec<String> = paths
        .iter()
        .filter(|p| !is_root(p) && !declared.contains(**p))
        .map(|p| (*p).to_owned())
        .collect();
    none("files that nothing compiles", &forgotten);
}

#[test]
fn every_test_theme_is_found_by_cargo() {
    let dir = crate::repo::root().join("tests/tests");
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&dir).expect("the themes") {
        let path = entry.expect("it lists").path();
        let main = path.join("main.rs").exists();
        if !main && path.extension().is_none_or(|e| e != "rs") {
            wrong.push(path.display().to_string());
        }
    }
    let manifest = std::fs::read_to_string(dir.join("../Cargo.toml")).expect("the manifest");
    assert!(!manifest.contains("autotests = false"), "then every theme must be listed");
    none("themes without main.rs", &wrong);
}
