//! The servers that are compared: which there are, and how each is started.
//!
//! What lives here: one command line, and where needed one configuration, for each. All get one worker, no access log,
//! connections that are kept without end, and an hour for every time-out that can be set; but under attack, where each has
//! its own.
//! What it may not know: what is measured.
//! Invariant: a server that is started answered the first request with the bytes of the file, or is reported as
//! unable to, and is gone when its value is dropped.
//! Read next: `limit.rs`, the one among them that sets the measure.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::role::{AS, Cores};
use crate::server::{self, Server};
use crate::site::{Asset, Site};

/// For every time-out that can be set, in seconds.
const LONG: u64 = 3600;

/// One way to serve files.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// What it is called in tables.
    pub(crate) name: String,
    kind: Kind,
    /// Whether it gets an hour for every time-out, and not its own.
    patient: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Limit,
    LimitOpen,
    LimitLook,
    Idler(PathBuf),
    Nginx {
        program: PathBuf,
        cache: bool,
        sendfile: bool,
    },
    Lighttpd(PathBuf),
    H2o(PathBuf),
    Darkhttpd(PathBuf),
    Busybox(PathBuf),
    Python(PathBuf),
    Other(String),
}

/// What the limit server is to imitate.
#[derive(Clone, Debug)]
pub(crate) enum Imitation {
    /// The same bytes each time, as many as this file has.
    Constant(Asset),
    /// The same, and the connection ends with the answer.
    ConstantClose(Asset),
    /// Head and `sendfile` of this file.
    Sendfile(Asset),
}

/// The names of all that could be found, and of those that could not.
#[derive(Debug)]
pub(crate) struct Field {
    /// In the order of the tables: the limit first, then idler.
    pub(crate) found: Vec<Peer>,
    /// Not installed here.
    pub(crate) absent: Vec<&'static str>,
}

/// Looks for all peers. `idler` is the program to be measured; `others` are `NAME=COMMAND` with `{root}` and `{port}`.
pub(crate) fn look_around(idler: &Path, others: &[String]) -> Outcome<Field> {
    let mut field = Field {
        found: Vec::new(),
        absent: Vec::new(),
    };
    let mut add = |name: &'static str, program: Option<PathBuf>, kind: &dyn Fn(PathBuf) -> Kind| {
        match program {
            Some(program) => field.found.push(Peer {
                name: name.to_owned(),
                kind: kind(program),
                patient: true,
            }),
            None => field.absent.push(name),
        }
    };
    add("limit", Some(PathBuf::new()), &|_| Kind::Limit);
    add("limit-open", Some(PathBuf::new()), &|_| Kind::LimitOpen);
    add("limit-look", Some(PathBuf::new()), &|_| Kind::LimitLook);
    add(
        "idler",
        Some(idler.to_owned()).filter(|path| path.is_file()),
        &Kind::Idler,
    );
    let nginx = |cache, sendfile| {
        move |program| Kind::Nginx {
            program,
            cache,
            sendfile,
        }
    };
    add("nginx", find("nginx"), &nginx(false, true));
    add("nginx-cached", find("nginx"), &nginx(true, true));
    add("nginx-nosf", find("nginx"), &nginx(true, false));
    add("lighttpd", find("lighttpd"), &Kind::Lighttpd);
    add("h2o", find("h2o"), &Kind::H2o);
    add("darkhttpd", find("darkhttpd"), &Kind::Darkhttpd);
    add("busybox", find("busybox"), &Kind::Busybox);
    add("python3", find("python3"), &Kind::Python);
    for other in others {
        let Some((name, command)) = other.split_once('=') else {
            return Err(format!("--also wants NAME=COMMAND, not {other}").into());
        };
        field.found.push(Peer {
            name: name.to_owned(),
            kind: Kind::Other(command.to_owned()),
            patient: true,
        });
    }
    Ok(field)
}

/// A program in `PATH`, or where programs of the system are kept from ordinary users' `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

impl Peer {
    /// The same with its own time-outs.
    pub(crate) fn impatient(mut self) -> Self {
        self.patient = false;
        self
    }

    /// Whether it keeps a connection after an answer. One that does not forks or starts a thread for each.
    pub(crate) fn keeps(&self) -> bool {
        !matches!(self.kind, Kind::Busybox(_) | Kind::Python(_))
    }

