//! The whole connection machine, driven by a scripted socket.
//!
//! What lives here: a socket whose every call is answered by a script, and what must be true of a connection that meets it. The
//! input is a line of script and, behind its line end, all that the client sends. It may not know how the machine works inside.
//! Invariant: the socket promises what the kernel promises, and no more: an edge whenever bytes come or room is made after
//! would-block, and a read that comes short only where the queue is empty. Read next: `fixtures/hostile/README.md`.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use idler::event_loop::page_cache::Before;
use idler::event_loop::{Now, PeerAddress, Side, Stage, Transport};
use idler::http::body::BodyLength;
use idler::http::request::{Method, NO_FIELDS, Request};
use idler::http::state::{HeadProgress, Reading};
use idler::limits::{
    CALL_COST_BYTES, DRIVE_BYTES_MAX, INTERRUPTED_RETRIES_MAX, LISTING_PIECE_BYTES, SCRATCH_BYTES,
};
use idler::server::connection::stand::{Held, Place, Stand, large_file};

use super::chunked;
use super::reply::{Ear, Reply, Source, Trouble, show};

/// Small, so that a fuzzer meets it.
const HEAD_BYTES_MAX: usize = 1024;

/// What one connection may hold beyond its slot: an unfinished head and one reading, with room to grow; and a piece of a
/// listing, or the page of an error.
const MEMORY_MAX: usize = (HEAD_BYTES_MAX + SCRATCH_BYTES) * 5 / 4 + LISTING_PIECE_BYTES * 5 / 4;

/// A head that is waited for holds no more than this.
const WAITING_MEMORY_MAX: usize = 2 * HEAD_BYTES_MAX + 1024;

/// A drive makes so many calls at most: its budget, the interrupted ones of the last, and shutdown.
const CALLS_MAX: usize = DRIVE_BYTES_MAX / CALL_COST_BYTES + INTERRUPTED_RETRIES_MAX + 1;

/// Letters of a script that are played.
const SCRIPT_MAX: usize = 256;

/// See the module.
pub fn check(data: &[u8]) {
    thread_local! {
        static BENCH: RefCell<Bench> = RefCell::new(Bench::new());
    }
    let cut = data.iter().position(|&b| b == b'\n').unwrap_or(data.len());
    let (script, stream) = (&data[..cut], data.get(cut + 1..).unwrap_or_default());
    BENCH.with_borrow_mut(|bench| bench.check(&script[..script.len().min(SCRIPT_MAX)], stream));
}

/// What happens between two drives.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// So many bytes of what the client sends arrive.
    Arrive(usize),
    /// The client hangs up early: nothing more arrives.
    End,
    /// In the end the client does not hang up, but is silent.
    Silent,
    /// The deadline passes.
    Deadline,
    /// A second passes, or what is left until the deadline.
    Second,
    Drain,
    Stop,
    /// The socket is said to be readable.
    Readable,
    /// There is room again for what is to be sent.
    Writable,
    /// The connection is reset.
    Reset,
    /// The next three looks find that a disk has not answered.
    Disk,
    /// The client acknowledges all that was sent so far.
    Acknowledge,
}

impl Event {
    fn of(letter: u8) -> Self {
        match letter {
            b'0'..=b'9' => Self::Arrive(1 << (letter - b'0')),
            b'a' => Self::Arrive(usize::MAX),
            b'e' => Self::End,
            b'n' => Self::Silent,
            b't' => Self::Deadline,
            b'T' => Self::Second,
            b'd' => Self::Drain,
            b's' => Self::Stop,
            b'r' => Self::Readable,
            b'w' => Self::Writable,
            b'x' => Self::Reset,
            b'm' => Self::Disk,
            b'k' => Self::Acknowledge,
            // The rest of the bytes are for the fuzzer: what cuts and blocks, since all else ends a run early.
            other => [
                Self::Readable,
                Self::Writable,
                Self::Arrive(3),
                Self::Arrive(17),
            ][usize::from(other % 4)],
        }
    }
}

/// How a call ends.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// So many bytes move at most. For a read: so many more arrive first.
    Few(usize),
    /// As much as can be.
    Smooth,
    Block,
    Interrupt,
    /// Nothing is sent, of a file: it is shorter now.
    Nothing,
    /// This error of the kernel's.
    Fail(i32),
}

