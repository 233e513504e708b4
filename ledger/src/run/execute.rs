//! Effects: claimed, carried out once, their outcome kept before anything is sealed.

use crate::fs::Fs;
use crate::ledger::Ledger;
use crate::openings::{Opening, Openings};
use crate::run::files::{CLAIM, RunFolder, fault};
use crate::run::open::{Opened, put_state};
use crate::run::{Run, operation};
use crate::writer::Writer;
use serde_json::json;
use std::io::Read;
use std::sync::Arc;
use vm_contracts::contract::{Abort, OUTPUTS, OUTPUTS_MAX};
use vm_contracts::work::Shape;
use vm_contracts::{Failure, Fault, Map, Output, Outputs, Ports, Refusal, Status, Value, veil};
use vm_receipts::private::Disclosure;

impl Ledger {
    /// Carries out what was opened, unless that was done or begun before.
    pub(crate) fn carry_out(
        &self,
        opened: Opened,
        secrets: Map<String, Value>,
    ) -> Result<Opened, Failure> {
        let run = opened.run;
        let (engine, shape) = {
            let writer = self.writer();
            let (engine, _, shape) = operation(writer.engines, &run.contract.op)?;
            (engine, shape)
        };
        let Shape::Operation(declared) = shape else { return Ok(Opened { run, ..opened }) };
        let (run, hidden, ports, mut desk) = {
            let mut writer = self.writer();
            // As it stands now: somebody may have given it up, or carried it out, since it was opened.
            let run = writer.load_run(engine, &run.contract.id)?;
            if run.state.status.is_end() {
                return Ok(Opened { run, ..opened });
            }
            let mut hidden = writer.hidden_of(&run)?;
            hidden.extend(secrets);
            writer.claim(&run)?;
            let desk = Desk::new(&writer, &run);
            (run, hidden, writer.ports.clone(), desk)
        };
        // Nobody holds the writer while the world is being touched.
        let token = run.contract.id.clone();
        let mut granted = Ports::new(run.engine, declared, &*ports, &mut desk, &token);
        let outcome = engine.execute(run.verb, &run.contract, &hidden, &mut granted);
        let run = self.writer().keep_outcome(run, outcome, desk)?;
        Ok(Opened { run, ..opened })
    }
}

impl Writer {
    /// The claim is durable before the first effect; whoever finds it there does not begin.
    fn claim(&mut self, run: &Run) -> Result<(), Failure> {
        // Whatever would keep its receipt from being sealed must be known before the effect.
        self.usable()?;
        let scroll = self.scroll(run.scroll);
        let (last, read_only) = (scroll.last_at, scroll.read_only.clone());
        read_only.map_or(Ok(()), Err)?;
        self.not_sealed(run)?;
        self.now(last)?;
        let dir = run.dir();
        let folder = RunFolder::new(&*self.fs, &dir);
        if folder.regular(CLAIM)?.is_some() {
            let what = format!(
                "run {} is being carried out by another, or its executor is gone",
                run.contract.id
            );
            return Err(Refusal::conflict("run_claimed", what)
                .hint("An effect is never repeated by itself: the next process that opens this home seals the run as interrupted.")
                .into());
        }
        let path = folder.path(CLAIM);
        let text = format!("{}\n", json!({"n": 1, "by": self.issuer_did}));
        self.fs
            .append(&path, 0, text.as_bytes())
            .and_then(|()| self.fs.sync(&path))
            .and_then(|()| self.fs.sync_dir(&dir))
            .map_err(|e| fault("write", &path, &e))
    }

    /// Private fields of the intent, for the effects alone.
    fn hidden_of(&self, run: &Run) -> Result<Map<String, Value>, Failure> {
        let openings = self.run_openings(run)?;
        let work = crate::commit::Work::record();
        let admitted = self.admitted_run(run, &openings, work)?;
        Ok(veil::hidden(admitted.spec, &admitted.intent))
    }

