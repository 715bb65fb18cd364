//! idler from outside: the built program, on a port of its own, through real sockets.
//!
//! One module per thing a user sees; `support` starts the program and speaks to it. Tests that need other
//! people's programs are ignored with that need as the reason (`cargo test -- --ignored` runs them).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]
mod architecture;
mod bad_days;
mod clients;
mod companions;
mod confinement;
mod crowd;
mod deploy;
mod differential;
mod explain;
mod fairness;
mod files;
mod footprint;
mod http_requests;
mod imports;
mod limits;
mod logs;
mod policies;
mod precompress;
mod proxies;
mod readme;
mod real_use;
mod service_manager;
mod slow_clients;
mod start_up;
mod stop;
mod support;
mod upgrade;
mod variants;
mod wishes;
