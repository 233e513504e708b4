//! Prints what one core does with receipts: `cargo run --release -p vm-receipts --example line_throughput`.
//!
//! A person reads the numbers; no test depends on them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use vm_receipts::json::{canonical, check_canonical, parse};
use vm_receipts::line::{Issuer, Prepared, Stored, record_digests, verify_proof};
use vm_receipts::*;

const SPAN: Duration = Duration::from_millis(700);
const RUNS: u64 = 64;

fn main() {
    let key = SecretKey::from_seed([7; 32]);
    let line = sample(&key);
    let sealed = line.seal(&key).expect("the sample is well-formed");
    let bytes = sealed.bytes;
    let value = parse(&bytes).expect("a sealed line is strict JSON");
    println!("line of {} bytes", bytes.len());
    let rate = measure("check_canonical", || check_canonical(black_box(&bytes)));
    println!("{:>24} MB/s", rate * bytes.len() as u64 / 1_000_000);
    let text =
        "a plain sentence of a report that somebody wrote, without anything to escape ".repeat(500);
    let long = canonical(&Value::from(text)).expect("a string is in the profile");
    let rate = measure("check one long string", || check_canonical(black_box(&long)));
    println!("{:>24} MB/s", rate * long.len() as u64 / 1_000_000);
    measure("json::parse", || parse(black_box(&bytes)));
    measure("json::canonical", || canonical(black_box(&value)));
    measure("Line::parse", || Line::parse(black_box(&bytes)));
    measure("record_digests", || record_digests(black_box(&line)));
    let public = key.public();
    let (message, signature) = ([7; 64], key.sign(&[7; 64]));
    let sign = measure("sign alone", || key.sign(black_box(&message)));
    let strict = measure("verify_strict alone", || public.verify(black_box(&message), &signature));
    measure("Line::seal", || line.seal(black_box(&key)));
    let seal = measure("digests, prepare, seal", || record(black_box(line.clone())).seal(&key));
    println!(
        "{:>24} ns beside the signature",
        (1_000_000_000 / seal) as i64 - (1_000_000_000 / sign) as i64
    );
    measure("verify_proof", || verify_proof(black_box(&bytes), &public));
    let issuer = Issuer::new(public);
    let whole = measure("read, digests, verify", || {
        let stored = Stored::read(black_box(&bytes)).expect("it was sealed");
        black_box(record_digests(stored.line()));
        stored.verify(&issuer)
    });
    println!("{:>24} % of the rate of verify_strict", whole * 100 / strict);
}

fn record(mut line: Line) -> Prepared {
    (line.contract, line.state, line.root_hash) = record_digests(&line);
    line.prepare().expect("the sample is well-formed")
}

/// Runs `work` for a while and prints and gives how often it runs in a second when nothing disturbs it.
fn measure<T>(name: &str, work: impl Fn() -> T) -> u64 {
    let start = Instant::now();
    let mut best = u64::MAX;
    while start.elapsed() < SPAN {
        let batch = Instant::now();
        (0..RUNS).for_each(|_| drop(black_box(work())));
        best = best.min(batch.elapsed().as_nanos() as u64);
    }
    let rate = 1_000_000_000 * RUNS / best;
    println!("{name:24} {rate:>10} per second  {:>8} ns each", best / RUNS);
    rate
}

fn sample(key: &SecretKey) -> Line {
    let mut line = Line {
        kind: "treasury_credit".to_owned(),
        op: "treasury.credit".to_owned(),
        scroll: "treasury".to_owned(),
        seq: 123_456,
        id: "0193b0e0-0000-7000-8000-000000000003".to_owned(),
        part: Part { n: 1, of: 1 },
        intent: Blake3::of(b"intent"),
        issuer: key.did().to_owned(),
        actor: "local:1000".to_owned(),
        context: Context { surface: "cli".to_owned(), node: "n1".to_owned(), demo: false },
        actor_proof: None,
        authority: Map::from_iter([("mode".to_owned(), Value::from("owner"))]),
        at: Moment::from_unix_ms(1_790_847_003_125).expect("in range"),
        end: End::Completed,
        contract: Blake3([0; 32]),
        state: Blake3([0; 32]),
        root_hash: Blake3([0; 32]),
        artifacts: None,
        prev: Prev { size: 123_000, root: [7; 32] },
        tags: Vec::new(),
        body: Map::from_iter([
            ("account".to_owned(), Value::from("acct:region-eu/ops")),
            ("amount_cents".to_owned(), Value::from(150_000)),
            ("unit".to_owned(), Value::from("EUR")),
        ]),
        proof: None,
    };
    (line.contract, line.state, line.root_hash) = record_digests(&line);
    line
}
