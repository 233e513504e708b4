//! `POST /v1/command`: a whole command line of a client, carried out here as there.

use crate::frame::{self, Decoder};
use crate::paths::{Client, Paths};
use crate::screen::Screen;
use crate::serve::body::{Piece, Reply};
use crate::serve::streams::{Input, Line, Notes, Out};
use crate::serve::{Peer, Server};
use crate::{Sent, exit};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use vm_contracts::{Failure, Lost, Refusal, RefusalKind};

/// How long a client may take to say what it wants, and to say that it may begin.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most words of a command line.
const WORDS_MAX: usize = 65_536;

/// Frames of a request's body.
pub(crate) struct Frames {
    body: Incoming,
    decoder: Decoder,
}

impl Frames {
    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = self.decoder.pop().ok()? {
                return Some(frame);
            }
            let piece = self.body.frame().await?.ok()?;
            self.decoder.push(&piece.into_data().ok()?);
        }
    }

    async fn next_soon(&mut self) -> Option<(u8, Vec<u8>)> {
        tokio::time::timeout(PATIENCE, self.next()).await.ok().flatten()
    }
}

/// Takes a command, and answers with the frames of what it says.
pub(crate) async fn answer(
    server: &Arc<Server>,
    peer: Peer,
    body: Incoming,
) -> Result<Reply, Failure> {
    may_command(server.uid, peer.uid)?;
    let mut frames = Frames { body, decoder: Decoder::default() };
    let asked = match frames.next_soon().await {
        Some((frame::COMMAND, asked)) => read(server, peer, &asked)?,
        _ => return Err(malformed("the body does not begin with a command").into()),
    };
    let (out, pieces) = mpsc::unbounded_channel();
    tokio::spawn(work(server.clone(), asked, frames, out));
    Ok(Reply::pieces(pieces))
}

/// A command reads and writes files as the owner of the home; nobody else may have that done.
pub(crate) fn may_command(owner: u32, peer: u32) -> Result<(), Refusal> {
    if peer == owner {
        return Ok(());
    }
    let what =
        format!("the home is owned by local:{owner}; local:{peer} may not give commands to it");
    Err(Refusal::new("not_the_owner", RefusalKind::NotAllowed, what)
        .hint("Work in this home as the user who owns it, or send single calls."))
}

fn malformed(what: &str) -> Refusal {
    Refusal::malformed("bad_command", what)
}

/// A command that may begin.
struct Asked {
    sent: Sent,
    paths: Paths,
    colour: bool,
    live: bool,
}

fn read(server: &Server, peer: Peer, bytes: &[u8]) -> Result<Asked, Refusal> {
    let asked: Value =
        serde_json::from_slice(bytes).map_err(|e| malformed(&format!("no command: {e}")))?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    same_program(&asked)?;
    same_home(server, &asked)?;
    same_settings(server, &asked)?;
    let words: Option<Vec<String>> =
        asked["argv"].as_array().and_then(|all| all.iter().map(text).collect());
    let words =
        words.filter(|w| w.len() <= WORDS_MAX).ok_or_else(|| malformed("argv is missing"))?;
    let home = text(&asked["home"]["shown"]).ok_or_else(|| malformed("home is missing"))?;
    let own = PathBuf::from(format!("/proc/{}/cwd", peer.pid));
    let directory = text(&asked["cwd"]).map(PathBuf::from).filter(|d| d.is_absolute());
    let umask = asked["umask"].as_u64().and_then(|m| u32::try_from(m & 0o777).ok());
    let client = Client {
        directory: directory.unwrap_or(own),
        pid: peer.pid,
        umask: umask.unwrap_or(0o077),
    };
    let sent = Sent {
        words: words.into_iter().map(Into::into).collect(),
        home: home.into(),
        actor_key: text(&asked["actor_key"]).map(PathBuf::from),
        id: text(&asked["id"]).ok_or_else(|| malformed("id is missing"))?,
    };
    let flag = |name: &str| asked[name] == Value::Bool(true);
    Ok(Asked { sent, paths: Paths::of(client), colour: flag("colour"), live: flag("live") })
}

