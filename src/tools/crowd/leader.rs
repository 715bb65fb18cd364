//! The leader of a crowd: it opens the connections at a bounded pace, waits, and tells what became
//! of them. Whatever ends it, Ctrl-C included, the verdict is told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use rustix::io::Errno;

use crate::cli::{CrowdMode, Options};
use crate::companions::client::{Destination, Driven, Failure, print};
use crate::companions::progress::StatusLine;
use crate::event_loop::transport::{self, ConnectOptions};
use crate::event_loop::{Deadline, Next, Stage};
use crate::limits::{
    CONNECT_TIMEOUT, CROWD_ARREARS_MAX, CROWD_LINE_INTERVAL, CROWD_LOOK, CROWD_OPENING_COST_BYTES,
    CROWD_OPENING_MAX, CROWD_PACE, CROWD_PATIENCE, CROWD_RECEIVE_BUFFER_BYTES, PROBE_QUIET,
};
use crate::log::logger;
use crate::tools::{ClientTask, NewTasks, TaskContext};

use super::member::Member;
use super::probe::Probe;
use super::{Phase, ProbeTask};

/// See the module.
#[derive(Debug)]
pub struct Leader {
    to: SocketAddr,
    pace: OpeningPace,
    sources: Sources,
    probe: Option<ProbeTask>,
    /// The line while it lasts, on a terminal; elsewhere, when the next one is logged.
    line: Option<StatusLine>,
    next_line: Instant,
    /// When the phase began.
    since: Instant,
    /// When a member got in last, and how many were in then.
    progress: (Instant, u64),
}

/// The budget of the drive is spent, or another phase has begun.
const NEXT_TURN: Option<Next> = Some(Next::Again(Deadline::Never));

impl Leader {
    pub(super) fn new(options: &Options, to: &Destination<'_>, probe: Option<ProbeTask>) -> Self {
        let (to, now) = (to.address, to.now.instant);
        Self {
            to,
            pace: OpeningPace::new(options.rate, now),
            sources: Sources::new(options.mode),
            probe,
            line: StatusLine::on_terminal().filter(|_| !options.voice.quiet),
            // Where lines stay, the first can wait.
            next_line: now + CROWD_LINE_INTERVAL,
            since: now,
            progress: (now, 0),
        }
    }

    /// Opens the connections that are due; then sleeps.
    pub(crate) fn drive(&mut self, cx: &mut TaskContext<'_>, new: &mut NewTasks<'_>) -> Driven {
        let interrupted = cx.stage == Stage::Stopping;
        let driven = match cx.shared.crowd.phase {
            _ if interrupted => Ok(None),
            Phase::Scouting => self.scout(cx, new),
            Phase::Quiet => self.measure(cx),
            Phase::Opening => self.gather(cx, new),
            Phase::Holding => self.hold(cx, new),
        };
        if matches!(driven, Ok(Some(_))) {
            return driven;
        }
        self.line = None;
        // The members have no end of their own.
        cx.quit();
        driven?;
        let (passed, crowd) = (self.passed(cx), &mut cx.shared.crowd);
        crowd.interrupted = interrupted;
        match crowd.phase {
            Phase::Scouting | Phase::Quiet => {}
            Phase::Opening => crowd.opening = passed,
            Phase::Holding => crowd.held = passed,
        }
        crowd.stayed = crowd.all_stayed();
        let verdict = if crowd.options.json {
            crowd.json()
        } else {
            crowd.text()
        };
        print(verdict.as_bytes())?;
        Ok(None)
    }

    /// Sends one member ahead. Once it is in, the others follow, or first the honest client.
    fn scout(&mut self, cx: &mut TaskContext<'_>, new: &mut NewTasks<'_>) -> Driven {
        if cx.shared.crowd.begun == 0 {
            self.open(1, cx, new)?;
        }
        let crowd = &mut cx.shared.crowd;
        if let Some(error) = crowd.first_failure.take() {
            return Err(Failure::to_connect(self.to, &error));
        }
        if crowd.outside() > 0 {
            return Err(Failure::connect_timeout(self.to, CONNECT_TIMEOUT));
        }
        if crowd.got_in == 0 {
            return self.wait(CROWD_PACE, cx);
        }
        let Some((to, request)) = self.probe.take() else {
            return self.enter(Phase::Opening, cx);
        };
        Probe::start(to, request, cx.now.tick, new)?;
        self.enter(Phase::Quiet, cx)
    }

