//! `vm <engine> query` and `vm query <scroll>`: receipts that satisfy every filter, page by page.

use crate::answer::receipt::{Row, table};
use crate::args::query;
use crate::commands::required;
use crate::exit::{OK, Stop};
use crate::session::Session;
use clap::ArgMatches;
use vm_contracts::AnyEngine;
use vm_scrolls::query::{Page, Query};

/// `vm <engine> query`.
pub fn of_engine(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let query = query::query(Some(engine), given)?;
    answer(session, engine.scroll(), &query, given.get_flag("private"))
}

/// `vm query <scroll>`; the declared filters count where an engine of this program writes the scroll.
pub fn any_scroll(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let scroll = required(given, "scroll");
    let engine = session.house.iter().find(|e| e.scroll() == scroll).copied();
    let query = query::query(engine, given)?;
    answer(session, scroll, &query, given.get_flag("private"))
}

fn answer(
    session: &mut Session<'_>,
    scroll: &str,
    query: &Query,
    private: bool,
) -> Result<u8, Stop> {
    session.in_home(|screen, ledger| {
        let (size, found) = ledger.query(scroll, query)?;
        let rows = found.lines.into_iter().map(|r| Row::new(r.line, r.bytes)).collect();
        let mut page = Page { lines: rows, next: found.next };
        if private {
            page.lines.iter_mut().try_for_each(|row| row.open(ledger))?;
        }
        if screen.json {
            screen.document(&to_json(scroll, size, &page))?;
            return Ok(OK);
        }
        let engine = ledger.writer().engines().iter().find(|e| e.scroll() == scroll).copied();
        let filters = engine.map(AnyEngine::filters).unwrap_or_default();
        let filters: Vec<&str> = filters.iter().map(|f| f.name).collect();
        screen.table(&table(&page.lines, &filters))?;
        let count = page.lines.len();
        let word = if count == 1 { "receipt" } else { "receipts" };
        screen.line(&format!("{count} {word} of {scroll} at size {size}"))?;
        if let Some(next) = &page.next {
            screen.line(&format!("more with --cursor {next}"))?;
        }
        Ok(OK)
    })
}

fn to_json(scroll: &str, size: u64, page: &Page<Row>) -> serde_json::Value {
    serde_json::json!({
        "scroll": scroll,
        "size": size,
        "receipts": page.lines.iter().map(Row::to_json).collect::<Vec<_>>(),
        "next": page.next.as_ref().map(ToString::to_string),
    })
}
