//! `vm explain`: whether recorded edits explain a commit, file by file.

use super::examine::{self, Edit, Examined, File};
use crate::commands::text;
use crate::exit::{OK, Stop};
use crate::git::Commit;
use crate::screen::{Screen, Tone};
use crate::session::Session;
use crate::table::Table;
use clap::ArgMatches;
use vm_contracts::Value;

/// Exit code of `--check` where not every file is explained.
const NOT_ALL: u8 = 3;
/// Rows that are shown to a person unless all are wanted; files without an explanation come first.
const ROWS_MAX: usize = 100;
/// Files that the first line names.
const NAMED_MAX: usize = 3;

/// Whether the words ask about a commit, and not the report with its own fields.
pub fn is_about_a_commit(given: &ArgMatches) -> bool {
    !given.ids().any(|id| {
        let of_report = id.as_str().starts_with("field:") || id.as_str() == "at";
        of_report && given.value_source(id.as_str()) == Some(clap::parser::ValueSource::CommandLine)
    })
}

/// Explains a commit.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    session.engine(examine::ENGINE)?;
    let (revision, named) = (text(given, "commit").unwrap_or("HEAD"), text(given, "repository"));
    let (all, check) = (given.get_flag("all"), given.get_flag("check"));
    let elsewhere = examine::recorded_as(given)?;
    let repository = examine::repository(&session.screen.paths, named)?;
    let commit = repository.commit(repository.resolve(revision)?)?;
    session.in_home(|screen, ledger| {
        let examined = examine::examine(ledger, &repository, &commit, &elsewhere)?;
        let count = Count::of(&examined.files);
        match screen.json {
            true => screen.document(&document(&commit, &examined, &count))?,
            false => say(screen, &examined, &count, all)?,
        }
        let whole = count.explained == examined.files.len();
        Ok(if check && !whole { NOT_ALL } else { OK })
    })
}

/// How many files are what.
pub(super) struct Count {
    pub explained: usize,
    pub unexplained: usize,
    pub not_examined: usize,
}

impl Count {
    pub(super) fn of(files: &[File]) -> Self {
        let explained = files.iter().filter(|f| f.found.is_ok()).count();
        let not_examined = files.iter().filter(|f| !f.is_examined()).count();
        Self { explained, unexplained: files.len() - explained - not_examined, not_examined }
    }
}

/// The one line that says it all.
fn headline(files: &[File], count: &Count) -> String {
    let total = files.len();
    let noun = if total == 1 { "file" } else { "files" };
    let mut line = match total {
        0 => return "no file changed".to_owned(),
        _ => format!("{} of {total} changed {noun} explained", count.explained),
    };
    let names = |which: &dyn Fn(&&File) -> bool| {
        let paths: Vec<String> = files.iter().filter(which).map(File::path).collect();
        let more = paths.len().saturating_sub(NAMED_MAX);
        let named = paths[..paths.len() - more].join(", ");
        if more > 0 { format!("{named} and {more} more") } else { named }
    };
    if count.unexplained > 0 {
        let names = names(&|f| f.found.is_err() && f.is_examined());
        line.push_str(&format!(" · {} unexplained: {names}", count.unexplained));
    }
    if count.not_examined > 0 {
        let names = names(&|f| !f.is_examined());
        line.push_str(&format!(" · {} not compared: {names}", count.not_examined));
    }
    line
}

fn say(screen: &mut Screen<'_>, examined: &Examined, count: &Count, all: bool) -> Result<(), Stop> {
    let files = &examined.files;
    let tone = if count.explained == files.len() { Tone::Good } else { Tone::Note };
    screen.toned(tone, &headline(files, count), "")?;
    let (first, then): (Vec<&File>, Vec<&File>) = files.iter().partition(|f| f.found.is_err());
    let most = if all { files.len() } else { ROWS_MAX };
    let mut table =
        Table::new(["file", "change", "explained", "agent", "session", "receipt", "when", "note"]);
    for file in first.into_iter().chain(then).take(most) {
        let change = file.status().to_owned();
        match &file.found {
            Ok(Edit { session, agent, seq, at }) => {
                let place = format!("{}/{seq}", examine::ENGINE);
                let by = ["yes", agent, session, &place, at].map(str::to_owned);
                table.row([file.path(), change].into_iter().chain(by).chain([note(file)]));
            }
            Err(why) => {
                let by = [reason(why), "", "", "", ""].map(str::to_owned);
                table.row([file.path(), change].into_iter().chain(by).chain([note(file)]));
            }
        }
    }
    table.drop_empty_columns();
    screen.table(&table)?;
    if files.len() > most {
        screen.line(&format!("… and {} more; --all lists them", files.len() - most))?;
    }
    screen.line(&format!("as of {}, {} receipts", examine::ENGINE, examined.size))
}

/// A reason for a person.
fn reason(why: &str) -> &str {
    match why {
        "no_edit" => "no: no edit of this file is recorded",
        "other_content" => "no: edited, and no edit left this content",
        "deleted" => "no: its last edit did not remove it",
        "moved" => "no: nobody recorded that it left its old path",
        "submodule" => "not compared: another repository",
        "symlink" => "not compared: a symbolic link",
        "mode_only" => "not compared: only its mode changed",
        "not_examined" => "not compared: too long",
        other => other,
    }
}

/// What else is to be said of a file.
fn note(file: &File) -> String {
    let mut notes = Vec::new();
    if let Some(previous) = &file.change.previous {
        notes.push(format!("was {}", vm_console::keyed::path_text(previous)));
    }
    if let Some((old, new)) = modes(file) {
        notes.push(format!("mode {old} to {new}"));
    }
    if file.other_line_ends {
        notes.push("edited with CRLF line ends".into());
    }
    notes.join("; ")
}

/// Old and new mode, where both are there and differ.
fn modes(file: &File) -> Option<(&'static str, &'static str)> {
    let (old, new) = (file.change.old?.kind, file.change.new?.kind);
    (old != new).then(|| (old.mode(), new.mode()))
}

fn document(commit: &Commit, examined: &Examined, count: &Count) -> Value {
    let mut files = Vec::with_capacity(examined.files.len());
    for file in &examined.files {
        let mut row = serde_json::json!({
            "path": file.path(),
            "file_id": file.file_id,
            "change": file.status(),
            "explained": file.found.is_ok(),
        });
        match &file.found {
            Ok(edit) => {
                row["session_id"] = edit.session.clone().into();
                row["receipt"] = format!("{}/{}", examine::ENGINE, edit.seq).into();
                row["agent_type"] = edit.agent.clone().into();
                row["at"] = edit.at.clone().into();
                if file.other_line_ends {
                    row["line_ends"] = "crlf".into();
                }
            }
            Err(why) => row["reason"] = why.clone().into(),
        }
        if let Some(previous) = &file.change.previous {
            row["previous_path"] = vm_console::keyed::path_text(previous).into();
        }
        if let Some((old, new)) = modes(file) {
            row["modes"] = serde_json::json!([old, new]);
            row["mode_changed"] = true.into();
        }
        files.push(row);
    }
    serde_json::json!({
        "commit": commit.id.to_string(),
        "tree": commit.tree.to_string(),
        "parents": commit.parents.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "project_id": examined.project_id,
        "files_changed": examined.files.len(),
        "files_explained": count.explained,
        "files_unexplained": count.unexplained,
        "files_not_examined": count.not_examined,
        "files": files,
        "scroll": examine::ENGINE,
        "size": examined.size,
    })
}
