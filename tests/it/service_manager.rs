//! Sockets by path, sockets that somebody else made, and telling a service manager how far we are.
//!
//! It may not know a particular service manager, only the protocols of sd_listen_fds(3) and sd_notify(3).
//! Invariant: what is handed over is served or the start fails; what belongs to others is left alone.
//! Read next: `upgrade.rs`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

use crate::support::idler::{PROGRAM, free_port};
use crate::support::program::{Outcome, Program, ended};
use crate::support::{Client, Idler, PATIENCE, Site, fixture_site, wait_until};

/// What comes back for a request through the Unix socket at `path`.
fn ask_by_path(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).expect("somebody listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    stream
        .write_all(b"GET /hello.txt HTTP/1.1\r\nHost: idler\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    reply
}

#[track_caller]
fn answers_by_path(path: &Path) {
    let reply = ask_by_path(path);
    assert!(
        reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("hello\n"),
        "{reply}"
    );
}

#[track_caller]
fn refused(outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.stderr);
    for word in words {
        assert!(
            outcome.stderr.contains(word),
            "no {word:?} in: {}",
            outcome.stderr
        );
    }
}

#[test]
fn it_listens_at_several_addresses_and_paths_at_once() {
    let run = Site::new();
    let (open, closed) = (run.path().join("open"), run.path().join("closed"));
    let port = free_port();
    let idler = Idler::bare()
        .args(&["-p", "0", "-b", "127.0.0.1", "-b", "::1"])
        .args(&["-b", &format!("127.0.0.1:{port}")])
        .args(&["-b", &format!("unix:{},0666", open.display())])
        .args(&["-b", &format!("unix:{},0600", closed.display())])
        .arg(fixture_site())
        .start();
    assert_eq!(idler.addresses().len(), 3, "{}", idler.stderr());
    for address in idler.addresses() {
        assert_eq!(Client::connect(*address).get("/hello.txt").status, 200);
    }
    for (path, mode) in [(&open, 0o666), (&closed, 0o600)] {
        assert!(
            idler.stderr().contains(&format!("unix:{}", path.display())),
            "{}",
            idler.stderr()
        );
        let there = std::fs::metadata(path).expect("a socket");
        assert_eq!(there.permissions().mode() & 0o777, mode);
        answers_by_path(path);
    }
    idler.stop();
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_nothing_else_ever_is() {
    let run = Site::new();
    let path = run.path().join("idler.sock");
    let bind = format!("unix:{}", path.display());
    let with = || Idler::bare().args(&["-b", &bind]).arg(fixture_site());
    let begin = || {
        let idler = with().spawn();
        idler.says(&["up to"]);
        answers_by_path(&path);
        idler
    };

    let mut idler = begin();
    idler.signal(Signal::KILL);
    assert_eq!(idler.exit_code(), None);
    assert!(UnixStream::connect(&path).is_err() && path.exists());

    let idler = begin();
    let ours = std::fs::metadata(&path).expect("a socket").ino();
    refused(&with().run(), &[&bind, "in use", "another path"]);
    assert_eq!(std::fs::metadata(&path).expect("still there").ino(), ours);
    answers_by_path(&path);
    idler.stop();

    // Somebody else's that lives, of whatever kind, and what is no socket at all.
    let _ = std::fs::remove_file(&path);
    let other = UnixDatagram::bind(&path).expect("bound");
    refused(&with().run(), &[&bind, "in use"]);
    assert!(path.exists());
    drop(other);
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, "precious").expect("written");
    refused(&with().run(), &[&bind, "no socket is there", "remove it"]);
    assert_eq!(std::fs::read(&path).expect("still there"), b"precious");
}

#[test]
fn every_socket_that_is_handed_over_is_served() {
    let run = Site::new();
    let path = run.path().join("idler.sock");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let unix = UnixListener::bind(&path).expect("bound");
    let address = tcp.local_addr().expect("bound");
    let handed = |idler: Idler| {
        idler
            .after(
                "exec 3<&0 4>&1 0</dev/null 1>/dev/null; \
                 export LISTEN_FDS=2 LISTEN_FDNAMES=web:local LISTEN_PID=$$",
            )
            .stdin(OwnedFd::from(tcp.try_clone().expect("a copy")))
            .stdout(OwnedFd::from(unix.try_clone().expect("a copy")))
    };
    let idler = handed(Idler::bare().arg(fixture_site())).start();
    assert_eq!(idler.addresses(), [address], "and no other");
    assert!(
        idler.stderr().contains(&format!("unix:{}", path.display())),
        "{}",
        idler.stderr()
    );
    assert_eq!(idler.get("/hello.txt").status, 200);
    answers_by_path(&path);
    idler.stop();

    // What is asked for by name is listened on as well.
    let idler = handed(Idler::serve(fixture_site()).args(&["-b", "127.0.0.1"])).start();
    assert_eq!(idler.addresses().len(), 2, "{}", idler.stderr());
    for address in idler.addresses() {
        assert_eq!(Client::connect(*address).get("/hello.txt").status, 200);
    }
    answers_by_path(&path);
    idler.stop();
}

