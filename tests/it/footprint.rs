//! What waiting costs: memory of idle connections, processor time of an idle server.
//!
//! It may not know how connections are stored. Invariant: what is measured is still alive when it is measured.
//! Read next: `fairness.rs`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::support::proc::descriptor_limit;
use crate::support::program::Program;
use crate::support::{Client, Idler, PATIENCE, Running, Site, alone, fixture_site, wait_until};

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

#[test]
#[ignore = "needs strace"]
fn a_small_file_served_again_costs_a_receive_and_a_send() {
    const REQUESTS: usize = 100;
    let site = Site::with(&[("small.txt", b"small\n")]);
    site.age("small.txt");
    let strace = Program::path(&["strace"]);
    let trace = site.beside("trace");
    // -D: the tracer is the grandchild, so that our child is idler itself.
    let begin = format!(
        "exec {} -D -o {} \"$0\" \"$@\"",
        strace.display(),
        trace.display()
    );
    let idler = Idler::serve(site.path())
        .args(&["--access-log", "off"])
        .env("RUST_LOG", "")
        .after(&begin)
        .start();
    let mut client = idler.client();
    // The calls since the trace was so long; empty until what ends a request is in it.
    let calls_since = |bytes: usize, requests: usize| -> Option<Vec<String>> {
        let text = std::fs::read_to_string(&trace).ok()?;
        let calls: Vec<String> = text
            .get(bytes..)?
            .lines()
            .filter_map(|line| line.split_once('('))
            // The first line may have begun before.
            .filter(|(name, _)| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
            .map(|(name, _)| name.to_owned())
            .collect();
        let sent = calls.iter().filter(|call| *call == "sendto").count();
        (sent >= requests).then_some(calls)
    };
    let length = || std::fs::metadata(&trace).map_or(0, |m| usize::try_from(m.len()).unwrap_or(0));
    // What changed a moment ago is not kept, and opened each time, until it has rested.
    wait_until("a file that is kept", PATIENCE, || {
        let before = length();
        client.get("/small.txt");
        let calls = wait_until("its calls", PATIENCE, || calls_since(before, 1));
        (!calls.contains(&"openat2".to_owned())).then_some(())
    });
    let before = length();
    for _ in 0..REQUESTS {
        assert_eq!(client.get("/small.txt").body, b"small\n");
    }
    let calls = wait_until("the calls of all", PATIENCE, || {
        calls_since(before, REQUESTS)
    });
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &calls {
        *counted.entry(call).or_default() += 1;
    }
    println!("{REQUESTS} requests: {counted:?}");
    for name in ["recvfrom", "sendto", "epoll_wait", "statx"] {
        let calls = counted.remove(name).unwrap_or(0);
        // A few more, for what is done once a second.
        assert!(
            calls <= REQUESTS + 5,
            "{calls} times {name} for {REQUESTS} requests"
        );
    }
    assert!(counted.is_empty(), "and nothing else, but {counted:?}");
    idler.stop();
}