/// Another version may read the same words otherwise.
fn same_program(asked: &Value) -> Result<(), Refusal> {
    let ours = env!("CARGO_PKG_VERSION");
    match asked["version"].as_str() {
        Some(version) if version == ours => Ok(()),
        other => {
            let theirs: String = other.unwrap_or("unknown").chars().take(64).collect();
            let what = format!("the home is served by version {ours} of vm, this is {theirs}");
            Err(Refusal::conflict("other_version", what)
                .hint("Stop the server and start it again with the version you use."))
        }
    }
}

/// A socket outside the home may have come to another home of the same ledger.
fn same_home(server: &Server, asked: &Value) -> Result<(), Refusal> {
    let number = |name: &str| asked["home"][name].as_u64();
    match (number("device"), number("inode")) {
        (Some(device), Some(inode)) if (device, inode) == server.home => Ok(()),
        _ => Err(Refusal::conflict("other_home", "this process owns another home")),
    }
}

/// Settings hold for all who work in a home; a client that has others would be answered otherwise than it believes.
fn same_settings(server: &Server, asked: &Value) -> Result<(), Refusal> {
    let ours = server.loaded.settings();
    let ours = serde_json::json!({
        "ledger": ours.ledger, "domain": ours.domain, "node": ours.node, "demo": ours.demo,
    });
    let theirs = &asked["settings"];
    let names = ["ledger", "domain", "node", "demo"];
    match names.into_iter().find(|name| ours[*name] != theirs[*name]) {
        None => Ok(()),
        Some(name) => {
            let key = if name == "ledger" { "ledger.id".into() } else { format!("ledger.{name}") };
            let what = format!(
                "{key} is {} where the home is served, and {} here",
                ours[name], theirs[name]
            );
            Err(Refusal::conflict("other_settings", what)
                .field(key)
                .hint("Compare `vm config explain` here with the settings of the server; after a change it must be started again."))
        }
    }
}

/// Waits for the word to begin, carries the command out, and says how it ended.
async fn work(
    server: Arc<Server>,
    asked: Asked,
    mut frames: Frames,
    out: mpsc::UnboundedSender<Piece>,
) {
    // As long as the client has not said so, it takes the command for not begun.
    let Some((frame::GO, _)) = frames.next_soon().await else { return };
    let Ok(turn) = server.at_once.clone().acquire_owned().await else { return };
    let line = Line::new(out, Handle::current());
    let (input, pieces) = mpsc::channel(1);
    let reader = tokio::spawn(async move {
        while let Some(frame) = frames.next().await {
            if input.send(frame).await.is_err() {
                // The command wants no more; the connection stays until it has said all.
                std::future::pending::<()>().await;
            }
        }
    });
    let (shared, streams) = (server.clone(), line.clone());
    let ran = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        carry_out(&shared, asked, &streams, pieces)
    });
    let code = match ran.await {
        Ok(code) => code,
        Err(_) => broke(&line),
    };
    if let Err(failure) = server.ledger().health() {
        server.notice(&failure);
    }
    // The client may be gone.
    let _ = line.send(frame::EXIT, &[code]);
    reader.abort();
}

/// A command that broke in the middle is answered as one whose outcome is unknown.
fn broke(line: &Line) -> u8 {
    let failure = Failure::from(Lost { message: "the command broke in the middle".into() });
    let _ = line.send(frame::ERR, exit::to_text(&failure).as_bytes());
    exit::surface(&failure).exit
}

fn carry_out(
    server: &Server,
    asked: Asked,
    line: &Line,
    pieces: mpsc::Receiver<(u8, Vec<u8>)>,
) -> u8 {
    let Asked { sent, paths, colour, live } = asked;
    let mut out = BufWriter::new(Out(line.clone()));
    let mut err = Notes(line.clone());
    let mut input = Input::new(line.clone(), pieces);
    let screen = Screen {
        out: &mut out,
        err: &mut err,
        input: &mut input,
        colour,
        live,
        json: false,
        paths,
    };
    crate::run_lent(server.house, sent, screen, (server.ledger(), &server.loaded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_user_who_owns_the_home_gives_commands_to_it() {
        assert!(may_command(1000, 1000).is_ok());
        for other in [0, 1001] {
            let refused = may_command(1000, other).unwrap_err();
            assert_eq!(
                (refused.code.as_str(), refused.kind),
                ("not_the_owner", RefusalKind::NotAllowed)
            );
        }
    }
}
