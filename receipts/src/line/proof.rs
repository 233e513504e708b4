//! Sealing a line and verifying its seal, both over the bytes that are stored.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::integrity::{self, ASSERTION, CRYPTOSUITE, PROOF_TYPE};
use crate::intent::{self, ActorProofError};
use crate::json;
use crate::key::{PublicKey, SecretKey};
use crate::line::one_pass::{self, Seal};
use crate::line::write::{Unsigned, name, text, unsigned};
use crate::line::{LINE_MAX, Line, LineError, Proof, Sealed, read, rules};
use crate::moment::Moment;

/// Bytes of the longest proof with its name and comma: 88 characters of value, a did:key method.
const PROOF_MAX: usize = 400;

/// A line that keeps all rules and fits, written once and waiting for its signature.
#[derive(Clone, Debug)]
pub struct Prepared {
    line: Line,
    unsigned: Unsigned,
}

impl Prepared {
    /// Checks a line and writes it.
    pub(super) fn new(line: Line) -> Result<Prepared, LineError> {
        let prepared = Prepared::of_any_length(line)?;
        let bytes = prepared.bytes_max();
        if bytes > LINE_MAX {
            let says = format!("the line has about {bytes} bytes, {LINE_MAX} is the limit");
            return Err(LineError::new(LINE_MAX, "line_too_long", says));
        }
        Ok(prepared)
    }

    pub(super) fn of_any_length(line: Line) -> Result<Prepared, LineError> {
        rules::check(&line).map_err(|broken| LineError::new(0, broken.code, broken.message))?;
        let unsigned = unsigned(&line)?;
        Ok(Prepared { line, unsigned })
    }

    /// The line, without a proof of its own.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Most bytes the line has once it is sealed, without its LF.
    pub fn bytes_max(&self) -> usize {
        self.unsigned.text.len() + PROOF_MAX
    }

    /// Signs what was written and puts the proof in its sorted place.
    ///
    /// # Errors
    /// An `issuer` that is not the key's.
    pub fn seal(self, key: &SecretKey) -> Result<Sealed, LineError> {
        let Prepared { mut line, unsigned } = self;
        if line.issuer != key.did() {
            let says = "issuer is not the did:key of the key that seals";
            return Err(LineError::new(0, "line_issuer", says));
        }
        let Unsigned { text: mut bytes, proof_at } = unsigned;
        let created = line.at.whole_seconds();
        let method = key.did_url().to_owned();
        let message = integrity::hash_pair(&options(&created, &method), &[&bytes]);
        let value = integrity::proof_value(&key.sign(&message));

        let tail = bytes.len();
        write_proof(&mut bytes, &created, &method, &value);
        // The proof moves in front of the members that sort after it.
        let proof = bytes.len() - tail;
        bytes[proof_at..].rotate_right(proof);
        if bytes.len() > LINE_MAX {
            let says = format!("the line has {} bytes, {LINE_MAX} is the limit", bytes.len());
            return Err(LineError::new(LINE_MAX, "line_too_long", says));
        }
        line.proof = Some(Proof { created, method, value });
        Ok(Sealed { line, bytes })
    }
}

/// The canonical text of a proof as it is signed, in parts.
fn options<'a>(created: &'a str, method: &'a str) -> [&'a [u8]; 5] {
    [
        b"{\"created\":\"",
        created.as_bytes(),
        b"\",\"cryptosuite\":\"eddsa-jcs-2022\",\"proofPurpose\":\"assertionMethod\",\
          \"type\":\"DataIntegrityProof\",\"verificationMethod\":\"",
        method.as_bytes(),
        b"\"}",
    ]
}

/// Writes the member `proof` with the comma before it.
fn write_proof(out: &mut Vec<u8>, created: &str, method: &str, value: &str) {
    name(out, "proof");
    out.push(b'{');
    text(out, "created", created);
    text(out, "cryptosuite", CRYPTOSUITE);
    text(out, "proofPurpose", ASSERTION);
    text(out, "proofValue", value);
    text(out, "type", PROOF_TYPE);
    text(out, "verificationMethod", method);
    out.push(b'}');
}

