//! What the server does: from a connection to its answer.

pub mod acceptor;
pub mod access_log;
pub mod answer;
pub mod auth;
pub mod clients;
pub mod connection;
pub mod counters;
pub mod handlers;
pub mod listing;
pub mod log_record;
pub mod metrics;
pub mod outcome;
pub mod policy;
pub mod redirects;
pub mod reloadable_file;
pub mod representation;
pub mod respond;
pub mod shared;
pub mod signals;
pub mod sites;
pub mod start;
pub mod status;
pub mod variants;
