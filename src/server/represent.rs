//! From a representation to its reply: conditions first, then ranges, then all of it.
//!
//! What lives here: the order of RFC 9110 §13.2.2 and §14.2, applied to what a file is. The rules themselves are pure, in
//! `protocol/http`. It may not know how the file was found. Invariant: a plain GET never comes this way when
//! its file is kept. Read next: `crate::http::conditional`.

use std::fmt;
use std::hash::BuildHasher as _;
use std::ops::Range;
use std::rc::Rc;

use crate::event_loop::Now;
use crate::http::conditional::{Validators, Verdict, evaluate};
use crate::http::range::{Boundary, Multipart, Selection, Span, select, write_unsatisfied_range};
use crate::http::request::{Method, Request};
use crate::http::state::{Body, FileSpan, Parts};
use crate::http::status::{Refusal, Status};

use crate::server::answer::Http;
use crate::server::dates::unix_seconds;
use crate::server::reply::{Draft, Reply, ResponseOptions};
use crate::server::representation::{Content, FileMeta, Representation};

/// A condition has failed.
pub(crate) const NOT_AS_EXPECTED: Refusal = Refusal::new(
    Status::PRECONDITION_FAILED,
    "what is there is not what the request expects it to be",
);

impl Http {
    /// A representation: its conditions, then its ranges, then its bytes.
    pub(crate) fn represent(
        &mut self,
        request: &Request<'_>,
        found: &Representation,
        wish: ResponseOptions,
        now: &Now,
    ) -> Reply {
        let facts = &found.facts;
        let validators = Validators {
            etag: Some(&facts.etag),
            last_modified: facts.modified,
            exists: true,
        };
        let honour_range = match self.verdict(request, &validators, now) {
            Verdict::Proceed { honour_range } => honour_range,
            Verdict::NotModified => {
                let mut reply = self.draft(Status::NOT_MODIFIED, now);
                reply.head.lines(&facts.validator_lines);
                return reply.finish(wish, None);
            }
            Verdict::Failed => {
                let mut reply = self.draft(NOT_AS_EXPECTED.status, now);
                reply.head.lines(facts.vary());
                let why = Some(NOT_AS_EXPECTED.why);
                return reply.finish_page(why, &self.policy.extra_lines, wish);
            }
        };
        if request.has.range && request.method == Method::Head {
            self.story
                .tell("range", || "Range means nothing with HEAD".to_owned());
        }
        if honour_range && request.method == Method::Get && request.has.range {
            let story = &mut self.story;
            let note = |words: fmt::Arguments<'_>| story.tell("range", || words.to_string());
            match select(request.headers, facts.size, &facts.content_type, note) {
                Selection::Whole => {}
                Selection::One(span) => return self.part(found, span, wish, now),
                Selection::Several(spans) => return self.parts(found, spans, wish, now),
                Selection::Unsatisfiable => return self.unsatisfiable(facts, wish, now),
            }
        }
        let mut reply = self.draft(Status::OK, now);
        reply
            .head
            .field("Content-Type", facts.content_type.as_bytes())
            .lines(&facts.lines)
            .field_number("Content-Length", facts.size);
        send(found, 0..facts.size, reply, wish)
    }

    /// What the conditions of a request come to, if it has any.
    pub(crate) fn verdict(
        &mut self,
        request: &Request<'_>,
        validators: &Validators<'_>,
        now: &Now,
    ) -> Verdict {
        if !request.has.condition {
            return Verdict::Proceed { honour_range: true };
        }
        let story = &mut self.story;
        let note = |words: fmt::Arguments<'_>| story.tell("condition", || words.to_string());
        let wall = unix_seconds(now.wall);
        evaluate(request.headers, true, validators, wall, note)
    }

    /// 206 with one part (RFC 9110 §15.3.7.1).
    fn part(
        &mut self,
        found: &Representation,
        span: Span,
        wish: ResponseOptions,
        now: &Now,
    ) -> Reply {
        let facts = &found.facts;
        let mut range = Vec::new();
        span.write_content_range(facts.size, &mut range);
        let mut reply = self.draft(Status::PARTIAL_CONTENT, now);
        reply
            .head
            .field("Content-Type", facts.content_type.as_bytes())
            .lines(&facts.lines)
            .field("Content-Range", &range)
            .field_number("Content-Length", span.len());
        send(found, span.start..span.end, reply, wish)
    }

    /// 206 with several parts (§15.3.7.2).
    fn parts(
        &mut self,
        found: &Representation,
        spans: Box<[Span]>,
        wish: ResponseOptions,
        now: &Now,
    ) -> Reply {
        let facts = &found.facts;
        self.boundary_count += 1;
        let boundary = Boundary::from_bits(self.boundaries.hash_one(self.boundary_count));
        let multipart = Multipart::new(spans, &facts.content_type, boundary, facts.size);
        let mut content_type = Vec::new();
        multipart.write_content_type(&mut content_type);
        let mut reply = self.draft(Status::PARTIAL_CONTENT, now);
        reply
            .head
            .field("Content-Type", &content_type)
            .lines(&facts.lines)
            .field_number("Content-Length", multipart.body_bytes());
        match &found.content {
            Content::Whole(bytes) => {
                let mut body = Vec::new();
                let mut part = 0;
                while let Some(span) = multipart.frame(part, &mut body) {
                    body.extend_from_slice(
                        slice(bytes, facts, &(span.start..span.end)).unwrap_or_default(),
                    );
                    part += 1;
                }
                reply.finish(wish, Some(&body))
            }
            Content::File(file) => reply.finish_with(
                wish,
                Body::Parts(Box::new(Parts::new(Rc::clone(file), multipart))),
            ),
        }
    }

    /// 416 (§15.5.17).
    fn unsatisfiable(&mut self, facts: &FileMeta, wish: ResponseOptions, now: &Now) -> Reply {
        let mut range = Vec::new();
        write_unsatisfied_range(facts.size, &mut range);
        let mut reply = self.draft(Status::RANGE_NOT_SATISFIABLE, now);
        reply
            .head
            .field("Content-Range", &range)
            .lines(facts.vary());
        self.finish_error(reply, "the file has nothing in this range", wish, now)
    }
}

/// Ends a reply with some of the body's bytes, or all of them; an empty file has none.
pub(crate) fn send(
    found: &Representation,
    part: Range<u64>,
    reply: Draft,
    wish: ResponseOptions,
) -> Reply {
    match &found.content {
        Content::Whole(bytes) => reply.finish(wish, slice(bytes, &found.facts, &part)),
        Content::File(file) => reply.finish_with(
            wish,
            Body::Span(FileSpan {
                file: Rc::clone(file),
                at: part.start,
                len: part.end - part.start,
            }),
        ),
    }
}

/// Some bytes of a body that is kept behind its head.
fn slice<'a>(whole: &'a [u8], facts: &FileMeta, part: &Range<u64>) -> Option<&'a [u8]> {
    let start = usize::try_from(part.start).ok()?;
    let end = usize::try_from(part.end).ok()?;
    whole.get(facts.head_len..)?.get(start..end)
}
