//! Private values, as their owner can check them: does every digest in a receipt still have its opening?

use super::{Finding, Level};
use crate::fs::Fs;
use crate::hidden::decoy_place;
use crate::openings::Openings;
use crate::run::{RunFolder, case_dir};
use crate::segments::scroll_dir;
use std::collections::HashSet;
use std::sync::Arc;
use vm_contracts::work::Shape;
use vm_contracts::{AnyEngine, Contract, Failure, Field, Kind, Map, RunState, Value};
use vm_receipts::line::Line;
use vm_receipts::private;

/// Lines named one by one; the rest is counted.
const NAMED_MAX: usize = 20;

/// What was found of one scroll.
#[derive(Default)]
struct Count {
    lines: u64,
    size: u64,
    missing: Vec<String>,
    unread: Option<Failure>,
    /// Decoys of the call that was looked at last, and its id.
    decoys: HashSet<String>,
    decoys_of: Option<String>,
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
            one(&**fs, openings, engine, &line, &mut count);
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
    fs: &dyn Fs,
    openings: &mut Openings,
    engine: Option<&'static dyn AnyEngine>,
    line: &Line,
    count: &mut Count,
) {
    let mut digests = private::digests(&line.body);
    let case = match line.artifacts.is_some() && line.part.n == 1 {
        true => Case::read(fs, line),
        false => None,
    };
    digests.extend(case.iter().flat_map(|case| case.digests.iter().cloned()));
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
    if count.decoys_of.as_ref().is_none_or(|id| *id != line.id) || case.is_some() {
        count.decoys = decoys(openings, engine, line, case.as_ref());
        count.decoys_of = Some(line.id.clone());
    }
    let opens = |d: &String| known.iter().any(|o| o.digest == *d) || count.decoys.contains(d);
    if !digests.iter().all(opens) {
        count.missing.push(format!("{}/{}", line.scroll, line.seq));
    }
}

/// What a case says in private.
struct Case {
    contract: Contract,
    state: RunState,
    digests: Vec<String>,
}

impl Case {
    /// `None` where its documents do not read; the check of the cases names them.
    fn read(fs: &dyn Fs, line: &Line) -> Option<Self> {
        let dir = case_dir(&line.scroll, &line.id);
        let folder = RunFolder::new(fs, &dir);
        let (contract, state) = (folder.contract().ok()?.0, folder.state().ok()?);
        let digests = folder.digests(&contract, &state);
        Some(Self { contract, state, digests })
    }
}

/// Decoys that may stand in the receipts of a call, and in its case.
fn decoys(
    openings: &mut Openings,
    engine: Option<&'static dyn AnyEngine>,
    line: &Line,
    case: Option<&Case>,
) -> HashSet<String> {
    let verb = line.op.split_once('.').map_or("", |(_, verb)| verb);
    let specs = engine.map(AnyEngine::operations).unwrap_or_default();
    let spec = specs.into_iter().find(|s| s.verb.replace('-', "_") == verb);
    let mut places = Vec::new();
    for field in spec.into_iter().flat_map(|s| s.private_in_body()) {
        let legs = (0..line.part.of).map(Some).chain([None]);
        places.extend(legs.map(|leg| decoy_place(field.name, leg)));
    }
    let shape = spec.zip(engine).and_then(|(spec, engine)| engine.shape(spec.verb));
    if let (Some(case), Some(spec)) = (case, spec) {
        places_of_intent(spec.fields, &case.contract.intent, &mut places);
        places.push("fault.reason".to_owned());
        if let Some(Shape::Staged(fields)) = shape {
            let stages = case.state.stages.iter().map(|s| s.id.as_str());
            let private = fields.iter().filter(|f| f.private);
            places.extend(private.flat_map(|f| {
                stages.clone().map(move |stage| format!("stages.{stage}.{}", f.name))
            }));
        }
    }
    let decoy = |place: &String| openings.decoy(&line.scroll, &line.id, place).ok();
    places.iter().filter_map(decoy).collect()
}

/// Places of an intent at which a private value may be absent.
fn places_of_intent(fields: &[Field], intent: &Map<String, Value>, places: &mut Vec<String>) {
    for field in fields {
        match (field.kind, intent.get(field.name)) {
            _ if field.private => places.push(field.name.to_owned()),
            (Kind::List(_, inner), Some(Value::Array(items))) => {
                for f in inner.iter().filter(|f| f.private) {
                    places.extend(
                        (0..items.len()).map(|n| format!("{}[{n}].{}", field.name, f.name)),
                    );
                }
            }
            _ => {}
        }
    }
}
