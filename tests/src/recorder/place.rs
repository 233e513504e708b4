//! A home with its guard directory under one root, on the real disk, and the program run in it.

use crate::crashfs::Image;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use vaultmesh::house::HOUSE;
use vaultmesh::screen::Screen;

/// The home below the root.
pub const HOME: &str = "home";
/// The guard directory below the root.
pub const GUARD: &str = "guard";

/// Stands for the root in words of a command.
pub const ROOT_WORD: &str = "@root";

/// A root with `home/` and `guard/`.
#[derive(Clone, Debug)]
pub struct Place {
    /// The root.
    pub root: PathBuf,
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Exit code; 255 where a signal ended it.
    pub code: u8,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// From a process that ended.
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().and_then(|code| u8::try_from(code).ok());
        Said { code: code.unwrap_or(255), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Whether standard error names this code of the catalogue.
    pub fn names(&self, code: &str) -> bool {
        self.err.contains(&format!("\"code\":\"{code}\""))
            || self.err.contains(&format!("[{code}]"))
    }
}

impl Place {
    /// A place below this root.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// A command's words with this root, and the home named.
    pub fn words(&self, words: &[String]) -> Vec<String> {
        let root = self.root.display().to_string();
        let mut all: Vec<String> = words.iter().map(|w| w.replace(ROOT_WORD, &root)).collect();
        if !all.iter().any(|w| w == "--home") {
            all.extend(["--home".to_owned(), format!("{root}/{HOME}")]);
        }
        all
    }

    /// A process that runs a program here, with no settings of whoever runs the tests.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("XDG_STATE_HOME", self.root.join("state")).current_dir(&self.root);
        command
    }

    /// Runs the built program.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn vm(&self, program: &Path, words: &[String]) -> Result<Said, String> {
        let output = self.command(program).args(self.words(words)).output();
        output.map(Said::of).map_err(|e| format!("cannot start {}: {e}", program.display()))
    }

    /// The same code in this process: for the many homes that are opened to be checked.
    pub fn here(&self, words: &[String]) -> Said {
        let mut all: Vec<OsString> = vec!["vm".into()];
        all.extend(self.words(words).into_iter().map(Into::into));
        let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), io::empty());
        let (colour, live, json) = (false, false, false);
        let (out_, err_, paths) = (&mut out, &mut err, Default::default());
        let screen = Screen { out: out_, err: err_, input: &mut input, colour, live, json, paths };
        let code = vaultmesh::run(HOUSE, all, screen);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said { code, out: text(out), err: text(err) }
    }

    /// Everything below the root, as a file system at rest.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn image(&self) -> io::Result<Image> {
        let mut image = Image::default();
        self.take(&self.root, &mut image)?;
        Ok(image)
    }

    fn take(&self, dir: &Path, image: &mut Image) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let path = entry.path();
            let name = path.strip_prefix(&self.root).unwrap_or(&path).display().to_string();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                image.plant_dir(&name);
                self.take(&path, image)?;
            } else if kind.is_file() {
                image.plant(&name, fs::read(&path)?);
            }
        }
        Ok(())
    }

    /// Replaces everything below the root by what a crash left. `from` is the root it was recorded under; where a file
    /// names it, this root is named instead.
    ///
    /// # Errors
    /// Something cannot be written.
    pub fn lay_down(&self, image: &Image, from: &Path) -> io::Result<()> {
        if self.root.exists() {
            fs::remove_dir_all(&self.root)?;
        }
        let make = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        make(&self.root)?;
        fs::set_permissions(&self.root, fs::Permissions::from_mode(0o700))?;
        let (old, new) = (from.display().to_string(), self.root.display().to_string());
        image.directories().try_for_each(|path| make(&self.root.join(path)))?;
        for path in image.paths() {
            let bytes = image.read(path).unwrap_or_default();
            let mut file = fs::OpenOptions::new();
            let mut file =
                file.write(true).create_new(true).mode(0o600).open(self.root.join(path))?;
            match path.ends_with("vaultmesh.toml") {
                true => {
                    let text = String::from_utf8_lossy(&bytes).replace(&old, &new);
                    io::Write::write_all(&mut file, text.as_bytes())?;
                }
                // The reserve of a home is large and empty; a hole reads the same.
                false if bytes.iter().all(|byte| *byte == 0) => file.set_len(bytes.len() as u64)?,
                false => io::Write::write_all(&mut file, &bytes)?,
            }
        }
        Ok(())
    }
}

/// Words of a command line from one string, split at blanks.
pub fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}
