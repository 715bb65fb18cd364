//! Compressed siblings: who is sent which, and what is said of it.
//!
//! It may not know how a sibling is found or kept. Invariant: what is sent is what its headers say, and a sibling never
//! outlives its original. Read next: `explain.rs`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{Client, Idler, PATIENCE, Reply, Site, wait_until};

const ORIGINAL: &[u8] = b"the original, which is the longest of all\n";
const SIBLINGS: &[(&str, &str, &[u8])] = &[
    ("br", "x.js.br", b"brotli's"),
    ("zstd", "x.js.zst", b"that of zstd"),
    ("gzip", "x.js.gz", b"the one of gzip"),
];

/// `x.js` and its siblings. They need not hold what they claim to: nobody but the client decodes them.
fn site() -> Site {
    let site = Site::with(&[("x.js", ORIGINAL)]);
    // First of all: a second that begins in between must not make it younger than a sibling.
    site.age("x.js");
    for (_, name, bytes) in SIBLINGS {
        site.file(name, bytes);
        site.age(name);
    }
    site
}

fn get(client: &mut Client, target: &str, accept: &str, headers: &str) -> Reply {
    let headers = if accept.is_empty() {
        headers.to_owned()
    } else {
        format!("Accept-Encoding: {accept}\r\n{headers}")
    };
    client.ask("GET", target, &headers);
    client.reply()
}

/// Which variant it is, by its headers; they must agree with its content.
fn variant(reply: &Reply) -> &'static str {
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
    let tag = reply.header("etag").expect("a tag").trim_end_matches('"');
    let found = match reply.header("content-encoding") {
        None => {
            assert!(!tag.contains("br") && !tag.ends_with("gzip") && !tag.ends_with("zstd"));
            ("identity", ORIGINAL)
        }
        Some(coding) => {
            assert!(tag.ends_with(&format!("-{coding}")), "{tag}");
            let sibling = SIBLINGS.iter().find(|(name, ..)| *name == coding);
            let (name, _, bytes) = sibling.expect("a known coding");
            (*name, *bytes)
        }
    };
    assert_eq!(reply.body, found.1);
    found.0
}

