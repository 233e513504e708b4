//! Bodies of answers: whole, or in pieces as they come.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// A piece of a body, with the room it takes until it is on its way.
pub(crate) struct Piece {
    pub bytes: Bytes,
    pub room: Option<OwnedSemaphorePermit>,
}

impl Piece {
    /// The bytes, on their way: what waits for room may follow.
    fn go(self) -> Bytes {
        drop(self.room);
        self.bytes
    }
}

/// The body of an answer.
pub(crate) struct Reply {
    content: Content,
    /// Held until the body is gone: as long as it is, its connection is in the middle of something.
    busy: Option<Arc<()>>,
}

enum Content {
    Whole(Option<Bytes>),
    Pieces(mpsc::UnboundedReceiver<Piece>),
}

impl Reply {
    pub fn whole(bytes: Bytes) -> Self {
        Self { content: Content::Whole(Some(bytes)), busy: None }
    }

    pub fn pieces(pieces: mpsc::UnboundedReceiver<Piece>) -> Self {
        Self { content: Content::Pieces(pieces), busy: None }
    }

    pub fn keep(&mut self, busy: Arc<()>) {
        self.busy = Some(busy);
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.content {
            Content::Whole(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Content::Pieces(pieces) => {
                pieces.poll_recv(context).map(|p| p.map(|piece| Ok(Frame::data(piece.go()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Content::Pieces(_) => SizeHint::default(),
        }
    }
}
