//! What becomes of a crowd: counted while it lasts, told in the end.
//!
//! Invariants: every connection that was begun is on its way, open, or counted under one end; text
//! and JSON tell the same; and memory is constant, however many answers come.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::io::Errno;

use crate::cli::{CrowdMode, Options};
use crate::event_loop::histogram::Histogram;
use crate::http::amount::{Count, Size};
use crate::http::json::{JsonString, JsonStyle, object};
use crate::limits::CONNECT_TIMEOUT;

/// What has become of all members together.
#[derive(Default, Debug)]
pub(super) struct Tally {
    /// Connections that were begun.
    pub(super) begun: u64,
    /// Got in at some time.
    pub(super) got_in: u64,
    /// Got in, did what was to be done, and left.
    pub(super) went: u64,
    missed: BTreeMap<Missed, u64>,
    answers: BTreeMap<u16, u64>,
    ends: BTreeMap<(Ending, u16), Ages>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Of the honest client, before the crowd comes and beside it.
    pub(super) before: Latencies,
    pub(super) beside: Latencies,
}

/// What a verdict tells beside the counts.
#[derive(Debug)]
pub(super) struct Circumstances {
    pub(super) to: SocketAddr,
    pub(super) options: Options,
    /// How long opening took, and how long all were held after that.
    pub(super) opening: Duration,
    pub(super) held: Duration,
    pub(super) interrupted: bool,
    /// What this machine could not do.
    pub(super) trouble: Option<String>,
}

/// Why a member did not get in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Missed {
    /// Nothing listens there, or it refused.
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
    count: u64,
    least: Duration,
    most: Duration,
}

impl Circumstances {
    fn clients(&self) -> u64 {
        self.options.clients.into()
    }
}

impl Tally {
    pub(super) fn missed(&mut self, why: Missed) {
        *self.missed.entry(why).or_default() += 1;
    }

    pub(super) fn answered(&mut self, status: u16) {
        *self.answers.entry(status).or_default() += 1;
    }

    /// A connection of this age ended; `status` is that of the last answer, or 0.
    pub(super) fn ended(&mut self, how: Ending, status: u16, age: Duration) {
        let one = Ages {
            count: 1,
            least: age,
            most: age,
        };
        let ages = self.ends.entry((how, status));
        ages.and_modify(|ages| *ages = ages.and(one)).or_insert(one);
    }

    /// How many are on their way.
    pub(super) fn opening(&self) -> u64 {
        self.begun - self.outside() - self.got_in
    }

    /// How many are there.
    pub(super) fn open(&self) -> u64 {
        self.got_in - self.went - self.gone()
    }

    /// How many did not get in.
    pub(super) fn outside(&self) -> u64 {
        self.missed.values().sum()
    }

    /// How many ended that were not to end.
    pub(super) fn gone(&self) -> u64 {
        self.ends.values().map(|ages| ages.count).sum()
    }

    fn missed_for(&self, why: Missed) -> u64 {
        self.missed.get(&why).copied().unwrap_or(0)
    }

    /// How many members that asked and stay have not been answered. A server that lets clients in
    /// and does not answer does not hold them.
    fn unanswered(&self, mode: CrowdMode) -> u64 {
        match mode {
            CrowdMode::KeepAlive | CrowdMode::SlowRead => {
                let answered: u64 = self.answers.values().sum();
                self.got_in.saturating_sub(answered)
            }
            CrowdMode::Silent | CrowdMode::HalfHead | CrowdMode::Churn => 0,
        }
    }

    /// Whether all are, or were, as was asked.
    pub(super) fn all_stayed(&self, about: &Circumstances) -> bool {
        let (mode, clients) = (about.options.mode, about.clients());
        let enough = if mode.comes_and_goes() {
            self.went > 0
        } else {
            self.open() == clients && self.unanswered(mode) == 0
        };
        enough && self.outside() == 0 && self.gone() == 0 && about.trouble.is_none()
    }

