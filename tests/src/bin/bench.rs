//! `cargo xtask bench`: what this machine can do, and what the ledger does on it.
//!
//! Each figure stands beside the machine's own limit measured in the same run; only their ratio travels between
//! machines. Homes are made in the current directory, because the disk under it is part of the measure.

#![allow(clippy::float_arithmetic, reason = "measured times and ratios are not evidence")]

use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vm_contracts::{Actor, Call, OwnerGate};
use vm_ledger::clock::SystemEntropy;
use vm_ledger::fs::Disk;
use vm_ledger::{AsOf, Settings, audit, home};
use vm_receipts::json;
use vm_receipts::key::SecretKey;
use vm_receipts::line::{self, Line};
use vm_scrolls::tree;
use vm_tests::world::ENGINES;

/// One figure.
struct Row {
    name: &'static str,
    value: f64,
    unit: &'static str,
    /// The machine's own limit for the same work, where there is one.
    baseline: Option<f64>,
    goal: Option<&'static str>,
    met: Option<bool>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let file = words.iter().position(|w| w == "--json").and_then(|at| words.get(at + 1));
    let scratch = PathBuf::from(format!("target/bench-{}", std::process::id()));
    let result = measure(&scratch);
    // What was measured matters more than a leftover directory.
    let _ = fs::remove_dir_all(&scratch);
    match result {
        Ok(rows) => report(&rows, file.map(Path::new)),
        Err(what) => {
            eprintln!("bench: {what}");
            ExitCode::FAILURE
        }
    }
}

fn measure(scratch: &Path) -> Result<Vec<Row>, String> {
    fs::create_dir_all(scratch).map_err(|e| format!("cannot make {}: {e}", scratch.display()))?;
    let mut rows = Vec::new();
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    rows.push(plain("cores", cores, "cores"));
    let sync_us = disk_sync_us(scratch, 1_200)?;
    rows.push(plain("disk_append_fdatasync_p50", sync_us, "us"));
    let (sign, verify) = signatures();
    rows.push(plain("ed25519_sign", sign, "per s and core"));
    rows.push(plain("ed25519_verify_strict", verify, "per s and core"));

    let owned = open(scratch)?;
    let lone = one_client(&owned)?;
    let over = lone - sync_us;
    rows.push(Row {
        name: "one_client_durable_p50",
        value: lone,
        unit: "us",
        baseline: Some(sync_us),
        goal: Some("at most 60 us above append + fdatasync"),
        met: Some(over <= 60.0),
    });
    for (name, flight) in [("in_flight_256", 256u32), ("in_flight_1024", 1_024)] {
        let rate = in_flight(&owned, flight)?;
        let sync_s = sync_us / 1e6;
        let limit = (0.4 * cores * sign)
            .min(0.8 * f64::from(flight) / (sync_s + f64::from(flight) / sign / cores));
        rows.push(Row {
            name,
            value: rate,
            unit: "receipts/s",
            baseline: Some(limit),
            goal: Some("min(0.4 x cores x sign rate, 0.8 x in flight / (sync + signing))"),
            met: Some(rate >= limit),
        });
    }
    lines(&owned, &mut rows)?;
    let receipts = size(&owned);
    owned.close().map_err(|e| e.to_string())?;
    reopen(scratch, receipts, cores * verify, &mut rows)?;
    Ok(rows)
}

fn plain(name: &'static str, value: f64, unit: &'static str) -> Row {
    Row { name, value, unit, baseline: None, goal: None, met: None }
}

/// Median time of one append and its sync.
fn disk_sync_us(dir: &Path, bytes: usize) -> Result<f64, String> {
    let io = |e: std::io::Error| format!("cannot measure the disk: {e}");
    let mut file =
        fs::OpenOptions::new().create(true).append(true).open(dir.join("sync")).map_err(io)?;
    let data = vec![b'x'; bytes];
    let mut times = Vec::new();
    for _ in 0..300 {
        let began = Instant::now();
        file.write_all(&data).and_then(|()| file.sync_data()).map_err(io)?;
        times.push(began.elapsed());
    }
    Ok(median_us(&mut times))
}

