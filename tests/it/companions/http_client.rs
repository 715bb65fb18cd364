//! `idler get`, against idler and against servers that get everything wrong.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use super::{nobody, run, said, scripted};
use crate::support::program::Outcome;
use crate::support::{Idler, PATIENCE, Site, fixture_site};

/// Reads up to the end of a request's head.
fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).expect("a request of ours")
}

/// Runs `idler get` with these arguments against a server that answers each of its connections with the next
/// of `replies` and closes. `{}` in an argument stands for the server's address.
fn got(replies: &[&str], args: &[&str]) -> (Outcome, Vec<String>) {
    let (tell, told) = mpsc::channel();
    let scripts = replies.iter().map(|reply| {
        let (reply, tell) = ((*reply).to_owned(), tell.clone());
        let script: Box<dyn FnOnce(TcpStream) + Send> = Box::new(move |mut stream| {
            tell.send(head(&mut stream)).expect("somebody listens");
            let _ = stream.write_all(reply.as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            // What it still says is taken, so that no reset overtakes the last words.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        script
    });
    let (address, thread) = scripted(scripts.collect());
    drop(tell);
    let address = address.to_string();
    let args: Vec<String> = args.iter().map(|arg| arg.replace("{}", &address)).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = run(&[&["get"], args.as_slice()].concat());
    thread.join().expect("the script ends");
    (outcome, told.iter().collect())
}

#[test]
fn the_textbooks_form_and_a_url_mean_the_same() {
    let idler = Idler::serve(fixture_site()).start();
    let port = idler.address().port().to_string();
    let expected = fs::read_to_string(fixture_site().join("hello.txt")).expect("a fixture");
    for args in [
        &["get", "127.0.0.1", &port, "hello.txt"][..],
        &["get", "127.0.0.1", &port, "/hello.txt"],
        &["get", &idler.url("/hello.txt")],
        &["get", &format!("127.0.0.1:{port}/hello.txt")],
    ] {
        assert_eq!(
            said(&run(args)),
            (Some(0), expected.clone(), ""),
            "{args:?}"
        );
    }
    let outcome = run(&["get", &idler.url("/missing")]);
    assert_eq!(outcome.status.code(), Some(4));
}

#[test]
fn exit_codes_tell_the_class_of_the_status() {
    for (status, code) in [
        ("200 OK", 0),
        ("204 No Content", 0),
        ("301 Moved Permanently", 3),
        ("304 Not Modified", 3),
        ("404 Not Found", 4),
        ("503 Service Unavailable", 5),
    ] {
        let reply = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let (outcome, _) = got(&[&reply], &["{}/"]);
        assert_eq!(outcome.status.code(), Some(code), "{status}");
    }
}

#[test]
fn every_kind_of_body_arrives() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nSum: 1\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
    ] {
        let (outcome, requests) = got(&[reply], &["{}/x?y"]);
        assert_eq!(said(&outcome), (Some(0), "hello".to_owned(), ""), "{reply}");
        assert!(requests[0].starts_with("GET /x?y HTTP/1.1\r\nHost: 127.0.0.1:"));
        assert!(requests[0].ends_with("\r\nConnection: close\r\n\r\n"));
    }
}

#[test]
fn a_body_cut_short_is_a_failure_that_says_what_is_missing() {
    for (reply, missing) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            ": 7 bytes are missing\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            ": at least 3 bytes are missing\n",
        ),
    ] {
        let site = Site::new();
        let file = site.path().join("f");
        let (outcome, _) = got(&[reply], &["-o", file.to_str().expect("ours"), "{}/"]);
        assert_eq!(outcome.status.code(), Some(1));
        assert!(outcome.stderr.ends_with(missing), "{}", outcome.stderr);
        assert_eq!(fs::read_dir(site.path()).expect("it is there").count(), 0);
    }
}

