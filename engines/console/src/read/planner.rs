//! Turns what is known of an act into a call of the ledger: one function for each operation, used by the readers of
//! transcripts and by whoever sees an act as it happens. Texts are redacted and cut here, and nowhere else.

use super::event::{Facts, Outcome, Spawned, Tokens};
use super::files::File;
use super::text;
use super::tool::Tool;
use crate::keyed::{self, HomeKey};
use crate::ops::{COMMAND_BYTES_MAX, MODELS_MAX, NAME_BYTES_MAX, PARAMS_BYTES_MAX, TEXT_BYTES_MAX};
use serde_json::{Map, Value, json};
use vm_contracts::{Moment, Planned};

/// How far ahead of the clock a time may lie; the operations refuse more.
const AHEAD_MS: i64 = crate::ops::AHEAD_MS_MAX;
/// Longest kind of an agent, in bytes.
const AGENT_BYTES_MAX: usize = 64;

/// Makes calls of what one observer saw.
#[derive(Clone, Copy)]
pub struct Planner<'a> {
    /// The key of the home.
    pub key: &'a HomeKey,
    /// Who saw it: a word of [`crate::ops::OBSERVERS`].
    pub observed_by: &'static str,
    /// How the session is recorded: a word of [`crate::ops::session_start::MODES`].
    pub mode: &'static str,
    /// Format it was read from, if it was.
    pub source_format: Option<&'static str>,
    /// The ledger's clock; a time after it is not passed on.
    pub now: Moment,
}

/// Which part of a call is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before it begins.
    Call,
    /// When it came back.
    Result,
    /// Both at once.
    Whole,
}

impl Phase {
    /// As receipts have it.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Call => "call",
            Phase::Result => "result",
            Phase::Whole => "whole",
        }
    }
}

/// When and where something was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// When it happened, if that is known and not now.
    pub at: Option<Moment>,
    /// Where in the source.
    pub place: String,
}

/// A call of a tool, as far as it is known.
pub struct Act<'a> {
    /// The session's id in the ledger.
    pub session: &'a str,
    /// The call's id in the ledger.
    pub call: &'a str,
    /// Name of the tool.
    pub name: &'a str,
    /// What the tool does.
    pub tool: &'a Tool,
    /// What it is given.
    pub input: &'a Value,
    /// Where it runs.
    pub cwd: Option<&'a str>,
    /// How it came back.
    pub outcome: Option<&'a Outcome>,
    /// What the policy says: a word of [`crate::ops::VERDICTS`], and the rule.
    pub verdict: Option<(&'a str, Option<&'a str>)>,
}

/// One change of one file.
pub struct Edited<'a> {
    /// The session's id in the ledger.
    pub session: &'a str,
    /// The call that made it.
    pub call: &'a str,
    /// Which of the call's changes it is.
    pub number: usize,
    /// The file.
    pub file: &'a File,
    /// Where it was before, if it was moved.
    pub from: Option<&'a File>,
    /// Digest of the content before, as [`keyed::content`] gives it.
    pub old_hash: Option<String>,
    /// The same for the content after.
    pub new_hash: Option<String>,
    /// A word of [`crate::ops::file_edit::EDIT_TYPES`].
    pub edit_type: &'static str,
    /// Lines added and removed.
    pub lines: Option<(u64, u64)>,
}

/// An intent being written; what is absent is left out.
struct Intent(Map<String, Value>);

impl Intent {
    fn set(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
    fn may(&mut self, name: &str, value: Option<impl Into<Value>>) -> &mut Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }
    /// Tokens and bytes, as far as receipts can count.
    fn count(&mut self, name: &str, value: Option<u64>) -> &mut Self {
        const MOST: u64 = 9_007_199_254_740_991;
        self.may(name, value.map(|n| n.min(MOST)))
    }
}

