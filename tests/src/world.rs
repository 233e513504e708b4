//! A small fixed world: keys, settings, time and chance that are the same on every run.

use crate::toy::TOY;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use vm_contracts::{
    Actor, AnyEngine, Authority, Call, Failure, Gate, Map, NoPorts, OwnerGate, Refusal,
    RefusalKind, Value,
};
use vm_ledger::clock::{Clock, Entropy, Reading};
use vm_ledger::fs::{Fs, GUARD};
use vm_ledger::keys::Keys;
use vm_ledger::{Outside, Settings, Writer};
use vm_receipts::key::SecretKey;
use vm_receipts::moment::Moment;

/// Engines of the small world.
pub static ENGINES: [&'static dyn AnyEngine; 1] = [&TOY];

/// Wall clock at the beginning: 2026-01-02T03:04:05Z.
pub const DAWN_MS: i64 = 1_767_323_045_000;

/// Numbers from a seed (splitmix64): the same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice for a part of a larger run, independent of how many numbers other parts draw.
    pub fn of(seed: u64, parts: &[u64]) -> Self {
        let mut dice = Self(seed);
        for part in parts {
            let mixed = dice.next() ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            dice = Self(mixed);
        }
        dice
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait, reason = "an endless sequence, used as plain numbers")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit as u64)).expect("it is below a usize")
    }
}

/// The seed of a campaign: `VM_SEED`, else a fixed one.
pub fn seed() -> u64 {
    match std::env::var("VM_SEED") {
        Ok(text) => text.trim().parse().expect("VM_SEED is a number"),
        Err(_) => 20_261_120,
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug)]
pub struct HandClock {
    wall_ms: AtomicU64,
    uptime_ms: AtomicU64,
    boot: AtomicU64,
}

impl Default for HandClock {
    fn default() -> Self {
        Self {
            wall_ms: AtomicU64::new(DAWN_MS as u64),
            uptime_ms: AtomicU64::new(60_000),
            boot: AtomicU64::new(1),
        }
    }
}

impl HandClock {
    /// Time passes.
    pub fn pass(&self, ms: u64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.uptime_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock; no time passes.
    pub fn set_by(&self, ms: i64) {
        let now = self.wall_ms.load(Ordering::SeqCst);
        self.wall_ms.store(now.saturating_add_signed(ms), Ordering::SeqCst);
    }

    /// The machine starts again.
    pub fn reboot(&self) {
        self.boot.fetch_add(1, Ordering::SeqCst);
        self.uptime_ms.store(1_000, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn read(&self) -> Reading {
        let wall = self.wall_ms.load(Ordering::SeqCst) as i64;
        Reading {
            wall: Moment::from_unix_ms(wall).expect("campaigns stay in this century"),
            uptime_ms: self.uptime_ms.load(Ordering::SeqCst),
            boot: format!("boot-{}", self.boot.load(Ordering::SeqCst)),
        }
    }
}

/// Bytes from a seed. For tests only: anybody can guess them.
pub struct SeededEntropy(std::sync::Mutex<Dice>);

impl SeededEntropy {
    /// Bytes of this seed.
    pub fn new(seed: u64) -> Self {
        Self(std::sync::Mutex::new(Dice::new(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut dice = self.0.lock().expect("drawing does not panic");
        for byte in bytes {
            *byte = dice.next() as u8;
        }
    }
}

/// Lets nobody through.
#[derive(Debug, Default)]
pub struct DenyGate;

impl Gate for DenyGate {
    fn may(&self, _: &Actor, needs: &str) -> Result<Authority, Refusal> {
        let what = format!("nobody may {needs} here");
        Err(Refusal::new("not_allowed", RefusalKind::NotAllowed, what))
    }
}

/// Fixed settings.
pub fn settings() -> Settings {
    Settings {
        ledger: "0198c0de-0000-7000-8000-000000000001".into(),
        domain: "ledger.example".into(),
        node: "n1".into(),
        demo: false,
    }
}

/// Fixed keys. For tests only: they stand in this file.
pub fn keys() -> Keys {
    Keys { issuer: Arc::new(SecretKey::from_seed([1; 32])), log: SecretKey::from_seed([2; 32]) }
}

/// What the small world gives to a ledger on this file system; nothing stands behind a port.
pub fn outside(fs: Arc<dyn Fs>, clock: Arc<HandClock>, seed: u64) -> Outside {
    Outside {
        fs,
        clock,
        entropy: Arc::new(SeededEntropy::new(seed)),
        gate: Arc::new(OwnerGate),
        engines: &ENGINES,
        ports: Arc::new(NoPorts),
        shelving: None,
    }
}

/// Lays out an empty home.
pub fn lay_out(fs: &dyn Fs) {
    fs.create_dir(GUARD).expect("an empty file system takes a directory");
    vm_ledger::lay_out(fs, &settings().ledger).expect("an empty file system takes a home");
}

/// Opens a home with fixed settings, keys and a clock that stands still.
pub fn open_home(fs: Arc<dyn Fs>) -> Result<Writer, Failure> {
    Writer::open(outside(fs, Arc::default(), 7), settings(), keys())
}

/// A call to the toy.
pub fn call(id: &str, verb: &str, intent: Value) -> Call {
    Call {
        id: Some(id.to_owned()),
        actor: Actor::local(1000),
        surface: "cli".into(),
        engine: "toy".into(),
        verb: verb.to_owned(),
        intent: intent.as_object().cloned().unwrap_or_else(Map::new),
        tags: Vec::new(),
    }
}

/// `toy note` with this text.
pub fn note(id: &str, text: &str) -> Call {
    call(id, "note", serde_json::json!({"text": text}))
}

/// `toy many` with this text, so many times.
pub fn many(id: &str, text: &str, count: u32) -> Call {
    call(id, "many", serde_json::json!({"count": count, "text": text}))
}

/// `toy whisper` with this private text and nothing else.
pub fn whisper(id: &str, text: &str) -> Call {
    call(id, "whisper", serde_json::json!({"text": text}))
}

/// `toy pay`: so much, to whom in private.
pub fn pay(id: &str, amount: i64, to: &str) -> Call {
    call(id, "pay", serde_json::json!({"amount": amount, "to": to}))
}

/// `toy work` of so many stages.
pub fn work(id: &str, stages: u32) -> Call {
    let prompt = format!("what {id} is for");
    call(id, "work", serde_json::json!({"title": id, "prompt": prompt, "stages": stages}))
}
