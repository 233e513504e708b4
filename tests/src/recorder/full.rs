//! A disk that is full: strace answers writes with ENOSPC.

use super::flow::Flow;
use super::place::{HOME, Place, Said, words};
use super::record::{prepare, traced};
use crate::campaign::{Came, Row};
use crate::history::{self, Group};
use crate::scratch::Scratch;
use std::path::Path;
use std::time::Instant;

/// More writes than any command makes.
const NTH_MAX: usize = 400;

/// Lets the nth write of the last command of each flow find no space, for every n; and the first one to the receipts.
///
/// # Errors
/// The campaign itself cannot go on.
pub fn no_space(vm: &Path) -> Result<Row, String> {
    let (began, mut injected, mut bad) = (Instant::now(), 0, None);
    for flow in [super::flow::one_transfer(), super::flow::import()] {
        for nth in 1..=NTH_MAX {
            match once(&flow, vm, &[format!("inject=write:error=ENOSPC:when={nth}")], None)? {
                None => break,
                Some(found) => {
                    injected += 1;
                    bad = bad.or(found.err().map(|e| format!("{}, write {nth}: {e}", flow.name)));
                }
            }
        }
    }
    let flow = super::flow::one_transfer();
    let lines = format!("{HOME}/receipts/treasury/00000000000000000000.jsonl");
    let inject = ["inject=write:error=ENOSPC:when=1".to_owned()];
    match once(&flow, vm, &inject, Some(&lines))? {
        Some(found) => {
            injected += 1;
            bad = bad.or(found.err().map(|e| format!("a write of lines: {e}")));
        }
        None => bad = bad.or(Some("no write of lines was seen".into())),
    }
    Ok(Row::new("no space for the nth write of the built program (strace)", super::campaign::HOW)
        .counted(injected, "failed writes")
        .since(began)
        .came(bad.map_or(Came::Passed, Came::Failed)))
}

/// Runs the last command of a flow so; nothing where no write failed.
fn once(
    flow: &Flow,
    vm: &Path,
    inject: &[String],
    only: Option<&str>,
) -> Result<Option<Result<(), String>>, String> {
    let scratch = Scratch::new().map_err(|e| e.to_string())?;
    let place = Place::new(scratch.path());
    prepare(flow, &place)?;
    let before = groups(&place)?;
    let step = flow.steps.last().ok_or("a flow without steps")?;
    let mut strace = vec!["-e".to_owned(), "trace=write".into()];
    inject.iter().for_each(|one| strace.extend(["-e".to_owned(), one.clone()]));
    if let Some(path) = only {
        strace.extend(["-P".to_owned(), place.root.join(path).display().to_string()]);
    }
    let (said, text) = traced(&place, vm, &step.words, &strace)?;
    if !text.contains("(INJECTED)") {
        return Ok(None);
    }
    Ok(Some(judge(&place, &said, &step.words, &before, only.is_some())))
}

fn groups(place: &Place) -> Result<Vec<Group>, String> {
    history::groups(&history::read(&place.root.join(HOME))?)
}

fn judge(
    place: &Place,
    said: &Said,
    again: &[String],
    before: &[Group],
    lines: bool,
) -> Result<(), String> {
    if !matches!(said.code, 0 | 1 | 4 | 5) || said.err.contains("panicked") {
        return Err(format!("it ended badly: {said:?}"));
    }
    if lines && !(said.code == 1 && said.names("no_space") && said.out.is_empty()) {
        return Err(format!("it did not say that there is no space: {said:?}"));
    }
    let status = place.here(&words("status --json"));
    if status.code != 0 {
        return Err(format!("it does not open afterwards: {status:?}"));
    }
    let there = groups(place)?;
    history::kept(&there, before)?;
    let second = place.here(again);
    if second.code != 0 {
        return Err(format!("the same command again came to {second:?}"));
    }
    history::kept(&groups(place)?, &there)?;
    let fsck = place.here(&words("fsck --json"));
    if fsck.code == 0 { Ok(()) } else { Err(format!("fsck came to {fsck:?}")) }
}
