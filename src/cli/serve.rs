//! `serve` and its options, most of which `explain` takes as well.

use super::parse::verb_like;
use super::table::{
    Group, PLAIN,
    Repeat::{Count, Each, EachLine},
    Row, Verb, group,
};
use super::values::network::{bind_address, cidr, companions, proxies};
use super::values::policy::{access_log, cache_policy, header_rule, host_rule, own_path};
use super::values::policy::{type_rule, user, within_header_limit};
use super::values::yes_no;
use super::values::{file_name, number, number_or, one_of, path, push, put, size, timeout, wait};
use super::{Command, LogFormat, Options, ServeOptions};
use crate::limits;
use crate::log::logger::Color;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub(super) static SERVE: Verb = Verb {
    name: "serve",
    usage: &["[OPTIONS] [PATH]", "serve [OPTIONS] [PATH]"],
    summary: "Serve a directory or a file over HTTP",
    about: "Serves the directory PATH over HTTP/1.1, or PATH itself if it is a file; without \
         PATH, the current directory. One thread does everything.\n\n\
         The URLs are printed on standard error once idler really listens; standard output has \
         the access log alone. SIGTERM and SIGINT stop it after the busy have finished, SIGHUP \
         opens the log file and reads the files of --redirects and --auth again, SIGUSR1 writes \
         idler's figures to standard error.",
    examples: &[
        "idler  this directory, for this machine alone",
        "idler -b 0.0.0.0 -b :: site  share with the network",
        "idler serve -p 0 get  a directory named like a verb, any free port",
        "idler -H 'Cache-Control: max-age=60' site  a header on every reply",
        "idler --access-log off -v site  only why connections end",
    ],
    options: &[
        LISTENS, FILES, HEADER, ANSWERS, CLIENTS, BOUNDS, SAYS, COLOR, OWN_PATHS, OPERATES, CHECK,
    ],
    finish: |mut options| {
        let server = &mut options.server;
        server.path = served_path(&options.words)?;
        server.path_resembles_verb = options.words.first().and_then(|word| verb_like(word));
        complete(server)?;
        if server.status.is_none() && !server.status_from.is_empty() {
            return Err("--status-from needs the path of the figures; add --status /PATH".into());
        }
        Ok(Command::Serve(options))
    },
};

const LISTENS: Group = group! { "Where it listens":
    "-p, --port N  Listen on this port; 0 takes any free one (default: 8080). The start-up lines \
     say which one it is. A port that is in use or needs privileges is an error, never another \
     port." [in_overview: true] => set_port;
    "-b, --bind ADDR  Listen on this address; 0.0.0.0 and :: share (default: localhost). An IPv4 \
     or IPv6 address, with :PORT or without ([::1]:8081); localhost for both loopback addresses; \
     or unix:/path, with permissions or without (unix:/run/idler.sock,0660)."
        [repeat: Each, in_overview: true] => |o, v| push(&mut o.listening.bind, bind_address(v));
    "--reuse-port  Share the port with other idlers. The kernel spreads connections over them: one \
     process for each core." => |o, v| put(&mut o.server.reuse_port, yes_no(v));
};

pub(super) const FILES: Group = group! { "What it serves":
    "-i, --index NAME  The file that stands for its directory (default: index.html). Of several, \
     the first one that exists is served."
        [repeat: Each] => |o, v| push(&mut o.server.index, file_name(v));
    "--no-listing  Do not list directories that have no index. They are answered with 404."
        => |o, v| put(&mut o.server.no_listing, yes_no(v));
    "--hidden  Serve and list names that begin with a dot. Without it they are answered with 404, \
     all but .well-known." => |o, v| put(&mut o.server.hidden, yes_no(v));
};

const HEADER: Group = group! { "What it serves":
    "-H, --header '[/PATH ]NAME: VALUE'  Send this header line with every reply. Or with the file \
     at /PATH alone, or, with a slash at its end, with what lies beneath ('/assets/ Cache-Control: \
     max-age=60'). Of lines with one name the longest path wins. Lines that idler alone can get \
     right, such as Content-Length, Connection or Date, are refused."
        [repeat: EachLine] => |o, v| push(&mut o.server.headers, header_rule(v));
};