    /// One line while it lasts, at most 79 characters where the numbers are not absurd.
    pub(super) fn line(&self, left: Option<Duration>) -> String {
        let mut line = format!("{} open", Count(self.open()));
        let refused = self.missed_for(Missed::Refused);
        let others = [
            (self.opening(), "opening"),
            (self.went, "came and went"),
            (refused, "refused"),
            (self.outside() - refused, "not let in"),
        ];
        for (n, what) in others.iter().filter(|(n, _)| *n > 0) {
            let _ = write!(line, ", {} {what}", Count(*n));
        }
        if let Some(ages) = self.ends.values().copied().reduce(Ages::and) {
            let _ = write!(line, ", {} closed after {}", Count(ages.count), ages.span());
        }
        let _ = write!(line, ", {} in", Size(self.bytes_in));
        if let Some(left) = left {
            let _ = write!(line, ", {} s left", left.as_secs_f64().ceil());
        }
        line
    }

    /// The verdict.
    pub(super) fn text(&self, about: &Circumstances) -> String {
        let mut lines = vec![self.headline(about), self.arrivals(about)];
        if !about.options.mode.comes_and_goes() && about.clients() > self.begun {
            let untried = about.clients() - self.begun;
            lines.push(format!("not tried: {}", Count(untried)));
        }
        for (why, n) in &self.missed {
            lines.push(format!("{}: {}", why.words(), Count(*n)));
        }
        if let Some(trouble) = &about.trouble {
            lines.push(format!("stopped opening: {trouble}"));
        }
        if !self.answers.is_empty() {
            let answers = self.answers.iter();
            let answers = answers.map(|(status, n)| format!("{status} to {}", Count(*n)));
            let answers: Vec<String> = answers.collect();
            lines.push(format!("answered: {}", answers.join(", ")));
        }
        let unanswered = self.unanswered(about.options.mode);
        if unanswered > 0 {
            lines.push(format!("without an answer: {}", Count(unanswered)));
        }
        for ((how, status), ages) in &self.ends {
            let said = match status {
                0 => String::new(),
                status => format!(", {status} said"),
            };
            let (how, span, n) = (how.words(), ages.span(), Count(ages.count));
            lines.push(format!("{how} after {span}{said}: {n}"));
        }
        let (sent, came) = (Size(self.bytes_out), Size(self.bytes_in));
        lines.push(format!("bytes: {sent} sent, {came} received"));
        if about.options.probe.is_some() {
            lines.push(format!("honest client, before: {}", self.before.text()));
            lines.push(format!(
                "honest client, beside them: {}",
                self.beside.text()
            ));
        }
        lines.push(self.verdict(about));
        lines.join("\n") + "\n"
    }

    fn headline(&self, about: &Circumstances) -> String {
        let drip = about.options.drip.as_secs_f64();
        let what = match about.options.mode {
            CrowdMode::Silent => "that say nothing".to_owned(),
            CrowdMode::KeepAlive => "that ask once".to_owned(),
            CrowdMode::HalfHead => format!("with a byte of a head every {drip} s"),
            CrowdMode::SlowRead => format!("that read a sip every {drip} s"),
            CrowdMode::Churn => "at most at once, that come and go".to_owned(),
        };
        let asked = Count(about.clients());
        format!("{}: {asked} clients {what}", about.to)
    }

    fn arrivals(&self, about: &Circumstances) -> String {
        if !about.options.mode.comes_and_goes() {
            return format!(
                "got in: {} in {}",
                Count(self.got_in),
                seconds(about.opening)
            );
        }
        let each = self.went as f64 / about.held.as_secs_f64().max(0.001);
        let (went, held) = (Count(self.went), seconds(about.held));
        format!("came and went: {went} in {held}, {each:.0} a second")
    }

    fn verdict(&self, about: &Circumstances) -> String {
        let interrupted = if about.interrupted {
            "interrupted; "
        } else {
            ""
        };
        let (mode, clients) = (about.options.mode, about.clients());
        let (asked, open) = (Count(clients), Count(self.open()));
        let verdict = match (mode.comes_and_goes(), self.all_stayed(about)) {
            (true, true) => "all were let in".to_owned(),
            (true, false) => {
                let failed = self.outside() + self.gone();
                format!("{} did not get what they came for", Count(failed))
            }
            (false, true) => format!("all {asked} stayed for {}", seconds(about.held)),
            (false, false) if self.open() == clients => {
                format!("all {asked} stayed, but not all were answered")
            }
            (false, false) if self.open() == 0 => format!("none of {asked} stayed"),
            (false, false) => format!("{open} of {asked} stayed"),
        };
        format!("verdict: {interrupted}{verdict}")
    }

