//! `vm <engine> import`: a foreign file as calls.

pub mod places;
mod stream;

use crate::commands::{required, text};
use crate::exit::{self, OK, Stop};
use crate::screen::{Progress, Screen, Tone};
use crate::session::Session;
use crate::table::Table;
use clap::ArgMatches;
use std::collections::BTreeMap;
use std::path::Path;
use vm_contracts::{Actor, AnyEngine, Call, Failure, Import, Planned, RefusalKind, Source};
use vm_ledger::{Answer, Ledger};

/// Calls committed together; small enough that progress moves, large enough that a sync is shared.
const CHUNK: usize = 256;
/// Failures shown to a person; JSON has them all.
const SHOWN_MAX: usize = 20;

/// What an import came to.
#[derive(Default)]
struct Tally {
    committed: u64,
    receipts: u64,
    existing: u64,
    failed: Vec<(String, String, Failure)>,
    /// Calls that another observer had recorded already; only sources that are read piece by piece know of such.
    known: u64,
    /// Calls of which nothing was tried, because the ledger took no more.
    unasked: u64,
}

impl Tally {
    /// Takes an answer; whether the ledger takes no more after it.
    fn take(
        &mut self,
        place: String,
        id: String,
        answer: Result<Answer, Failure>,
        stopped: bool,
    ) -> bool {
        match answer {
            Ok(answer) if answer.existing => self.existing += 1,
            Ok(answer) => {
                self.committed += 1;
                self.receipts += answer.lines.len() as u64;
            }
            // What refused one call for want of space or a sound scroll refuses each one after it.
            Err(Failure::Refusal(r)) if stopped && r.kind == RefusalKind::Unavailable => {
                self.unasked += 1;
            }
            Err(failure) => {
                let stops = stops(&failure);
                self.failed.push((place, id, failure));
                return stops;
            }
        }
        false
    }

    fn is_empty(&self) -> bool {
        self.committed + self.existing + self.known == 0 && self.failed.is_empty()
    }
}

fn call(engine: &'static dyn AnyEngine, actor: &Actor, planned: Planned) -> Call {
    Call {
        id: Some(planned.id),
        actor: actor.clone(),
        surface: "import".into(),
        engine: engine.name().into(),
        verb: planned.verb.into(),
        intent: planned.intent,
        tags: planned.tags,
    }
}

/// Reads the file and commits its calls, one by one in order.
pub fn run(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let path = required(given, "file");
    let format = text(given, "format");
    let name = Path::new(path)
        .file_name()
        .map_or_else(|| path.to_owned(), |n| n.to_string_lossy().into_owned());
    if engine.streams(format, &name) {
        let asked = stream::Asked { path, name: &name, format, dry: given.get_flag("dry-run") };
        return stream::run(session, engine, &asked);
    }
    let bytes = session.screen.take_in(path)?;
    let actor = session.actor()?;
    session.in_home(|screen, ledger| {
        let key = ledger.import_key()?;
        let source = Source { name: &name, bytes: &bytes, key: &key };
        let import = ledger.import(engine.name(), format, source)?;
        if given.get_flag("dry-run") {
            would(screen, path, &import)?;
            return Ok(OK);
        }
        let notices = import.notices.clone();
        let tally = commit(screen, ledger, engine, &actor, import.calls)?;
        say(screen, path, &notices, &tally)?;
        Ok(tally.failed.first().map_or(OK, |(_, _, failure)| exit::surface(failure).exit))
    })
}

fn commit(
    screen: &mut Screen<'_>,
    ledger: &Ledger,
    engine: &'static dyn AnyEngine,
    actor: &Actor,
    planned: Vec<Planned>,
) -> Result<Tally, Stop> {
    let total = planned.len() as u64;
    let mut progress = Progress::new(screen.live);
    let mut tally = Tally::default();
    let mut done = 0;
    for chunk in planned.chunks(CHUNK) {
        let calls = chunk.iter().map(|p| call(engine, actor, p.clone()));
        let answers = ledger.submit_all(calls.collect());
        let mut stopped = false;
        for (plan, answer) in chunk.iter().zip(answers) {
            stopped |= tally.take(plan.place.clone(), plan.id.clone(), answer, stopped);
        }
        done += chunk.len() as u64;
        progress.step(screen.err, "import", done, total);
        if stopped {
            tally.unasked += total - done;
            break;
        }
    }
    progress.end(screen.err);
    Ok(tally)
}

