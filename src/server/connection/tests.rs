//! The state table, row by row and by all short scripts, with a scripted socket in place of the
//! kernel's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop at the first surprise"
)]

mod conversations;
mod faults;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;

use super::*;
use crate::cli::{Proxies, ServeOptions};
use crate::event_loop::PeerAddress;
use crate::event_loop::page_cache::Before;
use crate::http::state::TRANSITIONS;
use crate::limits::{
    DISK_PAUSE, INTERRUPTED_RETRIES_MAX, SEND_RATE_MIN, SHUTDOWN_IDLE_GRACE, UNSENT_BYTES_ALL,
    UNSENT_BYTES_MIN, UNSENT_PART_OF_FILE,
};
use crate::server::clients::ClientLimits;
use crate::server::connection::pace::Pace;
use crate::server::connection::stand::{Held, Place, Stand};
use crate::site::open::tests::faults::{Call, plan};

thread_local! {
    /// The rows that connections of this thread have taken. They stand here and not in a
    /// connection, so that its slot is as large in tests as in the program.
    pub(super) static ROWS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What the peer, the kernel or the world does next: the answer to one system call, or what happens
/// between two drives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Letter {
    /// Three bytes move.
    Few,
    /// As much as one call moves: a few requests, a whole buffer.
    Many,
    /// Would block.
    Block,
    /// The peer has sent all it will send. For a file that is being sent: it is shorter now.
    End,
    /// The connection is broken.
    Reset,
    /// The call fails with this; what comes behind it does not.
    Fail(Errno),
    /// Nothing happens until the deadline.
    Deadline,
    /// The server is told to stop.
    Stop,
}

use Letter::{Block, Deadline as Late, End, Fail, Few, Many, Reset, Stop};

const INTERRUPT: Letter = Fail(Errno::INTR);

const ALPHABET: [Letter; 8] = [Few, Many, Block, End, Reset, Late, Stop, INTERRUPT];

/// The longest script of which all are played.
const LENGTH: usize = 6;

/// Bytes that one call reads at most: more than one request, and not a whole number of them.
const MANY: usize = 101;

/// A socket whose every call is answered by the next letter; after the last one, everything would
/// block.
struct Scripted {
    script: Vec<Letter>,
    used: usize,
    /// What the peer sends, over and over.
    says: &'static [u8],
    said: usize,
    ended: bool,
    broken: bool,
    sent: Vec<u8>,
    hung_up: bool,
    /// What shutdown(2) says.
    shutdown: Option<Errno>,
    /// What is not acknowledged, where that can be asked.
    queue: Option<Rc<Cell<u32>>>,
    calls: usize,
    /// How often the disk has not answered yet when it is asked.
    disk: Cell<usize>,
    /// Whether it was corked or uncorked, in order.
    corks: Vec<bool>,
    /// How much the kernel was allowed to take.
    unsent: Vec<u32>,
}

impl Scripted {
    fn new(says: &'static [u8], script: &[Letter]) -> Self {
        Self {
            script: script.to_vec(),
            used: 0,
            says,
            said: 0,
            ended: false,
            broken: false,
            sent: Vec::new(),
            hung_up: false,
            shutdown: None,
            queue: None,
            calls: 0,
            disk: Cell::new(0),
            corks: Vec::new(),
            unsent: Vec::new(),
        }
    }

    fn with_slow_disk(self, looks: usize) -> Self {
        self.disk.set(looks);
        self
    }

    fn peek(&self) -> Option<Letter> {
        self.script.get(self.used).copied()
    }

    /// The letter that answers a call; what happens between drives waits, and meanwhile the call
    /// would block.
    fn answer(&mut self) -> io::Result<Letter> {
        self.calls += 1;
        if self.broken {
            return Err(Errno::PIPE.into());
        }
        match self.peek() {
            None | Some(Late | Stop) => Err(Errno::AGAIN.into()),
            Some(letter) => {
                self.used += 1;
                match letter {
                    Block => Err(Errno::AGAIN.into()),
                    Reset => {
                        self.broken = true;
                        Err(Errno::CONNRESET.into())
                    }
                    Fail(errno) => Err(errno.into()),
                    Few | Many | End | Late | Stop => Ok(letter),
                }
            }
        }
    }
}

