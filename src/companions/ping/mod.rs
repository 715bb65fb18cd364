//! UDP ping: a numbered, stamped text goes out and comes back in capitals.
//!
//! The form is that of the courses, `Ping 1 1699999999.1`: number, then seconds since 1970. Their
//! servers answer with the text in capitals, and some cut it at 1,024 bytes. So a datagram, which
//! any machine may have sent, is a reply only if number and stamp are those of a ping that went
//! out; padding does not count. Each ping is answered at most once; what comes again is a
//! duplicate. Times are what has passed since the client began, and are passed in.

pub mod client;
pub mod server;

use std::collections::VecDeque;
use std::time::Duration;

pub use crate::companions::ping::client::ask;
pub use crate::companions::ping::server::serve;

use crate::http::text::object;
use crate::limits::{DATAGRAM_BYTES_MAX, PING_WINDOW};

/// The text of a ping: number, time since 1970, and as much padding as makes it `bytes` long.
fn request(number: u32, stamp: Duration, bytes: usize) -> String {
    let mut text = format!("Ping {number} {}", stamp_text(stamp));
    let missing = bytes.min(DATAGRAM_BYTES_MAX).saturating_sub(text.len());
    if missing > 0 {
        text.push(' ');
        text.extend(std::iter::repeat_n('x', missing - 1));
    }
    text
}

/// A stamp as it is written: seconds, with six decimals.
fn stamp_text(stamp: Duration) -> String {
    format!("{}.{:06}", stamp.as_secs(), stamp.subsec_micros())
}

/// What a reply says of the ping it answers: its number, and its stamp as written.
fn reply(datagram: &[u8]) -> Option<(u32, &str)> {
    // Number and stamp stand at the start; padding need not be looked at, nor be text.
    let start = datagram.get(..64).unwrap_or(datagram);
    let end = start
        .iter()
        .position(|b| !b.is_ascii_graphic() && *b != b' ');
    let text = str::from_utf8(start.get(..end.unwrap_or(start.len()))?).ok()?;
    let mut words = text.split_ascii_whitespace();
    if !words.next()?.eq_ignore_ascii_case("ping") {
        return None;
    }
    Some((words.next()?.parse().ok()?, words.next()?))
}

/// The pings of one client.
#[derive(Default, Debug)]
struct RoundTrips {
    /// How long a reply may take.
    wait: Duration,
    /// The latest pings, oldest first, at most [`PING_WINDOW`].
    pings: VecDeque<Ping>,
    /// Position in `pings` before which each has been answered or given up.
    judged: usize,
    /// The highest number that was answered.
    highest: u32,
    /// What it amounts to.
    statistics: Statistics,
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
    fn new(wait: Duration) -> Self {
        Self {
            wait,
            ..Self::default()
        }
    }

    /// A ping leaves now, `at`; `stamp` is the time since 1970. Returns its text, of `bytes` bytes
    /// at least.
    fn send(&mut self, at: Duration, stamp: Duration, bytes: usize) -> String {
        if self.pings.len() == PING_WINDOW {
            self.pings.pop_front();
            self.judged = self.judged.saturating_sub(1);
        }
        let last = self.pings.back().map_or(0, |ping| ping.number);
        let (number, state) = (last.saturating_add(1), PingState::Waiting);
        self.pings.push_back(Ping {
            number,
            at,
            stamp,
            state,
        });
        self.statistics.transmitted += 1;
        request(number, stamp, bytes)
    }

    /// Judges a datagram that came at `now`, and says what it is.
    fn judge(&mut self, datagram: &[u8], now: Duration) -> String {
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
    fn give_up(&mut self, now: Duration) -> Option<u32> {
        if self.deadline()? > now {
            return None;
        }
        let ping = self.pings.get_mut(self.judged)?;
        ping.state = PingState::GivenUp;
        Some(ping.number)
    }

    /// When the next ping is to be given up; `None` if none is waited for. Passes over each judged
    /// ping once.
    fn deadline(&mut self) -> Option<Duration> {
        loop {
            let ping = self.pings.get(self.judged)?;
            if ping.state == PingState::Waiting {
                return Some(ping.at.saturating_add(self.wait));
            }
            self.judged += 1;
        }
    }
}

/// Counts and times of a series of pings so far.
#[derive(Clone, Default, Debug)]
struct Statistics {
    /// Pings sent.
    transmitted: u64,
    /// Pings that were answered, in time or late.
    received: u64,
    /// Further replies to a ping that had been answered.
    duplicates: u64,
    /// Replies to a ping that was sent before one that had been answered already.
    reordered: u64,
    /// Replies that came after their time.
    late: u64,
    /// Datagrams that answer no ping that is remembered.
    strange: u64,
    /// Pings that the kernel refused to send. They count as sent, and lost.
    unsent: u64,
    // Round trips of those that were answered, in milliseconds.
    min: f64,
    avg: f64,
    max: f64,
    last: f64,
    /// Squared distances from the average, summed up (Welford 1962).
    squares: f64,
    jitter: f64,
}

impl Statistics {
    /// Counts one answered ping.
    fn answered(&mut self, rtt: Duration) {
        let ms = rtt.as_secs_f64() * 1e3;
        self.received += 1;
        if self.received == 1 {
            self.min = ms;
        } else {
            // RFC 3550 §6.4.1: the difference in transit time of two packets, smoothed by 1/16.
            // Here a packet's transit is its round trip, so no clocks need to agree.
            self.jitter += ((ms - self.last).abs() - self.jitter) / 16.0;
        }
        self.min = self.min.min(ms);
        self.max = self.max.max(ms);
        self.last = ms;
        let distance = ms - self.avg;
        self.avg += distance / self.received as f64;
        self.squares += distance * (ms - self.avg);
    }

