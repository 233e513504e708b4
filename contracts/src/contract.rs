//! `contract.json` and `state.json` with the pattern's words: what will be done, and how far it has come.
//!
//! A record needs neither file: both are derived from its line. Work that takes stages, effects or people keeps
//! them in `runs/<scroll>/<id>/` while it is open and in `cases/<scroll>/<id>/` once it is sealed.

use crate::call::Actor;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vm_receipts::digest::Blake3;
use vm_receipts::json::{self, JsonError};
use vm_receipts::moment::Moment;

/// Version of both formats.
pub const VERSION: u32 = 1;
/// Most stages of one contract.
pub const STAGES_MAX: usize = 1_000;
/// Longest contract.json or state.json, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 8 << 20;
/// Most files in `outputs/` of one run.
pub const OUTPUTS_MAX: usize = 4_096;
/// Longest path of one output, in bytes, `outputs/` included.
pub const OUTPUT_PATH_BYTES_MAX: usize = 255;
/// Largest single output, in bytes.
pub const OUTPUT_BYTES_MAX: u64 = 4 << 30;
/// Where outputs stand in a run or a case.
pub const OUTPUTS: &str = "outputs";

/// What an engine plans; the ledger adds who, when and where and makes a [`Contract`] of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Short title for people.
    pub title: String,
    /// How serious the subject is, where the domain has such a word.
    pub severity: Option<String>,
    /// What is to be reached.
    pub objectives: Vec<String>,
    /// The stages in order, at least one.
    pub stages: Vec<Stage>,
    /// What else the engine wants to remember of its plan; public, without private or secret values.
    pub details: Map<String, Value>,
    /// What whoever plans should know, and nobody else: shown once, kept nowhere. It may speak of private values.
    pub notes: Vec<String>,
}

/// A contract: what will happen, in order; who asked for it, when and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Format version.
    pub v: u32,
    /// Id of the run, the call and the case.
    pub id: String,
    /// The operation: `drills.drill`.
    pub op: String,
    /// Who asked.
    pub actor: String,
    /// Through which door: `cli`, `http`, `mcp`.
    pub surface: String,
    /// Name of the node.
    pub node: String,
    /// The moment the plan was made for, RFC 3339; planning again with it gives the same plan.
    pub planned_at: String,
    /// The intent without secrets, private values as digests, and the call's `tags`.
    pub intent: Map<String, Value>,
    /// Short title for people.
    pub title: String,
    /// How serious the subject is, where the domain has such a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What is to be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<String>,
    /// What else the engine planned.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub plan: Map<String, Value>,
    /// The stages in order.
    pub stages: Vec<Stage>,
}

/// One stage of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Id within the contract, `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
    pub id: String,
    /// Place from 1.
    pub order: u32,
    /// Skill or module it calls for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill: Option<String>,
    /// Workflow it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Role of the one who does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What it is to reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// Stages that must be completed before this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// What to do, step by step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// What should come out of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected_outputs: Vec<String>,
    /// What else the engine needs to know of this stage.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

/// How far a run or a stage has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not begun.
    Pending,
    /// Begun.
    InProgress,
    /// Done.
    Completed,
    /// Given up; still sealed.
    Aborted,
}

/// What has happened of a contract so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunState {
    /// Format version.
    pub v: u32,
    /// Id of the run.
    pub run_id: String,
    /// `blake3:<hex>` of the contract.json it was opened with.
    pub contract: String,
    /// How far the run has come.
    pub status: Status,
    /// Who opened it.
    pub opened_by: String,
    /// When the run was opened, RFC 3339.
    pub created_at: String,
    /// When it last changed, RFC 3339.
    pub updated_at: String,
    /// The stages, in the contract's order.
    pub stages: Vec<StageState>,
    /// What an operation's effects came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Value>,
    /// Why the run was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Abort>,
    /// Files that belong to no stage: what an operation's effects left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
}

/// Why and by whom a run was given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// Stable code: `aborted_by_actor`, `interrupted`, or the code of a fault.
    pub code: String,
    /// Who gave it up; the node itself where a run was interrupted.
    pub by: String,
    /// Digest of the reason, which is private.
    #[serde(rename = "_sd", default, skip_serializing_if = "Vec::is_empty")]
    pub sd: Vec<String>,
}

/// What has happened of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageState {
    /// Id of the stage.
    pub id: String,
    /// How far it has come.
    pub status: Status,
    /// When it was completed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
    /// Who completed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What was said of it: the operation's stage fields, private ones as digests.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// Files in `outputs/` that it left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Output>,
}

/// One file of a run, as it was when it was attached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Path relative to the run: `outputs/findings.md`. A private one is a stub that ends in `.private`.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// `blake3:<hex>` of its content.
    pub digest: String,
    /// `sha256:<hex>` of its content.
    pub sha256: String,
}

/// What an engine sees of a run.
#[derive(Clone, Copy, Debug)]
pub struct RunView<'a> {
    /// What was planned.
    pub contract: &'a Contract,
    /// Digest of contract.json: what an approval names.
    pub contract_digest: &'a Blake3,
    /// What has happened so far.
    pub state: &'a RunState,
}

/// What a person says of a stage when it is done.
#[derive(Clone, Debug)]
pub struct StageDone<'a> {
    /// Id of the stage.
    pub stage: &'a str,
    /// The operation's stage fields, checked; private ones in plain.
    pub fields: &'a Map<String, Value>,
    /// Files it left.
    pub outputs: &'a [Output],
}

impl Status {
    /// Whether the pattern lets a run or stage move from here to `next`.
    pub fn may_become(self, next: Status) -> bool {
        use Status::{Aborted, Completed, InProgress, Pending};
        matches!((self, next), (Pending, InProgress | Aborted) | (InProgress, Completed | Aborted))
    }