    /// The same as one JSON object; times are in milliseconds.
    pub(super) fn json(&self, about: &Circumstances) -> String {
        let string = |text: &str| JsonString(JsonStyle::Utf8, text.as_bytes()).to_string();
        let null = || "null".to_owned();
        let options = &about.options;
        let answers = self.answers.iter();
        let answers: Vec<(String, String)> = answers
            .map(|(status, n)| (status.to_string(), n.to_string()))
            .collect();
        let ends = self.ends.iter().map(|((how, status), ages)| {
            object(&[
                ("how", string(how.word())),
                (
                    "status",
                    if *status == 0 {
                        null()
                    } else {
                        status.to_string()
                    },
                ),
                ("count", ages.count.to_string()),
                ("after_ms_min", ages.least.as_millis().to_string()),
                ("after_ms_max", ages.most.as_millis().to_string()),
            ])
        });
        let ends: Vec<String> = ends.collect();
        let probe = options.probe.as_ref().map(|url| {
            object(&[
                ("url", string(&url.to_string())),
                ("before", self.before.json()),
                ("beside", self.beside.json()),
            ])
        });
        let trouble = about.trouble.as_deref().map(string);
        let untried = about.clients().saturating_sub(self.begun);
        object(&[
            ("target", string(&about.to.to_string())),
            ("mode", string(options.mode.word())),
            ("clients", options.clients.to_string()),
            ("got_in", self.got_in.to_string()),
            ("open", self.open().to_string()),
            ("came_and_went", self.went.to_string()),
            ("refused", self.missed_for(Missed::Refused).to_string()),
            (
                "unanswered",
                self.missed_for(Missed::Unanswered).to_string(),
            ),
            ("failed", self.missed_for(Missed::Failed).to_string()),
            ("untried", untried.to_string()),
            ("answers", object(&answers)),
            ("no_answer", self.unanswered(options.mode).to_string()),
            ("ended", format!("[{}]", ends.join(", "))),
            ("bytes_out", self.bytes_out.to_string()),
            ("bytes_in", self.bytes_in.to_string()),
            ("opening_ms", about.opening.as_millis().to_string()),
            ("held_ms", about.held.as_millis().to_string()),
            ("interrupted", about.interrupted.to_string()),
            ("trouble", trouble.unwrap_or_else(null)),
            ("probe", probe.unwrap_or_else(null)),
            ("stayed", self.all_stayed(about).to_string()),
        ]) + "\n"
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

impl Ages {
    fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    /// `60.0 s`, or `60.0 to 61.5 s`.
    fn span(self) -> String {
        let (least, most) = (seconds(self.least), seconds(self.most));
        if least == most {
            most
        } else {
            format!("{} to {most}", least.trim_end_matches(" s"))
        }
    }
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

impl Missed {
    fn words(self) -> String {
        match self {
            Self::Refused => "refused".to_owned(),
            Self::Unanswered => format!("not answered within {} s", CONNECT_TIMEOUT.as_secs()),
            Self::Failed => "failed to connect".to_owned(),
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

/// How long answers took.
#[derive(Default, Debug)]
pub(super) struct Latencies {
    pub(super) times: Histogram,
    /// Requests that got no answer, or a wrong one.
    pub(super) failed: u64,
}

impl Latencies {
    fn text(&self) -> String {
        let micros = |percent| match self.times.percentile(percent) {
            Some(time) => {
                let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
                format!("{} µs", Count(micros))
            }
            None => "-".to_owned(),
        };
        let (p50, p99, answers) = (micros(50), micros(99), Count(self.times.count()));
        let failed = match self.failed {
            0 => String::new(),
            failed => format!(", {} failed", Count(failed)),
        };
        format!("p50 {p50}, p99 {p99} ({answers} answers{failed})")
    }

    fn json(&self) -> String {
        let millis = |percent| match self.times.percentile(percent) {
            Some(time) => format!("{:.6}", time.as_secs_f64() * 1e3),
            None => "null".to_owned(),
        };
        object(&[
            ("answers", self.times.count().to_string()),
            ("failed", self.failed.to_string()),
            ("p50_ms", millis(50)),
            ("p99_ms", millis(99)),
        ])
    }
}
