//! From a request to its outcome: all policies, in their order.
//!
//! [`Server::resolve`] decides, and [`respond`](crate::server::respond) writes what was decided;
//! neither calls the other. A small file that was served before is decided by one look into the
//! cache, without being decoded, opened or formatted.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::event_loop::Now;
use crate::http::accept::{TakesHtml, prefers_json, takes_html};
use crate::http::conditional::{Validators, Verdict, evaluate};
use crate::http::path::SitePath;
use crate::http::range::{Multipart, Selection, Span, select};
use crate::http::request::{Method, Request};
use crate::http::status::{Refusal, Status};
use crate::limits::ERROR_PAGE_BYTES_MAX;
use crate::pages::ListingQuery;
use crate::site::Found;
use crate::site::cache::Kept;
use crate::site::open::Opened;
use crate::site::siblings::is_compressible;

use crate::server::auth::Verdict as Password;
use crate::server::clients::Client;
use crate::server::compressed::{Preference, Selected};
use crate::server::dates::unix_seconds;
use crate::server::note::{NoteFn, display, display_found};
use crate::server::representation::{Content, FileMeta, Representation};
use crate::server::shared::{Http, Server};
use crate::server::sites::{DEFAULT_SITE, index_for};

/// What a request gets.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// 200: a small file, whole, which is kept behind its own head of this length.
    Kept { reply: Rc<[u8]>, head_len: usize },
    /// A file, or as much of it as is to be sent.
    File { file: Representation, part: Part },
    /// A list of what is in a directory.
    Directory(Box<DirectoryList>),
    /// Another address.
    Redirect {
        status: Status,
        location: Vec<u8>,
        why: Option<&'static str>,
    },
    /// An error, and the page that the site has for it; without one idler writes its own.
    Error {
        status: Status,
        why: &'static str,
        page: Option<Representation>,
        /// The file whose conditions or ranges led to it.
        file: Option<Rc<FileMeta>>,
    },
    /// A text that idler writes itself, and that nothing may keep.
    Text {
        status: Status,
        media_type: &'static str,
        body: Vec<u8>,
    },
    /// 204: which methods there are; `preflight`: for a script of another site as well.
    Methods { preflight: bool },
}

/// How much of a file is sent.
#[derive(Debug)]
pub(crate) enum Part {
    /// 200: all of it.
    Whole,
    /// 304: nothing, since the client has it.
    NotModified,
    /// 206: these bytes.
    One(Span),
    /// 206: several parts in one body.
    Several(Box<Multipart>),
}

/// See [`Outcome::Directory`].
#[derive(Debug)]
pub(crate) struct DirectoryList {
    pub directory: OwnedFd,
    pub path: SitePath,
    /// The index of its site.
    pub site: usize,
    pub shows_hidden: bool,
    pub query: ListingQuery,
    /// Whether the Accept field decided between HTML and JSON.
    pub negotiated: bool,
    /// 304 instead of the list.
    pub not_modified: bool,
}

/// What is looked for: a path as it was sent, which is also the key of the cache.
#[derive(Clone, Copy)]
struct Lookup<'a> {
    site: usize,
    raw: &'a [u8],
    now: &'a Now,
}

const NOT_ALLOWED: Refusal = Refusal::new(
    Status::FORBIDDEN,
    "this site is not for the address that asks",
);

/// A condition has failed.
const NOT_AS_EXPECTED: Refusal = Refusal::new(
    Status::PRECONDITION_FAILED,
    "what is there is not what the request expects it to be",
);

const HTML: &[u8] = b".html";

