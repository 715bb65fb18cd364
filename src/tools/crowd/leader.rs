//! Who leads a crowd: opens its connections at a bounded pace, waits, and tells what became of them.
//!
//! What lives here: the phases, and the line while they last. It may not know what a member does.
//! Invariant: whatever ends it, Ctrl-C included, the verdict is spoken.
//! Read next: `opening.rs`, `member.rs`.

use std::cell::Cell;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::cli::Options;
use crate::event_loop::{Context, Deadline, Newcomers, Next, Stage};
use crate::http::url::Url;
use crate::limits::{
    CROWD_LINE_INTERVAL, CROWD_LOOK, CROWD_OPENING_COST_BYTES, CROWD_OPENING_MAX, CROWD_PACE,
    CROWD_PATIENCE, PROBE_QUIET, PROGRESS_INTERVAL,
};

use super::{Crowd, Phase, words};
use crate::companions::client::{Failure, print};
use crate::companions::progress::redraw;
use crate::log::logger;
use crate::tools::crowd::member::Member;
use crate::tools::crowd::opening::{Pace, Sources, is_shortage};
use crate::tools::crowd::probe::Probe;
use crate::tools::crowd::tally::Missed;
use crate::tools::crowd::verdict::Circumstances;
use crate::tools::{ClientTask, TaskState};

/// See the module.
#[derive(Debug)]
pub struct Leader {
    to: SocketAddr,
    clients: u32,
    duration: Duration,
    json: bool,
    pace: Pace,
    sources: Sources,
    probe: Option<(Url, SocketAddr)>,
    about: Circumstances,
    line: Line,
    /// What the members will share; handed over at the first drive.
    crowd: Option<Crowd>,
    /// When the phase began.
    since: Option<Instant>,
    /// When somebody got in last, and how many were in then.
    progress: Option<(Instant, u32)>,
    stayed: Rc<Cell<bool>>,
}

impl Leader {
    /// A leader to the server at `to`; `stayed` is told whether all stayed.
    pub(super) fn new(
        options: &Options,
        to: SocketAddr,
        probe: Option<(Url, SocketAddr)>,
        stayed: Rc<Cell<bool>>,
    ) -> Self {
        Self {
            to,
            clients: options.clients,
            duration: options.duration,
            json: options.json,
            pace: Pace::new(options.rate),
            sources: Sources::new(to, options.mode),
            about: Circumstances {
                target: to.to_string(),
                mode: options.mode,
                drip: options.drip,
                asked: options.clients,
                opening: Duration::ZERO,
                held: Duration::ZERO,
                interrupted: false,
                trouble: None,
                probe: probe.as_ref().map(|(url, _)| url.to_string()),
            },
            probe,
            line: Line::new(options.voice.quiet),
            crowd: Some(Crowd {
                mode: options.mode,
                words: words(options),
                drip: options.drip,
                ..Crowd::default()
            }),
            since: None,
            progress: None,
            stayed,
        }
    }

    /// Opens whom it is time to open; then sleeps.
    pub(crate) fn drive(
        &mut self,
        cx: &mut Context<'_, TaskState>,
        new: &mut Newcomers<'_, ClientTask>,
    ) -> Next {
        if let Some(crowd) = self.crowd.take() {
            cx.shared.crowd = crowd;
        }
        let outcome = match self.step(cx, new) {
            Ok(Some(next)) => return next,
            Ok(None) => self.verdict(&cx.shared.crowd),
            Err(failure) => Err(failure),
        };
        self.line.wipe();
        cx.shared.outcome = Some(outcome);
        // The members have no end of their own.
        cx.quit();
        Next::Leave
    }

