//! What idler says: pure state machines and parsers, without any I/O.
//!
//! What lives here: bytes in, meaning out, and back. Nothing here may know sockets, files, clocks or the
//! log: time is passed in, and reasons are returned. Invariant: the same bytes give the same result, however they are cut.
//! Read next: `http/server.rs`.

pub mod daytime;
pub mod http;
pub mod message;
pub mod ping;
pub mod proxy;
pub mod random;
pub mod transfer;
