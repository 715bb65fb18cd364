//! What a series of pings amounts to: counts, round-trip times and jitter, in constant memory
//! however many pings.

use std::time::Duration;

use crate::http::json::object;

/// Counts and times of a series of pings so far.
#[derive(Clone, Default, Debug)]
pub(super) struct Statistics {
    /// Pings sent.
    pub(super) transmitted: u64,
    /// Pings that were answered, in time or late.
    pub(super) received: u64,
    /// Further replies to a ping that had been answered.
    pub(super) duplicates: u64,
    /// Replies to a ping that was sent before one that had been answered already.
    pub(super) reordered: u64,
    /// Replies that came after their time.
    pub(super) late: u64,
    /// Datagrams that answer no ping that is remembered.
    pub(super) strange: u64,
    /// Pings that the kernel refused to send. They count as sent, and lost.
    pub(super) unsent: u64,
    shortest: Duration,
    longest: Duration,
    last: Duration,
    nanos: u128,
    nanos_squared: u128,
    jitter_nanos: f64,
}

impl Statistics {
    /// Counts one answered ping.
    pub(super) fn answered(&mut self, rtt: Duration) {
        let nanos = rtt.as_nanos();
        if self.received == 0 {
            self.shortest = rtt;
        } else {
            // RFC 3550 §6.4.1: the difference in transit time of two packets, smoothed by 1/16.
            // Here a packet's transit is its round trip, so no clocks need to agree.
            let difference = nanos_f64(rtt.abs_diff(self.last).as_nanos());
            self.jitter_nanos += (difference - self.jitter_nanos) / 16.0;
        }
        self.received += 1;
        self.shortest = self.shortest.min(rtt);
        self.longest = self.longest.max(rtt);
        self.last = rtt;
        self.nanos += nanos;
        self.nanos_squared = self.nanos_squared.saturating_add(nanos * nanos);
    }

    /// Pings that were never answered.
    pub(super) fn lost(&self) -> u64 {
        self.transmitted.saturating_sub(self.received)
    }

    /// Lost pings, in percent of those sent.
    pub(super) fn loss_percent(&self) -> f64 {
        100.0 * nanos_f64(self.lost().into()) / nanos_f64(self.transmitted.max(1).into())
    }

    /// The longest round trip.
    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// Shortest, average and longest round trip, and how far they lie from the average (the
    /// standard deviation, which `ping` calls mdev), in milliseconds; `None` if nothing was
    /// answered.
    pub(super) fn rtt(&self) -> Option<Rtt> {
        if self.received == 0 {
            return None;
        }
        let n = nanos_f64(self.received.into());
        let avg = nanos_f64(self.nanos) / n;
        let variance = nanos_f64(self.nanos_squared) / n - avg * avg;
        Some(Rtt {
            min: self.shortest.as_secs_f64() * 1e3,
            avg: avg / 1e6,
            max: self.longest.as_secs_f64() * 1e3,
            mdev: variance.max(0.0).sqrt() / 1e6,
            jitter: self.jitter_nanos / 1e6,
        })
    }

    /// The last lines of a ping, as text.
    pub(super) fn summary(&self, elapsed: Duration) -> String {
        let Self {
            transmitted,
            received,
            duplicates,
            ..
        } = self;
        // Whole percents without decimals, others with one; never 100 for what is less.
        let loss = (self.loss_percent() * 10.0).floor() / 10.0;
        let ms = elapsed.as_millis();
        let mut text = format!(
            "{transmitted} packets transmitted, {received} received, +{duplicates} duplicates, \
             {loss}% packet loss, time {ms} ms\n"
        );
        if let Some(r) = self.rtt() {
            text += &format!(
                "rtt min/avg/max/mdev = {:.3}/{:.3}/{:.3}/{:.3} ms, jitter {:.3} ms\n",
                r.min, r.avg, r.max, r.mdev, r.jitter
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
    pub(super) fn json(&self, elapsed: Duration) -> String {
        let (mut rtt, mut jitter) = ("null".to_owned(), "null".to_owned());
        if let Some(r) = self.rtt() {
            let ms = |time: f64| format!("{time:.6}");
            rtt = object(&[
                ("min_ms", ms(r.min)),
                ("avg_ms", ms(r.avg)),
                ("max_ms", ms(r.max)),
                ("mdev_ms", ms(r.mdev)),
            ]);
            jitter = ms(r.jitter);
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

/// Round-trip times, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Rtt {
    /// The shortest.
    pub(super) min: f64,
    /// The average.
    pub(super) avg: f64,
    /// The longest.
    pub(super) max: f64,
    /// The standard deviation.
    pub(super) mdev: f64,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub(super) jitter: f64,
}

fn nanos_f64(n: u128) -> f64 {
    // Exact up to 2⁵³, a hundred days in nanoseconds.
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let rtt = of(&[10, 20, 40, 10]).rtt();
        let Some(rtt) = rtt else {
            panic!("four were answered");
        };
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}");
        near(rtt.min, 10.0);
        near(rtt.max, 40.0);
        near(rtt.avg, 20.0);
        near(rtt.mdev, 150_f64.sqrt());
        // |D| = 10, 20, 30: J = 10/16, then += (20 - J)/16, then += (30 - J)/16.
        let j = 10.0 / 16.0;
        let j = j + (20.0 - j) / 16.0;
        let j = j + (30.0 - j) / 16.0;
        near(rtt.jitter, j);
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
