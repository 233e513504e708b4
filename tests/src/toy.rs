//! A toy engine that carries the laws and the campaigns: every shape of operation, and nothing of a domain.
//!
//! `note` leaves one receipt, `many` several in one call, `guarded` is refused by the state, `hide` takes a secret,
//! `whisper` keeps private values, `heap` may grow longer than a receipt. `pay` has an effect behind a port, `work` is done
//! by people, stage by stage. Its state has a [`Table`] and a [`Slot`], and every line goes into both, so a lost, doubled or
//! reordered line shows.

mod heap;
mod pay;
mod records;
mod till;
mod work;

pub use heap::Heap;
pub use pay::Pay;
pub use records::{Guarded, Hide, Many, Note, Whisper};
pub use till::{Drawer, TILL, Till, TillPort, Tills};
pub use work::Work;

use serde::Deserialize;
use vm_contracts::{
    Engine, Failure, Field, History, Hosted, Kind, Line, Operations, Part, Projection, Report,
    Slot, Spec, Table, Term, Value,
};
use vm_receipts::line::End;

/// Most items of one `many`.
pub const ITEMS_MAX: i64 = 400;
/// Longest text.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Longest name.
pub const NAME_BYTES_MAX: usize = 64;

/// The engine, hosted.
pub static TOY: Hosted<Toy> = Hosted::new();

/// The toy engine.
pub struct Toy;

/// What the toy remembers.
#[derive(Default)]
pub struct ToyState {
    /// Names taken by `guarded` and `hide`, with the sequence number that took them.
    pub names: Table<String, u64>,
    /// Each line's type by its sequence number.
    pub lines: Table<u64, String>,
    /// Number of lines.
    pub count: Slot<u64>,
    /// Sum of the notes' numbers.
    pub sum: Slot<i64>,
    /// Sum of what was paid.
    pub paid: Slot<i64>,
}

impl Projection for ToyState {
    const FOLD_VERSION: u32 = 2;
    fn parts(&mut self, visit: &mut dyn FnMut(&'static str, &mut dyn Part)) {
        visit("names", &mut self.names);
        visit("lines", &mut self.lines);
        visit("count", &mut self.count);
        visit("sum", &mut self.sum);
        visit("paid", &mut self.paid);
    }
}

impl Engine for Toy {
    const NAME: &'static str = "toy";
    const SCROLL: &'static str = "toy";
    const PREFIX: &'static str = "toy_";
    const ABOUT: &'static str = "Carries the laws: every shape of operation, nothing of a domain";
    type State = ToyState;
    const OPERATIONS: &'static [Operations<ToyState>] = &[
        Operations::Record(&Note),
        Operations::Record(&Many),
        Operations::Record(&Guarded),
        Operations::Record(&Hide),
        Operations::Record(&Whisper),
        Operations::Record(&Heap),
        Operations::Operation(&Pay),
        Operations::Staged(&Work),
    ];
    const REPORTS: &'static [&'static dyn vm_contracts::AnyReport<ToyState>] = &[&Total, &Heard];

    fn fold(state: &mut ToyState, line: &Line) {
        state.lines.insert(line.seq, line.kind.clone());
        let count = *state.count.get();
        state.count.set(count + 1);
        if let Some(n) = line.body.get("n").and_then(Value::as_i64) {
            let sum = *state.sum.get();
            state.sum.set(sum.saturating_add(n));
        }
        let was_paid = line.kind == "toy_paid" && line.end == End::Completed;
        if let Some(amount) = line.body.get("amount").and_then(Value::as_i64).filter(|_| was_paid) {
            let paid = *state.paid.get();
            state.paid.set(paid.saturating_add(amount));
        }
        if let Some(name) = line.body.get("name").and_then(Value::as_str) {
            state.names.insert(name.to_owned(), line.seq);
        }
    }
}

/// `toy total`: the report.
pub struct Total;

/// Question of [`Total`].
#[derive(Deserialize)]
pub struct TotalQuestion {
    kind: Option<String>,
}

static TOTAL: Spec = Spec {
    verb: "total",
    about: "Count lines and add up numbers",
    needs: "toy.total",
    types: &[],
    fields: &[
        Field::new("kind", Kind::Name(NAME_BYTES_MAX), "count this receipt type only").optional()
    ],
    example: r#"{"kind":"toy_note"}"#,
};

impl Report for Total {
    type State = ToyState;
    type Question = TotalQuestion;
    fn spec(&self) -> &'static Spec {
        &TOTAL
    }
    fn answer(
        &self,
        state: &ToyState,
        history: &mut dyn History,
        question: TotalQuestion,
    ) -> Result<Value, Failure> {
        let count = match question.kind {
            None => *state.count.get(),
            Some(kind) => {
                let term = Term { field: "type".into(), value: kind };
                let mut found = 0;
                history.scan(&[term], &mut |_| {
                    found += 1;
                    true
                })?;
                found
            }
        };
        Ok(serde_json::json!({"count": count, "sum": *state.sum.get()}))
    }
}

/// `toy heard`: private values that this home can open.
pub struct Heard;

/// Question of [`Heard`].
#[derive(Deserialize)]
pub struct HeardQuestion {}

static HEARD: Spec = Spec {
    verb: "heard",
    about: "List the private values that can be opened here",
    needs: "toy.heard",
    types: &[],
    fields: &[],
    example: "{}",
};

impl Report for Heard {
    type State = ToyState;
    type Question = HeardQuestion;
    fn spec(&self) -> &'static Spec {
        &HEARD
    }
    fn answer(
        &self,
        _: &ToyState,
        history: &mut dyn History,
        _: HeardQuestion,
    ) -> Result<Value, Failure> {
        let mut heard = Vec::new();
        history.scan_opened(&[], &mut |line, opened| {
            if !opened.is_empty() {
                heard.push(serde_json::json!({"seq": line.seq, "opened": opened}));
            }
            true
        })?;
        Ok(Value::Array(heard))
    }
}
