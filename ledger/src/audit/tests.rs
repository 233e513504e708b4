//! Laws of the walk that no writer of ours can break, on scrolls written line by line.

use super::once::{Once, Print};
use super::*;
use crate::fs::Disk;
use crate::segments::segment_path;
use vm_receipts::intent::ActorProof;
use vm_receipts::line::{Context, End, Line, Part, Prev, record_digests};
use vm_receipts::{Blake3, Map, Moment, SecretKey, Value};
use vm_scrolls::note::Vkey;
use vm_scrolls::tree::{Frontier, leaf_hash};

const ORIGIN: &str = "test.example/n1/toy";

fn issuer() -> SecretKey {
    SecretKey::from_seed([7; 32])
}

fn log() -> SecretKey {
    SecretKey::from_seed([8; 32])
}

fn line(seq: u64, prev: Prev) -> Line {
    let text = |text: &str| Value::from(text);
    let genesis = [("domain", text("test.example")), ("ledger", text("L"))];
    let body: Map<String, Value> = match seq {
        0 => genesis.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        _ => Map::new(),
    };
    Line {
        kind: if seq == 0 { "ledger_open" } else { "toy_note" }.to_owned(),
        op: "toy.note".to_owned(),
        scroll: "toy".to_owned(),
        seq,
        id: format!("n{seq}"),
        part: Part { n: 1, of: 1 },
        intent: Blake3::of(b"intent"),
        issuer: issuer().did().to_owned(),
        actor: "local:1000".to_owned(),
        context: Context { surface: "cli".to_owned(), node: "n1".to_owned(), demo: false },
        actor_proof: None,
        authority: Map::from_iter([("mode".to_owned(), text("owner"))]),
        at: Moment::from_unix_ms(1_790_847_003_125).unwrap(),
        end: End::Completed,
        contract: Blake3([0; 32]),
        state: Blake3([0; 32]),
        root_hash: Blake3([0; 32]),
        artifacts: None,
        prev,
        tags: Vec::new(),
        body,
        proof: None,
    }
}

/// A home of so many lines, each changed before it is sealed.
fn home(lines: u64, change: impl Fn(&mut Line)) -> (tempfile::TempDir, Disk) {
    let folder = tempfile::tempdir().unwrap();
    let mut frontier = Frontier::new();
    let mut text = Vec::new();
    for seq in 0..lines {
        let mut line = line(seq, Prev { size: seq, root: frontier.root() });
        change(&mut line);
        (line.contract, line.state, line.root_hash) = record_digests(&line);
        let bytes = line.seal(&issuer()).unwrap().bytes;
        frontier.push(leaf_hash(&bytes));
        text.extend(bytes);
        text.push(b'\n');
    }
    std::fs::create_dir_all(folder.path().join("receipts/toy")).unwrap();
    std::fs::write(folder.path().join(segment_path("toy", 0)), text).unwrap();
    let root =
        Checkpoint { origin: ORIGIN.to_owned(), size: frontier.size(), root: frontier.root() };
    std::fs::write(folder.path().join("ROOT.toy.txt"), root.sign(&log())).unwrap();
    let disk = Disk::new(folder.path(), folder.path().join("g"));
    (folder, disk)
}

fn verdict(disk: &Disk) -> Verdict {
    let trust = Trust::self_asserted(
        vec![issuer().public()],
        vec![Vkey::new(ORIGIN, log().public()).unwrap()],
    );
    verify_home(disk, &trust, &mut |_, _, _| {})
}

/// Claim and line of the first contradiction.
fn first_bad(verdict: &Verdict) -> Option<(&str, Option<u64>)> {
    verdict.first_bad.as_ref().map(|place| (place.claim.as_str(), place.line))
}

#[test]
fn an_id_used_before_is_found_at_the_call_that_uses_it_again() {
    let (_folder, disk) = home(30, |_| {});
    assert!(verdict(&disk).is_verified(), "{}", verdict(&disk).summary);
    let (_folder, disk) = home(30, |line| {
        if matches!(line.seq, 12 | 20 | 25) {
            line.id = "n3".to_owned();
        }
    });
    let verdict = verdict(&disk);
    assert_eq!(first_bad(&verdict), Some(("id_once", Some(13))));
    assert_eq!(verdict.still_provable.first().map(|says| says.contains("toy/11:")), Some(true));
}

#[test]
fn what_is_wrong_above_a_repeated_id_is_said_first() {
    let (_folder, disk) = home(30, |line| match line.seq {
        9 => line.scroll = "other".to_owned(),
        12 => line.id = "n3".to_owned(),
        _ => {}
    });
    assert_eq!(first_bad(&verdict(&disk)), Some(("sequence", Some(10))));
    let (_folder, disk) = home(30, |line| match line.seq {
        9 => line.id = "n3".to_owned(),
        12 => line.scroll = "other".to_owned(),
        _ => {}
    });
    assert_eq!(first_bad(&verdict(&disk)), Some(("id_once", Some(10))));
}

#[test]
fn a_second_look_tells_a_used_id_from_one_that_only_looks_used() {
    let (_folder, disk) = home(700, |line| {
        if line.seq == 650 {
            line.id = "n400".to_owned();
        }
    });
    let look = |repeats: bool| {
        // A filter far too small for these lines takes most new ids for used ones.
        let mut ids = Once::new(0);
        for seq in 0..700 {
            let id = if seq == 650 && repeats { "n400".to_owned() } else { format!("n{seq}") };
            assert!(!ids.insert(&id, Print::of(&id), seq));
        }
        assert!(ids.waiting() > 50, "{}", ids.waiting());
        ids.repeated(&disk, "toy").map_err(|stop| stop.detail)
    };
    assert_eq!(look(true), Ok(Some(650)));
    assert_eq!(look(false), Ok(None));
}

#[test]
fn an_actor_signs_for_the_ledger_that_the_first_line_names() {
    let did = SecretKey::from_seed([5; 32]).did().to_owned();
    let signed = |ledger, name: &str| {
        let actor = SecretKey::from_seed([5; 32]);
        let name = name.to_owned();
        let (_folder, disk) = home(6, move |line| {
            if line.seq == 4 {
                line.actor = name.clone();
                line.actor_proof = Some(ActorProof::sign(&actor, ledger, &line.id, &line.intent));
            }
        });
        verdict(&disk)
    };
    assert!(signed("L", &did).is_verified());
    assert_eq!(first_bad(&signed("M", &did)), Some(("actor_proof", Some(5))));
    assert_eq!(first_bad(&signed("L", "local:1000")), Some(("actor_proof", Some(5))));
}
