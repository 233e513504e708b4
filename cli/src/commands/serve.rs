//! `vm serve`: owns the home, and works for every command that is given meanwhile.

use crate::client::Client;
use crate::config::Loaded;
use crate::exit::{OK, Stop};
use crate::screen::Tone;
use crate::serve::{self, Ended, Ready, Start};
use crate::session::Session;
use crate::socket;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use vm_contracts::{Failure, OwnerGate, Refusal};
use vm_ledger::home;
use vm_ledger::lock::LOCK;

/// How long opening a home may take before it is said that it takes long.
const OPENING: Duration = Duration::from_secs(2);

/// Serves until it is told to stop.
pub fn run(session: &mut Session<'_>) -> Result<u8, Stop> {
    let loaded = Loaded::of_home(&session.flags)?;
    let wait = Duration::from_secs(loaded.config.lock.wait_seconds);
    let mut found = Ok(None);
    let mut instead = || {
        found = Client::connect(&loaded.home);
        !matches!(found, Ok(None))
    };
    let doors = (Arc::new(OwnerGate) as Arc<_>, Arc::new(crate::sources::Doors) as Arc<_>);
    let (home, guard, settings) = (loaded.home.clone(), loaded.guard()?, loaded.settings());
    let opened = aloud(&home.display().to_string(), || {
        home::open_unless(&home, &guard, settings, session.house, doors, wait, &mut instead)
    })?;
    let Some(owned) = opened else {
        found?;
        return Err(served(&loaded).into());
    };
    let messages = owned.ledger.writer().take_messages();
    messages.iter().for_each(|m| session.screen.note(m));
    // What agents did while nobody could write. It waits on where it cannot be taken in now.
    let actor = crate::session::actor()?;
    if let Err(failure) = crate::commands::console::take::spool(&owned.ledger, &loaded, &actor) {
        session.screen.note(&format!("the spool was not taken in: {failure}"));
    }
    let ready = Ready::new()?;
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let bound = socket::bind(&loaded.home, &loaded.config.ledger.id, runtime)?;
    say(session, &loaded, &bound.path, &owned.ledger)?;
    let start = Start { house: session.house, loaded, owned, bound };
    match serve::run(ready, start)? {
        Ended::Asked => Ok(OK),
        Ended::AtOnce(code) => Ok(code),
    }
}

/// Says that opening goes on, where it takes long: a home that was not closed well is checked first.
fn aloud<T>(home: &str, open: impl FnOnce() -> T) -> T {
    let (done, opened) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut seconds = 0;
            while opened.recv_timeout(OPENING) == Err(mpsc::RecvTimeoutError::Timeout) {
                seconds += OPENING.as_secs();
                eprintln!("note: {home} is being opened, or waited for, since {seconds} s");
            }
        });
        let opened = open();
        drop(done);
        opened
    })
}

/// A home has one owner; this names it.
fn served(loaded: &Loaded) -> Failure {
    let owner = std::fs::read_to_string(loaded.home.join(LOCK)).unwrap_or_default();
    let pid = owner.split(' ').next().filter(|pid| !pid.is_empty()).unwrap_or("unknown");
    let path = socket::find(&loaded.home).unwrap_or_default();
    let what = format!(
        "{} is served already: process {pid} listens at {}",
        loaded.home.display(),
        path.display()
    );
    Refusal::conflict("already_served", what)
        .hint("Commands find it by themselves. To serve from here, stop it first.")
        .into()
}

fn say(
    session: &mut Session<'_>,
    loaded: &Loaded,
    path: &std::path::Path,
    ledger: &vm_ledger::Ledger,
) -> Result<(), Stop> {
    let heads = ledger.writer().heads();
    let screen = &mut session.screen;
    if screen.json {
        let scrolls: Vec<_> =
            heads.iter().map(|h| serde_json::json!({"scroll": h.scroll, "size": h.size})).collect();
        screen.document(&serde_json::json!({
            "home": loaded.home.display().to_string(), "ledger": loaded.config.ledger.id,
            "socket": path.display().to_string(), "pid": std::process::id(), "scrolls": scrolls,
        }))?;
        return screen.flush();
    }
    screen.toned(Tone::Good, "serving", &format!("  {}", loaded.home.display()))?;
    screen.line(&format!("  ledger  {}", loaded.config.ledger.id))?;
    screen.line(&format!("  socket  {}", path.display()))?;
    let sizes: Vec<String> = heads.iter().map(|h| format!("{} {}", h.scroll, h.size)).collect();
    if !sizes.is_empty() {
        screen.line(&format!("  size    {}", sizes.join(", ")))?;
    }
    screen.line(&format!("  stop    kill {}, or Ctrl-C", std::process::id()))?;
    screen.flush()
}
