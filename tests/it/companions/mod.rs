//! The companions, through the built program: servers against clients, against scripted peers, and against the
//! programs of the courses.
//!
//! What lives here: starting a companion's server, and peers that say exactly what they are told. It may not
//! know how anything is done. Invariant: what a test expects is what a user sees.
//! Read next: `message.rs`, the shortest.

mod daytime;
mod http_client;
mod message;
mod ping;
mod python;
mod together;
mod transfer;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use crate::support::program::Outcome;
use crate::support::{Idler, PATIENCE, Running, wait_until};

/// A companion's server on a free port.
struct Server {
    running: Running,
    address: SocketAddr,
}

impl Server {
    /// Starts `idler VERB -p 0 -b 127.0.0.1` and what follows.
    fn start(verb: &str, args: &[&str]) -> Self {
        let idler = Idler::verb(verb).args(&["-p", "0", "-b", "127.0.0.1"]);
        let mut running = idler.args(args).env("RUST_LOG", "").spawn();
        let address = wait_until("the line that says where it listens", PATIENCE, || {
            assert!(running.is_alive(), "it ended: {}", running.stderr());
            let said = running.stderr();
            let place = said.split_once("listens on ")?.1;
            let place = place.strip_prefix("udp ").unwrap_or(place);
            let end = place.find([' ', '\n'])?;
            place[..end].parse().ok()
        });
        Self { running, address }
    }

    fn port(&self) -> String {
        self.address.port().to_string()
    }
}

/// Runs `idler` to its end, without the log.
fn run(args: &[&str]) -> Outcome {
    Idler::bare().args(args).env("RUST_LOG", "").run()
}

/// Its exit code, standard output and standard error.
fn said(outcome: &Outcome) -> (Option<i32>, String, &str) {
    (outcome.status.code(), outcome.text(), &outcome.stderr)
}

/// A server that lets one client connect after the other, and does with each what it is told.
fn scripted(scripts: Vec<Box<dyn FnOnce(TcpStream) + Send>>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let address = listener.local_addr().expect("it is bound");
    let thread = std::thread::spawn(move || {
        for script in scripts {
            let (stream, _) = listener.accept().expect("a client comes");
            stream
                .set_read_timeout(Some(PATIENCE))
                .expect("a socket option");
            script(stream);
        }
    });
    (address, thread)
}

/// A script that says this, and closes.
fn says(bytes: impl Into<Vec<u8>>) -> Box<dyn FnOnce(TcpStream) + Send> {
    let bytes = bytes.into();
    Box::new(move |mut stream| {
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // What it still says is taken, so that no reset overtakes the last words.
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// A port where nobody listens.
fn nobody() -> String {
    crate::support::idler::free_port().to_string()
}
