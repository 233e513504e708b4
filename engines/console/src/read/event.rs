//! What foreign records say happened, in one form for all formats.

use serde_json::Value;
use vm_contracts::Moment;

/// One thing that happened in a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The session, as the source calls it.
    pub session: String,
    /// When, if the source says so.
    pub at: Option<Moment>,
    /// Where in the source: `line 12`.
    pub place: String,
    /// What happened.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Something is known of the session itself. What was known first stays.
    Facts(Box<Facts>),
    /// A person said something.
    Prompt(String),
    /// A tool is called.
    Call(Box<Call>),
    /// A tool came back.
    Result(Box<Outcome>),
    /// Somebody is asked whether a call may go on.
    Asked(Box<Call>),
    /// Tokens were used.
    Tokens(Tokens),
    /// The session is one that another session spawned.
    Spawned(Box<Spawned>),
    /// The session ended.
    End {
        /// Why.
        reason: String,
    },
}

/// What is known of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The agent: `claude-code`.
    pub agent_type: Option<String>,
    /// Its version.
    pub agent_version: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The directory it works in.
    pub cwd: Option<String>,
    /// Commit that was checked out.
    pub git_head: Option<String>,
    /// Whether it goes on from before.
    pub resumed: bool,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its id, unique in the session.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// What it is given.
    pub input: Value,
    /// Where it runs, if the source says so.
    pub cwd: Option<String>,
}

/// How a call came back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The call's id.
    pub call: String,
    /// Whether it failed.
    pub is_error: Option<bool>,
    /// Whether it was kept from happening.
    pub denied: bool,
    /// Whether it was stopped on the way.
    pub interrupted: bool,
    /// Exit code of a command.
    pub exit_code: Option<i64>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// What it gave back, or a command's output.
    pub output: Option<String>,
    /// A command's errors, where they are apart.
    pub errors: Option<String>,
    /// The file that the following is about, where the source names it again.
    pub path: Option<String>,
    /// Whether the file was left otherwise than the call asked for.
    pub unsure: bool,
    /// Content of the file before, where the source has it: `Some(None)` for a file that was not there.
    pub before: Option<Option<String>>,
    /// Content of the file after, where the source has it.
    pub after: Option<String>,
    /// Whether the file is new, where the source says so.
    pub created: Option<bool>,
    /// Lines added and removed, where the source has a patch.
    pub lines: Option<(u64, u64)>,
    /// A file that was read whole, and its content.
    pub read: Option<(String, String)>,
}

/// Tokens that one answer of a model took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Id of the answer: the same one is told several times, each time in full.
    pub answer: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Tokens put into caches.
    pub cache_write: u64,
    /// Tokens read from caches.
    pub cache_read: u64,
    /// Cost in millionths of a US dollar.
    pub cost_micros: u64,
}

/// How a session came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spawned {
    /// The session that spawned it.
    pub parent: String,
    /// The kind of agent.
    pub agent_type: Option<String>,
    /// The call that spawned it.
    pub call: Option<String>,
    /// What it was told to do.
    pub task: Option<String>,
}
