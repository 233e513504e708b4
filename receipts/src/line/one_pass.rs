//! The fast reader of a line: one pass over the bytes, no tree of the whole.
//!
//! Canonical JSON gives the members of a line one order, so a line that is well-formed has one shape, and this reader
//! walks along it. It only says yes or no: on no, the explaining reader in `read` finds out what is wrong. Both take
//! exactly the same lines; the tests of this module hold them against each other.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::base58;
use crate::digest::{Blake3, Sha256};
use crate::hex;
use crate::intent::ActorProof;
use crate::json::{Cursor, meaning};
use crate::line::{Context, End, LINE_MAX, Line, Part, Prev, Proof, rules};
use crate::moment::Moment;

/// What the seal of a line needs beside the line itself.
#[derive(Clone, Debug)]
pub(super) struct Seal {
    /// The proof's whole member, with the comma before it: what is cut out of the bytes that are signed.
    pub member: Range<usize>,
    pub signature: [u8; 64],
    /// The actor's own key and signature.
    pub actor: rules::Actor,
}

/// Reads one line without its LF; `None` for whatever `read::parse` refuses.
pub(super) fn parse(bytes: &[u8]) -> Option<(Line, Seal)> {
    if bytes.len() > LINE_MAX {
        return None;
    }
    let mut cursor = Cursor::new(std::str::from_utf8(bytes).ok()?);
    let (line, mut seal) = Fields(&mut cursor).line()?;
    cursor.finish().ok()?;
    seal.actor = rules::check(&line).ok()?;
    Some((line, seal))
}

struct Fields<'c, 'a>(&'c mut Cursor<'a>);

