//! What `vm exec` tells, as calls: carried out by the process that owns the home, which has its key.

use super::examine::{self, ENGINE};
use crate::exit::{OK, Stop};
use crate::git::Repository;
use crate::paths::Paths;
use crate::session::Session;
use serde::{Deserialize, Serialize};
use std::path::Path;
use vm_console::keyed::{self, HomeKey};
use vm_console::ops;
use vm_console::read::text::{self, kept};
use vm_contracts::{Actor, Call, Failure, Map, Refusal, RefusalKind, Value};
use vm_ledger::{Answer, Ledger};

/// Longest text that is taken in: a command line may be as long as the system lets it be.
const TOLD_BYTES_MAX: u64 = 8 << 20;
/// What is told of a program, before it runs or when it has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// `call`, `result` or `whole`.
    pub phase: String,
    /// The session as it was named.
    pub session: String,
    /// Whether the session is of this program alone, and ends with it.
    pub own_session: bool,
    /// Id of the call, and of the receipt of its end.
    pub id: String,
    /// Public words.
    pub tags: Vec<String>,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Where it runs.
    pub cwd: String,
    /// How it ended.
    pub ended: Option<Ended>,
}

/// How a program ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// Exit code as shells say it.
    pub exit_code: i64,
    /// Whether a signal ended it.
    pub by_signal: bool,
    /// How long it ran.
    pub duration_ms: u64,
    /// Bytes and digest of standard output, where it was started at all.
    pub stdout: Option<(u64, String)>,
    /// The same of standard error.
    pub stderr: Option<(u64, String)>,
}

/// Commits what standard input tells, and answers with where the receipts stand.
pub fn run(session: &mut Session<'_>) -> Result<u8, Stop> {
    let bytes = session.screen.take_in_up_to("-", TOLD_BYTES_MAX)?.ok_or_else(|| {
        let what = format!("the command line is longer than {TOLD_BYTES_MAX} bytes");
        Refusal::new("too_large", RefusalKind::TooLarge, what)
    })?;
    let told: Told = serde_json::from_slice(&bytes).map_err(|e| {
        Refusal::malformed("bad_command", format!("what was told does not read: {e}"))
    })?;
    let actor = session.actor()?;
    session.in_home(|screen, ledger| {
        let key = ledger.import_key().map_err(Stop::from)?;
        let taking = Taking { ledger, key, actor, told: &told, paths: &screen.paths };
        let receipts = taking.run()?;
        screen
            .document(&serde_json::json!({"session_id": taking.session(), "receipts": receipts}))?;
        Ok(OK)
    })
}

struct Taking<'a> {
    ledger: &'a Ledger,
    key: HomeKey,
    actor: Actor,
    told: &'a Told,
    paths: &'a Paths,
}

