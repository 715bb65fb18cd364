//! From options to a running loop, in the only order that is safe: descriptors, sites, sockets,
//! log, walls, then the loop, and only then the lines that say so. Nothing is printed as done
//! that is not.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use log::LevelFilter;
use rustix::fs::Access;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};

use crate::cli::{LogDestination, Options, ServeOptions, misspelt};
use crate::companions::{self, Opened};
use crate::event_loop::clock::RateLimit;
use crate::event_loop::listener::Listener;
use crate::event_loop::signal::Signal;
use crate::event_loop::{Deadline, EventLoop, Next, Side};
use crate::http::response::Dates;
use crate::limits::{GRACE, REFUSALS_MAX};
use crate::log::logger;
use crate::log::sink::{LogSink, LogTarget};
use crate::process::resources::Usage;
use crate::process::service_manager::Notify;
use crate::process::sockets::{Address, SocketKind};
use crate::process::user::{SystemUser, warning_for_root};
use crate::process::walls::{Applied, Walls};
use crate::process::{addresses, resources, service_manager, sockets, words_of};
use crate::server::acceptor::Acceptor;
use crate::server::access_log::AccessLog;
use crate::server::clients::ClientLimits;
use crate::server::counters::{Counters, StatusPage};
use crate::server::listing::Listings;
use crate::server::policy::{Policy, Timeouts};
use crate::server::signals::Signals;
use crate::server::sites::{self, DEFAULT_SITE, SiteState};
use crate::server::{Boundaries, Http, Server, Service};
use crate::site::open::Opener;

/// Runs `idler serve` until a signal stops it.
pub fn run(options: &Options) -> ExitCode {
    if options.server.check {
        return exit_code(check(options));
    }
    exit_code(start(options).and_then(serve))
}

/// Runs the server of a companion without HTTP, until a signal or its own count ends it.
pub fn alone(
    name: &str,
    options: &Options,
    open: impl FnOnce(&Options) -> Result<Opened, String>,
) -> ExitCode {
    options.voice.start_logger(LevelFilter::Warn);
    exit_code(start_alone(name, options, open).and_then(serve))
}