    /// How to wait; `None` when it is over.
    fn step(
        &mut self,
        cx: &mut Context<'_, TaskState>,
        new: &mut Newcomers<'_, ClientTask>,
    ) -> Result<Option<Next>, Failure> {
        let now = cx.now.instant;
        let passed = now.duration_since(*self.since.get_or_insert(now));
        let phase = cx.shared.crowd.phase;
        if cx.stage == Stage::Stopping {
            self.about.interrupted = true;
            self.note_time(phase, passed);
            return Ok(None);
        }
        let (wait, left) = match phase {
            Phase::Scouting => {
                if cx.shared.crowd.tally.begun == 0 {
                    self.open(1, cx, new)?;
                }
                let crowd = &mut cx.shared.crowd;
                if let Some(error) = crowd.first_failure.take() {
                    return Err(Failure::to_connect(self.to, &error));
                }
                if crowd.tally.outside() > 0 {
                    let patience = crate::limits::CONNECT_TIMEOUT;
                    return Err(Failure::connect_timeout(self.to, patience));
                }
                if crowd.tally.got_in > 0 {
                    self.begin_after_scout(cx, new)?;
                    return Ok(Some(Next::Again(Deadline::Never)));
                }
                (CROWD_PACE, None)
            }
            Phase::Quiet => {
                if passed >= PROBE_QUIET {
                    let probed = &cx.shared.crowd.probed;
                    if probed.before.answers == 0 {
                        let why = probed.why.as_deref().unwrap_or("nothing came in time");
                        return Err(Failure::new(format!(
                            "the honest client got no answer: {why}"
                        )));
                    }
                    self.enter(Phase::Opening, cx);
                    return Ok(Some(Next::Again(Deadline::Never)));
                }
                (PROBE_QUIET.saturating_sub(passed), None)
            }
            Phase::Opening => {
                if !self.open_in_time(cx, new)? {
                    return Ok(Some(Next::Again(Deadline::Never)));
                }
                if self.is_full(now, &cx.shared.crowd) {
                    self.note_time(Phase::Opening, passed);
                    self.enter(Phase::Holding, cx);
                    return Ok(Some(Next::Again(Deadline::Never)));
                }
                (CROWD_PACE, None)
            }
            Phase::Holding => {
                let left = self.duration.saturating_sub(passed);
                let tally = &cx.shared.crowd.tally;
                let churns = self.about.mode.comes_and_goes();
                let nobody = !churns && tally.open == 0 && tally.opening == 0;
                if left.is_zero() || nobody {
                    self.note_time(Phase::Holding, passed);
                    return Ok(None);
                }
                if churns && self.about.trouble.is_none() && !self.open_in_time(cx, new)? {
                    return Ok(Some(Next::Again(Deadline::Never)));
                }
                let look = if churns { CROWD_PACE } else { CROWD_LOOK };
                (look.min(left), Some(left))
            }
        };
        if self.line.is_due(now) {
            self.line.show(&cx.shared.crowd.tally.line(left));
        }
        Ok(Some(Next::Sleep(cx.now.tick.after(wait))))
    }

    /// The scout is in: the others follow, or first the honest client.
    fn begin_after_scout(
        &mut self,
        cx: &mut Context<'_, TaskState>,
        new: &mut Newcomers<'_, ClientTask>,
    ) -> Result<(), Failure> {
        let next = match &self.probe {
            Some((url, to)) => {
                let probe = Probe::start(*to, url, cx.now.tick)?;
                let first = probe.first();
                new.admit(ClientTask::Probe(Box::new(probe)), first);
                Phase::Quiet
            }
            None => Phase::Opening,
        };
        self.enter(next, cx);
        Ok(())
    }

    fn enter(&mut self, phase: Phase, cx: &mut Context<'_, TaskState>) {
        // Who comes and goes is never complete, so that is all there is to wait for.
        let phase = if phase == Phase::Opening && self.about.mode.comes_and_goes() {
            Phase::Holding
        } else {
            phase
        };
        cx.shared.crowd.phase = phase;
        self.since = Some(cx.now.instant);
        self.pace.begin(cx.now.instant);
        if self.line.terminal {
            self.line.shown = None;
        }
    }

    fn note_time(&mut self, phase: Phase, passed: Duration) {
        match phase {
            Phase::Scouting | Phase::Quiet => {}
            Phase::Opening => self.about.opening = passed,
            Phase::Holding => self.about.held = passed,
        }
    }

