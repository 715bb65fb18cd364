//! `--health`, `--reuse-port` and `--user`.
//!
//! It may not know how privileges are given up. Invariant: what is asked for is done, or the start fails.
//! Read next: `auth.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Signal, geteuid};

use crate::support::{Idler, PATIENCE, Site, wait_until};

#[test]
fn health_is_well_until_it_stops() {
    let site = Site::with(&[("health", b"a file"), ("404.html", b"lost")]);
    let mut idler = Idler::serve(site.path())
        .args(&["--health", "/health", "--drain-delay", "10s", "--spa"])
        .start();
    let mut client = idler.client();
    let reply = client.get("/health");
    assert_eq!((reply.status, reply.text().as_str()), (200, "ok\n"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(client.get("/health?x").status, 200);
    client.ask("HEAD", "/health", "");
    let reply = client.head_reply();
    assert_eq!(
        (reply.status, reply.header("content-length")),
        (200, Some("3"))
    );
    client.ask("POST", "/health", "Content-Length: 0\r\n");
    assert_eq!(client.reply().status, 405);
    assert_eq!(idler.get("/health/").status, 404);
    idler.signal(Signal::TERM);
    // Newcomers are still let in, and told.
    let reply = wait_until("503", PATIENCE, || {
        Some(idler.get("/health")).filter(|reply| reply.status == 503)
    });
    assert_eq!(reply.text(), "stopping\n");
    assert!(reply.says_close());
    assert_eq!(idler.get("/404.html").status, 200);
    idler.signal(Signal::TERM);
    assert!(idler.exit_code().is_some());
}

#[test]
fn that_it_is_well_is_not_logged() {
    let site = Site::with(&[("a", b"a")]);
    let mut idler = Idler::serve(site.path())
        .args(&[
            "--health",
            "/health",
            "--drain-delay",
            "10s",
            "--status",
            "/figures",
        ])
        .start();
    let mut client = idler.client();
    assert_eq!(client.get("/health").status, 200);
    client.ask("HEAD", "/health?x", "");
    assert_eq!(client.head_reply().status, 200);
    assert_eq!(client.get("/a").status, 200);
    client.ask("POST", "/health", "Content-Length: 0\r\n");
    assert_eq!(client.reply().status, 405);
    let figures = client.get("/figures").text();
    assert!(
        figures.contains("idler_http_requests_total{code=\"200\"} 3"),
        "{figures}"
    );
    idler.signal(Signal::TERM);
    wait_until("503", PATIENCE, || {
        Some(idler.get("/health")).filter(|reply| reply.status == 503)
    });
    let lines = idler.lines(4);
    let expected = [
        "\"GET /a HTTP/1.1\" 200 ",
        "\"POST /health HTTP/1.1\" 405 ",
        "\"GET /figures HTTP/1.1\" 200 ",
        "\"GET /health HTTP/1.1\" 503 ",
    ];
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{line}");
    }
    idler.signal(Signal::TERM);
}

#[test]
fn a_port_is_shared_only_if_both_want_it() {
    let site = Site::with(&[("a", b"a")]);
    let first = Idler::serve(site.path()).arg("--reuse-port").start();
    let port = first.address().port().to_string();
    let second = Idler::bare()
        .arg(site.path())
        .args(&["-p", &port, "--reuse-port"])
        .start();
    assert_eq!(first.address(), second.address());
    assert_eq!(first.get("/a").status, 200);
    let outcome = Idler::bare().arg(site.path()).args(&["-p", &port]).run();
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.stderr);
    first.stop();
    assert_eq!(second.get("/a").status, 200);
    second.stop();
}

#[test]
fn root_is_given_up_when_a_user_is_named() {
    let site = Site::with(&[("a", b"a"), ("closed", b"x")]);
    fs::set_permissions(
        site.path().join("closed"),
        fs::Permissions::from_mode(0o600),
    )
    .expect("modes can be set");
    let with_user = Idler::serve(site.path()).args(&["--user", "65534:65534"]);
    if !geteuid().is_root() {
        let outcome = with_user.run();
        assert_eq!(outcome.status.code(), Some(1));
        assert!(outcome.stderr.contains("only root"), "{}", outcome.stderr);
        return;
    }
    let idler = with_user.start();
    for name in ["Uid", "Gid"] {
        let ids = idler.proc().status(name);
        assert!(
            ids.split_whitespace().all(|id| id == "65534"),
            "{name}: {ids}"
        );
    }
    assert_eq!(idler.get("/a").status, 200);
    assert_eq!(idler.get("/closed").status, 403);
    assert!(!idler.stderr().contains("running as root"));
    idler.stop();

    let idler = Idler::serve(site.path()).start();
    idler.says(&["running as root", "--user"]);
    idler.stop();
}

#[test]
fn a_log_that_the_user_could_not_open_again_is_told_at_the_start() {
    let site = Site::new();
    let log = site.beside("log");
    let with_user = || {
        let idler = Idler::serve(site.path()).args(&["--user", "65534:65534", "--access-log"]);
        idler.arg(&log)
    };
    if !geteuid().is_root() {
        assert_eq!(with_user().run().status.code(), Some(1));
        return;
    }
    let idler = with_user().start();
    idler.says(&["65534", "access log", "give that user the file"]);
    idler.stop();
    // As logrotate leaves it, if told to `create`.
    std::os::unix::fs::chown(&log, Some(65534), Some(65534)).expect("root may");
    let idler = with_user().start();
    assert!(!idler.stderr().contains("access log"), "{}", idler.stderr());
    idler.stop();
}

#[test]
fn a_user_who_is_none_is_refused() {
    let site = Site::new();
    for args in [
        &["--user", "nobody-here"][..],
        &["--check", "--user", "root"],
    ] {
        let outcome = Idler::serve(site.path()).args(args).run();
        assert_eq!(outcome.status.code(), Some(1), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("cannot run as user"),
            "{}",
            outcome.stderr
        );
    }
}
