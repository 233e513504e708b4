//! `vm console blame FILE`: who left the content that a file has now, and who edited it before.

use super::examine::{self, ENGINE};
use crate::commands::text;
use crate::exit::{self, OK, Stop};
use crate::git::{BLOB_BYTES_MAX, Repository};
use crate::screen::Tone;
use crate::session::Session;
use crate::table::{Table, cell};
use clap::ArgMatches;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use vm_console::keyed::{self, HomeKey};
use vm_contracts::{Failure, Map, Refusal, Value};
use vm_ledger::{AsOf, Ledger};

/// The report that is asked.
const REPORT: &str = "blame";
/// Rows that are shown to a person.
const ROWS_MAX: usize = 50;

/// Shows the edits of a file, the latest first.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    session.engine(ENGINE)?;
    let file = text(given, "file").ok_or_else(|| {
        Refusal::malformed("missing_field", "blame needs a file")
            .field("file")
            .hint("Name a file of a repository, or give --file-id.")
    })?;
    let place = Place::of(&session.screen.paths.find(file), |directory| {
        let named = text(given, "repository").map(|dir| session.screen.paths.find(dir));
        Repository::open(&named.unwrap_or(directory))
    })?;
    let elsewhere = examine::recorded_as(given)?;
    session.in_home(|screen, ledger| {
        let key = ledger.import_key()?;
        let (size, edits) = place.edits(ledger, &key, &elsewhere)?;
        let now = place.content(&key).map_err(|e| Stop::from(exit::unreadable(file, &e)))?;
        let author = now.as_ref().and_then(|now| {
            let left = |e: &&Value| e["new_hash"].as_str().is_some_and(|hash| now.iter().any(|n| n == hash));
            edits.iter().find(left)
        });
        let path = keyed::path_text(&place.path);
        if screen.json {
            let document = serde_json::json!({
                "path": path, "exists": now.is_some(), "current": author, "edits": edits, "scroll": ENGINE, "size": size,
            });
            screen.document(&document)?;
            return Ok(OK);
        }
        let by = |e: &Value| {
            let word = |name: &str| cell(&e[name]);
            format!("{} in {}, {ENGINE}/{}, {}", word("agent_type"), word("session_id"), word("seq"), word("at"))
        };
        match (author, now.is_some()) {
            (Some(edit), _) => screen.toned(Tone::Good, &path, &format!("  as it is now by {}", by(edit)))?,
            (None, true) => screen.toned(Tone::Note, &path, "  as it is now by nobody who is recorded")?,
            (None, false) => screen.toned(Tone::Note, &path, "  is not there")?,
        }
        screen.table(&table(&edits, author))?;
        if edits.len() > ROWS_MAX {
            screen.line(&format!("… and {} earlier; --json lists them", edits.len() - ROWS_MAX))?;
        }
        screen.line(&format!("as of {ENGINE}, {size} receipts"))?;
        Ok(OK)
    })
}

fn table(edits: &[Value], author: Option<&Value>) -> Table {
    let names = ["at", "agent_type", "session_id", "call_id", "edit_type", "observed_by"];
    let header = ["receipt"].into_iter().chain(names).chain(["external_change", "now"]);
    let mut table = Table::new(header);
    for edit in edits.iter().take(ROWS_MAX) {
        let place = format!("{ENGINE}/{}", cell(&edit["seq"]));
        let is_now = if author == Some(edit) { "as it is now" } else { "" };
        let external =
            if edit["external_change"] == Value::Bool(true) { "changed before" } else { "" };
        let told = names.map(|name| cell(&edit[name]));
        table.row([place].into_iter().chain(told).chain([external.to_owned(), is_now.to_owned()]));
    }
    table.drop_empty_columns();
    table
}

/// A file of a repository.
struct Place {
    repository: Repository,
    /// From the top of its work tree.
    path: Vec<u8>,
    file: PathBuf,
}

impl Place {
    /// Its directory is looked up on disk, its own name is not: it may be a link, or gone.
    fn of(
        file: &Path,
        open: impl FnOnce(PathBuf) -> Result<Repository, Failure>,
    ) -> Result<Self, Failure> {
        let outside = |why: &str| {
            let what = format!("{} is no file of a repository: {why}", file.display());
            Failure::from(Refusal::not_found("no_repository", what).field("file"))
        };
        let whole = std::path::absolute(file).map_err(|e| outside(&e.to_string()))?;
        let name = whole.file_name().ok_or_else(|| outside("it has no name"))?;
        let parent = whole.parent().unwrap_or(Path::new("/"));
        // Directories that are gone may still have had files that were edited.
        let (there, gone) = existing(parent);
        let there = there.canonicalize().map_err(|e| outside(&e.to_string()))?;
        let repository = open(there.clone())?;
        let file = there.join(gone).join(name);
        let Ok(below) = file.strip_prefix(&repository.top) else {
            return Err(outside("it lies outside of the work tree"));
        };
        Ok(Self { path: examine::bytes(below), repository, file: file.clone() })
    }

    /// Edits under all names that the file may have been recorded under, the latest first.
    fn edits(
        &self,
        ledger: &Ledger,
        key: &HomeKey,
        elsewhere: &[String],
    ) -> Result<(u64, Vec<Value>), Failure> {
        let (mut size, mut found) = (0, BTreeMap::new());
        for id in examine::names(key, &self.repository, elsewhere, &self.path) {
            let question = Map::from_iter([("file_id".to_owned(), Value::from(id))]);
            let (at, answer) = ledger.report(ENGINE, REPORT, &question, AsOf::Now)?;
            size = at;
            let rows = answer.as_array().cloned().unwrap_or_default();
            found.extend(rows.into_iter().map(|row| (row["seq"].as_u64().unwrap_or(0), row)));
        }
        Ok((size, found.into_values().rev().collect()))
    }

    /// Digests of what the file holds now; `None` where there is no regular file of readable length.
    fn content(&self, key: &HomeKey) -> std::io::Result<Option<[String; 2]>> {
        match std::fs::symlink_metadata(&self.file) {
            Ok(meta) if meta.is_file() && meta.len() <= BLOB_BYTES_MAX => {}
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => return Ok(None),
        }
        let mut bytes = Vec::new();
        std::fs::File::open(&self.file)?.take(BLOB_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(Some(keyed::forms(key, &bytes)))
    }
}

/// The part of a path that is there, and what follows it.
fn existing(path: &Path) -> (&Path, PathBuf) {
    let there = path.ancestors().find(|p| p.is_dir()).unwrap_or(Path::new("/"));
    let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
    (there, rest.to_owned())
}
