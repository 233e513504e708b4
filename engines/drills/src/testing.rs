//! A bench for tests: calls and runs go through the same edge and fold as in the ledger, and private values leave the
//! files and bodies as they do there.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vm_contracts::veil::{put_digests, veil};
use vm_contracts::{
    Actor, AnyEngine, AnyState, Asked, Contract, Draft, Failure, Fault, History, Hosted, Line, Map,
    Moment, Output, Refusal, RunState, RunView, Shape, Spec, StageDone, Status, Term, edge,
};
use vm_receipts::digest::Blake3;
use vm_receipts::line::{Context, End, Part, Prev};
use vm_receipts::private::disclosure_digest;

use crate::Drills;
use crate::state::State;

/// A ledger in memory, without signatures.
pub struct Bench {
    engine: Hosted<Drills>,
    state: Box<dyn AnyState>,
    /// All lines so far.
    pub lines: Vec<Line>,
    /// Private values of each line, by its place.
    openings: Openings,
    now_ms: i64,
    calls: u64,
}

/// An open run.
pub struct Run {
    /// Its plan.
    pub contract: Contract,
    /// How far it has come.
    pub state: RunState,
    /// Digest of the contract as it was opened.
    digest: Blake3,
    intent: Map<String, Value>,
}

/// Private values by the place of their line.
type Openings = BTreeMap<u64, Map<String, Value>>;

/// Asserts a refusal by its code.
pub fn refused<T>(got: Result<T, Refusal>, code: &str) -> Refusal {
    match got {
        Err(refusal) => {
            assert_eq!(refusal.code, code, "{refusal:?}");
            refusal
        }
        Ok(_) => panic!("expected {code}"),
    }
}

/// Lines in a vector as a history.
struct Lines<'a>(&'a [Line], &'a Openings);

impl History for Lines<'_> {
    fn scan(&mut self, terms: &[Term], visit: &mut dyn FnMut(&Line) -> bool) -> Result<(), Fault> {
        let fits = |line: &Line| {
            terms.iter().all(|term| match term.field.as_str() {
                "type" => line.kind == term.value,
                "id" => line.id == term.value,
                field => line.body.get(field).and_then(Value::as_str) == Some(&term.value),
            })
        };
        for line in self.0.iter().filter(|line| fits(line)) {
            if !visit(line) {
                break;
            }
        }
        Ok(())
    }

    fn opened(&mut self, line: &Line) -> Result<Map<String, Value>, Fault> {
        Ok(self.1.get(&line.seq).cloned().unwrap_or_default())
    }
}

/// A runbook of so many stages, `one`, `two`, …, each with a technique of its own from T1000.
pub fn runbook(stages: usize) -> String {
    const NAMES: [&str; 6] = ["one", "two", "three", "four", "five", "six"];
    let mut text = "runbook: 1\nname: plain\ntitle: Plain\nseverity: high\nstages:\n".to_owned();
    for (n, name) in NAMES.iter().enumerate().take(stages) {
        text += &format!(
            "- {{id: {name}, skill: s{n}, workflow: w, actions: [look], techniques: [T{}], tactics: [impact], after: []}}\n",
            1000 + n
        );
    }
    text
}

/// What is said of a stage that came to this.
pub fn said(outcome: &str) -> Map<String, Value> {
    Map::from_iter([("outcome".to_owned(), Value::from(outcome))])
}

impl Bench {
    pub fn new() -> Self {
        let engine = Hosted::<Drills>::new();
        let state = engine.blank();
        let (lines, openings) = (Vec::new(), Openings::new());
        Bench { engine, state, lines, openings, now_ms: 1_790_000_000_000, calls: 0 }
    }

    pub fn wait_s(&mut self, seconds: i64) {
        self.now_ms += seconds * 1000;
    }

    pub fn now(&self) -> Moment {
        Moment::from_unix_ms(self.now_ms).unwrap()
    }

    /// A moment so many seconds from now, as text.
    pub fn at(&self, seconds: i64) -> String {
        Moment::from_unix_ms(self.now_ms + seconds * 1000).unwrap().to_string()
    }

    pub fn state(&self) -> &State {
        self.state.as_any().downcast_ref().unwrap()
    }

    pub fn dump(&mut self) -> Value {
        self.state.dump()
    }

    /// Forgets every private value, as an erasure does.
    pub fn forget(&mut self) {
        self.openings.clear();
    }

    pub fn call(&mut self, verb: &str, intent: Value) -> Result<Vec<Line>, Refusal> {
        self.call_as(1, verb, intent)
    }

    pub fn ok(&mut self, verb: &str, intent: Value) -> Vec<Line> {
        self.call(verb, intent).unwrap_or_else(|refusal| panic!("{verb}: {refusal:?}"))
    }

