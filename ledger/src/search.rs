//! Finding receipts: candidates from the index where it can name them, the lines after it one by one. Every line is
//! read, compared with its leaf hash and asked again, so an index can be slow or silent but never wrong.

use crate::index::candidates;
use crate::ledger::known_scroll;
use crate::scroll::Scroll;
use crate::shelf::schema;
use crate::writer::Writer;
use std::borrow::Borrow;
use std::collections::VecDeque;
use vm_contracts::{Failure, Fault, Refusal, Term};
use vm_receipts::line::Line;
use vm_receipts::moment::Moment;
use vm_scrolls::query::{
    Cursor, Filter, LIMIT_MAX, Op, Order, Page, Query, QueryError, QueryKind, try_run,
};

/// Lines read at first; each time twice as many, up to the most.
const FEW: usize = 16;
/// Most lines read at a time.
const MANY: usize = 1_024;

/// A receipt that was found.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The line, read.
    pub line: Line,
    /// The line, byte for byte.
    pub bytes: Vec<u8>,
}

impl Borrow<Line> for Receipt {
    fn borrow(&self) -> &Line {
        &self.line
    }
}

/// One page of a scroll's receipts, and the size they were looked for in. A hosted engine's scroll that has not begun
/// has none.
pub(crate) fn page(
    writer: &Writer,
    scroll: &str,
    query: &Query,
) -> Result<(u64, Page<Receipt>), Failure> {
    writer.usable_for_reading()?;
    let hosted = writer.engines().iter().any(|e| e.scroll() == scroll);
    if hosted && !writer.scrolls.contains_key(scroll) {
        return Ok((0, try_run::<Receipt, Stop>([], query)?));
    }
    let found = known_scroll(writer, scroll)?;
    if let Some(cursor) = &query.cursor {
        cursor.check(scroll, query).map_err(Stop::from)?;
    }
    let rows = Rows::new(writer, found, query, found.size())?;
    Ok((found.size(), try_run(rows.map(|row| row.map_err(Stop::Failure)), query)?))
}

/// Visits the lines below `size` that may satisfy all terms, in order, until `visit` returns false.
pub(crate) fn scan(
    writer: &Writer,
    scroll: &str,
    size: u64,
    terms: &[Term],
    visit: &mut dyn FnMut(&Line) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let Some(found) = writer.scrolls.get(scroll) else { return Ok(()) };
    let query = Query { filters: served(found, terms), limit: LIMIT_MAX, ..Query::default() };
    for row in Rows::new(writer, found, &query, size)? {
        if !visit(&row?.line)? {
            break;
        }
    }
    Ok(())
}

/// The terms that a filter finds all lines of. A list is a term as its text, and a filter by one of its members.
fn served(scroll: &Scroll, terms: &[Term]) -> Vec<Filter> {
    let schema = schema(scroll.engine);
    let filter = |term: &Term| {
        let envelope = ["type", "op", "id", "actor"].contains(&term.field.as_str());
        let list = |name: &str| {
            schema.fields.iter().any(|f| f.name == name && f.kind == QueryKind::TextList)
        };
        let name = match envelope {
            true => term.field.clone(),
            false if list(&term.field) => return None,
            false => format!("body.{}", term.field),
        };
        Filter::new(&schema, &name, Op::Eq, &term.value).ok()
    };
    terms.iter().filter_map(filter).collect()
}

/// Why a page ended early.
enum Stop {
    Query(QueryError),
    Failure(Failure),
}

impl From<QueryError> for Stop {
    fn from(e: QueryError) -> Self {
        Stop::Query(e)
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failure(failure) => failure,
            Stop::Query(e) => {
                let refusal = Refusal::malformed(e.code(), e.to_string());
                Refusal { hint: e.hint(), ..refusal }.into()
            }
        }
    }
}

type Seqs<'a> = Box<dyn Iterator<Item = Result<u64, Fault>> + 'a>;

/// Lines that may match, in the query's order.
struct Rows<'a> {
    writer: &'a Writer,
    scroll: &'a Scroll,
    seqs: Seqs<'a>,
    ready: VecDeque<Receipt>,
    at_once: usize,
    ended: bool,
}

impl<'a> Rows<'a> {
    fn new(
        writer: &'a Writer,
        scroll: &'a Scroll,
        query: &Query,
        size: u64,
    ) -> Result<Self, Failure> {
        let indexed = scroll.indexed().min(size);
        let mut at_of = |seq: u64| time_of(writer, scroll, seq);
        let below: Seqs<'a> = match &scroll.shelf {
            Some(shelf) => {
                Box::new(candidates(&shelf.seen, &scroll.fields, query, indexed, &mut at_of)?)
            }
            None => Box::new(std::iter::empty()),
        };
        let next = query.cursor.as_ref().map(Cursor::next_seq);
        let seqs: Seqs<'a> = match query.order {
            Order::Asc => {
                let tail = indexed.max(next.unwrap_or(0))..size;
                Box::new(below.chain(tail.map(Ok)))
            }
            Order::Desc => {
                let end = next.map_or(size, |next| next.saturating_add(1).min(size));
                Box::new((indexed..end).rev().map(Ok).chain(below))
            }
        };
        let ready = VecDeque::new();
        Ok(Self { writer, scroll, seqs, ready, at_once: FEW, ended: false })
    }

    /// Reads the next few lines; those that stand side by side in one go.
    fn read_more(&mut self) -> Result<(), Failure> {
        let seqs = self.seqs.by_ref().take(self.at_once).collect::<Result<Vec<u64>, Fault>>()?;
        self.at_once = (self.at_once * 2).min(MANY);
        self.ended = seqs.is_empty();
        for run in seqs.chunk_by(|a, b| a.abs_diff(*b) == 1) {
            let (one, other) = (run[0], run[run.len() - 1]);
            let (first, last) = (one.min(other), one.max(other));
            let count = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
            let lines = self.writer.read_checked(&self.scroll.name, first, count)?;
            if lines.len() != count {
                let what = format!("{}/{first} to {last} are not all there", self.scroll.name);
                return Err(Fault::new("read_failed", what).into());
            }
            let rows = (first..).zip(lines).map(|(seq, bytes)| {
                let line = parsed(&self.scroll.name, seq, &bytes)?;
                Ok(Receipt { line, bytes })
            });
            let mut rows: Vec<Receipt> = rows.collect::<Result<_, Failure>>()?;
            if one > other {
                rows.reverse();
            }
            self.ready.extend(rows);
        }
        Ok(())
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Receipt, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.ended {
            if let Err(failure) = self.read_more() {
                self.ended = true;
                return Some(Err(failure));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

fn time_of(writer: &Writer, scroll: &Scroll, seq: u64) -> Result<Moment, Failure> {
    let bytes = writer.read_checked(&scroll.name, seq, 1)?.pop().unwrap_or_default();
    Ok(parsed(&scroll.name, seq, &bytes)?.at)
}

/// A line that was taken in and does not read any more.
pub(crate) fn parsed(scroll: &str, seq: u64, bytes: &[u8]) -> Result<Line, Failure> {
    let unreadable = |e: vm_receipts::line::LineError| Fault {
        retryable: false,
        ..Fault::new("line_unreadable", format!("{scroll}/{seq} does not read any more: {e}"))
    };
    Ok(Line::parse(bytes).map_err(unreadable)?)
}
