//! `vm backup` and `vm restore`.

use crate::commands::{required, text};
use crate::config;
use crate::exit::{OK, Stop};
use crate::screen::Tone;
use crate::session::Session;
use clap::ArgMatches;
use std::path::Path;
use std::sync::Arc;
use vm_contracts::OwnerGate;
use vm_ledger::backup::{Restore, restore as restore_home};

/// Writes a consistent copy of the home.
pub fn backup(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let to = required(given, "to").to_owned();
    let with_keys = !given.get_flag("no-keys");
    let home = session.loaded()?.home;
    session.in_home(|screen, ledger| {
        let made = vm_ledger::backup::backup(ledger, &home, &screen.paths.find(&to), with_keys)?;
        if screen.json {
            let scrolls: Vec<_> = made.scrolls.iter().map(|(n, s)| serde_json::json!({"scroll": n, "size": s})).collect();
            let document = serde_json::json!({
                "to": to, "with_keys": with_keys, "files": made.files, "bytes": made.bytes, "scrolls": scrolls,
            });
            screen.document(&document)?;
            return Ok(OK);
        }
        screen.toned(Tone::Good, "backed up", &format!("  {} files, {} bytes, in {to}", made.files, made.bytes))?;
        for (scroll, size) in &made.scrolls {
            screen.line(&format!("  {scroll}  {size} receipts"))?;
        }
        match with_keys {
            true => screen.line("It holds the secret keys: keep it as you keep the home.")?,
            false => screen.line("It holds no secret keys: keep them elsewhere, a restore needs them.")?,
        }
        Ok(OK)
    })
}

/// Makes the home from a backup.
pub fn restore(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let from = Path::new(required(given, "from"));
    let (home, _) = config::home(&session.flags)?;
    let mut config = config::read_file(&from.join(config::FILE))?;
    let node = text(given, "node").filter(|node| *node != config.ledger.node);
    if let Some(node) = node {
        config::check_name("ledger.node", node)?;
        config.ledger.node = node.to_owned();
    }
    let text = config::text(&config);
    let guard = config::guard(&home, &config)?;
    let plan = Restore {
        from,
        home: &home,
        guard: &guard,
        settings: config::settings(&config),
        config: &text,
        renamed: node.is_some(),
    };
    let made = restore_home(plan, session.house, Arc::new(OwnerGate))?;
    let screen = &mut session.screen;
    made.messages.iter().for_each(|m| screen.note(m));
    if screen.json {
        let scrolls: Vec<_> =
            made.scrolls.iter().map(|(n, s)| serde_json::json!({"scroll": n, "size": s})).collect();
        let document = serde_json::json!({
            "home": home.display().to_string(), "node": config.ledger.node, "scrolls": scrolls, "lost_up_to": made.lost_up_to,
        });
        screen.document(&document)?;
        return Ok(OK);
    }
    screen.toned(Tone::Good, "restored", &format!("  {}", home.display()))?;
    for (scroll, size) in &made.scrolls {
        let lost = made
            .lost_up_to
            .get(scroll)
            .map_or(String::new(), |l| format!(", of {l} that had been signed"));
        screen.line(&format!(
            "  {scroll}  {size} receipts{lost}; one more says that it was restored"
        ))?;
    }
    Ok(OK)
}
