//! Files of every kind, and what becomes of them while they are served.
//!
//! It may not know how a file is opened, kept or sent. Invariant: what a client gets is what stood there when it
//! asked, whole; or the connection ends where the promise was broken.
//! Read next: `confinement.rs`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant, SystemTime};

use crate::support::http::Trouble;
use crate::support::{Client, Idler, PATIENCE, Running, Site, alone, fixture_site, wait_until};

/// More than all the buffers between two sockets hold.
const LARGE: usize = 32 << 20;

/// A target whose every byte that is not plain is encoded.
fn target(name: &[u8]) -> String {
    let mut text = String::from("/");
    for byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

const ODD_NAMES: &[&[u8]] = &[
    b"with blank.txt",
    b" leading and trailing ",
    b"100%.txt",
    b"%41.txt",
    b"what?.txt",
    b"number#1.txt",
    b"a&b=c;d+e,f.txt",
    b"\"quoted\" 'twice'.txt",
    b"<b>bold<b>",
    b"javascript:alert(1)",
    b"back\\slash.txt",
    b"new\nline.txt",
    b"return\r\nLocation: x",
    b"tab\t.txt",
    b"escape\x1b[31m.txt",
    b"sn\xc3\xb6.txt",
    b"\xe6\xbc\xa2\xe5\xad\x97.txt",
    b"latin\xf6.txt",
    b"\xff\xfe\xfd",
    b"-rf",
    b"~",
    b"a..b",
    b"colon:name",
    b"star*[x]{y}|z^`",
    b"$HOME `id` $(id)",
];

#[test]
fn names_of_any_bytes_are_served() {
    let site = Site::new();
    for name in ODD_NAMES {
        site.file(OsStr::from_bytes(name), name);
    }
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    for name in ODD_NAMES {
        let reply = client.get(&target(name));
        assert_eq!(
            (reply.status, reply.body.as_slice()),
            (200, *name),
            "{}",
            name.escape_ascii()
        );
    }
    idler.stop();
}

#[test]
fn a_listing_leads_to_every_file_whatever_its_name() {
    let site = Site::new();
    for name in ODD_NAMES {
        site.file(OsStr::from_bytes(name), name);
    }
    site.file("folder with blank/inside.txt", b"inside");
    let idler = Idler::serve(site.path()).start();
    let page = idler.get("/");
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let text = page.text();
    let mut found: Vec<Vec<u8>> = Vec::new();
    for link in text.split("href=\"").skip(1) {
        let link = link.split('"').next().expect("a link ends");
        let link = link
            .replace("&amp;", "&")
            .replace("&#39;", "'")
            .replace("&quot;", "\"");
        // As a browser does: relative to the page, which is at the root; no scheme hides in it.
        if link.starts_with('?')
            || link.starts_with('#')
            || link == "../"
            || link == "./"
            || link == "/"
        {
            continue;
        }
        assert!(!link.starts_with("javascript:"), "{link}");
        let path = if link.starts_with('/') {
            link.clone()
        } else {
            format!("/{}", link.trim_start_matches("./"))
        };
        let reply = idler.get(&path);
        assert_eq!(reply.status, 200, "the listing links to {link}");
        found.push(reply.body);
    }
    for name in ODD_NAMES {
        assert!(
            found.iter().any(|f| f == name),
            "no link to {}",
            name.escape_ascii()
        );
    }
    assert!(!text.contains("<b>bold"), "names are text, not HTML");
    idler.stop();
}

#[test]
fn what_is_no_file_is_not_served_and_holds_up_nobody() {
    let site = Site::with(&[("hello.txt", b"hello\n")]);
    site.fifo("fifo");
    site.folder("pipe");
    site.fifo("pipe/index.html");
    let _socket = UnixListener::bind(site.path().join("socket")).expect("a socket in the site");
    site.link("device", "/dev/zero");
    let device = rustix::fs::mknodat(
        rustix::fs::CWD,
        site.path().join("null"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0o666),
        rustix::fs::makedev(1, 3),
    );
    if let Err(e) = device {
        println!("no device could be made here ({e}); only a link to one was tried");
    }
    let idler = Idler::serve(site.path()).start();
    let begin = Instant::now();
    let mut client = idler.client();
    for target in [
        "/fifo",
        "/socket",
        "/device",
        "/null",
        "/fifo/x",
        "/pipe/index.html",
    ] {
        assert_eq!(client.get(target).status, 404, "{target}");
        assert_eq!(client.get("/hello.txt").status, 200);
    }
    assert_ne!(
        client.get("/pipe/").text(),
        "",
        "a listing, or an error, but an answer"
    );
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    idler.stop();
}

#[test]
fn files_above_four_gibibytes_are_whole() {
    const LENGTH: u64 = (4 << 30) + 4097;
    let _alone = alone();
    let begin = Instant::now();
    let site = Site::new();
    let path = site.sparse("large.bin", LENGTH);
    let mut file = File::options().write(true).open(path).expect("it was made");
    file.seek(SeekFrom::End(-4)).expect("files can be sought");
    file.write_all(b"last").expect("files can be written");
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client().patience(Duration::from_secs(120));
    client.ask("HEAD", "/large.bin", "");
    let length = LENGTH.to_string();
    assert_eq!(
        client.head_reply().header("content-length"),
        Some(length.as_str())
    );
    client.ask("GET", "/large.bin", "");
    assert_eq!(
        client.reply_head().header("content-length"),
        Some(length.as_str())
    );
    client.skip(LENGTH - 4).expect("nearly all of it");
    assert_eq!(client.try_exactly(4).as_deref(), Ok(&b"last"[..]));
    client.ask("HEAD", "/large.bin", "");
    assert_eq!(
        client.head_reply().status,
        200,
        "the next reply is framed rightly"
    );
    drop(client);
    idler.stop();
    println!("four gibibytes took {:?}", begin.elapsed());
}

#[test]
fn dates_may_lie_anywhere() {
    let now = SystemTime::now();
    let site = Site::new();
    let dates = [
        ("zero", 0),
        ("one", 1),
        ("two", 2),
        ("before-1970", -86_400),
        ("long-before", -10_000_000_000),
        ("the-2000s", 1_000_000_000),
        ("beyond-32-bits", 5_000_000_000),
        ("far", 200_000_000_000),
    ];
    for (name, seconds) in dates {
        site.file(name, name.as_bytes());
        site.modified(name, seconds);
    }
    let idler = Idler::serve(site.path()).start();
    for (name, seconds) in dates {
        let mut client = idler.client();
        let reply = client.get(&format!("/{name}"));
        assert_eq!((reply.status, reply.text().as_str()), (200, name));
        let tag = reply
            .header("etag")
            .unwrap_or_else(|| panic!("{name} has no ETag"));
        let modified = reply.header("last-modified").map(|text| {
            let date =
                httpdate::parse_http_date(text).unwrap_or_else(|e| panic!("{name}: {text}: {e}"));
            assert!(
                date <= now + Duration::from_secs(60),
                "{name} is from the future: {text}"
            );
            date
        });
        if matches!(seconds, 0 | 1) {
            assert!(
                modified.is_none(),
                "{name}: a date that says nothing is not sent"
            );
        }
        if seconds == 1_000_000_000 {
            assert_eq!(
                reply.header("last-modified"),
                Some("Sun, 09 Sep 2001 01:46:40 GMT")
            );
        }
        client.ask(
            "GET",
            &format!("/{name}"),
            &format!("If-None-Match: {tag}\r\n"),
        );
        assert_eq!(client.reply().status, 304, "{name} {tag}");
    }
    idler.stop();
}

#[test]
fn copies_of_a_file_have_one_tag_and_another_file_another() {
    let (one, two) = (Site::new(), Site::new());
    for site in [&one, &two] {
        site.file("a.txt", b"the same");
        site.modified("a.txt", 1_600_000_000);
        site.file("b.txt", b"the same");
        site.modified("b.txt", 1_600_000_001);
        site.file("c.txt", b"something else");
        site.modified("c.txt", 1_600_000_000);
    }
    let idlers = [
        Idler::serve(one.path()).start(),
        Idler::serve(two.path()).start(),
    ];
    // A file that was written a moment ago has a weak tag, until it has rested.
    let tag = |idler: &Running, name: &str| {
        wait_until("a strong tag", PATIENCE, || {
            let reply = idler.get(name);
            let tag = reply.header("etag").expect("a tag").to_owned();
            (!tag.starts_with("W/")).then_some(tag)
        })
    };
    let a = tag(&idlers[0], "/a.txt");
    assert_eq!(a, tag(&idlers[1], "/a.txt"));
    assert_ne!(a, tag(&idlers[0], "/b.txt"));
    assert_ne!(a, tag(&idlers[0], "/c.txt"));
    for idler in idlers {
        idler.stop();
    }
}

#[test]
fn who_has_a_copy_is_told_that_it_is_current() {
    let site = Site::with(&[("a.txt", b"a")]);
    site.modified("a.txt", 1_600_000_000);
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    // A file that was written a moment ago has a weak tag, until it has rested.
    let first = wait_until("a strong tag", PATIENCE, || {
        let reply = client.get("/a.txt");
        let weak = reply.header("etag")?.starts_with("W/");
        (!weak).then_some(reply)
    });
    let tag = first.header("etag").expect("a tag");
    let date = first.header("last-modified").expect("a date");
    for (condition, status) in [
        (format!("If-None-Match: {tag}"), 304),
        (format!("If-None-Match: \"x\", {tag}"), 304),
        (format!("If-None-Match: \"x\"\r\nIf-None-Match: {tag}"), 304),
        (format!("If-None-Match: W/{tag}"), 304),
        (
            format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}"),
            200,
        ),
        (format!("If-Modified-Since: {date}"), 304),
        (
            "If-Modified-Since: Sun, 13 Sep 2020 12:26:39 GMT".into(),
            200,
        ),
        (
            "If-Modified-Since: Sunday, 13-Sep-20 12:26:41 GMT".into(),
            304,
        ),
        ("If-Modified-Since: Sun Sep 13 12:26:41 2020".into(), 304),
    ] {
        client.ask("GET", "/a.txt", &format!("{condition}\r\n"));
        let reply = client.reply();
        assert_eq!(reply.status, status, "{condition}");
        if status == 304 {
            assert_eq!(reply.header("etag"), Some(tag));
            assert!(reply.header("content-type").is_none());
        }
    }
    site.file("a.txt", b"b");
    client.ask("GET", "/a.txt", &format!("If-None-Match: {tag}\r\n"));
    let reply = client.reply();
    assert_eq!((reply.status, reply.text().as_str()), (200, "b"));
    idler.stop();
}