    fn keep_outcome(
        &mut self,
        mut run: Run,
        outcome: Result<Value, Fault>,
        desk: Desk,
    ) -> Result<Run, Failure> {
        // The effect has happened, so nothing about the clock may keep its outcome from being written down.
        let last = self.scrolls.get(run.scroll).and_then(|s| s.last_at);
        let at = self.now(last).map_or_else(|_| run.state.updated_at.clone(), |at| at.to_string());
        run.state.outputs = desk.kept;
        run.state.updated_at = at;
        let mut failed = None;
        match outcome {
            Ok(outcome) => {
                run.state.outcome = Some(outcome);
                run.state.status = Status::Completed;
            }
            Err(fault) => {
                let by = self.issuer_did.clone();
                run.state.fault = Some(Abort { code: plain_code(&fault.code), by, sd: Vec::new() });
                run.state.status = Status::Aborted;
                failed = Some(fault);
            }
        }
        if !desk.openings.is_empty() {
            let mut all = self.run_openings(&run)?;
            all.extend(desk.openings);
            let saved = self.openings().save_run(run.scroll, &run.contract.id, &all);
            saved.map_err(|e| fault("write openings of", &run.dir(), &e))?;
        }
        let dir = run.dir();
        put_state(&RunFolder::new(&*self.fs, &dir), &run.state)?;
        if let Some(fault) = failed {
            self.messages
                .push(format!("run {}: {} ({})", run.contract.id, fault.message, fault.code));
        }
        Ok(run)
    }
}

/// A fault's code as it may stand in a receipt.
fn plain_code(code: &str) -> String {
    match vm_receipts::line::is_type(code) {
        true => code.to_owned(),
        false => "fault".to_owned(),
    }
}

/// Where an executor leaves its files.
struct Desk {
    fs: Arc<dyn Fs>,
    /// Its own, so that a slow source of a private file keeps nobody else waiting.
    files: Openings,
    dir: String,
    scroll: &'static str,
    id: String,
    kept: Vec<Output>,
    openings: Vec<Opening>,
}

impl Desk {
    fn new(writer: &Writer, run: &Run) -> Self {
        Self {
            fs: writer.fs.clone(),
            files: Openings::new(
                writer.fs.clone(),
                writer.entropy.clone(),
                &writer.settings.ledger,
            ),
            dir: run.dir(),
            scroll: run.scroll,
            id: run.contract.id.clone(),
            kept: Vec::new(),
            openings: Vec::new(),
        }
    }
}

impl Outputs for Desk {
    fn keep(&mut self, name: &str, private: bool, source: &mut dyn Read) -> Result<(), Fault> {
        let taken = self.kept.iter().any(|o| o.path == format!("{OUTPUTS}/{name}"));
        if self.kept.len() >= OUTPUTS_MAX || taken || !is_output_name(name) {
            let what = format!("the output {name:?} has a name that is taken or cannot be one");
            return Err(Fault { retryable: false, ..Fault::new("bad_output", what) });
        }
        let folder = RunFolder::new(&*self.fs, &self.dir);
        let kept = match private {
            false => folder.take(name, source),
            true => {
                let number = self.openings.len() + 1;
                take_private(
                    &mut self.files,
                    &folder,
                    (self.scroll, &self.id),
                    number,
                    name,
                    source,
                )
                .map(|(output, opening)| {
                    self.openings.push(opening);
                    output
                })
            }
        };
        self.kept.push(kept.map_err(|failure| match failure {
            Failure::Fault(fault) => fault,
            other => Fault { retryable: false, ..Fault::new("bad_output", other.to_string()) },
        })?);
        Ok(())
    }
}

/// Whether a name can be that of an output: one part, no control characters, not hidden, at most 240 bytes.
pub(crate) fn is_output_name(name: &str) -> bool {
    (1..=240).contains(&name.len())
        && !name.starts_with('.')
        && !name.ends_with(".private")
        && !name.chars().any(|c| c.is_control() || c == '/' || c == '\\')
}

/// Stores a private output encrypted beside the openings, and its stub in `outputs/`.
pub(crate) fn take_private(
    openings: &mut Openings,
    folder: &RunFolder<'_>,
    (scroll, id): (&str, &str),
    number: usize,
    name: &str,
    source: &mut dyn Read,
) -> Result<(Output, Opening), Failure> {
    let stub = format!("{number:04}.private");
    let file = format!("{number:04}");
    let sealed = openings.seal_file(scroll, id, &file, source)?;
    let value = json!({
        "name": name,
        "sha256": sealed.sha256.to_string().trim_start_matches("sha256:"),
        "size": sealed.size,
    });
    let made = Disclosure::field(&openings.salt(), "output", &value)
        .map_err(|e| crate::hidden::unkeepable(name, &e.to_string()))?;
    let bytes = vm_receipts::case::stub(made.digest());
    let output = folder.take(&stub, &mut bytes.as_slice())?;
    let opening = Opening {
        seq: 0,
        digest: made.digest().to_owned(),
        disclosure: made.text().to_owned(),
        file: Some(sealed.key),
    };
    Ok((output, opening))
}
