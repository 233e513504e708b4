//! What is measured in a process of its own: what it takes to open a home, and what appends cost it.

use crate::home;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Counts of a process, as the kernel keeps them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Calls that read or write.
    pub calls: f64,
    /// Bytes given to write calls.
    pub bytes: f64,
    /// CPU time of all threads, nanoseconds.
    pub cpu_ns: f64,
}

/// `--child open DIR` | `--child append DIR COUNT`: prints its figures, separated by spaces.
pub fn run(words: &[String]) -> ExitCode {
    let result = match words {
        [what, dir] if what == "open" => open(Path::new(dir)),
        [what, dir, count] if what == "append" => append(Path::new(dir), count),
        _ => Err("a child is asked for `open DIR` or `append DIR COUNT`".into()),
    };
    match result {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("bench: {what}");
            ExitCode::FAILURE
        }
    }
}

/// Starts this program again as such a child; its figures.
pub fn start(words: &[&str]) -> Result<Vec<f64>, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let output = Command::new(program).arg("--child").args(words).output();
    let output = output.map_err(|e| format!("cannot start a child: {e}"))?;
    if !output.status.success() {
        return Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace()
        .map(|word| word.parse().map_err(|_| format!("a child said {text:?}")))
        .collect()
}

/// Microseconds to open the home, and the process's largest memory in KiB.
fn open(dir: &Path) -> Result<String, String> {
    let began = Instant::now();
    let owned = home::open(dir)?;
    let took = began.elapsed().as_micros();
    let status = fs::read_to_string("/proc/self/status").map_err(|e| e.to_string())?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|p| p.split_whitespace().next()).unwrap_or("0");
    let line = format!("{took} {peak}");
    owned.close().map_err(|e| e.to_string())?;
    Ok(line)
}

/// Appends one call after the other; what the process has used for it, opening not counted.
fn append(dir: &Path, count: &str) -> Result<String, String> {
    let count: u64 = count.parse().map_err(|_| "COUNT is a number")?;
    let owned = home::open(dir)?;
    let from = home::size(&owned) / 2;
    let before = usage()?;
    for n in from..from + count {
        owned.ledger.submit(home::transfer(n)).map_err(|e| e.to_string())?;
    }
    owned.close().map_err(|e| e.to_string())?;
    let after = usage()?;
    Ok(format!(
        "{} {} {}",
        after.calls - before.calls,
        after.bytes - before.bytes,
        after.cpu_ns - before.cpu_ns
    ))
}

fn usage() -> Result<Usage, String> {
    let io = fs::read_to_string("/proc/self/io").map_err(|e| e.to_string())?;
    let field = |name: &str| -> f64 {
        let found = io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        found.unwrap_or(0.0)
    };
    // Of the process as a whole, ended threads included, in ticks of 10 ms.
    let stat = fs::read_to_string("/proc/self/stat").map_err(|e| e.to_string())?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|word| word.parse::<f64>().ok())
        .sum();
    Ok(Usage {
        calls: field("syscr:") + field("syscw:"),
        bytes: field("wchar:"),
        cpu_ns: ticks * 1e7,
    })
}
