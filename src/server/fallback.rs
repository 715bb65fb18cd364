//! What is sent where nothing stands: pages without their `.html`, the index of a single-page application, the site's
//! own error pages.
//!
//! What lives here: the second looks at the site, after the first one found nothing. It may not know connections.
//! Invariant: a second look leads to a file or to an error page, never to a third.
//! Read next: `answer.rs`.

use std::rc::Rc;

use crate::event_loop::Now;
use crate::http::accept::{TakesHtml, takes_html};
use crate::http::path::{SitePath, Target};
use crate::http::request::Request;
use crate::limits::ERROR_PAGE_BYTES_MAX;
use crate::site::Found;

use crate::server::answer::Http;
use crate::server::compressed::{Preference, Selected};
use crate::server::reply::{Draft, Reply, ResponseOptions};
use crate::server::represent::send;
use crate::server::representation::Representation;
use crate::server::story::shown;

const HTML: &[u8] = b".html";

impl Http {
    /// Nothing stands at `path`: the page of that name, else the index of the application, else 404.
    pub(crate) fn missing(
        &mut self,
        request: &Request<'_>,
        path: &SitePath,
        wish: ResponseOptions,
        now: &Now,
    ) -> Reply {
        if let Some(reply) = self.page_without_html(request, path, wish, now) {
            return reply;
        }
        if self.policy.spa
            && let Some(index) = self.index_of_all(now)
            && *path != index
            && takes_html(request.headers) == TakesHtml::ByName
        {
            return self.instead(request, &index, wish, now);
        }
        self.not_found(&Found::Missing, wish, now)
    }

    /// `/about` where `about.html` stands.
    pub(crate) fn page_without_html(
        &mut self,
        request: &Request<'_>,
        path: &SitePath,
        wish: ResponseOptions,
        now: &Now,
    ) -> Option<Reply> {
        if !self.policy.clean_urls || path.is_directory() || path.name().ends_with(HTML) {
            return None;
        }
        let page = path.with_suffix(HTML);
        self.is_file(&page, now)
            .then(|| self.instead(request, &page, wish, now))
    }

    /// `/about.html` and `/index.html` have a shorter name, and only that is used. They are found out by asking whether
    /// that name leads to the same file: where `about` is a file itself, `about.html` keeps its name.
    pub(crate) fn redirect_to_clean_url(
        &mut self,
        request: &Request<'_>,
        path: &SitePath,
        wish: ResponseOptions,
        now: &Now,
    ) -> Option<Reply> {
        let stem = path.as_bytes().strip_suffix(HTML)?;
        if path.is_directory() || !self.is_file(path, now) {
            return None;
        }
        let is_index = self
            .policy
            .indexes
            .first()
            .is_some_and(|i| i == path.name());
        let cut = if is_index {
            stem.iter().rposition(|&b| b == b'/').unwrap_or(0)
        } else {
            stem.len()
        };
        let clean = SitePath::root().join(&stem[..cut]);
        let clean = if is_index {
            clean.as_directory()
        } else {
            clean
        };
        // A file named `.html` has no other name.
        if !is_index && (clean.name().is_empty() || self.is_file(&clean, now)) {
            return None;
        }
        let why = "The address of this page has no .html at its end.";
        Some(self.moved(request, &clean, why, wish, now))
    }

    /// Ends a reply that says what is wrong: with the page that the site has for it, else with one of our own.
    pub(crate) fn finish_error(
        &mut self,
        mut reply: Draft,
        why: &str,
        wish: ResponseOptions,
        now: &Now,
    ) -> Reply {
        let page = SitePath::root().join(format!("{}.html", reply.status.0).as_bytes());
        let Some(found) = self.stored(&page, now) else {
            return reply.finish_page(Some(why), &self.policy.extra_lines, wish);
        };
        let facts = &found.facts;
        reply
            .head
            .field("Content-Type", facts.content_type.as_bytes())
            .field("X-Content-Type-Options", b"nosniff")
            .lines(&self.policy.extra_lines)
            .field_number("Content-Length", facts.size);
        send(&found, 0..facts.size, reply, wish)
    }

    /// The page at `path`, kept or opened; none if it is too large or cannot be read.
    fn stored(&mut self, path: &SitePath, now: &Now) -> Option<Representation> {
        let raw = path.to_url().into_bytes();
        let found = match self.cache.find(Preference::PLAIN.class(), &raw, now.turn) {
            Some(entry) => Representation::kept(Rc::clone(&entry.meta.facts), &entry.kept),
            None => {
                let Found::File(opened) = self.site.find(path, now.turn) else {
                    return None;
                };
                let Selected { opened, form, kept } = self.plain(path, opened);
                let date = *self.dates.header(now.wall);
                let found = Representation::load(
                    path.as_bytes(),
                    opened,
                    form,
                    &self.policy,
                    &date,
                    now.wall,
                )
                .ok()?;
                self.keep(&raw, kept, &found, now);
                found
            }
        };
        (found.facts.size <= ERROR_PAGE_BYTES_MAX).then_some(found)
    }

    /// The same request, answered with another file, under the conditions and ranges that it came with.
    fn instead(
        &mut self,
        request: &Request<'_>,
        path: &SitePath,
        wish: ResponseOptions,
        now: &Now,
    ) -> Reply {
        self.story
            .tell("answer", || format!("{} stands in for it", shown(path)));
        let raw = path.to_url();
        let target = Target {
            authority: None,
            path: raw.as_bytes(),
            query: None,
        };
        self.get(&Request { target, ..*request }, wish, now)
    }

    /// The root's index.
    fn index_of_all(&mut self, now: &Now) -> Option<SitePath> {
        for i in 0..self.policy.indexes.len() {
            let index = SitePath::root().join(&self.policy.indexes[i]);
            if self.is_file(&index, now) {
                return Some(index);
            }
        }
        None
    }

    fn is_file(&mut self, path: &SitePath, now: &Now) -> bool {
        matches!(self.site.find(path, now.turn), Found::File(_))
    }
}
