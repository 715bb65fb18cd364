//! From an outcome to the bytes of its reply. Every head is written here, but that which the cache
//! keeps in front of a small file.
//!
//! What a head says about the connection is what happens to it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use crate::event_loop::Now;
use crate::http::payload::{Body, Bytes, FileSpan, Parts};
use crate::http::range::{Multipart, Span, write_unsatisfied_range};
use crate::http::request::Request;
use crate::http::response::HeadWriter;
use crate::http::status::{Refusal, Status};
use crate::limits::{PREFLIGHT_SECONDS, RETRY_AFTER_SECONDS};
use crate::pages;

use crate::server::answer::{DirectoryList, Outcome, Part};
use crate::server::clients::Client;
use crate::server::listing::ListingBody;
use crate::server::policy::Policy;
use crate::server::representation::{Content, FileMeta, Representation};
use crate::server::shared::{Http, Server};
use crate::server::sites::DEFAULT_SITE;

/// The methods that are answered.
const ALLOW: &[u8] = b"GET, HEAD, OPTIONS";

/// How the client wants its reply.
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
    /// The `Connection` field, where it must be said (RFC 9112 §9.3).
    fn connection(self) -> &'static [u8] {
        match (self.keep, self.minor) {
            (true, 0) => b"Connection: keep-alive\r\n",
            (true, _) => b"",
            (false, _) => b"Connection: close\r\n",
        }
    }
}

/// A reply, ready to be sent.
#[derive(Debug)]
pub struct Response {
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

/// What a reply depends on beside its outcome.
#[derive(Debug)]
struct ReplyContext<'a> {
    /// How the client wants it.
    pub options: ResponseOptions,
    /// The present second.
    pub date: &'a [u8; 29],
    /// What options add to heads.
    pub policy: &'a Policy,
}

impl Server {
    /// Answers a request: decides, then writes. See [`Server::resolve`] for `client` and `peer`.
    pub fn answer(
        &mut self,
        request: &Request<'_>,
        options: ResponseOptions,
        client: Option<Client>,
        peer: &dyn Fn() -> Client,
        now: &Now,
    ) -> Response {
        let outcome = self.resolve(request, client, peer, now, &mut |_, _| ());
        self.http.respond(outcome, options, now)
    }
}

impl Http {
    /// The reply that says what is wrong with a request that was not understood. The connection is
    /// closed after it. `head_only`: so much was understood that it began with HEAD, and no body
    /// may follow (RFC 9110 §9.3.2).
    pub fn refuse(&mut self, refusal: Refusal, head_only: bool, now: &Now) -> Response {
        let options = ResponseOptions {
            keep: false,
            head_only,
            minor: 1,
        };
        let outcome = self.error(DEFAULT_SITE, refusal, now);
        self.respond(outcome, options, now)
    }

    /// Makes the next piece of a listing, and says whether it is the last; `None` if it is the turn
    /// of others. To be called once a drive.
    ///
    /// # Errors
    /// If the directory cannot be read any more, or all listings together hold too much.
    pub fn next_piece(
        &mut self,
        listing: &mut ListingBody,
        now: &Now,
    ) -> io::Result<Option<(Vec<u8>, bool)>> {
        if !self.listings.may_step(now.turn) {
            return Ok(None);
        }
        let site = &mut self.sites[listing.site()].site;
        let made = listing.step(site, now.turn)?;
        self.listings.account(listing)?;
        Ok(Some(made))
    }

    /// See [`respond`].
    pub(crate) fn respond(
        &mut self,
        outcome: Outcome,
        options: ResponseOptions,
        now: &Now,
    ) -> Response {
        let context = ReplyContext {
            options,
            date: self.dates.header(now.wall),
            policy: &self.policy,
        };
        respond(outcome, &context)
    }
}

/// Writes the reply that an outcome comes to.
fn respond(outcome: Outcome, context: &ReplyContext<'_>) -> Response {
    match outcome {
        Outcome::Kept { reply, head_len } => context.kept(reply, head_len),
        Outcome::File { file, part } => context.file(&file, part),
        Outcome::Directory(list) => context.directory(*list),
        Outcome::Redirect {
            status,
            location,
            why,
        } => {
            let mut head = context.head(status);
            head.field("Location", &location);
            context.own_page(status, head, why)
        }
        Outcome::Error {
            status,
            why,
            page,
            file,
        } => context.error(status, why, page.as_ref(), file.as_deref()),
        Outcome::Text {
            status,
            media_type,
            body,
        } => {
            let mut head = context.head(status);
            head.field("Content-Type", media_type.as_bytes())
                .field("X-Content-Type-Options", b"nosniff")
                .field("Cache-Control", b"no-store")
                .field_number("Content-Length", body.len() as u64);
            context.finish(status, head, Some(&body))
        }
        Outcome::Methods { preflight } => {
            let mut head = context.head(Status::NO_CONTENT);
            head.field("Allow", ALLOW);
            if preflight {
                // What a browser asks before it lets a script of another site send what a plain
                // link would not (Fetch standard, CORS protocol). Nothing here depends on cookies,
                // so that every site may read it.
                head.field("Access-Control-Allow-Origin", b"*")
                    .field("Access-Control-Allow-Methods", ALLOW)
                    // A star does not stand for Authorization.
                    .field("Access-Control-Allow-Headers", b"*, Authorization")
                    .field_number("Access-Control-Max-Age", PREFLIGHT_SECONDS.into());
            }
            context.finish(Status::NO_CONTENT, head, None)
        }
    }
}

