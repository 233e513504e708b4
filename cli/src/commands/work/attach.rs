//! Files that a stage left, as the command line names them.

use crate::exit::{Stop, unreadable};
use crate::paths::Paths;
use crate::screen::{INPUT_BYTES_MAX, Screen};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use vm_contracts::{Refusal, RefusalKind};
use vm_ledger::Attach;

/// One file: the name it gets, and where it comes from.
struct Named<'a> {
    name: String,
    path: &'a str,
}

/// Opens the files. One that stands in the run's folder `at_home` already is taken as it is there.
pub fn outputs<'a>(
    screen: &'a mut Screen<'_>,
    at_home: &Path,
    open: &[String],
    private: &[String],
) -> Result<Vec<Attach<'a>>, Stop> {
    let paths = screen.paths.clone();
    let mut stdin = Some(&mut *screen.input);
    let mut all = Vec::new();
    let both = open.iter().map(|word| (word, false)).chain(private.iter().map(|w| (w, true)));
    for (word, private) in both {
        let Named { name, path } = named(word)?;
        let source: Option<Box<dyn io::Read>> = match path {
            "-" => match stdin.take() {
                Some(input) if paths.are_lent() => Some(Box::new(whole(input)?)),
                Some(input) => Some(Box::new(input)),
                None => return Err(twice().into()),
            },
            path if stands_in(at_home, &paths.find(path)) => {
                check_own_name(&name, path)?;
                None
            }
            path => Some(Box::new(source(path, &paths)?)),
        };
        all.push(Attach { name, private, source });
    }
    Ok(all)
}

/// `NAME=PATH`, or a path alone, which gives its last part as the name.
fn named(word: &str) -> Result<Named<'_>, Refusal> {
    if let Some((name, path)) = word.split_once('=')
        && !name.is_empty()
        && !name.contains('/')
    {
        return Ok(Named { name: name.to_owned(), path });
    }
    match Path::new(word).file_name().and_then(|n| n.to_str()) {
        Some(name) if word != "-" => Ok(Named { name: name.to_owned(), path: word }),
        _ => {
            let what = format!("{word:?} says no name for the output");
            let hint = "Write NAME=PATH, such as log.txt=- for standard input.";
            Err(Refusal::malformed("bad_output", what).field("outputs").hint(hint))
        }
    }
}

fn twice() -> Refusal {
    Refusal::malformed("bad_usage", "standard input can be one output only").field("outputs")
}

/// All of standard input of a client: the home is not held while it comes.
fn whole(mut input: &mut dyn io::Read) -> Result<io::Cursor<Vec<u8>>, Stop> {
    let mut bytes = Vec::new();
    let read = (&mut input).take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|e| unreadable("-", &e))?;
    match bytes.len() as u64 > INPUT_BYTES_MAX {
        true => {
            let what = format!("standard input is longer than {INPUT_BYTES_MAX} bytes");
            Err(Refusal::new("too_large", RefusalKind::TooLarge, what)
                .field("outputs")
                .hint("Give a file instead; a process that serves takes no more this way.")
                .into())
        }
        false => Ok(io::Cursor::new(bytes)),
    }
}

fn source(path: &str, paths: &Paths) -> Result<File, Stop> {
    let found = paths.find(path);
    // A pipe would be waited for while the home is held.
    let open = || match fs::metadata(&found)? {
        meta if meta.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        meta if !meta.is_file() => {
            let what = "it is not a regular file; give NAME=- and pipe it in";
            Err(io::Error::new(io::ErrorKind::InvalidInput, what))
        }
        _ => File::open(&found),
    };
    Ok(open().map_err(|e| unreadable(path, &e))?)
}

/// Whether the file's own directory is the run's: a link that stands there is for the ledger to refuse.
fn stands_in(at_home: &Path, path: &Path) -> bool {
    let parent = path.parent().unwrap_or(Path::new(""));
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    match (fs::canonicalize(parent), fs::canonicalize(at_home)) {
        (Ok(parent), Ok(at_home)) => parent == at_home,
        _ => false,
    }
}

fn check_own_name(name: &str, path: &str) -> Result<(), Refusal> {
    match Path::new(path).file_name().and_then(|n| n.to_str()) == Some(name) {
        true => Ok(()),
        false => {
            let what = format!("{path} stands in the run's folder, so it keeps its own name");
            Err(Refusal::malformed("bad_output", what)
                .field("outputs")
                .hint("Rename the file, or move it out of the folder."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_before_the_path_is_taken_and_a_path_with_a_sign_in_it_stays_one() {
        let parts = |word| named(word).map(|n| (n.name, n.path.to_owned())).ok();
        assert_eq!(parts("a.txt=/x/b"), Some(("a.txt".into(), "/x/b".into())));
        assert_eq!(parts("log=-"), Some(("log".into(), "-".into())));
        assert_eq!(parts("./a=b"), Some(("a=b".into(), "./a=b".into())));
        assert_eq!(parts("/x/b"), Some(("b".into(), "/x/b".into())));
        assert_eq!((parts("-"), parts("..")), (None, None));
    }
}
