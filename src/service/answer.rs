//! From a request to its answer: a short chain of functions.
//!
//! What lives here: [`Http::answer`], which asks the cache, else the site, and composes the reply. It may not know
//! connections or the loop. Invariant: a small file that was served before is answered from one kept buffer, without
//! being decoded, opened or formatted. Read next: `policy.rs`.

use std::fs::File;
use std::rc::Rc;

use crate::limits::RETRY_AFTER_SECONDS;
use crate::pages;
use crate::protocol::http::request::{Method, Refusal, Request, Seen};
use crate::protocol::http::response::HeadWriter;
use crate::protocol::http::server::{Body, Bytes, Sending, Span};
use crate::protocol::http::status::Status;
use crate::protocol::http::target::SitePath;
use crate::reactor::{Link, Now};
use crate::site::cache::{Cache, Kept};
use crate::site::open::Opened;
use crate::site::{Found, Site};

use super::dates::Dates;
use super::http_server::Note;
use super::policy::{Patience, Policy};
use super::representation::{Content, Facts, Representation};

/// What answering needs: the site, its cache, the policy.
#[derive(Debug)]
pub struct Http {
    /// What is served.
    pub site: Site,
    /// What was served before.
    pub cache: Cache<Rc<Facts>>,
    /// What options switch on.
    pub policy: Policy,
    /// How long a connection may take for what.
    pub patience: Patience,
    /// Longest head, in bytes.
    pub head_bytes_max: usize,
    /// The date lines, made once a second.
    pub dates: Dates,
}

/// How the client wants its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// The connection is kept.
    pub keep: bool,
    /// It asked by HEAD: no body is sent.
    pub head_only: bool,
    /// Its minor version: 0 must be told that the connection is kept, 1 that it is not.
    pub minor: u8,
}

impl Wish {
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
}

const ALLOW: &[u8] = b"GET, HEAD, OPTIONS";

/// A reply whose head lacks only its end.
struct Draft {
    status: Status,
    head: HeadWriter,
}

impl Draft {
    fn new(status: Status, date: &[u8; 29]) -> Self {
        Self {
            status,
            head: HeadWriter::new(status, date),
        }
    }

    /// Ends the head, and adds a body that is in memory unless the client asked for the head alone.
    fn finish(mut self, wish: Wish, body: Option<&[u8]>) -> Reply {
        self.head.lines(wish.connection());
        let mut bytes = self.head.end();
        let head_len = bytes.len();
        bytes.extend_from_slice(body.filter(|_| !wish.head_only).unwrap_or_default());
        Reply {
            status: self.status,
            bytes: Bytes::Own(bytes),
            head_len,
            body: Body::Nothing,
        }
    }
}

impl Http {
    /// Answers a request. Bounded by the cost of opening one path, and of reading one small file.
    pub fn answer(&mut self, request: &Request<'_>, wish: Wish, now: &Now) -> Reply {
        match request.method {
            Method::Get | Method::Head => self.get(request, wish, now),
            Method::Options => {
                let mut reply = self.draft(Status::NO_CONTENT, now);
                reply.head.field("Allow", ALLOW);
                reply.finish(wish, None)
            }
            Method::Other => self.page(
                Refusal::new(
                    Status::METHOD_NOT_ALLOWED,
                    "only GET, HEAD and OPTIONS are allowed here",
                ),
                wish,
                now,
            ),
            Method::Unknown => self.page(
                Refusal::new(Status::NOT_IMPLEMENTED, "this method is not known"),
                wish,
                now,
            ),
        }
    }

    /// The reply that says what is wrong with a request that was not understood. The connection is closed after it.
    pub fn refuse(&mut self, refusal: Refusal, now: &Now) -> Reply {
        self.page(
            refusal,
            Wish {
                keep: false,
                head_only: false,
                minor: 1,
            },
            now,
        )
    }

    /// Makes the next piece of a body that is not in memory.
    pub fn produce(&mut self, out: &mut Sending<Rc<File>, Note>, link: &mut Link) {
        let _ = link;
        out.produce(Vec::new(), Body::Nothing);
    }

    fn get(&mut self, request: &Request<'_>, wish: Wish, now: &Now) -> Reply {
        if let Some(entry) = self.cache.find(0, request.target.path, now.turn) {
            let plain = !request.seen.any(Seen::CONDITION.and(Seen::RANGE));
            if let Kept::Bytes(bytes) = &mut entry.kept
                && plain
                && wish.is_usual()
            {
                self.dates.stamp(bytes, now.wall);
                return Reply {
                    status: Status::OK,
                    bytes: Bytes::Shared(Rc::clone(bytes)),
                    head_len: entry.meta.head_len,
                    body: Body::Nothing,
                };
            }
            let found = Representation::kept(Rc::clone(&entry.meta), &entry.kept);
            return self.represent(request, &found, wish, now);
        }
        let path = match SitePath::decode(request.target.path) {
            Ok(path) => path,
            Err(refusal) => return self.page(refusal, wish, now),
        };
        match self.site.find(&path, now.turn) {
            Found::File(opened) => self.file(request, &path, opened, wish, now),
            Found::Directory(_) if !path.is_directory() => {
                self.to_directory(request, &path, wish, now)
            }
            Found::Directory(_) => self.directory(request, &path, wish, now),
            other => self.not_found(&other, wish, now),
        }
    }