    /// Pings that were never answered.
    fn lost(&self) -> u64 {
        self.transmitted.saturating_sub(self.received)
    }

    /// The longest round trip.
    fn longest(&self) -> Duration {
        Duration::from_secs_f64(self.max / 1e3)
    }

    fn loss_percent(&self) -> f64 {
        100.0 * self.lost() as f64 / self.transmitted.max(1) as f64
    }

    /// Shortest, average and longest round trip, and how far they lie from the average (the
    /// standard deviation, which `ping` calls mdev), in milliseconds; `None` if nothing was
    /// answered.
    fn rtt(&self) -> Option<[f64; 4]> {
        let mdev = (self.squares / self.received as f64).sqrt();
        (self.received > 0).then_some([self.min, self.avg, self.max, mdev])
    }

    /// The last lines of a ping, as text.
    fn summary(&self, elapsed: Duration) -> String {
        let (sent, received, again) = (self.transmitted, self.received, self.duplicates);
        // Whole percents without decimals, others with one; never 100 for what is less.
        let loss = (self.loss_percent() * 10.0).floor() / 10.0;
        let ms = elapsed.as_millis();
        let mut text = format!(
            "{sent} packets transmitted, {received} received, +{again} duplicates, {loss}% packet \
             loss, time {ms} ms\n"
        );
        if let Some([min, avg, max, mdev]) = self.rtt() {
            text += &format!(
                "rtt min/avg/max/mdev = {min:.3}/{avg:.3}/{max:.3}/{mdev:.3} ms, \
                 jitter {:.3} ms\n",
                self.jitter
            );
        }
        let odd = [
            (self.late, "late"),
            (self.reordered, "out of order"),
            (self.strange, "from strangers"),
            (self.unsent, "not sent"),
        ];
        let odd = odd.iter().filter(|(n, _)| *n > 0);
        let odd: Vec<String> = odd.map(|(n, what)| format!("{n} {what}")).collect();
        if !odd.is_empty() {
            text += &format!("{}\n", odd.join(", "));
        }
        text
    }

    /// The same as one JSON object. Times are in milliseconds; `rtt` and `jitter_ms` are null if
    /// nothing was answered.
    fn json(&self, elapsed: Duration) -> String {
        let (mut rtt, mut jitter) = ("null".to_owned(), "null".to_owned());
        if let Some(times) = self.rtt() {
            let ms = |time: f64| format!("{time:.6}");
            let names = ["min_ms", "avg_ms", "max_ms", "mdev_ms"];
            rtt = object(&names.into_iter().zip(times.map(ms)).collect::<Vec<_>>());
            jitter = ms(self.jitter);
        }
        object(&[
            ("transmitted", self.transmitted.to_string()),
            ("received", self.received.to_string()),
            ("lost", self.lost().to_string()),
            ("loss_percent", format!("{:.3}", self.loss_percent())),
            ("duplicates", self.duplicates.to_string()),
            ("reordered", self.reordered.to_string()),
            ("late", self.late.to_string()),
            ("strange", self.strange.to_string()),
            ("unsent", self.unsent.to_string()),
            ("time_ms", elapsed.as_millis().to_string()),
            ("rtt", rtt),
            ("jitter_ms", jitter),
        ]) + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_what_the_courses_send() {
        let stamp = Duration::new(1_699_999_999, 100_000_000);
        assert_eq!(request(1, stamp, 0), "Ping 1 1699999999.100000");
        assert_eq!(request(1, stamp, 30), "Ping 1 1699999999.100000 xxxxx");
        assert_eq!(request(1, stamp, 25), "Ping 1 1699999999.100000 ");
        assert_eq!(request(1, stamp, 1_000_000).len(), DATAGRAM_BYTES_MAX);
    }

    #[test]
    fn a_reply_is_known_by_number_and_stamp() {
        let known = Some((1, "1699999999.1"));
        assert_eq!(reply(b"PING 1 1699999999.1"), known);
        assert_eq!(reply(b"ping 1  1699999999.1 xxxx"), known);
        assert_eq!(reply(b"PING 1 1699999999.1\r\n"), known);
        assert_eq!(reply(b"PING 1 1699999999.1 \xff\xff"), known);
        for strange in [
            &b""[..],
            b"PONG 1 2",
            b"PING",
            b"PING 1",
            b"PING -1 2",
            b"PING 4294967296 2",
            b"\xff\xfe",
        ] {
            assert_eq!(reply(strange), None);
        }
    }

    #[test]
    fn what_goes_out_comes_back() {
        let mut datagram = request(7, Duration::from_micros(1), 100).into_bytes();
        datagram.make_ascii_uppercase();
        assert_eq!(reply(&datagram), Some((7, "0.000001")));
    }

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

    fn seq(number: u32, rtt: u64, late: bool, reordered: bool) -> String {
        let late = if late { " (late)" } else { "" };
        let reordered = if reordered { " (out of order)" } else { "" };
        format!("seq={number} time={rtt}.000 ms{late}{reordered}")
    }

    #[test]
    fn a_reply_in_time_is_a_reply() {
        let (mut trips, replies) = pings(1);
        assert_eq!(trips.deadline(), Some(WAIT));
        assert_eq!(trips.judge(&replies[0], ms(3)), seq(1, 3, false, false));
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
        assert_eq!(trips.judge(&replies[1], ms(201)), seq(2, 101, false, false));
        assert_eq!(trips.judge(&replies[0], ms(202)), seq(1, 202, false, true));
        assert_eq!(trips.judge(&replies[2], ms(203)), seq(3, 3, false, false));
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
            seq(3, 1100, true, false)
        );
        assert_eq!(trips.statistics.late, 1);
        assert_eq!(trips.statistics.lost(), 1);
    }

