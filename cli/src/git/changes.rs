//! What a commit changed: its tree beside those of its parents, file by file.
//!
//! Only trees are read. A file that a merge took over from any of its parents as it was is no change of that merge.

use super::{Commit, Repository, TREE_BYTES_MAX, broken};
use gix::ObjectId;
use gix::objs::tree::EntryKind;
use std::collections::{BTreeMap, HashMap, HashSet};
use vm_contracts::{Failure, Refusal, RefusalKind};

/// Deepest directory; git itself refuses deeper ones.
const DEPTH_MAX: usize = 1_024;
/// Most changed files of one commit: a tree that names itself many times over would have no end.
const CHANGES_MAX: usize = 1_000_000;

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Tree,
    /// A regular file.
    File,
    /// A regular file that may be executed.
    Executable,
    /// A symbolic link; its blob is the path that it leads to.
    Link,
    /// A commit of another repository.
    Submodule,
}

impl Kind {
    /// Whether the blob is the content of a file.
    pub fn is_file(self) -> bool {
        matches!(self, Kind::File | Kind::Executable)
    }

    /// The mode as git writes it.
    pub fn mode(self) -> &'static str {
        match self {
            Kind::Tree => "040000",
            Kind::File => "100644",
            Kind::Executable => "100755",
            Kind::Link => "120000",
            Kind::Submodule => "160000",
        }
    }
}

/// An entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Its blob, tree or commit.
    pub id: ObjectId,
}

/// How a path differs from the first parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is new.
    Added,
    /// Its content is another, or it became something else.
    Modified,
    /// Only its mode is another.
    Mode,
    /// It is gone.
    Deleted,
    /// It stood under another path, with the very same content.
    Renamed,
}

/// One changed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path from the top of the repository, as bytes.
    pub path: Vec<u8>,
    /// How it differs.
    pub status: Status,
    /// What stood there, or under the previous path.
    pub old: Option<Entry>,
    /// What stands there.
    pub new: Option<Entry>,
    /// Where it stood before, if it was renamed.
    pub previous: Option<Vec<u8>>,
}

type Named = Vec<(Vec<u8>, Entry)>;

impl Repository {
    /// What a commit changed, by path.
    pub fn changes(&self, commit: &Commit) -> Result<Vec<Change>, Failure> {
        let Some((first, others)) = commit.parents.split_first() else {
            return Ok(with_renames(self.between(None, commit.tree)?));
        };
        let mut changes = self.between(Some(self.tree_of(*first)?), commit.tree)?;
        for other in others {
            let differs = self.between(Some(self.tree_of(*other)?), commit.tree)?;
            let differs: HashSet<Vec<u8>> = differs.into_iter().map(|c| c.path).collect();
            changes.retain(|c| differs.contains(&c.path));
        }
        Ok(with_renames(changes))
    }

    fn tree_of(&self, parent: ObjectId) -> Result<ObjectId, Failure> {
        if !self.inner.has_object(parent) {
            let what = format!("the parent {parent} of this commit is not in the repository");
            return Err(Refusal::not_found("parent_missing", what)
                .hint("The clone is shallow: `git fetch --deepen=1` brings what came before.")
                .into());
        }
        Ok(self.commit(parent)?.tree)
    }

    fn between(&self, old: Option<ObjectId>, new: ObjectId) -> Result<Vec<Change>, Failure> {
        let mut walk = Walk { repository: self, path: Vec::new(), found: Vec::new() };
        walk.trees(old, Some(new), 0)?;
        walk.found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(walk.found)
    }

    /// The entries of a tree, whose names are names.
    pub(super) fn entries(&self, id: ObjectId) -> Result<Named, Failure> {
        let unreadable = |e: &dyn std::fmt::Display| broken(&format!("tree {id}: {e}"));
        self.within("tree", id, TREE_BYTES_MAX)?;
        let tree = self.inner.find_tree(id).map_err(|e| unreadable(&e))?;
        // The empty tree has a name without being stored.
        if !tree.data.is_empty() {
            self.check(id, gix::objs::Kind::Tree, &tree.data)?;
        }
        let read = tree.decode().map_err(|e| unreadable(&e))?;
        let mut seen = HashSet::new();
        let mut all = Vec::with_capacity(read.entries.len());
        for entry in &read.entries {
            let name = entry.filename.to_vec();
            let bad = name.is_empty()
                || name.contains(&b'/')
                || name.contains(&0)
                || name == b"."
                || name == b"..";
            if bad || !seen.insert(name.clone()) {
                let shown = String::from_utf8_lossy(&name).into_owned();
                return Err(unreadable(&format!(
                    "it has an entry {shown:?} that no file can have"
                ))
                .into());
            }
            let kind = match entry.mode.kind() {
                EntryKind::Tree => Kind::Tree,
                EntryKind::Blob => Kind::File,
                EntryKind::BlobExecutable => Kind::Executable,
                EntryKind::Link => Kind::Link,
                EntryKind::Commit => Kind::Submodule,
            };
            all.push((name, Entry { kind, id: entry.oid.to_owned() }));
        }
        Ok(all)
    }
}

