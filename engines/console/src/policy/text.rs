//! Patterns that a question looks for in texts.

use regex::bytes::Regex;
use vm_contracts::Refusal;

use super::expression;
use super::glob::Glob;

/// A pattern for paths, or a regular expression of bounded size.
pub(crate) struct TextPattern(Form);

enum Form {
    /// A path as it was given, and as a pattern if it is one.
    Path(String, Option<Glob>),
    /// A regular expression.
    Regex(Regex),
}

impl TextPattern {
    /// A path, whole or its last parts, or what is below it.
    pub(crate) fn path(path: &str) -> Self {
        let glob = path.contains(['*', '?']).then(|| Glob::new(path, true));
        Self(Form::Path(path.trim_end_matches('/').to_owned(), glob))
    }

    /// A regular expression for any part of a text.
    pub(crate) fn regex(field: &str, pattern: &str) -> Result<Self, Refusal> {
        expression(pattern).map(|regex| Self(Form::Regex(regex))).map_err(|e| {
            let why = e.to_string().lines().last().unwrap_or_default().to_owned();
            let what = format!("the regular expression cannot be used: {why}");
            Refusal::malformed("bad_pattern", what).field(field)
        })
    }

    /// Whether it fits a text, or for a path: all of it, its last parts, or a directory above it.
    pub(crate) fn fits(&self, text: &str) -> bool {
        match &self.0 {
            Form::Regex(regex) => regex.is_match(text.as_bytes()),
            // What is too long for a name is none.
            Form::Path(_, Some(glob)) => glob.fits(text).unwrap_or(false),
            Form::Path(path, None) => is_part(path, text),
        }
    }

    /// Whether a command or parameters name it: a word of them fits.
    pub(crate) fn is_named_in(&self, said: &str) -> bool {
        let ends = |c: char| c.is_whitespace() || "\"'`=:,;|&<>(){}[]".contains(c);
        // A path may have a space itself.
        let whole = matches!(&self.0, Form::Path(path, _) if path.contains(ends) && said.contains(path.as_str()));
        whole || said.split(ends).any(|word| !word.is_empty() && self.fits(word))
    }
}

/// Whether `path` stands in `text` as whole parts of it.
fn is_part(path: &str, text: &str) -> bool {
    if path.is_empty() {
        return false;
    }
    // An absolute path stands at the beginning or nowhere.
    let starts = |at: usize| at == 0 || (!path.starts_with('/') && text[..at].ends_with('/'));
    let ends = |at: usize| at == text.len() || text[at..].starts_with('/');
    let mut places = text.match_indices(path).map(|(at, found)| (at, at + found.len()));
    places.any(|(from, until)| starts(from) && ends(until))
}
