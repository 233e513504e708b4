//! The theme `ledger`: committing with one and with many in flight, reading back, verifying.

use crate::home;
use crate::machine::{DiskProbe, Machine, median_us};
use crate::reading;
use crate::row::Row;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use vm_contracts::Call;
use vm_ledger::audit;
use vm_ledger::fs::Disk;
use vm_ledger::home::Owned;

/// Receipts that are committed with many in flight.
const MANY: u64 = 81_920;
/// How far the index may be behind once work has stopped.
const CAUGHT_UP_MS: f64 = 1_000.0;

/// Every figure of the theme.
pub fn rows(machine: &Machine, dir: &Path) -> Result<Vec<Row>, String> {
    fs::create_dir_all(dir).map_err(|e| e.to_string())?;
    let owned = home::open(dir)?;
    let mut rows = vec![
        one_client(dir, &owned, "one_client_receipt_durable_p50", home::account_open)?,
        one_client(dir, &owned, "one_client_transfer_durable_p50", home::transfer)?,
    ];
    for flight in [256, 1_024] {
        let rate = in_flight(&owned, flight)?;
        let (waiting, sync_s) = (flight as f64, machine.sync_us / 1e6);
        let signing = waiting / machine.sign / machine.cores;
        let limit = (0.4 * machine.cores * machine.sign).min(0.8 * waiting / (sync_s + signing));
        let name = format!("receipts_in_flight_{flight}");
        let goal = "min(0.4 x cores x sign rate, 0.8 x in flight / (sync + signing))";
        rows.push(Row::plain(name, rate, "receipts/s").beside(limit).goal(goal, rate >= limit));
    }
    let began = Instant::now();
    owned.ledger.tick().and_then(|()| owned.ledger.flush()).map_err(|e| e.to_string())?;
    let behind = began.elapsed().as_secs_f64() * 1e3;
    rows.push(Row::plain("index_caught_up", behind, "ms").at_most(CAUGHT_UP_MS));
    rows.extend(reading::rows(machine, &owned)?);
    let receipts = home::size(&owned) as f64;
    owned.close().map_err(|e| e.to_string())?;
    rows.push(verify(dir, receipts, machine)?);
    Ok(rows)
}

/// One call at a time, with one sync: beside an append and fdatasync of as many bytes, measured in turns.
fn one_client(
    dir: &Path,
    owned: &Owned,
    name: &str,
    call: impl Fn(u64) -> Call,
) -> Result<Row, String> {
    let lines = owned.ledger.submit(call(0)).map_err(|e| e.to_string())?.lines;
    let bytes = lines.iter().map(|l| l.len() + 1).sum();
    let mut disk = DiskProbe::new(dir, bytes)?;
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for n in 1..=1_000 {
        let call = call(n);
        let began = Instant::now();
        owned.ledger.submit(call).map_err(|e| e.to_string())?;
        ours.push(began.elapsed());
        raw.push(disk.append()?);
    }
    let (ours, raw) = (median_us(&mut ours), median_us(&mut raw));
    let goal = "at most 60 us above append + fdatasync of the same bytes";
    let row = Row::plain(name, ours, "us").beside(raw);
    Ok(row.goal(goal, ours - raw <= 60.0))
}

/// Receipts per second with this many receipts waiting at any time; a transfer is two.
fn in_flight(owned: &Owned, flight: u64) -> Result<f64, String> {
    let (calls, rounds) = (flight / 2, MANY / flight);
    let prepared: Vec<Vec<_>> = (0..rounds)
        .map(|round| (0..calls).map(|n| home::transfer(round * calls + n)).collect())
        .collect();
    let began = Instant::now();
    for calls in prepared {
        home::answered(owned.ledger.submit_all(calls))?;
    }
    Ok((rounds * flight) as f64 / began.elapsed().as_secs_f64())
}

fn verify(dir: &Path, receipts: f64, machine: &Machine) -> Result<Row, String> {
    let fs = Disk::new(dir.join("home"), dir.join("guard"));
    let trust = audit::self_asserted_trust(&fs).map_err(|e| e.to_string())?;
    let mut times = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        let verdict = audit::verify_home(&fs, &trust, &mut |_, _, _| {});
        times.push(began.elapsed());
        if !verdict.is_verified() {
            return Err(verdict.summary);
        }
    }
    let best = times.iter().min().copied().unwrap_or(Duration::ZERO);
    let (rate, limit) = (receipts / best.as_secs_f64(), machine.cores * machine.verify);
    let row = Row::plain("verify_home", rate, "receipts/s").beside(limit);
    Ok(row.goal("0.85 x cores x verify_strict rate", rate >= 0.85 * limit))
}
