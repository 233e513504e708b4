//! What stands behind the port `sources` of the console: the file or the stream that a command names as evidence.
//!
//! A source is opened for the command that named it and for nobody else: by a path as it stands for whoever gave the
//! command, or as what was read from standard input. A call that came as JSON names no file of this process, because
//! the process that owns a home may read what the sender may not.

use crate::exit::Stop;
use crate::paths::Paths;
use crate::screen::Screen;
use std::any::Any;
use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::Path;
use vm_console::ops::evidence::Sources;
use vm_contracts::{Fault, Map, Port, PortSource, Shape, Value};

/// Name of the port.
const PORT: &str = "sources";
/// The field that names a source, and the word for standard input.
const FIELD: &str = "source";
const INPUT: &str = "-";

/// Of the command that this thread carries out.
#[derive(Default)]
struct Desk {
    paths: Option<Paths>,
    input: Option<Vec<u8>>,
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

/// Grants sources to the engine of evidence, while a command is being carried out.
pub struct Doors;

impl PortSource for Doors {
    fn grant(&self, engine: &str, port: &str) -> Option<Box<dyn Any + Send>> {
        if (engine, port) != (crate::args::console::ENGINE, PORT) {
            return None;
        }
        let (paths, input) =
            DESK.with_borrow_mut(|desk| Some((desk.paths.clone()?, desk.input.take())))?;
        let sources: Box<dyn Sources> = Box::new(OfCommand { paths, input });
        Some(Box::new(sources))
    }
}

/// Lends the paths of a command for as long as the answer stands.
pub fn lend(paths: &Paths) -> Lent {
    DESK.with_borrow_mut(|desk| desk.paths = Some(paths.clone()));
    Lent(())
}

/// Sources are granted while this stands.
pub struct Lent(());

impl Drop for Lent {
    fn drop(&mut self) {
        DESK.set(Desk::default());
    }
}

/// Reads standard input before the home is held, where the intent names it as a source.
pub fn read_ahead(
    screen: &mut Screen<'_>,
    shape: Option<Shape>,
    intent: &Map<String, Value>,
) -> Result<(), Stop> {
    let takes = |ports: &[Port]| ports.iter().any(|port| port.name == PORT);
    let named = intent.get(FIELD).and_then(Value::as_str) == Some(INPUT);
    if matches!(shape, Some(Shape::Operation(ports)) if takes(ports)) && named {
        let bytes = screen.take_in(INPUT)?;
        hold(bytes);
    }
    Ok(())
}

/// Holds bytes that the next source called `-` consists of.
pub fn hold(bytes: Vec<u8>) {
    DESK.with_borrow_mut(|desk| desk.input = Some(bytes));
}

/// The sources of one command.
struct OfCommand {
    paths: Paths,
    input: Option<Vec<u8>>,
}

impl Sources for OfCommand {
    fn open(&mut self, handle: &str) -> Result<Box<dyn Read + Send>, Fault> {
        if handle != INPUT {
            return Ok(Box::new(
                open_file(&self.paths.find(handle)).map_err(|e| unreadable(handle, &e))?,
            ));
        }
        let bytes = self.input.take().ok_or_else(|| {
            unreadable(
                handle,
                &io::Error::other("standard input was not given, or was taken before"),
            )
        })?;
        Ok(Box::new(Cursor::new(bytes)))
    }
}

/// A regular file: a pipe would be waited for while the home is held, and a device has no end.
pub fn open_file(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?;
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        let what = "it is no regular file; give - and pipe it in";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    File::open(path)
}

fn unreadable(handle: &str, e: &io::Error) -> Fault {
    let shown: String = handle.chars().take(200).collect();
    let fault = Fault::new("source_unreadable", format!("the source {shown} cannot be read: {e}"));
    Fault { retryable: false, ..fault }
        .hint("Its receipt says that nothing was kept. Give it again under a new id.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted() -> Option<Box<dyn Sources>> {
        let granted = Doors.grant("console", "sources")?;
        Some(*granted.downcast::<Box<dyn Sources>>().unwrap())
    }

    fn read(sources: &mut Box<dyn Sources>, handle: &str) -> Result<String, String> {
        let mut text = String::new();
        sources.open(handle).map_err(|f| f.code)?.read_to_string(&mut text).unwrap();
        Ok(text)
    }

    #[test]
    fn a_source_is_granted_to_the_command_that_named_it_and_to_no_other_call() {
        assert!(granted().is_none(), "a call without a command has no files");
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("note"), "kept").unwrap();
        let client = crate::paths::Client { directory: dir.path().into(), pid: 1, umask: 0 };
        let lent = lend(&Paths::of(client));
        hold(b"piped".to_vec());
        let mut sources = granted().unwrap();
        assert_eq!(read(&mut sources, "note").as_deref(), Ok("kept"));
        assert_eq!(read(&mut sources, "-").as_deref(), Ok("piped"));
        assert_eq!(read(&mut sources, "-").unwrap_err(), "source_unreadable");
        assert_eq!(read(&mut sources, ".").unwrap_err(), "source_unreadable");
        assert!(Doors.grant("treasury", "sources").is_none());
        drop(lent);
        assert!(granted().is_none());
    }
}
