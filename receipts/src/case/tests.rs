//! Laws of a case.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::*;
use crate::line::Line;
use crate::line::tests::line;

type Files = BTreeMap<String, Vec<u8>>;

fn files() -> Files {
    let digest = crate::private::disclosure_digest("x");
    [
        ("state.json", b"{\"v\":1}".to_vec()),
        ("outputs/b.txt", b"two".to_vec()),
        ("outputs/1.private", stub(&digest)),
        ("outputs/a/deep", Vec::new()),
        ("contract.json", b"{\"v\":1,\"x\":2}".to_vec()),
    ]
    .map(|(path, bytes)| (path.to_owned(), bytes))
    .into()
}

fn artifacts(files: &Files) -> Vec<Artifact> {
    files.iter().rev().map(|(path, bytes)| Artifact::of(path, bytes)).collect()
}

fn sealed(files: &Files) -> Line {
    let all = artifacts(files);
    Line {
        contract: Blake3::of(&files[CONTRACT]),
        state: Blake3::of(&files[STATE]),
        root_hash: root(&all).expect("plain paths"),
        artifacts: Some(manifest_digest(&all)),
        ..line()
    }
}

fn check(line: &Line, files: &Files, manifest: Option<&[u8]>, finished: bool) -> CaseReport {
    let listing: Vec<String> = files.keys().cloned().collect();
    let folder = Folder { manifest, files: &listing, finished };
    let measured = check_case::<Infallible>(line, folder, &mut |path| {
        Ok(files.get(path).map(|bytes| Artifact::of(path, bytes)))
    });
    measured.expect("memory reads")
}

fn faults(report: &CaseReport) -> Vec<(&str, &str)> {
    report.faults.iter().map(|fault| (fault.claim, fault.file.as_str())).collect()
}

#[test]
fn the_list_is_what_sha256sum_prints() {
    let text = manifest(&artifacts(&files()));
    let paths: Vec<&str> = text.lines().map(|line| &line[66..]).collect();
    assert_eq!(
        paths,
        ["contract.json", "outputs/1.private", "outputs/a/deep", "outputs/b.txt", "state.json"]
    );
    // FIPS 180-4: SHA-256 of nothing.
    let empty =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  outputs/a/deep\n";
    assert!(text.contains(empty), "{text}");
    let read = parse_manifest(text.as_bytes()).expect("what is written reads");
    assert_eq!(read.len(), 5);
    assert_eq!(manifest_digest(&artifacts(&files())), Sha256::of(text.as_bytes()));
}

#[test]
fn a_list_has_one_spelling_and_errors_have_their_line() {
    let text = manifest(&artifacts(&files()));
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let digest = &lines[0][..64];
    for (wrong, error) in [
        (String::new(), CaseError::Empty),
        (text.trim_end().to_owned(), CaseError::Line(5)),
        (text.replacen("  ", " *", 1), CaseError::Line(1)),
        (text.replacen("  ", " ", 1), CaseError::Line(1)),
        (text.to_uppercase(), CaseError::Line(1)),
        (format!("\\{text}"), CaseError::Line(1)),
        (text.replace('\n', "\r\n"), CaseError::Path(1)),
        (format!("{text}\n"), CaseError::Line(6)),
        (format!("{}{}{}", lines[0], lines[2], lines[1]), CaseError::Order(3)),
        (format!("{}{}", lines[0], lines[0]), CaseError::Order(2)),
        (format!("{digest}  /etc/passwd\n"), CaseError::Path(1)),
        (format!("{}{digest}  outputs/../x\n", lines[0]), CaseError::Path(2)),
        (format!("{digest}  outputs/\n"), CaseError::Path(1)),
        (format!("{digest}  outputs/a\\nb\n"), CaseError::Path(1)),
        (format!("{digest}  PROOF.json\n"), CaseError::Path(1)),
        (format!("{digest}   contract.json\n"), CaseError::Path(1)),
    ] {
        assert_eq!(parse_manifest(wrong.as_bytes()), Err(error), "{wrong}");
    }
    assert_eq!(parse_manifest(b"\xff\n"), Err(CaseError::Line(1)));
}

#[test]
fn the_root_does_not_depend_on_the_order_of_asking() {
    let mut all = artifacts(&files());
    let first = root(&all).expect("plain paths");
    all.reverse();
    assert_eq!(root(&all), Ok(first));
    let mut leaves: Vec<Leaf> = all.iter().map(Artifact::leaf).collect();
    bundle::sort(&mut leaves);
    assert_eq!(bundle::root(&leaves), Ok(first));
}

