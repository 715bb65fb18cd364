//! What the process may and has: descriptors, listening sockets, walls.
//!
//! What lives here: everything that happens before the loop starts, once. It may not know the loop, HTTP,
//! or what is served. Invariant: each step either does what the user asked or says why not in one line;
//! whatever needs the machine outside the site (names, tables, devices) is asked before the walls stand.
//! Read next, in the order of a start: `inherited.rs`, `descriptors.rs`, `listen.rs`, `addresses.rs`, `notify.rs`,
//! `walls.rs`.

pub mod addresses;
pub mod datagrams;
pub mod descriptors;
pub mod inherited;
pub mod listen;
pub mod notify;
pub mod usage;
pub mod user;
pub mod walls;
