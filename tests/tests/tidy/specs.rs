//! A SPEC.md carries a digest of the code it describes: whoever changes the code reads the page again.
//!
//! The line is `<!-- code: path, path sha256:… -->`; a path is a file, or a folder for all `.rs` files below it.
//! Comments, tests and white space do not count.

use crate::lexer::{code, test_lines};
use crate::repo::{File, files, root};
use crate::sources::is_test_file;
use vm_receipts::digest::Sha256;

/// Digest of the code of these paths.
fn digest(paths: &[&str], all: &[File]) -> String {
    let mut text = String::new();
    for path in paths {
        let below = format!("{path}/");
        let here = all.iter().filter(|f| f.path == *path || f.path.starts_with(&below));
        let before = text.len();
        for file in here.filter(|f| !is_test_file(&f.path)) {
            // Literals count here, so the lexer only says which lines are code.
            let shape = code(&file.text);
            let test = test_lines(&shape);
            let lines = file.text.lines().zip(shape.lines()).enumerate();
            let kept = lines.filter(|(n, (_, shape))| !test[*n] && !shape.trim().is_empty());
            text.push_str(&file.path);
            kept.for_each(|(_, (line, _))| {
                line.split_whitespace().for_each(|word| text.push_str(word))
            });
        }
        assert!(text.len() > before, "{path} names no code");
    }
    Sha256::of(text.as_bytes()).to_string()
}

#[test]
fn every_spec_was_read_again_after_its_code_changed() {
    let all = files(".rs");
    let mut wrong = Vec::new();
    for spec in files("SPEC.md") {
        let marks =
            spec.text.lines().filter_map(|l| l.strip_prefix("<!-- code: ")?.strip_suffix(" -->"));
        let marks: Vec<&str> = marks.collect();
        if marks.is_empty() {
            let folder = spec.path.trim_end_matches("/SPEC.md");
            let fresh = digest(&[&format!("{folder}/src")], &all);
            wrong.push(format!(
                "{} has no mark; add: <!-- code: {folder}/src {fresh} -->",
                spec.path
            ));
        }
        for mark in marks {
            let Some((paths, kept)) = mark.rsplit_once(' ') else {
                panic!("{}: {mark}", spec.path)
            };
            let names: Vec<&str> = paths.split(", ").collect();
            names
                .iter()
                .for_each(|path| assert!(root().join(path).exists(), "{}: {path}", spec.path));
            let fresh = digest(&names, &all);
            if fresh != kept {
                wrong.push(format!("{}: read the page against the code, then write\n    <!-- code: {paths} {fresh} -->", spec.path));
            }
        }
    }
    crate::repo::none("code that changed after its page", &wrong);
}
