//! Operations that take more than a decision: work with effects, and work at the pace of people.

use crate::contract::{Contract, Plan, RunView, Stage, StageDone};
use crate::edge;
use crate::engine::{Asked, Draft};
use crate::error::{Fault, Refusal};
use crate::port::{Port, Ports};
use crate::spec::{Field, Spec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Work with effects: planned purely, executed through ports, sealed with what came of it.
pub trait Operation: Sync + 'static {
    /// State of the engine.
    type State;
    /// The intent, typed; without its secrets, which go to `execute` alone.
    type Intent: DeserializeOwned;
    /// What will be done. It stands in contract.json, so it holds no private and no secret value.
    type Plan: Serialize + DeserializeOwned;
    /// What came of it. It stands in state.json, so it holds no private and no secret value.
    type Outcome: Serialize + DeserializeOwned;
    /// The declaration.
    fn spec(&self) -> &'static Spec;
    /// Ports that `execute` may use.
    fn ports(&self) -> &'static [Port] {
        &[]
    }
    /// Says what will be done. Pure: the same state, intent and time give the same plan.
    fn plan(
        &self,
        state: &Self::State,
        intent: Self::Intent,
        asked: Asked<'_>,
    ) -> Result<Self::Plan, Refusal>;
    /// Does it: the only effects. `hidden` holds the private and secret fields of the intent. It runs at most once
    /// for a run, and may be cut off at any point; [`Ports::token`] lets the other side recognise a repeated effect.
    fn execute(
        &self,
        plan: Self::Plan,
        hidden: &Map<String, Value>,
        ports: &mut Ports<'_>,
    ) -> Result<Self::Outcome, Fault>;
    /// Which receipts it leaves, 1 to n. Pure.
    fn drafts(&self, plan: Self::Plan, outcome: Self::Outcome) -> Vec<Draft>;
}

/// Work at the pace of people: planned, completed stage by stage, sealed. All pure; the ledger owns the files.
pub trait Staged: Sync + 'static {
    /// State of the engine.
    type State;
    /// The intent, typed.
    type Intent: DeserializeOwned;
    /// The declaration: fields of the intent and of the receipts' bodies.
    fn spec(&self) -> &'static Spec;
    /// What is asked of a person who completes a stage, besides the stage's id and the files it left.
    fn stage_fields(&self) -> &'static [Field];
    /// Makes a plan. Pure: the same state, intent and time give the same plan.
    fn plan(
        &self,
        state: &Self::State,
        intent: Self::Intent,
        asked: Asked<'_>,
    ) -> Result<Plan, Refusal>;
    /// Whether the stage may be completed like this. That it exists, comes next, was not completed before and left
    /// the files it names was checked by the ledger.
    fn complete(
        &self,
        state: &Self::State,
        run: RunView<'_>,
        done: &StageDone<'_>,
        asked: Asked<'_>,
    ) -> Result<(), Refusal>;
    /// Which receipts a run leaves whose stages are all completed, 1 to n.
    fn seal(
        &self,
        state: &Self::State,
        run: RunView<'_>,
        asked: Asked<'_>,
    ) -> Result<Vec<Draft>, Refusal>;
}

