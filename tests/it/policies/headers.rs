//! `--cache` and `--header`.
//!
//! It may not know how lines are chosen. Invariant: one `Cache-Control` in each reply, never two that contradict each other.
//! Read next: `fallbacks.rs`.

use crate::support::http::Reply;
use crate::support::{Idler, Site};

fn site() -> Site {
    let site = Site::with(&[
        ("index.html", b"home"),
        ("assets/app.3f9a1c2b.js", b"1"),
        ("assets/app.js", b"2"),
        ("sw.js", b"3"),
        ("list/a", b"4"),
    ]);
    for name in [
        "index.html",
        "assets/app.3f9a1c2b.js",
        "assets/app.js",
        "sw.js",
    ] {
        site.age(name);
    }
    site
}

fn cache_control(reply: &Reply) -> Vec<&str> {
    reply.all("cache-control").collect()
}

#[test]
fn files_are_asked_for_each_time_unless_told_otherwise() {
    let site = site();
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    for target in [
        "/",
        "/assets/app.3f9a1c2b.js",
        "/list/",
        "/missing",
        "/list",
    ] {
        assert_eq!(cache_control(&client.get(target)), ["no-cache"], "{target}");
    }
    idler.stop();
}

#[test]
fn files_are_fresh_for_as_long_as_cache_says() {
    let site = site();
    let idler = Idler::serve(site.path())
        .args(&["--cache", "1h,immutable"])
        .start();
    let mut client = idler.client();
    let for_ever = "public, max-age=31536000, immutable";
    // Twice: opened, and kept.
    for _ in 0..2 {
        for (target, value) in [
            ("/", "max-age=3600"),
            ("/assets/app.js", "max-age=3600"),
            ("/assets/app.3f9a1c2b.js", for_ever),
            ("/list/", "no-cache"),
            ("/missing", "no-cache"),
            ("/missing.3f9a1c2b.js", "no-cache"),
        ] {
            assert_eq!(cache_control(&client.get(target)), [value], "{target}");
        }
    }
    let etag = client.get("/assets/app.3f9a1c2b.js");
    let etag = etag.header("etag").expect("files have tags");
    client.ask(
        "GET",
        "/assets/app.3f9a1c2b.js",
        &format!("If-None-Match: {etag}\r\n"),
    );
    let reply = client.reply();
    assert_eq!((reply.status, cache_control(&reply)), (304, vec![for_ever]));
    client.ask("GET", "/assets/app.js", "Range: bytes=0-0\r\n");
    let reply = client.reply();
    assert_eq!(
        (reply.status, cache_control(&reply)),
        (206, vec!["max-age=3600"])
    );
    idler.stop();
}

#[test]
fn lines_for_a_path_win_over_those_for_all() {
    let site = site();
    let idler = Idler::serve(site.path())
        .args(&[
            "--cache",
            "60",
            "-H",
            "X-A: all",
            "-H",
            "Cache-Control: max-age=1",
        ])
        .args(&[
            "-H",
            "/assets/ Cache-Control: max-age=2",
            "-H",
            "/sw.js Cache-Control: no-store",
        ])
        .args(&["-H", "/sw.js Service-Worker-Allowed: /"])
        .start();
    let mut client = idler.client();
    for _ in 0..2 {
        for (target, value) in [
            ("/", "max-age=1"),
            ("/assets/app.js", "max-age=2"),
            ("/sw.js", "no-store"),
            ("/missing", "no-cache"),
            ("/assets/missing", "no-cache"),
            ("/list/", "no-cache"),
        ] {
            let reply = client.get(target);
            assert_eq!(cache_control(&reply), [value], "{target}");
            assert_eq!(reply.header("x-a"), Some("all"), "{target}");
            let allowed = (target == "/sw.js").then_some("/");
            assert_eq!(reply.header("service-worker-allowed"), allowed, "{target}");
        }
    }
    idler.stop();
}

#[test]
fn mistakes_are_found_at_the_start() {
    let site = site();
    for (args, code, words) in [
        (["--cache", "2 days"], 2, "--cache"),
        (["-H", "/../x A: b"], 1, "above the root"),
        (["-H", "/x? A: b"], 2, "no query"),
    ] {
        let outcome = Idler::serve(site.path()).args(&args).run();
        assert_eq!(outcome.status.code(), Some(code), "{args:?}");
        assert!(
            outcome.stderr.contains(words),
            "{args:?}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn a_list_has_the_lines_of_its_path_but_none_that_let_it_be_kept() {
    let site = site();
    site.file("list/deep/b", b"5");
    let idler = Idler::serve(site.path())
        .args(&["-H", "/list/ X-Robots-Tag: noindex"])
        .args(&["-H", "/list/ Cache-Control: max-age=60"])
        .args(&["-H", "/list/deep/ X-Robots-Tag: none"])
        .args(&["-H", "/list X-Exact: yes"])
        .start();
    let mut client = idler.client();
    for (target, robots) in [
        ("/assets/", None),
        ("/list/", Some("noindex")),
        ("/list/deep/", Some("none")),
        ("/list/missing", None),
    ] {
        let reply = client.get(target);
        assert_eq!(reply.header("x-robots-tag"), robots, "{target}");
        assert_eq!(cache_control(&reply), ["no-cache"], "{target}");
        assert_eq!(reply.header("x-exact"), None, "{target}");
    }
    assert_eq!(cache_control(&client.get("/list/a")), ["max-age=60"]);
    idler.stop();
}
