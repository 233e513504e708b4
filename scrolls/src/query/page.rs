//! Running a query over lines, page by page.

use std::borrow::Borrow;

use vm_receipts::line::Line;

use super::{Cursor, LIMIT_MAX, Order, Query, QueryError, QueryErrorKind};

/// One page of matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<L> {
    /// The matches, in the query's order.
    pub lines: Vec<L>,
    /// Where the next page begins; `None` when there are no more matches now.
    pub next: Option<Cursor>,
}

/// Whether a line passes all filters; order, limit and cursor do not matter here.
#[must_use]
pub fn matches(query: &Query, line: &Line) -> bool {
    query.filters.iter().all(|filter| filter.matches(line))
}

/// Runs a query over the lines of one scroll, which must come in the query's order; lines before the
/// cursor may be left out or not.
pub fn run<L: Borrow<Line>>(
    lines: impl IntoIterator<Item = L>,
    query: &Query,
) -> Result<Page<L>, QueryError> {
    try_run(lines.into_iter().map(Ok::<L, QueryError>), query)
}

/// `run` over lines whose reading can fail.
pub fn try_run<L: Borrow<Line>, E: From<QueryError>>(
    lines: impl IntoIterator<Item = Result<L, E>>,
    query: &Query,
) -> Result<Page<L>, E> {
    if !(1..=LIMIT_MAX).contains(&query.limit) {
        return Err(QueryError { byte: None, kind: QueryErrorKind::BadLimit }.into());
    }
    let mut page = Page { lines: Vec::new(), next: None };
    let mut last: Option<(String, u64)> = None;
    for line in lines {
        let line = line?;
        let seen: &Line = line.borrow();
        check_sequence(&mut last, seen, query)?;
        let admitted = query.cursor.as_ref().is_none_or(|cursor| cursor.admits(seen.seq));
        if !admitted || !matches(query, seen) {
            continue;
        }
        if page.lines.len() == query.limit {
            page.next = Some(Cursor::new(&seen.scroll, query, seen.seq));
            break;
        }
        page.lines.push(line);
    }
    Ok(page)
}

/// Checks that the lines come from one scroll, in order, and the cursor from the same query of it.
fn check_sequence(
    last: &mut Option<(String, u64)>,
    line: &Line,
    query: &Query,
) -> Result<(), QueryError> {
    match last {
        None => {
            query.cursor.iter().try_for_each(|cursor| cursor.check(&line.scroll, query))?;
            *last = Some((line.scroll.clone(), line.seq));
        }
        Some((scroll, seq)) => {
            let onward = match query.order {
                Order::Asc => line.seq > *seq,
                Order::Desc => line.seq < *seq,
            };
            if !onward || *scroll != line.scroll {
                return Err(QueryError { byte: None, kind: QueryErrorKind::Disorder });
            }
            *seq = line.seq;
        }
    }
    Ok(())
}
