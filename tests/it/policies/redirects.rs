//! `--redirects`.
//!
//! It may not know the grammar of the file, which has its own tests. Invariant: what was in force stays so until
//! something better has been read. Read next: `sites.rs`.

use std::fs;

use rustix::process::Signal;

use crate::support::http::Reply;
use crate::support::{Idler, Site};

fn seen(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.header("location"))
}

#[test]
fn redirects_are_followed_before_files_are_looked_for() {
    let site = Site::with(&[("old.html", b"old"), ("new.html", b"new")]);
    let file = site.beside("redirects");
    fs::write(
        &file,
        "/old.html /new.html 301\n/blog/* https://blog.example/* 308\n",
    )
    .expect("written");
    let idler = Idler::serve(site.path())
        .arg("--redirects")
        .arg(&file)
        .start();
    let mut client = idler.client();
    for (target, expected) in [
        ("/old.html", (301, Some("/new.html"))),
        ("/%6fld.html?a=b", (301, Some("/new.html?a=b"))),
        ("/blog/2024/x", (308, Some("https://blog.example/2024/x"))),
        (
            "/blog//evil.example",
            (308, Some("https://blog.example/evil.example")),
        ),
        ("/new.html", (200, None)),
        ("/blog", (404, None)),
    ] {
        assert_eq!(seen(&client.get(target)), expected, "{target}");
    }
    client.ask("HEAD", "/old.html", "");
    let reply = client.head_reply();
    assert_eq!(seen(&reply), (301, Some("/new.html")));
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    client.ask("POST", "/old.html", "Content-Length: 0\r\n");
    assert_eq!(client.reply().status, 405);
    idler.stop();
}

#[test]
fn a_file_is_read_again_on_sighup_and_a_bad_one_refused() {
    let site = Site::with(&[("new.html", b"new")]);
    let folder = site.beside("config");
    fs::create_dir(&folder).expect("a folder can be made");
    let file = folder.join("redirects");
    fs::write(&file, "/a /one 302\n").expect("written");
    let mut idler = Idler::serve(site.path())
        .arg("--redirects")
        .arg(&file)
        .start();
    assert_eq!(seen(&idler.get("/a")), (302, Some("/one")));

    fs::write(&file, "/a /two 302\n/b /c\n").expect("written");
    idler.signal(Signal::HUP);
    idler.says(&["redirects: line 2", "the status is missing"]);
    assert_eq!(seen(&idler.get("/a")), (302, Some("/one")));

    // As editors and deployments do it: another file under the same name.
    let draft = folder.join("draft");
    fs::write(&draft, "/a /three 307\n").expect("written");
    fs::rename(&draft, &file).expect("renamed");
    idler.signal(Signal::HUP);
    idler.says(&["redirects was read again"]);
    assert_eq!(seen(&idler.get("/a")), (307, Some("/three")));

    fs::remove_file(&file).expect("removed");
    idler.signal(Signal::HUP);
    idler.says(&["cannot read", "no such file"]);
    assert_eq!(seen(&idler.get("/a")), (307, Some("/three")));
    idler.stop();
}

#[test]
fn a_bad_file_is_refused_at_the_start() {
    let site = Site::with(&[]);
    let file = site.file("redirects", b"/a /b 301\n/a /c 301\n");
    let outcome = Idler::serve(site.path())
        .arg("--redirects")
        .arg(&file)
        .run();
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome
            .stderr
            .contains("redirects: line 2: this path is redirected in line 1"),
        "{}",
        outcome.stderr
    );
    let outcome = Idler::serve(site.path())
        .args(&["--check", "--redirects", "/nowhere"])
        .run();
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome.stderr.contains("cannot read /nowhere"),
        "{}",
        outcome.stderr
    );
}
