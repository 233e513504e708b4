//! The shape of an engine, and the one place where its types are erased to JSON.

use crate::call::Actor;
use crate::contract::{Contract, Plan, RunView, StageDone};
use crate::edge;
use crate::error::{Failure, Fault, Refusal};
use crate::exchange::{Export, Exporter, Feed, Import, Importer, Planned, Sink, Source};
use crate::port::Ports;
use crate::spec::{Field, Spec};
use crate::state::{Base, Change, Part, Projection};
use crate::work::{AnyOperation, AnyStaged, Shape, no_stages, single, takes_steps, unreadable};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::any::Any;
use std::io::BufRead;
use std::marker::PhantomData;
use std::sync::Arc;
use vm_receipts::line::Line;
use vm_receipts::moment::Moment;

/// A receipt before the ledger has given it a place: what the engine decides about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Receipt type, one of the operation's declared types.
    pub kind: &'static str,
    /// Declared public fields.
    pub body: Map<String, Value>,
    /// Tags besides those of the call.
    pub tags: Vec<String>,
    /// Values of declared private fields that differ from the intent's. A private field of the intent need not be
    /// repeated: the ledger puts its digest into every receipt of the call by itself.
    pub private: Map<String, Value>,
    /// Which of several like things of the call it is about. Receipts of one leg share the digest of a private value,
    /// those of different legs never do, so that nobody sees which legs have the same text, or none.
    pub leg: Option<u32>,
}

impl Draft {
    /// A draft without tags or private values of its own.
    pub fn new(kind: &'static str, body: Map<String, Value>) -> Self {
        Self { kind, body, tags: Vec::new(), private: Map::new(), leg: None }
    }

    /// About this leg of the call.
    pub fn leg(mut self, leg: u32) -> Self {
        self.leg = Some(leg);
        self
    }

    /// With a private value of its own.
    pub fn private(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.private.insert(name.to_owned(), value.into());
        self
    }
}

/// What an operation may know of the call besides its intent.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The ledger's clock for this call; becomes `at` of its receipts.
    pub at: Moment,
    /// The call's id.
    pub id: &'a str,
    /// Who asks.
    pub actor: &'a Actor,
}

/// A fact, checked against the state and kept: the common case of an operation. Pure.
pub trait Record: Sync + 'static {
    /// State of the engine.
    type State;
    /// The intent, typed; read from the checked JSON.
    type Fact: DeserializeOwned;
    /// The declaration.
    fn spec(&self) -> &'static Spec;
    /// Checks the fact and says which receipts it leaves, 1 to n.
    fn check(
        &self,
        state: &Self::State,
        fact: Self::Fact,
        asked: Asked<'_>,
    ) -> Result<Vec<Draft>, Refusal>;
}

/// A question about the state that leaves no receipt. Pure apart from reading history.
pub trait Report: Sync + 'static {
    /// State of the engine.
    type State;
    /// The question, typed.
    type Question: DeserializeOwned;
    /// The declaration; `types` is empty.
    fn spec(&self) -> &'static Spec;
    /// The answer, as JSON: an object, or a list of objects that prints as a table.
    fn answer(
        &self,
        state: &Self::State,
        history: &mut dyn History,
        question: Self::Question,
    ) -> Result<Value, Failure>;
}

/// An equality that a line must satisfy: field of the body (or `type`, `op`, `id`, `actor`) and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Field name.
    pub field: String,
    /// Its value as text.
    pub value: String,
}

/// The lines of the engine's own scroll, in order. An index may serve the terms; the order never changes.
pub trait History {
    /// Visits each line that satisfies every term, up to the state's size, until `visit` returns false.
    fn scan(&mut self, terms: &[Term], visit: &mut dyn FnMut(&Line) -> bool) -> Result<(), Fault>;

    /// Private values of a line that this home can open, by field name. Withheld and erased ones are not among them.
    fn opened(&mut self, _line: &Line) -> Result<Map<String, Value>, Fault> {
        Ok(Map::new())
    }

