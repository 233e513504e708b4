//! Running `verify.py`.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where verify.py is, when there is a python3 to run it.
pub fn python() -> Option<PathBuf> {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|o| o.status.success());
    if found {
        return Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("verify.py"));
    }
    let required = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!required, "python3 is needed in CI");
    vm_tests::skipped("verify.py, because there is no python3");
    None
}

/// Runs verify.py.
pub fn run(script: &Path, arguments: &[String]) -> Output {
    Command::new("python3")
        .arg("-B")
        .arg(script)
        .args(arguments)
        .output()
        .expect("python3 was found before")
}

/// What verify.py says of each path, in order.
pub fn second_opinion(script: &Path, trust: &Path, paths: &[PathBuf]) -> Vec<Value> {
    let mut arguments = vec!["--json".to_owned(), "--trust".into(), trust.display().to_string()];
    arguments.extend(paths.iter().map(|path| path.display().to_string()));
    let output = run(script, &arguments);
    let text = String::from_utf8(output.stdout).expect("verify.py prints UTF-8");
    let said: Vec<Value> =
        text.lines().map(|l| serde_json::from_str(l).expect("one JSON a line")).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.len(), paths.len(), "verify.py stopped early: {errors}");
    said
}

/// Writes files below a directory; those of the guard directory stand elsewhere.
pub fn lay_down(files: &BTreeMap<String, Vec<u8>>, dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    for (path, bytes) in files.iter().filter(|(path, _)| !path.starts_with('@')) {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}
