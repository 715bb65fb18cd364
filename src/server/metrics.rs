//! idler's own figures: one table, written as text for Prometheus, as JSON, and as lines for
//! standard error.
//!
//! What one form shows, all show; only lines leave out what is 0. Names follow Prometheus: base
//! units, `_total` for what only grows, `process_` for what every process has, so that ready-made
//! dashboards and alarms find it.

use std::time::{Duration, UNIX_EPOCH};

use crate::event_loop::Now;
use crate::event_loop::clock::Histogram;
use crate::log::logger;
use crate::server::Server;
use crate::server::counters::{Close, Phase, Refused};
use crate::site::cache::Cache;

/// One figure: its name, what it means, and how to read it; the number is that of this turn.
type Metric = (&'static str, &'static str, fn(&Server, u64) -> Measured<'_>);

/// What a figure amounts to now.
enum Measured<'a> {
    /// The kernel does not say, or nothing is measured.
    Unknown,
    Count(u64),
    Time(Duration),
    /// A count for each value of this label.
    ByLabel(&'static str, Vec<(String, u64)>),
    Durations(&'a Histogram),
}

use Measured::{Count, Durations, Time, Unknown};

const METRICS: &[Metric] = &[
    ("idler_build_info", "The version of idler.", |_, _| {
        by_label("version", [(env!("CARGO_PKG_VERSION"), 1)])
    }),
    (
        "process_start_time_seconds",
        "When idler was started, in seconds since 1970.",
        |server, _| {
            let started = server.started.duration_since(UNIX_EPOCH);
            Time(started.unwrap_or_default())
        },
    ),
    (
        "idler_connections",
        "HTTP connections that are open, by what they are at.",
        |server, _| {
            let open = &server.counters.phases[..Phase::Closed as usize];
            by_label("state", Phase::with_words(open))
        },
    ),
    (
        "idler_connections_max",
        "HTTP connections that may be open at once.",
        |server, _| Count(server.connections_max as u64),
    ),
    (
        "idler_connections_accepted_total",
        "HTTP connections that were let in.",
        |server, _| Count(server.counters.accepted),
    ),
    (
        "idler_connections_refused_total",
        "Newcomers that were not let in, by reason.",
        |server, _| by_label("reason", Refused::with_words(&server.counters.refused)),
    ),
    (
        "idler_connections_closed_total",
        "HTTP connections that were closed, by reason.",
        |server, _| by_label("reason", Close::with_words(&server.counters.closes)),
    ),
    (
        "idler_http_requests_total",
        "Requests that were answered, by the status of the reply.",
        |server, _| by_label("code", server.counters.replies()),
    ),
    (
        "idler_received_bytes_total",
        "Bytes read from HTTP connections.",
        |server, _| Count(server.counters.received),
    ),
    (
        "idler_sent_bytes_total",
        "Bytes written to HTTP connections.",
        |server, _| Count(server.counters.sent),
    ),
    (
        "idler_loop_turns_total",
        "Turns of the event loop.",
        |_, turn| Count(turn),
    ),
    (
        "idler_cache_hits_total",
        "Requests that were answered with what was kept.",
        |server, _| of_caches(server, |cache| cache.hits),
    ),
    (
        "idler_cache_misses_total",
        "Requests for which nothing was kept, or no longer right.",
        |server, _| of_caches(server, |cache| cache.misses),
    ),
    (
        "idler_cache_entries",
        "Files that are kept, open or in memory.",
        |server, _| of_caches(server, |cache| cache.count() as u64),
    ),
    (
        "idler_cache_bytes",
        "Memory of what is kept.",
        |server, _| of_caches(server, |cache| cache.bytes as u64),
    ),
    (
        "idler_log_lines_dropped_total",
        "Lines that a slow reader of the log did not get.",
        |server, _| {
            let access = ("access", server.access.dropped());
            by_label("log", [access, ("diagnostic", logger::dropped())])
        },
    ),
    (
        "process_resident_memory_bytes",
        "Memory that idler has.",
        |server, _| server.usage.resident_bytes().map_or(Unknown, Count),
    ),
    ("process_open_fds", "Open descriptors.", |server, _| {
        server.usage.descriptors().map_or(Unknown, Count)
    }),
    (
        "idler_loop_turn_duration_seconds",
        "How long turns took, waiting excluded.",
        |server, _| {
            let status = server.status.as_ref();
            status.map_or(Unknown, |status| Durations(&status.turns))
        },
    ),
];

fn by_label<W: ToString>(
    label: &'static str,
    counts: impl IntoIterator<Item = (W, u64)>,
) -> Measured<'static> {
    let counts = counts.into_iter();
    let counts = counts.map(|(word, count)| (word.to_string(), count));
    Measured::ByLabel(label, counts.collect())
}

fn of_caches(server: &Server, count: fn(&Cache) -> u64) -> Measured<'static> {
    let caches = server.http.sites.iter().map(|site| &site.cache);
    Count(caches.map(count).sum())
}

