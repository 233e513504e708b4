//! `PROOF.json` with files of a case and disclosures: what it proves, and that nothing else is let in.

use proptest::prelude::*;
use serde_json::json;
use vm_receipts::case::{Artifact, PrivateOutput, manifest_digest, root, stub};
use vm_receipts::line::{End, Line, Prev};
use vm_receipts::private::Disclosure;
use vm_receipts::{Blake3, Sealed, Sha256};
use vm_scrolls::proof::*;
use vm_scrolls::tree::{MemoryTree, leaf_hash};
use vm_scrolls::verdict::{Outcome, Verdict};

use crate::common::*;

/// A sealed case with one private field in the body, one more in state.json and a private output.
struct Case {
    files: Vec<(Artifact, String)>,
    email: Disclosure,
    note: Disclosure,
    output: Disclosure,
    lines: Vec<Sealed>,
    tree: MemoryTree,
}

fn case() -> Case {
    case_with(|_| {})
}

fn case_with(change: impl Fn(&mut Line)) -> Case {
    let field = |salt: u8, name: &str, value| Disclosure::field(&[salt; 32], name, &value).unwrap();
    let email = field(1, "email", json!("ada@example.org"));
    let note = field(2, "note", json!("seen by two"));
    let photo = PrivateOutput { name: "photo.jpg".into(), sha256: Sha256::of(b"jpg"), size: 3 };
    let output = photo.disclosure(&[3; 32]).unwrap();
    let contract = json!({"intent": {"_sd": [email.digest()], "n": 1}, "v": 1});
    let state = json!({"stages": [{"_sd": [note.digest()], "id": "one"}], "v": 1});
    let texts = [
        ("contract.json", contract.to_string()),
        ("outputs/1.private", String::from_utf8(stub(output.digest())).unwrap()),
        ("outputs/report.md", "# done\n".to_owned()),
        ("state.json", state.to_string()),
    ];
    let files = texts.map(|(path, text)| (Artifact::of(path, text.as_bytes()), text)).to_vec();
    let all: Vec<Artifact> = files.iter().map(|(file, _)| file.clone()).collect();
    let prev = Prev { size: 0, root: MemoryTree::new().root() };
    let decoy = Disclosure::field(&[9; 32], "phone", &json!(null)).unwrap();
    let mut digests = vec![email.digest(), decoy.digest()];
    digests.sort_unstable();
    let body = json!({"_sd": digests, "n": 1});
    let mut line = Line {
        contract: all[0].blake3,
        state: all[3].blake3,
        root_hash: root(&all).unwrap(),
        artifacts: Some(manifest_digest(&all)),
        ..line(0, prev, "drill_run", body)
    };
    change(&mut line);
    let lines = vec![line.seal(&issuer()).unwrap()];
    let mut tree = MemoryTree::new();
    tree.push(leaf_hash(&lines[0].bytes));
    Case { files, email, note, output, lines, tree }
}

impl Case {
    fn bare(&self) -> Proof {
        proof(&self.lines, &self.tree, 0)
    }

    fn artifacts(&self) -> Vec<Artifact> {
        self.files.iter().map(|(file, _)| file.clone()).collect()
    }

    /// All files, with their text but that of the report.
    fn whole(&self) -> Vec<Entry> {
        let entry = |(file, text): &(Artifact, String)| match file.path.ends_with(".md") {
            true => Entry::of(file),
            false => Entry::of(file).with_content(text.clone()),
        };
        self.files.iter().map(entry).collect()
    }

    fn some(&self, indices: &[usize]) -> Vec<Entry> {
        let entry = |n: &usize| {
            let entry = Entry::partial(&self.artifacts(), *n).unwrap();
            entry.with_content(self.files[*n].1.clone())
        };
        indices.iter().map(entry).collect()
    }

    fn texts(&self) -> Vec<String> {
        [&self.note, &self.email, &self.output].map(|one| one.text().to_owned()).to_vec()
    }

    fn full(&self) -> Proof {
        self.bare().with_bundle(self.whole()).with_disclosures(self.texts())
    }
}

/// A proof with all there is.
pub fn example() -> Proof {
    case().full()
}

fn check(proof: &Proof) -> Verdict {
    let verdict = verify(proof, &trust());
    assert_eq!(verify_bytes(&proof.to_bytes(), &trust()), verdict, "from bytes it is the same");
    verdict
}

