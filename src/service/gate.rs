//! What comes before any file is looked for.
//!
//! What lives here: the policies that may answer a request by themselves, in their order. It may not know
//! connections. Invariant: whoever switched none of them on pays for one question.
//! Read next: `fallback.rs`.

use crate::protocol::http::request::{Method, Request};
use crate::protocol::http::target::SitePath;
use crate::reactor::Now;

use super::answer::Http;
use super::reply::{Reply, Wish};

impl Http {
    /// The reply to a request that no file is needed for, or none may be given for.
    pub(super) fn before(&mut self, request: &Request<'_>, wish: Wish, now: &Now) -> Option<Reply> {
        let asks = matches!(request.method, Method::Get | Method::Head);
        if asks && (self.policy.clean_urls || self.policy.redirects.is_some()) {
            // What cannot be decoded is refused further on.
            let path = SitePath::decode(request.target.path).ok()?;
            if let Some(reply) = self.redirect(request, &path, wish, now) {
                return Some(reply);
            }
            if self.policy.clean_urls {
                return self.to_clean_url(request, &path, wish, now);
            }
        }
        None
    }

    /// What the file of redirects says of this path, whether something stands there or not.
    fn redirect(
        &mut self,
        request: &Request<'_>,
        path: &SitePath,
        wish: Wish,
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
