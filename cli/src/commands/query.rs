//! `vm <engine> query` and `vm query <scroll>`: receipts that satisfy every filter, page by page.

use crate::answer::receipt::{Row, table};
use crate::args::query;
use crate::commands::required;
use crate::exit::{OK, Stop};
use crate::session::Session;
use clap::ArgMatches;
use std::collections::VecDeque;
use vm_contracts::AnyEngine;
use vm_ledger::Ledger;
use vm_scrolls::query::{Order, Page, Query, try_run};

/// Lines read at a time.
const CHUNK: u64 = 1_024;

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
        let head = ledger.writer().heads().into_iter().find(|h| h.scroll == scroll);
        // A hosted engine's scroll may have no receipt yet; then it has none that match either.
        let hosted = ledger.writer().engines().iter().any(|e| e.scroll() == scroll);
        let size = match head {
            Some(head) => head.size,
            None if hosted => 0,
            None => {
                ledger.lines(scroll, 0, &mut |_, _| false)?;
                0
            }
        };
        let mut page = try_run(Rows::new(ledger, scroll, size, query), query)?;
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

/// Lines of a scroll in the query's order, read in chunks, so that a page costs what it holds.
struct Rows<'a> {
    ledger: &'a Ledger,
    scroll: &'a str,
    order: Order,
    /// Seqs still to be read: from the front when ascending, from the back when descending.
    left: std::ops::Range<u64>,
    ready: VecDeque<Row>,
    failed: bool,
}

impl<'a> Rows<'a> {
    fn new(ledger: &'a Ledger, scroll: &'a str, size: u64, query: &Query) -> Self {
        let next = query.cursor.as_ref().map(vm_scrolls::query::Cursor::next_seq);
        let left = match (query.order, next) {
            (_, None) => 0..size,
            (Order::Asc, Some(next)) => next.min(size)..size,
            (Order::Desc, Some(next)) => 0..next.saturating_add(1).min(size),
        };
        Self { ledger, scroll, order: query.order, left, ready: VecDeque::new(), failed: false }
    }

    fn read_chunk(&mut self) -> Result<(), Stop> {
        let count = CHUNK.min(self.left.end - self.left.start);
        let from = match self.order {
            Order::Asc => self.left.start,
            Order::Desc => self.left.end - count,
        };
        let ready = &mut self.ready;
        let mut seen = 0;
        self.ledger.lines(self.scroll, from, &mut |bytes, line| {
            ready.push_back(Row::new(line.clone(), bytes.to_vec()));
            seen += 1;
            seen < count
        })?;
        match self.order {
            Order::Asc => self.left.start += count,
            Order::Desc => {
                self.left.end -= count;
                self.ready.make_contiguous().reverse();
            }
        }
        Ok(())
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, Stop>;

    fn next(&mut self) -> Option<Self::Item> {
        let due = self.ready.is_empty() && !self.left.is_empty() && !self.failed;
        if due && let Err(e) = self.read_chunk() {
            self.failed = true;
            return Some(Err(e));
        }
        self.ready.pop_front().map(Ok)
    }
}