impl Taking<'_> {
    fn session(&self) -> String {
        keyed::session_id(&self.key, &self.told.session)
    }

    fn run(&self) -> Result<Vec<Value>, Failure> {
        let begins = self.told.phase != "result";
        let mut done = Vec::new();
        // A receipt of its end stands under this id from then on, whatever session it was in.
        if begins && self.stands(&self.told.id)? {
            return Err(self.already_run().into());
        }
        if begins {
            done.extend(self.begin()?);
        }
        let answer = match self.submit("command", self.receipt_id(), self.command()) {
            Err(failure) if begins && failure.code() == "session_ended" => {
                done.push(self.start(true)?);
                self.submit("command", self.receipt_id(), self.command())?
            }
            other => other?,
        };
        if answer.existing && begins {
            return Err(self.already_run().into());
        }
        done.push(answer);
        if self.told.ended.is_some() && self.told.own_session {
            done.push(self.end()?);
        }
        done.iter().map(places).collect::<Result<Vec<_>, _>>().map(|all| all.concat())
    }

    /// Whether a call of this id left receipts.
    fn stands(&self, id: &str) -> Result<bool, Failure> {
        let begun = self.ledger.writer().heads().iter().any(|h| h.scroll == ENGINE);
        Ok(begun && self.ledger.find(ENGINE, id)?.is_some())
    }

    fn start_id(&self) -> String {
        keyed::receipt_id(&self.key, &self.session(), "", "start")
    }

    fn already_run(&self) -> Refusal {
        let what = format!("{} is the id of a program that ran before", self.told.id);
        Refusal::conflict("already_run", what)
            .field("id")
            .hint("Each run has an id of its own; leave --id out, or give another one.")
    }

    /// Starts the session, unless it is there.
    fn begin(&self) -> Result<Option<Answer>, Failure> {
        if self.stands(&self.start_id())? {
            return Ok(None);
        }
        match self.start(false) {
            Err(failure) if failure.code() == "session_exists" => Ok(None),
            other => other.map(Some),
        }
    }

    fn start(&self, resumed: bool) -> Result<Answer, Failure> {
        let mut intent = Map::new();
        intent.insert("session_id".into(), self.session().into());
        intent.insert("agent_type".into(), "vm-exec".into());
        intent.insert("agent_version".into(), env!("CARGO_PKG_VERSION").into());
        intent.insert("caller".into(), self.actor.0.clone().into());
        intent.insert("mode".into(), "wrapper".into());
        intent.insert("observed_by".into(), "wrapper".into());
        if resumed {
            intent.insert("resumed".into(), true.into());
        }
        // A directory outside any repository has no project, and that is fine.
        if let Ok(repository) = Repository::open(&self.paths.find(&self.told.cwd)) {
            let top = examine::bytes(&repository.main);
            intent.insert("project_id".into(), keyed::project_id(&self.key, &top).into());
            intent.insert(
                "project_path".into(),
                kept(&keyed::path_text(&top), ops::TEXT_BYTES_MAX).into(),
            );
            if let Ok(head) = repository.resolve("HEAD") {
                intent.insert("git_head".into(), head.to_string().into());
            }
        }
        // One that is started again has no id of its own that could be known beforehand.
        let id = match resumed {
            true => crate::session::fresh_id(),
            false => self.start_id(),
        };
        self.submit("session-start", id, intent)
    }

    fn end(&self) -> Result<Answer, Failure> {
        let mut intent = Map::new();
        intent.insert("session_id".into(), self.session().into());
        intent.insert("exit_reason".into(), "exited".into());
        intent.insert("observed_by".into(), "wrapper".into());
        if let Some(ended) = &self.told.ended {
            intent.insert("exit_code".into(), ended.exit_code.into());
        }
        let id = keyed::receipt_id(&self.key, &self.session(), "", "end");
        self.submit("session-end", id, intent)
    }

    /// The receipt of the end has the id that was asked for: it is the one to prove.
    fn receipt_id(&self) -> String {
        match self.told.phase.as_str() {
            "call" => keyed::receipt_id(&self.key, &self.session(), &self.told.id, "call"),
            _ => self.told.id.clone(),
        }
    }

    fn command(&self) -> Map<String, Value> {
        let told = self.told;
        let mut intent = Map::new();
        let mut put = |name: &str, value: Value| drop(intent.insert(name.to_owned(), value));
        put("session_id", self.session().into());
        put("call_id", keyed::call_id(&self.key, &told.id).into());
        put("phase", told.phase.clone().into());
        put("observed_by", "wrapper".into());
        if told.phase != "result" {
            put("command", command_line(&told.argv).into());
            put("args_hash", keyed::args(&self.key, told.argv.join("\0").as_bytes()).into());
            let program = told.argv.first().map_or("", String::as_str);
            let name = Path::new(program).file_name().and_then(|n| n.to_str()).unwrap_or(program);
            if let Some(name) = text::name(name, ops::NAME_BYTES_MAX) {
                put("program", name.into());
            }
            put("cwd", kept(&told.cwd, ops::TEXT_BYTES_MAX).into());
        }
        let Some(ended) = &told.ended else { return intent };
        put("exit_code", ended.exit_code.into());
        put("is_error", (ended.exit_code != 0).into());
        put("duration_ms", ended.duration_ms.into());
        put("interrupted", ended.by_signal.into());
        for (name, stream) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
            if let Some((bytes, digest)) = stream {
                put(&format!("{name}_bytes"), (*bytes).into());
                put(&format!("{name}_hash"), digest.clone().into());
            }
        }
        intent
    }

    fn submit(
        &self,
        verb: &str,
        id: String,
        intent: Map<String, Value>,
    ) -> Result<Answer, Failure> {
        self.ledger.submit(Call {
            id: Some(id),
            actor: self.actor.clone(),
            surface: "exec".into(),
            engine: ENGINE.into(),
            verb: verb.into(),
            intent,
            tags: self.told.tags.clone(),
        })
    }
}

/// Where the receipts of an answer stand.
fn places(answer: &Answer) -> Result<Vec<Value>, Failure> {
    let rows = crate::answer::call::rows(answer).map_err(|stop| match stop {
        Stop::Failure(failure) => failure,
        _ => vm_contracts::Fault::new("line_unreadable", "the answer cannot be told").into(),
    })?;
    let place = |row: &crate::answer::receipt::Row| {
        let line = &row.line;
        serde_json::json!({"receipt": format!("{}/{}", line.scroll, line.seq), "type": line.kind, "id": line.id})
    };
    Ok(rows.iter().map(place).collect())
}

/// A command line as a person types it, without what looks like a secret.
pub fn command_line(argv: &[String]) -> String {
    let words: Vec<String> = argv.iter().map(|word| crate::args::example::quoted(word)).collect();
    kept(&words.join(" "), ops::COMMAND_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_as_a_shell_would() {
        let argv = ["echo", "a b", "$HOME"].map(str::to_owned);
        assert_eq!(command_line(&argv), "echo 'a b' '$HOME'");
    }
}
