//! What every command gets: the house, the screen, the configuration, and a way to open the home.

use crate::config::{Flags, Loaded};
use crate::exit::Stop;
use crate::screen::Screen;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;
use vm_contracts::{Actor, AnyEngine, Call, Failure, Map, OwnerGate, Refusal, Value};
use vm_ledger::Ledger;
use vm_ledger::home::{self, Owned};
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
}

impl Session<'_> {
    /// Opens the home, works in it, says what opening found, and closes it whatever the work came to.
    pub fn in_home<T>(
        &mut self,
        work: impl FnOnce(&mut Screen<'_>, &Ledger) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let loaded = Loaded::of_home(&self.flags)?;
        let key = self.actor_key()?;
        let owned = self.own(&loaded)?;
        if let Some(key) = key {
            owned.ledger.sign_as(key);
        }
        let messages = owned.ledger.writer().take_messages();
        messages.iter().for_each(|m| self.screen.note(m));
        let result = work(&mut self.screen, &owned.ledger);
        let messages = owned.ledger.writer().take_messages();
        messages.iter().for_each(|m| self.screen.note(m));
        // The work's own failure says more than the flush that failed after it.
        let closed = owned.close();
        let value = result?;
        closed?;
        Ok(value)
    }

    fn own(&self, loaded: &Loaded) -> Result<Owned, Failure> {
        let wait = Duration::from_secs(loaded.config.lock.wait_seconds);
        let guard = loaded.guard()?;
        home::open(&loaded.home, &guard, loaded.settings(), self.house, Arc::new(OwnerGate), wait)
    }

    /// Who acts: the holder of `--actor-key`, or the user of this process.
    pub fn actor(&self) -> Result<Actor, Failure> {
        match self.actor_key()? {
            Some(key) => Ok(Actor(key.did().to_owned())),
            None => actor(),
        }
    }

    fn actor_key(&self) -> Result<Option<SecretKey>, Failure> {
        self.flags.actor_key.as_deref().map(load_actor_key).transpose()
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

/// The user of this process.
pub fn actor() -> Result<Actor, Failure> {
    let uid = std::fs::metadata("/proc/self").map(|m| m.uid()).map_err(|e| {
        vm_contracts::Fault::new("no_actor", format!("cannot tell which user this is: {e}"))
            .hint("/proc must be mounted.")
    })?;
    Ok(Actor::local(uid))
}
