//! What waiting costs: memory of idle connections, processor time of an idle server.
//!
//! It may not know how connections are stored. Invariant: what is measured is still alive when it is measured.
//! Read next: `fairness.rs`.

use std::time::{Duration, Instant};

use crate::support::proc::descriptor_limit;
use crate::support::{Client, Idler, PATIENCE, Running, alone, fixture_site, wait_until};

/// Idle connections to be held, if descriptors allow.
const CROWD: u64 = 10_000;

/// Descriptors left to the other tests of this process.
const RESERVED: u64 = 2_000;

/// What one idle connection may cost. A build with checks stores more in each socket (mio keeps
/// track of where it is registered), so the promise is for releases.
const BYTES_EACH: u64 = if cfg!(debug_assertions) { 160 } else { 64 };

/// More descriptors than an idler without clients has open.
const OWN_DESCRIPTORS: usize = 64;

/// How long an idle server must not move at all.
const STILL: Duration = Duration::from_secs(5);

fn crowd_size() -> usize {
    let room = descriptor_limit().saturating_sub(RESERVED);
    let crowd = CROWD.min(room);
    if crowd < CROWD {
        println!("the limit of descriptors allows {crowd} connections instead of {CROWD}");
    }
    assert!(
        crowd >= 500,
        "too few descriptors to measure anything: {}",
        descriptor_limit()
    );
    usize::try_from(crowd).expect("it fits")
}

/// As many connections as this, accepted.
fn crowd(idler: &Running, size: usize, ask: bool) -> Vec<Client> {
    let mut crowd = Vec::with_capacity(size);
    for _ in 0..size {
        let mut client = idler.client();
        if ask {
            assert_eq!(client.get("/hello.txt").status, 200);
        }
        crowd.push(client);
    }
    // Connections are accepted in the order they came: whoever comes last, and is served, came after all.
    assert_eq!(idler.get("/hello.txt").status, 200);
    crowd
}

/// Waits until idler has noticed that everybody has left; only its own descriptors remain.
fn all_have_left(idler: &Running) {
    wait_until("everybody to be gone", PATIENCE, || {
        (idler.proc().descriptors() < OWN_DESCRIPTORS).then_some(())
    });
}

fn idle_crowd_costs_little(ask: bool) {
    let _alone = alone();
    let size = crowd_size();
    let idler = Idler::serve(fixture_site()).env("RUST_LOG", "").start();
    // What is made once, for the first ones, is not what the others cost.
    drop(crowd(&idler, 100, true));
    all_have_left(&idler);
    let before = idler.proc().anonymous_bytes();
    let mut held = crowd(&idler, size, ask);
    let after = idler.proc().anonymous_bytes();
    let each = after.saturating_sub(before) / size as u64;
    println!("{size} idle connections (asked: {ask}) cost {each} bytes each, {before} to {after}");
    assert!(each < BYTES_EACH, "{each} bytes for an idle connection");
    assert_eq!(idler.proc().threads(), 1);
    for client in held.iter_mut().step_by(997) {
        assert_eq!(
            client.get("/hello.txt").status,
            200,
            "alive when it was measured"
        );
    }
    idler.stop();
}

#[test]
fn connections_that_never_asked_cost_little() {
    idle_crowd_costs_little(false);
}

#[test]
fn connections_that_asked_before_cost_no_more() {
    idle_crowd_costs_little(true);
}

#[test]
fn an_idle_server_does_not_move() {
    let _alone = alone();
    let idler = Idler::serve(fixture_site()).env("RUST_LOG", "").start();
    let _held = crowd(&idler, crowd_size().min(2_000), true);
    // The last line of the log may still be on its way.
    let mut last = (0, 0);
    wait_until("idler to come to rest", PATIENCE, || {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(300) {
            std::thread::park_timeout(Duration::from_millis(50));
        }
        let now = (idler.proc().cpu_ticks(), idler.proc().waits());
        let still = now == last;
        last = now;
        still.then_some(())
    });
    let begin = Instant::now();
    while begin.elapsed() < STILL {
        std::thread::park_timeout(STILL - begin.elapsed());
    }
    let now = (idler.proc().cpu_ticks(), idler.proc().waits());
    assert_eq!(
        now, last,
        "ticks and wake-ups of {STILL:?} in which nothing happened"
    );
    assert_eq!(idler.proc().state(), 'S');
    idler.stop();
}

#[test]
fn it_is_one_thread_whatever_it_does() {
    let idler = Idler::serve(fixture_site()).start();
    for target in ["/hello.txt", "/", "/files/", "/missing"] {
        idler.get(target);
        assert_eq!(idler.proc().threads(), 1);
    }
    idler.stop();
}

#[test]
fn a_crowd_that_has_left_leaves_nothing_behind() {
    let _alone = alone();
    let idler = Idler::serve(fixture_site()).env("RUST_LOG", "").start();
    let size = crowd_size().min(3_000);
    drop(crowd(&idler, size, true));
    all_have_left(&idler);
    let before = idler.proc().anonymous_bytes();
    for _ in 0..3 {
        drop(crowd(&idler, size, true));
        all_have_left(&idler);
    }
    let after = idler.proc().anonymous_bytes();
    assert!(after <= before + 64 * 1024, "{before} bytes became {after}");
    idler.stop();
}
