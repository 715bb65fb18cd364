//! The benchmark: idler, its peers, and the least that one thread can do, on the same machine in the same minutes.
//!
//! What lives here: the roles this program plays, and the run as a whole. Servers run on one core, clients on another;
//! all of them are processes, most of them this program once more (`role.rs`).
//! What it may not know: how a figure comes about; each workload has its file.
//! Invariant: without `--bench`, which `cargo bench` adds, nothing is measured: tests are not held up.
//! Read next: `throughput.rs` for the workloads, `slice.rs` for what is compared, `limit.rs` for the measure of all.

#![forbid(unsafe_code)]

mod answer;
mod attack;
mod cold;
mod crowd;
mod crowd_client;
mod honest;
mod hostile;
mod limit;
mod load;
mod measure;
mod million;
mod namespace;
mod options;
mod peers;
mod record;
#[path = "../it/support/reply.rs"]
#[expect(dead_code, reason = "some of it is for tests")]
mod reply;
mod rest;
mod role;
mod server;
mod site;
mod slice;
mod soak;
mod syscalls;
mod table;
mod targets;
mod throughput;
mod traps;
mod watch;

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use options::Options;
use peers::{Imitation, Peer};
use record::Record;
use role::{AS, Cores};
use server::Server;
use site::{PAGE, Site};
use targets::Figure;

