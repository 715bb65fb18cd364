//! `--auth` and `idler password`.
//!
//! It may not know how passwords are kept. Invariant: without the right one nothing of the site is seen.
//! Read next: `mod.rs`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::support::{Client, Idler, PATIENCE, Site, wait_until};

/// The password is "secret", at the least cost.
const BOB: &str = "bob:$2b$04$/uaF/uaF/uaF/uaF/uaF/uyUa5B4sNev9rTvA6TvEBWYO4koffwMy\n";

fn users(site: &Site, lines: &str) -> PathBuf {
    let path = site.beside("users");
    fs::write(&path, lines).expect("files can be written");
    path
}

fn basic(user: &str, password: &str) -> String {
    let both = STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {both}\r\n")
}

fn status(client: &mut Client, target: &str, headers: &str) -> u16 {
    client.ask("GET", target, headers);
    client.reply().status
}

#[test]
fn only_who_has_the_password_sees_anything() {
    let site = Site::with(&[
        ("a", b"a"),
        ("app.3f9a1c2b.js", b"1"),
        ("dir/x", b""),
        ("401.html", b"who are you?"),
    ]);
    for name in ["a", "app.3f9a1c2b.js"] {
        site.age(name);
    }
    let file = users(&site, BOB);
    let redirects = site.beside("redirects");
    fs::write(&redirects, "/old /new 301\n").expect("files can be written");
    let idler = Idler::serve(site.path())
        .args(&["--health", "/health", "--cors", "--cache", "60,immutable"])
        .arg("--auth")
        .arg(&file)
        .arg("--redirects")
        .arg(&redirects)
        .start();
    let mut client = idler.client();
    let right = basic("bob", "secret");
    for round in 0..3 {
        for target in [
            "/a",
            "/dir",
            "/dir/",
            "/missing",
            "/old",
            "/%zz",
            "/401.html",
        ] {
            let reply = client.get(target);
            assert_eq!(reply.status, 401, "{target}");
            assert_eq!(reply.text(), "who are you?");
            let challenge = reply
                .header("www-authenticate")
                .expect("it says what it wants");
            assert!(challenge.starts_with("Basic realm="), "{challenge}");
        }
        assert_eq!(status(&mut client, "/a", &right), 200, "{round}");
        assert_eq!(status(&mut client, "/old", &right), 301);
        assert_eq!(status(&mut client, "/dir/", &right), 200);
        assert_eq!(status(&mut client, "/missing", &right), 404);
    }
    client.ask("POST", "/a", "Content-Length: 0\r\n");
    assert_eq!(client.reply().status, 401);
    // Load balancers and preflights have no password.
    assert_eq!(client.get("/health").status, 200);
    client.ask("OPTIONS", "/a", "");
    assert_eq!(client.reply().status, 204);
    client.ask("GET", "/app.3f9a1c2b.js", &right);
    let reply = client.reply();
    assert_eq!(
        reply.header("cache-control"),
        Some("private, max-age=31536000, immutable")
    );
    for wrong in [
        format!("{right}{right}"),
        "Authorization: Bearer x\r\n".to_owned(),
        "Authorization: Basic !\r\n".to_owned(),
    ] {
        assert_eq!(status(&mut client, "/a", &wrong), 401, "{wrong}");
    }
    idler.stop();
}

#[test]
fn the_log_names_who_logged_in() {
    let site = Site::with(&[("a", b"a")]);
    let odd = BOB.replacen("bob:", "o\"d d\u{e9}:", 1);
    let idler = Idler::serve(site.path())
        .arg("--auth")
        .arg(users(&site, &format!("{BOB}{odd}")))
        .start();
    let mut client = idler.client();
    let mut count = 0;
    for (user, password, target, expected) in [
        ("bob", "secret", "/a", "127.0.0.1 - bob ["),
        // As often as asked: what is remembered names as well.
        ("bob", "secret", "/missing", "127.0.0.1 - bob ["),
        ("bob", "wrong", "/a", "127.0.0.1 - - ["),
    ] {
        status(&mut client, target, &basic(user, password));
        count += 1;
        let lines = idler.lines(count);
        assert!(lines[count - 1].starts_with(expected), "{lines:?}");
    }
    idler.stop();

    let idler = Idler::serve(site.path())
        .args(&["--log-format", "json", "--auth"])
        .arg(users(&site, &odd))
        .start();
    let both = basic("o\"d d\u{e9}", "secret");
    assert_eq!(status(&mut idler.client(), "/a", &both), 200);
    let line = &idler.lines(1)[0];
    let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(json["user"], "o\"d d\u{e9}", "{line}");
    idler.stop();
}

#[test]
fn guessing_is_slow_and_holds_up_nobody_who_knows() {
    let site = Site::with(&[("a", b"a")]);
    let idler = Idler::serve(site.path())
        .arg("--auth")
        .arg(users(&site, BOB))
        .start();
    let mut client = idler.client();
    let right = basic("bob", "secret");
    assert_eq!(status(&mut client, "/a", &right), 200);
    // Far more than four, in far less than a second each.
    let mut later = 0;
    for n in 0..40 {
        client.ask("GET", "/a", &basic("bob", &n.to_string()));
        let reply = client.reply();
        match reply.status {
            401 => {}
            429 => {
                later += 1;
                assert_eq!(reply.header("retry-after"), Some("1"));
            }
            other => panic!("{other}"),
        }
        assert_eq!(status(&mut client, "/a", &right), 200);
    }
    assert!(later > 0);
    idler.stop();
}

