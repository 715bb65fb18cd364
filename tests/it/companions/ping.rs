//! UDP ping.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::{Server, nobody, run};
use crate::support::{Idler, PATIENCE, wait_until};

/// The number behind `name` in a JSON object of ours.
fn figure(json: &str, name: &str) -> u64 {
    let (_, rest) = json.split_once(&format!("\"{name}\": ")).expect(name);
    let end = rest.find([',', '}', '.']).expect("more follows");
    rest[..end].parse().expect("a number")
}

/// The numbers in a line.
fn numbers(line: &str) -> Vec<u64> {
    line.split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// What the server says at its end: heard, lost, doubled, held back, dropped.
fn farewell(mut server: Server) -> Vec<u64> {
    server.running.signal(rustix::process::Signal::INT);
    assert_eq!(server.running.exit_code(), Some(0));
    let said = server.running.stdout();
    let line = said.lines().find(|line| line.contains("pings heard"));
    numbers(line.unwrap_or_else(|| panic!("no figures in {said:?}")))
}

#[test]
fn ten_pings_come_back_in_the_layout_of_ping() {
    let server = Server::start("ping-server", &[]);
    let outcome = run(&["ping-client", "127.0.0.1", &server.port(), "-i", "20ms"]);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    let text = outcome.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("PING {}: 10 pings", server.address));
    for (i, line) in lines[1..=10].iter().enumerate() {
        let seq = format!("bytes from {}: seq={} time=", server.address, i + 1);
        assert!(line.contains(&seq) && line.ends_with(" ms"), "{line}");
    }
    assert_eq!(
        lines[12],
        format!("--- {} ping statistics ---", server.address)
    );
    let words = "10 packets transmitted, 10 received, +0 duplicates, 0% packet loss, time ";
    assert!(lines[13].starts_with(words), "{text}");
    assert!(lines[14].starts_with("rtt min/avg/max/mdev = "), "{text}");
    assert!(lines[14].contains(" ms, jitter "), "{text}");
    assert_eq!(farewell(server), [10, 0, 0, 0, 0]);
}

#[test]
fn the_client_counts_exactly_what_the_server_lost_and_doubled() {
    for seed in ["1", "2", "3"] {
        let bad = ["--loss", "30%", "--dup", "25%", "--seed", seed];
        let server = Server::start("ping-server", &bad);
        let outcome = run(&[
            "ping-client",
            "127.0.0.1",
            &server.port(),
            "-c",
            "60",
            "-i",
            "5ms",
            "-W",
            "1s",
            "--json",
        ]);
        let json = outcome.text();
        let [heard, lost, doubled, 0, 0] = farewell(server)[..] else {
            panic!("something was held back or dropped: {json}");
        };
        assert_eq!(heard, 60);
        assert!(lost > 5 && doubled > 5, "{lost} lost, {doubled} doubled");
        assert_eq!(figure(&json, "transmitted"), 60);
        assert_eq!(figure(&json, "lost"), lost, "{json}");
        assert_eq!(figure(&json, "received"), 60 - lost, "{json}");
        assert_eq!(figure(&json, "duplicates"), doubled, "{json}");
        assert_eq!(figure(&json, "late"), 0, "{json}");
    }
}

#[test]
fn the_same_seed_loses_the_same_pings() {
    let lost = |args: &[&str]| {
        let server = Server::start("ping-server", args);
        let outcome = run(&[
            "ping-client",
            "127.0.0.1",
            &server.port(),
            "-c",
            "30",
            "-i",
            "2ms",
            "-W",
            "1s",
        ]);
        let text = outcome.text();
        let timed_out = text.lines().filter(|l| l.starts_with("Request timed out"));
        timed_out.map(|line| numbers(line)[0]).collect::<Vec<_>>()
    };
    let first = lost(&["--loss", "40%", "--seed", "11"]);
    assert!(first.len() > 3, "{first:?}");
    assert_eq!(lost(&["--loss", "40%", "--seed", "11"]), first);
    assert_eq!(
        lost(&["--loss", "40%", "--seed", "11", "--delay", "30ms+-20ms"]),
        first
    );
}

#[test]
fn delayed_replies_take_their_time_and_late_ones_are_not_lost() {
    let server = Server::start("ping-server", &["--delay", "100ms+-50ms", "--seed", "1"]);
    let outcome = run(&[
        "ping-client",
        "127.0.0.1",
        &server.port(),
        "-c",
        "5",
        "-i",
        "30ms",
        "--json",
    ]);
    let json = outcome.text();
    assert!(figure(&json, "min_ms") >= 49, "{json}");
    assert_eq!(figure(&json, "received"), 5, "{json}");

    // The last one waits long enough to hear the others, though not its own.
    let outcome = run(&[
        "ping-client",
        "127.0.0.1",
        &server.port(),
        "-c",
        "8",
        "-i",
        "60ms",
        "-W",
        "20ms",
    ]);
    let text = outcome.text();
    assert!(text.contains("Request timed out: seq=1\n"), "{text}");
    assert!(
        text.contains("seq=1 time=") && text.contains(" (late)"),
        "{text}"
    );
    assert_eq!(outcome.status.code(), Some(0));
}

