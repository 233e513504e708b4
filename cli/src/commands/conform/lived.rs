//! Rows that are shown by living through the examples in a scratch home.

use crate::commands::conform::Shown;
use crate::commands::conform::scratch::{Outcomes, Scratch, call, example, id, tell, try_examples};
use crate::exit::Stop;
use crate::session::{House, actor};
use std::collections::BTreeSet;
use std::sync::Arc;
use vm_contracts::{
    Actor, AnyEngine, Authority, Call, Failure, Gate, Import, Line, OwnerGate, Refusal,
    RefusalKind, Source, Spec, Value,
};
use vm_ledger::Answer;
use vm_ledger::audit::{self_asserted_trust, verify_home};
use vm_ledger::fs::Fs;
use vm_ledger::heads::Head;
use vm_ledger::home::Owned;
use vm_receipts::line::record_digests;
use vm_scrolls::query::{Query, QueryField, matches};
use vm_scrolls::tree::{self, Hash};

/// Threads that send the same call at once.
const WRITERS: usize = 32;

/// Lines that get a flipped bit, spread over all; each costs a whole verification.
const FLIPS_MAX: usize = 32;

/// What living showed.
pub struct Lived {
    pub contract: Shown,
    pub receipts: Shown,
    pub append_only: Shown,
    pub root: Shown,
    pub query: Shown,
    pub fold: Shown,
    pub idempotency: Shown,
    pub authority: Shown,
    pub samples: Shown,
}

