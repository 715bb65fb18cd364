//! `--host` and `--cors`.
//!
//! It may not know how sites are kept apart. Invariant: a host gets files of its own site alone.
//! Read next: `guests.rs`.

use std::fs;
use std::time::Duration;

use idler::limits::RACY_WINDOW;

use crate::support::http::Reply;
use crate::support::{Client, Idler, Site, watch_for};

fn get(client: &mut Client, host: &str, target: &str) -> Reply {
    client
        .send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
        .expect("the server listens");
    client.reply()
}

#[test]
fn each_host_has_its_site() {
    let main = Site::with(&[("a", b"main"), ("404.html", b"main lost"), ("dir/m", b"")]);
    let one = Site::with(&[("a", b"one"), ("dir/o", b"")]);
    let two = Site::with(&[("a", b"two"), ("404.html", b"two lost"), ("only-two", b"2")]);
    for site in [&main, &one, &two] {
        site.age("a");
    }
    let rule = |name: &str, site: &Site| format!("{name}={}", site.path().display());
    let idler = Idler::serve(main.path())
        .arg("--host")
        .arg(rule("one.example", &one))
        .arg("--host")
        .arg(rule("Two.example", &two))
        .start();
    let mut client = idler.client();
    let expected = [
        ("one.example", "one"),
        ("ONE.example:8080", "one"),
        ("two.example.", "two"),
        ("localhost", "main"),
        ("", "main"),
        ("one.example.evil", "main"),
    ];
    let ask_all = |client: &mut Client| {
        for (host, said) in expected {
            let reply = get(client, host, "/a");
            assert_eq!((reply.status, reply.text().as_str()), (200, said), "{host}");
        }
    };
    // Files are kept only when they have rested for a while: first none is, then all three are.
    watch_for(RACY_WINDOW + Duration::from_secs(1), || {
        ask_all(&mut client)
    });
    assert_eq!(get(&mut client, "two.example", "/only-two").status, 200);
    assert_eq!(get(&mut client, "one.example", "/only-two").status, 404);
    assert_eq!(get(&mut client, "one.example", "/../a").status, 400);
    let mut client = idler.client();
    assert_eq!(get(&mut client, "two.example", "/x").text(), "two lost");
    assert_eq!(get(&mut client, "x", "/x").text(), "main lost");
    assert!(
        get(&mut client, "one.example", "/x")
            .text()
            .contains("<!doctype html>")
    );
    assert!(
        get(&mut client, "one.example", "/dir/")
            .text()
            .contains("href=\"o\"")
    );
    assert!(get(&mut client, "x", "/dir/").text().contains("href=\"m\""));
    // The target's own host wins over the field (RFC 9112 §3.2.2).
    let reply = get(&mut client, "two.example", "http://one.example/a");
    assert_eq!(reply.text(), "one");
    fs::remove_dir_all(one.path()).expect("a folder can be removed");
    assert_eq!(get(&mut client, "one.example", "/a").status, 404);
    assert_eq!(get(&mut client, "two.example", "/a").text(), "two");
    idler.stop();
}

#[test]
fn listings_of_two_sites_at_once_do_not_mix() {
    let main = Site::new();
    let one = Site::new();
    for n in 0..2000 {
        main.file(format!("main-{n}"), b"");
        one.file(format!("one-{n}"), b"1");
    }
    let idler = Idler::serve(main.path())
        .arg("--host")
        .arg(format!("one.example={}", one.path().display()))
        .start();
    let (mut a, mut b) = (idler.client(), idler.client());
    a.ask("GET", "/?json", "");
    b.send("GET /?json HTTP/1.1\r\nHost: one.example\r\n\r\n")
        .expect("the server listens");
    let (a, b) = (a.reply().text(), b.reply().text());
    assert!(a.contains("main-1999") && !a.contains("one-"));
    assert!(b.contains("one-1999") && !b.contains("main-"));
    // What is looked at is the file of the right site: its size says so.
    assert_eq!(b.matches("\"size\":1").count(), 2000, "{}", &b[..400]);
    idler.stop();
}

#[test]
fn mistaken_hosts_are_refused_at_the_start() {
    let site = Site::new();
    for (args, words) in [
        (
            vec!["--host", "a=/nowhere"],
            "--host: cannot serve /nowhere: ",
        ),
        (vec!["--host", "a=/tmp", "--host", "A=/"], "a has two sites"),
    ] {
        let outcome = Idler::serve(site.path()).args(&args).run();
        assert_eq!(outcome.status.code(), Some(1));
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
}

#[test]
fn scripts_of_other_sites_may_read_what_cors_allows() {
    let site = Site::with(&[("a", b"a"), ("index.html", b"i"), ("dir/x", b"")]);
    site.age("a");
    let origin = |reply: &Reply| {
        reply
            .all("access-control-allow-origin")
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let idler = Idler::serve(site.path()).arg("--cors").start();
    let mut client = idler.client();
    for target in ["/a", "/", "/dir/", "/dir", "/missing", "/a"] {
        assert_eq!(origin(&client.get(target)), ["*"], "{target}");
    }
    client.ask(
        "GET",
        "/a",
        "Range: bytes=0-0\r\nOrigin: http://a.example\r\n",
    );
    let reply = client.reply();
    assert_eq!((reply.status, origin(&reply)), (206, vec!["*".to_owned()]));
    assert_eq!(reply.header("access-control-expose-headers"), Some("*"));
    client.ask("GET", "/a", "If-None-Match: *\r\n");
    let reply = client.reply();
    assert_eq!((reply.status, origin(&reply)), (304, vec!["*".to_owned()]));
    client.ask(
        "OPTIONS",
        "/a",
        "Origin: http://a.example\r\nAccess-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: range\r\n",
    );
    let reply = client.reply();
    assert_eq!((reply.status, origin(&reply)), (204, vec!["*".to_owned()]));
    assert_eq!(
        reply.header("access-control-allow-methods"),
        Some("GET, HEAD, OPTIONS")
    );
    assert_eq!(
        reply.header("access-control-allow-headers"),
        Some("*, Authorization")
    );
    idler.stop();

    // Who says it himself is believed, and not contradicted.
    let idler = Idler::serve(site.path())
        .args(&[
            "--cors",
            "-H",
            "Access-Control-Allow-Origin: https://a.example",
        ])
        .start();
    for target in ["/a", "/missing"] {
        assert_eq!(
            origin(&idler.get(target)),
            ["https://a.example"],
            "{target}"
        );
    }
    idler.stop();

    let idler = Idler::serve(site.path()).start();
    assert!(origin(&idler.get("/a")).is_empty());
    idler.stop();
}
