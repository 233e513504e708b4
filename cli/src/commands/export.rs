//! `vm <engine> export`: state and history in a foreign format.

use crate::commands::{required, text};
use crate::exit::{OK, Stop};
use crate::session::Session;
use clap::ArgMatches;
use vm_contracts::AnyEngine;

/// Writes the export to a file or to standard output.
pub fn run(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let format = required(given, "format");
    let output = text(given, "output");
    session.in_home(|screen, ledger| {
        let export = ledger.export(engine.name(), format)?;
        if let Some(path) = output {
            screen.put_out(path, export.text.as_bytes())?;
        }
        match (screen.json, output) {
            (true, _) => {
                let text = output.is_none().then_some(&export.text);
                let document = serde_json::json!({
                    "format": format, "file": output, "text": text, "notices": export.notices,
                });
                screen.document(&document)?;
            }
            (false, Some(path)) => {
                screen.line(&format!("{} bytes in {path}", export.text.len()))?
            }
            (false, None) => screen.raw(export.text.as_bytes())?,
        }
        if !screen.json {
            export.notices.iter().for_each(|n| screen.note(n));
        }
        Ok(OK)
    })
}