impl Server {
    /// Decides what a request gets. `client` is the one that a trusted proxy speaks for, `peer` the
    /// other end of the connection. Bounded by the cost of opening a few paths, and of reading one
    /// small file.
    pub(crate) fn resolve(
        &mut self,
        request: &Request<'_>,
        client: Option<Client>,
        peer: &dyn Fn() -> Client,
        now: &Now,
        note: NoteFn<'_>,
    ) -> Outcome {
        let raw = request.target.path;
        let asks_for_file = matches!(request.method, Method::Get | Method::Head);
        let mut site = DEFAULT_SITE;
        if self.http.policy.precedes_files {
            // Host.
            site = index_for(&self.http.sites, request.host);
            if let Some(auth) = &mut self.http.auth {
                auth.user = None;
            }
            // Which clients may ask at all.
            if client.is_some_and(|client| !self.guests.allows(client)) {
                return self.http.error(site, NOT_ALLOWED, now);
            }
            // Status and health.
            if let Some(status) = &self.status
                && status.is_meant(request)
            {
                if status.is_shown_to(request, client, peer) {
                    let locked = self.http.authenticate(site, request, now);
                    return locked.unwrap_or_else(|| self.figures_for(request, now));
                }
                note(
                    "status",
                    format_args!("{}", crate::server::status::NOT_SHOWN),
                );
            }
            if self.http.is_health_check(request) {
                note("health", format_args!("asked for by its path"));
                return self.http.health();
            }
            // Preflight of scripts, which cannot send a password yet.
            if self.http.policy.cors && request.method == Method::Options {
                return Outcome::Methods { preflight: true };
            }
            // Password.
            if let Some(outcome) = self.http.authenticate(site, request, now) {
                return outcome;
            }
            // Redirects and clean URLs. A path that cannot be decoded is refused below.
            if asks_for_file
                && self.http.policy.redirects_paths()
                && let Ok(path) = SitePath::decode(raw)
                && let Some(outcome) = self.http.redirect(site, request, &path, now)
            {
                return outcome;
            }
        }
        match request.method {
            Method::Get | Method::Head => self.http.file(request, Lookup { site, raw, now }, note),
            Method::Options => Outcome::Methods { preflight: false },
            Method::Other => {
                let why = "only GET, HEAD and OPTIONS are allowed here";
                let refusal = Refusal::new(Status::METHOD_NOT_ALLOWED, why);
                self.http.error(site, refusal, now)
            }
            Method::Unknown => {
                let refusal = Refusal::new(Status::NOT_IMPLEMENTED, "this method is not known");
                self.http.error(site, refusal, now)
            }
        }
    }

    /// idler's own figures, as JSON if the client would rather have that.
    fn figures_for(&mut self, request: &Request<'_>, now: &Now) -> Outcome {
        let query = ListingQuery::parse(request.target.query.unwrap_or_default());
        let (body, media_type) = if query.json || prefers_json(request.headers) {
            (self.metrics_as_json(now), "application/json")
        } else {
            let text = self.metrics_as_text(now);
            (text, "text/plain; version=0.0.4; charset=utf-8")
        };
        Outcome::Text {
            status: Status::OK,
            media_type,
            body: body.into(),
        }
    }
}

impl Http {
    /// Whether a request asks for idler's health.
    pub fn is_health_check(&self, request: &Request<'_>) -> bool {
        self.policy.health.as_deref() == Some(request.target.path)
            && matches!(request.method, Method::Get | Method::Head)
    }

    /// For a load balancer: 503 from the first signal to stop on.
    fn health(&self) -> Outcome {
        let (status, body) = if self.stopping {
            (Status::UNAVAILABLE, &b"stopping\n"[..])
        } else {
            (Status::OK, &b"ok\n"[..])
        };
        Outcome::Text {
            status,
            media_type: "text/plain; charset=utf-8",
            body: body.to_vec(),
        }
    }

    /// What a request gets that does not bring the right password (RFC 9110 §11.6.1, RFC 7617).
    fn authenticate(&mut self, site: usize, request: &Request<'_>, now: &Now) -> Option<Outcome> {
        let refusal = match self.auth.as_mut()?.check_request(request.headers, now) {
            Password::Right => return None,
            Password::Wrong => Refusal::new(
                Status::UNAUTHORIZED,
                "this site asks for a name and a password",
            ),
            Password::Later => Refusal::new(
                Status::TOO_MANY_REQUESTS,
                "too many passwords were tried; try again in a second",
            ),
        };
        Some(self.error(site, refusal, now))
    }

