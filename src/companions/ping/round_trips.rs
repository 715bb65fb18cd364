//! Which reply belongs to which ping, and which pings were never answered. Each ping is answered
//! at most once; what comes again is a duplicate. Time is what has passed since the client began,
//! and is passed in.

use std::collections::VecDeque;
use std::time::Duration;

use crate::companions::ping::statistics::Statistics;
use crate::companions::ping::{reply, request, stamp_text};
use crate::limits::PING_WINDOW;

/// The pings of one client.
#[derive(Debug)]
pub(super) struct RoundTrips {
    /// How long a reply may take.
    wait: Duration,
    /// The latest pings, oldest first, at most [`PING_WINDOW`].
    pings: VecDeque<Ping>,
    /// Position in `pings` before which each has been answered or given up.
    judged: usize,
    /// The highest number that was answered.
    highest: u32,
    /// What it amounts to.
    pub(super) statistics: Statistics,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    /// From 1, without a gap.
    number: u32,
    at: Duration,
    stamp: Duration,
    state: PingState,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PingState {
    Waiting,
    GivenUp,
    Answered,
}

impl RoundTrips {
    /// No pings yet; a reply to one may take `wait`.
    pub(super) fn new(wait: Duration) -> Self {
        Self {
            wait,
            pings: VecDeque::new(),
            judged: 0,
            highest: 0,
            statistics: Statistics::default(),
        }
    }

    /// A ping leaves at `now`; `stamp` is the time since 1970. Returns its text, of `bytes` bytes
    /// at least.
    pub(super) fn send(&mut self, now: Duration, stamp: Duration, bytes: usize) -> String {
        if self.pings.len() == PING_WINDOW {
            self.pings.pop_front();
            self.judged = self.judged.saturating_sub(1);
        }
        let last = self.pings.back().map_or(0, |ping| ping.number);
        let number = last.saturating_add(1);
        self.pings.push_back(Ping {
            number,
            at: now,
            stamp,
            state: PingState::Waiting,
        });
        self.statistics.transmitted += 1;
        request(number, stamp, bytes)
    }

    /// Judges a datagram that came at `now`, and says what it is.
    pub(super) fn judge(&mut self, datagram: &[u8], now: Duration) -> String {
        let index = self.find(datagram);
        let Some(ping) = index.and_then(|index| self.pings.get_mut(index)) else {
            self.statistics.strange += 1;
            return "no reply to any of these pings".to_owned();
        };
        let rtt = now.saturating_sub(ping.at);
        let mut said = format!("seq={} time={:.3} ms", ping.number, rtt.as_secs_f64() * 1e3);
        if ping.state == PingState::Answered {
            self.statistics.duplicates += 1;
            return said + " (DUP!)";
        }
        if ping.state == PingState::GivenUp || rtt > self.wait {
            self.statistics.late += 1;
            said += " (late)";
        }
        // A later ping was answered before.
        if ping.number < self.highest {
            self.statistics.reordered += 1;
            said += " (out of order)";
        }
        ping.state = PingState::Answered;
        self.highest = self.highest.max(ping.number);
        self.statistics.answered(rtt);
        said
    }

    /// The position of the ping that a datagram answers.
    fn find(&self, datagram: &[u8]) -> Option<usize> {
        let (number, stamp) = reply(datagram)?;
        let oldest = self.pings.front()?.number;
        let index = usize::try_from(number.checked_sub(oldest)?).ok()?;
        (stamp_text(self.pings.get(index)?.stamp) == stamp).then_some(index)
    }

    /// The next ping whose time is over at `now`, if there is one. Ask until there is none.
    pub(super) fn give_up(&mut self, now: Duration) -> Option<u32> {
        if self.deadline()? > now {
            return None;
        }
        let ping = self.pings.get_mut(self.judged)?;
        ping.state = PingState::GivenUp;
        Some(ping.number)
    }

