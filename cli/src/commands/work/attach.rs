//! Files that a stage left, as the command line names them.

use crate::exit::{Stop, unreadable};
use crate::screen::Screen;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use vm_contracts::Refusal;
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
    let mut stdin = Some(&mut *screen.input);
    let mut all = Vec::new();
    let both = open.iter().map(|word| (word, false)).chain(private.iter().map(|w| (w, true)));
    for (word, private) in both {
        let Named { name, path } = named(word)?;
        let source: Option<Box<dyn io::Read>> = match path {
            "-" => match stdin.take() {
                Some(input) => Some(Box::new(input)),
                None => return Err(twice().into()),
            },
            path if stands_in(at_home, path) => {
                check_own_name(&name, path)?;
                None
            }
            path => Some(Box::new(source(path)?)),
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

fn source(path: &str) -> Result<File, Stop> {
    // A pipe would be waited for while the home is held.
    let open = || match fs::metadata(path)? {
        meta if meta.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        meta if !meta.is_file() => {
            let what = "it is not a regular file; give NAME=- and pipe it in";
            Err(io::Error::new(io::ErrorKind::InvalidInput, what))
        }
        _ => File::open(path),
    };
    Ok(open().map_err(|e| unreadable(path, &e))?)
}

/// Whether the file's own directory is the run's: a link that stands there is for the ledger to refuse.
fn stands_in(at_home: &Path, path: &str) -> bool {
    let parent = Path::new(path).parent().unwrap_or(Path::new(""));
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
