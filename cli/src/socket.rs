//! Where the owner of a home listens, and how a client that knows only the home finds it.

use crate::exit::unwritable;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use vm_contracts::{Failure, Fault, Refusal, RefusalKind};

/// Name of the socket in the home.
pub const SOCKET: &str = "vm.sock";
/// Name of the file that says where the socket is, when its path in the home is too long.
pub const SOCKET_AT: &str = "vm.sock.at";
/// Longest path of a socket; the system's own limit is little more.
pub const PATH_BYTES_MAX: usize = 100;

/// A listening socket, and what goes with it when it goes.
pub struct Bound {
    /// The socket.
    pub listener: UnixListener,
    /// Where clients find it.
    pub path: PathBuf,
    /// The file that says so, where there is one.
    note: Option<PathBuf>,
}

impl Bound {
    /// Takes the socket's name away: nobody finds it any more. Open connections stay.
    pub fn unlink(&self) {
        // What is left is stale, and the next owner replaces it.
        for path in self.note.iter().chain([&self.path]) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Where the owner of this home listens, if there is one: the socket need not be alive.
pub fn find(home: &Path) -> Option<PathBuf> {
    let path = fs::canonicalize(home).ok()?.join(SOCKET);
    if fits(&path) {
        return Some(path);
    }
    let note = fs::read(home.join(SOCKET_AT)).ok()?;
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(note.trim_ascii_end()));
    // Whoever could put a socket there could answer for the owner.
    let private = path.is_absolute() && path.parent().is_some_and(|dir| is_ours(dir, home));
    (private && fits(&path)).then_some(path)
}

fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= PATH_BYTES_MAX
}

/// Whether a directory belongs to the home's owner alone.
fn is_ours(dir: &Path, home: &Path) -> bool {
    match (fs::symlink_metadata(dir), fs::metadata(home)) {
        (Ok(dir), Ok(home)) => dir.is_dir() && dir.uid() == home.uid() && dir.mode() & 0o077 == 0,
        _ => false,
    }
}

/// Listens for the home whose lock is held. What a dead owner left is replaced; a living one is not.
pub fn bind(home: &Path, ledger: &str, runtime: Option<PathBuf>) -> Result<Bound, Failure> {
    let failed = |path: &Path, e: &io::Error| unwritable(&path.display().to_string(), e);
    let whole = fs::canonicalize(home).map_err(|e| failed(home, &e))?;
    let inside = whole.join(SOCKET);
    let note = whole.join(SOCKET_AT);
    if fits(&inside) {
        // A note of the time when the home stood elsewhere would lead nowhere.
        let _ = fs::remove_file(&note);
        let listener = listen(&inside)?;
        return Ok(Bound { listener, path: inside, note: None });
    }
    let name = format!("{ledger}.sock");
    let path = directory(home, runtime, &name)?.join(&name);
    let listener = listen(&path)?;
    let half = note.with_extension("tmp");
    fs::write(&half, path.as_os_str().as_bytes())
        .and_then(|()| fs::rename(&half, &note))
        .map_err(|e| failed(&note, &e))?;
    Ok(Bound { listener, path, note: Some(note) })
}

/// A directory of the owner alone for sockets whose home is too deep.
fn directory(home: &Path, runtime: Option<PathBuf>, name: &str) -> Result<PathBuf, Failure> {
    let uid = crate::session::uid()?;
    let runtime = runtime.filter(|dir| dir.is_absolute() && dir.is_dir());
    let runtime = runtime.map(|dir| dir.join("vaultmesh"));
    let short = runtime.filter(|dir| fits(&dir.join(name)));
    let dir = short.unwrap_or_else(|| PathBuf::from(format!("/tmp/vaultmesh-{uid}")));
    match DirBuilder::new().mode(0o700).create(&dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            return Err(unwritable(&dir.display().to_string(), &e));
        }
        _ => {}
    }
    match is_ours(&dir, home) {
        true => Ok(dir),
        false => {
            let what = format!("{} is not a directory of this user alone", dir.display());
            Err(Refusal::new("socket_directory", RefusalKind::NotAllowed, what)
                .hint("Remove it, set XDG_RUNTIME_DIR, or keep the home under a shorter path.")
                .into())
        }
    }
}

/// Binds under another name first, so that the socket is closed to others before anyone finds it, and a stale one is
/// replaced in one step.
fn listen(path: &Path) -> Result<UnixListener, Failure> {
    if UnixStream::connect(path).is_ok() {
        let what = format!("another process listens at {}", path.display());
        return Err(Refusal::conflict("socket_taken", what)
            .hint("Two homes of one ledger cannot be served at once; stop the other one.")
            .into());
    }
    let half = path.with_extension("new");
    let bound = (|| {
        let _ = fs::remove_file(&half);
        let listener = UnixListener::bind(&half)?;
        fs::set_permissions(&half, fs::Permissions::from_mode(0o600))?;
        fs::rename(&half, path)?;
        Ok(listener)
    })();
    bound.map_err(|e: io::Error| {
        let what = format!("cannot listen at {}: {e}", path.display());
        Fault::new("socket_failed", what)
            .hint("The directory must be writable, on a file system that knows sockets.")
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let home = tempfile::tempdir().unwrap();
        drop(bind(home.path(), "l", None).unwrap());
        let path = find(home.path()).unwrap();
        assert!(path.exists() && UnixStream::connect(&path).is_err());
        let bound = bind(home.path(), "l", None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let refused = bind(home.path(), "l", None).map(drop).unwrap_err();
        assert_eq!(refused.code(), "socket_taken");
        UnixStream::connect(&path).unwrap();
        bound.unlink();
        assert!(!path.exists());
    }

    #[test]
    fn a_deep_home_listens_elsewhere_and_is_found_by_its_note() {
        let dir = tempfile::Builder::new().prefix("s").tempdir().unwrap();
        let home = dir.path().join("deep".repeat(25));
        fs::create_dir(&home).unwrap();
        assert_eq!(find(&home), None);
        let runtime = dir.path().join("r");
        fs::create_dir(&runtime).unwrap();
        let bound = bind(&home, "l", Some(runtime.clone())).unwrap();
        assert_eq!(bound.path, runtime.join("vaultmesh/l.sock"));
        assert_eq!(find(&home).unwrap(), bound.path);
        fs::set_permissions(runtime.join("vaultmesh"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(&home), None, "others could stand in for the owner there");
        assert!(bind(&home, "l", Some(runtime)).is_err());
    }
}
