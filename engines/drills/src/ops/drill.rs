//! `drill`: an exercise from a runbook, stage by stage, sealed with what was seen and what was missed.
//!
//! The plan holds the commands of the runbook as text. Nothing here runs them; a person does, or does not, and says
//! what came of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use vm_contracts::{
    Asked, Draft, Field, Kind, Moment, Plan, Refusal, RunView, Spec, Stage, StageDone, Staged,
};
use vm_receipts::digest::Blake3;

use super::{APPROVALS_MAX, ID, ID_BYTES_MAX, NOTE_BYTES_MAX, SEVERITY, moment, not_ahead, seal};
use crate::approval::{self, Deed};
use crate::attack::{TACTIC_BYTES_MAX, TECHNIQUE_BYTES_MAX, is_tactic};
use crate::catalogue::{self, BUILT_IN};
use crate::outcome::Outcome;
use crate::runbook::atomic::ARGUMENT_BYTES_MAX;
use crate::runbook::{
    self, Choice, NAME_BYTES_MAX, PLATFORM_BYTES_MAX, PLATFORMS_MAX, Runbook, SKILL_BYTES_MAX,
    SKILLS_MAX, STAGES_MAX, Step, TACTICS_MAX, TECHNIQUES_MAX, TITLE_BYTES_MAX, WORKFLOW_BYTES_MAX,
    WORKFLOWS_MAX,
};
use crate::state::State;
use crate::yaml::DOCUMENT_BYTES_MAX;

/// Longest prompt, in bytes.
const PROMPT_BYTES_MAX: usize = 2_000;
/// Most runbooks of a user's own catalogue, and the longest of them, so that a contract can hold them all.
const CATALOGUE_MAX: usize = 16;
/// Longest runbook of a user's own catalogue, in bytes.
const CATALOGUE_BYTES_MAX: usize = 128 << 10;
/// Largest integer that every JSON reader keeps exactly.
const EXACT_MAX: i64 = (1 << 53) - 1;
/// Most stages of one contract, as a bound of integers.
const STAGES: i64 = STAGES_MAX as i64;

/// The drill.
pub struct Drill;

/// The intent.
#[derive(Deserialize)]
pub struct Intent {
    runbook: Option<String>,
    prompt: Option<String>,
    catalogue: Option<Vec<String>>,
    platform: Option<String>,
    #[serde(default)]
    atomic: Vec<String>,
    #[serde(default)]
    arguments: Vec<Argument>,
    severity: Option<String>,
    title: Option<String>,
    #[serde(default)]
    tactics: Vec<String>,
}

/// One input argument of an Atomic procedure.
#[derive(Deserialize)]
pub struct Argument {
    name: String,
    value: String,
}

const ARGUMENT: &[Field] = &[
    Field::new("name", Kind::Name(NAME_BYTES_MAX), "name, as the file's input_arguments have it"),
    Field::new("value", Kind::Text(ARGUMENT_BYTES_MAX), "value; of the type that the file says"),
];

const OUTCOME_OF_STAGE: &[Field] = &[
    Field::new("stage", ID, "id of the stage"),
    Field::new("outcome", Kind::Choice(Outcome::WORDS), "what became of it"),
    Field::new("technique", Kind::Name(TECHNIQUE_BYTES_MAX), "its first technique").optional(),
    Field::new("time_to_detect_ms", Kind::Integer(0, EXACT_MAX), "from its start to its detection")
        .optional(),
];

const fn counted(name: &'static str, about: &'static str) -> Field {
    Field::new(name, Kind::Integer(0, STAGES), about).computed().filter()
}

const fn text_list(name: &'static str, most: usize, bytes: usize, about: &'static str) -> Field {
    Field::new(name, Kind::TextList(most, bytes), about).computed().filter()
}

