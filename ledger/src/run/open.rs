//! Planning, and opening a run.

use crate::commit::{Admitted, Work};
use crate::ledger::Ledger;
use crate::run::contract::{Checked, Handed};
use crate::run::files::{CONTRACT, RunFolder, STATE, case_dir, run_dir};
use crate::run::{Run, operation};
use crate::writer::Writer;
use vm_contracts::work::Shape;
use vm_contracts::{
    Actor, AnyEngine, Call, Contract, Failure, Fault, Field, Presence, Refusal, RefusalKind,
    RunState, Status,
};
use vm_receipts::digest::Blake3;
use vm_receipts::line;

/// What `run` came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The run.
    pub run: Run,
    /// It had been opened before with this contract; nothing was changed.
    pub existing: bool,
}

impl Ledger {
    /// Plans a call: says what would be done, and writes nothing.
    pub fn plan(&self, call: Call) -> Result<Handed, Failure> {
        self.writer().plan(call)
    }

    /// Opens the run of a contract, and carries its effects out where the operation has any.
    ///
    /// Opening the same contract again gives the run as it stands.
    pub fn run(&self, contract: &[u8], by: &Actor) -> Result<Opened, Failure> {
        let handed = Handed::parse(contract)?;
        let (_, spec, _) = operation(self.writer().engines(), &handed.contract.op)?;
        let needed = |f: &&Field| f.secret && f.presence == Presence::Required;
        if let Some(field) = spec.fields.iter().find(needed) {
            let op = &handed.contract.op;
            let what = format!("{op} needs the secret {}, which no contract may hold", field.name);
            return Err(Refusal::malformed("secret_in_contract", what)
                .field(field.name)
                .hint("Do it in one go, without plan and run.")
                .into());
        }
        let opened = self.writer().open_run(handed, by)?;
        self.carry_out(opened, vm_contracts::Map::new())
    }

    /// An open run.
    pub fn open_run(&self, engine: &str, id: &str) -> Result<Run, Failure> {
        let writer = self.writer();
        let engine = writer.engine(engine)?;
        writer.load_run(engine, id)
    }

    /// Open runs of an engine, or of all; those that do not read are named beside.
    pub fn open_runs(&self, engine: Option<&str>) -> Result<(Vec<Run>, Vec<String>), Failure> {
        let writer = self.writer();
        let (mut runs, mut notes) = (Vec::new(), Vec::new());
        for hosted in writer.engines.iter().filter(|e| engine.is_none_or(|name| e.name() == name)) {
            let dir = format!("runs/{}", hosted.scroll());
            let ids =
                writer.fs.list(&dir).map_err(|e| crate::run::files::fault("list", &dir, &e))?;
            for id in ids.into_iter().filter(|id| line::is_id(id)) {
                match writer.load_run(*hosted, &id) {
                    Ok(run) if run.engine == hosted.name() => runs.push(run),
                    Ok(_) => {}
                    Err(Failure::Refusal(_)) => {}
                    Err(failure) => notes.push(failure.to_string()),
                }
            }
        }
        Ok((runs, notes))
    }
}

impl Writer {
    /// A run that stands open in its folder.
    pub(crate) fn load_run(
        &self,
        engine: &'static dyn AnyEngine,
        id: &str,
    ) -> Result<Run, Failure> {
        self.usable_for_reading()?;
        if !line::is_id(id) {
            return Err(Refusal::malformed(
                "bad_id",
                "a run's id has 1 to 64 letters, digits, dots, _ and -",
            )
            .field("id")
            .into());
        }
        let scroll = engine.scroll();
        let dir = run_dir(scroll, id);
        let folder = RunFolder::new(&*self.fs, &dir);
        if !folder.is_open()? {
            return Err(self.no_such_run(engine, id).into());
        }
        let (contract, digest) = folder.contract()?;
        let state = folder.state()?;
        let (owner, spec, _) = operation(self.engines, &contract.op)?;
        let foreign = |what: &str| {
            Failure::Refusal(
                Refusal::conflict("contract_changed", format!("{dir}: {what}"))
                    .hint("`run` with the contract the run was opened with puts it back."),
            )
        };
        if owner.name() != engine.name() || contract.id != id || state.run_id != id {
            return Err(foreign("contract.json or state.json is of another run"));
        }
        if state.contract != digest.to_string() {
            return Err(foreign("contract.json is not the one the run was opened with"));
        }
        Ok(Run { engine: engine.name(), verb: spec.verb, scroll, contract, digest, state })
    }