/// How an operation works, for those who only carry it out.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A fact, checked and kept; no effects, no case folder.
    Record,
    /// Work with effects through these ports.
    Operation(&'static [Port]),
    /// Work at the pace of people; completing a stage takes these fields.
    Staged(&'static [Field]),
}

/// Name of the only stage of a plan that people do not carry out stage by stage.
pub const ONLY_STAGE: &str = "run";

/// The plan of an operation that has no stages of its own.
pub(crate) fn single(spec: &Spec, details: Map<String, Value>) -> Plan {
    let stage = Stage { id: ONLY_STAGE.into(), order: 1, ..Stage::default() };
    Plan { title: spec.about.to_owned(), stages: vec![stage], details, ..Plan::default() }
}

/// An [`Operation`] with its types erased to JSON.
pub trait AnyOperation<S>: Sync {
    /// The declaration.
    fn spec(&self) -> &'static Spec;
    /// Ports that it may use.
    fn ports(&self) -> &'static [Port];
    /// Plans a checked intent.
    fn plan(
        &self,
        state: &S,
        intent: &Map<String, Value>,
        asked: Asked<'_>,
    ) -> Result<Plan, Refusal>;
    /// Carries out a plan that stands in a contract.
    fn execute(
        &self,
        contract: &Contract,
        hidden: &Map<String, Value>,
        ports: &mut Ports<'_>,
    ) -> Result<Value, Fault>;
    /// Which receipts the outcome leaves.
    fn drafts(&self, contract: &Contract, outcome: &Value) -> Result<Vec<Draft>, Fault>;
}

/// Member of a contract's `plan` that holds the typed plan of an [`Operation`].
const TYPED_PLAN: &str = "do";

pub(crate) fn unreadable(op: &str, what: &str) -> Fault {
    let what = format!("{op}: its {what} does not read back as the engine wrote it");
    Fault { retryable: false, ..Fault::new("plan_unreadable", what) }
}

fn as_object<T: Serialize>(name: &str, value: &T) -> Result<Map<String, Value>, Refusal> {
    let value = serde_json::to_value(value)
        .map_err(|_| Refusal::malformed("wrong_type", "the plan cannot be written as JSON"))?;
    Ok(Map::from_iter([(name.to_owned(), value)]))
}

impl<O: Operation> AnyOperation<O::State> for O {
    fn spec(&self) -> &'static Spec {
        Operation::spec(self)
    }
    fn ports(&self) -> &'static [Port] {
        Operation::ports(self)
    }

    fn plan(
        &self,
        state: &O::State,
        intent: &Map<String, Value>,
        asked: Asked<'_>,
    ) -> Result<Plan, Refusal> {
        let spec = Operation::spec(self);
        let plan = Operation::plan(self, state, edge::typed(spec, intent)?, asked)?;
        Ok(single(spec, as_object(TYPED_PLAN, &plan)?))
    }

    fn execute(
        &self,
        contract: &Contract,
        hidden: &Map<String, Value>,
        ports: &mut Ports<'_>,
    ) -> Result<Value, Fault> {
        let plan = typed_plan::<O>(contract)?;
        let outcome = Operation::execute(self, plan, hidden, ports)?;
        serde_json::to_value(outcome).map_err(|_| unreadable(&contract.op, "outcome"))
    }

    fn drafts(&self, contract: &Contract, outcome: &Value) -> Result<Vec<Draft>, Fault> {
        let typed = serde_json::from_value(outcome.clone());
        let outcome = typed.map_err(|_| unreadable(&contract.op, "outcome"))?;
        Ok(Operation::drafts(self, typed_plan::<O>(contract)?, outcome))
    }
}

fn typed_plan<O: Operation>(contract: &Contract) -> Result<O::Plan, Fault> {
    let plan = contract.plan.get(TYPED_PLAN).cloned().unwrap_or_default();
    serde_json::from_value(plan).map_err(|_| unreadable(&contract.op, "plan"))
}

/// A [`Staged`] with its types erased to JSON.
pub trait AnyStaged<S>: Sync {
    /// The declaration.
    fn spec(&self) -> &'static Spec;
    /// What completing a stage takes.
    fn stage_fields(&self) -> &'static [Field];
    /// Plans a checked intent.
    fn plan(
        &self,
        state: &S,
        intent: &Map<String, Value>,
        asked: Asked<'_>,
    ) -> Result<Plan, Refusal>;
    /// Whether the stage may be completed like this.
    fn complete(
        &self,
        state: &S,
        run: RunView<'_>,
        done: &StageDone<'_>,
        asked: Asked<'_>,
    ) -> Result<(), Refusal>;
    /// Which receipts the completed run leaves.
    fn seal(&self, state: &S, run: RunView<'_>, asked: Asked<'_>) -> Result<Vec<Draft>, Refusal>;
}

impl<T: Staged> AnyStaged<T::State> for T {
    fn spec(&self) -> &'static Spec {
        Staged::spec(self)
    }
    fn stage_fields(&self) -> &'static [Field] {
        Staged::stage_fields(self)
    }

    fn plan(
        &self,
        state: &T::State,
        intent: &Map<String, Value>,
        asked: Asked<'_>,
    ) -> Result<Plan, Refusal> {
        Staged::plan(self, state, edge::typed(Staged::spec(self), intent)?, asked)
    }

    fn complete(
        &self,
        state: &T::State,
        run: RunView<'_>,
        done: &StageDone<'_>,
        asked: Asked<'_>,
    ) -> Result<(), Refusal> {
        Staged::complete(self, state, run, done, asked)
    }

    fn seal(
        &self,
        state: &T::State,
        run: RunView<'_>,
        asked: Asked<'_>,
    ) -> Result<Vec<Draft>, Refusal> {
        Staged::seal(self, state, run, asked)
    }
}

pub(crate) fn takes_steps(engine: &str, verb: &str) -> Refusal {
    let what = format!("{engine} {verb} takes steps and cannot be decided in one");
    Refusal::malformed("takes_steps", what).hint(format!(
        "Run `vm {engine} plan {verb} … > contract.json`, then `vm {engine} run contract.json`."
    ))
}

/// A stage was to be completed of something that people do not carry out stage by stage.
pub fn no_stages(op: &str) -> Refusal {
    let what = format!("{op} has no stages that people complete");
    Refusal::malformed("no_stages", what).hint("Seal it instead.")
}
