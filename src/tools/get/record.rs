//! How an answer came about: its phases, its steps, its heads.
//!
//! What lives here: what `-t` and `-v` show. It may not know what is done with the answer.
//! Invariant: what a server sent cannot disturb the terminal. Read next: `hearing.rs`.

use std::time::{Duration, Instant};

use crate::event_loop::clock::monotonic_now;
use crate::http::printable::printable;

use crate::log::logger;

/// How it went.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) started: Instant,
    pub(super) resolved: Duration,
    pub(super) connected: Option<Duration>,
    pub(super) first_byte: Option<Duration>,
    pub(super) reads: u32,
    pub(super) would_blocks: u32,
    pub(super) events: u32,
}

impl Record {
    pub(super) fn passed(&self) -> Duration {
        monotonic_now().duration_since(self.started)
    }

    pub(super) fn say(&self) {
        let phase = |time: Option<Duration>| {
            time.map_or_else(
                || "-".to_owned(),
                |t| format!("{:.3} ms", t.as_secs_f64() * 1e3),
            )
        };
        logger::say(&format!(
            "* resolve {}, connect {}, first-byte {}, total {}",
            phase(Some(self.resolved)),
            phase(self.connected),
            phase(self.first_byte),
            phase(Some(self.passed()))
        ));
        let count = |n: u32, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        logger::say(&format!(
            "* {}, {}, {}",
            count(self.reads, "read"),
            count(self.would_blocks, "would-block"),
            count(self.events, "readiness event")
        ));
    }
}

/// Shows a head, line by line, as it was sent or received, but for what could disturb the terminal.
pub(super) fn show(sign: &str, head: &[u8]) {
    for line in head.split_inclusive(|b| *b == b'\n') {
        logger::say(&format!("{sign} {}", printable(line)));
    }
}