fn first_bad(proof: &Proof) -> (String, String) {
    let verdict = check(proof);
    let place = verdict.first_bad.unwrap_or_else(|| panic!("{}", verdict.summary));
    (place.claim, place.file)
}

fn bad(claim: &str, member: &str) -> (String, String) {
    (claim.to_owned(), format!("PROOF.json#{member}"))
}

#[test]
fn a_whole_case_with_its_disclosures_verifies() {
    let case = case();
    let proof = case.full();
    assert_eq!(Proof::parse(&proof.to_bytes()), Ok(proof.clone()));
    let verdict = check(&proof);
    assert!(verdict.is_verified(), "{}", verdict.summary);
    let held = ["case_bundle", "case_artifacts", "case_documents", "case_content", "disclosures"];
    for name in held {
        assert!(verdict.claims.iter().any(|c| c.name == name && c.ok), "{name}: {verdict:?}");
    }
    let names = ["state.json: stages[0].note", "email", "outputs/1.private: output"];
    assert_eq!(verdict.disclosed, names);
    assert_eq!((verdict.withheld, verdict.mismatch.len()), (1, 0), "the decoy stays closed");
    assert!(verdict.not_checked.contains(&"1 private value not seen".to_owned()));
    assert!(verdict.not_checked.contains(&"case files: 1 file is named by digest only".to_owned()));
    let report = proof.artifact("outputs/report.md").unwrap();
    assert!(report.is(b"# done\n") && !report.is(b"# other\n"));
    let opened = proof.private_outputs();
    assert_eq!(opened.len(), 1);
    assert_eq!((opened[0].0, opened[0].1.name.as_str()), ("outputs/1.private", "photo.jpg"));
}

#[test]
fn what_is_withheld_is_counted_once_and_spoils_nothing() {
    let case = case();
    let verdict = check(&case.bare().with_bundle(case.whole()));
    assert!(verdict.is_verified(), "{}", verdict.summary);
    assert_eq!((verdict.withheld, verdict.disclosed.len()), (4, 0));
    let verdict = check(&case.bare());
    assert!(verdict.is_verified() && verdict.withheld == 2, "{verdict:?}");
    assert!(verdict.not_checked.iter().any(|s| s.starts_with("case files:")));
    let json = verdict.to_json();
    assert_eq!((&json["withheld"], &json["disclosed"]), (&json!(2), &json!([])));
}

#[test]
fn some_files_verify_with_their_branches() {
    let case = case();
    for n in 0..case.files.len() {
        let proof = case.bare().with_bundle(case.some(&[n]));
        let verdict = check(&proof);
        assert!(verdict.is_verified(), "{n}: {}", verdict.summary);
        assert!(verdict.not_checked.iter().any(|s| s.starts_with("artifacts:")), "{verdict:?}");
    }
    let proof = case.bare().with_bundle(case.some(&[1, 3]));
    let opened = vec![case.output.text().to_owned(), case.note.text().to_owned()];
    let verdict = check(&proof.with_disclosures(opened));
    assert!(verdict.is_verified(), "{}", verdict.summary);
    assert_eq!(verdict.disclosed, ["outputs/1.private: output", "state.json: stages[0].note"]);
}

#[test]
fn an_aborted_run_has_a_case_too() {
    let case = case_with(|line| {
        line.end = End::Aborted;
        line.body.insert("fault".into(), json!({"code": "port_failed"}));
    });
    assert!(check(&case.full()).is_verified());
}

#[test]
fn every_lie_about_a_file_is_named() {
    let case = case();
    let with = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = case.whole();
        change(&mut entries);
        first_bad(&case.bare().with_bundle(entries))
    };
    assert_eq!(with(&|e| e[2].digest = Blake3::of(b"x")), bad("case_bundle", "/bundle"));
    assert_eq!(with(&|e| e[2].size += 1), bad("case_bundle", "/bundle"));
    assert_eq!(with(&|e| e[2].path.push('x')), bad("case_bundle", "/bundle"));
    assert_eq!(with(&|e| drop(e.pop())), bad("case_bundle", "/bundle"));
    assert_eq!(with(&|e| e[2].sha256 = Sha256::of(b"x")), bad("case_artifacts", "/bundle"));
    let text = |n: usize| with(&move |e| e[n].content = Some("{}".into()));
    assert_eq!(text(0), bad("case_content", "/bundle/0/content"));
    assert_eq!(text(1), bad("case_content", "/bundle/1/content"));
    let part = |change: &dyn Fn(&mut Entry)| {
        let mut entries = case.some(&[1, 2]);
        change(&mut entries[1]);
        first_bad(&case.bare().with_bundle(entries))
    };
    let branch = |change: &dyn Fn(&mut Branch)| part(&|e| change(e.branch.as_mut().unwrap()));
    assert_eq!(branch(&|b| b.index = 3), bad("case_bundle", "/bundle/1"));
    assert_eq!(branch(&|b| b.hashes[0] = Blake3::of(b"x")), bad("case_bundle", "/bundle/1"));
    assert_eq!(branch(&|b| b.hashes.truncate(0)), bad("case_bundle", "/bundle/1"));
    assert_eq!(part(&|e| e.size += 1), bad("case_bundle", "/bundle/1"));
    assert_eq!(part(&|e| e.sha256 = Sha256::of(b"x")), bad("case_content", "/bundle/1/content"));
}

