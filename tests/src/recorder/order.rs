//! In what order things reached the disk, read from the trace alone: no crash is needed to see a wrong one.

use super::place::{GUARD, HOME};
use super::record::{Recorded, Take};
use super::replay::Replay;
use super::trace::Op;
use crate::crashfs::Image;

/// What was looked at, and the first thing found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Acknowledgements and published roots.
    pub looked_at: usize,
    /// The first wrong one.
    pub wrong: Option<String>,
}

/// Checks a recorded flow, with the operations of each command as they are given.
///
/// # Errors
/// The operations cannot be replayed.
pub fn check(recorded: &Recorded, ops: &[Vec<Op>]) -> Result<Order, String> {
    let replay = Replay::new(recorded.base.clone(), 1);
    let mut order = Order::default();
    for (take, ops) in recorded.takes.iter().zip(ops) {
        for op in ops {
            let before = replay.image();
            if let Some(found) = judge(take, op, &before) {
                order.looked_at += 1;
                order.wrong = order.wrong.take().or(found.err());
            }
            replay.apply(op)?;
        }
    }
    Ok(order)
}

/// Nothing for an operation that no rule is about.
fn judge(take: &Take, op: &Op, before: &Image) -> Option<Result<(), String>> {
    let (receipts, openings) = (format!("{HOME}/receipts"), format!("{HOME}/openings"));
    let copies = [format!("{GUARD}/signed-state"), format!("{HOME}/signed-state")];
    match op {
        op @ Op::Say(_) if take.acknowledges(op) => {
            Some(settled("an acknowledgement left", before, &[&receipts, &openings]))
        }
        Op::Rename(from, to) if is_root(to) => {
            let found = synced("ROOT was published", before, from).and_then(|()| {
                settled("ROOT was published", before, &[&receipts, &copies[0], &copies[1]])
            });
            Some(found.and_then(|()| covered(before, from, &copies)))
        }
        Op::Rename(from, to) if copies.contains(to) => {
            let found = synced("signed-state was written", before, from);
            Some(found.and_then(|()| settled("signed-state was written", before, &[&receipts])))
        }
        _ => None,
    }
}

fn synced(what: &str, before: &Image, path: &str) -> Result<(), String> {
    match before.unsynced(path) {
        Some(path) => Err(format!("{what} while bytes of {path} waited for a sync")),
        None => Ok(()),
    }
}

/// Neither bytes nor names may wait.
fn settled(what: &str, before: &Image, under: &[&str]) -> Result<(), String> {
    under.iter().try_for_each(|path| synced(what, before, path))?;
    match under.iter().find_map(|path| before.unnamed(path)) {
        Some(path) => {
            Err(format!("{what} while the name {path} waited for a sync of its directory"))
        }
        None => Ok(()),
    }
}

fn is_root(path: &str) -> bool {
    path.starts_with(&format!("{HOME}/ROOT.")) && path.ends_with(".txt")
}

/// Neither copy of signed-state may be behind a ROOT.
fn covered(image: &Image, root: &str, copies: &[String]) -> Result<(), String> {
    let note = image.read(root).unwrap_or_default();
    let note = String::from_utf8_lossy(&note);
    let mut lines = note.lines();
    let (origin, size) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    for copy in copies {
        let bytes = image.read(copy).unwrap_or_default();
        let state: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let signed = state["origins"][origin]["size"].as_u64();
        if signed < size.parse().ok() {
            return Err(format!(
                "ROOT was published for {size} lines where {copy} says {signed:?}"
            ));
        }
    }
    Ok(())
}
