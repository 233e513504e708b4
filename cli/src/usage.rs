//! Errors of the command line itself, as clap finds them: the same codes and the same JSON as every other refusal.

use crate::args::listing::welcome;
use crate::exit;
use crate::screen::Screen;
use crate::session::House;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use vm_contracts::{Failure, Refusal};

/// Prints help and version, and usage errors for a person; gives back the refusal where JSON was asked for.
pub fn explain(screen: &mut Screen<'_>, house: House, e: &clap::Error) -> Result<u8, Failure> {
    let help = matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let text = match screen.colour {
        true => e.render().ansi().to_string(),
        false => e.render().to_string(),
    };
    let text = if text.ends_with('\n') { text } else { text + "\n" };
    if help {
        // A reader that left early has seen enough.
        let _ = screen.out.write_all(text.as_bytes()).and_then(|()| screen.out.flush());
        return Ok(exit::OK);
    }
    let refusal = refusal(e);
    if screen.json {
        return Err(refusal.into());
    }
    let code = exit::surface(&refusal.into()).exit;
    let at_the_top = text_of(e, ContextKind::InvalidSubcommand).is_some_and(|name| name == "vm");
    let text = match e.kind() {
        ErrorKind::MissingSubcommand if at_the_top => welcome(house),
        _ => text,
    };
    // When standard error is gone, the exit code still says it.
    let _ = screen.err.write_all(text.as_bytes());
    Ok(code)
}

/// A usage error as a refusal.
pub fn refusal(e: &clap::Error) -> Refusal {
    let code = match e.kind() {
        ErrorKind::InvalidSubcommand => "unknown_verb",
        ErrorKind::UnknownArgument => "unknown_field",
        ErrorKind::MissingRequiredArgument => "missing_field",
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "missing_verb"
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => "wrong_type",
        _ => "bad_usage",
    };
    let text = e.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    let message = match code {
        "missing_verb" => "a command is missing",
        _ => first.strip_prefix("error: ").unwrap_or(first),
    };
    let mut refusal = Refusal::malformed(code, message);
    refusal.field = text_of(e, ContextKind::InvalidArg).map(|a| field(&a));
    let tips: Vec<String> = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
        ContextKind::ValidValue,
    ]
    .into_iter()
    .filter_map(|kind| {
        let word = if kind == ContextKind::ValidValue { "It takes" } else { "Did you mean" };
        let mark = if kind == ContextKind::ValidValue { "." } else { "?" };
        text_of(e, kind).filter(|t| !t.is_empty()).map(|t| format!("{word} {t}{mark}"))
    })
    .collect();
    if code == "missing_verb" {
        refusal.hint = Some("The same words with --help list the commands.".into());
    }
    if !tips.is_empty() {
        refusal.hint = Some(tips.join(" "));
    }
    refusal
}

fn text_of(e: &clap::Error, kind: ContextKind) -> Option<String> {
    match e.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        _ => None,
    }
}

/// `--count-max <INTEGER>` is the field `count_max`.
fn field(argument: &str) -> String {
    let word = argument.split([' ', '=']).next().unwrap_or(argument);
    match word.strip_prefix("--") {
        Some(flag) => flag.replace('-', "_"),
        None => word.trim_matches(['<', '>']).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(words: &[&str]) -> Refusal {
        refusal(&crate::args::build(&[]).try_get_matches_from(words).unwrap_err())
    }

    #[test]
    fn a_misspelt_command_is_guessed() {
        let refusal = refused(&["vm", "stauts"]);
        assert_eq!(refusal.code, "unknown_verb");
        assert_eq!(refusal.hint.as_deref(), Some("Did you mean status?"));
    }

    #[test]
    fn an_unknown_flag_is_the_field_at_fault() {
        let refusal = refused(&["vm", "init", "--nod", "x"]);
        assert_eq!(
            (refusal.code.as_str(), refusal.field.as_deref()),
            ("unknown_field", Some("nod"))
        );
        assert_eq!(refusal.hint.as_deref(), Some("Did you mean --node?"));
    }

    #[test]
    fn a_bad_value_names_what_it_may_be() {
        let refusal = refused(&["vm", "query", "x", "--order", "up"]);
        assert_eq!(
            (refusal.code.as_str(), refusal.field.as_deref()),
            ("wrong_type", Some("order"))
        );
        assert_eq!(refusal.hint.as_deref(), Some("It takes asc, desc."));
    }

    #[test]
    fn a_missing_command_says_so() {
        assert_eq!(refused(&["vm", "receipt"]).message, "a command is missing");
    }
}