#[test]
fn the_line_decides_what_its_documents_are() {
    let other = case_with(|line| line.state = Blake3::of(b"other"));
    assert_eq!(first_bad(&other.full()), bad("case_documents", "/bundle/3"));
    let partial = other.bare().with_bundle(other.some(&[3]));
    assert_eq!(first_bad(&partial), bad("case_documents", "/bundle/0"));
    let other = case_with(|line| line.artifacts = Some(Sha256::of(b"other")));
    assert_eq!(first_bad(&other.full()), bad("case_artifacts", "/bundle"));
    let (lines, tree) = scroll(1);
    let record = proof(&lines, &tree, 0).with_bundle(case().whole());
    assert_eq!(first_bad(&record), bad("case_bundle", "/bundle"));
}

#[test]
fn a_disclosure_opens_exactly_one_digest_or_is_refused() {
    let case = case();
    let forged = Disclosure::field(&[1; 32], "email", &json!("eve@example.org")).unwrap();
    let with = |texts: Vec<&str>| {
        let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
        check(&case.bare().with_disclosures(texts))
    };
    assert_eq!(with(vec![case.email.text()]).disclosed, ["email"]);
    for (texts, n) in [
        (vec![forged.text()], 0),
        (vec![case.email.text(), forged.text()], 1),
        (vec![case.email.text(), case.email.text()], 1),
        (vec![case.email.text(), "not a disclosure"], 1),
        // It belongs to state.json, whose text is not here.
        (vec![case.email.text(), case.note.text()], 1),
    ] {
        let verdict = with(texts);
        assert_eq!(verdict.outcome, Outcome::Tampered);
        assert_eq!(verdict.mismatch, [format!("disclosure {n}")]);
        let place = verdict.first_bad.unwrap();
        let there = format!("PROOF.json#/disclosures/{n}");
        assert_eq!((place.claim.as_str(), place.file), ("disclosures", there));
    }
}

#[test]
fn a_name_that_is_already_public_cannot_be_disclosed() {
    let case = case_with(|line| {
        line.body.insert("email".into(), json!("public@example.org"));
    });
    let proof = case.bare().with_disclosures(vec![case.email.text().to_owned()]);
    assert_eq!(first_bad(&proof), bad("disclosures", "/disclosures/0"));
}

#[test]
fn nothing_is_disclosed_by_what_was_changed() {
    let case = case();
    let mut lied = case.full();
    lied.bundle[2].size += 1;
    let verdict = check(&lied);
    assert_eq!((verdict.disclosed.len(), verdict.withheld), (0, 0), "{verdict:?}");
    assert!(!verdict.not_checked.iter().any(|s| s.contains("not seen")));
    // Documents that do not lead to the line open nothing, so what belongs to them is a stranger.
    assert!(verdict.claims.iter().any(|c| c.name == "disclosures" && !c.ok), "{verdict:?}");
}

#[test]
fn what_opens_a_stub_is_a_private_output() {
    let mut case = case();
    let stray = Disclosure::field(&[4; 32], "note", &json!("no file")).unwrap();
    let text = String::from_utf8(stub(stray.digest())).unwrap();
    case.files[1] = (Artifact::of("outputs/1.private", text.as_bytes()), text);
    let all = case.artifacts();
    let mut line = Line::parse(&case.lines[0].bytes).unwrap();
    (line.root_hash, line.artifacts) = (root(&all).unwrap(), Some(manifest_digest(&all)));
    case.lines = vec![line.seal(&issuer()).unwrap()];
    case.tree = MemoryTree::new();
    case.tree.push(leaf_hash(&case.lines[0].bytes));
    let proof = case.bare().with_bundle(case.whole());
    assert!(check(&proof).is_verified(), "closed, nobody can tell");
    let opened = proof.with_disclosures(vec![stray.text().to_owned()]);
    assert_eq!(first_bad(&opened), bad("disclosures", "/disclosures/0"));
    assert_eq!(opened.private_outputs(), []);
}

