//! Homes with cases, and proofs with files and disclosures.

use crate::script::{lay_down, python, second_opinion};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;
use vm_receipts::case::{Artifact, CaseReport, Folder, check_case};
use vm_receipts::line::Line;
use vm_receipts::private::Disclosure;
use vm_receipts::{Blake3, Sha256};
use vm_scrolls::proof::{self, Proof};
use vm_tests::cases::{Cases, Tree, genesis};
use vm_tests::change::changed;
use vm_tests::world::Dice;

/// Random changes of each proof, besides the chosen ones.
const CHANGES: usize = 60;

fn sample() -> Cases {
    Cases::after(&[genesis()])
}

/// Asks verify.py about these files or folders, one after the other.
fn asked<T>(cases: &[T], write: impl Fn(&T, &PathBuf)) -> Option<Vec<Value>> {
    let script = python()?;
    let room = tempfile::tempdir().unwrap();
    let trust = room.path().join("trust.txt");
    fs::write(&trust, Cases::trust().to_string()).unwrap();
    let paths: Vec<PathBuf> = (0..cases.len()).map(|n| room.path().join(n.to_string())).collect();
    cases.iter().zip(&paths).for_each(|(case, path)| write(case, path));
    Some(second_opinion(&script, &trust, &paths))
}

/// Proofs that lie about their files and disclosures, each in one way.
fn spoiled_proofs(known: &Cases) -> Vec<Proof> {
    let (whole, some) = (known.whole(0), known.some(0, &[1, 2, 4]));
    let mut all = vec![whole.clone(), known.whole(1), some.clone(), known.bare(0)];
    let mut with = |proof: &Proof, change: &dyn Fn(&mut Proof)| {
        let mut proof = proof.clone();
        change(&mut proof);
        all.push(proof);
    };
    for proof in [&whole, &some] {
        for n in 0..proof.bundle.len() {
            with(proof, &|p| p.bundle[n].size += 1);
            with(proof, &|p| p.bundle[n].digest = Blake3([0; 32]));
            with(proof, &|p| p.bundle[n].sha256 = Sha256([0; 32]));
            with(proof, &|p| p.bundle[n].content = Some("{\"v\":1}".into()));
            with(proof, &|p| p.bundle[n].content = None);
            with(proof, &|p| p.bundle[n].path = "outputs/report.md".into());
            with(proof, &|p| drop(p.bundle.remove(n)));
        }
        with(proof, &|p| p.bundle.swap(0, 1));
        with(proof, &|p| p.bundle[1].path = "PROOF.json".into());
    }
    for n in 0..some.bundle.len() {
        let mut branch = |change: &dyn Fn(&mut proof::Branch)| {
            with(&some, &|p| change(p.bundle[n].branch.as_mut().unwrap()))
        };
        branch(&|b| b.index += 1);
        branch(&|b| b.of += 1);
        branch(&|b| b.hashes.truncate(1));
        branch(&|b| b.hashes.push(Blake3([0; 32])));
        with(&some, &|p| p.bundle[n].branch = None);
    }
    let forged = Disclosure::field(&[10; 32], "email", &json!("eve@example.org")).unwrap();
    let forged = forged.text().to_owned();
    for n in 0..whole.disclosures.len() {
        with(&whole, &|p| p.disclosures.truncate(n));
        with(&whole, &|p| p.disclosures.insert(n, forged.clone()));
        with(&whole, &|p| p.disclosures.push(p.disclosures[n].clone()));
        with(&whole, &|p| p.disclosures[n].push('A'));
        with(&known.bare(0), &|p| p.disclosures.push(whole.disclosures[n].clone()));
        with(&some, &|p| p.disclosures.push(whole.disclosures[n].clone()));
    }
    with(&whole, &|p| p.line = p.line.replace("run-1", "run-3"));
    all
}

#[test]
fn both_say_the_same_of_a_proof_with_a_case_and_of_every_spoiled_copy() {
    let known = sample();
    let mut files: Vec<Vec<u8>> = spoiled_proofs(&known).iter().map(Proof::to_bytes).collect();
    let mut dice = Dice::new(3);
    for proof in [known.whole(0), known.some(1, &[0, 3])] {
        let bytes = proof.to_bytes();
        files.extend((0..CHANGES).map(|_| changed(&bytes, &bytes, &mut dice)));
    }
    let written = asked(&files, |bytes, path| fs::write(path, bytes).unwrap());
    let Some(second) = written else { return };
    let mut outcomes = BTreeMap::new();
    for (bytes, second) in files.iter().zip(&second) {
        let first = proof::verify_bytes(bytes, &Cases::trust());
        *outcomes.entry(first.outcome.as_str()).or_insert(0) += 1;
        let place = first.first_bad.as_ref().map(|place| place.file.clone());
        let said = (
            json!(first.outcome.as_str()),
            json!(place),
            json!(first.disclosed),
            json!(first.withheld),
        );
        let other = second["first_bad"].get("file").cloned().unwrap_or(Value::Null);
        let other = (
            second["outcome"].clone(),
            other,
            second["disclosed"].clone(),
            second["withheld"].clone(),
        );
        // In bytes that are no proof the place of the fault can be seen in two ways.
        assert_eq!(said, other, "{}\n{}\n{second}", bytes.escape_ascii(), first.summary);
    }
    println!("{} proofs: {outcomes:?}", files.len());
    assert!(outcomes["verified"] > 10 && outcomes["tampered"] > 50, "{outcomes:?}");
}