    #[test]
    fn a_reply_that_was_too_slow_is_late_even_if_nobody_gave_it_up_yet() {
        let (mut trips, replies) = pings(1);
        assert_eq!(
            trips.judge(&replies[0], ms(1001)),
            seq(1, 1001, true, false)
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
        assert_eq!(trips.judge(&replies[0], ms(5)), seq(1, 5, false, false));
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
            seq(u32::try_from(n).unwrap_or(0) + 1, 0, false, false)
        );
    }

    fn of(millis: &[u64]) -> Statistics {
        let mut s = Statistics::default();
        for &ms in millis {
            s.transmitted += 1;
            s.answered(Duration::from_millis(ms));
        }
        s
    }

    #[test]
    fn nothing_answered_has_no_times() {
        let s = Statistics {
            transmitted: 3,
            ..Statistics::default()
        };
        assert_eq!(s.rtt(), None);
        assert_eq!(
            s.summary(Duration::from_millis(2500)),
            "3 packets transmitted, 0 received, +0 duplicates, 100% packet loss, time 2500 ms\n"
        );
        assert!(s.json(Duration::ZERO).contains("\"rtt\": null"));
        let none = Statistics::default().summary(Duration::ZERO);
        assert!(none.contains(" 0% packet loss"), "{none}");
    }

    #[test]
    fn average_deviation_and_jitter_are_right() {
        let s = of(&[10, 20, 40, 10]);
        let Some([min, avg, max, mdev]) = s.rtt() else {
            panic!("four were answered");
        };
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}");
        near(min, 10.0);
        near(max, 40.0);
        near(avg, 20.0);
        near(mdev, 150_f64.sqrt());
        // |D| = 10, 20, 30: J = 10/16, then += (20 - J)/16, then += (30 - J)/16.
        let j = 10.0 / 16.0;
        let j = j + (20.0 - j) / 16.0;
        let j = j + (30.0 - j) / 16.0;
        near(s.jitter, j);
    }

    #[test]
    fn the_summary_reads_like_that_of_ping() {
        let mut s = of(&[1, 1]);
        s.transmitted = 3;
        s.duplicates = 1;
        s.late = 1;
        s.strange = 2;
        assert_eq!(
            s.summary(Duration::from_secs(2)),
            "3 packets transmitted, 2 received, +1 duplicates, 33.3% packet loss, time 2000 ms\n\
             rtt min/avg/max/mdev = 1.000/1.000/1.000/0.000 ms, jitter 0.000 ms\n\
             1 late, 2 from strangers\n"
        );
        assert_eq!(
            s.json(Duration::from_secs(2)),
            "{\"transmitted\": 3, \"received\": 2, \"lost\": 1, \"loss_percent\": 33.333, \
             \"duplicates\": 1, \"reordered\": 0, \"late\": 1, \"strange\": 2, \"unsent\": 0, \
             \"time_ms\": 2000, \"rtt\": {\"min_ms\": 1.000000, \"avg_ms\": 1.000000, \
             \"max_ms\": 1.000000, \"mdev_ms\": 0.000000}, \"jitter_ms\": 0.000000}\n"
        );
    }

    #[test]
    fn a_loss_of_less_than_all_is_never_written_as_all() {
        let mut s = of(&[1]);
        s.transmitted = 10_000;
        assert!(s.summary(Duration::ZERO).contains(" 99.9% packet loss"));
        s.transmitted = 10;
        assert!(s.summary(Duration::ZERO).contains(" 90% packet loss"));
    }
}
