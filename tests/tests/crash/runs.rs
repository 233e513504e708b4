//! What people do to runs in a campaign, what they were told, and which effects there were in the world.

use crate::flow::{Promises, SCROLL};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use vm_contracts::{Call, Failure, Status};
use vm_ledger::{Ledger, Run};
use vm_tests::crashfs::CrashFs;
use vm_tests::people;
use vm_tests::toy::Till;

/// One thing that somebody does to a run.
#[derive(Clone)]
pub enum Deed {
    /// Planned, carried out and sealed in one go.
    Perform(Call),
    /// Planned once, the contract kept, and run; with its effects, where it has any.
    Open(Call),
    /// A stage is completed, with a file or without.
    Complete { id: String, stage: usize, file: Option<(&'static str, bool)> },
    /// The run is given up.
    Abort(String),
    /// The run is sealed.
    Seal(String),
}

/// What somebody was told of runs; each with the number of changes done by then.
#[derive(Clone, Default, Hash)]
pub struct RunPromises {
    /// Contracts that were handed out. Whoever planned keeps the file.
    contracts: BTreeMap<String, (usize, Vec<u8>)>,
    /// Runs that were opened.
    pub opened: BTreeMap<String, usize>,
    /// Stages that were completed, with how many files.
    pub stages: BTreeMap<(String, usize), (usize, usize)>,
    /// Runs that were given up.
    pub aborted: BTreeMap<String, usize>,
    /// Runs that were sealed into a case.
    pub sealed: BTreeMap<String, usize>,
    /// Effects in the world by their token. Nobody was told; they happened.
    pub effects: Vec<(String, usize)>,
}

impl RunPromises {
    /// Those that had been made when so many changes were done.
    pub fn by(&self, changes: usize) -> Self {
        fn kept<K: Ord + Clone>(all: &BTreeMap<K, usize>, changes: usize) -> BTreeMap<K, usize> {
            all.iter().filter(|(_, at)| **at <= changes).map(|(k, _)| (k.clone(), 0)).collect()
        }
        let contracts = self.contracts.iter().filter(|(_, (at, _))| *at <= changes);
        let stages = self.stages.iter().filter(|(_, (at, _))| *at <= changes);
        let effects = self.effects.iter().filter(|(_, at)| *at <= changes);
        Self {
            contracts: contracts.map(|(k, (_, bytes))| (k.clone(), (0, bytes.clone()))).collect(),
            opened: kept(&self.opened, changes),
            stages: stages.map(|(k, (_, files))| (k.clone(), (0, *files))).collect(),
            aborted: kept(&self.aborted, changes),
            sealed: kept(&self.sealed, changes),
            effects: effects.map(|(token, _)| (token.clone(), 0)).collect(),
        }
    }

    /// How often this token had its effect.
    pub fn effects_of(&self, token: &str) -> usize {
        self.effects.iter().filter(|(theirs, _)| theirs == token).count()
    }

    /// An effect that happened again, if one did.
    pub fn twice(&self) -> Option<String> {
        let again = self.effects.iter().find(|(token, _)| self.effects_of(token) > 1);
        again.map(|(token, _)| format!("the effect of {token} happened twice"))
    }
}

/// The world outside: every effect there was, in this life and those before it.
pub struct Witness {
    fs: Arc<CrashFs>,
    effects: Mutex<Vec<(String, usize)>>,
}

impl Witness {
    pub fn new(fs: Arc<CrashFs>, before: &RunPromises) -> Self {
        Self { fs, effects: Mutex::new(before.effects.clone()) }
    }

    pub fn effects(&self) -> Vec<(String, usize)> {
        self.effects.lock().expect("nobody panics here").clone()
    }
}

impl Till for Witness {
    fn pay(&self, token: &str, amount: i64, _: &str) -> (u64, i64) {
        let at = usize::try_from(self.fs.changes()).expect("few changes");
        let mut effects = self.effects.lock().expect("nobody panics here");
        effects.push((token.to_owned(), at));
        let times = effects.iter().filter(|(theirs, _)| theirs == token).count() as u64;
        (times, amount)
    }
}

impl Deed {
    pub fn id(&self) -> &str {
        match self {
            Deed::Perform(call) | Deed::Open(call) => {
                call.id.as_deref().expect("scripts name their calls")
            }
            Deed::Complete { id, .. } | Deed::Abort(id) | Deed::Seal(id) => id,
        }
    }

    /// Does it and writes down what was promised; whether it was done.
    pub fn act(
        &self,
        ledger: &Ledger,
        promises: &mut Promises,
        fs: &CrashFs,
        troubled: bool,
    ) -> Result<bool, String> {
        let id = self.id().to_owned();
        let was_sealed = promises.runs.sealed.contains_key(&id);
        let done = self.try_once(ledger, promises, fs);
        let now = usize::try_from(fs.changes()).expect("few changes");
        let failure = match done {
            Ok(sealed) => {
                if let Some((answer, case)) = sealed {
                    if was_sealed && !answer.existing {
                        return Err(format!("{id} was sealed before and is sealed again"));
                    }
                    promises.refused.remove(&id);
                    promises.answer(&id, now, answer)?;
                    if case {
                        promises.runs.sealed.entry(id).or_insert(now);
                    }
                }
                return Ok(true);
            }
            Err(failure) => failure,
        };
        match failure {
            Failure::Corrupt(e) => Err(format!("{id} finds the home corrupt: {e}")),
            _ if troubled => Ok(false),
            failure => match self.is_expected(ledger, promises, failure.code()) {
                true => Ok(false),
                false => Err(format!("{id} is refused: {} ({failure})", failure.code())),
            },
        }
    }

    fn try_once(
        &self,
        ledger: &Ledger,
        promises: &mut Promises,
        fs: &CrashFs,
    ) -> Result<Option<(vm_ledger::Answer, bool)>, Failure> {
        let now = || usize::try_from(fs.changes()).expect("few changes");
        let runs = &mut promises.runs;
        match self {
            Deed::Perform(call) => {
                let sealing = ledger.perform(call.clone())?;
                return Ok(Some((sealing.answer, sealing.case.is_some())));
            }
            Deed::Seal(id) => {
                let sealing = people::seal(ledger, id)?;
                return Ok(Some((sealing.answer, sealing.case.is_some())));
            }
            Deed::Open(call) => {
                let id = self.id().to_owned();
                if !runs.contracts.contains_key(&id) {
                    let contract = people::plan(ledger, call.clone())?;
                    runs.contracts.insert(id.clone(), (now(), contract));
                }
                ledger.run(&runs.contracts[&id].1, &people::by())?;
                runs.opened.entry(id).or_insert_with(now);
            }
            Deed::Complete { id, stage, file } => {
                let note = format!("note on {id} {stage}");
                let bytes = format!("file of {id} {stage}");
                let files: Vec<_> = file
                    .iter()
                    .map(|(name, hide)| people::file(name, *hide, bytes.as_bytes()))
                    .collect();
                let count = files.len();
                people::complete(ledger, id, *stage, Some(&note), files)?;
                runs.stages.entry((id.clone(), *stage)).or_insert_with(|| (now(), count));
            }
            Deed::Abort(id) => {
                people::abort(ledger, id, Some("enough"))?;
                runs.aborted.entry(id.clone()).or_insert_with(now);
            }
        }
        Ok(None)
    }

    /// Whether a refusal says that this was done in a life before.
    fn is_expected(&self, ledger: &Ledger, promises: &Promises, code: &str) -> bool {
        let there = matches!(ledger.find(SCROLL, self.id()), Ok(Some(_)));
        let open = ledger.open_run("toy", self.id()).ok();
        let is = |status: Status| open.as_ref().is_some_and(|run| run.state.status == status);
        match (self, code) {
            (Deed::Perform(_), _) => false,
            (_, "already_sealed") => there,
            (Deed::Complete { stage, .. }, "stage_completed") => {
                open.as_ref().is_some_and(|run| is_completed(run, *stage))
            }
            // Nothing was promised of it, and another stands in its way.
            (Deed::Complete { id, .. }, "run_ended") => {
                is(Status::Completed)
                    || is(Status::Aborted) && !promises.runs.sealed.contains_key(id)
            }
            (Deed::Abort(_), "run_ended") => is(Status::Aborted) || is(Status::Completed),
            _ => false,
        }
    }
}

/// Whether a stage of an open run is completed.
pub fn is_completed(run: &Run, stage: usize) -> bool {
    run.state.stage(&format!("stage-{stage}")).is_some_and(|s| s.status == Status::Completed)
}
