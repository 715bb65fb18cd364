//! The service manager: the sockets that it hands over at the start, and what it is told.
//!
//! Socket activation is as systemd does it (sd_listen_fds(3)): `LISTEN_FDS` sockets begin at
//! descriptor 3, are meant for the process `LISTEN_PID`, and have the names in `LISTEN_FDNAMES`.
//! They are taken before anything else is opened, since other files could have their numbers by
//! then. One that cannot be used ends the start, because clients wait on it. A socket that outlives
//! the process lets idler be replaced without refusing a client: those that connect between two
//! processes wait in its queue.
//!
//! The manager is told by the datagrams of sd_notify(3). Nothing it does (a full queue, a socket
//! that is gone) makes idler wait or fail.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use listenfd::ListenFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::limits::INHERITED_SOCKETS_MAX;
use crate::process::sockets::BoundSocket;

/// Takes the sockets that were handed over, in their order; none if there are none, or they are
/// meant for another process.
///
/// # Errors
/// One line for the user, if one is no TCP or Unix socket that listens.
pub fn take_sockets() -> Result<Vec<BoundSocket>, String> {
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

/// The way to the service manager, if there is one. It must be opened before the walls are raised;
/// once connected, it works behind them.
#[derive(Debug, Default)]
pub struct Notify(Option<OwnedFd>);

impl Notify {
    /// Opens the way that `NOTIFY_SOCKET` names.
    pub fn from_env() -> Self {
        match std::env::var_os("NOTIFY_SOCKET") {
            Some(address) if !address.is_empty() => Self::to(&address),
            _ => Self::default(),
        }
    }

    fn to(address: &OsStr) -> Self {
        let socket = connect(address.as_bytes()).inspect_err(|e| {
            log::warn!(
                "the service manager at {} is not told anything: {e} \
                 (is NOTIFY_SOCKET meant for this process?)",
                address.display()
            );
        });
        Self(socket.ok())
    }

    /// Says that connections are accepted and answered; also at the end of a reload.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// Says that the end has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Says that files are read again, at `monotonic_micros` of `CLOCK_MONOTONIC`;
    /// [`ready`](Self::ready) must follow.
    pub fn reloading(&self, monotonic_micros: u64) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={monotonic_micros}"));
    }

    fn send(&self, text: &str) {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        if let Some(socket) = &self.0
            && let Err(e) = rustix::net::send(socket, text.as_bytes(), flags)
        {
            log::debug!("the service manager was not told {text:?}: {e}");
        }
    }
}

/// A socket connected to a path, or to the abstract name behind an at sign.
fn connect(address: &[u8]) -> Result<OwnedFd, Errno> {
    let to = match address {
        [b'/', ..] => SocketAddrUnix::new(address)?,
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
        _ => return Err(Errno::AFNOSUPPORT),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    rustix::net::connect(&socket, &to)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use std::os::unix::net::UnixDatagram;
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
            .arg("process::service_manager::tests::sockets_are_taken_in_order_and_checked")
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
            match take_sockets() {
                Ok(all) => {
                    let shown: Vec<_> = all.iter().map(|l| l.address.to_string()).collect();
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
    fn an_absurd_number_is_refused() {
        if std::env::var_os(CHILD).is_some() {
            eprintln!("{}", take_sockets().unwrap_err());
            return;
        }
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("process::service_manager::tests::an_absurd_number_is_refused")
            .env(CHILD, "1")
            .env("LISTEN_FDS", "2000000000")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("LISTEN_FDS=2000000000"), "{text}");
    }

    fn heard(manager: &UnixDatagram) -> String {
        let mut text = [0; 200];
        let n = manager.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..n]).into_owned()
    }

    fn converse(manager: &UnixDatagram, notify: &Notify) {
        notify.ready();
        notify.reloading(1_234_567);
        notify.stopping();
        assert_eq!(heard(manager), "READY=1");
        assert_eq!(heard(manager), "RELOADING=1\nMONOTONIC_USEC=1234567");
        assert_eq!(heard(manager), "STOPPING=1");
    }

    #[test]
    fn a_manager_at_a_path_is_told() {
        let path = std::env::temp_dir().join(format!("idler-notify-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::to(path.as_os_str());
        std::fs::remove_file(&path).unwrap();
        converse(&manager, &notify);
    }

    #[test]
    fn a_manager_with_an_abstract_name_is_told() {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net::SocketAddr;
        let name = format!("idler-notify-{}", std::process::id());
        let at = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&at).unwrap();
        converse(&manager, &Notify::to(OsStr::new(&format!("@{name}"))));
    }

    #[test]
    fn a_manager_that_does_not_listen_makes_nobody_wait() {
        let path = std::env::temp_dir().join(format!("idler-deaf-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::to(path.as_os_str());
        for _ in 0..10_000 {
            notify.ready(); // its queue is full long before
        }
        drop(manager);
        notify.stopping(); // it is gone
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn without_one_nothing_happens() {
        for address in ["/no/such/socket", "vsock:2:1", "@", ""] {
            let notify = Notify::to(OsStr::new(address));
            notify.ready();
            notify.stopping();
            assert!(notify.0.is_none() || address == "@");
        }
    }
}
