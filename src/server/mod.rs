//! What the server does: from a connection to its answer.
//!
//! Here stands what its loop holds in its slots, a [`Service`] each, and what all of them share,
//! the [`Server`]. A companion needs no variant of `Service`, nor does a policy; a new kind of
//! socket does.

pub mod acceptor;
pub mod access_log;
pub mod answer;
pub mod auth;
pub mod clients;
pub mod connection;
pub mod counters;
pub mod listing;
pub mod metrics;
pub mod outcome;
pub mod policy;
pub mod redirects;
pub mod reloadable_file;
pub mod representation;
pub mod respond;
pub mod signals;
pub mod sites;
pub mod start;

use std::hash::{BuildHasher as _, RandomState};
use std::time::SystemTime;

use mio::event::Source;

use crate::companions::{Companion, Notices};
use crate::event_loop::clock::{self, RateLimit};
use crate::event_loop::{Context, Dropped, Handler, Key, Newcomers, Next, Now, Shared, Tick};
use crate::http::response::Dates;
use crate::log::logger;
use crate::log::sink::LogSink;
use crate::process::resources::Usage;
use crate::process::service_manager::Notify;
use crate::server::acceptor::Acceptor;
use crate::server::access_log::AccessLog;
use crate::server::auth::Auth;
use crate::server::clients::{ClientLimits, TrackedClient};
use crate::server::connection::HttpConnection;
use crate::server::counters::{Counters, StatusPage};
use crate::server::listing::Listings;
use crate::server::policy::{Policy, Timeouts};
use crate::server::signals::Signals;
use crate::server::sites::SiteState;

/// Every kind of handler of a server. All are boxed but the one of which a hundred thousand may be
/// idle.
#[derive(Debug)]
pub enum Service {
    /// A client's HTTP connection.
    Http(HttpConnection),
    /// The same, of a client that is counted by its address or spoken for by a proxy.
    Tracked(Box<(HttpConnection, TrackedClient)>),
    /// A listening socket.
    Acceptor(Box<Acceptor>),
    /// A signal.
    Signals(Box<Signals>),
    /// A client, or a datagram socket, of what is served beside HTTP.
    Companion(Box<Companion>),
}

// What makes an idle connection cheap: 32 bytes of slot, and 12 of the wheel. In debug builds the
// sockets of mio are larger.
#[cfg(all(not(debug_assertions), target_pointer_width = "64"))]
const _: () = assert!(size_of::<crate::event_loop::slot::Slot<Service>>() <= 32);

impl Handler for Service {
    type Shared = Server;

    fn source(&mut self) -> Option<&mut dyn Source> {
        match self {
            Self::Http(connection) => Some(connection.transport()),
            Self::Tracked(both) => Some(both.0.transport()),
            Self::Acceptor(acceptor) => Some(&mut acceptor.listener.socket),
            Self::Signals(signals) => Some(&mut signals.signal.socket),
            Self::Companion(companion) => Some(companion.source()),
        }
    }

    fn drive(&mut self, cx: &mut Context<'_, Server>, new: &mut Newcomers<'_, Self>) -> Next {
        match self {
            Self::Http(connection) => connection.drive(None, cx),
            Self::Tracked(both) => both.0.drive(Some(&mut both.1), cx),
            Self::Acceptor(acceptor) => acceptor.drive(cx, new),
            Self::Signals(signals) => signals.drive(cx),
            Self::Companion(companion) => companion.drive(cx),
        }
    }

    fn is_background(&self) -> bool {
        matches!(self, Self::Signals(_))
    }

    fn may_be_dropped(&self) -> bool {
        match self {
            Self::Http(connection) => connection.is_idle(),
            Self::Tracked(both) => both.0.is_idle(),
            Self::Acceptor(_) | Self::Signals(_) | Self::Companion(_) => false,
        }
    }

    fn dropped(&mut self, why: Dropped, key: Key, now: &Now, shared: &mut Server) {
        let connection = match self {
            Self::Http(connection) => connection,
            Self::Tracked(both) => &mut both.0,
            Self::Acceptor(_) | Self::Signals(_) | Self::Companion(_) => return,
        };
        connection.dropped(why, key, now, shared);
    }
}

/// What all handlers of the server share.
#[derive(Debug)]
pub struct Server {
    /// What answering needs.
    pub http: Http,
    /// Which clients may connect.
    pub client_limits: ClientLimits,
    /// The access log.
    pub access: AccessLog,
    /// Where notices of companions go that run without HTTP: standard output, which else has the
    /// access log alone.
    pub(crate) notices: Option<LogSink>,
    /// What has happened.
    pub counters: Counters,
    /// What the kernel knows of this process.
    pub usage: Usage,
    /// When idler was started.
    pub started: SystemTime,
    /// How many connections are held at most.
    pub connections_max: usize,
    /// Where idler's own figures are shown, and to which clients; none without `--status`.
    pub status: Option<Box<StatusPage>>,
    /// The service manager, which is told how far we are.
    pub notify: Notify,
    /// Whether not everything ended as it should: the stop did not wait for all connections, or a
    /// listening socket broke.
    pub failed: bool,
    /// When to warn that newcomers cannot be accepted.
    pub warnings: RateLimit,
}

/// What answering needs: the sites and the policies.
#[derive(Debug)]
pub struct Http {
    /// The sites; none if companions run without HTTP. Else
    /// [`DEFAULT_SITE`](crate::server::sites::DEFAULT_SITE) is there.
    pub sites: Vec<SiteState>,
    /// What options switch on.
    pub policy: Policy,
    /// Names and passwords; none without `--auth`.
    pub auth: Option<Auth>,
    /// Whether the first signal to stop has come: for the health check.
    pub stopping: bool,
    /// How long a connection may take for what.
    pub timeouts: Timeouts,
    /// Longest head, in bytes.
    pub head_bytes_max: usize,
    /// Where boundaries between parts come from.
    pub boundaries: Boundaries,
    /// How listings share time and memory.
    pub listings: Listings,
    /// The `Date` of replies.
    pub dates: Dates,
    /// When to warn of what cannot be read.
    pub warnings: RateLimit,
}

/// Makes boundaries between the parts of a multipart body that no client and no author of a file
/// can guess.
#[derive(Debug, Default)]
pub struct Boundaries {
    key: RandomState,
    /// How many there were.
    pub count: u64,
}

impl Boundaries {
    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.count += 1;
        self.key.hash_one(self.count)
    }
}

impl Server {
    /// SIGHUP: opens the log again, and reads the files again that options name.
    pub fn reload(&mut self) {
        self.notify.reloading(clock::monotonic_micros());
        self.access.reopen();
        self.http.policy.reload();
        if let Some(auth) = &mut self.http.auth {
            auth.file.reload();
        }
        self.notify.ready();
    }
}

impl Notices for Server {
    fn notice(&mut self, line: &str) {
        match &mut self.notices {
            Some(sink) => {
                sink.line(|into| into.extend_from_slice(line.as_bytes()));
            }
            None => log::info!("{line}"),
        }
    }
}

impl Shared for Server {
    fn turn_ends(&mut self, now: &Now) -> Option<Tick> {
        let again = [self.access.flush(now), logger::flush()];
        let mut again = again.into_iter().flatten().min();
        if let Some(notices) = &mut self.notices {
            notices.flush();
            again = again.into_iter().chain(notices.retry_after()).min();
        }
        if let Some(status) = &mut self.status {
            let took = clock::monotonic_now().saturating_duration_since(now.instant);
            status.turns.add(took);
        }
        Some(now.tick.after(again?))
    }
}
