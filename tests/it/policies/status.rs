//! `--status`, SIGUSR1, and the figures they show.
//!
//! It may not know how anything is counted. Invariant: every reason for which a connection is closed or refused is seen
//! to be counted, once. Read next: `proxies.rs`.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::http::Trouble;
use crate::support::program::Program;
use crate::support::{Client, Idler, PATIENCE, Running, Site, wait_until};

/// The figures, by name and label.
type Figures = BTreeMap<String, f64>;

fn parsed(text: &str) -> Figures {
    let samples = text.lines().filter(|line| {
        ["idler_", "process_"]
            .iter()
            .any(|prefix| line.starts_with(prefix))
    });
    let pairs = samples.filter_map(|line| line.rsplit_once(' '));
    let number = |text: &str| text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    pairs
        .map(|(name, n)| (name.to_owned(), number(n)))
        .collect()
}

fn figures(idler: &Running) -> Figures {
    let reply = idler.get("/figures");
    assert_eq!(reply.status, 200);
    parsed(&reply.text())
}

/// Waits until the figure `name` is `value`: what the client has seen is counted a moment later.
fn becomes(idler: &Running, name: &str, value: f64) {
    let mut last = Figures::new();
    let end = std::time::Instant::now() + PATIENCE;
    while last.get(name) != Some(&value) {
        assert!(
            std::time::Instant::now() < end,
            "{name} is not {value}: {last:#?}"
        );
        last = figures(idler);
    }
}

fn closed(reason: &str) -> String {
    format!("idler_connections_closed_total{{reason=\"{reason}\"}}")
}

fn refused(reason: &str) -> String {
    format!("idler_connections_refused_total{{reason=\"{reason}\"}}")
}

/// A site with a file that no socket buffer holds, and its server.
fn start(args: &[&str]) -> (Site, Running) {
    let site = Site::with(&[("a", b"a"), ("figures", b"a file")]);
    site.sparse("large", 64 << 20);
    let idler = Idler::serve(site.path())
        .args(&["--status", "/figures", "--access-log", "off"])
        .args(args)
        .start();
    (site, idler)
}

#[test]
fn figures_are_text_for_prometheus_and_json_for_who_asks() {
    let (_site, idler) = start(&["--spa"]);
    let mut client = idler.client();
    let reply = client.get("/figures");
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let text = reply.text();
    for line in text.lines() {
        let sample = line.strip_prefix("# HELP ");
        let sample = sample.or_else(|| line.strip_prefix("# TYPE "));
        // What every process has is called by the names of Prometheus's own libraries.
        let standard = [
            "process_start_time_seconds ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
        ];
        let sample = sample.unwrap_or(line);
        assert!(
            sample.starts_with("idler_") || standard.iter().any(|name| sample.starts_with(name)),
            "{line}"
        );
    }
    let kinds = text.lines().filter(|line| line.starts_with("# TYPE"));
    assert_eq!(kinds.count(), text.matches("# HELP").count());
    client.ask("HEAD", "/figures?x", "");
    let head = client.head_reply();
    assert_eq!((head.status, head.body.len()), (200, 0));
    client.ask("POST", "/figures", "Content-Length: 0\r\n");
    assert_eq!(client.reply().status, 405);
    for (target, headers) in [
        ("/figures?json", ""),
        ("/figures", "Accept: application/json\r\n"),
    ] {
        client.ask("GET", target, headers);
        let reply = client.reply();
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let json: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!(
            json["idler_connections"]["writing"].as_u64(),
            Some(0),
            "{json}"
        );
        assert!(json["process_resident_memory_bytes"].as_u64() > Some(100_000));
        assert!(json["idler_loop_turn_duration_seconds"]["buckets"]["+Inf"].as_u64() > Some(0));
        // Each form has all figures.
        let names = json.as_object().expect("an object").keys();
        for name in names {
            assert!(text.contains(&format!("# TYPE {name} ")), "{name}");
        }
    }
    idler.stop();
}

