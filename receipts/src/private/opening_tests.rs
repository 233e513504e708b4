//! Laws of disclosures and of what they reveal.

use serde_json::json;

use super::*;

const SALT: [u8; 32] = [7; 32];

/// RFC 9901 s5.1: two fields and the items of one list, with their disclosures.
const RFC: [(&str, &str); 4] = [
    (
        "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd",
        "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4",
    ),
    (
        "WyJlbHVWNU9nM2dTTklJOEVZbnN4QV9BIiwgImZhbWlseV9uYW1lIiwgIkRvZSJd",
        "TGf4oLbgwd5JQaHyKVQZU9UdGE0w5rtDsrZzfUaomLo",
    ),
    ("WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIlVTIl0", "pFndjkZ_VCzmyTa6UjlZo3dh-ko8aIKQc9DlGzhaVYo"),
    ("WyJuUHVvUW5rUkZxM0JJZUFtN0FuWEZBIiwgIkRFIl0", "7Cf6JkPudry3lcbwHgeZ8khAv1U1OSlerP0VkBJrWZ0"),
];

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn field(name: &str, value: Value) -> Disclosure {
    Disclosure::field(&SALT, name, &value).expect("a plain field")
}

fn raw(array: &str) -> String {
    URL_SAFE_NO_PAD.encode(array)
}

/// A disclosure that this house would not write.
fn general(array: Value) -> Disclosure {
    Disclosure::parse_general(&raw(&array.to_string())).expect("a general disclosure")
}

fn salted(name: Option<&str>, value: Value) -> Value {
    let salt = URL_SAFE_NO_PAD.encode(SALT);
    name.map_or_else(|| json!([salt, value]), |name| json!([salt, name, value]))
}

#[test]
fn the_worked_example_is_written_and_read() {
    let salt = URL_SAFE_NO_PAD.decode("8g-ppak1NMCjOCl0Zgu6QPCVLhsdEFcLbZpYIUyTMh0");
    let salt: [u8; 32] = salt.expect("base64url").try_into().expect("32 bytes");
    let written = Disclosure::field(&salt, "full_name", &json!("Ada Lovelace")).expect("plain");
    assert_eq!(
        written.text(),
        "WyI4Zy1wcGFrMU5NQ2pPQ2wwWmd1NlFQQ1ZMaHNkRUZjTGJacFlJVXlUTWgwIiwiZnVsbF9uYW1lIiwiQWRhIExvdmVsYWNlIl0"
    );
    assert_eq!(written.digest(), "UQZkM7JcrihuL46DORYWQ5JLkD7SkHfBSmrvkZRXC0A");
    assert_eq!(Disclosure::parse(written.text()).as_ref(), Ok(&written));
    assert_eq!((written.name(), written.salt()), (Some("full_name"), salt.to_vec()));
    let item = Disclosure::item(&SALT, &json!({"a": [1]})).expect("plain");
    assert_eq!(Disclosure::parse(item.text()).as_ref(), Ok(&item));
    assert_eq!((item.name(), item.value()), (None, &json!({"a": [1]})));
}

#[test]
fn the_worked_example_reveals_what_was_chosen() {
    let decoy = "RlCTrAGfgsghKF6QR4BTqyN8ZUlO93M73i5bYrq_BYA";
    let email = "WyJtYjExNktrTHY5YmUzMS02UGFFNVJET0VKSUhQcWRwaWRORy0xd1pNNk04IiwiZW1haWwiLCJhZGFAZXhhbXBsZS5vcmciXQ";
    let name = "WyI4Zy1wcGFrMU5NQ2pPQ2wwWmd1NlFQQ1ZMaHNkRUZjTGJacFlJVXlUTWgwIiwiZnVsbF9uYW1lIiwiQWRhIExvdmVsYWNlIl0";
    let [email, name] = [email, name].map(|text| Disclosure::parse(text).expect("published"));
    let body = map(json!({
        "_sd": [decoy, name.digest(), email.digest()], "assurance_level": 2
    }));
    let nothing = reveal(&body, &[]).expect("nothing to refuse");
    assert_eq!((nothing.document, nothing.withheld), (map(json!({"assurance_level": 2})), 3));
    let one = reveal(&body, std::slice::from_ref(&email)).expect("it belongs");
    assert_eq!(one.document, map(json!({"assurance_level": 2, "email": "ada@example.org"})));
    assert_eq!((one.disclosed, one.withheld), (vec!["email".to_owned()], 2));
    let both = reveal(&body, &[email, name]).expect("they belong");
    assert_eq!(both.document["full_name"], "Ada Lovelace");
    assert_eq!((both.disclosed, both.withheld), (vec!["email".into(), "full_name".into()], 1));
}