    /// Whether it is one of the limit servers.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(self.kind, Kind::Limit | Kind::LimitOpen | Kind::LimitLook)
    }

    /// Whether it is the server that this project is about.
    pub(crate) fn is_idler(&self) -> bool {
        matches!(self.kind, Kind::Idler(_))
    }

    /// Whether it was given on the command line.
    pub(crate) fn is_other(&self) -> bool {
        matches!(self.kind, Kind::Other(_))
    }

    /// The most connections it can hold. lighttpd takes half of its descriptors; darkhttpd waits with `select`, which
    /// knows 1,024 of them.
    pub(crate) fn connections_max(&self, descriptors: usize) -> usize {
        match self.kind {
            Kind::Lighttpd(_) => (descriptors / 2).saturating_sub(100),
            Kind::Darkhttpd(_) => 900,
            Kind::Limit
            | Kind::LimitOpen
            | Kind::LimitLook
            | Kind::Idler(_)
            | Kind::Nginx { .. }
            | Kind::H2o(_)
            | Kind::Busybox(_)
            | Kind::Python(_)
            | Kind::Other(_) => descriptors.saturating_sub(200),
        }
    }

    /// The first line that says which version it is.
    pub(crate) fn version(&self) -> String {
        let (program, arguments): (&Path, &[&str]) = match &self.kind {
            Kind::Limit | Kind::LimitOpen | Kind::LimitLook => {
                return "of this benchmark".to_owned();
            }
            Kind::Other(command) => return command.clone(),
            Kind::Idler(program) | Kind::Python(program) => (program, &["--version"]),
            Kind::Nginx { program, .. } | Kind::Lighttpd(program) | Kind::H2o(program) => {
                (program, &["-v"])
            }
            Kind::Busybox(program) | Kind::Darkhttpd(program) => (program, &[]),
        };
        let said = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output();
        let text = said
            .map(|said| [said.stdout, said.stderr].concat())
            .unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines()
            .find(|line| !line.is_empty())
            .unwrap_or("?")
            .to_owned()
    }

    /// Starts it over the site, waits until it answers, and checks its first answer byte by byte.
    /// `slots`: connections it must have room for, where it makes room at its start.
    pub(crate) fn start(
        &self,
        cores: Cores,
        site: &Site,
        slots: usize,
        as_if: &Imitation,
    ) -> Outcome<Server> {
        site.ripen();
        let port = server::free_port()?;
        let command = self.command(site, port, slots, as_if)?;
        let log = site.scratch().join(format!("{}-{port}.log", self.name));
        let mut server = Server::start(&self.name, port, cores.server, &command, log)?;
        server.keeps = self.keeps();
        let asset = as_if.asset();
        let checked = server.first_answer(asset).and_then(|()| {
            if self.is_limit() || self.is_other() {
                return Ok(()); // a limit server sends the letter a
            }
            server::fetch(port, asset.path, server::compare_with(&site.file(asset))?).map(drop)
        });
        match checked {
            Ok(()) => Ok(server),
            Err(error) => Err(format!(
                "{} did not start: {error}: {}",
                self.name,
                server.last_words()
            )
            .into()),
        }
    }

    /// Its command line. Writes its configuration, if it has one, into the scratch directory.
    pub(crate) fn command(
        &self,
        site: &Site,
        port: u16,
        slots: usize,
        as_if: &Imitation,
    ) -> Outcome<Vec<String>> {
        let root = site.root().display().to_string();
        let configuration = site.scratch().join(format!("{}-{port}.conf", self.name));
        let config = configuration.display().to_string();
        let words = |program: &Path, rest: &[&str]| {
            let mut words = vec![program.display().to_string()];
            words.extend(rest.iter().map(|word| (*word).to_owned()));
            words
        };
        let at = format!("{}:{port}", Ipv4Addr::LOCALHOST);
        let local = Ipv4Addr::LOCALHOST.to_string();
        let (number, long) = (port.to_string(), LONG.to_string());
        let limit = |way: Vec<String>| -> Outcome<Vec<String>> {
            let myself = std::env::current_exe()?;
            Ok([words(&myself, &[AS, "limit", &format!("port={port}")]), way].concat())
        };
        Ok(match &self.kind {
            Kind::Limit => limit(as_if.words(site))?,
            Kind::LimitOpen => limit(vec!["way=open".to_owned(), format!("root={root}")])?,
            Kind::LimitLook => limit(vec!["way=look".to_owned(), format!("root={root}")])?,
            // Its own time-outs are shorter than an hour, and half a head would not outlive a measurement.
            Kind::Idler(program) => {
                let rest = ["serve", &root, "--port", &number, "--access-log", "off"];
                let patient: &[&str] = match self.patient {
                    true => &["--idle-timeout", "1h", "--head-timeout", "1h"],
                    false => &[],
                };
                words(program, &[&rest[..], patient].concat())
            }
            Kind::Nginx {
                program,
                cache,
                sendfile,
            } => {
                let scratch = site.scratch().display().to_string();
                fs::write(
                    &configuration,
                    nginx(&scratch, &root, &at, slots, *cache, *sendfile, self.patient),
                )?;
                words(program, &["-e", "stderr", "-c", &config])
            }
            Kind::Lighttpd(program) => {
                fs::write(&configuration, lighttpd(&root, port, slots, self.patient))?;
                words(program, &["-D", "-f", &config])
            }
            Kind::H2o(program) => {
                fs::write(&configuration, h2o(&root, port, slots))?;
                words(program, &["-m", "worker", "-c", &config])
            }
            Kind::Darkhttpd(program) => {
                let rest = [&root, "--port", &number, "--addr", &local];
                let patient: &[&str] = match self.patient {
                    true => &["--timeout", &long],
                    false => &[],
                };
                // It cannot be told not to log, only where to.
                words(
                    program,
                    &[&rest[..], patient, &["--log", "/dev/null"]].concat(),
                )
            }
            Kind::Busybox(program) => words(program, &["httpd", "-f", "-p", &at, "-h", &root]),
            Kind::Python(program) => words(
                program,
                &[
                    "-m",
                    "http.server",
                    "--bind",
                    &local,
                    "--directory",
                    &root,
                    &number,
                ],
            ),
            Kind::Other(command) => command
                .split_ascii_whitespace()
                .map(|word| word.replace("{root}", &root).replace("{port}", &number))
                .collect(),
        })
    }
}

