//! What must hold of a home after any crash.

use crate::flow::{Promises, SCROLL, Script, Step, size_and_root};
use std::collections::BTreeMap;
use std::sync::Arc;
use vm_contracts::{AnyEngine, Failure};
use vm_ledger::{Answer, Ledger, dump};
use vm_receipts::line::Line;
use vm_scrolls::tree::{MemoryTree, leaf_hash};
use vm_tests::crashfs::Image;
use vm_tests::toy::TOY;

/// Bytes of all receipt files, in order.
fn receipts(image: &Image) -> Vec<u8> {
    let dir = format!("receipts/{SCROLL}/");
    let mut bytes = Vec::new();
    for path in image.paths().filter(|p| p.starts_with(&dir) && p.ends_with(".jsonl")) {
        bytes.extend_from_slice(&image.read(path).expect("it was listed"));
    }
    bytes
}

/// Right after opening: the files hold whole lines of whole calls, and every promise.
pub fn stands(image: &Image, promises: &Promises) -> Result<(), String> {
    let bytes = receipts(image);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let mut left = 0;
    for line in &lines {
        let text = std::str::from_utf8(line).map_err(|e| format!("a line does not read: {e}"))?;
        let number = |name: &str| -> u64 {
            let digits = text.split_once(name).map_or("", |(_, rest)| rest);
            digits
                .split(|c: char| !c.is_ascii_digit())
                .next()
                .and_then(|d| d.parse().ok())
                .unwrap_or(0)
        };
        let n = number("\"part\":{\"n\":");
        let of = number(&format!("\"part\":{{\"n\":{n},\"of\":"));
        if !text.ends_with('\n')
            || n == 0
            || (left > 0 && of - n + 1 != left)
            || (left == 0 && n != 1)
        {
            return Err(format!("after opening, line {n} of {of} stands out of place"));
        }
        left = of - n;
    }
    if left > 0 {
        return Err(format!("after opening, a call is halved: {left} lines are missing"));
    }
    let lines: Vec<&[u8]> = lines.iter().map(|l| &l[..l.len() - 1]).collect();
    promised(&lines, promises).map(drop)
}

/// Every promise against the lines that are there; gives their tree.
fn promised(lines: &[&[u8]], promises: &Promises) -> Result<MemoryTree, String> {
    let mut tree = MemoryTree::new();
    lines.iter().for_each(|line| tree.push(leaf_hash(line)));
    for (id, promise) in &promises.answers {
        let first = usize::try_from(promise.answer.first).expect("few lines");
        let there = lines.get(first..first + promise.answer.lines.len());
        if there.is_none_or(|there| there != promise.answer.lines) {
            return Err(format!("the acknowledged receipts of {id} are not there"));
        }
    }
    for (size, (_, root)) in &promises.roots {
        if tree.root_at(*size) != Some(*root) {
            return Err(format!(
                "the root that was signed for size {size} is not the root of the lines now"
            ));
        }
    }
    Ok(tree)
}

/// The lines without those at their end that opening itself appends: receipts of runs whose executor is gone.
fn before_interrupted<'a>(old: &[u8], bytes: &'a [u8]) -> &'a [u8] {
    let mut rest = bytes;
    while !old.starts_with(rest)
        && let Some(line) = rest.split_inclusive(|b| *b == b'\n').next_back()
    {
        match Line::parse(line.strip_suffix(b"\n").unwrap_or(line)) {
            Ok(read) if read.body.get("fault").is_some_and(|f| f["code"] == "interrupted") => {
                rest = &rest[..rest.len() - line.len()];
            }
            _ => break,
        }
    }
    rest
}

/// What recovery took away from the end of the lines stands in quarantine, and nothing else changed.
pub fn quarantined(before: &Image, after: &Image) -> Result<(), String> {
    let (old, new) = (receipts(before), receipts(after));
    let Some(cut) = old.strip_prefix(before_interrupted(&old, &new)) else {
        return Err("opening changed receipt files otherwise than by cutting their end".into());
    };
    let kept = |p: &str| p.starts_with("quarantine/") && after.read(p).is_some_and(|b| *b == cut);
    match cut.is_empty() || after.paths().any(kept) {
        true => Ok(()),
        false => Err(format!("{} bytes were cut and not kept in quarantine", cut.len())),
    }
}

