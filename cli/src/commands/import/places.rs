//! Where the directories that a source names are on this machine: in which work tree of git.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use vm_contracts::{Place, Places};

/// The disk of this machine.
pub struct Disk;

impl Places for Disk {
    fn find(&self, directory: &str) -> Option<Place> {
        let directory = fs::canonicalize(directory).ok().filter(|d| d.is_dir())?;
        let top = directory.ancestors().find(|d| d.join(".git").symlink_metadata().is_ok())?;
        let project = main_tree(top).unwrap_or_else(|| top.to_owned());
        let text = |path: &Path| path.to_str().map(str::to_owned);
        Some(Place { project: text(&project)?, top: text(top)?, directory: text(&directory)? })
    }
}

/// The main work tree of a linked one, by the files that git leaves there.
fn main_tree(top: &Path) -> Option<PathBuf> {
    let mark = top.join(".git");
    if !mark.is_file() {
        return None;
    }
    let git = top.join(first_line(&mark)?.strip_prefix("gitdir:")?.trim());
    let git = fs::canonicalize(git).ok()?;
    // A submodule has no such file: it is a project of its own.
    let common = git.join(first_line(&git.join("commondir"))?);
    let common = fs::canonicalize(common).ok()?;
    // Anybody may write a file that leads to another's repository; only that one itself can say that the work tree is
    // one of its own: it keeps the directory, and in it the way back.
    let back = git.join(first_line(&git.join("gitdir"))?);
    let listed = git.parent() == Some(&common.join("worktrees"));
    if !listed || fs::canonicalize(back).ok()? != fs::canonicalize(&mark).ok()? {
        return None;
    }
    match common.file_name() {
        Some(name) if name == ".git" => common.parent().map(Path::to_owned),
        _ => Some(common),
    }
}

/// Opens a regular file and nothing else: a pipe would wait, and opening a device may do something.
pub fn regular(path: &Path) -> Option<fs::File> {
    /// `O_NONBLOCK` of Linux: what became a pipe since it was looked at must not wait either.
    const NONBLOCK: i32 = 0o4000;
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let file = fs::OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path).ok()?;
    file.metadata().is_ok_and(|m| m.is_file()).then_some(file)
}

fn first_line(path: &Path) -> Option<String> {
    const BYTES_MAX: u64 = 8_192;
    let mut text = String::new();
    regular(path)?.take(BYTES_MAX).read_to_string(&mut text).ok()?;
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_found_in_its_work_tree_and_a_linked_one_shares_the_project() {
        let dir = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(dir.path()).unwrap();
        for made in ["main/.git/worktrees/w", "main/src", "linked/a", "elsewhere"] {
            fs::create_dir_all(base.join(made)).unwrap();
        }
        let gitdir = base.join("main/.git/worktrees/w");
        fs::write(gitdir.join("commondir"), "../..\n").unwrap();
        fs::write(gitdir.join("gitdir"), format!("{}/linked/.git\n", base.display())).unwrap();
        fs::write(base.join("linked/.git"), format!("gitdir: {}\n", gitdir.display())).unwrap();
        std::os::unix::fs::symlink(base.join("main"), base.join("link")).unwrap();
        let text = |at: &str| base.join(at).to_str().unwrap().to_owned();
        let place = |project: &str, top: &str, directory: &str| {
            Some(Place { project: text(project), top: text(top), directory: text(directory) })
        };
        assert_eq!(Disk.find(&text("main/src")), place("main", "main", "main/src"));
        assert_eq!(Disk.find(&text("link/src")), place("main", "main", "main/src"));
        assert_eq!(Disk.find(&text("linked/a")), place("main", "linked", "linked/a"));
        assert_eq!(Disk.find(&text("elsewhere")), None);
        assert_eq!(Disk.find(&text("gone")), None);
    }
    #[test]
    fn a_pipe_in_the_place_of_a_file_of_git_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(base.join("git")).unwrap();
        fs::create_dir(base.join("w")).unwrap();
        fs::write(base.join("w/.git"), format!("gitdir: {}\n", base.join("git").display()))
            .unwrap();
        let made = std::process::Command::new("mkfifo").arg(base.join("git/commondir")).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no pipe can be made here");
            return;
        }
        let (to, from) = std::sync::mpsc::channel();
        let at = base.join("w").to_str().unwrap().to_owned();
        std::thread::spawn(move || to.send(Disk.find(&at)));
        let place = from.recv_timeout(std::time::Duration::from_secs(30)).expect("it waits");
        assert_eq!(place.unwrap().project, base.join("w").to_str().unwrap());
    }

    #[test]
    fn a_directory_does_not_make_itself_a_work_tree_of_another_repository() {
        let dir = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(dir.path()).unwrap();
        for made in ["main/.git/worktrees/w", "linked", "claims/git", "copies", "waits/git"] {
            fs::create_dir_all(base.join(made)).unwrap();
        }
        let text = |at: &str| base.join(at).to_str().unwrap().to_owned();
        let write = |at: &str, line: String| fs::write(base.join(at), format!("{line}\n")).unwrap();
        write("main/.git/worktrees/w/commondir", "../..".into());
        write("main/.git/worktrees/w/gitdir", text("linked/.git"));
        write("linked/.git", format!("gitdir: {}", text("main/.git/worktrees/w")));
        // One with a directory of its own that leads there, one that names the directory of another work tree.
        write("claims/git/commondir", text("main/.git"));
        write("claims/git/gitdir", text("claims/.git"));
        write("claims/.git", "gitdir: git".into());
        write("copies/.git", format!("gitdir: {}", text("main/.git/worktrees/w")));
        // A pipe is no file of git; to open it would wait for whoever writes.
        let pipe = base.join("waits/git/commondir");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        write("waits/.git", "gitdir: git".into());
        let project = |at: &str| Disk.find(&text(at)).unwrap().project;
        assert_eq!(project("linked"), text("main"));
        for own in ["claims", "copies", "waits"] {
            assert_eq!(project(own), text(own));
        }
    }
}
