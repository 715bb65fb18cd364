//! What becomes of a crowd, counted.
//!
//! What lives here: the counting, and the line while it lasts. It may not know sockets
//! or time, but for durations that are handed in. Invariant: everybody who began is on the way, open, or counted under
//! one end. Read next: `latencies.rs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use rustix::io::Errno;

use crate::cli::CrowdMode;
use crate::http::amount::{Count, Size};

use crate::tools::crowd::verdict::Circumstances;

/// How it is for all members together. Constant memory: there are some hundred statuses, and four ends.
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
    pub(super) missed: BTreeMap<Missed, u32>,
    pub(super) answers: BTreeMap<u16, u32>,
    pub(super) ends: BTreeMap<(Ending, u16), Ages>,
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
pub(super) struct Ages {
    pub(super) count: u32,
    pub(super) least: Duration,
    pub(super) most: Duration,
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

    /// How many of those who asked and stay have not been answered. A server that only lets them in holds nobody.
    pub(super) fn unanswered(&self, mode: CrowdMode) -> u32 {
        match mode {
            CrowdMode::KeepAlive | CrowdMode::SlowRead => {
                let answered: u32 = self.answers.values().sum();
                self.got_in.saturating_sub(answered)
            }
            CrowdMode::Silent | CrowdMode::HalfHead | CrowdMode::Churn => 0,
        }
    }

    /// Whether all are, or were, as was asked.
    pub(super) fn all_stayed(&self, about: &Circumstances) -> bool {
        let enough = if about.mode.comes_and_goes() {
            self.went > 0
        } else {
            self.open == about.asked && self.unanswered(about.mode) == 0
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
    pub(super) fn span(self) -> String {
        let [least, most] = [self.least, self.most].map(|age| format!("{:.1}", age.as_secs_f64()));
        if least == most {
            format!("{most} s")
        } else {
            format!("{least} to {most} s")
        }
    }
}
