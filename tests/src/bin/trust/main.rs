//! `cargo xtask trust`: runs the campaigns that are there and writes down what they came to.
//!
//! One row a campaign. Nothing in the report is typed by hand: trust.json holds the rows with the commit they were made
//! at, and the table in docs/trust.md is written from it.

mod report;

use report::Report;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use vm_tests::campaign::{ASKED, Came, MARK, Row};
use vm_tests::recorder::crash::Reach;
use vm_tests::recorder::{campaign, flow, full, loops};
use vm_tests::rounds::{self, Size};
use vm_tests::world::seed;

/// Campaigns that are tests: the name of each, and the variable by which it goes further.
const TESTS: [(&str, &str, &str); 4] = [
    ("crash", "VM_CRASH_SCRIPTS", "60"),
    ("model", "", ""),
    ("tamper", "", ""),
    ("corpus", "VM_ROUNDS", "20"),
];

/// What was asked for.
struct Asked {
    quick: bool,
    seconds: u64,
    only: Option<String>,
    file: PathBuf,
    page: PathBuf,
    vm: PathBuf,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let asked = match asked(&words) {
        Ok(asked) => asked,
        Err(what) => return fail(&what),
    };
    let mut all = match Report::begin(&asked.file) {
        Ok(all) => all,
        Err(what) => return fail(&what),
    };
    let mut add = |group: &str, row: Row| {
        println!("{}", report::line(&row));
        all.put(group, row);
        // After each row, so that a campaign that is stopped leaves what it has; the last time says what went wrong.
        let _ = all.write(&asked.file, &asked.page);
    };
    if asked.wants("real") {
        real(&asked, &mut |row| add("real", row));
    }
    if asked.wants("rounds") {
        add("rounds", rounds::run(&asked.vm, size(asked.quick)));
    }
    for (test, more, much) in TESTS.iter().filter(|(test, ..)| asked.wants(test)) {
        let rows = of_test(test, if asked.quick { None } else { Some((*more, *much)) });
        rows.into_iter().for_each(|row| add(test, row));
    }
    if asked.wants("fuzz") {
        add("fuzz", fuzz(if asked.quick { 2 } else { 20 }));
    }
    match all.write(&asked.file, &asked.page) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => fail("a campaign failed or is unproven"),
        Err(what) => fail(&what),
    }
}

fn fail(what: &str) -> ExitCode {
    eprintln!("trust: {what}");
    ExitCode::FAILURE
}

fn asked(words: &[String]) -> Result<Asked, String> {
    let mut rest = words.iter();
    let here = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut asked = Asked {
        quick: false,
        seconds: 0,
        only: None,
        file: "docs/trust.json".into(),
        page: "docs/trust.md".into(),
        vm: here.with_file_name("vm"),
    };
    while let Some(word) = rest.next() {
        let mut value = || rest.next().cloned().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--quick" => asked.quick = true,
            "--seconds" => {
                asked.seconds = value()?.parse().map_err(|_| "--seconds takes a number")?;
            }
            "--json" => asked.file = value()?.into(),
            "--page" => asked.page = value()?.into(),
            "--vm" => asked.vm = value()?.into(),
            "--only" => asked.only = Some(value()?),
            other => return Err(format!("trust takes no {other:?}")),
        }
    }
    match asked.vm.is_file() {
        true => Ok(asked),
        false => {
            Err(format!("{} is not there: cargo build --package vaultmesh", asked.vm.display()))
        }
    }
}

impl Asked {
    fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }
}

/// The campaigns over the built program.
fn real(asked: &Asked, add: &mut dyn FnMut(Row)) {
    let vm = asked.vm.as_path();
    let failed = |what: &str, e: String| Row::new(what, campaign::HOW).came(Came::Failed(e));
    if vm_tests::recorder::can_trace() {
        traced(asked, add).unwrap_or_else(|e| add(failed("the recorder", e)));
        add(full::no_space(vm).unwrap_or_else(|e| failed("no space", e)));
    } else {
        let missing = Came::CannotEvaluate("there is no strace that may trace".into());
        add(Row::new("the recorder, and failing calls under strace", campaign::HOW).came(missing));
    }
    add(loops::full_backing_store(vm));
}

fn size(quick: bool) -> Size {
    let (rounds, each, beside_each) = if quick { (20, 40, 2) } else { (200, 2_000, 20) };
    Size { rounds, clients: 16, each, beside: 16, beside_each, seed: seed() }
}

