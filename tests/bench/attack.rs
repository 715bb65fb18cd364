//! Attacks: whether a server goes on serving the honest, and what the attack costs it.
//!
//! What lives here: the workload `attack`. Each server is started anew for each attack, as its users start it: with its
//! own time-outs, and with as many connections allowed as the machine allows.
//! What it may not know: how an attack is made.
//! Invariant: all servers meet the same commands in the same run; whether one is available is found out by an honest
//! client of our own, from before the first hostile connection until the last is gone.
//! Read next: `hostile.rs`, for the attacks that slowhttptest does not know; `traps.rs`, for single requests.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::honest;
use crate::hostile::{RATE, WAYS, Way};
use crate::measure::{self, Memory};
use crate::peers::{Peer, find};
use crate::role::{self, Client};
use crate::server::Server;
use crate::site::{LARGE, PAGE};
use crate::table::{Table, mebibytes, number, whole};
use crate::traps;
use crate::{Bench, Outcome, check_interrupted, pause};

/// Connections of an attack.
const CROWD: usize = 4000;
/// Connections of an attack that makes the server fill its send buffers.
const READERS: usize = 1000;
/// Our own attacks last for this share of those of slowhttptest.
const OWN_SHARE: f64 = 1.0 / 3.0;
/// Pause between two requests of the honest client.
const PACE_MS: u64 = 10;
/// The honest client begins so long before the attack, and ends so long after it, in seconds.
const MARGIN: f64 = 2.0;
/// How often the server is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// How long a server may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(10);

/// slowhttptest's modes, with parameters that each server has to take seriously: heads and bodies get something new
/// before most time-outs end; ranges fit into everybody's longest head; readers ask for more than a send buffer takes.
const MODES: [(&str, &str, &[&str]); 4] = [
    (
        "slowhttptest -H",
        PAGE.path,
        &["-H", "-i", "5", "-x", "24", "-t", "GET"],
    ),
    (
        "slowhttptest -B",
        PAGE.path,
        &["-B", "-i", "5", "-x", "10", "-s", "8192", "-t", "POST"],
    ),
    (
        "slowhttptest -R",
        LARGE.path,
        &["-R", "-a", "0", "-b", "1000", "-t", "GET"],
    ),
    (
        "slowhttptest -X",
        LARGE.path,
        &[
            "-X", "-w", "512", "-y", "1024", "-n", "5", "-z", "32", "-k", "8",
        ],
    ),
];

/// Our own.
const OWN: [(Way, usize); 6] = [
    (Way::Silent, CROWD),
    (Way::ByteHead, CROWD),
    (Way::NeverRead, READERS),
    (Way::ByteRead, READERS),
    (Way::Churn, 64),
    (Way::Reset, 64),
];

/// What takes single requests and shortages.
const TRAPS: &str = "traps";

/// The names by which attacks are asked for.
pub(crate) fn names() -> Vec<&'static str> {
    let modes = MODES.iter().map(|(title, ..)| mode(title));
    let own = OWN.iter().filter_map(|(way, _)| Some(named(*way)?.0));
    modes.chain(own).chain([TRAPS]).collect()
}

/// The name of a mode of slowhttptest: its letter.
fn mode(title: &'static str) -> &'static str {
    title.trim_start_matches("slowhttptest -")
}

/// Name and title of one of our own.
fn named(way: Way) -> Option<(&'static str, &'static str)> {
    let mut ways = WAYS.into_iter();
    ways.find_map(|(known, word, title)| (known == way).then_some((word, title)))
}

/// Those who take part, as their users start them.
pub(crate) fn peers(bench: &Bench) -> Vec<Peer> {
    let named = ["idler", "nginx", "lighttpd", "darkhttpd"];
    let all = bench.peers(false).into_iter();
    all.filter(|peer| named.contains(&peer.name.as_str()) || peer.is_other())
        .map(Peer::impatient)
        .collect()
}

/// All attacks on all servers, and the traps.
pub(crate) fn run(bench: &mut Bench) -> Outcome<()> {
    let seconds = bench.attack_seconds;
    let mut table = Table::new(
        "Attacks",
        &[
            "attack",
            "server",
            "honest requests failed",
            "of",
            "p50 ms",
            "p99 ms",
            "longest gap ms",
            "most held",
            "held at the end",
            "anonymous MiB more",
            "CPU s",
            "alive",
        ],
    );
    table.note(format!(
        "slowhttptest: {CROWD} connections, {RATE} a second, for {seconds} s; our own attacks for {} s. *Failed*: refused, \
         reset, wrong, or not answered within {} s. *Gap*: without a good answer. *Held*: connections by /proc/net/tcp. \
         *More*: the most during the attack, over that before it. Servers with their own time-outs, one worker, no access \
         log, {} connections allowed.",
        number(seconds * OWN_SHARE),
        honest::PATIENCE.as_secs(),
        bench.slots(),
    ));
    let peers = peers(bench);
    let is_asked = |name: &str| {
        let asked = bench.attacks.as_ref();
        asked.is_none_or(|asked| asked.iter().any(|one| one == name))
    };
    match find("slowhttptest") {
        Some(program) => {
            for (title, path, words) in MODES {
                if !is_asked(mode(title)) {
                    continue;
                }
                println!(
                    "\n`slowhttptest -c {CROWD} -r {RATE} -l {seconds:.0} {} -u http://127.0.0.1:PORT{path}`",
                    words.join(" ")
                );
                let attack = Attack {
                    title: title.to_owned(),
                    seconds,
                    arm: &|port| {
                        let mut command = role::program_on(bench.cores.client, &program)?;
                        command
                            .args(["-c", &CROWD.to_string(), "-r", &RATE.to_string()])
                            .args(["-l", &format!("{seconds:.0}")])
                            .args(words)
                            .args(["-u", &format!("http://127.0.0.1:{port}{path}")]);
                        Ok(command)
                    },
                };
                attack.on_all(bench, &peers, &mut table)?;
            }
        }
        None => table.note("slowhttptest is not installed, and its attacks are not here."),
    }
    for (way, count) in OWN {
        let own = seconds * OWN_SHARE;
        let (word, title) = named(way).ok_or("a way without a name")?;
        if !is_asked(word) {
            continue;
        }
        let attack = Attack {
            title: format!("{}: {title}", whole(count as f64)),
            seconds: own,
            arm: &|port| {
                let words = [
                    format!("port={port}"),
                    format!("way={word}"),
                    format!("count={count}"),
                    format!("seconds={own}"),
                    "seed=1".to_owned(),
                ];
                role::role_on(bench.cores.client, "hostile", &words)
            },
        };
        attack.on_all(bench, &peers, &mut table)?;
    }
    table.print();
    if is_asked(TRAPS) {
        traps::run(bench, &peers)?;
    }
    Ok(())
}

/// One attack.
struct Attack<'a> {
    title: String,
    seconds: f64,
    /// The command that attacks a port.
    arm: &'a dyn Fn(u16) -> Outcome<Command>,
}

