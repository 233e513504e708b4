//! What can be said of a line without its neighbours: the part of the work that all cores share.

use super::once::Print;
use rayon::prelude::*;
use std::collections::HashMap;
use vm_receipts::key::PublicKey;
use vm_receipts::line::{self, Issuer, Line, LineError, Stored};
use vm_scrolls::tree::{self, Hash};
use vm_scrolls::trust::Trust;

/// Fewest lines that are worth giving to another core.
const LINES_MIN: usize = 4;

/// A line that stands by itself.
pub(super) struct Alone {
    /// The line. What is only of use to itself (body, authority, tags, proof) is left out, but for a genesis and for
    /// the first line of a call with a case.
    pub(super) line: Box<Line>,
    pub(super) leaf: Hash,
    pub(super) print: Print,
    /// Whether the trust file knows the issuer.
    pub(super) known: bool,
    /// What is wrong with the actor's own signature; `None` where there is no such signature.
    pub(super) actor: Option<Result<(), String>>,
}

/// A line that no scroll can hold.
pub(super) struct Bad {
    pub(super) at: u64,
    pub(super) claim: &'static str,
    pub(super) detail: String,
    /// Whether there are NULs in the line, as a crash leaves them where blocks of a write did not reach the disk.
    pub(super) nul: bool,
}

/// What lines are checked against.
pub(super) struct Checks {
    issuers: HashMap<String, Issuer>,
    /// The ledger that actors signed for: what the first line of the scroll says.
    ledger: String,
}

impl Checks {
    /// The keys of a trust file, and the ledger that the first line names.
    pub(super) fn new(trust: &Trust, first: Option<&[u8]>) -> Checks {
        let issuers = trust.issuers.iter().map(|key| Issuer::new(*key));
        let issuers = issuers.map(|issuer| (issuer.did().to_owned(), issuer)).collect();
        let first = first.and_then(|bytes| Line::parse(bytes).ok());
        let ledger = first.and_then(|line| Some(line.body.get("ledger")?.as_str()?.to_owned()));
        Checks { issuers, ledger: ledger.unwrap_or_default() }
    }

    /// Checks lines side by side.
    pub(super) fn all(&self, lines: &[&[u8]]) -> Vec<Result<Alone, Bad>> {
        lines
            .par_iter()
            .with_min_len(LINES_MIN)
            .map(|bytes| self.one(bytes).map_err(|bad| Bad { nul: bytes.contains(&0), ..bad }))
            .collect()
    }

    fn one(&self, bytes: &[u8]) -> Result<Alone, Bad> {
        let bad = |claim| {
            move |e: LineError| Bad { at: e.at as u64, claim, detail: e.message, nul: false }
        };
        let stored = Stored::read(bytes).map_err(bad("line_reads"))?;
        let line = stored.line();
        if line.artifacts.is_none() {
            let derived = line::record_digests(line);
            if derived != (line.contract, line.state, line.root_hash) {
                let detail = "contract, state or root_hash do not follow from the line".to_owned();
                return Err(Bad { at: 0, claim: "record_digests", detail, nul: false });
            }
        }
        let known = self.issuers.get(&line.issuer);
        match known {
            Some(issuer) => stored.verify(issuer),
            // A key that is not trusted can still show that the line was not changed after it was sealed.
            None => stored.verify(&Issuer::new(stranger(&line.issuer)?)),
        }
        .map_err(bad("sealed"))?;
        let actor = self.actor(&stored);
        let (known, print) = (known.is_some(), Print::of(&line.id));
        let leaf = tree::leaf_hash(bytes);
        Ok(Alone { line: Box::new(kept(stored.into_line())), leaf, print, known, actor })
    }

    /// The actor's own signature over the intent, where there is one.
    fn actor(&self, stored: &Stored<'_>) -> Option<Result<(), String>> {
        let verified = stored.verify_actor(&self.ledger)?;
        let line = stored.line();
        let key = line.actor_proof.as_ref().map_or("", |proof| &proof.key);
        Some(match verified {
            Ok(()) if key == line.actor => Ok(()),
            Ok(()) => Err(format!("it is signed by {key}, not by {}", line.actor)),
            Err(e) => Err(e.to_string()),
        })
    }
}

fn stranger(issuer: &str) -> Result<PublicKey, Bad> {
    PublicKey::from_did(issuer).map_err(|e| Bad {
        at: 0,
        claim: "issuer_key",
        detail: e.to_string(),
        nul: false,
    })
}

/// Drops here, where it was made, what nobody asks of a line later.
fn kept(mut line: Line) -> Line {
    let has_case = line.artifacts.is_some() && line.part.n == 1;
    if line.kind != "ledger_open" && !has_case {
        line.body = Default::default();
        line.authority = Default::default();
        line.tags = Vec::new();
        line.proof = None;
        line.actor_proof = None;
    }
    line
}
