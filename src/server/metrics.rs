//! idler's own figures: one table, written as text for Prometheus, as JSON, and as lines for
//! standard error.
//!
//! What one form shows, all show; only lines leave out what is 0. Names follow Prometheus: base
//! units, `_total` for what only grows, `process_` for what every process has, so that ready-made
//! dashboards and alarms find it.

use std::time::{Duration, UNIX_EPOCH};

use crate::event_loop::Now;
use crate::event_loop::clock::Histogram;
use crate::http::accept::prefers_json;
use crate::http::request::Request;
use crate::http::status::Status;
use crate::log::logger;
use crate::pages::ListingQuery;
use crate::server::Server;
use crate::server::counters::{Close, Phase, Refused};
use crate::server::outcome::Outcome;
use crate::site::cache::Cache;

/// What a figure amounts to now.
enum Measured<'a> {
    /// A number as it is written.
    One(String),
    /// A count for each value of this label.
    ByLabel(&'static str, Vec<(String, u64)>),
    Durations(&'a Histogram),
}

use Measured::{ByLabel, Durations, One};

/// The name of a figure, what it means, and what it amounts to.
type Metric<'a> = (&'static str, &'static str, Measured<'a>);

macro_rules! metrics {
    ($($name:literal, $help:literal => $measured:expr;)*) => {
        [$(($name, $help, $measured)),*].into_iter()
    };
}

impl Server {
    /// All of it, as JSON if the client would rather have that.
    pub(crate) fn metrics_for(&self, request: &Request<'_>, now: &Now) -> Outcome {
        let query = ListingQuery::parse(request.target.query.unwrap_or_default());
        let (media_type, text) = if query.json || prefers_json(request.headers) {
            ("application/json", self.metrics_as_json(now))
        } else {
            let media_type = "text/plain; version=0.0.4; charset=utf-8";
            (media_type, self.metrics_as_text(now))
        };
        Outcome::Text(Status::OK, media_type, text.into())
    }