    /// As [`History::scan`], each line with its private values that this home can open. A history that reads lines
    /// one by one opens them one by one too; this default holds all of them in memory.
    fn scan_opened(
        &mut self,
        terms: &[Term],
        visit: &mut dyn FnMut(&Line, &Map<String, Value>) -> bool,
    ) -> Result<(), Fault> {
        let mut lines = Vec::new();
        self.scan(terms, &mut |line| {
            lines.push(line.clone());
            true
        })?;
        for line in &lines {
            if !visit(line, &self.opened(line)?) {
                break;
            }
        }
        Ok(())
    }
}

/// An operation of an engine with state `S`, by how it works.
pub enum Operations<S: 'static> {
    /// A fact, checked and kept.
    Record(&'static dyn AnyRecord<S>),
    /// Work with effects.
    Operation(&'static dyn AnyOperation<S>),
    /// Work at the pace of people.
    Staged(&'static dyn AnyStaged<S>),
}

impl<S> Operations<S> {
    /// The declaration.
    pub fn spec(&self) -> &'static Spec {
        match self {
            Operations::Record(record) => record.spec(),
            Operations::Operation(operation) => operation.spec(),
            Operations::Staged(staged) => staged.spec(),
        }
    }

    /// How it works, without its types.
    pub fn shape(&self) -> Shape {
        match self {
            Operations::Record(_) => Shape::Record,
            Operations::Operation(operation) => Shape::Operation(operation.ports()),
            Operations::Staged(staged) => Shape::Staged(staged.stage_fields()),
        }
    }
}

/// A [`Record`] with its fact erased to JSON.
pub trait AnyRecord<S>: Sync {
    /// The declaration.
    fn spec(&self) -> &'static Spec;
    /// Reads the fact out of a checked intent and decides.
    fn decide(
        &self,
        state: &S,
        intent: &Map<String, Value>,
        asked: Asked<'_>,
    ) -> Result<Vec<Draft>, Refusal>;
}

impl<R: Record> AnyRecord<R::State> for R {
    fn spec(&self) -> &'static Spec {
        Record::spec(self)
    }

    fn decide(
        &self,
        state: &R::State,
        intent: &Map<String, Value>,
        asked: Asked<'_>,
    ) -> Result<Vec<Draft>, Refusal> {
        let fact = edge::typed(Record::spec(self), intent)?;
        self.check(state, fact, asked)
    }
}

/// A [`Report`] with its question erased to JSON.
pub trait AnyReport<S>: Sync {
    /// The declaration.
    fn spec(&self) -> &'static Spec;
    /// Reads the question out of a checked intent and answers.
    fn ask(
        &self,
        state: &S,
        history: &mut dyn History,
        question: &Map<String, Value>,
    ) -> Result<Value, Failure>;
}

impl<R: Report> AnyReport<R::State> for R {
    fn spec(&self) -> &'static Spec {
        Report::spec(self)
    }

    fn ask(
        &self,
        state: &R::State,
        history: &mut dyn History,
        question: &Map<String, Value>,
    ) -> Result<Value, Failure> {
        self.answer(state, history, edge::typed(Report::spec(self), question)?)
    }
}

/// One domain: its scroll, its operations, and how its receipts fold into state.
pub trait Engine: Sync + 'static {
    /// Name on the command line and in `op`.
    const NAME: &'static str;
    /// Scroll it writes: lower case.
    const SCROLL: &'static str;
    /// What its receipt types begin with: `treasury_`.
    const PREFIX: &'static str;
    /// One line of what it is for.
    const ABOUT: &'static str;
    /// State it folds.
    type State: Projection;
    /// The one list of operations.
    const OPERATIONS: &'static [Operations<Self::State>];
    /// The one list of reports.
    const REPORTS: &'static [&'static dyn AnyReport<Self::State>] = &[];
    /// Formats it reads.
    const IMPORTERS: &'static [&'static dyn Importer<Self::State>] = &[];
    /// Formats it writes.
    const EXPORTERS: &'static [&'static dyn Exporter<Self::State>] = &[];
    /// Takes one line into the state, by receipt type. Pure and total: never refuses, never panics.
    ///
    /// Nothing may be read here that a line gets when it is sealed: its proof, and a record's digests of contract, state
    /// and case. They are not there yet while the calls of a batch are decided.
    fn fold(state: &mut Self::State, line: &Line);
}

