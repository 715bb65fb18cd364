//! The crowd without its loop: sockets of this machine, and clocks that are handed in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, SystemTime};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::cli::{CrowdMode, Options};
use crate::event_loop::clock::monotonic_now;
use crate::event_loop::readiness::Readiness;
use crate::event_loop::{
    Context, Control, Deadline, Key, Link, Next, Now, Side, Stage, Tick, transport,
};
use crate::http::url::Url;
use crate::limits::{DRIVE_BYTES_MAX, SCRATCH_BYTES};
use crate::tools::TaskState;

use super::leader::{OpeningPace, Sources};
use super::member::{Member, status_of};
use super::report::{Crowd, Ending};

/// A member on its way in, the server's side of its connection, and all that it meets.
struct Stand {
    member: Member,
    server: Option<TcpStream>,
    shared: TaskState,
    ready: Readiness,
    now: Tick,
}

const DRIP: Duration = Duration::from_secs(10);

impl Stand {
    fn new(mode: CrowdMode, request: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = transport::connect(
            listener.local_addr().unwrap(),
            transport::ConnectOptions::default(),
        )
        .unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        let (member, _) = Member::new(socket, Tick(0));
        let mut shared = TaskState {
            crowd: crowd(mode, 1),
            ..TaskState::default()
        };
        shared.crowd.request = request.to_vec();
        shared.crowd.begun += 1;
        let mut stand = Self {
            member,
            server: Some(server),
            shared,
            ready: Readiness::NONE,
            now: Tick(0),
        };
        stand.wait_for(PollFlags::OUT);
        stand.ready.set(Side::Either);
        stand
    }

    /// Waits until the kernel has brought what the server did.
    fn wait_for(&mut self, what: PollFlags) {
        let mut sockets = [PollFd::new(&self.member.stream.transport, what)];
        poll(&mut sockets, None).unwrap();
    }

    fn crowd(&self) -> &Crowd {
        &self.shared.crowd
    }

    /// The server sends something.
    fn sends(&mut self, bytes: &[u8]) {
        let server = self.server.as_mut().unwrap();
        server.write_all(bytes).unwrap();
        self.wait_for(PollFlags::IN);
    }

    /// The server ends its side.
    fn ends(&mut self) {
        let server = self.server.as_ref().unwrap();
        server.shutdown(std::net::Shutdown::Write).unwrap();
        self.wait_for(PollFlags::IN);
    }

    /// The server resets the connection.
    fn resets(&mut self) {
        let server = self.server.take().unwrap();
        rustix::net::sockopt::set_socket_linger(&server, Some(Duration::ZERO)).unwrap();
        drop(server);
        self.wait_for(PollFlags::IN);
    }

    /// A drive `seconds` later.
    fn drive(&mut self, seconds: u32, expired: bool) -> Next {
        self.now = Tick(self.now.0 + seconds * 1000);
        let mut cx = Context {
            link: Link::new(Key::for_test(1), self.ready, DRIVE_BYTES_MAX),
            now: Now {
                tick: self.now,
                instant: monotonic_now(),
                wall: SystemTime::UNIX_EPOCH,
                turn: 0,
            },
            expired,
            deadline: self.now,
            stage: Stage::Running,
            scratch: &mut vec![0; SCRATCH_BYTES],
            shared: &mut self.shared,
            control: &mut Control::default(),
        };
        let next = self.member.drive(&mut cx);
        self.ready = cx.link.ready;
        if let Next::Park(side, _) = next {
            assert!(!self.ready.is(side), "parked on a set bit");
        }
        next
    }

    fn edge(&mut self) -> Next {
        self.ready.set(Side::Read);
        self.drive(1, false)
    }

    /// What the member has said since the last time.
    fn said(&mut self) -> String {
        let mut said = String::new();
        let end = self.server.as_mut().unwrap().read_to_string(&mut said);
        assert!(end.is_err(), "it is still there");
        said
    }

    fn verdict(&self) -> String {
        self.crowd().text()
    }
}

fn crowd(mode: CrowdMode, clients: u32) -> Crowd {
    let mut options = Options::default();
    (options.mode, options.clients, options.drip) = (mode, clients, DRIP);
    let mut crowd = Crowd::new(&options, ([127, 0, 0, 1], 8080).into());
    crowd.opening = Duration::from_millis(500);
    crowd.held = Duration::from_secs(30);
    crowd
}

const IDLE: Next = Next::Park(Side::Read, Deadline::Never);

#[test]
fn the_silent_say_nothing_and_hear_the_end() {
    let mut stand = Stand::new(CrowdMode::Silent, b"");
    assert_eq!(stand.drive(0, false), IDLE);
    assert_eq!(stand.said(), "");
    stand.sends(b"HTTP/1.1 408 \r\n\r\n");
    assert_eq!(stand.edge(), IDLE, "an answer is no end");
    assert_eq!(stand.crowd().open(), 1);
    stand.ends();
    assert_eq!(stand.edge(), Next::Leave);
    let verdict = stand.verdict();
    assert!(verdict.contains("answered: 408 to 1\n"), "{verdict}");
    assert!(
        verdict.contains("closed by the server after 2.0 s, 408 said: 1\n"),
        "{verdict}"
    );
    assert!(
        verdict.ends_with("verdict: none of 1 stayed\n"),
        "{verdict}"
    );
}

