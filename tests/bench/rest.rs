//! Rest: memory with nothing to do, size, and the time from start to first answer.
//!
//! What lives here: the workload `rest`, and the role that times starts.
//! What it may not know: how a server is configured.
//! Invariant: memory is read when the server has come to rest; each start is a new process.
//! Read next: `measure.rs` for what the columns count.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::measure::{self, median, range};
use crate::peers::{Imitation, Peer};
use crate::record::Record;
use crate::role::{self, Cores};
use crate::server;
use crate::site::PAGE;
use crate::slice::{self, Load, Until};
use crate::table::{Table, mebibytes, number};
use crate::targets::Figure;
use crate::{Bench, Outcome, check_interrupted};

/// Room for this many connections is asked for at the start, as a small installation would.
const SLOTS: usize = 512;
/// How often each is started to read its memory.
const READINGS: usize = 3;
/// How often each is started to time it.
const STARTS: u32 = 20;
/// Requests before memory is read again.
const REQUESTS: u64 = 10_000;
/// How long a server may take to come to rest, or to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What all servers need when nobody asks for anything.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let mut table = Table::new(
        "Rest: memory, size, start",
        &[
            "server",
            "Pss MiB",
            "anonymous MiB",
            "Rss MiB",
            "Pss MiB after 10,000 requests",
            "program MiB",
            "libraries MiB",
            "processes",
            "first answer ms",
            "min–max",
        ],
    );
    table.note("Room for 512 connections. *First answer*: from the start of the process to a whole answer with 200, 20 starts.");
    for peer in bench.peers(false) {
        match look_at(bench, &peer) {
            Ok((cells, pss)) => {
                table.row(cells);
                if peer.is_idler() {
                    bench.note_figure(Figure::Rest, pss / f64::from(1 << 20));
                }
            }
            Err(error) => bench.leave_out(&*error)?,
        }
    }
    table.print();
    Ok(())
}

fn look_at(bench: &Bench, peer: &Peer) -> Outcome<([String; 10], f64)> {
    let imitation = Imitation::Constant(PAGE);
    let (mut rest, mut after) = (Vec::new(), Vec::new());
    let (mut sizes, mut processes) = ((0, 0), 0);
    for _ in 0..READINGS {
        let server = peer.start(bench.cores, &bench.site, SLOTS, &imitation)?;
        let pids = server.family();
        measure::settle(&pids, PATIENCE);
        rest.push(measure::memory(&pids));
        processes = pids.len();
        sizes = measure::program_sizes(*pids.first().ok_or("gone already")?)?;
        let work = Load {
            connections: 16,
            until: Until::Answers(REQUESTS),
            ..Load::calm(1)
        };
        slice::take_once(bench.cores, &server, &work)?;
        measure::settle(&pids, PATIENCE);
        after.push(measure::memory(&server.family()).pss as f64);
    }
    let starts = time_starts(bench, peer, &imitation)?;
    let of =
        |bytes: fn(&measure::Memory) -> u64| median(rest.iter().map(|memory| bytes(memory) as f64));
    let pss = of(|memory| memory.pss);
    let (least, most) = range(starts.iter().copied());
    let cells = [
        peer.name.clone(),
        mebibytes(pss),
        mebibytes(of(|memory| memory.anonymous)),
        mebibytes(of(|memory| memory.rss)),
        mebibytes(median(after)),
        mebibytes(sizes.0 as f64),
        mebibytes(sizes.1 as f64),
        processes.to_string(),
        number(median(starts)),
        format!("{}–{}", number(least), number(most)),
    ];
    Ok((cells, pss))
}

/// Milliseconds of each start, by a process that has nothing else to do.
fn time_starts(bench: &Bench, peer: &Peer, imitation: &Imitation) -> Outcome<Vec<f64>> {
    let port = server::free_port()?;
    let mut words = vec![
        format!("port={port}"),
        format!("starts={STARTS}"),
        format!("server-core={}", bench.cores.server),
        format!("client-core={}", bench.cores.client),
        "--".to_owned(),
    ];
    words.extend(peer.command(&bench.site, port, SLOTS, imitation)?);
    let found = role::ask(bench.cores.client, "starts", &words)?;
    let times: Result<Vec<f64>, _> = found
        .text("milliseconds")?
        .split(',')
        .map(str::parse)
        .collect();
    Ok(times?)
}

/// The role `starts`: `port`, `starts`, `server-core`, `client-core`, then `--` and the server's command.
///
/// The server is started directly: the little program that moves others to their core would be timed as well. So this
/// process moves to the server's core, starts it there, and moves back.
pub(crate) fn time(words: &[String]) -> Outcome<()> {
    let Some(end) = words.iter().position(|word| word == "--") else {
        return Err("-- is missing".into());
    };
    let asked = Record::read(&words[..end])?;
    let [program, arguments @ ..] = &words[end + 1..] else {
        return Err("a command is missing".into());
    };
    let cores = Cores {
        server: asked.number("server-core")?,
        client: asked.number("client-core")?,
    };
    let port = asked.number("port")?;
    let mut times = Vec::new();
    for _ in 0..asked.number::<u32>("starts")? {
        check_interrupted()?;
        role::stay_on(cores.server)?;
        let began = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        role::stay_on(cores.client)?;
        let answered = loop {
            match server::fetch(port, PAGE.path, |_| Ok(())) {
                Ok((200, _)) => break Ok(began.elapsed()),
                Ok((status, _)) => break Err(format!("status {status}")),
                Err(error) if began.elapsed() > PATIENCE || check_interrupted().is_err() => {
                    break Err(error.to_string());
                }
                Err(_) => {} // not yet
            }
        };
        role::stop(&mut child);
        times.push(format!("{:.3}", answered?.as_secs_f64() * 1e3));
    }
    println!("milliseconds={}", times.join(","));
    Ok(())
}
