//! Our own runbook format, version 1. `engines/drills/RUNBOOK.md` describes it for those who write one.

use super::fields::{Fields, block, items, line};
use super::{
    ACTION_BYTES_MAX, ACTIONS_MAX, Format, LINE_BYTES_MAX, NAME_BYTES_MAX, OUTPUTS_MAX,
    PLATFORM_BYTES_MAX, PLATFORMS_MAX, ROLE_BYTES_MAX, Runbook, SEVERITIES, SKILL_BYTES_MAX, Step,
    TACTICS_MAX, TECHNIQUES_MAX, TITLE_BYTES_MAX, WORKFLOW_BYTES_MAX, count_stages,
};
use crate::attack::{TACTIC_BYTES_MAX, is_tactic, is_technique};
use crate::yaml::{Content, Flaw, Node, Place, shown};

/// Fields of a runbook.
pub const RUNBOOK_FIELDS: &[&str] =
    &["runbook", "name", "title", "severity", "about", "keywords", "objectives", "stages"];
/// Fields of a stage.
pub const STAGE_FIELDS: &[&str] = &[
    "id",
    "skill",
    "workflow",
    "role",
    "objective",
    "after",
    "actions",
    "expected_outputs",
    "techniques",
    "tactics",
    "platforms",
    "elevated",
    "destructive",
    "cleanup",
    "prerequisites",
];
/// Version of the format.
pub const VERSION: &str = "1";
/// Most keywords of a runbook.
pub const KEYWORDS_MAX: usize = 64;
/// Most stages that one waits for.
pub const AFTER_MAX: usize = 64;
/// Longest id of a stage, in bytes; its place is put in front.
pub const STAGE_ID_BYTES_MAX: usize = 48;

/// Reads a runbook.
pub fn read(node: &Node) -> Result<Runbook, Flaw> {
    let fields = Fields::of(node, "a runbook")?;
    let version = fields.need("runbook")?;
    if version.text() != Some(VERSION) {
        let given = version.text().unwrap_or("something else");
        let wrong = format!("the version of a runbook is 1, not {}", shown(given));
        return Err(Flaw::new("runbook_bad_value", version.place, wrong));
    }
    fields.only(RUNBOOK_FIELDS)?;
    let name = id_of(fields.need("name")?, "name", NAME_BYTES_MAX)?;
    let title = fields.need_text("title", TITLE_BYTES_MAX)?;
    let severity = fields.node("severity").map(severity).transpose()?;
    fields.text("about", 4 * LINE_BYTES_MAX)?;
    let keywords = fields.texts("keywords", KEYWORDS_MAX, SKILL_BYTES_MAX)?;
    let objectives = fields.texts("objectives", ACTIONS_MAX, LINE_BYTES_MAX)?;
    let node = fields.need("stages")?;
    let Content::List(list) = &node.content else {
        let wrong = format!("stages is a list, this is {}", node.word());
        return Err(Flaw::new("runbook_bad_value", node.place, wrong));
    };
    count_stages(list)?;
    if list.is_empty() {
        return Err(Flaw::new(
            "runbook_bad_value",
            node.place,
            "a runbook needs at least one stage",
        ));
    }
    let mut stages: Vec<Step> = Vec::with_capacity(list.len());
    let mut known = std::collections::BTreeMap::new();
    for item in list {
        let step = stage(item, &known)?;
        if let Some(first) = known.insert(step.id.clone(), step.place) {
            let wrong = format!("a stage {:?} stands in line {} already", step.id, first.line);
            return Err(Flaw::new("duplicate_stage", step.place, wrong));
        }
        stages.push(step);
    }
    Ok(Runbook { format: Format::Own, name, title, severity, keywords, objectives, stages })
}

