//! From an outcome to the bytes of its reply. Every head is written here, that which the cache
//! keeps in front of a small file as well.
//!
//! What a head says about the connection is what happens to it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use crate::event_loop::Now;
use crate::http::range::Multipart;
use crate::http::response::HeadWriter;
use crate::http::response::{Body, Bytes, FileSpan, Parts};
use crate::http::status::{Refusal, Status};
use crate::limits::{PREFLIGHT_SECONDS, RETRY_AFTER_SECONDS};
use crate::pages;
use crate::site::cache::{Content, FileMeta, Representation};

use crate::server::Http;
use crate::server::listing::ListingBody;
use crate::server::outcome::{DirectoryList, Outcome, Part};
use crate::server::policy::Policy;
use crate::server::sites::DEFAULT_SITE;

/// The methods that are answered.
const ALLOW: &str = "GET, HEAD, OPTIONS";

/// Says that another client may be sent another variant (RFC 9110 §12.5.5).
///
/// It stands on every answer for a file of a compressible type, whether it has siblings or not: to
/// find out would cost clients that accept no coding three more system calls; and siblings may come
/// later, while a shared cache still holds the answer.
pub(crate) const VARY: &[u8] = b"Vary: Accept-Encoding\r\n";

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
struct ReplyContext<'a> {
    options: ResponseOptions,
    /// The present second.
    date: &'a [u8; 29],
    policy: &'a Policy,
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
        let site = &mut self.sites[listing.site].site;
        let made = listing.step(site, now.turn)?;
        self.listings.account(listing)?;
        Ok(Some(made))
    }

    /// Writes the reply that an outcome comes to.
    pub(crate) fn respond(
        &mut self,
        outcome: Outcome,
        options: ResponseOptions,
        now: &Now,
    ) -> Response {
        // Most requests get a kept file, which needs nothing of the rest.
        if let Outcome::Kept { reply, head_len } = outcome {
            return kept(reply, head_len, options);
        }
        let (date, policy) = (self.dates.header(now.wall), &self.policy);
        let context = ReplyContext {
            options,
            date,
            policy,
        };
        match outcome {
            Outcome::Kept { reply, head_len } => kept(reply, head_len, options),
            Outcome::File { file, part } => context.file(&file, part),
            Outcome::Directory(list) => context.directory(*list),
            Outcome::Redirect {
                status,
                location,
                why,
            } => {
                let draft = context.draft(status).field("Location", location);
                context.own_page(draft, why)
            }
            Outcome::Error {
                refusal,
                page,
                file,
            } => context.error(refusal, page.as_ref(), file.as_deref()),
            Outcome::Text(status, media_type, body) => context
                .draft(status)
                .field("Content-Type", media_type)
                .field("X-Content-Type-Options", "nosniff")
                .field("Cache-Control", "no-store")
                .number("Content-Length", body.len() as u64)
                .finish(&body),
            Outcome::Methods { preflight } => {
                let mut draft = context.draft(Status::NO_CONTENT).field("Allow", ALLOW);
                // What a browser asks before it lets a script of another site send what a plain
                // link would not (Fetch standard, CORS protocol). Nothing here depends on cookies,
                // so that every site may read it. A star does not stand for Authorization.
                if preflight {
                    draft = draft
                        .field("Access-Control-Allow-Origin", "*")
                        .field("Access-Control-Allow-Methods", ALLOW)
                        .field("Access-Control-Allow-Headers", "*, Authorization")
                        .number("Access-Control-Max-Age", PREFLIGHT_SECONDS.into());
                }
                draft.finish(b"")
            }
        }
    }
}

