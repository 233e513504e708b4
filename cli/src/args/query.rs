//! Query flags, generated from the declared filters, and the query they ask for.

use crate::args::fields::{flag, limits, sentence};
use crate::exit::Stop;
use crate::suggest::nearest;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use vm_contracts::{AnyEngine, Field, Kind, Refusal};
pub use vm_ledger::shelf::schema;
use vm_scrolls::query::{Cursor, Filter, LIMIT_DEFAULT, LIMIT_MAX, Op, Order, Query};

/// Envelope fields that are flags of every query: name, value name, help.
const ENVELOPE: [(&str, &str, &str); 11] = [
    ("type", "TYPE", "Receipt type"),
    ("op", "OP", "Operation that made the receipt, such as treasury.transfer"),
    ("id", "ID", "Id of the call"),
    ("actor", "ACTOR", "Who asked"),
    ("tag", "TAG", "A tag of the receipt; repeatable, all must be there"),
    ("end", "END", "How the call ended: completed or aborted"),
    ("from", "TIME", "Sealed at this time or later"),
    ("to", "TIME", "Sealed before this time"),
    ("effective_from", "TIME", "In effect at this time or later"),
    ("effective_to", "TIME", "In effect before this time"),
    ("seq", "INTEGER", "Sequence number"),
];

/// The comparisons of a kind that have flags: what stands behind the name, and what it means.
fn endings(kind: &Kind) -> &'static [(&'static str, Op, &'static str)] {
    match kind {
        Kind::Integer(..) | Kind::Decimal(_) => {
            &[("", Op::Eq, ""), ("-min", Op::Ge, "at least"), ("-max", Op::Le, "at most")]
        }
        Kind::Time => &[("", Op::Eq, ""), ("-from", Op::Ge, "from"), ("-to", Op::Lt, "before")],
        Kind::List(..) | Kind::Document(_) | Kind::Documents(..) => &[],
        _ => &[("", Op::Eq, "")],
    }
}

/// Flag of a filter, without dashes; the envelope's own names come first.
fn filter_flag(field: &Field) -> String {
    let paging = ["order", "limit", "cursor", "private"].contains(&field.name);
    let own = paging || ENVELOPE.iter().any(|(name, ..)| *name == field.name);
    if own { format!("field-{}", field.flag()) } else { flag(field) }
}

fn filter_id(field: &Field, ending: &str) -> String {
    format!("filter:{}{ending}", field.name)
}

/// What a filter compares with. What stands behind a semicolon is about giving the field, not about finding it.
fn filter_help(field: &Field, word: &str) -> String {
    let about = sentence(field.about.split(';').next().unwrap_or(field.about));
    match (&field.kind, word) {
        (Kind::Choice(_), _) => format!("{about} [{}]", limits(&field.kind)),
        (_, "") => about,
        (_, word) => format!("{about} ({word})"),
    }
}

/// A list is asked for by one of its items: `--technique` beside `--techniques`.
fn one_of(engine: &dyn AnyEngine, field: &Field) -> Option<String> {
    let singular =
        field.name.strip_suffix('s').filter(|_| matches!(field.kind, Kind::TextList(..)))?;
    let taken = engine.filters().iter().any(|f| f.name == singular)
        || ENVELOPE.iter().any(|(name, ..)| *name == singular);
    (!taken).then(|| singular.replace('_', "-"))
}

/// Arguments of `vm <engine> query`.
pub fn args(engine: &'static dyn AnyEngine) -> Vec<Arg> {
    let mut all = Vec::new();
    for field in engine.filters() {
        for (ending, _, word) in endings(&field.kind) {
            let help = filter_help(field, word);
            let arg = Arg::new(filter_id(field, ending))
                .long(format!("{}{ending}", filter_flag(field)))
                .value_name("VALUE")
                .help(help)
                .help_heading("Filters of this scroll")
                .allow_negative_numbers(true)
                .action(ArgAction::Append);
            all.push(match one_of(engine, field) {
                Some(singular) => arg.visible_alias(singular),
                None => arg,
            });
        }
    }
    all.extend(ENVELOPE.iter().map(|(name, value, help)| {
        Arg::new(*name)
            .long(name.replace('_', "-"))
            .value_name(*value)
            .help(*help)
            .help_heading("Filters of every scroll")
            .action(ArgAction::Append)
    }));
    all.extend(paging());
    all.push(private());
    all.push(text_arg());
    all
}

