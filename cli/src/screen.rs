//! What a command may say and read: standard output, standard error, standard input, and whether a person looks.

use crate::exit::{Stop, output};
use crate::paths::Paths;
use crate::table::{Table, shown};
use serde_json::Value;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Progress is shown once a work has taken this long.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);
/// Then at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// How a word is coloured where colour is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Names and headings.
    Strong,
    /// Things that hold.
    Good,
    /// Things that do not.
    Bad,
    /// Things to know.
    Note,
}

/// The streams of the process.
pub struct Screen<'a> {
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// Standard input.
    pub input: &'a mut dyn Read,
    /// Colour on standard output: it is a terminal and NO_COLOR is not set.
    pub colour: bool,
    /// Whether a person looks at standard error, so that progress may be drawn.
    pub live: bool,
    /// `--json` was given.
    pub json: bool,
    /// Where the files of the command line stand.
    pub paths: Paths,
}

impl Screen<'_> {
    /// One line of text.
    pub fn line(&mut self, text: &str) -> Result<(), Stop> {
        writeln!(self.out, "{}", shown(text)).map_err(output)
    }

    /// One line in a tone, with plain text after it.
    pub fn toned(&mut self, tone: Tone, word: &str, rest: &str) -> Result<(), Stop> {
        let word = paint(self.colour, tone, &shown(word));
        writeln!(self.out, "{word}{}", shown(rest)).map_err(output)
    }

    /// A table; nothing when it has no rows.
    pub fn table(&mut self, table: &Table) -> Result<(), Stop> {
        match table.is_empty() {
            true => Ok(()),
            false => write!(self.out, "{}", table.render(self.colour)).map_err(output),
        }
    }

    /// Text as it is, such as a proof, an export or a page of help.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.out.write_all(bytes).map_err(output)
    }

    /// The one JSON document of this command.
    pub fn document(&mut self, value: &Value) -> Result<(), Stop> {
        writeln!(self.out, "{value}").map_err(output)
    }

    /// A note beside the answer, on standard error. Failing to say it changes nothing that was done.
    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.err, "note: {}", shown(text));
    }

    /// A whole file of the command line, or standard input for `-`, with a limit.
    pub fn take_in(&mut self, path: &str) -> Result<Vec<u8>, Stop> {
        self.take_in_up_to(path, INPUT_BYTES_MAX)?.ok_or_else(|| {
            let what = format!("{path} is longer than {INPUT_BYTES_MAX} bytes");
            let kind = vm_contracts::RefusalKind::TooLarge;
            vm_contracts::Refusal::new("too_large", kind, what).into()
        })
    }

    /// The same; `None` where it has more than `max` bytes.
    pub fn take_in_up_to(&mut self, path: &str, max: u64) -> Result<Option<Vec<u8>>, Stop> {
        let mut bytes = Vec::new();
        let limit = max.saturating_add(1);
        let read = match path {
            "-" => self.input.take(limit).read_to_end(&mut bytes),
            path => std::fs::File::open(self.paths.find(path))
                .and_then(|file| file.take(limit).read_to_end(&mut bytes)),
        };
        read.map_err(|e: io::Error| crate::exit::unreadable(path, &e))?;
        Ok((bytes.len() as u64 <= max).then_some(bytes))
    }

    /// Writes a file of the caller. One that is there already keeps its bytes until the new ones are whole, so that a
    /// full disk costs no earlier proof; what is no regular file is written to as it is.
    pub fn put_out(&self, path: &str, bytes: &[u8]) -> Result<(), Stop> {
        put_out_with(&self.paths, path, Access::AsUsual, |file| {
            file.write_all(bytes).map_err(|e| crate::exit::unwritable(path, &e).into())
        })
    }

    /// Makes sure that everything said has left.
    pub fn flush(&mut self) -> Result<(), Stop> {
        self.out.flush().map_err(output)
    }
}