#[test]
fn who_asks_once_keeps_nothing_once_the_answer_is_whole() {
    let mut stand = Stand::new(CrowdMode::KeepAlive, b"GET");
    stand.sends(b"HTTP/1.1 200 OK\r\nContent-Le");
    assert_eq!(stand.drive(0, false), IDLE);
    assert!(stand.member.answer.is_some());
    assert!(stand.verdict().contains("without an answer: 1\n"));
    assert!(
        stand
            .verdict()
            .ends_with("stayed, but not all were answered\n")
    );
    stand.sends(b"ngth: 5\r\n\r\nhel");
    assert_eq!(stand.edge(), IDLE);
    assert!(stand.member.answer.is_some());
    stand.sends(b"lo");
    assert_eq!(stand.edge(), IDLE);
    assert!(stand.member.answer.is_none());
    assert_eq!(stand.said(), "GET");
    assert!(
        stand
            .verdict()
            .ends_with("verdict: all 1 stayed for 30.0 s\n")
    );
    stand.resets();
    assert_eq!(stand.edge(), Next::Leave);
    let verdict = stand.verdict();
    assert!(
        verdict.contains("reset by the server after 3.0 s, 200 said: 1\n"),
        "{verdict}"
    );
}

#[test]
fn what_is_no_http_is_told_apart() {
    let mut stand = Stand::new(CrowdMode::KeepAlive, b"GET");
    stand.sends(b"220 mail.example ESMTP\r\n\r\n");
    assert_eq!(stand.drive(0, false), Next::Leave);
    assert!(stand.verdict().contains("no HTTP"), "{}", stand.verdict());
}

#[test]
fn a_head_grows_by_a_byte_a_drip_until_there_is_an_answer() {
    let drips = Next::Park(Side::Read, Deadline::At(Tick(0).after(DRIP)));
    let mut stand = Stand::new(CrowdMode::HalfHead, b"GET / HTTP/1.1\r\nX: ");
    assert_eq!(stand.drive(0, false), drips);
    for _ in 0..3 {
        let next = stand.drive(11, true);
        assert_eq!(
            next,
            Next::Park(Side::Read, Deadline::At(stand.now.after(DRIP)))
        );
    }
    assert_eq!(stand.said(), "GET / HTTP/1.1\r\nX: xxx");
    // An edge that brings nothing is no reason to drip sooner, or later.
    assert_eq!(stand.edge(), Next::Park(Side::Read, Deadline::Keep));
    stand.sends(b"HTTP/1.1 408 Request Timeout\r\n");
    assert_eq!(stand.edge(), IDLE);
    stand.ends();
    assert_eq!(stand.edge(), Next::Leave);
    assert_eq!(stand.said(), "", "nothing more");
}

#[test]
fn a_drip_that_is_not_taken_is_the_end() {
    let mut stand = Stand::new(CrowdMode::HalfHead, b"GET");
    assert!(matches!(stand.drive(0, false), Next::Park(..)));
    stand.resets();
    assert_eq!(stand.drive(11, true), Next::Leave);
    assert_eq!(stand.crowd().gone(), 1);
}

#[test]
fn a_slow_reader_takes_a_sip_at_a_time() {
    let mut stand = Stand::new(CrowdMode::SlowRead, b"GET");
    stand.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    for sips in 1..=2 {
        let next = stand.drive(if sips == 1 { 0 } else { 11 }, sips > 1);
        assert_eq!(next, Next::Sleep(stand.now.after(DRIP)));
        assert_eq!(stand.crowd().bytes_in, 16 * sips);
    }
    assert!(stand.verdict().contains("answered: 200 to 1\n"));
}

#[test]
fn who_comes_and_goes_leaves_at_once_or_with_its_answer() {
    let mut stand = Stand::new(CrowdMode::Churn, b"");
    assert_eq!(stand.drive(0, false), Next::Leave);
    assert_eq!((stand.crowd().went, stand.crowd().open()), (1, 0));
    // HTTP/1.0 servers end an answer by closing.
    let mut stand = Stand::new(CrowdMode::Churn, b"GET");
    stand.sends(b"HTTP/1.0 200 OK\r\n\r\nhello");
    assert_eq!(stand.drive(0, false), IDLE);
    stand.ends();
    assert_eq!(stand.edge(), Next::Leave);
    assert_eq!((stand.crowd().went, stand.crowd().gone()), (1, 0));
    let mut stand = Stand::new(CrowdMode::Churn, b"GET");
    stand.ends();
    assert_eq!(stand.drive(0, false), Next::Leave);
    assert_eq!((stand.crowd().went, stand.crowd().gone()), (0, 1));
    assert!(
        stand
            .verdict()
            .contains("verdict: 1 did not get what they came for")
    );
}

