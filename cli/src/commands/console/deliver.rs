//! Calls of a process that does not give its whole command away: committed by whoever owns the home, or by this
//! process as its owner for a moment.

use crate::Sent;
use crate::client::{Client, forward};
use crate::config::{Flags, Loaded};
use crate::exit::{self, Stop};
use crate::paths::Paths;
use crate::screen::Screen;
use crate::session::{House, Session, Way, Words};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::io::{Cursor, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vm_contracts::{Call, Failure, Lost, NoPorts, OwnerGate};
use vm_ledger::openings::Aside;
use vm_ledger::{Ledger, home};

/// Name of the engine.
pub const ENGINE: &str = "console";
/// How long to wait before an owner that did not begin is asked again.
const AGAIN: Duration = Duration::from_millis(5);

/// One call to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Verb of the operation.
    pub verb: &'static str,
    /// Id of the call; the same again appends nothing.
    pub id: String,
    /// The intent.
    pub intent: Map<String, Value>,
    /// Tags of the receipts.
    pub tags: Vec<String>,
}

/// What became of a call: whether it had been made before.
pub type Told = Result<bool, Failure>;

/// How long a command of a person waits for the home.
pub fn patience(session: &Session<'_>) -> Result<Duration, Failure> {
    Ok(Duration::from_secs(session.loaded()?.config.lock.wait_seconds))
}

/// Makes the calls, in their order; one answer for each.
pub fn deliver(
    session: &Session<'_>,
    wishes: Vec<Wish>,
    wait: Duration,
) -> Result<Vec<Told>, Failure> {
    let loaded = session.loaded()?;
    let actor = session.actor()?;
    reach(
        (session.house, &loaded, wait),
        |mut owner| ask(&mut owner, &wishes).map(Some),
        |ledger| {
            let calls = wishes.iter().map(|wish| Call {
                id: Some(wish.id.clone()),
                actor: actor.clone(),
                surface: "cli".into(),
                engine: ENGINE.into(),
                verb: wish.verb.into(),
                intent: wish.intent.clone(),
                tags: wish.tags.clone(),
            });
            let answers = ledger.submit_all(calls.collect());
            Ok(answers.into_iter().map(|a| a.map(|a| a.existing)).collect())
        },
    )
}

/// Has the owner make the calls. It takes them for those of this user.
fn ask(owner: &mut Client, wishes: &[Wish]) -> Result<Vec<Told>, Failure> {
    let lines: Vec<String> = wishes
        .iter()
        .map(|w| {
            json!({"engine": ENGINE, "verb": w.verb, "id": w.id, "intent": w.intent, "tags": w.tags})
                .to_string()
        })
        .collect();
    let mut told: Vec<Told> = Vec::new();
    let status = owner.calls(&mut Cursor::new(lines.join("\n")), true, &mut |answer| {
        told.push(match answer.get("error") {
            Some(error) => Err(exit::of_json(error)),
            None => Ok(answer["existing"] == Value::Bool(true)),
        });
    })?;
    match status == 200 && told.len() == wishes.len() {
        true => Ok(told),
        false => {
            let message =
                format!("the owner of the home answered {} of {} calls", told.len(), wishes.len());
            Err(Lost { message }.into())
        }
    }
}

/// Comes to the home within a time: `there` speaks with its owner, and gives `None` where that one went away before it
/// began; `here` works in it as its owner.
pub fn reach<T>(
    (house, loaded, wait): (House, &Loaded, Duration),
    mut there: impl FnMut(Client) -> Result<Option<T>, Failure>,
    here: impl FnOnce(&Ledger) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let deadline = Instant::now() + wait;
    loop {
        if let Some(owner) = Client::connect(&loaded.home)?
            && let Some(done) = there(owner)?
        {
            return Ok(done);
        }
        // Once the time is over the lock's own error is the answer.
        let mut served =
            || Instant::now() < deadline && matches!(Client::connect(&loaded.home), Ok(Some(_)));
        let rest = deadline.saturating_duration_since(Instant::now());
        let doors = (Arc::new(OwnerGate) as Arc<_>, Arc::new(NoPorts) as Arc<_>);
        let (guard, settings) = (loaded.guard()?, loaded.settings());
        let owned =
            home::open_unless(&loaded.home, &guard, settings, house, doors, rest, &mut served)?;
        if let Some(owned) = owned {
            let result = here(&owned.ledger);
            // The work's own failure says more than the flush that failed after it.
            let closed = owned.close();
            let value = result?;
            closed?;
            return Ok(value);
        }
        std::thread::sleep(AGAIN);
    }
}

