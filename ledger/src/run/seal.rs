//! Sealing: what the folder holds is measured and compared, the receipt is committed, the folder becomes a case.

use crate::commit::Work;
use crate::fs::make_dir;
use crate::ledger::Ledger;
use crate::openings::Opening;
use crate::run::case::Case;
use crate::run::files::{CLAIM, CONTRACT, RunFolder, STATE, case_dir, fault, run_dir};
use crate::run::open::{Opened, put_state};
use crate::run::{Run, operation};
use crate::writer::{Answer, Writer};
use std::collections::BTreeMap;
use vm_contracts::contract::OUTPUTS;
use vm_contracts::work::Shape;
use vm_contracts::{
    Actor, AnyEngine, Call, Failure, Fault, Map, Output, Refusal, RefusalKind, Status, Value, edge,
};
use vm_receipts::case::{self, Artifact};
use vm_receipts::digest::Blake3;
use vm_receipts::line::Line;
use vm_receipts::{intent, line};
use vm_scrolls::proof::{Entry, FILE_NAME, Proof};

/// Name of the manifest in a case.
pub(crate) const ARTIFACTS: &str = "ARTIFACTS.sha256";

/// What sealing came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// The receipts, as for any call.
    pub answer: Answer,
    /// Folder of the case; `None` for a record, which has none.
    pub case: Option<String>,
}

impl Ledger {
    /// Seals a run that came to its end.
    pub fn seal_run(&self, engine: &str, id: &str, by: &Actor) -> Result<Sealing, Failure> {
        let mut writer = self.writer();
        let engine = writer.engine(engine)?;
        let run = writer.load_run(engine, id)?;
        let (_, spec, _) = operation(writer.engines, &run.contract.op)?;
        writer.gate.may(by, spec.needs)?;
        writer.seal_run(run)
    }

    /// An operation with effects in one go: planned, carried out, sealed.
    ///
    /// A second call with the same id and intent is answered from the receipt.
    pub fn perform(&self, mut call: Call) -> Result<Sealing, Failure> {
        let by = call.actor.clone();
        let engine = self.engine(&call.engine)?;
        let known = call.id.as_deref().map(|id| self.find(engine.scroll(), id));
        if let (Some(Ok(Some(_))), Some(id)) = (known, call.id.clone()) {
            let answer = self.writer().commit_existing(engine, call)?;
            return Ok(Sealing { answer, case: Some(case_dir(engine.scroll(), &id)) });
        }
        let secrets = self.writer().take_secrets(engine, &mut call)?;
        let opened = self.writer().open_call(engine, call, &by)?;
        let run = self.carry_out(opened, secrets)?.run;
        self.seal_run(run.engine, &run.contract.id, &by)
    }
}

impl Writer {
    pub(crate) fn seal_run(&mut self, run: Run) -> Result<Sealing, Failure> {
        self.usable()?;
        let (engine, _, shape) = operation(self.engines, &run.contract.op)?;
        self.ensure_scroll(engine)?;
        if matches!(shape, Shape::Record) && run.state.status != Status::Aborted {
            return self.seal_record(engine, run);
        }
        let run = self.at_its_end(run, shape)?;
        self.settle_outputs(&run)?;
        let artifacts = self.artifacts(&run)?;
        let openings = self.openings_behind(&run)?;
        let op = run.contract.op.as_str();
        let digest = intent::intent_digest(op, &run.contract.intent)
            .map_err(|e| crate::hidden::unkeepable(op, &e.to_string()))?;
        let case = Case {
            contract: run.contract.clone(),
            contract_digest: run.digest,
            state_digest: digest_of(&artifacts, STATE),
            root_hash: case::root(&artifacts).map_err(|e| unsealable(&run, &e.to_string()))?,
            artifacts: case::manifest_digest(&artifacts),
            intent: digest,
            state: run.state.clone(),
            openings: openings.clone(),
        };
        let admitted = self.admitted_run(&run, &openings, Work::Case(Box::new(case)))?;
        let answer = self.commit_one(engine, admitted)?;
        let dir = case_dir(run.scroll, &run.contract.id);
        if let Err(failure) = self.finish_case(run.scroll, &run.contract.id) {
            self.messages.push(format!(
                "the receipt is committed, but its folder is not in {dir} yet: {failure}. The next process that opens this home moves it."
            ));
        }
        Ok(Sealing { answer, case: Some(dir) })
    }