/// A line as it is stored, read once: what it says, and what its seal needs.
#[derive(Clone, Debug)]
pub struct Stored<'a> {
    line: Line,
    bytes: &'a [u8],
    seal: Seal,
}

impl<'a> Stored<'a> {
    /// Reads one line without its LF, as strictly as [`Line::parse`].
    ///
    /// # Errors
    /// Whatever [`Line::parse`] refuses.
    pub fn read(bytes: &'a [u8]) -> Result<Stored<'a>, LineError> {
        let (line, seal) = one_pass::parse(bytes).ok_or(()).or_else(|()| explained(bytes))?;
        // Builds that check themselves hold the two readers against each other on every line.
        debug_assert_eq!(read::parse(bytes).as_ref(), Ok(&line));
        Ok(Stored { line, bytes, seal })
    }

    /// What the line says.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// What the line says, kept.
    pub fn into_line(self) -> Line {
        self.line
    }

    /// Verifies the actor's own signature over the intent in this ledger; `None` where the line carries none.
    pub fn verify_actor(&self, ledger_id: &str) -> Option<Result<(), ActorProofError>> {
        let read = self.seal.actor.as_ref()?;
        Some(intent::verify_read(read, ledger_id, &self.line.id, &self.line.intent))
    }

    /// Verifies the seal over the stored bytes, by the key of its issuer.
    ///
    /// # Errors
    /// Whatever [`verify_proof`] says.
    pub fn verify(&self, issuer: &Issuer) -> Result<(), LineError> {
        // Reading has made sure that the method is the issuer's and that `created` follows from `at`.
        let proof = self.line.proof.as_ref().filter(|_| self.line.issuer == issuer.did);
        let message = proof.map(|proof| {
            let Range { start, end } = self.seal.member;
            let document = [&self.bytes[..start], &self.bytes[end..]];
            integrity::hash_pair(&options(&proof.created, &proof.method), &document)
        });
        match message.map(|message| issuer.key.verify(&message, &self.seal.signature)) {
            Some(Ok(())) => Ok(()),
            // Another way over the same bytes finds out what is wrong and where.
            _ => verify_members(self.bytes, &issuer.key),
        }
    }
}

/// What stops a line, or what the fast reader should have taken.
fn explained(bytes: &[u8]) -> Result<(Line, Seal), LineError> {
    let line = read::parse(bytes)?;
    debug_assert!(false, "the two readers of a line disagree");
    let places = places(bytes)?;
    let value = line.proof.as_ref().map_or("", |proof| &proof.value);
    let signature = integrity::read_proof_value(value);
    let signature = signature.ok_or(LineError::new(0, "proof_value", "the proof is malformed"))?;
    let actor = line.actor_proof.as_ref().and_then(|proof| proof.read().ok());
    Ok((line, Seal { member: places.member, signature, actor }))
}

/// A public key with its name, worked out once for all the lines it sealed.
#[derive(Clone, Debug)]
pub struct Issuer {
    key: PublicKey,
    did: String,
}

impl Issuer {
    /// The issuer with this key.
    pub fn new(key: PublicKey) -> Issuer {
        Issuer { key, did: key.did() }
    }

    /// Its `did:key`.
    pub fn did(&self) -> &str {
        &self.did
    }
}

/// Verifies the seal of a line over its stored bytes, by this key.
///
/// The line must be canonical and its proof exactly what `key` writes: the constant members, `created` equal to `at`
/// cut to whole seconds, the method and the issuer those of `key`. The rest of the line is [`Line::parse`]'s to judge.
pub fn verify_proof(bytes: &[u8], key: &PublicKey) -> Result<(), LineError> {
    match one_pass::parse(bytes) {
        Some((line, seal)) => Stored { line, bytes, seal }.verify(&Issuer::new(*key)),
        None => verify_members(bytes, key),
    }
}

/// As [`verify_proof`], member by member, of any canonical object with a proof.
pub(super) fn verify_members(bytes: &[u8], key: &PublicKey) -> Result<(), LineError> {
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

    let config = options(&proof.created, &proof.method);
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