pub(super) const ANSWERS: Group = group! { "What it serves":
    "--type .EXT=TYPE  The media type of files with this extension. For instance \
     .wasm=application/wasm. It wins over idler's own table."
        [repeat: EachLine] => |o, v| push(&mut o.server.types, type_rule(v));
    "--spa  Answer missing pages with the root's index. For single-page apps: with 200, to \
     requests that accept HTML by name, as browsers do for a page. Missing assets stay 404."
        => |o, v| put(&mut o.server.spa, yes_no(v));
    "--clean-urls  Serve page.html as /page. /page.html and /index.html are redirected to their \
     shorter names. A page goes before a directory of the same name."
        => |o, v| put(&mut o.server.clean_urls, yes_no(v));
    "--cache POLICY  What Cache-Control says (default: no-cache). Of files. no-cache: ask each \
     time, which costs a 304. Or a number of seconds, or a TIME. With ,immutable \
     (no-cache,immutable) names that contain a content hash, such as app.3f9a1c2b.js, are fresh \
     for ever." => |o, v| put(&mut o.server.cache, cache_policy(v));
    "--cors  Let scripts of other sites read the replies. With Access-Control-Allow-Origin: *, and \
     an answer to what browsers ask beforehand." => |o, v| put(&mut o.server.cors, yes_no(v));
    "--host NAME=DIR  Serve DIR to those who ask for host NAME. Everybody else gets PATH. All \
     other settings are the same; each site has its share of --cache-memory."
        [repeat: EachLine] => |o, v| push(&mut o.server.hosts, host_rule(v));
    "--redirects FILE  Redirect as FILE says: from, to and status a line. /old.html /new.html 301, \
     or /blog/* https://blog.example/* 308; the status is 301, 302, 303, 307 or 308. Read again on \
     SIGHUP; a bad file is refused and the old one kept."
        => |o, v| put(&mut o.server.redirects, path(v).map(Some));
};

const CLIENTS: Group = group! { "Who may connect":
    "--auth FILE  Ask for a name and password of FILE. Its lines are made by idler password, or by \
     htpasswd -B -C 5. Names and passwords travel in the clear: put idler behind something that \
     speaks TLS. Read again on SIGHUP; a bad file is refused and the old one kept."
        => |o, v| put(&mut o.server.auth, path(v).map(Some));
    "--allow CIDR  Only these addresses may connect. An address or a range, such as \
     192.168.0.0/16; all others are hung up on. Unix sockets have permissions instead."
        [repeat: Each] => |o, v| push(&mut o.server.allow, cidr(v));
    "--max-per-address N  At most N connections from one address (default: off). Further ones get \
     503. An IPv6 network of 64 bits counts as one address."
        => |o, v| put(
            &mut o.server.max_per_address, number_or("off", v, 1..=limits::PER_ADDRESS_OPTION_MAX),
        );
    "--proxy-from CIDR|unix  Believe these proxies whom they speak for. By the PROXY protocol, \
     versions 1 and 2, where a connection begins with it, and by X-Forwarded-For or Forwarded: the \
     log, --allow and --status-from then mean the client, and so does --max-per-address after a \
     PROXY header. unix: whoever comes through a Unix socket."
        [repeat: Each] => |o, v| push(&mut o.server.proxy_from, proxies(v));
};

pub(super) const BOUNDS: Group = group! { "Limits and time":
    "--max-connections N  Hold at most this many connections (default: auto). auto: as many as the \
     descriptor limit allows. When all are taken, an idle one makes room; if none is idle, the \
     newcomer gets 503."
        => |o, v| put(&mut o.server.max_connections, number_or("auto", v, 1..=limits::SLOTS_MAX));
    "--max-head SIZE  The longest request head; a longer one gets 431 (default: 16K). From 1K to \
     1M." => |o, v| put(&mut o.server.head_bytes_max, size(v, limits::HEAD_BYTES_OPTION));
    "--head-timeout TIME  How long a request head may take to arrive (default: 10s). Counted from \
     its first byte and never extended; then 408."
        => |o, v| put(&mut o.server.head_timeout, timeout(v));
    "--idle-timeout TIME  How long a connection may be idle (default: 60s). Between requests, and \
     before the first." => |o, v| put(&mut o.server.idle_timeout, timeout(v));
    "--stall-timeout TIME  How long a reply may make no progress (default: 60s). A reader that \
     takes nothing, or next to nothing, for so long is given up."
        => |o, v| put(&mut o.server.stall_timeout, timeout(v));
    "--grace TIME  How long the busy may finish after a signal to stop (default: 10s). A second \
     signal ends the wait." => |o, v| put(&mut o.server.grace, wait(v));
    "--drain-delay TIME  How long to go on accepting after a signal to stop (default: 0s). For \
     load balancers, which need time to notice. Every reply says Connection: close meanwhile."
        => |o, v| put(&mut o.server.drain_delay, wait(v));
    "--cache-memory SIZE  Keep at most this much of small files in memory (default: 64M). What is \
     kept is never older than the files. 0 keeps nothing."
        => |o, v| put(&mut o.server.cache_bytes_max, size(v, limits::CACHE_BYTES_OPTION));
};

