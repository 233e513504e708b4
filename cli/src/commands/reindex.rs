//! `vm reindex`: index and tiles again from the receipts.

use crate::commands::text;
use crate::exit::{OK, Stop};
use crate::session::Session;
use crate::table::Table;
use clap::ArgMatches;

/// Makes the index of one scroll, or of all, again.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let scroll = text(given, "scroll");
    session.in_home(|screen, ledger| {
        let all = || ledger.writer().heads().into_iter().map(|h| h.scroll).collect();
        let names: Vec<String> = scroll.map_or_else(all, |s| vec![s.to_owned()]);
        let mut table = Table::new(["scroll", "receipts"]);
        let mut documents = Vec::new();
        for name in &names {
            let size = ledger.writer().reindex(name)?;
            table.row([name.clone(), size.to_string()]);
            documents.push(serde_json::json!({"scroll": name, "receipts": size}));
        }
        match screen.json {
            true => screen.document(&serde_json::json!({"scrolls": documents}))?,
            false => {
                screen.table(&table)?;
                screen.line("made again from the receipts, which did not change")?;
            }
        }
        Ok(OK)
    })
}
