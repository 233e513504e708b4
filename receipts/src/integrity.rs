//! W3C Data Integrity, cryptosuite `eddsa-jcs-2022`, over any JSON document.
//!
//! What is signed: SHA-256(JCS(proof without proofValue)) ‖ SHA-256(JCS(document without proof)). Receipts use a
//! narrower form of it, in `line`. Keys are `did:key` only: nothing is looked up.

use std::fmt;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::base58;
use crate::json::{INTEGER_MAX, canonical_general};
use crate::key::{PublicKey, SecretKey};

/// The only cryptosuite.
pub const CRYPTOSUITE: &str = "eddsa-jcs-2022";
/// The only proof type.
pub const PROOF_TYPE: &str = "DataIntegrityProof";
/// The purpose of every receipt's proof.
pub const ASSERTION: &str = "assertionMethod";

/// Why a document cannot be signed or its proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntegrityError {
    /// The document to sign carries a proof already.
    AlreadySigned,
    /// The document has no proof, or its proof is not an object.
    NoProof,
    /// This member of the proof is missing or is not what it must be.
    Member(&'static str),
    /// The proof's `@context` is not how the document's starts.
    Context,
    /// The document holds an integer beyond ±(2^53−1), which its canonical form cannot tell from its neighbours.
    IntegerRange,
    /// The document cannot be written in canonical form.
    NotCanonical(String),
    /// The signature does not verify.
    Signature,
}

impl IntegrityError {
    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            IntegrityError::AlreadySigned => "integrity_already_signed",
            IntegrityError::NoProof => "integrity_no_proof",
            IntegrityError::Member(_) => "integrity_member",
            IntegrityError::Context => "integrity_context",
            IntegrityError::IntegerRange => "integrity_integer_range",
            IntegrityError::NotCanonical(_) => "integrity_not_canonical",
            IntegrityError::Signature => "integrity_signature",
        }
    }
}

impl fmt::Display for IntegrityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IntegrityError::AlreadySigned => f.write_str("the document carries a proof already"),
            IntegrityError::NoProof => f.write_str("the document has no proof"),
            IntegrityError::Member(name) => {
                write!(f, "proof.{name} is missing or is not what it must be")
            }
            IntegrityError::Context => {
                f.write_str("the proof's @context is not how the document's starts")
            }
            IntegrityError::IntegerRange => {
                f.write_str("the document holds an integer beyond ±9007199254740991")
            }
            IntegrityError::NotCanonical(why) => {
                write!(f, "the document has no canonical form: {why}")
            }
            IntegrityError::Signature => f.write_str("the proof's signature does not verify"),
        }
    }
}

impl std::error::Error for IntegrityError {}

/// A proof that holds: what it says about its making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedProof {
    /// The key that signed.
    pub key: PublicKey,
    /// The verification method, `did:key:z…#z…`.
    pub method: String,
    /// When the signer says it was made, as written; absent in some foreign proofs.
    pub created: Option<String>,
    /// What it was made for.
    pub purpose: String,
}

/// Signs a document and gives it back with its proof. A `@context` of the document stands in the proof too.
pub fn sign_document(
    document: &Map<String, Value>,
    created: &str,
    purpose: &str,
    key: &SecretKey,
) -> Result<Map<String, Value>, IntegrityError> {
    if document.contains_key("proof") {
        return Err(IntegrityError::AlreadySigned);
    }
    let mut proof = Map::new();
    if let Some(context) = document.get("@context") {
        proof.insert("@context".to_owned(), context.clone());
    }
    for (name, value) in [
        ("type", PROOF_TYPE),
        ("cryptosuite", CRYPTOSUITE),
        ("created", created),
        ("verificationMethod", key.did_url()),
        ("proofPurpose", purpose),
    ] {
        proof.insert(name.to_owned(), Value::from(value));
    }
    let signature = key.sign(&signed_bytes(&proof, document)?);
    proof.insert("proofValue".to_owned(), Value::from(proof_value(&signature)));
    let mut signed = document.clone();
    signed.insert("proof".to_owned(), Value::Object(proof));
    Ok(signed)
}

