//! The clocks that are read at both ends of a slice.
//!
//! What lives here: who is watched, and what one look shows.
//! What it may not know: what the client does in between.
//! Invariant: the client looks itself, so that its own start and end are not part of what it measures.
//! Read next: `measure.rs`, where the clocks are.

use std::time::Instant;

use crate::Outcome;
use crate::measure::{self, Busy};
use crate::record::Record;

/// The server's processes, and where they run.
pub(crate) struct Watched {
    pids: Vec<u32>,
    core: usize,
    me: [u32; 1],
}

/// What the clocks said at one moment.
pub(crate) struct Look {
    /// The moment.
    pub(crate) at: Instant,
    /// CPU seconds of the server so far.
    pub(crate) server: f64,
    /// CPU seconds of this process so far.
    pub(crate) client: f64,
    /// CPU seconds of everybody so far.
    pub(crate) busy: Busy,
}

impl Watched {
    /// Reads `watch`, the processes, and `core`, where they run.
    pub(crate) fn read(asked: &Record) -> Outcome<Self> {
        let pids: Result<_, _> = asked.text("watch")?.split(',').map(str::parse).collect();
        Ok(Self {
            pids: pids?,
            core: asked.number("core")?,
            me: [std::process::id()],
        })
    }

    /// Looks at all clocks.
    pub(crate) fn look(&self) -> Outcome<Look> {
        Ok(Look {
            server: measure::on_cpu(&self.pids),
            client: measure::on_cpu(&self.me),
            busy: measure::busy(self.core)?,
            at: Instant::now(),
        })
    }
}
