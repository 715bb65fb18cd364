//! How idler ends: signals, those who are still being served, and the log that is reopened on the way.
//!
//! It may not know the loop. Invariant: what was promised to a client is kept, or cut off visibly.
//! Read next: `logs.rs`.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::http::Trouble;
use crate::support::{Client, Idler, PATIENCE, Running, Site, fixture_site, wait_until};

/// More than all the buffers between two sockets hold.
const LARGE: u64 = 64 << 20;

/// What nobody should have to wait for who has nothing to finish.
const AT_ONCE: Duration = Duration::from_secs(5);

/// The time that has passed at the least after `300ms`: idler's clock ticks in milliseconds.
const SHORT_TIME: Duration = Duration::from_millis(298);

fn large_site() -> Site {
    let site = Site::with(&[("small.txt", b"small\n")]);
    site.sparse("large.bin", LARGE);
    site
}

/// A client that has read the head of a long reply and no more.
fn busy(idler: &Running) -> Client {
    let mut client = idler.client();
    client.ask("GET", "/large.bin", "");
    assert_eq!(client.reply_head().status, 200);
    client
}

fn refuses(idler: &Running) {
    let address = idler.address();
    wait_until("the listener to be closed", PATIENCE, || {
        TcpStream::connect(address).err()
    });
}

fn idle_ones_leave_at_once(signal: Signal) {
    let mut idler = Idler::serve(fixture_site()).start();
    let mut fresh = idler.client();
    let mut used = idler.client();
    assert_eq!(used.get("/hello.txt").status, 200);
    let begin = Instant::now();
    idler.signal(signal);
    fresh.expect_closed();
    used.expect_closed();
    assert_eq!(idler.exit_within(AT_ONCE), Some(0));
    assert!(begin.elapsed() < AT_ONCE);
}

#[test]
fn sigterm_lets_the_idle_go_at_once() {
    idle_ones_leave_at_once(Signal::TERM);
}

#[test]
fn sigint_does_the_same() {
    idle_ones_leave_at_once(Signal::INT);
}

#[test]
fn who_is_being_served_is_served_to_the_end() {
    let site = large_site();
    let mut idler = Idler::serve(site.path()).start();
    let mut client = busy(&idler);
    idler.signal(Signal::TERM);
    refuses(&idler);
    assert!(idler.is_alive());
    let body = client.read_to_end().expect("the rest of the reply");
    assert_eq!(body.len() as u64, LARGE);
    assert_eq!(idler.exit_within(AT_ONCE), Some(0));
}

#[test]
fn a_request_on_its_way_is_answered_and_told_that_it_was_the_last() {
    let mut idler = Idler::serve(fixture_site()).start();
    let mut client = idler.client();
    client
        .send("GET /hello.txt HTTP/1.1\r\nHost:")
        .expect("sent");
    // The server has seen the beginning: another connection's request came after it.
    assert_eq!(idler.get("/hello.txt").status, 200);
    idler.signal(Signal::TERM);
    refuses(&idler);
    client.send(" idler\r\n\r\n").expect("sent");
    let reply = client.reply();
    assert_eq!(reply.body, b"hello\n");
    assert!(reply.says_close(), "{:?}", reply.headers);
    client.expect_closed();
    assert_eq!(idler.exit_within(AT_ONCE), Some(0));
}

#[test]
fn who_waits_in_the_queue_is_served() {
    // The process is stopped while they connect, so that they wait in the kernel's queue when it ends.
    let mut idler = Idler::serve(fixture_site()).start();
    idler.stand_still();
    let mut clients: Vec<Client> = (0..20).map(|_| idler.client()).collect();
    for client in &mut clients {
        client.ask("GET", "/hello.txt", "");
    }
    idler.signal(Signal::TERM);
    idler.signal(Signal::CONT);
    for client in &mut clients {
        assert_eq!(client.reply().body, b"hello\n");
        client.expect_closed();
    }
    assert_eq!(idler.exit_within(AT_ONCE), Some(0));
}

/// What idler cut off itself is a line like any other.
#[track_caller]
fn is_logged_as_far_as_it_went(idler: &Running) {
    let line = &idler.lines(1)[0];
    let (_, after) = line
        .split_once("\"GET /large.bin HTTP/1.1\" 200 ")
        .expect(line);
    let bytes: u64 = after
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .expect(line);
    assert!((1..LARGE).contains(&bytes), "{line}");
}

#[test]
fn those_who_never_finish_are_cut_off_after_the_grace() {
    let site = large_site();
    let mut idler = Idler::serve(site.path())
        .args(&["--grace", "300ms"])
        .start();
    let mut client = busy(&idler);
    let begin = Instant::now();
    idler.signal(Signal::TERM);
    assert_eq!(
        idler.exit_within(AT_ONCE),
        Some(1),
        "somebody did not leave by themselves"
    );
    assert!(begin.elapsed() >= SHORT_TIME, "after {:?}", begin.elapsed());
    assert!(idler.stderr().contains("grace"), "{}", idler.stderr());
    let rest = client.read_to_end();
    assert!(
        matches!(&rest, Err(Trouble::Reset)) || rest.is_ok_and(|body| (body.len() as u64) < LARGE),
        "a reply that is cut off cannot be taken for a whole one"
    );
    is_logged_as_far_as_it_went(&idler);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let site = large_site();
    let mut idler = Idler::serve(site.path()).args(&["--grace", "1h"]).start();
    let _client = busy(&idler);
    idler.signal(Signal::TERM);
    refuses(&idler);
    assert!(idler.is_alive());
    idler.signal(Signal::INT);
    assert_eq!(idler.exit_within(AT_ONCE), Some(1));
    is_logged_as_far_as_it_went(&idler);
}