impl Transport for Scripted {
    fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ended && !self.broken {
            return Ok(0);
        }
        let n = match self.answer()? {
            Few => 3,
            Many => MANY,
            End | Block | Reset | Fail(_) | Late | Stop => {
                self.ended = true;
                return Ok(0);
            }
        };
        for byte in &mut into[..n] {
            *byte = self.says[self.said % self.says.len()];
            self.said += 1;
        }
        Ok(n)
    }

    fn send(&mut self, bytes: &[u8], _more: bool) -> io::Result<usize> {
        let letter = self.answer()?;
        self.ended |= letter == End;
        let n = if letter == Few { 3 } else { bytes.len() };
        self.sent.extend_from_slice(&bytes[..n.min(bytes.len())]);
        Ok(n.min(bytes.len()))
    }

    fn send_file(&mut self, _file: &File, _at: u64, count: usize) -> io::Result<usize> {
        match self.answer()? {
            Few => Ok(count.min(3)),
            End => Ok(0),
            Many | Block | Reset | Fail(_) | Late | Stop => Ok(count),
        }
    }

    fn has_in_memory(&self, _: &File, _: u64, _: usize, _: usize, _: Before) -> bool {
        let left = self.disk.get();
        self.disk.set(left.saturating_sub(1));
        left == 0
    }

    fn set_cork(&mut self, held: bool) {
        self.corks.push(held);
    }

    fn set_notsent_lowat(&mut self, bytes: u32) {
        self.unsent.push(bytes);
    }

    fn shut_down_write(&mut self) -> io::Result<()> {
        self.hung_up = true;
        self.shutdown.map_or(Ok(()), |errno| Err(errno.into()))
    }

    fn peer(&self) -> PeerAddress {
        PeerAddress::Unknown
    }

    fn unacknowledged(&self) -> Option<u32> {
        self.queue.as_ref().map(|queue| queue.get())
    }
}

impl Stand {
    /// Plays `script` to a peer that says `says`, and then silence until the connection is gone.
    ///
    /// Silence must end it, for one reason.
    fn play(&mut self, says: &'static [u8], script: &[Letter]) -> Played {
        self.play_with(Scripted::new(says, script))
    }

    fn play_with(&mut self, peer: Scripted) -> Played {
        let held = self.accept(peer);
        self.play_held(held)
    }

    fn play_held(&mut self, mut held: Held<Scripted>) -> Played {
        ROWS.take();
        let script = held.connection.transport().script.clone();
        let ended_before = self.ended();
        let mut played = Played::default();
        for drives in 0.. {
            assert!(drives < 60, "{script:?}: {drives} drives, and no end");
            let peer = held.connection.transport();
            let (letter, ended) = (peer.peek(), peer.ended);
            match (held.place, letter) {
                (Place::Left, _) => break,
                (Place::Parked(_) | Place::Queued | Place::Asleep, Some(Stop)) => {
                    peer.used += 1;
                    held.stage = Stage::Stopping;
                }
                (Place::Parked(_) | Place::Queued, Some(Late)) => {
                    peer.used += 1;
                    self.pass(&mut held);
                }
                (Place::Parked(_), Some(Few | Many | Block | End | Reset | Fail(_))) => {
                    held.ready.set(Side::Either);
                }
                (Place::Parked(side), None) if ended && side != Side::Write => {
                    held.ready.set(Side::Either);
                }
                (Place::Parked(_), None) => {
                    played.silences += 1;
                    self.pass(&mut held);
                }
                (Place::Asleep, _) => self.pass(&mut held),
                (Place::Queued, _) => {}
            }
            if ended {
                held.ready.set_ended();
            }
            let calls = held.connection.transport().calls;
            self.drive(&mut held, &script);
            let calls = held.connection.transport().calls - calls;
            let most = script.len().max(LENGTH) + 2;
            assert!(calls <= most, "{script:?}: {calls} calls in a drive");
            played.states.push(held.connection.state.name());
        }
        let ended = self.ended() - ended_before;
        assert_eq!(ended, 1, "{script:?}: {ended} reasons for one end");
        played.rows = ROWS.take();
        let peer = held.connection.transport();
        played.used = peer.used;
        played.sent = String::from_utf8_lossy(&peer.sent).into_owned();
        played.hung_up = peer.hung_up;
        played
    }

    /// Plays every script of up to [`LENGTH`] letters. One that ends before its last letter stands
    /// for all that begin like it.
    fn play_all(&mut self, says: &'static [u8]) -> usize {
        let mut count = 0;
        for length in 0..=LENGTH {
            let mut digits = vec![0; length];
            loop {
                let script: Vec<Letter> = digits.iter().map(|&digit| ALPHABET[digit]).collect();
                let played = self.play(says, &script);
                assert!(played.silences <= 8, "{script:?}: {played:?}");
                count += 1;
                if !advance(&mut digits, played.used) {
                    break;
                }
            }
        }
        count
    }
}

