//! System calls for each request, as `strace -c` counts them.
//!
//! What lives here: the workload `syscalls`.
//! What it may not know: what a server ought to call.
//! Invariant: counting begins when all threads are traced and ends after the last answer, so that calls divided by
//! answers is exact but for the connections' own calls.
//! Read next: `throughput.rs`, whose first workload this is.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::peers::Peer;
use crate::role;
use crate::server::Server;
use crate::slice::{self, Load, Slice, Until};
use crate::table::{Table, number};
use crate::{Bench, Outcome, pause};

/// Connections kept busy.
const CONNECTIONS: usize = 64;
/// Requests counted.
const REQUESTS: u64 = 20_000;
/// Requests counted where each costs a process or a thread.
const REQUESTS_DEAR: u64 = 1000;
/// Calls rarer than this for a request are not listed.
const RARE: f64 = 0.01;
/// How long strace may take to come and to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Counts for all servers, if strace is installed.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    if crate::peers::find("strace").is_none() {
        bench.remark("strace is not installed: system calls are not counted");
        return Ok(());
    }
    let title = format!("System calls: 1 KiB, {CONNECTIONS} connections");
    let mut table = Table::new(title, &["server", "for each request", "which"]);
    for peer in bench.peers(false) {
        match count(bench, &peer) {
            Ok(calls) => {
                let common = calls.iter().filter(|(_, each)| *each >= RARE);
                let list: Vec<String> = common
                    .map(|(name, each)| format!("{name} {each:.2}"))
                    .collect();
                let sum = calls.iter().map(|(_, each)| each).sum();
                table.row([peer.name.clone(), number(sum), list.join(", ")]);
            }
            Err(error) => bench.leave_out(&*error)?,
        }
    }
    table.print();
    Ok(())
}

/// Calls for each request, by name, the most frequent first.
fn count(bench: &Bench, peer: &Peer) -> Outcome<Vec<(String, f64)>> {
    let server = bench.start(peer)?;
    slice::take_once(bench.cores, &server, &Load::calm(100))?; // what is done once is done
    let requests = if peer.keeps() {
        REQUESTS
    } else {
        REQUESTS_DEAR
    };
    let load = Load {
        connections: CONNECTIONS,
        until: Until::Answers(requests),
        ..Load::calm(1)
    };
    let (said, taken) = trace(bench, &server, &["-c"], &load)?;
    Ok(read_counts(&said, taken.answers))
}

/// What strace says of a server under a load.
pub(crate) fn trace(
    bench: &Bench,
    server: &Server,
    options: &[&str],
    load: &Load,
) -> Outcome<(String, Slice)> {
    let pids = server.family();
    let out = bench.site.scratch().join("strace.txt");
    let mut command = role::program_on(bench.cores.client, "strace")?;
    command.args(options).args(["-f", "-qq", "-o"]).arg(&out);
    for pid in &pids {
        command.args(["-p", &pid.to_string()]);
    }
    let mut strace = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let traced = await_tracer(&pids);
    let taken = traced.and_then(|()| slice::take_once(bench.cores, server, load));
    role::signal(strace.id(), Signal::INT); // it prints its counts and leaves the server alone
    let end = Instant::now() + PATIENCE;
    while strace.try_wait()?.is_none() && Instant::now() < end {
        pause(Duration::from_millis(10));
    }
    role::stop(&mut strace);
    Ok((fs::read_to_string(&out)?, taken?))
}

fn await_tracer(pids: &[u32]) -> Outcome<()> {
    let end = Instant::now() + PATIENCE;
    let is_traced = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/status"))
            .is_ok_and(|status| !status.lines().any(|line| line == "TracerPid:\t0"))
    };
    while !pids.iter().all(is_traced) {
        if Instant::now() > end {
            return Err("strace did not attach (not allowed to?)".into());
        }
        pause(Duration::from_millis(5));
    }
    Ok(())
}

/// Reads strace's summary: share, seconds, microseconds per call, calls, (errors,) name.
fn read_counts(summary: &str, answers: f64) -> Vec<(String, f64)> {
    let mut calls: Vec<(String, f64)> = summary
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let [_, _, _, count, .., name] = words.as_slice() else {
                return None;
            };
            let count: f64 = count.parse().ok()?;
            (*name != "total").then(|| ((*name).to_owned(), count / answers))
        })
        .collect();
    calls.sort_by(|a, b| b.1.total_cmp(&a.1));
    calls
}
