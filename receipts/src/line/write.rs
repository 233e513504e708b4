//! The one place that writes a line: every member in the order RFC 8785 gives it.

use crate::hex;
use crate::json::{self, JsonError};
use crate::line::{Line, VERSION};
use crate::moment::Moment;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A line without its proof: the canonical text and the offset where `,"proof":{…}` belongs.
#[derive(Clone, Debug)]
pub(super) struct Unsigned {
    pub text: Vec<u8>,
    pub proof_at: usize,
}

/// Room for a line of usual length and its proof.
const CAPACITY: usize = 1_536;

/// Writes the canonical text of a line without its proof.
pub(super) fn unsigned(line: &Line) -> Result<Unsigned, JsonError> {
    let mut out = Vec::with_capacity(CAPACITY);
    out.push(b'{');
    text(&mut out, "actor", &line.actor);
    if let Some(proof) = &line.actor_proof {
        name(&mut out, "actor_proof");
        out.push(b'{');
        text(&mut out, "key", &proof.key);
        text(&mut out, "sig", &proof.sig);
        out.push(b'}');
    }
    if let Some(artifacts) = &line.artifacts {
        digest(&mut out, "artifacts", "sha256", &artifacts.0);
    }
    moment(&mut out, "at", line.at);
    name(&mut out, "authority");
    json::write_map(&mut out, &line.authority, 1)?;
    name(&mut out, "body");
    json::write_map(&mut out, &line.body, 1)?;
    name(&mut out, "context");
    context(&mut out, line);
    digest(&mut out, "contract", "blake3", &line.contract.0);
    text(&mut out, "end", line.end.word());
    text(&mut out, "id", &line.id);
    digest(&mut out, "intent", "blake3", &line.intent.0);
    text(&mut out, "issuer", &line.issuer);
    text(&mut out, "op", &line.op);
    name(&mut out, "part");
    out.push(b'{');
    number(&mut out, "n", u64::from(line.part.n));
    number(&mut out, "of", u64::from(line.part.of));
    out.push(b'}');
    name(&mut out, "prev");
    out.push(b'{');
    root(&mut out, &line.prev.root);
    number(&mut out, "size", line.prev.size);
    out.push(b'}');
    let proof_at = out.len();
    digest(&mut out, "root_hash", "blake3", &line.root_hash.0);
    text(&mut out, "scroll", &line.scroll);
    number(&mut out, "seq", line.seq);
    digest(&mut out, "state", "blake3", &line.state.0);
    name(&mut out, "tags");
    out.push(b'[');
    for (place, tag) in line.tags.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        json::write_string(&mut out, tag);
    }
    out.push(b']');
    text(&mut out, "type", &line.kind);
    number(&mut out, "v", VERSION.unsigned_abs());
    out.push(b'}');
    Ok(Unsigned { text: out, proof_at })
}

/// Writes the `context` member: what record documents carry too.
pub(super) fn context(out: &mut Vec<u8>, line: &Line) {
    out.push(b'{');
    if line.context.demo {
        name(out, "demo");
        out.extend_from_slice(b"true");
    }
    text(out, "node", &line.context.node);
    text(out, "surface", &line.context.surface);
    out.push(b'}');
}

/// Writes a member's name, with the comma that parts it from the member before it.
pub(super) fn name(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Writes a member that is a string.
pub(super) fn text(out: &mut Vec<u8>, member: &str, value: &str) {
    name(out, member);
    json::write_string(out, value);
}

/// Writes a member that is a number. Ranges are checked before.
pub(super) fn number(out: &mut Vec<u8>, member: &str, value: u64) {
    name(out, member);
    json::write_natural(out, value);
}

/// Writes a member that is a digest.
pub(super) fn digest(out: &mut Vec<u8>, member: &str, prefix: &str, value: &[u8; 32]) {
    name(out, member);
    out.push(b'"');
    out.extend_from_slice(prefix.as_bytes());
    out.push(b':');
    out.extend_from_slice(&hex::digits_32(value));
    out.push(b'"');
}

/// Writes a member that is a moment.
pub(super) fn moment(out: &mut Vec<u8>, member: &str, value: Moment) {
    name(out, member);
    out.push(b'"');
    out.extend_from_slice(&value.letters());
    out.push(b'"');
}

/// Writes `prev.root`.
fn root(out: &mut Vec<u8>, value: &[u8; 32]) {
    name(out, "root");
    out.push(b'"');
    let mut letters = [0; 44];
    let used = STANDARD.encode_slice(value, &mut letters).expect("32 bytes take 44 letters");
    out.extend_from_slice(&letters[..used]);
    out.push(b'"');
}
