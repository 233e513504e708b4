//! A bench for tests: calls go through the same edge and fold as in the ledger, and private values leave the bodies as
//! they do there.

use std::collections::BTreeMap;

use serde_json::Value;
use vm_contracts::veil::put_digests;
use vm_contracts::{
    Actor, AnyEngine, AnyState, Asked, Draft, Fault, History, Hosted, Line, Map, Moment, Refusal,
    Spec, Term, edge,
};
use vm_receipts::digest::Blake3;
use vm_receipts::line::{Context, End, Part, Prev};
use vm_receipts::private::disclosure_digest;

use crate::Treasury;
use crate::state::{Account, State};

/// A ledger in memory, without signatures.
pub struct Bench {
    engine: Hosted<Treasury>,
    state: Box<dyn AnyState>,
    /// All lines so far.
    pub lines: Vec<Line>,
    /// Private values of each line, by its place.
    openings: Openings,
    now_ms: i64,
    calls: u64,
}

/// Asserts a refusal by its code.
pub fn refused<T: std::fmt::Debug>(got: Result<T, Refusal>, code: &str) {
    match got {
        Err(refusal) => assert_eq!(refusal.code, code, "{refusal:?}"),
        Ok(got) => panic!("expected {code}, got {got:?}"),
    }
}

/// Private values by the place of their line.
type Openings = BTreeMap<u64, Map<String, Value>>;

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

impl Bench {
    pub fn new() -> Self {
        let engine = Hosted::<Treasury>::new();
        let state = engine.blank();
        let (lines, openings) = (Vec::new(), Openings::new());
        Bench { engine, state, lines, openings, now_ms: 1_790_000_000_000, calls: 0 }
    }

    /// The private value of a line, if it has one that can be opened.
    pub fn opened(&self, line: &Line, name: &str) -> Option<&str> {
        self.openings.get(&line.seq)?.get(name)?.as_str()
    }

    /// Forgets the private values of the lines that are meant, as an erasure does.
    pub fn erase(&mut self, meant: impl Fn(&Line) -> bool) {
        for line in self.lines.iter().filter(|line| meant(line)) {
            self.openings.remove(&line.seq);
        }
    }

    pub fn wait_s(&mut self, seconds: i64) {
        self.now_ms += seconds * 1000;
    }

    pub fn state(&self) -> &State {
        self.state.as_any().downcast_ref().unwrap()
    }

    pub fn dump(&mut self) -> Value {
        self.state.dump()
    }

    pub fn call(&mut self, verb: &str, intent: Value) -> Result<Vec<Line>, Refusal> {
        self.calls += 1;
        let id = format!("call-{}", self.calls);
        self.call_as(&id, verb, &intent, &[])
    }

    pub fn call_as(
        &mut self,
        id: &str,
        verb: &str,
        intent: &Value,
        tags: &[String],
    ) -> Result<Vec<Line>, Refusal> {
        let spec = self.engine.operation(verb).unwrap();
        let intent = edge::admit(spec, intent.as_object().unwrap())?;
        edge::tags(tags)?;
        let (actor, at) = (Actor::local(1), Moment::from_unix_ms(self.now_ms).unwrap());
        let asked = Asked { at, id, actor: &actor };
        let drafts = self.engine.decide(self.state.as_ref(), verb, &intent, asked)?;
        assert!(!drafts.is_empty());
        let of = drafts.len() as u32;
        let (mut lines, mut openings) = (Vec::new(), Openings::new());
        for (index, mut draft) in drafts.into_iter().enumerate() {
            assert!(spec.types.contains(&draft.kind), "{verb} does not declare {}", draft.kind);
            for name in draft.body.keys() {
                let kept = spec.field(name).is_some_and(|field| field.is_kept());
                assert!(kept, "{verb} does not declare {name} as kept");
            }
            let part = Part { n: index as u32 + 1, of };
            let seq = self.lines.len() as u64 + lines.len() as u64;
            openings.insert(seq, hide(spec, &intent, &mut draft, seq));
            let mut line = line(draft, verb, id, part, seq, at);
            line.tags.extend(tags.iter().cloned());
            line.sealable().unwrap();
            lines.push(line);
        }
        for line in &lines {
            self.engine.fold(self.state.as_mut(), line);
        }
        self.state.promote();
        self.lines.extend(lines.iter().cloned());
        self.openings.extend(openings);
        assert_eq!(self.state().broken.get().count, 0);
        Ok(lines)
    }