#[test]
fn overtaken_replies_are_told_apart_from_lost_ones() {
    let server = Server::start("ping-server", &["--reorder", "30%", "--seed", "5"]);
    let outcome = run(&[
        "ping-client",
        "127.0.0.1",
        &server.port(),
        "-c",
        "40",
        "-i",
        "5ms",
        "-W",
        "2s",
        "--json",
    ]);
    let json = outcome.text();
    let [40, 0, 0, held, 0] = farewell(server)[..] else {
        panic!("{json}");
    };
    assert!(held > 5, "{held} held back");
    assert_eq!(figure(&json, "received"), 40, "{json}");
    assert_eq!(figure(&json, "lost"), 0, "{json}");
    let reordered = figure(&json, "reordered");
    assert!(0 < reordered && reordered <= held, "{reordered} of {held}");
}

#[test]
fn nobody_answers() {
    let port = nobody();
    let outcome = run(&[
        "ping-client",
        "127.0.0.1",
        &port,
        "-c",
        "2",
        "-i",
        "50ms",
        "-W",
        "100ms",
    ]);
    assert_eq!(outcome.status.code(), Some(1));
    let text = outcome.text();
    assert!(
        text.contains("Request timed out: seq=1\nRequest timed out: seq=2\n"),
        "{text}"
    );
    assert!(text.contains("2 packets transmitted, 0 received, +0 duplicates, 100% packet loss"));
    let err = &outcome.stderr;
    assert!(
        err.contains(&format!("127.0.0.1:{port} refused the connection")),
        "{err}"
    );
    assert!(
        err.ends_with(&format!("nothing came back from 127.0.0.1:{port}\n")),
        "{err}"
    );
}

#[test]
fn ctrl_c_prints_the_figures_so_far() {
    let server = Server::start("ping-server", &[]);
    let mut client = Idler::verb("ping-client")
        .args(&["127.0.0.1", &server.port(), "-c", "1000", "-i", "20ms"])
        .env("RUST_LOG", "")
        .spawn();
    client.lines(4);
    client.signal(rustix::process::Signal::INT);
    assert_eq!(client.exit_code(), Some(0));
    let text = client.stdout();
    assert!(text.contains("ping statistics ---\n"), "{text}");
    assert!(text.contains(" packets transmitted, "), "{text}");
}

#[test]
fn a_server_with_a_count_stops_after_that_many() {
    let mut server = Server::start("ping-server", &["--count", "3"]);
    let outcome = run(&[
        "ping-client",
        "127.0.0.1",
        &server.port(),
        "-c",
        "3",
        "-i",
        "10ms",
    ]);
    assert_eq!(outcome.status.code(), Some(0));
    assert_eq!(server.running.exit_code(), Some(0), "it stops by itself");
    let said = server.running.stdout();
    assert!(said.contains("3 pings heard"), "{said}");
}

#[test]
fn any_datagram_comes_back_in_capitals() {
    let server = Server::start("ping-server", &[]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    for (says, hears) in [
        (&b"Ping 1 1699999999.1"[..], &b"PING 1 1699999999.1"[..]),
        (b"", b""),
        (b"\xffz\x00\xc3\xa9", b"\xffZ\x00\xc3\xa9"),
    ] {
        socket
            .send_to(says, server.address)
            .expect("loopback takes it");
        let mut buffer = [0; 100];
        let (n, _) = socket.recv_from(&mut buffer).expect("an answer");
        assert_eq!(&buffer[..n], hears);
    }
    server.running.stop();
}

#[test]
fn sizes_are_kept() {
    let server = Server::start("ping-server", &[]);
    let outcome = run(&[
        "ping-client",
        "127.0.0.1",
        &server.port(),
        "-c",
        "1",
        "-s",
        "1000",
    ]);
    assert!(
        outcome.text().contains("\n1000 bytes from "),
        "{}",
        outcome.text()
    );
    // More than the server's buffer holds: it answers in part, and that is enough to be known by.
    let outcome = run(&[
        "ping-client",
        "127.0.0.1",
        &server.port(),
        "-c",
        "1",
        "-s",
        "60000",
    ]);
    assert!(outcome.text().contains(" 1 received"), "{}", outcome.text());
}

#[test]
fn a_flood_of_datagrams_is_bounded_in_memory_and_does_not_silence_the_server() {
    let server = Server::start("ping-server", &["--delay", "10s", "-q"]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
    let before = server.running.proc().resident_bytes();
    let begin = Instant::now();
    let datagram = [b'x'; 8000];
    while begin.elapsed() < Duration::from_secs(1) {
        let _ = socket.send_to(&datagram, server.address);
    }
    let after = server.running.proc().resident_bytes();
    assert!(after < before + 8 * 1024 * 1024, "{before} to {after}");
    wait_until("quiet", PATIENCE, || {
        (server.running.proc().state() == 'S').then_some(())
    });
}