/// Homes in which a case was touched: what was done, the home, what must come out and which file must be named.
fn touched_homes(known: &Cases) -> Vec<(String, Tree, &'static str, Option<String>)> {
    let mut all = Vec::new();
    let mut with = |what: &str, outcome, named: Option<&str>, change: &dyn Fn(&mut Tree)| {
        let mut files = known.home();
        change(&mut files);
        all.push((what.to_owned(), files, outcome, named.map(str::to_owned)));
    };
    let case = "cases/toy/run-1/";
    let moved = |files: &mut Tree, list: bool| {
        let inside: Vec<String> = files.keys().filter(|p| p.starts_with(case)).cloned().collect();
        for path in inside {
            let bytes = files.remove(&path).unwrap();
            if list || !path.ends_with("ARTIFACTS.sha256") {
                files.insert(path.replace("cases/", "runs/"), bytes);
            }
        }
    };
    with("nothing", "verified", None, &|_| {});
    with("left in runs", "verified", None, &|files| moved(files, true));
    with("left in runs without a list", "verified", None, &|files| moved(files, false));
    with("a proof and a claim beside it", "verified", None, &|files| {
        files.insert(format!("{case}PROOF.json"), Vec::new());
        files.insert(format!("{case}claim.1"), Vec::new());
    });
    with("no folder", "cannot-evaluate", Some("cases/toy/run-1"), &|files| {
        files.retain(|path, _| !path.starts_with(case));
    });
    for path in known.cases[0].files.keys() {
        let path = format!("{case}{path}");
        with(&format!("{path} changed"), "tampered", Some(&path), &|files| {
            files.get_mut(&path).unwrap().push(b' ');
        });
        with(&format!("{path} gone"), "tampered", Some(&path), &|files| {
            files.remove(&path);
        });
    }
    for path in ["outputs/new", "outputs/deep/er/new", "outputs/2.private"] {
        let path = format!("{case}{path}");
        with("one file more", "tampered", Some(&path), &|files| {
            files.insert(path.clone(), b"x".to_vec());
        });
    }
    with("changed in runs", "tampered", Some("runs/toy/run-1/outputs"), &|files| {
        moved(files, false);
        files.insert("runs/toy/run-1/outputs/report.md".into(), b"x".to_vec());
    });
    with(
        "a contract changed in runs",
        "tampered",
        Some("runs/toy/run-1/contract.json"),
        &|files| {
            moved(files, false);
            files.insert("runs/toy/run-1/contract.json".into(), b"{}".to_vec());
        },
    );
    with("another list", "tampered", Some(&format!("{case}ARTIFACTS.sha256")), &|files| {
        let list = files[&format!("{case}ARTIFACTS.sha256")].clone();
        let other = String::from_utf8(list).unwrap().replace("report", "retort");
        files.insert(format!("{case}ARTIFACTS.sha256"), other.into_bytes());
    });
    all
}

/// What the function that every program of this house asks says of the first case of a home.
fn first_opinion(known: &Cases, files: &Tree) -> Option<(CaseReport, String)> {
    let line = Line::parse(&known.cases[0].line).unwrap();
    let folders = ["cases/toy/run-1/", "runs/toy/run-1/"];
    let folder = folders.iter().find(|f| files.keys().any(|path| path.starts_with(**f)))?;
    let below: BTreeMap<&str, &Vec<u8>> = files
        .iter()
        .filter_map(|(path, bytes)| Some((path.strip_prefix(*folder)?, bytes)))
        .collect();
    let listing: Vec<String> = below.keys().map(|path| (*path).to_owned()).collect();
    let seen = Folder {
        manifest: below.get("ARTIFACTS.sha256").map(|bytes| bytes.as_slice()),
        files: &listing,
        finished: folder.starts_with("cases/"),
    };
    let report = check_case::<Infallible>(&line, seen, &mut |path| {
        Ok(below.get(path).map(|bytes| Artifact::of(path, bytes)))
    });
    Some((report.unwrap(), (*folder).to_owned()))
}

#[test]
fn both_say_the_same_of_a_case_in_a_home() {
    let known = sample();
    let homes = touched_homes(&known);
    let laid = asked(&homes, |(_, files, _, _), path| lay_down(files, path));
    let Some(second) = laid else { return };
    for ((what, files, outcome, named), second) in homes.iter().zip(&second) {
        assert_eq!(second["outcome"], *outcome, "{what}: {second}");
        let first = first_opinion(&known, files);
        match named {
            None => assert_eq!(first.unwrap().0.faults, [], "{what}"),
            Some(path) if *outcome == "tampered" => {
                assert_eq!(second["first_bad"]["file"], *path, "{what}: {second}");
                let (report, folder) = first.unwrap();
                let fault = &report.faults[0];
                assert_eq!(format!("{folder}{}", fault.file), *path, "{what}: {report:?}");
                assert_eq!(second["first_bad"]["claim"], fault.claim, "{what}: {second}");
            }
            Some(path) => {
                assert!(first.is_none(), "{what}");
                assert!(second["missing"][0].as_str().unwrap().contains(path), "{what}: {second}");
            }
        }
    }
}
