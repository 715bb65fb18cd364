//! The loop's part, played by hand, for one connection at a time.
//!
//! What lives here: a stand that drives a connection as the loop does, and checks after each drive what the loop demands. It may
//! not know what is on the other end of the transport. Invariant: after each drive the connection is parked
//! on a cleared bit under a deadline, queued, or gone. Read next: `../tests.rs`, then `conversations.rs`.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::{self, Command};
use crate::limits::{DRIVE_BYTES_MAX, SCRATCH_BYTES};
use crate::process::notify::Notify;
use crate::process::usage::Usage;
use crate::reactor::clock::Clock;
use crate::reactor::readiness::Readiness;
use crate::reactor::{Context, Control, Deadline, Key, Link, Next, Now, Side, Stage, Stream, Tick};
use crate::service::House;
use crate::service::access_log::{AccessLog, Destination};
use crate::service::counters::Close;
use crate::service::guests::Guests;
use crate::service::http_server::HttpConnection;
use crate::service::log_entry::Format;
use crate::service::serve;

use super::Transport;

/// What a connection meets: the house, the buffer it is lent, and the time.
pub(super) struct Stand {
    pub(super) house: House,
    pub(super) now: Now,
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
pub(super) enum Place {
    Parked(Side),
    Queued,
    Left,
}

/// A connection, and what the loop knows of it.
pub(super) struct Held<T> {
    pub(super) connection: HttpConnection<T>,
    pub(super) ready: Readiness,
    pub(super) place: Place,
    pub(super) stage: Stage,
    /// Whether a deadline has passed of which the connection has not been told.
    pub(super) expired: bool,
    due: Option<Tick>,
}

impl Stand {
    /// A site with a small file, one that is sent from its descriptor, and a directory without an index.
    pub(super) fn new(name: &str) -> Self {
        let site = std::env::temp_dir().join(format!("idler-states-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&site);
        std::fs::create_dir_all(site.join("d/sub")).unwrap();
        std::fs::write(site.join("a"), "small\n").unwrap();
        std::fs::write(site.join("b"), vec![b'x'; 100_000]).unwrap();
        let mut stand = Self::over(&site);
        stand.temporary = Some(site);
        stand
    }

    /// This site, served without any options.
    pub(super) fn over(site: &Path) -> Self {
        let words = ["serve".into(), site.as_os_str().to_owned()];
        let Ok(Command::Serve(options)) = cli::parse(words.into_iter(), |_| None) else {
            panic!("serving a directory is a command");
        };
        let http = serve::open_site(&options)
            .and_then(|site| serve::http(&options, site))
            .unwrap();
        let access = AccessLog::open(Destination::Off, Format::Combined).unwrap();
        let mut now = Clock::new().read();
        // Files as fresh as these are not kept; let it be later.
        now.wall += Duration::from_secs(60);
        Self {
            house: House::new(
                http,
                Guests::default(),
                access,
                Notify::default(),
                Usage::default(),
                None,
            ),
            now,
            scratch: vec![0; SCRATCH_BYTES],
            temporary: None,
        }
    }

    /// How many connections were closed for this reason.
    pub(super) fn closed(&self, why: Close) -> u64 {
        self.house.counters.closed(why)
    }

    /// How many connections were closed.
    pub(super) fn ended(&self) -> u64 {
        Close::ALL.iter().map(|why| self.closed(*why)).sum()
    }

    /// Removes a directory of a site of our own.
    pub(super) fn remove(&self, name: &str) {
        let site = self.temporary.as_ref().unwrap();
        std::fs::remove_dir_all(site.join(name)).unwrap();
    }

    /// A connection that has just been accepted.
    pub(super) fn accept<T: Transport>(&self, transport: T) -> Held<T> {
        Held {
            connection: HttpConnection::new(Stream::new(transport), 0),
            ready: Readiness::NONE,
            place: Place::Parked(Side::Read),
            stage: Stage::Running,
            expired: false,
            due: Some(self.now.tick.after(self.house.http.patience.idle)),
        }
    }

    /// Lets the time come for which a deadline is set. Without one there is nothing to pass.
    pub(super) fn pass<T>(&mut self, held: &mut Held<T>) {
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
    pub(super) fn drive<T: Transport>(&mut self, held: &mut Held<T>, told: &dyn Debug) {
        self.now.turn += 1;
        let mut newcomers = Vec::new();
        let mut control = Control {
            stage: held.stage,
            announce: false,
            crowded: false,
            quit: false,
        };
        let mut cx = Context {
            link: Link::new(Key::for_test(1), held.ready, DRIVE_BYTES_MAX),
            now: self.now,
            expired: held.expired,
            stage: held.stage,
            scratch: &mut self.scratch,
            shared: &mut self.house,
            room: 1,
            spare: 1,
            no_room: false,
            newcomers: &mut newcomers,
            control: &mut control,
        };
        let next = held.connection.drive(None, &mut cx);
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
            Next::Sleep(_) | Next::Room => panic!("{told:?}: {next:?}"),
        };
        // As the loop does it: a deadline that passed and was not renewed is gone.
        held.due = match asked {
            Deadline::At(tick) => Some(tick),
            Deadline::Keep if held.expired => None,
            Deadline::Keep => held.due,
            Deadline::Never => None,
        };
        held.expired = false;
        let must = matches!(held.place, Place::Parked(_));
        assert!(!must || held.due.is_some(), "{told:?}: parked for ever");
    }
}