    fn no_such_run(&self, engine: &'static dyn AnyEngine, id: &str) -> Refusal {
        let scroll = engine.scroll();
        match self.scrolls.get(scroll).and_then(|s| s.group(id)) {
            Some(group) => {
                let what = format!("run {id} is sealed already: {scroll}/{}", group.first);
                Refusal::conflict("already_sealed", what)
                    .hint(format!("Its case is in {}.", crate::run::case_dir(scroll, id)))
            }
            None => {
                Refusal::not_found("no_such_run", format!("{} has no open run {id}", engine.name()))
                    .hint(format!("`vm {} runs` lists those that are open.", engine.name()))
            }
        }
    }

    pub(crate) fn open_run(&mut self, handed: Handed, by: &Actor) -> Result<Opened, Failure> {
        self.usable()?;
        let (engine, spec, _) = operation(self.engines, &handed.contract.op)?;
        self.gate.may(by, spec.needs)?;
        let scroll = engine.scroll();
        let id = handed.contract.id.clone();
        if !line::is_id(&id) {
            return Err(Refusal::malformed("bad_id", "the contract's id is not one")
                .field("id")
                .into());
        }
        let dir = run_dir(scroll, &id);
        let folder = RunFolder::new(&*self.fs, &dir);
        if folder.is_open()? || !folder.is_untouched()? {
            self.put_contract_back(&handed.contract, &dir)?;
            let run = self.load_run(engine, &id)?;
            if run.contract.actor != by.0 {
                return Err(other_actor(&run.contract, by).into());
            }
            return match run.contract == handed.contract {
                true => Ok(Opened { run, existing: true }),
                false => Err(Refusal::conflict(
                    "run_exists",
                    format!("run {id} is open with another contract"),
                )
                .into()),
            };
        }
        let begun = self.scrolls.get(scroll);
        if begun.is_some_and(|s| s.group(&id).is_some()) {
            return Err(self.no_such_run(engine, &id).into());
        }
        if !self.fs.list(&case_dir(scroll, &id)).unwrap_or_default().is_empty() {
            let what =
                format!("there is a case {id} already, although no receipt here has that id");
            return Err(Refusal::conflict("already_sealed", what)
                .hint("Its receipt was cut off or is in another copy. Plan again under another id.")
                .into());
        }
        if let Some(why) = begun.and_then(|s| s.read_only.as_ref()) {
            return Err(why.clone().into());
        }
        let last = begun.and_then(|s| s.last_at);
        let at = self.now(last)?;
        self.check_asker(&handed.contract, by, at)?;
        let checked = self.check_contract(handed)?;
        // The scroll begins before its first run, so that whoever opens the home finds the run by its scroll.
        self.ensure_scroll(engine)?;
        self.make_run(checked, by, at, &dir)
    }

    /// A contract.json that was edited or lost is put back by whoever still has the one the run was opened with.
    fn put_contract_back(&self, contract: &Contract, dir: &str) -> Result<(), Failure> {
        let folder = RunFolder::new(&*self.fs, dir);
        let Ok(bytes) = contract.to_bytes() else { return Ok(()) };
        let is_its_own = folder.state()?.contract == Blake3::of(&bytes).to_string();
        let is_there = folder.contract().is_ok_and(|(_, digest)| digest == Blake3::of(&bytes));
        match is_its_own && !is_there {
            true => folder.put(CONTRACT, &bytes),
            false => Ok(()),
        }
    }