#[test]
fn what_happens_is_counted() {
    let (_site, idler) = start(&[]);
    let before = figures(&idler);
    becomes(&idler, "idler_connections{state=\"idle\"}", 1.0);
    let mut one = idler.client();
    for _ in 0..3 {
        assert_eq!(one.get("/a").status, 200);
    }
    assert_eq!(one.get("/missing").status, 404);
    let mut reading = idler.client();
    reading.send("GET /a HT").expect("it listens");
    let mut writing = idler.client();
    writing.ask("GET", "/large", "");
    let state = |state: &str| format!("idler_connections{{state=\"{state}\"}}");
    becomes(&idler, &state("reading"), 1.0);
    becomes(&idler, &state("writing"), 1.0);
    let after = figures(&idler);
    let grown = |name: &str| after[name] - before.get(name).copied().unwrap_or(0.0);
    assert_eq!(grown("idler_http_requests_total{code=\"404\"}"), 1.0);
    assert!(grown("idler_http_requests_total{code=\"200\"}") >= 5.0);
    assert!(grown("idler_connections_accepted_total") >= 3.0);
    assert!(grown("idler_received_bytes_total") >= 4.0 * 30.0);
    assert!(grown("idler_sent_bytes_total") >= 4096.0);
    assert!(grown("idler_loop_turns_total") >= 4.0);
    assert!(grown("idler_cache_misses_total") >= 1.0);
    assert_eq!(after["idler_log_lines_dropped_total{log=\"access\"}"], 0.0);
    let turns = after["idler_loop_turn_duration_seconds_count"];
    assert!(turns > 0.0 && turns <= after["idler_loop_turns_total"]);
    assert_eq!(
        after["idler_loop_turn_duration_seconds_bucket{le=\"+Inf\"}"],
        turns
    );
    let descriptors = idler.proc().descriptors() as f64;
    // One is the connection that asks.
    let shown = after.get("process_open_fds").copied();
    assert!(
        shown.is_none_or(|n| (n - descriptors).abs() <= 2.0),
        "{shown:?} {descriptors}"
    );
    // Every connection is open in one state, or was closed for one reason.
    drop((one, reading, writing));
    becomes(&idler, &closed("client"), after[&closed("client")] + 2.0);
    let end = figures(&idler);
    let sum = |start: &str| -> f64 {
        let values = end.iter().filter(|(name, _)| name.starts_with(start));
        values.map(|(_, n)| n).sum()
    };
    assert_eq!(
        sum("idler_connections{") + sum("idler_connections_closed_total"),
        end["idler_connections_accepted_total"],
        "{end:#?}"
    );
    idler.stop();
}

#[test]
fn the_cache_is_counted() {
    let (site, idler) = start(&[]);
    site.age("a");
    let mut client = idler.client();
    let mut asked = 0.0;
    // A file that has just been touched is not kept yet.
    let figures = wait_until("a hit", 2 * PATIENCE, || {
        assert_eq!(client.get("/a").status, 200);
        asked += 1.0;
        Some(figures(&idler)).filter(|all| all["idler_cache_hits_total"] > 0.0)
    });
    let found = figures["idler_cache_hits_total"] + figures["idler_cache_misses_total"];
    assert_eq!(found, asked);
    assert_eq!(figures["idler_cache_entries"], 1.0);
    assert!(figures["idler_cache_bytes"] > 0.0);
    idler.stop();
}

