//! What the machine can do to a server: nothing left of something, descriptors closed, a site that changes under it.
//!
//! It may not know how idler gets by. Invariant: whatever is missing, idler neither ends nor spins nor mixes up what it has open.
//! Read next: `slow_clients.rs`.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::idler::free_port;
use crate::support::{Client, Idler, PATIENCE, Running, Site, fixture_site, wait_until, watch_for};

/// More than all the buffers between two sockets hold.
const LARGE: usize = 24 << 20;

/// How often the processor was used in `period`, in hundredths of it.
fn share(idler: &Running, period: Duration) -> f64 {
    let before = idler.proc().cpu_ticks();
    watch_for(period, || {});
    // Ticks are hundredths of a second.
    (idler.proc().cpu_ticks() - before) as f64 / period.as_secs_f64()
}

/// Whether a small file comes over a new connection; a 503 is an answer, but not this one.
fn is_served(idler: &Running, target: &str) -> bool {
    let mut client = idler.client();
    client.ask("GET", target, "");
    client
        .try_reply(false)
        .is_ok_and(|reply| reply.status == 200)
}

#[test]
fn with_64_descriptors_and_500_clients_it_rests_and_serves_in_turn() {
    let idler = Idler::serve(fixture_site())
        .after("ulimit -n 64")
        .args(&["--head-timeout", "1h"])
        .start();
    let mut crowd: Vec<Client> = (0..500).map(|_| idler.client()).collect();
    for client in &mut crowd {
        // Refused ones may be gone by now.
        let _ = client.send("GET /hello.txt HT");
    }
    // Who came last displaced those who had said nothing yet.
    wait_until("those beyond to be let go", PATIENCE, || {
        crowd[0].is_closed().then_some(())
    });
    // Two seconds with nobody new: under 2 % of one processor.
    let share = share(&idler, Duration::from_secs(2));
    assert!(share < 2.0, "{share} % with nothing to do");
    assert!(idler.proc().descriptors() <= 64);
    // Those inside are served to the end, one after the other, and each makes room for the next honest one.
    let mut served = 0;
    for mut client in crowd {
        if client.is_closed() || client.send("TP/1.1\r\nHost: idler\r\n\r\n").is_err() {
            continue;
        }
        if client
            .try_reply(false)
            .is_ok_and(|reply| reply.status == 200)
        {
            served += 1;
            drop(client);
            let begin = Instant::now();
            wait_until("the next to be served", PATIENCE, || {
                is_served(&idler, "/hello.txt").then_some(())
            });
            assert!(begin.elapsed() < Duration::from_secs(1));
        }
    }
    assert!(served > 10, "only {served} were inside");
    idler.stop();
}

#[test]
fn full_service_is_back_within_a_second_of_a_crowd() {
    let idler = Idler::serve(fixture_site()).after("ulimit -n 64").start();
    let mut crowd: Vec<Client> = (0..500).map(|_| idler.client()).collect();
    for client in &mut crowd {
        let _ = client.send("GET /hello.txt HT");
    }
    drop(crowd);
    let begin = Instant::now();
    wait_until("service", PATIENCE, || {
        is_served(&idler, "/hello.txt").then_some(())
    });
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    for _ in 0..50 {
        assert!(is_served(&idler, "/hello.txt"));
    }
    idler.stop();
}

/// As many as it says: what idler itself has open is not counted as room.
#[test]
fn under_a_tiny_limit_it_holds_as_many_as_it_says() {
    for limit in [24, 32, 64, 128] {
        let idler = Idler::serve(fixture_site())
            .after(&format!("ulimit -n {limit}"))
            .start();
        let said = idler.says(&["up to", "connections"]);
        let words: Vec<&str> = said.split_ascii_whitespace().collect();
        let at = words
            .iter()
            .position(|word| *word == "to")
            .expect("it says so");
        let room: usize = words[at + 1].parse().expect("a number");
        let mut clients: Vec<Client> = (0..room).map(|_| idler.client()).collect();
        for client in &mut clients {
            assert_eq!(client.get("/hello.txt").status, 200, "{limit}");
        }
        for client in &mut clients {
            assert!(!client.is_closed(), "one of {room} under {limit}");
            assert_eq!(client.get("/hello.txt").status, 200, "{limit}");
        }
        idler.stop();
    }
}