    pub fn call_as(&mut self, user: u32, verb: &str, intent: Value) -> Result<Vec<Line>, Refusal> {
        self.calls += 1;
        let id = format!("call-{}", self.calls);
        let spec = self.engine.operation(verb).unwrap();
        let intent = edge::admit(spec, intent.as_object().unwrap())?;
        let actor = Actor::local(user);
        let asked = Asked { at: self.now(), id: &id, actor: &actor };
        let drafts = self.engine.decide(self.state.as_ref(), verb, &intent, asked)?;
        Ok(self.append(spec, &id, &actor, &intent, drafts))
    }

    fn append(
        &mut self,
        spec: &Spec,
        id: &str,
        actor: &Actor,
        intent: &Map<String, Value>,
        drafts: Vec<Draft>,
    ) -> Vec<Line> {
        assert!(!drafts.is_empty());
        let of = drafts.len() as u32;
        let mut lines = Vec::new();
        for (index, mut draft) in drafts.into_iter().enumerate() {
            assert!(
                spec.types.contains(&draft.kind),
                "{} does not declare {}",
                spec.verb,
                draft.kind
            );
            for (name, value) in &draft.body {
                let field = spec.field(name).filter(|f| f.is_kept());
                let field = field
                    .unwrap_or_else(|| panic!("{} does not declare {name} as kept", spec.verb));
                kept_fits(field, value);
            }
            let seq = self.lines.len() as u64;
            self.openings.insert(seq, hide(spec, intent, &mut draft, seq));
            let part = Part { n: index as u32 + 1, of };
            let line = line(draft, spec.verb, id, actor, part, seq, self.now());
            line.sealable().unwrap();
            self.engine.fold(self.state.as_mut(), &line);
            self.lines.push(line.clone());
            lines.push(line);
        }
        self.state.promote();
        assert_eq!(self.state().broken.get().count, 0);
        lines
    }

    /// Opens a drill as user 1.
    pub fn plan(&self, id: &str, intent: Value) -> Result<Run, Refusal> {
        let spec = self.engine.operation("drill").unwrap();
        let intent = edge::admit(spec, intent.as_object().unwrap())?;
        let actor = Actor::local(1);
        let asked = Asked { at: self.now(), id, actor: &actor };
        let plan = self.engine.plan(self.state.as_ref(), "drill", &intent, asked)?;
        // Planning again gives the same plan.
        assert_eq!(
            self.engine.plan(self.state.as_ref(), "drill", &intent, asked).as_ref(),
            Ok(&plan)
        );
        let mut digest = |p: vm_contracts::veil::Place<'_>| {
            Ok::<_, ()>(disclosure_digest(&json!([id, p.path, p.value]).to_string()))
        };
        let contract = Contract {
            v: 1,
            id: id.to_owned(),
            op: "drills.drill".to_owned(),
            actor: actor.0.clone(),
            surface: "cli".to_owned(),
            node: "test".to_owned(),
            planned_at: self.now().to_string(),
            intent: veil(spec, &intent, &[], &mut digest).unwrap(),
            title: plan.title,
            severity: plan.severity,
            objectives: plan.objectives,
            plan: plan.details,
            stages: plan.stages,
        };
        assert!(contract.to_bytes().unwrap().len() <= vm_contracts::contract::DOCUMENT_BYTES_MAX);
        let digest = Blake3::of(&contract.to_bytes().unwrap());
        let state = RunState::open(&contract, &digest, &actor, self.now());
        Ok(Run { contract, state, digest, intent })
    }

    /// The digest of a run's contract.
    pub fn digest(&self, run: &Run) -> Blake3 {
        Blake3::of(&run.contract.to_bytes().unwrap())
    }

    /// Completes a stage as a user.
    pub fn complete(
        &self,
        run: &mut Run,
        user: u32,
        stage: &str,
        fields: Map<String, Value>,
    ) -> Result<(), Refusal> {
        let Some(Shape::Staged(declared)) = self.engine.shape("drill") else { panic!() };
        for name in fields.keys() {
            assert!(declared.iter().any(|f| f.name == name), "{name}");
        }
        let actor = Actor::local(user);
        let asked = Asked { at: self.now(), id: &run.contract.id, actor: &actor };
        let outputs: [Output; 0] = [];
        let done = StageDone { stage, fields: &fields, outputs: &outputs };
        let view =
            RunView { contract: &run.contract, contract_digest: &run.digest, state: &run.state };
        self.engine.complete(self.state.as_ref(), "drill", view, &done, asked)?;
        let now = self.now().to_string();
        let entry = run.state.stages.iter_mut().find(|s| s.id == stage).unwrap();
        entry.status = Status::Completed;
        entry.completed_at = Some(now.clone());
        entry.by = Some(actor.0);
        entry.fields = fields.into_iter().filter(|(name, _)| name != "note").collect();
        run.state.updated_at = now;
        Ok(())
    }

    /// Seals a run.
    pub fn seal(&mut self, run: Run) -> Result<Line, Failure> {
        let actor = Actor::local(1);
        let asked = Asked { at: self.now(), id: &run.contract.id, actor: &actor };
        let view =
            RunView { contract: &run.contract, contract_digest: &run.digest, state: &run.state };
        let drafts = self.engine.seal(self.state.as_ref(), "drill", view, asked)?;
        let spec = self.engine.operation("drill").unwrap();
        let id = run.contract.id.clone();
        Ok(self.append(spec, &id, &actor, &run.intent, drafts).remove(0))
    }

    /// Completes every stage and seals.
    pub fn carry_through(
        &mut self,
        mut run: Run,
        say: impl Fn(usize) -> Map<String, Value>,
    ) -> Line {
        let ids: Vec<String> = run.contract.stages.iter().map(|s| s.id.clone()).collect();
        for (n, id) in ids.iter().enumerate() {
            self.complete(&mut run, 1, id, say(n))
                .unwrap_or_else(|refusal| panic!("{id}: {refusal:?}"));
        }
        self.seal(run).unwrap()
    }

    /// A drill of plain stages with these outcomes, from plan to seal.
    pub fn drilled(&mut self, id: &str, outcomes: &[&str]) -> Line {
        let intent = json!({"runbook": runbook(outcomes.len()), "prompt": "why we do it"});
        let run = self.plan(id, intent).unwrap();
        self.carry_through(run, |n| said(outcomes[n]))
    }

    /// A drill found by its prompt, where nothing that needs approval was run and the rest was missed.
    pub fn tabletop(&mut self, id: &str, prompt: &str) -> Line {
        let run = self.plan(id, json!({"prompt": prompt})).unwrap();
        let words: Vec<&str> = run
            .contract
            .stages
            .iter()
            .map(|s| if s.details.contains_key("needs_approval") { "not_run" } else { "missed" })
            .collect();
        self.carry_through(run, |n| said(words[n]))
    }

    pub fn try_report(&self, verb: &str, question: Value) -> Result<Value, Failure> {
        let spec = self.engine.reports().into_iter().find(|s| s.verb == verb).unwrap();
        let question = edge::admit(spec, question.as_object().unwrap())?;
        let mut history = Lines(&self.lines, &self.openings);
        self.engine.report(self.state.as_ref(), &mut history, verb, &question)
    }

    pub fn report(&self, verb: &str, question: Value) -> Value {
        self.try_report(verb, question).unwrap()
    }

    pub fn export(&self, format: &str) -> vm_contracts::Export {
        let mut history = Lines(&self.lines, &self.openings);
        self.engine.export(self.state.as_ref(), &mut history, format).unwrap()
    }

    /// The state that the lines alone give.
    pub fn refold(&self) -> Value {
        let mut state = self.engine.blank();
        for line in &self.lines {
            self.engine.fold(state.as_mut(), line);
        }
        state.dump()
    }
}

