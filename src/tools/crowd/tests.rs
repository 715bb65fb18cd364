//! The crowd without sockets: scripted transports, clocks that are handed in.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::time::Duration;

use crate::cli::CrowdMode;
use crate::event_loop::readiness::Readiness;
use crate::event_loop::{Deadline, Key, Link, Next, Peer, Side, Tick, Transport};
use crate::limits::{DRIVE_BYTES_MAX, SCRATCH_BYTES};

use super::Crowd;
use crate::tools::crowd::latencies::Latencies;
use crate::tools::crowd::member::Member;
use crate::tools::crowd::tally::{Ending, Missed, Tally, status_of};
use crate::tools::crowd::verdict::Circumstances;

/// A server as its client sees it: what each read gives. Whatever is said is taken.
#[derive(Default, Debug)]
struct Scripted {
    reads: VecDeque<Read>,
    said: Vec<u8>,
    broken: bool,
}

#[derive(Debug)]
enum Read {
    Bytes(&'static [u8]),
    Nothing,
    End,
    Reset,
}

impl Transport for Scripted {
    fn recv(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.reads.pop_front().unwrap_or(Read::Nothing) {
            // One that is short of its room shows, like the kernel's, that there is no more.
            Read::Bytes(bytes) => {
                let n = bytes.len().min(into.len());
                into[..n].copy_from_slice(&bytes[..n]);
                if n < bytes.len() {
                    self.reads.push_front(Read::Bytes(&bytes[n..]));
                }
                Ok(n)
            }
            Read::Nothing => Err(rustix::io::Errno::WOULDBLOCK.into()),
            Read::End => Ok(0),
            Read::Reset => Err(rustix::io::Errno::CONNRESET.into()),
        }
    }

    fn send(&mut self, bytes: &[u8], _more: bool) -> io::Result<usize> {
        if self.broken {
            return Err(rustix::io::Errno::PIPE.into());
        }
        self.said.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn send_file(&mut self, _: &File, _: u64, _: usize) -> io::Result<usize> {
        panic!("no client sends files")
    }

    fn shut_down_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn peer(&self) -> Peer {
        Peer::Gone
    }

    fn unacknowledged(&self) -> Option<u32> {
        None
    }
}

/// A member that has just got in, and all it meets.
struct Stand {
    member: Member<Scripted>,
    crowd: Crowd,
    ready: Readiness,
    now: Tick,
}

const DRIP: Duration = Duration::from_secs(10);

impl Stand {
    fn new(mode: CrowdMode, words: &[u8], reads: impl IntoIterator<Item = Read>) -> Self {
        let reads = reads.into_iter().collect();
        let scripted = Scripted {
            reads,
            ..Scripted::default()
        };
        let mut crowd = Crowd {
            mode,
            words: words.to_vec(),
            drip: DRIP,
            ..Crowd::default()
        };
        crowd.tally.began();
        crowd.tally.got_in();
        let mut ready = Readiness::NONE;
        ready.set(Side::Either);
        Self {
            member: Member::connected(scripted, Tick(0)),
            crowd,
            ready,
            now: Tick(0),
        }
    }

    /// An edge, if there is one, and a drive `seconds` later.
    fn drive(&mut self, seconds: u32, expired: bool) -> Next {
        self.now = Tick(self.now.0 + seconds * 1000);
        let mut link = Link::new(Key::for_test(1), self.ready, DRIVE_BYTES_MAX);
        let mut scratch = vec![0; SCRATCH_BYTES];
        let next = self
            .member
            .stay(&mut link, self.now, expired, &mut scratch, &mut self.crowd);
        self.ready = link.ready;
        if let Next::Park(side, _) = next {
            assert!(!self.ready.is(side), "parked on a set bit");
        }
        next
    }

    fn edge(&mut self) -> Next {
        self.ready.set(Side::Read);
        self.drive(1, false)
    }

    fn said(&mut self) -> String {
        let said = &self.member.transport().said;
        String::from_utf8(said.clone()).unwrap()
    }

