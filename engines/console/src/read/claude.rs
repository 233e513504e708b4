//! Transcripts of Claude Code: JSON lines, or the older single document that holds the same entries as a list.

use super::contents;
use super::event::{Call, Event, Facts, Outcome, Spawned, Tokens, What};
use super::follow::Follow;
use super::json::{self, any_text, count, text};
use super::text::{clip, directory};
use super::tool::{How, Swap};
use crate::keyed::{HomeKey, short_raw};
use crate::state::State;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use vm_contracts::{Failure, Moment, Sink};

/// Messages that are remembered, to know repetitions and what answers what.
const MESSAGES_MAX: usize = 131_072;
/// Sessions whose facts are known to have been told.
const TOLD_MAX: usize = 8_192;

/// What is remembered of a message.
#[derive(Clone, Copy)]
struct Message {
    at: Option<Moment>,
    /// The first message of the side chain it belongs to.
    root: [u8; 16],
}

/// Reads entries one after another.
pub struct Claude<'a> {
    key: &'a HomeKey,
    messages: BTreeMap<[u8; 16], Message>,
    order: VecDeque<[u8; 16]>,
    told: BTreeMap<String, bool>,
    /// The session of entries that name none.
    fallback: String,
    /// Entries that stand before what they answer.
    pub disorder: u64,
    /// Entries that repeat one before.
    pub repeated: u64,
    /// Summaries.
    pub summaries: u64,
}

/// One entry that is about a message.
struct Entry<'v> {
    value: &'v Value,
    session: String,
    at: Option<Moment>,
    place: &'v str,
}

impl Entry<'_> {
    fn event(&self, what: What) -> Event {
        Event { session: self.session.clone(), at: self.at, place: self.place.to_owned(), what }
    }
}

impl<'a> Claude<'a> {
    /// With the session of entries that name none.
    pub fn new(key: &'a HomeKey, fallback: String) -> Self {
        Self {
            key,
            messages: BTreeMap::new(),
            order: VecDeque::new(),
            told: BTreeMap::new(),
            fallback,
            disorder: 0,
            repeated: 0,
            summaries: 0,
        }
    }

    /// Reads an entry; the inner error says why it is none.
    pub fn entry(
        &mut self,
        value: &Value,
        place: &str,
        follow: &mut Follow<'_>,
        sink: &mut dyn Sink<State>,
    ) -> Result<Result<(), String>, Failure> {
        if !value.is_object() {
            return Ok(Err("it is no object".to_owned()));
        }
        match text(value, "type").or_else(|| value.get("message").and_then(|m| text(m, "role"))) {
            Some("user" | "assistant") => {}
            Some("summary") => {
                self.summaries += 1;
                return Ok(Ok(()));
            }
            // Others are about the program itself: snapshots, queues, progress.
            Some(_) => return Ok(Ok(())),
            None => return Ok(Err("it has no type".to_owned())),
        }
        let Some(message) = value.get("message").filter(|m| m.is_object()) else {
            return Ok(Err("it has no message".to_owned()));
        };
        let named = any_text(value, &["sessionId", "session_id"]).filter(|s| !s.is_empty());
        let raw = named.unwrap_or(&self.fallback).to_owned();
        let at = text(value, "timestamp").and_then(|t| Moment::parse_human(t).ok());
        let Some(root) = self.remember(value, at) else {
            self.repeated += 1;
            return Ok(Ok(()));
        };
        let session = short_raw(&session_of(value, &raw, root)).into_owned();
        let parent = short_raw(&raw);
        let entry = Entry { value, session, at, place };
        self.facts(&entry, message, (&parent, follow, sink))?;
        let mut tell = |what| follow.event(entry.event(what), sink);
        match text(message, "role").or_else(|| text(value, "type")) {
            Some("assistant") => said(&entry, message, &mut tell)?,
            _ => heard(&entry, message, &mut tell)?,
        }
        Ok(Ok(()))
    }

