//! What a client may cost, in time, bytes and connections, and what it is told beyond.
//!
//! It may not know the numbers in the program: each test sets its own. Invariant: whoever is cut off, the log names the limit that did it.
//! Read next: `footprint.rs`.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::support::http::Trouble;
use crate::support::{Client, Idler, PATIENCE, Running, Site, fixture_site, wait_until, watch_for};

/// A deadline that a test can wait for.
const SHORT: &str = "300ms";

/// The time that has passed at the least when it has come: idler's clock ticks in milliseconds.
const SHORT_TIME: Duration = Duration::from_millis(298);

/// How late idler may be on a machine with other things to do.
const LATE: Duration = Duration::from_secs(5);

/// A site with a reply longer than all buffers between two sockets.
fn large_site() -> Site {
    let site = Site::with(&[("small.txt", b"small\n")]);
    site.sparse("large.bin", 64 << 20);
    site
}

fn is_served(idler: &Running) {
    assert_eq!(idler.get("/hello.txt").body, b"hello\n");
}

#[test]
fn a_head_has_to_come_in_time() {
    let idler = Idler::serve(fixture_site())
        .args(&["--head-timeout", SHORT])
        .start();
    let mut client = idler.client();
    let begin = Instant::now();
    client.send("GET /hello.txt HTTP/1.1\r\n").expect("sent");
    let reply = client.reply();
    assert_eq!(reply.status, 408);
    assert!(reply.says_close());
    client.expect_closed();
    let took = begin.elapsed();
    assert!(took >= SHORT_TIME && took < SHORT_TIME + LATE, "{took:?}");
    idler.says(&["--head-timeout"]);
    idler.stop();
}

#[test]
fn a_byte_now_and_then_does_not_extend_it() {
    let idler = Idler::serve(fixture_site())
        .args(&["--head-timeout", "500ms"])
        .start();
    let mut client = idler.client();
    let begin = Instant::now();
    client.send("GET /hello.txt HTTP/1.1\r\n").expect("sent");
    let mut sent = 0;
    // Each look waits a moment for a reply, and so paces the bytes.
    while !client.has_heard() && begin.elapsed() < LATE {
        if client.send(&b"X: y\r\n"[sent % 6..=sent % 6]).is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent > 10, "only {sent} bytes were sent");
    assert_eq!(client.reply().status, 408);
    let took = begin.elapsed();
    assert!(
        took >= Duration::from_millis(498) && took < LATE,
        "{took:?}"
    );
    idler.stop();
}

#[test]
fn a_head_that_came_in_time_leaves_no_deadline_behind() {
    let site = large_site();
    let idler = Idler::serve(site.path())
        .args(&["--head-timeout", SHORT, "--idle-timeout", "1h"])
        .start();
    let mut client = idler.client();
    client
        .send("GET /small.txt HTTP/1.1\r\nHost: idler\r")
        .expect("sent");
    assert_eq!(idler.get("/small.txt").status, 200);
    client.send("\n\r\n").expect("sent");
    assert_eq!(client.reply().body, b"small\n");
    watch_for(SHORT_TIME * 2, || {
        assert!(!client.is_closed(), "closed by an old deadline")
    });
    assert_eq!(client.get("/small.txt").body, b"small\n");
    idler.stop();
}

#[test]
fn an_idle_connection_is_closed_in_time_and_without_a_word() {
    let idler = Idler::serve(fixture_site())
        .args(&["--idle-timeout", SHORT])
        .start();
    let begin = Instant::now();
    let mut fresh = idler.client();
    fresh.expect_closed();
    let took = begin.elapsed();
    assert!(took >= SHORT_TIME && took < SHORT_TIME + LATE, "{took:?}");
    let mut used = idler.client();
    let begin = Instant::now();
    assert_eq!(used.get("/hello.txt").status, 200);
    used.expect_closed();
    assert!(begin.elapsed() >= SHORT_TIME, "{:?}", begin.elapsed());
    idler.says(&["--idle-timeout"]);
    idler.stop();
}

