//! Queries over the index find what a scan of all lines finds.

use crate::book::{answers, at, batch, identity, line, open, schema};
use std::cell::Cell;
use std::sync::Arc;
use vm_contracts::{Failure, Fault};
use vm_ledger::fs::{Disk, Fs};
use vm_ledger::index::{Index, Snapshot, candidates};
use vm_receipts::line::Line;
use vm_scrolls::query::terms::TermFields;
use vm_scrolls::query::{Order, Query, matches, run, try_run};
use vm_tests::memfs::{Files, MemoryFs};
use vm_tests::world::Dice;

/// More than two stretches.
const LINES: u64 = 36_000;
/// The index is behind by some.
const INDEXED: u64 = 35_500;

fn made() -> (Index, Vec<Line>) {
    let fs: Arc<dyn Fs> = Arc::new(MemoryFs::with(Files::new()));
    let index = open(&fs).unwrap();
    let mut from = 0;
    for step in [1, 2, 300, 5_000, 7, 11_074, 16_384, 9_000] {
        let to = (from + step).min(INDEXED);
        index.apply(&batch(from..to)).unwrap();
        from = to;
    }
    (index, (0..LINES).map(line).collect())
}

/// The lines to look at, in the query's order: those the index names, and the tail it has not seen.
fn looked_at<'a>(
    snapshot: &Snapshot,
    lines: &'a [Line],
    query: &Query,
    count: &Cell<usize>,
) -> Result<Vec<&'a Line>, Failure> {
    let fields = TermFields::new(&schema());
    let mut at_of = |seq: u64| Ok(lines[seq as usize].at);
    let named = candidates(snapshot, &fields, query, INDEXED, &mut at_of)?;
    let named: Result<Vec<u64>, Fault> = named.collect();
    let named = named?;
    let mut all: Vec<u64> = named.into_iter().chain(INDEXED..LINES).collect();
    if query.order == Order::Desc {
        all.sort_unstable_by(|a, b| b.cmp(a));
    }
    count.set(all.len());
    Ok(all.into_iter().map(|seq| &lines[seq as usize]).collect())
}

/// A query of up to three filters.
fn random_query(dice: &mut Dice) -> String {
    let mut text = Vec::new();
    for _ in 0..dice.below(4) {
        let seq = dice.below(LINES as usize + 10);
        let time = at(seq as u64);
        text.push(match dice.below(16) {
            0 => format!("account=assets:{}", dice.below(41)),
            1 => format!("account^=assets:{}", dice.below(5)),
            2 => format!("amount={}", ["1.00", "2.5", "-3.0", "9"][dice.below(4)]),
            3 => format!("amount>{}", dice.below(3)),
            4 => format!("count={}", dice.below(1_000)),
            5 => format!("refs=r{}", dice.below(3_001)),
            6 => format!("refs^=r{}", dice.below(40)),
            7 => format!("type=till_{}", ["open", "pay", "none"][dice.below(3)]),
            8 => format!("actor!=local:{}", dice.below(3)),
            9 => "tag=odd".to_owned(),
            10 => format!("end={}", ["aborted", "completed"][dice.below(2)]),
            11 => format!("id=id-{:05}", seq / 2),
            12 => format!("id^=id-{:03}", seq / 200),
            13 => format!("seq{}{seq}", ["=", "<", "<=", ">", ">=", "!="][dice.below(6)]),
            14 => format!("at{}{time}", ["=", "<", "<=", ">", ">=", "!="][dice.below(6)]),
            _ => format!("memo={}", "m".repeat(88 + dice.below(15))),
        });
    }
    text.push(format!("order={} limit={}", ["asc", "desc"][dice.below(2)], 1 + dice.below(200)));
    text.join(" ")
}

#[test]
fn an_indexed_query_finds_what_a_scan_finds() {
    let (index, lines) = made();
    let snapshot = index.snapshot().unwrap();
    let mut dice = Dice::new(11);
    let (mut looked, mut could) = (0, 0);
    for _ in 0..250 {
        let text = random_query(&mut dice);
        let mut query = Query::parse(&schema(), &text).unwrap();
        // A first page, and one from somewhere in the middle.
        for _ in 0..2 {
            let wanted = match query.order {
                Order::Asc => run(lines.iter(), &query),
                Order::Desc => run(lines.iter().rev(), &query),
            }
            .unwrap();
            let count = Cell::new(0);
            let found = looked_at(&snapshot, &lines, &query, &count).unwrap();
            let found = try_run(found.into_iter().map(Ok::<_, Failed>), &query).unwrap();
            assert_eq!(found, wanted, "{text}");
            looked += count.get();
            could += LINES as usize;
            let Some(next) = found.next else { break };
            query.cursor = Some(next);
        }
    }
    assert_eq!(snapshot.check(), Ok(()));
    // A quarter of the queries has no filter at all.
    assert!(looked < could * 3 / 5, "the index names {looked} of {could} lines");
}

