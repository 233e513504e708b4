//! `vm console install` and `uninstall`: hooks in the settings of an agent, or in a git repository.
//!
//! The order keeps every step repeatable: what stood there is kept in the home, encrypted; the new file takes the
//! old one's place in one step; then the receipt. The same command again finds its entries and changes nothing.

mod agents;
mod diff;
mod files;
mod git;
mod kept;
mod settings;

use crate::args::console::PROMISE;
use crate::commands::console::deliver::{self, Wish};
use crate::commands::required;
use crate::exit::{OK, Stop};
use crate::screen::Tone;
use crate::session::Session;
use agents::{Agent, Place};
use clap::ArgMatches;
use files::{Change, Links};
use kept::Kept;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use vm_contracts::{Failure, Refusal};

pub use agents::{HOOK_WORDS, installed_at};

/// What the command line asks for.
pub struct Wanted {
    /// Whose settings, `git` for the hook of a repository.
    pub target: String,
    /// Whether to fail closed.
    pub guard: bool,
    /// Settings of the project rather than of the user.
    pub project: bool,
    /// Settings of the user were asked for by name.
    pub user: bool,
    dry_run: bool,
}

/// What an install or uninstall came to.
struct Done {
    scope: &'static str,
    changes: Vec<Change>,
    /// What stood in the settings before us, with lines of ours taken out.
    stood: Option<Vec<u8>>,
    notes: Vec<String>,
}

/// Puts the hooks in.
pub fn install(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let wanted = wanted(given, given.get_flag("guard"));
    let line = Line::of(session, &wanted)?;
    let done = match wanted.target.as_str() {
        "git" => git::plan_install(&line, &wanted)?,
        name => plan_install(Agent::named(name), &line, &wanted)?,
    };
    carry_out(session, &wanted, done, "installed")
}

/// Takes them out.
pub fn uninstall(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let wanted = wanted(given, false);
    let line = Line::of(session, &wanted)?;
    let kept = Kept::load(session)?;
    let done = match wanted.target.as_str() {
        "git" => git::plan_uninstall(&line, &wanted)?,
        name => plan_uninstall(Agent::named(name), &line, &wanted, kept.as_ref())?,
    };
    carry_out(session, &wanted, done, "removed")
}

fn wanted(given: &ArgMatches, guard: bool) -> Wanted {
    Wanted {
        target: required(given, "target").to_owned(),
        guard,
        project: given.get_flag("project"),
        user: given.get_flag("user"),
        dry_run: given.get_flag("dry-run"),
    }
}

/// The words with which an agent calls this program.
pub struct Line {
    /// This program, absolute.
    pub program: PathBuf,
    /// The home, absolute.
    pub home: PathBuf,
}

impl Line {
    fn of(session: &Session<'_>, wanted: &Wanted) -> Result<Self, Failure> {
        if wanted.guard && session.flags.actor_key.is_some() {
            let what = "a hook acts as the user it runs as, not with a key";
            return Err(Refusal::malformed("hook_with_key", what)
                .hint("Leave --actor-key and $VM_ACTOR_KEY out.")
                .into());
        }
        Self::here(session)
    }

    /// This program and the home of this command line.
    pub fn here(session: &Session<'_>) -> Result<Self, Failure> {
        let home = session.loaded()?.home;
        let home = std::fs::canonicalize(&home)
            .map_err(|e| crate::exit::unreadable(&home.display().to_string(), &e))?;
        let program =
            std::env::current_exe().map_err(|e| crate::exit::unreadable("this program", &e))?;
        Ok(Self { program, home })
    }

    /// Program and home, quoted for a shell.
    pub fn begin(&self) -> Result<String, Refusal> {
        Ok(format!("{} --home {}", quoted(&self.program)?, quoted(&self.home)?))
    }

    /// The whole line of one agent.
    pub fn hook(&self, agent: &str, guard: bool) -> Result<String, Refusal> {
        let mode = if guard { "guard" } else { "record" };
        Ok(format!("{} {HOOK_WORDS} {agent} --mode {mode}", self.begin()?))
    }

    /// The words from the home on that all our lines hold, whichever program they call.
    pub fn words(&self, agent: &str) -> Result<String, Refusal> {
        Ok(format!(" --home {} {HOOK_WORDS} {agent} --mode ", quoted(&self.home)?))
    }

