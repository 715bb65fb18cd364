//! What a reply consists of behind its head: bytes, and spans of a file that another sends.

use std::rc::Rc;

use crate::http::range::Multipart;

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

/// What follows the first bytes of a reply. A file is an opaque `F`: the socket's owner sends it.
#[derive(Debug)]
pub enum Body<F> {
    /// Nothing: all of it is in the first bytes.
    Nothing,
    /// A span of a file.
    Span(FileSpan<F>),
    /// Several spans of a file, each with a frame before it.
    Parts(Box<Parts<F>>),
    /// Something that its owner makes piece by piece, when asked for it.
    Produced,
}

impl<F> Body<F> {
    /// Notes that `n` bytes of its file have gone out.
    pub(super) fn advance(&mut self, n: usize) {
        let span = match self {
            Self::Span(span) => span,
            Self::Parts(parts) => &mut parts.span,
            Self::Nothing | Self::Produced => return,
        };
        span.at += n as u64;
        span.len = span.len.saturating_sub(n as u64);
    }

    /// The bytes between two parts, once the part before them is out; behind the last one they are
    /// the end of the body.
    pub(super) fn next_frame(&mut self) -> Option<Vec<u8>> {
        let Self::Parts(parts) = self else {
            return None;
        };
        if parts.span.len > 0 {
            return None;
        }
        let mut frame = Vec::new();
        match parts.frames.frame(parts.next, &mut frame) {
            Some(span) => {
                parts.next += 1;
                (parts.span.at, parts.span.len) = (span.start, span.len());
            }
            None => *self = Self::Nothing,
        }
        Some(frame)
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

/// The parts of a file that are still to be sent (RFC 9110 §14.6).
#[derive(Debug)]
pub struct Parts<F> {
    pub(super) span: FileSpan<F>,
    frames: Multipart,
    next: usize,
}

impl<F> Parts<F> {
    /// All of them.
    pub fn new(file: F, frames: Multipart) -> Self {
        let (at, len) = (0, 0);
        Self {
            span: FileSpan { file, at, len },
            frames,
            next: 0,
        }
    }
}
