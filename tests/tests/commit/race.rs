//! A second writer takes the position first: the loser decides again on what is there now.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use vm_contracts::{Failure, Fault, RefusalKind};
use vm_ledger::guard::Guard;
use vm_ledger::store::{Created, Memory, Store};
use vm_ledger::{Answer, Writer, dump};
use vm_tests::crashfs::{CrashFs, Image};
use vm_tests::toy::TOY;
use vm_tests::world::{call, keys, note, outside, settings};

/// What the other writer does the next time this one is about to append.
type Ambush = Box<dyn FnOnce() + Send>;
/// What the other writer does, given itself.
type Act = Box<dyn FnOnce(&mut Writer) + Send>;

/// A shared store in which somebody may be faster.
struct Crossed {
    store: Arc<Memory>,
    ambushes: Mutex<VecDeque<Ambush>>,
}

impl Store for Crossed {
    fn read(&self, scroll: &str, at: u64, max: usize) -> Result<Vec<Vec<u8>>, Fault> {
        self.store.read(scroll, at, max)
    }
    fn create(&self, scroll: &str, at: u64, lines: &[Vec<u8>]) -> Created {
        let ambush = self.ambushes.lock().unwrap().pop_front();
        if let Some(ambush) = ambush {
            ambush();
        }
        self.store.create(scroll, at, lines)
    }
}

fn writer(store: Arc<dyn Store>, seed: u64) -> Writer {
    let fs = Arc::new(CrashFs::new(Image::default(), seed));
    vm_tests::world::lay_out(&*fs);
    let guard = Guard::new(&settings().ledger);
    Writer::over(outside(fs, Arc::default(), seed), settings(), keys(), store, guard)
}

fn commit(writer: &mut Writer, call: vm_contracts::Call) -> Result<Answer, Failure> {
    writer.commit(&TOY, vec![call]).remove(0)
}

/// A writer that is interrupted by these acts of another one, both over one store.
fn crossed(acts: Vec<Act>) -> (Writer, Arc<Memory>) {
    let store = Arc::new(Memory::new());
    let other = Arc::new(Mutex::new(writer(store.clone(), 2)));
    // Both know the scroll's first line before anybody races.
    commit(&mut other.lock().unwrap(), note("zero", "0")).unwrap();
    let ambush = |act: Act| {
        let other = other.clone();
        Box::new(move || act(&mut other.lock().unwrap())) as Ambush
    };
    let ambushes = Mutex::new(acts.into_iter().map(ambush).collect());
    (writer(Arc::new(Crossed { store: store.clone(), ambushes }), 1), store)
}

#[test]
fn a_lost_race_is_decided_again_on_what_is_there_now() {
    let taken = || call("theirs", "guarded", serde_json::json!({"name": "alpha"}));
    let (mut ours, store) = crossed(vec![Box::new(move |other| {
        commit(other, taken()).unwrap();
    })]);
    let mine = call("ours", "guarded", serde_json::json!({"name": "alpha"}));
    let refused = commit(&mut ours, mine).unwrap_err();
    assert!(
        matches!(&refused, Failure::Refusal(r) if r.kind == RefusalKind::Conflict),
        "{refused:?}"
    );
    assert_eq!(store.read("toy", 0, 10).unwrap().len(), 3, "ledger_open, zero, theirs");
    let dump = dump(&mut ours).unwrap();
    assert_eq!(dump["toy"]["count"], 2, "the fold of what lost the race was dropped");
}

#[test]
fn a_lost_race_that_still_holds_is_committed_after_the_other() {
    let (mut ours, _) = crossed(vec![Box::new(|other| {
        commit(other, note("theirs", "x")).unwrap();
    })]);
    let answer = commit(&mut ours, note("ours", "y")).unwrap();
    assert_eq!((answer.first, answer.existing), (3, false));
    let again = commit(&mut ours, note("theirs", "x")).unwrap();
    assert_eq!(
        (again.first, again.existing),
        (2, true),
        "the other's receipt answers its own id here too"
    );
}

#[test]
fn the_same_call_committed_by_both_is_one_receipt() {
    let (mut ours, store) = crossed(vec![Box::new(|other| {
        commit(other, note("same", "x")).unwrap();
    })]);
    let answer = commit(&mut ours, note("same", "x")).unwrap();
    assert_eq!((answer.first, answer.existing), (2, true));
    assert_eq!(store.read("toy", 0, 10).unwrap().len(), 3);
    let conflict = commit(&mut ours, note("same", "other")).unwrap_err();
    assert_eq!(conflict.code(), "id_used_for_other_intent");
}

#[test]
fn a_writer_that_always_loses_gives_up_and_says_so() {
    let acts = (0..100).map(|n| {
        let act = move |other: &mut Writer| {
            commit(other, note(&format!("t{n}"), "x")).unwrap();
        };
        Box::new(act) as Act
    });
    let (mut ours, _) = crossed(acts.collect());
    let contended = commit(&mut ours, note("ours", "y")).unwrap_err();
    assert!(
        matches!(&contended, Failure::Fault(f) if f.code == "contended" && f.retryable),
        "{contended:?}"
    );
    assert!(
        !commit(&mut ours, note("fine", "y")).is_ok_and(|a| a.existing),
        "it is not stuck after that"
    );
}

/// A store that does not say whether it took the lines.
struct Silent(Memory);

impl Store for Silent {
    fn read(&self, scroll: &str, at: u64, max: usize) -> Result<Vec<Vec<u8>>, Fault> {
        self.0.read(scroll, at, max)
    }
    fn create(&self, scroll: &str, at: u64, lines: &[Vec<u8>]) -> Created {
        match self.0.create(scroll, at, lines) {
            Created::Created if at > 0 => Created::Unknown("no answer".into()),
            other => other,
        }
    }
}

#[test]
fn an_unconfirmed_write_answers_nothing_more() {
    let mut writer = writer(Arc::new(Silent(Memory::new())), 1);
    for id in ["a", "a", "b"] {
        assert!(matches!(commit(&mut writer, note(id, "x")), Err(Failure::Lost(_))));
    }
}
