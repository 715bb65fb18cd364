//! A reply in the making: its head, its page, how the client wants it.
//!
//! What lives here: [`Reply`], and [`Draft`], from which it is made. It may not know files or conditions.
//! Invariant: what the head says about the connection is what happens to it. Read next: `answer.rs`.

use std::fs::File;
use std::rc::Rc;

use crate::http::response::HeadWriter;
use crate::http::state::{Body, Bytes};
use crate::http::status::Status;
use crate::pages;

use crate::server::listing::ListingBody;

/// How the client wants its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResponseOptions {
    /// The connection is kept.
    pub keep: bool,
    /// It asked by HEAD: no body is sent.
    pub head_only: bool,
    /// Its minor version: 0 must be told that the connection is kept, 1 that it is not.
    pub minor: u8,
}

impl ResponseOptions {
    /// Of a client that was not understood.
    pub const UNKNOWN: Self = Self {
        keep: false,
        head_only: false,
        minor: 1,
    };

    /// The `Connection` field, where it must be said (RFC 9112 §9.3).
    fn connection(self) -> &'static [u8] {
        match (self.keep, self.minor) {
            (true, 0) => b"Connection: keep-alive\r\n",
            (true, _) => b"",
            (false, _) => b"Connection: close\r\n",
        }
    }

    /// Whether a kept reply can be sent as it is.
    fn is_usual(self) -> bool {
        self.keep && self.minor > 0 && !self.head_only
    }
}

/// A reply, ready to be sent.
#[derive(Debug)]
pub struct Reply {
    /// For the log and the counters.
    pub status: Status,
    /// The head, and the body as far as it is in memory.
    pub bytes: Bytes,
    /// How much of that is the head.
    pub head_len: usize,
    /// What follows.
    pub body: Body<Rc<File>>,
    /// Whether the connection is kept after it: what its head says.
    pub keep: bool,
    /// What makes a body that is [`Body::Produced`].
    pub listing: Option<Box<ListingBody>>,
}

impl Reply {
    /// From a whole reply with status 200 that was made for a client of HTTP/1.1 that keeps its connection. Such a one gets it as
    /// it is, any other a copy of what it wants, with what it must be told at the end of the head.
    pub fn of_kept(whole: &Rc<[u8]>, head_len: usize, wish: ResponseOptions) -> Self {
        let kept = Self {
            status: Status::OK,
            bytes: Bytes::Shared(Rc::clone(whole)),
            head_len,
            body: Body::Nothing,
            keep: wish.keep,
            listing: None,
        };
        if wish.is_usual() {
            return kept;
        }
        let (head, body) = whole.split_at_checked(head_len).unwrap_or_default();
        let fields = head.strip_suffix(b"\r\n").unwrap_or(head);
        let told = wish.connection();
        let body = if wish.head_only { b"" } else { body };
        let parts = [fields, told, b"\r\n", body];
        Self {
            bytes: Bytes::Own(parts.concat()),
            head_len: head_len + told.len(),
            ..kept
        }
    }
}

/// A reply whose head lacks its last fields.
#[derive(Debug)]
pub struct Draft {
    /// Its status.
    pub status: Status,
    /// Its head so far.
    pub head: HeadWriter,
}

impl Draft {
    /// Begins a reply.
    pub fn new(status: Status, date: &[u8; 29]) -> Self {
        Self {
            status,
            head: HeadWriter::new(status, date),
        }
    }

    /// Ends the head, and adds a body that is in memory unless the client asked for the head alone.
    pub fn finish(mut self, wish: ResponseOptions, body: Option<&[u8]>) -> Reply {
        self.head.lines(wish.connection());
        let mut bytes = self.head.end();
        let head_len = bytes.len();
        bytes.extend_from_slice(body.filter(|_| !wish.head_only).unwrap_or_default());
        Reply {
            status: self.status,
            bytes: Bytes::Own(bytes),
            head_len,
            body: Body::Nothing,
            keep: wish.keep,
            listing: None,
        }
    }

    /// Ends the head of a reply whose body is not in memory. Of a client that asked for the head alone it gets none.
    pub fn finish_with(self, wish: ResponseOptions, body: Body<Rc<File>>) -> Reply {
        let reply = self.finish(wish, None);
        if wish.head_only {
            reply
        } else {
            Reply { body, ..reply }
        }
    }

    /// Ends a reply with a page of our own. `extra` are the lines that the options add.
    pub fn finish_page(
        mut self,
        detail: Option<&str>,
        extra: &[u8],
        wish: ResponseOptions,
    ) -> Reply {
        let page = pages::error_page(self.status.0, self.status.reason(), detail);
        self.head.field("Content-Type", pages::HTML_TYPE.as_bytes());
        self.self_made(extra);
        self.head.field_number("Content-Length", page.len() as u64);
        self.finish(wish, Some(&page))
    }

    /// What is said of everything that idler makes itself.
    pub fn self_made(&mut self, extra: &[u8]) {
        self.head.field("X-Content-Type-Options", b"nosniff");
        self.head.field(
            "Content-Security-Policy",
            pages::CONTENT_SECURITY_POLICY.as_bytes(),
        );
        self.head.lines(extra);
    }
}
