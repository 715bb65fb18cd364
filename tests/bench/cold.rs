//! Cold files: what others notice while one client fetches a file that is on the disk alone.
//!
//! What lives here: small files on kept connections, in turn alone, beside a large file in memory, and beside one that is
//! not; and the longest system call that the last of these brings about.
//! What it may not know: how a server reads its files.
//! Invariant: a file is cold because the kernel says so, not because it was asked to forget it.
//! Read next: `slice.rs`.

use std::fs::File;
use std::io::IoSliceMut;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Advice, fadvise, fsync};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use crate::measure::{median, quartiles};
use crate::peers::{Imitation, Peer, find};
use crate::server::Server;
use crate::site::{self, Asset};
use crate::slice::{self, Load, Slice, Until};
use crate::table::{Table, number};
use crate::{Bench, Outcome, pause, syscalls};

/// Connections of the others: one client alone, and a busy server.
const OTHERS: [usize; 2] = [1, 64];
/// How often a round that was disturbed is taken again.
const AGAIN_MAX: usize = 2;
/// How often the kernel is asked to forget a file, ten times a second.
const FORGETTING_MAX: usize = 30;
/// How much longer the large file is fetched than the others are measured, in seconds: clients need a moment to start.
const LONGER: f64 = 0.5;

/// Measures both kinds of others.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    for asset in [site::HUGE, site::COLD] {
        bench.site.add(asset)?;
    }
    forget(&bench.site.file(site::COLD))?;
    let slots = bench.slots();
    let mut running: Vec<(Peer, Server)> = Vec::new();
    for peer in bench.peers(false) {
        if peer.is_limit() || !peer.keeps() || peer.name == "nginx-cached" {
            continue;
        }
        match peer.start(
            bench.cores,
            &bench.site,
            slots,
            &Imitation::Constant(site::PAGE),
        ) {
            Ok(server) => running.push((peer, server)),
            Err(error) => bench.leave_out(&*error)?,
        }
    }
    for others in OTHERS {
        compare(bench, &running, others)?;
    }
    Ok(())
}

/// Drops the pages of a file, and makes sure that they are gone.
fn forget(path: &Path) -> Outcome<()> {
    let file = File::open(path)?;
    fsync(&file)?;
    // What is still being read, or sent, cannot be dropped yet.
    for _ in 0..FORGETTING_MAX {
        fadvise(&file, 0, None, Advice::DontNeed)?;
        let mut byte = [0];
        let found = preadv2(
            &file,
            &mut [IoSliceMut::new(&mut byte)],
            site::COLD.length / 2,
            ReadWriteFlags::NOWAIT,
        );
        if found == Err(Errno::AGAIN) {
            return Ok(());
        }
        pause(Duration::from_millis(100));
    }
    Err(format!(
        "{} stays in memory: its file system has no disk behind it (tmpfs?); --scratch wants a directory on one",
        path.display()
    )
    .into())
}

/// What one server showed in one round.
struct Round {
    quiet: Slice,
    hot: Slice,
    cold: Slice,
    fetched: Slice,
}

