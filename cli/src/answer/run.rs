//! A run on the screen: how far it has come, and what is to be done next.

use crate::args::{fields, work};
use crate::exit::Stop;
use crate::screen::{Screen, Tone};
use crate::table::{Table, cell};
use std::path::Path;
use vm_contracts::{AnyEngine, Field, Kind, Presence, Shape, Stage, Status, Value};
use vm_ledger::Run;

/// Member of a stage's details by which an engine says that somebody else must agree first.
const NEEDS_APPROVAL: &str = "needs_approval";

/// A run with what a person needs to go on with it.
pub struct View<'a> {
    /// The engine.
    pub engine: &'static dyn AnyEngine,
    /// The run.
    pub run: &'a Run,
    /// The home it stands in.
    pub home: &'a Path,
}

impl View<'_> {
    fn completed(&self) -> usize {
        self.run.state.stages.iter().filter(|s| s.status == Status::Completed).count()
    }

    fn outputs(&self) -> String {
        self.home.join(self.run.dir()).join("outputs").display().to_string()
    }

    fn is_done(&self, id: &str) -> bool {
        self.run.state.stage(id).is_some_and(|s| s.status == Status::Completed)
    }

    fn ready(&self) -> Vec<&Stage> {
        // Only people complete stages; a record waits to be sealed, effects are carried out whole.
        match self.run.state.status {
            _ if !matches!(self.engine.shape(self.run.verb), Some(Shape::Staged(_))) => Vec::new(),
            Status::Pending | Status::InProgress => {
                self.run.state.ready(&self.run.contract).collect()
            }
            Status::Completed | Status::Aborted => Vec::new(),
        }
    }

    /// Stages that are not completed and not ready, each with those it waits for.
    fn waiting(&self) -> Vec<(&Stage, Vec<&str>)> {
        let open = self.run.contract.stages.iter().filter(|s| !self.is_done(&s.id));
        open.filter_map(|stage| {
            let after = stage.after.iter().map(String::as_str).filter(|id| !self.is_done(id));
            let after: Vec<&str> = after.collect();
            (!after.is_empty()).then_some((stage, after))
        })
        .collect()
    }

    fn stage_fields(&self) -> &'static [Field] {
        match self.engine.shape(self.run.verb) {
            Some(Shape::Staged(fields)) => fields,
            _ => &[],
        }
    }

    /// The command that completes a stage, its optional flags in brackets.
    fn completes(&self, stage: &Stage) -> String {
        let Run { engine, contract, .. } = self.run;
        let mut text = format!("vm {engine} complete-stage {} {}", contract.id, stage.id);
        for field in self.stage_fields().iter().filter(|f| f.is_input()) {
            let flag = match field.kind {
                Kind::Bool => format!("--{}", fields::flag(field)),
                Kind::Choice(words) => format!("--{} {}", fields::flag(field), words.join("|")),
                kind => format!("--{} <{}>", fields::flag(field), fields::value_name(&kind)),
            };
            match field.presence {
                Presence::Required => text.push_str(&format!(" {flag}")),
                _ => text.push_str(&format!(" [{flag}]")),
            }
        }
        text + " [--outputs <FILE>…] [--private-outputs <FILE>…]"
    }

    /// What is left to do once no stage is ready.
    fn then(&self) -> Option<String> {
        let is_over = self.run.state.status.is_end() || self.ready().is_empty();
        let is_staged = !work::staged(self.engine).is_empty() && !self.stage_fields().is_empty();
        let is_record = matches!(self.engine.shape(self.run.verb), Some(Shape::Record));
        (is_over || is_record || !is_staged)
            .then(|| format!("vm {} seal {}", self.run.engine, self.run.contract.id))
    }
}

/// A run as JSON.
pub fn to_json(view: &View<'_>) -> Value {
    let Run { engine, scroll, contract, digest, state, .. } = view.run;
    let ready = view.ready().into_iter().map(|stage| {
        let mut one = serde_json::to_value(stage).unwrap_or_default();
        one["complete"] = view.completes(stage).into();
        one
    });
    let waiting = view.waiting().into_iter();
    let waiting = waiting.map(|(s, after)| serde_json::json!({"id": s.id, "after": after}));
    serde_json::json!({
        "id": contract.id,
        "engine": engine,
        "scroll": scroll,
        "op": contract.op,
        "title": contract.title,
        "status": state.status.word(),
        "contract": digest.to_string(),
        "dir": view.run.dir(),
        "outputs": view.outputs(),
        "stages_total": state.stages.len(),
        "stages_completed": view.completed(),
        "state": state,
        "ready": ready.collect::<Vec<_>>(),
        "waiting": waiting.collect::<Vec<_>>(),
        "then": view.then(),
    })
}