#[test]
fn closed_standard_descriptors_are_taken_by_nobody() {
    let site = Site::with(&[("a.txt", b"nothing but this\n")]);
    for closed in ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"] {
        let port = free_port();
        let mut idler = Idler::verb("serve")
            .args(&["--port", &port.to_string(), "-vv"])
            .arg(site.path())
            .after(&format!("exec {closed}"))
            .spawn();
        let connect = || TcpStream::connect(("127.0.0.1", port)).ok();
        let mut first = Client::over(wait_until("idler", PATIENCE, connect));
        let mut second = Client::over(connect().expect("it listens"));
        for _ in 0..100 {
            // A line of a log in a socket would show as what no reply may begin with, or as too much.
            assert_eq!(first.get("/a.txt").body, b"nothing but this\n");
            assert_eq!(second.get("/missing").status, 404);
        }
        assert!(!first.has_heard() && !second.has_heard(), "{closed}");
        for number in 0..3 {
            if closed.contains(&format!("{number}<")) || closed.contains(&format!("{number}>")) {
                let path = format!("/proc/{}/fd/{number}", idler.proc().0);
                let target = fs::read_link(path).expect("it is open");
                assert_eq!(target, Path::new("/dev/null"), "{closed}");
            }
        }
        assert_eq!(site.path().read_dir().expect("a folder").count(), 1);
        idler.signal(rustix::process::Signal::TERM);
        assert_eq!(idler.exit_code(), Some(0), "{closed}");
    }
}

#[test]
fn full_and_closed_places_for_what_it_says_end_nothing() {
    let full = || {
        File::options()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full")
    };
    let closed = || {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        writer
    };
    for (place, told) in [
        ("full", true),
        ("closed", true),
        ("full", false),
        ("closed", false),
    ] {
        let port = free_port();
        let idler = Idler::verb("serve")
            .args(&["--port", &port.to_string(), "-v"])
            .arg(fixture_site());
        // The log, or what it says of itself.
        let mut idler = match (place, told) {
            ("full", true) => idler.stderr(full()),
            ("full", false) => idler.args(&["--access-log", "/dev/full"]).stderr(full()),
            (_, true) => idler.stderr(closed()),
            (_, false) => idler.stdout(closed()).stderr(closed()),
        }
        .spawn();
        let connect = || TcpStream::connect(("127.0.0.1", port)).ok();
        let mut client = Client::over(wait_until("idler", PATIENCE, connect));
        for _ in 0..200 {
            assert_eq!(client.get("/hello.txt").status, 200);
        }
        let share = share(&idler, Duration::from_secs(1));
        assert!(share < 5.0, "{place}: {share} % with nothing to do");
        assert_eq!(client.get("/hello.txt").status, 200);
        idler.signal(rustix::process::Signal::TERM);
        assert_eq!(idler.exit_code(), Some(0), "{place}");
    }
}

#[test]
fn a_root_that_is_away_or_closed_for_a_while_is_served_again() {
    let site = Site::with(&[("www/a.txt", b"a"), ("www/kept.txt", b"kept")]);
    site.age("www/kept.txt");
    let root = site.path().join("www");
    let away = site.path().join("away");
    // Unprivileged, since root may read everything.
    fs::set_permissions(site.path(), Permissions::from_mode(0o777)).expect("rights");
    let idler = Idler::serve(&root).unprivileged().start();
    let mut client = idler.client();
    for _ in 0..20 {
        assert_eq!(client.get("/a.txt").text(), "a");
        assert_eq!(client.get("/kept.txt").text(), "kept");
        fs::rename(&root, &away).expect("renamed");
        for target in ["/a.txt", "/kept.txt", "/"] {
            assert_eq!(client.get(target).status, 404, "{target}");
        }
        fs::rename(&away, &root).expect("renamed");
        assert_eq!(client.get("/a.txt").text(), "a");
        fs::set_permissions(&root, Permissions::from_mode(0o000)).expect("rights");
        for target in ["/a.txt", "/kept.txt", "/"] {
            assert_eq!(client.get(target).status, 403, "{target}");
        }
        fs::set_permissions(&root, Permissions::from_mode(0o755)).expect("rights");
    }
    assert_eq!(client.get("/kept.txt").text(), "kept");
    idler.stop();
}