fn compare(bench: &mut Bench, running: &[(Peer, Server)], others: usize) -> Outcome<()> {
    let small = Load {
        connections: others,
        until: Until::Seconds(bench.seconds),
        ..Load::calm(1)
    };
    let mut rounds: Vec<Vec<Round>> = running.iter().map(|_| Vec::new()).collect();
    for _ in 0..bench.rounds {
        for ((_, server), rounds) in running.iter().zip(&mut rounds) {
            let quiet = slice::take(bench.cores, server, &small)?;
            let (hot, _) = beside(bench, server, &small, site::HUGE)?;
            let (cold, fetched) = beside(bench, server, &small, site::COLD)?;
            rounds.push(Round {
                quiet,
                hot,
                cold,
                fetched,
            });
        }
    }
    let mut table = Table::new(
        format!("Cold: 1 KiB on {others} kept connections beside a file of 1 GiB"),
        &[
            "server",
            "p50 µs quiet",
            "p99 µs quiet",
            "p99 µs, hot file",
            "p99 µs, cold file",
            "hot ÷ quiet",
            "cold ÷ quiet",
            "quartiles",
            "longest ms quiet",
            "longest ms, hot",
            "longest ms, cold",
            "cold MiB/s",
            "longest call",
        ],
    );
    table.note(
        "In each round: nothing else, one client fetching a file that is in memory, one fetching a file that is not. Ratios of \
         p99 are medians of the ratios within a round; the longest is the median of the rounds' longest. Longest call: of the \
         server, but for waiting for events, in a run of its own under strace.",
    );
    for ((peer, server), rounds) in running.iter().zip(&rounds) {
        let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure));
        let ratios: Vec<f64> = rounds.iter().map(|r| r.cold.p99 / r.quiet.p99).collect();
        let (low, high) = quartiles(&ratios);
        if rounds.iter().any(|round| round.fetched.answers > 0.0) {
            bench.remark(&format!(
                "{}: the cold file was fetched whole before the end of a slice, and was hot from there on",
                peer.name
            ));
        }
        table.row([
            peer.name.clone(),
            number(of(|round| round.quiet.p50)),
            number(of(|round| round.quiet.p99)),
            number(of(|round| round.hot.p99)),
            number(of(|round| round.cold.p99)),
            number(of(|round| round.hot.p99 / round.quiet.p99)),
            number(median(ratios)),
            format!("{}–{}", number(low), number(high)),
            number(of(|round| round.quiet.longest / 1e3)),
            number(of(|round| round.hot.longest / 1e3)),
            number(of(|round| round.cold.longest / 1e3)),
            number(of(|round| {
                round.fetched.bytes / round.fetched.seconds / f64::from(1 << 20)
            })),
            longest_call(bench, server)?,
        ]);
    }
    table.print();
    Ok(())
}

/// The others beside a client that fetches a large file, and that client. The least disturbed of a few.
fn beside(bench: &Bench, server: &Server, small: &Load, large: Asset) -> Outcome<(Slice, Slice)> {
    let mut best: Option<(Slice, Slice)> = None;
    for _ in 0..=AGAIN_MAX {
        let fetching = slice::begin(bench.cores, server, &fetch(bench, large)?)?;
        let mut others = slice::take_once(bench.cores, server, small)?;
        let fetched = slice::end(server, fetching)?;
        others.others =
            (others.others - fetched.client * others.seconds / fetched.seconds).max(0.0);
        let before = best.as_ref().map_or(f64::MAX, |(b, _)| b.disturbance());
        if others.disturbance() < before {
            best = Some((others, fetched));
        }
        if others.disturbance() <= slice::OTHERS_MAX {
            break;
        }
    }
    best.ok_or_else(|| "no slice".into())
}

/// One client that fetches a large file for a little longer than a slice. A cold one is cold again.
fn fetch(bench: &Bench, large: Asset) -> Outcome<Load> {
    if large.path == site::COLD.path {
        forget(&bench.site.file(large))?;
    }
    Ok(Load {
        asset: large,
        until: Until::Seconds(bench.seconds + LONGER),
        discard: true,
        ..Load::calm(1)
    })
}

/// The longest system call while the cold file is fetched, with its name.
fn longest_call(bench: &mut Bench, server: &Server) -> Outcome<String> {
    if find("strace").is_none() {
        bench.remark("strace is not installed: the longest call is not known");
        return Ok("–".to_owned());
    }
    let load = fetch(bench, site::COLD)?;
    let (said, _) = syscalls::trace(
        bench,
        server,
        &["-T", "-e", "!epoll_wait,select,poll,restart_syscall"],
        &load,
    )?;
    // "1234 sendfile(5, 7, [0], 1048576) = 1048576 <0.000123>"
    let calls = said.lines().filter_map(|line| {
        let seconds: f64 = line.rsplit_once('<')?.1.strip_suffix('>')?.parse().ok()?;
        let call = line.split_once('(')?.0.split_ascii_whitespace().last()?;
        Some((seconds, call))
    });
    let longest = calls.max_by(|a, b| a.0.total_cmp(&b.0));
    Ok(longest.map_or("–".to_owned(), |(seconds, call)| {
        format!("{call} {} ms", number(seconds * 1e3))
    }))
}
