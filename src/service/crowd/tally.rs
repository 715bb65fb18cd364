//! What became of a crowd: counts, and the words for them.
//!
//! What lives here: the counting, the line on the terminal, the verdict as text and as JSON. It may not know sockets
//! or time, but for durations that are handed in. Invariant: everybody who began is on the way, open, or counted under
//! one end. Read next: `latencies.rs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use rustix::io::Errno;

use crate::cli::CrowdMode;
use crate::limits::CONNECT_TIMEOUT;
use crate::pages::escape::JsonString;
use crate::pages::{Count, Size};

use super::latencies::Latencies;

/// How it is for all members together. Constant memory: there are some hundred statuses, and three ends.
#[derive(Default, Debug)]
pub(super) struct Tally {
    /// Connections that were begun.
    pub(super) begun: u32,
    /// On their way.
    pub(super) opening: u32,
    /// There.
    pub(super) open: u32,
    /// Who ever got in.
    pub(super) got_in: u32,
    /// Who got in, did what was to be done, and left.
    pub(super) went: u32,
    missed: BTreeMap<Missed, u32>,
    answers: BTreeMap<u16, u32>,
    ends: BTreeMap<(Ending, u16), Ages>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

/// Why somebody did not get in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Missed {
    /// Nobody listens, or wants to.
    Refused,
    /// There was no answer in time.
    Unanswered,
    /// Something else was in the way.
    Failed,
}

/// How a connection ended that was not to end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Ending {
    /// The server closed it.
    Closed,
    /// It was reset.
    Reset,
    /// It broke for another reason.
    Broke,
    /// What came was no answer.
    NotHttp,
}

/// How many connections ended in one way, and how old they were.
#[derive(Clone, Copy, Debug)]
struct Ages {
    count: u32,
    least: Duration,
    most: Duration,
}

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

impl From<&io::Error> for Missed {
    fn from(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::CONNREFUSED | Errno::CONNRESET) => Self::Refused,
            Some(Errno::TIMEDOUT) => Self::Unanswered,
            _ => Self::Failed,
        }
    }
}

impl From<&io::Error> for Ending {
    fn from(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::CONNRESET | Errno::PIPE) => Self::Reset,
            _ => Self::Broke,
        }
    }
}

/// The status in a line that begins like an answer.
pub(super) fn status_of(bytes: &[u8]) -> Option<u16> {
    let rest = bytes.strip_prefix(b"HTTP/1.")?.get(1..5)?;
    let digits = std::str::from_utf8(rest.strip_prefix(b" ")?).ok()?;
    digits
        .parse()
        .ok()
        .filter(|status| (100..1000).contains(status))
}

impl Tally {
    pub(super) fn began(&mut self) {
        self.begun = self.begun.saturating_add(1);
        self.opening += 1;
    }

    pub(super) fn got_in(&mut self) {
        self.opening = self.opening.saturating_sub(1);
        self.open += 1;
        self.got_in = self.got_in.saturating_add(1);
    }

    pub(super) fn missed(&mut self, why: Missed) {
        self.opening = self.opening.saturating_sub(1);
        *self.missed.entry(why).or_default() += 1;
    }

    pub(super) fn answered(&mut self, status: u16) {
        *self.answers.entry(status).or_default() += 1;
    }

    pub(super) fn went(&mut self) {
        self.open = self.open.saturating_sub(1);
        self.went = self.went.saturating_add(1);
    }

    /// A connection of this age ended; `status` is that of the last answer, or 0.
    pub(super) fn ended(&mut self, how: Ending, status: u16, age: Duration) {
        self.open = self.open.saturating_sub(1);
        let ages = self.ends.entry((how, status)).or_insert(Ages {
            count: 0,
            least: age,
            most: age,
        });
        ages.count += 1;
        ages.least = ages.least.min(age);
        ages.most = ages.most.max(age);
    }

    /// How many did not get in.
    pub(super) fn outside(&self) -> u32 {
        self.missed.values().sum()
    }

    /// How many ended that were not to end.
    pub(super) fn gone(&self) -> u32 {
        self.ends.values().map(|ages| ages.count).sum()
    }

    /// Whether all are, or were, as was asked.
    pub(super) fn all_stayed(&self, about: &Circumstances) -> bool {
        let enough = if about.mode.comes_and_goes() {
            self.went > 0
        } else {
            self.open == about.asked
        };
        enough && self.outside() == 0 && self.gone() == 0 && about.trouble.is_none()
    }

    /// One line while it lasts, at most 79 characters where the numbers are not absurd.
    pub(super) fn line(&self, left: Option<Duration>) -> String {
        let mut line = format!("{} open", Count(self.open.into()));
        let others = [
            (self.opening, "opening"),
            (self.went, "came and went"),
            (
                self.missed.get(&Missed::Refused).copied().unwrap_or(0),
                "refused",
            ),
            (
                self.outside() - self.missed.get(&Missed::Refused).copied().unwrap_or(0),
                "not let in",
            ),
        ];
        for (count, what) in others.iter().filter(|(count, _)| *count > 0) {
            let _ = write!(line, ", {} {what}", Count((*count).into()));
        }
        if let Some(ages) = self.ends.values().copied().reduce(Ages::and) {
            let count = Count(ages.count.into());
            let _ = write!(line, ", {count} closed after {}", ages.span());
        }
        let _ = write!(line, ", {} in", Size(self.bytes_in));
        if let Some(left) = left {
            let _ = write!(line, ", {} s left", left.as_secs_f64().ceil());
        }
        line
    }

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
            (false, false) if self.open == 0 => format!("none of {asked} stayed"),
            (false, false) => format!("{open} of {asked} stayed"),
        };
        let _ = writeln!(text, "verdict: {interrupted}{verdict}");
        text
    }

    /// The same as one JSON object; times are in milliseconds.
    pub(super) fn json(&self, about: &Circumstances, probed: [&Latencies; 2]) -> String {
        let string = |text: &Option<String>| match text {
            Some(text) => JsonString(text.as_bytes()).to_string(),
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
                let url = JsonString(url.as_bytes());
                format!("{{\"url\": {url}, \"before\": {before}, \"beside\": {beside}}}")
            }
        };
        format!(
            "{{\"target\": {}, \"mode\": \"{}\", \"clients\": {}, \"got_in\": {}, \"open\": {}, \
             \"came_and_went\": {}, \"refused\": {}, \"unanswered\": {}, \"failed\": {}, \"untried\": {}, \
             \"answers\": {{{}}}, \"ended\": [{}], \"bytes_out\": {}, \"bytes_in\": {}, \"opening_ms\": {}, \
             \"held_ms\": {}, \"interrupted\": {}, \"trouble\": {}, \"probe\": {probe}, \"stayed\": {}}}\n",
            JsonString(about.target.as_bytes()),
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
    fn words(self) -> &'static str {
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

impl Ages {
    fn and(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    /// `60.0 s`, or `60.0 to 61.5 s`.
    fn span(self) -> String {
        let [least, most] = [self.least, self.most].map(|age| format!("{:.1}", age.as_secs_f64()));
        if least == most {
            format!("{most} s")
        } else {
            format!("{least} to {most} s")
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
