//! What signals mean to the server: to stop, to read files again, to show its metrics. The second
//! signal to stop, or the end of the grace, always ends it.

use std::time::Duration;

use log::{info, warn};
use signal_hook::consts::{SIGHUP, SIGUSR1};

use crate::event_loop::signal::Signal;
use crate::event_loop::{Context, Deadline, Next, Side, Stage};
use crate::log::logger;
use crate::server::Server;

/// One signal that the server listens to.
#[derive(Debug)]
pub struct Signals {
    pub(super) signal: Signal,
    drain_delay: Duration,
    grace: Duration,
    /// Whether it is this one that began the stop: its deadlines lead it on.
    leads: bool,
}

impl Signals {
    /// Listens to `signal`. On one that stops: for `drain_delay` every reply says that the
    /// connection closes; then the listeners close, and the busy may finish for `grace`.
    pub fn new(signal: Signal, drain_delay: Duration, grace: Duration) -> Self {
        Self {
            signal,
            drain_delay,
            grace,
            leads: false,
        }
    }

    /// Hears the signal, and leads the stop on when its time has come.
    pub fn drive(&mut self, cx: &mut Context<'_, Server>) -> Next {
        if self.signal.came(&mut cx.link) {
            if self.signal.number == SIGHUP {
                info!("SIGHUP: looking again");
                cx.shared.reload();
            } else if self.signal.number == SIGUSR1 {
                logger::say(&cx.shared.metrics_as_lines(&cx.now));
            } else if cx.stage == Stage::Running {
                self.leads = true;
                info!("stopping; another signal ends it at once");
                cx.shared.notify.stopping();
                cx.shared.http.stopping = true;
                if self.drain_delay.is_zero() {
                    return advance(cx, Stage::Stopping, self.grace);
                }
                return advance(cx, Stage::Draining, self.drain_delay);
            } else {
                warn!("stopped at once by a second signal");
                cx.shared.failed = true;
                cx.quit();
            }
        }
        if cx.expired && self.leads {
            if cx.stage == Stage::Draining {
                return advance(cx, Stage::Stopping, self.grace);
            }
            warn!("stopped: the grace has passed, and somebody was still busy");
            cx.shared.failed = true;
            cx.quit();
        }
        Next::Park(Side::Read, Deadline::Keep)
    }
}

fn advance(cx: &mut Context<'_, Server>, stage: Stage, time: Duration) -> Next {
    cx.advance_to(stage);
    Next::Park(Side::Read, Deadline::At(cx.now.tick.after(time)))
}