/// Waits until nothing in the site is so fresh that it would not be kept.
fn rests(site: &Site) {
    wait_until("the site to rest", PATIENCE, || {
        let mut youngest = fs::metadata(site.path()).ok()?.ctime();
        for entry in fs::read_dir(site.path()).ok()?.flatten() {
            youngest = youngest.max(fs::metadata(entry.path()).map_or(0, |m| m.ctime()));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        (now >= Duration::from_secs(u64::try_from(youngest).ok()? + 3)).then_some(())
    });
}

#[test]
fn each_client_gets_the_smallest_that_it_accepts() {
    let site = site();
    let idler = Idler::serve(site.path()).start();
    let cases = [
        ("", "identity"),
        ("identity", "identity"),
        ("gzip", "gzip"),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("zstd, gzip", "zstd"),
        ("*", "br"),
        ("br;q=0, *", "zstd"),
        ("br;q=0.5, gzip", "gzip"),
        ("gzip;q=0", "identity"),
        ("gzip;q=0.5, identity", "identity"),
        ("identity;q=0, gzip", "gzip"),
        ("identity;q=0", "identity"),
        ("*;q=0", "identity"),
        ("deflate", "identity"),
    ];
    let mut client = idler.client();
    // The second time from what was kept, if anything was.
    for _ in 0..2 {
        for (accept, expected) in cases {
            let reply = get(&mut client, "/x.js", accept, "");
            assert_eq!(variant(&reply), expected, "{accept}");
            client.ask("HEAD", "/x.js", &format!("Accept-Encoding: {accept}\r\n"));
            let head = client.head_reply();
            for name in ["content-length", "content-encoding", "etag", "vary"] {
                assert_eq!(head.header(name), reply.header(name), "{accept}: {name}");
            }
        }
        rests(&site);
    }
    idler.stop();
}

#[test]
fn conditions_and_ranges_are_those_of_the_variant() {
    let site = site();
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    let tag = |client: &mut Client, accept: &str| {
        let reply = get(client, "/x.js", accept, "");
        reply.header("etag").expect("a tag").to_owned()
    };
    let accepts = ["", "gzip", "zstd", "br"];
    let tags: Vec<String> = accepts.map(|accept| tag(&mut client, accept)).into();
    for (i, accept) in accepts.iter().enumerate() {
        for (j, other) in tags.iter().enumerate() {
            let line = format!("If-None-Match: {other}\r\n");
            let reply = get(&mut client, "/x.js", accept, &line);
            assert_eq!(reply.status, if i == j { 304 } else { 200 });
            assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
            assert_eq!(reply.header("etag"), Some(tags[i].as_str()));
            if i == j {
                assert_eq!(reply.header("content-encoding"), None);
            }
            let line = format!("If-Range: {other}\r\nRange: bytes=0-3\r\n");
            let reply = get(&mut client, "/x.js", accept, &line);
            assert_eq!(reply.status, if i == j { 206 } else { 200 });
            let line = format!("If-Match: {other}\r\n");
            let reply = get(&mut client, "/x.js", accept, &line);
            assert_eq!(reply.status, if i == j { 200 } else { 412 });
            assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
        }
    }
    for (coding, _, bytes) in SIBLINGS {
        let reply = get(&mut client, "/x.js", coding, "Range: bytes=-3\r\n");
        assert_eq!(reply.status, 206);
        let (from, all) = (bytes.len() - 3, bytes.len());
        let range = format!("bytes {from}-{}/{all}", all - 1);
        assert_eq!(reply.header("content-range"), Some(range.as_str()));
        assert_eq!(reply.header("content-encoding"), Some(*coding));
        assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
        assert_eq!(reply.body, &bytes[from..]);
        let reply = get(&mut client, "/x.js", coding, "Range: bytes=20-\r\n");
        assert_eq!(reply.status, 416);
        let range = format!("bytes */{all}");
        assert_eq!(reply.header("content-range"), Some(range.as_str()));
        assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
        assert_eq!(reply.header("content-encoding"), None);
    }
    idler.stop();
}

#[test]
fn what_is_no_current_sibling_is_ignored() {
    let site = site();
    site.file("outside/x.js", ORIGINAL);
    fs::copy(site.path().join("x.js.br"), site.beside("secret")).expect("a copy");
    site.link("outside/x.js.br", site.beside("secret"));
    site.folder("outside/x.js.zst");
    site.file("outside/x.js.gz", b"");
    site.modified("x.js.br", 1_000_000);
    site.fifo("fifo.js.br");
    site.file("fifo.js", ORIGINAL);
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    for _ in 0..2 {
        let reply = get(&mut client, "/x.js", "br, gzip", "");
        assert_eq!(variant(&reply), "gzip", "the other is too old");
        let reply = get(&mut client, "/outside/x.js", "*", "");
        assert_eq!(variant(&reply), "identity");
        let reply = get(&mut client, "/fifo.js", "*", "");
        assert_eq!(variant(&reply), "identity");
        rests(&site);
    }
    idler.stop();
}

#[test]
fn a_sibling_asked_for_by_its_name_is_a_file_like_others() {
    let site = site();
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    for (_, name, bytes) in SIBLINGS {
        let reply = get(&mut client, &format!("/{name}"), "gzip, br, zstd", "");
        assert_eq!((reply.status, reply.body.as_slice()), (200, *bytes));
        assert_eq!(reply.header("content-encoding"), None);
        assert_eq!(reply.header("vary"), None);
        assert!(
            !reply
                .header("content-type")
                .expect("a type")
                .contains("javascript")
        );
    }
    idler.stop();
}

#[test]
fn pictures_and_sites_of_one_file_have_no_siblings() {
    let site = site();
    site.file("a.png", b"picture");
    site.file("a.png.gz", b"no picture");
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    let plain = client.get("/a.png");
    for _ in 0..2 {
        let reply = get(&mut client, "/a.png", "gzip", "");
        assert_eq!(reply.body, b"picture");
        assert_eq!(reply.header("vary"), None);
        assert_eq!(reply.header("content-encoding"), None);
        assert_eq!(
            reply.header("content-length"),
            plain.header("content-length")
        );
        rests(&site);
    }
    idler.stop();

    let idler = Idler::serve(site.path().join("x.js")).start();
    let reply = get(&mut idler.client(), "/", "gzip", "");
    assert_eq!(reply.body, ORIGINAL);
    assert_eq!(reply.header("vary"), None);
    idler.stop();
}

#[test]
fn an_index_has_siblings_too_and_large_ones_are_sent_whole() {
    let site = Site::new();
    let long: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    site.file("index.html", b"<p>hello");
    site.file("index.html.gz", &long);
    site.age("index.html");
    site.age("index.html.gz");
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    for _ in 0..2 {
        for target in ["/", "/index.html", "/?query"] {
            let reply = get(&mut client, target, "gzip", "");
            assert_eq!(reply.header("content-encoding"), Some("gzip"));
            assert!(reply.body == long, "{target}");
            assert_eq!(get(&mut client, target, "br", "").body, b"<p>hello");
        }
        rests(&site);
    }
    idler.stop();
}

/// Each change is made to a site whose answers are kept, and must show in the very next one.
#[test]
fn every_change_shows_at_once() {
    let site = site();
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    let mut look = |accept: &str| variant(&get(&mut client, "/x.js", accept, ""));
    let all = "br, zstd, gzip";
    let keep = |look: &mut dyn FnMut(&str) -> &'static str, expected: &str| {
        rests(&site);
        assert_eq!(look(all), expected);
        assert_eq!(look(all), expected);
        assert_eq!(look(""), "identity");
    };

    keep(&mut look, "br");
    fs::remove_file(site.path().join("x.js.br")).expect("it was there");
    assert_eq!(look(all), "zstd");
    keep(&mut look, "zstd");
    site.file("x.js.br", SIBLINGS[0].2);
    assert_eq!(look(all), "br", "what was absent has come");
    keep(&mut look, "br");
    // In place: the folder does not change.
    site.modified("x.js.br", 1_000_000);
    assert_eq!(look(all), "zstd", "it is too old now");
    keep(&mut look, "zstd");
    site.age("x.js.br");
    assert_eq!(look(all), "br", "it is new enough again");
    keep(&mut look, "br");
    site.file("x.js", ORIGINAL);
    assert_eq!(look(all), "identity", "the original is newer than all");
    keep(&mut look, "identity");
    for (_, name, bytes) in SIBLINGS {
        site.file(name, bytes);
    }
    assert_eq!(look(all), "br");
    keep(&mut look, "br");
    fs::remove_file(site.path().join("x.js")).expect("it was there");
    for accept in [all, ""] {
        assert_eq!(get(&mut client, "/x.js", accept, "").status, 404);
    }
    idler.stop();
}
