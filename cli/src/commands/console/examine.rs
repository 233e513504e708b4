//! A commit beside the recorded edits: what it changed, under which ids an edit of that file may stand, and which edit
//! explains it.
//!
//! An edit is kept under the directory that its session called the project. That is most often the top of the main
//! work tree, but an agent may have been started in a linked work tree, further down or further up. Each of these names
//! means the very same file, so all are asked for.

use crate::git::{Blob, Change, Commit, Kind, Repository, Status};
use clap::ArgMatches;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use vm_console::keyed::{self, HomeKey};
use vm_contracts::{Failure, Map, Moment, Refusal, Value};
use vm_ledger::{AsOf, Ledger};

/// Files asked for in one question.
const BATCH: usize = 1_024;
/// Directories above and below the top of the repository in which a session may have been started.
const ROOTS_MAX: usize = 32;
/// The engine, and the report that is asked.
pub const ENGINE: &str = "console";
const REPORT: &str = "explain";

/// Reasons for which a file cannot be compared at all.
const SYMLINK: &str = "symlink";
const MODE: &str = "mode_only";
const SUBMODULE: &str = "submodule";
const TOO_LONG: &str = "not_examined";

/// A changed file and what came of looking for it.
#[derive(Clone, Debug)]
pub struct File {
    /// What the commit did to it.
    pub change: Change,
    /// Its id, and the one before it was renamed: those under which it is explained, else those of the main work tree.
    pub file_id: String,
    /// See `file_id`.
    pub previous_file_id: Option<String>,
    /// Digests of its content; none where it was not read.
    pub contents: Vec<String>,
    /// The edit that explains it, or why none does.
    pub found: Result<Edit, String>,
    /// Whether it is its form with CRLF line ends that an edit left.
    pub other_line_ends: bool,
}

/// The edit that explains a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Its session.
    pub session: String,
    /// The agent of that session.
    pub agent: String,
    /// Its place in the scroll.
    pub seq: u64,
    /// When it happened.
    pub at: String,
}

/// All files of a commit.
pub struct Examined {
    /// Keyed id of the project.
    pub project_id: String,
    /// The files, by path.
    pub files: Vec<File>,
    /// Receipts the answer is as of.
    pub size: u64,
}

impl File {
    /// Whether it was compared.
    pub fn is_examined(&self) -> bool {
        !matches!(&self.found, Err(why) if [SYMLINK, MODE, SUBMODULE, TOO_LONG].contains(&why.as_str()))
    }

    /// The path as it is shown.
    pub fn path(&self) -> String {
        keyed::path_text(&self.change.path)
    }

    /// What the engine calls what was done to it.
    pub fn status(&self) -> &'static str {
        let is_submodule =
            |e: Option<crate::git::Entry>| e.is_some_and(|e| e.kind == Kind::Submodule);
        if is_submodule(self.change.old) || is_submodule(self.change.new) {
            return "submodule";
        }
        match self.change.status {
            Status::Added => "added",
            Status::Modified | Status::Mode => "modified",
            Status::Deleted => "deleted",
            Status::Renamed => "renamed",
        }
    }

    /// As the engine takes it.
    pub fn as_asked(&self) -> Value {
        let mut asked = Map::new();
        asked.insert("file_id".into(), self.file_id.clone().into());
        asked.insert("status".into(), self.status().into());
        if let Some((first, others)) = self.contents.split_first() {
            asked.insert("content".into(), first.clone().into());
            asked.insert("contents".into(), others.into());
        }
        if let Some(previous) =
            self.previous_file_id.as_ref().filter(|_| self.status() == "renamed")
        {
            asked.insert("previous_file_id".into(), previous.clone().into());
        }
        asked.into()
    }
}

