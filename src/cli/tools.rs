//! The tools and their options: crowd, explain, precompress, password.

use super::companions::{SAYS, with_peer};
use super::get::{DOES, REQUEST};
use super::serve::{ANSWERS, BOUNDS, FILES, OPERATION, OWN_PATHS, VERBOSE, WHAT};
use super::table::{Row, Verb, row};
use super::values::network::{target_of_path, url};
use super::values::policy::{login, within_header_limit};
use super::values::{number, one_of, path, put, timeout, wait, yes_no};
use super::{Command, CrowdMode, serve};
use crate::limits;

pub(super) static CROWD: Verb = Verb {
    name: "crowd",
    usage: &["crowd [OPTIONS] HOST PORT"],
    summary: "Hold many idle or slow clients",
    about: &[
        "Opens many connections to any HTTP server, holds them as --mode says, and tells what \
         became of them: how many were refused, how many closed and after how long. Exit code 0: \
         all stayed.",
        "A crowd can bring a server down. So it goes to this machine only (127.0.0.1, ::1), unless \
         --i-own-this-target says that the other one is yours.",
    ],
    examples: &[
        "idler crowd -n 10000 localhost 8080  ten thousand that say nothing",
        "idler crowd --mode half-head --probe http://localhost:8080/ localhost 8080  slow heads, \
         and what an honest client feels meanwhile",
        "idler crowd --mode slow-read --path /big.iso --drip 1s localhost 8080  readers of 16 \
         bytes a second",
    ],
    options: &[("The crowd", CLIENTS), (SAYS, VERDICT)],
    finish: |options| with_peer(options, 0).map(Command::Crowd),
};

const CLIENTS: &[Row] = &[
    // Fewer than the least descriptor limit that is common (1,024).
    row(
        "-n, --clients N  How many connections; for churn, at most at once (default: 1000)",
        |o, v| put(&mut o.clients, number(v, 1..=limits::CROWD_CLIENTS_MAX)),
    ),
    row(
        "--mode silent|keep-alive|half-head|slow-read|churn  What each of them does (default: \
         silent). silent: nothing. keep-alive: one request, then nothing. half-head: a head that \
         never ends. slow-read: asks, and reads 16 bytes now and then. churn: connects and \
         leaves, again and again.",
        |o, v| put(&mut o.mode, one_of(v, CrowdMode::WORDS)),
    ),
    // The customary pace of the attack.
    row(
        "--drip TIME  Time between two bytes of a slow head or reader (default: 10s)",
        |o, v| put(&mut o.drip, timeout(v)),
    ),
    // Shorter than the idle timeouts that are common (60 s): a client that is gone at the end had
    // to make room, or found none.
    row(
        "--duration TIME  How long to hold them, once all are open (default: 30s)",
        |o, v| put(&mut o.duration, wait(v)),
    ),
    row(
        "--rate N  How many to open in a second (default: 1000)",
        |o, v| put(&mut o.rate, number(v, 1..=limits::CROWD_CLIENTS_MAX)),
    ),
    row(
        "--path /PATH  What those ask for who ask. Else they ask for /; churn asks for nothing. \
         For slow-read, name a file of some megabytes: what fits into the kernel's buffers is out \
         of the server's hands at once.",
        |o, v| put(&mut o.target, target_of_path(v).map(Some)),
    ),
    row(
        "--probe URL  Measure an honest client before and meanwhile",
        |o, v| put(&mut o.probe, url(v).map(Some)),
    ),
    row(
        "--i-own-this-target  The target may be another machine, since it is yours. Has to be \
         typed each time: no variable sets it.",
        |o, v| put(&mut o.own_target, yes_no(v)),
    )
    .typed_only(),
];

const VERDICT: &[Row] = &[
    row("--json  Print the verdict as one JSON object", |o, v| {
        put(&mut o.json, yes_no(v))
    }),
    VERBOSE,
    row(
        "-q, --quiet  No progress. Otherwise a terminal has a line that is redrawn, anything else \
         a line every five seconds.",
        |o, v| put(&mut o.voice.quiet, yes_no(v)),
    ),
    row(
        "--color auto|always|never  Colours on a terminal (default: auto). auto: unless NO_COLOR \
         is set.",
        serve::COLOR.set,
    ),
];

pub(super) static EXPLAIN: Verb = Verb {
    name: "explain",
    usage: &["explain [OPTIONS] URL"],
    summary: "Say why a request gets its answer",
    about: &[
        "Prints how idler would answer a request for URL, or for a path: decoding, file, encoding, \
         conditions, range, headers. Nothing is sent.",
    ],
    examples: &[
        "idler explain --root site -H 'Range: bytes=0-99' /video.mp4  a range, step by step",
    ],
    options: &[
        (WHAT, FILES),
        (WHAT, ANSWERS),
        (WHAT, ROOT),
        (OPERATION, OWN_PATHS),
        (DOES, REQUEST),
    ],
    finish: |mut options| {
        let target = options.words.swap_remove(0);
        for row in BOUNDS {
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

const ROOT: &[Row] = &[row(
    "--root DIR  The directory that is served (default: .)",
    |o, v| put(&mut o.server.path, path(v)),
)];

pub(super) static PRECOMPRESS: Verb = Verb {
    name: "precompress",
    usage: &["precompress [OPTIONS] [PATH]"],
    summary: "Write .br, .zst and .gz siblings",
    about: &[
        "Writes compressed siblings of the files beneath PATH, or this directory, which serve then \
         sends to those who accept them. Fresh ones are skipped; only what is smaller is kept.",
        "An idler built without its cargo feature precompress writes .gz alone. It serves all \
         three.",
    ],
    examples: &["idler precompress site  after each build"],
    options: &[(
        SAYS,
        &[row(
            "-q, --quiet  No progress. There is none anyway unless standard error is a terminal.",
            |o, v| put(&mut o.voice.quiet, yes_no(v)),
        )],
    )],
    finish: |mut options| {
        options.server.path = serve::served_path(&options.words)?;
        Ok(Command::Precompress(options))
    },
};

pub(super) static PASSWORD: Verb = Verb {
    name: "password",
    usage: &["password USER"],
    summary: "Make a line for serve --auth FILE",
    about: &["Reads a password from standard input and prints USER and its hash."],
    examples: &["idler password alice >> users  one more user"],
    options: &[],
    finish: |options| {
        let user = login(&options.words[0]).map_err(|reason| format!("USER: {reason}"))?;
        Ok(Command::Password(user))
    },
};
