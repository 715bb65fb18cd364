//! `idler crowd`, against idler and against servers that say exactly what they are told.
//!
//! It may not know how a crowd is held. Invariant: what the crowd says of a server is what the server's side shows.
//! Read next: `footprint.rs`.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use crate::support::idler::free_port;
use crate::support::program::{Outcome, Program};
use crate::support::{Idler, PATIENCE, Running, Site, alone, fixture_site, wait_until};

/// Members of most crowds here.
const MEMBERS: u64 = 200;

fn crowd(address: SocketAddr, args: &str) -> Idler {
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    Idler::verb("crowd")
        .args(&[&host, &port, "--rate", "10000"])
        .args(&args.split(' ').collect::<Vec<_>>())
        .env("RUST_LOG", "")
}

/// Runs a crowd to its end; exit code and verdict.
fn verdict(address: SocketAddr, args: &str) -> (Option<i32>, Value) {
    let outcome = crowd(address, args).arg("--json").run();
    let text = outcome.text();
    let said = serde_json::from_str(&text);
    let said = said.unwrap_or_else(|e| panic!("{e}: {text:?}; {}", outcome.stderr));
    (outcome.status.code(), said)
}

/// Waits until idler has so many more descriptors than `before`.
fn holds(idler: &Running, before: usize, members: u64) {
    let all = before + usize::try_from(members).expect("it fits");
    wait_until("the crowd to be there", PATIENCE, || {
        (idler.proc().descriptors() >= all).then_some(())
    });
}

/// Waits until idler has noticed that they have left; a file that it serves may stay open.
fn let_go(idler: &Running, before: usize) {
    wait_until("the crowd to be gone", PATIENCE, || {
        (idler.proc().descriptors() <= before + 1).then_some(())
    });
}

/// Waits until neither has anything to do: what was accepted may not have been answered yet, nor the answer heard.
fn both_at_rest(idler: &Running, crowd: &Running) {
    let mut still = 0;
    wait_until("both to be at rest", PATIENCE, || {
        let asleep = idler.proc().state() == 'S' && crowd.proc().state() == 'S';
        still = if asleep { still + 1 } else { 0 };
        (still > 50).then_some(())
    });
}

/// Starts a crowd, waits until idler has it and it has `settled`, interrupts it; exit code and verdict.
fn interrupted(
    idler: &Running,
    args: &str,
    settled: impl Fn(&Running, &Running),
) -> (Option<i32>, Value) {
    let before = idler.proc().descriptors();
    let args = format!("-n {MEMBERS} --duration 60s --json {args}");
    let mut crowd = crowd(idler.address(), &args).spawn();
    holds(idler, before, MEMBERS);
    settled(idler, &crowd);
    crowd.signal(Signal::INT);
    let code = crowd.exit_code();
    let_go(idler, before);
    let said = serde_json::from_str(&crowd.stdout()).expect("a verdict");
    (code, said)
}

fn serve() -> Running {
    Idler::serve(fixture_site()).env("RUST_LOG", "").start()
}

#[test]
fn the_silent_are_held_until_they_are_let_go() {
    let idler = serve();
    let (code, said) = interrupted(&idler, "--mode silent", both_at_rest);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        (&said["open"], &said["bytes_out"]),
        (&MEMBERS.into(), &0.into())
    );
    assert_eq!(said["interrupted"], true);
    assert_eq!(said["stayed"], true);
    assert_eq!(idler.stdout(), "", "nobody asked for anything");
    idler.stop();
}

#[test]
fn who_keeps_alive_is_answered_once() {
    let idler = serve();
    let (code, said) = interrupted(&idler, "--mode keep-alive --path /hello.txt", both_at_rest);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said["answers"]["200"], MEMBERS);
    let lines = idler.lines(usize::try_from(MEMBERS).expect("it fits"));
    assert_eq!(lines.len() as u64, MEMBERS);
    assert!(lines.iter().all(|line| line.contains("GET /hello.txt")));
    idler.stop();
}

#[test]
fn half_heads_meet_the_head_timeout() {
    let idler = Idler::serve(fixture_site())
        .args(&["--head-timeout", "1s"])
        .env("RUST_LOG", "")
        .start();
    let (code, said) = verdict(
        idler.address(),
        &format!("-n {MEMBERS} --mode half-head --drip 200ms"),
    );
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(
        (&said["got_in"], &said["open"]),
        (&MEMBERS.into(), &0.into())
    );
    assert_eq!(said["answers"]["408"], MEMBERS);
    let ended = &said["ended"][0];
    assert_eq!(
        (&ended["how"], &ended["status"]),
        (&"closed".into(), &408.into())
    );
    assert_eq!(ended["count"], MEMBERS);
    assert!(ended["after_ms_min"].as_u64() >= Some(1000), "{ended}");
    let lines = idler.lines(usize::try_from(MEMBERS).expect("it fits"));
    assert!(lines.iter().all(|line| line.contains(" 408 ")));
    idler.stop();
}