    /// Whether install would write this very line.
    pub fn writes(&self, agent: &str, command: &str) -> Result<bool, Refusal> {
        Ok(command == self.hook(agent, false)? || command == self.hook(agent, true)?)
    }

    /// Whether install wrote this line, perhaps when the program stood elsewhere: one word for a program, our words, and
    /// nothing else.
    pub fn is_ours(&self, agent: &str, command: &str) -> bool {
        let Ok(words) = self.words(agent) else { return false };
        let parts = command.split_once(&words);
        parts.is_some_and(|(program, mode)| {
            let is_word = unquoted(program)
                .is_some_and(|p| p.is_absolute() && quoted(&p).is_ok_and(|q| q == program));
            is_word && ["record", "guard"].contains(&mode)
        })
    }
}

/// A path as one word of a shell. A settings file is text, so a path without a text has no place in it.
fn quoted(path: &Path) -> Result<String, Refusal> {
    let text = path.to_str().filter(|t| !t.chars().any(char::is_control)).ok_or_else(|| {
        Refusal::malformed(
            "path_not_text",
            format!("{} cannot stand in a settings file", path.display()),
        )
        .hint("Use a path of printable UTF-8.")
    })?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Ok(format!("'{}'", text.replace('\'', r"'\''"))),
    }
}

/// The path that a word of ours stands for; what [`quoted`] would not write comes out as something else.
fn unquoted(word: &str) -> Option<PathBuf> {
    let inner = word.strip_prefix('\'').and_then(|w| w.strip_suffix('\''));
    let path = inner.map_or_else(|| word.to_owned(), |inner| inner.replace(r"'\''", "'"));
    (!path.is_empty()).then(|| path.into())
}

fn plan_install(agent: &'static Agent, line: &Line, wanted: &Wanted) -> Result<Done, Failure> {
    let Place { path, scope } = agent.place(wanted)?;
    let mut notes = agent.notes(wanted)?;
    let before = files::read(&path)?;
    let text = settings::add(agent, before.as_deref(), line, wanted.guard)
        .map_err(|r| at_file(r, &path))?;
    notes.extend(settings::compound(agent, &text, line).map(|c| left(&c)));
    if let Some(other) = before.as_deref().and_then(|b| settings::other_home(b, agent, line)) {
        notes.push(format!("a hook for another home stands there too and is left: {other}"));
    }
    let stood = before.as_deref().map(|b| without_ours(agent, b, line));
    let change = Change { path, before, after: Some(text), mode: None, links: Links::Followed };
    Ok(Done { scope, changes: vec![change], stood, notes })
}

/// A line that is not taken out.
fn left(command: &str) -> String {
    format!("a line with our words does more than ours and is left as it is: {command}")
}

/// Settings as they would be without us; what does not read is left as it is.
fn without_ours(agent: &Agent, bytes: &[u8], line: &Line) -> Vec<u8> {
    settings::remove(agent, bytes, line).unwrap_or_else(|_| bytes.to_owned())
}

fn plan_uninstall(
    agent: &'static Agent,
    line: &Line,
    wanted: &Wanted,
    kept: Option<&Kept>,
) -> Result<Done, Failure> {
    let Place { path, scope } = agent.place(wanted)?;
    let before = files::read(&path)?;
    let Some(now) = before else {
        return Ok(Done { scope, changes: Vec::new(), stood: None, notes: Vec::new() });
    };
    let mut notes: Vec<String> =
        settings::compound(agent, &now, line).map(|c| left(&c)).into_iter().collect();
    let stood = kept.and_then(|kept| kept.before(&path, &now));
    let after = match stood {
        // Nobody edited it since: it becomes what it was. What was kept by an older program may hold lines of ours.
        Some(stood) => stood.map(|stood| without_ours(agent, &stood, line)),
        None => {
            let text = settings::remove(agent, &now, line).map_err(|r| at_file(r, &path))?;
            if text != now {
                notes.push("the file was edited since; only the hooks were taken out".to_owned());
            }
            Some(text)
        }
    };
    let links = Links::Followed;
    let change = Change { path, before: Some(now), after, mode: None, links };
    Ok(Done { scope, changes: vec![change], stood: None, notes })
}

