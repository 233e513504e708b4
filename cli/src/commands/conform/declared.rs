//! Rows that the declarations alone decide.

use crate::args::{self, example, fields};
use crate::commands::conform::Shown;
use crate::commands::conform::scratch::example as intent_of;
use crate::screen::Screen;
use crate::session::House;
use vm_contracts::{AnyEngine, Field, Kind, Map, Presence, Spec, Value, edge};

fn specs(engine: &dyn AnyEngine) -> Vec<&'static Spec> {
    engine.operations().into_iter().chain(engine.reports()).collect()
}

/// Row 1: every verb has its command, with a flag for each field.
pub fn entrypoint(house: House, engine: &'static dyn AnyEngine) -> Shown {
    let tree = args::build(house);
    let mut shown = Shown::open("HTTP and MCP");
    let mut flags = 0;
    for spec in specs(engine) {
        let command =
            tree.find_subcommand(engine.name()).and_then(|c| c.find_subcommand(spec.verb));
        for field in spec.fields.iter().filter(|f| f.is_input()) {
            let id = fields::arg_id(field.name);
            let there = command.is_some_and(|c| c.get_arguments().any(|a| *a.get_id() == *id));
            flags += 1;
            if !there {
                shown.wrong.push(format!("{} has no flag for {}", spec.verb, field.name));
            }
        }
        if command.is_none() {
            shown.wrong.push(format!("{} has no command", spec.verb));
        }
    }
    const WORDS: [&str; 4] = ["plan", "run", "complete-stage", "seal"];
    let own = tree.find_subcommand(engine.name());
    for word in WORDS {
        if own.is_none_or(|c| c.find_subcommand(word).is_none()) {
            shown.wrong.push(format!("there is no {word}"));
        }
    }
    shown.held.push(format!("command line: {} verbs with {flags} flags", specs(engine).len()));
    shown.held.push(format!("step by step: {}", WORDS.join(", ")));
    shown
}

/// Row 2: each field missing, unknown, of the wrong type or oversize is refused under its name.
pub fn intent(engine: &dyn AnyEngine) -> Shown {
    let mut shown = Shown::default();
    let mut tried = 0;
    for spec in specs(engine) {
        let good = intent_of(spec);
        if let Err(e) = edge::admit(spec, &good) {
            shown.wrong.push(format!("the example of {} is refused: {e}", spec.verb));
            continue;
        }
        for (what, bad, field, codes) in bad_intents(spec, &good) {
            tried += 1;
            let refused = edge::admit(spec, &bad).err();
            let right = refused.is_some_and(|r| {
                codes.contains(&r.code.as_str()) && names(r.field.as_deref(), &field)
            });
            if !right {
                shown.wrong.push(format!("{}: {what} is not refused under its name", spec.verb));
            }
        }
    }
    shown.held.push(format!(
        "{tried} bad intents refused, each under its field, before anything is opened"
    ));
    shown
}

/// The field itself, or something inside it.
fn names(found: Option<&str>, field: &str) -> bool {
    found.is_some_and(|f| {
        f == field || f.strip_prefix(field).is_some_and(|rest| rest.starts_with('['))
    })
}

type Bad = (String, Map<String, Value>, String, &'static [&'static str]);

fn bad_intents(spec: &Spec, good: &Map<String, Value>) -> Vec<Bad> {
    let mut all: Vec<Bad> = Vec::new();
    let mut add =
        |what: String, name: &str, value: Option<Value>, codes: &'static [&'static str]| {
            let mut bad = good.clone();
            match value {
                Some(value) => bad.insert(name.to_owned(), value),
                None => bad.remove(name),
            };
            all.push((what, bad, name.to_owned(), codes));
        };
    add("an unknown field".into(), "no_such_field", Some(Value::from(1)), &["unknown_field"]);
    for field in spec.fields {
        let name = field.name;
        if !field.is_input() {
            add(
                format!("{name} given although worked out"),
                name,
                Some(Value::from("1")),
                &["unknown_field"],
            );
            continue;
        }
        if field.presence == Presence::Required {
            add(format!("{name} missing"), name, None, &["missing_field"]);
        }
        add(
            format!("{name} of the wrong type"),
            name,
            Some(Value::from(Map::new())),
            &["wrong_type"],
        );
        for (what, value) in beyond(field) {
            add(format!("{name} {what}"), name, Some(value), &["wrong_type", "too_large"]);
        }
    }
    all
}