/// A whole reply with status 200 that was made for a client of HTTP/1.1 that keeps its connection.
/// Such a client gets it as it is, any other a copy of what it wants, with what it must be told at
/// the end of the head.
fn kept(reply: Rc<[u8]>, head_len: usize, options: ResponseOptions) -> Response {
    let ResponseOptions {
        keep,
        head_only,
        minor,
    } = options;
    let (bytes, head_len) = if keep && minor > 0 && !head_only {
        (Bytes::Shared(reply), head_len)
    } else {
        let (head, body) = reply.split_at_checked(head_len).unwrap_or_default();
        let fields = head.strip_suffix(b"\r\n").unwrap_or(head);
        let connection = options.connection();
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

/// The head of a 200 with all of a file, as the cache keeps it in front of a small one.
pub(crate) fn whole_head(meta: &FileMeta, date: &[u8; 29]) -> Vec<u8> {
    let mut head = HeadWriter::new(Status::OK, date);
    write_whole(meta, &mut head);
    head.end()
}

fn write_whole(meta: &FileMeta, head: &mut HeadWriter) {
    head.field("Content-Type", meta.content_type.as_bytes())
        .lines(&meta.lines)
        .field_number("Content-Length", meta.size);
}

/// The 503 of a server that has neither a slot for a connection nor the memory to refuse it well.
pub fn busy() -> String {
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nServer: idler\r\n\
         Retry-After: {RETRY_AFTER_SECONDS}\r\nContent-Type: text/plain\r\n\
         Content-Length: 5\r\nConnection: close\r\n\r\nbusy\n"
    )
}

impl ReplyContext<'_> {
    fn draft(&self, status: Status) -> Draft {
        let (head, options) = (HeadWriter::new(status, self.date), self.options);
        Draft {
            status,
            head,
            options,
        }
    }

    fn file(&self, file: &Representation, part: Part) -> Response {
        let meta = &file.meta;
        match part {
            Part::Whole => {
                let mut draft = self.draft(Status::OK);
                write_whole(meta, &mut draft.head);
                draft.finish_with_file(file, 0..meta.size)
            }
            Part::NotModified => {
                let draft = self.draft(Status::NOT_MODIFIED);
                draft.lines(&meta.validator_lines).finish(b"")
            }
            // RFC 9110 §15.3.7.1.
            Part::One(span) => self
                .draft(Status::PARTIAL_CONTENT)
                .field("Content-Type", &*meta.content_type)
                .lines(&meta.lines)
                .field("Content-Range", span.content_range(meta.size))
                .number("Content-Length", span.len())
                .finish_with_file(file, span.start..span.end),
            Part::Several(parts) => self.parts(file, *parts),
        }
    }

    /// 206 with several parts (RFC 9110 §15.3.7.2).
    fn parts(&self, file: &Representation, parts: Multipart) -> Response {
        let draft = self
            .draft(Status::PARTIAL_CONTENT)
            .field("Content-Type", parts.answer_type())
            .lines(&file.meta.lines)
            .number("Content-Length", parts.body_bytes());
        if let Content::File(file) = &file.content {
            let parts = Parts::new(Rc::clone(file), parts);
            return draft.finish_with(Body::Parts(Box::new(parts)));
        }
        let mut body = Vec::new();
        let mut part = 0;
        while let Some(span) = parts.frame(part, &mut body) {
            body.extend_from_slice(file.slice(span.start..span.end));
            part += 1;
        }
        draft.finish(&body)
    }

    fn directory(&self, list: DirectoryList) -> Response {
        // Without chunks the end of the listing is the end of the connection.
        let chunked = self.options.minor > 0;
        let draft = match (list.not_modified, list.query.json) {
            (true, _) => self.draft(Status::NOT_MODIFIED),
            (false, true) => self
                .draft(Status::OK)
                .field("Content-Type", pages::JSON_TYPE),
            (false, false) => self
                .draft(Status::OK)
                .field("Content-Type", pages::HTML_TYPE),
        };
        let mut draft = draft;
        draft.options.keep &= chunked;
        if list.negotiated {
            draft = draft.field("Vary", "Accept");
        }
        let mut path = list.path.as_bytes().to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        draft = draft.own_fields(&self.policy.made_lines(&path));
        if list.not_modified {
            return draft.finish(b"");
        }
        if chunked {
            draft = draft.field("Transfer-Encoding", "chunked");
        }
        let mut response = draft.finish_with(Body::Produced);
        if !self.options.head_only {
            response.listing = Some(ListingBody::new(list, chunked));
        }
        response
    }

    /// A reply that says what is wrong, with the page that the site has for it, else with our own.
    fn error(
        &self,
        Refusal { status, why }: Refusal,
        page: Option<&Representation>,
        file: Option<&FileMeta>,
    ) -> Response {
        let mut draft = self.draft(status);
        // A client that breaks the grammar once may have meant something else all along.
        draft.options.keep &= status != Status::BAD_REQUEST;
        match status {
            Status::UNAUTHORIZED => {
                let challenge = "Basic realm=\"idler\", charset=\"UTF-8\"";
                draft = draft.field("WWW-Authenticate", challenge);
            }
            Status::METHOD_NOT_ALLOWED => draft = draft.field("Allow", ALLOW),
            Status::TOO_MANY_REQUESTS | Status::UNAVAILABLE => {
                draft = draft.number("Retry-After", RETRY_AFTER_SECONDS.into());
            }
            _ => {}
        }
        if let Some(file) = file {
            if status == Status::RANGE_NOT_SATISFIABLE {
                draft = draft.field("Content-Range", format!("bytes */{}", file.size));
            }
            if file.varies {
                draft = draft.lines(VARY);
            }
        }
        match page {
            None => self.own_page(draft, Some(why)),
            Some(page) => draft
                .field("Content-Type", &*page.meta.content_type)
                .field("X-Content-Type-Options", "nosniff")
                .lines(&self.policy.extra_lines)
                .number("Content-Length", page.meta.size)
                .finish_with_file(page, 0..page.meta.size),
        }
    }

    /// Ends a reply with a page of our own.
    fn own_page(&self, draft: Draft, why: Option<&str>) -> Response {
        let page = pages::error_page(draft.status.0, draft.status.reason(), why);
        draft
            .field("Content-Type", pages::HTML_TYPE)
            .own_fields(&self.policy.extra_lines)
            .number("Content-Length", page.len() as u64)
            .finish(&page)
    }
}

