//! Contracts as they are handed out and taken back.
//!
//! `plan` hands out contract.json with one member more: `disclosures`, the openings of its private values. The person
//! who planned has written those values, so nothing is given away; whoever is to see the plan but not the values gets
//! the file without that member. What a run keeps is the contract alone.

use crate::hidden::{Pool, Unveiled, unkeepable};
use crate::openings::Opening;
use crate::run::operation;
use crate::shelf::index_damaged;
use crate::writer::Writer;
use serde_json::json;
use vm_contracts::contract::{DOCUMENT_BYTES_MAX, STAGES_MAX, VERSION};
use vm_contracts::engine::Asked;
use vm_contracts::{
    Actor, AnyEngine, AnyState, Call, Contract, Failure, Field, Map, Plan, Refusal, RefusalKind,
    Shape, Spec, Value, edge,
};
use vm_receipts::json;
use vm_receipts::line;
use vm_receipts::moment::Moment;
use vm_receipts::private::{self, Disclosure};

/// How far a contract's time may be ahead of the ledger's.
const AHEAD_MS: i64 = 5 * 60 * 1_000;

/// A contract with the openings of its private values.
#[derive(Clone)]
pub struct Handed {
    /// The contract.
    pub contract: Contract,
    /// Openings, as disclosure strings (RFC 9901 s4.2).
    pub disclosures: Vec<String>,
    /// What the engine has to say to whoever planned; stands in no file.
    pub notes: Vec<String>,
}

/// A contract that was planned again and found to be what the engine plans.
pub(crate) struct Checked {
    pub engine: &'static dyn AnyEngine,
    pub spec: &'static Spec,
    pub shape: Shape,
    pub contract: Contract,
    pub pool: Pool,
}

impl Handed {
    /// The file as it is handed out: JSON for people, ending in a line feed.
    pub fn to_text(&self) -> String {
        let mut value = serde_json::to_value(&self.contract).expect("plain data");
        if let Value::Object(map) = &mut value
            && !self.disclosures.is_empty()
        {
            map.insert("disclosures".into(), json!(self.disclosures));
        }
        let mut text = serde_json::to_string_pretty(&value).expect("plain data");
        text.push('\n');
        text
    }

    /// Reads such a file, strictly; an error names line and column.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            let what = format!(
                "the contract has {} bytes; the limit is {DOCUMENT_BYTES_MAX}",
                bytes.len()
            );
            return Err(Refusal::new("too_large", RefusalKind::TooLarge, what));
        }
        let bad = |what: String| {
            Refusal::malformed("bad_contract", format!("the contract does not read: {what}"))
                .hint("`vm <engine> plan …` writes one.")
        };
        let mut value = json::parse(bytes).map_err(|e| {
            let (line, column) = place(bytes, e.at);
            bad(format!("line {line}, column {column}: {}", e.kind.says()))
        })?;
        let stages = value.get("stages").and_then(Value::as_array).map_or(0, Vec::len);
        if stages > STAGES_MAX {
            let what = format!("the contract has {stages} stages; the limit is {STAGES_MAX}");
            return Err(Refusal::new("too_large", RefusalKind::TooLarge, what).field("stages"));
        }
        let listed = value.as_object_mut().and_then(|map| map.remove("disclosures"));
        let disclosures = serde_json::from_value(listed.unwrap_or(json!([])))
            .map_err(|_| bad("disclosures must be a list of texts".into()))?;
        let contract: Contract = serde_json::from_value(value).map_err(|e| bad(e.to_string()))?;
        match contract.v {
            VERSION => Ok(Self { contract, disclosures, notes: Vec::new() }),
            other => {
                Err(bad(format!("its format version is {other}, and this program reads {VERSION}")))
            }
        }
    }
}