static SPEC: Spec = Spec {
    verb: "drill",
    about: "Exercise a runbook stage by stage and keep what was seen and what was missed",
    needs: "drills.drill",
    types: &["security_drill_run"],
    fields: &[
        Field::new(
            "runbook",
            Kind::Document(DOCUMENT_BYTES_MAX),
            "runbook (VaultMesh, Atomic Red Team, Caldera); public, as the contract is",
        )
        .optional()
        .steering(),
        Field::new(
            "prompt",
            Kind::Text(PROMPT_BYTES_MAX),
            "what to exercise, in words; without a runbook one is found by it",
        )
        .optional()
        .private(),
        Field::new(
            "catalogue",
            Kind::Documents(CATALOGUE_MAX, CATALOGUE_BYTES_MAX),
            "runbooks to find one in; those that come with VaultMesh if none is given",
        )
        .optional()
        .steering(),
        Field::new(
            "platform",
            Kind::Name(PLATFORM_BYTES_MAX),
            "only stages that run on this platform",
        )
        .optional()
        .steering(),
        Field::new(
            "atomic",
            Kind::TextList(STAGES_MAX, SKILL_BYTES_MAX),
            "tests of an Atomic file, by GUID or by number from 1, in this order",
        )
        .optional()
        .steering(),
        Field::new(
            "arguments",
            Kind::List(64, ARGUMENT),
            "input arguments of Atomic tests; public, as the contract is",
        )
        .optional()
        .steering(),
        Field::new(
            "severity",
            SEVERITY,
            "how serious the subject is; as the runbook says if it is not given",
        )
        .optional()
        .filter(),
        Field::new("title", Kind::Text(TITLE_BYTES_MAX), "title; the runbook's if it is not given")
            .optional(),
        Field::new(
            "tactics",
            Kind::TextList(TACTICS_MAX, TACTIC_BYTES_MAX),
            "tactics of stages that name none; in the receipt those of all stages",
        )
        .optional()
        .filter(),
        Field::new("drill_id", ID, "id of the drill").computed().filter(),
        Field::new("timestamp_started", Kind::Time, "when it was opened").computed().filter(),
        Field::new("timestamp_completed", Kind::Time, "when its last stage was completed")
            .computed()
            .filter(),
        Field::new("status", Kind::Choice(&["completed"]), "how it ended").computed().filter(),
        counted("stages_total", "stages in the contract"),
        counted("stages_completed", "stages that were completed, as not run too"),
        text_list("domains", SKILLS_MAX, SKILL_BYTES_MAX, "skills of its stages, each once"),
        text_list("workflows", WORKFLOWS_MAX, WORKFLOW_BYTES_MAX, "their workflows, each once"),
        text_list("techniques", TECHNIQUES_MAX, TECHNIQUE_BYTES_MAX, "their ATT&CK techniques"),
        text_list("platforms", PLATFORMS_MAX, PLATFORM_BYTES_MAX, "their platforms"),
        text_list("outcomes", 5, 8, "outcomes that occur"),
        text_list(
            "technique_outcomes",
            TECHNIQUES_MAX,
            TECHNIQUE_BYTES_MAX + 9,
            "the worst outcome of each technique, such as T1566.001:missed",
        ),
        Field::new(
            "stage_outcomes",
            Kind::List(STAGES_MAX, OUTCOME_OF_STAGE),
            "what became of each stage, where the line has room",
        )
        .computed(),
        counted("blocked", "stages that were blocked"),
        counted("detected", "stages that were detected"),
        counted("logged", "stages that only a log shows"),
        counted("missed", "stages that nothing shows"),
        counted("not_run", "stages that were not tried"),
        Field::new(
            "detection_rate_bp",
            Kind::Integer(0, 10_000),
            "blocked and detected among those that were run, in basis points",
        )
        .computed()
        .filter(),
        Field::new(
            "time_to_detect_ms",
            Kind::Integer(0, EXACT_MAX),
            "median time from start to detection",
        )
        .computed()
        .filter(),
        Field::new("cleanup_verified", Kind::Bool, "whether whatever was run was cleaned up")
            .computed()
            .filter(),
        Field::new("proof_path", Kind::Text(200), "where the proof stands in the home").computed(),
        Field::new("artifacts_manifest", Kind::Text(200), "where the list of artefacts stands")
            .computed(),
        Field::new("runbook_name", Kind::Name(NAME_BYTES_MAX), "name of the runbook")
            .computed()
            .filter(),
        Field::new(
            "runbook_format",
            Kind::Choice(&["vaultmesh", "atomic", "caldera"]),
            "how it was written",
        )
        .computed()
        .filter(),
        Field::new("runbook_digest", Kind::Name(71), "digest of its text, blake3:…")
            .computed()
            .filter(),
        text_list("approvals", APPROVALS_MAX, ID_BYTES_MAX, "ids of the approvals it used"),
    ],
    example: r#"{"prompt":"ransomware on the file servers","title":"Quarterly tabletop"}"#,
};