/// A reply whose head lacks its last fields.
struct Draft {
    status: Status,
    head: HeadWriter,
    options: ResponseOptions,
}

impl Draft {
    fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.field(name, value.as_ref());
        self
    }

    fn number(mut self, name: &str, value: u64) -> Self {
        self.head.field_number(name, value);
        self
    }

    fn lines(mut self, lines: &[u8]) -> Self {
        self.head.lines(lines);
        self
    }

    /// What is said of every page that idler writes itself. `extra` are the lines that options add.
    fn own_fields(self, extra: &[u8]) -> Self {
        self.field("X-Content-Type-Options", "nosniff")
            .field("Content-Security-Policy", pages::CONTENT_SECURITY_POLICY)
            .lines(extra)
    }

    /// Ends a reply with some of a file's bytes; an empty file has none.
    fn finish_with_file(self, file: &Representation, part: Range<u64>) -> Response {
        match &file.content {
            Content::Whole(..) => self.finish(file.slice(part)),
            Content::File(file) => self.finish_with(Body::Span(FileSpan {
                file: Rc::clone(file),
                at: part.start,
                len: part.end - part.start,
            })),
        }
    }

    /// Ends a reply whose body is not in memory.
    fn finish_with(self, body: Body<Rc<File>>) -> Response {
        let head_only = self.options.head_only;
        let mut response = self.finish(b"");
        if !head_only {
            response.body = body;
        }
        response
    }

    /// Ends the head, and adds a body that is in memory, unless the client asked for the head
    /// alone.
    fn finish(mut self, body: &[u8]) -> Response {
        self.head.lines(self.options.connection());
        let mut bytes = self.head.end();
        let head_len = bytes.len();
        if !self.options.head_only {
            bytes.extend_from_slice(body);
        }
        Response {
            status: self.status,
            bytes: Bytes::Own(bytes),
            head_len,
            body: Body::Nothing,
            keep: self.options.keep,
            listing: None,
        }
    }
}