#[test]
fn the_examples_of_rfc_9901_are_revealed() {
    let all = RFC.map(|(text, digest)| {
        let disclosure = Disclosure::parse(text).expect("published");
        assert_eq!(disclosure.digest(), digest);
        disclosure
    });
    let digest = |n: usize| RFC[n].1;
    let payload = map(json!({
        "_sd": [
            "CrQe7S5kqBAHt-nMYXgc6bdt2SH5aTY1sU_M-PgkjPI", digest(1),
            "XQ_3kPKt1XyX7KANkqVR6yZ2Va5NrPIvPYbyMvRKBMM", digest(0),
        ],
        "sub": "user_42",
        "nationalities": [{"...": digest(2)}, {"...": digest(3)}],
        "_sd_alg": "sha-256",
    }));
    let shown = reveal(&payload, &[all[0].clone(), all[1].clone(), all[3].clone()]);
    let shown = shown.expect("they belong");
    let expected = json!({
        "sub": "user_42", "given_name": "John", "family_name": "Doe", "nationalities": ["DE"]
    });
    assert_eq!(shown.document, map(expected));
    assert_eq!(shown.disclosed, ["given_name", "family_name", "nationalities[1]"]);
    assert_eq!(shown.withheld, 3);
    let order: Vec<String> = digests(&payload);
    let found: Vec<usize> =
        order.iter().filter_map(|d| RFC.iter().position(|r| r.1 == d)).collect();
    assert_eq!((order.len(), found), (6, vec![1, 0, 2, 3]));
}

#[test]
fn a_private_value_inside_a_private_value_is_opened_by_both() {
    // RFC 9901 s4.2.6 and A.3: an address whose parts are private too.
    let region = field("region", json!("Sachsen-Anhalt"));
    let country = field("country", json!("DE"));
    let inside = json!({"_sd": [country.digest(), region.digest()]});
    let address = general(salted(Some("address"), inside));
    let document = map(json!({"_sd": [address.digest()], "sub": "x"}));
    let shown = reveal(&document, &[region.clone(), address.clone()]).expect("they belong");
    assert_eq!(shown.document["address"], json!({"region": "Sachsen-Anhalt"}));
    assert_eq!(shown.disclosed, ["address.region", "address"]);
    assert_eq!(shown.withheld, 1);
    assert_eq!(reveal(&document, &[region]), Err(RevealError::Unmatched(0)), "nothing leads to it");
    // What this house reads in a receipt is narrow: no value there is private again.
    assert_eq!(Disclosure::parse(address.text()), Err(SdError::Reserved(SD)));
}

#[test]
fn whatever_does_not_belong_is_refused() {
    let (a, b) = (field("a", json!(1)), field("b", json!(2)));
    let item = Disclosure::item(&SALT, &json!(3)).expect("plain");
    let document = |value: Value| map(value);
    let both = json!({"_sd": [a.digest(), b.digest()]});
    for (value, given, error) in [
        (both.clone(), vec![&a, &item], RevealError::Unmatched(1)),
        (both.clone(), vec![&a, &b, &a], RevealError::Repeated(2)),
        (json!({"_sd": [a.digest()], "a": 0}), vec![&a], RevealError::NameTaken(0)),
        (
            json!({"_sd": [a.digest(), a.digest()]}),
            vec![&a],
            RevealError::DigestTwice(a.digest().to_owned()),
        ),
        (
            json!({"x": {"_sd": [a.digest()]}, "y": [{"...": a.digest()}]}),
            vec![],
            RevealError::DigestTwice(a.digest().to_owned()),
        ),
        (json!({"_sd": [item.digest()]}), vec![&item], RevealError::Kind(0)),
        (json!({"l": [{"...": a.digest()}]}), vec![&a], RevealError::Kind(0)),
        (json!({"_sd": "x"}), vec![], RevealError::Form(SdError::NotAnArray)),
        (json!({"_sd": [1]}), vec![], RevealError::Form(SdError::NotADigest)),
        (json!({"l": [{"...": "x"}]}), vec![], RevealError::Form(SdError::NotADigest)),
        (json!({"...": a.digest()}), vec![], RevealError::Form(SdError::Reserved(ITEM))),
        (json!({"_sd_alg": "sha-512"}), vec![], RevealError::Algorithm),
        (json!({"x": {"_sd_alg": "x"}}), vec![], RevealError::Form(SdError::Reserved(SD_ALG))),
    ] {
        let given: Vec<Disclosure> = given.into_iter().cloned().collect();
        assert_eq!(reveal(&document(value.clone()), &given), Err(error), "{value}");
    }
    // Two fields of one name, both private.
    let other = Disclosure::field(&[8; 32], "a", &json!(9)).expect("plain");
    let twice = document(json!({"_sd": [a.digest(), other.digest()]}));
    assert_eq!(reveal(&twice, &[a, other]), Err(RevealError::NameTaken(1)));
}

#[test]
fn a_forged_disclosure_opens_nothing() {
    let honest = field("email", json!("ada@example.org"));
    let body = map(json!({"_sd": [honest.digest()]}));
    let forged = field("email", json!("eve@example.org"));
    assert_eq!(reveal(&body, std::slice::from_ref(&forged)), Err(RevealError::Unmatched(0)));
    assert_eq!(reveal(&body, &[honest, forged]), Err(RevealError::Unmatched(1)));
}

