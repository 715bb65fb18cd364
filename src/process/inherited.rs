//! Sockets that the starter of the process made for it: socket activation, as systemd does it
//! (sd_listen_fds(3)). `LISTEN_FDS` sockets begin at descriptor 3, are meant for the process
//! `LISTEN_PID`, and have the names in `LISTEN_FDNAMES`.
//!
//! They are taken before anything else is opened, since other files could have their numbers by
//! then. One that cannot be used ends the start, because clients wait on it.
//!
//! A socket that outlives the process lets idler be replaced without refusing a client: those that
//! connect between two processes wait in its queue.

use std::os::fd::OwnedFd;

use listenfd::ListenFd;

use crate::limits::INHERITED_SOCKETS_MAX;
use crate::process::sockets::BoundSocket;

/// Takes the sockets that were handed over, in their order; none if there are none, or they are
/// meant for another process.
///
/// # Errors
/// One line for the user, if one is no TCP or Unix socket that listens.
pub fn take() -> Result<Vec<BoundSocket>, String> {
    let count = std::env::var("LISTEN_FDS").unwrap_or_default();
    let is_allowed = |n: usize| n <= INHERITED_SOCKETS_MAX;
    if !count.is_empty() && !count.parse().is_ok_and(is_allowed) {
        return Err(format!(
            "cannot use the sockets handed over: LISTEN_FDS={count} is no number from 0 to \
             {INHERITED_SOCKETS_MAX} (unset it to start without any)"
        ));
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut handed_over = ListenFd::from_env();
    let mut all = Vec::new();
    for number in 0..handed_over.len() {
        let socket = take_one(&mut handed_over, number).map_err(|why| {
            let name = match names.split(':').nth(number) {
                None | Some("") => String::new(),
                Some(name) => format!(" ({name})"),
            };
            format!(
                "cannot use socket {number} handed over{name}: {why} \
                 (in a socket unit: ListenStream=, Accept=no)"
            )
        })?;
        all.extend(socket);
    }
    Ok(all)
}

fn take_one(
    handed_over: &mut ListenFd,
    number: usize,
) -> Result<Option<BoundSocket>, &'static str> {
    let taken = match handed_over.take_tcp_listener(number) {
        Ok(tcp) => tcp.map(OwnedFd::from),
        Err(_) => handed_over
            .take_unix_listener(number)
            .map_err(|_| "it is neither a TCP nor a Unix stream socket")?
            .map(OwnedFd::from),
    };
    let adopted = taken.map(BoundSocket::adopt).transpose();
    adopted.map_err(|_| "it does not listen")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use std::process::{Command, Stdio};

    const CHILD: &str = "IDLER_TEST_INHERITED_CHILD";

    /// Starts this test again, with sockets handed over at descriptors 3 and 4. The shell puts them
    /// there and says which process they are meant for.
    fn started_with(listen_fds: &str, pid: &str, third: Stdio, fourth: Stdio) -> String {
        let script = format!(
            "exec 3<&0 4>&1 0</dev/null 1>/dev/null; \
             export LISTEN_FDS={listen_fds} LISTEN_PID={pid}; exec \"$0\" \"$@\""
        );
        let output = Command::new("/bin/sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("process::inherited::tests::sockets_are_taken_in_order_and_checked")
            .env(CHILD, "1")
            .env("LISTEN_FDNAMES", "first:second")
            .stdin(third)
            .stdout(fourth)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    }

    #[test]
    fn sockets_are_taken_in_order_and_checked() {
        if std::env::var_os(CHILD).is_some() {
            match take() {
                Ok(all) => {
                    let shown: Vec<_> = all.iter().map(|l| l.address().to_string()).collect();
                    eprintln!("took {shown:?}");
                }
                Err(line) => eprintln!("{line}"),
            }
            assert!(std::env::var_os("LISTEN_FDS").is_none());
            return;
        }
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = tcp.local_addr().unwrap();
        let path = std::env::temp_dir().join(format!("idler-inherited-{}", std::process::id()));
        let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let tcp = || Stdio::from(OwnedFd::from(tcp.try_clone().unwrap()));
        let unix = || Stdio::from(OwnedFd::from(unix.try_clone().unwrap()));

        let both = started_with("2", "$$", tcp(), unix());
        assert_eq!(
            both,
            format!(
                "took {:?}\n",
                [at.to_string(), format!("unix:{}", path.display())]
            )
        );
        let _ = std::fs::remove_file(&path);
        // One of two; not ours; nothing at all.
        assert_eq!(
            started_with("1", "$$", tcp(), unix()),
            format!("took {:?}\n", [at.to_string()])
        );
        assert_eq!(started_with("2", "1", tcp(), unix()), "took []\n");
        assert_eq!(started_with("0", "$$", tcp(), unix()), "took []\n");
        // What cannot be used is said by name.
        assert_eq!(
            started_with("2", "$$", tcp(), Stdio::null()),
            "cannot use socket 1 handed over (second): it is neither a TCP nor a Unix stream \
             socket (in a socket unit: ListenStream=, Accept=no)\n"
        );
        let (pair, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(
            started_with("2", "$$", Stdio::from(OwnedFd::from(pair)), unix()),
            "cannot use socket 0 handed over (first): it does not listen (in a socket unit: \
             ListenStream=, Accept=no)\n"
        );
    }

    #[test]
    fn an_absurd_number_is_refused_before_it_is_believed() {
        if std::env::var_os(CHILD).is_some() {
            eprintln!("{}", take().unwrap_err());
            return;
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("process::inherited::tests::an_absurd_number_is_refused_before_it_is_believed")
            .env(CHILD, "1")
            .env("LISTEN_FDS", "2000000000")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("LISTEN_FDS=2000000000"), "{text}");
    }
}