#[test]
fn slow_readers_are_in_the_middle_of_their_file() {
    let site = Site::with(&[("large", &[7; 8 << 20])]);
    let idler = Idler::serve(site.path()).env("RUST_LOG", "").start();
    let args = "--mode slow-read --path /large --drip 50ms";
    let (code, said) = interrupted(&idler, args, |_, crowd| {
        // It says how it is every five seconds: a hundred sips.
        crowd.says(&["200 open"]);
    });
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said["answers"]["200"], MEMBERS);
    let read = said["bytes_in"].as_u64().expect("a number");
    assert!(read >= 2 * 16 * MEMBERS, "more than a sip each: {read}");
    assert!(read < MEMBERS << 20, "and far from all: {read}");
    // Who left in the middle got less than all, and is in the log.
    let lines = idler.lines(usize::try_from(MEMBERS).expect("it fits"));
    assert!(
        !lines
            .iter()
            .any(|line| line.contains(&(8 << 20).to_string()))
    );
    idler.stop();
}

#[test]
fn who_comes_and_goes_is_counted_by_both_sides() {
    let idler = serve();
    let args = "-n 50 --mode churn --path /hello.txt --rate 400 --duration 1s";
    let (code, said) = verdict(idler.address(), args);
    assert_eq!(code, Some(0), "{said}");
    let went = said["came_and_went"].as_u64().expect("a number");
    assert!((1..=500).contains(&went), "a bounded rate: {went}");
    // Some may have been on their way at the end.
    let answered = said["answers"]["200"].as_u64().expect("a number");
    assert!(answered >= went, "{said}");
    assert!(idler.lines(usize::try_from(went).expect("it fits")).len() as u64 <= went + 50);
    let (code, said) = verdict(
        idler.address(),
        "-n 50 --mode churn --rate 400 --duration 1s",
    );
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said["bytes_out"], 0);
    idler.stop();
}

#[test]
fn the_idle_timeout_of_a_server_shows() {
    let idler = Idler::serve(fixture_site())
        .args(&["--idle-timeout", "1s"])
        .env("RUST_LOG", "")
        .start();
    let args = format!("-n {MEMBERS} --duration 60s");
    let outcome = crowd(idler.address(), &args).run();
    assert_eq!(outcome.status.code(), Some(1));
    let text = outcome.text();
    let line = text
        .lines()
        .find(|line| line.starts_with("closed by the server after 1."));
    assert!(line.is_some_and(|line| line.ends_with(": 200")), "{text}");
    assert!(text.ends_with("verdict: none of 200 stayed\n"), "{text}");
    idler.stop();
}

#[test]
fn a_full_house_shows() {
    let idler = Idler::serve(fixture_site())
        .args(&["--max-connections", "50"])
        .env("RUST_LOG", "")
        .start();
    let (code, said) = verdict(idler.address(), "-n 80 --duration 1s");
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said["open"], 50, "the idle make room for newcomers");
    assert_eq!(said["ended"][0]["count"], 30);
    idler.stop();
}

#[test]
fn the_honest_client_is_measured_before_and_beside() {
    let idler = serve();
    let args = format!(
        "-n {MEMBERS} --duration 1s --probe {}",
        idler.url("/hello.txt")
    );
    let (code, said) = verdict(idler.address(), &args);
    assert_eq!(code, Some(0), "{said}");
    for when in ["before", "beside"] {
        let probed = &said["probe"][when];
        assert!(probed["answers"].as_u64() > Some(5), "{said}");
        assert_eq!(probed["failed"], 0, "{said}");
        assert!(
            probed["p50_ms"].as_f64() <= probed["p99_ms"].as_f64(),
            "{said}"
        );
    }
    let outcome = crowd(
        idler.address(),
        &format!("--probe {}", idler.url("/missing")),
    )
    .run();
    assert_eq!(outcome.status.code(), Some(1));
    assert!(outcome.stderr.contains("answers 404"), "{}", outcome.stderr);
    idler.stop();
}

/// A server that gives every client the same, and hangs up.
fn hangs_up_after(said: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a client");
            let mut heard = [0; 1024];
            while client
                .read(&mut heard)
                .is_ok_and(|n| n > 0 && !heard[..n].ends_with(b"\r\n\r\n"))
            {}
            let _ = client.write_all(said);
        }
    });
    address
}