/// What an attack did to a server.
struct Damage {
    failed: f64,
    answers: f64,
    p50: f64,
    p99: f64,
    gap: f64,
    most_held: usize,
    held: usize,
    memory: u64,
    cpu: f64,
    alive: bool,
}

impl Attack<'_> {
    fn on_all(&self, bench: &Bench, peers: &[Peer], table: &mut Table) -> Outcome<()> {
        for peer in peers {
            check_interrupted()?;
            eprintln!("{} on {} …", self.title, peer.name);
            let cells = match self.on(bench, peer) {
                Ok(damage) => damage.cells(),
                Err(error) => {
                    check_interrupted()?;
                    eprintln!("{error}");
                    std::array::from_fn(|_| "–".to_owned())
                }
            };
            let names = [self.title.clone(), peer.name.clone()];
            table.row(names.into_iter().chain(cells));
        }
        Ok(())
    }

    fn on(&self, bench: &Bench, peer: &Peer) -> Outcome<Damage> {
        let mut server = bench.start(peer)?;
        let pids = server.family();
        measure::settle(&pids, PATIENCE);
        let asked = [
            format!("port={}", server.port),
            format!("seconds={}", self.seconds + 2.0 * MARGIN),
            format!("pace={PACE_MS}"),
            "seed=1".to_owned(),
        ];
        let mut probe = Client::start(bench.cores.client, "honest", &asked)?;
        pause(Duration::from_secs_f64(MARGIN));
        let (memory, cpu) = (measure::memory(&pids), measure::on_cpu(&pids));
        let mut seen = Seen::default();
        let mut mob = Mob((self.arm)(server.port)?
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?);
        // The last look comes a moment before the hostile leave.
        let end = Instant::now() + Duration::from_secs_f64((self.seconds - 1.0).max(0.5));
        while Instant::now() < end {
            check_interrupted()?;
            seen.look(&server, &pids)?;
            pause(LOOK);
        }
        let used = measure::on_cpu(&pids) - cpu;
        let held = seen.held;
        mob.wait_for(Duration::from_secs_f64(self.seconds * 0.5 + 10.0))?;
        let found = probe.read()?;
        probe.end()?;
        let number = |key| found.number::<f64>(key);
        let failed = number("wrong")? + number("unanswered")?;
        if failed > 0.0 {
            eprintln!("failed: {}", honest::reasons(found.text("why")?));
        }
        Ok(Damage {
            failed,
            answers: number("answers")?,
            p50: number("p50")?,
            p99: number("p99")?,
            gap: number("gap")?,
            most_held: seen.most_held,
            held,
            memory: seen.most_memory.saturating_sub(memory.anonymous),
            cpu: used.max(0.0),
            alive: server.is_alive() && server.first_answer(PAGE).is_ok(),
        })
    }
}

impl Damage {
    fn cells(&self) -> [String; 10] {
        [
            whole(self.failed),
            whole(self.answers + self.failed),
            number(self.p50),
            number(self.p99),
            number(self.gap),
            whole(self.most_held as f64),
            whole(self.held as f64),
            mebibytes(self.memory as f64),
            number(self.cpu),
            if self.alive { "yes" } else { "no" }.to_owned(),
        ]
    }
}

/// What was seen of a server under attack.
#[derive(Default)]
struct Seen {
    held: usize,
    most_held: usize,
    most_memory: u64,
}

impl Seen {
    fn look(&mut self, server: &Server, pids: &[u32]) -> Outcome<()> {
        let Memory { anonymous, .. } = measure::memory(pids);
        self.held = measure::connections(server.port)?;
        self.most_held = self.most_held.max(self.held);
        self.most_memory = self.most_memory.max(anonymous);
        Ok(())
    }
}

/// A program that attacks. It is gone when its value is dropped.
struct Mob(Child);

impl Mob {
    /// Waits until it has ended; ends it when patience does.
    fn wait_for(&mut self, patience: Duration) -> Outcome<()> {
        let end = Instant::now() + patience;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < end {
            check_interrupted()?;
            pause(LOOK);
        }
        role::stop(&mut self.0);
        Ok(())
    }
}

impl Drop for Mob {
    fn drop(&mut self) {
        role::stop(&mut self.0);
    }
}
