//! Where the paths of a command stand: with this process, or with the client for whom it carries the command out.

use std::path::{Path, PathBuf};

/// Names that mean something else in each process, and what they are called from outside of it.
const OWN_NAMES: [(&str, &str); 6] = [
    ("/dev/stdin", "fd/0"),
    ("/dev/stdout", "fd/1"),
    ("/dev/stderr", "fd/2"),
    ("/dev/fd", "fd"),
    ("/proc/self", ""),
    ("/proc/thread-self", ""),
];

/// The client whose command is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its working directory, absolute.
    pub directory: PathBuf,
    /// Its process.
    pub pid: u32,
    /// Permissions that it takes from every file it makes.
    pub umask: u32,
}

/// Turns the paths of a command line into paths of this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths(Option<Client>);

impl Paths {
    /// Paths as a client wrote them.
    pub fn of(client: Client) -> Self {
        Self(Some(client))
    }

    /// Whether a client wrote them.
    pub fn are_lent(&self) -> bool {
        self.0.is_some()
    }

    /// The path under which this process finds what the command names.
    pub fn find(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        let Some(client) = self.0.as_ref().filter(|_| !path.as_os_str().is_empty()) else {
            return path.to_owned();
        };
        let path = client.directory.join(path);
        let own =
            OWN_NAMES.iter().find_map(|(own, name)| Some((path.strip_prefix(own).ok()?, name)));
        match own {
            Some((below, name)) => {
                let pid = client.pid.to_string();
                let all = [Path::new("/proc"), Path::new(&pid), Path::new(name), below];
                // An empty part would end the path in a slash, as only directories may.
                all.into_iter().filter(|part| !part.as_os_str().is_empty()).collect()
            }
            None => path,
        }
    }

    /// The mode of a new file that may have at most `mode`.
    pub fn mode(&self, mode: u32) -> u32 {
        mode & !self.0.as_ref().map_or(0, |client| client.umask)
    }
}

/// The permissions that this process takes from every file it makes; 0o077 where the system does not say.
pub fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let said = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    said.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok()).unwrap_or(0o077)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_where_the_client_stands() {
        let client = Client { directory: "/home/ann".into(), pid: 7, umask: 0o077 };
        let paths = Paths::of(client);
        let found = |path: &str| paths.find(path).display().to_string();
        assert_eq!(found("books.journal"), "/home/ann/books.journal");
        assert_eq!(found("../bob/x"), "/home/ann/../bob/x");
        assert_eq!(found("/tmp/x"), "/tmp/x");
        assert_eq!(found(""), "");
        for (own, seen) in [("/dev/fd/63", "/proc/7/fd/63"), ("/proc/self/fd/3", "/proc/7/fd/3")] {
            assert_eq!(found(own), seen);
        }
        assert_eq!(found("/dev/stdin"), "/proc/7/fd/0");
        assert_eq!(paths.mode(0o666), 0o600);
        assert_eq!(Paths::default().find("x"), Path::new("x"));
        assert_eq!(Paths::default().mode(0o666), 0o666);
    }
}
