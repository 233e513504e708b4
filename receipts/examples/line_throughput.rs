//! Prints what one core does with receipts: `cargo run --release -p vm-receipts --example line_throughput`.
//!
//! A person reads the numbers; no test depends on them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use vm_receipts::json::{canonical, check_canonical, parse};
use vm_receipts::line::{record_digests, verify_proof};
use vm_receipts::*;

const SPAN: Duration = Duration::from_millis(700);

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
    measure("Line::seal", || line.seal(black_box(&key)));
    let public = key.public();
    measure("verify_proof", || verify_proof(black_box(&bytes), &public));
    measure("sign alone", || key.sign(black_box(&bytes[..64])));
}

/// Runs `work` for a while and prints and gives how often it ran in a second.
fn measure<T>(name: &str, work: impl Fn() -> T) -> u64 {
    let start = Instant::now();
    let mut runs: u64 = 0;
    while start.elapsed() < SPAN {
        (0..64).for_each(|_| drop(black_box(work())));
        runs += 64;
    }
    let nanos = start.elapsed().as_nanos() as u64;
    let rate = u128::from(runs) * 1_000_000_000 / u128::from(nanos);
    println!("{name:24} {rate:>10} per second  {:>8} ns each", nanos / runs);
    rate as u64
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