#[test]
fn servers_that_close_after_an_answer_can_be_probed_and_churned() {
    let address = hangs_up_after(b"HTTP/1.0 200 OK\r\n\r\nhello");
    let args =
        format!("-n 5 --mode churn --path / --rate 100 --duration 1s --probe http://{address}/");
    let (code, said) = verdict(address, &args);
    assert_eq!(code, Some(0), "{said}");
    assert!(said["came_and_went"].as_u64() > Some(10), "{said}");
    assert!(
        said["probe"]["before"]["answers"].as_u64() > Some(10),
        "{said}"
    );
    let (code, said) = verdict(address, "-n 5 --mode keep-alive");
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said["ended"][0]["count"], 5, "closed behind the answer");
}

#[test]
fn what_speaks_no_http_is_named() {
    let address = hangs_up_after(b"220 mail.example ESMTP\r\n");
    let (code, said) = verdict(address, "-n 3 --mode keep-alive");
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said["ended"][0]["how"], "not-http", "{said}");
}

fn fails(outcome: &Outcome, code: i32, words: &[&str]) {
    assert_eq!(outcome.status.code(), Some(code), "{}", outcome.stderr);
    assert_eq!(outcome.text(), "");
    for word in words {
        assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
    }
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
}

#[test]
fn nobody_there_is_told_at_once() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    fails(
        &crowd(nobody, "-n 100").run(),
        1,
        &["refused", "nothing listens"],
    );
}

#[test]
fn other_machines_are_left_alone_unless_they_are_the_user_s_own() {
    // Addresses for documentation: nothing may ever be sent there.
    let stranger = SocketAddr::from(([192, 0, 2, 1], 80));
    let words = ["not this machine", "--i-own-this-target"];
    fails(&crowd(stranger, "-n 1").run(), 2, &words);
    fails(
        &crowd(stranger, "-n 1")
            .env("IDLER_I_OWN_THIS_TARGET", "1")
            .run(),
        2,
        &words,
    );
    let idler = serve();
    let args = "-n 1 --probe http://192.0.2.1/";
    fails(&crowd(idler.address(), args).run(), 2, &words);
    let args = "-n 1 --duration 0s --i-own-this-target";
    assert_eq!(verdict(idler.address(), args).0, Some(0));
    idler.stop();
}

#[test]
fn too_few_descriptors_are_told_with_how_many_there_are() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let outcome = crowd(nobody, "-n 100").after("ulimit -n 100").run();
    fails(
        &outcome,
        1,
        &["the limit of 100", "-n 40", "several crowds", "ulimit"],
    );
}

#[test]
#[ignore = "needs unshare, ip, and the right to make namespaces"]
fn ports_that_run_out_are_found_at_other_loopback_addresses() {
    // In a network of its own there can be fewer ports than members.
    let root = fixture_site();
    let root = root.display();
    let idler = crate::support::idler::PROGRAM;
    let script = format!(
        "ip link set lo up; echo '40000 40099' > /proc/sys/net/ipv4/ip_local_port_range; \
         {idler} serve -q -p 8080 --access-log off {root} & until {idler} get -q -o /dev/null http://127.0.0.1:8080/; do :; done; \
         {idler} crowd 127.0.0.1 8080 -n 350 --duration 1s --json; code=$?; kill %1; exit $code"
    );
    let outcome = Program::find(&["unshare"])
        .args(&["-rn", "sh", "-mc", &script])
        .run(PATIENCE);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    let said: Value = serde_json::from_slice(&outcome.stdout).expect("a verdict");
    assert_eq!(said["open"], 350, "{said}");
}

#[test]
fn a_terminal_shows_a_line_that_is_redrawn_and_removed() {
    let idler = serve();
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("a terminal");
    unlockpt(&terminal).expect("a terminal");
    let name = ptsname(&terminal, Vec::new()).expect("a terminal has a name");
    let theirs = File::options()
        .read(true)
        .write(true)
        .open(Path::new(name.to_str().expect("a plain name")))
        .expect("the other end");
    let mut crowd = crowd(idler.address(), "-n 20 --duration 1s")
        .stderr(Stdio::from(theirs))
        .spawn();
    assert_eq!(crowd.exit_code(), Some(0));
    let mut shown = Vec::new();
    // The terminal is at its end once nobody has it open any more.
    let _ = File::from(terminal).read_to_end(&mut shown);
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(
        shown.contains("\r20 open, 0 B in, 1 s left\x1b[K"),
        "{shown:?}"
    );
    assert!(shown.ends_with("\r\x1b[K"), "{shown:?}");
    assert!(
        !crowd.stdout().contains(['\r', '\x1b']),
        "{}",
        crowd.stdout()
    );
    idler.stop();
}

