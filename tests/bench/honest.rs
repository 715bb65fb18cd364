//! Honest clients: what they ask for, whether they got it to the byte, and how long they waited.
//!
//! What lives here: a client that asks one thing after another, for a given time, beside whatever else goes on.
//! What it may not know: who else is there.
//! Invariant: a reply counts only if its status and each byte of its content are what they must be; a reply that does
//! not come is a failure like a wrong one.
//! Read next: `hostile.rs`, the others.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::record::Record;
use crate::reply::{Ear, Reply, Source, Trouble};
use crate::site::{COMPRESSED, LARGE, LONG_PAGE, PAGE, TINY};
use crate::{Outcome, pause};

/// How long an honest client waits for anything. It is as patient as slowhttptest's own probe.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// A connection is kept for up to so many requests, where it is kept.
const REQUESTS_KEPT: u64 = 50;
/// Different reasons of failures that are told, for each client.
const REASONS_TOLD: usize = 5;
/// What stands for a space in a word.
const BLANK: &str = "\u{a0}";

/// The role `honest`: `port`, `seconds`, `pace` (milliseconds between two requests), `seed`, perhaps `patience` (seconds
/// to wait for anything), and `root` for a mixture of
/// all that honest clients ask for; without it, one page is asked for, each time on a connection of its own.
///
/// Prints how many requests were answered well, how many were answered *wrong* (another status, other bytes), and how
/// many were *not* answered, with the reasons; milliseconds of the middle latency, of that which one in a hundred
/// exceeds, and of the longest stretch without a good answer.
pub(crate) fn run(asked: &Record) -> Outcome<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, asked.number("port")?));
    let span = Duration::from_secs_f64(asked.number("seconds")?);
    let pace = Duration::from_millis(asked.number("pace")?);
    let mut dice = Dice(asked.number::<u64>("seed")?.wrapping_mul(2) | 1);
    let patience = Duration::from_secs(asked.number_or("patience", PATIENCE.as_secs())?);
    let root = asked.find("root").map(Path::new);
    let mut questions = match root {
        Some(root) => mixture(root)?,
        None => vec![Question::get(PAGE.path, "", 200)],
    };
    let mut kept: Option<(Ear<Line>, u64)> = None;
    let mut latencies = Vec::new();
    let (mut wrong, mut unanswered) = (0_u64, 0_u64);
    let mut reasons = Reasons::default();
    let began = Instant::now();
    let (mut last_good, mut gap) = (began, Duration::ZERO);
    while began.elapsed() < span {
        let start = Instant::now();
        let (mut ear, left) = match kept.take() {
            Some(kept) => kept,
            // None left: this is its last request, and it says so.
            None if root.is_none() => (connect(address, patience), 0),
            None => (connect(address, patience), dice.below(REQUESTS_KEPT)),
        };
        let which = usize::try_from(dice.below(questions.len() as u64))?;
        match questions[which].ask(&mut ear, left == 0) {
            Ok(()) => {
                let now = Instant::now();
                latencies.push((now - start).as_secs_f64() * 1e3);
                gap = gap.max(now - last_good);
                last_good = now;
                kept = (left > 0).then(|| (ear, left - 1));
            }
            Err(failure) => {
                match &failure {
                    Failure::Wrong(_) => wrong += 1,
                    Failure::Unanswered(_) => unanswered += 1,
                }
                reasons.note(&questions[which].line, &failure);
            }
        }
        pause(pace);
    }
    gap = gap.max(last_good.elapsed());
    latencies.sort_by(f64::total_cmp);
    let at = |hundredths: usize| {
        let found = latencies.get(latencies.len() * hundredths / 100);
        found.copied().unwrap_or(f64::NAN)
    };
    println!(
        "answers={} wrong={wrong} unanswered={unanswered} p50={} p99={} gap={} why={}",
        latencies.len(),
        at(50),
        at(99),
        gap.as_secs_f64() * 1e3,
        reasons.word()
    );
    Ok(())
}

/// Why a request failed.
enum Failure {
    /// It was answered, but not like this.
    Wrong(String),
    /// No whole answer came in time.
    Unanswered(String),
}

impl Failure {
    fn unanswered(why: &str) -> Self {
        Self::Unanswered(why.to_owned())
    }
}

/// The reasons of failures, each with how often it occurred. Bounded: of many different ones the first are told.
#[derive(Default)]
struct Reasons(Vec<(String, u64)>);

impl Reasons {
    fn note(&mut self, line: &str, failure: &Failure) {
        let reason = match failure {
            Failure::Wrong(reason) => format!("{line}: {reason}"),
            Failure::Unanswered(reason) => reason.clone(),
        };
        if let Some((_, times)) = self.0.iter_mut().find(|(known, _)| *known == reason) {
            *times += 1;
        } else if self.0.len() < REASONS_TOLD {
            self.0.push((reason, 1));
        }
    }

    /// As one word of a record.
    fn word(&self) -> String {
        let told: Vec<String> = self
            .0
            .iter()
            .map(|(why, n)| format!("{n} × {why}"))
            .collect();
        told.join("; ").replace(char::is_whitespace, BLANK)
    }
}

/// The reasons as they were, from the word of a record.
pub(crate) fn reasons(word: &str) -> String {
    word.replace(BLANK, " ")
}

/// What is asked, and what the answer must be.
struct Question {
    line: String,
    fields: String,
    status: u16,
    body: Body,
    coding: Option<&'static str>,
}

/// The content that the answer must have.
enum Body {
    /// Just this.
    Bytes(Vec<u8>),
    /// What it was the first time.
    AsBefore(Option<Vec<u8>>),
}

