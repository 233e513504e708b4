//! Atomic Red Team YAML: one technique, its procedures, their input arguments, prerequisites and cleanup.
//!
//! Fields this module does not know are passed over, as the format grows; what it reads is checked. Arguments are
//! put into the commands as text for a person to read and run; nothing here runs them.

use std::collections::BTreeMap;

use super::fields::{Fields, block, items, line};
use super::{
    ACTION_BYTES_MAX, ACTIONS_MAX, Choice, Format, LINE_BYTES_MAX, PLATFORM_BYTES_MAX,
    PLATFORMS_MAX, Runbook, SKILL_BYTES_MAX, STAGES_MAX, Step, TITLE_BYTES_MAX, WORKFLOW_BYTES_MAX,
    count_stages, slug,
};
use crate::attack::{TECHNIQUE_BYTES_MAX, is_technique};
use crate::yaml::{Content, Flaw, Node, Place, shown};

/// Types of input arguments.
pub const ARGUMENT_TYPES: &[&str] = &["path", "url", "string", "integer", "float"];
/// Longest value of an argument, in bytes.
pub const ARGUMENT_BYTES_MAX: usize = 2_048;
/// Longest command, in bytes; some carry a whole script.
const COMMAND_BYTES_MAX: usize = 65_536;
/// Most input arguments of one procedure.
const ARGUMENTS_MAX: usize = 64;
/// Longest description, in bytes; longer ones are cut for the contract.
const DESCRIPTION_BYTES_MAX: usize = 32_768;
/// Most bytes of all commands together once arguments stand in them.
const COMMANDS_BYTES_MAX: usize = 4 << 20;
/// Skill of every stage.
const SKILL: &str = "adversary-emulation";
/// Role of every stage.
const ROLE: &str = "red-team";
/// What a person brings back of every stage.
const EXPECTED: [&str; 2] =
    ["what the command printed", "what was seen of it: alert, log lines, or nothing"];

/// Reads an Atomic file, as far as the user chose.
pub fn read(node: &Node, choice: &Choice) -> Result<Runbook, Flaw> {
    let fields = Fields::of(node, "an Atomic file")?;
    let technique = line(fields.need("attack_technique")?, "attack_technique", TITLE_BYTES_MAX)?;
    if !is_technique(&technique) || technique.len() > TECHNIQUE_BYTES_MAX {
        let place = fields.need("attack_technique")?.place;
        let wrong = format!("a technique is T1234 or T1234.001, not {}", shown(&technique));
        return Err(Flaw::new("runbook_bad_value", place, wrong));
    }
    let title = fields.text("display_name", TITLE_BYTES_MAX)?.unwrap_or_else(|| technique.clone());
    let tests = fields.need("atomic_tests")?;
    let Content::List(list) = &tests.content else {
        let wrong = format!("atomic_tests is a list, this is {}", tests.word());
        return Err(Flaw::new("runbook_bad_value", tests.place, wrong));
    };
    count_stages(list)?;
    let chosen = choose(list, tests.place, &choice.procedures)?;
    let mut used = BTreeMap::new();
    let mut budget = COMMANDS_BYTES_MAX;
    let workflow = cut(&format!("{technique} {title}"), WORKFLOW_BYTES_MAX);
    let mut stages = Vec::with_capacity(chosen.len());
    for node in chosen {
        let given = Given { arguments: &choice.arguments, used: &mut used, budget: &mut budget };
        stages.push(procedure(node, &technique, &workflow, given)?);
    }
    if let Some((name, _)) = choice.arguments.iter().find(|(name, _)| !used.contains_key(name)) {
        let wrong = format!("no chosen procedure of {technique} has an argument {}", shown(name));
        return Err(Flaw::new("unknown_argument", tests.place, wrong)
            .hint("The file's input_arguments name what can be given."));
    }
    Ok(Runbook {
        format: Format::Atomic,
        keywords: vec![technique.clone(), "atomic".to_owned()],
        name: technique,
        title,
        severity: None,
        objectives: Vec::new(),
        stages,
    })
}

