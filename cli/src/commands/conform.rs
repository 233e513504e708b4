//! `vm conform`: an engine held against the design gate, row by row.
//!
//! What can be computed is computed now, in a scratch home that is removed again. A row is `yes` only when all of it
//! was shown here; what this program does not have yet is said, not left out.

mod carry;
mod declared;
mod lived;
mod scratch;
mod worked;

pub use lived::Sample;

use crate::commands::required;
use crate::exit::{OK, Stop};
use crate::screen::{Screen, Tone};
use crate::session::{House, Session};
use clap::ArgMatches;
use vm_contracts::{AnyEngine, Value};

/// How an engine stands to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All of the row was shown.
    Yes,
    /// Something was shown to be otherwise.
    No,
    /// Part of the row cannot be shown by this version.
    NotYet,
}

impl Standing {
    /// The word for tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Yes => "yes",
            Standing::No => "no",
            Standing::NotYet => "not yet",
        }
    }
}

/// One row of the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Number in the gate.
    pub number: u8,
    /// What it asks.
    pub title: &'static str,
    /// How the engine stands to it.
    pub standing: Standing,
    /// What was shown, and what was not.
    pub detail: String,
}

/// The rows of the gate.
pub const TITLES: [&str; 16] = [
    "L1 entrypoint: command line, HTTP and MCP from one table",
    "L1 structured intent: bad input is refused by name, nothing appended",
    "L2 contract: a plan with stages and a stable digest",
    "L2 state: only documented transitions, crashes resumed",
    "L2 visible outputs: everything named exists and is checked",
    "L3 receipts: every operation leaves declared types, every type is left",
    "L3 append-only: old bytes stay, every change is found",
    "L3 root: equals an independent recomputation",
    "L3 anchor: anchored outside and verified offline",
    "L3 query: each filter equals a brute-force scan",
    "Fold: state from scratch equals the live one",
    "Idempotency: repeats and concurrent writers append once",
    "Real data: samples import, and export keeps their meaning",
    "Authority: who may not is refused",
    "Bounds: size, time and garbage",
    "Docs: the example runs as written",
];

/// What a check found: what holds, what does not, what it could not show.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Contradictions; any makes the row `no`.
    pub wrong: Vec<String>,
    /// What was not shown; any makes the row `not yet`.
    pub open: Vec<String>,
    /// What was shown.
    pub held: Vec<String>,
}

impl Shown {
    /// Only something to come.
    pub fn open(what: &str) -> Self {
        Self { open: vec![what.to_owned()], ..Self::default() }
    }

    /// Notes a claim that holds or does not.
    pub fn claim(&mut self, holds: bool, what: impl Into<String>) {
        if holds { self.held.push(what.into()) } else { self.wrong.push(what.into()) }
    }

    /// Both together.
    fn and(mut self, other: Self) -> Self {
        self.wrong.extend(other.wrong);
        self.open.extend(other.open);
        self.held.extend(other.held);
        self
    }

    fn row(self, number: u8) -> Row {
        let standing = match (self.wrong.is_empty(), self.open.is_empty()) {
            (false, _) => Standing::No,
            (true, false) => Standing::NotYet,
            (true, true) => Standing::Yes,
        };
        let wrong = self.wrong.into_iter().map(|w| format!("does not hold: {w}"));
        let open = self.open.into_iter().map(|o| format!("not yet: {o}"));
        let held = self.held.into_iter();
        let detail = wrong.chain(held).chain(open).collect::<Vec<_>>().join("; ");
        Row { number, title: TITLES[usize::from(number) - 1], standing, detail }
    }
}

/// Prints the rows; exit 1 where one is `no`.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let engine = session.engine(required(given, "engine"))?;
    let mut samples = Vec::new();
    for path in given.get_many::<String>("sample").unwrap_or_default() {
        let bytes = session.screen.take_in(path)?;
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        samples.push(Sample { name, bytes });
    }
    let rows = rows(session.house, engine, &samples)?;
    match session.screen.json {
        true => session.screen.document(&to_json(engine, &rows))?,
        false => print(&mut session.screen, engine, &rows)?,
    }
    Ok(if rows.iter().any(|r| r.standing == Standing::No) { 1 } else { OK })
}

/// The sixteen rows for an engine.
pub fn rows(
    house: House,
    engine: &'static dyn AnyEngine,
    samples: &[Sample],
) -> Result<Vec<Row>, Stop> {
    let lived = lived::live(house, engine, samples)?;
    let worked = worked::work(house, engine)?;
    let all = [
        declared::entrypoint(house, engine),
        declared::intent(engine),
        worked.contract.and(lived.contract),
        worked.state,
        worked.outputs,
        lived.receipts,
        lived.append_only,
        lived.root,
        Shown::open("there is no guardian in this version"),
        lived.query,
        lived.fold,
        lived.idempotency,
        declared::formats(engine, lived.samples),
        lived.authority,
        Shown::open(
            "sizes and times are measured by `cargo xtask bench`, garbage by `cargo xtask fuzz`",
        ),
        declared::examples(house, engine),
    ];
    Ok(all.into_iter().zip(1..).map(|(shown, number)| shown.row(number)).collect())
}

fn to_json(engine: &dyn AnyEngine, rows: &[Row]) -> Value {
    let one = |r: &Row| serde_json::json!({"row": r.number, "title": r.title, "standing": r.standing.word(), "detail": r.detail});
    serde_json::json!({"engine": engine.name(), "rows": rows.iter().map(one).collect::<Vec<_>>()})
}

fn print(screen: &mut Screen<'_>, engine: &dyn AnyEngine, rows: &[Row]) -> Result<(), Stop> {
    for row in rows {
        let tone = match row.standing {
            Standing::Yes => Tone::Good,
            Standing::No => Tone::Bad,
            Standing::NotYet => Tone::Note,
        };
        let word = format!("{:>2} {:<8}", row.number, row.standing.word());
        screen.toned(tone, &word, row.title)?;
        screen.line(&format!("            {}", row.detail))?;
    }
    let count = |s: Standing| rows.iter().filter(|r| r.standing == s).count();
    screen.line(&format!(
        "{}: {} yes, {} no, {} not yet",
        engine.name(),
        count(Standing::Yes),
        count(Standing::No),
        count(Standing::NotYet)
    ))
}
