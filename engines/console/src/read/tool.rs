//! What a tool does, told from its name and what it is given. Agents name the same few tools differently.

use super::json::{any_text, text};
use serde_json::Value;

/// What a call comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    /// It runs a command.
    Shell {
        /// The command line.
        command: String,
        /// Where, if it says so.
        cwd: Option<String>,
    },
    /// It changes files.
    Edit(Vec<Change>),
    /// It lets another agent work.
    Task {
        /// The kind of agent.
        agent_type: Option<String>,
        /// What it is told to do.
        prompt: String,
    },
    /// Anything else.
    Other,
}

/// A change of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file, as the call names it.
    pub path: String,
    /// Where the file was before, if it is moved.
    pub from: Option<String>,
    /// What happens to its content.
    pub how: How,
}

/// What happens to a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// This is all of it now.
    Whole(String),
    /// Parts of it are replaced, one after another.
    Replace(Vec<Swap>),
    /// The file goes.
    Delete,
    /// Something that cannot be followed.
    Unknown,
}

/// One replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// What stands there; exactly once, unless all are meant.
    pub old: String,
    /// What stands there afterwards.
    pub new: String,
    /// Every place.
    pub all: bool,
}

/// Most files that one patch may name.
const FILES_MAX: usize = 1_024;

impl Tool {
    /// Whether the name is that of a tool that changes files, whatever it is given.
    pub fn edits(name: &str) -> bool {
        is_edit(&plain(name))
    }

    /// What the call of this tool does.
    pub fn of(name: &str, input: &Value) -> Tool {
        let name = plain(name);
        match name.as_str() {
            "bash" | "shell" | "localshell" | "shellcommand" | "runshellcommand"
            | "execcommand" | "executebash" | "runterminalcmd" | "runterminalcommand"
            | "containerexec" | "unifiedexec" => shell(input),
            "task" | "agent" => task(input),
            _ if is_edit(&name) => edit(&name, input),
            _ => Tool::Other,
        }
    }
}