/// Verifies the one proof of a document by the key its `did:key` method names.
///
/// Whether that key is one to trust, and for this purpose, is the caller's question.
pub fn verify_document(document: &Map<String, Value>) -> Result<VerifiedProof, IntegrityError> {
    let mut unsigned = document.clone();
    let Some(Value::Object(mut proof)) = unsigned.remove("proof") else {
        return Err(IntegrityError::NoProof);
    };
    let value = match proof.remove("proofValue") {
        Some(Value::String(value)) => value,
        _ => return Err(IntegrityError::Member("proofValue")),
    };
    let signature = read_proof_value(&value).ok_or(IntegrityError::Member("proofValue"))?;
    if member(&proof, "type")? != PROOF_TYPE {
        return Err(IntegrityError::Member("type"));
    }
    if member(&proof, "cryptosuite")? != CRYPTOSUITE {
        return Err(IntegrityError::Member("cryptosuite"));
    }
    let purpose = member(&proof, "proofPurpose")?.to_owned();
    let method = member(&proof, "verificationMethod")?.to_owned();
    let key = PublicKey::from_did_url(&method)
        .map_err(|_| IntegrityError::Member("verificationMethod"))?;
    let created = match proof.get("created") {
        None => None,
        Some(Value::String(created)) => Some(created.clone()),
        Some(_) => return Err(IntegrityError::Member("created")),
    };
    check_context(&proof, &mut unsigned)?;
    let message = signed_bytes(&proof, &unsigned)?;
    key.verify(&message, &signature).map_err(|_| IntegrityError::Signature)?;
    Ok(VerifiedProof { key, method, created, purpose })
}

/// `z` and the base58btc of a signature.
pub(crate) fn proof_value(signature: &[u8; 64]) -> String {
    let mut text = String::with_capacity(89);
    text.push('z');
    base58::encode_64(signature, &mut text);
    text
}

/// Reads `z` and the base58btc of exactly 64 bytes.
pub(crate) fn read_proof_value(text: &str) -> Option<[u8; 64]> {
    base58::decode_64(text.strip_prefix('z')?)
}

/// SHA-256 of the canonical proof configuration, then SHA-256 of the canonical document.
pub(crate) fn hash_pair(proof_config: &[&[u8]], document: &[&[u8]]) -> [u8; 64] {
    let digest = |parts: &[&[u8]]| {
        let mut hasher = Sha256::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize()
    };
    let mut both = [0; 64];
    both[..32].copy_from_slice(&digest(proof_config));
    both[32..].copy_from_slice(&digest(document));
    both
}

fn signed_bytes(
    proof_config: &Map<String, Value>,
    document: &Map<String, Value>,
) -> Result<[u8; 64], IntegrityError> {
    let config = general(proof_config)?;
    let text = general(document)?;
    Ok(hash_pair(&[&config], &[&text]))
}

fn general(map: &Map<String, Value>) -> Result<Vec<u8>, IntegrityError> {
    let value = Value::Object(map.clone());
    if !integers_are_exact(&value) {
        return Err(IntegrityError::IntegerRange);
    }
    canonical_general(&value).map_err(|error| IntegrityError::NotCanonical(error.to_string()))
}

fn integers_are_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => (-INTEGER_MAX..=INTEGER_MAX).contains(&value),
            (None, Some(_)) => false,
            (None, None) => true,
        },
        Value::Array(items) => items.iter().all(integers_are_exact),
        Value::Object(map) => map.values().all(integers_are_exact),
        _ => true,
    }
}

/// vc-di-eddsa s3.3.2: a context in the proof must be how the document's starts, and is then what was signed.
fn check_context(
    proof: &Map<String, Value>,
    document: &mut Map<String, Value>,
) -> Result<(), IntegrityError> {
    let Some(in_proof) = proof.get("@context") else { return Ok(()) };
    let as_list = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        single => vec![single.clone()],
    };
    let expected = document.get("@context").map(as_list).unwrap_or_default();
    if !expected.starts_with(&as_list(in_proof)) {
        return Err(IntegrityError::Context);
    }
    document.insert("@context".to_owned(), in_proof.clone());
    Ok(())
}

