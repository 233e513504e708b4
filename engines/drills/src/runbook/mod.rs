//! Runbooks: what an exercise does, stage by stage, however the file was written.
//!
//! Three formats are read: our own ([`own`]), Atomic Red Team ([`atomic`]) and Caldera abilities ([`caldera`]).
//! They are told apart by what stands in them. Nothing of a runbook is ever executed here; commands are text
//! that a person reads.

pub mod atomic;
pub mod caldera;
pub mod fields;
pub mod own;

use crate::yaml::{self, Content, Flaw, Node, Place};

/// Most stages of one runbook: what a contract takes.
pub const STAGES_MAX: usize = vm_contracts::contract::STAGES_MAX;
/// Longest name of a runbook, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest title, in bytes.
pub const TITLE_BYTES_MAX: usize = 200;
/// Longest line of text (objective, skill description), in bytes.
pub const LINE_BYTES_MAX: usize = 500;
/// Longest action, in bytes; commands of published procedures have up to about 6,000.
pub const ACTION_BYTES_MAX: usize = 16_384;
/// Most actions of one stage.
pub const ACTIONS_MAX: usize = 64;
/// Most expected outputs of one stage.
pub const OUTPUTS_MAX: usize = 32;
/// Longest skill, in bytes.
pub const SKILL_BYTES_MAX: usize = 64;
/// Longest workflow, in bytes.
pub const WORKFLOW_BYTES_MAX: usize = 100;
/// Longest role, in bytes.
pub const ROLE_BYTES_MAX: usize = 32;
/// Longest platform, in bytes.
pub const PLATFORM_BYTES_MAX: usize = 32;
/// Most skills of one runbook, so that a receipt can list them.
pub const SKILLS_MAX: usize = 32;
/// Most workflows of one runbook, so that a receipt can list them.
pub const WORKFLOWS_MAX: usize = 64;
/// Most techniques of one runbook, so that a receipt can list them.
pub const TECHNIQUES_MAX: usize = 400;
/// Most tactics of one runbook.
pub const TACTICS_MAX: usize = 32;
/// Most platforms of one runbook.
pub const PLATFORMS_MAX: usize = 32;
/// Words for how serious a subject is.
pub const SEVERITIES: &[&str] = &["info", "low", "medium", "high", "critical"];

/// A runbook, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runbook {
    /// How it was written.
    pub format: Format,
    /// Short name, `[a-z0-9][a-z0-9._-]*` in our own format, the technique's id in Atomic.
    pub name: String,
    /// Title for people.
    pub title: String,
    /// How serious the subject is.
    pub severity: Option<String>,
    /// Words that a prompt may hit.
    pub keywords: Vec<String>,
    /// What is to be reached.
    pub objectives: Vec<String>,
    /// The stages in order.
    pub stages: Vec<Step>,
}

/// One stage of a runbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it begins in the file.
    pub place: Place,
    /// Id within the runbook.
    pub id: String,
    /// The id it has where it was published, such as an Atomic GUID.
    pub published_id: Option<String>,
    /// Skill it calls for.
    pub skill: String,
    /// Workflow it follows.
    pub workflow: String,
    /// Role of the one who does it.
    pub role: String,
    /// What it is to reach.
    pub objective: Option<String>,
    /// Ids of stages that come before; `None` means the one above.
    pub after: Option<Vec<String>>,
    /// What to do.
    pub actions: Vec<String>,
    /// What should come out of it.
    pub expected_outputs: Vec<String>,
    /// Technique ids.
    pub techniques: Vec<String>,
    /// Tactics.
    pub tactics: Vec<String>,
    /// Platforms it runs on; none means any.
    pub platforms: Vec<String>,
    /// Needs rights above those of a user.
    pub elevated: bool,
    /// Could do harm where it runs.
    pub destructive: bool,
    /// Leaves something that must be cleaned up.
    pub cleanup: bool,
    /// How many things must be there before it can begin.
    pub prerequisites: u32,
}

/// How a runbook was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own.
    Own,
    /// Atomic Red Team.
    Atomic,
    /// Caldera abilities.
    Caldera,
}

impl Format {
    /// The word in contracts.
    pub fn word(self) -> &'static str {
        match self {
            Format::Own => "vaultmesh",
            Format::Atomic => "atomic",
            Format::Caldera => "caldera",
        }
    }
}

/// What the user chose of a runbook.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only what runs on this platform.
    pub platform: Option<String>,
    /// Only these procedures of an Atomic file, by GUID or by number from 1, in this order.
    pub procedures: Vec<String>,
    /// Values of input arguments.
    pub arguments: Vec<(String, String)>,
}

/// Reads a runbook in whatever format it is written, as far as the user chose.
pub fn read(text: &str, choice: &Choice) -> Result<Runbook, Flaw> {
    let node = yaml::read(text)?;
    let runbook = match recognise(&node)? {
        Format::Own => own::read(&node)?,
        Format::Atomic => atomic::read(&node, choice)?,
        Format::Caldera => caldera::read(&node, choice)?,
    };
    if runbook.format != Format::Atomic {
        if let Some((name, _)) = choice.arguments.first() {
            let what =
                format!("{} takes no argument; {} was given", runbook.name, yaml::shown(name));
            return Err(Flaw::new("unknown_argument", node.place, what)
                .hint("Only Atomic procedures have input arguments."));
        }
        if !choice.procedures.is_empty() {
            let what =
                format!("{} is no Atomic file; it has no procedures to choose", runbook.name);
            return Err(Flaw::new("unknown_procedure", node.place, what));
        }
    }
    let runbook = on_platform(runbook, choice.platform.as_deref(), node.place)?;
    bounded(&runbook)?;
    Ok(runbook)
}

