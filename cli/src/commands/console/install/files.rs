//! Files of other programs: read whole, replaced in one step, through the links that lead to them.

use super::diff::diff;
use crate::exit::{unreadable, unwritable};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use vm_contracts::{Failure, Refusal, RefusalKind};

/// Largest settings file that is changed.
const SETTINGS_BYTES_MAX: u64 = 4 << 20;

/// Directory beside the hooks of a repository, with the one that was there before ours.
pub const PUT_ASIDE: &str = "vaultmesh.d";

/// What stands at a path itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    /// A file with these bytes.
    File(Vec<u8>),
    /// A link that leads there.
    Link(PathBuf),
}

impl Own {
    /// Whether it is a link.
    pub fn is_link(&self) -> bool {
        matches!(self, Own::Link(_))
    }

    /// The bytes of the file, or of the path that the link leads to.
    pub fn bytes(self) -> Vec<u8> {
        match self {
            Own::File(bytes) => bytes,
            Own::Link(to) => to.into_os_string().into_vec(),
        }
    }
}

/// What becomes of links at the path of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// What they lead to is changed.
    Followed,
    /// They are changed themselves; `before` and `after` are then the bytes of the path that they lead to.
    Kept {
        /// Whether there is a link.
        before: bool,
        /// Whether there will be one.
        after: bool,
    },
}

/// One file, as it is and as it will be. `None` is no file.
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// Its bytes when the change was planned.
    pub before: Option<Vec<u8>>,
    /// Its bytes afterwards.
    pub after: Option<Vec<u8>>,
    /// Permissions of a new file, where it must have some.
    pub mode: Option<u32>,
    /// What becomes of links.
    pub links: Links,
}

impl Change {
    /// Whether anything changes.
    pub fn is_one(&self) -> bool {
        let (was, becomes) = self.are_links();
        self.before != self.after || was != becomes
    }

    fn are_links(&self) -> (bool, bool) {
        match self.links {
            Links::Followed => (false, false),
            Links::Kept { before, after } => (before, after),
        }
    }

    /// The change as lines.
    pub fn diff(&self) -> String {
        let text = |bytes: &Option<Vec<u8>>, is_link: bool| {
            let text = bytes.as_ref().map(|b| String::from_utf8_lossy(b).into_owned());
            text.map(|t| if is_link { format!("(a link to {t})\n") } else { t })
        };
        let name = self.path.display().to_string();
        let (was, becomes) = self.are_links();
        let (before, after) = (text(&self.before, was), text(&self.after, becomes));
        diff(&name, before.as_deref(), after.as_deref())
    }

    /// Makes it, unless somebody else changed the file meanwhile.
    pub fn make(&self) -> Result<(), Failure> {
        let (was, becomes) = self.are_links();
        let mut same = true;
        let (now, target) = match self.links {
            Links::Followed => (read(&self.path)?, target(&self.path)),
            Links::Kept { .. } => {
                let own = own(&self.path)?;
                same = own.as_ref().is_none_or(|o| o.is_link() == was);
                (own.map(Own::bytes), self.path.clone())
            }
        };
        if !same || now != self.before {
            let what = format!("{} was changed by another program just now", self.path.display());
            return Err(Refusal::conflict("settings_changed", what)
                .hint("Nothing was written. Give the command again.")
                .into());
        }
        let failed = |e: io::Error| unwritable(&self.path.display().to_string(), &e);
        match &self.after {
            Some(to) if becomes => link(&target, OsStr::from_bytes(to)).map_err(failed),
            Some(bytes) => replace(&target, bytes, self.mode).map_err(failed),
            None => {
                fs::remove_file(&target).map_err(failed)?;
                if let Some(directory) = target.parent().filter(|d| d.ends_with(PUT_ASIDE)) {
                    // One that holds something else is not ours alone.
                    let _ = fs::remove_dir(directory);
                }
                Ok(())
            }
        }
    }
}

/// A variable of the environment that names a directory.
pub fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// A whole file; `None` where there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let shown = path.display().to_string();
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(&shown, &e)),
    };
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        let what = format!("{shown} is no regular file");
        return Err(Refusal::conflict("settings_unreadable", what).into());
    }
    let mut bytes = Vec::new();
    file.take(SETTINGS_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| unreadable(&shown, &e))?;
    if bytes.len() as u64 > SETTINGS_BYTES_MAX {
        let what = format!("{shown} is longer than {SETTINGS_BYTES_MAX} bytes");
        return Err(Refusal::new("too_large", RefusalKind::TooLarge, what).into());
    }
    Ok(Some(bytes))
}

/// What stands at the path itself; `None` where nothing does.
pub fn own(path: &Path) -> Result<Option<Own>, Failure> {
    match fs::read_link(path) {
        Ok(to) => Ok(Some(Own::Link(to))),
        // It is no link, or nothing.
        Err(e) if [io::ErrorKind::InvalidInput, io::ErrorKind::NotFound].contains(&e.kind()) => {
            Ok(read(path)?.map(Own::File))
        }
        Err(e) => Err(unreadable(&path.display().to_string(), &e)),
    }
}

/// Where the bytes really are: a link stays a link.
fn target(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Makes a link, in the place of what was there, in one step.
fn link(path: &Path, to: &OsStr) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(directory)?;
    let half = half(path);
    let make = || {
        symlink(to, &half)?;
        fs::rename(&half, path)?;
        fs::File::open(directory)?.sync_all()
    };
    make().inspect_err(|_| {
        // It may never have been made; the first error is the one that is told.
        let _ = fs::remove_file(&half);
    })
}

/// The name under which a file is written before it takes its place.
fn half(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    PathBuf::from(name)
}

/// Replaces a file in one step, or makes it with its directories; durable when it returns.
pub fn replace(path: &Path, bytes: &[u8], mode: Option<u32>) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(directory)?;
    let half = half(path);
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(mode.unwrap_or(0o666)).open(&half)?;
        file.write_all(bytes)?;
        let there = fs::metadata(path).map(|m| m.permissions());
        match (mode, there) {
            (Some(mode), _) => file.set_permissions(fs::Permissions::from_mode(mode))?,
            (None, Ok(there)) => file.set_permissions(there)?,
            (None, Err(_)) => {}
        }
        file.sync_all()?;
        fs::rename(&half, path)?;
        fs::File::open(directory)?.sync_all()
    };
    write().inspect_err(|_| {
        // It may never have been made; the first error is the one that is told.
        let _ = fs::remove_file(&half);
    })
}
