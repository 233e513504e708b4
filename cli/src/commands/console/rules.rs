//! What agents may do, as the settings of the home say it.

use super::doctor::{CANARY, CANARY_RULE};
use super::envelope::Mode;
use crate::config::ConsoleSection;
use serde_json::Value;
use vm_console::policy::{self, Policy};
use vm_console::read::tool::Tool;
use vm_contracts::Refusal;

/// What names of parameters end with that hold files: `file_path`, `absolutePath`, `paths`, `target_file`.
const PATHS: [&str; 8] = ["path", "paths", "file", "files", "filename", "directory", "dir", "uri"];
/// Most files that a call is judged by.
const PATHS_MAX: usize = 4_096;
/// How deep parameters are looked into.
const DEPTH_MAX: usize = 16;
/// Longest name of a file, in bytes.
const PATH_BYTES_MAX: usize = 4_096;
/// The rule that is named where a call names more files than are looked at.
const TOO_MANY: &str = "too-many-paths";

/// The rules of a home.
#[derive(Default)]
pub struct Rules(Policy);

impl Rules {
    /// Those of the settings, and the starter list where a guard is asked for and nobody turned that off.
    pub fn of(section: &ConsoleSection, mode: Mode) -> Result<Self, Refusal> {
        let mut rules = section.rules.clone();
        if mode == Mode::Guard && section.starter {
            rules.extend(policy::starter());
        }
        Policy::parse(&rules).map(Self)
    }

    /// What they say of a call, and which rule says it.
    pub fn judge(&self, name: &str, tool: &Tool, input: &Value) -> (&'static str, Option<String>) {
        if let Tool::Shell { command, .. } = tool
            && command == CANARY
        {
            return ("deny", Some(CANARY_RULE.to_owned()));
        }
        let mut paths = Vec::new();
        let all = gather(input, false, DEPTH_MAX, &mut paths);
        let judged = self.0.judge_call(name, tool, &paths);
        let word = judged.verdict.word();
        // What was not looked at is not let pass unasked.
        match !all && word == "allow" && !self.0.is_empty() {
            true => ("ask", Some(TOO_MANY.to_owned())),
            false => (word, judged.rule),
        }
    }
}

/// Gathers every text under a name for files, wherever it stands; whether that is all of them.
fn gather<'a>(value: &'a Value, named: bool, depth: usize, paths: &mut Vec<&'a str>) -> bool {
    if depth == 0 || paths.len() >= PATHS_MAX {
        return false;
    }
    match value {
        Value::String(text) if named && text.len() <= PATH_BYTES_MAX => {
            paths.push(text.strip_prefix("file://").unwrap_or(text));
            true
        }
        Value::Array(items) => items.iter().all(|item| gather(item, named, depth - 1, paths)),
        Value::Object(fields) => {
            fields.iter().all(|(name, value)| gather(value, is_path(name), depth - 1, paths))
        }
        _ => true,
    }
}

fn is_path(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let plain = letters.collect::<String>().to_ascii_lowercase();
    PATHS.iter().any(|end| plain.ends_with(end)) || ["source", "destination"].contains(&&*plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judged(mode: Mode, name: &str, input: Value) -> &'static str {
        let rules = Rules::of(&ConsoleSection::default(), mode).unwrap();
        rules.judge(name, &Tool::of(name, &input), &input).0
    }

    #[test]
    fn the_starter_list_holds_for_guards_alone_and_the_canary_for_all() {
        let force = || json!({"command": "git push --force"});
        assert_eq!(judged(Mode::Guard, "Bash", force()), "deny");
        assert_eq!(judged(Mode::Record, "Bash", force()), "allow");
        let canary = || json!({"command": CANARY});
        assert_eq!(judged(Mode::Record, "Bash", canary()), "deny");
        let key = json!({"file_path": "/home/ann/.ssh/config"});
        assert_eq!(judged(Mode::Guard, "Read", key), "deny");
    }

    #[test]
    fn a_file_is_judged_under_whatever_name_it_is_given() {
        let key = "/home/ann/.ssh/config";
        for input in [
            json!({"filePath": key}),
            json!({"absolute_path": key}),
            json!({"paths": ["a", key]}),
            json!({"operations": [{"path": "a"}, {"nested": {"target_file": key}}]}),
            json!({"uri": format!("file://{key}")}),
            json!({"path": "a", "file_path": key}),
        ] {
            assert_eq!(judged(Mode::Guard, "mcp__fs__read", input.clone()), "deny", "{input}");
        }
        let other = json!({"content": key, "query": [key]});
        assert_eq!(judged(Mode::Guard, "mcp__fs__read", other), "allow");
        let many = || json!({"paths": vec!["a"; PATHS_MAX + 1]});
        assert_eq!(judged(Mode::Guard, "mcp__fs__read", many()), "ask");
        assert_eq!(judged(Mode::Record, "mcp__fs__read", many()), "allow");
    }
}