    /// A record was only waiting: it is decided and committed like any other, with the openings of its contract.
    fn seal_record(
        &mut self,
        engine: &'static dyn AnyEngine,
        run: Run,
    ) -> Result<Sealing, Failure> {
        let openings = self.run_openings(&run)?;
        let work = Work::Record { openings: openings.clone(), of_run: true };
        let admitted = self.admitted_run(&run, &openings, work)?;
        let answer = self.commit_one(engine, admitted)?;
        if let Err(failure) = self.drop_run(run.scroll, &run.contract.id) {
            self.messages.push(format!(
                "the receipt is committed, but {} is still there: {failure}",
                run.dir()
            ));
        }
        Ok(Sealing { answer, case: None })
    }

    fn commit_one(
        &mut self,
        engine: &'static dyn AnyEngine,
        admitted: crate::commit::Admitted,
    ) -> Result<Answer, Failure> {
        let mut answers = self.commit_admitted(engine, vec![Ok(admitted)]);
        answers.pop().expect("one call has one answer")
    }

    /// Takes the secrets out of a call: no file of a run may hold them, so they go to the effects directly.
    fn take_secrets(
        &self,
        engine: &'static dyn AnyEngine,
        call: &mut Call,
    ) -> Result<Map<String, Value>, Failure> {
        let mut admitted = self.admit(engine, call.clone(), Work::record())?;
        admitted.intent = edge::admit(admitted.spec, &call.intent)?;
        let is_secret = |name: &str| admitted.spec.field(name).is_some_and(|f| f.secret);
        admitted.intent.retain(|name, _| is_secret(name));
        call.intent.retain(|name, _| !is_secret(name));
        Ok(admitted.intent)
    }

    /// Opens the run of a call; one that was opened before with this id and intent is gone on with.
    fn open_call(
        &mut self,
        engine: &'static dyn AnyEngine,
        call: Call,
        by: &Actor,
    ) -> Result<Opened, Failure> {
        let id = call.id.clone().filter(|id| line::is_id(id));
        let there = id.map(|id| self.load_run(engine, &id)).and_then(Result::ok);
        let Some(run) = there else {
            let handed = self.plan(call)?;
            return self.open_run(handed, by);
        };
        let openings = self.run_openings(&run)?;
        let was = self.admitted_run(&run, &openings, Work::record())?;
        let now = self.admit(engine, call, Work::record())?;
        let same = was.op == now.op
            && was.intent == now.intent
            && was.call.tags == now.call.tags
            && was.call.actor == now.call.actor;
        match same {
            true => Ok(Opened { run, existing: true }),
            false => Err(Refusal::conflict(
                "run_exists",
                format!("run {} is open with another contract", run.contract.id),
            )
            .into()),
        }
    }

    /// Answers a call from the receipts of the call that had its id, or refuses it as another request.
    fn commit_existing(
        &mut self,
        engine: &'static dyn AnyEngine,
        call: Call,
    ) -> Result<Answer, Failure> {
        let admitted = self.admit(engine, call, Work::record())?;
        self.commit_one(engine, admitted)
    }

    /// Only work that came to its end is sealed; that of people ends here, when all its stages are completed.
    fn at_its_end(&mut self, mut run: Run, shape: Shape) -> Result<Run, Failure> {
        if run.state.status.is_end() {
            return Ok(run);
        }
        let id = &run.contract.id;
        let open: Vec<_> = run
            .state
            .stages
            .iter()
            .filter(|s| s.status != Status::Completed)
            .map(|s| s.id.as_str())
            .collect();
        let staged = matches!(shape, Shape::Staged(_));
        if !staged {
            let what = format!("run {id} was not carried out to its end");
            return Err(Refusal::conflict("run_not_ended", what)
                .hint("An interrupted run is sealed as aborted by the next process that opens this home.")
                .into());
        }
        if !open.is_empty() {
            let shown = open.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            let more = open.len().saturating_sub(5);
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            let what = format!("run {id} has stages that are not completed: {shown}{rest}");
            return Err(Refusal::conflict("stages_open", what)
                .hint("Complete them, with the outcome not_run where the operation knows it, or abort the run.")
                .into());
        }
        let at = self.now(self.scrolls.get(run.scroll).and_then(|s| s.last_at))?;
        run.state.status = Status::Completed;
        run.state.updated_at = at.to_string();
        let dir = run.dir();
        put_state(&RunFolder::new(&*self.fs, &dir), &run.state)?;
        Ok(run)
    }