impl Imitation {
    fn asset(&self) -> Asset {
        match self {
            Self::Constant(asset) | Self::ConstantClose(asset) | Self::Sendfile(asset) => *asset,
        }
    }

    /// What the limit server is told.
    pub(crate) fn words(&self, site: &Site) -> Vec<String> {
        match self {
            Self::Constant(asset) => {
                vec!["way=constant".to_owned(), format!("body={}", asset.length)]
            }
            Self::ConstantClose(asset) => {
                let body = format!("body={}", asset.length);
                vec!["way=constant".to_owned(), body, "close=yes".to_owned()]
            }
            Self::Sendfile(asset) => {
                let file = format!("file={}", site.file(*asset).display());
                vec!["way=sendfile".to_owned(), file]
            }
        }
    }
}

/// nginx as distributions set it up (`sendfile`, `tcp_nopush`), or with descriptors kept open, or copying instead.
fn nginx(
    scratch: &str,
    root: &str,
    at: &str,
    slots: usize,
    cache: bool,
    sendfile: bool,
    patient: bool,
) -> String {
    let user = if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let sendfile = if sendfile { "on" } else { "off" };
    let cache = if cache {
        // Room for all of the many files.
        "open_file_cache max=12000 inactive=1h; open_file_cache_valid 60s; open_file_cache_min_uses 1;"
    } else {
        ""
    };
    let times = match patient {
        true => format!(
            "keepalive_requests 1000000000; keepalive_timeout {LONG}s; client_header_timeout {LONG}s;"
        ),
        false => String::new(),
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {scratch}/nginx-{kind}; "))
        .concat();
    format!(
        "{user} daemon off; worker_processes 1; pid {scratch}/nginx-{at}.pid; worker_rlimit_nofile {};\n\
         events {{ worker_connections {slots}; multi_accept on; }}\n\
         http {{\n  access_log off; sendfile {sendfile}; tcp_nopush on; {cache}\n  \
         types {{ text/html html; application/octet-stream bin; }}\n  \
         {times}\n  {temporary}\n  \
         server {{ listen {at} backlog=4096; root {root}; }}\n}}\n",
        slots + 100,
    )
}

fn lighttpd(root: &str, port: u16, slots: usize, patient: bool) -> String {
    let times = match patient {
        true => format!(
            "server.max-keep-alive-requests = 65535\nserver.max-keep-alive-idle = {LONG}\n\
             server.max-read-idle = {LONG}\nserver.max-write-idle = {LONG}\n"
        ),
        false => String::new(),
    };
    // It holds half as many connections as descriptors.
    format!(
        "server.document-root = \"{root}\"\nserver.bind = \"127.0.0.1\"\nserver.port = {port}\n\
         server.max-fds = {}\nserver.max-connections = {slots}\nserver.listen-backlog = 4096\n\
         {times}\
         mimetype.assign = ( \".html\" => \"text/html\", \".bin\" => \"application/octet-stream\" )\n",
        slots + 100,
    )
}

fn h2o(root: &str, port: u16, slots: usize) -> String {
    let user = if rustix::process::geteuid().is_root() {
        "user: root\n"
    } else {
        ""
    };
    format!(
        "{user}num-threads: 1\nmax-connections: {slots}\nhttp1-request-timeout: {LONG}\nerror-log: /dev/null\n\
         listen:\n  host: 127.0.0.1\n  port: {port}\nhosts:\n  default:\n    paths:\n      /:\n        \
         file.dir: {root}\n"
    )
}
