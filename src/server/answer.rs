//! From a request to its outcome: all policies, in their order.
//!
//! `Server::resolve` decides, `Http::respond` (in `respond.rs`) writes what was decided, and
//! neither calls the other. A small file that was served before costs one look into the cache:
//! nothing is decoded, opened or formatted for it.

use std::fmt::Display;
use std::io;
use std::rc::Rc;

use crate::event_loop::{Now, PeerAddress};
use crate::http::accept::{AcceptEncoding, names_html, prefers_json};
use crate::http::conditional::{Validators, Verdict, evaluate};
use crate::http::date::unix_seconds;
use crate::http::path::SitePath;
use crate::http::range::{Multipart, Selection, select};
use crate::http::request::{Method, Request};
use crate::http::status::{Refusal, Status};
use crate::pages::ListingQuery;
use crate::site::Found;
use crate::site::cache::{Content, FileMeta, Representation};
use crate::site::open::Opened;

use crate::server::counters::NOT_SHOWN;
use crate::server::outcome::{self, DirectoryList, NoteFn, Outcome, Part, display, display_found};
use crate::server::representation::{PLAIN_CLASS, Preference, Selected};
use crate::server::sites::{DEFAULT_SITE, index_for};
use crate::server::{Http, Server};

const HTML: &[u8] = b".html";

/// A request, and what it takes to decide what it gets.
struct Ask<'a> {
    http: &'a mut Http,
    request: &'a Request<'a>,
    site: usize,
    now: &'a Now,
    notes: NoteFn<'a>,
    /// What its Accept-Encoding comes to, if the cache was asked for that.
    preference: Option<Preference>,
}

impl Server {
    /// Decides what a request gets, and names the `user` that sent it. `client` is the one that a
    /// trusted proxy speaks for; `peer` asks for the other end of the connection. Bounded by the
    /// cost of opening a few paths, and of reading one small file.
    pub(crate) fn resolve(
        &mut self,
        request: &Request<'_>,
        client: Option<PeerAddress>,
        peer: &dyn Fn() -> PeerAddress,
        user: &mut Option<Box<[u8]>>,
        now: &Now,
        notes: NoteFn<'_>,
    ) -> Outcome {
        let precedes_files = self.http.policy.precedes_files;
        let mut ask = Ask {
            http: &mut self.http,
            request,
            site: DEFAULT_SITE,
            now,
            notes,
            preference: None,
        };
        let asks_for_file = matches!(request.method, Method::Get | Method::Head);
        if precedes_files {
            ask.site = index_for(&ask.http.sites, request.host);
            if client.is_some_and(|client| !self.client_limits.allows(client)) {
                return ask.error(outcome::NOT_ALLOWED);
            }
            if let Some(status) = &self.status
                && status.is_meant(request)
            {
                if status.is_shown_to(request, client, peer) {
                    let locked = ask.authenticate(user);
                    return locked.unwrap_or_else(|| self.metrics_for(request, now));
                }
                ask.note("status", NOT_SHOWN);
            }
            if ask.http.policy.is_health_check(request) {
                ask.note("health", "asked for by its path");
                return outcome::health(ask.http.stopping);
            }
            // Browsers ask without the password whether a script may ask.
            if ask.http.policy.cors && request.method == Method::Options {
                return Outcome::Methods { preflight: true };
            }
            if let Some(locked) = ask.authenticate(user) {
                return locked;
            }
            if asks_for_file && let Some(redirect) = ask.redirect() {
                return redirect;
            }
        }
        if asks_for_file && let Some(outcome) = ask.cached(request.target.path) {
            return outcome;
        }
        match request.method {
            Method::Get | Method::Head => ask.file(request.target.path),
            Method::Options => Outcome::Methods { preflight: false },
            Method::Other => ask.error(outcome::METHOD_NOT_ALLOWED),
            Method::Unknown => ask.error(outcome::METHOD_NOT_KNOWN),
        }
    }
}