    /// Every file of the run, measured. In a completed run each output must be what it was when it was attached; one
    /// that was given up is sealed over what it left, so that nothing can keep it open.
    fn artifacts(&self, run: &Run) -> Result<Vec<Artifact>, Failure> {
        let dir = run.dir();
        let folder = RunFolder::new(&*self.fs, &dir);
        let strict = run.state.status != Status::Aborted;
        let mut expected: BTreeMap<&str, &Output> =
            run.state.all_outputs().map(|o| (o.path.as_str(), o)).collect();
        let mut found = Vec::new();
        for name in folder.listed()? {
            let inside = format!("{OUTPUTS}/{name}");
            let output = expected.remove(inside.as_str());
            if strict && output.is_none() {
                let what = format!("{} belongs to no stage", folder.path(&inside));
                return Err(Refusal::conflict("output_not_attached", what)
                    .hint("Attach it with complete-stage, or take it out of the folder.")
                    .into());
            }
            let now = folder.measure(&inside)?;
            if strict && now.as_ref() != output {
                return Err(changed(&folder.path(&inside)).into());
            }
            found.extend(now);
        }
        if let Some(name) = self.stray_file(&dir)?.filter(|_| strict) {
            let what = format!("{dir}/{name} belongs to no stage");
            return Err(Refusal::conflict("output_not_attached", what)
                .hint("Attach it with complete-stage, or take it out of the folder.")
                .into());
        }
        if let Some(path) = expected.keys().next().filter(|_| strict) {
            return Err(changed(&folder.path(path)).into());
        }
        for name in [CONTRACT, STATE] {
            let one = folder.measure(name)?;
            found.push(one.ok_or_else(|| unsealable(run, &format!("{name} is gone")))?);
        }
        let artifacts = found.iter().map(artifact).collect::<Option<Vec<_>>>();
        let mut artifacts = artifacts.ok_or_else(|| unsealable(run, "a digest does not read"))?;
        artifacts.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        Ok(artifacts)
    }

    /// What an aborted run left in `outputs/` and no state.json names: whether its bytes are on the disk nobody knows,
    /// and a sync that failed is not told twice. So each is copied into a new file before a receipt speaks of it.
    /// And a name that was taken away again must not come back.
    fn settle_outputs(&self, run: &Run) -> Result<(), Failure> {
        let dir = run.dir();
        let folder = RunFolder::new(&*self.fs, &dir);
        let leftover = |inside: &str| {
            let known = run.state.all_outputs().any(|o| o.path == inside);
            run.state.status == Status::Aborted && !known
        };
        folder.keep_outputs()?;
        for name in folder.listed()? {
            let inside = format!("{OUTPUTS}/{name}");
            if leftover(&inside) {
                folder.renew(&inside)?;
            }
        }
        let outputs = folder.path(OUTPUTS);
        self.fs.sync_dir(&outputs).map_err(|e| fault("sync", &outputs, &e))
    }

    /// A file beside those of a run.
    fn stray_file(&self, dir: &str) -> Result<Option<String>, Failure> {
        const OURS: [&str; 7] = [CONTRACT, STATE, OUTPUTS, CLAIM, ARTIFACTS, FILE_NAME, "openings"];
        let names = self.fs.list(dir).map_err(|e| fault("list", dir, &e))?;
        let ours = |name: &String| OURS.contains(&name.as_str()) || name.ends_with(".tmp");
        Ok(names.into_iter().find(|name| !ours(name)))
    }

    /// Openings that something in the case needs. Those of a stage that was not completed in the end stay behind.
    fn openings_behind(&self, run: &Run) -> Result<Vec<Opening>, Failure> {
        let dir = run.dir();
        let wanted = RunFolder::new(&*self.fs, &dir).digests(&run.contract, &run.state);
        let mut openings = self.run_openings(run)?;
        openings.retain(|o| wanted.contains(&o.digest));
        Ok(openings)
    }

