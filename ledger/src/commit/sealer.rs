//! Sealing the lines of a batch in a pool, while the calls after them are still being decided.
//!
//! All lines of a batch name the same history, and no seal depends on another: a line can be written and signed as soon as
//! its call is decided. Its signature means nothing before the batch is durable, and leaves this process only then.

use rayon::prelude::*;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use vm_contracts::{Failure, Fault};
use vm_receipts::key::SecretKey;
use vm_receipts::line::{self, Line, LineError, Prepared, Sealed};
use vm_scrolls::query::terms::{Term, TermFields};
use vm_scrolls::tree::{Hash, leaf_hash};

/// Lines that go to the pool together: few, so that the last of a batch do not wait for one thread.
const CHUNK: usize = 16;
/// Lines that are signed at once by whoever waits for them: waking the pool would take as long.
const ALONE: usize = 3;

/// A line that is decided, and what it still lacks.
#[derive(Clone)]
pub(crate) struct Unsealed {
    pub line: Line,
    /// A record: the digests of its contract and state are worked out when it is sealed.
    pub is_record: bool,
}

impl Unsealed {
    /// Written, so that nothing but its signature is missing.
    pub fn prepare(mut self) -> Result<Prepared, LineError> {
        if self.is_record {
            let (contract, state, root_hash) = line::record_digests(&self.line);
            self.line = Line { contract, state, root_hash, ..self.line };
        }
        self.line.prepare()
    }
}

/// Why lines could not be sealed.
#[derive(Clone, Debug)]
pub(crate) enum Unsealable {
    /// A line does not fit a receipt, for this reason.
    Line(String),
    /// Something of ours.
    Failed(Failure),
}

/// A sealed line with all that taking it in needs.
pub(crate) struct Ready {
    pub line: Line,
    pub bytes: Vec<u8>,
    pub leaf: Hash,
    /// Where there is an index to come.
    pub terms: Option<Vec<Term>>,
}

type Part = (usize, Result<Vec<Ready>, Unsealable>);

/// Seals lines in the order they are given.
pub(crate) struct Sealer {
    key: Arc<SecretKey>,
    fields: Option<Arc<TermFields>>,
    /// Lines not given to the pool yet.
    open: Vec<Unsealed>,
    /// Chunks given to the pool.
    given: usize,
    done: (Sender<Part>, Receiver<Part>),
}

impl Sealer {
    /// A sealer with this key; it finds the terms of these fields, if any.
    pub fn new(key: Arc<SecretKey>, fields: Option<Arc<TermFields>>) -> Self {
        Self { key, fields, open: Vec::new(), given: 0, done: mpsc::channel() }
    }

    /// Takes lines; a full chunk is signed from now on.
    pub fn give(&mut self, lines: impl IntoIterator<Item = Unsealed>) {
        self.open.extend(lines);
        if self.open.len() >= CHUNK {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let lines = std::mem::take(&mut self.open);
        let (key, fields) = (self.key.clone(), self.fields.clone());
        let (place, done) = (self.given, self.done.0.clone());
        self.given += 1;
        rayon::spawn(move || {
            let sealed = lines.into_iter().map(|l| seal_one(l, &key, fields.as_deref())).collect();
            // Nobody waits any more for a batch that was given up.
            let _ = done.send((place, sealed));
        });
    }

    /// All lines given, sealed, in their order.
    pub fn finish(&mut self) -> Result<Vec<Ready>, Unsealable> {
        let (key, fields) = (&*self.key, self.fields.as_deref());
        if self.given == 0 {
            let lines = std::mem::take(&mut self.open);
            return match lines.len() > ALONE {
                true => lines.into_par_iter().map(|l| seal_one(l, key, fields)).collect(),
                false => lines.into_iter().map(|l| seal_one(l, key, fields)).collect(),
            };
        }
        // The last few are signed here, beside what the pool still has.
        let rest = std::mem::take(&mut self.open);
        let rest = rest.into_iter().map(|l| seal_one(l, key, fields)).collect();
        let mut parts = vec![(self.given, rest)];
        for _ in 0..std::mem::take(&mut self.given) {
            parts.push(self.done.1.recv().map_err(|_| Unsealable::Failed(lost().into()))?);
        }
        parts.sort_unstable_by_key(|(place, _)| *place);
        let mut all = Vec::new();
        for (_, part) in parts {
            all.extend(part?);
        }
        Ok(all)
    }
}

impl From<Unsealable> for Failure {
    /// Where nobody decided the line who could be refused, a line that does not fit is a fault of ours.
    fn from(unsealable: Unsealable) -> Failure {
        match unsealable {
            Unsealable::Failed(failure) => failure,
            Unsealable::Line(what) => {
                Fault { retryable: false, ..Fault::new("seal_failed", what) }.into()
            }
        }
    }
}

fn lost() -> Fault {
    Fault { retryable: false, ..Fault::new("seal_failed", "the pool that signs has ended") }
}

fn seal_one(
    unsealed: Unsealed,
    key: &SecretKey,
    fields: Option<&TermFields>,
) -> Result<Ready, Unsealable> {
    let seq = unsealed.line.seq;
    let prepared = unsealed.prepare().map_err(|e| Unsealable::Line(e.message))?;
    let Sealed { line, bytes } = prepared.seal(key).map_err(|e| {
        let what = format!("line {seq} could not be sealed: {}", e.message);
        let fault = Fault { retryable: false, ..Fault::new("seal_failed", what) };
        Unsealable::Failed(fault.into())
    })?;
    let leaf = leaf_hash(&bytes);
    let terms = fields.map(|fields| fields.of_line(&line));
    Ok(Ready { line, bytes, leaf, terms })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_contracts::Map;
    use vm_receipts::digest::Blake3;
    use vm_receipts::line::{Context, End, Part, Prev};
    use vm_receipts::moment::Moment;

    fn line(key: &SecretKey, seq: u64) -> Unsealed {
        let zero = Blake3([0; 32]);
        let line = Line {
            kind: "toy_note".into(),
            op: "toy.note".into(),
            scroll: "toy".into(),
            seq,
            id: format!("n{seq}"),
            part: Part { n: 1, of: 1 },
            intent: zero,
            issuer: key.did().into(),
            actor: "local:1".into(),
            context: Context { surface: "test".into(), node: "n1".into(), demo: true },
            actor_proof: None,
            authority: vm_contracts::Authority::owner().0,
            at: Moment::from_unix_ms(1_767_323_045_000).unwrap(),
            end: End::Completed,
            contract: zero,
            state: zero,
            root_hash: zero,
            artifacts: None,
            prev: Prev { size: 0, root: [0; 32] },
            tags: Vec::new(),
            body: Map::new(),
            proof: None,
        };
        Unsealed { line, is_record: true }
    }

    #[test]
    fn lines_come_back_sealed_in_the_order_they_were_given() {
        let key = Arc::new(SecretKey::from_seed([3; 32]));
        for count in [0, 1, ALONE + 1, CHUNK - 1, CHUNK, 3 * CHUNK + 5] {
            let mut sealer = Sealer::new(key.clone(), None);
            (0..count as u64).for_each(|seq| sealer.give([line(&key, seq)]));
            let ready = sealer.finish().unwrap();
            let seqs: Vec<u64> = ready.iter().map(|r| r.line.seq).collect();
            assert_eq!(seqs, (0..count as u64).collect::<Vec<_>>());
            assert!(ready.iter().all(|r| r.leaf == leaf_hash(&r.bytes)));
        }
    }
}
