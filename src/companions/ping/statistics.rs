//! What a series of pings amounts to: counts, round-trip times and jitter, in constant memory
//! however many pings.

use std::time::Duration;

use crate::http::text::object;

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
    pub(super) fn answered(&mut self, rtt: Duration) {
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
    pub(super) fn lost(&self) -> u64 {
        self.transmitted.saturating_sub(self.received)
    }

    /// The longest round trip.
    pub(super) fn longest(&self) -> Duration {
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
    pub(super) fn json(&self, elapsed: Duration) -> String {
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
