//! Sealing a line and verifying its seal, both over the bytes that are stored.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::integrity::{self, ASSERTION, CRYPTOSUITE, PROOF_TYPE};
use crate::json;
use crate::key::{PublicKey, SecretKey};
use crate::line::rules;
use crate::line::write::{name, text, unsigned};
use crate::line::{LINE_MAX, Line, LineError, Proof, Sealed};
use crate::moment::Moment;

/// Seals a line: one canonical text, hashed, signed, and the proof spliced in.
pub(super) fn seal(line: &Line, key: &SecretKey) -> Result<Sealed, LineError> {
    if line.issuer != key.did() {
        return Err(LineError::new(
            0,
            "line_issuer",
            "issuer is not the did:key of the key that seals",
        ));
    }
    rules::check(line).map_err(|broken| LineError::new(0, broken.code, broken.message))?;
    let unsigned = unsigned(line)?;
    let (head, tail) = unsigned.text.split_at(unsigned.proof_at);

    let created = line.at.whole_seconds();
    let method = key.did_url().to_owned();
    let message = integrity::hash_pair(&proof_text(&created, &method, None), &[&unsigned.text]);
    let value = integrity::proof_value(&key.sign(&message));

    let proof = proof_text(&created, &method, Some(&value));
    let mut bytes = Vec::with_capacity(unsigned.text.len() + proof.len() + 16);
    bytes.extend_from_slice(head);
    name(&mut bytes, "proof");
    bytes.extend_from_slice(&proof);
    bytes.extend_from_slice(tail);
    if bytes.len() > LINE_MAX {
        let says = format!("the line has {} bytes, {LINE_MAX} is the limit", bytes.len());
        return Err(LineError::new(LINE_MAX, "line_too_long", says));
    }
    let proof = Some(Proof { created, method, value });
    Ok(Sealed { line: Line { proof, ..line.clone() }, bytes })
}

/// Bytes of the longest proof with its name and comma: 88 characters of value, a did:key method.
const PROOF_MAX: usize = 400;

/// Whether a line can be sealed, found out without signing.
pub(super) fn sealable(line: &Line) -> Result<(), LineError> {
    rules::check(line).map_err(|broken| LineError::new(0, broken.code, broken.message))?;
    let bytes = unsigned(line)?.text.len() + PROOF_MAX;
    if bytes > LINE_MAX {
        let says = format!("the line has about {bytes} bytes, {LINE_MAX} is the limit");
        return Err(LineError::new(LINE_MAX, "line_too_long", says));
    }
    Ok(())
}

/// The canonical text of a proof, with its value or (as it is signed) without.
fn proof_text(created: &str, method: &str, value: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(400);
    out.push(b'{');
    text(&mut out, "created", created);
    text(&mut out, "cryptosuite", CRYPTOSUITE);
    text(&mut out, "proofPurpose", ASSERTION);
    if let Some(value) = value {
        text(&mut out, "proofValue", value);
    }
    text(&mut out, "type", PROOF_TYPE);
    text(&mut out, "verificationMethod", method);
    out.push(b'}');
    out
}

