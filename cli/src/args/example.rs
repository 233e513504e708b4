//! An operation's example as the command line that asks for it.

use crate::args::fields::flag;
use crate::table::{cell, width};
use vm_contracts::{Kind, Spec, Value};

/// Columns that an example's lines keep within where they can be broken.
const COLUMNS_MAX: usize = 90;

/// The words of `vm <engine> <verb> --flag value …`; a flag and its value stand together.
fn groups(engine: &str, spec: &Spec) -> Vec<Vec<String>> {
    let mut groups = vec![vec!["vm".to_owned(), engine.to_owned(), spec.verb.to_owned()]];
    let example: Value = serde_json::from_str(spec.example).unwrap_or(Value::Null);
    for field in spec.fields.iter().filter(|f| f.is_input()) {
        let Some(value) = example.get(field.name) else { continue };
        let name = format!("--{}", flag(field));
        match (&field.kind, value) {
            (Kind::Bool, Value::Bool(true)) => groups.push(vec![name]),
            (Kind::Bool, other) => groups.push(vec![format!("{name}={other}")]),
            (Kind::TextList(..), Value::Array(items)) => {
                groups.extend(items.iter().map(|item| given(&name, cell(item))));
            }
            (Kind::List(..), list) => groups.push(given(&name, list.to_string())),
            (_, value) => groups.push(given(&name, cell(value))),
        }
    }
    groups
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
    groups(engine, spec).concat()
}

/// The example as a person types it: quoted for a shell, broken with backslashes where it is long.
pub fn command_line(engine: &str, spec: &Spec, indent: &str) -> String {
    let mut text = indent.to_owned();
    let mut used = width(indent);
    for (n, group) in groups(engine, spec).into_iter().enumerate() {
        let group = group.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ");
        let long = used + 1 + width(&group) > COLUMNS_MAX;
        if n > 0 && long {
            text.push_str(&format!(" \\\n{indent}  "));
            used = width(indent) + 2;
        } else if n > 0 {
            text.push(' ');
            used += 1;
        }
        used += width(&group);
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
    use vm_contracts::Field;

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        assert_eq!(quoted("assets:cash"), "assets:cash");
        assert_eq!(quoted("two words"), "'two words'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
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
            example: r#"{"one":"aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa aaaaaaaaaa","two":"-1","open":false}"#,
        };
        let text = command_line("toy", &SPEC, "  ");
        let long = "a".repeat(10);
        let one = [long.as_str(); 6].join(" ");
        assert_eq!(text, format!("  vm toy do --one '{one}' \\\n    --two=-1 --open=false"));
        assert_eq!(
            words("toy", &SPEC)[3..],
            ["--one".to_owned(), one, "--two=-1".into(), "--open=false".into()]
        );
    }
}
