//! A secret is found nowhere: not in a file, not in a state, not in an answer or an error, not as a digest without salt.

use crate::bench::{Bench, engines};
use crate::stories;
use vm_contracts::{Call, Value};
use vm_receipts::digest::{Blake3, Sha256};
use vm_scrolls::base64;
use vm_tests::toy::TOY;

const SENTINEL: &str = "Zq7-sentinel-x3Wv9";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Everything that would show the sentinel: itself, and digests of what a careless program would hash.
fn traces() -> Vec<Vec<u8>> {
    let texts = [
        SENTINEL.to_owned(),
        format!("{SENTINEL}\n"),
        format!("{SENTINEL}\0"),
        format!("\"{SENTINEL}\""),
    ];
    let mut found: Vec<Vec<u8>> = Vec::new();
    for text in &texts {
        let raw = text.as_bytes().to_vec();
        let digests = [Sha256::of(&raw).0.to_vec(), Blake3::of(&raw).0.to_vec()];
        let double = digests.each_ref().map(|d| Sha256::of(d).0.to_vec());
        for bytes in [raw].into_iter().chain(digests).chain(double) {
            let coded = base64::encode(&bytes);
            let url = coded.replace('+', "-").replace('/', "_");
            // Without the last characters, which depend on what follows in a longer text.
            let stem = |text: &str| text.as_bytes()[..text.len() - 4].to_vec();
            found.extend([hex(&bytes).into_bytes(), hex(&bytes).to_uppercase().into_bytes()]);
            found.extend([stem(&coded), stem(&url), bytes]);
        }
    }
    found.sort();
    found.dedup();
    found
}

fn search(traces: &[Vec<u8>], bytes: &[u8], place: &str) {
    for trace in traces {
        let there = bytes.windows(trace.len()).any(|window| window == trace);
        assert!(!there, "{place} holds {}", trace.escape_ascii());
    }
}

/// The story with every secret replaced; how many there were.
fn with_sentinel(mut calls: Vec<Call>, engine: &dyn vm_contracts::AnyEngine) -> (Vec<Call>, usize) {
    let mut planted = 0;
    for call in &mut calls {
        let spec = engine.operation(&call.verb).expect("a declared operation");
        for field in spec.fields.iter().filter(|f| f.secret && f.is_input()) {
            call.intent.insert(field.name.to_owned(), Value::from(SENTINEL));
            planted += 1;
        }
    }
    (calls, planted)
}

#[test]
fn a_secret_is_found_nowhere_in_the_home() {
    let traces = traces();
    let bench = Bench::new();
    let mut planted = 0;
    for engine in engines() {
        let (calls, count) = with_sentinel(stories::calls(*engine), *engine);
        planted += count;
        for call in calls {
            let shown = format!("{} {}", call.engine, call.verb);
            let answer = bench.submit(call).unwrap_or_else(|e| panic!("{shown}: {e}"));
            search(&traces, format!("{answer:?}").as_bytes(), &shown);
        }
    }
    bench.ledger.flush().expect("memory takes every write");
    assert!(planted > 0, "no operation takes a secret, so this law checks nothing");
    for (path, bytes) in bench.fs.files() {
        search(&traces, path.as_bytes(), "a path");
        search(&traces, &bytes, &path);
    }
    for (scroll, state) in vm_ledger::dump(&mut bench.ledger.writer()).unwrap() {
        search(&traces, state.to_string().as_bytes(), &format!("the state of {scroll}"));
    }
}

/// Stronger than any search: if nothing is derived from a secret, another secret leaves the very same bytes.
#[test]
fn homes_that_differ_only_in_secrets_are_equal_byte_for_byte() {
    let home = |secret: Option<&str>| {
        let bench = Bench::new();
        for engine in engines() {
            for mut call in stories::calls(*engine) {
                let spec = engine.operation(&call.verb).expect("a declared operation");
                for field in spec.fields.iter().filter(|f| f.secret && f.is_input()) {
                    if let Some(given) = call.intent.get_mut(field.name) {
                        *given = secret.map_or(given.clone(), Value::from);
                    }
                }
                bench.submit(call).expect("stories are accepted");
            }
        }
        bench.ledger.flush().expect("memory takes every write");
        bench.fs.files()
    };
    let (one, other) = (home(None), home(Some(SENTINEL)));
    for (path, bytes) in &one {
        assert!(other.get(path) == Some(bytes), "{path} depends on a secret");
    }
    assert_eq!(one.len(), other.len());
}

#[test]
fn a_secret_is_not_in_an_error() {
    let traces = traces();
    let bench = Bench::told();
    for engine in engines() {
        let (calls, _) = with_sentinel(stories::calls(*engine), *engine);
        for mut call in calls {
            let spec = engine.operation(&call.verb).expect("a declared operation");
            let secrets: Vec<&str> =
                spec.fields.iter().filter(|f| f.secret).map(|f| f.name).collect();
            for name in secrets {
                let long = format!("{SENTINEL}{}", "x".repeat(70_000));
                for value in [
                    Value::from(long),
                    Value::from(vec![SENTINEL]),
                    Value::from(format!("{SENTINEL}\n")),
                ] {
                    call.intent.insert(name.to_owned(), value);
                    call.id = Some("secret-error".into());
                    let failure = bench.submit(call.clone()).expect_err("no such value is taken");
                    search(&traces, format!("{failure:?} {failure}").as_bytes(), &call.verb);
                }
            }
        }
    }
}

/// The law itself must be able to fail.
#[test]
fn the_search_finds_what_it_looks_for() {
    let traces = traces();
    let hidden =
        |bytes: &[u8]| std::panic::catch_unwind(|| search(&traces, bytes, "here")).is_err();
    assert!(hidden(format!("a {SENTINEL} b").as_bytes()));
    assert!(hidden(Blake3::of(SENTINEL.as_bytes()).to_string().as_bytes()));
    assert!(hidden(&Sha256::of(SENTINEL.as_bytes()).0));
    assert!(hidden(base64::encode(Sha256::of(SENTINEL.as_bytes()).0).as_bytes()));
    assert!(!hidden(b"nothing of it"));
    let bench = Bench::new();
    let kept = crate::bench::call(
        &TOY,
        "note",
        "kept",
        serde_json::json!({"text": SENTINEL}).as_object().unwrap().clone(),
    );
    bench.submit(kept).expect("a public text is kept");
    let all: Vec<u8> = bench.fs.files().into_values().flatten().collect();
    assert!(hidden(&all));
}