    fn short(&self, id: &str) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::keyed_hash(self.key, id.as_bytes()).as_bytes()[..16]);
        short
    }

    /// The first message of the entry's chain; none where the entry was read before.
    fn remember(&mut self, value: &Value, at: Option<Moment>) -> Option<[u8; 16]> {
        let parent =
            text(value, "parentUuid").and_then(|p| self.messages.get(&self.short(p)).copied());
        let Some(uuid) = text(value, "uuid") else {
            return Some(parent.map_or([0; 16], |p| p.root));
        };
        let id = self.short(uuid);
        if self.messages.contains_key(&id) {
            return None;
        }
        if let (Some(parent), Some(at)) = (parent.and_then(|p| p.at), at)
            && at < parent
        {
            self.disorder += 1;
        }
        let aside = value.get("isSidechain").and_then(Value::as_bool) == Some(true);
        // A side chain begins where the message before is of the main one, or is not there.
        let root = parent.map(|p| p.root).filter(|root| aside && *root != [0; 16]);
        let root = if aside { root.unwrap_or(id) } else { [0; 16] };
        if self.order.len() >= MESSAGES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.messages.remove(&oldest);
        }
        self.messages.insert(id, Message { at, root });
        self.order.push_back(id);
        Some(root)
    }

    /// Tells of the session what is new: at its first entry, and once its model is known.
    fn facts(
        &mut self,
        entry: &Entry<'_>,
        message: &Value,
        (parent, follow, sink): (&str, &mut Follow<'_>, &mut dyn Sink<State>),
    ) -> Result<(), Failure> {
        let model = text(message, "model").filter(|m| *m != "<synthetic>");
        let known = self.told.get(&entry.session).copied();
        if known == Some(true) || known == Some(false) && model.is_none() {
            return Ok(());
        }
        if self.told.len() >= TOLD_MAX {
            self.told.clear();
        }
        self.told.insert(entry.session.clone(), model.is_some());
        let facts = Facts {
            agent_type: Some("claude-code".to_owned()),
            agent_version: text(entry.value, "version").map(clip),
            model: model.map(clip),
            cwd: text(entry.value, "cwd").and_then(directory),
            ..Facts::default()
        };
        follow.event(entry.event(What::Facts(Box::new(facts))), sink)?;
        if known.is_some() || entry.session == parent {
            return Ok(());
        }
        let task = words(message.get("content"));
        let found = task.as_deref().and_then(|task| follow.task(parent, task));
        let (call, agent_type) = found.map_or((None, None), |(call, agent)| (Some(call), agent));
        let spawned = Spawned { parent: parent.to_owned(), agent_type, call, task };
        follow.event(entry.event(What::Spawned(Box::new(spawned))), sink)
    }
}

/// The session of an entry: a side chain is one of its own.
fn session_of(value: &Value, session: &str, root: [u8; 16]) -> String {
    if value.get("isSidechain").and_then(Value::as_bool) != Some(true) {
        return session.to_owned();
    }
    match text(value, "agentId") {
        Some(agent) => format!("{session}.{agent}"),
        None => format!(
            "{session}/{}",
            blake3::Hash::from_bytes([root, root].concat().try_into().unwrap_or([0; 32])).to_hex()
        ),
    }
}

/// What takes events, one by one: an entry may hold many, and each has the entry's session and directory.
type Tell<'t> = &'t mut dyn FnMut(What) -> Result<(), Failure>;

/// What an assistant's message tells.
fn said(entry: &Entry<'_>, message: &Value, tell: Tell<'_>) -> Result<(), Failure> {
    if let Some(usage) = message.get("usage") {
        let tokens = Tokens {
            answer: text(message, "id").map(|id| short_raw(id).into_owned()),
            model: text(message, "model").map(clip),
            input: count(usage, "input_tokens").unwrap_or(0),
            output: count(usage, "output_tokens").unwrap_or(0),
            cache_write: count(usage, "cache_creation_input_tokens").unwrap_or(0),
            cache_read: count(usage, "cache_read_input_tokens").unwrap_or(0),
            cost_micros: 0,
        };
        tell(What::Tokens(tokens))?;
    }
    for block in message.get("content").and_then(Value::as_array).into_iter().flatten() {
        if text(block, "type") != Some("tool_use") {
            continue;
        }
        let (Some(id), Some(name)) = (text(block, "id"), text(block, "name")) else { continue };
        let call = Call {
            id: short_raw(id).into_owned(),
            name: clip(name),
            input: block.get("input").cloned().unwrap_or_default(),
            cwd: text(entry.value, "cwd").and_then(directory),
        };
        tell(What::Call(Box::new(call)))?;
    }
    Ok(())
}

/// What a user's message tells: results, or what a person said.
fn heard(entry: &Entry<'_>, message: &Value, tell: Tell<'_>) -> Result<(), Failure> {
    let content = message.get("content");
    let blocks = content.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let results: Vec<_> =
        blocks.iter().filter(|b| text(b, "type") == Some("tool_result")).collect();
    if results.is_empty() {
        return words(content).map_or(Ok(()), |words| tell(What::Prompt(words)));
    }
    // What the program adds is about the one result of its entry.
    let more = entry.value.get("toolUseResult").filter(|_| results.len() == 1);
    let mut outcomes = results.into_iter().filter_map(|block| outcome(block, more));
    outcomes.try_for_each(|outcome| tell(What::Result(Box::new(outcome))))
}

/// The text of a content that is text or a list of blocks.
fn words(content: Option<&Value>) -> Option<String> {
    match content? {
        Value::String(words) => Some(words.clone()),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|b| text(b, "text")).collect();
            (!texts.is_empty()).then(|| texts.join("\n"))
        }
        _ => None,
    }
}