#[test]
fn while_it_drains_it_answers_and_keeps_nobody() {
    let mut idler = Idler::serve(fixture_site())
        .args(&["--drain-delay", "1h"])
        .start();
    let mut kept = idler.client();
    assert_eq!(kept.get("/hello.txt").status, 200);
    idler.signal(Signal::TERM);
    // From some moment on, every reply says that it is the last.
    let reply = wait_until("a reply that says close", PATIENCE, || {
        let reply = idler.get("/hello.txt");
        assert_eq!(reply.body, b"hello\n");
        reply.says_close().then_some(reply)
    });
    assert_eq!(reply.status, 200);
    assert!(idler.is_alive());
    idler.signal(Signal::TERM);
    assert_eq!(idler.exit_within(AT_ONCE), Some(1));
}

#[test]
fn it_leaves_by_itself_when_the_drain_is_over() {
    let mut idler = Idler::serve(fixture_site())
        .args(&["--drain-delay", "300ms"])
        .start();
    let begin = Instant::now();
    idler.signal(Signal::TERM);
    assert_eq!(idler.exit_within(AT_ONCE), Some(0));
    assert!(begin.elapsed() >= SHORT_TIME);
}

#[test]
fn sighup_reopens_the_log() {
    let site = large_site();
    let log = site.beside("access.log");
    let mut idler = Idler::serve(site.path())
        .arg("--access-log")
        .arg(&log)
        .start();
    let line = |path: &std::path::Path, what: &str| {
        wait_until("a line in the log", PATIENCE, || {
            let text = std::fs::read_to_string(path).ok()?;
            (text.contains(what) && text.ends_with('\n')).then_some(text)
        })
    };
    assert_eq!(idler.get("/small.txt?one").status, 200);
    line(&log, "?one");
    let rotated = site.beside("access.log.1");
    std::fs::rename(&log, &rotated).expect("logs can be renamed");
    assert_eq!(idler.get("/small.txt?two").status, 200);
    line(&rotated, "?two");
    // Somebody is served all the while, and does not notice.
    let mut client = busy(&idler);
    idler.signal(Signal::HUP);
    wait_until("the log under its old name", PATIENCE, || {
        log.exists().then_some(())
    });
    assert_eq!(idler.get("/small.txt?three").status, 200);
    assert!(!line(&log, "?three").contains("?two"));
    assert_eq!(line(&rotated, "?two").lines().count(), 2);
    let body = client.try_exactly(usize::try_from(LARGE).expect("64 bits"));
    assert!(body.is_ok_and(|b| b.iter().all(|byte| *byte == 0)));
    idler.stop();
}

#[test]
fn sigpipe_and_sighup_without_a_log_harm_nobody() {
    let mut idler = Idler::serve(fixture_site()).start();
    for signal in [Signal::PIPE, Signal::HUP, Signal::PIPE] {
        idler.signal(signal);
        assert_eq!(idler.get("/hello.txt").status, 200);
    }
    idler.stop();
}

#[test]
fn clients_that_reset_harm_nobody() {
    let site = large_site();
    let idler = Idler::serve(site.path()).start();
    for _ in 0..50 {
        // In the middle of a reply, of a head, and before anything.
        busy(&idler).reset();
        let mut client = idler.client();
        client.send("GET / HT").expect("sent");
        client.reset();
        idler.client().reset();
    }
    assert_eq!(idler.get("/small.txt").body, b"small\n");
    idler.stop();
}

/// More connections than one turn of the loop takes in.
#[test]
fn who_connected_just_before_and_said_nothing_does_not_hold_it_up() {
    let mut idler = Idler::serve(fixture_site()).start();
    idler.stand_still();
    let silent: Vec<Client> = (0..200).map(|_| idler.client()).collect();
    idler.signal(Signal::TERM);
    idler.signal(Signal::CONT);
    assert_eq!(idler.exit_within(AT_ONCE), Some(0));
    drop(silent);
}

#[test]
fn who_ends_a_body_after_the_signal_is_let_go() {
    let mut idler = Idler::serve(fixture_site()).start();
    let mut client = idler.client();
    client.ask("POST", "/hello.txt", "Content-Length: 10\r\n");
    client.send("01234").expect("sent");
    assert_eq!(client.reply().status, 405);
    idler.signal(Signal::TERM);
    refuses(&idler);
    client.send("56789").expect("sent");
    client.expect_closed();
    assert_eq!(idler.exit_within(AT_ONCE), Some(0));
}