/// What completing a stage takes.
pub const STAGE_FIELDS: &[Field] = &[
    Field::new("outcome", Kind::Choice(Outcome::WORDS), "what became of it"),
    Field::new("started_at", Kind::Time, "when it was begun").optional(),
    Field::new("detected_at", Kind::Time, "when it was blocked or detected; needs started_at")
        .optional(),
    Field::new("note", Kind::Text(NOTE_BYTES_MAX), "what happened").optional().private(),
    Field::new(
        "cleanup",
        Kind::Choice(&["done", "not_needed", "failed"]),
        "how the cleanup went; needed where a stage has one",
    )
    .optional(),
    Field::new(
        "prerequisites",
        Kind::Choice(&["met", "not_met"]),
        "whether they were there; needed where a stage has some",
    )
    .optional(),
];

impl Staged for Drill {
    type State = State;
    type Intent = Intent;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn stage_fields(&self) -> &'static [Field] {
        STAGE_FIELDS
    }

    fn plan(&self, _state: &State, intent: Intent, _asked: Asked<'_>) -> Result<Plan, Refusal> {
        if let Some(bad) = intent.tactics.iter().find(|t| !is_tactic(t)) {
            let what = format!("a tactic is written like initial-access, not {bad:?}");
            return Err(Refusal::malformed("bad_tactic", what).field("tactics"));
        }
        let source = source(&intent)?;
        Ok(hydrate(source, intent))
    }

    fn complete(
        &self,
        state: &State,
        run: RunView<'_>,
        done: &StageDone<'_>,
        asked: Asked<'_>,
    ) -> Result<(), Refusal> {
        let Some(stage) = run.contract.stage(done.stage) else {
            let what = format!("the contract has no stage {:?}", done.stage);
            return Err(Refusal::not_found("unknown_stage", what).field("stage"));
        };
        allowed(state, run, stage, &told(done.fields)?, asked.actor.0.as_str(), asked.at)
            .map(|_| ())
    }

    fn seal(
        &self,
        state: &State,
        run: RunView<'_>,
        _asked: Asked<'_>,
    ) -> Result<Vec<Draft>, Refusal> {
        Ok(vec![Draft::new("security_drill_run", seal::body(state, run)?)])
    }
}

/// A runbook and how it was come by.
struct Source {
    runbook: Runbook,
    digest: Blake3,
    why: Map<String, Value>,
    /// What of the prompt led here. It quotes a private text, so it stands in no file.
    notes: Vec<String>,
}

fn source(intent: &Intent) -> Result<Source, Refusal> {
    match (&intent.runbook, &intent.prompt) {
        (Some(_), _) if intent.catalogue.is_some() => {
            let what = "a runbook is given, and a catalogue to find one in";
            Err(Refusal::malformed("runbook_and_catalogue", what)
                .field("catalogue")
                .hint("Give one of them."))
        }
        (Some(text), _) => given(text, intent),
        (None, Some(prompt)) => matched(prompt, intent),
        (None, None) => {
            let what = "nothing says what to exercise";
            Err(Refusal::malformed("runbook_or_prompt_needed", what)
                .field("runbook")
                .hint("Give --runbook FILE, or --prompt and let the catalogue be searched."))
        }
    }
}

fn given(text: &str, intent: &Intent) -> Result<Source, Refusal> {
    let choice = Choice {
        platform: intent.platform.clone(),
        procedures: intent.atomic.clone(),
        arguments: intent.arguments.iter().map(|a| (a.name.clone(), a.value.clone())).collect(),
    };
    let runbook = runbook::read(text, &choice).map_err(|flaw| flaw.refusal("runbook"))?;
    let why = Map::from_iter([("how".to_owned(), Value::from("given"))]);
    Ok(Source { runbook, digest: Blake3::of(text.as_bytes()), why, notes: Vec::new() })
}

fn matched(prompt: &str, intent: &Intent) -> Result<Source, Refusal> {
    if !intent.atomic.is_empty() || !intent.arguments.is_empty() {
        let what = "procedures and arguments belong to an Atomic file, which is not given";
        return Err(Refusal::malformed("runbook_needed", what)
            .field("runbook")
            .hint("Give --runbook FILE."));
    }
    let documents: Vec<&str> = match &intent.catalogue {
        Some(own) => own.iter().map(String::as_str).collect(),
        None => BUILT_IN.to_vec(),
    };
    let found = catalogue::find(prompt, &documents, intent.platform.as_deref())?;
    let notes = vec![format!(
        "the prompt led to the runbook {} of {}, with {} points for: {}",
        found.runbook.name,
        found.considered,
        found.score,
        found.terms.join(", ")
    )];
    let why = [("how", Value::from("matched")), ("considered", Value::from(found.considered))];
    let why = why.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Source { runbook: found.runbook, digest: Blake3::of(found.text.as_bytes()), why, notes })
}