    pub fn ok(&mut self, verb: &str, intent: Value) -> Vec<Line> {
        match self.call(verb, intent) {
            Ok(lines) => lines,
            Err(refusal) => panic!("{verb}: {refusal:?}"),
        }
    }

    pub fn open(&mut self, account: &str, asset: &str, scale: u8) {
        self.ok(
            "account-open",
            serde_json::json!({"account": account, "asset": asset, "scale": scale}),
        );
    }

    /// Two accounts in EUR.
    pub fn two(&mut self, a: &str, b: &str) {
        self.open(a, "EUR", 2);
        self.open(b, "EUR", 2);
    }

    pub fn account(&self, account: &str, asset: &str) -> Account {
        self.state().accounts.get(&(account.to_owned(), asset.to_owned())).unwrap()
    }

    pub fn balance(&self, account: &str, asset: &str) -> String {
        self.account(account, asset).balance().unwrap().to_string()
    }

    pub fn report(&self, verb: &str, question: Value) -> Value {
        let spec = self.engine.reports().into_iter().find(|s| s.verb == verb).unwrap();
        let question = edge::admit(spec, question.as_object().unwrap()).unwrap();
        let mut history = Lines(&self.lines, &self.openings);
        self.engine.report(self.state.as_ref(), &mut history, verb, &question).unwrap()
    }

    pub fn export(&self, format: &str) -> vm_contracts::Export {
        let mut history = Lines(&self.lines, &self.openings);
        self.engine.export(self.state.as_ref(), &mut history, format).unwrap()
    }

    /// Imports a text; gives the number of new receipts and the notices.
    pub fn import(&mut self, name: &str, text: &str) -> Result<(usize, Vec<String>), Refusal> {
        let source = vm_contracts::Source { name, bytes: text.as_bytes(), key: &[7; 32] };
        let import = self.engine.import(self.state.as_ref(), None, source)?;
        let before = self.lines.len();
        for planned in import.calls {
            // The ledger answers a known id with the receipts that are there.
            if self.lines.iter().any(|line| line.id == planned.id) {
                continue;
            }
            let intent = Value::Object(planned.intent);
            self.call_as(&planned.id, planned.verb, &intent, &planned.tags).map_err(|refusal| {
                Refusal { message: format!("{}: {}", planned.place, refusal.message), ..refusal }
            })?;
        }
        Ok((self.lines.len() - before, import.notices))
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

/// Puts one digest for each declared private field into the body, as the ledger does: of the draft's own value, else of
/// the intent's, else a decoy. The salts are the places, which no ledger would do. Gives what can be opened.
fn hide(
    spec: &Spec,
    intent: &Map<String, Value>,
    draft: &mut Draft,
    seq: u64,
) -> Map<String, Value> {
    let (mut opened, mut digests) = (Map::new(), Vec::new());
    for field in spec.private_in_body() {
        let value = draft.private.remove(field.name).or_else(|| intent.get(field.name).cloned());
        let disclosure = serde_json::json!([seq, field.name, value]).to_string();
        digests.push(disclosure_digest(&disclosure));
        opened.extend(value.map(|value| (field.name.to_owned(), value)));
    }
    assert!(draft.private.is_empty(), "{} does not declare {:?}", spec.verb, draft.private);
    put_digests(&mut draft.body, digests);
    opened
}

/// A line as the ledger would build it, with digests of nothing.
pub fn line(draft: Draft, verb: &str, id: &str, part: Part, seq: u64, at: Moment) -> Line {
    let none = Blake3::of(b"");
    Line {
        kind: draft.kind.to_owned(),
        op: format!("treasury.{}", verb.replace('-', "_")),
        scroll: "treasury".to_owned(),
        seq,
        id: id.to_owned(),
        part,
        intent: none,
        issuer: "did:key:z6MkehRgf7yJbgaGfYsdoAsKdBPE3dj2CYhowQdcjqSJgvVd".to_owned(),
        actor: "local:1".to_owned(),
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