#[test]
fn a_file_that_becomes_something_else_while_it_is_sent_is_sent_as_it_was() {
    let site = Site::new();
    fs::write(site.beside("outside"), vec![b'!'; LARGE]).expect("a file beside the site");
    let path = site.path().join("long.bin");
    let idler = Idler::serve(site.path()).start();
    let become_something: [(&str, &dyn Fn()); 4] = [
        ("a folder", &|| fs::create_dir(&path).expect("made")),
        ("a FIFO", &|| site.fifo("long.bin")),
        ("a link out", &|| site.link("long.bin", "../outside")),
        ("a folder in its place", &|| {
            site.folder("draft");
            fs::rename(site.path().join("draft"), &path).expect("renamed");
        }),
    ];
    for (what, change) in become_something {
        site.file("long.bin", &vec![b'a'; LARGE]);
        let mut client = idler.client();
        client.ask("GET", "/long.bin", "");
        assert_eq!(client.reply_head().status, 200);
        fs::remove_file(&path).expect("removed");
        change();
        let body = client.try_exactly(LARGE).expect("the whole reply");
        assert!(body.iter().all(|byte| *byte == b'a'), "{what}");
        let status = client.get("/long.bin").status;
        assert!(matches!(status, 301 | 404), "{what}: {status}");
        if path.is_dir() {
            fs::remove_dir(&path).expect("removed");
        } else {
            fs::remove_file(&path).expect("removed");
        }
    }
    idler.stop();
}

/// Swaps a link, without a pause, between what may be read and what may not, until 10,000 swaps and `enough` are done.
fn swap_while(site: &Site, enough: &AtomicBool) {
    let (draft, link) = (site.path().join("draft"), site.path().join("turning"));
    for swap in 0.. {
        let target = ["inside", "../outside"][swap % 2];
        std::os::unix::fs::symlink(target, &draft).expect("links can be made");
        fs::rename(&draft, &link).expect("links can be replaced");
        if swap >= 10_000 && enough.load(Ordering::Relaxed) {
            return;
        }
    }
}

fn nothing_leaks_through_a_link_that_turns(idler: &Running, site: &Site, requests: usize) {
    let enough = AtomicBool::new(false);
    let (mut inside, mut missing) = (0, 0);
    std::thread::scope(|scope| {
        let swapping = scope.spawn(|| swap_while(site, &enough));
        let mut client = idler.client();
        let mut asked = 0;
        while asked < requests || !swapping.is_finished() {
            if asked == requests {
                enough.store(true, Ordering::Relaxed);
            }
            let target = ["/turning", "/turning/f", "/turning/"][asked % 3];
            let reply = client.get(target);
            assert!(
                !reply.text().contains("secret"),
                "{target}: {}",
                reply.text()
            );
            match reply.status {
                200 | 301 => inside += 1,
                404 | 503 => missing += 1,
                status => panic!("{target}: {status}"),
            }
            asked += 1;
        }
    });
    println!("{inside} were led inside, {missing} found nothing");
}

fn turning_site() -> Site {
    let site = Site::with(&[("inside/f", b"fine"), ("inside/index.html", b"fine")]);
    fs::create_dir(site.beside("outside")).expect("a folder beside the site");
    for name in ["f", "index.html"] {
        fs::write(site.beside("outside").join(name), "secret").expect("a file in it");
    }
    site.link("turning", "inside");
    site
}

#[test]
fn a_link_swapped_ten_thousand_times_during_requests_tells_nothing() {
    let site = turning_site();
    let idler = Idler::serve(site.path()).env("RUST_LOG", "").start();
    nothing_leaks_through_a_link_that_turns(&idler, &site, 3_000);
    idler.stop();
}

#[test]
#[ignore = "needs strace"]
fn nor_does_it_where_the_kernel_has_no_openat2() {
    let strace = crate::support::program::Program::path(&["strace"]);
    let site = turning_site();
    let without = format!(
        "exec {} -D -o /dev/null -e trace=openat2 -e inject=openat2:error=ENOSYS \"$0\" \"$@\"",
        strace.display()
    );
    let idler = Idler::serve(site.path())
        .env("RUST_LOG", "")
        .after(&without)
        .start();
    idler.says(&["no symlinks"]);
    nothing_leaks_through_a_link_that_turns(&idler, &site, 1_000);
    assert_eq!(idler.get("/inside/f").text(), "fine");
    idler.stop();
}

/// Writes `text` over a file without changing its size or its inode.
fn write_over(path: &Path, text: &str) {
    File::options()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .expect("files can be written over");
}

