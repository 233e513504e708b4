//! The owner of a home as a server: HTTP/1.1 on a socket of the home, for processes of this machine.
//!
//! One thread commits records, many at a time, so that all that are in flight share a sync. One thread makes ROOT and
//! signed-state current each second. Forwarded commands and operations with effects run on threads of their own.

mod body;
mod call;
mod calls;
mod command;
mod commit;
mod http;
mod streams;

use crate::config::Loaded;
use crate::serve::commit::Commits;
use crate::session::House;
use crate::socket::Bound;
use hyper_util::rt::TokioIo;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use vm_contracts::{Actor, Failure, Fault};
use vm_ledger::Ledger;
use vm_ledger::home::Owned;

/// How often ROOT and signed-state are made current.
const TICK: Duration = Duration::from_secs(1);
/// Commands and operations that run at once; others wait for their turn.
const AT_ONCE_MAX: usize = 256;
/// Connections that are open at once; others wait to be accepted.
const CONNECTIONS_MAX: usize = 2_048;
/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// What it takes to serve a home.
pub struct Start {
    /// The engines.
    pub house: House,
    /// The home's configuration.
    pub loaded: Loaded,
    /// The home.
    pub owned: Owned,
    /// The socket.
    pub bound: Bound,
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that was begun is finished, and the home is closed.
    Asked,
    /// A second signal came; what was in flight is as after a kill.
    AtOnce(u8),
}

/// What every request may use.
pub(crate) struct Server {
    pub house: House,
    pub loaded: Loaded,
    pub owned: Owned,
    /// Device and inode of the home, by which clients of another home are told.
    pub home: (u64, u64),
    /// The user who owns this process, and with it the home.
    pub uid: u32,
    pub commits: Commits,
    pub at_once: Arc<Semaphore>,
    /// Set once nothing new is begun.
    pub stopping: watch::Sender<bool>,
    /// Set when the ledger answers nothing any more.
    pub broken: watch::Sender<bool>,
}

impl Server {
    pub fn ledger(&self) -> &Ledger {
        &self.owned.ledger
    }

    /// Comes to its end once nothing new is begun any more.
    pub async fn stops(&self) {
        let mut stopping = self.stopping.subscribe();
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Ends the process after a failure that the ledger does not survive.
    pub fn notice(&self, failure: &Failure) {
        if matches!(failure, Failure::Lost(_)) {
            self.broken.send_replace(true);
        }
    }
}

/// Who stands at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub uid: u32,
    pub pid: u32,
}

impl Peer {
    pub fn actor(self) -> Actor {
        Actor::local(self.uid)
    }
}

/// A process that takes signals as they are meant. It must do so before anyone can find its socket.
pub struct Ready {
    runtime: runtime::Runtime,
    signals: [Signal; 2],
}

impl Ready {
    /// Makes the process ready to serve.
    pub fn new() -> Result<Self, Failure> {
        let runtime = runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
        let inside = runtime.enter();
        let listen = |kind| signal(kind).map_err(failed);
        let signals = [listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?];
        drop(inside);
        Ok(Self { runtime, signals })
    }
}

fn failed(e: std::io::Error) -> Failure {
    Fault::new("serve_failed", format!("the server cannot start: {e}")).into()
}

/// Serves until a signal comes or the ledger stops; then finishes what was begun and closes the home.
pub fn run(ready: Ready, start: Start) -> Result<Ended, Failure> {
    let Ready { runtime, mut signals } = ready;
    let Start { house, loaded, owned, bound } = start;
    let meta = std::fs::metadata(&loaded.home).map_err(failed)?;
    let (commits, jobs) = commit::channel();
    let server = Arc::new(Server {
        house,
        home: (meta.dev(), meta.ino()),
        uid: crate::session::uid()?,
        loaded,
        owned,
        commits,
        at_once: Arc::new(Semaphore::new(AT_ONCE_MAX)),
        stopping: watch::Sender::new(false),
        broken: watch::Sender::new(false),
    });
    let committer = commit::start(server.clone(), jobs);
    let (stop_ticking, stopped) = mpsc::channel();
    let ticker = tick(server.clone(), stopped);
    let ended = runtime.block_on(serve(&server, &bound, &mut signals)).map_err(failed)?;
    if let Ended::AtOnce(_) = ended {
        runtime.shutdown_background();
        return Ok(ended);
    }
    // Nobody asks any more, so both come to their end.
    runtime.shutdown_timeout(TICK);
    server.commits.close();
    drop(stop_ticking);
    for thread in [committer, ticker] {
        // A thread that broke left a ledger that says so.
        let _ = thread.join();
    }
    server.ledger().health()?;
    server.ledger().flush()?;
    say_messages(server.ledger());
    server.ledger().health()?;
    Ok(ended)
}

