//! `serve` and its options.
//!
//! What lives here: rows of the table. They may not know what an option does.
//! Invariant: the default shown is the one of `limits.rs` (a test holds it).
//! Read next: the parent, `table.rs`.

use super::{Id, Repeat, Row, Value, Verb, VerbRow, Words};

pub(super) const VERB: VerbRow = VerbRow {
    verb: Verb::Serve,
    name: "serve",
    usage: &["[OPTIONS] [PATH]", "serve [OPTIONS] [PATH]"],
    words: Words {
        least: 0,
        most: 1,
        names: "[PATH]",
        value: Value::File("PATH"),
    },
    summary: "Serve a directory or a file over HTTP",
    about: &[
        "Serves the directory PATH over HTTP/1.1, or PATH itself if it is a file; without PATH, \
         the current directory. One thread does everything.",
        "The URLs are printed on standard error once idler really listens; standard output has \
         the access log alone. SIGTERM and SIGINT stop it after the busy have finished, SIGHUP opens the \
         log file and reads the files of --redirects and --auth again, SIGUSR1 writes idler's figures to standard error.",
    ],
    examples: &[
        ("idler", "this directory, for this machine alone"),
        ("idler -b 0.0.0.0 -b :: site", "share with the network"),
        (
            "idler serve -p 0 get",
            "a directory named like a verb, any free port",
        ),
        (
            "idler -H 'Cache-Control: max-age=60' site",
            "a header on every reply",
        ),
        ("idler --access-log off -v site", "only why connections end"),
    ],
};

const ROW: Row = Row {
    verbs: &[Verb::Serve],
    ..Row::PLAIN
};

/// Paths that are idler's own, and so matter to `explain` too.
const OWN_PATH: Row = Row {
    group: OPERATION,
    value: Value::Text("/PATH"),
    ..SITE
};

/// For options that decide an answer, and so matter to `explain` too.
const SITE: Row = Row {
    verbs: &[Verb::Serve, Verb::Explain],
    group: WHAT,
    ..Row::PLAIN
};

const WHERE: &str = "Where it listens";
const WHAT: &str = "What it serves";
const WHO: &str = "Who may connect";
const LIMITS: &str = "Limits and time";
const LOGS: &str = "What it says";
const OPERATION: &str = "Operation";