impl Planner<'_> {
    /// The start of a session, or that it goes on.
    pub fn start(
        &self,
        session: &str,
        facts: &Facts,
        root: Root<'_>,
        resumed: Option<&str>,
        seen: &Seen,
    ) -> Planned {
        let mut intent = self.intent(session, seen);
        let agent = facts.agent_type.as_deref().and_then(|a| text::name(a, AGENT_BYTES_MAX));
        intent
            .set("agent_type", agent.unwrap_or_else(|| "unknown".to_owned()))
            .may("agent_version", facts.agent_version.as_deref().and_then(|v| text::name(v, 64)))
            .may("model_id", facts.model.as_deref().and_then(|m| text::name(m, NAME_BYTES_MAX)))
            .may("project_id", root.project_id)
            .may("project_path", root.path.map(|p| text::path(p, TEXT_BYTES_MAX)))
            .may("git_head", facts.git_head.as_deref().filter(|h| is_commit(h)))
            .set("mode", self.mode)
            .may("isolation", root.isolation)
            .may("caller", root.caller)
            .may("parent_session_id", root.parent)
            .may("source_format", self.source_format);
        if resumed.is_some() {
            intent.set("resumed", true);
        }
        let phase = if resumed.is_some() { "resume" } else { "start" };
        self.planned("session-start", session, resumed.unwrap_or_default(), phase, intent, seen)
    }

    /// A call of a tool, as a command or as another tool's.
    pub fn act(&self, act: &Act<'_>, phase: Phase, seen: &Seen) -> Planned {
        let mut intent = self.intent(act.session, seen);
        intent.set("call_id", act.call).set("phase", phase.word());
        if let Some((verdict, rule)) = act.verdict {
            intent.set("verdict", verdict).may("rule", rule);
        }
        let outcome = act.outcome.filter(|_| phase != Phase::Call);
        if let Some(outcome) = outcome {
            intent.may("is_error", outcome.is_error).count("duration_ms", outcome.duration_ms);
            if outcome.denied {
                intent.set("denied", true);
            }
        }
        let verb = match act.tool {
            Tool::Shell { command, cwd } => {
                let cwd = cwd.as_deref().or(act.cwd);
                self.command(&mut intent, command, cwd, outcome);
                "command"
            }
            _ => {
                self.tool_call(&mut intent, act, outcome);
                "tool-call"
            }
        };
        self.planned(verb, act.session, act.call, phase.word(), intent, seen)
    }

    fn command(
        &self,
        intent: &mut Intent,
        command: &str,
        cwd: Option<&str>,
        outcome: Option<&Outcome>,
    ) {
        intent
            .set("command", text::kept(command, COMMAND_BYTES_MAX))
            .set("args_hash", keyed::args(self.key, command.as_bytes()))
            .may("program", program(command))
            .may("cwd", cwd.map(|cwd| text::path(cwd, TEXT_BYTES_MAX)));
        let Some(outcome) = outcome else { return };
        let exit = outcome.exit_code.filter(|code| (-2_147_483_648..=4_294_967_295).contains(code));
        let digest = |text: &String| format!("blake3:{}", blake3::hash(text.as_bytes()).to_hex());
        intent
            .may("exit_code", exit)
            .count("stdout_bytes", outcome.output.as_ref().map(|o| o.len() as u64))
            .may("stdout_hash", outcome.output.as_ref().map(digest))
            .count("stderr_bytes", outcome.errors.as_ref().map(|o| o.len() as u64))
            .may("stderr_hash", outcome.errors.as_ref().map(digest));
        if outcome.interrupted {
            intent.set("interrupted", true);
        }
    }

    fn tool_call(&self, intent: &mut Intent, act: &Act<'_>, outcome: Option<&Outcome>) {
        let bytes = act.input.to_string();
        intent
            .set(
                "tool_name",
                text::name(act.name, NAME_BYTES_MAX).unwrap_or_else(|| "unnamed".to_owned()),
            )
            .set("params_hash", keyed::args(self.key, bytes.as_bytes()))
            .set("params", params(act, &bytes));
        let Some(outcome) = outcome else { return };
        let digest = |text: &String| format!("blake3:{}", blake3::hash(text.as_bytes()).to_hex());
        intent
            .count("result_bytes", outcome.output.as_ref().map(|o| o.len() as u64))
            .may("result_hash", outcome.output.as_ref().map(digest));
    }

    /// A change of a file.
    pub fn edit(&self, edited: &Edited<'_>, seen: &Seen) -> Planned {
        let mut intent = self.intent(edited.session, seen);
        let old_hash = edited.old_hash.clone();
        let new_hash = edited.new_hash.clone().filter(|_| edited.edit_type != "delete");
        intent
            .set("call_id", edited.call)
            .set("file_path", edited.file.shown.as_str())
            .set("file_id", edited.file.file_id.as_str())
            .may("project_id", edited.file.project_id.as_deref())
            .may("old_hash", old_hash)
            .may("new_hash", new_hash)
            .set("edit_type", edited.edit_type)
            .may("previous_file_id", edited.from.map(|f| f.file_id.as_str()))
            .count("lines_added", edited.lines.map(|l| l.0))
            .count("lines_removed", edited.lines.map(|l| l.1));
        let phase = format!("edit/{}", edited.number);
        self.planned("file-edit", edited.session, edited.call, &phase, intent, seen)
    }

    /// That a session spawned another one.
    pub fn spawn(
        &self,
        parent: &str,
        child: &str,
        call: Option<&str>,
        spawned: &Spawned,
        seen: &Seen,
    ) -> Planned {
        let mut intent = self.bare(seen);
        let agent = spawned.agent_type.as_deref().and_then(|a| text::name(a, AGENT_BYTES_MAX));
        let digest = |task: &String| format!("blake3:{}", blake3::hash(task.as_bytes()).to_hex());
        intent
            .set("parent_session_id", parent)
            .set("child_session_id", child)
            .set("agent_type", agent.unwrap_or_else(|| "subagent".to_owned()))
            .may("call_id", call)
            .may("task_hash", spawned.task.as_ref().map(digest))
            .may("task", spawned.task.as_deref().map(|t| text::kept(t, TEXT_BYTES_MAX)));
        self.planned("agent-spawn", parent, child, "spawn", intent, seen)
    }

    /// The end of a session; `last` tells this end from earlier ones.
    pub fn end(&self, session: &str, ending: &Ending<'_>, last: &str, seen: &Seen) -> Planned {
        let mut intent = self.intent(session, seen);
        intent
            .may("exit_reason", text::name(ending.reason, 64))
            .count("malformed_lines", (ending.malformed > 0).then_some(ending.malformed));
        let mut total = Tokens::default();
        for used in ending.tokens {
            total.add(used);
        }
        if !ending.tokens.is_empty() {
            tokens(&mut intent, &total);
            let rows: Vec<Value> = ending.tokens.iter().filter_map(row).take(MODELS_MAX).collect();
            intent.may("usage", (!rows.is_empty()).then_some(rows));
        }
        self.planned("session-end", session, last, "end", intent, seen)
    }

    /// That so many events were not recorded.
    pub fn gap(
        &self,
        session: Option<&str>,
        reason: &'static str,
        events: u64,
        detail: &str,
        seen: &Seen,
    ) -> Planned {
        let mut intent = self.bare(seen);
        intent
            .may("session_id", session)
            .set("reason", reason)
            .count("events", Some(events))
            .set("detail", text::kept(detail, TEXT_BYTES_MAX));
        let which = format!("{reason}/{events}/{detail}");
        self.planned("gap", session.unwrap_or_default(), &which, "gap", intent, seen)
    }

    fn bare(&self, seen: &Seen) -> Intent {
        let mut intent = Intent(Map::new());
        let at = seen.at.filter(|at| at.unix_ms().saturating_sub(self.now.unix_ms()) <= AHEAD_MS);
        intent
            .set("observed_by", self.observed_by)
            .may("effective_at", at.map(|at| at.to_string()));
        intent
    }

    fn intent(&self, session: &str, seen: &Seen) -> Intent {
        let mut intent = self.bare(seen);
        intent.set("session_id", session);
        intent
    }

    fn planned(
        &self,
        verb: &'static str,
        session: &str,
        call: &str,
        phase: &str,
        intent: Intent,
        seen: &Seen,
    ) -> Planned {
        // Observers see the same acts; each has ids of its own, so that one never passes for the other's repetition.
        let phase = format!("{}/{phase}", self.observed_by);
        Planned {
            verb,
            id: keyed::receipt_id(self.key, session, call, &phase),
            intent: intent.0,
            tags: Vec::new(),
            place: seen.place.clone(),
        }
    }
}