impl Server {
    /// The text that Prometheus reads, in its format 0.0.4.
    pub(super) fn metrics_as_text(&self, now: &Now) -> String {
        let mut text = String::new();
        for (name, help, read) in METRICS {
            let reading = read(self, now.turn);
            let kind = match &reading {
                Unknown => continue,
                Durations(_) => "histogram",
                Count(_) | Time(_) | Measured::ByLabel(..) if name.ends_with("_total") => "counter",
                Count(_) | Time(_) | Measured::ByLabel(..) => "gauge",
            };
            text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for (name, value) in reading.samples(name) {
                text += &format!("{name} {value}\n");
            }
        }
        text
    }

    /// One line for each value that is not 0.
    pub(super) fn metrics_as_lines(&self, now: &Now) -> String {
        let mut lines = Vec::new();
        for (name, _, read) in METRICS {
            let reading = read(self, now.turn);
            for (name, value) in reading.samples(name) {
                if value != "0" || matches!(reading, Durations(_)) {
                    lines.push(format!("{name} {value}"));
                }
            }
        }
        lines.join("\n")
    }

    /// One object; what has labels is an object in it.
    pub(super) fn metrics_as_json(&self, now: &Now) -> String {
        let members = METRICS.iter().filter_map(|(name, _, read)| {
            let value = read(self, now.turn).json()?;
            Some(format!("\n\"{name}\":{value}"))
        });
        format!("{{{}\n}}\n", members.collect::<Vec<_>>().join(","))
    }
}

impl Measured<'_> {
    /// Each of its numbers, under the name that it has in text.
    fn samples(&self, name: &str) -> Vec<(String, String)> {
        match self {
            Unknown => Vec::new(),
            Count(count) => vec![(name.to_owned(), count.to_string())],
            Time(time) => vec![(name.to_owned(), seconds(*time))],
            Self::ByLabel(label, counts) => labelled(name, label, counts),
            Durations(turns) => {
                let mut samples = labelled(&format!("{name}_bucket"), "le", &buckets(turns));
                samples.push((format!("{name}_sum"), seconds(turns.sum)));
                samples.push((format!("{name}_count"), turns.count().to_string()));
                samples
            }
        }
    }

    fn json(&self) -> Option<String> {
        Some(match self {
            Unknown => return None,
            Count(count) => count.to_string(),
            Time(time) => seconds(*time),
            Self::ByLabel(_, counts) => object(counts),
            Durations(turns) => {
                let (sum, count) = (seconds(turns.sum), turns.count());
                let buckets = object(&buckets(turns));
                format!("{{\"buckets\":{buckets},\"sum\":{sum},\"count\":{count}}}")
            }
        })
    }
}

fn seconds(time: Duration) -> String {
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}

/// How many durations took no longer than each limit, in seconds.
fn buckets(histogram: &Histogram) -> Vec<(String, u64)> {
    let buckets = histogram.up_to().map(|(limit, count)| match limit {
        Some(limit) => (limit.as_secs_f64().to_string(), count),
        None => ("+Inf".to_owned(), count),
    });
    buckets.collect()
}

fn labelled(name: &str, label: &str, counts: &[(String, u64)]) -> Vec<(String, String)> {
    let counts = counts.iter();
    counts
        .map(|(word, count)| (format!("{name}{{{label}=\"{word}\"}}"), count.to_string()))
        .collect()
}

fn object(counts: &[(String, u64)]) -> String {
    let counts = counts.iter();
    let members: Vec<String> = counts
        .map(|(word, count)| format!("\"{word}\":{count}"))
        .collect();
    format!("{{{}}}", members.join(","))
}
