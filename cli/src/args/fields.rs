//! From declared fields to flags, and from flags back to an intent.

use crate::exit::Stop;
use crate::screen::Screen;
use crate::suggest::nearest;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches};
use vm_contracts::{Field, Kind, Map, Presence, Refusal, RefusalKind, Spec, Value};
use vm_receipts::json::parse_lenient_numbers;

/// Flags of every operation, stage and report; a field of that name gets `--field-<name>`.
pub const TAKEN: [&str; 14] = [
    "actor-key",
    "home",
    "json",
    "wait",
    "help",
    "version",
    "intent",
    "id",
    "tag",
    "batch",
    "at",
    "outputs",
    "private-outputs",
    "fields",
];

/// The flag of a field, without dashes.
pub fn flag(field: &Field) -> String {
    let flag = field.flag();
    if TAKEN.contains(&flag.as_str()) { format!("field-{flag}") } else { flag }
}

/// Id of a field's argument; the prefix keeps it apart from the arguments of the command itself.
pub fn arg_id(name: &str) -> String {
    format!("field:{name}")
}

/// One line of what values a kind takes, with its limits.
pub fn limits(kind: &Kind) -> String {
    match kind {
        Kind::Text(max) => format!("text, at most {max} bytes"),
        Kind::Name(max) => format!("name, 1 to {max} bytes"),
        Kind::Integer(i64::MIN, i64::MAX) => "integer".into(),
        Kind::Integer(min, max) => format!("integer, {min} to {max}"),
        Kind::Decimal(0) => "decimal number without decimals".into(),
        Kind::Decimal(scale) => format!("decimal number, at most {scale} decimals"),
        Kind::Time => "time such as 2026-01-31 or 2026-01-31T12:00:00Z".into(),
        Kind::Bool => "true or false".into(),
        Kind::Choice(words) => format!("one of {}", words.join(", ")),
        Kind::TextList(most, max) => {
            format!("up to {most} texts of at most {max} bytes; repeat the flag")
        }
        Kind::List(most, fields) => {
            let inner: Vec<String> =
                fields.iter().filter(|f| f.is_input()).map(inner_name).collect();
            format!("JSON list of up to {most} objects {{{}}}", inner.join(", "))
        }
        Kind::Document(max) => format!("path of a text file of at most {max} bytes, or -"),
        Kind::Documents(most, max) => {
            format!("paths of up to {most} text files of at most {max} bytes; repeat the flag")
        }
    }
}

fn inner_name(field: &Field) -> String {
    let mark = if field.presence == Presence::Optional { "?" } else { "" };
    format!("{}{mark}", field.name)
}

/// What help says behind a field's own line: limits, and how the value is kept.
pub fn remarks(field: &Field) -> String {
    let mut words = vec![limits(&field.kind)];
    match field.presence {
        Presence::Required => words.push("required".into()),
        Presence::Optional | Presence::Computed => {}
    }
    if field.secret {
        words.push("secret: kept nowhere".into());
    } else if field.hides() {
        words.push("private: only a salted digest stands in the receipt".into());
    } else if field.steering {
        words.push("not a field of the receipt".into());
    }
    words.join("; ")
}

/// A line of a table as it begins on a page: with a capital.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What stands for a value on a usage line.
pub fn value_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text(_) | Kind::TextList(..) => "TEXT",
        Kind::Name(_) => "NAME",
        Kind::Integer(..) => "INTEGER",
        Kind::Decimal(_) => "DECIMAL",
        Kind::Time => "TIME",
        Kind::Bool => "BOOL",
        Kind::Choice(_) => "WORD",
        Kind::List(..) => "JSON",
        Kind::Document(_) | Kind::Documents(..) => "FILE",
    }
}

/// The argument of a field. Whether it must be given is the edge's question, so that flags and JSON are refused alike.
pub fn arg(field: &'static Field) -> Arg {
    let arg = Arg::new(arg_id(field.name))
        .long(flag(field))
        .value_name(value_name(&field.kind))
        .help(format!("{} [{}]", sentence(field.about), remarks(field)));
    match field.kind {
        Kind::Bool => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        Kind::Choice(words) => {
            arg.value_parser(PossibleValuesParser::new(words)).hide_possible_values(true)
        }
        Kind::TextList(..) | Kind::Documents(..) => arg.action(ArgAction::Append),
        Kind::Integer(..) | Kind::Decimal(_) => arg.allow_negative_numbers(true),
        _ => arg,
    }
}

/// Flags of an operation or report: one for each field that may be given.
pub fn args(spec: &'static Spec) -> Vec<Arg> {
    spec.fields.iter().filter(|f| f.is_input()).map(arg).collect()
}

