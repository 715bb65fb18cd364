//! What all handlers of the server share.

use std::hash::{BuildHasher as _, RandomState};
use std::time::SystemTime;

use crate::event_loop::clock::RateLimit;
use crate::event_loop::{Now, Shared, Tick, clock};
use crate::http::response::Dates;
use crate::log::logger;
use crate::log::sink::LogSink;
use crate::process::notify::Notify;
use crate::process::usage::Usage;

use crate::companions::Notices;
use crate::server::access_log::AccessLog;
use crate::server::auth::Auth;
use crate::server::clients::ClientLimits;
use crate::server::counters::Counters;
use crate::server::listing::Listings;
use crate::server::policy::{Policy, Timeouts};
use crate::server::sites::SiteState;
use crate::server::status::StatusPage;

/// See the module.
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
    /// What is shared before anything is known beyond the sites and the policies: no log, no
    /// counters, no status.
    pub fn new(http: Http, client_limits: ClientLimits, access: AccessLog) -> Self {
        Self {
            http,
            client_limits,
            access,
            notices: None,
            counters: Counters::default(),
            usage: Usage::default(),
            started: SystemTime::UNIX_EPOCH,
            connections_max: 0,
            status: None,
            notify: Notify::default(),
            failed: false,
            warnings: RateLimit::default(),
        }
    }

    /// SIGHUP: opens the log again, and reads the files again that options name.
    pub fn reload(&mut self) {
        self.notify.reloading(clock::monotonic_micros());
        self.access.reopen();
        self.http.policy.reload();
        if let Some(auth) = &mut self.http.auth {
            auth.reload();
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
            status
                .turns
                .add(clock::monotonic_now().saturating_duration_since(now.instant));
        }
        Some(now.tick.after(again?))
    }
}
