//! What has happened, counted.
//!
//! What lives here: plain numbers. They may not cost anything that a request could feel.
//! Read next: `http_server.rs`.

use crate::protocol::http::status::Status;

/// Why a connection was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Close {
    /// As agreed, after the last reply.
    Done,
    /// The client hung up between requests.
    Peer,
    /// The client hung up in the middle of a request.
    CutOff,
    /// `--idle-timeout`.
    Idle,
    /// `--head-timeout`.
    HeadTimeout,
    /// `--stall-timeout`, or slower than the least rate.
    Stalled,
    /// The body of a request broke a rule.
    Malformed,
    /// The file became shorter than promised.
    FileShrank,
    /// An error of the socket.
    Error,
    /// The server stops.
    Shutdown,
    /// Dropped to make room for a newcomer.
    MadeRoom,
}

impl Close {
    const COUNT: usize = Self::MadeRoom as usize + 1;
}

/// See the module.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused with 503, for want of room.
    pub refused: u64,
    /// Connections closed at once: their address is not in `--allow`.
    pub strangers: u64,
    /// Connections refused with 503: `--max-per-address`.
    pub crowding: u64,
    closes: [u64; Close::COUNT],
    replies: [u64; 6],
    bytes_sent: u64,
}

impl Counters {
    /// A connection was closed.
    pub fn close(&mut self, why: Close) {
        self.closes[why as usize] += 1;
    }

    /// How many were closed for this reason.
    pub fn closed(&self, why: Close) -> u64 {
        self.closes[why as usize]
    }

    /// A reply was begun.
    pub fn reply(&mut self, status: Status) {
        if let Some(count) = self.replies.get_mut(usize::from(status.0 / 100)) {
            *count += 1;
        }
    }

    /// Bytes went out.
    pub fn sent(&mut self, bytes: usize) {
        self.bytes_sent += bytes as u64;
    }
}
