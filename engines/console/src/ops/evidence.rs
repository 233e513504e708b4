//! `evidence`: any file or statement, its bytes kept encrypted in the case of the call.

use std::io::Read;

use serde::{Deserialize, Serialize};
use vm_contracts::{
    Asked, Draft, Fault, Field, Kind, Map, Operation, Port, Ports, Refusal, Spec, Value,
};

use super::{
    CALL, COUNT, DIGEST, EFFECTIVE_AT, Given, NAME_BYTES_MAX, OBSERVED_BY, SESSION, TEXT_BYTES_MAX,
    unknown_session,
};
use crate::state::State;

/// Takes evidence in.
pub struct Evidence;

/// Name of the port that opens what is taken in.
pub const SOURCES: &str = "sources";

/// Opens what is to be taken in.
pub trait Sources: Send {
    /// The bytes behind a handle that the caller gave: a path, or `-` for its standard input.
    fn open(&mut self, handle: &str) -> Result<Box<dyn Read + Send>, Fault>;
}

/// Name of the kept file in the case.
const KEPT: &str = "evidence";
/// Most bytes of one file.
const BYTES_MAX: u64 = vm_contracts::contract::OUTPUT_BYTES_MAX;

static SPEC: Spec = Spec {
    verb: "evidence",
    about: "Take any file or statement in as evidence",
    needs: "console.evidence",
    types: &["console_evidence"],
    fields: &[
        Field::new("evidence_type", Kind::Name(64), "what it is, such as test-report").filter(),
        Field::new("source", Kind::Text(TEXT_BYTES_MAX), "path of the file, or - for the input")
            .private(),
        Field::new("name", Kind::Text(512), "what it is called").optional().private(),
        Field::new("media_type", Kind::Name(NAME_BYTES_MAX), "such as application/json")
            .optional()
            .filter(),
        Field::new(
            "keep",
            Kind::Bool,
            "whether its bytes are kept, encrypted; they are if not given",
        )
        .optional(),
        SESSION.optional(),
        CALL.optional(),
        Field::new("note", Kind::Text(TEXT_BYTES_MAX), "why it is kept").optional().private(),
        Field::new(
            "content_hash",
            DIGEST,
            "digest of its bytes, by who read them before; refused if they are others now",
        )
        .optional()
        .private(),
        OBSERVED_BY,
        EFFECTIVE_AT,
        Field::new("size_bytes", COUNT, "how many bytes it has").computed(),
    ],
    example: r#"{"evidence_type":"test-report","source":"report.json","media_type":"application/json","session_id":"session-1","observed_by":"wrapper"}"#,
};

const PORTS: &[Port] = &[Port { name: SOURCES, about: "opens the file that is taken in" }];

/// What will be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Taking {
    body: Map<String, Value>,
    keep: bool,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Taken {
    size_bytes: u64,
}

impl Operation for Evidence {
    type State = State;
    type Intent = Given;
    type Plan = Taking;
    type Outcome = Taken;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn ports(&self) -> &'static [Port] {
        PORTS
    }

    fn plan(&self, state: &State, given: Given, asked: Asked<'_>) -> Result<Taking, Refusal> {
        given.sound(asked)?;
        if let Some(id) = given.text("session_id")
            && !state.sessions.contains(&id.to_owned())
        {
            return Err(unknown_session("session_id", id));
        }
        let keep = given.0.get("keep").and_then(Value::as_bool).unwrap_or(true);
        if !keep && given.text("content_hash").is_none() {
            let what = "neither the bytes nor their digest would be kept";
            return Err(Refusal::malformed("nothing_kept", what)
                .field("keep")
                .hint("Keep the bytes, or give --content-hash."));
        }
        Ok(Taking { body: given.kept(&SPEC), keep })
    }

    fn execute(
        &self,
        plan: Taking,
        hidden: &Map<String, Value>,
        ports: &mut Ports<'_>,
    ) -> Result<Taken, Fault> {
        let text = |name: &str| hidden.get(name).and_then(Value::as_str);
        let handle = text("source").unwrap_or_default().to_owned();
        let source = ports.get::<Box<dyn Sources>>(SOURCES)?.open(&handle)?;
        let mut counted = Counted { source, hasher: blake3::Hasher::new(), bytes: 0 };
        match plan.keep {
            true => ports.outputs().keep(KEPT, true, &mut counted)?,
            false => drain(&mut counted)?,
        }
        let found = format!("blake3:{}", counted.hasher.finalize().to_hex());
        if text("content_hash").is_some_and(|told| told != found) {
            let what = "what was read is not what was read before";
            return Err(Fault::new("content_changed", what)
                .hint("Somebody wrote to the file meanwhile. Record it again."));
        }
        Ok(Taken { size_bytes: counted.bytes })
    }

    fn drafts(&self, plan: Taking, outcome: Taken) -> Vec<Draft> {
        let mut body = plan.body;
        body.insert("size_bytes".to_owned(), Value::from(outcome.size_bytes));
        vec![Draft::new("console_evidence", body)]
    }
}

/// Reads a source whose bytes nobody keeps.
fn drain(source: &mut impl Read) -> Result<(), Fault> {
    let mut room = vec![0; 64 * 1024];
    loop {
        match source.read(&mut room) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Fault::new("source_unreadable", format!("read the source: {error}")));
            }
        }
    }
}

/// A source that counts and hashes what is read from it, and ends with an error where it is too long.
struct Counted {
    source: Box<dyn Read + Send>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(room)?;
        self.bytes = self.bytes.saturating_add(count as u64);
        if self.bytes > BYTES_MAX {
            let what = format!("it has more than {BYTES_MAX} bytes");
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, what));
        }
        self.hasher.update(&room[..count]);
        Ok(count)
    }
}