fn median_us(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// How often per second a thing can be done, over about a third of a second.
fn rate(mut work: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut times = 0u32;
    while began.elapsed() < Duration::from_millis(300) {
        for _ in 0..32 {
            work();
        }
        times += 32;
    }
    f64::from(times) / began.elapsed().as_secs_f64()
}

fn signatures() -> (f64, f64) {
    let key = SecretKey::from_seed([7; 32]);
    let (public, message) = (key.public(), [9u8; 64]);
    let signature = key.sign(&message);
    let sign = rate(|| {
        std::hint::black_box(key.sign(std::hint::black_box(&message)));
    });
    let verify = rate(|| {
        public.verify(std::hint::black_box(&message), &signature).expect("it was just signed")
    });
    (sign, verify)
}

fn open(scratch: &Path) -> Result<home::Owned, String> {
    let (dir, guard) = (scratch.join("home"), scratch.join("guard"));
    if !dir.exists() {
        home::init(&dir, &guard, &settings(), &["toy"], &SystemEntropy)
            .map_err(|e| e.to_string())?;
    }
    home::open(&dir, &guard, settings(), &ENGINES, Arc::new(OwnerGate), Duration::ZERO)
        .map_err(|e| e.to_string())
}

fn settings() -> Settings {
    Settings {
        ledger: "bench".into(),
        domain: "bench.example".into(),
        node: "n1".into(),
        demo: true,
    }
}

fn note(n: u32) -> Call {
    let intent = json!({"n": n, "text": "a note of a length that people write"});
    Call {
        id: None,
        actor: Actor::local(0),
        surface: "bench".into(),
        engine: "toy".into(),
        verb: "note".into(),
        intent: intent.as_object().cloned().expect("an object was written above"),
        tags: Vec::new(),
    }
}

fn one_client(owned: &home::Owned) -> Result<f64, String> {
    let mut times = Vec::new();
    for n in 0..500 {
        let began = Instant::now();
        owned.ledger.submit(note(n)).map_err(|e| e.to_string())?;
        times.push(began.elapsed());
    }
    Ok(median_us(&mut times))
}

/// Receipts per second with this many waiting at any time, as one caller that sends them together.
fn in_flight(owned: &home::Owned, flight: u32) -> Result<f64, String> {
    let rounds = 40_960 / flight;
    let began = Instant::now();
    for round in 0..rounds {
        let calls = (0..flight).map(|n| note(round * flight + n)).collect();
        for answer in owned.ledger.submit_all(calls) {
            answer.map_err(|e| e.to_string())?;
        }
    }
    Ok(f64::from(rounds * flight) / began.elapsed().as_secs_f64())
}

fn size(owned: &home::Owned) -> f64 {
    let empty = serde_json::Map::new();
    owned.ledger.report("toy", "total", &empty, AsOf::Now).map_or(0.0, |(size, _)| size as f64)
}

/// What reading back costs, line by line, on one core.
fn lines(owned: &home::Owned, rows: &mut Vec<Row>) -> Result<(), String> {
    let proven = owned.ledger.prove("toy", 1).map_err(|e| e.to_string())?;
    let (bytes, key) =
        (proven.line, Line::parse(&owned.ledger.prove("toy", 1).map_err(|e| e.to_string())?.line));
    let issuer = key.map_err(|e| e.to_string())?.issuer;
    let key = vm_receipts::key::PublicKey::from_did(&issuer).map_err(|e| e.to_string())?;
    rows.push(plain("line_bytes", bytes.len() as f64, "bytes"));
    let check =
        rate(|| json::check_canonical(std::hint::black_box(&bytes)).expect("it is canonical"));
    rows.push(plain("canonical_check", check, "lines/s and core"));
    let hash = rate(|| {
        json::check_canonical(std::hint::black_box(&bytes)).expect("it is canonical");
        std::hint::black_box(tree::leaf_hash(&bytes));
    });
    rows.push(plain("canonical_check_and_leaf_hash", hash, "lines/s and core"));
    let parse = rate(|| {
        std::hint::black_box(Line::parse(std::hint::black_box(&bytes)).expect("it reads"));
    });
    rows.push(plain("line_parse", parse, "lines/s and core"));
    let proof =
        rate(|| line::verify_proof(std::hint::black_box(&bytes), &key).expect("it is sealed"));
    rows.push(plain("line_verify_seal", proof, "lines/s and core"));
    Ok(())
}

fn reopen(
    scratch: &Path,
    receipts: f64,
    verify_limit: f64,
    rows: &mut Vec<Row>,
) -> Result<(), String> {
    let began = Instant::now();
    let owned = open(scratch)?;
    rows.push(plain("open", receipts / began.elapsed().as_secs_f64(), "receipts/s"));
    owned.close().map_err(|e| e.to_string())?;
    let fs = Disk::new(scratch.join("home"), scratch.join("guard"));
    let trust = audit::self_asserted_trust(&fs).map_err(|e| e.to_string())?;
    let began = Instant::now();
    let verdict = audit::verify_home(&fs, &trust, &mut |_, _, _| {});
    let rate = receipts / began.elapsed().as_secs_f64();
    if !verdict.is_verified() {
        return Err(verdict.summary);
    }
    rows.push(Row {
        name: "verify_home",
        value: rate,
        unit: "receipts/s",
        baseline: Some(verify_limit),
        goal: Some("0.85 x cores x verify_strict rate"),
        met: Some(rate >= 0.85 * verify_limit),
    });
    Ok(())
}

fn report(rows: &[Row], file: Option<&Path>) -> ExitCode {
    println!(
        "{:<32} {:>14} {:<18} {:>14} {:>7}  goal",
        "figure", "value", "unit", "baseline", "ratio"
    );
    let mut out = Vec::new();
    for row in rows {
        let ratio = row.baseline.map(|b| row.value / b);
        let number = |n: Option<f64>| n.map_or(String::new(), |n| format!("{n:.1}"));
        let met = row.met.map_or("", |met| if met { "met: " } else { "NOT MET: " });
        println!(
            "{:<32} {:>14} {:<18} {:>14} {:>7}  {met}{}",
            row.name,
            number(Some(row.value)),
            row.unit,
            number(row.baseline),
            ratio.map_or(String::new(), |r| format!("{r:.2}")),
            row.goal.unwrap_or("")
        );
        out.push(json!({
            "name": row.name, "value": row.value, "unit": row.unit,
            "baseline": row.baseline, "ratio": ratio, "goal": row.goal, "met": row.met,
        }));
    }
    if let Some(path) = file
        && let Err(e) = fs::write(path, format!("{:#}\n", Value::Array(out)))
    {
        eprintln!("bench: cannot write {}: {e}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
