//! `idler get`: the HTTP client on the loop, and what it can tell about an answer that other clients do not.
//!
//! What lives here: what was asked, following redirects, exit codes. The connection is in `connection.rs`, where
//! the body goes in `output.rs`. It may not know HTTP's syntax (`protocol/http/client/`).
//! Invariant: each hop of a redirect has a loop of its own, since names are resolved before a loop starts.
//! Read next: `connection.rs`, `sending.rs`, `hearing.rs`, `output.rs`.

mod connection;
mod hearing;
mod output;
mod record;
mod sending;

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use crate::cli::{GetOptions, HeaderLine, Voice};
use crate::event_loop::clock::monotonic_now;
use crate::http::url::Url;
use crate::limits::FOLLOWED_REDIRECTS_MAX;

use super::handlers as solo;
use crate::companions::client::{Failure, resolve};
use crate::log::logger;
use crate::tools::handlers::{ClientTask, at_first_of};

pub use crate::tools::get::connection::Client;

/// What is known of an answer when it is over.
#[derive(Clone, Default, Debug)]
pub(super) struct Answer {
    /// Of the last reply.
    status: u16,
    /// Where a redirect leads.
    location: Option<String>,
}

/// Gets it, and returns the exit code: 0; 3, 4, 5 for such a status; 1 for a failure.
///
/// Follows at most [`FOLLOWED_REDIRECTS_MAX`] redirects.
pub fn run(options: &GetOptions) -> ExitCode {
    // The first `-v` is for the heads.
    let verbose = options.voice.verbose.saturating_sub(1);
    solo::start_logger(Voice {
        verbose: if verbose > 0 { 2 } else { 0 },
        ..options.voice
    });
    match follow(options) {
        Ok(status) => {
            logger::finish();
            exit_code(status)
        }
        Err(failure) => solo::exit_code(Err(failure)),
    }
}

/// Gets it, wherever it is by now. Returns the status.
fn follow(options: &GetOptions) -> Result<u16, Failure> {
    let mut url = options.url.clone();
    for _ in 0..=FOLLOWED_REDIRECTS_MAX {
        let answer = get(options, &url)?;
        let Some(location) = answer.location.filter(|_| options.follow) else {
            return Ok(answer.status);
        };
        url = redirect(options, &url, &location).map_err(Failure::new)?;
    }
    let line = format!("{url} is redirect number {}", FOLLOWED_REDIRECTS_MAX + 1);
    Err(Failure::new(line))
}

fn redirect(options: &GetOptions, from: &Url, location: &str) -> Result<Url, String> {
    let to = from.follow(location).map_err(|e| {
        let location = crate::http::printable::printable(location.as_bytes());
        format!("{from} redirects to {location}: {e}")
    })?;
    let is_secret = |line: &HeaderLine| {
        ["authorization", "cookie"].contains(&line.name.to_ascii_lowercase().as_str())
    };
    if to.authority() != from.authority() && options.headers.iter().any(is_secret) {
        return Err(format!(
            "{from} redirects to another host, {to}, which must not see this Authorization or Cookie"
        ));
    }
    if options.voice.verbose > 0 {
        logger::say(&format!("* redirected to {to}"));
    }
    Ok(to)
}

fn exit_code(status: u16) -> ExitCode {
    ExitCode::from(match status {
        300..400 => 3,
        400..500 => 4,
        500.. => 5,
        0..300 => 0,
    })
}

/// One hop.
fn get(options: &GetOptions, url: &Url) -> Result<Answer, Failure> {
    let started = monotonic_now();
    let addresses = resolve(&url.host, url.port)?;
    let resolved = monotonic_now().duration_since(started);
    let answer = Rc::new(RefCell::new(Answer::default()));
    at_first_of(1, &addresses, |to| {
        let client = Client::start(
            to.address,
            options,
            url,
            started,
            resolved,
            Rc::clone(&answer),
        )?;
        Ok(ClientTask::Get(Box::new(client)))
    })?;
    let answer = answer.borrow().clone();
    Ok(answer)
}