#[test]
fn users_are_read_again_on_sighup() {
    let site = Site::with(&[("a", b"a")]);
    let file = users(&site, BOB);
    let mut idler = Idler::serve(site.path()).arg("--auth").arg(&file).start();
    let right = basic("bob", "secret");
    assert_eq!(status(&mut idler.client(), "/a", &right), 200);
    users(&site, "nonsense\n");
    idler.signal(Signal::HUP);
    idler.says(&["users: line 1", "what was read before stays"]);
    assert_eq!(status(&mut idler.client(), "/a", &right), 200);
    users(&site, &BOB.replace("bob", "carol"));
    idler.signal(Signal::HUP);
    idler.says(&["users was read again"]);
    assert_eq!(status(&mut idler.client(), "/a", &right), 401);
    wait_until("a check for carol", PATIENCE, || {
        let status = status(&mut idler.client(), "/a", &basic("carol", "secret"));
        (status == 200).then_some(())
    });
    idler.stop();
}

#[test]
fn files_of_users_that_would_do_harm_are_refused() {
    let site = Site::with(&[("users", BOB.as_bytes())]);
    let costly = users(
        &site,
        "a:$2y$10$/uaF/uaF/uaF/uaF/uaF/uyUa5B4sNev9rTvA6TvEBWYO4koffwMy\n",
    );
    for (file, words) in [
        (site.path().join("users"), "would be served"),
        (costly, "cost 10 would hold up"),
    ] {
        let outcome = Idler::serve(site.path()).arg("--auth").arg(&file).run();
        assert_eq!(outcome.status.code(), Some(1));
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
}

#[test]
fn idler_password_makes_a_line_that_auth_takes() {
    let site = Site::with(&[("a", b"a")]);
    let typed = site.beside("typed");
    fs::write(&typed, "corräct horse: 7\nmore\n").expect("files can be written");
    let mut made = Idler::verb("password")
        .arg("alice")
        .stdin(File::open(&typed).expect("it is there"))
        .spawn();
    assert_eq!(made.exit_code(), Some(0), "{}", made.stderr());
    let line = made.stdout();
    assert!(line.starts_with("alice:$2y$"), "{line}");
    let idler = Idler::serve(site.path())
        .arg("--auth")
        .arg(users(&site, &line))
        .start();
    let right = basic("alice", "corräct horse: 7");
    assert_eq!(status(&mut idler.client(), "/a", &right), 200);
    idler.stop();

    for (text, words) in [("\n", "empty"), (&"x".repeat(72), "longer than 71 bytes")] {
        fs::write(&typed, text).expect("files can be written");
        let mut made = Idler::verb("password")
            .arg("alice")
            .stdin(File::open(&typed).expect("it is there"))
            .spawn();
        assert_eq!(made.exit_code(), Some(1));
        assert!(made.stderr().contains(words), "{}", made.stderr());
        assert_eq!(made.stdout(), "");
    }
}

/// Types `keys` at a terminal; returns exit code, standard output and standard error.
fn typed_at_a_terminal(keys: &str) -> (Option<i32>, String, String) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("a terminal");
    unlockpt(&terminal).expect("a terminal");
    let name = ptsname(&terminal, Vec::new()).expect("a terminal has a name");
    let path = PathBuf::from(name.to_str().expect("a plain name"));
    let open = || {
        File::options()
            .read(true)
            .write(true)
            .open(&path)
            .expect("the other end")
    };
    let (ours, theirs) = (open(), open());
    let mut made = Idler::verb("password")
        .arg("alice")
        .stdin(Stdio::from(theirs))
        .spawn();
    let shows = || {
        tcgetattr(&ours)
            .expect("it is a terminal")
            .local_modes
            .contains(LocalModes::ECHO)
    };
    wait_until("a silent terminal", PATIENCE, || (!shows()).then_some(()));
    File::from(terminal.try_clone().expect("a second one"))
        .write_all(keys.as_bytes())
        .expect("keys can be typed");
    let code = made.exit_code();
    assert!(shows(), "the terminal was left silent");
    (code, made.stdout(), made.stderr())
}

#[test]
fn a_password_is_typed_twice_and_never_shown() {
    let (code, line, said) = typed_at_a_terminal("sex\x7fcret\rsecret\n");
    assert_eq!(code, Some(0), "{said}");
    assert!(line.starts_with("alice:$2y$"), "{line}");
    assert!(
        said.contains("Password for alice: ") && !said.contains("secret"),
        "{said}"
    );
    let (code, line, said) = typed_at_a_terminal("secret\nsecrets\n");
    assert_eq!((code, line.as_str()), (Some(1), ""));
    assert!(said.contains("differ"), "{said}");
    let (code, line, _) = typed_at_a_terminal("secr\x03");
    assert_eq!((code, line.as_str()), (Some(1), ""));
}
