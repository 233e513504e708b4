//! The disclosures of a proof, held against the digests in the line and in the documents it carries.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};
use vm_receipts::case::{self, CONTRACT, PrivateOutput, STATE};
use vm_receipts::json;
use vm_receipts::line::Line;
use vm_receipts::private::{self, Disclosure, RevealError};

use super::check::place;
use super::{Entry, Proof};
use crate::verdict::Findings;

const NAME: &str = "disclosures";

/// A document in which digests can stand: the body of the line, or a file of the case.
struct Document<'a> {
    /// Empty for the body.
    path: &'a str,
    /// Where it stands in the proof.
    member: String,
    map: Map<String, Value>,
}

impl Document<'_> {
    fn call(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}: {name}", self.path) }
    }
}

/// Checks that every disclosure opens a digest, each once, and counts what stayed closed.
pub(super) fn check(proof: &Proof, line: &Line, read: &[(usize, &Entry)], findings: &mut Findings) {
    let Some(given) = parse(proof, findings) else { return };
    let Some(documents) = documents(line, read, findings) else { return };
    let by_digest = given.iter().enumerate().map(|(n, one)| (one.digest(), n)).collect();
    let mut opened = Opened { by_digest, names: vec![None; given.len()], closed: BTreeSet::new() };
    for document in &documents {
        if let Err((error, n)) = opened.document(document, &given) {
            return refuse(error, n, document, findings);
        }
    }
    if let Some(n) = opened.names.iter().position(Option::is_none) {
        return refuse(RevealError::Unmatched(n), Some(n), &documents[0], findings);
    }
    if let Err((n, detail)) = opened.outputs(&documents, &given) {
        return findings.contradicted(place(&format!("/disclosures/{n}"), NAME, None), detail);
    }
    if !given.is_empty() {
        let detail = format!("each of {} opens a digest that was sealed", given.len());
        findings.holds(NAME, detail);
    }
    findings.disclosed(opened.names.into_iter().flatten());
    findings.withheld(opened.closed.len());
}

fn refuse(error: RevealError, n: Option<usize>, document: &Document<'_>, findings: &mut Findings) {
    let detail = match document.path {
        "" => error.to_string(),
        path => format!("{path}: {error}"),
    };
    match n {
        Some(n) => {
            findings.mismatch(format!("disclosure {n}"));
            findings.contradicted(place(&format!("/disclosures/{n}"), NAME, None), detail);
        }
        None => findings.contradicted(place(&document.member, NAME, None), detail),
    }
}

/// All disclosures read and different, or `None` after saying which is not.
fn parse(proof: &Proof, findings: &mut Findings) -> Option<Vec<Disclosure>> {
    let mut given: Vec<Disclosure> = Vec::with_capacity(proof.disclosures.len());
    let mut seen = BTreeSet::new();
    for (n, text) in proof.disclosures.iter().enumerate() {
        let wrong = match Disclosure::parse(text) {
            Ok(disclosure) if seen.insert(disclosure.digest().to_owned()) => {
                given.push(disclosure);
                continue;
            }
            Ok(_) => RevealError::Repeated(n).to_string(),
            Err(error) => format!("disclosure {n}: {error}"),
        };
        findings.mismatch(format!("disclosure {n}"));
        findings.contradicted(place(&format!("/disclosures/{n}"), NAME, None), wrong);
        return None;
    }
    Some(given)
}

/// The body, and every contract.json, state.json and stub whose text was found to be what was sealed.
fn documents<'a>(
    line: &Line,
    read: &[(usize, &'a Entry)],
    findings: &mut Findings,
) -> Option<Vec<Document<'a>>> {
    let body = Document { path: "", member: "/line".to_owned(), map: line.body.clone() };
    let mut documents = vec![body];
    for (n, entry) in read {
        let (path, content) = (entry.path.as_str(), entry.content.as_deref().unwrap_or_default());
        if !matches!(path, CONTRACT | STATE) && !case::is_stub_path(path) {
            continue;
        }
        let stub = case::is_stub_path(path);
        let text = content.strip_suffix('\n').unwrap_or(content);
        let member = format!("/bundle/{n}/content");
        let wrong = match json::parse(text.as_bytes()) {
            _ if stub && case::parse_stub(content.as_bytes()).is_err() => {
                "it is not the stub of a private output".to_owned()
            }
            Ok(Value::Object(map)) => {
                documents.push(Document { path, member, map });
                continue;
            }
            Ok(_) => "it is not a JSON object".to_owned(),
            Err(error) => error.to_string(),
        };
        findings.contradicted(place(&member, NAME, None), format!("{path}: {wrong}"));
        return None;
    }
    Some(documents)
}

struct Opened<'a> {
    /// Which disclosure opens a digest.
    by_digest: HashMap<&'a str, usize>,
    /// What each disclosure opened, the first time it opened something.
    names: Vec<Option<String>>,
    /// Digests nothing opened. The same one may stand in several documents.
    closed: BTreeSet<String>,
}

impl Opened<'_> {
    /// One document, with those disclosures whose digests stand in it.
    fn document(
        &mut self,
        document: &Document<'_>,
        given: &[Disclosure],
    ) -> Result<(), (RevealError, Option<usize>)> {
        let standing = private::digests(&document.map);
        let mut here: Vec<usize> = standing
            .iter()
            .filter_map(|digest| self.by_digest.get(digest.as_str()).copied())
            .collect();
        here.sort_unstable();
        here.dedup();
        let some: Vec<Disclosure> = here.iter().map(|n| given[*n].clone()).collect();
        let revealed = private::reveal(&document.map, &some).map_err(|error| {
            let error = error.renumbered(|n| here[n]);
            let n = error.disclosure();
            (error, n)
        })?;
        for (n, name) in here.iter().zip(&revealed.disclosed) {
            self.names[*n].get_or_insert_with(|| document.call(name));
        }
        let closed = standing.into_iter().filter(|d| !self.by_digest.contains_key(d.as_str()));
        self.closed.extend(closed);
        Ok(())
    }

    /// What opens a stub describes a file.
    fn outputs(
        &self,
        documents: &[Document<'_>],
        given: &[Disclosure],
    ) -> Result<(), (usize, String)> {
        for document in documents.iter().filter(|document| case::is_stub_path(document.path)) {
            let standing = private::digests(&document.map);
            for n in standing.iter().filter_map(|d| self.by_digest.get(d.as_str()).copied()) {
                PrivateOutput::of(&given[n])
                    .map_err(|error| (n, format!("{}: disclosure {n}: {error}", document.path)))?;
            }
        }
        Ok(())
    }
}