#[test]
fn a_request_starts_the_idle_time_again() {
    let idler = Idler::serve(fixture_site())
        .args(&["--idle-timeout", "600ms"])
        .start();
    let mut client = idler.client();
    let begin = Instant::now();
    let mut other = idler.client();
    // As long as something is asked for now and then, the connection is kept, for longer than the limit.
    while begin.elapsed() < Duration::from_millis(1500) {
        assert_eq!(client.get("/hello.txt").status, 200);
        if !other.is_closed() {
            // The one that asks for nothing paces the one that does.
            let _ = other.has_heard();
        }
    }
    assert!(other.is_closed());
    client.expect_closed();
    idler.stop();
}

#[test]
fn a_reader_that_stops_is_given_up() {
    let site = large_site();
    let idler = Idler::serve(site.path())
        .args(&["--stall-timeout", "500ms"])
        .start();
    let mut client = idler.client();
    client.ask("GET", "/large.bin", "");
    assert_eq!(client.reply_head().status, 200);
    idler.says(&["--stall-timeout"]);
    // Nothing that it did not take is left with the kernel, which would keep it for minutes.
    let rest = client.read_to_end();
    assert!(
        matches!(rest, Err(Trouble::Reset)),
        "{:?}",
        rest.map(|b| b.len())
    );
    idler.stop();
}

#[test]
fn a_slow_reader_is_not_given_up_while_it_reads() {
    let site = large_site();
    // Not shorter: the kernels of both sides may take a second to agree that there is room again.
    let idler = Idler::serve(site.path())
        .args(&["--stall-timeout", "2500ms"])
        .start();
    let mut client = idler.client();
    client.ask("GET", "/large.bin", "");
    assert_eq!(client.reply_head().status, 200);
    let begin = Instant::now();
    let mut read = 0;
    let mut pace = idler.client();
    while begin.elapsed() < Duration::from_secs(6) {
        client.skip(256 * 1024).expect("it goes on");
        read += 256 * 1024;
        // Some milliseconds in which the server cannot send.
        for _ in 0..10 {
            let _ = pace.has_heard();
        }
    }
    let rest = client.skip((64 << 20) - read);
    assert_eq!(rest, Ok(()), "cut off after {read} bytes, or later");
    idler.stop();
}

#[test]
fn a_full_house_is_left_alone_until_somebody_knocks() {
    let idler = Idler::serve(fixture_site())
        .args(&["--max-connections", "8"])
        .start();
    let mut idle: Vec<Client> = (0..8).map(|_| idler.client()).collect();
    watch_for(SHORT_TIME, || {
        for client in &mut idle {
            assert!(!client.is_closed(), "there was room for eight");
        }
    });
    for client in &mut idle {
        assert_eq!(client.get("/hello.txt").status, 200);
    }
    idler.stop();
}

#[test]
fn who_has_just_come_does_not_make_room_for_who_comes_next() {
    let idler = Idler::serve(fixture_site())
        .args(&["--max-connections", "8"])
        .start();
    let mut old: Vec<Client> = (0..7).map(|_| idler.client()).collect();
    for client in &mut old {
        assert_eq!(client.get("/hello.txt").status, 200);
    }
    // They have been idle for a while when the others come.
    watch_for(SHORT_TIME, || {});
    let mut new: Vec<Client> = (0..4).map(|_| idler.client()).collect();
    for client in &mut new {
        assert_eq!(client.get("/hello.txt").status, 200, "it was here last");
    }
    idler.stop();
}

#[test]
fn an_idle_connection_makes_room_for_a_newcomer() {
    let idler = Idler::serve(fixture_site())
        .args(&["--max-connections", "8"])
        .start();
    let mut idle: Vec<Client> = (0..8).map(|_| idler.client()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/hello.txt").status, 200);
    }
    is_served(&idler);
    let closed = wait_until("an idle connection to be closed", PATIENCE, || {
        let closed = idle
            .iter_mut()
            .filter_map(|c| c.is_closed().then_some(()))
            .count();
        (closed > 0).then_some(closed)
    });
    assert!(closed <= 2, "{closed} were closed for one newcomer");
    idler.says(&["--max-connections"]);
    idler.stop();
}

