//! A slice: a short stretch of load on one server, and what it cost.
//!
//! What lives here: how a slice is described, taken, judged (was another program in the way?) and taken again.
//! What it may not know: how results are shown.
//! Invariant: the figure to compare is the server's CPU time per request, by the scheduler's clock; the time that
//! passed says more about the client.
//! Read next: `throughput.rs`, which compares slices of several servers.

use std::path::PathBuf;

use crate::role::{Client, Cores};
use crate::server::Server;
use crate::site::Asset;
use crate::{Outcome, check_interrupted};

/// The share of a core that other programs may use during a slice that counts.
pub(crate) const OTHERS_MAX: f64 = 0.10;
/// How often a slice that was disturbed is taken again.
const AGAIN_MAX: usize = 3;

/// What a client is to do.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// What is asked for.
    pub(crate) asset: Asset,
    /// A list of paths to choose from instead of the asset's own.
    pub(crate) paths: Option<PathBuf>,
    /// Connections kept busy at the same time.
    pub(crate) connections: usize,
    /// When it ends.
    pub(crate) until: Until,
    /// One connection for each request.
    pub(crate) close: bool,
    /// Let the kernel throw bodies away.
    pub(crate) discard: bool,
    /// What the choice of paths starts from.
    pub(crate) seed: u64,
}

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After some seconds.
    Seconds(f64),
    /// After some answers.
    Answers(u64),
}

impl Load {
    /// One client that asks for a page again and again.
    pub(crate) fn calm(answers: u64) -> Self {
        Self {
            asset: crate::site::PAGE,
            paths: None,
            connections: 1,
            until: Until::Answers(answers),
            close: false,
            discard: false,
            seed: 1,
        }
    }
}

/// What a slice showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    /// Whole answers.
    pub(crate) answers: f64,
    /// Bytes of bodies.
    pub(crate) bytes: f64,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
    /// CPU seconds of the server.
    pub(crate) server: f64,
    /// CPU seconds of the client.
    pub(crate) client: f64,
    /// CPU seconds of all other programs on the machine.
    pub(crate) others: f64,
    /// The middle latency, in microseconds.
    pub(crate) p50: f64,
    /// The latency that one in a hundred exceeds, in microseconds.
    pub(crate) p99: f64,
    /// The longest latency, in microseconds.
    pub(crate) longest: f64,
    /// Answers that were wrong or did not come.
    pub(crate) errors: f64,
}

impl Slice {
    /// Microseconds of the server's CPU time for each answer.
    pub(crate) fn cost(&self) -> f64 {
        self.server * 1e6 / self.answers
    }

    /// Seconds of the server's CPU time for each GiB.
    pub(crate) fn cost_of_bytes(&self) -> f64 {
        self.server * f64::from(1 << 30) / self.bytes
    }

    /// The share of a core that other programs used.
    pub(crate) fn disturbance(&self) -> f64 {
        self.others / self.seconds
    }
}

/// Takes a slice; if it was disturbed, again, and keeps the least disturbed.
pub(crate) fn take(cores: Cores, server: &Server, load: &Load) -> Outcome<Slice> {
    let mut best = take_once(cores, server, load)?;
    for _ in 0..AGAIN_MAX {
        if best.disturbance() <= OTHERS_MAX {
            break;
        }
        let next = take_once(cores, server, load)?;
        if next.disturbance() < best.disturbance() {
            best = next;
        }
    }
    Ok(best)
}

/// Takes a slice, whatever else goes on.
pub(crate) fn take_once(cores: Cores, server: &Server, load: &Load) -> Outcome<Slice> {
    end(server, begin(cores, server, load)?)
}

/// Begins a slice, beside which others can be taken.
pub(crate) fn begin(cores: Cores, server: &Server, load: &Load) -> Outcome<Client> {
    check_interrupted()?;
    let watch: Vec<String> = server.family().iter().map(u32::to_string).collect();
    let mut words = vec![
        format!("port={}", server.port),
        format!("length={}", load.asset.length),
        format!("connections={}", load.connections),
        format!("seed={}", load.seed),
        format!("watch={}", watch.join(",")),
        format!("core={}", cores.server),
    ];
    words.push(match &load.paths {
        Some(list) => format!("paths={}", list.display()),
        None => format!("path={}", load.asset.path),
    });
    words.push(match load.until {
        Until::Seconds(seconds) => format!("seconds={seconds}"),
        Until::Answers(answers) => format!("answers={answers}"),
    });
    for (name, on) in [
        ("close", load.close || !server.keeps),
        ("discard", load.discard),
    ] {
        if on {
            words.push(format!("{name}=yes"));
        }
    }
    Client::start(cores.client, "load", &words)
}

/// Waits for the end of a slice.
pub(crate) fn end(server: &Server, mut client: Client) -> Outcome<Slice> {
    let found = client
        .read()
        .map_err(|error| format!("{}: {error}", server.name))?;
    client.end()?;
    let number = |key| found.number::<f64>(key);
    let client = number("client")?;
    let own = number("server")?;
    // A server that forks, or starts a thread, for each connection takes its CPU time along when they end. What its
    // core was busy with is nearer the truth there.
    let used = if server.keeps {
        own
    } else {
        own.max(number("core")?)
    };
    Ok(Slice {
        answers: number("answers")?,
        bytes: number("body-bytes")?,
        seconds: number("seconds")?,
        server: used,
        client,
        others: (number("all")? - used - client).max(0.0),
        p50: number("p50")?,
        p99: number("p99")?,
        longest: number("longest")?,
        errors: number("wrong-status")? + number("wrong-length")? + number("broken")?,
    })
}
