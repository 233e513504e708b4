//! How fast the index is on this machine: `cargo run --release -p vm-ledger --example index_throughput [lines] [batch]`.
#![allow(clippy::float_arithmetic)] // A printout for people; nothing here is evidence.

use std::fs::read_to_string;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Instant;

use vm_contracts::Fault;
use vm_contracts::state::{Base, Key};
use vm_ledger::fs::{Disk, Fs};
use vm_ledger::index::{Batch, Found, Identity, Index, Mark, Snapshot, candidates, path};
use vm_ledger::scroll::Group;
use vm_receipts::digest::Blake3;
use vm_scrolls::query::terms::{Term, TermFields};
use vm_scrolls::query::{Query, QueryField, QueryKind, Schema};

/// Accounts whose balances the state holds.
const ACCOUNTS: u64 = 5_000;

fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
}

fn term(field: u8, value: String) -> Term {
    Term { field, value: value.into_bytes() }
}

/// Eight terms and a half, as a ledger of payments has them: four that all lines share, accounts, amounts, a code.
fn terms(seq: u64) -> Vec<Term> {
    let account = |n: u64| format!("assets:customer:{:05}", mixed(n) % ACCOUNTS);
    let mut terms = vec![
        term(0, if seq.is_multiple_of(2) { "treasury_debit" } else { "treasury_credit" }.into()),
        term(1, "treasury.transfer".into()),
        term(2, "local:1000".into()),
        term(4, "completed".into()),
        term(16, account(seq)),
        term(17, account(seq + 7)),
        term(18, format!("{}.{:02}", mixed(seq) % 10_000, seq % 100)),
    ];
    terms.push(term(19, format!("0199{:028x}", seq / 2)));
    if seq.is_multiple_of(2) {
        terms.push(term(20, format!("INV-{:016x}", mixed(seq))));
    }
    terms
}

fn batch(lines: Range<u64>) -> Batch {
    let first = lines.start;
    let mut mark = Mark::start();
    mark.size = lines.end;
    let group = |n: u64| Group { first: n, of: 2, intent: Blake3([n as u8; 32]) };
    let balance = |n: u64| ("balances", (account_key(mixed(n) % ACCOUNTS), Some(vec![b'x'; 60])));
    let mut state: Vec<_> = lines.clone().map(balance).collect();
    state.sort();
    state.dedup();
    Batch {
        mark,
        state,
        ids: lines.clone().step_by(2).map(|n| (format!("0199{:028x}", n / 2), group(n))).collect(),
        first,
        starts: lines.clone().map(|n| (n % 65_536) as u32 * 1_200).collect(),
        terms: lines.map(|n| (n, terms(n))).collect(),
    }
}

fn account_key(n: u64) -> Vec<u8> {
    (format!("assets:customer:{n:05}"), "EUR".to_owned()).encode()
}

/// A number from a file of this process.
fn said(file: &str, name: &str) -> u64 {
    let text = read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    line.trim().trim_end_matches(" kB").trim().parse().unwrap_or(0)
}

/// CPU time of this process in microseconds, all threads.
fn cpu_us() -> u64 {
    let text = read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) * 10_000
}

fn opened(fs: &Arc<dyn Fs>) -> Result<Index, Fault> {
    let identity = Identity { ledger: "l".into(), scroll: "t".into(), fold: 1, shape: "s".into() };
    match Index::open(fs, &identity)? {
        Found::Index(index, _) | Found::Blank(index) => Ok(index),
        Found::Unusable { why } => Err(Fault::new("bench", why)),
    }
}