#[test]
fn the_same_bytes_count_the_same_however_they_are_cut() {
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for cut in 1..whole.len() {
        let mut stand = Stand::new(CrowdMode::Churn, b"GET");
        stand.sends(&whole[..cut]);
        assert_eq!(stand.drive(0, false), IDLE, "{cut}");
        stand.sends(&whole[cut..]);
        assert_eq!(stand.edge(), Next::Leave, "{cut}");
        assert_eq!(stand.crowd().went, 1, "{cut}");
    }
}

#[test]
fn a_status_is_found_where_one_stands() {
    assert_eq!(status_of(b"HTTP/1.1 503 "), Some(503));
    assert_eq!(status_of(b"HTTP/1.0 200"), Some(200));
    for none in [
        &b""[..],
        b"HTTP/1.1 20",
        b"HTTP/2 200 x",
        b"HTTP/1.1  99 ",
        b"220 smtp",
        b"HTTP/1.1 +12",
    ] {
        assert_eq!(status_of(none), None, "{none:?}");
    }
}

#[test]
fn the_verdict_names_every_way_to_fail() {
    let mut crowd = crowd(CrowdMode::Silent, 10);
    crowd.trouble = Some("no port is left".to_owned());
    crowd.interrupted = true;
    crowd.options.probe = Url::parse("http://localhost/").ok();
    for _ in 0..7 {
        crowd.begun += 1;
    }
    let [refused, failed] = [Errno::CONNREFUSED, Errno::PERM].map(|e| Some(e.into()));
    for why in [refused, Some(Errno::CONNRESET.into()), None, failed] {
        crowd.missed(why);
    }
    for _ in 0..3 {
        crowd.got_in += 1;
    }
    for age in [60_000, 61_500] {
        crowd.ended(Ending::Closed, 0, Duration::from_millis(age));
    }
    assert_eq!(
        crowd.text(),
        "127.0.0.1:8080: 10 clients that say nothing\n\
         got in: 3 in 0.5 s\n\
         not tried: 3\n\
         refused: 2\n\
         not answered within 10 s: 1\n\
         failed to connect: 1\n\
         stopped opening: no port is left\n\
         closed by the server after 60.0 to 61.5 s: 2\n\
         bytes: 0 B sent, 0 B received\n\
         honest client, before: p50 -, p99 - (0 answers)\n\
         honest client, beside them: p50 -, p99 - (0 answers)\n\
         verdict: interrupted; 1 of 10 stayed\n"
    );
    assert_eq!(
        crowd.line(Some(Duration::from_millis(1500))),
        "1 open, 2 refused, 2 not let in, 2 closed after 60.0 to 61.5 s, 0 B in, 2 s left"
    );
    let json = crowd.json();
    for part in [
        "\"refused\": 2, \"unanswered\": 1, \"failed\": 1, \"untried\": 3",
        "{\"how\": \"closed\", \"status\": null, \"count\": 2, \"after_ms_min\": 60000, \
         \"after_ms_max\": 61500}",
        "\"before\": {\"answers\": 0, \"failed\": 0, \"p50_ms\": null, \"p99_ms\": null}",
        "\"trouble\": \"no port is left\"",
        "\"stayed\": false",
    ] {
        assert!(json.contains(part), "{part} in {json}");
    }
}

#[test]
fn the_pace_is_kept_and_arrears_are_bounded() {
    let begin = monotonic_now();
    let at = |millis| begin + Duration::from_millis(millis);
    let mut pace = OpeningPace::new(1000, begin);
    assert_eq!(pace.due(at(0)), 0);
    assert_eq!(pace.due(at(10)), 10);
    pace.spend(4);
    assert_eq!(pace.due(at(10)), 6, "what was not opened is still due");
    pace.spend(6);
    assert_eq!(pace.due(at(5000)), 100, "not five thousand at once");
    let mut slow = OpeningPace::new(1, begin);
    let opened: u64 = (1..=300)
        .map(|turn| {
            let due = slow.due(at(turn * 10));
            slow.spend(due);
            due
        })
        .sum();
    assert_eq!(opened, 3, "one a second, whatever the turns");
    let mut fast = OpeningPace::new(u32::MAX, begin);
    assert!(fast.due(at(1)) > 4_000_000);
}

#[test]
fn sources_go_round_and_leave_out_the_first_and_the_last() {
    let mut sources = Sources::new(CrowdMode::Silent);
    let mut seen = Vec::new();
    loop {
        sources.turn();
        match sources.options.source {
            Some(source) => seen.push(source),
            None => break,
        }
    }
    assert_eq!(seen.len(), 253);
    assert_eq!(seen.first(), Some(&Ipv4Addr::new(127, 0, 0, 2).into()));
    assert_eq!(seen.last(), Some(&Ipv4Addr::new(127, 0, 0, 254).into()));
}
