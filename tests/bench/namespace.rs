//! A network namespace of its own, where that is allowed: nobody else's ports and settings.
//!
//! What lives here: entering it by becoming this program once more, and its settings.
//! What it may not know: what is measured.
//! Invariant: nothing outside the namespace is changed; without one, nothing is changed at all.
//! Read next: `main.rs`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::Outcome;

/// Says that the namespace has been entered.
const INSIDE: &str = "IDLER_BENCH_INSIDE";

/// Enters a namespace, if this process may. Returns what can be said about it.
///
/// `reno` and not what the machine prefers: `bbr` paces with timers, whose cost would be taken for the servers'.
pub(crate) fn enter(arguments: &[OsString]) -> Outcome<String> {
    if std::env::var_os(INSIDE).is_some() {
        run("ip", &["link", "set", "lo", "up"])?;
        for (key, value) in [
            ("tcp_congestion_control", "reno"),
            ("ip_local_port_range", "1024 65535"),
        ] {
            let path = format!("/proc/sys/net/ipv4/{key}");
            fs::write(&path, value).map_err(|error| format!("{path}: {error}"))?;
        }
        return Ok("in a network namespace of its own, reno".to_owned());
    }
    let may = rustix::process::geteuid().is_root()
        && run("unshare", &["-n", "true"]).is_ok()
        && run("ip", &["link", "show", "lo"]).is_ok();
    if may {
        let error = Command::new("unshare")
            .arg("-n")
            .arg(std::env::current_exe()?)
            .args(arguments)
            .env(INSIDE, "yes")
            .exec();
        return Err(format!("unshare: {error}").into());
    }
    let control = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")?;
    Ok(format!("in the machine's own network, {}", control.trim()))
}

fn run(program: &str, arguments: &[&str]) -> Outcome<()> {
    let quiet = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if quiet.success() {
        Ok(())
    } else {
        Err(format!("{program} {}: {quiet}", arguments.join(" ")).into())
    }
}
