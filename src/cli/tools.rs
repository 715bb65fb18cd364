//! The tools and their options: get, crowd, explain, precompress, password. Letters of get are
//! those of curl where it has the option, since hands know them.

use super::companions::{PROGRESS, TIMEOUT, with_peer};
use super::serve::{self, ANSWERS, BOUNDS, COLOR, FILES, OWN_PATHS};
use super::serve::{set_color, set_verbose};
use super::table::{
    Group, PLAIN,
    Repeat::{Count, EachLine},
    Row, Verb, group,
};
use super::values::network::{file_name_of, target_of_path, url, url_of_words};
use super::values::policy::{delay, login, request_header_line, within_header_limit};
use super::values::{number, one_of, path, push, put, timeout, wait, yes_no};
use super::{Command, CrowdMode};
use crate::limits;

pub(super) static GET: Verb = Verb {
    name: "get",
    usage: &["get [OPTIONS] URL", "get [OPTIONS] HOST PORT FILE"],
    summary: "Fetch a file over HTTP, and see how",
    about: "Fetches URL and writes its body to standard output. HOST PORT FILE is the form of the \
         textbooks; FILE gets its leading slash. http:// may be left out.\n\n\
         The exit code is 0 for 2xx, 3 for 3xx, 4 for 4xx, 5 for 5xx, and 1 for any failure, a \
         body cut short included.",
    examples: &[
        "idler get localhost 8080 index.html  the textbook's form",
        "idler get -v -o /dev/null http://localhost:8080/  both heads, byte by byte",
        "idler get -c -O http://localhost:8080/big.iso  resume a download",
        "idler get --chunk 1 --delay 200 http://localhost:8080/  a slow client, five bytes a \
         second",
    ],
    options: &[
        OUTPUT, REQUEST, LOCATION, TIMEOUT, LESSONS, PROGRESS, SAYS, COLOR,
    ],
    finish: |mut options| {
        let url = match options.words.as_slice() {
            [word] => url(word)?,
            [host, port, file] => url_of_words(host, port, file)?,
            _ => {
                let form = "get takes a URL, or HOST PORT FILE";
                return Err(format!("{form}; try idler get http://HOST:PORT/FILE"));
            }
        };
        let two_files = "--output and --remote-name name two files; choose one";
        let no_file = "--remote-name: the URL names no file; try -o FILE";
        options.output = match (options.output.take(), options.remote_name) {
            (Some(_), true) => return Err(two_files.into()),
            (None, true) => Some(file_name_of(&url).ok_or(no_file)?.into()),
            (file, false) => file.filter(|file| file.as_os_str() != "-"),
        };
        if options.keep > 1 && options.pipeline > 1 {
            return Err("--keep waits for each reply and --pipeline does not; choose one".into());
        }
        if options.resume && options.output.is_none() {
            return Err("--continue needs a file to continue; add -O or -o FILE".into());
        }
        if options.resume && options.requests() > 1 {
            return Err("--continue asks once; leave out --keep and --pipeline".into());
        }
        within_header_limit(&options.headers)?;
        // The server would wait for the body.
        let announcing = ["content-length", "transfer-encoding"];
        let mut names = options.headers.iter().map(|line| &line.name);
        if let Some(name) = names.find(|name| announcing.contains(&&*name.to_ascii_lowercase())) {
            let why = "announces a body, and get sends none";
            return Err(format!("--header: {name} {why}"));
        }
        if options.chunk.is_none() && !options.delay.is_zero() {
            options.chunk = Some(1);
        }
        Ok(Command::Get(url, options))
    },
};

const OUTPUT: Group = group! { "What it does":
    "-o, --output FILE  Write the body to FILE" => |o, v| put(&mut o.output, path(v).map(Some));
    "-O, --remote-name  Write the body to a file named as in the URL"
        => |o, v| put(&mut o.remote_name, yes_no(v));
    "-c, --continue  Go on where a fetch with -c broke off (with -o or -O). What has come stands \
     in FILE.part, and becomes FILE once it is whole. Of another version that the server has by \
     now, the whole is fetched." => |o, v| put(&mut o.resume, yes_no(v));
};

