//! Trust files.

use proptest::prelude::*;
use vm_scrolls::note::{AnyVkey, TYPE_COSIGNATURE, Vkey};
use vm_scrolls::trust::*;

use crate::common::{ORIGIN, issuer, log_key};
use vm_receipts::key::SecretKey;

fn did() -> String {
    issuer().did().to_owned()
}

fn log(name: &str) -> String {
    Vkey::new(name, log_key().public()).unwrap().to_string()
}

/// Witness keys published with the Sunlight test data.
const W1: &str = "witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN";
const W2: &str = "mirror.example.org+3fb148ef+BAAjjch9GyYz0sJsJx7ALhbdAtz2ov0unbzSl1vMp94O";

#[test]
fn all_forms_of_a_line_are_read() {
    let other = SecretKey::from_seed([5; 32]);
    let text = format!(
        "# who we believe\n\n\t issuer  {}\t\n{}\n{}\n{}\nlog {} https://example.org/\n\
         witness w1 {W1}\nwitness w2 {W2} https://w2.example.org/\n  # inner\n\
         group g 1 w1 w2\nquorum g",
        did(),
        other.did(),
        log(ORIGIN),
        log("example.org/n1/vault"),
        log("example.org/n1/canon"),
    );
    let trust = Trust::parse(&text).unwrap();
    assert_eq!(trust.issuers, [issuer().public(), other.public()]);
    assert_eq!(trust.logs.len(), 3);
    assert_eq!(trust.witnesses[1].url.as_deref(), Some("https://w2.example.org/"));
    assert_eq!(trust.witnesses[0].vkey.kind, TYPE_COSIGNATURE);
    let members = vec!["w1".to_owned(), "w2".to_owned()];
    assert_eq!(trust.groups, [Group { name: "g".into(), threshold: 1, members }]);
    assert_eq!(trust.quorum, Quorum::Of("g".into()));
    assert!(trust.unevaluated_quorum().unwrap().contains("\"g\""));
    assert!(trust.has_issuer(&issuer().public()) && !trust.has_issuer(&log_key().public()));
    assert_eq!(Trust::parse(&trust.to_string()), Ok(trust));
}

#[test]
fn each_fault_names_its_line() {
    let d = did();
    let l = log(ORIGIN);
    let two = format!("witness a {W1}\nwitness b {W2}\n");
    let cases = [
        (String::new(), 0, "trust_empty"),
        ("# nothing\n".into(), 0, "trust_empty"),
        (format!("{d}\r\n"), 1, "trust_control_character"),
        (format!("{d}\nhello\n"), 2, "trust_malformed"),
        (format!("{d}\nhello world\n"), 2, "trust_malformed"),
        (format!("{d} extra\n"), 1, "trust_malformed"),
        (format!("{d}\nissuer\n"), 2, "trust_malformed"),
        ("did:web:example.org\n".into(), 1, "trust_bad_did"),
        (format!("{d}\n{d}\n"), 2, "trust_duplicate_key"),
        (format!("{d}\nissuer {d}\n"), 2, "trust_duplicate_key"),
        (format!("{l}\n{l}\n"), 2, "trust_duplicate_key"),
        (format!("log {l}\nlog {}\n", log("other")), 2, "trust_duplicate_key"),
        (format!("log {l} url more\n"), 1, "trust_malformed"),
        (format!("log {W1}\n"), 1, "vkey_unsupported_type"),
        (W1.to_owned(), 1, "vkey_unsupported_type"),
        ("a+b+c".into(), 1, "vkey_malformed"),
        (format!("witness a {l}\nquorum none\n"), 1, "trust_not_a_cosigner"),
        (format!("witness none {W1}\nquorum none\n"), 1, "trust_duplicate_name"),
        (format!("witness a {W1}\nwitness a {W2}\nquorum a\n"), 2, "trust_duplicate_name"),
        (format!("witness a {W1}\nwitness b {W1}\nquorum a\n"), 2, "trust_duplicate_key"),
        (format!("witness a {W1}\n"), 0, "trust_quorum"),
        (format!("{d}\nquorum a\n"), 2, "trust_unknown_name"),
        (format!("{d}\nquorum none\nquorum none\n"), 3, "trust_quorum"),
        (format!("{d}\nquorum\n"), 2, "trust_malformed"),
        (format!("{two}group g any\nquorum g\n"), 3, "trust_malformed"),
        (format!("{two}group g any c\nquorum g\n"), 3, "trust_unknown_name"),
        (format!("{two}group g any none\nquorum g\n"), 3, "trust_unknown_name"),
        (format!("{two}group g any g\nquorum g\n"), 3, "trust_unknown_name"),
        (format!("{two}group g any a a\nquorum g\n"), 3, "trust_duplicate_name"),
        (format!("{two}group g any a\ngroup h any a\nquorum g\n"), 4, "trust_duplicate_name"),
        (format!("{two}group a any b\nquorum a\n"), 3, "trust_duplicate_name"),
        (format!("{two}group g 0 a\nquorum g\n"), 3, "trust_bad_threshold"),
        (format!("{two}group g 3 a b\nquorum g\n"), 3, "trust_bad_threshold"),
        (format!("{two}group g 01 a b\nquorum g\n"), 3, "trust_bad_threshold"),
        (format!("{two}group g some a b\nquorum g\n"), 3, "trust_bad_threshold"),
    ];
    for (text, line, code) in cases {
        let error = Trust::parse(&text).unwrap_err();
        assert_eq!((error.line, error.code()), (line, code), "{text}");
    }
    let all = Trust::parse(&format!("{two}group g all a b\nquorum g\n")).unwrap();
    assert_eq!(all.groups[0].threshold, 2);
    assert!(Trust::parse(&format!("{d}\nquorum none\n")).unwrap().unevaluated_quorum().is_none());
}

#[test]
fn limits_hold() {
    assert_eq!(Trust::parse(&"#".repeat(TRUST_BYTES_MAX)).unwrap_err().code(), "trust_empty");
    assert_eq!(
        Trust::parse(&"#".repeat(TRUST_BYTES_MAX + 1)).unwrap_err().code(),
        "trust_too_large"
    );
    let logs = |n: usize| (0..n).map(|i| log(&format!("o{i}")) + "\n").collect::<String>();
    assert_eq!(Trust::parse(&logs(TRUST_ENTRIES_MAX)).unwrap().logs.len(), TRUST_ENTRIES_MAX);
    let error = Trust::parse(&logs(TRUST_ENTRIES_MAX + 1)).unwrap_err();
    assert_eq!((error.line, error.code()), (1_025, "trust_too_large"));
    assert!(AnyVkey::parse(W1).is_ok());
}

proptest! {
    #[test]
    fn no_text_panics(text in "(issuer|log|witness|group|quorum|none|any|all|a|b|1|did:key:z6Mk|\\+|#|\n|\t| |\\PC){0,30}") {
        if let Ok(trust) = Trust::parse(&text) {
            prop_assert_eq!(Trust::parse(&trust.to_string()), Ok(trust));
        }
    }
}