/// A socket whose every call is answered by the script; after its end everything goes smoothly.
#[derive(Debug)]
struct Wire<'a> {
    script: std::slice::Iter<'a, u8>,
    /// All that the client sends; how much of it has arrived, and how much of that was read.
    stream: &'a [u8],
    arrived: usize,
    read: usize,
    /// Whether the client has hung up.
    ended: bool,
    silent: bool,
    /// Edges that the kernel owes, or has just given: readable, writable, ended.
    edge: [bool; 3],
    /// A send has met would-block, and there is no room since.
    full: bool,
    /// The connection was reset, so that the next call fails; a call has failed.
    reset: bool,
    broken: bool,
    hung_up: bool,
    going: Vec<u8>,
    /// How many looks at the disk are still in vain, and whether the last one was.
    disk: Cell<u8>,
    waits: Cell<bool>,
    /// How much of what was sent the client has acknowledged, if the kernel says so.
    acknowledged: Option<usize>,
    /// Calls, bytes moved, and whether more arrived, since the present drive began.
    calls: usize,
    moved: usize,
    fresh: bool,
    /// What the peer or the kernel did may have cost replies; a deadline has passed; the server was told to stop.
    hurt: bool,
    late: bool,
    stopped: bool,
}

impl<'a> Wire<'a> {
    fn new(script: &'a [u8], stream: &'a [u8]) -> Self {
        Self {
            script: script.iter(),
            stream,
            arrived: 0,
            read: 0,
            ended: false,
            silent: false,
            // Registering a socket makes the kernel report what is ready.
            edge: [false, true, false],
            full: false,
            reset: false,
            broken: false,
            hung_up: false,
            going: Vec::new(),
            disk: Cell::new(0),
            waits: Cell::new(false),
            acknowledged: None,
            calls: 0,
            moved: 0,
            fresh: false,
            hurt: false,
            late: false,
            stopped: false,
        }
    }

    fn arrive(&mut self, bytes: usize) {
        let bytes = bytes.min(self.stream.len() - self.arrived);
        if bytes > 0 {
            self.arrived += bytes;
            self.fresh = true;
            self.edge[0] = true;
        }
    }

    fn end(&mut self) {
        if !self.ended {
            self.hurt |= self.arrived < self.stream.len();
            self.stream = &self.stream[..self.arrived];
            self.ended = true;
            self.edge[2] = true;
        }
    }

    fn make_room(&mut self) {
        if self.full {
            self.full = false;
            self.edge[1] = true;
        }
    }

    fn has_more(&self) -> bool {
        self.read < self.arrived || self.ended
    }

    /// Counts a call, and says how it ends.
    fn outcome(&mut self) -> Outcome {
        assert!(!self.broken, "a call after one that failed");
        self.calls += 1;
        if self.reset {
            return Outcome::Fail(104);
        }
        let Some(&letter) = self.script.next() else {
            return Outcome::Smooth;
        };
        match letter {
            b'0'..=b'9' => Outcome::Few(1 << (letter - b'0')),
            b'a' => Outcome::Smooth,
            b'b' => Outcome::Block,
            b'i' => Outcome::Interrupt,
            b'z' => Outcome::Nothing,
            b'x' => Outcome::Fail(104),
            b'E' => match i32::from(*self.script.next().unwrap_or(&5)) % 134 {
                0 => Outcome::Smooth,
                4 => Outcome::Interrupt,
                11 => Outcome::Block,
                errno => Outcome::Fail(errno),
            },
            other => [Outcome::Smooth, Outcome::Block, Outcome::Few(3)][usize::from(other % 3)],
        }
    }

    fn fail<T>(&mut self, errno: i32) -> io::Result<T> {
        self.broken = true;
        self.hurt = true;
        Err(io::Error::from_raw_os_error(errno))
    }