#[test]
fn sloppy_servers_are_understood_and_told_what_was_wrong() {
    for (reply, body, wrong) in [
        ("HTTP/1.1 200 OK\nA: b\n\nhi", "hi", "lines end in LF"),
        (" HTTP/1.1 200 OK\r\n\r\nhi", "hi", "before HTTP/"),
        ("HTTP/1.1 200 OK\r\n", "", "before the blank line"),
        ("HTTP/1.1 200 OK", "", "before the blank line"),
    ] {
        let (outcome, _) = got(&[reply], &["{}/"]);
        assert_eq!(said(&outcome), (Some(0), body.to_owned(), ""), "{reply:?}");
        let (outcome, _) = got(&[reply], &["-v", "{}/"]);
        assert!(outcome.stderr.contains("* wrong: "), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(wrong), "{}", outcome.stderr);
    }
    let (outcome, _) = got(&["<html>not HTTP</html>"], &["{}/"]);
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(outcome.stderr, "idler: this is not an HTTP reply: <\n");
}

#[test]
fn both_heads_are_shown_as_they_are_and_how_long_it_took() {
    let (outcome, requests) = got(
        &["HTTP/1.1 200 OK\r\nX-A:  b\r\nX-Bad: \x1b[2J\r\nContent-Length: 2\r\n\r\nhi"],
        &["-v", "{}/"],
    );
    let err = &outcome.stderr;
    for line in requests[0].lines() {
        assert!(err.contains(&format!("> {line}\n")), "{line} in {err}");
    }
    for line in [
        "HTTP/1.1 200 OK",
        "X-A:  b",
        "X-Bad: \\u{1b}[2J",
        "Content-Length: 2",
    ] {
        assert!(err.contains(&format!("< {line}\n")), "{line} in {err}");
    }
    for word in [
        "* resolve ",
        ", connect ",
        ", first-byte ",
        ", total ",
        " read",
        " would-block",
        " readiness event",
    ] {
        assert!(err.contains(word), "{word} in {err}");
    }
    assert_eq!(outcome.text(), "hi");
}

#[test]
fn heads_can_be_asked_for_and_fields_added() {
    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    let (outcome, requests) = got(&[reply], &["-I", "-H", "X-A: b", "-H", "Accept: c", "{}/"]);
    assert_eq!(said(&outcome), (Some(0), reply.to_owned(), ""));
    assert!(requests[0].starts_with("HEAD / HTTP/1.1\r\n"));
    assert!(requests[0].contains("\r\nX-A: b\r\n") && requests[0].contains("\r\nAccept: c\r\n"));
    assert_eq!(requests[0].matches("Accept").count(), 1);
    let reply = format!("{reply}hi");
    let (outcome, _) = got(&[&reply], &["-i", "{}/"]);
    assert_eq!(outcome.text(), reply);
}

#[test]
fn redirects_are_followed_if_asked_for_and_not_for_ever() {
    let moved = "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 4\r\n\r\nmove";
    let here = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere";
    let (outcome, _) = got(&[moved], &["{}/a"]);
    assert_eq!(said(&outcome), (Some(3), "move".to_owned(), ""));
    let (outcome, requests) = got(&[moved, here], &["-L", "{}/a"]);
    assert_eq!(said(&outcome), (Some(0), "here".to_owned(), ""));
    assert!(requests[1].starts_with("GET /b "));
    let (outcome, _) = got(&[moved; 11], &["-L", "{}/a"]);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(outcome.stderr.contains("redirect"), "{}", outcome.stderr);
    let away = "HTTP/1.1 301 Moved\r\nLocation: https://h/\r\nContent-Length: 0\r\n\r\n";
    let (outcome, _) = got(&[away], &["-L", "{}/a"]);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome.stderr.contains("https needs TLS"),
        "{}",
        outcome.stderr
    );
    let away = "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let (outcome, _) = got(&[away], &["-L", "-H", "Authorization: secret", "{}/a"]);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome.stderr.contains("must not see"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_file_is_whole_or_not_there_and_errors_are_not_saved() {
    let site = Site::with(&[("f", b"old")]);
    let file = site.path().join("f");
    let name = file.to_str().expect("ours");
    let (outcome, _) = got(
        &["HTTP/1.1 404 Not Found\r\n\r\nsorry"],
        &["-o", name, "{}/"],
    );
    assert_eq!(said(&outcome), (Some(4), String::new(), ""));
    assert_eq!(fs::read(&file).expect("it is there"), b"old");
    let (outcome, _) = got(&["HTTP/1.1 200 OK\r\n\r\nnew"], &["-o", name, "{}/"]);
    assert_eq!(said(&outcome), (Some(0), String::new(), ""));
    assert_eq!(fs::read(&file).expect("it is there"), b"new");
    assert_eq!(fs::read_dir(site.path()).expect("it is there").count(), 1);
}

