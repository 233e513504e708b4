//! `vm exec`: a program between two receipts.
//!
//! The program runs here, where it was asked for. What is known of it goes to the ledger as two commands of this very
//! program: one before it runs, durable before it begins, and one when it has ended. So the home is held only for those
//! moments, and its owner writes them where there is one.

mod child;
pub mod signals;

use super::wrapped::{Ended, Told};
use crate::commands::text;
use crate::exit::{self, OK, Stop};
use crate::paths::Paths;
use crate::screen::Screen;
use crate::session::{Session, fresh_id};
use child::{KEPT_BYTES_MAX, Start, Stream};
use clap::ArgMatches;
use std::ffi::{OsStr, OsString};
use std::io::{self, Cursor, Read};
use std::os::unix::ffi::OsStrExt;
use vm_console::keyed;
use vm_contracts::{Refusal, Value};

/// Exit codes of a program that cannot be started, as shells have them.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;
/// What names the session of commands inside of others.
const SESSION: &str = "VM_SESSION";
/// Longest session name that is taken from the environment.
const SESSION_BYTES_MAX: usize = 1_024;

/// Runs the program and exits as it does.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    session.engine(super::examine::ENGINE)?;
    let argv: Vec<OsString> = given.get_many("argv").unwrap_or_default().cloned().collect();
    let mut told = told(session, given, &argv)?;
    let mut act = Act { session, given, receipts: Vec::new() };
    let fails_open = given.get_flag("fail-open");
    told.phase = "call".into();
    if let Err(said) = act.tell(&told) {
        if !fails_open {
            return Err(said.stop(act.session));
        }
        act.say(&said.text);
        act.say("note: nothing was recorded of it before it ran\n");
        told.phase = "whole".into();
    }
    let keep = given.get_flag("keep");
    let (code, ended, streams) =
        end(act.session, &argv, &Start { argv: &argv, session: &told.session, keep })?;
    if told.phase == "call" {
        told.phase = "result".into();
    }
    told.ended = Some(ended);
    // What was kept belongs to a session that has not ended, so it goes first.
    let kept = streams.into_iter().filter(|(_, s)| keep && s.bytes > 0);
    let mut lost = kept.filter_map(|(name, s)| act.keep(&told, name, s).err()).last();
    lost = act.tell(&told).err().or(lost);
    let Some(said) = lost else {
        act.done(code)?;
        return Ok(code);
    };
    act.say(&said.text);
    act.say("note: the program has run, and not all of it is recorded\n");
    Ok(if code == OK && !fails_open { said.code } else { code })
}

/// What is told of the program before it runs.
fn told(session: &Session<'_>, given: &ArgMatches, argv: &[OsString]) -> Result<Told, Stop> {
    let from_outside = std::env::var(SESSION).ok().filter(|name| !name.is_empty());
    let named = text(given, "session").map(str::to_owned).or(from_outside);
    if named.as_ref().is_some_and(|name| name.len() > SESSION_BYTES_MAX) {
        let what = format!("the session has a name of more than {SESSION_BYTES_MAX} bytes");
        return Err(Refusal::malformed("bad_id", what).field("session").into());
    }
    let id = text(given, "id").map_or_else(|| session.id.clone(), str::to_owned);
    let words = argv.iter().map(|word| plain(word));
    let cwd = std::env::current_dir().unwrap_or_default();
    Ok(Told {
        own_session: named.is_none(),
        session: named.unwrap_or_else(|| format!("exec-{}", fresh_id())),
        id,
        tags: given.get_many::<String>("tag").unwrap_or_default().cloned().collect(),
        argv: words.collect(),
        cwd: plain(cwd.as_os_str()),
        ..Told::default()
    })
}

/// A word as text; one that is none is written with escapes.
fn plain(word: &OsStr) -> String {
    word.to_str().map_or_else(|| keyed::path_text(word.as_bytes()), str::to_owned)
}

