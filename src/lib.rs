//! idler: a static-file HTTP/1.1 server that does everything on one thread.
//!
//! One [`mio::Poll`] waits, one slab holds the connections, and each connection is a state
//! machine that is moved a step whenever the kernel says that a step is possible.
//!
//! # A first reading
//!
//! 1. `event_loop/mod.rs`: what the loop and its handlers promise each other.
//! 2. `event_loop/turn.rs`: one turn of the loop, in six named steps.
//! 3. `event_loop/readiness.rs`: the edge-triggered contract.
//! 4. `event_loop/timer.rs`: the wheel of deadlines.
//! 5. `event_loop/tcp.rs`: a stream socket with its readiness, and how it is closed.
//! 6. `http/state.rs`: the states of a connection, the table of their changes, a reply on its way.
//! 7. `http/state/reading.rs`: from bytes to a request.
//! 8. `server/connection.rs`: from an edge to a step of the table; reading a head.
//! 9. `server/connection/writing.rs`: sending the reply to its last byte, and closing.
//! 10. `server/answer.rs`: from a request to what is answered.
//! 11. `site/open.rs`: how a path from the network becomes a file, and never a file outside.
//!
//! The folders and the arrows between them are described in `ARCHITECTURE.md`.

#![forbid(unsafe_code)]

pub mod cli;
pub mod companions;
pub mod event_loop;
pub mod http;
pub mod limits;
pub mod log;
pub mod pages;
pub mod process;
pub mod server;
pub mod site;
pub mod tools;

// The oracles of `tests/fuzz` are held against the corpus here: they say `idler`, and need what
// only unit tests see.
#[cfg(test)]
extern crate self as idler;
#[cfg(test)]
#[path = "../tests/oracles/mod.rs"]
mod oracles;

/// The first test by name says at the start how long all of them take.
#[cfg(test)]
mod a_word_beforehand {
    use std::io::{Write as _, stderr};

    #[test]
    fn all_tests_take_minutes() {
        // Not by a macro: those are captured while a test runs.
        let words = "idler: all tests together take some three minutes on two cores";
        assert!(writeln!(stderr(), "\n{words}").is_ok());
    }
}
