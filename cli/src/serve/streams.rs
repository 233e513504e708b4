//! Standard streams of a forwarded command, as frames on its connection.

use crate::frame;
use crate::serve::body::Piece;
use hyper::body::Bytes;
use std::io::{self, Read, Write};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

/// Longest frame of output.
const FRAME: usize = 64 << 10;
/// Bytes of standard output that wait for a slow client.
const WAITING_BYTES: usize = 1 << 20;
/// How much of standard input is asked for at a time, at least and at most.
const WANTED_MIN: usize = 64 << 10;
const WANTED_MAX: usize = 256 << 10;

/// The client's end of the connection.
#[derive(Clone)]
pub(crate) struct Line {
    out: mpsc::UnboundedSender<Piece>,
    room: Arc<Semaphore>,
    runtime: Handle,
}

impl Line {
    pub fn new(out: mpsc::UnboundedSender<Piece>, runtime: Handle) -> Self {
        Self { out, room: Arc::new(Semaphore::new(WAITING_BYTES)), runtime }
    }

    /// Sends a frame without waiting.
    pub fn send(&self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let bytes = Bytes::from(frame::encode(kind, payload));
        self.out.send(Piece { bytes, room: None }).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Sends a frame once there is room for it.
    fn send_slowly(&self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let takes = u32::try_from(payload.len()).expect("a frame is small");
        let room = self.runtime.block_on(self.room.clone().acquire_many_owned(takes));
        let bytes = Bytes::from(frame::encode(kind, payload));
        self.out
            .send(Piece { bytes, room: room.ok() })
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Standard output: waits for a client that reads slowly.
pub(crate) struct Out(pub Line);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(FRAME)];
        self.0.send_slowly(frame::OUT, piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard error: notes and progress, said while the home may be held, so it never waits.
pub(crate) struct Notes(pub Line);

impl Write for Notes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(FRAME)];
        self.0.send(frame::ERR, piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard input, asked for piece by piece.
pub(crate) struct Input {
    pub line: Line,
    pub pieces: mpsc::Receiver<(u8, Vec<u8>)>,
    pub rest: Vec<u8>,
    pub at: usize,
    pub ended: bool,
}

impl Input {
    pub fn new(line: Line, pieces: mpsc::Receiver<(u8, Vec<u8>)>) -> Self {
        Self { line, pieces, rest: Vec::new(), at: 0, ended: false }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.ended {
            return Ok(0);
        }
        if self.at == self.rest.len() {
            let wanted = buffer.len().clamp(WANTED_MIN, WANTED_MAX);
            let wanted = u32::try_from(wanted).expect("it is small");
            self.line.send(frame::WANT, &wanted.to_be_bytes())?;
            match self.pieces.blocking_recv() {
                Some((frame::INPUT, piece)) => (self.rest, self.at) = (piece, 0),
                Some((_, why)) => {
                    return Err(io::Error::other(String::from_utf8_lossy(&why).into_owned()));
                }
                // Never taken for the end of the input: half a file is not the file.
                None => return Err(io::Error::other("the client went away")),
            }
            self.ended = self.rest.is_empty();
        }
        let count = buffer.len().min(self.rest.len() - self.at);
        buffer[..count].copy_from_slice(&self.rest[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