    fn make_run(
        &mut self,
        checked: Checked,
        by: &Actor,
        at: vm_receipts::moment::Moment,
        dir: &str,
    ) -> Result<Opened, Failure> {
        let Checked { engine, spec, shape, contract, pool, .. } = checked;
        let bytes = contract
            .to_bytes()
            .map_err(|e| crate::hidden::unkeepable(&contract.op, &e.to_string()))?;
        let digest = Blake3::of(&bytes);
        let mut state = RunState::open(&contract, &digest, by, at);
        if matches!(shape, Shape::Record) {
            state.stages.clear();
        }
        let folder = RunFolder::new(&*self.fs, dir);
        folder.make()?;
        let openings = pool.all();
        if !openings.is_empty() {
            let saved = self.openings().save_run(engine.scroll(), &contract.id, &openings);
            saved.map_err(|e| crate::run::files::fault("write openings of", dir, &e))?;
        }
        put_state(&folder, &state)?;
        // Before it is there for others to find: from here on the id is taken.
        self.open_runs.insert((engine.scroll().to_owned(), contract.id.clone()));
        folder.put(CONTRACT, &bytes)?;
        let run = Run {
            engine: engine.name(),
            verb: spec.verb,
            scroll: engine.scroll(),
            contract,
            digest,
            state,
        };
        Ok(Opened { run, existing: false })
    }

    /// The openings a run holds.
    pub(crate) fn run_openings(&self, run: &Run) -> Result<Vec<crate::openings::Opening>, Failure> {
        self.openings().load_run(run.scroll, &run.contract.id)
    }

    /// The call that a run stands for, with its intent whole again.
    pub(crate) fn admitted_run(
        &self,
        run: &Run,
        openings: &[crate::openings::Opening],
        work: Work,
    ) -> Result<Admitted, Failure> {
        let engine = self.engine(run.engine)?;
        let wanted = vm_receipts::private::digests(&run.contract.intent);
        let of_intent = openings.iter().filter(|o| wanted.contains(&o.digest));
        let texts = of_intent.map(|o| o.disclosure.as_str());
        let (intent, tags) = crate::run::contract::reveal(&run.contract, texts)?;
        let call = Call {
            id: Some(run.contract.id.clone()),
            actor: run.contract.actor(),
            surface: run.contract.surface.clone(),
            engine: run.engine.to_owned(),
            verb: run.verb.to_owned(),
            intent,
            tags,
        };
        let admitted = self.admit(engine, call, work)?;
        self.has_its_values(run, openings, &admitted)?;
        Ok(admitted)
    }

    /// A value whose opening is gone must not be taken for one that was never given.
    fn has_its_values(
        &self,
        run: &Run,
        openings: &[crate::openings::Opening],
        admitted: &Admitted,
    ) -> Result<(), Failure> {
        if !admitted.spec.hides_anything() || run.state.status == Status::Aborted {
            return Ok(());
        }
        let mut pool =
            crate::hidden::Pool::of(run.scroll, &run.contract.id, openings.to_vec(), false)?;
        let what = (admitted.op.as_str(), admitted.spec);
        let call = &admitted.call;
        match pool.veil(&mut self.openings(), what, &admitted.intent, &call.tags) {
            Ok((public, _)) if public == run.contract.intent => Ok(()),
            Err(crate::hidden::Unveiled::Failed(failure)) => Err(failure),
            _ => {
                let id = &run.contract.id;
                let what = format!("private values of run {id} are not here any more");
                Err(Refusal::conflict("openings_missing", what)
                    .hint(
                        "Put the run's folder and openings/ back from a backup, or abort the run.",
                    )
                    .into())
            }
        }
    }
}

pub(crate) fn other_actor(contract: &Contract, by: &Actor) -> Refusal {
    let what = format!("the contract is {}'s, and {} cannot run it for them", contract.actor, by.0);
    Refusal::new("other_actor", RefusalKind::NotAllowed, what)
        .hint("Plan it yourself. Stages can be completed by anybody whom the policy lets.")
}

/// Writes state.json.
pub(crate) fn put_state(folder: &RunFolder<'_>, state: &RunState) -> Result<(), Failure> {
    let bytes = state.to_bytes().map_err(|e| Fault {
        retryable: false,
        ..Fault::new("run_files", format!("the state cannot be written: {e}"))
    })?;
    folder.put(STATE, &bytes)
}

/// A run that has come to its end takes nothing more.
pub(crate) fn still_open(run: &Run) -> Result<(), Refusal> {
    match run.state.status {
        Status::Pending | Status::InProgress => Ok(()),
        ended => {
            let what = format!("run {} is {}", run.contract.id, ended.word());
            Err(Refusal::new("run_ended", RefusalKind::Conflict, what)
                .hint(format!("Seal it: vm {} seal {}", run.engine, run.contract.id)))
        }
    }
}
