//! The loop's part, played by hand, for one connection at a time.
//!
//! A stand drives a connection as the loop does, and checks after each drive what the loop demands:
//! the connection is parked on a cleared bit under a deadline, queued, or gone. It is public where
//! the feature `fuzz` is on, for `tests/oracles/machine.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli;
use crate::cli::Command;
use crate::event_loop::clock::Clock;
use crate::event_loop::readiness::Readiness;
use crate::event_loop::{
    Context, Control, Deadline, Key, Link, Next, Now, Side, Stage, Stream, Tick,
};
use crate::limits::{DRIVE_BYTES_MAX, SCRATCH_BYTES};
use crate::server::Server;
use crate::server::clients::TrackedClient;
use crate::server::connection::HttpConnection;
use crate::server::counters::Close;
use crate::server::{sites, start};

use super::State;
use crate::event_loop::Transport;

/// Contents that show where in the file they stand: 251 is prime to every buffer's length.
pub fn large_file() -> Vec<u8> {
    (0..=250).cycle().take(100_000).collect()
}

/// What a connection meets: the server, the buffer it is lent, and the time.
#[derive(Debug)]
pub struct Stand {
    /// What all connections share.
    pub server: Server,
    /// The time. It passes only where [`Stand::pass`] lets it.
    pub now: Now,
    scratch: Vec<u8>,
    /// A site of our own, removed at the end.
    temporary: Option<PathBuf>,
}

impl Drop for Stand {
    fn drop(&mut self) {
        if let Some(site) = &self.temporary {
            let _ = std::fs::remove_dir_all(site);
        }
    }
}

/// Where the connection was put after its last drive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// On a cleared bit, under a deadline.
    Parked(Side),
    /// For its next turn.
    Queued,
    /// Until a time, for a disk.
    Asleep,
    /// Gone.
    Left,
}

/// A connection, and what the loop knows of it.
#[derive(Debug)]
pub struct Held<T> {
    /// The connection itself.
    pub connection: HttpConnection<T>,
    /// What is known of its client, if it comes from a trusted proxy.
    pub client: Option<TrackedClient>,
    /// What events have said of its socket.
    pub ready: Readiness,
    /// Where it is.
    pub place: Place,
    /// The stage of the loop that it is told.
    pub stage: Stage,
    /// Whether a deadline has passed of which the connection has not been told.
    pub expired: bool,
    /// Its deadline.
    pub due: Option<Tick>,
}

impl<T: Transport> Held<T> {
    /// The name of its state, and whether it is the body of an answered request that is read.
    pub fn state(&self) -> (&'static str, bool) {
        let state = &self.connection.state;
        let draining = matches!(state, State::ReadingHead(reading) if reading.is_draining());
        (state.name(), draining)
    }

    /// Bytes of memory it holds beyond its slot, listings excepted.
    pub fn memory(&self) -> usize {
        match &self.connection.state {
            State::ReadingHead(reading) => reading.memory(),
            State::WritingHeaders(reply) | State::WritingBody(reply) => reply.outgoing.memory(),
            State::Lingering { .. } | State::Closed => 0,
        }
    }
}