const SAYS: Group = group! { "What it says":
    "--access-log FILE|-|off  Where each reply leaves a line; - is stdout (default: -). A file is \
     appended to, and opened again on SIGHUP. Lines that its reader does not take in time are \
     dropped and counted." => |o, v| put(&mut o.server.access_log, access_log(v));
    "--log-format combined|json|short  The form of its lines (default: combined)"
        => |o, v| put(&mut o.server.log_format, one_of(v, &[
            ("combined", LogFormat::Combined), ("json", LogFormat::Json),
            ("short", LogFormat::Short),
        ]));
    "-q, --quiet  Say nothing on standard error but errors"
        => |o, v| put(&mut o.voice.quiet, yes_no(v));
    "-v, --verbose  Say why connections end; twice: every step. RUST_LOG or IDLER_LOG choose more \
     finely: RUST_LOG=idler=trace is the teaching view, each line beginning with the key of its \
     connection." [repeat: Count] => set_verbose;
};

pub(super) const VERBOSE: Group = group! { "What it says":
    "-v, --verbose  Say why connections end; twice: every step" [repeat: Count] => set_verbose;
};

pub(super) const COLOR: Group = group! { "What it says":
    "--color auto|always|never  Colours on standard error (default: auto). auto: on a terminal, \
     unless NO_COLOR is set; and everywhere if CLICOLOR_FORCE is." => set_color;
};

pub(super) const OWN_PATHS: Group = group! { "Operation":
    "--health /PATH  Answer 200 at this path, 503 while stopping. To everybody who may connect, \
     for any host, and without a password. A 200 leaves no line in the access log. Give load \
     balancers time with --drain-delay." => |o, v| put(&mut o.server.health, own_path(v).map(Some));
    "--status /PATH  Answer with idler's own figures at this path. For Prometheus, or as JSON with \
     ?json and for those who accept that; to this machine alone, unless --status-from says \
     otherwise. To everybody else it is a path like any other."
        => |o, v| put(&mut o.server.status, own_path(v).map(Some));
};

const OPERATES: Group = group! { "Operation":
    "--status-from CIDR  Who may see the figures, besides this machine"
        [repeat: Each] => |o, v| push(&mut o.server.status_from, cidr(v));
    "--user NAME  Become this user once it listens (as root only). A name or a number, with :GROUP \
     or without." => |o, v| put(&mut o.server.user, user(v).map(Some));
    "--with NAME=PORT,…  Companions on the same loop. message=8000, daytime=1313, ping=12000, \
     transfer=5566:FILE, on the addresses of --bind."
        [repeat: EachLine] => |o, v| companions(v).map(|rules| o.server.with.extend(rules));
};

const CHECK: Group = group! { "Other":
    "--check  Check the settings, print them, and do not serve. Each is printed with where it \
     comes from: an option, the environment, or the default."
        => |o, v| put(&mut o.server.check, yes_no(v));
};

pub(super) fn set_port(options: &mut Options, given: &OsStr) -> Result<(), String> {
    put(&mut options.listening.port, number(given, 0..=u16::MAX))
}

pub(super) fn set_verbose(options: &mut Options, given: &OsStr) -> Result<(), String> {
    let times = number(given, 0..=u8::MAX)?;
    options.voice.verbose = options.voice.verbose.saturating_add(times);
    Ok(())
}

pub(super) fn set_color(options: &mut Options, given: &OsStr) -> Result<(), String> {
    let colors = [
        ("auto", Color::Auto),
        ("always", Color::Always),
        ("never", Color::Never),
    ];
    put(&mut options.voice.color, one_of(given, &colors))
}

/// The path that the first word names, or this directory.
pub(super) fn served_path(words: &[OsString]) -> Result<PathBuf, String> {
    let path = words.first().map_or(OsStr::new("."), OsString::as_os_str);
    match path.is_empty() {
        true => Err("PATH is empty; leave it out for the current directory".into()),
        false => Ok(PathBuf::from(path)),
    }
}

/// Supplies the default index, and refuses what contradicts itself.
pub(super) fn complete(server: &mut ServeOptions) -> Result<(), String> {
    if server.index.is_empty() {
        server.index.push("index.html".into());
    }
    within_header_limit(server.headers.iter().map(|rule| &rule.line))?;
    if server.health.is_some() && server.health == server.status {
        return Err("--health and --status have one path; give each its own".into());
    }
    Ok(())
}
