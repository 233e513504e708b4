//! Private values, as their owner can check them: does every digest in a receipt still have its opening?

use super::{Finding, Level};
use crate::fs::Fs;
use crate::openings::Openings;
use crate::segments::scroll_dir;
use std::sync::Arc;
use vm_contracts::{AnyEngine, Failure, Value};
use vm_receipts::line::Line;
use vm_receipts::private::{self, SD};

/// Lines named one by one; the rest is counted.
const NAMED_MAX: usize = 20;

/// What was found of one scroll.
#[derive(Default)]
struct Count {
    lines: u64,
    size: u64,
    missing: Vec<String>,
    unread: Option<Failure>,
}

/// Checks pages and private files of a scroll, and that each private value can be opened or is a decoy.
pub(super) fn check(
    fs: &Arc<dyn Fs>,
    openings: &mut Openings,
    engines: &[&'static dyn AnyEngine],
    scroll: &str,
    findings: &mut Vec<Finding>,
) {
    let mut count = Count::default();
    let engine = engines.iter().find(|e| e.scroll() == scroll).copied();
    for name in fs.list(&scroll_dir(scroll)).unwrap_or_default() {
        let path = format!("{}/{name}", scroll_dir(scroll));
        // Lines that do not read are named by the check of the lines; here they have no values.
        let Ok(bytes) = fs.read(&path) else { continue };
        for line in bytes.split(|b| *b == b'\n').filter_map(|l| Line::parse(l).ok()) {
            count.size = count.size.max(line.seq + 1);
            one(openings, engine, &line, &mut count);
        }
    }
    if count.lines > 0 && !openings.has_key() {
        let what = format!(
            "{scroll}: {} receipts have private values, and the key that opens them is not here",
            count.lines
        );
        findings.push(Finding::new(Level::Problem, crate::openings::OPENINGS_KEY, what).hint(
            "The receipts themselves still verify. Put the key back from a backup that holds keys.",
        ));
        return;
    }
    if let Some(failure) = &count.unread {
        findings.push(Finding::new(
            Level::Problem,
            format!("openings/{scroll}"),
            failure.to_string(),
        ));
    }
    for flaw in openings.check(scroll, count.size) {
        let level = if flaw.harmless { Level::Note } else { Level::Problem };
        let at = flaw.byte.map_or(String::new(), |byte| format!(", byte {byte}"));
        findings.push(Finding::new(level, format!("{}{at}", flaw.file), flaw.what));
    }
    for place in count.missing.iter().take(NAMED_MAX) {
        findings.push(
            Finding::new(
                Level::Problem,
                place.clone(),
                "a private value has no opening here and was not erased",
            )
            .hint(
                "Put the pages of openings/ back from a backup. The receipt itself still verifies.",
            ),
        );
    }
    let more = count.missing.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        findings.push(Finding::new(
            Level::Problem,
            scroll,
            format!("{more} more receipts lack openings"),
        ));
    }
    if count.lines > 0 && count.missing.is_empty() && count.unread.is_none() {
        let what = match count.lines {
            1 => "private values of 1 receipt can be opened".to_owned(),
            n => format!("private values of {n} receipts can all be opened"),
        };
        findings.push(Finding::new(Level::Ok, format!("openings/{scroll}"), what));
    }
}

fn one(
    openings: &mut Openings,
    engine: Option<&'static dyn AnyEngine>,
    line: &Line,
    count: &mut Count,
) {
    let digests = private::digests(&line.body);
    if digests.is_empty() {
        return;
    }
    count.lines += 1;
    if !openings.has_key() || count.unread.is_some() {
        return;
    }
    let first = line.seq.saturating_sub(u64::from(line.part.n) - 1);
    let known = match openings.of(&line.scroll, first) {
        Ok(known) => known,
        Err(failure) => {
            count.unread = Some(failure);
            return;
        }
    };
    let decoys = decoys(openings, engine, line);
    let top = line.body.get(SD).and_then(Value::as_array);
    let at_top = |d: &str| top.is_some_and(|list| list.iter().any(|v| v.as_str() == Some(d)));
    let opens =
        |d: &String| known.iter().any(|o| o.digest == *d) || (at_top(d) && decoys.contains(d));
    if !digests.iter().all(opens) {
        count.missing.push(format!("{}/{}", line.scroll, line.seq));
    }
}

fn decoys(
    openings: &mut Openings,
    engine: Option<&'static dyn AnyEngine>,
    line: &Line,
) -> Vec<String> {
    let verb = line.op.split_once('.').map_or("", |(_, verb)| verb);
    let specs = engine.map(AnyEngine::operations).unwrap_or_default();
    let spec = specs.into_iter().find(|s| s.verb.replace('-', "_") == verb);
    let fields = spec.into_iter().flat_map(|s| s.private_in_body());
    fields.filter_map(|f| openings.decoy(&line.scroll, &line.id, f.name).ok()).collect()
}