    /// Whether nobody else is to be waited for: all are in or out, or nobody gets in any more.
    fn is_full(&mut self, now: Instant, crowd: &Crowd) -> bool {
        let tally = &crowd.tally;
        let (at, before) = *self.progress.get_or_insert((now, tally.got_in));
        if tally.got_in > before {
            self.progress = Some((now, tally.got_in));
        } else if now.duration_since(at) >= CROWD_PATIENCE {
            return true;
        }
        let all_begun = tally.begun >= self.clients || self.about.trouble.is_some();
        all_begun && tally.opening == 0
    }

    /// Opens those who are due. False if the budget of the drive did not suffice.
    fn open_in_time(
        &mut self,
        cx: &mut Context<'_, TaskState>,
        new: &mut Newcomers<'_, ClientTask>,
    ) -> Result<bool, Failure> {
        let tally = &cx.shared.crowd.tally;
        let wanted = if self.about.mode.comes_and_goes() {
            self.clients.saturating_sub(tally.opening + tally.open)
        } else {
            self.clients.saturating_sub(tally.begun)
        };
        let on_their_way = CROWD_OPENING_MAX.saturating_sub(tally.opening);
        let due = self.pace.due(cx.now.instant);
        let opened = self.open(due.min(wanted).min(on_their_way), cx, new)?;
        self.pace.spend(opened);
        Ok(cx.link.budget() > 0)
    }

    /// Opens `count` connections, or as many as the budget of the drive allows. Returns how many.
    fn open(
        &mut self,
        count: u32,
        cx: &mut Context<'_, TaskState>,
        new: &mut Newcomers<'_, ClientTask>,
    ) -> Result<u32, Failure> {
        for opened in 0..count {
            if cx.link.budget() == 0 || self.about.trouble.is_some() {
                return Ok(opened);
            }
            cx.link.charge(CROWD_OPENING_COST_BYTES);
            match self.sources.start(self.to) {
                Ok(socket) => {
                    let (member, first) = Member::new(socket, cx.now.tick);
                    cx.shared.crowd.tally.began();
                    new.admit(ClientTask::Member(member), first);
                }
                Err(e) if is_shortage(&e) => {
                    let trouble = Failure::to_connect(self.to, &e).to_string();
                    if cx.shared.crowd.tally.begun == 0 {
                        return Err(Failure::new(trouble));
                    }
                    self.about.trouble = Some(trouble);
                }
                Err(e) => {
                    let crowd = &mut cx.shared.crowd;
                    crowd.tally.began();
                    crowd.tally.missed(Missed::from(&e));
                    crowd.first_failure.get_or_insert(e);
                }
            }
        }
        Ok(count)
    }

    fn verdict(&mut self, crowd: &Crowd) -> Result<(), Failure> {
        self.line.wipe();
        let probed = [&crowd.probed.before, &crowd.probed.beside];
        self.stayed.set(crowd.tally.all_stayed(&self.about));
        print(
            if self.json {
                crowd.tally.json(&self.about, probed)
            } else {
                crowd.tally.text(&self.about, probed)
            }
            .as_bytes(),
        )
    }
}

/// The line while it lasts: redrawn on a terminal, now and then a new one elsewhere.
#[derive(Debug)]
struct Line {
    /// Nothing is said at all.
    quiet: bool,
    terminal: bool,
    shown: Option<Instant>,
    is_drawn: bool,
}

impl Line {
    fn new(quiet: bool) -> Self {
        Self {
            quiet,
            terminal: io::stderr().is_terminal(),
            shown: None,
            is_drawn: false,
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let interval = if self.terminal {
            PROGRESS_INTERVAL
        } else {
            CROWD_LINE_INTERVAL
        };
        let is_due = match self.shown {
            Some(last) => now.duration_since(last) >= interval,
            // Where lines stay, the first can wait.
            None => self.terminal,
        };
        if is_due || self.shown.is_none() {
            self.shown = Some(now);
        }
        is_due && !self.quiet
    }

    fn show(&mut self, line: &str) {
        if self.terminal {
            redraw(line);
            self.is_drawn = true;
        } else {
            logger::say(line);
        }
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            redraw("");
        }
    }
}