pub(super) const OPTIONS: &[Row] = &[
    Row {
        id: Id::Port,
        group: WHERE,
        long: "port",
        short: Some('p'),
        value: Value::Text("N"),
        default: "8080",
        common: true,
        help: "Listen on this port; 0 takes any free one",
        more: "The start-up lines say which one it is. A port that is in use or needs privileges is \
               an error, never another port.",
        ..ROW
    },
    Row {
        id: Id::Bind,
        group: WHERE,
        long: "bind",
        short: Some('b'),
        value: Value::Text("ADDR"),
        default: "localhost",
        repeat: Repeat::Each,
        common: true,
        help: "Listen on this address; 0.0.0.0 and :: share",
        more: "An IPv4 or IPv6 address, with :PORT or without ([::1]:8081); localhost for both \
               loopback addresses; or unix:/path, with permissions or without \
               (unix:/run/idler.sock,0660).",
        ..ROW
    },
    Row {
        id: Id::ReusePort,
        group: WHERE,
        long: "reuse-port",
        help: "Share the port with other idlers",
        more: "The kernel spreads connections over them: one process for each core.",
        ..ROW
    },
    Row {
        id: Id::Index,
        long: "index",
        short: Some('i'),
        value: Value::Text("NAME"),
        default: "index.html",
        repeat: Repeat::Each,
        help: "The file that stands for its directory",
        more: "Of several, the first one that exists is served.",
        ..SITE
    },
    Row {
        id: Id::NoListing,
        long: "no-listing",
        help: "Do not list directories that have no index",
        more: "They are answered with 404.",
        ..SITE
    },
    Row {
        id: Id::Hidden,
        long: "hidden",
        help: "Serve and list names that begin with a dot",
        more: "Without it they are answered with 404, all but .well-known.",
        ..SITE
    },
    Row {
        id: Id::Header,
        group: WHAT,
        long: "header",
        short: Some('H'),
        value: Value::Text("'[/PATH ]NAME: VALUE'"),
        repeat: Repeat::EachLine,
        help: "Send this header line with every reply",
        more: "Or with the file at /PATH alone, or, with a slash at its end, with what lies beneath \
               ('/assets/ Cache-Control: max-age=60'). Of lines with one name the longest path wins. \
               Lines that idler alone can get right, such as Content-Length, Connection or Date, are \
               refused.",
        ..ROW
    },
    Row {
        id: Id::Type,
        long: "type",
        value: Value::Text(".EXT=TYPE"),
        repeat: Repeat::EachLine,
        help: "The media type of files with this extension",
        more: "For instance .wasm=application/wasm. It wins over idler's own table.",
        ..SITE
    },
    Row {
        id: Id::Spa,
        long: "spa",
        help: "Answer missing pages with the root's index",
        more: "For single-page apps: with 200, to requests that accept HTML by name, as browsers do for a page. \
               Missing assets stay 404.",
        ..SITE
    },
    Row {
        id: Id::CleanUrls,
        long: "clean-urls",
        help: "Serve page.html as /page",
        more: "/page.html and /index.html are redirected to their shorter names. A page goes before a directory of \
               the same name.",
        ..SITE
    },
    Row {
        id: Id::Cache,
        long: "cache",
        value: Value::Text("POLICY"),
        default: "no-cache",
        help: "What Cache-Control says",
        more: "Of files. no-cache: ask each time, which costs a 304. Or a number of seconds, or a TIME. With \
               ,immutable (no-cache,immutable) names that contain a content hash, such as \
               app.3f9a1c2b.js, are fresh for ever.",
        ..SITE
    },
    Row {
        id: Id::Cors,
        long: "cors",
        help: "Let scripts of other sites read the replies",
        more: "With Access-Control-Allow-Origin: *, and an answer to what browsers ask beforehand.",
        ..SITE
    },
    Row {
        id: Id::Host,
        long: "host",
        value: Value::Text("NAME=DIR"),
        repeat: Repeat::EachLine,
        help: "Serve DIR to those who ask for host NAME",
        more: "Everybody else gets PATH. All other settings are the same; each site has its share of \
               --cache-memory.",
        ..SITE
    },
    Row {
        id: Id::Redirects,
        long: "redirects",
        value: Value::File("FILE"),
        help: "Redirect as FILE says: from, to and status a line",
        more: "/old.html /new.html 301, or /blog/* https://blog.example/* 308; the status is 301, 302, 303, 307 or \
               308. Read again on SIGHUP; a bad file is refused and the old one kept.",
        ..SITE
    },
    Row {
        id: Id::Auth,
        group: WHO,
        long: "auth",
        value: Value::File("FILE"),
        help: "Ask for a name and password of FILE",
        more: "Its lines are made by idler password, or by htpasswd -B -C 5. Names and passwords travel in the \
               clear: put idler behind something that speaks TLS. Read again on SIGHUP; a bad file is refused and \
               the old one kept.",
        ..ROW
    },
    Row {
        id: Id::Allow,
        group: WHO,
        long: "allow",
        value: Value::Text("CIDR"),
        repeat: Repeat::Each,
        help: "Only these addresses may connect",
        more: "An address or a range, such as 192.168.0.0/16; all others are hung up on. Unix sockets have \
               permissions instead.",
        ..ROW
    },
    Row {
        id: Id::MaxPerAddress,
        group: WHO,
        long: "max-per-address",
        value: Value::Text("N"),
        default: "off",
        help: "At most N connections from one address",
        more: "Further ones get 503. An IPv6 network of 64 bits counts as one address.",
        ..ROW
    },
    Row {
        id: Id::ProxyFrom,
        group: WHO,
        long: "proxy-from",
        value: Value::Text("CIDR|unix"),
        repeat: Repeat::Each,
        help: "Believe these proxies whom they speak for",
        more: "By the PROXY protocol, versions 1 and 2, where a connection begins with it, and by X-Forwarded-For or Forwarded: \
               the log, --allow and --status-from then mean the client, and so does --max-per-address after a PROXY header. \
               unix: whoever comes through a Unix socket.",
        ..ROW
    },
    Row {
        id: Id::MaxConnections,
        group: LIMITS,
        long: "max-connections",
        value: Value::Text("N"),
        default: "auto",
        help: "Hold at most this many connections",
        more: "auto: as many as the descriptor limit allows. When all are taken, an idle one makes \
               room; if none is idle, the newcomer gets 503.",
        ..ROW
    },
    Row {
        id: Id::MaxHead,
        group: LIMITS,
        long: "max-head",
        value: Value::Text("SIZE"),
        default: "16K",
        help: "The longest request head; a longer one gets 431",
        more: "From 1K to 1M.",
        ..ROW
    },
    Row {
        id: Id::HeadTimeout,
        group: LIMITS,
        long: "head-timeout",
        value: Value::Text("TIME"),
        default: "10s",
        help: "How long a request head may take to arrive",
        more: "Counted from its first byte and never extended; then 408.",
        ..ROW
    },
    Row {
        id: Id::IdleTimeout,
        group: LIMITS,
        long: "idle-timeout",
        value: Value::Text("TIME"),
        default: "60s",
        help: "How long a connection may be idle",
        more: "Between requests, and before the first.",
        ..ROW
    },
    Row {
        id: Id::StallTimeout,
        group: LIMITS,
        long: "stall-timeout",
        value: Value::Text("TIME"),
        default: "60s",
        help: "How long a reply may make no progress",
        more: "A reader that takes nothing, or next to nothing, for so long is given up.",
        ..ROW
    },
    Row {
        id: Id::Grace,
        group: LIMITS,
        long: "grace",
        value: Value::Text("TIME"),
        default: "10s",
        help: "How long the busy may finish after a signal to stop",
        more: "A second signal ends the wait.",
        ..ROW
    },
    Row {
        id: Id::DrainDelay,
        group: LIMITS,
        long: "drain-delay",
        value: Value::Text("TIME"),
        default: "0s",
        help: "How long to go on accepting after a signal to stop",
        more: "For load balancers, which need time to notice. Every reply says Connection: close \
               meanwhile.",
        ..ROW
    },
    Row {
        id: Id::CacheMemory,
        group: LIMITS,
        long: "cache-memory",
        value: Value::Text("SIZE"),
        default: "64M",
        help: "Keep at most this much of small files in memory",
        more: "What is kept is never older than the files. 0 keeps nothing.",
        ..ROW
    },
    Row {
        id: Id::AccessLog,
        group: LOGS,
        long: "access-log",
        value: Value::File("FILE|-|off"),
        default: "-",
        help: "Where each reply leaves a line; - is stdout",
        more: "A file is appended to, and opened again on SIGHUP. Lines that its reader does not take in \
               time are dropped and counted.",
        ..ROW
    },
    Row {
        id: Id::LogFormat,
        group: LOGS,
        long: "log-format",
        value: Value::OneOf(&["combined", "json", "short"]),
        default: "combined",
        help: "The form of its lines",
        ..ROW
    },
    Row {
        id: Id::Quiet,
        group: LOGS,
        long: "quiet",
        short: Some('q'),
        help: "Say nothing on standard error but errors",
        ..ROW
    },
    Row {
        id: Id::Verbose,
        group: LOGS,
        long: "verbose",
        short: Some('v'),
        repeat: Repeat::Count,
        help: "Say why connections end; twice: every step",
        more: "RUST_LOG or IDLER_LOG choose more finely: RUST_LOG=idler=trace is the teaching view, \
               each line beginning with the key of its connection.",
        ..ROW
    },
    Row {
        id: Id::Color,
        group: LOGS,
        long: "color",
        value: Value::OneOf(&["auto", "always", "never"]),
        default: "auto",
        help: "Colours on standard error",
        more: "auto: on a terminal, unless NO_COLOR is set; and everywhere if CLICOLOR_FORCE is.",
        ..ROW
    },
    Row {
        id: Id::Health,
        long: "health",
        help: "Answer 200 at this path, 503 while stopping",
        more: "To everybody who may connect, for any host, and without a password. A 200 leaves no line in the \
               access log. Give load balancers time with --drain-delay.",
        ..OWN_PATH
    },
    Row {
        id: Id::Status,
        long: "status",
        help: "Answer with idler's own figures at this path",
        more: "For Prometheus, or as JSON with ?json and for those who accept that; to this machine alone, unless \
               --status-from says otherwise. To everybody else it is a path like any other.",
        ..OWN_PATH
    },
    Row {
        id: Id::StatusFrom,
        group: OPERATION,
        long: "status-from",
        value: Value::Text("CIDR"),
        repeat: Repeat::Each,
        help: "Who may see the figures, besides this machine",
        ..ROW
    },
    Row {
        id: Id::User,
        group: OPERATION,
        long: "user",
        value: Value::Text("NAME"),
        more: "A name or a number, with :GROUP or without.",
        help: "Become this user once it listens (as root only)",
        ..ROW
    },
    Row {
        id: Id::With,
        group: OPERATION,
        long: "with",
        value: Value::Text("NAME=PORT,…"),
        repeat: Repeat::EachLine,
        help: "Companions on the same loop",
        more: "message=8000, daytime=1313, ping=12000, transfer=5566:FILE, on the addresses of --bind.",
        ..ROW
    },
    Row {
        id: Id::Check,
        group: super::OTHER,
        long: "check",
        help: "Check the settings, print them, and do not serve",
        more: "Each is printed with where it comes from: an option, the environment, or the default.",
        ..ROW
    },
];
