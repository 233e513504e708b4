//! Having a whole command carried out by the process that owns the home.
//!
//! The owner begins only after it was told to: as long as the client has not said so, nothing has happened and another
//! way may be tried. From then on a connection that breaks leaves the outcome unknown.

use crate::client::{Client, http};
use crate::exit::Stop;
use crate::frame;
use crate::paths;
use crate::screen::Screen;
use crate::session::{Session, Way, Words};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use vm_contracts::{Failure, Lost, Refusal, RefusalKind};

/// The owner's side of this conversation, as a path.
pub const PATH: &str = "/v1/command";
/// Longest end of the output that is kept to say where a batch broke off.
const TAIL_MAX: usize = 64 << 10;

/// How far a forwarded command came.
enum Came {
    /// To its end, with this exit code.
    ToItsEnd(u8),
    /// Not to its beginning: the owner went away, or is the owner of another home.
    Nowhere,
}

/// What the command does, for the words in which its loss is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// It is one call, or a batch of them, under the session's id.
    pub is_call: bool,
    /// It takes calls line by line.
    pub is_batch: bool,
}

/// Carries the command out at the owner; `None` where the owner went away before it began.
pub fn try_command(session: &mut Session<'_>, owner: Client) -> Result<Option<u8>, Stop> {
    let Way::Find(words) = &session.way else { unreachable!("a lent command is not forwarded") };
    let kind = words.kind;
    let asked = asked(session, words)?;
    match converse(session, owner, &asked, &kind)? {
        Came::ToItsEnd(code) => Ok(Some(code)),
        Came::Nowhere => Ok(None),
    }
}

fn asked(session: &Session<'_>, words: &Words) -> Result<Value, Failure> {
    let loaded = session.loaded()?;
    let home = loaded.home.display().to_string();
    let meta = std::fs::metadata(&loaded.home).map_err(|e| crate::exit::unreadable(&home, &e))?;
    let words: Vec<_> = words.all.iter().map(|w| w.to_string_lossy()).collect();
    let settings = loaded.settings();
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "argv": words,
        // A directory that is gone or has no UTF-8 name is found through the process.
        "cwd": std::env::current_dir().ok().and_then(|d| d.to_str().map(str::to_owned)),
        "home": {"shown": home, "device": meta.dev(), "inode": meta.ino()},
        "settings": {"ledger": settings.ledger, "domain": settings.domain, "node": settings.node, "demo": settings.demo},
        "actor_key": session.flags.actor_key.as_ref().map(|path| path.display().to_string()),
        "umask": paths::umask(),
        "colour": session.screen.colour,
        "live": session.screen.live,
        "id": session.id,
    }))
}

fn converse(
    session: &mut Session<'_>,
    owner: Client,
    asked: &Value,
    kind: &Kind,
) -> Result<Came, Stop> {
    let Client { path, mut to, mut from } = owner;
    let sent = http::begin(&mut to, PATH).and_then(|()| {
        http::chunk(&mut to, &frame::encode(frame::COMMAND, asked.to_string().as_bytes()))
    });
    // An owner that was suspended is waited for as any other owner is.
    let wait = Duration::from_secs(session.loaded()?.config.lock.wait_seconds.max(1));
    let _ = to.set_read_timeout(Some(wait));
    let head = match (sent, http::head(&mut from)) {
        (_, Ok(head)) => head,
        (_, Err(e)) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            return Err(silent(&path, wait).into());
        }
        (_, Err(_)) => return Ok(Came::Nowhere),
    };
    let _ = to.set_read_timeout(None);
    let mut body = http::Body::new(&mut from, head);
    if head.status != 200 {
        let mut bytes = Vec::new();
        // An error that is cut off is still an error.
        let _ = body.by_ref().take(TAIL_MAX as u64).read_to_end(&mut bytes);
        return refused(&bytes);
    }
    if http::chunk(&mut to, &frame::encode(frame::GO, b"")).is_err() {
        return Ok(Came::Nowhere);
    }
    let mut tail = Tail { keep: kind.is_batch, bytes: Vec::new() };
    match relay(session, &mut to, &mut body, &mut tail)? {
        Ok(code) => Ok(Came::ToItsEnd(code)),
        Err(e) => {
            let told = told(&session.id, kind, tail.last_line());
            let message = format!(
                "the owner of the home at {} went away in the middle of the command ({e}){told}",
                path.display()
            );
            Err(Failure::from(Lost { message }).into())
        }
    }
}

fn silent(path: &Path, wait: Duration) -> Refusal {
    let what = format!(
        "the owner of the home at {} does not answer; waited {} s for it",
        path.display(),
        wait.as_secs()
    );
    Refusal::new("home_busy", RefusalKind::Unavailable, what)
        .hint("Nothing was begun. See whether that process was suspended, or stop it.")
}

/// What a person needs to ask again.
fn told(id: &str, kind: &Kind, last_line: Option<u64>) -> String {
    match (kind.is_batch, kind.is_call) {
        (true, _) => {
            let from = last_line.unwrap_or(0) + 1;
            format!(
                "; the answers end before line {from}; lines without an id have the id {id}-LINE, so the same batch with --id {id} goes on from there"
            )
        }
        (false, true) => format!("; its id is {id}"),
        (false, false) => "; whether it was carried out is not known".to_owned(),
    }
}