    /// How much of `bytes` may be sent.
    fn room(&mut self, bytes: usize) -> io::Result<usize> {
        assert!(!self.hung_up, "sent after the end of what is sent");
        let outcome = self.outcome();
        match outcome {
            Outcome::Few(few) => Ok(few.min(bytes)),
            Outcome::Smooth | Outcome::Nothing => Ok(bytes),
            Outcome::Block => {
                self.full = true;
                Err(io::ErrorKind::WouldBlock.into())
            }
            Outcome::Interrupt => Err(io::ErrorKind::Interrupted.into()),
            Outcome::Fail(errno) => self.fail(errno),
        }
    }
}

impl Transport for Wire<'_> {
    fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.outcome() {
            Outcome::Few(few) => self.arrive(few),
            Outcome::Smooth | Outcome::Nothing => {}
            Outcome::Block => {
                // As if all that is there had come just after the call.
                self.edge[0] |= self.has_more();
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Outcome::Interrupt => return Err(io::ErrorKind::Interrupted.into()),
            Outcome::Fail(errno) => return self.fail(errno),
        }
        let rest = &self.stream[self.read..self.arrived];
        if rest.is_empty() && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = rest.len().min(into.len());
        into[..n].copy_from_slice(&rest[..n]);
        self.read += n;
        self.moved += n;
        Ok(n)
    }

    fn send(&mut self, bytes: &[u8], _more: bool) -> io::Result<usize> {
        assert!(!bytes.is_empty(), "nothing is sent");
        let n = self.room(bytes.len())?;
        self.going.extend_from_slice(&bytes[..n]);
        self.moved += n;
        Ok(n)
    }

    fn send_file(&mut self, file: &File, at: u64, count: usize) -> io::Result<usize> {
        assert!(count > 0, "nothing of a file is sent");
        let shrinks = self.script.as_slice().first() == Some(&b'z');
        let n = self.room(count)?;
        if shrinks {
            self.hurt = true;
            return Ok(0);
        }
        let mut piece = vec![0; n];
        let n = file.read_at(&mut piece, at)?;
        self.going.extend_from_slice(&piece[..n]);
        self.moved += n;
        Ok(n)
    }

    fn shut_down_write(&mut self) -> io::Result<()> {
        assert!(!self.hung_up, "shut down twice");
        if let Outcome::Fail(errno) = self.outcome() {
            return self.fail(errno);
        }
        self.hung_up = true;
        Ok(())
    }

    fn has_in_memory(&self, _: &File, _: u64, _: usize, _: usize, before: Before) -> bool {
        let left = self.disk.get();
        self.disk.set(left.saturating_sub(1));
        let waited = self.waits.replace(left > 0);
        assert!(before == Before::Cold || !waited, "it has just waited");
        left == 0
    }

    fn peer(&self) -> PeerAddress {
        PeerAddress::Unknown
    }

    fn unacknowledged(&self) -> Option<u32> {
        self.acknowledged
            .map(|bytes| (self.going.len() - bytes) as u32)
    }
}

/// What a run has come to.
#[derive(Debug)]
struct Run {
    sent: Vec<u8>,
    hurt: bool,
    late: bool,
    stopped: bool,
    /// Whether the connection was closed before its client hung up.
    first: bool,
}

struct Bench {
    stand: Stand,
    start: Now,
    large: Vec<u8>,
    /// Where requests end of what the client sends, bodies included.
    ends: Vec<usize>,
}

impl Bench {
    fn new() -> Self {
        let stand = Stand::new("fuzz", &["--max-head", "1024"]);
        Self {
            start: stand.now,
            stand,
            large: large_file(),
            ends: Vec::new(),
        }
    }

    fn check(&mut self, script: &[u8], stream: &[u8]) {
        self.ends.clear();
        let whole = self.play(b"", stream);
        assert!(!whole.hurt && !whole.late && !whole.stopped);
        let (replies, polite) = self.hold_framing(stream, &whole.sent);
        let cut = self.play(script, stream);
        if cut.hurt || cut.late || cut.stopped {
            hold_beginning(&whole, &replies, &cut);
        } else {
            assert!(
                whole.sent == cut.sent,
                "cut differently, the replies differ: {}\nwhole: {}",
                show(&cut.sent),
                show(&whole.sent)
            );
            assert!(
                !cut.first || polite,
                "closed on a client that may send on: a reset would overtake the reply"
            );
        }
    }