#[test]
fn disclosures_are_never_shown_by_debug() {
    let case = case();
    let text = format!("{:?}", case.full());
    assert!(case.texts().iter().all(|secret| !text.contains(secret.as_str())), "{text}");
}

#[test]
fn the_form_of_the_bundle_is_strict() {
    let case = case();
    let text = String::from_utf8(case.full().to_bytes()).unwrap();
    let partial = case.bare().with_bundle(case.some(&[1, 2]));
    let partial = String::from_utf8(partial.to_bytes()).unwrap();
    let code = |text: String| Proof::parse(text.as_bytes()).map_err(|e| e.to_string());
    let refused = |text: String, pointer: &str| {
        let error = code(text.clone()).unwrap_err();
        assert!(error.contains(&format!("{pointer:?}")), "{error}");
    };
    let replaced = |from: &str, to: &str| text.replacen(from, to, 1);
    refused(replaced("outputs/report.md", "outputs/../x"), "/bundle/2/path");
    refused(replaced("outputs/report.md", "PROOF.json"), "/bundle/2/path");
    refused(replaced("outputs/report.md", "outputs/0"), "/bundle/2/path");
    refused(replaced("\"digest\":\"blake3:", "\"digest\":\"sha256:"), "/bundle/0/digest");
    refused(replaced("\"size\":7}", "\"size\":\"7\"}"), "/bundle/2/size");
    refused(replaced("\"size\":7}", "\"size\":7,\"x\":1}"), "/bundle/2/x");
    refused(replaced("\"disclosures\":[", "\"disclosures\":[1,"), "/disclosures/0");
    refused(replaced("\"anchors\":[]", "\"anchors\":[1]"), "/anchors");
    let replaced = |from: &str, to: &str| partial.replacen(from, to, 1);
    refused(replaced("\"of\":4", "\"of\":1"), "/bundle/0/of");
    refused(replaced("\"of\":4", "\"of\":5"), "/bundle/1/index");
    refused(replaced("\"of\":4,", ""), "/bundle/0/of");
    refused(replaced("\"index\":2", "\"index\":1"), "/bundle/1/index");
    let mixed = case.bare().with_bundle([case.some(&[1]), vec![case.whole().remove(2)]].concat());
    refused(String::from_utf8(mixed.to_bytes()).unwrap(), "/bundle/1/index");
}

#[test]
fn every_changed_byte_of_a_proof_with_a_case_is_noticed() {
    let case = case();
    let trust = trust();
    for proof in [case.full(), case.bare().with_bundle(case.some(&[1, 3]))] {
        let bytes = proof.to_bytes();
        let partial = proof.bundle[0].branch.is_some();
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << (place % 7);
            let verdict = verify_bytes(&flipped, &trust);
            // The count of files is not in a tree: a few wrong ones lead to the same root.
            let count = || {
                let text = String::from_utf8_lossy(&bytes[..place + 1]).into_owned();
                partial && text.trim_end_matches(char::is_numeric).ends_with("\"of\":")
            };
            assert!(!verdict.is_verified() || count(), "{place}: {verdict:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_bundle_panics(path in "(contract.json|state.json|outputs/[a-z.]{1,9})", size in 0_u64..1 << 53, index in 0_u64..9, of in 0_u64..9, content in prop::option::of("\\PC{0,20}"), some in any::<bool>(), text in "\\PC{0,40}") {
        let case = case();
        let branch = some.then(|| Branch { index, of, hashes: vec![Blake3::of(b"x")] });
        let entry = Entry { path, size, digest: Blake3::of(b"y"), sha256: Sha256::of(b"z"), branch, content };
        let proof = case.bare().with_bundle(vec![entry]).with_disclosures(vec![text]);
        prop_assert!(!verify(&proof, &trust()).is_verified());
        prop_assert!(!verify_bytes(&proof.to_bytes(), &trust()).is_verified());
        if let Ok(read) = Proof::parse(&proof.to_bytes()) {
            prop_assert_eq!(read, proof);
        }
    }
}
