//! From a request to its answer: a short chain of functions.
//!
//! What lives here: [`Http::answer`], which asks the cache, else the site, and composes the reply. It may not know
//! connections or the loop. Invariant: a small file that was served before is answered from one kept buffer, without
//! being decoded, opened or formatted. Read next: `policy.rs`.

use std::hash::RandomState;
use std::io;
use std::rc::Rc;

use crate::event_loop::Now;
use crate::event_loop::clock::RateLimit;
use crate::http::accept::prefers_json;
use crate::http::conditional::{Validators, Verdict};
use crate::http::path::SitePath;
use crate::http::request::{Method, Request};
use crate::http::state::Body;
use crate::http::status::{Refusal, Status};
use crate::limits::RETRY_AFTER_SECONDS;
use crate::pages;
use crate::pages::ListingQuery;
use crate::site::cache::{Cache, Kept};
use crate::site::open::Opened;
use crate::site::{Found, Site};

use crate::server::auth::Auth;
use crate::server::compressed::Selected;
use crate::server::dates::Dates;
use crate::server::hosts::Hosts;
use crate::server::listing::{ListingBody, Listings};
use crate::server::policy::{Policy, Timeouts};
use crate::server::reply::{Draft, Reply, ResponseOptions};
use crate::server::represent::NOT_AS_EXPECTED;
use crate::server::representation::{CachedMeta, Representation};
use crate::server::story::{Story, shown};

/// What answering needs: the site, its cache, the policy.
#[derive(Debug)]
pub struct Http {
    /// What is served. Of several sites, the one that is in hand.
    pub site: Site,
    /// What was served before from it.
    pub cache: Cache<CachedMeta>,
    /// The other sites.
    pub hosts: Hosts,
    /// What options switch on.
    pub policy: Policy,
    /// Who may see the site; everybody if there is none.
    pub auth: Option<Auth>,
    /// Whether the first signal to stop has come: for the health check.
    pub stopping: bool,
    /// How long a connection may take for what.
    pub patience: Timeouts,
    /// Longest head, in bytes.
    pub head_bytes_max: usize,
    /// Where boundaries between parts come from: nobody can guess them.
    pub boundaries: RandomState,
    /// How many there were.
    pub boundary_count: u64,
    /// How listings share time and memory.
    pub listings: Listings,
    /// The date lines, made once a second.
    pub dates: Dates,
    /// When to warn of what cannot be read.
    pub warnings: RateLimit,
    /// Who listens to why an answer is what it is.
    pub story: Story,
}

/// The methods that are answered.
pub(crate) const ALLOW: &[u8] = b"GET, HEAD, OPTIONS";