    /// Makes the case of a sealed run out of its folder. Each step may have been done before.
    pub(crate) fn finish_case(&mut self, scroll: &str, id: &str) -> Result<(), Failure> {
        let (from, to) = (run_dir(scroll, id), case_dir(scroll, id));
        let folder = RunFolder::new(&*self.fs, &from);
        if !folder.is_open()? {
            return Ok(());
        }
        let (contract, digest) = folder.contract()?;
        let (owner, spec, _) = operation(self.engines, &contract.op)?;
        let state = folder.state()?;
        let run = Run {
            engine: owner.name(),
            verb: spec.verb,
            scroll: owner.scroll(),
            contract,
            digest,
            state,
        };
        let artifacts = self.artifacts(&run)?;
        let line = self.first_line(scroll, id)?;
        if line.artifacts != Some(case::manifest_digest(&artifacts)) {
            return Err(changed(&folder.path(OUTPUTS)).into());
        }
        let manifest = case::manifest(&artifacts);
        folder.put(ARTIFACTS, manifest.as_bytes())?;
        folder.put(FILE_NAME, &self.case_proof(scroll, id, &artifacts)?)?;
        self.openings()
            .remove_run(scroll, id)
            .map_err(|e| fault("remove openings of", &from, &e))?;
        folder.remove(CLAIM)?;
        // What an interrupted replacement left is no part of the case.
        let names = self.fs.list(&from).map_err(|e| fault("list", &from, &e))?;
        for name in names.iter().filter(|name| name.ends_with(".tmp")) {
            folder.remove(name)?;
        }
        make_dir(&*self.fs, "cases").map_err(|e| fault("make", "cases", &e))?;
        let above = format!("cases/{scroll}");
        make_dir(&*self.fs, &above).map_err(|e| fault("make", &above, &e))?;
        let moved = self.fs.sync_dir(&from).and_then(|()| self.fs.rename(&from, &to));
        moved
            .and_then(|()| self.fs.sync_dir(&above))
            .and_then(|()| self.fs.sync_dir(&format!("runs/{scroll}")))
            .map_err(|e| fault("move", &to, &e))?;
        self.open_runs.remove(&(scroll.to_owned(), id.to_owned()));
        Ok(())
    }

    /// The first receipt of a call.
    fn first_line(&self, scroll: &str, id: &str) -> Result<Line, Failure> {
        let seq = self.scroll(scroll).group(id).map(|group| group.first);
        let gone = || Fault::new("run_files", format!("{scroll} has no receipt of {id}"));
        let bytes = self.read_checked(scroll, seq.ok_or_else(gone)?, 1)?.pop().unwrap_or_default();
        Ok(Line::parse(&bytes).map_err(|_| gone())?)
    }

    /// PROOF.json of a case: its first receipt with all files of the bundle named.
    fn case_proof(
        &self,
        scroll: &str,
        id: &str,
        artifacts: &[Artifact],
    ) -> Result<Vec<u8>, Failure> {
        let group = self.scroll(scroll).group(id);
        let seq =
            group.ok_or_else(|| Fault::new("run_files", format!("{id} has no receipt")))?.first;
        let line = self.read_checked(scroll, seq, 1)?.pop().unwrap_or_default();
        let path = self.inclusion_path(scroll, seq)?;
        let note = self.notes.get(scroll).cloned().unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let bundle = artifacts.iter().map(Entry::of).collect();
        Ok(Proof::new(line, seq, path, note).with_bundle(bundle).to_bytes())
    }

    /// Takes the folder of a sealed record away: the receipt says all of it.
    pub(crate) fn drop_run(&mut self, scroll: &str, id: &str) -> Result<(), Failure> {
        let dir = run_dir(scroll, id);
        let folder = RunFolder::new(&*self.fs, &dir);
        // contract.json goes first: without it the folder is none of an open run.
        for name in [CONTRACT, STATE, CLAIM] {
            folder.remove(name)?;
            folder.remove(&format!("{name}.tmp"))?;
        }
        self.openings()
            .remove_run(scroll, id)
            .map_err(|e| fault("remove openings of", &dir, &e))?;
        let outputs = folder.path(OUTPUTS);
        self.fs
            .remove_dir(&outputs)
            .and_then(|()| self.fs.remove_dir(&dir))
            .and_then(|()| self.fs.sync_dir(&format!("runs/{scroll}")))
            .map_err(|e| fault("remove", &dir, &e))?;
        self.open_runs.remove(&(scroll.to_owned(), id.to_owned()));
        Ok(())
    }
}

/// A file as the bundle names it; `None` where a digest does not read.
pub(crate) fn artifact(output: &Output) -> Option<Artifact> {
    Some(Artifact {
        path: output.path.clone(),
        size: output.size,
        blake3: output.digest.parse().ok()?,
        sha256: output.sha256.parse().ok()?,
    })
}

fn digest_of(artifacts: &[Artifact], name: &str) -> Blake3 {
    let found = artifacts.iter().find(|a| a.path == name);
    found.map_or(Blake3([0; 32]), |a| a.blake3)
}

fn changed(path: &str) -> Refusal {
    let what = format!("{path} is not what it was when it was attached");
    Refusal::conflict("output_changed", what)
        .hint("Put the file back as it was, or abort the run and do it again.")
}

fn unsealable(run: &Run, what: &str) -> Failure {
    let what = format!("run {} cannot be sealed: {what}", run.contract.id);
    Refusal::new("unsealable", RefusalKind::Invariant, what).into()
}