fn member<'a>(
    proof: &'a Map<String, Value>,
    name: &'static str,
) -> Result<&'a str, IntegrityError> {
    proof.get(name).and_then(Value::as_str).ok_or(IntegrityError::Member(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Map<String, Value> {
        let value = json!({"name": "a document", "pi": 3.25, "list": [1, {"a": null}]});
        value.as_object().cloned().expect("an object")
    }

    fn key() -> SecretKey {
        SecretKey::from_seed([3; 32])
    }

    #[test]
    fn a_signed_document_verifies_and_says_who_signed() {
        let signed =
            sign_document(&document(), "2026-10-01T09:30:03Z", ASSERTION, &key()).expect("signs");
        let proof = verify_document(&signed).expect("verifies");
        assert_eq!(proof.key, key().public());
        assert_eq!(proof.created.as_deref(), Some("2026-10-01T09:30:03Z"));
        assert_eq!(proof.purpose, ASSERTION);
        let again = sign_document(&signed, "2026-10-01T09:30:03Z", ASSERTION, &key());
        assert_eq!(again, Err(IntegrityError::AlreadySigned));
    }

    #[test]
    fn every_change_to_document_or_proof_is_noticed() {
        let signed =
            sign_document(&document(), "2026-10-01T09:30:03Z", ASSERTION, &key()).expect("signs");
        for (pointer, value) in [
            ("/name", json!("another")),
            ("/pi", json!(3.5)),
            ("/list/1/a", json!(0)),
            ("/proof/created", json!("2026-10-01T09:30:04Z")),
            ("/proof/proofPurpose", json!("authentication")),
            ("/proof/type", json!("Ed25519Signature2020")),
            ("/proof/cryptosuite", json!("eddsa-rdfc-2022")),
            ("/proof/verificationMethod", json!(SecretKey::from_seed([4; 32]).did_url())),
            ("/proof/verificationMethod", json!(key().did())),
            ("/proof/proofValue", json!("z1")),
            ("/proof/proofValue", json!(1)),
            ("/proof/created", json!(1)),
            ("/proof", json!([])),
        ] {
            let mut changed = Value::Object(signed.clone());
            *changed.pointer_mut(pointer).expect(pointer) = value;
            let changed = changed.as_object().expect("an object");
            assert!(verify_document(changed).is_err(), "{pointer}");
        }
        let mut added = signed.clone();
        added.insert("more".to_owned(), json!(1));
        assert_eq!(verify_document(&added), Err(IntegrityError::Signature));
        assert_eq!(verify_document(&document()), Err(IntegrityError::NoProof));
    }

    #[test]
    fn two_large_integers_never_share_a_signature() {
        let mut large = document();
        large.insert("n".to_owned(), json!(9_007_199_254_740_993_u64));
        let refused = sign_document(&large, "2026-10-01T09:30:03Z", ASSERTION, &key());
        assert_eq!(refused, Err(IntegrityError::IntegerRange));
    }

    #[test]
    fn a_context_in_the_proof_is_how_the_documents_starts() {
        let mut plain = document();
        plain.insert(
            "@context".to_owned(),
            json!(["https://example.org/a", "https://example.org/b"]),
        );
        let mut signed =
            sign_document(&plain, "2026-10-01T09:30:03Z", ASSERTION, &key()).expect("signs");
        assert!(verify_document(&signed).is_ok());
        signed["@context"].as_array_mut().expect("a list").push(json!("https://example.org/c"));
        assert!(verify_document(&signed).is_ok(), "more context behind it is allowed by the suite");
        signed["@context"].as_array_mut().expect("a list").reverse();
        assert_eq!(verify_document(&signed), Err(IntegrityError::Context));
    }

    #[test]
    fn a_proof_value_has_one_spelling() {
        let signature = [0; 64];
        let value = proof_value(&signature);
        assert_eq!(read_proof_value(&value), Some(signature));
        for bad in [
            &value[1..],
            &format!("{value}1"),
            &value[..value.len() - 1],
            "z",
            "",
            "z0",
            &"z9".repeat(60),
        ] {
            assert_eq!(read_proof_value(bad), None, "{bad}");
        }
    }
}