    /// Where a path leads by the file of redirects, whether something stands there or not; else
    /// where a page has a shorter name.
    fn redirect(
        &mut self,
        site: usize,
        request: &Request<'_>,
        path: &SitePath,
        now: &Now,
    ) -> Option<Outcome> {
        let redirects = self.policy.redirects.as_ref();
        if let Some(redirect) = redirects.and_then(|redirects| redirects.made.find(path)) {
            let mut location = Vec::new();
            redirect.write_location(request.target.query, &mut location);
            return Some(Outcome::Redirect {
                status: redirect.status(),
                location,
                why: None,
            });
        }
        let clean = self.clean_url(site, path, now)?;
        let why = "The address of this page has no .html at its end.";
        Some(moved(request, &clean, why))
    }

    /// `/about.html` and `/index.html` have a shorter name, and only that is used. They are found
    /// out by asking whether that name leads to the same file: where `about` is a file itself,
    /// `about.html` keeps its name.
    fn clean_url(&mut self, site: usize, path: &SitePath, now: &Now) -> Option<SitePath> {
        if !self.policy.clean_urls || path.is_directory() {
            return None;
        }
        let stem = path.as_bytes().strip_suffix(HTML)?;
        if !self.is_file(site, path, now) {
            return None;
        }
        let first_index = self.policy.indexes.first();
        if first_index.is_some_and(|index| index == path.name()) {
            return Some(path.parent());
        }
        let clean = SitePath::root().join(stem);
        // A file named `.html` has no other name.
        let has_no_other = clean.name().is_empty() || self.is_file(site, &clean, now);
        (!has_no_other).then_some(clean)
    }

    /// What stands at a path: the file that is kept of it, or opened; its index; a list; what
    /// stands in for it; or an error.
    fn file(&mut self, request: &Request<'_>, lookup: Lookup<'_>, note: NoteFn<'_>) -> Outcome {
        let Lookup { site, now, .. } = lookup;
        if let Some(outcome) = self.cached(request, lookup, note) {
            return outcome;
        }
        let asked = match SitePath::decode(lookup.raw) {
            Ok(path) => path,
            Err(refusal) => {
                note("answer", format_args!("{}", refusal.why));
                return self.error(site, refusal, now);
            }
        };
        note("path", format_args!("{}", display(&asked)));
        let (path, found) = self.find_with_index(lookup, &asked, note);
        match found {
            Found::File(opened) => {
                let loaded = self.load(Some(request), lookup, &asked, &path, opened, note);
                return match loaded {
                    Ok(file) => self.part_of(request, lookup, file, note),
                    Err(e) => self.unreadable(site, &Found::Failed(e), now, note),
                };
            }
            Found::Directory(opened) if asked.is_directory() && self.policy.listing => {
                return self.list(request, lookup, &asked, opened, note);
            }
            Found::Directory(_) if asked.is_directory() => {
                note("answer", format_args!("directories are not listed"));
            }
            Found::Directory(_) => {
                if let Some(page) = self.page_without_html(site, &asked, now) {
                    return self.stand_in(request, lookup, &page, note);
                }
                // Relative links in a directory without its slash would lead astray.
                note(
                    "answer",
                    format_args!("a redirect: the address of a directory ends in a slash"),
                );
                let why = "The address of a directory ends in a slash.";
                return moved(request, &asked.as_directory(), why);
            }
            Found::Missing(_) => {}
            other @ (Found::Forbidden | Found::Later(_) | Found::Failed(_)) => {
                return self.unreadable(site, &other, now, note);
            }
        }
        if let Some(page) = self.page_without_html(site, &asked, now) {
            return self.stand_in(request, lookup, &page, note);
        }
        if self.policy.spa
            && let Some(index) = self.index_of_root(site, now)
            && asked != index
            && takes_html(request.headers) == TakesHtml::ByName
        {
            return self.stand_in(request, lookup, &index, note);
        }
        self.unreadable(site, &Found::Missing("there is nothing"), now, note)
    }