    /// Lets the honest client work without the crowd for [`PROBE_QUIET`].
    fn measure(&mut self, cx: &mut TaskContext<'_>) -> Driven {
        let left = PROBE_QUIET.saturating_sub(self.passed(cx));
        if !left.is_zero() {
            return self.wait(left, cx);
        }
        let crowd = &cx.shared.crowd;
        if crowd.before.times.count() == 0 {
            let why = crowd.probe_failure.as_deref();
            let why = why.unwrap_or("nothing came in time");
            let line = format!("the honest client got no answer: {why}");
            return Err(Failure::new(line));
        }
        self.enter(Phase::Opening, cx)
    }

    /// Opens until all are in or out, or none has got in for [`CROWD_PATIENCE`].
    fn gather(&mut self, cx: &mut TaskContext<'_>, new: &mut NewTasks<'_>) -> Driven {
        if !self.open_in_time(cx, new)? {
            return Ok(NEXT_TURN);
        }
        let (passed, now) = (self.passed(cx), cx.now.instant);
        let crowd = &mut cx.shared.crowd;
        if crowd.got_in > self.progress.1 {
            self.progress = (now, crowd.got_in);
        }
        let is_stuck = now.duration_since(self.progress.0) >= CROWD_PATIENCE;
        let all_begun = crowd.begun >= crowd.clients() || crowd.trouble.is_some();
        if is_stuck || (all_begun && crowd.on_their_way() == 0) {
            crowd.opening = passed;
            return self.enter(Phase::Holding, cx);
        }
        self.wait(CROWD_PACE, cx)
    }

    /// Waits until the time is over, or no member is left. Members that come and go are
    /// replaced.
    fn hold(&mut self, cx: &mut TaskContext<'_>, new: &mut NewTasks<'_>) -> Driven {
        let crowd = &cx.shared.crowd;
        let left = crowd.options.duration.saturating_sub(self.passed(cx));
        let churns = crowd.options.mode.comes_and_goes();
        let none_left = !churns && crowd.open() == 0 && crowd.on_their_way() == 0;
        if left.is_zero() || none_left {
            return Ok(None);
        }
        if churns && crowd.trouble.is_none() && !self.open_in_time(cx, new)? {
            return Ok(NEXT_TURN);
        }
        let look = if churns { CROWD_PACE } else { CROWD_LOOK };
        self.wait(look.min(left), cx)
    }

    fn passed(&self, cx: &TaskContext<'_>) -> Duration {
        cx.now.instant.duration_since(self.since)
    }

    fn enter(&mut self, phase: Phase, cx: &mut TaskContext<'_>) -> Driven {
        let crowd = &mut cx.shared.crowd;
        // A crowd that comes and goes is never complete, so there is no opening to wait for.
        let skips = phase == Phase::Opening && crowd.options.mode.comes_and_goes();
        crowd.phase = if skips { Phase::Holding } else { phase };
        self.since = cx.now.instant;
        self.pace = OpeningPace::new(crowd.options.rate, self.since);
        if let Some(line) = &mut self.line {
            line.clear();
        }
        Ok(NEXT_TURN)
    }

    /// Opens the connections that are due. False if the budget of the drive did not suffice.
    fn open_in_time(
        &mut self,
        cx: &mut TaskContext<'_>,
        new: &mut NewTasks<'_>,
    ) -> Result<bool, Failure> {
        let crowd = &cx.shared.crowd;
        let there = if crowd.options.mode.comes_and_goes() {
            crowd.on_their_way() + crowd.open()
        } else {
            crowd.begun
        };
        let wanted = crowd.clients().saturating_sub(there);
        let room = u64::from(CROWD_OPENING_MAX).saturating_sub(crowd.on_their_way());
        let due = self.pace.due(cx.now.instant);
        self.open(due.min(wanted).min(room), cx, new)?;
        Ok(cx.link.budget() > 0)
    }

    /// Opens `count` connections, or as many as the budget of the drive allows.
    fn open(
        &mut self,
        count: u64,
        cx: &mut TaskContext<'_>,
        new: &mut NewTasks<'_>,
    ) -> Result<(), Failure> {
        let crowd = &mut cx.shared.crowd;
        for _ in 0..count {
            if cx.link.budget() == 0 || crowd.trouble.is_some() {
                break;
            }
            cx.link.charge(CROWD_OPENING_COST_BYTES);
            self.pace.spend(1);
            match self.sources.start(self.to) {
                Ok(socket) => {
                    let (member, first) = Member::new(socket, cx.now.tick);
                    crowd.begun += 1;
                    new.admit(ClientTask::Member(member), first);
                }
                Err(e) if is_shortage(&e) => {
                    let trouble = Failure::to_connect(self.to, &e).to_string();
                    if crowd.begun == 0 {
                        return Err(Failure::new(trouble));
                    }
                    crowd.trouble = Some(trouble);
                }
                Err(e) => {
                    crowd.begun += 1;
                    crowd.missed(Some(e));
                }
            }
        }
        Ok(())
    }

