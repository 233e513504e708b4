//! A home to try things in, removed when it is dropped.

use crate::commands::conform::carry::carry;
use crate::config::{self, Config};
use crate::exit::Stop;
use crate::house::{TrialPorts, story};
use crate::session::{House, actor};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use vm_contracts::{Call, Failure, Gate, Map, Spec, Value};
use vm_ledger::Answer;
use vm_ledger::clock::{Clock, SystemClock, SystemEntropy, uuid_v7};
use vm_ledger::fs::Disk;
use vm_ledger::home::{self, Owned};

/// The scratch home.
pub struct Scratch {
    dir: PathBuf,
    house: House,
    config: Config,
}

impl Scratch {
    /// Makes one in the directory for temporary files.
    pub fn make(house: House) -> Result<Self, Stop> {
        let id = uuid_v7(SystemClock.read().wall, &SystemEntropy);
        let mut config = Config::default();
        config.ledger.id = id.clone();
        config.ledger.demo = true;
        let scratch =
            Self { dir: std::env::temp_dir().join(format!("vm-conform-{id}")), house, config };
        let scrolls: Vec<&str> = house.iter().map(|e| e.scroll()).collect();
        let settings = config::settings(&scratch.config);
        home::init(&scratch.home(), &scratch.guard(), &settings, &scrolls, &SystemEntropy)?;
        Ok(scratch)
    }

    /// The home itself.
    pub fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    fn guard(&self) -> PathBuf {
        self.dir.join("guard")
    }

    /// Opens it under a gate.
    pub fn open(&self, gate: Arc<dyn Gate>) -> Result<Owned, Failure> {
        let settings = config::settings(&self.config);
        let doors = (gate, Arc::new(TrialPorts) as Arc<_>);
        let wait = Duration::ZERO;
        home::open_with_ports(&self.home(), &self.guard(), settings, self.house, doors, wait)
    }

    /// Its files.
    pub fn disk(&self) -> Disk {
        Disk::new(self.home(), self.guard())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies among temporary files.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// An operation's example as an intent.
pub fn example(spec: &Spec) -> Map<String, Value> {
    match serde_json::from_str(spec.example) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Commits what happened before the examples.
pub fn tell(
    owned: &Owned,
    engine: &'static dyn vm_contracts::AnyEngine,
) -> Result<Vec<String>, Failure> {
    let mut refused = Vec::new();
    for (n, (verb, intent)) in story(engine.name()).iter().enumerate() {
        let call = Call {
            id: Some(format!("conform-story-{}", n + 1)),
            actor: actor()?,
            surface: "conform".into(),
            engine: engine.name().to_owned(),
            verb: (*verb).to_owned(),
            intent: serde_json::from_str(intent).unwrap_or_default(),
            tags: vec![],
        };
        match carry(owned, engine, call) {
            Ok(_) => {}
            Err(Failure::Refusal(r)) => {
                refused.push(format!("call {} of the story, {verb}: {r}", n + 1))
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(refused)
}

/// A call with this intent; its id names the verb, so that it can be repeated.
pub fn call(engine: &str, spec: &Spec, intent: Map<String, Value>) -> Result<Call, Failure> {
    Ok(Call {
        id: Some(id(spec)),
        actor: actor()?,
        surface: "conform".into(),
        engine: engine.to_owned(),
        verb: spec.verb.to_owned(),
        intent,
        tags: vec![],
    })
}

/// Id of an example's call.
pub fn id(spec: &Spec) -> String {
    format!("conform-{}", spec.verb)
}

/// What the example of each operation came to.
pub type Outcomes = Vec<(&'static Spec, Result<Answer, Failure>)>;

/// Asks for every example, again and again while more of them are accepted: some build on others.
pub fn try_examples(
    owned: &Owned,
    engine: &'static dyn vm_contracts::AnyEngine,
) -> Result<Outcomes, Failure> {
    let mut outcomes: Outcomes = Vec::new();
    let mut left = engine.operations();
    loop {
        let before = left.len();
        let mut refused = Vec::new();
        for spec in std::mem::take(&mut left) {
            match carry(owned, engine, call(engine.name(), spec, example(spec))?) {
                Ok(answer) => outcomes.push((spec, Ok(answer))),
                Err(failure) => refused.push((spec, failure)),
            }
        }
        if refused.is_empty() || refused.len() == before {
            outcomes.extend(refused.into_iter().map(|(spec, failure)| (spec, Err(failure))));
            return Ok(outcomes);
        }
        left = refused.into_iter().map(|(spec, _)| spec).collect();
    }
}
