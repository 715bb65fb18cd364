//! `idler crowd`: many clients that hold their connections, on one loop, and what became of them.
//!
//! A [`Leader`] opens the connections and tells the verdict, a [`Member`] holds one of them, and a
//! [`Probe`] is the honest client whose answers show what the crowd does to others. A member is its
//! slot: nothing is kept for one that is idle.

mod leader;
mod member;
mod probe;
mod report;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;

use log::LevelFilter;

use crate::cli::{CrowdMode, Options};
use crate::companions::client::{Failure, resolve};
use crate::http::reply::ClientRequest;
use crate::http::text::Count;
use crate::http::url::Url;
use crate::process::resources;

use super::{ClientTask, at_first_of, exit_code};

pub use self::leader::Leader;
pub use self::member::Member;
pub use self::probe::Probe;
pub(crate) use self::report::Crowd;

/// How far a crowd has come.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Phase {
    /// One goes first, to see whether the server lets clients in.
    #[default]
    Scouting,
    /// The honest client is measured without the crowd.
    Quiet,
    /// The others come.
    Opening,
    /// All are there, as far as they were let in.
    Holding,
}

/// Where the honest client goes, and what it asks.
type ProbeTask = (SocketAddr, Rc<[u8]>);

/// Runs `idler crowd`, and returns its exit code: 0 if all stayed as asked, 1 if not, 2 if it must
/// not.
pub fn run(options: &Options) -> ExitCode {
    options.voice.start_logger(LevelFilter::Warn);
    let (addresses, probe) = match destinations(options) {
        Ok(destinations) => destinations,
        Err(failure) => return exit_code(Err(failure)),
    };
    let mut all = addresses.iter().chain(probe.as_ref().map(|(to, _)| to));
    let stranger = all.find(|address| !address.ip().to_canonical().is_loopback());
    if let Some(address) = stranger.filter(|_| !options.own_target) {
        exit_code(Err(Failure::new(format!(
            "crowd: {address} is not this machine, and a crowd can bring a server down; \
             --i-own-this-target says that it is yours"
        ))));
        return ExitCode::from(2);
    }
    // The leader, the honest client and its successor come on top.
    let room = options.clients as usize + 3;
    let ended = at_first_of(room, &addresses, |to, shared| {
        shared.crowd = Crowd::new(options, to.address);
        let leader = Leader::new(options, to, probe.clone());
        Ok(ClientTask::Leader(Box::new(leader)))
    });
    let stayed = ended.as_ref().is_ok_and(|state| state.crowd.stayed);
    let code = exit_code(ended.map(|_| ()));
    if stayed { code } else { ExitCode::FAILURE }
}

/// Where the members and the honest client go.
fn destinations(options: &Options) -> Result<(Vec<SocketAddr>, Option<ProbeTask>), Failure> {
    let (wanted, limit) = (options.clients as usize, resources::raise_limit());
    let room = resources::connections_for(limit, None);
    if wanted > room {
        let [wanted, room_shown, limit] = [wanted, room, limit].map(|n| Count(n as u64));
        return Err(Failure::new(format!(
            "{wanted} clients need more descriptors than there are: the limit of {limit} leaves \
             room for {room_shown}; try -n {room}, several crowds at once, or a higher limit \
             (ulimit -Hn)"
        )));
    }
    let addresses = resolve(&options.peer.host, options.peer.port)?;
    let Some(url) = &options.probe else {
        return Ok((addresses, None));
    };
    let first = resolve(&url.host, url.port)?.first().copied();
    Ok((addresses, first.map(|to| (to, get(url, false).into()))))
}

/// What each member sends once it is connected.
fn request(options: &Options) -> Vec<u8> {
    let target = match (options.mode, options.target.as_deref()) {
        (CrowdMode::Silent, _) | (CrowdMode::Churn, None) => return Vec::new(),
        (_, target) => target.unwrap_or("/").to_owned(),
    };
    let (host, port) = (options.peer.host.clone(), options.peer.port);
    let mut request = get(&Url { host, port, target }, options.mode.comes_and_goes());
    if options.mode == CrowdMode::HalfHead {
        // In the place of the blank line, a field whose value never ends.
        request.truncate(request.len().saturating_sub(2));
        request.extend_from_slice(b"X-Idler-Crowd: ");
    }
    request
}

fn get(url: &Url, close: bool) -> Vec<u8> {
    ClientRequest {
        method: "GET",
        url,
        fields: &[],
        close,
    }
    .to_bytes()
}
