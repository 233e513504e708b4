//! What a run brings to the commit loop: the digests of its folder, and the receipts it leaves.

use crate::commit::Admitted;
use crate::openings::Opening;
use crate::run::FAULT;
use serde_json::json;
use vm_contracts::engine::Asked;
use vm_contracts::work::Shape;
use vm_contracts::{
    AnyEngine, AnyState, Contract, Draft, Failure, Map, Refusal, RunState, RunView, Status, Value,
};
use vm_receipts::digest::{Blake3, Sha256};
use vm_receipts::line::{End, Line};
use vm_receipts::moment::Moment;
use vm_receipts::private::SD;

/// A run that came to its end, with its folder measured.
pub(crate) struct Case {
    pub contract: Contract,
    pub contract_digest: Blake3,
    pub state: RunState,
    pub state_digest: Blake3,
    pub root_hash: Blake3,
    pub artifacts: Sha256,
    /// Digest of the intent.
    pub intent: Blake3,
    /// Openings of the intent, the stages and the private outputs.
    pub openings: Vec<Opening>,
}

impl Case {
    /// Whether the run was given up.
    pub fn is_aborted(&self) -> bool {
        self.state.status == Status::Aborted
    }

    /// The receipts of this run. Work of people is planned again first: what is sealed must be what was planned.
    pub fn drafts(
        &self,
        engine: &'static dyn AnyEngine,
        state: &dyn AnyState,
        call: &Admitted,
        asked: Asked<'_>,
    ) -> Result<Vec<Draft>, Failure> {
        if self.is_aborted() {
            return Ok(vec![self.aborted(call)]);
        }
        let verb = call.spec.verb;
        if matches!(engine.shape(verb), Some(Shape::Staged(_))) {
            self.plan_again(engine, state, call, asked)?;
        }
        let run = RunView {
            contract: &self.contract,
            contract_digest: &self.contract_digest,
            state: &self.state,
        };
        engine.seal(state, verb, run, asked)
    }

    fn plan_again(
        &self,
        engine: &'static dyn AnyEngine,
        state: &dyn AnyState,
        call: &Admitted,
        asked: Asked<'_>,
    ) -> Result<(), Failure> {
        let changed = || {
            let what =
                format!("run {}: its contract is not what is planned for its intent", call.id);
            Refusal::conflict("contract_changed", what)
                .hint("contract.json was edited after it was run. Abort the run and plan again.")
        };
        let at = Moment::parse(&self.contract.planned_at).map_err(|_| changed())?;
        let plan = engine.plan(state, call.spec.verb, &call.intent, Asked { at, ..asked })?;
        let same = plan.title == self.contract.title
            && plan.severity == self.contract.severity
            && plan.objectives == self.contract.objectives
            && plan.details == self.contract.plan
            && plan.stages == self.contract.stages;
        if same { Ok(()) } else { Err(changed().into()) }
    }

    /// The one receipt of a run that was given up: what was asked for in public, and why nothing came of it.
    fn aborted(&self, call: &Admitted) -> Draft {
        let kept = |name: &str| call.spec.field(name).is_some_and(|f| f.is_kept() && f.is_input());
        let mut body: Map<String, Value> = self.contract.intent.clone();
        body.retain(|name, _| kept(name));
        // Digests below the top of a body would be ambiguous (RFC 9901 s7.1); contract.json has them.
        body.values_mut().for_each(without_digests);
        let code = self.state.fault.as_ref().map_or("interrupted", |f| f.code.as_str());
        body.insert(FAULT.to_owned(), json!({ "code": code }));
        Draft::new(call.spec.types[0], body)
    }

    /// Puts the case's digests into a line.
    pub fn fill(&self, mut line: Line) -> Line {
        line.contract = self.contract_digest;
        line.state = self.state_digest;
        line.root_hash = self.root_hash;
        line.artifacts = Some(self.artifacts);
        if self.is_aborted() {
            line.end = End::Aborted;
        }
        line
    }
}

/// Takes the digests of private fields out of objects inside a value.
fn without_digests(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove(SD);
            map.values_mut().for_each(without_digests);
        }
        Value::Array(list) => list.iter_mut().for_each(without_digests),
        _ => {}
    }
}