/// What the program itself says when a person refuses. A command cannot say it: its own errors begin otherwise.
const REFUSED: &str = "User rejected tool use";
const REFUSED_TEXTS: &[&str] = &[
    "The user doesn't want to proceed with this tool use.",
    "The user doesn't want to take this action right now.",
];

fn outcome(block: &Value, more: Option<&Value>) -> Option<Outcome> {
    let call = short_raw(text(block, "tool_use_id")?).into_owned();
    let is_error = block.get("is_error").and_then(Value::as_bool).unwrap_or(false);
    let shown = words(block.get("content"));
    let mut outcome =
        Outcome { call, is_error: Some(is_error), output: shown, ..Outcome::default() };
    let said = outcome.output.as_deref().unwrap_or_default();
    outcome.denied = is_error
        && match more {
            Some(more) => more.as_str() == Some(REFUSED),
            None => REFUSED_TEXTS.iter().any(|text| said.starts_with(text)),
        };
    if is_error && !outcome.denied {
        let code = said.strip_prefix("Error: ").unwrap_or(said).strip_prefix("Exit code ");
        let digits =
            code.map(|c| c.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
        outcome.exit_code = digits.and_then(|d| d.parse().ok());
    }
    if let Some(more) = more.filter(|m| m.is_object()) {
        result_of(&mut outcome, more);
    }
    Some(outcome)
}

/// What the program adds to a result, in the forms of its tools.
fn result_of(outcome: &mut Outcome, more: &Value) {
    if let Some(stdout) = text(more, "stdout") {
        outcome.output = Some(stdout.to_owned());
        outcome.errors = text(more, "stderr").filter(|e| !e.is_empty()).map(str::to_owned);
    }
    let named = ["exitCode", "exit_code"].iter().find_map(|name| more.get(*name)?.as_i64());
    outcome.exit_code = outcome.exit_code.or(named);
    outcome.interrupted = more.get("interrupted").and_then(Value::as_bool).unwrap_or(false);
    outcome.duration_ms = count(more, "durationMs").or_else(|| count(more, "totalDurationMs"));
    outcome.path = any_text(more, &["filePath", "notebook_path"]).map(str::to_owned);
    outcome.before = match more.get("originalFile").or_else(|| more.get("original_file")) {
        Some(Value::String(content)) => Some(Some(content.clone())),
        Some(Value::Null) if more.get("filePath").is_some() => Some(None),
        _ => None,
    };
    outcome.created = match text(more, "type") {
        Some("create") => Some(true),
        Some("update") => Some(false),
        _ => None,
    };
    outcome.unsure = more.get("userModified").and_then(Value::as_bool) == Some(true);
    outcome.after = after(outcome, more);
    outcome.lines = patched(more);
    outcome.read = more.get("file").and_then(whole_file);
}

/// The content after, as the program tells it.
fn after(outcome: &Outcome, more: &Value) -> Option<String> {
    if let Some(content) = text(more, "updated_file") {
        return Some(content.to_owned());
    }
    if outcome.created.is_some() {
        return text(more, "content").map(str::to_owned);
    }
    let before = outcome.before.as_ref()?.as_deref();
    let swap = Swap {
        old: text(more, "oldString")?.to_owned(),
        new: text(more, "newString")?.to_owned(),
        all: more.get("replaceAll").and_then(Value::as_bool).unwrap_or(false),
    };
    contents::after(&How::Replace(vec![swap]), before)
}

fn patched(more: &Value) -> Option<(u64, u64)> {
    let hunks = more.get("structuredPatch")?.as_array().filter(|h| !h.is_empty())?;
    let lines =
        hunks.iter().filter_map(|h| h.get("lines")?.as_array()).flatten().filter_map(Value::as_str);
    Some(lines.fold((0, 0), |(added, removed), line| {
        (added + u64::from(line.starts_with('+')), removed + u64::from(line.starts_with('-')))
    }))
}

/// A file that was read from its first line to its last.
fn whole_file(file: &Value) -> Option<(String, String)> {
    let lines = count(file, "numLines")?;
    let whole = count(file, "startLine") == Some(1) && count(file, "totalLines") == Some(lines);
    let content = text(file, "content").filter(|_| whole)?;
    Some((text(file, "filePath")?.to_owned(), content.to_owned()))
}

/// The entries of an older document.
pub fn entries(document: &Value) -> Option<&Vec<Value>> {
    let lists = ["loglines", "messages", "entries", "events", "transcript"];
    document.as_array().or_else(|| lists.iter().find_map(|name| document.get(*name)?.as_array()))
}

/// Reads a line of a transcript.
pub fn line(bytes: &[u8]) -> Result<Value, String> {
    json::document(bytes)
}
