//! Where log lines leave the process.

pub mod logger;
pub mod sink;
