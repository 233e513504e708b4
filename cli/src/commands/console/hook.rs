//! `vm console hook`: one event of an agent, from standard input.
//!
//! The process that the agent starts says what it sees around itself (an *envelope*), and the owner of the home plans,
//! judges and records; without an owner the process is that for a moment. Nothing that the agent could take for a
//! decision is printed but the decision.
//!
//! *record* lets pass: after one second, or whatever goes wrong, the exit code is 0, and the event waits in the spool.
//! *guard* stops: after ten seconds, or whatever goes wrong, the exit code is 2.

use super::before::Before;
use super::deliver;
use super::dialect;
use super::envelope::{Envelope, Mode};
use super::glance::Glance;
use super::observe;
use super::plan;
use super::rules::Rules;
use super::spool::{self, Reason};
use super::take::{self, Verdict};
use crate::client::Client;
use crate::commands::required;
use crate::config::{Flags, Loaded};
use crate::exit::{self, OK, Stop};
use crate::screen::last_words;
use crate::session::{House, Session, Way};
use clap::ArgMatches;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use vm_contracts::{Failure, Lost, Refusal, RefusalKind};
use vm_ledger::openings::Aside;

/// Exit code that stops an act.
pub const STOPS: u8 = 2;
/// Longest event that is read.
const EVENT_BYTES_MAX: u64 = 16 << 20;
/// How long an event that is let pass may take.
const RECORD_DEADLINE: Duration = Duration::from_secs(1);
/// How long one that is guarded may take; agents are told to wait longer.
const GUARD_DEADLINE: Duration = Duration::from_secs(10);
/// How long an event that is let pass waits for the home.
const RECORD_WAIT: Duration = Duration::from_millis(200);
/// How long one that is guarded waits for it.
const GUARD_WAIT: Duration = Duration::from_secs(8);

/// Takes the event: of a client, or of the agent that started this process.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    if matches!(session.way, Way::Lent { .. }) {
        return take::lent(session);
    }
    let mode = Mode::of(required(given, "mode"));
    let late = Late::arm(mode);
    let told = catch_unwind(AssertUnwindSafe(|| of_agent(session, given, mode, &late)));
    let told = told
        .unwrap_or_else(|_| Err(Lost { message: "the hook broke in the middle".into() }.into()));
    late.disarm();
    match told {
        Ok(verdict) => dialect::say(&mut session.screen, required(given, "agent"), mode, &verdict),
        Err(failure) => {
            // Agents show one line of it.
            let told = exit::to_text(&failure);
            let _ = writeln!(session.screen.err, "{}", told.trim_end().replace('\n', "; "));
            Ok(mode.exit_of_failure())
        }
    }
}

/// Exit code of a command line of ours that does not parse: an agent whose settings are old is not stopped by it unless
/// it is guarded.
pub fn exit_of_usage(words: &[std::ffi::OsString], code: u8) -> u8 {
    let at = |i: usize| words.get(i).and_then(|w| w.to_str());
    let is_hook = (1..words.len()).any(|i| at(i) == Some("console") && at(i + 1) == Some("hook"));
    let guards = words.iter().any(|w| w == "guard" || w == "--mode=guard");
    if !is_hook || code == OK {
        code
    } else if guards {
        STOPS
    } else {
        OK
    }
}

/// Makes the key of the home, by whoever owns it.
pub fn make_key(session: &mut Session<'_>) -> Result<(), Failure> {
    let loaded = session.loaded()?;
    let wait = deliver::patience(session)?;
    carry(session, &loaded, &Envelope::empty(), wait).map(drop)
}

fn of_agent(
    session: &mut Session<'_>,
    given: &ArgMatches,
    mode: Mode,
    late: &Late,
) -> Result<Verdict, Failure> {
    let loaded = session.loaded()?;
    late.home(&loaded);
    let mut bytes = Vec::new();
    let read = session.screen.input.take(EVENT_BYTES_MAX + 1).read_to_end(&mut bytes);
    let mut envelope = Envelope {
        agent: required(given, "agent").to_owned(),
        mode,
        isolation: observe::isolation(&loaded.home).word().to_owned(),
        cwd: std::env::current_dir().ok().and_then(|d| d.to_str().map(str::to_owned)),
        seen_at: plan::now(),
        observed_by: "hook".into(),
        nonce: crate::session::fresh_id(),
        // So that nothing is looked at again where even looking takes too long.
        glance: Some(Glance::default()),
        events: vec![String::from_utf8_lossy(&bytes).into_owned()],
    };
    late.seen(&envelope);
    let sound = match read {
        Err(e) => Err(exit::unreadable("-", &e)),
        Ok(_) if bytes.len() as u64 > EVENT_BYTES_MAX => Err(too_long()),
        Ok(_) => Ok(()),
    };
    envelope.glance = glance(&loaded, &envelope);
    late.seen(&envelope);
    let wait = if mode == Mode::Guard { GUARD_WAIT } else { RECORD_WAIT };
    let told = sound.and_then(|()| carry(session, &loaded, &envelope, wait));
    if let (Err(failure), Mode::Record) = (&told, mode) {
        keep_aside(&loaded, &envelope, reason(failure));
    }
    told
}

fn too_long() -> Failure {
    let what = format!("the event is longer than {EVENT_BYTES_MAX} bytes");
    Refusal::new("too_large", RefusalKind::TooLarge, what).into()
}