/// The next script that differs within its first `used` letters; false after the last one.
fn advance(digits: &mut [usize], used: usize) -> bool {
    digits.iter_mut().skip(used).for_each(|digit| *digit = 0);
    for digit in digits[..used].iter_mut().rev() {
        *digit += 1;
        if *digit < ALPHABET.len() {
            return true;
        }
        *digit = 0;
    }
    false
}

/// What came of a script.
#[derive(Debug, Default)]
struct Played {
    /// How many letters were used up.
    used: usize,
    /// How often it took a deadline to go on, after the script.
    silences: usize,
    /// The state after each drive.
    states: Vec<&'static str>,
    /// The row of each step.
    rows: Vec<u8>,
    /// What was sent, files excepted.
    sent: String,
    /// Whether the write side was shut down.
    hung_up: bool,
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const LARGE: &[u8] = b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n";
const LIST: &[u8] = b"GET /d/ HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &[u8] =
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
/// A request of [`MANY`] bytes, and a body that breaks a rule.
const BAD_BODY: &[u8] = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\
    X: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n\r\n5\r\nhello world\r\n";
/// A request of [`MANY`] bytes, and no more.
const LAST: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
    X: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n\r\n";
/// A request of [`MANY`] bytes whose body does not come.
const UNFINISHED: &[u8] = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\
    X: ................................................\r\n\r\n";
/// What has no end.
const LONG: &[u8] = b"GET /";
const TLS: &[u8] = b"\x16\x03\x01";
const NO_HOST: &[u8] = b"GET /a HTTP/1.1\r\n\r\n";

#[test]
fn all_short_scripts_of_small_files_end_well() {
    assert!(Stand::new("small", &[]).play_all(GET) > 10_000);
}

#[test]
fn all_short_scripts_of_large_files_end_well() {
    assert!(Stand::new("large", &[]).play_all(LARGE) > 10_000);
}

#[test]
fn all_short_scripts_of_listings_end_well() {
    assert!(Stand::new("lists", &[]).play_all(LIST) > 10_000);
}

#[test]
fn all_short_scripts_of_bodies_end_well() {
    assert!(Stand::new("bodies", &[]).play_all(POST) > 10_000);
    assert!(Stand::new("broken", &[]).play_all(BAD_BODY) > 10_000);
}

#[test]
fn all_short_scripts_of_last_requests_end_well() {
    assert!(Stand::new("last", &[]).play_all(LAST) > 1_000);
    assert!(Stand::new("refused", &[]).play_all(NO_HOST) > 1_000);
}

/// A connection of a proxy that is trusted; of a second one with the same client when there is room
/// for one.
fn of_proxy(stand: &mut Stand, says: &'static [u8], script: &[Letter]) -> Played {
    stand.server.client_limits = ClientLimits::new(&ServeOptions {
        proxy_from: vec![Proxies::Unix],
        max_per_address: Some(1),
        ..ServeOptions::default()
    });
    let first = PeerAddress::Ip(IpAddr::from([10, 0, 0, 1]));
    let _first = stand.server.client_limits.admit(first);
    let mut held = stand.accept(Scripted::new(says, script));
    held.client = Some(TrackedClient::NewProxy(PeerAddress::Unix));
    stand.play_held(held)
}

/// A PROXY header of one too many, within [`MANY`] bytes.
const ONE_TOO_MANY: &[u8] = b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n";

/// Each step is held against its row by `Step::check`; here every row is taken at least once.
#[test]
fn connections_take_every_row_of_the_table() {
    let plays: [(&[u8], &[Letter]); 20] = [
        (GET, &[]),
        (GET, &[End]),
        (GET, &[Few, End]),
        (GET, &[Few, Late, Many]),
        (GET, &[Reset]),
        (GET, &[Stop]),
        (GET, &[Many, Many, Many, Many]),
        (LAST, &[Few, Stop, Many, Many]),
        (LAST, &[Many, Many]),
        (NO_HOST, &[Many, Many, Few]),
        (UNFINISHED, &[Many, Many, Late]),
        (BAD_BODY, &[Many, Many, Many]),
        (LARGE, &[Many, Few, Many, Few, Many]),
        (LARGE, &[Many, Many, Few, End]),
        (LARGE, &[Many, Many, Block]),
        (LARGE, &[Many, Many, Block, Stop, Block]),
        (LIST, &[Many, Many, Many]),
        (LONG, &[Many, Many, Many]),
        (TLS, &[Many, Many]),
        (POST, &[Many, Many, Many]),
    ];
    let mut stand = Stand::new("rows", &[]);
    stand.server.http.head_bytes_max = 2 * MANY;
    let mut taken = BTreeSet::new();
    for (says, script) in plays {
        taken.extend(stand.play(says, script).rows);
    }
    let peer = Scripted::new(LARGE, &[Many; 3]).with_slow_disk(2);
    taken.extend(stand.play_with(peer).rows);
    plan(Call::Names, &[Some(Errno::IO)]);
    taken.extend(stand.play(LIST, &[Many; 3]).rows);
    taken.extend(of_proxy(&mut stand, ONE_TOO_MANY, &[Many, Many]).rows);
    taken.extend(of_proxy(&mut stand, b"PROXY x\r\n", &[Many, Many]).rows);
    let rows = TRANSITIONS.iter().map(|t| t.number);
    let missing: Vec<u8> = rows.filter(|row| !taken.contains(row)).collect();
    assert!(
        missing.is_empty(),
        "no connection took the rows {missing:?}"
    );
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "is not what row 7 says")]
fn a_step_that_is_not_its_row_is_found() {
    let step = Step::go(7, State::ReadingHead(Reading::default()));
    step.check("ReadingHead", Key::for_test(1));
}

