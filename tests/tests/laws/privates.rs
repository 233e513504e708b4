//! A private value stands nowhere but behind its opening: not in plain, not as a digest that a guess could be tested
//! against; and nothing depends on the openings but what needs the values.

use crate::bench::{Bench, engines, folded};
use crate::stories;
use std::sync::Arc;
use vm_contracts::{AnyEngine, Call, Field, Kind, Map, OwnerGate, Value};
use vm_ledger::openings::Openings;
use vm_receipts::digest::{Blake3, Sha256};
use vm_receipts::json;
use vm_receipts::private::{self, Disclosure};
use vm_scrolls::base64;
use vm_tests::memfs::MemoryFs;
use vm_tests::world::{self, SeededEntropy};

const SENTINEL: &str = "Xk4-private-q8Lw2";

/// A private value that was given: the name of its field, and its text.
type Given = (&'static str, String);

fn plant(fields: &'static [Field], intent: &mut Map<String, Value>, given: &mut Vec<Given>) {
    for field in fields.iter().filter(|f| f.is_input() && !f.secret) {
        let marked = |text: &str, given: &mut Vec<Given>| {
            given.push((field.name, format!("{text} {SENTINEL}-{}", given.len())));
            Value::from(given[given.len() - 1].1.clone())
        };
        let texts = matches!(field.kind, Kind::Text(_) | Kind::TextList(..));
        match (intent.get_mut(field.name), field.kind) {
            (Some(Value::String(text)), _) if field.private && texts => {
                let value = marked(text, given);
                intent.insert(field.name.into(), value);
            }
            (Some(Value::Array(items)), _) if field.private_items && texts => {
                for item in items.iter_mut() {
                    *item = marked(item.as_str().unwrap_or_default(), given);
                }
            }
            (Some(Value::Array(items)), Kind::List(_, inner)) => {
                items
                    .iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|item| plant(inner, item, given));
            }
            _ => {}
        }
    }
}

/// The story of an engine with a mark in every private text.
fn planted(engine: &dyn AnyEngine, given: &mut Vec<Given>) -> Vec<Call> {
    let mut calls = stories::calls(engine);
    for call in &mut calls {
        let spec = engine.operation(&call.verb).expect("a declared operation");
        plant(spec.fields, &mut call.intent, given);
    }
    calls
}