/// A state whose type is erased.
pub trait AnyState: Any + Send {
    /// Makes tentative changes permanent.
    fn promote(&mut self);
    /// Drops tentative changes.
    fn discard(&mut self);
    /// Everything in it; equal states give equal dumps.
    fn dump(&mut self) -> Value;
    /// Reads what was promoted before from here on from `base`; for a state that is still blank.
    fn attach(&mut self, base: &Arc<dyn Base>);
    /// Changes promoted since the last time, by part; they stay readable until they are settled.
    fn take_changes(&mut self) -> Vec<(&'static str, Change)>;
    /// The changes last taken are in `base` now.
    fn settle(&mut self, base: &Arc<dyn Base>);
    /// For the engine that knows the type.
    fn as_any(&self) -> &dyn Any;
    /// For the engine that knows the type.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<P: Projection> AnyState for P {
    fn promote(&mut self) {
        self.parts(&mut |_, part: &mut dyn Part| part.promote());
    }
    fn discard(&mut self) {
        self.parts(&mut |_, part: &mut dyn Part| part.discard());
    }
    fn dump(&mut self) -> Value {
        let mut all = Map::new();
        self.parts(&mut |name, part: &mut dyn Part| {
            all.insert(name.to_owned(), part.dump());
        });
        Value::Object(all)
    }
    fn attach(&mut self, base: &Arc<dyn Base>) {
        self.parts(&mut |name, part: &mut dyn Part| part.attach(name, base.clone()));
    }
    fn take_changes(&mut self) -> Vec<(&'static str, Change)> {
        let mut all = Vec::new();
        self.parts(&mut |name, part: &mut dyn Part| {
            all.extend(part.take_changes().into_iter().map(|change| (name, change)));
        });
        all
    }
    fn settle(&mut self, base: &Arc<dyn Base>) {
        self.parts(&mut |_, part: &mut dyn Part| part.settle(base.clone()));
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// An [`Engine`] with its types erased, as the ledger and every surface use it.
pub trait AnyEngine: Sync {
    /// Name on the command line.
    fn name(&self) -> &'static str;
    /// Scroll it writes.
    fn scroll(&self) -> &'static str;
    /// Prefix of its receipt types.
    fn prefix(&self) -> &'static str;
    /// One line of what it is for.
    fn about(&self) -> &'static str;
    /// Declarations of its operations, in order.
    fn operations(&self) -> Vec<&'static Spec>;
    /// Declarations of its reports, in order.
    fn reports(&self) -> Vec<&'static Spec>;
    /// An empty state.
    fn blank(&self) -> Box<dyn AnyState>;
    /// Version of its fold, see [`Projection::FOLD_VERSION`].
    fn fold_version(&self) -> u32;
    /// Decides a call whose intent was checked by [`edge::admit`].
    fn decide(
        &self,
        state: &dyn AnyState,
        verb: &str,
        intent: &Map<String, Value>,
        asked: Asked<'_>,
    ) -> Result<Vec<Draft>, Refusal>;
    /// How the operation of this verb works.
    fn shape(&self, verb: &str) -> Option<Shape>;
    /// Plans a call whose intent was checked by [`edge::admit`].
    fn plan(
        &self,
        state: &dyn AnyState,
        verb: &str,
        intent: &Map<String, Value>,
        asked: Asked<'_>,
    ) -> Result<Plan, Refusal>;
    /// Carries out the effects of a contract; only for [`Shape::Operation`].
    fn execute(
        &self,
        verb: &str,
        contract: &Contract,
        hidden: &Map<String, Value>,
        ports: &mut Ports<'_>,
    ) -> Result<Value, Fault>;
    /// Whether a stage may be completed like this; only for [`Shape::Staged`].
    fn complete(
        &self,
        state: &dyn AnyState,
        verb: &str,
        run: RunView<'_>,
        done: &StageDone<'_>,
        asked: Asked<'_>,
    ) -> Result<(), Refusal>;
    /// Which receipts a run leaves that came to its end.
    fn seal(
        &self,
        state: &dyn AnyState,
        verb: &str,
        run: RunView<'_>,
        asked: Asked<'_>,
    ) -> Result<Vec<Draft>, Failure>;
    /// Takes one line into the state.
    fn fold(&self, state: &mut dyn AnyState, line: &Line);
    /// Answers a report.
    fn report(
        &self,
        state: &dyn AnyState,
        history: &mut dyn History,
        verb: &str,
        question: &Map<String, Value>,
    ) -> Result<Value, Failure>;
    /// Formats it reads: name, one line, file endings.
    fn imports(&self) -> Vec<(&'static str, &'static str, &'static [&'static str])>;
    /// Formats it writes: name, one line.
    fn exports(&self) -> Vec<(&'static str, &'static str)>;
    /// Reads a source in the named format, or in the one its ending tells.
    fn import(
        &self,
        state: &dyn AnyState,
        format: Option<&str>,
        source: Source<'_>,
    ) -> Result<Import, Refusal>;
    /// Reads a source piece by piece; false where its format has no such form and nothing was read.
    fn stream(
        &self,
        format: Option<&str>,
        feed: Feed<'_>,
        input: &mut dyn BufRead,
        sink: &mut dyn Sink<dyn AnyState>,
    ) -> Result<bool, Failure>;
    /// Whether sources of the named format, or of the one an ending tells, are read piece by piece.
    fn streams(&self, format: Option<&str>, name: &str) -> bool;
    /// Writes in the named format.
    fn export(
        &self,
        state: &dyn AnyState,
        history: &mut dyn History,
        format: &str,
    ) -> Result<Export, Failure>;

    /// The operation of this verb.
    fn operation(&self, verb: &str) -> Option<&'static Spec> {
        self.operations().into_iter().find(|s| s.verb == verb)
    }

    /// Every declared receipt type, each once.
    fn types(&self) -> Vec<&'static str> {
        let mut all: Vec<_> =
            self.operations().iter().flat_map(|s| s.types.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Every declared filter, each name once.
    fn filters(&self) -> Vec<&'static Field> {
        let mut all: Vec<&'static Field> = Vec::new();
        for spec in self.operations() {
            for field in spec.fields.iter().filter(|f| f.filter && f.is_kept()) {
                if !all.iter().any(|f| f.name == field.name) {
                    all.push(field);
                }
            }
        }
        all
    }
}

/// Erases an engine's types; `cli/src/house.rs` lists one for each engine.
pub struct Hosted<E>(PhantomData<fn() -> E>);

impl<E> Hosted<E> {
    /// The engine as a value.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E> Default for Hosted<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Engine> Hosted<E> {
    fn find(&self, verb: &str) -> Option<&'static Operations<E::State>> {
        E::OPERATIONS.iter().find(|o| o.spec().verb == verb)
    }

