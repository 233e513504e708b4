//! State of the console: what its receipts add up to.
//!
//! The fold is total. A receipt that breaks a rule, which the operations never write, is counted in `broken` and
//! changes nothing else, so that a forged or damaged history shows.

mod edits;
mod fold;

use std::ops::Bound;

use serde::{Deserialize, Serialize};
use vm_contracts::{Part, Projection, Slot, Table};

use crate::ops::DEPTH_MAX;
use crate::ops::agent_spawn::Ancestry;

/// Tokens and what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
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

/// How much happened in a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All calls: commands, other tools, and edits that no other receipt of their call tells of.
    pub calls: u64,
    /// Calls that a hook, a proxy or a wrapper saw.
    pub observed: u64,
    /// Calls without a result that nobody denied.
    pub open: u64,
    /// Commands that were run.
    pub commands: u64,
    /// Other tools that were called.
    pub tool_calls: u64,
    /// Calls that were kept from happening.
    pub denied: u64,
    /// Edits.
    pub edits: u64,
    /// Files that were edited.
    pub files: u64,
    /// Edits of files that somebody else had changed since.
    pub external: u64,
    /// Acts against the policy.
    pub violations: u64,
    /// Gaps.
    pub gaps: u64,
}

/// One session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Leaf index of its first start.
    pub seq: u64,
    /// Who recorded its first start.
    pub actor: String,
    /// The agent.
    pub agent_type: String,
    /// The model, where one was told.
    pub model_id: Option<String>,
    /// Who the agent acts for, as its first start said; whoever recorded that, if it did not.
    pub caller: String,
    /// Whoever cannot approve what it asks for: those who recorded its first and its last start, and those it acts for
    /// as these starts said.
    pub askers: Vec<String>,
    /// The project.
    pub project_id: Option<String>,
    /// How it is recorded.
    pub mode: String,
    /// Whether the ledger runs under a user that the agent is not.
    pub isolation: Option<String>,
    /// When it started first, Unix milliseconds.
    pub started_ms: i64,
    /// The latest that happened in it, Unix milliseconds.
    pub last_ms: i64,
    /// When it ended, unless it goes on.
    pub ended_ms: Option<i64>,
    /// Why it ended.
    pub exit_reason: Option<String>,
    /// How often it was started.
    pub starts: u64,
    /// What happened in it.
    pub counts: Counts,
    /// Tokens in all.
    pub usage: Usage,
    /// Tokens by model.
    pub models: Vec<(String, Usage)>,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// `command`, `tool_call` or `file_edit`.
    pub what: String,
    /// Leaf index of its first receipt.
    pub seq: u64,
    /// Leaf index of its result.
    pub result_seq: Option<u64>,
    /// When it began, Unix milliseconds.
    pub at_ms: i64,
    /// Who saw it.
    pub observed_by: String,
    /// Whether it was kept from happening.
    pub denied: bool,
    /// What the policy said.
    pub verdict: Option<String>,
    /// Which rule said so.
    pub rule: Option<String>,
}

/// What is known last of a file: of the edit that happened last, whenever it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Digest of its content, if the last edit knew it.
    pub content: Option<String>,
    /// Whether the last edit removed it or gave it another path.
    pub deleted: bool,
    /// The last edit.
    pub seen: Seen,
}

/// Where an edit is told, and when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its session.
    pub session: String,
    /// Who saw it.
    pub observed_by: String,
    /// Leaf index of its receipt.
    pub seq: u64,
    /// When it was made, Unix milliseconds; when it was recorded, if nobody told.
    pub at_ms: i64,
    /// The earliest that it can have been made: the least number if it was recorded afterwards and nobody told.
    pub since_ms: i64,
}

/// Edits of a file that left the same content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The last one by time.
    pub last: Seen,
    /// The first one by time.
    pub first: Seen,
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Leaf index of its first receipt.
    pub seq: u64,
    /// The call it is for.
    pub call_id: Option<String>,
    /// Kind of act.
    pub action_type: Option<String>,
    /// The rule that asks for it.
    pub rule: Option<String>,
    /// When it was asked for or decided first, Unix milliseconds.
    pub at_ms: i64,
    /// The actor of its first receipt.
    pub asked_by: String,
    /// How it was decided, once it was.
    pub approved: Option<bool>,
    /// Who decided, in the word of the actor who recorded it.
    pub approver: Option<String>,
    /// The actor who recorded the decision.
    pub decided_by: Option<String>,
    /// When it was decided, Unix milliseconds.
    pub decided_ms: Option<i64>,
    /// Until when it holds, Unix milliseconds.
    pub expires_ms: Option<i64>,
}

