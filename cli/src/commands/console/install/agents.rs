//! Which file an agent reads its hooks from, which of its events we take, and in what form it wants them.

use super::Wanted;
use crate::commands::console::install::files;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use vm_contracts::{Failure, Refusal};

/// What stands between the home and the agent in a line of ours.
pub const HOOK_WORDS: &str = "console hook --agent";
/// The first version of Claude Code that can be told to block where a hook does not come to its end.
const CLAUDE_BLOCKS: [u64; 3] = [2, 1, 295];

/// How an agent writes a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{matcher, hooks: [{type, command, timeout}]}`; times in units of so many for a second.
    Groups {
        /// Units of the timeout in a second.
        second: u64,
    },
    /// `{command, timeout, failClosed}` directly in the event's list.
    Flat,
}

/// One agent.
pub struct Agent {
    /// Its name on the command line.
    pub name: &'static str,
    /// How it writes hooks.
    pub shape: Shape,
    /// Events we take; whether the event is about a tool.
    pub events: &'static [(&'static str, bool)],
    /// Directory below the user's, and the variable that names it instead.
    directory: (&'static str, Option<&'static str>),
    /// File in that directory.
    file: &'static str,
    /// File in the project.
    project: &'static str,
}

const GROUPED: &[(&str, bool)] = &[
    ("SessionStart", false),
    ("UserPromptSubmit", false),
    ("PreToolUse", true),
    ("PermissionRequest", true),
    ("PostToolUse", true),
    ("SubagentStart", false),
    ("SubagentStop", false),
    ("PreCompact", false),
];

/// All agents.
static AGENTS: [Agent; 4] = [
    Agent {
        name: "claude",
        shape: Shape::Groups { second: 1 },
        events: &[
            ("SessionStart", false),
            ("UserPromptSubmit", false),
            ("PreToolUse", true),
            ("PermissionRequest", true),
            ("PostToolUse", true),
            ("PostToolUseFailure", true),
            ("SubagentStart", false),
            ("SubagentStop", false),
            ("PreCompact", false),
            ("SessionEnd", false),
        ],
        directory: (".claude", Some("CLAUDE_CONFIG_DIR")),
        file: "settings.json",
        project: ".claude/settings.json",
    },
    Agent {
        name: "codex",
        shape: Shape::Groups { second: 1 },
        events: GROUPED,
        directory: (".codex", Some("CODEX_HOME")),
        file: "hooks.json",
        project: ".codex/hooks.json",
    },
    Agent {
        name: "gemini",
        shape: Shape::Groups { second: 1_000 },
        events: &[
            ("SessionStart", false),
            ("BeforeTool", true),
            ("AfterTool", true),
            ("SessionEnd", false),
        ],
        directory: (".gemini", None),
        file: "settings.json",
        project: ".gemini/settings.json",
    },
    Agent {
        name: "cursor",
        shape: Shape::Flat,
        events: &[
            ("sessionStart", false),
            ("preToolUse", false),
            ("postToolUse", false),
            ("postToolUseFailure", false),
            ("sessionEnd", false),
        ],
        directory: (".cursor", None),
        file: "hooks.json",
        project: ".cursor/hooks.json",
    },
];

/// A settings file and whose it is.
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// `user` or `project`.
    pub scope: &'static str,
}

impl Agent {
    /// The agent of this name.
    pub fn named(name: &str) -> &'static Self {
        AGENTS.iter().find(|a| a.name == name).expect("the command line takes no other name")
    }

    /// The file to change.
    pub fn place(&self, wanted: &Wanted) -> Result<Place, Failure> {
        match wanted.project {
            true => Ok(Place { path: project()?.join(self.project), scope: "project" }),
            false => Ok(Place { path: self.of_user()?, scope: "user" }),
        }
    }

    fn of_user(&self) -> Result<PathBuf, Refusal> {
        let (below, variable) = self.directory;
        let named = variable.and_then(files::variable);
        let directory = match named {
            Some(directory) => directory,
            None => files::variable("HOME")
                .ok_or_else(|| {
                    Refusal::malformed("no_user_directory", "HOME is not set")
                        .hint("Set HOME, or give --project.")
                })?
                .join(below),
        };
        Ok(directory.join(self.file))
    }

    /// What to know before relying on it; refuses where guarding cannot work.
    pub fn notes(&self, wanted: &Wanted) -> Result<Vec<String>, Refusal> {
        let mut notes = Vec::new();
        match self.name {
            "claude" if wanted.guard => match version("claude") {
                Some(version) if version < CLAUDE_BLOCKS => {
                    let [a, b, c] = version;
                    let what = format!(
                        "Claude Code {a}.{b}.{c} lets a call through when its hook fails or is too slow"
                    );
                    let hint = "Update it to 2.1.295 or later, or install without --guard.";
                    return Err(Refusal::conflict("agent_too_old", what).hint(hint));
                }
                Some(_) => {}
                None => notes.push(
                    "the version of Claude Code is not known; before 2.1.295 a hook that fails lets the call through".into(),
                ),
            },
            "codex" => notes.push(
                "Codex asks you to review and trust new hooks before it runs them; its shell calls come through reliably, others not in every version".into(),
            ),
            "cursor" | "gemini" if wanted.guard => notes.push(format!(
                "whether {} blocks when a hook does not come to its end depends on its version; `vm console doctor` tries what a denial does here",
                self.name
            )),
            _ => {}
        }
        Ok(notes)
    }
}

/// The top of the project this process stands in, or its directory.
pub fn project() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().map_err(|e| crate::exit::unreadable(".", &e))?;
    let top = here.ancestors().find(|dir| dir.join(".git").exists());
    Ok(top.map_or_else(|| here.clone(), Path::to_owned))
}

/// What a program says its version is; `None` where it is not there or says something else.
fn version(program: &str) -> Option<[u64; 3]> {
    let said = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    parse_version(&String::from_utf8_lossy(&said.stdout))
}

fn parse_version(said: &str) -> Option<[u64; 3]> {
    let word = said.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = word.split(['.', '-', '+']).map(|p| p.parse::<u64>().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

/// The settings files of this user and project that hold lines with our words for the home: agent, file, line. Whether
/// install would write such a line is another question.
pub fn installed_at(line: &super::Line) -> Vec<(&'static str, PathBuf, String)> {
    let mut all = Vec::new();
    for agent in &AGENTS {
        let project = project().map(|top| top.join(agent.project)).ok();
        for path in agent.of_user().ok().into_iter().chain(project) {
            let Ok(Some(bytes)) = files::read(&path) else { continue };
            let lines = super::settings::installed(agent, &bytes, line);
            all.extend(lines.into_iter().map(|command| (agent.name, path.clone(), command)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_number_by_number() {
        assert_eq!(parse_version("2.1.295 (Claude Code)\n"), Some(CLAUDE_BLOCKS));
        assert!(parse_version("claude 2.1.30-beta").unwrap() < CLAUDE_BLOCKS);
        assert!(parse_version("10.0.0").unwrap() > CLAUDE_BLOCKS);
        assert_eq!(parse_version("nightly"), None);
    }
}
