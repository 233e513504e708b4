//! What people do to an open run: complete a stage, or give the run up.

use crate::commit::Work;
use crate::disclose::output_name;
use crate::fs::make_dir;
use crate::hidden::Pool;
use crate::ledger::Ledger;
use crate::openings::Opening;
use crate::recover::QUARANTINE;
use crate::run::contract::unveiled;
use crate::run::execute::{is_output_name, take_private};
use crate::run::files::{CLAIM, RunFolder, fault};
use crate::run::open::{put_state, still_open};
use crate::run::{BY_ACTOR, Run, operation, run_dir};
use crate::writer::Writer;
use std::io::Read;
use vm_contracts::contract::{Abort, OUTPUTS, OUTPUTS_MAX};
use vm_contracts::engine::Asked;
use vm_contracts::work::{Shape, no_stages};
use vm_contracts::{
    Actor, AnyEngine, Failure, Fault, Field, Kind, Map, Output, Refusal, RefusalKind, RunView,
    Spec, StageDone, Status, Value, edge,
};
use vm_receipts::moment::Moment;
use vm_receipts::{case, line};

/// A file that a stage left.
pub struct Attach<'a> {
    /// Its name in `outputs/`.
    pub name: String,
    /// Whether only a salted digest of it may be shown.
    pub private: bool,
    /// Where its bytes come from; `None` where the file stands in the run's `outputs/` already.
    pub source: Option<Box<dyn Read + 'a>>,
}

/// Refusals that say that a run's own files do not fit together.
const UNREADABLE: [&str; 3] = ["contract_changed", "openings_missing", "missing_field"];

const ABORT_FIELDS: &[Field] =
    &[Field::new("reason", Kind::Text(4_096), "why it is given up").optional().private()];

impl Ledger {
    /// Completes a stage: what was said of it and the files it left become part of the run's state.
    pub fn complete_stage(
        &self,
        engine: &str,
        id: &str,
        stage: &str,
        fields: &Map<String, Value>,
        outputs: Vec<Attach<'_>>,
        by: &Actor,
    ) -> Result<Run, Failure> {
        let mut writer = self.writer();
        let engine = writer.engine(engine)?;
        writer.complete_stage(engine, id, (stage, fields), outputs, by)
    }

    /// Gives a run up. It is still to be sealed, and its receipt will say that it was aborted.
    pub fn abort_run(
        &self,
        engine: &str,
        id: &str,
        reason: Option<&str>,
        by: &Actor,
    ) -> Result<Run, Failure> {
        let mut writer = self.writer();
        let engine = writer.engine(engine)?;
        writer.abort_run(engine, id, reason, by)
    }
}

impl Writer {
    fn complete_stage(
        &mut self,
        engine: &'static dyn AnyEngine,
        id: &str,
        (stage, given): (&str, &Map<String, Value>),
        outputs: Vec<Attach<'_>>,
        by: &Actor,
    ) -> Result<Run, Failure> {
        self.usable()?;
        let mut run = self.load_run(engine, id)?;
        let (_, spec, shape) = operation(self.engines, &run.contract.op)?;
        self.gate.may(by, spec.needs)?;
        let Shape::Staged(declared) = shape else { return Err(no_stages(&run.contract.op).into()) };
        still_open(&run)?;
        let place = may_complete(&run, stage)?;
        let fields = stage_fields(declared, given)?;
        let dir = run.dir();
        let old = self.run_openings(&run)?;
        check_names(&run, &outputs, &self.private_names(&run, &old))?;
        let at = self.now(self.scrolls.get(run.scroll).and_then(|s| s.last_at))?;
        let asked = Asked { at, id, actor: by };
        // The engine is asked before any file is touched; it sees the names that will stand there.
        let promised: Vec<Output> = outputs.iter().map(promise).collect();
        self.ask_engine(engine, spec, &run, (stage, &fields, &promised), asked)?;
        let (kept, mut openings) = self.take_outputs(&run, outputs)?;
        let mut pool = Pool::of(run.scroll, id, old, true)?;
        openings.drain(..).try_for_each(|opening| pool.push(opening))?;
        let path = format!("stages.{stage}");
        let veiled = pool.veil_fields(&mut self.openings(), declared, &fields, &path);
        let shown = veiled.map_err(|e| unveiled(&run.contract.op, e))?;
        let done = &mut run.state.stages[place];
        done.status = Status::Completed;
        done.completed_at = Some(at.to_string());
        done.by = Some(by.0.clone());
        done.fields = shown;
        done.outputs = kept;
        run.state.updated_at = at.to_string();
        self.save_pool(&run, &pool)?;
        put_state(&RunFolder::new(&*self.fs, &dir), &run.state)?;
        Ok(run)
    }

