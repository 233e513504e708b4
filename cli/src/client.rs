//! A client of `vm serve`: one connection to the owner of a home, kept open from request to request.

pub mod forward;
pub mod http;

use crate::socket;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use vm_contracts::{Failure, Fault, Lost, Refusal, RefusalKind};

/// Longest answer to one request that is taken in.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// Bytes of input that are sent as one chunk.
const CHUNK: usize = 64 << 10;

/// A connection to the process that owns a home.
pub struct Client {
    /// The socket.
    pub path: PathBuf,
    to: UnixStream,
    from: BufReader<UnixStream>,
}

/// What a request was answered with.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The answer, or the error as `--json` prints it.
    pub body: Value,
}

impl Client {
    /// Connects to the owner that serves this home; `None` where nobody does.
    pub fn connect(home: &Path) -> Result<Option<Self>, Failure> {
        match socket::find(home) {
            Some(path) => Self::at(path),
            None => Ok(None),
        }
    }

    /// Connects to a socket; `None` where nobody listens.
    pub fn at(path: PathBuf) -> Result<Option<Self>, Failure> {
        let stream = match UnixStream::connect(&path) {
            Ok(stream) => stream,
            Err(e) => return nobody(&path, &e).map(|()| None),
        };
        let copy = stream.try_clone().map_err(|e| failed(&path, &e))?;
        Ok(Some(Self { path, to: stream, from: BufReader::with_capacity(CHUNK, copy) }))
    }

    /// Which ledger this is, and what it holds.
    pub fn health(&mut self) -> Result<Reply, Failure> {
        self.ask("GET", "/v1/health", b"")
    }

    /// Asks for one call: `{engine, verb, intent, id?, tags?}`.
    pub fn call(&mut self, call: &Value) -> Result<Reply, Failure> {
        self.ask("POST", "/v1/call", call.to_string().as_bytes())
    }

    /// Sends calls, one on each line, while `each` gets the results line by line, in the order of the calls. With
    /// `brief` a result says where the receipts stand, and does not carry them.
    pub fn calls(
        &mut self,
        input: &mut (dyn Read + Send),
        brief: bool,
        each: &mut dyn FnMut(Value),
    ) -> Result<u16, Failure> {
        let path = if brief { "/v1/calls?brief=true" } else { "/v1/calls" };
        let lost = lost(&self.path);
        http::begin(&mut self.to, path).map_err(&lost)?;
        let (to, from) = (&mut self.to, &mut self.from);
        std::thread::scope(|scope| {
            let sent = scope.spawn(move || send_all(to, input));
            let head = http::head(from).map_err(&lost)?;
            let mut body = BufReader::with_capacity(CHUNK, http::Body::new(from, head));
            let mut line = Vec::new();
            while body.read_until(b'\n', &mut line).map_err(&lost)? > 0 {
                each(serde_json::from_slice(&line).map_err(|e| lost(e.into()))?);
                line.clear();
            }
            match sent.join() {
                // An owner that refuses reads no further, so what could not be sent is its answer's business.
                Ok(sent) if head.status == 200 => sent.map_err(&lost)?,
                _ => {}
            }
            Ok(head.status)
        })
    }

    fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Reply, Failure> {
        let lost = lost(&self.path);
        // An owner that refuses a long body answers before it has read all of it.
        let sent = http::send(&mut self.to, method, path, body);
        let head = match (http::head(&mut self.from), sent) {
            (Ok(head), _) => head,
            (Err(_), Err(e)) | (Err(e), Ok(())) => return Err(lost(e)),
        };
        let mut bytes = Vec::new();
        http::Body::new(&mut self.from, head)
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(&lost)?;
        let body = serde_json::from_slice(&bytes).map_err(|e| lost(e.into()))?;
        Ok(Reply { status: head.status, body })
    }
}

fn send_all(to: &mut UnixStream, input: &mut (dyn Read + Send)) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match input.read(&mut buffer)? {
            0 => return http::end(to),
            count => http::chunk(to, &buffer[..count])?,
        }
    }
}

/// What a socket that does not answer means: nobody there is no error.
fn nobody(path: &Path, e: &io::Error) -> Result<(), Failure> {
    match e.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::NotADirectory => Ok(()),
        io::ErrorKind::PermissionDenied => {
            let what = format!("{} belongs to another user", path.display());
            Err(Refusal::new("not_the_owner", RefusalKind::NotAllowed, what)
                .hint("Work in this home as the user who owns it.")
                .into())
        }
        _ => Err(failed(path, e)),
    }
}

fn failed(path: &Path, e: &io::Error) -> Failure {
    Fault::new("socket_failed", format!("cannot connect to {}: {e}", path.display())).into()
}

/// A request that was sent and not answered: it may have been carried out.
fn lost(path: &Path) -> impl Fn(io::Error) -> Failure + use<> {
    let path = path.display().to_string();
    move |e| {
        let message =
            format!("the owner of the home at {path} went away before it had answered: {e}");
        Lost { message }.into()
    }
}