/// A foreign file to live through as well.
pub struct Sample {
    /// Its name, which tells the format.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Refuses everyone.
struct NobodyGate;

impl Gate for NobodyGate {
    fn may(&self, _actor: &Actor, needs: &str) -> Result<Authority, Refusal> {
        Err(Refusal::new("not_allowed", RefusalKind::NotAllowed, format!("nobody may {needs}")))
    }
}

/// Makes a scratch home, asks for every example, and looks at what came of it.
pub fn live(
    house: House,
    engine: &'static dyn AnyEngine,
    samples: &[Sample],
) -> Result<Lived, Stop> {
    let scratch = Scratch::make(house)?;
    let authority = authority(&scratch, engine)?;

    let owned = scratch.open(Arc::new(OwnerGate))?;
    let samples = import(&owned, engine, samples)?;
    let untold = tell(&owned, engine)?;
    let outcomes = try_examples(&owned, engine)?;
    let lines = lines(&owned, engine.scroll())?;
    let idempotency = idempotency(&owned, engine, &outcomes)?;
    let root = root(&owned, engine.scroll(), &lines);
    let live = vm_ledger::dump(&mut owned.ledger.writer())?;
    owned.close()?;

    let again = scratch.open(Arc::new(OwnerGate))?;
    let replayed = vm_ledger::dump(&mut again.ledger.writer())?;
    again.close()?;
    let mut fold = Shown::default();
    fold.claim(
        live == replayed,
        format!("the state after {} lines is the same after a replay", lines.len()),
    );
    fold.open
        .push("the export and import half, and forged receipts that break an invariant".into());

    Ok(Lived {
        contract: contract(&lines),
        receipts: receipts(house, engine, (untold, &outcomes), &lines),
        append_only: append_only(&scratch, engine.scroll(), &lines)?,
        root,
        query: query(engine, &lines),
        fold,
        idempotency,
        authority,
        samples,
    })
}

fn lines(owned: &Owned, scroll: &str) -> Result<Vec<(Vec<u8>, Line)>, Failure> {
    let mut lines = Vec::new();
    if head(owned, scroll).is_none() {
        return Ok(lines);
    }
    owned.ledger.lines(scroll, 0, &mut |bytes, line| {
        lines.push((bytes.to_vec(), line.clone()));
        true
    })?;
    Ok(lines)
}

fn head(owned: &Owned, scroll: &str) -> Option<Head> {
    owned.ledger.writer().heads().into_iter().find(|h| h.scroll == scroll)
}

fn size(owned: &Owned, scroll: &str) -> u64 {
    head(owned, scroll).map_or(0, |h| h.size)
}

/// Row 14, as far as it can be shown: a gate that refuses leaves nothing behind.
fn authority(scratch: &Scratch, engine: &'static dyn AnyEngine) -> Result<Shown, Failure> {
    let owned = scratch.open(Arc::new(NobodyGate))?;
    let mut shown = Shown::open("capabilities, approvals and revoked keys come with authority");
    let mut refused = 0;
    for spec in engine.operations() {
        match owned.ledger.submit(call(engine.name(), spec, example(spec))?) {
            Err(Failure::Refusal(r)) if r.kind == RefusalKind::NotAllowed => refused += 1,
            _ => shown.wrong.push(format!("{} is not refused to an actor who may not", spec.verb)),
        }
    }
    shown.claim(
        size(&owned, engine.scroll()) == 0,
        format!("{refused} operations refused by a denying gate, nothing written"),
    );
    owned.close()?;
    Ok(shown)
}

/// Row 13, as far as the given files go: each imports, and again appends nothing.
fn import(
    owned: &Owned,
    engine: &'static dyn AnyEngine,
    samples: &[Sample],
) -> Result<Shown, Failure> {
    let mut shown = Shown::open("that an export read back keeps its meaning is shown in tests/");
    if samples.is_empty() {
        shown.open.push("no file was given with --sample".into());
    }
    let key = owned.ledger.import_key()?;
    for Sample { name, bytes } in samples {
        match owned.ledger.import(engine.name(), None, Source { name, bytes, key: &key }) {
            Err(failure) => shown.open.push(format!("{name} is refused: {failure}")),
            Ok(import) => {
                let count = import.calls.len();
                let refused = commit(owned, engine, &import)?.iter().filter(|a| a.is_err()).count();
                let before = size(owned, engine.scroll());
                commit(owned, engine, &import)?;
                let what = format!(
                    "{name}: {} of {count} calls committed, and again nothing",
                    count - refused
                );
                shown.claim(refused == 0 && size(owned, engine.scroll()) == before, what);
            }
        }
    }
    Ok(shown)
}

fn commit(
    owned: &Owned,
    engine: &'static dyn AnyEngine,
    import: &Import,
) -> Result<Vec<Result<Answer, Failure>>, Failure> {
    let actor = actor()?;
    let calls = import.calls.iter().map(|planned| Call {
        id: Some(planned.id.clone()),
        actor: actor.clone(),
        surface: "conform".into(),
        engine: engine.name().into(),
        verb: planned.verb.into(),
        intent: planned.intent.clone(),
        tags: planned.tags.clone(),
    });
    Ok(owned.ledger.submit_all(calls.collect()))
}

/// Row 3, of the lines that were left: what a record does not name follows from its line.
fn contract(lines: &[(Vec<u8>, Line)]) -> Shown {
    let mut shown = Shown::default();
    let records = || lines.iter().map(|(_, line)| line).filter(|line| line.artifacts.is_none());
    let follows =
        records().all(|line| (line.contract, line.state, line.root_hash) == record_digests(line));
    shown.claim(
        follows,
        format!("contract and state of {} records follow from their lines", records().count()),
    );
    shown
}

/// Row 6: declared types, and only those.
fn receipts(
    house: House,
    engine: &dyn AnyEngine,
    (untold, outcomes): (Vec<String>, &Outcomes),
    lines: &[(Vec<u8>, Line)],
) -> Shown {
    let mut shown = Shown { open: untold, ..Shown::default() };
    // Names of the pattern, such as security_drill_run, need not begin with the engine's own word.
    let foreign =
        |t: &&str| house.iter().any(|e| e.name() != engine.name() && e.types().contains(t));
    for spec in engine.operations() {
        if spec.types.is_empty() || spec.types.iter().any(foreign) {
            shown.wrong.push(format!("{} declares no type, or one of another engine", spec.verb));
        }
    }
    for (spec, outcome) in outcomes {
        if let Err(failure) = outcome {
            shown.open.push(format!(
                "the example of {} needs more than the other examples ({})",
                spec.verb,
                failure.code()
            ));
        }
    }
    let left: BTreeSet<&str> = lines.iter().map(|(_, l)| l.kind.as_str()).collect();
    let unseen: Vec<&str> = engine.types().into_iter().filter(|t| !left.contains(t)).collect();
    if !unseen.is_empty() {
        shown.open.push(format!("no example leaves {}", unseen.join(", ")));
    }
    let accepted = outcomes.iter().filter(|(_, o)| o.is_ok()).count();
    shown.held.push(format!(
        "{accepted} of {} examples committed, all under declared types",
        outcomes.len()
    ));
    shown
}

/// Row 7: every change to the stored lines is found.
fn append_only(
    scratch: &Scratch,
    scroll: &str,
    lines: &[(Vec<u8>, Line)],
) -> Result<Shown, Failure> {
    let mut shown = Shown::default();
    if lines.len() < 3 {
        return Ok(Shown::open("the examples left too few lines to change"));
    }
    let disk = scratch.disk();
    let path = format!("receipts/{scroll}/{:020}.jsonl", 0);
    let io =
        |e: std::io::Error| Failure::Fault(vm_contracts::Fault::new("io", format!("{path}: {e}")));
    let good = disk.read(&path).map_err(io)?;
    let whole: Vec<&[u8]> = good.split_inclusive(|b| *b == b'\n').collect();
    let prefix: Vec<u8> =
        lines.iter().flat_map(|(bytes, _)| [bytes.as_slice(), b"\n"].concat()).collect();
    shown.claim(good.starts_with(&prefix), "lines seen earlier still stand there, byte for byte");

    let trust = self_asserted_trust(&disk)?;
    let verified = |bytes: &[u8]| -> Result<bool, Failure> {
        disk.write(&path, bytes).map_err(io)?;
        Ok(verify_home(&disk, &trust, &mut |_, _, _| {}).is_verified())
    };
    let mut changes: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut at = 0;
    let step = whole.len().div_ceil(FLIPS_MAX);
    for (n, line) in whole.iter().enumerate() {
        if n % step == 0 {
            let mut flipped = good.clone();
            flipped[at + line.len() / 2] ^= 1;
            changes.push(("a flipped bit", flipped));
        }
        at += line.len();
    }
    let last = whole.len() - 1;
    changes.push(("the last line removed", whole[..last].concat()));
    changes.push(("the first line removed", whole[1..].concat()));
    changes.push(("a line cut short", good[..good.len() - 2].to_vec()));
    let mut swapped = whole.clone();
    swapped.swap(1, 2);
    changes.push(("two lines swapped", swapped.concat()));
    changes.push(("a line doubled", [good.as_slice(), whole[last]].concat()));
    for (what, bytes) in &changes {
        if verified(bytes)? {
            shown.wrong.push(format!("{what} was not found"));
        }
    }
    shown.claim(
        verified(&good)?,
        format!("{} changes found, and the lines put back verify", changes.len()),
    );
    Ok(shown)
}

/// Row 8: the root once more, by the definition of RFC 6962 §2.1 and not by the ledger's own tree.
fn root(owned: &Owned, scroll: &str, lines: &[(Vec<u8>, Line)]) -> Shown {
    let mut shown = Shown::default();
    let leaves: Vec<Hash> = lines.iter().map(|(bytes, _)| tree::leaf_hash(bytes)).collect();
    let stated = head(owned, scroll).map(|h| h.root);
    match stated {
        Some(stated) => {
            shown.claim(merkle_root(&leaves) == stated, format!("root over {} lines", leaves.len()))
        }
        None => shown.open.push("no example left a line".into()),
    }
    shown
}

fn merkle_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => tree::empty_root(),
        [one] => *one,
        many => {
            let left = many.len().next_power_of_two() / 2;
            tree::node_hash(&merkle_root(&many[..left]), &merkle_root(&many[left..]))
        }
    }
}