/// Compares a commit with the recorded edits.
pub fn examine(
    ledger: &Ledger,
    repository: &Repository,
    commit: &Commit,
    elsewhere: &[String],
) -> Result<Examined, Failure> {
    let key = ledger.import_key()?;
    let roots = Roots::new(&key, repository, elsewhere);
    let changes = repository.changes(commit)?;
    let read = |change| look(repository, &key, &roots, change);
    let mut files = changes.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let project_id = roots.main().id.clone();
    let mut ends = LineEnds { repository, tree: commit.tree, known: HashMap::new() };
    let committed_at = committed_at(commit);
    let mut asking = Asking { ledger, project_id: &project_id, committed_at, size: 0 };
    let all: Vec<usize> = (0..files.len()).filter(|n| wants(&files[*n])).collect();
    asking.ask(&mut files, &all)?;
    asking.with_other_line_ends(&mut files, &all, &key, &mut ends)?;
    for n in 1..roots.most() {
        let open: Vec<usize> = all.iter().copied().filter(|at| files[*at].found.is_err()).collect();
        asking.elsewhere(&mut files, &open, (&key, &mut ends), |file| {
            roots.name_of(&key, &file.change, n)
        })?;
    }
    let size = asking.size;
    Ok(Examined { project_id, files, size })
}

/// Whether the engine is asked about the file.
fn wants(file: &File) -> bool {
    matches!(&file.found, Err(why) if why.is_empty())
}

/// Reads what is to be compared. Blobs that did not change are never read.
fn look(
    repository: &Repository,
    key: &HomeKey,
    roots: &Roots,
    change: Change,
) -> Result<File, Failure> {
    let mut file = File {
        file_id: String::new(),
        previous_file_id: None,
        contents: Vec::new(),
        found: Err(String::new()),
        other_line_ends: false,
        change,
    };
    let names = roots.name_of(key, &file.change, 0).expect("the main work tree names every file");
    (file.file_id, file.previous_file_id) = names;
    let Change { status, new, .. } = file.change;
    let why = match new {
        _ if file.status() == "submodule" => Some(SUBMODULE),
        _ if status == Status::Mode => Some(MODE),
        Some(entry) if entry.kind == Kind::Link => Some(SYMLINK),
        Some(entry) => match repository.blob(entry.id)? {
            Blob::Bytes(bytes) => {
                file.contents = keyed::forms(key, &bytes).into();
                None
            }
            Blob::TooLong => Some(TOO_LONG),
        },
        None => None,
    };
    file.found = Err(why.unwrap_or_default().to_owned());
    Ok(file)
}

/// A directory that a session may have called its project.
#[derive(Clone, Debug)]
struct Root {
    path: Vec<u8>,
    id: String,
}

/// All of them, as far as they can be known from here.
struct Roots {
    key: HomeKey,
    /// Top of the work tree that was named.
    top: Vec<u8>,
    /// Tops of work trees: the main one first, then that one, then those of other machines.
    tops: Vec<Root>,
    /// Directories above the tops.
    above: Vec<Root>,
}

impl Roots {
    fn new(key: &HomeKey, repository: &Repository, elsewhere: &[String]) -> Self {
        let root = |path: &Path| {
            let path = bytes(path);
            Root { id: keyed::project_id(key, &path), path }
        };
        let mut tops = vec![root(&repository.main)];
        if repository.top != repository.main {
            tops.push(root(&repository.top));
        }
        let told = |path: &String| PathBuf::from(path.trim_end_matches('/'));
        tops.extend(elsewhere.iter().map(|path| root(&told(path))));
        let above = repository.top.ancestors().skip(1).take(ROOTS_MAX).map(root).collect();
        Self { key: *key, top: bytes(&repository.top), tops, above }
    }

    fn main(&self) -> &Root {
        &self.tops[0]
    }

    /// How many names a file can have at most.
    fn most(&self) -> usize {
        self.tops.len() * (1 + ROOTS_MAX) + self.above.len()
    }

    fn name_of(
        &self,
        key: &HomeKey,
        change: &Change,
        n: usize,
    ) -> Option<(String, Option<String>)> {
        self.name(key, &change.path, change.previous.as_deref(), n)
    }

    /// The n-th name of a file: below the tops, below the directories above them, below those on its own way.
    fn name(
        &self,
        key: &HomeKey,
        path: &[u8],
        previous: Option<&[u8]>,
        n: usize,
    ) -> Option<(String, Option<String>)> {
        if n < self.tops.len() {
            let id = &self.tops[n].id;
            let named = |path: &[u8]| keyed::file_id(key, id, path);
            return Some((named(path), previous.map(named)));
        }
        let n = n - self.tops.len();
        let (top, root) = match self.above.get(n) {
            Some(root) => (&self.top, root.clone()),
            None => self.below(path, n - self.above.len())?,
        };
        let name = |path: &[u8]| {
            let whole = [top, b"/".as_slice(), path].concat();
            let below = keyed::relative(&root.path, b"/", &whole).unwrap_or(whole);
            keyed::file_id(key, &root.id, &below)
        };
        Some((name(path), previous.map(name)))
    }

