//! A ledger in memory that hosts every engine.

use crate::stories;
use std::any::Any;
use std::sync::{Arc, OnceLock};
use vaultmesh::house::TrialPorts;
use vm_contracts::{
    Actor, AnyEngine, AnyState, Call, Failure, Gate, Line, Map, OwnerGate, PortSource, Shape, Spec,
    Value,
};
use vm_ledger::{Answer, Ledger, Outside, Run, Writer};
use vm_tests::memfs::MemoryFs;
use vm_tests::toy::{Drawer, TOY, Tills};
use vm_tests::world::{self, HandClock, SeededEntropy};

/// The toy, and every engine of the house.
pub fn engines() -> &'static [&'static dyn AnyEngine] {
    static ALL: OnceLock<Vec<&'static dyn AnyEngine>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all: Vec<&'static dyn AnyEngine> = vec![&TOY];
        all.extend(vaultmesh::house::HOUSE);
        all
    })
}

/// Every operation with its engine.
pub fn operations() -> Vec<(&'static dyn AnyEngine, &'static Spec)> {
    engines().iter().flat_map(|e| e.operations().into_iter().map(|spec| (*e, spec))).collect()
}

/// The example of a declaration.
pub fn example(spec: &Spec) -> Map<String, Value> {
    match serde_json::from_str(spec.example) {
        Ok(Value::Object(map)) => map,
        other => panic!("the example of {} is no object: {other:?}", spec.verb),
    }
}

/// The toy's till, and what engines of the house get where they are only tried out.
struct Doors(Tills);

impl PortSource for Doors {
    fn grant(&self, engine: &str, port: &str) -> Option<Box<dyn Any + Send>> {
        self.0.grant(engine, port).or_else(|| TrialPorts.grant(engine, port))
    }
}

pub struct Bench {
    pub fs: Arc<MemoryFs>,
    pub clock: Arc<HandClock>,
    pub till: Arc<Drawer>,
    pub ledger: Ledger,
}

impl Bench {
    /// An empty home.
    pub fn new() -> Self {
        let fs = Arc::new(MemoryFs::default());
        world::lay_out(&*fs);
        Self::over(fs, Arc::new(OwnerGate))
    }

    /// A home that is there already.
    pub fn over(fs: Arc<MemoryFs>, gate: Arc<dyn Gate>) -> Self {
        let clock = Arc::new(HandClock::default());
        let till = Arc::new(Drawer::default());
        let outside = Outside {
            fs: fs.clone(),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(11)),
            gate,
            engines: engines(),
            ports: Arc::new(Doors(Tills(till.clone()))),
            shelving: None,
        };
        let writer = Writer::open(outside, world::settings(), world::keys()).expect("it opens");
        Self { fs, clock, till, ledger: Ledger::new(writer) }
    }

    /// A home in which every engine's story was told.
    pub fn told() -> Self {
        let bench = Self::new();
        for engine in engines() {
            for call in stories::calls(*engine) {
                let shown = format!("{} {} {:?}", call.engine, call.verb, call.intent);
                bench.submit(call).unwrap_or_else(|e| panic!("{shown}: {e}"));
            }
        }
        bench.ledger.flush().expect("memory takes every write");
        bench
    }

    /// Commits one call, however its operation works; a second passes before.
    pub fn submit(&self, call: Call) -> Result<Answer, Failure> {
        self.clock.pass(1_000);
        let engine = self.ledger.engine(&call.engine)?;
        let known = call.id.as_deref().map(|id| self.ledger.find(engine.scroll(), id));
        match engine.shape(&call.verb) {
            None | Some(Shape::Record) => self.ledger.submit(call),
            Some(Shape::Staged(_)) if !matches!(known, Some(Ok(Some(_)))) => {
                let by = call.actor.clone();
                let contract = self.ledger.plan(call)?.to_text();
                let run = self.ledger.run(contract.as_bytes(), &by)?.run;
                self.carry_through(&run)
            }
            Some(_) => self.ledger.perform(call).map(|sealing| sealing.answer),
        }
    }

    /// Completes every stage of an open run and seals it.
    pub fn carry_through(&self, run: &Run) -> Result<Answer, Failure> {
        let by = run.contract.actor();
        for stage in &run.contract.stages {
            self.clock.pass(1_000);
            let said = stage_of(run.engine);
            self.ledger.complete_stage(
                run.engine,
                &run.contract.id,
                &stage.id,
                &said,
                vec![],
                &by,
            )?;
        }
        self.clock.pass(1_000);
        self.ledger.seal_run(run.engine, &run.contract.id, &by).map(|sealing| sealing.answer)
    }

    /// The lines of an engine's scroll, none where there is no scroll yet.
    pub fn lines(&self, engine: &dyn AnyEngine) -> Vec<Line> {
        let mut lines = Vec::new();
        let walked = self.ledger.lines(engine.scroll(), 0, &mut |_, line| {
            lines.push(line.clone());
            true
        });
        walked.map(|()| lines).unwrap_or_default()
    }
}

/// What is said of each stage of an engine's work.
pub fn stage_of(engine: &str) -> Map<String, Value> {
    let toy = r#"{"outcome":"done","note":"so it was"}"#;
    let text = vaultmesh::house::story_stage(engine).unwrap_or(toy);
    serde_json::from_str(text).expect("an object")
}

/// A call with a fixed id.
pub fn call(engine: &dyn AnyEngine, verb: &str, id: &str, intent: Map<String, Value>) -> Call {
    Call {
        id: Some(id.to_owned()),
        actor: Actor::local(1000),
        surface: "cli".into(),
        engine: engine.name().to_owned(),
        verb: verb.to_owned(),
        intent,
        tags: Vec::new(),
    }
}

/// The state that an engine folds out of lines.
pub fn folded(engine: &dyn AnyEngine, lines: &[Line]) -> Box<dyn AnyState> {
    let mut state = engine.blank();
    let own = engine.types();
    for line in lines.iter().filter(|line| own.contains(&line.kind.as_str())) {
        engine.fold(&mut *state, line);
    }
    state.promote();
    state
}
