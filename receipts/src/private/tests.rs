//! Laws of private fields.

use super::*;
use serde_json::json;

const DIGEST: &str = "UQZkM7JcrihuL46DORYWQ5JLkD7SkHfBSmrvkZRXC0A";
const LATER: &str = "w66X6RjW7FS4b8gsgpg68TUrTHIEvvCRoq2fNnOkbWk";

fn body(value: Value) -> Result<(), SdError> {
    check_body(value.as_object().expect("an object"))
}

#[test]
fn the_worked_example_is_met() {
    let array = r#"["8g-ppak1NMCjOCl0Zgu6QPCVLhsdEFcLbZpYIUyTMh0","full_name","Ada Lovelace"]"#;
    let disclosure = URL_SAFE_NO_PAD.encode(array);
    assert_eq!(
        disclosure,
        "WyI4Zy1wcGFrMU5NQ2pPQ2wwWmd1NlFQQ1ZMaHNkRUZjTGJacFlJVXlUTWgwIiwiZnVsbF9uYW1lIiwiQWRhIExvdmVsYWNlIl0"
    );
    assert_eq!(disclosure_digest(&disclosure), DIGEST);
}

#[test]
fn the_example_of_rfc_9901_is_met() {
    // RFC 9901 s4.2.3: the disclosure of family_name.
    let disclosure = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0";
    assert_eq!(disclosure_digest(disclosure), "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0");
}

#[test]
fn digests_stand_strictly_ascending() {
    assert_eq!(check_sd(&json!([DIGEST, LATER])), Ok(()));
    assert_eq!(check_sd(&json!([LATER, DIGEST])), Err(SdError::Order));
    assert_eq!(check_sd(&json!([DIGEST, DIGEST])), Err(SdError::Order));
    for wrong in [json!([]), json!(DIGEST), json!([1]), json!({}), json!(null)] {
        assert_eq!(check_sd(&wrong), Err(SdError::NotAnArray), "{wrong}");
    }
    assert_eq!(check_sd(&json!(vec![DIGEST; SD_MAX + 1])), Err(SdError::NotAnArray));
}

#[test]
fn a_digest_has_one_spelling() {
    for wrong in [
        "",
        &DIGEST[1..],
        &format!("{DIGEST}="),
        &format!("{DIGEST}A"),
        &DIGEST.replace('Q', "+"),
        // The last character carries two bits that must be zero.
        &format!("{}B", &DIGEST[..42]),
        &"é".repeat(22),
    ] {
        assert_eq!(check_sd(&json!([wrong])), Err(SdError::NotADigest), "{wrong}");
    }
}

#[test]
fn reserved_names_stand_only_where_they_belong() {
    assert_eq!(body(json!({"_sd": [DIGEST], "n": 1, "list": [{"...": DIGEST}, 2]})), Ok(()));
    assert_eq!(body(json!({"a": {"b": [[{"...": DIGEST}]]}})), Ok(()));
    for (wrong, error) in [
        (json!({"a": {"_sd": [DIGEST]}}), SdError::Reserved(SD)),
        (json!({"a": [{"_sd": [DIGEST]}]}), SdError::Reserved(SD)),
        (json!({"_sd_alg": "sha-256"}), SdError::Reserved(SD_ALG)),
        (json!({"a": [{"_sd_alg": "sha-256"}]}), SdError::Reserved(SD_ALG)),
        (json!({"...": DIGEST}), SdError::Reserved(ITEM)),
        (json!({"a": {"...": DIGEST}}), SdError::Reserved(ITEM)),
        (json!({"a": [{"...": DIGEST, "b": 1}]}), SdError::Reserved(ITEM)),
        (json!({"a": [{"...": 1}]}), SdError::NotADigest),
        (json!({"a": [{"...": "short"}]}), SdError::NotADigest),
    ] {
        assert_eq!(body(wrong.clone()), Err(error), "{wrong}");
    }
    let public = json!({"a": [{"...": DIGEST}]});
    let verdict = check_public(public.as_object().expect("an object"));
    assert_eq!(verdict, Err(SdError::Reserved(ITEM)));
}