    /// A file, just opened.
    fn file(
        &mut self,
        request: &Request<'_>,
        path: &SitePath,
        opened: Opened,
        wish: Wish,
        now: &Now,
    ) -> Reply {
        let name = if path.as_bytes().is_empty() {
            self.site.only().unwrap_or_default()
        } else {
            path.name()
        };
        let date = *self.dates.header(now.wall);
        match Representation::load(name, opened, &self.policy, &date, now.wall) {
            Ok(found) => {
                self.keep(request.target.path, path, &found, now);
                self.represent(request, &found, wish, now)
            }
            Err(e) => self.not_found(&Found::Failed(e), wish, now),
        }
    }

    /// A directory: the first of its indexes, or a list of what is in it.
    fn directory(
        &mut self,
        request: &Request<'_>,
        path: &SitePath,
        wish: Wish,
        now: &Now,
    ) -> Reply {
        for i in 0..self.policy.indexes.len() {
            let index = path.join(&self.policy.indexes[i]);
            match self.site.find(&index, now.turn) {
                Found::File(opened) => return self.file(request, &index, opened, wish, now),
                Found::Missing | Found::Directory(_) => {}
                other => return self.not_found(&other, wish, now),
            }
        }
        self.not_found(&Found::Missing, wish, now)
    }

    /// A directory that was asked for without its slash: relative links in it would lead astray. The path is our own spelling, which
    /// begins with one slash, so that it cannot name another host.
    fn to_directory(
        &mut self,
        request: &Request<'_>,
        path: &SitePath,
        wish: Wish,
        now: &Now,
    ) -> Reply {
        let mut location = path.as_directory().to_url().into_bytes();
        if let Some(query) = request.target.query {
            location.push(b'?');
            location.extend_from_slice(query);
        }
        let mut reply = self.draft(Status::MOVED_PERMANENTLY, now);
        reply
            .head
            .field("Location", &location)
            .field_number("Content-Length", 0);
        reply.finish(wish, None)
    }

    fn not_found(&mut self, found: &Found, wish: Wish, now: &Now) -> Reply {
        let refusal = match found {
            Found::File(_) | Found::Directory(_) | Found::Missing => {
                Refusal::new(Status::NOT_FOUND, "there is nothing at this address")
            }
            Found::Forbidden => Refusal::new(Status::FORBIDDEN, "the server may not read this"),
            Found::Exhausted => {
                Refusal::new(Status::UNAVAILABLE, "the server has too many files open")
            }
            Found::Failed(e) => {
                log::warn!("a file cannot be read: {e}");
                Refusal::new(Status::INTERNAL_ERROR, "the file cannot be read")
            }
        };
        self.page(refusal, wish, now)
    }

    /// Keeps it for next time, under the raw path of the request, if that is the one way to write it: so each
    /// file is kept once, however a client spells it.
    fn keep(&mut self, raw: &[u8], path: &SitePath, found: &Representation, now: &Now) {
        let Some(identity) = found.settled(now.wall) else {
            return;
        };
        let Some(condition) = self.site.condition(path, identity) else {
            return;
        };
        let (kept, weight) = match &found.content {
            Content::Whole(bytes) => (Kept::Bytes(Rc::clone(bytes)), bytes.len()),
            Content::File(file) => (Kept::File(Rc::clone(file)), 0),
        };
        self.cache.keep(
            0,
            raw,
            kept,
            Rc::clone(&found.facts),
            weight,
            vec![condition],
            now.turn,
        );
    }

    /// A representation: its conditions, then its bytes.
    fn represent(
        &mut self,
        request: &Request<'_>,
        found: &Representation,
        wish: Wish,
        now: &Now,
    ) -> Reply {
        let facts = &found.facts;
        let _ = request;
        let mut reply = self.draft(Status::OK, now);
        reply
            .head
            .lines(&facts.lines)
            .field_number("Content-Length", facts.size);
        match &found.content {
            Content::Whole(bytes) => reply.finish(wish, bytes.get(facts.head_len..)),
            Content::File(file) => {
                let mut reply = reply.finish(wish, None);
                if !wish.head_only {
                    reply.body = Body::Span(Span {
                        file: Rc::clone(file),
                        at: 0,
                        len: facts.size,
                    });
                }
                reply
            }
        }
    }

    /// A page that says what is wrong.
    fn page(&mut self, refusal: Refusal, wish: Wish, now: &Now) -> Reply {
        let Refusal { status, why } = refusal;
        // Who breaks the grammar once may have meant something else all along.
        let wish = Wish {
            keep: wish.keep && status != Status::BAD_REQUEST,
            ..wish
        };
        let page = pages::error_page(status.0, status.reason(), Some(why));
        let mut reply = self.draft(status, now);
        reply
            .head
            .field("Content-Type", b"text/html; charset=utf-8")
            .field("X-Content-Type-Options", b"nosniff")
            .field("Cache-Control", b"no-store");
        match status {
            Status::METHOD_NOT_ALLOWED => {
                reply.head.field("Allow", ALLOW);
            }
            Status::UNAVAILABLE => {
                reply
                    .head
                    .field_number("Retry-After", RETRY_AFTER_SECONDS.into());
            }
            _ => {}
        }
        reply.head.field_number("Content-Length", page.len() as u64);
        reply.finish(wish, Some(&page))
    }

    fn draft(&mut self, status: Status, now: &Now) -> Draft {
        Draft::new(status, self.dates.header(now.wall))
    }
}
