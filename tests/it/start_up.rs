//! What the user sees who starts idler: messages, exit codes, and a server that really listens.
//!
//! It may not know anything but the command line. Invariant: every failure is one line on standard error
//! that says what, why and what to try.
//! Read next: `files.rs`.

use std::net::TcpListener;

use crate::support::idler::free_port;
use crate::support::program::Outcome;
use crate::support::{Client, Idler, Site, fixture_site};

/// Usage errors end with this code.
const USAGE: i32 = 2;

/// All other failures with this one.
const FAILURE: i32 = 1;

/// Asserts that a run failed with `code` and one line that holds all of `words`.
#[track_caller]
fn fails(outcome: &Outcome, code: i32, words: &[&str]) {
    let said = &outcome.stderr;
    assert_eq!(outcome.status.code(), Some(code), "exit code; said: {said}");
    assert!(outcome.stdout.is_empty(), "stdout: {}", outcome.text());
    assert_eq!(said.lines().count(), 1, "one line, not: {said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

#[test]
fn it_says_where_it_listens_when_it_listens() {
    let idler = Idler::serve(fixture_site()).start();
    for address in idler.addresses() {
        assert_eq!(Client::connect(*address).get("/hello.txt").body, b"hello\n");
    }
    assert_eq!(idler.addresses()[0].ip().to_string(), "127.0.0.1");
    assert!(
        idler.stderr().contains(&idler.url("/")),
        "{}",
        idler.stderr()
    );
    idler.stop();
}

#[test]
fn both_loopback_addresses_are_served_by_default() {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("this machine has no ::1: only 127.0.0.1 was looked at");
        return;
    }
    let idler = Idler::serve(fixture_site()).start();
    let hosts: Vec<String> = idler
        .addresses()
        .iter()
        .map(|a| a.ip().to_string())
        .collect();
    assert!(
        hosts.contains(&"127.0.0.1".into()) && hosts.contains(&"::1".into()),
        "{hosts:?}"
    );
    let ports: Vec<u16> = idler
        .addresses()
        .iter()
        .map(std::net::SocketAddr::port)
        .collect();
    assert!(
        ports.iter().all(|p| *p == ports[0]),
        "a browser that tries both finds both: {ports:?}"
    );
    idler.stop();
}

#[test]
fn one_address_can_be_asked_for() {
    let idler = Idler::serve(fixture_site())
        .args(&["-b", "127.0.0.1"])
        .start();
    assert_eq!(idler.addresses().len(), 1);
    assert_eq!(idler.get("/hello.txt").status, 200);
    idler.stop();
}

#[test]
fn sharing_prints_addresses_that_work() {
    let idler = Idler::serve(fixture_site())
        .args(&["-b", "0.0.0.0"])
        .start();
    assert!(!idler.addresses().is_empty());
    for address in idler.addresses() {
        assert!(
            !address.ip().is_unspecified(),
            "nobody can open http://{address}/"
        );
        assert_eq!(Client::connect(*address).get("/hello.txt").status, 200);
    }
    idler.stop();
}

#[test]
fn without_a_verb_it_serves_the_path() {
    let idler = Idler::bare()
        .args(&["--port", "0"])
        .arg(fixture_site())
        .start();
    assert_eq!(idler.get("/hello.txt").body, b"hello\n");
    idler.stop();
}

#[test]
fn without_a_path_it_serves_the_folder_it_is_in() {
    let idler = Idler::bare()
        .args(&["--port", "0"])
        .folder(&fixture_site())
        .start();
    assert_eq!(idler.get("/hello.txt").body, b"hello\n");
    idler.stop();
}

#[test]
fn a_folder_named_like_a_verb_can_be_served() {
    let site = Site::with(&[("man/a.txt", b"a")]);
    let ways: [&[&str]; 2] = [&["serve", "--port", "0", "man"], &["--port", "0", "./man"]];
    for way in ways {
        let idler = Idler::bare().args(way).folder(site.path()).start();
        assert_eq!(idler.get("/a.txt").body, b"a", "{way:?}");
        idler.stop();
    }
}

#[test]
fn a_single_file_can_be_served_and_nothing_beside_it() {
    let site = Site::with(&[("only.html", b"<p>only"), ("beside.html", b"secret")]);
    let idler = Idler::serve(site.path().join("only.html")).start();
    let reply = idler.get("/only.html");
    assert_eq!(
        (reply.status, reply.body.as_slice()),
        (200, &b"<p>only"[..])
    );
    assert_eq!(
        reply.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(idler.get("/beside.html").status, 404);
    assert_eq!(idler.get("/only.html/").status, 404);
    let root = idler.get("/");
    assert!(!root.text().contains("beside"), "{}", root.text());
    assert_eq!(root.status, 200, "people open the printed URL");
    idler.stop();
}

#[test]
fn help_fits_a_screen() {
    let help = Idler::bare().arg("--help").run();
    assert_eq!(help.status.code(), Some(0));
    let text = help.text();
    assert!(text.lines().count() <= 24, "{} lines", text.lines().count());
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    assert!(help.stderr.is_empty());
    assert_eq!(Idler::bare().arg("-h").run().text(), text);
}

#[test]
fn help_of_a_verb_is_complete() {
    let help = Idler::verb("serve").arg("--help").run();
    assert_eq!(help.status.code(), Some(0));
    let text = help.text();
    for option in [
        "-p, --port",
        "-b, --bind",
        "-i, --index",
        "--no-listing",
        "--hidden",
        "-H, --header",
        "--type",
        "--max-connections",
        "--max-head",
        "--head-timeout",
        "--idle-timeout",
        "--stall-timeout",
        "--grace",
        "--drain-delay",
        "--access-log",
        "--log-format",
        "-q, --quiet",
        "-v, --verbose",
        "--color",
        "-h, --help",
        "-V, --version",
        "IDLER_",
    ] {
        assert!(text.contains(option), "no {option} in:\n{text}");
    }
}

#[test]
fn it_knows_its_version() {
    for option in ["--version", "-V"] {
        let version = Idler::bare().arg(option).run();
        assert_eq!(version.status.code(), Some(0));
        assert_eq!(
            version.text(),
            format!("idler {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[test]
fn what_is_mistyped_is_named() {
    let site = Site::new();
    for (typed, words) in [
        (&["--prot", "80"][..], &["--prot", "--port"][..]),
        (&["--port", "http"], &["--port", "http"]),
        (&["--port", "65536"], &["--port", "65536"]),
        (&["--port", "-1"], &["--port"]),
        (&["--port"], &["--port"]),
        (
            &["--idle-timeout", "5 parsecs"],
            &["--idle-timeout", "5 parsecs"],
        ),
        (&["--max-head", "much"], &["--max-head", "much"]),
        (&["--bind", "nowhere at all"], &["nowhere at all"]),
        (
            &["--log-format", "xml"],
            &["--log-format", "xml", "combined"],
        ),
        (&["-H", "no colon"], &["no colon"]),
        (&["-H", "X: a\r\nSet-Cookie: b"], &["--header"]),
    ] {
        fails(&Idler::serve(site.path()).args(typed).run(), USAGE, words);
    }
    fails(
        &Idler::serve(site.path()).arg("/another/path").run(),
        USAGE,
        &[],
    );
}

#[test]
fn a_root_that_is_missing_is_named() {
    let site = Site::new();
    let path = site.path().join("mising");
    fails(
        &Idler::serve(&path).run(),
        FAILURE,
        &[&path.to_string_lossy()],
    );
}

#[test]
fn a_root_that_cannot_be_read_is_named() {
    let site = Site::new();
    let path = site.folder("closed");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o000))
        .expect("permissions can be taken");
    let outcome = Idler::serve(&path).unprivileged().run();
    fails(&outcome, FAILURE, &[&path.to_string_lossy()]);
}

#[test]
fn a_root_that_is_no_file_and_no_folder_is_refused() {
    let site = Site::new();
    site.fifo("fifo");
    let path = site.path().join("fifo");
    fails(
        &Idler::serve(&path).run(),
        FAILURE,
        &[&path.to_string_lossy()],
    );
}

#[test]
fn a_port_in_use_is_an_error_and_never_another_port() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let port = taken.local_addr().expect("bound").port().to_string();
    let outcome = Idler::verb("serve")
        .args(&["--port", &port])
        .arg(fixture_site())
        .run();
    fails(&outcome, FAILURE, &[&port, "in use", "--port"]);
}

#[test]
fn a_privileged_port_is_an_error_that_says_so() {
    let first_free = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .map_or(1024, |text| text.trim().parse().unwrap_or(1024));
    if first_free <= 1 {
        println!("this machine has no privileged ports");
        return;
    }
    let site = Site::new();
    let outcome = Idler::verb("serve")
        .args(&["--port", "1"])
        .arg(site.path())
        .unprivileged()
        .run();
    fails(&outcome, FAILURE, &["1", "--port"]);
}

#[test]
fn an_address_that_is_not_ours_is_an_error() {
    // TEST-NET-2 of RFC 5737: nobody's.
    let outcome = Idler::serve(fixture_site())
        .args(&["-b", "198.51.100.7"])
        .run();
    fails(&outcome, FAILURE, &["198.51.100.7"]);
}

#[test]
fn an_access_log_that_cannot_be_opened_is_an_error() {
    let site = Site::new();
    let path = site.path().join("no/such/folder.log");
    let outcome = Idler::serve(site.path())
        .arg("--access-log")
        .arg(&path)
        .run();
    fails(&outcome, FAILURE, &[&path.to_string_lossy()]);
}

/// What was attempted, what was wrong, and what to try.
#[test]
fn every_failure_says_what_why_and_what_to_try() {
    let site = Site::with(&[
        ("redirects", b"/a /b\n"),
        ("users", b"anna:plain\n"),
        ("root/a", b"a"),
    ]);
    site.fifo("fifo");
    let at = |name: &str| site.path().join(name).to_string_lossy().into_owned();
    let folder = at("root");
    let taken = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let port = taken.local_addr().expect("bound").port();
    let long = format!("unix:{}", "x".repeat(108));
    let cases: &[(&[&str], i32, &[&str])] = &[
        (
            &[&at("missing")],
            FAILURE,
            &["cannot serve", "no such file", "name a directory"],
        ),
        (
            &[&at("fifo")],
            FAILURE,
            &["cannot serve", "neither a directory", "name one"],
        ),
        (
            &["--allow", "10.0.0.0/40"],
            USAGE,
            &["--allow", "10.0.0.0/40", "such as 192.168.0.0/16"],
        ),
        (
            &["--redirects", &at("redirects")],
            FAILURE,
            &["cannot use", "line 1", "301"],
        ),
        (
            &["--redirects", &at("missing")],
            FAILURE,
            &["cannot read", "no such file", "name a file"],
        ),
        (
            &["--auth", &at("users")],
            FAILURE,
            &["cannot use", "line 1", "idler password"],
        ),
        (
            &["--auth", &at("fifo")],
            FAILURE,
            &["cannot read", "not a regular file", "name a file"],
        ),
        (
            &["--access-log", &at("no/log")],
            FAILURE,
            &["cannot open", "no such file", "create it"],
        ),
        (
            &["--access-log", &folder],
            FAILURE,
            &["cannot open", "directory", "name a file in it"],
        ),
        (
            &["--user", "nobody-here"],
            FAILURE,
            &["cannot run as", "no such user", "1000:1000"],
        ),
        (&["-b", &long], USAGE, &["--bind", "107 bytes", "shorter"]),
        (
            &["-b", &format!("unix:{}", at("users"))],
            FAILURE,
            &["cannot listen", "no socket", "remove it"],
        ),
        (
            &["-b", &format!("unix:{}", at("no/s"))],
            FAILURE,
            &["cannot listen", "does not exist", "create it"],
        ),
        (
            &["--host", &format!("a={}", at("no"))],
            FAILURE,
            &["cannot serve", "no such file", "name a"],
        ),
        (
            &["-b", "127.0.0.1", "--with", &format!("message={port}")],
            FAILURE,
            &["--with", "cannot listen", "in use"],
        ),
        (
            &["--with", &format!("transfer=0:{}", at("no"))],
            FAILURE,
            &["--with", "cannot open", "no such file", "name a file"],
        ),
    ];
    for (args, code, words) in cases {
        let idler = Idler::bare().args(&["-p", "0"]).env("RUST_LOG", "off");
        let names_a_root = args.len() == 1;
        let idler = if names_a_root {
            idler
        } else {
            idler.arg(&folder)
        };
        let outcome = idler.args(args).run();
        assert!(!outcome.stderr.contains("os error"), "{}", outcome.stderr);
        fails(&outcome, *code, words);
    }
    let outcome = Idler::serve(&folder)
        .env("RUST_LOG", "off")
        .after("ulimit -n 5")
        .run();
    fails(
        &outcome,
        FAILURE,
        &["cannot", "no descriptor is left", "ulimit -n"],
    );
}

#[test]
fn a_user_who_may_not_enter_the_root_is_told_at_the_start() {
    if !rustix::process::geteuid().is_root() {
        println!("only root can become somebody else");
        return;
    }
    let site = Site::new();
    let path = site.folder("closed");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("permissions can be taken");
    let outcome = Idler::serve(&path).args(&["--user", "65534:65534"]).run();
    fails(
        &outcome,
        FAILURE,
        &[
            "cannot serve",
            "as user 65534:65534",
            "permission denied",
            "give that user",
        ],
    );
}

#[test]
fn the_environment_sets_options_and_the_command_line_wins() {
    let site = Site::with(&[("start.html", b"start"), ("a.html", b"a"), (".b", b"b")]);
    let idler = Idler::bare()
        .arg(site.path())
        .env("IDLER_PORT", "0")
        .env("IDLER_INDEX", "start.html")
        .env("IDLER_HIDDEN", "yes")
        .start();
    assert_eq!(idler.get("/").body, b"start");
    assert_eq!(idler.get("/.b").status, 200);
    idler.stop();
    let idler = Idler::serve(site.path())
        .args(&["--index", "a.html"])
        .env("IDLER_PORT", "not a number, but nobody asks")
        .env("IDLER_INDEX", "start.html")
        .start();
    assert_eq!(idler.get("/").body, b"a");
    idler.stop();
    let outcome = Idler::bare()
        .arg(site.path())
        .env("IDLER_PORT", "http")
        .run();
    fails(&outcome, USAGE, &["IDLER_PORT", "http"]);
}

#[test]
fn a_variable_that_is_misspelt_is_named() {
    let site = Site::new();
    let start = || {
        let idler = Idler::serve(site.path()).env("IDLER_CACH", "1h");
        // Made by Kubernetes, and idler's own.
        let idler = idler.env("IDLER_SERVICE_PORT", "80");
        idler.env("IDLER_PORT_80_TCP_ADDR", "10.0.0.1")
    };
    let idler = start().start();
    idler.says(&["WARN", "'IDLER_CACH' is no variable", "mean IDLER_CACHE?"]);
    assert_eq!(idler.stderr().matches("is no variable").count(), 1);
    idler.stop();
    let outcome = start().arg("--check").run();
    assert_eq!(outcome.status.code(), Some(0));
    assert!(
        outcome.stderr.contains("IDLER_CACHE?"),
        "{}",
        outcome.stderr
    );
    let idler = Idler::serve(site.path()).env("IDLER_CACHE", "1h").start();
    assert!(!idler.stderr().contains("no variable"));
    idler.stop();
}

#[test]
fn headers_and_types_can_be_given() {
    let site = Site::with(&[("a.idl", b"a"), ("b.TXT", b"b")]);
    let idler = Idler::serve(site.path())
        .args(&[
            "--type",
            ".idl=text/x-idler",
            "-H",
            "X-One: 1",
            "--header",
            "X-Two: 2",
        ])
        .start();
    let reply = idler.get("/a.idl");
    assert_eq!(
        reply.header("content-type"),
        Some("text/x-idler; charset=utf-8")
    );
    assert_eq!(
        (reply.header("x-one"), reply.header("x-two")),
        (Some("1"), Some("2"))
    );
    assert_eq!(idler.get("/missing").header("x-one"), Some("1"));
    assert_eq!(
        idler.get("/b.TXT").header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    idler.stop();
}

#[test]
fn quiet_means_quiet() {
    let port = free_port();
    let site = Site::with(&[("a.txt", b"a")]);
    let mut idler = Idler::verb("serve")
        .args(&["-q", "--access-log", "off", "--port", &port.to_string()])
        .arg(site.path())
        .env("RUST_LOG", "")
        .spawn();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let stream = crate::support::wait_until("idler to listen", crate::support::PATIENCE, || {
        assert!(idler.is_alive(), "{}", idler.stderr());
        std::net::TcpStream::connect(address).ok()
    });
    assert_eq!(Client::over(stream).get("/a.txt").body, b"a");
    assert_eq!(idler.stderr(), "");
    assert_eq!(idler.stdout(), "");
    idler.stop();
}

#[test]
fn settings_can_be_checked_without_serving() {
    let site = Site::new();
    let outcome = Idler::serve(site.path())
        .args(&["--check", "--idle-timeout", "7s"])
        .run();
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    assert!(outcome.text().contains("7s"), "{}", outcome.text());
}
