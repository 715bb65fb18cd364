//! HTTP/1.1 (RFC 9110, RFC 9112).
//!
//! What lives here: heads, targets, conditions, ranges, negotiation, replies, and the states of a
//! connection. It may not know where bytes come from or go to.
//! Read next: `server.rs`.

pub mod date;
pub mod etag;
pub(crate) mod fields;
pub mod multipart;
pub mod negotiation;
pub mod preconditions;
pub mod range;
pub mod redirects;
pub mod span;

#[cfg(test)]
mod seeded;
