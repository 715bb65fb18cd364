//! `idler serve`: from options to a running loop.
//!
//! What lives here: start-up, in the only order that is safe: descriptors, root, sockets, log,
//! walls, then the loop, and only then the lines that say so. It may not know what is said on
//! connections. Invariant: nothing is printed as done that is not. Read next: `door.rs`.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use log::LevelFilter;
use rustix::fs::Access;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};

use crate::cli::{HostRule, LogDestination, Options, ServeOptions, Voice, misspelt};
use crate::event_loop::clock::RateLimit;
use crate::event_loop::listener::Listener;
use crate::event_loop::signal::Signal;
use crate::event_loop::turn::EventLoop;
use crate::event_loop::{Deadline, Next, Side};
use crate::limits::{CACHE_DESCRIPTORS_MAX, HOSTS_MAX, REFUSALS_MAX};
use crate::process::notify::Notify;
use crate::process::sockets::{Address, SocketKind};
use crate::process::usage::Usage;
use crate::process::user::{User, warning_for_root};
use crate::process::walls::{Applied, Walls};
use crate::process::{addresses, descriptors, inherited, sockets, words_of};
use crate::site::Site;
use crate::site::cache::Cache;
use crate::site::open::Opener;

use crate::companions;
use crate::log::logger;
use crate::server::acceptor::Acceptor;
use crate::server::access_log::AccessLog;
use crate::server::auth::Auth;
use crate::server::clients::ClientLimits;
use crate::server::dates::Dates;
use crate::server::handlers::Service;
use crate::server::listing::Listings;
use crate::server::policy::{Policy, Timeouts};
use crate::server::shared::{Boundaries, Http, Server};
use crate::server::signals::Signals;
use crate::server::sites::{self, DEFAULT_SITE, SiteState};
use crate::server::status::Status;

/// Serves until a signal stops it.
pub fn run(options: &Options) -> ExitCode {
    if options.server.check {
        return check(options);
    }
    match start(options).and_then(|mut server| serve(&mut server)) {
        Ok(code) => code,
        Err(line) => {
            let _ = writeln!(std::io::stderr(), "idler: {line}");
            ExitCode::FAILURE
        }
    }
}