fn whisperers() -> (Bench, Vec<Given>) {
    let (bench, mut given) = (Bench::new(), Vec::new());
    for engine in engines() {
        for call in planted(*engine, &mut given) {
            let shown = format!("{} {}", call.engine, call.verb);
            bench.submit(call).unwrap_or_else(|e| panic!("{shown}: {e}"));
        }
    }
    bench.ledger.flush().expect("memory takes every write");
    (bench, given)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The mark in plain, in hex, and in base64 at each of its three places.
fn plain() -> Vec<Vec<u8>> {
    let mut all = vec![SENTINEL.as_bytes().to_vec(), hex(SENTINEL.as_bytes()).into_bytes()];
    for shift in 0..3 {
        let coded = base64::encode([&b"xxx"[..shift], SENTINEL.as_bytes()].concat());
        let stem = coded.trim_end_matches('=');
        all.push(stem.as_bytes()[4..stem.len() - 4].to_vec());
        all.push(stem[4..stem.len() - 4].replace('+', "-").replace('/', "_").into_bytes());
    }
    all
}

/// Everything unsalted that a careless program could have hashed, in every spelling of a digest.
fn guesses((name, value): &Given) -> Vec<Vec<u8>> {
    let (name, value) = (Value::from(*name), Value::from(value.as_str()));
    let named = Value::Object(Map::from_iter([(
        name.as_str().unwrap_or_default().to_owned(),
        value.clone(),
    )]));
    let documents = [named, Value::from(vec![name, value.clone()]), value.clone()];
    let mut texts: Vec<Vec<u8>> =
        documents.iter().map(|d| json::canonical(d).expect("plain data")).collect();
    texts.push(value.as_str().unwrap_or_default().as_bytes().to_vec());
    let mut all = Vec::new();
    for text in &texts {
        for line_end in [&b""[..], b"\n"] {
            let bytes = [text, line_end].concat();
            let once = [Sha256::of(&bytes).0, Blake3::of(&bytes).0];
            // What a disclosure without a salt would give.
            let coded = base64::encode(&bytes).replace('+', "-").replace('/', "_");
            let bare = Sha256::of(coded.trim_end_matches('=').as_bytes()).0;
            for digest in once.into_iter().chain([bare]) {
                let coded = base64::encode(digest);
                let stem = coded.trim_end_matches('=').to_owned();
                all.extend([digest.to_vec(), hex(&digest).into_bytes(), stem.clone().into_bytes()]);
                all.push(stem.replace('+', "-").replace('/', "_").into_bytes());
            }
        }
    }
    all
}

fn holds(bytes: &[u8], trace: &[u8]) -> bool {
    bytes.windows(trace.len()).any(|window| window == trace)
}

#[test]
fn a_private_value_stands_nowhere_in_plain_or_as_a_digest_without_salt() {
    let (bench, given) = whisperers();
    assert!(given.len() > 8, "only {given:?} are private, so this law checks little");
    let mut traces = plain();
    traces.extend(given.iter().flat_map(guesses));
    traces.sort();
    traces.dedup();
    for (path, bytes) in bench.fs.files() {
        // The reserve is zeros.
        if path == vm_ledger::writer::RESERVE {
            continue;
        }
        for trace in &traces {
            assert!(
                !holds(&bytes, trace) && !holds(path.as_bytes(), trace),
                "{path} holds {}",
                trace.escape_ascii()
            );
        }
    }
    for (scroll, state) in vm_ledger::dump(&mut bench.ledger.writer()).unwrap() {
        let text = state.to_string();
        assert!(
            !traces.iter().any(|t| holds(text.as_bytes(), t)),
            "the state of {scroll} shows it"
        );
    }
}

/// The law itself must be able to fail.
#[test]
fn the_search_for_private_values_finds_what_it_looks_for() {
    let given: Given = ("text", format!("hush {SENTINEL}-0"));
    let traces: Vec<Vec<u8>> = plain().into_iter().chain(guesses(&given)).collect();
    let found = |bytes: &[u8]| traces.iter().any(|t| holds(bytes, t));
    for shift in 0..3 {
        let text = format!("{}{}", "y".repeat(shift), given.1);
        assert!(found(text.as_bytes()));
        assert!(found(base64::encode(text.as_bytes()).as_bytes()));
    }
    assert!(found(Blake3::of(given.1.as_bytes()).to_string().as_bytes()));
    assert!(found(&Sha256::of(format!("\"{}\"", given.1).as_bytes()).0));
    assert!(!found(b"nothing of it"));
}

/// What the openings of one call hold.
fn openings(bench: &Bench, scroll: &str, first: u64) -> Vec<Disclosure> {
    let entropy = Arc::new(SeededEntropy::new(1));
    let mut openings = Openings::new(bench.fs.clone(), entropy, &world::settings().ledger);
    let found = openings.of(scroll, first).expect("the openings read");
    found.iter().map(|o| Disclosure::parse(&o.disclosure).expect("a disclosure")).collect()
}

#[test]
fn every_private_value_opens_and_one_opening_serves_intent_contract_and_body() {
    let (bench, given) = whisperers();
    let mut heard: Vec<String> = Vec::new();
    for engine in engines() {
        for line in bench.lines(*engine).iter().filter(|l| l.part.n == 1) {
            let found = openings(&bench, engine.scroll(), line.seq);
            heard.extend(found.iter().filter_map(|d| d.value().as_str()).map(str::to_owned));
            let opened = |document: &Map<String, Value>| {
                let digests = private::digests(document);
                let fits = |d: &&Disclosure| digests.iter().any(|digest| digest == d.digest());
                let fitting: Vec<Disclosure> = found.iter().filter(fits).cloned().collect();
                private::reveal(document, &fitting)
                    .unwrap_or_else(|e| panic!("{}: {e}", line.op))
                    .document
            };
            let body = opened(&line.body);
            let case = vm_ledger::run::case_dir(engine.scroll(), &line.id);
            let Some(bytes) = bench.fs.files().get(&format!("{case}/contract.json")).cloned()
            else {
                continue;
            };
            let contract: Value = serde_json::from_slice(&bytes).expect("JSON");
            let public = contract["intent"].as_object().expect("an intent");
            let intent = opened(public);
            let spec = engine.operation(&line.op[engine.name().len() + 1..].replace('_', "-"));
            for field in spec
                .expect("declared")
                .fields
                .iter()
                .filter(|f| f.hides() && f.is_input() && !f.steering)
            {
                assert_eq!(
                    intent.get(field.name),
                    body.get(field.name),
                    "{}: {}",
                    line.op,
                    field.name
                );
            }
            let of_intent = private::digests(public);
            let of_body = private::digests(&line.body);
            let inside = |a: &[String], b: &[String]| a.iter().all(|d| b.contains(d));
            let shared = inside(&of_body, &of_intent) || inside(&of_intent, &of_body);
            assert!(shared, "{}: other digests", line.op);
        }
    }
    for (name, value) in given {
        assert!(heard.contains(&value), "{name}: {value} does not open");
    }
}

#[test]
fn all_lines_of_a_call_carry_the_same_digests() {
    let (bench, _) = whisperers();
    let lines = bench.lines(engines()[0]);
    let whispered: Vec<_> = lines.iter().filter(|l| l.kind == "toy_whispered").collect();
    assert_eq!(whispered.len(), 2);
    assert_eq!(whispered[0].body, whispered[1].body);
    assert_eq!(whispered[0].intent, whispered[1].intent);
}

/// The home without its openings and without the key to them.
fn erased(bench: &Bench) -> Bench {
    let mut files = bench.fs.files();
    files.retain(|path, _| {
        !path.starts_with("openings/") && path != vm_ledger::openings::OPENINGS_KEY
    });
    Bench::over(Arc::new(MemoryFs::with(files)), Arc::new(OwnerGate))
}

#[test]
fn the_state_is_the_same_without_the_openings() {
    let (bench, _) = whisperers();
    let without = erased(&bench);
    let dumped = |bench: &Bench| vm_ledger::dump(&mut bench.ledger.writer()).unwrap();
    assert_eq!(dumped(&bench), dumped(&without));
    for engine in engines() {
        let own = folded(*engine, &without.lines(*engine)).dump();
        assert_eq!(dumped(&bench).get(engine.scroll()), Some(&own));
    }
}

#[test]
fn the_same_private_values_are_the_same_request_and_others_are_not() {
    let (bench, _) = whisperers();
    for engine in engines() {
        for told in planted(*engine, &mut Vec::new()) {
            let shown = format!("{} {}", told.engine, told.verb);
            // Marks are numbered through all engines, so only the first engine's are those that were given.
            if engine.name() != "toy" {
                continue;
            }
            assert!(bench.submit(told.clone()).unwrap_or_else(|e| panic!("{shown}: {e}")).existing);
            let spec = engine.operation(&told.verb).expect("a declared operation");
            for field in
                spec.fields.iter().filter(|f| f.private && told.intent.contains_key(f.name))
            {
                let mut other = told.clone();
                other.intent.insert(field.name.to_owned(), "another".into());
                let refused = bench.submit(other).expect_err(&shown);
                assert_eq!(refused.code(), "id_used_for_other_intent", "{shown}: {}", field.name);
                if field.presence == vm_contracts::Presence::Optional {
                    let mut without = told.clone();
                    without.intent.remove(field.name);
                    let refused = bench.submit(without).expect_err(&shown);
                    assert_eq!(
                        refused.code(),
                        "id_used_for_other_intent",
                        "{shown}: no {}",
                        field.name
                    );
                }
            }
        }
    }
}

#[test]
fn a_retry_without_the_openings_is_refused_as_such() {
    let (bench, _) = whisperers();
    // The key stays, as it does where a page is lost or erased.
    let mut files = bench.fs.files();
    files.retain(|path, _| !path.ends_with(".page"));
    let without = Bench::over(Arc::new(MemoryFs::with(files)), Arc::new(OwnerGate));
    let mut compared = 0;
    for told in planted(engines()[0], &mut Vec::new()) {
        let spec = engines()[0].operation(&told.verb).expect("a declared operation");
        let shown = told.verb.clone();
        let answer = without.submit(told);
        match spec.hides_anything() {
            true => {
                assert_eq!(answer.expect_err(&shown).code(), "openings_missing", "{shown}");
                compared += 1;
            }
            false => assert!(answer.expect(&shown).existing),
        }
    }
    assert!(compared >= 3);
}
