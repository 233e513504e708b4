//! `vm init`: a new home with two keys and its configuration.

use crate::commands::text;
use crate::config::{self, Loaded};
use crate::exit::{OK, Stop, unwritable};
use crate::screen::Tone;
use crate::session::Session;
use clap::ArgMatches;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use vm_contracts::Failure;
use vm_ledger::clock::{Clock, SystemClock, SystemEntropy, uuid_v7};
use vm_ledger::home;

/// Makes a home.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let loaded = Loaded::read(&session.flags)?;
    let mut config = loaded.config.clone();
    if config.ledger.id.is_empty() {
        config.ledger.id = uuid_v7(SystemClock.read().wall, &SystemEntropy);
    }
    if let Some(domain) = text(given, "domain") {
        config.ledger.domain = domain.to_owned();
    }
    match text(given, "node") {
        Some(node) => config.ledger.node = node.to_owned(),
        None if loaded.source("ledger.node") == "default" => {
            config.ledger.node = drawn_node(&config.ledger.id)
        }
        None => {}
    }
    if let Some(dir) = text(given, "guard") {
        config.guard = Some(std::path::absolute(dir).map_err(|e| unwritable(dir, &e))?);
    }
    config.ledger.demo |= given.get_flag("demo");
    config::check_name("ledger.domain", &config.ledger.domain)?;
    config::check_name("ledger.node", &config.ledger.node)?;

    let settings = config::settings(&config);
    let guard = config::guard(&loaded.home, &config)?;
    let scrolls: Vec<&str> = session.house.iter().map(|e| e.scroll()).collect();
    home::init(&loaded.home, &guard, &settings, &scrolls, &SystemEntropy)?;
    // Last: a home without this file is no home yet, and a crash before this line leaves nothing of worth.
    write_config(&loaded.home, &config::text(&config))?;

    let home = loaded.home.display().to_string();
    let trust = loaded.home.join("keys").join("trust.txt").display().to_string();
    let screen = &mut session.screen;
    if screen.json {
        let document = serde_json::json!({
            "home": home, "ledger": settings.ledger, "domain": settings.domain, "node": settings.node,
            "demo": settings.demo, "guard": guard.display().to_string(), "trust": trust,
        });
        screen.document(&document)?;
        return Ok(OK);
    }
    screen.toned(Tone::Good, "made", &format!("  {home}"))?;
    screen.line(&format!("  ledger  {}", settings.ledger))?;
    screen.line(&format!("  origin  {}/{}/<scroll>", settings.domain, settings.node))?;
    screen.line(&format!(
        "  keys    {trust} is for whoever verifies; the .pem files beside it are secret"
    ))?;
    screen.line(&format!("  guard   {} holds the second copy of signed-state", guard.display()))?;
    Ok(OK)
}

/// A name of its own for each ledger, so that two homes made without one never sign for the same origin.
fn drawn_node(ledger: &str) -> String {
    let letters: Vec<char> = ledger.chars().filter(char::is_ascii_hexdigit).collect();
    let end: String = letters[letters.len().saturating_sub(8)..].iter().collect();
    format!("node-{}", end.to_ascii_lowercase())
}

fn write_config(home: &Path, text: &str) -> Result<(), Failure> {
    let path = home.join(config::FILE);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::File::open(home)?.sync_all()
    };
    write().map_err(|e| unwritable(&path.display().to_string(), &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_nodes_can_stand_in_an_origin() {
        for id in ["0193e5a0-7b1c-7def-8abc-0123456789AB", "x", "zz-1"] {
            config::check_name("ledger.node", &drawn_node(id)).unwrap();
        }
        assert_eq!(drawn_node("0193e5a0-7b1c-7def-8abc-0123456789ab"), "node-456789ab");
    }
}