/// What a command said.
pub struct Said {
    /// Its exit code.
    pub code: u8,
    /// Its standard output.
    pub out: Vec<u8>,
    /// Its standard error.
    pub err: Vec<u8>,
}

impl Said {
    /// The one JSON document that it said, or the error that it ended with.
    pub fn document(&self) -> Result<Value, Failure> {
        let lost = || {
            Failure::from(Lost {
                message: "the owner of the home did not answer as it should".into(),
            })
        };
        if self.code == exit::OK {
            return serde_json::from_slice(&self.out).map_err(|_| lost());
        }
        // What is noted beside the error comes before it.
        let last = self.err.trim_ascii_end().rsplit(|b| *b == b'\n').next().unwrap_or_default();
        Err(exit::of_json(&serde_json::from_slice(last).map_err(|_| lost())?))
    }
}

/// Has another command of this program carried out, by the owner or here, and takes what it says.
pub fn command(session: &Session<'_>, words: &[&str], wait: Duration) -> Result<Said, Failure> {
    let loaded = session.loaded()?;
    let (house, flags) = (session.house, &session.flags);
    reach(
        (house, &loaded, wait),
        |owner| ask_words((house, flags), words, &[], owner),
        |ledger| {
            let sent = Sent {
                words: words.iter().map(Into::into).collect(),
                home: loaded.home.clone(),
                actor_key: flags.actor_key.clone(),
                id: crate::session::fresh_id(),
            };
            let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), std::io::empty());
            let screen = quiet(&mut out, &mut err, &mut input);
            let code = crate::run_lent(house, sent, screen, (ledger, &loaded));
            Ok(Said { code, out, err })
        },
    )
}

/// Has the owner carry out a command with this standard input; `None` where it went away before it began.
pub fn ask_words(
    (house, flags): (House, &Flags),
    words: &[&str],
    input: &[u8],
    owner: Client,
) -> Result<Option<Said>, Failure> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut input = input;
    let way = Way::Find(Words {
        all: words.iter().map(Into::into).collect(),
        read: Rc::new(RefCell::new(Some(Vec::new()))),
        kind: forward::Kind { is_call: false, is_batch: false },
    });
    let id = crate::session::fresh_id();
    let screen = quiet(&mut out, &mut err, &mut input);
    let mut sent = Session { house, screen, flags: flags.clone(), id, way };
    let code = match forward::try_command(&mut sent, owner) {
        Ok(code) => code,
        Err(Stop::Failure(failure)) => return Err(failure),
        Err(_) => return Err(Lost { message: "what the owner said was not taken".into() }.into()),
    };
    Ok(code.map(|code| Said { code, out, err }))
}

/// Streams of nobody.
pub fn quiet<'a>(
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    input: &'a mut dyn Read,
) -> Screen<'a> {
    Screen { out, err, input, colour: false, live: false, json: true, paths: Paths::default() }
}

/// The boxes of the home. The key is made where the home has none yet, by whoever owns it.
pub fn aside(session: &mut Session<'_>) -> Result<Aside, Failure> {
    let loaded = session.loaded()?;
    let load = || Aside::load(&loaded.home, &loaded.settings().ledger);
    if let Some(aside) = load()? {
        return Ok(aside);
    }
    super::hook::make_key(session)?;
    load()?.ok_or_else(|| Lost { message: "the key of the home was not made".into() }.into())
}
