//! The strict reader of a line: canonical bytes, exactly the known members, each of its type.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::intent::ActorProof;
use crate::json;
use crate::line::{
    Context, End, LINE_MAX, Line, LineError, Part, Prev, Proof, VERSION, proof, rules,
};
use crate::moment::Moment;

/// What is wrong with which top-level member; the byte is found afterwards, on this cold path only.
struct Fault {
    field: String,
    code: &'static str,
    message: String,
}

fn fault(field: &str, code: &'static str, message: impl Into<String>) -> Fault {
    Fault { field: field.to_owned(), code, message: message.into() }
}

/// Reads one line without its LF.
pub(super) fn parse(bytes: &[u8]) -> Result<Line, LineError> {
    if bytes.len() > LINE_MAX {
        let says = format!("the line has {} bytes, {LINE_MAX} is the limit", bytes.len());
        return Err(LineError::new(LINE_MAX, "line_too_long", says));
    }
    json::check_canonical(bytes)?;
    let Value::Object(members) = json::parse(bytes)? else {
        return Err(LineError::new(0, "json_not_an_object", "a line is a JSON object"));
    };
    read(members).map_err(|fault| locate(bytes, fault))
}

/// Turns a fault about a member into an error at its byte.
fn locate(bytes: &[u8], fault: Fault) -> LineError {
    let mut at = 0;
    let walked = json::members(bytes, |key, start, _| {
        if key == fault.field.as_bytes() {
            at = start;
        }
    });
    debug_assert!(walked.is_ok(), "the bytes were found canonical before");
    LineError::new(at, fault.code, fault.message)
}

fn read(members: Map<String, Value>) -> Result<Line, Fault> {
    let mut fields = Fields { members, path: "" };
    if fields.number("v")? != VERSION.unsigned_abs() {
        return Err(fault("v", "line_version", "v is not 1, the only version known here"));
    }
    let line = Line {
        kind: fields.text("type")?,
        op: fields.text("op")?,
        scroll: fields.text("scroll")?,
        seq: fields.number("seq")?,
        id: fields.text("id")?,
        part: part(&mut fields)?,
        intent: fields.parsed("intent")?,
        issuer: fields.text("issuer")?,
        actor: fields.text("actor")?,
        context: context(&mut fields)?,
        actor_proof: actor_proof(&mut fields)?,
        authority: fields.object("authority")?,
        at: moment(&mut fields)?,
        end: end(&mut fields)?,
        contract: fields.parsed("contract")?,
        state: fields.parsed("state")?,
        root_hash: fields.parsed("root_hash")?,
        artifacts: match fields.members.contains_key("artifacts") {
            true => Some(fields.parsed("artifacts")?),
            false => None,
        },
        prev: prev(&mut fields)?,
        tags: tags(&mut fields)?,
        body: fields.object("body")?,
        proof: Some(seal(&mut fields)?),
    };
    fields.finish()?;
    rules::check(&line).map_err(|broken| fault(broken.field, broken.code, broken.message))?;
    check_seal(&line)?;
    Ok(line)
}

/// Members of an object, taken out one by one; what is left at the end is unknown.
struct Fields {
    members: Map<String, Value>,
    /// The top-level member this object is the value of; empty for the line itself.
    path: &'static str,
}

impl Fields {
    /// The member of the line an error about `name` points at, and how the error calls it.
    fn name(&self, name: &str) -> (String, String) {
        match self.path {
            "" => (name.to_owned(), name.to_owned()),
            path => (path.to_owned(), format!("{path}.{name}")),
        }
    }

    fn wrong(&self, name: &str, code: &'static str, says: &str) -> Fault {
        let (field, called) = self.name(name);
        Fault { field, code, message: format!("{called} {says}") }
    }

    fn take(&mut self, name: &str) -> Result<Value, Fault> {
        let missing = "line_missing_field";
        self.members.remove(name).ok_or_else(|| self.wrong(name, missing, "is missing"))
    }

