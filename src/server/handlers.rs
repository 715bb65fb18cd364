//! What idler does: one file for each service, the only place where loop, protocol and files meet.
//!
//! What lives here: the enum of all handlers, what they share, and the way from a command to its exit code. It may
//! not know how anything is waited for, parsed or opened. Invariant: a new service is one file, one variant of
//! [`Service`], one row of the command line.
//! Read next: `http_server.rs`.

use std::time::SystemTime;

use mio::event::Source;

use crate::event_loop::clock::RateLimit;
use crate::event_loop::{
    Context, Dropped, Handler, Key, Newcomers, Next, Now, Shared, Tick, clock,
};
use crate::process::notify::Notify;
use crate::process::usage::Usage;

use crate::companions::{Companion, Notices};
use crate::server::acceptor::Acceptor;
use crate::server::access_log::AccessLog;
use crate::server::answer::Http;
use crate::server::clients::{ClientLimits, TrackedClient};
use crate::server::connection::HttpConnection;
use crate::server::counters::Counters;
use crate::server::log_record::LogRecord;
use crate::server::signals::Signals;
use crate::server::status::Status;

/// Every kind of handler there is. What is not idle by the hundred thousand is boxed.
#[derive(Debug)]
pub enum Service {
    /// A client's HTTP connection.
    Http(HttpConnection),
    /// The same, counted by its address.
    TrackedConnection(Box<TrackedConnection>),
    /// A listening socket.
    Acceptor(Box<Acceptor>),
    /// A signal.
    Signals(Box<Signals>),
    /// Whatever else is served beside HTTP.
    Companion(Box<Companion>),
}

/// A connection of whose client something is known. Boxed, so that others cost nothing for it.
#[derive(Debug)]
pub struct TrackedConnection {
    connection: HttpConnection,
    client: TrackedClient,
}

impl From<(HttpConnection, Option<TrackedClient>)> for Service {
    fn from((connection, client): (HttpConnection, Option<TrackedClient>)) -> Self {
        match client {
            None => Self::Http(connection),
            Some(client) => {
                Self::TrackedConnection(Box::new(TrackedConnection { connection, client }))
            }
        }
    }
}

impl From<Companion> for Service {
    fn from(companion: Companion) -> Self {
        Self::Companion(Box::new(companion))
    }
}

// What makes an idle connection cheap: 32 bytes of slot, and 12 of the wheel. In debug builds the sockets of mio are larger.
#[cfg(all(not(debug_assertions), target_pointer_width = "64"))]
const _: () = assert!(size_of::<crate::event_loop::turn::Slot<Service>>() <= 32);

/// What all handlers share.
#[derive(Debug)]
pub struct Server {
    /// The HTTP server: site, cache, policy.
    pub http: Http,
    /// Who may connect.
    pub guests: ClientLimits,
    /// The access log.
    pub access: AccessLog,
    /// What has happened.
    pub counters: Counters,
    /// What the kernel knows of this process.
    pub usage: Usage,
    /// When idler was started.
    pub started: SystemTime,
    /// How many connections are held at most.
    pub connections_max: usize,
    /// Who is shown all that, and where; nobody if there is none.
    pub status: Option<Box<Status>>,
    /// The service manager, which is told how far we are.
    pub notify: Notify,
    /// Whether not everything ended as it should: the stop did not wait for everybody, or a listening socket broke.
    pub failed: bool,
    /// When to warn that newcomers cannot be accepted.
    pub warnings: RateLimit,
}

impl Server {
    /// Puts together what is shared.
    pub fn new(
        http: Http,
        guests: ClientLimits,
        access: AccessLog,
        notify: Notify,
        usage: Usage,
        status: Option<Box<Status>>,
    ) -> Self {
        Self {
            http,
            guests,
            access,
            counters: Counters::default(),
            usage,
            started: SystemTime::UNIX_EPOCH,
            connections_max: 0,
            status,
            notify,
            failed: false,
            warnings: RateLimit::default(),
        }
    }

    /// Writes the log line of a reply, once.
    pub fn log_line(&mut self, record: &mut Option<Box<LogRecord>>, now: Now, body_bytes: u64) {
        if let Some(record) = record.take() {
            self.access.add(&record, body_bytes, &now);
        }
    }

    /// SIGHUP: the log is opened again, and the files that options name are read again.
    pub fn reload(&mut self) {
        self.notify.reloading(clock::monotonic_micros());
        self.access.reopen();
        self.http.reload();
        self.notify.ready();
    }
}

impl Notices for Server {
    fn notice(&mut self, line: &str) {
        // Standard output has the access log alone.
        log::info!("{line}");
    }
}

impl Shared for Server {
    fn turn_ends(&mut self, now: &Now) -> Option<Tick> {
        let again = [self.access.flush(now), crate::log::logger::flush()];
        if let Some(status) = &mut self.status {
            status
                .turns
                .add(clock::monotonic_now().saturating_duration_since(now.instant));
        }
        Some(now.tick.after(again.into_iter().flatten().min()?))
    }
}

impl Handler for Service {
    type Shared = Server;

    fn source(&mut self) -> Option<&mut dyn Source> {
        match self {
            Self::Http(connection) => Some(connection.transport()),
            Self::TrackedConnection(tracked) => Some(tracked.connection.transport()),
            Self::Acceptor(door) => Some(door.source()),
            Self::Signals(signals) => Some(signals.source()),
            Self::Companion(companion) => Some(companion.source()),
        }
    }

    fn drive(&mut self, cx: &mut Context<'_, Server>, new: &mut Newcomers<'_, Self>) -> Next {
        match self {
            Self::Http(connection) => connection.drive(None, cx),
            Self::TrackedConnection(tracked) => {
                tracked.connection.drive(Some(&mut tracked.client), cx)
            }
            Self::Acceptor(door) => door.drive(cx, new),
            Self::Signals(signals) => signals.drive(cx),
            Self::Companion(companion) => companion.drive(cx, new),
        }
    }

    fn is_background(&self) -> bool {
        match self {
            Self::Signals(_) => true,
            Self::Http(_) | Self::TrackedConnection(_) | Self::Acceptor(_) | Self::Companion(_) => {
                false
            }
        }
    }

    fn may_be_dropped(&self) -> bool {
        match self {
            Self::Http(connection) => connection.is_idle(),
            Self::TrackedConnection(tracked) => tracked.connection.is_idle(),
            Self::Acceptor(_) | Self::Signals(_) | Self::Companion(_) => false,
        }
    }

    fn dropped(&mut self, why: Dropped, key: Key, now: &Now, shared: &mut Server) {
        let connection = match self {
            Self::Http(connection) => connection,
            Self::TrackedConnection(tracked) => &mut tracked.connection,
            Self::Acceptor(_) | Self::Signals(_) | Self::Companion(_) => return,
        };
        connection.dropped(why, key, now, shared);
    }
}