    /// Whether nothing more can happen.
    pub fn is_end(self) -> bool {
        matches!(self, Status::Completed | Status::Aborted)
    }

    /// The word in the files.
    pub fn word(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Aborted => "aborted",
        }
    }
}

impl Contract {
    /// The bytes of contract.json: canonical JSON (RFC 8785) and a line feed.
    ///
    /// # Errors
    /// A number outside the strict profile, in the intent or the engine's details.
    pub fn to_bytes(&self) -> Result<Vec<u8>, JsonError> {
        document(self)
    }

    /// The stage of this id.
    pub fn stage(&self, id: &str) -> Option<&Stage> {
        self.stages.iter().find(|s| s.id == id)
    }

    /// Who asked.
    pub fn actor(&self) -> Actor {
        Actor(self.actor.clone())
    }
}

impl RunState {
    /// The state of a contract that somebody has just opened.
    pub fn open(contract: &Contract, digest: &Blake3, by: &Actor, at: Moment) -> Self {
        let stage = |s: &Stage| StageState {
            id: s.id.clone(),
            status: Status::Pending,
            completed_at: None,
            by: None,
            fields: Map::new(),
            outputs: Vec::new(),
        };
        Self {
            v: VERSION,
            run_id: contract.id.clone(),
            contract: digest.to_string(),
            status: Status::InProgress,
            opened_by: by.0.clone(),
            created_at: at.to_string(),
            updated_at: at.to_string(),
            stages: contract.stages.iter().map(stage).collect(),
            outcome: None,
            fault: None,
            outputs: Vec::new(),
        }
    }

    /// The bytes of state.json: canonical JSON (RFC 8785) and a line feed.
    ///
    /// # Errors
    /// A number outside the strict profile.
    pub fn to_bytes(&self) -> Result<Vec<u8>, JsonError> {
        document(self)
    }

    /// The stage of this id.
    pub fn stage(&self, id: &str) -> Option<&StageState> {
        self.stages.iter().find(|s| s.id == id)
    }

    /// Every file of the run, whichever stage left it.
    pub fn all_outputs(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter().chain(self.stages.iter().flat_map(|s| &s.outputs))
    }

    /// Stages that may be completed now: not done, and everything before them is.
    pub fn ready<'a>(&'a self, contract: &'a Contract) -> impl Iterator<Item = &'a Stage> {
        contract.stages.iter().filter(|stage| {
            let open = |id: &str| self.stage(id).is_none_or(|s| s.status != Status::Completed);
            open(&stage.id) && !stage.after.iter().any(|id| open(id))
        })
    }
}

fn document<T: Serialize>(value: &T) -> Result<Vec<u8>, JsonError> {
    let value = serde_json::to_value(value).expect("plain data without foreign keys");
    let mut bytes = json::canonical(&value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_stage_of_the_pattern_reads() {
        let text = r#"{"id":"stage-1","order":1,"skill":"iot-wireless-security","workflow":"Recon","role":"primary"}"#;
        let stage: Stage = serde_json::from_str(text).unwrap();
        assert_eq!(
            serde_json::to_value(stage).unwrap(),
            serde_json::from_str::<Value>(text).unwrap()
        );
    }

    fn contract() -> Contract {
        let stages = [("a", vec![]), ("b", vec!["a"]), ("c", vec!["a", "b"])];
        let stage = |(n, (id, after)): (usize, (&str, Vec<&str>))| Stage {
            id: id.into(),
            order: n as u32 + 1,
            after: after.into_iter().map(str::to_owned).collect(),
            ..Stage::default()
        };
        Contract {
            v: VERSION,
            id: "r1".into(),
            op: "toy.work".into(),
            actor: "local:1".into(),
            surface: "cli".into(),
            node: "n".into(),
            planned_at: "2026-01-01T00:00:00.000Z".into(),
            intent: Map::new(),
            title: "t".into(),
            severity: None,
            objectives: Vec::new(),
            plan: Map::new(),
            stages: stages.into_iter().enumerate().map(stage).collect(),
        }
    }

    #[test]
    fn a_stage_is_ready_when_all_before_it_are_completed() {
        let contract = contract();
        let at = Moment::from_unix_ms(1_764_691_390_000).unwrap();
        let mut state = RunState::open(&contract, &Blake3([0; 32]), &Actor::local(1), at);
        let ready = |s: &RunState| s.ready(&contract).map(|s| s.id.clone()).collect::<Vec<_>>();
        assert_eq!(ready(&state), ["a"]);
        for (n, next) in ["b", "c"].iter().enumerate() {
            state.stages[n].status = Status::Completed;
            assert_eq!(ready(&state), [*next]);
        }
    }

    #[test]
    fn both_documents_read_back_from_their_bytes() {
        let contract = contract();
        let at = Moment::from_unix_ms(1_764_691_390_000).unwrap();
        let state = RunState::open(&contract, &Blake3([0; 32]), &Actor::local(1), at);
        let back: Contract = serde_json::from_slice(&contract.to_bytes().unwrap()).unwrap();
        assert_eq!(back, contract);
        let back: RunState = serde_json::from_slice(&state.to_bytes().unwrap()).unwrap();
        assert_eq!(back, state);
        assert!(serde_json::from_value::<RunState>(json!({"v": 1})).is_err());
    }

    #[test]
    fn a_finished_run_never_moves_again() {
        use Status::{Aborted, Completed, InProgress, Pending};
        for end in [Completed, Aborted] {
            assert!([Pending, InProgress, Completed, Aborted].iter().all(|n| !end.may_become(*n)));
        }
        assert!(!Pending.may_become(Completed));
    }
}