/// Makes the plan: each stage gets its place in front of its id, since a list may hold the same procedure twice.
fn hydrate(source: Source, intent: Intent) -> Plan {
    let Source { runbook, digest, why, notes } = source;
    let width = runbook.stages.len().to_string().len().max(2);
    let ids: Vec<String> =
        (1..).zip(&runbook.stages).map(|(n, s)| format!("{n:0width$}-{}", s.id)).collect();
    let places: BTreeMap<&str, &String> =
        runbook.stages.iter().map(|s| s.id.as_str()).zip(&ids).collect();
    let mut stages = Vec::with_capacity(ids.len());
    for (index, step) in runbook.stages.iter().enumerate() {
        let after = match &step.after {
            Some(local) => {
                local.iter().filter_map(|id| places.get(id.as_str()).copied().cloned()).collect()
            }
            None => index.checked_sub(1).map(|above| ids[above].clone()).into_iter().collect(),
        };
        stages.push(Stage {
            id: ids[index].clone(),
            order: u32::try_from(index + 1).unwrap_or(u32::MAX),
            skill: Some(step.skill.clone()),
            workflow: Some(step.workflow.clone()),
            role: Some(step.role.clone()),
            objective: step.objective.clone(),
            after,
            actions: step.actions.clone(),
            expected_outputs: step.expected_outputs.clone(),
            details: details(step, &intent.tactics),
        });
    }
    let about = [
        ("runbook_name", Value::from(runbook.name)),
        ("runbook_format", Value::from(runbook.format.word())),
        ("runbook_digest", Value::from(digest.to_string())),
        ("why", Value::Object(why)),
    ];
    Plan {
        title: intent.title.unwrap_or(runbook.title),
        severity: Some(
            intent.severity.or(runbook.severity).unwrap_or_else(|| "unknown".to_owned()),
        ),
        objectives: runbook.objectives,
        stages,
        details: about.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        notes,
    }
}

/// What the engine needs to know of a stage later. Absent means no, or none.
fn details(step: &Step, tactics: &[String]) -> Map<String, Value> {
    let tactics = if step.tactics.is_empty() { tactics } else { &step.tactics };
    let mut out = Map::new();
    let lists = [
        ("techniques", &step.techniques[..]),
        ("tactics", tactics),
        ("platforms", &step.platforms),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        out.insert(name.to_owned(), Value::from(list.to_vec()));
    }
    let flags = [
        ("elevated", step.elevated),
        ("destructive", step.destructive),
        ("needs_approval", step.elevated || step.destructive),
        ("cleanup", step.cleanup),
    ];
    for (name, _) in flags.into_iter().filter(|(_, set)| *set) {
        out.insert(name.to_owned(), Value::from(true));
    }
    if step.prerequisites > 0 {
        out.insert("prerequisites".to_owned(), Value::from(step.prerequisites));
    }
    if let Some(id) = &step.published_id {
        out.insert("published_id".to_owned(), Value::from(id.as_str()));
    }
    out
}

/// A flag of a stage.
pub(super) fn flag(stage: &Stage, name: &str) -> bool {
    stage.details.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// What a person said of a stage.
pub(super) struct Told {
    pub outcome: Outcome,
    pub started_at: Option<Moment>,
    pub detected_at: Option<Moment>,
    pub cleanup: Option<String>,
    prerequisites: Option<String>,
}

/// Reads the checked stage fields.
pub(super) fn told(fields: &Map<String, Value>) -> Result<Told, Refusal> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let time = |name: &str| text(name).map(|t| moment(name, t)).transpose();
    let Some(outcome) = text("outcome").and_then(Outcome::from_word) else {
        let what = format!("the outcome of a stage is one of {}", Outcome::WORDS.join(", "));
        return Err(Refusal::malformed("missing_field", what).field("outcome"));
    };
    Ok(Told {
        outcome,
        started_at: time("started_at")?,
        detected_at: time("detected_at")?,
        cleanup: text("cleanup").map(str::to_owned),
        prerequisites: text("prerequisites").map(str::to_owned),
    })
}

