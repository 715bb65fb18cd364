//! What is said of a crowd in the end.
//!
//! What lives here: the verdict, as text and as JSON. It may not know how anything was counted.
//! Invariant: both say the same. Read next: `latencies.rs`.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cli::CrowdMode;
use crate::http::amount::{Count, Size};
use crate::http::json::{JsonString, JsonStyle};
use crate::limits::CONNECT_TIMEOUT;

use crate::tools::crowd::latencies::Latencies;
use crate::tools::crowd::tally::{Ending, Missed, Tally};

/// What a verdict needs to know beside the counts.
#[derive(Clone, Debug)]
pub(super) struct Circumstances {
    pub(super) target: String,
    pub(super) mode: CrowdMode,
    pub(super) drip: Duration,
    /// How many there were to be.
    pub(super) asked: u32,
    /// What opening them took, and how long they were held after that.
    pub(super) opening: Duration,
    pub(super) held: Duration,
    pub(super) interrupted: bool,
    /// What this machine could not do.
    pub(super) trouble: Option<String>,
    /// What the honest client asked for.
    pub(super) probe: Option<String>,
}

impl Tally {
    /// The verdict.
    pub(super) fn text(&self, about: &Circumstances, probed: [&Latencies; 2]) -> String {
        let count = |n: u32| Count(n.into());
        let drip = about.drip.as_secs_f64();
        let what = match about.mode {
            CrowdMode::Silent => "that say nothing".to_owned(),
            CrowdMode::KeepAlive => "that ask once".to_owned(),
            CrowdMode::HalfHead => format!("with a byte of a head every {drip} s"),
            CrowdMode::SlowRead => format!("that read a sip every {drip} s"),
            CrowdMode::Churn => "at most at once, that come and go".to_owned(),
        };
        let mut text = format!("{}: {} clients {what}\n", about.target, count(about.asked));
        let s = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        if about.mode.comes_and_goes() {
            let (went, held) = (self.went, s(about.held));
            let each = f64::from(went) / about.held.as_secs_f64().max(0.001);
            let _ = writeln!(
                text,
                "came and went: {} in {held}, {each:.0} a second",
                count(went)
            );
        } else {
            let (in_all, opening) = (count(self.got_in), s(about.opening));
            let _ = writeln!(text, "got in: {in_all} in {opening}");
            let untried = about.asked.saturating_sub(self.begun);
            if untried > 0 {
                let _ = writeln!(text, "not tried: {}", count(untried));
            }
        }
        for (why, n) in &self.missed {
            let _ = writeln!(text, "{}: {}", why.words(), count(*n));
        }
        if let Some(trouble) = &about.trouble {
            let _ = writeln!(text, "stopped opening: {trouble}");
        }
        let answers: Vec<String> = self
            .answers
            .iter()
            .map(|(status, n)| format!("{status} to {}", count(*n)))
            .collect();
        if !answers.is_empty() {
            let _ = writeln!(text, "answered: {}", answers.join(", "));
        }
        let unanswered = self.unanswered(about.mode);
        if unanswered > 0 {
            let _ = writeln!(text, "without an answer: {}", count(unanswered));
        }
        for ((how, status), ages) in &self.ends {
            let after = match status {
                0 => String::new(),
                status => format!(", {status} said"),
            };
            let (how, span) = (how.words(), ages.span());
            let _ = writeln!(text, "{how} after {span}{after}: {}", count(ages.count));
        }
        let (sent, came) = (Size(self.bytes_out), Size(self.bytes_in));
        let _ = writeln!(text, "bytes: {sent} sent, {came} received");
        if about.probe.is_some() {
            for (when, probed) in ["before", "beside them"].iter().zip(probed) {
                let _ = writeln!(text, "honest client, {when}: {}", latencies(probed));
            }
        }
        let stayed = self.all_stayed(about);
        let interrupted = if about.interrupted {
            "interrupted; "
        } else {
            ""
        };
        let (asked, open) = (count(about.asked), count(self.open));
        let verdict = match (about.mode.comes_and_goes(), stayed) {
            (true, true) => "all were let in".to_owned(),
            (true, false) => {
                let failed = self.outside().saturating_add(self.gone());
                format!("{} did not get what they came for", count(failed))
            }
            (false, true) => format!("all {asked} stayed for {}", s(about.held)),
            (false, false) if self.open == about.asked => {
                format!("all {asked} stayed, but not all were answered")
            }
            (false, false) if self.open == 0 => format!("none of {asked} stayed"),
            (false, false) => format!("{open} of {asked} stayed"),
        };
        let _ = writeln!(text, "verdict: {interrupted}{verdict}");
        text
    }

