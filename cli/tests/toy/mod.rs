//! A small engine for the tests of the surface: one operation, one report, one format in and out.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses its part, and may stop there"
)]

pub mod work;

use serde::Deserialize;
use std::ffi::OsString;
use std::path::Path;
use vaultmesh::screen::Screen;
use vaultmesh::session::House;
use vm_contracts::{
    AnyEngine, AnyReport, Asked, Draft, Engine, Export, Exporter, Failure, Field, History, Hosted,
    Import, Importer, Kind, Line, Map, Operations, Planned, Record, Refusal, Report, Source, Spec,
    Table, Value,
};

pub struct Toy;

#[derive(Default)]
pub struct Shelf {
    sums: Table<String, i64>,
}

impl vm_contracts::Projection for Shelf {
    const FOLD_VERSION: u32 = 1;
    fn parts(&mut self, visit: &mut dyn FnMut(&'static str, &mut dyn vm_contracts::Part)) {
        visit("sums", &mut self.sums);
    }
}

static PUT: Spec = Spec {
    verb: "put",
    about: "Put things on a shelf.",
    needs: "toy.put",
    types: &["toy_put"],
    fields: &[
        Field::new("shelf", Kind::Name(16), "Which shelf.").filter(),
        Field::new("count", Kind::Integer(1, 1_000), "How many things.").filter(),
        Field::new("weight_kg", Kind::Decimal(3), "How heavy together.").filter().optional(),
        Field::new("day", Kind::Time, "When it was brought.").filter().optional(),
        Field::new("fragile", Kind::Bool, "Whether they break.").filter().optional(),
        Field::new("labels", Kind::TextList(4, 16), "Words on the things.").filter().optional(),
    ],
    example: r#"{"shelf":"top left","count":3,"weight_kg":"1.500","fragile":true,"labels":["blue","old"]}"#,
};

static TOTAL: Spec = Spec {
    verb: "total",
    about: "Count the things on each shelf.",
    needs: "toy.read",
    types: &[],
    fields: &[
        Field::new("shelf", Kind::Name(16), "Only this shelf.").optional(),
        Field::new("things", Kind::Integer(0, i64::MAX), "How many there are.").computed(),
    ],
    example: r#"{"shelf":"top left"}"#,
};

#[derive(Deserialize)]
pub struct Put {
    shelf: String,
    count: i64,
    weight_kg: Option<String>,
    day: Option<String>,
    fragile: Option<bool>,
    labels: Option<Vec<String>>,
}

struct PutOperation;

impl Record for PutOperation {
    type State = Shelf;
    type Fact = Put;
    fn spec(&self) -> &'static Spec {
        &PUT
    }
    fn check(&self, state: &Shelf, put: Put, _asked: Asked<'_>) -> Result<Vec<Draft>, Refusal> {
        let there = state.sums.get(&put.shelf).unwrap_or(0);
        if there + put.count > 1_000 {
            return Err(Refusal::invariant(
                "shelf_full",
                format!("the shelf {:?} has {there} things", put.shelf),
            ));
        }
        let fields = [
            ("shelf", Some(Value::from(put.shelf))),
            ("count", Some(Value::from(put.count))),
            ("weight_kg", put.weight_kg.map(Value::from)),
            ("day", put.day.map(Value::from)),
            ("fragile", put.fragile.map(Value::from)),
            ("labels", put.labels.map(Value::from)),
        ];
        let body = fields.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?)));
        Ok(vec![Draft::new("toy_put", body.collect())])
    }
}

#[derive(Deserialize)]
struct Question {
    shelf: Option<String>,
}

struct TotalReport;

impl Report for TotalReport {
    type State = Shelf;
    type Question = Question;
    fn spec(&self) -> &'static Spec {
        &TOTAL
    }
    fn answer(
        &self,
        state: &Shelf,
        _: &mut dyn History,
        asked: Question,
    ) -> Result<Value, Failure> {
        let wanted = |name: &String| asked.shelf.as_ref().is_none_or(|s| s == name);
        let rows = state.sums.iter().filter(|(name, _)| wanted(name));
        Ok(rows
            .map(|(name, things)| serde_json::json!({"shelf": name, "things": things}))
            .collect())
    }
}