/// What `explain` takes as well.
const REQUEST: Group = group! { "What it does":
    "-I, --head  Ask with HEAD: for the head alone" => |o, v| put(&mut o.head_only, yes_no(v));
    // What a server is told in IDLER_HEADER must not leave with a client.
    "-H, --header 'NAME: VALUE'  Send this header line with the request. It replaces what would be \
     sent under that name. Not taken from the environment, where IDLER_HEADER is for replies."
        [repeat: EachLine, typed_only: true]
        => |o, v| push(&mut o.headers, request_header_line(v));
};

const LOCATION: Group = group! { "What it does":
    "-L, --location  Follow redirects, a bounded number of them"
        => |o, v| put(&mut o.follow, yes_no(v));
};

const LESSONS: Group = group! { "What it shows and teaches":
    "-i, --include  Write the reply's head before its body"
        => |o, v| put(&mut o.include_head, yes_no(v));
    "-t, --timing  Say what took how long, and how many steps. Time to resolve, to connect, to the \
     first byte, and in all; reads, would-blocks and readiness events."
        => |o, v| put(&mut o.timing, yes_no(v));
    "--keep N  Ask N times on one connection, one after the other (default: 1)"
        => |o, v| put(&mut o.keep, number(v, 1..=limits::REPEATED_REQUESTS_MAX));
    "--pipeline N  Ask N times on one connection, without waiting (default: 1)"
        => |o, v| put(&mut o.pipeline, number(v, 1..=limits::REPEATED_REQUESTS_MAX));
    "--chunk N  Send the request N bytes at a time"
        => |o, v| put(&mut o.chunk, number(v, 1..=limits::HEAD_BYTES_MAX).map(Some));
    "--delay MS  Wait so many milliseconds between the pieces (default: 0). Durations such as 1s \
     are understood as well. Without --chunk, pieces are single bytes."
        => |o, v| put(&mut o.delay, delay(v));
};

const SAYS: Group = group! { "What it says":
    "-v, --verbose  Show both heads; twice: every step. Heads are shown exactly as sent and \
     received, and what was wrong with a reply is said." [repeat: Count] => set_verbose;
};

pub(super) static CROWD: Verb = Verb {
    name: "crowd",
    usage: &["crowd [OPTIONS] HOST PORT"],
    summary: "Hold many idle or slow clients",
    about: "Opens many connections to any HTTP server, holds them as --mode says, and tells what \
         became of them: how many were refused, how many closed and after how long. Exit code 0: \
         all stayed.\n\n\
         A crowd can bring a server down. So it goes to this machine only (127.0.0.1, ::1), \
         unless --i-own-this-target says that the other one is yours.",
    examples: &[
        "idler crowd -n 10000 localhost 8080  ten thousand that say nothing",
        "idler crowd --mode half-head --probe http://localhost:8080/ localhost 8080  slow heads, \
         and what an honest client feels meanwhile",
        "idler crowd --mode slow-read --path /big.iso --drip 1s localhost 8080  readers of 16 \
         bytes a second",
    ],
    options: &[CLIENTS, VERDICT],
    finish: |options| with_peer(options, 0).map(Command::Crowd),
};

