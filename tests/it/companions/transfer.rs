//! File transfer.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::{Server, run, said, says, scripted};
use crate::support::program::Outcome;
use crate::support::{Idler, PATIENCE, Site, wait_until};

/// What `transfer-client` makes of this, and what it leaves in its directory.
fn received(
    wire: impl Into<Vec<u8>>,
    before: &[(&str, &[u8])],
    args: &[&str],
) -> (Outcome, Vec<(String, Vec<u8>)>) {
    let site = Site::with(before);
    let directory = site.path().to_str().expect("a path of ours").to_owned();
    let (address, thread) = scripted(vec![says(wire)]);
    let port = address.port().to_string();
    let outcome = run(&[
        &["transfer-client", "127.0.0.1", &port, "-o", &directory],
        args,
    ]
    .concat());
    thread.join().expect("the script ends");
    let files = fs::read_dir(site.path())
        .expect("it is there")
        .map(|entry| {
            let entry = entry.expect("it can be read");
            let name = entry.file_name().into_string().expect("a name of ours");
            (name, fs::read(entry.path()).expect("it can be read"))
        });
    let files = files.collect();
    (outcome, files)
}

/// Bytes that no pattern could fake.
pub(super) fn noise(bytes: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        noise.extend_from_slice(&x.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

#[test]
fn a_file_arrives_and_the_cost_of_base64_is_shown() {
    let bytes = noise(100_000);
    let site = Site::with(&[("ä \"b\".bin", &bytes)]);
    let file = site.path().join("ä \"b\".bin");
    let server = Server::start("transfer-server", &[file.to_str().expect("ours")]);
    let to = Site::new();
    let directory = to.path().to_str().expect("ours");
    let outcome = run(&[
        "transfer-client",
        "127.0.0.1",
        &server.port(),
        "-o",
        directory,
    ]);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    let text = outcome.text();
    assert!(
        text.contains("/ä \"b\".bin: 100000 bytes from 13"),
        "{text}"
    );
    assert!(text.ends_with("on the wire (33.3% more)\n"), "{text}");
    assert_eq!(
        fs::read(to.path().join("ä \"b\".bin")).expect("it came"),
        bytes
    );
    let lines = server.running.lines(2);
    assert!(lines[0].ends_with(" connected"), "{lines:?}");
    assert!(lines[1].contains(" got ä \"b\".bin: "), "{lines:?}");
    server.running.stop();
}

#[test]
fn several_files_go_out_in_turn_and_an_empty_one_is_a_file() {
    let site = Site::with(&[("a", b"1"), ("b", b""), ("c", b"333")]);
    let paths = ["a", "b", "c"].map(|name| site.path().join(name));
    let args = paths.each_ref().map(|path| path.to_str().expect("ours"));
    let server = Server::start("transfer-server", &args);
    let to = Site::new();
    for (name, length) in [("a", 1), ("b", 0), ("c", 3), ("a", 1)] {
        let directory = to.path().to_str().expect("ours");
        let outcome = run(&[
            "transfer-client",
            "127.0.0.1",
            &server.port(),
            "-o",
            directory,
            "--force",
        ]);
        let expected = format!("{}: {length} bytes", to.path().join(name).display());
        assert!(outcome.text().starts_with(&expected), "{}", outcome.text());
    }
    server.running.stop();
}

#[test]
fn what_cannot_be_offered_is_refused_at_the_start() {
    let site = Site::new();
    site.fifo("pipe");
    for name in ["missing", "pipe", "."] {
        let path = site.path().join(name);
        let outcome = run(&["transfer-server", "-p", "0", path.to_str().expect("ours")]);
        assert_eq!(outcome.status.code(), Some(1), "{name}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    }
}

#[test]
fn a_name_leads_nowhere_but_into_the_directory() {
    for (name, leaves) in [("../../x", "x"), ("/etc/passwd", "passwd"), ("a\\/b", "b")] {
        let wire = format!(r#"{{"filename": "{name}", "filedata": "aGk="}}"#);
        let (outcome, files) = received(wire, &[], &[]);
        assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
        assert_eq!(files, [(leaves.to_owned(), b"hi".to_vec())]);
    }
    for name in ["", ".", "..", "a/..", "a/", "\\u0000", "a\\u0000b"] {
        let wire = format!(r#"{{"filename": "{name}", "filedata": "aGk="}}"#);
        let (outcome, files) = received(wire, &[], &[]);
        assert_eq!(outcome.status.code(), Some(1), "{name}");
        assert!(
            outcome.stderr.contains("the file name"),
            "{}",
            outcome.stderr
        );
        assert_eq!(files, []);
    }
}

#[test]
fn an_existing_file_is_left_alone_unless_forced() {
    let wire = r#"{"filename": "f", "filedata": "bmV3"}"#;
    let (outcome, files) = received(wire, &[("f", b"old")], &[]);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome.stderr.contains("exists already; --force"),
        "{}",
        outcome.stderr
    );
    assert_eq!(files, [("f".to_owned(), b"old".to_vec())]);
    let (outcome, files) = received(wire, &[("f", b"old")], &["--force"]);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(files, [("f".to_owned(), b"new".to_vec())]);
}

#[test]
fn whatever_is_wrong_is_said_and_nothing_is_left_behind() {
    for (wire, words) in [
        ("", "without sending anything"),
        (
            r#"{"filename": "f", "filedata": "aGk"#,
            "ends in the middle",
        ),
        (
            r#"{"filename": "f", "filedata": "aGk="}x"#,
            "stands behind the object",
        ),
        (r#"{"filename": "f", "filedata": "a*k="}"#, "is not base64"),
        (
            r#"{"filename": "f", "filedata": "aGk"}"#,
            "within a group of four",
        ),
        (r#"{"filename": "f"}"#, "\"filedata\" is missing"),
        (r#"{"filedata": "aGk="}"#, "\"filename\" is missing"),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "not a JSON object"),
    ] {
        let (outcome, files) = received(wire, &[], &[]);
        let (code, out, err) = said(&outcome);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{wire}");
        assert!(err.starts_with("idler: what came is no file: "), "{err}");
        assert!(err.contains(words) && err.lines().count() == 1, "{err}");
        assert_eq!(files, [], "{wire}");
    }
}

#[test]
fn an_interrupted_client_leaves_nothing_behind() {
    let site = Site::new();
    let (end, wait) = std::sync::mpsc::channel::<()>();
    let (address, thread) = scripted(vec![Box::new(move |mut stream| {
        stream
            .write_all(br#"{"filedata": "aGk="#)
            .expect("it listens");
        let _ = wait.recv();
    })]);
    let mut client = Idler::verb("transfer-client")
        .args(&["127.0.0.1", &address.port().to_string(), "-o"])
        .arg(site.path())
        .spawn();
    let count = || fs::read_dir(site.path()).expect("it is there").count();
    wait_until("a temporary file", PATIENCE, || {
        (count() == 1).then_some(())
    });
    client.signal(rustix::process::Signal::INT);
    assert_eq!(client.exit_code(), Some(1));
    assert_eq!(count(), 0);
    drop(end);
    thread.join().expect("the script ends");
}

#[test]
fn two_hundred_megabytes_arrive_in_constant_memory_at_both_ends() {
    const BYTES: u64 = 200 * 1024 * 1024;
    let site = Site::new();
    let file = site.sparse("large", BYTES);
    let server = Server::start("transfer-server", &[file.to_str().expect("ours")]);
    let before = server.running.proc().resident_bytes();
    let to = Site::new();
    let mut client = Idler::verb("transfer-client")
        .args(&["127.0.0.1", &server.port(), "-o"])
        .arg(to.path())
        .env("RUST_LOG", "")
        .spawn();
    let (mut most_there, mut most_here) = (0, 0);
    wait_until("the transfer", PATIENCE * 6, || {
        let alive = client.is_alive();
        if alive && client.proc().state() != 'Z' {
            // It may end between the two questions; its last size is as good as any.
            let status = fs::read_to_string(format!("/proc/{}/status", client.proc().0));
            let rss = status.ok().and_then(|s| {
                let line = s.lines().find(|l| l.starts_with("VmRSS"))?.to_owned();
                line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
            });
            most_there = most_there.max(rss.unwrap_or(0) * 1024);
        }
        most_here = most_here.max(server.running.proc().resident_bytes());
        (!alive).then_some(())
    });
    assert_eq!(client.exit_code(), Some(0), "{}", client.stderr());
    let length = fs::metadata(to.path().join("large"))
        .expect("it came")
        .len();
    assert_eq!(length, BYTES);
    println!("server from {before} to {most_here}, client {most_there} bytes");
    assert!(
        most_here < before + 4 * 1024 * 1024,
        "{before} to {most_here}"
    );
    assert!(
        0 < most_there && most_there < 24 * 1024 * 1024,
        "{most_there}"
    );
    server.running.stop();
}

#[test]
fn a_client_that_stalls_holds_up_nobody() {
    let site = Site::new();
    let file = site.sparse("large", 8 * 1024 * 1024);
    let server = Server::start("transfer-server", &[file.to_str().expect("ours")]);
    // It connects, and reads nothing: its socket fills, and it waits.
    let stalled: Vec<TcpStream> = (0..50)
        .map(|_| TcpStream::connect(server.address).expect("it listens"))
        .collect();
    let mut busy = TcpStream::connect(server.address).expect("it listens");
    busy.set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    let mut wire = Vec::new();
    busy.read_to_end(&mut wire).expect("all of it");
    assert!(wire.len() > 8 * 1024 * 1024 * 4 / 3);
    assert!(wire.ends_with(b"\"}"));
    assert!(server.running.proc().resident_bytes() < 24 * 1024 * 1024);
    drop(stalled);
    server.running.stop();
}

#[test]
fn a_file_that_becomes_shorter_ends_the_transfer_and_is_noticed() {
    let site = Site::new();
    let file = site.sparse("large", 32 * 1024 * 1024);
    let server = Server::start("transfer-server", &[file.to_str().expect("ours")]);
    let mut client = TcpStream::connect(server.address).expect("it listens");
    client
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    let mut some = [0; 1000];
    client.read_exact(&mut some).expect("it begins");
    fs::File::options()
        .write(true)
        .open(&file)
        .and_then(|file| file.set_len(10))
        .expect("files can be cut");
    let mut wire = Vec::new();
    client.read_to_end(&mut wire).expect("it closes");
    assert!(!wire.ends_with(b"}"));
    let lines = server.running.lines(2);
    assert!(
        lines[1].ends_with("the file became shorter while it was sent"),
        "{lines:?}"
    );
    server.running.stop();
}