/// A word in a tone.
pub fn paint(colour: bool, tone: Tone, word: &str) -> String {
    let code = match tone {
        Tone::Plain => return word.to_owned(),
        Tone::Strong => 1,
        Tone::Good => 32,
        Tone::Bad => 31,
        Tone::Note => 33,
    };
    if colour { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
}

/// Draws one line that is written over while work goes on, once it takes over a second.
pub struct Progress {
    began: Instant,
    drawn: Option<Instant>,
    live: bool,
}

impl Progress {
    /// Begins to count; draws only where `live`.
    pub fn new(live: bool) -> Self {
        Self { began: Instant::now(), drawn: None, live }
    }

    /// Says how far the work has come.
    pub fn step(&mut self, err: &mut dyn Write, what: &str, done: u64, total: u64) {
        let due = self.began.elapsed() >= PROGRESS_AFTER
            && self.drawn.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY);
        if !self.live || !due {
            return;
        }
        self.drawn = Some(Instant::now());
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        // A progress line that cannot be drawn is no loss.
        let _ = write!(err, "\r{what}: {done} of {total} ({percent} %)\u{1b}[K");
        let _ = err.flush();
    }

    /// Wipes the line.
    pub fn end(&mut self, err: &mut dyn Write) {
        if self.drawn.take().is_some() {
            let _ = write!(err, "\r\u{1b}[K");
        }
    }
}

/// Most bytes of a file that a command takes in whole.
pub const INPUT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Who may read a new file of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever the process lets.
    AsUsual,
    /// Its owner alone.
    OwnerOnly,
}

/// As [`Screen::put_out`], for bytes that come piece by piece.
pub fn put_out_with<T>(
    paths: &Paths,
    path: &str,
    access: Access,
    write: impl FnOnce(&mut dyn Write) -> Result<T, Stop>,
) -> Result<T, Stop> {
    let target = paths.find(path);
    let target = target.as_path();
    let failed = |e: io::Error| Stop::from(crate::exit::unwritable(path, &e));
    let replaceable = match std::fs::symlink_metadata(target) {
        Ok(there) => there.is_file(),
        Err(e) => e.kind() == io::ErrorKind::NotFound,
    };
    if !replaceable {
        let mut file = std::fs::File::create(target).map_err(failed)?;
        return write(&mut file);
    }
    let mut name = target.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let half = Path::new(&name);
    let fill = || {
        let mode = paths.mode(if access == Access::OwnerOnly { 0o600 } else { 0o666 });
        let mut options = std::fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(mode);
        let mut file = options.open(half).map_err(failed)?;
        let written = write(&mut file)?;
        if let Ok(there) = std::fs::metadata(target) {
            std::fs::set_permissions(half, there.permissions()).map_err(failed)?;
        }
        std::fs::rename(half, target).map_err(failed)?;
        Ok(written)
    };
    let done = fill();
    if done.is_err() {
        // It may never have been made; the error that is told is the first one.
        let _ = std::fs::remove_file(half);
    }
    done
}

/// The last words of a process that is ended from beside: whoever works holds the lock of standard error, so this writes past it.
pub fn last_words(text: &str) {
    use std::os::fd::AsFd;
    let standard_error = std::io::stderr().as_fd().try_clone_to_owned();
    // Whoever closed standard error does not want to know.
    let _ = standard_error.map(|fd| writeln!(std::fs::File::from(fd), "{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_out(path: &str, bytes: &[u8]) -> Result<(), Stop> {
        put_out_with(&Paths::default(), path, Access::AsUsual, |file| {
            file.write_all(bytes).map_err(output)
        })
    }

    #[test]
    fn a_file_of_the_caller_is_replaced_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("PROOF.json");
        for bytes in [b"first".as_slice(), b"second"] {
            put_out(path.to_str().unwrap(), bytes).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        put_out(link.to_str().unwrap(), b"third").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"third");
        assert!(put_out("/no/such/directory/p", b"x").is_err());
    }

    #[test]
    fn short_work_draws_no_progress() {
        let mut err = Vec::new();
        let mut progress = Progress::new(true);
        progress.step(&mut err, "import", 1, 2);
        progress.end(&mut err);
        assert!(err.is_empty());
    }

    #[test]
    fn no_colour_means_no_escape() {
        assert_eq!(paint(false, Tone::Bad, "x"), "x");
        assert_eq!(paint(true, Tone::Bad, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