struct Lines;

impl Importer<Shelf> for Lines {
    fn format(&self) -> &'static str {
        "lines"
    }
    fn about(&self) -> &'static str {
        "shelf and count on each line"
    }
    fn endings(&self) -> &'static [&'static str] {
        &["toy"]
    }
    fn read(&self, _: &Shelf, source: Source<'_>) -> Result<Import, Refusal> {
        let text = String::from_utf8_lossy(source.bytes).into_owned();
        let mut import = Import::default();
        for (n, line) in text.lines().enumerate() {
            let place = format!("line {}", n + 1);
            let Some((shelf, count)) = line.split_once(' ') else {
                return Err(Refusal::malformed("bad_line", format!("{place}: no count")));
            };
            let count = count
                .parse::<i64>()
                .map_err(|e| Refusal::malformed("bad_line", format!("{place}: {e}")))?;
            let intent =
                serde_json::json!({"shelf": shelf, "count": count}).as_object().cloned().unwrap();
            import.calls.push(Planned {
                verb: "put",
                id: format!("toy-{n}"),
                intent,
                tags: vec![],
                place,
            });
        }
        Ok(import)
    }
}

struct Csv;

impl Exporter<Shelf> for Csv {
    fn format(&self) -> &'static str {
        "csv"
    }
    fn about(&self) -> &'static str {
        "shelf,things"
    }
    fn write(&self, state: &Shelf, _: &mut dyn History) -> Result<Export, Failure> {
        let text = state.sums.iter().map(|(name, things)| format!("{name},{things}\n")).collect();
        Ok(Export { text, notices: vec!["labels are not written".into()] })
    }
}

impl Engine for Toy {
    const NAME: &'static str = "toy";
    const SCROLL: &'static str = "toy";
    const PREFIX: &'static str = "toy_";
    const ABOUT: &'static str = "Things on shelves.";
    type State = Shelf;
    const OPERATIONS: &'static [Operations<Shelf>] = &[Operations::Record(&PutOperation)];
    const REPORTS: &'static [&'static dyn AnyReport<Shelf>] = &[&TotalReport];
    const IMPORTERS: &'static [&'static dyn Importer<Shelf>] = &[&Lines];
    const EXPORTERS: &'static [&'static dyn Exporter<Shelf>] = &[&Csv];
    fn fold(state: &mut Shelf, line: &Line) {
        let shelf = line.body.get("shelf").and_then(Value::as_str).unwrap_or_default().to_owned();
        let count = line.body.get("count").and_then(Value::as_i64).unwrap_or(0);
        let there = state.sums.get(&shelf).unwrap_or(0);
        state.sums.insert(shelf, there.saturating_add(count));
    }
}

/// The house of the tests.
pub static HOUSE: &[&dyn AnyEngine] = &[&Hosted::<Toy>::new(), &Hosted::<work::Work>::new()];

/// What a command line came to.
#[derive(Debug)]
pub struct Said {
    pub code: u8,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Standard output as one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// Runs `vm --home HOME words…` in this process, with the house of the tests.
pub fn vm(home: &Path, words: &[&str]) -> Said {
    vm_with(HOUSE, home, words, b"")
}

/// The same with another house and something on standard input.
pub fn vm_with(house: House, home: &Path, words: &[&str], mut input: &[u8]) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut all: Vec<OsString> = vec!["vm".into(), "--home".into(), home.into()];
    all.extend(words.iter().map(OsString::from));
    let screen = Screen {
        out: &mut out,
        err: &mut err,
        input: &mut input,
        colour: false,
        live: false,
        json: false,
        paths: Default::default(),
    };
    let code = vaultmesh::run(house, all, screen);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code, out: text(out), err: text(err) }
}

/// A fresh home with its guard beside it.
pub fn home() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let guard = dir.path().join("guard");
    let said = vm(
        &home,
        &["init", "--node", "n1", "--domain", "example.org", "--guard", guard.to_str().unwrap()],
    );
    assert_eq!(said.code, 0, "{said:?}");
    (dir, home)
}

/// An intent with one field more.
pub fn with(mut intent: Map<String, Value>, name: &str, value: Value) -> Map<String, Value> {
    intent.insert(name.into(), value);
    intent
}