fn traced(asked: &Asked, add: &mut dyn FnMut(Row)) -> Result<(), String> {
    let began = Instant::now();
    let told = campaign::record_all(&asked.vm)?;
    let states = if asked.quick { 3 } else { 16 };
    let reach = Reach { states, again: 6, until_bad: false, seed: seed() };
    let planted = campaign::planted(&told, Reach { states: 8, ..reach })?;
    for (bug, first) in &planted {
        println!("  planted {bug:?}: {}", if first.is_some() { "caught" } else { "not caught" });
    }
    let caught = planted.iter().filter(|(_, first)| first.is_some()).count() as u64;
    let (mut count, mut row) = campaign::crashes(&told, reach, (caught, planted.len() as u64))?;
    let (mut next, first) = (1, row.came.clone());
    // More of the same with other seeds, for as long as was asked for.
    while began.elapsed() < Duration::from_secs(asked.seconds) && row.came == first {
        let reach = Reach { seed: reach.seed + next, ..reach };
        let (more, again) = campaign::crashes(&told, reach, (caught, planted.len() as u64))?;
        count.add(more);
        (row.came, next) = (again.came, next + 1);
    }
    add(Row { count: count.states as u64, ..row.since(began) });
    add(campaign::orders(&told)?);
    let reach = Reach { states: if asked.quick { 1 } else { 3 }, again: 20, ..reach };
    let mut flows = vec![flow::one_transfer()];
    if !asked.quick {
        flows.extend([flow::import(), flow::drill()]);
    }
    add(campaign::failing_syncs(&flows, &asked.vm, reach)?);
    Ok(())
}

/// Runs a test and takes the rows it gives; those of one name become one.
fn of_test(name: &str, more: Option<(&str, &str)>) -> Vec<Row> {
    let how = format!("cargo test -p vm-tests --test {name}");
    let began = Instant::now();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--quiet", "--locked", "-p", "vm-tests", "--test", name]).env(ASKED, "1");
    command.stdout(Stdio::null());
    if let Some((variable, value)) = more.filter(|(variable, _)| !variable.is_empty()) {
        command.env(variable, value);
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(e) => return vec![Row::new(&how, &how).came(Came::CannotEvaluate(e.to_string()))],
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = text.lines().filter_map(|line| line.strip_prefix(MARK));
    let mut rows: Vec<Row> = Vec::new();
    for row in told.filter_map(|json| Row::from_json(&serde_json::from_str(json).ok()?)) {
        match rows.iter_mut().find(|there| there.what == row.what) {
            Some(there) => join(there, row),
            None => rows.push(row),
        }
    }
    if rows.is_empty() {
        rows.push(Row::new(&how, &how).since(began));
    }
    if !output.status.success() {
        let why = format!("the test ended with {}", output.status);
        rows.iter_mut().for_each(|row| row.came = Came::Failed(why.clone()));
    }
    rows.iter_mut().for_each(|row| row.millis = Row::new("", "").since(began).millis);
    rows
}

fn join(there: &mut Row, row: Row) {
    there.count += row.count;
    there.caught += row.caught;
    there.planted += row.planted;
    there.seed = there.seed.or(row.seed);
    if there.unit.is_empty() {
        there.unit = row.unit;
    }
    if there.came == Came::Passed {
        there.came = row.came;
    }
}

/// Each fuzz target for so many seconds, where the tools are there.
fn fuzz(seconds: u64) -> Row {
    let (how, began) = (format!("cargo xtask fuzz --seconds {seconds}"), Instant::now());
    let row = Row::new("fuzzing of the parsers of outside bytes (libFuzzer)", &how);
    let there = |words: &[&str]| {
        let mut command = Command::new("cargo");
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !there(&["+nightly", "fuzz", "--version"]) {
        let missing = "cargo-fuzz on a nightly toolchain is not installed".to_owned();
        return row.since(began).came(Came::CannotEvaluate(missing));
    }
    let targets = targets(Path::new("tests/fuzz/fuzz_targets"));
    let seconds = seconds.to_string();
    let mut command = Command::new("cargo");
    command
        .args(["xtask", "fuzz", "--seconds", &seconds])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let came = match command.status() {
        Ok(status) if status.success() => Came::Passed,
        Ok(status) => Came::Failed(format!("it ended with {status}")),
        Err(e) => Came::CannotEvaluate(e.to_string()),
    };
    row.counted(targets, "targets").since(began).came(came)
}

fn targets(dir: &Path) -> u64 {
    std::fs::read_dir(dir).map_or(0, |entries| entries.count() as u64)
}