fn stage(node: &Node, known: &std::collections::BTreeMap<String, Place>) -> Result<Step, Flaw> {
    let fields = Fields::of(node, "a stage")?;
    fields.only(STAGE_FIELDS)?;
    let id = id_of(fields.need("id")?, "id", STAGE_ID_BYTES_MAX)?;
    let actions = fields.need("actions")?;
    let actions: Vec<String> = items(actions, "actions", ACTIONS_MAX)?
        .iter()
        .map(|i| block(i, "actions", ACTION_BYTES_MAX))
        .collect::<Result<_, _>>()?;
    let cleanup =
        fields.node("cleanup").map(|n| block(n, "cleanup", ACTION_BYTES_MAX)).transpose()?;
    let prerequisites = fields.texts("prerequisites", ACTIONS_MAX, LINE_BYTES_MAX)?;
    let count = u32::try_from(prerequisites.len()).unwrap_or(u32::MAX);
    let before = prerequisites.into_iter().map(|p| format!("Make sure beforehand: {p}"));
    let after = cleanup.iter().map(|c| format!("Clean up: {c}"));
    Ok(Step {
        place: fields.place,
        published_id: None,
        skill: fields.need_text("skill", SKILL_BYTES_MAX)?,
        workflow: fields.need_text("workflow", WORKFLOW_BYTES_MAX)?,
        role: fields.text("role", ROLE_BYTES_MAX)?.unwrap_or_else(|| "primary".to_owned()),
        objective: fields.text("objective", LINE_BYTES_MAX)?,
        after: fields.node("after").map(|n| earlier(n, known)).transpose()?,
        actions: before.chain(actions).chain(after).collect(),
        expected_outputs: fields.texts("expected_outputs", OUTPUTS_MAX, LINE_BYTES_MAX)?,
        techniques: techniques(&fields)?,
        tactics: tactics(&fields)?,
        platforms: fields.texts("platforms", PLATFORMS_MAX, PLATFORM_BYTES_MAX)?,
        elevated: fields.flag("elevated")?,
        destructive: fields.flag("destructive")?,
        cleanup: cleanup.is_some(),
        prerequisites: count,
        id,
    })
}

fn severity(node: &Node) -> Result<String, Flaw> {
    match node.text() {
        Some(word) if SEVERITIES.contains(&word) => Ok(word.to_owned()),
        _ => {
            let wrong = format!("severity is one of {}", SEVERITIES.join(", "));
            Err(Flaw::new("runbook_bad_value", node.place, wrong))
        }
    }
}

/// An id: letters, digits, dots, underscores and dashes, first a letter or digit.
fn id_of(node: &Node, name: &str, most: usize) -> Result<String, Flaw> {
    let text = line(node, name, most)?;
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if fits {
        return Ok(text);
    }
    let wrong = format!("{name} {} is no id", shown(&text));
    Err(Flaw::new("runbook_bad_value", node.place, wrong)
        .hint("Use letters, digits, dots, underscores and dashes."))
}

/// Ids of stages that must stand above; so the order has no circle.
fn earlier(
    node: &Node,
    known: &std::collections::BTreeMap<String, Place>,
) -> Result<Vec<String>, Flaw> {
    let mut out = Vec::new();
    for item in items(node, "after", AFTER_MAX)? {
        let id = line(item, "after", STAGE_ID_BYTES_MAX)?;
        if !known.contains_key(&id) {
            let wrong = format!("no stage {} stands above", shown(&id));
            return Err(Flaw::new("unknown_stage", item.place, wrong)
                .hint("A stage may only wait for stages that stand before it in the file."));
        }
        if !out.contains(&id) {
            out.push(id);
        }
    }
    Ok(out)
}

fn techniques(fields: &Fields<'_>) -> Result<Vec<String>, Flaw> {
    checked(fields, "techniques", TECHNIQUES_MAX, is_technique, "a technique is T1234 or T1234.001")
}

fn tactics(fields: &Fields<'_>) -> Result<Vec<String>, Flaw> {
    checked(fields, "tactics", TACTICS_MAX, is_tactic, "a tactic is written like initial-access")
}

