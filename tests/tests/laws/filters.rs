//! Each declared filter finds its receipts and no others: the query language against plain reading of the lines.

use crate::bench::{Bench, engines};
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use vaultmesh::args::query::schema;
use vm_contracts::{AnyEngine, Kind, Line};
use vm_scrolls::query::{self, Query};
use vm_tests::toy::TOY;
use vm_tests::world::{Dice, many, note, seed};

/// Random queries over each scroll.
const QUERIES: usize = 1_500;
const SIGNS: [&str; 7] = ["=", "!=", "<", "<=", ">", ">=", "^="];

/// One comparison, as a person would check it by hand.
#[derive(Clone, Debug)]
struct Wanted {
    name: String,
    kind: &'static str,
    sign: &'static str,
    value: String,
}

impl Wanted {
    fn text(&self) -> String {
        let quoted = self.value.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{}{}\"{quoted}\"", self.name, self.sign)
    }

    fn allowed(&self) -> bool {
        match self.kind {
            "text" | "list" => matches!(self.sign, "=" | "!=" | "^="),
            "bool" => matches!(self.sign, "=" | "!="),
            _ => self.sign != "^=",
        }
    }

    fn fits(&self, line: &Line) -> bool {
        let whole = serde_json::json!({
            "type": line.kind, "op": line.op, "id": line.id, "actor": line.actor, "seq": line.seq,
            "at": line.at.to_string(), "tag": line.tags, "end": line.end.word(),
        });
        let found = match self.name.strip_prefix("body.") {
            Some(name) => line.body.get(name).cloned().unwrap_or(Value::Null),
            None => whole[&self.name].clone(),
        };
        match (self.kind, &found) {
            (_, Value::Null) => false,
            ("list", Value::Array(items)) => {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                match self.sign {
                    "=" => texts.contains(&self.value.as_str()),
                    "!=" => !texts.contains(&self.value.as_str()),
                    _ => texts.iter().any(|t| t.starts_with(&self.value)),
                }
            }
            ("text", Value::String(text)) if self.sign == "^=" => text.starts_with(&self.value),
            ("text" | "time", Value::String(text)) => self.accepts(text.as_str().cmp(&self.value)),
            ("integer" | "decimal", number) => {
                let shown = number.as_str().map_or_else(|| number.to_string(), str::to_owned);
                self.accepts(scaled(&shown).cmp(&scaled(&self.value)))
            }
            ("bool", Value::Bool(yes)) => self.accepts(yes.to_string().cmp(&self.value)),
            _ => false,
        }
    }

    fn accepts(&self, order: Ordering) -> bool {
        match self.sign {
            "=" => order.is_eq(),
            "!=" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            _ => order.is_ge(),
        }
    }
}

/// A decimal as an integer of twelve decimals: enough for what the stories hold.
fn scaled(text: &str) -> i128 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let joined = format!("{whole}{part:0<12}");
    sign * joined.parse::<i128>().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Names that may be filtered by, with their kind and the values that the lines hold.
fn names(engine: &dyn AnyEngine, lines: &[Line]) -> Vec<(String, &'static str, Vec<String>)> {
    let mut names: Vec<(String, &'static str, Vec<String>)> = Vec::new();
    let of = |read: &dyn Fn(&Line) -> Vec<String>| -> Vec<String> {
        lines.iter().flat_map(read).collect::<BTreeSet<_>>().into_iter().collect()
    };
    names.push(("type".into(), "text", of(&|l| vec![l.kind.clone()])));
    names.push(("op".into(), "text", of(&|l| vec![l.op.clone()])));
    names.push(("id".into(), "text", of(&|l| vec![l.id.clone()])));
    names.push(("actor".into(), "text", of(&|l| vec![l.actor.clone()])));
    names.push(("tag".into(), "list", of(&|l| l.tags.clone())));
    names.push(("seq".into(), "integer", of(&|l| vec![l.seq.to_string()])));
    names.push(("at".into(), "time", of(&|l| vec![l.at.to_string()])));
    for field in engine.filters() {
        let kind = match field.kind {
            Kind::Integer(..) => "integer",
            Kind::Decimal(_) => "decimal",
            Kind::Time => "time",
            Kind::Bool => "bool",
            Kind::TextList(..) => "list",
            _ => "text",
        };
        let read = |line: &Line| match line.body.get(field.name) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(other) => vec![other.to_string()],
            None => Vec::new(),
        };
        names.push((format!("body.{}", field.name), kind, of(&read)));
    }
    names.retain(|(_, _, values)| !values.is_empty());
    names
}