/// A value of a body fits the kind its field declares: what the edge would take as input.
fn kept_fits(field: &vm_contracts::Field, value: &Value) {
    let spec = Spec {
        verb: "kept",
        about: "",
        needs: "",
        types: &[],
        fields: Box::leak(Box::new([vm_contracts::Field::new(field.name, field.kind, "x")])),
        example: "",
    };
    let body = Map::from_iter([(field.name.to_owned(), value.clone())]);
    assert_eq!(edge::admit(&spec, &body).as_ref(), Ok(&body), "{}", field.name);
}

/// Puts one digest for each declared private field into the body, as the ledger does. Gives what can be opened.
fn hide(
    spec: &Spec,
    intent: &Map<String, Value>,
    draft: &mut Draft,
    seq: u64,
) -> Map<String, Value> {
    let (mut opened, mut digests) = (Map::new(), Vec::new());
    for field in spec.private_in_body() {
        let value = draft.private.remove(field.name).or_else(|| intent.get(field.name).cloned());
        digests.push(disclosure_digest(&json!([seq, field.name, value]).to_string()));
        opened.extend(value.map(|value| (field.name.to_owned(), value)));
    }
    put_digests(&mut draft.body, digests);
    opened
}

/// A line as the ledger would build it, with digests of nothing.
fn line(
    draft: Draft,
    verb: &str,
    id: &str,
    actor: &Actor,
    part: Part,
    seq: u64,
    at: Moment,
) -> Line {
    let none = Blake3::of(b"");
    Line {
        kind: draft.kind.to_owned(),
        op: format!("drills.{}", verb.replace('-', "_")),
        scroll: "drills".to_owned(),
        seq,
        id: id.to_owned(),
        part,
        intent: none,
        issuer: "did:key:z6MkehRgf7yJbgaGfYsdoAsKdBPE3dj2CYhowQdcjqSJgvVd".to_owned(),
        actor: actor.0.clone(),
        context: Context { surface: "cli".to_owned(), node: "test".to_owned(), demo: false },
        actor_proof: None,
        authority: Map::from_iter([("mode".to_owned(), Value::from("owner"))]),
        at,
        end: End::Completed,
        contract: none,
        state: none,
        root_hash: none,
        artifacts: None,
        prev: Prev { size: 0, root: [0; 32] },
        tags: draft.tags,
        body: draft.body,
        proof: None,
    }
}
