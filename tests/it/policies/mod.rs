//! What options switch on, each seen by a client.
//!
//! It may not know how a policy is kept. Invariant: each option has a test that fails without it.
//! Read next: `headers.rs`.

mod auth;
mod fallbacks;
mod guests;
mod headers;
mod operation;
mod proxies;
mod redirects;
mod sites;
mod status;