#[test]
fn row_25_a_client_behind_a_proxy_has_as_many_connections_as_it_may() {
    let mut stand = Stand::new("row25", &[]);
    let played = of_proxy(&mut stand, ONE_TOO_MANY, &[Many, Many, Block]);
    assert!(played.sent.starts_with("HTTP/1.1 503 "), "{}", played.sent);
    assert!(played.rows.contains(&25) && played.hung_up);
    assert_eq!(stand.closed(Close::Crowding), 1);
}

#[test]
fn row_26_a_malformed_proxy_header_closes() {
    let mut stand = Stand::new("row26", &[]);
    let played = of_proxy(&mut stand, b"PROXY x\r\n", &[Many]);
    assert_eq!((played.states, played.rows), (vec!["Closed"], vec![26]));
    assert_eq!(stand.closed(Close::ProxyHeader), 1);
}

#[test]
fn row_27_a_body_that_does_not_come_in_time() {
    let mut stand = Stand::new("row27", &[]);
    let played = stand.play(UNFINISHED, &[Many, Many, Late]);
    assert!(played.sent.starts_with("HTTP/1.1 405 "), "{}", played.sent);
    assert_eq!(played.sent.matches("HTTP/1.1 ").count(), 1);
    assert!(played.rows.ends_with(&[27]), "{:?}", played.rows);
    assert_eq!(stand.closed(Close::HeadTimeout), 1);
}

#[test]
fn row_28_a_directory_that_cannot_be_read_on() {
    let mut stand = Stand::new("row28", &[]);
    plan(Call::Names, &[Some(Errno::IO)]);
    let played = stand.play(LIST, &[Many; 3]);
    assert!(played.rows.ends_with(&[28]), "{:?}", played.rows);
    assert!(!played.hung_up && !played.sent.contains("0\r\n\r\n"));
    assert_eq!(stand.closed(Close::Listing), 1);
}

#[test]
fn row_5_the_end_of_input_between_requests() {
    let mut stand = Stand::new("row5", &[]);
    let played = stand.play(GET, &[End]);
    assert_eq!(played.states, ["Closed"]);
    assert!(played.sent.is_empty() && !played.hung_up);
    assert_eq!(stand.closed(Close::Peer), 1);
}

#[test]
fn row_6_cut_off_in_the_middle_of_a_head() {
    let mut stand = Stand::new("row6", &[]);
    let played = stand.play(GET, &[Few, End]);
    assert_eq!(played.states, ["ReadingHead", "Closed"]);
    assert!(played.sent.is_empty());
    assert_eq!(stand.closed(Close::CutOff), 1);
}

#[test]
fn row_7_idle_for_too_long() {
    let mut stand = Stand::new("row7", &[]);
    let played = stand.play(GET, &[]);
    assert_eq!(
        (played.states.as_slice(), played.silences),
        (&["Closed"][..], 1)
    );
    assert!(played.sent.is_empty(), "an idle client is told nothing");
    assert_eq!(stand.closed(Close::Idle), 1);
}

