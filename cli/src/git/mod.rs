//! Git repositories, read only: which repository a directory is in, what a revision names, what a commit changed.
//!
//! Objects are read as they are stored: replacement objects, grafts and filters would show something else than what the
//! commit's hash covers. Nothing is executed, and nothing of the environment decides which repository is read, so that
//! the owner of a home sees the same as the client for whom it looks.

mod changes;
mod revision;

use gix::ObjectId;
use gix::sec::Trust;
use std::path::{Path, PathBuf};
use vm_contracts::{Failure, Fault, Refusal, RefusalKind};

pub use changes::{Change, Entry, Kind, Status};

/// Longest blob that is read. Its content stands in memory once; longer ones are said not to have been looked at.
pub const BLOB_BYTES_MAX: u64 = 64 << 20;
/// Longest commit that is read.
const COMMIT_BYTES_MAX: u64 = 16 << 20;
/// Longest tree that is read: one directory with hundreds of thousands of files.
const TREE_BYTES_MAX: u64 = 64 << 20;
/// Longest text of attributes that is looked through.
const ATTRIBUTES_BYTES_MAX: u64 = 1 << 20;

/// A repository that belongs to this user, or was declared safe.
pub struct Repository {
    inner: gix::Repository,
    /// Top of the work tree that was named, or the directory of a bare repository; canonical.
    pub top: PathBuf,
    /// Top of the main work tree, which linked ones share; of a bare repository its own directory. Canonical.
    pub main: PathBuf,
}

/// A commit, as far as evidence needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents, first the one that it is compared with.
    pub parents: Vec<ObjectId>,
    /// The message as it was written.
    pub message: Vec<u8>,
    /// Who wrote it, as the commit says.
    pub author: String,
    /// When it was made, Unix milliseconds, as the commit says.
    pub committed_ms: Option<i64>,
    /// Whether it carries a signature; nobody checked it.
    pub signed: bool,
}

/// The time in a line such as `Name <mail> 1700000000 +0100`.
fn seconds(line: &[u8]) -> Option<i64> {
    let after = line.rsplit(|b| *b == b'>').next()?;
    std::str::from_utf8(after).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// What a blob is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blob {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// It has more than [`BLOB_BYTES_MAX`] bytes.
    TooLong,
}

impl Repository {
    /// The repository that a directory, a work tree or a git directory belongs to.
    pub fn open(directory: &Path) -> Result<Self, Failure> {
        let shown = directory.display().to_string();
        let found =
            gix::ThreadSafeRepository::discover_opts(directory, Default::default(), trust());
        let inner: gix::Repository = found.map_err(|e| no_repository(&shown, &e))?.into();
        if inner.git_dir_trust() != Trust::Full {
            return Err(foreign(&shown).into());
        }
        let place = |repository: &gix::Repository| {
            let path = repository.workdir().unwrap_or_else(|| repository.common_dir());
            let path = std::path::absolute(path).and_then(|p| p.canonicalize());
            path.map_err(|e| broken(&format!("its directory cannot be found: {e}")))
        };
        let top = place(&inner)?;
        let main = inner.main_repo().map_err(|e| broken(&format!("its main work tree: {e}")))?;
        let main = place(&main)?;
        Ok(Self { inner, top, main })
    }

    /// The commit of this id.
    pub fn commit(&self, id: ObjectId) -> Result<Commit, Failure> {
        self.within("commit", id, COMMIT_BYTES_MAX)?;
        let found = self.inner.find_object(id).map_err(|e| broken(&format!("commit {id}: {e}")))?;
        let commit = found
            .try_into_commit()
            .map_err(|_| Refusal::malformed("unknown_revision", format!("{id} is no commit")))?;
        self.check(id, gix::objs::Kind::Commit, &commit.data)?;
        let unreadable = |e: &dyn std::fmt::Display| broken(&format!("commit {id}: {e}"));
        let read = commit.decode().map_err(|e| unreadable(&e))?;
        Ok(Commit {
            id,
            tree: read.tree(),
            parents: read.parents().collect(),
            message: read.message.to_vec(),
            author: String::from_utf8_lossy(read.author).into_owned(),
            committed_ms: seconds(read.committer).and_then(|s| s.checked_mul(1000)),
            signed: read.extra_headers().find("gpgsig").is_some()
                || read.extra_headers().find("gpgsig-sha256").is_some(),
        })
    }

    /// The bytes of a blob, which are those that its id names.
    pub fn blob(&self, id: ObjectId) -> Result<Blob, Failure> {
        let unreadable = |e: &dyn std::fmt::Display| broken(&format!("blob {id}: {e}"));
        let header = self.inner.find_header(id).map_err(|e| unreadable(&e))?;
        if header.size() > BLOB_BYTES_MAX {
            return Ok(Blob::TooLong);
        }
        let mut blob = self.inner.find_blob(id).map_err(|e| unreadable(&e))?;
        self.check(id, gix::objs::Kind::Blob, &blob.data)?;
        Ok(Blob::Bytes(blob.take_data()))
    }