    fn text(&mut self, name: &str) -> Result<String, Fault> {
        match self.take(name)? {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(name, "line_field_type", "is not a string")),
        }
    }

    fn number(&mut self, name: &str) -> Result<u64, Fault> {
        let value = self.take(name)?;
        value
            .as_u64()
            .ok_or_else(|| self.wrong(name, "line_field_type", "is not an integer from 0 on"))
    }

    fn object(&mut self, name: &str) -> Result<Map<String, Value>, Fault> {
        match self.take(name)? {
            Value::Object(map) => Ok(map),
            _ => Err(self.wrong(name, "line_field_type", "is not an object")),
        }
    }

    fn inner(&mut self, name: &'static str) -> Result<Fields, Fault> {
        Ok(Fields { members: self.object(name)?, path: name })
    }

    fn parsed<T: FromStr>(&mut self, name: &str) -> Result<T, Fault> {
        let text = self.text(name)?;
        text.parse().map_err(|_| {
            self.wrong(name, "line_digest", "is not a digest: its name, a colon and 64 hex digits")
        })
    }

    fn finish(self) -> Result<(), Fault> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => {
                let shown: String = name.escape_default().take(64).collect();
                let (field, _) = self.name(name);
                let (_, called) = self.name(&shown);
                let message = format!("{called} is not a member of this version");
                Err(Fault { field, code: "line_unknown_field", message })
            }
        }
    }
}

fn part(line: &mut Fields) -> Result<Part, Fault> {
    let mut fields = line.inner("part")?;
    let mut number = |name| {
        let value = fields.number(name)?;
        u32::try_from(value).map_err(|_| fault("part", "line_part", "part is beyond its limit"))
    };
    let part = Part { n: number("n")?, of: number("of")? };
    fields.finish()?;
    Ok(part)
}

fn context(line: &mut Fields) -> Result<Context, Fault> {
    let mut fields = line.inner("context")?;
    let surface = fields.text("surface")?;
    let node = fields.text("node")?;
    let demo = match fields.members.remove("demo") {
        None => false,
        Some(Value::Bool(true)) => true,
        Some(_) => {
            return Err(fields.wrong("demo", "line_context", "is not true; left out, it is false"));
        }
    };
    fields.finish()?;
    Ok(Context { surface, node, demo })
}

fn actor_proof(line: &mut Fields) -> Result<Option<ActorProof>, Fault> {
    if !line.members.contains_key("actor_proof") {
        return Ok(None);
    }
    let mut fields = line.inner("actor_proof")?;
    let proof = ActorProof { key: fields.text("key")?, sig: fields.text("sig")? };
    fields.finish()?;
    Ok(Some(proof))
}

fn moment(line: &mut Fields) -> Result<Moment, Fault> {
    let text = line.text("at")?;
    Moment::parse(&text).map_err(|bad| fault("at", "line_at", format!("at: {bad}")))
}

fn end(line: &mut Fields) -> Result<End, Fault> {
    match line.text("end")?.as_str() {
        "completed" => Ok(End::Completed),
        "aborted" => Ok(End::Aborted),
        _ => Err(fault("end", "line_end", "end is neither completed nor aborted")),
    }
}

fn prev(line: &mut Fields) -> Result<Prev, Fault> {
    let mut fields = line.inner("prev")?;
    let size = fields.number("size")?;
    let text = fields.text("root")?;
    fields.finish()?;
    let root = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    let root =
        root.ok_or_else(|| fault("prev", "line_prev", "prev.root is not 32 bytes in base64"))?;
    Ok(Prev { size, root })
}

fn tags(line: &mut Fields) -> Result<Vec<String>, Fault> {
    let wrong = || fault("tags", "line_field_type", "tags is not a list of strings");
    let Value::Array(items) = line.take("tags")? else { return Err(wrong()) };
    items
        .into_iter()
        .map(|item| match item {
            Value::String(text) => Ok(text),
            _ => Err(wrong()),
        })
        .collect()
}

fn seal(line: &mut Fields) -> Result<Proof, Fault> {
    let members = line.object("proof")?;
    proof::read_proof(&members).map_err(|(code, message)| fault("proof", code, message))
}

/// What a proof must say given its own line, signature aside.
fn check_seal(line: &Line) -> Result<(), Fault> {
    let Some(proof) = &line.proof else { return Ok(()) };
    if proof.created != line.at.whole_seconds() {
        let says = "proof.created is not the line's moment cut to whole seconds";
        return Err(fault("proof", "proof_created", says));
    }
    let fragment = line.issuer.strip_prefix("did:key:").unwrap_or_default();
    let expected = proof.method.split_once('#');
    if expected != Some((line.issuer.as_str(), fragment)) {
        return Err(fault(
            "proof",
            "proof_method",
            "the proof's method is not a key of the issuer",
        ));
    }
    if crate::integrity::read_proof_value(&proof.value).is_none() {
        let says = "proof.proofValue is not z and 64 bytes in base58";
        return Err(fault("proof", "proof_value", says));
    }
    Ok(())
}
