//! `vm export --tiles`: scrolls as C2SP tlog-tiles for any static web server.

use crate::commands::{required, text};
use crate::exit::{OK, Stop};
use crate::screen::Progress;
use crate::session::Session;
use crate::table::Table;
use clap::ArgMatches;
use vm_contracts::Failure;
use vm_ledger::tiles::Export;

/// Writes the tiles of one scroll, or of all.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let to = required(given, "tiles");
    let scroll = text(given, "scroll");
    session.in_home(|screen, ledger| {
        let all = || ledger.writer().heads().into_iter().map(|h| h.scroll).collect();
        let names: Vec<String> = scroll.map_or_else(all, |s| vec![s.to_owned()]);
        let dir = screen.paths.find(to);
        // All are compared with what is there before the first is written.
        let exports: Result<Vec<Export>, Failure> =
            names.iter().map(|name| Export::prepare(ledger, name, &dir)).collect();
        let mut table =
            Table::new(["scroll", "size", "before", "files", "bytes", "kept", "removed"]);
        let mut documents = Vec::new();
        for (name, export) in names.iter().zip(exports?) {
            let mut progress = Progress::new(screen.live);
            let err = &mut *screen.err;
            let mut step = |scroll: &str, done, total| progress.step(err, scroll, done, total);
            let made = export.write(ledger, &mut step);
            progress.end(screen.err);
            let made = made?;
            let numbers = [made.size, made.from, made.files, made.bytes, made.kept, made.removed];
            table.row([name.clone()].into_iter().chain(numbers.map(|n| n.to_string())));
            documents.push(serde_json::json!({
                "scroll": name, "size": made.size, "from": made.from, "files": made.files,
                "bytes": made.bytes, "kept": made.kept, "removed": made.removed,
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
