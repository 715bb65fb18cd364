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
use crate::event_loop::clock::Histogram;
use crate::http::text::{Count, Size};
use crate::http::text::{JsonString, JsonStyle, object};
use crate::limits::CONNECT_TIMEOUT;

use super::Phase;

/// A crowd: what was asked for, how far it has come, and what has become of its members. All of
/// them share it.
#[derive(Default, Debug)]
pub(crate) struct Crowd {
    pub(super) options: Options,
    target: String,
    /// What each sends once it is connected.
    pub(super) request: Vec<u8>,
    pub(super) phase: Phase,
    /// Connections that were begun.
    pub(super) begun: u64,
    /// Got in at some time.
    pub(super) got_in: u64,
    /// Got in, did what was to be done, and left.
    pub(super) went: u64,
    refused: u64,
    unanswered: u64,
    /// Did not get in for another reason.
    failed: u64,
    /// Why the first one that failed, but for those without an answer in time, did so.
    pub(super) first_failure: Option<io::Error>,
    pub(super) answers: BTreeMap<u16, u64>,
    ends: BTreeMap<(Ending, u16), Ages>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Of the honest client, before the crowd comes and beside it.
    pub(super) before: Latencies,
    beside: Latencies,
    /// Why the last request of the honest client that failed did so.
    pub(super) probe_failure: Option<String>,
    /// How long opening took, and how long all were held after that.
    pub(super) opening: Duration,
    pub(super) held: Duration,
    pub(super) interrupted: bool,
    /// What this machine could not do.
    pub(super) trouble: Option<String>,
    /// The verdict: whether all are, or were, as was asked.
    pub(super) stayed: bool,
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

impl Crowd {
    pub(super) fn new(options: &Options, target: SocketAddr) -> Self {
        Self {
            options: options.clone(),
            target: target.to_string(),
            request: super::request(options),
            ..Self::default()
        }
    }

    /// How many are wanted at a time.
    pub(super) fn clients(&self) -> u64 {
        self.options.clients.into()
    }

    /// Where the present request of the honest client counts. While the others come, there is
    /// neither quiet nor a crowd.
    pub(super) fn latencies(&mut self) -> Option<&mut Latencies> {
        match self.phase {
            Phase::Quiet => Some(&mut self.before),
            Phase::Holding => Some(&mut self.beside),
            Phase::Scouting | Phase::Opening => None,
        }
    }

    /// A member did not get in; without a reason, it got no answer in time.
    pub(super) fn missed(&mut self, why: Option<io::Error>) {
        let count = match why.as_ref().map(Errno::from_io_error) {
            None | Some(Some(Errno::TIMEDOUT)) => &mut self.unanswered,
            Some(Some(Errno::CONNREFUSED | Errno::CONNRESET)) => &mut self.refused,
            Some(_) => &mut self.failed,
        };
        *count += 1;
        self.first_failure = self.first_failure.take().or(why);
    }

    /// A connection of this age ended; `status` is that of the last answer, or 0.
    pub(super) fn ended(&mut self, how: Ending, status: u16, age: Duration) {
        let (count, least, most) = (1, age, age);
        let one = Ages { count, least, most };
        let ages = self.ends.entry((how, status));
        ages.and_modify(|ages| *ages = ages.and(one)).or_insert(one);
    }

    /// How many are on their way.
    pub(super) fn on_their_way(&self) -> u64 {
        self.begun - self.outside() - self.got_in
    }

    /// How many are there.
    pub(super) fn open(&self) -> u64 {
        self.got_in - self.went - self.gone()
    }

    /// How many did not get in.
    pub(super) fn outside(&self) -> u64 {
        self.refused + self.unanswered + self.failed
    }

    /// How many ended that were not to end.
    pub(super) fn gone(&self) -> u64 {
        self.ends.values().map(|ages| ages.count).sum()
    }

    /// How many members that asked and stay have not been answered. A server that lets clients in
    /// and does not answer does not hold them.
    fn without_answer(&self) -> u64 {
        match self.options.mode {
            CrowdMode::KeepAlive | CrowdMode::SlowRead => {
                self.got_in.saturating_sub(self.answers.values().sum())
            }
            CrowdMode::Silent | CrowdMode::HalfHead | CrowdMode::Churn => 0,
        }
    }

    /// Whether all are, or were, as was asked.
    pub(super) fn all_stayed(&self) -> bool {
        let enough = if self.options.mode.comes_and_goes() {
            self.went > 0
        } else {
            self.open() == self.clients() && self.without_answer() == 0
        };
        enough && self.outside() == 0 && self.gone() == 0 && self.trouble.is_none()
    }