#[test]
fn when_all_are_busy_a_newcomer_is_told_to_come_again() {
    let site = large_site();
    let idler = Idler::serve(site.path())
        .args(&["--max-connections", "4"])
        .start();
    let mut busy: Vec<Client> = (0..4).map(|_| idler.client()).collect();
    for client in &mut busy {
        client.ask("GET", "/large.bin", "");
        assert_eq!(client.reply_head().status, 200);
    }
    let mut newcomer = idler.client();
    newcomer.ask("GET", "/small.txt", "");
    let reply = newcomer.reply();
    assert_eq!(reply.status, 503);
    assert!(
        reply
            .header("retry-after")
            .is_some_and(|s| s.parse::<u32>().is_ok())
    );
    assert!(reply.says_close());
    newcomer.expect_closed();
    idler.says(&["--max-connections"]);
    // As soon as one has left, the next is served.
    drop(busy.pop());
    wait_until("room", PATIENCE, || {
        (idler.get("/small.txt").status == 200).then_some(())
    });
    let left_alone = busy.first_mut().expect("three are left").skip(64 << 20);
    assert_eq!(left_alone, Ok(()));
    drop(busy);
    idler.stop();
}

#[test]
fn out_of_descriptors_it_neither_spins_nor_ends_and_serves_again() {
    let idler = Idler::serve(fixture_site()).after("ulimit -n 64").start();
    let mut crowd: Vec<Client> = (0..300).map(|_| idler.client()).collect();
    for client in &mut crowd {
        let _ = client.send("GET /hello.txt HT");
    }
    // No spin: what it does in a second of being full is next to nothing.
    let settled = {
        let mut last = idler.proc().cpu_ticks();
        wait_until("idler to have dealt with the crowd", PATIENCE, || {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(100) {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            let now = idler.proc().cpu_ticks();
            let still = now - last <= 1;
            last = now;
            still.then_some(now)
        })
    };
    let period = Duration::from_secs(2);
    watch_for(period, || assert!(idler.proc().threads() == 1));
    let ticks = idler.proc().cpu_ticks() - settled;
    assert!(
        ticks <= 10,
        "{ticks} ticks of 10 ms in {period:?} with nothing to do"
    );
    assert!(idler.proc().descriptors() <= 64);
    drop(crowd);
    let begin = Instant::now();
    wait_until("full service", PATIENCE, || {
        let mut client = idler.client().patience(Duration::from_secs(5));
        client.ask("GET", "/hello.txt", "");
        client.try_reply(false).ok().filter(|r| r.status == 200)
    });
    assert!(begin.elapsed() < LATE, "{:?}", begin.elapsed());
    for _ in 0..50 {
        is_served(&idler);
    }
    idler.stop();
}

#[test]
fn honest_clients_are_served_among_idle_ones_when_descriptors_are_short() {
    let idler = Idler::serve(fixture_site()).after("ulimit -n 64").start();
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(idler.client());
        is_served(&idler);
    }
    idler.stop();
}

#[test]
fn ten_thousand_requests_in_one_burst_are_answered_in_order() {
    const REQUESTS: usize = 10_000;
    let site = Site::with(&[("a", b"a"), ("b", b"b")]);
    let idler = Idler::serve(site.path())
        .args(&["--access-log", "off"])
        .start();
    let mut client = idler.client();
    let before = idler.proc().anonymous_bytes();
    let mut socket = client
        .socket()
        .try_clone()
        .expect("a second handle of a socket");
    let sending = std::thread::spawn(move || {
        for index in 0..REQUESTS {
            let name = if index % 3 == 0 { 'a' } else { 'b' };
            write!(socket, "GET /{name} HTTP/1.1\r\nHost: idler\r\n\r\n").expect("sent");
        }
    });
    let mut most = 0;
    for index in 0..REQUESTS {
        let reply = client.reply();
        let name: &[u8] = if index % 3 == 0 { b"a" } else { b"b" };
        assert_eq!(
            (reply.status, reply.body.as_slice()),
            (200, name),
            "request {index}"
        );
        if index % 1000 == 0 {
            most = most.max(idler.proc().anonymous_bytes());
        }
    }
    sending.join().expect("all was sent");
    assert!(
        most.saturating_sub(before) < 1 << 20,
        "{} bytes for one client",
        most - before
    );
    idler.stop();
}

