//! A call: who asks for what, under which id.

use serde_json::Map;
use serde_json::Value;

/// Who asks. Pseudonyms, never names: a DID, or `local:<uid>` for a user of this machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Actor(pub String);

impl Actor {
    /// The operating system user with this number.
    pub fn local(uid: u32) -> Self {
        Self(format!("local:{uid}"))
    }
}

/// One request to change a scroll.
#[derive(Clone, Debug)]
pub struct Call {
    /// Idempotency key, scoped to the scroll; drawn by the ledger when absent.
    pub id: Option<String>,
    /// Who asks.
    pub actor: Actor,
    /// Which door the call came through: `cli`, `http`, `mcp`, `import`.
    pub surface: String,
    /// Name of the engine.
    pub engine: String,
    /// Verb of the operation.
    pub verb: String,
    /// The intent as given; checked against the operation's declaration before anything is decided.
    pub intent: Map<String, Value>,
    /// Short public words kept on each receipt of the call.
    pub tags: Vec<String>,
}