#[test]
fn nested_disclosures_cannot_nest_without_end() {
    let mut inner = field("x", json!(1));
    let mut all = vec![inner.clone()];
    for n in 0..DEPTH {
        inner = general(salted(Some(&format!("x{n}")), json!({"_sd": [inner.digest()]})));
        all.push(inner.clone());
    }
    let document = |last: &Disclosure| map(json!({"_sd": [last.digest()]}));
    assert_eq!(reveal(&document(&all[DEPTH]), &all), Err(RevealError::TooDeep));
    let fits = &all[..DEPTH];
    assert!(reveal(&document(&fits[DEPTH - 1]), fits).is_ok());
}

const DEPTH: usize = crate::json::DEPTH_MAX;

#[test]
fn a_disclosure_has_one_spelling_and_a_salt() {
    let good = field("a", json!("x"));
    let text = good.text();
    let last = text.as_bytes()[text.len() - 1];
    assert_eq!((text.len() % 4, last), (2, b'Q'), "its last character has four spare bits");
    let salt = URL_SAFE_NO_PAD.encode([1; 16]);
    let short = URL_SAFE_NO_PAD.encode([1; 15]);
    let json_error = |at, kind| SdError::DisclosureJson(JsonError { at, kind });
    use crate::json::JsonErrorKind as Kind;
    for (wrong, error) in [
        (format!("{text}="), SdError::DisclosureEncoding),
        (format!("{text} "), SdError::DisclosureEncoding),
        (format!("{}R", &text[..text.len() - 1]), SdError::DisclosureEncoding),
        ("+/+/".to_owned(), SdError::DisclosureEncoding),
        (String::new(), json_error(0, Kind::Truncated)),
        (URL_SAFE_NO_PAD.encode(b"[\"\xff\"]"), json_error(2, Kind::InvalidUtf8)),
        (raw(&format!("[\"{salt}\",\"a\",1.5]")), json_error(30, Kind::Float)),
        (raw(&format!("[\"{salt}\",\"a\",1,2]")), SdError::DisclosureShape),
        (raw(&format!("[\"{salt}\"]")), SdError::DisclosureShape),
        (raw("[1,2]"), SdError::DisclosureShape),
        (raw("{}"), SdError::DisclosureShape),
        (raw(&format!("[\"{salt}\",1,2]")), SdError::DisclosureShape),
        (raw(&format!("[\"{short}\",\"a\",1]")), SdError::DisclosureSalt),
        (raw("[\"not base64 but long enough for it\",\"a\",1]"), SdError::DisclosureSalt),
        (raw(&format!("[\"{salt}\",\"_sd\",1]")), SdError::Reserved(SD)),
        (raw(&format!("[\"{salt}\",\"...\",1]")), SdError::Reserved(ITEM)),
        (raw(&format!("[\"{salt}\",\"_sd_alg\",1]")), SdError::Reserved(SD_ALG)),
        (raw(&format!("[\"{salt}\",\"a\",[{{\"_sd\":[]}}]]")), SdError::Reserved(SD)),
        (raw(&format!("[\"{salt}\",[{{\"...\":1}}]]")), SdError::Reserved(ITEM)),
        (raw(&format!("[\"{salt}\",\"A b\",1]")), SdError::DisclosureName),
        ("A".repeat(DISCLOSURE_BYTES_MAX + 1), SdError::DisclosureTooLong),
    ] {
        assert_eq!(Disclosure::parse(&wrong), Err(error), "{}", &wrong[..wrong.len().min(99)]);
    }
}

#[test]
fn only_what_reads_back_is_written() {
    let long = "x".repeat(DISCLOSURE_BYTES_MAX);
    for (name, value, error) in [
        ("_sd", json!(1), SdError::Reserved(SD)),
        ("Name", json!(1), SdError::DisclosureName),
        ("a", json!({"_sd": []}), SdError::Reserved(SD)),
        ("a", json!([{"...": "x"}]), SdError::Reserved(ITEM)),
        ("a", json!(long), SdError::DisclosureTooLong),
    ] {
        assert_eq!(Disclosure::field(&SALT, name, &value), Err(error), "{name}");
    }
    let float = Disclosure::field(&SALT, "a", &json!(1.5));
    assert_eq!(float.expect_err("a float").code(), "sd_disclosure_json");
}

#[test]
fn what_people_kept_private_is_never_shown_by_debug() {
    let secret = field("diagnosis", json!("sentinel"));
    let body = map(json!({"_sd": [secret.digest()]}));
    let shown = reveal(&body, std::slice::from_ref(&secret)).expect("it belongs");
    let text =
        format!("{secret:?} {shown:?} {:?}", reveal(&Map::new(), std::slice::from_ref(&secret)));
    assert!(!text.contains("sentinel") && !text.contains(secret.text()), "{text}");
    assert!(!text.contains(&URL_SAFE_NO_PAD.encode(SALT)), "{text}");
    let control = general(salted(Some("a\u{1b}[2J"), json!(1)));
    let place = reveal(&map(json!({"_sd": [control.digest()]})), &[control]).expect("general");
    assert_eq!(place.disclosed, ["a\\u{1b}[2J"]);
}