impl Stand {
    /// A site with a small file, one that is sent from its descriptor, and a directory without an
    /// index.
    pub fn new(name: &str, options: &[&str]) -> Self {
        let site = std::env::temp_dir().join(format!("idler-states-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&site);
        std::fs::create_dir_all(site.join("d/sub")).unwrap();
        std::fs::write(site.join("a"), "small\n").unwrap();
        std::fs::write(site.join("b"), large_file()).unwrap();
        let mut stand = Self::over(&site, options);
        stand.temporary = Some(site);
        stand
    }

    /// This site, served with these options.
    pub fn over(site: &Path, options: &[&str]) -> Self {
        let words = ["serve".into(), site.as_os_str().to_owned()].into_iter();
        let words = words.chain(options.iter().map(Into::into));
        let Ok(Command::Serve(options)) = cli::parse(words, |_| None) else {
            panic!("serving a directory is a command");
        };
        let server = sites::open(&options.server)
            .and_then(|sites| start::server(&options.server, sites))
            .unwrap();
        let mut now = Clock::start().read();
        // Files as fresh as these are not kept; let it be later.
        now.wall += Duration::from_secs(60);
        Self {
            server,
            now,
            scratch: vec![0; SCRATCH_BYTES],
            temporary: None,
        }
    }

    /// How many connections were closed for this reason.
    pub fn closed(&self, why: Close) -> u64 {
        self.server.counters.closes[why as usize]
    }

    /// How many connections were closed.
    #[cfg(test)]
    pub(super) fn ended(&self) -> u64 {
        self.server.counters.closes.iter().sum()
    }

    /// Adds a file of zeros to a site of our own.
    #[cfg(test)]
    pub(super) fn sparse(&self, name: &str, length: u64) {
        let site = self.temporary.as_ref().unwrap();
        let file = std::fs::File::create(site.join(name)).unwrap();
        file.set_len(length).unwrap();
    }

    /// Removes a directory of a site of our own.
    #[cfg(test)]
    pub(super) fn remove(&self, name: &str) {
        let site = self.temporary.as_ref().unwrap();
        std::fs::remove_dir_all(site.join(name)).unwrap();
    }

    /// A connection that has just been accepted.
    pub fn accept<T: Transport>(&self, transport: T) -> Held<T> {
        Held {
            connection: HttpConnection::new(Stream { transport }),
            client: None,
            ready: Readiness::NONE,
            place: Place::Parked(Side::Read),
            stage: Stage::Running,
            expired: false,
            due: Some(self.now.tick.after(self.server.http.timeouts.idle)),
        }
    }

    /// Lets the time come for which a deadline is set. Without one there is nothing to pass.
    pub fn pass<T>(&mut self, held: &mut Held<T>) {
        held.expired = held.due.is_some();
        if let Some(tick) = held.due.take()
            && !tick.is_due(self.now.tick)
        {
            self.now.tick = tick;
        }
    }

    /// Drives a connection once.
    ///
    /// # Panics
    /// If it then is where the loop would lose it; `told` says what was being played.
    pub fn drive<T: Transport>(&mut self, held: &mut Held<T>, told: &dyn Debug) {
        self.now.turn += 1;
        let mut control = Control {
            stage: held.stage,
            ..Control::default()
        };
        let mut cx = Context {
            link: Link::new(Key::for_test(1), held.ready, DRIVE_BYTES_MAX),
            now: self.now,
            expired: held.expired,
            deadline: held.due.unwrap_or(self.now.tick),
            stage: held.stage,
            scratch: &mut self.scratch,
            shared: &mut self.server,
            control: &mut control,
        };
        let next = held.connection.drive(held.client.as_mut(), &mut cx);
        held.ready = cx.link.ready;
        assert_eq!(
            self.scratch.len(),
            SCRATCH_BYTES,
            "what is lent is given back"
        );
        let asked = match next {
            Next::Park(side, deadline) => {
                assert!(!held.ready.is(side), "{told:?}: parked on a set bit");
                held.place = Place::Parked(side);
                deadline
            }
            Next::Again(deadline) => {
                held.place = Place::Queued;
                deadline
            }
            Next::Leave => {
                held.place = Place::Left;
                Deadline::Keep
            }
            Next::Sleep(tick) => {
                held.place = Place::Asleep;
                Deadline::At(tick)
            }
            Next::Room => panic!("{told:?}: {next:?}"),
        };
        // As the loop does it: a deadline that passed and was not renewed is gone.
        held.due = match asked {
            Deadline::At(tick) => Some(tick),
            Deadline::Keep if held.expired => None,
            Deadline::Keep => held.due,
            Deadline::Never => None,
        };
        held.expired = false;
        let must = matches!(held.place, Place::Parked(_) | Place::Asleep);
        assert!(!must || held.due.is_some(), "{told:?}: parked for ever");
    }
}
