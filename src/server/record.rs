//! What is noted down of a request for the access log.
//!
//! What lives here: a copy of the few words of a request that its log line needs, since the request itself is gone when the
//! reply is complete. Made only if there is a log. Read next: `access_log.rs`.

use std::time::Instant;

use crate::event_loop::Now;
use crate::http::request::Request;
use crate::http::status::Status;

use crate::server::client_addr::Client;
use crate::server::dates::unix_seconds;
use crate::server::log_entry::Entry;

/// See the module.
#[derive(Debug)]
pub struct Record {
    peer: Client,
    user: Option<Vec<u8>>,
    request: Vec<u8>,
    referer: Option<Vec<u8>>,
    user_agent: Option<Vec<u8>>,
    status: Status,
    begun: Instant,
}

impl Record {
    /// Of a request that was understood. `user` is whoever has logged in with it.
    pub fn of(
        peer: Client,
        user: Option<Vec<u8>>,
        request: &Request<'_>,
        status: Status,
        now: &Now,
    ) -> Box<Self> {
        let version: &[u8] = if request.minor == 0 {
            b" HTTP/1.0"
        } else {
            b" HTTP/1.1"
        };
        Box::new(Self {
            peer,
            user,
            request: [
                request.method_name.as_bytes(),
                b" ",
                request.raw_target,
                version,
            ]
            .concat(),
            referer: request.value("Referer").map(<[u8]>::to_vec),
            user_agent: request.value("User-Agent").map(<[u8]>::to_vec),
            status,
            begun: now.instant,
        })
    }

    /// Of one that was not: its first line, whatever it says.
    pub fn of_refusal(peer: Client, head: &[u8], status: Status, now: &Now) -> Box<Self> {
        let line = head
            .split(|&b| b == b'\n')
            .map(<[u8]>::trim_ascii)
            .find(|line| !line.is_empty());
        Box::new(Self {
            peer,
            user: None,
            request: line.unwrap_or_default().to_vec(),
            referer: None,
            user_agent: None,
            status,
            begun: now.instant,
        })
    }

    /// Its log entry, once `body_bytes` have gone out.
    pub fn entry(&self, body_bytes: u64, now: &Now) -> Entry<'_> {
        Entry {
            peer: self.peer,
            user: self.user.as_deref(),
            time_unix: unix_seconds(now.wall),
            request: &self.request,
            status: self.status.0,
            body_bytes,
            referer: self.referer.as_deref(),
            user_agent: self.user_agent.as_deref(),
            duration: now.instant.saturating_duration_since(self.begun),
        }
    }
}