    /// Own names of the private outputs of completed stages; what an attempt left that was cut off has none.
    fn private_names(&self, run: &Run, openings: &[Opening]) -> Vec<String> {
        let dir = run.dir();
        let digests = RunFolder::new(&*self.fs, &dir).stub_digests(&run.state);
        openings.iter().filter(|o| digests.contains(&o.digest)).filter_map(output_name).collect()
    }

    fn ask_engine(
        &self,
        engine: &'static dyn AnyEngine,
        spec: &Spec,
        run: &Run,
        (stage, fields, outputs): (&str, &Map<String, Value>, &[Output]),
        asked: Asked<'_>,
    ) -> Result<(), Failure> {
        let view =
            RunView { contract: &run.contract, contract_digest: &run.digest, state: &run.state };
        let done = StageDone { stage, fields, outputs };
        self.with_state(engine, |state| engine.complete(state, spec.verb, view, &done, asked))
    }

    /// Copies or measures each file. A file that a refused attempt left in `outputs/` is taken as it stands.
    fn take_outputs(
        &mut self,
        run: &Run,
        outputs: Vec<Attach<'_>>,
    ) -> Result<(Vec<Output>, Vec<Opening>), Failure> {
        let dir = run.dir();
        let fs = self.fs.clone();
        let folder = RunFolder::new(&*fs, &dir);
        folder.keep_outputs()?;
        let (mut kept, mut openings) = (Vec::new(), Vec::new());
        let mut number = run.state.all_outputs().filter(|o| case::is_stub_path(&o.path)).count();
        for attach in outputs {
            let inside = format!("{OUTPUTS}/{}", attach.name);
            match (attach.source, attach.private) {
                (None, private) => kept.push(self.in_place(&folder, &inside, private)?),
                (Some(mut source), false) => {
                    self.clear_leftover(run, &folder, &inside)?;
                    kept.push(folder.take(&attach.name, &mut source)?);
                }
                (Some(mut source), true) => {
                    number += 1;
                    self.clear_leftover(run, &folder, &format!("{OUTPUTS}/{number:04}.private"))?;
                    let place = (run.scroll, run.contract.id.as_str());
                    let store = &mut *self.openings();
                    let (output, opening) =
                        take_private(store, &folder, place, number, &attach.name, &mut source)?;
                    kept.push(output);
                    openings.push(opening);
                }
            }
        }
        Ok((kept, openings))
    }

    /// A file of an attempt that did not come to its end stands in no state.json; the new one replaces it.
    fn clear_leftover(
        &self,
        run: &Run,
        folder: &RunFolder<'_>,
        inside: &str,
    ) -> Result<(), Failure> {
        if run.state.all_outputs().any(|o| o.path == inside) {
            let what = format!("{inside} belongs to a stage that is completed");
            return Err(Refusal::conflict("output_taken", what).field("outputs").into());
        }
        folder.remove(inside)
    }

    fn in_place(
        &self,
        folder: &RunFolder<'_>,
        inside: &str,
        private: bool,
    ) -> Result<Output, Failure> {
        if private {
            let what = format!(
                "{inside} stands in the run's folder in plain already, so it cannot be made private"
            );
            return Err(Refusal::malformed("bad_output", what)
                .field("outputs")
                .hint("Move it out of the folder and give its path.")
                .into());
        }
        let measured = folder.measure(inside)?.ok_or_else(|| {
            Refusal::not_found("output_missing", format!("there is no {}", folder.path(inside)))
                .field("outputs")
        })?;
        let path = folder.path(inside);
        let dir = folder.path(OUTPUTS);
        self.fs
            .sync(&path)
            .and_then(|()| self.fs.sync_dir(&dir))
            .map_err(|e| fault("sync", &path, &e))?;
        Ok(measured)
    }

    fn save_pool(&self, run: &Run, pool: &Pool) -> Result<(), Failure> {
        let all = pool.all();
        if all.is_empty() {
            return Ok(());
        }
        let saved = self.openings().save_run(run.scroll, &run.contract.id, &all);
        saved.map_err(|e| fault("write openings of", &run.dir(), &e))
    }