fn agrees(engine: &dyn AnyEngine, lines: &[Line], filters: &[Wanted]) -> usize {
    let text: Vec<String> = filters.iter().map(Wanted::text).collect();
    let text = format!("{} limit=10000", text.join(" "));
    let schema = schema(Some(engine));
    let parsed = Query::parse(&schema, &text);
    if !filters.iter().all(Wanted::allowed) {
        assert!(parsed.is_err(), "{text} was accepted");
        return 0;
    }
    let query = parsed.unwrap_or_else(|e| panic!("{text}: {e}"));
    let page = query::run(lines.iter(), &query).unwrap_or_else(|e| panic!("{text}: {e}"));
    let found: Vec<u64> = page.lines.iter().map(|l| l.seq).collect();
    let wanted: Vec<u64> =
        lines.iter().filter(|l| filters.iter().all(|f| f.fits(l))).map(|l| l.seq).collect();
    assert_eq!(found, wanted, "{text}");
    found.len()
}

fn told() -> Bench {
    let bench = Bench::told();
    let mut dice = Dice::of(seed(), &[3]);
    let words = ["", "a", "ab", "abc", "b c", "grüße", "quote\"d", "back\\slash", "\u{1f980}"];
    for n in 0..120 {
        let mut call = note(&format!("q-{n}"), words[dice.below(words.len())]);
        if dice.below(2) == 0 {
            call.intent.insert("n".into(), json!(dice.below(7) as i64 - 3));
        }
        call.tags = (0..dice.below(3)).map(|t| format!("t{t}")).collect();
        bench.submit(call).expect("notes are accepted");
    }
    bench.submit(many("q-many", "ab", 5)).expect("many are accepted");
    bench
}

#[test]
fn each_filter_finds_its_receipts_and_no_others() {
    let bench = told();
    let mut dice = Dice::of(seed(), &[4]);
    for engine in engines() {
        let lines = bench.lines(*engine);
        let names = names(*engine, &lines);
        let declared = engine.filters().len();
        let reached = names.iter().filter(|(name, _, _)| name.starts_with("body.")).count();
        println!(
            "{}: {reached} of {declared} declared filters have values in the story",
            engine.name()
        );
        let mut found = 0;
        // Every name with every sign and one of its values, then random pairs.
        for (name, kind, values) in &names {
            for sign in SIGNS {
                let value = values[dice.below(values.len())].clone();
                found +=
                    agrees(*engine, &lines, &[Wanted { name: name.clone(), kind, sign, value }]);
            }
        }
        for _ in 0..QUERIES {
            let filters: Vec<Wanted> = (0..=dice.below(3))
                .map(|_| {
                    let (name, kind, values) = &names[dice.below(names.len())];
                    let mut value = values[dice.below(values.len())].clone();
                    let sign = SIGNS[dice.below(SIGNS.len())];
                    if sign == "^=" && matches!(*kind, "text" | "list") {
                        value = value.chars().take(dice.below(4)).collect();
                    }
                    Wanted { name: name.clone(), kind, sign, value }
                })
                .collect();
            found += agrees(*engine, &lines, &filters);
        }
        assert!(found > lines.len(), "{}: hardly anything was found", engine.name());
    }
}

#[test]
fn pages_joined_are_the_whole_answer_in_both_orders() {
    let bench = told();
    let lines = bench.lines(&TOY);
    let schema = schema(Some(&TOY));
    for order in ["asc", "desc"] {
        let mut ordered: Vec<&Line> = lines.iter().collect();
        if order == "desc" {
            ordered.reverse();
        }
        let whole =
            Query::parse(&schema, &format!("body.text^=a order={order} limit=10000")).unwrap();
        let whole: Vec<u64> = query::run(ordered.iter().copied(), &whole)
            .unwrap()
            .lines
            .iter()
            .map(|l| l.seq)
            .collect();
        let mut joined = Vec::new();
        let mut cursor = String::new();
        loop {
            let text = format!("body.text^=a order={order} limit=7{cursor}");
            let page = query::run(ordered.iter().copied(), &Query::parse(&schema, &text).unwrap())
                .unwrap();
            joined.extend(page.lines.iter().map(|l| l.seq));
            match page.next {
                Some(next) => cursor = format!(" cursor={next}"),
                None => break,
            }
        }
        assert_eq!(joined, whole);
        assert!(whole.len() > 20);
    }
}
