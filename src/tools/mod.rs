//! The verbs that are no server.

pub mod crowd;
pub mod explain;
pub mod get;
pub mod handlers;
pub mod password;
pub mod precompress;