#[test]
fn a_client_that_sends_and_never_reads_costs_little() {
    let site = Site::with(&[("a.txt", &[b'a'; 30_000])]);
    let idler = Idler::serve(site.path())
        .args(&["--access-log", "off"])
        .start();
    let before = idler.proc().anonymous_bytes();
    let client = idler.client();
    let mut socket = client
        .socket()
        .try_clone()
        .expect("a second handle of a socket");
    socket
        .set_write_timeout(Some(Duration::from_millis(500)))
        .expect("a socket option");
    let request = b"GET /a.txt HTTP/1.1\r\nHost: idler\r\n\r\n".repeat(1000);
    // Until nothing goes out any more: the server has stopped reading what it cannot answer.
    let mut sent = 0;
    while let Ok(bytes) = socket.write(&request) {
        sent += bytes;
        assert!(sent < 256 << 20, "the server reads without end");
    }
    let grown = idler.proc().anonymous_bytes().saturating_sub(before);
    assert!(grown < 1 << 20, "{grown} bytes for one client");
    drop((client, socket));
    idler.stop();
}

#[test]
fn an_error_is_not_lost_although_the_client_goes_on_sending() {
    let idler = Idler::serve(fixture_site()).start();
    for _ in 0..20 {
        let mut client = idler.client();
        let mut bytes = b"GET /hello.txt HTTP/1.1\r\n\r\n".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', 500_000));
        client
            .send(bytes)
            .expect("the server reads on while it lingers");
        assert_eq!(client.reply().status, 400);
        client.expect_closed();
    }
    idler.stop();
}

#[test]
fn lingering_has_an_end() {
    let idler = Idler::serve(fixture_site()).start();
    let mut client = idler.client();
    client.send("nonsense\r\n\r\n").expect("sent");
    assert_eq!(client.reply().status, 400);
    let begin = Instant::now();
    // The client neither closes nor stops: some send has to fail.
    wait_until("the server to hang up", PATIENCE, || client.send("x").err());
    assert!(begin.elapsed() < LATE * 2, "{:?}", begin.elapsed());
    idler.stop();
}

#[test]
fn who_waits_for_a_go_ahead_is_not_left_waiting() {
    let idler = Idler::serve(fixture_site()).start();
    for method in ["POST", "GET"] {
        let mut client = idler.client();
        client.ask(
            method,
            "/hello.txt",
            "Expect: 100-continue\r\nContent-Length: 5\r\n",
        );
        let begin = Instant::now();
        let mut reply = client.reply();
        assert!(
            begin.elapsed() < LATE,
            "{method} waited {:?}",
            begin.elapsed()
        );
        if reply.status == 100 {
            client.send("abcde").expect("sent");
            reply = client.reply();
        }
        assert_eq!(reply.status, if method == "GET" { 200 } else { 405 });
        if !reply.says_close() {
            // It was asked to go on, or said that it may: what follows is understood either way.
            client.send("abcde").expect("sent");
            assert_eq!(client.get("/hello.txt").body, b"hello\n");
        }
    }
    idler.stop();
}

/// Whoever lingers, or is slow with a head, has an earlier deadline than the idle.
#[test]
fn the_idle_are_found_behind_those_who_are_not() {
    let idler = Idler::serve(fixture_site())
        .args(&["--max-connections", "100"])
        .start();
    let mut lingering = idler.client();
    lingering.send("NONSENSE\r\n\r\n").expect("sent");
    assert_eq!(lingering.reply().status, 400);
    let mut slow: Vec<Client> = (0..80).map(|_| idler.client()).collect();
    for client in &mut slow {
        client.send("GET /hello.txt HTTP/1.1\r\n").expect("sent");
    }
    let mut idle: Vec<Client> = (0..19).map(|_| idler.client()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/hello.txt").status, 200);
    }
    // One look may pass over where they are, the next does not.
    let served = (0..4)
        .filter(|_| idler.get("/hello.txt").status == 200)
        .count();
    assert!(served >= 2, "only {served} of 4 were served");
    drop((slow, lingering));
    idler.stop();
}

