//! A soak: honest clients beside crowds that come, loiter and go, for a long time; and nothing may be left of them.
//!
//! What lives here: the workload `soak`, of idler alone.
//! What it may not know: what idler keeps for a client.
//! Invariant: figures are taken when all clients are gone and idler has come to rest, so that any difference between
//! the first cycle and the last is a leak.
//! Read next: `crowd.rs`, whose crowds these are.

use std::fs;
use std::time::{Duration, Instant};

use crate::crowd::{Crowd, await_descriptors};
use crate::crowd_client::Mode;
use crate::measure::{self, Memory};
use crate::server::{self, Server};
use crate::site;
use crate::slice::{self, Load, Until};
use crate::table::{Table, mebibytes, whole};
use crate::{Bench, Outcome, check_interrupted};

/// Clients of each crowd.
const CROWD: usize = 2000;
/// idler's own time-outs here, short enough to strike in every other cycle.
const TIME_OUTS: [&str; 4] = ["--head-timeout", "2s", "--idle-timeout", "4s"];
/// How long idler may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(20);
/// Anonymous memory may differ by this much between the first cycle and the last, in bytes: an allocator does not hand
/// back every page at once. A leak of one byte for each client would exceed it within a few minutes.
const SLACK: u64 = 256 * 1024;

/// Cycles after which everything that is filled once is filled.
const FILLING_CYCLES: usize = 2;

/// What is there when nobody is.
struct Rest {
    descriptors: usize,
    memory: Memory,
}

/// What was done so far.
#[derive(Default)]
struct Done {
    answers: f64,
    wrong: f64,
    idle_clients: usize,
}

/// Runs cycles until the time is over. Fails if anything leaked, or any honest answer was wrong.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    bench.site.add_many()?;
    let mut idler = start(bench)?;
    let end = Instant::now() + Duration::from_secs_f64(bench.minutes * 60.0);
    let mut done = Done::default();
    let mut rests: Vec<Rest> = Vec::new();
    fill(bench, &idler, &mut done)?;
    while rests.len() <= FILLING_CYCLES || Instant::now() < end {
        // In every other cycle the crowds are not asked to leave: idler has to show them out.
        cycle(bench, &idler, rests.len() % 2 == 1, &mut done)?;
        if !idler.is_alive() {
            return Err(format!("idler ended: {}", idler.last_words()).into());
        }
        let rest = look(&idler);
        eprintln!(
            "cycle {}: {} descriptors, {} MiB anonymous",
            rests.len() + 1,
            rest.descriptors,
            mebibytes(rest.memory.anonymous as f64)
        );
        rests.push(rest);
    }
    let (Some(filled), Some(last)) = (rests.get(FILLING_CYCLES - 1), rests.last()) else {
        return Err("no cycle was completed".into());
    };
    show(filled, last, rests.len(), &done);
    if done.wrong > 0.0 {
        return Err(format!("{} honest answers were wrong or missing", done.wrong).into());
    }
    if last.descriptors != filled.descriptors {
        return Err(format!(
            "{} descriptors became {}",
            filled.descriptors, last.descriptors
        )
        .into());
    }
    let (then, now) = (filled.memory.anonymous, last.memory.anonymous);
    if now > then + SLACK {
        return Err(format!("{then} bytes of anonymous memory became {now}").into());
    }
    Ok(())
}

fn start(bench: &Bench) -> Outcome<Server> {
    bench.site.ripen();
    let port = server::free_port()?;
    let root = bench.site.root().display().to_string();
    let idler = bench.idler.display().to_string();
    let mut command = vec![
        idler,
        "serve".to_owned(),
        root,
        "--port".to_owned(),
        port.to_string(),
    ];
    command.extend(["--access-log", "off"].map(str::to_owned));
    command.extend(TIME_OUTS.map(str::to_owned));
    let log = bench.site.scratch().join("soak.log");
    let mut server = Server::start("idler", port, bench.cores.server, &command, log)?;
    match server.first_answer(site::PAGE) {
        Ok(()) => Ok(server),
        Err(error) => Err(format!("idler did not start: {error}: {}", server.last_words()).into()),
    }
}