/// The 503 of a server without a slot for the connection, and without memory for a page.
pub fn busy() -> String {
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nServer: idler\r\nRetry-After: {RETRY_AFTER_SECONDS}\r\n\
         Content-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nbusy\n"
    )
}

impl ReplyContext<'_> {
    /// A whole reply with status 200 that was made for a client of HTTP/1.1 that keeps its
    /// connection. Such a one gets it as it is, any other a copy of what it wants, with what it
    /// must be told at the end of the head.
    fn kept(&self, reply: Rc<[u8]>, head_len: usize) -> Response {
        let ResponseOptions {
            keep,
            head_only,
            minor,
        } = self.options;
        let (bytes, head_len) = if keep && minor > 0 && !head_only {
            (Bytes::Shared(reply), head_len)
        } else {
            let (head, body) = reply.split_at_checked(head_len).unwrap_or_default();
            let fields = head.strip_suffix(b"\r\n").unwrap_or(head);
            let connection = self.options.connection();
            let body = if head_only { b"" } else { body };
            let parts = [fields, connection, b"\r\n", body];
            (Bytes::Own(parts.concat()), head_len + connection.len())
        };
        Response {
            status: Status::OK,
            bytes,
            head_len,
            body: Body::Nothing,
            keep,
            listing: None,
        }
    }

    fn file(&self, file: &Representation, part: Part) -> Response {
        let meta = &file.meta;
        match part {
            Part::Whole => {
                let head = meta.head(Status::OK, self.date);
                self.bytes_of(Status::OK, head, file, 0..meta.size)
            }
            Part::NotModified => {
                let mut head = self.head(Status::NOT_MODIFIED);
                head.lines(&meta.validator_lines);
                self.finish(Status::NOT_MODIFIED, head, None)
            }
            // RFC 9110 §15.3.7.1.
            Part::One(span) => {
                let mut range = Vec::new();
                span.write_content_range(meta.size, &mut range);
                let mut head = self.head(Status::PARTIAL_CONTENT);
                head.field("Content-Type", meta.content_type.as_bytes())
                    .lines(&meta.lines)
                    .field("Content-Range", &range)
                    .field_number("Content-Length", span.len());
                self.bytes_of(Status::PARTIAL_CONTENT, head, file, span.start..span.end)
            }
            Part::Several(multipart) => self.parts(file, *multipart),
        }
    }

    /// 206 with several parts (RFC 9110 §15.3.7.2).
    fn parts(&self, file: &Representation, multipart: Multipart) -> Response {
        let status = Status::PARTIAL_CONTENT;
        let mut content_type = Vec::new();
        multipart.write_content_type(&mut content_type);
        let mut head = self.head(status);
        head.field("Content-Type", &content_type)
            .lines(&file.meta.lines)
            .field_number("Content-Length", multipart.body_bytes());
        match &file.content {
            Content::Whole(whole) => {
                let mut body = Vec::new();
                let mut part = 0;
                while let Some(Span { start, end }) = multipart.frame(part, &mut body) {
                    body.extend_from_slice(slice(whole, &file.meta, &(start..end)));
                    part += 1;
                }
                self.finish(status, head, Some(&body))
            }
            Content::File(file) => {
                let parts = Box::new(Parts::new(Rc::clone(file), multipart));
                self.finish_with(status, head, Body::Parts(parts))
            }
        }
    }

    fn directory(&self, list: DirectoryList) -> Response {
        // Without chunks the end of the listing is the end of the connection.
        let chunked = self.options.minor > 0;
        let keep = self.options.keep && chunked;
        let context = ReplyContext {
            options: ResponseOptions {
                keep,
                ..self.options
            },
            ..*self
        };
        let status = if list.not_modified {
            Status::NOT_MODIFIED
        } else {
            Status::OK
        };
        let mut head = context.head(status);
        if !list.not_modified {
            let media_type = if list.query.json {
                pages::JSON_TYPE
            } else {
                pages::HTML_TYPE
            };
            head.field("Content-Type", media_type.as_bytes());
        }
        if list.negotiated {
            head.field("Vary", b"Accept");
        }
        let mut path = list.path.as_bytes().to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        own_fields(&mut head, &self.policy.made_lines(&path));
        if list.not_modified {
            return context.finish(status, head, None);
        }
        if chunked {
            head.field("Transfer-Encoding", b"chunked");
        }
        let mut response = context.finish_with(status, head, Body::Produced);
        if !context.options.head_only {
            response.listing = Some(ListingBody::new(
                list.directory,
                &list.path,
                list.site,
                list.query,
                list.shows_hidden,
                chunked,
            ));
        }
        response
    }

    /// A reply that says what is wrong, with the page that the site has for it, else with one of
    /// our own.
    fn error(
        &self,
        status: Status,
        why: &str,
        page: Option<&Representation>,
        file: Option<&FileMeta>,
    ) -> Response {
        // A client that breaks the grammar once may have meant something else all along.
        let keep = self.options.keep && status != Status::BAD_REQUEST;
        let context = ReplyContext {
            options: ResponseOptions {
                keep,
                ..self.options
            },
            ..*self
        };
        let mut head = context.head(status);
        match status {
            Status::UNAUTHORIZED => {
                let challenge = b"Basic realm=\"idler\", charset=\"UTF-8\"";
                head.field("WWW-Authenticate", challenge);
            }
            Status::METHOD_NOT_ALLOWED => {
                head.field("Allow", ALLOW);
            }
            Status::TOO_MANY_REQUESTS | Status::UNAVAILABLE => {
                head.field_number("Retry-After", RETRY_AFTER_SECONDS.into());
            }
            _ => {}
        }
        if let Some(file) = file {
            if status == Status::RANGE_NOT_SATISFIABLE {
                let mut range = Vec::new();
                write_unsatisfied_range(file.size, &mut range);
                head.field("Content-Range", &range);
            }
            head.lines(file.vary());
        }
        let Some(page) = page else {
            return context.own_page(status, head, Some(why));
        };
        let meta = &page.meta;
        head.field("Content-Type", meta.content_type.as_bytes())
            .field("X-Content-Type-Options", b"nosniff")
            .lines(&self.policy.extra_lines)
            .field_number("Content-Length", meta.size);
        context.bytes_of(status, head, page, 0..meta.size)
    }

    fn head(&self, status: Status) -> HeadWriter {
        HeadWriter::new(status, self.date)
    }

    /// Ends a reply with a page of our own.
    fn own_page(&self, status: Status, mut head: HeadWriter, detail: Option<&str>) -> Response {
        let page = pages::error_page(status.0, status.reason(), detail);
        head.field("Content-Type", pages::HTML_TYPE.as_bytes());
        own_fields(&mut head, &self.policy.extra_lines);
        head.field_number("Content-Length", page.len() as u64);
        self.finish(status, head, Some(&page))
    }

    /// Ends a reply with some of a file's bytes, or all of them; an empty file has none.
    fn bytes_of(
        &self,
        status: Status,
        head: HeadWriter,
        file: &Representation,
        part: Range<u64>,
    ) -> Response {
        match &file.content {
            Content::Whole(whole) => {
                self.finish(status, head, Some(slice(whole, &file.meta, &part)))
            }
            Content::File(file) => {
                let span = FileSpan {
                    file: Rc::clone(file),
                    at: part.start,
                    len: part.end - part.start,
                };
                self.finish_with(status, head, Body::Span(span))
            }
        }
    }

    /// Ends the head of a reply whose body is not in memory. A client that asked for the head alone
    /// gets none.
    fn finish_with(&self, status: Status, head: HeadWriter, body: Body<Rc<File>>) -> Response {
        let response = self.finish(status, head, None);
        if self.options.head_only {
            response
        } else {
            Response { body, ..response }
        }
    }

    /// Ends the head, and adds a body that is in memory unless the client asked for the head alone.
    fn finish(&self, status: Status, mut head: HeadWriter, body: Option<&[u8]>) -> Response {
        head.lines(self.options.connection());
        let mut bytes = head.end();
        let head_len = bytes.len();
        if !self.options.head_only {
            bytes.extend_from_slice(body.unwrap_or_default());
        }
        Response {
            status,
            bytes: Bytes::Own(bytes),
            head_len,
            body: Body::Nothing,
            keep: self.options.keep,
            listing: None,
        }
    }
}

/// What is said of every page that idler makes itself. `extra` are the lines that options add.
fn own_fields(head: &mut HeadWriter, extra: &[u8]) {
    head.field("X-Content-Type-Options", b"nosniff")
        .field(
            "Content-Security-Policy",
            pages::CONTENT_SECURITY_POLICY.as_bytes(),
        )
        .lines(extra);
}

/// Some bytes of a body that is kept behind its head.
fn slice<'a>(whole: &'a [u8], meta: &FileMeta, part: &Range<u64>) -> &'a [u8] {
    let at = |n: u64| usize::try_from(n).ok()?.checked_add(meta.head_len);
    let range = at(part.start).zip(at(part.end));
    range
        .and_then(|(start, end)| whole.get(start..end))
        .unwrap_or_default()
}