/// Whether the ledger takes no more calls after this failure.
fn stops(failure: &Failure) -> bool {
    match failure {
        Failure::Refusal(refusal) => refusal.kind == RefusalKind::Unavailable,
        _ => true,
    }
}

fn would(screen: &mut Screen<'_>, path: &str, import: &Import) -> Result<(), Stop> {
    let mut verbs: BTreeMap<&str, u64> = BTreeMap::new();
    for call in &import.calls {
        *verbs.entry(call.verb).or_default() += 1;
    }
    if screen.json {
        let document = serde_json::json!({
            "file": path, "dry_run": true, "calls": import.calls.len(), "verbs": verbs, "notices": import.notices,
        });
        return screen.document(&document);
    }
    screen.toned(
        Tone::Note,
        "dry run",
        &format!("  {path} would be {} calls; nothing was committed", import.calls.len()),
    )?;
    let mut table = Table::new(["operation", "calls"]);
    verbs.iter().for_each(|(verb, count)| table.row([(*verb).to_owned(), count.to_string()]));
    screen.table(&table)?;
    import.notices.iter().for_each(|n| screen.note(n));
    Ok(())
}

fn say(screen: &mut Screen<'_>, path: &str, notices: &[String], tally: &Tally) -> Result<(), Stop> {
    if screen.json {
        let failed: Vec<_> = tally
            .failed
            .iter()
            .map(|(place, id, f)| serde_json::json!({"place": place, "id": id, "error": exit::to_json(f)}))
            .collect();
        let mut document = serde_json::json!({
            "file": path, "dry_run": false, "committed": tally.committed, "receipts": tally.receipts,
            "existing": tally.existing, "failed": failed, "unasked": tally.unasked, "notices": notices,
        });
        if tally.known > 0 {
            document["known"] = tally.known.into();
        }
        return screen.document(&document);
    }
    notices.iter().for_each(|n| screen.note(n));
    for (place, _, failure) in tally.failed.iter().take(SHOWN_MAX) {
        let text = exit::to_text(failure);
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        screen.toned(Tone::Bad, &format!("{path}, {place}"), &format!(": {first}"))?;
        lines.try_for_each(|line| screen.line(&format!("  {line}")))?;
    }
    if tally.failed.len() > SHOWN_MAX {
        screen
            .line(&format!("… and {} more; --json has them all", tally.failed.len() - SHOWN_MAX))?;
    }
    if tally.committed == 0 && tally.existing + tally.known > 0 && tally.failed.is_empty() {
        let there = tally.existing + tally.known;
        let rest = format!("  all {there} calls of {path} were there already");
        return screen.toned(Tone::Good, "nothing new", &rest);
    }
    let tone = if tally.failed.is_empty() { Tone::Good } else { Tone::Note };
    let mut rest = format!(
        "  {} calls with {} receipts; {} were there already; {} failed",
        tally.committed,
        tally.receipts,
        tally.existing,
        tally.failed.len()
    );
    if tally.known > 0 {
        rest.push_str(&format!("; {} were recorded by another observer", tally.known));
    }
    if tally.unasked > 0 {
        rest.push_str(&format!("; {} were not asked any more", tally.unasked));
    }
    screen.toned(tone, "committed", &rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_contracts::{Fault, Refusal};

    #[test]
    fn a_full_disk_ends_an_import_and_a_wrong_entry_does_not() {
        let full = Refusal::new("no_space", RefusalKind::Unavailable, "there is no space left");
        let wrong = Refusal::new("asset_not_found", RefusalKind::NotFound, "no account is open");
        assert!(stops(&full.into()));
        assert!(stops(&Fault::new("io", "cannot write").into()));
        assert!(!stops(&wrong.into()));
    }
}
