//! Foreign test suites, read from the folder in `VM_SHARED`. Where they are missing the tests say so and pass, unless
//! `VM_SHARED_REQUIRED=1`.

use std::path::PathBuf;

use serde_json::{Map, Value};
use vm_receipts::integrity::{sign_document, verify_document};
use vm_receipts::json::{canonical, canonical_general, check_canonical, parse};
use vm_receipts::private::{Disclosure, RevealError, disclosure_digest, reveal};
use vm_receipts::{PublicKey, SecretKey};

/// The folder of one suite; `None` (said aloud) when it is not there.
fn suite(path: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let shared = std::env::var_os("VM_SHARED").map_or(PathBuf::from(beside), PathBuf::from);
    let folder = shared.join("vectors").join(path);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = std::env::var("VM_SHARED_REQUIRED").is_ok_and(|value| value == "1");
    assert!(!required, "missing: {path}");
    write_past_capture(format_args!("skipped: {path}\n"));
    None
}

fn text(folder: &std::path::Path, name: &str) -> String {
    let path = folder.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(folder: &std::path::Path, name: &str) -> Value {
    serde_json::from_str(&text(folder, name)).expect("JSON")
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "{hex}");
    let nibble = |digit: u8| char::from(digit).to_digit(16).expect("a hex digit") as u8;
    digits.chunks(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

#[test]
fn rfc_8785_files_come_out_byte_for_byte() {
    let Some(folder) = suite("canon/rfc8785/testdata") else { return };
    let mut in_profile = 0;
    for name in ["arrays", "french", "structures", "unicode", "values", "weird"] {
        let input = text(&folder.join("input"), &format!("{name}.json"));
        let expected = bytes(&text(&folder.join("outhex"), &format!("{name}.txt")));
        let output = text(&folder.join("output"), &format!("{name}.json"));
        assert_eq!(output.trim_end().as_bytes(), expected, "{name}");
        let value: Value = serde_json::from_str(&input).expect("JSON");
        assert_eq!(canonical_general(&value).expect("JCS"), expected, "{name}");
        // Documents with floats lie outside the profile; the others go through our own reader and writer too.
        if let Ok(value) = parse(input.as_bytes()) {
            assert_eq!(canonical(&value).expect("in profile"), expected, "{name}");
            assert_eq!(check_canonical(&expected), Ok(()), "{name}");
            in_profile += 1;
        }
    }
    assert_eq!(in_profile, 4, "structures.json and values.json hold floats");
}

#[test]
fn ten_thousand_es6_numbers_are_written_as_rfc_8785_says() {
    let Some(folder) = suite("canon/rfc8785") else { return };
    let mut count = 0;
    for line in text(&folder, "es6testfile10k.txt").lines() {
        let (bits, expected) = line.split_once(',').expect("bits,text");
        let number = f64::from_bits(u64::from_str_radix(bits, 16).expect("hex"));
        let written = canonical_general(&Value::from(number)).expect("finite");
        assert_eq!(String::from_utf8_lossy(&written), expected, "{bits}");
        count += 1;
    }
    assert_eq!(count, 10_000);
}

#[test]
fn wycheproof_ed25519_verdicts_are_met() {
    let Some(folder) = suite("canon/wycheproof") else { return };
    let suite = json(&folder, "ed25519_test.json");
    let mut count = 0;
    for group in suite["testGroups"].as_array().expect("groups") {
        let raw = bytes(group["publicKey"]["pk"].as_str().expect("pk"));
        let key = PublicKey::from_bytes(raw.try_into().expect("32 bytes"));
        for case in group["tests"].as_array().expect("tests") {
            let message = bytes(case["msg"].as_str().expect("msg"));
            let signature = bytes(case["sig"].as_str().expect("sig"));
            let accepted = match (&key, <[u8; 64]>::try_from(signature)) {
                (Ok(key), Ok(signature)) => key.verify(&message, &signature).is_ok(),
                _ => false,
            };
            assert_eq!(accepted, case["result"] == "valid", "tcId {}", case["tcId"]);
            count += 1;
        }
    }
    assert_eq!(count, suite["numberOfTests"].as_u64().expect("numberOfTests"));
}

#[test]
fn speccheck_accepts_case_3_and_no_other() {
    let Some(folder) = suite("canon/ed25519-speccheck") else { return };
    let cases = json(&folder, "cases.json");
    let cases = cases.as_array().expect("cases");
    assert_eq!(cases.len(), 12);
    let row: Vec<Result<(), &str>> = cases
        .iter()
        .map(|case| {
            let field = |name: &str| bytes(case[name].as_str().expect(name));
            let key = PublicKey::from_bytes(field("pub_key").try_into().expect("32 bytes"))
                .map_err(|error| error.code())?;
            let signature = field("signature").try_into().expect("64 bytes");
            key.verify(&field("message"), &signature).map_err(|error| error.code())
        })
        .collect();
    let (weak, bad) = (Err("key_weak"), Err("bad_signature"));
    // 0, 1: key of small order. 2: R of small order. 4, 5: only with cofactor. 6, 7: S not below L.
    // 8, 9: R not canonical. 10, 11: key not canonical (and of small order).
    assert_eq!(row, [weak, weak, bad, Ok(()), bad, bad, bad, bad, bad, bad, weak, weak]);
}

#[test]
fn w3c_eddsa_jcs_2022_is_recomputed_byte_for_byte() {
    let Some(folder) = suite("canon/vc-di-eddsa/TestVectors") else { return };
    let vectors = folder.join("eddsa-jcs-2022");
    let pair = json(&folder, "keyPair.json");
    let public = pair["publicKeyMultibase"].as_str().expect("a key");
    let secret = pair["privateKeyMultibase"].as_str().expect("a key");
    let seed = bs58::decode(&secret[1..]).into_vec().expect("base58");
    assert_eq!(seed[..2], [0x80, 0x26], "multicodec of an Ed25519 private key");
    let key = SecretKey::from_seed(seed[2..].try_into().expect("32 bytes"));
    assert_eq!(key.did(), format!("did:key:{public}"));

    let signed = map(json(&vectors, "signedJCS.json"));
    let proof = verify_document(&signed).expect("the W3C signature verifies");
    assert_eq!(proof.key, key.public());
    assert_eq!(proof.created.as_deref(), Some("2023-02-24T23:36:38Z"));

    let mut document = signed.clone();
    document.remove("proof");
    let text_of = |name: &str| text(&vectors, name).trim_end().to_owned();
    let written = canonical_general(&Value::Object(document.clone())).expect("JCS");
    assert_eq!(String::from_utf8_lossy(&written), text_of("canonDocJCS.txt"));
    let config = canonical_general(&json(&vectors, "proofConfigJCS.json")).expect("JCS");
    assert_eq!(String::from_utf8_lossy(&config), text_of("proofCanonJCS.txt"));
    let both = format!("{}{}", text_of("proofHashJCS.txt"), text_of("docHashJCS.txt"));
    assert_eq!(text_of("combinedHashJCS.txt"), both, "proof first, document second");

    let again = sign_document(&document, "2023-02-24T23:36:38Z", "assertionMethod", &key);
    assert_eq!(again, Ok(signed));
}

#[test]
fn the_export_examples_verify_and_the_tampered_one_does_not() {
    let Some(folder) = suite("exports/vaultmesh-example") else { return };
    let key = json(&folder, "keys.json")["did"].as_str().map(PublicKey::from_did);
    let key = key.expect("a did").expect("a key");
    // These lines are older than the final list of fields, so only their proofs are of use here.
    for name in ["receipt-3.json", "erase-0.json", "created-sec.json", "created-none.json"] {
        let text = text(&folder, name);
        assert_eq!(check_canonical(text.trim_end().as_bytes()), Ok(()), "{name}");
        let document = map(parse(text.as_bytes()).expect("strict"));
        assert_eq!(verify_document(&document).map(|proof| proof.key), Ok(key), "{name}");
    }
    for line in text(&folder, "identity.jsonl").lines() {
        let document = map(parse(line.as_bytes()).expect("strict"));
        assert_eq!(verify_document(&document).map(|proof| proof.key), Ok(key));
    }
    let tampered = map(json(&folder, "tampered.json"));
    assert!(verify_document(&tampered).is_err());

    let receipt = json(&folder, "receipt-3.json");
    let digests = receipt["body"]["_sd"].as_array().expect("_sd");
    for (name, disclosure) in map(json(&folder, "disclosures.json")) {
        let digest = disclosure_digest(disclosure.as_str().expect("a string"));
        assert!(digests.contains(&Value::from(digest)), "{name}");
    }
}

#[test]
fn the_export_example_reveals_what_was_disclosed_and_no_forgery() {
    let Some(folder) = suite("exports/vaultmesh-example") else { return };
    let body = map(json(&folder, "receipt-3.json")["body"].clone());
    let all: Vec<Disclosure> = map(json(&folder, "disclosures.json"))
        .values()
        .map(|text| Disclosure::parse(text.as_str().expect("a string")).expect("published"))
        .collect();
    let shown = reveal(&body, &all).expect("they belong to it");
    assert_eq!(shown.document["full_name"], "Ada Lovelace");
    assert_eq!((shown.disclosed, shown.withheld), (vec!["email".into(), "full_name".into()], 1));
    // RFC 9901 s7.1 demands both; sd-jwt 0.10.4 takes the forgery silently.
    let forged = Disclosure::field(&[1; 32], "email", &"eve@example.org".into()).expect("plain");
    let with = |more: &Disclosure| reveal(&body, &[all.clone(), vec![more.clone()]].concat());
    assert_eq!(with(&forged), Err(RevealError::Unmatched(2)));
    assert_eq!(with(&all[0]), Err(RevealError::Repeated(2)));
}

/// The issuer's side of a specification of the SD-JWT reference: what is marked `!sd` goes behind a digest.
struct Hider {
    made: Vec<Disclosure>,
}

impl Hider {
    fn disclosure(&mut self, name: Option<&str>, value: Value) -> Value {
        use base64::Engine as _;
        let encoder = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let salt = encoder.encode([self.made.len() as u8; 32]);
        let array = match name {
            Some(name) => Value::from(vec![salt.into(), name.into(), value]),
            None => Value::from(vec![salt.into(), value]),
        };
        let text = encoder.encode(array.to_string());
        let made = Disclosure::parse_general(&text).expect("a general disclosure");
        let digest = Value::from(made.digest());
        self.made.push(made);
        digest
    }

    fn object(&mut self, members: &[(&str, bool, Value)]) -> Value {
        let (mut object, mut digests) = (Map::new(), Vec::new());
        for (name, hidden, value) in members {
            match hidden {
                true => digests.push(self.disclosure(Some(name), value.clone())),
                false => drop(object.insert((*name).to_owned(), value.clone())),
            }
        }
        if !digests.is_empty() {
            object.insert("_sd".to_owned(), Value::from(digests));
        }
        Value::Object(object)
    }

    fn given(&self, names: &[&str]) -> Vec<Disclosure> {
        let wanted = |one: &&Disclosure| one.name().is_some_and(|name| names.contains(&name));
        self.made.iter().filter(wanted).cloned().collect()
    }
}

/// `simple_structured.specification.yml` and `address_only_recursive.specification.yml`, values retyped.
#[test]
fn the_structured_specifications_of_the_sd_jwt_reference_are_revealed() {
    let parts = [
        ("street_address", true, "東京都港区芝公園４丁目２−８".into()),
        ("locality", true, "東京都".into()),
        ("region", true, "港区".into()),
        ("country", true, "JP".into()),
    ];
    let mut hider = Hider { made: Vec::new() };
    let address = hider.object(&parts);
    let payload = map(hider.object(&[
        ("given_name", true, "太郎".into()),
        ("address", false, address.clone()),
        ("birthdate", false, "1940-01-01".into()),
    ]));
    let shown = reveal(&payload, &hider.given(&["region", "country"])).expect("they belong");
    assert_eq!(shown.document["address"], serde_json::json!({"region": "港区", "country": "JP"}));
    assert_eq!((shown.disclosed.len(), shown.withheld), (2, 3));

    let mut hider = Hider { made: Vec::new() };
    let address = hider.object(&parts);
    let payload = map(hider.object(&[
        ("sub", false, "6c5c0a49-b589-431d-bae7-219122a9ec2c".into()),
        ("address", true, address),
    ]));
    let nothing = reveal(&payload, &[]).expect("nothing to refuse");
    assert_eq!((nothing.document.len(), nothing.withheld), (1, 1), "the parts do not even show");
    let parent = hider.given(&["address", "locality"]);
    let shown = reveal(&payload, &parent).expect("they belong");
    assert_eq!(shown.document["address"], serde_json::json!({"locality": "東京都"}));
    assert_eq!(
        (shown.disclosed, shown.withheld),
        (vec!["address.locality".into(), "address".into()], 3)
    );
    let orphan = reveal(&payload, &hider.given(&["locality"]));
    assert_eq!(orphan, Err(RevealError::Unmatched(0)));
}

/// Past the test harness, which keeps what a passing test prints to itself: what was skipped must be seen.
fn write_past_capture(text: std::fmt::Arguments<'_>) {
    std::io::Write::write_fmt(&mut std::io::stderr(), text).expect("standard error takes a line");
}
