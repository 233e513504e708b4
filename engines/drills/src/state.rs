//! State of the drills: what its receipts add up to.
//!
//! The fold is total. A receipt that breaks a rule, which the operations never write, is counted in `broken` and
//! changes nothing else, so that a forged or damaged history shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vm_contracts::{Line, Map, Moment, Part, Projection, Slot, Table, Value};
use vm_receipts::line::End;

use crate::outcome::{Outcome, from_pair};

/// One sealed drill, as much of it as reports and later calls ask about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// Leaf index of its receipt.
    pub seq: u64,
    /// When it was completed, Unix milliseconds.
    pub completed_ms: i64,
    /// Name of the runbook.
    pub runbook: String,
    /// Digest of the runbook.
    pub runbook_digest: String,
    /// How serious the subject is.
    pub severity: String,
    /// How many stages it has.
    pub stages: u64,
    /// Ids of the stages, where the receipt had room for them.
    pub stage_ids: Vec<String>,
    /// How many stages ended how, in the order of [`Outcome::ALL`].
    pub counts: [u64; 5],
    /// The worst outcome of each technique.
    pub techniques: BTreeMap<String, Outcome>,
    /// Noticed among run, in basis points.
    pub detection_rate_bp: Option<u64>,
    /// Median time to detect.
    pub time_to_detect_ms: Option<i64>,
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Id of the call that gave it.
    pub id: String,
    /// Who gave it.
    pub actor: String,
    /// Digest of the contract it is for.
    pub contract: String,
    /// The stages it is for; all that need one if there are none.
    pub stages: Vec<String>,
    /// Begin of the window, Unix milliseconds.
    pub from_ms: i64,
    /// End of the window, Unix milliseconds; the end itself is outside.
    pub until_ms: i64,
}

/// What a technique last came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The drill.
    pub drill_id: String,
    /// Its outcome there.
    pub outcome: Outcome,
    /// When that drill was completed, Unix milliseconds.
    pub completed_ms: i64,
    /// In how many drills it was tried.
    pub drills: u64,
}

/// One finding to act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The drill it comes from.
    pub drill_id: String,
    /// The stage it comes from.
    pub stage: String,
    /// How serious it is.
    pub severity: String,
    /// Who takes care of it.
    pub owner: Option<String>,
    /// Until when, RFC 3339.
    pub due: Option<String>,
    /// How it was resolved.
    pub resolution: Option<String>,
}

/// Receipts that break a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// How many.
    pub count: u64,
    /// Leaf index of the first one.
    pub first_seq: Option<u64>,
}

/// The state of the drills.
#[derive(Debug, Default)]
pub struct State {
    /// Sealed drills by id.
    pub drills: Table<String, Drill>,
    /// Approvals by the id of the drill.
    pub approvals: Table<String, Vec<Approval>>,
    /// Techniques that were ever tried.
    pub techniques: Table<String, Seen>,
    /// The drill that was sealed last.
    pub last: Slot<Option<String>>,
    /// Findings by their id.
    pub items: Table<String, Item>,
    /// Receipts that break a rule.
    pub broken: Slot<Broken>,
}

impl Projection for State {
    const FOLD_VERSION: u32 = 1;

    fn parts(&mut self, visit: &mut dyn FnMut(&'static str, &mut dyn Part)) {
        visit("drills", &mut self.drills);
        visit("approvals", &mut self.approvals);
        visit("techniques", &mut self.techniques);
        visit("last", &mut self.last);
        visit("items", &mut self.items);
        visit("broken", &mut self.broken);
    }
}

/// Text of a body.
pub fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name)?.as_str()
}

/// Texts of a list in a body; none if it is absent.
pub fn texts<'a>(body: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    let list = body.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A moment of a body, in Unix milliseconds.
pub fn time_ms(body: &Map<String, Value>, name: &str) -> Option<i64> {
    Some(Moment::parse(text(body, name)?).ok()?.unix_ms())
}

impl State {
    /// Takes one receipt in.
    pub fn fold(&mut self, line: &Line) {
        if line.end == End::Aborted {
            return;
        }
        let taken = match line.kind.as_str() {
            "security_drill_run" => self.fold_run(line),
            "drill_approval" => self.fold_approval(line),
            "drill_action_item" => self.fold_item(line),
            "drill_action_item_resolve" => self.fold_resolve(line),
            other if other.starts_with("drill_") => None,
            // `ledger_*` receipts belong to the ledger and change nothing here.
            _ => Some(()),
        };
        if taken.is_none() {
            let mut broken = self.broken.get().clone();
            broken.count = broken.count.saturating_add(1);
            broken.first_seq = broken.first_seq.or(Some(line.seq));
            self.broken.set(broken);
        }
    }

