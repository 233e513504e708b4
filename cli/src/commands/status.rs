//! `vm status`: what the home holds.

use crate::config::Loaded;
use crate::exit::{OK, Stop, unreadable};
use crate::screen::{Screen, Tone};
use crate::session::{Session, actor};
use crate::table::Table;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use vm_contracts::{Actor, Failure, Moment, Value};
use vm_ledger::Run;
use vm_ledger::clock::{Clock, SystemClock};
use vm_ledger::fs::Disk;
use vm_ledger::guard::{Guard, Signed};
use vm_ledger::heads::Head;
use vm_scrolls::base64;

/// Characters of a root that a person compares at a glance; JSON has all of it.
const ROOT_SHOWN: usize = 12;

/// Who and where this ledger is.
struct Identity {
    home: String,
    guard: String,
    owner: String,
    issuer: String,
}

/// Prints ledger, node, owner and the end of every scroll.
pub fn run(session: &mut Session<'_>) -> Result<u8, Stop> {
    let (loaded, home) = (session.loaded()?, session.home()?.display().to_string());
    session.in_home(|screen, ledger| {
        // What was signed is told from the files; a process that serves may be a moment ahead of them.
        ledger.tick()?;
        let identity = identity(&loaded, home)?;
        let disk = Disk::new(&loaded.home, loaded.guard()?);
        let mut notes = Vec::new();
        let signed = Guard::load(&disk, &loaded.settings().ledger, &mut notes)?;
        notes.iter().for_each(|n| screen.note(n));
        let now = SystemClock.read().wall;
        // Not in one expression: nothing may be said while the writer is held.
        let heads = ledger.writer().heads();
        heads.iter().filter_map(|h| ahead(h, now)).for_each(|n| screen.note(&n));
        let heads: Vec<(Head, Option<Signed>)> = heads
            .into_iter()
            .map(|head| {
                let signed = signed.get(&head.origin);
                (head, signed)
            })
            .collect();
        let (runs, unreadable) = ledger.open_runs(None)?;
        let open = (runs.len(), unreadable);
        match screen.json {
            true => screen.document(&to_json(&loaded, &identity, &heads, &open))?,
            false => {
                print(screen, &loaded, &identity, &heads)?;
                print_runs(screen, &runs, &open.1)?;
            }
        }
        Ok(OK)
    })
}

/// Says when a scroll's newest receipt lies ahead of the clock, as after a wrong clock was accepted.
fn ahead(head: &Head, now: Moment) -> Option<String> {
    const MINUTE_MS: i64 = 60_000;
    let at = head.at?;
    let minutes = at.unix_ms().saturating_sub(now.unix_ms()) / MINUTE_MS;
    (minutes > 0).then(|| {
        format!(
            "{}: the newest receipt is {minutes} minutes ahead of the clock; new ones keep its time until the clock has passed it",
            head.scroll
        )
    })
}

fn identity(loaded: &Loaded, home: String) -> Result<Identity, Failure> {
    let uid = std::fs::metadata(&loaded.home).map_err(|e| unreadable(&home, &e))?.uid();
    let did = loaded.home.join("keys").join("issuer.did");
    let issuer = std::fs::read_to_string(&did)
        .map_err(|e| unreadable(&did.display().to_string(), &e))?
        .trim()
        .to_owned();
    let guard = loaded.guard()?.display().to_string();
    Ok(Identity { home, guard, owner: Actor::local(uid).0, issuer })
}