    fn abort_run(
        &mut self,
        engine: &'static dyn AnyEngine,
        id: &str,
        reason: Option<&str>,
        by: &Actor,
    ) -> Result<Run, Failure> {
        self.usable()?;
        let loaded = self.load_run(engine, id).and_then(|run| {
            let openings = self.run_openings(&run)?;
            self.admitted_run(&run, &openings, Work::record())?;
            Ok(run)
        });
        let run = match loaded {
            Err(failure) if self.is_damaged(engine, id, &failure) => {
                engine
                    .operations()
                    .iter()
                    .try_for_each(|s| self.gate.may(by, s.needs).map(drop))?;
                return Err(self.set_aside(engine.scroll(), id, &failure));
            }
            other => other?,
        };
        let (_, spec, shape) = operation(self.engines, &run.contract.op)?;
        self.gate.may(by, spec.needs)?;
        self.may_abort(&run, shape)?;
        let at = self.now(self.scrolls.get(run.scroll).and_then(|s| s.last_at))?;
        let given = reason.map(|r| ("reason".to_owned(), Value::from(r)));
        let fields = stage_fields(ABORT_FIELDS, &given.into_iter().collect())?;
        self.give_up(run, BY_ACTOR, &by.0.clone(), &fields, at)
    }

    /// Whether a run's own files do not read, so that no receipt could say truthfully what it was.
    fn is_damaged(&self, engine: &'static dyn AnyEngine, id: &str, failure: &Failure) -> bool {
        let there = || self.fs.list(&run_dir(engine.scroll(), id)).is_ok_and(|n| !n.is_empty());
        match failure {
            // An effect may have happened, or a receipt is there: then nothing is moved out of anybody's sight.
            _ if self.has_begun(engine.scroll(), id) => false,
            Failure::Corrupt(_) => true,
            Failure::Refusal(r) if UNREADABLE.contains(&r.code.as_str()) => true,
            Failure::Refusal(r) if r.code == "no_such_run" => line::is_id(id) && there(),
            _ => false,
        }
    }

    fn has_begun(&self, scroll: &str, id: &str) -> bool {
        let dir = run_dir(scroll, id);
        let claim = RunFolder::new(&*self.fs, &dir).regular(CLAIM);
        let sealed = self.scrolls.get(scroll).is_some_and(|s| s.group(id).is_some());
        sealed || !matches!(claim, Ok(None))
    }

    /// Moves a run that does not read out of the way, whole. It leaves no receipt, and the answer says so.
    fn set_aside(&mut self, scroll: &str, id: &str, why: &Failure) -> Failure {
        let from = run_dir(scroll, id);
        let mut to = format!("{QUARANTINE}/run.{scroll}.{id}");
        while self.fs.list(&to).is_ok_and(|names| !names.is_empty()) {
            to.push('+');
        }
        let moved = make_dir(&*self.fs, QUARANTINE)
            .and_then(|()| self.fs.rename(&from, &to))
            .and_then(|()| self.fs.sync_dir(QUARANTINE))
            .and_then(|()| self.fs.sync_dir(&format!("runs/{scroll}")));
        match moved {
            Err(e) => fault("set aside", &from, &e),
            Ok(()) => self.set_aside_fault(scroll, id, &to, why),
        }
    }

    fn set_aside_fault(&mut self, scroll: &str, id: &str, to: &str, why: &Failure) -> Failure {
        self.open_runs.remove(&(scroll.to_owned(), id.to_owned()));
        Fault {
                retryable: false,
                ..Fault::new(
                    "run_set_aside",
                    format!("run {id} does not read ({why}); its folder is {to} now, and it leaves no receipt"),
                )
                .hint("Nothing in it was changed. If it can be mended, move it back to where it was.")
            }
            .into()
    }

    /// Whatever is not sealed can be given up, but not what an executor is at.
    fn may_abort(&self, run: &Run, shape: Shape) -> Result<(), Failure> {
        self.not_sealed(run)?;
        // What was carried out has its outcome, and that is what is sealed.
        if run.state.status == Status::Aborted || run.state.outcome.is_some() {
            return Ok(still_open(run)?);
        }
        let dir = run.dir();
        let claimed = RunFolder::new(&*self.fs, &dir).regular(CLAIM)?.is_some();
        match matches!(shape, Shape::Operation(_)) && claimed && !run.state.status.is_end() {
            true => {
                let what = format!("run {} is being carried out", run.contract.id);
                Err(Refusal::conflict("run_claimed", what)
                    .hint("Wait for it. If its executor is gone, the next process that opens this home seals it as interrupted.")
                    .into())
            }
            false => Ok(()),
        }
    }