    /// Plays a script to its end, then lets all else arrive; the connection must then end, and nothing may have been left lying.
    fn play(&mut self, script: &[u8], stream: &[u8]) -> Run {
        self.stand.now.tick = self.start.tick;
        // So that boundaries are the same.
        self.stand.server.http.boundaries.count = 0;
        let mut held = self.stand.accept(Wire::new(script, stream));
        let mut silences = 0;
        for turns in 0.. {
            // A file that goes out by single bytes, with each of the letters between.
            assert!(turns < 2_000, "no end: {:?}", held.state());
            if held.place == Place::Left {
                break;
            }
            let must = self.between(&mut held);
            let wire = held.connection.transport();
            let over = wire.script.as_slice().is_empty();
            if over {
                wire.arrive(usize::MAX);
                wire.make_room();
                if !wire.silent {
                    wire.end();
                }
            }
            let [readable, writable, ended] = std::mem::take(&mut wire.edge);
            if readable {
                held.ready.set(Side::Read);
            }
            if writable {
                held.ready.set(Side::Write);
            }
            if ended {
                held.ready.set_ended();
            }
            if held.place == Place::Asleep && !must {
                // A millisecond, which is no event.
                self.stand.pass(&mut held);
            }
            let ready = match held.place {
                Place::Parked(side) => held.ready.is(side) || held.expired,
                Place::Asleep | Place::Queued | Place::Left => true,
            };
            if ready || must {
                self.drive(&mut held);
            } else if over {
                // Nobody owes it anything: only time can end it.
                let wire = held.connection.transport();
                assert!(wire.silent, "it waits, and nothing will come");
                wire.late = true;
                silences += 1;
                assert!(silences <= 4, "silence does not end it");
                self.stand.pass(&mut held);
                assert!(held.expired, "parked for ever");
            }
        }
        let wire = held.connection.transport();
        let unread = wire.read < wire.arrived && !wire.fresh;
        let trouble = wire.hurt || wire.late || wire.stopped || wire.reset;
        assert!(
            !unread || wire.going.is_empty() || trouble,
            "closed with bytes unread: a reset would overtake the reply"
        );
        let elapsed = self.stand.now.tick.since(self.start.tick);
        let run = Run {
            sent: std::mem::take(&mut wire.going),
            hurt: wire.hurt || wire.reset,
            // Time alone costs a reply too, if it is sent below the least rate.
            late: wire.late || elapsed >= self.stand.server.http.timeouts.stall / 2,
            stopped: wire.stopped,
            first: !wire.ended,
        };
        drop(held);
        assert_eq!(self.stand.server.http.listings.memory(), 0, "given back");
        run
    }

    /// The next event of the script. True if everybody is driven for it.
    fn between(&mut self, held: &mut Held<Wire<'_>>) -> bool {
        let wire = held.connection.transport();
        let Some(&letter) = wire.script.next() else {
            return false;
        };
        match Event::of(letter) {
            Event::Arrive(bytes) => wire.arrive(bytes),
            Event::End => wire.end(),
            Event::Silent => wire.silent = true,
            // Who sleeps has none.
            Event::Deadline if held.place == Place::Asleep => {}
            Event::Deadline => {
                wire.late = true;
                self.stand.pass(held);
            }
            Event::Second => {
                let second = self.stand.now.tick.after(Duration::from_millis(999));
                match held.due {
                    _ if held.place == Place::Asleep => {}
                    Some(due) if due.is_due(second) => {
                        wire.late = true;
                        self.stand.pass(held);
                    }
                    Some(_) | None => self.stand.now.tick = second,
                }
            }
            Event::Drain | Event::Stop => {
                wire.stopped = true;
                let stage = if matches!(Event::of(letter), Event::Stop) {
                    Stage::Stopping
                } else {
                    Stage::Draining
                };
                held.stage = held.stage.max(stage);
                return true;
            }
            Event::Readable => held.ready.set(Side::Read),
            Event::Writable => {
                wire.make_room();
                held.ready.set(Side::Write);
            }
            Event::Reset => {
                wire.reset = true;
                wire.edge = [true; 3];
            }
            Event::Disk => wire.disk.set(3),
            Event::Acknowledge => wire.acknowledged = Some(wire.going.len()),
        }
        false
    }