    /// Objects are compressed, so a short file can stand for one that fills the memory: its length is asked first.
    fn within(&self, what: &str, id: ObjectId, most: u64) -> Result<(), Failure> {
        let header =
            self.inner.find_header(id).map_err(|e| broken(&format!("{what} {id}: {e}")))?;
        match header.size() > most {
            true => Err(broken(&format!("{what} {id} has more than {most} bytes")).into()),
            false => Ok(()),
        }
    }

    /// Reading an object does not compare it with its name, and whoever can write beside the ledger could put another
    /// one there.
    fn check(&self, id: ObjectId, kind: gix::objs::Kind, data: &[u8]) -> Result<(), Failure> {
        let is = gix::objs::compute_hash(id.kind(), kind, data);
        match is {
            Ok(is) if is == id => Ok(()),
            Ok(is) => Err(broken(&format!("the object under the name {id} is {is}")).into()),
            Err(e) => Err(broken(&format!("object {id}: {e}")).into()),
        }
    }

    /// Whether git may have changed line ends between the work tree and the blob at this path.
    pub fn converts_line_ends(&self, tree: ObjectId, path: &[u8]) -> bool {
        let config = self.inner.config_snapshot();
        let says = |key: &str, words: &[&str]| {
            let value = config.string(key).map(|v| v.to_string().to_ascii_lowercase());
            value.is_some_and(|value| words.contains(&value.as_str()))
        };
        if says("core.autocrlf", &["true", "input", "1", "yes", "on"])
            || says("core.eol", &["crlf"])
        {
            return true;
        }
        let beside = self.inner.common_dir().join("info").join("attributes");
        let beside = std::fs::read(beside).ok();
        beside.is_some_and(|text| changes_line_ends(&text)) || self.attributes_say(tree, path)
    }

    /// Whether a `.gitattributes` on the way to the path speaks of line ends.
    fn attributes_say(&self, tree: ObjectId, path: &[u8]) -> bool {
        let mut directory = Some(tree);
        for name in path.split(|b| *b == b'/') {
            let Some(entries) = directory.and_then(|id| self.entries(id).ok()) else {
                return false;
            };
            let named =
                |name: &[u8]| entries.iter().find(|(known, _)| known == name).map(|(_, e)| *e);
            let text = named(b".gitattributes").filter(|e| e.kind == Kind::File);
            let text = text.filter(|e| {
                self.inner.find_header(e.id).is_ok_and(|h| h.size() <= ATTRIBUTES_BYTES_MAX)
            });
            if let Some(Blob::Bytes(text)) = text.and_then(|e| self.blob(e.id).ok())
                && changes_line_ends(&text)
            {
                return true;
            }
            directory = named(name).filter(|e| e.kind == Kind::Tree).map(|e| e.id);
        }
        false
    }
}

fn changes_line_ends(attributes: &[u8]) -> bool {
    let lines =
        attributes.split(|b| *b == b'\n').filter(|l| !l.trim_ascii_start().starts_with(b"#"));
    let words = lines.flat_map(|l| l.split(u8::is_ascii_whitespace).skip(1));
    words.into_iter().any(|w| {
        w.starts_with(b"text") || w.starts_with(b"eol=") || w == b"crlf" || w.starts_with(b"crlf=")
    })
}

/// How repositories are opened: the files of its configuration count, the environment and replacement objects do not.
fn trust() -> gix::sec::trust::Mapping<gix::open::Options> {
    use gix::sec::trust::DefaultForLevel;
    let options = |level| {
        let mut permissions = gix::open::Permissions::default_for_level(level);
        permissions.env.git_prefix = gix::sec::Permission::Deny;
        permissions.env.objects = gix::sec::Permission::Deny;
        permissions.config.env = false;
        gix::open::Options::default_for_level(level)
            .permissions(permissions)
            .config_overrides(["core.useReplaceRefs=false"])
    };
    gix::sec::trust::Mapping { full: options(Trust::Full), reduced: options(Trust::Reduced) }
}

fn no_repository(shown: &str, e: &dyn std::fmt::Display) -> Refusal {
    Refusal::not_found(
        "no_repository",
        format!("{shown} is in no git repository that can be read: {e}"),
    )
    .hint("Go into the repository, or name it with --repository.")
}

fn foreign(shown: &str) -> Refusal {
    let what = format!("the git repository at {shown} belongs to another user");
    Refusal::new("foreign_repository", RefusalKind::NotAllowed, what)
        .hint("As for git itself: `git config --global --add safe.directory DIR` says that it may be read.")
}

/// A repository that does not read.
pub(crate) fn broken(what: &str) -> Fault {
    Fault::new("repository_unreadable", format!("the git repository does not read: {what}"))
        .hint("`git fsck` says what is wrong with it.")
}
