//! Oracles for what a run is made of: runbooks, contracts that are handed in, and the files of an open run.

use crate::memfs::MemoryFs;
use crate::people::{by, complete, file, open, plan};
use crate::world::{call, lay_out, open_home, whisper, work};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use vm_ledger::{Handed, Ledger};

/// The open run whose files the oracle replaces.
const RUN: &str = "runs/toy/w";

/// A runbook of any format: read within its limits, or refused with a place.
pub fn runbook(data: &[u8]) {
    vm_drills::runbook::fuzz_runbook(data);
}

/// A contract that is handed in: refused, or opened as exactly what was handed in.
pub fn contract(data: &[u8]) {
    static HOME: OnceLock<Mutex<Ledger>> = OnceLock::new();
    let home = || {
        let fs = Arc::new(MemoryFs::default());
        lay_out(&*fs);
        Mutex::new(Ledger::new(open_home(fs).expect("a new home opens")))
    };
    let Ok(handed) = Handed::parse(data) else { return };
    let ledger = HOME.get_or_init(home).lock().expect("an oracle that panics ends the run");
    if let Ok(opened) = ledger.run(data, &by()) {
        assert_eq!(opened.run.contract, handed.contract, "another contract was opened");
        let kept = opened.run.contract.to_bytes().expect("it was written");
        assert_eq!(vm_receipts::Blake3::of(&kept), opened.run.digest);
    }
}

/// The files of a home with an open run and private values.
fn original() -> &'static BTreeMap<String, Vec<u8>> {
    static FILES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let fs = Arc::new(MemoryFs::default());
        lay_out(&*fs);
        let ledger = Ledger::new(open_home(fs.clone()).expect("a new home opens"));
        ledger.submit(whisper("s", "a secret of somebody")).expect("it is taken");
        open(&ledger, work("w", 2)).expect("it opens");
        complete(&ledger, "w", 1, Some("noted"), vec![file("a.txt", true, b"a")]).expect("it is");
        ledger.flush().expect("it is published");
        drop(ledger);
        fs.files()
    })
}

/// One file of an open run or of the openings replaced by these bytes: the first byte says which. Whatever they are,
/// the home opens, nothing acknowledged is lost, and each step is refused or does what it says.
pub fn run_home(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    let names = replaceable();
    let name = names[usize::from(*which) % names.len()].clone();
    let mut files = original().clone();
    files.insert(name, bytes.to_vec());
    let fs = Arc::new(MemoryFs::with(files));
    let Ok(writer) = open_home(fs) else { panic!("a file that is no receipt kept the home shut") };
    let ledger = Ledger::new(writer);
    let size = ledger.writer().heads().iter().map(|head| head.size).sum::<u64>();
    let _ = ledger.opened("toy", 1);
    let _ = complete(&ledger, "w", 2, Some("more"), vec![]);
    let sealed = ledger.seal_run("toy", "w", &by());
    let after = ledger.writer().heads().iter().map(|head| head.size).sum::<u64>();
    assert!(after >= size && (sealed.is_ok() || after == size), "a refused seal left a receipt");
    let again = ledger.submit(whisper("s", "a secret of somebody"));
    assert!(again.is_err() || again.is_ok_and(|answer| answer.existing), "a call was doubled");
}

fn replaceable() -> Vec<String> {
    let of_run = |name: &&String| name.starts_with(RUN) || name.starts_with("openings/");
    original().keys().filter(of_run).cloned().collect()
}

/// Seeds of these targets: name and bytes.
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut all = Vec::new();
    let fs = Arc::new(MemoryFs::default());
    lay_out(&*fs);
    let ledger = Ledger::new(open_home(fs).expect("a new home opens"));
    for (name, asked) in [
        ("work", work("w", 2)),
        ("note", call("n", "note", json!({"text": "hello"}))),
        ("whisper", whisper("s", "psst")),
    ] {
        all.push(("contract", name.to_owned(), plan(&ledger, asked).expect("it can be planned")));
    }
    for (n, name) in replaceable().iter().enumerate() {
        let bytes = [&[n as u8][..], &original()[name]].concat();
        all.push(("run_home", name.replace('/', "-"), bytes));
    }
    for text in vm_drills::catalogue::BUILT_IN {
        let name = text.lines().nth(1).unwrap_or("name").trim_start_matches("name: ").to_owned();
        all.push(("runbook", name, text.as_bytes().to_vec()));
    }
    all
}
