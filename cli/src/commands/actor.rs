//! `vm actor new` and `vm actor show`: who acts.

use crate::commands::{below, required};
use crate::exit::{OK, Stop};
use crate::screen::Tone;
use crate::session::Session;
use clap::ArgMatches;
use serde_json::json;
use std::io;
use std::path::Path;
use vm_contracts::{Failure, Fault, Refusal};
use vm_ledger::clock::SystemEntropy;
use vm_ledger::keys::new_actor_key;

/// Makes a key, or says who acts.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    match below(given) {
        ("new", given) => new(session, required(given, "file")),
        _ => show(session),
    }
}

fn new(session: &mut Session<'_>, path: &str) -> Result<u8, Stop> {
    let did = new_actor_key(Path::new(path), &SystemEntropy).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => Failure::from(
            Refusal::conflict("file_exists", format!("{path} is there already"))
                .hint("Name a new file; a key is never written over."),
        ),
        _ => Fault::new("io", format!("cannot write {path}: {e}")).into(),
    })?;
    let screen = &mut session.screen;
    match screen.json {
        true => screen.document(&json!({"did": did, "file": path}))?,
        false => {
            screen.toned(Tone::Good, "made", &format!("  {path}"))?;
            screen.line(&format!("  did   {did}"))?;
            screen.line(&format!("  use   vm --actor-key {path} …, or VM_ACTOR_KEY={path}"))?;
            screen.line("  keep  the file is secret; whoever has it acts as this actor")?;
        }
    }
    Ok(OK)
}

fn show(session: &mut Session<'_>) -> Result<u8, Stop> {
    let actor = session.actor()?;
    let signs = session.flags.actor_key.is_some();
    let screen = &mut session.screen;
    match screen.json {
        true => screen.document(&json!({"actor": actor.0, "signs": signs}))?,
        false => {
            let how = if signs { "signs its calls" } else { "the node's word, unsigned" };
            screen.line(&format!("{}  ({how})", actor.0))?;
        }
    }
    Ok(OK)
}