#[derive(Debug)]
struct Failed;

impl From<vm_scrolls::query::QueryError> for Failed {
    fn from(_: vm_scrolls::query::QueryError) -> Self {
        Self
    }
}

#[test]
fn a_rare_value_leads_to_its_lines_alone() {
    let (index, lines) = made();
    let snapshot = index.snapshot().unwrap();
    let count = Cell::new(0);
    for text in ["refs=r77", "id=id-00042", "account=assets:3 refs=r77 order=desc", "seq=9"] {
        let query = Query::parse(&schema(), text).unwrap();
        looked_at(&snapshot, &lines, &query, &count).unwrap();
        let matching = lines.iter().filter(|line| matches(&query, line)).count();
        let tail = (LINES - INDEXED) as usize;
        assert!(matching > 0 || text.contains("account"), "{text}");
        assert!(count.get() <= matching + tail, "{text}: {}", count.get());
    }
}

#[test]
fn postings_skip_to_where_they_are_sought() {
    let (index, lines) = made();
    let snapshot = index.snapshot().unwrap();
    let fields = TermFields::new(&schema());
    let query = Query::parse(&schema(), "account=assets:7").unwrap();
    let term = fields.of_filter(&query.filters[0]).unwrap();
    let all: Vec<u64> = (0..INDEXED).filter(|s| matches(&query, &lines[*s as usize])).collect();
    for from in [0, 1, 16_383, 16_384, 20_000, INDEXED - 1, INDEXED, u64::MAX] {
        let mut up = snapshot.postings(&term, Order::Asc, 0);
        up.seek(from);
        assert!(up.eq(all.iter().copied().filter(|seq| *seq >= from)), "{from}");
        let down = snapshot.postings(&term, Order::Desc, from);
        assert!(down.eq(all.iter().rev().copied().filter(|seq| *seq <= from)), "{from}");
    }
}

#[test]
fn a_repeated_id_is_found_in_all_its_calls() {
    let fs: Arc<dyn Fs> = Arc::new(MemoryFs::with(Files::new()));
    let index = open(&fs).unwrap();
    index.apply(&batch(0..10)).unwrap();
    let mut again = batch(10..20);
    again.ids[0].0 = again.ids[0].0.replace("id-00005", "id-00001");
    index.apply(&again).unwrap();
    let snapshot = index.snapshot().unwrap();
    assert_eq!(snapshot.group("id-00001").unwrap().first, 2);
    let query = Query::parse(&schema(), "id=id-00001").unwrap();
    let fields = TermFields::new(&schema());
    let named = candidates(&snapshot, &fields, &query, 20, &mut |seq| Ok(at(seq))).unwrap();
    assert!(named.map(Result::unwrap).eq(0..20), "every line is looked at");
}

#[test]
fn a_snapshot_reads_on_while_batches_are_applied() {
    let home = tempfile::tempdir().unwrap();
    let fs: Arc<dyn Fs> = Arc::new(Disk::new(home.path(), home.path().join("guard")));
    // So little memory that blocks are read from the file again and again.
    let index = match Index::open_with(&fs, &identity(), 64 << 10).unwrap() {
        vm_ledger::index::Found::Blank(index) => index,
        _ => panic!("a new home has no index"),
    };
    index.apply(&batch(0..500)).unwrap();
    let early = index.snapshot().unwrap();
    let before = answers(&early, 500).unwrap();
    std::thread::scope(|scope| {
        let writing = scope
            .spawn(|| (0..12).try_for_each(|n| index.apply(&batch(500 + n * 200..700 + n * 200))));
        while !writing.is_finished() {
            assert_eq!(answers(&early, 500).unwrap(), before);
        }
        writing.join().unwrap().unwrap();
    });
    assert_eq!(answers(&early, 500).unwrap(), before);
    assert_eq!(index.snapshot().unwrap().mark().size, 2_900);
    drop(index);
    assert_eq!(answers(&early, 500).unwrap(), before, "a snapshot outlives its index");
}