/// Leave that was given for a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The approval that gave it.
    pub approval_id: String,
    /// Until when it holds, Unix milliseconds.
    pub expires_ms: Option<i64>,
}

/// One commit, as it was recorded last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Leaf index of its receipt.
    pub seq: u64,
    /// When it was made, Unix milliseconds.
    pub at_ms: i64,
    /// Files that it changed.
    pub changed: u64,
    /// Files that edits explain.
    pub explained: u64,
    /// Files that none explains.
    pub unexplained: u64,
}

/// Where a session comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The session that spawned it.
    pub parent: String,
    /// Leaf index of the receipt that says so.
    pub seq: u64,
}

/// Receipts that break a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// How many.
    pub count: u64,
    /// Leaf index of the first one.
    pub first_seq: Option<u64>,
}

/// The state of the console.
#[derive(Debug, Default)]
pub struct State {
    /// Sessions by id.
    pub sessions: Table<String, Session>,
    /// Calls by session and id.
    pub calls: Table<(String, String), Call>,
    /// What is known last of each file.
    pub files: Table<String, File>,
    /// Edits by file and the content they left.
    pub edits: Table<(String, String), Edit>,
    /// Renames by the new file and the old one.
    pub renames: Table<(String, String), Seen>,
    /// How often each session edited each file.
    pub touched: Table<(String, String), u64>,
    /// Approvals by session and id.
    pub approvals: Table<(String, String), Approval>,
    /// Leave that stands, by session and call.
    pub granted: Table<(String, String), Grant>,
    /// Commits by project and id.
    pub commits: Table<(String, String), Commit>,
    /// The parent of each session that was spawned.
    pub parents: Table<String, Parent>,
    /// The ledger's clock at the last receipt, Unix milliseconds.
    pub last_at_ms: Slot<i64>,
    /// Receipts that break a rule.
    pub broken: Slot<Broken>,
}

impl Projection for State {
    const FOLD_VERSION: u32 = 1;

    fn parts(&mut self, visit: &mut dyn FnMut(&'static str, &mut dyn Part)) {
        visit("sessions", &mut self.sessions);
        visit("calls", &mut self.calls);
        visit("files", &mut self.files);
        visit("edits", &mut self.edits);
        visit("renames", &mut self.renames);
        visit("touched", &mut self.touched);
        visit("approvals", &mut self.approvals);
        visit("granted", &mut self.granted);
        visit("commits", &mut self.commits);
        visit("parents", &mut self.parents);
        visit("last_at_ms", &mut self.last_at_ms);
        visit("broken", &mut self.broken);
    }
}

impl Approval {
    /// Whether the one who decided said so himself. What somebody else says of him is kept, and is no leave.
    pub fn is_own(&self) -> bool {
        self.decided_by.is_some() && self.approver == self.decided_by
    }
}

impl State {
    /// The calls of a session.
    pub fn calls_of(&self, session: &str) -> Vec<(String, Call)> {
        // Ids are plain ASCII, so this bound stands after every one of them, in memory as in the index.
        let from = (session.to_owned(), String::new());
        let until = (session.to_owned(), char::MAX.to_string());
        let calls = self.calls.range(Bound::Included(&from), Bound::Excluded(&until));
        calls.map(|((_, id), call)| (id, call)).collect()
    }

    /// What stands above `parent`, if `child` came below it.
    pub fn ancestry(&self, parent: &str, child: &str) -> Ancestry {
        let mut above = parent.to_owned();
        for _ in 1..DEPTH_MAX {
            if above == child {
                return Ancestry::Cycle;
            }
            match self.parents.get(&above) {
                Some(next) => above = next.parent,
                None => return Ancestry::Free,
            }
        }
        Ancestry::TooDeep
    }
}
