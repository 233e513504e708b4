//! Oracles for what is private and for the files of a case.

use crate::cases::Cases;
use serde_json::json;
use std::sync::OnceLock;
use vm_receipts::case::{is_case_path, parse_manifest, parse_stub, stub};
use vm_receipts::private::{Disclosure, digests, disclosure_digest, reveal};
use vm_scrolls::proof::{self, Entry, Proof};
use vm_scrolls::verdict::Outcome;

/// A disclosure on the first line, a document on the rest: what opens is there once, and nothing reserved stays.
pub fn disclosure(data: &[u8]) {
    let cut = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (text, rest) = (&data[..cut], data.get(cut + 1..).unwrap_or_default());
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(opening) = Disclosure::parse_general(text) else {
        assert!(Disclosure::parse(text).is_err(), "narrow takes what general refuses");
        return;
    };
    assert_eq!(opening.text(), text);
    assert_eq!(opening.digest(), disclosure_digest(text));
    assert!(opening.salt().len() >= 16);
    assert!(!format!("{opening:?}").contains(text), "shown by Debug");
    let own = match (opening.name(), opening.salt().try_into()) {
        (Some(name), Ok(salt)) => Disclosure::field(&salt, name, opening.value()),
        (None, Ok(salt)) => Disclosure::item(&salt, opening.value()),
        _ => Err(vm_receipts::private::SdError::DisclosureSalt),
    };
    if let Ok(own) = own {
        assert_eq!(Disclosure::parse(own.text()).as_ref(), Ok(&own), "what is written is read");
        assert_eq!(own.value(), opening.value());
    }
    let given = std::slice::from_ref(&opening);
    let holder = match opening.name() {
        Some(_) => json!({"_sd": [opening.digest()]}),
        None => json!({"list": [{"...": opening.digest()}]}),
    };
    if let Ok(shown) = reveal(holder.as_object().expect("an object"), given) {
        assert_eq!(shown.disclosed.len(), 1);
        assert_eq!(digests(&shown.document), Vec::<String>::new());
    }
    let Ok(document) = vm_receipts::json::parse(rest) else { return };
    let Some(document) = document.as_object() else { return };
    let standing = digests(document);
    if let Ok(shown) = reveal(document, given) {
        assert_eq!((shown.disclosed.len(), digests(&shown.document).len()), (1, 0));
        let without = reveal(document, &[]).expect("less is refused for nothing more");
        assert_eq!(without.withheld, standing.len());
        assert!(shown.withheld + 1 >= standing.len());
        let whole = vm_receipts::json::canonical(&shown.document.into());
        assert!(whole.is_ok(), "a revealed document left the profile");
    }
}

/// ARTIFACTS.sha256 and stubs: one spelling each, and only paths of a case.
pub fn case_list(data: &[u8]) {
    if let Ok(digest) = parse_stub(data) {
        assert_eq!(stub(&digest), data);
        assert!(parse_manifest(data).is_err());
    }
    let Ok(files) = parse_manifest(data) else { return };
    let line = |(path, sha256): &(String, vm_receipts::Sha256)| {
        assert!(is_case_path(path) && !path.contains(".."), "{path}");
        format!("{}  {path}\n", &sha256.to_string()["sha256:".len()..])
    };
    assert_eq!(files.iter().map(line).collect::<String>().as_bytes(), data);
    assert!(files.windows(2).all(|pair| pair[0].0.as_bytes() < pair[1].0.as_bytes()));
}

fn original() -> &'static (Cases, Vec<Proof>) {
    static KNOWN: OnceLock<(Cases, Vec<Proof>)> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let cases = Cases::after(&[]);
        let whole = vec![cases.whole(0), cases.whole(1)];
        (cases, whole)
    })
}

/// A PROOF.json with files and disclosures: what verifies names no file and opens no value that was not sealed.
pub fn proof_case(data: &[u8]) {
    let (known, whole) = original();
    let trust = Cases::trust();
    let verdict = proof::verify_bytes(data, &trust);
    assert_eq!(verdict, proof::verify_bytes(data, &trust));
    let parsed = Proof::parse(data);
    if let Ok(parsed) = &parsed {
        assert_eq!(parsed.to_bytes(), data);
        let _ = parsed.private_outputs();
    }
    assert_eq!(verdict.outcome == Outcome::Tampered, verdict.first_bad.is_some());
    if verdict.outcome != Outcome::Verified {
        return;
    }
    let proof = parsed.expect("what verifies also reads");
    let case = known.cases.iter().position(|case| case.line == proof.line.as_bytes());
    let sealed = &whole[case.expect("a line nobody sealed is proved")];
    for entry in &proof.bundle {
        let known = sealed.artifact(&entry.path).expect("a file nobody sealed is proved");
        assert_eq!((entry.size, entry.digest), (known.size, known.digest), "{}", entry.path);
        // The tree does not bind a file's SHA-256; the whole list does, and so does the text.
        if entry.branch.is_none() || entry.content.is_some() {
            assert_eq!(entry.sha256, known.sha256, "{}", entry.path);
        }
        assert!(entry.content.is_none() || is_sealed(entry, known), "{}", entry.path);
    }
    for text in &proof.disclosures {
        assert!(sealed.disclosures.contains(text), "a disclosure nobody sealed is taken");
    }
    assert_eq!(verdict.disclosed.len(), proof.disclosures.len());
}

fn is_sealed(entry: &Entry, known: &Entry) -> bool {
    entry.content.as_ref().is_some_and(|text| known.is(text.as_bytes()))
}
