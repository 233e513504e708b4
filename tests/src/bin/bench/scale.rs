//! The theme `scale`: a large home. Opening it, one process, queries, proofs, and what it takes on disk.

use crate::machine::{Machine, median_us};
use crate::row::Row;
use crate::{child, home};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use vm_ledger::home::Owned;
use vm_ledger::shelf::schema;
use vm_scrolls::query::{Filter, Op, Order, Query};

/// Every figure of the theme.
pub fn rows(_machine: &Machine, dir: &Path, receipts: u64) -> Result<Vec<Row>, String> {
    fs::create_dir_all(dir).map_err(|e| e.to_string())?;
    let began = Instant::now();
    let owned = home::open(dir)?;
    let there = home::size(&owned);
    home::fill(&owned, receipts)?;
    let size = home::size(&owned);
    owned.close().map_err(|e| e.to_string())?;
    let mut rows = vec![Row::plain("receipts", size as f64, "receipts")];
    if size > there {
        let rate = (size - there) as f64 / began.elapsed().as_secs_f64();
        rows.push(Row::plain("filled", rate, "receipts/s"));
    }
    rows.extend(opening(dir, size)?);
    rows.push(process(dir)?);
    let owned = home::open(dir)?;
    rows.extend(queries(&owned, size)?);
    rows.push(proofs(&owned, size)?);
    owned.close().map_err(|e| e.to_string())?;
    rows.extend(disk(&dir.join("home"), size)?);
    Ok(rows)
}

fn opening(dir: &Path, size: u64) -> Result<Vec<Row>, String> {
    let dir = dir.to_string_lossy().into_owned();
    let (mut times, mut peak) = (Vec::new(), 0.0f64);
    for _ in 0..9 {
        let seen = child::start(&["open", &dir])?;
        times.push(seen[0] / 1e3);
        peak = peak.max(seen[1] / 1_024.0);
    }
    times.sort_by(f64::total_cmp);
    let limit = if size > 2_000_000 { 30.0 } else { 20.0 };
    Ok(vec![
        Row::plain("open_p50", times[times.len() / 2], "ms").at_most(limit),
        Row::plain("open_memory_peak", peak, "MiB").at_most(64.0),
    ])
}

/// A whole process of the real program, from its start to its answer.
fn process(dir: &Path) -> Result<Row, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?.with_file_name("vm");
    if !program.exists() {
        return Err(format!("{} is not built", program.display()));
    }
    let mut times: Vec<Duration> = Vec::new();
    for n in 0..41u32 {
        let began = Instant::now();
        let done = Command::new(&program)
            .args(["treasury", "transfer", "--asset", "EUR", "--debit", "assets:desk:0001"])
            .args(["--credit", "assets:desk:0002", "--amount"])
            .arg(format!("{}.00", n + 1))
            .arg("--home")
            .arg(dir.join("home"))
            .stdout(Stdio::null())
            .output()
            .map_err(|e| format!("cannot start vm: {e}"))?;
        times.push(began.elapsed());
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
    }
    Ok(Row::plain("vm_treasury_transfer_p50", median_us(&mut times) / 1e3, "ms").at_most(30.0))
}

fn queries(owned: &Owned, size: u64) -> Result<Vec<Row>, String> {
    let engine = vaultmesh::house::HOUSE.iter().find(|e| e.scroll() == "treasury").copied();
    let schema = schema(engine);
    let filter = |name: &str, value: &str| {
        Filter::new(&schema, name, Op::Eq, value).map_err(|e| e.to_string())
    };
    let mut rows = Vec::new();
    let mut run = |name: &str, filters: Vec<Filter>, order: Order| -> Result<(), String> {
        let query = Query { filters, order, ..Query::default() };
        let mut times = Vec::new();
        for _ in 0..31 {
            let began = Instant::now();
            let (_, page) = owned.ledger.query("treasury", &query).map_err(|e| e.to_string())?;
            times.push(began.elapsed());
            if page.lines.len() != query.limit {
                return Err(format!("{name} found {} receipts", page.lines.len()));
            }
        }
        rows.push(Row::plain(name, median_us(&mut times) / 1e3, "ms").at_most(10.0));
        Ok(())
    };
    run("query_account_100_newest", vec![filter("account", "assets:desk:0500")?], Order::Desc)?;
    let both = vec![filter("account", "assets:desk:0500")?, filter("type", "treasury_credit")?];
    run("query_account_and_type_100_oldest", both, Order::Asc)?;
    let middle = vec![filter("seq", &(size / 2).to_string())?];
    let one = Query { filters: middle, ..Query::default() };
    let found = owned.ledger.query("treasury", &one).map_err(|e| e.to_string())?.1;
    let at = found.lines.first().ok_or("the middle receipt is not there")?.line.at.to_string();
    run("query_from_time_100", vec![filter("from", &at)?], Order::Asc)?;
    Ok(rows)
}

fn proofs(owned: &Owned, size: u64) -> Result<Row, String> {
    let mut times = Vec::new();
    for n in 0..501u64 {
        let seq = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size;
        let began = Instant::now();
        owned.ledger.prove("treasury", seq).map_err(|e| e.to_string())?;
        times.push(began.elapsed());
    }
    Ok(Row::plain("inclusion_proof_p50", median_us(&mut times) / 1e3, "ms").at_most(1.0))
}

/// Bytes on disk for each receipt, by folder.
fn disk(home: &Path, size: u64) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let mut all = 0.0;
    for dir in ["receipts", "index", "tiles"] {
        let bytes = taken(&home.join(dir))? as f64 / size as f64;
        all += bytes;
        rows.push(Row::plain(format!("{dir}_bytes_per_receipt"), bytes, "bytes"));
    }
    rows.push(Row::plain("bytes_per_receipt", all, "bytes"));
    Ok(rows)
}

/// Bytes that a directory takes on disk, in blocks, not by length.
fn taken(dir: &Path) -> Result<u64, String> {
    use std::os::unix::fs::MetadataExt;
    let fault = |e: std::io::Error| format!("{}: {e}", dir.display());
    let mut sum = 0;
    for entry in fs::read_dir(dir).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let meta = entry.metadata().map_err(fault)?;
        sum += match meta.is_dir() {
            true => taken(&entry.path())?,
            false => meta.blocks() * 512,
        };
    }
    Ok(sum)
}
