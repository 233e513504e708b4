//! `vm export --tiles`: scrolls as C2SP tlog-tiles for any static web server.

use crate::commands::{required, text};
use crate::exit::{OK, Stop};
use crate::session::Session;
use crate::table::Table;
use clap::ArgMatches;
use std::path::Path;
use vm_ledger::tiles::export_tiles;

/// Writes the tiles of one scroll, or of all.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let to = required(given, "tiles");
    let scroll = text(given, "scroll");
    session.in_home(|screen, ledger| {
        let all = || ledger.writer().heads().into_iter().map(|h| h.scroll).collect();
        let names: Vec<String> = scroll.map_or_else(all, |s| vec![s.to_owned()]);
        let mut table = Table::new(["scroll", "size", "files", "bytes", "kept"]);
        let mut documents = Vec::new();
        for name in &names {
            let made = export_tiles(ledger, name, Path::new(to))?;
            let numbers = [made.size, made.files, made.bytes, made.kept].map(|n| n.to_string());
            table.row([name.clone()].into_iter().chain(numbers));
            documents.push(serde_json::json!({
                "scroll": name, "size": made.size, "files": made.files, "bytes": made.bytes, "kept": made.kept,
            }));
        }
        match screen.json {
            true => screen.document(&serde_json::json!({"to": to, "scrolls": documents}))?,
            false => {
                screen.table(&table)?;
                let word = if names.len() == 1 { "scroll" } else { "scrolls" };
                screen.line(&format!("{} {word} in {to}", names.len()))?;
            }
        }
        Ok(OK)
    })
}
