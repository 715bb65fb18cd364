//! The process is replaced while clients ask: nobody is to notice.
//!
//! It may not know how idler stops. Invariant: every request is answered, but for the one repetition that RFC 9110 §9.2.2 allows
//! on a connection that was used before.
//! Read next: `deploy.rs`.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

use rustix::process::Signal;

use crate::support::load::{Load, Manner, Tally};
use crate::support::program::Program;
use crate::support::{Client, Idler, PATIENCE, Running, Site};

/// How often the process is replaced.
const TIMES: usize = 10;

/// Requests between one replacement and the next.
const BETWEEN: u64 = 300;

/// Who keep their connections, and who make one for each request.
const CLIENTS: &[(Manner, usize)] = &[(Manner::Keeps, 4), (Manner::Leaves, 2)];

/// An idler that is handed `listener`, as a service manager would: at descriptor 3.
fn successor(listener: &TcpListener, site: &Site) -> Idler {
    let socket = listener.try_clone().expect("a socket can be had twice");
    Idler::bare()
        .arg(site.path())
        .after("exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$")
        .stdin(OwnedFd::from(socket))
}

fn ends(mut idler: Running) {
    idler.signal(Signal::TERM);
    assert_eq!(idler.exit_code(), Some(0), "{}", idler.stderr());
}

/// Replaces the process while there is load. `overlaps`: the new one starts before the old one ends.
fn replaced_under_load(overlaps: bool) {
    let site = Site::with(&[("page.html", &[b'x'; 3000])]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let address = listener.local_addr().expect("bound");
    let mut idler = successor(&listener, &site).start();
    let load = Load::start(address, "/page.html", CLIENTS);
    for _ in 0..TIMES {
        load.goes_on(BETWEEN);
        if overlaps {
            let next = successor(&listener, &site).start();
            ends(std::mem::replace(&mut idler, next));
        } else {
            ends(idler);
            idler = successor(&listener, &site).start();
        }
    }
    load.goes_on(BETWEEN);
    let tally = load.end();
    println!("{tally:?}");
    assert_eq!(tally.failures(), 0, "{tally:?}");
    assert!(tally.answered > BETWEEN * (TIMES as u64 + 1));
    idler.stop();
}

#[test]
fn nobody_notices_that_the_process_is_stopped_and_started() {
    replaced_under_load(false);
}

#[test]
fn nobody_notices_that_a_successor_takes_over() {
    replaced_under_load(true);
}

/// Connections that wait when a process that shares its port ends.
const WAITING: usize = 200;

/// Set in the process that has a network of its own.
const ALONE: &str = "IDLER_IT_OWN_NETWORK";

/// Two processes share a port, and one of them ends. What happens to those in its queue is up to the kernel
/// (`net.ipv4.tcp_migrate_req`), which is asked in a network of this test's own.
#[test]
#[ignore = "needs unshare, ip and sysctl, and root"]
fn who_waits_for_one_of_two_is_handed_to_the_other_if_the_kernel_is_told_to() {
    if std::env::var_os(ALONE).is_some() {
        let killed = lost_by_a_kill();
        let tally = lost_by_stops();
        let is_connecting = |why: &str| why.starts_with("connecting: ");
        let (connecting, connected): (Vec<_>, Vec<_>) =
            tally.failed.iter().partition(|(why, _)| is_connecting(why));
        let [connecting, connected] =
            [connecting, connected].map(|all| all.iter().map(|(_, n)| **n).sum::<u64>());
        println!(
            "killed: {killed} of {WAITING} lost; stopped {TIMES} times under load: {connected} of {} lost, {connecting} more while connecting",
            tally.answered
        );
        return;
    }
    for (migrates, expected) in [("0", None), ("1", Some(0))] {
        let script = format!(
            "ip link set lo up && sysctl -qw net.ipv4.tcp_migrate_req={migrates} && exec \"$0\" \"$@\""
        );
        let outcome = Program::find(&["unshare"])
            .args(&["-n", "sh", "-c", &script])
            .arg(std::env::current_exe().expect("this test"))
            .args(&["--exact", "--ignored", "--nocapture"])
            .arg(
                "upgrade::who_waits_for_one_of_two_is_handed_to_the_other_if_the_kernel_is_told_to",
            )
            .env(ALONE, "1")
            .run(PATIENCE * 5);
        let said = outcome.text();
        assert!(outcome.status.success(), "{said}{}", outcome.stderr);
        let line = said.lines().find(|line| line.contains("killed: "));
        let line = line.unwrap_or_else(|| panic!("{said}"));
        println!("tcp_migrate_req={migrates}: {line}");
        let numbers: Vec<usize> = line
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        let [killed, _, times, connected, _, connecting] = numbers[..] else {
            panic!("six numbers: {line}");
        };
        match expected {
            // The kernel spreads them by a hash, so nobody knows how many; that nobody waited is out of the question.
            None => assert!(killed > 0, "{line}"),
            Some(none) => {
                assert_eq!((killed, connected), (none, none), "{line}");
                // Who waits is handed over. Whose handshake ends on one processor while the socket is closed on another may find
                // nobody to hand it over: one for each closing at most, and seldom any.
                assert!(connecting <= times, "{line}");
            }
        }
    }
}

fn sharing(site: &Site, port: u16) -> Idler {
    Idler::bare()
        .args(&["-b", "127.0.0.1", "--reuse-port", "-p", &port.to_string()])
        .arg(site.path())
}

/// How many of those who connected are not answered when one of two is killed with half of them in its queue.
fn lost_by_a_kill() -> usize {
    let site = Site::with(&[("a.txt", b"a")]);
    let stays = sharing(&site, 0).start();
    let mut goes = sharing(&site, stays.address().port()).start();
    goes.stand_still();
    let mut clients: Vec<Client> = (0..WAITING).map(|_| stays.client()).collect();
    goes.signal(Signal::KILL);
    assert_eq!(goes.exit_code(), None);
    let lost = clients
        .iter_mut()
        .map(|client| {
            let asked = client.send("GET /a.txt HTTP/1.1\r\nHost: idler\r\n\r\n");
            asked.is_err() || client.try_reply(false).is_err()
        })
        .filter(|lost| *lost)
        .count();
    stays.stop();
    lost
}

/// What is lost when one of two ends in order, again and again.
fn lost_by_stops() -> Tally {
    let site = Site::with(&[("a.txt", b"a")]);
    let mut idler = sharing(&site, 0).start();
    let address = idler.address();
    let load = Load::start(address, "/a.txt", CLIENTS);
    for _ in 0..TIMES {
        load.goes_on(BETWEEN);
        let next = sharing(&site, address.port()).start();
        ends(std::mem::replace(&mut idler, next));
    }
    load.goes_on(BETWEEN);
    let tally = load.end();
    idler.stop();
    tally
}
