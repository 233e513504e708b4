//! A ledger in memory that hosts every engine.

use crate::stories;
use std::sync::{Arc, OnceLock};
use vm_contracts::{
    Actor, AnyEngine, AnyState, Call, Failure, Gate, Line, Map, OwnerGate, Spec, Value,
};
use vm_ledger::{Answer, Ledger, Outside, Writer};
use vm_tests::memfs::MemoryFs;
use vm_tests::toy::TOY;
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

pub struct Bench {
    pub fs: Arc<MemoryFs>,
    pub clock: Arc<HandClock>,
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
        let outside = Outside {
            fs: fs.clone(),
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(11)),
            gate,
            engines: engines(),
        };
        let writer = Writer::open(outside, world::settings(), world::keys()).expect("it opens");
        Self { fs, clock, ledger: Ledger::new(writer) }
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

    /// Commits one call; a second passes before.
    pub fn submit(&self, call: Call) -> Result<Answer, Failure> {
        self.clock.pass(1_000);
        self.ledger.submit(call)
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