fn at_file(refusal: Refusal, path: &Path) -> Refusal {
    Refusal { message: format!("{}: {}", path.display(), refusal.message), ..refusal }
}

/// Makes the changes, in their order, and leaves a receipt of each.
fn carry_out(
    session: &mut Session<'_>,
    wanted: &Wanted,
    done: Done,
    action: &'static str,
) -> Result<u8, Stop> {
    let changes: Vec<Change> = done.changes.into_iter().filter(Change::is_one).collect();
    let mut receipts = Vec::new();
    if !wanted.dry_run && !changes.is_empty() {
        let mut kept = Kept::ready(session)?;
        for change in &changes {
            if action == "installed" {
                kept.keep(change, done.stood.as_deref())?;
            }
            change.make()?;
            receipts.push(receipt(session, &kept, wanted, done.scope, change, action)?);
            if action == "removed" {
                kept.forget(change)?;
            }
        }
    }
    say(session, wanted, &changes, &done.notes, &receipts, action)
}

fn receipt(
    session: &Session<'_>,
    kept: &Kept,
    wanted: &Wanted,
    scope: &str,
    change: &Change,
    action: &str,
) -> Result<String, Failure> {
    let hash = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|b| kept.hash(&change.path, b));
    let mut intent = Map::new();
    let mode = if wanted.guard { "guard" } else { "record" };
    let mut put = |name: &str, value: Value| intent.insert(name.to_owned(), value);
    put("agent", wanted.target.as_str().into());
    put("scope", scope.into());
    put("action", action.into());
    put("observed_by", "person".into());
    put("file", change.path.display().to_string().into());
    if action == "installed" {
        put("mode", mode.into());
    }
    if let Some(hash) = hash(&change.before) {
        put("before_hash", hash.into());
    }
    if let Some(hash) = hash(&change.after) {
        put("after_hash", hash.into());
    }
    let wish = Wish { verb: "installation", id: crate::session::fresh_id(), intent, tags: vec![] };
    let id = wish.id.clone();
    let mut told = deliver::deliver(session, vec![wish], deliver::patience(session)?)?;
    match told.pop() {
        Some(Err(failure)) => Err(failure),
        _ => Ok(id),
    }
}

fn say(
    session: &mut Session<'_>,
    wanted: &Wanted,
    changes: &[Change],
    notes: &[String],
    receipts: &[String],
    action: &str,
) -> Result<u8, Stop> {
    let screen = &mut session.screen;
    if screen.json {
        let changes: Vec<Value> = changes
            .iter()
            .map(|c| json!({"file": c.path.display().to_string(), "diff": c.diff()}))
            .collect();
        screen.document(&json!({
            "agent": wanted.target, "action": action, "dry_run": wanted.dry_run, "guard": wanted.guard,
            "changes": changes, "receipts": receipts, "notes": notes,
        }))?;
        return Ok(OK);
    }
    for change in changes {
        screen.raw(change.diff().as_bytes())?;
    }
    match (changes.is_empty(), wanted.dry_run) {
        (true, _) => screen.toned(Tone::Good, "nothing to change", "")?,
        (false, true) => screen.toned(Tone::Note, "dry run", "  nothing was changed")?,
        (false, false) => {
            let files: Vec<String> = changes.iter().map(|c| c.path.display().to_string()).collect();
            let rest = format!("  {} in {}", wanted.target, files.join(", "));
            screen.toned(Tone::Good, action, &rest)?;
            for id in receipts {
                screen.line(&format!("receipt    id {id}"))?;
            }
        }
    }
    notes.iter().for_each(|n| screen.note(n));
    if action == "installed" {
        PROMISE.lines().try_for_each(|line| screen.line(line))?;
    }
    Ok(OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        let word = |path: &str| quoted(Path::new(path)).map_err(|r| r.code);
        assert_eq!(word("/usr/bin/vm").unwrap(), "/usr/bin/vm");
        assert_eq!(word("/a b/$(x)/it's").unwrap(), r"'/a b/$(x)/it'\''s'");
        assert_eq!(word("/a\nb").unwrap_err(), "path_not_text");
        for path in ["/usr/bin/vm", "/a b/$(x)/it's", "/'", "/''"] {
            assert_eq!(unquoted(&word(path).unwrap()).unwrap(), Path::new(path));
        }
    }
}