    fn wait(&mut self, time: Duration, cx: &TaskContext<'_>) -> Driven {
        let crowd = &cx.shared.crowd;
        let holds = crowd.phase == Phase::Holding;
        let left = holds.then(|| crowd.options.duration.saturating_sub(self.passed(cx)));
        if let Some(line) = &mut self.line {
            line.draw(&cx.now, || crowd.line(left));
        } else if !crowd.options.voice.quiet && cx.now.instant >= self.next_line {
            self.next_line = cx.now.instant + CROWD_LINE_INTERVAL;
            logger::say(&crowd.line(left));
        }
        Ok(Some(Next::Sleep(cx.now.tick.after(time))))
    }
}

/// How many connections may be opened by now: never more than the rate has earned.
#[derive(Debug)]
pub(super) struct OpeningPace {
    /// In a second.
    rate: u32,
    last: Instant,
    /// Connections, in thousand millions: what a rate makes of nanoseconds.
    credit: u64,
}

/// One connection's worth of credit.
const ONE: u64 = 1_000_000_000;

impl OpeningPace {
    pub(super) fn new(rate: u32, last: Instant) -> Self {
        let credit = 0;
        Self { rate, last, credit }
    }

    /// How many are due. A leader that was held up makes up for [`CROWD_ARREARS_MAX`] at most.
    pub(super) fn due(&mut self, now: Instant) -> u64 {
        let passed = now.duration_since(std::mem::replace(&mut self.last, now));
        let worth = |time: Duration| {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            nanos.saturating_mul(self.rate.into())
        };
        let most = worth(CROWD_ARREARS_MAX).max(ONE);
        self.credit = self.credit.saturating_add(worth(passed)).min(most);
        self.credit / ONE
    }

    pub(super) fn spend(&mut self, opened: u64) {
        self.credit = self.credit.saturating_sub(ONE * opened);
    }
}

/// Where connections come from: the kernel's choice, and once its ports have run out, one loopback
/// address after the other, since each has ports of its own.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) options: ConnectOptions,
    /// The last byte of 127.0.0.x; 0 is the kernel's choice.
    last: u8,
}

impl Sources {
    pub(super) fn new(mode: CrowdMode) -> Self {
        let sips = mode == CrowdMode::SlowRead;
        let options = ConnectOptions {
            source: None,
            receive_buffer_bytes: sips.then_some(CROWD_RECEIVE_BUFFER_BYTES),
            // A crowd that leaves must not take its ports with it for a minute. One that comes and
            // goes leaves like any client.
            abort_on_close: !mode.comes_and_goes(),
        };
        Self { options, last: 0 }
    }

    /// Starts to connect. Tries each source once at most.
    fn start(&mut self, to: SocketAddr) -> io::Result<TcpStream> {
        let has_choice = to.is_ipv4() && to.ip().is_loopback();
        let first = self.last;
        loop {
            let started = transport::connect(to, self.options);
            if !has_choice || !started.as_ref().is_err_and(no_port_is_left) {
                return started;
            }
            self.turn();
            if self.last == first {
                return started;
            }
        }
    }

    pub(super) fn turn(&mut self) {
        // 127.0.0.1 is what the kernel chooses; 127.0.0.255 looks like a broadcast address.
        self.last = match self.last {
            0 => 2,
            last => last.wrapping_add(1) % u8::MAX,
        };
        let chosen = self.last > 0;
        let source = chosen.then(|| Ipv4Addr::new(127, 0, 0, self.last).into());
        self.options.source = source;
        log::debug!("no port is left; the next source is {source:?}");
    }
}

/// `bind` says it in one way, `connect` in another.
fn no_port_is_left(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::ADDRNOTAVAIL | Errno::ADDRINUSE))
}

/// Whether this machine has no more of something.
fn is_shortage(error: &io::Error) -> bool {
    let others = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    no_port_is_left(error)
        || Errno::from_io_error(error).is_some_and(|errno| others.contains(&errno))
}