impl Question {
    fn get(path: &str, fields: &str, status: u16) -> Self {
        Self {
            line: format!("GET {path} HTTP/1.1"),
            fields: fields.to_owned(),
            status,
            body: Body::AsBefore(None),
            coding: None,
        }
    }

    fn with(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Bytes(body.into());
        self
    }

    fn ask(&mut self, ear: &mut Ear<Line>, last: bool) -> Result<(), Failure> {
        let reply = self.reply(ear, last)?;
        if reply.status != self.status {
            return Err(Failure::Wrong(format!("status {}", reply.status)));
        }
        let coding = reply.header("content-encoding");
        if coding != self.coding {
            return Err(Failure::Wrong(format!("in the coding {coding:?}")));
        }
        let expected = match &mut self.body {
            Body::Bytes(bytes) => bytes,
            Body::AsBefore(seen) => seen.get_or_insert_with(|| reply.body.clone()),
        };
        if reply.body != *expected {
            let mut pairs = reply.body.iter().zip(&*expected);
            let same = pairs.position(|(a, b)| a != b);
            let same = same.unwrap_or(reply.body.len().min(expected.len()));
            return Err(Failure::Wrong(format!(
                "other bytes: {} came, {} were expected, the first {same} are the same",
                reply.body.len(),
                expected.len()
            )));
        }
        Ok(())
    }

    fn reply(&self, ear: &mut Ear<Line>, last: bool) -> Result<Reply, Failure> {
        let close = if last { "Connection: close\r\n" } else { "" };
        let request = format!(
            "{}\r\nHost: 127.0.0.1\r\n{}{close}\r\n",
            self.line, self.fields
        );
        ear.source_mut().say(request.as_bytes())?;
        let reply = ear.reply(self.line.starts_with("HEAD "));
        let begun = ear.source().begun;
        reply.map_err(|trouble| match trouble {
            Trouble::Malformed(_) => Failure::Wrong(trouble.to_string()),
            Trouble::Silence(_) if begun => Failure::unanswered("nothing more came of a reply"),
            Trouble::Silence(_) => Failure::unanswered("nothing came"),
            Trouble::CutOff(_) => Failure::unanswered("closed in the middle of a reply"),
            Trouble::Reset if begun => Failure::unanswered("reset in the middle of a reply"),
            Trouble::Closed => Failure::unanswered("closed"),
            Trouble::Reset => Failure::unanswered("reset"),
        })
    }
}

/// Everything that honest clients ask of a site: files small and large, ranges, conditions, listings, compressed
/// siblings, and what is not there.
fn mixture(root: &Path) -> Outcome<Vec<Question>> {
    let read = |path: &str| fs::read(root.join(path.trim_start_matches('/')));
    let mut questions = Vec::new();
    for asset in [TINY, PAGE, LONG_PAGE, LARGE] {
        questions.push(Question::get(asset.path, "", 200).with(read(asset.path)?));
    }
    questions.push(Question {
        line: format!("HEAD {} HTTP/1.1", PAGE.path),
        ..Question::get(PAGE.path, "", 200).with([])
    });
    let large = read(LARGE.path)?;
    for (range, from, to) in [
        ("0-0", 0, 1),
        ("1000-300000", 1000, 300_001),
        ("-5000", large.len() - 5000, large.len()),
    ] {
        let fields = format!("Range: bytes={range}\r\n");
        questions.push(Question::get(LARGE.path, &fields, 206).with(&large[from..to]));
    }
    let beyond = "Range: bytes=99999999-\r\n";
    questions.push(Question::get(PAGE.path, beyond, 416));
    let since = httpdate::fmt_http_date(fs::metadata(root.join(&PAGE.path[1..]))?.modified()?);
    let unchanged = format!("If-Modified-Since: {since}\r\n");
    questions.push(Question::get(PAGE.path, &unchanged, 304).with([]));
    let other = "If-None-Match: \"another\"\r\n";
    questions.push(Question::get(PAGE.path, other, 200).with(read(PAGE.path)?));
    questions.push(Question::get("/many/00/", "", 200));
    questions.push(Question::get("/many/00/?json&sort=size", "", 200));
    questions.push(Question::get(COMPRESSED.path, "", 200).with(read(COMPRESSED.path)?));
    let accepts = "Accept-Encoding: gzip\r\n";
    let sibling = read(&format!("{}.gz", COMPRESSED.path))?;
    questions.push(Question {
        coding: Some("gzip"),
        ..Question::get(COMPRESSED.path, accepts, 200).with(sibling)
    });
    questions.push(Question::get("/not/there", "", 404));
    Ok(questions)
}

/// A connection, or why there is none.
struct Line {
    stream: Result<TcpStream, String>,
    /// Whether anything came since the last question.
    begun: bool,
}

fn connect(address: SocketAddr, patience: Duration) -> Ear<Line> {
    let stream = TcpStream::connect_timeout(&address, patience).and_then(|stream| {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(stream)
    });
    Ear::new(Line {
        stream: stream.map_err(|error| format!("cannot connect: {error}")),
        begun: false,
    })
}

impl Line {
    fn say(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.begun = false;
        let said = match &mut self.stream {
            Ok(stream) => stream
                .write_all(bytes)
                .map_err(|error| format!("cannot ask: {error}")),
            Err(error) => Err(error.clone()),
        };
        said.map_err(Failure::Unanswered)
    }
}

impl Source for Line {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
        let Ok(stream) = &mut self.stream else {
            return Err(Trouble::Closed);
        };
        let read = stream.read(into);
        self.begun |= matches!(read, Ok(1..));
        read.map_err(|error| {
            match matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                true => Trouble::Silence(String::new()),
                false => Trouble::Reset,
            }
        })
    }
}

/// Numbers that repeat with their seed (xorshift).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