/// The procedures by GUID or number, in the order asked for; all of them if none is named.
fn choose<'a>(list: &'a [Node], place: Place, wanted: &[String]) -> Result<Vec<&'a Node>, Flaw> {
    if wanted.is_empty() && list.is_empty() {
        return Err(Flaw::new(
            "runbook_bad_value",
            place,
            "an Atomic file needs at least one test",
        ));
    }
    if wanted.is_empty() {
        return Ok(list.iter().collect());
    }
    let mut out = Vec::new();
    for name in wanted.iter().take(STAGES_MAX) {
        let by_number = name.parse::<usize>().ok().and_then(|n| list.get(n.checked_sub(1)?));
        let guid = |n: &&Node| {
            let own = n.get("auto_generated_guid").and_then(Node::text);
            own.is_some_and(|own| own.eq_ignore_ascii_case(name))
        };
        match by_number.or_else(|| list.iter().find(guid)) {
            Some(found) => out.push(found),
            None => {
                let wrong = format!("there is no procedure {} among {}", shown(name), list.len());
                return Err(Flaw::new("unknown_procedure", place, wrong)
                    .hint("Name procedures by auto_generated_guid, or by number from 1."));
            }
        }
    }
    Ok(out)
}

/// What the user gave, which of it was of use, and how many bytes of commands may still come.
struct Given<'a> {
    arguments: &'a [(String, String)],
    used: &'a mut BTreeMap<String, ()>,
    budget: &'a mut usize,
}

fn procedure(
    node: &Node,
    technique: &str,
    workflow: &str,
    mut given: Given<'_>,
) -> Result<Step, Flaw> {
    let fields = Fields::of(node, "an Atomic test")?;
    let name = fields.need_text("name", TITLE_BYTES_MAX)?;
    let guid = fields.text("auto_generated_guid", SKILL_BYTES_MAX)?;
    let description = match fields.node("description") {
        Some(node) => block(node, "description", DESCRIPTION_BYTES_MAX)?,
        None => String::new(),
    };
    let about = description.split_whitespace().collect::<Vec<_>>().join(" ");
    let objective = if about.is_empty() { name.clone() } else { format!("{name}: {about}") };
    let values = arguments(&fields, &mut given)?;
    let executor = Fields::of(fields.need("executor")?, "an executor")?;
    let shell = executor.text("name", PLATFORM_BYTES_MAX)?.unwrap_or_else(|| "manual".to_owned());
    let elevated = executor.flag("elevation_required")?;
    let mut filler = Filler { values: &values, budget: given.budget };
    let mut actions = Vec::new();
    let prerequisites = prerequisites(&fields, &shell, &mut filler, &mut actions)?;
    let rights = if elevated { ", with elevated rights" } else { "" };
    let steps = executor.node("steps").map(|n| (n, format!("Do by hand{rights}")));
    let command = executor.node("command").map(|n| (n, format!("Run in {shell}{rights}")));
    if steps.is_none() && command.is_none() {
        let wrong = "an executor needs \"command\", or \"steps\" to do by hand";
        return Err(Flaw::new("runbook_missing_field", executor.place, wrong));
    }
    for (node, how) in [steps, command].into_iter().flatten() {
        actions.push(format!("{how}:\n{}", filler.fill(node, "command")?));
    }
    let cleanup =
        executor.node("cleanup_command").filter(|n| n.text().is_none_or(|t| !t.trim().is_empty()));
    if let Some(node) = cleanup {
        actions.push(format!(
            "Clean up in {shell}{rights}:\n{}",
            filler.fill(node, "cleanup_command")?
        ));
    }
    Ok(Step {
        place: fields.place,
        id: slug(&name, 40),
        published_id: guid,
        skill: SKILL.to_owned(),
        workflow: workflow.to_owned(),
        role: ROLE.to_owned(),
        objective: Some(cut(&objective, LINE_BYTES_MAX)),
        after: None,
        actions,
        expected_outputs: EXPECTED.map(str::to_owned).to_vec(),
        techniques: vec![technique.to_owned()],
        tactics: Vec::new(),
        platforms: fields.texts("supported_platforms", PLATFORMS_MAX, PLATFORM_BYTES_MAX)?,
        elevated,
        destructive: false,
        cleanup: cleanup.is_some(),
        prerequisites,
    })
}

