//! The one list of what is counted, and its three forms.
//!
//! What lives here: names, words and values of all figures, made when somebody asks; as text for Prometheus, as JSON, and as lines
//! for standard error. It may not know who asks. Invariant: what one form shows, all show; only lines leave out what is 0.
//! Names follow Prometheus: base units, `_total` for what only grows, `process_` for what every process has, so that ready-made
//! dashboards and alarms find it. Read next: `status.rs`.

use std::time::{Duration, SystemTime};

use crate::event_loop::Now;
use crate::pages::put;

use crate::log::logger;
use crate::server::counters::{Close, Phase, Refused};
use crate::server::shared::Server;
use crate::server::status::Turns;

/// A figure with its values.
struct Figure {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    values: Values,
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

enum Values {
    /// One number.
    One(Number),
    /// One for each value of this label.
    By(&'static str, Vec<(String, Number)>),
    /// How often turns took how long.
    Turns(Turns),
}

#[derive(Clone, Copy)]
enum Number {
    Count(u64),
    Seconds(Duration),
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Seconds(time) => write!(f, "{}.{:09}", time.as_secs(), time.subsec_nanos()),
        }
    }
}

impl Figure {
    fn one(kind: Kind, name: &'static str, value: Number, help: &'static str) -> Self {
        Self {
            name,
            kind,
            help,
            values: Values::One(value),
        }
    }

    fn by<W: Into<String>>(
        kind: Kind,
        name: &'static str,
        label: &'static str,
        values: impl Iterator<Item = (W, u64)>,
        help: &'static str,
    ) -> Self {
        let values = values.map(|(word, count)| (word.into(), Number::Count(count)));
        Self {
            name,
            kind,
            help,
            values: Values::By(label, values.collect()),
        }
    }
}