/// Asks for every file once. idler may keep files in memory and open: that is no leak, and from here on it has all
/// it will ever keep.
fn fill(bench: &Bench, idler: &Server, done: &mut Done) -> Outcome<()> {
    for path in fs::read_to_string(bench.site.many_list())?.lines() {
        check_interrupted()?;
        let file = bench.site.root().join(path.trim_start_matches('/'));
        server::fetch(idler.port, path, server::compare_with(&file)?)?;
        done.answers += 1.0;
    }
    work(bench, idler, done)
}

/// One crowd of each kind, and honest work beside it.
fn cycle(bench: &Bench, idler: &Server, wait_for_idler: bool, done: &mut Done) -> Outcome<()> {
    let pids = idler.family();
    for mode in [Mode::Silent, Mode::AfterRequest, Mode::HalfHead] {
        check_interrupted()?;
        let empty = measure::descriptors(&pids);
        let mut crowd = Crowd::default();
        done.idle_clients += crowd.grow(bench.cores, idler, CROWD, mode)?;
        work(bench, idler, done)?;
        if wait_for_idler && !await_descriptors(&pids, |now| now <= empty) {
            return Err(format!("{CROWD} clients, {mode:?}, were not shown out").into());
        }
        crowd.leave()?;
        if !await_descriptors(&pids, |now| now <= empty) {
            return Err(format!("{CROWD} clients, {mode:?}, left and were not forgotten").into());
        }
    }
    Ok(())
}

/// Everything that honest clients do, and a look at each byte of some answers.
fn work(bench: &Bench, idler: &Server, done: &mut Done) -> Outcome<()> {
    for load in honest_work(bench) {
        let slice = slice::take_once(bench.cores, idler, &load)?;
        done.answers += slice.answers;
        done.wrong += slice.errors;
    }
    for asset in [site::TINY, site::PAGE, site::LONG_PAGE, site::LARGE] {
        let compare = server::compare_with(&bench.site.file(asset))?;
        server::fetch(idler.port, asset.path, compare)
            .map_err(|error| format!("{}: {error}", asset.path))?;
        done.answers += 1.0;
    }
    Ok(())
}

/// Short stretches of everything that honest clients do.
fn honest_work(bench: &Bench) -> [Load; 4] {
    let load = |asset, connections| Load {
        asset,
        connections,
        until: Until::Seconds(bench.seconds),
        ..Load::calm(1)
    };
    [
        load(site::PAGE, 64),
        Load {
            close: true,
            ..load(site::PAGE, 64)
        },
        Load {
            paths: Some(bench.site.many_list()),
            ..load(site::ONE_OF_MANY, 64)
        },
        load(site::LARGE, 8),
    ]
}

fn look(idler: &Server) -> Rest {
    let pids = idler.family();
    measure::settle(&pids, PATIENCE);
    Rest {
        descriptors: measure::descriptors(&pids),
        memory: measure::memory(&pids),
    }
}

fn show(filled: &Rest, last: &Rest, cycles: usize, done: &Done) {
    let mut table = Table::new("Soak", &["what", "after two cycles", "at the end"]);
    let mut row = |what: &str, then: String, now: String| table.row([what.to_owned(), then, now]);
    row("cycles", FILLING_CYCLES.to_string(), cycles.to_string());
    row(
        "descriptors",
        filled.descriptors.to_string(),
        last.descriptors.to_string(),
    );
    let mib = |bytes: u64| mebibytes(bytes as f64);
    row(
        "anonymous memory, MiB",
        mib(filled.memory.anonymous),
        mib(last.memory.anonymous),
    );
    row("Rss, MiB", mib(filled.memory.rss), mib(last.memory.rss));
    row(
        "idle clients that came and went",
        String::new(),
        whole(done.idle_clients as f64),
    );
    row("honest answers", String::new(), whole(done.answers));
    row("of them wrong or missing", String::new(), whole(done.wrong));
    table.print();
}