    /// When the next ping is to be given up; `None` if none is waited for. Passes over each judged
    /// ping once.
    pub(super) fn deadline(&mut self) -> Option<Duration> {
        loop {
            let ping = self.pings.get(self.judged)?;
            if ping.state == PingState::Waiting {
                return Some(ping.at.saturating_add(self.wait));
            }
            self.judged += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(1000);
    const STAMP: Duration = Duration::from_secs(1_699_999_999);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Pings sent 100 ms apart, and their replies.
    fn pings(n: u64) -> (RoundTrips, Vec<Vec<u8>>) {
        let mut trips = RoundTrips::new(WAIT);
        let replies = (0..n)
            .map(|i| trips.send(ms(100 * i), STAMP + ms(i), 0))
            .map(|text| text.to_uppercase().into_bytes())
            .collect();
        (trips, replies)
    }

    const STRANGE: &str = "no reply to any of these pings";

    fn reply(number: u32, rtt: u64, late: bool, reordered: bool) -> String {
        let late = if late { " (late)" } else { "" };
        let reordered = if reordered { " (out of order)" } else { "" };
        format!("seq={number} time={rtt}.000 ms{late}{reordered}")
    }

    #[test]
    fn a_reply_in_time_is_a_reply() {
        let (mut trips, replies) = pings(1);
        assert_eq!(trips.deadline(), Some(WAIT));
        assert_eq!(trips.judge(&replies[0], ms(3)), reply(1, 3, false, false));
        assert_eq!(trips.deadline(), None);
        assert_eq!(trips.give_up(ms(5000)), None);
        assert_eq!(trips.statistics.lost(), 0);
    }

    #[test]
    fn what_comes_again_is_a_duplicate() {
        let (mut trips, replies) = pings(1);
        let _ = trips.judge(&replies[0], ms(3));
        let again = trips.judge(&replies[0], ms(4));
        assert_eq!(again, "seq=1 time=4.000 ms (DUP!)");
        assert_eq!(trips.statistics.received, 1);
        assert_eq!(trips.statistics.duplicates, 1);
    }

    #[test]
    fn what_comes_after_a_later_one_is_out_of_order() {
        let (mut trips, replies) = pings(3);
        assert_eq!(
            trips.judge(&replies[1], ms(201)),
            reply(2, 101, false, false)
        );
        assert_eq!(
            trips.judge(&replies[0], ms(202)),
            reply(1, 202, false, true)
        );
        assert_eq!(trips.judge(&replies[2], ms(203)), reply(3, 3, false, false));
        assert_eq!(trips.statistics.reordered, 1);
        assert_eq!(trips.statistics.lost(), 0);
    }

    #[test]
    fn pings_are_given_up_in_order_and_late_replies_are_not_lost() {
        let (mut trips, replies) = pings(3);
        let _ = trips.judge(&replies[1], ms(150));
        assert_eq!(trips.give_up(ms(999)), None);
        assert_eq!(trips.give_up(ms(1200)), Some(1));
        assert_eq!(trips.deadline(), Some(ms(1200)));
        assert_eq!(trips.give_up(ms(1200)), Some(3));
        assert_eq!(trips.give_up(ms(9000)), None);
        assert_eq!(
            trips.judge(&replies[2], ms(1300)),
            reply(3, 1100, true, false)
        );
        assert_eq!(trips.statistics.late, 1);
        assert_eq!(trips.statistics.lost(), 1);
    }

    #[test]
    fn a_reply_that_was_too_slow_is_late_even_if_nobody_gave_it_up_yet() {
        let (mut trips, replies) = pings(1);
        assert_eq!(
            trips.judge(&replies[0], ms(1001)),
            reply(1, 1001, true, false)
        );
    }

    #[test]
    fn strangers_are_counted_and_change_nothing() {
        let (mut trips, replies) = pings(2);
        for strange in [
            &b"PING 1 1.000000"[..],
            b"PING 0 1699999999.000000",
            b"PING 3 1699999999.000000",
            b"PING 4294967295 1699999999.000000",
            b"",
            b"hello",
        ] {
            assert_eq!(trips.judge(strange, ms(5)), STRANGE);
        }
        assert_eq!(trips.statistics.strange, 6);
        assert_eq!(trips.statistics.received, 0);
        assert_eq!(trips.judge(&replies[0], ms(5)), reply(1, 5, false, false));
    }

    #[test]
    fn only_the_latest_are_remembered() {
        let n = PING_WINDOW as u64 + 10;
        let (mut trips, replies) = pings(n);
        assert_eq!(trips.judge(&replies[9], ms(5)), STRANGE);
        assert!(trips.judge(&replies[10], ms(5)).starts_with("seq=11 "));
        assert_eq!(trips.give_up(ms(100 * n + 2000)), Some(12));
        let given_up = std::iter::from_fn(|| trips.give_up(ms(100 * n + 2000))).count();
        assert_eq!(given_up, PING_WINDOW - 2);
        let text = trips.send(ms(100 * n), STAMP, 0);
        assert!(trips.deadline().is_some());
        let last = trips.judge(text.as_bytes(), ms(100 * n));
        assert_eq!(
            last,
            reply(u32::try_from(n).unwrap_or(0) + 1, 0, false, false)
        );
    }
}