    /// The importer of this name, or the one that this file's ending tells.
    fn importer(format: Option<&str>, file: &str) -> Option<&'static dyn Importer<E::State>> {
        let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
        let fits = |i: &&&dyn Importer<E::State>| match format {
            Some(name) => i.format() == name,
            None => i.endings().contains(&ending),
        };
        E::IMPORTERS.iter().find(fits).copied()
    }

    fn state<'a>(&self, state: &'a dyn AnyState) -> &'a E::State {
        state.as_any().downcast_ref().expect("BUG: a state of another engine was handed in")
    }
}

impl<E: Engine> AnyEngine for Hosted<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }
    fn scroll(&self) -> &'static str {
        E::SCROLL
    }
    fn prefix(&self) -> &'static str {
        E::PREFIX
    }
    fn about(&self) -> &'static str {
        E::ABOUT
    }
    fn operations(&self) -> Vec<&'static Spec> {
        E::OPERATIONS.iter().map(Operations::spec).collect()
    }
    fn reports(&self) -> Vec<&'static Spec> {
        E::REPORTS.iter().map(|r| r.spec()).collect()
    }
    fn blank(&self) -> Box<dyn AnyState> {
        Box::new(E::State::default())
    }
    fn fold_version(&self) -> u32 {
        E::State::FOLD_VERSION
    }

    fn decide(
        &self,
        state: &dyn AnyState,
        verb: &str,
        intent: &Map<String, Value>,
        asked: Asked<'_>,
    ) -> Result<Vec<Draft>, Refusal> {
        match self.find(verb) {
            Some(Operations::Record(record)) => record.decide(self.state(state), intent, asked),
            Some(_) => Err(takes_steps(E::NAME, verb)),
            None => Err(unknown_verb(E::NAME, verb, &self.operations())),
        }
    }

    fn shape(&self, verb: &str) -> Option<Shape> {
        self.find(verb).map(Operations::shape)
    }

    fn plan(
        &self,
        state: &dyn AnyState,
        verb: &str,
        intent: &Map<String, Value>,
        asked: Asked<'_>,
    ) -> Result<Plan, Refusal> {
        let state = self.state(state);
        match self.find(verb) {
            Some(Operations::Record(record)) => {
                record.decide(state, intent, asked)?;
                Ok(single(record.spec(), Map::new()))
            }
            Some(Operations::Operation(operation)) => operation.plan(state, intent, asked),
            Some(Operations::Staged(staged)) => staged.plan(state, intent, asked),
            None => Err(unknown_verb(E::NAME, verb, &self.operations())),
        }
    }

    fn execute(
        &self,
        verb: &str,
        contract: &Contract,
        hidden: &Map<String, Value>,
        ports: &mut Ports<'_>,
    ) -> Result<Value, Fault> {
        match self.find(verb) {
            Some(Operations::Operation(operation)) => operation.execute(contract, hidden, ports),
            _ => Err(unreadable(&contract.op, "operation")),
        }
    }

    fn complete(
        &self,
        state: &dyn AnyState,
        verb: &str,
        run: RunView<'_>,
        done: &StageDone<'_>,
        asked: Asked<'_>,
    ) -> Result<(), Refusal> {
        match self.find(verb) {
            Some(Operations::Staged(staged)) => {
                staged.complete(self.state(state), run, done, asked)
            }
            _ => Err(no_stages(&run.contract.op)),
        }
    }

    fn seal(
        &self,
        state: &dyn AnyState,
        verb: &str,
        run: RunView<'_>,
        asked: Asked<'_>,
    ) -> Result<Vec<Draft>, Failure> {
        match self.find(verb) {
            Some(Operations::Staged(staged)) => Ok(staged.seal(self.state(state), run, asked)?),
            Some(Operations::Operation(operation)) => match &run.state.outcome {
                Some(outcome) => Ok(operation.drafts(run.contract, outcome)?),
                None => Err(unreadable(&run.contract.op, "outcome").into()),
            },
            _ => Err(unknown_verb(E::NAME, verb, &self.operations()).into()),
        }
    }

    fn fold(&self, state: &mut dyn AnyState, line: &Line) {
        let state = state
            .as_any_mut()
            .downcast_mut()
            .expect("BUG: a state of another engine was handed in");
        E::fold(state, line);
    }

    fn report(
        &self,
        state: &dyn AnyState,
        history: &mut dyn History,
        verb: &str,
        question: &Map<String, Value>,
    ) -> Result<Value, Failure> {
        match E::REPORTS.iter().find(|r| r.spec().verb == verb) {
            Some(report) => report.ask(self.state(state), history, question),
            None => Err(unknown_verb(E::NAME, verb, &self.reports()).into()),
        }
    }

    fn imports(&self) -> Vec<(&'static str, &'static str, &'static [&'static str])> {
        E::IMPORTERS.iter().map(|i| (i.format(), i.about(), i.endings())).collect()
    }
    fn exports(&self) -> Vec<(&'static str, &'static str)> {
        E::EXPORTERS.iter().map(|e| (e.format(), e.about())).collect()
    }

    fn import(
        &self,
        state: &dyn AnyState,
        format: Option<&str>,
        source: Source<'_>,
    ) -> Result<Import, Refusal> {
        match Self::importer(format, source.name) {
            Some(importer) => importer.read(self.state(state), source),
            None => Err(Refusal::malformed(
                "unknown_format",
                format!("{} cannot tell how to read {:?}", E::NAME, source.name),
            )
            .hint(format!("Name one with --format: {}.", names(&self.imports())))),
        }
    }

    fn stream(
        &self,
        format: Option<&str>,
        feed: Feed<'_>,
        input: &mut dyn BufRead,
        sink: &mut dyn Sink<dyn AnyState>,
    ) -> Result<bool, Failure> {
        match Self::importer(format, feed.name).and_then(|i| i.streaming()) {
            Some(streaming) => {
                let mut typed = Typed { engine: self, sink };
                streaming.stream(feed, input, &mut typed).map(|()| true)
            }
            None => Ok(false),
        }
    }

    fn streams(&self, format: Option<&str>, name: &str) -> bool {
        Self::importer(format, name).is_some_and(|i| i.streaming().is_some())
    }

    fn export(
        &self,
        state: &dyn AnyState,
        history: &mut dyn History,
        format: &str,
    ) -> Result<Export, Failure> {
        match E::EXPORTERS.iter().find(|e| e.format() == format) {
            Some(exporter) => exporter.write(self.state(state), history),
            None => {
                let known: Vec<_> = self.exports().iter().map(|e| e.0).collect();
                Err(Refusal::malformed(
                    "unknown_format",
                    format!("{} does not write {format:?}", E::NAME),
                )
                .hint(format!("It writes {}.", known.join(", ")))
                .into())
            }
        }
    }
}

/// Shows an importer the state that it knows the type of.
struct Typed<'a, E> {
    engine: &'a Hosted<E>,
    sink: &'a mut dyn Sink<dyn AnyState>,
}

impl<E: Engine> Sink<E::State> for Typed<'_, E> {
    fn look(&mut self, ask: &mut dyn FnMut(&E::State)) -> Result<(), Failure> {
        let engine = self.engine;
        self.sink.look(&mut |state| ask(engine.state(state)))
    }
    fn take(&mut self, planned: Planned) -> Result<(), Failure> {
        self.sink.take(planned)
    }
    fn known(&mut self, calls: u64) {
        self.sink.known(calls);
    }
    fn notice(&mut self, notice: String) {
        self.sink.notice(notice);
    }
}

fn names(imports: &[(&'static str, &'static str, &'static [&'static str])]) -> String {
    imports.iter().map(|i| i.0).collect::<Vec<_>>().join(", ")
}

fn unknown_verb(engine: &str, verb: &str, known: &[&'static Spec]) -> Refusal {
    let known: Vec<_> = known.iter().map(|s| s.verb).collect();
    Refusal::not_found("unknown_operation", format!("{engine} has no operation {verb:?}"))
        .hint(format!("It has {}.", known.join(", ")))
}