/// `--check`: everything is validated that can be without taking a port, and the settings are
/// printed.
fn check(options: &Options) -> ExitCode {
    let server = &options.server;
    let user = server.user.as_deref().map(User::find).transpose();
    let http = open_site(server).and_then(|site| http(server, site));
    if let Err(line) = user.and(http) {
        let _ = writeln!(std::io::stderr(), "idler: {line}");
        return ExitCode::FAILURE;
    }
    for line in misspelt(std::env::vars_os().map(|(name, _)| name)) {
        let _ = writeln!(std::io::stderr(), "idler: {line}");
    }
    let mut out = std::io::stdout().lock();
    let printed = options
        .settings
        .iter()
        .try_for_each(|setting| writeln!(out, "{setting}"));
    match printed {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// Everything is in place; the loop has not turned yet.
fn start(all: &Options) -> Result<EventLoop<Service>, String> {
    let (options, asked, voice) = (&all.server, &all.listening, all.voice);
    // Before anything else is opened: they are known by their numbers only.
    let inherited = inherited::take()?;
    start_logger(voice);
    for line in misspelt(std::env::vars_os().map(|(name, _)| name)) {
        log::warn!("{line}");
    }
    let descriptors = descriptors::raise_limit();
    let connections = descriptors::connections_for(descriptors, options.max_connections);

    let site = open_site(options)?;
    let only_inherited = !inherited.is_empty() && asked.bind.is_empty();
    let lent = inherited.len();
    let mut listening = inherited;
    if !only_inherited {
        listening.extend(sockets::bind(
            &asked.bind,
            asked.port,
            SocketKind::Stream {
                reuse_port: options.reuse_port,
            },
        )?);
    }
    let user = options.user.as_deref().map(User::find).transpose()?;
    if let Some(user) = &user {
        for socket in &listening[lent..] {
            match socket.address() {
                Address::Unix(path) => user.own(path)?,
                Address::Ip(_) => {}
            }
        }
    }
    let urls = addresses::urls(&listening);
    let companions =
        companions::beside(&options.with, &asked.bind).map_err(|e| format!("--with: {e}"))?;
    let access = AccessLog::open(&options.access_log, options.log_format)?;
    let notify = Notify::from_env();
    let http = http(options, site)?;
    // Behind the walls it could not be opened any more. Descriptors that nobody asked for are left
    // to connections.
    let usage = match options.status {
        Some(_) => Usage::open(),
        None => Usage::default(),
    };
    let walls = raise_walls(options, &http, user)?;
    can_enter(&http, options)?;
    can_log_again(options);
    let mut start_up = start_up_lines(&http, &urls, &walls.to_string(), connections);
    for place in &companions.places {
        start_up += &format!("  {place}\n");
    }
    if asked.bind.is_empty() && !only_inherited {
        start_up += "  only this machine can connect; -b 0.0.0.0 shares with the network\n";
    }
    if std::io::stderr().is_terminal() {
        start_up += "  Ctrl-C stops\n";
    }

    let guests = ClientLimits::new(&options.allow, &options.proxy_from, options.max_per_address);
    let mut server = Server::new(http, guests, access);
    server.notify = notify;
    server.usage = usage;
    server.status = Status::new(options);
    server.connections_max = connections;
    let stops = [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1];
    let mut event_loop = EventLoop::<Service>::new(
        connections + listening.len() + companions.handlers.len() + stops.len(),
        REFUSALS_MAX,
        server,
    )
    .map_err(|e| format!("cannot start: {}", words_of(&e)))?;
    event_loop.shared.started = event_loop.now().wall;
    for number in stops {
        let signal =
            Signal::new(number).map_err(|e| format!("cannot catch signal {number}: {e}"))?;
        let signals = Signals::new(signal, options.drain_delay, options.grace);
        add(&mut event_loop, Service::Signals(Box::new(signals)))?;
    }
    for (number, socket) in listening.into_iter().enumerate() {
        let listener =
            Listener::new(socket.into_socket()).map_err(|e| format!("cannot listen: {e}"))?;
        let door = Acceptor::http(listener, number < lent);
        add(&mut event_loop, Service::Acceptor(Box::new(door)))?;
    }
    for companion in companions.handlers {
        add(&mut event_loop, companion.into())?;
    }
    if !voice.quiet {
        logger::say(start_up.trim_end());
    }
    event_loop.shared.notify.ready();
    Ok(event_loop)
}

fn add(event_loop: &mut EventLoop<Service>, service: Service) -> Result<(), String> {
    event_loop
        .add(service, Next::Park(Side::Read, Deadline::Never))
        .map(|_| ())
        .map_err(|e| format!("cannot start: {}", words_of(&e)))
}

fn serve(event_loop: &mut EventLoop<Service>) -> Result<ExitCode, String> {
    event_loop
        .run()
        .map_err(|e| format!("the loop cannot wait any more: {e}"))?;
    event_loop.shared.access.finish();
    if log::log_enabled!(log::Level::Debug) {
        logger::say(&event_loop.shared.metrics_as_lines(event_loop.now()));
    }
    logger::finish();
    Ok(if event_loop.shared.failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn start_logger(voice: Voice) {
    let level = match (voice.quiet, voice.verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => LevelFilter::Info,
        (false, 1) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    };
    logger::init(level, voice.color);
}

pub(crate) fn open_site(options: &ServeOptions) -> Result<Site, String> {
    open_root(&options.path, options, options.path_resembles_verb)
}

fn open_root(root: &Path, options: &ServeOptions, verb: Option<&str>) -> Result<Site, String> {
    let path = root.display();
    Site::open(root, options.hidden).map_err(|e| {
        let hint = match (e.kind(), verb) {
            (std::io::ErrorKind::NotFound, Some(verb)) => {
                format!("; did you mean the command '{verb}'?")
            }
            (std::io::ErrorKind::NotFound, None) => {
                " (name a directory or file that is there)".to_owned()
            }
            (std::io::ErrorKind::PermissionDenied, _) => {
                " (give this user the right to read it, or serve another directory)".to_owned()
            }
            _ => String::new(),
        };
        format!("cannot serve {path}: {}{hint}", words_of(&e))
    })
}

/// From here on nothing but the site and the files of options can be read, nothing but the log
/// written, and no other socket be opened.
fn raise_walls(options: &ServeOptions, http: &Http, user: Option<User>) -> Result<Applied, String> {
    let mut walls = Walls::new();
    if let Some(warning) = warning_for_root(user.as_ref()) {
        log::warn!("{warning}");
    }
    if let Some(user) = user {
        walls.become_user(user);
    }
    for state in &http.sites {
        walls.allow_reading(state.site.path());
    }
    for file in http.policy.files().chain(http.auth.iter().map(Auth::path)) {
        walls.allow_reading(file);
    }
    if let LogDestination::File(path) = &options.access_log {
        walls.allow_appending(path);
    }
    walls.raise()
}

/// The user that root became for `--user` may see less than root did when the site was opened.
fn can_enter(http: &Http, options: &ServeOptions) -> Result<(), String> {
    let Some(user) = &options.user else {
        return Ok(());
    };
    for path in http.sites.iter().map(|state| state.site.path()) {
        rustix::fs::access(path, Access::EXEC_OK).map_err(|e| {
            let (path, why) = (path.display(), words_of(&e.into()));
            format!(
                "cannot serve {path} as user {user}: {why} (give that user the right to enter it)"
            )
        })?;
    }
    Ok(())
}

/// Root opened the log; whoever opens it again on SIGHUP, after it was moved away, is the user of
/// `--user`.
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
            "user {user} cannot open the access log {} again after it was moved away (give that user the file or its folder)",
            path.display()
        );
    }
}

/// The default site and those of `--host`, each with its share of the cache.
fn open_sites(options: &ServeOptions, default: Site) -> Result<Vec<SiteState>, String> {
    if options.hosts.len() > HOSTS_MAX {
        return Err(format!("--host: more than {HOSTS_MAX} sites"));
    }
    let sites = options.hosts.len() + 1;
    let state = |host: &str, site| SiteState {
        host: host.as_bytes().into(),
        site,
        cache: Cache::new(
            options.cache_bytes_max / sites,
            (CACHE_DESCRIPTORS_MAX / sites).max(1),
        ),
    };
    let open = |rule: &HostRule| {
        let site = open_root(&rule.directory, options, None);
        Ok(state(&rule.name, site.map_err(|e| format!("--host: {e}"))?))
    };
    let named: Result<Vec<SiteState>, String> = options.hosts.iter().map(open).collect();
    sites::sorted(state("", default), named?).map_err(|host| {
        format!(
            "--host: {} has two sites (give each its own name)",
            String::from_utf8_lossy(&host)
        )
    })
}

/// The file of users, which must not be one that is served.
fn open_auth(options: &ServeOptions, sites: &[SiteState]) -> Result<Option<Auth>, String> {
    let Some(path) = &options.auth else {
        return Ok(None);
    };
    let auth = Auth::open(path)?;
    let mut roots = sites
        .iter()
        .filter_map(|state| state.site.path().canonicalize().ok());
    let real = path.canonicalize();
    if real.is_ok_and(|real| roots.any(|root| real.starts_with(root))) {
        return Err(format!(
            "--auth {}: this file would be served; put it outside of the site",
            path.display()
        ));
    }
    Ok(Some(auth))
}

pub(crate) fn http(options: &ServeOptions, site: Site) -> Result<Http, String> {
    let sites = open_sites(options, site)?;
    Ok(Http {
        auth: open_auth(options, &sites)?,
        sites,
        policy: Policy::new(options)?,
        patience: Timeouts::new(options),
        head_bytes_max: options.head_bytes_max,
        stopping: false,
        boundaries: Boundaries::default(),
        listings: Listings::default(),
        dates: Dates::default(),
        warnings: RateLimit::default(),
    })
}

fn start_up_lines(http: &Http, urls: &[String], walls: &str, connections: usize) -> String {
    let (default, named) = http.sites.split_at(DEFAULT_SITE + 1);
    let site = &default[DEFAULT_SITE].site;
    let opener = match site.opener() {
        Opener::Openat2 => "openat2",
        Opener::Walk => "no symlinks",
    };
    let what = site.only().map_or_else(
        || site.path().to_owned(),
        |name| {
            site.path()
                .join(std::os::unix::ffi::OsStrExt::from_bytes(name) as &std::ffi::OsStr)
        },
    );
    let mut lines = format!(
        "idler {} serves {}\n",
        env!("CARGO_PKG_VERSION"),
        what.display()
    );
    for state in named {
        let host = String::from_utf8_lossy(&state.host);
        lines += &format!("  for {host}: {}\n", state.site.path().display());
    }
    for url in urls {
        lines += &format!("  {url}\n");
    }
    lines += &format!("  walls: {opener}, {walls}; up to {connections} connections\n");
    lines
}
