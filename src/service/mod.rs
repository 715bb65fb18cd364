//! (being written)

pub mod access_log;
pub mod log_entry;
pub mod logger;
mod outlet;