    /// One line while it lasts, at most 79 characters where the numbers are not absurd.
    pub(super) fn line(&self, left: Option<Duration>) -> String {
        let mut line = format!("{} open", Count(self.open()));
        let others = [
            (self.on_their_way(), "opening"),
            (self.went, "came and went"),
            (self.refused, "refused"),
            (self.unanswered + self.failed, "not let in"),
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

    /// What became of it all, and the verdict.
    pub(super) fn text(&self) -> String {
        let churns = self.options.mode.comes_and_goes();
        let mut lines = vec![self.headline()];
        let mut say = |line: String| lines.push(line);
        if churns {
            let each = self.went as f64 / self.held.as_secs_f64().max(0.001);
            let (went, held) = (Count(self.went), seconds(self.held));
            say(format!(
                "came and went: {went} in {held}, {each:.0} a second"
            ));
        } else {
            say(format!(
                "got in: {} in {}",
                Count(self.got_in),
                seconds(self.opening)
            ));
        }
        let untried = self.clients().saturating_sub(self.begun);
        let unanswered = format!("not answered within {} s", CONNECT_TIMEOUT.as_secs());
        for (what, n) in [
            ("not tried", if churns { 0 } else { untried }),
            ("refused", self.refused),
            (&unanswered, self.unanswered),
            ("failed to connect", self.failed),
        ] {
            if n > 0 {
                say(format!("{what}: {}", Count(n)));
            }
        }
        if let Some(trouble) = &self.trouble {
            say(format!("stopped opening: {trouble}"));
        }
        if !self.answers.is_empty() {
            let answers = self.answers.iter();
            let answers = answers.map(|(status, n)| format!("{status} to {}", Count(*n)));
            say(format!(
                "answered: {}",
                answers.collect::<Vec<_>>().join(", ")
            ));
        }
        if self.without_answer() > 0 {
            say(format!(
                "without an answer: {}",
                Count(self.without_answer())
            ));
        }
        for ((how, status), ages) in &self.ends {
            let said = match status {
                0 => String::new(),
                status => format!(", {status} said"),
            };
            let (how, span, n) = (how.words().1, ages.span(), Count(ages.count));
            say(format!("{how} after {span}{said}: {n}"));
        }
        let (sent, came) = (Size(self.bytes_out), Size(self.bytes_in));
        say(format!("bytes: {sent} sent, {came} received"));
        if self.options.probe.is_some() {
            say(format!("honest client, before: {}", self.before.text()));
            say(format!(
                "honest client, beside them: {}",
                self.beside.text()
            ));
        }
        say(self.verdict());
        lines.join("\n") + "\n"
    }

    fn headline(&self) -> String {
        let drip = self.options.drip.as_secs_f64();
        let what = match self.options.mode {
            CrowdMode::Silent => "that say nothing".to_owned(),
            CrowdMode::KeepAlive => "that ask once".to_owned(),
            CrowdMode::HalfHead => format!("with a byte of a head every {drip} s"),
            CrowdMode::SlowRead => format!("that read a sip every {drip} s"),
            CrowdMode::Churn => "at most at once, that come and go".to_owned(),
        };
        let asked = Count(self.clients());
        format!("{}: {asked} clients {what}", self.target)
    }

    fn verdict(&self) -> String {
        let (asked, open) = (Count(self.clients()), Count(self.open()));
        let churns = self.options.mode.comes_and_goes();
        let verdict = match (churns, self.all_stayed(), self.open()) {
            (true, true, _) => "all were let in".to_owned(),
            (true, false, _) => {
                let failed = self.outside() + self.gone();
                format!("{} did not get what they came for", Count(failed))
            }
            (false, true, _) => format!("all {asked} stayed for {}", seconds(self.held)),
            (false, false, n) if n == self.clients() => {
                format!("all {asked} stayed, but not all were answered")
            }
            (false, false, 0) => format!("none of {asked} stayed"),
            (false, false, _) => format!("{open} of {asked} stayed"),
        };
        let interrupted = if self.interrupted {
            "interrupted; "
        } else {
            ""
        };
        format!("verdict: {interrupted}{verdict}")
    }

    /// The same as one JSON object; times are in milliseconds.
    pub(super) fn json(&self) -> String {
        let string = |text: &str| JsonString(JsonStyle::Utf8, text.as_bytes()).to_string();
        let null = || "null".to_owned();
        let millis = |time: Duration| time.as_millis().to_string();
        let options = &self.options;
        let answers = self.answers.iter();
        let answers = answers.map(|(status, n)| (status.to_string(), n.to_string()));
        let ends = self.ends.iter().map(|((how, status), ages)| {
            let status = Some(*status).filter(|status| *status > 0);
            object(&[
                ("how", string(how.words().0)),
                (
                    "status",
                    status.map_or_else(null, |status| status.to_string()),
                ),
                ("count", ages.count.to_string()),
                ("after_ms_min", millis(ages.least)),
                ("after_ms_max", millis(ages.most)),
            ])
        });
        let probe = options.probe.as_ref().map(|url| {
            object(&[
                ("url", string(&url.to_string())),
                ("before", self.before.json()),
                ("beside", self.beside.json()),
            ])
        });
        let trouble = self.trouble.as_deref().map(string);
        let untried = self.clients().saturating_sub(self.begun);
        object(&[
            ("target", string(&self.target)),
            ("mode", string(options.mode.word())),
            ("clients", options.clients.to_string()),
            ("got_in", self.got_in.to_string()),
            ("open", self.open().to_string()),
            ("came_and_went", self.went.to_string()),
            ("refused", self.refused.to_string()),
            ("unanswered", self.unanswered.to_string()),
            ("failed", self.failed.to_string()),
            ("untried", untried.to_string()),
            ("answers", object(&answers.collect::<Vec<_>>())),
            ("no_answer", self.without_answer().to_string()),
            (
                "ended",
                format!("[{}]", ends.collect::<Vec<_>>().join(", ")),
            ),
            ("bytes_out", self.bytes_out.to_string()),
            ("bytes_in", self.bytes_in.to_string()),
            ("opening_ms", millis(self.opening)),
            ("held_ms", millis(self.held)),
            ("interrupted", self.interrupted.to_string()),
            ("trouble", trouble.unwrap_or_else(null)),
            ("probe", probe.unwrap_or_else(null)),
            ("stayed", self.all_stayed().to_string()),
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

impl From<&io::Error> for Ending {
    fn from(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(Errno::CONNRESET | Errno::PIPE) => Self::Reset,
            _ => Self::Broke,
        }
    }
}

impl Ending {
    /// In JSON, and in a sentence.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Closed => ("closed", "closed by the server"),
            Self::Reset => ("reset", "reset by the server"),
            Self::Broke => ("broke", "broke"),
            Self::NotHttp => ("not-http", "left, since the answer was no HTTP,"),
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
