//! Makes a home of so many receipts, if it is not there, and verifies it:
//! `cargo run --release -p vm-ledger --example verify_throughput -- FOLDER RECEIPTS`.
//!
//! A person reads the numbers; no test depends on them.

#![allow(clippy::float_arithmetic, reason = "measured times and ratios are not evidence")]
#![allow(clippy::unwrap_used, reason = "a measurement stops where it fails")]

use rayon::prelude::*;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;
use vm_ledger::audit::verify_home;
use vm_ledger::fs::Disk;
use vm_ledger::segments::{SEGMENT_LINES, segment_path};
use vm_receipts::line::{Context, End, Line, Part, Prev, record_digests};
use vm_receipts::{Blake3, Map, Moment, SecretKey, Value, json};
use vm_scrolls::checkpoint::Checkpoint;
use vm_scrolls::note::Vkey;
use vm_scrolls::tree::{Frontier, leaf_hash};
use vm_scrolls::trust::Trust;

const ORIGIN: &str = "bench.example/n1/toy";
const BATCH: u64 = 1_024;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let [_, folder, receipts] = &words[..] else {
        eprintln!("usage: verify_throughput FOLDER RECEIPTS");
        return;
    };
    let (home, receipts) = (Path::new(folder), receipts.parse().unwrap());
    let (issuer, log) = (SecretKey::from_seed([7; 32]), SecretKey::from_seed([8; 32]));
    if !home.join("ROOT.toy.txt").exists() {
        make(home, receipts, &issuer, &log);
    }
    let vkey = Vkey::new(ORIGIN, log.public()).unwrap();
    let trust = Trust::self_asserted(vec![issuer.public()], vec![vkey]);
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let strict = strict_s(&issuer);
    hashes(&line(1, Prev { size: 1, root: [1; 32] }, &issuer).seal(&issuer).unwrap().bytes);
    let disk = Disk::new(home, home.join("guard"));
    for _ in 0..3 {
        let (wall, cpu) = (Instant::now(), cpu_s());
        let verdict = verify_home(&disk, &trust, &mut |_, _, _| {});
        let (wall, cpu) =
            (wall.elapsed().as_secs_f64() / receipts as f64, (cpu_s() - cpu) / receipts as f64);
        println!("{}", verdict.summary);
        println!(
            "{:.0} receipts/s, {:.2} of cores x verify_strict; processor time {:.2} us each, verify_strict alone {:.2} us: {:.2}; peak memory {} KiB",
            1.0 / wall,
            strict / cores / wall,
            cpu * 1e6,
            strict * 1e6,
            strict / cpu,
            peak_kib()
        );
    }
}

/// Seconds that one bare check of a signature takes, when nothing disturbs it.
fn strict_s(key: &SecretKey) -> f64 {
    let (public, message) = (key.public(), [9; 64]);
    let signature = key.sign(&message);
    fastest_s(|| {
        let _ = black_box(public.verify(black_box(&message), &signature));
    })
}

/// Seconds that something takes when nothing disturbs it.
fn fastest_s(mut work: impl FnMut()) -> f64 {
    let times = (0..200).map(|_| {
        let began = Instant::now();
        (0..32).for_each(|_| work());
        began.elapsed().as_secs_f64() / 32.0
    });
    times.fold(f64::MAX, f64::min)
}

/// The canonical check, leaf hash and chain of lines of 700 bytes and of a real one.
fn hashes(real: &[u8]) {
    let mut short = json::parse(real).unwrap();
    let members = short.as_object_mut().unwrap();
    for name in ["proof", "state", "contract", "root_hash"] {
        members.remove(name);
    }
    let missing = 700 - json::canonical(&short).unwrap().len() - 2;
    short["tags"] = Value::from(vec!["x".repeat(missing)]);
    for bytes in [json::canonical(&short).unwrap(), real.to_vec()] {
        let mut frontier = Frontier::new();
        let each = fastest_s(|| {
            json::check_canonical(black_box(&bytes)).unwrap();
            frontier.push(leaf_hash(&bytes));
        });
        let length = bytes.len();
        println!(
            "hashes of {length} bytes: {:.0} lines/s and core, {:.0} MB/s",
            1.0 / each,
            length as f64 / each / 1e6
        );
    }
}

/// Processor seconds of this process, all threads.
fn cpu_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit_once(')').unwrap().1;
    let ticks = after.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap());
    ticks.sum::<u64>() as f64 / 100.0
}

fn peak_kib() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

fn make(home: &Path, receipts: u64, issuer: &SecretKey, log: &SecretKey) {
    fs::create_dir_all(home.join("receipts/toy")).unwrap();
    let mut frontier = Frontier::new();
    let mut file = None;
    while frontier.size() < receipts {
        let (size, root) = (frontier.size(), frontier.root());
        let end = if size == 0 { 1 } else { receipts.min(size + BATCH) };
        let lines: Vec<Vec<u8>> = (size..end)
            .into_par_iter()
            .map(|seq| line(seq, Prev { size, root }, issuer).seal(issuer).unwrap().bytes)
            .collect();
        for bytes in lines {
            if frontier.size().is_multiple_of(SEGMENT_LINES) {
                let path = home.join(segment_path("toy", frontier.size()));
                file = Some(BufWriter::new(File::create(path).unwrap()));
            }
            frontier.push(leaf_hash(&bytes));
            let file = file.as_mut().unwrap();
            file.write_all(&bytes).and_then(|()| file.write_all(b"\n")).unwrap();
        }
    }
    file.unwrap().flush().unwrap();
    let checkpoint =
        Checkpoint { origin: ORIGIN.to_owned(), size: frontier.size(), root: frontier.root() };
    fs::write(home.join("ROOT.toy.txt"), checkpoint.sign(log)).unwrap();
}

fn line(seq: u64, prev: Prev, issuer: &SecretKey) -> Line {
    let text = |text: &str| Value::from(text);
    let body = match seq {
        0 => vec![("domain", text("bench.example")), ("ledger", text("bench"))],
        _ => vec![
            ("account", text("acct:region-eu/ops")),
            ("amount_cents", Value::from(seq)),
            ("unit", text("EUR")),
        ],
    };
    let mut line = Line {
        kind: if seq == 0 { "ledger_open" } else { "toy_note" }.to_owned(),
        op: "toy.note".to_owned(),
        scroll: "toy".to_owned(),
        seq,
        id: format!("0193b0e0-0000-7000-8000-{seq:012}"),
        part: Part { n: 1, of: 1 },
        intent: Blake3::of(&seq.to_le_bytes()),
        issuer: issuer.did().to_owned(),
        actor: "local:1000".to_owned(),
        context: Context { surface: "cli".to_owned(), node: "n1".to_owned(), demo: false },
        actor_proof: None,
        authority: Map::from_iter([("mode".to_owned(), text("owner"))]),
        at: Moment::from_unix_ms(1_790_847_003_125 + seq as i64).unwrap(),
        end: End::Completed,
        contract: Blake3([0; 32]),
        state: Blake3([0; 32]),
        root_hash: Blake3([0; 32]),
        artifacts: None,
        prev,
        tags: Vec::new(),
        body: body.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        proof: None,
    };
    (line.contract, line.state, line.root_hash) = record_digests(&line);
    line
}
