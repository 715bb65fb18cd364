//! When a connection may be opened, and where it comes from.
//!
//! What lives here: the pace, the sources of connections, and how a shortage is told from a refusal. It may not know who
//! is opened. Invariant: never more are due than the rate has earned.
//! Read next: `member.rs`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use rustix::io::Errno;

use crate::cli::CrowdMode;
use crate::event_loop::connect;
use crate::event_loop::connect::Manner;
use crate::limits::{CROWD_ARREARS_MAX, CROWD_RECEIVE_BUFFER_BYTES};

/// Whether this machine has no more of something.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    let shortages = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
        Errno::ADDRINUSE,
    ];
    Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}

/// How many may be opened by now.
#[derive(Debug)]
pub(super) struct Pace {
    /// In a second.
    rate: u32,
    last: Option<Instant>,
    /// Connections, in thousand millions: what a rate makes of nanoseconds.
    credit: u64,
}

/// One connection's worth of credit.
const ONE: u64 = 1_000_000_000;

impl Pace {
    pub(super) fn new(rate: u32) -> Self {
        Self {
            rate,
            last: None,
            credit: 0,
        }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        (self.last, self.credit) = (Some(now), 0);
    }

    /// How many are due. Who was held up makes up for [`CROWD_ARREARS_MAX`] at most.
    pub(super) fn due(&mut self, now: Instant) -> u32 {
        let passed = now.duration_since(self.last.replace(now).unwrap_or(now));
        let worth = |time: Duration| {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            nanos.saturating_mul(self.rate.into())
        };
        let most = worth(CROWD_ARREARS_MAX).max(ONE);
        self.credit = self.credit.saturating_add(worth(passed)).min(most);
        u32::try_from(self.credit / ONE).unwrap_or(u32::MAX)
    }

    pub(super) fn spend(&mut self, opened: u32) {
        self.credit = self.credit.saturating_sub(ONE * u64::from(opened));
    }
}

/// Where connections come from: the kernel's choice, and once its ports have run out, one loopback address after the
/// other, since each has ports of its own.
#[derive(Debug)]
pub(super) struct Sources {
    manner: Manner,
    /// The last byte of 127.0.0.x; 0 is the kernel's choice.
    last: u8,
    /// Whether there is a choice.
    many: bool,
}

impl Sources {
    pub(super) fn new(to: SocketAddr, mode: CrowdMode) -> Self {
        let sips = mode == CrowdMode::SlowRead;
        Self {
            manner: Manner {
                source: None,
                receive_buffer_bytes: sips.then_some(CROWD_RECEIVE_BUFFER_BYTES),
                // A crowd that leaves must not take its ports with it for a minute. Who comes and goes leaves like
                // everybody does.
                abrupt: !mode.comes_and_goes(),
            },
            last: 0,
            many: to.is_ipv4() && to.ip().is_loopback(),
        }
    }

    /// Starts to connect. Tries each source once at most.
    pub(super) fn start(&mut self, to: SocketAddr) -> io::Result<TcpStream> {
        let first = self.last;
        loop {
            let started = connect::start_like(to, self.manner);
            match &started {
                Err(e) if self.many && no_port_is_left(e) => self.turn(),
                Ok(_) | Err(_) => return started,
            }
            if self.last == first {
                return started;
            }
        }
    }

    fn turn(&mut self) {
        // 127.0.0.1 is what the kernel chooses, and 127.0.0.255 is left out for its looks.
        self.last = match self.last {
            0 => 2,
            last => last.wrapping_add(1) % u8::MAX,
        };
        self.manner.source = match self.last {
            0 => None,
            last => Some(Ipv4Addr::new(127, 0, 0, last).into()),
        };
        log::debug!(
            "no port is left; the next source is {:?}",
            self.manner.source
        );
    }
}

/// `bind` says it in one way, `connect` in another.
fn no_port_is_left(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::ADDRNOTAVAIL | Errno::ADDRINUSE)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_loop::clock::monotonic_now;

    #[test]
    fn the_pace_is_kept_and_arrears_are_bounded() {
        let begin = monotonic_now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut pace = Pace::new(1000);
        pace.begin(begin);
        assert_eq!(pace.due(at(0)), 0);
        assert_eq!(pace.due(at(10)), 10);
        pace.spend(4);
        assert_eq!(pace.due(at(10)), 6, "what was not opened is still due");
        pace.spend(6);
        assert_eq!(pace.due(at(5000)), 100, "not five thousand at once");
        let mut slow = Pace::new(1);
        slow.begin(begin);
        let opened: u32 = (1..=300)
            .map(|turn| {
                let due = slow.due(at(turn * 10));
                slow.spend(due);
                due
            })
            .sum();
        assert_eq!(opened, 3, "one a second, whatever the turns");
        let mut fast = Pace::new(u32::MAX);
        fast.begin(begin);
        assert!(fast.due(at(1)) > 4_000_000);
    }

    #[test]
    fn sources_go_round_and_leave_out_the_first_and_the_last() {
        let mut sources = Sources::new(([127, 0, 0, 1], 80).into(), CrowdMode::Silent);
        let mut seen = Vec::new();
        loop {
            sources.turn();
            match sources.manner.source {
                Some(source) => seen.push(source),
                None => break,
            }
        }
        assert_eq!(seen.len(), 253);
        assert_eq!(seen.first(), Some(&Ipv4Addr::new(127, 0, 0, 2).into()));
        assert_eq!(seen.last(), Some(&Ipv4Addr::new(127, 0, 0, 254).into()));
    }
}