/// The value of each argument: the user's, checked against the declared type, or the file's default.
fn arguments(
    fields: &Fields<'_>,
    given: &mut Given<'_>,
) -> Result<BTreeMap<String, Option<String>>, Flaw> {
    let Some(node) = fields.node("input_arguments") else { return Ok(BTreeMap::new()) };
    let declared = Fields::of(node, "input_arguments")?.entries();
    if let Some(over) = declared.get(ARGUMENTS_MAX) {
        let wrong = format!("a procedure may have at most {ARGUMENTS_MAX} input arguments");
        return Err(Flaw::new("runbook_too_long", over.place, wrong));
    }
    let mut values = BTreeMap::new();
    for entry in declared {
        let argument = Fields::of(&entry.value, "an input argument")?;
        let kind = argument.need_text("type", PLATFORM_BYTES_MAX)?.to_ascii_lowercase();
        if !ARGUMENT_TYPES.contains(&kind.as_str()) {
            let wrong = format!(
                "the type of an argument is {}, not {}",
                ARGUMENT_TYPES.join(", "),
                shown(&kind)
            );
            return Err(Flaw::new("runbook_bad_value", argument.need("type")?.place, wrong));
        }
        let value = match given.arguments.iter().find(|(name, _)| *name == entry.key) {
            Some((name, value)) => {
                given.used.insert(name.clone(), ());
                if !fits_type(&kind, value) {
                    let wrong = format!("the argument {} must be of type {kind}", shown(name));
                    return Err(Flaw::new("argument_type", entry.place, wrong)
                        .hint("The file says so at this place."));
                }
                Some(value.clone())
            }
            None => match argument.node("default") {
                Some(node) => Some(block(node, "default", ACTION_BYTES_MAX)?),
                None => None,
            },
        };
        values.insert(entry.key.clone(), value);
    }
    Ok(values)
}

/// Whether a text is a value of one of [`ARGUMENT_TYPES`].
pub fn fits_type(kind: &str, value: &str) -> bool {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    match kind {
        "integer" => digits(unsigned) && value.parse::<i64>().is_ok(),
        "float" => match unsigned.split_once('.') {
            Some((whole, part)) => digits(whole) && digits(part),
            None => digits(unsigned),
        },
        "url" => value.split_once("://").is_some_and(|(scheme, rest)| {
            let word = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(word)
                && !rest.is_empty()
                && !value.contains(char::is_whitespace)
        }),
        "path" => !value.trim().is_empty(),
        _ => true,
    }
}

fn prerequisites(
    fields: &Fields<'_>,
    shell: &str,
    filler: &mut Filler<'_>,
    actions: &mut Vec<String>,
) -> Result<u32, Flaw> {
    let Some(node) = fields.node("dependencies") else { return Ok(0) };
    let shell = fields
        .text("dependency_executor_name", PLATFORM_BYTES_MAX)?
        .unwrap_or_else(|| shell.to_owned());
    let list = items(node, "dependencies", ACTIONS_MAX)?;
    for (n, item) in list.iter().enumerate() {
        let dependency = Fields::of(item, "a dependency")?;
        let about = filler.fill(dependency.need("description")?, "description")?;
        let mut action = format!("Prerequisite {}: {}", n + 1, about.trim());
        for (name, how) in
            [("prereq_command", "Check"), ("get_prereq_command", "If it is missing, get it")]
        {
            if let Some(node) = dependency.node(name) {
                action.push_str(&format!("\n{how} in {shell}:\n{}", filler.fill(node, name)?));
            }
        }
        actions.push(action);
    }
    Ok(u32::try_from(list.len()).unwrap_or(u32::MAX))
}