#[test]
fn what_is_handed_over_and_cannot_be_served_is_named() {
    for (what, words) in [
        ("3</dev/null", "neither a TCP nor a Unix stream socket"),
        ("3<&-", "ListenStream="),
    ] {
        let outcome = Idler::bare()
            .after(&format!(
                "exec {what}; export LISTEN_FDS=1 LISTEN_FDNAMES=web LISTEN_PID=$$"
            ))
            .arg(fixture_site())
            .run();
        refused(&outcome, &["handed over (web)", words]);
    }
    let outcome = Idler::bare()
        .after("exec 3</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$")
        .arg(fixture_site())
        .run();
    refused(&outcome, &["cannot use socket 0 handed over: it is"]);
}

#[test]
#[ignore = "needs systemd-socket-activate"]
fn systemd_hands_over_its_sockets_when_somebody_comes() {
    let run = Site::new();
    let path = run.path().join("idler.sock");
    let port = free_port();
    let mut child = Command::new(Program::path(&["systemd-socket-activate"]))
        .args(["-l", &format!("127.0.0.1:{port}"), "-l"])
        .arg(&path)
        .args(["--fdname", "web:local", PROGRAM])
        .arg(fixture_site())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it can be started");
    wait_until("systemd-socket-activate to listen", PATIENCE, || {
        path.exists().then_some(())
    });
    // It is started by the first who comes, and becomes idler.
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    assert_eq!(Client::over(stream).get("/hello.txt").body, b"hello\n");
    answers_by_path(&path);
    let id = i32::try_from(child.id()).expect("process ids are small");
    let pid = rustix::process::Pid::from_raw(id).expect("a child has an id");
    rustix::process::kill_process(pid, Signal::TERM).expect("a child can be signalled");
    let status = ended(&mut child, PATIENCE);
    assert_eq!(status.and_then(|status| status.code()), Some(0));
}

/// Microseconds of `CLOCK_MONOTONIC`.
fn monotonic_micros() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

/// Plays a service manager at `address`, which `socket` is bound to.
fn is_told_everything(socket: &UnixDatagram, address: &str) {
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    let heard = || {
        let mut text = [0; 200];
        let n = socket.recv(&mut text).expect("a message");
        String::from_utf8_lossy(&text[..n]).into_owned()
    };
    let mut idler = Idler::serve(fixture_site())
        .env("NOTIFY_SOCKET", address)
        .start();
    assert_eq!(heard(), "READY=1");
    assert_eq!(idler.get("/hello.txt").status, 200);
    let before = monotonic_micros();
    idler.signal(Signal::HUP);
    let reloading = heard();
    let when = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .and_then(|micros| micros.trim_end().parse().ok())
        .unwrap_or_else(|| panic!("{reloading:?}"));
    assert!((before..=monotonic_micros()).contains(&when), "{when}");
    assert_eq!(heard(), "READY=1");
    idler.signal(Signal::TERM);
    assert_eq!(heard(), "STOPPING=1");
    assert_eq!(idler.exit_code(), Some(0));
}

#[test]
fn a_service_manager_at_a_path_is_told() {
    let run = Site::new();
    let path = run.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    is_told_everything(&socket, &path.to_string_lossy());
}

#[test]
fn a_service_manager_with_an_abstract_name_is_told() {
    let name = format!("idler-it-notify-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let socket = UnixDatagram::bind_addr(&address).expect("bound");
    is_told_everything(&socket, &format!("@{name}"));
}

/// The folder that is served is another one after this, and so are the files that options name.
#[test]
fn a_signal_to_look_again_finds_the_root_where_it_is_now() {
    let site = Site::with(&[("v1/a.txt", b"one"), ("v2/a.txt", b"two")]);
    site.link("current", "v1");
    let mut idler = Idler::serve(site.path().join("current")).start();
    assert_eq!(idler.get("/a.txt").body, b"one");
    let aside = site.path().join("aside");
    std::os::unix::fs::symlink("v2", &aside).expect("links can be made");
    std::fs::rename(&aside, site.path().join("current")).expect("links can be renamed");
    idler.signal(Signal::HUP);
    idler.says(&["looking again"]);
    assert_eq!(idler.get("/a.txt").body, b"two");
    // Gone, and there again: another folder of the same name.
    std::fs::rename(site.path().join("v2"), site.path().join("v3")).expect("renamed");
    assert_eq!(idler.get("/a.txt").status, 404);
    site.file("v2/a.txt", b"three");
    idler.signal(Signal::HUP);
    assert_eq!(idler.get("/a.txt").body, b"three");
    idler.stop();
}