/// A result whose error is a sentence for the person who runs this.
type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let done = match arguments.as_slice() {
        [first, role, words @ ..] if first == AS => play(&role.to_string_lossy(), words),
        _ if arguments.iter().any(|word| word == "--bench") => run(&arguments),
        _ => {
            eprintln!("a benchmark, not a test: cargo bench --bench peers -- --help");
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays one part in a measurement, as a process of its own.
fn play(role: &str, words: &[OsString]) -> Outcome<()> {
    let texts = || -> Vec<String> {
        words
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    };
    match role {
        "on" => role::become_program(words),
        "limit" => limit::serve(&Record::read(texts())?),
        "load" => load::run(&Record::read(texts())?),
        "crowd" => crowd_client::hold(&Record::read(texts())?),
        "honest" => honest::run(&Record::read(texts())?),
        "hostile" => hostile::run(&Record::read(texts())?),
        "starts" => {
            heed_signals()?;
            rest::time(&texts())
        }
        other => Err(format!("no such role: {other}").into()),
    }
}

/// Runs the workloads that were asked for.
fn run(arguments: &[OsString]) -> Outcome<()> {
    let options = Options::read(arguments)?;
    if options.help {
        options::help();
        return Ok(());
    }
    let network = if options.namespace {
        namespace::enter(arguments)?
    } else {
        "in the machine's own network".to_owned()
    };
    heed_signals()?;
    let mut bench = Bench::prepare(&options)?;
    bench.introduce(&network);
    for workload in &options.workloads {
        eprintln!("{} …", workload.name);
        (workload.run)(&mut bench)?;
        check_interrupted()?;
    }
    targets::print(&bench.figures);
    if !bench.remarks.is_empty() {
        println!("\n### Remarks\n");
        for reason in &bench.remarks {
            println!("- {reason}");
        }
    }
    Ok(())
}

/// One run: what it measures with, whom, and what came of it so far.
struct Bench {
    cores: Cores,
    site: Site,
    field: Vec<Peer>,
    only: Option<Vec<String>>,
    idler: std::path::PathBuf,
    rounds: u64,
    seconds: f64,
    attack_seconds: f64,
    attacks: Option<Vec<String>>,
    crowd: Vec<usize>,
    live_rounds: usize,
    clients: usize,
    minutes: f64,
    descriptors: usize,
    figures: Vec<(Figure, f64)>,
    remarks: Vec<String>,
}

impl Bench {
    fn prepare(options: &Options) -> Outcome<Self> {
        let cores = Cores::choose()?;
        role::stay_on(cores.client)?;
        let descriptors = measure::raise_descriptor_limit();
        let field = peers::look_around(&options.idler, &options.also)?;
        let mut remarks = Vec::new();
        for name in field.absent {
            remarks.push(format!("{name} is not installed"));
        }
        if options::is_stale(&options.idler) {
            let program = options.idler.display();
            remarks.push(format!(
                "{program} is older than the release build: is it of this source?"
            ));
        }
        for name in options.peers.iter().flatten() {
            if !field.found.iter().any(|peer| peer.name == *name) {
                return Err(
                    format!("there is no peer {name} here ({})", remarks.join("; ")).into(),
                );
            }
        }
        // The last step leaves free what some servers want to keep free: nginx begins to close idle connections when
        // fewer than a sixteenth of its slots are left.
        let full = descriptors / 40 * 37;
        let crowd = options
            .crowd
            .clone()
            .unwrap_or_else(|| vec![1000, 10_000, full]);
        Ok(Self {
            cores,
            site: Site::create(&options.scratch)?,
            field: field.found,
            only: options.peers.clone(),
            idler: options.idler.clone(),
            rounds: options.rounds,
            seconds: options.seconds,
            attack_seconds: options.attack_seconds,
            attacks: options.attacks.clone(),
            crowd: crowd
                .into_iter()
                .map(|step| step.min(descriptors - 100))
                .collect(),
            live_rounds: options.live_rounds,
            clients: options.clients,
            minutes: options.minutes,
            descriptors,
            figures: Vec::new(),
            remarks,
        })
    }

    /// Says what is compared, and on what.
    fn introduce(&self, network: &str) {
        let kernel = rustix::system::uname();
        let kernel = kernel.release().to_string_lossy().into_owned();
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        println!(
            "Linux {kernel}, {}; servers on core {}, clients on core {}, loopback, {network}; {} rounds of {} s; \
             descriptor limit {}.",
            model.map_or("unknown processor", |(_, name)| name),
            self.cores.server,
            self.cores.client,
            self.rounds,
            self.seconds,
            self.descriptors,
        );
        let mut table = table::Table::new("Servers", &["server", "version"]);
        for peer in self.peers(true) {
            table.row([peer.name.clone(), peer.version()]);
        }
        table.print();
    }

    /// Those that take part: the limit server and those of `--also` always. `from_files`: where files must be found,
    /// the limit servers that open them, and that keep them and look, too.
    fn peers(&self, from_files: bool) -> Vec<Peer> {
        let wanted = |peer: &&Peer| match (&self.only, peer.name.as_str()) {
            (_, "limit") => true,
            (_, "limit-open" | "limit-look") => from_files,
            (None, _) => true,
            (Some(_), _) if peer.is_other() => true,
            (Some(only), name) => only.iter().any(|wanted| wanted == name),
        };
        self.field.iter().filter(wanted).cloned().collect()
    }

    /// Starts a peer over the site. Our own limits answer everything with the small page.
    fn start(&self, peer: &Peer) -> Outcome<Server> {
        let as_if = Imitation::Constant(PAGE);
        peer.start(self.cores, &self.site, self.slots(), &as_if)
    }

    /// Connections that a server must have room for, where it is told.
    fn slots(&self) -> usize {
        self.descriptors - 100
    }

    /// Remembers that something could not be measured. Fails if the reason is that the run is to end.
    fn leave_out(&mut self, reason: &dyn Error) -> Outcome<()> {
        check_interrupted()?;
        self.remark(&reason.to_string());
        Ok(())
    }

    /// Remembers what a reader must know: what was not measured and why, or what was disturbed.
    fn remark(&mut self, reason: &str) {
        if !self.remarks.iter().any(|known| known == reason) {
            eprintln!("{reason}");
            self.remarks.push(reason.to_owned());
        }
    }

    /// Remembers a figure of idler for the table of targets, if there is one.
    fn note_figure(&mut self, figure: Figure, value: f64) {
        if value.is_finite() {
            self.figures.push((figure, value));
        }
    }

    /// The same for a figure that is taken more than once, where the largest counts.
    fn note_worst_figure(&mut self, figure: Figure, value: f64) {
        match self.figures.iter_mut().find(|(known, _)| *known == figure) {
            Some((_, worst)) => *worst = worst.max(value),
            None => self.note_figure(figure, value),
        }
    }
}

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From here on SIGINT and SIGTERM end the run in order, with the scratch directory removed and all servers gone.
fn heed_signals() -> Outcome<()> {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    Ok(())
}

/// An error if a signal asked for the end.
fn check_interrupted() -> Outcome<()> {
    match INTERRUPTED.get() {
        Some(flag) if flag.load(Ordering::Relaxed) => Err("interrupted".into()),
        Some(_) | None => Ok(()),
    }
}

/// Stands still for a while: between two looks at something that another process does, or while it is watched.
fn pause(time: Duration) {
    std::thread::sleep(time);
}