    /// The n-th directory on the way from a top to the file.
    fn below(&self, path: &[u8], n: usize) -> Option<(&Vec<u8>, Root)> {
        let (depth, top) = (n / self.tops.len(), &self.tops[n % self.tops.len()]);
        let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        let end = ends.take(ROOTS_MAX).nth(depth)?;
        let path = [&top.path, b"/".as_slice(), &path[..end]].concat();
        Some((&top.path, Root { id: keyed::project_id(&self.key, &path), path }))
    }
}

/// All ids under which edits of a file may stand, the most likely one first.
pub fn names(
    key: &HomeKey,
    repository: &Repository,
    elsewhere: &[String],
    path: &[u8],
) -> Vec<String> {
    let roots = Roots::new(key, repository, elsewhere);
    let all = (0..roots.most()).filter_map(|n| roots.name(key, path, None, n)).map(|n| n.0);
    all.collect()
}

/// The bytes of a path.
pub fn bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}

/// Whether git may have changed line ends, asked once for each directory.
struct LineEnds<'a> {
    repository: &'a Repository,
    tree: gix::ObjectId,
    known: HashMap<Vec<u8>, bool>,
}

impl LineEnds<'_> {
    fn change(&mut self, path: &[u8]) -> bool {
        let end = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
        let (repository, tree) = (self.repository, self.tree);
        *self
            .known
            .entry(path[..end].to_vec())
            .or_insert_with(|| repository.converts_line_ends(tree, path))
    }
}

/// Text with LF alone as it may have stood in the work tree; `None` for anything else.
fn with_crlf(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.contains(&0) || bytes.contains(&b'\r') || !bytes.contains(&b'\n') {
        return None;
    }
    let mut text = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    for byte in bytes {
        if *byte == b'\n' {
            text.push(b'\r');
        }
        text.push(*byte);
    }
    Some(text)
}

/// When a commit was made, as the engine takes it.
pub fn committed_at(commit: &Commit) -> Option<String> {
    Some(Moment::from_unix_ms(commit.committed_ms?)?.to_string())
}

struct Asking<'a> {
    ledger: &'a Ledger,
    project_id: &'a str,
    committed_at: Option<String>,
    size: u64,
}

impl Asking<'_> {
    /// Asks about some of the files as they are named now.
    fn ask(&mut self, files: &mut [File], which: &[usize]) -> Result<(), Failure> {
        // Without files it is still asked once, for the size that the answer is as of.
        let batches = which.chunks(BATCH).chain(which.is_empty().then_some(which));
        for batch in batches {
            let asked: Vec<Value> = batch.iter().map(|n| files[*n].as_asked()).collect();
            let mut question = Map::new();
            question.insert("project_id".into(), self.project_id.into());
            question.insert("files".into(), asked.into());
            if let Some(at) = &self.committed_at {
                question.insert("committed_at".into(), at.clone().into());
            }
            let (size, answer) = self.ledger.report(ENGINE, REPORT, &question, AsOf::Now)?;
            self.size = size;
            for (n, told) in batch.iter().zip(rows(&answer)) {
                // The answers come in the order of the files; anything else explains nothing.
                let is_its = told["file_id"] == files[*n].file_id.as_str();
                files[*n].found = if is_its { found(told) } else { Err("no_edit".into()) };
            }
        }
        Ok(())
    }

    /// Asks again for the work tree's form of files that were edited and left otherwise.
    fn with_other_line_ends(
        &mut self,
        files: &mut [File],
        which: &[usize],
        key: &HomeKey,
        ends: &mut LineEnds<'_>,
    ) -> Result<(), Failure> {
        let mut asked = Vec::new();
        for n in which.iter().copied() {
            let file = &mut files[n];
            let is_other = matches!(&file.found, Err(why) if why == "other_content");
            let Some(entry) = file.change.new.filter(|e| is_other && e.kind.is_file()) else {
                continue;
            };
            if !ends.change(&file.change.path) {
                continue;
            }
            if let Blob::Bytes(bytes) = ends.repository.blob(entry.id)?
                && let Some(text) = with_crlf(&bytes)
            {
                let before = std::mem::replace(&mut file.contents, keyed::forms(key, &text).into());
                asked.push((n, before));
            }
        }
        let which: Vec<usize> = asked.iter().map(|(n, _)| *n).collect();
        if !which.is_empty() {
            self.ask(files, &which)?;
        }
        for (n, before) in asked {
            let file = &mut files[n];
            file.other_line_ends = file.found.is_ok();
            if file.found.is_err() {
                file.contents = before;
            }
        }
        Ok(())
    }

    /// Asks under other names; a file that is not explained there either keeps the name that it had, unless only the
    /// other one was ever edited.
    fn elsewhere(
        &mut self,
        files: &mut [File],
        open: &[usize],
        (key, ends): (&HomeKey, &mut LineEnds<'_>),
        name: impl Fn(&File) -> Option<(String, Option<String>)>,
    ) -> Result<(), Failure> {
        let mut before = Vec::new();
        for n in open.iter().copied() {
            if let Some((file_id, previous)) = name(&files[n]) {
                let file = &mut files[n];
                before.push((n, file.clone()));
                (file.file_id, file.previous_file_id) = (file_id, previous);
            }
        }
        let which: Vec<usize> = before.iter().map(|(n, _)| *n).collect();
        if which.is_empty() {
            return Ok(());
        }
        self.ask(files, &which)?;
        self.with_other_line_ends(files, &which, key, ends)?;
        let never = |file: &File| matches!(&file.found, Err(why) if why == "no_edit");
        for (n, was) in before {
            let is = &files[n];
            if is.found.is_err() && (never(is) || !never(&was)) {
                files[n] = was;
            }
        }
        Ok(())
    }
}