/// The name without case and dividers: `apply_patch`, `ApplyPatch`.
fn plain(name: &str) -> String {
    const NAME_MAX: usize = 64;
    let letters = name.chars().take(NAME_MAX).filter(|c| !matches!(c, '_' | '-' | '.'));
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

fn is_edit(plain: &str) -> bool {
    matches!(
        plain,
        "write"
            | "writefile"
            | "createfile"
            | "edit"
            | "editfile"
            | "replace"
            | "strreplace"
            | "searchreplace"
            | "multiedit"
            | "notebookedit"
            | "applypatch"
            | "strreplacebasededittool"
            | "strreplaceeditor"
            | "deletefile"
    )
}

fn shell(input: &Value) -> Tool {
    let command =
        match input.get("command").or_else(|| input.get("cmd")).or_else(|| input.get("script")) {
            Some(Value::String(command)) => command.clone(),
            Some(Value::Array(words)) => words
                .iter()
                .map(|w| quoted(w.as_str().unwrap_or_default()))
                .collect::<Vec<_>>()
                .join(" "),
            _ => return Tool::Other,
        };
    let cwd =
        any_text(input, &["workdir", "cwd", "directory", "working_directory"]).map(str::to_owned);
    Tool::Shell { command, cwd }
}

/// A word as a shell reads it back.
pub fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(&b);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn task(input: &Value) -> Tool {
    match any_text(input, &["prompt", "task", "message"]) {
        Some(prompt) => Tool::Task {
            agent_type: any_text(input, &["subagent_type", "agent_type"]).map(str::to_owned),
            prompt: prompt.to_owned(),
        },
        None => Tool::Other,
    }
}

fn edit(name: &str, input: &Value) -> Tool {
    if name == "applypatch" {
        let patch = input.as_str().or_else(|| any_text(input, &["input", "patch", "command"]));
        return patch.and_then(changes_of_patch).map_or(Tool::Other, Tool::Edit);
    }
    let Some(path) =
        any_text(input, &["file_path", "path", "notebook_path", "target_file", "filePath"])
    else {
        return Tool::Other;
    };
    let how = match name {
        "write" | "writefile" | "createfile" => {
            any_text(input, &["content", "contents", "file_text"]).map(|c| How::Whole(c.to_owned()))
        }
        "multiedit" => swaps(input).map(How::Replace),
        "deletefile" => Some(How::Delete),
        "notebookedit" => Some(How::Unknown),
        "strreplacebasededittool" | "strreplaceeditor" => match text(input, "command") {
            Some("create") => text(input, "file_text").map(|c| How::Whole(c.to_owned())),
            Some("str_replace") => swap(input).map(|s| How::Replace(vec![s])),
            Some("insert" | "undo_edit") => Some(How::Unknown),
            _ => return Tool::Other,
        },
        _ => swap(input).map(|s| How::Replace(vec![s])),
    };
    let how = how.unwrap_or(How::Unknown);
    Tool::Edit(vec![Change { path: path.to_owned(), from: None, how }])
}

fn swap(input: &Value) -> Option<Swap> {
    Some(Swap {
        old: any_text(input, &["old_string", "old_str"])?.to_owned(),
        new: any_text(input, &["new_string", "new_str"]).unwrap_or_default().to_owned(),
        all: input.get("replace_all").and_then(Value::as_bool).unwrap_or(false),
    })
}

fn swaps(input: &Value) -> Option<Vec<Swap>> {
    input.get("edits")?.as_array()?.iter().map(swap).collect()
}

/// Files of a patch in the form of `apply_patch`; none where it is not in that form.
fn changes_of_patch(patch: &str) -> Option<Vec<Change>> {
    let begin = patch.lines().position(|line| line.trim_end() == "*** Begin Patch")?;
    let mut changes: Vec<Change> = Vec::new();
    for line in patch.lines().skip(begin + 1) {
        if line.trim_end() == "*** End Patch" {
            break;
        }
        let start = |path: &str, how| Change { path: path.to_owned(), from: None, how };
        if let Some(path) = line.strip_prefix("*** Add File: ") {
            changes.push(start(path, How::Whole(String::new())));
        } else if let Some(path) = line.strip_prefix("*** Delete File: ") {
            changes.push(start(path, How::Delete));
        } else if let Some(path) = line.strip_prefix("*** Update File: ") {
            changes.push(start(path, How::Replace(Vec::new())));
        } else {
            within(changes.last_mut()?, line);
        }
        if changes.len() > FILES_MAX {
            return None;
        }
    }
    (!changes.is_empty()).then_some(changes)
}

/// Takes a line of a patch into the change it belongs to.
fn within(change: &mut Change, line: &str) {
    if let Some(to) = line.strip_prefix("*** Move to: ") {
        change.from = Some(std::mem::replace(&mut change.path, to.to_owned()));
        return;
    }
    match &mut change.how {
        How::Whole(content) => {
            content.push_str(line.strip_prefix('+').unwrap_or(line));
            content.push('\n');
        }
        How::Replace(swaps) => {
            if line.starts_with("@@") || swaps.is_empty() {
                swaps.push(Swap { old: String::new(), new: String::new(), all: false });
            }
            let Some(swap) = swaps.last_mut() else { return };
            let (sign, rest) = match line.chars().next() {
                Some(sign @ (' ' | '+' | '-')) => (sign, &line[1..]),
                None => (' ', ""),
                Some(_) => return,
            };
            for (side, skip) in [(&mut swap.old, '+'), (&mut swap.new, '-')] {
                if sign != skip {
                    side.push_str(rest);
                    side.push('\n');
                }
            }
        }
        How::Delete | How::Unknown => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn agents_name_the_same_tools_differently() {
        let shell = |command: &str| Tool::Shell { command: command.into(), cwd: None };
        assert_eq!(Tool::of("Bash", &json!({"command": "ls -l"})), shell("ls -l"));
        assert_eq!(Tool::of("run_shell_command", &json!({"command": "ls"})), shell("ls"));
        assert_eq!(
            Tool::of("shell", &json!({"command": ["sh", "-c", "a b"]})),
            shell("sh -c 'a b'")
        );
        assert_eq!(Tool::of("Bash", &json!({"command": 7})), Tool::Other);
        assert_eq!(Tool::of("mcp__x__write", &json!({"path": "a"})), Tool::Other);
        let edited = |name, input| match Tool::of(name, &input) {
            Tool::Edit(changes) => changes.into_iter().map(|c| (c.path, c.how)).collect(),
            _ => Vec::new(),
        };
        let whole = vec![("a".to_owned(), How::Whole("x".into()))];
        assert_eq!(edited("Write", json!({"file_path": "a", "content": "x"})), whole);
        assert_eq!(edited("write_file", json!({"path": "a", "content": "x"})), whole);
        assert_eq!(
            edited(
                "str_replace_based_edit_tool",
                json!({"command": "create", "path": "a", "file_text": "x"})
            ),
            whole
        );
        assert_eq!(
            edited("str_replace_based_edit_tool", json!({"command": "view", "path": "a"})),
            vec![]
        );
        assert_eq!(
            edited("Write", json!({"file_path": "a"})),
            vec![("a".to_owned(), How::Unknown)]
        );
    }

    #[test]
    fn a_patch_names_its_files_and_only_those() {
        let patch = "*** Begin Patch\n*** Add File: a\n+x\n+*** Delete File: trap\n*** Update File: b\n*** Move to: c\n@@\n k\n-l\n+m\n*** Delete File: d\n*** End Patch\n*** Add File: e\n";
        let Tool::Edit(changes) = Tool::of("apply_patch", &json!({"input": patch})) else {
            panic!("no edit")
        };
        let paths: Vec<_> = changes.iter().map(|c| (c.path.as_str(), c.from.as_deref())).collect();
        assert_eq!(paths, [("a", None), ("c", Some("b")), ("d", None)]);
        assert_eq!(changes[0].how, How::Whole("x\n*** Delete File: trap\n".into()));
        let swap = Swap { old: "k\nl\n".into(), new: "k\nm\n".into(), all: false };
        assert_eq!(changes[1].how, How::Replace(vec![swap]));
        assert_eq!(Tool::of("apply_patch", &json!({"input": "no patch"})), Tool::Other);
    }
}
