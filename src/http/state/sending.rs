//! A reply on its way.
//!
//! What lives here: what is to be sent next, and how far it has come. A file is an opaque `F` that somebody else
//! sends. Invariant: a reply is complete when all that its head promised has gone out. Read next: `crate::server::connection`.

use std::rc::Rc;

use crate::http::multipart::Multipart;

use super::Reading;

/// Bytes to be sent: shared with the cache, or made for this reply.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// Kept elsewhere too.
    Shared(Rc<[u8]>),
    /// Made for this reply.
    Own(Vec<u8>),
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// A span of a file.
#[derive(Debug)]
pub struct FileSpan<F> {
    /// The file.
    pub file: F,
    /// Where the span begins.
    pub at: u64,
    /// How long it is, in bytes.
    pub len: u64,
}

impl<F> FileSpan<F> {
    fn moved(&mut self, n: usize) {
        self.at += n as u64;
        self.len = self.len.saturating_sub(n as u64);
    }
}

/// What follows the first bytes of a reply.
#[derive(Debug)]
pub enum Body<F> {
    /// Nothing: all of it is in the first bytes.
    Nothing,
    /// A span of a file.
    Span(FileSpan<F>),
    /// Several spans of a file, each with a frame before it.
    Parts(Box<Parts<F>>),
    /// Something whose owner makes it piece by piece, when asked ([`Output::Produce`]).
    Produced,
}

/// The parts of a file that are still to be sent (RFC 9110 §14.6).
#[derive(Debug)]
pub struct Parts<F> {
    span: FileSpan<F>,
    frames: Multipart,
    next: usize,
}

impl<F> Parts<F> {
    /// All of them.
    pub fn new(file: F, frames: Multipart) -> Self {
        Self {
            span: FileSpan {
                file,
                at: 0,
                len: 0,
            },
            frames,
            next: 0,
        }
    }

    /// Goes on to the next part: its frame. After the last one it is the end of the body, and false.
    fn advance(&mut self, frame: &mut Vec<u8>) -> bool {
        let Some(span) = self.frames.frame(self.next, frame) else {
            return false;
        };
        self.next += 1;
        self.span.at = span.start;
        self.span.len = span.len();
        true
    }
}

/// What is to be sent next.
#[derive(Debug)]
pub enum Output<'a, F> {
    /// Bytes; `more` follow at once.
    Bytes(&'a [u8], bool),
    /// Bytes of a file, from this offset, this many.
    Span(&'a F, u64, u64),
    /// The owner must make the next piece ([`Sending::produce`]).
    Produce,
    /// Nothing: the reply is complete.
    Done,
}

/// A reply on its way.
#[derive(Debug)]
pub struct Sending<F, N> {
    bytes: Bytes,
    at: usize,
    head_len: usize,
    body: Body<F>,
    sent: u64,
    /// What came behind the request; `None` once the connection is not to be kept.
    rest: Option<Reading>,
    /// What the owner notes down.
    pub note: N,
}

/// What a reply that has gone out whole leads to.
#[derive(Debug)]
pub enum After {
    /// The connection is kept: hear what came behind the request, then wait for more.
    Keep(Reading),
    /// It is not.
    Close,
}

impl<F, N> Sending<F, N> {
    /// A reply whose head is the first `head_len` of `bytes`. `rest` is what to hear afterwards if the connection is kept.
    pub fn new(
        bytes: Bytes,
        head_len: usize,
        body: Body<F>,
        rest: Option<Reading>,
        note: N,
    ) -> Self {
        Self {
            bytes,
            at: 0,
            head_len,
            body,
            sent: 0,
            rest,
            note,
        }
    }

    /// What is to be sent next. It does no work.
    pub fn output(&self) -> Output<'_, F> {
        let bytes = self.bytes.as_ref().get(self.at..).unwrap_or_default();
        if !bytes.is_empty() {
            return Output::Bytes(bytes, !matches!(self.body, Body::Nothing));
        }
        match &self.body {
            Body::Nothing => Output::Done,
            Body::Span(span) if span.len == 0 => Output::Done,
            Body::Span(span) => Output::Span(&span.file, span.at, span.len),
            Body::Parts(parts) => Output::Span(&parts.span.file, parts.span.at, parts.span.len),
            Body::Produced => Output::Produce,
        }
    }

    /// Told that `n` bytes of that have gone out.
    pub fn moved(&mut self, n: usize) {
        self.sent += n as u64;
        if self.at < self.bytes.as_ref().len() {
            self.at += n;
        } else if let Body::Span(span) = &mut self.body {
            span.moved(n);
        } else if let Body::Parts(parts) = &mut self.body {
            parts.span.moved(n);
        }
        self.frame_next_part();
    }

    /// When a part is out, its successor's frame takes the place of the bytes that have gone.
    fn frame_next_part(&mut self) {
        let Body::Parts(parts) = &mut self.body else {
            return;
        };
        if parts.span.len > 0 || self.at < self.bytes.as_ref().len() {
            return;
        }
        let mut frame = Vec::new();
        if !parts.advance(&mut frame) {
            self.body = Body::Nothing;
        }
        self.bytes = Bytes::Own(frame);
        self.at = 0;
    }

    /// Gives the next piece of a body that is [`Body::Produced`], and what follows it.
    pub fn produce(&mut self, piece: Vec<u8>, then: Body<F>) {
        self.bytes = Bytes::Own(piece);
        self.at = 0;
        self.body = then;
    }

    /// Whether the head has gone out whole.
    pub fn head_is_out(&self) -> bool {
        self.sent >= self.head_len as u64
    }

    /// Bytes of the body that have gone out, for the log.
    pub fn body_sent(&self) -> u64 {
        self.sent.saturating_sub(self.head_len as u64)
    }

    /// Bytes of memory that it holds, those shared with the cache excepted.
    #[cfg(any(test, feature = "fuzz"))]
    pub fn memory(&self) -> usize {
        let own = match &self.bytes {
            Bytes::Shared(_) => 0,
            Bytes::Own(bytes) => bytes.capacity(),
        };
        size_of::<Self>() + own + self.rest.as_ref().map_or(0, Reading::memory)
    }

    /// Withdraws the offer to keep the connection.
    pub fn withdraw_reuse(&mut self) {
        self.rest = None;
    }

    /// The reply is complete: what the owner noted, and what follows.
    pub fn finish(self) -> (N, After) {
        (self.note, self.rest.map_or(After::Close, After::Keep))
    }
}
