//! A bench for tests: calls go through the same edge and fold as in the ledger, and private values leave the bodies as
//! they do there.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::Read;

use serde_json::{Value, json};
use vm_contracts::veil::{hidden, put_digests};
use vm_contracts::{
    Actor, AnyEngine, AnyState, Asked, Draft, Failure, Fault, History, Hosted, Line, Map, Moment,
    Operation, Outputs, PortSource, Ports, Refusal, Shape, Spec, Term, edge,
};
use vm_receipts::digest::Blake3;
use vm_receipts::line::{Context, End, Part, Prev};
use vm_receipts::private::disclosure_digest;

use crate::Console;
use crate::ops::Given;
use crate::ops::evidence::{Evidence, SOURCES, Sources};
use crate::state::State;

/// A key of a home.
pub const KEY: crate::keyed::HomeKey = [7; 32];

/// A ledger in memory, without signatures.
pub struct Bench {
    engine: Hosted<Console>,
    state: Box<dyn AnyState>,
    /// All lines so far.
    pub lines: Vec<Line>,
    /// Private values of each line, by its place.
    openings: Openings,
    now_ms: i64,
    calls: u64,
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

/// Opens the bytes that the handle itself spells, and nothing else.
struct Spelled;

impl Sources for Spelled {
    fn open(&mut self, handle: &str) -> Result<Box<dyn Read + Send>, Fault> {
        match handle {
            "nowhere" => Err(Fault::new("source_unreadable", "there is no such file")),
            handle => Ok(Box::new(std::io::Cursor::new(handle.as_bytes().to_vec()))),
        }
    }
}

struct Granted;

impl PortSource for Granted {
    fn grant(&self, _: &str, port: &str) -> Option<Box<dyn Any + Send>> {
        let sources: Box<dyn Sources> = Box::new(Spelled);
        (port == SOURCES).then(|| Box::new(sources) as Box<dyn Any + Send>)
    }
}

/// What an operation kept: name, whether it is private, bytes.
#[derive(Default)]
pub struct Shelf(pub Vec<(String, bool, Vec<u8>)>);

impl Outputs for Shelf {
    fn keep(&mut self, name: &str, private: bool, source: &mut dyn Read) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        let read = source.read_to_end(&mut bytes);
        read.map_err(|e| Fault::new("source_unreadable", e.to_string()))?;
        self.0.push((name.to_owned(), private, bytes));
        Ok(())
    }
}

/// The digest of a content.
pub fn hash(content: &str) -> String {
    crate::keyed::content(&KEY, "file", content.as_bytes())
}

/// The keyed id of a file.
pub fn file(path: &str) -> String {
    crate::keyed::file_id(&KEY, &project(), path.as_bytes())
}

/// The keyed id of the project.
pub fn project() -> String {
    crate::keyed::project_id(&KEY, b"/projects/demo")
}

/// An edit that leaves this content.
pub fn edit(session: &str, path: &str, content: &str) -> Value {
    json!({
        "session_id": session, "file_path": path, "file_id": file(path), "project_id": project(),
        "new_hash": hash(content), "edit_type": "modify", "observed_by": "hook",
    })
}

impl Bench {
    pub fn new() -> Self {
        let engine = Hosted::<Console>::new();
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

    /// Starts a session that a hook sees.
    pub fn start(&mut self, id: &str) {
        let intent = json!({
            "session_id": id, "agent_type": "agent", "caller": "local:1", "mode": "record",
            "observed_by": "hook",
        });
        self.ok("session-start", intent);
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
        let drafts = match self.engine.shape(verb) {
            Some(Shape::Operation(_)) => {
                let plan = Evidence.plan(self.state(), Given(intent.clone()), asked)?;
                let mut shelf = Shelf::default();
                let ports = Operation::ports(&Evidence);
                let mut ports = Ports::new("console", ports, &Granted, &mut shelf, &id);
                let outcome =
                    Evidence.execute(plan.clone(), &hidden(spec, &intent), &mut ports).unwrap();
                Evidence.drafts(plan, outcome)
            }
            _ => self.engine.decide(self.state.as_ref(), verb, &intent, asked)?,
        };
        Ok(self.append(spec, &id, &actor, &intent, drafts))
    }

    /// Carries the effect of an evidence out and says what it kept.
    pub fn take_in(&self, intent: Value) -> Result<(u64, Shelf), Fault> {
        let spec = self.engine.operation("evidence").unwrap();
        let intent = edge::admit(spec, intent.as_object().unwrap()).unwrap();
        let actor = Actor::local(1);
        let asked = Asked { at: self.now(), id: "e", actor: &actor };
        let plan = Evidence.plan(self.state(), Given(intent.clone()), asked).unwrap();
        let mut shelf = Shelf::default();
        let ports = Operation::ports(&Evidence);
        let mut ports = Ports::new("console", ports, &Granted, &mut shelf, "e");
        let outcome = Evidence.execute(plan.clone(), &hidden(spec, &intent), &mut ports)?;
        let draft = Evidence.drafts(plan, outcome).remove(0);
        Ok((draft.body["size_bytes"].as_u64().unwrap(), shelf))
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
            assert!(spec.types.contains(&draft.kind), "{} leaves {}", spec.verb, draft.kind);
            for (name, value) in &draft.body {
                let field = spec.field(name).filter(|f| f.is_kept());
                let field = field.unwrap_or_else(|| panic!("{} keeps {name}", spec.verb));
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
        assert_eq!(self.state().broken.get().count, 0, "{} broke a rule", spec.verb);
        lines
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
        folded(&self.lines).dump()
    }
}

/// The state that lines give.
pub fn folded(lines: &[Line]) -> Box<dyn AnyState> {
    let engine = Hosted::<Console>::new();
    let mut state = engine.blank();
    for line in lines {
        engine.fold(state.as_mut(), line);
    }
    state.promote();
    state
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
        op: format!("console.{}", verb.replace('-', "_")),
        scroll: "console".to_owned(),
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