/// A list of words of one form, each once.
fn checked(
    fields: &Fields<'_>,
    name: &'static str,
    count: usize,
    fits: fn(&str) -> bool,
    rule: &str,
) -> Result<Vec<String>, Flaw> {
    let Some(node) = fields.node(name) else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for item in items(node, name, count)? {
        let word = line(item, name, TACTIC_BYTES_MAX)?;
        if !fits(&word) {
            let wrong = format!("{rule}, not {}", shown(&word));
            return Err(Flaw::new("runbook_bad_value", item.place, wrong));
        }
        if !out.contains(&word) {
            out.push(word);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{RUNBOOK_FIELDS, STAGE_FIELDS};
    use crate::runbook::{Choice, STAGES_MAX, read};

    const GOOD: &str = "runbook: 1
name: x
title: X
severity: high
stages:
  - id: one
    skill: mail
    workflow: Triage
    actions: [look]
    techniques: [T1566.001]
    tactics: [initial-access]
    platforms: [linux]
  - id: two
    skill: mail
    workflow: Block
    after: [one]
    elevated: true
    cleanup: unblock it
    actions:
      - |
        first
        second
";

    fn flaw(text: &str, code: &str, line: u32) {
        let flaw = read(text, &Choice::default()).unwrap_err();
        assert_eq!((flaw.code, flaw.place.line), (code, line), "{flaw:?}");
    }

    #[test]
    fn a_runbook_reads_with_its_defaults() {
        let runbook = read(GOOD, &Choice::default()).unwrap();
        let [one, two] = &runbook.stages[..] else { panic!() };
        assert_eq!((one.role.as_str(), one.after.is_none(), one.cleanup), ("primary", true, false));
        assert_eq!(two.after.as_deref(), Some(&["one".to_owned()][..]));
        assert!(two.elevated && two.cleanup && !two.destructive);
        assert_eq!(two.actions, ["first\nsecond", "Clean up: unblock it"]);
    }

    #[test]
    fn every_fault_names_its_line() {
        for (from, to, code, line) in [
            ("runbook: 1", "runbook: 2", "runbook_bad_value", 1),
            ("title: X\n", "", "runbook_missing_field", 1),
            ("severity: high", "severity: huge", "runbook_bad_value", 4),
            ("    platforms: [linux]", "    platform: linux", "runbook_unknown_field", 12),
            ("[T1566.001]", "[T1566.001, t1]", "runbook_bad_value", 10),
            ("id: two", "id: one", "duplicate_stage", 13),
            ("after: [one]", "after: [two]", "unknown_stage", 16),
            ("elevated: true", "elevated: 'true'", "runbook_bad_value", 17),
            ("actions: [look]", "actions: []\n    id: x", "yaml_duplicate_key", 10),
            ("id: two", "id: ../two", "runbook_bad_value", 13),
            ("[look]", "[\"a\\e[31m\"]", "runbook_bad_value", 9),
            ("[look]", "[\"rm \u{202e}x\"]", "runbook_bad_value", 9),
            ("[look]", "look", "runbook_bad_value", 9),
            ("workflow: Block", "workflow: [x]", "runbook_bad_value", 15),
        ] {
            assert!(GOOD.contains(from), "{from}");
            flaw(&GOOD.replacen(from, to, 1), code, line);
        }
    }

    #[test]
    fn line_ends_and_byte_order_marks_of_other_systems_are_no_fault() {
        let runbook = read(GOOD, &Choice::default());
        assert_eq!(read(&GOOD.replace('\n', "\r\n"), &Choice::default()), runbook);
        let marked = read(&format!("\u{feff}{GOOD}"), &Choice::default()).unwrap();
        assert_eq!(marked.stages.len(), 2);
    }

    #[test]
    fn one_stage_too_many_is_refused_where_it_stands() {
        let stages = |n: usize| {
            let one = |i| format!("- {{id: s{i}, skill: a, workflow: b, actions: [c]}}\n");
            format!(
                "runbook: 1\nname: x\ntitle: x\nstages:\n{}",
                (0..n).map(one).collect::<String>()
            )
        };
        assert_eq!(read(&stages(STAGES_MAX), &Choice::default()).unwrap().stages.len(), STAGES_MAX);
        flaw(&stages(STAGES_MAX + 1), "too_many_stages", 1005);
        flaw(&stages(10_000), "too_many_stages", 1005);
    }

    #[test]
    fn what_does_not_run_on_the_platform_is_left_out_and_waited_for_no_more() {
        let on = |platform: &str| {
            let choice = Choice { platform: Some(platform.into()), ..Choice::default() };
            read(GOOD, &choice)
        };
        let windows = on("windows").unwrap();
        assert_eq!(windows.stages.len(), 1);
        assert_eq!(windows.stages[0].after.as_deref(), Some(&[][..]));
        let all_linux =
            GOOD.replace("    elevated: true", "    platforms: [linux]\n    elevated: true");
        let choice = Choice { platform: Some("macos".into()), ..Choice::default() };
        assert_eq!(read(&all_linux, &choice).unwrap_err().code, "no_stage_left");
    }

    #[test]
    fn more_names_than_a_receipt_can_list_are_refused() {
        let one = |i| format!("- {{id: s{i}, skill: k{i}, workflow: b, actions: [c]}}\n");
        let text = |n| {
            format!(
                "runbook: 1\nname: x\ntitle: x\nstages:\n{}",
                (0..n).map(one).collect::<String>()
            )
        };
        assert!(read(&text(32), &Choice::default()).is_ok());
        flaw(&text(33), "runbook_too_long", 37);
    }

    /// Names in the first column of the tables of a page.
    fn rows(page: &str) -> Vec<&str> {
        page.lines()
            .filter_map(|l| l.strip_prefix("| `")?.split_once('`'))
            .map(|(n, _)| n)
            .collect()
    }

    #[test]
    fn page_and_schema_have_the_fields_that_are_read() {
        let page = include_str!("../../RUNBOOK.md");
        let all: Vec<&str> = [RUNBOOK_FIELDS, STAGE_FIELDS].concat();
        assert_eq!(rows(page), all);
        let (_, example) = page.split_once("```yaml\n").unwrap();
        let example = read(example.split_once("```").unwrap().0, &Choice::default()).unwrap();
        assert_eq!(example.stages.len(), 2);
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("../../runbook.schema.json")).unwrap();
        let mut declared: Vec<&str> = Vec::new();
        for of in [&schema, &schema["$defs"]["stage"]] {
            declared.extend(of["properties"].as_object().unwrap().keys().map(String::as_str));
            for field in of["required"].as_array().unwrap().iter().filter_map(|f| f.as_str()) {
                let row = format!("| `{field}` |");
                let row = page.lines().find(|l| l.starts_with(&row)).unwrap();
                assert!(row.contains("required"), "{row}");
            }
        }
        let mut all = all;
        declared.sort_unstable();
        all.sort_unstable();
        assert_eq!(declared, all);
    }

    #[test]
    fn a_file_of_another_kind_is_named() {
        for (text, kind) in [
            ("type: playbook\nspec_version: cacao-2.0\n", "CACAO"),
            ("id: RP0001\nlinked_rp: []\n", "RE&CT"),
            ("id: x\natomic_ordering: [a]\n", "Caldera adversary"),
            ("name: x\nstages: []\n", "first line"),
            ("just text", "text"),
        ] {
            let flaw = read(text, &Choice::default()).unwrap_err();
            assert_eq!(flaw.code, "unknown_runbook_format");
            assert!(flaw.what.contains(kind), "{flaw:?}");
        }
    }
}
