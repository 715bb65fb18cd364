//! Nobody starves: small replies amid large downloads.
//!
//! It may not know how turns are dealt out. Invariant: what is promised is a time, and it is measured.
//! Read next: `clients.rs`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Idler, PATIENCE, Site, alone, fixture_site, wait_until};

/// Downloads at full speed.
const DOWNLOADS: usize = 10;

/// The length of each, in bytes, and the pieces in which progress is counted.
const LARGE: u64 = 1 << 30;
const PIECE: u64 = 4 << 20;

/// How long small requests are made beside them.
const PERIOD: Duration = Duration::from_secs(3);

/// What half of the small replies may take, and all but one in a hundred: on two processors that ten
/// clients, the server and other tests share.
const MEDIAN: Duration = Duration::from_millis(50);
const NINETY_NINE: Duration = Duration::from_millis(500);

#[test]
fn small_replies_come_soon_amid_large_downloads() {
    let _alone = alone();
    let begin = Instant::now();
    let site = Site::with(&[("small.txt", &[b's'; 1000])]);
    site.sparse("large.bin", LARGE);
    let idler = Idler::serve(site.path()).start();
    let over = AtomicBool::new(false);
    let read: Vec<AtomicU64> = (0..DOWNLOADS).map(|_| AtomicU64::new(0)).collect();
    let mut times: Vec<Duration> = Vec::new();
    std::thread::scope(|scope| {
        for mine in &read {
            let (idler, over) = (&idler, &over);
            scope.spawn(move || {
                let mut client = idler.client();
                client.ask("GET", "/large.bin", "");
                client.reply_head();
                let mut left = LARGE;
                while !over.load(Ordering::Relaxed) {
                    client.skip(PIECE).expect("it goes on");
                    mine.fetch_add(PIECE, Ordering::Relaxed);
                    left -= PIECE;
                    if left == 0 {
                        // Faster than the small ones: begin again.
                        client.ask("GET", "/large.bin", "");
                        client.reply_head();
                        left = LARGE;
                    }
                }
            });
        }
        wait_until("all downloads to be under way", PATIENCE, || {
            read.iter()
                .all(|r| r.load(Ordering::Relaxed) > 1 << 20)
                .then_some(())
        });
        let mut client = idler.client();
        let all = Instant::now();
        while all.elapsed() < PERIOD {
            let begin = Instant::now();
            assert_eq!(client.get("/small.txt").body.len(), 1000);
            times.push(begin.elapsed());
        }
        over.store(true, Ordering::Relaxed);
    });
    times.sort();
    let (median, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    let read: Vec<u64> = read.into_iter().map(AtomicU64::into_inner).collect();
    let (least, largest) = (
        read.iter().min().unwrap_or(&0),
        read.iter().max().unwrap_or(&0),
    );
    println!(
        "amid {DOWNLOADS} downloads a small reply of {} took {median:?} (median), {most:?} (99 %); downloads moved {} to {} MiB; all in {:?}",
        times.len(),
        least >> 20,
        largest >> 20,
        begin.elapsed()
    );
    assert!(median < MEDIAN, "{median:?}");
    assert!(most < NINETY_NINE, "{most:?}");
    assert!(
        least * 10 > *largest,
        "one download was starved by another: {read:?}"
    );
    idler.stop();
}

#[test]
fn a_pipeline_does_not_hold_up_others() {
    let _alone = alone();
    let idler = Idler::serve(fixture_site())
        .args(&["--access-log", "off"])
        .start();
    let over = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    let mut times: Vec<Duration> = Vec::new();
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
        let all = Instant::now();
        while all.elapsed() < PERIOD {
            let begin = Instant::now();
            assert_eq!(client.get("/hello.txt").status, 200);
            times.push(begin.elapsed());
        }
        over.store(true, Ordering::Relaxed);
    });
    times.sort();
    let (median, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("amid a pipeline a reply took {median:?} (median), {most:?} (99 %)");
    assert!(median < MEDIAN && most < NINETY_NINE, "{median:?} {most:?}");
    idler.stop();
}
