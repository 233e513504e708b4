//! Every oracle of the fuzz targets, over the committed seeds and thousands of changes to them, on a stable toolchain.
//!
//! `VM_ROUNDS` multiplies the number of changes; `VM_SEED` draws others.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::time::Instant;
use vm_tests::campaign::Row;
use vm_tests::change::changed;
use vm_tests::oracles::TARGETS;
use vm_tests::world::{Dice, seed};

/// Largest corpus of one target, so that the repository stays small.
const TARGET_BYTES_MAX: u64 = 1 << 20;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target)
}

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries =
        fs::read_dir(folder(target)).unwrap_or_else(|e| panic!("no seeds for {target}: {e}"));
    let mut seeds: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
        })
        .collect();
    seeds.sort();
    seeds
}

fn run(target: &str, oracle: fn(&[u8]), name: &str, data: &[u8]) {
    if catch_unwind(|| oracle(data)).is_err() {
        panic!("{target} fails on {name}: {}", data.escape_ascii());
    }
}

fn campaign(target: &str, changes: usize) {
    let oracle = vm_tests::oracles::target(target).expect("a known target");
    let rounds: usize =
        std::env::var("VM_ROUNDS").map_or(1, |n| n.parse().expect("VM_ROUNDS is a number"));
    let (seeds, began) = (seeds(target), Instant::now());
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds.iter().for_each(|(name, data)| run(target, oracle, name, data));
    let mut dice = Dice::of(seed(), &[target.len() as u64]);
    for n in 0..changes * rounds {
        let (name, data) = &seeds[n % seeds.len()];
        let other = &seeds[dice.below(seeds.len())].1;
        let data = changed(data, other, &mut dice);
        run(target, oracle, &format!("change {n} of {name}"), &data);
    }
    let inputs = (seeds.len() + changes * rounds) as u64;
    let what = "parsers of outside bytes: committed seeds and changes of them";
    let row = Row::new(what, "cargo test -p vm-tests --test corpus").seeded(seed());
    row.counted(inputs, "inputs").since(began).tell();
}

#[test]
fn beancount() {
    campaign("beancount", 2_000);
}

#[test]
fn case_list() {
    campaign("case_list", 10_000);
}

#[test]
fn checkpoint() {
    campaign("checkpoint", 5_000);
}

#[test]
fn contract() {
    campaign("contract", 3_000);
}

#[test]
fn disclosure() {
    campaign("disclosure", 10_000);
}

#[test]
fn journal() {
    campaign("journal", 2_000);
}

#[test]
fn line() {
    campaign("line", 5_000);
}

#[test]
fn note() {
    campaign("note", 5_000);
}

#[test]
fn open_home() {
    campaign("open_home", 1_000);
}

#[test]
fn proof_case() {
    campaign("proof_case", 3_000);
}

#[test]
fn proof_file() {
    campaign("proof_file", 5_000);
}

#[test]
fn query() {
    campaign("query", 10_000);
}

#[test]
fn run_home() {
    campaign("run_home", 3_000);
}

#[test]
fn runbook() {
    campaign("runbook", 2_000);
}

#[test]
fn signed_state() {
    campaign("signed_state", 10_000);
}

#[test]
fn strict_json() {
    campaign("strict_json", 20_000);
}

#[test]
fn tile_path() {
    campaign("tile_path", 20_000);
}

#[test]
fn tlog_proof() {
    campaign("tlog_proof", 5_000);
}

#[test]
fn trust() {
    campaign("trust", 3_000);
}

#[test]
fn every_target_has_seeds_and_a_fuzz_target() {
    for (name, _) in TARGETS {
        assert!(!seeds(name).is_empty(), "{name} has no seeds");
        let path = folder("..").join("fuzz_targets").join(format!("{name}.rs"));
        assert!(path.exists(), "{} is missing", path.display());
    }
}

#[test]
fn a_signed_state_with_an_unknown_member_is_refused() {
    let root = vm_scrolls::base64::encode([7; 32]);
    let text = format!(
        "{{\"ledger\":\"l\",\"origins\":{{\"a\":{{\"root\":\"{root}\",\"size\":1,\"x\":2}}}},\"v\":1}}\n"
    );
    vm_tests::oracles::signed_state(text.as_bytes());
}

#[test]
fn seeds_stay_small() {
    for (target, _) in TARGETS {
        let bytes: u64 = seeds(target).iter().map(|(_, data)| data.len() as u64).sum();
        assert!(bytes <= TARGET_BYTES_MAX, "{target}: {bytes} bytes of seeds");
    }
}

/// Writes the seeds that follow from the sample home: `BLESS=1 cargo test -p vm-tests --test corpus bless`.
#[test]
fn bless() {
    if !vm_tests::golden::blessing() {
        return;
    }
    let sample = vm_tests::sample::Sample::small();
    let keep = |target: &str, name: &str, data: &[u8]| {
        fs::create_dir_all(folder(target)).unwrap();
        fs::write(folder(target).join(name), data).unwrap();
    };
    for (seq, line) in sample.lines.iter().enumerate().filter(|(seq, _)| [0, 1, 6, 8].contains(seq))
    {
        keep("line", &format!("toy-{seq}"), line);
        keep("strict_json", &format!("toy-{seq}"), line);
    }
    keep("checkpoint", "toy", sample.checkpoint.as_bytes());
    keep("checkpoint", "body", sample.note().text.as_bytes());
    keep("note", "toy", sample.checkpoint.as_bytes());
    keep("signed_state", "toy", &sample.files["signed-state"]);
    keep("trust", "toy", sample.trust.to_string().as_bytes());
    for seq in [0, 4, 8] {
        let (proof, tlog) = sample.proofs(seq);
        keep("proof_file", &format!("toy-{seq}"), &proof);
        keep("tlog_proof", &format!("toy-{seq}"), &tlog);
    }
    for (target, name, data) in vm_tests::oracles::run_seeds() {
        keep(target, &name, &data);
    }
    let cases = vm_tests::cases::Cases::after(&[]);
    keep("proof_case", "whole", &cases.whole(0).to_bytes());
    keep("proof_case", "aborted", &cases.whole(1).to_bytes());
    keep("proof_case", "some", &cases.some(0, &[1, 3]).to_bytes());
    keep("proof_case", "bare", &cases.bare(0).to_bytes());
    let case = &cases.cases[0];
    keep("case_list", "list", &case.files["ARTIFACTS.sha256"]);
    keep("case_list", "stub", &case.files["outputs/1.private"]);
    let documents = ["contract.json", "state.json", "outputs/1.private"];
    for ((name, path), opening) in
        ["field", "nested", "output"].iter().zip(documents).zip(&case.openings)
    {
        let text = format!("{}\n", opening.text());
        keep("disclosure", name, &[text.as_bytes(), &case.files[path]].concat());
    }
}

#[test]
fn command_line() {
    campaign("command_line", 10_000);
}

#[test]
fn hook_event() {
    campaign("hook_event", 10_000);
}

#[test]
fn otlp() {
    campaign("otlp", 2_000);
}

#[test]
fn trajectory() {
    campaign("trajectory", 2_000);
}

#[test]
fn transcript() {
    campaign("transcript", 2_000);
}

#[test]
fn transcript_document() {
    campaign("transcript_document", 2_000);
}
