//! What can be asked of the benchmark.
//!
//! What lives here: the options, their defaults, and the help.
//! What it may not know: how anything is measured.
//! Invariant: an argument that is not understood is an error, not ignored.
//! Read next: `main.rs`, which does what is asked.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use crate::{Bench, Outcome, attack, cold, crowd, million, rest, soak, syscalls, throughput};

/// A workload: its name, whether it runs when none is named, and what it does.
pub(crate) struct Workload {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    usual: bool,
    about: &'static str,
    /// Runs it and prints its tables.
    pub(crate) run: fn(&mut Bench) -> Outcome<()>,
}

const fn workload(
    name: &'static str,
    usual: bool,
    about: &'static str,
    run: fn(&mut Bench) -> Outcome<()>,
) -> Workload {
    Workload {
        name,
        usual,
        about,
        run,
    }
}

/// All of them, in the order in which they run.
const WORKLOADS: [Workload; 11] = [
    workload(
        "small",
        true,
        "100 B, 1 KiB and 16 KiB on 64 kept connections",
        throughput::small,
    ),
    workload(
        "close",
        true,
        "one connection for each request",
        throughput::close,
    ),
    workload(
        "many",
        true,
        "10,000 files of 4 KiB at random",
        throughput::many,
    ),
    workload(
        "large",
        true,
        "1 MiB and 1 GiB, discarded by the client",
        throughput::large,
    ),
    workload(
        "rest",
        true,
        "memory at rest, size, time to the first answer",
        rest::run,
    ),
    workload(
        "syscalls",
        true,
        "system calls for each request (needs strace)",
        syscalls::run,
    ),
    workload(
        "crowd",
        true,
        "memory, stillness and latency of idle crowds",
        crowd::run,
    ),
    workload(
        "cold",
        false,
        "small files beside a file that is on the disk alone (--scratch)",
        cold::run,
    ),
    workload(
        "million",
        false,
        "idle clients over many processes on one port",
        million::run,
    ),
    workload(
        "attack",
        false,
        "slowhttptest, attacks of our own, and traps: who goes on serving?",
        attack::run,
    ),
    workload(
        "soak",
        false,
        "idler beside crowds that come and go: does anything leak?",
        soak::run,
    ),
];

/// What was asked.
pub(crate) struct Options {
    /// In the order in which they run.
    pub(crate) workloads: Vec<Workload>,
    /// The peers to compare; all that are installed if none.
    pub(crate) peers: Option<Vec<String>>,
    /// Other servers, as `NAME=COMMAND`.
    pub(crate) also: Vec<String>,
    /// Slices of each server.
    pub(crate) rounds: u64,
    /// Length of a slice.
    pub(crate) seconds: f64,
    /// How long each attack of slowhttptest lasts.
    pub(crate) attack_seconds: f64,
    /// The attacks to run; all if none.
    pub(crate) attacks: Option<Vec<String>>,
    /// The program to be measured.
    pub(crate) idler: PathBuf,
    /// Where the scratch directory is made.
    pub(crate) scratch: PathBuf,
    /// Steps of a crowd; none: up to the descriptor limit.
    pub(crate) crowd: Option<Vec<usize>>,
    /// Rounds of the honest client.
    pub(crate) live_rounds: usize,
    /// Clients of `million`.
    pub(crate) clients: usize,
    /// How long `soak` lasts.
    pub(crate) minutes: f64,
    /// Whether a network namespace may be entered.
    pub(crate) namespace: bool,
    /// Only the help was asked for.
    pub(crate) help: bool,
}