/// One line about a run, behind a word that says what happened.
pub fn headline(
    screen: &mut Screen<'_>,
    view: &View<'_>,
    (tone, word): (Tone, &str),
) -> Result<(), Stop> {
    let contract = &view.run.contract;
    screen.toned(tone, word, &format!("  id {}", contract.id))?;
    screen.line(&format!("  {:<11}{}: {}", "what", contract.op, contract.title))?;
    screen.line(&format!("  {:<11}{}", "contract", view.run.digest))
}

/// Prints what is to be done: stages that are ready in full, the others in a line each.
pub fn next(screen: &mut Screen<'_>, view: &View<'_>) -> Result<(), Stop> {
    let state = &view.run.state;
    let (done, all) = (view.completed(), state.stages.len());
    if all > 0 {
        let what = format!("  {done} of {all} stages completed; files in {}", view.outputs());
        screen.toned(Tone::Strong, state.status.word(), &what)?;
    }
    for stage in view.ready() {
        ready(screen, view, stage)?;
    }
    let waiting = view.waiting();
    if !waiting.is_empty() && !state.status.is_end() {
        screen.toned(Tone::Strong, "waiting", "")?;
        for (stage, after) in waiting {
            let order = stage.order;
            screen.line(&format!("  {order:>3}  {}  after {}", stage.id, after.join(", ")))?;
        }
    }
    match view.then() {
        Some(command) => screen.line(&format!("next: {command}")),
        None => Ok(()),
    }
}

fn ready(screen: &mut Screen<'_>, view: &View<'_>, stage: &Stage) -> Result<(), Stop> {
    screen.toned(Tone::Good, "ready", &format!("  {}  {}", stage.order, stage.id))?;
    let pairs = [
        ("skill", &stage.skill),
        ("workflow", &stage.workflow),
        ("role", &stage.role),
        ("objective", &stage.objective),
    ];
    for (name, value) in pairs {
        if let Some(value) = value {
            pair(screen, name, value)?;
        }
    }
    for (name, value) in &stage.details {
        match (name.as_str(), value) {
            (NEEDS_APPROVAL, Value::Bool(true)) => {
                pair(screen, "approval", "by another person, for a window")?
            }
            (NEEDS_APPROVAL, _) | (_, Value::Null | Value::Object(_)) => {}
            (name, Value::Bool(flag)) => {
                pair(screen, &name.replace('_', " "), if *flag { "yes" } else { "no" })?
            }
            (name, value) => pair(screen, &name.replace('_', " "), &cell(value))?,
        }
    }
    for (n, action) in stage.actions.iter().enumerate() {
        block(screen, &format!("{:>3}. ", n + 1), action)?;
    }
    for output in &stage.expected_outputs {
        pair(screen, "expected", output)?;
    }
    screen.line(&format!("  {}", view.completes(stage)))
}

fn pair(screen: &mut Screen<'_>, name: &str, value: &str) -> Result<(), Stop> {
    block(screen, &format!("{name:<9}  "), value)
}

/// A text of several lines, the later ones below the first.
fn block(screen: &mut Screen<'_>, head: &str, text: &str) -> Result<(), Stop> {
    let below = " ".repeat(head.chars().count());
    for (n, line) in text.lines().enumerate() {
        screen.line(&format!("  {}{line}", if n == 0 { head } else { &below }))?;
    }
    Ok(())
}

/// Open runs, one row each.
pub fn table(runs: &[Run]) -> Table {
    let mut table = Table::new(["run", "operation", "title", "status", "stages", "opened", "by"]);
    for run in runs {
        let state = &run.state;
        let done = state.stages.iter().filter(|s| s.status == Status::Completed).count();
        table.row([
            run.contract.id.clone(),
            run.contract.op.clone(),
            run.contract.title.clone(),
            state.status.word().to_owned(),
            format!("{done} of {}", state.stages.len()),
            state.created_at.clone(),
            state.opened_by.clone(),
        ]);
    }
    table
}