    fn fold_run(&mut self, line: &Line) -> Option<()> {
        let body = &line.body;
        let id = text(body, "drill_id")?.to_owned();
        if self.drills.contains(&id) || line.id != id {
            return None;
        }
        let count = |outcome: Outcome| body.get(outcome.word())?.as_u64();
        let mut counts = [0; 5];
        for (slot, outcome) in counts.iter_mut().zip(Outcome::ALL) {
            *slot = count(outcome)?;
        }
        let stages = body.get("stages_total")?.as_u64()?;
        if counts.iter().try_fold(0u64, |sum, n| sum.checked_add(*n)) != Some(stages) {
            return None;
        }
        let listed = body.get("stage_outcomes").and_then(Value::as_array);
        let stage_id = |entry: &Value| Some(entry.get("stage")?.as_str()?.to_owned());
        let mut techniques = BTreeMap::new();
        for pair in texts(body, "technique_outcomes") {
            let (technique, outcome) = from_pair(pair)?;
            techniques.insert(technique.to_owned(), outcome);
        }
        let drill = Drill {
            seq: line.seq,
            completed_ms: time_ms(body, "timestamp_completed")?,
            runbook: text(body, "runbook_name")?.to_owned(),
            runbook_digest: text(body, "runbook_digest")?.to_owned(),
            severity: text(body, "severity")?.to_owned(),
            stages,
            stage_ids: listed.into_iter().flatten().filter_map(stage_id).collect(),
            counts,
            techniques,
            detection_rate_bp: body.get("detection_rate_bp").and_then(Value::as_u64),
            time_to_detect_ms: body.get("time_to_detect_ms").and_then(Value::as_i64),
        };
        self.see(&id, &drill);
        self.last.set(Some(id.clone()));
        self.drills.insert(id, drill);
        Some(())
    }

    /// Remembers what each technique of a drill came to, if no later drill is known.
    fn see(&mut self, id: &str, drill: &Drill) {
        for (technique, outcome) in drill.techniques.iter().filter(|(_, outcome)| outcome.is_run())
        {
            let known = self.techniques.get(technique);
            let drills = known.as_ref().map_or(0, |k| k.drills).saturating_add(1);
            let later = known.filter(|k| k.completed_ms > drill.completed_ms);
            let seen = later.unwrap_or(Seen {
                drill_id: id.to_owned(),
                outcome: *outcome,
                completed_ms: drill.completed_ms,
                drills,
            });
            self.techniques.insert(technique.clone(), Seen { drills, ..seen });
        }
    }

    fn fold_approval(&mut self, line: &Line) -> Option<()> {
        let body = &line.body;
        let id = text(body, "drill_id")?.to_owned();
        let approval = Approval {
            id: line.id.clone(),
            actor: line.actor.clone(),
            contract: text(body, "contract")?.to_owned(),
            stages: texts(body, "stages").into_iter().map(str::to_owned).collect(),
            from_ms: time_ms(body, "from")?,
            until_ms: time_ms(body, "until")?,
        };
        if approval.from_ms >= approval.until_ms {
            return None;
        }
        let mut all = self.approvals.get(&id).unwrap_or_default();
        if all.len() >= crate::ops::APPROVALS_MAX {
            return None;
        }
        all.push(approval);
        self.approvals.insert(id, all);
        Some(())
    }

    fn fold_item(&mut self, line: &Line) -> Option<()> {
        let body = &line.body;
        let id = text(body, "item_id")?.to_owned();
        let drill_id = text(body, "drill_id")?.to_owned();
        if self.items.contains(&id) || !self.drills.contains(&drill_id) {
            return None;
        }
        let item = Item {
            drill_id,
            stage: text(body, "stage")?.to_owned(),
            severity: text(body, "severity")?.to_owned(),
            owner: text(body, "owner").map(str::to_owned),
            due: text(body, "due").map(str::to_owned),
            resolution: None,
        };
        self.items.insert(id, item);
        Some(())
    }

    fn fold_resolve(&mut self, line: &Line) -> Option<()> {
        let id = text(&line.body, "item_id")?.to_owned();
        let mut item = self.items.get(&id).filter(|item| item.resolution.is_none())?;
        item.resolution = Some(text(&line.body, "resolution")?.to_owned());
        self.items.insert(id, item);
        Some(())
    }
}