impl Server {
    /// The list.
    fn figures(&self, now: &Now) -> Vec<Figure> {
        use Kind::{Counter, Gauge};
        use Number::{Count, Seconds};
        let counters = &self.counters;
        let caches = || self.http.sites.iter().map(|state| &state.cache);
        let open = |phase: &&Phase| **phase != Phase::Closed;
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH);
        let mut list = vec![
            Figure::by(
                Gauge,
                "idler_build_info",
                "version",
                [(env!("CARGO_PKG_VERSION"), 1)].into_iter(),
                "The version of idler.",
            ),
            Figure::one(
                Gauge,
                "process_start_time_seconds",
                Seconds(started.unwrap_or_default()),
                "When idler was started, in seconds since 1970.",
            ),
            Figure::by(
                Gauge,
                "idler_connections",
                "state",
                Phase::ALL
                    .iter()
                    .filter(open)
                    .map(|phase| (phase.word(), counters.open(*phase))),
                "HTTP connections that are open, by what they are at.",
            ),
            Figure::one(
                Gauge,
                "idler_connections_max",
                Count(self.connections_max as u64),
                "HTTP connections that may be open at once.",
            ),
            Figure::one(
                Counter,
                "idler_connections_accepted_total",
                Count(counters.accepted),
                "HTTP connections that were let in.",
            ),
            Figure::by(
                Counter,
                "idler_connections_refused_total",
                "reason",
                Refused::ALL
                    .iter()
                    .map(|why| (why.word(), counters.refused(*why))),
                "Newcomers that were not let in, by reason.",
            ),
            Figure::by(
                Counter,
                "idler_connections_closed_total",
                "reason",
                Close::ALL
                    .iter()
                    .map(|why| (why.word(), counters.closed(*why))),
                "HTTP connections that were closed, by reason.",
            ),
            Figure::by(
                Counter,
                "idler_http_requests_total",
                "code",
                counters.replies().map(|(code, n)| (code.to_string(), n)),
                "Requests that were answered, by the status of the reply.",
            ),
            Figure::one(
                Counter,
                "idler_received_bytes_total",
                Count(counters.received),
                "Bytes read from HTTP connections.",
            ),
            Figure::one(
                Counter,
                "idler_sent_bytes_total",
                Count(counters.sent),
                "Bytes written to HTTP connections.",
            ),
            Figure::one(
                Counter,
                "idler_loop_turns_total",
                Count(now.turn),
                "Turns of the event loop.",
            ),
            Figure::one(
                Counter,
                "idler_cache_hits_total",
                Count(caches().map(|cache| cache.hits).sum()),
                "Requests that were answered with what was kept.",
            ),
            Figure::one(
                Counter,
                "idler_cache_misses_total",
                Count(caches().map(|cache| cache.misses).sum()),
                "Requests for which nothing was kept, or no longer right.",
            ),
            Figure::one(
                Gauge,
                "idler_cache_entries",
                Count(caches().map(|cache| cache.count() as u64).sum()),
                "Files that are kept, open or in memory.",
            ),
            Figure::one(
                Gauge,
                "idler_cache_bytes",
                Count(caches().map(|cache| cache.bytes() as u64).sum()),
                "Memory of what is kept.",
            ),
            Figure::by(
                Counter,
                "idler_log_lines_dropped_total",
                "log",
                [
                    ("access", self.access.dropped()),
                    ("diagnostic", logger::dropped()),
                ]
                .into_iter(),
                "Lines that a slow reader of the log did not get.",
            ),
        ];
        list.extend(self.usage.resident_bytes().map(|bytes| {
            let help = "Memory that idler has.";
            Figure::one(Gauge, "process_resident_memory_bytes", Count(bytes), help)
        }));
        list.extend(self.usage.descriptors().map(|count| {
            let help = "Open descriptors.";
            Figure::one(Gauge, "process_open_fds", Count(count), help)
        }));
        list.extend(self.status.as_ref().map(|status| Figure {
            name: "idler_loop_turn_duration_seconds",
            kind: Kind::Histogram,
            help: "How long turns took, waiting excluded.",
            values: Values::Turns(status.turns),
        }));
        list
    }

    /// The text that Prometheus reads, in its format 0.0.4.
    pub(crate) fn figures_as_text(&self, now: &Now) -> Vec<u8> {
        let mut out = Vec::new();
        for figure in self.figures(now) {
            let Figure { name, help, .. } = figure;
            let kind = match figure.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            put(
                &mut out,
                format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
            );
            figure.write_samples(|_| true, &mut out);
        }
        out
    }

    /// One line for each value that is not 0.
    pub fn figures_as_lines(&self, now: &Now) -> String {
        let mut out = Vec::new();
        for figure in self.figures(now) {
            figure.write_samples(|number| !matches!(number, Number::Count(0)), &mut out);
        }
        String::from_utf8(out).unwrap_or_default()
    }

    /// One object; what has labels is an object in it.
    pub(crate) fn figures_as_json(&self, now: &Now) -> Vec<u8> {
        let mut out = Vec::new();
        let mut before = "{";
        for figure in self.figures(now) {
            put(&mut out, format_args!("{before}\n\"{}\":", figure.name));
            before = ",";
            match figure.values {
                Values::One(number) => put(&mut out, format_args!("{number}")),
                Values::By(_, values) => {
                    let all = values.iter().map(|(word, n)| format!("\"{word}\":{n}"));
                    let all: Vec<String> = all.collect();
                    put(&mut out, format_args!("{{{}}}", all.join(",")));
                }
                Values::Turns(turns) => {
                    let all = turns.up_to().map(|(le, n)| format!("\"{le}\":{n}"));
                    let all: Vec<String> = all.collect();
                    let (sum, count) = (Number::Seconds(turns.sum), turns.count());
                    let all = all.join(",");
                    put(
                        &mut out,
                        format_args!("{{\"buckets\":{{{all}}},\"sum\":{sum},\"count\":{count}}}"),
                    );
                }
            }
        }
        out.extend_from_slice(b"\n}\n");
        out
    }
}

impl Figure {
    fn write_samples(&self, shows: impl Fn(Number) -> bool, out: &mut Vec<u8>) {
        let name = self.name;
        match &self.values {
            Values::One(number) if shows(*number) => put(out, format_args!("{name} {number}\n")),
            Values::One(_) => {}
            Values::By(label, values) => {
                for (word, number) in values.iter().filter(|(_, number)| shows(*number)) {
                    put(out, format_args!("{name}{{{label}=\"{word}\"}} {number}\n"));
                }
            }
            Values::Turns(turns) => {
                for (le, count) in turns.up_to() {
                    put(out, format_args!("{name}_bucket{{le=\"{le}\"}} {count}\n"));
                }
                let (sum, count) = (Number::Seconds(turns.sum), turns.count());
                put(
                    out,
                    format_args!("{name}_sum {sum}\n{name}_count {count}\n"),
                );
            }
        }
    }
}
