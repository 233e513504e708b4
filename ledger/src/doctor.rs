//! `vm doctor`: is this machine fit to keep this home?

use crate::clock::{Clock, SystemClock};
use crate::fs::Disk;
use crate::fsck::{Finding, Level};
use crate::guard::Guard;
use crate::home::{KEYS, probe};
use crate::keys::{ISSUER, Keys, LOG};
use crate::openings::{KEYRING, OPENINGS_KEY};
use crate::writer::Settings;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use vm_receipts::moment::Moment;

/// Below this, a home is about to be full.
const SPACE_MIN_KIB: u64 = 256 * 1024;

/// Looks at everything outside the receipts that they rely on.
pub fn doctor(home: &Path, guard: &Path, settings: Option<&Settings>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !home.is_dir() {
        let what = format!("{} is not there", home.display());
        findings.push(
            Finding::new(Level::Problem, "home", what)
                .hint("Run `vm init`, or name the home with --home."),
        );
        return findings;
    }
    findings.push(match probe(home) {
        Ok(()) => Finding::new(
            Level::Ok,
            "file system",
            "locks, fdatasync, rename and directory fsync work",
        ),
        Err(e) => {
            let mut finding = Finding::new(Level::Problem, "file system", e.message);
            finding.hint = e.hint;
            finding
        }
    });
    findings.push(Finding::new(Level::Note, "disk", "whether the disk itself keeps what it confirms cannot be seen from here; a drive that lies about its cache can lose acknowledged receipts in a power cut"));
    permissions(home, 0o077, &mut findings);
    permissions(&home.join(KEYS), 0o077, &mut findings);
    for key in [ISSUER, LOG] {
        permissions(&home.join(KEYS).join(key), 0o077, &mut findings);
    }
    let openings = home.join(OPENINGS_KEY);
    if openings.exists() {
        permissions(&openings, 0o077, &mut findings);
    } else if home.join(KEYRING).exists() {
        findings.push(
            Finding::new(Level::Problem, OPENINGS_KEY, "it is gone, and private values were kept under it")
                .hint("Put it back from a backup that holds keys. Receipts verify without it; their private values cannot be shown."),
        );
    }
    findings.push(match Keys::load(&home.join(KEYS)) {
        Ok(keys) => keys_agree(home, &keys),
        Err(e) => {
            let mut finding = Finding::new(Level::Problem, "keys", e.to_string());
            finding.hint = e.hint().map(str::to_owned);
            finding
        }
    });
    space(home, &mut findings);
    clock(&mut findings);
    if let Some(settings) = settings {
        second_copy(home, guard, settings, &mut findings);
    }
    findings
}

fn permissions(path: &Path, forbidden: u32, findings: &mut Vec<Finding>) {
    let subject = format!("permissions of {}", path.display());
    findings.push(match fs::metadata(path) {
        Err(e) => Finding::new(Level::Problem, subject, e.to_string()),
        Ok(meta) if meta.permissions().mode() & forbidden != 0 => {
            let mode = meta.permissions().mode() & 0o777;
            let fix = if meta.is_dir() { "700" } else { "600" };
            Finding::new(
                Level::Problem,
                subject,
                format!("others on this machine can reach it (mode {mode:o})"),
            )
            .hint(format!("Run: chmod {fix} {}", path.display()))
        }
        Ok(_) => Finding::new(Level::Ok, subject, "for its owner only"),
    });
}

fn keys_agree(home: &Path, keys: &Keys) -> Finding {
    let said = fs::read_to_string(home.join(KEYS).join("issuer.did")).unwrap_or_default();
    let is = keys.issuer.public().did();
    match said.trim() == is {
        true => Finding::new(Level::Ok, "keys", format!("both read; issuer {is}")),
        false => Finding::new(Level::Problem, "keys", format!("issuer.did says {:?}, the key is {is}", said.trim()))
            .hint("Receipts are sealed with the key; find out why the file differs before you give it to anyone."),
    }
}

/// Asks `df`, as there is no portable call in the standard library.
fn space(home: &Path, findings: &mut Vec<Finding>) {
    let output = Command::new("df").arg("-Pk").arg(home).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    let free = text
        .lines()
        .nth(1)
        .and_then(|l| l.split_whitespace().nth(3))
        .and_then(|n| n.parse::<u64>().ok());
    findings.push(match free {
        None => Finding::new(Level::Note, "space", "cannot be told: df did not answer"),
        Some(kib) if kib < SPACE_MIN_KIB => {
            Finding::new(Level::Problem, "space", format!("{} MiB are free", kib / 1024))
                .hint("The ledger turns read-only before it loses anything, but make room now.")
        }
        Some(kib) => Finding::new(Level::Ok, "space", format!("{} MiB are free", kib / 1024)),
    });
}

fn clock(findings: &mut Vec<Finding>) {
    // Before this version was written a clock can only be wrong.
    let built = Moment::parse("2026-01-01T00:00:00.000Z").expect("a fixed, valid moment");
    let now = SystemClock.read();
    findings.push(match now.wall < built {
        true => Finding::new(Level::Problem, "clock", format!("it shows {}", now.wall)).hint("Set the clock right, for instance by NTP."),
        false => Finding::new(Level::Ok, "clock", format!("it shows {}; other houses' verifiers refuse receipts over 60 s in their future, so keep it in step", now.wall)),
    });
}

fn second_copy(home: &Path, guard: &Path, settings: &Settings, findings: &mut Vec<Finding>) {
    let mut notes = Vec::new();
    findings.push(match Guard::load(&Disk::new(home, guard), &settings.ledger, &mut notes) {
        Ok(_) if notes.is_empty() => Finding::new(
            Level::Ok,
            "signed-state",
            format!("both copies agree; the second one is in {}", guard.display()),
        ),
        Ok(_) => Finding::new(Level::Note, "signed-state", notes.join("; ")),
        Err(e) => Finding::new(Level::Problem, "signed-state", e.to_string()),
    });
}