/// What is known of a session's surroundings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Root<'a> {
    /// Keyed id of the project.
    pub project_id: Option<&'a str>,
    /// Path of the project.
    pub path: Option<&'a str>,
    /// A word of [`crate::ops::session_start::ISOLATIONS`].
    pub isolation: Option<&'a str>,
    /// Who the agent acts for.
    pub caller: Option<&'a str>,
    /// The session that spawned it, by its id in the ledger.
    pub parent: Option<&'a str>,
}

/// What a session came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ending<'a> {
    /// Why it ended.
    pub reason: &'a str,
    /// Tokens by model, each model once.
    pub tokens: &'a [Tokens],
    /// Lines of its transcript that did not read.
    pub malformed: u64,
}

impl Tokens {
    /// Adds others.
    pub fn add(&mut self, other: &Tokens) {
        for (sum, more) in [
            (&mut self.input, other.input),
            (&mut self.output, other.output),
            (&mut self.cache_write, other.cache_write),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cost_micros, other.cost_micros),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// The program that a command begins with, behind assignments; none where that takes a shell to tell. It is looked for
/// in the text without secrets, so that no part of a quoted one passes for it.
fn program(command: &str) -> Option<String> {
    let clean = text::clean(command);
    let blank = |c: char| c.is_whitespace() || matches!(c, '(' | '{' | '!');
    let mut rest = clean.trim_start_matches(blank);
    loop {
        let (word, after) = rest.split_at(word_end(rest));
        if word.is_empty() || word.contains('`') || word.contains("$(") || word.contains("=(") {
            return None;
        }
        if !word.split_once('=').is_some_and(|(name, _)| is_variable(name)) {
            let plain = word.replace(['\'', '"', '\\'], "");
            return text::name(plain.rsplit('/').next().unwrap_or(&plain), NAME_BYTES_MAX);
        }
        rest = after.trim_start();
    }
}

fn is_variable(name: &str) -> bool {
    let name = name.trim_end_matches('+');
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Where the first word of a shell's text ends, quotes respected.
fn word_end(text: &str) -> usize {
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, c) if c.is_whitespace() || matches!(c, ';' | '|' | '&' | '<' | '>') => {
                return at;
            }
            (None, _) => {}
        }
    }
    text.len()
}

