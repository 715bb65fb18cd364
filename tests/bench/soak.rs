//! A soak: honest and hostile clients of every kind at the same time, for a long time; and nothing may be left of them.
//!
//! What lives here: the workload `soak`, of idler alone.
//! What it may not know: what idler keeps for a client.
//! Invariant: figures are taken when all clients are gone and idler has come to rest, so that any difference between
//! the first cycles and the last is a leak.
//! Read next: `honest.rs` and `hostile.rs`, who come.

use std::fs;
use std::time::{Duration, Instant};

use crate::honest;
use crate::hostile::{WAYS, Way};
use crate::measure::{self, Memory};
use crate::role::Client;
use crate::server::{self, Server};
use crate::site;
use crate::table::{Table, mebibytes, number, whole};
use crate::{Bench, Outcome, check_interrupted, pause};

/// Honest clients that ask at the same time, each a process.
const HONEST: usize = 3;
/// Connections of those who hold them, of each kind.
const HOLDERS: usize = 400;
/// Connections of those who make the kernel hold replies for them, of each kind. Up to 4 MB for each: more of them, and
/// the kernel runs out of memory for TCP, which is everybody's, and honest clients wait for it.
const READERS: usize = 100;
/// Connections of those who come and go, of each kind.
const STORMERS: usize = 16;
/// They pause between two rounds, in microseconds. Without, it would be an attack (see `attack.rs`): on a busy machine,
/// newcomers would stand in the kernel's queue for longer than honest clients wait.
const STORM_PACE: u64 = 5000;
/// How long a cycle lasts, in seconds: longer than each of idler's time-outs here, and the ticks that ask for them.
const CYCLE: f64 = 12.0;
/// idler's own time-outs here, short enough to strike in every cycle.
const TIME_OUTS: [&str; 6] = [
    "--head-timeout",
    "2s",
    "--idle-timeout",
    "4s",
    "--stall-timeout",
    "5s",
];
/// How long an honest client waits for anything: what is asked here is whether its answers are right, not when they come.
const HONEST_PATIENCE: Duration = Duration::from_secs(30);
/// How long idler may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it is watched at rest.
const VIGIL: Duration = Duration::from_secs(5);
/// Anonymous memory may differ by this much between the first cycles and the last, in bytes: an allocator does not hand
/// back every page at once. A leak of one byte for each client would exceed it within a few minutes.
const SLACK: u64 = 256 * 1024;
/// Cycles after which everything that is filled once is filled.
const FILLING_CYCLES: usize = 2;

/// What is there when nobody is.
struct Rest {
    descriptors: usize,
    connections: usize,
    memory: Memory,
}

/// What was done so far.
#[derive(Default)]
struct Done {
    answers: f64,
    wrong: f64,
    unanswered: f64,
    hostile: [f64; WAYS.len()],
    most_memory: u64,
    most_connections: usize,
}

/// Runs cycles until the time is over. Fails if anything leaked, or any honest answer was wrong.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    bench.site.add_many()?;
    let mut idler = start(bench)?;
    let pids = idler.family();
    let end = Instant::now() + Duration::from_secs_f64(bench.minutes * 60.0);
    let mut done = Done::default();
    let mut rests: Vec<Rest> = Vec::new();
    fill(bench, &idler, &mut done)?;
    while rests.len() <= FILLING_CYCLES || Instant::now() < end {
        cycle(bench, &idler, rests.len(), &mut done)?;
        if !idler.is_alive() {
            return Err(format!("idler ended: {}", idler.last_words()).into());
        }
        let rest = look(&idler)?;
        eprintln!(
            "cycle {}: {} answers, {} wrong, {} missing; {} descriptors, {} connections, {} MiB anonymous",
            rests.len() + 1,
            whole(done.answers),
            whole(done.wrong),
            whole(done.unanswered),
            rest.descriptors,
            rest.connections,
            mebibytes(rest.memory.anonymous as f64)
        );
        rests.push(rest);
    }
    let (Some(filled), Some(last)) = (rests.get(FILLING_CYCLES - 1), rests.last()) else {
        return Err("no cycle was completed".into());
    };
    let before = (measure::on_cpu(&pids), measure::sleeps(&pids));
    pause(VIGIL);
    let after = (measure::on_cpu(&pids), measure::sleeps(&pids));
    let (cpu, wakes) = (after.0 - before.0, after.1 - before.1);
    show(filled, last, rests.len(), &done, cpu, wakes);
    if done.wrong + done.unanswered > 0.0 {
        let (wrong, unanswered) = (done.wrong, done.unanswered);
        return Err(format!("{wrong} honest answers were wrong, {unanswered} did not come").into());
    }
    for (what, then, now) in [
        ("descriptors", filled.descriptors, last.descriptors),
        ("connections", 0, last.connections),
    ] {
        if now != then {
            return Err(format!("{then} {what} became {now}").into());
        }
    }
    if wakes > 0 {
        return Err(format!("{wakes} wake-ups with nobody there: a timer is left").into());
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
    Ok(())
}