/// The rows of the report's answer.
fn rows(answer: &Value) -> &[Value] {
    answer["answers"].as_array().map_or(&[], Vec::as_slice)
}

fn found(row: &Value) -> Result<Edit, String> {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    match (row["explained"] == Value::Bool(true), row["seq"].as_u64()) {
        (true, Some(seq)) => {
            Ok(Edit { session: text("session_id"), agent: text("agent_type"), seq, at: text("at") })
        }
        _ => Err(text("reason")),
    }
}

/// The repository of a command: of the directory that it names, or in which it was given.
pub fn repository(paths: &crate::paths::Paths, named: Option<&str>) -> Result<Repository, Failure> {
    let directory: PathBuf = paths.find(named.unwrap_or("."));
    Repository::open(&directory)
}

/// Tops of work trees of other machines, under which edits were recorded.
pub fn recorded_as(given: &ArgMatches) -> Result<Vec<String>, Refusal> {
    let all: Vec<String> = given.get_many("recorded-as").unwrap_or_default().cloned().collect();
    match all.iter().find(|path| !path.starts_with('/')) {
        None => Ok(all),
        Some(path) => {
            let what = format!("--recorded-as {path:?} is no absolute path");
            Err(Refusal::malformed("wrong_type", what)
                .field("recorded_as")
                .hint("Give the top of the work tree as it was called where the agent worked."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_with_bare_line_feeds_has_another_form() {
        assert_eq!(with_crlf(b"a\nb\n").unwrap(), b"a\r\nb\r\n");
        for other in [b"a\r\nb\n".as_slice(), b"a\n\0", b"a", b""] {
            assert_eq!(with_crlf(other), None);
        }
    }

    #[test]
    fn a_file_has_a_name_below_each_directory_in_which_a_session_may_have_begun() {
        let key = [7; 32];
        let root =
            |path: &str| Root { path: path.into(), id: keyed::project_id(&key, path.as_bytes()) };
        let roots = Roots {
            key,
            top: b"/w/main".to_vec(),
            tops: vec![root("/w/main")],
            above: vec![root("/w"), root("/")],
        };
        let named =
            |project: &str, path: &str| keyed::file_id(&key, &root(project).id, path.as_bytes());
        let want = [
            named("/w/main", "a/b/c"),
            named("/w", "main/a/b/c"),
            named("/", "w/main/a/b/c"),
            named("/w/main/a", "b/c"),
            named("/w/main/a/b", "c"),
        ];
        let names: Vec<String> = (0..roots.most())
            .filter_map(|n| roots.name(&key, b"a/b/c", None, n))
            .map(|n| n.0)
            .collect();
        assert_eq!(names, want);
    }
}