fn print(
    screen: &mut Screen<'_>,
    loaded: &Loaded,
    identity: &Identity,
    heads: &[(Head, Option<Signed>)],
) -> Result<(), Stop> {
    let settings = loaded.settings();
    let you = match actor()?.0 == identity.owner {
        true => ", you",
        false => "",
    };
    screen.line(&format!("home    {}", identity.home))?;
    screen.line(&format!("ledger  {}", settings.ledger))?;
    screen.line(&format!("node    {} of {}", settings.node, settings.domain))?;
    screen.line(&format!("owner   {}{you}", identity.owner))?;
    screen.line(&format!("issuer  {}", identity.issuer))?;
    screen.line(&format!("guard   {}", identity.guard))?;
    if settings.demo {
        screen.line("demo    every receipt says that this is a demonstration")?;
    }
    if heads.is_empty() {
        return screen.line("There are no receipts yet.");
    }
    let mut table = Table::new(["scroll", "receipts", "signed", "last at", "root", "writable"]);
    for (head, signed) in heads {
        let root: String = base64::encode(head.root).chars().take(ROOT_SHOWN).collect();
        table.row([
            head.scroll.clone(),
            head.size.to_string(),
            signed.map_or(0, |s| s.size).to_string(),
            head.at.map(|at| at.to_string()).unwrap_or_default(),
            format!("{root}…"),
            if head.read_only.is_some() { "no" } else { "yes" }.to_owned(),
        ]);
    }
    screen.table(&table)?;
    for (head, _) in heads {
        let Some(reason) = &head.read_only else { continue };
        screen.toned(
            Tone::Note,
            "read-only",
            &format!("  {} [{}]", reason.message, reason.code),
        )?;
        if let Some(hint) = &reason.hint {
            screen.line(&format!("hint: {hint}"))?;
        }
    }
    Ok(())
}

/// How many runs are open, by engine; nothing where there are none.
fn print_runs(screen: &mut Screen<'_>, runs: &[Run], unreadable: &[String]) -> Result<(), Stop> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs {
        *counts.entry(run.engine).or_default() += 1;
    }
    for (engine, count) in counts {
        let word = if count == 1 { "run" } else { "runs" };
        let rest = format!("  {count} {word} of {engine}; vm {engine} runs lists them");
        screen.toned(Tone::Note, "open", &rest)?;
    }
    unreadable.iter().for_each(|what| screen.note(&format!("an open run does not read: {what}")));
    Ok(())
}

fn to_json(
    loaded: &Loaded,
    identity: &Identity,
    heads: &[(Head, Option<Signed>)],
    (open_runs, unreadable): &(usize, Vec<String>),
) -> Value {
    let settings = loaded.settings();
    serde_json::json!({
        "home": identity.home,
        "ledger": settings.ledger, "domain": settings.domain, "node": settings.node, "demo": settings.demo,
        "owner": identity.owner, "issuer": identity.issuer, "guard": identity.guard,
        "open_runs": open_runs, "unreadable_runs": unreadable,
        "scrolls": heads.iter().map(|(head, signed)| scroll(head, *signed)).collect::<Vec<_>>(),
    })
}

fn scroll(head: &Head, signed: Option<Signed>) -> Value {
    serde_json::json!({
        "scroll": head.scroll,
        "origin": head.origin,
        "size": head.size,
        "root": base64::encode(head.root),
        "at": head.at.map(|at| at.to_string()),
        "signed": signed.map(|s| serde_json::json!({"size": s.size, "root": base64::encode(s.root)})),
        "read_only": head.read_only.as_ref().map(|r| serde_json::json!({"code": r.code, "message": r.message, "hint": r.hint})),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scroll_ahead_of_the_clock_is_told_and_one_in_step_is_not() {
        let moment = |text| Moment::parse(text).unwrap();
        let head = Head {
            scroll: "toy".into(),
            origin: "d/n/toy".into(),
            size: 1,
            root: Default::default(),
            at: Some(moment("2026-01-01T12:00:30.000Z")),
            read_only: None,
        };
        assert_eq!(ahead(&head, moment("2026-01-01T12:00:00.000Z")), None);
        let told = ahead(&head, moment("2026-01-01T11:00:00.000Z")).unwrap();
        assert!(told.starts_with("toy: the newest receipt is 60 minutes ahead"), "{told}");
    }
}
