//! What the machine says about an event: whose process it is, which project, what is in the file now.

use crate::commands::import::places::{Disk, regular};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use vm_contracts::Places;

/// Largest file whose content is digested while an agent waits.
pub const FILE_BYTES_MAX: u64 = 64 << 20;
/// How many processes up an agent is looked for.
const ANCESTORS_MAX: usize = 64;
/// Longest file of git that is read for the commit that is checked out.
const GIT_BYTES_MAX: u64 = 8 << 20;

/// Whether the agent runs under the user to whom the ledger belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// It does: nothing here is protected from it.
    SameUser,
    /// It runs under another one.
    OtherUser,
    /// The system does not say.
    Unknown,
}

impl Isolation {
    /// As receipts say it.
    pub fn word(self) -> &'static str {
        match self {
            Isolation::SameUser => "same_user",
            Isolation::OtherUser => "other_user",
            Isolation::Unknown => "unknown",
        }
    }
}

/// A process: its real user, the user whose rights it has, and its parent.
type Process = (u32, u32, u32);

/// Looks at the processes above this one: an agent under another user comes through a change of user.
pub fn isolation(home: &Path) -> Isolation {
    let Ok(owner) = fs::metadata(home).map(|m| m.uid()) else { return Isolation::Unknown };
    isolation_of(owner, std::process::id(), &|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let mut uids = field("Uid:")?.split_whitespace();
        let mut uid = || uids.next()?.parse().ok();
        Some((uid()?, uid()?, field("PPid:")?.trim().parse().ok()?))
    })
}

/// The first process above that is not the superuser's is the agent's, or one that it started: what changes users runs
/// as the superuser for a moment. What lies further up says nothing about the agent.
fn isolation_of(owner: u32, from: u32, look: &dyn Fn(u32) -> Option<Process>) -> Isolation {
    let Some((_, _, mut pid)) = look(from) else { return Isolation::Unknown };
    for _ in 0..ANCESTORS_MAX {
        if pid == 0 {
            // Nobody but the superuser, who may do everything to anybody's home; his own is no exception.
            return if owner == 0 { Isolation::SameUser } else { Isolation::Unknown };
        }
        let Some((real, effective, parent)) = look(pid) else { return Isolation::Unknown };
        if effective != 0 {
            return match (real == effective, effective == owner, owner) {
                (true, true, _) => Isolation::SameUser,
                // Between it and us there is a superuser's process, and the agent may be that one.
                (_, _, 0) | (false, _, _) => Isolation::Unknown,
                (true, false, _) => Isolation::OtherUser,
            };
        }
        pid = parent;
    }
    Isolation::Unknown
}

/// The work tree a directory lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its top, canonical: paths are told from here.
    pub top: PathBuf,
    /// The top of the main work tree, which all work trees of a repository share: the project's name is made of it.
    pub main: PathBuf,
    /// Where git keeps what is of this work tree alone.
    git: PathBuf,
    /// Where it keeps what all share.
    common: PathBuf,
}

impl Project {
    /// The repository around a directory, if it is in one.
    pub fn around(directory: &Path) -> Option<Self> {
        let place = Disk.find(directory.to_str()?)?;
        let top = PathBuf::from(place.top);
        let dot = top.join(".git");
        let git = match dot.is_dir() {
            true => dot,
            false => top.join(small(&dot)?.strip_prefix("gitdir:")?.trim()),
        };
        let common = match small(&git.join("commondir")) {
            Some(said) => git.join(said.trim()),
            None => git.clone(),
        };
        Some(Self { top, main: place.project.into(), git, common })
    }

    /// The commit that is checked out.
    pub fn head(&self) -> Option<String> {
        let Self { git, common, .. } = self;
        let head = small(&git.join("HEAD"))?;
        let Some(name) = head.strip_prefix("ref:").map(str::trim) else { return commit(&head) };
        // A name that leads out of the directory is none of git's.
        if name.split('/').any(|part| part == ".." || part.is_empty()) {
            return None;
        }
        if let Some(found) = small(&common.join(name)) {
            return commit(&found);
        }
        let packed = small(&common.join("packed-refs"))?;
        let mut lines = packed.lines().filter_map(|l| l.split_once(' '));
        lines.find(|(_, at)| *at == name).and_then(|(hash, _)| commit(hash))
    }
}

fn commit(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = [40, 64].contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| text.to_ascii_lowercase())
}

fn small(path: &Path) -> Option<String> {
    let mut text = String::new();
    regular(path)?.take(GIT_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// What is to be known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// There is none.
    Absent,
    /// Its bytes.
    Bytes(Vec<u8>),
    /// It is no regular file, too long, leads out of the project, or cannot be read.
    Unknown,
}

/// Reads a file that an agent named. A link is followed only as far as it stays in the project.
pub fn content(path: &Path, project: Option<&Project>) -> Content {
    let whole = match fs::canonicalize(path) {
        Ok(whole) => whole,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            // A link to nothing is no absent file.
            let dangling = fs::symlink_metadata(path).is_ok();
            return if dangling { Content::Unknown } else { Content::Absent };
        }
        Err(_) => return Content::Unknown,
    };
    let place = place(path);
    let inside = |p: &Path| project.is_some_and(|project| p.starts_with(&project.top));
    if whole != place && !(inside(&place) && inside(&whole)) {
        return Content::Unknown;
    }
    let Some(file) = regular(&whole) else { return Content::Unknown };
    let fits = file.metadata().is_ok_and(|m| m.len() <= FILE_BYTES_MAX);
    let mut bytes = Vec::new();
    let read = fits && file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).is_ok();
    match read && bytes.len() as u64 <= FILE_BYTES_MAX {
        true => Content::Bytes(bytes),
        false => Content::Unknown,
    }
}

