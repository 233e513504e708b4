//! `vm console commit`: a commit as a receipt, with how far the edits that were recorded until then explain it.
//!
//! A commit that was amended or rebased is another commit and has its own receipt. The id of the call is made of
//! project and commit, so the same commit again gives the same receipt, whatever was recorded since; `vm explain` says
//! how it stands now.

use super::examine::{self, ENGINE, Examined};
use crate::answer::call;
use crate::commands::text;
use crate::exit::{OK, Stop};
use crate::git::Commit;
use crate::screen::{Screen, last_words};
use crate::session::{Session, Way};
use clap::ArgMatches;
use std::time::Duration;
use vm_console::keyed;
use vm_console::ops::git_commit::FILES_MAX;
use vm_console::read::text::kept;
use vm_contracts::{Actor, Call, Map, Value};
use vm_ledger::Ledger;

/// The operation.
const VERB: &str = "git-commit";
/// Parents that a receipt names; git itself makes no commit with more.
const PARENTS_MAX: usize = 16;
/// Exit code where the time is over.
const TOO_LATE: u8 = 5;
/// Longest name of an author that is kept.
const AUTHOR_BYTES_MAX: usize = 512;

/// Records the commit.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    session.engine(ENGINE)?;
    if let (Way::Find(_), Some(seconds)) = (&session.way, given.get_one::<u64>("within")) {
        end_within(Duration::from_secs(*seconds));
    }
    let (revision, named) = (text(given, "commit").unwrap_or("HEAD"), text(given, "repository"));
    let quiet = given.get_flag("quiet");
    let tags: Vec<String> = given.get_many::<String>("tag").unwrap_or_default().cloned().collect();
    let elsewhere = examine::recorded_as(given)?;
    let repository = examine::repository(&session.screen.paths, named)?;
    let commit = repository.commit(repository.resolve(revision)?)?;
    let actor = session.actor()?;
    session.in_home(|screen, ledger| {
        let key = ledger.import_key()?;
        let project = keyed::project_id(&key, &examine::bytes(&repository.main));
        let id = keyed::receipt_id(&key, &project, &commit.id.to_string(), VERB);
        if begun(ledger)
            && let Some((seq, _)) = ledger.find(ENGINE, &id)?
        {
            return known(screen, &commit, seq, quiet);
        }
        let examined = examine::examine(ledger, &repository, &commit, &elsewhere)?;
        let call = call_of(&commit, &examined, (id, actor, tags));
        let answer = ledger.submit(call)?;
        if !quiet {
            call::print(screen, &answer)?;
        }
        Ok(OK)
    })
}

/// Ends this process when the time is over, recorded or not: a commit waits for its hook. What was begun is whole or was
/// never there, as after any crash, and an owner carries out what it was asked.
fn end_within(time: Duration) {
    let watch = move || {
        std::thread::sleep(time);
        last_words(&format!("vm: not known to be recorded within {} s", time.as_secs()));
        std::process::exit(i32::from(TOO_LATE));
    };
    // A process that cannot start a thread has no deadline; the wait for the home has one still.
    let _ = std::thread::Builder::new().spawn(watch);
}

/// Whether the scroll is there at all.
fn begun(ledger: &Ledger) -> bool {
    ledger.writer().heads().iter().any(|h| h.scroll == ENGINE)
}

/// It was recorded before, with what was known then.
fn known(screen: &mut Screen<'_>, commit: &Commit, seq: u64, quiet: bool) -> Result<u8, Stop> {
    match (quiet, screen.json) {
        (true, _) => {}
        (false, true) => {
            let commit = commit.id.to_string();
            let place = format!("{ENGINE}/{seq}");
            screen.document(
                &serde_json::json!({"existing": true, "commit": commit, "receipt": place}),
            )?;
        }
        (false, false) => {
            screen.line(&format!("already recorded as {ENGINE}/{seq}: {}", commit.id))?
        }
    }
    Ok(OK)
}

fn call_of(
    commit: &Commit,
    examined: &Examined,
    (id, actor, tags): (String, Actor, Vec<String>),
) -> Call {
    let mut intent = Map::new();
    let mut put = |name: &str, value: Value| drop(intent.insert(name.to_owned(), value));
    put("commit_hash", commit.id.to_string().into());
    put("tree_hash", commit.tree.to_string().into());
    let parents = commit.parents.iter().take(PARENTS_MAX).map(ToString::to_string);
    put("parents", parents.collect::<Vec<_>>().into());
    put("project_id", examined.project_id.clone().into());
    // Files beyond the limit are counted, and so not compared.
    let files = examined.files.iter().take(FILES_MAX).map(|f| f.as_asked());
    put("files", files.collect::<Vec<_>>().into());
    put("files_changed", examined.files.len().into());
    if let Some(at) = examine::committed_at(commit) {
        put("committed_at", at.into());
    }
    put("message_hash", format!("blake3:{}", blake3::hash(&commit.message).to_hex()).into());
    let author = kept(&commit.author, AUTHOR_BYTES_MAX);
    if !author.trim().is_empty() {
        put("author", author.into());
    }
    put("signed", commit.signed.into());
    let submodules = examined.files.iter().filter(|f| f.status() == "submodule").count();
    put("submodules", submodules.into());
    put("observed_by", "git".into());
    Call {
        id: Some(id),
        actor,
        surface: "git".into(),
        engine: ENGINE.into(),
        verb: VERB.into(),
        intent,
        tags,
    }
}