    /// One drive, and what must be true after each.
    fn drive(&mut self, held: &mut Held<Wire<'_>>) {
        let (before, was_idle) = (held.state(), held.connection.is_idle());
        let (due, expired) = (held.due, held.expired);
        let wire = held.connection.transport();
        (wire.calls, wire.moved, wire.fresh) = (0, 0, false);
        let sent = wire.going.len();
        self.stand.drive(held, &before);

        let (state, memory, is_idle) = (held.state(), held.memory(), held.connection.is_idle());
        let (place, now_due) = (held.place, held.due);
        let wire = held.connection.transport();
        assert!(wire.calls <= CALLS_MAX, "{} calls in a drive", wire.calls);
        assert!(wire.moved <= 2 * DRIVE_BYTES_MAX, "{} bytes", wire.moved);
        assert!(memory <= MEMORY_MAX, "{memory} bytes are kept in {state:?}");
        assert!(!wire.broken || place == Place::Left, "it goes on, broken");
        match place {
            Place::Parked(Side::Read) => {
                assert!(
                    !wire.has_more() || wire.edge[0] || wire.edge[2],
                    "parked, with bytes unread and no edge to come"
                );
            }
            Place::Parked(Side::Write | Side::Either) => {
                assert!(wire.full, "parked, and there is room");
            }
            Place::Asleep => assert!(wire.waits.get(), "its file is in memory"),
            Place::Queued | Place::Left => {}
        }
        let between = self.ends.contains(&wire.read) && place == Place::Parked(Side::Read);
        assert!(
            !between || is_idle || state.0 != "ReadingHead",
            "nothing of a request has come, and it is not idle"
        );
        if is_idle {
            assert_eq!(memory, 0, "the idle hold nothing");
        } else if matches!(place, Place::Parked(Side::Read)) {
            assert!(memory <= WAITING_MEMORY_MAX, "{memory} bytes wait");
        }
        // What is waited for with a patience that is never extended: the same head, the same body, the same farewell.
        let same = state == before && wire.going.len() == sent && !is_idle && !was_idle;
        let strict = matches!(state.0, "ReadingHead" | "Lingering");
        if let (true, Some(due), Some(now_due)) = (same && strict && !expired, due, now_due) {
            assert!(
                now_due.is_due(due),
                "its patience was extended in {state:?}"
            );
        }
    }

    /// What was sent is one well-formed reply for each request that was understood, one for the first that was not, and nothing
    /// more. Where the next request begins is counted here, not asked. Gives the replies back with the places where they end,
    /// and whether the last of them answers a client that asked to close.
    fn hold_framing(&mut self, stream: &[u8], sent: &[u8]) -> (Vec<(Reply, usize)>, bool) {
        let mut ear = Ear::new(Sent(sent));
        let mut replies = Vec::new();
        let (mut at, mut polite) = (0, false);
        loop {
            let rest = &stream[at..];
            let (head_only, next) = match Reading::default().feed(rest, HEAD_BYTES_MAX) {
                HeadProgress::Partial(_) => break,
                HeadProgress::BadBody(_) => panic!("nothing came before that"),
                HeadProgress::Refused(_) => {
                    polite = false;
                    (false, None)
                }
                HeadProgress::Whole(head) => {
                    let mut fields = NO_FIELDS;
                    let len = head.bytes().len();
                    match Request::parse(head.bytes(), head.bare, &mut fields) {
                        Ok(request) => {
                            polite = !request.keep_alive;
                            let body = match request.body {
                                BodyLength::None => Some(0),
                                BodyLength::Bytes(n) => usize::try_from(n).ok(),
                                BodyLength::Chunked => chunked::end(&rest[len..]),
                                BodyLength::UntilClose => None,
                            };
                            let next = body.map_or(usize::MAX, |body| body.saturating_add(len));
                            (request.method == Method::Head, Some(next))
                        }
                        Err(_) => {
                            polite = false;
                            (head.bytes().trim_ascii_start().starts_with(b"HEAD "), None)
                        }
                    }
                }
            };
            let reply = ear.reply(head_only).unwrap_or_else(|trouble| {
                panic!("reply {} is none: {trouble}\n{}", replies.len(), show(sent))
            });
            let end = sent.len() - ear.source().0.len() - ear.heard().len();
            self.hold_content(&reply, head_only);
            let closes = reply.says_close();
            assert!(
                next.is_some() || closes,
                "nothing is understood, and it goes on"
            );
            replies.push((reply, end));
            self.ends.extend(next.map(|next| at.saturating_add(next)));
            match next {
                Some(next) if !closes && next < rest.len() => at += next,
                Some(_) | None => break,
            }
        }
        let end = replies.last().map_or(0, |(_, end)| *end);
        assert_eq!(
            end,
            sent.len(),
            "more is sent than was asked for: {}",
            show(sent)
        );
        (replies, polite)
    }

