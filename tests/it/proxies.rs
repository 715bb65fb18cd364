//! Behind other people's proxies: what two readers could understand differently does not become another's request.
//!
//! It may not know how a proxy reads. Invariant: idler is asked for what the proxy meant to ask for, no more and no less, by
//! the logs of both; and the reply to a marker is the marker's own.
//! Read next: `differential/mod.rs`, where idler stands beside nginx instead of behind it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};

use crate::support::daemon::Daemon;
use crate::support::{Idler, PATIENCE, Running, Site, wait_until};

/// Requests that proxies and servers have been known to read differently. Each is followed by a marker.
const AMBIGUOUS: [&str; 50] = [
    "GET /a HTTP/1.1\r\nHost: idler\r\n\r\n",
    // Lengths and codings: CL.CL, CL.TE, TE.CL, TE.TE.
    "POST /a HTTP/1.1\r\nHost: idler\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
    "POST /a HTTP/1.1\r\nHost: idler\r\nContent-Length: 5, 5\r\n\r\nhello",
    "POST /a HTTP/1.1\r\nHost: idler\r\nContent-Length: +5\r\n\r\nhello",
    "POST /a HTTP/1.1\r\nHost: idler\r\nContent-Length: 0x5\r\n\r\nhello",
    "POST /a HTTP/1.1\r\nHost: idler\r\nContent-Length: \r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nContent-Length: 36\r\n\r\nGET /evil HTTP/1.1\r\nHost: idler\r\n\r\n..",
    "GET /a HTTP/1.1\r\nHost: idler\r\nContent-Length: 34\r\n\r\nGET /evil HTTP/1.1\r\nHost: idler\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n22\r\nGET /evil HTTP/1.1\r\nHost: idler\r\n\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.0\r\nHost: idler\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    // Chunks.
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nGET /evil HTTP/1.1\r\nHost: idler\r\n\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
    "POST /a HTTP/1.1\r\nHost: idler\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 9\r\nHost: evil\r\n\r\n",
    // Lines.
    "GET /a HTTP/1.1\nHost: idler\n\n",
    "GET /a HTTP/1.1\r\nHost: idler\r\n folded: x\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: idler\r\nX: a\r\rGET /evil HTTP/1.1\r\n\r\n",
    "GET /a HTTP/1.1\r\n Host: idler\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: idler\r\nNo colon\r\n\r\n",
    "\r\n\r\nGET /a HTTP/1.1\r\nHost: idler\r\n\r\n",
    // Whom and what.
    "GET /a HTTP/1.1\r\nHost: idler\r\nHost: evil\r\n\r\n",
    "GET http://evil/a HTTP/1.1\r\nHost: idler\r\n\r\n",
    "GET /../a HTTP/1.1\r\nHost: idler\r\n\r\n",
    "GET /b/..%2fa HTTP/1.1\r\nHost: idler\r\n\r\n",
    "GET /a%00 HTTP/1.1\r\nHost: idler\r\n\r\n",
    "GET /a\0 HTTP/1.1\r\nHost: idler\r\n\r\n",
    "GET /a /evil HTTP/1.1\r\nHost: idler\r\n\r\n",
    "GET  /a HTTP/1.1\r\nHost: idler\r\n\r\n",
    "GET /a\r\n\r\n",
    "GET /a HTTP/0.9\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: idler\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    "GET /a HTTP/1.1\r\nHost: idler\r\nConnection: Content-Length\r\nContent-Length: 34\r\n\r\nGET /evil HTTP/1.1\r\nHost: idler\r\n\r\n",
    "HEAD /a HTTP/1.1\r\nHost: idler\r\nContent-Length: 34\r\n\r\nGET /evil HTTP/1.1\r\nHost: idler\r\n\r\n",
];

fn start() -> Running {
    let site = Site::with(&[("a", b"a"), ("marker", b"marker"), ("evil", b"evil")]);
    // It is there for as long as the process: idler goes on reading it.
    let path = site.path().to_owned();
    std::mem::forget(site);
    Idler::serve(path).env("RUST_LOG", "off").start()
}

/// Sends each ambiguous request with a marker behind it through the proxy, and returns what came back.
fn hold_all(proxy: SocketAddr) {
    for (number, request) in AMBIGUOUS.iter().enumerate() {
        let marker =
            format!("GET /marker?{number} HTTP/1.1\r\nHost: idler\r\nConnection: close\r\n\r\n");
        let heard = say(proxy, format!("{request}{marker}").as_bytes());
        assert!(
            !heard.contains("\r\n\r\nevil"),
            "{}: smuggled: {heard}",
            request.escape_debug()
        );
        // Only the marker, the last one asked for, may be answered with the marker's content; and then last.
        if let Some(at) = heard.find("\r\n\r\nmarker") {
            let rest = &heard[at + "\r\n\r\nmarker".len()..];
            assert_eq!(rest, "", "{}: out of turn", request.escape_debug());
        }
        // Who comes next over the same kept connections gets its own.
        let after = say(
            proxy,
            b"GET /a HTTP/1.1\r\nHost: idler\r\nConnection: close\r\n\r\n",
        );
        assert!(
            after.starts_with("HTTP/1.1 200") && after.ends_with("\r\n\r\na"),
            "after {}: {after}",
            request.escape_debug()
        );
    }
}