    /// The same as one JSON object; times are in milliseconds.
    pub(super) fn json(&self, about: &Circumstances, probed: [&Latencies; 2]) -> String {
        let string = |text: &Option<String>| match text {
            Some(text) => JsonString(JsonStyle::Utf8, text.as_bytes()).to_string(),
            None => "null".to_owned(),
        };
        let missed = |why| self.missed.get(&why).copied().unwrap_or(0);
        let answers: Vec<String> = self
            .answers
            .iter()
            .map(|(status, n)| format!("\"{status}\": {n}"))
            .collect();
        let ends = self.ends.iter().map(|((how, status), ages)| {
            let status = match status {
                0 => "null".to_owned(),
                status => status.to_string(),
            };
            format!(
                "{{\"how\": \"{}\", \"status\": {status}, \"count\": {}, \"after_ms_min\": {}, \"after_ms_max\": {}}}",
                how.word(),
                ages.count,
                ages.least.as_millis(),
                ages.most.as_millis()
            )
        });
        let ends: Vec<String> = ends.collect();
        let probe = match &about.probe {
            None => "null".to_owned(),
            Some(url) => {
                let [before, beside] = probed.map(json_of);
                let url = JsonString(JsonStyle::Utf8, url.as_bytes());
                format!("{{\"url\": {url}, \"before\": {before}, \"beside\": {beside}}}")
            }
        };
        format!(
            "{{\"target\": {}, \"mode\": \"{}\", \"clients\": {}, \"got_in\": {}, \"open\": {}, \
             \"came_and_went\": {}, \"refused\": {}, \"unanswered\": {}, \"failed\": {}, \"untried\": {}, \
             \"answers\": {{{}}}, \"no_answer\": {}, \"ended\": [{}], \"bytes_out\": {}, \"bytes_in\": {}, \"opening_ms\": {}, \
             \"held_ms\": {}, \"interrupted\": {}, \"trouble\": {}, \"probe\": {probe}, \"stayed\": {}}}\n",
            JsonString(JsonStyle::Utf8, about.target.as_bytes()),
            about.mode.word(),
            about.asked,
            self.got_in,
            self.open,
            self.went,
            missed(Missed::Refused),
            missed(Missed::Unanswered),
            missed(Missed::Failed),
            about.asked.saturating_sub(self.begun),
            answers.join(", "),
            self.unanswered(about.mode),
            ends.join(", "),
            self.bytes_out,
            self.bytes_in,
            about.opening.as_millis(),
            about.held.as_millis(),
            about.interrupted,
            string(&about.trouble),
            self.all_stayed(about),
        )
    }
}

impl Missed {
    fn words(self) -> String {
        match self {
            Self::Refused => "refused".to_owned(),
            Self::Unanswered => format!("not answered within {} s", CONNECT_TIMEOUT.as_secs()),
            Self::Failed => "failed to connect".to_owned(),
        }
    }
}

impl Ending {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Closed => "closed by the server",
            Self::Reset => "reset by the server",
            Self::Broke => "broke",
            Self::NotHttp => "left, since the answer was no HTTP,",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Broke => "broke",
            Self::NotHttp => "not-http",
        }
    }
}

fn latencies(probed: &Latencies) -> String {
    let micros = |percent| match probed.percentile(percent) {
        Some(time) => format!(
            "{} µs",
            Count(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
        ),
        None => "-".to_owned(),
    };
    let (p50, p99, answers) = (micros(50), micros(99), Count(probed.answers));
    let failed = match probed.failed {
        0 => String::new(),
        failed => format!(", {} failed", Count(failed)),
    };
    format!("p50 {p50}, p99 {p99} ({answers} answers{failed})")
}

fn json_of(probed: &Latencies) -> String {
    let millis = |percent| match probed.percentile(percent) {
        Some(time) => format!("{:.6}", time.as_secs_f64() * 1e3),
        None => "null".to_owned(),
    };
    let (p50, p99) = (millis(50), millis(99));
    let (answers, failed) = (probed.answers, probed.failed);
    format!(
        "{{\"answers\": {answers}, \"failed\": {failed}, \"p50_ms\": {p50}, \"p99_ms\": {p99}}}"
    )
}
