//! Daytime.

use std::io::Read as _;
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Server, nobody, run, said, says, scripted};
use crate::support::{PATIENCE, program::Program};

fn told(server: &Server) -> String {
    let outcome = run(&["daytime-client", "127.0.0.1", &server.port()]);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    let text = outcome.text();
    assert_eq!(text.matches('\n').count(), 1, "{text:?}");
    text.trim_end().to_owned()
}

/// Digits become `0`, so that a form can be compared.
fn form(text: &str) -> String {
    let blur = |c: char| if c.is_ascii_digit() { '0' } else { c };
    text.chars().map(blur).collect()
}

#[test]
fn date_and_time_come_in_the_form_of_the_courses() {
    let server = Server::start("daytime-server", &[]);
    assert_eq!(form(&told(&server)), "0000-00-00 00:00:00.000000");
    let line = &server.running.lines(1)[0];
    assert!(line.ends_with(" connected"), "{line}");
    server.running.stop();
}

#[test]
fn each_form_looks_as_promised_and_tells_the_present_time() {
    let server = Server::start("daytime-server", &["--format", "iso"]);
    let iso = told(&server);
    assert!(
        form(&iso).starts_with("0000-00-00T00:00:00.000000") && iso.len() == 32,
        "{iso}"
    );
    let server = Server::start("daytime-server", &["--format", "rfc867"]);
    let rfc = told(&server);
    assert!(rfc.contains("day, ") && rfc.contains('-'), "{rfc}");
    let server = Server::start("daytime-server", &["--format", "unix"]);
    let unix: u64 = told(&server).parse().expect("a number");
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("it is later than 1970").as_secs();
    assert!(now.abs_diff(unix) <= 60, "{unix} is not {now}");
}

#[test]
fn the_time_is_that_of_the_machines_zone() {
    let date = |zone: &str| {
        let env = [("TZ", zone)];
        let server = crate::support::Idler::verb("daytime-server")
            .args(&["-p", "0", "-b", "127.0.0.1", "--format", "iso"])
            .env(env[0].0, env[0].1)
            .spawn();
        let line = server.says(&["listens on "]);
        let port = line.rsplit(':').next().expect("a port").to_owned();
        run(&["daytime-client", "127.0.0.1", &port]).text()
    };
    // A zone in the form that needs no files.
    assert!(date("XYZ-5:30").trim_end().ends_with("+05:30"));
    assert!(date("UTC0").trim_end().ends_with("+00:00"));
    assert!(date("no/such/zone").trim_end().ends_with("+00:00"));
}

#[test]
#[ignore = "needs zone files (tzdata) and date"]
fn the_time_is_what_date_says_in_a_zone_of_the_machine() {
    let server = crate::support::Idler::verb("daytime-server")
        .args(&["-p", "0", "-b", "127.0.0.1", "--format", "iso"])
        .env("TZ", "Asia/Kolkata")
        .spawn();
    let line = server.says(&["listens on "]);
    let port = line.rsplit(':').next().expect("a port").to_owned();
    let ours = run(&["daytime-client", "127.0.0.1", &port]).text();
    let date = Program::find(&["date"])
        .arg("+%z")
        .env("TZ", "Asia/Kolkata");
    let theirs = date.run(PATIENCE).text();
    assert_eq!(ours.trim_end()[26..].replace(':', ""), theirs.trim_end());
}

#[test]
fn what_a_client_says_is_ignored_and_the_connection_closes() {
    let server = Server::start("daytime-server", &[]);
    for speaks in [false, true] {
        let mut client = TcpStream::connect(server.address).expect("it listens");
        client
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket option");
        if speaks {
            use std::io::Write as _;
            // It may be gone already.
            let _ = client.write_all(&[b'x'; 10_000]);
            let _ = client.shutdown(Shutdown::Write);
        }
        let mut text = String::new();
        client
            .read_to_string(&mut text)
            .expect("the time arrives, and then the end");
        assert_eq!(form(&text), "0000-00-00 00:00:00.000000\n");
    }
    server.running.stop();
}

#[test]
fn datagrams_are_answered_if_asked_for() {
    let server = Server::start("daytime-server", &["--udp"]);
    let outcome = run(&["daytime-client", "--udp", "127.0.0.1", &server.port()]);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(form(&outcome.text()), "0000-00-00 00:00:00.000000\n");

    let socket = UdpSocket::bind("127.0.0.1:0").expect("some port is free");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    socket
        .send_to(b"", server.address)
        .expect("loopback takes it");
    let mut text = [0; 100];
    let (n, from) = socket.recv_from(&mut text).expect("an answer");
    assert_eq!((n, from), (27, server.address));
    server.running.stop();
}

#[test]
fn a_client_that_is_told_nothing_says_so() {
    let (address, thread) = scripted(vec![says("")]);
    let outcome = run(&["daytime-client", "127.0.0.1", &address.port().to_string()]);
    let words = "idler: the server closed the connection without telling the time\n";
    assert_eq!(said(&outcome), (Some(1), String::new(), words));
    thread.join().expect("the script ends");

    let port = nobody();
    for args in [&["daytime-client"][..], &["daytime-client", "--udp"]] {
        let outcome = run(&[args, &["127.0.0.1", port.as_str()]].concat());
        assert_eq!(outcome.status.code(), Some(1));
        assert!(
            outcome.stderr.contains("refused the connection"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn any_line_that_a_server_tells_is_printed_safely() {
    let (address, thread) = scripted(vec![says(
        "Tuesday, February 22, 1982 17:37:43-PST\r\n\x07",
    )]);
    let outcome = run(&["daytime-client", "127.0.0.1", &address.port().to_string()]);
    let line = "Tuesday, February 22, 1982 17:37:43-PST\\r\\n\\u{7}\n".to_owned();
    assert_eq!(said(&outcome), (Some(0), line, ""));
    thread.join().expect("the script ends");
}

#[test]
fn a_crowd_is_told_the_time_at_once() {
    let server = Server::start("daytime-server", &["-q"]);
    let begin = std::time::Instant::now();
    let crowd: Vec<TcpStream> = (0..200)
        .map(|_| TcpStream::connect(server.address).expect("it listens"))
        .collect();
    for mut client in crowd {
        client
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket option");
        let mut text = String::new();
        client.read_to_string(&mut text).expect("the time");
        assert_eq!(text.len(), 27);
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!(server.running.stdout(), "", "quiet is quiet");
    server.running.stop();
}
