//! The fast reader held against the explaining one: on any bytes both take the same lines and see the same in them.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::json as strict;
use crate::line::proof::verify_members;
use crate::line::tests::{full, key, line};
use crate::line::{Issuer, Stored, read};

/// Both readers on the same bytes; the line, where there is one.
fn both(bytes: &[u8]) -> Option<Line> {
    let (fast, slow) = (parse(bytes), read::parse(bytes));
    let fast = fast.map(|(line, seal)| {
        let stored = Stored::read(bytes).expect("it was just read");
        let (by_shape, by_member) =
            (stored.verify(&issuer()), verify_members(bytes, &key().public()));
        assert_eq!(by_shape, by_member, "{}", String::from_utf8_lossy(bytes));
        assert!(bytes[seal.member].starts_with(b",\"proof\":{"));
        line
    });
    let slow = slow.ok();
    assert_eq!(fast, slow, "{}", String::from_utf8_lossy(bytes));
    fast
}

fn issuer() -> Issuer {
    Issuer::new(key().public())
}

fn sealed() -> [Vec<u8>; 2] {
    [line(), full()].map(|line| line.seal(&key()).expect("seals").bytes)
}

#[test]
fn a_well_formed_line_takes_the_fast_way() {
    let mut aborted = line();
    aborted.end = End::Aborted;
    aborted.tags = Vec::new();
    aborted.actor = "did:web:quote\"slash\\".to_owned();
    aborted.context.node = "n\"1\\".to_owned();
    aborted.body.insert("fault".to_owned(), json!({"code": "port_failed"}));
    for line in [line(), full(), aborted] {
        let bytes = line.seal(&key()).expect("seals").bytes;
        assert!(both(&bytes).is_some());
        assert_eq!(Stored::read(&bytes).expect("reads").verify(&issuer()), Ok(()));
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_judged_alike() {
    for bytes in sealed() {
        for at in 0..bytes.len() {
            both(&bytes[..at]);
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                both(&flipped);
            }
        }
    }
}

#[test]
fn a_seal_by_another_key_is_named_as_before() {
    let bytes = line().seal(&key()).expect("seals").bytes;
    let other = crate::SecretKey::from_seed([1; 32]).public();
    let says = Stored::read(&bytes).expect("reads").verify(&Issuer::new(other));
    assert_eq!(says, verify_members(&bytes, &other));
    assert_eq!(says.map_err(|error| error.code), Err("proof_issuer"));
}

/// Values that stand near what a member may be.
fn odd_values() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just(String::new()),
        Just("z6MkmZUquiSuhLxbfKuxs2Nobpsq8BPyFTLxgUm3xLdEjBV1".to_owned()),
        Just("did:key:z6MkmZUquiSuhLxbfKuxs2Nobpsq8BPyFTLxgUm3xLdEjBV1".to_owned()),
        Just("2026-10-01T09:30:03.125Z".to_owned()),
        Just("2026-10-01T09:30:03Z".to_owned()),
        Just("2026-02-30T24:61:61.125Z".to_owned()),
        "blake3:[0-9a-f]{63,65}",
        "sha256:[0-9A-Fa-f]{64}",
        "[A-Za-z0-9+/]{42,43}[=]{0,2}",
        "[a-z][a-z0-9_.-]{0,8}",
        "z[1-9A-HJ-NP-Za-km-z]{85,88}",
        "\\PC{0,6}",
    ];
    prop_oneof![
        text.prop_map(Value::from),
        (-2_i64..20_000).prop_map(Value::from),
        Just(json!(strict::INTEGER_MAX)),
        Just(json!(u64::from(u32::MAX) + 1)),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        crate::json::tests::values(),
        Just(json!({"_sd": ["x"]})),
        Just(json!([{"...": "UQZkM7JcrihuL46DORYWQ5JLkD7SkHfBSmrvkZRXC0A"}])),
    ]
}

/// All objects below a value, the value itself first.
fn objects(value: &mut Value, path: &str, found: &mut Vec<String>) {
    if let Value::Object(map) = value {
        found.push(path.to_owned());
        for (name, inner) in map {
            let name = name.replace('~', "~0").replace('/', "~1");
            objects(inner, &format!("{path}/{name}"), found);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn lines_with_changed_members_are_judged_alike(
        which in 0_usize..2,
        changes in proptest::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_u8..4, odd_values()),
            1..3,
        ),
        name in "[a-z_]{1,8}|proof|prev|artifacts|actor_proof|demo",
    ) {
        let bytes = sealed()[which].clone();
        let mut whole = strict::parse(&bytes).expect("strict");
        for (object, member, action, value) in changes {
            let mut paths = Vec::new();
            objects(&mut whole, "", &mut paths);
            let path = object.get(&paths);
            let map: &mut Map<String, Value> =
                whole.pointer_mut(path).and_then(Value::as_object_mut).expect("an object");
            let names: Vec<String> = map.keys().cloned().collect();
            match (action, names.is_empty()) {
                (0, false) => drop(map.remove(member.get(&names))),
                (1, _) => drop(map.insert(name.clone(), value)),
                (_, false) => drop(map.insert(member.get(&names).clone(), value)),
                _ => {}
            }
        }
        both(&strict::canonical(&whole).expect("in profile"));
    }

    #[test]
    fn lines_with_changed_bytes_are_judged_alike(
        which in 0_usize..2,
        place in any::<prop::sample::Index>(),
        cut in 0_usize..6,
        patch in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..6),
            "[\\\\\"{}\\[\\],:ntu0-9a-f \u{e9}\u{e000}\u{1f602}]{0,6}".prop_map(String::into_bytes),
        ],
    ) {
        let mut bytes = sealed()[which].clone();
        let at = place.index(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, patch);
        both(&bytes);
    }

    #[test]
    fn any_line_in_the_profile_takes_the_fast_way(
        value in crate::json::tests::values(),
        tag in "[^\\p{C}]{1,12}",
        actor in "local:[!-~]{1,20}",
        node in "[!-~]{1,20}",
        unix_ms in -62_167_219_200_000_i64..253_402_300_799_999,
        seq in 5_u64..9_007_199_254_740_991,
    ) {
        let mut line = line();
        line.body.insert("value".to_owned(), value);
        (line.tags, line.actor, line.context.node, line.seq) = (vec![tag], actor, node, seq);
        line.at = Moment::from_unix_ms(unix_ms).expect("in range");
        let sealed = line.seal(&key()).expect("seals");
        prop_assert_eq!(both(&sealed.bytes), Some(sealed.line));
    }
}
