//! `contract.json` and `state.json` with the pattern's words: what will be done, and how far it has come.
//!
//! A record needs neither file: both are derived from its line. Work that takes stages, effects or people keeps
//! them in `runs/<scroll>/<id>/`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vm_receipts::moment::Moment;

/// Most stages of one contract.
pub const STAGES_MAX: usize = 1_000;

/// A plan: what will happen, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Id of the run, the call and the case.
    pub id: String,
    /// Short title for people.
    pub title: String,
    /// How serious the subject is, where the domain has such a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What is to be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<String>,
    /// The stages in order.
    pub stages: Vec<Stage>,
}

/// One stage of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Id within the contract.
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
    /// Id of the run.
    pub run_id: String,
    /// How far the run has come.
    pub status: Status,
    /// The stages, in the contract's order.
    pub stages: Vec<StageState>,
    /// When the run was opened, RFC 3339.
    pub created_at: String,
    /// When it last changed, RFC 3339.
    pub updated_at: String,
    /// Short public words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Who, where and what else the receipt needs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub context: Map<String, Value>,
}

/// What has happened of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageState {
    /// Id of the stage.
    pub id: String,
    /// How far it has come.
    pub status: Status,
    /// Files in `outputs/` that it left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
}

impl Status {
    /// Whether the pattern lets a run or stage move from here to `next`.
    pub fn may_become(self, next: Status) -> bool {
        use Status::{Aborted, Completed, InProgress, Pending};
        matches!((self, next), (Pending, InProgress | Aborted) | (InProgress, Completed | Aborted))
    }
}

impl RunState {
    /// The state of a contract that nobody has begun.
    pub fn open(contract: &Contract, at: Moment) -> Self {
        let stage = |s: &Stage| StageState {
            id: s.id.clone(),
            status: Status::Pending,
            outputs: Vec::new(),
        };
        Self {
            run_id: contract.id.clone(),
            status: Status::Pending,
            stages: contract.stages.iter().map(stage).collect(),
            created_at: at.to_string(),
            updated_at: at.to_string(),
            tags: Vec::new(),
            context: Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_example_reads_and_opens() {
        let text = r#"{"id":"drill-1764691390","title":"IoT device bridging into OT","stages":[
            {"id":"stage-1","order":1,"skill":"iot-wireless-security","workflow":"Recon","role":"primary"}]}"#;
        let contract: Contract = serde_json::from_str(text).unwrap();
        let at = Moment::from_unix_ms(1_764_691_390_000).unwrap();
        let state = RunState::open(&contract, at);
        assert_eq!(state.stages[0].id, "stage-1");
        let back: RunState = serde_json::from_value(serde_json::to_value(&state).unwrap()).unwrap();
        assert_eq!(back, state);
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
