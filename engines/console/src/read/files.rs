//! Which file a foreign path names.
//!
//! A path counts as a file of a project only where that follows from the path itself or from this machine's disk. One
//! with `..` that this machine cannot follow is a file of its own, known by its spelling: a symbolic link on the way
//! could lead anywhere, and an edit must never count for a file that it did not name.

use super::text;
use crate::keyed::{self, HomeKey};
use crate::ops::TEXT_BYTES_MAX;
use std::collections::BTreeMap;
use vm_contracts::{Place, Places};

/// A file of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Keyed id of the project, if it is in one.
    pub project_id: Option<String>,
    /// Keyed id of the file.
    pub file_id: String,
    /// The path as it is kept.
    pub shown: String,
    /// The path as it was named, for the rule of secret stores.
    pub named: String,
}

/// Finds files, and remembers where directories are.
pub struct Files<'a> {
    key: &'a HomeKey,
    places: &'a dyn Places,
    known: BTreeMap<String, Option<Place>>,
}

impl<'a> Files<'a> {
    /// On this machine.
    pub fn new(key: &'a HomeKey, places: &'a dyn Places) -> Self {
        Self { key, places, known: BTreeMap::new() }
    }

    /// The project that a directory belongs to: as this machine knows it, or else the directory itself.
    pub fn project(&mut self, directory: &str) -> Option<String> {
        if !directory.starts_with('/') || climbs(directory) || directory.contains('\0') {
            return None;
        }
        let place = self.place(directory);
        let root = place.map_or_else(|| tidy(directory), |p| p.project);
        Some(keyed::project_id(self.key, root.as_bytes()))
    }

    /// The file that a path names; `cwd` is where it was named, `root` the directory that the session works in.
    pub fn find(&mut self, cwd: Option<&str>, root: Option<&str>, path: &str) -> Option<File> {
        if path.trim().is_empty() || path.contains('\0') {
            return None;
        }
        let whole = match (path.starts_with('/'), cwd.or(root)) {
            (true, _) => path.to_owned(),
            (false, Some(cwd)) => format!("{cwd}/{path}"),
            (false, None) => return Some(self.by_spelling(path)),
        };
        let Some((directory, name)) = whole.rsplit_once('/').filter(|_| whole.starts_with('/'))
        else {
            return Some(self.by_spelling(path));
        };
        if matches!(name, "" | "." | "..") {
            return Some(self.by_spelling(path));
        }
        let directory = if directory.is_empty() { "/" } else { directory };
        if let Some((place, rest)) = self.nearest(directory, root) {
            let full = format!("{}{rest}/{name}", place.directory);
            return Some(self.below(&place.project, &place.top, &full, path));
        }
        match root.filter(|root| root.starts_with('/') && !climbs(root)) {
            Some(root) if !climbs(&whole) => {
                let root = tidy(root);
                Some(self.below(&root, &root, &whole, path))
            }
            _ => Some(self.by_spelling(path)),
        }
    }

    /// The place of a directory or, where that is gone, of the nearest one above it that is there; and the way down from
    /// it. So a file keeps its name when its directory is removed. Above the session's own directory nothing is looked at.
    fn nearest<'p>(&mut self, directory: &'p str, root: Option<&str>) -> Option<(Place, &'p str)> {
        const UP_MAX: usize = 64;
        let mut at = directory;
        for _ in 0..UP_MAX {
            if let Some(place) = self.place(if at.is_empty() { "/" } else { at }) {
                return Some((place, &directory[at.len()..]));
            }
            if climbs(directory) || root.is_some_and(|root| tidy(root) == tidy(at)) {
                return None;
            }
            at = &at[..at.rfind('/')?];
        }
        None
    }

    fn below(&self, project: &str, top: &str, full: &str, path: &str) -> File {
        match keyed::relative(top.as_bytes(), b"/", full.as_bytes()) {
            Some(relative) => {
                let project_id = keyed::project_id(self.key, project.as_bytes());
                let shown = String::from_utf8_lossy(&relative);
                File {
                    file_id: keyed::file_id(self.key, &project_id, &relative),
                    project_id: Some(project_id),
                    shown: text::path(&shown, TEXT_BYTES_MAX),
                    named: full.to_owned(),
                }
            }
            None => self.by_spelling(path),
        }
    }

    fn by_spelling(&self, path: &str) -> File {
        File {
            project_id: None,
            file_id: keyed::file_id(self.key, "", path.as_bytes()),
            shown: text::path(path, TEXT_BYTES_MAX),
            named: path.to_owned(),
        }
    }

    fn place(&mut self, directory: &str) -> Option<Place> {
        const KNOWN_MAX: usize = 16_384;
        if let Some(place) = self.known.get(directory) {
            return place.clone();
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        let place = self.places.find(directory);
        self.known.insert(directory.to_owned(), place.clone());
        place
    }
}

fn climbs(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

/// Without empty parts, `.` and a slash at the end.
fn tidy(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|p| !matches!(*p, "" | ".")).collect();
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_contracts::NoPlaces;

    const KEY: HomeKey = [7; 32];

    /// One repository, to which a symbolic link leads too.
    struct Repository;
    impl Places for Repository {
        fn find(&self, directory: &str) -> Option<Place> {
            let directory = match directory {
                "/repo" | "/link" | "/repo/src/.." => "/repo",
                "/repo/src" | "/link/src" => "/repo/src",
                _ => return None,
            };
            Some(Place {
                project: "/repo".into(),
                top: "/repo".into(),
                directory: directory.into(),
            })
        }
    }

    fn id(files: &mut Files<'_>, root: &str, path: &str) -> String {
        files.find(None, Some(root), path).unwrap().file_id
    }

    #[test]
    fn spellings_of_one_file_agree_and_those_of_others_do_not() {
        let project = keyed::project_id(&KEY, b"/repo");
        let want = keyed::file_id(&KEY, &project, b"src/a.rs");
        let mut here = Files::new(&KEY, &Repository);
        for path in ["/repo/src/a.rs", "/link/src/a.rs", "src/a.rs"] {
            assert_eq!(id(&mut here, "/repo", path), want, "{path}");
        }
        // A directory that is gone is below one that is there.
        let gone = keyed::file_id(&KEY, &project, b"src/gone/by/b.rs");
        for (root, path) in [
            ("/link", "/link/src/gone/by/b.rs"),
            ("/link", "src/gone/./by/b.rs"),
            ("/other", "/link/src/gone/by/b.rs"),
        ] {
            assert_eq!(id(&mut here, root, path), gone, "{path}");
        }
        assert_ne!(id(&mut here, "/link", "/link/gone/../src/gone/by/b.rs"), gone);
        assert_eq!(
            here.find(None, None, "/repo/src/../b").unwrap().file_id,
            keyed::file_id(&KEY, &project, b"b")
        );
        let mut elsewhere = Files::new(&KEY, &NoPlaces);
        for path in ["/repo/src/a.rs", "src/a.rs", "./src//a.rs", "/repo/./src/a.rs"] {
            assert_eq!(id(&mut elsewhere, "/repo/", path), want, "{path}");
        }
        for path in [
            "/repo/x/../src/a.rs",
            "/repo2/src/a.rs",
            "../repo/src/a.rs",
            "/src/a.rs",
            "src/a.rs ",
            "SRC/a.rs",
            "C:\\src\\a.rs",
            "src/a.rs/",
        ] {
            assert_ne!(id(&mut elsewhere, "/repo", path), want, "{path}");
        }
        assert_eq!(elsewhere.find(None, Some("/repo"), "src/a.rs\0"), None);
    }
}
