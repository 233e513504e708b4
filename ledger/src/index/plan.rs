//! Which lines a query has to look at.
//!
//! Filters that the index serves are cut with each other stretch by stretch, in the query's order and only as far as
//! the reader goes. Each line is looked at again by whoever reads it, so there may be too many here, never too few.

use super::Snapshot;
use super::stretch::{Places, STRETCH, split};
use vm_contracts::state::Base;
use vm_contracts::{Failure, Fault};
use vm_receipts::moment::Moment;
use vm_scrolls::query::terms::{Term, TermFields};
use vm_scrolls::query::{Filter, Op, Order, Query, Target};

/// Most values whose lines are joined for one `^=`; with more, the filter is left to the reader.
const PREFIX_VALUES_MAX: usize = 1_024;

/// Sequence numbers of the lines that may match a query, in its order.
pub struct Candidates<'a> {
    snapshot: &'a Snapshot,
    order: Order,
    terms: Vec<Term>,
    prefixes: Vec<Term>,
    /// Lines of the calls that were asked for by id, ascending.
    calls: Option<Vec<(u64, u64)>>,
    /// Lines from the first to before the second.
    range: (u64, u64),
    /// The stretch whose places are given out now.
    stretch: u64,
    here: Places,
    /// The next stretch; `None` after the last.
    next: Option<u64>,
}

/// The lines below `size_indexed` that may match. Lines from there on are the caller's to look at, all of them; so are
/// cursors of another query, which must be refused before.
///
/// `at_of` gives the time of a line; times never decrease in a scroll.
pub fn candidates<'a>(
    snapshot: &'a Snapshot,
    fields: &TermFields,
    query: &Query,
    size_indexed: u64,
    at_of: &mut dyn FnMut(u64) -> Result<Moment, Failure>,
) -> Result<Candidates<'a>, Failure> {
    let size = size_indexed.min(snapshot.mark().size);
    let mut range = (0, size);
    if let Some(cursor) = &query.cursor {
        match query.order {
            Order::Asc => range.0 = cursor.next_seq(),
            Order::Desc => range.1 = range.1.min(cursor.next_seq().saturating_add(1)),
        }
    }
    let mut calls = None;
    for filter in &query.filters {
        match filter.target() {
            Target::Envelope("seq") => by_seq(filter, &mut range),
            Target::Envelope("at") => by_time(filter, &mut range, at_of)?,
            Target::Envelope("id") => by_id(snapshot, filter, &mut calls),
            _ => {}
        }
    }
    let all = |served: &dyn Fn(&Filter) -> Option<Term>| {
        let mut terms: Vec<Term> = query.filters.iter().filter_map(served).collect();
        terms.sort();
        terms.dedup();
        terms
    };
    let mut found = Candidates {
        snapshot,
        order: query.order,
        terms: all(&|filter| fields.of_filter(filter)),
        prefixes: all(&|filter| fields.of_prefix(filter)),
        calls,
        range,
        stretch: 0,
        here: Places::none(),
        next: None,
    };
    found.next = found.first_stretch();
    snapshot.check()?;
    Ok(found)
}

/// Narrows a range by `seq`.
fn by_seq(filter: &Filter, range: &mut (u64, u64)) {
    let Some(number) = filter.integer() else { return };
    // Below zero there is no line; above every line there is always room.
    let at = u64::try_from(number).unwrap_or(0);
    let after = u64::try_from(number).map_or(0, |n| n.saturating_add(1));
    narrow(filter.op(), range, at, after);
}

/// Narrows a range by what lies before a value, ends `at` where it begins, and goes on `after` it.
fn narrow(op: Op, range: &mut (u64, u64), at: u64, after: u64) {
    let (from, to) = match op {
        Op::Eq => (at, after),
        Op::Ge => (at, u64::MAX),
        Op::Gt => (after, u64::MAX),
        Op::Le => (0, after),
        Op::Lt => (0, at),
        Op::Ne | Op::Prefix => return,
    };
    *range = (range.0.max(from), range.1.min(to));
}

