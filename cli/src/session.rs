//! What every command gets: the house, the screen, the configuration, and a way to the home.

use crate::client::{Client, forward};
use crate::config::{self, Flags, Loaded};
use crate::exit::Stop;
use crate::screen::Screen;
use crate::sources::{self, Doors};
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vm_contracts::{Actor, AnyEngine, Call, Failure, Map, OwnerGate, Refusal, Value};
use vm_ledger::Ledger;
use vm_ledger::clock::{Clock, SystemClock, SystemEntropy, uuid_v7};
use vm_ledger::home;
use vm_ledger::keys::load_actor_key;
use vm_receipts::key::SecretKey;

/// The engines of a program.
pub type House = &'static [&'static dyn AnyEngine];

/// One command being carried out.
pub struct Session<'a> {
    /// The engines.
    pub house: House,
    /// Where to speak.
    pub screen: Screen<'a>,
    /// What the command line sets.
    pub flags: Flags,
    /// Id of the call, if the command is one and names none.
    pub id: String,
    /// How the command comes to the home.
    pub way: Way<'a>,
}

/// How a command comes to the home.
pub enum Way<'a> {
    /// This process opens it, or finds its owner and has the command carried out there.
    Find(Words),
    /// This process owns it, and carries the command out for a client.
    Lent {
        /// The open home.
        ledger: &'a Ledger,
        /// The owner's configuration.
        loaded: &'a Loaded,
    },
}

/// The command line as it was given, with what the command has read from standard input before it came to the home.
pub struct Words {
    /// All words, the program's name first.
    pub all: Vec<OsString>,
    /// What was read so far; `None` once nobody will need it again.
    pub read: Rc<RefCell<Option<Vec<u8>>>>,
    /// What the command does.
    pub kind: forward::Kind,
}

/// Standard input that remembers what was read of it, so that an owner who is found late still gets all of it.
pub struct Remembered<'a> {
    /// The stream.
    pub inner: &'a mut dyn Read,
    /// What was read of it.
    pub read: Rc<RefCell<Option<Vec<u8>>>>,
}

impl Read for Remembered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(read) = &mut *self.read.borrow_mut() {
            read.extend_from_slice(&buffer[..count]);
        }
        Ok(count)
    }
}

/// Takes hold of the home within a time; `None` as soon as the other thing it is given to ask finds another way.
pub type Take<'a, T> =
    &'a mut dyn FnMut(Duration, &mut dyn FnMut() -> bool) -> Result<Option<T>, Failure>;

/// How long to wait before an owner that did not begin is asked again.
const AGAIN: Duration = Duration::from_millis(20);

