//! A toy engine that carries the laws and the campaigns: every shape of operation, and nothing of a domain.
//!
//! `note` leaves one receipt, `many` several in one call, `guarded` is refused by the state, `hide` takes a secret.
//! Its state has a [`Table`] and a [`Slot`], and every line goes into both, so a lost, doubled or reordered line shows.

use serde::Deserialize;
use vm_contracts::{
    Asked, Draft, Engine, Failure, Field, History, Hosted, Kind, Line, Map, Operations, Part,
    Projection, Record, Refusal, Report, Slot, Spec, Table, Value,
};

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
}

impl Projection for ToyState {
    const FOLD_VERSION: u32 = 1;
    fn parts(&mut self, visit: &mut dyn FnMut(&'static str, &mut dyn Part)) {
        visit("names", &mut self.names);
        visit("lines", &mut self.lines);
        visit("count", &mut self.count);
        visit("sum", &mut self.sum);
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
    ];
    const REPORTS: &'static [&'static dyn vm_contracts::AnyReport<ToyState>] = &[&Total];

    fn fold(state: &mut ToyState, line: &Line) {
        state.lines.insert(line.seq, line.kind.clone());
        let count = *state.count.get();
        state.count.set(count + 1);
        if let Some(n) = line.body.get("n").and_then(Value::as_i64) {
            let sum = *state.sum.get();
            state.sum.set(sum.saturating_add(n));
        }
        if let Some(name) = line.body.get("name").and_then(Value::as_str) {
            state.names.insert(name.to_owned(), line.seq);
        }
    }
}

/// `toy note`: one line.
pub struct Note;

/// Intent of [`Note`].
#[derive(Deserialize)]
pub struct NoteFact {
    text: String,
    n: Option<i64>,
}

static NOTE: Spec = Spec {
    verb: "note",
    about: "Keep a text",
    needs: "toy.note",
    types: &["toy_note"],
    fields: &[
        Field::new("text", Kind::Text(TEXT_BYTES_MAX), "what to keep").filter(),
        Field::new("n", Kind::Integer(-1_000_000, 1_000_000), "a number that is summed up")
            .optional(),
    ],
    example: r#"{"text":"hello","n":7}"#,
};

impl Record for Note {
    type State = ToyState;
    type Fact = NoteFact;
    fn spec(&self) -> &'static Spec {
        &NOTE
    }
    fn check(&self, _: &ToyState, fact: NoteFact, _: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let mut body = Map::from_iter([("text".to_owned(), Value::from(fact.text))]);
        body.extend(fact.n.map(|n| ("n".to_owned(), Value::from(n))));
        Ok(vec![Draft::new("toy_note", body)])
    }
}

/// `toy many`: several lines in one call.
pub struct Many;

/// Intent of [`Many`].
#[derive(Deserialize)]
pub struct ManyFact {
    text: String,
    count: i64,
}

static MANY: Spec = Spec {
    verb: "many",
    about: "Keep a text several times, in one call",
    needs: "toy.many",
    types: &["toy_item"],
    fields: &[
        Field::new("text", Kind::Text(TEXT_BYTES_MAX), "what to keep").filter(),
        Field::new("count", Kind::Integer(1, ITEMS_MAX), "how many receipts to leave").steering(),
        Field::new("index", Kind::Integer(0, ITEMS_MAX - 1), "which of them this is").computed(),
    ],
    example: r#"{"text":"hello","count":3}"#,
};

impl Record for Many {
    type State = ToyState;
    type Fact = ManyFact;
    fn spec(&self) -> &'static Spec {
        &MANY
    }
    fn check(&self, _: &ToyState, fact: ManyFact, _: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let item = |index: i64| {
            let text = ("text".to_owned(), Value::from(fact.text.as_str()));
            Draft::new("toy_item", Map::from_iter([text, ("index".to_owned(), Value::from(index))]))
        };
        Ok((0..fact.count).map(item).collect())
    }
}

/// `toy guarded`: refused when the name is taken.
pub struct Guarded;

/// Intent of [`Guarded`].
#[derive(Deserialize)]
pub struct GuardedFact {
    name: String,
}

static GUARDED: Spec = Spec {
    verb: "guarded",
    about: "Take a name that nobody has taken yet",
    needs: "toy.guarded",
    types: &["toy_guarded"],
    fields: &[
        Field::new("name", Kind::Name(NAME_BYTES_MAX), "name to take").filter(),
        Field::new("count", Kind::Integer(0, 9_007_199_254_740_991), "lines the scroll had before")
            .computed(),
    ],
    example: r#"{"name":"alpha"}"#,
};

impl Record for Guarded {
    type State = ToyState;
    type Fact = GuardedFact;
    fn spec(&self) -> &'static Spec {
        &GUARDED
    }
    fn check(
        &self,
        state: &ToyState,
        fact: GuardedFact,
        _: Asked<'_>,
    ) -> Result<Vec<Draft>, Refusal> {
        free(state, &fact.name)?;
        let count = ("count".to_owned(), Value::from(*state.count.get()));
        let name = ("name".to_owned(), Value::from(fact.name));
        Ok(vec![Draft::new("toy_guarded", Map::from_iter([name, count]))])
    }
}

fn free(state: &ToyState, name: &str) -> Result<(), Refusal> {
    match state.names.get(&name.to_owned()) {
        None => Ok(()),
        Some(seq) => {
            let what = format!("the name {name:?} was taken by toy/{seq}");
            Err(Refusal::conflict("name_taken", what).field("name"))
        }
    }
}

/// `toy hide`: takes a secret and keeps nothing of it.
pub struct Hide;

/// Intent of [`Hide`].
#[derive(Deserialize)]
pub struct HideFact {
    name: String,
    code: String,
}

static HIDE: Spec = Spec {
    verb: "hide",
    about: "Take a name with a secret code that is kept nowhere",
    needs: "toy.hide",
    types: &["toy_hidden"],
    fields: &[
        Field::new("name", Kind::Name(NAME_BYTES_MAX), "name to take").filter(),
        Field::new("code", Kind::Text(128), "at least eight bytes that nobody else knows").secret(),
    ],
    example: r#"{"name":"beta","code":"correct horse"}"#,
};

impl Record for Hide {
    type State = ToyState;
    type Fact = HideFact;
    fn spec(&self) -> &'static Spec {
        &HIDE
    }
    fn check(&self, state: &ToyState, fact: HideFact, _: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        free(state, &fact.name)?;
        if fact.code.len() < 8 {
            let what = "hide: code is shorter than eight bytes";
            return Err(Refusal::invariant("code_too_short", what).field("code"));
        }
        let name = ("name".to_owned(), Value::from(fact.name));
        Ok(vec![Draft::new("toy_hidden", Map::from_iter([name]))])
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
                let term = vm_contracts::Term { field: "type".into(), value: kind };
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
