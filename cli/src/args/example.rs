//! An operation's example as the command line that asks for it.

use crate::args::fields::flag;
use crate::table::{cell, width};
use vm_contracts::{Field, Kind, Spec, Value};

/// Columns that an example's lines keep within where they can be broken.
const COLUMNS_MAX: usize = 78;

/// The words of `vm <engine> <verb> --flag value …`; a flag and its value stand together.
fn groups(engine: &str, spec: &Spec, intent: &str) -> Vec<Vec<String>> {
    let mut groups = vec![vec!["vm".to_owned(), engine.to_owned(), spec.verb.to_owned()]];
    let example: Value = serde_json::from_str(intent).unwrap_or(Value::Null);
    for field in spec.fields.iter().filter(|f| f.is_input()) {
        let Some(value) = example.get(field.name) else { continue };
        let name = format!("--{}", flag(field));
        match (&field.kind, value) {
            (Kind::Bool, Value::Bool(true)) => groups.push(vec![name]),
            (Kind::Bool, other) => groups.push(vec![format!("{name}={other}")]),
            (Kind::TextList(..), Value::Array(items)) => {
                groups.extend(items.iter().map(|item| given(&name, cell(item))));
            }
            (Kind::List(_, inner), list) => groups.push(given(&name, objects(inner, list))),
            (_, value) => groups.push(given(&name, cell(value))),
        }
    }
    groups
}

/// A list of objects as JSON, one object a line, its members in the order of their declaration.
fn objects(inner: &[Field], list: &Value) -> String {
    let object = |item: &Value| {
        let members = inner.iter().filter_map(|f| {
            let value = item.get(f.name)?;
            Some(format!("{}:{value}", Value::from(f.name)))
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    };
    let items: Vec<String> = list.as_array().into_iter().flatten().map(object).collect();
    format!("[\n{}\n]", items.join(",\n"))
}

/// A text that begins with a dash would be read as a flag, so it is tied to its own.
fn given(name: &str, value: String) -> Vec<String> {
    match value.starts_with('-') {
        true => vec![format!("{name}={value}")],
        false => vec![name.to_owned(), value],
    }
}

/// The words of the example, as a program is started with them.
pub fn words(engine: &str, spec: &Spec) -> Vec<String> {
    groups(engine, spec, spec.example).concat()
}

/// The example as a person types it: quoted for a shell, broken with backslashes where it is long.
pub fn command_line(engine: &str, spec: &Spec, indent: &str) -> String {
    command_line_of(engine, spec, spec.example, indent)
}

/// Any intent, given as JSON, as a person types it.
pub fn command_line_of(engine: &str, spec: &Spec, intent: &str, indent: &str) -> String {
    let mut text = indent.to_owned();
    let mut used = width(indent);
    for (n, group) in groups(engine, spec, intent).into_iter().enumerate() {
        let group = group.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ");
        // A line end inside quotation marks is white space between the objects of a list.
        let group = group.replace('\n', &format!("\n{indent}    "));
        let first = group.lines().next().map_or(0, width);
        let long = used + 1 + first > COLUMNS_MAX;
        if n > 0 && long {
            text.push_str(&format!(" \\\n{indent}  "));
            used = width(indent) + 2;
        } else if n > 0 {
            text.push(' ');
            used += 1;
        }
        used = match group.lines().skip(1).last() {
            Some(last) => width(last),
            None => used + first,
        };
        text.push_str(&group);
    }
    text
}

/// A word as a POSIX shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/@%+=".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        assert_eq!(quoted("assets:cash"), "assets:cash");
        assert_eq!(quoted("two words"), "'two words'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn objects_of_a_list_stand_on_lines_of_their_own_and_read_as_one_value() {
        static INNER: &[Field] =
            &[Field::new("to", Kind::Text(9), "To."), Field::new("n", Kind::Integer(0, 9), "N.")];
        static SPEC: Spec = Spec {
            verb: "do",
            about: "Do.",
            needs: "toy.do",
            types: &[],
            fields: &[Field::new("parts", Kind::List(2, INNER), "Parts.")],
            example: r#"{"parts":[{"to":"a","n":1},{"to":"b","n":2}]}"#,
        };
        let want =
            "vm toy do --parts '[\n    {\"to\":\"a\",\"n\":1},\n    {\"to\":\"b\",\"n\":2}\n    ]'";
        assert_eq!(command_line("toy", &SPEC, ""), want);
        let value: Value = serde_json::from_str(&words("toy", &SPEC)[4]).unwrap();
        assert_eq!(value[1], serde_json::json!({"to": "b", "n": 2}));
    }

    #[test]
    fn a_long_example_is_broken_between_flags() {
        static SPEC: Spec = Spec {
            verb: "do",
            about: "Do.",
            needs: "toy.do",
            types: &[],
            fields: &[
                Field::new("one", Kind::Text(99), "One."),
                Field::new("two", Kind::Decimal(2), "Two."),
                Field::new("open", Kind::Bool, "Open."),
            ],
            example: r#"{"one":"aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa","two":"-1","open":false}"#,
        };
        let text = command_line("toy", &SPEC, "  ");
        let long = "a".repeat(10);
        let one = [long.as_str(); 5].join(" ");
        assert_eq!(text, format!("  vm toy do --one '{one}' \\\n    --two=-1 --open=false"));
        assert_eq!(
            words("toy", &SPEC)[3..],
            ["--one".to_owned(), one, "--two=-1".into(), "--open=false".into()]
        );
    }
}
