//! HTTP/1.1 (RFC 9110, RFC 9112).
//!
//! What lives here: heads, targets, conditions, ranges, negotiation, replies, and the states of a
//! connection. It may not know where bytes come from or go to.
//! Read next: `server.rs`.

pub mod client;