/// Whether a stage may be completed like this, and the approval that lets it, where it needs one. Sealing asks again,
/// as the files of an open run could have been changed by hand.
pub(super) fn allowed(
    state: &State,
    run: RunView<'_>,
    stage: &Stage,
    told: &Told,
    by: &str,
    at: Moment,
) -> Result<Option<String>, Refusal> {
    detection(told, at)?;
    if told.outcome == Outcome::NotRun {
        not_run(told)?;
        return Ok(None);
    }
    prepared(stage, told)?;
    if !flag(stage, "needs_approval") {
        return Ok(None);
    }
    let actors = [run.state.opened_by.as_str(), run.contract.actor.as_str(), by];
    let moments: Vec<Moment> = told.started_at.into_iter().chain([at]).collect();
    let contract = run.contract_digest.to_string();
    let (drill_id, stage) = (run.contract.id.as_str(), stage.id.as_str());
    let deed = Deed { drill_id, contract: &contract, stage, actors: &actors, moments: &moments };
    approval::covering(state, deed).map(Some)
}

/// A detection belongs to a noticed stage, follows its start, and lies not ahead of the clock.
fn detection(told: &Told, at: Moment) -> Result<(), Refusal> {
    for (name, time) in [("started_at", told.started_at), ("detected_at", told.detected_at)] {
        if let Some(time) = time {
            not_ahead(name, time, at)?;
        }
    }
    let Some(detected) = told.detected_at else { return Ok(()) };
    if !told.outcome.is_noticed() {
        let what = format!("a stage that was {} has no time of detection", told.outcome.word());
        return Err(Refusal::invariant("not_detected", what)
            .field("detected_at")
            .hint("The outcomes blocked and detected have one."));
    }
    match told.started_at {
        Some(started) if started <= detected => Ok(()),
        Some(started) => {
            let what = format!("detected at {detected}, before it was begun at {started}");
            Err(Refusal::invariant("detected_before_start", what).field("detected_at"))
        }
        None => {
            Err(Refusal::malformed("start_needed", "a time of detection without that of the start")
                .field("started_at")
                .hint("Give --started-at, so that the time to detect can be counted."))
        }
    }
}

/// A stage that was not run has nothing to tell of a run.
fn not_run(told: &Told) -> Result<(), Refusal> {
    match told.cleanup.as_deref().is_some_and(|c| c != "not_needed") || told.started_at.is_some() {
        true => {
            let what = "a stage that was not run has neither a start nor a cleanup";
            Err(Refusal::invariant("not_run_but_told", what).field("outcome"))
        }
        false => Ok(()),
    }
}

/// Prerequisites are there, and the cleanup is spoken of, where a stage has them.
fn prepared(stage: &Stage, told: &Told) -> Result<(), Refusal> {
    let prerequisites = stage.details.get("prerequisites").and_then(Value::as_u64).unwrap_or(0);
    match told.prerequisites.as_deref() {
        Some("not_met") => {
            let what =
                format!("stage {} was run although its prerequisites were not met", stage.id);
            return Err(Refusal::invariant("prerequisites_not_met", what)
                .field("prerequisites")
                .hint("Say --outcome not_run."));
        }
        None if prerequisites > 0 => {
            let what = format!("stage {} has {prerequisites} prerequisites", stage.id);
            return Err(Refusal::malformed("prerequisites_needed", what)
                .field("prerequisites")
                .hint("Say --prerequisites met, or --outcome not_run."));
        }
        _ => {}
    }
    match (flag(stage, "cleanup"), told.cleanup.as_deref()) {
        (true, None) => {
            let what = format!("stage {} has a cleanup, and nothing says how it went", stage.id);
            Err(Refusal::malformed("cleanup_needed", what)
                .field("cleanup")
                .hint("Say --cleanup done, not_needed or failed."))
        }
        // The receipt counts no cleanup of such a stage, so one that is told would get lost in it.
        (false, Some(how @ ("done" | "failed"))) => {
            let what = format!("stage {} has no cleanup that could be {how}", stage.id);
            Err(Refusal::invariant("no_cleanup", what)
                .field("cleanup")
                .hint("Leave --cleanup out; tell in --note what was undone."))
        }
        _ => Ok(()),
    }
}
