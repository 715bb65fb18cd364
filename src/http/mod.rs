//! HTTP/1.1 (RFC 9110, RFC 9112): heads, targets, conditions, ranges, negotiation, replies, and the
//! states of a connection, with what else idler says in text.
//!
//! Bytes, addresses and times are passed in, and nothing here does I/O. The same bytes give the
//! same replies, however they are cut.

pub mod accept;
pub mod body;
pub mod conditional;
pub mod date;
pub mod fields;
pub mod head;
pub mod path;
pub mod proxy;
pub mod random;
pub mod range;
pub mod reply;
pub mod request;
pub mod response;
pub mod state;
pub mod status;
pub mod text;
pub mod url;