#[test]
fn a_part_that_was_asked_for_by_hand_can_be_saved() {
    let site = Site::new();
    let file = site.path().join("f");
    let part =
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nhi";
    let name = file.to_str().expect("ours");
    let (outcome, requests) = got(&[part], &["-H", "Range: bytes=0-1", "-o", name, "{}/"]);
    assert_eq!(said(&outcome), (Some(0), String::new(), ""));
    assert!(requests[0].contains("\r\nRange: bytes=0-1\r\n"));
    assert_eq!(fs::read(&file).expect("it is there"), b"hi");
}

const HALF: &str = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n01234";

/// What is left after a download of half a file, and then another answer.
fn resumed(second: &str) -> (Outcome, String, Vec<(String, String)>) {
    let site = Site::new();
    let file = site.path().join("f");
    let args = ["-c", "-o", file.to_str().expect("ours"), "{}/f"];
    let (outcome, requests) = got(&[HALF], &args);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome.stderr.contains(": 5 bytes are missing"),
        "{}",
        outcome.stderr
    );
    assert!(!requests[0].contains("Range"));
    assert!(!file.exists(), "a name never stands for half a file");
    let (outcome, mut requests) = got(&[second], &args);
    let mut left: Vec<(String, String)> = fs::read_dir(site.path())
        .expect("it is there")
        .map(|entry| {
            let entry = entry.expect("it can be read");
            let text = fs::read_to_string(entry.path()).expect("it can be read");
            (entry.file_name().into_string().expect("ours"), text)
        })
        .collect();
    left.sort();
    (outcome, requests.remove(0), left)
}

