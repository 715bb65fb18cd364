//! `idler get`: the HTTP client on the loop, and what it can tell about an answer that other
//! clients do not.
//!
//! This file follows redirects and gives the exit code. Each hop has a loop of its own, since names
//! are resolved before a loop starts.

mod connection;
mod output;
mod replies;

use std::process::ExitCode;
use std::rc::Rc;

use log::LevelFilter;

use crate::cli::{HeaderLine, Options, Voice};
use crate::companions::client::{Failure, resolve};
use crate::event_loop::clock::monotonic_now;
use crate::http::text::printable;
use crate::http::url::Url;
use crate::limits::FOLLOWED_REDIRECTS_MAX;
use crate::log::logger;

use crate::tools::{self, ClientTask, at_first_of};

pub use self::connection::GetClient;
use self::connection::Record;

/// What is known of the last reply when it is over.
#[derive(Default, Debug)]
pub(super) struct LastReply {
    status: u16,
    /// Where a redirect leads.
    location: Option<String>,
}

/// Gets it, and returns the exit code: 0; 3, 4, 5 for such a status; 1 for a failure.
pub fn run(url: Url, options: &Options) -> ExitCode {
    // The first `-v` is for the heads.
    let verbose = options.voice.verbose.saturating_sub(1);
    let voice = Voice {
        verbose: if verbose > 0 { 2 } else { 0 },
        ..options.voice
    };
    voice.start_logger(LevelFilter::Warn);
    match follow(url, &Rc::new(options.clone())) {
        Ok(status) => {
            logger::finish();
            ExitCode::from(match status {
                300..400 => 3,
                400..500 => 4,
                500.. => 5,
                0..300 => 0,
            })
        }
        Err(failure) => tools::exit_code(Err(failure)),
    }
}

/// Gets it, after [`FOLLOWED_REDIRECTS_MAX`] redirects at most. Returns the status.
fn follow(mut url: Url, options: &Rc<Options>) -> Result<u16, Failure> {
    for _ in 0..=FOLLOWED_REDIRECTS_MAX {
        let reply = get(options, &url)?;
        let Some(location) = reply.location.filter(|_| options.follow) else {
            return Ok(reply.status);
        };
        url = redirect(options, &url, &location).map_err(Failure::new)?;
    }
    let line = format!("{url} is redirect number {}", FOLLOWED_REDIRECTS_MAX + 1);
    Err(Failure::new(line))
}

/// One hop.
fn get(options: &Rc<Options>, url: &Url) -> Result<LastReply, Failure> {
    let started = monotonic_now();
    let addresses = resolve(&url.host, url.port)?;
    let resolved = monotonic_now().duration_since(started);
    let ended = at_first_of(1, &addresses, |to, _| {
        let record = Record::new(started, resolved);
        let client = GetClient::start(to, options, url, record)?;
        Ok(ClientTask::Get(Box::new(client)))
    })?;
    Ok(ended.last_reply)
}

fn redirect(options: &Options, from: &Url, location: &str) -> Result<Url, String> {
    let to = from.follow(location).map_err(|e| {
        let location = printable(location.as_bytes());
        format!("{from} redirects to {location}: {e}")
    })?;
    let is_secret = |line: &HeaderLine| {
        ["authorization", "cookie"].contains(&line.name.to_ascii_lowercase().as_str())
    };
    if to.authority() != from.authority() && options.headers.iter().any(is_secret) {
        return Err(format!(
            "{from} redirects to another host, {to}, which must not see this Authorization \
             or Cookie"
        ));
    }
    if options.voice.verbose > 0 {
        logger::say(&format!("* redirected to {to}"));
    }
    Ok(to)
}