fn say(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).expect("it listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut heard = Vec::new();
    // A reset after an answer is the proxy's way of not reading the rest.
    let _ = stream.read_to_end(&mut heard);
    String::from_utf8_lossy(&heard).into_owned()
}

/// The requests in idler's log, in order.
fn asked_of(idler: &Running) -> Vec<String> {
    let log = idler.stdout();
    log.lines()
        .filter_map(|line| line.split('"').nth(1).map(str::to_owned))
        .collect()
}

/// Method and target of each request.
fn words(requests: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut words: Vec<String> = requests
        .into_iter()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    words.sort();
    words
}

/// Waits until idler was asked for all that the proxy says it asked for, and holds both lists against each other.
fn compare(idler: &Running, meant: &mut dyn FnMut() -> Vec<String>) {
    // The last thing asked for: when it is in both logs, so is all before it.
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    let last = "GET /last";
    wait_until("both logs to be complete", PATIENCE, || {
        theirs = words(meant());
        ours = words(asked_of(idler));
        let has = |list: &[String]| list.iter().any(|line| line == last);
        (has(&theirs) && has(&ours)).then_some(())
    });
    assert!(
        ours.len() > AMBIGUOUS.len(),
        "{} requests came through",
        ours.len()
    );
    assert_eq!(ours, theirs, "idler heard, and the proxy meant");
    assert!(!ours.iter().any(|line| line.contains("/evil")), "{ours:?}");
}

#[test]
#[ignore = "needs nginx"]
fn behind_nginx_no_request_arrives_that_was_not_meant() {
    let idler = start();
    let nginx = Daemon::nginx(&format!(
        "log_format meant '$upstream_status \"$request_method $uri_sent\"';\n\
         map $request_uri $uri_sent {{ ~^[a-z]+://[^/]+(?<path>/.*)$ $path; default $request_uri; }}\n\
         upstream idler {{ server {}; keepalive 4; }}\n\
         server {{ listen 127.0.0.1:{{port}}; access_log {{folder}}/log meant;\n\
         location / {{ proxy_pass http://idler; proxy_http_version 1.1; proxy_set_header Connection ''; \
         proxy_request_buffering off; proxy_next_upstream off; proxy_ignore_client_abort on; }} }}",
        idler.address()
    ));
    hold_all(nginx.address());
    say(
        nginx.address(),
        b"GET /last HTTP/1.0\r\nHost: idler\r\n\r\n",
    );
    compare(&idler, &mut || {
        let log = nginx.file("log");
        log.lines()
            // What has no status of idler's was refused by nginx itself.
            .filter(|line| !line.starts_with('-'))
            .filter_map(|line| line.split('"').nth(1).map(str::to_owned))
            .collect()
    });
    idler.stop();
}

#[test]
#[ignore = "needs haproxy"]
fn behind_haproxy_no_request_arrives_that_was_not_meant() {
    let idler = start();
    let ear = UdpSocket::bind("127.0.0.1:0").expect("a socket for the log");
    ear.set_nonblocking(true).expect("a socket option");
    let haproxy = Daemon::haproxy(&format!(
        "global\n  log {} len 8192 format raw local0\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n  retries 0\n\
         frontend front\n  bind 127.0.0.1:{{port}}\n  log global\n  \
         log-format '%ST %s \"%HM %HU\"'\n  default_backend back\n\
         backend back\n  http-reuse always\n  server idler {}\n",
        ear.local_addr().expect("a socket has an address"),
        idler.address()
    ));
    hold_all(haproxy.address());
    say(
        haproxy.address(),
        b"GET /last HTTP/1.0\r\nHost: idler\r\n\r\n",
    );
    let mut meant = Vec::new();
    compare(&idler, &mut || {
        let mut datagram = [0; 8192];
        while let Ok(bytes) = ear.recv(&mut datagram) {
            let line = String::from_utf8_lossy(&datagram[..bytes]).into_owned();
            // What went to no server was refused by HAProxy itself.
            if let Some((start, rest)) = line.split_once('"')
                && start.contains(" idler ")
            {
                let request = rest.split('"').next().unwrap_or_default();
                meant.push(request.to_owned());
            }
        }
        meant.clone()
    });
    idler.stop();
}
