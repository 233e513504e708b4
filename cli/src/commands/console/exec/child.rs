//! The program that `vm exec` runs: its streams pass through untouched, signals are passed on, and what it wrote is
//! counted and digested on the way.

use super::signals::{Signals, wait};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Bytes that are passed on at a time.
const PIECE: usize = 64 << 10;
/// Most bytes of one stream that are held in memory to be kept.
pub const KEPT_BYTES_MAX: usize = 64 << 20;

/// What a program is started with.
pub struct Start<'a> {
    /// The program and its arguments.
    pub argv: &'a [OsString],
    /// Session that commands inside of it belong to.
    pub session: &'a str,
    /// Whether what it writes is held to be kept.
    pub keep: bool,
}

/// What a stream of the program carried.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Bytes that were passed on.
    pub bytes: u64,
    /// BLAKE3 of all of them, as text.
    pub digest: String,
    /// The first [`KEPT_BYTES_MAX`] of them, where they are to be kept.
    pub kept: Vec<u8>,
}

impl Stream {
    /// Whether less is held than was written.
    pub fn is_cut(&self) -> bool {
        self.bytes > self.kept.len() as u64
    }
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Exit code as shells say it: 128 and the signal's number for a program that a signal ended.
    pub code: u8,
    /// Whether a signal ended it.
    pub by_signal: bool,
    /// How long it ran.
    pub took: Duration,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
}

/// Runs it to its end; the error says why it could not be started.
pub fn run(start: &Start<'_>) -> io::Result<Ended> {
    let (program, args) = start.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let signals = Signals::listen()?;
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(args)
        .env("VM_SESSION", start.session)
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // The handles of this process, not its buffered streams: nothing of ours may come between.
    let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let err = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let streams = child.stdout.take().zip(child.stderr.take());
    let (from_out, from_err) = streams.ok_or(io::ErrorKind::BrokenPipe)?;
    let keep = start.keep;
    let (status, stdout, stderr) = std::thread::scope(|scope| {
        let passing = signals.pass_on(&child);
        let stdout = scope.spawn(move || pass(from_out, out, keep));
        let stderr = scope.spawn(move || pass(from_err, err, keep));
        let status = wait(&mut child, &passing);
        // A thread that broke passed nothing on any more; its stream is told as empty.
        (status, stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default())
    });
    let (code, by_signal) = code(status?);
    Ok(Ended { code, by_signal, took: began.elapsed(), stdout, stderr })
}

/// The exit code that a shell would show.
fn code(status: ExitStatus) -> (u8, bool) {
    match (status.code(), status.signal()) {
        (Some(code), _) => (u8::try_from(code & 0xff).unwrap_or(u8::MAX), false),
        (None, signal) => (u8::try_from(128 + signal.unwrap_or(0)).unwrap_or(u8::MAX), true),
    }
}

/// Passes a stream on to its end, or until nobody reads it any more: the program then meets a closed pipe, as it would
/// without us.
fn pass(mut from: impl Read, mut to: File, keep: bool) -> Stream {
    let mut hasher = blake3::Hasher::new();
    let mut stream = Stream::default();
    let mut piece = vec![0; PIECE];
    loop {
        let count = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let read = &piece[..count];
        hasher.update(read);
        stream.bytes += count as u64;
        if keep {
            let room = KEPT_BYTES_MAX - stream.kept.len();
            stream.kept.extend_from_slice(&read[..count.min(room)]);
        }
        if to.write_all(read).is_err() {
            break;
        }
    }
    stream.digest = format!("blake3:{}", hasher.finalize().to_hex());
    stream
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_counted_digested_and_passed_on_as_it_is() {
        let bytes: Vec<u8> = (0..=255).cycle().take(200_000).collect();
        let mut file = tempfile::tempfile().unwrap();
        let stream = pass(&bytes[..], file.try_clone().unwrap(), true);
        let mut passed = Vec::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_end(&mut passed).unwrap();
        assert!(passed == bytes && stream.kept == bytes && !stream.is_cut());
        assert_eq!(stream.bytes, 200_000);
        assert_eq!(stream.digest, format!("blake3:{}", blake3::hash(&bytes).to_hex()));
    }
}