#[test]
fn others_see_what_they_would_see_without() {
    let site = Site::with(&[("figures", b"a file")]);
    let socket = site.beside("socket");
    // Everybody here has a loopback address; so a trusted proxy says who asks.
    let idler = Idler::serve(site.path())
        .args(&["--status", "/figures", "--status-from", "192.0.2.0/24"])
        .args(&["--proxy-from", "127.0.0.2/32", "-b", "127.0.0.1", "-b"])
        .arg(format!("unix:{}", socket.display()))
        .start();
    let ask = |headers: &str| {
        let mut client = idler.client();
        client.ask("GET", "/figures", headers);
        client.reply().text()
    };
    assert!(ask("").contains("idler_connections"));
    // Who asks through a proxy that is not trusted is not known, whatever is said.
    for field in [
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "X-Forwarded-For: 192.0.2.1",
        "X-Real-IP: 127.0.0.1",
        "Via: 1.1 proxy",
    ] {
        assert_eq!(ask(&format!("{field}\r\n")), "a file", "{field}");
    }
    let mut stream = UnixStream::connect(&socket).expect("its permissions allow it");
    stream
        .write_all(b"GET /figures HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("it listens");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    assert!(reply.contains("idler_connections"), "{reply}");
    idler.stop();

    let (_site, idler) = start(&["--proxy-from", "127.0.0.1", "--status-from", "192.0.2.0/24"]);
    for (client, sees) in [
        ("192.0.2.7", true),
        ("127.0.0.1", true),
        ("198.51.100.1", false),
        ("unknown", false),
    ] {
        let mut proxy = idler.client();
        proxy.ask("GET", "/figures", &format!("X-Forwarded-For: {client}\r\n"));
        let shown = proxy.reply().text() != "a file";
        assert_eq!(shown, sees, "{client}");
    }
    // That it comes from somebody else, and not from whom.
    for field in ["X-Real-IP: 127.0.0.1", "Via: 1.1 proxy"] {
        let mut proxy = idler.client();
        proxy.ask("GET", "/figures", &format!("{field}\r\n"));
        assert_eq!(proxy.reply().text(), "a file", "{field}");
    }
    idler.stop();
}

#[test]
fn a_site_with_a_password_shows_its_figures_for_it() {
    // The password is "secret", at the least cost.
    let bob = "bob:$2b$04$/uaF/uaF/uaF/uaF/uaF/uyUa5B4sNev9rTvA6TvEBWYO4koffwMy\n";
    let site = Site::with(&[("a", b"a")]);
    let users = site.beside("users");
    std::fs::write(&users, bob).expect("files can be written");
    let idler = Idler::serve(site.path())
        .args(&["--status", "/figures", "--host"])
        .arg(format!("other={}", site.path().display()))
        .arg("--auth")
        .arg(&users)
        .start();
    assert_eq!(idler.get("/figures").status, 401);
    let mut client = idler.client();
    client.ask(
        "GET",
        "/figures",
        "Authorization: Basic Ym9iOnNlY3JldA==\r\n",
    );
    assert_eq!(client.reply().status, 200);
    idler.stop();
}

/// Hears what a connection that is at its end still says.
fn until_gone(mut client: Client) {
    loop {
        match client.try_reply(false) {
            Ok(_) => {}
            Err(Trouble::Silence(_)) => panic!("the connection is still there"),
            Err(_) => return,
        }
    }
}

#[test]
fn every_end_has_a_reason_that_is_counted_once() {
    let (site, idler) = start(&[
        "--idle-timeout",
        "2s",
        "--head-timeout",
        "1s",
        "--stall-timeout",
        "1s",
        "--proxy-from",
        "127.0.0.2",
    ]);
    let get = |connection: &str| format!("GET /a HTTP/1.1\r\nHost: x\r\n{connection}\r\n");
    let begin = |bytes: &str| {
        let mut client = idler.client();
        client.send(bytes).expect("it listens");
        client
    };
    // Those who wait for a time to pass, all at once.
    let idle = idler.client();
    let slow = begin("GET /a HT");
    let stalled = begin("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut silent = begin("GET /a HTTP/1.1\r\n\r\n");
    assert_eq!(silent.reply().status, 400);

    let before = figures(&idler);
    let mut done = begin(&get("Connection: close\r\n"));
    assert_eq!(done.reply().status, 200);
    becomes(&idler, &closed("done"), before[&closed("done")] + 1.0);
    drop(begin("GET /a HT"));
    becomes(&idler, &closed("cut_off"), 1.0);
    let mut chunk = begin("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(chunk.reply().status, 405);
    let done = figures(&idler)[&closed("done")];
    chunk.send("no number\r\n").expect("it listens");
    until_gone(chunk);
    becomes(&idler, &closed("malformed_body"), 1.0);
    let mut endless = begin("GET /a HTTP/1.1\r\n\r\n");
    assert_eq!(endless.reply().status, 400);
    let _ = endless.send(vec![b'x'; 2 << 20]);
    becomes(&idler, &closed("linger_bytes"), 1.0);
    let mut broken = begin("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    broken.reply_head();
    broken.reset();
    becomes(&idler, &closed("error"), 1.0);
    site.sparse("shrinks", 64 << 20);
    let mut shrinking = begin("GET /shrinks HTTP/1.1\r\nHost: x\r\n\r\n");
    shrinking.reply_head();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(site.path().join("shrinks"));
    file.and_then(|file| file.set_len(1))
        .expect("a file of our own");
    let _ = shrinking.try_exactly(64 << 20);
    becomes(&idler, &closed("file_shrank"), 1.0);

    for (reason, clients) in [
        ("idle_timeout", idle),
        ("head_timeout", slow),
        ("linger_timeout", silent),
    ] {
        let said = figures(&idler);
        assert!(said[&closed(reason)] <= 1.0, "{reason}");
        becomes(&idler, &closed(reason), 1.0);
        drop(clients);
    }
    becomes(&idler, &closed("stall_timeout"), 1.0);
    drop(stalled);
    // A fault is not counted again as the end that follows from it.
    let end = figures(&idler);
    assert_eq!(end[&closed("malformed_body")], 1.0);
    assert!(end[&closed("done")] <= done + 1.0, "{end:#?}");
    for words in [
        "--idle-timeout",
        "--head-timeout",
        "--stall-timeout",
        "did not hang up",
        "sent on after the last reply",
        "malformed or too long",
        "the file shrank",
    ] {
        idler.says(&[words]);
    }
    idler.stop();
}

#[test]
fn those_who_are_not_let_in_are_counted() {
    let (_site, idler) = start(&["--max-connections", "2", "--max-per-address", "3"]);
    let idle: Vec<Client> = (0..2).map(|_| idler.client()).collect();
    becomes(&idler, &closed("made_room"), 1.0);
    drop(idle);
    let mut busy: Vec<Client> = (0..2).map(|_| idler.client()).collect();
    for client in &mut busy {
        client.ask("GET", "/large", "");
        client.reply_head();
    }
    let third = idler.client();
    until_gone(third);
    drop(busy);
    becomes(&idler, &refused("max_connections"), 1.0);
    idler.stop();

    let (_site, mut idler) = start(&["--max-per-address", "1"]);
    let mut first = idler.client();
    assert_eq!(first.get("/a").status, 200);
    until_gone(idler.client());
    let text = first.get("/figures").text();
    assert_eq!(parsed(&text)[&refused("max_per_address")], 1.0);
    // The idle leave at the end, and say so with -v.
    idler.signal(Signal::TERM);
    assert_eq!(idler.exit_code(), Some(0));
    let said = parsed(&idler.stderr());
    assert_eq!(said[&closed("shutdown")], 1.0, "{}", idler.stderr());

    let site = Site::with(&[("a", b"a")]);
    let mut idler = Idler::serve(site.path())
        .args(&["--allow", "192.0.2.1"])
        .start();
    until_gone(idler.client());
    idler.signal(Signal::USR1);
    idler.says(&[&refused("allow"), " 1"]);
    idler.stop();

    let mut idler = Idler::serve(site.path()).start();
    // Taken away while it runs: at the start it keeps back what it needs itself.
    let pid = rustix::process::Pid::from_raw(idler.proc().0.cast_signed());
    let limit = rustix::process::Rlimit {
        current: Some(24),
        maximum: Some(24),
    };
    rustix::process::prlimit(pid, rustix::process::Resource::Nofile, limit).unwrap();
    // Once it is answered, whoever still sends a body is busy, and makes no room.
    let mut crowd = Vec::new();
    loop {
        let mut client = idler.client();
        client.ask("POST", "/a", "Transfer-Encoding: chunked\r\n");
        match client.try_reply(false) {
            Ok(reply) if reply.status == 405 => crowd.push(client),
            Ok(_) | Err(_) => break,
        }
    }
    idler.says(&["cannot accept"]);
    idler.signal(Signal::USR1);
    idler.says(&[&refused("descriptors")]);
    drop(crowd);
    idler.stop();
}

#[test]
fn signals_that_ask_for_figures_end_nobody() {
    let site = Site::with(&[("a", b"a")]);
    let mut idler = Idler::serve(site.path()).env("RUST_LOG", "error").start();
    assert_eq!(idler.get("/a").status, 200);
    idler.signal(Signal::USR2);
    idler.signal(Signal::USR1);
    idler.says(&["idler_connections_accepted_total 1"]);
    idler.stop();
    let mut other = Idler::verb("daytime-server").args(&["-p", "0"]).spawn();
    other.says(&["listens on"]);
    other.signal(Signal::USR1);
    other.signal(Signal::USR2);
    other.stop();
}

#[test]
#[ignore = "needs promtool"]
fn prometheus_finds_no_fault_with_the_figures() {
    let (site, idler) = start(&[]);
    for target in ["/a", "/missing", "/"] {
        idler.get(target);
    }
    let path = site.file("metrics", &idler.get("/figures").body);
    let outcome = Program::find(&["promtool"])
        .args(&["check", "metrics"])
        .stdin(&path)
        .run(Duration::from_secs(60));
    assert!(
        outcome.status.success(),
        "{}{}",
        outcome.text(),
        outcome.stderr
    );
    assert_eq!(
        (outcome.text(), outcome.stderr.as_str()),
        (String::new(), "")
    );
    idler.stop();
}