/// A path with the links of its directories followed, and its own name kept: how a commit names the file.
pub fn place(path: &Path) -> PathBuf {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return path.to_owned();
    };
    // Of a directory that is not there yet, the part that is.
    for known in parent.ancestors() {
        if let Ok(whole) = fs::canonicalize(known) {
            let rest = parent.strip_prefix(known).unwrap_or(Path::new(""));
            return whole.join(rest).join(name);
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn an_agent_under_another_user_is_told_from_one_under_ours() {
        // The hook is process 100, its parent 1, that one's 2 and so on.
        let of = |owner, chain: &[(u32, u32)]| {
            isolation_of(owner, 100, &|pid| {
                let (real, effective) = match pid {
                    100 => (owner, owner),
                    pid => chain[pid as usize - 1],
                };
                let parent = if pid == 100 {
                    1
                } else {
                    (pid + 1) * u32::from((pid as usize) < chain.len())
                };
                Some((real, effective, parent))
            })
        };
        // hook <- sudo <- agent (1001) <- init.
        assert_eq!(of(500, &[(1001, 0), (1001, 1001), (0, 0)]), Isolation::OtherUser);
        // What lies above an agent of ours is not the agent.
        assert_eq!(of(1001, &[(1001, 1001), (0, 0), (500, 500)]), Isolation::SameUser);
        assert_eq!(of(500, &[(500, 500), (0, 0), (1001, 1001)]), Isolation::SameUser);
        // An agent of the superuser is kept from nothing.
        assert_eq!(of(500, &[(0, 0), (0, 0)]), Isolation::Unknown);
        assert_eq!(of(0, &[(0, 0), (0, 0)]), Isolation::SameUser);
        assert_eq!(of(0, &[(0, 0), (1001, 1001)]), Isolation::Unknown);
        assert_eq!(of(500, &[(1001, 1002)]), Isolation::Unknown);
        assert_eq!(isolation_of(500, 9, &|_| None), Isolation::Unknown);
        let circle = |_| Some((0, 0, 9));
        assert_eq!(isolation_of(500, 9, &circle), Isolation::Unknown);
    }

    #[test]
    fn a_link_out_of_the_project_and_what_is_no_file_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(dir.path()).unwrap().join("p");
        fs::create_dir_all(top.join("src")).unwrap();
        fs::create_dir(top.join(".git")).unwrap();
        fs::write(dir.path().join("secret"), "s").unwrap();
        fs::write(top.join("a"), "a").unwrap();
        symlink(top.join("a"), top.join("src/inside")).unwrap();
        symlink("../secret", top.join("outside")).unwrap();
        symlink("/no/such", top.join("dangling")).unwrap();
        let project = Project::around(&top).unwrap();
        let of = |name: &str| content(&top.join(name), Some(&project));
        assert_eq!(of("a"), Content::Bytes(b"a".to_vec()));
        assert_eq!(of("src/inside"), Content::Bytes(b"a".to_vec()));
        assert_eq!(of("gone"), Content::Absent);
        for unknown in ["outside", "dangling", "src"] {
            assert_eq!(of(unknown), Content::Unknown, "{unknown}");
        }
        assert_eq!(content(Path::new("/dev/zero"), Some(&project)), Content::Unknown);
        // A file elsewhere that is no link is read: agents edit outside of the project too.
        assert_eq!(
            content(&fs::canonicalize(dir.path()).unwrap().join("secret"), Some(&project)),
            Content::Bytes(b"s".to_vec())
        );
    }

    #[test]
    fn a_file_in_a_linked_directory_is_placed_where_a_commit_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let whole = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir(whole.join("real")).unwrap();
        symlink("real", whole.join("link")).unwrap();
        assert_eq!(place(&whole.join("link/new/f")), whole.join("real/new/f"));
    }

    #[test]
    fn linked_work_trees_are_one_project() {
        let dir = tempfile::tempdir().unwrap();
        let whole = fs::canonicalize(dir.path()).unwrap();
        let own = whole.join("main/.git/worktrees/w");
        fs::create_dir_all(&own).unwrap();
        fs::create_dir(whole.join("w")).unwrap();
        fs::write(own.join("commondir"), "../..\n").unwrap();
        fs::write(own.join("gitdir"), format!("{}\n", whole.join("w/.git").display())).unwrap();
        fs::write(own.join("HEAD"), "ref: refs/heads/x\n").unwrap();
        fs::write(whole.join("w/.git"), format!("gitdir: {}\n", own.display())).unwrap();
        let hash = "0123456789abcdef0123456789abcdef01234567";
        fs::write(whole.join("main/.git/packed-refs"), format!("# x\n{hash} refs/heads/x\n"))
            .unwrap();
        let project = Project::around(&whole.join("w")).unwrap();
        assert_eq!((&project.top, &project.main), (&whole.join("w"), &whole.join("main")));
        assert_eq!(project.head().as_deref(), Some(hash));
        fs::write(own.join("HEAD"), "ref: ../../../../secret\n").unwrap();
        assert_eq!(project.head(), None);
    }
}