/// Says what went wrong, if anything did. `Ok(false)`: not everything ended as it should.
fn exit_code(outcome: Result<bool, String>) -> ExitCode {
    if let Err(line) = &outcome {
        logger::say(&format!("idler: {line}"));
    }
    logger::finish();
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

/// `--check`: everything is validated that can be without taking a port, and the settings are
/// printed.
fn check(options: &Options) -> Result<bool, String> {
    let server = &options.server;
    server.user.as_deref().map(SystemUser::find).transpose()?;
    self::server(server, sites::open(server)?)?;
    for line in misspelt(std::env::vars_os().map(|(name, _)| name)) {
        logger::say(&format!("idler: {line}"));
    }
    let mut out = io::stdout().lock();
    let mut lines = options.settings.iter();
    let printed = lines.try_for_each(|setting| writeln!(out, "{setting}"));
    Ok(printed.map_or_else(|e| e.kind() == ErrorKind::BrokenPipe, |()| true))
}

/// Puts everything in its place; the loop has not turned yet.
fn start(all: &Options) -> Result<EventLoop<Service>, String> {
    let (options, asked, voice) = (&all.server, &all.listening, all.voice);
    // Before anything else is opened: they are known by their numbers only.
    let mut listening = service_manager::take_sockets()?;
    voice.start_logger(LevelFilter::Info);
    for line in misspelt(std::env::vars_os().map(|(name, _)| name)) {
        log::warn!("{line}");
    }
    let descriptors = resources::raise_limit();
    let connections = resources::connections_for(descriptors, options.max_connections);

    let sites = sites::open(options)?;
    let lent = listening.len();
    let only_inherited = lent > 0 && asked.bind.is_empty();
    if !only_inherited {
        let reuse_port = options.reuse_port;
        let kind = SocketKind::Stream { reuse_port };
        listening.extend(sockets::bind(&asked.bind, asked.port, kind)?);
    }
    let user = options.user.as_deref().map(SystemUser::find).transpose()?;
    for socket in &listening[lent..] {
        if let (Some(user), Address::Unix(path)) = (&user, &socket.address) {
            user.own(path)?;
        }
    }
    let urls = addresses::urls(&listening);
    let companions =
        companions::beside(&options.with, &asked.bind).map_err(|e| format!("--with: {e}"))?;
    let access = AccessLog::open(&options.access_log, options.log_format)?;
    let notify = Notify::from_env();
    let mut server = server(options, sites)?;
    server.access = access;
    server.notify = notify;
    server.connections_max = connections;
    // Behind the walls it could not be opened any more. Without --status its descriptors are left
    // to connections.
    if options.status.is_some() {
        server.usage = Usage::open();
    }
    let walls = raise_walls(options, &server.http, user)?;
    can_enter(&server.http, options)?;
    can_log_again(options);
    let mut start_up = start_up_lines(&server.http, &urls, &walls.to_string(), connections);
    for place in &companions.places {
        start_up += &format!("  {place}\n");
    }
    if asked.bind.is_empty() && !only_inherited {
        start_up += "  only this machine can connect; -b 0.0.0.0 shares with the network\n";
    }
    if io::stderr().is_terminal() {
        start_up += "  Ctrl-C stops\n";
    }

    let mut acceptors = Vec::new();
    for (number, socket) in listening.into_iter().enumerate() {
        let listener = Listener::new(socket.socket);
        let listener = listener.map_err(|e| format!("cannot listen: {e}"))?;
        acceptors.push(Acceptor::new(listener, None, number < lent));
    }
    let stops = [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1];
    let patience = (options.drain_delay, options.grace);
    let mut event_loop = event_loop(server, acceptors, companions, &stops, patience)?;
    event_loop.shared.started = event_loop.now().wall;
    if !voice.quiet {
        logger::say(start_up.trim_end());
    }
    event_loop.shared.notify.ready();
    Ok(event_loop)
}

/// The same for the server of a companion without HTTP.
fn start_alone(
    name: &str,
    options: &Options,
    open: impl FnOnce(&Options) -> Result<Opened, String>,
) -> Result<EventLoop<Service>, String> {
    let opened = open(options)?;
    let mut server = server(&ServeOptions::default(), Vec::new())?;
    // Everything is open: from here on no file and no other socket is needed.
    Walls::default().raise(None)?;
    server.connections_max = resources::connections_for(resources::raise_limit(), None);
    if !options.voice.quiet {
        server.notices = Some(LogSink::new(LogTarget::Stdout(io::stdout())));
    }
    let places = opened.places.join(" and ");
    let patience = (Duration::ZERO, GRACE);
    let event_loop = event_loop(server, Vec::new(), opened, &[SIGINT, SIGTERM], patience)?;
    logger::say(&format!("idler {name} listens on {places}"));
    Ok(event_loop)
}

/// A loop with these acceptors and companions, and room for `connections_max` connections. Of the
/// `signals`, those that stop it have this drain delay and this grace.
fn event_loop(
    server: Server,
    acceptors: Vec<Acceptor>,
    companions: Opened,
    signals: &[i32],
    (drain_delay, grace): (Duration, Duration),
) -> Result<EventLoop<Service>, String> {
    let datagrams = companions.datagrams.into_iter();
    let mut handlers: Vec<Service> = datagrams.map(|c| Service::Companion(c.into())).collect();
    let offered = companions.listeners.into_iter();
    let offered = offered.map(|(listener, offer)| Acceptor::new(listener, Some(offer), false));
    let acceptors = acceptors.into_iter().chain(offered);
    handlers.extend(acceptors.map(|acceptor| Service::Acceptor(acceptor.into())));
    for &number in signals {
        let signal =
            Signal::new(number).map_err(|e| format!("cannot catch signal {number}: {e}"))?;
        let signals = Signals::new(signal, drain_delay, grace);
        handlers.push(Service::Signals(signals.into()));
    }
    let cannot = |e: io::Error| format!("cannot start: {}", words_of(&e));
    let capacity = server.connections_max + handlers.len();
    let mut event_loop = EventLoop::new(capacity, REFUSALS_MAX, server).map_err(cannot)?;
    for handler in handlers {
        let next = Next::Park(Side::Read, Deadline::Never);
        event_loop.add(handler, next).map_err(cannot)?;
    }
    Ok(event_loop)
}

/// Serves to the end. False if not everything ended as it should.
fn serve(mut event_loop: EventLoop<Service>) -> Result<bool, String> {
    let cannot = |e| format!("the loop cannot wait any more: {e}");
    event_loop.run().map_err(cannot)?;
    let server = &mut event_loop.shared;
    server.access.finish();
    if let Some(notices) = &mut server.notices {
        notices.finish();
    }
    if !server.http.sites.is_empty() && log::log_enabled!(log::Level::Debug) {
        logger::say(&event_loop.shared.metrics_as_lines(event_loop.now()));
    }
    Ok(!event_loop.shared.failed)
}

/// From here on nothing but the site and the files of options can be read, nothing but the log
/// written, and no other socket be opened.
fn raise_walls(
    options: &ServeOptions,
    http: &Http,
    user: Option<SystemUser>,
) -> Result<Applied, String> {
    let mut walls = Walls::default();
    if let Some(warning) = warning_for_root(user.as_ref()) {
        log::warn!("{warning}");
    }
    for state in &http.sites {
        walls.allow_reading(&state.site.path);
    }
    for file in http
        .policy
        .files()
        .chain(http.auth.iter().map(|auth| auth.file.path.as_path()))
    {
        walls.allow_reading(file);
    }
    if let LogDestination::File(path) = &options.access_log {
        walls.allow_appending(path);
    }
    walls.raise(user)
}

/// The user that root became for `--user` may see less than root did when the site was opened.
fn can_enter(http: &Http, options: &ServeOptions) -> Result<(), String> {
    let Some(user) = &options.user else {
        return Ok(());
    };
    for path in http.sites.iter().map(|state| &state.site.path) {
        rustix::fs::access(path, Access::EXEC_OK).map_err(|e| {
            let (path, why) = (path.display(), words_of(&e.into()));
            format!(
                "cannot serve {path} as user {user}: {why} (give that user the right to enter it)"
            )
        })?;
    }
    Ok(())
}

/// Root opened the log, but the user of `--user` must be able to open it again on SIGHUP, after
/// it was moved away.
fn can_log_again(options: &ServeOptions) {
    let (Some(user), LogDestination::File(path)) = (&options.user, &options.access_log) else {
        return;
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let can_write = rustix::fs::access(path, Access::WRITE_OK).is_ok();
    if !can_write && rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        log::warn!(
            "user {user} cannot open the access log {} again after it was moved away \
             (give that user the file or its folder)",
            path.display()
        );
    }
}

/// What the handlers of a server share that has these sites; no log yet, and no connections.
pub(crate) fn server(options: &ServeOptions, sites: Vec<SiteState>) -> Result<Server, String> {
    let http = Http {
        auth: sites::open_auth(options, &sites)?,
        sites,
        policy: Policy::new(options)?,
        timeouts: Timeouts::new(options),
        head_bytes_max: options.head_bytes_max,
        stopping: false,
        boundaries: Boundaries::default(),
        listings: Listings::default(),
        dates: Dates::default(),
        warnings: RateLimit::default(),
    };
    Ok(Server {
        http,
        client_limits: ClientLimits::new(options),
        access: AccessLog::default(),
        notices: None,
        counters: Counters::default(),
        usage: Usage::default(),
        started: SystemTime::UNIX_EPOCH,
        connections_max: 0,
        status: StatusPage::new(options),
        notify: Notify::default(),
        failed: false,
        warnings: RateLimit::default(),
    })
}

fn start_up_lines(http: &Http, urls: &[String], walls: &str, connections: usize) -> String {
    let (default, named) = http.sites.split_at(DEFAULT_SITE + 1);
    let site = &default[DEFAULT_SITE].site;
    let opener = match site.opener {
        Opener::Openat2 => "openat2",
        Opener::Walk => "no symlinks",
    };
    let (version, mut path) = (env!("CARGO_PKG_VERSION"), site.path.clone());
    path.extend(site.only.as_deref().map(OsStr::from_bytes));
    let mut lines = format!("idler {version} serves {}\n", path.display());
    for state in named {
        let host = String::from_utf8_lossy(&state.host);
        lines += &format!("  for {host}: {}\n", state.site.path.display());
    }
    for url in urls {
        lines += &format!("  {url}\n");
    }
    lines += &format!("  walls: {opener}, {walls}; up to {connections} connections\n");
    lines
}
