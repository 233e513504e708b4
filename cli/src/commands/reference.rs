//! `vm reference`: the whole reference as Markdown, from the tables alone.

mod steps;

use crate::args::{self, example, fields, query};
use crate::exit::{OK, Stop};
use crate::house::story;
use crate::session::{House, Session};
use clap::{Arg, Command};
use vm_contracts::{AnyEngine, Field, Kind, Spec};

/// Prints the page.
pub fn run(session: &mut Session<'_>) -> Result<u8, Stop> {
    let page = page(session.house);
    session.screen.raw(page.as_bytes())?;
    Ok(OK)
}

/// The page.
pub fn page(house: House) -> String {
    let mut text = String::from(
        "# Reference\n\nThis page is printed by `vm reference`; every line of it comes from the tables that the program itself reads.\n\n\
         A field that says *required* must be given; the others may be left out. *In the receipt* and *in the answer* are \
         worked out and cannot be given. *Filter* means that `vm ENGINE query` finds receipts by it, and *not a field of the \
         receipt* that the value takes effect under other names.\n",
    );
    for engine in house {
        text.push_str(&engine_page(*engine));
    }
    text.push_str(&steps::words(house));
    text.push_str("\n## Commands of the program\n");
    let tree = args::build(house);
    text.push_str(&format!(
        "\nEvery command takes these flags:\n\n{}",
        arguments(tree.get_arguments())
    ));
    for command in tree.get_subcommands() {
        let own = !house.iter().any(|e| e.name() == command.get_name());
        if own && !command.is_hide_set() {
            text.push_str(&command_page(command, "vm"));
        }
    }
    text
}

fn command_page(command: &Command, path: &str) -> String {
    let path = format!("{path} {}", command.get_name());
    if command.has_subcommands() {
        return command.get_subcommands().map(|below| command_page(below, &path)).collect();
    }
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("\n### {path}\n\n{}\n", escaped(&stopped(&about)));
    let table = arguments(command.get_arguments());
    if !table.is_empty() {
        text.push_str(&format!("\n{table}"));
    }
    if let Some(after) = command.get_after_help() {
        text.push_str(&format!("\n{after}\n"));
    }
    text
}

fn arguments<'a>(all: impl Iterator<Item = &'a Arg>) -> String {
    let mut text = String::new();
    for arg in all {
        let value = arg.get_value_names().map(|v| v.join(" ")).unwrap_or_default();
        let name = match arg.get_long() {
            Some(long) if arg.get_action().takes_values() => format!("--{long} {value}"),
            Some(long) => format!("--{long}"),
            None => value,
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        text.push_str(&format!("| `{}` | {} |\n", escaped(&name), escaped(&help)));
    }
    match text.is_empty() {
        true => text,
        false => format!("| argument | what |\n|---|---|\n{text}"),
    }
}

fn engine_page(engine: &dyn AnyEngine) -> String {
    let mut text = format!(
        "\n## {}\n\n{}\n\nScroll `{}`. Receipt types: {}.\n",
        engine.name(),
        stopped(engine.about()),
        engine.scroll(),
        code_list(engine.types().iter().copied())
    );
    text.push_str(&before_the_examples(engine));
    for spec in engine.operations() {
        text.push_str(&operation(engine, spec));
    }
    for spec in engine.reports() {
        text.push_str(&operation(engine, spec));
    }
    text.push_str(&steps::stages(engine));
    text.push_str("\n### Filters\n\n");
    let known = query::schema(Some(engine)).known();
    text.push_str(&format!(
        "`vm {} query` knows {}.\n",
        engine.name(),
        code_list(known.iter().map(String::as_str))
    ));
    text.push_str("\n### Formats\n\n| format | direction | what |\n|---|---|---|\n");
    for (name, about, endings) in engine.imports() {
        text.push_str(&format!(
            "| `{name}` | import (.{}) | {} |\n",
            endings.join(", ."),
            escaped(about)
        ));
    }
    for (name, about) in engine.exports() {
        text.push_str(&format!("| `{name}` | export | {} |\n", escaped(about)));
    }
    text
}

/// What must have happened for the examples to run.
fn before_the_examples(engine: &dyn AnyEngine) -> String {
    let specs = engine.operations();
    let calls: Vec<String> = (1_u32..)
        .zip(story(engine.name()))
        .filter_map(|(n, (verb, intent))| {
            let spec = specs.iter().find(|s| s.verb == *verb)?;
            let line = example::command_line_of(engine.name(), spec, intent, "");
            Some(
                steps::carried_through(engine, spec, intent, &format!("story-{n}")).unwrap_or(line),
            )
        })
        .collect();
    if calls.is_empty() {
        return String::new();
    }
    format!(
        "\n### Before the examples\n\nIn a new home (`vm init`), after these calls, the examples run as they stand here, one after the other.\n\n```\n{}\n```\n",
        calls.join("\n")
    )
}

/// A line of a table as a sentence.
fn stopped(about: &str) -> String {
    let about = fields::sentence(about);
    if about.ends_with('.') { about } else { about + "." }
}

fn operation(engine: &dyn AnyEngine, spec: &'static Spec) -> String {
    let name = engine.name();
    let report = spec.types.is_empty();
    let kind = if report { "Report" } else { "Operation" };
    let mut text = format!(
        "\n### {name} {}\n\n{}\n\n{kind}. Needs `{}`.",
        spec.verb,
        stopped(spec.about),
        spec.needs
    );
    if !spec.types.is_empty() {
        text.push_str(&format!(" Leaves {}.", code_list(spec.types.iter().copied())));
    }
    text.push_str("\n\n");
    text.push_str(&table(spec.fields, "", if report { "in the answer" } else { "in the receipt" }));
    let line = || example::command_line(name, spec, "");
    let whole =
        steps::carried_through(engine, spec, spec.example, &format!("example-{}", spec.verb));
    text.push_str(&format!("\n```\n{}\n```\n", whole.unwrap_or_else(line)));
    text
}

fn table(declared: &[Field], path: &str, computed: &str) -> String {
    if declared.is_empty() {
        return "No fields.\n".into();
    }
    let mut text = String::new();
    if path.is_empty() {
        text.push_str("| field | flag | what | values |\n|---|---|---|---|\n");
    }
    for field in declared {
        let flag = match (field.is_input(), path.is_empty()) {
            (true, true) => format!("`--{}`", fields::flag(field)),
            _ => String::new(),
        };
        let mut remarks = fields::remarks(field);
        if !field.is_input() {
            remarks.push_str(&format!("; {computed}"));
        }
        if field.filter {
            remarks.push_str("; filter");
        }
        text.push_str(&format!(
            "| `{path}{}` | {flag} | {} | {} |\n",
            field.name,
            escaped(&fields::sentence(field.about)),
            escaped(&remarks)
        ));
        if let Kind::List(_, inner) = field.kind {
            text.push_str(&table(inner, &format!("{path}{}[].", field.name), computed));
        }
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

fn code_list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
}
