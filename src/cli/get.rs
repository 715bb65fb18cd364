//! `get` and its options. Letters are those of curl where it has the option, since hands know them.

use super::Command;
use super::serve::COLOR;
use super::table::{Repeat, Row, Verb, row};
use super::values::network::{file_name_of, url, url_of_words};
use super::values::policy::{delay, request_header_line, within_header_limit};
use super::values::{number, path, push, put, timeout, yes_no};
use crate::limits;

pub(super) static GET: Verb = Verb {
    name: "get",
    usage: &["get [OPTIONS] URL", "get [OPTIONS] HOST PORT FILE"],
    summary: "Fetch a file over HTTP, and see how",
    about: &[
        "Fetches URL and writes its body to standard output. HOST PORT FILE is the form of the \
         textbooks; FILE gets its leading slash. http:// may be left out.",
        "The exit code is 0 for 2xx, 3 for 3xx, 4 for 4xx, 5 for 5xx, and 1 for any failure, a \
         body cut short included.",
    ],
    examples: &[
        "idler get localhost 8080 index.html  the textbook's form",
        "idler get -v -o /dev/null http://localhost:8080/  both heads, byte by byte",
        "idler get -c -O http://localhost:8080/big.iso  resume a download",
        "idler get --chunk 1 --delay 200 http://localhost:8080/  a slow client, five bytes a \
         second",
    ],
    options: &[
        (DOES, OUTPUT),
        (DOES, REQUEST),
        (DOES, WAYS),
        ("What it shows and teaches", LESSONS),
        ("What it says", SAYS),
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
        options.output = match (options.output.take(), options.remote_name) {
            (Some(_), true) => return Err(TWO_FILES.into()),
            (None, true) => Some(file_name_of(&url).ok_or(NO_FILE)?.into()),
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
            return Err(format!(
                "--header: {name} announces a body, and get sends none"
            ));
        }
        if options.chunk.is_none() && !options.delay.is_zero() {
            options.chunk = Some(1);
        }
        Ok(Command::Get(url, options))
    },
};

const TWO_FILES: &str = "--output and --remote-name name two files; choose one";
const NO_FILE: &str = "--remote-name: the URL names no file; try -o FILE";

pub(super) const DOES: &str = "What it does";

const OUTPUT: &[Row] = &[
    row("-o, --output FILE  Write the body to FILE", |o, v| {
        put(&mut o.output, path(v).map(Some))
    }),
    row(
        "-O, --remote-name  Write the body to a file named as in the URL",
        |o, v| put(&mut o.remote_name, yes_no(v)),
    ),
    row(
        "-c, --continue  Go on where a fetch with -c broke off (with -o or -O). What has come \
         stands in FILE.part, and becomes FILE once it is whole. Of another version that the \
         server has by now, the whole is fetched.",
        |o, v| put(&mut o.resume, yes_no(v)),
    ),
];

/// What `explain` takes as well.
pub(super) const REQUEST: &[Row] = &[
    row("-I, --head  Ask with HEAD: for the head alone", |o, v| {
        put(&mut o.head_only, yes_no(v))
    }),
    // What a server is told in IDLER_HEADER must not leave with a client.
    row(
        "-H, --header 'NAME: VALUE'  Send this header line with the request. It replaces what \
         would be sent under that name. Not taken from the environment, where IDLER_HEADER is for \
         replies.",
        |o, v| push(&mut o.headers, request_header_line(v)),
    )
    .repeat(Repeat::EachLine)
    .typed_only(),
];

const WAYS: &[Row] = &[
    row(
        "-L, --location  Follow redirects, a bounded number of them",
        |o, v| put(&mut o.follow, yes_no(v)),
    ),
    TIMEOUT,
];

pub(super) const TIMEOUT: Row = row(
    "--timeout TIME  Give up when nothing happens for so long (default: 30s)",
    |o, v| put(&mut o.timeout, timeout(v)),
);

const LESSONS: &[Row] = &[
    row(
        "-i, --include  Write the reply's head before its body",
        |o, v| put(&mut o.include_head, yes_no(v)),
    ),
    row(
        "-t, --timing  Say what took how long, and how many steps. Time to resolve, to connect, \
         to the first byte, and in all; reads, would-blocks and readiness events.",
        |o, v| put(&mut o.timing, yes_no(v)),
    ),
    row(
        "--keep N  Ask N times on one connection, one after the other (default: 1)",
        |o, v| put(&mut o.keep, number(v, 1..=limits::REPEATED_REQUESTS_MAX)),
    ),
    row(
        "--pipeline N  Ask N times on one connection, without waiting (default: 1)",
        |o, v| {
            put(
                &mut o.pipeline,
                number(v, 1..=limits::REPEATED_REQUESTS_MAX),
            )
        },
    ),
    row("--chunk N  Send the request N bytes at a time", |o, v| {
        put(
            &mut o.chunk,
            number(v, 1..=limits::HEAD_BYTES_MAX).map(Some),
        )
    }),
    row(
        "--delay MS  Wait so many milliseconds between the pieces (default: 0). Durations such as \
         1s are understood as well. Without --chunk, pieces are single bytes.",
        |o, v| put(&mut o.delay, delay(v)),
    ),
];

const SAYS: &[Row] = &[
    NO_PROGRESS_BAR,
    row(
        "-v, --verbose  Show both heads; twice: every step. Heads are shown exactly as sent and \
         received, and what was wrong with a reply is said.",
        super::serve::VERBOSE.set,
    )
    .repeat(Repeat::Count),
    COLOR,
];

pub(super) const NO_PROGRESS_BAR: Row = row(
    "-q, --quiet  No progress bar. There is none anyway unless standard error is a terminal.",
    |o, v| put(&mut o.voice.quiet, yes_no(v)),
);
