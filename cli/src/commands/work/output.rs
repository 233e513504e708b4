//! `vm <engine> output`: a file that a run left. A public one is compared with what was said of it before it is written.

use crate::commands::{receipt, required, text};
use crate::exit::{OK, Stop, output as output_failed, unwritable};
use crate::screen::{Access, INPUT_BYTES_MAX, Screen, put_out_with};
use crate::session::Session;
use clap::ArgMatches;
use std::io::{self, Write};
use std::path::Path;
use vm_contracts::contract::OUTPUTS;
use vm_contracts::{AnyEngine, Corrupt, Failure, Output, Refusal, RunState};
use vm_ledger::Ledger;
use vm_ledger::fs::{Disk, Fs};
use vm_ledger::run::{RunFolder, case_dir, run_dir};
use vm_receipts::case::{STATE, is_stub_path};
use vm_receipts::line::is_id;

/// Bytes copied at a time.
const CHUNK: usize = 1 << 20;

/// Writes the file.
pub fn output(
    session: &mut Session<'_>,
    engine: &'static dyn AnyEngine,
    given: &ArgMatches,
) -> Result<u8, Stop> {
    let (id, name) = (required(given, "run"), required(given, "name"));
    let to = text(given, "output");
    if session.screen.json && to.is_none() {
        let what = "a file is no JSON document";
        return Err(Refusal::malformed("bad_usage", what)
            .field("output")
            .hint("Give --output FILE, or leave --json out.")
            .into());
    }
    let home = session.loaded()?.home;
    session.in_home(|screen, ledger| {
        let found = find(ledger, engine, &home, id, name)?;
        let (written, private) = write(screen, ledger, &home, to, &found)?;
        let Some(path) = to else { return Ok(OK) };
        let word = if private { "private" } else { "public" };
        match screen.json {
            true => screen.document(&serde_json::json!({
                "id": id, "name": name, "private": private, "bytes": written, "file": path,
            }))?,
            false => screen.line(&format!("{written} bytes in {path} ({word} output of {id})"))?,
        }
        Ok(OK)
    })
}

/// Where a file stands.
enum Found<'a> {
    /// In a folder of the home, in the open.
    Public { path: String, size: u64 },
    /// Encrypted, under its own name.
    Private { scroll: &'static str, id: &'a str, name: &'a str, public: Vec<String> },
}

fn find<'a>(
    ledger: &Ledger,
    engine: &'static dyn AnyEngine,
    home: &Path,
    id: &'a str,
    name: &'a str,
) -> Result<Found<'a>, Stop> {
    let scroll = engine.scroll();
    if !is_id(id) {
        let what = "a run's id has 1 to 64 letters, digits, dots, _ and -";
        return Err(Refusal::malformed("bad_id", what).field("id").into());
    }
    let disk = disk(home);
    let sealed = ledger.writer().heads().iter().any(|h| h.scroll == scroll)
        && ledger.find(scroll, id)?.is_some();
    let dir = if sealed { case_dir(scroll, id) } else { run_dir(scroll, id) };
    let folder = RunFolder::new(&disk, &dir);
    let state = match folder.is_open()? {
        true => folder.state()?,
        false => return Err(no_files(engine, id, sealed).into()),
    };
    if sealed {
        let (first, _) = ledger.find(scroll, id)?.unwrap_or_default();
        let line = receipt::read(ledger, scroll, first)?.line;
        let stands = folder.measure(STATE)?.map(|file| file.digest);
        if stands != Some(line.state.to_string()) {
            return Err(differs(&dir, STATE, "it is the one that the receipt names"));
        }
    }
    let path = format!("{OUTPUTS}/{name}");
    let is_said = |o: &&Output| o.path == path && !name.contains('/') && !is_stub_path(&o.path);
    let Some(said) = state.all_outputs().find(is_said) else {
        return Ok(Found::Private { scroll, id, name, public: public_names(&state) });
    };
    if folder.measure(&path)?.as_ref() != Some(said) {
        return Err(differs(&dir, &path, "it is what it was when its stage was completed"));
    }
    Ok(Found::Public { path: format!("{dir}/{path}"), size: said.size })
}