#[test]
fn a_stub_carries_one_digest_and_nothing_else() {
    let output = PrivateOutput { name: "photo.jpg".into(), sha256: Sha256::of(b"p"), size: 1 };
    let opening = output.disclosure(&[7; 32]).expect("a plain output");
    let bytes = stub(opening.digest());
    assert_eq!(parse_stub(&bytes), Ok(opening.digest().to_owned()));
    assert!(crate::json::check_canonical(&bytes[..bytes.len() - 1]).is_ok());
    assert_eq!(PrivateOutput::of(&opening).as_ref(), Ok(&output));
    assert!(!format!("{output:?} {opening:?}").contains("photo"));
    let text = String::from_utf8(bytes).expect("UTF-8");
    for wrong in [
        text.trim_end().to_owned(),
        format!(" {text}"),
        text.replace("\"v\":1", "\"v\":2"),
        text.replace(opening.digest(), "short"),
        text.replace(opening.digest(), &format!("{0}\",\"{0}", opening.digest())),
        "{}\n".to_owned(),
    ] {
        assert_eq!(parse_stub(wrong.as_bytes()), Err(CaseError::Stub), "{wrong}");
    }
    let field = |name: &str, value: serde_json::Value| {
        let disclosure = crate::private::Disclosure::field(&[7; 32], name, &value);
        PrivateOutput::of(&disclosure.expect("a plain value"))
    };
    let hex = "0".repeat(64);
    for (name, value) in [
        ("note", serde_json::json!({"name": "a", "sha256": hex, "size": 1})),
        ("output", serde_json::json!({"name": "../a", "sha256": hex, "size": 1})),
        ("output", serde_json::json!({"name": "a", "sha256": "00", "size": 1})),
        ("output", serde_json::json!({"name": "a", "sha256": hex, "size": -1})),
        ("output", serde_json::json!({"name": "a", "sha256": hex, "size": 1, "x": 1})),
    ] {
        assert_eq!(field(name, value), Err(CaseError::Output));
    }
}

#[test]
fn an_untouched_case_has_no_faults() {
    let files = files();
    let line = sealed(&files);
    let list = manifest(&artifacts(&files));
    let report = check(&line, &files, Some(list.as_bytes()), true);
    assert_eq!((faults(&report), report.files.len()), (vec![], 5));
    // A crash can leave the folder of the run before its list was written.
    assert_eq!(faults(&check(&line, &files, None, false)), []);
    assert_eq!(faults(&check(&line, &files, None, true)), [("case_list", MANIFEST)]);
    // Bookkeeping beside the case is not part of it.
    let mut beside = files.clone();
    beside.insert("claim.1".into(), Vec::new());
    beside.insert("PROOF.json".into(), Vec::new());
    assert_eq!(faults(&check(&line, &beside, Some(list.as_bytes()), true)), []);
}

#[test]
fn every_changed_missing_and_added_file_is_named() {
    let files = files();
    let line = sealed(&files);
    let list = manifest(&artifacts(&files));
    for path in files.keys() {
        let mut changed = files.clone();
        changed.entry(path.clone()).or_default().push(b'!');
        let report = check(&line, &changed, Some(list.as_bytes()), true);
        assert_eq!(faults(&report), [("case_file", path.as_str())]);
        let mut missing = files.clone();
        missing.remove(path);
        let report = check(&line, &missing, Some(list.as_bytes()), true);
        assert_eq!(faults(&report), [("case_file", path.as_str())]);
    }
    let mut more = files.clone();
    more.insert("outputs/c".into(), Vec::new());
    let report = check(&line, &more, Some(list.as_bytes()), true);
    assert_eq!(faults(&report), [("case_extra", "outputs/c")]);
    // Without a list nobody can say which output it is.
    assert_eq!(faults(&check(&line, &more, None, false)), [("case_file", "outputs")]);
}

#[test]
fn the_list_and_the_root_are_each_held_against_the_line() {
    let files = files();
    let line = sealed(&files);
    let list = manifest(&artifacts(&files));
    let other = list.replace("outputs/b.txt", "outputs/c.txt");
    let report = check(&line, &files, Some(other.as_bytes()), true);
    assert_eq!(faults(&report), [("case_list", MANIFEST)], "the files themselves are whole");
    let line = Line { root_hash: Blake3::of(b"other"), ..line };
    let report = check(&line, &files, Some(list.as_bytes()), true);
    assert_eq!(faults(&report), [("case_root", MANIFEST)]);
    let swapped = list.lines().rev().map(|line| format!("{line}\n")).collect::<String>();
    let line = Line { artifacts: Some(Sha256::of(swapped.as_bytes())), ..sealed(&files) };
    let report = check(&line, &files, Some(swapped.as_bytes()), true);
    assert_eq!(report.faults[0].line, Some(2), "{report:?}");
}

#[test]
fn the_documents_are_held_against_the_line_too() {
    let files = files();
    let list = manifest(&artifacts(&files));
    let other = Blake3::of(b"other");
    for (line, path) in [
        (Line { contract: other, ..sealed(&files) }, CONTRACT),
        (Line { state: other, ..sealed(&files) }, STATE),
    ] {
        let report = check(&line, &files, Some(list.as_bytes()), true);
        assert_eq!(faults(&report), [("case_file", path)]);
    }
}

#[test]
fn a_record_has_no_case_and_nothing_is_read() {
    let folder = Folder { manifest: None, files: &["outputs/a".to_owned()], finished: true };
    let report = check_case::<()>(&line(), folder, &mut |_| Err(()));
    assert_eq!(report, Ok(CaseReport::default()));
    let cased = Line { artifacts: Some(Sha256([0; 32])), ..line() };
    assert_eq!(check_case::<()>(&cased, folder, &mut |_| Err(())), Err(()));
}