/// Why an event that failed so waits in the spool.
fn reason(failure: &Failure) -> Reason {
    match failure {
        Failure::Refusal(r) if r.kind == RefusalKind::Unavailable => Reason::NoOwner,
        Failure::Refusal(_) => Reason::Malformed,
        Failure::Lost(_) => Reason::Deadline,
        _ => Reason::Disk,
    }
}

/// Has an envelope taken in: by the owner, or here.
pub fn carry(
    session: &mut Session<'_>,
    loaded: &Loaded,
    envelope: &Envelope,
    wait: Duration,
) -> Result<Verdict, Failure> {
    let house = session.house;
    let actor = session.actor()?;
    let flags = session.flags.clone();
    deliver::reach(
        (house, loaded, wait),
        |owner| ask((house, &flags), envelope, owner),
        |ledger| take::take(ledger, loaded, &actor, envelope),
    )
}

/// Looks at what the event is about before it goes anywhere; without a key of the home whoever makes that one looks.
fn glance(loaded: &Loaded, envelope: &Envelope) -> Option<Glance> {
    let aside = Aside::load(&loaded.home, &loaded.settings().ledger).ok().flatten()?;
    let (key, before) = (aside.import_key(), Before::of(&loaded.home));
    envelope.events.first().map(|event| Glance::of(&key, &before, envelope, event))
}

/// Forwards the envelope as the standard input of a command of ours.
fn ask(
    at: (House, &Flags),
    envelope: &Envelope,
    owner: Client,
) -> Result<Option<Verdict>, Failure> {
    let input = envelope.to_json().to_string();
    let words = ["vm", "console", "hook", "--json"];
    let Some(said) = deliver::ask_words(at, &words, input.as_bytes(), owner)? else {
        return Ok(None);
    };
    let verdict = Verdict::of_json(&said.document()?);
    verdict
        .map(Some)
        .ok_or_else(|| Lost { message: "the owner of the home gave no verdict".into() }.into())
}

/// Puts an envelope into the spool. What cannot be kept even there is lost, and counted where that can be.
pub fn keep_aside(loaded: &Loaded, envelope: &Envelope, reason: Reason) {
    let home = &loaded.home;
    let aside = Aside::load(home, &loaded.settings().ledger).ok().flatten();
    let rules = Rules::of(&loaded.config.console, envelope.mode).unwrap_or_default();
    for event in plan::aside(home, aside.as_ref(), &rules, envelope, reason) {
        let _ = spool::append(home, aside.as_ref(), &event);
    }
}

/// Notes in the spool that an event of an unknown session was lost.
fn lost(loaded: &Loaded, reason: Reason) {
    let aside = Aside::load(&loaded.home, &loaded.settings().ledger).ok().flatten();
    let event = spool::Event { reason, at: plan::now(), session: None, calls: Vec::new() };
    let _ = spool::append(&loaded.home, aside.as_ref(), &event);
}

/// Ends the process when the deadline comes, in the way its mode asks for.
#[derive(Clone)]
pub struct Late {
    seen: Arc<Mutex<Seen>>,
    end: mpsc::Sender<()>,
}

#[derive(Default)]
struct Seen {
    loaded: Option<Loaded>,
    envelope: Option<Envelope>,
}

impl Late {
    fn arm(mode: Mode) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (end, ended) = mpsc::channel();
        let shared = seen.clone();
        let deadline = if mode == Mode::Guard { GUARD_DEADLINE } else { RECORD_DEADLINE };
        let watch = move || {
            if ended.recv_timeout(deadline) == Err(mpsc::RecvTimeoutError::Timeout) {
                is_late(mode, &shared);
            }
        };
        // A process that cannot start a thread has no deadline; the agent's own holds then.
        let _ = std::thread::Builder::new().spawn(watch);
        Self { seen, end }
    }

    fn home(&self, loaded: &Loaded) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.loaded = Some(loaded.clone());
    }

    fn seen(&self, envelope: &Envelope) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.envelope = Some(envelope.clone());
    }

    fn disarm(self) {
        // The watch may never have started.
        let _ = self.end.send(());
    }
}

fn is_late(mode: Mode, seen: &Mutex<Seen>) {
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    if mode == Mode::Guard {
        let told =
            format!("vm: not recorded within {} s, so it is stopped", GUARD_DEADLINE.as_secs());
        last_words(&told);
    } else if let Some(loaded) = seen.loaded {
        match seen.envelope {
            Some(envelope) => keep_aside(&loaded, &envelope, Reason::Deadline),
            // The agent did not come to the end of its event.
            None => lost(&loaded, Reason::Deadline),
        }
    }
    std::process::exit(i32::from(mode.exit_of_failure()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_that_does_not_parse_stops_only_the_guarded() {
        let code = |words: &str| {
            let words: Vec<_> = words.split(' ').map(Into::into).collect();
            exit_of_usage(&words, 2)
        };
        assert_eq!(code("vm --home /h console hook --agnet claude"), 0);
        assert_eq!(code("vm --home /h console hook --agnet claude --mode guard"), 2);
        assert_eq!(code("vm console sessions --agnet x"), 2);
        assert_eq!(exit_of_usage(&["vm".into()], 0), 0);
    }
}
