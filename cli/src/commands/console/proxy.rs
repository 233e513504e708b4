//! `vm console proxy -- SERVER …`: between an agent and an MCP server that speak JSON-RPC on standard streams.
//!
//! Every byte is passed on as it is, so neither side can tell that we are there. A call is noted before the server gets
//! it, because its answer may come at once. Calls of tools and their results go into a queue with an end; a thread of its own brings them into the ledger. Where the ledger is slower than
//! the traffic, the traffic goes on, and how much was not recorded is recorded.

mod lines;
mod recorder;

pub use recorder::wishes;

use super::exec::signals::{Signals, wait};
use crate::commands::text;
use crate::exit::{self, Stop, output};
use crate::session::Session;
use clap::ArgMatches;
use lines::{Lines, Watch};
use recorder::{Queue, Recorder};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use vm_contracts::{Failure, Refusal};

/// Bytes that are passed on at a time.
const PIECE: usize = 64 << 10;

/// Passes everything on until the server ends, and ends with its exit code.
pub fn run(session: &mut Session<'_>, given: &ArgMatches) -> Result<u8, Stop> {
    let named = text(given, "session").map(str::to_owned);
    let named = named.or_else(|| std::env::var("VM_SESSION").ok().filter(|s| !s.is_empty()));
    let argv: Vec<OsString> = given.get_many("server").into_iter().flatten().cloned().collect();
    let (program, args) = argv.split_first().expect("clap requires a server");
    let recorder = match Recorder::start(session, named.as_deref()) {
        Ok(recorder) => Some(recorder),
        // The agent works with its server whatever becomes of the record.
        Err(failure) => {
            unrecorded(session, &failure);
            None
        }
    };
    let signals = Signals::listen().map_err(|e| Stop::from(exit::unreadable("signals", &e)))?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(recorder) = &recorder {
        command.env("VM_SESSION", recorder.session());
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            end(recorder, None);
            let what = format!("cannot start {}: {e}", program.to_string_lossy());
            return Err(Refusal::not_found("no_such_program", what)
                .hint("Give the server's program and arguments after --.")
                .into());
        }
    };
    let passing = signals.pass_on(&child);
    session.screen.flush()?;
    // The handles of this process, not its buffered streams: nothing of ours may come between.
    let from_agent = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(output)?);
    let to_agent = File::from(io::stdout().as_fd().try_clone_to_owned().map_err(output)?);
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let watch = Arc::new(Mutex::new(Watch::default()));
    if let Some(stdin) = stdin {
        let (watch, queue) = (watch.clone(), recorder.as_ref().map(Recorder::queue));
        // It may wait for an agent that says nothing more; it ends with this process.
        std::thread::spawn(move || to_server(from_agent, stdin, &watch, queue.as_ref()));
    }
    if let Some(stdout) = stdout {
        let queue = recorder.as_ref().map(Recorder::queue);
        pass(stdout, to_agent, |line| answered(&watch, queue.as_ref(), line));
    }
    let status = wait(&mut child, &passing);
    let status = status.map_err(|e| Stop::from(exit::unreadable("the server", &e)))?;
    let code = code(status);
    end(recorder, Some(code));
    Ok(code)
}

/// Says once that nothing is recorded, and why.
fn unrecorded(session: &mut Session<'_>, failure: &Failure) {
    let told = exit::to_text(failure).trim_end().replace('\n', "; ");
    // Whoever closed standard error does not want to know.
    let _ = writeln!(session.screen.err, "{told}; the server runs, and nothing of it is recorded");
}

fn end(recorder: Option<Recorder>, code: Option<u8>) {
    if let Some(recorder) = recorder {
        recorder.end(code);
    }
}

/// The exit code that a shell would show.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().map(|code| code & 0xff);
    let code = code.unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(u8::MAX)
}

fn to_server(from: File, to: ChildStdin, watch: &Mutex<Watch>, queue: Option<&Queue>) {
    pass(from, to, |line| {
        let Some(queue) = queue else { return };
        let seen = watch.lock().unwrap_or_else(PoisonError::into_inner).asked(line);
        seen.into_iter().for_each(|seen| queue.put(seen));
    });
}

fn answered(watch: &Mutex<Watch>, queue: Option<&Queue>, line: Option<&[u8]>) {
    let Some(queue) = queue else { return };
    let seen = watch.lock().unwrap_or_else(PoisonError::into_inner).answered(line);
    seen.into_iter().for_each(|seen| queue.put(seen));
}

/// Passes a stream on to its end, or until nobody reads it any more; shows each line before its end is passed on,
/// `None` for one that is too long to be looked at.
fn pass(mut from: impl Read, mut to: impl Write, mut each: impl FnMut(Option<&[u8]>)) {
    let mut lines = Lines::default();
    let mut piece = vec![0; PIECE];
    loop {
        let count = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        lines.push(&piece[..count], &mut each);
        if to.write_all(&piece[..count]).and_then(|()| to.flush()).is_err() {
            break;
        }
    }
    lines.end(&mut each);
}

/// A failure of the recorder before anything was passed on.
pub(super) type Begun<T> = Result<T, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_as_they_are_and_lines_are_shown_whole() {
        let text = b"{\"a\":1}\r\n\n\xff\xfe\nlast".repeat(10);
        let (mut passed, mut lines) = (Vec::new(), Vec::new());
        pass(&text[..], &mut passed, |line| lines.push(line.map(<[u8]>::to_vec)));
        assert_eq!(passed, text);
        assert_eq!(lines.first().unwrap().as_deref(), Some(&b"{\"a\":1}\r"[..]));
        assert_eq!(lines.last().unwrap().as_deref(), Some(&b"last"[..]));
    }
}
