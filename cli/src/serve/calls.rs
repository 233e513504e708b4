//! `POST /v1/calls`: calls line by line, answers line by line, in their order and with bounded memory.

use crate::asked::{CALL_BYTES_MAX, too_large};
use crate::exit;
use crate::serve::body::Piece;
use crate::serve::call::{self, Asked};
use crate::serve::commit::Coming;
use crate::serve::http::stopping;
use crate::serve::{Peer, Server};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use vm_contracts::{Failure, Value};

/// Calls of one connection that are worked on at once.
const IN_FLIGHT: usize = 2_048;
/// Bytes of answers that wait for a slow reader before the next call is read.
const WAITING_BYTES: usize = 8 << 20;

/// A line that waits for its turn to be answered.
enum Waiting {
    /// It is being committed.
    Coming { number: u64, id: String, coming: Coming, _turn: OwnedSemaphorePermit },
    /// It is answered already.
    Told(Value),
}

/// Works through the lines of a body. Ends early when its reader is gone; what was begun stands.
pub(crate) async fn work(
    server: Arc<Server>,
    peer: Peer,
    mut body: Incoming,
    brief: bool,
    out: mpsc::UnboundedSender<Piece>,
) {
    let (waiting, answers) = mpsc::channel(IN_FLIGHT);
    let writer = tokio::spawn(tell(answers, out, brief));
    let turns = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut lines = Lines::default();
    let mut reader = Reader { server: &server, peer, turns, waiting, brief, number: 0 };
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = server.stops() => {
                reader.stop().await;
                break;
            }
        };
        let (piece, last) = match frame {
            Some(Ok(frame)) => (frame.into_data().unwrap_or_default(), false),
            Some(Err(_)) => break,
            None => (Bytes::new(), true),
        };
        for line in lines.push(&piece, last) {
            if !reader.take(line).await {
                return;
            }
        }
        if last {
            break;
        }
    }
    drop(reader);
    // It ends with the last answer, or with its reader.
    let _ = writer.await;
}

struct Reader<'a> {
    server: &'a Arc<Server>,
    peer: Peer,
    turns: Arc<Semaphore>,
    waiting: mpsc::Sender<Waiting>,
    brief: bool,
    number: u64,
}

impl Reader<'_> {
    /// Takes the next line; false when nobody wants its answer any more.
    async fn take(&mut self, line: Vec<u8>) -> bool {
        self.number += 1;
        let number = self.number;
        if line.trim_ascii().is_empty() {
            return true;
        }
        let read = match line.len() > CALL_BYTES_MAX {
            true => Err(too_large().into()),
            false => call::read(self.server, self.peer, &line),
        };
        let waiting = match read {
            Err(failure) => Waiting::Told(failed(number, None, &failure)),
            Ok(asked) if asked.is_record => {
                let turn = self.turns.clone().acquire_owned().await;
                let Ok(turn) = turn else { return false };
                let coming = self.server.commits.submit(asked.call);
                Waiting::Coming { number, id: asked.id, coming, _turn: turn }
            }
            Ok(asked) => Waiting::Told(self.effects(number, asked).await),
        };
        self.waiting.send(waiting).await.is_ok()
    }

    /// Says that no further line is taken.
    async fn stop(&mut self) {
        let told = failed(self.number + 1, None, &stopping());
        // A reader that is gone need not know.
        let _ = self.waiting.send(Waiting::Told(told)).await;
    }

    /// What is no record begins once everything before it is answered, and ends before the next is read.
    async fn effects(&self, number: u64, asked: Asked) -> Value {
        let all = u32::try_from(IN_FLIGHT).expect("it is small");
        let _all = self.turns.acquire_many(all).await;
        let id = asked.id.clone();
        match call::effects(self.server, asked).await {
            Ok(told) if self.brief => {
                serde_json::json!({"line": number, "id": id, "aborted": told.is_aborted})
            }
            Ok(told) => serde_json::json!({"line": number, "answer": told.answer}),
            Err(failure) => failed(number, Some(&id), &failure),
        }
    }
}

fn failed(number: u64, id: Option<&str>, failure: &Failure) -> Value {
    serde_json::json!({"line": number, "id": id, "error": exit::to_json(failure)})
}

/// Tells the answers in the order of the lines.
async fn tell(
    mut answers: mpsc::Receiver<Waiting>,
    out: mpsc::UnboundedSender<Piece>,
    brief: bool,
) {
    let room = Arc::new(Semaphore::new(WAITING_BYTES));
    while let Some(waiting) = answers.recv().await {
        let told = match waiting {
            Waiting::Told(told) => told,
            Waiting::Coming { number, id, coming, _turn } => {
                let answer = coming.answer().await;
                let told = answer.and_then(|answer| call::line(number, &id, &answer, brief));
                told.unwrap_or_else(|failure| failed(number, Some(&id), &failure))
            }
        };
        let bytes = Bytes::from(format!("{told}\n"));
        let takes = u32::try_from(bytes.len().min(WAITING_BYTES)).expect("the room is small");
        let Ok(room) = room.clone().acquire_many_owned(takes).await else { return };
        if out.send(Piece { bytes, room: Some(room) }).is_err() {
            return;
        }
    }
}

/// Lines out of pieces. Of a line that is too long only the beginning is kept, which is enough to refuse it.
#[derive(Default)]
struct Lines {
    part: Vec<u8>,
}

impl Lines {
    fn push(&mut self, piece: &[u8], last: bool) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        let mut parts = piece.split(|b| *b == b'\n').peekable();
        while let Some(part) = parts.next() {
            let room = (CALL_BYTES_MAX + 1).saturating_sub(self.part.len());
            self.part.extend_from_slice(&part[..part.len().min(room)]);
            if parts.peek().is_some() {
                whole.push(std::mem::take(&mut self.part));
            }
        }
        if last && !self.part.is_empty() {
            whole.push(std::mem::take(&mut self.part));
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let text = b"one\n\ntwo\nthree";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            let mut found: Vec<Vec<u8>> =
                text.chunks(size).flat_map(|piece| lines.push(piece, false)).collect();
            found.extend(lines.push(b"", true));
            assert_eq!(found, [b"one".to_vec(), vec![], b"two".to_vec(), b"three".to_vec()]);
        }
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_than_its_limit() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; 1 << 20];
        (0..16).for_each(|_| assert!(lines.push(&piece, false).is_empty()));
        assert_eq!(lines.part.len(), CALL_BYTES_MAX + 1);
    }
}
