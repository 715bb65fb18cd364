//! Nobody starves: small replies amid large downloads, and beside a pipeline.
//!
//! What lives here: what the log says of the turns of a busy loop. No clock: what is promised is a share of each turn, and how
//! long a turn takes is the machine's affair. Invariant: who is busy keeps others waiting for one drive a turn, and
//! whoever asks is answered in the turn in which that is noticed. Read next: `clients.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use idler::limits::{CALL_COST_BYTES, DRIVE_BYTES_MAX};

use crate::support::{Idler, PATIENCE, Site, fixture_site, wait_until};

/// Downloads at full speed.
const DOWNLOADS: usize = 10;

/// The length of each, in bytes, and the pieces in which progress is counted.
const LARGE: u64 = 1 << 30;
const PIECE: u64 = 4 << 20;

/// Small requests made beside them, one after the other.
const ASKED: usize = 200;

/// What the log says of one connection in one turn.
#[derive(Default)]
struct Share {
    /// Bytes of files sent.
    moved: usize,
    /// Requests read.
    asked: usize,
    /// Replies written.
    wrote: usize,
    /// Whether it asked for what nobody else asks for.
    is_small: bool,
}

/// What each connection got in each turn. Names of connections are those of the log.
fn turns(log: &str, small: &str) -> Vec<HashMap<String, Share>> {
    let mut turns = vec![HashMap::new()];
    for line in log.lines() {
        if line.contains("TRACE turn ") {
            turns.push(HashMap::new());
            continue;
        }
        let Some((key, what)) = line.split_once(" TRACE ") else {
            continue;
        };
        let turn = turns.last_mut().expect("there is one");
        let share: &mut Share = turn.entry(key.to_owned()).or_default();
        if let Some(sent) = what.strip_prefix("sent ") {
            let count = sent.split(' ').next().and_then(|n| n.parse::<usize>().ok());
            share.moved += count.expect("a number of bytes");
        } else if let Some(path) = what.strip_prefix("GET ") {
            share.asked += 1;
            share.is_small |= path == small;
        } else if what.starts_with("wrote ") {
            share.wrote += 1;
        }
    }
    turns
}

/// Whoever asked for `small` was answered in the turn in which that was read, as often as it asked.
fn is_answered_at_once(turns: &[HashMap<String, Share>], small: &str) {
    let answered = turns
        .iter()
        .flat_map(HashMap::values)
        .filter(|share| share.is_small)
        .inspect(|share| assert!(share.wrote > 0, "{small} was put off to another turn"))
        .count();
    assert_eq!(answered, ASKED);
}

#[test]
fn small_replies_wait_for_one_piece_of_each_large_download() {
    let site = Site::with(&[("small.txt", &[b's'; 1000])]);
    site.sparse("large.bin", LARGE);
    let idler = Idler::serve(site.path()).env("RUST_LOG", "trace").start();
    let over = AtomicBool::new(false);
    let read: Vec<AtomicU64> = (0..DOWNLOADS).map(|_| AtomicU64::new(0)).collect();
    let all_move_on = |what| {
        let before: Vec<u64> = read.iter().map(|r| r.load(Ordering::Relaxed)).collect();
        wait_until(what, PATIENCE, || {
            let mut both = read.iter().zip(&before);
            both.all(|(now, before)| now.load(Ordering::Relaxed) > *before)
                .then_some(())
        });
    };
    std::thread::scope(|scope| {
        for mine in &read {
            let (idler, over) = (&idler, &over);
            scope.spawn(move || {
                let mut client = idler.client();
                let mut left = 0;
                while !over.load(Ordering::Relaxed) {
                    if left == 0 {
                        client.ask("GET", "/large.bin", "");
                        client.reply_head();
                        left = LARGE;
                    }
                    client.skip(PIECE).expect("it goes on");
                    mine.fetch_add(PIECE, Ordering::Relaxed);
                    left -= PIECE;
                }
            });
        }
        all_move_on("all downloads to be under way");
        let mut client = idler.client();
        for _ in 0..ASKED {
            assert_eq!(client.get("/small.txt").body.len(), 1000);
        }
        all_move_on("none to be starved");
        over.store(true, Ordering::Relaxed);
    });
    let turns = turns(&idler.stop(), "/small.txt");
    is_answered_at_once(&turns, "/small.txt");
    let shares = turns.iter().flat_map(HashMap::values);
    let largest = shares.map(|share| share.moved).max();
    assert!(largest > Some(0), "nothing was downloaded");
    assert!(largest <= Some(DRIVE_BYTES_MAX), "{largest:?} in one turn");
    let busy = |turn: &HashMap<_, Share>| turn.values().filter(|s| s.moved > 0).count();
    let together = turns.iter().map(busy).max();
    assert!(together > Some(1), "they never met in a turn");
}

#[test]
fn a_pipeline_does_not_hold_up_others() {
    let idler = Idler::serve(fixture_site())
        .args(&["--access-log", "off"])
        .env("RUST_LOG", "trace")
        .start();
    let over = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = idler.client();
            let burst = "GET /empty.txt HTTP/1.1\r\nHost: idler\r\n\r\n".repeat(500);
            while !over.load(Ordering::Relaxed) {
                client.send(&burst).expect("sent");
                for _ in 0..500 {
                    assert_eq!(client.reply().status, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        wait_until("the pipeline to flow", PATIENCE, || {
            (answered.load(Ordering::Relaxed) > 1_000).then_some(())
        });
        let mut client = idler.client();
        for _ in 0..ASKED {
            assert_eq!(client.get("/hello.txt").status, 200);
        }
        over.store(true, Ordering::Relaxed);
    });
    let turns = turns(&idler.stop(), "/hello.txt");
    is_answered_at_once(&turns, "/hello.txt");
    let shares = turns.iter().flat_map(HashMap::values);
    let most = shares.map(|share| share.asked).max();
    assert!(most > Some(1), "the pipeline was no pipeline");
    let bound = DRIVE_BYTES_MAX / CALL_COST_BYTES;
    assert!(most <= Some(bound), "{most:?} requests in one turn");
}