#[test]
fn half_a_file_is_completed_if_it_is_still_the_same() {
    let pair = |n: &str, t: &str| (n.to_owned(), t.to_owned());
    let (outcome, request, left) = resumed(
        "HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n56789",
    );
    assert_eq!(said(&outcome), (Some(0), String::new(), ""));
    assert!(
        request.contains("\r\nRange: bytes=5-\r\nIf-Range: \"v1\"\r\n"),
        "{request}"
    );
    assert_eq!(left, [pair("f", "0123456789")]);

    // It is another file by now.
    let (outcome, _, left) =
        resumed("HTTP/1.1 200 OK\r\nETag: \"v2\"\r\nContent-Length: 3\r\n\r\nnew");
    assert_eq!(said(&outcome), (Some(0), String::new(), ""));
    assert_eq!(left, [pair("f", "new")]);

    // It was whole already.
    let (outcome, _, left) = resumed(
        "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */5\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(said(&outcome), (Some(0), String::new(), ""));
    assert_eq!(left, [pair("f", "01234")]);
}

#[test]
fn only_what_is_strong_is_asked_with() {
    let begun = |fields: &str| {
        let site = Site::new();
        let file = site.path().join("f");
        let reply = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 10\r\n\r\n01234");
        let args = ["-c", "-o", file.to_str().expect("ours"), "{}/f"];
        got(&[&reply], &args);
        let (_, requests) = got(&["HTTP/1.1 200 OK\r\n\r\nnew"], &args);
        let asked = requests[0]
            .lines()
            .find_map(|l| l.strip_prefix("If-Range: "));
        asked.map(str::to_owned)
    };
    let modified = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let later = "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n";
    let same = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    assert_eq!(begun("ETag: \"a\"\r\n").as_deref(), Some("\"a\""));
    assert_eq!(begun("ETag: W/\"a\"\r\n"), None);
    assert_eq!(
        begun(&format!("ETag: W/\"a\"\r\n{modified}{later}")).as_deref(),
        Some("Sun, 06 Nov 1994 08:49:37 GMT")
    );
    assert_eq!(begun(&format!("{modified}{same}")), None);
    assert_eq!(begun(modified), None);
    assert_eq!(begun(""), None);
}

#[test]
fn a_download_from_idler_is_resumed_with_a_part_of_it() {
    let site = Site::with(&[("f", &super::transfer::noise(1_000_000))]);
    site.age("f");
    let idler = Idler::serve(site.path()).start();
    let head = run(&["get", "-I", &idler.url("/f")]).text();
    let tag = head
        .lines()
        .find_map(|l| l.strip_prefix("ETag: "))
        .expect("a tag");
    let to = Site::new();
    let whole = fs::read(site.path().join("f")).expect("it is there");
    to.file("f.part", &whole[..400_000]);
    to.file("f.part.of", tag.as_bytes());
    let name = to.path().join("f");
    let outcome = run(&[
        "get",
        "-v",
        "-c",
        "-o",
        name.to_str().expect("ours"),
        &idler.url("/f"),
    ]);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    let err = &outcome.stderr;
    if tag.starts_with('"') {
        assert!(err.contains("< HTTP/1.1 206 "), "{err}");
        assert!(
            err.contains("< Content-Range: bytes 400000-999999/1000000"),
            "{err}"
        );
    }
    assert!(fs::read(&name).expect("it came") == whole);
    assert_eq!(fs::read_dir(to.path()).expect("it is there").count(), 1);
}

#[test]
fn a_part_that_does_not_fit_spoils_nothing() {
    let pair = |n: &str, t: &str| (n.to_owned(), t.to_owned());
    for (range, tag) in [
        ("bytes 4-9/10", "\"v1\""),
        ("bytes 5-8/10", "\"v1\""),
        ("bytes 5-9/10", "\"v2\""),
        ("nonsense", "\"v1\""),
    ] {
        let reply = format!(
            "HTTP/1.1 206 Partial Content\r\nETag: {tag}\r\nContent-Range: {range}\r\nContent-Length: 5\r\n\r\n56789"
        );
        let (outcome, _, left) = resumed(&reply);
        assert_eq!(outcome.status.code(), Some(1), "{range} {tag}");
        assert!(
            outcome.stderr.contains("does not fit"),
            "{}",
            outcome.stderr
        );
        assert_eq!(left, [pair("f.part", "01234"), pair("f.part.of", "\"v1\"")]);
    }
}

#[test]
fn one_connection_carries_many_requests() {
    let idler = Idler::serve(fixture_site()).start();
    let hello = fs::read_to_string(fixture_site().join("hello.txt")).expect("a fixture");
    for option in ["--keep", "--pipeline"] {
        let outcome = run(&["get", option, "50", &idler.url("/hello.txt")]);
        assert_eq!(said(&outcome), (Some(0), hello.repeat(50), ""), "{option}");
    }
    let (outcome, _) = got(
        &["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"],
        &["--keep", "3", "{}/"],
    );
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome.stderr.contains("after 1 of 3 replies"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_request_can_be_sent_slowly() {
    let (tell, told) = mpsc::channel();
    let (address, thread) = scripted(vec![Box::new(move |mut stream| {
        let mut pieces = 0;
        let mut bytes = Vec::new();
        let mut piece = [0; 1000];
        while !bytes.ends_with(b"\r\n\r\n") {
            let n = stream.read(&mut piece).expect("more comes");
            bytes.extend_from_slice(&piece[..n]);
            pieces += 1;
        }
        tell.send((pieces, bytes)).expect("somebody listens");
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nat last");
    })]);
    let url = format!("{address}/");
    let outcome = run(&["get", "--chunk", "10", "--delay", "5", &url]);
    assert_eq!(outcome.text(), "at last");
    let (pieces, bytes) = told.recv().expect("the script tells");
    // Two pieces may arrive as one where the machine is busy; most do not.
    assert!(pieces > 4, "{} bytes in {pieces} pieces", bytes.len());
    thread.join().expect("the script ends");
}

#[test]
fn each_failure_has_its_own_words() {
    let port = nobody();
    let outcome = run(&["get", "127.0.0.1", &port, "x"]);
    let words = format!("idler: 127.0.0.1:{port} refused the connection: nothing listens there\n");
    assert_eq!(said(&outcome), (Some(1), String::new(), words.as_str()));
    let outcome = run(&["get", "http://no-such-host.invalid/"]);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome
            .stderr
            .starts_with("idler: cannot resolve no-such-host.invalid: ")
            && outcome.stderr.ends_with("Try its address instead\n"),
        "{}",
        outcome.stderr
    );
    let (outcome, _) = got(&[""], &["{}/"]);
    let words = "idler: the server closed the connection without a reply\n";
    assert_eq!(said(&outcome), (Some(1), String::new(), words));
    assert_eq!(run(&["get"]).status.code(), Some(2));

    let (end, wait) = mpsc::channel::<()>();
    let (address, thread) = scripted(vec![Box::new(move |mut stream| {
        head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
            .expect("it listens");
        let _ = wait.recv();
    })]);
    let outcome = run(&["get", "--timeout", "200ms", &format!("{address}/")]);
    let words = format!("idler: timed out: nothing came from {address} for 0.2 s\n");
    assert_eq!(said(&outcome), (Some(1), "abc".to_owned(), words.as_str()));
    drop(end);
    thread.join().expect("the script ends");
}

#[test]
fn a_reader_that_is_slow_slows_the_download_and_costs_no_memory() {
    let site = Site::new();
    site.sparse("large", 64 * 1024 * 1024);
    let idler = Idler::serve(site.path()).start();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut client = Idler::verb("get")
        .arg(idler.url("/large"))
        .env("RUST_LOG", "")
        .stdout(writer)
        .spawn();
    let mut reader = std::io::BufReader::new(reader);
    let mut some = [0; 4096];
    for _ in 0..100 {
        reader.read_exact(&mut some).expect("it comes");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    assert!(client.proc().resident_bytes() < 24 * 1024 * 1024);
    let rest = std::io::copy(&mut reader, &mut std::io::sink()).expect("the rest comes");
    assert_eq!(rest + 409_600, 64 * 1024 * 1024);
    assert_eq!(client.exit_within(PATIENCE), Some(0));
}

#[test]
fn what_is_no_file_is_written_into_and_never_replaced() {
    use std::os::unix::fs::FileTypeExt as _;
    let site = Site::new();
    site.fifo("pipe");
    let pipe = site.path().join("pipe");
    let reader = {
        let pipe = pipe.clone();
        std::thread::spawn(move || fs::read(pipe).expect("a pipe can be read"))
    };
    let idler = Idler::serve(fixture_site()).start();
    let url = idler.url("/hello.txt");
    let outcome = Idler::verb("get")
        .args(&[url.as_str(), "-o"])
        .arg(&pipe)
        .run();
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(reader.join().expect("it reads to the end"), b"hello\n");
    let kind = fs::metadata(&pipe).expect("it is there").file_type();
    assert!(kind.is_fifo(), "a pipe was replaced by {kind:?}");
    // A directory cannot be written into, and is no name for a file either.
    let outcome = Idler::verb("get")
        .args(&[url.as_str(), "-o"])
        .arg(site.path())
        .run();
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.stderr);
    assert!(site.path().is_dir());
    idler.stop();
}