/// The usage line: required flags in full, the rest as `[OPTIONS]`.
pub fn usage(path: &str, spec: &Spec) -> String {
    let required = spec.fields.iter().filter(|f| f.presence == Presence::Required);
    let flags = required.map(|f| match f.kind {
        Kind::Bool => format!(" --{}", flag(f)),
        kind => format!(" --{} <{}>", flag(f), value_name(&kind)),
    });
    format!("{path} {}{} [OPTIONS]", spec.verb, flags.collect::<String>())
}

/// The intent that the flags or `--intent` give. Values keep their spelling; the edge checks them.
pub fn intent(
    spec: &'static Spec,
    given: &ArgMatches,
    screen: &mut Screen<'_>,
) -> Result<Map<String, Value>, Stop> {
    if let Some(path) = given.try_get_one::<String>("intent").ok().flatten() {
        return from_json(&screen.take_in(path)?, path);
    }
    given_fields(spec.fields, given, screen)
}

/// The fields that flags give.
pub fn given_fields<'a>(
    declared: impl IntoIterator<Item = &'a Field>,
    given: &ArgMatches,
    screen: &mut Screen<'_>,
) -> Result<Map<String, Value>, Stop> {
    let mut intent = Map::new();
    for field in declared.into_iter().filter(|f| f.is_input()) {
        let id = arg_id(field.name);
        if given.value_source(&id).is_none() {
            continue;
        }
        let texts: Vec<&String> = given.get_many::<String>(&id).unwrap_or_default().collect();
        if let Some(value) = value(field, &texts, screen)? {
            intent.insert(field.name.to_owned(), value);
        }
    }
    Ok(intent)
}

fn value(field: &Field, texts: &[&String], screen: &mut Screen<'_>) -> Result<Option<Value>, Stop> {
    let Some(last) = texts.last() else { return Ok(None) };
    let text = || Value::from(last.as_str());
    Ok(Some(match field.kind {
        Kind::Document(max) => document(field, last, max, screen)?,
        Kind::Documents(_, max) => {
            let read = texts.iter().map(|path| document(field, path, max, screen));
            Value::Array(read.collect::<Result<_, _>>()?)
        }
        Kind::TextList(..) => Value::from(texts.iter().map(|t| t.as_str()).collect::<Vec<_>>()),
        Kind::Bool => last.parse::<bool>().map_or_else(|_| text(), Value::from),
        Kind::Integer(..) => match parse_lenient_numbers(last.as_bytes()) {
            Ok(number @ Value::Number(_)) => number,
            _ => text(),
        },
        Kind::List(..) => parse_lenient_numbers(last.as_bytes()).map_err(|e| {
            let what = format!("--{} is not JSON: {e}", flag(field));
            Refusal::malformed(e.code(), what)
                .field(field.name)
                .hint(format!("It takes a {}.", limits(&field.kind)))
        })?,
        _ => text(),
    }))
}

/// The text of a file that a flag names. One byte more than may be is read, so that its length need not be asked.
fn document(field: &Field, path: &str, max: usize, screen: &mut Screen<'_>) -> Result<Value, Stop> {
    let most = u64::try_from(max).unwrap_or(u64::MAX);
    let bytes = screen.take_in_up_to(path, most)?.ok_or_else(|| {
        let what = format!("--{}: {path} is longer than {max} bytes", flag(field));
        Refusal::new("too_large", RefusalKind::TooLarge, what).field(field.name)
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Value::from(text)),
        Err(e) => {
            let at = e.utf8_error().valid_up_to();
            let what = format!("--{}: {path} is not UTF-8 text at byte {at}", flag(field));
            Err(Refusal::malformed("not_utf8", what)
                .field(field.name)
                .hint("It takes the path of a text file; save it as UTF-8.")
                .into())
        }
    }
}

/// Reads a whole intent from JSON text.
pub fn from_json(bytes: &[u8], path: &str) -> Result<Map<String, Value>, Stop> {
    let shown = if path == "-" { "standard input" } else { path };
    let value = parse_lenient_numbers(bytes).map_err(|e| {
        let refusal =
            Refusal::malformed(e.code(), format!("the intent in {shown} is not strict JSON: {e}"));
        match e.hint() {
            Some(hint) => refusal.hint(hint),
            None => refusal,
        }
    })?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(Refusal::malformed(
            "json_not_an_object",
            format!("the intent in {shown} is no object"),
        )
        .into()),
    }
}

/// Adds what an unknown field may have meant.
pub fn with_suggestion(spec: &Spec, refusal: Refusal) -> Refusal {
    suggest(spec.fields.iter(), refusal)
}