    /// What was served before, if it is still so.
    fn cached(
        &mut self,
        request: &Request<'_>,
        lookup: Lookup<'_>,
        note: NoteFn<'_>,
    ) -> Option<Outcome> {
        let state = &mut self.sites[lookup.site];
        let class = state.class(request, lookup.raw);
        let entry = state.cache.find(class, lookup.raw, lookup.now.turn)?;
        if let Kept::Bytes(reply) = &mut entry.kept {
            self.dates.stamp(reply, lookup.now.wall);
            if !request.has.condition && !request.has.range {
                return Some(Outcome::Kept {
                    reply: Rc::clone(reply),
                    head_len: entry.meta.head_len,
                });
            }
        }
        let file = Representation::kept(&entry.meta.meta, &entry.kept);
        Some(self.part_of(request, lookup, file, note))
    }

    /// What stands at `path`, or, of a directory, the first of its indexes.
    fn find_with_index(
        &mut self,
        lookup: Lookup<'_>,
        path: &SitePath,
        note: NoteFn<'_>,
    ) -> (SitePath, Found) {
        let Lookup { site, now, .. } = lookup;
        let site = &mut self.sites[site].site;
        let found = site.find(path, now.turn);
        note("found", format_args!("{}", display_found(path, &found)));
        if matches!(found, Found::Directory(_)) && path.is_directory() {
            for name in &self.policy.indexes {
                let index = path.join(name);
                let found = site.find(&index, now.turn);
                note("found", format_args!("{}", display_found(&index, &found)));
                if !matches!(found, Found::Missing(_) | Found::Directory(_)) {
                    return (index, found);
                }
            }
        }
        (path.clone(), found)
    }

    /// A file that was just opened at `path` because of a request for `asked`: the variant of it
    /// that the client wants, read if it is small, and kept. Without a `request`, the plain one.
    fn load(
        &mut self,
        request: Option<&Request<'_>>,
        lookup: Lookup<'_>,
        asked: &SitePath,
        path: &SitePath,
        opened: Opened,
        note: NoteFn<'_>,
    ) -> io::Result<Representation> {
        let Lookup { raw, now, .. } = lookup;
        let state = &mut self.sites[lookup.site];
        // A site of one file has no siblings.
        let only = state.site.only().map(<[u8]>::to_vec);
        let name = match &only {
            Some(only) if path.as_bytes().is_empty() => only,
            _ => path.as_bytes(),
        };
        let varies = only.is_none() && is_compressible(&self.policy.types.of(name));
        let preference = match request {
            Some(request) if varies => Preference::of_request(request, |words| {
                note("encoding", words);
            }),
            Some(_) => {
                note(
                    "encoding",
                    format_args!("files of this kind have no siblings"),
                );
                Preference::PLAIN
            }
            None => Preference::PLAIN,
        };
        let Selected {
            opened,
            variant,
            key,
        } = state.choose(preference, path, opened, varies, now.turn, note);
        let date = self.dates.header(now.wall);
        let loaded = Representation::load(name, opened, variant, &self.policy, date, now.wall)?;
        let (file, identity) = loaded;
        // Only the canonical URL is cached; otherwise a client could fill the cache with aliases of
        // one file. And an index that is not the first choice would have to give way as soon as a
        // better one appears.
        let first_index = self.policy.indexes.first();
        let is_first = asked == path || first_index.is_some_and(|index| index == path.name());
        if let Some(identity) = identity
            && is_first
            && raw == asked.to_url().as_bytes()
        {
            state.keep(raw, key, &file, identity, now);
        }
        Ok(file)
    }