#[test]
fn row_8_a_head_that_does_not_come_in_time() {
    let mut stand = Stand::new("row8", &[]);
    let played = stand.play(GET, &[Few, Late, Many]);
    assert_eq!(played.states, ["ReadingHead", "Lingering", "Closed"]);
    assert!(played.sent.starts_with("HTTP/1.1 408 "), "{}", played.sent);
    assert!(played.sent.contains("\r\nConnection: close\r\n") && played.hung_up);
    assert_eq!(stand.closed(Close::HeadTimeout), 1);
    assert_eq!(
        stand.closed(Close::LingerTimeout) + stand.closed(Close::Done),
        0,
        "it is counted once"
    );
}

#[test]
fn row_8_more_bytes_do_not_extend_the_time_of_a_head() {
    let mut stand = Stand::new("row8b", &[]);
    let begun = stand.now.tick;
    stand.play(GET, &[Few, Few, Few, Late, Many, Reset]);
    assert_eq!(stand.now.tick, begun.after(stand.server.http.timeouts.head));
}

#[test]
fn row_9_the_idle_go_first() {
    let mut stand = Stand::new("row9", &[]);
    let played = stand.play(GET, &[Stop]);
    assert_eq!(played.states.last(), Some(&"Closed"));
    assert_eq!(stand.closed(Close::Shutdown), 1);
}

#[test]
fn row_9_a_request_that_was_on_its_way_is_still_answered() {
    let mut stand = Stand::new("row9b", &[]);
    let played = stand.play(LAST, &[Stop, Many, Many]);
    assert!(played.sent.starts_with("HTTP/1.1 200 "), "{}", played.sent);
    assert!(played.sent.contains("\r\nConnection: close\r\n"));
}

#[test]
fn row_9_a_connection_idle_for_longer_closes_at_once() {
    let mut stand = Stand::new("row9c", &[]);
    let mut held = stand.accept(Scripted::new(GET, &[]));
    stand.now.tick = stand.now.tick.after(SHUTDOWN_IDLE_GRACE);
    held.stage = Stage::Stopping;
    stand.drive(&mut held, &"a stop");
    assert_eq!(stand.closed(Close::Shutdown), 1);
}

#[test]
fn row_9_a_connection_idle_since_the_end_of_a_body_has_a_second() {
    assert_eq!(UNFINISHED.len(), MANY);
    let mut stand = Stand::new("row9d", &[]);
    let begun = stand.now.tick;
    let played = stand.play(UNFINISHED, &[Many, Many, Few, Stop, Few]);
    assert!(played.sent.starts_with("HTTP/1.1 405 "), "{}", played.sent);
    assert_eq!(stand.now.tick, begun.after(SHUTDOWN_IDLE_GRACE));
    assert_eq!(stand.closed(Close::Shutdown), 1);
}

#[test]
fn row_10_a_head_that_was_begun_is_still_answered() {
    let mut stand = Stand::new("row10", &[]);
    let played = stand.play(LAST, &[Few, Stop, Many, Many]);
    assert!(played.sent.starts_with("HTTP/1.1 200 "), "{}", played.sent);
    assert!(played.sent.contains("\r\nConnection: close\r\n"));
}

#[test]
fn row_13_what_is_left_over_is_answered_before_the_socket_is_read() {
    let mut stand = Stand::new("row13", &[]);
    let requests = MANY / GET.len();
    assert!(requests > 2 && !MANY.is_multiple_of(GET.len()));
    let letters = [&[Many][..], &vec![Many; requests], &[End]].concat();
    let played = stand.play(GET, &letters);
    assert_eq!(played.sent.matches("HTTP/1.1 200 ").count(), requests);
    assert_eq!(
        stand.closed(Close::CutOff),
        1,
        "after three requests and a bit"
    );
}

#[test]
fn row_14_without_reuse_the_peer_may_hang_up_first() {
    let mut stand = Stand::new("row14", &[]);
    let played = stand.play(NO_HOST, &[Many, Many, Block, End]);
    assert_eq!(played.states, ["Lingering", "Lingering", "Closed"]);
    assert!(played.hung_up, "it was told that nothing more comes");
    assert_eq!((stand.closed(Close::Done), played.silences), (1, 0));
}

#[test]
fn rows_11_to_12_and_15_to_16_headers_then_body_then_a_file_that_shrank() {
    let mut stand = Stand::new("row16", &[]);
    let script = [Many, Few, Block, Many, Block, Few, Block, End];
    let played = stand.play(LARGE, &script);
    assert_eq!(
        played.states,
        ["WritingHeaders", "WritingBody", "WritingBody", "Closed"]
    );
    assert!(
        !played.hung_up,
        "a promise that cannot be kept ends without a half-close"
    );
    assert_eq!(stand.closed(Close::FileShrank), 1);
}

