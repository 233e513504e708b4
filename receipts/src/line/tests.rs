//! Laws of the line.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::json as strict;
use crate::key::PublicKey;

pub(crate) fn key() -> SecretKey {
    SecretKey::from_seed([9; 32])
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

pub(crate) fn line() -> Line {
    let mut line = Line {
        kind: "treasury_credit".to_owned(),
        op: "treasury.credit".to_owned(),
        scroll: "treasury".to_owned(),
        seq: 7,
        id: "0193b0e0-0000-7000-8000-000000000003".to_owned(),
        part: Part { n: 1, of: 1 },
        intent: Blake3::of(b"intent"),
        issuer: key().did().to_owned(),
        actor: "local:1000".to_owned(),
        context: Context { surface: "cli".to_owned(), node: "n1".to_owned(), demo: false },
        actor_proof: None,
        authority: map(json!({"mode": "owner"})),
        at: Moment::parse("2026-10-01T09:30:03.125Z").expect("well-formed"),
        end: End::Completed,
        contract: Blake3::of(b""),
        state: Blake3::of(b""),
        root_hash: Blake3::of(b""),
        artifacts: None,
        prev: Prev { size: 5, root: [1; 32] },
        tags: vec!["demo".to_owned()],
        body: map(json!({"account": "a1", "amount_cents": 1500})),
        proof: None,
    };
    (line.contract, line.state, line.root_hash) = record_digests(&line);
    line
}

pub(crate) fn full() -> Line {
    let mut line = line();
    line.actor_proof =
        Some(ActorProof::sign(&SecretKey::from_seed([5; 32]), "L", &line.id, &line.intent));
    line.artifacts = Some(Sha256::of(b"list"));
    line.context.demo = true;
    line.body.insert("_sd".to_owned(), json!(["UQZkM7JcrihuL46DORYWQ5JLkD7SkHfBSmrvkZRXC0A"]));
    line.body.insert("note".to_owned(), json!("quote \" slash \\ line\nend 😂 \u{e000}"));
    line
}

#[test]
fn a_sealed_line_reads_back_and_verifies() {
    for line in [line(), full()] {
        let sealed = line.seal(&key()).expect("seals");
        assert_eq!(strict::check_canonical(&sealed.bytes), Ok(()));
        assert_eq!(Line::parse(&sealed.bytes).as_ref(), Ok(&sealed.line));
        assert_eq!(verify_proof(&sealed.bytes, &key().public()), Ok(()));
        let proof = sealed.line.proof.as_ref().expect("sealed");
        assert_eq!(proof.created, "2026-10-01T09:30:03Z");
        assert_eq!(sealed.line.seal(&key()).expect("seals again").bytes, sealed.bytes);
    }
}

#[test]
fn the_spliced_line_is_what_a_plain_writer_would_write() {
    let sealed = full().seal(&key()).expect("seals");
    let value = strict::parse(&sealed.bytes).expect("strict");
    assert_eq!(strict::canonical(&value).expect("in profile"), sealed.bytes);
    let verified = crate::integrity::verify_document(&map(value)).expect("a plain verifier agrees");
    assert_eq!(verified.key, key().public());
}

#[test]
fn a_signature_by_a_plain_signer_is_the_same() {
    let sealed = full().seal(&key()).expect("seals");
    let mut members = map(strict::parse(&sealed.bytes).expect("strict"));
    members.remove("proof");
    let signed = crate::integrity::sign_document(
        &members,
        "2026-10-01T09:30:03Z",
        "assertionMethod",
        &key(),
    );
    let text = strict::canonical(&Value::Object(signed.expect("signs"))).expect("in profile");
    assert_eq!(text, sealed.bytes);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let sealed = line().seal(&key()).expect("seals");
    for at in 0..sealed.bytes.len() {
        for bit in 0..8 {
            let mut bytes = sealed.bytes.clone();
            bytes[at] ^= 1 << bit;
            let noticed =
                Line::parse(&bytes).is_err() || verify_proof(&bytes, &key().public()).is_err();
            assert!(noticed, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn every_cut_and_doubled_byte_is_noticed() {
    let sealed = line().seal(&key()).expect("seals");
    for at in 0..sealed.bytes.len() {
        assert!(Line::parse(&sealed.bytes[..at]).is_err(), "cut at {at}");
        assert!(verify_proof(&sealed.bytes[..at], &key().public()).is_err(), "cut at {at}");
        let mut doubled = sealed.bytes.clone();
        doubled.insert(at, sealed.bytes[at]);
        let noticed =
            Line::parse(&doubled).is_err() || verify_proof(&doubled, &key().public()).is_err();
        assert!(noticed, "doubled at {at}");
    }
}

/// Applies a change to the parsed JSON of a sealed line and gives the code of the refusal.
fn code_after(change: impl FnOnce(&mut Map<String, Value>)) -> (&'static str, usize) {
    let sealed = full().seal(&key()).expect("seals");
    let mut members = map(strict::parse(&sealed.bytes).expect("strict"));
    change(&mut members);
    let bytes = strict::canonical(&Value::Object(members)).expect("in profile");
    let error = Line::parse(&bytes).expect_err("a changed line");
    (error.code, error.at)
}

fn code_of(pointer: &str, value: Value) -> &'static str {
    code_after(|members| {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let mut whole = Value::Object(std::mem::take(members));
        let inner = whole.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
        inner.insert(name.to_owned(), value);
        *members = map(whole);
    })
    .0
}

#[test]
fn a_missing_member_is_named() {
    for name in [
        "actor",
        "at",
        "authority",
        "body",
        "context",
        "contract",
        "end",
        "id",
        "intent",
        "issuer",
        "op",
        "part",
        "prev",
        "proof",
        "root_hash",
        "scroll",
        "seq",
        "state",
        "tags",
        "type",
        "v",
    ] {
        let sealed = line().seal(&key()).expect("seals");
        let mut members = map(strict::parse(&sealed.bytes).expect("strict"));
        members.remove(name).expect("a member of every line");
        let bytes = strict::canonical(&Value::Object(members)).expect("in profile");
        let error = Line::parse(&bytes).expect_err(name);
        assert_eq!(error.code, "line_missing_field");
        assert!(error.message.starts_with(name), "{}", error.message);
    }
}

/// Each change to a sealed line, written canonically again, is refused with its code.
fn refused_with<const N: usize>(changes: [(&str, Value, &str); N]) {
    for (pointer, value, code) in changes {
        assert_eq!(code_of(pointer, value.clone()), code, "{pointer} = {value}");
    }
}

#[test]
fn each_broken_rule_about_names_has_its_code() {
    let long = "x".repeat(65);
    refused_with([
        ("/v", json!(2), "line_version"),
        ("/v", json!("1"), "line_field_type"),
        ("/extra", json!(1), "line_unknown_field"),
        ("/@context", json!("https://www.w3.org/ns/credentials/v2"), "line_unknown_field"),
        ("/type", json!("Treasury"), "line_type"),
        ("/type", json!("a__b"), "line_type"),
        ("/type", json!("a_"), "line_type"),
        ("/type", json!("_a"), "line_type"),
        ("/type", json!("a.b"), "line_type"),
        ("/type", json!("1a"), "line_type"),
        ("/type", json!(long), "line_type"),
        ("/op", json!("treasury..credit"), "line_op"),
        ("/op", json!("treasury.Credit"), "line_op"),
        ("/op", json!(""), "line_op"),
        ("/scroll", json!("Treasury"), "line_scroll"),
        ("/scroll", json!("-a"), "line_scroll"),
        ("/scroll", json!("a".repeat(33)), "line_scroll"),
        ("/id", json!(""), "line_id"),
        ("/id", json!(".."), "line_id"),
        ("/id", json!("a/b"), "line_id"),
        ("/id", json!(long), "line_id"),
    ]);
}

#[test]
fn each_broken_rule_about_values_has_its_code() {
    let long = "x".repeat(65);
    refused_with([
        ("/seq", json!(-1), "line_field_type"),
        ("/seq", json!(4), "line_prev"),
        ("/part/n", json!(0), "line_part"),
        ("/part/n", json!(2), "line_part"),
        ("/part/of", json!(16_385), "line_part"),
        ("/part/of", json!(4_294_967_296_i64), "line_part"),
        ("/part/x", json!(1), "line_unknown_field"),
        ("/intent", json!("sha256:00"), "line_digest"),
        ("/contract", json!("BLAKE3:00"), "line_digest"),
        ("/artifacts", json!("blake3:00"), "line_digest"),
        ("/artifacts", json!(null), "line_field_type"),
        ("/issuer", json!("did:key:z6Mk"), "line_issuer"),
        ("/actor", json!("root"), "line_actor"),
        ("/actor", json!("did:"), "line_actor"),
        ("/actor", json!("local:a b"), "line_actor"),
        ("/actor_proof/sig", json!("AAAA"), "actor_proof_malformed"),
        ("/actor_proof/key", json!("did:key:z6Mk"), "actor_proof_key"),
        ("/actor_proof/more", json!(1), "line_unknown_field"),
        ("/context/demo", json!(false), "line_context"),
        ("/context/surface", json!("CLI"), "line_context"),
        ("/context/node", json!(""), "line_context"),
        ("/context/more", json!(1), "line_unknown_field"),
        ("/authority/mode", json!(1), "line_authority"),
        ("/authority/_sd", json!([]), "sd_reserved_name"),
        ("/at", json!("2026-10-01T09:30:03Z"), "line_at"),
        ("/at", json!("2026-10-01T09:30:04.125Z"), "proof_created"),
        ("/end", json!("done"), "line_end"),
        ("/end", json!("aborted"), "line_fault"),
        ("/prev/root", json!("AAAA"), "line_prev"),
        ("/prev/more", json!(1), "line_unknown_field"),
        ("/tags", json!("demo"), "line_field_type"),
        ("/tags", json!([1]), "line_field_type"),
        ("/tags", json!(["a", "a"]), "line_tags"),
        ("/tags", json!([""]), "line_tags"),
        ("/tags", json!(["a\nb"]), "line_tags"),
        ("/tags", json!([long]), "line_tags"),
        ("/tags", json!((0..33).map(|n| n.to_string()).collect::<Vec<_>>()), "line_tags"),
        ("/body", json!([]), "line_field_type"),
        ("/body/Bad Name", json!(1), "line_field_name"),
        ("/body/_sd", json!(["x"]), "sd_not_a_digest"),
        ("/body/_sd_alg", json!("sha-256"), "sd_reserved_name"),
        ("/body/...", json!("x"), "sd_reserved_name"),
    ]);
}

#[test]
fn each_broken_rule_about_the_proof_has_its_code() {
    refused_with([
        ("/proof", json!("x"), "line_field_type"),
        ("/proof/@context", json!("x"), "proof_member"),
        ("/proof/type", json!("x"), "proof_member"),
        ("/proof/cryptosuite", json!("eddsa-rdfc-2022"), "proof_member"),
        ("/proof/proofPurpose", json!("authentication"), "proof_member"),
        ("/proof/created", json!(1), "proof_member"),
        ("/proof/created", json!("2026-10-01T09:30:03.125Z"), "proof_created"),
        (
            "/proof/verificationMethod",
            json!(SecretKey::from_seed([1; 32]).did_url()),
            "proof_method",
        ),
        ("/proof/proofValue", json!("z1"), "proof_value"),
    ]);
}

#[test]
fn an_error_points_at_the_member_it_is_about() {
    let sealed = full().seal(&key()).expect("seals");
    let (code, at) = code_after(|members| {
        members.insert("scroll".to_owned(), json!("Treasury"));
    });
    assert_eq!(code, "line_scroll");
    assert!(sealed.bytes[at..].starts_with(b"\"scroll\":"));
    let error = Line::parse(b"{\"a\":1.5}").expect_err("a float");
    assert_eq!((error.code, error.at), ("json_float", 5));
    assert_eq!(error.to_string(), "a number with a fraction or an exponent (byte 5)");
}

#[test]
fn sealing_refuses_what_reading_refuses() {
    let refused = |change: &dyn Fn(&mut Line)| {
        let mut line = line();
        change(&mut line);
        line.seal(&key()).map(|sealed| sealed.bytes).expect_err("refused").code
    };
    assert_eq!(refused(&|line| line.kind = "A".to_owned()), "line_type");
    assert_eq!(refused(&|line| line.seq = 1 << 53), "line_seq");
    assert_eq!(refused(&|line| line.prev.size = 8), "line_prev");
    assert_eq!(refused(&|line| line.end = End::Aborted), "line_fault");
    assert_eq!(refused(&|line| line.authority = Map::new()), "line_authority");
    assert_eq!(refused(&|line| drop(line.body.insert("f".to_owned(), json!(0.5)))), "json_float");
    assert_eq!(
        refused(&|line| drop(line.body.insert("n".to_owned(), json!(1_i64 << 53)))),
        "json_integer_range"
    );
    assert_eq!(
        refused(&|line| drop(line.body.insert("_sd".to_owned(), json!([])))),
        "sd_not_an_array"
    );
    let deep = (0..31).fold(json!(0), |inner, _| json!([inner]));
    assert_eq!(
        refused(&|line| drop(line.body.insert("d".to_owned(), deep.clone()))),
        "json_too_deep"
    );
    let other = SecretKey::from_seed([1; 32]);
    assert_eq!(line().seal(&other).expect_err("another key").code, "line_issuer");
}

#[test]
fn a_prepared_line_seals_to_the_same_bytes() {
    for line in [line(), full()] {
        let sealed = line.seal(&key()).expect("seals");
        let prepared = line.clone().prepare().expect("it keeps the rules");
        assert_eq!(prepared.line(), &line);
        assert!(sealed.bytes.len() <= prepared.bytes_max());
        assert_eq!(prepared.seal(&key()), Ok(sealed.clone()));
        // Of a line that was sealed before, the old proof is not part of what is signed.
        assert_eq!(sealed.line.clone().prepare().expect("again").seal(&key()), Ok(sealed));
    }
    let other = SecretKey::from_seed([1; 32]);
    let refused = line().prepare().expect("it keeps the rules").seal(&other);
    assert_eq!(refused.map_err(|error| error.code), Err("line_issuer"));
    let mut long = line();
    long.body.insert("text".to_owned(), json!("x".repeat(LINE_MAX)));
    assert_eq!(long.prepare().map_err(|error| error.code).err(), Some("line_too_long"));
}

#[test]
fn an_aborted_line_stands_alone_and_says_why() {
    let mut aborted = line();
    aborted.end = End::Aborted;
    aborted.body.insert("fault".to_owned(), json!({"code": "port_failed"}));
    assert!(aborted.seal(&key()).is_ok());
    aborted.part = Part { n: 1, of: 2 };
    assert_eq!(aborted.seal(&key()).expect_err("two lines").code, "line_part");
}

#[test]
fn a_line_of_65535_bytes_is_the_longest() {
    let padded = |length: usize| {
        let mut line = line();
        line.body.insert("text".to_owned(), json!("x".repeat(length)));
        line.seal(&key())
    };
    // The signature's base58 text varies by a digit or two, so the edge is found and not computed.
    let base = padded(0).expect("short").bytes.len();
    let mut longest = 0;
    for length in LINE_MAX - base - 4..LINE_MAX - base + 5 {
        match padded(length) {
            Ok(sealed) => {
                assert!(sealed.bytes.len() <= LINE_MAX);
                assert!(Line::parse(&sealed.bytes).is_ok());
                longest = longest.max(sealed.bytes.len());
            }
            Err(error) => assert_eq!(error.code, "line_too_long"),
        }
    }
    assert!(longest > LINE_MAX - 4, "{longest}");
    assert_eq!(padded(LINE_MAX).expect_err("too long").code, "line_too_long");
    assert_eq!(Line::parse(&vec![b' '; LINE_MAX + 1]).expect_err("too long").code, "line_too_long");
}

#[test]
fn a_seal_holds_for_the_issuers_key_and_method_only() {
    let sealed = line().seal(&key()).expect("seals");
    let other = SecretKey::from_seed([1; 32]).public();
    assert_eq!(verify_proof(&sealed.bytes, &other).expect_err("another key").code, "proof_issuer");
    let verdict = |pointer: &str, value: Value| {
        let mut whole = strict::parse(&sealed.bytes).expect("strict");
        *whole.pointer_mut(pointer).expect(pointer) = value;
        let bytes = strict::canonical(&whole).expect("in profile");
        verify_proof(&bytes, &key().public()).expect_err(pointer).code
    };
    let foreign = SecretKey::from_seed([1; 32]);
    assert_eq!(verdict("/proof/verificationMethod", json!(foreign.did_url())), "proof_method");
    assert_eq!(verdict("/proof/created", json!("2026-10-01T09:30:04Z")), "proof_created");
    assert_eq!(verdict("/proof/proofValue", json!("z1")), "proof_value");
    assert_eq!(verdict("/proof", json!(null)), "line_field_type");
    assert_eq!(verdict("/at", json!(0)), "line_at");
    assert_eq!(verdict("/body/amount_cents", json!(1501)), "bad_signature");
    assert_eq!(verdict("/seq", json!(8)), "bad_signature");
}

#[test]
fn verification_is_total_on_odd_objects() {
    let key: PublicKey = key().public();
    for text in [
        "",
        "{}",
        "[]",
        "{\"proof\":{}}",
        "{\"proof\":1,\"z\":2}",
        "{\"at\":1,\"issuer\":2,\"proof\":3}",
        "null",
    ] {
        assert!(verify_proof(text.as_bytes(), &key).is_err(), "{text}");
        assert!(Line::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn record_documents_are_the_same_for_all_lines_of_a_call() {
    let mut first = line();
    first.part = Part { n: 1, of: 2 };
    let mut second = first.clone();
    second.part.n = 2;
    second.seq += 1;
    second.kind = "treasury_debit".to_owned();
    second.body = map(json!({"account": "a2"}));
    assert_eq!(record_digests(&first), record_digests(&second));
    assert_ne!(
        record_digests(&first),
        record_digests(&line()),
        "the number of receipts is in state.json"
    );
    let (contract, state) = record_documents(&first);
    for document in [&contract, &state] {
        assert_eq!(strict::check_canonical(document), Ok(()));
    }
    let state = strict::parse(&state).expect("strict");
    assert_eq!(state["receipts"], json!(2));
    assert_eq!(state["status"], json!("completed"));
    let contract = strict::parse(&contract).expect("strict");
    assert_eq!(contract["planned_at"], json!("2026-10-01T09:30:03.125Z"));
    assert_eq!(contract["stages"], json!([]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_body_in_the_profile_seals_and_reads_back(value in crate::json::tests::values()) {
        let mut line = line();
        line.body.insert("value".to_owned(), value);
        let sealed = line.seal(&key()).expect("seals");
        prop_assert_eq!(Line::parse(&sealed.bytes), Ok(sealed.line.clone()));
        prop_assert_eq!(verify_proof(&sealed.bytes, &key().public()), Ok(()));
    }

    #[test]
    fn no_bytes_make_the_line_reader_panic(
        place in any::<prop::sample::Index>(),
        patch in proptest::collection::vec(any::<u8>(), 0..8),
        cut in 0_usize..8,
    ) {
        let mut bytes = full().seal(&key()).expect("seals").bytes;
        let at = place.index(bytes.len());
        let end = (at + cut).min(bytes.len());
        let unchanged = bytes[at..end] == patch[..];
        bytes.splice(at..end, patch);
        let noticed = Line::parse(&bytes).is_err() || verify_proof(&bytes, &key().public()).is_err();
        prop_assert!(noticed || unchanged);
    }
}

#[test]
fn an_aborted_run_may_have_a_case() {
    let mut line = full();
    line.end = End::Aborted;
    line.body.insert("fault".to_owned(), json!({"code": "port_failed"}));
    let sealed = line.seal(&key()).expect("it keeps the rules");
    assert_eq!(Line::parse(&sealed.bytes).as_ref(), Ok(&sealed.line));
    assert!(sealed.line.artifacts.is_some());
    line.artifacts = None;
    assert!(line.seal(&key()).is_ok(), "a record that failed has none");
}