/// Every line of the home, checked: the files hold exactly them, no call is halved, no call stands twice, every
/// promise is kept, the state is their fold.
pub fn kept(ledger: &Ledger, image: &Image, promises: &Promises) -> Result<(), String> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut parsed: Vec<Line> = Vec::new();
    let read = ledger.lines(SCROLL, 0, &mut |bytes, line| {
        lines.push(bytes.to_vec());
        parsed.push(line.clone());
        true
    });
    match read {
        Err(Failure::Refusal(e)) if e.code == "unknown_scroll" => {}
        other => other.map_err(|e| format!("the lines do not read: {e}"))?,
    }
    let mut joined = lines.join(&b'\n');
    joined.extend(lines.last().map(|_| b'\n'));
    if receipts(image) != joined {
        return Err("the receipt files hold something else than the ledger's lines".into());
    }
    calls_are_whole(&parsed)?;
    let views: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let tree = promised(&views, promises)?;
    if !lines.is_empty() {
        let last = lines.len() as u64 - 1;
        let proven =
            ledger.prove(SCROLL, last).map_err(|e| format!("the last line is not proved: {e}"))?;
        if size_and_root(proven.checkpoint.as_bytes())? != (tree.size(), tree.root()) {
            return Err("the checkpoint is not over the lines that are there".into());
        }
    }
    folds_to_its_state(ledger, &parsed)
}

fn calls_are_whole(lines: &[Line]) -> Result<(), String> {
    let mut groups: BTreeMap<&str, u32> = BTreeMap::new();
    let mut left: Option<(&str, u32, u32)> = None;
    for line in lines {
        let (n, of) = (line.part.n, line.part.of);
        let fits = match left {
            None => n == 1,
            Some((id, before, total)) => id == line.id && n == before + 1 && of == total,
        };
        if !fits {
            return Err(format!(
                "toy/{} is line {n} of {of} of {}, out of place",
                line.seq, line.id
            ));
        }
        left = (n < of).then_some((line.id.as_str(), n, of));
        if n == 1 {
            *groups.entry(&line.id).or_default() += 1;
        }
    }
    if let Some((id, n, of)) = left {
        return Err(format!("{id} is halved: {n} of {of} lines"));
    }
    match groups.iter().find(|(_, count)| **count > 1) {
        Some((id, count)) => Err(format!("{id} stands there {count} times")),
        None => Ok(()),
    }
}

fn folds_to_its_state(ledger: &Ledger, lines: &[Line]) -> Result<(), String> {
    let live = dump(&mut ledger.writer()).map_err(|e| e.to_string())?.remove(SCROLL);
    let mut state = TOY.blank();
    let types = TOY.types();
    for line in lines.iter().filter(|l| types.contains(&l.kind.as_str())) {
        TOY.fold(&mut *state, line);
    }
    match live {
        Some(live) if live != state.dump() => Err("the state is not the fold of the lines".into()),
        _ => Ok(()),
    }
}

/// An answer to a call of the script, in a life after these promises.
pub fn answered(
    id: &str,
    answer: &Result<Answer, Failure>,
    before: &Promises,
    troubled: bool,
) -> Result<(), String> {
    match (answer, before.answers.get(id)) {
        (Ok(answer), Some(promise)) => {
            let same = answer.lines == promise.answer.lines && answer.first == promise.answer.first;
            match same && answer.existing {
                true => Ok(()),
                false => {
                    Err(format!("{id} was acknowledged before and is answered differently now"))
                }
            }
        }
        (Ok(answer), None) if answer.existing && before.refused.contains(id) => {
            Err(format!("{id} was refused for want of space, and stands there all the same"))
        }
        (Ok(_), None) => Ok(()),
        (Err(Failure::Corrupt(e)), _) => Err(format!("{id} finds the home corrupt: {e}")),
        (Err(_), _) if troubled => Ok(()),
        (Err(Failure::Refusal(e)), None) if e.code == "name_taken" => Ok(()),
        (Err(e), _) => Err(format!("{id} is not answered: {e}")),
    }
}

/// After all steps, every call of the script is there once, or refused for a reason of its own.
pub fn whole(ledger: &Ledger, script: &Script, promises: &Promises) -> Result<(), String> {
    for step in &script.steps {
        let Step::Batch(calls) = step else { continue };
        for call in calls {
            let id = call.id.as_deref().expect("scripts name their calls");
            let found = ledger.find(SCROLL, id).map_err(|e| format!("{id} is not found: {e}"))?;
            let promised = promises.answers.get(id).map(|p| Arc::clone(&p.answer));
            let place = promised.map(|a| (a.first, a.lines.len() as u32));
            if found != place {
                return Err(format!("{id} was answered with {place:?} and stands at {found:?}"));
            }
        }
    }
    Ok(())
}