/// Of a file no small segment is sent but the last, which then does not wait. A reply in memory
/// goes out in one call.
#[test]
fn row_15_segments_of_a_file_are_full() {
    let mut stand = Stand::new("row15", &[]);
    for (request, told) in [(GET, &[][..]), (LARGE, &[true, false])] {
        let mut held = stand.accept(Scripted::new(request, &[Many; 200]));
        for _ in 0..10 {
            held.ready.set(Side::Either);
            stand.drive(&mut held, &request);
        }
        // Of a file this small the kernel may have no more than it may have anyway.
        assert!(held.connection.transport().unsent.is_empty());
        // Each reading brings several requests.
        let mut seen = held.connection.transport().corks.chunks_exact(2);
        assert_eq!(seen.len() > 1, !told.is_empty());
        assert!(seen.all(|pair| pair == told), "{:?}", seen);
    }
}

#[test]
fn row_13_what_a_file_was_allowed_ends_with_it() {
    const HUGE: &[u8] = b"GET /huge HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut stand = Stand::new("row13-unsent", &[]);
    let length = 2 * UNSENT_PART_OF_FILE * u64::from(UNSENT_BYTES_MIN);
    stand.sparse("huge", length);
    let mut held = stand.accept(Scripted::new(HUGE, &[Many; 9]));
    for _ in 0..9 {
        held.ready.set(Side::Either);
        stand.drive(&mut held, &HUGE);
    }
    let told = &held.connection.transport().unsent;
    assert_eq!(told[..2], [2 * UNSENT_BYTES_MIN, UNSENT_BYTES_MIN]);
}

/// All clients that are sent files share what the kernel takes for them: a crowd that does not
/// read cannot have all its memory.
#[test]
fn the_kernel_holds_less_for_each_of_many_and_never_most_of_a_file() {
    let shares: Vec<u32> = (1..=200).map(|n| pace::unsent_share(n, u64::MAX)).collect();
    assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
    assert_eq!(shares.first(), Some(&UNSENT_BYTES_ALL));
    assert_eq!(shares.last(), Some(&UNSENT_BYTES_MIN));
    let all: u64 = shares.iter().copied().map(u64::from).sum();
    assert!(all < 8 * u64::from(UNSENT_BYTES_ALL), "{all}");
    for (left, share) in [(0, UNSENT_BYTES_MIN), (3 << 20, 384 << 10)] {
        assert_eq!(pace::unsent_share(1, left), share);
    }
}

#[test]
fn row_17_a_reader_that_takes_nothing() {
    let mut stand = Stand::new("row17", &[]);
    let begun = stand.now.tick;
    let played = stand.play(LARGE, &[Many, Many, Block]);
    assert_eq!(played.states.first(), Some(&"WritingBody"));
    assert_eq!(played.states.last(), Some(&"Closed"));
    assert_eq!(stand.closed(Close::Stalled), 1);
    let stall = stand.server.http.timeouts.stall;
    let took = stand.now.tick.since(begun);
    assert!(took >= stall && took < 2 * stall, "{took:?}");
}

#[test]
fn row_17_a_reader_that_takes_next_to_nothing() {
    let stall = Duration::from_secs(60);
    let least = SEND_RATE_MIN * stall.as_secs();
    let reader = Scripted::new(GET, &[]);
    let mut pace = Pace::default();
    pace.moved += least - 1;
    let later = |times: u32| Tick(60_000 * times);
    assert!(pace.is_too_slow(&reader, later(1), stall));
    pace.moved += 1;
    assert!(!pace.is_too_slow(&reader, later(1), stall));
    // It is counted anew.
    let soon = Tick(119_999);
    assert!(!pace.is_too_slow(&reader, soon, stall));
    assert!(pace.is_too_slow(&reader, later(2), stall));
}

/// What it acknowledges counts, although its socket has had no room for more.
#[test]
fn row_17_a_slow_reader_is_told_from_one_that_has_stalled() {
    for (rate, survives) in [(1_000, true), (150, true), (50, false), (1, false)] {
        let mut stand = Stand::new(&format!("row17-{rate}"), &[]);
        let queue = Rc::new(Cell::new(50_000_000));
        let mut held = stand.accept(Scripted::new(LARGE, &[Many, Many, Few, Block]));
        held.connection.transport().queue = Some(Rc::clone(&queue));
        let begun = stand.now.tick;
        let hour = Duration::from_secs(3600);
        held.ready.set(Side::Either);
        stand.drive(&mut held, &rate);
        while held.place != Place::Left && stand.now.tick.since(begun) < hour {
            let before = stand.now.tick;
            stand.pass(&mut held);
            let passed = stand.now.tick.since(before).as_millis();
            let taken = u32::try_from(passed * rate / 1000).unwrap();
            queue.set(queue.get() - taken);
            stand.drive(&mut held, &rate);
        }
        assert_eq!(held.place != Place::Left, survives, "{rate} bytes a second");
        let took = stand.now.tick.since(begun);
        assert!(survives || took < Duration::from_secs(120), "{took:?}");
    }
}