/// For fuzzing: any bytes give a runbook or a flaw that names a place, never a panic.
pub fn fuzz_runbook(bytes: &[u8]) {
    let flaw = match yaml::read_bytes(bytes) {
        Ok(_) => {
            let text = std::str::from_utf8(bytes).expect("read_bytes took it for text");
            match read(text, &Choice::default()) {
                Ok(runbook) => {
                    assert!(!runbook.stages.is_empty() && runbook.stages.len() <= STAGES_MAX);
                    return;
                }
                Err(flaw) => flaw,
            }
        }
        Err(flaw) => flaw,
    };
    assert!(flaw.place.line >= 1 && flaw.place.column >= 1, "{flaw:?}");
}

/// Tells the format by the content.
fn recognise(node: &Node) -> Result<Format, Flaw> {
    if node.get("runbook").is_some() {
        return Ok(Format::Own);
    }
    if node.get("atomic_tests").is_some() || node.get("attack_technique").is_some() {
        return Ok(Format::Atomic);
    }
    if let Content::List(items) = &node.content
        && items
            .first()
            .is_some_and(|i| i.get("platforms").is_some() && i.get("technique").is_some())
    {
        return Ok(Format::Caldera);
    }
    let what =
        format!("this is no runbook that can be read here; it looks like {}", looks_like(node));
    Err(Flaw::new("unknown_runbook_format", node.place, what).hint(
        "Read are VaultMesh runbooks (they begin with `runbook: 1`), Atomic Red Team YAML and Caldera abilities.",
    ))
}

/// What a file of another kind looks like, in words its user knows.
fn looks_like(node: &Node) -> &'static str {
    let text = |key: &str| node.get(key).and_then(Node::text).unwrap_or_default();
    let has = |key: &str| node.get(key).is_some();
    if text("type") == "playbook" || text("spec_version").starts_with("cacao") {
        "a CACAO playbook"
    } else if has("atomic_ordering") || has("adversary_id") {
        "a Caldera adversary, which only names abilities"
    } else if text("id").starts_with("RP") && (has("linked_rp") || has("identification")) {
        "a RE&CT response playbook"
    } else if text("id").starts_with("RA") && has("workflow") {
        "a RE&CT response action"
    } else if has("detection") && has("logsource") {
        "a Sigma rule"
    } else if has("techniques") && has("versions") {
        "an ATT&CK Navigator layer"
    } else if has("apiVersion") && has("kind") {
        "a Kubernetes manifest"
    } else if has("jobs") && has("on") {
        "a workflow of continuous integration"
    } else if has("stages") && has("name") {
        "a VaultMesh runbook without its first line, `runbook: 1`"
    } else {
        node.word()
    }
}

/// Keeps the stages that run on a platform. What names no platform runs on any.
fn on_platform(
    mut runbook: Runbook,
    platform: Option<&str>,
    place: Place,
) -> Result<Runbook, Flaw> {
    let Some(platform) = platform else { return Ok(runbook) };
    let fits = |step: &Step| {
        step.platforms.is_empty() || step.platforms.iter().any(|p| p.eq_ignore_ascii_case(platform))
    };
    runbook.stages.retain(fits);
    if runbook.stages.is_empty() {
        let what = format!("no stage of {} runs on {}", runbook.name, yaml::shown(platform));
        return Err(Flaw::new("no_stage_left", place, what).hint("Name another platform, or none."));
    }
    // What waited for a stage that is gone waits no more.
    let kept: Vec<String> = runbook.stages.iter().map(|s| s.id.clone()).collect();
    for step in &mut runbook.stages {
        if let Some(after) = &mut step.after {
            after.retain(|id| kept.contains(id));
        }
    }
    Ok(runbook)
}

/// A receipt lists skills, workflows, techniques, tactics and platforms; each list has its limit.
fn bounded(runbook: &Runbook) -> Result<(), Flaw> {
    fn one(step: &Step) -> [(&'static str, usize, &[String]); 5] {
        [
            ("skills", SKILLS_MAX, std::slice::from_ref(&step.skill)),
            ("workflows", WORKFLOWS_MAX, std::slice::from_ref(&step.workflow)),
            ("techniques", TECHNIQUES_MAX, &step.techniques),
            ("tactics", TACTICS_MAX, &step.tactics),
            ("platforms", PLATFORMS_MAX, &step.platforms),
        ]
    }
    let mut seen: [std::collections::BTreeSet<&str>; 5] = Default::default();
    for step in &runbook.stages {
        for (set, (what, most, values)) in seen.iter_mut().zip(one(step)) {
            set.extend(values.iter().map(String::as_str));
            if set.len() > most {
                let what = format!("a runbook may name at most {most} different {what}");
                return Err(Flaw::new("runbook_too_long", step.place, what)
                    .hint("Split the exercise into several runbooks."));
            }
        }
    }
    Ok(())
}

/// Refuses more stages than a contract takes, at the first one too many.
pub(crate) fn count_stages(items: &[Node]) -> Result<(), Flaw> {
    match items.get(STAGES_MAX) {
        Some(over) => {
            let what = format!(
                "a runbook may have at most {STAGES_MAX} stages, this one has {}",
                items.len()
            );
            Err(Flaw::new("too_many_stages", over.place, what)
                .hint("Split the exercise into several runbooks."))
        }
        None => Ok(()),
    }
}

/// A readable id out of a title: lower case, dashes, at most `most` bytes.
pub(crate) fn slug(title: &str, most: usize) -> String {
    let mut out = String::new();
    for c in title.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        if out.len() == most {
            break;
        }
    }
    let out = out.trim_end_matches('-');
    if out.is_empty() { "stage".to_owned() } else { out.to_owned() }
}