/// Line and column, both from 1, of a byte offset.
fn place(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = &bytes[..at.min(bytes.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    (line, column)
}

impl Writer {
    /// Plans a call without writing anything.
    pub(crate) fn plan(&mut self, call: Call) -> Result<Handed, Failure> {
        self.usable_for_reading()?;
        let engine = self.engine(&call.engine)?;
        let record = crate::commit::Work::record();
        let admitted = self.admit(engine, call, record)?;
        let is_given = |f: &&Field| f.secret && admitted.intent.contains_key(f.name);
        if let Some(field) = admitted.spec.fields.iter().find(is_given) {
            let what = format!(
                "{} takes the secret {}, which no contract may hold",
                admitted.op, field.name
            );
            return Err(Refusal::malformed("secret_in_contract", what)
                .field(field.name)
                .hint("Do it in one go, without plan.")
                .into());
        }
        let scroll = engine.scroll();
        if self.scrolls.get(scroll).is_some_and(|s| s.group(&admitted.id).is_some()) {
            let what = format!("id {} was used before ({scroll})", admitted.id);
            return Err(Refusal::conflict("id_used", what)
                .field("id")
                .hint("Leave --id out to get a fresh one.")
                .into());
        }
        let last = self.scrolls.get(scroll).and_then(|s| s.last_at);
        let at = self.now(last)?;
        let mut pool = Pool::fresh(scroll, &admitted.id);
        let intent = match admitted.spec.hides_anything() {
            false => crate::commit::plain_public(&admitted)?,
            true => {
                let what = (admitted.op.as_str(), admitted.spec);
                let veiled =
                    pool.veil(&mut self.openings(), what, &admitted.intent, &admitted.call.tags);
                veiled.map_err(|e| unveiled(&admitted.op, e))?.0
            }
        };
        let asked = Asked { at, id: &admitted.id, actor: &admitted.call.actor };
        self.healed()?;
        let plan = self.with_state(engine, |state| {
            engine.plan(state, admitted.spec.verb, &admitted.intent, asked)
        })?;
        let notes = plan.notes.clone();
        let contract =
            self.contract_of(&admitted.op, asked, &admitted.call.surface, intent, plan)?;
        let disclosures = pool.all().into_iter().map(|o| o.disclosure).collect();
        Ok(Handed { contract, disclosures, notes })
    }

    fn contract_of(
        &self,
        op: &str,
        asked: Asked<'_>,
        surface: &str,
        intent: Map<String, Value>,
        plan: Plan,
    ) -> Result<Contract, Failure> {
        check_stages(op, &plan)?;
        Ok(Contract {
            v: VERSION,
            id: asked.id.to_owned(),
            op: op.to_owned(),
            actor: asked.actor.0.clone(),
            surface: surface.to_owned(),
            node: self.settings.node.clone(),
            planned_at: asked.at.to_string(),
            intent,
            title: plan.title,
            severity: plan.severity,
            objectives: plan.objectives,
            plan: plan.details,
            stages: plan.stages,
        })
    }

    /// Runs `decide` on an engine's state, which is empty where its scroll has not begun.
    pub(crate) fn with_state<T>(
        &self,
        engine: &'static dyn AnyEngine,
        decide: impl FnOnce(&dyn AnyState) -> Result<T, Refusal>,
    ) -> Result<T, Failure> {
        let Some(scroll) = self.scrolls.get(engine.scroll()) else {
            return Ok(decide(&*engine.blank())?);
        };
        let decided = decide(&*scroll.state);
        match scroll.trouble() {
            // It may rest on values that did not read.
            Some(what) => Err(index_damaged(&scroll.name, &what).into()),
            None => Ok(decided?),
        }
    }

    /// Takes a contract back: everything in it must be what the engine plans from its intent, at its time.
    pub(crate) fn check_contract(&mut self, handed: Handed) -> Result<Checked, Failure> {
        let Handed { contract, disclosures, .. } = handed;
        let (engine, spec, shape) = operation(self.engines, &contract.op)?;
        if !line::is_id(&contract.id) {
            return Err(Refusal::malformed("bad_id", "the contract's id is not one")
                .field("id")
                .into());
        }
        let changed = |what: &str| {
            Failure::Refusal(
                Refusal::conflict("contract_changed", format!("contract {}: {what}", contract.id))
                    .hint("Contracts are not edited by hand; plan again."),
            )
        };
        if !line::is_scroll(&contract.surface) {
            return Err(changed("its surface is no lower-case name"));
        }
        if contract.node != self.settings.node {
            return Err(changed(&format!("it was planned on node {}, not here", contract.node)));
        }
        let planned_at = Moment::parse(&contract.planned_at)
            .map_err(|_| changed("planned_at is not a time as the ledger writes it"))?;
        let read = disclosures.iter().map(|text| opening(text));
        let openings = read.collect::<Result<Vec<Opening>, _>>()?;
        let (intent, tags) = reveal(&contract, openings_text(&openings))?;
        let admitted = edge::admit_kept(spec, &intent)?;
        edge::tags(&tags)?;
        if admitted != intent {
            return Err(changed("its intent is not spelled as the planner spells it"));
        }
        let mut pool = Pool::of(engine.scroll(), &contract.id, openings, false)?;
        let what = (contract.op.as_str(), spec);
        let public = match pool.veil(&mut self.openings(), what, &intent, &tags) {
            Ok((public, _)) => public,
            Err(Unveiled::NotSame) => return Err(changed("a private value has no opening")),
            Err(Unveiled::Failed(failure)) => return Err(failure),
        };
        if public != contract.intent {
            return Err(changed("the digests in its intent are not those of its private values"));
        }
        let actor = contract.actor();
        let asked = Asked { at: planned_at, id: &contract.id, actor: &actor };
        self.healed()?;
        let plan =
            self.with_state(engine, |state| engine.plan(state, spec.verb, &intent, asked))?;
        let again = self.contract_of(&contract.op, asked, &contract.surface, public, plan)?;
        if let Some(place) = difference(&again, &contract) {
            return Err(changed(&format!(
                "{place} is not what is planned for this intent now: it was edited, or the ledger has moved on"
            )));
        }
        Ok(Checked { engine, spec, shape, contract, pool })
    }

    /// A contract may not be of another time than now, nor of another person than the one who runs it.
    pub(crate) fn check_asker(
        &mut self,
        contract: &Contract,
        by: &Actor,
        now: Moment,
    ) -> Result<(), Refusal> {
        if contract.actor != by.0 {
            return Err(crate::run::open::other_actor(contract, by));
        }
        match Moment::parse(&contract.planned_at) {
            Ok(at) if at.unix_ms() <= now.unix_ms() + AHEAD_MS => Ok(()),
            _ => Err(Refusal::malformed(
                "from_future",
                "the contract was planned at a time still to come",
            )
            .field("planned_at")),
        }
    }
}

/// A plan's stages must be nameable and in an order that can be gone.
fn check_stages(op: &str, plan: &Plan) -> Result<(), Refusal> {
    let bad = |what: String| Refusal::malformed("bad_plan", format!("{op}: {what}"));
    if plan.stages.is_empty() || plan.stages.len() > STAGES_MAX {
        let what = format!("{op}: a plan has 1 to {STAGES_MAX} stages, not {}", plan.stages.len());
        return Err(Refusal::new("too_large", RefusalKind::TooLarge, what).field("stages"));
    }
    let mut seen: Vec<&str> = Vec::with_capacity(plan.stages.len());
    for (n, stage) in plan.stages.iter().enumerate() {
        if !line::is_id(&stage.id) || seen.contains(&stage.id.as_str()) {
            return Err(bad(format!("stage {} has an id that is none, or stands twice", n + 1)));
        }
        if stage.order as usize != n + 1 {
            return Err(bad(format!("stage {} has the order {}", stage.id, stage.order)));
        }
        if let Some(after) = stage.after.iter().find(|a| !seen.contains(&a.as_str())) {
            return Err(bad(format!(
                "stage {} waits for {after:?}, which does not come before it",
                stage.id
            )));
        }
        seen.push(&stage.id);
    }
    Ok(())
}

/// Reads one disclosure of a contract.
fn opening(text: &str) -> Result<Opening, Refusal> {
    let read = Disclosure::parse(text).map_err(|e| {
        Refusal::malformed(
            "bad_contract",
            format!("a disclosure of the contract does not read: {e}"),
        )
        .field("disclosures")
    })?;
    Ok(Opening {
        seq: 0,
        digest: read.digest().to_owned(),
        disclosure: text.to_owned(),
        file: None,
    })
}

fn openings_text(openings: &[Opening]) -> impl Iterator<Item = &str> {
    openings.iter().map(|o| o.disclosure.as_str())
}

/// A contract's intent with its private values in their places, and the call's tags.
pub(crate) fn reveal<'a>(
    contract: &Contract,
    disclosures: impl Iterator<Item = &'a str>,
) -> Result<(Map<String, Value>, Vec<String>), Refusal> {
    let bad = |what: String| {
        Refusal::conflict("contract_changed", format!("contract {}: {what}", contract.id))
            .hint("Contracts are not edited by hand; plan again.")
    };
    let mut read = Vec::new();
    for text in disclosures {
        read.push(Disclosure::parse(text).map_err(|e| bad(e.to_string()))?);
    }
    let revealed = private::reveal(&contract.intent, &read).map_err(|e| bad(e.to_string()))?;
    let mut intent = revealed.document;
    let tags = intent.remove("tags").unwrap_or(json!([]));
    let tags =
        serde_json::from_value(tags).map_err(|_| bad("tags is not a list of texts".into()))?;
    Ok((intent, tags))
}

/// The first member in which two contracts differ.
fn difference(a: &Contract, b: &Contract) -> Option<String> {
    let both = (serde_json::to_value(a).ok()?, serde_json::to_value(b).ok()?);
    let (Value::Object(a), Value::Object(b)) = both else { return None };
    let names = a.keys().chain(b.keys());
    let name = names.into_iter().find(|name| a.get(*name) != b.get(*name))?;
    let stage = match (a.get(name), b.get(name)) {
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            (0..a.len().max(b.len())).find(|n| a.get(*n) != b.get(*n))
        }
        _ => None,
    };
    Some(stage.map_or(name.clone(), |n| format!("{name}[{n}]")))
}

pub(crate) fn unveiled(op: &str, e: Unveiled) -> Failure {
    match e {
        Unveiled::Failed(failure) => failure,
        Unveiled::NotSame => unkeepable(op, "a value has no opening"),
    }
}