const CLIENTS: Group = group! { "The crowd":
    // Fewer than the least descriptor limit that is common (1,024).
    "-n, --clients N  How many connections; for churn, at most at once (default: 1000)"
        => |o, v| put(&mut o.clients, number(v, 1..=limits::CROWD_CLIENTS_MAX));
    "--mode silent|keep-alive|half-head|slow-read|churn  What each of them does (default: silent). \
     silent: nothing. keep-alive: one request, then nothing. half-head: a head that never ends. \
     slow-read: asks, and reads 16 bytes now and then. churn: connects and leaves, again and \
     again." => |o, v| put(&mut o.mode, one_of(v, CrowdMode::WORDS));
    // The customary pace of the attack.
    "--drip TIME  Time between two bytes of a slow head or reader (default: 10s)"
        => |o, v| put(&mut o.drip, timeout(v));
    // Shorter than the idle timeouts that are common (60 s): a client that is gone at the end had
    // to make room, or found none.
    "--duration TIME  How long to hold them, once all are open (default: 30s)"
        => |o, v| put(&mut o.duration, wait(v));
    "--rate N  How many to open in a second (default: 1000)"
        => |o, v| put(&mut o.rate, number(v, 1..=limits::CROWD_CLIENTS_MAX));
    "--path /PATH  What those ask for who ask. Else they ask for /; churn asks for nothing. For \
     slow-read, name a file of some megabytes: what fits into the kernel's buffers is out of the \
     server's hands at once." => |o, v| put(&mut o.target, target_of_path(v).map(Some));
    "--probe URL  Measure an honest client before and meanwhile"
        => |o, v| put(&mut o.probe, url(v).map(Some));
    "--i-own-this-target  The target may be another machine, since it is yours. Has to be typed \
     each time: no variable sets it."
        [typed_only: true] => |o, v| put(&mut o.own_target, yes_no(v));
};

const VERDICT: Group = group! { "What it says":
    "--json  Print the verdict as one JSON object" => |o, v| put(&mut o.json, yes_no(v));
    "-v, --verbose  Say why connections end; twice: every step" [repeat: Count] => set_verbose;
    "-q, --quiet  No progress. Otherwise a terminal has a line that is redrawn, anything else a \
     line every five seconds." => |o, v| put(&mut o.voice.quiet, yes_no(v));
    "--color auto|always|never  Colours on a terminal (default: auto). auto: unless NO_COLOR is \
     set." => set_color;
};

pub(super) static EXPLAIN: Verb = Verb {
    name: "explain",
    usage: &["explain [OPTIONS] URL"],
    summary: "Say why a request gets its answer",
    about: "Prints how idler would answer a request for URL, or for a path: decoding, file, \
         encoding, conditions, range, headers. Nothing is sent.",
    examples: &[
        "idler explain --root site -H 'Range: bytes=0-99' /video.mp4  a range, step by step",
    ],
    options: &[FILES, ANSWERS, ROOT, OWN_PATHS, REQUEST],
    finish: |mut options| {
        let target = options.words.swap_remove(0);
        for row in BOUNDS.1 {
            (row.set)(&mut options, row.default().as_ref())?;
        }
        serve::complete(&mut options.server)?;
        within_header_limit(&options.headers)?;
        match target.is_empty() {
            true => Err("URL is empty; try / for the root".into()),
            false => Ok(Command::Explain(target, options)),
        }
    },
};

const ROOT: Group = group! { "What it serves":
    "--root DIR  The directory that is served (default: .)"
        => |o, v| put(&mut o.server.path, path(v));
};

pub(super) static PRECOMPRESS: Verb = Verb {
    name: "precompress",
    usage: &["precompress [OPTIONS] [PATH]"],
    summary: "Write .br, .zst and .gz siblings",
    about: "Writes compressed siblings of the files beneath PATH, or this directory, which serve \
         then sends to those who accept them. Fresh ones are skipped; only what is smaller is \
         kept.\n\n\
         An idler built without its cargo feature precompress writes .gz alone. It serves all \
         three.",
    examples: &["idler precompress site  after each build"],
    options: &[group! { "What it says":
        "-q, --quiet  No progress. There is none anyway unless standard error is a terminal."
            => |o, v| put(&mut o.voice.quiet, yes_no(v));
    }],
    finish: |mut options| {
        options.server.path = serve::served_path(&options.words)?;
        Ok(Command::Precompress(options))
    },
};

pub(super) static PASSWORD: Verb = Verb {
    name: "password",
    usage: &["password USER"],
    summary: "Make a line for serve --auth FILE",
    about: "Reads a password from standard input and prints USER and its hash.",
    examples: &["idler password alice >> users  one more user"],
    options: &[],
    finish: |options| {
        let user = login(&options.words[0]).map_err(|reason| format!("USER: {reason}"))?;
        Ok(Command::Password(user))
    },
};