#[test]
fn row_17_signals_in_the_way_of_a_look_leave_it_a_deadline() {
    let mut stand = Stand::new("row17-signals", &[]);
    let signals = [INTERRUPT; INTERRUPTED_RETRIES_MAX];
    let script = [&[Many, Many, Block, Late][..], &signals, &[Block]].concat();
    let played = stand.play(LARGE, &script);
    assert_eq!(played.used, script.len());
    assert_eq!(stand.closed(Close::Stalled), 1);
}

#[test]
fn row_18_reuse_is_withdrawn_when_the_server_stops() {
    let mut stand = Stand::new("row18", &[]);
    let played = stand.play(LARGE, &[Many, Many, Block, Stop, Many, Block, End]);
    assert_eq!(
        played.states,
        ["WritingBody", "WritingBody", "Lingering", "Closed"]
    );
    assert!(played.hung_up);
}

#[test]
fn row_24_bytes_on_a_disk_are_slept_for() {
    let mut stand = Stand::new("row24", &[]);
    let begun = stand.now.tick;
    let peer = Scripted::new(LARGE, &[Many, Many, Many, Block, End]).with_slow_disk(2);
    let played = stand.play_with(peer);
    assert_eq!(played.states[..2], ["WritingBody", "WritingBody"]);
    assert_ne!(
        played.states[2], "WritingBody",
        "and then it is sent at once"
    );
    assert!(stand.now.tick.since(begun) >= 2 * DISK_PAUSE);
}

#[test]
fn row_24_the_longer_a_disk_takes_the_less_often_it_is_asked() {
    let mut stand = Stand::new("row24c", &[]);
    let begun = stand.now.tick;
    let peer = Scripted::new(LARGE, &[Many, Many, Many, Block, End]).with_slow_disk(40);
    stand.play_with(peer);
    assert!(stand.now.tick.since(begun) >= 100 * DISK_PAUSE);
}

#[test]
fn row_24_a_disk_that_never_answers_ends_it() {
    let mut stand = Stand::new("row24b", &[]);
    let begun = stand.now.tick;
    // Which looks at the disk less than 60 times, or `play` would not have it.
    let peer = Scripted::new(LARGE, &[Many, Many]).with_slow_disk(usize::MAX);
    let played = stand.play_with(peer);
    assert_eq!(played.states.last(), Some(&"Closed"));
    let (took, stall) = (
        stand.now.tick.since(begun),
        stand.server.http.timeouts.stall,
    );
    assert!(took >= stall && took < 2 * stall, "{took:?}");
    assert_eq!(stand.closed(Close::Stalled), 1);
}

#[test]
fn row_24_a_client_that_hangs_up_meanwhile_keeps_no_slot() {
    let mut stand = Stand::new("row24e", &[]);
    let peer = Scripted::new(LARGE, &[Many, Many]).with_slow_disk(usize::MAX);
    let mut held = stand.accept(peer);
    held.ready.set(Side::Either);
    stand.drive(&mut held, &"the head goes out");
    assert_eq!(held.place, Place::Asleep);
    held.ready.set_ended();
    stand.drive(&mut held, &"it sends nothing more, but may still read");
    assert_eq!(held.place, Place::Asleep);
    held.ready.set_gone();
    stand.drive(&mut held, &"a reset");
    assert_eq!((held.place, stand.closed(Close::Error)), (Place::Left, 1));
}

#[test]
fn row_24_what_the_disk_takes_is_not_taken_from_the_reader() {
    let mut stand = Stand::new("row24d", &[]);
    let stall = stand.server.http.timeouts.stall;
    let peer = Scripted::new(LARGE, &[Many, Many, Few]).with_slow_disk(usize::MAX);
    let mut held = stand.accept(peer);
    held.ready.set(Side::Either);
    let begun = stand.now.tick;
    stand.drive(&mut held, &"the head goes out");
    while stand.now.tick.since(begun) < stall * 3 / 4 {
        stand.pass(&mut held);
        stand.drive(&mut held, &"the disk has not answered");
    }
    held.connection.transport().disk.set(0);
    stand.pass(&mut held);
    let answered = stand.now.tick;
    stand.drive(&mut held, &"three bytes of the file go out");
    while held.place != Place::Left {
        stand.pass(&mut held);
        stand.drive(&mut held, &"the reader takes nothing");
    }
    let took = stand.now.tick.since(answered);
    assert!(took >= stall && took < 2 * stall, "{took:?}");
}