fn timed<T>(what: &str, count: u64, work: impl FnOnce() -> T) -> T {
    let (start, cpu) = (Instant::now(), cpu_us());
    let result = work();
    let wall = start.elapsed().as_nanos() as f64 / 1_000.0 / count as f64;
    let cpu = (cpu_us() - cpu) as f64 / count as f64;
    println!("{what:<46} {wall:>10.2} us each, CPU {cpu:>8.2} us");
    result
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Applies batches up to `lines`, and says every now and then what that took.
fn fill(index: &Index, file: &std::path::Path, lines: u64, size: u64) -> Outcome<u64> {
    let (mut first, mut making) = (0, 0);
    while first < lines {
        let step = if first == 0 { 100_000 } else { (lines / 10).max(100_000) };
        let (start, cpu, wrote) = (Instant::now(), cpu_us(), said("/proc/self/io", "write_bytes:"));
        let (mut applying, from) = (0, first);
        while first < (from + step).min(lines) {
            let now = Instant::now();
            let batch = batch(first..first + size);
            making += now.elapsed().as_micros();
            let now = Instant::now();
            index.apply(&batch)?;
            applying += now.elapsed().as_micros();
            first += size;
        }
        let (meta, more) = (std::fs::metadata(file)?, first - from);
        println!(
            "{first:>9} lines: apply {:.2} us a line, CPU with making them {:.2} us, {:.1} s; {} bytes a line written; \
             file {} B a line ({} B on disk); {} MiB memory",
            applying as f64 / more as f64,
            (cpu_us() - cpu) as f64 / more as f64,
            start.elapsed().as_secs_f64(),
            (said("/proc/self/io", "write_bytes:") - wrote) / more,
            meta.len() / first,
            meta.blocks() * 512 / first,
            said("/proc/self/status", "VmHWM:") / 1_024,
        );
    }
    println!("making the batches: {:.2} us a line", making as f64 / first as f64);
    Ok(first)
}

fn read(snapshot: &Snapshot, lines: u64) {
    let n = 10_000;
    let key = |i: u64| mixed(i) % lines;
    timed("group by id, anywhere", n, || {
        assert!((0..n).all(|i| snapshot.group(&format!("0199{:028x}", key(i) / 2)).is_some()));
    });
    timed("group of an id that is not there", n, || {
        assert!((0..n).all(|i| snapshot.group(&format!("0199{:028x}", lines + i)).is_none()));
    });
    timed("start of a line, anywhere", n, || {
        assert!((0..n).all(|i| snapshot.start(key(i)).is_some()));
    });
    timed("balance", n, || {
        (0..n).for_each(|i| {
            snapshot.get("balances", &account_key(mixed(i) % ACCOUNTS));
        });
    });
}

fn ask(snapshot: &Snapshot, lines: u64) -> Outcome<()> {
    let kinds = ["account", "counterparty", "amount", "transfer_id", "code"];
    let schema = Schema::new(kinds.map(|name| QueryField::new(name, QueryKind::Text)).to_vec());
    let fields = TermFields::new(&schema);
    let account = format!("account=assets:customer:{:05}", mixed(11) % ACCOUNTS);
    let newest = format!("{account} type=treasury_debit order=desc");
    let code = format!("code=INV-{:016x}", mixed(4));
    for text in [&account, &newest, &code, "account^=assets:customer:00"] {
        let query = Query::parse(&schema, text).map_err(|e| format!("{e:?}"))?;
        for again in ["", ", again"] {
            timed(&format!("100 of {text}{again}"), 1, || -> Outcome<()> {
                let mut none = |_| Err(Fault::new("bench", "no times here").into());
                let found = candidates(snapshot, &fields, &query, lines, &mut none);
                let found: Result<Vec<u64>, _> = found?.take(100).collect();
                print!("{:>4} ", found?.len());
                Ok(())
            })?;
        }
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let number = |n, default| std::env::args().nth(n).map_or(Ok(default), |text| text.parse());
    let (lines, size): (u64, u64) = (number(1, 1_000_000)?, number(2, 4_000)?);
    let home = tempfile::tempdir_in(std::env::var("VM_BENCH_DIR").unwrap_or(".".into()))?;
    let fs: Arc<dyn Fs> = Arc::new(Disk::new(home.path(), home.path().join("guard")));
    let index = opened(&fs)?;
    let lines = fill(&index, &home.path().join(path("t")), lines, size)?;
    drop(index);
    let index = timed("open", 1, || opened(&fs))?;
    let snapshot = timed("snapshot", 1, || index.snapshot())?;
    timed("snapshot again", 1_000, || (0..1_000).try_for_each(|_| index.snapshot().map(drop)))?;
    read(&snapshot, lines);
    ask(&snapshot, lines)?;
    assert_eq!(snapshot.trouble(), None);
    Ok(())
}