/// All honest and all hostile clients at once.
fn cycle(bench: &Bench, idler: &Server, turn: usize, done: &mut Done) -> Outcome<()> {
    let words = |seed: usize| {
        vec![
            format!("port={}", idler.port),
            format!("seconds={CYCLE}"),
            format!("seed={}", turn * 100 + seed),
        ]
    };
    let mut hostile = Vec::new();
    for (place, (way, word, _)) in WAYS.into_iter().enumerate() {
        let mut words = words(place);
        let count = if matches!(way, Way::NeverRead | Way::ByteRead) {
            READERS
        } else if way.holds() {
            HOLDERS
        } else {
            STORMERS
        };
        words.extend([
            format!("way={word}"),
            format!("count={count}"),
            format!("pace={STORM_PACE}"),
        ]);
        hostile.push(Client::start(bench.cores.client, "hostile", &words)?);
    }
    let mut honest = Vec::new();
    for seed in 0..HONEST {
        let mut words = words(50 + seed);
        let root = bench.site.root();
        words.extend([
            "pace=1".to_owned(),
            format!("patience={}", HONEST_PATIENCE.as_secs()),
            format!("root={}", root.display()),
        ]);
        honest.push(Client::start(bench.cores.client, "honest", &words)?);
    }
    let pids = idler.family();
    let clock = Instant::now();
    let (ran, held_up) = (measure::on_cpu(&pids), measure::held_up(&pids));
    let end = clock + Duration::from_secs_f64(CYCLE);
    while Instant::now() < end {
        check_interrupted()?;
        let memory = measure::memory(&pids).anonymous;
        done.most_memory = done.most_memory.max(memory);
        let connections = measure::connections(idler.port)?;
        done.most_connections = done.most_connections.max(connections);
        pause(Duration::from_millis(500));
    }
    for mut client in honest {
        let found = client.read()?;
        let (wrong, unanswered): (f64, f64) = (found.number("wrong")?, found.number("unanswered")?);
        if wrong + unanswered > 0.0 {
            let seconds = clock.elapsed().as_secs_f64();
            eprintln!(
                "an honest client failed: {}; idler ran for {} of {} s, and for {} s others had its core",
                honest::reasons(found.text("why")?),
                number(measure::on_cpu(&pids) - ran),
                number(seconds),
                number(measure::held_up(&pids) - held_up)
            );
        }
        done.answers += found.number::<f64>("answers")?;
        done.wrong += wrong;
        done.unanswered += unanswered;
        client.end()?;
    }
    for (place, mut client) in hostile.into_iter().enumerate() {
        let found = client.read()?;
        done.hostile[place] += found.number::<f64>("opened")?;
        client.end()?;
    }
    Ok(())
}

/// Waits until nobody is left, neither with idler nor in the kernel's queue, and idler has come to rest; then looks.
fn look(idler: &Server) -> Outcome<Rest> {
    let pids = idler.family();
    let end = Instant::now() + PATIENCE;
    while measure::queued(idler.port)? + measure::connections(idler.port)? > 0
        && Instant::now() < end
    {
        check_interrupted()?;
        pause(Duration::from_millis(50));
    }
    measure::settle(&pids, PATIENCE);
    Ok(Rest {
        descriptors: measure::descriptors(&pids),
        connections: measure::connections(idler.port)?,
        memory: measure::memory(&pids),
    })
}

fn show(filled: &Rest, last: &Rest, cycles: usize, done: &Done, cpu: f64, wakes: u64) {
    let mut table = Table::new("Soak", &["what", "after two cycles", "most", "at the end"]);
    let mut row = |what: &str, then: String, most: String, now: String| {
        table.row([what.to_owned(), then, most, now]);
    };
    let none = String::new;
    row(
        "cycles",
        FILLING_CYCLES.to_string(),
        none(),
        cycles.to_string(),
    );
    row(
        "descriptors",
        filled.descriptors.to_string(),
        none(),
        last.descriptors.to_string(),
    );
    row(
        "connections",
        filled.connections.to_string(),
        done.most_connections.to_string(),
        last.connections.to_string(),
    );
    let mib = |bytes: u64| mebibytes(bytes as f64);
    row(
        "anonymous memory, MiB",
        mib(filled.memory.anonymous),
        mib(done.most_memory),
        mib(last.memory.anonymous),
    );
    row(
        "Rss, MiB",
        mib(filled.memory.rss),
        none(),
        mib(last.memory.rss),
    );
    row("CPU ms in 5 s at rest", none(), none(), number(cpu * 1e3));
    row("wake-ups in 5 s at rest", none(), none(), wakes.to_string());
    row("honest answers", none(), none(), whole(done.answers));
    row(
        "wrong, missing",
        none(),
        none(),
        format!("{}, {}", whole(done.wrong), whole(done.unanswered)),
    );
    for ((_, _, title), opened) in WAYS.into_iter().zip(done.hostile) {
        row(
            &format!("hostile connections: {title}"),
            none(),
            none(),
            whole(opened),
        );
    }
    table.print();
}