/// Row 10: for every value the examples left, the filter finds what a scan finds.
fn query(engine: &dyn AnyEngine, lines: &[(Vec<u8>, Line)]) -> Shown {
    let mut shown = Shown::default();
    let schema = crate::args::query::schema(Some(engine));
    let (mut tried, mut unseen) = (0, Vec::new());
    for QueryField { name, .. } in &schema.fields {
        let values: BTreeSet<String> =
            lines.iter().filter_map(|(_, l)| l.body.get(name)).flat_map(texts).collect();
        if values.is_empty() {
            unseen.push(name.as_str());
        }
        for value in values {
            let quoted = value.replace('\\', r"\\").replace('"', "\\\"");
            let found = Query::parse(&schema, &format!("body.{name}=\"{quoted}\""))
                .map(|q| seqs(lines, |l| matches(&q, l)));
            let want = seqs(lines, |l| l.body.get(name).is_some_and(|v| texts(v).contains(&value)));
            tried += 1;
            if found != Ok(want) {
                shown.wrong.push(format!("{name}={value} does not find what a scan finds"));
            }
        }
    }
    if !unseen.is_empty() {
        shown.open.push(format!("no example leaves {}", unseen.join(", ")));
    }
    shown.held.push(format!(
        "{tried} values of {} filters found as a scan finds them",
        schema.fields.len() - unseen.len()
    ));
    shown
}

fn seqs(lines: &[(Vec<u8>, Line)], fits: impl Fn(&Line) -> bool) -> Vec<u64> {
    lines.iter().filter(|(_, l)| fits(l)).map(|(_, l)| l.seq).collect()
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

/// Row 12: the same call again, another intent under its id, and the same call from many threads at once.
fn idempotency(
    owned: &Owned,
    engine: &'static dyn AnyEngine,
    outcomes: &Outcomes,
) -> Result<Shown, Failure> {
    let mut shown = Shown::default();
    let accepted: Vec<&'static Spec> =
        outcomes.iter().filter(|(_, o)| o.is_ok()).map(|(s, _)| *s).collect();
    let Some(first) = accepted.first() else { return Ok(Shown::open("no example was committed")) };
    let before = size(owned, engine.scroll());
    for spec in &accepted {
        let again = owned.ledger.submit(call(engine.name(), spec, example(spec))?);
        if !again.is_ok_and(|a| a.existing) {
            shown.wrong.push(format!("{} again is not answered from its receipt", spec.verb));
        }
        let mut other = call(engine.name(), spec, example(spec))?;
        other.tags = vec!["other".into()];
        match owned.ledger.submit(other) {
            Err(Failure::Refusal(r)) if r.kind == RefusalKind::Conflict => {}
            _ => {
                shown.wrong.push(format!("another intent under the id {} is no conflict", id(spec)))
            }
        }
    }
    let same = call(engine.name(), first, example(first))?;
    let answers: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS)
            .map(|_| scope.spawn(|| owned.ledger.submit(same.clone()).is_ok_and(|a| a.existing)))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap_or(false)).collect()
    });
    shown.claim(
        answers.iter().all(|a| *a),
        format!("{WRITERS} writers at once get the same answer"),
    );
    shown.claim(
        size(owned, engine.scroll()) == before,
        format!("{} calls repeated, nothing appended", accepted.len()),
    );
    Ok(shown)
}
