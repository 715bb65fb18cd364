//! `idler get`: the HTTP client on the loop, and what it can tell about an answer that other clients do not.
//!
//! What lives here: what was asked, following redirects, exit codes. The connection is in `connection.rs`, where
//! the body goes in `output.rs`. It may not know HTTP's syntax (`protocol/http/client/`).
//! Invariant: each hop of a redirect has a loop of its own, since names are resolved before a loop starts.
//! Read next: `connection.rs`, `output.rs`.

mod connection;
mod output;

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::limits::REDIRECTS_MAX;
use crate::protocol::http::client::Url;

use super::client::{Failure, resolve};
use super::solo::{Solo, at_first_of};

pub use connection::Client;

/// What was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GetOptions {
    /// What to get.
    pub url: Url,
    /// Where to put it; `None`: standard output.
    pub output: Option<PathBuf>,
    /// Request and reply heads, timings and oddities are shown.
    pub verbose: bool,
    /// The reply's head is written before its body.
    pub include: bool,
    /// `HEAD` instead of `GET`.
    pub head: bool,
    /// Further fields of the request.
    pub fields: Vec<(String, String)>,
    /// How long nothing may happen.
    pub timeout: Duration,
    /// What is there already is completed.
    pub resume: bool,
    /// Redirects are followed.
    pub follow: bool,
    /// Requests on the one connection.
    pub requests: u32,
    /// They are sent all at once, and not each after the reply to the one before.
    pub pipeline: bool,
    /// The request is sent in pieces of so many bytes,
    pub chunk: Option<usize>,
    /// with so long between them.
    pub delay: Duration,
}

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
/// Follows at most [`REDIRECTS_MAX`] redirects.
pub fn run(mut options: GetOptions) -> ExitCode {
    for _ in 0..=REDIRECTS_MAX {
        let answer = match get(&options) {
            Ok(answer) => answer,
            Err(failure) => {
                eprintln!("idler: {failure}");
                return ExitCode::FAILURE;
            }
        };
        let location = match answer.location.filter(|_| options.follow) {
            Some(location) => location,
            None => return exit_code(answer.status),
        };
        options.url = match redirect(&options, &location) {
            Ok(url) => url,
            Err(line) => {
                eprintln!("idler: {line}");
                return ExitCode::FAILURE;
            }
        };
    }
    eprintln!("idler: more than {REDIRECTS_MAX} redirects");
    ExitCode::FAILURE
}

fn redirect(options: &GetOptions, location: &str) -> Result<Url, String> {
    let from = &options.url;
    let to = from.follow(location).map_err(|e| {
        let location = crate::protocol::message::printable(location.as_bytes());
        format!("{from} redirects to {location}: {e}")
    })?;
    let told_host = |(name, _): &(String, String)| {
        ["authorization", "cookie"].contains(&name.to_ascii_lowercase().as_str())
    };
    if to.authority() != from.authority() && options.fields.iter().any(told_host) {
        return Err(format!(
            "{from} redirects to another host, {to}, which must not see this Authorization or Cookie"
        ));
    }
    if options.verbose {
        eprintln!("* redirected to {to}");
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
fn get(options: &GetOptions) -> Result<Answer, Failure> {
    let started = Instant::now();
    let addresses = resolve(options.url.host(), options.url.port())?;
    let resolved = started.elapsed();
    let answer = Rc::new(RefCell::new(Answer::default()));
    at_first_of(&addresses, |to| {
        let client = Client::start(to, options, started, resolved, Rc::clone(&answer))?;
        Ok(Solo::Get(Box::new(client)))
    })?;
    let answer = answer.borrow().clone();
    Ok(answer)
}
