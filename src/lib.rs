//! idler: a static-file HTTP/1.1 server that does everything on one thread.
//!
//! One [`mio::Poll`] waits, one slab holds the connections, and each connection is a state
//! machine that is moved a step whenever the kernel says that a step is possible.
//!
//! # A first reading
//!
//! 1. [`reactor`]: what the loop and its handlers promise each other, in one page.
//! 2. `reactor/readiness.rs`: the edge-triggered contract, whole.
//! 3. `reactor/event_loop.rs`: one turn of the loop, in six named steps.
//! 4. [`protocol::http::server`]: the states of a connection, and the table of their changes.
//! 5. `service/http_server.rs`: the place where loop, protocol and files meet.
//! 6. `site/open.rs`: how a path from the network becomes a file, and never a file outside.
//! 7. [`limits`]: every number idler obeys, with its reason.
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

// The oracles of `tests/fuzz` are held against the corpus here: they say `idler`, and need what only unit tests see.
#[cfg(test)]
extern crate self as idler;
#[cfg(test)]
#[path = "../tests/oracles/mod.rs"]
mod oracles;
