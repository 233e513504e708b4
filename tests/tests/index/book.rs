//! Lines made up from numbers, the batches that take them into an index, and everything an index answers.

use serde_json::{Map, json};
use std::fmt::Write as _;
use std::ops::{Bound, Range};
use std::sync::Arc;
use vm_contracts::Base;
use vm_ledger::fs::Fs;
use vm_ledger::index::{Batch, Found, Identity, Index, Mark, Snapshot};
use vm_ledger::scroll::Group;
use vm_receipts::digest::Blake3;
use vm_receipts::line::{Context, End, Line, Part, Prev};
use vm_receipts::moment::Moment;
use vm_scrolls::query::terms::{Term, TermFields};
use vm_scrolls::query::{Order, QueryField, QueryKind, Schema};
use vm_tests::world::Dice;

pub fn identity() -> Identity {
    let text = |text: &str| text.to_owned();
    Identity { ledger: text("L1"), scroll: text("till"), fold: 1, shape: text("shape") }
}

pub fn schema() -> Schema {
    Schema::new(vec![
        QueryField::new("account", QueryKind::Text),
        QueryField::new("amount", QueryKind::Decimal),
        QueryField::new("count", QueryKind::Integer),
        QueryField::new("refs", QueryKind::TextList),
        QueryField::new("memo", QueryKind::Text),
    ])
}

/// A call has two lines.
pub fn id_of(seq: u64) -> String {
    format!("id-{:05}", seq / 2)
}

pub fn line(seq: u64) -> Line {
    let mut dice = Dice::of(7, &[seq]);
    let mut pick = |limit: usize| dice.below(limit);
    let mut body = Map::new();
    body.insert("account".into(), json!(format!("assets:{}", pick(40))));
    body.insert("amount".into(), json!(["1", "1.0", "2.50", "-3", "oops"][pick(5)]));
    if pick(2) == 0 {
        body.insert("count".into(), json!(pick(1_000)));
    }
    let refs: Vec<String> = (0..pick(3)).map(|_| format!("r{}", pick(3_000))).collect();
    body.insert("refs".into(), json!(refs));
    body.insert("memo".into(), json!("m".repeat(90 + pick(12))));
    let digest = Blake3([0; 32]);
    Line {
        kind: if pick(3) == 0 { "till_open" } else { "till_pay" }.to_owned(),
        op: "till.pay".to_owned(),
        scroll: "till".to_owned(),
        seq,
        id: id_of(seq),
        part: Part { n: 1 + (seq % 2) as u32, of: 2 },
        intent: digest,
        issuer: "did:key:z6Mk".to_owned(),
        actor: format!("local:{}", pick(3)),
        context: Context { surface: "cli".to_owned(), node: "n1".to_owned(), demo: false },
        actor_proof: None,
        authority: Map::new(),
        at: at(seq),
        end: if pick(50) == 0 { End::Aborted } else { End::Completed },
        contract: digest,
        state: digest,
        root_hash: digest,
        artifacts: None,
        prev: Prev { size: seq, root: [0; 32] },
        tags: if pick(4) == 0 { vec!["odd".to_owned()] } else { Vec::new() },
        body,
        proof: None,
    }
}

/// Several lines share a moment.
pub fn at(seq: u64) -> Moment {
    Moment::from_unix_ms(1_767_225_600_000 + (seq / 7 * 60_000) as i64).unwrap()
}

pub fn mark(size: u64) -> Mark {
    let mut mark = Mark::start();
    (mark.size, mark.file_bytes) = (size, size * 100);
    mark
}

pub fn batch(lines: Range<u64>) -> Batch {
    let fields = TermFields::new(&schema());
    let group = |seq: u64| Group { first: seq, of: 2, intent: Blake3([seq as u8; 32]) };
    let value = |seq: u64| {
        let removed = seq % 5 == 4;
        (format!("k{}", seq % 11).into_bytes(), (!removed).then(|| seq.to_string().into_bytes()))
    };
    let mut state: Vec<_> = lines.clone().map(|seq| ("balances", value(seq))).collect();
    state.push(("count", (Vec::new(), Some(lines.end.to_string().into_bytes()))));
    Batch {
        mark: mark(lines.end),
        state,
        ids: lines.clone().filter(|s| s % 2 == 0).map(|s| (id_of(s), group(s))).collect(),
        first: lines.start,
        starts: lines.clone().map(|seq| seq as u32 * 100).collect(),
        terms: lines.map(|seq| (seq, fields.of_line(&line(seq)))).collect(),
    }
}

/// An index that can be used, empty or not.
pub fn open(fs: &Arc<dyn Fs>) -> Result<Index, String> {
    match Index::open(fs, &identity()).map_err(|e| e.message)? {
        Found::Index(index, _) | Found::Blank(index) => Ok(index),
        Found::Unusable { why } => Err(why),
    }
}

/// Everything a snapshot answers about the first `lines`, as text; or what was wrong.
pub fn answers(snapshot: &Snapshot, lines: u64) -> Result<String, String> {
    let mut said = format!("{:?}\n", snapshot.mark());
    for part in ["balances", "count", "none"] {
        let all: Vec<_> = snapshot.range(part, Bound::Unbounded, Bound::Unbounded).collect();
        let one = snapshot.get(part, b"k3");
        writeln!(said, "{part} {all:?} {one:?}").unwrap();
    }
    for seq in (0..lines).step_by(2) {
        writeln!(said, "{:?}", snapshot.group(&id_of(seq))).unwrap();
    }
    let size = snapshot.mark().size;
    writeln!(said, "{:?} {:?}", snapshot.starts(0, lines as usize), snapshot.start(size)).unwrap();
    let fields = TermFields::new(&schema());
    let mut terms: Vec<Term> = (0..lines).flat_map(|seq| fields.of_line(&line(seq))).collect();
    terms.sort();
    terms.dedup();
    for term in &terms {
        let up: Vec<u64> = snapshot.postings(term, Order::Asc, 0).collect();
        let down: Vec<u64> = snapshot.postings(term, Order::Desc, u64::MAX).collect();
        writeln!(said, "{term:?} {up:?} {down:?}").unwrap();
    }
    match snapshot.trouble() {
        Some(what) => Err(what),
        None => Ok(said),
    }
}

/// What an index that is opened anew answers, or why it does not.
pub fn reopened(fs: &Arc<dyn Fs>, lines: u64) -> Result<String, String> {
    let index = open(fs)?;
    let snapshot = index.snapshot().map_err(|e| e.message)?;
    answers(&snapshot, lines)
}