/// `--private`: the owner's view.
pub fn private() -> Arg {
    Arg::new("private")
        .long("private")
        .action(ArgAction::SetTrue)
        .help("Show private values too, as far as this home can open them")
}

/// Order, limit and cursor.
pub fn paging() -> Vec<Arg> {
    vec![
        Arg::new("order")
            .long("order")
            .value_name("ORDER")
            .value_parser(["asc", "desc"])
            .help("Oldest or newest first [default: asc]"),
        Arg::new("limit")
            .long("limit")
            .value_name("COUNT")
            .value_parser(value_parser!(u64).range(1..=LIMIT_MAX as u64))
            .help(format!(
                "Most receipts to print [default: {LIMIT_DEFAULT}, at most {LIMIT_MAX}]"
            )),
        Arg::new("cursor")
            .long("cursor")
            .value_name("CURSOR")
            .help("Where the page before ended; it is printed there"),
    ]
}

/// The query as text, such as `account^=assets: amount>=10`.
pub fn text_arg() -> Arg {
    Arg::new("text")
        .value_name("QUERY")
        .num_args(0..)
        .help("Conditions such as account^=assets: amount>=10 from=2026-01-01; all must hold")
}

/// The query that text and flags ask for together.
pub fn query(engine: Option<&'static dyn AnyEngine>, given: &ArgMatches) -> Result<Query, Stop> {
    let schema = schema(engine);
    let words: Vec<&str> =
        given.get_many::<String>("text").unwrap_or_default().map(String::as_str).collect();
    let mut query = Query::parse(&schema, &words.join(" "))?;
    for (name, ..) in ENVELOPE {
        for value in many(given, name) {
            if let (Some(engine), "type") = (engine, name) {
                known(name, value, &engine.types())?;
            }
            query.filters.push(Filter::new(&schema, name, Op::Eq, value)?);
        }
    }
    for field in engine.map(AnyEngine::filters).unwrap_or_default() {
        for (ending, op, _) in endings(&field.kind) {
            for value in many(given, &filter_id(field, ending)) {
                if let (Some(engine), Kind::Choice(_)) = (engine, &field.kind) {
                    known(field.name, value, &choices(engine, field.name))?;
                }
                query.filters.push(Filter::new(
                    &schema,
                    &format!("body.{}", field.name),
                    *op,
                    value,
                )?);
            }
        }
    }
    if let Some(order) = given.get_one::<String>("order") {
        query.order = if order == "desc" { Order::Desc } else { Order::Asc };
    }
    if let Some(limit) = given.get_one::<u64>("limit") {
        query.limit = usize::try_from(*limit).unwrap_or(LIMIT_MAX);
    }
    if let Some(cursor) = given.get_one::<String>("cursor") {
        query.cursor = Some(Cursor::parse(cursor)?);
    }
    Ok(query)
}

/// Every word that some operation declares for a field.
fn choices(engine: &dyn AnyEngine, name: &str) -> Vec<&'static str> {
    let fields = engine.operations().into_iter().flat_map(|spec| spec.fields);
    let of_name = fields.filter(|f| f.name == name);
    of_name
        .flat_map(|f| if let Kind::Choice(words) = f.kind { words } else { &[] })
        .copied()
        .collect()
}

/// Refuses a word that no receipt can have: an empty answer would be taken for there being none.
fn known(name: &str, value: &str, words: &[&'static str]) -> Result<(), Refusal> {
    if words.contains(&value) || name == "type" && value.starts_with("ledger_") {
        return Ok(());
    }
    let mut listed: Vec<&str> = words.to_vec();
    listed.sort_unstable();
    listed.dedup();
    let guess = nearest(value, listed.iter().copied())
        .map_or(String::new(), |near| format!("Did you mean {near}? "));
    let what = format!("no receipt has {value:?} as its {name}");
    let refusal = Refusal::malformed("query_bad_value", what).field(name);
    Err(refusal.hint(format!("{guess}It is one of {}.", listed.join(", "))))
}

/// Values of an argument that a command may not have.
fn many<'a>(given: &'a ArgMatches, id: &str) -> Vec<&'a String> {
    given.try_get_many::<String>(id).ok().flatten().unwrap_or_default().collect()
}