/// Puts arguments into commands, once, within a budget: a short command may name a long value many times.
struct Filler<'a> {
    values: &'a BTreeMap<String, Option<String>>,
    budget: &'a mut usize,
}

impl Filler<'_> {
    fn fill(&mut self, node: &Node, name: &str) -> Result<String, Flaw> {
        let text = block(node, name, COMMAND_BYTES_MAX)?;
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((before, tail)) = rest.split_once("#{") {
            self.push(&mut out, before, node)?;
            let known = tail
                .split_once('}')
                .and_then(|(key, after)| Some((key, self.values.get(key)?, after)));
            rest = match known {
                Some((_, Some(value), after)) => {
                    self.push(&mut out, value, node)?;
                    after
                }
                Some((key, None, _)) => {
                    let wrong =
                        format!("the argument {} has no default and was not given", shown(key));
                    return Err(Flaw::new("argument_needed", node.place, wrong)
                        .hint("Give it among the arguments."));
                }
                // A name the file does not declare stays as it is; the person sees it in the action.
                None => {
                    self.push(&mut out, "#{", node)?;
                    tail
                }
            };
        }
        self.push(&mut out, rest, node)?;
        Ok(out)
    }

    fn push(&mut self, out: &mut String, text: &str, node: &Node) -> Result<(), Flaw> {
        let Some(left) = self.budget.checked_sub(text.len()) else {
            let wrong =
                format!("the commands with their arguments have over {COMMANDS_BYTES_MAX} bytes");
            return Err(Flaw::new("runbook_too_long", node.place, wrong)
                .hint("Choose fewer procedures, or give shorter arguments."));
        };
        *self.budget = left;
        out.push_str(text);
        Ok(())
    }
}

/// At most so many bytes of a text, cut between characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub('…'.len_utf8());
    let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", text[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::read;

    const GOOD: &str = "attack_technique: T1003.008
display_name: Dumping
extra: ignored
atomic_tests:
- name: Read a file (Local)
  auto_generated_guid: 3723ab77-c546-403c-8fb4-bb577033b235
  description: |
    Reads
    a file.
  supported_platforms: [linux, macos]
  input_arguments:
    out:
      type: Path
      default: /tmp/x
    count:
      type: integer
  dependencies:
  - description: 'cat must exist for #{out}'
    prereq_command: which cat
  executor:
    name: bash
    elevation_required: true
    command: |
      cat /etc/hosts > #{out} #{undeclared}
    cleanup_command: 'rm #{out}'
- name: By hand
  supported_platforms: [windows]
  executor:
    name: manual
    steps: |
      1. Open it