/// A kept reply is made for clients that keep their connection; others get it changed, and must not be able to tell.
#[test]
fn a_kept_file_is_sent_as_if_it_had_just_been_read() {
    for form in [
        "GET /hello.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "HEAD /hello.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "GET /hello.txt HTTP/1.0\r\n\r\n",
        "GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\nHEAD /hello.txt HTTP/1.0\r\n\r\n",
    ] {
        let idler = Idler::serve(fixture_site())
            .args(&["--status", "/s"])
            .start();
        let ask = || {
            let mut client = idler.client();
            client.send(form).unwrap();
            let all = String::from_utf8(client.read_to_end().unwrap()).unwrap();
            let lines = all.split_inclusive("\r\n");
            lines
                .filter(|l| !l.starts_with("Date: "))
                .collect::<String>()
        };
        let read = ask();
        assert_eq!(ask(), read, "{form}");
        let figures = idler.get("/s").text();
        assert!(!figures.contains("idler_cache_hits_total 0\n"), "{figures}");
        idler.stop();
    }
}

#[test]
fn head_says_what_get_would() {
    let idler = Idler::serve(fixture_site()).start();
    let mut client = idler.client();
    for target in [
        "/",
        "/hello.txt",
        "/empty.txt",
        "/notes",
        "/notes/",
        "/missing",
        "/picture.png",
        "/files/",
    ] {
        client.ask("GET", target, "");
        let mut get = client.reply();
        client.ask("HEAD", target, "");
        let mut head = client.head_reply();
        for reply in [&mut get, &mut head] {
            reply.headers.retain(|(name, _)| name != "date");
        }
        assert!(head.body.is_empty());
        // A long answer may be framed in chunks that HEAD need not announce.
        if get.all("transfer-encoding").next().is_none() {
            assert_eq!(head.headers, get.headers, "{target}");
        }
        assert_eq!(head.status, get.status);
    }
    idler.stop();
}

