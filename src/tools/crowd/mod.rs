//! `idler crowd`: many clients that hold their connections, on one loop, and what became of them.
//!
//! What lives here: from what was asked to a running loop, and what the members share. Who opens connections is in
//! `leader.rs`, what each does in `member.rs`, the counting in `tally.rs`, what is said in the end in
//! `verdict.rs`, the honest client in `probe.rs`. It may not know which server it talks to. Invariant: a member is its slot: nothing is kept for one that is idle.
//! Read next: `leader.rs`.

mod latencies;
mod leader;
mod member;
mod opening;
mod probe;
mod tally;
#[cfg(test)]
mod tests;
mod verdict;

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use crate::cli::{CrowdMode, Options};
use crate::http::amount::Count;
use crate::http::reply::Request;
use crate::http::url::Url;
use crate::process::descriptors;

use crate::companions::client::{Failure, resolve};
use crate::tools as solo;
use crate::tools::ClientTask;

pub use crate::tools::crowd::leader::Leader;
pub use crate::tools::crowd::member::Member;
pub use crate::tools::crowd::probe::Probe;

use crate::tools::crowd::latencies::Latencies;
use crate::tools::crowd::tally::Tally;

/// What the members of a crowd share.
#[derive(Default, Debug)]
pub struct Crowd {
    mode: CrowdMode,
    /// What each says once it is connected.
    words: Vec<u8>,
    drip: Duration,
    tally: Tally,
    phase: Phase,
    probed: Probed,
    /// Why the first who was not let in was not.
    first_failure: Option<io::Error>,
}

/// How far a crowd has come.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Phase {
    /// One goes first, to see whether anybody is let in.
    #[default]
    Scouting,
    /// The honest client is measured without the crowd.
    Quiet,
    /// The others come.
    Opening,
    /// All are there, as far as they were let in.
    Holding,
}

/// What the honest client met.
#[derive(Default, Debug)]
struct Probed {
    before: Latencies,
    beside: Latencies,
    /// Why its last request that failed did so.
    why: Option<String>,
}

/// Runs `idler crowd`, and returns its exit code: 0 if all stayed as asked, 1 if not, 2 if it must not.
pub fn run(options: &Options) -> ExitCode {
    solo::start_logger(options.voice);
    let stayed = Rc::new(Cell::new(false));
    match plan(options) {
        Err(Refused::Stranger(line)) => {
            solo::exit_code(Err(Failure::new(line)));
            ExitCode::from(2)
        }
        Err(Refused::Failed(failure)) => solo::exit_code(Err(failure)),
        Ok(plan) => {
            // The leader, the honest client and its successor come on top.
            let room = options.clients as usize + 3;
            let outcome = solo::at_first_of(room, &plan.addresses, |to| {
                let leader =
                    Leader::new(options, to.address, plan.probe.clone(), Rc::clone(&stayed));
                Ok(ClientTask::Leader(Box::new(leader)))
            });
            match outcome {
                Ok(()) if !stayed.get() => {
                    solo::exit_code(Ok(()));
                    ExitCode::FAILURE
                }
                outcome => solo::exit_code(outcome),
            }
        }
    }
}

/// Where everybody is to go.
struct Plan {
    addresses: Vec<SocketAddr>,
    probe: Option<(Url, SocketAddr)>,
}

/// Why there is no crowd.
enum Refused {
    /// It would go to another machine.
    Stranger(String),
    Failed(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn plan(options: &Options) -> Result<Plan, Refused> {
    let (wanted, limit) = (options.clients as usize, descriptors::raise_limit());
    let room = descriptors::connections_for(limit, None);
    if wanted > room {
        let [wanted, room_shown, limit] = [wanted, room, limit].map(|n| Count(n as u64));
        return Err(Refused::Failed(Failure::new(format!(
            "{wanted} clients need more descriptors than there are: the limit of {limit} leaves room for {room_shown}; \
             try -n {room}, several crowds at once, or a higher limit (ulimit -Hn)"
        ))));
    }
    let addresses = resolve(&options.peer.host, options.peer.port)?;
    let probe = match &options.probe {
        None => None,
        Some(url) => {
            let addresses = resolve(&url.host, url.port)?;
            addresses.first().map(|address| (url.clone(), *address))
        }
    };
    let probed = probe.iter().map(|(_, address)| address);
    let stranger = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
    match addresses.iter().chain(probed).find(stranger) {
        Some(address) if !options.own_target => Err(Refused::Stranger(format!(
            "crowd: {address} is not this machine, and a crowd can bring a server down; \
             --i-own-this-target says that it is yours"
        ))),
        Some(_) | None => Ok(Plan { addresses, probe }),
    }
}

/// What each member says once it is connected.
fn words(options: &Options) -> Vec<u8> {
    let target = options.target.as_deref();
    let target = match (options.mode, target) {
        (CrowdMode::Silent, _) | (CrowdMode::Churn, None) => return Vec::new(),
        (_, target) => target.unwrap_or("/"),
    };
    let url = Url {
        host: options.peer.host.clone(),
        port: options.peer.port,
        target: target.to_owned(),
    };
    let mut words = Request {
        method: "GET",
        url: &url,
        fields: &[],
        close: options.mode.comes_and_goes(),
    }
    .to_bytes();
    if options.mode == CrowdMode::HalfHead {
        // In the place of the blank line, a field whose value never ends.
        words.truncate(words.len().saturating_sub(2));
        words.extend_from_slice(b"X-Idler-Crowd: ");
    }
    words
}
