//! The recorder's campaigns as a whole: all flows, all planted bugs, all failing calls.

use super::bugs::{BUGS, Bug};
use super::crash::{self, Count, Reach};
use super::flow::{self, Flow};
use super::record::{Recorded, record};
use super::trace::Op;
use super::{faults, order};
use crate::campaign::{Came, Row};
use std::path::Path;
use std::time::Instant;

/// Command that runs all of them.
pub const HOW: &str = "cargo xtask trust --only real";

/// A flow with its record.
pub struct Told {
    /// The flow.
    pub flow: Flow,
    /// What was recorded.
    pub recorded: Recorded,
    /// The operations of each command.
    pub ops: Vec<Vec<Op>>,
}

/// Records all flows of the built program.
///
/// # Errors
/// A flow cannot be recorded.
pub fn record_all(vm: &Path) -> Result<Vec<Told>, String> {
    let one = |flow: Flow| {
        let recorded = record(&flow, vm).map_err(|e| format!("{}: {e}", flow.name))?;
        let ops = recorded.takes.iter().map(|take| take.ops.clone()).collect();
        Ok(Told { flow, recorded, ops })
    };
    flow::all().into_iter().map(one).collect()
}

/// Crashes all flows at every operation; gives what was done and the row for it.
///
/// # Errors
/// The campaign itself cannot go on.
pub fn crashes(told: &[Told], reach: Reach, caught: (u64, u64)) -> Result<(Count, Row), String> {
    let (began, mut count) = (Instant::now(), Count::default());
    for one in told {
        count.add(crash::run(&one.flow, &one.recorded, &one.ops, reach)?);
    }
    let came = match &count.first_bad {
        Some(bad) => Came::Failed(format!("{} bad; {bad}", count.bad)),
        None => Came::Passed,
    };
    let row =
        Row::new("power loss at every system call of the built program (strace, replayed)", HOW)
            .counted(count.states as u64, "crash states")
            .seeded(reach.seed)
            .since(began)
            .bugs(caught.0, caught.1)
            .came(came);
    Ok((count, row))
}

/// Plants each bug into all flows that it changes, until one of them shows it; gives the first bad state for each.
///
/// # Errors
/// The campaign itself cannot go on.
pub fn planted(told: &[Told], reach: Reach) -> Result<Vec<(Bug, Option<String>)>, String> {
    let reach = Reach { until_bad: true, again: 1_000_000, ..reach };
    let mut all = Vec::new();
    for bug in BUGS {
        let mut found = None;
        for one in told.iter().filter(|one| !one.flow.birth) {
            if let Some(bent) = bug.plant(&one.recorded) {
                found = crash::run(&one.flow, &one.recorded, &bent, reach)?.first_bad;
            }
            if found.is_some() {
                break;
            }
        }
        all.push((bug, found));
    }
    Ok(all)
}

/// Looks at the order of syncs in all flows, and whether each planted bug of order shows there too.
///
/// # Errors
/// The operations cannot be replayed.
pub fn orders(told: &[Told]) -> Result<Row, String> {
    let (began, mut looked_at, mut wrong) = (Instant::now(), 0, None);
    for one in told {
        let found = order::check(&one.recorded, &one.ops)?;
        looked_at += found.looked_at as u64;
        wrong = wrong.or(found.wrong.map(|w| format!("{}: {w}", one.flow.name)));
    }
    let of_order = BUGS.iter().filter(|bug| **bug != Bug::RunNotSynced);
    let (mut caught, mut planted) = (0, 0);
    for bug in of_order {
        planted += 1;
        let shows = |one: &Told| {
            let bent = bug.plant(&one.recorded);
            bent.and_then(|ops| order::check(&one.recorded, &ops).ok())
                .is_some_and(|o| o.wrong.is_some())
        };
        caught += u64::from(told.iter().any(shows));
    }
    Ok(Row::new("no acknowledgement and no ROOT before what they speak of is synced (strace)", HOW)
        .counted(looked_at, "acknowledgements and publications")
        .since(began)
        .bugs(caught, planted)
        .came(wrong.map_or(Came::Passed, Came::Failed)))
}

/// Lets every sync of each command of these flows fail once, and what a retry believes be crashed.
///
/// # Errors
/// The campaign itself cannot go on.
pub fn failing_syncs(flows: &[Flow], vm: &Path, reach: Reach) -> Result<Row, String> {
    let (began, mut found) = (Instant::now(), faults::Found::default());
    for flow in flows {
        found.add(faults::failing_syncs(flow, vm, reach)?);
    }
    let caught = faults::planted(vm, reach)?;
    Ok(Row::new("EIO at the nth fdatasync or fsync of the built program, then the same command again, then power loss", HOW)
        .counted(found.injected as u64, "failed syncs")
        .seeded(reach.seed)
        .since(began)
        .bugs(u64::from(caught), 1)
        .came(found.bad.map_or(Came::Passed, Came::Failed)))
}