/// The program's exit code, what is told of it, and what it wrote.
type End = (u8, Ended, Vec<(&'static str, Stream)>);

/// Runs it; one that cannot be started has an end too.
fn end(session: &mut Session<'_>, argv: &[OsString], start: &Start<'_>) -> Result<End, Stop> {
    session.screen.flush()?;
    match child::run(start) {
        Ok(ended) => {
            let told = Ended {
                exit_code: ended.code.into(),
                by_signal: ended.by_signal,
                duration_ms: u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
                stdout: Some((ended.stdout.bytes, ended.stdout.digest.clone())),
                stderr: Some((ended.stderr.bytes, ended.stderr.digest.clone())),
            };
            Ok((ended.code, told, vec![("stdout", ended.stdout), ("stderr", ended.stderr)]))
        }
        Err(e) => {
            let program = argv.first().map(|word| plain(word)).unwrap_or_default();
            let code = if e.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED };
            let fault = vm_contracts::Fault::new(
                "cannot_start",
                format!("{program} cannot be started: {e}"),
            );
            // When standard error is gone, the exit code still says it.
            let _ = session.screen.err.write_all(exit::to_text(&fault.into()).as_bytes());
            Ok((code, Ended { exit_code: code.into(), ..Ended::default() }, Vec::new()))
        }
    }
}

/// What a command of ours said where it failed.
struct Said {
    code: u8,
    text: String,
}

impl Said {
    /// Its words, as those of this command.
    fn stop(self, session: &mut Session<'_>) -> Stop {
        // When standard error is gone, the exit code still says it.
        let _ = session.screen.err.write_all(self.text.as_bytes());
        Stop::Done(self.code)
    }
}

struct Act<'a, 's> {
    session: &'a mut Session<'s>,
    given: &'a ArgMatches,
    receipts: Vec<Value>,
}

impl Act<'_, '_> {
    /// Has what is told committed, here or at the owner.
    fn tell(&mut self, told: &Told) -> Result<(), Said> {
        let bytes = serde_json::to_vec(told).expect("texts and numbers become JSON");
        let words = ["console", "wrapped"].map(OsString::from);
        let answer = self.ask(&words, bytes)?;
        self.receipts.extend(answer["receipts"].as_array().cloned().unwrap_or_default());
        Ok(())
    }

    /// Has what a stream carried taken in as evidence.
    fn keep(&mut self, told: &Told, name: &str, stream: Stream) -> Result<(), Said> {
        if stream.is_cut() {
            let mib = KEPT_BYTES_MAX >> 20;
            self.say(&format!("note: of {name} the first {mib} MiB are kept\n"));
        }
        let kind = text(self.given, "type").unwrap_or("command-output");
        // In one word with its flag: a value may begin with a dash.
        let mut words: Vec<OsString> = vec!["record".into(), "-".into()];
        let mut put = |flag: &str, value: &str| words.push(format!("--{flag}={value}").into());
        put("type", kind);
        put("name", name);
        put("session", &told.session);
        put("call", &told.id);
        put("observed-by", "wrapper");
        told.tags.iter().for_each(|tag| put("tag", tag));
        let answer = self.ask(&words, stream.kept)?;
        let receipts = answer["receipts"].as_array().into_iter().flatten();
        let place = |r: &Value| {
            let scroll = r["scroll"].as_str().unwrap_or_default();
            serde_json::json!({"receipt": format!("{scroll}/{}", r["seq"]), "type": r["line"]["type"], "id": r["line"]["id"]})
        };
        self.receipts.extend(receipts.map(place));
        Ok(())
    }

    /// Carries out a command of this program with other standard streams.
    fn ask(&mut self, words: &[OsString], input: Vec<u8>) -> Result<Value, Said> {
        let flags = &self.session.flags;
        let mut all: Vec<OsString> = vec!["vm".into()];
        all.extend_from_slice(words);
        all.push("--json".into());
        let home = flags.home.as_ref().map(|p| p.clone().into_os_string());
        all.extend(home.into_iter().flat_map(|home| ["--home".into(), home]));
        let wait = flags.wait_seconds.map(|s| s.to_string().into());
        all.extend(wait.into_iter().flat_map(|wait| ["--wait".into(), wait]));
        let key = flags.actor_key.as_ref().map(|p| p.clone().into_os_string());
        all.extend(key.into_iter().flat_map(|key| ["--actor-key".into(), key]));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut input: Box<dyn Read> = Box::new(Cursor::new(input));
        let screen = Screen {
            out: &mut out,
            err: &mut err,
            input: &mut input,
            colour: false,
            live: false,
            json: true,
            paths: Paths::default(),
        };
        let code = crate::run(self.session.house, all, screen);
        let text = String::from_utf8_lossy(&err).into_owned();
        if code == OK {
            // Notes are for whoever asked.
            self.say(&text);
            return Ok(serde_json::from_slice(&out).unwrap_or_default());
        }
        Err(Said { code, text: self.readable(text) })
    }

    /// An error for a person, unless JSON was asked for.
    fn readable(&self, text: String) -> String {
        if self.session.screen.json {
            return text;
        }
        let (mut notes, mut said) = (String::new(), None);
        for line in text.lines() {
            match serde_json::from_str::<Value>(line) {
                Ok(error) if error["code"].is_string() => said = Some(error),
                _ => notes.push_str(&format!("{line}\n")),
            }
        }
        if let Some(error) = said {
            notes.push_str(&exit::to_text(&exit::of_json(&error)));
        }
        notes
    }

    /// Says something beside what the program says.
    fn say(&mut self, text: &str) {
        // Whoever closed standard error does not want to know.
        let _ = self.session.screen.err.write_all(text.as_bytes());
    }

    /// Says where the receipts stand.
    fn done(&mut self, code: u8) -> Result<(), Stop> {
        if self.given.get_flag("quiet") {
            return Ok(());
        }
        let receipts = std::mem::take(&mut self.receipts);
        if self.session.screen.json {
            let document = serde_json::json!({"exit_code": code, "receipts": receipts});
            self.say(&format!("{document}\n"));
            return Ok(());
        }
        let commands = receipts
            .iter()
            .filter(|r| r["type"] != "console_session_start" && r["type"] != "console_session_end");
        let places: Vec<&str> = commands.filter_map(|r| r["receipt"].as_str()).collect();
        self.say(&format!("note: recorded as {}\n", places.join(", ")));
        Ok(())
    }
}