    /// Every figure there is, in the turn of this number; but for what the kernel does not say, and
    /// what is not measured.
    fn metrics(&self, turn: u64) -> impl Iterator<Item = Metric<'_>> {
        let counters = &self.counters;
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let open = &counters.phases[..Phase::Closed as usize];
        let dropped = [
            ("access", self.access.dropped()),
            ("diagnostic", logger::dropped()),
        ];
        let all = metrics! {
            "idler_build_info", "The version of idler."
                => by_label("version", [(env!("CARGO_PKG_VERSION"), 1)]);
            "process_start_time_seconds", "When idler was started, in seconds since 1970."
                => Some(One(seconds(started)));
            "idler_connections", "HTTP connections that are open, by what they are at."
                => by_label("state", Phase::with_words(open));
            "idler_connections_max", "HTTP connections that may be open at once."
                => count(self.connections_max as u64);
            "idler_connections_accepted_total", "HTTP connections that were let in."
                => count(counters.accepted);
            "idler_connections_refused_total", "Newcomers that were not let in, by reason."
                => by_label("reason", Refused::with_words(&counters.refused));
            "idler_connections_closed_total", "HTTP connections that were closed, by reason."
                => by_label("reason", Close::with_words(&counters.closes));
            "idler_http_requests_total", "Requests that were answered, by the status of the reply."
                => by_label("code", counters.replies());
            "idler_received_bytes_total", "Bytes read from HTTP connections."
                => count(counters.received);
            "idler_sent_bytes_total", "Bytes written to HTTP connections."
                => count(counters.sent);
            "idler_loop_turns_total", "Turns of the event loop."
                => count(turn);
            "idler_cache_hits_total", "Requests that were answered with what was kept."
                => self.of_caches(|cache| cache.hits);
            "idler_cache_misses_total", "Requests for which nothing was kept, or no longer right."
                => self.of_caches(|cache| cache.misses);
            "idler_cache_entries", "Files that are kept, open or in memory."
                => self.of_caches(|cache| cache.count() as u64);
            "idler_cache_bytes", "Memory of what is kept."
                => self.of_caches(|cache| cache.bytes as u64);
            "idler_log_lines_dropped_total", "Lines that a slow reader of the log did not get."
                => by_label("log", dropped);
            "process_resident_memory_bytes", "Memory that idler has."
                => self.usage.resident_bytes().and_then(count);
            "process_open_fds", "Open descriptors."
                => self.usage.descriptors().and_then(count);
            "idler_loop_turn_duration_seconds", "How long turns took, waiting excluded."
                => self.status.as_ref().map(|status| Durations(&status.turns));
        };
        all.filter_map(|(name, help, measured)| Some((name, help, measured?)))
    }

    fn of_caches(&self, figure: fn(&Cache) -> u64) -> Option<Measured<'_>> {
        let caches = self.http.sites.iter().map(|site| &site.cache);
        count(caches.map(figure).sum())
    }

    /// The text that Prometheus reads, in its format 0.0.4.
    pub(super) fn metrics_as_text(&self, now: &Now) -> String {
        let mut text = String::new();
        for (name, help, measured) in self.metrics(now.turn) {
            let kind = match measured {
                Durations(_) => "histogram",
                One(_) | ByLabel(..) if name.ends_with("_total") => "counter",
                One(_) | ByLabel(..) => "gauge",
            };
            text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for (name, value) in measured.samples(name) {
                text += &format!("{name} {value}\n");
            }
        }
        text
    }

    /// One line for each value that is not 0.
    pub(super) fn metrics_as_lines(&self, now: &Now) -> String {
        let mut lines = Vec::new();
        for (name, _, measured) in self.metrics(now.turn) {
            for (name, value) in measured.samples(name) {
                if value != "0" || matches!(measured, Durations(_)) {
                    lines.push(format!("{name} {value}"));
                }
            }
        }
        lines.join("\n")
    }

    /// One object; what has labels is an object in it.
    pub(super) fn metrics_as_json(&self, now: &Now) -> String {
        let metrics = self.metrics(now.turn);
        let members = metrics.map(|(name, _, measured)| {
            let value = match measured {
                One(value) => value,
                ByLabel(_, counts) => object(&counts),
                Durations(turns) => {
                    let (sum, count) = (seconds(turns.sum), turns.count());
                    let buckets = object(&buckets(turns));
                    format!("{{\"buckets\":{buckets},\"sum\":{sum},\"count\":{count}}}")
                }
            };
            format!("\n\"{name}\":{value}")
        });
        format!("{{{}\n}}\n", members.collect::<Vec<_>>().join(","))
    }
}

fn count<'a>(count: u64) -> Option<Measured<'a>> {
    Some(One(count.to_string()))
}

fn by_label<'a, W: ToString>(
    label: &'static str,
    counts: impl IntoIterator<Item = (W, u64)>,
) -> Option<Measured<'a>> {
    let counts = counts.into_iter();
    let counts = counts.map(|(word, count)| (word.to_string(), count));
    Some(ByLabel(label, counts.collect()))
}

impl Measured<'_> {
    /// Each of its numbers, under the name that it has in text.
    fn samples(&self, name: &str) -> Vec<(String, String)> {
        match self {
            One(value) => vec![(name.to_owned(), value.clone())],
            ByLabel(label, counts) => labelled(name, label, counts),
            Durations(turns) => {
                let mut samples = labelled(&format!("{name}_bucket"), "le", &buckets(turns));
                samples.push((format!("{name}_sum"), seconds(turns.sum)));
                samples.push((format!("{name}_count"), turns.count().to_string()));
                samples
            }
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}

/// How many durations took no longer than each limit, in seconds.
fn buckets(histogram: &Histogram) -> Vec<(String, u64)> {
    let word = |limit: Duration| limit.as_secs_f64().to_string();
    let buckets = histogram.up_to();
    let buckets = buckets.map(|(limit, n)| (limit.map_or_else(|| "+Inf".to_owned(), word), n));
    buckets.collect()
}

fn labelled(name: &str, label: &str, counts: &[(String, u64)]) -> Vec<(String, String)> {
    let sample =
        |(word, n): &(String, u64)| (format!("{name}{{{label}=\"{word}\"}}"), n.to_string());
    counts.iter().map(sample).collect()
}

fn object(counts: &[(String, u64)]) -> String {
    let members = counts
        .iter()
        .map(|(word, count)| format!("\"{word}\":{count}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}