/// Narrows a range by `at`.
fn by_time(
    filter: &Filter,
    range: &mut (u64, u64),
    at_of: &mut dyn FnMut(u64) -> Result<Moment, Failure>,
) -> Result<(), Failure> {
    let Some(moment) = filter.moment() else { return Ok(()) };
    let (from, to) = *range;
    let (mut at, mut after) = (0, u64::MAX);
    if matches!(filter.op(), Op::Eq | Op::Ge | Op::Lt) {
        at = first_line(from, to, &mut |seq| Ok(at_of(seq)? >= moment))?;
    }
    if matches!(filter.op(), Op::Eq | Op::Gt | Op::Le) {
        after = first_line(from, to, &mut |seq| Ok(at_of(seq)? > moment))?;
    }
    narrow(filter.op(), range, at, after);
    Ok(())
}

/// The first line of a range for which something holds that goes on holding; the end if there is none.
fn first_line(
    mut from: u64,
    mut to: u64,
    holds: &mut dyn FnMut(u64) -> Result<bool, Failure>,
) -> Result<u64, Failure> {
    while from < to {
        let middle = from + (to - from) / 2;
        match holds(middle)? {
            true => to = middle,
            false => from = middle + 1,
        }
    }
    Ok(from)
}

/// Narrows the calls by `id`.
fn by_id(snapshot: &Snapshot, filter: &Filter, calls: &mut Option<Vec<(u64, u64)>>) {
    let groups = match filter.op() {
        _ if snapshot.ids_repeat() => return,
        Op::Eq => snapshot.group(&filter.value()).into_iter().collect(),
        Op::Prefix => match snapshot.groups_by_prefix(&filter.value(), PREFIX_VALUES_MAX) {
            Some(groups) => groups,
            None => return,
        },
        _ => return,
    };
    let end = |group: &crate::scroll::Group| group.first.saturating_add(u64::from(group.of));
    let mut lines: Vec<(u64, u64)> = groups.iter().map(|group| (group.first, end(group))).collect();
    lines.sort_unstable();
    // Of several filters the one with the fewest calls is enough; the reader looks at the others.
    if calls.as_ref().is_none_or(|before| before.len() > lines.len()) {
        *calls = Some(lines);
    }
}

impl Candidates<'_> {
    fn first_stretch(&self) -> Option<u64> {
        let (from, to) = self.range;
        let edge = match self.order {
            Order::Asc => from,
            Order::Desc => to.saturating_sub(1),
        };
        (from < to).then(|| split(edge).0)
    }

    fn stretch_after(&self, stretch: u64) -> Option<u64> {
        let (from, to) = self.range;
        match self.order {
            Order::Asc => Some(stretch + 1).filter(|s| s * STRETCH < to),
            Order::Desc => stretch.checked_sub(1).filter(|s| (s + 1) * STRETCH > from),
        }
    }

    /// The places of a stretch that may match.
    fn places(&self, stretch: u64) -> Places {
        let first = stretch * STRETCH;
        let within = |(from, to): (u64, u64)| {
            Places::between(from.saturating_sub(first), to.saturating_sub(first))
        };
        let mut places = within(self.range);
        if let Some(calls) = &self.calls {
            let mut lines = Places::none();
            let near = |(from, to): &&(u64, u64)| *from < first + STRETCH && *to > first;
            calls.iter().filter(near).for_each(|call| lines.join(&within(*call)));
            places.keep(&lines);
        }
        for term in &self.terms {
            if places.is_empty() {
                return places;
            }
            match self.snapshot.places(stretch, term) {
                Some(its) => places.keep(&its),
                None => return Places::none(),
            }
        }
        for prefix in &self.prefixes {
            if places.is_empty() {
                return places;
            }
            if let Some(its) = self.snapshot.places_by_prefix(stretch, prefix, PREFIX_VALUES_MAX) {
                places.keep(&its);
            }
        }
        places
    }
}

impl Iterator for Candidates<'_> {
    type Item = Result<u64, Fault>;

    fn next(&mut self) -> Option<Result<u64, Fault>> {
        loop {
            if let Some(place) = self.here.take_next(self.order) {
                return Some(Ok(self.stretch * STRETCH + u64::from(place)));
            }
            self.stretch = self.next?;
            self.next = self.stretch_after(self.stretch);
            self.here = self.places(self.stretch);
            // What could not be read looks like lines that are not there.
            if self.snapshot.trouble().is_some() {
                (self.next, self.here) = (None, Places::none());
                return self.snapshot.check().err().map(Err);
            }
        }
    }
}