/// An error of the owner before the command began.
fn refused(bytes: &[u8]) -> Result<Came, Stop> {
    let error: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let failure = crate::exit::of_json(&error);
    // Somebody else listens where this home's owner once did; nobody who stops takes new commands.
    match failure.code() {
        "other_home" | "stopping" => Ok(Came::Nowhere),
        _ => Err(failure.into()),
    }
}

/// The end of what a batch has answered.
struct Tail {
    keep: bool,
    bytes: Vec<u8>,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        if self.keep {
            self.bytes.extend_from_slice(bytes);
            let past = self.bytes.len().saturating_sub(TAIL_MAX);
            self.bytes.drain(..past);
        }
    }

    /// Number of the last input line that was answered whole.
    fn last_line(&self) -> Option<u64> {
        let whole = &self.bytes[..self.bytes.iter().rposition(|b| *b == b'\n')?];
        let line = whole.rsplit(|b| *b == b'\n').next()?;
        serde_json::from_slice::<Value>(line).ok()?["line"].as_u64()
    }
}

/// Passes frames on until the command ends. The outer error is of this side's streams, the inner one of the owner.
fn relay(
    session: &mut Session<'_>,
    to: &mut UnixStream,
    body: &mut http::Body<'_>,
    tail: &mut Tail,
) -> Result<io::Result<u8>, Stop> {
    let Way::Find(words) = &session.way else { unreachable!("a lent command is not forwarded") };
    let mut input = Input { read: words.read.clone(), ahead: None };
    loop {
        let (kind, payload) = match next(body) {
            Ok(frame) => frame,
            Err(e) => return Ok(Err(e)),
        };
        let screen = &mut session.screen;
        match kind {
            frame::OUT => {
                screen
                    .out
                    .write_all(&payload)
                    .and_then(|()| screen.out.flush())
                    .map_err(Stop::Output)?;
                tail.push(&payload);
            }
            frame::ERR => {
                // As for a command that runs here: a note that cannot be said changes nothing that was done.
                let _ = screen.err.write_all(&payload).and_then(|()| screen.err.flush());
            }
            frame::WANT => {
                let answer = input.answer(screen, &payload);
                if let Err(e) = http::chunk(to, &answer) {
                    return Ok(Err(e));
                }
            }
            frame::EXIT => return Ok(Ok(payload.first().copied().unwrap_or(1))),
            _ => return Ok(Err(io::ErrorKind::InvalidData.into())),
        }
    }
}

fn next(body: &mut http::Body<'_>) -> io::Result<(u8, Vec<u8>)> {
    let mut bytes = [0; frame::HEAD];
    body.read_exact(&mut bytes)?;
    let (kind, length) = frame::head(bytes).ok_or(io::ErrorKind::InvalidData)?;
    let mut payload = vec![0; length];
    body.read_exact(&mut payload)?;
    Ok((kind, payload))
}

/// Standard input, read only when the command asks for it: what it does not read is left to the next program.
struct Input {
    read: Rc<RefCell<Option<Vec<u8>>>>,
    /// What had been read before the owner was found, from this offset on.
    ahead: Option<(Vec<u8>, usize)>,
}

impl Input {
    fn answer(&mut self, screen: &mut Screen<'_>, wanted: &[u8]) -> Vec<u8> {
        let wanted = wanted.first_chunk::<4>().map_or(0, |b| u32::from_be_bytes(*b)) as usize;
        let most = wanted.clamp(1, frame::PAYLOAD_MAX);
        let (before, at) = self
            .ahead
            .get_or_insert_with(|| (self.read.borrow_mut().take().unwrap_or_default(), 0));
        if *at < before.len() {
            let piece = &before[*at..before.len().min(*at + most)];
            *at += piece.len();
            return frame::encode(frame::INPUT, piece);
        }
        let mut buffer = vec![0; most];
        loop {
            return match screen.input.read(&mut buffer) {
                Ok(count) => frame::encode(frame::INPUT, &buffer[..count]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => frame::encode(frame::BROKEN, e.to_string().as_bytes()),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_broke_off_says_from_where_to_go_on() {
        let mut tail = Tail { keep: true, bytes: Vec::new() };
        assert_eq!(tail.last_line(), None);
        tail.push(b"{\"first\":1,\"line\":1}\n{\"first\":3,\"line\":4}\n{\"first\":5,\"li");
        assert_eq!(tail.last_line(), Some(4));
        let batch = Kind { is_call: true, is_batch: true };
        let told = told("b", &batch, tail.last_line());
        assert!(told.contains("before line 5") && told.contains("--id b"), "{told}");
    }

    #[test]
    fn a_lost_call_tells_its_id_and_another_command_claims_none() {
        let told = |is_call| told("dues-may", &Kind { is_call, is_batch: false }, None);
        assert_eq!(told(true), "; its id is dues-may");
        assert!(!told(false).contains("dues-may"));
    }
}