    /// A file's bytes are the file's.
    fn hold_content(&self, reply: &Reply, head_only: bool) {
        assert!((200..600).contains(&reply.status), "{}", reply.status);
        if head_only {
            return;
        }
        let part = reply
            .header("content-range")
            .filter(|_| reply.status == 206);
        let expected = match (reply.status, part) {
            (200, None) if reply.body.len() == self.large.len() => &self.large[..],
            (206, Some(range)) => {
                let numbers = range.strip_prefix("bytes ").expect("bytes");
                let (span, total) = numbers.split_once('/').expect("a total");
                let (first, last) = span.split_once('-').expect("a span");
                let [first, last, total]: [usize; 3] =
                    [first, last, total].map(|n| n.parse().unwrap());
                if total != self.large.len() {
                    return;
                }
                &self.large[first..=last]
            }
            _ => return,
        };
        assert!(reply.body == expected, "other bytes than the file's");
    }
}

/// What a connection sent that did not go smoothly: the same replies as far as it came, and at the end perhaps one that says why it ends.
fn hold_beginning(whole: &Run, replies: &[(Reply, usize)], cut: &Run) {
    let (mut at, mut whole_at, mut closed) = (0, 0, false);
    for (_, end) in replies {
        let rest = &cut.sent[at..];
        if rest.is_empty() {
            return;
        }
        assert!(
            !closed,
            "it goes on after it said that it ends: {}",
            show(rest)
        );
        let (expected, _) = without_connection(&whole.sent[whole_at..*end]);
        let (found, lines) = without_connection(rest);
        if found.len() >= expected.len() && found.starts_with(&expected) {
            at += expected.len() + lines.len();
            closed = lines.contains("close");
            whole_at = *end;
        } else {
            let begins = expected.starts_with(&found) && (cut.hurt || cut.late);
            assert!(
                begins || (cut.late && is_timeout(rest)),
                "another reply, or less of it: {}\nthan {}",
                show(rest),
                show(&expected)
            );
            return;
        }
    }
    let rest = &cut.sent[at..];
    assert!(
        rest.is_empty() || (cut.late && is_timeout(rest)),
        "more than was asked for: {}",
        show(rest)
    );
}

/// A 408 and nothing more, or its beginning: its reader may be late as well.
fn is_timeout(bytes: &[u8]) -> bool {
    const LINE: &[u8] = b"HTTP/1.1 408 ";
    let n = bytes.len().min(LINE.len());
    let mut ear = Ear::new(Sent(bytes));
    let whole = match ear.reply(false) {
        Ok(reply) => reply.says_close() && ear.more() == Ok(false),
        Err(trouble) => matches!(trouble, Trouble::CutOff(_)),
    };
    bytes[..n] == LINE[..n] && whole
}

/// A reply without what its head says about the connection, and that; and without the line in which a head breaks off.
fn without_connection(reply: &[u8]) -> (Vec<u8>, String) {
    let (mut kept, mut lines) = (Vec::new(), String::new());
    let mut rest = reply;
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let (line, behind) = rest.split_at(end + 2);
        rest = behind;
        if line.starts_with(b"Connection: ") {
            lines.push_str(std::str::from_utf8(line).expect("we wrote it"));
        } else {
            kept.extend_from_slice(line);
        }
        if line == b"\r\n" {
            kept.extend_from_slice(rest);
            break;
        }
    }
    (kept, lines)
}

/// What was sent, as something to read replies from.
struct Sent<'a>(&'a [u8]);

impl Source for Sent<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
        let n = self.0.len().min(into.len());
        into[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}