/// Verifies the seal of a line over its stored bytes, by this key.
///
/// The line must be canonical and its proof exactly what `key` writes: the constant members, `created` equal to `at`
/// cut to whole seconds, the method and the issuer those of `key`. The rest of the line is [`Line::parse`]'s to judge.
pub fn verify_proof(bytes: &[u8], key: &PublicKey) -> Result<(), LineError> {
    let places = places(bytes)?;
    let at = places.string(bytes, &places.at).and_then(|text| Moment::parse(text).ok());
    let at = at.ok_or(LineError::new(places.at.start, "line_at", "at is not a moment"))?;

    let did_url = key.did_url();
    let did = did_url.split_once('#').map_or("", |(did, _)| did);
    if places.string(bytes, &places.issuer) != Some(did) {
        let says = format!("the issuer is not {did}");
        return Err(LineError::new(places.issuer.start, "proof_issuer", says));
    }
    let start = places.proof.start;
    let wrong = |(code, says): (&'static str, String)| LineError::new(start, code, says);
    let Value::Object(members) = json::parse(&bytes[places.proof.clone()])? else {
        return Err(wrong(("line_field_type", "proof is not an object".to_owned())));
    };
    let proof = read_proof(&members).map_err(wrong)?;
    if proof.method != did_url {
        return Err(LineError::new(
            start,
            "proof_method",
            format!("the proof's method is not {did_url}"),
        ));
    }
    if proof.created != at.whole_seconds() {
        let says = "proof.created is not the line's moment cut to whole seconds";
        return Err(LineError::new(start, "proof_created", says));
    }
    let signature = integrity::read_proof_value(&proof.value).ok_or(LineError::new(
        start,
        "proof_value",
        "proof.proofValue is not z and 64 bytes in base58",
    ))?;

    let config = proof_text(&proof.created, &proof.method, None);
    let message = integrity::hash_pair(&config, &places.without_proof(bytes));
    key.verify(&message, &signature)
        .map_err(|bad| LineError::new(start, bad.code(), "the line's signature does not verify"))
}

/// Where the members that matter to the seal stand in the bytes.
struct Places {
    at: Range<usize>,
    issuer: Range<usize>,
    /// The proof's value.
    proof: Range<usize>,
    /// The proof's whole member, with one comma beside it.
    member: Range<usize>,
}

impl Places {
    /// The inside of a string value that has no escapes.
    fn string<'a>(&self, bytes: &'a [u8], place: &Range<usize>) -> Option<&'a str> {
        let inside = bytes[place.clone()].strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        std::str::from_utf8(inside).ok()
    }

    /// The canonical text of the line without its proof, in two parts: what the signature covers.
    fn without_proof<'a>(&self, bytes: &'a [u8]) -> [&'a [u8]; 2] {
        [&bytes[..self.member.start], &bytes[self.member.end..]]
    }
}

/// Finds the members of a line in one pass that also checks that the whole is canonical.
fn places(bytes: &[u8]) -> Result<Places, LineError> {
    let (mut at, mut issuer, mut proof) = (None, None, None);
    json::members(bytes, |key, start, value| match key {
        b"at" => at = Some(value),
        b"issuer" => issuer = Some(value),
        b"proof" => proof = Some((start, value)),
        _ => {}
    })?;
    let missing = |field| LineError::new(0, "line_missing_field", format!("{field} is missing"));
    let (start, proof) = proof.ok_or_else(|| missing("proof"))?;
    let first = bytes[start - 1] == b'{';
    let member = match first {
        false => start - 1..proof.end,
        true => start..proof.end + usize::from(bytes.get(proof.end) == Some(&b',')),
    };
    let at = at.ok_or_else(|| missing("at"))?;
    let issuer = issuer.ok_or_else(|| missing("issuer"))?;
    Ok(Places { at, issuer, proof, member })
}

/// Reads a proof strictly: exactly the six members, constants as they must be.
pub(super) fn read_proof(members: &Map<String, Value>) -> Result<Proof, (&'static str, String)> {
    let member = |name: &str| {
        let text = members.get(name).and_then(Value::as_str);
        text.ok_or_else(|| ("proof_member", format!("proof.{name} is missing or not a string")))
    };
    for (name, constant) in
        [("type", PROOF_TYPE), ("cryptosuite", CRYPTOSUITE), ("proofPurpose", ASSERTION)]
    {
        if member(name)? != constant {
            return Err(("proof_member", format!("proof.{name} is not {constant}")));
        }
    }
    let proof = Proof {
        created: member("created")?.to_owned(),
        method: member("verificationMethod")?.to_owned(),
        value: member("proofValue")?.to_owned(),
    };
    if members.len() != 6 {
        return Err(("proof_member", "proof has a member it must not have".to_owned()));
    }
    Ok(proof)
}
