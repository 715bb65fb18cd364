//! HTTP/1.1 (RFC 9110, RFC 9112).
//!
//! What lives here: heads, targets, conditions, ranges, negotiation, replies, and the states of a
//! connection. It may not know where bytes come from or go to. Invariant: the same bytes give the same
//! replies, however they are cut. Read next: `server.rs`.

pub mod basic;
pub mod body;
pub mod client;
pub mod date;
pub mod etag;
pub(crate) mod fields;
pub mod forwarded;
pub mod head;
pub mod multipart;
pub mod negotiation;
pub mod preconditions;
pub mod range;
pub mod redirects;
pub mod request;
pub mod response;
#[cfg(test)]
pub(crate) mod seeded;
pub mod server;
pub mod span;
pub mod status;
pub mod target;
