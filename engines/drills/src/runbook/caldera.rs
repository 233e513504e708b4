//! Caldera abilities: a list of procedures, each with a command for every platform and shell.
//!
//! Facts such as `#{host.user.name}` stay as they stand; a person fills them in. Fields that only Caldera's own
//! agents use (parsers, requirements, payloads) are passed over.

use super::atomic::cut;
use super::fields::{Fields, block, line};
use super::{
    ACTION_BYTES_MAX, ACTIONS_MAX, Choice, Format, LINE_BYTES_MAX, PLATFORM_BYTES_MAX, Runbook,
    SKILL_BYTES_MAX, Step, TITLE_BYTES_MAX, WORKFLOW_BYTES_MAX, count_stages, slug,
};
use crate::attack::{TACTIC_BYTES_MAX, is_tactic, is_technique};
use crate::yaml::{Content, Flaw, Node, shown};

/// Reads abilities; a chosen platform leaves out the commands of the others.
pub fn read(node: &Node, choice: &Choice) -> Result<Runbook, Flaw> {
    let Content::List(list) = &node.content else {
        return Err(Flaw::new("runbook_bad_value", node.place, "abilities are a list"));
    };
    count_stages(list)?;
    let stages: Vec<Step> = list
        .iter()
        .map(|item| ability(item, choice.platform.as_deref()))
        .collect::<Result<_, _>>()?;
    let (name, title) = match stages.first() {
        Some(first) => (first.id.clone(), first.workflow.clone()),
        None => return Err(Flaw::new("runbook_bad_value", node.place, "there is no ability")),
    };
    Ok(Runbook {
        format: Format::Caldera,
        name,
        title,
        severity: None,
        keywords: vec!["caldera".to_owned()],
        objectives: Vec::new(),
        stages,
    })
}

fn ability(node: &Node, platform: Option<&str>) -> Result<Step, Flaw> {
    let fields = Fields::of(node, "an ability")?;
    let name = fields.need_text("name", TITLE_BYTES_MAX)?;
    let about = fields.text("description", 4 * LINE_BYTES_MAX)?;
    let technique = Fields::of(fields.need("technique")?, "a technique")?;
    let attack_id = technique.need_text("attack_id", TITLE_BYTES_MAX)?;
    if !is_technique(&attack_id) {
        let wrong = format!("a technique is T1234 or T1234.001, not {}", shown(&attack_id));
        return Err(Flaw::new("runbook_bad_value", technique.need("attack_id")?.place, wrong));
    }
    let tactic = fields.text("tactic", TACTIC_BYTES_MAX)?.filter(|t| is_tactic(t));
    let elevated = fields.text("privilege", PLATFORM_BYTES_MAX)?.is_some_and(|p| p == "Elevated");
    let (mut actions, mut platforms, mut cleanup) = (Vec::new(), Vec::new(), false);
    for os in Fields::of(fields.need("platforms")?, "platforms")?.entries() {
        platforms.push(line_key(&os.key));
        if platform.is_some_and(|p| !p.eq_ignore_ascii_case(&os.key)) {
            continue;
        }
        for shell in Fields::of(&os.value, "a platform")?.entries() {
            let executor = Fields::of(&shell.value, "an executor")?;
            let place = format!("on {} in {}", line_key(&os.key), line_key(&shell.key));
            let command = block(executor.need("command")?, "command", ACTION_BYTES_MAX)?;
            actions.push(format!("Run {place}:\n{command}"));
            if let Some(node) = executor.node("cleanup") {
                let undo = match &node.content {
                    Content::List(items) => {
                        let lines: Result<Vec<_>, _> =
                            items.iter().map(|i| line(i, "cleanup", ACTION_BYTES_MAX)).collect();
                        lines?.join("\n")
                    }
                    _ => block(node, "cleanup", ACTION_BYTES_MAX)?,
                };
                actions.push(format!("Clean up {place}:\n{undo}"));
                cleanup = true;
            }
        }
        if actions.len() > ACTIONS_MAX {
            let wrong = format!("an ability may have at most {ACTIONS_MAX} commands");
            return Err(Flaw::new("runbook_too_long", os.place, wrong));
        }
    }
    Ok(Step {
        place: fields.place,
        id: slug(&name, 40),
        published_id: fields.text("id", SKILL_BYTES_MAX)?,
        skill: "adversary-emulation".to_owned(),
        workflow: cut(&name, WORKFLOW_BYTES_MAX),
        role: "red-team".to_owned(),
        objective: Some(cut(&about.unwrap_or(name), LINE_BYTES_MAX)),
        after: None,
        actions,
        expected_outputs: vec![
            "what the command printed".to_owned(),
            "what was seen of it".to_owned(),
        ],
        techniques: vec![attack_id],
        tactics: tactic.into_iter().collect(),
        platforms,
        elevated,
        destructive: false,
        cleanup,
        prerequisites: 0,
    })
}

/// A key as one may show it: short, nothing that a terminal would act on.
fn line_key(key: &str) -> String {
    key.chars().filter(|c| !c.is_control()).take(PLATFORM_BYTES_MAX / 4).collect()
}

#[cfg(test)]
mod tests {
    use crate::runbook::{Choice, read};

    const GOOD: &str = "---
- id: 300157e5-f4ad-4569-b533-9d1fa0e74d74
  name: Compress a directory
  description: Compress it
  tactic: collection
  technique: {attack_id: T1560.001, name: Archive}
  privilege: Elevated
  platforms:
    linux:
      sh:
        command: tar x
        cleanup: rm x
    windows:
      psh,pwsh: {command: zip x}
";

    #[test]
    fn an_ability_becomes_a_stage_with_a_command_for_each_platform() {
        let stage = read(GOOD, &Choice::default()).unwrap().stages.remove(0);
        assert_eq!(
            stage.actions,
            [
                "Run on linux in sh:\ntar x",
                "Clean up on linux in sh:\nrm x",
                "Run on windows in psh,pwsh:\nzip x"
            ]
        );
        assert_eq!(
            (stage.techniques, stage.tactics),
            (vec!["T1560.001".to_owned()], vec!["collection".to_owned()])
        );
        assert!(stage.elevated && stage.cleanup);
    }

    #[test]
    fn a_chosen_platform_leaves_the_others_out() {
        let on = |p: &str| read(GOOD, &Choice { platform: Some(p.into()), ..Choice::default() });
        let stage = on("Windows").unwrap().stages.remove(0);
        assert_eq!(stage.actions, ["Run on windows in psh,pwsh:\nzip x"]);
        assert!(!stage.cleanup);
        assert_eq!(on("darwin").unwrap_err().code, "no_stage_left");
    }

    #[test]
    fn a_technique_of_another_form_is_refused_with_its_line() {
        let flaw = read(&GOOD.replace("T1560.001", "X"), &Choice::default()).unwrap_err();
        assert_eq!((flaw.code, flaw.place.line), ("runbook_bad_value", 6));
    }
}