    fn verdict(&self) -> String {
        self.crowd
            .tally
            .text(&about(self.crowd.mode, 1), [&Latencies::default(); 2])
    }
}

fn about(mode: CrowdMode, asked: u32) -> Circumstances {
    Circumstances {
        target: "127.0.0.1:8080".to_owned(),
        mode,
        drip: DRIP,
        asked,
        opening: Duration::from_millis(500),
        held: Duration::from_secs(30),
        interrupted: false,
        trouble: None,
        probe: None,
    }
}

const IDLE: Next = Next::Park(Side::Read, Deadline::Never);

#[test]
fn the_silent_say_nothing_and_hear_the_end() {
    let mut stand = Stand::new(CrowdMode::Silent, b"", [Read::Nothing]);
    assert_eq!(stand.drive(0, false), IDLE);
    assert_eq!(stand.said(), "");
    stand.member.transport().reads = [Read::Bytes(b"HTTP/1.1 408 \r\n\r\n")].into();
    assert_eq!(stand.edge(), IDLE, "an answer is no end");
    assert_eq!(stand.crowd.tally.open, 1);
    stand.member.transport().reads = [Read::End].into();
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
    let answer = [
        Read::Bytes(b"HTTP/1.1 200 OK\r\nContent-Le"),
        Read::Bytes(b"ngth: 5\r\n\r\nhel"),
        Read::Bytes(b"lo"),
    ];
    let mut stand = Stand::new(CrowdMode::KeepAlive, b"GET", answer);
    assert_eq!(stand.drive(0, false), IDLE);
    assert!(stand.member.waits_for_more());
    assert!(stand.verdict().contains("without an answer: 1\n"));
    assert!(
        stand
            .verdict()
            .ends_with("stayed, but not all were answered\n")
    );
    assert_eq!(stand.edge(), IDLE);
    assert!(stand.member.waits_for_more());
    assert_eq!(stand.edge(), IDLE);
    assert!(!stand.member.waits_for_more());
    assert_eq!(stand.said(), "GET");
    assert!(
        stand
            .verdict()
            .ends_with("verdict: all 1 stayed for 30.0 s\n")
    );
    stand.member.transport().reads = [Read::Reset].into();
    assert_eq!(stand.edge(), Next::Leave);
    let verdict = stand.verdict();
    assert!(
        verdict.contains("reset by the server after 3.0 s, 200 said: 1\n"),
        "{verdict}"
    );
}

#[test]
fn what_is_no_http_is_told_apart() {
    let mut stand = Stand::new(
        CrowdMode::KeepAlive,
        b"GET",
        [Read::Bytes(b"220 mail.example ESMTP\r\n\r\n")],
    );
    assert_eq!(stand.drive(0, false), Next::Leave);
    assert!(stand.verdict().contains("no HTTP"), "{}", stand.verdict());
}

#[test]
fn a_head_grows_by_a_byte_a_drip_until_there_is_an_answer() {
    let drips = Next::Park(Side::Read, Deadline::At(Tick(0).after(DRIP)));
    let mut stand = Stand::new(
        CrowdMode::HalfHead,
        b"GET / HTTP/1.1\r\nX: ",
        [Read::Nothing],
    );
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
    stand.member.transport().reads = [Read::Bytes(b"HTTP/1.1 408 Request Timeout\r\n")].into();
    assert_eq!(stand.edge(), IDLE);
    stand.member.transport().reads = [Read::End].into();
    assert_eq!(stand.edge(), Next::Leave);
    assert_eq!(stand.said(), "GET / HTTP/1.1\r\nX: xxx");
}

#[test]
fn a_drip_that_is_not_taken_is_the_end() {
    let mut stand = Stand::new(CrowdMode::HalfHead, b"GET", []);
    assert!(matches!(stand.drive(0, false), Next::Park(..)));
    stand.member.transport().broken = true;
    assert_eq!(stand.drive(11, true), Next::Leave);
    assert_eq!(stand.crowd.tally.gone(), 1);
}

#[test]
fn a_slow_reader_takes_a_sip_at_a_time() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let mut stand = Stand::new(CrowdMode::SlowRead, b"GET", [Read::Bytes(answer)]);
    for sips in 1..=2 {
        let next = stand.drive(if sips == 1 { 0 } else { 11 }, sips > 1);
        assert_eq!(next, Next::Sleep(stand.now.after(DRIP)));
        assert_eq!(stand.crowd.tally.bytes_in, 16 * sips);
    }
    assert!(stand.verdict().contains("answered: 200 to 1\n"));
}

#[test]
fn who_comes_and_goes_leaves_at_once_or_with_its_answer() {
    let mut stand = Stand::new(CrowdMode::Churn, b"", []);
    assert_eq!(stand.drive(0, false), Next::Leave);
    assert_eq!((stand.crowd.tally.went, stand.crowd.tally.open), (1, 0));
    // HTTP/1.0 servers end an answer by closing.
    let answer = [Read::Bytes(b"HTTP/1.0 200 OK\r\n\r\nhello"), Read::End];
    let mut stand = Stand::new(CrowdMode::Churn, b"GET", answer);
    assert_eq!(stand.drive(0, false), IDLE);
    assert_eq!(stand.edge(), Next::Leave);
    assert_eq!((stand.crowd.tally.went, stand.crowd.tally.gone()), (1, 0));
    let mut stand = Stand::new(CrowdMode::Churn, b"GET", [Read::End]);
    assert_eq!(stand.drive(0, false), Next::Leave);
    assert_eq!((stand.crowd.tally.went, stand.crowd.tally.gone()), (0, 1));
    assert!(
        stand
            .verdict()
            .contains("verdict: 1 did not get what they came for")
    );
}

#[test]
fn the_same_bytes_count_the_same_however_they_are_cut() {
    let whole: &'static [u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for cut in 1..whole.len() {
        let reads = [Read::Bytes(&whole[..cut]), Read::Bytes(&whole[cut..])];
        let mut stand = Stand::new(CrowdMode::Churn, b"GET", reads);
        assert_eq!(stand.drive(0, false), IDLE, "{cut}");
        assert_eq!(stand.edge(), Next::Leave, "{cut}");
        assert_eq!(stand.crowd.tally.went, 1, "{cut}");
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
fn percentiles_are_right_to_a_part_in_sixty_four() {
    let mut latencies = Latencies::default();
    assert_eq!(latencies.percentile(50), None);
    for micros in 1..=1000 {
        latencies.count(Duration::from_micros(micros * 10));
    }
    for (percent, micros) in [(0, 10.0), (50, 5000.0), (99, 9900.0), (100, 10_000.0)] {
        let found = latencies.percentile(percent).unwrap().as_secs_f64() * 1e6;
        assert!(
            (found / micros - 1.0).abs() < 1.0 / 64.0,
            "{percent} %: {found}"
        );
    }
    // What no clock says is counted all the same.
    latencies.count(Duration::ZERO);
    latencies.count(Duration::MAX);
    assert_eq!(latencies.answers, 1002);
    assert!(latencies.percentile(100).unwrap() > Duration::from_secs(60));
}

#[test]
fn the_verdict_names_every_way_to_fail() {
    let mut tally = Tally::default();
    for _ in 0..7 {
        tally.began();
    }
    for why in [
        Missed::Refused,
        Missed::Refused,
        Missed::Unanswered,
        Missed::Failed,
    ] {
        tally.missed(why);
    }
    for _ in 0..3 {
        tally.got_in();
    }
    for age in [60_000, 61_500] {
        tally.ended(Ending::Closed, 0, Duration::from_millis(age));
    }
    let about = Circumstances {
        trouble: Some("no port is left".to_owned()),
        probe: Some("http://localhost/".to_owned()),
        interrupted: true,
        ..about(CrowdMode::Silent, 10)
    };
    let none = Latencies::default();
    assert_eq!(
        tally.text(&about, [&none, &none]),
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
        tally.line(Some(Duration::from_millis(1500))),
        "1 open, 2 refused, 2 not let in, 2 closed after 60.0 to 61.5 s, 0 B in, 2 s left"
    );
    let json = tally.json(&about, [&none, &none]);
    for part in [
        "\"refused\": 2, \"unanswered\": 1, \"failed\": 1, \"untried\": 3",
        "{\"how\": \"closed\", \"status\": null, \"count\": 2, \"after_ms_min\": 60000, \"after_ms_max\": 61500}",
        "\"before\": {\"answers\": 0, \"failed\": 0, \"p50_ms\": null, \"p99_ms\": null}",
        "\"trouble\": \"no port is left\"",
        "\"stayed\": false",
    ] {
        assert!(json.contains(part), "{part} in {json}");
    }
}