impl Session<'_> {
    /// Works in the home and says what opening it found. Where another process owns it and serves, the whole command
    /// is carried out there instead.
    pub fn in_home<T>(
        &mut self,
        work: impl FnOnce(&mut Screen<'_>, &Ledger) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        if let Way::Lent { ledger, .. } = self.way {
            let _signing = self.actor_key()?.map(|key| ledger.sign_as_while(key));
            let result = with_sources(&mut self.screen, ledger, work);
            say_messages(&mut self.screen, ledger);
            return result;
        }
        let loaded = Loaded::of_home(&self.flags)?;
        let key = self.actor_key()?;
        let guard = loaded.guard()?;
        let house = self.house;
        let owned = self.hold(&loaded, &mut |wait, instead| {
            let doors = (Arc::new(OwnerGate) as Arc<_>, Arc::new(Doors) as Arc<_>);
            home::open_unless(&loaded.home, &guard, loaded.settings(), house, doors, wait, instead)
        })?;
        if let Way::Find(words) = &self.way {
            words.read.replace(None);
        }
        if let Some(key) = key {
            owned.ledger.sign_as(key);
        }
        say_messages(&mut self.screen, &owned.ledger);
        let result = with_sources(&mut self.screen, &owned.ledger, work);
        say_messages(&mut self.screen, &owned.ledger);
        // The work's own failure says more than the flush that failed after it.
        let closed = owned.close();
        let value = result?;
        closed?;
        Ok(value)
    }

    /// Takes hold of the home as soon as it is free. Where its owner serves meanwhile, the whole command is carried
    /// out there, and ends with the owner's exit code.
    pub fn hold<T>(&mut self, loaded: &Loaded, take: Take<'_, T>) -> Result<T, Stop> {
        let deadline = Instant::now() + Duration::from_secs(loaded.config.lock.wait_seconds);
        loop {
            let mut found = Ok(None);
            let mut instead = || {
                // Once the time is over the lock's own error is the answer.
                if Instant::now() < deadline {
                    found = Client::connect(&loaded.home);
                }
                !matches!(found, Ok(None))
            };
            let rest = deadline.saturating_duration_since(Instant::now());
            if let Some(taken) = take(rest, &mut instead)? {
                return Ok(taken);
            }
            if let Some(owner) = found?
                && let Some(code) = forward::try_command(self, owner)?
            {
                return Err(Stop::Done(code));
            }
            // The owner left in that moment, or is the owner of another home.
            std::thread::sleep(AGAIN);
        }
    }

    /// The home as the command line spells it, for answers.
    pub fn home(&self) -> Result<PathBuf, Failure> {
        Ok(config::home(&self.flags)?.0)
    }

    /// The home's configuration: the owner's, where a command is carried out for a client.
    pub fn loaded(&self) -> Result<Loaded, Failure> {
        match &self.way {
            Way::Find(_) => Loaded::of_home(&self.flags),
            Way::Lent { loaded, .. } => Ok((*loaded).clone()),
        }
    }

    /// Who acts: the holder of `--actor-key`, or the user of this process.
    pub fn actor(&self) -> Result<Actor, Failure> {
        match self.actor_key()? {
            Some(key) => Ok(Actor(key.did().to_owned())),
            None => actor(),
        }
    }

    fn actor_key(&self) -> Result<Option<SecretKey>, Failure> {
        let path = self.flags.actor_key.as_deref().map(|path| self.screen.paths.find(path));
        path.as_deref().map(load_actor_key).transpose()
    }

    /// A call from this command line.
    pub fn call(
        &self,
        engine: &str,
        verb: &str,
        intent: Map<String, Value>,
        id: Option<String>,
        tags: Vec<String>,
    ) -> Result<Call, Failure> {
        Ok(Call {
            id,
            actor: self.actor()?,
            surface: "cli".into(),
            engine: engine.into(),
            verb: verb.into(),
            intent,
            tags,
        })
    }

    /// The engine of this name.
    pub fn engine(&self, name: &str) -> Result<&'static dyn AnyEngine, Refusal> {
        vm_ledger::find_engine(self.house, name)
    }
}

/// Works while the files that the command names may be opened as sources.
fn with_sources<T>(
    screen: &mut Screen<'_>,
    ledger: &Ledger,
    work: impl FnOnce(&mut Screen<'_>, &Ledger) -> T,
) -> T {
    let _lent = sources::lend(&screen.paths);
    work(screen, ledger)
}

/// Says what the ledger has to say to people.
fn say_messages(screen: &mut Screen<'_>, ledger: &Ledger) {
    let messages = ledger.writer().take_messages();
    messages.iter().for_each(|m| screen.note(m));
}

/// The user of this process.
pub fn actor() -> Result<Actor, Failure> {
    Ok(Actor::local(uid()?))
}

/// The number of the user of this process.
pub fn uid() -> Result<u32, Failure> {
    std::fs::metadata("/proc/self").map(|m| m.uid()).map_err(|e| {
        vm_contracts::Fault::new("no_actor", format!("cannot tell which user this is: {e}"))
            .hint("/proc must be mounted.")
            .into()
    })
}

/// An id for a call that was given none.
pub fn fresh_id() -> String {
    uuid_v7(SystemClock.wall(), &SystemEntropy)
}