struct Walk<'a> {
    repository: &'a Repository,
    /// The directory being compared, with a slash behind it.
    path: Vec<u8>,
    found: Vec<Change>,
}

impl Walk<'_> {
    fn trees(
        &mut self,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
        depth: usize,
    ) -> Result<(), Failure> {
        if old == new {
            return Ok(());
        }
        if depth > DEPTH_MAX {
            return Err(broken(&format!("a directory is deeper than {DEPTH_MAX}")).into());
        }
        let read =
            |id: Option<ObjectId>| id.map_or(Ok(Vec::new()), |id| self.repository.entries(id));
        let mut before: BTreeMap<Vec<u8>, Entry> = read(old)?.into_iter().collect();
        for (name, entry) in read(new)? {
            let was = before.remove(&name);
            if was != Some(entry) {
                self.entry(&name, was, Some(entry), depth)?;
            }
        }
        before.into_iter().try_for_each(|(name, was)| self.entry(&name, Some(was), None, depth))
    }

    fn entry(
        &mut self,
        name: &[u8],
        old: Option<Entry>,
        new: Option<Entry>,
        depth: usize,
    ) -> Result<(), Failure> {
        let length = self.path.len();
        self.path.extend_from_slice(name);
        let tree = |e: Option<Entry>| e.filter(|e| e.kind == Kind::Tree).map(|e| e.id);
        let leaf = |e: Option<Entry>| e.filter(|e| e.kind != Kind::Tree);
        self.leaf(leaf(old), leaf(new))?;
        if tree(old).is_some() || tree(new).is_some() {
            self.path.push(b'/');
            self.trees(tree(old), tree(new), depth + 1)?;
        }
        self.path.truncate(length);
        Ok(())
    }

    fn leaf(&mut self, old: Option<Entry>, new: Option<Entry>) -> Result<(), Failure> {
        let status = match (old, new) {
            (None, None) => return Ok(()),
            (None, Some(_)) => Status::Added,
            (Some(_), None) => Status::Deleted,
            (Some(a), Some(b)) if a.id == b.id && a.kind.is_file() && b.kind.is_file() => {
                Status::Mode
            }
            (Some(_), Some(_)) => Status::Modified,
        };
        if self.found.len() >= CHANGES_MAX {
            let what = format!("the commit changes more than {CHANGES_MAX} files");
            return Err(Refusal::new("too_large", RefusalKind::TooLarge, what).into());
        }
        self.found.push(Change { path: self.path.clone(), status, old, new, previous: None });
        Ok(())
    }
}

/// Joins a file that is gone and one that is new and the same into one that was renamed. An empty file is like any
/// other empty file, so it says nothing.
fn with_renames(mut changes: Vec<Change>) -> Vec<Change> {
    let empty = |id: ObjectId| id.is_empty_blob();
    let mut gone: HashMap<ObjectId, Vec<usize>> = HashMap::new();
    for (at, change) in changes.iter().enumerate().rev() {
        if let (Status::Deleted, Some(old)) = (change.status, change.old)
            && old.kind.is_file()
            && !empty(old.id)
        {
            gone.entry(old.id).or_default().push(at);
        }
    }
    let mut joined = HashSet::new();
    for at in 0..changes.len() {
        let Change { status: Status::Added, new: Some(new), .. } = changes[at] else { continue };
        let Some(froms) = gone.get_mut(&new.id).filter(|_| new.kind.is_file()) else { continue };
        let name = base(&changes[at].path).to_vec();
        let same = froms.iter().rposition(|from| base(&changes[*from].path) == name);
        let Some(from) = same.map(|n| froms.remove(n)).or_else(|| froms.pop()) else { continue };
        let (previous, old) = (changes[from].path.clone(), changes[from].old);
        changes[at] = Change {
            status: Status::Renamed,
            previous: Some(previous),
            old,
            ..changes[at].clone()
        };
        joined.insert(from);
    }
    let mut at = 0;
    changes.retain(|_| {
        at += 1;
        !joined.contains(&(at - 1))
    });
    changes
}

fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}