";

    fn choice(procedures: &[&str], arguments: &[(&str, &str)]) -> Choice {
        Choice {
            platform: None,
            procedures: procedures.iter().map(|p| (*p).to_owned()).collect(),
            arguments: arguments.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        }
    }

    fn flaw(text: &str, choice: &Choice, code: &str, line: u32) {
        let flaw = read(text, choice).unwrap_err();
        assert_eq!((flaw.code, flaw.place.line), (code, line), "{flaw:?}");
    }

    #[test]
    fn a_procedure_becomes_a_stage_with_its_commands_as_text() {
        let runbook = read(GOOD, &choice(&[], &[])).unwrap();
        let one = &runbook.stages[0];
        assert_eq!(one.id, "read-a-file-local");
        assert_eq!(one.objective.as_deref(), Some("Read a file (Local): Reads a file."));
        assert_eq!(
            one.actions,
            [
                "Prerequisite 1: cat must exist for /tmp/x\nCheck in bash:\nwhich cat",
                "Run in bash, with elevated rights:\ncat /etc/hosts > /tmp/x #{undeclared}",
                "Clean up in bash, with elevated rights:\nrm /tmp/x",
            ]
        );
        assert!(one.elevated && one.cleanup && one.prerequisites == 1);
        assert_eq!(runbook.stages[1].actions, ["Do by hand:\n1. Open it"]);
    }

    #[test]
    fn procedures_are_chosen_by_guid_or_number_and_may_stand_twice() {
        let ids = |wanted: &[&str]| {
            let runbook = read(GOOD, &choice(wanted, &[])).unwrap();
            runbook.stages.into_iter().map(|s| s.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&["2", "1", "2"]), ["by-hand", "read-a-file-local", "by-hand"]);
        assert_eq!(ids(&["3723AB77-c546-403c-8fb4-bb577033b235"]), ["read-a-file-local"]);
        for bad in ["0", "3", "-1", "x"] {
            flaw(GOOD, &choice(&[bad], &[]), "unknown_procedure", 5);
        }
    }

    #[test]
    fn arguments_are_checked_against_their_type_and_used_once() {
        let runbook = read(GOOD, &choice(&["1"], &[("out", "#{count} #{out}")])).unwrap();
        // A value that looks like an argument is not filled again.
        assert!(runbook.stages[0].actions[2].ends_with("rm #{count} #{out}"));
        flaw(GOOD, &choice(&[], &[("count", "many")]), "argument_type", 15);
        flaw(GOOD, &choice(&[], &[("other", "x")]), "unknown_argument", 5);
        flaw(GOOD, &choice(&["2"], &[("out", "x")]), "unknown_argument", 5);
        let needed = GOOD.replace("rm #{out}", "rm #{count}");
        flaw(&needed, &choice(&[], &[]), "argument_needed", 25);
        assert!(read(&needed, &choice(&[], &[("count", "-3")])).is_ok());
    }

    #[test]
    fn each_argument_type_knows_its_values() {
        for (kind, good, bad) in [
            ("integer", &["0", "-12"][..], &["", "1.0", "x", "99999999999999999999", "--1"][..]),
            ("float", &["1", "-1.50", "0.1"], &["", ".5", "1.", "1e3", "nan"]),
            (
                "url",
                &["https://example.org/x", "ftp://h"],
                &["", "example.org", "https://", "://x", "http://a b"],
            ),
            ("path", &["/tmp/x", "a b"], &["", " "]),
            ("string", &["", "any"], &[]),
        ] {
            assert!(good.iter().all(|v| fits_type(kind, v)), "{kind}");
            assert!(bad.iter().all(|v| !fits_type(kind, v)), "{kind}");
        }
    }

    #[test]
    fn a_short_command_cannot_grow_without_end() {
        let many = "#{a}".repeat(4_000);
        let text = format!(
            "attack_technique: T1000\natomic_tests:\n- name: x\n  input_arguments: {{a: {{type: string}}}}\n  executor:\n    command: '{many}'\n"
        );
        let value = "x".repeat(ARGUMENT_BYTES_MAX);
        flaw(&text, &choice(&[], &[("a", &value)]), "runbook_too_long", 6);
    }

    #[test]
    fn every_fault_names_its_line() {
        for (from, to, code, line) in [
            ("T1003.008", "T1003.8", "runbook_bad_value", 1),
            ("atomic_tests:", "tests:", "runbook_missing_field", 1),
            ("type: Path", "type: file", "runbook_bad_value", 13),
            ("    steps: |\n      1. Open it\n", "", "runbook_missing_field", 29),
            ("elevation_required: true", "elevation_required: maybe", "runbook_bad_value", 22),
        ] {
            flaw(&GOOD.replacen(from, to, 1), &choice(&[], &[]), code, line);
        }
    }
}