    /// Marks a run as aborted in its folder.
    pub(crate) fn give_up(
        &mut self,
        mut run: Run,
        code: &str,
        by: &str,
        fields: &Map<String, Value>,
        at: Moment,
    ) -> Result<Run, Failure> {
        let mut pool = Pool::of(run.scroll, &run.contract.id, self.run_openings(&run)?, true)?;
        let veiled = pool.veil_fields(&mut self.openings(), ABORT_FIELDS, fields, "fault");
        let shown = veiled.map_err(|e| unveiled(&run.contract.op, e))?;
        let sd = shown.get(vm_receipts::private::SD).cloned().unwrap_or_default();
        let sd = serde_json::from_value(sd).unwrap_or_default();
        run.state.fault = Some(Abort { code: code.to_owned(), by: by.to_owned(), sd });
        run.state.status = Status::Aborted;
        run.state.updated_at = at.to_string();
        self.save_pool(&run, &pool)?;
        let dir = run.dir();
        put_state(&RunFolder::new(&*self.fs, &dir), &run.state)?;
        Ok(run)
    }
}

/// Place of a stage that can be completed now.
fn may_complete(run: &Run, stage: &str) -> Result<usize, Refusal> {
    let id = &run.contract.id;
    let listed = || {
        let ready: Vec<_> = run.state.ready(&run.contract).map(|s| s.id.clone()).collect();
        format!(
            "Next: {}.",
            if ready.is_empty() { "nothing, seal the run".into() } else { ready.join(", ") }
        )
    };
    let Some(place) = run.state.stages.iter().position(|s| s.id == stage) else {
        let shown: String = stage.chars().take(64).collect();
        let what = format!("run {id} has no stage {shown:?}");
        return Err(Refusal::not_found("no_such_stage", what).field("stage").hint(listed()));
    };
    if run.state.stages[place].status == Status::Completed {
        let by = run.state.stages[place].by.clone().unwrap_or_default();
        let what = format!("stage {stage} of run {id} was completed by {by} already");
        return Err(Refusal::conflict("stage_completed", what).field("stage").hint(listed()));
    }
    match run.state.ready(&run.contract).any(|s| s.id == stage) {
        true => Ok(place),
        false => {
            let what =
                format!("stage {stage} of run {id} comes after stages that are not completed");
            Err(Refusal::conflict("stage_too_early", what).field("stage").hint(listed()))
        }
    }
}

/// Checks the fields of a stage as those of an intent are checked.
fn stage_fields(
    declared: &'static [Field],
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let spec = Spec {
        verb: "complete-stage",
        about: "",
        needs: "",
        types: &[],
        fields: declared,
        example: "",
    };
    edge::admit(&spec, given)
}

fn check_names(run: &Run, outputs: &[Attach<'_>], taken: &[String]) -> Result<(), Refusal> {
    let before = run.state.all_outputs().count();
    if before + outputs.len() > OUTPUTS_MAX {
        let what = format!("a run has at most {OUTPUTS_MAX} outputs");
        return Err(Refusal::new("too_large", RefusalKind::TooLarge, what).field("outputs"));
    }
    for (n, attach) in outputs.iter().enumerate() {
        if !is_output_name(&attach.name) {
            let shown: String = attach.name.chars().take(64).collect();
            let what = format!("{shown:?} cannot be the name of an output");
            return Err(Refusal::malformed("bad_output", what).field("outputs").hint(
                "A name is one part without / and \\, does not begin with a dot or end in .private, and has at most 240 bytes.",
            ));
        }
        let inside = format!("{OUTPUTS}/{}", attach.name);
        let twice = outputs[..n].iter().any(|other| other.name == attach.name);
        // A private output is asked for by its own name, so that must be the only one too.
        let private = taken.contains(&attach.name);
        if twice || private || run.state.all_outputs().any(|o| o.path == inside) {
            let what = format!("the run has an output {} already", attach.name);
            return Err(Refusal::conflict("output_taken", what)
                .field("outputs")
                .hint("Give it another name: --outputs NAME=PATH."));
        }
    }
    Ok(())
}

/// What an engine is shown of a file before it is taken.
fn promise(attach: &Attach<'_>) -> Output {
    Output {
        path: format!("{OUTPUTS}/{}", attach.name),
        size: 0,
        digest: String::new(),
        sha256: String::new(),
    }
}