/// The same for any list of fields.
pub fn suggest<'a>(declared: impl Iterator<Item = &'a Field>, mut refusal: Refusal) -> Refusal {
    let known = declared.filter(|f| f.is_input()).map(|f| f.name);
    let near = refusal.field.as_deref().and_then(|f| nearest(f, known));
    if let (true, Some(near)) = (refusal.code == "unknown_field", near) {
        let rest = refusal.hint.take().unwrap_or_default();
        refusal.hint = Some(format!("Did you mean {near:?}? {rest}").trim_end().to_owned());
    }
    // What is missing inside a list has no flag of its own.
    let inside =
        refusal.field.as_deref().and_then(|f| Some((f.split_once('[')?.0, f.rsplit_once('.')?.1)));
    if let ("missing_field", Some((list, name))) = (refusal.code.as_str(), inside) {
        refusal.hint = Some(format!("Give {name:?} in each object of {list:?}."));
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Stop;
    use clap::Command;
    use serde_json::json;
    use vm_contracts::edge;

    static INNER: &[Field] = &[Field::new("n", Kind::Integer(0, 9), "A digit.")];
    static SPEC: Spec = Spec {
        verb: "do",
        about: "Do it.",
        needs: "toy.do",
        types: &["toy_done"],
        fields: &[
            Field::new("name", Kind::Name(8), "Who."),
            Field::new("count_max", Kind::Integer(-5, 5), "How many."),
            Field::new("amount", Kind::Decimal(2), "How much.").optional(),
            Field::new("open", Kind::Bool, "Whether.").optional(),
            Field::new("side", Kind::Choice(&["left", "right"]), "Where.").optional(),
            Field::new("words", Kind::TextList(3, 8), "What.").optional(),
            Field::new("parts", Kind::List(2, INNER), "Of what.").optional(),
            Field::new("id", Kind::Name(8), "A field that shares its name with a flag.").optional(),
            Field::new("total", Kind::Decimal(2), "Sum.").computed(),
        ],
        example: "{}",
    };

    fn parse(words: &[&str]) -> Result<Map<String, Value>, String> {
        let command = Command::new("do").args(args(&SPEC)).arg(Arg::new("intent").long("intent"));
        let given =
            command.try_get_matches_from([&["do"], words].concat()).map_err(|e| e.to_string())?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut input: &[u8] = br#"{"name":"x","count_max":3.0}"#;
        let mut screen = Screen {
            out: &mut out,
            err: &mut err,
            input: &mut input,
            colour: false,
            live: false,
            json: false,
            paths: Default::default(),
        };
        intent(&SPEC, &given, &mut screen).map_err(|e| match e {
            Stop::Failure(f) => format!("{} {f}", f.code()),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn every_kind_becomes_its_json() {
        let words = [
            "--name",
            "x",
            "--count-max",
            "-3",
            "--amount",
            "-1.50",
            "--open",
            "--side=left",
            "--words",
            "a",
            "--words",
            "b",
            "--parts",
            r#"[{"n":1}]"#,
            "--field-id",
            "y",
        ];
        let want = json!({"name": "x", "count_max": -3, "amount": "-1.50", "open": true, "side": "left",
            "words": ["a", "b"], "parts": [{"n": 1}], "id": "y"});
        assert_eq!(Value::Object(parse(&words).unwrap()), want);
        assert!(edge::admit(&SPEC, want.as_object().unwrap()).is_ok());
    }

    #[test]
    fn flags_and_json_give_the_same_intent() {
        let flags = parse(&["--name", "x", "--count-max", "3"]).unwrap();
        assert_eq!(parse(&["--intent", "-"]).unwrap(), flags);
    }

    #[test]
    fn what_is_no_number_reaches_the_edge_and_is_refused_there_by_name() {
        let intent = parse(&["--name", "x", "--count-max", "many"]).unwrap();
        let refused = edge::admit(&SPEC, &intent).unwrap_err();
        assert_eq!(
            (refused.code.as_str(), refused.field.as_deref()),
            ("wrong_type", Some("count_max"))
        );
    }

    #[test]
    fn a_computed_field_has_no_flag_and_a_misspelt_one_is_guessed() {
        assert!(parse(&["--total", "1"]).is_err());
        assert!(parse(&["--nmae", "x"]).unwrap_err().contains("--name"));
        let refused = edge::admit(&SPEC, json!({"nmae": "x"}).as_object().unwrap()).unwrap_err();
        assert!(
            with_suggestion(&SPEC, refused).hint.unwrap().starts_with("Did you mean \"name\"?")
        );
    }

    #[test]
    fn what_is_missing_in_a_list_is_told_without_a_flag_that_does_not_exist() {
        let intent = json!({"name": "x", "count_max": 1, "parts": [{}]});
        let refused = edge::admit(&SPEC, intent.as_object().unwrap()).unwrap_err();
        assert_eq!(
            with_suggestion(&SPEC, refused).hint.unwrap(),
            "Give \"n\" in each object of \"parts\"."
        );
    }

    #[test]
    fn broken_json_in_a_flag_names_its_field() {
        let refused = parse(&["--parts", "[{"]).unwrap_err();
        assert!(refused.starts_with("json_truncated --parts is not JSON"), "{refused}");
    }
}