/// Makes ROOT and signed-state current while nobody else does.
fn tick(server: Arc<Server>, stopped: mpsc::Receiver<()>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            let flushed = server.ledger().health().and_then(|()| server.ledger().tick());
            match flushed {
                Ok(()) => say_messages(server.ledger()),
                Err(failure) => {
                    eprint!("{}", crate::exit::to_text(&failure));
                    server.notice(&failure);
                }
            }
        }
    })
}

/// Says what the ledger has to say to people and no command has said.
fn say_messages(ledger: &Ledger) {
    let messages = ledger.writer().take_messages();
    messages.iter().for_each(|m| eprintln!("note: {}", crate::table::shown(m)));
}

/// Takes connections until it is time to stop, then waits for those that are in the middle of something.
async fn serve(
    server: &Arc<Server>,
    bound: &Bound,
    signals: &mut [Signal; 2],
) -> std::io::Result<Ended> {
    let listener = bound.listener.try_clone()?;
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let mut broken = server.broken.subscribe();
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        tokio::select! {
            _ = any(signals) => break,
            _ = broken.wait_for(|broken| *broken) => break,
            accepted = accept(&listener, &connections) => match accepted {
                Ok((stream, permit)) => {
                    tokio::spawn(connection(server.clone(), stream, permit));
                }
                // Too many open files, most often: what is open may end meanwhile.
                Err(e) => {
                    eprintln!("note: a connection could not be taken: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    bound.unlink();
    drop(listener);
    server.stopping.send_replace(true);
    let all = u32::try_from(CONNECTIONS_MAX).expect("it is small");
    tokio::select! {
        number = any(signals) => Ok(Ended::AtOnce(128 + number)),
        _ = connections.acquire_many(all) => Ok(Ended::Asked),
        // A ledger that stopped has nothing to give to those who take their time.
        () = given_up(&server.broken) => Ok(Ended::Asked),
    }
}

/// Comes to its end some seconds after the ledger has stopped.
async fn given_up(broken: &watch::Sender<bool>) {
    const LAST_WORDS: Duration = Duration::from_secs(5);
    let _ = broken.subscribe().wait_for(|broken| *broken).await.is_ok();
    tokio::time::sleep(LAST_WORDS).await;
}

/// The number of the first signal that comes.
async fn any([terminate, interrupt]: &mut [Signal; 2]) -> u8 {
    tokio::select! {
        _ = terminate.recv() => 15,
        _ = interrupt.recv() => 2,
    }
}

async fn accept(
    listener: &UnixListener,
    connections: &Arc<Semaphore>,
) -> std::io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = connections.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    Ok((listener.accept().await?.0, permit))
}

/// One connection, request by request, until its client leaves or the server stops.
async fn connection(
    server: Arc<Server>,
    stream: UnixStream,
    _permit: tokio::sync::OwnedSemaphorePermit,
) {
    // Without credentials there is no actor, and nothing to be done.
    let Ok(credentials) = stream.peer_cred() else { return };
    let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
    let peer = Peer { uid: credentials.uid(), pid };
    let busy = Arc::new(());
    let (shared, held) = (server.clone(), busy.clone());
    let service = hyper::service::service_fn(move |request| {
        http::answer(shared.clone(), peer, request, held.clone())
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A client that breaks off or talks nonsense ends its own connection and nothing else.
    let _ = tokio::select! {
        ended = connection.as_mut() => ended,
        () = server.stops() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                // Half a request is nothing that was begun.
                () = idle(&busy) => Ok(()),
            }
        }
    };
}

/// Comes to its end once a connection has been in the middle of nothing for a while.
async fn idle(busy: &Arc<()>) {
    /// Ours, and the one of the service.
    const HOLDERS: usize = 2;
    const LOOK: Duration = Duration::from_millis(50);
    const LOOKS: u32 = 20;
    let mut quiet = 0;
    while quiet < LOOKS {
        tokio::time::sleep(LOOK).await;
        quiet = if Arc::strong_count(busy) > HOLDERS { 0 } else { quiet + 1 };
    }
}