    /// How much of a file is sent: conditions first, then ranges (RFC 9110 §13.2.2, §14.2).
    fn part_of(
        &mut self,
        request: &Request<'_>,
        lookup: Lookup<'_>,
        file: Representation,
        note: NoteFn<'_>,
    ) -> Outcome {
        let meta = &file.meta;
        let validators = Validators {
            etag: Some(&meta.etag),
            last_modified: meta.modified,
            exists: true,
        };
        let selection = match verdict(request, &validators, lookup.now, note) {
            Verdict::Proceed { honour_range } => ranges(request, meta, honour_range, note),
            Verdict::NotModified => {
                let part = Part::NotModified;
                return Outcome::File { file, part };
            }
            Verdict::Failed => {
                return Outcome::Error {
                    status: NOT_AS_EXPECTED.status,
                    why: NOT_AS_EXPECTED.why,
                    page: None,
                    file: Some(file.meta),
                };
            }
        };
        let part = match (selection, &file.content) {
            (Selection::Whole, Content::Whole(reply)) => {
                return Outcome::Kept {
                    reply: Rc::clone(reply),
                    head_len: meta.head_len,
                };
            }
            (Selection::Whole, Content::File(_)) => Part::Whole,
            (Selection::One(span), _) => Part::One(span),
            (Selection::Several(spans), _) => {
                let boundary = self.boundaries.draw();
                Part::Several(Box::new(Multipart::new(
                    spans,
                    &meta.content_type,
                    boundary,
                    meta.size,
                )))
            }
            (Selection::Unsatisfiable, _) => {
                let status = Status::RANGE_NOT_SATISFIABLE;
                return Outcome::Error {
                    status,
                    why: "the file has nothing in this range",
                    page: self.error_page(lookup.site, status, lookup.now),
                    file: Some(file.meta),
                };
            }
        };
        Outcome::File { file, part }
    }

    fn list(
        &mut self,
        request: &Request<'_>,
        lookup: Lookup<'_>,
        path: &SitePath,
        opened: Opened,
        note: NoteFn<'_>,
    ) -> Outcome {
        note("answer", format_args!("a listing"));
        let mut query = ListingQuery::parse(request.target.query.unwrap_or_default());
        // `?json` counts whatever the fields say.
        let negotiated = !query.json;
        query.json = query.json || prefers_json(request.headers);
        // A listing has no validators, but it is there: conditions fail that name a validator or
        // `*`.
        let it_exists = Validators {
            exists: true,
            ..Validators::default()
        };
        let not_modified = match verdict(request, &it_exists, lookup.now, note) {
            Verdict::Proceed { .. } => false,
            Verdict::NotModified => true,
            Verdict::Failed => {
                note("answer", format_args!("{}", NOT_AS_EXPECTED.why));
                return self.error(lookup.site, NOT_AS_EXPECTED, lookup.now);
            }
        };
        Outcome::Directory(Box::new(DirectoryList {
            directory: opened.file.into(),
            path: path.clone(),
            site: lookup.site,
            shows_hidden: self.sites[lookup.site].site.shows_hidden(),
            query,
            negotiated,
            not_modified,
        }))
    }

    /// The same request, answered with another file, under the conditions and ranges that it came
    /// with. That one is there, so that nothing stands in for it in turn.
    fn stand_in(
        &mut self,
        request: &Request<'_>,
        lookup: Lookup<'_>,
        path: &SitePath,
        note: NoteFn<'_>,
    ) -> Outcome {
        note("answer", format_args!("{} stands in for it", display(path)));
        let raw = &path.to_url().into_bytes();
        self.file(request, Lookup { raw, ..lookup }, note)
    }

    /// `about.html`, where it stands and `/about` is asked for.
    fn page_without_html(&mut self, site: usize, path: &SitePath, now: &Now) -> Option<SitePath> {
        if !self.policy.clean_urls || path.is_directory() || path.name().ends_with(HTML) {
            return None;
        }
        let page = path.with_suffix(HTML);
        self.is_file(site, &page, now).then_some(page)
    }