impl<'a> Fields<'_, 'a> {
    /// The members in canonical order. Every name brings the signs around it along.
    fn line(&mut self) -> Option<(Line, Seal)> {
        let actor = self.text(b"{\"actor\":")?;
        let actor_proof = self.actor_proof()?;
        let artifacts = match self.0.literal(b",\"artifacts\":\"sha256:") {
            true => Some(Sha256(self.hex()?)),
            false => None,
        };
        self.literal(b",\"at\":\"")?;
        let at_text = self.0.take_bytes::<24>()?;
        let at = Moment::from_letters(at_text)?;
        self.literal(b"\",\"authority\":")?;
        let authority = self.0.members::<Value>(1).ok()?;
        self.literal(b",\"body\":")?;
        let body = self.0.members::<Value>(1).ok()?;
        let context = self.context()?;
        let contract = self.blake3(b",\"contract\":\"blake3:")?;
        let end = self.end()?;
        let id = self.text(b",\"id\":")?;
        let intent = self.blake3(b",\"intent\":\"blake3:")?;
        let issuer = self.text(b",\"issuer\":")?;
        let op = self.text(b",\"op\":")?;
        let part = self.part()?;
        let prev = self.prev()?;
        let (proof, seal) = self.proof(at_text, &issuer)?;
        let root_hash = self.blake3(b",\"root_hash\":\"blake3:")?;
        let scroll = self.text(b",\"scroll\":")?;
        self.literal(b",\"seq\":")?;
        let seq = self.0.natural()?;
        let state = self.blake3(b",\"state\":\"blake3:")?;
        let tags = self.tags()?;
        let kind = self.text(b",\"type\":")?;
        self.literal(b",\"v\":1}")?;
        let proof = Some(proof);
        let line = Line {
            kind,
            op,
            scroll,
            seq,
            id,
            part,
            intent,
            issuer,
            actor,
            context,
            actor_proof,
            authority,
            at,
            end,
            contract,
            state,
            root_hash,
            artifacts,
            prev,
            tags,
            body,
            proof,
        };
        Some((line, seal))
    }

    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        self.0.literal(literal).then_some(())
    }

    /// What stands between the quotes of a string, escaped as it stands.
    fn raw(&mut self, name: &[u8]) -> Option<&'a str> {
        self.literal(name)?;
        self.string()
    }

    fn string(&mut self) -> Option<&'a str> {
        self.0.is_quote().then(|| self.0.string().ok())?
    }

    fn text(&mut self, name: &[u8]) -> Option<String> {
        self.raw(name).map(meaning)
    }

    /// 64 digits and the closing quote.
    fn hex(&mut self) -> Option<[u8; 32]> {
        let digits = self.0.take_bytes::<64>()?;
        self.literal(b"\"")?;
        hex::read_32(digits)
    }

    fn blake3(&mut self, name: &[u8]) -> Option<Blake3> {
        self.literal(name)?;
        self.hex().map(Blake3)
    }

    fn actor_proof(&mut self) -> Option<Option<ActorProof>> {
        if !self.0.literal(b",\"actor_proof\":{") {
            return Some(None);
        }
        let proof = ActorProof { key: self.text(b"\"key\":")?, sig: self.text(b",\"sig\":")? };
        self.literal(b"}")?;
        Some(Some(proof))
    }

    fn context(&mut self) -> Option<Context> {
        self.literal(b",\"context\":{")?;
        let demo = self.0.literal(b"\"demo\":true,");
        let node = self.text(b"\"node\":")?;
        let surface = self.text(b",\"surface\":")?;
        self.literal(b"}")?;
        Some(Context { surface, node, demo })
    }

    fn end(&mut self) -> Option<End> {
        self.literal(b",\"end\":\"")?;
        [End::Completed, End::Aborted].into_iter().find(|end| {
            let word: &[u8] = match end {
                End::Completed => b"completed\"",
                End::Aborted => b"aborted\"",
            };
            self.0.literal(word)
        })
    }

    fn part(&mut self) -> Option<Part> {
        self.literal(b",\"part\":{\"n\":")?;
        let n = u32::try_from(self.0.natural()?).ok()?;
        self.literal(b",\"of\":")?;
        let of = u32::try_from(self.0.natural()?).ok()?;
        self.literal(b"}")?;
        Some(Part { n, of })
    }

    fn prev(&mut self) -> Option<Prev> {
        let text = self.raw(b",\"prev\":{\"root\":")?;
        let mut root = [0; 33];
        if STANDARD.decode_slice(text, &mut root) != Ok(32) {
            return None;
        }
        self.literal(b",\"size\":")?;
        let size = self.0.natural()?;
        self.literal(b"}")?;
        Some(Prev { size, root: *root.first_chunk()? })
    }

    /// The proof, which says nothing that does not follow from the line but its signature.
    fn proof(&mut self, at: &[u8; 24], issuer: &str) -> Option<(Proof, Seal)> {
        let start = self.0.at();
        let created = self.raw(b",\"proof\":{\"created\":")?;
        self.literal(b",\"cryptosuite\":\"eddsa-jcs-2022\",\"proofPurpose\":\"assertionMethod\"")?;
        let value = self.raw(b",\"proofValue\":")?;
        self.literal(b",\"type\":\"DataIntegrityProof\"")?;
        let method = self.raw(b",\"verificationMethod\":")?;
        self.literal(b"}")?;
        let seconds = created.as_bytes().strip_suffix(b"Z")?;
        let fragment = method.strip_prefix(issuer)?.strip_prefix('#')?;
        if seconds != &at[..19] || issuer.strip_prefix("did:key:") != Some(fragment) {
            return None;
        }
        let signature = base58::decode_64(value.strip_prefix('z')?)?;
        let proof = Proof {
            created: created.to_owned(),
            method: method.to_owned(),
            value: value.to_owned(),
        };
        Some((proof, Seal { member: start..self.0.at(), signature, actor: None }))
    }

    fn tags(&mut self) -> Option<Vec<String>> {
        self.literal(b",\"tags\":[")?;
        let mut tags = Vec::new();
        if self.0.literal(b"]") {
            return Some(tags);
        }
        loop {
            tags.push(self.string().map(meaning)?);
            if self.0.literal(b"]") {
                return Some(tags);
            }
            self.literal(b",")?;
        }
    }
}

#[cfg(test)]
mod tests;