#[test]
fn what_is_no_terminal_gets_lines_now_and_then() {
    let idler = serve();
    let held = "-n 20 --duration 6s";
    let mut quiet = crowd(idler.address(), &format!("{held} -q")).spawn();
    let lines = crowd(idler.address(), held).run().stderr;
    assert!(
        lines.ends_with(" s left\n") && lines.starts_with("20 open, "),
        "{lines}"
    );
    assert!(!lines.contains(['\r', '\x1b']), "{lines:?}");
    assert_eq!(
        (quiet.exit_code(), quiet.stderr()),
        (Some(0), String::new())
    );
    idler.stop();
}

/// What one member may cost a crowd. A build with checks stores more in each socket (mio keeps track of where it is
/// registered).
const BYTES_EACH: u64 = if cfg!(debug_assertions) { 96 } else { 48 };

#[test]
fn a_member_costs_its_slot() {
    let _alone = alone();
    let idler = serve();
    let before = idler.proc().descriptors();
    let all = crate::support::proc::descriptor_limit()
        .saturating_sub(500)
        .min(5_000);
    assert!(all >= 1000, "too few descriptors to measure anything");
    // Answers that come at the same time are each kept until they are whole, and the heap stays as large as it was: the more
    // so, the busier the machine.
    for (mode, most) in [("silent", BYTES_EACH), ("keep-alive", 4 * BYTES_EACH)] {
        let measured = [100, all].map(|members| {
            let args =
                format!("-n {members} --mode {mode} --path /hello.txt --duration 60s --rate 5000");
            let mut crowd = crowd(idler.address(), &args).spawn();
            holds(&idler, before, members);
            // Answers may still be on their way: at rest it no longer grows.
            let mut last = 0;
            let bytes = wait_until("a crowd at rest", PATIENCE, || {
                let now = crowd.proc().anonymous_bytes();
                let rests = now == last;
                last = now;
                std::thread::park_timeout(std::time::Duration::from_millis(200));
                rests.then_some(now)
            });
            assert_eq!(crowd.proc().threads(), 1);
            crowd.signal(Signal::INT);
            assert_eq!(crowd.exit_code(), Some(0), "{}", crowd.stdout());
            let_go(&idler, before);
            bytes
        });
        let each = measured[1].saturating_sub(measured[0]) / (all - 100);
        println!("{all} members of a crowd ({mode}) cost it {each} bytes each, {measured:?}");
        assert!(each <= most, "{each} bytes for a member");
    }
    idler.stop();
}

/// nginx in the foreground, serving a small file.
struct Nginx {
    child: Child,
    address: SocketAddr,
    _site: Site,
}

impl Nginx {
    fn start() -> Self {
        let site = Site::with(&[("index.html", b"hello\n")]);
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let root = site.path().display();
        let conf = site.beside("nginx.conf");
        let temporary = site.beside("temporary").display().to_string();
        std::fs::create_dir_all(&temporary).expect("a folder");
        let text = format!(
            "daemon off; master_process off; pid {temporary}/pid; error_log stderr;\n\
             events {{ worker_connections 4000; }}\n\
             http {{ access_log off; client_body_temp_path {temporary}/a; proxy_temp_path {temporary}/b; \
             fastcgi_temp_path {temporary}/c; uwsgi_temp_path {temporary}/d; scgi_temp_path {temporary}/e;\n\
             keepalive_timeout 2s; client_header_timeout 3s; server {{ listen {address} backlog=4096; root {root}; }} }}\n"
        );
        std::fs::write(&conf, text).expect("a file");
        let nginx = if Path::new("/usr/sbin/nginx").is_file() {
            "/usr/sbin/nginx".into()
        } else {
            Program::path(&["nginx"])
        };
        let child = Command::new(nginx)
            .arg("-c")
            .arg(conf)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx can be started");
        let nginx = Self {
            child,
            address,
            _site: site,
        };
        wait_until("nginx to listen", PATIENCE, || {
            std::net::TcpStream::connect(address).ok()
        });
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs nginx"]
fn nginx_shows_its_timeouts() {
    let nginx = Nginx::start();
    for (mode, least) in [
        ("silent", 3000),
        ("half-head --drip 500ms", 3000),
        ("keep-alive", 2000),
    ] {
        let (code, said) = verdict(
            nginx.address,
            &format!("-n 500 --duration 60s --mode {mode}"),
        );
        assert_eq!(code, Some(1), "{mode}: {said}");
        assert_eq!(
            (&said["got_in"], &said["open"]),
            (&500.into(), &0.into()),
            "{mode}: {said}"
        );
        let after = said["ended"][0]["after_ms_min"].as_u64();
        assert!(after >= Some(least - 500), "{mode}: {said}");
    }
    let (code, said) = verdict(nginx.address, "-n 50 --mode churn --path / --duration 1s");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = verdict(nginx.address, "-n 500 --mode keep-alive --duration 500ms");
    assert_eq!(
        (code, &said["answers"]["200"]),
        (Some(0), &500.into()),
        "{said}"
    );
}
