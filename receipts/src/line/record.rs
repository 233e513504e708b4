//! contract.json and state.json of a record, built from line fields alone.
//!
//! A record has no run, so nobody wrote these files; they follow from the line by the template of `SPEC.md` section 7,
//! and anyone who has the line can make them again. They are the same for all lines of one call.

use crate::bundle::{self, Leaf};
use crate::digest::Blake3;
use crate::line::write::{context, digest, moment, name, number, text};
use crate::line::{Line, VERSION};

/// The bytes of contract.json and state.json of a record.
///
/// Uses version, id, op, scroll, actor, context, intent, at, end and the number of parts; not the digests, so that they
/// can be computed from a line that does not have them yet.
pub fn record_documents(line: &Line) -> (Vec<u8>, Vec<u8>) {
    (contract(line), state(line))
}

/// The digests of a record's contract and state, and the root over the two as a case bundle.
pub fn record_digests(line: &Line) -> (Blake3, Blake3, Blake3) {
    let (contract, state) = record_documents(line);
    let leaf = |path: &str, bytes: &[u8]| Leaf {
        path: path.to_owned(),
        size: bytes.len() as u64,
        digest: Blake3::of(bytes),
    };
    let (contract, state) = (leaf("contract.json", &contract), leaf("state.json", &state));
    let root = bundle::root_of_two(&contract, &state);
    (contract.digest, state.digest, root)
}

fn contract(line: &Line) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.push(b'{');
    text(&mut out, "actor", &line.actor);
    name(&mut out, "context");
    context(&mut out, line);
    text(&mut out, "id", &line.id);
    digest(&mut out, "intent", "blake3", &line.intent.0);
    text(&mut out, "op", &line.op);
    moment(&mut out, "planned_at", line.at);
    text(&mut out, "scroll", &line.scroll);
    name(&mut out, "stages");
    out.extend_from_slice(b"[]");
    number(&mut out, "v", VERSION.unsigned_abs());
    out.push(b'}');
    out
}

fn state(line: &Line) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.push(b'{');
    moment(&mut out, "created_at", line.at);
    text(&mut out, "id", &line.id);
    number(&mut out, "receipts", u64::from(line.part.of));
    name(&mut out, "stages");
    out.extend_from_slice(b"[]");
    text(&mut out, "status", line.end.word());
    moment(&mut out, "updated_at", line.at);
    number(&mut out, "v", VERSION.unsigned_abs());
    out.push(b'}');
    out
}