    /// The root's index, for a single-page application.
    fn index_of_root(&mut self, site: usize, now: &Now) -> Option<SitePath> {
        let site = &mut self.sites[site].site;
        let indexes = self.policy.indexes.iter();
        indexes
            .map(|name| SitePath::root().join(name))
            .find(|index| matches!(site.find(index, now.turn), Found::File(_)))
    }

    fn is_file(&mut self, site: usize, path: &SitePath, now: &Now) -> bool {
        let found = self.sites[site].site.find(path, now.turn);
        matches!(found, Found::File(_))
    }

    /// Nothing is there, or nothing that can be read.
    fn unreadable(&mut self, site: usize, found: &Found, now: &Now, note: NoteFn<'_>) -> Outcome {
        let refusal = match found {
            Found::File(_) | Found::Directory(_) | Found::Missing(_) => {
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
        note("answer", format_args!("{}", refusal.why));
        self.error(site, refusal, now)
    }

    /// An error, with the page that the site has for it.
    pub(crate) fn error(&mut self, site: usize, refusal: Refusal, now: &Now) -> Outcome {
        let Refusal { status, why } = refusal;
        Outcome::Error {
            status,
            why,
            page: self.error_page(site, status, now),
            file: None,
        }
    }

    /// The page that a site has for a status, kept or opened; none if it is too large or cannot be
    /// read.
    fn error_page(&mut self, site: usize, status: Status, now: &Now) -> Option<Representation> {
        let path = SitePath::root().join(format!("{}.html", status.0).as_bytes());
        let raw = &path.to_url().into_bytes();
        let state = &mut self.sites[site];
        let class = Preference::PLAIN.class();
        let page = match state.cache.find(class, raw, now.turn) {
            Some(entry) => Representation::kept(&entry.meta.meta, &entry.kept),
            None => {
                let Found::File(opened) = state.site.find(&path, now.turn) else {
                    return None;
                };
                let lookup = Lookup { site, raw, now };
                let silent = &mut |_: &'static str, _: std::fmt::Arguments<'_>| ();
                self.load(None, lookup, &path, &path, opened, silent).ok()?
            }
        };
        (page.meta.size <= ERROR_PAGE_BYTES_MAX).then_some(page)
    }
}

/// A redirect to where the same stands on this site. The path is our own spelling, which begins
/// with one slash, so that it cannot name another host.
fn moved(request: &Request<'_>, to: &SitePath, why: &'static str) -> Outcome {
    let mut location = to.to_url().into_bytes();
    if let Some(query) = request.target.query {
        location.push(b'?');
        location.extend_from_slice(query);
    }
    Outcome::Redirect {
        status: Status::MOVED_PERMANENTLY,
        location,
        why: Some(why),
    }
}

/// What the conditions of a request come to, if it has any.
fn verdict(
    request: &Request<'_>,
    validators: &Validators<'_>,
    now: &Now,
    note: NoteFn<'_>,
) -> Verdict {
    if !request.has.condition {
        return Verdict::Proceed { honour_range: true };
    }
    let wall = unix_seconds(now.wall);
    evaluate(request.headers, true, validators, wall, |words| {
        note("condition", words);
    })
}

/// Which bytes of a file are asked for.
fn ranges(
    request: &Request<'_>,
    meta: &FileMeta,
    honour_range: bool,
    note: NoteFn<'_>,
) -> Selection {
    if !request.has.range {
        return Selection::Whole;
    }
    if request.method == Method::Head {
        note("range", format_args!("Range means nothing with HEAD"));
        return Selection::Whole;
    }
    if !honour_range {
        return Selection::Whole;
    }
    select(request.headers, meta.size, &meta.content_type, |words| {
        note("range", words);
    })
}