impl Options {
    /// Reads the arguments. Cargo adds `--bench`, which says no more than that.
    pub(crate) fn read(arguments: &[OsString]) -> Outcome<Self> {
        let mut options = Self {
            workloads: Vec::new(),
            peers: None,
            also: Vec::new(),
            rounds: 5,
            seconds: 1.0,
            attack_seconds: 60.0,
            attacks: None,
            idler: built_idler(),
            scratch: std::env::temp_dir(),
            crowd: None,
            live_rounds: 20,
            clients: 1_000_000,
            minutes: 10.0,
            namespace: true,
            help: false,
        };
        let mut words = arguments
            .iter()
            .map(|word| word.to_string_lossy().into_owned());
        let mut named = Vec::new();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match word.as_str() {
                "--bench" => {}
                "-h" | "--help" => options.help = true,
                "--no-namespace" => options.namespace = false,
                "--peers" => options.peers = Some(value()?.split(',').map(str::to_owned).collect()),
                "--also" => options.also.push(value()?),
                "--rounds" => options.rounds = at_least(&word, &value()?, 1)?,
                "--seconds" => {
                    options.seconds = at_least(&word, &value()?, 0.1)?;
                    options.attack_seconds = options.seconds;
                }
                "--attacks" => {
                    let names: Vec<String> = value()?.split(',').map(str::to_owned).collect();
                    if let Some(name) = names
                        .iter()
                        .find(|name| !attack::names().contains(&name.as_str()))
                    {
                        let known = attack::names().join(", ");
                        return Err(format!("there is no attack {name}, but {known}").into());
                    }
                    options.attacks = Some(names);
                }
                "--idler" => options.idler = value()?.into(),
                "--scratch" => options.scratch = value()?.into(),
                "--crowd" => {
                    let steps: Outcome<Vec<usize>> = value()?
                        .split(',')
                        .map(|step| at_least(&word, step, 1))
                        .collect();
                    let mut steps = steps?;
                    steps.sort_unstable();
                    options.crowd = Some(steps);
                }
                "--live-rounds" => options.live_rounds = at_least(&word, &value()?, 0)?,
                "--clients" => options.clients = at_least(&word, &value()?, 1)?,
                "--minutes" => options.minutes = at_least(&word, &value()?, 0.0)?,
                name => match WORKLOADS.iter().any(|workload| workload.name == name) {
                    true => named.push(name.to_owned()),
                    false => {
                        return Err(format!(
                            "{name} is neither a workload nor an option; --help lists them"
                        )
                        .into());
                    }
                },
            }
        }
        options.workloads = WORKLOADS
            .into_iter()
            .filter(|workload| match named.is_empty() {
                true => workload.usual,
                false => named.iter().any(|name| name == workload.name),
            })
            .collect();
        // A relative path means the caller's folder, not the server's.
        options.idler = std::path::absolute(&options.idler)?;
        options.scratch = std::path::absolute(&options.scratch)?;
        Ok(options)
    }
}

fn at_least<N: FromStr + PartialOrd + std::fmt::Display>(
    option: &str,
    text: &str,
    least: N,
) -> Outcome<N> {
    match text.parse() {
        Ok(number) if number >= least => Ok(number),
        Ok(_) | Err(_) => {
            Err(format!("{option} wants a number of at least {least}, not {text}").into())
        }
    }
}

/// The program that this package builds: the static one where it has been built, since that is what is shipped.
fn built_idler() -> PathBuf {
    let usual = Path::new(env!("CARGO_BIN_EXE_idler"));
    let target = usual.ancestors().nth(2).unwrap_or(usual);
    let triple = format!("{}-unknown-linux-gnu/release/idler", std::env::consts::ARCH);
    let built = [target.join(&triple), target.join("static").join(&triple)];
    let newest = built
        .into_iter()
        .filter_map(|path| Some((modified(&path)?, path)))
        .max();
    newest.map_or_else(|| usual.to_owned(), |(_, path)| path)
}

/// Whether a program is older than the one that Cargo has built for this run, and so perhaps of older source.
pub(crate) fn is_stale(program: &Path) -> bool {
    match (
        modified(program),
        modified(Path::new(env!("CARGO_BIN_EXE_idler"))),
    ) {
        (Some(this), Some(built)) => this < built,
        (_, _) => false,
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// Prints what can be asked.
pub(crate) fn help() {
    println!(
        "cargo bench --bench peers -- [OPTIONS] [WORKLOAD]…\n\nWorkloads (all but those marked * if none is named):"
    );
    for workload in &WORKLOADS {
        let mark = if workload.usual { ' ' } else { '*' };
        println!("  {:<9}{mark} {}", workload.name, workload.about);
    }
    println!(
        "\nOptions:
  --peers A,B        only these of the servers found (the limit server always runs)
  --also NAME=CMD    one server more; {{root}} and {{port}} in CMD are replaced; repeatable
  --rounds N         slices of each server (5)
  --seconds S        length of a slice (1), and of each attack of slowhttptest (60)
  --attacks A,B      only these attacks: {}
  --idler PATH       the idler to measure (the static build if there is one, else the release build)
  --scratch DIR      where a directory for the site and all else is made and removed (the system's for temporary files)
  --crowd N,N        sizes of a crowd (1000,10000 and near the descriptor limit)
  --live-rounds N    rounds of the honest client beside the crowd (20; 0: none)
  --clients N        clients of million (1000000)
  --minutes N        how long soak lasts (10)
  --no-namespace     stay in the machine's own network even as root",
        attack::names().join(", ")
    );
}
