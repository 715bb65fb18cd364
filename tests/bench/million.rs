//! A million idle clients on one machine, over as many processes as the descriptor limit demands.
//!
//! What lives here: the workload `million`. The processes share one port (`--reuse-port`), and the kernel deals the
//! connections out among them.
//! What it may not know: how a server shares a port.
//! Invariant: it stops before the machine runs out of memory or files, and says how far it came.
//! Read next: `crowd_client.rs`.

use std::fs;
use std::time::{Duration, Instant};

use crate::crowd_client::Mode;
use crate::measure::{self, range};
use crate::peers::Imitation;
use crate::role::{AS, Client};
use crate::server::{self, Server};
use crate::site::PAGE;
use crate::slice::{self, Load, Until};
use crate::table::{Table, mebibytes, number, whole};
use crate::{Bench, Outcome, check_interrupted, pause};

/// Descriptors of a process that are not for clients.
const RESERVED: usize = 100;
/// Memory that must stay available, in bytes.
const MEMORY_LEFT: u64 = 2 << 30;
/// How long a process may take to listen, and all of them to come to rest.
const PATIENCE: Duration = Duration::from_secs(20);
/// Requests of the honest client.
const HONEST_REQUESTS: u64 = 5000;

/// Fills the machine. Runs idler, or the limit server where `--peers limit` asks for it alone.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let clients = bench.clients;
    let room = bench.descriptors.saturating_sub(RESERVED);
    let count = processes(clients, room)?;
    allow(clients, count)?;
    let only_limit = bench.only.as_ref().is_some_and(|names| names == &["limit"]);
    let mut command = if only_limit {
        let mut words = vec![
            std::env::current_exe()?.display().to_string(),
            AS.to_owned(),
            "limit".to_owned(),
        ];
        words.extend(Imitation::Constant(PAGE).words(&bench.site));
        words.push("reuse-port=yes".to_owned());
        words
    } else {
        let root = bench.site.root().display().to_string();
        let rest = [
            "serve",
            &root,
            "--access-log",
            "off",
            "--idle-timeout",
            "1h",
            "--reuse-port",
            "--port",
        ];
        let idler = bench.idler.display().to_string();
        std::iter::once(idler)
            .chain(rest.map(str::to_owned))
            .collect()
    };
    let port = server::free_port()?;
    command.push(if only_limit {
        format!("port={port}")
    } else {
        port.to_string()
    });

    let name = if only_limit { "limit" } else { "idler" };
    let mut servers = start_all(bench, name, &command, port, count)?;
    let pids: Vec<u32> = servers.iter().flat_map(Server::family).collect();
    let before = measure::memory(&pids);
    let kernel_before = measure::machine_memory("Slab")?;
    let quiet = honest(bench, &servers)?;

    let began = Instant::now();
    let mut crowds = Vec::new();
    let mut held = 0;
    while held < clients {
        check_interrupted()?;
        let (client, opened) = enter(bench, port, crowds.len(), (clients - held).min(room))?;
        crowds.push(client);
        held += opened;
        eprintln!(
            "{held} of {clients} clients, {:.0} s",
            began.elapsed().as_secs_f64()
        );
        if opened == 0 || measure::machine_memory("MemAvailable")? < MEMORY_LEFT {
            bench.remark(&format!(
                "stopped at {held} clients: none got in, or memory ran short"
            ));
            break;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    measure::settle(&pids, PATIENCE);
    let then = measure::memory(&pids);
    let kernel_then = measure::machine_memory("Slab")?;
    let beside = honest(bench, &servers)?;
    let mut alive = 0;
    for crowd in &mut crowds {
        alive += crowd.ask()?.number::<usize>("alive")?;
    }
    let standing = servers
        .iter_mut()
        .map(Server::is_alive)
        .filter(|alive| *alive)
        .count();
    let share = pids.iter().map(|pid| measure::descriptors(&[*pid]) as f64);
    let (least, most) = range(share);

    let mut table = Table::new(
        format!("A crowd on one machine: {name}"),
        &["what", "figure"],
    );
    let mut row = |what: &str, figure: String| table.row([what.to_owned(), figure]);
    row("idle clients, after a request", whole(held as f64));
    row("of them alive at the end", whole(alive as f64));
    row(
        "processes on one port, alive at the end",
        format!("{standing} of {count}"),
    );
    row(
        "descriptors of each process",
        format!("{}–{}", whole(least), whole(most)),
    );
    row("seconds to let them in", whole(seconds));
    row(
        "user memory of all processes before, Pss MiB",
        mebibytes(before.pss as f64),
    );
    row(
        "user memory of all processes then, Pss MiB",
        mebibytes(then.pss as f64),
    );
    let grown = then.pss as f64 - before.pss as f64;
    row("for the crowd alone, MiB", mebibytes(grown));
    row("bytes for each client", number(grown / held as f64));
    let kernel = (kernel_then as f64 - kernel_before as f64) / held as f64;
    row(
        "kernel memory for each (Slab, both ends), bytes",
        whole(kernel),
    );
    for (when, slice) in [("quiet", quiet), ("beside them", beside)] {
        let figure = format!("{} / {}", number(slice.p50), number(slice.p99));
        row(&format!("an honest client {when}, p50 / p99 µs"), figure);
    }
    table.print();
    crowds.into_iter().try_for_each(Client::end)
}

/// How many processes it takes. The kernel deals connections out by a hash, so shares differ: by five times the
/// square root of a share hardly ever, and that much is left free.
fn processes(clients: usize, room: usize) -> Outcome<usize> {
    let share = room.saturating_sub(5 * room.isqrt());
    if share == 0 {
        return Err("the descriptor limit is too low".into());
    }
    Ok(clients.div_ceil(share))
}

/// Refuses what the kernel would refuse half-way.
fn allow(clients: usize, processes: usize) -> Outcome<()> {
    let files: u64 = fs::read_to_string("/proc/sys/fs/file-max")?
        .trim()
        .parse()?;
    let wanted = 2 * (clients + processes * RESERVED) as u64;
    if files < wanted {
        return Err(format!(
            "fs.file-max is {files}, and {wanted} are needed (each connection has two ends)"
        )
        .into());
    }
    let memory = measure::machine_memory("MemAvailable")?;
    let needed = clients as u64 * 12_000 + MEMORY_LEFT; // both ends' share of the kernel's memory
    if memory < needed {
        return Err(format!(
            "{memory} bytes of memory are available, and about {needed} are needed"
        )
        .into());
    }
    Ok(())
}

fn start_all(
    bench: &Bench,
    name: &str,
    command: &[String],
    port: u16,
    count: usize,
) -> Outcome<Vec<Server>> {
    bench.site.ripen();
    let mut servers = Vec::new();
    for number in 1..=count {
        check_interrupted()?;
        let log = bench.site.scratch().join(format!("{name}-{number}.log"));
        let mut server = Server::start(name, port, bench.cores.server, command, log)?;
        let end = Instant::now() + PATIENCE;
        while listeners(port)? < number {
            if !server.is_alive() {
                return Err(format!(
                    "process {number} of {name} did not start with --reuse-port on port {port} ({}); \
                     an idler that does not know this option cannot run this workload",
                    server.last_words()
                )
                .into());
            }
            if Instant::now() > end {
                return Err(format!("process {number} does not listen on port {port}").into());
            }
            pause(Duration::from_millis(5));
        }
        servers.push(server);
    }
    for server in &mut servers {
        server.first_answer(PAGE)?; // each asks the shared port: enough to see that it works
    }
    Ok(servers)
}

/// Sockets that listen on a port of 127.0.0.1.
fn listeners(port: u16) -> Outcome<usize> {
    let table = fs::read_to_string("/proc/net/tcp")?;
    let address = format!("0100007F:{port:04X}");
    let listens = |line: &&str| {
        let words: Vec<&str> = line.split_ascii_whitespace().take(4).collect();
        matches!(words.as_slice(), [_, local, _, "0A"] if *local == address)
    };
    Ok(table.lines().filter(listens).count())
}

/// One more process of clients, from an address of its own: a pair of addresses has 64 Ki ports at most.
fn enter(bench: &Bench, port: u16, number: usize, count: usize) -> Outcome<(Client, usize)> {
    let words = [
        format!("port={port}"),
        format!("count={count}"),
        format!("mode={}", Mode::AfterRequest.word()),
        format!("source=127.0.{}.{}", 1 + number / 200, 1 + number % 200),
    ];
    let mut client = Client::start(bench.cores.client, "crowd", &words)?;
    let found = client.read()?;
    let opened = found.number("opened")?;
    if opened < count {
        eprintln!(
            "{opened} of {count} got in; the last failure: {}",
            found.text("why")?
        );
    }
    Ok((client, opened))
}

/// One client on the shared port. Which process it meets is the kernel's choice; all hold the same.
fn honest(bench: &Bench, servers: &[Server]) -> Outcome<slice::Slice> {
    let server = servers.first().ok_or("no server")?;
    let load = Load {
        until: Until::Answers(HONEST_REQUESTS),
        ..Load::calm(1)
    };
    slice::take_once(bench.cores, server, &load)
}