#[test]
fn rows_19_and_20_silence_ends_the_lingering_and_bytes_do_not_extend_it() {
    let mut stand = Stand::new("row20", &[]);
    let begun = stand.now.tick;
    stand.play(NO_HOST, &[Many, Many, Many, Few]);
    let linger = stand.server.http.timeouts.linger;
    assert_eq!(stand.now.tick, begun.after(linger));
    assert_eq!(stand.closed(Close::LingerTimeout), 1);
}

#[test]
fn row_21_an_error_closes_in_every_state() {
    let mut stand = Stand::new("row21", &[]);
    let cases: [(&[u8], &[Letter], &str); 5] = [
        (GET, &[Reset], "ReadingHead"),
        (LARGE, &[Many, Reset], "WritingHeaders"),
        (LARGE, &[Many, Many, Reset], "WritingBody"),
        (LIST, &[Many, Many, Reset], "WritingBody"),
        (NO_HOST, &[Many, Many, Reset], "Lingering"),
    ];
    for (errors, (says, script, state)) in (1..).zip(cases) {
        let played = stand.play(says, script);
        assert_eq!(played.states.last(), Some(&"Closed"), "in {state}");
        assert_eq!(played.silences, 0, "in {state}");
        assert_eq!(stand.closed(Close::Error), errors, "in {state}");
    }
}

#[test]
fn row_22_a_client_that_asked_to_close_and_is_silent_is_closed_at_once() {
    let mut stand = Stand::new("row22", &[]);
    assert_eq!(LAST.len(), MANY);
    let played = stand.play(LAST, &[Many, Many]);
    assert_eq!(played.states, ["Closed"]);
    assert!(!played.hung_up && played.silences == 0);
    assert_eq!(stand.closed(Close::Done), 1);
}

#[test]
fn row_22_is_not_for_clients_that_sent_more() {
    let mut stand = Stand::new("row22b", &[]);
    let played = stand.play(LAST, &[Few, Many, Many]);
    assert_eq!(played.states, ["ReadingHead", "Lingering", "Closed"]);
    assert!(played.hung_up);
}

#[test]
fn row_23_a_body_that_breaks_a_rule_does_not_cost_the_answer() {
    let mut stand = Stand::new("row23", &[]);
    let played = stand.play(BAD_BODY, &[Many, Many, Many, Block]);
    assert!(played.sent.starts_with("HTTP/1.1 405 "), "{}", played.sent);
    assert_eq!(played.states.last(), Some(&"Closed"));
    assert!(played.states.contains(&"Lingering") && played.hung_up);
    assert_eq!(stand.closed(Close::Malformed), 1);
    assert_eq!(
        stand.closed(Close::LingerTimeout) + stand.closed(Close::Done),
        0,
        "it is counted once"
    );
}

#[test]
fn a_refused_connection_is_not_counted_as_closed() {
    let mut stand = Stand::new("refused-unwatched", &[]);
    let refusal = Refusal::new(Status::UNAVAILABLE, "full");
    let reply = stand.server.http.refuse(refusal, false, &stand.now);
    let stream = Stream {
        transport: Scripted::new(GET, &[]),
    };
    let mut refused = HttpConnection::refused(stream, reply, stand.now.tick);
    let (why, key, now) = (Dropped::Unwatched, Key::for_test(1), stand.now);
    refused.dropped(why, key, &now, &mut stand.server);
    assert_eq!(stand.ended(), 0);
    let mut known = stand.accept(Scripted::new(GET, &[])).connection;
    known.dropped(why, key, &now, &mut stand.server);
    assert_eq!(stand.closed(Close::Error), 1);
}

#[test]
fn a_directory_that_goes_while_it_is_listed_costs_the_connection() {
    let mut stand = Stand::new("listing", &[]);
    let mut held = stand.accept(Scripted::new(LIST, &[Many, Block, Many, Many]));
    held.ready.set(Side::Either);
    while held.place != Place::Parked(Side::Write) {
        stand.drive(&mut held, &"until the head is to be sent");
    }
    stand.remove("d");
    held.ready.set(Side::Either);
    while held.place != Place::Left {
        stand.drive(&mut held, &"until it is known that the directory is gone");
    }
    assert_eq!(stand.closed(Close::Listing), 1);
}
