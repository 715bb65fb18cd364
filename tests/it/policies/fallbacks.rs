//! `--spa`, `--clean-urls`, and the error pages of a site.
//!
//! It may not know in which order files are looked for. Invariant: whatever stands in for what is missing says so by its status, or
//! is a page that was asked for as one.
//! Read next: `redirects.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Idler, Site};

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";

#[test]
fn missing_pages_of_an_application_are_its_index() {
    let site = Site::with(&[("index.html", b"app"), ("a.js", b"1"), ("dir/x", b"2")]);
    site.age("index.html");
    let idler = Idler::serve(site.path())
        .args(&["--spa", "--no-listing"])
        .start();
    let mut client = idler.client();
    for _ in 0..2 {
        for target in ["/user/7", "/user/7?tab=1", "/missing.js", "/dir/", "/user/"] {
            client.ask("GET", target, BROWSER);
            let reply = client.reply();
            assert_eq!(
                (reply.status, reply.text().as_str()),
                (200, "app"),
                "{target}"
            );
            assert_eq!(
                reply.header("content-type"),
                Some("text/html; charset=utf-8")
            );
            assert!(reply.all("vary").any(|vary| vary == "Accept"), "{target}");
            // A script, a style sheet, an image, curl.
            for accept in [
                "",
                "Accept: */*\r\n",
                "Accept: image/png,*/*;q=0.5\r\n",
                "Accept: text/html;q=0, */*\r\n",
            ] {
                client.ask("GET", target, accept);
                let reply = client.reply();
                assert_eq!(reply.status, 404, "{target} {accept}");
                assert!(reply.all("vary").any(|vary| vary == "Accept"), "{target}");
            }
        }
    }
    client.ask("HEAD", "/user/7", BROWSER);
    let reply = client.head_reply();
    assert_eq!(
        (reply.status, reply.header("content-length")),
        (200, Some("3"))
    );
    let etag = reply.header("etag").expect("files have tags").to_owned();
    client.ask(
        "GET",
        "/user/8",
        &format!("{BROWSER}If-None-Match: {etag}\r\n"),
    );
    assert_eq!(client.reply().status, 304);
    client.ask("GET", "/a.js", BROWSER);
    assert_eq!(client.reply().text(), "1");
    fs::remove_file(site.path().join("index.html")).expect("a file can be removed");
    client.ask("GET", "/user/7", BROWSER);
    assert_eq!(client.reply().status, 404);
    idler.stop();
}

#[test]
fn a_site_has_its_own_error_pages() {
    let site = Site::with(&[
        ("404.html", b"<p>lost</p>"),
        ("405.html", b"no"),
        ("416.html", b"beyond"),
        ("400.html", b"what?"),
        ("a", b"a"),
    ]);
    site.age("404.html");
    let idler = Idler::serve(site.path()).args(&["-H", "X-A: 1"]).start();
    let mut client = idler.client();
    for target in ["/missing", "/deep/down/missing", "/missing"] {
        let reply = client.get(target);
        assert_eq!((reply.status, reply.text().as_str()), (404, "<p>lost</p>"));
        assert_eq!(
            reply.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        assert_eq!(reply.header("x-a"), Some("1"));
        // It is not the representation of what was asked for.
        assert_eq!(reply.header("etag"), None);
        assert_eq!(reply.header("accept-ranges"), None);
        assert_eq!(reply.header("content-security-policy"), None);
    }
    // Neither conditions nor ranges are about it.
    client.ask("GET", "/missing", "Range: bytes=0-1\r\nIf-Match: \"x\"\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, reply.text().as_str()), (404, "<p>lost</p>"));
    client.ask("HEAD", "/missing", "");
    let reply = client.head_reply();
    assert_eq!(
        (reply.status, reply.header("content-length")),
        (404, Some("11"))
    );
    client.ask("DELETE", "/a", "");
    let reply = client.reply();
    assert_eq!((reply.status, reply.text().as_str()), (405, "no"));
    assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
    client.ask("GET", "/a", "Range: bytes=9-\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, reply.text().as_str()), (416, "beyond"));
    assert_eq!(reply.header("content-range"), Some("bytes */1"));
    // By its own name it is a page like any other.
    let reply = client.get("/404.html");
    assert_eq!((reply.status, reply.text().as_str()), (200, "<p>lost</p>"));
    // What changes is seen, and what is gone is replaced.
    site.replace("404.html", b"new");
    assert_eq!(client.get("/missing").text(), "new");
    fs::remove_file(site.path().join("404.html")).expect("a file can be removed");
    assert!(client.get("/missing").text().contains("<!doctype html>"));
    let mut client = idler.client();
    client.send("nonsense\r\n\r\n").expect("the server listens");
    let reply = client.reply();
    assert_eq!((reply.status, reply.text().as_str()), (400, "what?"));
    client.expect_closed();
    idler.stop();
}

#[test]
fn an_error_page_that_cannot_be_sent_is_replaced_by_ours() {
    let site = Site::with(&[("403.html", b"secret"), ("closed", b"x")]);
    site.sparse("404.html", 300_000);
    for name in ["403.html", "closed"] {
        let path = site.path().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("modes can be set");
    }
    let idler = Idler::serve(site.path()).unprivileged().start();
    for (target, status) in [("/closed", 403), ("/missing", 404)] {
        let reply = idler.get(target);
        assert_eq!(reply.status, status);
        assert!(reply.text().contains("<!doctype html>"), "{}", reply.text());
    }
    site.sparse("404.html", 200_000);
    let reply = idler.get("/missing");
    assert_eq!((reply.status, reply.body.len()), (404, 200_000));
    idler.stop();
}

#[test]
fn pages_are_served_without_their_html() {
    let site = Site::with(&[
        ("index.html", b"home"),
        ("about.html", b"about"),
        ("docs.html", b"docs"),
        ("docs/index.html", b"docs index"),
        ("docs/a b.html", b"blank"),
        ("both", b"file"),
        ("both.html", b"page"),
        ("404.html", b"lost"),
        (".html", b"odd"),
    ]);
    site.age("about.html");
    let idler = Idler::serve(site.path())
        .args(&["--clean-urls", "--hidden"])
        .start();
    let mut client = idler.client();
    for _ in 0..2 {
        for (target, status, said) in [
            ("/", 200, "home"),
            ("/about", 200, "about"),
            ("/about?x=1", 200, "about"),
            ("/about/", 404, "lost"),
            ("/docs", 200, "docs"),
            ("/docs/", 200, "docs index"),
            ("/docs/a%20b", 200, "blank"),
            ("/both", 200, "file"),
            ("/both.html", 200, "page"),
            ("/.html", 200, "odd"),
            ("/missing", 404, "lost"),
            ("/missing.html", 404, "lost"),
            ("/about.html", 301, "/about"),
            ("/about.html?a=b", 301, "/about?a=b"),
            ("/index.html", 301, "/"),
            ("/docs/index.html", 301, "/docs/"),
            ("/docs/a%20b.html", 301, "/docs/a%20b"),
            ("//docs/../about.html", 301, "/about"),
        ] {
            let reply = client.get(target);
            assert_eq!(reply.status, status, "{target}");
            match status {
                301 => assert_eq!(reply.header("location"), Some(said), "{target}"),
                _ => assert_eq!(reply.text(), said, "{target}"),
            }
        }
    }
    site.file("about", b"a file now");
    assert_eq!(client.get("/about").text(), "a file now");
    assert_eq!(client.get("/about.html").text(), "about");
    idler.stop();
}