/// Values just outside a kind.
fn beyond(field: &Field) -> Vec<(&'static str, Value)> {
    let control = || ("with a control character", Value::from("a\u{1}b"));
    match field.kind {
        Kind::Text(max) => vec![("oversize", Value::from("x".repeat(max + 1))), control()],
        Kind::Name(max) => {
            vec![
                ("oversize", Value::from("x".repeat(max + 1))),
                ("empty", Value::from("")),
                control(),
            ]
        }
        Kind::Integer(min, max) => {
            let below = min.checked_sub(1).map(|n| ("below its range", Value::from(n)));
            let above = max.checked_add(1).map(|n| ("above its range", Value::from(n)));
            below.into_iter().chain(above).collect()
        }
        Kind::Decimal(scale) => {
            let fine = format!("0.{}1", "0".repeat(usize::from(scale)));
            vec![("with too many decimals", Value::from(fine)), ("in letters", Value::from("ten"))]
        }
        Kind::Time => vec![("that is no time", Value::from("soon"))],
        Kind::Bool => vec![("in letters", Value::from("maybe"))],
        Kind::Choice(_) => vec![("of another word", Value::from("\u{2603}"))],
        Kind::TextList(most, _) => vec![("with too many items", Value::from(vec!["x"; most + 1]))],
        Kind::List(most, _) => {
            vec![("with too many items", Value::from(vec![Map::new(); most + 1]))]
        }
        Kind::Document(max) => vec![("oversize", Value::from("x".repeat(max + 1))), control()],
        Kind::Documents(most, _) => {
            vec![("with too many items", Value::from(vec!["x"; most + 1]))]
        }
    }
}

/// Row 13: which formats there are, beside what the given files showed.
pub fn formats(engine: &dyn AnyEngine, mut shown: Shown) -> Shown {
    let reads: Vec<&str> = engine.imports().iter().map(|i| i.0).collect();
    let writes: Vec<&str> = engine.exports().iter().map(|e| e.0).collect();
    if !reads.is_empty() || !writes.is_empty() {
        let listed = |names: &[&str]| match names {
            [] => "nothing".to_owned(),
            names => names.join(", "),
        };
        shown.held.push(format!("reads {}; writes {}", listed(&reads), listed(&writes)));
    }
    shown
}

/// Row 16: the example as a command line parses to the example as JSON.
pub fn examples(house: House, engine: &'static dyn AnyEngine) -> Shown {
    let mut shown = Shown::default();
    for spec in specs(engine) {
        let words = example::words(engine.name(), spec);
        let same = args::build(house).try_get_matches_from(&words).ok().and_then(|given| {
            let (_, given) = given.subcommand()?;
            let (_, given) = given.subcommand()?;
            let (mut out, mut err, mut input) =
                (std::io::sink(), std::io::sink(), std::io::empty());
            let mut screen = Screen {
                out: &mut out,
                err: &mut err,
                input: &mut input,
                colour: false,
                live: false,
                json: false,
                paths: Default::default(),
            };
            let intent = fields::intent(spec, given, &mut screen).ok()?;
            Some(edge::admit(spec, &intent).ok()? == edge::admit(spec, &intent_of(spec)).ok()?)
        });
        if same != Some(true) {
            shown.wrong.push(format!(
                "the example of {} is not what its command line asks for",
                spec.verb
            ));
        }
    }
    shown.held.push(format!("{} examples parse to what they say", specs(engine).len()));
    shown
}
