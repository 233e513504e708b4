//! A home on its index and tiles against the same home in memory; and an index that is gone, damaged, old or foreign.

#![allow(clippy::unwrap_used, reason = "a test may stop there")]

mod damage;
mod life;

use std::sync::Arc;
use vm_contracts::{Call, Failure};
use vm_ledger::fs::Fs;
use vm_ledger::shelf::{Shelving, schema};
use vm_ledger::{Ledger, Outside, Writer, dump};
use vm_scrolls::query::{self, Query};
use vm_tests::memfs::{Files, MemoryFs};
use vm_tests::toy::TOY;
use vm_tests::world::{self, Dice, HandClock, keys, settings};

/// Lines of one receipts file here; every released home has 2^16.
const PER_FILE: u64 = 16;

/// The index of the one scroll.
const INDEX: &str = "index/toy.redb";

fn empty() -> Arc<MemoryFs> {
    let fs = Arc::new(MemoryFs::with(Files::new()));
    world::lay_out(&*fs);
    fs
}

/// Opens a home; with an index from this many lines on, or without.
fn open(fs: &Arc<MemoryFs>, clock: &Arc<HandClock>, after: Option<u64>) -> Result<Ledger, Failure> {
    let seam: Arc<dyn Fs> = fs.clone();
    let shelving = after.map(|after| Shelving { fs: seam.clone(), after });
    let outside = Outside { shelving, ..world::outside(seam, clock.clone(), 7) };
    Writer::open_with_files_of(PER_FILE, outside, settings(), keys()).map(Ledger::new)
}

/// A call that the toy takes or refuses, of ids and texts that come again.
fn any_call(dice: &mut Dice, n: usize) -> Call {
    let id = match dice.below(5) {
        0 => format!("c{}", dice.below(n + 1)),
        _ => format!("c{n}"),
    };
    let text = ["a", "ab", "b", "", "a\u{0}b", "ä"][dice.below(6)];
    match dice.below(4) {
        0 => world::many(&id, text, 1 + dice.below(5) as u32),
        1 => {
            let intent = serde_json::json!({"text": text, "n": dice.below(9)});
            Call { tags: vec![text.to_owned()], ..world::call(&id, "note", intent) }
        }
        2 => {
            let names = ["x", "y", "z"];
            let intent = serde_json::json!({"name": names[dice.below(3)], "count": 1});
            world::call(&id, "guarded", intent)
        }
        _ => world::note(&id, text),
    }
}

/// A query over the toy's scroll.
fn any_query(dice: &mut Dice) -> String {
    let parts = [
        "text=a",
        "text=ab",
        "text=\"\"",
        "text^=a",
        "text!=a",
        "type=toy_note",
        "type^=toy",
        "op=toy.many",
        "tag=a",
        "tag^=a",
        "tag!=ab",
        "name=x",
        "name^=y",
        "seq>5",
        "seq<=17",
        "seq=9",
        "id=c3",
        "id^=c1",
        "end=completed",
        "type=ledger_open",
        "from=2026-01-02T03:04:40Z",
        "to=2026-01-02T03:04:50Z",
        "actor=local:1000",
        "actor=local:1",
    ];
    let mut text: Vec<&str> = (0..dice.below(4)).map(|_| parts[dice.below(parts.len())]).collect();
    text.push(["order=asc", "order=desc"][dice.below(2)]);
    text.push(["limit=1", "limit=3", "limit=100"][dice.below(3)]);
    text.join(" ")
}

/// All pages of a query, by number.
fn found(ledger: &Ledger, text: &str) -> Vec<u64> {
    let mut query = Query::parse(&schema(Some(&TOY)), text).unwrap();
    let mut seqs = Vec::new();
    loop {
        let (_, page) = ledger.query("toy", &query).unwrap();
        seqs.extend(page.lines.iter().map(|row| row.line.seq));
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return seqs,
        }
    }
}

/// The same by reading every line.
fn looked_up(ledger: &Ledger, text: &str) -> Vec<u64> {
    let query = Query::parse(&schema(Some(&TOY)), text).unwrap();
    let mut seqs = Vec::new();
    let read = ledger.lines("toy", 0, &mut |_, line| {
        seqs.extend(query::matches(&query, line).then_some(line.seq));
        true
    });
    match read {
        Err(Failure::Refusal(r)) if r.code == "unknown_scroll" => {}
        other => other.unwrap(),
    }
    if query.order == query::Order::Desc {
        seqs.reverse();
    }
    seqs
}

/// Everything the two say, compared.
fn same(one: &Ledger, other: &Ledger, dice: &mut Dice, calls: usize) {
    assert_eq!(dump(&mut one.writer()).unwrap(), dump(&mut other.writer()).unwrap());
    assert_eq!(one.writer().heads(), other.writer().heads());
    let size = one.writer().heads().first().map_or(0, |h| h.size);
    for _ in 0..6 {
        let text = any_query(dice);
        assert_eq!(found(one, &text), looked_up(other, &text), "{text}");
        if size == 0 {
            continue;
        }
        let seq = dice.next() % size;
        assert_eq!(one.prove("toy", seq).unwrap(), other.prove("toy", seq).unwrap(), "{seq}");
        let id = format!("c{}", dice.below(calls + 2));
        assert_eq!(one.find("toy", &id).unwrap(), other.find("toy", &id).unwrap(), "{id}");
    }
    let total = |l: &Ledger| l.report("toy", "total", &serde_json::Map::new(), Default::default());
    assert_eq!(total(one).unwrap(), total(other).unwrap());
}
