//! What was asked for: the digest that makes a retry recognisable, and the actor's own signature over it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::digest::Blake3;
use crate::json::{self, JsonError, JsonErrorKind};
use crate::key::{PublicKey, SecretKey};

/// First member of what an actor signs, so that the signature can never be taken for another kind.
pub const ACTOR_DOMAIN: &str = "vm/intent/v1";

/// Digest of an intent: BLAKE3 of the canonical form of `{"op": op, …public fields}`.
///
/// The fields are those a receipt may show: absent optionals stay out, secrets are left out, private ones stand as
/// `_sd`.
///
/// # Errors
/// A field named `op`, or a value outside the strict profile.
pub fn intent_digest(op: &str, public_fields: &Map<String, Value>) -> Result<Blake3, JsonError> {
    if public_fields.contains_key("op") {
        return Err(JsonError { at: 0, kind: JsonErrorKind::ReservedName });
    }
    let mut whole = public_fields.clone();
    whole.insert("op".to_owned(), Value::from(op));
    Ok(Blake3::of(&json::canonical(&Value::Object(whole))?))
}

/// The bytes an actor signs: the canonical form of `["vm/intent/v1", ledger id, id, intent]`.
pub fn actor_message(ledger_id: &str, id: &str, intent: &Blake3) -> Vec<u8> {
    let mut text = Vec::with_capacity(160);
    for (place, part) in [ACTOR_DOMAIN, ledger_id, id, &intent.to_string()].iter().enumerate() {
        text.push(if place == 0 { b'[' } else { b',' });
        json::write_string(&mut text, part);
    }
    text.push(b']');
    text
}

/// The actor's own signature over an intent. Without it "who" is the word of the node that sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorProof {
    /// `did:key` of the key that signed.
    pub key: String,
    /// The 64 bytes of the signature, base64 with padding.
    pub sig: String,
}

/// Why an actor proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorProofError {
    /// The key is not a did:key we accept.
    Key,
    /// The signature is not 64 bytes in base64.
    Malformed,
    /// The signature does not verify over this ledger, id and intent.
    Signature,
}

impl ActorProofError {
    /// Stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            ActorProofError::Key => "actor_proof_key",
            ActorProofError::Malformed => "actor_proof_malformed",
            ActorProofError::Signature => "actor_proof_signature",
        }
    }
}

impl fmt::Display for ActorProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ActorProofError::Key => "the actor's key is not a did:key of an Ed25519 key",
            ActorProofError::Malformed => "the actor's signature is not 64 bytes in base64",
            ActorProofError::Signature => "the actor's signature does not verify",
        })
    }
}

impl std::error::Error for ActorProofError {}

impl ActorProof {
    /// Signs an intent as its actor.
    pub fn sign(key: &SecretKey, ledger_id: &str, id: &str, intent: &Blake3) -> ActorProof {
        let signature = key.sign(&actor_message(ledger_id, id, intent));
        ActorProof { key: key.did().to_owned(), sig: STANDARD.encode(signature) }
    }

    /// Verifies the signature over this ledger, id and intent.
    pub fn verify(
        &self,
        ledger_id: &str,
        id: &str,
        intent: &Blake3,
    ) -> Result<PublicKey, ActorProofError> {
        let read = self.read()?;
        verify_read(&read, ledger_id, id, intent)?;
        Ok(read.0)
    }

    /// Reads both members without verifying: what a line checks when it is parsed.
    pub fn read(&self) -> Result<(PublicKey, [u8; 64]), ActorProofError> {
        let key = PublicKey::from_did(&self.key).map_err(|_| ActorProofError::Key)?;
        let bytes = STANDARD.decode(&self.sig).map_err(|_| ActorProofError::Malformed)?;
        let signature = bytes.try_into().map_err(|_| ActorProofError::Malformed)?;
        Ok((key, signature))
    }
}

/// Verifies what [`ActorProof::read`] gave.
pub(crate) fn verify_read(
    (key, signature): &(PublicKey, [u8; 64]),
    ledger_id: &str,
    id: &str,
    intent: &Blake3,
) -> Result<(), ActorProofError> {
    let message = actor_message(ledger_id, id, intent);
    key.verify(&message, signature).map_err(|_| ActorProofError::Signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields() -> Map<String, Value> {
        json!({"account": "a1", "amount_cents": 1500}).as_object().cloned().expect("an object")
    }

    #[test]
    fn the_digest_is_of_the_canonical_intent() {
        let text = br#"{"account":"a1","amount_cents":1500,"op":"treasury.credit"}"#;
        assert_eq!(intent_digest("treasury.credit", &fields()), Ok(Blake3::of(text)));
        assert_ne!(intent_digest("treasury.debit", &fields()), Ok(Blake3::of(text)));
    }

    #[test]
    fn an_intent_cannot_bring_its_own_op() {
        let mut fields = fields();
        fields.insert("op".to_owned(), json!("treasury.debit"));
        let error = intent_digest("treasury.credit", &fields).expect_err("reserved");
        assert_eq!(error.code(), "json_reserved_name");
        let floats = Map::from_iter([("amount".to_owned(), json!(1.5))]);
        assert!(intent_digest("treasury.credit", &floats).is_err());
    }

    #[test]
    fn what_an_actor_signs_means_one_thing() {
        let intent = Blake3::of(b"x");
        let text = String::from_utf8(actor_message("L", "i", &intent)).expect("UTF-8");
        assert_eq!(text, format!("[\"vm/intent/v1\",\"L\",\"i\",\"{intent}\"]"));
        let shifted = actor_message("L\",\"i", "", &intent);
        assert_ne!(shifted, actor_message("L", "i", &intent));
        assert!(json::check_canonical(&shifted).is_ok());
    }

    #[test]
    fn an_actor_proof_holds_for_its_ledger_id_and_intent_only() {
        let key = SecretKey::from_seed([7; 32]);
        let intent = Blake3::of(b"x");
        let proof = ActorProof::sign(&key, "ledger", "id", &intent);
        assert_eq!(proof.verify("ledger", "id", &intent), Ok(key.public()));
        let bad = Err(ActorProofError::Signature);
        assert_eq!(proof.verify("other", "id", &intent), bad);
        assert_eq!(proof.verify("ledger", "other", &intent), bad);
        assert_eq!(proof.verify("ledger", "id", &Blake3::of(b"y")), bad);
        let other = SecretKey::from_seed([8; 32]);
        let stolen = ActorProof { key: other.did().to_owned(), ..proof.clone() };
        assert_eq!(stolen.verify("ledger", "id", &intent), bad);
        let cut = ActorProof { sig: proof.sig[..84].to_owned(), ..proof.clone() };
        assert_eq!(cut.verify("ledger", "id", &intent), Err(ActorProofError::Malformed));
        let nameless = ActorProof { key: "did:web:example.org".to_owned(), ..proof };
        assert_eq!(nameless.verify("ledger", "id", &intent), Err(ActorProofError::Key));
    }
}