impl Http {
    /// Answers a request. Bounded by the cost of opening one path, and of reading one small file.
    pub fn answer(&mut self, request: &Request<'_>, wish: ResponseOptions, now: &Now) -> Reply {
        if self.policy.has_gate
            && let Some(reply) = self.before(request, wish, now)
        {
            return reply;
        }
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
    /// `head_only`: so much was understood that it began with HEAD, and no body may follow (RFC 9110 §9.3.2).
    pub fn refuse(&mut self, refusal: Refusal, head_only: bool, now: &Now) -> Reply {
        let wish = ResponseOptions {
            head_only,
            ..ResponseOptions::UNKNOWN
        };
        self.enter(0);
        self.page(refusal, wish, now)
    }

    /// Makes the next piece of a listing, and says whether it is the last; `None` if it is the turn
    /// of others. To be called once a drive.
    ///
    /// # Errors
    /// If the directory cannot be read any more, or all listings together hold too much.
    pub fn produce(
        &mut self,
        listing: &mut ListingBody,
        now: &Now,
    ) -> io::Result<Option<(Vec<u8>, bool)>> {
        if !self.listings.may_step(now.turn) {
            return Ok(None);
        }
        self.enter(listing.site());
        let made = listing.step(&mut self.site, now.turn)?;
        self.listings.account(listing)?;
        Ok(Some(made))
    }

    pub(crate) fn get(&mut self, request: &Request<'_>, wish: ResponseOptions, now: &Now) -> Reply {
        let class = self.class(request);
        if let Some(entry) = self.cache.find(class, request.target.path, now.turn) {
            let plain = !request.has.condition && !request.has.range;
            if let Kept::Bytes(bytes) = &mut entry.kept
                && plain
            {
                self.dates.stamp(bytes, now.wall);
                return Reply::of_kept(bytes, entry.meta.head_len, wish);
            }
            let found = Representation::kept(Rc::clone(&entry.meta.facts), &entry.kept);
            return self.represent(request, &found, wish, now);
        }
        let path = match SitePath::decode(request.target.path) {
            Ok(path) => path,
            Err(refusal) => return self.page(refusal, wish, now),
        };
        self.story.tell("path", || shown(&path));
        let found = self.site.find(&path, now.turn);
        self.tell_found(&path, &found);
        match found {
            Found::File(opened) => self.file(request, &path, &path, opened, wish, now),
            Found::Directory(_) if !path.is_directory() => self
                .page_without_html(request, &path, wish, now)
                .unwrap_or_else(|| self.redirect_to_directory(request, &path, wish, now)),
            Found::Directory(opened) => self.directory(request, &path, opened, wish, now),
            Found::Missing => self.missing(request, &path, wish, now),
            other @ (Found::Forbidden | Found::Later(_) | Found::Failed(_)) => {
                self.not_found(&other, wish, now)
            }
        }
    }

    /// The file at `path`, just opened: what was `asked` for, or its index.
    fn file(
        &mut self,
        request: &Request<'_>,
        asked: &SitePath,
        path: &SitePath,
        opened: Opened,
        wish: ResponseOptions,
        now: &Now,
    ) -> Reply {
        let inner = self.inner(path);
        let Selected { opened, form, kept } = self.choose(request, path, &inner, opened, now);
        let date = *self.dates.header(now.wall);
        match Representation::load(&inner, opened, form, &self.policy, &date, now.wall) {
            Ok(found) => {
                // Who finds each file under one spelling only cannot be made to keep it under a thousand. And an index that is
                // not the first choice would have to give way as soon as a better one appears.
                let is_first = asked == path
                    || self
                        .policy
                        .indexes
                        .first()
                        .is_some_and(|first| path.name() == first);
                if is_first && request.target.path == asked.to_url().as_bytes() {
                    self.keep(request.target.path, kept, &found, now);
                }
                self.represent(request, &found, wish, now)
            }
            Err(e) => self.not_found(&Found::Failed(e), wish, now),
        }
    }

    /// The path within the site of what stands at `path`, which in a site of one file is that file.
    pub(crate) fn inner(&self, path: &SitePath) -> Vec<u8> {
        if path.as_bytes().is_empty() {
            self.site.only().unwrap_or_default().to_vec()
        } else {
            path.as_bytes().to_vec()
        }
    }

    /// A directory: the first of its indexes, or a list of what is in it.
    fn directory(
        &mut self,
        request: &Request<'_>,
        path: &SitePath,
        opened: Opened,
        wish: ResponseOptions,
        now: &Now,
    ) -> Reply {
        for i in 0..self.policy.indexes.len() {
            let index = path.join(&self.policy.indexes[i]);
            let found = self.site.find(&index, now.turn);
            self.tell_found(&index, &found);
            match found {
                Found::File(opened) => return self.file(request, path, &index, opened, wish, now),
                Found::Missing | Found::Directory(_) => {}
                other @ (Found::Forbidden | Found::Later(_) | Found::Failed(_)) => {
                    return self.not_found(&other, wish, now);
                }
            }
        }
        if !self.policy.listing {
            self.story
                .tell("answer", || "directories are not listed".to_owned());
            return self.missing(request, path, wish, now);
        }
        self.list(request, path, opened, wish, now)
    }

    fn list(
        &mut self,
        request: &Request<'_>,
        path: &SitePath,
        opened: Opened,
        wish: ResponseOptions,
        now: &Now,
    ) -> Reply {
        self.story.tell("answer", || "a listing".to_owned());
        let mut query = ListingQuery::parse(request.target.query.unwrap_or_default());
        // Who asked for `?json` gets it whatever the headers say.
        let negotiated = !query.json;
        query.json = query.json || prefers_json(request.headers);
        let chunked = request.minor > 0;
        // Without chunks the end of the listing is the end of the connection.
        let wish = ResponseOptions {
            keep: wish.keep && chunked,
            ..wish
        };
        // A listing has no validators, but it is there: of the conditions those ask for more that name a validator or `*`.
        let it_exists = Validators {
            exists: true,
            ..Validators::default()
        };
        let (status, is_sent) = match self.verdict(request, &it_exists, now) {
            Verdict::Proceed { .. } => (Status::OK, true),
            Verdict::NotModified => (Status::NOT_MODIFIED, false),
            Verdict::Failed => return self.page(NOT_AS_EXPECTED, wish, now),
        };
        let mut reply = self.draft(status, now);
        if is_sent {
            let kind = if query.json {
                pages::JSON_TYPE
            } else {
                pages::HTML_TYPE
            };
            reply.head.field("Content-Type", kind.as_bytes());
        }
        if negotiated {
            reply.head.field("Vary", b"Accept");
        }
        let mut inner = path.as_bytes().to_vec();
        if !inner.is_empty() {
            inner.push(b'/');
        }
        reply.self_made(&self.policy.made_lines(&inner));
        if !is_sent {
            return reply.finish(wish, None);
        }
        if chunked {
            reply.head.field("Transfer-Encoding", b"chunked");
        }
        let mut reply = reply.finish_with(wish, Body::Produced);
        if !wish.head_only {
            reply.listing = Some(ListingBody::new(
                opened.file.into(),
                path,
                self.hosts.in_hand(),
                query,
                self.site.shows_hidden(),
                chunked,
            ));
        }
        reply
    }

    /// A directory that was asked for without its slash: relative links in it would lead astray.
    fn redirect_to_directory(
        &mut self,
        request: &Request<'_>,
        path: &SitePath,
        wish: ResponseOptions,
        now: &Now,
    ) -> Reply {
        self.story.tell("answer", || {
            "a redirect: the address of a directory ends in a slash".to_owned()
        });
        let why = "The address of a directory ends in a slash.";
        self.moved(request, &path.as_directory(), why, wish, now)
    }

    /// A redirect to where the same stands on this site. The path is our own spelling, which begins with one slash, so that it cannot
    /// name another host.
    pub(crate) fn moved(
        &mut self,
        request: &Request<'_>,
        to: &SitePath,
        why: &str,
        wish: ResponseOptions,
        now: &Now,
    ) -> Reply {
        let mut location = to.to_url().into_bytes();
        if let Some(query) = request.target.query {
            location.push(b'?');
            location.extend_from_slice(query);
        }
        let mut reply = self.draft(Status::MOVED_PERMANENTLY, now);
        reply.head.field("Location", &location);
        reply.finish_page(Some(why), &self.policy.extra_lines, wish)
    }

    pub(crate) fn not_found(&mut self, found: &Found, wish: ResponseOptions, now: &Now) -> Reply {
        let refusal = match found {
            Found::File(_) | Found::Directory(_) | Found::Missing => {
                Refusal::new(Status::NOT_FOUND, "there is nothing at this address")
            }
            Found::Forbidden => Refusal::new(Status::FORBIDDEN, "the server may not read this"),
            Found::Later(e) => {
                if self.warnings.is_due(now) {
                    log::warn!("a file cannot be opened at present: {e}");
                }
                Refusal::new(Status::UNAVAILABLE, "the file cannot be opened at present")
            }
            Found::Failed(e) => {
                if self.warnings.is_due(now) {
                    log::warn!("a file cannot be read: {e}");
                }
                Refusal::new(Status::INTERNAL_ERROR, "the file cannot be read")
            }
        };
        self.page(refusal, wish, now)
    }

    /// A page that says what is wrong.
    pub(crate) fn page(&mut self, refusal: Refusal, wish: ResponseOptions, now: &Now) -> Reply {
        let Refusal { status, why } = refusal;
        self.story.tell("answer", || why.to_owned());
        // Who breaks the grammar once may have meant something else all along.
        let wish = ResponseOptions {
            keep: wish.keep && status != Status::BAD_REQUEST,
            ..wish
        };
        let mut reply = self.draft(status, now);
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
        self.finish_error(reply, why, wish, now)
    }

    pub(crate) fn draft(&mut self, status: Status, now: &Now) -> Draft {
        Draft::new(status, self.dates.header(now.wall))
    }
}
