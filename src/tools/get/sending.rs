//! The requests of `idler get` on their way out: at once, or slowly on purpose.
//!
//! What lives here: what may be sent when. It may not know the socket. Invariant: a request goes out whole and in order.
//! Read next: `hearing.rs`.

use std::time::Duration;

use crate::event_loop::Tick;

use crate::tools::get::record::show;

/// What is still to be said.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) request: Vec<u8>,
    pub(super) last_request: Vec<u8>,
    /// Requests that are still to be put into `bytes`.
    pub(super) left: u32,
    pub(super) bytes: Vec<u8>,
    pub(super) sent: usize,
    pub(super) chunk: Option<usize>,
    pub(super) delay: Duration,
    /// When the next piece may go out.
    pub(super) not_before: Option<Tick>,
    pub(super) pipeline: bool,
    pub(super) verbose: bool,
}

impl Sending {
    /// Puts the next requests into what is to be sent.
    pub(super) fn queue(&mut self, requests: u32) {
        for _ in 0..requests.min(self.left) {
            self.left -= 1;
            let request = if self.left == 0 {
                &self.last_request
            } else {
                &self.request
            };
            if self.verbose {
                show(">", request);
            }
            self.bytes.extend_from_slice(request);
        }
    }

    /// What may be sent now.
    pub(super) fn piece(&self, now: Tick) -> Option<&[u8]> {
        if self.not_before.is_some_and(|tick| !tick.is_due(now)) {
            return None;
        }
        let rest = self
            .bytes
            .get(self.sent..)
            .filter(|rest| !rest.is_empty())?;
        let chunk = self.chunk.unwrap_or(rest.len()).max(1);
        Some(rest.get(..chunk).unwrap_or(rest))
    }

    pub(super) fn sent(&mut self, bytes: usize, now: Tick) {
        self.sent += bytes;
        self.not_before = None;
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        } else if self.chunk.is_some() {
            self.not_before = Some(now.after(self.delay));
        }
    }

    /// Nobody hears it any more.
    pub(super) fn give_up(&mut self) {
        self.bytes.clear();
        self.sent = 0;
        self.not_before = None;
    }
}