fn tokens(intent: &mut Intent, used: &Tokens) {
    intent
        .count("tokens_input", Some(used.input))
        .count("tokens_output", Some(used.output))
        .count("tokens_cache_write", Some(used.cache_write))
        .count("tokens_cache_read", Some(used.cache_read))
        .count("cost_micros", Some(used.cost_micros).filter(|c| *c > 0));
}

fn row(used: &Tokens) -> Option<Value> {
    let model = text::name(used.model.as_deref()?, NAME_BYTES_MAX)?;
    let mut row = Intent(Map::new());
    row.set("model_id", model);
    tokens(&mut row, used);
    Some(Value::Object(row.0))
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The parameters as they are kept. What an edit writes is not among them: its digest says it.
fn params(act: &Act<'_>, bytes: &str) -> String {
    match (act.tool, act.input) {
        (Tool::Edit(changes), _) => {
            let paths: Vec<&str> = changes.iter().take(64).map(|c| c.path.as_str()).collect();
            text::kept(&json!({ "paths": paths }).to_string(), PARAMS_BYTES_MAX)
        }
        _ => text::kept(bytes, PARAMS_BYTES_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_stands_behind_assignments_and_is_no_part_of_one() {
        for (command, want) in [
            ("ls -l", Some("ls")),
            ("/usr/bin/psql x", Some("psql")),
            ("DB_PASSWORD='correct horse' psql", Some("psql")),
            ("NAME='a b' \"C\"=1", Some("C=1")),
            ("A=\"x \\\" y\" B=2 'make' all", Some("make")),
            ("A=$(cat b c) psql", None),
            ("A='open psql", None),
            ("(cd x; ls)", Some("cd")),
            ("ls;rm x", Some("ls")),
            ("", None),
        ] {
            assert_eq!(program(command).as_deref(), want, "{command}");
        }
    }
}