#[test]
fn what_comes_and_goes_beside_a_file_is_never_older_than_the_question() {
    let site = Site::with(&[
        ("app.js", b"00000000"),
        ("folder/a", b"a"),
        ("folder/b", b"b"),
    ]);
    site.age("app.js");
    let idler = Idler::serve(site.path())
        .args(&["--access-log", "off"])
        .env("RUST_LOG", "")
        .start();
    let mut client = idler.client();
    let path = |name: &str| site.path().join(name);
    let mut ask = |target: &str| {
        client.ask("GET", target, "Accept-Encoding: gzip\r\n");
        client.reply()
    };
    for round in 0..1_000 {
        let text = format!("{round:08}");
        // A sibling: comes, changes within the millisecond, grows too old, goes.
        assert_eq!(ask("/app.js").header("content-encoding"), None, "{round}");
        site.file("app.js.gz", text.as_bytes());
        let reply = ask("/app.js");
        assert_eq!(
            (reply.header("content-encoding"), reply.text()),
            (Some("gzip"), text.clone())
        );
        write_over(&path("app.js.gz"), "other...");
        assert_eq!(ask("/app.js").text(), "other...", "{round}");
        fs::remove_file(path("app.js.gz")).expect("removed");
        assert_eq!(ask("/app.js").text(), "00000000", "{round}");
        // An index.
        assert!(ask("/folder/").text().contains("<title>"), "{round}");
        site.file("folder/index.html", text.as_bytes());
        assert_eq!(ask("/folder/").text(), text);
        write_over(&path("folder/index.html"), "another.");
        assert_eq!(ask("/folder/").text(), "another.", "{round}");
        fs::remove_file(path("folder/index.html")).expect("removed");
        // The page of an error.
        assert!(ask("/missing").text().contains("<title>"), "{round}");
        site.file("404.html", text.as_bytes());
        let reply = ask("/missing");
        assert_eq!((reply.status, reply.text()), (404, text));
        write_over(&path("404.html"), "sorry...");
        assert_eq!(ask("/missing").text(), "sorry...", "{round}");
        fs::remove_file(path("404.html")).expect("removed");
    }
    idler.stop();
}

#[test]
fn memory_is_bounded_in_all() {
    const CROWD: usize = 300;
    let site = Site::new();
    for number in 0..500 {
        site.file(format!("{number}.bin"), &[b'x'; 60_000]);
        site.age(&format!("{number}.bin"));
    }
    for number in 0..1_000 {
        site.file(format!("many/{number:0100}"), b"");
    }
    // A log that nobody reads, a small cache, heads that do not end, listings that nobody reads.
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let idler = Idler::serve(site.path())
        .args(&["--cache-memory", "1M", "--head-timeout", "1h"])
        .env("RUST_LOG", "")
        .stdout(writer)
        .start();
    let before = idler.proc().anonymous_bytes();
    let mut slow: Vec<Client> = (0..CROWD).map(|_| idler.client()).collect();
    for client in &mut slow {
        let head = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(15_000));
        client.send(head).expect("sent");
    }
    let mut honest = idler.client();
    for round in 0..8 {
        for number in 0..500 {
            let target = format!("/{number}.bin?{round}-{}", "y".repeat(200));
            assert_eq!(honest.get(&target).body.len(), 60_000);
        }
    }
    let mut lists: Vec<Client> = (0..10).map(|_| idler.client()).collect();
    for client in &mut lists {
        client.ask("GET", "/many/", "");
    }
    for client in &mut lists {
        assert_eq!(client.reply_head().status, 200);
    }
    let grown = idler.proc().anonymous_bytes().saturating_sub(before);
    // Heads of 16 KiB, a cache and a log of 1 MiB each, a listing of 1,000 entries at 200 bytes and a piece for each of ten; and what
    // the allocator keeps.
    let most = CROWD * (16 << 10) + (2 << 20) + 10 * (1_000 * 200 + (64 << 10)) + (2 << 20);
    println!("{grown} bytes, at most {most}");
    assert!(grown < most as u64, "{grown} bytes");
    assert_eq!(honest.get("/0.bin").status, 200);
    drop((slow, lists));
    wait_until("the lists to be given up", PATIENCE, || {
        (idler.proc().descriptors() < 30).then_some(())
    });
    let mut text = [0; 100];
    assert!(reader.read(&mut text).is_ok_and(|n| n > 0));
    idler.stop();
}

#[test]
fn from_outside_it_is_seen_that_nothing_can_be_gained() {
    let idler = Idler::serve(fixture_site()).start();
    assert_eq!(idler.proc().status("NoNewPrivs"), "1");
    idler.says(&["walls:", "no_new_privs"]);
    idler.stop();
}