#[test]
fn those_who_are_refused_take_nobodys_room() {
    let site = large_site();
    let idler = Idler::serve(site.path())
        .args(&["--max-connections", "2"])
        .start();
    let mut two: Vec<Client> = (0..2).map(|_| idler.client()).collect();
    for client in &mut two {
        client.ask("GET", "/large.bin", "");
        assert_eq!(client.reply_head().status, 200);
    }
    // They are told, and linger.
    let refused: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = idler.client();
            client.ask("GET", "/small.txt", "");
            assert_eq!(client.reply().status, 503);
            client
        })
        .collect();
    for client in &mut two {
        client.skip(64 << 20).expect("the rest");
    }
    assert_eq!(idler.get("/small.txt").status, 200);
    assert!(two.iter_mut().any(|c| !c.is_closed()), "one was enough");
    drop(refused);
    idler.stop();
}

#[test]
fn out_of_descriptors_the_idle_make_room() {
    let idler = Idler::serve(fixture_site()).after("ulimit -n 24").start();
    let idle: Vec<Client> = (0..40).map(|_| idler.client()).collect();
    let mut newcomer = idler.client();
    newcomer.ask("OPTIONS", "*", "");
    assert_eq!(newcomer.reply().status, 204);
    drop(idle);
    idler.stop();
}

#[test]
fn a_crowd_that_exhausted_the_descriptors_is_forgotten_as_soon_as_it_has_left() {
    let idler = Idler::serve(fixture_site()).after("ulimit -n 24").start();
    let mut crowd: Vec<Client> = (0..500).map(|_| idler.client()).collect();
    for client in &mut crowd {
        let _ = client.send("GET /hello.txt HTTP/1.1\r\n");
    }
    drop(crowd);
    let begin = Instant::now();
    wait_until("service", PATIENCE, || {
        let reply = {
            let mut client = idler.client();
            client.ask("OPTIONS", "*", "");
            client.try_reply(false)
        };
        reply.is_ok_and(|r| r.status == 204).then_some(())
    });
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
    idler.stop();
}

/// Closing with something unread is a reset, and a reset overtakes what is on its way.
#[test]
fn what_comes_behind_the_last_request_does_not_cost_it_its_reply() {
    let site = large_site();
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    client.ask("GET", "/large.bin", "Connection: close\r\n");
    assert_eq!(client.reply_head().status, 200);
    client.send("\r\n").expect("sent");
    let rest = client.read_to_end();
    assert_eq!(rest.map(|body| body.len()), Ok(64 << 20));
    idler.stop();
}

#[test]
fn a_refused_head_request_gets_no_body() {
    let idler = Idler::serve(fixture_site()).start();
    let mut client = idler.client();
    client.send("HEAD / HTTP/1.1\r\n\r\n").expect("sent");
    assert_eq!(client.head_reply().status, 400);
    client.expect_closed();
    idler.stop();
}

#[test]
fn the_time_of_a_head_begins_behind_the_body_before_it() {
    let idler = Idler::serve(fixture_site())
        .args(&["--head-timeout", "2s"])
        .start();
    let mut client = idler.client();
    client.ask("POST", "/hello.txt", "Content-Length: 2\r\n");
    client.send("a").expect("sent");
    assert_eq!(client.reply().status, 405);
    let begin = Instant::now();
    watch_for(Duration::from_millis(1300), || {});
    client.send("bGET /hello.txt HTTP/1.1\r\n").expect("sent");
    watch_for(Duration::from_millis(1300), || {});
    client.send("Host: idler\r\n\r\n").expect("sent");
    assert!(begin.elapsed() > Duration::from_secs(2));
    assert_eq!(client.reply().status, 200);
    idler.stop();
}

#[test]
fn a_longer_head_can_be_allowed_and_a_shorter_one_demanded() {
    for (limit, fits, fails) in [("32K", 30_000, 40_000), ("2K", 1_500, 3_000)] {
        let idler = Idler::serve(fixture_site())
            .args(&["--max-head", limit])
            .start();
        let mut client = idler.client();
        client.ask("GET", "/hello.txt", &format!("X: {}\r\n", "x".repeat(fits)));
        assert_eq!(client.reply().status, 200, "{fits} bytes within {limit}");
        client.ask(
            "GET",
            "/hello.txt",
            &format!("X: {}\r\n", "x".repeat(fails)),
        );
        assert_eq!(client.reply().status, 431, "{fails} bytes beyond {limit}");
        idler.stop();
    }
}