impl Ask<'_> {
    fn note(&mut self, topic: &'static str, words: impl Display) {
        (self.notes)(topic, format_args!("{words}"));
    }

    fn error(&mut self, refusal: Refusal) -> Outcome {
        self.note("answer", refusal.why);
        self.http.error(self.site, refusal, self.now)
    }

    /// What a request gets that does not bring the right password; else names its `user`.
    fn authenticate(&mut self, user: &mut Option<Box<[u8]>>) -> Option<Outcome> {
        let auth = self.http.auth.as_mut()?;
        match auth.user_of(self.request.headers, self.now) {
            Ok(name) => {
                *user = Some(name);
                None
            }
            Err(refusal) => Some(self.http.error(self.site, refusal, self.now)),
        }
    }

    /// Where a path leads by the file of redirects, whether something stands there or not; else
    /// where a page has a shorter name. A path that cannot be decoded is refused later.
    fn redirect(&mut self) -> Option<Outcome> {
        let policy = &self.http.policy;
        if policy.redirects.is_none() && !policy.clean_urls {
            return None;
        }
        let path = SitePath::decode(self.request.target.path).ok()?;
        let redirects = policy.redirects.as_ref();
        if let Some(redirect) = redirects.and_then(|redirects| redirects.made.find(&path)) {
            return Some(Outcome::Redirect {
                status: redirect.status(),
                location: redirect.location(self.request.target.query).into_bytes(),
                why: None,
            });
        }
        let clean = self.clean_url(&path)?;
        Some(self.moved(&clean, "The address of this page has no .html at its end."))
    }

    /// `/about.html` and `/index.html` have a shorter name, and only that is used. They are found
    /// out by asking whether that name leads to the same file: where `about` is a file itself,
    /// `about.html` keeps its name.
    fn clean_url(&mut self, path: &SitePath) -> Option<SitePath> {
        if !self.http.policy.clean_urls || path.is_directory() {
            return None;
        }
        let stem = path.as_bytes().strip_suffix(HTML)?;
        if !self.is_file(path) {
            return None;
        }
        if self.http.policy.is_first_index(path) {
            return Some(path.parent());
        }
        let clean = SitePath::root().join(stem);
        // A file named `.html` has no other name.
        let keeps_name = clean.name().is_empty() || self.is_file(&clean);
        (!keeps_name).then_some(clean)
    }

    /// A redirect to where the same stands on this site. The path is our own spelling, which begins
    /// with one slash, so that it cannot name another host.
    fn moved(&self, to: &SitePath, why: &'static str) -> Outcome {
        let mut location = to.to_url().into_bytes();
        if let Some(query) = self.request.target.query {
            location.push(b'?');
            location.extend_from_slice(query);
        }
        Outcome::Redirect {
            status: Status::MOVED_PERMANENTLY,
            location,
            why: Some(why),
        }
    }

    /// What was served for this path before, if it is still so.
    fn cached(&mut self, raw: &[u8]) -> Option<Outcome> {
        let class = if self.request.has.accept_encoding {
            self.class(raw)
        } else {
            PLAIN_CLASS
        };
        let cache = &mut self.http.sites[self.site].cache;
        let file = cache.find(class, raw, self.now.turn)?;
        if let Content::Whole(reply, head_len) = &mut file.content {
            self.http.dates.stamp(reply, self.now.wall);
            if !self.request.has.condition && !self.request.has.range {
                let (reply, head_len) = (Rc::clone(reply), *head_len);
                return Some(Outcome::Kept { reply, head_len });
            }
        }
        let file = file.clone();
        Some(self.part_of(file))
    }

    /// The class of the cache in which the answer to a request that accepts codings may stand. A
    /// file that has no variants is kept in the class of plain bytes alone. Of an empty cache it
    /// does not matter, so that `explain` hears of codings where a variant is chosen.
    fn class(&mut self, raw: &[u8]) -> usize {
        let cache = &self.http.sites[self.site].cache;
        let plain = cache.peek(PLAIN_CLASS, raw);
        if cache.count() == 0 || plain.is_some_and(|meta| !meta.varies) {
            return PLAIN_CLASS;
        }
        let accept = AcceptEncoding::read(self.request.headers, |_| ());
        self.preference.insert(Preference::of(&accept)).class()
    }

    /// Of a file that was just opened at `path`, the variant that the client wants.
    fn select(&mut self, path: &SitePath, opened: Opened) -> Selected {
        let varies = self.http.varies(self.site, path);
        let plain = Selected::plain(path, opened, varies);
        if !varies {
            self.note("encoding", "files of this kind have no siblings");
            return plain;
        }
        let headers = self.request.headers;
        let preference = self.preference.unwrap_or_else(|| {
            let notes = &mut *self.notes;
            Preference::of(&AcceptEncoding::read(headers, |words| {
                notes("encoding", words)
            }))
        });
        let state = &mut self.http.sites[self.site];
        state.choose(preference, plain, self.now.turn, self.notes)
    }

    /// What stands at a path: a file, its index, a list, what stands in for it, or an error.
    fn file(&mut self, raw: &[u8]) -> Outcome {
        let asked = match SitePath::decode(raw) {
            Ok(path) => path,
            Err(refusal) => return self.error(refusal),
        };
        self.note("path", display(&asked));
        let (path, found) = self.find(&asked);
        match found {
            Found::File(opened) => {
                // Only the canonical URL is cached; otherwise a client could fill the cache with
                // aliases of one file. And an index that is not the first choice would have to give
                // way as soon as a better one appears.
                let is_first = asked == path || self.http.policy.is_first_index(&path);
                let is_canonical = is_first && raw == asked.to_url().as_bytes();
                let keep_as = is_canonical.then_some(raw);
                let selected = self.select(&path, opened);
                let loaded = self
                    .http
                    .load(self.site, &path, selected, keep_as, self.now);
                return match loaded {
                    Ok(file) => self.part_of(file),
                    Err(e) => self.unreadable("read", &e, outcome::UNREADABLE),
                };
            }
            Found::Directory(opened) if asked.is_directory() && self.http.policy.listing => {
                return self.list(asked, opened);
            }
            Found::Directory(_) if asked.is_directory() => {
                self.note("answer", "directories are not listed");
            }
            Found::Directory(_) => {
                if let Some(page) = self.page_without_html(&asked) {
                    return self.stand_in(&page);
                }
                // Relative links would lead astray otherwise.
                let words = "a redirect: the address of a directory ends in a slash";
                self.note("answer", words);
                let why = "The address of a directory ends in a slash.";
                return self.moved(&asked.as_directory(), why);
            }
            Found::Missing(_) => {}
            Found::Forbidden => return self.error(outcome::FORBIDDEN),
            Found::Later(e) => {
                return self.unreadable("opened at present", &e, outcome::NOT_AT_PRESENT);
            }
            Found::Failed(e) => return self.unreadable("read", &e, outcome::UNREADABLE),
        }
        if let Some(page) = self.page_without_html(&asked) {
            return self.stand_in(&page);
        }
        if self.http.policy.spa
            && let Some(index) = self.index_of_root()
            && asked != index
            && names_html(self.request.headers)
        {
            return self.stand_in(&index);
        }
        self.error(outcome::MISSING)
    }

    /// What stands at `path`; of a directory, the first of its indexes.
    fn find(&mut self, path: &SitePath) -> (SitePath, Found) {
        let site = &mut self.http.sites[self.site].site;
        let found = site.find(path, self.now.turn);
        (self.notes)("found", format_args!("{}", display_found(path, &found)));
        if matches!(found, Found::Directory(_)) && path.is_directory() {
            for name in &self.http.policy.indexes {
                let index = path.join(name);
                let found = site.find(&index, self.now.turn);
                (self.notes)("found", format_args!("{}", display_found(&index, &found)));
                if !matches!(found, Found::Missing(_) | Found::Directory(_)) {
                    return (index, found);
                }
            }
        }
        (path.clone(), found)
    }

    /// How much of a file is sent: conditions first, then ranges (RFC 9110 §13.2.2, §14.2).
    fn part_of(&mut self, file: Representation) -> Outcome {
        let meta = &file.meta;
        let validators = Validators {
            etag: Some(&meta.etag),
            last_modified: meta.modified,
        };
        let part = match self.verdict(&validators) {
            Verdict::NotModified => Part::NotModified,
            Verdict::Failed => {
                return Outcome::Error {
                    refusal: outcome::CONDITION_FAILED,
                    page: None,
                    file: Some(file.meta),
                };
            }
            Verdict::Proceed { honour_range } => match self.ranges(meta, honour_range) {
                Selection::Whole => match &file.content {
                    Content::Whole(reply, head_len) => {
                        let (reply, head_len) = (Rc::clone(reply), *head_len);
                        return Outcome::Kept { reply, head_len };
                    }
                    Content::File(_) => Part::Whole,
                },
                Selection::One(span) => Part::One(span),
                Selection::Several(spans) => {
                    let boundary = self.http.boundaries.draw();
                    let parts = Multipart::new(spans, &meta.content_type, boundary, meta.size);
                    Part::Several(Box::new(parts))
                }
                Selection::Unsatisfiable => {
                    let refusal = outcome::NO_SUCH_RANGE;
                    return Outcome::Error {
                        refusal,
                        page: self.http.error_page(self.site, refusal.status, self.now),
                        file: Some(file.meta),
                    };
                }
            },
        };
        Outcome::File { file, part }
    }

    /// What the conditions of the request come to.
    fn verdict(&mut self, validators: &Validators<'_>) -> Verdict {
        if !self.request.has.condition {
            return Verdict::Proceed { honour_range: true };
        }
        let now = unix_seconds(self.now.wall);
        evaluate(self.request.headers, validators, now, |words| {
            (self.notes)("condition", words);
        })
    }

    /// Which bytes of a file the request asks for.
    fn ranges(&mut self, meta: &FileMeta, honour_range: bool) -> Selection {
        if !self.request.has.range {
            return Selection::Whole;
        }
        if self.request.method == Method::Head {
            self.note("range", "Range means nothing with HEAD");
            return Selection::Whole;
        }
        if !honour_range {
            return Selection::Whole;
        }
        let headers = self.request.headers;
        select(headers, meta.size, &meta.content_type, |words| {
            (self.notes)("range", words);
        })
    }

    fn list(&mut self, path: SitePath, opened: Opened) -> Outcome {
        self.note("answer", "a listing");
        let mut query = ListingQuery::parse(self.request.target.query.unwrap_or_default());
        // `?json` counts whatever the fields say.
        let negotiated = !query.json;
        query.json = query.json || prefers_json(self.request.headers);
        // A listing has no validators, but it is there: conditions on `*` hold.
        let not_modified = match self.verdict(&Validators::default()) {
            Verdict::Proceed { .. } => false,
            Verdict::NotModified => true,
            Verdict::Failed => return self.error(outcome::CONDITION_FAILED),
        };
        Outcome::Directory(Box::new(DirectoryList {
            directory: opened.file.into(),
            path,
            site: self.site,
            shows_hidden: self.http.sites[self.site].site.hidden,
            query,
            negotiated,
            not_modified,
        }))
    }

    /// The same request, answered with another file, under its conditions and ranges. That file is
    /// there, so that nothing stands in for it in turn.
    fn stand_in(&mut self, path: &SitePath) -> Outcome {
        self.note("answer", format_args!("{} stands in for it", display(path)));
        let raw = path.to_url();
        let cached = self.cached(raw.as_bytes());
        cached.unwrap_or_else(|| self.file(raw.as_bytes()))
    }

    /// `about.html`, where it stands and `/about` is asked for.
    fn page_without_html(&mut self, path: &SitePath) -> Option<SitePath> {
        if !self.http.policy.clean_urls || path.is_directory() || path.name().ends_with(HTML) {
            return None;
        }
        let page = path.with_suffix(HTML);
        self.is_file(&page).then_some(page)
    }

    /// The root's index, which is a single-page application.
    fn index_of_root(&mut self) -> Option<SitePath> {
        let site = &mut self.http.sites[self.site].site;
        let indexes = self.http.policy.indexes.iter();
        indexes
            .map(|name| SitePath::root().join(name))
            .find(|index| matches!(site.find(index, self.now.turn), Found::File(_)))
    }

    fn is_file(&mut self, path: &SitePath) -> bool {
        let site = &mut self.http.sites[self.site].site;
        matches!(site.find(path, self.now.turn), Found::File(_))
    }

    /// Warns, since this is not the client's fault.
    fn unreadable(&mut self, what: &str, error: &io::Error, refusal: Refusal) -> Outcome {
        if self.http.warnings.is_due(self.now) {
            log::warn!("a file cannot be {what}: {error}");
        }
        self.error(refusal)
    }
}
