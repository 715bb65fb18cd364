//! The process is replaced while clients ask: nobody is to notice.
//!
//! It may not know how idler stops. Invariant: every request is answered, but for the one repetition that RFC 9110 §9.2.2 allows
//! on a connection that was used before.
//! Read next: `deploy.rs`.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

use rustix::process::Signal;

use crate::support::load::{Load, Manner};
use crate::support::{Idler, Running, Site};

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
