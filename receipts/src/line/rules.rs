//! What a line may hold: grammars of names and limits. Checked when a line is sealed and again when it is read.

use serde_json::Value;

use crate::intent::ActorProof;
use crate::json::INTEGER_MAX;
use crate::key::PublicKey;
use crate::line::{End, Line};
use crate::private;

/// How many lines one call may have: the most a batch holds.
pub const PARTS_MAX: u32 = 16_384;

/// How many tags a line may have.
pub const TAGS_MAX: usize = 32;

const TAG_MAX: usize = 64;
const ACTOR_MAX: usize = 256;
const NODE_MAX: usize = 128;
const NAME_MAX: usize = 64;

/// A broken rule: the member it is about, a stable code and what is wrong.
pub(super) struct Broken {
    pub field: &'static str,
    pub code: &'static str,
    pub message: String,
}

fn broken(field: &'static str, code: &'static str, message: impl Into<String>) -> Broken {
    Broken { field, code, message: message.into() }
}

/// `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`: a call's id, safe as a folder name.
pub fn is_id(text: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&text.len())
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.as_bytes().iter().all(word)
}

/// `[a-z][a-z0-9-]{0,31}`: the name of a scroll.
pub fn is_scroll(text: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    (1..=32).contains(&text.len())
        && text.as_bytes()[0].is_ascii_lowercase()
        && text.as_bytes().iter().all(word)
}

/// Snake case, at most 64 bytes: `treasury_credit`.
pub fn is_type(text: &str) -> bool {
    text.len() <= NAME_MAX
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('_').all(|part| !part.is_empty() && part.bytes().all(is_word))
}

/// Snake case names with dots between them, at most 64 bytes: `treasury.transfer`.
pub fn is_op(text: &str) -> bool {
    text.len() <= NAME_MAX && text.split('.').all(is_type)
}

/// The name of a field at the top of a body: snake case, at most 64 bytes.
pub fn is_field_name(text: &str) -> bool {
    is_type(text)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_graphic(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_actor(text: &str) -> bool {
    let rest = text.strip_prefix("did:").or_else(|| text.strip_prefix("local:"));
    is_graphic(text, ACTOR_MAX) && rest.is_some_and(|rest| !rest.is_empty())
}

/// Whether a text looks like the did:key of an Ed25519 key. Whether it is one shows when it verifies.
fn is_issuer(text: &str) -> bool {
    let digits = text.strip_prefix("did:key:z6Mk").map(str::as_bytes);
    digits.is_some_and(|digits| {
        let base58 =
            |byte: &u8| byte.is_ascii_alphanumeric() && !matches!(byte, b'0' | b'O' | b'I' | b'l');
        digits.len() == 44 && digits.iter().all(base58)
    })
}

/// The actor's key and signature, where a line carries them.
pub(super) type Actor = Option<(PublicKey, [u8; 64])>;

/// Checks everything about a line but its proof and its size; gives the actor's proof as it was read on the way.
pub(super) fn check(line: &Line) -> Result<Actor, Broken> {
    names(line)?;
    numbers(line)?;
    tags(&line.tags)?;
    authority(line)?;
    body(line)?;
    let actor = line.actor_proof.as_ref().map(ActorProof::read).transpose();
    actor.map_err(|error| broken("actor_proof", error.code(), error.to_string()))
}

fn names(line: &Line) -> Result<(), Broken> {
    let rule = |fits: bool, field, code, says: &str| match fits {
        true => Ok(()),
        false => Err(broken(field, code, format!("{field} is not {says}"))),
    };
    rule(is_type(&line.kind), "type", "line_type", "a snake_case name")?;
    rule(is_op(&line.op), "op", "line_op", "snake_case names with dots between them")?;
    rule(is_scroll(&line.scroll), "scroll", "line_scroll", "a lower-case scroll name")?;
    rule(is_id(&line.id), "id", "line_id", "an id of 1 to 64 letters, digits, dots, _ and -")?;
    rule(is_issuer(&line.issuer), "issuer", "line_issuer", "the did:key of an Ed25519 key")?;
    rule(is_actor(&line.actor), "actor", "line_actor", "a DID or local:<uid>")?;
    let surface = &line.context.surface;
    rule(is_scroll(surface), "context", "line_context", "complete: surface is a lower-case name")?;
    let node = is_graphic(&line.context.node, NODE_MAX);
    rule(node, "context", "line_context", "complete: node is 1 to 128 visible ASCII characters")
}

fn numbers(line: &Line) -> Result<(), Broken> {
    if line.seq > INTEGER_MAX as u64 {
        return Err(broken("seq", "line_seq", "seq is beyond 2^53-1"));
    }
    if line.prev.size > line.seq {
        return Err(broken("prev", "line_prev", "prev.size is beyond the line's own place"));
    }
    let part = line.part;
    if part.n < 1 || part.n > part.of || part.of > PARTS_MAX {
        let says = format!("part {} of {} is not a place in a call", part.n, part.of);
        return Err(broken("part", "line_part", says));
    }
    Ok(())
}

fn tags(tags: &[String]) -> Result<(), Broken> {
    if tags.len() > TAGS_MAX {
        return Err(broken("tags", "line_tags", format!("there are more than {TAGS_MAX} tags")));
    }
    for (at, tag) in tags.iter().enumerate() {
        let short = (1..=TAG_MAX).contains(&tag.len()) && !tag.contains(char::is_control);
        if !short {
            let says = format!("tag {at} is not 1 to {TAG_MAX} bytes without control characters");
            return Err(broken("tags", "line_tags", says));
        }
        if tags[..at].contains(tag) {
            return Err(broken("tags", "line_tags", format!("tag {at} stands twice")));
        }
    }
    Ok(())
}

fn authority(line: &Line) -> Result<(), Broken> {
    if !line.authority.get("mode").and_then(Value::as_str).is_some_and(is_type) {
        return Err(broken("authority", "line_authority", "authority.mode is not a name"));
    }
    private::check_public(&line.authority)
        .map_err(|error| broken("authority", error.code(), error.to_string()))
}

fn body(line: &Line) -> Result<(), Broken> {
    private::check_body(&line.body)
        .map_err(|error| broken("body", error.code(), error.to_string()))?;
    let odd = line.body.keys().find(|name| !is_field_name(name) && *name != private::SD);
    if let Some(name) = odd {
        let says = format!("body.{} is not a snake_case name", name.escape_default());
        return Err(broken("body", "line_field_name", says));
    }
    if line.end == End::Aborted {
        let code = line.body.get("fault").and_then(|fault| fault.get("code"));
        if !code.and_then(Value::as_str).is_some_and(is_type) {
            return Err(broken("body", "line_fault", "an aborted line has body.fault.code"));
        }
        if line.part.of != 1 {
            return Err(broken("part", "line_part", "an aborted call has exactly one line"));
        }
    }
    Ok(())
}
