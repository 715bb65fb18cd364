//! What comes before any file is looked for.
//!
//! What lives here: the policies that may answer a request by themselves, in their order. It may not know
//! connections. Invariant: whoever switched none of them on pays for one question.
//! Read next: `fallback.rs`.

use crate::event_loop::Now;
use crate::http::basic::Credentials;
use crate::http::path::SitePath;
use crate::http::request::{Method, Request};
use crate::http::status::Status;
use crate::limits::{PREFLIGHT_SECONDS, RETRY_AFTER_SECONDS};

use crate::server::answer::{ALLOW, Http};
use crate::server::auth::Verdict;
use crate::server::reply::{Reply, ResponseOptions};

impl Http {
    /// The reply to a request that no file is needed for, or none may be given for.
    pub(crate) fn before(
        &mut self,
        request: &Request<'_>,
        wish: ResponseOptions,
        now: &Now,
    ) -> Option<Reply> {
        if let Some(auth) = &mut self.auth {
            auth.let_in = false;
        }
        let asks = matches!(request.method, Method::Get | Method::Head);
        if self.is_health_check(request) {
            self.story
                .tell("health", || "asked for by its path".to_owned());
            return Some(self.health(wish, now));
        }
        if !self.hosts.is_empty() {
            self.enter_host(request.host);
        }
        if self.policy.cors && request.method == Method::Options {
            return Some(self.preflight(wish, now));
        }
        if let Some(reply) = self.lock(request, wish, now) {
            return Some(reply);
        }
        if asks && (self.policy.clean_urls || self.policy.redirects.is_some()) {
            // What cannot be decoded is refused further on.
            let path = SitePath::decode(request.target.path).ok()?;
            if let Some(reply) = self.redirect(request, &path, wish, now) {
                return Some(reply);
            }
            if self.policy.clean_urls {
                return self.redirect_to_clean_url(request, &path, wish, now);
            }
        }
        None
    }

    /// What is said to those who have not the password (RFC 9110 §11.6.1, RFC 7617).
    pub(crate) fn lock(
        &mut self,
        request: &Request<'_>,
        wish: ResponseOptions,
        now: &Now,
    ) -> Option<Reply> {
        let auth = self.auth.as_mut()?;
        let verdict = match Credentials::read(request.headers) {
            Some(credentials) => auth.check(&credentials, now),
            None => Verdict::Wrong,
        };
        auth.let_in = verdict == Verdict::Right;
        let (status, why) = match verdict {
            Verdict::Right => return None,
            Verdict::Wrong => (
                Status::UNAUTHORIZED,
                "this site asks for a name and a password",
            ),
            Verdict::Later => (
                Status::TOO_MANY_REQUESTS,
                "too many passwords were tried; try again in a second",
            ),
        };
        let mut reply = self.draft(status, now);
        match verdict {
            Verdict::Right | Verdict::Wrong => reply.head.field(
                "WWW-Authenticate",
                b"Basic realm=\"idler\", charset=\"UTF-8\"",
            ),
            Verdict::Later => reply
                .head
                .field_number("Retry-After", RETRY_AFTER_SECONDS.into()),
        };
        Some(self.finish_error(reply, why, wish, now))
    }

    /// Who has logged in with the request that was answered last.
    pub fn user(&self, request: &Request<'_>) -> Option<Vec<u8>> {
        self.auth.as_ref().filter(|auth| auth.let_in)?;
        Credentials::read(request.headers).map(|credentials| credentials.user)
    }

    /// SIGHUP: the files that options name are read again.
    pub fn reload(&mut self) {
        self.policy.reload();
        if let Some(auth) = &mut self.auth {
            auth.reload();
        }
    }

    /// Whether somebody asks whether it is well.
    pub fn is_health_check(&self, request: &Request<'_>) -> bool {
        self.policy.health.as_deref() == Some(request.target.path)
            && matches!(request.method, Method::Get | Method::Head)
    }

    /// Whether it is well, for a load balancer: 503 from the first signal to stop on.
    fn health(&mut self, wish: ResponseOptions, now: &Now) -> Reply {
        let (status, body) = if self.stopping {
            (Status::UNAVAILABLE, &b"stopping\n"[..])
        } else {
            (Status::OK, &b"ok\n"[..])
        };
        let mut reply = self.draft(status, now);
        reply
            .head
            .field("Content-Type", b"text/plain; charset=utf-8")
            .field("X-Content-Type-Options", b"nosniff")
            .field("Cache-Control", b"no-store")
            .field_number("Content-Length", body.len() as u64);
        reply.finish(wish, Some(body))
    }

    /// What a browser asks before it lets a script of another site send what a plain link would not (Fetch standard, CORS
    /// protocol). Nothing here depends on cookies, so that anybody may read what anybody may have.
    fn preflight(&mut self, wish: ResponseOptions, now: &Now) -> Reply {
        let mut reply = self.draft(Status::NO_CONTENT, now);
        reply
            .head
            .field("Allow", ALLOW)
            .field("Access-Control-Allow-Origin", b"*")
            .field("Access-Control-Allow-Methods", ALLOW)
            // A star does not stand for Authorization.
            .field("Access-Control-Allow-Headers", b"*, Authorization")
            .field_number("Access-Control-Max-Age", PREFLIGHT_SECONDS.into());
        reply.finish(wish, None)
    }

    /// What the file of redirects says of this path, whether something stands there or not.
    fn redirect(
        &mut self,
        request: &Request<'_>,
        path: &SitePath,
        wish: ResponseOptions,
        now: &Now,
    ) -> Option<Reply> {
        let redirect = self.policy.redirects.as_ref()?.made.find(path)?;
        let status = redirect.status();
        let mut location = Vec::new();
        redirect.write_location(request.target.query, &mut location);
        let mut reply = self.draft(status, now);
        reply.head.field("Location", &location);
        Some(reply.finish_page(None, &self.policy.extra_lines, wish))
    }
}