/// Names of the outputs that anybody may see.
fn public_names(state: &RunState) -> Vec<String> {
    let inside = |o: &Output| o.path.strip_prefix(OUTPUTS)?.strip_prefix('/').map(str::to_owned);
    state.all_outputs().filter(|o| !is_stub_path(&o.path)).filter_map(inside).collect()
}

fn differs(dir: &str, name: &str, claim: &str) -> Stop {
    let hint = Some("`vm verify` of the case says what still holds.".to_owned());
    let (file, claim) = (format!("{dir}/{name}"), claim.to_owned());
    Failure::from(Corrupt { file, line: None, byte: None, claim, hint }).into()
}

fn no_files(engine: &dyn AnyEngine, id: &str, sealed: bool) -> Refusal {
    let (scroll, name) = (engine.scroll(), engine.name());
    let (what, hint) = match sealed {
        true => (
            format!("{scroll} {id} has no case here"),
            "A record leaves no files; a case that is gone comes back from a backup.".to_owned(),
        ),
        false => (
            format!("{name} has no run or case {id}"),
            format!("`vm {name} runs` lists open runs, `vm {name} query` receipts."),
        ),
    };
    Refusal::not_found("no_case", what).hint(hint)
}

/// Writes to the file or to standard output; a private one gets a file of its owner's alone.
fn write(
    screen: &mut Screen<'_>,
    ledger: &Ledger,
    home: &Path,
    to: Option<&str>,
    found: &Found<'_>,
) -> Result<(u64, bool), Stop> {
    let private = matches!(found, Found::Private { .. });
    let written = match to {
        // The home is held while a private file is opened, and a client may read its answer as slowly as it likes.
        None if private && screen.paths.are_lent() => {
            let mut bytes = Limited(Vec::new());
            let too_large = |e: io::Error| Stop::from(unwritable("standard output", &e));
            let count = copy(ledger, home, found, &mut bytes, &too_large)?;
            screen.raw(&bytes.0)?;
            count
        }
        None => copy(ledger, home, found, &mut *screen.out, &output_failed)?,
        Some(path) => {
            let access = if private { Access::OwnerOnly } else { Access::AsUsual };
            put_out_with(&screen.paths, path, access, |file| {
                copy(ledger, home, found, file, &|e| unwritable(path, &e).into())
            })?
        }
    };
    Ok((written, private))
}

/// Bytes in memory, up to a limit.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > INPUT_BYTES_MAX {
            let what = format!("it has over {INPUT_BYTES_MAX} bytes; name a file with --output");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn copy(
    ledger: &Ledger,
    home: &Path,
    found: &Found<'_>,
    sink: &mut dyn Write,
    failed: &dyn Fn(io::Error) -> Stop,
) -> Result<u64, Stop> {
    match found {
        Found::Private { scroll, id, name, public } => {
            let written = ledger.private_output(scroll, id, name, sink);
            Ok(written.map_err(|failure| with_public(failure, public))?)
        }
        Found::Public { path, size } => {
            let disk = disk(home);
            let mut at = 0;
            while at < *size {
                let piece = disk.read_at(path, at, CHUNK).map_err(|e| {
                    Stop::from(crate::exit::unreadable(&home.join(path).display().to_string(), &e))
                })?;
                if piece.is_empty() {
                    break;
                }
                sink.write_all(&piece).map_err(failed)?;
                at += piece.len() as u64;
            }
            Ok(at)
        }
    }
}

/// A refusal of a name that is none also says which public files there are.
fn with_public(failure: Failure, public: &[String]) -> Failure {
    match failure {
        Failure::Refusal(refusal) if refusal.code == "no_such_output" && !public.is_empty() => {
            let private = refusal.hint.clone().unwrap_or_default();
            let hint = format!("{private} Public ones are {}.", public.join(", "));
            Failure::Refusal(Refusal { hint: Some(hint), ..refusal })
        }
        other => other,
    }
}

/// The home's files; nothing of the guard is read here.
fn disk(home: &Path) -> Disk {
    Disk::new(home, home.join("no-guard"))
}