/// A site with one long file of one letter, a client that has begun to read it, and its server.
fn long_reply(letter: u8) -> (Site, Running, Client) {
    let site = Site::with(&[("small.txt", b"small\n")]);
    site.file("long.bin", &vec![letter; LARGE]);
    site.age("long.bin");
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    client.ask("GET", "/long.bin", "");
    let head = client.reply_head();
    assert_eq!(
        head.header("content-length"),
        Some(LARGE.to_string().as_str())
    );
    (site, idler, client)
}

/// Asserts that the rest of the reply is whole and of this letter, and that the connection goes on.
fn the_rest_is(client: &mut Client, letter: u8) {
    let body = client.try_exactly(LARGE).expect("the whole reply");
    assert!(
        body.iter().all(|byte| *byte == letter),
        "something else came in between"
    );
    assert_eq!(client.get("/small.txt").body, b"small\n");
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_the_connection() {
    let (site, idler, mut client) = long_reply(b'a');
    File::options()
        .write(true)
        .open(site.path().join("long.bin"))
        .and_then(|file| file.set_len(1 << 20))
        .expect("files can be cut");
    match client.try_exactly(LARGE) {
        Err(Trouble::CutOff(_) | Trouble::Reset) => {}
        other => panic!("cut off, not {:?}", other.map(|b| b.len())),
    }
    // It was noticed, not waited for: sendfile says 0 for ever.
    idler.says(&["[", "closed"]);
    let ticks = idler.proc().cpu_ticks();
    assert_eq!(idler.get("/small.txt").body, b"small\n");
    assert!(idler.proc().cpu_ticks() - ticks < 20);
    assert_eq!(idler.get("/long.bin").body.len(), 1 << 20);
    idler.stop();
}

/// Has the kernel drop what it remembers of a file, as far as the file system has another copy.
fn forget(site: &Site, name: &str) {
    let file = File::open(site.path().join(name)).expect("it is there");
    file.sync_all().expect("files can be written out");
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("advice is heard");
}

#[test]
fn files_that_are_on_the_disk_alone_are_sent_whole() {
    let site = Site::new();
    let bytes: Vec<u8> = (0..5_u32 << 18).flat_map(u32::to_be_bytes).collect();
    let (small, large) = (&bytes[..30_000], &bytes);
    site.file("small.bin", small);
    site.file("large.bin", large);
    site.age("small.bin");
    site.age("large.bin");
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    for _ in 0..3 {
        for (name, bytes) in [("small.bin", small), ("large.bin", large)] {
            let target = format!("/{name}");
            forget(&site, name);
            client.ask("GET", &target, "Range: bytes=4096-20000\r\n");
            let part = client.reply();
            assert_eq!((part.status, part.body.len()), (206, 15_905), "{name}");
            assert!(part.body == bytes[4096..=20_000], "{name}: other bytes");
            forget(&site, name);
            client.ask("HEAD", &target, "");
            let head = client.head_reply();
            forget(&site, name);
            let whole = client.get(&target);
            assert!(whole.body == *bytes, "{name}: other bytes");
            for header in ["content-length", "content-type", "etag", "last-modified"] {
                assert!(whole.header(header).is_some());
                assert_eq!(head.header(header), whole.header(header));
            }
            assert!(client.get(&target).body == *bytes, "{name}: other bytes");
        }
    }
    idler.stop();
}

#[test]
fn a_file_that_grows_while_it_is_sent_is_sent_as_long_as_it_was() {
    let (site, idler, mut client) = long_reply(b'a');
    File::options()
        .append(true)
        .open(site.path().join("long.bin"))
        .and_then(|mut file| file.write_all(&[b'b'; 100_000]))
        .expect("files can grow");
    the_rest_is(&mut client, b'a');
    let again = idler.get("/long.bin");
    assert_eq!(again.body.len(), LARGE + 100_000);
    idler.stop();
}

#[test]
fn a_file_that_is_replaced_while_it_is_sent_is_sent_as_it_was() {
    let (site, idler, mut client) = long_reply(b'a');
    site.replace("long.bin", &vec![b'b'; LARGE]);
    the_rest_is(&mut client, b'a');
    client.ask("GET", "/long.bin", "");
    client.reply_head();
    the_rest_is(&mut client, b'b');
    idler.stop();
}

#[test]
fn a_file_that_is_deleted_while_it_is_sent_is_sent_to_its_end() {
    let (site, idler, mut client) = long_reply(b'a');
    fs::remove_file(site.path().join("long.bin")).expect("files can be deleted");
    the_rest_is(&mut client, b'a');
    assert_eq!(client.get("/long.bin").status, 404);
    idler.stop();
}

#[test]
fn a_file_that_is_written_over_while_it_is_sent_keeps_its_length() {
    let (site, idler, mut client) = long_reply(b'a');
    File::options()
        .write(true)
        .open(site.path().join("long.bin"))
        .and_then(|mut file| file.write_all(&vec![b'b'; LARGE]))
        .expect("files can be written over");
    let body = client.try_exactly(LARGE).expect("the whole reply");
    assert!(body.iter().all(|byte| matches!(byte, b'a' | b'b')));
    assert_eq!(client.get("/small.txt").body, b"small\n");
    idler.stop();
}

#[test]
fn a_file_becomes_a_folder_a_fifo_a_link_and_a_file_again() {
    let site = Site::with(&[("it", b"a file")]);
    fs::write(site.beside("outside"), "outside").expect("a file beside the site");
    let idler = Idler::serve(site.path()).start();
    let path = site.path().join("it");
    let mut client = idler.client();
    for _ in 0..20 {
        assert_eq!(client.get("/it").body, b"a file");
        fs::remove_file(&path).expect("removed");
        assert_eq!(client.get("/it").status, 404);
        site.folder("it");
        assert_eq!(client.get("/it").header("location"), Some("/it/"));
        fs::remove_dir(&path).expect("removed");
        site.fifo("it");
        assert_eq!(client.get("/it").status, 404);
        fs::remove_file(&path).expect("removed");
        site.link("it", "../outside");
        assert_eq!(client.get("/it").status, 404);
        fs::remove_file(&path).expect("removed");
        site.file("it", b"a file");
    }
    idler.stop();
}

#[test]
fn what_is_written_is_served_at_once_also_with_equal_size() {
    let site = Site::with(&[("a.txt", b"00000000")]);
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    for number in 0..3_000 {
        let text = format!("{number:08}");
        if number % 100 == 0 {
            site.replace("a.txt", text.as_bytes());
        } else {
            // In place: neither inode nor size change, and the time only as finely as the kernel's clock ticks.
            File::options()
                .write(true)
                .open(site.path().join("a.txt"))
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .expect("files can be written over");
        }
        assert_eq!(client.get("/a.txt").text(), text);
    }
    idler.stop();
}

#[test]
fn an_old_file_that_is_kept_in_memory_is_noticed_when_it_changes() {
    let site = Site::with(&[("a.txt", b"old one")]);
    site.age("a.txt");
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    for _ in 0..10 {
        assert_eq!(client.get("/a.txt").text(), "old one");
    }
    site.replace("a.txt", b"new one");
    site.age("a.txt");
    assert_eq!(client.get("/a.txt").text(), "new one");
    site.file("a.txt", b"another");
    site.age("a.txt");
    assert_eq!(client.get("/a.txt").text(), "another");
    fs::remove_file(site.path().join("a.txt")).expect("removed");
    assert_eq!(client.get("/a.txt").status, 404);
    idler.stop();
}

#[test]
fn an_index_that_comes_and_goes_is_noticed() {
    let site = Site::with(&[("folder/a.txt", b"a")]);
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    for _ in 0..50 {
        let listing = client.get("/folder/").text();
        assert!(listing.contains("a.txt"), "{listing}");
        site.file("folder/index.html", b"<p>index");
        assert_eq!(client.get("/folder/").text(), "<p>index");
        fs::remove_file(site.path().join("folder/index.html")).expect("removed");
    }
    idler.stop();
}

#[test]
fn a_root_that_is_rebuilt_is_served_again() {
    let site = Site::with(&[("dist/a.txt", b"first\n")]);
    site.age("dist/a.txt");
    let root = site.path().join("dist");
    let idler = Idler::serve(&root).start();
    let mut client = idler.client();
    for round in 0..20 {
        let expected = if round == 0 {
            "first\n".to_owned()
        } else {
            format!("round {round}\n")
        };
        assert_eq!(client.get("/a.txt").text(), expected);
        fs::remove_dir_all(&root).expect("folders can be removed");
        assert_eq!(client.get("/a.txt").status, 404);
        site.file("dist/a.txt", format!("round {}\n", round + 1).as_bytes());
        site.age("dist/a.txt");
    }
    idler.stop();
}

#[test]
fn a_release_link_that_moves_is_followed() {
    let site = Site::with(&[("one/a.txt", b"one"), ("two/a.txt", b"two")]);
    site.age("one/a.txt");
    site.age("two/a.txt");
    let link = |target: &str| {
        site.link("next", target);
        fs::rename(site.path().join("next"), site.path().join("current"))
            .expect("links can be replaced");
    };
    link("one");
    let idler = Idler::serve(site.path().join("current")).start();
    let mut client = idler.client();
    for release in ["one", "two", "one", "two"] {
        link(release);
        for _ in 0..3 {
            assert_eq!(client.get("/a.txt").text(), release);
        }
    }
    idler.stop();
}

#[test]
fn a_single_file_that_is_replaced_is_served_as_it_is_now() {
    let site = Site::with(&[("only.txt", b"first")]);
    let idler = Idler::serve(site.path().join("only.txt")).start();
    assert_eq!(idler.get("/only.txt").text(), "first");
    site.replace("only.txt", b"second");
    assert_eq!(idler.get("/only.txt").text(), "second");
    fs::remove_file(site.path().join("only.txt")).expect("removed");
    assert_eq!(idler.get("/only.txt").status, 404);
    site.file("only.txt", b"third");
    assert_eq!(idler.get("/only.txt").text(), "third");
    idler.stop();
}

#[test]
fn what_may_not_be_read_is_refused_and_named_in_no_page() {
    let site = Site::with(&[
        ("closed.txt", b"closed"),
        ("closed/a.txt", b"a"),
        ("open.txt", b"open"),
    ]);
    for name in ["closed.txt", "closed"] {
        fs::set_permissions(
            site.path().join(name),
            std::os::unix::fs::PermissionsExt::from_mode(0o000),
        )
        .expect("permissions can be taken");
    }
    let idler = Idler::serve(site.path()).unprivileged().start();
    for target in ["/closed.txt", "/closed/a.txt", "/closed/"] {
        let reply = idler.get(target);
        assert!(
            matches!(reply.status, 403 | 404),
            "{target}: {}",
            reply.status
        );
        assert!(!reply.text().contains(&*site.path().to_string_lossy()));
    }
    assert_eq!(idler.get("/open.txt").text(), "open");
    idler.stop();
}

#[test]
fn descriptors_are_given_back() {
    let site = Site::new();
    for number in 0..200 {
        let name = format!("{number}.bin");
        // Small ones and ones too large for memory.
        site.file(
            &name,
            &vec![b'x'; if number % 2 == 0 { 100 } else { 200_000 }],
        );
        site.age(&name);
    }
    let idler = Idler::serve(site.path()).start();
    let before = idler.proc().descriptors();
    for _ in 0..3 {
        let mut client = idler.client();
        for number in 0..200 {
            assert_eq!(client.get(&format!("/{number}.bin")).status, 200);
        }
        client.get("/missing");
    }
    wait_until(
        "the connections to be gone, and few descriptors kept",
        PATIENCE,
        || (idler.proc().descriptors() <= before + 64).then_some(()),
    );
    idler.stop();
}

#[test]
fn a_listing_is_json_for_those_who_prefer_it() {
    let site = Site::with(&[("a.txt", b"a")]);
    let idler = Idler::serve(site.path()).start();
    let mut client = idler.client();
    for (target, accept, json, vary) in [
        ("/", "application/json", true, Some("Accept")),
        ("/", "application/json, */*;q=0.1", true, Some("Accept")),
        ("/", "text/html, */*", false, Some("Accept")),
        (
            "/",
            "application/json;q=0, text/html",
            false,
            Some("Accept"),
        ),
        ("/?json", "text/html", true, None),
        ("/?sort=size", "application/json", true, Some("Accept")),
    ] {
        client.ask("GET", target, &format!("Accept: {accept}\r\n"));
        let reply = client.reply();
        let kind = if json {
            "application/json"
        } else {
            "text/html; charset=utf-8"
        };
        assert_eq!(
            (reply.header("content-type"), reply.header("vary")),
            (Some(kind), vary),
            "{target} {accept}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&reply.text()).is_ok(),
            json
        );
    }
    // Who says nothing is shown a page.
    let reply = idler.get("/");
    assert_eq!(reply.header("vary"), Some("Accept"));
    assert!(reply.text().starts_with("<!doctype html>"));
    idler.stop();
}
